"""Schedules that other systems publish in their own tests come out to the paisa."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from domain.schedule import build_schedule
from domain.terms import Terms

# `source` in each case says where its figures are published.
CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "data" / "schedules.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_reproduces_every_published_figure(case: dict[str, Any]) -> None:
    schedule = build_schedule(Terms.parse(case["terms"]))
    rows = {row.number: row.to_dict() for row in schedule.rows}
    ours = [{name: rows[row["number"]][name] for name in row} for row in case["expected_rows"]]
    assert ours == case["expected_rows"]
    assert case["partial"] or len(schedule.rows) == len(case["expected_rows"])
    assert schedule.notes == ()


def test_has_all_published_schedules() -> None:
    assert len(CASES) == 18
