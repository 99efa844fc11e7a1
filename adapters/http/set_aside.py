"""Dead letters and parked records: what could not be applied."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from adapters import set_aside
from adapters.http import models
from adapters.http.answers import Cursor, Limit, decode, json, local, page
from adapters.http.desk import AtDesk
from adapters.http.problems import Problem

router = APIRouter(tags=["set aside"])


@router.get("/dead-letters", summary="What could not be applied", responses=models.ok(models.DeadLetterPage))
async def list_dead_letters(
    request: Request,
    desk: AtDesk,
    reason: str | None = None,
    loan_id: str | None = None,
    retried: Annotated[Literal["no", "yes", "both"], Query(description="Sent again already?")] = "no",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Oldest first. Bodies are not shown here, and never with personal data."""
    [after] = decode(cursor, int) or [0]
    letters = await set_aside.dead_letters(
        desk.pool,
        after=after,
        limit=limit + 1,
        reason=reason,
        loan_id=loan_id,
        retried={"no": False, "yes": True, "both": None}[retried],
    )
    return page(request, letters, limit, lambda letter: [letter["id"]])


@router.get("/dead-letters/{number}", summary="One dead letter", responses=models.ok(models.DeadLetter))
async def show_dead_letter(desk: AtDesk, number: int) -> Response:
    """Why it was set aside, and what it holds; personal data is masked."""
    letter = await set_aside.dead_letter(desk.pool, number)
    if letter is None:
        raise unknown(number)
    return json(letter)


@router.post("/dead-letters/{number}/retry", summary="Send it again", responses=models.ok(models.SentAgain))
async def retry_dead_letter(desk: AtDesk, number: int) -> Response:
    """As it came, byte for byte, to its loan's partition. Is it refused again, it becomes a new dead letter."""
    try:
        sent = await set_aside.retry_dead_letter(desk.pool, desk.sender, number)
    except set_aside.AlreadyRetried as already:
        detail = f"It was sent again at {local(already.at).isoformat()}; if that failed, there is a newer dead letter."
        raise Problem(409, "retried-already", detail) from None
    if sent is None:
        raise unknown(number)
    return json(sent)


def unknown(number: int) -> Problem:
    return Problem(404, "dead-letter-unknown", f"There is no dead letter {number}.")


@router.get("/parked", summary="What waits for its loan", responses=models.ok(models.ParkedPage))
async def list_parked(
    request: Request, desk: AtDesk, loan_id: str | None = None, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """Records whose loan is not known yet. They are applied by themselves, in order, once it is."""
    after = decode(cursor, str, str, int, int)
    waiting = await set_aside.parked(desk.pool, after=after, limit=limit + 1, loan_id=loan_id)
    return page(request, waiting, limit, lambda one: [one["loan_id"], one["topic"], one["partition"], one["offset"]])


@router.post("/parked/{loan_id}/retry", summary="Send a loan's again", responses=models.ok(models.AllSentAgain))
async def retry_parked(desk: AtDesk, loan_id: str) -> Response:
    """For when something else than a missing loan was in the way."""
    sent = await set_aside.retry_parked(desk.pool, desk.sender, loan_id)
    if not sent:
        raise Problem(404, "nothing-parked", f"Nothing waits for {loan_id[:64]!r}.")
    return json({"sent": sent})
