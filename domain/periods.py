"""The periods that rows fall due for: their days, their part of a year, and what rate holds within them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Final

from domain.calendar import DueDates, regular_fraction, shift_for_holidays, year_fraction
from domain.ensure import InvariantBroken
from domain.terms import RateChange, Terms, TermsError, Tranche

__all__ = ["Layout", "Period", "Rates", "Span", "lay_out"]

NO_HOLIDAYS: Final[frozenset[date]] = frozenset()


@dataclass(frozen=True, slots=True)
class Span:
    """Days from `start` (excluded) to `end` (included) that together are `fraction` of a year, evenly."""

    start: date
    end: date
    fraction: Fraction


@dataclass(frozen=True, slots=True)
class Period:
    """What one row covers. `spans` bear its interest; `regular` is what its instalment is computed on.

    The two differ only in a broken first period whose interest stays outside the formula (rule 7).
    """

    number: int
    start: date
    due_on: date
    spans: tuple[Span, ...]
    regular: tuple[Span, ...]
    inflows: tuple[Tranche, ...] = ()

    @property
    def days(self) -> int:
        """Calendar days."""
        return (self.due_on - self.start).days


@dataclass(frozen=True, slots=True)
class Layout:
    """All periods of a loan; `before` is the broken period that has a row of its own or is deducted."""

    before: Period | None
    rows: tuple[Period, ...]


# --- Rates --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Rates:
    """The rate by day, as a fraction of the balance a year. A change on a day holds for the days after it."""

    since: list[date]
    rates: list[Fraction]
    _memo: dict[tuple[int, int, int], Fraction] = field(default_factory=dict[tuple[int, int, int], Fraction])

    @classmethod
    def of(cls, annual_rate_percent: Decimal, changes: Iterable[RateChange] = ()) -> Rates:
        """The first rate and its changes, in order of their days."""
        known = tuple(changes)
        percents = [annual_rate_percent, *(change.annual_rate_percent for change in known)]
        return cls([change.from_day for change in known], [Fraction(percent) / 100 for percent in percents])

    def known_by(self, day: date) -> Rates:
        """The rates as if no change on or after `day` were to come: what an instalment can be computed on."""
        known = bisect_left(self.since, day)
        return self if known == len(self.since) else Rates(self.since[:known], self.rates[: known + 1])

    def factor(self, spans: tuple[Span, ...], after: date | None = None) -> Fraction:
        """Interest on one paisa over the spans, or over the part of them after a day; exact."""
        if len(spans) == 1:
            return self._over(spans[0], after)
        return sum((self._over(span, after) for span in spans), _NOTHING)

    def broken(self, period: Period) -> Fraction:
        """What a period bears besides its regular part: an odd first one more, or less."""
        return self.factor(period.spans) - self.factor(period.regular)

    def _over(self, span: Span, after: date | None) -> Fraction:
        start = span.start if after is None else max(span.start, after)
        if start >= span.end:
            return _NOTHING
        index = bisect_right(self.since, start)
        if start == span.start and (index == len(self.since) or self.since[index] >= span.end):
            return self._times(span.fraction, index)
        # Within a row, days share its part of the year evenly, as a broken period's do (rule 3).
        weighted = _NOTHING
        while start < span.end:
            until = min(self.since[index], span.end) if index < len(self.since) else span.end
            weighted += self.rates[index] * (until - start).days
            start, index = until, index + 1
        return weighted * span.fraction / (span.end - span.start).days

    def _times(self, fraction: Fraction, index: int) -> Fraction:
        # Nearly all rows of a loan share a handful of fractions, and multiplying them is what costs.
        key = (fraction.numerator, fraction.denominator, index)
        found = self._memo.get(key)
        if found is None:
            found = self._memo[key] = fraction * self.rates[index]
        return found


_NOTHING: Final = Fraction(0)

# --- Layout -------------------------------------------------------------------------------------------------


def lay_out(terms: Terms, count: int, holidays: Container[date] = NO_HOLIDAYS) -> Layout:
    """The periods of `count` rows, with the tranches that fall into each; the terms' own holidays come first."""
    holidays = terms.closed_days or holidays
    if terms.rows:
        return _with_tranches(terms, None, list(_given_periods(terms)))
    dates = terms.due_dates()
    try:
        due = [_moved(terms, dates.nth(number), holidays) for number in range(1, count + 1)]
    except (ValueError, OverflowError):
        raise TermsError("/instalments", f"{count} rows end after the year 9999") from None
    before, first = _first_periods(terms, dates, due[0])
    periods = [first]
    for number, (start, end) in enumerate(pairwise(due), start=2):
        span = (Span(start, end, regular_fraction(terms.day_count, terms.frequency, start, end)),)
        periods.append(Period(number, start, end, span, span))
    if terms.interest_method == "bullet":
        periods = [_merged(periods)]
    return _with_tranches(terms, before, periods)


def by_number(terms: Terms, first: int, last: int) -> dict[int, Period]:
    """The periods of the rows from the one before `first`, the number of the terms' own first row, up to `last`. The
    broken period that has a row of its own stands before the first."""
    layout = lay_out(terms, max(terms.row_count, last - first + 1))
    apart = (layout.before,) if layout.before and terms.broken_period == "separate" else ()
    return {first - 1 + period.number: period for period in (*apart, *layout.rows)}


def asked_from(terms: Terms) -> date:
    """The day since which (excluded) rows ask for interest: that of the payout, unless the interest of the days before
    the first regular period was kept back from it (rule 7)."""
    if terms.broken_period != "deduct" or terms.rows:
        return terms.disburse_on
    dates = terms.due_dates()
    before, first = _first_periods(terms, dates, _moved(terms, dates.nth(1), terms.closed_days))
    return before.due_on if before else first.start


def _given_periods(terms: Terms) -> Iterator[Period]:
    """The rows' own dates; one that is a regular period after the one before counts as one (rule 3)."""
    for number, (start, end) in enumerate(pairwise([terms.disburse_on, *(row.due_on for row in terms.rows)]), start=1):
        dates = DueDates.of(terms.frequency, end, start, month_end=terms.month_end)
        if dates is None:
            raise InvariantBroken("any day is a due date of its own day of month", due_on=end)
        span = (Span(start, end, _fraction_from(start, terms, dates, end)),)
        yield Period(number, start, end, span, span)


def _moved(terms: Terms, day: date, holidays: Container[date]) -> date:
    return shift_for_holidays(day, holidays, terms.holiday_shift) if terms.holiday_moves == "due_date" else day


def _first_periods(terms: Terms, dates: DueDates, due: date) -> tuple[Period | None, Period]:
    """The first row's period and, where the broken period stands apart, that one before it (rule 7)."""
    paid_out = terms.disburse_on
    start = paid_out if terms.frequency.unit == "bullet" else terms.schedule_starts_on or dates.nth(0)
    regular = Span(start, due, _fraction_from(start, terms, dates, due))
    if start == paid_out:
        return None, Period(1, start, due, (regular,), (regular,))
    whole = Span(paid_out, due, _share_of_regular(paid_out, regular, terms, dates))
    if terms.broken_period == "spread":
        return None, Period(1, paid_out, due, (whole,), (whole,))
    if start < paid_out:  # Shorter: the instalment stays, the days that money was not out bear nothing (rule 26).
        return None, Period(1, paid_out, due, (whole,), (regular,))
    broken = Span(paid_out, start, _broken_fraction(paid_out, regular, whole, terms))
    if terms.broken_period == "add_to_first":
        return None, Period(1, paid_out, due, (broken, regular), (regular,))
    return Period(0, paid_out, start, (broken,), (broken,)), Period(1, start, due, (regular,), (regular,))


def _fraction_from(start: date, terms: Terms, dates: DueDates, due: date) -> Fraction:
    """What the first row's regular period is of a year; counted by dates if its start is no regular one."""
    if start == dates.nth(0):
        return regular_fraction(terms.day_count, terms.frequency, start, due)
    return _by_dates(start, terms, dates, due)


def _share_of_regular(paid_out: date, regular: Span, terms: Terms, dates: DueDates) -> Fraction:
    """What the days from the payout to the first due date are of a year (rule 3)."""
    if terms.schedule_starts_on:
        return regular.fraction * Fraction((regular.end - paid_out).days, (regular.end - regular.start).days)
    return _by_dates(paid_out, terms, dates, regular.end)


def _by_dates(start: date, terms: Terms, dates: DueDates, due: date) -> Fraction:
    if terms.day_count == "period" and terms.frequency.unit != "bullet":
        return dates.periods_since(start) * terms.frequency.year_share
    return year_fraction(terms.day_count, start, due)


def _broken_fraction(paid_out: date, regular: Span, whole: Span, terms: Terms) -> Fraction:
    """What the days before the regular start are of a year: by dates, or the whole less the regular."""
    if terms.schedule_starts_on or terms.day_count == "period":
        return whole.fraction - regular.fraction
    return year_fraction(terms.day_count, paid_out, regular.start)


def _merged(periods: list[Period]) -> Period:
    spans = tuple(span for period in periods for span in period.spans)
    return Period(1, periods[0].start, periods[-1].due_on, spans, spans)


def _with_tranches(terms: Terms, before: Period | None, rows: list[Period]) -> Layout:
    """Each tranche in the period that it is paid out in: on its first day or later, before its due date."""
    if not terms.tranches:
        return Layout(before, tuple(rows))
    if terms.tranches[-1].on >= rows[-1].due_on:
        at = f"/tranches/{len(terms.tranches) - 1}/on"
        raise TermsError(at, f"must be before the last due date {rows[-1].due_on}")
    if before and terms.broken_period == "deduct" and terms.tranches[0].on < before.due_on:
        raise TermsError("/tranches/0/on", "interest of a period that is deducted from the payout cannot grow")

    def filled(period: Period) -> Period:
        inflows = tuple(t for t in terms.tranches if period.start <= t.on < period.due_on)
        return replace(period, inflows=inflows) if inflows else period

    return Layout(before and filled(before), tuple(map(filled, rows)))
