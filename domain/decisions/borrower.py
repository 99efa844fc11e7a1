"""Newer facts about the borrower, and the money that waited for them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from domain import commands as c
from domain import events as e
from domain.decisions.disbursal import instruct_payout
from domain.decisions.once import once
from domain.decisions.rules import Rules
from domain.decisions.standing import instruct_refund
from domain.events import LoanEvent
from domain.loan import Loan
from domain.refusals import Refusal, Refused

ACCOUNT = "bank-account"


def update(loan: Loan, command: c.UpdateBorrower, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Newer facts about the borrower; none of one whose data was destroyed. With another account, money that did not
    arrive is sent again."""
    once(loan, command)
    if loan.erased:
        raise Refused(Refusal.borrower_is_erased, "/loan_id")
    yield e.BorrowerChanged(vaulted=list(command.vaulted), facts=dict(command.facts), command_id=command.command_id)
    if ACCOUNT in command.vaulted:
        yield from send_again(loan, now)


def send_again(loan: Loan, now: datetime) -> Iterator[LoanEvent]:
    """Payouts and refunds that failed or came back, to the account as it is now."""
    if loan.stage in ("booked", "active"):
        for index, tranche in enumerate(loan.tranches):
            if tranche.status == "failed":
                yield from instruct_payout(loan, index, now)
    for instruction_id in list(loan.failed_refunds):
        yield from instruct_refund(loan, loan.refunds[instruction_id], "to another account", retry_of=instruction_id)
