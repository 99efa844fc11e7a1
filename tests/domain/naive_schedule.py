"""A second, slow and obvious calculator: exact fractions, days counted one by one, nothing shared with Qist.

It is written from the words of the servicing rules, not from the code that it checks. It mends nothing: where
rounding leaves no proper last row, Qist says so in the schedule's notes, and there is nothing to compare.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Any, NamedTuple

NAMED = {
    "daily": (1, "days"),
    "weekly": (1, "weeks"),
    "fortnightly": (2, "weeks"),
    "monthly": (1, "months"),
    "quarterly": (3, "months"),
    "half-yearly": (6, "months"),
    "yearly": (12, "months"),
}
ONE_DAY = timedelta(days=1)


class NaiveRow(NamedTuple):
    """What is compared of a row."""

    number: int
    due_on: str
    days: int
    principal_paise: int
    interest_paise: int


@dataclass
class Naive:
    """The rows, and the interest and fees that are in none of them."""

    rows: list[NaiveRow] = field(default_factory=list)
    capitalised: int = 0
    deducted: int = 0
    net: int = 0


class Piece(NamedTuple):
    """Days after `start`, up to and with `end`, that are together `year` of a year."""

    start: date
    end: date
    year: Fraction


class Period(NamedTuple):
    """A row's days as they bear interest, and as its instalment is computed on them."""

    number: int
    start: date
    due: date
    borne: list[Piece]
    regular: list[Piece]


def naive_schedule(given: dict[str, Any]) -> Naive:
    """The rows that the rules give, computed the long way; every default as the contract names it."""
    terms = {**DEFAULTS, **given}
    lent = terms["principal_paise"] + fees(terms, "added_to_principal")
    made = Naive(net=terms["principal_paise"] - fees(terms, "deducted"))
    before, periods = lay_out(terms)
    if before and terms["broken_period"] == "deduct":
        made.deducted = to_paisa(interest(terms, before.borne, lent, before), terms)
        made.net -= made.deducted
    if before and terms["broken_period"] == "separate":
        due = to_paisa(interest(terms, before.borne, lent, before), terms)
        lent += sum(t["amount_paise"] for t in tranches_of(terms, before))
        made.rows.append(NaiveRow(0, before.due.isoformat(), (before.due - before.start).days, 0, due))
    repay = flat if terms["interest_method"] in ("flat", "rule_of_78") else as_given if terms["rows"] else on_balance
    for period, (principal, due) in zip(periods, repay(terms, periods, lent, made), strict=False):
        made.rows.append(
            NaiveRow(period.number, period.due.isoformat(), (period.due - period.start).days, principal, due)
        )
    return made


DEFAULTS: dict[str, Any] = {
    "frequency": "monthly",
    "interest_method": "reducing",
    "day_count": "30/360",
    "due_day": None,
    "schedule_starts_on": None,
    "month_end": "last_day",
    "instalment_fixed": False,
    "instalment_rounding_paise": 100,
    "instalment_rounding_mode": "up",
    "amount_rounding_paise": 1,
    "rounding_mode": "half_up",
    "level_last_instalment": False,
    "broken_period": "add_to_first",
    "moratorium_instalments": 0,
    "moratorium_interest": "pay",
    "moratorium_extends_tenure": False,
    "moratorium_collected": "evenly",
    "tranches": [],
    "rate_changes": [],
    "fees": [],
    "rows": [],
}


def fees(terms: dict[str, Any], way: str) -> int:
    """Rule 9: the fees of one way, each with its GST to the nearest paisa."""
    total = 0
    for fee in terms["fees"]:
        if fee.get(way):
            gst = fee["amount_paise"] * Fraction(fee.get("gst_percent", "18")) / 100
            total += fee["amount_paise"] + to_multiple(gst, 1, "half_up")
    return total


# --- Due dates (rule 4) -----------------------------------------------------------------------------------


def step(terms: dict[str, Any]) -> tuple[int, str]:
    """How far apart due dates are."""
    named = terms["frequency"]
    return NAMED[named] if isinstance(named, str) else (named["every"], named["unit"])


def in_month(month: int, day: int, month_end: str) -> date:
    """That day of a month counted from year 0; where there is none, the last, or the first of the next."""
    year, index = divmod(month, 12)
    last = calendar.monthrange(year, index + 1)[1]
    if day <= last:
        return date(year, index + 1, day)
    end = date(year, index + 1, last)
    return end if month_end == "last_day" else end + ONE_DAY


def due_date(terms: dict[str, Any]) -> Callable[[int], date]:
    """The date of the k-th row; 0 and less go back before the first."""
    every, unit = step(terms)
    first = day_of(terms["first_due_on"])
    if unit != "months":
        return lambda k: first + (k - 1) * every * (ONE_DAY if unit == "days" else 7 * ONE_DAY)
    start = day_of(terms["schedule_starts_on"] or terms["disburse_on"])
    month, day = meant_day(first, start, every, terms["due_day"], terms["month_end"])
    return lambda k: in_month(month + (k - 1) * every, day, terms["month_end"])


def meant_day(first: date, start: date, every: int, stated: int | None, month_end: str) -> tuple[int, int]:
    """The month and day of month that the first due date means."""
    of_start = start.year * 12 + start.month - 1 + every
    if stated is None and start.day > 28 and in_month(of_start, start.day, month_end) == first:
        return of_start, start.day
    month, day = first.year * 12 + first.month - 1, stated or first.day
    return (month, day) if in_month(month, day, month_end) == first else (month - 1, day)


def day_of(text: str) -> date:
    return date.fromisoformat(text)


# --- Periods and what they are of a year (rules 2, 3 and 7) -------------------------------------------------


def lay_out(terms: dict[str, Any]) -> tuple[Period | None, list[Period]]:
    """The broken period that stands apart, if any, and the rows' periods."""
    if terms["rows"]:
        return None, list(given_periods(terms))
    due = due_date(terms)
    count = terms["instalments"]
    if terms["moratorium_extends_tenure"]:
        count += terms["moratorium_instalments"]
    if terms["instalment_fixed"]:
        count = 3000
    before, first = first_periods(terms, due)
    periods = [first]
    for k in range(2, count + 1):
        piece = Piece(due(k - 1), due(k), regular_year(terms, due(k - 1), due(k)))
        periods.append(Period(k, due(k - 1), due(k), [piece], [piece]))
    if terms["interest_method"] == "bullet":
        pieces = [piece for period in periods for piece in period.borne]
        every = [piece for period in periods for piece in period.regular]
        periods = [Period(1, periods[0].start, periods[-1].due, pieces, every)]
    return before, periods


def given_periods(terms: dict[str, Any]) -> Iterator[Period]:
    start = day_of(terms["disburse_on"])
    for number, row in enumerate(terms["rows"], 1):
        end = day_of(row["due_on"])
        due = due_date({**terms, "first_due_on": row["due_on"], "disburse_on": start.isoformat()})
        year = regular_year(terms, start, end) if due(0) == start else year_by_dates(terms, due, start, end)
        yield Period(number, start, end, [Piece(start, end, year)], [Piece(start, end, year)])
        start = end


def first_periods(terms: dict[str, Any], due: Callable[[int], date]) -> tuple[Period | None, Period]:
    paid_out, end = day_of(terms["disburse_on"]), due(1)
    start = day_of(terms["schedule_starts_on"]) if terms["schedule_starts_on"] else due(0)
    regular_is = regular_year(terms, start, end) if start == due(0) else year_by_dates(terms, due, start, end)
    regular = Piece(start, end, regular_is)
    if start == paid_out:
        return None, Period(1, start, end, [regular], [regular])
    if terms["schedule_starts_on"]:
        out = regular_is * Fraction((end - paid_out).days, (end - start).days)
    else:
        out = year_by_dates(terms, due, paid_out, end)
    whole = Piece(paid_out, end, out)
    if terms["broken_period"] == "spread":
        return None, Period(1, paid_out, end, [whole], [whole])
    if start < paid_out:
        return None, Period(1, paid_out, end, [whole], [regular])
    if terms["schedule_starts_on"] or terms["day_count"] == "period":
        extra = Piece(paid_out, start, out - regular_is)
    else:
        extra = Piece(paid_out, start, year_by_dates(terms, due, paid_out, start))
    if terms["broken_period"] == "add_to_first":
        return None, Period(1, paid_out, end, [extra, regular], [regular])
    return Period(0, paid_out, start, [extra], [extra]), Period(1, start, end, [regular], [regular])


def regular_year(terms: dict[str, Any], start: date, end: date) -> Fraction:
    """A regular period's part of a year."""
    every, unit = step(terms)
    if terms["day_count"] == "30/360":
        return Fraction(every * {"days": 1, "weeks": 7, "months": 30}[unit], 360)
    if terms["day_count"] == "period":
        return Fraction(every, {"days": 365, "weeks": 52, "months": 12}[unit])
    return by_dates(terms["day_count"], start, end)


def year_by_dates(terms: dict[str, Any], due: Callable[[int], date], start: date, end: date) -> Fraction:
    """An odd period's part of a year; under `period`, in periods counted back from its end."""
    if terms["day_count"] != "period":
        return by_dates(terms["day_count"], start, end)
    k, whole = 0, 0
    while due(k) >= start:
        k, whole = k - 1, whole + 1
    every, unit = step(terms)
    rest = Fraction((due(k + 1) - start).days, (due(k + 1) - due(k)).days)
    return (whole + rest) * Fraction(every, {"days": 365, "weeks": 52, "months": 12}[unit])


def by_dates(day_count: str, start: date, end: date) -> Fraction:
    """A part of a year by dates: every day after `start` up to and with `end`, one at a time."""
    if day_count in ("30/360", "30E/360"):
        d1 = min(start.day, 30)
        d2 = 30 if end.day == 31 and (d1 == 30 or day_count == "30E/360") else end.day
        return Fraction(360 * (end.year - start.year) + 30 * (end.month - start.month) + d2 - d1, 360)
    total: dict[int, int] = {}
    day = start
    while day < end:
        day += ONE_DAY
        length = 365 + calendar.isleap(day.year) if day_count == "ACT/ACT" else int(day_count.removeprefix("ACT/"))
        total[length] = total.get(length, 0) + 1
    return sum((Fraction(days, length) for length, days in total.items()), Fraction(0))


# --- Interest ---------------------------------------------------------------------------------------------


def rate_on(terms: dict[str, Any], day: date, told_by: date | None = None) -> Fraction:
    """The rate of that day; one that changes `from` a day holds for the days after it."""
    rate = terms["annual_rate_percent"]
    for change in terms["rate_changes"]:
        since = day_of(change["from"])
        if since < day and (told_by is None or since < told_by):
            rate = change["annual_rate_percent"]
    return Fraction(rate) / 100


def factor(terms: dict[str, Any], pieces: Sequence[Piece], since: date | None = None, told_by: Any = None) -> Fraction:
    """Interest on one paisa that is out after `since`: each day of a piece is an even share of it."""
    total = Fraction(0)
    for piece in pieces:
        out: dict[Fraction, int] = {}
        day = piece.start
        while day < piece.end:
            day += ONE_DAY
            if since is None or day > since:
                rate = rate_on(terms, day, told_by)
                out[rate] = out.get(rate, 0) + 1
        length = (piece.end - piece.start).days
        total += sum((piece.year * rate * days / length for rate, days in out.items()), Fraction(0))
    return total


def tranches_of(terms: dict[str, Any], period: Period) -> list[dict[str, Any]]:
    return [t for t in terms["tranches"] if period.start <= day_of(t["on"]) < period.due]


def interest(terms: dict[str, Any], pieces: Sequence[Piece], balance: int, period: Period) -> Fraction:
    """Exact interest of a row, on what was out before it and on what is paid out within it."""
    total = balance * factor(terms, pieces)
    for tranche in tranches_of(terms, period):
        total += tranche["amount_paise"] * factor(terms, pieces, since=day_of(tranche["on"]))
    return total


# --- Repaying (rules 5, 6 and 8) ----------------------------------------------------------------------------


def on_balance(terms: dict[str, Any], periods: list[Period], lent: int, made: Naive) -> list[tuple[int, int]]:
    """Methods whose interest is on the balance: hold, then repay, with the instalment anew after each change."""
    balance, held = lent, terms["moratorium_instalments"]
    rows: list[tuple[int, int]] = []
    owed: list[int] = []
    for period in periods[:held]:
        owed.append(to_paisa(interest(terms, period.borne, balance, period), terms))
        balance += sum(t["amount_paise"] for t in tranches_of(terms, period))
        rows.append((0, owed[-1] if terms["moratorium_interest"] == "pay" else 0))
    if terms["moratorium_interest"] == "capitalise":
        made.capitalised = sum(owed)
        balance += sum(owed)
    rest = periods[held:]
    amounts: list[int] = []
    for k, period in enumerate(rest):
        exact = interest(terms, period.borne, balance, period)
        instalment_on = interest(terms, period.regular, balance, period)
        balance += sum(t["amount_paise"] for t in tranches_of(terms, period))
        if k == 0 or tranches_of(terms, period) or any(within(period, c["from"]) for c in terms["rate_changes"]):
            later = [factor(terms, p.borne, told_by=period.due) for p in rest[k + 1 :]]
            amounts[k:] = METHODS[terms["interest_method"]](terms, balance, instalment_on, later, k)
        principal = amounts[k] - to_paisa(instalment_on, terms)
        if terms["interest_method"] in ("equal_principal", "interest_only", "bullet"):
            principal = amounts[k]
        if k == len(rest) - 1 or (terms["instalment_fixed"] and principal > balance):
            principal = balance
        rows.append((principal, to_paisa(exact, terms)))
        balance -= principal
        if not balance:
            break
    return with_accrued(terms, rows, sum(owed))


def within(period: Period, day: str) -> bool:
    return period.start <= day_of(day) < period.due


def with_accrued(terms: dict[str, Any], rows: list[tuple[int, int]], owed: int) -> list[tuple[int, int]]:
    """Rule 8: what was accrued is collected evenly over the rest, or with the first row after."""
    held = terms["moratorium_instalments"]
    if terms["moratorium_interest"] != "accrue" or not held:
        return rows
    count = len(rows) - held if terms["moratorium_collected"] == "evenly" else 1
    for k in range(count):
        principal, due = rows[held + k]
        rows[held + k] = (principal, due + owed // count + (k < owed % count))
    return rows


def annuity(interest_first: Fraction, factors: list[Fraction], weights: list[Fraction], owed: Fraction) -> Fraction:
    """Rule 5: E = P prod(1 + f) / sum_k w_k prod_{i > k}(1 + f), the first row's interest already known."""
    grown, below, product = owed + interest_first, weights[-1], Fraction(1)
    for factor_, weight in zip(reversed(factors), reversed(weights[:-1]), strict=True):
        product *= 1 + factor_
        below += weight * product
    return grown * product / below


def reducing(terms: dict[str, Any], balance: int, first: Fraction, later: list[Fraction], done: int) -> list[int]:
    """Instalments of equal weight, or of steps; a balloon is discounted from what they repay."""
    if terms["instalment_fixed"]:
        return [terms["instalment_paise"]] * (1 + len(later))
    balloon = terms["balloon_paise"] if terms["interest_method"] == "balloon" and later else 0
    factors = later[:-1] if balloon else later
    weights = [weight(terms, done + k) for k in range(1 + len(factors))]
    owed = Fraction(balance)
    if balloon:
        discount = Fraction(1)
        for factor_ in factors:
            discount *= 1 + factor_
        owed -= balloon / discount
    exact = annuity(first, factors, weights, owed)
    amounts = [to_instalment(exact * w, terms) for w in weights]
    if terms["level_last_instalment"] and terms["interest_method"] == "reducing":
        amounts = levelled(terms, balance, first, factors, amounts)
    if balloon:
        # The row before the last leaves the balloon; the last repays it.
        amounts[-1] = left(terms, balance - balloon, balance, first, factors, amounts)
        amounts.append(0)
    return amounts


def weight(terms: dict[str, Any], row: int) -> Fraction:
    """Rule 6: what the instalment is of the first one."""
    if terms["interest_method"] not in ("step_up", "step_down"):
        return Fraction(1)
    percent = Fraction(terms["step_percent"]) / 100
    change = 1 + percent if terms["interest_method"] == "step_up" else 1 - percent
    return change ** (row // terms["step_every"])


def left(
    terms: dict[str, Any], to_repay: int, balance: int, first: Fraction, later: list[Fraction], amounts: list[int]
) -> int:
    """What the last row has to be for `to_repay` to be repaid by then."""
    exact = first
    repaid = 0
    for amount, factor_ in zip(amounts, later, strict=False):
        repaid += amount - to_paisa(exact, terms)
        exact = (balance - repaid) * factor_
    return to_repay - repaid + to_paisa(exact, terms)


def levelled(
    terms: dict[str, Any], balance: int, first: Fraction, later: list[Fraction], amounts: list[int]
) -> list[int]:
    """Rule 5: corrected once by the difference / n where it is more than half a paisa per row."""
    off = left(terms, balance, balance, first, later, amounts) - amounts[0]
    if not later or abs(off) <= Fraction(len(amounts), 2):
        return amounts
    unit = terms["instalment_rounding_paise"]
    better = [amounts[0] + to_multiple(Fraction(off, len(amounts)), unit, terms["rounding_mode"])] * len(amounts)
    then = left(terms, balance, balance, first, later, better) - better[0]
    return better if abs(then) < abs(off) else amounts


def equal_principal(terms: dict[str, Any], balance: int, first: Any, later: list[Fraction], done: int) -> list[int]:
    """Rule 6: principal / n each."""
    return [to_paisa(Fraction(balance, 1 + len(later)), terms)] * (1 + len(later))


def at_the_end(terms: dict[str, Any], balance: int, first: Any, later: list[Fraction], done: int) -> list[int]:
    """Rule 6: nothing before the last row."""
    return [0] * (1 + len(later))


METHODS: dict[str, Any] = {
    "reducing": reducing,
    "step_up": reducing,
    "step_down": reducing,
    "balloon": reducing,
    "equal_principal": equal_principal,
    "interest_only": at_the_end,
    "bullet": at_the_end,
}


def flat(terms: dict[str, Any], periods: list[Period], lent: int, made: Naive) -> list[tuple[int, int]]:
    """Rule 6: interest on the original principal for the whole term, evenly or by the sum of digits."""
    if terms["rows"]:
        return as_given(terms, periods, lent, made)
    count, held = len(periods), terms["moratorium_instalments"]
    total = lent * sum(factor(terms, p.regular) for p in periods)
    digits = [count - k if terms["interest_method"] == "rule_of_78" else 1 for k in range(count)]
    due = [to_paisa(total * digit / sum(digits), terms) for digit in digits[:-1]]
    due.append(to_paisa(total, terms) - sum(due))
    broken = to_paisa(lent * (factor(terms, periods[0].borne) - factor(terms, periods[0].regular)), terms)
    rest = due[held:]
    if held:
        due[0] = max(due[0] + broken, 0)
    owed = sum(due[:held])
    if terms["moratorium_interest"] == "capitalise":
        made.capitalised = owed
    balance = lent + made.capitalised
    instalment = to_instalment(Fraction(balance + sum(rest), len(rest)), terms)
    rows = [(0, d if terms["moratorium_interest"] == "pay" else 0) for d in due[:held]]
    for k, interest_due in enumerate(rest):
        principal = balance if k == len(rest) - 1 else instalment - interest_due
        rows.append((principal, interest_due if held or k else max(interest_due + broken, 0)))
        balance -= principal
    return with_accrued(terms, rows, owed)


def as_given(terms: dict[str, Any], periods: list[Period], lent: int, made: Naive) -> list[tuple[int, int]]:
    """Rows of the lender's own; interest that is not given is by days on the balance."""
    rows: list[tuple[int, int]] = []
    for row, period in zip(terms["rows"], periods, strict=True):
        by_days = to_paisa(interest(terms, period.borne, lent, period), terms)
        lent += sum(t["amount_paise"] for t in tranches_of(terms, period)) - row["principal_paise"]
        rows.append((row["principal_paise"], row.get("interest_paise", by_days)))
    return rows


# --- Rounding (rule 1) --------------------------------------------------------------------------------------


def to_paisa(amount: Fraction, terms: dict[str, Any]) -> int:
    """An amount that becomes due."""
    return to_multiple(amount, terms["amount_rounding_paise"], terms["rounding_mode"])


def to_instalment(amount: Fraction, terms: dict[str, Any]) -> int:
    """An instalment, to its own unit."""
    nearest = terms["instalment_rounding_mode"] == "nearest"
    return to_multiple(amount, terms["instalment_rounding_paise"], terms["rounding_mode"] if nearest else "up")


def to_multiple(amount: Fraction, unit: int, mode: str) -> int:
    """Nearest by comparing with the middle, away from zero where it goes up; Python's `round` is half-even."""
    units = abs(Fraction(amount)) / unit
    below = units.numerator // units.denominator
    middle = units - below
    goes_up = middle > 0 if mode == "up" else middle >= Fraction(1, 2)
    rounded = round(units) if mode == "half_even" else below + goes_up
    return rounded * unit * (1 if amount >= 0 else -1)
