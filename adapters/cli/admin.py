"""`qist topics create` and `qist db migrate`: set-up, as often as one likes."""

from __future__ import annotations

from adapters.cli.running import run, settings_or_exit
from adapters.errors import Explained
from adapters.settings import Settings


def create() -> int:
    """Make the topics that are missing on the broker that QIST_KAFKA_BOOTSTRAP names."""
    return run(_create_topics(settings_or_exit()))


def migrate() -> int:
    """Bring the database that QIST_DATABASE_URL names up to date."""
    return run(_migrate(settings_or_exit()))


async def _create_topics(settings: Settings) -> None:
    from adapters.kafka_admin import create_topics

    if settings.kafka_bootstrap is None:
        raise Explained("no broker: set QIST_KAFKA_BOOTSTRAP (`qist up` makes the embedded broker's topics itself)")
    made = await create_topics(settings, settings.kafka_bootstrap)
    print("\n".join(f"made {name}" for name in made) or "all topics are there")


async def _migrate(settings: Settings) -> None:
    from adapters.event_store.migrate import migrate

    if settings.database_url is None:
        raise Explained("no database: set QIST_DATABASE_URL (`qist up` migrates the embedded one itself)")
    applied = await migrate(settings.database_dsn(), settings.partitions)
    print("\n".join(f"applied {name}" for name in applied) or "the database is up to date")
