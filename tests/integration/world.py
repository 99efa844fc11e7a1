"""A world around real engines: traffic that keeps its own books, engines to kill, and checks that believe nobody."""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

import asyncpg
import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.partitioner import murmur2

from adapters.audit import verify
from adapters.database import connect_pool
from adapters.event_store.migrate import migrate
from adapters.event_store.postgres import record_from
from adapters.house import load_rules
from adapters.kafka import cluster_identity
from adapters.kafka_admin import create_topics
from adapters.processes import ChildProcess
from adapters.readiness import VARIABLE, Ear
from adapters.settings import Settings
from adapters.simulator.driver import projections_caught_up
from domain import snapshot
from domain.agenda import next_task
from domain.codec import decode
from domain.events import DebitAttempted
from domain.loan import Loan
from projections.registry import ALL
from streams.clock import IST, SimulatedClock
from streams.projector import Projector
from tests.eventually import eventually

PARTITIONS = 4
RULES = load_rules()
START = datetime(2026, 1, 1, 9, tzinfo=IST)
INBOUND = (
    "los.disbursals", "gateway.payout-outcomes", "gateway.debit-outcomes", "gateway.mandate-outcomes",
    "gateway.payments", "servicing.commands",
)  # fmt: skip
TICK_SECONDS = 0.025


async def settle_in(dsn: str, bootstrap: str, folder: Path, *, days_a_second: float = 1, **more: Any) -> Settings:
    """A migrated database and topics, and the settings of engines that live there on a fast clock."""
    settings = Settings(
        database_url=dsn,
        kafka_bootstrap=bootstrap,
        data_dir=folder,
        partitions=PARTITIONS,
        vault_key="5e" * 32,  # pyright: ignore[reportArgumentType]
        clock="simulated",
        clock_start=START,
        clock_anchor=datetime.now(UTC),
        clock_speed=days_a_second * 86_400,
        **{"batch_wait_ms": 5, "batch_size": 60, **more},
    )
    await migrate(dsn, PARTITIONS)
    await create_topics(settings, bootstrap)
    return settings


def home_of(loan_id: str) -> int:
    """Where a loan lives, by Kafka's default partitioner."""
    return (murmur2(loan_id.encode()) & 0x7FFFFFFF) % PARTITIONS


# --- engines -------------------------------------------------------------------------------------------------


class Engine:
    """`qist engine` as a process of its own."""

    def __init__(self, settings: Settings, name: str = "engine", *, partitions: str = "", crash_at: str = "") -> None:
        chosen = ["--partitions", partitions] if partitions else []
        self._ear = Ear()
        self.child = ChildProcess(
            name=name,
            command=[sys.executable, "-m", "adapters.cli.main", "engine", *chosen],
            log=settings.data_dir / "logs" / f"{name}.log",
            environment={**settings.environment(), "QIST_CRASH_AT": crash_at, VARIABLE: self._ear.address},
            stop_seconds=30,
        )
        self.child.spawn()

    async def claimed(self, seconds: float = 40) -> bool:
        """Whether it came to own partitions; False when it died before."""
        async with asyncio.timeout(seconds):
            while self.child.running:
                if self._ear.heard():
                    return True
                await asyncio.sleep(0.01)
        return False

    async def died(self, seconds: float) -> bool:
        """Whether it died by itself within so many seconds."""
        try:
            await asyncio.wait_for(self.child.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def froze(self, seconds: float = 30) -> None:
        """Return once it stands still, as a machine that hangs does (`crash_at="POINT:1:STOP"`)."""
        await eventually(lambda: psutil.Process(self.child.pid).status() == psutil.STATUS_STOPPED, seconds)

    def thaw(self) -> None:
        psutil.Process(self.child.pid).resume()

    def kill(self) -> None:
        self.child.kill()
        self._ear.__exit__(None, None, None)

    async def stop(self) -> int | None:
        """Ask it to end: its exit status."""
        await self.child.stop()
        self._ear.__exit__(None, None, None)
        return self.child.exit_status

    @property
    def said(self) -> str:
        return self.child.log.read_text()


# --- traffic -------------------------------------------------------------------------------------------------


@dataclass(order=True, slots=True)
class Planned:
    """A message that will be sent at a tick."""

    tick: int
    order: int
    topic: str = field(compare=False)
    loan_id: str = field(compare=False)
    type: str = field(compare=False)
    body: Any = field(compare=False)
    copies: int = field(compare=False, default=1)
    wrong: str = field(compare=False, default="")
    """The reason for which it must become a dead letter."""


@dataclass(slots=True)
class Books:
    """What was sent, by the sender's own account."""

    records: Counter[str] = field(default_factory=Counter[str])
    """By topic, copies included."""
    wrong: dict[str, str] = field(default_factory=dict[str, str])
    """Records that must become dead letters -> the reason."""
    money: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    """Loan -> what came in (a payment's reference, a debit's instruction) -> paise."""
    taken_back: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    never_booked: set[str] = field(default_factory=set[str])
    unknown: set[str] = field(default_factory=set[str])
    """Records of loans that never come."""


def routed(loan_id: str) -> tuple[bytes | None, int]:
    """Key and partition as a loan's sender would have it: Kafka's partitioner, librdkafka's, or no key at all. One way
    for a loan, so that its messages stay in order."""
    checksum = crc32(loan_id.encode())
    match checksum // 7 % 4:
        case 0:
            return loan_id.encode(), checksum % PARTITIONS
        case 1:
            return None, (checksum // 3) % PARTITIONS
        case _:
            return loan_id.encode(), home_of(loan_id)


class Traffic:
    """Lenders, borrowers and gateways by seed: they send, they answer what Qist asks, and they repeat themselves."""

    def __init__(self, settings: Settings, seed: int, *, loans_a_tick: float = 0.06) -> None:
        assert settings.clock_anchor is not None
        self.books = Books()
        self.loans: list[str] = []
        self._settings = settings
        self._random = Random(seed)
        self._seed = seed
        self._loans_a_tick = loans_a_tick
        self._clock = SimulatedClock(START, settings.clock_anchor, settings.clock_speed)
        self._plan: list[Planned] = []
        self._tick = self._order = self._number = 0
        self._answered: set[str] = set()
        self._paid_out: list[str] = []

    async def __aenter__(self) -> Traffic:
        bootstrap = self._settings.kafka_bootstrap
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=2)
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        await self._producer.start()
        await self._consumer.start()
        asked = ("servicing.payout-instructions", "servicing.debit-instructions")
        parts = [TopicPartition(topic, number) for topic in asked for number in range(PARTITIONS)]
        self._consumer.assign(parts)
        await self._consumer.seek_to_beginning(*parts)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()
        await self._producer.stop()

    async def flow(self, enough: asyncio.Event) -> None:
        """Go on until somebody has had enough; then send what was still planned, and no more."""
        while not enough.is_set():
            self._live()
            await self._send_due()
            await self._listen()
        while self._plan:
            self._tick = self._plan[0].tick
            await self._send_due()
        await self._producer.flush()

    async def flow_for(self, seconds: float) -> None:
        enough = asyncio.Event()
        asyncio.get_running_loop().call_later(seconds, enough.set)
        await self.flow(enough)

    def now(self) -> datetime:
        return self._clock.now()

    # --- what happens ----------------------------------------------------------------------------------------

    def _live(self) -> None:
        """A tick of life."""
        self._tick += 1
        if self._random.random() < self._loans_a_tick or not self.loans:
            self._apply_for_loan()
        if self._random.random() < 0.05:
            self._send_rubbish()
        for busy in self._paid_out[:2]:  # so that some loans have a long history, and snapshots
            if self._random.random() < 0.3:
                self._pay(busy, soon=1)

    def _apply_for_loan(self) -> None:
        self._number += 1
        loan_id = f"LN-{self._seed}-{self._number}"
        if self._number % 13 == 5:  # its request never comes
            self.books.never_booked.add(loan_id)
            for _ in range(self._random.randint(1, 3)):
                self._pay(loan_id, soon=3)
            self.books.money.pop(loan_id)
            return
        self.loans.append(loan_id)
        if self._number % 7 == 3:  # its request comes last
            self._answered.add(f"{loan_id}:payout:1:1")
            self._later(0, "gateway.payout-outcomes", loan_id, "gateway.payout.settled.v1", {"at": self._at()})
            self._pay(loan_id, soon=2)
            self._later(6, "los.disbursals", loan_id, "los.disbursal.requested.v1", self._request(loan_id), copies=2)
        else:
            self._later(0, "los.disbursals", loan_id, "los.disbursal.requested.v1", self._request(loan_id))

    def _request(self, loan_id: str) -> dict[str, Any]:
        today = self.now().date()
        borrower = f"B-{self._seed}-{self._number % 5}"  # few borrowers with many loans: they share their vault keys
        account = {"number": f"00{crc32(loan_id.encode())}", "ifsc": "HDFC0000001", "holder": borrower}
        return {
            "borrower": {"borrower_id": borrower, "name": borrower, "phone": "+919800000000", "salary_day": 1},
            "product": "personal-loan",
            "terms": {
                "principal_paise": self._random.randint(10, 200) * 100_000,
                "annual_rate_percent": "18.00",
                "instalments": 2 if self._number % 5 == 0 else 12,
                "disburse_on": today.isoformat(),
                "first_due_on": (today + timedelta(days=self._random.randint(20, 35))).isoformat(),
            },
            "payout": {"rail": "auto", "account": account},
            "mandate": {
                "mandate_id": f"M-{loan_id}", "rail": "enach", "status": "active", "bank": "HDFC",
                "max_amount_paise": 10**9, "valid_from": "2025-01-01", "valid_until": "2032-01-01", "account": account,
            },
        }  # fmt: skip

    def _pay(self, loan_id: str, *, soon: int) -> None:
        """A payment, perhaps sent twice, perhaps taken back, perhaps followed by another of the same reference."""
        reference, paise = f"P{self._order}", self._random.randint(1_000, 90_000)
        copies = 2 if self._random.random() < 0.3 else 1
        wait = self._random.randint(0, soon)
        body = {"payment_reference": reference, "amount_paise": paise, "method": "upi", "value_on": self._today()}
        self._later(wait, "gateway.payments", loan_id, "gateway.payment.received.v1", body, copies=copies)
        self.books.money[loan_id][reference] = paise
        luck = self._random.random()
        if loan_id in self.loans and luck < 0.12:
            back = {"payment_reference": reference, "amount_paise": paise, "at": self._at()}
            self._later(wait + 2, "gateway.payments", loan_id, "gateway.payment.reversed.v1", back, copies=copies)
            self.books.taken_back[loan_id].add(reference)
        elif loan_id in self.loans and luck < 0.18:
            other, reason = {**body, "amount_paise": paise + 1}, "reference_used_with_other_content"
            self._later(wait + 2, "gateway.payments", loan_id, "gateway.payment.received.v1", other, wrong=reason)

    def _send_rubbish(self) -> None:
        """What nobody can understand, in any topic."""
        kind = "gateway.payment.received.v1"
        loan_id = self._random.choice(self.loans)
        payment = {"payment_reference": "X", "amount_paise": 1, "method": "upi", "value_on": self._today()}
        type_, body, reason = self._random.choice(
            [
                (kind, b'{"loan_id": "', "malformed"),
                (kind, b"", "malformed"),
                (kind, {**payment, "amount_paise": 1.5}, "malformed"),
                (kind, {**payment, "loan_id": "a loan"}, "loan_id_invalid"),
                ("gateway.payment.imagined.v1", payment, "unknown_type"),
                ("", payment, "missing_type"),
            ]
        )
        self._later(0, "gateway.payments", loan_id, type_, body, wrong=reason)

    # --- what is answered ------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Gateways answer each instruction once, as the seed says, however often they hear it."""
        fetched = await self._consumer.getmany(timeout_ms=round(TICK_SECONDS * 1000))
        for records in fetched.values():
            for record in records:
                body = json.loads(record.value or b"{}")
                if body["instruction_id"] not in self._answered:
                    self._answered.add(body["instruction_id"])
                    self._answer(dict(record.headers)["ce_type"].decode(), body)

    def _answer(self, kind: str, asked: Mapping[str, Any]) -> None:
        instruction, loan_id, paise = asked["instruction_id"], asked["loan_id"], asked["amount_paise"]
        dice = Random(f"{self._seed}:{instruction}")
        answer = {"instruction_id": instruction, "amount_paise": paise, "at": self._at()}
        copies = 2 if dice.random() < 0.3 else 1
        if kind != "servicing.debit-instruction.v1":
            topic = "gateway.payout-outcomes"
            self._later(1, topic, loan_id, "gateway.payout.settled.v1", answer, copies=copies)
            self._paid_out.append(loan_id)
            for _ in range(dice.randint(0, 4)):
                self._pay(loan_id, soon=200)
            return
        topic, luck = "gateway.debit-outcomes", dice.random()
        answer |= {"rail": "enach", "gateway_reference": f"GW-{instruction}", "bank": "HDFC"}
        if luck < 0.05:
            return  # the gateway is silent
        if luck < 0.4:
            self._later(1, topic, loan_id, "gateway.debit.failed.v1", {**answer, "code": "04"}, copies=copies)
            return
        answer["amount_paise"] = paid = paise if luck < 0.95 else max(1, paise // 2)
        self._later(1, topic, loan_id, "gateway.debit.succeeded.v1", answer, copies=copies)
        self.books.money[loan_id][instruction] = paid
        if 0.4 < luck < 0.45:
            self._later(8, topic, loan_id, "gateway.debit.reversed.v1", answer, copies=copies)
            self.books.taken_back[loan_id].add(instruction)

    # --- sending ---------------------------------------------------------------------------------------------

    def _later(
        self, ticks: int, topic: str, loan_id: str, type_: str, body: Any, *, copies: int = 1, wrong: str = ""
    ) -> None:
        self._order += 1
        said = body if isinstance(body, bytes) else {"loan_id": loan_id, **body}
        heapq.heappush(self._plan, Planned(self._tick + ticks, self._order, topic, loan_id, type_, said, copies, wrong))

    async def _send_due(self) -> None:
        sent: list[Any] = []
        while self._plan and self._plan[0].tick <= self._tick:
            sent += await self._send(heapq.heappop(self._plan))
        await asyncio.gather(*sent)

    async def _send(self, planned: Planned) -> list[Any]:
        key, partition = routed(planned.loan_id)
        value = planned.body if isinstance(planned.body, bytes) else json.dumps(planned.body).encode()
        headers = [("ce_id", f"{self._seed}:{planned.order}".encode()), ("ce_source", b"world")]
        if planned.type:
            headers.append(("ce_type", planned.type.encode()))
        if planned.wrong in UNREADABLE:
            headers.append(("unreadable", b"yes"))
        sent: list[Any] = []
        for copy in range(planned.copies):
            name = f"{planned.order}.{copy}"
            self.books.records[planned.topic] += 1
            if planned.wrong:
                self.books.wrong[name] = planned.wrong
            elif planned.loan_id in self.books.never_booked:
                self.books.unknown.add(name)
            named = [*headers, ("name", name.encode())]
            sent.append(await self._producer.send(planned.topic, value, key, partition, headers=named))
        return sent

    def _at(self) -> str:
        return self.now().isoformat()

    def _today(self) -> str:
        return self.now().date().isoformat()


UNREADABLE = {"malformed", "loan_id_invalid", "unknown_type", "missing_type"}
"""Reasons for which a record has no loan, so that it is set aside where it came."""


# --- waiting -------------------------------------------------------------------------------------------------


async def all_read(settings: Settings, seconds: float = 60) -> None:
    """Return when every inbound record on the broker is accounted for in the database."""
    cluster = await cluster_identity(settings, "test")
    database = await asyncpg.connect(settings.database_url)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap)
    await consumer.start()
    behind: dict[TopicPartition, tuple[int, int]] = {}
    try:
        async with asyncio.timeout(seconds):
            while True:
                ends = await consumer.end_offsets(parts_of(INBOUND))
                rows = await database.fetch("SELECT * FROM inbound_offsets WHERE cluster_id = $1", cluster)
                reached = {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}
                behind = {part: (reached.get(part, 0), end) for part, end in ends.items() if reached.get(part, 0) < end}
                if not behind:
                    return
                await asyncio.sleep(0.05)
    except TimeoutError as late:
        late.add_note(f"still to read (from, to): {behind}")
        raise
    finally:
        await consumer.stop()
        await database.close()


async def projected(settings: Settings, seconds: float = 60) -> None:
    """Return when every read model and every topic stands where the log does."""
    database = await asyncpg.connect(settings.database_url)
    try:
        await projections_caught_up(database, seconds)
        async with asyncio.timeout(seconds):
            while True:
                if not await database.fetchval(
                    "SELECT count(*) + (SELECT count(*) FROM dead_letters WHERE NOT published)"
                    " FROM partitions WHERE published < position"
                ):
                    return
                await asyncio.sleep(0.05)
    finally:
        await database.close()


def parts_of(topics: Iterable[str]) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]


async def records_of(settings: Settings, *topics: str) -> list[ConsumerRecord[Any, Any]]:
    """Everything on these topics, in order within each partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(parts_of(topics))
        await consumer.seek_to_beginning(*parts_of(topics))
        ends = await consumer.end_offsets(parts_of(topics))
        found: list[ConsumerRecord[Any, Any]] = []
        async with asyncio.timeout(60):
            while any([await consumer.position(part) < end for part, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found += records
        return found
    finally:
        await consumer.stop()


# --- checks --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Seen:
    """What is in the database and on the broker once all is quiet."""

    cluster: str
    events: list[asyncpg.Record]
    partitions: dict[int, asyncpg.Record]
    dead_letters: list[asyncpg.Record]
    parked: list[asyncpg.Record]
    agenda: dict[str, datetime]
    snapshots: list[asyncpg.Record]
    inbound: list[ConsumerRecord[Any, Any]]
    published: list[ConsumerRecord[Any, Any]]
    instructions: list[ConsumerRecord[Any, Any]]
    set_aside: list[ConsumerRecord[Any, Any]]

    def states(self) -> Iterator[tuple[asyncpg.Record, dict[str, Any]]]:
        for row in self.events:
            yield row, json.loads(row["state"])


async def look(settings: Settings) -> Seen:
    """Read everything."""
    database = await asyncpg.connect(settings.database_url)
    try:
        return Seen(
            cluster=await cluster_identity(settings, "test"),
            events=await database.fetch("SELECT * FROM events ORDER BY partition, position"),
            partitions={row["partition"]: row for row in await database.fetch("SELECT * FROM partitions")},
            dead_letters=await database.fetch("SELECT * FROM dead_letters ORDER BY id"),
            parked=await database.fetch("SELECT * FROM parked"),
            agenda=dict(await database.fetch("SELECT loan_id, due_at FROM agenda")),
            snapshots=await database.fetch("SELECT * FROM snapshots"),
            inbound=await records_of(settings, *INBOUND),
            published=await records_of(settings, "servicing.loan-events"),
            instructions=await records_of(settings, "servicing.debit-instructions"),
            set_aside=await records_of(settings, "servicing.dead-letters"),
        )
    finally:
        await database.close()


def check_log(seen: Seen) -> None:
    """Positions without gaps, versions without gaps, and each loan's hashes as domain/chain.py describes them."""
    positions: Counter[int] = Counter()
    versions: Counter[str] = Counter()
    heads: dict[str, bytes] = {}
    for row in seen.events:
        positions[row["partition"]] += 1
        versions[row["loan_id"]] += 1
        assert row["partition"] == home_of(row["loan_id"])
        assert row["position"] == positions[row["partition"]]
        assert row["version"] == versions[row["loan_id"]]
        occurred, recorded = (
            row[name].astimezone(UTC).isoformat(timespec="microseconds") for name in ("occurred_at", "recorded_at")
        )
        texts = (row[name] for name in ("loan_id", "topic", "causation_id", "correlation_id", "actor"))
        said = f"{row['partition']},{row['position']},{row['version']},{occurred},{recorded}," + "".join(
            f"{len(text)}:{text}," for text in texts
        )
        previous = heads.get(row["loan_id"], bytes(32))
        heads[row["loan_id"]] = hashlib.sha256(previous + said.encode() + row["state"]).digest()
        assert row["hash"] == heads[row["loan_id"]], f"{row['loan_id']} version {row['version']}"
    assert {number: row["position"] for number, row in seen.partitions.items() if row["position"]} == positions


def check_every_message_once(seen: Seen, books: Books) -> None:
    """Each record was applied, repeated, parked or set aside, once, where its loan lives; none was lost on the way."""
    came: Counter[int] = Counter()
    elsewhere: Counter[int] = Counter()
    sent: Counter[str] = Counter()
    for record in seen.inbound:
        headers = dict(record.headers)
        came[record.partition] += 1
        if "qist_rerouted_from" not in headers:
            sent[record.topic] += 1
        if "unreadable" not in headers and home_of(json.loads(record.value)["loan_id"]) != record.partition:
            elsewhere[record.partition] += 1
    assert sent == books.records
    for number, row in seen.partitions.items():
        assert row["rerouted"] == elsewhere[number]
        told = row["applied"] + row["repeated"] + row["dead_lettered"] + row["parked"] - row["unparked"]
        assert told == came[number] - elsewhere[number], f"partition {number}"
    assert len(seen.dead_letters) == sum(row["dead_lettered"] for row in seen.partitions.values())
    assert len(seen.parked) == sum(row["parked"] - row["unparked"] for row in seen.partitions.values())
    # Names, not numbers: an engine that dies after it has sent a record on does so again.
    assert {name_of(row) for row in seen.parked} == books.unknown
    assert {name_of(row): row["reason"] for row in seen.dead_letters} == books.wrong


def name_of(row: asyncpg.Record) -> str:
    """Of a record that was set aside."""
    return dict(record_from(row).headers)["name"].decode()


def check_money(seen: Seen, books: Books) -> None:
    """Each rupee that was sent is in exactly once, and what was taken back is out exactly once."""
    came: dict[str, dict[str, int]] = defaultdict(dict)
    back: dict[str, list[str]] = defaultdict(list)
    for row, state in seen.states():
        reference = state.get("instruction_id") or state.get("reference")
        match row["topic"]:
            case "loan.debit-succeeded.v1" | "loan.payment-received.v1":
                assert reference not in came[row["loan_id"]], f"{row['loan_id']}: {reference} is in twice"
                came[row["loan_id"]][reference] = state["amount_paise"]
            case "loan.receipt-reversed.v1":
                back[row["loan_id"]].append(state["reference"])
            case _:
                pass
    assert {loan: money for loan, money in came.items() if money} == {
        loan: money for loan, money in books.money.items() if money
    }
    assert {loan: sorted(known) for loan, known in back.items()} == {
        loan: sorted(known) for loan, known in books.taken_back.items() if known
    }


def folded(seen: Seen, until: Mapping[str, int] | None = None) -> dict[str, Loan]:
    """Every loan by a full fold, as far as a version."""
    loans: dict[str, Loan] = {}
    for row in seen.events:
        loan_id, version = row["loan_id"], row["version"]
        if until is None or version <= until.get(loan_id, 0):
            loan = loans.setdefault(loan_id, Loan.shell(loan_id))
            loan.evolve(decode(row["topic"], row["state"], loan_id, version))
    return loans


def check_agenda(seen: Seen) -> None:
    """The agenda says of each loan what a fresh fold says."""
    asked = {loan_id: next_task(loan, RULES) for loan_id, loan in folded(seen).items()}
    assert seen.agenda == {loan_id: task.at for loan_id, task in asked.items() if task is not None}


def check_snapshots(seen: Seen) -> None:
    """A snapshot is what a full fold to its version is, with the hash of that version."""
    loans = folded(seen, {row["loan_id"]: row["version"] for row in seen.snapshots})
    hashes = {(row["loan_id"], row["version"]): row["hash"] for row in seen.events}
    for row in seen.snapshots:
        assert json.loads(row["state"]) == json.loads(snapshot.dump(loans[row["loan_id"]])), row["loan_id"]
        assert row["hash"] == hashes[row["loan_id"], row["version"]]


PLACE = ("qist_topic", "qist_partition", "qist_offset")


def check_published(seen: Seen) -> None:
    """Every event is on the topic, in the log's order at its first coming; every debit has its instruction."""
    first: dict[int, list[int]] = defaultdict(list)
    known: set[tuple[int, int]] = set()
    for record in seen.published:
        partition, position = map(int, dict(record.headers)["qist_position"].decode().split(":"))
        assert record.partition == partition
        if (partition, position) not in known:
            known.add((partition, position))
            first[partition].append(position)
    for number, row in seen.partitions.items():
        assert first[number] == list(range(1, row["position"] + 1)), f"partition {number}"
        assert row["published"] == row["position"]
    asked = {state["instruction_id"] for row, state in seen.states() if row["topic"] == DebitAttempted.TOPIC}
    assert {json.loads(record.value)["instruction_id"] for record in seen.instructions} == asked
    assert {tuple(dict(record.headers)[name].decode() for name in PLACE) for record in seen.set_aside} == {
        (row["topic"], str(row["source_partition"]), str(row["source_offset"]))
        for row in seen.dead_letters
        if row["cluster_id"] == seen.cluster
    }


async def check_ledger(settings: Settings) -> None:
    """The read models, made now: the books balance, and an audit finds nothing."""
    pool = await connect_pool(settings.database_dsn(), name="test", role=None)
    try:
        projector = Projector(pool, [projection(RULES) for projection in ALL], range(PARTITIONS))
        async with pool.acquire() as connection:
            await projector.take_stock(connection)
            while await projector.step(connection):
                pass
        assert await pool.fetchval("SELECT sum(paise) FROM ledger.balances") == 0
        findings = await verify(pool, RULES)
        assert findings.differences == []
        assert findings.trial_balance_paise == 0
    finally:
        await pool.close()


async def check_everything(settings: Settings, books: Books) -> Seen:
    """All of it."""
    seen = await look(settings)
    check_log(seen)
    check_every_message_once(seen, books)
    check_money(seen, books)
    check_agenda(seen)
    check_snapshots(seen)
    check_published(seen)
    await check_ledger(settings)
    return seen
