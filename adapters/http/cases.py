"""Work for people: cases, promises to pay, and what each arm of a strategy brought."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from adapters import casework
from adapters.http import models
from adapters.http.answers import Cursor, Limit, decode, json, moment_of, page, plain
from adapters.http.desk import AtDesk
from adapters.http.gate import present, require
from adapters.http.problems import Problem

router = APIRouter(tags=["collections"])

State = Literal["open", "closed", "any"]


@router.get("/cases", summary="Work for people", responses=models.ok(models.CasePage))
async def list_cases(
    request: Request,
    desk: AtDesk,
    state: State = "open",
    kind: str | None = None,
    team: str | None = None,
    assignee: Annotated[str | None, Query(description="Empty: those that are nobody's yet.")] = None,
    loan_id: str | None = None,
    overdue: Annotated[bool | None, Query(description="Whether it should have been done by now.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """What is due first, first. `servicing.assign-case`, `note-case` and `close-case` move one on."""
    after = decode(cursor, str, str)
    found = await casework.cases(
        desk.pool,
        now=await desk.now(),
        after=(moment_of(after[0]), after[1]) if after else None,
        limit=limit + 1,
        state=None if state == "any" else state,
        kind=kind,
        team=team,
        assignee=assignee,
        loan_id=loan_id,
        overdue=overdue,
    )
    return page(
        request,
        [plain(one) for one in found],
        limit,
        lambda one: [(one["due_at"] or casework.NEVER).isoformat(), one["case_id"]],
    )


@router.get("/cases/{case_id}", summary="One case", responses=models.ok(models.CaseHistory))
async def show_case(
    desk: AtDesk,
    case_id: str,
    notes: Annotated[bool, Query(description="With the words of its notes, which may be personal.")] = False,
) -> Response:
    """Everything that happened to it."""
    found = await casework.case(desk.pool, case_id)
    if found is None:
        raise Problem(404, "case-unknown", f"There is no case {case_id[:100]!r}.")
    if notes:
        require(present(), "notes.read")
        await casework.add_notes(desk.events, found)
    return json({**plain(found), "history": [plain(one) for one in found["history"]]})


@router.get("/promises", summary="Promises to pay", responses=models.ok(models.PromiseList))
async def list_promises(
    desk: AtDesk, state: Literal["open", "kept", "broken", "replaced"] = "open", limit: Limit = 50
) -> Response:
    """Those of the nearest day first."""
    return json({"items": await casework.promises(desk.pool, state=state, limit=limit)})


@router.get("/collections", summary="What each arm brought", responses=models.ok(models.ArmList))
async def list_arms(desk: AtDesk) -> Response:
    """Champion against challenger: arrears that began and ended, contacts, promises, money that came in meanwhile."""
    return json({"items": await casework.arms(desk.pool)})
