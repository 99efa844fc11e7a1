"""The borrower leaves within the cooling-off days: principal and proportionate APR, nothing more (servicing rule 28).

Source: RBI (Digital Lending) Directions, 2025, RBI/2025-26/36, 8 May 2025: at least one day; no penalty; a reasonable
one-time processing fee may be kept if the KFS shows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal

from domain import commands as c
from domain import events as e
from domain.calendar import ist_day
from domain.decisions.cases import a_case
from domain.decisions.debits import fall_due
from domain.decisions.downstream import withdraw
from domain.decisions.rules import Rules
from domain.decisions.standing import instruct_refund
from domain.decisions.terms_change import BROKEN_PERIOD, brought_forward
from domain.decisions.upkeep import live, once
from domain.events import LoanEvent
from domain.law.disbursal import cooling_off_exit_paise
from domain.loan import Loan
from domain.refusals import Refusal, Refused


def last_day(loan: Loan, rules: Rules) -> date:
    """The last cooling-off day."""
    assert loan.disbursed_on is not None
    return loan.disbursed_on + timedelta(days=rules.product_of(loan).cooling_off_days)


def cancel(loan: Loan, command: c.CancelDisbursal, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Before the payout: the loan ends at once. After it: principal and proportionate APR are due by the last
    cooling-off day; the loan is cancelled when they are paid, and goes on as it was when they are not."""
    once(loan, command)
    if loan.stage == "booked":
        if any(part.status == "instructed" for part in loan.tranches):
            raise Refused(Refusal.payout_is_out, "/loan_id")
        yield e.DisbursalCancelled(
            on=ist_day(now).isoformat(),
            pay_by=ist_day(now).isoformat(),
            principal_paise=0,
            interest_paise=0,
            fees_returned_paise=0,
            reason=command.reason,
            command_id=command.command_id,
        )
        held = loan.excess_paise
        yield e.Closed(on=ist_day(now).isoformat(), kind="cancelled", refund_paise=held)
        if held:
            yield from instruct_refund(loan, held, "excess at closure")
        return
    live(loan)
    today, pay_by = ist_day(now), last_day(loan, rules)
    if today > pay_by:
        raise Refused(Refusal.cooling_off_is_over, "/loan_id", last_day=pay_by)
    if loan.cancelling:
        raise Refused(Refusal.cancellation_is_open, "/loan_id", pay_by=loan.cancelling["pay_by"])
    if loan.due_rows or loan.receipts:
        raise Refused(Refusal.cooling_off_is_over, "/loan_id", instalments_due=loan.due_rows)
    interest = proportionate_apr(loan, today)
    fees, gst = fees_to_return(loan, rules)
    yield e.DisbursalCancelled(
        on=today.isoformat(),
        pay_by=pay_by.isoformat(),
        principal_paise=loan.principal_paise,
        interest_paise=interest,
        fees_returned_paise=fees,
        fees_returned_gst_paise=gst,
        interest_returned_paise=kept_back(loan),
        reason=command.reason,
        command_id=command.command_id,
    )
    # Nobody is late before the last cooling-off day is over.
    yield brought_forward(loan, "cooling-off", loan.principal_paise, interest, today, due_on=pay_by)
    yield from fall_due(loan, loan.rows[loan.due_rows])
    yield from withdraw(loan, "the borrower leaves within the cooling-off days")


def proportionate_apr(loan: Loan, today: date) -> int:
    """APR x principal x days / 365, for the days that the money was out. Paise."""
    assert loan.disbursed_on is not None
    assert loan.sanctioned_on is not None
    days = (today - loan.disbursed_on).days
    apr = Decimal(loan.apr_percent)
    return cooling_off_exit_paise(loan.principal_paise, apr, days, loan.sanctioned_on).value - loan.principal_paise


def fees_to_return(loan: Loan, rules: Rules) -> tuple[int, int]:
    """Deducted fees that go back, with their GST, and the GST: none where the product keeps the processing fee, as the
    KFS must then say. What the APR holds of them is paid for the days."""
    if rules.product_of(loan).cooling_off_fee_kept:
        return 0, 0
    fees = [part for part in loan.deductions if part["kind"] != BROKEN_PERIOD]
    gst = sum(part["gst_paise"] for part in fees)
    return sum(part["amount_paise"] for part in fees) + gst, gst


def kept_back(loan: Loan) -> int:
    """Interest of a broken period that was kept back from the payout: the proportionate APR takes its place."""
    return sum(part["amount_paise"] for part in loan.deductions if part["kind"] == BROKEN_PERIOD)


def short(loan: Loan, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Money came and is not enough: the borrower is told how much is missing and, the first time, has some days more; a
    person looks. The amount stays as it was."""
    assert loan.cancelling is not None
    told, received = loan.cancelling.get("told_paise", 0), loan.received_paise
    if loan.stage != "active" or received in (0, told):
        return
    pay_by = date.fromisoformat(loan.cancelling["pay_by"])
    if not told:
        pay_by = max(pay_by, ist_day(now) + timedelta(days=rules.product_of(loan).cooling_off_short_days))
    missing = loan.payable_paise()
    yield e.CancellationShort(received_paise=received, missing_paise=missing, pay_by=pay_by.isoformat())
    if not told:
        reason = f"{received} paise came and {missing} are missing, to be paid by {pay_by}"
        yield a_case(loan, kind="cooling-off-short", reason=reason)


def lapse(loan: Loan) -> Iterator[LoanEvent]:
    """The money did not come back in time."""
    assert loan.cancelling is not None
    yield e.CancellationLapsed(
        pay_by=loan.cancelling["pay_by"], received_paise=loan.received_paise, missing_paise=loan.payable_paise()
    )
