"""What reconciliation looks for: every movement of money that the loans say, and every reference that names one.

The sum of `moved` is the ledger's bank account to the paisa, because it is taken from the ledger's own postings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, ClassVar, NamedTuple

from domain import events as e
from domain.decisions.rules import Rules
from domain.events import LoanEvent
from domain.loan import Loan
from domain.reconciliation import subject_of
from projections.base import Outgoing, Recorded, Row, Table, Write, booked_on
from projections.ledger import BANK, post

MOVEMENTS = Table(
    "movements",
    columns=(
        ("partition", "integer"),
        ("position", "bigint"),
        ("loan_id", "text"),
        ("subject", "text"),
        ("kind", "text"),
        ("what", "text"),
        ("paise", "bigint"),
        ("value_on", "date"),
        ("at", "timestamptz"),
        ("reference", "text"),
        ("gateway_reference", "text"),
        ("rail", "text"),
        ("gateway", "text"),
        ("bank", "text"),
    ),
    key=("partition", "position"),
    mode="append",
    indexes=(
        "subject",
        "reference",
        "gateway_reference WHERE gateway_reference <> ''",
        "loan_id, paise",
    ),
)


class Said(NamedTuple):
    """What an event says about money."""

    kind: Callable[[Any], str]
    """`debit`, `payment`, `payout`, `refund`; `loan` for the loan itself."""
    what: Callable[[Any], str]
    """`asked` (an instruction), `moved`, `failed` (it will not move), `booked` (a loan that money may name)."""
    reference: Callable[[Any], str]
    """What the loan knows it by."""
    gateway_reference: Callable[[Any], str] = lambda event: ""
    asked_paise: Callable[[Any], int] = lambda event: 0


def always(word: str) -> Callable[[Any], str]:
    return lambda event: word


def instruction(event: Any) -> str:
    return event.instruction_id


def came_back(event: e.PayoutFailed | e.RefundFailed) -> str:
    return "moved" if event.returned else "failed"


SAID: dict[type[LoanEvent], Said] = {
    e.LoanBooked: Said(always("loan"), always("booked"), lambda event: event.originator_id),
    e.PayoutInstructed: Said(
        always("payout"), always("asked"), instruction, asked_paise=lambda event: -event.amount_paise
    ),
    e.Disbursed: Said(
        always("payout"),
        always("moved"),
        lambda event: event.instruction_id or event.reference,
        lambda event: event.reference,
    ),
    e.PayoutFailed: Said(always("payout"), came_back, instruction),
    e.DebitAttempted: Said(always("debit"), always("asked"), instruction, asked_paise=lambda event: event.amount_paise),
    e.DebitSucceeded: Said(always("debit"), always("moved"), instruction, lambda event: event.reference),
    e.DebitFailed: Said(always("debit"), always("failed"), instruction, lambda event: event.reference),
    e.PaymentReceived: Said(always("payment"), always("moved"), lambda event: event.reference),
    e.ReceiptReversed: Said(lambda event: event.source, always("moved"), lambda event: event.reference),
    e.RefundInstructed: Said(
        always("refund"), always("asked"), instruction, asked_paise=lambda event: -event.amount_paise
    ),
    e.RefundSettled: Said(always("refund"), always("moved"), instruction, lambda event: event.reference),
    e.RefundFailed: Said(always("refund"), came_back, instruction),
}


class Reconciliation:
    """The projection `reconciliation`. How far its rows have been compared stands in its positions, as `published`."""

    name: ClassVar[str] = "reconciliation"
    tables: ClassVar[tuple[Table, ...]] = (MOVEMENTS,)
    told: ClassVar[tuple[Table, ...]] = ()
    before: ClassVar[tuple[str, ...]] = ()
    after: ClassVar[tuple[str, ...]] = ()

    def __init__(self, rules: Rules | None = None) -> None:
        pass

    def begin(self) -> ReconciliationFolding:
        return ReconciliationFolding()

    def tell(self, table: Table, row: Row) -> Outgoing:
        raise NotImplementedError("the movements themselves are on servicing.loan-events")


class ReconciliationFolding:
    """One batch of movements."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def see(self, recorded: Recorded, loan: Loan) -> None:
        said = SAID.get(type(recorded.event))
        if said is None:
            return
        event: Any = recorded.event
        kind, what, reference = said.kind(event), said.what(event), said.reference(event)
        self.rows.append(
            (
                recorded.partition,
                recorded.position,
                recorded.loan_id,
                subject_of(kind, recorded.loan_id, reference),
                kind,
                what,
                post(event, loan).get(BANK, 0) if what == "moved" else said.asked_paise(event),
                date.fromisoformat(counts) if (counts := getattr(event, "value_on", "")) else booked_on(event),
                event.timestamp,
                reference,
                said.gateway_reference(event),
                getattr(event, "rail", ""),
                getattr(event, "gateway", ""),
                getattr(event, "bank", ""),
            )
        )

    def close(self, loans: Mapping[str, Loan]) -> list[Write]:
        return [Write(MOVEMENTS, self.rows)]
