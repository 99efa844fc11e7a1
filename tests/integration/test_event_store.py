"""The log on a real PostgreSQL: one transaction a batch, one writer a partition, append-only, personal data apart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import orjson
import pytest
from cryptography.exceptions import InvalidTag

from adapters.database import connect_pool
from adapters.event_store.migrate import MigrationError, migrate
from adapters.event_store.postgres import PostgresLog
from adapters.vault import Vault
from domain import snapshot
from domain.agenda import next_task
from domain.chain import GENESIS, link
from domain.codec import encode
from domain.events import LoanEvent
from domain.life import handle
from streams.envelope import Record
from streams.ports import DeadLetter, FencedOff, Part, Result
from streams.topics import partition_of
from streams.wire import Secret, understand
from tests.lives import RULES, a_life
from tests.log_writer import LogWriter
from tests.states import fields, folded
from tests.stories import on

PARTITIONS = 2
CLUSTER, OTHER_CLUSTER = "cluster-1", "cluster-2"
NOW = on("1 Mar")
LIFE = a_life(3, "LN-0", steps=30)
HOME = partition_of("LN-0", PARTITIONS)
AWAY = 1 - HOME


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    await migrate(database, PARTITIONS)
    pool = await connect_pool(database, name="test")
    yield pool
    await pool.close()


@pytest.fixture
def vault() -> Vault:
    return Vault(bytes(range(32)))


@pytest.fixture
async def log(pool: asyncpg.Pool, vault: Vault) -> PostgresLog:
    """A log whose partitions "first" has claimed."""
    log = PostgresLog(pool, vault)
    await log.claim(range(PARTITIONS), "first", CLUSTER)
    return log


class Batches:
    """Batches as an engine makes them: rows with positions, versions, and hashes."""

    def __init__(self) -> None:
        self.writer = LogWriter(PARTITIONS)

    def of(self, events: Sequence[LoanEvent], **more: Any) -> Part:
        position = self.writer.positions.get(HOME, 0)
        return Part(HOME, position, events=self.writer.rows(events), **more)  # type: ignore[arg-type]


async def rows_of(pool: asyncpg.Pool, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await pool.fetch(query, *arguments)]


async def positions(pool: asyncpg.Pool) -> list[int]:
    return [row[0] for row in await rows_of(pool, "SELECT position FROM events WHERE partition=$1 ORDER BY 1", HOME)]


# --- Writing and reading -------------------------------------------------------------------------------------


async def test_a_batch_is_written_and_a_loan_is_loaded_as_it_was(pool: asyncpg.Pool, log: PostgresLog) -> None:
    batches = Batches()
    await log.commit([batches.of(LIFE[:4])], "first", CLUSTER, NOW)
    await log.commit([batches.of(LIFE[4:])], "first", CLUSTER, NOW)
    assert await positions(pool) == list(range(1, len(LIFE) + 1))
    held = (await log.load({HOME: ["LN-0", "LN-unknown"]}))["LN-0"]
    assert fields(held.loan) == fields(folded(LIFE))
    assert held.head == batches.writer.heads["LN-0"]
    assert (held.snapshot_version, held.due_at) == (0, None)
    assert "LN-unknown" not in await log.load({HOME: ["LN-unknown"]})


async def test_the_chain_can_be_followed_from_the_rows_alone(log: PostgresLog) -> None:
    await log.commit([Batches().of(LIFE)], "first", CLUSTER, NOW)
    head = GENESIS
    for row in await log.events_after(HOME, 0, 1_000):
        head = link(head, *row[:-1])
        assert row[-1] == head


async def test_events_are_read_in_pages_by_position(log: PostgresLog) -> None:
    await log.commit([Batches().of(LIFE)], "first", CLUSTER, NOW)
    page = await log.events_after(HOME, 3, 5)
    assert [row[1] for row in page] == [4, 5, 6, 7, 8]
    assert await log.events_after(AWAY, 0, 5) == []


async def test_a_snapshot_and_the_events_after_it_equal_the_full_fold(pool: asyncpg.Pool, log: PostgresLog) -> None:
    batches, at = Batches(), len(LIFE) // 2
    first = batches.of(LIFE[:at])
    first.snapshots.append(
        ("LN-0", at, snapshot.SCHEMA, snapshot.dump(folded(LIFE[:at])), batches.writer.heads["LN-0"])
    )
    await log.commit([first], "first", CLUSTER, NOW)
    await log.commit([batches.of(LIFE[at:])], "first", CLUSTER, NOW)
    held = (await log.load({HOME: ["LN-0"]}))["LN-0"]
    assert held.snapshot_version == at
    assert fields(held.loan) == fields(folded(LIFE))
    assert held.head == batches.writer.heads["LN-0"]
    await pool.execute("UPDATE snapshots SET schema = schema - 1")
    again = (await log.load({HOME: ["LN-0"]}))["LN-0"]
    assert (again.snapshot_version, fields(again.loan)) == (0, fields(folded(LIFE)))


async def test_the_agenda_has_one_row_a_loan_and_none_when_nothing_waits(log: PostgresLog) -> None:
    batches = Batches()
    task = next_task(folded(LIFE[:4]), RULES)
    at = task.at if task else NOW
    await log.commit([batches.of(LIFE[:4], agenda={"LN-0": at})], "first", CLUSTER, NOW)
    later = at + timedelta(days=1)
    await log.commit([batches.of([], agenda={"LN-0": later})], "first", CLUSTER, NOW)
    assert await log.due([HOME], at, 10) == []
    assert await log.due([HOME], later, 10) == [(HOME, "LN-0")]
    assert await log.due([AWAY], later, 10) == []
    assert await log.next_due([HOME, AWAY]) == later
    assert (await log.load({HOME: ["LN-0"]}))["LN-0"].due_at == later
    await log.commit([batches.of([], agenda={"LN-0": None})], "first", CLUSTER, NOW)
    assert await log.next_due([HOME]) is None


async def test_a_batch_is_all_or_nothing(pool: asyncpg.Pool, log: PostgresLog) -> None:
    broken = Batches().of(LIFE, agenda={"LN-0": NOW}, offsets={"los.disbursals": 7})
    broken.results["C-1"] = Result("C-1", "LN-0", "t", "done", version="not a number")  # type: ignore[arg-type]
    with pytest.raises(asyncpg.DataError):
        await log.commit([broken], "first", CLUSTER, NOW)
    for table in ("events", "agenda", "inbound_offsets", "command_results"):
        assert await rows_of(pool, f"SELECT * FROM {table}") == []
    [claim] = await log.claim([HOME], "first", CLUSTER)
    assert claim.position == 0


# --- One writer ----------------------------------------------------------------------------------------------


async def test_a_writer_that_was_replaced_can_commit_nothing(pool: asyncpg.Pool, log: PostgresLog) -> None:
    batches = Batches()
    await log.commit([batches.of(LIFE[:4])], "first", CLUSTER, NOW)
    [claim] = await log.claim([HOME], "second", CLUSTER)
    assert claim.position == 4
    with pytest.raises(FencedOff):
        await log.commit([batches.of(LIFE[4:6])], "first", CLUSTER, NOW)
    assert await positions(pool) == [1, 2, 3, 4]


async def test_a_batch_without_events_is_fenced_too(pool: asyncpg.Pool, log: PostgresLog) -> None:
    await log.claim([HOME], "second", CLUSTER)
    with pytest.raises(FencedOff):
        await log.commit([Part(HOME, 0, offsets={"gateway.payments": 5})], "first", CLUSTER, NOW)
    assert await rows_of(pool, "SELECT * FROM inbound_offsets") == []


async def test_a_zombie_with_a_stale_position_loses(pool: asyncpg.Pool, log: PostgresLog) -> None:
    """The same owner's name, started twice: what it believes of the log decides."""
    batches, zombie = Batches(), Batches()
    await log.commit([batches.of(LIFE[:4])], "first", CLUSTER, NOW)
    with pytest.raises(FencedOff):
        await log.commit([zombie.of(LIFE[:3])], "first", CLUSTER, NOW)
    with pytest.raises(FencedOff):
        await log.commit([Part(HOME, 3)], "first", CLUSTER, NOW)
    assert await positions(pool) == [1, 2, 3, 4]


async def test_the_primary_key_is_a_fence_of_its_own(pool: asyncpg.Pool, log: PostgresLog) -> None:
    """Even a writer whose row in `partitions` was put right by hand cannot take a position that is taken."""
    await log.commit([Batches().of(LIFE[:4])], "first", CLUSTER, NOW)
    await pool.execute("UPDATE partitions SET position = 0 WHERE partition = $1", HOME)
    with pytest.raises(FencedOff, match="position taken"):
        await log.commit([Batches().of(a_life(4, "LN-0", steps=3))], "first", CLUSTER, NOW)
    assert await positions(pool) == [1, 2, 3, 4]


async def test_of_two_writers_at_once_one_wins(pool: asyncpg.Pool, log: PostgresLog) -> None:
    attempts = [log.commit([Batches().of(LIFE[:4])], "first", CLUSTER, NOW) for _ in range(4)]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["FencedOff"] * 3 + ["NoneType"]
    assert await positions(pool) == [1, 2, 3, 4]


async def test_a_part_that_is_fenced_takes_the_whole_batch_with_it(pool: asyncpg.Pool, log: PostgresLog) -> None:
    await log.claim([AWAY], "second", CLUSTER)
    with pytest.raises(FencedOff, match=rf"\[{AWAY}\]"):
        await log.commit([Batches().of(LIFE), Part(AWAY, 0, offsets={"t": 1})], "first", CLUSTER, NOW)
    assert await positions(pool) == []


# --- Offsets, results, records set aside ---------------------------------------------------------------------


async def test_offsets_belong_to_a_cluster_and_what_is_published_starts_anew_with_another(log: PostgresLog) -> None:
    part = Batches().of(LIFE[:4], offsets={"los.disbursals": 7, "gateway.payments": 3}, published=4)
    await log.commit([part], "first", CLUSTER, NOW)
    [same] = await log.claim([HOME], "first", CLUSTER)
    assert (same.offsets, same.published) == ({"los.disbursals": 7, "gateway.payments": 3}, 4)
    [other] = await log.claim([HOME], "first", OTHER_CLUSTER)
    assert (other.offsets, other.published, other.position) == ({}, 0, 4)
    [back] = await log.claim([HOME], "first", CLUSTER)
    assert (back.offsets, back.published) == (same.offsets, 0)


async def test_only_the_owner_notes_what_is_published(log: PostgresLog) -> None:
    await log.note_published({HOME: 9}, "somebody else")
    [claim] = await log.claim([HOME], "first", CLUSTER)
    assert claim.published == 0
    await log.note_published({HOME: 9}, "first")
    [claim] = await log.claim([HOME], "first", CLUSTER)
    assert claim.published == 9


async def test_the_first_result_of_a_command_stands(pool: asyncpg.Pool, log: PostgresLog) -> None:
    for outcome in ("done", "repeated"):
        part = Part(HOME, 0, results={"C-1": Result("C-1", "LN-0", "servicing.waive.v1", outcome)})
        await log.commit([part], "first", CLUSTER, NOW)
    assert await rows_of(pool, "SELECT command_id, outcome FROM command_results") == [("C-1", "done")]


def a_record(offset: int) -> Record:
    headers = (("ce_type", b"gateway.payment.received.v1"), ("empty", None), ("odd", b"\xff\x00"))
    return Record("gateway.payments", HOME, offset, b"LN-9", headers, b'{"not": "json\xff')


async def test_what_is_parked_or_set_aside_is_kept_byte_for_byte(log: PostgresLog) -> None:
    letter = DeadLetter(a_record(1), "LN-9", "malformed", "what to do", "/amount_paise")
    part = Part(HOME, 0, parked=[("LN-9", a_record(3)), ("LN-9", a_record(2))], dead_letters=[letter])
    await log.commit([part], "first", CLUSTER, NOW)
    [claim] = await log.claim([HOME], "first", CLUSTER)
    assert claim.parked == {"LN-9"}
    assert await log.parked_of(HOME, "LN-9", ["gateway.payments"]) == [a_record(2), a_record(3)]
    [(identifier, unpublished)] = await log.unpublished_dead_letters([HOME])
    assert unpublished == letter
    await log.dead_letters_published([identifier])
    assert await log.unpublished_dead_letters([HOME]) == []


# --- Append-only ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET state = ''",
        "DELETE FROM events",
        "TRUNCATE events",
        "DROP TABLE events",
        "ALTER TABLE events ADD COLUMN x int",
        "UPDATE house SET partitions = 3",
        "DELETE FROM partitions",
    ],
)
async def test_the_applications_role_cannot_change_what_was_written(
    pool: asyncpg.Pool, log: PostgresLog, statement: str
) -> None:
    await log.commit([Batches().of(LIFE)], "first", CLUSTER, NOW)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute(statement)
    assert len(await positions(pool)) == len(LIFE)


async def test_migrating_again_changes_nothing_and_another_partition_count_is_refused(database: str) -> None:
    assert await migrate(database, PARTITIONS)
    assert await migrate(database, PARTITIONS) == []
    with pytest.raises(MigrationError, match="QIST_PARTITIONS=2"):
        await migrate(database, 3)


async def test_two_that_migrate_at_once_do_not_meet(database: str) -> None:
    applied = await asyncio.gather(migrate(database, PARTITIONS), migrate(database, PARTITIONS))
    assert sorted(map(len, applied))[0] == 0


# --- Personal data -------------------------------------------------------------------------------------------

PHONE = "+91 98765 43210"
SECRET = Secret("LN-0:borrower", "B-1", {"name": "Asha Rao", "phone": PHONE})


async def stored_in(pool: asyncpg.Pool, text: str) -> list[str]:
    """Tables that hold this text anywhere."""
    names = await pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    needle = text.encode().hex()
    return [
        name
        for (name,) in names
        for row in await pool.fetch(f'SELECT * FROM "{name}"')
        if any(text in str(value) or (isinstance(value, bytes) and needle in value.hex()) for value in row.values())
    ]


async def keep(log: PostgresLog, secret: Secret, at: datetime = NOW) -> None:
    await log.commit([Part(HOME, 0, secrets=[secret])], "first", CLUSTER, at)


async def test_personal_data_is_stored_encrypted_and_opened_by_token(pool: asyncpg.Pool, log: PostgresLog) -> None:
    await keep(log, SECRET)
    assert await log.open_secrets(["LN-0:borrower", "unknown"]) == {"LN-0:borrower": SECRET.content}
    assert await stored_in(pool, PHONE) == []
    assert await stored_in(pool, "Asha") == []


async def test_the_newest_version_of_a_token_counts(pool: asyncpg.Pool, log: PostgresLog) -> None:
    await keep(log, SECRET)
    await keep(log, Secret(SECRET.token, "B-1", {"phone": "new"}))
    assert await log.open_secrets([SECRET.token]) == {SECRET.token: {"phone": "new"}}
    assert await rows_of(pool, "SELECT version FROM vault ORDER BY 1") == [(1,), (2,)]


async def test_erasing_a_borrower_destroys_the_key_and_leaves_others(
    pool: asyncpg.Pool, log: PostgresLog, vault: Vault
) -> None:
    other = Secret("LN-1:borrower", "B-2", {"name": "Ravi"})
    await keep(log, SECRET)
    await keep(log, other)
    async with pool.acquire() as connection, connection.transaction():
        await vault.erase(connection, "B-1")
    assert await log.open_secrets([SECRET.token, other.token]) == {other.token: other.content}
    assert await rows_of(pool, "SELECT borrower_id FROM vault_keys") == [("B-2",)]
    await keep(log, SECRET)  # a borrower who comes back is a new one
    assert await log.open_secrets([SECRET.token]) == {SECRET.token: SECRET.content}


async def test_a_ciphertext_opens_only_under_its_own_token_and_master_key(
    pool: asyncpg.Pool, log: PostgresLog, vault: Vault
) -> None:
    await keep(log, SECRET)
    with pytest.raises(InvalidTag):
        await PostgresLog(pool, Vault(bytes(32))).open_secrets([SECRET.token])
    await pool.execute("UPDATE vault SET token = 'LN-9:borrower'")
    with pytest.raises(InvalidTag):
        await log.open_secrets(["LN-9:borrower"])


async def test_a_fenced_batch_leaves_no_personal_data(pool: asyncpg.Pool, log: PostgresLog) -> None:
    await log.claim([HOME], "second", CLUSTER)
    with pytest.raises(FencedOff):
        await keep(log, SECRET)
    assert await rows_of(pool, "SELECT * FROM vault") == await rows_of(pool, "SELECT * FROM vault_keys") == []
    await log.claim([HOME], "first", CLUSTER)
    await keep(log, SECRET)
    assert await log.open_secrets([SECRET.token]) == {SECRET.token: SECRET.content}


def test_no_event_holds_personal_data_the_vault_holds_all_of_it() -> None:
    """A whole disbursal request: what names a person goes to the vault, what decides goes into the events."""
    personal = {
        "name": "Asha Rao",
        "phone": PHONE,
        "email": "asha@example.in",
        "payout account": "001234567890",
        "debit account": "009876543210",
        "holder": "A. Rao",
        "vpa": "asha@okbank",
    }
    account = {"number": personal["payout account"], "ifsc": "HDFC0000001", "holder": personal["holder"]}
    request = {
        "loan_id": "LN-7",
        "borrower": {
            "borrower_id": "B-7",
            "name": personal["name"],
            "phone": personal["phone"],
            "email": personal["email"],
            "language": "hi",
            "segment": "salaried",
            "salary_day": 1,
        },
        "product": "personal-loan",
        "terms": {
            "principal_paise": 10_000_000,
            "annual_rate_percent": "18.00",
            "instalments": 24,
            "disburse_on": "2026-01-05",
            "first_due_on": "2026-02-05",
            "instalment_paise": 499_300,
        },
        "payout": {"rail": "auto", "account": {**account, "vpa": personal["vpa"]}},
        "mandate": {
            "mandate_id": "M-7",
            "rail": "enach",
            "umrn": "HDFC1",
            "status": "active",
            "max_amount_paise": 1_000_000,
            "valid_from": "2026-01-01",
            "valid_until": "2029-01-01",
            "bank": "HDFC",
            "account": {"number": personal["debit account"], "ifsc": "HDFC0000001"},
        },
    }
    headers = (("ce_type", b"los.disbursal.requested.v1"), ("ce_id", b"1"))
    message = understand(Record("los.disbursals", 0, 0, b"LN-7", headers, orjson.dumps(request)))
    loan = handle(None, message.command, on("5 Jan"), RULES)
    stored = b"".join(encode(event) for event in loan.take_events()).decode()
    vaulted = orjson.dumps([secret.content for secret in message.secrets]).decode()
    for what, text in personal.items():
        assert text not in stored, what
        assert text in vaulted, what
    assert '"borrower_id":"B-7"' in stored
