"""Reconciliation as people meet it: taking files in, looking at differences, resolving them, and the totals.

The command line and the API say the same, because both ask here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import asyncpg

from adapters.reconciliation.camt053 import read_camt053
from adapters.reconciliation.csv_file import OUR_OWN, FileMapping, read_csv
from adapters.reconciliation.lines import FileRefused, ReadFile, ReadLine
from adapters.settings import Settings
from domain import reconciliation as r
from domain.calendar import IST, ist_day
from projections.ledger import BANK
from streams.read_models import Connection
from streams.reconciler import Patience, Touched, alone, compare, difference, keep

Format = Literal["csv", "camt053"]
STATES = ("missing", "extra", "amount_differs", "date_differs", "awaited", "resolved", "matched")
"""What a list can be asked for. `awaited`: missing, and still within the days that reports have; `resolved`: a person
has decided, and the figures are still those that they decided on."""
OPEN = STATES[:4]
SOURCE_NAME = re.compile(r"[A-Za-z0-9._-]{1,40}")
CHUNK = 5_000


class Conflict(Exception):
    """The request is understood and cannot be done; `kind` is stable, the text says what to do."""

    def __init__(self, kind: str, said: str) -> None:
        self.kind = kind
        super().__init__(said)


class Unknown(Exception):
    """There is no such thing."""


def patience_of(settings: Settings, now: datetime) -> Patience:
    """What was decided for the house, at a business time."""
    return Patience(
        now=now,
        grace_days=settings.reconciliation_grace_days,
        date_days=settings.reconciliation_date_days,
        hold_days=settings.reconciliation_hold_days,
        case_days=settings.reconciliation_case_days,
    )


@dataclass(frozen=True, slots=True)
class Office:
    """The database and what was decided for the house."""

    pool: asyncpg.Pool
    patience: Patience

    @property
    def now(self) -> datetime:
        """Business time."""
        return self.patience.now

    # --- Files -------------------------------------------------------------------------------------------------

    async def declare(self, source: str, mapping: FileMapping, by: str) -> None:
        """How this source's CSV files are read from now on. What was taken stays as it was read."""
        check_source(source)
        await self.pool.execute(
            "INSERT INTO reconciliation_sources (name, mapping, changed_at, changed_by) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (name) DO UPDATE SET mapping = excluded.mapping, changed_at = excluded.changed_at,"
            " changed_by = excluded.changed_by",
            source,
            mapping.model_dump(mode="json", exclude_none=True),
            self.now,
            by,
        )

    async def mapping_of(self, source: str) -> FileMapping:
        held = await self.pool.fetchval("SELECT mapping FROM reconciliation_sources WHERE name = $1", source)
        return FileMapping.model_validate(held) if held else OUR_OWN

    async def take_in(self, content: bytes, *, source: str, form: Format, name: str, by: str) -> dict[str, Any]:
        """Read a file whole, keep its lines, compare them. The same file again, or lines known, change nothing.

        FileRefused: it cannot be read. Conflict: it says something else of a line that was taken before; then nothing
        of it is kept, because one of the two must be wrong.
        """
        check_source(source)
        read = read_camt053(content) if form == "camt053" else read_csv(content, await self.mapping_of(source))
        digest = hashlib.sha256(content).digest()
        async with self.pool.acquire() as connection, connection.transaction():
            await alone(connection)
            known = await connection.fetchrow(
                "SELECT * FROM reconciliation_files WHERE source = $1 AND sha256 = $2", source, digest
            )
            if known is not None:
                return told_file(known, read, already=True)
            fresh, repeated = await self.unknown_lines(connection, source, read)
            file = await connection.fetchrow(
                "INSERT INTO reconciliation_files"
                " (source, statement, format, name, sha256, lines, repeated, paise, taken_at, taken_by)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING *",
                source,
                read.statement,
                form,
                name[:200],
                digest,
                len(fresh),
                repeated,
                sum(line.paise for line in fresh),
                self.now,
                by,
            )
            for start in range(0, len(fresh), CHUNK):
                await self.keep_lines(connection, file, fresh[start : start + CHUNK])
        return told_file(file, read, already=False)

    async def unknown_lines(self, connection: Connection, source: str, read: ReadFile) -> tuple[list[ReadLine], int]:
        """The lines that were not taken before, and how many were."""
        rows = await connection.fetch(
            "SELECT entry, paise, fee_paise, value_on, batch FROM reconciliation_lines"
            " WHERE source = $1 AND entry = ANY($2)",
            source,
            [line.entry for line in read.lines],
        )
        known: dict[str, tuple[Any, ...]] = {row["entry"]: tuple(row)[1:] for row in rows}
        fresh: list[ReadLine] = []
        for line in read.lines:
            batch = "" if read.statement else line.batch or line.entry
            content = (line.paise, line.fee_paise, line.value_on, batch)
            before = known.setdefault(line.entry, content)
            if before is content:
                fresh.append(line)
            elif before != content:
                raise Conflict(
                    "entry-differs",
                    f"{source} has said otherwise of {line.entry}: {told_content(before)} before,"
                    f" {told_content(content)} now. Nothing of the file was taken; ask the source which is right.",
                )
        return fresh, len(read.lines) - len(fresh)

    async def keep_lines(self, connection: Connection, file: Mapping[str, Any], lines: Sequence[ReadLine]) -> None:
        source, statement = file["source"], file["statement"]
        batches = ["" if statement else line.batch or line.entry for line in lines]
        rows = [
            (
                file["id"],
                source,
                statement,
                line.entry,
                line.paise,
                line.fee_paise,
                line.value_on,
                list(line.refs),
                r.settlement_of(source, batch) if batch else "",
                batch,
            )
            for line, batch in zip(lines, batches, strict=True)
        ]
        await connection.copy_records_to_table(
            "reconciliation_lines",
            records=rows,
            columns=(
                "file_id",
                "source",
                "statement",
                "entry",
                "paise",
                "fee_paise",
                "value_on",
                "refs",
                "settlement",
                "batch",
            ),
        )
        ids = await connection.fetch(
            "SELECT id FROM reconciliation_lines WHERE source = $1 AND entry = ANY($2)",
            source,
            [line.entry for line in lines],
        )
        await compare(connection, Touched(lines={row["id"] for row in ids}), self.patience)

    async def files(self, *, after: int = 0, limit: int = 50) -> list[dict[str, Any]]:
        """Files that were taken, the newest first; `after`: only older ones than this."""
        rows = await self.pool.fetch(
            "SELECT * FROM reconciliation_files WHERE $1 = 0 OR id < $1 ORDER BY id DESC LIMIT $2", after, limit
        )
        return [told_row(row) for row in rows]

    # --- Differences -------------------------------------------------------------------------------------------

    async def items(
        self,
        *,
        state: str | None = None,
        loan_id: str | None = None,
        source: str | None = None,
        after: Sequence[Any] | None = None,
        limit: int = 50,
    ) -> list[dict[str, Any]]:
        """Comparisons, the oldest first; without a state, the differences that wait for a person."""
        states = OPEN if state is None else (state,)
        rows = await self.pool.fetch(
            f"SELECT * FROM ({SHOWN}) i WHERE shown = ANY($2) AND ($3::text IS NULL OR loan_id = $3)"
            " AND ($4::text IS NULL OR source = $4) AND ($5::timestamptz IS NULL OR (since, subject) > ($5, $6))"
            # A scan of all that ever matched is for those who ask for it.
            f"{' AND state <> $$matched$$' if state != 'matched' else ''} ORDER BY since, subject LIMIT $7",
            self.awaited_since,
            list(states),
            loan_id,
            source,
            datetime.fromisoformat(after[0]) if after else None,
            after[1] if after else None,
            limit,
        )
        return [self.told(row) for row in rows]

    async def item(self, subject: str) -> dict[str, Any]:
        """One comparison with all its sides: what the loan says, the lines, what was booked and decided."""
        row = await self.pool.fetchrow(f"SELECT * FROM ({SHOWN}) i WHERE subject = $2", self.awaited_since, subject)
        if row is None:
            raise Unknown(f"nothing is compared under {subject[:200]!r}: `qist reconcile list` shows what is")
        ours = await self.pool.fetch(
            "SELECT loan_id, what, paise, value_on, at, reference, gateway_reference"
            " FROM reconciliation.movements WHERE subject = $1 ORDER BY position",
            subject,
        )
        lines = await self.pool.fetch(
            "SELECT l.source, l.entry, l.paise, l.fee_paise, l.value_on, l.batch, l.refs, f.name AS file, f.taken_at"
            " FROM reconciliation_lines l JOIN reconciliation_files f ON f.id = l.file_id"
            " WHERE l.subject = $1 OR l.settlement = $1 ORDER BY l.source, l.entry LIMIT 500",
            subject,
        )
        decided = await self.pool.fetch(
            "SELECT way, note, state, ours_paise, theirs_paise, other, resolved_at, resolved_by"
            " FROM reconciliation_resolutions WHERE subject = $1 ORDER BY id",
            subject,
        )
        booked = await self.pool.fetch(
            "SELECT id, type, loan_id, made_at, sent_at FROM reconciliation_bookings WHERE subject = $1"
            " ORDER BY made_at, id",
            subject,
        )
        return {
            **self.told(row),
            "movements": [told_row(one) for one in ours],
            "report_lines": [told_row(one) for one in lines],
            "resolutions": [told_row(one) for one in decided],
            "bookings": [told_row(one) for one in booked],
        }

    def told(self, row: Mapping[str, Any]) -> dict[str, Any]:
        advice = r.advice_of(row["level"], r.State(row["state"]))
        is_open = row["shown"] in OPEN
        return {
            "subject": row["subject"],
            "level": row["level"],
            "kind": row["kind"],
            "state": row["shown"],
            "loan_id": row["loan_id"] or None,
            "source": row["source"] or None,
            "reference": row["reference"],
            "ours_paise": row["ours_paise"],
            "theirs_paise": row["theirs_paise"],
            "difference_paise": row["theirs_paise"] - row["ours_paise"],
            "ours_on": row["ours_on"] and row["ours_on"].isoformat(),
            "theirs_on": row["theirs_on"] and row["theirs_on"].isoformat(),
            "since": row["since"].astimezone(IST).isoformat(),
            "age_days": max(0, (ist_day(self.now) - ist_day(row["since"])).days),
            "advice": self.said(row, advice) if is_open and advice else None,
            "ways": [way.value for way in advice.ways] if is_open and advice else [],
        }

    def said(self, row: Mapping[str, Any], advice: r.Advice) -> str:
        if row["booked"] is None:
            return advice.said
        return (
            f"{row['loan_id'] or 'A loan'} was told {row['booked']}. Is it not booked soon, the dead letters of"
            f" {row['loan_id'] or 'its loan'} say why. {advice.said}"
        )

    @property
    def awaited_since(self) -> datetime:
        """What is missing and younger than this is only awaited."""
        return self.patience.ago(self.patience.grace_days)

    # --- Decisions ---------------------------------------------------------------------------------------------

    async def resolve(
        self, subject: str, way: str, *, note: str, by: str, loan_id: str = "", other: str = ""
    ) -> dict[str, Any]:
        """A person decides. It is kept for good, with who and when, and holds as long as the figures are these."""
        if not note.strip():
            raise Conflict("note-missing", "a decision needs a note that says why")
        async with self.pool.acquire() as connection, connection.transaction():
            await alone(connection)
            row = await connection.fetchrow("SELECT * FROM reconciliation_items WHERE subject = $1", subject)
            if row is None:
                raise Unknown(f"nothing is compared under {subject[:200]!r}: `qist reconcile list` shows what is")
            if way == r.Way.apart:
                return await self.take_apart(connection, row, note, by)
            if await connection.fetchval(HOLDS.format(item="$2::bigint"), self.awaited_since, row["resolution"]):
                raise Conflict("resolved-already", "it was resolved already, and its figures have not moved since")
            advice = r.advice_of(row["level"], r.State(row["state"]))
            if advice is None:
                raise Conflict("nothing-to-resolve", "both sides agree: there is nothing to resolve")
            if way not in advice.ways:
                ways = ", ".join(advice.ways)
                raise Conflict(
                    "way-not-possible", f"what is {row['state']} can be resolved as {ways}, not as {way[:20]!r}"
                )
            touched = Touched(subjects={subject})
            match r.Way(way):
                case r.Way.same:
                    touched.subjects.add(await self.mean_the_same(connection, row, other))
                case r.Way.book | r.Way.reverse:
                    other = await self.tell_loan(connection, row, r.Way(way), note, loan_id)
                case r.Way.accept:
                    other = ""
            await self.note_down(connection, row, way, note, by, other)
            await compare(connection, touched, self.patience)
        return {"subject": subject, "way": way, "other": other or None, "resolved_by": by}

    async def all_items(self, *, older: int = 0, **asked: Any) -> list[dict[str, Any]]:
        """Every open difference that fits, at least `older` days old."""
        found: list[dict[str, Any]] = []
        after: Sequence[Any] | None = None
        while page := await self.items(after=after, limit=CHUNK, **asked):
            found += [item for item in page if item["age_days"] >= older]
            after = (page[-1]["since"], page[-1]["subject"])
        return found

    async def resolve_all(self, subjects: Sequence[str], way: str, **decided: Any) -> list[dict[str, Any]]:
        """The same decision on several, each by itself: what cannot be done says why and holds up no other."""
        done: list[dict[str, Any]] = []
        for subject in subjects:
            try:
                done.append(await self.resolve(subject, way, **decided))
            except (Conflict, Unknown) as no:
                done.append({"subject": subject, "way": way, "problem": str(no)})
        return done

    async def note_down(
        self, connection: Connection, row: Mapping[str, Any], way: str, note: str, by: str, other: str
    ) -> None:
        """For good: who, when, why, and on which figures."""
        await connection.execute(
            "INSERT INTO reconciliation_resolutions"
            " (subject, way, note, state, ours_paise, theirs_paise, other, resolved_at, resolved_by)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            row["subject"],
            way,
            note.strip()[:2000],
            row["state"],
            row["ours_paise"],
            row["theirs_paise"],
            other,
            self.now,
            by,
        )

    async def take_apart(self, connection: Connection, row: Mapping[str, Any], note: str, by: str) -> dict[str, Any]:
        """What people put here goes back to where its references say."""
        lines = await connection.fetch(
            "UPDATE reconciliation_lines SET told = '' WHERE told = $1 RETURNING id, source, entry", row["subject"]
        )
        if not lines:
            raise Conflict(
                "way-not-possible", "no person has said of any line that it is the same: nothing to take apart"
            )
        other = ", ".join(f"line:{line['source']}:{line['entry']}" for line in lines)
        await self.note_down(connection, row, r.Way.apart, note, by, other)
        touched = Touched(subjects={row["subject"]}, lines={line["id"] for line in lines})
        await compare(connection, touched, self.patience)
        return {"subject": row["subject"], "way": r.Way.apart.value, "other": other, "resolved_by": by}

    async def mean_the_same(self, connection: Connection, row: Mapping[str, Any], other: str) -> str:
        """The line `row` means the movement or the settlement `other`, though it does not name it."""
        if row["kind"] != "line":
            raise Conflict(
                "way-not-possible", f"{row['subject']} is a movement itself; only a line can mean another one"
            )
        known = await connection.fetchval(
            "SELECT EXISTS (SELECT FROM reconciliation.movements WHERE subject = $1 AND what IN ('asked', 'moved'))"
            " OR EXISTS (SELECT FROM reconciliation_lines WHERE settlement = $1 AND NOT statement)",
            other,
        )
        if not known:
            raise Conflict("other-unknown", f"say what it is the same as, by its subject; there is no {other[:200]!r}")
        await connection.execute("UPDATE reconciliation_lines SET told = $2 WHERE subject = $1", row["subject"], other)
        return other

    async def tell_loan(
        self, connection: Connection, row: Mapping[str, Any], way: r.Way, note: str, loan_id: str
    ) -> str:
        """Have it booked, or taken back, by the loan: which one."""
        found = difference(
            {
                **{name: row[name] for name in ("subject", "state", "loan_id", "ours_paise", "theirs_paise")},
                **{name: row[name] for name in ("reference", "gateway_reference")},
                "on": row["theirs_on"] or row["ours_on"],
            }
        )
        if way is r.Way.reverse:
            booking = r.reversal(found, note)
        else:
            whose = loan_id or found.loan_id
            if found.loan_id and whose != found.loan_id and found.kind != "line":
                raise Conflict("loan-differs", f"this is money of {found.loan_id}: book it there")
            if not await connection.fetchval(
                "SELECT 1 FROM reconciliation.movements WHERE subject = $1 LIMIT 1", f"loan:{whose}"
            ):
                raise Conflict("loan-unknown", f"say on which loan to book it; there is none {whose[:64]!r}")
            sent = await connection.fetchval("SELECT 1 FROM reconciliation_bookings WHERE subject = $1", found.subject)
            by_instruction = found.kind in ("debit", *r.PAID_OUT) and not sent
            booking = (r.success(found) if by_instruction else None) or r.surplus(found, whose)
        if booking is None:
            raise Conflict("way-not-possible", f"there is nothing here that could be resolved as {way.value}")
        await keep(connection, booking, found.subject, again=True)
        return booking.loan_id

    # --- Totals ------------------------------------------------------------------------------------------------

    async def totals(self) -> dict[str, Any]:
        """From the ledger's bank account to the banks' statements, step by step; each is a sum that can be listed."""
        async with (
            self.pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            ledger = await connection.fetchval("SELECT paise FROM ledger.trial_balance WHERE account = $1", BANK)
            states = await connection.fetch(
                "SELECT level, shown AS state, count(*) AS count, sum(ours_paise)::bigint AS ours_paise,"
                " sum(theirs_paise)::bigint AS theirs_paise, min(since) AS oldest"
                f" FROM ({SHOWN}) i GROUP BY 1, 2 ORDER BY 1, 2",
                self.awaited_since,
            )
            lines = await connection.fetchrow(
                "SELECT coalesce(sum(paise) FILTER (WHERE NOT statement), 0)::bigint AS reported,"
                " coalesce(sum(fee_paise) FILTER (WHERE NOT statement), 0)::bigint AS fees,"
                " coalesce(sum(paise) FILTER (WHERE statement), 0)::bigint AS banked, count(*) AS count"
                " FROM reconciliation_lines"
            )
            files = await connection.fetchval("SELECT count(*) FROM reconciliation_files")

        def sums(level: str, side: str) -> int:
            return sum(row[side] for row in states if row["level"] == level)

        ours, theirs = sums("item", "ours_paise"), sums("item", "theirs_paise")
        promised, arrived = sums("settlement", "ours_paise"), sums("settlement", "theirs_paise")
        direct = lines["banked"] - arrived
        return {
            "files": files,
            "lines": lines["count"],
            "ledger_bank_paise": ledger or 0,
            "not_compared_paise": (ledger or 0) - ours,
            "differences_paise": theirs - ours,
            "reported_paise": theirs,
            "direct_paise": direct,
            "settled_gross_paise": lines["reported"],
            "fees_paise": lines["fees"],
            "settled_net_paise": promised,
            "in_transit_paise": promised - arrived,
            "banked_paise": lines["banked"],
            "reconciles": theirs == lines["reported"] + direct and promised == lines["reported"] - lines["fees"],
            "states": [
                {
                    "level": row["level"],
                    "state": row["state"],
                    "count": row["count"],
                    "ours_paise": row["ours_paise"],
                    "theirs_paise": row["theirs_paise"],
                    "oldest_days": max(0, (ist_day(self.now) - ist_day(row["oldest"])).days),
                }
                for row in states
            ],
        }


STEPS = (
    ("ledger_bank_paise", "Bank account by the ledger"),
    ("not_compared_paise", "  of which not compared yet"),
    ("differences_paise", "+ differences: what is reported and not in the loans, less the reverse"),
    ("reported_paise", "= by reports and statements"),
    ("direct_paise", "  of which straight at the bank"),
    ("settled_gross_paise", "  of which by gateways"),
    ("fees_paise", "- fees that gateways keep"),
    ("settled_net_paise", "= what gateways say that they paid out"),
    ("in_transit_paise", "- not at the bank"),
    ("banked_paise", "= the banks' statements, what came straight included"),
)
"""The totals in their order, in words."""

HOLDS = (
    "SELECT d.way = 'accept' OR d.resolved_at > $1::timestamptz FROM reconciliation_resolutions d WHERE d.id = {item}"
)
"""Whether a decision holds: what was to be booked or reversed, and is not after the days of grace, was refused by the
loan, and is open again."""

SHOWN = (
    "SELECT i.*, CASE WHEN state = 'matched' THEN 'matched'"
    f" WHEN resolution IS NOT NULL AND ({HOLDS.format(item='i.resolution')}) THEN 'resolved'"
    " WHEN state = 'missing' AND since > $1::timestamptz THEN 'awaited' ELSE state END AS shown,"
    " (SELECT min(type) FROM reconciliation_bookings b WHERE b.subject = i.subject) AS booked"
    " FROM reconciliation_items i"
)
"""Items as people see them: with what time and decisions make of their state."""


def check_source(source: str) -> None:
    if not SOURCE_NAME.fullmatch(source):
        raise FileRefused("has 1 to 40 of A-Z a-z 0-9 . _ -", where="the source's name")


def told_file(file: Mapping[str, Any], read: ReadFile, *, already: bool) -> dict[str, Any]:
    return {**told_row(file), "already_taken": already, "passed_over": read.passed_over, "checked": read.told}


def told_content(content: tuple[Any, ...]) -> str:
    paise, fee, on, batch = content
    return f"{paise} paise on {on}{f', fee {fee}' if fee else ''}{f', settlement {batch}' if batch else ''}"


def told_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON values."""
    return {name: plain(value) for name, value in row.items()}


def plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(IST).isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if hasattr(value, "isoformat") else value
