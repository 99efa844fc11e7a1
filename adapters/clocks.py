"""The clock that the settings name."""

from __future__ import annotations

from datetime import UTC, datetime

import asyncpg

from adapters.settings import Settings
from streams.clock import IST, Clock, SimulatedClock, SystemClock
from streams.database_away import DATABASE_AWAY
from streams.ports import LogUnreachable


class SteppedClock:
    """Time as a driver has written it to the database: it stands still until the next step, so that a simulation's
    results do not depend on how fast the machine is."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._now = datetime.min.replace(tzinfo=UTC)

    async def refresh(self) -> None:
        try:
            stepped = await self._pool.fetchval("SELECT now FROM simulated_clock")
        except (*DATABASE_AWAY, asyncpg.PostgresError) as error:
            raise LogUnreachable(repr(error)) from error
        if stepped is not None:
            self._now = stepped.astimezone(IST)

    def now(self) -> datetime:
        return self._now


def clock_of(settings: Settings, pool: asyncpg.Pool) -> Clock:
    """System time unless the settings simulate it."""
    match settings.clock:
        case "stepped":
            return SteppedClock(pool)
        case "simulated":
            assert settings.clock_start is not None  # the settings refuse it otherwise
            anchor = settings.clock_anchor or datetime.now(UTC)
            return SimulatedClock(settings.clock_start, anchor, settings.clock_speed)
        case _:
            return SystemClock()


async def business_now(settings: Settings, pool: asyncpg.Pool) -> datetime:
    """Business time, for a command that asks once."""
    clock = clock_of(settings, pool)
    await clock.refresh()
    now = clock.now()
    # A stepped clock that nobody has stepped yet shows the beginning of all time.
    return now if now.year > 1900 else datetime.now(IST)
