"""The schedule agrees with a second, independent calculator: hundreds of random terms, thousands in the slow run."""

from __future__ import annotations

import os
import random
from datetime import date, timedelta
from typing import Any

import pytest

from domain.schedule import build_schedule
from domain.terms import Terms, TermsError
from tests.domain.naive_schedule import naive_schedule

FREQUENCIES: list[Any] = [
    *["monthly"] * 8,
    "daily",
    "weekly",
    "fortnightly",
    "quarterly",
    "half-yearly",
    "yearly",
    {"every": 15, "unit": "days"},
    {"every": 2, "unit": "months"},
    {"every": 4, "unit": "weeks"},
]
DAY_COUNTS = ["30/360", "30E/360", "ACT/365", "ACT/360", "ACT/364", "ACT/ACT", "period"]
METHODS = [
    *["reducing"] * 6,
    *["flat", "rule_of_78", "equal_principal", "interest_only", "bullet"],
    *["step_up", "step_down", "balloon"],
]
FEES: list[dict[str, Any]] = [
    {"kind": "processing", "amount_paise": 1_234, "deducted": True},
    {"kind": "insurance", "amount_paise": 2_345, "gst_percent": "0", "added_to_principal": True},
    {"kind": "stamp", "amount_paise": 101, "due_with_row": 1},
]


def random_terms(seed: int) -> dict[str, Any]:
    """Terms of every kind, from one number; many of them odd, all of them possible to ask for."""
    pick = random.Random(seed)
    first = date(2023, 1, 1) + timedelta(days=pick.randrange(2200))
    if pick.random() < 0.3:  # Month ends are where calendars go wrong.
        first = first.replace(day=1) - timedelta(days=1)
    out = pick.choice([30, 31, pick.randrange(1, 20), pick.randrange(20, 100)])
    method = pick.choice(METHODS)
    terms: dict[str, Any] = {
        "principal_paise": pick.choice([pick.randrange(3_000, 50_000), pick.randrange(500_000, 500_000_000)]),
        "annual_rate_percent": pick.choice(["0", "12", f"{pick.randrange(0, 4800) / 100:.2f}"]),
        "instalments": pick.choice([1, 2, 3, pick.randrange(1, 25), pick.randrange(24, 61)]),
        "frequency": pick.choice(FREQUENCIES),
        "interest_method": method,
        "day_count": pick.choice(DAY_COUNTS),
        "disburse_on": (first - timedelta(days=out)).isoformat(),
        "first_due_on": first.isoformat(),
        "month_end": pick.choice(["last_day", "last_day", "first_of_next"]),
        "rounding_mode": pick.choice(["half_up", "half_even", "up"]),
        "amount_rounding_paise": pick.choice([1, 1, 1, 100]),
        "instalment_rounding_paise": pick.choice([1, 1, 100, 1000]),
        "instalment_rounding_mode": pick.choice(["nearest", "up"]),
        "level_last_instalment": pick.random() < 0.5,
        "broken_period": pick.choice(["add_to_first", "spread", "separate", "deduct"]),
        "moratorium_instalments": pick.choice([0, 0, 0, 0, 1, 3]),
        "moratorium_interest": pick.choice(["pay", "capitalise", "accrue"]),
        "moratorium_extends_tenure": pick.random() < 0.5,
        "moratorium_collected": pick.choice(["evenly", "first_row"]),
        "step_percent": pick.choice(["5", "7.5"]),
        "step_every": pick.choice([1, 6, 12]),
        "fees": pick.sample(FEES, pick.choice([0, 0, 1, 3])),
    }
    terms["balloon_paise"] = terms["principal_paise"] // pick.choice([2, 3, 10])
    later = pick.randrange(500)
    if method not in ("flat", "rule_of_78"):
        if pick.random() < 0.25:
            terms["tranches"] = [
                {"on": (first + timedelta(days=later + n - 60)).isoformat(), "amount_paise": pick.randrange(1, 10**7)}
                for n in pick.choice([(0, 3, 100), (0, 0, 40)])[: pick.choice([1, 2, 3])]
            ]
        if pick.random() < 0.25:
            terms["rate_changes"] = [
                {"from": (first + timedelta(days=later + n)).isoformat(), "annual_rate_percent": percent}
                for n, percent in ((0, "9.75"), (7, "24"), (45, "13.1"))[: pick.choice([1, 2, 3])]
            ]
    if pick.random() < 0.1:
        terms["schedule_starts_on"] = (first - timedelta(days=pick.randrange(10, 60))).isoformat()
    if method == "reducing" and pick.random() < 0.1:
        terms |= {"instalment_fixed": True, "instalment_paise": terms["principal_paise"] // pick.randrange(2, 30)}
    if pick.random() < 0.12:
        _with_rows(terms, pick)
    return terms


def _with_rows(terms: dict[str, Any], pick: random.Random) -> None:
    """Dates and principal of the lender's own, and here and there the interest too."""
    for name in ("instalments", "first_due_on", "schedule_starts_on", "instalment_fixed", "tranches"):
        terms.pop(name, None)
    terms |= {"moratorium_instalments": 0, "broken_period": "add_to_first", "interest_method": "reducing"}
    terms["fees"] = [fee for fee in terms["fees"] if not fee.get("added_to_principal")]
    count = pick.randrange(1, 12)
    day, left = date.fromisoformat(terms["disburse_on"]), terms["principal_paise"]
    terms["rows"] = []
    for index in range(count):
        day += timedelta(days=pick.choice([28, 30, 31, pick.randrange(1, 200)]))
        part = left if index == count - 1 else pick.randrange(0, left // 2 + 1)
        left -= part
        terms["rows"].append({"due_on": day.isoformat(), "principal_paise": part})
        if pick.random() < 0.3:
            terms["rows"][-1]["interest_paise"] = pick.randrange(10_000)


def agrees(seed: int) -> bool:
    """False where there is nothing to compare: terms that contradict each other, or rounding that was mended."""
    terms = random_terms(seed)
    try:
        schedule = build_schedule(Terms.parse(terms))
    except TermsError:
        return False
    if schedule.notes:
        return False
    naive = naive_schedule(terms)
    ours = [(r.number, r.due_on.isoformat(), r.days, r.principal_paise, r.interest_paise) for r in schedule.rows]
    assert ours == naive.rows, (seed, terms)
    assert schedule.net_disbursed_paise == naive.net, (seed, terms)
    assert (schedule.capitalised_paise, schedule.interest_deducted_paise) == (naive.capitalised, naive.deducted), seed
    return True


@pytest.mark.parametrize("block", range(6))
def test_agrees_with_the_naive_calculator(block: int) -> None:
    compared = sum(agrees(seed) for seed in range(block * 50, block * 50 + 50))
    assert compared > 25


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_agrees_with_the_naive_calculator_on_thousands_of_terms(block: int) -> None:
    seeds = int(os.environ.get("QIST_NAIVE_SEEDS", "250"))
    compared = sum(agrees(1_000_000 + seed) for seed in range(block * seeds, block * seeds + seeds))
    assert compared > seeds * 2 // 5
