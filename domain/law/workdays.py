"""Working days of Indian banks, for clocks that count them."""

from __future__ import annotations

from collections.abc import Set
from datetime import date, timedelta
from typing import Final

__all__ = ["after_working_days", "is_working_day"]

NO_HOLIDAYS: Final[frozenset[date]] = frozenset()
SATURDAY, SUNDAY = 5, 6


def is_working_day(day: date, holidays: Set[date] = NO_HOLIDAYS) -> bool:
    """Not a Sunday, not the month's second or fourth Saturday (since 1 September 2015), not a holiday."""
    week_of_month = (day.day - 1) // 7 + 1
    free_saturday = day.weekday() == SATURDAY and week_of_month in (2, 4)
    return day.weekday() != SUNDAY and not free_saturday and day not in holidays


def after_working_days(day: date, count: int, holidays: Set[date] = NO_HOLIDAYS) -> date:
    """The last of `count` working days that follow `day`."""
    while count:
        day += timedelta(days=1)
        count -= is_working_day(day, holidays)
    return day
