"""The event log on PostgreSQL: one transaction a batch, whatever it touches, and a fence against a second writer.

Events go in by COPY at positions that the writer gives; everything else by one set-based statement a table. Two
things stop a writer that has been replaced: the primary key (partition, position), and the compare-and-set on the
partition's row, which also covers batches without events.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from adapters.vault import Vault
from domain import events as e
from domain import snapshot
from domain.codec import decode
from domain.loan import Loan
from streams.database_away import DATABASE_AWAY
from streams.envelope import Record
from streams.loan_standings import STANDING
from streams.ports import Claim, DeadLetter, EventRow, FencedOff, Held, LogUnreachable, Part, Stood

Connection = asyncpg.Connection

EVENT_COLUMNS = (
    "partition", "position", "loan_id", "version", "topic", "state",
    "occurred_at", "recorded_at", "causation_id", "correlation_id", "actor", "hash",
)  # fmt: skip
EVENTS = ", ".join(EVENT_COLUMNS)
STANDING_TOPICS = ", ".join(f"'{topic}'" for topic in STANDING)
LOANS_OF_BORROWERS = (
    "SELECT borrower_of(state) AS borrower_id, partition, loan_id FROM events"
    f" WHERE topic = '{e.LoanBooked.TOPIC}' AND borrower_of(state) = ANY($1)"
)
OPEN_LOANS = (
    f"SELECT b.borrower_id, b.loan_id FROM ({LOANS_OF_BORROWERS}) b WHERE"
    f" (SELECT e.topic = '{e.Closed.TOPIC}' FROM events e WHERE e.partition = b.partition AND e.loan_id = b.loan_id"
    f" AND e.topic IN ('{e.LoanBooked.TOPIC}', '{e.Closed.TOPIC}', '{e.Reopened.TOPIC}')"
    " ORDER BY e.version DESC LIMIT 1) IS NOT true"
)
"""Loans whose last word is not that they closed; a loan that is written off still needs its borrower."""


class PostgresLog:
    """`streams.ports.Log` on a pool of connections."""

    def __init__(self, pool: asyncpg.Pool, vault: Vault, crash_at: Callable[[str], None] = lambda point: None) -> None:
        self._pool = pool
        self._vault = vault
        self._crash_at = crash_at

    # --- taking over -----------------------------------------------------------------------------------------

    async def claim(self, partitions: Collection[int], owner: str, cluster_id: str) -> list[Claim]:
        """Become the writer of these partitions; whoever was it before can commit no more."""
        wanted = sorted(partitions)
        async with self._reach() as connection, connection.transaction():
            rows = await connection.fetch(
                "UPDATE partitions SET owner = $2,"
                " published = CASE WHEN published_to = $3 THEN published ELSE 0 END, published_to = $3"
                " WHERE partition = ANY($1) RETURNING partition, position, published",
                wanted,
                owner,
                cluster_id,
            )
            offsets = await connection.fetch(
                "SELECT partition, topic, next_offset FROM inbound_offsets"
                " WHERE partition = ANY($1) AND cluster_id = $2",
                wanted,
                cluster_id,
            )
            parked = await connection.fetch(
                "SELECT DISTINCT partition, loan_id FROM parked WHERE partition = ANY($1)", wanted
            )
        return [
            Claim(
                partition=row["partition"],
                position=row["position"],
                published=row["published"],
                offsets={o["topic"]: o["next_offset"] for o in offsets if o["partition"] == row["partition"]},
                parked=frozenset(p["loan_id"] for p in parked if p["partition"] == row["partition"]),
            )
            for row in rows
        ]

    # --- reading ---------------------------------------------------------------------------------------------

    async def load(self, wanted: Mapping[int, Collection[str]]) -> dict[str, Held]:
        """The loans that exist, each from its snapshot and the events after it: two queries for all of them."""
        partitions = [partition for partition, loans in wanted.items() for _ in loans]
        loan_ids = [loan_id for loans in wanted.values() for loan_id in loans]
        async with self._reach() as connection:
            snapshots = await connection.fetch(
                "SELECT s.loan_id, s.version, s.state, s.hash"
                " FROM unnest($1::int[], $2::text[]) AS w (partition, loan_id)"
                " JOIN snapshots s USING (partition, loan_id) WHERE s.schema = $3",
                partitions,
                loan_ids,
                snapshot.SCHEMA,
            )
            known = {row["loan_id"]: row for row in snapshots}
            after = [known[loan_id]["version"] if loan_id in known else 0 for loan_id in loan_ids]
            events = await connection.fetch(
                "SELECT e.loan_id, e.version, e.topic, e.state, e.hash"
                " FROM unnest($1::int[], $2::text[], $3::int[]) AS w (partition, loan_id, version)"
                " JOIN events e ON e.partition = w.partition AND e.loan_id = w.loan_id AND e.version > w.version"
                " ORDER BY e.loan_id, e.version",
                partitions,
                loan_ids,
                after,
            )
            due = await connection.fetch(
                "SELECT a.loan_id, a.due_at FROM unnest($1::int[], $2::text[]) AS w (partition, loan_id)"
                " JOIN agenda a USING (partition, loan_id)",
                partitions,
                loan_ids,
            )
        held = {
            loan_id: Held(snapshot.load(loan_id, row["state"]), row["hash"], None, row["version"])
            for loan_id, row in known.items()
        }
        for row in events:
            entry = held.get(row["loan_id"])
            if entry is None:
                entry = held[row["loan_id"]] = Held(Loan.shell(row["loan_id"]), b"")
            entry.loan.evolve(decode(row["topic"], row["state"], row["loan_id"], row["version"]))
            entry.head = row["hash"]
        for row in due:
            if row["loan_id"] in held:  # else it was booked since we read the events: not there yet, for us
                held[row["loan_id"]].due_at = row["due_at"]
        return held

    async def parked_of(self, partition: int, loan_id: str, topics: Sequence[str]) -> list[Record]:
        """A loan's parked messages as they came; those of one moment in the order that a batch gives their topics."""
        rows = await self._fetch(
            "SELECT * FROM parked WHERE partition = $1 AND loan_id = $2"
            " ORDER BY parked_at, array_position($3::text[], topic), source_partition, source_offset",
            partition,
            loan_id,
            list(topics),
        )
        return [record_from(row) for row in rows]

    async def due(self, partitions: Collection[int], now: datetime, limit: int) -> list[tuple[int, str]]:
        async with self._reach() as connection:
            rows = await connection.fetch(
                "SELECT partition, loan_id FROM agenda WHERE partition = ANY($1) AND due_at <= $2"
                " ORDER BY due_at LIMIT $3",
                list(partitions),
                now,
                limit,
            )
        return [(row["partition"], row["loan_id"]) for row in rows]

    async def next_due(self, partitions: Collection[int]) -> datetime | None:
        rows = await self._fetch("SELECT min(due_at) FROM agenda WHERE partition = ANY($1)", list(partitions))
        return rows[0][0]

    async def note_published(self, positions: Mapping[int, int], owner: str) -> None:
        async with self._reach() as connection:
            await connection.execute(
                "UPDATE partitions p SET published = u.published FROM unnest($1::int[], $2::bigint[])"
                " AS u (partition, published) WHERE p.partition = u.partition AND p.owner = $3",
                list(positions),
                list(positions.values()),
                owner,
            )

    async def _fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        async with self._reach() as connection:
            return await connection.fetch(query, *arguments)

    @asynccontextmanager
    async def _reach(self) -> AsyncIterator[Any]:
        """A connection; whatever says that the server is gone becomes one word that the engine knows."""
        try:
            async with self._pool.acquire() as connection:
                yield connection
        except asyncpg.DataError:
            raise  # ours: to try again would not help
        except DATABASE_AWAY as error:
            raise LogUnreachable(repr(error)) from error

    async def events_after(self, partition: int, position: int, limit: int) -> list[EventRow]:
        rows = await self._fetch(
            f"SELECT {EVENTS} FROM events WHERE partition = $1 AND position > $2 ORDER BY position LIMIT $3",
            partition,
            position,
            limit,
        )
        return [tuple(row) for row in rows]  # type: ignore[misc]

    async def open_secrets(self, tokens: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
        async with self._reach() as connection:
            return await self._vault.open(connection, tokens)

    async def standings(self, loans: Collection[tuple[int, str]]) -> list[Stood]:
        """How loans stand now: two queries for all of them."""
        partitions, loan_ids = zip(*loans, strict=True)
        async with self._reach() as connection:
            rows = await connection.fetch(
                "SELECT DISTINCT ON (e.loan_id, e.topic) e.loan_id, e.topic, e.position, e.state"
                " FROM unnest($1::int[], $2::text[]) AS w (partition, loan_id) JOIN events e USING (partition, loan_id)"
                f" WHERE e.topic IN ({STANDING_TOPICS}) ORDER BY e.loan_id, e.topic, e.version DESC",
                partitions,
                loan_ids,
            )
            newest: dict[str, dict[str, tuple[int, bytes]]] = {}
            for row in rows:
                newest.setdefault(row["loan_id"], {})[row["topic"]] = row["position"], row["state"]
            borrowers = {
                loan_id: orjson.loads(facts[e.LoanBooked.TOPIC][1])["borrower_id"] for loan_id, facts in newest.items()
            }
            found = await connection.fetch(LOANS_OF_BORROWERS, sorted(set(borrowers.values())))
        theirs: dict[str, list[str]] = {}
        for row in found:
            theirs.setdefault(row["borrower_id"], []).append(row["loan_id"])
        return [Stood(number, loan, theirs[borrowers[loan]], newest[loan]) for number, loan in loans]

    async def open_loans(self, borrowers: Collection[str]) -> dict[str, set[str]]:
        """Loans that are not closed, by borrower."""
        async with self._reach() as connection:
            return await open_loans(connection, borrowers)

    async def unpublished_dead_letters(self, partitions: Collection[int]) -> list[tuple[int, DeadLetter]]:
        rows = await self._fetch(
            "SELECT * FROM dead_letters WHERE NOT published AND partition = ANY($1) ORDER BY id LIMIT 1000",
            list(partitions),
        )
        return [
            (row["id"], DeadLetter(record_from(row), row["loan_id"], row["reason"], row["detail"], row["field"]))
            for row in rows
        ]

    async def dead_letters_published(self, identifiers: Collection[int]) -> None:
        await self._fetch("UPDATE dead_letters SET published = true WHERE id = ANY($1)", list(identifiers))

    # --- writing ---------------------------------------------------------------------------------------------

    async def commit(self, parts: Sequence[Part], owner: str, cluster_id: str, now: datetime) -> None:
        """Everything that a batch decided, in one transaction."""
        async with self._reach() as connection:
            try:
                async with connection.transaction():
                    await self._move_positions(connection, parts, owner)
                    await self._write(connection, parts, cluster_id, now)
            except asyncpg.UniqueViolationError as error:
                if "events" in str(error):
                    raise FencedOff(f"position taken: {error}") from error
                raise

    async def _move_positions(self, connection: Connection, parts: Sequence[Part], owner: str) -> None:
        moved = await connection.fetch(
            "UPDATE partitions p SET position = m.new_position, published = greatest(p.published, m.published),"
            " applied = p.applied + m.applied, repeated = p.repeated + m.repeated, parked = p.parked + m.parked,"
            " dead_lettered = p.dead_lettered + m.dead_lettered, rerouted = p.rerouted + m.rerouted,"
            " unparked = p.unparked + m.unparked"
            " FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::int[], $6::int[], $7::int[],"
            " $8::int[], $9::int[], $10::int[]) AS m (partition, old_position, new_position, published,"
            " applied, repeated, parked, dead_lettered, rerouted, unparked)"
            " WHERE p.partition = m.partition AND p.position = m.old_position AND p.owner = $11 RETURNING p.partition",
            [part.partition for part in parts],
            [part.position for part in parts],
            [part.position + len(part.events) for part in parts],
            [part.published for part in parts],
            [part.tally.applied for part in parts],
            [part.tally.repeated for part in parts],
            [part.tally.parked for part in parts],
            [part.tally.dead_lettered for part in parts],
            [part.tally.rerouted for part in parts],
            [part.tally.unparked for part in parts],
            owner,
        )
        if len(moved) != len(parts):
            lost = sorted({part.partition for part in parts} - {row["partition"] for row in moved})
            raise FencedOff(f"partitions {lost} have another writer, or moved on")

    async def _write(self, connection: Connection, parts: Sequence[Part], cluster_id: str, now: datetime) -> None:
        events = [row for part in parts for row in part.events]
        if events:
            await connection.copy_records_to_table("events", records=events, columns=EVENT_COLUMNS)
            self._crash_at("after copy")
        await self._write_agenda(connection, parts)
        offsets = [(part.partition, topic, offset) for part in parts for topic, offset in part.offsets.items()]
        if offsets:
            partitions, topics, next_offsets = zip(*offsets, strict=True)
            await connection.execute(
                "INSERT INTO inbound_offsets (cluster_id, topic, partition, next_offset)"
                " SELECT $4, t, p, o FROM unnest($1::int[], $2::text[], $3::bigint[]) AS u (p, t, o)"
                " ON CONFLICT (partition, topic, cluster_id) DO UPDATE SET next_offset = excluded.next_offset",
                partitions,
                topics,
                next_offsets,
                cluster_id,
            )
        await self._erase(connection, parts)
        secrets = [secret for part in parts for secret in part.secrets]
        if secrets:
            await self._vault.store(connection, secrets, now)
        await self._write_snapshots(connection, parts)
        await self._write_results(connection, parts, now)
        await self._set_aside(connection, parts, cluster_id, now)

    async def _erase(self, connection: Connection, parts: Sequence[Part]) -> None:
        """Destroy what is known of borrowers, in the transaction of the event that says so: both or neither.

        A loan of theirs that another engine books at this moment either holds the lock on the borrower's key, and is
        seen here once it is committed, or waits for it and makes a key of its own.
        """
        erased = sorted({borrower_id for part in parts for borrower_id in part.erased})
        if not erased:
            return
        for borrower_id in erased:
            await self._vault.erase(connection, borrower_id)
        ours = {row[2] for part in parts for row in part.events}
        for borrower_id, loans in (await open_loans(connection, erased)).items():
            if loans - ours:
                raise FencedOff(f"{borrower_id} is not to be erased: loans {sorted(loans - ours)} appeared meanwhile")
        await connection.execute(
            "UPDATE notices SET facts = '{}', trail = '[]', provider_reference = '' WHERE borrower_id = ANY($1)", erased
        )
        await connection.execute(
            "UPDATE dead_letters d SET key = NULL, headers = '[]', value = NULL, detail = 'erased with its borrower'"
            f" FROM ({LOANS_OF_BORROWERS}) b WHERE d.loan_id = b.loan_id",
            erased,
        )

    async def _write_agenda(self, connection: Connection, parts: Sequence[Part]) -> None:
        waiting = [(p.partition, loan, at) for p in parts for loan, at in p.agenda.items() if at is not None]
        if waiting:
            partitions, loans, instants = zip(*waiting, strict=True)
            await connection.execute(
                "INSERT INTO agenda (partition, loan_id, due_at)"
                " SELECT * FROM unnest($1::int[], $2::text[], $3::timestamptz[])"
                " ON CONFLICT (partition, loan_id) DO UPDATE SET due_at = excluded.due_at",
                partitions,
                loans,
                instants,
            )
        over = [(part.partition, loan) for part in parts for loan, at in part.agenda.items() if at is None]
        if over:
            partitions, loans = zip(*over, strict=True)
            await connection.execute(
                "DELETE FROM agenda a USING unnest($1::int[], $2::text[]) AS u (partition, loan_id)"
                " WHERE a.partition = u.partition AND a.loan_id = u.loan_id",
                partitions,
                loans,
            )

    async def _write_snapshots(self, connection: Connection, parts: Sequence[Part]) -> None:
        rows = [(part.partition, *row) for part in parts for row in part.snapshots]
        if rows:
            await connection.execute(
                "INSERT INTO snapshots (partition, loan_id, version, schema, state, hash)"
                " SELECT * FROM unnest($1::int[], $2::text[], $3::int[], $4::int[], $5::bytea[], $6::bytea[])"
                " ON CONFLICT (partition, loan_id) DO UPDATE SET version = excluded.version, schema = excluded.schema,"
                " state = excluded.state, hash = excluded.hash",
                *zip(*rows, strict=True),
            )

    async def _write_results(self, connection: Connection, parts: Sequence[Part], now: datetime) -> None:
        rows = [
            (p.partition, r.command_id, r.loan_id, r.type, r.outcome, r.refusal, r.detail, r.version)
            for p in parts
            for r in p.results.values()
        ]
        if rows:
            # The first result stands: a command that comes again is answered as it was.
            await connection.execute(
                "INSERT INTO command_results (partition, command_id, loan_id, type, outcome, refusal, detail, version,"
                " decided_at) SELECT *, $9::timestamptz FROM unnest($1::int[], $2::text[], $3::text[], $4::text[],"
                " $5::text[], $6::text[], $7::text[], $8::int[])"
                " ON CONFLICT (partition, command_id) DO NOTHING",
                *zip(*rows, strict=True),
                now,
            )

    async def _set_aside(self, connection: Connection, parts: Sequence[Part], cluster_id: str, now: datetime) -> None:
        parked = [
            (part.partition, loan_id, *source_of(record, cluster_id))
            for part in parts
            for loan_id, record in part.parked
        ]
        if parked:
            await connection.executemany(
                "INSERT INTO parked (partition, loan_id, topic, source_partition, source_offset, cluster_id, key,"
                " headers, value, parked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
                [(*row, now) for row in parked],
            )
        taken = [
            (part.partition, loan_id, r.topic, r.partition, r.offset) for part in parts for loan_id, r in part.unparked
        ]
        if taken:
            # By loan, since a record of another one may have the same place on an earlier cluster.
            await connection.executemany(
                "DELETE FROM parked WHERE partition = $1 AND loan_id = $2 AND topic = $3 AND source_partition = $4"
                " AND source_offset = $5",
                taken,
            )
        letters = [
            (p.partition, d.loan_id, *source_of(d.record, cluster_id), d.reason, d.detail, d.field, now)
            for p in parts
            for d in p.dead_letters
        ]
        if letters:
            await connection.executemany(
                SET_ASIDE,
                letters,
            )


SET_ASIDE = (
    "INSERT INTO dead_letters (partition, loan_id, topic, source_partition, source_offset, cluster_id, key, headers,"
    " value, reason, detail, field, set_aside_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
    " ON CONFLICT DO NOTHING"
)
"""A dead letter: partition, loan, `source_of` its record, why, when. The partition's engine announces it."""


async def open_loans(connection: Connection, borrowers: Collection[str]) -> dict[str, set[str]]:
    """Loans that are not closed, by borrower, as this transaction sees them."""
    found: dict[str, set[str]] = {}
    for row in await connection.fetch(OPEN_LOANS, list(borrowers)):
        found.setdefault(row["borrower_id"], set()).add(row["loan_id"])
    return found


def source_of(record: Record, cluster_id: str) -> tuple[Any, ...]:
    """A record byte for byte, and where it stood."""
    headers = [
        [name.replace("\0", "\ufffd"), None if value is None else base64.b64encode(value).decode()]
        for name, value in record.headers
    ]
    return record.topic, record.partition, record.offset, cluster_id, record.key, headers, record.value


def record_from(row: Mapping[str, Any] | asyncpg.Record) -> Record:
    """The record that was set aside, byte for byte."""
    headers = row["headers"] if not isinstance(row["headers"], str) else orjson.loads(row["headers"])
    return Record(
        topic=row["topic"],
        partition=row["source_partition"],
        offset=row["source_offset"],
        key=row["key"],
        headers=tuple((name, None if value is None else base64.b64decode(value)) for name, value in headers),
        value=row["value"],
    )
