"""Where a loan stands after anything happened: paid off, overdue, or back to normal.

A decider proposes, the loan folds, and these questions are asked of the result: each limit is written once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from domain import events as e
from domain.allocation import allocate
from domain.calendar import day_end, ist_day
from domain.decisions.rules import Rules
from domain.events import LoanEvent
from domain.loan import Loan
from domain.product import band


def days_past_due(oldest_due_on: date | None, on: date) -> int:
    """DPD at a day's end: the due date itself is day 1 (RBI, 12 November 2021; servicing rules 19 and 20)."""
    return 0 if oldest_due_on is None else max(0, (on - oldest_due_on).days + 1)


def last_day_end(now: datetime) -> date:
    """The day whose end has come most lately."""
    today = ist_day(now)
    return today if now >= day_end(today) else today - timedelta(days=1)


def stand(loan: Loan, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Whatever follows from the state alone: money held is used, the loan ends, or its delinquency moves."""
    if loan.stage != "active":
        return
    yield from apply_excess(loan, ist_day(now))
    if (
        loan.due_rows
        and loan.next_row is None
        and loan.principal_paise == 0
        and loan.payable_paise() == 0
        and all(tranche.status == "settled" for tranche in loan.tranches)
    ):
        yield from delinquency(loan, now, rules)
        yield from close(loan, now)
    else:
        yield from delinquency(loan, now, rules)


def apply_excess(loan: Loan, value_on: date) -> Iterator[LoanEvent]:
    """Use what is held for the borrower on what is owed now."""
    if loan.excess_paise == 0:
        return
    lines, left = allocate(loan, loan.excess_paise)
    if lines:
        yield e.ExcessApplied(value_on=value_on.isoformat(), paise=loan.excess_paise - left, lines=lines)


def close(loan: Loan, now: datetime) -> Iterator[LoanEvent]:
    """Nothing is owed: close, and send back what is held for the borrower (servicing rules 16 and 18)."""
    refund = loan.excess_paise
    yield e.Closed(
        on=ist_day(now).isoformat(),
        kind="preclosed" if loan.schedule_reason == "preclosure" else "paid",
        refund_paise=refund,
    )
    if refund:
        yield from instruct_refund(loan, refund, "excess at closure")


def instruct_refund(loan: Loan, paise: int, reason: str) -> Iterator[LoanEvent]:
    """Send money back to the borrower's account."""
    yield e.RefundInstructed(
        instruction_id=f"{loan.id}:refund:{len(loan.refunds) + 1}",
        amount_paise=paise,
        reason=reason,
        account_token=loan.payout.get("account_token", ""),
    )


def delinquency(loan: Loan, now: datetime, rules: Rules, *, crossing: bool = False) -> Iterator[LoanEvent]:
    """The bucket or class changed, or a threshold's day has ended (`crossing`).

    NPA is left only when all arrears are paid (servicing rule 21).
    """
    product = rules.product_of(loan)
    if loan.in_flight and any(not debit.overdue for debit in loan.in_flight.values()) and not loan.threshold:
        return  # an answer is on its way: neither success nor failure yet (servicing rule 34)
    oldest = loan.oldest_unpaid(product.overdue_tolerance_paise)
    on = last_day_end(now)
    dpd = days_past_due(oldest, on)
    classification = band(product.classes, dpd)
    if loan.classification == "NPA" and oldest is not None:
        classification = "NPA"
    bucket = band(product.buckets, dpd)
    unchanged = classification == loan.classification and bucket == (loan.bucket or band(product.buckets, 0))
    if unchanged and not crossing:
        return
    yield e.DelinquencyChanged(
        on=on.isoformat(),
        dpd=dpd,
        bucket=bucket,
        classification=classification,
        oldest_due_on=oldest.isoformat() if oldest else "",
        overdue_paise=loan.payable_paise() - loan.excess_paise,
    )
