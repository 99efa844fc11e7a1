"""What all commands that run for a while have in common: settings, signals, and errors told in words."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import sys
from collections.abc import Coroutine
from typing import Any, Final

from pydantic import ValidationError

from adapters.errors import Explained
from adapters.settings import PREFIX, Settings, unknown_variables

ANSWER_IS_NO: Final = 1
WRONG_USAGE: Final = 2


def settings_or_exit(**overrides: Any) -> Settings:
    """The settings of this process; a wrong one ends it, as wrong usage does."""
    for name in unknown_variables(os.environ):
        print(f"warning: {name} is no setting of Qist", file=sys.stderr)
    try:
        return Settings.load(**overrides)
    except ValidationError as refused:
        for error in refused.errors(include_input=False, include_url=False):
            name = "_".join(str(part) for part in error["loc"]).upper()
            print(f"{PREFIX + name if name else 'settings'}: {error['msg']}", file=sys.stderr)
        sys.exit(WRONG_USAGE)


def settings_with_services(*, database: bool = True, broker: bool = False, **overrides: Any) -> Settings:
    """The settings of a command that works on services that somebody else started."""
    settings = settings_or_exit(**overrides)
    missing: list[tuple[str, str]] = []
    if database and settings.database_url is None:
        missing.append(("database", "QIST_DATABASE_URL"))
    if broker and settings.kafka_bootstrap is None:
        missing.append(("broker", "QIST_KAFKA_BOOTSTRAP"))
    for what, variable in missing:
        print(f"no {what}: set {variable} (`qist up` prints the embedded one's)", file=sys.stderr)
    if missing:
        sys.exit(ANSWER_IS_NO)
    return settings


async def ensure_no_loans(dsn: str, what: str) -> None:
    """Refuse a database that holds loans: what follows makes loans up, and takes the partitions from their engine."""
    import asyncpg

    database = await asyncpg.connect(dsn)
    try:
        if await database.fetchval("SELECT to_regclass('events')") and await database.fetchval("SELECT 1 FROM events"):
            raise Explained(f"this database holds loans: {what} makes loans up, and wants a database of its own")
    finally:
        await database.close()


def run(main: Coroutine[Any, Any, int | None]) -> int:
    """Run it until it is done or we are told to stop, and say in words what went wrong: the exit status."""
    from aiokafka.errors import KafkaError
    from asyncpg import InterfaceError, InternalClientError, PostgresError

    try:
        return asyncio.run(_until_told_to_stop(main)) or 0
    except (asyncio.CancelledError, KeyboardInterrupt):
        return 0  # told to stop, and stopped
    except Explained as error:
        print(error, file=sys.stderr)
    except KafkaError as error:
        print(f"Kafka: {error}", file=sys.stderr)
    except (PostgresError, InterfaceError, InternalClientError) as error:
        print(f"PostgreSQL: {error}", file=sys.stderr)
    except (ConnectionError, TimeoutError, socket.gaierror) as error:
        if isinstance(error, BrokenPipeError) and nobody_reads():
            return 0
        print(f"no connection to PostgreSQL: {str(error) or 'no answer in time'}", file=sys.stderr)
    except OSError as error:
        print(error, file=sys.stderr)
    return ANSWER_IS_NO


def nobody_reads() -> bool:
    """Whether who read our output has seen enough (`qist codes list | head`); what is left of it goes nowhere."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)  # a pipe without a reader is an error that is told unasked
    if gone := bool(output.poll(0)):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return gone


async def _until_told_to_stop(main: Coroutine[Any, Any, int | None]) -> int | None:
    """SIGINT, SIGTERM and a closed terminal all mean: put things away and end."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await main
