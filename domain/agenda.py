"""What time alone will ask of a loan, and when: always computed from its state, so nothing can be forgotten.

The log's agenda table holds one row a loan, the earliest of these moments; work grows with what happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from operator import attrgetter

from domain.calendar import at_hour, day_end, day_start
from domain.decisions.debits import amount_to_ask, attempt_debit, fall_due, notify_debit, outcome_overdue
from domain.decisions.disbursal import instruct_payout
from domain.decisions.rules import Rules
from domain.decisions.standing import delinquency
from domain.events import LoanEvent
from domain.loan import Loan
from domain.product import Product


@dataclass(frozen=True, slots=True)
class Task:
    """Something to do at a moment. `run` gives the events."""

    at: datetime
    name: str
    run: Callable[[], Iterator[LoanEvent]]


def next_task(loan: Loan, rules: Rules) -> Task | None:
    """The earliest thing that time will ask for, or None for a loan that waits for nothing but messages.

    It follows from the state, so it is worked out once a version of the loan.
    """
    if loan.planned is None or loan.planned[0] != loan.version:
        loan.planned = loan.version, min(tasks(loan, rules), key=attrgetter("at"), default=None)
    return loan.planned[1]


def tasks(loan: Loan, rules: Rules) -> Iterator[Task]:
    """Everything that waits for its moment."""
    if loan.stage in ("booked", "active"):
        yield from payouts(loan)
    if loan.stage == "active":
        product = rules.product_of(loan)
        yield from instalments(loan, product)
        yield from debits(loan, product)
        yield from unanswered(loan, product)
        yield from thresholds(loan, product, rules)


def payouts(loan: Loan) -> Iterator[Task]:
    """Tranches whose day comes."""
    for index, tranche in enumerate(loan.tranches):
        if tranche.status == "planned" and (index == 0 or loan.stage == "active"):
            at = day_start(tranche.on)
            if index == 0 and at < loan.known_at:
                at = loan.known_at  # the request came on the day itself, or after it
            yield Task(at, "payout", lambda index=index: instruct_payout(loan, index))


def instalments(loan: Loan, product: Product) -> Iterator[Task]:
    """The next due day, and the notice ahead of its debit."""
    row = loan.next_row
    if row is None:
        return
    yield Task(day_start(row.due_on), "instalment", lambda: fall_due(loan, row))
    hours = product.notice_hours.get(loan.mandate.get("rail", ""), 0) if product.debits_automatic else 0
    if hours and loan.mandate.get("status") == "active" and row.number not in loan.notified:
        debit_at = at_hour(row.due_on, product.debit_at)
        at = max(debit_at - timedelta(hours=hours), day_start(loan.disbursed_on or row.due_on))
        if at < day_start(row.due_on):
            yield Task(at, "notice", lambda: notify_debit(loan, row, debit_at))


def debits(loan: Loan, product: Product) -> Iterator[Task]:
    """Attempts to come, for what is unpaid and not asked for already."""
    if not loan.mandate or not product.debits_automatic:
        return
    for number, chance in loan.opportunities.items():
        if amount_to_ask(loan, number) == 0:
            continue
        at = chance.at or first_attempt_at(loan, number, product)
        if loan.paused_until is not None:
            at = max(at, at_hour(loan.paused_until + timedelta(days=1), product.debit_at))
        # A debit is asked for now or later, never in the past, and never before the loan was known to be paid out.
        at = max(at, loan.known_at, loan.active_since or at)
        yield Task(
            at,
            "debit",
            lambda number=number, attempt=chance.attempt, at=at: attempt_debit(loan, number, attempt, at),
        )


def first_attempt_at(loan: Loan, number: int, product: Product) -> datetime:
    due_on: date = next(row.due_on for row in loan.rows if row.number == number)
    return at_hour(due_on, product.debit_at)


def unanswered(loan: Loan, product: Product) -> Iterator[Task]:
    """Debits whose gateway should have answered by now."""
    for instruction_id, debit in loan.in_flight.items():
        if not debit.overdue:
            yield Task(
                debit.at + timedelta(hours=product.outcome_within_hours),
                "unanswered",
                lambda known=instruction_id: outcome_overdue(loan, known),
            )


def thresholds(loan: Loan, product: Product, rules: Rules) -> Iterator[Task]:
    """The day's end on which the next bucket or class begins."""
    oldest = loan.oldest_unpaid(product.overdue_tolerance_paise)
    if oldest is None:
        return
    if not loan.threshold and any(not debit.overdue for debit in loan.in_flight.values()):
        return
    following = next((first for first in product.thresholds if first > loan.threshold), None)
    if following is not None:
        at = day_end(oldest + timedelta(days=following - 1))
        yield Task(at, "threshold", lambda: delinquency(loan, at, rules, crossing=True))
