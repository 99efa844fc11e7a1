"""One failed instalment, weighed: what its account's debits and the whole book's say of the moments to come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from math import exp
from typing import NamedTuple

from domain.calendar import IST, ist_day
from domain.failures import SOFT, SUCCESS, TECHNICAL
from domain.parts import Answered
from domain.policies.insight import Insight
from domain.policies.likelihood import (
    SLOTS_A_DAY,
    Belief,
    Borrower,
    Futures,
    Seen,
    believe,
    funded,
    futures_of,
    slot_of,
    without,
)
from domain.policies.timing import Chance, Choice, Stakes, choose

WAIT = 0.03
"""A day's wait is worth avoiding for this share of the amount: money that comes late may not come, and the borrower's
days past due run..."""
SOON_DAYS = 7.8
"""... where the book recovers in so many days, in the mean;"""
DEARER = 0.7
"""where it takes a day longer, waiting is dearer by `exp` of this (about twice), and cheaper where it is sooner,"""
CHEAPEST, DEAREST = 0.015, 0.045
"""between these."""

STILL_DOWN = 0.6
"""That what failed technically just now still does..."""
DOWN_HOURS = 24.0
"""... falling by two thirds in so many hours."""
SOON_HOURS = 72
"""A debit that failed technically is tried again within so many hours."""
USUAL = 0.02
"""Share of technical failures on any day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An instalment whose debit failed, and what may be done about it."""

    borrower: Borrower
    bank: str
    rail: str
    number: int
    due_day: int
    """An ordinal (`date.toordinal`)."""
    answers: Sequence[Answered]
    """Of this loan's debits, in order; the last is the failure, where a debit failed."""
    moments: Sequence[datetime]
    """At which a debit is allowed, in order."""
    tries: int
    """Attempts that are left."""
    gap_hours: int
    stakes: Stakes


class Weighed(NamedTuple):
    """The moments worth using, in order (none: give up), the best of the other days, and what was believed."""

    moments: list[Choice]
    others: list[Choice]
    belief: Belief
    through: float
    """That a debit at the first of all moments would get through."""


def weigh(question: Question, insight: Insight) -> Weighed:
    """The model's answer: a pure function of the account's debits and of yesterday's counts."""
    days = ist_day(question.moments[-1]).toordinal() - question.due_day + 1 if question.moments else 0
    belief, futures = expect(question.borrower, question.answers, question.number, question.due_day, days)
    moments = list({slot_of(at): at for at in question.moments}.values())  # of a slot the last: money comes by then
    through = gets_through(question, moments, insight)
    chances = list(map(Chance, moments, through))
    gap = -(-question.gap_hours * SLOTS_A_DAY // 24)
    soon = soon_after_outage(question, chances)
    chosen = choose(futures, question.due_day, soon, 1, question.stakes, gap) if soon else None
    if chosen is None or not chosen.moments:
        chosen = choose(futures, question.due_day, chances, question.tries, question.stakes, gap)
    return Weighed(chosen.moments, chosen.others, belief, through[0] if through else 0.0)


def soon_after_outage(question: Question, chances: Sequence[Chance]) -> list[Chance]:
    """Moments within `SOON_HOURS` of a technical failure: the money may well have been there. With one attempt left
    there is none to spare, and all moments count."""
    if question.tries < 2 or not question.answers or question.answers[-1].outcome != TECHNICAL:
        return []
    until = question.answers[-1].at + timedelta(hours=SOON_HOURS)
    return [chance for chance in chances if chance.at <= until]


def price_of_a_day(insight: Insight) -> float:
    """The share of an amount that a day's wait is worth avoiding: what keeps the book's mean days to recover near
    `SOON_DAYS`, whoever its borrowers are."""
    slower = insight.days_to_recover(SOON_DAYS) - SOON_DAYS
    return min(DEAREST, max(CHEAPEST, WAIT * exp(DEARER * slower)))


def expect(
    borrower: Borrower, answers: Sequence[Answered], number: int, due_day: int, days: int
) -> tuple[Belief, Futures]:
    """Habits by what other instalments' debits told, and the futures that this one's debits leave."""
    told = told_by(answers)
    start = due_day * SLOTS_A_DAY
    belief = believe(borrower, [seen for seen in told if seen.cycle != number], start)
    futures = futures_of(belief, due_day, days)
    for seen in told:
        if seen.cycle == number and not seen.funded:
            futures = without(futures, max(0, seen.slot - start))
    return belief, futures


def told_by(answers: Sequence[Answered]) -> list[Seen]:
    """What debits told of the account: those that reached it."""
    return [Seen(slot_of(at), of, outcome == SUCCESS) for at, of, outcome in answers if outcome in (SUCCESS, SOFT)]


class Risk(NamedTuple):
    """How likely the next presentation bounces for want of funds, and why: codes, the weightiest first."""

    bounces: float
    reasons: tuple[str, ...]


def foresee(borrower: Borrower, answers: Sequence[Answered], due_at: datetime) -> Risk:
    """Before an instalment is presented: the same model, looking at the due day. Nothing about a person enters but
    what `Borrower` holds."""
    told = told_by(answers)
    belief = believe(borrower, told, slot_of(due_at))
    bounces = 1 - funded(belief, told[-1] if told else None, slot_of(due_at))
    return Risk(bounces, tuple(_reasons(borrower, belief, told, due_at)))


def _reasons(borrower: Borrower, belief: Belief, told: Sequence[Seen], due_at: datetime) -> Iterator[str]:
    """In the words of `docs/recovery.md`: what speaks for a bounce."""
    first = {seen.cycle: seen for seen in reversed(told)}
    recent = list(first.values())[:RECENT]
    if recent and not recent[0].funded:
        yield "last-instalment-bounced"
    if sum(not seen.funded for seen in recent) * 2 > len(recent):
        yield "most-instalments-bounced"
    payday, _ = belief.payday()
    if percent(belief.regular) >= percent(0.5) and payday > ist_day(due_at).day:
        yield "payday-after-due-day"
    if percent(belief.regular + belief.periodic) < percent(0.5):
        yield "income-at-no-certain-time"
    if not told:
        yield "no-history"


RECENT = 3
"""Instalments that count as recent."""


def gets_through(question: Question, moments: Sequence[datetime], insight: Insight) -> list[float]:
    """That a debit at each moment reaches the account at all: outages pass; the last failure and yesterday's counts
    tell of them."""
    told: list[tuple[float, datetime]] = []
    if question.answers and question.answers[-1].outcome == TECHNICAL:
        told.append((STILL_DOWN, question.answers[-1].at))
    if insight.as_of is not None:
        rate = insight.of(bank=question.bank, rail=question.rail, recent=True).technical_rate(USUAL)
        if rate > USUAL:
            told.append((rate - USUAL, datetime.combine(insight.as_of, time(), IST)))
    return [
        1 - min(0.95, USUAL + max((down * _fades(since, at) for down, since in told), default=0.0)) for at in moments
    ]


def _fades(since: datetime, at: datetime) -> float:
    return exp(-max(0.0, (at - since) / timedelta(hours=1)) / DOWN_HOURS)


def percent(share: float) -> int:
    """A share as events have it: whole percent."""
    return round(100 * share)
