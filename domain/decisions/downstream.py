"""What follows from a change of schedule: debits that no longer fit are withdrawn, the mandate is checked; the end
withdraws and cancels everything (servicing rules 16 and 17)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from domain import events as e
from domain.decisions import mandates
from domain.decisions.rules import Rules
from domain.events import LoanEvent
from domain.loan import Loan


def follow(loan: Loan, reason: str, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """After another schedule came into force."""
    yield from withdraw(loan, reason, keep_fitting=True)
    yield from mandates.check(loan, rules)


def withdraw(loan: Loan, reason: str, *, keep_fitting: bool = False) -> Iterator[LoanEvent]:
    """Take back debits that are out and unanswered, and links; where some may stay, debits that ask for more than is
    owed."""
    for instruction_id, debit in list(loan.in_flight.items()):
        if debit.withdrawn or (keep_fitting and debit.amount <= loan.payable_paise()):
            continue
        yield e.DebitWithdrawn(instruction_id=instruction_id, number=debit.number, attempt=debit.attempt, reason=reason)
    if loan.links and not keep_fitting:
        yield from mandates.withdraw_links(loan, reason)


def end(loan: Loan, reason: str) -> Iterator[LoanEvent]:
    """The loan is at its end: withdraw what is out, cancel the mandates."""
    yield from withdraw(loan, reason)
    for mandate in list(loan.mandates):
        if mandate.get("status") in ("active", "paused"):
            yield mandates.cancel(loan, mandate, reason)
