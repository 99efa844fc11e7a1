"""Days as a lender counts them: Asia/Kolkata days, day counts, due dates, month ends and holidays."""

from __future__ import annotations

from calendar import isleap, monthrange
from collections.abc import Callable, Container
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from fractions import Fraction
from functools import lru_cache
from typing import Final, Literal, get_args

__all__ = [
    "IST",
    "WEEK",
    "ClosedDays",
    "DayCount",
    "DueDates",
    "Frequency",
    "HolidayShift",
    "MonthEnd",
    "WeekDay",
    "add_months",
    "day_end",
    "day_start",
    "ist_day",
    "regular_fraction",
    "shift_for_holidays",
    "year_fraction",
]

DayCount = Literal["30/360", "30E/360", "ACT/365", "ACT/360", "ACT/364", "ACT/ACT", "period"]
MonthEnd = Literal["last_day", "first_of_next"]
HolidayShift = Literal["none", "following", "modified_following", "preceding"]
Unit = Literal["days", "weeks", "months", "bullet"]

ONE_DAY: Final = timedelta(days=1)

# --- Instants and Indian days (rule 2) ----------------------------------------------------------------------

# India has had one offset and no daylight saving since 1945, so no time zone file needs to be read.
IST: Final = timezone(timedelta(hours=5, minutes=30), "IST")


def ist_day(instant: datetime) -> date:
    """The Asia/Kolkata day on which an aware instant falls."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs an offset")
    return instant.astimezone(IST).date()


@lru_cache(maxsize=8192)  # a book of any size has few days, and each is asked for over and over
def at_hour(day: date, hour: time) -> datetime:
    """That hour of that day in IST."""
    return datetime.combine(day, hour, IST)


_FIRST_MOMENT: Final = time.min
_LAST_SECOND: Final = time(23, 59, 59)


def day_start(day: date) -> datetime:
    """00:00:00 IST of that day."""
    return at_hour(day, _FIRST_MOMENT)


def day_end(day: date) -> datetime:
    """23:59:59 IST of that day, when day-end figures are struck."""
    return at_hour(day, _LAST_SECOND)


def instant_of(said: str) -> datetime:
    """An RFC 3339 instant with its offset, or a day, which means its end. `ValueError` when it is neither."""
    if len(said) == len("2026-01-31"):
        return day_end(date.fromisoformat(said))
    instant = datetime.fromisoformat(said)
    if instant.tzinfo is None:
        raise ValueError(said)
    return instant


@lru_cache(maxsize=4096)
def last_of_month(day: date) -> date:
    """The last day of that day's month."""
    return day.replace(day=monthrange(day.year, day.month)[1])


@lru_cache(maxsize=4096)  # and few lengths of a period, whose fractions are dear to reduce
def _part(days: int, year_days: int) -> Fraction:
    return Fraction(days, year_days)


# --- Frequencies (rule 4) -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Frequency:
    """How often a row falls due; `bullet` is once."""

    every: int
    unit: Unit

    @property
    def nominal_days(self) -> int:
        """Days of a regular period under 30/360: months x 30, weeks x 7, or N days (rule 3)."""
        return self.every * _NOMINAL_DAYS[self.unit]

    @property
    def days_at_most(self) -> int:
        """No regular period is longer than this."""
        return self.every * _DAYS_AT_MOST[self.unit]

    @property
    def year_share(self) -> Fraction:
        """What one regular period is of a year, whatever its days: 1/12, 1/4, 1/52, N/365 ..."""
        return _part(self.every, _PER_YEAR[self.unit])


_NOMINAL_DAYS: Final[dict[Unit, int]] = {"days": 1, "weeks": 7, "months": 30, "bullet": 0}
_DAYS_AT_MOST: Final[dict[Unit, int]] = {"days": 1, "weeks": 7, "months": 31, "bullet": 0}
_PER_YEAR: Final[dict[Unit, int]] = {"days": 365, "weeks": 52, "months": 12, "bullet": 1}


@dataclass(frozen=True, slots=True)
class DueDates:
    """The regular due dates of a loan: `nth(1)` is the first, `nth(0)` the regular start of its period.

    `due_day` is the day of month that is meant; it survives short months (rule 4). `month` counts months
    since year 0 and is the month the first due date belongs to, which is the one before when the due day
    rolled over to the first of the next.
    """

    frequency: Frequency
    first: date
    month: int
    due_day: int
    month_end: MonthEnd

    @classmethod
    def of(
        cls,
        frequency: Frequency,
        first: date,
        start: date,
        *,
        month_end: MonthEnd = "last_day",
        due_day: int | None = None,
    ) -> DueDates | None:
        """Due dates from `first` on, or None where `first` cannot be a date of that `due_day`.

        Without a stated due day, the day of `start` is meant where a regular period from it leads to `first`:
        31 January, then 28 February, is the 31st; from any other start it is the 28th.
        """
        if frequency.unit != "months":
            return cls(frequency, first, _month_number(first), first.day, month_end)
        wanted = due_day or first.day
        if due_day is None and start.day > 28:
            regular = _month_number(start) + frequency.every
            if day_of_month(regular, start.day, month_end) == first:
                return cls(frequency, first, regular, start.day, month_end)
        for month in (_month_number(first), _month_number(first) - 1):
            if day_of_month(month, wanted, month_end) == first:
                return cls(frequency, first, month, wanted, month_end)
        return None

    def nth(self, number: int) -> date:
        """The due date of row `number`; 0 and below step back from the first."""
        steps = (number - 1) * self.frequency.every
        match self.frequency.unit:
            case "months":
                return day_of_month(self.month + steps, self.due_day, self.month_end)
            case "weeks":
                return self.first + timedelta(weeks=steps)
            case "days":
                return self.first + timedelta(days=steps)
            case "bullet":
                return self.first

    def periods_since(self, day: date) -> Fraction:
        """Regular periods from `day` to the first due date; a part of one counts by its actual days."""
        if self.frequency.unit == "bullet":
            return Fraction(1)
        # A first guess that is never too far back: no period of these units is longer.
        whole = max((self.first - day).days // self.frequency.days_at_most - 1, 0)
        while self.nth(-whole) >= day:
            whole += 1
        start, end = self.nth(-whole), self.nth(1 - whole)
        return whole + Fraction((end - day).days, (end - start).days)


def add_months(day: date, months: int) -> date:
    """The same day of month so many months on, or that month's last day."""
    return day_of_month(_month_number(day) + months, day.day, "last_day")


def day_of_month(month: int, day: int, month_end: MonthEnd) -> date:
    """That day of a month counted since year 0; where it has none, what the month-end rule says (rule 4)."""
    year, month_index = divmod(month, 12)
    if day > 28:
        last = monthrange(year, month_index + 1)[1]
        if day > last:
            return _MONTH_END[month_end](date(year, month_index + 1, last))
    return date(year, month_index + 1, day)


_MONTH_END: Final[dict[MonthEnd, Callable[[date], date]]] = {
    "last_day": lambda last: last,
    "first_of_next": lambda last: last + ONE_DAY,
}


def _month_number(day: date) -> int:
    return day.year * 12 + day.month - 1


# --- Day counts (rule 3) ------------------------------------------------------------------------------------


def year_fraction(day_count: DayCount, start: date, end: date) -> Fraction:
    """The part of a year from `start` (excluded) to `end` (included), by the dates alone."""
    return _BY_DATES[day_count](start, end)


def days_of_year(day_count: DayCount, on: date) -> int:
    """So many of a day's interest make a year's."""
    if day_count == "ACT/ACT":
        return 366 if isleap(on.year) else 365
    return {"ACT/365": 365, "ACT/364": 364}.get(day_count, 360)


def regular_fraction(day_count: DayCount, frequency: Frequency, start: date, end: date) -> Fraction:
    """The part of a year that a regular period is: under `30/360` and `period` whatever the calendar says."""
    if frequency.unit != "bullet":
        if day_count == "30/360":
            return _part(frequency.nominal_days, 360)
        if day_count == "period":
            return frequency.year_share
    return year_fraction(day_count, start, end)


def _bond_basis(start: date, end: date) -> Fraction:
    first = min(start.day, 30)
    last = 30 if end.day == 31 and first == 30 else end.day
    return _thirty_days_a_month(start, first, end, last)


def _eurobond_basis(start: date, end: date) -> Fraction:
    return _thirty_days_a_month(start, min(start.day, 30), end, min(end.day, 30))


def _thirty_days_a_month(start: date, first: int, end: date, last: int) -> Fraction:
    return Fraction((_month_number(end) - _month_number(start)) * 30 + last - first, 360)


def _actual_over(year_days: int) -> Callable[[date, date], Fraction]:
    return lambda start, end: _part((end - start).days, year_days)


def _each_day_by_its_own_year(start: date, end: date) -> Fraction:
    if start.year == end.year:
        return _part((end - start).days, 366 if isleap(end.year) else 365)
    total = Fraction(0)
    for year in range(start.year, end.year + 1):
        since = max(start, date(year - 1, 12, 31))
        until = min(end, date(year, 12, 31))
        total += Fraction((until - since).days, 366 if isleap(year) else 365)
    return total


def _whole_months_and_days(start: date, end: date) -> Fraction:
    """Months of 1/12 each; the days that remain are their share of the month they run in."""
    months = _month_number(end) - _month_number(start)
    while add_months(start, months) > end:
        months -= 1
    since, until = add_months(start, months), add_months(start, months + 1)
    return (months + Fraction((end - since).days, (until - since).days)) / 12


_BY_DATES: Final[dict[DayCount, Callable[[date, date], Fraction]]] = {
    "30/360": _bond_basis,
    "30E/360": _eurobond_basis,
    "ACT/365": _actual_over(365),
    "ACT/360": _actual_over(360),
    "ACT/364": _actual_over(364),
    "ACT/ACT": _each_day_by_its_own_year,
    "period": _whole_months_and_days,
}


# --- Holidays (rule 4) --------------------------------------------------------------------------------------

WeekDay = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEK: Final[tuple[WeekDay, ...]] = get_args(WeekDay)


@dataclass(frozen=True, slots=True)
class ClosedDays:
    """Days on which nothing is settled: single ones, and days of every week (0 = Monday)."""

    days: frozenset[date]
    weekdays: frozenset[int]

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and (day in self.days or day.weekday() in self.weekdays)

    def __bool__(self) -> bool:
        return bool(self.days or self.weekdays)


def shift_for_holidays(day: date, holidays: Container[date], shift: HolidayShift) -> date:
    """The day itself, or the nearest day that is no holiday in the direction that the rule names."""
    return _SHIFTS[shift](day, holidays)


def _unmoved(day: date, _holidays: Container[date]) -> date:
    return day


def _following(day: date, holidays: Container[date]) -> date:
    while day in holidays:
        day += ONE_DAY
    return day


def _preceding(day: date, holidays: Container[date]) -> date:
    while day in holidays:
        day -= ONE_DAY
    return day


def _modified_following(day: date, holidays: Container[date]) -> date:
    after = _following(day, holidays)
    return after if after.month == day.month else _preceding(day, holidays)


_SHIFTS: Final[dict[HolidayShift, Callable[[date, Container[date]], date]]] = {
    "none": _unmoved,
    "following": _following,
    "modified_following": _modified_following,
    "preceding": _preceding,
}
