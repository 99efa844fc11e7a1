"""A role starts only on a database that is set up, and only for the partitions that it was set up with."""

import os
from pathlib import Path

import pytest

from adapters.database import WrongHouse, open_house
from adapters.event_store.migrate import migrate
from adapters.readiness import Ear, announce_ready
from adapters.settings import Settings


async def test_a_role_believes_in_the_partitions_that_the_house_was_set_up_with(database: str, tmp_path: Path) -> None:
    await migrate(database, 4)
    right = Settings(database_url=database, data_dir=tmp_path, partitions=4)
    await (await open_house(right, name="test", size=1)).close()
    with pytest.raises(WrongHouse, match="QIST_PARTITIONS=4"):
        await open_house(right.model_copy(update={"partitions": 8}), name="test", size=1)


async def test_a_database_that_is_not_set_up_is_told_so(database: str, tmp_path: Path) -> None:
    with pytest.raises(WrongHouse, match="qist db migrate"):
        await open_house(Settings(database_url=database, data_dir=tmp_path), name="test", size=1)


async def test_an_engine_may_say_that_it_is_ready_when_nobody_listens_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    with Ear() as ear:
        monkeypatch.setenv("NOTIFY_SOCKET", ear.address)
        announce_ready()
        assert ear.heard()
    announce_ready()
    assert os.environ["NOTIFY_SOCKET"]
