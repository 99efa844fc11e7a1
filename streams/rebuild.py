"""Making a read model anew from the log, beside the live one, which stays up to date until they change places.

The copy is filled in a schema of its own. At the end the live positions are locked, so that the projector waits for
an instant, the copy takes the last events, and the two schemas swap names in one transaction. The projector finds
its positions where it left them, or further; its compare-and-set tells it which.
"""

from __future__ import annotations

from collections.abc import Callable

import asyncpg

from projections.base import Projection
from streams.folding import Loans, fold, read_log
from streams.read_models import Connection, Positions, create_schema, move, positions_of, write

BATCH_EVENTS = 20_000
NEAR = 2_000
"""With so few events to go the swap begins."""


class RebuildRefused(Exception):
    """Another rebuild of this read model is under way."""


class Rebuild:
    """One read model on its way."""

    def __init__(self, projection: Projection, progress: Callable[[int, int], None] = lambda done, goal: None) -> None:
        self.projection = projection
        self.progress = progress
        self.schema = f"{projection.name}_rebuild"
        self.loans = Loans(keep=50_000)
        self.positions: Positions = {}
        self.events = 0

    async def run(self, pool: asyncpg.Pool, *, batch_events: int = BATCH_EVENTS) -> int:
        """Build, catch up, swap: how many events were folded. The pool's role must own the schemas."""
        async with pool.acquire() as connection:
            lock = f"qist rebuild {self.projection.name}"
            if not await connection.fetchval("SELECT pg_try_advisory_lock(hashtext($1))", lock):
                raise RebuildRefused(f"{self.projection.name} is being rebuilt by someone else")
            try:
                await connection.execute("SET synchronous_commit = off")  # a crash means to begin again anyway
                await create_schema(connection, self.projection, self.schema)
                await self.build(connection, batch_events)
                await self.swap(connection)
            finally:
                await connection.execute("RESET synchronous_commit")
                await connection.execute("SELECT pg_advisory_unlock(hashtext($1))", lock)
        return self.events

    async def build(self, connection: Connection, batch_events: int) -> None:
        """Everything that the log holds, one partition after the other, so that few loans are in hand at a time."""
        everything = await connection.fetch("SELECT partition, position FROM partitions")
        goal = sum(row["position"] for row in everything)
        self.positions, _ = await positions_of(connection, self.schema, [partition for partition, _ in everything])
        for partition in sorted(self.positions):
            self.loans.forget()
            while await self.advance(connection, batch_events, partition):
                self.progress(self.events, max(goal, self.events))
        self.loans.forget()
        while await self.advance(connection, batch_events) > NEAR:
            self.progress(self.events, self.events)

    async def advance(self, connection: Connection, batch_events: int, only: int | None = None) -> int:
        """One batch, in a transaction: how many events."""
        after = self.positions if only is None else {only: self.positions[only]}
        rows = await read_log(connection, after, batch_events)
        if rows:
            loans = await self.loans.before(connection, rows)
            for _, old, new, writes in fold([(self.projection, self.positions)], rows, loans):
                async with connection.transaction():
                    await move(connection, self.schema, old, new)
                    for one in writes:
                        await write(connection, self.schema, one)
                self.positions = {**old, **new}
            self.loans.keep_these(loans)
            self.events += len(rows)
        return len(rows)

    async def swap(self, connection: Connection) -> None:
        """Take the last events while the projector waits, and change places."""
        live = self.projection.name
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {live}.positions IN SHARE ROW EXCLUSIVE MODE")
            while await self.advance(connection, BATCH_EVENTS):
                pass
            # Who was told of the old rows is not told again.
            await connection.execute(
                f"UPDATE {self.schema}.positions n SET published = least(n.position, o.published)"
                f" FROM {live}.positions o WHERE o.partition = n.partition"
            )
            await connection.execute(f"DROP SCHEMA IF EXISTS {live}_old CASCADE")
            await connection.execute(f"ALTER SCHEMA {live} RENAME TO {live}_old")
            await connection.execute(f"ALTER SCHEMA {self.schema} RENAME TO {live}")
        await connection.execute(f"DROP SCHEMA {live}_old CASCADE")  # apart, because it waits for whoever still reads
