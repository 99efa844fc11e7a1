"""The hash chain of a loan: each event's hash covers the event, all that the log says about it, and the hash before it.

What is hashed is readable without Qist: the previous 32 bytes, then UTF-8 text of the form

    partition,position,version,occurred,recorded,N:loan_id,N:topic,N:causation,N:correlation,N:actor,

(instants in UTC as `2026-01-05T04:30:00.000000+00:00`, each N the number of characters that follow), then the state
as stored. The lengths make it unambiguous: no character can be moved from one field to the next.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256

GENESIS = bytes(32)
"""What comes before a loan's first event."""


def link(
    previous: bytes,
    partition: int,
    position: int,
    loan_id: str,
    version: int,
    topic: str,
    state: bytes,
    occurred_at: datetime,
    recorded_at: datetime,
    causation_id: str,
    correlation_id: str,
    actor: str,
) -> bytes:
    """The hash of one event, given the hash of the loan's event before it."""
    told = (
        f"{partition},{position},{version},{in_utc(occurred_at)},{in_utc(recorded_at)},"
        f"{len(loan_id)}:{loan_id},{len(topic)}:{topic},"
        f"{len(causation_id)}:{causation_id},{len(correlation_id)}:{correlation_id},{len(actor)}:{actor},"
    )
    return sha256(previous + told.encode() + state).digest()


@lru_cache(maxsize=4096)  # the events of a batch share their instants, and writing one out costs more than the digest
def in_utc(instant: datetime) -> str:
    """An instant as it is hashed, whatever zone it was given in."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds")
