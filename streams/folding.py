"""From the log to rows: events in batches over many partitions, decoded once, folded into loans and projections."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from domain import snapshot
from domain.codec import decode
from domain.ensure import ensure
from domain.loan import Loan
from projections.base import Projection, Recorded, Write
from streams.read_models import Connection, Positions

LogRow = tuple[int, int, str, int, str, bytes, datetime]
"""partition, position, loan_id, version, topic, state, recorded_at."""


async def read_log(connection: Connection, after: Positions, limit: int) -> list[LogRow]:
    """The next events of these partitions. Give the partition that may fill the batch first, and another next time."""
    rows: Any = await connection.fetch(
        "SELECT e.* FROM unnest($1::int[], $2::bigint[]) AS p (partition, position) CROSS JOIN LATERAL"
        " (SELECT partition, position, loan_id, version, topic, state, recorded_at FROM public.events"
        " WHERE partition = p.partition AND position > p.position ORDER BY position LIMIT $3) AS e LIMIT $3",
        list(after),
        list(after.values()),
        limit,
    )
    return rows


class Folded(NamedTuple):
    """What a batch makes of one projection."""

    projection: Projection
    old: Positions
    new: Positions
    writes: list[Write]


class Loans:
    """The loans in hand, the least recently used let go first."""

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.held: dict[str, Loan] = {}

    def forget(self) -> None:
        """After anything failed: a loan in hand may be ahead of what was committed."""
        self.held.clear()

    async def before(self, connection: Connection, rows: Sequence[LogRow]) -> dict[str, Loan]:
        """The loans of a batch, each as it was before its first event in it."""
        held = self.held
        found: dict[str, Loan] = {}
        missing: dict[str, tuple[int, int]] = {}
        for partition, _, loan_id, version, *_ in rows:
            if loan_id in found or loan_id in missing:
                continue
            loan = held.pop(loan_id, None)
            if loan is not None and loan.version == version - 1:
                found[loan_id] = loan
            elif version == 1:
                found[loan_id] = Loan.shell(loan_id)
            else:
                missing[loan_id] = (partition, version)
        if missing:
            found.update(await load_before(connection, missing))
        return found

    def keep_these(self, loans: Mapping[str, Loan]) -> None:
        self.held.update(loans)
        for loan_id in list(self.held)[: max(0, len(self.held) - self.keep)]:
            del self.held[loan_id]


async def load_before(connection: Connection, wanted: Mapping[str, tuple[int, int]]) -> dict[str, Loan]:
    """Loans as they were before a version, from their snapshot, if it is not younger, and the events after it."""
    ids = list(wanted)
    partitions = [partition for partition, _ in wanted.values()]
    versions = [version for _, version in wanted.values()]
    snapshots = await connection.fetch(
        "SELECT s.loan_id, s.version, s.state FROM unnest($1::int[], $2::text[], $3::int[]) AS w (p, l, v)"
        " JOIN public.snapshots s ON s.partition = w.p AND s.loan_id = w.l AND s.version < w.v AND s.schema = $4",
        partitions,
        ids,
        versions,
        snapshot.SCHEMA,
    )
    loans = {loan_id: snapshot.load(loan_id, state) for loan_id, _, state in snapshots}
    since = {loan_id: version for loan_id, version, _ in snapshots}
    events = await connection.fetch(
        "SELECT e.loan_id, e.version, e.topic, e.state"
        " FROM unnest($1::int[], $2::text[], $3::int[], $4::int[]) AS w (p, l, since, v) JOIN public.events e"
        " ON e.partition = w.p AND e.loan_id = w.l AND e.version > w.since AND e.version < w.v"
        " ORDER BY e.loan_id, e.version",
        partitions,
        ids,
        [since.get(loan_id, 0) for loan_id in ids],
        versions,
    )
    evolve_all(loans, events)
    return loans


def evolve_all(loans: dict[str, Loan], rows: Iterable[Sequence[Any]]) -> None:
    """Fold rows (loan id, version, topic, state), each loan's in order, into the loans; a new one begins empty."""
    for loan_id, version, topic, state in rows:
        loan = loans.get(loan_id)
        if loan is None:
            loan = loans[loan_id] = Loan.shell(loan_id)
        loan.evolve(decode(topic, state, loan_id, version))


def fold(
    projections: Collection[tuple[Projection, Positions]], rows: Sequence[LogRow], loans: Mapping[str, Loan]
) -> list[Folded]:
    """Rows of every projection for a batch; one that is further than the batch begins takes only what is new to it.

    `loans` are changed: they come as they were before the batch and are left as they are after it.
    """
    foldings = [(projection, positions, projection.begin()) for projection, positions in projections]
    first = foldings[0][1]
    together = all(positions == first for _, positions, _ in foldings)
    sees = [folding.see for _, _, folding in foldings]
    reached = {p: min(positions[p] for _, positions, _ in foldings) for p in first}
    for partition, position, loan_id, version, topic, state, recorded_at in rows:
        ensure(position == reached[partition] + 1, "the log has no gaps", partition=partition, position=position)
        reached[partition] = position
        loan = loans[loan_id]
        event = decode(topic, state, loan_id, version)
        recorded = Recorded(partition, position, loan_id, version, event, recorded_at)
        if together:
            for see in sees:
                see(recorded, loan)
        else:
            for _, positions, folding in foldings:
                if position > positions[partition]:
                    folding.see(recorded, loan)
        loan.evolve(event)
    return [
        Folded(projection, positions, new, folding.close(loans))
        for projection, positions, folding in foldings
        if (new := {p: position for p, position in reached.items() if position > positions[p]})
    ]
