"""Kestrel: an API gateway of the kind that counts in rupees and signs the time together with the body.

A client id and secret in headers; `X-Idempotency-Key` on every POST; amounts as decimal rupees ("4993.00"); status
words in capitals (RECEIVED, PENDING, SUCCESS, FAILED, REVERSED). A webhook is signed
`X-Kestrel-Signature: BASE64(HMAC-SHA256(milliseconds + body))` with the milliseconds in `X-Kestrel-Timestamp`, and each
delivery is signed anew, so that the replay window is minutes; the event's id is in the body.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, cast

import orjson

from adapters.gateways.api import Request
from adapters.gateways.port import Answer, Heard, Order, Told, Untrusted
from adapters.gateways.reasons import failure, vocabulary
from adapters.gateways.signatures import ensure_fresh, ensure_signed, sha256_macs
from domain.calendar import IST, ist_day

NAME = "kestrel"
PATHS: Mapping[str, str] = {
    "debit": "/pg/subscriptions/charges",
    "payout": "/payout/transfers",
    "refund": "/payout/transfers",
    "mandate-cancel": "/pg/subscriptions/cancellations",
    "mandate-request": "/pg/subscriptions",
    "link": "/pg/links",
}
MANDATE_STATES: Mapping[str, str] = {
    "ACTIVE": "gateway.mandate.active.v1",
    "AUTH_FAILED": "gateway.mandate.rejected.v1",
    "CUSTOMER_CANCELLED": "gateway.mandate.cancelled.v1",
    "CUSTOMER_PAUSED": "gateway.mandate.paused.v1",
    "EXPIRED": "gateway.mandate.expired.v1",
}


class Kestrel:
    """The vendor's words, both ways."""

    def __init__(self) -> None:
        self._words = vocabulary(NAME)

    def credentials(self, key: str, secret: str) -> Mapping[str, str]:
        return {"x-client-id": key, "x-client-secret": secret, "x-api-version": "2026-01-01"}

    # --- calls -----------------------------------------------------------------------------------------------

    def presentation(self, order: Order) -> Request:
        said: dict[str, Any] = {"merchant_ref": order.instruction_id, "tags": {"loan_id": order.loan_id}}
        if order.kind in ("debit", "mandate-cancel"):
            said["subscription_id"] = order.body.get("mandate_id")
        if order.kind != "mandate-cancel":
            said |= {"amount": rupees(order.amount_paise), "mode": order.rail.upper()}
        if order.kind == "mandate-request":
            said |= {"expires_on": order.body.get("valid_until"), "replaces": order.body.get("replaces")}
        elif order.kind == "link":
            said |= {"expires_on": order.body.get("expires_on")}
        elif order.kind in ("payout", "refund"):
            account = order.account
            said["beneficiary"] = {
                "name": account.get("holder"),
                "bank_account": account.get("number"),
                "bank_ifsc": account.get("ifsc"),
                "vpa": account.get("vpa"),
            }
        return Request(method="POST", path=PATHS[order.kind], body=said, headers=_key(order))

    def enquiry(self, order: Order) -> Request:
        return Request(method="GET", path=f"{PATHS[order.kind]}/{order.instruction_id}")

    def withdrawal(self, order: Order) -> Request | None:
        if order.kind not in ("debit", "link"):
            return None
        path = f"{PATHS[order.kind]}/{order.instruction_id}/cancel"
        return Request(method="POST", path=path, body={}, headers=_key(order, "cancel"))

    def answer(self, order: Order, status: int, body: Mapping[str, Any]) -> Answer:
        """`{"data": {...}}`, or `{"type", "code", "message"}`."""
        if "data" not in body:
            return self._refused(order, status, body)
        data = cast(Mapping[str, Any], body["data"])
        if data["merchant_ref"] != order.instruction_id:
            return Answer(state="unknown", message="an answer about another order")
        word = str(data["status"])
        state = self._words.state(order.kind, word)
        at = datetime.fromisoformat(data["processed_at"]).astimezone(IST) if data.get("processed_at") else None
        facts: dict[str, Any] = {
            "reference": str(data.get("payment_id") or data.get("utr") or data["ref_id"]),
            "rail": str(data.get("mode") or order.rail).lower(),
            "at": at,
            "facts": {
                ours: str(data[theirs])
                for ours, theirs in (
                    ("url", "link_url"),
                    ("mandate_id", "subscription_id"),
                    ("umrn", "umrn"),
                    ("bank", "bank"),
                )
                if data.get(theirs)
            },
        }
        if order.kind != "mandate-cancel":
            facts["amount_paise"] = paise(data["amount"])
        if state == "failed":
            reason = self._failure(order, data)
            return Answer(state=reason.state, code=reason.code, message=reason.message, **facts)
        if state == "unknown":
            return Answer(state="unknown", message=f"the status {word[:40]!r} is in no table")
        if state in ("succeeded", "reversed") and at is not None:
            facts["value_on"] = ist_day(at)
        return Answer(state=state, **facts)

    def _refused(self, order: Order, status: int, body: Mapping[str, Any]) -> Answer:
        word = str(body["code"])
        if word == "ref_not_found":
            return Answer(state="not-found")
        if status in (400, 422) and body.get("type") == "invalid_request":  # seen, and never to be executed
            return self._failure(order, {"status_code": word, "reason": body.get("message")})
        return Answer(state="unknown", message=f"HTTP {status} {word[:40]}")

    def _failure(self, order: Order, data: Mapping[str, Any]) -> Answer:
        return failure(
            self._words,
            order.rail,
            code=str(data.get("bank_code") or ""),
            word=str(data.get("status_code") or ""),
            text=str(data.get("reason") or ""),
        )

    # --- webhooks --------------------------------------------------------------------------------------------

    def checked(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: float) -> str:
        sent = headers.get("x-kestrel-timestamp", "")
        macs = [base64.b64encode(mac).decode() for mac in sha256_macs(secrets, sent.encode() + body)]
        ensure_signed(headers.get("x-kestrel-signature", ""), macs)
        ensure_fresh(int(sent) / 1000 if sent.isascii() and sent.isdigit() else None, now)
        try:
            return str(orjson.loads(body)["event_id"])[:200]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise Untrusted("the event's id is missing") from None

    def heard(self, body: bytes) -> Heard:
        said = orjson.loads(body)
        kind, data = str(said["type"]), said["data"]
        at = datetime.fromisoformat(said["event_time"]).astimezone(IST)
        if data.get("merchant_ref"):
            return Heard(moved=[str(data["merchant_ref"])])
        if kind == "SUBSCRIPTION_STATUS_CHANGED":
            state = str(data["subscription_status"])
            if state not in MANDATE_STATES:
                raise ValueError(f"the subscription status {state[:40]!r} is in no table")
            mandate = {
                "loan_id": data["tags"]["loan_id"],
                "mandate_id": str(data["subscription_id"]),
                "at": at.isoformat(),
            }
            if data.get("reason"):
                mandate["message"] = str(data["reason"])[:300]
            identity = f"{state}:{data['subscription_id']}:{said['event_time']}"
            return Heard(told=[_told(MANDATE_STATES[state], identity, mandate, at)])
        if kind == "PAYMENT_LINK_PAID":
            reference = str(data["payment_id"])
            paid = {
                "loan_id": data["tags"]["loan_id"],
                "payment_reference": reference,
                "amount_paise": paise(data["amount"]),
                "method": "link",
                "value_on": at.date().isoformat(),
                "at": at.isoformat(),
            }
            return Heard(told=[_told("gateway.payment.received.v1", f"link:{reference}", paid, at)])
        raise ValueError(f"an event {kind[:40]!r} about no order")


def _told(kind: str, identity: str, body: Mapping[str, Any], at: datetime) -> Told:
    return Told(type=kind, loan_id=str(body["loan_id"]), identity=f"{NAME}:{identity}", body=body, at=at)


def _key(order: Order, what: str = "") -> Mapping[str, str]:
    return {"x-idempotency-key": f"{order.instruction_id}:{what}" if what else order.instruction_id}


def rupees(amount_paise: int) -> str:
    """`499300` -> `4993.00`."""
    return f"{amount_paise // 100}.{amount_paise % 100:02d}"


def paise(amount: Any) -> int:
    """`"4993.00"` -> `499300`; a fraction of a paisa, a float or less than nothing is no amount."""
    if not isinstance(amount, str):
        raise ValueError("an amount is no text")
    try:
        exact = Decimal(amount) * 100
    except InvalidOperation:
        raise ValueError("an amount is no number") from None
    if not exact.is_finite() or exact < 0 or exact != exact.to_integral_value():
        raise ValueError("an amount is no whole number of paise")
    return int(exact)
