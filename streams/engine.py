"""The servicing engine: one writer per partition, one transaction per batch.

    poll -> load loans -> decide -> commit {events, agenda, vault, offsets, results} -> publish

Offsets live in the same transaction as the events, so redelivery is harmless; the aggregate knows what it has done,
so re-sending is harmless. Nothing inbound is dropped: a record is applied, repeated, parked (its loan is not known
yet), dead-lettered with a reason, or sent on to the partition that owns its loan. Each of these is counted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from random import uniform

import structlog
from aiokafka.errors import KafkaError

from domain import commands as c
from domain import snapshot
from domain.agenda import next_task
from domain.calendar import ist_day
from domain.chain import GENESIS, link
from domain.codec import encode
from domain.decisions.rules import Rules
from domain.life import handle
from domain.loan import Loan
from domain.policies.circuit import GatewayHealth
from domain.refusals import Refusal, Refused, Repeated
from streams.clock import Clock
from streams.envelope import Record
from streams.inbox import KafkaInbox
from streams.ports import Claim, Codes, DeadLetter, FencedOff, Held, Insights, Log, LogUnreachable, Part, Result
from streams.publisher import Publisher
from streams.topics import INBOUND, partition_of
from streams.wire import Message, Secret, correlation_of, understand

log = structlog.get_logger("engine")

SNAPSHOT_EVERY = 100
"""Events of a loan between two snapshots: loading replays at most so many."""
TOPIC_ORDER = {topic.name: index for index, topic in enumerate(INBOUND)}
"""Topics have no order between them: within a batch, loans are booked before anything else is said of them."""
AGENDA = "agenda"
CODES_FRESH_SECONDS = 1.0
"""An operator's word on a failure code counts from at most so long after it was given."""
MOST_DEFEATS = 7
"""So that the longest pause after one is some 6 seconds..."""
FORGOTTEN_SECONDS = 30.0
"""... for one who was not left in peace for so long."""


class Defect(Exception):
    """Our own mistake, met while deciding one message: that one is set aside, the rest of the batch goes on."""

    def __init__(self, culprit: Culprit, error: Exception) -> None:
        self.culprit = culprit
        self.error = error
        super().__init__(repr(error))


Culprit = tuple[str, int, int] | str
"""(topic, partition, offset) of a record, or the id of a loan whose agenda it was."""


@dataclass(slots=True)
class Batch:
    """What one turn of the loop has in hand."""

    now: datetime
    records: list[Record]
    wakeups: list[tuple[int, str]]
    parts: dict[int, Part] = field(default_factory=dict[int, Part])
    touched: dict[str, int] = field(default_factory=dict[str, int])
    reroutes: list[tuple[Record, int]] = field(default_factory=list[tuple[Record, int]])
    released: set[str] = field(default_factory=set[str])
    """Loans that were booked in this batch: what was parked for them is taken."""
    open_loans: Mapping[str, Collection[str]] = field(default_factory=dict[str, Collection[str]])
    """Loans, before this batch, of the borrowers that it is asked to erase."""


@dataclass(slots=True)
class Partition:
    """A claimed partition: where its log stands, and the loans in hand."""

    number: int
    position: int
    parked: set[str]
    loans: dict[str, Held] = field(default_factory=dict[str, Held])


class Engine:
    """The partition loop. `owner` names this process in the log; `crash_at` lets a test stop it at a named point."""

    def __init__(
        self,
        *,
        inbox: KafkaInbox,
        events: Log,
        publisher: Publisher,
        clock: Clock,
        rules: Rules,
        insights: Insights | None = None,
        partition_count: int,
        cluster_id: str,
        owner: str,
        health: Callable[[], GatewayHealth] | None = None,
        codes: Codes | None = None,
        wait_ms: int = 50,
        cached_loans: int = 100_000,
        wakeups_at_once: int = 2_000,
        crash_at: Callable[[str], None] = lambda point: None,
        on_batch: Callable[[Batch, float], None] = lambda batch, seconds: None,
        on_claimed: Callable[[], None] = lambda: None,
    ) -> None:
        self._inbox = inbox
        self._log = events
        self._publisher = publisher
        self._clock = clock
        self._rules = rules
        self._insights = insights
        self._partition_count = partition_count
        self._cluster_id = cluster_id
        self._owner = owner
        self._health = health or (lambda: rules.health)
        self._codes = codes
        self._codes_read_at = -CODES_FRESH_SECONDS
        self._wait_ms = wait_ms
        self._cached_loans = cached_loans
        self._wakeups_at_once = wakeups_at_once
        self._crash_at = crash_at
        self._on_batch = on_batch
        self._on_claimed = on_claimed
        self._partitions: dict[int, Partition] = {}
        self._next_due: datetime | None = None
        self._agenda_stale = False
        self._defeats = 0
        self._defeated_at = -FORGOTTEN_SECONDS
        self._defects: dict[Culprit, str] = {}
        self._noted_at = 0.0
        self._noted: dict[int, int] = {}

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that this engine writes now."""
        return frozenset(self._partitions)

    @property
    def cached(self) -> int:
        return sum(len(partition.loans) for partition in self._partitions.values())

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, then leave with everything committed published."""
        publishing = asyncio.create_task(self._publisher.run())
        try:
            while not stop.is_set():
                if pause := await self.turn():
                    with suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), pause)
                if publishing.done():
                    publishing.result()
        finally:
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)
            if stop.is_set():
                await asyncio.wait_for(self._publisher.drain(), 30)
                await self._note_published()

    async def turn(self) -> float:
        """One turn of the loop: whatever came, whatever is due. How long to wait before the next one."""
        try:
            await self._turn()
            return 0.0
        except FencedOff as fenced:
            why, error, pause = "another writer has our partitions", str(fenced), self._pause_after_defeat()
        except LogUnreachable as unreachable:
            why, error, pause = "the database is out of reach", str(unreachable), 0.5
        except KafkaError as failed:
            why, error, pause = "the broker is out of reach", repr(failed), 0.5
        log.warning(f"{why}: starting again from the log", error=error, pause=round(pause, 2))
        self._start_again()
        return pause

    def _pause_after_defeat(self) -> float:
        """Longer each time: two that took from each other without a pause would both get nothing done."""
        now = time.monotonic()
        self._defeats = min(self._defeats + 1, MOST_DEFEATS) if now - self._defeated_at < FORGOTTEN_SECONDS else 0
        self._defeated_at = now
        return 0.05 * 2**self._defeats * uniform(0.5, 1.5)

    async def _turn(self) -> None:
        self._let_go(self._inbox.take_revoked())
        if self._inbox.unclaimed:
            await self._claim(self._inbox.unclaimed)
        records = await self._inbox.poll(self._wait_ms)
        await self._clock.refresh()  # after the records: none is decided at a moment before it came
        now = self._clock.now()
        wakeups = await self._due(now)
        if not records and not wakeups:
            if self._agenda_stale:
                await self._remember_due([])
            await self._note_published()
            return
        if (health := self._health()) is not self._rules.health:
            self._rules = replace(self._rules, health=health)
        await self._read_codes()
        await self._look_at_the_book(ist_day(now))
        started = time.perf_counter()
        batch = Batch(now, records, wakeups)
        await self._decide(batch)
        if batch.reroutes:
            await self._publisher.reroute(batch.reroutes)
            self._crash_at("after reroute")
        await self._commit(batch)
        self._on_batch(batch, time.perf_counter() - started)
        await self._note_progress(batch)

    async def _look_at_the_book(self, today: date) -> None:
        """Once a business day: what the days before it say of banks, rails and gateways."""
        if self._insights is not None and self._rules.insight.as_of != today:
            self._rules = replace(self._rules, insight=await self._insights.as_of(today))

    # --- whose partitions ------------------------------------------------------------------------------------

    async def _claim(self, partitions: Collection[int]) -> None:
        """Become the writer: from here on the one before us can commit nothing."""
        claims: list[Claim] = await self._log.claim(partitions, self._owner, self._cluster_id)
        for claim in claims:
            self._partitions[claim.partition] = Partition(claim.partition, claim.position, set(claim.parked))
        self._publisher.take_over(claims)
        await self._inbox.open({claim.partition: claim.offsets for claim in claims})
        self._next_due = await self._log.next_due(self._partitions)
        log.info("partitions claimed", partitions=sorted(partitions), owner=self._owner)
        self._on_claimed()

    def _let_go(self, partitions: Collection[int]) -> None:
        if not partitions:
            return
        for number in partitions:
            self._partitions.pop(number, None)
        self._publisher.let_go(partitions)
        log.info("partitions let go", partitions=sorted(partitions))

    def _start_again(self) -> None:
        """Believe nothing in memory: every partition is claimed anew, from what the log says."""
        mine = list(self._partitions)
        self._let_go(mine)
        self._inbox.close(mine)

    # --- reading everything first ----------------------------------------------------------------------------

    async def _due(self, now: datetime) -> list[tuple[int, str]]:
        """Loans for which time has something to do. The database is asked only when something can be due."""
        if not self._partitions or self._next_due is None or self._next_due > now:
            return []
        due = await self._log.due(self._partitions, now, self._wakeups_at_once)
        self._agenda_stale = len(due) < self._wakeups_at_once
        return due

    async def _read_codes(self) -> None:
        """The mapping of failure codes as operators have it, asked for once a second and not once a message."""
        if self._codes is None or time.monotonic() - self._codes_read_at < CODES_FRESH_SECONDS:
            return
        newest = await self._codes.newest(self._rules.codes)
        self._codes_read_at = time.monotonic()
        if newest is not self._rules.codes:
            self._rules = replace(self._rules, codes=newest)
            log.info("failure codes read", version=newest.version)

    async def _load(self, wanted: Iterable[tuple[int, str]]) -> None:
        missing: dict[int, set[str]] = {}
        for number, loan_id in wanted:
            partition = self._partitions.get(number)
            if partition is not None and loan_id not in partition.loans:
                missing.setdefault(number, set()).add(loan_id)
        if missing:
            for loan_id, held in (await self._log.load(missing)).items():
                self._partitions[partition_of(loan_id, self._partition_count)].loans[loan_id] = held

    # --- deciding --------------------------------------------------------------------------------------------

    async def _decide(self, batch: Batch) -> None:
        """Decide the whole batch; a message that meets a defect of ours is set aside, and the batch decided again."""
        understood = [self._understand(record) for record in batch.records]
        messages = [message for message in understood if isinstance(message, Message)]
        while True:
            home = [(partition_of(m.loan_id, self._partition_count), m.loan_id) for m in messages]
            await self._load([*home, *batch.wakeups])
            released = await self._released(messages)
            batch.open_loans = await self._open_loans(messages)
            batch.parts.clear()
            batch.touched.clear()
            batch.reroutes.clear()
            try:
                self._decide_all(batch, understood, released)
                return
            except Defect as defect:
                log.error("a defect: the message is set aside", culprit=defect.culprit, error=repr(defect.error))
                self._defects[defect.culprit] = repr(defect.error)
                for loan_id, number in batch.touched.items():
                    self._partitions[number].loans.pop(loan_id, None)
                for partition in self._partitions.values():
                    partition.position = self._position_before(batch, partition)

    @staticmethod
    def _position_before(batch: Batch, partition: Partition) -> int:
        part = batch.parts.get(partition.number)
        return part.position if part else partition.position

    def _understand(self, record: Record) -> Message | DeadLetter:
        try:
            return understand(record)
        except Refused as refused:
            return dead_letter(record, "", refused)
        except Exception as error:
            log.error("a defect: the record is set aside", topic=record.topic, offset=record.offset, error=repr(error))
            return DeadLetter(record, "", "defect", repr(error), "")

    async def _released(self, messages: Sequence[Message]) -> dict[str, list[Message | DeadLetter]]:
        """Parked messages of loans that are booked in this batch."""
        released: dict[str, list[Message | DeadLetter]] = {}
        for message in messages:
            number = partition_of(message.loan_id, self._partition_count)
            partition = self._partitions.get(number)
            if isinstance(message.command, c.BookLoan) and partition and message.loan_id in partition.parked:
                records = await self._log.parked_of(number, message.loan_id, list(TOPIC_ORDER))
                released[message.loan_id] = [self._understand(record) for record in records]
        return released

    async def _open_loans(self, messages: Sequence[Message]) -> Mapping[str, Collection[str]]:
        """What stands in the way of erasing the borrowers of these loans; their others may live in any partition."""
        asked = {message.loan_id for message in messages if isinstance(message.command, c.EraseBorrower)}
        if not asked:
            return {}
        borrowers = {held.loan.borrower_id for held in self._held(asked)}
        borrowers |= {m.command.borrower_id for m in messages if isinstance(m.command, c.BookLoan)}
        return await self._log.open_loans(borrowers)

    def _held(self, loan_ids: Iterable[str]) -> Iterator[Held]:
        """Those of these loans that are in hand."""
        for loan_id in loan_ids:
            partition = self._partitions.get(partition_of(loan_id, self._partition_count))
            if partition is not None and loan_id in partition.loans:
                yield partition.loans[loan_id]

    def _decide_all(
        self,
        batch: Batch,
        understood: Sequence[Message | DeadLetter],
        released: dict[str, list[Message | DeadLetter]],
    ) -> None:
        for item in sorted(understood, key=topic_order):
            record = item.record
            if record.partition not in self._partitions:
                continue  # revoked meanwhile: its next owner will read it
            here = self._part(batch, record.partition)
            here.offsets[record.topic] = max(here.offsets.get(record.topic, 0), record.offset + 1)
            if isinstance(item, DeadLetter):
                set_aside(here, item)
                continue
            owner = partition_of(item.loan_id, self._partition_count)
            if owner != record.partition:
                here.tally.rerouted += 1
                batch.reroutes.append((record, owner))
                continue
            self._apply(batch, here, item)
            if isinstance(item.command, c.BookLoan) and item.loan_id in self._partitions[owner].loans:
                for waiting in released.pop(item.loan_id, ()):
                    here.tally.unparked += 1
                    here.unparked.append((item.loan_id, waiting.record))
                    if isinstance(waiting, DeadLetter):  # it was understood when it was parked, by an older version
                        set_aside(here, waiting)
                    else:
                        self._apply(batch, here, waiting)
                batch.released.add(item.loan_id)
        for number, loan_id in batch.wakeups:
            if number in self._partitions:
                self._wake(batch, self._part(batch, number), loan_id)
        self._plan(batch)

    def _part(self, batch: Batch, number: int) -> Part:
        part = batch.parts.get(number)
        if part is None:
            part = batch.parts[number] = Part(number, self._partitions[number].position)
            part.published = self._publisher.published(number)
        return part

    def _apply(self, batch: Batch, part: Part, message: Message) -> None:
        """One message: applied, repeated, parked or set aside."""
        record = message.record
        culprit = record.topic, record.partition, record.offset
        if culprit in self._defects:
            set_aside(part, DeadLetter(record, message.loan_id, "defect", self._defects[culprit], ""))
            return
        loans = self._partitions[part.partition].loans
        held = loans.get(message.loan_id)
        if held is None and not isinstance(message.command, c.BookLoan):
            part.parked.append((message.loan_id, record))
            part.tally.parked += 1
            self._partitions[part.partition].parked.add(message.loan_id)
            return
        batch.touched[message.loan_id] = part.partition
        outcome, refused = "done", None
        try:
            if held is not None and isinstance(message.command, c.EraseBorrower):
                self._only_loan_open(batch, held.loan)
            loan = handle(held.loan if held else None, message.command, batch.now, self._rules)
            if held is None:
                held = loans[message.loan_id] = Held(loan, GENESIS)
            part.tally.applied += 1
            part.secrets.extend(owned(secret, loan.borrower_id) for secret in message.secrets)
            if isinstance(message.command, c.EraseBorrower):
                self._erase(batch, part, loan.borrower_id)
        except Repeated:
            outcome = "repeated"
            part.tally.repeated += 1
        except Refused as error:
            outcome, refused = "refused", error
            if message.command_id:
                part.tally.applied += 1
            else:
                set_aside(part, dead_letter(record, message.loan_id, error))
        except Exception as error:
            raise Defect(culprit, error) from error
        if held is not None:
            self._collect(batch, part, held, message.causation_id, message.correlation_id, message.actor)
        else:
            batch.touched.pop(message.loan_id, None)
        if message.command_id and message.command_id not in part.results:
            part.results[message.command_id] = Result(
                command_id=message.command_id,
                loan_id=message.loan_id,
                type=message.type,
                outcome=outcome,
                refusal=refused.refusal.value if refused else "",
                detail=refused.sentence() if refused else "",
                version=held.loan.version if held else 0,
                correlation_id=message.correlation_id,
            )

    def _only_loan_open(self, batch: Batch, loan: Loan) -> None:
        """A borrower is erased whole, so no other loan of theirs may need what is known of them: those of this batch
        as they stand in it, the others as the log has them."""
        of_batch = {held.loan.id: held.loan for held in self._held(batch.touched)}
        needing = {other for other in batch.open_loans.get(loan.borrower_id, ()) if other not in of_batch}
        needing |= {
            other.id
            for other in of_batch.values()
            if other.borrower_id == loan.borrower_id and other.stage not in ("closed", "cancelled")
        }
        if needing - {loan.id}:
            raise Refused(Refusal.borrower_is_needed, "/loan_id", open_loans=", ".join(sorted(needing - {loan.id})))

    @staticmethod
    def _erase(batch: Batch, part: Part, borrower_id: str) -> None:
        """The log destroys the borrower's personal data with the event that says so; what came before it in this batch
        is not stored at all."""
        part.erased.append(borrower_id)
        for other in batch.parts.values():
            other.secrets = [secret for secret in other.secrets if secret.borrower_id != borrower_id]

    def _wake(self, batch: Batch, part: Part, loan_id: str) -> None:
        """Time has come for a loan."""
        held = self._partitions[part.partition].loans.get(loan_id)
        if held is None:
            return
        if loan_id in self._defects:
            part.agenda[loan_id] = batch.now + timedelta(hours=1)  # a person is needed; others are not held up
            return
        batch.touched[loan_id] = part.partition
        try:
            handle(held.loan, c.WakeUp(now=batch.now), batch.now, self._rules)
        except Exception as error:
            raise Defect(loan_id, error) from error
        self._collect(batch, part, held, AGENDA, f"{AGENDA}:{loan_id}:{held.loan.version}", AGENDA)

    def _collect(self, batch: Batch, part: Part, held: Held, causation: str, correlation: str, actor: str) -> None:
        """The new events of a loan as rows of the log, chained."""
        partition = self._partitions[part.partition]
        loan_id, head, position = held.loan.id, held.head, partition.position
        for event in held.loan.take_events():
            position += 1
            state = encode(event)
            facts = (
                part.partition, position, loan_id, event.originator_version, event.TOPIC, state,
                event.timestamp, batch.now, causation, correlation, actor,
            )  # fmt: skip
            head = link(head, *facts)
            part.events.append((*facts, head))
        held.head, partition.position = head, position

    def _plan(self, batch: Batch) -> None:
        """What time will ask of the loans that were touched, and snapshots of those that have grown."""
        for loan_id, number in batch.touched.items():
            held = self._partitions[number].loans[loan_id]
            task = next_task(held.loan, self._rules)
            due_at = task.at if task else None
            part = self._part(batch, number)
            if due_at != held.due_at or loan_id in part.agenda:
                part.agenda[loan_id] = due_at
                held.due_at = due_at
            if held.loan.version - held.snapshot_version >= SNAPSHOT_EVERY:
                held.snapshot_version = held.loan.version
                state = snapshot.dump(held.loan)
                part.snapshots.append((loan_id, held.loan.version, snapshot.SCHEMA, state, held.head))

    # --- committing ------------------------------------------------------------------------------------------

    async def _commit(self, batch: Batch) -> None:
        parts = [part for part in batch.parts.values() if not part.is_empty()]
        if not parts:
            await self._remember_due(parts)
            return
        self._crash_at("before commit")
        await self._log.commit(parts, self._owner, self._cluster_id, batch.now)
        self._crash_at("after commit")
        for part in parts:
            self._publisher.offer(part.partition, part.events)
            if part.dead_letters:
                self._publisher.dead_letters_waiting()
            self._partitions[part.partition].parked -= batch.released
            tell(part)
        await self._remember_due(parts)
        self._forget_surplus()
        self._crash_at("after hand-over")

    async def _remember_due(self, parts: Sequence[Part]) -> None:
        """The earliest moment that the agenda holds. It is asked only after its earliest rows were taken."""
        if self._agenda_stale:
            self._next_due = await self._log.next_due(self._partitions)
            self._agenda_stale = False
            return
        planned = [at for part in parts for at in part.agenda.values() if at is not None]
        self._next_due = min([*planned, *([self._next_due] if self._next_due else [])], default=None)

    def _forget_surplus(self) -> None:
        """Keep memory bounded: the loans that came in first leave first, and are loaded again when needed."""
        surplus = self.cached - self._cached_loans
        for partition in self._partitions.values():
            if surplus <= 0:
                return
            for loan_id in list(partition.loans)[:surplus]:
                del partition.loans[loan_id]
                surplus -= 1

    async def _note_published(self) -> None:
        """With nothing else to do: say how far the topics are, so that a restart repeats little."""
        published = {number: self._publisher.published(number) for number in self._partitions}
        moved = {number: position for number, position in published.items() if position != self._noted.get(number)}
        if moved:
            await self._log.note_published(moved, self._owner)
            self._noted.update(moved)

    async def _note_progress(self, batch: Batch) -> None:
        if time.monotonic() - self._noted_at > 1.0:
            self._noted_at = time.monotonic()
            await self._inbox.note_progress({number: part.offsets for number, part in batch.parts.items()})


def topic_order(item: Message | DeadLetter) -> int:
    return TOPIC_ORDER[item.record.topic]


def dead_letter(record: Record, loan_id: str, refused: Refused) -> DeadLetter:
    return DeadLetter(record, loan_id, refused.refusal.value, refused.sentence(), refused.field)


def set_aside(part: Part, letter: DeadLetter) -> None:
    """A record that cannot be applied is kept whole, with the reason."""
    part.dead_letters.append(letter)
    part.tally.dead_lettered += 1


def tell(part: Part) -> None:
    """One line for each record that a person may ask about, with the id that stands on its events and instructions.

    What is applied in the ordinary way is told by the events themselves, not by a line each.
    """
    for letter in part.dead_letters:
        log.warning(
            "set aside",
            reason=letter.reason,
            field=letter.field,
            loan_id=letter.loan_id,
            correlation_id=correlation_of(letter.record),
            topic=letter.record.topic,
            partition=letter.record.partition,
            offset=letter.record.offset,
        )
    for loan_id, record in part.parked:
        log.info("parked", loan_id=loan_id, correlation_id=correlation_of(record), topic=record.topic)
    for result in part.results.values():
        log.info(
            "command",
            command_id=result.command_id,
            loan_id=result.loan_id,
            type=result.type,
            outcome=result.outcome,
            refusal=result.refusal,
            correlation_id=result.correlation_id,
        )


def owned(secret: Secret, borrower_id: str) -> Secret:
    """A message about a loan need not name its borrower; the loan does."""
    return secret if secret.borrower_id else Secret(secret.token, borrower_id, secret.content)
