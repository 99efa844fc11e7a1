"""Connections to PostgreSQL: as the application's role, with jsonb as Python values."""

from __future__ import annotations

import asyncpg
import orjson

from adapters.errors import Explained
from adapters.settings import Settings


class WrongHouse(Explained):
    """The database is not the one that this process expects."""


async def connect_pool(
    dsn: str, *, name: str, size: int = 4, role: str | None = "qist_app", patience: float = 60
) -> asyncpg.Pool:
    """A small pool; a statement may take `patience` seconds. `role` None keeps the login's own rights (set-up and
    rebuilds); the application's role can add to the event log and not change it."""
    settings = {"application_name": f"qist-{name}", "jit": "off"}
    if role is not None:
        settings["role"] = role
    return await asyncpg.create_pool(
        dsn, min_size=1, max_size=size, init=decode_json, server_settings=settings, command_timeout=patience
    )


async def open_house(settings: Settings, *, name: str, size: int, patience: float = 60) -> asyncpg.Pool:
    """A role's pool, once it is sure that the house is set up, and for the partitions that this process believes in.

    A writer that believes in another count would give loans another home, and book them twice.
    """
    pool = await connect_pool(settings.database_dsn(), name=name, size=size, patience=patience)
    try:
        chosen = await pool.fetchval("SELECT partitions FROM house")
    except asyncpg.UndefinedTableError:
        await pool.close()
        raise WrongHouse("this database is not set up: run `qist db migrate`") from None
    if chosen != settings.partitions:
        await pool.close()
        raise WrongHouse(other_partitions(chosen, settings.partitions))
    return pool


def other_partitions(chosen: int, believed: int) -> str:
    """What to tell whoever starts with another count of partitions than the house was set up with."""
    return (
        f"this database holds {chosen} partitions and QIST_PARTITIONS says {believed}:"
        f" a loan never changes its partition, so start with QIST_PARTITIONS={chosen}"
    )


async def decode_json(connection: asyncpg.Connection) -> None:
    """jsonb comes back as Python values, not as text."""
    await connection.set_type_codec(
        "jsonb", encoder=lambda value: orjson.dumps(value).decode(), decoder=orjson.loads, schema="pg_catalog"
    )
