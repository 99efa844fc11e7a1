"""The lives in tests/scenarios: each file says how a loan lived and what must come of it; products stand beside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson

from adapters.house import load_rules
from adapters.scenario import Scenario, read

FOLDER = Path(__file__).parent / "scenarios"
PRODUCTS = FOLDER / "products"
RULES = load_rules(PRODUCTS if PRODUCTS.is_dir() else None)


def scenarios() -> Iterator[tuple[str, Scenario]]:
    """Every scenario of the folder with its name; a file with a list holds several."""
    for path in sorted(FOLDER.glob("*.json")):
        told = orjson.loads(path.read_bytes())
        if isinstance(told, list):
            yield from ((f"{path.stem}-{index}", read(item)) for index, item in enumerate(told))
        else:
            yield path.stem, read(told)
