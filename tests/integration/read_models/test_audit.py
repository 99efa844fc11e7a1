"""The audit finds every kind of flaw, and names the event or the row; a loan can be seen as it stood."""

from __future__ import annotations

import asyncpg
import pytest

from adapters.audit import load_events, refold, verify
from domain.events import LoanEvent
from tests.integration.read_models.books import a_projector, catch_up, write_log, write_snapshots
from tests.lives import COLLECTING as RULES
from tests.lives import the_loan

pytestmark = pytest.mark.slow


@pytest.fixture
async def audited(house: str, pool: asyncpg.Pool, history: list[LoanEvent]) -> asyncpg.Connection:
    """A house whose books are whole, and a connection that may do anything to it."""
    await write_log(house, history)
    await catch_up(pool, a_projector(pool))
    assert (await verify(pool, RULES)).differences == []
    return await asyncpg.connect(house)


async def test_a_tampered_byte_is_named(pool: asyncpg.Pool, audited: asyncpg.Connection) -> None:
    row = await audited.fetchrow(
        "SELECT * FROM events WHERE topic = 'loan.debit-succeeded.v1' ORDER BY partition, position OFFSET 20 LIMIT 1"
    )
    changed = row["state"].replace(b'"bank":"', b'"bank":"X')
    await audited.execute(
        "UPDATE events SET state = $3 WHERE partition = $1 AND position = $2",
        row["partition"],
        row["position"],
        changed,
    )
    await audited.close()
    where = f"loan {row['loan_id']} version {row['version']} at {row['partition']}:{row['position']}"
    findings = await verify(pool, RULES)
    assert [one.where for one in findings.differences if "hash" in one.what] == [where]
    alone = await verify(pool, RULES, row["loan_id"])
    assert [one.where for one in alone.differences if "hash" in one.what] == [where]


async def test_an_event_that_cannot_be_read_is_named_and_the_others_are_still_compared(
    pool: asyncpg.Pool,
    audited: asyncpg.Connection,
) -> None:
    row = await audited.fetchrow("SELECT * FROM events WHERE version = 2 ORDER BY partition, position LIMIT 1")
    await audited.execute(
        "UPDATE events SET state = 'rubbish' WHERE partition = $1 AND position = $2", row["partition"], row["position"]
    )
    await audited.close()
    differences = (await verify(pool, RULES)).differences
    assert len(differences) == 2
    assert {one.where for one in differences} == {
        f"loan {row['loan_id']} version 2 at {row['partition']}:{row['position']}"
    }


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE ledger.balances SET paise = paise + 1 WHERE loan_id = 'LN-3' AND account = 1000", "ledger.balances"),
        ("UPDATE ledger.daily SET debit_paise = debit_paise + 1 WHERE account = 1000", "ledger.daily"),
        ("UPDATE delinquency.loans SET bucket = 'x' WHERE loan_id = 'LN-3'", "delinquency.loans"),
        ("UPDATE loan_view.loans SET principal_paise = 1 WHERE loan_id = 'LN-3'", "loan_view.loans"),
        ("DELETE FROM loan_view.loans WHERE loan_id = 'LN-3'", "loan_view.loans"),
        ("UPDATE dashboard.debits SET count = count + 1", "dashboard.debits"),
        ("UPDATE partitions SET position = position + 1 WHERE partition = 2", "partition 2"),
    ],
)
async def test_whatever_differs_from_the_log_is_named(
    pool: asyncpg.Pool,
    audited: asyncpg.Connection,
    statement: str,
    named: str,
) -> None:
    await audited.execute(statement)
    await audited.close()
    findings = await verify(pool, RULES)
    assert findings.differences
    assert all(one.where.startswith(named) for one in findings.differences)


async def test_a_snapshot_that_differs_from_a_full_fold_is_named(
    house: str, pool: asyncpg.Pool, audited: asyncpg.Connection, history: list[LoanEvent]
) -> None:
    await write_snapshots(house, history)
    await audited.execute(
        "UPDATE snapshots SET state = convert_to(replace(convert_from(state, 'UTF8'), '\"excess_paise\":',"
        " '\"excess_paise\":1'), 'UTF8') WHERE loan_id = 'LN-5'"
    )
    await audited.close()
    (one,) = (await verify(pool, RULES)).differences
    assert one.where.startswith("snapshot of loan LN-5 version ")
    assert one.what == "differs in excess_paise"


async def test_a_missing_event_is_a_gap(pool: asyncpg.Pool, audited: asyncpg.Connection) -> None:
    await audited.execute("DELETE FROM events WHERE partition = 1 AND position = 50")
    await audited.close()
    said = [str(one) for one in (await verify(pool, RULES)).differences]
    assert any("position 51 follows 49" in one for one in said)


async def test_a_loan_as_it_stood(house: str, pool: asyncpg.Pool, history: list[LoanEvent]) -> None:
    await write_log(house, history)
    life = [event for event in history if event.originator_id == "LN-5"]
    assert refold(await load_events(pool, "LN-5")).version == len(life)
    middle = life[len(life) // 2]
    then = refold(await load_events(pool, "LN-5", middle.timestamp))
    assert then.version == sum(event.timestamp <= middle.timestamp for event in life)
    assert then.principal_paise == the_loan(life[: then.version]).principal_paise
    assert await load_events(pool, "LN-none") == []
