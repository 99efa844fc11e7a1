"""Days: Indian days of instants, day counts, due dates, month ends and holidays."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest

from domain.calendar import (
    IST,
    DayCount,
    DueDates,
    Frequency,
    HolidayShift,
    MonthEnd,
    day_end,
    day_start,
    ist_day,
    regular_fraction,
    shift_for_holidays,
    year_fraction,
)

MONTHLY = Frequency(1, "months")


def days(*texts: str) -> list[date]:
    return [date.fromisoformat(text) for text in texts]


def due(frequency: Frequency, start: str, first: str, month_end: MonthEnd = "last_day") -> DueDates:
    dates = DueDates.of(frequency, date.fromisoformat(first), date.fromisoformat(start), month_end=month_end)
    assert dates is not None
    return dates


def test_the_indian_day_begins_half_past_six_in_the_evening_of_utc() -> None:
    assert ist_day(datetime(2026, 3, 31, 18, 29, 59, tzinfo=UTC)) == date(2026, 3, 31)
    assert ist_day(datetime(2026, 3, 31, 18, 30, tzinfo=UTC)) == date(2026, 4, 1)
    assert day_start(date(2026, 4, 1)) == datetime(2026, 3, 31, 18, 30, tzinfo=UTC)
    assert day_end(date(2026, 4, 1)).isoformat() == "2026-04-01T23:59:59+05:30"
    assert IST.utcoffset(None) == timedelta(hours=5, minutes=30)


def test_an_instant_without_an_offset_has_no_day() -> None:
    with pytest.raises(ValueError, match="offset"):
        ist_day(datetime(2026, 4, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("day_count", "start", "end", "fraction"),
    [
        ("30/360", "2026-01-31", "2026-02-28", Fraction(28, 360)),
        ("30/360", "2026-02-28", "2026-03-31", Fraction(33, 360)),
        ("30/360", "2026-01-30", "2026-03-31", Fraction(60, 360)),
        ("30E/360", "2026-02-28", "2026-03-31", Fraction(32, 360)),
        ("ACT/365", "2026-01-05", "2026-02-05", Fraction(31, 365)),
        ("ACT/360", "2026-01-05", "2026-02-05", Fraction(31, 360)),
        ("ACT/364", "2024-01-01", "2024-01-15", Fraction(14, 364)),
        ("ACT/ACT", "2023-12-12", "2024-01-12", Fraction(19, 365) + Fraction(12, 366)),
        ("ACT/ACT", "2023-12-31", "2024-12-31", Fraction(1)),
        ("ACT/ACT", "2023-06-30", "2025-06-30", Fraction(184, 365) + 1 + Fraction(181, 365)),
        ("period", "2026-01-31", "2026-02-28", Fraction(1, 12)),
        ("period", "2026-01-05", "2026-03-19", (2 + Fraction(14, 31)) / 12),
    ],
)
def test_counts_days_by_dates(day_count: DayCount, start: str, end: str, fraction: Fraction) -> None:
    assert year_fraction(day_count, *days(start, end)) == fraction


@pytest.mark.parametrize(
    ("day_count", "frequency", "fraction"),
    [
        ("30/360", MONTHLY, Fraction(30, 360)),
        ("30/360", Frequency(2, "weeks"), Fraction(14, 360)),
        ("30/360", Frequency(15, "days"), Fraction(15, 360)),
        ("period", MONTHLY, Fraction(1, 12)),
        ("period", Frequency(3, "months"), Fraction(1, 4)),
        ("period", Frequency(1, "weeks"), Fraction(1, 52)),
        ("ACT/365", MONTHLY, Fraction(28, 365)),
    ],
)
def test_a_regular_period_is_its_months_or_weeks_whatever_the_calendar_says(
    day_count: DayCount, frequency: Frequency, fraction: Fraction
) -> None:
    assert regular_fraction(day_count, frequency, *days("2026-01-31", "2026-02-28")) == fraction


def test_a_due_day_of_31_falls_on_the_last_day_and_returns() -> None:
    dates = due(MONTHLY, "2026-01-31", "2026-02-28")
    assert [dates.nth(n) for n in range(5)] == days(
        "2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"
    )


def test_a_due_day_of_29_exists_in_leap_februaries() -> None:
    dates = due(Frequency(12, "months"), "2024-02-29", "2025-02-28")
    assert [dates.nth(n) for n in (1, 3, 4)] == days("2025-02-28", "2027-02-28", "2028-02-29")


def test_a_due_day_that_a_month_lacks_can_roll_to_the_first() -> None:
    dates = due(MONTHLY, "2025-01-31", "2025-03-01", "first_of_next")
    assert [dates.nth(n) for n in range(4)] == days("2025-01-31", "2025-03-01", "2025-03-31", "2025-05-01")


def test_the_28th_stays_the_28th_when_the_loan_did_not_start_on_a_later_day() -> None:
    assert due(MONTHLY, "2026-01-15", "2026-02-28").nth(2) == date(2026, 3, 28)


def test_a_stated_due_day_wins() -> None:
    start, first = days("2026-01-15", "2026-02-28")
    dates = DueDates.of(MONTHLY, first, start, due_day=30)
    assert dates is not None
    assert dates.nth(2) == date(2026, 3, 30)
    assert DueDates.of(MONTHLY, first, start, due_day=27) is None


@pytest.mark.parametrize(
    ("frequency", "third"),
    [
        (Frequency(1, "days"), "2026-02-07"),
        (Frequency(1, "weeks"), "2026-02-19"),
        (Frequency(2, "weeks"), "2026-03-05"),
        (Frequency(15, "days"), "2026-03-07"),
        (MONTHLY, "2026-04-05"),
        (Frequency(3, "months"), "2026-08-05"),
        (Frequency(6, "months"), "2027-02-05"),
        (Frequency(12, "months"), "2028-02-05"),
    ],
)
def test_falls_due_by_frequency(frequency: Frequency, third: str) -> None:
    assert due(frequency, "2026-01-05", "2026-02-05").nth(3) == date.fromisoformat(third)


@pytest.mark.parametrize("month_end", ["last_day", "first_of_next"])
@pytest.mark.parametrize("every", [Frequency(1, "days"), Frequency(2, "weeks"), MONTHLY, Frequency(6, "months")])
def test_periods_to_the_first_due_date_are_whole_ones_and_a_part_by_days(every: Frequency, month_end: MonthEnd) -> None:
    first = date(2032, 3, 31)
    dates = DueDates.of(every, first, first, month_end=month_end)
    assert dates is not None
    for back in range(1, 1500, 7):
        day = first - timedelta(days=back)
        whole = next(n for n in range(1600) if dates.nth(-n) < day)  # counted one by one
        start, end = dates.nth(-whole), dates.nth(1 - whole)
        assert dates.periods_since(day) == whole + Fraction((end - day).days, (end - start).days)


@pytest.mark.parametrize(
    ("shift", "moved"),
    [
        ("none", "2026-05-30"),
        ("following", "2026-06-01"),
        ("modified_following", "2026-05-29"),
        ("preceding", "2026-05-29"),
    ],
)
def test_moves_a_holiday(shift: HolidayShift, moved: str) -> None:
    holidays = set(days("2026-05-30", "2026-05-31"))
    assert shift_for_holidays(date(2026, 5, 30), holidays, shift) == date.fromisoformat(moved)
    assert shift_for_holidays(date(2026, 5, 28), holidays, shift) == date(2026, 5, 28)
