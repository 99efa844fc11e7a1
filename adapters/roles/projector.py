"""The projector role: settings in, read models kept up to date until told to stop."""

from __future__ import annotations

import asyncio
from typing import Any

from adapters.clocks import business_now
from adapters.database import open_house
from adapters.house import load_rules
from adapters.kafka import new_producer
from adapters.readiness import announce_ready
from adapters.reconciliation.office import patience_of
from adapters.sending import BrokerDown, Sender
from adapters.settings import Settings
from projections.registry import ALL
from streams.announcer import Announcer
from streams.projector import Projector
from streams.reconciler import Patience, Reconciler, Send, TransportDown

CONNECTIONS = 6
"""One reads, one writes, two announce, two reconcile."""


async def run_projector(settings: Settings, stop: asyncio.Event, *, partitions: list[int] | None = None) -> None:
    """Follow the log of these partitions (all unless named) until `stop`. Without a broker nothing is announced."""
    owned = list(range(settings.partitions)) if partitions is None else partitions
    pool = await open_house(settings, name="projector", size=CONNECTIONS)
    sender = None
    try:
        projections = [projection(load_rules()) for projection in ALL]
        announcer = None
        if settings.kafka_bootstrap is not None:
            announcer = Announcer(pool, lambda: new_producer(settings, "projector"), projections, owned)
        projector = Projector(pool, projections, owned, announcer, on_ready=announce_ready)

        async def patience() -> Patience:
            return patience_of(settings, await business_now(settings, pool))

        sender = Sender(settings, "reconciler") if settings.kafka_bootstrap is not None else None
        reconciler = Reconciler(
            pool,
            owned,
            settings.partitions,
            sending(sender) if sender else None,
            patience,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(projector.run(stop))
            group.create_task(reconciler.run(stop))
            if announcer is not None:
                group.create_task(announcer.run(stop))
    finally:
        if sender is not None:
            await sender.close()
        await pool.close()


def sending(sender: Sender) -> Send:
    """The reconciler's way to the broker; one that is away is waited out."""

    async def send(topic: str, **record: Any) -> int:
        try:
            return await sender.send(topic, **record)
        except BrokerDown as error:
            raise TransportDown(str(error)) from error

    return send
