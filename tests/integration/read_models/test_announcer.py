"""What analytics consumers hear on a real broker: every entry, the newest of every loan and sum, also after a crash."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import asyncpg
import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from adapters.kafka import new_producer
from adapters.kafka_admin import create_topics
from adapters.settings import Settings
from domain.events import LoanEvent
from projections.base import Projection
from projections.registry import ALL
from streams.announcer import Announcer
from tests.integration.read_models.books import PARTITIONS, a_projector, reached, write_log
from tests.lives import COLLECTING as RULES

TOPICS = ("projection.ledger", "projection.delinquency", "projection.dashboard")


@pytest.fixture
async def settings(bootstrap: str) -> Settings:
    settings = Settings(kafka_bootstrap=bootstrap, partitions=PARTITIONS)
    await create_topics(settings, bootstrap)
    return settings


async def ends(bootstrap: str) -> dict[TopicPartition, int]:
    """Where the topics end now, so that a test sees only its own records."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        places = [TopicPartition(topic, number) for topic in TOPICS for number in range(PARTITIONS)]
        return await consumer.end_offsets(places)


async def heard(bootstrap: str, since: dict[TopicPartition, int]) -> dict[str, list[tuple[str, dict[str, str], Any]]]:
    """Topic -> (key, headers, value) of every record since then."""
    until = await ends(bootstrap)
    records: dict[str, list[tuple[str, dict[str, str], Any]]] = defaultdict(list)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as consumer:
        waiting = {place for place in until if until[place] > since[place]}
        consumer.assign(list(waiting))
        for place in waiting:
            consumer.seek(place, since[place])
        while waiting:
            for place, batch in (await consumer.getmany(timeout_ms=500)).items():
                for record in batch:
                    headers = {name: value.decode() for name, value in record.headers}
                    records[place.topic].append((record.key.decode(), headers, orjson.loads(record.value)))
                    if record.offset + 1 >= until[place]:
                        waiting.discard(place)
    return records


def projections() -> list[Projection]:
    return [projection(RULES) for projection in ALL]


async def announced(pool: asyncpg.Pool) -> None:
    """Return when all that is projected is marked as published."""
    async with asyncio.timeout(30):
        for name in ("ledger", "delinquency", "dashboard"):
            while await pool.fetchval(f"SELECT bool_or(published < position) FROM {name}.positions"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def compare(pool: asyncpg.Pool, records: dict[str, list[tuple[str, dict[str, str], Any]]]) -> None:
    """What was heard last of each key is what the tables say."""
    entries = {(value["partition"], value["position"]): value for _, _, value in records["projection.ledger"]}
    rows = await pool.fetch("SELECT partition, position, amounts FROM ledger.journal")
    assert {key: [one["paise"] for one in value["entries"]] for key, value in entries.items()} == {
        (row["partition"], row["position"]): row["amounts"] for row in rows
    }
    loans = {key: value["overdue_principal_paise"] for key, _, value in records["projection.delinquency"]}
    rows = await pool.fetch("SELECT loan_id, overdue_principal_paise FROM delinquency.loans")
    assert loans == {row["loan_id"]: row["overdue_principal_paise"] for row in rows}
    sums = {key: value["count"] for key, _, value in records["projection.dashboard"]}
    rows = await pool.fetch("SELECT partition, day, metric, kind, count FROM dashboard.daily")
    daily = {f"daily|{row['partition']}|{row['day']}|{row['metric']}|{row['kind']}": row["count"] for row in rows}
    assert {key: count for key, count in sums.items() if key.startswith("daily|")} == daily


async def test_everything_is_told_and_a_crash_between_tells_the_rest(
    settings: Settings, bootstrap: str, house: str, pool: asyncpg.Pool, history: list[LoanEvent]
) -> None:
    since = await ends(bootstrap)
    await write_log(house, history)
    first = Announcer(pool, lambda: new_producer(settings, "test"), projections(), range(PARTITIONS))
    projector = a_projector(pool, announcer=first, batch_events=200)
    stop = asyncio.Event()
    projecting, announcing = asyncio.create_task(projector.run(stop)), asyncio.create_task(first.run(stop))
    await reached(pool, len(history) // 2)
    announcing.cancel()  # the crash: whatever was in hand is gone
    await reached(pool, len(history))
    stop.set()
    await projecting
    again, stop = (
        Announcer(pool, lambda: new_producer(settings, "test"), projections(), range(PARTITIONS)),
        asyncio.Event(),
    )
    announcing = asyncio.create_task(again.run(stop))
    await announced(pool)
    stop.set()
    await announcing
    records = await heard(bootstrap, since)
    await compare(pool, records)
    key, headers, value = records["projection.ledger"][0]
    assert key == value["loan_id"]
    assert headers["ce_specversion"] == "1.0"
    assert headers["ce_type"] == "projection.ledger.posted.v1"
    assert headers["content-type"] == "application/json"
    assert set(headers) >= {"ce_id", "ce_source", "ce_time"}


async def test_sums_are_sent_once_a_key_however_many_batches_changed_them(
    settings: Settings, bootstrap: str, house: str, pool: asyncpg.Pool, history: list[LoanEvent]
) -> None:
    since = await ends(bootstrap)
    announcer = Announcer(
        pool, lambda: new_producer(settings, "test"), projections(), range(PARTITIONS), coalesce_seconds=3
    )
    projector = a_projector(pool, announcer=announcer, batch_events=100)
    stop = asyncio.Event()
    tasks = [asyncio.create_task(projector.run(stop)), asyncio.create_task(announcer.run(stop))]
    await asyncio.sleep(0.5)  # both have begun, and the log is empty
    await write_log(house, history)
    await reached(pool, len(history))
    await announced(pool)
    stop.set()
    await asyncio.gather(*tasks)
    records = await heard(bootstrap, since)
    await compare(pool, records)
    told = len(records["projection.dashboard"])
    keys = len({key for key, _, _ in records["projection.dashboard"]})
    assert keys <= told <= 2 * keys


class Absent:
    """A producer whose broker is away."""

    async def start(self) -> None:
        raise KafkaConnectionError("no broker")

    async def stop(self) -> None:
        return None

    async def send(self, topic: str, **record: Any) -> Any:
        raise AssertionError


async def test_read_models_go_on_without_a_broker_and_everything_is_told_when_it_is_back(
    settings: Settings, bootstrap: str, house: str, pool: asyncpg.Pool, history: list[LoanEvent]
) -> None:
    since = await ends(bootstrap)
    away = True

    def producer() -> Absent | AIOKafkaProducer:
        return Absent() if away else new_producer(settings, "test")

    await write_log(house, history)
    announcer = Announcer(pool, producer, projections(), range(PARTITIONS))
    stop = asyncio.Event()
    projector = a_projector(pool, announcer=announcer, batch_events=50)
    tasks = [asyncio.create_task(projector.run(stop)), asyncio.create_task(announcer.run(stop))]
    await reached(pool, len(history))
    away = False
    await announced(pool)
    stop.set()
    await asyncio.gather(*tasks)
    await compare(pool, await heard(bootstrap, since))
