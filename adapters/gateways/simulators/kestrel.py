"""Kestrel as its merchants see it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from adapters.gateways.kestrel import PATHS, paise, rupees
from adapters.gateways.simulators.api import Wanted
from adapters.gateways.simulators.books import Entry, State

KIND_OF = {path: kind for kind, path in PATHS.items() if kind != "refund"}
"""A refund is a payout to them."""
WORDS: Mapping[State, str] = {
    "processing": "PENDING",
    "succeeded": "SUCCESS",
    "failed": "FAILED",
    "reversed": "REVERSED",
    "cancelled": "CANCELLED",
}
REASONS: Mapping[str, Mapping[str, str]] = {
    "funds": {"status_code": "LOW_BALANCE", "reason": "Declined"},
    "closed": {"status_code": "DECLINED", "reason": "A/c closed or does not exist"},
    "down": {"status_code": "DECLINED", "reason": "Remitter bank CBS is offline"},
    "strange": {"status_code": "X-FILES", "reason": "Refer to the oracle"},
}


class KestrelFace:
    """`simulators.api.Face`."""

    def knows(self, headers: Mapping[str, str], key: str, secret: str) -> bool:
        return headers.get("x-client-id") == key and headers.get("x-client-secret") == secret

    def wanted(self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any]) -> Wanted | None:
        prefix = next(
            (
                known
                for known in sorted(KIND_OF, key=len, reverse=True)
                if path == known or path.startswith(f"{known}/")
            ),
            None,
        )
        if prefix is None:
            return None
        kind, rest = KIND_OF[prefix], path[len(prefix) + 1 :]
        if method == "GET":
            return Wanted(what="enquire", kind=kind, reference=rest)
        if rest.endswith("/cancel"):
            return Wanted(what="cancel", kind=kind, reference=rest.removesuffix("/cancel"))
        return Wanted(
            what="present",
            kind=kind,
            reference=body["merchant_ref"],
            loan_id=body["tags"]["loan_id"],
            amount_paise=paise(body.get("amount", "0")),
            rail=body.get("mode", "").lower(),
        )

    def entry(self, entry: Entry, state: State) -> dict[str, Any]:
        told: dict[str, Any] = {
            "ref_id": entry.number,
            "merchant_ref": entry.reference,
            "amount": rupees(entry.amount_paise),
            "status": WORDS[state],
        }
        if state in ("succeeded", "reversed"):
            told["utr"] = f"KST{entry.number:09d}"
        if entry.kind == "link":
            told |= {"link_url": f"https://kst.example/{entry.number}"}
            told["status"] = {"processing": "ACTIVE", "succeeded": "PAID", "failed": "EXPIRED"}.get(state, WORDS[state])
            if state in ("succeeded", "reversed"):
                told |= {"payment_id": f"kpay_{entry.number}"}
        elif entry.kind == "mandate-request":
            told |= {
                "subscription_id": f"sub_{entry.number}",
                "umrn": f"UMRN{entry.number}",
                "mode": entry.rail or "upi",
            }
            told["status"] = {"succeeded": "ACTIVE", "failed": "AUTH_FAILED"}.get(state, WORDS[state])
        if state == "failed":
            told |= REASONS[entry.why or "strange"]
        return {"data": told}

    def not_found(self) -> dict[str, Any]:
        return {"type": "invalid_request", "code": "ref_not_found", "message": "no such reference"}

    def webhook(
        self, entry: Entry, state: State, event_id: str, secret: bytes, at: float
    ) -> tuple[dict[str, str], bytes]:
        said = {
            "event_id": event_id,
            "type": f"{entry.kind.upper()}_{WORDS[state]}",
            "event_time": datetime.fromtimestamp(at, UTC).isoformat(),
            "data": self.entry(entry, state)["data"],
        }
        body = orjson.dumps(said)
        sent = str(int(at * 1000))
        mac = hmac.new(secret, sent.encode() + body, hashlib.sha256).digest()
        return {"x-kestrel-timestamp": sent, "x-kestrel-signature": base64.b64encode(mac).decode()}, body
