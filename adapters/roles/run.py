"""How every role runs: logging, a fast loop, an orderly end on a signal, and a clear word when it fails."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable

import structlog
import uvloop
from aiokafka.errors import KafkaError

from adapters.errors import Explained
from adapters.logs import configure_logging
from adapters.settings import Settings

log = structlog.get_logger("role")

Role = Callable[[Settings, asyncio.Event], Awaitable[None]]


def run_role(name: str, role: Role, settings: Settings) -> int:
    """Run one role in this process until SIGINT or SIGTERM; 1 when it fails."""
    configure_logging(settings, role=name)
    collect_seldom()
    try:
        uvloop.run(until_told_to_stop(role, settings))
    except (Explained, OSError, KafkaError) as error:
        log.error("the role stopped", role=name, error=str(error))
        return 1
    except Exception as error:
        log.exception("the role stopped", role=name, error=repr(error))
        return 1
    return 0


async def until_told_to_stop(role: Role, settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await role(settings, stop)


def collect_seldom() -> None:
    """Let the cycle collector look seldom: a role holds millions of live objects (cached loans) and makes no cycles to
    speak of, and by default Python would walk them all again and again (half of the engine's time, when measured)."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
