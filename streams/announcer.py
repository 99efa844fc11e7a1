"""What analytics consumers are told: changed rows of the read models, on `projection.*`, at least once and resumable.

Rows arrive here when they are committed. Whatever was not sent (a broker that is away, a start after a crash) is read
back from the tables by position, so a stop of Kafka never stops the read models, and nothing waits in memory for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

import asyncpg
import orjson
import structlog
from aiokafka.errors import KafkaError

from projections.base import Outgoing, Projection, Row, Table
from streams.database_away import DATABASE_AWAY
from streams.envelope import headers_for
from streams.read_models import Positions, changed_rows, mark_published, positions_of

SOURCE = "qist/projector"
WAITING_BATCHES = 8
"""Committed batches that wait to be sent; beyond, they are read back from the tables instead."""
PAUSE_SECONDS = 1.0
SENT_AT_ONCE = 5_000

TROUBLE = (KafkaError, asyncpg.PostgresError, *DATABASE_AWAY)

log = structlog.get_logger("announcer")


class Producer(Protocol):
    """An aiokafka producer with acks=all."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def send(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Any = None,
    ) -> Any: ...


class Told(NamedTuple):
    """Rows of one projection as they stand after a batch."""

    projection: Projection
    reached: Positions
    rows: Sequence[tuple[Table, Sequence[Row]]]


class Announcer:
    """Sends what the projector writes. `run` it as a task beside the projector."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        new_producer: Callable[[], Producer],
        projections: Sequence[Projection],
        partitions: Collection[int],
        *,
        coalesce_seconds: float = 0.5,
    ) -> None:
        """`coalesce_seconds`: sums change with every batch; they are sent at most so often, each key once."""
        self.pool = pool
        self.new_producer = new_producer
        self.projections = [projection for projection in projections if projection.told]
        self.partitions = partitions
        self.coalesce_seconds = coalesce_seconds
        self.records = 0
        self._producer: Producer | None = None
        self._queue: asyncio.Queue[Told] = asyncio.Queue(WAITING_BATCHES * len(self.projections))
        self._behind = True
        self._sums: dict[str, Outgoing] = {}
        self._sums_reached: dict[str, Positions] = {}
        self._sent: dict[str, Positions] = {}
        self._flushed_at = 0.0

    def offer(self, told: Told) -> None:
        """Take committed rows, or, with too many waiting, remember that the tables have them."""
        if self._behind:
            return
        try:
            self._queue.put_nowait(told)
        except asyncio.QueueFull:
            self.fall_behind()

    def fall_behind(self) -> None:
        """Read from the tables what has not been sent: rows were written that nobody offered."""
        self._behind = True

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop; then what is waiting is sent."""
        while not stop.is_set():
            try:
                await self._turn()
            except TROUBLE as error:
                log.warning("cannot announce, will go on from what was sent", error=repr(error))
                self.fall_behind()
                await self._let_go()
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), PAUSE_SECONDS)
        try:
            while not (self._queue.empty() or self._behind):
                await self._send(self._queue.get_nowait())
            await self._flush()
        except TROUBLE as error:
            log.warning("stopped before all was announced; the next start goes on", error=repr(error))
        await self._let_go()

    async def _let_go(self) -> None:
        """A producer can stick after an outage: the next record gets a new one."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(*TROUBLE):
                await producer.stop()

    async def _turn(self) -> None:
        if self._behind:
            await self._catch_up()
        try:
            told = await asyncio.wait_for(self._queue.get(), self.coalesce_seconds)
        except TimeoutError:
            await self._flush()
            return
        await self._send(told)
        if asyncio.get_running_loop().time() - self._flushed_at >= self.coalesce_seconds:
            await self._flush()

    async def _send(self, told: Told) -> None:
        name = told.projection.name
        now: list[Outgoing] = []
        later = False
        for table, rows in told.rows:
            if table.mode == "add":
                later = True
                for row in rows:
                    record = told.projection.tell(table, row)
                    self._sums[record.key] = record
            else:
                now.extend(told.projection.tell(table, row) for row in rows)
        await self._put(now)
        (self._sums_reached if later else self._sent).setdefault(name, {}).update(told.reached)

    async def _flush(self) -> None:
        """Send the sums that changed, and remember how far everything is sent."""
        self._flushed_at = asyncio.get_running_loop().time()
        sums, self._sums = self._sums, {}
        await self._put(sums.values())
        for name, reached in self._sums_reached.items():
            self._sent.setdefault(name, {}).update(reached)
        self._sums_reached = {}
        sent, self._sent = self._sent, {}
        if sent:
            async with self.pool.acquire() as connection:
                for name, reached in sent.items():
                    await mark_published(connection, name, reached)

    async def _put(self, records: Collection[Outgoing]) -> None:
        """Send and wait until every one is acknowledged."""
        if not records:
            return
        if self._producer is None:
            producer = self.new_producer()
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        futures = [await self._producer.send(record.topic, **in_kafka(record)) for record in records]
        for future in futures:
            await future
        self.records += len(futures)

    async def _catch_up(self) -> None:
        """From what was sent to where the tables stand. From its first line on, offers are taken again, so that a row
        is told twice rather than never."""
        self._behind = False
        while not self._queue.empty():
            self._queue.get_nowait()
        self._sums.clear()
        self._sums_reached.clear()
        self._sent.clear()
        for projection in self.projections:
            async with self.pool.acquire() as connection:
                positions, published = await positions_of(connection, projection.name, self.partitions)
            for partition, upto in positions.items():
                if published[partition] < upto:
                    await self._catch_up_partition(projection, partition, published[partition], upto)

    async def _catch_up_partition(self, projection: Projection, partition: int, after: int, upto: int) -> None:
        while after < upto:
            # An append-only table is read in stretches of the log; the others are only as long as they have keys.
            appended = all(table.mode == "append" for table in projection.told)
            reach = min(upto, after + SENT_AT_ONCE) if appended else upto
            async with self.pool.acquire() as connection:
                rows = [
                    (table, await changed_rows(connection, projection.name, table, partition, after, reach))
                    for table in projection.told
                ]
            for table, changed in rows:
                for start in range(0, len(changed), SENT_AT_ONCE):
                    part = changed[start : start + SENT_AT_ONCE]
                    await self._put([projection.tell(table, row) for row in part])
            async with self.pool.acquire() as connection:
                await mark_published(connection, projection.name, {partition: reach})
            after = reach


def in_kafka(record: Outgoing) -> Mapping[str, Any]:
    """A record as aiokafka's producer takes it."""
    return {
        "key": record.key.encode(),
        "value": orjson.dumps(record.value),
        "partition": record.partition,
        "headers": headers_for(record.type, record.id, SOURCE, record.time),
    }
