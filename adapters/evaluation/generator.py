"""Populations made up from a seed: how money comes and goes in accounts of several kinds of borrower.

Shapes, not statistics: nothing here is fitted to a lender's book. Salaried income comes once a month, mostly on its
day; the self-employed get lumps at any time, gig workers small sums every few days, the distressed too little. What is
left is spent over the days that follow.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

from domain.calendar import IST

SEGMENTS = ("salaried", "self-employed", "gig", "distressed")
KINDS: dict[str, tuple[int, int, int, int]] = {
    "mixed": (50, 20, 20, 10),
    "salaried": (85, 5, 5, 5),
    "gig": (10, 10, 70, 10),
    "shift": (50, 20, 20, 10),
    "outages": (50, 20, 20, 10),
    "distressed": (20, 15, 15, 50),
}
"""Kind of population -> percent of each segment. In `shift`, salary days and incomes change in the middle of the time;
in `outages`, banks are down often."""

BANKS = (("SBI", 30), ("HDFC", 22), ("ICICI", 18), ("AXIS", 12), ("PNB", 10), ("KOTAK", 8))
RAILS: dict[str, Any] = {
    "enach": {"max_attempts": 3, "min_gap_hours": 24, "hours": [7, 8, 10, 14, 18]},
    "upi": {"max_attempts": 4, "min_gap_hours": 24, "hours": [6, 7, 8, 14, 15, 22]},
}
COSTS = {"attempt_paise": 500, "bounce_charge_paise": 25_000, "day_late_bps": 5}
HARD_CODES = {"enach": "01", "upi": "YE"}

Income = Iterator[tuple[datetime, int]]


def generate(kind: str, seed: int, accounts: int, begins: date, until: date, window_days: int = 25) -> dict[str, Any]:
    """A population as JSON would have it; the same arguments give the same one."""
    dice = random.Random(f"{kind}:{seed}")
    return {
        "seed": seed,
        "kind": kind,
        "from": begins.isoformat(),
        "until": until.isoformat(),
        "window_days": window_days,
        "rails": RAILS,
        "costs": COSTS,
        "outages": list(_outages(dice, begins, until, often=kind == "outages")),
        "accounts": [_account(dice, kind, number, begins, until) for number in range(1, accounts + 1)],
    }


def _outages(dice: random.Random, begins: date, until: date, *, often: bool) -> Iterator[dict[str, Any]]:
    months = max(1, (until - begins).days // 30)
    for bank, _ in BANKS:
        for rail in RAILS:
            for _ in range(months * 2 if often else max(1, months // 4)):
                start = _midnight(begins + timedelta(days=dice.randrange((until - begins).days + 1)))
                start += timedelta(hours=dice.randrange(24))
                hours = dice.choice((6, 12, 24, 48, 96) if often else (4, 8, 24))
                yield {
                    "bank": bank,
                    "rail": rail,
                    "from": start.isoformat(),
                    "until": (start + timedelta(hours=hours)).isoformat(),
                    "fail_probability": round(dice.uniform(0.4, 0.95), 2),
                }


def _account(dice: random.Random, kind: str, number: int, begins: date, until: date) -> dict[str, Any]:
    segment = dice.choices(SEGMENTS, KINDS[kind])[0]
    rail = dice.choices(tuple(RAILS), (65, 35))[0]
    instalment = dice.randrange(2_000, 15_000, 50) * 100
    salary_day = dice.choice((1, 1, 1, 1, 2, 3, 5, 7, 7, 10, 15, 25, 28, 30, 31))
    # Due days are mostly agreed to follow the salary; where they come just before it, debits fail month after month.
    due_day = (salary_day + dice.choice((1, 1, 2, 3, 4, 5, 7, -1, -2, -4)) - 1) % 28 + 1
    if dice.random() < 0.25:
        due_day = dice.choice((1, 2, 3, 5, 7, 10, 15, 20, 25))
    shift_on = begins + (until - begins) / 2 if kind == "shift" and dice.random() < 0.7 else None
    incomes = sorted(
        INCOMES[segment](
            dice, begins - timedelta(days=40), until + timedelta(days=31), instalment, salary_day, shift_on
        )
    )
    declared = salary_day if segment in ("salaried", "distressed") or dice.random() < 0.3 else 0
    if declared and dice.random() < 0.12:
        declared = dice.randrange(1, 29)
    hard_on = begins + timedelta(days=dice.randrange((until - begins).days + 1))
    return {
        "loan_id": f"L{number:05d}",
        "bank": dice.choices(*zip(*BANKS, strict=True))[0],
        "rail": rail,
        "segment": segment,
        "salary_day": declared,
        "instalment_paise": instalment,
        "due_day": due_day,
        "hard": {"from": _midnight(hard_on).isoformat(), "code": HARD_CODES[rail]} if dice.random() < 0.05 else None,
        "balance": list(_balance(dice, incomes, begins, instalment)),
    }


def _balance(
    dice: random.Random, incomes: list[tuple[datetime, int]], begins: date, instalment: int
) -> Iterator[tuple[str, int]]:
    """Income in, spending out: each day a share of what is there goes, more while there is much."""
    held = instalment * dice.uniform(0, 1.2)
    daily = dice.uniform(0.02, 0.09)
    day, at = incomes[0][0].date(), 0
    until = incomes[-1][0].date()
    told = -1
    while day <= until:
        spent_at = _midnight(day) + timedelta(hours=dice.randrange(9, 23))
        steps: list[tuple[datetime, float]] = [(spent_at, -held * daily * dice.uniform(0.2, 1.8))]
        while at < len(incomes) and incomes[at][0].date() <= day:
            steps.append((incomes[at][0], incomes[at][1]))
            at += 1
        for moment, change in sorted(steps):
            held = max(0.0, held + change)
            rounded = int(held) // 100 * 100
            if rounded != told and (moment.date() >= begins or change > 0):
                told = rounded
                yield moment.isoformat(), rounded
        day += timedelta(days=1)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=IST)


def _monthly(
    dice: random.Random, begins: date, until: date, instalment: int, payday: int, shift_on: date | None, *, much: float
) -> Income:
    """One income a month: on its day, sometimes some days late, seldom not at all."""
    punctual = dice.uniform(0.5, 0.98)
    hour = dice.choice((0, 2, 6, 9, 11, 13, 17))
    moved, poorer = dice.choice((-6, -3, 4, 7, 12)), dice.uniform(0.6, 1.3)
    month = begins.replace(day=1)
    while month <= until:
        following = (month + timedelta(days=32)).replace(day=1)
        shifted = shift_on is not None and month >= shift_on
        day = min((payday + moved - 1) % 30 + 1 if shifted else payday, (following - month).days)
        late = 0 if dice.random() < punctual else dice.choice((1, 1, 2, 3, 5, 9))
        amount = int(instalment * much * dice.uniform(0.85, 1.15) * (poorer if shifted else 1))
        if dice.random() > 0.03:
            yield _midnight(month + timedelta(days=day - 1 + late)) + timedelta(hours=hour), amount
        month = following


def _salaried(
    dice: random.Random, begins: date, until: date, instalment: int, payday: int, shift_on: date | None
) -> Income:
    return _monthly(dice, begins, until, instalment, payday, shift_on, much=dice.uniform(1.5, 4.5))


def _distressed(
    dice: random.Random, begins: date, until: date, instalment: int, payday: int, shift_on: date | None
) -> Income:
    return _monthly(dice, begins, until, instalment, payday, shift_on, much=dice.uniform(0.7, 1.6))


def _now_and_then(
    dice: random.Random, begins: date, until: date, shift_on: date | None, *, every: float, paise: float
) -> Income:
    poorer = dice.uniform(0.6, 1.2)
    at = _midnight(begins) + timedelta(days=dice.uniform(0, every))
    while at.date() <= until:
        factor = poorer if shift_on is not None and at.date() >= shift_on else 1
        yield at.replace(minute=0, second=0, microsecond=0), int(paise * factor * dice.uniform(0.4, 1.6))
        at += timedelta(days=max(0.5, dice.expovariate(1 / every)))


def _self_employed(
    dice: random.Random, begins: date, until: date, instalment: int, _payday: int, shift_on: date | None
) -> Income:
    every = dice.uniform(6, 18)
    return _now_and_then(dice, begins, until, shift_on, every=every, paise=instalment * every / 30 * dice.uniform(3, 9))


def _gig(
    dice: random.Random, begins: date, until: date, instalment: int, _payday: int, shift_on: date | None
) -> Income:
    every = dice.choice((3, 7, 7, 10))
    return _now_and_then(dice, begins, until, shift_on, every=every, paise=instalment * every / 30 * dice.uniform(3, 9))


INCOMES: dict[str, Callable[[random.Random, date, date, int, int, date | None], Income]] = {
    "salaried": _salaried,
    "self-employed": _self_employed,
    "gig": _gig,
    "distressed": _distressed,
}
