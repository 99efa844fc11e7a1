"""How our Faust agents take records: one plain function each, and a record is done when the broker has its effects.

Faust's own way is not safe enough here, for reasons found in its source (0.15.3):

- A record whose agent raised is acknowledged when the abandoned generator is collected, so its effects would be lost.
  Here it is not: the app crashes, nothing of that record is committed, and the next start takes it again.
- A changelog or output record that cannot be sent is only logged. Here the input waits for its effects' receipts,
  and they do not pass through Faust's buffer, which holds up all agents when it has 100 records.
- Acknowledgements out of order can be committed past a gap (`_new_offset` lets a gap of one through, and any gap
  before the first commit). Here they are given in order.
- `concurrency` above 1 gives wrong offsets, and `stream.take` acknowledges only whole batches. Neither is used:
  speed comes from not waiting for one record's receipts before the next is taken.
"""
# pyright: basic

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import faust
import structlog
from faust.streams import Stream
from faust.types import EventT, StreamT

from domain.refusals import Refused
from streams.envelope import Record
from streams.topics import DEAD_LETTERS, Topic

log = structlog.get_logger("streams")

IN_FLIGHT = 1_000
"""Records of one agent whose effects the broker has not confirmed yet, at most."""


class Table(faust.Table):
    """A table whose changes are made at once and written to its changelog with all else that a record leads to."""

    mundane_level = "debug"

    def read(self, key: str) -> Any:
        """The value of a key, or None. Values are never changed in place: the changelog would not know."""
        return self.data.get(key)


@dataclass(slots=True)
class Work:
    """What one record leads to. The record is done when the broker has all of it."""

    topics: Topics
    partition: int
    sent_at: datetime
    """When the record was sent, by its producer's clock or the broker's."""
    at_last: Callable[[Work], None] | None = None
    """What may only be done when the broker has all the rest, such as forgetting what was sent."""
    _outgoing: list[tuple[Any, dict[str, Any]]] = field(default_factory=list)
    _receipts: list[Awaitable[Any]] = field(default_factory=list)

    def send(
        self,
        topic: Topic,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
        partition: int | None = None,
    ) -> None:
        """A record goes out; without a partition, its key decides."""
        record = {"key": key, "value": value, "headers": list(headers), "partition": partition}
        self._outgoing.append((self.topics[topic], record))

    def put(self, table: Table, key: str, value: Any) -> None:
        table.data[key] = value
        self._log(table, key, value, "json")

    def drop(self, table: Table, key: str) -> None:
        table.data.pop(key, None)
        self._log(table, key, None, "raw")

    def _log(self, table: Table, key: str, value: Any, form: str) -> None:
        record = {"key": key, "value": value, "key_serializer": "json", "value_serializer": form}
        self._outgoing.append((table.changelog_topic, {**record, "partition": self.partition}))

    async def dispatch(self) -> None:
        """Hand everything to the producer, after all work that was handed over before."""
        if self._outgoing:
            async with self.topics.in_turn:
                for topic, record in self._outgoing:
                    self._receipts.append(await topic.send(**record))

    async def settle(self) -> None:
        """Return when the broker has everything."""
        await asyncio.gather(*self._receipts)
        if self.at_last is not None:
            rest = Work(self.topics, self.partition, self.sent_at)
            self.at_last(rest)
            await rest.dispatch()
            await rest.settle()

    def reroute(self, record: Record, topic: Topic, partition: int, *more: tuple[str, bytes]) -> None:
        """Send a record on to the partition that owns its key: not every client partitions as Kafka's does."""
        origin = ("qist_rerouted_from", f"{record.topic}:{record.partition}:{record.offset}".encode())
        self.send(topic, record.key, record.value, [*_present(record), *more, origin], partition)

    def refuse(self, record: Record, refused: Refused) -> None:
        """Keep a record that says nothing to us, byte for byte, where a person will find it."""
        log.warning("dead letter", topic=record.topic, reason=refused.refusal.value, field=refused.field)
        reasons = {
            "qist_reason": refused.refusal.value,
            "qist_detail": refused.sentence(),
            "qist_field": refused.field,
            "qist_topic": record.topic,
            "qist_partition": str(record.partition),
            "qist_offset": str(record.offset),
        }
        headers = [*_present(record), *((name, value.encode()) for name, value in reasons.items())]
        self.send(DEAD_LETTERS, record.key, record.value, headers)


Handle = Callable[[Record, Work], None]
"""What an agent does with a record. It never waits, so no other agent comes in between."""


class Topics(dict[Topic, Any]):
    """Our topics as Faust knows them: bytes in, bytes out; each described when first asked for."""

    def __init__(self, app: faust.App) -> None:
        super().__init__()
        self._app = app
        self.in_turn = asyncio.Lock()
        """What is handled first goes out first, whichever agent it is of."""

    def __missing__(self, topic: Topic) -> Any:
        raw: Any = {"key_serializer": "raw", "value_serializer": "raw"}  # else it would read JSON first, and fail
        made = self._app.topic(topic.name, key_type=bytes, value_type=bytes, **raw)
        self[topic] = made
        return made


def add_agent(app: faust.App, topics: Topics, topic: Topic, handle: Handle) -> None:
    """Have `handle` called for each record of a topic, in order per partition, at least once."""

    async def take(stream: StreamT) -> None:
        unconfirmed: asyncio.Queue[tuple[EventT, Work]] = asyncio.Queue(IN_FLIGHT)
        quiet = cast(Stream, cast(Stream, stream).noack())  # their types know less than they do
        settling = asyncio.create_task(acknowledge(app, quiet, unconfirmed))
        try:
            async for event in quiet.events():
                record = record_of(event)
                work = Work(topics, record.partition, datetime.fromtimestamp(event.message.timestamp, UTC))
                try:
                    handle(record, work)
                except Refused as refused:
                    work.refuse(record, refused)
                await work.dispatch()
                await unconfirmed.put((event, work))
        except Exception as error:
            await app.crash(error)
        finally:
            settling.cancel()

    app.agent(topics[topic], name=topic.name)(take)


async def acknowledge(app: faust.App, stream: StreamT, unconfirmed: asyncio.Queue[tuple[EventT, Work]]) -> None:
    """Acknowledge records in order, each when all that it led to is with the broker."""
    try:
        while True:
            event, work = await unconfirmed.get()
            await work.settle()
            await stream.ack(event)
    except Exception as error:
        await app.crash(error)


def assigned(app: faust.App, topic: Topic) -> frozenset[int]:
    """The partitions of a topic that are ours now."""
    return frozenset(tp.partition for tp in app.assignor.assigned_actives() if tp.topic == topic.name)


def record_of(event: EventT) -> Record:
    message: Any = event.message
    headers = message.headers or ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    return Record(message.topic, message.partition, message.offset, message.key, tuple(pairs), message.value)


def _present(record: Record) -> list[tuple[str, bytes]]:
    return [(name, value) for name, value in record.headers if value is not None]
