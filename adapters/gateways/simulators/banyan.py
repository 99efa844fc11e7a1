"""Banyan as its merchants see it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import orjson

from adapters.gateways.banyan import PATHS
from adapters.gateways.simulators.api import Wanted
from adapters.gateways.simulators.books import Entry, State

KIND_OF = {path: kind for kind, path in PATHS.items() if kind != "refund"}
"""A refund is a payout to them."""
WORDS: Mapping[str, Mapping[State, str]] = {
    "debit": {
        "processing": "processing",
        "succeeded": "captured",
        "failed": "failed",
        "reversed": "refunded",
        "cancelled": "cancelled",
    },
    "payout": {
        "processing": "queued",
        "succeeded": "processed",
        "failed": "failed",
        "reversed": "reversed",
        "cancelled": "cancelled",
    },
    "mandate-cancel": {"processing": "processing", "succeeded": "cancelled", "failed": "failed"},
    "mandate-request": {"processing": "created", "succeeded": "confirmed", "failed": "rejected"},
    "link": {
        "processing": "created",
        "succeeded": "paid",
        "failed": "expired",
        "reversed": "refunded",
        "cancelled": "cancelled",
    },
}
REASONS: Mapping[str, Mapping[str, str]] = {
    "funds": {"reason": "insufficient_funds", "description": "The customer's account has insufficient balance"},
    "closed": {"reason": "payment_failed", "description": "Payment failed because the account is closed"},
    "down": {"reason": "bank_unavailable", "description": "The issuer bank is not available"},
    "strange": {"reason": "hmm", "description": "The moon was in the wrong house"},
}


class BanyanFace:
    """`simulators.api.Face`."""

    def knows(self, headers: Mapping[str, str], key: str, secret: str) -> bool:
        return headers.get("authorization") == f"Basic {base64.b64encode(f'{key}:{secret}'.encode()).decode()}"

    def wanted(self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any]) -> Wanted | None:
        kind = KIND_OF.get(path.removesuffix("/cancel"))
        if kind is None:
            return None
        if method == "GET":
            return Wanted(what="enquire", kind=kind, reference=query["reference"])
        if path.endswith("/cancel"):
            return Wanted(what="cancel", kind=kind, reference=body["reference"])
        return Wanted(
            what="present",
            kind=kind,
            reference=body["reference"],
            loan_id=body["notes"]["loan_id"],
            amount_paise=body.get("amount", 0),
            rail=body.get("method", ""),
        )

    def entry(self, entry: Entry, state: State) -> dict[str, Any]:
        told: dict[str, Any] = {
            "id": f"deb_{entry.number}",
            "entity": entry.kind,
            "reference": entry.reference,
            "amount": entry.amount_paise,
            "status": WORDS[entry.kind][state],
            "notes": {"loan_id": entry.loan_id},
        }
        if state in ("succeeded", "reversed"):
            told["utr"] = f"BNY{entry.number:09d}"
        if entry.kind == "link":
            told |= {"short_url": f"https://rzl.example/{entry.number}"}
            if state in ("succeeded", "reversed"):
                told |= {"payment_id": f"pay_{entry.number}"}
        elif entry.kind == "mandate-request":
            told |= {"mandate": f"mdt_{entry.number}", "umrn": f"UMRN{entry.number}", "method": entry.rail or "upi"}
        if state == "failed":
            told["failure"] = dict(REASONS[entry.why or "strange"])
        return told

    def not_found(self) -> dict[str, Any]:
        return {"error": {"code": "NOT_FOUND", "description": "No order has this reference"}}

    def webhook(
        self, entry: Entry, state: State, event_id: str, secret: bytes, at: float
    ) -> tuple[dict[str, str], bytes]:
        said = {
            "event": f"{entry.kind}.{WORDS[entry.kind][state]}",
            "created_at": int(at),
            "payload": self.entry(entry, state),
        }
        body = orjson.dumps(said)
        signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
        return {"x-banyan-signature": signature, "x-banyan-event-id": event_id}, body
