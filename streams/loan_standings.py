"""How a borrower's loans stand to each other: one NPA loan makes all of them NPA (servicing rule 21). Pure.

The publisher tells how a loan stands whenever that moves, under the borrower's id (`servicing.loan-standings`), and
always as the log has it at that moment: what is told again after a restart, or all at once to a new broker, is never
an older truth. `borrower_standing.py` keeps a borrower's loans together and tells each what follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import orjson
from pydantic import BaseModel, ConfigDict

from domain import events as e
from streams.los_updates import BorrowerId
from streams.wire import LoanId

NPA = "NPA"
BORROWER = "borrower"
"""`because` of a loan that is NPA for another loan's sake."""
RESTRUCTURED = "restructured"

Stage = Literal["open", "written_off", "closed"]

STAGES: Mapping[str, Stage] = {
    e.LoanBooked.TOPIC: "open",
    e.Reopened.TOPIC: "open",
    e.WrittenOff.TOPIC: "written_off",
    e.Closed.TOPIC: "closed",
}
"""Event -> the stage that a loan is in after it."""

STANDING = (*STAGES, e.DelinquencyChanged.TOPIC, e.BorrowerStandingChanged.TOPIC)
"""The events after which a loan stands otherwise than before."""


class LoanStanding(BaseModel):
    """How a loan of a borrower stands, as the log has it when this is sent."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    TYPE: ClassVar[str] = "servicing.loan-standing.v1"

    borrower_id: BorrowerId
    loan_id: LoanId
    position: int
    """Of the newest event that it rests on, in the log of the loan's partition: a higher one is newer."""
    as_of: str
    """When that happened."""
    borrower_loans: list[LoanId]
    """All loans of the borrower."""
    stage: Stage
    classification: str = "standard"
    because: str = ""
    dpd: int = 0
    oldest_due_on: str = ""
    told_npa: bool = False
    """What the loan was last told of the others."""
    told_at: int = 0
    """The position of that; 0 = never told."""


# --- The publisher's side: how a loan stands -----------------------------------------------------------------


def standing(loan_id: str, borrower_loans: Iterable[str], newest: Mapping[str, tuple[int, bytes]]) -> LoanStanding:
    """How a loan stands, from the newest of each kind of `STANDING` event: position and stored bytes."""
    facts = {topic: orjson.loads(state) for topic, (_, state) in newest.items()}
    position = {topic: at for topic, (at, _) in newest.items()}
    delinquency: dict[str, Any] = facts.get(e.DelinquencyChanged.TOPIC, {})
    told = e.BorrowerStandingChanged.TOPIC
    latest = max(position, key=position.__getitem__)
    fields = LoanStanding.model_fields.keys() & delinquency.keys()
    return LoanStanding(
        borrower_id=facts[e.LoanBooked.TOPIC]["borrower_id"],
        loan_id=loan_id,
        position=position[latest],
        as_of=facts[latest]["timestamp"],
        borrower_loans=sorted(borrower_loans),
        stage=STAGES[max(STAGES.keys() & position.keys(), key=position.__getitem__)],
        told_npa=facts[told]["npa"] if told in facts else False,
        told_at=position.get(told, 0),
        **{name: delinquency[name] for name in fields},
    )


# --- The rule, pure ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is kept of a loan: plain values, so that a table can hold it."""

    position: int
    open: bool
    weighs: bool
    """Whether it makes the borrower's other loans NPA."""
    told_npa: bool
    told_at: int


@dataclass(frozen=True, slots=True)
class Tell:
    """A flag that is not as it should be."""

    loan_id: str
    npa: bool
    because: str
    """The loans that weigh; of a flag that falls, the loans that no longer do."""
    told_at: int

    @property
    def command_id(self) -> str:
        return f"standing:{self.loan_id}:{self.told_at}:{'npa' if self.npa else 'clear'}"


def weighs(loan: LoanStanding) -> bool:
    """NPA by itself: by arrears, or because it was restructured. A flag alone, without arrears, counts for nobody, or
    two loans would hold each other NPA for ever. Of a loan that is NPA for another's sake only what a day's end found
    overdue is arrears: that it pays a due of today is no news that would be told.

    A written-off loan goes on weighing as it stood: money that was given up was not paid.
    """
    if loan.stage == "closed" or loan.classification != NPA:
        return False
    in_arrears = loan.dpd > 0 or (loan.because != BORROWER and loan.oldest_due_on != "")
    return in_arrears or loan.because == RESTRUCTURED


def known(loan: LoanStanding) -> Known:
    return Known(
        position=loan.position,
        open=loan.stage == "open",
        weighs=weighs(loan),
        told_npa=loan.told_npa,
        told_at=loan.told_at,
    )


def tells(loans: Mapping[str, Known]) -> Iterator[Tell]:
    """The loans that must be told: each is NPA while any *other* one weighs. None, of a borrower with one loan."""
    weighing = {loan_id for loan_id, loan in loans.items() if loan.weighs}
    for loan_id, loan in loans.items():
        others = weighing - {loan_id}
        if loan.open and len(loans) > 1 and bool(others) != loan.told_npa:
            because = others or loans.keys() - {loan_id}
            yield Tell(loan_id, bool(others), ", ".join(sorted(because)), loan.told_at)
