"""The engine turn by turn, on a real PostgreSQL and a Kafka of our own making: what is rare, made to happen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError

import streams.engine
import streams.inbox
from adapters.database import connect_pool
from adapters.event_store.migrate import migrate
from adapters.event_store.postgres import PostgresLog
from adapters.vault import Vault
from domain import commands as c
from streams.engine import Engine
from streams.envelope import Record
from streams.inbox import KafkaInbox
from streams.ports import DeadLetter, Part
from streams.publisher import Publisher, send_letter
from streams.topics import partition_of
from streams.wire import Secret
from tests.lives import RULES
from tests.stories import on

PARTITIONS = 2
LOAN = "LN-1"
HOME = partition_of(LOAN, PARTITIONS)
NOW = on("1 Mar")


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    async def refresh(self) -> None: ...

    def now(self) -> datetime:
        return self.at


class Inbox:
    """Gives what a test puts in; what was not committed comes again."""

    def __init__(self) -> None:
        self.unclaimed = frozenset(range(PARTITIONS))
        self.records: list[Record] = []
        self.reached: dict[tuple[str, int], int] = {}

    def put(self, topic: str, kind: str, body: Any, *, partition: int = HOME, **headers: bytes | None) -> Record:
        value = body if isinstance(body, bytes) else json.dumps({"loan_id": LOAN, **body}).encode()
        offset = sum((record.topic, record.partition) == (topic, partition) for record in self.records)
        named = (("ce_type", kind.encode()), ("ce_id", f"{topic}-{offset}".encode()), *headers.items())
        self.records.append(Record(topic, partition, offset, LOAN.encode(), named, value))
        return self.records[-1]

    async def poll(self, wait_ms: int) -> list[Record]:
        fresh = [r for r in self.records if r.offset >= self.reached.get((r.topic, r.partition), 0)]
        self.reached |= {(record.topic, record.partition): record.offset + 1 for record in fresh}
        return fresh if not self.unclaimed else []

    async def open(self, offsets: Mapping[int, Mapping[str, int]]) -> None:
        self.reached = {(topic, number): offset for number, of in offsets.items() for topic, offset in of.items()}
        self.unclaimed = frozenset()

    def close(self, partitions: Collection[int]) -> None:
        self.unclaimed = frozenset(partitions)

    def take_revoked(self) -> set[int]:
        return set()

    async def note_progress(self, offsets: Any) -> None: ...


class Producer:
    """Keeps what it is given; fails when a test says so."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.fails: Callable[[str, dict[str, Any]], Exception | None] = lambda topic, record: None

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def send(self, topic: str, **record: Any) -> asyncio.Future[None]:
        done = asyncio.get_running_loop().create_future()
        error = self.fails(topic, record)
        if error is None:
            self.sent.append((topic, record))
            done.set_result(None)
        else:
            done.set_exception(error)
        return done

    def on(self, topic: str) -> list[dict[str, Any]]:
        return [record for known, record in self.sent if known == topic]


class House:
    """One engine and all around it."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool, self.clock, self.inbox, self.producer = pool, Clock(), Inbox(), Producer()
        self.log = PostgresLog(pool, Vault(bytes(range(32))))
        self.publisher = Publisher(lambda: self.producer, self.log)
        self.engine = self.an_engine("first")

    def an_engine(self, owner: str) -> Engine:
        return Engine(
            inbox=self.inbox,  # type: ignore[arg-type]
            events=self.log,
            publisher=self.publisher,
            clock=self.clock,
            rules=RULES,
            partition_count=PARTITIONS,
            cluster_id="cluster-1",
            owner=owner,
        )

    async def events(self) -> list[str]:
        """Kinds of events, in the log's order, without `loan.` and `.v1`."""
        rows = await self.pool.fetch("SELECT position, topic FROM events WHERE partition = $1 ORDER BY 1", HOME)
        assert [row["position"] for row in rows] == list(range(1, len(rows) + 1))
        return [row["topic"].removeprefix("loan.").removesuffix(".v1") for row in rows]

    async def letters(self) -> list[tuple[str, str]]:
        rows = await self.pool.fetch("SELECT reason, value FROM dead_letters ORDER BY id")
        return [(row["reason"], json.loads(row["value"]).get("payment_reference", "")) for row in rows]

    def book(self) -> None:
        day = NOW.date().isoformat()
        terms = {
            "principal_paise": 1_00_00_000, "annual_rate_percent": "18.00", "instalments": 12,
            "disburse_on": day, "first_due_on": "2026-04-05",
        }  # fmt: skip
        payout = {"rail": "auto", "account": {"number": "1", "ifsc": "HDFC0000001"}}
        body = {"borrower": {"borrower_id": "B-1"}, "product": "personal-loan", "terms": terms, "payout": payout}
        self.inbox.put("los.disbursals", "los.disbursal.requested.v1", body)

    def settle(self) -> None:
        self.inbox.put("gateway.payout-outcomes", "gateway.payout.settled.v1", {"at": NOW.isoformat()})

    def pay(self, reference: str, paise: int = 100, **more: Any) -> Record:
        body = {"payment_reference": reference, "amount_paise": paise, "method": "upi", "value_on": "2026-03-01"}
        return self.inbox.put("gateway.payments", "gateway.payment.received.v1", body, **more)

    def debit(self) -> None:
        body = {"instruction_id": f"{LOAN}:1:1", "amount_paise": 500, "at": NOW.isoformat()}
        self.inbox.put("gateway.debit-outcomes", "gateway.debit.succeeded.v1", body)


@pytest.fixture
async def house(database: str) -> AsyncIterator[House]:
    await migrate(database, PARTITIONS)
    pool = await connect_pool(database, name="test")
    yield House(pool)
    await pool.close()


# --- defects of ours -----------------------------------------------------------------------------------------


async def test_a_defect_sets_its_own_message_aside_and_no_other(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(loan: Any, command: Any, *rest: Any) -> Any:
        if isinstance(command, c.ReceivePayment) and command.reference == "boom":
            raise ZeroDivisionError
        return sound(loan, command, *rest)

    sound = streams.engine.handle
    monkeypatch.setattr(streams.engine, "handle", handle)
    house.book()
    house.settle()
    for reference in ("before", "boom", "after"):
        house.pay(reference)
    assert await house.engine.turn() == 0
    assert (await house.events())[-2:] == ["payment-received", "payment-received"]
    assert await house.letters() == [("defect", "boom")]
    house.pay("later")
    await house.engine.turn()
    assert (await house.events()).count("payment-received") == 3


async def test_a_defect_in_understanding_sets_its_record_aside(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def understand(record: Record) -> Any:
        if b"boom" in (record.value or b""):
            raise ZeroDivisionError
        return sound(record)

    sound = streams.engine.understand
    monkeypatch.setattr(streams.engine, "understand", understand)
    house.book()
    house.pay("boom")
    house.pay("fine")
    await house.engine.turn()
    assert await house.letters() == [("defect", "boom")]
    assert "payment-received" in await house.events()


async def test_a_loan_whose_agenda_meets_a_defect_does_not_hold_up_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.book()
    house.settle()
    await house.engine.turn()
    due_at = await house.pool.fetchval("SELECT due_at FROM agenda")
    monkeypatch.setattr(streams.engine, "handle", lambda *_: 1 / 0)
    house.clock.at = due_at + timedelta(minutes=1)
    await house.engine.turn()
    assert await house.pool.fetchval("SELECT due_at FROM agenda") == house.clock.at + timedelta(hours=1)
    monkeypatch.undo()
    house.clock.at += timedelta(hours=2)
    house.inbox.close(range(PARTITIONS))
    await house.an_engine("a corrected one").turn()
    assert "month-closed" in await house.events()


# --- parked, and sent on -------------------------------------------------------------------------------------


async def test_what_was_parked_in_one_batch_is_taken_in_the_order_of_topics(house: House) -> None:
    house.debit()
    house.pay("early")
    house.settle()
    await house.engine.turn()
    assert await house.events() == []
    house.book()
    await house.engine.turn()
    told = [kind for kind in await house.events() if kind in ("disbursed", "debit-succeeded", "payment-received")]
    assert told == ["disbursed", "debit-succeeded", "payment-received"]
    assert await house.pool.fetchval("SELECT count(*) FROM parked") == 0


async def test_a_parked_record_goes_with_its_own_loan_only(house: House) -> None:
    """After a change of clusters two records have the same place; only one of them is taken."""
    [claim, _] = await house.log.claim(range(PARTITIONS), "first", "cluster-1")
    one, other = (Record("gateway.payments", 0, 5, None, (), b"{}") for _ in range(2))
    parked = Part(claim.partition, 0, parked=[("LN-X", one)])
    await house.log.commit([parked], "first", "cluster-1", NOW)
    parked = Part(claim.partition, 0, parked=[("LN-Y", other)])
    await house.log.commit([parked], "first", "cluster-2", NOW)
    taken = Part(claim.partition, 0, offsets={"gateway.payments": 6}, unparked=[("LN-X", one)])
    await house.log.commit([taken], "first", "cluster-2", NOW)
    assert [row["loan_id"] for row in await house.pool.fetch("SELECT loan_id FROM parked")] == ["LN-Y"]


async def test_a_record_in_the_wrong_partition_is_sent_on_whole(house: House) -> None:
    record = house.pay("astray", partition=1 - HOME, odd=b"\xff", none=None)
    await house.engine.turn()
    [sent] = house.producer.on("gateway.payments")
    place = f"gateway.payments:{1 - HOME}:0".encode()
    assert sent["partition"] == HOME
    assert (sent["key"], sent["value"]) == (record.key, record.value)
    assert sent["headers"] == [*record.headers, ("qist_rerouted_from", place)]
    assert await house.pool.fetchval("SELECT rerouted FROM partitions WHERE partition = $1", 1 - HOME) == 1


async def test_a_broker_that_does_not_take_what_is_sent_on_stops_nothing(house: House) -> None:
    house.pay("astray", partition=1 - HOME)
    house.producer.fails = lambda topic, record: KafkaConnectionError()
    assert await house.engine.turn() > 0
    assert await house.pool.fetch("SELECT * FROM inbound_offsets") == []
    house.producer.fails = lambda topic, record: None
    assert await house.engine.turn() == 0
    assert len(house.producer.on("gateway.payments")) == 1


# --- who is the writer ---------------------------------------------------------------------------------------


async def test_a_writer_that_lost_waits_longer_each_time_and_then_does_it_all(house: House) -> None:
    house.book()
    pauses: list[float] = []
    commit = house.log.commit

    async def too_late(parts: Any, owner: str, cluster: str, now: datetime) -> None:
        await house.log.claim([HOME], "another", cluster)
        await commit(parts, owner, cluster, now)

    house.log.commit = too_late  # type: ignore[method-assign]
    for _ in range(9):
        pauses.append(await house.engine.turn())
    assert pauses[0] < 0.1
    assert 3 < pauses[-1] < 10
    assert await house.events() == []
    house.log.commit = commit  # type: ignore[method-assign]
    assert await house.engine.turn() == 0
    assert (await house.events())[0] == "booked"


async def test_two_writers_of_one_borrower_take_turns(house: House) -> None:
    """A borrower's loans live in several partitions; both engines write the next version of one token."""
    await house.log.claim(range(PARTITIONS), "first", "cluster-1")
    people = [Secret(f"B-{number}:person", f"B-{number}", {"name": "Asha"}) for number in range(20)]

    async def write(partition: int, secrets: list[Secret]) -> None:
        for time in range(10):
            part = Part(partition, 0, offsets={"t": time}, secrets=secrets)
            await house.log.commit([part], "first", "cluster-1", NOW)

    await asyncio.gather(write(0, people), write(1, people[::-1]))
    counts = await house.pool.fetch("SELECT count(*) AS n FROM vault GROUP BY token")
    assert [row["n"] for row in counts] == [20] * 20


# --- telling -------------------------------------------------------------------------------------------------


async def test_dead_letters_are_told_once_the_broker_takes_them(house: House) -> None:
    house.inbox.put("gateway.payments", "gateway.payment.received.v1", b"{}")
    house.producer.fails = lambda topic, record: KafkaConnectionError()
    await house.engine.turn()
    publishing = asyncio.create_task(house.publisher.run())
    await asyncio.sleep(0.2)
    house.producer.fails = lambda topic, record: None
    async with asyncio.timeout(10):
        while not house.producer.on("servicing.dead-letters"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    publishing.cancel()


async def test_a_dead_letter_that_is_too_large_is_told_without_its_content() -> None:
    producer = Producer()
    producer.fails = lambda topic, record: MessageSizeTooLargeError() if record["value"] else None
    record = Record("gateway.payments", 1, 7, b"k", (("ce_type", b"x"),), b"much")
    await send_letter(producer, DeadLetter(record, "", "malformed", "", ""))
    [told] = producer.on("servicing.dead-letters")
    headers = dict(told["headers"])
    assert "qist_left_out" in headers
    assert (headers["qist_topic"], headers["qist_partition"], headers["qist_offset"]) == (
        b"gateway.payments", b"1", b"7",
    )  # fmt: skip


# --- the group -----------------------------------------------------------------------------------------------


class Consumer:
    """A group member's partitions, as the client's consumer tells them."""

    def __init__(self) -> None:
        self.assigned = {TopicPartition("t", 0), TopicPartition("t", 1)}
        self.resumed: set[TopicPartition] = set()
        self.asked = 0
        self.meanwhile: Callable[[], None] = lambda: None

    def assignment(self) -> set[TopicPartition]:
        return self.assigned

    def pause(self, *parts: TopicPartition) -> None: ...

    def resume(self, *parts: TopicPartition) -> None:
        self.resumed |= set(parts)

    def seek(self, part: TopicPartition, offset: int) -> None: ...

    async def seek_to_beginning(self, *parts: TopicPartition) -> None:
        self.meanwhile()

    async def getmany(self, **_: Any) -> dict[Any, Any]:
        self.asked += 1
        return {}


@pytest.fixture
async def member(monkeypatch: pytest.MonkeyPatch) -> tuple[KafkaInbox, Consumer]:
    consumer = Consumer()
    monkeypatch.setattr(streams.inbox, "AIOKafkaConsumer", lambda **_: consumer)
    return KafkaInbox(topics=["t"], group="g", client_options={}), consumer


@pytest.mark.parametrize("when", ["before it is opened", "while it is opened"])
async def test_what_is_revoked_and_assigned_again_amid_a_claim_is_claimed_again(
    member: tuple[KafkaInbox, Consumer], when: str
) -> None:
    inbox, consumer = member

    def rebalance() -> None:
        inbox.on_partitions_revoked([TopicPartition("t", 0)])
        inbox.on_partitions_assigned([TopicPartition("t", 0)])

    inbox.on_partitions_assigned(sorted(consumer.assigned))
    if when == "before it is opened":
        rebalance()
    else:
        consumer.meanwhile = rebalance
    await inbox.open({0: {}, 1: {}})
    assert inbox.unclaimed == {0}
    assert consumer.resumed == {TopicPartition("t", 1)}
    assert inbox.take_revoked() == {0}
    consumer.meanwhile = lambda: None
    await inbox.open({0: {}})
    assert inbox.unclaimed == frozenset()


async def test_a_member_without_partitions_keeps_asking(member: tuple[KafkaInbox, Consumer]) -> None:
    """Who never asks is put out of the group after some minutes, and is not there when another one dies."""
    inbox, consumer = member
    for _ in range(5):
        assert await inbox.poll(1) == []
    assert consumer.asked == 5
