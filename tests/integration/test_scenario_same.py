"""Each life in tests/scenarios, lived once more by an engine on Kafka and PostgreSQL, comes to the same.

The messages are those of the life in memory, sent at the same instants: the clock stands still at each until the
engine has dealt with it. All loans live in one house, side by side. Loans that are not collected have a house of
their own, since there no product asks for debits.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import asyncpg
import pytest
from aiokafka import ConsumerRecord

from adapters.audit import verify
from adapters.database import connect_pool
from adapters.embedded.broker import Broker
from adapters.event_store.migrate import migrate
from adapters.event_store.postgres import PostgresLog
from adapters.kafka import client_options, cluster_identity, new_producer
from adapters.kafka_admin import create_topics
from adapters.scenario import Life, Scenario, answer, live
from adapters.scenario.answer import balances
from adapters.scenario.life import rules_for
from adapters.sending import Sender
from adapters.settings import Settings
from adapters.vault import Vault
from domain.calendar import IST
from domain.codec import decode
from domain.loan import Loan
from domain.refusals import Refusal
from domain.views import loan_summary, schedule_rows
from projections.ledger import BY_CODE
from projections.registry import ALL
from streams.engine import Batch, Engine
from streams.inbox import KafkaInbox
from streams.projector import Projector
from streams.publisher import Producer, Publisher
from streams.topics import (
    CASES,
    DEBIT_INSTRUCTIONS,
    INBOUND,
    MANDATE_INSTRUCTIONS,
    NOTIFICATIONS,
    PAYMENT_LINKS,
    PAYOUT_INSTRUCTIONS,
)
from tests.integration.world import PARTITIONS, home_of, records_of
from tests.scenario_files import RULES, scenarios

pytestmark = [pytest.mark.broker, pytest.mark.slow]

TOLD = {
    "instructions": (PAYOUT_INSTRUCTIONS.name, DEBIT_INSTRUCTIONS.name, MANDATE_INSTRUCTIONS.name, PAYMENT_LINKS.name),
    "notifications": (NOTIFICATIONS.name,),
    "cases": (CASES.name,),
}
"""Part of the answer -> the topics on which a gateway or a person gets it."""

NOT_UNDERSTOOD = {Refusal.malformed, Refusal.loan_id_invalid}


class Clock:
    """It stands still until the test moves it."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    async def refresh(self) -> None: ...

    def now(self) -> datetime:
        return self.at


class House:
    """An engine and a projector, and the sender of every message."""

    def __init__(self, settings: Settings, pool: asyncpg.Pool, clock: Clock, engine: Engine) -> None:
        self.settings, self.pool, self.clock, self.engine = settings, pool, clock, engine
        self.sender = Sender(settings, "test")
        self.sent = self.handled = 0
        self.progress = asyncio.Event()

    def saw(self, batch: Batch, seconds: float) -> None:
        self.handled += len(batch.records)
        self.progress.set()

    async def live(self, lives: list[Life]) -> None:
        """Send everything at its instant: a loan's next message after the engine has dealt with the one before."""
        plan: dict[datetime, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
        for life in lives:
            for sent in life.sent:
                plan[sent.at][cast(bytes, sent.record.key).decode()].append(sent.record)
        for at in sorted(plan):
            self.clock.at = at
            queues = list(plan[at].values())
            for turn in range(max(map(len, queues))):
                await asyncio.gather(*(self.send(queue[turn]) for queue in queues if turn < len(queue)))
                await self.dealt_with()

    async def send(self, record: Any) -> None:
        self.sent += 1
        key = record.key
        home = home_of(key.decode())
        await self.sender.send(record.topic, partition=home, key=key, value=record.value, headers=record.headers)

    async def dealt_with(self) -> None:
        async with asyncio.timeout(20):
            while self.handled < self.sent:
                self.progress.clear()
                await self.progress.wait()

    async def until(self, at: datetime) -> None:
        """Let time pass with nothing sent, until the agenda has nothing left to do by then."""
        self.clock.at = at
        async with asyncio.timeout(60):
            while True:
                if not await self.pool.fetchval("SELECT count(*) FROM agenda WHERE due_at <= $1", at):
                    return
                await asyncio.sleep(0.02)

    async def project(self) -> None:
        """The read models, up to the log's end."""
        projector = Projector(self.pool, [projection(RULES) for projection in ALL], range(PARTITIONS))
        async with self.pool.acquire() as connection:
            await projector.take_stock(connection)
            while await projector.step(connection):
                pass


@asynccontextmanager
async def a_house(dsn: str, bootstrap: str, folder: Path, rules: Any, begins_at: datetime) -> AsyncIterator[House]:
    """The engine role with a clock and rules of the test's own."""
    settings = Settings(database_url=dsn, kafka_bootstrap=bootstrap, data_dir=folder, partitions=PARTITIONS)
    await migrate(dsn, PARTITIONS)
    await create_topics(settings, bootstrap)
    pool = await connect_pool(dsn, name="scenarios", role=None)
    log = PostgresLog(pool, Vault(bytes(range(32))))
    publisher = Publisher(lambda: cast(Producer, new_producer(settings, "engine")), log)
    inbox = KafkaInbox(
        topics=[topic.name for topic in INBOUND],
        group=settings.engine_group,
        client_options=client_options(settings, "engine"),
        partitions=list(range(PARTITIONS)),
        instance=settings.instance,
        session_timeout_ms=settings.session_timeout_ms,
        batch_size=settings.batch_size,
    )
    clock, stop = Clock(begins_at), asyncio.Event()
    engine = Engine(
        inbox=inbox,
        events=log,
        publisher=publisher,
        clock=clock,
        rules=rules,
        partition_count=PARTITIONS,
        cluster_id=await cluster_identity(settings, "test"),
        owner="the only one",
        wait_ms=5,
        on_batch=lambda batch, seconds: house.saw(batch, seconds),
    )
    house = House(settings, pool, clock, engine)
    await inbox.start()
    running = asyncio.create_task(engine.run(stop))
    try:
        yield house
        stop.set()
        await running  # it leaves with everything published
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await house.sender.close()
        await inbox.stop()
        await publisher.close()
        await pool.close()


@pytest.mark.parametrize("new_broker", ["tansu"], indirect=True)
@pytest.mark.parametrize(
    ("collect", "collections"),
    [(True, False), (False, False), (False, True)],
    ids=["collected", "not collected", "by strategy"],
)
async def test_the_same_life_by_kafka_and_postgres(
    new_broker: Broker, database: str, tmp_path: Path, collect: bool, collections: bool
) -> None:
    told = {
        name: scenario
        for name, scenario in scenarios()
        if (scenario.collect, scenario.collections) == (collect, collections)
    }
    assert told
    lives = {name: live(scenario, RULES) for name, scenario in told.items()}
    rules = rules_for(next(iter(told.values())), RULES)
    begins_at = min(scenario.begins_at for scenario in told.values())
    async with a_house(database, new_broker.bootstrap, tmp_path, rules, begins_at) as house:
        await house.live(list(lives.values()))
        await house.until(max(scenario.ends_at for scenario in told.values()))
        await house.project()
        findings = await verify(house.pool, RULES)
        assert findings.differences == []
        came = {name: await what_came(house.pool, scenario, rules) for name, scenario in told.items()}
        letters = await house.pool.fetch("SELECT reason FROM dead_letters")
    records = await records_of(house.settings, *(topic for topics in TOLD.values() for topic in topics))
    for name, scenario in told.items():
        expected = answer(scenario, lives[name], RULES)
        for part in ("events", "loan", "schedule"):
            assert came[name][part] == expected[part], (name, part)
        for part in ("entries", "balances", "trial_balance_paise"):
            assert came[name]["ledger"][part] == expected["ledger"][part], (name, part)
        for part, topics in TOLD.items():
            assert in_order(published(records, scenario, topics)) == in_order(expected[part]), (name, part)
    # A refused command has a result of its own, anything else is a dead letter.
    refused = [no for life in lives.values() for no in life.rejected]
    expected_letters = [
        no["reason"] for no in refused if not no["type"].startswith("servicing.") or no["reason"] in NOT_UNDERSTOOD
    ]
    assert sorted(letter["reason"] for letter in letters) == sorted(expected_letters)


async def what_came(pool: asyncpg.Pool, scenario: Scenario, rules: Any) -> dict[str, Any]:
    """The answer's main parts as the database has them, of everything up to the scenario's last moment."""
    loan_id, end = scenario.disbursal["loan_id"], scenario.ends_at
    rows = await pool.fetch(
        "SELECT * FROM events WHERE loan_id = $1 AND occurred_at <= $2 ORDER BY version", loan_id, end
    )
    loan, events = Loan.shell(loan_id), []
    for row in rows:
        event = decode(row["topic"], row["state"], loan_id, row["version"])
        loan.evolve(event)
        data = {name: value for name, value in json.loads(row["state"]).items() if name != "timestamp"}
        at = event.timestamp.isoformat()
        events.append({"type": row["topic"], "version": row["version"], "at": at, "data": data})
    journal = await pool.fetch(
        "SELECT j.*, e.version FROM ledger.journal j JOIN events e USING (partition, position)"
        " WHERE j.loan_id = $1 AND booked_at <= $2 ORDER BY position",
        loan_id,
        end,
    )
    entries = list(entries_of(journal))
    totals: Counter[int] = Counter()
    for entry in entries:
        totals[entry["account"]] += entry["paise"]
    return {
        "events": events,
        "loan": loan_summary(loan, end, rules) if rows else None,
        "schedule": schedule_rows(loan, scenario.until, rules) if rows else [],
        "ledger": {
            "entries": entries,
            "balances": dict(balances(totals)),
            "trial_balance_paise": sum(entry["paise"] for entry in entries),
        },
    }


def entries_of(journal: list[asyncpg.Record]) -> Iterator[dict[str, Any]]:
    for row in journal:
        for account, paise in zip(row["accounts"], row["amounts"], strict=True):
            yield {
                "event": row["topic"],
                "version": row["version"],
                "value_on": row["value_on"].isoformat(),
                "booked_on": row["booked_at"].astimezone(IST).date().isoformat(),
                "reference": row["reference"],
                "account": account,
                "name": BY_CODE[account].name,
                "paise": paise,
            }


def published(
    records: list[ConsumerRecord[Any, Any]], scenario: Scenario, topics: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    """What was told of a loan on these topics, as the answer has it; the vault's part is left out."""
    for record in records:
        headers = dict(record.headers)
        at = headers["ce_time"].decode()
        body = json.loads(record.value or b"{}")
        body.pop("account", None)
        of_this_loan = body["loan_id"] == scenario.disbursal["loan_id"]
        if record.topic in topics and of_this_loan and datetime.fromisoformat(at) <= scenario.ends_at:
            yield {"type": headers["ce_type"].decode(), "at": at, **body}


def in_order(told: Iterable[dict[str, Any]]) -> list[str]:
    """Topics have no order between them."""
    return sorted(json.dumps(one, sort_keys=True) for one in told)
