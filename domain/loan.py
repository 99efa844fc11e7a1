"""The loan as it stands: a fold of its events, with questions and no rules.

Events change state here and nowhere else (`evolve`), in the cheapest way and without judging: a rule that tightens
tomorrow must not make yesterday's history unloadable. What may happen is decided in `domain/decisions/`.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from eventsourcing.domain import BaseAggregate

from domain import events as e
from domain.calendar import ist_day
from domain.ensure import ensure
from domain.events import Line, LoanEvent
from domain.terms import Terms

Key = tuple[str, int | str]
"""What money can settle: (kind, instalment number) or (kind, charge id)."""

BY_CHARGE = ("charge", "penal")
DIRECTED = ("prepayment", "recovery", "refund")
"""Lines of money that settle no due."""


def ranks(waterfall: list[str]) -> dict[str, int]:
    """Kind of due -> its place in a waterfall."""
    return {kind: rank for rank, kind in enumerate(waterfall)}


def as_day(text: str) -> date | None:
    """A day of an event; empty = none."""
    return date.fromisoformat(text) if text else None


@dataclass(slots=True)
class Due:
    """One amount that is owed since a day: a part of an instalment, or a charge. Paise."""

    kind: str
    of: int | str
    due_on: date
    rank: int
    amount: int
    paid: int = 0

    @property
    def unpaid(self) -> int:
        return self.amount - self.paid

    @property
    def key(self) -> Key:
        return self.kind, self.of


@dataclass(slots=True)
class Receipt:
    """Money that came in, and whether it was taken back."""

    reference: str
    source: str
    amount: int
    value_on: date
    arrived: int
    """The loan's version that booked it: what came first on one day."""
    intent: str = "dues"
    choice: str = ""
    """Of a part-prepayment: `reduce_tenure` or `reduce_emi`."""
    directed: int = 0
    """What of it went elsewhere than to dues: prepaid principal, a recovery, money owed back. Paise."""
    sent_back: bool = False
    """It went back as it came: a second success of a debit, money after the end."""
    reversed: bool = False


@dataclass(slots=True)
class Levied:
    """A charge as it was levied, with what was given up of it. Paise."""

    kind: str
    amount: int
    gst: int
    due_on: date
    number: int
    through: date | None = None
    """The last day that a penal charge by the day counts."""
    by_person: bool = False
    waived: int = 0
    falls_away: bool = False
    """As is known now, it should not have been levied. It may come back with what is known next."""

    @property
    def total(self) -> int:
        return self.amount + self.gst

    @property
    def waived_gst(self) -> int:
        """The tax inside what was given up: credit notes took it back."""
        return self.waived * self.gst // self.total if self.total else 0

    @property
    def stands(self) -> int:
        """What of it is to be paid, or was. Paise."""
        return 0 if self.falls_away else self.total - self.waived

    @property
    def gst_that_stands(self) -> int:
        return 0 if self.falls_away else self.gst - self.waived_gst

    @classmethod
    def load(cls, charge: dict[str, Any]) -> Levied:
        return cls(
            charge["kind"],
            charge["amount_paise"],
            charge["gst_paise"],
            date.fromisoformat(charge["due_on"]),
            charge["number"],
            as_day(charge["through"]),
            charge["by_person"],
            charge["waived_paise"],
            charge["falls_away"],
        )

    def dump(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "amount_paise": self.amount,
            "gst_paise": self.gst,
            "due_on": self.due_on.isoformat(),
            "number": self.number,
            "through": self.through.isoformat() if self.through else "",
            "by_person": self.by_person,
            "waived_paise": self.waived,
            "falls_away": self.falls_away,
        }


@dataclass(frozen=True, slots=True)
class Change:
    """A dated decision that made another schedule, kept so that the books can be folded again (servicing rule 13)."""

    on: date
    arrived: int
    kind: str
    """`restructure`, `relief`, `rate-reset`, `cooling-off`, `refund`."""
    asked: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """An instalment as scheduled. Paise."""

    number: int
    due_on: date
    days: int
    opening: int
    principal: int
    interest: int
    fee: int
    total: int
    closing: int

    @classmethod
    def load(cls, row: dict[str, Any]) -> Row:
        return cls(
            row["number"],
            date.fromisoformat(row["due_on"]),
            row["days"],
            row["opening_paise"],
            row["principal_paise"],
            row["interest_paise"],
            row["fee_paise"],
            row["total_paise"],
            row["closing_paise"],
        )

    def dump(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "due_on": self.due_on.isoformat(),
            "days": self.days,
            "opening_paise": self.opening,
            "principal_paise": self.principal,
            "interest_paise": self.interest,
            "fee_paise": self.fee,
            "total_paise": self.total,
            "closing_paise": self.closing,
        }


@dataclass(slots=True)
class InFlight:
    """A debit that was asked for and not answered yet."""

    number: int
    attempt: int
    amount: int
    at: datetime
    overdue: bool = False
    pending: str = ""
    """The code by which the bank asked for more time."""
    withdrawn: bool = False
    """Not wanted any more; it may succeed all the same."""


@dataclass(slots=True)
class Tranche:
    """A part of the principal and what became of its payout."""

    on: date
    amount: int
    status: str = "planned"
    """`planned`, `instructed`, `settled`, `failed`."""
    tries: int = 0


@dataclass(slots=True)
class Opportunity:
    """A debit attempt to come. `at` None = the product's hour on the due day."""

    attempt: int
    at: datetime | None = None


class Loan(BaseAggregate[str]):
    """One loan: an aggregate of the eventsourcing library whose id is the loan's id."""

    TOPIC = "loan"

    _id: str
    _version: int

    @classmethod
    def shell(cls, loan_id: str) -> Loan:
        """A loan to which nothing has happened."""
        loan = cls.__new__(cls)
        loan.__base_init__(loan_id, 0, None)  # type: ignore[arg-type]
        loan.stage = "booked"
        loan.tranches = []
        loan.payouts = {}
        loan.rows = []
        loan.due_rows = 0
        loan.schedule_version = 0
        loan.schedule_reason = ""
        loan.instalment_paise = 0
        loan.apr_percent = ""
        loan.dues = []
        loan.due_by_key = {}
        loan.settled_dues = 0
        loan.ranks = {}
        loan.principal_paise = 0
        loan.disbursed_paise = 0
        loan.disbursed_on = None
        loan.active_since = None
        loan.accrual_from = None
        loan.accrual_carried = 0
        loan.accrual_exact = ""
        loan.received_paise = 0
        loan.settled_paise = 0
        loan.excess_paise = 0
        loan.refund_due_paise = 0
        loan.refunds = {}
        loan.refund_attempts = {}
        loan.receipts = {}
        loan.last_value_on = None
        loan.written_off_paise = 0
        loan.in_flight = {}
        loan.outcomes = {}
        loan.opportunities = {}
        loan.attempts = {}
        loan.rail_attempts = {}
        loan.notified = {}
        loan.notified_at = {}
        loan.bounced = set()
        loan.paused_until = None
        loan.classification = "standard"
        loan.bucket = ""
        loan.threshold = 0
        loan.oldest_due_on = None
        loan.charges = 0
        loan.cases = 0
        loan.command_ids = set()
        loan.quote = None
        loan.closed_on = None
        loan.closing = ""
        loan.waterfall_by = "instalment"
        loan.usual_order = []
        loan.npa_order = []
        loan.sanctioned_on = None
        loan.shown_charges = []
        loan.base_terms = None
        loan.first_number = 1
        loan.held_paise = 0
        loan.capitalised_paise = 0
        loan.prepaid_paise = 0
        loan.principal_repaid = []
        loan.changes = []
        loan.levied = {}
        loan.penal_upto = None
        loan.npa_since = None
        loan.borrower_npa = ""
        loan.restructured_on = None
        loan.restructured_paise = 0
        loan.failed_refunds = {}
        loan.performance_from = None
        loan.settlement = None
        loan.cancelling = None
        loan.accrued_booked = 0
        loan.provision_paise = 0
        loan.month_closed_on = None
        loan.statement_on = None
        loan.open_cases = []
        loan.grievances = {}
        loan.compensated = {}
        loan.papers_released_on = None
        loan.advanced = {}
        loan.planned = None
        loan.terms_read = None
        return loan

    stage: str
    """`booked` (money not out), `active`, `closed`, `written_off`, `cancelled`."""
    borrower_id: str
    product: str
    product_version: int
    terms: dict[str, Any]
    booked_terms: dict[str, Any]
    request_hash: str
    segment: str
    salary_day: int
    language: str
    payout: dict[str, Any]
    mandate: dict[str, Any]
    deductions: list[dict[str, Any]]
    tranches: list[Tranche]
    payouts: dict[str, int]
    """Payout instruction -> index of its tranche."""
    rows: list[Row]
    due_rows: int
    """How many rows, from the first, have fallen due."""
    schedule_version: int
    schedule_reason: str
    instalment_paise: int
    apr_percent: str
    dues: list[Due]
    """What has been owed so far, in the order in which money settles it."""
    due_by_key: dict[Key, Due]
    settled_dues: int
    """So many dues, from the first, are known to be paid: where allocation starts."""
    ranks: dict[str, int]
    principal_paise: int
    """Outstanding, due or not."""
    disbursed_paise: int
    disbursed_on: date | None
    active_since: datetime | None
    """When the payout was learnt: no debit was asked for before."""
    accrual_from: date | None
    """Interest that is not due yet runs since this day (excluded)..."""
    accrual_carried: int
    """... on top of what had accrued before it, when the schedule changed inside a period."""
    accrual_exact: str
    """The same before rounding, as a fraction; empty = it is whole."""
    received_paise: int
    """All money in, reversed receipts taken off."""
    settled_paise: int
    """Of that: what settled dues, prepaid principal or was recovered."""
    excess_paise: int
    """Of that: held for the borrower."""
    refund_due_paise: int
    """Of that: owed back, or already sent back."""
    refunds: dict[str, int]
    refund_attempts: dict[str, int]
    receipts: dict[str, Receipt]
    last_value_on: date | None
    written_off_paise: int
    in_flight: dict[str, InFlight]
    outcomes: dict[str, str]
    """Answered instructions: `succeeded:AMOUNT` or `failed:CODE`."""
    opportunities: dict[int, Opportunity]
    attempts: dict[int, int]
    rail_attempts: dict[str, int]
    """`instalment:rail` -> attempts of the instalment that went by that rail (servicing rule 35)."""
    notified: dict[int, int]
    """Instalment -> the attempt that the borrower was told of last..."""
    notified_at: dict[int, datetime]
    """... and when."""
    bounced: set[int]
    """Instalments that have had their bounce charge."""
    paused_until: date | None
    classification: str
    bucket: str
    threshold: int
    """The last days-past-due threshold that was crossed."""
    oldest_due_on: date | None
    charges: int
    cases: int
    command_ids: set[str]
    quote: dict[str, Any] | None
    closed_on: date | None
    closing: str
    waterfall_by: str
    """`instalment`: oldest first; `kind`: all of one kind before all of the next (servicing rule 11)."""
    usual_order: list[str]
    npa_order: list[str]
    """Another waterfall while the loan is NPA; empty = the same."""
    sanctioned_on: date | None
    shown_charges: list[dict[str, Any]]
    """Charges that the borrower's Key Facts Statement shows, where the LOS said so."""
    base_terms: dict[str, Any] | None
    """Terms of the schedule since the payout, before any change; None = as booked."""
    first_number: int
    """The row that is the first of `terms`."""
    held_paise: int
    """Interest of a moratorium that is earned and waits."""
    capitalised_paise: int
    """Interest that has joined the principal, in all."""
    prepaid_paise: int
    """Principal that was paid ahead, in all."""
    principal_repaid: list[tuple[date, int]]
    """Where interest runs by the day: principal repaid, by the day from which it counts."""
    changes: list[Change]
    levied: dict[str, Levied]
    penal_upto: date | None
    """Penal charges by the day are levied up to this day's end."""
    npa_since: date | None
    """Since when the loan is NPA by its own arrears or by a restructuring."""
    borrower_npa: str
    """The borrower's other loans that are NPA with arrears; empty when there are none (servicing rule 21)."""
    restructured_on: date | None
    restructured_paise: int
    """Principal outstanding when the loan was restructured."""
    failed_refunds: dict[str, tuple[datetime, int]]
    """Refunds that did not arrive and were not asked for again: when, and which attempt it was."""
    performance_from: date | None
    """From which day a restructured loan shows satisfactory performance (servicing rule 22)."""
    settlement: dict[str, Any] | None
    """The agreed one-time settlement: `amount_paise`, `pay_by`, `on`, `received_paise`."""
    cancelling: dict[str, Any] | None
    """The cooling-off exit that waits for its money: `pay_by`, `fees_paise`."""
    accrued_booked: int
    """Interest that the last month's end booked as earned and not due."""
    provision_paise: int
    month_closed_on: date | None
    statement_on: date | None
    open_cases: list[str]
    grievances: dict[str, dict[str, Any]]
    """Open complaints: `answer_by`, `escalated`, `about`, `raised_on`."""
    compensated: dict[str, str]
    """Late duty (`kind:reference`) -> the day up to which compensation is booked."""
    papers_released_on: date | None
    advanced: dict[int, date]
    """Instalments that money paid before their day, by number: the day on which they were owed for that."""
    planned: tuple[int, Any] | None
    """The agenda's answer for a version: a cache, no part of the state."""
    terms_read: tuple[dict[str, Any], Terms] | None
    """The terms in force, parsed: a cache, no part of the state."""

    # --- recording -------------------------------------------------------------------------------------------

    def record(self, fact: LoanEvent, at: datetime) -> None:
        """Stamp a decided fact, apply it, and keep it for the log."""
        fact.__dict__.update(originator_id=self._id, originator_version=self._version + 1, timestamp=at)
        self.evolve(fact)
        self._pending_events.append(fact)  # type: ignore[arg-type]

    def take_events(self) -> list[LoanEvent]:
        """The facts recorded since the last call. (The library's `collect_events` pops them one by one.)"""
        taken = self._pending_events
        self._pending_events = []
        return taken  # type: ignore[return-value]

    def evolve(self, event: LoanEvent) -> None:
        """Fold one event."""
        EVOLVE[type(event)](self, event)
        self._version = event.originator_version
        self._modified_on = event.timestamp

    def resume(self, version: int, known_at: datetime) -> None:
        """Go on from a snapshot."""
        self._version = version
        self._modified_on = known_at

    # --- questions -------------------------------------------------------------------------------------------

    @property
    def known_at(self) -> datetime:
        """When the loan last changed."""
        return self._modified_on

    @property
    def agreed(self) -> Terms:
        """The terms in force; parsed once a schedule."""
        if self.terms_read is None or self.terms_read[0] is not self.terms:
            self.terms_read = self.terms, Terms.parse(self.terms)
        return self.terms_read[1]

    @property
    def carried(self) -> Fraction:
        """Interest of the running period from before the schedule changed, unrounded."""
        return Fraction(self.accrual_exact or self.accrual_carried)

    @property
    def next_row(self) -> Row | None:
        """The first instalment that is not due yet."""
        return self.rows[self.due_rows] if self.due_rows < len(self.rows) else None

    def open_dues(self) -> Iterator[Due]:
        """What is owed and unpaid, in the order in which money settles it."""
        dues = self.dues
        start = self.settled_dues
        while start < len(dues) and dues[start].paid >= dues[start].amount:
            start += 1
        self.settled_dues = start
        for index in range(start, len(dues)):
            due = dues[index]
            if due.amount > due.paid:
                yield due

    def payable_paise(self) -> int:
        """Owed by now and unpaid."""
        return sum(due.unpaid for due in self.open_dues())

    def in_flight_paise(self) -> int:
        """What is being asked for; of a debit that is never answered, no more than its own instalment still owes, so
        that it does not stand in the way of the next ones."""
        return sum(
            min(debit.amount, self.unpaid_of_row(debit.number)) if debit.overdue else debit.amount
            for debit in self.in_flight.values()
            if not debit.withdrawn
        )

    def awaits_outcome(self) -> bool:
        """A debit is out that may still succeed, unanswered in time or pending at the bank: neither success nor failure
        yet (servicing rule 34)."""
        return any((debit.pending or not debit.overdue) and not debit.withdrawn for debit in self.in_flight.values())

    def place(self, due: Due) -> tuple[Any, ...]:
        """Where a due stands in the order in which money settles: by its day and then its kind, or the reverse."""
        return (due.rank, due.due_on) if self.waterfall_by == "kind" else (due.due_on, due.rank)

    @property
    def settles_by_sum(self) -> bool:
        """Whether what is paid depends on the sum of the money alone: the order of dues is total and never changes."""
        return self.waterfall_by == "instalment" and self.npa_order in ([], self.usual_order)

    def has_tranches_to_come(self) -> bool:
        return any(tranche.status != "settled" for tranche in self.tranches)

    def unpaid_of_row(self, number: int) -> int:
        dues = (self.due_by_key.get((kind, number)) for kind in ("interest", "principal", "fee"))
        return sum(due.unpaid for due in dues if due is not None)

    def unpaid_of(self, *kinds: str) -> int:
        return sum(due.unpaid for due in self.open_dues() if due.kind in kinds)

    def oldest_unpaid(self, tolerance_paise: int) -> date | None:
        """The oldest due date with more than the tolerance unpaid, whatever order money settles in (rule 19)."""
        unpaid: dict[date, int] = {}
        for due in self.open_dues():
            unpaid[due.due_on] = unpaid.get(due.due_on, 0) + due.unpaid
        return min((day for day, paise in unpaid.items() if paise > tolerance_paise), default=None)

    def principal_not_due(self) -> int:
        """Principal that no row before today has made payable."""
        return self.principal_paise - self.unpaid_of("principal")

    def receipt(self, source: str, reference: str) -> Receipt | None:
        """A payment by its reference; a debit by its instruction id or the gateway's reference."""
        found = self.receipts.get(f"{source}:{reference}")
        if found is not None or not reference:
            return found
        return next((r for r in self.receipts.values() if (r.source, r.reference) == (source, reference)), None)

    def check(self) -> None:
        """What must hold after every decision; broken means a defect of ours, and nothing is committed."""
        ensure(
            self.received_paise == self.settled_paise + self.excess_paise + self.refund_due_paise,
            "every rupee that came in is accounted for once",
            loan=self._id,
            received=self.received_paise,
            settled=self.settled_paise,
            excess=self.excess_paise,
            refund=self.refund_due_paise,
        )
        ensure(self.excess_paise >= 0, "excess is never negative", loan=self._id, excess=self.excess_paise)
        ensure(
            self.principal_paise >= 0,
            "principal outstanding is never negative",
            loan=self._id,
            principal=self.principal_paise,
        )

    # --- folding ---------------------------------------------------------------------------------------------

    def _owe(self, due: Due) -> None:
        """Add an amount to what is owed; a zero amount is nothing."""
        if due.amount == 0:
            return
        self.due_by_key[due.key] = due
        if self.dues and self.place(due) < self.place(self.dues[-1]):
            insort(self.dues, due, key=self.place)
            self.settled_dues = 0
        else:
            self.dues.append(due)

    def _settle(self, lines: Iterable[Line], value_on: str) -> None:
        """Apply what an amount settled. Lines may be negative (a correction, a reversal)."""
        by_day = self.terms.get("interest_accrual") == "daily"
        for line in lines:
            if by_day and line["for"] in ("principal", "prepayment"):
                self._repay(line, date.fromisoformat(value_on))
            paise: int = line["paise"]
            kind: str = line["for"]
            match kind:
                case "excess":
                    self.excess_paise += paise
                    continue
                case "refund":
                    self.refund_due_paise += paise
                    continue
                case "prepayment":
                    self.principal_paise -= paise
                    self.prepaid_paise += paise
                case "recovery":
                    pass
                case _:
                    due = self.due_by_key[kind, line["charge_id"] if kind in BY_CHARGE else line["number"]]
                    due.paid += paise
                    if kind == "principal":
                        self.principal_paise -= paise
                    if paise < 0:
                        self.settled_dues = 0
            self.settled_paise += paise

    def _repay(self, line: Line, day: date) -> None:
        due = self.due_by_key.get(("principal", line["number"])) if line["for"] == "principal" else None
        self.principal_repaid.append((max(day, due.due_on) if due else day, line["paise"]))

    def _ask_no_more_than_is_owed(self) -> None:
        """With nothing owed, no debit of an instalment that has fallen due is left to come."""
        if self.opportunities and next(self.open_dues(), None) is None:
            self.opportunities.clear()

    def _receive(
        self, event: e.DebitSucceeded | e.PaymentReceived, key: str, source: str, intent: str = "dues"
    ) -> None:
        day, amount = date.fromisoformat(event.value_on), event.amount_paise
        directed = sum(line["paise"] for line in event.lines if line["for"] in DIRECTED)
        self.receipts[key] = Receipt(
            event.reference,
            source,
            amount,
            day,
            event.originator_version,
            intent,
            event.choice if isinstance(event, e.PaymentReceived) else "",
            directed,
            any(line["for"] == "refund" for line in event.lines),
        )
        self.received_paise += amount
        if self.settlement is not None and day >= date.fromisoformat(self.settlement["on"]):
            self.settlement["received_paise"] += amount
        self._settle(event.lines, event.value_on)
        if self.last_value_on is None or day > self.last_value_on:
            self.last_value_on = day
        self._ask_no_more_than_is_owed()

    def on_booked(self, event: e.LoanBooked) -> None:
        self.borrower_id = event.borrower_id
        self.product = event.product
        self.product_version = event.product_version
        self.terms = self.booked_terms = event.terms
        self.request_hash = event.request_hash
        self.usual_order = event.waterfall
        self.ranks = ranks(event.waterfall)
        self.segment = event.segment
        self.salary_day = event.salary_day
        self.language = event.language
        self.payout = event.payout
        self.mandate = dict(event.mandate)
        later = [
            Tranche(date.fromisoformat(tranche["on"]), tranche["amount_paise"])
            for tranche in event.terms.get("tranches") or ()
        ]
        first = Tranche(date.fromisoformat(event.terms["disburse_on"]), event.financed_paise)
        self.deductions = event.deductions
        self.tranches = [first, *later]
        self.waterfall_by = event.waterfall_by
        self.npa_order = event.waterfall_npa
        self.sanctioned_on = date.fromisoformat(event.sanctioned_on or event.terms["disburse_on"])
        self.shown_charges = event.shown_charges

    def on_payout_instructed(self, event: e.PayoutInstructed) -> None:
        tranche = self.tranches[event.tranche]
        tranche.status = "instructed"
        tranche.tries += 1
        self.payouts[event.instruction_id] = event.tranche

    def on_payout_failed(self, event: e.PayoutFailed) -> None:
        tranche = self.tranches[event.tranche]
        if event.returned:
            self.principal_paise -= tranche.amount
            self.disbursed_paise -= tranche.amount
            if event.tranche == 0:
                self.stage = "booked"
                self.disbursed_on = None
        tranche.status = "failed"
        self.outcomes[event.instruction_id] = f"failed:{event.code}"

    def on_disbursed(self, event: e.Disbursed) -> None:
        tranche = self.tranches[event.tranche]
        tranche.status, tranche.on = "settled", date.fromisoformat(event.value_on)
        self.principal_paise += event.amount_paise
        self.disbursed_paise += event.amount_paise
        if event.tranche == 0:
            self.stage = "active"
            self.disbursed_on = self.accrual_from = date.fromisoformat(event.value_on)
            self.active_since = event.timestamp
        if event.instruction_id:
            self.outcomes[event.instruction_id] = f"succeeded:{event.net_paise}"

    def on_scheduled(self, event: e.EmiScheduled) -> None:
        self.schedule_version = event.schedule_version
        self.schedule_reason = event.reason
        self.instalment_paise = event.instalment_paise
        self.apr_percent = event.apr_percent
        # One dict where they are the same: a schedule's terms mostly are those of the booking.
        self.terms = self.booked_terms if event.terms == self.booked_terms else event.terms
        self.first_number = event.first_number
        if event.reason in ("booking", "disbursal"):
            self.base_terms = None if event.terms == self.booked_terms else event.terms
        told = {row.number: row.total for row in self.rows[self.due_rows :]}
        self.rows[self.due_rows :] = [Row.load(row) for row in event.rows]
        for row in self.rows[self.due_rows :]:
            if row.number in self.notified and told.get(row.number) != row.total:
                del self.notified[row.number]  # the borrower was told of another amount
        effective_on = date.fromisoformat(event.effective_on)
        if event.reason == "interest-by-day":
            return
        later = effective_on > ist_day(event.timestamp)
        if later and not self.held_paise and not self._counts_apart(event.terms):
            return  # the days until then go on as they were
        if self.disbursed_on is not None and self.rows[self.due_rows].due_on > effective_on:
            self.accrual_from = effective_on
            self.accrual_carried, self.accrual_exact = event.accrued_paise, event.accrued_exact
            self.held_paise = 0

    @staticmethod
    def _counts_apart(terms: dict[str, Any]) -> bool:
        """Whether days before new rows begin are counted once and for all when those are made: where interest waits,
        or runs by the day."""
        waits = terms["moratorium_instalments"] and terms["moratorium_interest"] != "pay"
        return bool(waits) or terms.get("interest_accrual") == "daily"

    def on_mandate_registered(self, event: e.MandateRegistered) -> None:
        self.mandate = dict(event.mandate)
        self._done(event.command_id)

    def on_mandate_changed(self, event: e.MandateChanged) -> None:
        self.mandate["status"] = event.status

    def on_borrower_changed(self, event: e.BorrowerChanged) -> None:
        self.segment = event.facts.get("segment", self.segment)
        self.salary_day = event.facts.get("salary_day", self.salary_day)
        self.language = event.facts.get("language", self.language)
        self._done(event.command_id)

    def on_notified(self, event: e.DebitNotified) -> None:
        self.notified[event.number] = event.attempt
        self.notified_at[event.number] = event.timestamp

    def on_instalment_due(self, event: e.InstalmentDue) -> None:
        day = date.fromisoformat(event.due_on)
        self.due_rows += 1
        if (today := ist_day(event.timestamp)) < day:
            self.advanced[event.number] = today
        self.accrual_from, self.accrual_carried, self.accrual_exact = day, 0, ""
        first = self.restructured_on is not None and self.performance_from is None and day > self.restructured_on
        if first and event.principal_paise and not self.threshold:  # interest, or principal if that begins later
            self.performance_from = day
        self.principal_paise += event.capitalised_paise
        self.capitalised_paise += event.capitalised_paise
        if event.capitalised_paise:
            self.principal_repaid.append((day, -event.capitalised_paise))
        self.held_paise += event.held_paise
        self.accrued_booked = min(self.accrued_booked, self.held_paise)
        for kind, amount in (
            ("interest", event.interest_paise),
            ("principal", event.principal_paise),
            ("fee", event.fee_paise),
        ):
            self._owe(Due(kind, event.number, day, self.ranks[kind], amount))
        self.opportunities[event.number] = Opportunity(self.attempts.get(event.number, 0) + 1)

    def on_excess_applied(self, event: e.ExcessApplied) -> None:
        self.excess_paise -= event.paise
        self._settle(event.lines, event.value_on)
        self._ask_no_more_than_is_owed()

    def on_attempted(self, event: e.DebitAttempted) -> None:
        self.attempts[event.number] = event.attempt
        by_rail = f"{event.number}:{event.rail}"
        self.rail_attempts[by_rail] = self.rail_attempts.get(by_rail, 0) + 1
        self.opportunities.pop(event.number, None)
        self.in_flight[event.instruction_id] = InFlight(
            event.number, event.attempt, event.amount_paise, event.timestamp
        )

    def _answered(self, instruction_id: str, number: int, attempt: int, outcome: str) -> None:
        self.in_flight.pop(instruction_id, None)
        self.outcomes[instruction_id] = outcome
        if attempt > self.attempts.get(number, 0):
            self.attempts[number] = attempt
            self.opportunities.pop(number, None)

    def on_debit_succeeded(self, event: e.DebitSucceeded) -> None:
        self._answered(event.instruction_id, event.number, event.attempt, f"succeeded:{event.amount_paise}")
        self._receive(event, f"debit:{event.instruction_id}", "debit")

    def on_debit_failed(self, event: e.DebitFailed) -> None:
        self._answered(event.instruction_id, event.number, event.attempt, f"failed:{event.code}")

    def on_retry_scheduled(self, event: e.RetryScheduled) -> None:
        self.opportunities[event.number] = Opportunity(event.attempt, datetime.fromisoformat(event.at))

    def on_exhausted(self, event: e.CollectionExhausted) -> None:
        self.opportunities.pop(event.number, None)

    def on_outcome_overdue(self, event: e.DebitOutcomeOverdue) -> None:
        self.in_flight[event.instruction_id].overdue = True

    def on_payment_received(self, event: e.PaymentReceived) -> None:
        self._receive(event, f"payment:{event.reference}", "payment", event.intent)
        self._done(event.command_id)

    def on_receipt_reversed(self, event: e.ReceiptReversed) -> None:
        receipt = self.receipt(event.source, event.reference)
        ensure(receipt is not None, "a reversal names a receipt", loan=self._id, reference=event.reference)
        if receipt is not None:
            receipt.reversed = True
            if self.settlement is not None and receipt.value_on >= date.fromisoformat(self.settlement["on"]):
                self.settlement["received_paise"] -= event.amount_paise
        self.received_paise -= event.amount_paise
        self._settle(event.lines, event.value_on)

    def on_charge_levied(self, event: e.ChargeLevied) -> None:
        self.charges += 1
        kind = "penal" if event.kind == "penal" else "charge"
        day = date.fromisoformat(event.due_on)
        through = date.fromisoformat(event.through) if event.through else None
        self.levied[event.charge_id] = fact = Levied(
            event.kind, event.amount_paise, event.gst_paise, day, event.number, through, bool(event.command_id)
        )
        if through is not None:
            self.penal_upto = through
        self._owe(Due(kind, event.charge_id, day, self.ranks[kind], fact.total))
        if event.kind == "bounce":
            self.bounced.add(event.number)
        self._done(event.command_id)

    def on_charge_waived(self, event: e.ChargeWaived) -> None:
        due = self.charge(event.charge_id)
        ensure(due is not None, "a waiver names a charge", loan=self._id, charge=event.charge_id)
        if due is not None:
            due.amount -= event.paise
            self.levied[event.charge_id].waived += event.paise
        self._ask_no_more_than_is_owed()
        self._done(event.command_id)

    def charge(self, charge_id: str) -> Due | None:
        return self.due_by_key.get(("charge", charge_id)) or self.due_by_key.get(("penal", charge_id))

    def _changed(self, event: LoanEvent, kind: str, asked: dict[str, Any]) -> None:
        self.changes.append(Change(ist_day(event.timestamp), event.originator_version, kind, asked))

    def on_restructured(self, event: e.Restructured) -> None:
        asked = {"effective_on": event.effective_on, **event.changes, "hardship": event.downgraded}
        self._changed(event, "restructure", asked)
        if event.capitalised_paise:
            for due in self.open_dues():
                if due.kind == "interest":
                    due.amount = due.paid
            self.principal_paise += event.capitalised_paise
            self.capitalised_paise += event.capitalised_paise
            self.principal_repaid.append((ist_day(event.timestamp), -event.capitalised_paise))
        if event.changes.get("capitalise_arrears"):
            for due in self.open_dues():
                if due.kind == "principal":
                    due.amount = due.paid
            self._forgo_arrears()
        if event.dpd == "reset":
            self._due_since(date.fromisoformat(event.effective_on))
        self.settled_dues = 0
        if event.downgraded:
            self.restructured_on = date.fromisoformat(event.effective_on)
            self.restructured_paise = self.principal_paise
            self.performance_from = None
        self._ask_no_more_than_is_owed()
        self._done(event.command_id)

    def _forgo_arrears(self) -> None:
        """Rows whose arrears joined the principal ask for what was paid of them: later rows ask for the rest."""
        joined = 0
        for index, row in enumerate(self.rows[: self.due_rows]):
            asked = {
                kind: due.amount if (due := self.due_by_key.get((kind, row.number))) is not None else 0
                for kind in ("principal", "interest")
            }
            opening, joined = row.opening + joined, joined + row.principal - asked["principal"]
            total = asked["principal"] + asked["interest"] + row.fee
            self.rows[index] = replace(row, **asked, total=total, opening=opening, closing=row.closing + joined)

    def _due_since(self, day: date) -> None:
        """Arrears count from a day on."""
        for due in self.open_dues():
            due.due_on = max(day, due.due_on)
        self.dues.sort(key=self.place)

    def on_relief(self, event: e.ReliefGranted) -> None:
        asked = {
            "effective_on": event.effective_on,
            "kind": event.kind,
            "instalments": event.instalments,
            "interest": event.interest,
            "extends_tenure": event.extends_tenure,
        }
        self._changed(event, "relief", asked)
        self._done(event.command_id)

    def on_rate_reset(self, event: e.RateReset) -> None:
        asked = {
            "effective_on": event.effective_on,
            "annual_rate_percent": event.annual_rate_percent,
            "rate_type": event.rate_type,
            "option": event.option,
            **event.asked,
        }
        self._changed(event, "rate-reset", asked)
        self._done(event.command_id)

    def on_prepaid(self, event: e.PrincipalPrepaid) -> None:
        pass

    def on_recast(self, event: e.Recast) -> None:
        self.schedule_version = event.schedule_version
        self.schedule_reason = event.schedule_reason
        self.rows = [Row.load(row) for row in event.rows]
        self.due_rows = event.due_rows
        self.instalment_paise = event.instalment_paise
        self.apr_percent = event.apr_percent
        self.terms = self.booked_terms if event.terms == self.booked_terms else event.terms
        self.first_number = event.first_number
        self.accrual_from = as_day(event.accrual_from)
        self.accrual_carried, self.accrual_exact = event.accrual_carried_paise, event.accrual_exact
        self.held_paise = event.held_paise
        self.capitalised_paise = event.capitalised_paise
        self.principal_repaid = [(date.fromisoformat(day), paise) for day, paise in event.principal_repaid]
        self.prepaid_paise = event.prepaid_paise
        self.principal_paise = event.principal_paise
        held_before = self.excess_paise
        self.excess_paise = event.excess_paise
        self.settled_paise += held_before - event.excess_paise
        self.penal_upto = as_day(event.penal_upto)
        self.npa_since = as_day(event.npa_since)
        if self.npa_order:
            self.ranks = ranks(self.npa_order if self.npa_since else self.usual_order)
        for charge in event.charges:
            self.charges += charge["charge_id"] not in self.levied
            self.levied[charge["charge_id"]] = Levied.load(charge)
        self.dues = [
            Due(
                due["kind"],
                due["of"],
                date.fromisoformat(due["due_on"]),
                self.ranks[due["kind"]],
                due["amount_paise"],
                due["paid_paise"],
            )
            for due in event.dues
        ]
        self.dues.sort(key=self.place)
        self.due_by_key = {due.key: due for due in self.dues}
        self.settled_dues = 0
        self.advanced = {number: date.fromisoformat(day) for number, day in event.advanced}
        numbers = {row.number for row in self.rows[: self.due_rows]}
        self.opportunities = {number: at for number, at in self.opportunities.items() if number in numbers}
        self._ask_no_more_than_is_owed()

    def on_withdrawn(self, event: e.DebitWithdrawn) -> None:
        self.in_flight[event.instruction_id].withdrawn = True

    def on_mandate_cancel_instructed(self, event: e.MandateCancelInstructed) -> None:
        self.mandate["status"] = "cancelling"

    def on_borrower_standing(self, event: e.BorrowerStandingChanged) -> None:
        self.borrower_npa = event.because if event.npa else ""
        self._done(event.command_id)

    def on_performance_restored(self, event: e.PerformanceRestored) -> None:
        self.restructured_on = self.performance_from = None

    def on_month_closed(self, event: e.MonthClosed) -> None:
        self.month_closed_on = date.fromisoformat(event.on)
        self.accrued_booked = event.accrued_paise
        self.provision_paise = event.provision_paise

    def on_statement_due(self, event: e.StatementDue) -> None:
        self.statement_on = date.fromisoformat(event.on)

    def on_case_closed(self, event: e.CaseClosed) -> None:
        self.open_cases.remove(event.case_id)
        self.grievances.pop(event.case_id, None)
        self._done(event.command_id)

    def on_grievance_raised(self, event: e.GrievanceRaised) -> None:
        self.cases += 1
        self.open_cases.append(event.grievance_id)
        self.grievances[event.grievance_id] = {
            "answer_by": event.answer_by,
            "escalated": False,
            "about": event.about,
            "raised_on": ist_day(event.timestamp).isoformat(),
        }
        self._done(event.command_id)

    def on_grievance_escalated(self, event: e.GrievanceEscalated) -> None:
        self.grievances[event.grievance_id]["escalated"] = True

    def on_compensation_owed(self, event: e.CompensationOwed) -> None:
        self.compensated[f"{event.kind}:{event.reference}"] = event.on
        self.received_paise += event.paise  # owed as if it had come in: it leaves as a refund does
        self.refund_due_paise += event.paise

    def on_papers_released(self, event: e.PapersReleased) -> None:
        self.papers_released_on = date.fromisoformat(event.on)
        self._done(event.command_id)

    def on_erased(self, event: e.BorrowerErased) -> None:
        self._done(event.command_id)

    def on_settlement_agreed(self, event: e.SettlementAgreed) -> None:
        self.settlement = {
            "on": ist_day(event.timestamp).isoformat(),
            "amount_paise": event.amount_paise,
            "pay_by": event.pay_by,
            "received_paise": 0,
        }
        self.opportunities.clear()
        self._done(event.command_id)

    def on_settlement_lapsed(self, event: e.SettlementLapsed) -> None:
        self.settlement = None

    def on_settled(self, event: e.Settled) -> None:
        self._give_up(event)
        self.settlement = None

    def on_disbursal_cancelled(self, event: e.DisbursalCancelled) -> None:
        self.cancelling = {
            "pay_by": event.pay_by,
            "fees_paise": event.fees_returned_paise,
            "fees_gst_paise": event.fees_returned_gst_paise,
            "version": event.originator_version,
        }
        self.opportunities.clear()
        self._changed(event, "cooling-off", {"on": event.on, "interest_paise": event.interest_paise})
        self._done(event.command_id)

    def on_cancellation_lapsed(self, event: e.CancellationLapsed) -> None:
        self.cancelling = None
        self.changes = [change for change in self.changes if change.kind != "cooling-off"]

    def on_refund_owed(self, event: e.RefundOwed) -> None:
        self.excess_paise -= event.paise
        self.refund_due_paise += event.paise
        self._changed(event, "refund", {"paise": event.paise})
        self._done(event.command_id)

    def on_paused(self, event: e.CollectionPaused) -> None:
        self.paused_until = date.fromisoformat(event.until)
        self._done(event.command_id)

    def on_delinquency(self, event: e.DelinquencyChanged) -> None:
        self.classification = event.classification
        self.bucket = event.bucket
        self.threshold = event.dpd
        self.oldest_due_on = as_day(event.oldest_due_on)
        if event.dpd:
            self.performance_from = None
        was = self.npa_since is not None
        if event.classification != "NPA":
            self.npa_since = None
        elif self.npa_since is None:
            self.npa_since = date.fromisoformat(event.on)
        if self.npa_order and was != (self.npa_since is not None):
            self.order_by(self.npa_order if self.npa_since else self.usual_order)

    def order_by(self, waterfall: list[str]) -> None:
        """Another waterfall from now on; what is settled stays settled."""
        self.ranks = ranks(waterfall)
        for due in self.dues:
            due.rank = self.ranks[due.kind]
        self.dues.sort(key=self.place)
        self.settled_dues = 0

    def on_case(self, event: e.CaseOpened) -> None:
        self.cases += 1
        self.open_cases.append(event.case_id)

    def on_quoted(self, event: e.PreclosureQuoted) -> None:
        self.quote = {
            "quote_id": event.quote_id,
            "on": event.on,
            "valid_until": event.valid_until,
            "parts": event.parts,
            "total_paise": event.total_paise,
            "per_diem_paise": event.per_diem_paise,
        }
        self._done(event.command_id)

    def _give_up(self, event: e.WrittenOff | e.Settled) -> None:
        self.written_off_paise = event.principal_paise + event.interest_paise + event.charges_paise
        self.principal_paise -= event.principal_paise
        for due in self.open_dues():
            due.amount = due.paid
        self.opportunities.clear()
        self.accrued_booked = self.provision_paise = 0

    def on_written_off(self, event: e.WrittenOff) -> None:
        self.stage = "written_off"
        self._give_up(event)
        self._done(event.command_id)

    def on_refund_instructed(self, event: e.RefundInstructed) -> None:
        self.refunds[event.instruction_id] = event.amount_paise
        self.refund_attempts[event.instruction_id] = event.attempt
        self.failed_refunds.pop(event.retry_of, None)

    def on_refund_settled(self, event: e.RefundSettled) -> None:
        self.outcomes[event.instruction_id] = f"succeeded:{event.amount_paise}"

    def on_refund_failed(self, event: e.RefundFailed) -> None:
        self.outcomes[event.instruction_id] = f"failed:{event.code}"
        self.failed_refunds[event.instruction_id] = event.timestamp, self.refund_attempts[event.instruction_id]

    def on_closed(self, event: e.Closed) -> None:
        self.stage = "cancelled" if event.kind == "cancelled" else "closed"
        self.closing = event.kind
        self.closed_on = date.fromisoformat(event.on)
        self.excess_paise -= event.refund_paise
        self.refund_due_paise += event.refund_paise
        self.opportunities.clear()
        self.accrued_booked = self.provision_paise = 0
        if event.refund_paise:
            self._changed(event, "refund", {"paise": event.refund_paise})
        if event.fees_returned_paise:
            self.received_paise += event.fees_returned_paise  # given back: owed as if it had come in
            self.refund_due_paise += event.fees_returned_paise

    def on_reopened(self, event: e.Reopened) -> None:
        self.stage = "active"
        self.closed_on = None
        self.closing = ""

    def on_debit_pending(self, event: e.DebitPending) -> None:
        self.in_flight[event.instruction_id].pending = event.code

    def _done(self, command_id: str) -> None:
        if command_id:
            self.command_ids.add(command_id)


EVOLVE: dict[type[LoanEvent], Callable[[Loan, Any], None]] = {
    e.LoanBooked: Loan.on_booked,
    e.PayoutInstructed: Loan.on_payout_instructed,
    e.PayoutFailed: Loan.on_payout_failed,
    e.Disbursed: Loan.on_disbursed,
    e.EmiScheduled: Loan.on_scheduled,
    e.MandateRegistered: Loan.on_mandate_registered,
    e.MandateChanged: Loan.on_mandate_changed,
    e.BorrowerChanged: Loan.on_borrower_changed,
    e.DebitNotified: Loan.on_notified,
    e.InstalmentDue: Loan.on_instalment_due,
    e.ExcessApplied: Loan.on_excess_applied,
    e.DebitAttempted: Loan.on_attempted,
    e.DebitSucceeded: Loan.on_debit_succeeded,
    e.DebitFailed: Loan.on_debit_failed,
    e.DebitPending: Loan.on_debit_pending,
    e.RetryScheduled: Loan.on_retry_scheduled,
    e.CollectionExhausted: Loan.on_exhausted,
    e.DebitOutcomeOverdue: Loan.on_outcome_overdue,
    e.PaymentReceived: Loan.on_payment_received,
    e.ReceiptReversed: Loan.on_receipt_reversed,
    e.ChargeLevied: Loan.on_charge_levied,
    e.ChargeWaived: Loan.on_charge_waived,
    e.Restructured: Loan.on_restructured,
    e.PrincipalPrepaid: Loan.on_prepaid,
    e.CollectionPaused: Loan.on_paused,
    e.DelinquencyChanged: Loan.on_delinquency,
    e.CaseOpened: Loan.on_case,
    e.PreclosureQuoted: Loan.on_quoted,
    e.WrittenOff: Loan.on_written_off,
    e.RefundInstructed: Loan.on_refund_instructed,
    e.RefundSettled: Loan.on_refund_settled,
    e.RefundFailed: Loan.on_refund_failed,
    e.Closed: Loan.on_closed,
    e.Reopened: Loan.on_reopened,
    e.ReliefGranted: Loan.on_relief,
    e.RateReset: Loan.on_rate_reset,
    e.Recast: Loan.on_recast,
    e.DebitWithdrawn: Loan.on_withdrawn,
    e.MandateCancelInstructed: Loan.on_mandate_cancel_instructed,
    e.BorrowerStandingChanged: Loan.on_borrower_standing,
    e.PerformanceRestored: Loan.on_performance_restored,
    e.MonthClosed: Loan.on_month_closed,
    e.StatementDue: Loan.on_statement_due,
    e.CaseClosed: Loan.on_case_closed,
    e.GrievanceRaised: Loan.on_grievance_raised,
    e.GrievanceEscalated: Loan.on_grievance_escalated,
    e.CompensationOwed: Loan.on_compensation_owed,
    e.PapersReleased: Loan.on_papers_released,
    e.BorrowerErased: Loan.on_erased,
    e.SettlementAgreed: Loan.on_settlement_agreed,
    e.SettlementLapsed: Loan.on_settlement_lapsed,
    e.Settled: Loan.on_settled,
    e.DisbursalCancelled: Loan.on_disbursal_cancelled,
    e.CancellationLapsed: Loan.on_cancellation_lapsed,
    e.RefundOwed: Loan.on_refund_owed,
}
"""Event -> how it changes the loan; a test proves that the whole catalogue is here."""
