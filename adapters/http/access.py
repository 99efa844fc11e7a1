"""Who am I, and who read what about whom."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from adapters.access import trail
from adapters.http import models
from adapters.http.answers import Cursor, Limit, decode, json, page, plain
from adapters.http.desk import AtDesk
from adapters.http.gate import present

router = APIRouter(tags=["access"])


@router.get("/me", summary="Who am I", responses=models.ok(models.Me))
async def show_me() -> Response:
    """Name, roles and permissions of whoever asks."""
    who = present()
    roles, permissions = sorted(who.roles), sorted(who.permissions)
    return json({"name": who.name, "signed_in": not who.anonymous, "roles": roles, "permissions": permissions})


@router.get("/access-log", summary="Who read what about whom", responses=models.ok(models.AccessPage))
async def list_accesses(
    request: Request,
    desk: AtDesk,
    since: Annotated[datetime | None, Query(description="From this instant of real time on.")] = None,
    until: Annotated[datetime | None, Query(description="Up to, and without, this instant.")] = None,
    who: Annotated[str | None, Query(max_length=64)] = None,
    loan_id: str | None = None,
    borrower_id: Annotated[str | None, Query(description="Of all loans of this borrower.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The newest first. It only grows: nobody can change or remove a line over the API or with its login."""
    [before] = decode(cursor, int) or [None]
    found = await trail.accesses(
        desk.pool,
        since=since,
        until=until,
        who=who,
        loan_id=loan_id,
        borrower_id=borrower_id,
        before=before,
        limit=limit + 1,
    )
    return page(request, [plain(one) for one in found], limit, lambda one: [one["number"]])
