"""One-time settlement: less for all, if it comes in time; the difference is given up (servicing rule 18)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from domain import commands as c
from domain import events as e
from domain.calendar import ist_day
from domain.decisions.debits import fall_due
from domain.decisions.downstream import withdraw
from domain.decisions.preclosure import quote_total
from domain.decisions.rules import Rules
from domain.decisions.terms_change import brought_forward
from domain.decisions.upkeep import live, once
from domain.events import LoanEvent
from domain.loan import Loan
from domain.refusals import Refusal, Refused


def agree(loan: Loan, command: c.Settle, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Agree on an amount and a day. Until then nothing is debited; all money that comes counts towards it."""
    once(loan, command)
    live(loan)
    if loan.settlement is not None:
        raise Refused(Refusal.settlement_is_open, "/loan_id", pay_by=loan.settlement["pay_by"])
    today = ist_day(now)
    pay_by = command.pay_by or today + timedelta(days=rules.product_of(loan).settlement_valid_days)
    outstanding = quote_total(loan, today, rules)
    if command.amount_paise <= 0:
        raise Refused(Refusal.amount_must_be_positive, "/amount_paise", amount_paise=command.amount_paise)
    if command.amount_paise >= outstanding:
        raise Refused(
            Refusal.settlement_gives_up_nothing,
            "/amount_paise",
            amount_paise=command.amount_paise,
            outstanding_paise=outstanding,
        )
    if pay_by < today:
        raise Refused(Refusal.effective_date_not_ahead, "/pay_by", pay_by=pay_by)
    yield e.SettlementAgreed(
        amount_paise=command.amount_paise,
        pay_by=pay_by.isoformat(),
        outstanding_paise=outstanding,
        reason=command.reason,
        command_id=command.command_id,
        requested_by=command.requested_by,
        approved_by=command.approved_by,
    )
    yield from withdraw(loan, "a settlement was agreed")


def is_met(loan: Loan) -> bool:
    """Whether the agreed amount is in."""
    return loan.settlement is not None and loan.settlement["received_paise"] >= loan.settlement["amount_paise"]


def complete(loan: Loan, now: datetime) -> Iterator[LoanEvent]:
    """All that is left is brought forward to one row, the money settles what it can, and the rest is given up."""
    assert loan.settlement is not None
    today = ist_day(now)
    row = loan.next_row
    if row is not None and loan.principal_not_due():
        yield brought_forward(loan, "settlement", loan.principal_not_due(), 0, today)
        yield from fall_due(loan, loan.rows[loan.due_rows])
    yield e.Settled(
        on=today.isoformat(),
        received_paise=loan.settlement["received_paise"],
        principal_paise=loan.principal_paise,
        interest_paise=loan.unpaid_of("interest"),
        charges_paise=loan.unpaid_of("fee", "charge", "penal"),
    )


def lapse(loan: Loan) -> Iterator[LoanEvent]:
    """The day has passed: all is owed again, and debits go on with the next instalment."""
    assert loan.settlement is not None
    yield e.SettlementLapsed(pay_by=loan.settlement["pay_by"], received_paise=loan.settlement["received_paise"])
