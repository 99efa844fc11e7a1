"""CloudEvents 1.0 in binary mode: a record's attributes are its Kafka headers, its value is the JSON body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

Headers = Sequence[tuple[str, bytes | None]]

CONTENT_TYPE = ("content-type", b"application/json")
LONGEST_HEADER = 500
SPEC_VERSION = ("ce_specversion", b"1.0")


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it came: bytes, and where it stood."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    value: bytes | None

    @property
    def size(self) -> int:
        """All its bytes."""
        headers = sum(len(name) + len(value or b"") for name, value in self.headers)
        return len(self.key or b"") + headers + len(self.value or b"")

    def header(self, name: str) -> str:
        """A header as text; empty when absent. The last one of a name wins.

        Shortened, and without NUL: it goes into columns and headers of our own, and may not be what stops us.
        """
        for known, value in reversed(self.headers):
            if known == name and value is not None:
                return value[:LONGEST_HEADER].decode("utf-8", "replace").replace("\0", "\ufffd")
        return ""


def headers_for(
    kind: str, identity: str, source: str, time: datetime, *more: tuple[str, str]
) -> list[tuple[str, bytes]]:
    """The headers of one of our own records."""
    return [
        SPEC_VERSION,
        ("ce_id", identity.encode()),
        ("ce_source", source.encode()),
        ("ce_type", kind.encode()),
        ("ce_time", time.isoformat().encode()),
        CONTENT_TYPE,
        *((name, value.encode()) for name, value in more),
    ]
