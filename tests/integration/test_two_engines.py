"""Two engines on the same loans, a frozen one, another broker, another PostgreSQL process: the log stays one story."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord

from adapters.embedded.broker import Broker, EmbeddedBroker
from adapters.embedded.ports import free_port
from adapters.embedded.postgres import EmbeddedPostgres
from adapters.kafka_admin import create_topics
from adapters.settings import Settings
from tests.integration.world import (
    INBOUND,
    Engine,
    Traffic,
    all_read,
    check_agenda,
    check_everything,
    check_log,
    check_money,
    check_published,
    look,
    name_of,
    records_of,
    settle_in,
)

pytestmark = [pytest.mark.slow, pytest.mark.broker, pytest.mark.timeout(200)]

FENCED = "another writer has our partitions"


@pytest.fixture
async def embedded(services_dir: Path, tmp_path: Path):
    """An embedded broker of our own: what is tested here does not depend on the kind."""
    async with EmbeddedBroker(data_dir=tmp_path) as broker:
        yield broker


async def test_two_engines_on_the_same_partitions_do_nothing_twice(
    database: str, embedded: EmbeddedBroker, tmp_path: Path
) -> None:
    settings = await settle_in(database, embedded.bootstrap, tmp_path)
    rivals = [Engine(settings, name, partitions="0-3") for name in ("one", "other")]
    try:
        async with Traffic(settings, seed=21, loans_a_tick=0.3) as traffic:
            assert all([await rival.claimed() for rival in rivals])
            await traffic.flow_for(8)
        await all_read(settings)
        assert [await rival.stop() for rival in rivals] == [0, 0]
    finally:
        for rival in rivals:
            rival.kill()
    assert all(FENCED in rival.said for rival in rivals)
    await check_everything(settings, traffic.books)


async def test_a_frozen_member_of_the_group_comes_back_and_loses(
    database: str, new_broker: Broker, tmp_path: Path
) -> None:
    settings = await settle_in(database, new_broker.bootstrap, tmp_path, session_timeout_ms=6_000, batch_size=20)
    zombie = Engine(settings, "zombie", crash_at="before commit:20:STOP")
    heir = None
    try:
        async with Traffic(settings, seed=22, loans_a_tick=0.3) as traffic:
            assert await zombie.claimed(), zombie.said
            enough = asyncio.Event()
            flow = asyncio.create_task(traffic.flow(enough))
            await zombie.froze()
            heir = Engine(settings, "heir")
            assert await heir.claimed(), heir.said
            await asyncio.sleep(1)
            zombie.thaw()
            await asyncio.sleep(3)
            enough.set()
            await flow
        await all_read(settings)
        assert await zombie.stop() == 0, zombie.said
        assert await heir.stop() == 0, heir.said
    finally:
        zombie.kill()
        if heir is not None:
            heir.kill()
    assert FENCED in zombie.said
    await check_everything(settings, traffic.books)


async def test_another_broker_in_the_old_one_s_place(database: str, tmp_path: Path) -> None:
    """Under a running engine: everything is sent again and read from the start, and the new topics are whole."""
    port = free_port()
    broker = EmbeddedBroker(data_dir=tmp_path, port=port)
    await broker.start()
    settings = await settle_in(database, broker.bootstrap, tmp_path, days_a_second=1e-6)
    engine = Engine(settings, partitions="0-3")
    try:
        async with Traffic(settings, seed=23, loans_a_tick=0.3) as traffic:
            assert await engine.claimed(), engine.said
            await traffic.flow_for(5)
        await all_read(settings)
        sent = [record for record in await records_of(settings, *INBOUND) if not rerouted(record)]
        before = await look(settings)
        await broker.stop()

        broker = EmbeddedBroker(data_dir=tmp_path, port=port)
        await broker.start()
        await create_topics(settings, broker.bootstrap)
        await send_again(settings, sent)
        await all_read(settings)
        assert await engine.stop() == 0, engine.said
        after = await look(settings)
    finally:
        engine.kill()
        await broker.stop()
    assert "the broker was replaced" in engine.said
    assert after.events == before.events
    assert Counter(map(name_of, after.parked)) == Counter(2 * [name_of(row) for row in before.parked])
    assert {name_of(row) for row in after.dead_letters} == {name_of(row) for row in before.dead_letters}
    check_log(after)
    check_money(after, traffic.books)
    check_agenda(after)
    check_published(after)


async def test_an_engine_outlives_a_restart_of_its_postgresql(embedded: EmbeddedBroker, services_dir: Path) -> None:
    folder = Path(tempfile.mkdtemp(dir=services_dir))
    port = free_port()
    server = EmbeddedPostgres(data_dir=folder, port=port)
    await server.start()
    settings = await settle_in(server.url, embedded.bootstrap, folder)
    engine = Engine(settings, partitions="0-3")
    try:
        async with Traffic(settings, seed=24, loans_a_tick=0.3) as traffic:
            assert await engine.claimed(), engine.said
            flow = asyncio.create_task(traffic.flow_for(10))
            for how in (signal.SIGINT, signal.SIGQUIT):  # in good order, and as if it had crashed
                await asyncio.sleep(2)
                process = psutil.Process(server.pid)
                process.send_signal(how)
                await asyncio.to_thread(process.wait, 20)
                await asyncio.sleep(0.5)
                server = EmbeddedPostgres(data_dir=folder, port=port)
                await server.start()
            await flow
        await all_read(settings)
        assert engine.child.running
        assert await engine.stop() == 0, engine.said
        assert "the database is out of reach" in engine.said
        await check_everything(settings, traffic.books)
    finally:
        engine.kill()
        await server.stop()


def rerouted(record: ConsumerRecord[Any, Any]) -> bool:
    return "qist_rerouted_from" in dict(record.headers)


async def send_again(settings: Settings, records: Iterable[ConsumerRecord[Any, Any]]) -> None:
    """As their producers would: each to the partition where it was."""
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap) as producer:
        for record in records:
            await producer.send(record.topic, record.value, record.key, record.partition, headers=list(record.headers))
