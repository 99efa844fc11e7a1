"""A rebuild beside the live read model, while the log grows and the projector runs."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from adapters.audit import verify
from adapters.database import connect_pool
from domain.events import LoanEvent
from projections.registry import BY_NAME
from streams.rebuild import Rebuild, RebuildRefused
from tests.integration.read_models.books import a_projector, all_rows, catch_up, reached, write_log
from tests.lives import COLLECTING as RULES

pytestmark = pytest.mark.slow

ALL_NAMES = sorted(BY_NAME)


async def rebuild(dsn: str, name: str, *, batch_events: int = 20_000) -> int:
    owner = await connect_pool(dsn, name="rebuild", size=1, role=None)
    try:
        return await Rebuild(BY_NAME[name](RULES)).run(owner, batch_events=batch_events)
    finally:
        await owner.close()


@pytest.mark.parametrize("name", ALL_NAMES)
async def test_a_rebuild_equals_the_live_tables(
    house: str,
    pool: asyncpg.Pool,
    history: list[LoanEvent],
    name: str,
) -> None:
    await write_log(house, history)
    await catch_up(pool, a_projector(pool))
    live = await all_rows(pool)
    assert await rebuild(house, name, batch_events=300) == len(history)
    assert await all_rows(pool) == live
    schemas = await pool.fetch("SELECT nspname FROM pg_namespace WHERE nspname LIKE $1", f"{name}%")
    assert [schema["nspname"] for schema in schemas] == [name]


async def test_the_projector_goes_on_while_each_read_model_is_rebuilt(
    house: str,
    pool: asyncpg.Pool,
    history: list[LoanEvent],
) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(a_projector(pool, batch_events=50).run(stop))
    writer = await write_log(house, history[:400])
    step = 150

    async def grow() -> None:
        for start in range(400, len(history), step):
            await write_log(house, history[start : start + step], writer)
            await asyncio.sleep(0.02)

    growing = asyncio.create_task(grow())
    for name in ALL_NAMES:
        await rebuild(house, name, batch_events=200)
    await growing
    for name in ALL_NAMES:
        await rebuild(house, name)
    await reached(pool, len(history))
    stop.set()
    await running
    findings = await verify(pool, RULES)
    assert findings.differences == []
    assert findings.events == len(history)
    assert findings.rows > 1_000


async def test_a_rebuild_may_overtake_a_projector_that_lags(
    house: str,
    pool: asyncpg.Pool,
    history: list[LoanEvent],
) -> None:
    await write_log(house, history)
    lagging = a_projector(pool, batch_events=200)
    async with pool.acquire() as connection:
        await lagging.take_stock(connection)
        await lagging.step(connection)
    await rebuild(house, "ledger")
    await catch_up(pool, lagging)
    assert (await verify(pool, RULES)).differences == []


async def test_one_rebuild_of_a_read_model_at_a_time(house: str) -> None:
    connection = await asyncpg.connect(house)
    await connection.execute("SELECT pg_advisory_lock(hashtext('qist rebuild ledger'))")
    with pytest.raises(RebuildRefused):
        await rebuild(house, "ledger")
    await connection.close()
