"""Interest by the day on the principal that is really outstanding (servicing rule 14, `daily`).

A payment that comes late leaves more principal to bear interest, one that reduces principal early leaves less. The
instalment is kept: interest is taken out of it first, and the last row takes what is left. With every payment on its
day the figures are those of the schedule.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from fractions import Fraction

from domain import events as e
from domain.amortisation import rounded
from domain.loan import Loan
from domain.parts import Row, Tranche
from domain.periods import Rates, Span, by_number


def counts_days(loan: Loan) -> bool:
    """Whether this loan's interest follows the principal by the day."""
    return loan.terms.get("interest_accrual") == "daily"


def outstanding_since(loan: Loan, since: date) -> list[tuple[date, int]]:
    """Principal outstanding by day: (from the day after this one on, paise), the first at `since`.

    What is outstanding now, less what was lent and plus what was repaid after each day. Money counts from its value
    date, the principal that it settled by the waterfall; a due is repaid on no day before its own.
    """
    moves: dict[date, int] = {}
    for part in loan.tranches:
        if part.status == "settled" and part.on > since:
            moves[part.on] = moves.get(part.on, 0) + part.amount
    for day, paise in loan.principal_repaid:
        if day > since:
            moves[day] = moves.get(day, 0) - paise
    balance = loan.principal_paise - sum(moves.values())
    steps = [(since, balance)]
    for day in sorted(moves):
        balance += moves[day]
        steps.append((day, balance))
    return steps


def interest_over(loan: Loan, spans: tuple[Span, ...], until: date) -> Fraction:
    """Exact interest over spans (their days up to `until`, included) on the principal by the day."""
    terms = loan.agreed
    rates = Rates.of(terms.annual_rate_percent, terms.rate_changes)
    steps = outstanding_since(loan, spans[0].start)
    interest = Fraction(0)
    for index, (start, balance) in enumerate(steps):
        end = min(steps[index + 1][0], until) if index + 1 < len(steps) else until
        if start < end:
            interest += balance * (rates.factor(spans, after=start) - rates.factor(spans, after=end))
    return interest


def accrued(loan: Loan, on: date) -> Fraction:
    """Interest earned since the last due day up to a day (included): exact, in paise."""
    row = loan.next_row
    if row is None or loan.accrual_from is None:
        return Fraction(0)
    spans = spans_of(loan, row)
    return interest_over(loan, spans, min(on, row.due_on))


def interest_of(loan: Loan, row: Row) -> int:
    """What the running row's days earn, with what had accrued before the schedule changed. Paise."""
    return rounded(loan.agreed, interest_over(loan, spans_of(loan, row), row.due_on) + loan.carried)


def spans_of(loan: Loan, row: Row) -> tuple[Span, ...]:
    """The days that a row covers."""
    return periods_from(loan, row)[0]


def periods_from(loan: Loan, row: Row) -> list[tuple[Span, ...]]:
    """The days that this row and the later ones cover."""
    last = loan.rows[-1].number
    periods = by_number(loan.agreed, loan.first_number, last)
    return [periods[number].spans for number in range(row.number, last + 1)]


def follow_principal(loan: Loan, on: date) -> Iterator[e.EmiScheduled]:
    """The rows to come, as the principal of today makes them; nothing where they are that already.

    Of the row that is running, the days up to `on` bear interest on what was outstanding, the days after on what is.
    Later rows assume that what is overdue is paid by then: until it is, each row is worked out again when it is due.
    """
    from domain.decisions.moratorium import is_held  # which asks for the interest of a row's days

    row = loan.next_row
    if not counts_days(loan) or row is None or loan.accrual_from is None:
        return
    terms = loan.agreed
    rates = Rates.of(terms.annual_rate_percent, terms.rate_changes)
    spans = periods_from(loan, row)
    balance, waiting = loan.principal_not_due(), loan.held_paise
    rows: list[Row] = []
    for index, old in enumerate(loan.rows[loan.due_rows :]):
        exact = interest_over(loan, spans[0], old.due_on) if index == 0 else balance * rates.factor(spans[index])
        for part in coming(loan, spans[index], old, first=index == 0):
            exact += part.amount * rates.factor(spans[index], after=part.on)
            balance += part.amount
        interest = rounded(terms, exact + loan.carried if index == 0 else exact)
        if is_held(loan, old):
            rows.append(replace(old, opening=balance, principal=0, interest=0, total=old.fee, closing=balance))
            waiting += interest
            if not is_held(loan, loan.rows[loan.due_rows + index + 1]):
                balance += waiting  # what waited joins the principal (servicing rule 8)
            continue
        last = old is loan.rows[-1]
        wanted = balance if last else principal_of(loan, old, interest)
        principal = min(max(wanted, 0), balance)
        total = principal + interest + old.fee
        rows.append(
            replace(
                old, opening=balance, principal=principal, interest=interest, total=total, closing=balance - principal
            )
        )
        balance -= principal
        if balance == 0 and not old.fee:
            break
    if rows != loan.rows[loan.due_rows :]:
        yield e.EmiScheduled(
            schedule_version=loan.schedule_version + 1,
            reason="interest-by-day",
            effective_on=on.isoformat(),
            instalment_paise=loan.instalment_paise,
            apr_percent=loan.apr_percent,
            rows=[each.dump() for each in rows],
            terms=loan.terms,
            accrued_paise=loan.accrual_carried,
            accrued_exact=loan.accrual_exact,
            first_number=loan.first_number,
        )


def coming(loan: Loan, spans: tuple[Span, ...], row: Row, *, first: bool) -> list[Tranche]:
    """Tranches that are planned for a row's days and still to go out: a row's own due day belongs to the next."""
    begins = date.min if first else spans[0].start
    return [part for part in loan.tranches[1:] if part.status == "planned" and begins <= part.on < row.due_on]


def principal_of(loan: Loan, old: Row, interest: int) -> int:
    """What a row repays: what it asks for as planned, less its interest, where instalments are equal; else its own
    principal as planned. (A broken first period's row asks for another amount than the others, by the day too.)"""
    if loan.terms["interest_method"] == "reducing" and old.principal:
        return old.principal + old.interest - interest
    return old.principal
