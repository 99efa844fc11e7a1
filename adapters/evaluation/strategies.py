"""The strategies that are compared. Each sees what a lender would: the account's facts and the outcomes so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Protocol

from adapters.evaluation.population import Population, Rail
from adapters.evaluation.world import Hour, World, day_of, hour_of, instant
from domain.calendar import IST
from domain.failures import HARD, SUCCESS
from domain.parts import Answered
from domain.policies.insight import DAYS, Insight, Way
from domain.policies.likelihood import Borrower
from domain.policies.timing import Stakes
from domain.policies.weighing import Question, foresee, price_of_a_day, weigh

EVERY_DAYS = 3
DAILY_ATTEMPTS = 25


@dataclass(slots=True)
class Cycle:
    """One instalment as a lender sees it."""

    index: int
    """Of its account."""
    number: int
    due: int
    """Due day, an ordinal."""
    last: Hour
    """No attempt after this hour: the window's end, or the end of what is known."""
    tried: list[tuple[Hour, str]] = field(default_factory=list[tuple[Hour, str]])
    """Attempts with their outcomes."""

    @property
    def days(self) -> int:
        """From the due day to the last attempt."""
        return (self.tried[-1][0] - self.tried[0][0] // 24 * 24) // 24


class Strategy(Protocol):
    """When to try again."""

    def presents(self, cycle: Cycle) -> bool:
        """Whether the instalment is presented on its due day at all."""
        ...

    def again(self, cycle: Cycle) -> Hour | None:
        """When next, after the last attempt failed; None = never."""
        ...

    def hears(self, cycle: Cycle) -> None:
        """The outcome of the cycle's last attempt, of any account."""
        ...


class Silent:
    """What most strategies have in common: they present every instalment and learn nothing."""

    def __init__(self, population: Population) -> None:
        self.accounts = population.accounts
        self.rails = population.rails

    def presents(self, cycle: Cycle) -> bool:
        return True

    def hears(self, cycle: Cycle) -> None:
        return None

    def again(self, cycle: Cycle) -> Hour | None:
        return None


class Never(Silent):
    """`none`: the due day's attempt alone."""


class Calendar(Silent):
    """`fixed` and `daily`: the first attempt's hour again every so many days, whatever the failure."""

    def __init__(self, population: Population, *, days: int, most: int | None = None) -> None:
        super().__init__(population)
        self._days = days
        self._most = most

    def again(self, cycle: Cycle) -> Hour | None:
        rail = self.rails[self.accounts[cycle.index].rail]
        if len(cycle.tried) >= (self._most or rail.max_attempts):
            return None
        before = cycle.tried[-1][0]
        step = self._days * 24
        at = before + step
        while self._most is None and at - before < rail.min_gap_hours:
            at += step
        return at if at <= cycle.last else None


class Oracle(Silent):
    """`oracle`: one more attempt, at the first moment that the rail allows and that will succeed."""

    def __init__(self, population: Population, world: World) -> None:
        super().__init__(population)
        self._world = world

    def again(self, cycle: Cycle) -> Hour | None:
        rail = self.rails[self.accounts[cycle.index].rail]
        if len(cycle.tried) >= rail.max_attempts:
            return None
        moments = allowed(rail, cycle.tried[-1][0] + rail.min_gap_hours, cycle.last)
        return next((at for at in moments if self._world.foresee(cycle.index, at) == SUCCESS), None)


def allowed(rail: Rail, earliest: Hour, last: Hour) -> Iterator[Hour]:
    """The hours at which a rail takes a debit, in order."""
    for day in range(earliest // 24, last // 24 + 1):
        for hour in rail.hours:
            if earliest <= day * 24 + hour <= last:
                yield day * 24 + hour


class Adaptive(Silent):
    """`qist`: the policy that the engine decides by."""

    def __init__(self, population: Population) -> None:
        super().__init__(population)
        self._answers: list[list[Answered]] = [[] for _ in population.accounts]
        self._dead = [False] * len(population.accounts)
        self._book = Book()
        self.costs = population.costs
        self.foreseen: list[tuple[Cycle, float]] = []
        """Each instalment presented, with the likelihood of a bounce as it was seen before."""

    def presents(self, cycle: Cycle) -> bool:
        """Not on a mandate that failed for good. Before it is presented, what is foreseen of it is noted."""
        if self._dead[cycle.index]:
            return False
        account = self.accounts[cycle.index]
        borrower = Borrower(account.segment, account.salary_day or 0)
        at = datetime.combine(date.fromordinal(cycle.due), time(self.rails[account.rail].hours[0]), IST)
        self.foreseen.append((cycle, foresee(borrower, self._answers[cycle.index], at).bounces))
        return True

    def hears(self, cycle: Cycle) -> None:
        at, outcome = cycle.tried[-1]
        account = self.accounts[cycle.index]
        self._answers[cycle.index].append(Answered(instant(at), cycle.number, outcome))
        self._dead[cycle.index] |= outcome == HARD
        self._book.add(Way(account.bank, account.rail, "", at % 24), day_of(at), outcome)
        if outcome == SUCCESS and len(cycle.tried) > 1:
            self._book.recovers(day_of(at), cycle.days)

    def again(self, cycle: Cycle) -> Hour | None:
        account = self.accounts[cycle.index]
        rail = self.rails[account.rail]
        before, outcome = cycle.tried[-1]
        tries = rail.max_attempts - len(cycle.tried)
        if outcome == HARD or tries < 1:
            return None
        moments = [instant(at) for at in allowed(rail, before + max(1, rail.min_gap_hours), cycle.last)]
        insight = self._book.insight(day_of(before))
        costs = self.costs
        weighed = weigh(
            Question(
                borrower=Borrower(account.segment, account.salary_day or 0),
                bank=account.bank,
                rail=account.rail,
                number=cycle.number,
                due_day=cycle.due,
                answers=self._answers[cycle.index],
                moments=moments,
                tries=tries,
                gap_hours=rail.min_gap_hours,
                stakes=Stakes(
                    account.instalment_paise, costs.attempt_paise, costs.bounce_charge_paise, price_of_a_day(insight)
                ),
            ),
            insight,
        )
        return hour_of(weighed.moments[0].at) if weighed.moments else None


class Book:
    """The outcomes of all accounts, counted by day as the engine's read models count them."""

    def __init__(self) -> None:
        self._days: dict[date, Counter[tuple[Way, str]]] = {}
        self._recoveries: Counter[tuple[date, int]] = Counter()
        self._known = Insight.empty()

    def recovers(self, day: date, took_days: int) -> None:
        self._recoveries[day, took_days] += 1

    def add(self, way: Way, day: date, outcome: str) -> None:
        self._days.setdefault(day, Counter())[way, outcome] += 1

    def insight(self, today: date) -> Insight:
        """As of the start of a day."""
        if self._known.as_of != today:
            self._known = Insight.from_days(self._days, today, self._recoveries)
            for old in [day for day in self._days if (today - day).days > DAYS]:
                del self._days[old]
        return self._known
