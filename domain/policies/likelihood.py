"""When an account is likely to hold the money: a small Bayesian model whose every part can be named.

Money comes by one of three habits. A *payday* borrower gets it once a month, on a day that we believe to be the
declared salary day or learn otherwise, sometimes some days late, and has spent it after some days. A *periodic* one
gets it on a weekday, every week or every other one. An *irregular* one gets it at any time, so often a month, and keeps
it some days. Each debit so far speaks for the habits under which it is likely; as time passes a few habits give way to
others, so that what was learnt long ago counts less and a payday that moves is found again. What is believed then is a
list of *futures*: sets of slots in which the money would be there, each with a weight. The likelihood of a debit is the
weight of the futures that hold its slot; once it fails, they are out, and what is likely next follows from the others.
Nothing about a person is used but how debits went, the segment and the salary day.

Slots are thirds of a day (before 9:00, before 14:00, later; Asia/Kolkata), counted from day 1 of the calendar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from itertools import product
from math import exp, log
from operator import itemgetter, mul
from typing import NamedTuple, TypeVar

from domain.calendar import IST

MODEL = "habits-2"
"""Names the model in the events of its decisions; another table or another form is another name."""

SLOTS_A_DAY = 3
NOISE = 0.04
"""Share of debits that go against a habit that is right."""


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
"""Days for which the money lasts once it came."""
LATE = ((0, 0.62), (1, 0.15), (2, 0.08), (4, 0.09), (8, 0.06))
"""By how many days monthly income is late, with its share."""
ARRIVES = (0.55, 0.25, 0.20)
"""In which third of its day income comes; late income comes in the middle one."""

PERIODS = (7, 14)
"""Days from one income to the next, where it keeps to a weekday."""
PERIODIC_LASTS = (1, 2, 4, 7)
COMES = 0.8
"""Share of such incomes that come, and cover what is asked."""

OFTEN = (0.02, 0.06, 0.14, 0.35)
"""Chance that money comes on a day, where it has none..."""
KEPT = (2, 5, 12, 30)
"""... and for how many days it stays."""
WAITS = 16
"""Futures of an irregular habit are drawn as so many equally likely waits for money."""

MONTHLY = tuple(product(PAYDAYS, LASTS))
PERIODIC = tuple((period, phase, lasts) for period in PERIODS for phase in range(period) for lasts in PERIODIC_LASTS)
IRREGULAR = tuple(product(OFTEN, KEPT))
_MONTHLY_END = len(MONTHLY)
_REGULAR_END = _MONTHLY_END + len(PERIODIC)

CHANGES = 0.08
"""Chance that, within a month, a habit gives way to any other that the segment may have."""
VARIES = 0.15
"""Chance that, within a month, money comes to last a step of `LASTS` longer; as much again, shorter."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of a segment's borrower before any debit."""

    kinds: tuple[float, float, float]
    """Of a monthly, a periodic and an irregular habit."""
    lasts: tuple[float, ...]
    """Of each of `LASTS`."""
    declared: float
    """That the declared salary day is the payday; half as much again is spread over the days next to it."""
    often: tuple[float, ...]
    kept: tuple[float, ...]


PRIORS = {
    "salaried": Prior((0.90, 0.03, 0.07), (0.10, 0.15, 0.20, 0.20, 0.15, 0.10, 0.10), 0.55, (1, 1, 1, 1), (1, 1, 1, 1)),
    "self-employed": Prior((0.20, 0.10, 0.70), (0.15, 0.2, 0.2, 0.2, 0.1, 0.1, 0.05), 0.3, (1, 2, 2, 1), (1, 1, 1, 1)),
    "gig": Prior((0.15, 0.30, 0.55), (0.15, 0.2, 0.2, 0.2, 0.1, 0.1, 0.05), 0.3, (1, 1, 2, 2), (1, 1, 1, 1)),
    "distressed": Prior((0.65, 0.05, 0.30), (0.35, 0.25, 0.15, 0.1, 0.05, 0.05, 0.05), 0.5, (3, 1, 1, 1), (2, 1, 1, 1)),
}
UNKNOWN = Prior((0.50, 0.15, 0.35), (0.15, 0.2, 0.2, 0.15, 0.1, 0.1, 0.1), 0.5, (1, 1, 1, 1), (1, 1, 1, 1))
"""For a segment that no table knows."""


@cache
def prior_of(segment: str, salary_day: int) -> tuple[float, ...]:
    """Weights of `MONTHLY`, `PERIODIC` and `IRREGULAR`, in this order; all of them together are 1."""
    prior = PRIORS.get(segment, UNKNOWN)
    days = [1.0] * len(PAYDAYS)
    if salary_day:
        rest = 1 - prior.declared * 1.5
        days = [rest / len(PAYDAYS)] * len(PAYDAYS)
        days[salary_day - 1] += prior.declared
        for off in (-2, -1, 1, 2):
            days[(salary_day - 1 + off) % 31] += prior.declared / 8
    monthly, periodic, irregular = prior.kinds
    return (
        *(monthly * a * b for a, b in product(_shares(days), _shares(prior.lasts))),
        *(periodic / len(PERIODS) / period / len(PERIODIC_LASTS) for period, _, _ in PERIODIC),
        *(irregular * a * b for a, b in product(_shares(prior.often), _shares(prior.kept))),
    )


def _shares(weights: Sequence[float]) -> list[float]:
    whole = sum(weights)
    return [weight / whole for weight in weights]


# --- what debits say of habits -----------------------------------------------------------------------------------


@cache
def _present(since: int, third: int) -> tuple[float, ...]:
    """For each of `LASTS`: the chance that the money is there so many days and thirds after payday."""
    return tuple(
        sum(
            share * (1.0 if late < since else sum(ARRIVES[: third + 1]) if late == 0 else float(third > 0))
            for late, share in LATE
            if late <= since < late + last
        )
        for last in LASTS
    )


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
def _there(slot: int) -> tuple[float, ...]:
    """For each of `MONTHLY` and `PERIODIC`: that the money is there in a slot."""
    day, third = divmod(slot, SLOTS_A_DAY)
    monthly = (here for since in _days_since(day) for here in _present(since, third))
    periodic = (_periodic(day, third, *habit) for habit in PERIODIC)
    return (*monthly, *periodic)


def _periodic(day: int, third: int, period: int, phase: int, lasts: int) -> float:
    since = (day - phase) % period
    return COMES * (sum(ARRIVES[: third + 1]) if since == 0 else float(since < lasts))


@lru_cache(16384)
def _irregular(gap_slots: int, funded: bool | None) -> tuple[float, ...]:
    """For each of `IRREGULAR`: that the money is there so long after a debit found it, or not (None: no debit yet)."""
    gap = gap_slots / SLOTS_A_DAY
    found: list[float] = []
    for often, kept in IRREGULAR:
        share = often * kept / (1 + often * kept)
        off = 0.0 if funded is None else (float(funded) - share) * exp(-gap * (often + 1 / kept))
        found.append(share + off)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Belief:
    """How much each habit is believed: weights of `MONTHLY`, `PERIODIC` and `IRREGULAR`, 1 in all."""

    weights: tuple[float, ...]

    def payday(self) -> tuple[int, float]:
        """The likeliest payday, and how sure it is among paydays."""
        width, whole = len(LASTS), self.regular or 1.0
        days = [sum(self.weights[at : at + width]) / whole for at in range(0, _MONTHLY_END, width)]
        surest = max(range(len(days)), key=days.__getitem__)
        return PAYDAYS[surest], days[surest]

    def weekday(self) -> int:
        """The likeliest weekday of a periodic habit: 0 = Monday."""
        days = [0.0] * 7
        for (_, phase, _), weight in zip(PERIODIC, self.weights[_MONTHLY_END:], strict=False):
            days[(phase - 1) % 7] += weight
        return max(range(7), key=days.__getitem__)

    @property
    def regular(self) -> float:
        """How much a payday habit is believed."""
        return sum(self.weights[:_MONTHLY_END])

    @property
    def periodic(self) -> float:
        """How much a periodic habit is believed."""
        return sum(self.weights[_MONTHLY_END:_REGULAR_END])


REMEMBERED = 72
"""Debits that a belief goes by, the last ones: with three attempts for each instalment, two years."""


def believe(borrower: Borrower, past: Sequence[Seen], now: int) -> Belief:
    """From the prior and the debits so far, of which older ones count less; `now` is a slot."""
    told = tuple(past[-REMEMBERED:])
    weights = _after(borrower, told)
    return Belief(_drifted(borrower, weights, now - told[-1].slot) if told else weights)


@lru_cache(16384)
def _after(borrower: Borrower, told: tuple[Seen, ...]) -> tuple[float, ...]:
    """Weights of habits after some debits: each is believed by how likely it makes what they found (Bayes)."""
    if not told:
        return prior_of(*borrower)
    before, seen = told[:-1], told[-1]
    weights = _after(borrower, before)
    if before:
        weights = _drifted(borrower, weights, seen.slot - before[-1].slot)
    off, sign = (NOISE, 1 - 2 * NOISE) if seen.funded else (1 - NOISE, 2 * NOISE - 1)
    found = [weight * (off + sign * here) for weight, here in zip(weights, _chances(before, seen.slot), strict=True)]
    whole = sum(found)
    return tuple(weight / whole for weight in found)


def _chances(before: Sequence[Seen], slot: int) -> tuple[float, ...]:
    """For each habit: that the money is there in a slot, after some debits."""
    return _there(slot) + (_irregular(slot - before[-1].slot, before[-1].funded) if before else _irregular(0, None))


def _drifted(borrower: Borrower, weights: tuple[float, ...], slots: int) -> tuple[float, ...]:
    """Beliefs after so many slots in which nothing was heard: a few habits have changed."""
    months = max(0, slots) / (30 * SLOTS_A_DAY)
    stays, varies = (1 - CHANGES) ** months, VARIES * min(1.0, months)
    fresh = prior_of(borrower.segment, 0)
    return tuple(
        stays * (here + varies * (shorter + longer - 2 * here)) + (1 - stays) * anew
        for here, shorter, longer, anew in zip(weights, _SHORTER(weights), _LONGER(weights), fresh, strict=True)
    )


def _beside(step: int) -> Callable[[tuple[float, ...]], tuple[float, ...]]:
    """For each habit, the weight of that whose money lasts a step of `LASTS` longer; its own where there is none."""
    width, at = len(LASTS), range(_REGULAR_END + len(IRREGULAR))
    return itemgetter(*(one + step if one < _MONTHLY_END and 0 <= one % width + step < width else one for one in at))


_SHORTER, _LONGER = _beside(-1), _beside(1)


def funded(belief: Belief, before: Seen | None, slot: int) -> float:
    """That the money is there in a slot, whatever else that month brings; `before` is the last debit."""
    chances = _chances((before,) if before else (), slot)
    return NOISE + (1 - 2 * NOISE) * sum(map(mul, belief.weights, chances))


# --- futures -----------------------------------------------------------------------------------------------------

Futures = dict[int, float]
"""Bits of slots since the due day in which the money is there -> weight."""

Habit = TypeVar("Habit")

LEAST = 0.0005
"""A habit that is believed less than this is spoken for by one of the next."""


def futures_of(belief: Belief, due_day: int, days: int) -> Futures:
    """What the habits say of the slots of so many days from an instalment's due day (an ordinal) on; of an irregular
    one, both with and without money on the day itself."""
    found: Futures = {}
    comes = _comes(due_day, days)
    weights = belief.weights
    for (payday, lasts), weight in _believed(MONTHLY, weights[:_MONTHLY_END]):
        _add(found, weight, _paydays(comes[payday - 1], lasts, days))
    for (period, phase, lasts), weight in _believed(PERIODIC, weights[_MONTHLY_END:_REGULAR_END]):
        _add(found, weight, _periods((phase - due_day) % period, period, lasts, days))
    for (often, kept), weight in _believed(IRREGULAR, weights[_REGULAR_END:]):
        _add(found, weight, _waits(often, kept, days))
    return found


def _believed(habits: Sequence[Habit], weights: Sequence[float]) -> Iterator[tuple[Habit, float]]:
    """The habits that count, each with its weight and that of those before it which alone do not."""
    gathered = 0.0
    for habit, weight in zip(habits, weights, strict=True):
        gathered += weight
        if gathered >= LEAST:
            yield habit, gathered
            gathered = 0.0


def _add(futures: Futures, weight: float, others: Iterable[tuple[int, float]]) -> None:
    for mask, share in others:
        futures[mask] = futures.get(mask, 0.0) + weight * share


def _span(begin: int, end: int, days: int) -> int:
    """Bits from a slot up to (not including) another; what is before the due day or after the last is cut off."""
    begin, end = max(0, begin), min(max(0, end), days * SLOTS_A_DAY)
    return ((1 << (end - begin)) - 1) << begin if end > begin else 0


@lru_cache(1024)
def _comes(due_day: int, days: int) -> tuple[tuple[int, ...], ...]:
    """For each of `PAYDAYS`: the days, counted from a due day, on which it comes until the horizon; the first is the
    last one that is not after the due day."""
    month = date.fromordinal(due_day).replace(day=1)
    months = [month]
    while months[-1].toordinal() < due_day + days:
        months.append(_next_month(months[-1]))
    return tuple(
        (-since, *(day for first in months if 0 < (day := _payday_in(first, payday) - due_day) < days))
        for payday, since in zip(PAYDAYS, _days_since(due_day), strict=True)
    )


def _payday_in(first: date, payday: int) -> int:
    return first.toordinal() + min(payday, _length(first.year, first.month)) - 1


def _next_month(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)


@lru_cache(16384)
def _paydays(comes: tuple[int, ...], lasts: int, days: int) -> tuple[tuple[int, float], ...]:
    """Futures of a payday habit: income comes late by as much, in that third of the day, each time."""
    arrivals = [(third, LATE[0][1] * share) for third, share in enumerate(ARRIVES)]
    arrivals += [(late * SLOTS_A_DAY + 1, share) for late, share in LATE[1:]]
    found: Futures = {}
    for off, share in arrivals:
        mask = 0
        for on in comes:
            begins = on * SLOTS_A_DAY + off
            mask |= _span(begins, (begins // SLOTS_A_DAY + lasts) * SLOTS_A_DAY, days)
        found[mask] = found.get(mask, 0.0) + share
    return tuple(found.items())


@lru_cache(16384)
def _periods(first: int, period: int, lasts: int, days: int) -> tuple[tuple[int, float], ...]:
    """Futures of a periodic habit: each income comes or does not; which does not is drawn for one of them at most."""
    spans = [
        _span(on * SLOTS_A_DAY + 1, (on + lasts) * SLOTS_A_DAY, days) for on in range(first - period, days, period)
    ]
    all_of_them = 0
    for span in spans:
        all_of_them |= span
    fails = (1 - COMES) / len(spans)
    return ((all_of_them, COMES), *((all_of_them & ~span, fails) for span in spans))


@cache
def _waits(often: float, kept: int, days: int) -> tuple[tuple[int, float], ...]:
    """Futures of an irregular habit: money on the due day, or equally likely waits for it."""
    held = often * kept / (1 + often * kept)
    found: Futures = {_span(0, max(1, kept // 2) * SLOTS_A_DAY, days): held}
    for step in range(WAITS):
        mask, at = 0, -log(1 - (step + 0.5) / WAITS) / often
        while at < days:
            begins = round(at * SLOTS_A_DAY) + 1
            mask |= _span(begins, begins + kept * SLOTS_A_DAY, days)
            at += kept + 1 / often
        found[mask] = found.get(mask, 0.0) + (1 - held) / WAITS
    return tuple(found.items())


@lru_cache(65536)
def stretches(mask: int) -> tuple[tuple[int, int], ...]:
    """The bits of a mask as stretches: first, and first after."""
    found: list[tuple[int, int]] = []
    while mask:
        begins = (mask & -mask).bit_length() - 1
        ends = begins + (~(mask >> begins) & ((mask >> begins) + 1)).bit_length() - 1
        found.append((begins, ends))
        mask = mask >> ends << ends
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
