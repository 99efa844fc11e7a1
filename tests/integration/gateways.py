"""A gateway's desk on a real database, with a gateway that misbehaves and a broker that is a list."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import httpx
import orjson
import uvicorn
from fastapi import FastAPI

from adapters.database import connect_pool
from adapters.embedded.ports import free_port
from adapters.event_store.migrate import migrate
from adapters.gateways.calls import Calls
from adapters.gateways.config import Api, Files, open_gateway, vendor_of
from adapters.gateways.desk import Desk, Outgoing
from adapters.gateways.simulators.api import ApiSimulator
from adapters.gateways.simulators.bank import BankSimulator
from adapters.gateways.simulators.banyan import BanyanFace
from adapters.gateways.simulators.kestrel import KestrelFace
from adapters.http import pay
from adapters.http.problems import install
from adapters.http.webhooks import router
from adapters.settings import Settings
from adapters.vault import Vault
from streams.clock import SystemClock
from streams.envelope import Record, headers_for
from streams.topics import COMMANDS
from tests.eventually import eventually

SECRET, SIGNING = "api-secret", "signing-secret"
FACES = {"banyan": BanyanFace, "kestrel": KestrelFace}
QUICK: dict[str, Any] = {
    "look_again_seconds": (0.03, 0.05, 0.1),
    "again_after_seconds": 0.25,
    "recheck_seconds": (0.5, 0.8),
    "later_seconds": 0.03,
    "lease_seconds": 0.6,
    "every_seconds": 0.02,
    "at_once": 200,
}


class Crashed(Exception):
    """The process is dead at this point."""


@dataclass
class Topics:
    """Instructions in, outcomes out: a broker that keeps everything."""

    records: list[Record] = field(default_factory=list)
    sent: list[Outgoing] = field(default_factory=list)
    committed: int = 0
    _read: int = 0

    def instruct(self, kind: str, **body: Any) -> None:
        headers = tuple(headers_for(kind, f"i:{len(self.records)}", "test", SystemClock().now()))
        value = orjson.dumps(body)
        self.records.append(
            Record("servicing.debit-instructions", 0, len(self.records), body["loan_id"].encode(), headers, value)
        )

    def start_over(self) -> None:
        """A new member of the group reads from what was committed."""
        self._read = self.committed

    async def poll(self) -> Sequence[Record]:
        await asyncio.sleep(0.005)
        found = self.records[self._read : self._read + 50]
        self._read += len(found)
        return found

    async def commit(self) -> None:
        self.committed = self._read

    async def send(self, records: Sequence[Outgoing]) -> None:
        self.sent.extend(records)

    def told(self) -> dict[str, list[tuple[str, dict[str, Any]]]]:
        """Instruction -> what was told of it, each fact once (by its ce_id), in order."""
        seen: set[str] = set()
        told: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
        for one in self.sent:
            headers = dict(one.headers)
            identity = headers["ce_id"].decode()
            if identity not in seen and one.topic != COMMANDS.name:
                seen.add(identity)
                body = orjson.loads(one.value)
                told[body.get("instruction_id", "")].append((headers["ce_type"].decode(), body))
        return told

    def money(self) -> dict[str, int]:
        """Instruction -> paise, as whoever reads the outcomes adds them up."""
        sums: Counter[str] = Counter()
        for instruction, facts in self.told().items():
            for kind, body in facts:
                word = kind.split(".")[2]
                sums[instruction] += {"succeeded": 1, "settled": 1, "reversed": -1, "returned": -1}.get(word, 0) * body[
                    "amount_paise"
                ]
        return {instruction: paise for instruction, paise in sums.items() if paise}


@dataclass
class Office:
    """Everything around one gateway."""

    name: str
    config: Api | Files
    settings: Settings
    pool: asyncpg.Pool
    topics: Topics
    sim: ApiSimulator | BankSimulator | None = None
    crashes: int = 0
    url: str = ""
    vault: Vault = field(default_factory=lambda: Vault(b"k" * 32))

    def desk(self, crash_at: Callable[[str], None] = lambda point: None) -> Desk:
        return Desk(
            gateway=open_gateway(self.name, self.config, self.settings),
            takes=self.config,
            calls=Calls(self.pool, self.name, self.vault, self.config.patience),
            inbox=self.topics,
            sender=self.topics,
            home=lambda loan_id: 0,
            clock=SystemClock(),
            webhooks=vendor_of(self.config) if isinstance(self.config, Api) else None,
            crash_at=crash_at,
        )

    @asynccontextmanager
    async def at_work(self, crash_rate: float = 0.0, seed: int = 0) -> AsyncIterator[None]:
        """The desk at work, and its successor when it crashes."""
        dice, stop = random.Random(seed), asyncio.Event()

        def crash_at(point: str) -> None:
            if dice.random() < crash_rate:
                raise Crashed(point)

        async def live() -> None:
            while not stop.is_set():
                self.topics.start_over()
                try:
                    await self.desk(crash_at).run(stop)
                except* Crashed:
                    self.crashes += 1

        living = asyncio.create_task(live())
        try:
            yield
        finally:
            stop.set()
            try:
                await asyncio.wait_for(living, 10)
            except TimeoutError:
                living.cancel()
                with suppress(asyncio.CancelledError):
                    await living

    async def answer_of(self, path: str) -> httpx.Response:
        """What the server that takes webhooks says."""
        async with httpx.AsyncClient(base_url=self.url) as client:
            return await client.get(path)

    async def rows(self, what: str = "true") -> list[asyncpg.Record]:
        return await self.pool.fetch(f"SELECT * FROM gateway_calls WHERE {what} ORDER BY instruction_id")

    async def at_rest(self, seconds: float = 40) -> None:
        """All is answered, looked at again, heard and told, and the gateway does nothing more by itself."""

        async def still() -> bool:
            waiting = await self.pool.fetchval(
                "SELECT (SELECT count(*) FROM gateway_calls WHERE next_at IS NOT NULL)"
                " + (SELECT count(*) FROM gateway_outcomes WHERE published_at IS NULL)"
                " + (SELECT count(*) FROM gateway_webhooks WHERE handled_at IS NULL)"
            )
            known = await self.pool.fetchval("SELECT count(*) FROM gateway_calls")
            quiet = self.sim is None or self.sim.at_rest
            return quiet and waiting == 0 and known > 0 and self.topics.committed == len(self.topics.records)

        try:
            async with asyncio.timeout(seconds):
                calm = 0
                while calm < 3:
                    calm = calm + 1 if await still() else 0
                    await asyncio.sleep(0.05)
        except TimeoutError:
            open_calls = [dict(row) for row in await self.rows("next_at IS NOT NULL")]
            raise AssertionError(f"no rest: {self.sim}, {open_calls[:3]}") from None


@asynccontextmanager
async def api_office(vendor: str, dsn: str, seed: int, mischief: Any, **more: Any) -> AsyncIterator[Office]:
    """A gateway with an API, its simulator, and a server that takes its webhooks."""
    await migrate(dsn, 4)
    pool = await connect_pool(dsn, name="gateway-test", size=12)
    settings = Settings(
        webhook_secrets=f"{vendor}:{SIGNING}",  # pyright: ignore[reportArgumentType]
        gateway_secrets=f"{vendor}:{SECRET}",  # pyright: ignore[reportArgumentType]
    )
    port = free_port()
    simulator = ApiSimulator(
        face=FACES[vendor](),
        seed=seed,
        mischief=mischief,
        key="key-1",
        secret=SECRET,
        webhook_url=f"http://127.0.0.1:{port}/webhooks/{vendor}",
        webhook_secret=SIGNING,
        silence_seconds=0.4,
        late_seconds=0.15,
    )
    try:
        async with simulator as sim, webhook_server(port, settings, pool, vendor) as _:
            config = Api(adapter=vendor, url=sim.url, key="key-1", timeout_seconds=0.2, **{**QUICK, **more})  # pyright: ignore[reportArgumentType]
            yield Office(vendor, config, settings, pool, Topics(), sim, url=f"http://127.0.0.1:{port}")
    finally:
        await pool.close()


@asynccontextmanager
async def bank_office(dsn: str, folder: Path, seed: int, mischief: Any) -> AsyncIterator[Office]:
    """A sponsor bank that takes files, with rounds ten times a second."""
    await migrate(dsn, 4)
    pool = await connect_pool(dsn, name="gateway-test", size=8)
    bank = BankSimulator(folder=folder, utility_code="NACH1", seed=seed, mischief=mischief)
    quick = {**QUICK, "look_again_seconds": (0.3, 0.3), "recheck_seconds": ()}
    config = Files(adapter="nach-files", folder=folder, utility_code="NACH1", **quick)

    async def rounds() -> None:
        while True:
            await asyncio.to_thread(bank.turn)
            await asyncio.sleep(0.05)

    turning = asyncio.create_task(rounds())
    try:
        yield Office("sponsor-bank", config, Settings(), pool, Topics(), bank)
    finally:
        turning.cancel()
        await pool.close()


@asynccontextmanager
async def webhook_server(port: int, settings: Settings, pool: asyncpg.Pool, vendor: str) -> AsyncIterator[None]:
    """The API's own route, in a server of its own."""
    app = FastAPI()
    app.include_router(router)
    app.include_router(pay.router)
    install(app)
    config = Api(adapter=vendor, url="http://unused", key="k")  # pyright: ignore[reportArgumentType]
    app.state.desk = SimpleNamespace(settings=settings, pool=pool, vendors={vendor: vendor_of(config)}, partitions=4)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, access_log=False))
    server.install_signal_handlers = lambda: None  # pyright: ignore[reportAttributeAccessIssue]
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: server.started, 10)
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def debit(topics: Topics, gateway: str, number: int, *, paise: int = 499_300, rail: str = "enach", **more: Any) -> str:
    """A debit is asked for: its instruction id."""
    body = debit_body(gateway, number, paise=paise, rail=rail, **more)
    topics.instruct("servicing.debit-instruction.v1", **body)
    return body["instruction_id"]


def debit_body(gateway: str, number: int, *, paise: int = 499_300, rail: str = "enach", **more: Any) -> dict[str, Any]:
    return {
        "loan_id": f"LN-{number}",
        "instruction_id": f"LN-{number}:1:1",
        "amount_paise": paise,
        "mandate_id": f"M-{number}",
        "umrn": f"HDFC0000000{number}",
        "rail": rail,
        "gateway": gateway,
        "bank": "HDFC",
        "due_on": "2026-02-05",
        "attempt": 1,
        "instalment": 1,
        "present_at": SystemClock().now().isoformat(),
        **more,
    }
