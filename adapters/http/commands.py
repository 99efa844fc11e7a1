"""Commands: checked here, decided by the engine. A POST sends one to Kafka; its result is read from the database."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote
from uuid import uuid4

import orjson
from fastapi import APIRouter, Header, Path, Request, Response
from pydantic import ValidationError

from adapters.access import approvals
from adapters.access.permissions import Principal, permission_of_command
from adapters.http import models
from adapters.http.accepted import Sent
from adapters.http.answers import API, json, local
from adapters.http.desk import AtDesk, Desk
from adapters.http.gate import present, require, signing
from adapters.http.held import as_result, held_back
from adapters.http.loans import LoanId
from adapters.http.problems import Problem, invalid_body
from streams.envelope import headers_for
from streams.topics import COMMANDS
from streams.wire import CARRIES, Inbound

router = APIRouter(tags=["commands"])

MODEL_OF: dict[str, type[Inbound]] = {model.TYPE: model for model in CARRIES[COMMANDS.name]}
SOURCE = "qist/api"
REQUESTED_BY = "api"
LARGEST_BODY = 256 * 1024
LONGEST_WAIT = 30.0
LOOK_EVERY = 0.05


@router.post(
    "/loans/{loan_id}/commands",
    status_code=202,
    summary="Ask something of a loan",
    responses=models.ok(models.CommandResult, also={202: models.CommandAccepted}),
    openapi_extra=models.command_body(),
)
async def send_command(
    request: Request,
    desk: AtDesk,
    loan_id: LoanId,
    idempotency_key: Annotated[
        str | None, Header(max_length=200, description="The command's id: sent twice, done once.")
    ] = None,
    prefer: Annotated[str | None, Header(description="`wait=N`: up to N (30) seconds for the result.")] = None,
) -> Response:
    """The engine decides in turn: 202 and where the result will be; with `Prefer: wait=N` the result itself (200)."""
    waiting = seconds_to_wait(prefer)
    told = await submit(desk, loan_id, await json_object(request), idempotency_key, waiting)
    if told["status"] not in UNDECIDED:
        return json(told, headers={"Preference-Applied": f"wait={waiting:g}"} if waiting else None)
    return json(told, 202, {"Location": f"{API}/commands/{quote(told['command_id'], safe='')}"})


UNDECIDED = ("pending", "awaiting_approval")


async def submit(
    desk: Desk,
    loan_id: str,
    body: dict[str, Any],
    idempotency_key: str | None = None,
    waiting: float = 0,
    who: Principal | None = None,
) -> dict[str, Any]:
    """Send a command, or hold it for a second person; its result if it comes (or came) in time, else `pending`."""
    who = who or present()
    model, command_id, body = await checked(desk, body, loan_id, idempotency_key, who)
    loan = await desk.loan(loan_id)
    known = await result_of(desk, command_id)
    if known is not None and known["status"] != "failed":
        if (known["loan_id"], known["type"]) != (loan_id, model.TYPE):
            raise another_use(command_id)
        return known
    held, body = await held_back(desk, who, model, loan, body)
    if held is not None:
        return held
    await send(desk, model, command_id, loan_id, body)
    pending = {"command_id": command_id, "loan_id": loan_id, "type": model.TYPE, "status": "pending"}
    return await wait_for_result(desk, command_id, waiting) or pending


@router.get(
    "/commands/{command_id:path}",
    summary="What became of a command",
    responses=models.ok(models.CommandResult),
)
async def show_command(desk: AtDesk, command_id: Annotated[str, Path(max_length=200)]) -> Response:
    """`pending`, then `done`, `repeated`, `refused` (with the phrase that says why) or `failed` (a mistake of ours).
    Where a second person decides, `awaiting_approval` before that, or `declined` or `lapsed` instead."""
    told = await told_of(desk, command_id)
    if told is not None:
        return json(told)
    sent = desk.accepted.get(command_id)
    if sent is None:
        raise Problem(404, "command-unknown", "There is no result under this id, and this server did not send it.")
    pending = {"command_id": command_id, "loan_id": sent.loan_id, "type": sent.type, "status": "pending"}
    return json({**pending, "sent_at": sent.at})


# --- Reading the request -------------------------------------------------------------------------------------


async def checked(
    desk: Desk,
    body: dict[str, Any],
    loan_id: str,
    idempotency_key: str | None = None,
    who: Principal | None = None,
) -> tuple[type[Inbound], str, dict[str, Any]]:
    """The model of a command, its id, and its whole body, in the name of whoever asks and may; a `Problem` that names
    each field at fault."""
    who, model = who or present(), model_named(body.pop("type", None))
    require(who, permission_of_command(short(model)))
    command_id = one_id(idempotency_key, body.get("command_id"))
    body = complete(body, loan_id, command_id, (await desk.now()).isoformat())
    body["requested_by"] = signing(who, body.get("requested_by"), "requested_by", otherwise=REQUESTED_BY)
    if body.pop("approved_by", None) and not who.anonymous:
        raise Problem(422, "approval-not-taken", "Who approves says so at /api/v1/approvals, not in the command.")
    try:
        model.model_validate_json(orjson.dumps(body))
    except ValidationError as error:
        raise invalid_body(error) from None
    return model, command_id, body


async def json_object(request: Request) -> dict[str, Any]:
    """The body. Asking for JSON's media type also keeps forms of foreign pages out."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise Problem(415, "media-type-unsupported", "Send the body as application/json.")
    raw = await request.body()
    if len(raw) > LARGEST_BODY:
        raise Problem(413, "body-too-large", f"A body has at most {LARGEST_BODY} bytes.")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise Problem(422, "body-invalid", "The body is not a JSON object.")
    return body


def short(model: type[Inbound]) -> str:
    """`waive` of `servicing.waive.v1`."""
    return model.TYPE.split(".")[1]


def model_named(kind: Any) -> type[Inbound]:
    """`restructure` and `servicing.restructure.v1` mean the same."""
    name = kind if isinstance(kind, str) and "." in kind else f"servicing.{kind}.v1"
    model = MODEL_OF.get(name)
    if model is None:
        known = sorted(short(known) for known in MODEL_OF.values())
        raise Problem(
            422,
            "command-unknown",
            "The body's `type` names no command.",
            errors=[{"pointer": "/type", "detail": f"one of {', '.join(known)}"}],
        )
    return model


def one_id(header: str | None, field: Any) -> str:
    """The command's id: the header, the field (both the same where both are given), or a new one."""
    if header and isinstance(field, str) and field != header:
        raise Problem(
            422,
            "idempotency-key-differs",
            "Idempotency-Key and command_id are two names of one thing, and differ.",
            errors=[{"pointer": "/command_id", "detail": "not the Idempotency-Key"}],
        )
    return header or (field if isinstance(field, str) and field else str(uuid4()))


def complete(body: Mapping[str, Any], loan_id: str, command_id: str, now: str) -> dict[str, Any]:
    """The body with what the address and the headers say."""
    if body.get("loan_id", loan_id) != loan_id:
        raise Problem(
            422,
            "loan-differs",
            "The body is about another loan than the address.",
            errors=[{"pointer": "/loan_id", "detail": "not the loan of the address"}],
        )
    given = {"requested_at": now, **body}
    return {**given, "loan_id": loan_id, "command_id": command_id}


def seconds_to_wait(prefer: str | None) -> float:
    """RFC 7240's `wait`, up to 30 seconds; a preference that cannot be read is no preference."""
    found = re.search(r"(?:^|[,;\s])wait=(\d{1,6})", prefer or "")
    return min(float(found[1]), LONGEST_WAIT) if found else 0.0


# --- Sending and waiting -------------------------------------------------------------------------------------


async def send(desk: Desk, model: type[Inbound], command_id: str, loan_id: str, body: Mapping[str, Any]) -> None:
    """Put it on servicing.commands, in the loan's partition, unless this very command is on its way already."""
    now = await desk.now()
    what_counts = {name: held for name, held in body.items() if name != "requested_at"}
    fingerprint = hashlib.sha256(orjson.dumps(what_counts, option=orjson.OPT_SORT_KEYS)).hexdigest()
    sent = desk.accepted.get(command_id)
    if sent is not None and (sent.loan_id, sent.type, sent.fingerprint) != (loan_id, model.TYPE, fingerprint):
        raise another_use(command_id)
    await desk.sender.send(
        COMMANDS.name,
        partition=desk.home(loan_id),
        key=loan_id.encode(),
        value=orjson.dumps(body),
        headers=headers_for(model.TYPE, command_id, SOURCE, now),
    )
    desk.accepted.add(Sent(command_id, loan_id, model.TYPE, fingerprint, now))


def another_use(command_id: str) -> Problem:
    return Problem(409, "command-id-used", f"The command {command_id!r} was sent with other content. Take a new id.")


async def wait_for_result(desk: Desk, command_id: str, seconds: float) -> dict[str, Any] | None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = await result_of(desk, command_id)
        if result is not None:
            return result
        await asyncio.sleep(LOOK_EVERY)
    return None


async def told_of(desk: Desk, command_id: str) -> dict[str, Any] | None:
    """Its result, or how it stands with the second person; None of a command that is not decided and was not held."""
    result = await result_of(desk, command_id)
    if result is None and (request := await approvals.find(desk.pool, command_id, await desk.now())) is not None:
        return as_result(request)
    return result


async def result_of(desk: Desk, command_id: str) -> dict[str, Any] | None:
    """The engine's answer; a command that met a defect of ours has none, and is found in the dead letters."""
    row = await desk.pool.fetchrow("SELECT * FROM command_results WHERE command_id = $1 LIMIT 1", command_id)
    if row is not None:
        return {
            "command_id": command_id,
            "loan_id": row["loan_id"],
            "type": row["type"],
            "status": row["outcome"],
            "refusal": row["refusal"] or None,
            "detail": row["detail"] or None,
            "version": row["version"],
            "decided_at": local(row["decided_at"]),
        }
    sent = desk.accepted.get(command_id)
    if sent is None:
        return None
    letter = await desk.pool.fetchrow(
        "SELECT reason, detail, set_aside_at FROM dead_letters WHERE partition = $1 AND topic = $2 AND loan_id = $3"
        " AND headers @> jsonb_build_array(jsonb_build_array('ce_id', encode($4::bytea, 'base64')))"
        " AND retried_at IS NULL ORDER BY id DESC LIMIT 1",
        desk.home(sent.loan_id),
        COMMANDS.name,
        sent.loan_id,
        command_id.encode(),
    )
    if letter is None:
        return None
    return {
        "command_id": command_id,
        "loan_id": sent.loan_id,
        "type": sent.type,
        "status": "failed",
        "refusal": letter["reason"],
        "detail": "This is our mistake. The command is kept as a dead letter and can be sent again.",
        "version": 0,
        "decided_at": local(letter["set_aside_at"]),
    }
