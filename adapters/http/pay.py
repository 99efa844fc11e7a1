"""A borrower's payment link: from the address that a notice names to the gateway's own page.

The address says nothing but which instalment it is for (`QIST_PAYMENT_LINK=https://pay.lender.example/pay/{link_id}`),
so that notices can go out before the gateway has made its page, and nothing is kept in them that pays by itself. A
notice that goes out without a link of its own (a failed debit, a reminder) names the instalment or the loan: its newest
open link, and where there is none yet, one that is offered because somebody wants to pay.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from adapters.access.permissions import Principal
from adapters.http.commands import submit
from adapters.http.desk import AtDesk, Desk
from adapters.http.problems import Problem
from adapters.http.rendering import html

router = APIRouter()

LINK_ID = re.compile(r"[A-Za-z0-9._-]{1,64}(:\d{1,6}){0,2}")
WAIT_SECONDS = 5.0
OVER = ("answered", "withdrawn")

SAID: dict[str, tuple[int, str, str]] = {
    "unknown": (404, "There is no such payment link.", "ऐसा कोई भुगतान लिंक नहीं है।"),
    "over": (
        410,
        "This link was paid, is no longer needed, or is over.",
        "यह लिंक चुकाया जा चुका है, अब ज़रूरी नहीं है, या समाप्त हो गया है।",
    ),
    "not-ready": (
        503,
        "The page for paying is being made. This page tries again by itself.",
        "भुगतान का पेज बन रहा है। यह पेज अपने आप फिर कोशिश करेगा।",
    ),
    "nothing-owed": (410, "Nothing is to be paid for this.", "इसके लिए कुछ भी देय नहीं है।"),
    "debit-out": (
        409,
        "Your bank is being asked for this instalment right now. Please do not pay it twice: look again tomorrow.",
        "इस किस्त की माँग अभी आपके बैंक से की जा रही है। कृपया दो बार भुगतान न करें: कल फिर देखें।",
    ),
    "no-link": (409, "This cannot be paid by a link. Please ask us.", "इसे लिंक से नहीं चुकाया जा सकता। कृपया हमसे पूछें।"),
}
"""What a borrower is told who cannot pay here now: status, English, Hindi."""
WHY = {"nothing_is_owed": "nothing-owed", "debit_is_out": "debit-out", "no_link_possible": "no-link"}


BORROWER = Principal(name="borrower", subject="pay-link", roles=frozenset({"collector"}))
"""Whoever opens the address; this page asks for nothing but a link in their name."""


@router.get("/pay/{link_id}")
async def pay(desk: AtDesk, link_id: str) -> Response:
    """303 to the gateway's page while the link is open. `link_id` may also be `loan:instalment` or the loan alone: its
    newest open link; none there, one is offered now."""
    if not LINK_ID.fullmatch(link_id):
        return told("unknown")
    row = await newest_link(desk, link_id)
    if (row is None or row["state"] in OVER) and link_id.count(":") < 2:
        said = await offer(desk, link_id)
        if said:
            return told("over" if row is not None and said == "nothing-owed" else said)
        row = await newest_link(desk, link_id)
        if row is None or row["state"] in OVER:
            return told("not-ready")  # the gateway has not heard of it yet
    if row is None:
        return told("unknown")
    if row["state"] in OVER:
        return told("over")
    if not (row["url"] or "").startswith(("https://", "http://")):
        return told("not-ready")
    return RedirectResponse(row["url"], 303, headers={"cache-control": "no-store", "referrer-policy": "no-referrer"})


async def newest_link(desk: Desk, link_id: str) -> Mapping[str, Any] | None:
    """The newest of the loan's links that the address covers, an open one first."""
    return await desk.pool.fetchrow(
        "SELECT state, answer -> 'facts' ->> 'url' AS url FROM gateway_calls"
        " WHERE loan_id = $1 AND kind = 'link' AND starts_with(instruction_id || ':', $2)"
        " ORDER BY state IN ('answered', 'withdrawn'), requested_at DESC, instruction_id DESC LIMIT 1",
        link_id.partition(":")[0],
        f"link:{link_id}:",
    )


async def offer(desk: Desk, link_id: str) -> str:
    """Have the engine offer a link; empty when there is one now, else why not (a key of `SAID`)."""
    loan_id, _, instalment = link_id.partition(":")
    try:
        loan = await desk.loan(loan_id)
    except Problem:
        return "unknown"
    body = {"type": "offer-payment-link", "instalment": int(instalment or 0), "reason": "the borrower wants to pay"}
    # One id for the loan as it is now: opening the address again, or twice at once, offers one link.
    result = await submit(desk, loan_id, body, f"pay:{link_id}:{loan.version}", WAIT_SECONDS, BORROWER)
    return WHY.get(result.get("refusal") or "", "")


def told(said: str) -> Response:
    status, english, hindi = SAID[said]
    return html("pay.html", status=status, english=english, hindi=hindi, again=said == "not-ready")
