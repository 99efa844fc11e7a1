"""Where a partition ends: Faust restores its tables up to there, so too early an offset would lose their last changes.

The embedded broker answers ListOffsets with the start of the last batch plus one (Tansu 0.6.0: after one record and a
batch of ten it says 2, not 11). Restored up to there, a table is old, and the next rebalance crashes on an offset that
is beyond the end. What comes with a fetch (the high watermark) is right on every broker.
"""
# pyright: basic

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

LOOK_SECONDS = 30.0


class Consumer(driver.Consumer):
    """Faust's consumer, sure of where its partitions end."""

    mundane_level = "debug"

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        conf, transport = self.app.conf, cast(driver.Transport, self.transport)
        client: dict[str, Any] = {
            "bootstrap_servers": driver.server_list(transport.url, transport.default_port),
            **driver.credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
        }
        return await ends_of(client, partitions)

    async def reported_ends(self, *partitions: TP) -> Mapping[TP, int]:
        """What the broker answers when asked: cheap, and good enough to see whether there is work."""
        return await super().highwaters(*partitions)

    async def committed(self, *partitions: TP) -> Mapping[TP, int]:
        """What the broker has as committed; Faust's own notes are lost in a rebalance."""
        thread: Any = self._thread
        coordinator = thread._ensure_consumer()._coordinator
        found = await thread.call_thread(coordinator.fetch_committed_offsets, list(partitions))
        return {tp: found[tp].offset for tp in partitions if tp in found}


async def ends_of(client: Mapping[str, Any], partitions: tuple[TP, ...]) -> dict[TP, int]:
    """The offset after the last record of each partition, as a fetch near it tells."""
    consumer = AIOKafkaConsumer(
        **client, enable_auto_commit=False, auto_offset_reset="earliest", max_partition_fetch_bytes=4_096
    )
    await consumer.start()
    try:
        places = {tp: TopicPartition(tp.topic, tp.partition) for tp in partitions}
        said = await consumer.end_offsets(list(places.values())) if places else {}
        filled = [place for place in places.values() if said[place]]
        if filled:
            consumer.assign(filled)
            for place in filled:
                consumer.seek(place, said[place] - 1)
            async with asyncio.timeout(LOOK_SECONDS):
                while any(consumer.highwater(place) is None for place in filled):
                    await consumer.getmany(timeout_ms=100)
        return {
            tp: max(said[place], consumer.highwater(place) or 0) if said[place] else 0 for tp, place in places.items()
        }
    finally:
        await consumer.stop()
