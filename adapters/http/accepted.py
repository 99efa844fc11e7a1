"""Commands that this process has sent and whose result is not known yet: bounded, and only a convenience.

The truth about a command is its result in the database. Until it is there, this says "on its way", and notices that an
idempotency key is used for something else.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Sent:
    """A command on its way."""

    command_id: str
    loan_id: str
    type: str
    fingerprint: str
    at: datetime


class Accepted:
    """The commands that were sent most lately."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._sent: OrderedDict[str, Sent] = OrderedDict()

    def add(self, sent: Sent) -> None:
        self._sent[sent.command_id] = sent
        if len(self._sent) > self._kept:
            self._sent.popitem(last=False)

    def get(self, command_id: str) -> Sent | None:
        return self._sent.get(command_id)
