"""Every answer that is a "no": RFC 9457 problem details, with a type to branch on and a sentence for a person.

Problem                      raised by our routes
Refused                      the domain's rules said no (the phrase is the type)
HTTPException, Request...    the framework said no (404, 405, a parameter that cannot be read)
LogUnreachable, BrokerDown   nothing is wrong with the request: try again (503)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import asyncpg
import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from adapters.sending import BrokerDown
from domain.refusals import EXPLAINED, Refusal, Refused
from streams.database_away import DATABASE_AWAY
from streams.ports import LogUnreachable

log = structlog.get_logger("api")

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:qist:problem:"

STATUS_OF: dict[Refusal, int] = {
    Refusal.malformed: 422,
    Refusal.unknown_type: 422,
    Refusal.missing_type: 422,
    Refusal.loan_id_invalid: 422,
    Refusal.terms_invalid: 422,
    Refusal.amount_must_be_positive: 422,
    Refusal.effective_date_not_ahead: 422,
    Refusal.receipt_unknown: 404,
    Refusal.charge_unknown: 404,
    Refusal.mandate_unknown: 404,
}
"""What is wrong with the request, or names nothing; every other refusal is a conflict with the loan's state (409)."""


class Problem(Exception):
    """A request that cannot be served. `kind` is stable, `detail` says what to do."""

    def __init__(self, status: int, kind: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any):
        self.status = status
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more
        super().__init__(detail)

    @property
    def title(self) -> str:
        return self.kind.replace("-", " ").capitalize()


def loan_unknown(loan_id: str) -> Problem:
    return Problem(404, "loan-unknown", f"There is no loan {loan_id[:64]!r}.")


def invalid_body(error: ValidationError) -> Problem:
    """Every field at fault, each named by its JSON pointer; what was sent is not repeated (it may be personal)."""
    return Problem(422, "body-invalid", "The body is not what its type asks for.", errors=faults(error.errors()))


def of(refused: Refused) -> Problem:
    """The domain's no, with the field and the figures that decided."""
    kind = refused.refusal.value.replace("_", "-")
    more = {"errors": [{"pointer": refused.field, "detail": refused.sentence()}]} if refused.field else {}
    status = STATUS_OF.get(refused.refusal, 409)
    return Problem(status, kind, EXPLAINED[refused.refusal], **more, **_plain(refused.facts))


def faults(errors: Sequence[Mapping[str, Any]], skip: int = 0) -> list[dict[str, str]]:
    return [
        {"pointer": "".join(f"/{part}" for part in error["loc"][skip:]), "detail": str(error["msg"])}
        for error in errors
    ]


def install(app: FastAPI) -> None:
    """Turn everything that can go wrong into a problem."""

    @app.exception_handler(Problem)
    async def _(request: Request, problem: Problem) -> Response:
        return answer(request, problem)

    @app.exception_handler(Refused)
    async def _(request: Request, refused: Refused) -> Response:
        return answer(request, of(refused))

    @app.exception_handler(HTTPException)
    async def _(request: Request, error: HTTPException) -> Response:
        kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        detail = {
            404: "Nothing is served here; GET /api/v1/openapi.json lists what is.",
            405: "This address is served, but not by this method.",
        }.get(error.status_code, str(error.detail))
        return answer(request, Problem(error.status_code, kind, detail, headers=error.headers))

    @app.exception_handler(RequestValidationError)
    async def _(request: Request, error: RequestValidationError) -> Response:
        problem = Problem(422, "parameter-invalid", "A parameter cannot be read.", errors=faults(error.errors(), 1))
        return answer(request, problem)

    async def out_of_reach(request: Request, error: Exception) -> Response:
        log.warning("out of reach", error=repr(error))
        what = "broker" if isinstance(error, BrokerDown) else "database"
        detail = f"The {what} cannot be reached. Nothing was done; try again."
        return answer(request, Problem(503, f"{what}-unreachable", detail, headers={"Retry-After": "2"}))

    async def no_read_models(request: Request, error: Exception) -> Response:
        detail = "The read models are not there yet. Start `qist projector`, and try again."
        return answer(request, Problem(503, "read-models-missing", detail, headers={"Retry-After": "5"}))

    for kind in (BrokerDown, LogUnreachable, *DATABASE_AWAY):
        app.add_exception_handler(kind, out_of_reach)
    for missing in (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError, asyncpg.UndefinedFunctionError):
        app.add_exception_handler(missing, no_read_models)

    @app.exception_handler(Exception)
    async def _(request: Request, error: Exception) -> Response:
        log.exception("a defect", path=request.url.path, error=repr(error))
        return answer(request, Problem(500, "defect", "This is our mistake; it is in the log."))


def answer(request: Request, problem: Problem) -> Response:
    """The problem as RFC 9457 has it."""
    body: dict[str, Any] = {
        "type": TYPE + problem.kind,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": request.url.path,
        **problem.more,
    }
    headers = {"Cache-Control": "no-store", **problem.headers}
    return Response(orjson.dumps(body, default=str), problem.status, headers, MEDIA_TYPE)


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that decided, as extension members."""
    return {name: value if isinstance(value, int | bool) else str(value) for name, value in facts.items()}
