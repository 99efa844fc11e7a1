"""The projector: follows the log by position and keeps every read model, each batch and its positions in one commit.

It follows the log in PostgreSQL and not the topic (docs/decisions/0002): the log is the truth, has positions without
gaps, and is there when Kafka is not. Another projector on the same partitions, or a read model that was rebuilt, is
noticed by the compare-and-set of the positions; then this one reads where things stand and goes on from there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import asyncpg
import structlog

from projections.base import Projection, Write
from streams.announcer import Announcer, Told
from streams.database_away import DATABASE_AWAY
from streams.folding import Folded, Loans, LogRow, fold, read_log
from streams.read_models import Connection, Positions, Superseded, move, positions_of, write

IDLE_SECONDS = 0.02
RETRY_SECONDS = 0.5
REPORT_SECONDS = 10.0

log = structlog.get_logger("projector")


@dataclass(slots=True)
class Tally:
    """What was done since the last report."""

    events: int = 0
    batches: int = 0
    folding: float = 0.0
    writing: float = 0.0
    since: float = field(default_factory=time.perf_counter)


class Projector:
    """Read models of some partitions, kept up to date."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        projections: Sequence[Projection],
        partitions: Collection[int],
        announcer: Announcer | None = None,
        *,
        batch_events: int = 5_000,
        cached_loans: int = 20_000,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self.pool = pool
        self.projections = projections
        self.partitions = sorted(partitions)
        self.announcer = announcer
        self.batch_events = batch_events
        self.loans = Loans(cached_loans)
        self.on_ready = on_ready
        self.positions: dict[str, Positions] = {}
        self.tally = Tally()

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop. Trouble with the database is waited out; a defect of ours ends the process."""
        while not stop.is_set():
            try:
                async with self.pool.acquire() as reader, self.pool.acquire() as writer:
                    await self.take_stock(reader)
                    self.on_ready()
                    await self.follow(reader, writer, stop)
            except (Superseded, asyncpg.PostgresError, *DATABASE_AWAY) as error:
                log.warning("start again from where the read models stand", error=repr(error))
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), RETRY_SECONDS)

    async def take_stock(self, connection: Connection) -> None:
        """Where every read model stands; what was in hand may be of another time."""
        self.loans.forget()
        for projection in self.projections:
            self.positions[projection.name], _ = await positions_of(connection, projection.name, self.partitions)
        if self.announcer is not None:
            self.announcer.fall_behind()

    async def follow(self, reader: Connection, writer: Connection, stop: asyncio.Event) -> None:
        """Batch after batch; while one is written the next is read."""
        rows = await self.read(reader)
        while not stop.is_set():
            if not rows:
                self.report()
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), IDLE_SECONDS)
                rows = await self.read(reader)
                continue
            folded = await self.fold(reader, rows)
            reading = asyncio.create_task(self.read(reader))
            try:
                await self.write(writer, folded, len(rows))
                rows = await reading
            finally:
                reading.cancel()
                with suppress(BaseException):
                    await reading
            self.report()

    async def step(self, connection: Connection) -> int:
        """One batch and no more: how many events."""
        rows = await self.read(connection)
        if rows:
            await self.write(connection, await self.fold(connection, rows), len(rows))
        return len(rows)

    async def read(self, connection: Connection) -> list[LogRow]:
        """The next batch, from where the read model that is furthest behind stands."""
        after = {
            partition: min(self.positions[projection.name][partition] for projection in self.projections)
            for partition in self.partitions
        }
        self.partitions.append(self.partitions.pop(0))  # nobody is always first
        return await read_log(connection, after, self.batch_events)

    async def fold(self, connection: Connection, rows: Sequence[LogRow]) -> list[Folded]:
        """A batch's rows for every read model, and how far each is then."""
        began = time.perf_counter()
        loans = await self.loans.before(connection, rows)
        together = [(projection, self.positions[projection.name]) for projection in self.projections]
        folded = fold(together, rows, loans)
        self.loans.keep_these(loans)
        for projection, old, new, _ in folded:
            self.positions[projection.name] = {**old, **new}
        self.tally.folding += time.perf_counter() - began
        return folded

    async def write(self, connection: Connection, folded: Sequence[Folded], events: int) -> None:
        """All rows of a batch and the positions that it reaches, or nothing."""
        began = time.perf_counter()
        told: list[Told] = []
        async with connection.transaction():
            for projection, old, new, _ in folded:
                await move(connection, projection.name, old, new)
            for projection, _, new, writes in folded:
                rows = [await self.put(connection, projection, one) for one in writes]
                told.append(Told(projection, new, [(one.table, back) for one, back in zip(writes, rows, strict=True)]))
        if self.announcer is not None:
            for one in told:
                if one.projection.told:
                    self.announcer.offer(one)
        self.tally.writing += time.perf_counter() - began
        self.tally.events += events
        self.tally.batches += 1
        log.debug("batch", events=events)

    async def put(self, connection: Connection, projection: Projection, one: Write) -> Sequence[tuple[object, ...]]:
        returning = self.announcer is not None and one.table in projection.told
        return await write(connection, projection.name, one, returning=returning)

    def report(self) -> None:
        """One line now and then."""
        seconds = time.perf_counter() - self.tally.since
        if seconds >= REPORT_SECONDS:
            if self.tally.events:
                log.info(
                    "projected",
                    events=self.tally.events,
                    batches=self.tally.batches,
                    events_per_second=round(self.tally.events / seconds),
                    folding_seconds=round(self.tally.folding, 3),
                    writing_seconds=round(self.tally.writing, 3),
                    loans_in_hand=len(self.loans.held),
                )
            self.tally = Tally()
