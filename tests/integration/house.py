"""A whole house in one process (engine, projector, API); the test is its LOS, its gateway and its clock."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from adapters.embedded.broker import EmbeddedBroker
from adapters.embedded.ports import free_port
from adapters.event_store.migrate import migrate
from adapters.kafka_admin import create_topics
from adapters.roles.api import run_api
from adapters.roles.engine import run_engine
from adapters.roles.projector import run_projector
from adapters.roles.run import Role
from adapters.sending import Sender
from adapters.settings import Settings
from streams.envelope import headers_for
from streams.topics import partition_of
from tests.conftest import MakeDatabase
from tests.stories import on

PARTITIONS = 4
SECRET = "correct-horse"
NAME, PHONE, ACCOUNT = "Asha Devi Kumari", "+919812345678", "50100123456789"
"""Personal data of every borrower here: no answer may hold any of it."""


@dataclass(slots=True)
class House:
    """Where things are, and how a test acts on them."""

    settings: Settings
    database: asyncpg.Connection[Any]
    http: httpx.AsyncClient
    sender: Sender
    now: datetime

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.http_port}"

    async def clock(self, said: str) -> None:
        """It is now "5 Feb 07:00"."""
        self.now = on(said)
        await self.database.execute(
            "INSERT INTO simulated_clock (now) VALUES ($1) ON CONFLICT (only_row) DO UPDATE SET now = excluded.now",
            self.now,
        )

    async def tell(
        self, topic: str, kind: str, body: Mapping[str, Any] | bytes, *, id: str = "", key: str = ""
    ) -> None:
        """A record on an inbound topic."""
        value = body if isinstance(body, bytes) else json.dumps(body).encode()
        key = key or ("" if isinstance(body, bytes) else body["loan_id"])
        await self.sender.send(
            topic,
            partition=partition_of(key, PARTITIONS),
            key=key.encode(),
            value=value,
            headers=headers_for(kind, id or f"{kind}:{key}:{self.now.isoformat()}", "test", self.now),
        )

    async def book(self, loan_id: str, *, borrower: str = "B-1", rupees: int = 1_00_000, months: int = 12) -> None:
        """An approved loan, due on the 5th, with a mandate; the payout is left to the gateway."""
        account = {"number": ACCOUNT, "ifsc": "HDFC0000001", "holder": NAME}
        await self.tell(
            "los.disbursals",
            "los.disbursal.requested.v1",
            {
                "loan_id": loan_id,
                "borrower": {"borrower_id": borrower, "name": NAME, "phone": PHONE, "email": "asha@example.in"},
                "product": "personal-loan",
                "terms": {
                    "principal_paise": rupees * 100,
                    "annual_rate_percent": "18.00",
                    "instalments": months,
                    "disburse_on": "2026-01-05",
                    "first_due_on": "2026-02-05",
                },
                "payout": {"rail": "auto", "account": account},
                "mandate": {
                    "mandate_id": f"M-{loan_id}",
                    "rail": "enach",
                    "umrn": "HDFC7000000000000042",
                    "status": "active",
                    "max_amount_paise": 50_000_00,
                    "valid_from": "2026-01-01",
                    "valid_until": "2030-01-01",
                    "bank": "HDFC",
                    "account": account,
                },
            },
        )

    async def pay_out(self, loan_id: str) -> None:
        """The money reached the borrower."""
        body = {"loan_id": loan_id, "instruction_id": f"{loan_id}:payout:1:1", "at": self.now.isoformat()}
        await self.tell("gateway.payout-outcomes", "gateway.payout.settled.v1", body)

    async def answer_debit(self, instruction_id: str, *, code: str = "") -> None:
        """The gateway's word on a debit: all of it came in, or it failed with a code."""
        loan_id = instruction_id.split(":")[0]
        asked = await self.until(
            f"/api/v1/loans/{loan_id}", lambda loan: instruction_id in str(loan["debits_in_flight"])
        )
        [paise] = [
            debit["amount_paise"] for debit in asked["debits_in_flight"] if debit["instruction_id"] == instruction_id
        ]
        body = {
            "loan_id": loan_id,
            "instruction_id": instruction_id,
            "amount_paise": paise,
            "rail": "enach",
            "bank": "HDFC",
            "gateway": "sponsor-bank",
            "gateway_reference": f"GW-{instruction_id}",
            "at": self.now.isoformat(),
            **({"code": code} if code else {}),
        }
        kind = "gateway.debit.failed.v1" if code else "gateway.debit.succeeded.v1"
        await self.tell("gateway.debit-outcomes", kind, body)
        # Before the clock moves on: what is decided later is decided of another day.
        await self.until(f"/api/v1/loans/{loan_id}", lambda loan: instruction_id not in str(loan["debits_in_flight"]))

    async def get(self, path: str, **options: Any) -> Any:
        """The JSON behind an address; anything but 200 fails."""
        answer = await self.http.get(path, **options)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer.json()

    async def until(self, path: str, holds: Callable[[Any], object], seconds: float = 20) -> Any:
        """Ask again and again until the answer is as it will be; the answer."""
        seen: Any = None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    answer = await self.http.get(path)
                    seen = answer.json() if answer.status_code == 200 else answer.text
                    if answer.status_code == 200 and holds(seen):
                        return seen
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{path} stayed as it was: {str(seen)[:2000]}") from None


@asynccontextmanager
async def a_house(
    dsn: str, bootstrap: str, folder: Path, *, more_roles: Sequence[Role] = (), **more: Any
) -> AsyncIterator[House]:
    """Everything runs until the block ends; then it stops in an orderly way, or the test fails."""
    more = {"http_port": free_port(), "api_auth": "open", **more}
    settings = Settings(
        database_url=dsn,
        kafka_bootstrap=bootstrap,
        data_dir=folder,
        partitions=PARTITIONS,
        clock="stepped",
        batch_wait_ms=10,
        vault_key="5e" * 32,  # pyright: ignore[reportArgumentType]
        webhook_secrets=f"sponsor-bank:{SECRET},sponsor-bank:the-next-one",  # pyright: ignore[reportArgumentType]
        **more,
    )
    await migrate(dsn, PARTITIONS)
    await create_topics(settings, bootstrap)
    stop, database = asyncio.Event(), await asyncpg.connect(dsn)
    sender = Sender(settings, "test")
    # The server closes what is idle for 5 seconds: we do so first, or a request meets a closed door.
    limits = httpx.Limits(keepalive_expiry=2)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.http_port}", timeout=40, limits=limits) as http:
        house = House(settings, database, http, sender, on("5 Jan 10:00"))
        await house.clock("5 Jan 10:00")
        roles = [
            asyncio.create_task(run_engine(settings, stop, partitions=list(range(PARTITIONS)))),
            asyncio.create_task(run_projector(settings, stop)),
            asyncio.create_task(run_api(settings, stop)),
            *(asyncio.create_task(role(settings, stop)) for role in more_roles),
        ]
        try:
            async with asyncio.timeout(30):
                while not await _answers(http):
                    for role in roles:
                        if role.done():
                            role.result()
                    await asyncio.sleep(0.05)
            yield house
        finally:
            stop.set()
            async with asyncio.timeout(30):
                await asyncio.gather(*roles)
            await sender.close()
            await database.close()


async def _answers(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/healthz")).status_code == 200
    except httpx.TransportError:
        return False


@asynccontextmanager
async def a_house_of_its_own(make_database: MakeDatabase, services_dir: Path, **settings: Any) -> AsyncIterator[House]:
    """On a database and an embedded broker that nobody else uses; both are gone afterwards."""
    folder = Path(tempfile.mkdtemp(dir=services_dir))
    broker = EmbeddedBroker(data_dir=folder)
    await broker.start()
    try:
        async with make_database() as dsn, a_house(dsn, broker.bootstrap, folder, **settings) as house:
            yield house
    finally:
        await broker.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def qist(house: House, *arguments: str) -> tuple[int | None, str, str]:
    """A command in this house, on a wide screen: exit status, stdout, stderr."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "adapters.cli.main", *arguments,
        env={**os.environ, **house.settings.environment(), "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await started.communicate()
    return started.returncode, out.decode(), err.decode()
