"""A loan's pages: the loan as it stands or stood at any instant, and what people do to it, shown before it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote
from uuid import uuid4

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from adapters import casework
from adapters.access.permissions import permission_of_command
from adapters.documents.figures import financial_year
from adapters.documents.office import kinds_of
from adapters.documents.recipes import KINDS
from adapters.http.actions import ACTIONS, Action, form, label_of, read
from adapters.http.answers import plain
from adapters.http.commands import LARGEST_BODY, checked, submit, told_of
from adapters.http.desk import AtDesk, Desk
from adapters.http.gate import present
from adapters.http.loans import around, balances_of, events_of, loan_then
from adapters.http.phrases import TONES
from adapters.http.preview import preview
from adapters.http.problems import Problem
from adapters.http.rendering import html, words
from adapters.notices.told import notices_of
from domain.calendar import IST, ist_day
from domain.loan import Loan
from domain.refusals import Refused
from domain.views import schedule_rows

router = APIRouter(tags=["pages"])

EVENTS_ON_A_PAGE = 200
NOTICES_ON_A_PAGE = 20
DOCUMENTS_ON_A_PAGE = 20
CASES_ON_A_PAGE = 20
WAIT_SECONDS = 10.0


@router.get("/loans/{loan_id}")
async def show(desk: AtDesk, loan_id: str, at: str = "", told: str = "") -> Response:
    """Where it stands, its schedule, what happened, its books; `at` an instant, replayed; `told` a command's result."""
    try:
        return html("loan.html", **await around_a_loan(desk, loan_id, at or None, told))
    except Problem as problem:
        return html("missing.html", status=problem.status, here="/loans", said=problem.detail)


async def around_a_loan(desk: Desk, loan_id: str, at: str | None, told: str) -> dict[str, Any]:
    """Everything that the page shows, as of one instant."""
    loan, instant = await loan_then(desk, loan_id, at)
    now = await desk.now()
    return {
        "here": "/loans",
        "loan": around(loan, instant, desk.rules),
        "rows": schedule_rows(loan, ist_day(instant), desk.rules),
        "events": await events_of(desk, loan_id, 0, EVENTS_ON_A_PAGE, newest_first=True, upto=loan.version),
        "balances": await balances_of(desk, loan_id, instant if at else None),
        "notices": [
            one
            for one in await notices_of(desk.pool, loan_id, limit=NOTICES_ON_A_PAGE)
            if one["occurred_at"] <= instant
        ],
        "documents": [
            one for one in await desk.office.listed(loan_id, DOCUMENTS_ON_A_PAGE) if one["issued_at"] <= instant
        ],
        "offers": offers(loan, ist_day(instant), past=bool(at)),
        "cases": [] if at else await cases_of(desk, loan_id, now),
        "tones": TONES,
        "actions": [] if at else [one for one in ACTIONS.values() if may(one)],
        "told": await told_of(desk, told) if told else None,
        "time": await timeline(desk, loan_id, instant if at else None, now),
    }


def offers(loan: Loan, on: date, *, past: bool) -> list[tuple[str, str]]:
    """Documents to be had of a loan on a day, by name, with the address to which a language is added. Of the past only
    those that say what was known then."""
    chosen = f"on={on}&" if past else ""
    offered = [(words(kind), f"{kind}?{chosen}") for kind in kinds_of(loan) if not past or KINDS[kind].as_known_then]
    year, _ = financial_year(on)
    if not past and loan.disbursed_on is not None and loan.disbursed_on < year:
        offered.append(("Interest certificate, year before", f"interest-certificate?on={year - timedelta(days=1)}&"))
    return offered


def may(action: Action) -> bool:
    """Whether whoever looks may do it."""
    return present().may(permission_of_command(action.command))


async def cases_of(desk: Desk, loan_id: str, now: datetime) -> list[dict[str, Any]]:
    return [plain(one) for one in await casework.cases(desk.pool, now=now, limit=CASES_ON_A_PAGE, loan_id=loan_id)]


async def timeline(desk: Desk, loan_id: str, at: datetime | None, now: datetime) -> dict[str, Any]:
    """For the slider: the first and the last day, the chosen one, and the instants of the events beside it."""
    shown = at or now
    row = await desk.pool.fetchrow(
        "SELECT min(occurred_at) AS first, max(occurred_at) FILTER (WHERE occurred_at < $3) AS before,"
        " min(occurred_at) FILTER (WHERE occurred_at > $3) AS after"
        " FROM events WHERE partition = $1 AND loan_id = $2",
        desk.home(loan_id),
        loan_id,
        shown,
    )
    first = ist_day(row["first"])
    return {
        "at": at,
        "now": now,
        "first": first,
        "days": (ist_day(now) - first).days,
        "day": (ist_day(shown) - first).days,
        "shown": shown.astimezone(IST),
        "before": row["before"].astimezone(IST) if row["before"] else None,
        "after": row["after"].astimezone(IST) if at and row["after"] else None,
    }


# --- Doing something -------------------------------------------------------------------------------------------


@router.get("/loans/{loan_id}/actions/{command}")
async def consider(request: Request, desk: AtDesk, loan_id: str, command: str) -> Response:
    """The command's form; with fields filled in, also what it would do."""
    typed = dict(request.query_params)
    return await considered(desk, loan_id, command, typed, typed.get("command_id") or str(uuid4()), bool(typed))


@router.post("/loans/{loan_id}/actions/{command}")
async def do(request: Request, desk: AtDesk, loan_id: str, command: str) -> Response:
    """Send it, wait a little for its result, and show that on the loan's page. Twice is once (`command_id`)."""
    raw = await request.body()
    if len(raw) > LARGEST_BODY:
        raise Problem(413, "body-too-large", f"A form has at most {LARGEST_BODY} bytes.")
    typed = dict(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True))
    typed.pop("csrf", None)
    command_id = typed.pop("command_id", "") or str(uuid4())
    action = action_named(command)
    body, faults = read(action, typed)
    if faults:
        return await considered(desk, loan_id, command, typed, command_id, True)
    try:
        await submit(desk, loan_id, body, command_id, WAIT_SECONDS)
    except Problem as problem:
        return await considered(desk, loan_id, command, typed, command_id, True, problem)
    return RedirectResponse(f"/loans/{quote(loan_id)}?told={quote(command_id, safe='')}", 303)


async def considered(
    desk: Desk,
    loan_id: str,
    command: str,
    typed: Mapping[str, str],
    command_id: str,
    filled: bool,
    problem: Problem | None = None,
) -> Response:
    """The form, what is wrong with what was typed, and what the command would do."""
    try:
        action, loan = action_named(command), await desk.loan(loan_id)
    except Problem as unknown:
        return html("missing.html", status=unknown.status, here="/loans", said=unknown.detail)
    seen, faults, said = None, dict[str, str](), problem.detail if problem else ""
    if filled:
        body, faults = read(action, typed)
        if not faults and problem is None:
            seen, faults, said = await foreseen(desk, action, loan_id, command_id, body)
    return html(
        "action.html",
        status=problem.status if problem else 200,
        here="/loans",
        loan_id=loan_id,
        action=action,
        inputs=form(action, loan, desk.rules, typed, faults),
        said=said,
        seen=seen,
        compared=compared(seen["changes"]) if seen else [],
        schedules=schedules(seen) if seen else None,
        typed={name: typed.get(name, "") for name in action.fields},
        command_id=command_id,
    )


async def foreseen(
    desk: Desk, action: Action, loan_id: str, command_id: str, body: dict[str, Any]
) -> tuple[dict[str, Any] | None, dict[str, str], str]:
    """The preview, or the faults by field, or a sentence about the whole."""
    try:
        model, command_id, whole = await checked(desk, body, loan_id, command_id)
        seen = await preview(desk, model, loan_id, command_id, whole)
    except Problem as problem:
        errors: Sequence[Mapping[str, str]] = problem.more.get("errors", ())
        faults = {fault["pointer"].strip("/"): fault["detail"] for fault in errors}
        return None, faults, "" if faults.keys() & set(action.fields) else problem.detail
    except Refused as refused:
        return None, {refused.field.strip("/"): refused.sentence()}, refused.sentence()
    field = (seen["pointer"] or "").strip("/")
    return seen, {field: seen["detail"]} if field in action.fields else {}, ""


def action_named(command: str) -> Action:
    if command not in ACTIONS:
        raise Problem(404, "command-unknown", f"No page does {command[:60]!r} to a loan.")
    return ACTIONS[command]


# --- Before and after ------------------------------------------------------------------------------------------


def compared(changes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What changes about the loan, in words; only what is one value."""
    rows: list[dict[str, Any]] = []
    for change in changes:
        name = change["field"].rsplit("/", 1)[-1]
        if not isinstance(change["before"], list | dict) and not isinstance(change["after"], list | dict):
            rows.append(
                {
                    "label": label_of(name) if name.endswith("_paise") else words(name),
                    "money": name.endswith("_paise"),
                    "before": change["before"],
                    "after": change["after"],
                }
            )
    return rows


def schedules(seen: Mapping[str, Any]) -> dict[str, Any] | None:
    """Old and new schedule side by side, row by row, with what they sum to; nothing where they are the same."""
    before, after = seen["before"]["rows"], seen["after"]["rows"]
    if [core(row) for row in before] == [core(row) for row in after]:
        return None
    length = max(len(before), len(after))
    pairs = [(before[at] if at < len(before) else None, after[at] if at < len(after) else None) for at in range(length)]
    first = next((at for at, (old, new) in enumerate(pairs) if core(old) != core(new)), 0)
    return {"pairs": pairs[max(0, first - 1) :], "skipped": max(0, first - 1), "sums": sums(before, after)}


def core(row: Mapping[str, Any] | None) -> tuple[Any, ...]:
    """What a schedule asks for in a row, whatever is paid of it."""
    return (row["due_on"], row["principal_paise"], row["interest_paise"], row["total_paise"]) if row else ()


def sums(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, Any, Any]]:
    """What people ask first: (label, kind, old, new)."""
    return [
        ("Instalments", "number", len(before), len(after)),
        ("Last due on", "day", before[-1]["due_on"] if before else None, after[-1]["due_on"] if after else None),
        ("Interest in all", "money", interest(before), interest(after)),
    ]


def interest(rows: Sequence[Mapping[str, Any]]) -> int:
    return sum(row["interest_paise"] for row in rows)
