"""Inbound messages: what each type must hold (pydantic), and the command that it means.

Personal data leaves a message here: the command carries tokens, the vault gets the rest. Unknown fields are ignored,
a missing or malformed one is refused with its JSON pointer; the message's content never reaches an error text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, ClassVar, Literal, Self

import orjson
from pydantic import (
    AliasChoices,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from domain import commands as c
from domain.calendar import ist_day
from domain.law.contact import HoldReason
from domain.law.disbursal import Payee
from domain.policies.contact import Channel
from domain.refusals import Refusal, Refused
from streams.bodies import at_fault
from streams.envelope import LONGEST_HEADER, Record
from streams.topics import COMMANDS, DEBIT_OUTCOMES, DISBURSALS, MANDATE_OUTCOMES, PAYMENTS, PAYOUT_OUTCOMES

LoanId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Paise = Annotated[int, Field(strict=True, ge=0, le=10**15)]
LARGEST_BYTES = 900_000
"""No message is so large; one that is could not be sent on, as brokers take a megabyte with all its headers."""
Reference = Annotated[str, Field(min_length=1, max_length=200)]
Day = Annotated[date, Field(strict=True)]
"""`YYYY-MM-DD`: a bare number is no date, whatever else it could be taken for."""
Instant = Annotated[AwareDatetime, Field(strict=True)]


@dataclass(frozen=True, slots=True)
class Secret:
    """Personal data on its way to the vault."""

    token: str
    borrower_id: str
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """An inbound record, understood."""

    record: Record
    loan_id: str
    type: str
    command: c.Command
    causation_id: str
    correlation_id: str
    actor: str
    secrets: tuple[Secret, ...] = ()
    command_id: str = ""
    """Of a servicing command; its result is kept under this id."""


class Inbound(BaseModel):
    """What every message has."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    TYPE: ClassVar[str]

    loan_id: LoanId

    def command(self) -> c.Command:
        raise NotImplementedError

    def secrets(self) -> tuple[Secret, ...]:
        return ()


# --- los.disbursals ------------------------------------------------------------------------------------------


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class ContactHours(Part):
    from_: Annotated[TimeOfDay, Field(alias="from")]
    until: TimeOfDay

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_ >= self.until:
            raise ValueError("hours end after they begin, on the same day")
        return self


class ContactWishes(Part):
    """How a borrower wants to be told; what is not named stays as it is."""

    channel: Channel | None = None
    opt_out: tuple[Channel | Literal["reminders"], ...] | None = None
    """Channels not to use, and `reminders` for no reminders before something is due. Empty: all are welcome again."""
    hours: ContactHours | None = None

    def facts(self) -> dict[str, Any]:
        """What events may hold of it."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Account(Part):
    number: str | None = None
    ifsc: str | None = None
    holder: str | None = None
    vpa: str | None = None

    def last4(self) -> str:
        return (self.number or "")[-4:]


class Address(Part):
    line: str | None = None
    state_code: str | None = None
    """Of two digits, as GST numbers states."""
    pin: str | None = None
    category: Literal["permanent", "residence", "office"] | None = None


class Identity(Part):
    """What a credit bureau asks of a person. It goes to the vault as it came: bureau files check it."""

    date_of_birth: Day | None = None
    gender: Literal["female", "male", "transgender"] | None = None
    pan: str | None = None
    passport: str | None = None
    voter_id: str | None = None
    driving_license: str | None = None
    ration_card: str | None = None
    universal_id: str | None = None
    ckyc: str | None = None
    occupation: Literal["salaried", "self-employed professional", "self-employed", "others"] | None = None
    addresses: Annotated[tuple[Address, ...], Field(max_length=2)] = ()


def person_of(told: Borrower | UpdateBorrower) -> dict[str, Any]:
    """What of a borrower is kept in the vault, fact by fact: one that a later message does not name stays as it was."""
    person = told.model_dump(mode="json", include={"name", "phone", "email"}, exclude_none=True)
    return person | (told.identity.model_dump(mode="json", exclude_defaults=True) if told.identity else {})


class Borrower(Part):
    borrower_id: Annotated[str, Field(min_length=1, max_length=64)]
    name: str | None = None
    phone: str | None = None
    email: str | None = None
    identity: Identity | None = None
    language: str = "en"
    segment: str = ""
    salary_day: Annotated[int, Field(ge=0, le=31)] | None = None


class Payout(Part):
    rail: str = "auto"
    account: Account = Account()
    payee: Payee = "borrower"


class Mandate(Part):
    mandate_id: Reference
    rail: Literal["enach", "nach", "upi", "card"]
    umrn: str | None = None
    status: Literal["active", "pending", "paused", "cancelled", "rejected", "expired"] = "active"
    max_amount_paise: Paise | None = None
    valid_from: Day | None = None
    valid_until: Day | None = None
    bank: str = ""
    gateway: str = "sponsor-bank"
    account: Account = Account()

    def token(self, loan_id: str) -> str:
        """Where the vault has its account. Each mandate has an account of its own."""
        return f"{loan_id}:mandate-account:{self.mandate_id}"

    def secret(self, loan_id: str, owner: str) -> Iterator[Secret]:
        if account := self.account.model_dump(exclude_none=True):
            yield Secret(self.token(loan_id), owner, account)

    def facts(self, loan_id: str, borrower: str | None = None) -> dict[str, Any]:
        """What events may hold of it; of the account holder's name, whether it is the borrower's."""
        facts = {**self.plain(loan_id), "account_token": self.token(loan_id)}
        if self.account.holder and borrower and not same_person(self.account.holder, borrower):
            facts["holder"] = "differs"
        return facts

    def plain(self, loan_id: str) -> dict[str, Any]:
        """Its facts, with the vault's token of a loan's first mandate."""
        return {
            "mandate_id": self.mandate_id,
            "rail": self.rail,
            "umrn": self.umrn or "",
            "status": self.status,
            "max_amount_paise": self.max_amount_paise or 0,
            "valid_from": self.valid_from.isoformat() if self.valid_from else "",
            "valid_until": self.valid_until.isoformat() if self.valid_until else "",
            "bank": self.bank,
            "gateway": self.gateway,
            "account_token": f"{loan_id}:mandate-account",
            "ifsc": self.account.ifsc or "",
            "last4": self.account.last4(),
        }


def same_person(one: str, other: str) -> bool:
    """Whether two ways of writing a name may be one person's: every word of the shorter one, or its initial, is in the
    longer one, whatever their order, case and titles."""
    shorter, longer = sorted((words_of(one), words_of(other)), key=len)
    left = list(longer)
    for word in sorted(shorter, key=len, reverse=True):
        fits = [each for each in left if each == word or (1 in (len(each), len(word)) and each[0] == word[0])]
        if not fits:
            return False
        left.remove(fits[0])
    return True


TITLES = frozenset({"mr", "mrs", "ms", "miss", "dr", "shri", "sri", "smt", "kum", "kumari"})


def words_of(name: str) -> list[str]:
    words = [word.strip(".,").casefold() for word in name.replace(".", ". ").split()]
    return [word for word in words if word and word not in TITLES]


class ShownCharge(Part):
    kind: Reference
    amount_paise: Paise | None = None


class KeyFacts(Part):
    """What the borrower's Key Facts Statement shows besides the terms."""

    charges: tuple[ShownCharge, ...] = ()


class DisbursalRequested(Inbound):
    """An approved loan to service."""

    TYPE = "los.disbursal.requested.v1"

    borrower: Borrower
    product: Reference
    terms: dict[str, Any]
    payout: Payout | None = None
    mandate: Mandate | None = None
    further_mandates: tuple[Mandate, ...] = ()
    """After `mandate`, in order of preference."""
    sanctioned_on: Day | None = None
    key_facts: KeyFacts = KeyFacts()

    def command(self) -> c.Command:
        payout = {}
        if self.payout is not None:
            payout = {
                "rail": self.payout.rail,
                "account_token": f"{self.loan_id}:payout-account",
                "ifsc": self.payout.account.ifsc or "",
                "last4": self.payout.account.last4(),
            }
        mandate = self.mandate.plain(self.loan_id) if self.mandate else {}
        believed = self.terms.get("instalment_paise")
        counts = isinstance(believed, int) and not self.terms.get("instalment_fixed")
        identity: list[Any] = [self.borrower.borrower_id, self.product, self.terms, payout, mandate]
        shown = [charge.model_dump(exclude_none=True) for charge in self.key_facts.charges]
        if self.sanctioned_on or shown:
            identity += [self.sanctioned_on, shown]
        further = [each.facts(self.loan_id, self.borrower.name) for each in self.further_mandates]
        if further:
            identity.append(further)
        if self.mandate and "holder" in self.mandate.facts(self.loan_id, self.borrower.name):
            mandate = {**mandate, "holder": "differs"}
        return c.BookLoan(
            loan_id=self.loan_id,
            borrower_id=self.borrower.borrower_id,
            product=self.product,
            terms=self.terms,
            request_hash=hashlib.sha256(orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)).hexdigest(),
            believed_instalment_paise=believed if counts else None,
            segment=self.borrower.segment,
            salary_day=self.borrower.salary_day or 0,
            language=self.borrower.language,
            payout={**payout, "vpa": True} if self.payout and self.payout.account.vpa else payout,
            mandate=mandate,
            sanctioned_on=self.sanctioned_on,
            shown_charges=tuple(shown),
            further_mandates=tuple(further),
            payee=self.payout.payee if self.payout else "borrower",
        )

    def secrets(self) -> tuple[Secret, ...]:
        owner = self.borrower.borrower_id
        person = person_of(self.borrower)
        kept = [Secret(f"{owner}:person", owner, person)] if person else []
        if self.payout is not None:
            account = self.payout.account.model_dump(exclude_none=True)
            kept.append(Secret(f"{self.loan_id}:payout-account", owner, account))
        if self.mandate is not None:
            account = self.mandate.account.model_dump(exclude_none=True)
            kept.append(Secret(f"{self.loan_id}:mandate-account", owner, account))
        for mandate in self.further_mandates:
            kept.extend(mandate.secret(self.loan_id, owner))
        return tuple(kept)


# --- gateways ------------------------------------------------------------------------------------------------


class Outcome(Inbound):
    """What a gateway says, and when it happened there."""

    at: Instant
    value_on: Day | None = None
    gateway_reference: str | None = None
    gateway: str = ""
    rail: str = ""
    bank: str = ""

    def counted_on(self) -> date:
        return self.value_on or ist_day(self.at)


class PayoutSettled(Outcome):
    TYPE = "gateway.payout.settled.v1"
    instruction_id: str = ""
    amount_paise: Paise | None = None

    def command(self) -> c.Command:
        return c.SettlePayout(
            instruction_id=self.instruction_id,
            amount_paise=self.amount_paise,
            value_on=self.counted_on(),
            reference=self.gateway_reference or "",
        )


class PayoutFailed(Outcome):
    TYPE = "gateway.payout.failed.v1"
    RETURNED: ClassVar[bool] = False
    instruction_id: str = ""
    code: str = ""
    message: str = ""

    def command(self) -> c.Command:
        return c.FailPayout(
            instruction_id=self.instruction_id,
            code=self.code,
            reason=self.message,
            returned=self.RETURNED,
            rail=self.rail,
        )


class PayoutReturned(PayoutFailed):
    TYPE = "gateway.payout.returned.v1"
    RETURNED = True


class DebitSucceeded(Outcome):
    TYPE = "gateway.debit.succeeded.v1"
    instruction_id: Reference
    amount_paise: Paise
    rail: str = "enach"

    def command(self) -> c.Command:
        return c.RecordDebitSuccess(
            instruction_id=self.instruction_id,
            amount_paise=self.amount_paise,
            value_on=self.counted_on(),
            reference=self.gateway_reference or self.instruction_id,
            rail=self.rail,
            gateway=self.gateway,
            bank=self.bank,
        )


class DebitFailed(Outcome):
    TYPE = "gateway.debit.failed.v1"
    instruction_id: Reference
    amount_paise: Paise
    rail: str = "enach"
    code: Annotated[str, Field(max_length=40)] = ""
    """Left out only where the gateway has none; `message` then says what failed."""
    bank_code: Annotated[str, Field(max_length=40)] = ""
    """The bank's own code, where `code` is a switch's that says only that something failed (UPI `U30`)."""
    message: str = ""

    def command(self) -> c.Command:
        if not self.code and not self.message.strip():
            raise Refused(Refusal.malformed, "/code", because="a failure has a code, or a message that says why")
        return c.RecordDebitFailure(
            instruction_id=self.instruction_id,
            amount_paise=self.amount_paise,
            code=self.code,
            message=self.message,
            value_on=self.counted_on(),
            reference=self.gateway_reference or "",
            rail=self.rail,
            gateway=self.gateway,
            bank=self.bank,
            bank_code=self.bank_code,
        )


class DebitReversed(Inbound):
    TYPE = "gateway.debit.reversed.v1"
    at: AwareDatetime
    value_on: date | None = None
    instruction_id: str = ""
    gateway_reference: Reference
    amount_paise: Paise | None = None
    message: str = ""

    def command(self) -> c.Command:
        return c.ReverseReceipt(
            reference=self.gateway_reference,
            amount_paise=self.amount_paise,
            value_on=self.value_on or ist_day(self.at),
            source="debit",
            reason=self.message,
            instruction_id=self.instruction_id,
        )


class MandateOutcome(Inbound):
    STATUS: ClassVar[str]
    mandate_id: Reference
    code: str = ""
    message: str = ""
    mandate: Mandate | None = None
    """Its facts, where the gateway registered it at Qist's request: the loan may not know it yet."""

    def command(self) -> c.Command:
        return c.ChangeMandate(
            mandate_id=self.mandate_id,
            status=self.STATUS,
            code=self.code,
            reason=self.message,
            mandate=self.mandate.facts(self.loan_id) if self.mandate else {},
        )

    def secrets(self) -> tuple[Secret, ...]:
        return tuple(self.mandate.secret(self.loan_id, "")) if self.mandate else ()


class MandateActive(MandateOutcome):
    TYPE = "gateway.mandate.active.v1"
    STATUS = "active"


class MandateRejected(MandateOutcome):
    TYPE = "gateway.mandate.rejected.v1"
    STATUS = "rejected"


class MandateCancelled(MandateOutcome):
    TYPE = "gateway.mandate.cancelled.v1"
    STATUS = "cancelled"


class MandatePaused(MandateOutcome):
    TYPE = "gateway.mandate.paused.v1"
    STATUS = "paused"


class MandateExpired(MandateOutcome):
    TYPE = "gateway.mandate.expired.v1"
    STATUS = "expired"


SYNONYMS = {
    "tenure": "reduce_tenure",
    "emi": "reduce_emi",
    "reduce_instalment": "reduce_emi",
    "tenor": "longer_tenure",
    "capitalize": "capitalise",
    "payment_holiday": "payment-holiday",
    "holiday": "payment-holiday",
    "part_prepayment": "part-prepayment",
    "fixed": "switch_to_fixed",
}


def usual(value: Any) -> Any:
    """A word as the contract writes it, where another spelling was sent."""
    if not isinstance(value, str):
        return value
    plain = value.strip().lower().replace("-", "_").replace(" ", "_")
    return SYNONYMS.get(plain, plain)


Usual = BeforeValidator(usual)
Choice = Annotated[
    Literal["reduce_tenure", "reduce_emi"] | None,
    Usual,
    Field(validation_alias=AliasChoices("choice", "option", "mode", "effect", "reduce")),
]
"""Of a part-prepayment; by default as the product says."""
Method = Literal["upi", "neft", "imps", "rtgs", "cash", "card", "link", "cheque", "other"]
Intent = Annotated[Literal["dues", "advance", "part-prepayment", "preclosure", "settlement"], Usual]


class PaymentReceived(Inbound):
    TYPE = "gateway.payment.received.v1"
    payment_reference: Reference
    amount_paise: Paise
    method: Method
    value_on: Day
    at: Instant | None = None
    intent: Intent = "dues"
    choice: Choice = None

    def command(self) -> c.Command:
        return c.ReceivePayment(
            reference=self.payment_reference,
            method=self.method,
            amount_paise=self.amount_paise,
            value_on=self.value_on,
            intent=self.intent,
            prepay_choice=self.choice or "",
        )


class PaymentReversed(Inbound):
    TYPE = "gateway.payment.reversed.v1"
    payment_reference: Reference
    amount_paise: Paise | None = None
    value_on: Day | None = None
    at: Instant
    message: str = ""

    def command(self) -> c.Command:
        return c.ReverseReceipt(
            reference=self.payment_reference,
            amount_paise=self.amount_paise,
            value_on=self.value_on or ist_day(self.at),
            source="payment",
            reason=self.message,
        )


# --- servicing.commands --------------------------------------------------------------------------------------


class ServicingCommand(Inbound):
    command_id: Reference
    requested_by: str = ""
    requested_at: Instant | None = None
    reason: str = ""


class GivesUpMoney(ServicingCommand):
    """What the lender may want two persons for; the API sees to it."""

    approved_by: str = ""
    """Who agreed; never the one who asked."""

    @model_validator(mode="after")
    def _two_persons(self) -> Self:
        if self.approved_by and self.approved_by.casefold() == self.requested_by.casefold():
            raise ValueError("approved_by is another person than requested_by")
        return self


EffectiveOn = Annotated[Day, Field(validation_alias=AliasChoices("effective_on", "effective_from", "from"))]
Rows = Annotated[int, Field(strict=True, ge=1, le=3660)]
Percent = Annotated[str, Field(pattern=r"^\d{1,3}(\.\d{1,8})?$")]
HeldInterest = Annotated[Literal["pay", "capitalise", "accrue"], Usual]


class Restructure(ServicingCommand):
    TYPE = "servicing.restructure.v1"
    effective_on: EffectiveOn
    instalments: Rows | None = None
    instalment_paise: Paise | None = None
    annual_rate_percent: Percent | None = None
    first_due_on: Day | None = None
    frequency: str | dict[str, Any] | None = None
    capitalise_arrears: bool = False
    moratorium_instalments: Annotated[int, Field(strict=True, ge=0, le=3660)] = 0
    moratorium_interest: HeldInterest = "pay"
    moratorium_extends_tenure: bool = False
    hardship: bool = True
    scheme: str = ""

    def command(self) -> c.Command:
        return c.Restructure(
            command_id=self.command_id,
            effective_on=self.effective_on,
            reason=self.reason,
            instalments=self.instalments,
            instalment_paise=self.instalment_paise,
            annual_rate_percent=self.annual_rate_percent,
            first_due_on=self.first_due_on,
            frequency=self.frequency,
            capitalise_arrears=self.capitalise_arrears,
            moratorium_instalments=self.moratorium_instalments,
            moratorium_interest=self.moratorium_interest,
            moratorium_extends_tenure=self.moratorium_extends_tenure,
            hardship=self.hardship,
            scheme=self.scheme,
        )


class GrantRelief(ServicingCommand):
    TYPE = "servicing.grant-relief.v1"
    kind: Annotated[
        Literal["moratorium", "payment-holiday"], Usual, Field(validation_alias=AliasChoices("kind", "relief"))
    ] = "moratorium"
    effective_on: EffectiveOn
    instalments: Rows
    interest: HeldInterest = "capitalise"
    extends_tenure: bool = True

    def command(self) -> c.Command:
        return c.GrantRelief(
            command_id=self.command_id,
            effective_on=self.effective_on,
            instalments=self.instalments,
            reason=self.reason,
            kind=self.kind,
            interest=self.interest,
            extends_tenure=self.extends_tenure,
        )


class ResetRate(ServicingCommand):
    TYPE = "servicing.reset-rate.v1"
    effective_on: EffectiveOn
    annual_rate_percent: Percent
    option: Annotated[Literal["longer_tenure", "higher_emi", "both", "switch_to_fixed"] | None, Usual] = None
    instalments: Rows | None = None
    instalment_paise: Paise | None = None

    def command(self) -> c.Command:
        return c.ResetRate(
            command_id=self.command_id,
            effective_on=self.effective_on,
            annual_rate_percent=self.annual_rate_percent,
            reason=self.reason,
            option=self.option or "",
            instalments=self.instalments,
            instalment_paise=self.instalment_paise,
        )


class Settle(GivesUpMoney):
    TYPE = "servicing.settle.v1"
    amount_paise: Paise
    pay_by: Annotated[Day | None, Field(validation_alias=AliasChoices("pay_by", "valid_until"))] = None

    def command(self) -> c.Command:
        return c.Settle(
            command_id=self.command_id,
            amount_paise=self.amount_paise,
            reason=self.reason,
            pay_by=self.pay_by,
            requested_by=self.requested_by,
            approved_by=self.approved_by,
        )


class CancelDisbursal(ServicingCommand):
    TYPE = "servicing.cancel-disbursal.v1"

    def command(self) -> c.Command:
        return c.CancelDisbursal(command_id=self.command_id, reason=self.reason)


class Refund(GivesUpMoney):
    TYPE = "servicing.refund.v1"
    amount_paise: Paise | None = None

    def command(self) -> c.Command:
        return c.RefundExcess(
            command_id=self.command_id,
            reason=self.reason,
            amount_paise=self.amount_paise,
            requested_by=self.requested_by,
            approved_by=self.approved_by,
        )


class RetryPayout(ServicingCommand):
    TYPE = "servicing.retry-payout.v1"
    instruction_id: str = ""

    def command(self) -> c.Command:
        return c.RetryPayout(command_id=self.command_id, instruction_id=self.instruction_id)


class OpenCase(ServicingCommand):
    TYPE = "servicing.open-case.v1"
    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
    """The lender's table says whose work it is; one that it does not name is `usual`."""
    reason: Annotated[str, Field(max_length=500)] = ""
    """No personal data: it goes into the event."""
    about: Annotated[str, Field(max_length=200)] = ""
    """What it is about: while a case of this kind is open about it, there is no second one."""

    def command(self) -> c.Command:
        return c.OpenCase(command_id=self.command_id, kind=self.kind, reason=self.reason or self.kind, about=self.about)


class CloseCase(ServicingCommand):
    TYPE = "servicing.close-case.v1"
    case_id: Reference
    outcome: Annotated[str, Field(max_length=200)] = ""
    """In words; the disposition's code where none are said."""
    disposition: Annotated[str, Field(max_length=60)] = ""
    """A code of the lender's table."""
    note: Annotated[str, Field(max_length=2_000)] = ""
    """No personal data: it goes into the event. `note-case` takes words that may be personal."""

    def command(self) -> c.Command:
        return c.CloseCase(
            command_id=self.command_id,
            case_id=self.case_id,
            outcome=self.outcome,
            disposition=self.disposition,
            note=self.note,
        )


class AssignCase(ServicingCommand):
    TYPE = "servicing.assign-case.v1"
    case_id: Reference
    assignee: Annotated[str, Field(min_length=1, max_length=64)]
    """The id of an employee or a team."""

    def command(self) -> c.Command:
        return c.AssignCase(command_id=self.command_id, case_id=self.case_id, assignee=self.assignee)


class NoteCase(ServicingCommand):
    TYPE = "servicing.note-case.v1"
    case_id: Reference
    note: Annotated[str, Field(min_length=1, max_length=4_000)]
    """May be personal: it goes to the vault, and is gone with the borrower's data."""
    disposition: Annotated[str, Field(max_length=60)] = ""

    def secrets(self) -> tuple[Secret, ...]:
        return (Secret(self.token(), "", {"note": self.note}),)

    def token(self) -> str:
        return f"{self.loan_id}:note:{self.command_id}"

    def command(self) -> c.Command:
        return c.NoteCase(
            command_id=self.command_id, case_id=self.case_id, note_token=self.token(), disposition=self.disposition
        )


class PromiseToPay(ServicingCommand):
    TYPE = "servicing.promise-to-pay.v1"
    amount_paise: Paise
    by: Day
    channel: Literal["call", "visit", "branch", "app", "sms", "email", "other"] = "other"
    case_id: str = ""

    def command(self) -> c.Command:
        return c.PromiseToPay(
            command_id=self.command_id,
            amount_paise=self.amount_paise,
            by=self.by,
            channel=self.channel,
            case_id=self.case_id,
        )


class RaiseGrievance(ServicingCommand):
    TYPE = "servicing.raise-grievance.v1"
    subject: Reference
    about: Literal["", "bureau-correction"] = ""

    def command(self) -> c.Command:
        return c.RaiseGrievance(command_id=self.command_id, subject=self.subject, about=self.about)


class ReleasePapers(ServicingCommand):
    TYPE = "servicing.release-papers.v1"
    on: Day | None = None
    note: str = ""

    def command(self) -> c.Command:
        return c.ReleasePapers(command_id=self.command_id, on=self.on, note=self.note)


class EraseBorrower(ServicingCommand):
    TYPE = "servicing.erase-borrower.v1"

    def command(self) -> c.Command:
        return c.EraseBorrower(command_id=self.command_id, reason=self.reason)


class BorrowerStanding(ServicingCommand):
    """From Qist's own streams: whether another loan of the borrower is NPA with arrears."""

    TYPE = "servicing.borrower-standing.v1"
    npa: bool
    because: str = ""

    def command(self) -> c.Command:
        return c.TellBorrowerStanding(command_id=self.command_id, npa=self.npa, because=self.because)


class RecordPayment(ServicingCommand):
    TYPE = "servicing.record-payment.v1"
    RECOVERY: ClassVar[bool] = False
    payment_reference: Reference | None = None
    """The command's id where the money has none of its own."""
    amount_paise: Paise
    method: Method = "other"
    value_on: Day
    intent: Intent = "dues"
    choice: Choice = None

    def command(self) -> c.Command:
        return c.ReceivePayment(
            reference=self.payment_reference or self.command_id,
            method=self.method,
            amount_paise=self.amount_paise,
            value_on=self.value_on,
            intent=self.intent,
            prepay_choice=self.choice or "",
            command_id=self.command_id,
            recovery=self.RECOVERY,
        )


class PartPrepay(RecordPayment):
    TYPE = "servicing.part-prepay.v1"
    intent: Intent = "part-prepayment"


class Preclose(RecordPayment):
    TYPE = "servicing.preclose.v1"
    intent: Intent = "preclosure"


class RecordRecovery(RecordPayment):
    TYPE = "servicing.record-recovery.v1"
    RECOVERY = True


class QuotePreclosure(ServicingCommand):
    TYPE = "servicing.quote-preclosure.v1"
    on: Day | None = None

    def command(self) -> c.Command:
        return c.QuotePreclosure(command_id=self.command_id, on=self.on)


class LevyCharge(ServicingCommand):
    TYPE = "servicing.levy-charge.v1"
    kind: Reference
    amount_paise: Paise | None = None
    instalment: int = 0
    due_on: Day | None = None
    """Overdue from the day after; today when not named."""

    def command(self) -> c.Command:
        return c.LevyCharge(
            command_id=self.command_id,
            kind=self.kind,
            reason=self.reason,
            amount_paise=self.amount_paise,
            number=self.instalment,
            due_on=self.due_on,
        )


class Waive(GivesUpMoney):
    TYPE = "servicing.waive.v1"
    charge_id: Reference
    amount_paise: Paise | None = None

    def command(self) -> c.Command:
        return c.Waive(
            command_id=self.command_id,
            charge_id=self.charge_id,
            reason=self.reason,
            amount_paise=self.amount_paise,
            requested_by=self.requested_by,
            approved_by=self.approved_by,
        )


class SetContactPreferences(ServicingCommand):
    """How the borrower of this loan, and of all their loans, wants to be told."""

    TYPE = "servicing.set-contact-preferences.v1"
    contact: ContactWishes = ContactWishes()
    language: str | None = None

    def command(self) -> c.Command:
        facts = {"contact": self.contact.facts(), **({"language": self.language} if self.language else {})}
        return c.UpdateBorrower(command_id=self.command_id, vaulted=(), facts=facts)


class HoldContact(ServicingCommand):
    """`reason` says why nobody is to ask for money; `note` is free text, without personal data."""

    TYPE = "servicing.hold-contact.v1"
    reason: HoldReason  # pyright: ignore[reportGeneralTypeIssues, reportIncompatibleVariableOverride]
    until: Day
    from_on: Annotated[Day | None, Field(validation_alias=AliasChoices("from_on", "from"))] = None
    note: str = ""

    def command(self) -> c.Command:
        return c.HoldContact(
            command_id=self.command_id, reason=self.reason, until=self.until, from_on=self.from_on, note=self.note
        )


class PauseCollection(ServicingCommand):
    TYPE = "servicing.pause-collection.v1"
    until: Day

    def command(self) -> c.Command:
        return c.PauseCollection(command_id=self.command_id, until=self.until, reason=self.reason)


class RegisterMandate(ServicingCommand):
    TYPE = "servicing.register-mandate.v1"
    SWAPS: ClassVar[bool] = False
    mandate: Mandate
    position: Annotated[int, Field(strict=True, ge=1, le=9)] = 1
    """In the order of preference; 1 = used first."""
    replaces: str = ""
    """The mandate that is cancelled when this one is active; of a swap the one in use, if not named."""
    borrower_id: str = ""

    def command(self) -> c.Command:
        return c.RegisterMandate(
            command_id=self.command_id,
            mandate=self.mandate.facts(self.loan_id),
            position=self.position,
            swap=self.SWAPS,
            replaces=self.replaces,
        )

    def secrets(self) -> tuple[Secret, ...]:
        return tuple(self.mandate.secret(self.loan_id, self.borrower_id))


class SwapMandate(RegisterMandate):
    TYPE = "servicing.swap-mandate.v1"
    SWAPS = True


class ManageMandate(ServicingCommand):
    WHAT: ClassVar[str]
    mandate_id: Reference

    def command(self) -> c.Command:
        return c.ManageMandate(
            command_id=self.command_id, mandate_id=self.mandate_id, what=self.WHAT, reason=self.reason
        )


class PreferMandate(ManageMandate):
    TYPE = "servicing.prefer-mandate.v1"
    WHAT = "prefer"


class PauseMandate(ManageMandate):
    TYPE = "servicing.pause-mandate.v1"
    WHAT = "pause"


class ResumeMandate(ManageMandate):
    TYPE = "servicing.resume-mandate.v1"
    WHAT = "resume"


class CancelMandate(ManageMandate):
    TYPE = "servicing.cancel-mandate.v1"
    WHAT = "cancel"


class OfferPaymentLink(ServicingCommand):
    TYPE = "servicing.offer-payment-link.v1"
    instalment: Annotated[int, Field(strict=True, ge=0, le=3660)] = 0
    """0: the oldest with something unpaid."""

    def command(self) -> c.Command:
        return c.OfferPaymentLink(command_id=self.command_id, number=self.instalment, reason=self.reason)


class ResumeDebits(ServicingCommand):
    TYPE = "servicing.resume-debits.v1"

    def command(self) -> c.Command:
        return c.ResumeDebits(command_id=self.command_id, reason=self.reason)


class UpdateBorrower(ServicingCommand):
    TYPE = "servicing.update-borrower.v1"
    borrower_id: Reference
    name: str | None = None
    phone: str | None = None
    email: str | None = None
    identity: Identity | None = None
    language: str | None = None
    segment: str | None = None
    salary_day: Annotated[int, Field(ge=0, le=31)] | None = None
    contact: ContactWishes | None = None

    def person(self) -> dict[str, Any]:
        return person_of(self)

    def command(self) -> c.Command:
        facts = self.model_dump(include={"language", "segment", "salary_day"}, exclude_none=True)
        if self.contact is not None:
            facts["contact"] = self.contact.facts()
        return c.UpdateBorrower(command_id=self.command_id, vaulted=tuple(self.person()), facts=facts)

    def secrets(self) -> tuple[Secret, ...]:
        person = self.person()
        return (Secret(f"{self.borrower_id}:person", self.borrower_id, person),) if person else ()


class UpdateBankAccount(ServicingCommand):
    TYPE = "servicing.update-bank-account.v1"
    borrower_id: Reference
    account: Account

    def command(self) -> c.Command:
        facts = {"ifsc": self.account.ifsc or "", "last4": self.account.last4(), "vpa": bool(self.account.vpa)}
        return c.UpdateBorrower(command_id=self.command_id, vaulted=("bank-account",), facts={"payout": facts})

    def secrets(self) -> tuple[Secret, ...]:
        account = self.account.model_dump(exclude_none=True)
        return (Secret(f"{self.loan_id}:payout-account", self.borrower_id, account),)


class WriteOff(GivesUpMoney):
    TYPE = "servicing.write-off.v1"

    def command(self) -> c.Command:
        return c.WriteOff(
            command_id=self.command_id,
            reason=self.reason,
            requested_by=self.requested_by,
            approved_by=self.approved_by,
        )


CARRIES: dict[str, tuple[type[Inbound], ...]] = {
    DISBURSALS.name: (DisbursalRequested,),
    PAYOUT_OUTCOMES.name: (PayoutSettled, PayoutFailed, PayoutReturned),
    DEBIT_OUTCOMES.name: (DebitSucceeded, DebitFailed, DebitReversed),
    MANDATE_OUTCOMES.name: (
        MandateActive,
        MandateRejected,
        MandateCancelled,
        MandatePaused,
        MandateExpired,
    ),
    PAYMENTS.name: (PaymentReceived, PaymentReversed),
    COMMANDS.name: (
        Restructure,
        GrantRelief,
        ResetRate,
        Settle,
        CancelDisbursal,
        Refund,
        RetryPayout,
        OpenCase,
        CloseCase,
        AssignCase,
        NoteCase,
        PromiseToPay,
        RaiseGrievance,
        ReleasePapers,
        EraseBorrower,
        BorrowerStanding,
        RecordPayment,
        PartPrepay,
        Preclose,
        RecordRecovery,
        QuotePreclosure,
        LevyCharge,
        Waive,
        SetContactPreferences,
        HoldContact,
        PauseCollection,
        RegisterMandate,
        SwapMandate,
        PreferMandate,
        PauseMandate,
        ResumeMandate,
        CancelMandate,
        OfferPaymentLink,
        ResumeDebits,
        UpdateBorrower,
        UpdateBankAccount,
        WriteOff,
    ),
}
"""Topic -> the types that it carries."""

MODELS: dict[tuple[str, str], Callable[[bytes], Inbound]] = {
    (topic, model.TYPE): model.model_validate_json for topic, models in CARRIES.items() for model in models
}


def correlation_of(record: Record) -> str:
    """One id from a message to its events and instructions: what the sender gave, else the message's own."""
    return record.header("qist_correlation_id") or identity_of(record)


def identity_of(record: Record) -> str:
    """The message's own id; where it has none, the place where it stood."""
    return record.header("ce_id") or f"{record.topic}:{record.partition}:{record.offset}"


def understand(record: Record) -> Message:
    """The message that a record is; `Refused` with the field at fault when it is none."""
    kind = record.header("ce_type")
    if not kind:
        raise Refused(Refusal.missing_type, "/headers/ce_type")
    validate = MODELS.get((record.topic, kind))
    if validate is None:
        raise Refused(Refusal.unknown_type, "/headers/ce_type", topic=record.topic, type=kind[:100])
    value = record.value or b""
    if record.size > LARGEST_BYTES:
        raise Refused(Refusal.malformed, because=f"it is larger than {LARGEST_BYTES} bytes")
    try:
        body = validate(value)
    except ValidationError as error:
        pointer, why = at_fault(error)
        refusal = Refusal.loan_id_invalid if pointer == "/loan_id" else Refusal.malformed
        raise Refused(refusal, pointer, because=why) from None
    if b"\\u0000" in value and (pointer := nul_in(body.model_dump())) is not None:
        raise Refused(Refusal.malformed, pointer, because="no text may hold the character U+0000")
    try:
        command, secrets = body.command(), body.secrets()
    except (OverflowError, TypeError, ValueError):  # a number or an instant that nothing of ours can hold
        raise Refused(Refusal.malformed, because="a value is out of all range") from None
    command_id = requested_by = ""
    if isinstance(body, ServicingCommand):
        command_id, requested_by = body.command_id, body.requested_by
    return Message(
        record=record,
        loan_id=body.loan_id,
        type=kind,
        command=command,
        causation_id=identity_of(record),
        correlation_id=correlation_of(record),
        actor=requested_by[:LONGEST_HEADER] or record.header("ce_source") or record.topic,
        secrets=secrets,
        command_id=command_id,
    )


def nul_in(body: Any, pointer: str = "") -> str | None:
    """Where a text holds NUL, which PostgreSQL cannot store: a JSON pointer."""
    if isinstance(body, str):
        return pointer if "\0" in body else None
    parts = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list | tuple) else ()
    for name, part in parts:
        found = pointer if isinstance(name, str) and "\0" in name else nul_in(part, f"{pointer}/{name}")
        if found is not None:
            return found
    return None
