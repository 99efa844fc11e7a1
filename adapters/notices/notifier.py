"""The notifier's loop: hear, decide, send, write down what became of it.

A notice is in the table before it is sent and its id is that of its event, so that nobody is told twice, whatever is
read twice. One that must wait is decided again when its hour comes: what was wished, paid or held meanwhile counts.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol, cast

import asyncpg
import structlog
from jinja2 import TemplateError

from adapters.event_store.postgres import SET_ASIDE, source_of
from adapters.notices import store
from adapters.notices.letters import Answer, Letter, Port, Refused, Taken, Unclear
from adapters.notices.store import Past, Person, Row, Trail
from adapters.notices.wording import Templates
from adapters.vault import Vault
from domain.policies.contact import SUPERSEDES, Channel, Language, Tell, Tone, Withhold, decide
from domain.refusals import Refusal
from domain.refusals import Refused as NotUnderstood
from streams.clock import Clock
from streams.database_away import DATABASE_AWAY
from streams.envelope import Record
from streams.notices import Forget, Notice, NoticeOutcome, understand

log = structlog.get_logger("notifier")

BATCH: Final = 1_000
TRIES: Final = 3
"""Tries on one channel before the next one is taken."""
AGAIN_AFTER: Final = timedelta(minutes=2)
"""Doubled at each try."""
PART: Final = 200
"""Letters that a port is given at once."""
SEND_SECONDS: Final = 60
"""A port that takes longer for them has failed: well within the lease."""
AWAY_SECONDS: Final = 1.0
LINGER_SECONDS: Final = 0.5
LOOK_BEHIND_SECONDS: Final = 30.0


class Inbox(Protocol):
    """Where notices come from, in order within a loan."""

    async def poll(self, wait_ms: int) -> Sequence[Record]: ...

    async def done(self) -> None:
        """What was polled so far is dealt with."""
        ...


@dataclass(slots=True)
class Known:
    """What a batch of decisions looks at."""

    persons: dict[str, Person]
    pasts: dict[str, list[Past]]


class Notifier:
    """Turns what it hears into letters. `crash_at` is for tests."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        pool: asyncpg.Pool,
        vault: Vault,
        clock: Clock,
        templates: Templates,
        ports: Mapping[str, Port],
        cluster_id: str,
        stepped: bool = False,
        wait_ms: int = 200,
        crash_at: Callable[[str], None] = lambda point: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.inbox = inbox
        self.pool = pool
        self.vault = vault
        self.clock = clock
        self.templates = templates
        self.ports = ports
        self.cluster_id = cluster_id
        self.stepped = stepped
        """A clock that jumps: what comes late was sent when it was planned for, or a demo would tell nobody."""
        self.wait_ms = wait_ms
        self.crash_at = crash_at
        self.sleep = sleep
        self._looked_behind = float("-inf")

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop. A database that is away is waited for, with what was polled in hand."""
        records: Sequence[Record] = ()
        while not stop.is_set():
            try:
                records = records or await self.inbox.poll(self.wait_ms)
                await self.turn(records)
                records = ()
                if self.stepped:  # nobody waits: larger batches leave the machine to the simulation
                    await self.sleep(LINGER_SECONDS)
            except DATABASE_AWAY as error:
                log.warning("the database is away", error=repr(error))
                await self.sleep(AWAY_SECONDS)

    async def turn(self, records: Sequence[Record]) -> None:
        """One batch: all of it in the table, then what is due on its way."""
        await self.clock.refresh()
        if records:
            due, known = await self.take(records)
            self.crash_at("after plan")
            await self.inbox.done()
            await self.dispatch(due, known)
        while due := await self.claim():
            await self.dispatch(*due)

    # --- Hear and plan ---------------------------------------------------------------------------------------

    async def take(self, records: Sequence[Record]) -> tuple[list[Row], Known]:
        """Write down what records ask for; the rows that are to be sent now, in hand already."""
        notices: dict[str, Notice] = {}
        outcomes: list[tuple[Record, NoticeOutcome]] = []
        forgotten: list[str] = []
        wrong: list[tuple[Record, NotUnderstood]] = []
        for record in records:
            try:
                match understand(record):
                    case Notice() as notice:
                        notices.setdefault(notice.notice_id, notice)
                    case Forget(borrower_id):
                        forgotten.append(borrower_id)
                    case outcome:
                        outcomes.append((record, cast(NoticeOutcome, outcome)))
            except NotUnderstood as refused:
                wrong.append((record, refused))
        async with self.pool.acquire() as connection, connection.transaction():
            rows, known = await self.plan(connection, notices)
            new = await store.insert(connection, rows)
            for kind, superseded in SUPERSEDES.items():
                await store.supersede(connection, kind, superseded, [row for row in rows if row.kind == kind])
            for record, outcome in outcomes:
                if not await store.hear(connection, outcome):
                    wrong.append((record, NotUnderstood(Refusal.notice_unknown, "/notice_id")))
            await self.set_aside(connection, wrong)
        for port in set(self.ports.values()) if forgotten else ():
            await port.forget(forgotten)
        return [row for row in rows if row.state == "sending" and row.notice_id in new], known

    async def plan(self, connection: store.Connection, notices: Mapping[str, Notice]) -> tuple[list[Row], Known]:
        """New rows, decided in the order in which things happened."""
        there = await store.known_of(connection, notices)
        new = sorted((one for one in notices.values() if one.notice_id not in there), key=lambda one: one.occurred_at)
        owners = await store.borrowers_of(connection, {(one.partition, one.loan_id) for one in new})
        rows = [Row.of(one, owners[one.loan_id]) for one in new if one.loan_id in owners]
        for one in new:
            if one.loan_id not in owners:  # not our log, or not its partition
                log.error("a notice of a loan that the log does not know", notice=one.notice_id, loan=one.loan_id)
        known = await self.know(connection, rows)
        open_rows: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            for older in open_rows[row.loan_id]:
                if older.kind in SUPERSEDES.get(row.kind, ()) and older.send_at >= row.occurred_at:
                    older.state, older.reason = "suppressed", f"superseded by {row.kind}"
            now = row.occurred_at if self.stepped else max(row.occurred_at, self.clock.now())
            self.settle_on(row, known, now)
            if row.state == "planned":
                row.state = "sending" if row.send_at <= now else "planned"
                open_rows[row.loan_id].append(row)
            if known.persons[row.borrower_id].contact.erased:
                row.facts = {}
            known.pasts.get(row.borrower_id, []).append(past(row))
        return rows, known

    async def know(self, connection: store.Connection, rows: Sequence[Row]) -> Known:
        """Everything that decisions about these rows look at."""
        if not rows:
            return Known({}, {})
        persons = await store.persons_of(connection, self.vault, {row.borrower_id for row in rows})
        asking = {row.borrower_id for row in rows if row.purpose in ("alert", "nudge", "recovery")}
        since = min(row.occurred_at for row in rows) - store.MEMORY
        return Known(persons, await store.pasts_of(connection, asking, since) if asking else {})

    def settle_on(self, row: Row, known: Known, now: datetime) -> None:
        """Ask the policy, and write its answer on the row: `planned`, `suppressed`, or `failed` after all channels."""
        person = known.persons[row.borrower_id]
        seen = store.history(known.pasts.get(row.borrower_id, ()), row)
        try:
            answer = decide(row.asked(), person.contact, seen, self.ports.keys(), now)
        except (KeyError, TypeError, ValueError) as error:  # what it says is not what its kind says; the rest goes on
            log.exception("a notice cannot be decided", notice=row.notice_id)
            answer = Withhold("defect", repr(error))
        match answer:
            case Tell() as tell:
                row.state, row.channel, row.tone, row.language = "planned", tell.channel, tell.tone, tell.language
                row.send_at, row.reason, row.rule = tell.at, tell.reason, tell.rule
            case withheld:
                row.state = "failed" if row.tried else "suppressed"
                row.reason = f"{withheld.reason}: {withheld.detail}" if withheld.detail else withheld.reason

    async def set_aside(self, connection: store.Connection, wrong: Sequence[tuple[Record, NotUnderstood]]) -> None:
        """Records that say nothing that we know: among the dead letters, byte for byte."""
        if not wrong:
            return
        now = self.clock.now()
        await connection.executemany(
            SET_ASIDE,
            [
                (record.partition, "", *source_of(record, self.cluster_id), refused.refusal.value,
                 str(refused), refused.field, now)
                for record, refused in wrong
            ],
        )  # fmt: skip

    # --- Send ------------------------------------------------------------------------------------------------

    async def claim(self) -> tuple[list[Row], Known] | None:
        """What was planned and is due, decided again; and what a crash left behind. None: nothing is."""
        now = self.clock.now()
        loop_time = asyncio.get_running_loop().time()
        async with self.pool.acquire() as connection, connection.transaction():
            due = await store.claim_due(connection, now, BATCH)
            behind: list[Row] = []
            if loop_time - self._looked_behind > LOOK_BEHIND_SECONDS:
                self._looked_behind = loop_time
                behind = await store.claim_left_behind(connection, BATCH)
            if not due and not behind:
                return None
            known = await self.know(connection, [*due, *behind])
            later: list[tuple[Row, str, Trail | None]] = []
            sending: list[Row] = []
            for row in sorted(due, key=lambda one: (one.send_at, one.notice_id)):
                moment = row.send_at if self.stepped else now
                self.settle_on(row, known, moment)
                if row.state == "planned" and row.send_at <= moment:
                    sending.append(row)
                else:
                    later.append((row, "", None))
            for row in behind:
                if known.persons[row.borrower_id].contact.erased:
                    row.state, row.reason = "suppressed", "borrower-erased"
                    later.append((row, "", None))
                elif row.channel in self.ports and (self.ports[row.channel].repeats_safely or statutory(row)):
                    sending.append(row)
                else:
                    row.state = "sent"
                    later.append((row, "", Trail(row.channel, now, "unclear", "interrupted; not repeated")))
            await store.settle(connection, later)
        return sending, known

    async def dispatch(self, rows: Sequence[Row], known: Known) -> None:
        """Hand rows to their ports, all channels at once, and write down what they answer."""
        by_channel: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            by_channel[row.channel].append(row)
        await asyncio.gather(*(self.hand_over(channel, some, known) for channel, some in by_channel.items()))

    async def hand_over(self, channel: str, rows: Sequence[Row], known: Known) -> None:
        """In parts that a port can take in time; the rest is kept in hand meanwhile."""
        touched = asyncio.get_running_loop().time()
        for first in range(0, len(rows), PART):
            if asyncio.get_running_loop().time() - touched > SEND_SECONDS / 3:
                await store.keep_in_hand(self.pool, rows[first:])
                touched = asyncio.get_running_loop().time()
            await self.hand_over_part(channel, rows[first : first + PART], known)

    async def hand_over_part(self, channel: str, rows: Sequence[Row], known: Known) -> None:
        letters = [self.letter(row, known.persons[row.borrower_id]) for row in rows]
        self.crash_at("before send")
        answers = await self.answers_to(channel, letters)
        self.crash_at("after send")
        taken = [
            (row, answer.reference) for row, answer in zip(rows, answers, strict=True) if isinstance(answer, Taken)
        ]
        others = [(row, answer) for row, answer in zip(rows, answers, strict=True) if not isinstance(answer, Taken)]
        settled = [(row, "", self.after(row, answer)) for row, answer in others]
        if settled:
            log.warning("notices were not taken", channel=channel, count=len(settled), first=settled[0][2].detail)
        async with self.pool.acquire() as connection, connection.transaction():
            if taken:
                await store.sent(connection, [row for row, _ in taken], [reference for _, reference in taken])
            await store.settle(connection, settled)

    async def answers_to(self, channel: str, letters: Sequence[Letter | None]) -> list[Answer]:
        """What the port says to each; a letter that could not be written is refused for good."""
        written = [letter for letter in letters if letter is not None]
        try:
            told = iter(await asyncio.wait_for(self.ports[channel].send(written), SEND_SECONDS) if written else ())
        except TimeoutError:
            told = iter([Unclear("no answer in time")] * len(written))
        return [Refused("it cannot be written", for_good=True) if letter is None else next(told) for letter in letters]

    def letter(self, row: Row, person: Person) -> Letter | None:
        """The words and the address; None where the notice does not have what its text wants, or no address is left."""
        channel, language = cast(Channel, row.channel), cast(Language, row.language)
        address = person.addresses.get(channel)
        try:
            text = self.templates.render(
                row.kind, channel, cast(Tone, row.tone), language, row.loan_id, row.facts, person.name
            )
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError):
            log.exception("a notice cannot be written", notice=row.notice_id)
            return None
        if address is None:
            return None
        return Letter(
            notice_id=row.notice_id,
            loan_id=row.loan_id,
            borrower_id=row.borrower_id,
            kind=row.kind,
            channel=channel,
            language=language,
            address=address,
            subject=text.subject,
            body=text.body,
        )

    def after(self, row: Row, answer: Answer) -> Trail:
        """What follows when a provider did not take it: again later, another channel, or nothing more."""
        at = row.send_at if self.stepped else max(row.send_at, self.clock.now())
        match answer:
            case Unclear(detail) if not (self.ports[row.channel].repeats_safely or statutory(row)):
                row.state = "sent"
                return Trail(row.channel, at, "unclear", detail)
            case Refused(detail, for_good=True):
                self.give_up_channel(row, at)
                return Trail(row.channel, at, "refused", detail)
            case Refused(detail) | Unclear(detail):
                trail = Trail(row.channel, at, "failed", detail)
                row.attempts += 1
                row.state, row.send_at = "planned", at + AGAIN_AFTER * 2 ** (row.attempts - 1)
                if row.attempts >= TRIES:
                    self.give_up_channel(row, at)
                return trail
            case Taken():
                raise AssertionError("a letter that was taken needs nothing more")

    def give_up_channel(self, row: Row, at: datetime) -> None:
        """The next channel at once: the policy is asked again, without this one."""
        row.state, row.send_at, row.attempts = "planned", at, 0
        row.tried = [*row.tried, row.channel]


def statutory(row: Row) -> bool:
    """Better told twice than not at all."""
    return row.purpose == "statutory"


def past(row: Row) -> Past:
    return Past(row.notice_id, row.loan_id, row.kind, row.purpose, row.state, row.channel, row.send_at, row.tried, None)
