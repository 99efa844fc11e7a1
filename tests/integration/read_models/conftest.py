"""A house with an empty log, a pool as the application has it, and a few dozen lives to write."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from adapters.database import connect_pool
from adapters.event_store.migrate import migrate
from domain.events import LoanEvent
from tests.integration.read_models.books import PARTITIONS
from tests.lives import a_life
from tests.log_writer import interleaved


@pytest.fixture
async def house(database: str) -> str:
    """A migrated database with an empty log."""
    await migrate(database, PARTITIONS)
    return database


@pytest.fixture
async def pool(house: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await connect_pool(house, name="test", size=4)
    yield pool
    await pool.close()


@pytest.fixture(scope="module")
def history() -> list[LoanEvent]:
    """A few dozen lives as one log."""
    return interleaved(a_life(seed) for seed in range(40))
