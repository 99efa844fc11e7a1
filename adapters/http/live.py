"""One broadcaster for everybody who watches: each message is made once, and a slow client loses the oldest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog

log = structlog.get_logger("api")

KEPT = 4
"""Messages that wait for a slow client. Each says everything, so the newest is all that one needs."""
AT_MOST_EVERY = 1.0
AT_LEAST_EVERY = 10.0
SHARE_OF_TIME = 0.1
"""Looking at a large portfolio takes long; then it is looked at less often, for about this share of the time."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The portfolio at a moment: the numbers, and the page's parts as HTML."""

    number: int
    data: dict[str, Any]
    parts: dict[str, str]


class Live:
    """Looks at the portfolio while somebody watches, and tells all who do."""

    def __init__(self) -> None:
        self._watching: set[asyncio.Queue[Frame | None]] = set()
        self._somebody = asyncio.Event()
        self._over = False
        self._number = 0
        self.newest: Frame | None = None

    @property
    def clients(self) -> int:
        return len(self._watching)

    async def run(self, look: Callable[[], Awaitable[tuple[dict[str, Any], dict[str, str]]]]) -> None:
        """Until cancelled. What cannot be looked at now is looked at again later; clients keep what they have."""
        while True:
            await self._somebody.wait()
            began = time.monotonic()
            try:
                data, parts = await look()
            except Exception as error:
                log.warning("the portfolio cannot be looked at", error=repr(error))
            else:
                self._number += 1
                self.newest = Frame(self._number, data, parts)
                for queue in self._watching:
                    offer(queue, self.newest)
            took = time.monotonic() - began
            await asyncio.sleep(min(max(AT_MOST_EVERY, took / SHARE_OF_TIME), AT_LEAST_EVERY))

    async def watch(self) -> AsyncIterator[Frame]:
        """Every frame from now on, until the client leaves or the server stops."""
        queue: asyncio.Queue[Frame | None] = asyncio.Queue(KEPT)
        self._watching.add(queue)
        self._somebody.set()
        try:
            while not self._over and (frame := await queue.get()) is not None:
                yield frame
        finally:
            self._watching.discard(queue)
            if not self._watching:
                self._somebody.clear()

    def close(self) -> None:
        """Send everybody home: a server that waits for its clients would never stop."""
        self._over = True
        for queue in self._watching:
            offer(queue, None)


def offer(queue: asyncio.Queue[Frame | None], frame: Frame | None) -> None:
    """Never wait for a slow client: make room by forgetting what it should have read first."""
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(frame)
