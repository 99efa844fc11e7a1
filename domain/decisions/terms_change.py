"""A new schedule for what is left of a loan: after a restructuring, a part-prepayment, another payout day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from domain import commands as c
from domain import events as e
from domain.calendar import ist_day, year_fraction
from domain.decisions.cases import a_case
from domain.decisions.rules import Rules
from domain.decisions.upkeep import live, once
from domain.events import LoanEvent
from domain.loan import Loan, Row
from domain.money import round_ratio, round_to_unit
from domain.periods import Rates, Span
from domain.refusals import Refusal, Refused
from domain.schedule import build_schedule
from domain.terms import Terms, TermsError


def next_due_after(terms: Terms, day: date) -> date:
    """The first regular due date after a day: the planned one, unless the money went out later than that."""
    dates = terms.due_dates()
    number = 1
    while dates.nth(number) <= day:
        number += 1
    return dates.nth(number)


def accrued_interest(loan: Loan, principal_paise: int, on: date) -> int:
    """Interest by days that is not due yet, up to a day (included), on the principal that is not due.

    Never more than the row that it belongs to will ask for: day counts by dates can exceed a regular period's.
    """
    coming = [row for row in loan.rows[loan.due_rows :] if row.due_on <= on]
    ahead = loan.rows[loan.due_rows + len(coming) :]
    since, carried = (coming[-1].due_on, 0) if coming else (loan.accrual_from, loan.accrual_carried)
    if since is None or not ahead or on <= since or principal_paise <= 0:
        return carried
    terms = Terms.parse(loan.terms)
    row_interest = ahead[0].interest - carried
    if terms.interest_method == "flat":
        days = (ahead[0].due_on - since).days
        return carried + round_ratio(row_interest * (on - since).days, days, terms.rounding_mode)
    rates = Rates.of(terms.annual_rate_percent, terms.rate_changes)
    days = (Span(since, on, year_fraction(terms.day_count, since, on)),)
    later = [part for part in loan.tranches[1:] if part.status == "settled" and since < part.on <= on]
    exact = (principal_paise - sum(part.amount for part in later)) * rates.factor(days)
    exact += sum(part.amount * rates.factor(days, after=part.on) for part in later)
    return carried + min(round_to_unit(exact, terms.rounding_mode), row_interest)


def rate_on(terms: Terms, day: date) -> Decimal:
    """The rate in force after a day, in percent a year."""
    begun = [change.annual_rate_percent for change in terms.rate_changes if change.from_day <= day]
    return begun[-1] if begun else terms.annual_rate_percent


def principal_after(loan: Loan, coming: list[Row], on: date) -> int:
    """Principal that is not due once these rows have fallen due, with the tranches that go out until then."""
    tranches = sum(part.amount for part in loan.tranches if part.status in ("planned", "instructed") and part.on <= on)
    capitalised = sum(capitalised_after(loan, row) for row in coming)
    return loan.principal_not_due() + tranches + capitalised - sum(row.principal for row in coming)


def capitalised_after(loan: Loan, row: Row) -> int:
    """Interest of a moratorium that joins the principal at its end: what the next row opens with besides tranches."""
    terms = loan.booked_terms
    held = terms["moratorium_instalments"] if terms["moratorium_interest"] == "capitalise" else 0
    if row.number != held or row.closing == 0:
        return 0
    following = next(later for later in loan.rows if later.number == row.number + 1)
    paid_out = sum(part.amount for part in loan.tranches[1:] if row.due_on <= part.on < following.due_on)
    return following.opening - row.closing - paid_out


def reamortise(
    loan: Loan,
    *,
    effective_on: date,
    principal: int,
    interest_base: int,
    reason: str,
    instalments: int | None = None,
    instalment_paise: int | None = None,
    annual_rate_percent: str | None = None,
) -> e.EmiScheduled:
    """New rows from `effective_on`, on the old due days.

    `principal` is repaid by the new rows. What accrued on `interest_base` (the principal until now) since the last
    due date joins the first new row's interest, so that no day bears interest twice, or not at all.
    """
    kept = [row for row in loan.rows[loan.due_rows :] if row.due_on <= effective_on]
    replaced = loan.rows[loan.due_rows + len(kept) :]
    first = replaced[0]
    old = Terms.parse(loan.terms)
    terms = replace(
        old,
        principal_paise=principal,
        annual_rate_percent=Decimal(annual_rate_percent) if annual_rate_percent else rate_on(old, effective_on),
        instalments=instalments or len(replaced),
        disburse_on=effective_on,
        schedule_starts_on=None,
        first_due_on=first.due_on,
        due_day=old.due_dates().due_day if old.frequency.unit == "months" else None,
        instalment_paise=instalment_paise,
        instalment_fixed=instalment_paise is not None,
        moratorium_instalments=0,
        tranches=tuple(part for part in old.tranches if part.on > effective_on),
        rate_changes=()
        if annual_rate_percent
        else tuple(change for change in old.rate_changes if change.from_day > effective_on),
        fees=(),
        broken_period="add_to_first" if old.interest_method == "reducing" else old.broken_period,
    )
    try:
        terms = Terms.parse(terms.to_dict())  # changed terms may contradict each other
        schedule = build_schedule(terms)
    except TermsError as error:
        raise Refused(Refusal.terms_invalid, error.field, because=error.message) from error
    accrued = accrued_interest(loan, interest_base, effective_on)
    fees = {row.number: row.fee for row in replaced}
    rows: list[dict[str, Any]] = [row.dump() for row in kept]
    for index, row in enumerate(schedule.rows):
        told = row.to_dict()
        told["number"] = first.number + index
        if index == 0:
            told["interest_paise"] += accrued
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
        accrued_paise=accrued,
    )


def restructure(loan: Loan, command: c.Restructure, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """New tenure, instalment or rate from a day on; arrears may join the principal, penal charges never (rule 17)."""
    once(loan, command.command_id)
    live(loan)
    changes = {
        name: value
        for name, value in (
            ("instalments", command.instalments),
            ("instalment_paise", command.instalment_paise),
            ("annual_rate_percent", command.annual_rate_percent),
        )
        if value is not None
    }
    if not changes:
        raise Refused(Refusal.nothing_to_change)
    if command.effective_on < ist_day(now):
        raise Refused(Refusal.effective_date_not_ahead, "/effective_on", effective_on=command.effective_on)
    coming = [row for row in loan.rows[loan.due_rows :] if row.due_on <= command.effective_on]
    if len(coming) == len(loan.rows) - loan.due_rows:
        raise Refused(Refusal.nothing_to_change, "/effective_on", instalments_left=0)
    not_due = principal_after(loan, coming, command.effective_on)
    capitalised = loan.unpaid_of("interest") if command.capitalise_arrears else 0
    arrears = loan.unpaid_of("principal") if command.capitalise_arrears else 0
    new_schedule = reamortise(
        loan,
        effective_on=command.effective_on,
        principal=not_due + capitalised + arrears,
        interest_base=not_due,
        reason="restructure",
        instalments=command.instalments,
        instalment_paise=command.instalment_paise,
        annual_rate_percent=command.annual_rate_percent,
    )
    yield e.Restructured(
        effective_on=command.effective_on.isoformat(),
        changes={**changes, "capitalise_arrears": command.capitalise_arrears},
        principal_paise=not_due + capitalised + arrears,
        capitalised_paise=capitalised,
        reason=command.reason,
        command_id=command.command_id,
    )
    yield new_schedule
    limit = loan.mandate.get("max_amount_paise")
    if limit and max(row["total_paise"] for row in new_schedule.rows) > limit:
        yield a_case(
            loan,
            kind="mandate-limit",
            reason=f"the new instalments do not fit the mandate's limit of {limit} paise: register a new one",
        )
