"""What the LOS tells of a borrower (`los.updates`), and the command that each of a borrower's loans gets for it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, ClassVar, cast

import orjson
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from domain.refusals import Refusal, Refused
from streams.bodies import validated
from streams.envelope import Record, headers_for
from streams.wire import Account, ContactWishes, Identity, LoanId, Mandate

SOURCE = "qist/los-sync"
REQUESTED_BY = "los"
LONGEST_IDENTITY = 128
"""Longer ids are hashed: with the loan's id behind it, a command's id has at most 200 characters."""

BorrowerId = Annotated[str, Field(min_length=1, max_length=64)]


class FromLos(BaseModel):
    """What every update has."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    TYPE: ClassVar[str]
    COMMAND: ClassVar[str]
    ADDRESS: ClassVar = {"borrower_id", "loan_id"}

    borrower_id: BorrowerId

    def only_loan(self) -> str | None:
        """The one loan that it is for; None = all of the borrower's."""
        return None

    def fields(self) -> dict[str, Any]:
        """What the update says, as the command will say it."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True, exclude=self.ADDRESS)


class BorrowerUpdated(FromLos):
    """A borrower's particulars changed; what is not named stays as it is."""

    TYPE = "los.borrower.updated.v1"
    COMMAND = "servicing.update-borrower.v1"

    name: str | None = None
    phone: str | None = None
    email: str | None = None
    identity: Identity | None = None
    language: str | None = None
    segment: str | None = None
    salary_day: Annotated[int, Field(strict=True, ge=0, le=31)] | None = None
    contact: ContactWishes | None = None


class OfALoan(FromLos):
    """An update that may name the one loan that it is for."""

    PART: ClassVar[str]

    loan_id: LoanId | None = None

    def only_loan(self) -> str | None:
        return self.loan_id

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, body: Any) -> Any:
        """The fields of its part may stand in an object of their own, or beside the borrower's id."""
        if not isinstance(body, dict) or cls.PART in body:
            return body
        given = cast("dict[str, Any]", body)
        return {**given, cls.PART: {name: value for name, value in given.items() if name not in cls.ADDRESS}}


class BankAccountUpdated(OfALoan):
    """Payouts and refunds go to another account."""

    TYPE = "los.bank-account.updated.v1"
    COMMAND = "servicing.update-bank-account.v1"
    PART = "account"

    account: Account

    @field_validator("account")
    @classmethod
    def _can_be_paid(cls, account: Account) -> Account:
        if not (account.number or account.vpa):
            raise ValueError("an account has a number or a vpa")
        return account


class MandateUpdated(OfALoan):
    """The borrower signed another mandate."""

    TYPE = "los.mandate.updated.v1"
    COMMAND = "servicing.register-mandate.v1"
    PART = "mandate"

    mandate: Mandate


UPDATES: dict[str, type[FromLos]] = {
    model.TYPE: model for model in (BorrowerUpdated, BankAccountUpdated, MandateUpdated)
}


class BorrowerLoan(BaseModel):
    """`servicing.borrower-loans`: a loan was booked for this borrower."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    borrower_id: BorrowerId
    loan_id: LoanId
    product: str = ""


class BorrowerErased(BaseModel):
    """`servicing.borrower-loans`: the borrower's personal data was destroyed."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    TYPE: ClassVar[str] = "servicing.borrower-erased.v1"

    borrower_id: BorrowerId


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """An update, understood: plain values, so that a table can keep it."""

    type: str
    id: str
    at: str
    came_at: str
    """When it was sent, by the clocks of producers and broker; `at` is the LOS's own time."""
    borrower_id: str
    loan_id: str | None
    fields: dict[str, Any]
    waiting: bool = False
    """No loan that it is for was known when it came."""

    @property
    def subject(self) -> str:
        """What a later update replaces."""
        return f"{self.type}:{self.loan_id or ''}"

    def concerns(self, loan_id: str, booked_at: datetime | None) -> bool:
        """Whether a loan that appears after it must be told: it waits for one, or is newer than the loan's booking."""
        if self.loan_id not in (None, loan_id):
            return False
        return self.waiting or (booked_at is not None and datetime.fromisoformat(self.at) >= booked_at)

    def after(self, earlier: Mapping[str, Any] | None) -> Update:
        """With what an earlier update of the same subject said of the borrower and this one does not."""
        if earlier is None or self.type != BorrowerUpdated.TYPE:
            return self
        return replace(self, fields={**earlier["fields"], **self.fields})

    def command(self, loan_id: str) -> tuple[list[tuple[str, bytes]], bytes]:
        """Headers and body of the command to one loan. Its id follows from the update's: sent twice, done once."""
        command_id = f"{self.id}:{loan_id}"
        body = {
            "command_id": command_id,
            "loan_id": loan_id,
            "requested_by": REQUESTED_BY,
            "requested_at": self.at,
            "borrower_id": self.borrower_id,
            **self.fields,
        }
        kind, time = UPDATES[self.type].COMMAND, datetime.fromisoformat(self.at)
        headers = headers_for(kind, command_id, SOURCE, time, ("qist_correlation_id", self.id))
        return headers, orjson.dumps(body)


def understand_update(record: Record, sent_at: datetime) -> Update:
    """The update that a record is, or `Refused` with the field at fault. `sent_at` counts when it names no time."""
    kind = record.header("ce_type")
    if not kind:
        raise Refused(Refusal.missing_type, "/headers/ce_type")
    if kind not in UPDATES:
        raise Refused(Refusal.unknown_type, "/headers/ce_type", topic=record.topic, type=kind[:100])
    body = validated(UPDATES[kind], record)
    identity = identity_of(record)
    if len(identity) > LONGEST_IDENTITY:
        identity = hashlib.sha256(identity.encode()).hexdigest()
    return Update(
        type=kind,
        id=identity,
        at=(time_of(record) or sent_at).isoformat(),
        came_at=sent_at.isoformat(),
        borrower_id=body.borrower_id,
        loan_id=body.only_loan(),
        fields=body.fields(),
    )


def understand_loan(record: Record) -> BorrowerLoan:
    """The loan that a record tells of; `Refused` with the field at fault when it tells of none."""
    return validated(BorrowerLoan, record)


def understand_erasure(record: Record) -> BorrowerErased:
    """The borrower that a record says is erased."""
    return validated(BorrowerErased, record)


def identity_of(record: Record) -> str:
    """The record's own id, or else where it stood."""
    return record.header("ce_id") or f"{record.topic}:{record.partition}:{record.offset}"


def time_of(record: Record) -> datetime | None:
    """The time that a record names; None when it names none."""
    said = record.header("ce_time")
    if not said:
        return None
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Refused(Refusal.malformed, "/headers/ce_time", because="not an RFC 3339 instant with an offset")
    return at
