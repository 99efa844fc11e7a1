"""Reconciliation as it happens: whatever arrives, on either side, is compared at once with what it may belong to.

A comparison is made from what both sides hold at that moment (`domain.reconciliation`), never from what it was before,
and made again for all that an arrival touches. One lock lets one arrival in at a time, so that the later of two always
sees the earlier: the end does not depend on the order.

The loans' side is the read model `reconciliation`; how far it has been compared stands in its positions, beside the
rows themselves, so that a read model that is made anew is compared anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import orjson
import structlog

from domain import reconciliation as r
from domain.calendar import ist_day
from domain.ensure import ensure
from streams.database_away import DATABASE_AWAY
from streams.envelope import headers_for
from streams.ports import LogUnreachable
from streams.read_models import Connection, mark_published
from streams.topics import partition_of
from streams.wire import CARRIES

LOCK = 0x7265636F  # "reco"
CHUNK = 2_000
IDLE_SECONDS = 0.2
LOOK_SECONDS = 5.0
"""Of real time, between two looks at what only time changes."""
RETRY_SECONDS = 1.0
SOURCE = "qist/reconciliation"
TOPIC_OF = {model.TYPE: topic for topic, models in CARRIES.items() for model in models}

log = structlog.get_logger("reconciler")

Send = Callable[..., Awaitable[int]]
"""`topic, partition=, key=, value=, headers=`: returns once the broker has it."""


async def alone(connection: Connection) -> None:
    """Until the transaction's end nobody else compares or takes anything in."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)


# --- Comparing -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Touched:
    """What an arrival may change."""

    refs: set[str] = field(default_factory=set[str])
    subjects: set[str] = field(default_factory=set[str])
    loans: set[str] = field(default_factory=set[str])
    lines: set[int] = field(default_factory=set[int])


@dataclass(frozen=True, slots=True)
class Patience:
    """What the house decided, in days, and the business time from which they count."""

    now: datetime
    grace_days: int = 2
    """What moved is awaited in reports so long."""
    date_days: int = 3
    """So much between two value dates is no difference."""
    hold_days: int = 1
    """A credit that names only its loan waits so long for the same money under another reference."""
    case_days: int = 7
    """A difference that is older is a case; 0: never."""

    def ago(self, days: int) -> datetime:
        return self.now - timedelta(days=days)


async def compare(connection: Connection, touched: Touched, patience: Patience) -> None:
    """Compare anew whatever was touched. In the caller's transaction, under the lock."""
    for statement in (False, True):  # where a bank's line belongs depends on what the gateways' lines cover
        await place_lines(connection, touched, statement=statement)
    await pair_lines(connection, touched, date_days=patience.date_days)
    await judge_subjects(connection, touched, date_days=patience.date_days)
    await book_successes(connection, touched, patience.ago(patience.hold_days))


LINES = (
    "SELECT id, source, entry, statement, refs, batch, settlement, told, subject, loan_id FROM reconciliation_lines"
    " WHERE statement = $1 AND (refs && $2::text[] OR subject = ANY($3::text[]) OR id = ANY($4::bigint[]))"
)


async def place_lines(connection: Connection, touched: Touched, *, statement: bool) -> None:
    """Say of each touched line which subject it belongs to, and touch the subjects that it leaves and joins."""
    rows = await connection.fetch(LINES, statement, list(touched.refs), list(touched.subjects), list(touched.lines))
    if not rows:
        return
    names = await names_of(connection, {ref for row in rows for ref in row["refs"]}, {row["told"] for row in rows})
    moved: list[tuple[int, str, str]] = []
    for row in rows:
        line = r.Line(source=row["source"], entry=row["entry"], statement=statement, refs=row["refs"], told=row["told"])
        subject, loan_id = r.place(line, names)
        touched.subjects |= {subject, row["subject"]} - {""}
        touched.loans |= {loan_id} - {""}
        if not statement:
            touched.refs.add(row["batch"])
            touched.subjects.add(row["settlement"])
        if (subject, loan_id) != (row["subject"], row["loan_id"]):
            moved.append((row["id"], subject, loan_id))
    await put(connection, moved)


async def put(connection: Connection, moved: Sequence[tuple[int, str, str]]) -> None:
    """Lines -> where they belong, and the loan that they name where they name no movement."""
    if moved:
        ids, subjects, loans = zip(*moved, strict=True)
        await connection.execute(
            "UPDATE reconciliation_lines l SET subject = m.subject, loan_id = m.loan_id"
            " FROM unnest($1::bigint[], $2::text[], $3::text[]) AS m (id, subject, loan_id) WHERE l.id = m.id",
            ids,
            subjects,
            loans,
        )


UNNAMED_LINES = (
    "SELECT id, source, entry, subject, loan_id, paise, value_on FROM reconciliation_lines"
    " WHERE loan_id = ANY($1) AND loan_id <> ''"
)
UNNAMED_RECEIPTS = (
    "SELECT subject, loan_id, sum(paise)::bigint AS paise, min(value_on) AS day FROM reconciliation.movements m"
    " WHERE loan_id = ANY($1) AND what = 'moved' AND kind IN ('debit', 'payment')"
    " AND NOT EXISTS (SELECT FROM reconciliation_lines l WHERE l.subject = m.subject AND l.loan_id = '')"
    " GROUP BY subject, loan_id"
)


async def pair_lines(connection: Connection, touched: Touched, *, date_days: int) -> None:
    """Put each credit that names only its loan to the receipt that it must be, or back to itself. All of a loan are
    looked at anew each time, so that the order of arrival does not matter."""
    rows = await connection.fetch(
        "SELECT DISTINCT loan_id FROM reconciliation.movements WHERE subject = ANY($1)", list(touched.subjects)
    )
    loans = list(touched.loans | {row["loan_id"] for row in rows})
    lines = await connection.fetch(UNNAMED_LINES, loans)
    if not lines:
        return
    receipts = await connection.fetch(UNNAMED_RECEIPTS, loans)
    found = r.pairs(
        [r.Unnamed(str(row["id"]), row["loan_id"], row["paise"], row["value_on"]) for row in lines if row["paise"] > 0],
        [r.Unnamed(row["subject"], row["loan_id"], row["paise"], row["day"]) for row in receipts],
        date_days=date_days,
    )
    moved: list[tuple[int, str, str]] = []
    for row in lines:
        alone = r.Line(source=row["source"], entry=row["entry"], statement=True, refs=()).alone
        subject = found.get(str(row["id"]), alone)
        touched.subjects |= {subject, row["subject"]}
        if subject != row["subject"]:
            moved.append((row["id"], subject, row["loan_id"]))
    await put(connection, moved)


async def names_of(connection: Connection, refs: Collection[str], told: Collection[str]) -> r.Names:
    """What these references mean by now."""
    wanted = list(refs)
    found = await connection.fetch(
        "SELECT r.ref, m.subject FROM unnest($1::text[]) AS r (ref)"
        " JOIN reconciliation.movements m ON m.reference = r.ref"
        " UNION SELECT r.ref, m.subject FROM unnest($1::text[]) AS r (ref)"
        " JOIN reconciliation.movements m ON m.gateway_reference = r.ref AND m.gateway_reference <> ''",
        wanted,
    )
    batches = await connection.fetch(
        "SELECT DISTINCT batch, settlement FROM reconciliation_lines WHERE NOT statement AND batch = ANY($1)", wanted
    )
    subjects = grouped(found)
    covered = await connection.fetch(
        "SELECT subject, min(settlement) AS settlement FROM reconciliation_lines"
        " WHERE NOT statement AND subject = ANY($1) GROUP BY 1",
        list({*told, *(subject for group in subjects.values() for subject in group)}),
    )
    return r.Names(subjects, grouped(batches), {row["subject"]: row["settlement"] for row in covered})


def grouped(rows: Iterable[Sequence[str]]) -> dict[str, set[str]]:
    groups: dict[str, set[str]] = {}
    for key, value in rows:
        groups.setdefault(key, set()).add(value)
    return groups


OURS = (
    "SELECT subject, min(loan_id) AS loan_id, min(reference) AS reference, max(gateway_reference) AS gateway_reference,"
    " sum(paise) FILTER (WHERE what = 'moved')::bigint AS paise, min(value_on) FILTER (WHERE what = 'moved') AS day,"
    " min(at) FILTER (WHERE what = 'moved') AS at, '' AS source"
    " FROM reconciliation.movements WHERE subject = ANY($1) AND what <> 'booked' GROUP BY subject"
    " UNION ALL SELECT settlement, '', min(batch), '', sum(paise - fee_paise)::bigint, min(value_on),"
    " min(value_on)::timestamp AT TIME ZONE 'Asia/Kolkata', min(source)"
    " FROM reconciliation_lines WHERE NOT statement AND settlement = ANY($1) GROUP BY settlement"
)
"""What the loans say of an item, and what a report promises of a settlement."""
THEIRS = (
    "SELECT subject, max(loan_id) AS loan_id, min(entry) AS entry,"
    " (array_agg(refs[1] ORDER BY source, entry))[1] AS ref,"
    " sum(paise)::bigint AS paise, min(value_on) AS day, min(value_on)::timestamp AT TIME ZONE 'Asia/Kolkata' AS at,"
    " string_agg(DISTINCT source, ', ' ORDER BY source) AS source, count(*)::int AS lines"
    " FROM reconciliation_lines WHERE subject = ANY($1) GROUP BY subject"
)
ITEM_COLUMNS = (
    ("subject", "text"),
    ("level", "text"),
    ("kind", "text"),
    ("state", "text"),
    ("loan_id", "text"),
    ("source", "text"),
    ("reference", "text"),
    ("gateway_reference", "text"),
    ("ours_paise", "bigint"),
    ("theirs_paise", "bigint"),
    ("ours_on", "date"),
    ("theirs_on", "date"),
    ("lines", "integer"),
    ("since", "timestamptz"),
)


async def judge_subjects(connection: Connection, touched: Touched, *, date_days: int) -> None:
    """Write down how each touched subject compares; one that nothing is left of goes."""
    if not touched.subjects:
        return
    wanted = list(touched.subjects)
    ours = {row["subject"]: row for row in await connection.fetch(OURS, wanted)}
    theirs = {row["subject"]: row for row in await connection.fetch(THEIRS, wanted)}
    touched.loans |= {row["loan_id"] for row in ours.values()} - {""}
    items = [
        item
        for subject in wanted
        if (item := item_of(subject, ours.get(subject), theirs.get(subject), date_days=date_days))
    ]
    columns = list(zip(*items, strict=True)) if items else [()] * len(ITEM_COLUMNS)
    names = ", ".join(name for name, _ in ITEM_COLUMNS)
    arrays = ", ".join(f"${number}::{kind}[]" for number, (_, kind) in enumerate(ITEM_COLUMNS, 1))
    changes = ", ".join(f"{name} = excluded.{name}" for name, _ in ITEM_COLUMNS[1:])
    await connection.execute(
        f"INSERT INTO reconciliation_items ({names}) SELECT * FROM unnest({arrays})"
        f" ON CONFLICT (subject) DO UPDATE SET {changes}",
        *columns,
    )
    gone = touched.subjects - {item[0] for item in items}
    if gone:
        await connection.execute("DELETE FROM reconciliation_items WHERE subject = ANY($1)", list(gone))
    different = [item[0] for item in items if item[3] != r.State.matched]
    if different:
        # A decision holds for the figures that it was made on, and for no others.
        await connection.execute(
            "UPDATE reconciliation_items i SET resolution = (SELECT max(d.id) FROM reconciliation_resolutions d"
            " WHERE d.subject = i.subject AND d.state = i.state AND d.ours_paise = i.ours_paise"
            " AND d.theirs_paise = i.theirs_paise AND d.way NOT IN ('same', 'apart')) WHERE i.subject = ANY($1)"
            " AND (i.resolution IS NOT NULL OR EXISTS (SELECT FROM reconciliation_resolutions d"
            " WHERE d.subject = i.subject))",
            different,
        )


def item_of(
    subject: str, ours: Mapping[str, Any] | None, theirs: Mapping[str, Any] | None, *, date_days: int
) -> tuple[Any, ...] | None:
    """A row of `reconciliation_items`; None when neither side has moved anything."""
    moved = ours if ours is not None and ours["paise"] is not None else None
    if moved is None and theirs is None:
        return None
    side_ours = r.Side(moved["paise"], moved["day"]) if moved else None
    side_theirs = r.Side(theirs["paise"], theirs["day"]) if theirs else None
    state = r.judge(side_ours, side_theirs, date_days=date_days)
    known: Mapping[str, Any] = ours or {"loan_id": "", "reference": "", "gateway_reference": "", "source": ""}
    said: Mapping[str, Any] = theirs or {"loan_id": "", "ref": "", "entry": "", "source": "", "lines": 0}
    return (
        subject,
        r.level_of(subject),
        r.kind_of(subject),
        state.value,
        known["loan_id"] or said["loan_id"],
        known["source"] or said["source"],
        known["reference"] or said["ref"] or said["entry"],
        known["gateway_reference"] or said["ref"] or "",
        side_ours.paise if side_ours else 0,
        side_theirs.paise if side_theirs else 0,
        side_ours.on if side_ours else None,
        side_theirs.on if side_theirs else None,
        said["lines"],
        max(side["at"] for side in (moved, theirs) if side),
    )


FOUND = (
    'SELECT i.subject, i.state, i.loan_id, i.ours_paise, i.theirs_paise, i.theirs_on AS "on", i.reference,'
    " i.gateway_reference, coalesce(a.rail, '') AS rail, coalesce(a.gateway, '') AS gateway,"
    " coalesce(a.bank, '') AS bank"
    " FROM reconciliation_items i LEFT JOIN LATERAL (SELECT rail, gateway, bank FROM reconciliation.movements m"
    " WHERE m.subject = i.subject AND m.what = 'asked' LIMIT 1) a ON true"
    " WHERE i.state = 'extra' AND i.level = 'item' AND i.resolution IS NULL"
    " AND (i.subject = ANY($1) OR (i.kind = 'line' AND i.loan_id = ANY($2)))"
    # Lines that name one movement and differ are no clear word of what it brought.
    " AND (SELECT count(DISTINCT l.paise) FROM reconciliation_lines l WHERE l.subject = i.subject) = 1"
    # The lender may know the same payment by another reference, and tell it later today.
    " AND NOT (i.kind = 'line' AND EXISTS (SELECT FROM reconciliation_lines l JOIN reconciliation_files f"
    " ON f.id = l.file_id WHERE l.subject = i.subject AND f.taken_at > $3))"
    # A line that names only the loan may mean a movement that has not been told, or not been found, yet.
    " AND NOT (i.kind = 'line' AND (EXISTS (SELECT FROM reconciliation_items o WHERE o.loan_id = i.loan_id"
    " AND o.state = 'missing' AND o.ours_paise = i.theirs_paise)"
    " OR EXISTS (SELECT FROM reconciliation.movements a WHERE a.loan_id = i.loan_id AND a.what = 'asked'"
    " AND a.paise = i.theirs_paise AND NOT EXISTS (SELECT FROM reconciliation.movements o"
    " WHERE o.subject = a.subject AND o.what IN ('moved', 'failed')))))"
)


async def book_successes(connection: Connection, touched: Touched, held_since: datetime) -> None:
    """Successes that nobody reported are told to the loans. One at a time for one movement: a second line of it is a
    difference once the first is booked."""
    rows = await connection.fetch(FOUND, list(touched.subjects), list(touched.loans), held_since)
    for row in rows:
        found = difference(row)
        once = await connection.fetchval(
            "SELECT min(paise) FROM reconciliation_lines WHERE subject = $1", found.subject
        )
        await keep(connection, r.success(difference({**row, "theirs_paise": once})), found.subject)


def difference(row: Mapping[str, Any]) -> r.Difference:
    return r.Difference(**{**row, "state": r.State(row["state"])})


async def keep(connection: Connection, booking: r.Booking | None, subject: str, *, again: bool = False) -> None:
    """A message that will be sent; one that there is already is sent `again` only because a person says so."""
    if booking is not None:
        await connection.execute(
            "INSERT INTO reconciliation_bookings (id, subject, type, loan_id, body) VALUES ($1, $2, $3, $4, $5)"
            " ON CONFLICT (id) DO UPDATE SET sent_at = NULL WHERE $6",
            booking.id,
            subject,
            booking.type,
            booking.loan_id,
            dict(booking.body),
            again,
        )


# --- Following the loans -------------------------------------------------------------------------------------


class Reconciler:
    """Compares movements of some partitions as the projector writes them, and sends what is to be booked."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        partitions: Collection[int],
        partition_count: int,
        send: Send | None,
        patience: Callable[[], Awaitable[Patience]],
    ) -> None:
        self.pool = pool
        self.partitions = list(partitions)
        self.partition_count = partition_count
        self.send = send
        self.patience = patience
        self.looked_at = float("-inf")

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop. Trouble with database or broker is waited out."""
        while not stop.is_set():
            pause = IDLE_SECONDS
            try:
                if await self.step() + await self.send_bookings():
                    continue
                if (now := asyncio.get_running_loop().time()) > self.looked_at + LOOK_SECONDS:
                    await self.look()
                    self.looked_at = now
            except (asyncpg.PostgresError, *DATABASE_AWAY, LogUnreachable, TransportDown) as error:
                log.warning("comparing goes on from where it stood", error=repr(error))
                pause = RETRY_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)

    async def step(self) -> int:
        """Compare the next movements: how many."""
        async with self.pool.acquire() as connection:
            if not await self.next_movements(connection, limit=1):
                return 0
            async with connection.transaction():
                await alone(connection)
                rows = await self.next_movements(connection, limit=CHUNK)
                touched = Touched(
                    refs={ref for row in rows for ref in (row["reference"], row["gateway_reference"]) if ref},
                    subjects={row["subject"] for row in rows if row["what"] != "booked"},
                    loans={row["loan_id"] for row in rows},
                )
                await compare(connection, touched, await self.patience())
                reached: dict[int, int] = {}
                for row in rows:
                    reached[row["partition"]] = row["position"]
                await mark_published(connection, "reconciliation", reached)
        return len(rows)

    async def next_movements(self, connection: Connection, *, limit: int) -> list[asyncpg.Record]:
        """What the projector has written and nobody has compared yet."""
        return await connection.fetch(
            "SELECT m.* FROM reconciliation.positions p CROSS JOIN LATERAL (SELECT partition, position, loan_id,"
            " subject, what, reference, gateway_reference FROM reconciliation.movements WHERE partition = p.partition"
            " AND position > p.published ORDER BY position LIMIT $2) m WHERE p.partition = ANY($1) LIMIT $2",
            self.partitions,
            limit,
        )

    async def look(self) -> None:
        """What time alone brings: credits that were held long enough, and differences that were left too long."""
        patience = await self.patience()
        async with self.pool.acquire() as connection, connection.transaction():
            await alone(connection)
            held = await connection.fetch(HELD, patience.ago(patience.hold_days), CHUNK)
            if held:
                await compare(connection, Touched(subjects={row["subject"] for row in held}), patience)
            if not patience.case_days:
                return
            old = await connection.fetch(NEGLECTED, patience.ago(patience.case_days), patience.grace_days, CHUNK)
            for row in old:
                days = (ist_day(patience.now) - ist_day(row["since"])).days
                found = difference({name: value for name, value in dict(row).items() if name != "since"})
                # It is no booking of its subject, and stands beside it.
                await keep(connection, r.neglected(found, days, patience.now), f"case:{found.subject}")

    async def send_bookings(self) -> int:
        """Send what is to be booked. A crash in between sends it again, under the same id: loans know what they did."""
        if self.send is None:
            return 0
        async with self.pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(
                "SELECT id, type, loan_id, body FROM reconciliation_bookings WHERE sent_at IS NULL"
                " ORDER BY made_at, id LIMIT 100 FOR UPDATE SKIP LOCKED"
            )
            for row in rows:
                ensure(row["type"] in TOPIC_OF, "a booking is a message of the contract", type=row["type"])
                await self.send(
                    TOPIC_OF[row["type"]],
                    partition=partition_of(row["loan_id"], self.partition_count),
                    key=row["loan_id"].encode(),
                    value=orjson.dumps(row["body"]),
                    headers=headers_for(row["type"], row["id"], SOURCE, at_of(row["body"])),
                )
            await connection.execute(
                "UPDATE reconciliation_bookings SET sent_at = now() WHERE id = ANY($1)", [row["id"] for row in rows]
            )
        if rows:
            log.info("told the loans what was found", messages=len(rows))
        return len(rows)


HELD = (
    "SELECT i.subject FROM reconciliation_items i WHERE i.state = 'extra' AND i.kind = 'line' AND i.loan_id <> ''"
    " AND i.theirs_paise > 0 AND i.resolution IS NULL"
    " AND NOT EXISTS (SELECT FROM reconciliation_bookings b WHERE b.subject = i.subject)"
    " AND NOT EXISTS (SELECT FROM reconciliation_lines l JOIN reconciliation_files f ON f.id = l.file_id"
    " WHERE l.subject = i.subject AND f.taken_at > $1) ORDER BY i.since, i.subject LIMIT $2"
)
NEGLECTED = (
    'SELECT i.subject, i.state, i.loan_id, i.ours_paise, i.theirs_paise, coalesce(i.theirs_on, i.ours_on) AS "on",'
    " i.reference, i.since FROM reconciliation_items i"
    " WHERE i.state <> 'matched' AND i.loan_id <> '' AND i.resolution IS NULL AND i.since < $1"
    # Where no report has come at all since it was due, it is the reports that are missing.
    " AND EXISTS (SELECT FROM reconciliation_files f WHERE f.taken_at > i.since + make_interval(days => $2))"
    " AND NOT EXISTS (SELECT FROM reconciliation_bookings b WHERE b.id ="
    " 'reconciliation:' || i.subject || ':' || i.state || ':' || i.ours_paise || ':' || i.theirs_paise)"
    " ORDER BY i.since, i.subject LIMIT $3"
)


class TransportDown(Exception):
    """The broker did not take a booking; it is sent again."""


def at_of(body: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(body["at"]) if "at" in body else datetime.now(UTC)
