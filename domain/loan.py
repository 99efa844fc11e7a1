"""The loan: an aggregate of the eventsourcing library. Deciders record facts on it, the log gives them back."""

from __future__ import annotations

from datetime import datetime

from domain.events import LoanEvent
from domain.folding import EVOLVE
from domain.state import LoanState


class Loan(LoanState):
    """One loan; the aggregate's id is the loan's id."""

    TOPIC = "loan"

    def record(self, fact: LoanEvent, at: datetime) -> None:
        """Stamp a decided fact, apply it, and keep it for the log."""
        fact.__dict__.update(originator_id=self._id, originator_version=self._version + 1, timestamp=at)
        self.evolve(fact)
        self._pending_events.append(fact)  # type: ignore[arg-type]

    def take_events(self) -> list[LoanEvent]:
        """The facts recorded since the last call. (The library's `collect_events` pops them one by one.)"""
        taken = self._pending_events
        self._pending_events = []
        return taken  # type: ignore[return-value]

    def evolve(self, event: LoanEvent) -> None:
        """Fold one event."""
        EVOLVE[type(event)](self, event)
        self._version = event.originator_version
        self._modified_on = event.timestamp

    def resume(self, version: int, known_at: datetime) -> None:
        """Go on from a snapshot."""
        self._version = version
        self._modified_on = known_at
