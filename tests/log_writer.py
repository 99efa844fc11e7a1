"""Puts events into the log as the engine would: positions without gaps, versions, and the chain of hashes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from domain.chain import GENESIS, link
from domain.codec import encode
from domain.events import LoanEvent
from streams.topics import partition_of

COLUMNS = (
    "partition", "position", "loan_id", "version", "topic", "state",
    "occurred_at", "recorded_at", "causation_id", "correlation_id", "actor", "hash",
)  # fmt: skip


@dataclass(slots=True)
class LogWriter:
    """The only writer of a test's log."""

    partitions: int
    positions: dict[int, int] = field(default_factory=dict[int, int])
    heads: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def rows(self, events: Iterable[LoanEvent]) -> list[tuple[Any, ...]]:
        """The log's rows, in the given order."""
        rows: list[tuple[Any, ...]] = []
        for event in events:
            loan_id = event.originator_id
            partition = partition_of(loan_id, self.partitions)
            position = self.positions[partition] = self.positions.get(partition, 0) + 1
            recorded_at: datetime = event.timestamp + timedelta(seconds=1)
            said = (
                partition, position, loan_id, event.originator_version, event.TOPIC, encode(event),
                event.timestamp, recorded_at, f"m-{position}", f"c-{loan_id}", "test",
            )  # fmt: skip
            self.heads[loan_id] = link(self.heads.get(loan_id, GENESIS), *said)
            rows.append((*said, self.heads[loan_id]))
        return rows

    async def write(self, connection: asyncpg.Connection[Any], events: Sequence[LoanEvent]) -> None:
        """In one transaction, as the engine does."""
        rows = self.rows(events)
        async with connection.transaction():
            await connection.copy_records_to_table("events", records=rows, columns=COLUMNS)
            await connection.executemany(
                "UPDATE partitions SET position = $2 WHERE partition = $1", list(self.positions.items())
            )


def interleaved(lives: Iterable[Sequence[LoanEvent]]) -> list[LoanEvent]:
    """Many lives as one log has them: by the time at which things happened, each loan in its own order."""
    told = [(event.timestamp, event.originator_id, event.originator_version, event) for life in lives for event in life]
    return [event for *_, event in sorted(told, key=lambda one: one[:3])]
