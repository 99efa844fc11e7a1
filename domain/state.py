"""The loan as it stands: its fields, questions to them, and the moves that events make it of.

Nothing here judges: a rule that tightens tomorrow must not make yesterday's history unloadable. What may happen is
decided in `domain/decisions/`, how each event changes the loan stands in `domain/folding.py`.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any, Self

from eventsourcing.domain import BaseAggregate

from domain import events as e
from domain.calendar import ist_day, last_of_month
from domain.ensure import ensure
from domain.events import Line, LoanEvent
from domain.parts import (
    BY_CHARGE,
    DIRECTED,
    Answered,
    Change,
    Due,
    InFlight,
    Key,
    Levied,
    Opportunity,
    Receipt,
    Row,
    Tranche,
    ranks,
)
from domain.terms import Terms

ANSWERS_KEPT = 36
"""Debits that a loan remembers the outcomes of: what is older says little of today's paydays."""


class LoanState(BaseAggregate[str]):
    """Where a loan stands."""

    _id: str
    _version: int

    @classmethod
    def shell(cls, loan_id: str) -> Self:
        """A loan to which nothing has happened."""
        loan = cls.__new__(cls)
        loan.__base_init__(loan_id, 0, None)  # type: ignore[arg-type]
        loan.stage = "booked"
        loan.tranches = []
        loan.payouts = {}
        loan.payout_rails = {}
        loan.payout_gateways = {}
        loan.pending_payouts = {}
        loan.awaited_payouts = {}
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
        loan.written_off_paise = 0
        loan.in_flight = {}
        loan.outcomes = {}
        loan.opportunities = {}
        loan.attempts = {}
        loan.rail_attempts = {}
        loan.answered_debits = []
        loan.notified = {}
        loan.notified_at = {}
        loan.announced = 0
        loan.foreseen = 0
        loan.bounced = set()
        loan.paused_until = None
        loan.contact_holds = {}
        loan.classification = "standard"
        loan.bucket = ""
        loan.threshold = 0
        loan.oldest_due_on = None
        loan.charges = 0
        loan.cases = 0
        loan.command_ids = {}
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
        loan.unearned_paise = 0
        loan.principal_repaid = []
        loan.changes = []
        loan.agreed_changes = []
        loan.levied = {}
        loan.penal_upto = None
        loan.npa_since = None
        loan.npa_because = ""
        loan.borrower_npa = ""
        loan.erased = False
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
        loan.mandates = []
        loan.mandate_request = ""
        loan.mandate_requests = 0
        loan.notified_rail = {}
        loan.debits_stopped = ""
        loan.links = {}
        loan.links_offered = {}
        loan.promise = None
        loan.broken_promises = 0
        loan.promises = 0
        loan.plan = None
        loan.case_files = {}
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
    mandates: list[dict[str, Any]]
    """In order of preference: facts as in `LoanBooked`, with `replaces` and `told_days` (notices of its end)."""
    mandate_request: str
    """The request for a mandate that nobody has answered yet; empty for none."""
    mandate_requests: int
    debits_stopped: str
    """Why no debit is allowed by any mandate; empty when they are."""
    links: dict[str, dict[str, Any]]
    """Payment links that are open: `number`, `amount_paise`, `expires_on`."""
    links_offered: dict[int, int]
    """Instalment -> how many links it has had."""
    deductions: list[dict[str, Any]]
    tranches: list[Tranche]
    payouts: dict[str, int]
    """Payout instruction -> index of its tranche."""
    payout_rails: dict[str, str]
    payout_gateways: dict[str, str]
    """Payout or refund instruction -> its rail."""
    pending_payouts: dict[str, str]
    """... -> the code by which the rail asked for more time."""
    awaited_payouts: dict[str, datetime]
    """Payout or refund instruction that has no answer, and of which nobody was told yet -> when it was given."""
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
    written_off_paise: int
    in_flight: dict[str, InFlight]
    outcomes: dict[str, str]
    """Answered instructions: `succeeded:AMOUNT` or `failed:CODE`."""
    opportunities: dict[int, Opportunity]
    attempts: dict[int, int]
    rail_attempts: dict[str, int]
    """`instalment:rail` -> attempts of the instalment that went by that rail (servicing rule 35)."""
    answered_debits: list[Answered]
    """What came of the last debits (`ANSWERS_KEPT`), the newest last: what the policy of retries learns from."""
    notified: dict[int, int]
    """Instalment -> the attempt that the borrower was told of last..."""
    announced: int
    """The last instalment that the borrower was reminded of before its day."""
    foreseen: int
    """The last instalment whose debit was looked at ahead of its day."""
    notified_at: dict[int, datetime]
    """... when..."""
    notified_rail: dict[int, str]
    """... and by which rail it was to be."""
    bounced: set[int]
    """Instalments that have had their bounce charge."""
    paused_until: date | None
    contact_holds: dict[str, list[str]]
    """Reason -> first and last day on which nobody asks the borrower for money."""
    classification: str
    bucket: str
    threshold: int
    """The last days-past-due threshold that was crossed."""
    oldest_due_on: date | None
    charges: int
    cases: int
    command_ids: dict[str, str]
    """Commands that were done -> the topic of the event that did them."""
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
    unearned_paise: int
    """Interest that was paid for days after the loan was closed early: it goes back with the closure."""
    principal_repaid: list[tuple[date, int]]
    """Where interest runs by the day: principal repaid, by the day from which it counts."""
    changes: list[Change]
    agreed_changes: list[dict[str, Any]]
    """Changes to come: `kind`, `effective_on`, `asked`, by their day."""
    levied: dict[str, Levied]
    penal_upto: date | None
    """Penal charges by the day are levied up to this day's end."""
    npa_since: date | None
    """Since when the loan is NPA by its own arrears or by a restructuring."""
    npa_because: str
    """Why the loan is NPA, if not by its own days past due: `borrower` or `restructured`."""
    erased: bool
    """The borrower's personal data was destroyed: no more may come."""
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
    promise: dict[str, Any] | None
    """The open promise to pay: `promise_id`, `amount_paise`, `by`, `channel`, `received_paise`, and `arrived`, the
    version that made it, and the `strategy` and `arm` in whose course it was given."""
    promises: int
    broken_promises: int
    plan: dict[str, Any] | None
    """How these arrears are collected: `strategy`, `arm`, `bucket`, `segment`, and the `steps` to come (`do`,
    `at`)."""
    case_files: dict[str, dict[str, Any]]
    """Open cases: `kind`, `reason`, `number`, `about`, `opened_at`, `assignee`, `level` (escalations), `notes`,
    `answer_by` (complaints)."""
    planned: tuple[int, Any] | None
    """The agenda's answer for a version: a cache, no part of the state."""
    terms_read: tuple[dict[str, Any], Terms] | None
    """The terms in force, parsed: a cache, no part of the state."""

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
    def mandate(self) -> dict[str, Any]:
        """The mandate in use: the first that is active and carries an instalment; else the first that is active; else
        the first, whose status says why nothing is debited. Empty without any."""
        mandates = self.mandates
        if len(mandates) < 2:
            return mandates[0] if mandates else {}
        active = [mandate for mandate in mandates if mandate.get("status") == "active"]
        most = self.instalment_paise
        return next((m for m in active if (m.get("max_amount_paise") or most) >= most), (active or mandates)[0])

    def mandate_named(self, mandate_id: str) -> dict[str, Any] | None:
        return next((mandate for mandate in self.mandates if mandate.get("mandate_id") == mandate_id), None)

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

    def next_month_end(self) -> date:
        """The month's end that closes next, since the payout."""
        since = self.month_closed_on + timedelta(days=1) if self.month_closed_on else self.disbursed_on
        assert since is not None  # an active loan is paid out
        return last_of_month(since)

    def awaits_outcome(self) -> bool:
        """A debit is out that may still succeed, unanswered in time or pending at the bank: neither success nor failure
        yet (servicing rule 34)."""
        return any((debit.pending or not debit.overdue) and not debit.withdrawn for debit in self.in_flight.values())

    def place(self, due: Due) -> tuple[Any, ...]:
        """Where a due stands in the order in which money settles: by its day and then its kind, or the reverse."""
        return (due.rank, due.due_on) if self.waterfall_by == "kind" else (due.due_on, due.rank)

    def refunds_paise(self) -> int:
        """Owed back to the borrower and not there yet."""
        there = (known for known in self.refunds if self.outcomes.get(known, "").startswith("succeeded"))
        return self.refund_due_paise - sum(self.refunds[known] for known in there)

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

    def owe(self, due: Due) -> None:
        """Add an amount to what is owed; a zero amount is nothing."""
        if due.amount == 0:
            return
        self.due_by_key[due.key] = due
        if self.dues and self.place(due) < self.place(self.dues[-1]):
            insort(self.dues, due, key=self.place)
            self.settled_dues = 0
        else:
            self.dues.append(due)

    def settle(self, lines: Iterable[Line], value_on: str) -> None:
        """Apply what an amount settled. Lines may be negative (a correction, a reversal)."""
        by_day = self.terms.get("interest_accrual") == "daily"
        for line in lines:
            if by_day and line["for"] in ("principal", "prepayment"):
                self.repay(line, date.fromisoformat(value_on))
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

    def repay(self, line: Line, day: date) -> None:
        due = self.due_by_key.get(("principal", line["number"])) if line["for"] == "principal" else None
        self.principal_repaid.append((max(day, due.due_on) if due else day, line["paise"]))

    def ask_no_more_than_is_owed(self) -> None:
        """With nothing owed, no debit of an instalment that has fallen due is left to come."""
        if self.opportunities and next(self.open_dues(), None) is None:
            self.opportunities.clear()

    def receive(self, event: e.DebitSucceeded | e.PaymentReceived, key: str, source: str, intent: str = "dues") -> None:
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
        if self.promise is not None:
            self.promise["received_paise"] += amount
        self.settle(event.lines, event.value_on)
        self.ask_no_more_than_is_owed()

    def answered(self, instruction_id: str, number: int, attempt: int, outcome: str, told: Answered) -> None:
        self.in_flight.pop(instruction_id, None)
        self.answered_debits = [*self.answered_debits, told][-ANSWERS_KEPT:]
        self.outcomes[instruction_id] = outcome
        if attempt > self.attempts.get(number, 0):
            self.attempts[number] = attempt
            self.opportunities.pop(number, None)

    def charge(self, charge_id: str) -> Due | None:
        return self.due_by_key.get(("charge", charge_id)) or self.due_by_key.get(("penal", charge_id))

    def changed(self, event: LoanEvent, kind: str, asked: dict[str, Any]) -> None:
        self.changes.append(Change(ist_day(event.timestamp), event.originator_version, kind, asked))

    def forgo_arrears(self) -> None:
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

    def due_since(self, day: date) -> None:
        """Arrears count from a day on."""
        for due in self.open_dues():
            due.due_on = max(day, due.due_on)
        self.dues.sort(key=self.place)

    def order_by(self, waterfall: list[str]) -> None:
        """Another waterfall from now on; what is settled stays settled."""
        self.ranks = ranks(waterfall)
        for due in self.dues:
            due.rank = self.ranks[due.kind]
        self.dues.sort(key=self.place)
        self.settled_dues = 0

    def give_up(self, event: e.WrittenOff | e.Settled) -> None:
        self.written_off_paise = event.principal_paise + event.interest_paise + event.charges_paise
        self.principal_paise -= event.principal_paise
        for due in self.open_dues():
            due.amount = due.paid
        self.opportunities.clear()
        self.accrued_booked = self.provision_paise = 0
        self.plan = self.promise = None

    def done(self, event: Any) -> None:
        """Remember the command that an event did, and as what."""
        if event.command_id:
            self.command_ids.setdefault(event.command_id, event.TOPIC)
