"""A mapping as finance people write it: a TOML file. What is wrong with it is said by the field."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adapters.reconciliation.csv_file import FileMapping
from adapters.reconciliation.lines import FileRefused


def read_mapping(path: Path) -> FileMapping:
    try:
        declared = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileRefused(f"is no TOML: {error}", where=path.name) from None
    return mapping_from(declared, path.name)


def mapping_from(declared: Mapping[str, Any], where: str) -> FileMapping:
    try:
        return FileMapping.model_validate(declared)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise FileRefused(str(first["msg"]).removeprefix("Value error, "), where=where, field=field) from None
