"""What a projection is: a pure fold from recorded events to rows, beside the tables that it fills."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

from domain.calendar import IST
from domain.decisions.rules import Rules
from domain.events import LoanEvent
from domain.loan import Loan

Row = tuple[Any, ...]


class Recorded(NamedTuple):
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
    the newest. `add`: the columns that are not key are summed onto the row of that key (integers only), but for those
    named in `newest`, which are replaced.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    """(name, PostgreSQL type) in order."""
    key: tuple[str, ...]
    mode: Literal["append", "replace", "add"]
    newest: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    """Column lists, as in CREATE INDEX ... (LIST), each with its WHERE if it has one."""
    checks: tuple[str, ...] = ()
    """Conditions that the database holds for every row; `{schema}` is the projection's schema."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.columns)


class Write(NamedTuple):
    """Rows for a table, at most one a key (a set-based upsert takes each key once)."""

    table: Table
    rows: Collection[Row]


class Outgoing(NamedTuple):
    """A record for a `projection.*` topic, sent after the rows are committed."""

    topic: str
    type: str
    key: str
    id: str
    time: datetime
    value: dict[str, Any]
    partition: int | None
    """Of the topic; None = by key."""


class Folding(Protocol):
    """One batch on its way from events to rows."""

    def see(self, recorded: Recorded, loan: Loan) -> None:
        """The next event in log order, and its loan as it was before (a shell before its first event)."""
        ...

    def close(self, loans: Mapping[str, Loan]) -> list[Write]:
        """The batch's rows. `loans` are its loans after it; one that is not there gets no row."""
        ...


class Projection(Protocol):
    """A read model. Its tables live in a schema of its own, with its position, so that it can be rebuilt beside."""

    name: ClassVar[str]
    tables: ClassVar[tuple[Table, ...]]
    before: ClassVar[tuple[str, ...]]
    """SQL that its tables need; `{schema}` stands for the projection's schema."""
    after: ClassVar[tuple[str, ...]]
    """SQL that needs its tables: views and functions for those who read."""
    told: ClassVar[tuple[Table, ...]]
    """The tables whose rows are published."""

    def __init__(self, rules: Rules) -> None: ...

    def begin(self) -> Folding: ...

    def tell(self, table: Table, row: Row) -> Outgoing:
        """What analytics consumers hear of a row; of a table in mode `add`, the row as it stands after the batch."""
        ...


def booked_on(event: LoanEvent) -> date:
    """The Asia/Kolkata day on which the business knew."""
    return event.timestamp.astimezone(IST).date()
