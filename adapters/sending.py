"""Sending single records to Kafka and waiting until they are safe: what the API and the command line need."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from adapters.kafka import new_producer
from adapters.settings import Settings

PATIENCE_SECONDS = 10.0


class BrokerDown(Exception):
    """The broker did not acknowledge in time. Whether it has the record is unknown; sending again is harmless."""


class Sender:
    """A producer that starts when it is first needed, and anew after trouble."""

    def __init__(self, settings: Settings, role: str) -> None:
        self._settings = settings
        self._role = role
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def send(
        self,
        topic: str,
        *,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]],
    ) -> int:
        """Send one record to a partition and wait until all replicas have it. Returns its offset."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                producer = await self._ready()
                sent = await producer.send_and_wait(
                    topic, value=value, key=key, partition=partition, headers=list(headers)
                )
                return sent.offset
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            raise BrokerDown(repr(error)) from error

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                async with asyncio.timeout(2):
                    await producer.stop()
            except (KafkaError, OSError, TimeoutError):
                pass  # it could not say goodbye; nothing unacknowledged was promised to anybody

    async def _ready(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = new_producer(self._settings, self._role)
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer
