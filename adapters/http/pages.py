"""The pages: rendered here, whole at first and part by part as things change, so that numbers are written once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime
from typing import Any
from urllib.parse import parse_qs

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.exceptions import HTTPException

from adapters import casework, failure_codes, recoveries
from adapters.http import models
from adapters.http.answers import decode, encode, plain
from adapters.http.assets import assets
from adapters.http.commands import LARGEST_BODY
from adapters.http.desk import AtDesk, Desk
from adapters.http.gate import present, signing
from adapters.http.loans import find_loans, listed
from adapters.http.portfolio import PING_SECONDS, SSE_HEADERS, STAGES, dashboard
from adapters.http.problems import Problem
from adapters.http.reconciliation import after_of, office_of
from adapters.http.rendering import TEMPLATES, html
from adapters.reconciliation.office import STATES, STEPS, Conflict, Unknown
from domain.calendar import IST
from domain.decisions.standing import last_day_end
from domain.failures import family
from domain.money import RUPEE, round_ratio

router = APIRouter(tags=["pages"])

PARTS = ("clock", "figures", "debits", "standing", "watch", "reasons", "ticker")
"""The parts of the overview that change, each a template of its own."""

LOANS_ON_A_PAGE = 50
EVENTS_ON_A_PAGE = 200
NOTICES_ON_A_PAGE = 20
CASES_ON_A_PAGE = 100
PROMISES_ON_A_PAGE = 20


@router.get("/")
async def overview(desk: AtDesk) -> Response:
    """The portfolio, live. Without loans it says how to get some."""
    data = await dashboard(desk)
    return html("overview.html", here="/", data=data, parts=parts_of(data), chart=chart_of(data), house=house(desk))


@router.get("/live")
async def live(desk: AtDesk) -> EventSourceResponse:
    """The overview's parts as they change, and its chart's numbers."""

    async def events() -> AsyncIterator[ServerSentEvent]:
        async for frame in desk.live.watch():
            told = {"empty": frame.data["loans"]["total"] == 0, "parts": frame.parts, "chart": chart_of(frame.data)}
            yield ServerSentEvent(orjson.dumps(told).decode(), event="overview", id=str(frame.number))

    return EventSourceResponse(events(), headers=SSE_HEADERS, ping=PING_SECONDS)


@router.get("/loans")
async def loans(
    request: Request, desk: AtDesk, q: str = "", stage: str = "", bucket: str = "", after: str | None = None
) -> Response:
    """The loans, to look through."""
    [since] = decode(after, str) or [""]
    now = await desk.now()
    rows = await find_loans(
        desk,
        after=since,
        limit=LOANS_ON_A_PAGE + 1,
        q=q.strip()[:64] or None,
        stage=stage or None,
        bucket=bucket or None,
    )
    found = [listed(row, last_day_end(now), desk.rules) for row in rows]
    shown = found[:LOANS_ON_A_PAGE]
    more = None
    if len(found) > LOANS_ON_A_PAGE:
        more = str(request.url.include_query_params(after=encode([shown[-1]["loan_id"]])))
    return html("loans.html", here="/loans", loans=shown, more=more, q=q, stage=stage, bucket=bucket, stages=STAGES)


@router.get("/reconciliation")
async def reconciliation(
    request: Request,
    desk: AtDesk,
    state: str = "",
    q: str = "",
    after: str | None = None,
) -> Response:
    """What differs, with its age and what can be done; and the way from the ledger to the bank."""
    return await differences(request, desk, state, q, after)


async def differences(
    request: Request, desk: AtDesk, state: str, q: str, after: str | None, *, no: str = ""
) -> Response:
    """The page; `no`: why a decision was not taken."""
    since = after_of(after)
    office = await office_of(desk)
    found = await office.items(
        state=state or None, loan_id=q.strip()[:64] or None, after=since, limit=LOANS_ON_A_PAGE + 1
    )
    totals = await office.totals()
    shown = found[:LOANS_ON_A_PAGE] if totals["files"] else []  # without any report nothing is missing in them
    more = None
    if len(found) > LOANS_ON_A_PAGE and shown:
        more = str(request.url.include_query_params(after=encode([shown[-1]["since"], shown[-1]["subject"]])))
    return html(
        "reconciliation.html", status=409 if no else 200, no=no, here="/reconciliation", items=shown,
        more=more, state=state, q=q, states=STATES,
        totals=totals, steps=STEPS,
    )  # fmt: skip


@router.get("/recovery")
async def recovery(desk: AtDesk, since: str = "", until: str = "") -> Response:
    """What became of failed debits, by class, bank, hour and attempt."""
    first, last = a_day(since), a_day(until)
    data = await recoveries.recoveries(desk.pool, first, last)
    links = await recoveries.by_link(desk.pool, first, last)
    retries = [row for row in data["by_attempt"] if row["attempt"] > 1]
    return html(
        "recovery.html", here="/recovery", data={"since": first, "until": last, **data, **links, "retries": retries}
    )


@router.post("/reconciliation")
async def decide(request: Request, desk: AtDesk, state: str = "", q: str = "", after: str | None = None) -> Response:
    """A decision from the page's form; then the page again. A form of a foreign page is refused before it gets here."""
    content = await request.body()
    if len(content) > LARGEST_BODY:
        raise Problem(413, "body-too-large", f"A form has at most {LARGEST_BODY} bytes.")
    said = {name: values[-1].strip() for name, values in parse_qs(content.decode("utf-8", "replace")).items()}
    subject, _ = said.pop("subject", ""), said.pop("csrf", "")
    try:
        asked = models.Resolution.model_validate(said)
        by = signing(present(), asked.by, "by")
        office = await office_of(desk)
        await office.resolve(subject, asked.way, note=asked.note, by=by, loan_id=asked.loan_id, other=asked.other)
    except (ValidationError, Problem):
        return await differences(request, desk, state, q, after, no="A decision needs a way, a note and your name.")
    except (Conflict, Unknown) as no:
        return await differences(request, desk, state, q, after, no=f"{no}.")
    return RedirectResponse(request.url, status_code=303)


@router.get("/collections")
async def collections(desk: AtDesk, team: str = "", kind: str = "", assignee: str = "", overdue: str = "") -> Response:
    """What each arm brings, who promised what, and the work list."""
    now = await desk.now()
    cases = await casework.cases(
        desk.pool,
        now=now,
        limit=CASES_ON_A_PAGE + 1,
        team=team or None,
        kind=kind or None,
        assignee={"": None, "nobody": ""}.get(assignee, assignee),
        overdue=True if overdue else None,
    )
    return html(
        "collections.html",
        here="/collections",
        cases=[plain(one) for one in cases[:CASES_ON_A_PAGE]],
        more=len(cases) > CASES_ON_A_PAGE,
        arms=await casework.arms(desk.pool),
        promises=await casework.promises(desk.pool, limit=PROMISES_ON_A_PAGE),
        teams=sorted({known.team for known in desk.rules.casework.kinds.values()}),
        chosen={"team": team, "kind": kind, "assignee": assignee, "overdue": overdue},
    )


@router.get("/codes")
async def codes(desk: AtDesk, rail: str = "", source: str = "", q: str = "") -> Response:
    """What failure codes mean, and by whose word."""
    mapping = await desk.codes()
    shown = [
        one
        for one in failure_codes.listed(mapping)
        if (not rail or family(one["rail"]) == family(rail))
        and (not source or one["source"] == source)
        and (not q or q.lower() in f"{one['code']} {one['meaning']}".lower())
    ]
    rails = list(dict.fromkeys(one["rail"] for one in failure_codes.listed(mapping)))
    chosen = {"rail": rail, "source": source, "q": q}
    return html("codes.html", here="/codes", codes=shown, version=mapping.version, rails=rails, chosen=chosen)


@router.get("/static/{stamp}/{path:path}")
async def static(stamp: str, path: str) -> Response:
    """A file, for good: its address changes with its content."""
    asset = assets().get(path)
    if asset is None or asset.stamp != stamp:
        raise HTTPException(404)
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(asset.content, headers=headers, media_type=asset.media_type)


@router.get("/favicon.ico")
async def favicon() -> Response:
    asset = assets()["mark.svg"]
    return Response(asset.content, headers={"Cache-Control": "max-age=86400"}, media_type=asset.media_type)


# --- The overview's parts ------------------------------------------------------------------------------------


async def look(desk: Desk) -> tuple[dict[str, Any], dict[str, str]]:
    """What everybody who watches is told: the numbers, and the page's parts."""
    data = await dashboard(desk)
    return data, parts_of(data)


def parts_of(data: dict[str, Any]) -> dict[str, str]:
    return {part: TEMPLATES.get_template(f"parts/{part}.html").render(data=data) for part in PARTS}


def chart_of(data: dict[str, Any]) -> dict[str, list[Any]]:
    """Columns for the charts: days as seconds, money as whole rupees (a pixel is far more than a paisa)."""
    days = data["days"]
    return {
        "days": [int(datetime.combine(one["day"], datetime.min.time(), IST).timestamp()) for one in days],
        "due": [round_ratio(one["fell_due_paise"], RUPEE) for one in days],
        "collected": [round_ratio(one["collected_paise"], RUPEE) for one in days],
        "succeeded": [one["succeeded"] for one in days],
        "failed": [one["failed"] for one in days],
    }


def house(desk: Desk) -> dict[str, Any]:
    """Where loans can be sent to, for a page that has none yet."""
    return {"bootstrap": desk.settings.kafka_bootstrap, "partitions": desk.partitions}


def a_day(text: str) -> date | None:
    """A day of a form; what is none is as if nothing were said."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
