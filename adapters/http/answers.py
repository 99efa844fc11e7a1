"""Answers: JSON by orjson, pages with cursors, and tags by which a client knows that nothing changed."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import Query, Request, Response
from starlette.types import Scope

from adapters.access.permissions import API
from adapters.http.problems import Problem
from domain.calendar import IST

LARGEST_PAGE = 200

Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Items on a page.")]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before.", max_length=500)]


def json(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer. Read models move all the time, so nothing is kept without asking again, nor for anybody else."""
    headers = {"Cache-Control": "private, no-cache", **(headers or {})}
    return Response(orjson.dumps(body), status, headers, "application/json")


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON values: instants in the lender's zone."""
    return {name: local(value) if isinstance(value, datetime) else value for name, value in row.items()}


def local(instant: datetime) -> datetime:
    return instant.astimezone(IST)


def page(
    request: Request, rows: Sequence[Any], limit: int, place: Callable[[Any], Sequence[Any]], **more: Any
) -> Response:
    """A page of `limit` items out of up to one more, with the cursor of the next if that one more was there."""
    items = rows[:limit]
    following = encode(place(items[-1])) if len(rows) > limit else None
    headers: dict[str, str] = {}
    if following is not None:
        headers["Link"] = f'<{request.url.include_query_params(cursor=following)}>; rel="next"'
    return json({**more, "items": items, "next_cursor": following}, headers=headers)


def encode(place: Sequence[Any]) -> str:
    """A cursor: where the page ended, opaque to the client."""
    return base64.urlsafe_b64encode(orjson.dumps(list(place))).decode().rstrip("=")


def decode(cursor: str | None, *kinds: type) -> list[Any] | None:
    """Where the page before ended: one value of each kind."""
    if cursor is None:
        return None
    try:
        place = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        place = None
    if not isinstance(place, list) or [type(value) for value in place] != list(kinds):
        raise Problem(422, "cursor-invalid", "The cursor is none of ours; begin again without one.")
    return place


def unchanged(request: Request, tag: str) -> Response | None:
    """304 when the client has this very version (RFC 9110: weak comparison)."""
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if tag.removeprefix("W/") in known or "*" in known:
        return Response(status_code=304, headers={"ETag": tag, "Cache-Control": "private, no-cache"})
    return None


def moment_of(said: str) -> datetime:
    """The instant in a cursor of ours."""
    try:
        return datetime.fromisoformat(said)
    except ValueError:
        raise Problem(422, "cursor-invalid", "The cursor is none of ours; begin again without one.") from None


def route_of(scope: Scope) -> str:
    """The route's whole pattern. (FastAPI tells it without the prefix under which its router is included.)"""
    pattern = getattr(scope.get("route"), "path", None)
    if pattern is None:
        return "none"
    prefix = API if scope["path"].startswith(f"{API}/") and not pattern.startswith(f"{API}/") else ""
    return prefix + pattern
