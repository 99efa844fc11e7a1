"""A second, slow and obvious calculator: exact fractions, days counted one by one, nothing shared with Qist.

It knows reducing, flat and equal_principal on regular or broken first periods, and none of the mending of
rounding; it works from the words of the servicing rules, not from the code that it checks.
"""

from __future__ import annotations

import calendar
from datetime import date, timedelta
from fractions import Fraction
from typing import Any, NamedTuple

MONTHS = {"monthly": 1, "quarterly": 3, "half-yearly": 6, "yearly": 12}


class NaiveRow(NamedTuple):
    """What is compared of a row."""

    number: int
    due_on: str
    principal_paise: int
    interest_paise: int


def naive_schedule(terms: dict[str, Any]) -> list[NaiveRow]:
    """The rows that the rules give, computed the long way."""
    start, first = date.fromisoformat(terms["disburse_on"]), date.fromisoformat(terms["first_due_on"])
    count, months = terms["instalments"], MONTHS[terms["frequency"]]
    dues = [month_later(first, months * k, first.day) for k in range(count)]
    begin = month_later(first, -months, first.day)
    starts = [begin, *dues[:-1]]
    regular = [regular_year(terms["day_count"], months, a, b) for a, b in zip(starts, dues, strict=True)]
    broken = odd_year(terms["day_count"], start, begin) if start < begin else Fraction(0)
    rate = Fraction(terms["annual_rate_percent"]) / 100
    if terms["broken_period"] == "spread" and start < begin:
        regular[0], broken = odd_year(terms["day_count"], start, first), Fraction(0)
    factors = [rate * part for part in regular]
    paid = METHODS[terms["interest_method"]](terms, factors)
    rows = [NaiveRow(n, day.isoformat(), *both) for n, (day, both) in enumerate(zip(dues, paid, strict=True), 1)]
    extra = terms["principal_paise"] * rate * broken
    if start < begin and terms["broken_period"] == "separate":
        return [NaiveRow(0, begin.isoformat(), 0, to_paisa(extra, terms)), *rows]
    if terms["broken_period"] == "add_to_first" and broken:
        if terms["interest_method"] == "flat":
            interest = rows[0].interest_paise + to_paisa(extra, terms)
        else:
            interest = to_paisa(terms["principal_paise"] * factors[0] + extra, terms)
        rows[0] = rows[0]._replace(interest_paise=interest)
    return rows


def reducing(terms: dict[str, Any], factors: list[Fraction]) -> list[tuple[int, int]]:
    """Rule 5, by its formula."""
    grown, below = Fraction(terms["principal_paise"]), Fraction(0)
    for factor in factors:
        grown *= 1 + factor
    for k in range(len(factors)):
        product = Fraction(1)
        for factor in factors[k + 1 :]:
            product *= 1 + factor
        below += product
    instalment = to_instalment(grown / below, terms)
    balance, rows = terms["principal_paise"], []
    for k, factor in enumerate(factors):
        interest = to_paisa(balance * factor, terms)
        principal = balance if k == len(factors) - 1 else instalment - interest
        rows.append((principal, interest))
        balance -= principal
    return rows


def flat(terms: dict[str, Any], factors: list[Fraction]) -> list[tuple[int, int]]:
    """Rule 6: interest on the original principal for the whole term, spread evenly."""
    count, principal = len(factors), terms["principal_paise"]
    whole = to_paisa(principal * sum(factors), terms)
    even = to_paisa(principal * sum(factors) / count, terms)
    instalment = to_instalment(Fraction(principal + whole, count), terms)
    rows = [(instalment - even, even)] * (count - 1)
    return [*rows, (principal - sum(p for p, _ in rows), whole - even * (count - 1))]


def equal_principal(terms: dict[str, Any], factors: list[Fraction]) -> list[tuple[int, int]]:
    """Rule 6: principal / n each, interest on the balance."""
    balance = terms["principal_paise"]
    part = to_paisa(Fraction(balance, len(factors)), terms)
    rows = []
    for k, factor in enumerate(factors):
        principal = balance if k == len(factors) - 1 else part
        rows.append((principal, to_paisa(balance * factor, terms)))
        balance -= principal
    return rows


METHODS = {"reducing": reducing, "flat": flat, "equal_principal": equal_principal}


def month_later(day: date, months: int, due_day: int) -> date:
    """Step month by month; a day that the month lacks is its last."""
    year, month = day.year, day.month
    for _ in range(abs(months)):
        month += 1 if months > 0 else -1
        if month == 13:
            year, month = year + 1, 1
        if month == 0:
            year, month = year - 1, 12
    return date(year, month, min(due_day, calendar.monthrange(year, month)[1]))


def regular_year(day_count: str, months: int, start: date, end: date) -> Fraction:
    """A regular period's part of a year."""
    if day_count in ("30/360", "period"):
        return Fraction(months, 12)
    return odd_year(day_count, start, end)


def odd_year(day_count: str, start: date, end: date) -> Fraction:
    """A part of a year by dates: every day after `start` up to and with `end`, one at a time."""
    if day_count == "30/360":
        d1 = 30 if start.day == 31 else start.day
        d2 = 30 if end.day == 31 and d1 == 30 else end.day
        return Fraction(360 * (end.year - start.year) + 30 * (end.month - start.month) + d2 - d1, 360)
    total, day = Fraction(0), start
    while day < end:
        day += timedelta(days=1)
        leap = calendar.isleap(day.year)
        total += {"ACT/365": Fraction(1, 365), "ACT/360": Fraction(1, 360), "ACT/ACT": Fraction(1, 365 + leap)}[
            day_count
        ]
    return total


def to_paisa(amount: Fraction, terms: dict[str, Any]) -> int:
    """An amount that becomes due."""
    return to_multiple(amount, 1, terms["rounding_mode"])


def to_instalment(amount: Fraction, terms: dict[str, Any]) -> int:
    """An instalment, to its own unit."""
    nearest = terms["instalment_rounding_mode"] == "nearest"
    return to_multiple(amount, terms["instalment_rounding_paise"], terms["rounding_mode"] if nearest else "up")


def to_multiple(amount: Fraction, unit: int, mode: str) -> int:
    """Nearest by comparing with the middle; Python's own `round` is half-even."""
    units = amount / unit
    below = units.numerator // units.denominator
    if mode == "half_even":
        return round(units) * unit
    middle = units - below
    goes_up = middle > 0 if mode == "up" else middle >= Fraction(1, 2)
    return (below + goes_up) * unit
