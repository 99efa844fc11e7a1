"""Proof that the books are whole: the log against its hashes, and everything made from the log against a fresh fold.

All of it is read in one snapshot of the database, partition by partition, so that a running house can be audited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
import orjson

from domain import snapshot
from domain.chain import GENESIS, link
from domain.codec import decode
from domain.decisions.rules import Rules
from domain.events import LoanEvent
from domain.loan import Loan
from projections.base import Folding, Projection, Recorded, Row, Table
from projections.ledger import BALANCES, BY_CODE, balances_by_state
from projections.registry import ALL
from streams.read_models import Connection, Memory, Positions, positions_of
from streams.topics import partition_of

BATCH_EVENTS = 5_000
LOG = (
    "SELECT partition, position, loan_id, version, topic, state, occurred_at, recorded_at, causation_id,"
    " correlation_id, actor, hash FROM events WHERE partition = $1"
)


class Difference(NamedTuple):
    """One thing that is not as it must be."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(slots=True)
class Findings:
    """What an audit looked at, and what it found."""

    events: int = 0
    loans: int = 0
    rows: int = 0
    snapshots: int = 0
    trial_balance_paise: int = 0
    differences: list[Difference] = field(default_factory=list[Difference])

    def add(self, where: str, what: str) -> None:
        self.differences.append(Difference(where, what))


async def verify(
    pool: asyncpg.Pool,
    rules: Rules,
    loan_id: str | None = None,
    progress: Callable[[int], None] = lambda events: None,
) -> Findings:
    """Look at everything, or at one loan and its rows."""
    findings = Findings()
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        heads = {row["partition"]: row["position"] for row in await connection.fetch("SELECT * FROM partitions")}
        count: int = await connection.fetchval("SELECT partitions FROM house")
        if loan_id is not None:
            home = partition_of(loan_id, count)
            heads = {home: heads[home]}
        standing = [
            (projection(rules), (await positions_of(connection, projection.name, heads))[0]) for projection in ALL
        ]
        for partition in sorted(heads):
            audit = PartitionAudit(partition, standing, findings, loan_id, count)
            await audit.run(connection, heads[partition], progress)
        if loan_id is not None and findings.events == 0:
            findings.add(f"loan {loan_id}", "has no events")
        await check_trial_balance(connection, findings, loan_id)
        await check_reconciliation(connection, findings, loan_id)
    return findings


async def check_trial_balance(connection: Connection, findings: Findings, loan_id: str | None) -> None:
    """Debits are credits: by loan, by day, and entry by entry."""
    of_loan, arguments = (" WHERE loan_id = $1", [loan_id]) if loan_id is not None else ("", [])
    sums = {
        "ledger.balances": f"SELECT sum(paise) FROM ledger.balances{of_loan}",
        "ledger.journal": f"SELECT sum(ledger.total(amounts)) FROM ledger.journal{of_loan}",
    }
    if loan_id is None:
        sums["ledger.daily"] = "SELECT sum(debit_paise - credit_paise) FROM ledger.daily"
    for table, query in sums.items():
        total = int(await connection.fetchval(query, *arguments) or 0)
        if table == "ledger.balances":
            findings.trial_balance_paise = total
        if total:
            findings.add(table, f"debits and credits differ by {total} paise")


NAMED_AT_MOST = 100


async def check_reconciliation(connection: Connection, findings: Findings, loan_id: str | None) -> None:
    """Every comparison holds what both sides hold: movements that have been compared, and lines of reports."""
    differing = await connection.fetch(
        "WITH ours AS (SELECT m.subject, sum(m.paise) FILTER (WHERE m.what = 'moved') AS paise"
        " FROM reconciliation.movements m JOIN reconciliation.positions p USING (partition)"
        " WHERE $1::text IS NULL OR m.loan_id = $1 GROUP BY m.subject HAVING bool_and(m.position <= p.published)),"
        " theirs AS (SELECT subject, sum(paise) AS paise FROM reconciliation_lines GROUP BY subject)"
        " SELECT subject, o.paise AS ours, i.ours_paise AS held FROM ours o LEFT JOIN reconciliation_items i"
        " USING (subject) WHERE o.paise IS NOT NULL AND i.ours_paise IS DISTINCT FROM o.paise"
        " UNION ALL SELECT subject, t.paise, i.theirs_paise FROM theirs t LEFT JOIN reconciliation_items i"
        " USING (subject) WHERE ($1::text IS NULL OR i.loan_id = $1) AND i.theirs_paise IS DISTINCT FROM t.paise"
        " ORDER BY 1 LIMIT $2",
        loan_id,
        NAMED_AT_MOST,
    )
    for row in differing:
        findings.add(
            f"reconciliation {row['subject']}", f"compares {row['held']} paise where its side has {row['ours']}"
        )


class PartitionAudit:
    """One partition, from its first event to its rows."""

    def __init__(
        self,
        partition: int,
        standing: Sequence[tuple[Projection, Positions]],
        findings: Findings,
        loan_id: str | None,
        partition_count: int,
    ) -> None:
        self.partition = partition
        self.partition_count = partition_count
        self.findings = findings
        self.loan_id = loan_id
        self.until = [(projection, positions.get(partition, 0)) for projection, positions in standing]
        self.memories = {projection.name: Memory(projection) for projection, _ in self.until}
        self.foldings: dict[str, Folding] = {}
        self.loans: dict[str, Loan] = {}
        self.heads: dict[str, bytes] = {}
        self.versions: dict[str, int] = {}
        self.broken: set[str] = set()
        """Loans that cannot be folded: named once, and no row of theirs is compared."""
        self.last = 0

    async def run(self, connection: Connection, head: int, progress: Callable[[int], None]) -> None:
        of_loan, arguments = ("", [self.partition])
        if self.loan_id is not None:
            of_loan, arguments = " AND loan_id = $2", [self.partition, self.loan_id]
        snapshots = await self.snapshots(connection)
        cursor = await connection.cursor(f"{LOG}{of_loan} ORDER BY position", *arguments)
        while rows := await cursor.fetch(BATCH_EVENTS):
            self.foldings = {projection.name: projection.begin() for projection, _ in self.until}
            for row in rows:
                self.check_event(row)
                self.fold(row)
                self.compare_snapshot(row, snapshots)
            for projection, _ in self.until:
                if projection.name in self.foldings:
                    self.close(projection)
            self.findings.events += len(rows)
            progress(self.findings.events)
        self.findings.loans += len(self.versions)
        if self.loan_id is None and self.last != head:
            self.findings.add(f"partition {self.partition}", f"stands at {head} and its last event is {self.last}")
        self.check_ledger(head)
        for projection, _ in self.until:
            for table in projection.tables:
                await self.compare_table(connection, projection, table)

    # --- the log ---------------------------------------------------------------------------------------------

    def check_event(self, row: Sequence[Any]) -> None:
        """Its position, its version and its hash follow from what came before."""
        _, position, loan_id, version, *_, stored = row
        where = f"loan {loan_id} version {version} at {self.partition}:{position}"
        if self.loan_id is None and position != self.last + 1:
            self.findings.add(where, f"position {position} follows {self.last}")
        self.last = position
        home = partition_of(loan_id, self.partition_count)
        if version == 1 and home != self.partition:
            self.findings.add(where, f"this loan's home is partition {home}: it may have a second life there")
        if version != self.versions.get(loan_id, 0) + 1:
            self.findings.add(where, f"version {version} follows {self.versions.get(loan_id, 0)}")
        self.versions[loan_id] = version
        if link(self.heads.get(loan_id, GENESIS), *row[:-1]) != stored:
            self.findings.add(where, "the hash does not match what is stored: the event, or one before it, was changed")
        self.heads[loan_id] = stored

    def fold(self, row: Sequence[Any]) -> None:
        """Into its loan, and into every projection as far as that one has come."""
        partition, position, loan_id, version, topic, state, _, recorded_at, *_ = row
        if loan_id in self.broken:
            return
        loan = self.loans.get(loan_id)
        if loan is None:
            loan = self.loans[loan_id] = Loan.shell(loan_id)
        try:
            event = decode(topic, state, loan_id, version)
            recorded = Recorded(partition, position, loan_id, version, event, recorded_at)
            for projection, until in self.until:
                if position <= until:
                    self.foldings[projection.name].see(recorded, loan)
                elif projection.name in self.foldings:
                    self.close(projection)  # so far it has come, and no loan has gone further yet
            loan.evolve(event)
        except Exception as error:  # whatever a changed event can cause
            self.broken.add(loan_id)
            del self.loans[loan_id]
            self.findings.add(
                f"loan {loan_id} version {version} at {partition}:{position}", f"cannot be folded: {error!r}"
            )

    def close(self, projection: Projection) -> None:
        self.memories[projection.name].write(self.foldings.pop(projection.name).close(self.loans))

    # --- what was made from it -------------------------------------------------------------------------------

    async def snapshots(self, connection: Connection) -> Mapping[str, tuple[int, bytes, bytes]]:
        found = await connection.fetch(
            "SELECT loan_id, version, state, hash FROM snapshots WHERE partition = $1 AND schema = $2"
            " AND ($3::text IS NULL OR loan_id = $3)",
            self.partition,
            snapshot.SCHEMA,
            self.loan_id,
        )
        return {loan_id: (version, state, head) for loan_id, version, state, head in found}

    def compare_snapshot(self, row: Sequence[Any], snapshots: Mapping[str, tuple[int, bytes, bytes]]) -> None:
        """At its version, a snapshot says what a full fold says."""
        loan_id, version = row[2], row[3]
        kept = snapshots.get(loan_id)
        if kept is None or kept[0] != version or loan_id in self.broken:
            return
        self.findings.snapshots += 1
        folded, stored = orjson.loads(snapshot.dump(self.loans[loan_id])), orjson.loads(kept[1])
        other = sorted(name for name in {*folded, *stored} if folded.get(name) != stored.get(name))
        if other:
            self.findings.add(f"snapshot of loan {loan_id} version {version}", f"differs in {', '.join(other)}")
        if kept[2] != row[-1]:
            self.findings.add(f"snapshot of loan {loan_id} version {version}", "has another hash than its event")

    def check_ledger(self, head: int) -> None:
        """The ledger says of each loan what the loan says of itself."""
        if any(projection.name == "ledger" and until < head for projection, until in self.until):
            return  # behind by a moment; its rows are compared as far as it has come
        held = self.memories["ledger"].of(BALANCES)
        for loan_id, loan in self.loans.items():
            if loan_id in self.broken:
                continue
            for account, paise in balances_by_state(loan).items():
                known = held.get((self.partition, loan_id, account), (0,))[-1]
                if known != paise:
                    self.findings.add(
                        f"loan {loan_id}", f"{BY_CODE[account].name}: {known} by its entries, {paise} by its state"
                    )

    async def compare_table(self, connection: Connection, projection: Projection, table: Table) -> None:
        """Every row of the read model against the fresh fold's."""
        by_loan = "loan_id" in table.names
        if self.loan_id is not None and not by_loan:
            return  # sums over loans need all of them
        if self.broken and not by_loan:
            return  # as do these, and some cannot be folded
        name = f"{projection.name}.{table.name}"
        fresh = dict(self.memories[projection.name].of(table))
        places = [table.names.index(column) for column in table.key]
        place = table.names.index("loan_id") if by_loan else 0
        where, arguments = "WHERE partition = $1", [self.partition]
        if self.loan_id is not None:
            where, arguments = "WHERE partition = $1 AND loan_id = $2", [self.partition, self.loan_id]
        query = f"SELECT {', '.join(table.names)} FROM {name} {where}"
        async for stored in connection.cursor(query, *arguments, prefetch=2_000):
            row = tuple(stored)
            self.findings.rows += 1
            key = tuple(row[place] for place in places)
            told = ", ".join(f"{column}={value}" for column, value in zip(table.key, key, strict=True))
            if by_loan and row[place] in self.broken:
                fresh.pop(key, None)
                continue
            expected = fresh.pop(key, None)
            if expected is None:
                self.findings.add(f"{name} ({told})", "is in the read model and not in a fresh fold")
            elif unlike := list(differing(table, row, expected)):
                self.findings.add(f"{name} ({told})", "; ".join(unlike))
        for key, row in fresh.items():
            if by_loan and row[place] in self.broken:
                continue
            told = ", ".join(f"{column}={value}" for column, value in zip(table.key, key, strict=True))
            self.findings.add(f"{name} ({told})", "is in a fresh fold and not in the read model")


def differing(table: Table, stored: Row, expected: Row) -> Iterator[str]:
    """The columns that differ, with both values."""
    for name, is_now, should_be in zip(table.names, stored, expected, strict=True):
        if is_now != should_be and not (isinstance(is_now, list) and is_now == list(should_be)):
            yield f"{name} is {is_now} and should be {should_be}"


# --- One loan, back then -------------------------------------------------------------------------------------


async def load_events(
    pool: asyncpg.Pool, loan_id: str, until: datetime | None = None, first: int | None = None
) -> list[LoanEvent]:
    """A loan's events as the business had them at an instant (by `occurred_at`), or its first so many; else all."""
    partition = partition_of(loan_id, await pool.fetchval("SELECT partitions FROM house"))
    rows = await pool.fetch(
        "SELECT topic, state, version FROM events WHERE partition = $1 AND loan_id = $2"
        " AND ($3::timestamptz IS NULL OR occurred_at <= $3) AND ($4::int IS NULL OR version <= $4) ORDER BY version",
        partition,
        loan_id,
        until,
        first,
    )
    return [decode(topic, state, loan_id, version) for topic, state, version in rows]


def refold(events: Sequence[LoanEvent]) -> Loan:
    """The loan that these events make."""
    loan = Loan.shell(events[0].originator_id)
    for event in events:
        loan.evolve(event)
    return loan
