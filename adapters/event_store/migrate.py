"""Database set-up: numbered SQL files, each once, under a lock, with a checksum so that history is not rewritten."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

import asyncpg

from adapters.database import other_partitions
from adapters.errors import Explained

LOCK = 0x71697374  # "qist"


class MigrationError(Explained):
    """The database is not what this version expects: what to do is in the message."""


@dataclass(frozen=True, slots=True)
class Migration:
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def shipped() -> list[Migration]:
    """The migrations of this version, in order."""
    folder = files("adapters.event_store.migrations")
    return sorted(
        (Migration(item.name, item.read_text()) for item in folder.iterdir() if item.name.endswith(".sql")),
        key=lambda migration: migration.name,
    )


async def migrate(dsn: str, partitions: int) -> list[str]:
    """Bring the database up to date; idempotent. Returns the names applied. Refuses another partition count."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations"
            " (name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        done = {row["name"]: row["checksum"] for row in await connection.fetch("SELECT * FROM migrations")}
        applied: list[str] = []
        for migration in shipped():
            if migration.name in done:
                if done[migration.name] != migration.checksum:
                    raise MigrationError(
                        f"{migration.name} was applied with other content: restore the file, or use a new database"
                    )
                continue
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO migrations (name, checksum) VALUES ($1, $2)", migration.name, migration.checksum
                )
            applied.append(migration.name)
        await settle_partitions(connection, partitions)
        from streams.read_models import create_schemas  # here, because it brings in the whole domain

        applied += [f"read model {name}" for name in await create_schemas(connection)]
        return applied
    finally:
        await connection.close()


async def settle_partitions(connection: asyncpg.Connection, partitions: int) -> None:
    """A loan's partition is its home for life, so their count is chosen once."""
    chosen = await connection.fetchval("SELECT partitions FROM house")
    if chosen is None:
        async with connection.transaction():
            await connection.execute("INSERT INTO house (partitions) VALUES ($1)", partitions)
            await connection.execute(
                "INSERT INTO partitions (partition) SELECT generate_series(0, $1::int - 1)", partitions
            )
    elif chosen != partitions:
        raise MigrationError(other_partitions(chosen, partitions))
