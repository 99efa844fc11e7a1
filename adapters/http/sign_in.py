"""Signing in to the pages: with an API key, at the identity provider, or by a link that does so once; and out again."""

from __future__ import annotations

import base64
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import orjson
import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from adapters.access import keys, sessions, trail
from adapters.access.oidc import Attempt, NotBelieved, Unreachable
from adapters.access.permissions import Principal
from adapters.http import gate
from adapters.http.desk import AtDesk, Desk
from adapters.http.problems import Problem
from adapters.http.rendering import html

log = structlog.get_logger("api")
router = APIRouter()

ATTEMPT = "qist-oidc"
ATTEMPT_SECONDS = 600


@router.get("/sign-in")
async def show_sign_in(request: Request, desk: AtDesk, next: str = "/", said: str = "") -> Response:
    """With a key, or at the provider."""
    return page(desk, next, SAID.get(said, ""))


SAID = {
    "key": "That is no valid key. It may have been revoked, or have expired.",
    "link": "That link was used before, or is too old. `qist up` prints a new one.",
    "provider": "The identity provider cannot be reached. An API key works all the same.",
    "token": "The identity provider did not vouch for you. Try again.",
    "out": "You are signed out.",
}
"""What can have gone before; said by its name, so that nobody else can put words on this page."""


def page(desk: Desk, next: str, said: str, status: int = 200) -> Response:
    provider = bool(desk.oidc and desk.settings.oidc_client_id)
    return html("sign_in.html", status=status, here="/sign-in", next=local(next), said=said, provider=provider)


@router.post("/sign-in")
async def sign_in(request: Request, desk: AtDesk) -> Response:
    """With a key from the form."""
    fields = await gate.form(request)
    if wait := await desk.limits.wait("sign-ins", gate.address(request)):
        raise gate.too_many(wait)
    key = fields.get("key", "").strip()
    who = await keys.find(desk.pool, key) if key.startswith(keys.PREFIX) else None
    if who is None:
        return page(desk, fields.get("next", "/"), SAID["key"], 401)
    return await signed_in(request, desk, who, "an API key", fields.get("next", "/"))


@router.get("/sign-in/once/{token}")
async def sign_in_once(request: Request, desk: AtDesk, token: str) -> Response:
    """By a link of `qist up`. Used a second time by a browser that is signed in, it leads in as well."""
    who = await sessions.use_link(desk.pool, token)
    if who is not None:
        return await signed_in(request, desk, who, "a link", "/")
    return RedirectResponse("/" if await gate.by_cookie(request, desk) else "/sign-in?said=link", 303)


@router.get("/sign-in/provider")
async def to_provider(request: Request, desk: AtDesk, next: str = "/") -> Response:
    """Off to the provider's page."""
    if desk.oidc is None or desk.settings.oidc_client_id is None:
        raise Problem(404, "not-found", "No identity provider is set (QIST_OIDC_ISSUER, QIST_OIDC_CLIENT_ID).")
    if wait := await desk.limits.wait("sign-ins", gate.address(request)):
        raise gate.too_many(wait)
    try:
        attempt = await desk.oidc.attempt(way_back(request, desk))
    except Unreachable:
        return RedirectResponse("/sign-in?said=provider", 303)
    kept = base64.urlsafe_b64encode(orjson.dumps({**asdict(attempt), "url": "", "next": local(next)})).decode()
    answer = RedirectResponse(attempt.url, 303, {"Cache-Control": "no-store"})
    answer.set_cookie(ATTEMPT, kept, max_age=ATTEMPT_SECONDS, path="/sign-in", **guarded(request))
    return answer


@router.get("/sign-in/callback")
async def from_provider(request: Request, desk: AtDesk, state: str = "") -> Response:
    """Back from it. Only the browser that left comes back: it holds the attempt, and nobody else knows its state."""
    attempt, next = attempt_of(request.cookies.get(ATTEMPT))
    if desk.oidc is None or attempt is None or attempt.state != state:
        return RedirectResponse("/sign-in?said=token", 303)
    back = way_back(request, desk)
    try:
        who = await desk.oidc.complete(attempt, f"{back}?{request.url.query}", back)
    except NotBelieved as why:
        log.warning("a sign-in was refused", because=str(why))
        return RedirectResponse("/sign-in?said=token", 303)
    except Unreachable:
        return RedirectResponse("/sign-in?said=provider", 303)
    answer = await signed_in(request, desk, who, "the identity provider", next)
    answer.delete_cookie(ATTEMPT, path="/sign-in")
    return answer


@router.post("/sign-out")
async def sign_out(request: Request, desk: AtDesk) -> Response:
    """From this browser. Without the CSRF token nobody is: a foreign page must not do even that."""
    name = gate.cookie_name(request)
    token = request.cookies.get(name)
    if token and (who := await sessions.find(desk.pool, token)) is not None:
        await gate.check_csrf(request, who)
        await sessions.end(desk.pool, token)
    answer = RedirectResponse("/sign-in?said=out", 303)
    answer.delete_cookie(name, path="/")
    return answer


# --- Parts ---------------------------------------------------------------------------------------------------


async def signed_in(request: Request, desk: Desk, who: Principal, how: str, next: str) -> Response:
    """A session of its own, never one that was there before; and a line that says so."""
    lasts = timedelta(hours=desk.settings.session_hours)
    token = await sessions.begin(desk.pool, who, lasts)
    await trail.record(desk.pool, who, "sign in", detail={"with": how})
    answer = RedirectResponse(local(next), 303, {"Cache-Control": "no-store"})
    seconds = int(lasts.total_seconds())
    answer.set_cookie(gate.cookie_name(request), token, max_age=seconds, path="/", **guarded(request))
    return answer


def guarded(request: Request) -> dict[str, Any]:
    """Scripts cannot read it, other sites' forms do not send it. (Lax, so that a link to a page still leads there.)"""
    return {"httponly": True, "samesite": "lax", "secure": request.url.scheme == "https"}


def local(next: str) -> str:
    """Where to go on: only within these pages."""
    return next if next.startswith("/") and not next.startswith(("//", "/\\")) and next.isprintable() else "/"


def way_back(request: Request, desk: Desk) -> str:
    """Where the provider sends the browser; registered there, letter by letter."""
    base = desk.settings.public_url or f"{request.url.scheme}://{request.url.netloc}"
    return f"{base.rstrip('/')}/sign-in/callback"


def attempt_of(kept: str | None) -> tuple[Attempt | None, str]:
    """The sign-in that this browser began, and where it wanted to go."""
    try:
        said = orjson.loads(base64.urlsafe_b64decode(kept or ""))
        next = said.pop("next")
        return Attempt(**said), local(next)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None, "/"
