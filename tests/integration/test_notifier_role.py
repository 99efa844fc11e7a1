"""`qist notifier` as a process, on a real broker and database, with a provider over HTTP: killed and started again, it
tells everybody once; what the provider says comes back; documents are issued beside it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from adapters.database import connect_pool
from adapters.embedded.broker import Broker
from adapters.event_store.migrate import migrate
from adapters.kafka_admin import create_topics
from adapters.processes import ChildProcess
from adapters.sending import Sender
from adapters.settings import Settings
from streams.topics import NOTICE_OUTCOMES, NOTIFICATIONS, partition_of
from tests.eventually import eventually
from tests.integration.test_engine_edges import NOW, PARTITIONS
from tests.integration.test_erasure import Erasing

pytestmark = pytest.mark.slow

LOANS = tuple(f"LN-{number}" for number in range(1, 13))


class Provider:
    """A provider of SMS that knows a repeat by its key."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.told: dict[str, dict[str, Any]] = {}
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        key = request.headers["Idempotency-Key"]
        self.calls[key] += 1
        self.told.setdefault(key, json.loads(await request.read()))
        return web.json_response({"id": f"SMS-{len(self.told)}"})

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Provider]:
        app = web.Application()
        app.router.add_post("/sms", self.take)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/sms"
        try:
            yield self
        finally:
            await runner.cleanup()


def a_notifier(settings: Settings, crash_at: str = "") -> ChildProcess:
    child = ChildProcess(
        name="notifier",
        command=[sys.executable, "-m", "adapters.cli.main", "notifier"],
        log=settings.data_dir / "logs" / "notifier.log",
        environment={**settings.environment(), "QIST_CRASH_AT": crash_at, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    child.spawn()
    return child


@pytest.mark.parametrize("point", ["after plan", "before send", "after send"])
async def test_killed_anywhere_it_tells_everybody_once(
    point: str, new_broker: Broker, database: str, tmp_path: Path
) -> None:
    async with Provider().open() as provider:
        settings = Settings(
            database_url=database, kafka_bootstrap=new_broker.bootstrap, data_dir=tmp_path, partitions=PARTITIONS,
            vault_key=bytes(range(32)).hex(),  # pyright: ignore[reportArgumentType]
            clock="simulated", clock_start=NOW, clock_anchor=datetime.now(UTC), notice_webhooks=f"sms={provider.url}",
        )  # fmt: skip
        await migrate(database, PARTITIONS)
        await create_topics(settings, new_broker.bootstrap)
        pool = await connect_pool(database, name="test")
        house, sender = Erasing(pool), Sender(settings, "test")
        try:
            for number, loan_id in enumerate(LOANS):
                house.approve(loan_id, borrower=f"B-{number}")
            await house.turn()
            for _ in range(2):  # a broker that was replaced is told everything again
                for record in house.producer.on(NOTIFICATIONS.name):
                    home = partition_of(record["key"].decode(), PARTITIONS)
                    await sender.send(
                        NOTIFICATIONS.name, partition=home, key=record["key"], value=record["value"],
                        headers=record["headers"],
                    )  # fmt: skip
            dying = a_notifier(settings, point)
            await eventually(lambda: not dying.running, 40)
            assert dying.exit_status == -9
            await pool.execute("UPDATE notices SET claimed_at = claimed_at - interval '1 hour'")
            living = a_notifier(settings)
            try:

                async def all_sent() -> bool:
                    rows = await pool.fetch("SELECT state FROM notices")
                    return [row["state"] for row in rows] == ["sent"] * len(LOANS)

                async with living_within(living):
                    await until(all_sent, 40)
                assert sorted(told["loan_id"] for told in provider.told.values()) == sorted(LOANS)
                assert all("was paid to your account" in told["text"] for told in provider.told.values())

                [key, *_] = provider.told
                notice_id = key.rpartition(":")[0]
                loan_id = provider.told[key]["loan_id"]
                body = {"loan_id": loan_id, "notice_id": notice_id, "at": NOW.isoformat(), "channel": "sms"}
                await sender.send(
                    NOTICE_OUTCOMES.name, partition=partition_of(loan_id, PARTITIONS), key=loan_id.encode(),
                    value=json.dumps(body).encode(), headers=[("ce_type", b"gateway.notice.delivered.v1")],
                )  # fmt: skip

                async def delivered() -> bool:
                    return (
                        await pool.fetchval("SELECT state FROM notices WHERE notice_id = $1", notice_id) == "delivered"
                    )

                await until(delivered, 20)

                async def documents_issued() -> bool:  # key facts and schedule of each, whatever was killed
                    rows = await pool.fetch("SELECT flaw FROM documents")
                    return [row["flaw"] for row in rows] == [""] * 2 * len(LOANS)

                await until(documents_issued, 40)
            finally:
                await living.stop()
        finally:
            await sender.close()
            await pool.close()


async def until(condition: Callable[[], Awaitable[bool]], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@asynccontextmanager
async def living_within(child: ChildProcess) -> AsyncIterator[None]:
    """What the process said last, when the block fails."""
    try:
        yield
    except BaseException:
        print(child.last_lines())
        raise
