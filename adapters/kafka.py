"""aiokafka's clients, as the settings say: security, cluster identity, producers."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from adapters.settings import Settings

IDENTITY_SECONDS = 5
"""How often we ask whether the cluster is still the same."""


def client_options(settings: Settings, role: str) -> dict[str, Any]:
    """What every client is told: where the broker is, who we are, how to be sure of each other."""
    return {
        "bootstrap_servers": settings.kafka_bootstrap,
        "client_id": f"qist-{role}",
        **settings.kafka_client_options(),
    }


async def cluster_identity(settings: Settings, role: str) -> str:
    """The cluster's own id: offsets are stored with it, so that another cluster is noticed."""
    admin = AIOKafkaAdminClient(**client_options(settings, role))
    await admin.start()
    try:
        return (await admin.describe_cluster())["cluster_id"] or "unnamed"
    finally:
        await admin.close()


async def another_cluster(settings: Settings, role: str, known: str) -> None:
    """Return when another cluster than the known one answers."""
    admin = AIOKafkaAdminClient(**client_options(settings, role))
    await admin.start()
    try:
        while True:
            await asyncio.sleep(IDENTITY_SECONDS)
            with suppress(KafkaError):  # away for a moment, as brokers are
                if (await admin.describe_cluster())["cluster_id"] not in (known, None):
                    return
    finally:
        await admin.close()


def new_producer(settings: Settings, role: str) -> AIOKafkaProducer:
    """Every record is on all replicas before it counts as sent; one request in flight a partition keeps the order."""
    return AIOKafkaProducer(
        **client_options(settings, role),
        acks="all",
        linger_ms=2,
        max_batch_size=256 * 1024,
        max_request_size=4 * 1024 * 1024,
        compression_type=None,
    )
