"""Pages for those who look into trouble: why debits fail, who is late, and what could not be applied."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, cast

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from adapters import failure_analysis, set_aside
from adapters.failure_analysis import BY, By
from adapters.http.answers import encode
from adapters.http.desk import AtDesk
from adapters.http.pages import a_day
from adapters.http.portfolio import late_loans
from adapters.http.problems import Problem
from adapters.http.rendering import html
from domain.calendar import ist_day
from domain.failures import CLASSES

router = APIRouter(tags=["pages"])

DAYS = 30
ON_A_PAGE = 50
SENT = {
    "letter": "Dead letter {n} was sent again.",
    "before": "Dead letter {n} had been sent again before.",
    "parked": "Parked records that were sent again: {n}.",
}
"""What the page says after a form of its own; never what an address says."""


@router.get("/failures")
async def failures(
    request: Request,
    desk: AtDesk,
    by: str = "code",
    since: str = "",
    until: str = "",
    failed: str = "",
    code: str = "",
    bank: str = "",
    rail: str = "",
    gateway: str = "",
) -> Response:
    """What departs from its history, and failures told apart by whatever one likes; each row leads further in."""
    codes, today = await desk.codes(), ist_day(await desk.now())
    last = a_day(until) or today
    first = a_day(since) or last - timedelta(days=DAYS - 1)
    chosen = {"failed": failed, "code": code, "bank": bank, "rail": rail, "gateway": gateway}
    limits = {name: value or None for name, value in chosen.items()}
    looked = {"since": first, "until": last, "failure_class": limits.pop("failed"), **limits}
    kind = cast(By, by if by in BY else "code")
    told = await failure_analysis.failures(desk.pool, codes, by=kind, **looked)
    days = await failure_analysis.failures(desk.pool, codes, by="day", **looked)
    return html(
        "failures.html",
        here="/failures",
        by=kind,
        kinds=[one for one in BY if one != "day"],
        classes=CLASSES,
        told=told,
        days=with_every_day(days["items"], first, last),
        patterns=await failure_analysis.found(desk.pool, today),
        since=first,
        until=last,
        chosen=chosen,
        address=lambda **more: str(request.url.include_query_params(**more)),
    )


def with_every_day(items: Sequence[dict[str, Any]], first: date, last: date) -> list[dict[str, Any]]:
    """A row for each day, those without any debit too: a line must not jump over them."""
    known = {one["day"]: one for one in items}
    none = {"answered": 0, "failed": 0, "percent": None}
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return [{"day": day, **known.get(day, none)} for day in days]


@router.get("/delinquency")
async def delinquency(
    request: Request, desk: AtDesk, bucket: str = "", classification: str = "", after: str | None = None
) -> Response:
    """The book by bucket and class, and the loans that are late, the latest first."""
    as_of, ageing, rows = await late_loans(
        desk, bucket=bucket or None, classification=classification or None, limit=ON_A_PAGE + 1, cursor=after
    )
    more = None
    if len(rows) > ON_A_PAGE:
        last = rows[ON_A_PAGE - 1]
        place = [last["oldest_unpaid_due_on"].isoformat(), last["loan_id"]]
        more = str(request.url.include_query_params(after=encode(place)))
    return html(
        "delinquency.html", here="/delinquency", as_of=as_of, ageing=ageing, loans=rows[:ON_A_PAGE], more=more,
        bucket=bucket, classification=classification,
    )  # fmt: skip


# --- What could not be applied ---------------------------------------------------------------------------------


@router.get("/set-aside")
async def show_set_aside(
    request: Request, desk: AtDesk, reason: str = "", loan: str = "", after: int = 0, told: str = "", n: int = 0
) -> Response:
    """Dead letters and parked records, each with its reason, and a way to send it again."""
    letters = await set_aside.dead_letters(
        desk.pool, after=after, limit=ON_A_PAGE + 1, reason=reason or None, loan_id=loan or None, retried=False
    )
    waiting = await set_aside.parked(desk.pool, limit=ON_A_PAGE, loan_id=loan or None)
    more = None
    if len(letters) > ON_A_PAGE:
        more = str(request.url.include_query_params(after=letters[ON_A_PAGE - 1]["id"]))
    return html(
        "set-aside.html", here="/set-aside", letters=letters[:ON_A_PAGE], waiting=waiting, more=more, reason=reason,
        loan=loan, told=SENT.get(told, "").format(n=n),
    )  # fmt: skip


@router.get("/set-aside/{number}")
async def show_dead_letter(desk: AtDesk, number: int) -> Response:
    """One dead letter: why, and what it holds, with personal data masked."""
    letter = await set_aside.dead_letter(desk.pool, number)
    if letter is None:
        return html("missing.html", status=404, here="/set-aside", said=f"There is no dead letter {number}.")
    return html("dead-letter.html", here="/set-aside", letter=letter)


@router.post("/set-aside/{number}/retry")
async def retry_dead_letter(desk: AtDesk, number: int) -> Response:
    try:
        await set_aside.retry_dead_letter(desk.pool, desk.sender, number)
    except set_aside.AlreadyRetried:
        return RedirectResponse(f"/set-aside?told=before&n={number}", 303)
    return RedirectResponse(f"/set-aside?told=letter&n={number}", 303)


@router.post("/set-aside/parked/{loan_id}/retry")
async def retry_parked(desk: AtDesk, loan_id: str) -> Response:
    sent = await set_aside.retry_parked(desk.pool, desk.sender, loan_id)
    if not sent:
        raise Problem(404, "nothing-parked", f"Nothing waits for {loan_id[:64]!r}.")
    return RedirectResponse(f"/set-aside?told=parked&n={len(sent)}", 303)
