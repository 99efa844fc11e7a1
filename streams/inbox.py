"""The engine's consumer: a group member whose partitions are read only once the engine has claimed them.

The listener does one thing, pausing what was assigned, and leaves the rest to the engine's own loop: a listener that
awaits would race with the fetcher, and its exceptions are swallowed by the client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from streams.envelope import Record

log = structlog.get_logger("inbox")


class HoleInTheLog(Exception):
    """The broker no longer has the records that come next: going on would lose messages."""


class KafkaInbox(ConsumerRebalanceListener):
    """Inbound topics, by partition number. `partitions` None joins the group; else exactly these are read."""

    def __init__(
        self,
        *,
        topics: Collection[str],
        group: str,
        client_options: Mapping[str, Any],
        partitions: Collection[int] | None = None,
        instance: str | None = None,
        session_timeout_ms: int = 6_000,
        batch_size: int = 2_000,
    ) -> None:
        self._topics = tuple(topics)
        self._fixed = partitions
        self._batch_size = batch_size
        self._ready: set[int] = set()
        self._unclaimed: set[int] = set()
        self._revoked: set[int] = set()
        self._asking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asking.set_result(None)
        self._consumer = AIOKafkaConsumer(
            **client_options,
            group_id=group if partitions is None else None,
            group_instance_id=instance if partitions is None else None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            partition_assignment_strategy=(RangePartitionAssignor,),
            max_partition_fetch_bytes=4 * 1024 * 1024,
            fetch_max_wait_ms=50,
            session_timeout_ms=session_timeout_ms,
            heartbeat_interval_ms=max(300, session_timeout_ms // 4),
            max_poll_interval_ms=300_000,
            metadata_max_age_ms=30_000,
        )

    async def start(self) -> None:
        await self._consumer.start()
        if self._fixed is None:
            self._consumer.subscribe(list(self._topics), listener=self)
        else:
            self._consumer.assign(self._parts(self._fixed))
            self._consumer.pause(*self._parts(self._fixed))
            self._unclaimed = set(self._fixed)

    async def stop(self) -> None:
        self._asking.cancel()
        await self._consumer.stop()

    # --- assignment ------------------------------------------------------------------------------------------

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        if assigned:
            self._consumer.pause(*assigned)
        self._unclaimed |= {part.partition for part in assigned}

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        numbers = {part.partition for part in revoked}
        self._ready -= numbers
        self._unclaimed -= numbers
        self._revoked |= numbers

    def take_revoked(self) -> set[int]:
        """Partitions that are ours no longer."""
        revoked, self._revoked = self._revoked, set()
        return revoked

    @property
    def unclaimed(self) -> frozenset[int]:
        """Assigned partitions that the engine has not claimed yet."""
        return frozenset(self._unclaimed)

    async def open(self, offsets: Mapping[int, Mapping[str, int]]) -> None:
        """Start reading claimed partitions, each topic from its stored offset, else from the earliest record.

        Any of them may be revoked while we wait, and even be assigned again: such a one stays unclaimed, since the
        engine is about to let it go.
        """
        if not self._asking.done():  # what it gets would be lost
            await asyncio.wait({self._asking}, timeout=1)
            if not self._asking.done():
                return  # in the middle of another rebalance
        parts = [part for part in self._parts(offsets) if self._is_wanted(part)]
        unknown = [part for part in parts if part.topic not in offsets[part.partition]]
        try:
            if unknown:
                await self._consumer.seek_to_beginning(*unknown)
        except IllegalStateError:
            return  # revoked at this very moment
        parts = [part for part in parts if self._is_wanted(part)]
        for part in parts:
            offset = offsets[part.partition].get(part.topic)
            if offset is not None:
                self._consumer.seek(part, offset)
        if parts:
            self._consumer.resume(*parts)
        claimed = {part.partition for part in parts}
        self._ready |= claimed
        self._unclaimed -= claimed

    def _is_wanted(self, part: TopicPartition) -> bool:
        number = part.partition
        return number in self._unclaimed and number not in self._revoked and part in self._consumer.assignment()

    def close(self, partitions: Collection[int]) -> None:
        """Stop reading partitions until they are claimed again."""
        parts = [part for part in self._parts(partitions) if part in self._consumer.assignment()]
        if parts:
            self._consumer.pause(*parts)
        self._ready -= set(partitions)
        self._unclaimed |= {part.partition for part in parts}

    # --- reading ---------------------------------------------------------------------------------------------

    async def poll(self, wait_ms: int) -> list[Record]:
        """Records of claimed partitions, in order within each topic and partition."""
        if not self._ready:
            await self._stay(wait_ms)
            return []
        try:
            fetched = await self._consumer.getmany(timeout_ms=wait_ms, max_records=self._batch_size)
        except NoOffsetForPartitionError:
            return []  # just assigned, and not claimed yet
        except OffsetOutOfRangeError as error:
            raise HoleInTheLog(
                f"the broker no longer has the records that come next ({error}): its retention is too short, or the"
                " topic was deleted; restore it, or accept the loss by moving inbound_offsets by hand"
            ) from error
        return [
            Record(part.topic, part.partition, found.offset, found.key, tuple(found.headers), found.value)
            for part, records in fetched.items()
            if part.partition in self._ready
            for found in records
        ]

    async def _stay(self, wait_ms: int) -> None:
        """Wait with nothing to read. A member that never asks is put out of its group after some minutes, and would
        not be there when another one dies; what it gets is not ours yet, and is read again once it is."""
        if self._fixed is None and self._asking.done():
            self._asking = asyncio.ensure_future(self._ask(wait_ms))
        await asyncio.sleep(wait_ms / 1000)

    async def _ask(self, wait_ms: int) -> None:
        with suppress(KafkaError):
            await self._consumer.getmany(timeout_ms=wait_ms)

    async def note_progress(self, offsets: Mapping[int, Mapping[str, int]]) -> None:
        """Tell Kafka, too, for its lag tools; the truth stays in PostgreSQL."""
        if self._fixed is not None:
            return
        assigned = self._consumer.assignment()
        known = {
            TopicPartition(topic, partition): offset
            for partition, topics in offsets.items()
            for topic, offset in topics.items()
            if TopicPartition(topic, partition) in assigned
        }
        try:
            if known:
                await self._consumer.commit(known)
        except Exception as error:
            log.debug("offsets were not noted on the broker", error=repr(error))

    def _parts(self, partitions: Collection[int]) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for topic in self._topics for number in partitions]
