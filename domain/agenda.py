"""What time alone will ask of a loan, and when: always computed from its state, so nothing can be forgotten.

The log's agenda table holds one row a loan, the earliest of these moments; work grows with what happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from operator import attrgetter

from domain.calendar import add_months, at_hour, day_end, day_start, ist_day, shift_for_holidays
from domain.decisions import changes, collecting, cooling_off, duties, mandates, penal, settlement
from domain.decisions.debits import amount_to_ask, attempt_debit, fall_due, notify_debit, outcome_overdue, row_of
from domain.decisions.disbursal import instruct_payout, payout_overdue, tranche_not_out, without_tranche
from domain.decisions.foresight import in_doubt, look_ahead
from domain.decisions.hindsight import recast
from domain.decisions.month_end import close_month
from domain.decisions.rules import Rules
from domain.decisions.standing import delinquency, instruct_refund
from domain.events import InstalmentAnnounced, LoanEvent, PerformanceRestored
from domain.law.closing import papers_due_by
from domain.law.debits import notice_hours, outside_peak
from domain.loan import Loan
from domain.parts import Row
from domain.product import Product

REMIND_AT = time(10)


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
    product = rules.product_of(loan)
    if loan.stage in ("booked", "active"):
        yield from payouts(loan)
    if loan.stage == "active":
        yield from instalments(loan, product, rules)
        yield from agreed_changes(loan, rules)
        yield from debits(loan, product, rules)
        yield from unanswered(loan, product)
        yield from mandate_days(loan, product, rules)
        yield from lapses(loan, rules)  # before the classes of that day: what lapses is owed otherwise
        yield from thresholds(loan, product, rules)
        yield from penal_charges(loan, product, rules)
        yield from month_ends(loan, product, rules)
        yield from statements(loan, rules)
        yield from performance(loan, product)
        yield from collections(loan, rules)
    else:
        yield from papers(loan, rules)
    yield from refunds(loan, product)
    yield from unanswered_payouts(loan, product)
    yield from grievances(loan)
    yield from cases(loan, rules)


def payouts(loan: Loan) -> Iterator[Task]:
    """Tranches whose day comes."""
    for index, tranche in enumerate(loan.tranches):
        if tranche.status == "planned" and (index == 0 or loan.stage == "active"):
            at = day_start(tranche.on)
            if index == 0 and at < loan.known_at:
                at = loan.known_at  # the request came on the day itself, or after it
            yield Task(at, "payout", lambda index=index, at=at: instruct_payout(loan, index, at))


def tranches_not_out(loan: Loan, row: Row, rules: Rules) -> Iterator[Task]:
    """The day before a row is due, a tranche that it counts on and that has not arrived."""
    if not loan.has_tranches_to_come():
        return
    planned_on = tranche_not_out(loan, row.due_on)
    if planned_on is not None:
        at = day_end(row.due_on - timedelta(days=1))
        yield Task(at, "tranche-not-out", lambda: without_tranche(loan, planned_on, at, rules))


def instalments(loan: Loan, product: Product, rules: Rules) -> Iterator[Task]:
    """The next due day, and the notice ahead of its debit."""
    row = loan.next_row
    if row is None:
        return
    yield from tranches_not_out(loan, row, rules)
    yield Task(day_start(row.due_on), "instalment", lambda: fall_due(loan, row))
    told_of_debit = product.notice_hours.get(loan.mandate.get("rail", ""), 0)
    debited = may_debit(loan, product) and loan.mandate.get("status") == "active"
    if loan.excess_paise >= row.total:
        return
    if debited and product.bounce_risk_percent and row.number > loan.foreseen and in_doubt(loan, row):
        at = max(at_hour(row.due_on - timedelta(days=product.bounce_risk_days), REMIND_AT), loan.known_at)
        if at < day_start(row.due_on):
            due_at = debit_at(loan, row.due_on, product)
            yield Task(at, "look-ahead", lambda: look_ahead(loan, row, due_at, product))
    if debited and told_of_debit:
        if row.number in loan.notified:
            return
        due_at = debit_at(loan, row.due_on, product)
        eve = at_hour(row.due_on - timedelta(days=1), product.debit_at)  # a debit that a holiday moves is told by then
        at = max(min(due_at - timedelta(hours=told_of_debit), eve), day_start(loan.disbursed_on or row.due_on))
        if at < day_start(row.due_on):
            attempt = loan.attempts.get(row.number, 0) + 1
            yield Task(at, "notice", lambda: notify_debit(loan, row, due_at, attempt))
    elif product.remind_days and row.number > loan.announced and not (loan.settlement or loan.cancelling):
        at = max(at_hour(row.due_on - timedelta(days=product.remind_days), REMIND_AT), loan.known_at)
        if at < day_start(row.due_on):
            yield Task(at, "reminder", lambda: announce(loan, row))


def announce(loan: Loan, row: Row) -> Iterator[LoanEvent]:
    """Remind the borrower of an instalment to come."""
    yield InstalmentAnnounced(
        number=row.number, amount_paise=row.total - loan.excess_paise, due_on=row.due_on.isoformat()
    )


def agreed_changes(loan: Loan, rules: Rules) -> Iterator[Task]:
    """New terms whose day comes, after the instalment of that day."""
    if loan.agreed_changes:
        agreed = loan.agreed_changes[0]
        at = max(day_start(date.fromisoformat(agreed["effective_on"])), loan.known_at)
        yield Task(at, "agreed-change", lambda: changes.begin(loan, agreed, at, rules))


def may_debit(loan: Loan, product: Product) -> bool:
    """Whether Qist asks for money by itself: not while a settlement or a cooling-off exit is open, or debits are
    stopped."""
    open_end = loan.settlement or loan.cancelling or loan.debits_stopped
    return bool(loan.mandates) and product.debits_automatic and not open_end


def debits(loan: Loan, product: Product, rules: Rules) -> Iterator[Task]:
    """Attempts to come, for what is unpaid and not asked for already; each told as long before as the law demands of
    the rail (the product's own notice goes ahead of the due day alone)."""
    if not may_debit(loan, product):
        return
    rail = loan.mandate.get("rail", "")
    hours = notice_hours(rail, ist_day(loan.known_at)).value
    for number, chance in loan.opportunities.items():
        if amount_to_ask(loan, number) == 0:
            continue
        at = chance.at or first_attempt_at(loan, number, product)
        if loan.paused_until is not None:
            at = max(at, at_hour(loan.paused_until + timedelta(days=1), product.debit_at))
        if chance.at is not None and (free_from := collecting.held_until(loan, rules)) is not None:
            at = max(at, free_from)  # a retry; a due day's own debit is no pressure
        # A debit is asked for now or later, never in the past, and never before the loan was known to be paid out.
        at = max(at, loan.known_at, loan.active_since or at)
        if hours and loan.mandate.get("status") == "active":
            if loan.notified.get(number) != chance.attempt or loan.notified_rail.get(number) != rail:
                tell_at = max(at - timedelta(hours=hours), loan.known_at)
                debit_at = outside_peak(rail, max(at, tell_at + timedelta(hours=hours))).value
                yield Task(
                    tell_at,
                    "notice",
                    lambda number=number, attempt=chance.attempt, debit_at=debit_at: notify_debit(
                        loan, row_of(loan, number), debit_at, attempt
                    ),
                )
                continue
            at = max(at, loan.notified_at[number] + timedelta(hours=hours))
        at = outside_peak(rail, at).value
        yield Task(
            at,
            "debit",
            lambda number=number, attempt=chance.attempt, at=at: attempt_debit(loan, number, attempt, at, rules),
        )


def mandate_days(loan: Loan, product: Product, rules: Rules) -> Iterator[Task]:
    """A first instalment without an active mandate, the notices of a mandate's end, and the end itself."""
    if not loan.mandates or loan.debits_stopped:
        return
    if (on := mandates.not_ready_at(loan, product)) is not None:
        yield Task(max(day_start(on), loan.known_at), "mandate-not-ready", lambda: mandates.not_ready(loan, product))
    if (notice := mandates.next_expiry_notice(loan, product)) is not None:
        on, days = notice
        at = max(day_start(on), loan.known_at)
        yield Task(at, "mandate-expiring", lambda days=days: mandates.expiring(loan, days, product))
    for mandate in loan.mandates:
        ends = mandate.get("valid_until")
        if ends and mandate.get("status") == "active" and mandates.is_needed_after(loan, date.fromisoformat(ends)):
            at = max(day_start(date.fromisoformat(ends) + timedelta(days=1)), loan.known_at)
            known = mandate["mandate_id"]
            yield Task(at, "mandate-expired", lambda known=known: mandates.expired(loan, known, rules))


def first_attempt_at(loan: Loan, number: int, product: Product) -> datetime:
    return debit_at(loan, row_of(loan, number).due_on, product)


def debit_at(loan: Loan, due_on: date, product: Product) -> datetime:
    """The product's hour of the due day, or of the day to which a holiday moves the debit (servicing rule 4)."""
    if loan.terms["holiday_shift"] != "none" and loan.terms["holiday_moves"] == "debit":
        due_on = max(due_on, shift_for_holidays(due_on, loan.agreed.closed_days, loan.agreed.holiday_shift))
    return at_hour(due_on, product.debit_at)


def unanswered(loan: Loan, product: Product) -> Iterator[Task]:
    """Debits whose gateway should have answered by now."""
    for instruction_id, debit in loan.in_flight.items():
        if not debit.overdue and not debit.withdrawn:
            yield Task(
                debit.at + timedelta(hours=product.outcome_within_hours),
                "unanswered",
                lambda known=instruction_id: outcome_overdue(loan, known),
            )


def unanswered_payouts(loan: Loan, product: Product) -> Iterator[Task]:
    """Payouts and refunds whose gateway should have answered by now."""
    for known, asked_at in loan.awaited_payouts.items():
        at = asked_at + timedelta(hours=product.outcome_within_hours)
        yield Task(at, "unanswered-payout", lambda known=known: payout_overdue(loan, known))


def thresholds(loan: Loan, product: Product, rules: Rules) -> Iterator[Task]:
    """The day's end on which the next bucket or class begins."""
    oldest = loan.oldest_unpaid(product.overdue_tolerance_paise)
    if oldest is None:
        return
    if not loan.threshold and loan.awaits_outcome():
        return
    following = next((first for first in product.thresholds if first > loan.threshold), None)
    if following is not None:
        at = day_end(oldest + timedelta(days=following - 1))
        yield Task(at, "threshold", lambda: delinquency(loan, at, rules, crossing=True))


def penal_charges(loan: Loan, product: Product, rules: Rules) -> Iterator[Task]:
    """The fixed penal charge of each overdue instalment; none while an answer is on its way (servicing rule 34)."""
    if loan.cancelling is not None or loan.awaits_outcome():
        return
    for number, on in penal.chargeable(loan, product):
        yield Task(day_start(on), "penal", lambda number=number, on=on: penal.levy_for(loan, number, on, rules))


def month_ends(loan: Loan, product: Product, rules: Rules) -> Iterator[Task]:
    """The books at a month's end."""
    if product.accrual == "none" and not product.penal_percent:
        return
    on = loan.next_month_end()
    yield Task(day_end(on), "month-end", lambda: close_month(loan, on, rules))


def lapses(loan: Loan, rules: Rules) -> Iterator[Task]:
    """A settlement, or a cooling-off exit, whose money does not come in time."""
    if loan.settlement is not None:
        pay_by = date.fromisoformat(loan.settlement["pay_by"])
        yield Task(day_end(pay_by), "settlement-lapse", lambda: settlement.lapse(loan))
    if loan.cancelling is not None:
        last = date.fromisoformat(loan.cancelling["pay_by"])
        at = day_end(last)
        yield Task(at, "cancellation-lapse", lambda: cancellation_lapse(loan, at, rules))


def cancellation_lapse(loan: Loan, at: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """The loan goes on as if it had never been given back."""
    yield from cooling_off.lapse(loan)
    yield from recast(loan, "the cooling-off exit was not paid for", loan.disbursed_on or ist_day(at), at, rules)


def statements(loan: Loan, rules: Rules) -> Iterator[Task]:
    """A floating-rate borrower's statement every quarter."""
    on = duties.next_statement_on(loan, rules)
    if on is not None:
        yield Task(day_end(on), "statement", lambda: duties.state(loan, on))


def performance(loan: Loan, product: Product) -> Iterator[Task]:
    """The day on which a restructured loan has been paid well for long enough (servicing rule 22)."""
    since = loan.performance_from
    if loan.restructured_on is None or since is None:
        return
    repaid = loan.restructured_paise - loan.principal_paise
    if repaid * 100 < product.restructured_repaid_percent * loan.restructured_paise:
        return
    at = max(day_end(add_months(since, product.restructured_months)), loan.known_at)
    on = ist_day(at)
    yield Task(at, "performance", lambda: iter((PerformanceRestored(on=on.isoformat(), since=since.isoformat()),)))


def refunds(loan: Loan, product: Product) -> Iterator[Task]:
    """Refunds that failed are asked for again: the money is the borrower's."""
    for instruction_id, (failed_at, attempt) in loan.failed_refunds.items():
        if attempt < product.refund_max_attempts:
            yield Task(
                failed_at + timedelta(hours=product.refund_retry_after_hours),
                "refund",
                lambda known=instruction_id: instruct_refund(loan, loan.refunds[known], "again", retry_of=known),
            )


def grievances(loan: Loan) -> Iterator[Task]:
    """Complaints that are not answered in time go up a level."""
    for known, grievance in loan.grievances.items():
        if not grievance["escalated"]:
            at = day_end(date.fromisoformat(grievance["answer_by"]))
            yield Task(at, "grievance", lambda known=known: duties.escalate(loan, known))
        if grievance.get("about") == duties.BUREAU:
            on = duties.next_bureau_check(loan, known)
            yield Task(day_end(on), "bureau", lambda known=known, on=on: duties.bureau_late(loan, known, on))


def collections(loan: Loan, rules: Rules) -> Iterator[Task]:
    """A promise whose day is over, and the next step of the plan for these arrears once nothing holds it back; none
    while debits are stopped: after a death or a court's order a person decides who is spoken to."""
    if (free_from := collecting.held_until(loan, rules)) is not None:
        yield Task(free_from, "promise", lambda: collecting.broken(loan))
    held = loan.settlement or loan.cancelling or loan.debits_stopped
    if loan.plan is not None and loan.plan["steps"] and not held:
        at = collecting.step_at(loan, rules)
        yield Task(at, "collection-step", lambda: collecting.take_step(loan, at, rules))


def cases(loan: Loan, rules: Rules) -> Iterator[Task]:
    """Work that nobody has done in time. (Complaints have a clock of their own.)"""
    for case_id, file in loan.case_files.items():
        due = collecting.escalation_at(file, rules)
        if due is not None:
            at = max(due, loan.known_at)
            yield Task(at, "case", lambda case_id=case_id, due=due: collecting.escalate(loan, case_id, due, rules))


def papers(loan: Loan, rules: Rules) -> Iterator[Task]:
    """The clock of papers that are not released in time."""
    if duties.papers_wait(loan, rules) and papers_due_by(loan.closed_on or date.max).value:
        on = duties.next_papers_check(loan)
        if on is not None:
            yield Task(day_end(on), "papers", lambda: duties.papers_late(loan, on))
