"""The work list for people: cases and promises as the read model has them, and the commands that move a case on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

from adapters.event_store.postgres import PostgresLog
from adapters.sending import Sender
from domain.failures import TABLES_OF_RAIL, family
from streams.envelope import headers_for
from streams.topics import COMMANDS, partition_of

CASE = (
    "case_id, loan_id, kind, team, reason, number, about, state, assignee, level, notes, opened_at, due_at, closed_at,"
    " disposition, outcome, version"
)
LOOK_EVERY = 0.05
BEFORE_ALL = datetime(1900, 1, 1, tzinfo=UTC)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""Where a case without a time limit stands in the list."""
FAR = "'9999-01-01T00:00:00Z'::timestamptz"


async def cases(
    pool: asyncpg.Pool,
    *,
    now: datetime,
    after: Sequence[Any] | None = None,
    limit: int = 50,
    state: str | None = "open",
    kind: str | None = None,
    team: str | None = None,
    assignee: str | None = None,
    loan_id: str | None = None,
    overdue: bool | None = None,
) -> list[dict[str, Any]]:
    """Cases, those that are due first. `assignee` "" = nobody's; `after` = (due at, case id) of the last one."""
    due, case_id = after or (BEFORE_ALL, "")
    rows = await pool.fetch(
        f"SELECT {CASE}, coalesce(state = 'open' AND due_at < $1, false) AS overdue FROM collections.cases"
        f" WHERE (coalesce(due_at, {FAR}), case_id) > ($2, $3) AND ($5::text IS NULL OR state = $5)"
        " AND ($6::text IS NULL OR kind = $6) AND ($7::text IS NULL OR team = $7)"
        " AND ($8::text IS NULL OR assignee = $8) AND ($9::text IS NULL OR loan_id = $9)"
        " AND ($10::boolean IS NULL OR coalesce(state = 'open' AND due_at < $1, false) = $10)"
        f" ORDER BY coalesce(due_at, {FAR}), case_id LIMIT $4",
        now,
        due,
        case_id,
        limit,
        state,
        kind,
        team,
        assignee,
        loan_id,
        overdue,
    )
    return [told(row) for row in rows]


def told(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "instalment": row["number"] or None,
        **{name: value for name, value in dict(row).items() if name != "number"},
    }


async def case(pool: asyncpg.Pool, case_id: str) -> dict[str, Any] | None:
    """One, with everything that happened to it."""
    row = await pool.fetchrow(
        f"SELECT partition, {CASE}, false AS overdue FROM collections.cases WHERE case_id = $1", case_id
    )
    if row is None:
        return None
    history = await pool.fetch(
        "SELECT topic, occurred_at, actor, convert_from(state, 'UTF8')::jsonb AS told FROM events"
        " WHERE partition = $1 AND loan_id = $2 AND version >= $3 AND topic = ANY($4) ORDER BY version",
        row["partition"],
        row["loan_id"],
        await pool.fetchval(
            "SELECT min(version) FROM events WHERE partition = $1 AND loan_id = $2 AND occurred_at >= $3",
            row["partition"],
            row["loan_id"],
            row["opened_at"],
        ),
        [f"loan.case-{what}.v1" for what in ("opened", "assigned", "noted", "escalated", "closed")],
    )
    about = [one for one in history if one["told"]["case_id"] == case_id]
    shown = told(row)
    shown.pop("partition")
    return {
        **shown,
        "history": [
            {
                "at": one["occurred_at"],
                "what": one["topic"].removeprefix("loan.case-").removesuffix(".v1"),
                "by": one["actor"],
                **{
                    name: one["told"][name]
                    for name in ("assignee", "disposition", "note_token", "level", "to", "outcome", "note")
                    if one["told"].get(name)
                },
            }
            for one in about
        ],
    }


async def about(pool: asyncpg.Pool, rail: str, code: str) -> list[dict[str, Any]]:
    """Open cases about a failure code that nobody knew, on any rail that shares its table."""
    rails = [known for known in (*TABLES_OF_RAIL, rail) if family(known) == family(rail)]
    rows = await pool.fetch(
        "SELECT loan_id, case_id FROM collections.cases WHERE state = 'open' AND about = ANY($1) ORDER BY case_id",
        list(dict.fromkeys(f"{known}:{code}" for known in rails)),
    )
    return [dict(row) for row in rows]


async def promises(pool: asyncpg.Pool, *, state: str = "open", limit: int = 50) -> list[dict[str, Any]]:
    """Promises to pay, those of the nearest day first."""
    rows = await pool.fetch(
        "SELECT promise_id, loan_id, amount_paise, received_paise, pay_by, channel, arm, state"
        " FROM collections.promises WHERE state = $1 ORDER BY pay_by, promise_id LIMIT $2",
        state,
        limit,
    )
    return [dict(row) for row in rows]


async def arms(pool: asyncpg.Pool | asyncpg.Connection | PoolConnectionProxy) -> list[dict[str, Any]]:
    """What each arm of each strategy brought: counts, and paise where there is money."""
    rows = await pool.fetch(
        "SELECT strategy, arm, metric, sum(count)::bigint AS count, sum(paise)::bigint AS paise FROM collections.arms"
        " GROUP BY 1, 2, 3 ORDER BY 1, 2"
    )
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = row["strategy"], row["arm"]
        into = found.setdefault(key, dict[str, Any].fromkeys(FIGURES, 0) | {"strategy": key[0], "arm": key[1]})
        into[row["metric"]] = row["count"]
        if f"{row['metric']}_paise" in FIGURES:
            into[f"{row['metric']}_paise"] = row["paise"]
    for into in found.values():
        answered = into["kept"] + into["broken"]
        into["kept_percent"] = f"{100 * into['kept'] / answered:.1f}" if answered else None
        overdue = into["entered_paise"]
        into["recovered_percent"] = f"{100 * into['recovered_paise'] / overdue:.1f}" if overdue else None
    return list(found.values())


FIGURES = (
    "entered", "entered_paise", "contact", "task", "promised", "promised_paise", "kept", "broken", "recovered",
    "recovered_paise", "cured",
)  # fmt: skip


async def command(
    sender: Sender,
    partitions: int,
    kind: str,
    loan_id: str,
    command_id: str,
    by: str,
    now: datetime,
    body: Mapping[str, Any],
) -> None:
    """Put a command on servicing.commands, in its loan's partition."""
    value = {"loan_id": loan_id, "command_id": command_id, "requested_by": by, "requested_at": now.isoformat(), **body}
    await sender.send(
        COMMANDS.name,
        partition=partition_of(loan_id, partitions),
        key=loan_id.encode(),
        value=orjson.dumps(value),
        headers=headers_for(f"servicing.{kind}.v1", command_id, "qist/casework", now),
    )


async def close_classified(
    sender: Sender,
    partitions: int,
    waiting: Collection[Mapping[str, Any]],
    number: int,
    meaning: str,
    by: str,
    now: datetime,
) -> None:
    """The code that these cases are about has a meaning now. Sent twice, each is closed once."""
    for one in waiting:
        body = {
            "case_id": one["case_id"],
            "disposition": "classified",
            "note": f"version {number} of the mapping: {meaning}",
        }
        await command(
            sender, partitions, "close-case", one["loan_id"], f"classified:{number}:{one['case_id']}", by, now, body
        )


async def answer_to(pool: asyncpg.Pool, command_id: str, seconds: float) -> dict[str, Any] | None:
    """What became of a command; None when no engine has answered in time (as of a loan that nobody knows)."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        row = await pool.fetchrow(
            "SELECT outcome, refusal, detail FROM command_results WHERE command_id = $1 LIMIT 1", command_id
        )
        if row is not None:
            return dict(row)
        await asyncio.sleep(LOOK_EVERY)
    return None


async def add_notes(events: PostgresLog, found: dict[str, Any]) -> None:
    """The words of a case's notes, from the vault; none of a borrower whose data was destroyed."""
    noted = [one for one in found["history"] if "note_token" in one]
    words = await events.open_secrets([one["note_token"] for one in noted])
    for one in noted:
        one["words"] = words.get(one["note_token"], {}).get("note")
