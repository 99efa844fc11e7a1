"""Which of the moments that a rail allows to use, for an instalment that could not be debited.

A few attempts, many moments: the set is chosen together, each moment for the futures that the others would miss, and
the earliest of the set comes next. When that one fails too, the set is chosen anew from what it taught.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import accumulate
from operator import attrgetter
from typing import NamedTuple

from domain.calendar import ist_day
from domain.policies.likelihood import NOISE, SLOTS_A_DAY, Futures, slot_of, stretches


class Chance(NamedTuple):
    """A moment at which the rail takes a debit, and how likely it gets through to the account."""

    at: datetime
    through: float = 1.0


@dataclass(frozen=True, slots=True)
class Stakes:
    """What an attempt may bring and costs. `wait` is the share of the amount that a day's wait is worth avoiding."""

    amount_paise: int
    attempt_paise: int
    bounce_paise: int
    wait: float


class Choice(NamedTuple):
    """A moment: how likely a debit then succeeds, and what it is expected to be worth, in paise."""

    at: datetime
    likely: float
    worth: float


class Chosen(NamedTuple):
    """The moments to use, in order of time (none: no moment is worth its cost), and the best of the other days."""

    moments: list[Choice]
    others: list[Choice]


def choose(
    futures: Futures, due_day: int, chances: Sequence[Chance], tries: int, stakes: Stakes, gap_slots: int
) -> Chosen:
    """At most `tries` moments, at least `gap_slots` apart."""
    whole = sum(futures.values())
    if not whole or not chances or tries < 1:
        return Chosen([], [])
    first, last = slot_of(chances[0].at) - due_day * SLOTS_A_DAY, slot_of(chances[-1].at) - due_day * SLOTS_A_DAY
    window = ((1 << (last - first + 1)) - 1) << first
    left: Futures = {}
    for mask, weight in futures.items():
        seen = mask & window
        left[seen] = left.get(seen, 0.0) + weight / whole
    slots = [slot_of(chance.at) - due_day * SLOTS_A_DAY for chance in chances]
    today = ist_day(chances[0].at)
    values = [stakes.amount_paise * (1 - stakes.wait * (ist_day(chance.at) - today).days) for chance in chances]
    alone: list[Choice] = []
    taken: list[int] = []
    while len(taken) < tries:
        here = futures_at(left, first, last)
        remaining = sum(left.values())
        best, most = -1, 0.0
        for index, chance in enumerate(chances):
            adds = chance.through * ((1 - NOISE) * here[slots[index] - first] + NOISE / 2 * remaining)
            worth = adds * values[index] - remaining * stakes.attempt_paise - (remaining - adds) * stakes.bounce_paise
            if not taken:
                alone.append(Choice(chance.at, adds, worth))
            if worth > most and all(abs(slots[index] - slots[other]) >= gap_slots for other in taken):
                best, most = index, worth
        if best < 0:
            break
        taken.append(best)
        bit, through = 1 << slots[best], chances[best].through
        left = {m: w * (1 - through * (1 - NOISE if m & bit else NOISE / 2)) for m, w in left.items()}
    moments = [alone[index] for index in sorted(taken)]
    days = {ist_day(moment.at) for moment in moments[:1]}
    return Chosen(moments, list(best_of_other_days(alone, days)))


OTHERS = 3
"""Moments that are told beside the chosen one."""


def best_of_other_days(alone: Sequence[Choice], days: set[date]) -> Iterator[Choice]:
    """The moments that are worth most, one a day, on none of some days."""
    for choice in sorted(alone, key=attrgetter("worth"), reverse=True):
        if ist_day(choice.at) not in days:
            days = {*days, ist_day(choice.at)}
            yield choice
            if len(days) > OTHERS:
                return


def futures_at(futures: Futures, first: int, last: int) -> list[float]:
    """The weight of the futures that hold each slot from `first` to `last`."""
    steps = [0.0] * (last - first + 2)
    for mask, weight in futures.items():
        for begins, ends in stretches(mask >> first):
            steps[begins] += weight
            steps[ends] -= weight
    return list(accumulate(steps[:-1]))
