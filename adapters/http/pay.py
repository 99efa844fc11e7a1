"""A borrower's payment link: from the address that a notice names to the gateway's own page.

The address says nothing but which instalment it is for (`QIST_PAYMENT_LINK=https://pay.lender.example/pay/{link_id}`),
so that notices can go out before the gateway has made its page, and nothing is kept in them that pays by itself. A
notice that goes out without a link of its own (a failed debit, a reminder) names the instalment or the loan: its newest
open link.
"""

from __future__ import annotations

import re

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from adapters.http.desk import AtDesk
from adapters.http.problems import Problem

router = APIRouter()

LINK_ID = re.compile(r"[A-Za-z0-9._-]{1,64}(:\d{1,6}){0,2}")


@router.get("/pay/{link_id}")
async def pay(desk: AtDesk, link_id: str) -> Response:
    """303 to the gateway's page while the link is open; 410 once it was paid, withdrawn, or is over. `link_id` may also
    be `loan:instalment` or the loan alone: its newest link, an open one first."""
    row = None
    if LINK_ID.fullmatch(link_id):
        row = await desk.pool.fetchrow(
            "SELECT state, answer -> 'facts' ->> 'url' AS url FROM gateway_calls"
            " WHERE loan_id = $1 AND kind = 'link' AND starts_with(instruction_id || ':', $2)"
            " ORDER BY state IN ('answered', 'withdrawn'), requested_at DESC, instruction_id DESC LIMIT 1",
            link_id.partition(":")[0],
            f"link:{link_id}:",
        )
    if row is None:
        raise Problem(404, "link-unknown", "There is no such payment link.")
    if row["state"] in ("answered", "withdrawn"):
        raise Problem(410, "link-over", "This link was paid, is no longer needed, or is over.")
    if not (row["url"] or "").startswith(("https://", "http://")):
        raise Problem(503, "link-not-ready", "The page for paying is not ready yet; try again in a minute.")
    return RedirectResponse(row["url"], 303, headers={"cache-control": "no-store", "referrer-policy": "no-referrer"})
