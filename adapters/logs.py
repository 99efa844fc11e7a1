"""One line per thing that happened, on stderr, without personal data: ours and our libraries' alike."""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from adapters.settings import Settings

MASK = "***"

# Personal by their name. `name` is a person's here: a log line calls a projection `projection`, a topic `topic`.
# fmt: off
_PERSONAL = frozenset({
    "name", "holder", "phone", "mobile", "email", "address", "account", "account_number", "vpa", "pan", "aadhaar",
    "umrn", "password", "secret", "identity",
})
# fmt: on

# Personal by their looks, for what libraries and exceptions put into sentences.
_PATTERNS = (
    (re.compile(r"(?<=://)([^:/?#\s]+):[^@\s]+@"), rf"\1:{MASK}@"),  # a URL's password
    (re.compile(r"[\w.+-]+@(?!\d+\.)[A-Za-z][\w.-]*(?!\S*:\d)"), MASK),  # email and UPI addresses
    (re.compile(r"(?<![\w.+-])(?:\+?91[ -]?)?[6-9]\d{9}(?![\w.])"), MASK),  # Indian mobile numbers
)

# What libraries say at "info" is of use to their authors.
_QUIET = {
    "aiokafka": logging.WARNING,
    "kafka": logging.WARNING,
    "faust": logging.WARNING,
    "mode": logging.WARNING,
    "asyncio": logging.WARNING,
    "asyncpg": logging.WARNING,
    "uvicorn": logging.WARNING,
    "uvicorn.access": logging.ERROR,
    "httpx": logging.WARNING,
}


def configure_logging(settings: Settings, *, role: str) -> None:
    """Set up structlog and the standard library's logging; call once, first thing in a process."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        mask,
        _in_reading_order,
    ]
    json = settings.log_format == "json"
    render = structlog.processors.JSONRenderer(serializer=_dumps) if json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer)
        if json
        else structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(role=role)
    _route_standard_logging(level, shared, json=json)


def mask(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A structlog processor: personal data does not reach a log file, wherever it hides in the line."""
    return {key: _masked(key, value) for key, value in event.items()}


def _in_reading_order(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    first = {key: event[key] for key in ("timestamp", "level", "role", "event") if key in event}
    return {**first, **event}


def _masked(key: str, value: Any) -> Any:
    if key in _PERSONAL and value is not None:
        return MASK
    if isinstance(value, str):
        for pattern, replacement in _PATTERNS:
            value = pattern.sub(replacement, value)
        return value
    if isinstance(value, Mapping):
        return {inner: _masked(str(inner), one) for inner, one in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(key, one) for one in value]
    return value


def _route_standard_logging(level: int, shared: list[Processor], *, json: bool) -> None:
    """Lines of aiokafka, Faust and uvicorn take the same way as ours."""
    render: Processor = (
        structlog.processors.JSONRenderer(serializer=lambda value, **options: _dumps(value, **options).decode())
        if json
        else structlog.dev.ConsoleRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(level, least))


def _dumps(value: Any, **_: Any) -> bytes:
    # What a serialiser does not know is still worth its text: a log line must never raise.
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)
