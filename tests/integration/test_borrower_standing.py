"""Rule 21 through the whole house: engine, log, publisher, `qist streams` as a process, and back; on both brokers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from adapters.embedded.broker import Broker
from streams.topics import COMMANDS, LOAN_STANDINGS, Topic
from tests.integration.house import PARTITIONS, House, a_house
from tests.integration.test_faust_roles import Streams

pytestmark = [pytest.mark.slow, pytest.mark.broker, pytest.mark.timeout(240)]

ONE, OTHER = "LN-1", "LN-2"


@pytest.fixture
async def house(database: str, new_broker: Broker, tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(database, new_broker.bootstrap, tmp_path) as house:
        yield house


@pytest.fixture
async def streams(house: House, new_broker: Broker, tmp_path: Path) -> AsyncIterator[Streams]:
    role = Streams(new_broker.bootstrap, tmp_path, PARTITIONS)
    await role.start()
    yield role
    role.child.kill()


async def book(house: House, loan_id: str, borrower: str = "B-1") -> None:
    """Paid out on 5 Jan, due on the 5th, and no debits: only the borrower's own payments move money."""
    terms = {
        "principal_paise": 1_00_000_00,
        "annual_rate_percent": "18.00",
        "instalments": 24,
        "disburse_on": "2026-01-05",
        "first_due_on": "2026-02-05",
    }
    body = {"loan_id": loan_id, "borrower": {"borrower_id": borrower}, "product": "personal-loan", "terms": terms}
    await house.tell("los.disbursals", "los.disbursal.requested.v1", body)
    await house.until(f"/api/v1/loans/{loan_id}", lambda loan: loan["state"] == "active")


async def pay(house: House, loan_id: str, rupees: int) -> None:
    """Enough for all that is owed today; what is too much is held for the next due day."""
    reference = f"P-{loan_id}-{house.now.isoformat()}"
    body = {
        "loan_id": loan_id,
        "payment_reference": reference,
        "amount_paise": rupees * 100,
        "method": "upi",
        "value_on": house.now.date().isoformat(),
        "at": house.now.isoformat(),
    }
    await house.tell("gateway.payments", "gateway.payment.received.v1", body, id=reference)
    events = f"/api/v1/loans/{loan_id}/events?limit=200"
    await house.until(events, lambda page: reference in str(page))
    await house.until(f"/api/v1/loans/{loan_id}", lambda loan: loan["dpd"] == 0)


async def classes_are(house: House, one: str, other: str) -> None:
    await house.until(f"/api/v1/loans/{ONE}", lambda loan: loan["classification"] == one, seconds=60)
    await house.until(f"/api/v1/loans/{OTHER}", lambda loan: loan["classification"] == other, seconds=60)


async def history(house: House) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await house.database.fetch("SELECT loan_id, version, topic, state FROM events")]


async def times_repeated(house: House) -> int:
    """Inbound records that the engine had seen before."""
    return int(await house.database.fetchval("SELECT sum(repeated) FROM partitions") or 0)


async def all_of(bootstrap: str, topic: Topic) -> list[ConsumerRecord[Any, Any]]:
    """Everything that is on a topic now."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        places = [TopicPartition(topic.name, number) for number in range(PARTITIONS)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        found: list[ConsumerRecord[Any, Any]] = []
        while batch := await consumer.getmany(timeout_ms=1_000):
            found += [record for records in batch.values() for record in records]
        return found
    finally:
        await consumer.stop()


async def send_again(house: House, records: list[ConsumerRecord[Any, Any]]) -> None:
    for record in records:
        await house.sender.send(
            record.topic, partition=record.partition, key=record.key, value=record.value, headers=list(record.headers)
        )


async def test_one_npa_loan_makes_both_npa_until_all_arrears_are_paid(
    house: House, streams: Streams, new_broker: Broker
) -> None:
    await book(house, ONE)
    await book(house, OTHER)
    for day in ("5 Feb 10:00", "5 Mar 10:00", "5 Apr 10:00", "5 May 10:00"):
        await house.clock(day)
        await pay(house, OTHER, 4_993)

    await house.clock("7 May 00:30")  # the 91st day of what fell due on 5 Feb has ended
    await classes_are(house, "NPA", "NPA")
    because = await house.database.fetchval(
        "SELECT convert_from(state, 'UTF8')::jsonb ->> 'because' FROM events"
        " WHERE loan_id = $1 AND topic = 'loan.borrower-standing-changed.v1'",
        OTHER,
    )
    assert because == ONE

    await streams.crash_and_start()  # the table comes back from its changelog

    await house.clock("8 May 10:00")
    await pay(house, ONE, 25_000)
    await classes_are(house, "standard", "standard")

    told = await all_of(new_broker.bootstrap, COMMANDS)
    assert {record.key for record in told} == {OTHER.encode()}
    before = await history(house)
    repeated = await times_repeated(house)
    await send_again(house, [*await all_of(new_broker.bootstrap, LOAN_STANDINGS), *told])
    async with asyncio.timeout(30):
        while await times_repeated(house) < repeated + len(told):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await asyncio.sleep(2)  # what the streams make of the records that came again would be here by now
    assert await history(house) == before


async def test_a_loan_of_another_borrower_hears_nothing(house: House, streams: Streams, new_broker: Broker) -> None:
    await book(house, ONE, "B-1")
    await book(house, OTHER, "B-2")
    await house.clock("7 May 00:30")
    await classes_are(house, "NPA", "NPA")
    stood = await all_of(new_broker.bootstrap, LOAN_STANDINGS)
    assert {record.key for record in stood} == {b"B-1", b"B-2"}
    await asyncio.sleep(2)
    assert await all_of(new_broker.bootstrap, COMMANDS) == []
