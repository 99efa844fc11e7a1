"""The insights' windows and the commit watch, without Faust: plain records in, numbers out."""

from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from faust.types import TP

from streams.envelope import Record
from streams.faust_app import CommitWatch
from streams.faust_records import Work
from streams.gateway_health import ANSWERS
from streams.insights import DebitCount, Insights
from streams.topics import Topic


class Counts:
    """The table, as the agent sees it."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}

    def read(self, key: str) -> Any:
        return self.data.get(key)


class Puts(Work):
    """Work that only changes the table."""

    def put(self, table: Any, key: str, value: Any) -> None:
        table.data[key] = value

    def drop(self, table: Any, key: str) -> None:
        del table.data[key]

    def send(self, topic: Topic, key: Any, value: Any, headers: Any, partition: int | None = None) -> None:
        SENT.append((topic.name, orjson.loads(value)))


SENT: list[tuple[str, dict[str, Any]]] = []
"""What was sent on, newest last."""


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
def insights(counts: Counts) -> Insights:
    return Insights(cast(Any, counts), partitions=4)


def tell(insights: Insights, day: str, count: int, position: int, outcome: str = "succeeded", **more: Any) -> None:
    row = {
        "partition": 0, "day": day, "hour": 9, "rail": "upi", "bank": "SBI", "gateway": "g", "attempt": 1,
        "outcome": outcome, "failure_class": "", "code": "", "count": count, "position": position,
        "changed_at": f"{day}T12:00:00+05:30", **more,
    }  # fmt: skip
    headers = (("ce_type", DebitCount.TYPE.encode()),)
    insights.count(Record("any", 0, 0, None, headers, orjson.dumps(row)), cast(Any, Puts)(None, 0, None))


def windows(insights: Insights) -> dict[int, int]:
    """Window -> attempts, of what changed."""
    bodies = [orjson.loads(body) for _, _, body, _ in insights.changes()]
    return {body["window_days"]: body["attempts"] for body in bodies}


def test_a_window_is_its_last_day_and_the_days_before_it(insights: Insights):
    for position, (day, count) in enumerate(
        [("02-01", 1), ("02-02", 10), ("02-22", 100), ("02-23", 1_000), ("03-01", 10_000)]
    ):
        tell(insights, f"2026-{day}", count, position)
    assert windows(insights) == {1: 10_000, 7: 11_000, 28: 11_110}


def test_old_days_are_forgotten_and_do_not_come_back(insights: Insights, counts: Counts):
    tell(insights, "2026-02-01", 5, 1)
    tell(insights, "2026-03-01", 7, 2)
    assert len(counts.data) == 1
    tell(insights, "2026-02-01", 6, 3)
    assert len(counts.data) == 1
    assert windows(insights)[28] == 7


def test_what_says_nothing_new_is_not_told_again(insights: Insights):
    tell(insights, "2026-03-01", 7, 2)
    assert windows(insights)
    tell(insights, "2026-03-01", 7, 2)
    tell(insights, "2026-03-01", 4, 1)
    tell(insights, "2026-03-01", 9, 3, outcome="attempted")
    assert not windows(insights)


def test_the_table_alone_gives_the_same_windows(insights: Insights, counts: Counts):
    tell(insights, "2026-02-28", 3, 1)
    tell(insights, "2026-03-01", 2, 2, outcome="failed", failure_class="hard", code="01")
    told = sorted(body for _, _, body, _ in insights.changes())
    again = Insights(cast(Any, counts), partitions=4)
    again.rebuild(frozenset(range(4)))
    assert sorted(body for _, _, body, _ in again.changes()) == told
    again.rebuild(frozenset())
    assert not list(again.changes())


async def test_commits_that_stand_still_are_noticed():
    tp = TP("los.updates", 3)
    ends, firsts, committed = {tp: 10}, {tp: 0}, {tp: 4}

    async def ends_now(*_: TP) -> dict[TP, int]:
        return ends

    async def firsts_now(*_: TP) -> dict[TP, int]:
        return firsts

    async def committed_now(*_: TP) -> dict[TP, int]:
        return committed

    consumer = SimpleNamespace(
        assignment=lambda: {tp}, reported_ends=ends_now, earliest_offsets=firsts_now, committed=committed_now
    )
    watch = CommitWatch(cast(Any, SimpleNamespace(consumer=consumer)))
    assert [await watch.look() for _ in range(3)] == [6, 6, 6]
    assert watch.still == 2
    committed[tp] = 7
    assert (await watch.look(), watch.still) == (3, 0)
    firsts[tp] = 10  # the broker has dropped the rest
    assert (await watch.look(), watch.still) == (0, 0)


def test_what_is_new_of_a_gateway_is_passed_on_once(insights: Insights):
    SENT.clear()
    tell(insights, "2026-03-01", 7, 2)
    tell(insights, "2026-03-01", 7, 2)
    tell(insights, "2026-03-01", 9, 3)
    tell(insights, "2026-03-01", 4, 4, outcome="failed", failure_class="technical", code="U30")
    tell(insights, "2026-03-01", 5, 4, outcome="attempted")
    told = [(topic, body["gateway"], body["rail"], body["technical"], body["others"]) for topic, body in SENT]
    assert told == [
        (ANSWERS.name, "g", "upi", 0, 7),
        (ANSWERS.name, "g", "upi", 0, 2),
        (ANSWERS.name, "g", "upi", 4, 0),
    ]
