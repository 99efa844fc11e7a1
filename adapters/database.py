"""Connections to PostgreSQL: as the application's role, with jsonb as Python values."""

from __future__ import annotations

import asyncpg
import orjson


async def connect_pool(dsn: str, *, name: str, size: int = 4, role: str | None = "qist_app") -> asyncpg.Pool:
    """A small pool. `role` None keeps the login's own rights (set-up and rebuilds); the application's role can add
    to the event log and not change it."""
    settings = {"application_name": f"qist-{name}", "jit": "off"}
    if role is not None:
        settings["role"] = role
    return await asyncpg.create_pool(
        dsn, min_size=1, max_size=size, init=decode_json, server_settings=settings, command_timeout=60
    )


async def decode_json(connection: asyncpg.Connection) -> None:
    """jsonb comes back as Python values, not as text."""
    await connection.set_type_codec(
        "jsonb", encoder=lambda value: orjson.dumps(value).decode(), decoder=orjson.loads, schema="pg_catalog"
    )
