"""Where a loan stands after anything happened: paid off, overdue, or back to normal.

A decider proposes, the loan folds, and these questions are asked of the result: each limit is written once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from domain import events as e
from domain.allocation import allocate
from domain.calendar import day_end, ist_day
from domain.decisions.downstream import end
from domain.decisions.mandates import withdraw_links
from domain.decisions.rules import Rules
from domain.events import LoanEvent
from domain.loan import Loan
from domain.policies.payouts import choose_rail
from domain.product import Product, band

NPA = "NPA"
ARREARS = "arrears"
ENDINGS = {"preclosure": "preclosed", "cooling-off": "cancelled", "settlement": "settled"}
"""Reason of the last schedule -> how the loan closes; else it is paid."""


def days_past_due(oldest_due_on: date | None, on: date) -> int:
    """DPD at a day's end: the due date itself is day 1 (RBI, 12 November 2021; servicing rules 19 and 20)."""
    return 0 if oldest_due_on is None else max(0, (on - oldest_due_on).days + 1)


def last_day_end(now: datetime) -> date:
    """The day whose end has come most lately."""
    today = ist_day(now)
    return today if now >= day_end(today) else today - timedelta(days=1)


def npa_from(oldest_due_on: date, product: Product) -> date:
    """The day at whose end a due that stays unpaid makes the loan NPA."""
    first = next(first for first, name in product.classes if name == NPA)
    return oldest_due_on + timedelta(days=first - 1)


def stand(loan: Loan, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Whatever follows from the state alone: money held is used, the loan ends, or its delinquency moves."""
    if loan.stage != "active":
        return
    yield from apply_excess(loan, ist_day(now))
    if loan.links:
        yield from withdraw_links(loan)
    yield from delinquency(loan, now, rules)
    if is_paid(loan):
        yield from close(loan, now)


def is_paid(loan: Loan) -> bool:
    """Nothing is owed and nothing will be."""
    return (
        bool(loan.due_rows)
        and loan.next_row is None
        and loan.principal_paise == 0
        and loan.payable_paise() == 0
        and (all(tranche.status == "settled" for tranche in loan.tranches) or loan.schedule_reason in ENDINGS)
    )


def apply_excess(loan: Loan, value_on: date) -> Iterator[LoanEvent]:
    """Use what is held for the borrower on what is owed now."""
    if loan.excess_paise == 0:
        return
    lines, left = allocate(loan, loan.excess_paise)
    if lines:
        yield e.ExcessApplied(value_on=value_on.isoformat(), paise=loan.excess_paise - left, lines=lines)


def close(loan: Loan, now: datetime) -> Iterator[LoanEvent]:
    """Nothing is owed: close, and send back what is held for the borrower (servicing rules 16 and 18)."""
    kind = "settled" if loan.written_off_paise else ENDINGS.get(loan.schedule_reason, "paid")
    refund, fees, gst, interest = loan.excess_paise, 0, 0, 0
    if loan.cancelling is not None and kind == "cancelled":
        fees, gst = loan.cancelling["fees_paise"], loan.cancelling["fees_gst_paise"]
        interest = loan.cancelling.get("interest_paise", 0)
    elif kind == "preclosed":
        interest = loan.unearned_paise
    yield e.Closed(
        on=ist_day(now).isoformat(),
        kind=kind,
        refund_paise=refund,
        fees_returned_paise=fees,
        fees_returned_gst_paise=gst,
        interest_returned_paise=interest,
    )
    if back := refund + fees + interest:
        yield from instruct_refund(loan, back, "excess at closure" if back == refund else "cooling-off exit")
    yield from end(loan, f"the loan is {kind}")


def instruct_refund(loan: Loan, paise: int, reason: str, *, retry_of: str = "") -> Iterator[LoanEvent]:
    """Send money back to the borrower's account; `retry_of` names the instruction that failed, whose rail is left
    aside where another one carries the amount."""
    failed_by = {loan.payout_rails[retry_of]} if retry_of in loan.payout_rails else set[str]()
    ways = (choose_rail(loan.payout, paise, loan.known_at, tried) for tried in (failed_by, ()) if loan.payout)
    choice = next((way for way in ways if way is not None), None)
    yield e.RefundInstructed(
        instruction_id=f"{loan.id}:refund:{len(loan.refunds) + 1}",
        amount_paise=paise,
        reason=reason,
        account_token=loan.payout.get("account_token", ""),
        attempt=loan.failed_refunds[retry_of][1] + 1 if retry_of else 1,
        retry_of=retry_of,
        rail=choice.rail if choice is not None else "",
    )


def delinquency(loan: Loan, now: datetime, rules: Rules, *, crossing: bool = False) -> Iterator[LoanEvent]:
    """The bucket or class changed, or a threshold's day has ended (`crossing`).

    NPA is left only when all arrears are paid (servicing rule 21), when no other loan of the borrower is NPA with
    arrears, and when a restructured loan has shown satisfactory performance (rule 22).
    """
    product = rules.product_of(loan)
    if loan.in_flight and not loan.threshold and loan.awaits_outcome():
        return  # an answer is on its way: neither success nor failure yet (servicing rule 34)
    oldest = loan.oldest_unpaid(product.overdue_tolerance_paise)
    on = last_day_end(now)
    dpd = days_past_due(oldest, on)
    classification, because = band(product.classes, dpd), ""
    if classification != NPA:
        because = still_npa(loan, oldest)
        classification = NPA if because else classification
        because = "" if because == ARREARS else because
    bucket = band(product.buckets, dpd)
    unchanged = classification == loan.classification and bucket == (loan.bucket or band(product.buckets, 0))
    if unchanged and because == loan.npa_because and not crossing:  # the borrower's other loans ask why
        return
    yield e.DelinquencyChanged(
        on=on.isoformat(),
        dpd=dpd,
        bucket=bucket,
        classification=classification,
        oldest_due_on=oldest.isoformat() if oldest else "",
        overdue_paise=loan.payable_paise() - loan.excess_paise,
        because=because,
    )


def still_npa(loan: Loan, oldest: date | None) -> str:
    """Why a loan that is not 91 days past due is NPA all the same; empty when it is not."""
    if loan.restructured_on is not None:
        return "restructured"
    if loan.borrower_npa:
        return "borrower"
    return ARREARS if loan.npa_since is not None and oldest is not None else ""
