"""The desk of one gateway: instructions in from Kafka, calls out to the gateway, outcomes back to Kafka.

Five loops that know each other only by the database, so that each may die and start again at any point:

    take     instructions -> gateway_calls, then the offset is committed
    work     calls whose time has come -> the gateway -> its answer, and what is to be told, in one transaction
    listen   webhooks that the API took -> the calls that they name come due at once
    collect  files that came in -> answers, each file once
    tell     outcomes -> their topics, then marked as told
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import orjson
import structlog
from pydantic import AliasChoices, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from adapters.gateways.calls import Calls, Instruction, Waiting
from adapters.gateways.port import UNKNOWN, Answer, Gateway, Order, OrderKind, SetAside, Webhooks
from adapters.gateways.progress import Asked, Call, what_to_ask
from streams.clock import Clock
from streams.database_away import DATABASE_AWAY
from streams.envelope import Record, headers_for
from streams.ports import LogUnreachable
from streams.topics import DEBIT_INSTRUCTIONS, MANDATE_INSTRUCTIONS, PAYMENT_LINKS, PAYOUT_INSTRUCTIONS

log = structlog.get_logger("gateway")

INSTRUCTIONS = (DEBIT_INSTRUCTIONS.name, PAYOUT_INSTRUCTIONS.name, MANDATE_INSTRUCTIONS.name, PAYMENT_LINKS.name)
KINDS: Mapping[str, OrderKind] = {
    "servicing.debit-instruction.v1": "debit",
    "servicing.payout-instruction.v1": "payout",
    "servicing.refund-instruction.v1": "refund",
    "servicing.mandate-cancellation.v1": "mandate-cancel",
    "servicing.mandate-request.v1": "mandate-request",
    "servicing.payment-link.v1": "link",
}
WITHDRAWALS: Mapping[str, OrderKind] = {
    "servicing.debit-withdrawal.v1": "debit",
    "servicing.payment-link-withdrawal.v1": "link",
}
ANY_RAIL = "any"
"""A request for a mandate by whichever rail."""
PAYOUT_RAIL_LIMIT = 5_00_000_00
"""Paise that IMPS carries at once; what is more goes by NEFT where the instruction leaves the rail open."""
BATCH = 500
FAREWELL_SECONDS = 5
"""So long, when told to stop, for answers that are on their way."""


class Instructed(BaseModel):
    """What every instruction has; the rest of it is the adapter's to read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    loan_id: str = Field(min_length=1)
    instruction_id: str = Field(min_length=1, max_length=200)
    amount_paise: int = Field(0, ge=0, strict=True, validation_alias=AliasChoices("amount_paise", "max_amount_paise"))
    rail: str = ""
    gateway: str = ""
    present_at: AwareDatetime | None = None
    instructed_at: AwareDatetime | None = Field(None, validation_alias=AliasChoices("instructed_at", "offered_at"))

    def order_id(self, kind: OrderKind) -> str:
        """Unique among all orders: a link is numbered as a debit is."""
        return f"link:{self.instruction_id}" if kind == "link" else self.instruction_id


class Takes(Protocol):
    """Which instructions a gateway takes; `config.Common` is one."""

    @property
    def payouts(self) -> bool: ...

    @property
    def links(self) -> bool: ...

    @property
    def mandates(self) -> Sequence[str]: ...

    @property
    def oldest_hours(self) -> int: ...

    @property
    def at_once(self) -> int: ...

    @property
    def lease_seconds(self) -> float: ...

    @property
    def every_seconds(self) -> float: ...


class Inbox(Protocol):
    """Where instructions come from."""

    async def poll(self) -> Sequence[Record]: ...

    async def commit(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A record to be sent."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]]


class Sender(Protocol):
    async def send(self, records: Sequence[Outgoing]) -> None:
        """Send all, in order within a partition, and return once they are safe."""
        ...


class Desk:
    """One gateway at work."""

    def __init__(
        self,
        *,
        gateway: Gateway,
        takes: Takes,
        calls: Calls,
        inbox: Inbox,
        sender: Sender,
        home: Callable[[str], int],
        clock: Clock,
        webhooks: Webhooks | None = None,
        crash_at: Callable[[str], None] = lambda point: None,
    ) -> None:
        self._gateway = gateway
        self._takes = takes
        self._calls = calls
        self._inbox = inbox
        self._sender = sender
        self._home = home
        self._clock = clock
        self._webhooks = webhooks
        self._crash_at = crash_at
        self._asking: set[asyncio.Task[None]] = set()
        self._orders_in_hand = 0
        self._in_hand: Sequence[Record] = ()
        """Instructions that were read and are not written down: kept while the database is away, since the consumer
        would not give them again."""

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; what goes wrong with a broker, a database or a disk is logged and tried again."""
        loops = (
            ("take", self.take, 0.0),
            ("work", self.work, self._takes.every_seconds),
            ("tell", self.tell, 0.1),
            ("listen", self.listen, 0.2),
            ("collect", self.collect, self._takes.every_seconds),
        )
        try:
            async with asyncio.TaskGroup() as group:
                for name, step, pause in loops:
                    group.create_task(self._loop(name, step, pause, stop))
        finally:
            if self._asking:  # what does not come to its end is enquired about by whoever is next
                await asyncio.wait(self._asking, timeout=FAREWELL_SECONDS if stop.is_set() else 0)
            for task in self._asking:
                task.cancel()
            await asyncio.gather(*self._asking, return_exceptions=True)
            await self._gateway.close()

    async def _loop(self, name: str, step: Callable[[], Awaitable[int]], pause: float, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                wait = 0.0 if await step() else pause
            except (*DATABASE_AWAY, LogUnreachable, OSError) as error:
                log.warning("trying again", gateway=self._gateway.name, loop=name, error=repr(error))
                wait = 1.0
            try:
                await asyncio.wait_for(stop.wait(), wait or 0.001)
            except TimeoutError:
                continue

    # --- instructions ----------------------------------------------------------------------------------------

    async def take(self) -> int:
        """Write down the next instructions. Those for other gateways are passed over."""
        records = self._in_hand = self._in_hand or await self._inbox.poll()
        if not records:
            return 0
        await self._clock.refresh()
        instructions: list[Instruction] = []
        withdrawals: list[str] = []
        aside: dict[str, list[SetAside]] = defaultdict(list)
        for record in records:
            kind = record.header("ce_type")
            if kind not in WITHDRAWALS and kind not in KINDS:
                continue
            try:
                body = orjson.loads(record.value or b"")
                said = Instructed.model_validate(body)
            except (orjson.JSONDecodeError, ValidationError) as error:
                reason = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": "no JSON"}
                where = "/".join(str(part) for part in reason["loc"])
                aside[f"{record.topic}:{record.partition}"].append(
                    SetAside(line=record.offset, reason=f"/{where}: {reason['msg']}")
                )
                continue
            if kind in WITHDRAWALS:
                withdrawals.append(said.order_id(WITHDRAWALS[kind]))
            elif self.is_ours(KINDS[kind], said):
                instructions.append(self._instruction(KINDS[kind], said, body, record))
        for source, lines in aside.items():
            log.error("an instruction is not understood", gateway=self._gateway.name, source=source, count=len(lines))
            await self._calls.set_aside(source, lines)
        if instructions or withdrawals:
            new = await self._calls.take(instructions, withdrawals)
            log.info("taken", gateway=self._gateway.name, new=new, known=len(instructions) - new)
        self._crash_at("instructions taken")
        await self._inbox.commit()
        self._in_hand = ()
        return len(records)

    def is_ours(self, kind: OrderKind, said: Instructed) -> bool:
        """By the gateway's name; without one, by what the gateway takes."""
        if said.gateway:
            return said.gateway == self._gateway.name
        if kind in ("mandate-cancel", "mandate-request"):
            return (said.rail or ANY_RAIL) in self._takes.mandates
        if kind == "link":
            return self._takes.links
        return kind in ("payout", "refund") and self._takes.payouts

    def _instruction(self, kind: OrderKind, said: Instructed, body: dict[str, Any], record: Record) -> Instruction:
        asked_at = said.present_at or said.instructed_at
        now = self._clock.now()
        old = asked_at is not None and now - asked_at > timedelta(hours=self._takes.oldest_hours)
        rail = said.rail
        if kind in ("payout", "refund") and rail in ("", "auto"):
            rail = "imps" if said.amount_paise <= PAYOUT_RAIL_LIMIT else "neft"
        # The account is personal data: it stays in the vault and is opened for the call alone.
        kept = {name: value for name, value in body.items() if name != "account"} | {"rail": rail}
        order = Order(
            instruction_id=said.order_id(kind),
            kind=kind,
            loan_id=said.loan_id,
            amount_paise=said.amount_paise,
            rail=rail,
            body=kept,
            correlation_id=record.header("qist_correlation_id"),
        )
        return Instruction(order, old)

    # --- calls -----------------------------------------------------------------------------------------------

    async def work(self) -> int:
        """Begin a turn of what has come due, as far as there are hands free."""
        for task in [task for task in self._asking if task.done()]:
            self._asking.remove(task)
            task.result()
        free = self._takes.at_once - self._orders_in_hand
        if free <= 0:
            await asyncio.wait(self._asking, return_when=asyncio.FIRST_COMPLETED)
            return 1
        due = await self._calls.due(free, self._takes.lease_seconds)
        self._crash_at("turns begun")
        asked: dict[Asked, list[Call]] = defaultdict(list)
        for call in due:
            asked[what_to_ask(call)].append(call)
        for what, calls in asked.items():
            for turn in [calls] if self._gateway.together else [[call] for call in calls]:
                self._orders_in_hand += len(turn)
                self._asking.add(asyncio.create_task(self._turn(what, turn)))
        return len(due)

    async def _turn(self, asked: Asked, calls: Sequence[Call]) -> None:
        try:
            await self._ask(asked, calls)
        finally:
            self._orders_in_hand -= len(calls)

    async def _ask(self, asked: Asked, calls: Sequence[Call]) -> None:
        ask = {"present": self._gateway.present, "enquire": self._gateway.enquire, "withdraw": self._gateway.withdraw}
        orders = [call.order for call in calls]
        erased = [call for call in calls if asked == "present" and lacks_account(call.order)]
        answers: dict[str, Answer] = {
            call.order.instruction_id: Answer(state="failed", message="there is no account to send it to")
            for call in erased
        }
        answers |= await ask[asked]([order for order in orders if order.instruction_id not in answers])
        self._crash_at(f"{asked} done")
        await self._clock.refresh()
        for call in calls:
            answer = answers.get(call.order.instruction_id, UNKNOWN)
            step = await self._calls.record(call, asked, answer, datetime.now(UTC), self._business_now())
            if step is None:
                log.info("overtaken", gateway=self._gateway.name, instruction=call.order.instruction_id)
            elif step.note:
                tell = log.info if answer.state in ("unknown", "later") else log.warning
                tell(
                    "no news" if answer.state in ("unknown", "later") else "a word of note",
                    gateway=self._gateway.name,
                    instruction=call.order.instruction_id,
                    asked=asked,
                    state=step.state,
                    note=step.note,
                )

    def _business_now(self) -> datetime:
        now = self._clock.now()
        return now if now.year > 1900 else datetime.now(UTC)  # a stepped clock that nobody has stepped yet

    # --- what comes by itself --------------------------------------------------------------------------------

    async def listen(self) -> int:
        """Look at webhooks: what they name is enquired about at once."""
        if self._webhooks is None:
            return 0
        waiting = await self._calls.webhooks(BATCH)
        for event_id, body in waiting:
            try:
                if b"\\u0000" in body:  # no column of ours could hold it
                    raise ValueError("it holds the character U+0000")
                heard = self._webhooks.heard(body)
            except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
                log.error("a webhook is not understood", gateway=self._gateway.name, id=event_id, error=repr(error))
                await self._calls.heard(event_id, (), (), f"not understood: {type(error).__name__} {error}"[:200])
                continue
            await self._calls.heard(event_id, heard.moved, heard.told)
        return len(waiting)

    async def collect(self) -> int:
        """Take in files, each once, and put them away."""
        files = await self._gateway.collect()
        await self._clock.refresh()
        for file in files:
            steps = await self._calls.take_file(file, datetime.now(UTC), self._business_now())
            self._crash_at("file taken")
            await self._gateway.done(file)
            report = log.error if file.problem else log.info
            report(
                "file refused" if file.problem else "file taken",
                gateway=self._gateway.name,
                file=file.name,
                problem=file.problem,
                lines=file.lines,
                news=sum(bool(step.tell) for step in steps),
                set_aside=len(file.set_aside),
            )
        return len(files)

    # --- outcomes --------------------------------------------------------------------------------------------

    async def tell(self) -> int:
        """Send what is to be told, and mark it once the broker has it; a crash in between tells it again, with the
        same id."""
        waiting = await self._calls.untold(BATCH)
        if not waiting:
            return 0
        await self._sender.send([self._record(one) for one in waiting])
        self._crash_at("outcomes sent")
        await self._calls.told([one.id for one in waiting])
        return len(waiting)

    def _record(self, one: Waiting) -> Outgoing:
        trace = (("qist_correlation_id", one.correlation_id),) if one.correlation_id else ()
        return Outgoing(
            topic=one.topic,
            partition=self._home(one.loan_id),
            key=one.loan_id.encode(),
            value=one.body,
            headers=headers_for(one.type, one.ce_id, f"gateway/{self._gateway.name}", one.at, *trace),
        )


def lacks_account(order: Order) -> bool:
    """A payout whose account is gone, as after an erasure; the instruction itself may have named none."""
    return order.kind in ("payout", "refund") and not order.account
