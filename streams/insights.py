"""Faust: how often debits succeed, by bank, rail and gateway over 1, 7 and 28 days -> `projection.payment-insights`.

The input is the projector's dashboard: how many debits of a kind had an outcome, counted by day, as absolute numbers.
So a record that comes twice changes nothing, and the stream is small however many debits there are.

Windows are made here and not by Faust, because:

- they are days of business time (Asia/Kolkata, of the events), and Faust's windows follow its own idea of a stream's
  time; a simulated clock, a backlog or a rebuild would put outcomes into the wrong ones or expire them early;
- `on_window_close` is not reliable (windows are lost when a worker dies, and do not expire after a recovery), so
  each change is told at once, to a compacted topic, and readers choose the window that they want;
- all three windows are sums over the same days: one table of the days' counts gives them all, and forgets old days.

A window ends with the newest day on which its bank, rail and gateway had an outcome (`as_of`): whoever reads it sees
how old it is. `attempts` are those whose outcome is known; `hour` is the hour in which it became known.
"""
# pyright: basic

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import faust
import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from streams.bodies import validated
from streams.envelope import Record, headers_for
from streams.faust_records import Table, Topics, Work, add_agent, assigned
from streams.gateway_health import tell_answers
from streams.topics import PAYMENT_INSIGHTS, PROJECTION_DASHBOARD, Topic, partition_of

OUTCOMES = Topic("qist-streams-outcomes", "bank|rail|gateway")
"""The debit outcomes of the dashboard, brought together by what the insights are about."""

WINDOWS = (1, 7, 28)
TELL_SECONDS = 1.0
"""Changes of this long are told together."""

SOURCE = "qist/insights"
TYPE = "projection.payment-insight.v1"
FAILED: tuple[str, ...] = ("soft", "hard", "technical")
KINDS: tuple[str, ...] = ("succeeded", *FAILED)


class DebitCount(BaseModel):
    """A row of the dashboard's `debits`: how often this happened on that day, as it stands now."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    TYPE: ClassVar[str] = "projection.dashboard.debits.v1"

    partition: int
    day: date
    hour: Annotated[int, Field(ge=0, le=23)]
    rail: str
    bank: str
    gateway: str
    attempt: int
    outcome: Literal["attempted", "succeeded", "failed"]
    failure_class: Literal["", "soft", "hard", "technical"]
    code: str
    count: Annotated[int, Field(strict=True, ge=0)]
    position: int
    changed_at: AwareDatetime

    @property
    def path(self) -> str:
        return f"{self.bank}|{self.rail}|{self.gateway}"

    @property
    def kind(self) -> str:
        """One of `KINDS`; empty for what is not an outcome."""
        return {"succeeded": "succeeded", "failed": self.failure_class}.get(self.outcome, "")

    @property
    def key(self) -> str:
        """What the count is of."""
        dimensions = (self.partition, self.day, self.hour, self.path, self.attempt, self.kind, self.code)
        return "|".join(map(str, dimensions))

    @classmethod
    def of(cls, record: Record) -> DebitCount | None:
        """The row that a record tells; None when it is of another kind; `Refused` when it cannot be read."""
        if record.header("ce_type") != cls.TYPE:
            return None
        row = validated(cls, record)
        return row if row.kind else None


class Count(NamedTuple):
    """What the table keeps of a row (as a JSON list)."""

    bank: str
    rail: str
    gateway: str
    day: str
    hour: int
    kind: str
    count: int
    position: int
    changed_at: str

    @property
    def path(self) -> tuple[str, str, str]:
        return self.bank, self.rail, self.gateway

    @classmethod
    def of(cls, row: DebitCount) -> Count:
        return cls(
            bank=row.bank,
            rail=row.rail,
            gateway=row.gateway,
            day=row.day.isoformat(),
            hour=row.hour,
            kind=row.kind,
            count=row.count,
            position=row.position,
            changed_at=row.changed_at.isoformat(),
        )


Hours = dict[int, dict[str, int]]
"""Hour -> kind -> how many."""


class Days:
    """One bank, rail and gateway: its counts by day, and the keys of the table that they came from."""

    def __init__(self) -> None:
        self.hours: defaultdict[str, Hours] = defaultdict(dict)
        self.keys: defaultdict[str, set[str]] = defaultdict(set)
        self.changed_at = ""

    def add(self, key: str, count: Count, change: int) -> None:
        """Count `change` more of what `count` is of."""
        kinds = self.hours[count.day].setdefault(count.hour, dict.fromkeys(KINDS, 0))
        kinds[count.kind] += change
        self.keys[count.day].add(key)
        if not self.changed_at or datetime.fromisoformat(count.changed_at) > datetime.fromisoformat(self.changed_at):
            self.changed_at = count.changed_at

    @property
    def newest(self) -> str:
        return max(self.hours)

    def forget(self) -> Iterator[str]:
        """Drop the days that no window reaches, and say which keys they had."""
        oldest = _days_before(self.newest, max(WINDOWS) - 1)
        for day in [day for day in self.hours if day < oldest]:
            del self.hours[day]
            yield from sorted(self.keys.pop(day))

    def window(self, days: int) -> dict[str, Any]:
        """The sums of the last `days` days."""
        since = _days_before(self.newest, days - 1)
        total = dict.fromkeys(KINDS, 0)
        by_hour: Hours = {}
        for day, hours in self.hours.items():
            if day < since:
                continue
            for hour, kinds in hours.items():
                sums = by_hour.setdefault(hour, dict.fromkeys(KINDS, 0))
                for kind, count in kinds.items():
                    sums[kind] += count
                    total[kind] += count
        return {
            "window_days": days,
            "as_of": self.newest,
            **_rates(total),
            "by_hour": {str(hour): _rates(by_hour[hour]) for hour in sorted(by_hour)},
        }


class Insights:
    """The windows of the partitions that this worker has, apart from Faust."""

    def __init__(self, counts: Table, partitions: int) -> None:
        self._counts = counts
        self._partitions = partitions
        self._days: dict[tuple[str, str, str], Days] = {}
        self._changed: set[tuple[str, str, str]] = set()

    def bring_together(self, record: Record, work: Work) -> None:
        """A row of the dashboard goes to the partition of its bank, rail and gateway, as it is."""
        row = DebitCount.of(record)
        if row is not None:
            home = partition_of(row.path, self._partitions)
            work.send(OUTCOMES, row.path.encode(), record.value, [("ce_type", row.TYPE.encode())], home)

    def count(self, record: Record, work: Work) -> None:
        """Take a row's newest count; one that is older than what is known, or than any window, changes nothing."""
        row = DebitCount.of(record)
        if row is None:
            return
        key, count = row.key, Count.of(row)
        stored = self._counts.read(key)
        before = Count(*stored) if stored else None
        if before is not None and (before.position > count.position or before == count):
            return
        days = self._days.setdefault(count.path, Days())
        if days.hours and count.day < _days_before(days.newest, max(WINDOWS) - 1):
            return
        work.put(self._counts, key, list(count))
        more = count.count - (before.count if before else 0)
        days.add(key, count, more)
        if more > 0:
            tell_answers(row.gateway, row.rail, count.changed_at, count.kind, more, self._partitions, work)
        for old in days.forget():
            work.drop(self._counts, old)
        self._changed.add(count.path)

    def rebuild(self, mine: frozenset[int]) -> None:
        """The windows from the table, for these partitions; all are told again, in case the last words were lost."""
        self._days.clear()
        for key, stored in self._counts.data.items():
            count = Count(*stored)
            if partition_of("|".join(count.path), self._partitions) in mine:
                self._days.setdefault(count.path, Days()).add(key, count, count.count)
        self._changed = set(self._days)

    def changes(self) -> Iterable[tuple[str, list[tuple[str, bytes]], bytes, int]]:
        """Key, headers, body and partition of each window that changed since last asked."""
        changed, self._changed = self._changed, set()
        for path in sorted(changed):
            days = self._days[path]
            name = "|".join(path)
            for window in WINDOWS:
                key = f"{name}|{window}"
                body = {**dict(zip(("bank", "rail", "gateway"), path, strict=True)), **days.window(window)}
                at = datetime.fromisoformat(days.changed_at)
                headers = headers_for(TYPE, f"{key}:{body['as_of']}:{body['attempts']}", SOURCE, at)
                yield key, headers, orjson.dumps(body), partition_of(name, self._partitions)


def add_insights(app: faust.App, topics: Topics, partitions: int) -> None:
    """The table, the agents and the timer of the insights."""
    counts: Any = app.Table("outcome-counts", partitions=partitions)
    insights = Insights(counts, partitions)
    add_agent(app, topics, PROJECTION_DASHBOARD, insights.bring_together)
    add_agent(app, topics, OUTCOMES, insights.count)

    async def rebuild() -> None:
        insights.rebuild(assigned(app, OUTCOMES))

    async def tell() -> None:
        work = Work(topics, 0, datetime.now(UTC))
        for key, headers, body, partition in insights.changes():
            work.send(PAYMENT_INSIGHTS, key.encode(), body, headers, partition)
        await work.dispatch()
        await work.settle()  # raises, and so stops the worker, rather than leave readers with old rates

    counts.on_recover(rebuild)
    app.timer(interval=TELL_SECONDS, on_leader=False, name="insights.tell")(tell)


def _rates(kinds: dict[str, int]) -> dict[str, Any]:
    succeeded, attempts = kinds["succeeded"], sum(kinds.values())
    rate = Decimal(succeeded) / Decimal(attempts) if attempts else Decimal(0)
    return {
        "attempts": attempts,
        "succeeded": succeeded,
        "failed": {kind: kinds[kind] for kind in FAILED},
        "success_rate": str(rate.quantize(Decimal("0.0001"))),
    }


def _days_before(day: str, days: int) -> str:
    return (date.fromisoformat(day) - timedelta(days=days)).isoformat()
