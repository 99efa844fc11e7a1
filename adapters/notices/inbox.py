"""The notifier's consumer: a group of its own, whose offsets move only after what was read is in the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CommitFailedError, IllegalGenerationError, KafkaError, OffsetOutOfRangeError

from streams.envelope import Record
from streams.notices import HEARD

log = structlog.get_logger("notifier")

GROUP = "qist-notifier"


class GroupInbox:
    """Reads from the earliest record that the group has not dealt with; what is read twice is known by its id."""

    def __init__(
        self, client_options: dict[str, Any], *, session_timeout_ms: int, instance: str | None, batch_size: int
    ) -> None:
        self._batch_size = batch_size
        self._consumer = AIOKafkaConsumer(
            *(topic.name for topic in HEARD),
            **client_options,
            group_id=GROUP,
            group_instance_id=instance,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
            session_timeout_ms=session_timeout_ms,
            heartbeat_interval_ms=max(300, session_timeout_ms // 4),
            max_poll_interval_ms=600_000,
            metadata_max_age_ms=30_000,
        )

    async def start(self) -> None:
        await self._consumer.start()

    async def stop(self) -> None:
        await self._consumer.stop()

    async def poll(self, wait_ms: int) -> Sequence[Record]:
        fetched = await self._consumer.getmany(timeout_ms=wait_ms, max_records=self._batch_size)
        return [
            Record(part.topic, part.partition, found.offset, found.key, tuple(found.headers), found.value)
            for part, records in fetched.items()
            for found in records
        ]

    async def done(self) -> None:
        """A commit that fails costs a second look at the same records, nothing more."""
        try:
            await self._consumer.commit()
        except (CommitFailedError, IllegalGenerationError, OffsetOutOfRangeError, KafkaError) as error:
            log.info("offsets were not committed", error=repr(error))
