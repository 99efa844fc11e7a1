"""Money sent out, rail by rail: how much one transfer may be, and when the rail is open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final

from domain.calendar import IST
from domain.law.dated import AnyRule, Confidence, DatedRule, Ruled, Table, by, in_force, ruled, table
from domain.law.workdays import NO_HOLIDAYS, is_working_day
from domain.money import Paise

__all__ = ["RULES", "amounts", "open_at"]


@dataclass(frozen=True, slots=True)
class Amounts:
    """From how many paise to how many one transfer may be; None: without end."""

    least: Paise = 1
    most: Paise | None = None


def _amounts(
    rail: str, text: str, value: Amounts, since: date, until: date | None, source: str, confidence: Confidence
) -> DatedRule[Amounts]:
    return DatedRule(
        id=f"R2.8/{rail}",
        title=f"One transfer by {rail.upper()}",
        text=text,
        source=source,
        confidence=confidence,
        valid_from=since,
        valid_until=until,
        value=value,
        where="rail of a payout: `payouts.amounts`",
    )


LAKH: Final[Paise] = 1_00_000_00
AMOUNTS: Final[Mapping[str, Table[Amounts]]] = {
    "imps": table(
        _amounts("imps", "At most Rs. 2,00,000.", Amounts(1, 2 * LAKH), date(2014, 1, 1), date(2021, 10, 7),
                 "NPCI; its first day is not known", "known"),
        _amounts("imps", "At most Rs. 5,00,000.", Amounts(1, 5 * LAKH), date(2021, 10, 8), None,
                 "RBI statement on developmental policies, 8 October 2021", "known"),
    ),
    "upi": table(
        _amounts("upi", "At most Rs. 1,00,000 to a person's address.", Amounts(1, LAKH), date(2016, 4, 11), None,
                 "NPCI; higher limits hold for named kinds of merchant only", "known"),
    ),
    "rtgs": table(
        _amounts("rtgs", "At least Rs. 2,00,000.", Amounts(2 * LAKH), date(2010, 11, 15), None,
                 "RBI RTGS rules", "known"),
    ),
    "neft": table(
        _amounts("neft", "Any amount, in half-hourly batches.", Amounts(), date(2005, 11, 21), None,
                 "RBI NEFT procedural guidelines", "known"),
    ),
}  # fmt: skip


def amounts(rail: str, on: date) -> Ruled[Amounts]:
    """What one transfer may be on a day; anything on a rail that no rule speaks of."""
    return ruled(in_force(AMOUNTS.get(rail, ()), on), Amounts())


Hours = tuple[time, time] | None
"""On working days from, until (excluded); None = at any time of any day."""


def _hours(rail: str, text: str, value: Hours, since: date, until: date | None, source: str) -> DatedRule[Hours]:
    return DatedRule(
        id=f"R2.9/{rail}",
        title=f"When {rail.upper()} is open",
        text=text,
        source=source,
        confidence="known",
        valid_from=since,
        valid_until=until,
        value=value,
        where="rail of a payout: `payouts.open_at`",
    )


HOURS: Final[Mapping[str, Table[Hours]]] = {
    "neft": table(
        _hours("neft", "Working days, 8:00 to 19:00.", (time(8), time(19)), date(2005, 11, 21), date(2019, 12, 15),
               "RBI NEFT procedural guidelines"),
        _hours("neft", "At any time of any day.", None, date(2019, 12, 16), None, "RBI, 6 December 2019"),
    ),
    "rtgs": table(
        _hours("rtgs", "Working days, 7:00 to 18:00.", (time(7), time(18)), date(2010, 11, 15), date(2020, 12, 13),
               "RBI RTGS rules"),
        _hours("rtgs", "At any time of any day.", None, date(2020, 12, 14), None, "RBI, 4 December 2020"),
    ),
}  # fmt: skip
"""IMPS and UPI have been open at any time since they began."""


def open_at(rail: str, at: datetime, holidays: frozenset[date] = NO_HOLIDAYS) -> Ruled[bool]:
    """Whether a transfer is taken by the rail at an instant."""
    local = at.astimezone(IST)
    rule = in_force(HOURS.get(rail, ()), local.date())
    if rule is None or rule.value is None:
        return by(rule, True)
    opens, closes = rule.value
    return by(rule, is_working_day(local.date(), holidays) and opens <= local.time() < closes)


RULES: Final[tuple[AnyRule, ...]] = (
    *(rule for rules in AMOUNTS.values() for rule in rules),
    *(rule for rules in HOURS.values() for rule in rules),
)
