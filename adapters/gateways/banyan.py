"""Banyan: an API gateway of the kind that counts in paise and signs the raw body alone.

Basic authentication; `Idempotency-Key` on every POST; amounts in paise; status words created, processing, captured,
failed, refunded. A webhook is signed `X-Banyan-Signature: HEX(HMAC-SHA256(body))`, has its own id in
`X-Banyan-Event-Id`, and says in the body when the event happened: since the vendor repeats an undelivered webhook for
a day, an event may be as old as that; a repetition is known by its id.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import orjson

from adapters.gateways.api import Request
from adapters.gateways.port import Answer, Heard, Order, Told, Untrusted
from adapters.gateways.reasons import failure, vocabulary
from adapters.gateways.signatures import ensure_fresh, ensure_signed, sha256_macs
from domain.calendar import IST, ist_day

NAME = "banyan"
REPEATS_SECONDS = 86_400 + 300
PATHS: Mapping[str, str] = {
    "debit": "/v1/recurring-debits",
    "payout": "/v1/payouts",
    "refund": "/v1/payouts",
    "mandate-cancel": "/v1/mandate-cancellations",
    "mandate-request": "/v1/mandates",
    "link": "/v1/payment-links",
}
MANDATE_EVENTS: Mapping[str, str] = {
    "mandate.confirmed": "gateway.mandate.active.v1",
    "mandate.rejected": "gateway.mandate.rejected.v1",
    "mandate.cancelled": "gateway.mandate.cancelled.v1",
    "mandate.paused": "gateway.mandate.paused.v1",
    "mandate.expired": "gateway.mandate.expired.v1",
}


class Banyan:
    """The vendor's words, both ways."""

    def __init__(self) -> None:
        self._words = vocabulary(NAME)

    def credentials(self, key: str, secret: str) -> Mapping[str, str]:
        return {"authorization": f"Basic {base64.b64encode(f'{key}:{secret}'.encode()).decode()}"}

    # --- calls -----------------------------------------------------------------------------------------------

    def presentation(self, order: Order) -> Request:
        said: dict[str, Any] = {"reference": order.instruction_id, "notes": {"loan_id": order.loan_id}}
        if order.kind == "mandate-cancel":
            said |= {"mandate": order.body.get("mandate_id"), "umrn": order.body.get("umrn")}
        else:
            said |= {"amount": order.amount_paise, "currency": "INR", "method": order.rail}
        if order.kind == "debit":
            said |= {"mandate": order.body.get("mandate_id"), "umrn": order.body.get("umrn")}
        elif order.kind == "mandate-request":
            said |= {"expire_on": order.body.get("valid_until"), "replaces": order.body.get("replaces")}
        elif order.kind == "link":
            said |= {"expire_on": order.body.get("expires_on")}
        elif order.kind in ("payout", "refund"):
            account = order.account
            said["fund_account"] = {
                "name": account.get("holder"),
                "account_number": account.get("number"),
                "ifsc": account.get("ifsc"),
                "vpa": account.get("vpa"),
            }
        return Request(method="POST", path=PATHS[order.kind], body=said, headers=_key(order))

    def enquiry(self, order: Order) -> Request:
        return Request(method="GET", path=PATHS[order.kind], query={"reference": order.instruction_id})

    def withdrawal(self, order: Order) -> Request | None:
        if order.kind not in ("debit", "link"):
            return None
        said = {"reference": order.instruction_id}
        return Request(method="POST", path=f"{PATHS[order.kind]}/cancel", body=said, headers=_key(order, "cancel"))

    def answer(self, order: Order, status: int, body: Mapping[str, Any]) -> Answer:
        """`{"entity": "debit", ...}`, or `{"error": {"code", "reason", "description", "bank_code"}}`."""
        error = body.get("error")
        if isinstance(error, Mapping):
            return self._refused(order, status, cast(Mapping[str, Any], error))
        if body["reference"] != order.instruction_id:
            return Answer(state="unknown", message="an answer about another order")
        state = self._words.state(order.kind, str(body["status"]))
        facts: dict[str, Any] = {
            "reference": str(body.get("payment_id") or body.get("utr") or body["id"]),
            "rail": body.get("method") or order.rail,
            "facts": {
                ours: str(body[theirs])
                for ours, theirs in (
                    ("url", "short_url"),
                    ("mandate_id", "mandate"),
                    ("umrn", "umrn"),
                    ("bank", "bank"),
                )
                if body.get(theirs)
            },
            "at": _instant(body.get("settled_at") or body.get("created_at")),
        }
        if order.kind != "mandate-cancel":
            facts["amount_paise"] = whole(body["amount"])
        if state == "failed":
            reason = self._failure(order, body)
            return Answer(state=reason.state, code=reason.code, message=reason.message, **facts)
        if state == "unknown":
            return Answer(state="unknown", message=f"the status {str(body['status'])[:40]!r} is in no table")
        if state in ("succeeded", "reversed") and facts["at"] is not None:
            facts["value_on"] = ist_day(facts["at"])
        return Answer(state=state, **facts)

    def _refused(self, order: Order, status: int, error: Mapping[str, Any]) -> Answer:
        word = str(error.get("code", "")).lower()
        if word == "not_found":
            return Answer(state="not-found")
        if status == 400 and word == "bad_request":  # it was seen, and will never be executed
            return self._failure(order, {"failure": error})
        return Answer(state="unknown", message=f"HTTP {status} {word[:40]}")

    def _failure(self, order: Order, body: Mapping[str, Any]) -> Answer:
        said = body.get("failure") or {}
        return failure(
            self._words,
            order.rail,
            code=str(said.get("bank_code") or ""),
            word=str(said.get("reason") or ""),
            text=str(said.get("description") or ""),
        )

    # --- webhooks --------------------------------------------------------------------------------------------

    def checked(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: float) -> str:
        ensure_signed(headers.get("x-banyan-signature", "").lower(), [mac.hex() for mac in sha256_macs(secrets, body)])
        event_id = headers.get("x-banyan-event-id", "")
        if not event_id:
            raise Untrusted("the event's id is missing")
        try:
            made = float(orjson.loads(body)["created_at"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            made = None
        ensure_fresh(made, now, REPEATS_SECONDS)
        return event_id

    def heard(self, body: bytes) -> Heard:
        said = orjson.loads(body)
        event, payload = str(said["event"]), said["payload"]
        at = datetime.fromtimestamp(said["created_at"], UTC).astimezone(IST)
        if event in MANDATE_EVENTS and not payload.get("reference"):
            mandate = {
                "loan_id": payload["notes"]["loan_id"],
                "mandate_id": str(payload["mandate"]),
                "at": at.isoformat(),
            }
            if payload.get("failure"):
                mandate["message"] = str(payload["failure"].get("description", ""))[:300]
            return Heard(told=[_told(MANDATE_EVENTS[event], f"{event}:{payload['mandate']}", mandate, at)])
        if event == "payment_link.paid" and not payload.get("reference"):  # one that Qist had not asked for
            reference = str(payload["payment_id"])
            paid = {
                "loan_id": payload["notes"]["loan_id"],
                "payment_reference": reference,
                "amount_paise": whole(payload["amount"]),
                "method": "link",
                "value_on": at.date().isoformat(),
                "at": at.isoformat(),
            }
            return Heard(told=[_told("gateway.payment.received.v1", f"link:{reference}", paid, at)])
        return Heard(moved=[str(payload["reference"])])


def _told(kind: str, identity: str, body: Mapping[str, Any], at: datetime) -> Told:
    return Told(type=kind, loan_id=str(body["loan_id"]), identity=f"{NAME}:{identity}", body=body, at=at)


def _key(order: Order, what: str = "") -> Mapping[str, str]:
    return {"idempotency-key": f"{order.instruction_id}:{what}" if what else order.instruction_id}


def _instant(seconds: Any) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC).astimezone(IST) if isinstance(seconds, int | float) else None


def whole(paise: Any) -> int:
    """An amount that must be a whole number of paise."""
    if not isinstance(paise, int) or isinstance(paise, bool) or paise < 0:
        raise ValueError("an amount is no whole number of paise")
    return paise
