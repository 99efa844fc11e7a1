"""docs/schedules.md: its examples are schedules, and what it says in quotes can be said in terms."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from domain.schedule import build_schedule
from domain.terms import Terms

PAGE = (Path(__file__).parents[2] / "docs" / "schedules.md").read_text()
EXAMPLES: list[dict[str, Any]] = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.S)]
SETTINGS: list[str] = sorted(set(re.findall(r'`("[a-z_]+": [^`]*)`', PAGE)))


@pytest.mark.parametrize("terms", EXAMPLES, ids=["usual", "given-rows", "closed-days"])
def test_examples_are_schedules(terms: dict[str, Any]) -> None:
    assert build_schedule(Terms.parse(terms)).rows[-1].closing_paise == 0


@pytest.mark.parametrize("setting", [text for text in SETTINGS if not text.endswith("N")])
def test_settings_can_be_said(setting: str) -> None:
    [(name, value)] = json.loads(f"{{{setting}}}").items()
    terms = Terms.parse({**EXAMPLES[0], "instalment_paise": 500000, name: value})
    assert terms.to_dict()[name] == value


def test_each_figure_of_a_schedule_is_named() -> None:
    told = build_schedule(Terms.parse(EXAMPLES[0])).to_dict()
    assert all(name in told for name in re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.M))
