"""The projector role: settings in, read models kept up to date until told to stop."""

from __future__ import annotations

import asyncio

from adapters.database import open_house
from adapters.house import load_rules
from adapters.kafka import new_producer
from adapters.readiness import announce_ready
from adapters.settings import Settings
from projections.registry import ALL
from streams.announcer import Announcer
from streams.projector import Projector

CONNECTIONS = 4
"""One reads, one writes, two announce."""


async def run_projector(settings: Settings, stop: asyncio.Event, *, partitions: list[int] | None = None) -> None:
    """Follow the log of these partitions (all unless named) until `stop`. Without a broker nothing is announced."""
    owned = list(range(settings.partitions)) if partitions is None else partitions
    pool = await open_house(settings, name="projector", size=CONNECTIONS)
    try:
        projections = [projection(load_rules()) for projection in ALL]
        announcer = None
        if settings.kafka_bootstrap is not None:
            announcer = Announcer(pool, lambda: new_producer(settings, "projector"), projections, owned)
        projector = Projector(pool, projections, owned, announcer, on_ready=announce_ready)
        async with asyncio.TaskGroup() as group:
            group.create_task(projector.run(stop))
            if announcer is not None:
                group.create_task(announcer.run(stop))
    finally:
        await pool.close()
