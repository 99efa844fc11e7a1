"""What time it is: a port, so that a demo or a soak lives months in minutes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from domain.calendar import IST

__all__ = ["IST", "Clock", "SimulatedClock", "SystemClock"]


class Clock(Protocol):
    """`refresh` lets a clock look outside (once a loop); `now` never waits."""

    async def refresh(self) -> None: ...

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's clock, in the lender's zone."""

    async def refresh(self) -> None:
        return None

    def now(self) -> datetime:
        return datetime.now(IST)


@dataclass(slots=True)
class SimulatedClock:
    """Time that runs `speed` times as fast since `anchor` (real), from `start` (simulated), alike in all processes."""

    start: datetime
    anchor: datetime
    speed: float

    async def refresh(self) -> None:
        return None

    def now(self) -> datetime:
        elapsed = datetime.now(UTC) - self.anchor
        return (self.start + timedelta(seconds=elapsed.total_seconds() * self.speed)).astimezone(IST)
