"""Filling the log, projecting it, and reading every read model back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg

from domain import snapshot
from domain.events import LoanEvent
from domain.loan import Loan
from projections.registry import ALL
from streams.projector import Projector
from tests.lives import COLLECTING as RULES
from tests.log_writer import LogWriter

PARTITIONS = 4


def a_projector(pool: asyncpg.Pool, **options: Any) -> Projector:
    return Projector(pool, [projection(RULES) for projection in ALL], range(PARTITIONS), **options)


async def write_log(dsn: str, events: Sequence[LoanEvent], writer: LogWriter | None = None) -> LogWriter:
    writer = writer or LogWriter(PARTITIONS)
    connection = await asyncpg.connect(dsn)
    await writer.write(connection, events)
    await connection.close()
    return writer


async def catch_up(pool: asyncpg.Pool, projector: Projector) -> int:
    """Batch after batch until the log's end: how many there were."""
    batches = 0
    async with pool.acquire() as connection:
        await projector.take_stock(connection)
        while await projector.step(connection):
            batches += 1
    return batches


async def all_rows(pool: asyncpg.Pool) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every read model, in the order of its key."""
    rows: dict[str, list[tuple[Any, ...]]] = {}
    for projection in ALL:
        for table in projection.tables:
            found = await pool.fetch(
                f"SELECT {', '.join(table.names)} FROM {projection.name}.{table.name} ORDER BY {', '.join(table.key)}"
            )
            rows[f"{projection.name}.{table.name}"] = [tuple(row) for row in found]
    return rows


async def reached(pool: asyncpg.Pool, events: int) -> None:
    """Return when every read model has folded so many events."""
    async with asyncio.timeout(30):
        for projection in ALL:
            while await pool.fetchval(f"SELECT sum(position) FROM {projection.name}.positions") < events:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def write_snapshots(dsn: str, history: Sequence[LoanEvent], every: int = 20) -> int:
    """A snapshot of each loan at its last version that `every` divides: how many."""
    loans: dict[str, Loan] = {}
    kept: dict[str, tuple[int, str, int, int, bytes, bytes]] = {}
    for row, event in zip(LogWriter(PARTITIONS).rows(history), history, strict=True):
        loan = loans.setdefault(row[2], Loan.shell(row[2]))
        loan.evolve(event)
        if loan.version % every == 0:
            kept[row[2]] = (row[0], row[2], loan.version, snapshot.SCHEMA, snapshot.dump(loan), row[-1])
    connection = await asyncpg.connect(dsn)
    await connection.copy_records_to_table("snapshots", records=list(kept.values()))
    await connection.close()
    return len(kept)
