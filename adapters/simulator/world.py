"""What gateways and borrowers do about what Qist asks, and what they know of it: the other side's own books.

Every answer depends on the seed and on what was asked, never on the order in which threads or processes happen to run.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from adapters.simulator.population import FUNDS, Borrower, Habit, Outage, add_months
from domain.calendar import IST

CODES = {
    "soft": {"enach": "04", "upi": "Z9", "card": "51"},
    "hard": {"enach": "01", "upi": "YE", "card": "14"},
    "technical": {"enach": "59", "upi": "U30", "card": "91"},
}
PROMISE = "servicing.promise-to-pay.v1"
SAYS_SO = 0.15
"""How likely one whose account was empty names a day in the app."""
KEEPS: dict[Habit, float] = {
    "steady": 0.9, "thin": 0.65, "late": 0.5, "prepays": 0.9, "precloses": 0.9, "leaves": 0.2,
}  # fmt: skip
LEFT_LYING = 0.1
"""Cases that nobody gets to."""
MOST_TURNS = 3


@dataclass(frozen=True, slots=True)
class Work:
    """How people deal with a kind of case: within which hours, where they speak, and how it ends."""

    hours: tuple[int, int]
    channel: str = ""
    ends: tuple[str, ...] = ()
    weights: tuple[int, ...] = ()


CALLED = ("promised", "no-answer", "cannot-pay", "refused-to-pay", "wrong-contact")
CASEWORK = {
    "call": Work((2, 24), "call", CALLED, (50, 30, 10, 6, 4)),
    "broken-promise": Work((2, 24), "call", CALLED, (35, 30, 20, 12, 3)),
    "collection-exhausted": Work((4, 48), "call", CALLED, (40, 30, 15, 10, 5)),
    "visit": Work((24, 90), "visit", ("promised", "visited", "refused-to-pay", "wrong-contact"), (45, 35, 12, 8)),
    "legal-notice": Work((24, 150), "", ("notice-sent",), (1,)),
}
USUAL = Work((2, 60))
ANSWER_HOURS = {"enach": 6, "upi": 1, "card": 1}


@dataclass(frozen=True, slots=True, order=True)
class Sending:
    """A message that the world sends at a moment."""

    at: datetime
    order: int
    topic: str = field(compare=False)
    key: str = field(compare=False)
    type: str = field(compare=False)
    identity: str = field(compare=False)
    body: Mapping[str, Any] = field(compare=False)
    times: int = field(default=1, compare=False)
    paid_paise: int = field(default=0, compare=False)
    """What it moves from the borrower (less than 0: back)."""
    received_paise: int = field(default=0, compare=False)
    """What it moves to the borrower."""
    raw: bytes | None = field(default=None, compare=False)
    case_id: str = field(default="", compare=False)
    """The case that it is about: nothing is sent of one that is closed."""
    if_owed: bool = field(default=False, compare=False)
    """Sent only while the borrower has not made good the last debit that failed."""


@dataclass(slots=True)
class Books:
    """The world's own account of the money, in paise, by loan."""

    received_by_borrower: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Payouts and refunds that arrived."""
    paid_by_borrower: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Debits and payments that went through, less what was taken back."""
    answers: Counter[str] = field(default_factory=Counter[str])
    asked: int = 0
    repeats_sent: int = 0
    garbage_sent: int = 0


def at_work(at: datetime) -> datetime:
    """That moment, or the next at which people work: from 9 to 18 o'clock."""
    local = at.astimezone(IST)
    if local.hour < 9:
        return local.replace(hour=9)
    return local if local.hour < 18 else (local + timedelta(days=1)).replace(hour=9)


class World:
    """The borrowers, their accounts and the gateways."""

    def __init__(self, seed: int, borrowers: list[Borrower], outages: list[Outage], until: datetime) -> None:
        self._seed = seed
        self._until = until
        self._people = {person.loan_id: person for person in borrowers}
        self._outages = outages
        self._queue: list[Sending] = []
        self._order = 0
        self._seen: set[str] = set()
        self._closed: set[str] = set()
        """Cases that are closed."""
        self.transfers: list[Mapping[str, Any]] = []
        """Payments that borrowers have made by themselves, straight to the lender's bank."""
        self._owed: dict[str, int] = {}
        """Loan -> paise of the last failed debit, until money came."""
        self.books = Books()
        for person in borrowers:
            self._plan_life(person)

    # --- the clock's side ------------------------------------------------------------------------------------

    @property
    def next_at(self) -> datetime | None:
        return self._queue[0].at if self._queue else None

    def sendings(self, now: datetime) -> list[Sending]:
        """What the world sends up to now, in order; of a loan's messages only the first, since topics have no order
        between them: ask again for the others once it is dealt with."""
        due: dict[str, Sending] = {}
        later: list[Sending] = []
        while self._queue and self._queue[0].at <= now:
            sending = heapq.heappop(self._queue)
            if sending.key in due:
                later.append(sending)
            elif not self._is_pointless(sending):
                self._account_for(sending)
                due[sending.key] = sending
        for sending in later:
            heapq.heappush(self._queue, sending)
        return list(due.values())

    def _is_pointless(self, sending: Sending) -> bool:
        """People look before they act."""
        return sending.case_id in self._closed or (sending.if_owed and sending.key not in self._owed)

    def _account_for(self, sending: Sending) -> None:
        self.books.paid_by_borrower[sending.key] += sending.paid_paise
        self.books.received_by_borrower[sending.key] += sending.received_paise
        self.books.repeats_sent += sending.times - 1
        if sending.type == "gateway.debit.failed.v1" and "amount_paise" in sending.body:
            self._owed[sending.key] = sending.body["amount_paise"]
        elif sending.paid_paise > 0:
            self._owed.pop(sending.key, None)
        if sending.topic == "gateway.payments":
            self.transfers.append(sending.body)
        if sending.type == PROMISE:
            self._keep_or_break(sending)

    def _send(
        self,
        at: datetime,
        topic: str,
        key: str,
        kind: str,
        identity: str,
        body: Mapping[str, Any],
        *,
        paid: int = 0,
        received: int = 0,
        case_id: str = "",
        if_owed: bool = False,
    ) -> None:
        self._order += 1
        times = 2 if self._dice("twice", identity).random() < 0.02 else 1
        sending = Sending(
            at, self._order, topic, key, kind, identity, body, times, paid, received, case_id=case_id, if_owed=if_owed
        )
        heapq.heappush(self._queue, sending)

    def _dice(self, *about: str) -> random.Random:
        return random.Random(":".join((str(self._seed), *about)))

    # --- lives -----------------------------------------------------------------------------------------------

    def request_of(self, person: Borrower) -> dict[str, Any]:
        """The `los.disbursal.requested.v1` body."""
        return person.request()

    def _plan_life(self, person: Borrower) -> None:
        approved = datetime.combine(person.disburse_on, datetime.min.time(), IST) + timedelta(hours=10)
        self._send(
            approved,
            "los.disbursals",
            person.loan_id,
            "los.disbursal.requested.v1",
            f"los:{person.loan_id}",
            self.request_of(person),
        )
        turn = datetime.combine(
            add_months(person.disburse_on, person.event_month), datetime.min.time(), IST
        ) + timedelta(hours=12)
        if person.habit == "precloses":
            self._command(turn, person, "quote-preclosure", {})
        elif person.habit == "prepays":
            self._pay(turn, person, person.principal_paise // 10, "part-prepayment", "ahead")
        elif person.habit == "leaves" and person.cancels_mandate:
            self._send(
                turn,
                "gateway.mandate-outcomes",
                person.loan_id,
                "gateway.mandate.cancelled.v1",
                f"mandate:{person.loan_id}",
                {"loan_id": person.loan_id, "mandate_id": f"M-{person.loan_id}", "code": "C001"},
            )

    def add_garbage(self, at: datetime, count: int) -> None:
        """Records that nobody can understand: each must end in the dead letters."""
        for number in range(count):
            self._order += 1
            self.books.garbage_sent += 1
            sending = Sending(
                at, self._order, "gateway.debit-outcomes", f"junk-{number}", "gateway.debit.failed.v1",
                f"junk:{number}", {}, raw=b'{"loan_id": "junk", "amount_paise": "much"',
            )  # fmt: skip
            heapq.heappush(self._queue, sending)

    def _command(
        self,
        at: datetime,
        person: Borrower,
        name: str,
        fields: Mapping[str, Any],
        *,
        about: str = "",
        by: str = "borrower",
        case_id: str = "",
        if_owed: bool = False,
    ) -> None:
        if at >= self._until:
            return
        command_id = f"{name}:{about or person.loan_id}"
        body = {
            "loan_id": person.loan_id,
            "command_id": command_id,
            "requested_by": by,
            "requested_at": at.isoformat(),
            **fields,
        }
        kind = f"servicing.{name}.v1"
        self._send(at, "servicing.commands", person.loan_id, kind, command_id, body, case_id=case_id, if_owed=if_owed)

    def _pay(
        self,
        at: datetime,
        person: Borrower,
        paise: int,
        intent: str,
        about: str,
        method: str = "upi",
        *,
        if_owed: bool = False,
    ) -> None:
        if at >= self._until:
            return
        reference = f"UPI-{person.loan_id}-{about}"
        body = {
            "loan_id": person.loan_id,
            "payment_reference": reference,
            "amount_paise": paise,
            "method": method,
            "value_on": at.astimezone(IST).date().isoformat(),
            "at": at.isoformat(),
            "intent": intent,
        }
        self._send(
            at, "gateway.payments", person.loan_id, "gateway.payment.received.v1", reference, body, paid=paise,
            if_owed=if_owed,
        )  # fmt: skip

    # --- what Qist asks --------------------------------------------------------------------------------------

    def hear(self, kind: str, body: Mapping[str, Any], at: datetime) -> None:
        """An instruction or an event of Qist, and when it happened; anything heard before is not done twice."""
        match kind:
            case "servicing.payout-instruction.v1" | "servicing.refund-instruction.v1":
                self._pay_out(body)
            case "servicing.debit-instruction.v1":
                self._debit(body)
            case "servicing.mandate-request.v1":
                self._sign(body)
            case "servicing.payment-link.v1":
                self._follow_link(body)
            case "loan.preclosure-quoted.v1":
                self._accept_quote(body)
            case "loan.case-opened.v1":
                self._work_case(body, at)
            case "loan.case-closed.v1":
                self._closed.add(body["case_id"])
            case _:
                pass

    def _first_time(self, identity: str) -> bool:
        known = identity in self._seen
        self._seen.add(identity)
        return not known

    def _pay_out(self, body: Mapping[str, Any]) -> None:
        instruction, loan_id, paise = body["instruction_id"], body["loan_id"], body["amount_paise"]
        if not self._first_time(instruction):
            return
        at = datetime.fromisoformat(body["instructed_at"]) + timedelta(hours=1)
        if at >= self._until:
            return
        answer = {
            "loan_id": loan_id,
            "instruction_id": instruction,
            "amount_paise": paise,
            "rail": "imps",
            "gateway": "payout-bank",
            "gateway_reference": f"UTR-{instruction}",
            "at": at.isoformat(),
        }
        self._send(
            at,
            "gateway.payout-outcomes",
            loan_id,
            "gateway.payout.settled.v1",
            f"settled:{instruction}",
            answer,
            received=paise,
        )

    def _debit(self, body: Mapping[str, Any]) -> None:
        instruction, loan_id, paise = body["instruction_id"], body["loan_id"], body["amount_paise"]
        if not self._first_time(instruction):
            return
        self.books.asked += 1
        person = self._people[loan_id]
        presented = datetime.fromisoformat(body["present_at"])
        at = presented + timedelta(hours=ANSWER_HOURS[body["rail"]])
        if at >= self._until:
            return
        failure = self._failure(person, body, presented)
        dice = self._dice("amount", instruction)
        if not failure and dice.random() < 0.01:
            paise = paise // 2  # a partial debit
        answer = {
            "loan_id": loan_id,
            "instruction_id": instruction,
            "amount_paise": paise,
            "rail": body["rail"],
            "gateway": body["gateway"],
            "bank": body["bank"],
            "gateway_reference": f"GW-{instruction}",
            "at": at.isoformat(),
        }
        topic = "gateway.debit-outcomes"
        if failure:
            self.books.answers["failed"] += 1
            answer.update(code=CODES[failure][body["rail"]], message="")
            self._send(at, topic, loan_id, "gateway.debit.failed.v1", f"failed:{instruction}", answer)
            self._react(person, body, failure, paise, at)
            return
        self.books.answers["succeeded"] += 1
        self._send(at, topic, loan_id, "gateway.debit.succeeded.v1", f"succeeded:{instruction}", answer, paid=paise)
        back = at + timedelta(days=2)
        if dice.random() < 0.004 and back < self._until and person.habit != "precloses":
            reversed_answer = {**answer, "at": back.isoformat(), "message": "disputed by the account holder"}
            kind = "gateway.debit.reversed.v1"
            self._send(back, topic, loan_id, kind, f"reversed:{instruction}", reversed_answer, paid=-paise)

    def _react(self, person: Borrower, body: Mapping[str, Any], failure: str, paise: int, at: datetime) -> None:
        """What a borrower does about a failed debit by themselves."""
        instruction = body["instruction_id"]
        if person.habit == "late" and int(body["attempt"]) == 1:
            later = at + timedelta(days=self._dice("late", instruction).randrange(2, 40))
            self._pay(later.replace(hour=18), person, paise, "dues", instruction, if_owed=True)
        elif failure == "soft" and self._dice("app", instruction).random() < SAYS_SO:
            self._promise(at + timedelta(hours=3), person, paise, "app", instruction)

    def _failure(self, person: Borrower, body: Mapping[str, Any], at: datetime) -> str:
        """The class of the failure, or nothing when the money comes. An account that is gone is that of the mandate
        which came with the loan."""
        instruction, attempt = body["instruction_id"], int(body["attempt"])
        gone = add_months(person.disburse_on, person.event_month)
        first_account = body["mandate_id"] == f"M-{person.loan_id}"
        if person.habit == "leaves" and not person.cancels_mandate and first_account and at.date() >= gone:
            return "hard"
        dice = self._dice("debit", instruction)
        for outage in self._outages:
            if outage.bank == person.bank and outage.begins <= at < outage.ends and dice.random() < outage.fails:
                return "technical"
        likely = FUNDS[person.habit]
        day = at.astimezone(IST).day
        if attempt > 1 and (day == person.salary_day or dice.random() < 0.4):
            likely = max(likely, 0.85) if person.habit != "late" else 0.3
        return "" if dice.random() < likely else "soft"

    # --- promises, and people at work ------------------------------------------------------------------------

    def _work_case(self, body: Mapping[str, Any], opened: datetime) -> None:
        """Somebody takes the case, and works on it when its hours have come; some lie until they escalate."""
        case_id, loan_id = body["case_id"], body["loan_id"]
        if not self._first_time(case_id):
            return
        person, dice = self._people[loan_id], self._dice("case", case_id)
        work = CASEWORK.get(body["kind"], USUAL)
        if dice.random() < LEFT_LYING:
            return
        by = f"E-{dice.randrange(1, 13)}"
        at = at_work(opened + timedelta(hours=dice.randrange(1, 6)))
        self._on_case(at, person, "assign-case", case_id, 0, by, {"assignee": by})
        for turn in range(1, MOST_TURNS + 1):
            at = at_work(at + timedelta(hours=dice.randrange(*work.hours)))
            said = dice.choices(work.ends, work.weights)[0] if work.ends else "resolved"
            if said == "no-answer" and turn < MOST_TURNS:
                fields = {"note": "nobody answered", "disposition": said}
                self._on_case(at, person, "note-case", case_id, turn, by, fields)
                continue
            if said == "promised":
                paise = self._owed.get(loan_id, person.principal_paise // person.instalments)
                self._promise(at, person, paise, work.channel, case_id, by=by, case_id=case_id)
                at += timedelta(hours=1)
            self._on_case(at, person, "close-case", case_id, turn, by, {"disposition": said})
            return

    def _on_case(
        self, at: datetime, person: Borrower, name: str, case_id: str, turn: int, by: str, fields: Mapping[str, Any]
    ) -> None:
        fields = {"case_id": case_id, **fields}
        self._command(at, person, name, fields, about=f"{case_id}:{turn}", by=by, case_id=case_id)

    def _promise(
        self,
        at: datetime,
        person: Borrower,
        paise: int,
        channel: str,
        about: str,
        *,
        by: str = "borrower",
        case_id: str = "",
    ) -> None:
        """The borrower names a day for so much, in the app or to whoever is on a case."""
        dice = self._dice("promise", about)
        fields = {
            "amount_paise": paise,
            "by": (at.astimezone(IST).date() + timedelta(days=dice.randrange(2, 11))).isoformat(),
            "channel": channel,
            **({"case_id": case_id} if case_id else {}),
        }
        self._command(at, person, "promise-to-pay", fields, about=about, by=by, case_id=case_id, if_owed=not case_id)

    def _keep_or_break(self, promise: Sending) -> None:
        """The money comes on the day before, in part, or not at all; one who has paid otherwise pays no second time."""
        person, dice = self._people[promise.key], self._dice("keeps", promise.identity)
        paise = promise.body["amount_paise"]
        chance = dice.random()
        if chance >= KEEPS[person.habit]:
            if chance > 0.9:
                paise //= 2
            else:
                return
        day = date.fromisoformat(promise.body["by"]) - timedelta(days=dice.randrange(2))
        at = datetime.combine(day, datetime.min.time(), IST) + timedelta(hours=19)
        self._pay(
            max(at, promise.at + timedelta(hours=1)), person, paise, "dues", promise.identity, if_owed=promise.if_owed
        )

    def _sign(self, body: Mapping[str, Any]) -> None:
        """Half of those who are asked for a mandate sign one, on an account that works, within a week."""
        request, loan_id = body["instruction_id"], body["loan_id"]
        dice = self._dice("sign", request)
        if not self._first_time(request) or dice.random() < 0.5:
            return
        at = datetime.fromisoformat(body["instructed_at"]) + timedelta(hours=dice.randrange(12, 168))
        if at >= self._until:
            return
        mandate = {
            "mandate_id": f"M-{request}",
            "rail": body["rail"] or dice.choice(("enach", "upi")),
            "max_amount_paise": body["max_amount_paise"] * 2,
            "valid_until": body["valid_until"],
            "bank": self._people[loan_id].bank,
        }
        answer = {"loan_id": loan_id, "mandate_id": mandate["mandate_id"], "mandate": mandate}
        kind = "gateway.mandate.active.v1"
        self._send(at, "gateway.mandate-outcomes", loan_id, kind, f"active:{request}", answer)

    def _follow_link(self, body: Mapping[str, Any]) -> None:
        """Two in five of those who get a link pay by it, within two days."""
        link = body["link_id"]
        dice = self._dice("link", link)
        if not self._first_time(f"link:{link}") or dice.random() < 0.6:
            return
        at = datetime.fromisoformat(body["offered_at"]) + timedelta(hours=dice.randrange(1, 48))
        self._pay(at, self._people[body["loan_id"]], body["amount_paise"], "dues", f"link-{link}", method="link")

    def _accept_quote(self, body: Mapping[str, Any]) -> None:
        """The borrower pays the quote on the same day."""
        if not self._first_time(body["quote_id"]) or body["total_paise"] <= 0:
            return
        at = datetime.combine(date.fromisoformat(body["on"]), datetime.min.time(), IST) + timedelta(hours=16)
        self._pay(at, self._people[body["loan_id"]], body["total_paise"], "preclosure", "preclosure")
