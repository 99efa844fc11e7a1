"""What a borrower was told about a loan: every contact is on record (servicing rule 30)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import asyncpg
import orjson

from domain.calendar import IST

NAMES = (
    "notice_id", "kind", "purpose", "state", "channel", "tone", "language", "reason", "rule", "provider_reference",
)  # fmt: skip


async def notices_of(
    connection: asyncpg.Connection | asyncpg.Pool,
    loan_id: str,
    *,
    limit: int,
    before: tuple[datetime, str] | None = None,
) -> list[dict[str, Any]]:
    """A loan's notices, newest first: planned, sent, suppressed, each with its reason; no text and no address.

    `before`: (instant of the event, notice id) of the last one of the page before.
    """
    rows = await connection.fetch(
        "SELECT notice_id, kind, purpose, state, channel, tone, language, reason, rule, provider_reference,"
        " occurred_at, send_at, delivered_at, read_at, trail FROM notices"
        " WHERE loan_id = $1 AND ($2::timestamptz IS NULL OR (occurred_at, notice_id) < ($2, $3))"
        " ORDER BY occurred_at DESC, notice_id DESC LIMIT $4",
        loan_id,
        before[0] if before else None,
        before[1] if before else None,
        limit,
    )
    return [told(row) for row in rows]


def told(row: asyncpg.Record) -> dict[str, Any]:
    trail = row["trail"] if isinstance(row["trail"], list) else orjson.loads(row["trail"])
    return {
        **{name: row[name] or None for name in NAMES},
        "occurred_at": row["occurred_at"].astimezone(IST),
        "at": row["send_at"].astimezone(IST),
        "delivered_at": row["delivered_at"] and row["delivered_at"].astimezone(IST),
        "read_at": row["read_at"] and row["read_at"].astimezone(IST),
        "tries": trail,
    }
