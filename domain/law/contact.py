"""Contact for recovery: hours, people, holds, and how often (servicing rule 30)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Final, Literal

from domain.calendar import IST
from domain.ensure import ensure
from domain.law.dated import AnyRule, DatedRule, Ruled, Table, by, in_force, ruled, table

__all__ = [
    "RULES",
    "Caps",
    "Hold",
    "HoldReason",
    "Person",
    "contact_caps",
    "hold_reasons",
    "next_contact_moment",
    "people_to_contact",
]

HoldReason = Literal["bereavement", "calamity", "wedding", "festival", "requested"]
Person = Literal["borrower", "guarantor", "co-borrower", "relative", "referee"]


@dataclass(frozen=True, slots=True)
class Hold:
    """No contact from one day to another, both included, and why."""

    reason: HoldReason
    from_on: date
    until_on: date


@dataclass(frozen=True, slots=True)
class Caps:
    """At most so many contacts a local day, and in any seven days."""

    per_day: int
    per_week: int

    def __post_init__(self) -> None:
        ensure(self.per_day > 0 and self.per_week > 0, "caps leave room for a contact", caps=self)


AGENTS: Final = (
    "RBI/2022-23/108, Outsourcing of Financial Services: Responsibilities of regulated entities, 12 August 2022"
)
CONDUCT: Final = (
    "Draft of 12 February 2026; reported final as RBI/2026-2027/230, DOR.MCS.REC.No.199/01-01-039/2026-27, 6 August "
    "2026: to be read again before it begins"
)
SINCE: Final = date(2022, 8, 12)
NEW_CONDUCT, BEFORE_NEW = date(2027, 1, 1), date(2026, 12, 31)

HOURS: Final[Table[tuple[time, time]]] = table(
    DatedRule(
        id="R9.1",
        title="Contact between 8:00 and 19:00",
        text="No call, message or visit for recovery before 8:00 and after 19:00 where the borrower is; no anonymous "
        "or threatening contact. What would go out otherwise waits for the next morning.",
        source=AGENTS,
        confidence="seen",
        valid_from=SINCE,
        value=(time(8), time(19)),
        where="reminders and calls: `contact.next_contact_moment`",
    )
)

PEOPLE: Final[Table[frozenset[Person]]] = table(
    DatedRule(
        id="R9.2p",
        title="No harassment of relatives and referees",
        text="Borrower, co-borrower and guarantor are contacted; family, referees and friends are not intruded upon.",
        source=AGENTS,
        confidence="known",
        valid_from=SINCE,
        valid_until=BEFORE_NEW,
        value=frozenset({"borrower", "co-borrower", "guarantor"}),
        where="`contact.people_to_contact`",
    ),
    DatedRule(
        id="R9.2p",
        title="Borrower and guarantor only",
        text="Not relatives, not referees, for all kinds of lenders.",
        source=CONDUCT,
        confidence="seen-2nd",
        valid_from=NEW_CONDUCT,
        value=frozenset({"borrower", "co-borrower", "guarantor"}),
        where="`contact.people_to_contact`",
    ),
)

HOLDS: Final[Table[frozenset[HoldReason]]] = table(
    DatedRule(
        id="R9.2h",
        title="No contact on a bereavement or calamity",
        text="The house's own rule until the law has one.",
        source="none",
        confidence="policy",
        valid_from=SINCE,
        valid_until=BEFORE_NEW,
        value=frozenset({"bereavement", "calamity"}),
        where="holds: `contact.hold_reasons`",
    ),
    DatedRule(
        id="R9.2h",
        title="No contact on a bereavement, disaster, wedding or festival",
        text="And the times that the borrower asks for are respected.",
        source=CONDUCT,
        confidence="seen-2nd",
        valid_from=NEW_CONDUCT,
        value=frozenset({"bereavement", "calamity", "wedding", "festival", "requested"}),
        where="holds: `contact.hold_reasons`",
    ),
)

CAPS: Final[Table[Caps]] = table(
    DatedRule(
        id="R9.4",
        title="Three contacts a day, ten a week",
        text="No regulator names a number; excessive calling is forbidden. The lender's policy may be stricter.",
        source="none",
        confidence="policy",
        valid_from=SINCE,
        value=Caps(per_day=3, per_week=10),
        where="reminders and calls: `contact.contact_caps`",
    )
)

WEEK: Final = timedelta(days=7)


def next_contact_moment(
    at: datetime,
    zone: tzinfo = IST,
    holds: Sequence[Hold] = (),
    recent: Sequence[datetime] = (),
    caps: Caps | None = None,
) -> Ruled[datetime]:
    """The first instant from `at` on at which the borrower may be contacted, in the borrower's zone.

    Inside the hours of the day (from the first, until but not at the last), outside every hold whatever its reason, and
    with the contacts of `recent` counted against `caps` (by default those of `contact_caps`).
    """
    moment = at.astimezone(zone)
    rule = in_force(HOURS, moment.date())
    opens, closes = rule.value if rule else (time.min, time.max)
    while True:
        allowed = caps or contact_caps(moment.date()).value
        if any(hold.from_on <= moment.date() <= hold.until_on for hold in holds) or moment.time() >= closes:
            moment = _tomorrow(moment, opens)
        elif moment.time() < opens:
            moment = datetime.combine(moment.date(), opens, zone)
        elif allowed and (later := _after_caps(moment, recent, allowed, opens)):
            moment = later
        else:
            return by(rule, moment)


def _tomorrow(moment: datetime, opens: time) -> datetime:
    return datetime.combine(moment.date() + timedelta(days=1), opens, moment.tzinfo)


def _after_caps(moment: datetime, recent: Sequence[datetime], caps: Caps, opens: time) -> datetime | None:
    """When the cap that is reached leaves room again; None where none is reached."""
    before = sorted(other.astimezone(moment.tzinfo) for other in recent if other <= moment)
    if sum(other.date() == moment.date() for other in before) >= caps.per_day:
        return _tomorrow(moment, opens)
    this_week = [other for other in before if moment - other < WEEK]
    return this_week[-caps.per_week] + WEEK if len(this_week) >= caps.per_week else None


def contact_caps(on: date) -> Ruled[Caps | None]:
    """How often the borrower may be contacted; the house's number, since the law has none."""
    rule = in_force(CAPS, on)
    return by(rule, rule.value if rule else None)


def people_to_contact(on: date) -> Ruled[frozenset[Person]]:
    """Who may be contacted about a borrower's dues."""
    return ruled(in_force(PEOPLE, on), frozenset[Person]({"borrower", "co-borrower", "guarantor"}))


def hold_reasons(on: date) -> Ruled[frozenset[HoldReason]]:
    """For which reasons contact must rest; a hold that was set is respected for any reason."""
    return ruled(in_force(HOLDS, on), frozenset[HoldReason]())


STATEMENTS: Final[tuple[DatedRule[None], ...]] = (
    DatedRule(
        id="R8.6",
        title="The agent is named first",
        text="The borrower is told the recovery agent's name before the agent makes contact.",
        source="RBI (Digital Lending) Directions, 2025",
        confidence="known",
        valid_from=date(2022, 9, 2),
        value=None,
        where="KFS, and a notice when a case is assigned",
    ),
    DatedRule(
        id="R9.3",
        title="Trained agents, recorded calls",
        text="Board policy, certificate of the Indian Institute of Banking and Finance, calls recorded, the assigned "
        "agent told to the borrower.",
        source=CONDUCT,
        confidence="seen-2nd",
        valid_from=NEW_CONDUCT,
        value=None,
        where="every contact is recorded; the rest is outside the product",
    ),
)

RULES: Final[tuple[AnyRule, ...]] = (*HOURS, *PEOPLE, *HOLDS, *CAPS, *STATEMENTS)
