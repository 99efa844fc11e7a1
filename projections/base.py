"""What a projection is: a pure fold from recorded events to rows, beside the tables that it fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from domain.events import LoanEvent
from domain.loan import Loan


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as it stands in the log."""

    partition: int
    position: int
    loan_id: str
    version: int
    event: LoanEvent
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Table:
    """A read model's table. `partition` is always the first column and part of the key.

    `append`: rows are added, keyed by position, so that a row is never written twice. `replace`: the row of a key is
    the newest. `add`: the columns that are not key are summed onto the row of that key (integers only).
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    """(name, PostgreSQL type) in order."""
    key: tuple[str, ...]
    mode: Literal["append", "replace", "add"]
    indexes: tuple[str, ...] = ()
    """Column lists, as in CREATE INDEX ... (LIST)."""
    checks: tuple[str, ...] = ()
    """Conditions that the database holds for every row."""


@dataclass(frozen=True, slots=True)
class Write:
    """Rows for a table, at most one a key (a set-based upsert takes each key once)."""

    table: Table
    rows: Sequence[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record for a `projection.*` topic, sent after the rows are committed."""

    topic: str
    key: str
    value: dict[str, Any]
    partition: int | None = None
    """Of the topic; None = by key."""


class Projection(Protocol):
    """A read model. Its tables live in a schema of its own, with its position, so that it can be rebuilt beside."""

    name: str
    tables: tuple[Table, ...]

    def fold(self, batch: Sequence[Recorded], loans: Mapping[str, Loan]) -> list[Write]:
        """Rows for a batch of events, in log order. `loans` are the loans of the batch, after it."""
        ...

    def publish(self, writes: Sequence[Write]) -> list[Outgoing]:
        """What analytics consumers are told about those rows."""
        ...
