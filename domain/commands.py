"""What can be asked of a loan, in the imperative: the decided-upon form of every inbound message.

Amounts are integer paise, days are `date` in Asia/Kolkata, instants are aware `datetime`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from domain.law.contact import HoldReason
from domain.law.disbursal import Payee


@dataclass(frozen=True, slots=True, kw_only=True)
class BookLoan:
    """los.disbursal.requested: service this approved loan. Personal data is already replaced by tokens."""

    loan_id: str
    borrower_id: str
    product: str
    terms: Mapping[str, Any]
    request_hash: str
    believed_instalment_paise: int | None = None
    segment: str = ""
    salary_day: int = 0
    language: str = "en"
    payout: Mapping[str, Any] = field(default_factory=dict[str, Any])
    mandate: Mapping[str, Any] = field(default_factory=dict[str, Any])
    sanctioned_on: date | None = None
    """From which rules with dates are read; the day of the planned payout when not said."""
    shown_charges: tuple[Mapping[str, Any], ...] = ()
    """Charges that the borrower's Key Facts Statement shows; the product's when not said."""
    further_mandates: tuple[Mapping[str, Any], ...] = ()
    """After `mandate`, in order of preference."""
    payee: Payee = "borrower"
    """Whose account the money goes to (servicing rule 28)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlePayout:
    """gateway.payout.settled: the borrower (or, for a refund, the payer) has the money."""

    instruction_id: str
    amount_paise: int | None
    value_on: date
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailPayout:
    """gateway.payout.failed or .returned."""

    instruction_id: str
    code: str
    reason: str
    returned: bool
    rail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDebitSuccess:
    """gateway.debit.succeeded."""

    instruction_id: str
    amount_paise: int
    value_on: date
    reference: str
    rail: str
    gateway: str
    bank: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDebitFailure:
    """gateway.debit.failed."""

    instruction_id: str
    amount_paise: int
    code: str
    """Empty where the gateway gave none: its words say what failed."""
    message: str
    value_on: date
    reference: str
    rail: str
    gateway: str
    bank: str
    bank_code: str = ""
    """The bank's own code beside a switch's that says nothing (`U30`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReverseReceipt:
    """gateway.debit.reversed or gateway.payment.reversed: the named money was taken back."""

    reference: str
    amount_paise: int | None
    value_on: date
    source: str
    reason: str
    instruction_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivePayment:
    """gateway.payment.received, or record-payment by a person."""

    reference: str
    method: str
    amount_paise: int
    value_on: date
    intent: str = "dues"
    prepay_choice: str = ""
    """`reduce_tenure` or `reduce_emi`; empty = as the product says."""
    command_id: str = ""
    recovery: bool = False
    """record-recovery: only a loan that is written off takes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeMandate:
    """gateway.mandate.*: a mandate's status at the bank; with its facts where the gateway tells them."""

    mandate_id: str
    status: str
    code: str = ""
    reason: str = ""
    mandate: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterMandate:
    """register-mandate, swap-mandate: another mandate, by default the first to be used from now on."""

    command_id: str
    mandate: Mapping[str, Any]
    position: int = 1
    """In the order of preference."""
    swap: bool = False
    """The one in use is cancelled when this one is active."""
    replaces: str = ""
    """The one that is cancelled then, if not the one in use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManageMandate:
    """prefer-mandate, pause-mandate, resume-mandate, cancel-mandate."""

    command_id: str
    mandate_id: str
    what: str
    """`prefer`, `pause`, `resume` or `cancel`."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferPaymentLink:
    """offer-payment-link: the borrower wants to pay by a link. `number` 0: the oldest instalment with something due."""

    command_id: str
    number: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeDebits:
    """resume-debits: a person has looked at what had stopped them."""

    command_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateBorrower:
    """update-borrower, update-bank-account: newer facts from the LOS; personal ones are in the vault by now."""

    command_id: str
    vaulted: tuple[str, ...]
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restructure:
    """restructure: new tenure, instalment or rate from a day on."""

    command_id: str
    effective_on: date
    reason: str
    instalments: int | None = None
    instalment_paise: int | None = None
    annual_rate_percent: str | None = None
    first_due_on: date | None = None
    """Another due day from then on; left out: the days go on as they were."""
    frequency: str | Mapping[str, Any] | None = None
    """As in terms; left out: as it was."""
    capitalise_arrears: bool = False
    moratorium_instalments: int = 0
    moratorium_interest: str = "pay"
    moratorium_extends_tenure: bool = False
    hardship: bool = True
    """A concession for financial difficulty, as a restructuring is; a commercial change of terms keeps the class."""
    scheme: str = ""
    """A resolution scheme that the product names: the loan keeps its class (servicing rule 22)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRelief:
    """grant-relief: some instalments to come ask for less (`moratorium`) or for nothing (`payment-holiday`)."""

    command_id: str
    effective_on: date
    instalments: int
    reason: str
    kind: str = "moratorium"
    interest: str = "capitalise"
    extends_tenure: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetRate:
    """reset-rate: a floating rate moves from a day on, or the loan becomes fixed."""

    command_id: str
    effective_on: date
    annual_rate_percent: str
    reason: str
    option: str = ""
    """`longer_tenure`, `higher_emi`, `both` or `switch_to_fixed`; empty = as the product says."""
    instalments: int | None = None
    instalment_paise: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """settle: the lender takes less for all, if it comes by a day."""

    command_id: str
    amount_paise: int
    reason: str
    pay_by: date | None = None
    requested_by: str = ""
    approved_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelDisbursal:
    """cancel-disbursal: the borrower leaves within the cooling-off days."""

    command_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundExcess:
    """refund: send back what is held for the borrower, whole (no amount) or in part."""

    command_id: str
    reason: str
    amount_paise: int | None = None
    requested_by: str = ""
    approved_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPayout:
    """retry-payout: a payout or refund that failed is asked for again, once the account was mended."""

    command_id: str
    instruction_id: str = ""
    """The one that failed; the last one when not said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCase:
    """open-case: something outside of the loan needs a person, such as a gateway that contradicts itself."""

    command_id: str
    kind: str
    reason: str
    about: str = ""
    """What it is about: while a case of this kind is open about it, there is no second one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseCase:
    """close-case: a person is done with it."""

    command_id: str
    case_id: str
    outcome: str = ""
    """In words; the disposition where none are said."""
    disposition: str = ""
    """A code of the lender's table."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignCase:
    """assign-case: a case is somebody's work from now on."""

    command_id: str
    case_id: str
    assignee: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteCase:
    """note-case: what was found out. The words are in the vault already."""

    command_id: str
    case_id: str
    note_token: str
    disposition: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseToPay:
    """promise-to-pay: the borrower will pay so much by a day."""

    command_id: str
    amount_paise: int
    by: date
    channel: str = "other"
    case_id: str = ""
    """The case in whose course it was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseGrievance:
    """raise-grievance: the borrower complains."""

    command_id: str
    subject: str
    about: str = ""
    """`bureau-correction`: a wrong record at a credit bureau, whose clock runs by law (servicing rule 33)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePapers:
    """release-papers: the borrower has the security papers back, on a day (today when not named)."""

    command_id: str
    on: date | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseBorrower:
    """erase-borrower: destroy the borrower's personal data; only after the loan's end."""

    command_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TellBorrowerStanding:
    """borrower-standing, from Qist's own streams: whether another loan of the borrower is NPA with arrears."""

    command_id: str
    npa: bool
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LevyCharge:
    """levy-charge: a charge by name from the product's table."""

    command_id: str
    kind: str
    reason: str
    amount_paise: int | None = None
    number: int = 0
    due_on: date | None = None
    """Overdue from the day after; today when not named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waive:
    """waive: give up a charge, whole (no amount) or in part."""

    command_id: str
    charge_id: str
    reason: str
    amount_paise: int | None = None
    requested_by: str = ""
    approved_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldContact:
    """hold-contact: no reminder and no call until that day; debits go on (`pause-collection` stops them)."""

    command_id: str
    reason: HoldReason
    until: date
    from_on: date | None = None
    """Today unless given."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseCollection:
    """pause-collection: no debit until that day."""

    command_id: str
    until: date
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotePreclosure:
    """quote-preclosure: what closes the loan on a day (today when not named)."""

    command_id: str
    on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOff:
    """write-off: the lender no longer expects this money."""

    command_id: str
    reason: str
    requested_by: str = ""
    approved_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeUp:
    """The agenda: do everything that time alone asks for, up to `now`."""

    now: datetime


Command = (
    BookLoan
    | SettlePayout
    | FailPayout
    | RecordDebitSuccess
    | RecordDebitFailure
    | ReverseReceipt
    | ReceivePayment
    | ChangeMandate
    | RegisterMandate
    | ManageMandate
    | OfferPaymentLink
    | ResumeDebits
    | UpdateBorrower
    | Restructure
    | GrantRelief
    | ResetRate
    | Settle
    | CancelDisbursal
    | RefundExcess
    | RetryPayout
    | OpenCase
    | CloseCase
    | AssignCase
    | NoteCase
    | PromiseToPay
    | RaiseGrievance
    | ReleasePapers
    | EraseBorrower
    | TellBorrowerStanding
    | LevyCharge
    | Waive
    | HoldContact
    | PauseCollection
    | QuotePreclosure
    | WriteOff
    | WakeUp
)
