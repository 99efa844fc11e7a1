"""Webhooks: what a gateway says, once it has proved who it is, goes to the topic of its kind.

    Qist-Signature: t=UNIX-SECONDS,v1=HEX     HMAC-SHA256 with the gateway's secret over "UNIX-SECONDS." + the raw body
    Ce-Type: gateway.debit.succeeded.v1       CloudEvents in binary mode; Ce-Id and Ce-Time where the gateway has them

A call is refused when its signature is wrong or old, and when it was accepted before. Beyond that nothing is dropped: a
body that is not what its type says is sent on as well, so that the engine sets it aside where people look.

A gateway of the lender's file (QIST_GATEWAYS_FILE) signs and speaks in its own way instead. Its events are written down
and answered at once; the gateway role then enquires about what they name, for a webhook is a hint and no proof.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Request, Response

from adapters.gateways.port import Untrusted
from adapters.http import models
from adapters.http.answers import json
from adapters.http.commands import LARGEST_BODY
from adapters.http.desk import LOAN_ID, AtDesk
from adapters.http.problems import Problem
from streams.envelope import headers_for
from streams.notices import OUTCOMES
from streams.topics import NOTICE_OUTCOMES, partition_of
from streams.wire import CARRIES

router = APIRouter(tags=["webhooks"])

WINDOW_SECONDS = 300

TOPIC_OF: dict[str, str] = {
    **{model.TYPE: topic for topic, carried in CARRIES.items() if topic.startswith("gateway.") for model in carried},
    **dict.fromkeys(OUTCOMES, NOTICE_OUTCOMES.name),
}


@router.post(
    "/webhooks/{gateway}",
    status_code=202,
    summary="What a gateway has to say",
    responses=models.ok(models.WebhookAccepted, status=202),
    openapi_extra=models.webhook_body(),
)
async def take_webhook(
    request: Request,
    desk: AtDesk,
    gateway: str,
    qist_signature: Annotated[str | None, Header(description="`t=UNIX-SECONDS,v1=HEX`")] = None,
    ce_type: Annotated[str | None, Header(description="A type of the gateway.* topics.")] = None,
    ce_id: Annotated[str | None, Header(max_length=200)] = None,
    ce_time: Annotated[str | None, Header(max_length=64)] = None,
) -> Response:
    """202 once the broker has it. Calling again after anything else than 202 is right, with a new signature."""
    secrets = desk.settings.webhook_secrets_of(gateway)
    if not secrets:
        raise Problem(404, "gateway-unknown", "No gateway of this name may call. See QIST_WEBHOOK_SECRETS.")
    body = await request.body()
    if len(body) > LARGEST_BODY:
        raise Problem(413, "body-too-large", f"A body has at most {LARGEST_BODY} bytes.")
    if vendor := desk.vendors.get(gateway):
        try:
            event_id = vendor.checked(request.headers, body, secrets, time.time())[:200].replace("\0", "\ufffd")
        except Untrusted as error:
            raise Problem(401, "signature-refused", f"Not believed: {error}.") from None
        known = not await keep(desk.pool, gateway, event_id, body)
        return json({"event_id": event_id, "type": "", "topic": "", "known": known}, 202)
    signature = checked_signature(qist_signature, body, secrets, time.time())
    topic = TOPIC_OF.get(ce_type or "")
    if topic is None or ce_type is None:
        errors = [{"pointer": "/headers/ce-type", "detail": f"one of {', '.join(sorted(TOPIC_OF))}"}]
        raise Problem(422, "type-unknown", "The header Ce-Type names no message of a gateway.", errors=errors)
    key = loan_of(body)
    event_id = ce_id or hashlib.sha256(body).hexdigest()
    async with desk.pool.acquire() as connection, connection.transaction():
        # One transaction around the sending: a call that the broker did not take may be made again.
        if not await first_time(connection, gateway, signature):
            raise Problem(409, "webhook-replayed", "This call was accepted before.")
        await desk.sender.send(
            topic,
            partition=partition_of(key, desk.partitions),
            key=key.encode(),
            value=body,
            headers=headers_for(ce_type, event_id, f"gateway/{gateway}", instant(ce_time)),
        )
    return json({"event_id": event_id, "type": ce_type, "topic": topic}, 202)


def checked_signature(header: str | None, body: bytes, secrets: Sequence[bytes], now: float) -> str:
    """The signature, if it is right and fresh."""
    split = (part.strip().partition("=") for part in (header or "").split(","))
    parts = {name: value for name, _, value in split}
    at, signature = parts.get("t", ""), parts.get("v1", "").lower()
    if not at.isdecimal() or not signature.isascii():
        raise Problem(401, "signature-missing", "Send Qist-Signature: t=UNIX-SECONDS,v1=HEX.")
    right = [hmac.new(secret, at.encode() + b"." + body, hashlib.sha256).hexdigest() for secret in secrets]
    if not any(hmac.compare_digest(signature, one) for one in right):
        raise Problem(401, "signature-wrong", "The signature does not fit the body.")
    if abs(now - int(at)) > WINDOW_SECONDS:
        raise Problem(401, "signature-old", f"The signature's time is more than {WINDOW_SECONDS} seconds away.")
    return signature


async def first_time(connection: Any, gateway: str, signature: str) -> bool:
    """Remember the call. What is older than twice the window cannot come again, and is forgotten."""
    await connection.execute(
        "DELETE FROM webhook_calls WHERE called_at < now() - make_interval(secs => $1)", 2.0 * WINDOW_SECONDS
    )
    return bool(
        await connection.fetchval(
            "INSERT INTO webhook_calls (gateway, signature) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true",
            gateway,
            signature,
        )
    )


async def keep(pool: Any, gateway: str, event_id: str, body: bytes) -> bool:
    """Write a vendor's event down; False when it was there. Vendors repeat until they hear 2xx, so that is no error."""
    kept = await pool.fetchval(
        "INSERT INTO gateway_webhooks (gateway, event_id, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
        " RETURNING true",
        gateway,
        event_id,
        body,
    )
    return bool(kept)


def loan_of(body: bytes) -> str:
    """The loan that a message names, for its key; what names none has a key of its own, and ends as a dead letter."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        said = None
    loan_id = said.get("loan_id") if isinstance(said, dict) else None
    return loan_id if isinstance(loan_id, str) and LOAN_ID.fullmatch(loan_id) else "unreadable"


def instant(text: str | None) -> datetime:
    """When the gateway says it happened, else now; only an attribute of the envelope, nothing is decided by it."""
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError:
        return datetime.now(UTC)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
