"""The access log: who read what about whom, and when. Rows are added, never changed (the application may not)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from adapters.access.permissions import Principal


async def record(
    pool: Any, who: Principal, what: str, *, loan_id: str | None = None, borrower_id: str | None = None,
    detail: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Write an access down before it happens: what could not be recorded is not shown.

    `what` is the route (`GET /api/v1/loans/{loan_id}/ledger`) or the command; `detail` are its parameters.
    """
    await pool.execute(
        "INSERT INTO access_log (who, subject, what, loan_id, borrower_id, detail) VALUES ($1, $2, $3, $4, $5, $6)",
        who.name, who.subject, what, loan_id, borrower_id, dict(detail or {}),
    )  # fmt: skip


async def accesses(
    pool: Any, *, since: datetime | None = None, until: datetime | None = None, who: str | None = None,
    loan_id: str | None = None, borrower_id: str | None = None, before: int | None = None, limit: int = 200,
) -> list[dict[str, Any]]:  # fmt: skip
    """Accesses, the newest first: `number, at, who, subject, what, loan_id, borrower_id, detail`.

    `since` counts, `until` does not (instants of real time). `borrower_id` finds what was read of all their loans, as
    the read model knows them. `before` is the number of the last row of the page before.
    """
    rows = await pool.fetch(
        "SELECT number, at, who, subject, what, loan_id, borrower_id, detail FROM access_log a"
        " WHERE ($1::timestamptz IS NULL OR at >= $1) AND ($2::timestamptz IS NULL OR at < $2)"
        " AND ($3::text IS NULL OR who = $3) AND ($4::text IS NULL OR loan_id = $4)"
        " AND ($5::text IS NULL OR borrower_id = $5"
        "      OR loan_id IN (SELECT l.loan_id FROM loan_view.loans l WHERE l.borrower_id = $5))"
        " AND ($6::bigint IS NULL OR number < $6) ORDER BY number DESC LIMIT $7",
        since, until, who, loan_id, borrower_id, before, limit,
    )  # fmt: skip
    return [dict(row) for row in rows]
