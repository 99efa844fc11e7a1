"""What the outcomes of the whole book say about banks, rails, gateways and hours, and how soon money is recovered.

These are counts, as of a day's start. A decision looks at whole days before its own, never at today, so that it does
not depend on which of today's records came first. Counts are of debits that were answered; money is not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType
from typing import NamedTuple


class Way(NamedTuple):
    """How and when a debit went: hour of day 0 to 23 (Asia/Kolkata)."""

    bank: str
    rail: str
    gateway: str
    hour: int


@dataclass(frozen=True, slots=True)
class Tally:
    """Answered debits by what came of them."""

    success: int = 0
    soft: int = 0
    hard: int = 0
    technical: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.success + other.success,
            self.soft + other.soft,
            self.hard + other.hard,
            self.technical + other.technical,
        )

    @property
    def answered(self) -> int:
        return self.success + self.soft + self.hard + self.technical

    def technical_rate(self, prior: float = 0.02, weight: float = 20.0) -> float:
        """Share of technical failures, shrunk to `prior` as if so many (`weight`) answers had shown it."""
        return (self.technical + prior * weight) / (self.answered + weight)

    def funded_rate(self, prior: float = 0.7, weight: float = 20.0) -> float:
        """Share of successes among debits that reached the account, shrunk to `prior`."""
        reached = self.success + self.soft
        return (self.success + prior * weight) / (reached + weight)


EMPTY = Tally()


@dataclass(frozen=True, slots=True)
class Insight:
    """Counts of answered debits in the days before `as_of`; None = nothing is known yet."""

    as_of: date | None = None
    counts: Mapping[Way, Tally] = field(default_factory=lambda: MappingProxyType({}))
    """The last `DAYS` whole days."""
    yesterday: Mapping[Way, Tally] = field(default_factory=lambda: MappingProxyType({}))
    """The last whole day alone: whether a bank or a switch is down."""
    recovered: int = 0
    """Debits that a later attempt brought in the last `DAYS` whole days..."""
    recovery_days: int = 0
    """... and the days from their first attempts, summed."""

    @classmethod
    def empty(cls) -> Insight:
        return cls()

    @classmethod
    def from_days(
        cls,
        days: Mapping[date, Mapping[tuple[Way, str], int]],
        as_of: date,
        recoveries: Mapping[tuple[date, int], int] = MappingProxyType({}),
    ) -> Insight:
        """From counts by day, way and outcome (`success` or a failure class), and of recoveries by day and the days
        that they took; days from `as_of` on are left out."""
        counts: dict[Way, Tally] = {}
        yesterday: dict[Way, Tally] = {}
        for day, counted in days.items():
            age = (as_of - day).days
            for (way, outcome), many in counted.items() if 1 <= age <= DAYS else ():
                seen = replace(EMPTY, **{outcome: many})
                counts[way] = counts.get(way, EMPTY) + seen
                if age == 1:
                    yesterday[way] = yesterday.get(way, EMPTY) + seen
        told = [(took, many) for (day, took), many in recoveries.items() if 1 <= (as_of - day).days <= DAYS]
        return cls(as_of, counts, yesterday, sum(many for _, many in told), sum(took * many for took, many in told))

    def days_to_recover(self, prior: float, weight: float = 20.0) -> float:
        """Mean days of recoveries, shrunk to `prior`."""
        return (self.recovery_days + prior * weight) / (self.recovered + weight)

    def of(
        self,
        *,
        bank: str | None = None,
        rail: str | None = None,
        gateway: str | None = None,
        hour: int | None = None,
        recent: bool = False,
    ) -> Tally:
        """The sum over all ways that fit what is named; `recent`: of yesterday alone."""
        return total(
            tally
            for way, tally in (self.yesterday if recent else self.counts).items()
            if (bank is None or way.bank == bank)
            and (rail is None or way.rail == rail)
            and (gateway is None or way.gateway == gateway)
            and (hour is None or way.hour == hour)
        )


DAYS = 28
"""Whole days that `Insight.counts` looks back: long enough to even out weekdays, short enough to follow a change."""


def total(tallies: Iterable[Tally]) -> Tally:
    return sum(tallies, EMPTY)
