"""Waiting in tests: for a condition, and not for an amount of time."""

import asyncio
from collections.abc import Callable


async def eventually(condition: Callable[[], object], seconds: float = 20) -> None:
    """Return as soon as the condition holds; fail when it does not within `seconds`."""
    async with asyncio.timeout(seconds):
        while True:
            if condition():
                return
            await asyncio.sleep(0.02)
