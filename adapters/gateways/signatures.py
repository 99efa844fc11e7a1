"""What all signed webhooks have in common: the MAC over the raw body, and how old it may be."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from adapters.gateways.port import Untrusted

WINDOW_SECONDS = 300
"""How far a webhook's time may be from ours; a repetition after that is refused for its age."""


def sha256_macs(secrets: Sequence[bytes], signed: bytes) -> list[bytes]:
    """The MAC by each of the secrets that are in force (two while they are being changed)."""
    return [hmac.new(secret, signed, hashlib.sha256).digest() for secret in secrets]


def ensure_signed(given: str, right: Sequence[str]) -> None:
    """`Untrusted` unless the signature is one of the right ones; compared in constant time."""
    if not given:
        raise Untrusted("the signature is missing")
    # Bytes, since a header may hold any character and text may be compared only when it is ASCII.
    if not any(hmac.compare_digest(given.encode(), one.encode()) for one in right):
        raise Untrusted("the signature does not fit the body")


def ensure_fresh(seconds: float | None, now: float, window: float = WINDOW_SECONDS) -> None:
    """`Untrusted` when the time is missing, or too far from now in either direction."""
    if seconds is None:
        raise Untrusted("the time of sending is missing")
    if abs(now - seconds) > window:
        raise Untrusted(f"its time is more than {window:.0f} seconds away")
