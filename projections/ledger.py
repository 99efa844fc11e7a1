"""The ledger: every rupee that an event moves, in double entry, and balances that are sums of the entries.

Amounts are signed paise: a debit is positive, a credit negative, and each event's entries sum to 0. Entries are
booked on the day that the event became known, also when they count from an earlier day (`value_on`): nothing is ever
edited, corrections are new entries (servicing rule 13). Interest and fees become income when they fall due.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, Literal, NamedTuple

from domain import events as e
from domain.decisions.debits import gst_in_fee
from domain.decisions.rules import Rules
from domain.ensure import ensure
from domain.events import Line, LoanEvent
from domain.loan import Loan
from domain.parts import Levied
from domain.views import unpaid
from projections.base import Outgoing, Recorded, Row, Table, Write, booked_on

# --- Chart of accounts ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Account:
    """A place where money, a claim, a debt or a result is kept."""

    code: int
    name: str
    kind: Literal["asset", "liability", "income", "expense"]
    holds: str


BANK = 1000
PRINCIPAL = 1100
INTEREST_ACCRUED = 1150
INTEREST_RECEIVABLE = 1200
CHARGES_RECEIVABLE = 1300
EXCESS = 2000
REFUNDS_PAYABLE = 2100
GST_PAYABLE = 2200
INTEREST_SUSPENSE = 2300
PROVISIONS = 2400
INTEREST_INCOME = 4000
FEE_INCOME = 4100
CHARGE_INCOME = 4200
PENAL_INCOME = 4300
RECOVERY_INCOME = 4400
WAIVERS = 5000
WRITTEN_OFF = 5100
SETTLEMENT_LOSS = 5200
COMPENSATION = 5300
PROVISION_EXPENSE = 5400

ACCOUNTS = (
    Account(BANK, "Bank", "asset", "money paid out and collected"),
    Account(PRINCIPAL, "Principal outstanding", "asset", "what is lent and not repaid, due or not"),
    Account(INTEREST_ACCRUED, "Interest accrued", "asset", "interest earned by the last month's end and not due yet"),
    Account(INTEREST_RECEIVABLE, "Interest receivable", "asset", "interest that fell due and is unpaid"),
    Account(CHARGES_RECEIVABLE, "Fees and charges receivable", "asset", "fees, charges and penal charges, with GST"),
    Account(EXCESS, "Borrowers' excess", "liability", "money held for the borrower until the next due date"),
    Account(REFUNDS_PAYABLE, "Refunds payable", "liability", "money owed back to the borrower"),
    Account(GST_PAYABLE, "GST payable", "liability", "tax on fees and charges, owed to the state"),
    Account(INTEREST_SUSPENSE, "Interest suspense", "liability", "interest of NPA loans that is due and not received"),
    Account(PROVISIONS, "Provisions", "liability", "what the lender sets aside for loans that may not be repaid"),
    Account(INTEREST_INCOME, "Interest income", "income", "interest that fell due; on NPA loans what was received"),
    Account(FEE_INCOME, "Fee income", "income", "processing and other fees of the terms"),
    Account(CHARGE_INCOME, "Charge income", "income", "bounce, preclosure and other charges"),
    Account(PENAL_INCOME, "Penal charge income", "income", "penal charges, which are never interest"),
    Account(RECOVERY_INCOME, "Recovery income", "income", "money that came after a write-off"),
    Account(WAIVERS, "Waivers", "expense", "charges given up"),
    Account(WRITTEN_OFF, "Bad debts written off", "expense", "what is no longer expected"),
    Account(SETTLEMENT_LOSS, "Settlement losses", "expense", "what a one-time settlement gave up"),
    Account(COMPENSATION, "Compensation to borrowers", "expense", "what the lender's own lateness cost"),
    Account(PROVISION_EXPENSE, "Provision expense", "expense", "additions to provisions; releases take from it"),
)
BY_CODE = {account.code: account for account in ACCOUNTS}

# --- Postings ------------------------------------------------------------------------------------------------

Entries = dict[int, int]
"""Account -> paise, debit positive; accounts that an event does not touch are absent or 0."""

SETTLED = {
    "principal": PRINCIPAL,
    "interest": INTEREST_RECEIVABLE,
    "fee": CHARGES_RECEIVABLE,
    "charge": CHARGES_RECEIVABLE,
    "penal": CHARGES_RECEIVABLE,
    "excess": EXCESS,
    "prepayment": PRINCIPAL,
    "refund": REFUNDS_PAYABLE,
    "recovery": RECOVERY_INCOME,
}
"""What a line of money settles -> the account that it credits."""


def settle(debit: int, paise: int, lines: Iterable[Line]) -> Entries:
    """`paise` into one account, out of those that the lines name; the negative lines of a reversal do the opposite."""
    entries = {debit: paise}
    for line in lines:
        account = SETTLED[line["for"]]
        entries[account] = entries.get(account, 0) - line["paise"]
    return entries


def lent(principal: int, deductions: Iterable[Mapping[str, Any]]) -> Entries:
    """Money goes out as principal; what is kept back from it is income and GST at once."""
    entries = {PRINCIPAL: principal}
    net = principal
    for part in deductions:
        income = INTEREST_INCOME if part["kind"] == "broken-period-interest" else FEE_INCOME
        amount, gst = part["amount_paise"], part["gst_paise"]
        entries[income] = entries.get(income, 0) - amount
        entries[GST_PAYABLE] = entries.get(GST_PAYABLE, 0) - gst
        net -= amount + gst
    entries[BANK] = -net
    return entries


def disbursed(event: e.Disbursed, loan: Loan) -> Entries:
    """Dr principal; Cr bank with what reached the borrower, income and GST with what was kept back."""
    entries = lent(event.amount_paise, event.deductions)
    ensure(entries[BANK] == -event.net_paise, "net is principal less deductions", loan=loan.id, net=event.net_paise)
    return entries


def payout_failed(event: e.PayoutFailed, loan: Loan) -> Entries:
    """Nothing, or, when the money came back, the exact reverse of its disbursal; with the first tranche, accrual and
    provision are released."""
    if not event.returned:
        return {}
    first = event.tranche == 0
    entries = lent(loan.tranches[event.tranche].amount, loan.deductions if first else ())
    back = Counter({account: -paise for account, paise in entries.items()})
    back.update(released(loan) if first else {})
    return dict(back)


def instalment_due(event: e.InstalmentDue, loan: Loan) -> Entries:
    """Dr interest and fees receivable; Cr income and GST. Capitalised interest: Dr principal, Cr interest income.
    What the last month's end had accrued is taken back: it is inside."""
    accrued = loan.accrued_booked - min(loan.accrued_booked, loan.held_paise + event.held_paise)
    return {
        INTEREST_RECEIVABLE: event.interest_paise,
        INTEREST_ACCRUED: -accrued,
        PRINCIPAL: event.capitalised_paise,
        CHARGES_RECEIVABLE: event.fee_paise,
        INTEREST_INCOME: accrued - event.interest_paise - event.capitalised_paise,
        FEE_INCOME: event.fee_gst_paise - event.fee_paise,
        GST_PAYABLE: -event.fee_gst_paise,
    }


def excess_applied(event: e.ExcessApplied, loan: Loan) -> Entries:
    """Dr borrowers' excess; Cr what it settled."""
    return settle(EXCESS, event.paise, event.lines)


def money_received(event: e.DebitSucceeded | e.PaymentReceived, loan: Loan) -> Entries:
    """Dr bank; Cr what it settled, and what is held or owed back."""
    return settle(BANK, event.amount_paise, event.lines)


def receipt_reversed(event: e.ReceiptReversed, loan: Loan) -> Entries:
    """Cr bank; Dr what is owed again."""
    return settle(BANK, -event.amount_paise, event.lines)


def charge_levied(event: e.ChargeLevied, loan: Loan) -> Entries:
    """Dr charges receivable; Cr income and GST."""
    return {
        CHARGES_RECEIVABLE: event.amount_paise + event.gst_paise,
        PENAL_INCOME if event.kind == "penal" else CHARGE_INCOME: -event.amount_paise,
        GST_PAYABLE: -event.gst_paise,
    }


def charge_waived(event: e.ChargeWaived, loan: Loan) -> Entries:
    """Dr waivers, and GST payable with the tax inside (a credit note); Cr charges receivable. What was paid of it: Dr
    charges receivable; Cr borrowers' excess, or after the end refunds payable."""
    entries = settle(WAIVERS, event.paise - event.gst_paise, event.lines)
    entries[GST_PAYABLE] = event.gst_paise
    entries[CHARGES_RECEIVABLE] = entries.get(CHARGES_RECEIVABLE, 0) - event.paise
    return entries


def restructured(event: e.Restructured, loan: Loan) -> Entries:
    """Dr principal; Cr interest receivable with the overdue interest that joined the principal. Of a loan that is
    NPA from now on, that interest was not received: Dr interest income, Cr interest suspense."""
    joined = event.capitalised_paise
    unreceived = joined if event.downgraded and loan.classification != "NPA" else 0
    return {
        PRINCIPAL: joined,
        INTEREST_RECEIVABLE: -joined,
        INTEREST_INCOME: unreceived,
        INTEREST_SUSPENSE: -unreceived,
    }


def given_up(event: e.WrittenOff | e.Settled, loan: Loan, loss: int) -> Entries:
    """Dr the loss; Cr principal, interest and charges receivable; accrual and provision are released."""
    return {
        loss: event.principal_paise + event.interest_paise + event.charges_paise,
        PRINCIPAL: -event.principal_paise,
        INTEREST_RECEIVABLE: -event.interest_paise,
        CHARGES_RECEIVABLE: -event.charges_paise,
        **released(loan),
    }


def written_off(event: e.WrittenOff, loan: Loan) -> Entries:
    """Dr bad debts; Cr principal, interest and charges receivable. Accrual and provision are released."""
    return given_up(event, loan, WRITTEN_OFF)


def settled(event: e.Settled, loan: Loan) -> Entries:
    """Dr settlement losses; Cr principal, interest and charges receivable. Accrual and provision are released."""
    return given_up(event, loan, SETTLEMENT_LOSS)


def released(loan: Loan) -> Entries:
    """What the last month's end had booked and will not come: accrued interest, and the provision."""
    return {
        INTEREST_ACCRUED: -loan.accrued_booked,
        INTEREST_INCOME: loan.accrued_booked,
        PROVISIONS: loan.provision_paise,
        PROVISION_EXPENSE: -loan.provision_paise,
    }


def closed(event: e.Closed, loan: Loan) -> Entries:
    """Dr borrowers' excess; Cr refunds payable with what goes back. Dr interest income with what was paid for days
    after the end; of a cooling-off exit fee income and GST with what was kept back. Accrual and provision are
    released."""
    fees, gst, interest = event.fees_returned_paise, event.fees_returned_gst_paise, event.interest_returned_paise
    entries = {
        EXCESS: event.refund_paise,
        FEE_INCOME: fees - gst,
        GST_PAYABLE: gst,
        REFUNDS_PAYABLE: -event.refund_paise - fees - interest,
        **released(loan),
    }
    entries[INTEREST_INCOME] += interest
    return entries


def refund_owed(event: e.RefundOwed, loan: Loan) -> Entries:
    """Dr borrowers' excess; Cr refunds payable."""
    return {EXCESS: event.paise, REFUNDS_PAYABLE: -event.paise}


def compensation_owed(event: e.CompensationOwed, loan: Loan) -> Entries:
    """Dr compensation to borrowers; Cr refunds payable."""
    return {COMPENSATION: event.paise, REFUNDS_PAYABLE: -event.paise}


def month_closed(event: e.MonthClosed, loan: Loan) -> Entries:
    """Dr interest accrued, Cr interest income; Dr provision expense, Cr provisions: by the difference to what stood."""
    accrued = event.accrued_paise - loan.accrued_booked
    provision = event.provision_paise - loan.provision_paise
    return {
        INTEREST_ACCRUED: accrued,
        INTEREST_INCOME: -accrued,
        PROVISION_EXPENSE: provision,
        PROVISIONS: -provision,
    }


def recast(event: e.Recast, loan: Loan) -> Entries:
    """Every balance moves to what hindsight says; interest, fees and charges that should have been (or not) are income
    (or no income) of the day on which it was learnt."""
    after = Owed.of(event.dues)
    before = Owed.of({"kind": due.kind, "amount_paise": due.amount, "paid_paise": due.paid} for due in loan.dues)
    entries: Entries = {
        PRINCIPAL: event.principal_paise - loan.principal_paise,
        INTEREST_RECEIVABLE: after.interest_unpaid - before.interest_unpaid,
        CHARGES_RECEIVABLE: after.others_unpaid - before.others_unpaid,
        EXCESS: loan.excess_paise - event.excess_paise,
        INTEREST_INCOME: before.interest + loan.capitalised_paise - after.interest - event.capitalised_paise,
    }
    for charge in event.charges:
        before_it, now = loan.levied.get(charge["charge_id"]) or NOT_LEVIED, Levied.load(charge)
        tax = now.gst_that_stands - before_it.gst_that_stands
        moved = now.stands - before_it.stands - tax
        account = PENAL_INCOME if charge["kind"] == "penal" else CHARGE_INCOME
        entries[account] = entries.get(account, 0) - moved
        entries[GST_PAYABLE] = entries.get(GST_PAYABLE, 0) - tax
    tax = gst_in_fee(loan, after.fees) - gst_in_fee(loan, before.fees)
    entries[FEE_INCOME] = before.fees - after.fees + tax
    entries[GST_PAYABLE] = entries.get(GST_PAYABLE, 0) - tax
    return entries


NOT_LEVIED = Levied("", 0, 0, date.min, 0)
"""What a charge was that hindsight finds for the first time."""


class Owed(NamedTuple):
    """Sums over dues, in paise: interest, fees, and what is unpaid of interest and of all that is not principal."""

    interest: int
    interest_unpaid: int
    fees: int
    others_unpaid: int

    @classmethod
    def of(cls, dues: Iterable[Mapping[str, Any]]) -> Owed:
        interest = interest_unpaid = fees = others_unpaid = 0
        for due in dues:
            kind, amount, unpaid = due["kind"], due["amount_paise"], due["amount_paise"] - due["paid_paise"]
            if kind == "interest":
                interest, interest_unpaid = interest + amount, interest_unpaid + unpaid
            elif kind != "principal":
                fees, others_unpaid = fees + (amount if kind == "fee" else 0), others_unpaid + unpaid
        return cls(interest, interest_unpaid, fees, others_unpaid)


def refund_settled(event: e.RefundSettled, loan: Loan) -> Entries:
    """Dr refunds payable; Cr bank."""
    return {REFUNDS_PAYABLE: event.amount_paise, BANK: -event.amount_paise}


def refund_failed(event: e.RefundFailed, loan: Loan) -> Entries:
    """Nothing, or, when the money came back, Dr bank, Cr refunds payable: it is still owed."""
    return {BANK: event.amount_paise, REFUNDS_PAYABLE: -event.amount_paise} if event.returned else {}


def delinquency_changed(event: e.DelinquencyChanged, loan: Loan) -> Entries:
    """On becoming NPA: Dr interest income, Cr interest suspense with the interest that is unpaid (servicing rule 23).
    On leaving it: the reverse."""
    was, becomes = loan.classification == "NPA", event.classification == "NPA"
    if was == becomes:
        return {}
    unpaid = loan.unpaid_of("interest")
    unrealised = unpaid if becomes else -unpaid
    return {INTEREST_INCOME: unrealised, INTEREST_SUSPENSE: -unrealised}


class Posting(NamedTuple):
    """How a kind of event is posted. `loan` is as it was before the event."""

    entries: Callable[[Any, Loan], Entries]
    value_on: str = ""
    """The event's field that says from when it counts; none: the day it is booked."""
    reference: str = ""
    """The event's field that names the voucher."""


POSTINGS: dict[type[LoanEvent], Posting] = {
    e.Disbursed: Posting(disbursed, "value_on", "reference"),
    e.PayoutFailed: Posting(payout_failed, reference="instruction_id"),
    e.InstalmentDue: Posting(instalment_due, "due_on"),
    e.ExcessApplied: Posting(excess_applied, "value_on"),
    e.DebitSucceeded: Posting(money_received, "value_on", "instruction_id"),
    e.PaymentReceived: Posting(money_received, "value_on", "reference"),
    e.ReceiptReversed: Posting(receipt_reversed, "value_on", "reference"),
    e.ChargeLevied: Posting(charge_levied, "due_on", "charge_id"),
    e.ChargeWaived: Posting(charge_waived, reference="charge_id"),
    e.Restructured: Posting(restructured, "effective_on"),
    e.DelinquencyChanged: Posting(delinquency_changed, "on"),
    e.WrittenOff: Posting(written_off, "on"),
    e.Settled: Posting(settled, "on"),
    e.Recast: Posting(recast, "value_on"),
    e.MonthClosed: Posting(month_closed, "on"),
    e.RefundOwed: Posting(refund_owed),
    e.CompensationOwed: Posting(compensation_owed, "on", "reference"),
    e.Closed: Posting(closed, "on"),
    e.RefundSettled: Posting(refund_settled, "value_on", "instruction_id"),
    e.RefundFailed: Posting(refund_failed, reference="instruction_id"),
}

NO_POSTING: dict[type[LoanEvent], str] = {
    e.LoanBooked: "nothing is owed before the money is out",
    e.PayoutInstructed: "asked for, not done",
    e.PayoutPending: "not known yet",
    e.ContactHeld: "moves no money",
    e.CollectionPlanned: "a plan",
    e.CollectionStepTaken: "work, not money",
    e.PromiseMade: "a word; the money is posted when it comes",
    e.PromiseKept: "its money is posted as it came",
    e.PromiseBroken: "a word",
    e.CaseAssigned: "work, not money",
    e.CaseNoted: "work, not money",
    e.CaseEscalated: "work, not money",
    e.EmiScheduled: "a plan; its rows are posted when they fall due",
    e.MandateRegistered: "moves no money",
    e.MandateChanged: "moves no money",
    e.MandatePreferred: "moves no money",
    e.MandateRequested: "moves no money",
    e.MandateExpiring: "moves no money",
    e.PaymentLinkOffered: "an offer; the money that comes by it is a payment",
    e.PaymentLinkWithdrawn: "moves no money",
    e.DebitsStopped: "moves no money",
    e.DebitsResumed: "moves no money",
    e.BorrowerChanged: "moves no money",
    e.DebitNotified: "moves no money",
    e.InstalmentAnnounced: "moves no money",
    e.BounceForeseen: "moves no money",
    e.DebitAttempted: "asked for, not done",
    e.DebitFailed: "brought nothing; its charge is an event of its own",
    e.DebitPending: "not decided yet",
    e.DebitOutcomeOverdue: "not known yet",
    e.RetryScheduled: "a plan",
    e.CollectionExhausted: "moves no money",
    e.CollectionPaused: "moves no money",
    e.PrincipalPrepaid: "posted by the receipt that paid for it",
    e.CaseOpened: "moves no money",
    e.PreclosureQuoted: "an offer",
    e.RefundInstructed: "asked for, not done; owed since the event that made it payable",
    e.Reopened: "posted by the reversal that caused it",
    e.DebitWithdrawn: "moves no money",
    e.MandateCancelInstructed: "asked for, not done",
    e.ReliefGranted: "a plan; its rows are posted when they fall due",
    e.ChangeAgreed: "a plan",
    e.AgreedChangeCame: "moves no money; the change is an event of its own",
    e.RateReset: "a plan; its rows are posted when they fall due",
    e.BorrowerStandingChanged: "moves no money; the class that follows is an event of its own",
    e.PerformanceRestored: "moves no money; the class that follows is an event of its own",
    e.StatementDue: "moves no money",
    e.CaseClosed: "moves no money",
    e.GrievanceRaised: "moves no money",
    e.GrievanceEscalated: "moves no money",
    e.PapersReleased: "moves no money",
    e.BorrowerErased: "moves no money",
    e.SettlementAgreed: "an offer",
    e.SettlementLapsed: "the offer is over",
    e.DisbursalCancelled: "posted by the row that falls due, and by the closure",
    e.CancellationShort: "a word; the money is posted as it came",
    e.CancellationLapsed: "posted by the hindsight that follows",
}
"""Events without entries, and why; a test proves that the whole catalogue is in one of the two."""


def post(event: LoanEvent, loan: Loan) -> Entries:
    """The entries of an event, given its loan as it was before; empty when it moves no money."""
    posting = POSTINGS.get(type(event))
    if posting is None:
        return {}
    entries = posting.entries(event, loan)
    if loan.classification == "NPA":
        realise(event, entries)
    entries = {account: paise for account, paise in entries.items() if paise}
    ensure(sum(entries.values()) == 0, "an event's entries balance", loan=loan.id, event=event.TOPIC, entries=entries)
    return entries


LOSSES: dict[type[LoanEvent], int] = {e.WrittenOff: WRITTEN_OFF, e.Settled: SETTLEMENT_LOSS}
"""Events that give interest up: of an NPA loan it never was income, so it is no loss."""


def realise(event: LoanEvent, entries: Entries) -> None:
    """Of an NPA loan, interest is income when it is received and not when it is due (servicing rule 23)."""
    change = entries.get(INTEREST_RECEIVABLE, 0)
    if change == 0 or type(event) is e.Restructured:  # capitalised is not received: it stays in suspense
        return
    against = LOSSES.get(type(event), INTEREST_INCOME)
    entries[INTEREST_SUSPENSE] = -change
    entries[against] = entries.get(against, 0) + change


def balances_by_state(loan: Loan) -> Entries:
    """What the ledger must say of a loan, by the loan's own account of itself: a second way to the numbers."""
    owed = unpaid(loan)
    sent_back = sum(
        paise for refund, paise in loan.refunds.items() if loan.outcomes.get(refund, "").startswith("succeeded")
    )
    return {
        PRINCIPAL: loan.principal_paise,
        INTEREST_ACCRUED: loan.accrued_booked,
        PROVISIONS: -loan.provision_paise,
        INTEREST_RECEIVABLE: owed.interest,
        CHARGES_RECEIVABLE: owed.charges,
        EXCESS: -loan.excess_paise,
        REFUNDS_PAYABLE: sent_back - loan.refund_due_paise,
    }


# --- Tables --------------------------------------------------------------------------------------------------

REPORTED = (
    "accounts && ARRAY["
    + ", ".join(map(str, (GST_PAYABLE, RECOVERY_INCOME, WRITTEN_OFF, SETTLEMENT_LOSS)))
    + "]::smallint[]"
)
"""Entries that are reported one by one: an index finds them among all others."""

JOURNAL = Table(
    "journal",
    columns=(
        ("partition", "integer"),
        ("position", "bigint"),
        ("loan_id", "text"),
        ("topic", "text"),
        ("reference", "text"),
        ("value_on", "date"),
        ("booked_at", "timestamptz"),
        ("accounts", "smallint[]"),
        ("amounts", "bigint[]"),
    ),
    key=("partition", "position"),
    mode="append",
    indexes=("partition, loan_id, position", f"booked_at WHERE {REPORTED}"),
    checks=("{schema}.total(amounts) = 0", "cardinality(accounts) = cardinality(amounts)"),
)
BALANCES = Table(
    "balances",
    columns=(("partition", "integer"), ("loan_id", "text"), ("account", "smallint"), ("paise", "bigint")),
    key=("partition", "loan_id", "account"),
    mode="add",
)
DAILY = Table(
    "daily",
    columns=(
        ("partition", "integer"),
        ("account", "smallint"),
        ("booked_on", "date"),
        ("topic", "text"),
        ("debit_paise", "bigint"),
        ("credit_paise", "bigint"),
    ),
    key=("partition", "account", "booked_on", "topic"),
    mode="add",
)


class Ledger:
    """The projection `ledger`."""

    name: ClassVar[str] = "ledger"
    tables: ClassVar[tuple[Table, ...]] = (JOURNAL, BALANCES, DAILY)
    told: ClassVar[tuple[Table, ...]] = (JOURNAL,)
    before: ClassVar[tuple[str, ...]] = (
        # A loop, because a check calls it for every row and a query inside would cost ten times as much.
        "CREATE FUNCTION {schema}.total(amounts bigint[]) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$"
        " DECLARE amount bigint; total bigint := 0;"
        " BEGIN FOREACH amount IN ARRAY amounts LOOP total := total + amount; END LOOP; RETURN total; END $$",
        "CREATE TABLE {schema}.accounts (code smallint PRIMARY KEY, name text NOT NULL, kind text NOT NULL)",
        *(
            f"INSERT INTO {{schema}}.accounts VALUES ({account.code}, $${account.name}$$, '{account.kind}')"
            for account in ACCOUNTS
        ),
    )
    after: ClassVar[tuple[str, ...]] = (
        "CREATE VIEW {schema}.entries AS SELECT j.partition, j.position, j.loan_id, j.topic, j.reference, j.value_on,"
        " j.booked_at, e.line, a.code AS account, a.name, a.kind, e.paise"
        " FROM {schema}.journal j CROSS JOIN LATERAL unnest(j.accounts, j.amounts) WITH ORDINALITY"
        " AS e (account, paise, line) JOIN {schema}.accounts a ON a.code = e.account",
        "CREATE VIEW {schema}.trial_balance AS SELECT a.code AS account, a.name, a.kind,"
        " coalesce(sum(d.debit_paise), 0)::bigint AS debit_paise,"
        " coalesce(sum(d.credit_paise), 0)::bigint AS credit_paise,"
        " coalesce(sum(d.debit_paise - d.credit_paise), 0)::bigint AS paise"
        " FROM {schema}.accounts a LEFT JOIN {schema}.daily d ON d.account = a.code GROUP BY a.code",
    )

    def __init__(self, rules: Rules | None = None) -> None:
        pass

    def begin(self) -> LedgerFolding:
        return LedgerFolding()

    def tell(self, table: Table, row: Row) -> Outgoing:
        partition, position, loan_id, topic, reference, value_on, booked_at, accounts, amounts = row
        return Outgoing(
            "projection.ledger",
            "projection.ledger.posted.v1",
            loan_id,
            f"ledger:{partition}:{position}",
            booked_at,
            {
                "loan_id": loan_id,
                "partition": partition,
                "position": position,
                "event": topic,
                "reference": reference,
                "value_on": value_on,
                "booked_at": booked_at,
                "entries": [
                    {"account": account, "name": BY_CODE[account].name, "paise": paise}
                    for account, paise in zip(accounts, amounts, strict=True)
                ],
            },
            partition,
        )


class LedgerFolding:
    """One batch of entries, and the sums that they add to."""

    def __init__(self) -> None:
        self.journal: list[Row] = []
        self.balances: dict[tuple[int, str, int], int] = {}
        self.daily: dict[tuple[int, int, date, str], list[int]] = {}

    def see(self, recorded: Recorded, loan: Loan) -> None:
        partition, position, loan_id, _, event, _ = recorded
        entries = post(event, loan)
        if not entries:
            return
        _, value_on, reference = POSTINGS[type(event)]
        booked = booked_on(event)
        counts = date.fromisoformat(getattr(event, value_on)) if value_on else booked
        voucher = getattr(event, reference) if reference else ""
        accounts, amounts = tuple(entries), tuple(entries.values())
        self.journal.append(
            (partition, position, loan_id, event.TOPIC, voucher, counts, event.timestamp, accounts, amounts)
        )
        balances, daily = self.balances, self.daily
        for account, paise in entries.items():
            key = (partition, loan_id, account)
            balances[key] = balances.get(key, 0) + paise
            day = daily.get((partition, account, booked, event.TOPIC))
            if day is None:
                day = daily[partition, account, booked, event.TOPIC] = [0, 0]
            if paise > 0:
                day[0] += paise
            else:
                day[1] -= paise

    def close(self, loans: Mapping[str, Loan]) -> list[Write]:
        return [
            Write(JOURNAL, self.journal),
            Write(BALANCES, [(*key, paise) for key, paise in self.balances.items()]),
            Write(DAILY, [(*key, debit, credit) for key, (debit, credit) in self.daily.items()]),
        ]
