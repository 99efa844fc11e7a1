"""What happens when an account is debited: its hidden balance, its bank's outages, its end.

Time is whole hours since 1970 in Asia/Kolkata (`Hour`), rounded up for what begins inside an hour: rails present on
the hour. The dice of an outage depend on the seed, the loan and the hour alone, so that every strategy meets the same
world, whatever it did before.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from adapters.evaluation.population import Account, Population
from domain.calendar import IST
from domain.failures import HARD, SOFT, SUCCESS, TECHNICAL

Hour = int
_EPOCH = datetime(1970, 1, 1, tzinfo=IST)
_EPOCH_DAY = date(1970, 1, 1).toordinal()


def hour_of(at: datetime) -> Hour:
    """The first whole hour that is not before an instant."""
    return -int((_EPOCH - at.astimezone(UTC)) // timedelta(hours=1))


def instant(hour: Hour) -> datetime:
    return _EPOCH + timedelta(hours=hour)


def hour_on(day: date, hour: int) -> Hour:
    return (day.toordinal() - _EPOCH_DAY) * 24 + hour


def day_of(hour: Hour) -> date:
    return date.fromordinal(_EPOCH_DAY + hour // 24)


@dataclass(slots=True)
class Ledger:
    """What one account holds: a step function less our own successful debits."""

    hours: list[Hour]
    paise: list[int]
    draws: list[tuple[int, Hour | None]] = field(default_factory=list[tuple[int, "Hour | None"]])
    """Amount, and the hour from which it is made up for; None = never."""

    @classmethod
    def of(cls, account: Account) -> Ledger:
        return cls([hour_of(at) for at, _ in account.balance], [paise for _, paise in account.balance])

    def holds(self, at: Hour) -> int:
        """Paise at an hour; nothing before the first step."""
        index = bisect_right(self.hours, at) - 1
        if index < 0:
            return 0
        return self.paise[index] - sum(amount for amount, back in self.draws if back is None or at < back)

    def draw(self, amount: int, at: Hour) -> None:
        """A successful debit: the balance is lower until its next step upwards of at least as much."""
        first = bisect_right(self.hours, at)
        back = next(
            (
                self.hours[index]
                for index in range(max(first, 1), len(self.hours))
                if self.paise[index] - self.paise[index - 1] >= amount
            ),
            None,
        )
        self.draws = [draw for draw in self.draws if draw[1] is None or draw[1] > at]
        self.draws.append((amount, back))


@dataclass(frozen=True, slots=True)
class Down:
    """An outage in hours: [begins, ends)."""

    begins: Hour
    ends: Hour
    probability: float


class World:
    """The accounts of a population, as one strategy leaves them."""

    def __init__(self, population: Population) -> None:
        self.population = population
        self._seed = population.seed
        self._ledgers = [Ledger.of(account) for account in population.accounts]
        self._hard = [None if account.hard is None else hour_of(account.hard.begins) for account in population.accounts]
        self._down: dict[tuple[str, str], list[Down]] = {}
        for outage in population.outages:
            down = Down(hour_of(outage.begins), hour_of(outage.ends), outage.fail_probability)
            self._down.setdefault((outage.bank, outage.rail), []).append(down)

    def attempt(self, index: int, at: Hour) -> str:
        """Debit an account's instalment: `success`, or the class of the failure."""
        outcome = self.foresee(index, at)
        if outcome == SUCCESS:
            self._ledgers[index].draw(self.population.accounts[index].instalment_paise, at)
        return outcome

    def foresee(self, index: int, at: Hour) -> str:
        """What an attempt would give; nothing is debited. Only the oracle may ask."""
        account = self.population.accounts[index]
        hard = self._hard[index]
        if hard is not None and at >= hard:
            return HARD
        for down in self._down.get((account.bank, account.rail), ()):
            if down.begins <= at < down.ends and self._dice(account.loan_id, at) < down.probability:
                return TECHNICAL
        return SUCCESS if self._ledgers[index].holds(at) >= account.instalment_paise else SOFT

    def _dice(self, loan_id: str, at: Hour) -> float:
        return random.Random(f"{self._seed}:{loan_id}:{at}").random()


def due_days(account: Account, begins: date, until: date) -> Iterator[date]:
    """An account's due days in a period, both ends included; a month without that day has its last."""
    year, month = begins.year, begins.month
    while (year, month) <= (until.year, until.month):
        day = date(year, month, min(account.due_day, monthrange(year, month)[1]))
        if begins <= day <= until:
            yield day
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
