"""Loans as they stood at an instant, many at once, from the log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from domain import snapshot
from domain.loan import Loan
from streams.folding import evolve_all
from streams.read_models import Connection


async def loans_at(connection: Connection, homes: Mapping[str, int], until: datetime) -> dict[str, Loan]:
    """Loans (id -> partition) with the events that had occurred by then: from their snapshots where these are no
    younger. One to which nothing had happened is not there."""
    ids, partitions = list(homes), list(homes.values())
    kept = await connection.fetch(
        "SELECT s.loan_id, s.version, s.state FROM unnest($1::int[], $2::text[]) AS w (p, l) JOIN snapshots s"
        " ON s.partition = w.p AND s.loan_id = w.l AND s.schema = $4 JOIN events e ON e.partition = w.p"
        " AND e.loan_id = w.l AND e.version = s.version WHERE e.occurred_at <= $3",
        partitions,
        ids,
        until,
        snapshot.SCHEMA,
    )
    loans = {loan_id: snapshot.load(loan_id, state) for loan_id, _, state in kept}
    since = {loan_id: version for loan_id, version, _ in kept}
    events = await connection.fetch(
        "SELECT e.loan_id, e.version, e.topic, e.state FROM unnest($1::int[], $2::text[], $3::int[]) AS w (p, l, since)"
        " JOIN events e ON e.partition = w.p AND e.loan_id = w.l AND e.version > w.since WHERE e.occurred_at <= $4"
        " ORDER BY e.loan_id, e.version",
        partitions,
        ids,
        [since.get(loan_id, 0) for loan_id in ids],
        until,
    )
    evolve_all(loans, events)
    return loans
