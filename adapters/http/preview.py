"""What a command would do: decided by the engine's own code on the loan as it stands, before it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from adapters.http import models
from adapters.http.answers import json
from adapters.http.commands import SOURCE, checked, json_object
from adapters.http.desk import AtDesk, Desk
from adapters.http.loans import LoanId, around, without_accounts
from adapters.http.phrases import phrase
from domain import commands as c
from domain.calendar import ist_day
from domain.codec import encode
from domain.decisions.rules import Rules
from domain.events import LoanEvent
from domain.life import handle
from domain.loan import Loan
from domain.refusals import Refused, Repeated
from domain.views import schedule_rows
from streams.envelope import Record, headers_for
from streams.topics import COMMANDS
from streams.wire import Inbound, understand

router = APIRouter(tags=["commands"])

NOT_COMPARED = frozenset({"version", "as_of", "last_event_at", "cases_opened"})
"""What every event moves."""


@router.post(
    "/loans/{loan_id}/commands/preview",
    summary="What a command would do",
    responses=models.ok(models.Preview),
    openapi_extra=models.command_body(),
)
async def show_preview(request: Request, desk: AtDesk, loan_id: LoanId) -> Response:
    """The loan and its schedule before and after, the events that would come, or the refusal. Nothing is recorded."""
    model, command_id, body = await checked(desk, await json_object(request), loan_id)
    return json(await preview(desk, model, loan_id, command_id, body))


async def preview(
    desk: Desk, model: type[Inbound], loan_id: str, command_id: str, body: Mapping[str, Any]
) -> dict[str, Any]:
    """Raises `Refused` when the message itself cannot be understood, `Problem` when there is no such loan."""
    now = await desk.now()
    home = desk.home(loan_id)
    headers = tuple(headers_for(model.TYPE, command_id, SOURCE, now))
    message = understand(Record(COMMANDS.name, home, 0, loan_id.encode(), headers, orjson.dumps(body)))
    loan = handle(await desk.loan(loan_id), c.WakeUp(now=now), now, desk.rules)
    loan.take_events()  # what time alone asks for is not the command's doing
    before = pictured(loan, now, desk.rules)
    status, refused = "would-be-done", None
    try:
        loan = handle(loan, message.command, now, desk.rules)
    except Repeated:
        status = "repeated"
    except Refused as error:
        status, refused = "refused", error
    after = pictured(loan, now, desk.rules)
    return {
        "loan_id": loan_id,
        "type": model.TYPE,
        "status": status,
        "refusal": refused.refusal.value if refused else None,
        "detail": refused.sentence() if refused else None,
        "pointer": (refused.field or None) if refused else None,
        "as_of": now,
        "before": before,
        "after": after,
        "changes": changes(before["loan"], after["loan"]),
        "events": [told(event) for event in loan.take_events()],
    }


def pictured(loan: Loan, now: datetime, rules: Rules) -> dict[str, Any]:
    """The loan as it is shown, with its rows."""
    return {"loan": around(loan, now, rules), "rows": schedule_rows(loan, ist_day(now), rules)}


def told(event: LoanEvent) -> dict[str, Any]:
    """An event that would come, for those who read it."""
    fields = orjson.loads(encode(event))
    shown = without_accounts({name: value for name, value in fields.items() if name != "timestamp"})
    return {"type": event.TOPIC, "says": phrase(event.TOPIC, fields), "data": shown}


def changes(before: Mapping[str, Any], after: Mapping[str, Any], within: str = "") -> list[dict[str, Any]]:
    """Each field that differs, by its JSON pointer."""
    found: list[dict[str, Any]] = []
    for name, was in before.items():
        now, pointer = after[name], f"{within}/{name}"
        if isinstance(was, dict) and isinstance(now, dict) and was.keys() == now.keys():
            found += changes(was, now, pointer)
        elif was != now and name not in NOT_COMPARED:
            found.append({"field": pointer, "before": was, "after": now})
    return found
