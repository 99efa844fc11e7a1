"""When an account is likely to hold the money: a small Bayesian model whose every part can be named.

Money comes by one of two habits. A *payday* borrower gets it once a month, on a day of the month that we believe to be
the declared salary day or learn otherwise, sometimes some days late, and has spent it after some days. An *irregular*
one gets it at any time, so often a month, and keeps it some days. Each debit so far speaks for the habits under which
it is likely. What is believed then is a list of *futures*: sets of slots in which the money would be there, each with a
weight. The likelihood of a debit is the weight of the futures that hold its slot; once it fails, they are out, and what
is likely next follows from the others. Nothing about a person is used but how debits went, the segment and the salary
day.

Slots are thirds of a day (before 9:00, before 14:00, later; Asia/Kolkata), counted from day 1 of the calendar.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from itertools import product
from math import exp, log
from typing import NamedTuple

from domain.calendar import IST

MODEL = "habits-1"
"""Names the model in the events of its decisions; another table or another form is another name."""

SLOTS_A_DAY = 3
NOISE = 0.04
"""Share of debits that go against a habit that is right."""
FORGET = 0.85
"""Weight of what a debit says, for each month that it is old: paydays change."""
HORIZON_DAYS = 64
"""Futures look so far ahead of an instalment's due day."""


class Seen(NamedTuple):
    """What one debit told of the account: `slot`, which instalment, and whether the money was there."""

    slot: int
    cycle: int
    funded: bool


class Borrower(NamedTuple):
    """What is known of who pays: segment, and declared salary day (0 = none)."""

    segment: str = ""
    salary_day: int = 0


def slot_of(at: datetime) -> int:
    """The slot of an instant."""
    local = at.astimezone(IST)
    return slot_on(local.date(), local.hour)


def slot_on(day: date, hour: int) -> int:
    return day.toordinal() * SLOTS_A_DAY + (0 if hour < 9 else 1 if hour < 14 else 2)


# --- habits ------------------------------------------------------------------------------------------------------

PAYDAYS = tuple(range(1, 32))
LASTS = (1, 3, 6, 10, 16, 23, 30)
"""Days for which the money lasts after payday."""
LATE = ((0, 0.60), (1, 0.15), (2, 0.08), (3, 0.05), (5, 0.06), (9, 0.06))
"""By how many days income is late, with its share."""
ARRIVES = (0.55, 0.25, 0.20)
"""In which third of its day income comes."""

MONTHLY = tuple(product(PAYDAYS, LASTS))
OFTEN = (0.02, 0.06, 0.14, 0.35)
"""Chance that money comes on a day, where it has none..."""
KEPT = (2, 5, 12, 30)
"""... and for how many days it stays."""
IRREGULAR = tuple(product(OFTEN, KEPT))
GAPS = 16
"""Futures of an irregular habit are drawn as so many equally likely waits for money."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of a segment's borrower before any debit."""

    monthly: float
    """Probability of a payday habit."""
    lasts: tuple[float, ...]
    """Of each of `LASTS`."""
    declared: float
    """That the declared salary day is the payday; half as much again is spread over the days next to it."""
    often: tuple[float, ...]
    kept: tuple[float, ...]


PRIORS = {
    "salaried": Prior(0.90, (0.10, 0.15, 0.20, 0.20, 0.15, 0.10, 0.10), 0.55, (1, 1, 1, 1), (1, 1, 1, 1)),
    "self-employed": Prior(0.20, (0.15, 0.2, 0.2, 0.2, 0.1, 0.1, 0.05), 0.3, (1, 2, 2, 1), (1, 1, 1, 1)),
    "gig": Prior(0.15, (0.15, 0.2, 0.2, 0.2, 0.1, 0.1, 0.05), 0.3, (1, 1, 2, 2), (1, 1, 1, 1)),
    "distressed": Prior(0.70, (0.35, 0.25, 0.15, 0.10, 0.05, 0.05, 0.05), 0.5, (3, 1, 1, 1), (2, 1, 1, 1)),
}
UNKNOWN = Prior(0.55, (0.15, 0.2, 0.2, 0.15, 0.1, 0.1, 0.1), 0.5, (1, 1, 1, 1), (1, 1, 1, 1))
"""For a segment that no table knows."""


@cache
def prior_of(segment: str, salary_day: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Prior weights of `MONTHLY` and of `IRREGULAR`; all of them together are 1."""
    prior = PRIORS.get(segment, UNKNOWN)
    days = [1.0] * len(PAYDAYS)
    if salary_day:
        rest = 1 - prior.declared * 1.5
        days = [rest / len(PAYDAYS)] * len(PAYDAYS)
        days[salary_day - 1] += prior.declared
        for off in (-2, -1, 1, 2):
            days[(salary_day - 1 + off) % 31] += prior.declared / 8
    monthly = tuple(a * b for a, b in product(_shares(days), _shares(prior.lasts)))
    irregular = tuple(a * b for a, b in product(_shares(prior.often), _shares(prior.kept)))
    return tuple(prior.monthly * w for w in monthly), tuple((1 - prior.monthly) * w for w in irregular)


def _shares(weights: Sequence[float]) -> list[float]:
    whole = sum(weights)
    return [weight / whole for weight in weights]


# --- what debits say of habits -----------------------------------------------------------------------------------


@cache
def _present(since: int, third: int) -> tuple[float, ...]:
    """For each of `LASTS`: the chance that the money is there so many days and thirds after payday."""
    here = 0.0
    for late, share in LATE:
        if late < since:
            here += share
        elif late == since:
            here += share * sum(ARRIVES[: third + 1])
    return tuple(here if since < last else 0.0 for last in LASTS)


@lru_cache(4096)
def _days_since(day: int) -> tuple[int, ...]:
    """For each of `PAYDAYS`: days since it came last, seen from a day (an ordinal)."""
    on = date.fromordinal(day)
    this_month, last_month = _length(on.year, on.month), _length(*_month_before(on))
    return tuple(
        on.day - min(payday, this_month)
        if on.day >= min(payday, this_month)
        else on.day + last_month - min(payday, last_month)
        for payday in PAYDAYS
    )


def _month_before(on: date) -> tuple[int, int]:
    return (on.year, on.month - 1) if on.month > 1 else (on.year - 1, 12)


def _length(year: int, month: int) -> int:
    return (date(year + month // 12, month % 12 + 1, 1) - date(year, month, 1)).days


@lru_cache(16384)
def _says(slot: int, funded: bool) -> tuple[float, ...]:
    """For each of `MONTHLY`: the log of how likely this debit's outcome is under it."""
    day, third = divmod(slot, SLOTS_A_DAY)
    return tuple(
        log(NOISE + (1 - 2 * NOISE) * (here if funded else 1 - here))
        for since in _days_since(day)
        for here in _present(since, third)
    )


def _says_irregular(habit: tuple[float, int], seen: Seen, before: Seen | None) -> float:
    """The log of how likely a debit's outcome is under an irregular habit, given the one before it."""
    often, kept = habit
    share = often * kept / (1 + often * kept)
    here = share
    if before is not None:
        gap = (seen.slot - before.slot) / SLOTS_A_DAY
        here += ((1.0 if before.funded else 0.0) - share) * exp(-gap * (often + 1 / kept))
    return log(NOISE + (1 - 2 * NOISE) * (here if seen.funded else 1 - here))


@dataclass(frozen=True, slots=True)
class Belief:
    """How much each habit is believed: weights of `MONTHLY` and `IRREGULAR`, 1 in all."""

    monthly: tuple[float, ...]
    irregular: tuple[float, ...]

    def payday(self) -> tuple[int, float]:
        """The likeliest payday, and how sure it is among paydays."""
        whole = sum(self.monthly) or 1.0
        width = len(LASTS)
        days = [sum(self.monthly[at : at + width]) / whole for at in range(0, len(self.monthly), width)]
        surest = max(range(len(days)), key=days.__getitem__)
        return PAYDAYS[surest], days[surest]

    @property
    def regular(self) -> float:
        """How much a payday habit is believed."""
        return sum(self.monthly)


def believe(borrower: Borrower, past: Iterable[Seen], now: int) -> Belief:
    """From the prior and the debits so far, older ones counting less; `now` is a slot."""
    monthly_prior, irregular_prior = prior_of(borrower.segment, borrower.salary_day)
    monthly = list(map(log, monthly_prior))
    irregular = list(map(log, irregular_prior))
    before: Seen | None = None
    for seen in past:
        weight = FORGET ** ((now - seen.slot) / (30 * SLOTS_A_DAY))
        monthly = [a + weight * b for a, b in zip(monthly, _says(seen.slot, seen.funded), strict=True)]
        irregular = [
            a + weight * _says_irregular(habit, seen, before) for a, habit in zip(irregular, IRREGULAR, strict=True)
        ]
        before = seen
    top = max(*monthly, *irregular)
    monthly = [exp(a - top) for a in monthly]
    irregular = [exp(a - top) for a in irregular]
    whole = sum(monthly) + sum(irregular)
    return Belief(tuple(a / whole for a in monthly), tuple(a / whole for a in irregular))


def funded(belief: Belief, before: Seen | None, slot: int) -> float:
    """That the money is there in a slot, whatever else that month brings; `before` is the last debit."""
    day, third = divmod(slot, SLOTS_A_DAY)
    monthly = [here for since in _days_since(day) for here in _present(since, third)]
    asked = Seen(slot, 0, funded=True)
    whole = sum(weight * (NOISE + (1 - 2 * NOISE) * here) for weight, here in zip(belief.monthly, monthly, strict=True))
    return whole + sum(
        weight * exp(_says_irregular(habit, asked, before))
        for weight, habit in zip(belief.irregular, IRREGULAR, strict=True)
    )


# --- futures -----------------------------------------------------------------------------------------------------

Futures = dict[int, float]
"""Bits of slots since the due day in which the money is there -> weight."""

LEAST = 0.002
"""Habits that are believed less than this are left out of the futures."""


def futures_of(belief: Belief, due_day: int) -> Futures:
    """What the habits say of the slots from an instalment's due day (an ordinal) on; of an irregular one, both with and
    without money on the day itself."""
    found: Futures = {}
    comes = _comes(due_day)
    for (payday, lasts), weight in zip(MONTHLY, belief.monthly, strict=True):
        if weight >= LEAST:
            for mask, share in _paydays(comes[payday - 1], lasts):
                found[mask] = found.get(mask, 0.0) + weight * share
    for habit, weight in zip(IRREGULAR, belief.irregular, strict=True):
        if weight >= LEAST:
            often, kept = habit
            held = often * kept / (1 + often * kept)
            now = _span(0, max(1, kept // 2) * SLOTS_A_DAY)
            found[now] = found.get(now, 0.0) + weight * held
            for mask, share in _waits(*habit):
                found[mask] = found.get(mask, 0.0) + weight * share * (1 - held)
    return found


def _span(begin: int, end: int) -> int:
    """Bits from a slot up to (not including) another; what is before the due day is cut off."""
    begin, end = max(0, begin), min(max(0, end), HORIZON_DAYS * SLOTS_A_DAY)
    return ((1 << (end - begin)) - 1) << begin if end > begin else 0


@lru_cache(1024)
def _comes(due_day: int) -> tuple[tuple[int, ...], ...]:
    """For each of `PAYDAYS`: the days, counted from a due day, on which it comes until the horizon; the first is the
    last one that is not after the due day."""
    month = date.fromordinal(due_day).replace(day=1)
    months = [month]
    while months[-1].toordinal() < due_day + HORIZON_DAYS:
        months.append(_next_month(months[-1]))
    return tuple(
        (-since, *(day for first in months if (day := _payday_in(first, payday) - due_day) > 0))
        for payday, since in zip(PAYDAYS, _days_since(due_day), strict=True)
    )


def _payday_in(first: date, payday: int) -> int:
    return first.toordinal() + min(payday, _length(first.year, first.month)) - 1


def _next_month(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)


@cache
def _paydays(comes: tuple[int, ...], lasts: int) -> tuple[tuple[int, float], ...]:
    """Futures of a payday habit: income comes late by as much, in that third of the day, each time."""
    found: Futures = {}
    for late, share in LATE:
        for third, arrives in enumerate(ARRIVES):
            mask = 0
            for on in comes:
                mask |= _span((on + late) * SLOTS_A_DAY + third, (on + lasts) * SLOTS_A_DAY)
            found[mask] = found.get(mask, 0.0) + share * arrives
    return tuple(found.items())


@cache
def _waits(often: float, kept: int) -> tuple[tuple[int, float], ...]:
    """Futures of an irregular habit in which there is no money on the due day: equally likely waits for it."""
    found: list[tuple[int, float]] = []
    for step in range(GAPS):
        wait = -log(1 - (step + 0.5) / GAPS) / often
        mask, at = 0, wait
        while at < HORIZON_DAYS:
            begins = round(at * SLOTS_A_DAY) + 1
            mask |= _span(begins, begins + kept * SLOTS_A_DAY)
            at += kept + 1 / often
        found.append((mask, 1 / GAPS))
    return tuple(found)


def without(futures: Futures, slot: int) -> Futures:
    """The futures after a debit in a slot (since the due day) found no money."""
    bit = 1 << slot
    return {mask: weight * (NOISE if mask & bit else 1 - NOISE) for mask, weight in futures.items()}


def likelihood(futures: Futures, slot: int) -> float:
    """That a debit in a slot (since the due day) finds the money."""
    bit = 1 << slot
    whole = here = 0.0
    for mask, weight in futures.items():
        whole += weight
        if mask & bit:
            here += weight
    return NOISE / 2 + (1 - NOISE) * here / whole if whole else 0.0
