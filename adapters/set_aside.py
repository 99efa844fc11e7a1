"""What could not be applied: dead letters (something is wrong with them), parked records (their loan is not known yet).

Both can be listed and sent again, byte for byte, to the topic that they came from and the partition where their loan
lives. Sending again is harmless: a loan knows what it has done. A record that is refused again is set aside again.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from adapters.event_store.postgres import record_from
from adapters.sending import Sender
from domain.calendar import IST
from streams.envelope import Record
from streams.topics import partition_of

MASK = "***"
PERSONAL = frozenset(
    {
        "name",
        "holder",
        "phone",
        "mobile",
        "email",
        "address",
        "number",
        "vpa",
        "umrn",
        "identity",
        "pan",
        "aadhaar",
        "message",
    }
)
"""Fields of inbound messages that can hold personal data; what a person wrote freely counts as such."""


class AlreadyRetried(Exception):
    """The dead letter was sent again before: whatever became of it then is elsewhere."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        super().__init__(f"it was sent again at {at.isoformat()}")


# --- Dead letters --------------------------------------------------------------------------------------------


async def dead_letters(
    pool: asyncpg.Pool,
    *,
    after: int = 0,
    limit: int = 50,
    reason: str | None = None,
    loan_id: str | None = None,
    retried: bool | None = False,
) -> list[dict[str, Any]]:
    """Dead letters in the order in which they were set aside; `retried` None = both kinds."""
    rows = await pool.fetch(
        "SELECT id, reason, detail, field, loan_id, topic, source_partition, source_offset, headers, set_aside_at,"
        " retried_at, octet_length(value) AS bytes FROM dead_letters WHERE id > $1"
        " AND ($3::text IS NULL OR reason = $3) AND ($4::text IS NULL OR loan_id = $4)"
        " AND ($5::boolean IS NULL OR (retried_at IS NOT NULL) = $5) ORDER BY id LIMIT $2",
        after,
        limit,
        reason,
        loan_id,
        retried,
    )
    return [{"id": row["id"], **_told(row), **_why(row)} for row in rows]


async def dead_letter(pool: asyncpg.Pool, number: int) -> dict[str, Any] | None:
    """One, with its body; personal data is masked there."""
    row = await pool.fetchrow(
        "SELECT *, octet_length(value) AS bytes FROM dead_letters WHERE id = $1",
        number,
    )
    if row is None:
        return None
    record = record_from(row)
    key = None if record.key is None else record.key.decode("utf-8", "replace")
    return {"id": row["id"], **_told(row), **_why(row), "key": key, **_content(record)}


async def raw_value(pool: asyncpg.Pool, number: int) -> bytes | None:
    """The record's value as it came, personal data included: for a person at the machine, never over HTTP."""
    return await pool.fetchval("SELECT value FROM dead_letters WHERE id = $1", number)


async def retry_dead_letter(pool: asyncpg.Pool, sender: Sender, number: int) -> dict[str, Any] | None:
    """Send it again and mark it once the broker has it. `AlreadyRetried` when somebody did so before."""
    async with pool.acquire() as connection, connection.transaction():
        # The row stays locked until the broker has acknowledged, so that two people send it once.
        row = await connection.fetchrow("SELECT * FROM dead_letters WHERE id = $1 FOR UPDATE", number)
        if row is None:
            return None
        if row["retried_at"] is not None:
            raise AlreadyRetried(row["retried_at"])
        sent = await _send_again(connection, sender, record_from(row), row["loan_id"])
        await connection.execute("UPDATE dead_letters SET retried_at = now() WHERE id = $1", number)
    return {"id": number, **sent}


# --- Parked --------------------------------------------------------------------------------------------------


async def parked(
    pool: asyncpg.Pool, *, after: Sequence[Any] | None = None, limit: int = 50, loan_id: str | None = None
) -> list[dict[str, Any]]:
    """Parked records by loan, each loan's in the order in which they came."""
    rows = await pool.fetch(
        "SELECT loan_id, topic, source_partition, source_offset, headers, parked_at, octet_length(value) AS bytes"
        " FROM parked WHERE ($1::text IS NULL OR loan_id = $1)"
        " AND ($3::text IS NULL OR (loan_id, topic, source_partition, source_offset) > ($3, $4, $5, $6))"
        " ORDER BY loan_id, topic, source_partition, source_offset LIMIT $2",
        loan_id,
        limit,
        *(after or (None, None, None, None)),
    )
    return [{**_told(row), "parked_at": _instant(row["parked_at"])} for row in rows]


async def retry_parked(pool: asyncpg.Pool, sender: Sender, loan_id: str) -> list[dict[str, Any]]:
    """Send a loan's parked records again, in order. Is the loan still unknown, they are parked again."""
    sent: list[dict[str, Any]] = []
    async with pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(
            "SELECT * FROM parked WHERE loan_id = $1 ORDER BY parked_at, topic, source_offset FOR UPDATE", loan_id
        )
        for row in rows:
            sent.append(await _send_again(connection, sender, record_from(row), loan_id))
            await connection.execute(
                "DELETE FROM parked WHERE partition = $1 AND cluster_id = $2 AND topic = $3 AND source_partition = $4"
                " AND source_offset = $5",
                row["partition"],
                row["cluster_id"],
                row["topic"],
                row["source_partition"],
                row["source_offset"],
            )
    return sent


async def parked_loans(pool: asyncpg.Pool) -> list[str]:
    """Loans that something waits for."""
    return [row["loan_id"] for row in await pool.fetch("SELECT DISTINCT loan_id FROM parked ORDER BY loan_id")]


# --- Both ----------------------------------------------------------------------------------------------------


async def _send_again(connection: Any, sender: Sender, record: Record, loan_id: str) -> dict[str, Any]:
    partitions = await connection.fetchval("SELECT partitions FROM house")
    home = partition_of(loan_id, partitions) if loan_id else _partition_by_key(record, partitions)
    offset = await sender.send(record.topic, partition=home, key=record.key, value=record.value, headers=record.headers)
    return {"topic": record.topic, "partition": home, "offset": offset, "loan_id": loan_id or None}


def _partition_by_key(record: Record, partitions: int) -> int:
    """A record whose loan cannot be told goes where its key says, else where it was."""
    if record.key is None:
        return record.partition
    return partition_of(record.key.decode("utf-8", "replace"), partitions)


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a list shows: where it came from, and nothing of its body."""
    return {
        "loan_id": row["loan_id"] or None,
        "type": _header(row["headers"], "ce_type"),
        "event_id": _header(row["headers"], "ce_id"),
        "topic": row["topic"],
        "partition": row["source_partition"],
        "offset": row["source_offset"],
        "bytes": row["bytes"] or 0,
    }


def _why(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "reason": row["reason"],
        "detail": row["detail"],
        "field": row["field"] or None,
        "set_aside_at": _instant(row["set_aside_at"]),
        "retried_at": _instant(row["retried_at"]),
    }


def _content(record: Record) -> dict[str, Any]:
    """Headers, the body without personal data if it is JSON, and a hash by which the exact bytes can be known."""
    value = record.value or b""
    try:
        body: Any = masked(orjson.loads(value))
    except orjson.JSONDecodeError:
        body = None
    headers = {name: None if held is None else held.decode("utf-8", "replace") for name, held in record.headers}
    return {"headers": headers, "body": body, "value_sha256": hashlib.sha256(value).hexdigest()}


def masked(value: Any) -> Any:
    """The same without personal data: whoever looks at a list of mistakes need not see whose they are."""
    if isinstance(value, dict):
        return {
            name: MASK if name in PERSONAL and held not in (None, "") else masked(held) for name, held in value.items()
        }
    return [masked(one) for one in value] if isinstance(value, list) else value


def _header(headers: Sequence[tuple[str, str | None]], name: str) -> str | None:
    """One header of a stored record, as text."""
    found = [value for known, value in headers if known == name and value is not None]
    return base64.b64decode(found[-1]).decode("utf-8", "replace") if found else None


def _instant(at: datetime | None) -> str | None:
    return at.astimezone(IST).isoformat() if at else None
