"""How often one caller may ask, counted by the library `limits` in this process's memory."""

from __future__ import annotations

import math
import time

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

SIGN_INS = "20/minute"
"""Sign-ins and refused credentials, by address."""


class Limits:
    """The limits of one API server. Several servers each count on their own."""

    def __init__(self, requests: str) -> None:
        self._counter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._of: dict[str, RateLimitItem] = {"requests": parse(requests), "sign-ins": parse(SIGN_INS)}

    async def wait(self, what: str, caller: str) -> int:
        """Count one; 0 when it is within the limit, else the seconds after which to come again."""
        limit = self._of[what]
        if await self._counter.hit(limit, what, caller):
            return 0
        stats = await self._counter.get_window_stats(limit, what, caller)
        return max(1, math.ceil(stats.reset_time - time.time()))
