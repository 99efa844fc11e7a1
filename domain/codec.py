"""Events to bytes and back: the library's mapper, with orjson and none of its copying.

The stored bytes are what the hash chain covers; they are never re-encoded.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from eventsourcing.persistence import JSONTranscoder, Mapper, StoredEvent

from domain.events import CATALOGUE, LoanEvent

IDENTITY = ("originator_id", "originator_version", "timestamp")


def encode(event: LoanEvent) -> bytes:
    """The event's own fields, its timestamp first; its class version only when above 1."""
    fields = event.__dict__
    state: dict[str, Any] = {"timestamp": fields["timestamp"]}
    for name, value in fields.items():
        if name not in IDENTITY:
            state[name] = value
    if event.class_version > 1:
        state["class_version"] = event.class_version
    return orjson.dumps(state)


def decode(topic: str, state: bytes, loan_id: str, version: int) -> LoanEvent:
    """The event as the code of today knows it: older versions are brought up step by step."""
    cls = CATALOGUE[topic]
    fields: dict[str, Any] = orjson.loads(state)
    fields["timestamp"] = datetime.fromisoformat(fields["timestamp"])
    fields["originator_id"] = loan_id
    fields["originator_version"] = version
    written = fields.pop("class_version", 1)
    while written < cls.class_version:
        getattr(cls, f"upcast_v{written}_v{written + 1}")(fields)
        written += 1
    event = object.__new__(cls)
    event.__dict__.update(fields)
    return event


class LoanMapper(Mapper[str]):
    """The eventsourcing library's view of the same bytes, for its stock recorder and repository."""

    def __init__(self) -> None:
        super().__init__(JSONTranscoder())

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        return StoredEvent(
            originator_id=domain_event.originator_id,
            originator_version=domain_event.originator_version,
            topic=domain_event.TOPIC,
            state=encode(domain_event),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        return decode(
            stored_event.topic,
            stored_event.state,
            str(stored_event.originator_id),
            stored_event.originator_version,
        )
