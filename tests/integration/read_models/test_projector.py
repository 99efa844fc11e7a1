"""The projector on a real PostgreSQL: nothing is lost, nothing counts twice, and a batch may have any size."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from adapters.audit import verify
from adapters.event_store.migrate import migrate
from domain.events import LoanEvent
from projections.registry import ALL
from streams.read_models import Superseded
from tests.integration.read_models.books import (
    PARTITIONS,
    a_projector,
    all_rows,
    catch_up,
    reached,
    write_log,
    write_snapshots,
)
from tests.lives import COLLECTING as RULES
from tests.lives import the_loan


async def test_the_size_of_batches_changes_nothing(house: str, pool: asyncpg.Pool, history: list[LoanEvent]) -> None:
    await write_log(house, history)
    await catch_up(pool, a_projector(pool))
    at_once = await all_rows(pool)
    assert len(at_once["ledger.journal"]) > 500
    connection = await asyncpg.connect(house)
    for projection in ALL:
        await connection.execute(f"DROP SCHEMA {projection.name} CASCADE")
    await connection.close()
    await migrate(house, PARTITIONS)
    batches = await catch_up(pool, a_projector(pool, batch_events=37, cached_loans=3))
    assert batches > 50
    assert await all_rows(pool) == at_once


async def test_loans_that_are_not_in_hand_come_from_their_snapshots(
    house: str, pool: asyncpg.Pool, history: list[LoanEvent]
) -> None:
    await write_log(house, history)
    assert await write_snapshots(house, history) > 30
    await catch_up(pool, a_projector(pool, batch_events=25, cached_loans=1))
    findings = await verify(pool, RULES)
    assert findings.differences == []
    assert findings.snapshots > 30


async def test_a_projector_that_is_killed_between_batches_loses_nothing(
    house: str, pool: asyncpg.Pool, history: list[LoanEvent]
) -> None:
    await write_log(house, history)
    first = a_projector(pool, batch_events=100)
    async with pool.acquire() as connection:
        await first.take_stock(connection)
        await first.step(connection)
        rows = await first.read(connection)
        await first.fold(connection, rows)  # and here it dies: folded, not written
    await catch_up(pool, a_projector(pool, batch_events=100))
    killed = await all_rows(pool)
    assert sum(len(rows) for rows in killed.values()) > 1_000
    assert await pool.fetchval("SELECT sum(paise) FROM ledger.trial_balance") == 0
    assert await pool.fetchval("SELECT sum(position) FROM loan_view.positions") == len(history)


async def test_a_second_projector_on_the_same_partitions_loses_cleanly(
    house: str, pool: asyncpg.Pool, history: list[LoanEvent]
) -> None:
    await write_log(house, history)
    one, other = a_projector(pool, batch_events=200), a_projector(pool, batch_events=200)
    async with pool.acquire() as connection:
        await one.take_stock(connection)
        await other.take_stock(connection)
        await one.step(connection)
        with pytest.raises(Superseded):
            await other.step(connection)
        await other.take_stock(connection)
        assert await other.step(connection) > 0
    assert await pool.fetchval("SELECT sum(paise) FROM ledger.balances") == 0


async def test_it_follows_the_log_as_it_grows_and_stops_when_told(
    house: str, pool: asyncpg.Pool, history: list[LoanEvent]
) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(a_projector(pool).run(stop))
    writer = await write_log(house, history[:500])
    await write_log(house, history[500:], writer)
    await reached(pool, len(history))
    stop.set()
    await asyncio.wait_for(running, 5)


async def test_the_database_itself_refuses_entries_that_do_not_balance(pool: asyncpg.Pool) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute(
            "INSERT INTO ledger.journal VALUES (0, 1, 'LN-1', 't', '', '2026-01-01', now(), '{1000,1100}', '{5,-4}')"
        )


async def test_days_past_due_are_counted_when_they_are_read(pool: asyncpg.Pool) -> None:
    """RBI's example of 12 November 2021: due on 31 March 2021, NPA at the day-end of 29 June."""
    for day, dpd in (("2021-03-30", 0), ("2021-03-31", 1), ("2021-04-30", 31), ("2021-06-29", 91)):
        assert await pool.fetchval(f"SELECT delinquency.dpd('2021-03-31', '{day}')") == dpd
    assert await pool.fetchval("SELECT delinquency.dpd(NULL, '2021-04-30')") == 0


async def test_a_loan_is_shown_as_the_domain_sees_it(house: str, pool: asyncpg.Pool, history: list[LoanEvent]) -> None:
    await write_log(house, history)
    await catch_up(pool, a_projector(pool))
    for seed in range(40):
        loan = the_loan([event for event in history if event.originator_id == f"LN-{seed}"])
        row = await pool.fetchrow("SELECT * FROM loan_view.loans WHERE loan_id = $1", loan.id)
        assert (row["stage"], row["principal_paise"], row["version"]) == (
            loan.stage,
            loan.principal_paise,
            loan.version,
        )
        assert row["payable_paise"] == loan.payable_paise()
