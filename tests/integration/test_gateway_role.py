"""Loans, the engine, the API and `qist gateway` with a gateway that misbehaves: the loans' books are the gateway's."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import orjson
import pytest

from adapters.embedded.broker import EmbeddedBroker
from adapters.embedded.ports import free_port
from adapters.gateways.simulators.api import ApiSimulator
from adapters.gateways.simulators.books import Mischief
from adapters.gateways.simulators.kestrel import KestrelFace
from adapters.roles.gateway import run_gateway
from tests.conftest import MakeDatabase
from tests.integration.house import SECRET, House, a_house

pytestmark = [pytest.mark.slow, pytest.mark.broker]

LOANS = [f"LN-{number}" for number in range(12)]
GATEWAYS = """
[sponsor-bank]
adapter = "kestrel"
url = "{url}"
key = "key"
payouts = true
mandates = ["enach"]
timeout_seconds = 0.3
look_again_seconds = [0.05, 0.1, 0.2]
again_after_seconds = 0.5
recheck_seconds = [0.5, 1.0]
later_seconds = 0.1
lease_seconds = 3
every_seconds = 0.05
"""


async def test_every_rupee_that_the_gateway_moved_is_in_the_loans_books_and_no_other(
    make_database: MakeDatabase, services_dir: Path
) -> None:
    folder = Path(tempfile.mkdtemp(dir=services_dir))
    port = free_port()
    simulator = ApiSimulator(
        face=KestrelFace(),
        seed=11,
        mischief=Mischief.of_all(0.12, fails=0.35),
        webhook_url=f"http://127.0.0.1:{port}/api/v1/webhooks/sponsor-bank",
        webhook_secret=SECRET,
        silence_seconds=0.6,
    )
    broker = EmbeddedBroker(data_dir=folder)
    await broker.start()
    try:
        async with make_database() as dsn, simulator as sim:
            path = folder / "gateways.toml"
            path.write_text(GATEWAYS.format(url=sim.url))
            async with a_house(
                dsn,
                broker.bootstrap,
                folder,
                more_roles=[run_gateway],
                http_port=port,
                gateways_file=path,
                gateway_secrets="sponsor-bank:secret",
            ) as house:
                for loan_id in LOANS:
                    await house.book(loan_id, borrower=f"B-{loan_id}")
                for day in ("6 Jan 10:00", "5 Feb 07:00", "8 Feb 10:00", "11 Feb 10:00", "5 Mar 07:00", "8 Mar 10:00"):
                    await at_rest(house, sim)
                    await house.clock(day)
                    await asyncio.sleep(0.5)
                await at_rest(house, sim)
                entries = sim.books.entries
                assert [entry.reference for entry in entries.values() if entry.times > 1] == []
                assert await money_of_loans(house) == money_of_gateway(sim)
                assert await house.database.fetch("SELECT reason, detail FROM dead_letters") == []
                kinds = Counter(entry.kind for entry in entries.values())
                assert kinds["debit"] >= len(LOANS) // 2  # a payout that failed for good leaves nothing to debit
                assert kinds["payout"] >= len(LOANS)
                metrics = (await house.http.get("/metrics")).text
                assert "qist_gateway_untold_outcomes 0.0" in metrics
    finally:
        await broker.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def at_rest(house: House, sim: ApiSimulator) -> None:
    """Nothing is asked for, under way, or to be told, three looks in a row; and the books stand still."""
    calm, events = 0, -1
    async with asyncio.timeout(60):
        while calm < 4:
            open_calls, untold, unheard, logged, published = await house.database.fetchrow(
                "SELECT (SELECT count(*) FROM gateway_calls WHERE next_at IS NOT NULL),"
                " (SELECT count(*) FROM gateway_outcomes WHERE published_at IS NULL),"
                " (SELECT count(*) FROM gateway_webhooks WHERE handled_at IS NULL),"
                " (SELECT sum(position) FROM partitions)::bigint, (SELECT sum(published) FROM partitions)::bigint"
            )  # pyright: ignore[reportGeneralTypeIssues]
            quiet = open_calls == untold == unheard == 0 and logged == published == events and sim.at_rest
            calm, events = calm + 1 if quiet else 0, logged
            await asyncio.sleep(0.25)


async def money_of_loans(house: House) -> dict[str, int]:
    """Loan -> paise that debits brought, less what was taken back, as the log has it."""
    rows = await house.database.fetch(
        "SELECT loan_id, topic, state FROM events"
        " WHERE topic IN ('loan.debit-succeeded.v1', 'loan.receipt-reversed.v1')"
    )
    sums: Counter[str] = Counter()
    for row in rows:
        sign = 1 if row["topic"] == "loan.debit-succeeded.v1" else -1
        sums[row["loan_id"]] += sign * orjson.loads(row["state"])["amount_paise"]
    return {loan_id: paise for loan_id, paise in sums.items() if paise}


def money_of_gateway(sim: ApiSimulator) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for entry in sim.books.entries.values():
        if entry.kind == "debit":
            sums[entry.loan_id or entry.reference.split(":")[0]] += entry.moved_paise
    return {loan_id: paise for loan_id, paise in sums.items() if paise}
