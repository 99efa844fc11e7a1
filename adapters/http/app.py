"""The application: its routes, what wraps them, and its own description (OpenAPI)."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, FastAPI, Response
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.access.permissions import OPEN, rule_of
from adapters.http import (
    access,
    approvals,
    cases,
    commands,
    documents,
    failure_codes,
    gate,
    health,
    loan_pages,
    loans,
    models,
    pages,
    pay,
    portfolio,
    preview,
    problems,
    reconciliation,
    rendering,
    reports,
    set_aside,
    sign_in,
    webhooks,
    work_pages,
)
from adapters.http.answers import API

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Nothing from outside, nothing inline: what the browser runs is in this repository."""

SECURITY = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

STRICT_TRANSPORT = "max-age=31536000"
"""Only said over TLS, where it means something; a year, as browsers' lists ask for."""


SERVED = tuple(
    module.router
    for module in (
        loans, documents, commands, preview, approvals, portfolio, cases, failure_codes, set_aside, reconciliation,
        reports, webhooks, health, access,
    )
)  # fmt: skip
"""The API."""

# Health also where orchestrators and Prometheus look by custom.
BESIDE = (
    health.router, pages.router, loan_pages.router, work_pages.router, pay.router, sign_in.router, approvals.pages,
)  # fmt: skip
"""What is not part of the API."""


def create_app() -> FastAPI:
    """All routes. `app.state.desk` is set by whoever serves it; describing needs none."""
    app = FastAPI(
        title="Qist",
        version="1",
        summary="Loan servicing after approval.",
        description=(
            "Money is integer paise in fields that end in `_paise`; rates are decimal strings in percent a year; days"
            " are `YYYY-MM-DD` in Asia/Kolkata, instants RFC 3339. Every refusal is an RFC 9457 problem."
        ),
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(gate.gate)],
    )
    for router in SERVED:
        app.include_router(router, prefix=API)
    for router in BESIDE:
        app.include_router(router, include_in_schema=False)
    problems.install(app)

    @app.exception_handler(problems.Problem)
    async def _(request: Request, problem: problems.Problem) -> Response:
        if request.url.path.startswith(f"{API}/") or "text/html" not in request.headers.get("accept", ""):
            return problems.answer(request, problem)
        answer = rendering.html(
            "refused.html", status=problem.status, here="", title=problem.title, said=problem.detail
        )
        answer.headers.update(problem.headers)
        return answer

    @app.exception_handler(gate.SignInFirst)
    async def _(request: Request, error: gate.SignInFirst) -> Response:
        return RedirectResponse(gate.to_sign_in(request), 303, {"Cache-Control": "no-store"})

    app.add_middleware(Guarded)
    app.add_middleware(health.Timed)
    app.openapi = lambda: described(app)  # type: ignore[method-assign]
    return app


SCHEMES: dict[str, Any] = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key (`qist api-keys create`), `qist_...`."},
    "keyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same."},
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "Of the identity provider."},
}
"""How a request may prove who asks."""


def described(app: FastAPI) -> dict[str, Any]:
    """OpenAPI with the schemas of our messages, and with every error as a problem."""
    if app.openapi_schema is None:
        schema = FastAPI.openapi(app)
        parts = schema["components"]["schemas"]
        parts.update(models.wire_schemas())
        parts["Problem"] = models.Problem.model_json_schema(ref_template=models.REF)
        parts["Problem"].pop("$defs", None)
        parts["Fault"] = models.Fault.model_json_schema()
        problem = {"schema": {"$ref": models.REF.format(model="Problem")}}
        told = {"description": "A problem (RFC 9457)", "content": {problems.MEDIA_TYPE: problem}}
        for pattern, path in schema["paths"].items():
            for method, operation in path.items():
                operation["responses"].pop("422", None)
                operation["responses"]["default"] = told
                permission = rule_of(method.upper(), pattern).permission
                operation["security"] = [] if permission == OPEN else [{name: []} for name in SCHEMES]
                operation["x-permission"] = permission
        schema["components"]["securitySchemes"] = SCHEMES
        for unused in ("HTTPValidationError", "ValidationError"):
            parts.pop(unused, None)
        schema["components"]["schemas"] = dict(sorted(parts.items()))
        app.openapi_schema = schema
    return app.openapi_schema


class Guarded:
    """Every answer has the security headers; a browser on a foreign page cannot make us change anything."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        if request.method not in ("GET", "HEAD") and request.headers.get("sec-fetch-site", "none") not in OURS:
            problem = problems.Problem(403, "foreign-page", "A page of another site cannot ask this of us.")
            await problems.answer(request, problem)(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
                if request.url.scheme == "https":
                    headers.setdefault("Strict-Transport-Security", STRICT_TRANSPORT)
            await send(message)

        await self._app(scope, receive, sending)


OURS = ("same-origin", "none")
"""What a browser says of our own pages; other clients say nothing."""
