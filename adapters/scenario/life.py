"""A scenario lived: time, the gateway's answers and the file's steps, by instant, through the domain's front door.

What comes in is understood as on the wire and decided as in the engine, so that the same messages at the same
instants give the same events there. Within one instant: what time asks for, then messages in the engine's order of
topics, then in the order in which they were sent.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson

from adapters.scenario.file import KNOWN, Scenario
from adapters.scenario.gateway import ScriptedGateway, hear
from domain import commands as c
from domain.agenda import next_task
from domain.calendar import ist_day
from domain.codec import encode
from domain.decisions.rules import Rules
from domain.events import LoanEvent
from domain.life import handle
from domain.loan import Loan
from domain.policies.collections import Casework, Strategies
from domain.refusals import Refused, Repeated
from streams.engine import TOPIC_ORDER
from streams.envelope import Record, headers_for
from streams.outbound import told
from streams.topics import DEBIT_OUTCOMES, MANDATE_OUTCOMES
from streams.wire import DisbursalRequested, Inbound, understand


@dataclass(frozen=True, slots=True)
class Sent:
    """A message of the scenario, as a producer would have put it on its topic at that instant."""

    at: datetime
    record: Record


@dataclass(frozen=True, slots=True)
class Outbound:
    """A record that Qist would have sent: an event, or what follows from one."""

    at: datetime
    topic: str
    type: str
    version: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Coming:
    """What will come in: a step of the file, the disbursal, or an answer of the gateway (`step` says which)."""

    at: datetime
    rank: int
    order: int
    step: int | str = field(compare=False)
    type: str = field(compare=False)
    data: dict[str, Any] = field(compare=False)


@dataclass(slots=True)
class Life:
    """What a scenario came to."""

    loan: Loan | None = None
    events: list[LoanEvent] = field(default_factory=list[LoanEvent])
    sent: list[Sent] = field(default_factory=list[Sent])
    outbound: list[Outbound] = field(default_factory=list[Outbound])
    rejected: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    repeated: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    unused: list[int] = field(default_factory=list[int])
    """Entries of the gateway's script that nothing asked for."""


def rules_for(scenario: Scenario, rules: Rules) -> Rules:
    """The lender's rules; without automatic debits where the scenario says `collect: false`, and with arrears and cases
    left to people unless it says `collections: true`."""
    if not scenario.collections:
        rules = replace(rules, strategies=Strategies(), casework=Casework(dispositions=rules.casework.dispositions))
    if scenario.collect:
        return rules
    by_version = {
        known: replace(product, debits_automatic=False) for known, product in rules.products.by_version.items()
    }
    return replace(rules, products=replace(rules.products, by_version=by_version))


def live(scenario: Scenario, rules: Rules) -> Life:
    """The whole life, to the end of its last day."""
    return Living(scenario, rules_for(scenario, rules)).to_the_end()


class Living:
    """A life in progress."""

    def __init__(self, scenario: Scenario, rules: Rules) -> None:
        self.life = Life()
        self._rules = rules
        self._ends_at = scenario.ends_at
        self._loan_id = str(scenario.disbursal.get("loan_id", ""))
        self._gateway = ScriptedGateway(scenario.gateway)
        self._queue: list[Coming] = []
        self._order = 0
        self._disbursal = scenario.disbursal
        self._comes(scenario.begins_at, "disbursal", DisbursalRequested.TYPE, scenario.disbursal)
        for index, step in enumerate(scenario.steps):
            self._comes(step.at, index, step.type, step.data)

    def _comes(self, at: datetime, step: int | str, kind: str, data: dict[str, Any]) -> None:
        self._order += 1
        heapq.heappush(self._queue, Coming(at, TOPIC_ORDER[KNOWN[kind][0]], self._order, step, kind, data))

    def to_the_end(self) -> Life:
        while (moment := self._next_moment()) is not None and moment <= self._ends_at:
            if self._queue and self._queue[0].at <= moment and not self._time_asks(moment):
                self._receive(heapq.heappop(self._queue))
                if self.life.loan is None:
                    break  # the disbursal was refused: there is no loan to which anything could happen
            else:
                self._wake(moment)
        if self.life.loan is not None:
            self._wake(self._ends_at)
        self.life.unused = self._gateway.unused()
        return self.life

    def _next_moment(self) -> datetime | None:
        moments = [self._queue[0].at] if self._queue else []
        if (asked := self._task_at()) is not None:
            moments.append(asked)
        return min(moments, default=None)

    def _task_at(self) -> datetime | None:
        loan = self.life.loan
        task = next_task(loan, self._rules) if loan is not None else None
        return max(task.at, loan.known_at) if task is not None and loan is not None else None

    def _time_asks(self, moment: datetime) -> bool:
        asked = self._task_at()
        return asked is not None and asked <= moment

    def _wake(self, now: datetime) -> None:
        assert self.life.loan is not None
        self._decide(c.WakeUp(now=now), now)

    def _receive(self, coming: Coming) -> None:
        """A message: understood as on the wire, then decided; a refusal is told with its field."""
        topic, model = KNOWN[coming.type]
        loan = self.life.loan
        data = filled(model, topic, coming, loan, self._disbursal)
        headers = headers_for(coming.type, f"{self._loan_id}:{coming.order}", "scenario", coming.at)
        record = Record(topic, 0, coming.order, self._loan_id.encode(), tuple(headers), orjson.dumps(data))
        self.life.sent.append(Sent(coming.at, record))
        about = {"step": coming.step, "type": coming.type}
        try:
            message = understand(record)
            self._decide(message.command, coming.at)
        except Repeated:
            self.life.repeated.append(about)
        except Refused as no:
            self.life.rejected.append(
                {**about, "reason": no.refusal.value, "field": no.field, "sentence": no.sentence()}
            )

    def _decide(self, command: c.Command, now: datetime) -> None:
        try:
            self.life.loan = handle(self.life.loan, command, now, self._rules)
        finally:  # what time alone had asked for stands, also when the message was refused
            if self.life.loan is not None:
                for event in self.life.loan.take_events():
                    self._tell(event)

    def _tell(self, event: LoanEvent) -> None:
        """An event, and what else is told because of it, as the publisher would send them; the gateway answers."""
        life, at, version = self.life, event.timestamp, event.originator_version
        life.events.append(event)
        row = (0, version, self._loan_id, version, event.TOPIC, encode(event), at, at, "", "", "", b"")
        for record in told(row):
            kind = dict(record.headers)["ce_type"].decode()
            body = orjson.loads(record.value)
            life.outbound.append(Outbound(at, record.topic, kind, version, body))
            if (asked := hear(kind, at, body)) is not None:
                for answer in self._gateway.answers(asked):
                    self._comes(answer.at, f"gateway {body['instruction_id']}", answer.type, answer.body)


# --- What a step may leave out -------------------------------------------------------------------------------

Filler = Callable[[Coming, Loan], Any]


def newest_debit(coming: Coming, loan: Loan) -> str | None:
    return next(reversed(loan.in_flight), None)


def debited(coming: Coming, loan: Loan) -> int | None:
    """What the debit that the step speaks of asked for."""
    debit = loan.in_flight.get(coming.data.get("instruction_id") or newest_debit(coming, loan) or "")
    return debit.amount if debit else None


def newest_receipt(source: str) -> Filler:
    return lambda coming, loan: next(
        (known.reference for known in reversed(loan.receipts.values()) if known.source == source), None
    )


def a_reference(coming: Coming, loan: Loan) -> str:
    return f"{loan.id}-{coming.step}"


FILLED: dict[str, Filler] = {
    "loan_id": lambda coming, loan: loan.id,
    "command_id": lambda coming, loan: f"step-{coming.step}",
    "at": lambda coming, loan: coming.at.isoformat(),
    "requested_at": lambda coming, loan: coming.at.isoformat(),
    "value_on": lambda coming, loan: ist_day(coming.at).isoformat(),
    "payment_reference": a_reference,
    "method": lambda coming, loan: "upi",
    "borrower_id": lambda coming, loan: loan.borrower_id,
    "charge_id": lambda coming, loan: next((str(due.of) for due in reversed(loan.dues) if due.kind == "charge"), None),
}
"""A field that a step leaves out -> what follows from the context; filled where the message must have it."""

FILLED_ON: dict[tuple[str, str], Filler] = {
    (DEBIT_OUTCOMES.name, "instruction_id"): newest_debit,
    (DEBIT_OUTCOMES.name, "amount_paise"): debited,
    (DEBIT_OUTCOMES.name, "rail"): lambda coming, loan: loan.mandate.get("rail"),
    (DEBIT_OUTCOMES.name, "gateway_reference"): newest_receipt("debit"),
    (MANDATE_OUTCOMES.name, "mandate_id"): lambda coming, loan: loan.mandate.get("mandate_id"),
    ("gateway.payment.reversed.v1", "payment_reference"): newest_receipt("payment"),
}
"""The same for one topic or one type."""

ALSO = ("requested_at", "at", "rail")
"""Filled although the message may leave them out."""


def filled(
    model: type[Inbound], topic: str, coming: Coming, loan: Loan | None, disbursal: dict[str, Any]
) -> dict[str, Any]:
    """The message's body, with what the step leaves out and the context knows."""
    if loan is None or isinstance(coming.step, str):
        return coming.data
    if model is DisbursalRequested:  # the same request once more, with what the step says otherwise
        return {**disbursal, **coming.data}
    body = dict(coming.data)
    for name, field_of_it in model.model_fields.items():
        filler = FILLED_ON.get((coming.type, name)) or FILLED_ON.get((topic, name)) or FILLED.get(name)
        if name in body or filler is None or not (field_of_it.is_required() or name in ALSO):
            continue
        if (value := filler(coming, loan)) is not None:
            body[name] = value
    return body
