"""What the engine needs from outside: a log to load from and commit to, an inbox to poll, an outbox to fill."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

from domain.failures import FailureCodes
from domain.loan import Loan
from domain.policies.insight import Insight
from streams.envelope import Record
from streams.wire import Secret

EventRow = tuple[int, int, str, int, str, bytes, datetime, datetime, str, str, str, bytes]
"""partition, position, loan, version, topic, state, occurred_at, recorded_at, causation, correlation, actor, hash."""


@dataclass(frozen=True, slots=True)
class Stood:
    """What the log has of how a loan stands: the newest of each kind of event that moves it."""

    partition: int
    loan_id: str
    borrower_loans: Sequence[str]
    """All loans of its borrower."""
    newest: Mapping[str, tuple[int, bytes]]
    """Stored name -> position and stored bytes."""


class FencedOff(Exception):
    """Another writer has taken these partitions: nothing was committed."""


class LogUnreachable(Exception):
    """The database does not answer. Whether the last commit took place is unknown: believe only what is read anew."""


@dataclass(slots=True)
class Held:
    """A loan in hand: its state, its hash chain's head, and what the agenda says of it."""

    loan: Loan
    head: bytes
    due_at: datetime | None = None
    snapshot_version: int = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """A partition as its writer takes it over."""

    partition: int
    position: int
    published: int
    """0 when the cluster is another one: outbound topics are refilled from the log."""
    offsets: Mapping[str, int]
    """Topic -> next offset; empty for a new cluster, whose inbound starts from the earliest record."""
    parked: frozenset[str]
    """Loans that have parked messages."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a servicing command."""

    command_id: str
    loan_id: str
    type: str
    outcome: str
    refusal: str = ""
    detail: str = ""
    version: int = 0
    correlation_id: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that cannot be applied, and why."""

    record: Record
    loan_id: str
    reason: str
    detail: str
    field: str


@dataclass(slots=True)
class Tally:
    """Inbound records of a batch by what became of them."""

    applied: int = 0
    repeated: int = 0
    parked: int = 0
    dead_lettered: int = 0
    rerouted: int = 0
    unparked: int = 0


@dataclass(slots=True)
class Part:
    """One partition's share of a batch."""

    partition: int
    position: int
    """Before the batch."""
    events: list[EventRow] = field(default_factory=list[EventRow])
    agenda: dict[str, datetime | None] = field(default_factory=dict[str, "datetime | None"])
    offsets: dict[str, int] = field(default_factory=dict[str, int])
    results: dict[str, Result] = field(default_factory=dict[str, Result])
    dead_letters: list[DeadLetter] = field(default_factory=list[DeadLetter])
    parked: list[tuple[str, Record]] = field(default_factory=list[tuple[str, Record]])
    unparked: list[tuple[str, Record]] = field(default_factory=list[tuple[str, Record]])
    secrets: list[Secret] = field(default_factory=list[Secret])
    erased: list[str] = field(default_factory=list[str])
    """Borrowers whose personal data is destroyed, before any of `secrets` is stored."""
    snapshots: list[tuple[str, int, int, bytes, bytes]] = field(
        default_factory=list[tuple[str, int, int, bytes, bytes]]
    )
    published: int = 0
    tally: Tally = field(default_factory=Tally)

    def is_empty(self) -> bool:
        return not (self.events or self.offsets or self.agenda or self.dead_letters or self.parked)


class Insights(Protocol):
    """What the whole book's outcomes say."""

    async def as_of(self, day: date) -> Insight:
        """Of whole days before this one; `LogUnreachable` when the database does not answer."""
        ...


class Log(Protocol):
    """The event log and all that is written in its transactions."""

    async def claim(self, partitions: Collection[int], owner: str, cluster_id: str) -> list[Claim]: ...

    async def load(self, wanted: Mapping[int, Collection[str]]) -> dict[str, Held]:
        """The loans that exist, by id."""
        ...

    async def parked_of(self, partition: int, loan_id: str, topics: Sequence[str]) -> list[Record]:
        """What waits for a loan: as it came, and what came in one batch by its topic's rank in `topics`."""
        ...

    async def due(self, partitions: Collection[int], now: datetime, limit: int) -> list[tuple[int, str]]: ...

    async def next_due(self, partitions: Collection[int]) -> datetime | None: ...

    async def commit(self, parts: Sequence[Part], owner: str, cluster_id: str, now: datetime) -> None:
        """All of it or nothing; `FencedOff` when the log has moved on without this writer."""
        ...

    async def note_published(self, positions: Mapping[int, int], owner: str) -> None: ...

    async def events_after(self, partition: int, position: int, limit: int) -> list[EventRow]: ...

    async def open_secrets(self, tokens: Collection[str]) -> Mapping[str, Mapping[str, Any]]: ...

    async def standings(self, loans: Collection[tuple[int, str]]) -> Sequence[Stood]:
        """How these loans (partition, id) stand now."""
        ...

    async def open_loans(self, borrowers: Collection[str]) -> Mapping[str, Collection[str]]:
        """Loans that are not closed, by borrower."""
        ...

    async def unpublished_dead_letters(self, partitions: Collection[int]) -> list[tuple[int, DeadLetter]]: ...

    async def dead_letters_published(self, identifiers: Collection[int]) -> None: ...


class Codes(Protocol):
    """The lender's mapping of failure codes, which operators extend while the engine runs."""

    async def newest(self, codes: FailureCodes) -> FailureCodes:
        """`codes`, or what they have become; cheap while nothing has changed."""
        ...
