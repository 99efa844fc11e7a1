"""(e) Read models made anew from the log that the end-to-end run has left: events a second, each by itself."""

from __future__ import annotations

import time

from adapters.database import connect_pool
from adapters.house import load_rules
from adapters.settings import Settings
from projections.registry import BY_NAME
from streams.rebuild import Rebuild


async def measure(settings: Settings) -> dict[str, int]:
    """Events a second by read model."""
    speeds: dict[str, int] = {}
    pool = await connect_pool(settings.database_dsn(), name="rebuild", size=1, role=None)
    try:
        for name, projection in BY_NAME.items():
            started = time.perf_counter()
            events = await Rebuild(projection(load_rules()), lambda done, of: None).run(pool)
            speeds[name] = round(events / (time.perf_counter() - started))
    finally:
        await pool.close()
    return speeds
