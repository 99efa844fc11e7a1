"""A new schedule for what is left of a loan: after a restructuring, a relief, a reset, a part-prepayment."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from domain import events as e
from domain.calendar import year_fraction
from domain.decisions import by_day
from domain.decisions.moratorium import interest_of_period, waits
from domain.loan import Loan
from domain.money import round_to_unit
from domain.parts import Row
from domain.parts import Tranche as Part
from domain.periods import Rates, Span
from domain.refusals import Refusal, Refused
from domain.schedule import Schedule, build_schedule
from domain.terms import ON_THE_FIRST_PRINCIPAL, Terms, TermsError, Tranche

BROKEN_PERIOD = "broken-period-interest"
"""What is kept back from the payout and is no fee."""


def since_payout(loan: Loan, terms: Terms) -> tuple[Schedule, int]:
    """The schedule of a loan that is paid out, and what its first row makes good: interest of a broken period that was
    kept back for more days, or for fewer, than the money was out (servicing rule 26). Paise. Raises `TermsError`."""
    schedule = build_schedule(terms)
    kept = sum(part["amount_paise"] for part in loan.deductions if part["kind"] == BROKEN_PERIOD)
    more = max(schedule.interest_deducted_paise - kept, -schedule.rows[0].interest_paise)
    return (build_schedule(terms, carried=Fraction(more)), more) if more else (schedule, 0)


def next_due_after(terms: Terms, day: date) -> date:
    """The first regular due date after a day: the planned one, unless the money went out later than that."""
    dates = terms.due_dates()
    number = 1
    while dates.nth(number) <= day:
        number += 1
    return dates.nth(number)


def accrued_interest(loan: Loan, principal_paise: int, on: date) -> int:
    """Interest by days that is not due yet, up to a day (included) before the next due date, on the principal that is
    not due, with what waits since a moratorium. Paise, rounded once.

    Never more than the row that it belongs to will ask for: day counts by dates can exceed a regular period's.
    """
    row, terms = loan.next_row, loan.agreed
    earned = round_to_unit(accrued_exactly(loan, principal_paise, on), terms.rounding_mode)
    if row is not None and not waits(loan) and not by_day.counts_days(loan):
        earned = min(earned, max(row.interest, loan.accrual_carried))
    return loan.held_paise + max(earned, 0)


def unearned_interest(loan: Loan, on: date) -> int:
    """Interest that is paid for days after this one (kept back from the payout, or of an instalment paid ahead):
    what goes back when the loan ends on this day. Paise."""
    row, since, terms = loan.next_row, loan.accrual_from, loan.agreed
    if row is None or since is None:
        return 0
    if on >= since:
        return max(0, -round_to_unit(accrued_exactly(loan, loan.principal_not_due(), on), terms.rounding_mode))
    rates = Rates.of(terms.annual_rate_percent, terms.rate_changes)
    days = (Span(on, since, year_fraction(terms.day_count, on, since)),)
    exact = loan.principal_not_due() * rates.factor(days) - loan.carried
    return max(0, round_to_unit(exact, terms.rounding_mode))


def accrued_exactly(loan: Loan, principal_paise: int, on: date) -> Fraction:
    """The same without what waits, and unrounded."""
    row, since, carried = loan.next_row, loan.accrual_from, loan.carried
    if row is None or since is None or on <= since or principal_paise <= 0:
        return carried
    terms = loan.agreed
    if terms.interest_method in ON_THE_FIRST_PRINCIPAL:
        whole = interest_of_period(loan, row) if waits(loan) else row.interest - loan.accrual_carried
        return carried + Fraction(whole * (on - since).days, (row.due_on - since).days)
    if by_day.counts_days(loan):
        return carried + by_day.accrued(loan, on)
    rates = Rates.of(terms.annual_rate_percent, terms.rate_changes)
    days = (Span(since, on, year_fraction(terms.day_count, since, on)),)
    later = [part for part in loan.tranches[1:] if part.status == "settled" and since < part.on <= on]
    exact = (principal_paise - sum(part.amount for part in later)) * rates.factor(days)
    exact += sum(part.amount * rates.factor(days, after=part.on) for part in later)
    return carried + (min(exact, Fraction(interest_of_period(loan, row))) if waits(loan) else exact)


def rate_on(terms: Terms, day: date) -> Decimal:
    """The rate in force after a day, in percent a year."""
    begun = [change.annual_rate_percent for change in terms.rate_changes if change.from_day <= day]
    return begun[-1] if begun else terms.annual_rate_percent


def moratorium_left(loan: Loan) -> int:
    """Rows to come that are still inside the moratorium of the schedule in force."""
    row, held = loan.next_row, loan.terms["moratorium_instalments"]
    last = loan.first_number + held - 1
    return max(0, last - max(row.number, loan.first_number) + 1) if row is not None and held else 0


def counted_after(loan: Loan, day: date) -> list[Part]:
    """Tranches after a day that are out or still planned; one that is with the gateway counts when it arrives."""
    return sorted(
        (part for part in loan.tranches[1:] if part.status in ("settled", "planned") and part.on > day),
        key=lambda part: part.on,
    )


def reamortise(
    loan: Loan,
    *,
    effective_on: date,
    principal: int,
    reason: str,
    instalments: int | None = None,
    instalment_paise: int | None = None,
    annual_rate_percent: str | None = None,
    **terms_too: Any,
) -> e.EmiScheduled:
    """New rows from `effective_on`, on the old due days; after the last of them, on those that would have followed.

    `principal` is repaid by the new rows. What accrued on the principal until now since the last due date stands inside
    the first new row, so that no day bears interest twice, or not at all; days whose interest is paid already (kept
    back from the payout, or of an instalment that was paid ahead) bear none. `terms_too` are further terms.
    """
    replaced = loan.rows[loan.due_rows :]
    apart = replaced[:1] if replaced and replaced[0].number == 0 else []  # the broken period's own row
    rows_left = replaced[len(apart) :]
    start = max(effective_on, loan.accrual_from or effective_on)
    before = (part for part in counted_after(loan, effective_on) if part.status == "planned" and part.on <= start)
    principal += sum(part.amount for part in before)
    old = loan.agreed
    number, due_on = (
        (rows_left[0].number, rows_left[0].due_on)
        if rows_left
        else (loan.rows[-1].number + 1, next_due_after(old, max(effective_on, loan.rows[-1].due_on)))
    )
    left = max(0, min(moratorium_left(loan), len(rows_left) - 1))
    changed: dict[str, Any] = {
        "principal_paise": principal,
        "annual_rate_percent": Decimal(annual_rate_percent) if annual_rate_percent else rate_on(old, start),
        "instalments": instalments or len(rows_left) or 1,
        "disburse_on": start,
        "schedule_starts_on": apart[0].due_on if apart else None,
        "first_due_on": due_on,
        "due_day": old.due_dates().due_day if old.frequency.unit == "months" else None,
        "instalment_paise": instalment_paise,
        "instalment_fixed": instalment_paise is not None,
        "moratorium_instalments": left,
        "moratorium_extends_tenure": False,
        "tranches": tuple(Tranche(part.on, part.amount) for part in counted_after(loan, start)),
        "rate_changes": ()
        if annual_rate_percent
        else tuple(change for change in old.rate_changes if change.from_day > start),
        "fees": (),
        "rows": (),
        "broken_period": "separate" if apart else "spread" if old.interest_method == "reducing" else "add_to_first",
        **terms_too,
    }
    accrued = accrued_exactly(loan, loan.principal_not_due(), effective_on) + loan.held_paise
    try:
        terms = Terms.parse(replace(old, **changed).to_dict())  # changed terms may contradict each other
        schedule = build_schedule(terms, carried=accrued)
        if (below := schedule.rows[0].interest_paise) < 0:  # more was kept back than the row's days earn now
            accrued -= below
            schedule = build_schedule(terms, carried=accrued)
    except TermsError as error:
        raise Refused(Refusal.terms_invalid, error.field, because=error.message) from error
    fees = {row.number: row.fee for row in replaced}
    rows: list[dict[str, Any]] = []
    for index, row in enumerate(schedule.rows):
        told = row.to_dict()
        told["number"] = number - len(apart) + index
        # Fees that wait for a row stay with it, or fall due with the last.
        told["fee_paise"] = fees.pop(told["number"], 0) if row is not schedule.rows[-1] else sum(fees.values())
        told["total_paise"] = told["principal_paise"] + told["interest_paise"] + told["fee_paise"]
        rows.append(told)
    return e.EmiScheduled(
        schedule_version=loan.schedule_version + 1,
        reason=reason,
        effective_on=effective_on.isoformat(),
        instalment_paise=schedule.instalment_paise,
        apr_percent=str(schedule.apr_percent),
        rows=rows,
        terms=terms.to_dict(),
        accrued_paise=round_to_unit(accrued, terms.rounding_mode),
        accrued_exact="" if accrued.denominator == 1 else str(accrued),
        first_number=number,
    )


def brought_forward(
    loan: Loan,
    reason: str,
    principal: int,
    interest: int,
    on: date,
    due_on: date | None = None,
    unearned: int = 0,
) -> e.EmiScheduled:
    """All that is left in one last row, due on the day, or on `due_on`: how a loan ends early. `unearned` interest goes
    back when it has ended."""
    row = loan.next_row
    assert row is not None  # only what is not due can be brought forward
    last = Row(
        number=row.number,
        due_on=due_on or on,
        days=max(0, (on - (loan.accrual_from or on)).days),
        opening=principal,
        principal=principal,
        interest=interest,
        fee=0,
        total=principal + interest,
        closing=0,
    )
    return e.EmiScheduled(
        schedule_version=loan.schedule_version + 1,
        reason=reason,
        effective_on=on.isoformat(),
        instalment_paise=last.total,
        apr_percent=loan.apr_percent,
        rows=[last.dump()],
        terms=loan.terms,
        accrued_paise=-unearned,
        first_number=last.number + 1,  # no row of these terms: nothing of a moratorium waits
    )
