"""The catalogue of everything that can happen to a loan, in the order of a loan's life.

Names and fields here are the stored format: the log keeps them for decades. Add a field only with a default or
an upcaster (see `RetryScheduled`), never rename one. Every event is a frozen dataclass of plain JSON values
(int, str, bool, list, dict): money in integer paise, days as `YYYY-MM-DD` in Asia/Kolkata, instants as RFC 3339.

Two times stand on every fact that has them: `timestamp` (when Qist knew) and `value_on` (from when it counts).

`lines` say what an amount settled, one dict a line: `{"for": KIND, "paise": N}` with `number` (instalment) for
`principal`, `interest` and `fee`, with `charge_id` for `charge` and `penal`, and nothing more for `excess`
(held for the borrower), `prepayment`, `refund` (owed back) and `recovery` (after write-off).

No event holds personal data: names, phones and account numbers live in the vault, events hold tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from typing import Any, ClassVar, TypeVar, dataclass_transform

from eventsourcing.domain import (
    CanInitAggregate,
    CanMutateAggregate,
    OriginatorIDError,
    OriginatorVersionError,
)
from eventsourcing.utils import register_topic

Line = dict[str, Any]
AnyEvent = TypeVar("AnyEvent", bound="type[LoanEvent]")


@dataclass(frozen=True)
class LoanEvent(CanMutateAggregate[str]):
    """A fact about one loan. The loan stamps id, version and timestamp when it records the fact."""

    TOPIC: ClassVar[str]
    class_version: ClassVar[int] = 1

    originator_id: str = field(init=False, compare=False, repr=False)
    originator_version: int = field(init=False, compare=False, repr=False)
    timestamp: datetime = field(init=False, compare=False, repr=False)

    def mutate(self, aggregate: Any) -> Any:
        """Apply this event to its loan: the library's contract (id, sequence, then state)."""
        if self.originator_id != aggregate.id:
            raise OriginatorIDError(self.originator_id, aggregate.id)
        if self.originator_version != aggregate.version + 1:
            raise OriginatorVersionError(self.originator_version, aggregate.version + 1)
        aggregate.evolve(self)
        return aggregate


CATALOGUE: dict[str, type[LoanEvent]] = {}
"""Stored name -> event class: the whole vocabulary of the log."""


@dataclass_transform(frozen_default=True, kw_only_default=True)
def stored_as(topic: str) -> Callable[[AnyEvent], AnyEvent]:
    """Name an event as the log and the wire know it, for good."""

    def register(cls: AnyEvent) -> AnyEvent:
        event = dataclass(frozen=True, kw_only=True)(cls)
        event.TOPIC = topic
        for each in fields(event):
            if each.default_factory is not MISSING:  # an older event does not have it: it reads what is empty
                setattr(event, each.name, each.default_factory())
        register_topic(topic, event)
        CATALOGUE[topic] = event
        return event  # type: ignore[return-value]

    return register


# --- Approved: the loan comes in and the money goes out ------------------------------------------------------


@stored_as("loan.booked.v1")
class LoanBooked(CanInitAggregate[str], LoanEvent):
    """The LOS handed over an approved loan; its terms are complete and were checked."""

    borrower_id: str
    product: str
    product_version: int
    terms: dict[str, Any]
    """Fully resolved terms (contracts.md), the product's defaults filled in."""
    request_hash: str
    """Of the request as received, so that a repeat is told from a contradiction."""
    financed_paise: int
    """The principal that is repaid: the amount lent, with the fees that were added to it."""
    deductions: list[dict[str, Any]]
    """Kept back from the first payout: `kind`, `amount_paise`, `gst_paise` (fees, broken-period interest)."""
    waterfall: list[str]
    """The order in which money settles what fell due on one day (servicing rule 11)."""
    segment: str = ""
    salary_day: int = 0
    language: str = "en"
    payout: dict[str, Any] = field(default_factory=dict[str, Any])
    """`rail`, `account_token`, `ifsc`, `last4`; empty when the LOS pays out itself."""
    mandate: dict[str, Any] = field(default_factory=dict[str, Any])
    """`mandate_id`, `rail`, `status`, `max_amount_paise`, `valid_from`, `valid_until`, `bank`, tokens."""
    waterfall_by: str = "instalment"
    """`instalment` = the oldest instalment first; `kind` = all of one kind before all of the next."""
    waterfall_npa: list[str] = field(default_factory=list[str])
    """The order while the loan is NPA; empty = the same."""
    sanctioned_on: str = ""
    """The day from which rules with dates are read; empty = the day of the planned payout."""
    shown_charges: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Charges that the borrower's Key Facts Statement shows (`kind`, `amount_paise`); empty = the product's."""
    further_mandates: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Mandates after `mandate`, in order of preference."""

    originator_topic: str = "loan"

    def mutate(self, aggregate: Any) -> Any:
        from domain.loan import Loan

        loan = Loan.shell(self.originator_id)
        loan.evolve(self)
        return loan


@stored_as("loan.payout-instructed.v1")
class PayoutInstructed(LoanEvent):
    """The gateway was asked to send a tranche to the borrower."""

    instruction_id: str
    tranche: int
    amount_paise: int
    rail: str
    account_token: str
    ifsc: str = ""
    reason: str = ""
    """Why this rail."""
    other_rails: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """The others: `rail`, `why_not`."""
    gateway: str = ""
    """Who is asked; empty = whoever takes what names none."""


@stored_as("loan.payout-pending.v1")
class PayoutPending(LoanEvent):
    """The rail does not know yet whether a payout or refund arrived: it is sent a second time on no account."""

    instruction_id: str
    code: str
    meaning: str


@stored_as("loan.payout-failed.v1")
class PayoutFailed(LoanEvent):
    """The money did not arrive (failed), or came back after it had arrived (returned)."""

    instruction_id: str
    tranche: int
    amount_paise: int
    returned: bool
    code: str
    reason: str


@stored_as("loan.disbursed.v1")
class Disbursed(LoanEvent):
    """The borrower has the money: interest counts from this day (servicing rule 26)."""

    tranche: int
    amount_paise: int
    """Principal that starts to bear interest."""
    net_paise: int
    """What reached the borrower."""
    deductions: list[dict[str, Any]]
    """Kept back: `kind`, `amount_paise`, `gst_paise`."""
    value_on: str
    reference: str
    instruction_id: str = ""


@stored_as("loan.emi-scheduled.v1")
class EmiScheduled(LoanEvent):
    """A schedule came into force: `rows` replace every instalment that is not due yet."""

    schedule_version: int
    reason: str
    """`booking`, `disbursal`, `restructure`, `relief`, `rate-reset`, `part-prepayment`, `interest-by-day`,
    `tranche-not-out`, `preclosure`, `settlement`, `cooling-off`."""
    effective_on: str
    instalment_paise: int
    apr_percent: str
    rows: list[dict[str, Any]]
    """`number, due_on, days, opening_paise, principal_paise, interest_paise, fee_paise, total_paise, closing_paise`."""
    terms: dict[str, Any]
    """The terms that these rows follow from."""
    accrued_paise: int = 0
    """Interest of the days before `effective_on` that is inside the first new row."""
    accrued_exact: str = ""
    """`accrued_paise` before rounding, as a fraction; empty = it is whole."""
    first_number: int = 1
    """The row that is the first of `terms`: rows before it were there already."""


# --- Mandates ------------------------------------------------------------------------------------------------


@stored_as("loan.mandate-registered.v1")
class MandateRegistered(LoanEvent):
    """A mandate (standing debit authority) is known for this loan, or known better."""

    mandate: dict[str, Any]
    command_id: str = ""
    position: int
    """Its place in the order of preference, from 1; 0 = instead of all before it. Since version 2."""
    replaces: str
    """The mandate that is cancelled when this one is active; empty for none. Since version 2."""

    class_version: ClassVar[int] = 2

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        """Version 1 knew one mandate at a time."""
        state["position"], state["replaces"] = 0, ""


@stored_as("loan.mandate-changed.v1")
class MandateChanged(LoanEvent):
    """A mandate's status moved: active, rejected, cancelled, paused, expired, or failed (a debit by it can never
    succeed, as the bank's answer to one says)."""

    mandate_id: str
    status: str
    code: str = ""
    reason: str = ""
    command_id: str = ""


@stored_as("loan.mandate-preferred.v1")
class MandatePreferred(LoanEvent):
    """Another mandate is the first to be used from now on."""

    mandate_id: str
    reason: str
    command_id: str = ""


@stored_as("loan.mandate-requested.v1")
class MandateRequested(LoanEvent):
    """The borrower is asked for a (new) mandate: by the gateway, and by a notice."""

    request_id: str
    reason: str
    rail: str
    """The rail that is asked for; empty = any."""
    max_amount_paise: int
    """What it must carry at least: the largest instalment to come."""
    valid_until: str
    """Until when it must hold at least: the last instalment, and the window of its debits."""
    replaces: str = ""


@stored_as("loan.mandate-expiring.v1")
class MandateExpiring(LoanEvent):
    """The mandate in use ends before the instalments do."""

    mandate_id: str
    valid_until: str
    days_left: int
    last_due_on: str


@stored_as("loan.payment-link-offered.v1")
class PaymentLinkOffered(LoanEvent):
    """A debit cannot bring an instalment: the borrower is given a link to pay it by."""

    link_id: str
    """`loan:instalment:n`: asking the gateway for it twice gives one link."""
    number: int
    amount_paise: int
    expires_on: str
    reason: str
    command_id: str = ""
    """Empty unless somebody asked for it: who asks needs no notice of it."""


@stored_as("loan.payment-link-withdrawn.v1")
class PaymentLinkWithdrawn(LoanEvent):
    """What a link was to bring has come, or is owed no more."""

    link_id: str
    number: int
    reason: str


@stored_as("loan.debits-stopped.v1")
class DebitsStopped(LoanEvent):
    """A court, an authority or a death stands in the way: no debit by any mandate until a person says otherwise."""

    number: int
    mandate_id: str
    code: str
    reason: str


@stored_as("loan.debits-resumed.v1")
class DebitsResumed(LoanEvent):
    """A person looked: debits are allowed again."""

    reason: str
    command_id: str = ""


@stored_as("loan.borrower-changed.v1")
class BorrowerChanged(LoanEvent):
    """The LOS sent newer facts about the borrower. Personal ones went to the vault; only their names are here."""

    vaulted: list[str]
    """Names of the personal facts that were replaced, such as `phone`."""
    facts: dict[str, Any]
    """`segment`, `salary_day`, `language`: what decisions may look at; `contact` (`channel`, `opt_out`, `hours`): how
    they want to be told."""
    command_id: str = ""


# --- Instalments and debits ----------------------------------------------------------------------------------


@stored_as("loan.debit-notified.v1")
class DebitNotified(LoanEvent):
    """The borrower is told of a coming debit (24 hours ahead where the rail demands it, servicing rule 29)."""

    number: int
    attempt: int
    amount_paise: int
    debit_at: str
    rail: str


@stored_as("loan.instalment-announced.v1")
class InstalmentAnnounced(LoanEvent):
    """An instalment comes of whose debit nobody is told, or that is not debited: the borrower is reminded."""

    number: int
    amount_paise: int
    """What is not covered yet by money held for the borrower."""
    due_on: str


@stored_as("loan.bounce-foreseen.v1")
class BounceForeseen(LoanEvent):
    """After a bounce, the next instalment was looked at ahead of its day."""

    number: int
    due_on: str
    amount_paise: int
    likelihood_percent: int
    """That its first debit finds no funds."""
    reasons: list[str]
    """Codes, the weightiest first (`domain/policies/weighing.py`)."""
    model: str
    nudged: bool
    """Whether the borrower is told: the likelihood reaches the product's threshold."""


@stored_as("loan.instalment-due.v1")
class InstalmentDue(LoanEvent):
    """An instalment's day came: its interest and fees are owed from now on."""

    number: int
    due_on: str
    principal_paise: int
    interest_paise: int
    fee_paise: int
    fee_gst_paise: int = 0
    capitalised_paise: int = 0
    """Interest of the period that joins the principal (moratorium with `capitalise`)."""
    held_paise: int = 0
    """Interest of the period that waits (moratorium); negative: such interest that this row collects or capitalises."""


@stored_as("loan.excess-applied.v1")
class ExcessApplied(LoanEvent):
    """Money held for the borrower settled what fell due, before any debit was asked for (servicing rule 12)."""

    value_on: str
    paise: int
    lines: list[Line]


@stored_as("loan.debit-attempted.v1")
class DebitAttempted(LoanEvent):
    """The gateway was asked to debit the borrower. The instruction's id is loan:instalment:attempt."""

    instruction_id: str
    number: int
    attempt: int
    amount_paise: int
    mandate_id: str
    rail: str
    gateway: str
    bank: str
    due_on: str
    reason: str
    umrn: str = ""
    """The mandate's reference at the bank."""
    route: str = ""
    """Why this mandate and gateway; empty where there was one way only."""
    other_ways: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """What else was weighed: `mandate_id`, `rail`, `gateway`, `arrives_bps`, `cost_paise`, `why_not`."""
    route_inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the choice looked at: `arrives_bps`, `cost_paise`, `insight_as_of`."""


@stored_as("loan.debit-succeeded.v1")
class DebitSucceeded(LoanEvent):
    """Money came in by a debit (all that was asked for, or less)."""

    instruction_id: str
    number: int
    attempt: int
    asked_paise: int
    """0 when Qist had not asked: the money is real all the same."""
    amount_paise: int
    value_on: str
    reference: str
    rail: str
    gateway: str
    bank: str
    lines: list[Line]


@stored_as("loan.debit-failed.v1")
class DebitFailed(LoanEvent):
    """A debit brought nothing. `failure_class` is soft (no funds today), hard (never by this path) or technical."""

    instruction_id: str
    number: int
    attempt: int
    amount_paise: int
    code: str
    failure_class: str
    action: str
    """What the code table advises: retry_after_funds, retry, alternate_rail, fix_mandate, stop, investigate."""
    meaning: str
    value_on: str
    rail: str
    gateway: str
    bank: str
    reference: str = ""
    bank_code: str = ""
    """The bank's own code, where the switch's says only that something failed."""
    diagnosed_as: str = ""
    """The code whose row decided, where that is not `code`."""
    diagnosed_by: str = ""
    """Whose word it is: empty = the shipped table's on `code`; `bank-code`, `reason-text` or `operator`."""
    codes_version: str = ""
    """Which mapping decided: the shipped tables' fingerprint, `+N` = with so many words of operators."""


@stored_as("loan.debit-pending.v1")
class DebitPending(LoanEvent):
    """The bank has not decided yet: neither success nor failure, no charge, no new attempt (servicing rule 34)."""

    instruction_id: str
    number: int
    attempt: int
    code: str
    meaning: str


@stored_as("loan.retry-scheduled.v1")
class RetryScheduled(LoanEvent):
    """Another attempt was decided, with the reason; replay never decides it again."""

    number: int
    attempt: int
    at: str
    reason: str
    alternatives: list[dict[str, Any]]
    """Other moments that were weighed: `at`, `why_not`, and of the model's `likelihood_percent`. Since version 2."""
    likelihood_percent: int = 0
    """How likely the debit then finds the money, as the model saw it; 0 = the calendar decided."""
    model: str = ""
    """Which model; empty = the calendar decided."""
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the model went by."""
    explored: bool = False
    """The second best moment was taken, to learn."""

    class_version: ClassVar[int] = 2

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        """Version 1 kept only the chosen moment."""
        state["alternatives"] = []


@stored_as("loan.collection-exhausted.v1")
class CollectionExhausted(LoanEvent):
    """No further automatic debit for this instalment: why, and what a person should do."""

    number: int
    attempts: int
    reason: str
    next_step: str


@stored_as("loan.debit-outcome-overdue.v1")
class DebitOutcomeOverdue(LoanEvent):
    """The gateway has not answered in time. The outcome is unknown: nothing is asked for twice."""

    instruction_id: str
    number: int
    attempt: int


@stored_as("loan.debit-withdrawn.v1")
class DebitWithdrawn(LoanEvent):
    """A debit that was asked for is not wanted any more. It may succeed all the same: the money is real then."""

    instruction_id: str
    number: int
    attempt: int
    reason: str


@stored_as("loan.mandate-cancel-instructed.v1")
class MandateCancelInstructed(LoanEvent):
    """The bank is asked to cancel a mandate: the loan has ended (servicing rule 16), or another took its place."""

    instruction_id: str
    mandate_id: str
    rail: str
    reason: str
    umrn: str = ""
    command_id: str = ""
    gateway: str = ""
    """The mandate's own, or another that serves it while that is down; empty = whoever takes those of the rail."""


# --- Money in by other ways ----------------------------------------------------------------------------------


@stored_as("loan.payment-received.v1")
class PaymentReceived(LoanEvent):
    """The borrower paid by transfer, UPI, cash, card or link."""

    reference: str
    method: str
    amount_paise: int
    value_on: str
    intent: str
    lines: list[Line]
    command_id: str = ""
    choice: str = ""
    """Of a part-prepayment: `reduce_tenure` or `reduce_emi`."""


@stored_as("loan.receipt-reversed.v1")
class ReceiptReversed(LoanEvent):
    """Money that was credited was taken back (a bounced cheque, a reversed debit). It counts as never received."""

    reference: str
    amount_paise: int
    value_on: str
    source: str
    """`debit` or `payment`."""
    reason: str
    lines: list[Line]
    """What is undone (negative): money settles the oldest first, so without this receipt the newest is unpaid again."""


# --- Charges -------------------------------------------------------------------------------------------------


@stored_as("loan.charge-levied.v1")
class ChargeLevied(LoanEvent):
    """A charge is owed. Penal charges bear no GST and no interest (servicing rule 25)."""

    charge_id: str
    kind: str
    """`bounce`, `penal`, `preclosure`, or a name from the product's table of charges."""
    amount_paise: int
    gst_paise: int
    due_on: str
    number: int
    """The instalment that it belongs to; 0 for none."""
    reason: str
    command_id: str = ""
    through: str = ""
    """The last day that a penal charge by the day counts."""


@stored_as("loan.charge-waived.v1")
class ChargeWaived(LoanEvent):
    """The lender gives up a charge, or a part of it: what is unpaid first, then what was paid, which goes back."""

    charge_id: str
    paise: int
    """With its GST."""
    reason: str
    command_id: str = ""
    gst_paise: int = 0
    """The GST inside `paise`: a credit note takes it back from what is owed to the state."""
    lines: list[Line] = field(default_factory=list[Line])
    """What was paid of it, taken off the charge and held for the borrower (or, after the end, owed back): sum 0."""
    requested_by: str = ""
    approved_by: str = ""
    """The second person, where the lender asks for one."""


# --- Changes -------------------------------------------------------------------------------------------------


@stored_as("loan.change-agreed.v1")
class ChangeAgreed(LoanEvent):
    """New terms were agreed on for a later day: they are decided on that day, on the loan as it stands then."""

    kind: str
    """`restructure`, `relief` or `rate-reset`."""
    effective_on: str
    asked: dict[str, Any]
    """The command's fields, days as `YYYY-MM-DD`."""
    instalment_paise: int
    """As it would be, were nothing to happen until then but time."""
    instalments: int
    """Instalments after that day, as it would be."""
    reason: str
    command_id: str = ""
    offered: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Of a rate reset: what the borrower can choose until then (as in `RateReset`)."""


@stored_as("loan.agreed-change-came.v1")
class AgreedChangeCame(LoanEvent):
    """The day of an agreed change: it is decided now, or is not possible any more."""

    kind: str
    effective_on: str
    not_possible: str = ""
    """Why not; empty when it is."""


@stored_as("loan.restructured.v1")
class Restructured(LoanEvent):
    """New terms were agreed; the `EmiScheduled` that follows has the new rows."""

    effective_on: str
    changes: dict[str, Any]
    """What was asked for: any of `instalments`, `instalment_paise`, `annual_rate_percent`, `capitalise_arrears`,
    `moratorium_instalments`, `moratorium_interest`."""
    principal_paise: int
    """Carried into the new schedule, capitalised interest included."""
    capitalised_paise: int
    """Overdue interest that joined the principal (penal charges never do)."""
    reason: str
    command_id: str = ""
    scheme: str = ""
    """The named scheme under which the loan keeps its class; without one it is downgraded (servicing rule 22)."""
    downgraded: bool = False
    dpd: str = "keep"
    """`reset`: arrears that stay owed count as due since the restructuring."""


@stored_as("loan.relief-granted.v1")
class ReliefGranted(LoanEvent):
    """Some instalments to come ask for less or nothing; the `EmiScheduled` that follows has the new rows."""

    effective_on: str
    kind: str
    """`moratorium` (no principal) or `payment-holiday` (nothing)."""
    instalments: int
    interest: str
    """What becomes of the interest meanwhile: `pay`, `capitalise` or `accrue`."""
    extends_tenure: bool
    reason: str
    command_id: str = ""


@stored_as("loan.rate-reset.v1")
class RateReset(LoanEvent):
    """A floating rate moved, or the loan became fixed; the `EmiScheduled` that follows has the new rows."""

    effective_on: str
    previous_rate_percent: str
    annual_rate_percent: str
    rate_type: str
    option: str
    """`longer_tenure`, `higher_emi`, `both` or `switch_to_fixed` (servicing rule 27)."""
    asked: dict[str, Any]
    """`instalments` or `instalment_paise`, where the command named them."""
    offered: list[dict[str, Any]]
    """What the borrower could choose: `option`, `instalments`, `instalment_paise`, `total_interest_paise`; or why not
    (`not_possible`); `switch_to_fixed` with `switches_left`; `part_prepayment`."""
    reason: str
    command_id: str = ""


@stored_as("loan.recast.v1")
class Recast(LoanEvent):
    """Hindsight: the books as they would have been, had all that is known now been known at the time (rule 13)."""

    reason: str
    value_on: str
    """The first day that comes out differently."""
    schedule_version: int
    rows: list[dict[str, Any]]
    """All rows, those that are due too."""
    due_rows: int
    instalment_paise: int
    apr_percent: str
    terms: dict[str, Any]
    first_number: int
    schedule_reason: str
    accrual_from: str
    accrual_carried_paise: int
    accrual_exact: str = ""
    held_paise: int
    """Interest of a moratorium that waits."""
    capitalised_paise: int
    """All interest that has joined the principal so far."""
    dues: list[dict[str, Any]]
    """Everything that has fallen due: `kind`, `of`, `due_on`, `amount_paise`, `paid_paise`."""
    charges: list[dict[str, Any]]
    """Charges whose figures moved, as they are now: `charge_id`, `kind`, `amount_paise`, `gst_paise`, `due_on`,
    `number`, `through`, `by_person`, `waived_paise`, `falls_away` (it should not have been levied)."""
    principal_repaid: list[list[Any]]
    """Where interest runs by the day: (day, paise) of principal repaid."""
    prepaid_paise: int
    """Principal paid ahead, in all."""
    principal_paise: int
    excess_paise: int
    penal_upto: str
    """Up to which day's end penal charges by the day are levied; empty = never."""
    npa_since: str
    """Since when the loan would have been NPA; empty = it would not be."""
    advanced: list[list[Any]]
    """Instalments that were paid before their day: (number, the day on which they were owed for that)."""
    unearned_paise: int = 0
    """Interest paid for days after the loan was closed early."""


@stored_as("loan.principal-prepaid.v1")
class PrincipalPrepaid(LoanEvent):
    """A part of the principal was paid ahead; the `EmiScheduled` that follows has the new rows."""

    amount_paise: int
    value_on: str
    choice: str
    """`reduce_tenure` or `reduce_emi`."""
    reference: str


@stored_as("loan.collection-paused.v1")
class CollectionPaused(LoanEvent):
    """No debit until that day (dispute, calamity, bereavement)."""

    until: str
    reason: str
    command_id: str = ""


@stored_as("loan.contact-held.v1")
class ContactHeld(LoanEvent):
    """Nobody asks this borrower for money in these days, both included; a later hold for that reason replaces it."""

    reason: str
    """`bereavement`, `calamity`, `wedding`, `festival` or `requested` (servicing rule 30)."""
    from_on: str
    until_on: str
    note: str = ""
    command_id: str = ""


# --- Collections ---------------------------------------------------------------------------------------------


@stored_as("loan.collection-planned.v1")
class CollectionPlanned(LoanEvent):
    """The loan entered a bucket: what its strategy will do there, and why this one. It takes the place of the plan
    before it."""

    strategy: str
    strategy_version: int
    arm: str
    """`champion` or a challenger, by a hash of the loan's id."""
    bucket: str
    segment: str
    first: bool
    """These arrears begin with it."""
    overdue_paise: int
    looked_at: dict[str, Any]
    """What the segment follows from."""
    steps: list[dict[str, Any]]
    """`do` (`reminder`, `payment-link`, `call`, `visit`, `legal-notice`) and `at`, in order."""


@stored_as("loan.collection-step-taken.v1")
class CollectionStepTaken(LoanEvent):
    """A step of the plan: the borrower is written to, or a person gets a case."""

    do: str
    strategy: str
    arm: str
    bucket: str
    segment: str
    overdue_paise: int
    oldest_due_on: str
    planned_at: str
    """Later than this where a promise or a pause held it back."""


@stored_as("loan.promise-made.v1")
class PromiseMade(LoanEvent):
    """The borrower promised an amount by a day. Retries and steps wait for it."""

    promise_id: str
    amount_paise: int
    by: str
    channel: str
    """Where it was given: `call`, `visit`, `branch`, `app`, `sms`, `email` or `other`."""
    overdue_paise: int
    replaces: str = ""
    """The open promise that this one takes the place of."""
    case_id: str = ""
    command_id: str = ""


@stored_as("loan.promise-kept.v1")
class PromiseKept(LoanEvent):
    """What was promised is in, or nothing is owed any more."""

    promise_id: str
    amount_paise: int
    received_paise: int
    on: str


@stored_as("loan.promise-broken.v1")
class PromiseBroken(LoanEvent):
    """The day, and the days of grace, are over without the money."""

    promise_id: str
    amount_paise: int
    received_paise: int
    by: str


@stored_as("loan.case-assigned.v1")
class CaseAssigned(LoanEvent):
    """A case is somebody's work."""

    case_id: str
    assignee: str
    """The id of an employee or a team: no personal data."""
    command_id: str = ""


@stored_as("loan.case-noted.v1")
class CaseNoted(LoanEvent):
    """Something was found out about a case. The words are in the vault: they may be personal."""

    case_id: str
    note_token: str
    disposition: str = ""
    command_id: str = ""


@stored_as("loan.case-escalated.v1")
class CaseEscalated(LoanEvent):
    """A case was not done in time: the next level hears of it."""

    case_id: str
    kind: str
    level: int
    to: str
    due_at: str


# --- Standing ------------------------------------------------------------------------------------------------


@stored_as("loan.delinquency-changed.v1")
class DelinquencyChanged(LoanEvent):
    """The loan crossed a threshold of days past due, or came back."""

    on: str
    dpd: int
    bucket: str
    classification: str
    """`standard`, `SMA-0`, `SMA-1`, `SMA-2` or `NPA`."""
    oldest_due_on: str
    overdue_paise: int
    because: str = ""
    """Empty for the loan's own arrears; else `borrower` (another loan of theirs) or `restructured`."""


@stored_as("loan.borrower-standing-changed.v1")
class BorrowerStandingChanged(LoanEvent):
    """Another loan of the same borrower became NPA and has arrears, or none is any more (servicing rule 21)."""

    npa: bool
    because: str
    """The loan, or loans, that it is about."""
    command_id: str = ""


@stored_as("loan.performance-restored.v1")
class PerformanceRestored(LoanEvent):
    """A restructured loan was paid satisfactorily over the specified period: it may be standard (servicing rule 22)."""

    on: str
    since: str


@stored_as("loan.month-closed.v1")
class MonthClosed(LoanEvent):
    """The lender's books at a month's end: interest that has accrued and is not due, and the provision."""

    on: str
    accrued_paise: int
    """Earned by that day and not due yet: absolute, the entry is the difference to the month before."""
    asset_class: str
    """`standard`, `sub-standard`, `doubtful-1` to `-3` or `loss`."""
    provision_percent: str
    provision_paise: int
    """Required on that day: absolute."""
    rule: str = ""
    """The dated rule that gave the percentage."""


@stored_as("loan.statement-due.v1")
class StatementDue(LoanEvent):
    """The statement that a floating-rate borrower gets every quarter (servicing rule 27)."""

    on: str
    principal_recovered_paise: int
    interest_recovered_paise: int
    instalment_paise: int
    instalments_left: int
    annual_rate_percent: str
    apr_percent: str


@stored_as("loan.case-opened.v1")
class CaseOpened(LoanEvent):
    """Work for a person."""

    case_id: str
    kind: str
    reason: str
    number: int = 0
    about: str = ""
    """What it is about, where closing all of one subject is wanted (`rail:code` of a code that nobody knows), or where
    one open case is enough: an instruction, a difference."""
    command_id: str = ""
    """Of `open-case`, when somebody outside of the loan asked for it."""


@stored_as("loan.case-closed.v1")
class CaseClosed(LoanEvent):
    """A person is done with a case."""

    case_id: str
    outcome: str
    note: str = ""
    command_id: str = ""
    disposition: str = ""
    """A code of the lender's table of dispositions; empty = only in words."""


@stored_as("loan.grievance-raised.v1")
class GrievanceRaised(LoanEvent):
    """The borrower complains; an answer is owed by a day (servicing rule 31)."""

    grievance_id: str
    subject: str
    answer_by: str
    command_id: str = ""
    about: str = ""
    """`bureau-correction` where a credit bureau's record is to be corrected; else empty."""


@stored_as("loan.grievance-escalated.v1")
class GrievanceEscalated(LoanEvent):
    """No answer by the day that was due: the next level takes it, and the borrower may go to the ombudsman."""

    grievance_id: str
    answer_by: str


@stored_as("loan.compensation-owed.v1")
class CompensationOwed(LoanEvent):
    """The lender was late with a duty and owes the borrower for the days (servicing rules 31 and 33)."""

    kind: str
    """`papers`, `bureau-correction` or `failed-payment`."""
    reference: str
    days: int
    paise: int
    rule: str
    on: str


@stored_as("loan.papers-released.v1")
class PapersReleased(LoanEvent):
    """The borrower has the property or security papers back (servicing rule 31)."""

    on: str
    note: str = ""
    command_id: str = ""


@stored_as("loan.borrower-erased.v1")
class BorrowerErased(LoanEvent):
    """The borrower's personal data was destroyed; the loan's history stays, without a name."""

    borrower_id: str
    reason: str
    command_id: str = ""


# --- The end -------------------------------------------------------------------------------------------------


@stored_as("loan.preclosure-quoted.v1")
class PreclosureQuoted(LoanEvent):
    """What closes the loan, part by part, until when, and what a day more costs."""

    quote_id: str
    on: str
    valid_until: str
    parts: dict[str, int]
    total_paise: int
    per_diem_paise: int
    command_id: str = ""


@stored_as("loan.written-off.v1")
class WrittenOff(LoanEvent):
    """The lender no longer expects this money; recovery stays possible."""

    on: str
    principal_paise: int
    interest_paise: int
    charges_paise: int
    reason: str
    command_id: str = ""
    requested_by: str = ""
    approved_by: str = ""
    """The second person, where the lender asks for one."""


@stored_as("loan.settlement-agreed.v1")
class SettlementAgreed(LoanEvent):
    """The lender takes less for all, if it comes in time (one-time settlement, servicing rule 18)."""

    amount_paise: int
    pay_by: str
    outstanding_paise: int
    """All that closing the loan would take on the day."""
    reason: str
    command_id: str = ""
    requested_by: str = ""
    approved_by: str = ""
    """The second person, where the lender asks for one."""


@stored_as("loan.settlement-lapsed.v1")
class SettlementLapsed(LoanEvent):
    """The agreed amount did not come in time: all is owed again."""

    pay_by: str
    received_paise: int


@stored_as("loan.settled.v1")
class Settled(LoanEvent):
    """The agreed amount is in; the rest is given up."""

    on: str
    received_paise: int
    principal_paise: int
    interest_paise: int
    charges_paise: int


@stored_as("loan.disbursal-cancelled.v1")
class DisbursalCancelled(LoanEvent):
    """The borrower leaves within the cooling-off days: principal and proportionate APR, nothing more (rule 28)."""

    on: str
    pay_by: str
    principal_paise: int
    interest_paise: int
    """The proportionate APR."""
    fees_returned_paise: int
    """Deducted fees that the lender gives back, with `fees_returned_gst_paise`."""
    reason: str
    fees_returned_gst_paise: int = 0
    command_id: str = ""
    interest_returned_paise: int = 0
    """Interest that was kept back from the payout: the proportionate APR takes its place."""


@stored_as("loan.cancellation-short.v1")
class CancellationShort(LoanEvent):
    """Money came for a cooling-off exit, and not enough: the borrower is told what is missing and until when."""

    received_paise: int
    missing_paise: int
    pay_by: str
    """Later than before, the first time that money is short."""


@stored_as("loan.cancellation-lapsed.v1")
class CancellationLapsed(LoanEvent):
    """The money did not come back in time: the loan goes on as it was, and what came is held for its instalments."""

    pay_by: str
    received_paise: int = 0
    missing_paise: int = 0


@stored_as("loan.refund-owed.v1")
class RefundOwed(LoanEvent):
    """Money held for the borrower is to go back."""

    paise: int
    reason: str
    command_id: str = ""
    requested_by: str = ""
    approved_by: str = ""
    """The second person, where the lender asks for one."""


@stored_as("loan.refund-instructed.v1")
class RefundInstructed(LoanEvent):
    """Money owed back to the borrower is on its way."""

    instruction_id: str
    amount_paise: int
    reason: str
    account_token: str
    attempt: int = 1
    retry_of: str = ""
    """The instruction for the same money that failed."""
    rail: str = ""
    """Empty: the gateway's choice."""
    gateway: str = ""
    """Who is asked; empty = whoever takes what names none."""


@stored_as("loan.refund-settled.v1")
class RefundSettled(LoanEvent):
    """The refund reached the borrower."""

    instruction_id: str
    amount_paise: int
    value_on: str
    reference: str


@stored_as("loan.refund-failed.v1")
class RefundFailed(LoanEvent):
    """The refund did not reach the borrower, or came back; it is still owed."""

    instruction_id: str
    amount_paise: int
    code: str
    reason: str
    returned: bool = False


@stored_as("loan.reopened.v1")
class Reopened(LoanEvent):
    """Money that had closed the loan was taken back: something is owed again."""

    on: str
    reason: str


@stored_as("loan.closed.v1")
class Closed(LoanEvent):
    """Nothing is owed any more."""

    on: str
    kind: str
    """`paid`, `preclosed`, `settled`, `cancelled`."""
    refund_paise: int
    """Excess that goes back to the borrower."""
    fees_returned_paise: int = 0
    """Deducted fees, with their GST, that a cooling-off exit gives back."""
    fees_returned_gst_paise: int = 0
    interest_returned_paise: int = 0
    """Interest that was paid for days after the end (kept back from the payout, or paid ahead) and goes back."""
