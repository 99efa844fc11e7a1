"""Event log -> Kafka, in order per partition, resumable, never waiting for one message at a time.

What was just committed is handed over in memory; whatever is not (a restart, a replaced broker, a slow one) is read
from the log. So memory is bounded, and nothing depends on what this process remembers. Delivery is at least once:
consumers know a record by its position.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from aiokafka.errors import MessageSizeTooLargeError

from streams.envelope import Record
from streams.loan_standings import STANDING
from streams.outbound import Told, told, told_standing, with_secret
from streams.ports import Claim, DeadLetter, EventRow, Log
from streams.topics import DEAD_LETTERS

log = structlog.get_logger("publisher")

CHUNK = 2_000
KEPT_IN_MEMORY = 20_000
"""Committed events per partition that wait in memory; beyond this they are read back from the log."""


class Producer(Protocol):
    """The part of aiokafka's producer that is used here."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def send(self, topic: str, **record: Any) -> asyncio.Future[Any]: ...


@dataclass(slots=True)
class Cursor:
    """How far a partition is: published (acknowledged), committed, and what of it is still in memory."""

    published: int
    committed: int
    waiting: list[EventRow] = field(default_factory=list[EventRow])


class Publisher:
    """One per engine process; follows the partitions that the engine has claimed."""

    def __init__(
        self,
        new_producer: Callable[[], Producer],
        events: Log,
        crash_at: Callable[[str], None] = lambda point: None,
    ) -> None:
        self._new_producer = new_producer
        self._producer: Producer | None = None
        self._log = events
        self._crash_at = crash_at
        self._cursors: dict[int, Cursor] = {}
        self._work = asyncio.Event()
        self._starting = asyncio.Lock()
        self._letters = True
        self.sent = 0

    # --- what the engine calls -------------------------------------------------------------------------------

    def take_over(self, claims: Iterable[Claim]) -> None:
        """Follow these partitions from where their last writer got to."""
        for claim in claims:
            self._cursors[claim.partition] = Cursor(claim.published, claim.position)
        self._letters = True
        self._work.set()

    def let_go(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self._cursors.pop(partition, None)

    def offer(self, partition: int, rows: Sequence[EventRow]) -> None:
        """Events that were just committed."""
        cursor = self._cursors.get(partition)
        if cursor is None or not rows:
            return
        in_step = cursor.published + len(cursor.waiting) == cursor.committed
        if in_step and len(cursor.waiting) + len(rows) <= KEPT_IN_MEMORY:
            cursor.waiting.extend(rows)
        cursor.committed = rows[-1][1]
        self._work.set()

    def dead_letters_waiting(self) -> None:
        self._letters = True
        self._work.set()

    def published(self, partition: int) -> int:
        cursor = self._cursors.get(partition)
        return cursor.published if cursor else 0

    @property
    def behind(self) -> int:
        """Committed events that are not published yet."""
        return sum(cursor.committed - cursor.published for cursor in self._cursors.values())

    async def reroute(self, records: Sequence[tuple[Record, int]]) -> None:
        """Send records to the partition that owns their loan, and wait until the broker has them."""
        producer = await self._ready()
        sent = [
            await producer.send(
                record.topic,
                value=record.value,
                key=record.key,
                partition=owner,
                headers=[
                    *record.headers,
                    ("qist_rerouted_from", f"{record.topic}:{record.partition}:{record.offset}".encode()),
                ],
            )
            for record, owner in records
        ]
        await asyncio.gather(*sent)

    # --- the loop --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Publish until cancelled. A broker that fails is tried again, from the last acknowledged position."""
        pause = 0.1
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                await self.drain()
                pause = 0.1
            except asyncio.CancelledError:
                raise
            except Exception as error:
                log.warning("publishing failed; again from the last acknowledged position", error=repr(error))
                await self._reset()
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
                self._work.set()

    async def drain(self) -> None:
        """Publish everything that is committed by now."""
        while any(cursor.published < cursor.committed for cursor in self._cursors.values()):
            await self._publish_chunk()
        if self._letters:
            self._letters = False
            try:
                await self._publish_dead_letters()
            except BaseException:
                self._letters = True
                raise

    async def close(self) -> None:
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

    async def _publish_chunk(self) -> None:
        """A slice of every partition that is behind, all in flight at once."""
        producer = await self._ready()
        slices: list[tuple[Cursor, list[EventRow]]] = []
        for partition, cursor in list(self._cursors.items()):
            if cursor.published < cursor.committed:
                rows = cursor.waiting[:CHUNK]
                if not rows or rows[0][1] != cursor.published + 1:
                    cursor.waiting.clear()
                    rows = await self._log.events_after(partition, cursor.published, CHUNK)
                slices.append((cursor, rows))
        records = [(row[0], record) for _, rows in slices for row in rows for record in told(row)]
        records += await self._standings([row for _, rows in slices for row in rows if row[4] in STANDING])
        secrets = await self._secrets(records)
        futures = [
            await producer.send(
                record.topic,
                key=record.key.encode(),
                value=with_secret(record, secrets.get(record.token)) if record.token else record.value,
                headers=record.headers,
                partition=partition if record.same_partition else None,
            )
            for partition, record in records
        ]
        self._crash_at("amid publishing")
        await asyncio.gather(*futures)
        self._crash_at("after acknowledgement")
        self.sent += len(futures)
        for cursor, rows in slices:
            cursor.published = rows[-1][1]
            if cursor.waiting and cursor.waiting[0][1] == rows[0][1]:
                del cursor.waiting[: len(rows)]

    async def _secrets(self, records: Sequence[tuple[int, Told]]) -> Any:
        tokens = {record.token for _, record in records if record.token}
        return await self._log.open_secrets(tokens) if tokens else {}

    async def _standings(self, rows: Sequence[EventRow]) -> list[tuple[int, Told]]:
        """How the loans of these events stand: as of now, so that what is published again is not an older truth."""
        newest = {(row[0], row[2]): row for row in rows}
        stood = await self._log.standings(newest.keys()) if newest else []
        return [(one.partition, told_standing(one, newest[one.partition, one.loan_id])) for one in stood]

    async def _publish_dead_letters(self) -> None:
        producer = await self._ready()
        while letters := await self._log.unpublished_dead_letters(list(self._cursors)):
            await asyncio.gather(*(send_letter(producer, letter) for _, letter in letters))
            await self._log.dead_letters_published([identifier for identifier, _ in letters])

    async def _ready(self) -> Producer:
        async with self._starting:  # the engine and our own loop may ask for it at once, and it is to be one
            if self._producer is None:
                producer = self._new_producer()
                await producer.start()
                self._producer = producer
            return self._producer

    async def _reset(self) -> None:
        """A new producer, and nothing believed that was not acknowledged."""
        producer, self._producer = self._producer, None
        for cursor in self._cursors.values():
            cursor.waiting.clear()
        if producer is not None:
            try:
                await asyncio.wait_for(producer.stop(), 5)
            except Exception as error:
                log.warning("the old producer did not stop", error=repr(error))


async def send_letter(producer: Producer, letter: DeadLetter) -> None:
    """The record byte for byte, and why it was set aside. Without its value where the broker does not take so much:
    the table has it whole, and one such record must not hold up all others."""
    record = letter.record
    headers = [
        *record.headers,
        ("qist_reason", letter.reason.encode()),
        ("qist_detail", letter.detail.encode()),
        ("qist_field", letter.field.encode()),
        ("qist_topic", record.topic.encode()),
        ("qist_partition", str(record.partition).encode()),
        ("qist_offset", str(record.offset).encode()),
    ]
    # The client sends no record that has neither key nor value; an empty value is as near as it gets.
    value = b"" if record.key is None and record.value is None else record.value
    try:
        await (await producer.send(DEAD_LETTERS.name, key=record.key, value=value, headers=headers))
    except MessageSizeTooLargeError:
        told = [*headers[-6:], ("qist_left_out", b"key, value and headers are too large; see the table")]
        await (await producer.send(DEAD_LETTERS.name, key=None, value=b"", headers=told))
