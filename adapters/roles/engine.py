"""The engine role: settings in, the partition loop out."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from typing import cast
from uuid import uuid4

import asyncpg
import structlog

from adapters.clocks import clock_of
from adapters.database import open_house
from adapters.event_store.postgres import PostgresLog
from adapters.failure_codes import KeptCodes
from adapters.gateway_health import FollowedHealth
from adapters.house import load_rules
from adapters.insights import DashboardInsights
from adapters.kafka import another_cluster, client_options, cluster_identity, new_producer
from adapters.readiness import announce_ready
from adapters.settings import Settings
from adapters.vault import Vault, master_key
from streams.engine import Batch, Engine
from streams.inbox import HoleInTheLog, KafkaInbox
from streams.publisher import Producer, Publisher
from streams.topics import INBOUND

log = structlog.get_logger("engine")


async def run_engine(settings: Settings, stop: asyncio.Event, *, partitions: list[int] | None = None) -> None:
    """Serve the engine's partitions (those named, else its share of the group's) until `stop`."""
    pool = await open_house(settings, name="engine", size=settings.database_pool_size)
    try:
        while not stop.is_set():
            cluster = await cluster_identity(settings, "engine")
            await serve(settings, stop, pool, cluster, partitions)
    finally:
        await pool.close()


async def serve(
    settings: Settings, stop: asyncio.Event, pool: asyncpg.Pool, cluster: str, partitions: list[int] | None
) -> None:
    """Until `stop`, or until another cluster answers in this one's place: its offsets mean nothing to that."""
    crash_at = crash_points()
    master = settings.vault_key.get_secret_value() if settings.vault_key else None
    events = PostgresLog(pool, Vault(master_key(master, settings.data_dir)), crash_at)
    publisher = Publisher(lambda: cast(Producer, new_producer(settings, "engine")), events, crash_at)
    inbox = KafkaInbox(
        topics=[topic.name for topic in INBOUND],
        group=settings.engine_group,
        client_options=client_options(settings, "engine"),
        partitions=partitions,
        instance=settings.instance,
        session_timeout_ms=settings.session_timeout_ms,
        batch_size=settings.batch_size,
    )
    gateways = FollowedHealth(settings)
    engine = Engine(
        inbox=inbox,
        events=events,
        publisher=publisher,
        clock=clock_of(settings, pool),
        rules=load_rules(),
        codes=KeptCodes(pool),
        insights=DashboardInsights(pool),
        partition_count=settings.partitions,
        cluster_id=cluster,
        health=lambda: gateways.health,
        owner=f"{settings.instance or socket.gethostname()}:{os.getpid()}:{uuid4().hex[:6]}",
        wait_ms=settings.batch_wait_ms,
        crash_at=crash_at,
        on_batch=report_batch,
        on_claimed=announce_ready,
    )
    await inbox.start()
    replaced = asyncio.create_task(another_cluster(settings, "engine", cluster))
    following = asyncio.create_task(gateways.follow())
    running = asyncio.create_task(engine.run(stop))
    try:
        await asyncio.wait({running, replaced}, return_when=asyncio.FIRST_COMPLETED)
        if replaced.done():
            replaced.result()
            log.warning("the broker was replaced: starting again from its first record", was=cluster)
        else:
            running.result()
    except HoleInTheLog:  # the likely sign of a new and still emptier cluster
        if await cluster_identity(settings, "engine") == cluster:
            raise
    finally:
        running.cancel()
        replaced.cancel()
        following.cancel()
        await asyncio.gather(running, replaced, following, return_exceptions=True)
        await inbox.stop()
        await publisher.close()


def report_batch(batch: Batch, seconds: float) -> None:
    """One line a batch."""
    log.debug(
        "batch",
        records=len(batch.records),
        wakeups=len(batch.wakeups),
        events=sum(len(part.events) for part in batch.parts.values()),
        dead_letters=sum(part.tally.dead_lettered for part in batch.parts.values()),
        parked=sum(part.tally.parked for part in batch.parts.values()),
        ms=round(seconds * 1000, 1),
    )


def crash_points() -> Callable[[str], None]:
    """For tests: QIST_CRASH_AT='after commit:3' kills this process the third time it comes to that point, and
    'before commit:5:STOP' freezes it."""
    wanted, times, how = [*os.environ.get("QIST_CRASH_AT", "").split(":"), "", ""][:3]
    left = int(times or 1)

    def crash_at(point: str) -> None:
        nonlocal left
        if point == wanted:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.Signals[f"SIG{how or 'KILL'}"])

    return crash_at
