"""`qist streams` as a process, on both brokers: fan-out to loans, dead letters, insights, and a life after SIGKILL."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from faust.types import TP

from adapters.kafka_admin import create_topics
from adapters.processes import ChildProcess
from adapters.readiness import VARIABLE, Ear
from adapters.settings import Settings
from streams.envelope import headers_for
from streams.faust_app import CONSUMED, GROUP
from streams.faust_ends import ends_of
from streams.topics import (
    BORROWER_LOANS,
    COMMANDS,
    DEAD_LETTERS,
    GATEWAY_HEALTH,
    PAYMENT_INSIGHTS,
    PROJECTION_DASHBOARD,
    UPDATES,
    Topic,
    partition_of,
)

PARTITIONS = 16
AT = datetime(2026, 3, 5, 10, 30, tzinfo=UTC)
LATER = AT + timedelta(hours=1)


@dataclass
class Streams:
    """The role as its supervisor sees it."""

    bootstrap: str
    data_dir: Path
    partitions: int = PARTITIONS
    program: tuple[str, ...] = ("-m", "adapters.cli.main", "streams")
    child: ChildProcess = field(init=False)

    async def start(self) -> None:
        with ExitStack() as stack:
            ear = stack.enter_context(Ear())
            self.spawn(ear.address)

            async def heard() -> bool:
                return ear.heard()

            await self.child.wait_until(heard, seconds=60)

    def spawn(self, address: str = "") -> None:
        self.child = ChildProcess(
            name="streams",
            command=(sys.executable, *self.program),
            log=self.data_dir / "logs" / "streams.log",
            environment={
                "QIST_KAFKA_BOOTSTRAP": self.bootstrap,
                "QIST_DATA_DIR": str(self.data_dir),
                "QIST_PARTITIONS": str(self.partitions),
                VARIABLE: address,
            },
        )
        self.child.spawn()

    async def crash_and_start(self) -> None:
        self.child.kill()
        await self.start()


@dataclass
class Wire:
    """Both ends of the topics: what tests send, and all that was sent since the test module began."""

    producer: AIOKafkaProducer
    consumer: AIOKafkaConsumer
    admin: AIOKafkaAdminClient
    seen: list[Any] = field(default_factory=list)

    async def send(
        self,
        topic: Topic,
        key: str,
        body: Any,
        kind: str,
        identity: str = "",
        partition: int | None = None,
        at: datetime = AT,
    ) -> Any:
        value = body if isinstance(body, bytes) else orjson.dumps(body)
        headers = headers_for(kind, identity or uuid4().hex, "test", at) if kind else []
        return await self.producer.send_and_wait(
            topic.name, key=key.encode(), value=value, headers=headers, partition=partition
        )

    async def loan(self, borrower: str, loan: str, at: datetime = AT) -> None:
        body = {"borrower_id": borrower, "loan_id": loan, "product": "personal-loan"}
        await self.send(BORROWER_LOANS, borrower, body, "servicing.borrower-loan.v1", at=at)

    async def update(self, borrower: str, kind: str = "borrower", identity: str = "", **fields: Any) -> None:
        body = {"borrower_id": borrower, **fields}
        await self.send(UPDATES, borrower, body, f"los.{kind}.updated.v1", identity)

    async def settled(self) -> None:
        """Return when the role has committed all that was sent: then it is done, and will not be done again."""
        consumed = [TopicPartition(topic.name, number) for topic in CONSUMED for number in range(PARTITIONS)]
        ends = await self.consumer.end_offsets(consumed)
        async with asyncio.timeout(60):
            while True:
                committed = await self.admin.list_consumer_group_offsets(GROUP, partitions=consumed)
                done = {place: offset.offset for place, offset in committed.items()}
                if all(done.get(place, 0) >= end for place, end in ends.items() if end):
                    return
                await asyncio.sleep(0.1)

    async def until(self, topic: Topic, wanted: Callable[[Any], bool], count: int = 1, seconds: float = 60) -> list:
        """The records of a topic that are wanted, once there are that many."""
        async with asyncio.timeout(seconds):
            while True:
                found = [record for record in self.seen if record.topic == topic.name and wanted(record)]
                if len(found) >= count:
                    return found
                await self.look()

    async def look(self, milliseconds: int = 200) -> None:
        for records in (await self.consumer.getmany(timeout_ms=milliseconds)).values():
            self.seen.extend(records)

    async def commands(self, loan: str, count: int = 1) -> dict[str, dict]:
        """The last command of each type that a loan got, once there are that many."""
        bodies = await self.all_commands(loan, count)
        return {body["type"].removeprefix("servicing.").removesuffix(".v1"): body for body in bodies}

    async def all_commands(self, loan: str, count: int) -> list[dict]:
        """A loan's commands, once there are that many. The same one may come twice."""
        key = loan.encode()
        while len(found := {header(record, "ce_id"): record for record in self.of(COMMANDS, key)}) < count:
            await self.until(COMMANDS, lambda record: record.key == key, len(self.of(COMMANDS, key)) + 1)
        assert {record.partition for record in found.values()} == {partition_of(loan, PARTITIONS)}
        bodies = [{"type": header(record, "ce_type"), **orjson.loads(record.value)} for record in found.values()]
        assert all(body["command_id"] in found and body["loan_id"] == loan for body in bodies)
        return bodies

    def of(self, topic: Topic, key: bytes) -> list[Any]:
        return [record for record in self.seen if record.topic == topic.name and record.key == key]

    async def insight(self, bank: str, days: int, attempts: int) -> dict[str, Any]:
        """The latest word on a bank's window, once it has counted that many attempts."""
        key = f"{bank}|enach|sponsor-bank|{days}".encode()

        def counted(record: Any) -> bool:
            return record.key == key and orjson.loads(record.value)["attempts"] == attempts

        return orjson.loads((await self.until(PAYMENT_INSIGHTS, counted))[-1].value)


def header(record: Any, name: str) -> str:
    return dict(record.headers)[name].decode()


@pytest.fixture(scope="module")
async def wire(bootstrap: str) -> AsyncIterator[Wire]:
    await create_topics(Settings(partitions=PARTITIONS), bootstrap)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="latest")
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=5)
    await consumer.start()
    await producer.start()
    watched = (COMMANDS, DEAD_LETTERS, PAYMENT_INSIGHTS, GATEWAY_HEALTH)
    partitions = [TopicPartition(topic.name, number) for topic in watched for number in range(PARTITIONS)]
    consumer.assign(partitions)
    await consumer.seek_to_end(*partitions)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    yield Wire(producer, consumer, admin)
    await admin.close()
    await producer.stop()
    await consumer.stop()


@pytest.fixture(scope="module")
async def streams(bootstrap: str, wire: Wire, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Streams]:
    role = Streams(bootstrap, tmp_path_factory.mktemp("streams"))
    await role.start()
    yield role
    role.child.kill()


@pytest.fixture
def uid() -> str:
    return uuid4().hex[:8]


async def test_an_update_becomes_one_command_for_each_loan_of_the_borrower(streams: Streams, wire: Wire, uid: str):
    borrower, loans = f"B-{uid}", [f"LN-{uid}-{number}" for number in (1, 2, 3)]
    for loan in (*loans, loans[0]):
        await wire.loan(borrower, loan)
    await wire.update(borrower, identity=f"up-{uid}", phone="+919800000001", language="hi", shoe_size=43)
    for loan in loans:
        assert await wire.commands(loan) == {
            "update-borrower": {
                "type": "servicing.update-borrower.v1",
                "command_id": f"up-{uid}:{loan}",
                "loan_id": loan,
                "requested_by": "los",
                "requested_at": AT.isoformat(),
                "borrower_id": borrower,
                "phone": "+919800000001",
                "language": "hi",
            }
        }


async def test_what_names_a_loan_goes_to_that_loan_alone(streams: Streams, wire: Wire, uid: str):
    borrower, one, other = f"B-{uid}", f"LN-{uid}-1", f"LN-{uid}-2"
    mandate = {"mandate_id": "M-2", "rail": "enach", "max_amount_paise": 900_000}
    await wire.loan(borrower, one)
    await wire.loan(borrower, other)
    await wire.update(borrower, "mandate", loan_id=one, mandate=mandate)
    await wire.update(borrower, "bank-account", number="000111222", ifsc="HDFC0000001")
    commands = await wire.commands(one, 2)
    assert commands["register-mandate"]["mandate"] == mandate
    assert commands["update-bank-account"]["account"] == {"number": "000111222", "ifsc": "HDFC0000001"}
    assert (await wire.commands(other)).keys() == {"update-bank-account"}


async def test_updates_wait_for_the_borrowers_first_loan(streams: Streams, wire: Wire, uid: str):
    borrower, first, second, third = f"B-{uid}", f"LN-{uid}-1", f"LN-{uid}-2", f"LN-{uid}-3"
    await wire.update(borrower, phone="+919800000001", name="Asha")
    await wire.update(borrower, identity=f"late-{uid}", phone="+919800000002")
    await wire.update(borrower, "mandate", loan_id=second, mandate={"mandate_id": "M-9", "rail": "upi"})
    await wire.settled()
    await wire.loan(borrower, first, at=LATER)
    command = (await wire.commands(first))["update-borrower"]
    assert command["command_id"] == f"late-{uid}:{first}"
    assert (command["phone"], command["name"]) == ("+919800000002", "Asha")
    await wire.settled()
    await wire.loan(borrower, second, at=LATER)
    await wire.loan(borrower, third, at=LATER)
    assert (await wire.commands(second)).keys() == {"register-mandate"}
    await wire.settled()
    assert not wire.of(COMMANDS, third.encode())  # booked after the update: the LOS knew it by then


async def test_a_loan_whose_word_comes_late_gets_what_is_newer_than_its_booking(streams: Streams, wire: Wire, uid: str):
    borrower, early, late = f"B-{uid}", f"LN-{uid}-1", f"LN-{uid}-2"
    await wire.loan(borrower, early)
    await wire.update(borrower, language="mr")
    assert (await wire.commands(early))["update-borrower"]["language"] == "mr"
    await wire.loan(borrower, late, at=AT - timedelta(seconds=1))
    assert (await wire.commands(late))["update-borrower"]["language"] == "mr"


async def test_a_record_in_the_wrong_partition_is_sent_to_the_right_one(streams: Streams, wire: Wire, uid: str):
    borrower, loan = f"B-{uid}", f"LN-{uid}"
    wrong = (partition_of(borrower, PARTITIONS) + 1) % PARTITIONS
    told = {"borrower_id": borrower, "loan_id": loan}
    await wire.send(BORROWER_LOANS, borrower, told, "servicing.borrower-loan.v1", partition=wrong)
    body = {"borrower_id": borrower, "email": "a@example.in"}
    await wire.send(UPDATES, "no key of ours", body, "los.borrower.updated.v1", partition=wrong)
    assert (await wire.commands(loan))["update-borrower"]["email"] == "a@example.in"


async def test_what_cannot_be_understood_is_kept_byte_for_byte_with_the_reason(streams: Streams, wire: Wire, uid: str):
    mandate = {"borrower_id": uid, "mandate": {"mandate_id": "M", "rail": "enach", "max_amount_paise": "12"}}
    cases = [
        (UPDATES, b"{no json", "los.borrower.updated.v1", "malformed", ""),
        (UPDATES, b"[]", "los.mandate.updated.v1", "malformed", ""),
        (UPDATES, {"phone": "1"}, "los.borrower.updated.v1", "malformed", "/borrower_id"),
        (UPDATES, mandate, "los.mandate.updated.v1", "malformed", "/mandate/max_amount_paise"),
        (UPDATES, {"borrower_id": uid}, "los.bank-account.updated.v1", "malformed", "/account"),
        (UPDATES, {"borrower_id": uid}, "", "missing_type", "/headers/ce_type"),
        (UPDATES, {"borrower_id": uid}, "los.disbursal.requested.v1", "unknown_type", "/headers/ce_type"),
        (BORROWER_LOANS, {"borrower_id": uid, "loan_id": "no spaces"}, "any", "malformed", "/loan_id"),
    ]
    for number, (topic, body, kind, reason, pointer) in enumerate(cases):
        key = f"dead-{uid}-{number}"
        sent = await wire.send(topic, key, body, kind)
        [letter] = await wire.until(DEAD_LETTERS, lambda record, key=key: record.key == key.encode())
        assert letter.value == (body if isinstance(body, bytes) else orjson.dumps(body))
        assert (header(letter, "qist_reason"), header(letter, "qist_field")) == (reason, pointer)
        assert header(letter, "qist_topic") == topic.name
        assert int(header(letter, "qist_partition")) == sent.partition
        assert int(header(letter, "qist_offset")) == sent.offset
    assert streams.child.running


def a_count(bank: str, day: str, outcome: str, count: int, position: int, **more: Any) -> dict[str, Any]:
    """A row of the dashboard's table `debits`, as the projector tells it."""
    dimensions = {"partition": 3, "day": day, "hour": 10, "rail": "enach", "bank": bank, "gateway": "sponsor-bank"}
    kind = {"attempt": 1, "outcome": outcome, "failure_class": "", "code": ""}
    sums = {"count": count, "paise": count * 500_000, "position": position, "changed_at": AT.isoformat()}
    return {**dimensions, **kind, **sums, **more}


async def tell(wire: Wire, *rows: dict[str, Any]) -> None:
    for row in rows:
        key = "|".join(str(row[name]) for name in ("partition", "day", "hour", "bank", "outcome", "code"))
        await wire.send(PROJECTION_DASHBOARD, key, row, "projection.dashboard.debits.v1")


async def test_insights_count_what_is_true_now_however_often_it_is_told(streams: Streams, wire: Wire, uid: str):
    bank = f"BANK-{uid}"
    soft, technical = {"failure_class": "soft", "code": "04"}, {"failure_class": "technical", "code": "U30", "hour": 18}
    rows = [
        a_count(bank, "2026-01-20", "succeeded", 900, 1),  # more than 28 days before the newest
        a_count(bank, "2026-02-10", "succeeded", 40, 2),
        a_count(bank, "2026-03-02", "succeeded", 5, 3),
        a_count(bank, "2026-03-05", "attempted", 9, 4),  # not an outcome
        a_count(bank, "2026-03-05", "succeeded", 1, 5),
        a_count(bank, "2026-03-05", "succeeded", 3, 6),  # the same count, newer
        a_count(bank, "2026-03-05", "failed", 2, 7, **soft),
        a_count(bank, "2026-03-05", "failed", 1, 8, **technical),
        a_count(bank, "2026-03-05", "failed", 4, 2, **soft),  # older than what is known
    ]
    await tell(wire, *rows, *rows)
    await wire.send(PROJECTION_DASHBOARD, bank, {"metric": "collected"}, "projection.dashboard.daily.v1")
    assert await wire.insight(bank, 1, 6) == {
        "bank": bank,
        "rail": "enach",
        "gateway": "sponsor-bank",
        "window_days": 1,
        "as_of": "2026-03-05",
        "attempts": 6,
        "succeeded": 3,
        "failed": {"soft": 2, "hard": 0, "technical": 1},
        "success_rate": "0.5000",
        "by_hour": {
            "10": {
                "attempts": 5,
                "succeeded": 3,
                "failed": {"soft": 2, "hard": 0, "technical": 0},
                "success_rate": "0.6000",
            },
            "18": {
                "attempts": 1,
                "succeeded": 0,
                "failed": {"soft": 0, "hard": 0, "technical": 1},
                "success_rate": "0.0000",
            },
        },
    }
    assert (await wire.insight(bank, 7, 11))["success_rate"] == "0.7273"
    assert (await wire.insight(bank, 28, 51))["success_rate"] == "0.9412"
    partitions = {record.partition for record in wire.seen if record.key.startswith(bank.encode())}
    assert partitions == {partition_of(f"{bank}|enach|sponsor-bank", PARTITIONS)}


async def test_a_gateway_that_goes_down_is_told_of_over_all_banks_and_again_when_it_is_back(
    streams: Streams, wire: Wire, uid: str
):
    gateway = f"G-{uid}"
    technical = {"failure_class": "technical", "code": "U30", "gateway": gateway, "rail": "upi"}

    async def told(state: str) -> dict[str, Any]:
        records = await wire.until(
            GATEWAY_HEALTH,
            lambda record: record.key == f"{gateway}|upi".encode() and orjson.loads(record.value)["state"] == state,
        )
        return orjson.loads(records[-1].value)

    down = [a_count(f"BANK-{uid}-{bank}", "2026-03-05", "failed", 8, 1, **technical) for bank in range(3)]
    await tell(wire, *down)
    first = await told("open")
    assert datetime.fromisoformat(first["try_at"]) - datetime.fromisoformat(first["since"]) == timedelta(minutes=15)
    later = {"gateway": gateway, "rail": "upi", "changed_at": (AT + timedelta(minutes=20)).isoformat()}
    await tell(wire, a_count(f"BANK-{uid}-0", "2026-03-05", "succeeded", 5, 9, **later))
    assert (await told("closed"))["reason"] == "5 of 5 trials went through"


async def test_a_killed_worker_comes_back_with_its_tables(streams: Streams, wire: Wire, uid: str):
    known, early, bank = f"B-{uid}-known", f"B-{uid}-early", f"BANK-{uid}"
    await wire.loan(known, f"LN-{uid}-1")
    await wire.update(early, phone="+919800000003")
    await tell(wire, a_count(bank, "2026-03-01", "succeeded", 6, 1), a_count(bank, "2026-03-05", "succeeded", 2, 2))
    await wire.insight(bank, 7, 8)
    await wire.settled()

    await streams.crash_and_start()

    await wire.update(known, language="ta")
    assert (await wire.commands(f"LN-{uid}-1"))["update-borrower"]["language"] == "ta"
    await wire.loan(early, f"LN-{uid}-2", at=LATER)
    assert (await wire.commands(f"LN-{uid}-2"))["update-borrower"]["phone"] == "+919800000003"
    newer = {"failure_class": "hard", "code": "01"}
    await tell(wire, a_count(bank, "2026-03-05", "failed", 2, 3, **newer))
    assert (await wire.insight(bank, 7, 10))["succeeded"] == 8


async def test_work_that_a_killed_worker_had_not_committed_is_done_by_the_next(streams: Streams, wire: Wire, uid: str):
    borrower, loan = f"B-{uid}", f"LN-{uid}"
    await wire.loan(borrower, loan)
    streams.child.kill()
    for number in range(20):
        await wire.update(borrower, identity=f"{uid}-{number}", salary_day=number)
    await streams.start()
    assert (await wire.commands(loan, 20))["update-borrower"]["salary_day"] == 19


async def test_the_end_of_a_partition_is_known_also_behind_a_batch(bootstrap: str, wire: Wire, uid: str):
    topic = Topic(f"ends-{uid}", "any", partitions=2)
    await create_topics(Settings(), bootstrap, [topic])
    places = (TP(topic.name, 0), TP(topic.name, 1))
    client = {"bootstrap_servers": bootstrap}
    assert await ends_of(client, places) == {places[0]: 0, places[1]: 0}
    for size in (1, 10):
        sent = [await wire.producer.send(topic.name, b"value", partition=1) for _ in range(size)]
        await asyncio.gather(*sent)
    assert await ends_of(client, places) == {places[0]: 0, places[1]: 11}


async def test_sigterm_ends_it_in_order(streams: Streams):
    loop = asyncio.get_running_loop()
    began = loop.time()
    await streams.child.stop()
    assert streams.child.exit_status == 0
    assert loop.time() - began < 5


DEFECTIVE = """
import streams.los_sync as module
from adapters.cli.main import main

understand = module.understand_update

def stumble(record, sent_at):
    if b"poison" in record.value:
        raise RuntimeError("a defect of ours")
    return understand(record, sent_at)

module.understand_update = stumble
main(["streams"])
"""


async def test_a_defect_stops_it_and_nothing_is_lost(streams: Streams, wire: Wire, uid: str, tmp_path: Path):
    await streams.child.stop()
    borrower, loan = f"B-{uid}", f"LN-{uid}"
    await wire.loan(borrower, loan)
    defective = Streams(streams.bootstrap, tmp_path, program=("-c", DEFECTIVE))
    await defective.start()
    await wire.update(borrower, language="hi")
    await wire.update(borrower, name="poison")
    await wire.update(borrower, language="bn")
    assert await defective.child.wait() == 1
    assert "a defect of ours" in defective.child.last_lines()
    await streams.start()
    poison = [update for update in await wire.all_commands(loan, 3) if update.get("name") == "poison"]
    assert poison


async def test_what_it_cannot_work_with_ends_it_with_a_reason(bootstrap: str, wire: Wire, tmp_path: Path):
    role = Streams(bootstrap, tmp_path, partitions=PARTITIONS + 1)
    role.spawn()
    assert await role.child.wait() == 1
    assert f"start with QIST_PARTITIONS={PARTITIONS}" in role.child.last_lines()
