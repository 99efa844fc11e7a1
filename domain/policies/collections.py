"""Arrears: which strategy a loan is treated by, what it does next, and whose work a case is. Data, and pure questions.

A strategy (`domain/strategies/*.toml`) has segments by risk, history and balance, and arms on trial against each other:
a champion and its challengers, each a table of bucket x segment -> steps with a delay. The arm of a loan follows from a
hash of its id, so it is the same on every machine and for the loan's whole life.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta

from domain.calendar import at_hour, ist_day

CONTACTS = ("reminder", "payment-link")
"""Steps that write to the borrower..."""
TASKS = ("call", "visit", "legal-notice")
"""... and those that open a case of that kind."""
STEP_AT = time(10)
"""A step's hour of its day: inside the hours in which recovery may be spoken of (servicing rule 30)."""


@dataclass(frozen=True, slots=True)
class Arrears:
    """What segments look at. Nothing of who the borrower is: no protected attribute is here."""

    bounced_instalments: int
    broken_promises: int
    instalments_due: int
    ever_paid: bool
    overdue_paise: int
    principal_paise: int


@dataclass(frozen=True, slots=True)
class Segment:
    """Loans of a kind. All conditions that are given must hold; each is a floor but `most_instalments_due`, which is a
    ceiling for loans that never paid anything."""

    name: str
    bounced_instalments: int = 0
    broken_promises: int = 0
    overdue_paise: int = 0
    principal_paise: int = 0
    most_instalments_due: int | None = None

    def has(self, arrears: Arrears) -> bool:
        return (
            arrears.bounced_instalments >= self.bounced_instalments
            and arrears.broken_promises >= self.broken_promises
            and arrears.overdue_paise >= self.overdue_paise
            and arrears.principal_paise >= self.principal_paise
            and (
                self.most_instalments_due is None
                or (not arrears.ever_paid and arrears.instalments_due <= self.most_instalments_due)
            )
        )


@dataclass(frozen=True, slots=True)
class Step:
    """So many days after a loan entered a bucket: a contact or a task. No segments = all of them."""

    bucket: str
    day: int
    do: str
    segments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Arm:
    """One of the ways on trial, and its share of the loans."""

    name: str
    percent: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Strategy:
    """One version of a strategy file."""

    name: str
    version: int
    products: tuple[str, ...]
    segments: tuple[Segment, ...]
    arms: tuple[Arm, ...]
    promise_longest_days: int = 15
    promise_grace_days: int = 1

    def arm_of(self, loan_id: str) -> Arm:
        """The loan's arm: its place from 0 to 99 by a hash, against the arms' percentages in order."""
        place = int.from_bytes(hashlib.sha256(f"{self.name}:{loan_id}".encode()).digest()[:8]) % 100
        for arm in self.arms:
            if place < arm.percent:
                return arm
            place -= arm.percent
        raise AssertionError("percentages of arms add up to 100")

    def segment_of(self, arrears: Arrears) -> Segment:
        return next(segment for segment in self.segments if segment.has(arrears))

    def steps(self, arm: Arm, bucket: str, segment: str, entered_at: datetime) -> list[tuple[datetime, str]]:
        """What to do in a bucket and when, in order; the same step twice on a day is one."""
        first = ist_day(entered_at)
        fitting = {
            (at_hour(first + timedelta(days=step.day), STEP_AT), step.do)
            for step in arm.steps
            if step.bucket == bucket and (not step.segments or segment in step.segments)
        }
        return sorted(fitting)


@dataclass(frozen=True, slots=True)
class Strategies:
    """Those in force; the one that names the product goes before the one for all."""

    known: Sequence[Strategy] = ()

    def of(self, product: str) -> Strategy | None:
        for wanted in (product, "*"):
            for strategy in self.known:
                if wanted in strategy.products:
                    return strategy
        return None


@dataclass(frozen=True, slots=True)
class CaseKind:
    """Whose work a kind of case is, how soon, and who hears of it in turn when it is not done."""

    team: str
    within_hours: int
    escalates_to: tuple[str, ...] = ()
    moot: bool = False
    """Closed by itself when nothing is overdue any more."""


@dataclass(frozen=True, slots=True)
class Casework:
    """The lender's table of cases. Without one, cases have no time limit and end in free words."""

    kinds: Mapping[str, CaseKind] = field(default_factory=dict[str, CaseKind])
    dispositions: Mapping[str, str] = field(default_factory=dict[str, str])

    def of(self, kind: str) -> CaseKind | None:
        return self.kinds.get(kind) or self.kinds.get("usual")

    def due_at(self, kind: str, opened_at: datetime, level: int = 0) -> datetime | None:
        """When a case must be done, or, after so many escalations, when the next one comes; None = never."""
        known = self.of(kind)
        if known is None or level > len(known.escalates_to):
            return None
        return opened_at + timedelta(hours=known.within_hours * (level + 1))
