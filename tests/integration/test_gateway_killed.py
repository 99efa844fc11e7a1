"""`qist gateway` as two processes that are killed and frozen at any moment, while broker and database go away too and
the gateway misbehaves: no order moves money twice, no success is lost, and in the end every order is answered."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import orjson
import psutil
import pytest

from adapters.database import connect_pool
from adapters.embedded.kafka import ApacheKafka, KafkaMissing, fetch_jars
from adapters.embedded.ports import free_port
from adapters.embedded.postgres import EmbeddedPostgres
from adapters.embedded.service import Service
from adapters.event_store.migrate import migrate
from adapters.gateways.simulators.api import ApiSimulator
from adapters.gateways.simulators.books import Mischief
from adapters.gateways.simulators.kestrel import KestrelFace
from adapters.kafka_admin import create_topics
from adapters.processes import ChildProcess
from adapters.readiness import VARIABLE, Ear
from adapters.sending import BrokerDown, Sender
from adapters.settings import Settings
from streams.clock import SystemClock
from streams.database_away import DATABASE_AWAY
from streams.envelope import headers_for
from streams.topics import DEBIT_INSTRUCTIONS, DEBIT_OUTCOMES, partition_of
from tests.conftest import without_kafka
from tests.eventually import eventually
from tests.integration.gateways import SIGNING, Topics, debit_body, webhook_server
from tests.integration.world import records_of

pytestmark = [pytest.mark.slow, pytest.mark.broker, pytest.mark.timeout(400)]

PARTITIONS = 4
SEED = 5
GATEWAY = """
[kestrel]
adapter = "kestrel"
url = "{url}"
key = "key"
timeout_seconds = 0.3
look_again_seconds = [0.1, 0.2, 0.5]
again_after_seconds = 1.5
recheck_seconds = [1.0, 2.0]
later_seconds = 0.2
lease_seconds = 1.5
every_seconds = 0.05
at_once = 10
"""


async def test_killed_frozen_and_cut_off_it_moves_no_money_twice_and_loses_no_success(services_dir: Path) -> None:
    try:
        fetch_jars()
    except KafkaMissing as missing:
        without_kafka(missing)
    folder = Path(tempfile.mkdtemp(dir=services_dir))
    broker = ApacheKafka(data_dir=folder, port=free_port())
    database = EmbeddedPostgres(data_dir=folder, port=free_port())
    webhooks = free_port()
    simulator = ApiSimulator(
        face=KestrelFace(), seed=SEED, mischief=Mischief.of_all(0.12), silence_seconds=0.6,
        webhook_url=f"http://127.0.0.1:{webhooks}/webhooks/kestrel", webhook_secret=SIGNING,
    )  # fmt: skip
    try:
        await asyncio.gather(broker.start(), database.start())
        async with simulator as sim:
            (folder / "gateways.toml").write_text(GATEWAY.format(url=sim.url))
            settings = Settings(  # pyright: ignore[reportCallIssue]
                database_url=database.url, kafka_bootstrap=broker.bootstrap, data_dir=folder, partitions=PARTITIONS,
                session_timeout_ms=6_000, gateways_file=folder / "gateways.toml", vault_key="5e" * 32,
                gateway_secrets="kestrel:secret", webhook_secrets=f"kestrel:{SIGNING}",
            )  # fmt: skip
            await migrate(settings.database_url or "", PARTITIONS)
            await create_topics(settings, broker.bootstrap)
            pool = await connect_pool(database.url, name="test", size=4)
            pair: list[ChildProcess] = []
            try:
                pair += await asyncio.gather(serving(settings, "one"), serving(settings, "other"))
                async with webhook_server(webhooks, settings, pool, "kestrel"):
                    enough, orders = asyncio.Event(), list[str]()
                    asking = asyncio.create_task(ask(settings, orders, enough))
                    await trouble(settings, pair, broker, database, Random(SEED))
                    enough.set()
                    await asking
                    await at_rest(pool, sim, len(orders))
                    rows = await pool.fetch("SELECT state, outcome, presented, turns FROM gateway_calls")
            finally:
                for process in pair:
                    process.kill()
                await pool.close()
            told = Topics(sent=await records_of(settings, DEBIT_OUTCOMES.name))  # pyright: ignore[reportArgumentType]
            books = sim.books
            assert [entry.reference for entry in books.entries.values() if entry.times > 1] == []
            assert told.money() == books.moved()
            assert {row["state"] for row in rows} == {"answered", "withdrawn"}
            withdrawn = sum(row["state"] == "withdrawn" for row in rows)
            assert len(told.told()) == len(orders) - withdrawn
            # As bad as it was meant to be. (Whether an order comes a second time depends on when a process dies.)
            assert min(books.did[what] for what in ("silent_after", "error_after", "lost", "contradicts")) > 0
    finally:
        await database.stop()
        await broker.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def serving(settings: Settings, name: str) -> ChildProcess:
    """A static member of the group at work: who comes back under its name goes on with its partitions at once."""
    with Ear() as ear:
        more = {"QIST_INSTANCE": name, VARIABLE: ear.address, "PYTHONPATH": str(Path(__file__).parents[2])}
        child = ChildProcess(
            name=name,
            command=[sys.executable, "-m", "adapters.cli.main", "gateway"],
            log=settings.data_dir / "logs" / f"gateway-{name}.log",
            environment={**settings.environment(), **more},
        )
        child.spawn()
        await eventually(lambda: ear.heard() or child.ensure_running(), 40)
    return child


async def ask(settings: Settings, orders: list[str], enough: asyncio.Event) -> None:
    """Debits without pause, and some taken back; what the broker does not take is sent again, as the publisher does."""
    sender = Sender(settings, "test")
    try:
        while not enough.is_set():
            number = len(orders)
            body = debit_body("kestrel", number)
            orders.append(body["instruction_id"])
            await send(sender, "servicing.debit-instruction.v1", body)
            if number % 9 == 8:
                named = {name: body[name] for name in ("loan_id", "instruction_id")}
                await send(sender, "servicing.debit-withdrawal.v1", {**named, "reason": "paid"})
            await asyncio.sleep(0.1)
    finally:
        await sender.close()


async def send(sender: Sender, kind: str, body: dict[str, Any]) -> None:
    loan_id = body["loan_id"]
    while True:
        with suppress(BrokerDown):
            await sender.send(
                DEBIT_INSTRUCTIONS.name,
                partition=partition_of(loan_id, PARTITIONS),
                key=loan_id.encode(),
                value=orjson.dumps(body),
                headers=headers_for(kind, f"{kind}:{loan_id}", "test", SystemClock().now()),
            )
            return


async def trouble(
    settings: Settings, pair: list[ChildProcess], broker: Service, database: Service, dice: Random
) -> None:
    """Everything that can happen to a house, in an order by seed; nobody ends by himself."""

    async def killed() -> None:
        which = dice.randrange(2)
        pair[which].kill()
        pair[which] = await serving(settings, pair[which].name)

    async def frozen() -> None:
        """Longer than a lease: the other one has taken its orders over when it wakes."""
        process = psutil.Process(pair[dice.randrange(2)].pid)
        process.suspend()
        await asyncio.sleep(2.5)
        process.resume()

    async def gone(service: Service, how: signal.Signals) -> None:
        process = psutil.Process(service.pid)
        process.send_signal(how)
        await asyncio.to_thread(process.wait, 20)
        await asyncio.sleep(0.5)
        await service.start()

    happenings: list[Callable[[], Awaitable[None]]] = [
        *(3 * [killed]),
        frozen,
        lambda: gone(database, signal.SIGINT),  # in good order
        lambda: gone(database, signal.SIGQUIT),  # as if it had crashed
        lambda: gone(broker, signal.SIGKILL),
    ]
    dice.shuffle(happenings)
    await asyncio.sleep(1)
    for happening in happenings:
        await happening()
        await asyncio.sleep(dice.uniform(0.2, 1.5))
        for process in pair:
            process.ensure_running()


async def at_rest(pool: asyncpg.Pool, sim: ApiSimulator, orders: int) -> None:
    """Every order is known and answered, nothing is to be asked, heard or told any more."""
    async with asyncio.timeout(120):
        calm = 0
        while calm < 4:
            with suppress(*DATABASE_AWAY):
                known, waiting = await pool.fetchrow(
                    "SELECT (SELECT count(*) FROM gateway_calls),"
                    " (SELECT count(*) FROM gateway_calls WHERE next_at IS NOT NULL)"
                    " + (SELECT count(*) FROM gateway_outcomes WHERE published_at IS NULL)"
                    " + (SELECT count(*) FROM gateway_webhooks WHERE handled_at IS NULL)"
                )  # pyright: ignore[reportGeneralTypeIssues]
                calm = calm + 1 if known == orders and waiting == 0 and sim.at_rest else 0
            await asyncio.sleep(0.25)
