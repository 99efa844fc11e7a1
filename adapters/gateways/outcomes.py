"""Outcomes as Qist's topics carry them, from an order and what its gateway answered. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson

from adapters.gateways.port import UNMAPPED, Answer, Order, Told
from domain.calendar import ist_day
from streams.wire import CARRIES

TYPES: Mapping[tuple[str, str], str] = {
    ("debit", "pending"): "gateway.debit.failed.v1",  # its code says that it is no failure yet
    ("debit", "succeeded"): "gateway.debit.succeeded.v1",
    ("debit", "failed"): "gateway.debit.failed.v1",
    ("debit", "reversed"): "gateway.debit.reversed.v1",
    ("payout", "succeeded"): "gateway.payout.settled.v1",
    ("payout", "failed"): "gateway.payout.failed.v1",
    ("payout", "reversed"): "gateway.payout.returned.v1",
    ("refund", "succeeded"): "gateway.payout.settled.v1",
    ("refund", "failed"): "gateway.payout.failed.v1",
    ("refund", "reversed"): "gateway.payout.returned.v1",
    ("mandate-cancel", "succeeded"): "gateway.mandate.cancelled.v1",
    ("mandate-request", "succeeded"): "gateway.mandate.active.v1",
    ("mandate-request", "failed"): "gateway.mandate.rejected.v1",
    ("link", "succeeded"): "gateway.payment.received.v1",
    ("link", "reversed"): "gateway.payment.reversed.v1",
}
"""(kind of order, what became of it) -> the type that says so; what is not here is told to nobody."""

TOPIC_OF = {model.TYPE: topic for topic, models in CARRIES.items() for model in models}


def outcome(gateway: str, order: Order, what: str, answer: Answer, now: datetime) -> Told | None:
    """The message that says what became of an order; the same fact has the same id, however often it is learnt."""
    kind = TYPES.get((order.kind, what))
    if kind is None:
        return None
    at = answer.at or now
    body: dict[str, Any] = {"loan_id": order.loan_id, "at": at.isoformat(), "gateway": gateway}
    if order.kind == "mandate-cancel":
        body["mandate_id"] = order.body.get("mandate_id", "")
    elif order.kind == "mandate-request":
        body |= new_mandate(gateway, order, answer)
    elif order.kind == "link":
        body |= {
            "payment_reference": answer.reference or order.instruction_id,
            "amount_paise": order.amount_paise if answer.amount_paise is None else answer.amount_paise,
            "method": "link",
            "value_on": (answer.value_on or ist_day(at)).isoformat(),
        }
    else:
        body |= {
            "instruction_id": order.instruction_id,
            "amount_paise": order.amount_paise if answer.amount_paise is None else answer.amount_paise,
            "rail": answer.rail or order.rail,
            "bank": order.bank,
            "gateway_reference": answer.reference or order.instruction_id,
        }
        if answer.value_on is not None:
            body["value_on"] = answer.value_on.isoformat()
    if what in ("pending", "failed"):
        body["code"] = answer.code or UNMAPPED
    if answer.message and what != "succeeded":
        body["message"] = answer.message[:500]
    identity = f"{gateway}:{order.instruction_id}:{what}" + (f":{answer.code}" if what == "pending" else "")
    return Told(type=kind, loan_id=order.loan_id, identity=identity, body=body, at=at)


def contradiction(gateway: str, order: Order, note: str, now: datetime) -> Told:
    """A case for a person: the same words are one case, and while one is open about this order there is no other."""
    digest = sha256(note.encode()).hexdigest()[:12]
    identity = f"{gateway}:{order.instruction_id}:contradicts:{digest}"
    body = {
        "loan_id": order.loan_id,
        "command_id": identity,
        "kind": "gateway-contradiction",
        "about": order.instruction_id,
        "reason": f"{order.instruction_id} at {gateway}: {note}"[:500],
        "requested_by": f"gateway/{gateway}",
        "requested_at": now.isoformat(),
    }
    return Told(type="servicing.open-case.v1", loan_id=order.loan_id, identity=identity, body=body, at=now)


def new_mandate(gateway: str, order: Order, answer: Answer) -> dict[str, Any]:
    """The mandate that was registered at Qist's request, or that was not; the loan does not know it yet."""
    mandate_id = answer.facts.get("mandate_id") or order.instruction_id
    mandate: dict[str, Any] = {
        "mandate_id": mandate_id,
        "rail": answer.rail or order.rail or "enach",
        "umrn": answer.facts.get("umrn") or None,
        "max_amount_paise": order.amount_paise,
        "valid_until": order.body.get("valid_until") or None,
        "bank": answer.facts.get("bank", ""),
        "gateway": gateway,
    }
    return {"mandate_id": mandate_id, "mandate": {name: held for name, held in mandate.items() if held is not None}}


def as_row(gateway: str, told: Told, correlation: str = "") -> tuple[Any, ...]:
    """As the outbox keeps it: ce_id, gateway, topic, type, loan, body, at, correlation."""
    kind = told.type
    return (told.identity, gateway, TOPIC_OF[kind], kind, told.loan_id, orjson.dumps(told.body), told.at, correlation)
