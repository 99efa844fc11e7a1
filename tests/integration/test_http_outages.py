"""The API while the broker is away: reading goes on, sending says so, and nothing is marked as sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest

from adapters.embedded.ports import free_port
from adapters.event_store.migrate import migrate
from adapters.roles.api import run_api
from adapters.settings import Settings

API = "/api/v1"


@pytest.fixture
async def alone(database: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """An API whose broker does not answer, with one dead letter."""
    settings = Settings(
        database_url=database,
        kafka_bootstrap=f"127.0.0.1:{free_port()}",
        data_dir=tmp_path,
        partitions=4,
        http_port=free_port(),
        api_auth="open",
    )
    await migrate(database, 4)
    connection = await asyncpg.connect(database)
    await connection.execute(
        "INSERT INTO dead_letters (partition, topic, source_partition, source_offset, cluster_id, headers, value,"
        " reason, detail, set_aside_at)"
        " VALUES (0, 'gateway.payments', 0, 0, 'gone', '[]', '{}', 'malformed', '', now())"
    )
    await connection.close()
    stop = asyncio.Event()
    serving = asyncio.create_task(run_api(settings, stop))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.http_port}", timeout=30) as http:
        async with asyncio.timeout(20):
            while not serving.done():
                try:
                    await http.get("/healthz")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.02)
        yield http
    stop.set()
    await asyncio.wait_for(serving, 20)


async def test_reading_goes_on_and_it_is_not_ready(alone: httpx.AsyncClient):
    assert (await alone.get(f"{API}/loans")).json()["items"] == []
    assert (await alone.get("/")).status_code == 200
    told = (await alone.get(f"{API}/dashboard")).json()
    assert told["lag"] == {"engine": None, "publisher": 0, "projector": 0}
    ready = await alone.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["broker"]) == (503, "unreachable")
    assert "qist_broker_up 0.0" in (await alone.get("/metrics")).text


async def test_what_could_not_be_sent_can_be_sent_later(alone: httpx.AsyncClient):
    answer = await alone.post(f"{API}/dead-letters/1/retry")
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:qist:problem:broker-unreachable"
    assert answer.headers["retry-after"]
    assert (await alone.get(f"{API}/dead-letters/1")).json()["retried_at"] is None
