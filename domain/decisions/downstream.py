"""What follows from a change of schedule: debits that no longer fit are withdrawn, the mandate is checked; the end
withdraws and cancels everything (servicing rules 16 and 17)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

from domain import events as e
from domain.decisions.cases import a_case
from domain.decisions.rules import Rules
from domain.events import LoanEvent
from domain.loan import Loan


def follow(loan: Loan, reason: str, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """After another schedule came into force."""
    yield from withdraw(loan, reason, keep_fitting=True)
    if rules.product_of(loan).mandate_check:
        yield from check_mandate(loan)


def withdraw(loan: Loan, reason: str, *, keep_fitting: bool = False) -> Iterator[LoanEvent]:
    """Take back debits that are out and unanswered; where some may stay, those that ask for more than is owed."""
    for instruction_id, debit in list(loan.in_flight.items()):
        if debit.withdrawn or (keep_fitting and debit.amount <= loan.payable_paise()):
            continue
        yield e.DebitWithdrawn(instruction_id=instruction_id, number=debit.number, attempt=debit.attempt, reason=reason)


def check_mandate(loan: Loan) -> Iterator[LoanEvent]:
    """A case when the mandate cannot carry what is to come: its limit, or its last day (servicing rules 17 and 29)."""
    mandate = loan.mandate
    coming = loan.rows[loan.due_rows :]
    if not mandate or not coming:
        return
    limit = mandate.get("max_amount_paise")
    largest = max(row.total for row in coming)
    if limit and largest > limit:
        yield a_case(
            loan,
            kind="mandate-limit",
            reason=f"an instalment of {largest} paise does not fit the mandate's limit of {limit}: register a new one",
        )
    until = mandate.get("valid_until")
    if until and coming[-1].due_on > date.fromisoformat(until):
        yield a_case(
            loan,
            kind="mandate-validity",
            reason=f"instalments go on to {coming[-1].due_on}, the mandate ends on {until}: register a new one",
        )


def end(loan: Loan, reason: str) -> Iterator[LoanEvent]:
    """The loan is at its end: withdraw what is out, cancel the mandate."""
    yield from withdraw(loan, reason)
    if loan.mandate.get("status") in ("active", "paused"):
        yield e.MandateCancelInstructed(
            instruction_id=f"{loan.id}:mandate-cancel:{loan.mandate['mandate_id']}",
            mandate_id=loan.mandate["mandate_id"],
            rail=loan.mandate["rail"],
            reason=reason,
            umrn=loan.mandate.get("umrn", ""),
        )
