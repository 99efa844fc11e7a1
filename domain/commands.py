"""What can be asked of a loan, in the imperative: the decided-upon form of every inbound message.

Amounts are integer paise, days are `date` in Asia/Kolkata, instants are aware `datetime`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any


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
    message: str
    value_on: date
    reference: str
    rail: str
    gateway: str
    bank: str


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
    prepay_choice: str = "reduce_tenure"
    command_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeMandate:
    """gateway.mandate.*: the mandate's status at the bank."""

    mandate_id: str
    status: str
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterMandate:
    """register-mandate: use this mandate from now on."""

    command_id: str
    mandate: Mapping[str, Any]


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
    capitalise_arrears: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LevyCharge:
    """levy-charge: a charge by name from the product's table."""

    command_id: str
    kind: str
    reason: str
    amount_paise: int | None = None
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Waive:
    """waive: give up a charge, whole (no amount) or in part."""

    command_id: str
    charge_id: str
    reason: str
    amount_paise: int | None = None


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
    | UpdateBorrower
    | Restructure
    | LevyCharge
    | Waive
    | PauseCollection
    | QuotePreclosure
    | WriteOff
    | WakeUp
)
