"""Approvals: what waits for a second person, and their decision; over the API and on a page."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from adapters.access import approvals
from adapters.access.permissions import Principal
from adapters.http import gate, models
from adapters.http.answers import Cursor, Limit, decode, json, moment_of, page
from adapters.http.commands import MODEL_OF, json_object, send
from adapters.http.desk import AtDesk, Desk
from adapters.http.held import as_approval
from adapters.http.problems import Problem, invalid_body
from adapters.http.rendering import html

router = APIRouter(tags=["approvals"])
pages = APIRouter()

ON_A_PAGE = 100
DECIDED_ON_A_PAGE = 20
NOTE = 500

CommandId = Annotated[str, Path(max_length=200)]
State = Literal["awaiting", "approved", "declined", "lapsed", "any"]


@router.get("/approvals", summary="What waits for a second person", responses=models.ok(models.ApprovalPage))
async def list_approvals(
    request: Request,
    desk: AtDesk,
    state: State = "awaiting",
    loan_id: str | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The oldest first."""
    after = decode(cursor, str, str)
    found = await approvals.listed(
        desk.pool,
        await desk.now(),
        state=None if state == "any" else state,
        loan_id=loan_id,
        after=(moment_of(after[0]), after[1]) if after else None,
        limit=limit + 1,
    )
    items = [as_approval(one) for one in found]
    return page(request, items, limit, lambda one: [one["requested_at"].isoformat(), one["command_id"]])


@router.get("/approvals/{command_id:path}", summary="One request", responses=models.ok(models.Approval))
async def show_approval(desk: AtDesk, command_id: CommandId) -> Response:
    """Who asked for what, what is at stake, and who decided."""
    return json(as_approval(await request_of(desk, command_id)))


@router.post(
    "/approvals/{command_id:path}",
    summary="Approve or decline",
    responses=models.ok(models.Approval),
    openapi_extra=models.json_body(models.ApprovalDecision),
)
async def decide(request: Request, desk: AtDesk, command_id: CommandId) -> Response:
    """By another person than the one who asked. An approved command goes to the engine at once, which decides as ever:
    its result is at /commands/{command_id}. The same decision twice is one."""
    try:
        said = models.ApprovalDecision.model_validate(await json_object(request))
    except ValidationError as error:
        raise invalid_body(error) from None
    await decided(desk, gate.present(), command_id, said.decision, said.note)
    return json(as_approval(await request_of(desk, command_id)))


@pages.get("/approvals")
async def show_page(request: Request, desk: AtDesk) -> Response:
    """What waits, with its two buttons for whoever may press them; and what was decided last."""
    now = await desk.now()
    waiting = await approvals.listed(desk.pool, now, limit=ON_A_PAGE)
    decided = await approvals.listed(desk.pool, now, state=None, limit=DECIDED_ON_A_PAGE * 2, newest_first=True)
    who = gate.present()
    return html(
        "approvals.html",
        here="/approvals",
        waiting=[{**one, "mine": who.is_also(one["requested_by"], one["requester_subject"])} for one in waiting],
        decided=[one for one in decided if one["state"] != "awaiting"][:DECIDED_ON_A_PAGE],
        may=who.may("approvals.decide") and not who.anonymous,
        anonymous=who.anonymous,
        limits=desk.settings.approval_limits(),
    )


@pages.post("/approvals/{command_id:path}")
async def decide_on_page(request: Request, desk: AtDesk, command_id: CommandId) -> Response:
    """A button of the page."""
    fields = await gate.form(request)
    if fields.get("decision") not in DECIDED:
        raise Problem(422, "body-invalid", "The form says neither approve nor decline.")
    note = fields.get("note", "").strip()[:NOTE]
    await decided(desk, gate.present(), command_id, fields["decision"], note)
    return RedirectResponse("/approvals", 303)


DECIDED = {"approve": "approved", "decline": "declined"}


async def decided(desk: Desk, who: Principal, command_id: str, decision: str, note: str) -> None:
    """Write it down and send the command, or neither."""
    if who.anonymous:
        raise Problem(
            401, "sign-in-required", "Sign in: a decision needs a name.", headers={"WWW-Authenticate": "Bearer"}
        )
    found, state = await request_of(desk, command_id), DECIDED[decision]
    if who.is_also(found["requested_by"], found["requester_subject"]):
        raise Problem(403, "second-person-needed", "You asked for this yourself; somebody else decides.")
    if (found["state"], found["decided_by"]) == (state, who.name):
        return
    now = await desk.now()
    async with desk.pool.acquire() as connection, connection.transaction():
        # One transaction around the sending: what the broker did not take is not approved.
        if not await approvals.decide(connection, command_id, state, who, note=note, now=now):
            raise over(await request_of(desk, command_id))
        if state == "approved":
            body: dict[str, Any] = {**await approvals.body_of(connection, command_id), "approved_by": who.name}
            model = MODEL_OF[found["type"]]
            await send(desk, model, command_id, found["loan_id"], body)


async def request_of(desk: Desk, command_id: str) -> dict[str, Any]:
    found = await approvals.find(desk.pool, command_id, await desk.now())
    if found is None:
        raise Problem(404, "approval-unknown", "No command of this id was ever held for a second person.")
    return found


def over(found: dict[str, Any]) -> Problem:
    if found["state"] == "lapsed":
        return Problem(409, "request-lapsed", f"Nobody decided until {found['lapses_at']:%d %b %Y}; ask anew.")
    who = f"{found['state']} by {found['decided_by']}" if found["decided_by"] else "decided on at this very moment"
    return Problem(409, "decided-already", f"It was {who}.")
