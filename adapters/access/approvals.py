"""Four eyes: commands that give money up, or pay it out, wait until a second person decides (more than the limits of
QIST_APPROVAL_ABOVE). What is at stake is read from the events that the command would give at this moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from adapters.access.permissions import Principal
from domain import commands as c
from domain import events as e
from domain.decisions.rules import Rules
from domain.events import LoanEvent
from domain.life import handle
from domain.loan import Loan
from domain.refusals import Repeated

AT_STAKE: Mapping[type[LoanEvent], Callable[[Any], int]] = {
    e.ChargeWaived: lambda event: event.paise,
    e.RefundOwed: lambda event: event.paise,
    e.WrittenOff: lambda event: event.principal_paise + event.interest_paise + event.charges_paise,
    e.SettlementAgreed: lambda event: event.outstanding_paise - event.amount_paise,
}
"""Event -> paise that its command gives up or pays out."""

STATES = ("awaiting", "approved", "declined", "lapsed")

COLUMNS = (
    "command_id, loan_id, type, body ->> 'reason' AS reason, (body ->> 'amount_paise')::bigint AS amount_paise,"
    " at_stake_paise, requested_by, requester_subject, requested_at, lapses_at, decided_by, decided_at, note,"
    " coalesce(decision, CASE WHEN lapses_at <= $1 THEN 'lapsed' ELSE 'awaiting' END) AS state"
)
"""A request; $1 is business time."""


def at_stake(loan: Loan, command: c.Command, now: datetime, rules: Rules) -> int:
    """Paise that the command would give up or pay out now. `Refused` where it would be refused; the loan is used up."""
    before = loan.version
    try:
        events = [one for one in handle(loan, command, now, rules).take_events() if one.originator_version > before]
    except Repeated:
        return 0
    own = [one for one in events if getattr(one, "command_id", None) == getattr(command, "command_id", "")]
    return sum(AT_STAKE[type(one)](one) for one in own if type(one) in AT_STAKE)


async def hold(
    pool: Any, *, command_id: str, loan_id: str, type: str, body: Mapping[str, Any], stake: int, who: Principal,
    now: datetime, lapses_at: datetime,
) -> bool:  # fmt: skip
    """Keep a command until somebody decides; False where its id is taken."""
    return bool(
        await pool.fetchval(
            "INSERT INTO approvals (command_id, loan_id, type, body, at_stake_paise, requested_by, requester_subject,"
            " requested_at, lapses_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
            " ON CONFLICT DO NOTHING RETURNING true",
            command_id,
            loan_id,
            type,
            dict(body),
            stake,
            who.name,
            who.subject,
            now,
            lapses_at,
        )
    )


async def find(pool: Any, command_id: str, now: datetime) -> dict[str, Any] | None:
    row = await pool.fetchrow(f"SELECT {COLUMNS} FROM approvals WHERE command_id = $2", now, command_id)
    return dict(row) if row else None


async def body_of(pool: Any, command_id: str) -> dict[str, Any]:
    """The command as it is sent once it is approved."""
    return await pool.fetchval("SELECT body FROM approvals WHERE command_id = $1", command_id)


async def listed(
    pool: Any, now: datetime, *, state: str | None = "awaiting", loan_id: str | None = None,
    after: tuple[datetime, str] | None = None, limit: int = 50,
    newest_first: bool = False,
) -> list[dict[str, Any]]:  # fmt: skip
    """Requests, the oldest first."""
    since, command_id = after or (None, "")
    order = "DESC" if newest_first else "ASC"
    rows = await pool.fetch(
        f"SELECT * FROM (SELECT {COLUMNS} FROM approvals"
        " WHERE ($2::text IS DISTINCT FROM 'awaiting' OR decision IS NULL)"  # so that the small index serves
        " AND ($3::text IS NULL OR loan_id = $3)"
        " AND ($4::timestamptz IS NULL OR (requested_at, command_id) > ($4, $5))) one"
        f" WHERE ($2::text IS NULL OR state = $2) ORDER BY requested_at {order}, command_id {order} LIMIT $6",
        now, state, loan_id, since, command_id, limit,
    )  # fmt: skip
    return [dict(row) for row in rows]


async def decide(connection: Any, command_id: str, decision: str, who: Principal, *, note: str, now: datetime) -> bool:
    """Write the decision down, where nobody did before and the request has not lapsed. The row stays locked until the
    caller's transaction ends; the table refuses whoever asked."""
    return bool(
        await connection.fetchval(
            "UPDATE approvals SET decision = $2, decided_by = $3, decider_subject = $4, decided_at = $5, note = $6"
            " WHERE command_id = $1 AND decision IS NULL AND lapses_at > $5 RETURNING true",
            command_id,
            decision,
            who.name,
            who.subject,
            now,
            note,
        )
    )
