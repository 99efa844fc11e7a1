"""How far behind everybody is: the engine of the topics, the publisher and the projector of the log."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from adapters.kafka import client_options, cluster_identity
from adapters.settings import Settings
from projections.registry import ALL
from streams.topics import INBOUND

log = structlog.get_logger("api")

FRESH_SECONDS = 1.5
PATIENCE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Lag:
    """Records or events still to be done. None: unknown, since the broker or the read model is not there."""

    engine: dict[str, int] | None
    publisher: int
    projectors: dict[str, int | None]

    def told(self) -> dict[str, int | None]:
        known = [behind for behind in self.projectors.values() if behind is not None]
        return {
            "engine": None if self.engine is None else sum(self.engine.values()),
            "publisher": self.publisher,
            "projector": max(known, default=None),
        }


class BrokerEnds:
    """Where each inbound partition ends on the broker, and which broker it is; asked at most every other second."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")
        self._known: tuple[str, dict[tuple[str, int], int]] | None = None

    async def get(self, partitions: int) -> tuple[str, dict[tuple[str, int], int]] | None:
        """(cluster's identity, end by topic and partition); None when the broker does not answer."""
        async with self._asking:
            if time.monotonic() - self._asked_at > FRESH_SECONDS:
                self._known = await self._ask(partitions)
                self._asked_at = time.monotonic()
            return self._known

    async def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()

    async def _ask(self, partitions: int) -> tuple[str, dict[tuple[str, int], int]] | None:
        if self._settings.kafka_bootstrap is None:
            return None
        wanted = [TopicPartition(topic.name, number) for topic in INBOUND for number in range(partitions)]
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                cluster = await cluster_identity(self._settings, "api")
                if self._consumer is None:
                    consumer = AIOKafkaConsumer(**client_options(self._settings, "api"))
                    self._consumer = consumer
                    await consumer.start()
                ends: dict[Any, int] = await self._consumer.end_offsets(wanted)
        except (KafkaError, OSError, TimeoutError) as error:
            log.debug("the broker does not say where its topics end", error=repr(error))
            await self.close()
            return None
        return cluster, {(part.topic, part.partition): end for part, end in ends.items()}


async def lag(pool: asyncpg.Pool, ends: BrokerEnds, partitions: int) -> Lag:
    """Everybody's lag by now. What is behind by nothing is caught up with all that was committed."""
    known = await ends.get(partitions)
    async with pool.acquire() as connection:
        publisher = await connection.fetchval(
            "SELECT coalesce(sum(greatest(position - published, 0)), 0)::bigint FROM partitions"
        )
        engine = None if known is None else await _engine(connection, *known)
        projectors = {projection.name: await _projector(connection, projection.name) for projection in ALL}
    return Lag(engine, publisher, projectors)


async def _engine(connection: Any, cluster: str, ends: dict[tuple[str, int], int]) -> dict[str, int]:
    rows = await connection.fetch(
        "SELECT topic, partition, next_offset FROM inbound_offsets WHERE cluster_id = $1", cluster
    )
    taken = {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
    behind = {topic.name: 0 for topic in INBOUND}
    for (topic, partition), end in ends.items():
        behind[topic] += max(0, end - taken.get((topic, partition), 0))
    return behind


async def _projector(connection: Any, name: str) -> int | None:
    """None while its schema is not there."""
    if await connection.fetchval("SELECT to_regclass($1)", f"{name}.positions") is None:
        return None
    return await connection.fetchval(
        "SELECT coalesce(sum(greatest(p.position - r.position, 0)), 0)::bigint"
        f" FROM partitions p JOIN {name}.positions r USING (partition)"
    )
