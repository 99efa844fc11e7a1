"""Commands that wait for a second person, as the API sees them: which are held back, and what is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson

from adapters.access import approvals
from adapters.access.permissions import Principal
from adapters.http.answers import plain
from adapters.http.desk import Desk
from adapters.http.problems import Problem, of
from domain.loan import Loan
from domain.refusals import Refused
from streams.wire import GivesUpMoney, Inbound

HIDDEN = frozenset({"requester_subject"})

STATUS = {"awaiting": "awaiting_approval", "approved": "pending", "declined": "declined", "lapsed": "lapsed"}
"""State of the request -> status of the command."""


async def held_back(
    desk: Desk, who: Principal, model: type[Inbound], loan: Loan, body: dict[str, Any]
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """What to tell of a command that waits for a second person, else None and the command as it is to be sent.

    On an open house nobody is known, so there is no second person to tell from the first, and nothing waits. An amount
    that was left open ("all of it") is written down once it is within the limit: it may not grow on the way. What the
    rules refuse as things stand is refused here, and nobody is asked.
    """
    limit = desk.settings.approval_limits().get(model.TYPE.split(".")[1])
    if who.anonymous or limit is None:
        return None, body
    asked, now = model.model_validate_json(orjson.dumps(body)), await desk.now()
    assert isinstance(asked, GivesUpMoney)
    if (known := await known_request(desk, asked, body, now)) is not None:
        return known, body
    try:
        stake = approvals.at_stake(loan, asked.command(), now, desk.rules)
    except Refused as refused:
        raise of(refused) from None
    except (OverflowError, TypeError, ValueError):
        raise Problem(422, "body-invalid", "A value is out of all range.") from None
    if stake <= limit:
        return None, {**body, "amount_paise": stake} if is_left_open(asked) else body
    await approvals.hold(
        desk.pool,
        command_id=asked.command_id,
        loan_id=asked.loan_id,
        type=asked.TYPE,
        body=body,
        stake=stake,
        who=who,
        now=now,
        lapses_at=now + timedelta(days=desk.settings.approval_days),
    )
    known = await known_request(desk, asked, body, now)
    assert known is not None
    return known, body


def is_left_open(asked: GivesUpMoney) -> bool:
    """Whether it is a command with an amount, and names none."""
    return "amount_paise" in type(asked).model_fields and asked.model_dump()["amount_paise"] is None


async def known_request(
    desk: Desk, asked: GivesUpMoney, body: Mapping[str, Any], now: datetime
) -> dict[str, Any] | None:
    """The request of this id, if it was made before: with the same content, or the id is taken."""
    known = await approvals.find(desk.pool, asked.command_id, now)
    if known is None:
        return None
    before = await approvals.body_of(desk.pool, asked.command_id)
    if (known["type"], without_time(before)) != (asked.TYPE, without_time(body)):
        detail = f"The command {asked.command_id!r} was sent with other content. Take a new id."
        raise Problem(409, "command-id-used", detail)
    return as_result(known)


def without_time(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "requested_at"}


def as_result(request: Mapping[str, Any]) -> dict[str, Any]:
    """A held command among other commands' results."""
    status = STATUS[request["state"]]
    declined = f"declined by {request['decided_by']}: {request['note']}"
    return {
        "command_id": request["command_id"],
        "loan_id": request["loan_id"],
        "type": request["type"],
        "status": status,
        "detail": {"declined": declined, "awaiting_approval": "A second person decides on it."}.get(status),
        "approval": as_approval(request),
    }


def as_approval(request: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in plain(request).items() if name not in HIDDEN}
