"""Before every route: who asks, how often, whether they may, and a line in the access log where it is about a person.

A request proves who asks by an API key or an access token (`Authorization: Bearer ...`, or `X-API-Key` for keys), or by
the cookie of a signed-in browser. What changes something with a cookie repeats the session's CSRF token, in the header
`X-CSRF-Token` or the form's field `csrf`. On a house that is open (QIST_API_AUTH) a request from this very machine
needs none of that.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from contextvars import ContextVar
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qs, quote

from fastapi import Request

from adapters.access import keys, sessions, trail
from adapters.access.oidc import NotBelieved, Unreachable
from adapters.access.permissions import ANONYMOUS, API, OPEN, Principal, Rule, rule_of
from adapters.http.answers import route_of
from adapters.http.desk import Desk, desk_of
from adapters.http.problems import Problem
from adapters.settings import is_loopback

LARGEST_FORM = 16 * 1024
MACHINES = ("/live",)
"""Addresses beside the API that no person looks at: they are refused in JSON, too."""

_asking: ContextVar[Principal | None] = ContextVar("asking", default=None)


class SignInFirst(Exception):
    """A person without a sign-in asked for a page: show them the way."""


async def gate(request: Request) -> None:
    """The dependency of the whole application; a refusal is a `Problem`, or `SignInFirst` for a page."""
    rule = rule_of(request.method, route_of(request.scope))
    desk = desk_of(request)
    if rule.permission == OPEN and not (rule.pattern.endswith("/metrics") and desk.settings.metrics == "required"):
        if rule.pattern.startswith("/pay/") and (wait := await desk.limits.wait("requests", address(request))):
            raise too_many(wait)
        # Pages for all still say who is signed in.
        _asking.set(await by_cookie(request, desk) if "sign" in rule.pattern else None)
        return
    who = await identified(request, desk)
    if who is None:
        raise sign_in_first(request)
    if not who.anonymous and (wait := await desk.limits.wait("requests", who.subject)):
        raise too_many(wait)
    _asking.set(who)
    require(who, rule.permission)
    if rule.recorded:
        await written_down(request, desk, who, rule)


def asking() -> Principal | None:
    """Whoever makes the request that is being answered; for templates, too."""
    return _asking.get()


def present() -> Principal:
    """Whoever makes the request, where the gate let somebody in."""
    who = _asking.get()
    assert who is not None, "only behind the gate"
    return who


def require(who: Principal, permission: str) -> None:
    """Go on if they may."""
    if not who.may(permission):
        detail = f"{who.name} may not: it takes the permission {permission}; see docs/security.md for roles."
        raise Problem(403, "not-permitted", detail, permission=permission, roles=sorted(who.roles))


def signing(who: Principal, said: str | None, field: str, otherwise: str | None = None) -> str:
    """The name that a change is recorded under: of whoever signed in, whatever the request says of itself. Only on an
    open house, where nobody signs in, it is believed."""
    if who.anonymous:
        if not (said or otherwise):
            errors = [{"pointer": f"/{field}", "detail": "who does this"}]
            raise Problem(422, "body-invalid", "Say who does this, or sign in.", errors=errors)
        return said or otherwise or ""
    if said and said != who.name:
        detail = f"You are signed in as {who.name}, and the request says another name. Leave it out."
        raise Problem(422, "name-differs", detail, errors=[{"pointer": f"/{field}", "detail": "not who signed in"}])
    return who.name


# --- Who asks ------------------------------------------------------------------------------------------------


async def identified(request: Request, desk: Desk) -> Principal | None:
    """Who asks; None when the request says nothing of it. Credentials that are wrong are refused, never passed over."""
    if credential := credential_of(request):
        try:
            return await by_credential(desk, credential)
        except Problem:
            # Counted only now: whoever has a right key is not shut out by others behind the same address.
            if wait := await desk.limits.wait("sign-ins", address(request)):
                raise too_many(wait) from None
            raise
    if (who := await by_cookie(request, desk)) is not None:
        if request.method not in ("GET", "HEAD"):
            await check_csrf(request, who)
        return who
    return ANONYMOUS if is_open_to(request, desk) else None


def credential_of(request: Request) -> str | None:
    """What stands in the header."""
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credential.strip() or "none"
    if scheme:
        raise refused("Say Authorization: Bearer, with an API key or an access token.")
    return request.headers.get("x-api-key")


async def by_credential(desk: Desk, credential: str) -> Principal:
    """Whose key or token it is."""
    if credential.startswith(keys.PREFIX):
        who = await keys.find(desk.pool, credential)
        if who is None:
            raise refused("The API key is none of ours, was revoked, or has expired.")
        return who
    if desk.oidc is None or desk.settings.oidc_audience is None:
        raise refused(
            "This is no API key, and access tokens are not taken here (QIST_OIDC_ISSUER, QIST_OIDC_AUDIENCE)."
        )
    try:
        return await desk.oidc.bearer(credential)
    except NotBelieved as why:
        raise refused(f"The access token is not taken: {why}.") from None
    except Unreachable:
        raise provider_away() from None


async def by_cookie(request: Request, desk: Desk) -> Principal | None:
    token = request.cookies.get(cookie_name(request))
    return await sessions.find(desk.pool, token) if token else None


def cookie_name(request: Request) -> str:
    """Of its own for each port, which browsers do not tell apart; with TLS tied to this host."""
    url = request.url
    return "__Host-qist" if url.scheme == "https" else f"qist-{url.port or 80}"


async def check_csrf(request: Request, who: Principal) -> None:
    """A page of ours sent this, and no other."""
    said = request.headers.get("x-csrf-token") or (await form(request)).get("csrf", "")
    if not hmac.compare_digest(said.encode(), who.csrf.encode()):
        raise Problem(403, "csrf-token-wrong", "The page is out of date. Load it again, and repeat what you did.")


async def form(request: Request) -> dict[str, str]:
    """The fields of a form; none when the body is no form."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return {}
    raw = await request.body()
    if len(raw) > LARGEST_FORM:
        raise Problem(413, "body-too-large", f"A form has at most {LARGEST_FORM} bytes.")
    try:
        return {name: values[-1] for name, values in parse_qs(raw.decode(), max_num_fields=100).items()}
    except ValueError:
        raise Problem(422, "body-invalid", "The form cannot be read.") from None


def is_open_to(request: Request, desk: Desk) -> bool:
    """Whether this comes from this very machine, to a house that is open to it.

    A proxy on this machine would make everybody local, so what was forwarded is not; a page elsewhere whose name is
    made to mean this machine (DNS rebinding) is known by the name that it calls us.
    """
    if desk.settings.api_auth != "open" or "forwarded" in request.headers or "x-forwarded-for" in request.headers:
        return False
    return is_loopback(address(request)) and is_loopback(request.url.hostname or "")


def address(request: Request) -> str:
    """Where it comes from; IPv6 by its network, since one caller has all of that."""
    host = request.client.host if request.client else ""
    try:
        known = ip_address(host)
    except ValueError:
        return host
    return known.exploded[:19] + "::" if known.version == 6 and not known.is_loopback else host


# --- Refusals ------------------------------------------------------------------------------------------------


def refused(detail: str) -> Problem:
    return Problem(401, "credentials-refused", detail, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


def provider_away() -> Problem:
    detail = "The identity provider cannot be reached. API keys still work; else try again."
    return Problem(503, "identity-provider-unreachable", detail, headers={"Retry-After": "30"})


def too_many(wait: int) -> Problem:
    detail = f"That is more than is taken of one caller; come again in {wait} s."
    return Problem(429, "too-many-requests", detail, headers={"Retry-After": str(wait)}, retry_after_seconds=wait)


def sign_in_first(request: Request) -> Exception:
    if request.method in ("GET", "HEAD") and not request.url.path.startswith((f"{API}/", *MACHINES)):
        return SignInFirst()
    detail = "Send an API key (`qist api-keys create`) or an access token: Authorization: Bearer ..."
    return Problem(HTTPStatus.UNAUTHORIZED, "sign-in-required", detail, headers={"WWW-Authenticate": "Bearer"})


def to_sign_in(request: Request) -> str:
    """The address of the sign-in page, which leads back to where one wanted to go."""
    query = f"?{request.url.query}" if request.url.query else ""
    return f"/sign-in?next={quote(request.url.path + query, safe='')}"


# --- The access log ------------------------------------------------------------------------------------------


async def written_down(request: Request, desk: Desk, who: Principal, rule: Rule) -> None:
    asked: Mapping[str, Any] = {**request.path_params, **request.query_params}
    detail = {name: str(value)[:200].replace("\0", "\ufffd") for name, value in asked.items()}
    loan_id, borrower_id = detail.pop("loan_id", None), detail.pop("borrower_id", None)
    if loan_id is None and "case_id" in detail:
        loan_id = detail["case_id"].split(":")[0]
    what = f"{request.method} {route_of(request.scope)}"
    await trail.record(desk.pool, who, what, loan_id=loan_id, borrower_id=borrower_id, detail=detail)
