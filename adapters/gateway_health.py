"""The engine's view of the gateways: follows `servicing.gateway-health`, all of it, from the first record on."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import orjson
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from adapters.kafka import client_options
from adapters.settings import Settings
from domain.policies.circuit import GatewayHealth
from streams.topics import GATEWAY_HEALTH

log = structlog.get_logger("engine")

AGAIN_SECONDS = 5.0


class FollowedHealth:
    """What was told of the gateways so far. Without news every gateway counts as well: debits go on as ever."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.health = GatewayHealth.well()

    async def follow(self) -> None:
        """Until cancelled; a broker that is away is asked again."""
        while True:
            try:
                await self._follow()
            except KafkaError as error:
                log.warning("the gateways' health is not followed", error=repr(error), again_seconds=AGAIN_SECONDS)
                await asyncio.sleep(AGAIN_SECONDS)

    async def _follow(self) -> None:
        options = client_options(self._settings, "engine-gateway-health")
        consumer = AIOKafkaConsumer(**options, enable_auto_commit=False, auto_offset_reset="earliest")
        await consumer.start()
        try:
            places = [TopicPartition(GATEWAY_HEALTH.name, number) for number in range(self._settings.partitions)]
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            async for record in consumer:
                self.learn(cast(bytes | None, record.value))
        finally:
            await consumer.stop()

    def learn(self, value: bytes | None) -> None:
        """Take one record; one that cannot be read changes nothing."""
        try:
            told: dict[str, Any] = orjson.loads(value or b"")
            self.health = self.health.with_news(told["gateway"], told["rail"], told)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            log.warning("a word on a gateway's health cannot be read", error=repr(error))
            return
        log.info("a gateway's health changed", gateway=told["gateway"], rail=told["rail"], state=told["state"])
