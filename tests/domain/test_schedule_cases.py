"""Schedules that other systems publish in their own tests come out to the paisa."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from domain.schedule import build_schedule
from domain.terms import Terms

# `source` in each case says where its figures are published.
DATA = Path(__file__).parents[1] / "data"
FIRST: list[dict[str, Any]] = json.loads((DATA / "schedules.json").read_text())
MORE: list[dict[str, Any]] = json.loads((DATA / "schedules_more.json").read_text())
CASES = FIRST + MORE


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_reproduces_every_published_figure(case: dict[str, Any]) -> None:
    schedule = build_schedule(Terms.parse(case["terms"]))
    rows = {row.number: row.to_dict() for row in schedule.rows}
    ours = [{name: rows[row["number"]][name] for name in row} for row in case["expected_rows"]]
    assert ours == case["expected_rows"]
    assert case["partial"] or len(schedule.rows) == len(case["expected_rows"])
    assert schedule.notes == ()


def test_has_all_published_schedules() -> None:
    assert (len(FIRST), len(MORE)) == (18, 17)
    assert len({case["id"] for case in CASES}) == 35


# frappe/erpnext and frappe/lending, test_loan.py and test_loan_application.py: amounts there are in whole rupees.
LENDING: dict[str, Any] = {"rounding_mode": "half_even", "disburse_on": "2025-01-27", "first_due_on": "2025-02-27"}


def rupees(paise: int) -> int:
    return round(Fraction(paise, 100))


@pytest.mark.parametrize(
    ("principal", "percent", "months", "instalment", "interest"),
    [(2_50_000_00, "9.2", 18, 14_923, 18_599), (2_50_000_00, "9.2", 24, 11_445, 24_657)],
)
def test_totals_of_a_loan_application(
    principal: int, percent: str, months: int, instalment: int, interest: int
) -> None:
    terms = {**LENDING, "principal_paise": principal, "annual_rate_percent": percent, "instalments": months}
    schedule = build_schedule(Terms.parse({**terms, "amount_rounding_paise": 100}))
    assert (rupees(schedule.instalment_paise), rupees(schedule.total_interest_paise)) == (instalment, interest)


FOUR_ROWS = [
    ({}, 21_034, {4: (13_369, 1_683, 2_27_080), 18: (14_740, 312, 29_785), 20: (14_941, 105, 0)}),
    # Interest there is by actual days, the instalment as if months were equal: here it is given.
    (
        {"day_count": "ACT/365", "instalment_fixed": True, "instalment_paise": 15_052_00},
        20_970,
        {4: (13_392, 1_660, 2_26_979), 18: (14_745, 307, 29_715), 20: (14_875, 106, 0)},
    ),
]


@pytest.mark.parametrize(("by", "interest", "expected"), FOUR_ROWS, ids=["monthly", "by-days"])
def test_rows_of_a_loan_over_20_periods(
    by: dict[str, Any], interest: int, expected: dict[int, tuple[int, ...]]
) -> None:
    terms = {**LENDING, "principal_paise": 2_80_000_00, "annual_rate_percent": "8.4", "instalments": 20, **by}
    schedule = build_schedule(Terms.parse(terms))
    assert schedule.instalment_paise == 15_052_00
    assert rupees(schedule.total_interest_paise) == interest
    assert len(schedule.rows) == 20
    for row in schedule.rows:
        told = (rupees(row.principal_paise), rupees(row.interest_paise), rupees(row.closing_paise))
        assert expected.get(row.number, told) == told


def test_a_fixed_amount_per_period_takes_22_periods() -> None:
    fixed = {"instalment_fixed": True, "instalment_paise": 14_000_00, "amount_rounding_paise": 100}
    terms = {**LENDING, "principal_paise": 2_80_000_00, "annual_rate_percent": "8.4", "instalments": 20, **fixed}
    schedule = build_schedule(Terms.parse(terms))
    assert (len(schedule.rows), rupees(schedule.total_interest_paise)) == (22, 22_712)
