"""New terms for what is left, and relief in hard times (servicing rules 17 and 22)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from domain import commands as c
from domain import events as e
from domain.calendar import ist_day
from domain.decisions import by_day, penal
from domain.decisions.ahead import on_day
from domain.decisions.downstream import follow
from domain.decisions.moratorium import is_held
from domain.decisions.rules import Rules
from domain.decisions.terms_change import counted_after, reamortise
from domain.decisions.upkeep import live, once
from domain.events import LoanEvent
from domain.loan import Loan
from domain.refusals import Refusal, Refused
from domain.terms import TermsError, read_term


def restructure(loan: Loan, command: c.Restructure, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """New tenure, instalment, rate, moratorium from a day on; arrears may join the principal, penal charges never.

    A concession for hardship downgrades the loan, unless a scheme that the product names says otherwise.
    """
    once(loan, command.command_id)
    live(loan)
    changes = asked_for(command)
    if not changes:
        raise Refused(Refusal.nothing_to_change)
    product = rules.product_of(loan)
    if command.scheme and command.scheme not in product.restructuring_schemes:
        raise Refused(Refusal.scheme_unknown, "/scheme", scheme=command.scheme)
    ahead = loan_on(loan, command.effective_on, now)
    if ahead.next_row is None and not (
        command.capitalise_arrears and (command.instalments or command.instalment_paise)
    ):
        # After the last due date there are only arrears: they can be asked for anew, in so many instalments.
        raise Refused(Refusal.nothing_to_change, "/effective_on", instalments_left=0)
    moratorium: dict[str, Any] = {}
    if command.moratorium_instalments:
        moratorium = {
            "moratorium_instalments": command.moratorium_instalments,
            "moratorium_interest": command.moratorium_interest,
            "moratorium_extends_tenure": command.moratorium_extends_tenure,
        }
    # Arrears are what is overdue on the day of the decision: rows that fall due before the change are owed as they are.
    capitalised = loan.unpaid_of("interest") if command.capitalise_arrears else 0
    arrears = loan.unpaid_of("principal") if command.capitalise_arrears else 0
    principal = ahead.principal_not_due() + capitalised + arrears
    instalments = command.instalments
    if instalments is None and moratorium and command.moratorium_extends_tenure:
        instalments = len(ahead.rows) - ahead.due_rows
    new_schedule = reamortise(
        loan,
        ahead,
        effective_on=command.effective_on,
        principal=principal,
        reason="restructure",
        instalments=instalments,
        instalment_paise=command.instalment_paise,
        annual_rate_percent=command.annual_rate_percent,
        today=ist_day(now),
        **moratorium,
        **rhythm(command),
    )
    yield from penal.before_money(loan, ist_day(now), rules)
    yield e.Restructured(
        effective_on=command.effective_on.isoformat(),
        changes=changes,
        principal_paise=principal,
        capitalised_paise=capitalised,
        reason=command.reason,
        command_id=command.command_id,
        scheme=command.scheme,
        downgraded=command.hardship and not command.scheme,
        dpd=product.restructuring_dpd,
    )
    yield new_schedule
    yield from follow(loan, "the loan was restructured", now, rules)


def rhythm(command: c.Restructure) -> dict[str, Any]:
    """The terms of other due days, where they are asked for."""
    changed: dict[str, Any] = {}
    if command.frequency is not None:
        try:
            changed["frequency"] = read_term("frequency", command.frequency)
        except TermsError as error:
            raise Refused(Refusal.terms_invalid, error.field, because=error.message) from error
    if command.first_due_on is not None:
        changed["first_due_on"] = command.first_due_on
    return {**changed, "due_day": None} if changed else {}


def asked_for(command: c.Restructure) -> dict[str, Any]:
    """What changes; empty when nothing does."""
    changes: dict[str, Any] = {
        name: value
        for name, value in (
            ("instalments", command.instalments),
            ("instalment_paise", command.instalment_paise),
            ("annual_rate_percent", command.annual_rate_percent),
            ("first_due_on", command.first_due_on.isoformat() if command.first_due_on else None),
            ("frequency", command.frequency),
            ("moratorium_instalments", command.moratorium_instalments or None),
        )
        if value is not None
    }
    if command.moratorium_instalments:
        changes["moratorium_interest"] = command.moratorium_interest
        changes["moratorium_extends_tenure"] = command.moratorium_extends_tenure
    return (
        {**changes, "capitalise_arrears": command.capitalise_arrears} if changes or command.capitalise_arrears else {}
    )


def loan_on(loan: Loan, effective_on: date, now: datetime) -> Loan:
    """The loan as it will stand when a change takes effect: today or later."""
    if loan.settlement is not None:
        raise Refused(Refusal.settlement_is_open, "/loan_id", pay_by=loan.settlement["pay_by"])
    if effective_on < ist_day(now):
        raise Refused(Refusal.effective_date_not_ahead, "/effective_on", effective_on=effective_on)
    ahead = on_day(loan, effective_on)
    row = loan.next_row
    kept = loan.rows[loan.due_rows : ahead.due_rows]
    waiting = bool(kept) and (loan.held_paise > 0 or any(is_held(loan, each) for each in kept))
    if row is not None and ahead is not loan and (by_day.counts_days(loan) or waiting):
        # What such a row will ask for is known when it is due; what it capitalises, or collects of a moratorium's
        # interest, is known by the terms in force: nothing can be built on it before.
        raise Refused(Refusal.effective_date_after_an_instalment, "/effective_on", next_due_on=row.due_on)
    return ahead


def grant_relief(loan: Loan, command: c.GrantRelief, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Of the instalments due after a day, the next few ask for interest only, or for nothing.

    The new rows are worked out from the last due day, so that no interest is lost or counted twice.
    """
    once(loan, command.command_id)
    live(loan)
    if command.kind == "payment-holiday" and command.interest == "pay":
        raise Refused(Refusal.holiday_asks_for_nothing, "/interest", interest=command.interest)
    ahead = loan_on(loan, command.effective_on, now)
    left = len(ahead.rows) - ahead.due_rows
    if not left:
        raise Refused(Refusal.nothing_to_change, "/effective_on", instalments_left=0)
    if not command.extends_tenure and command.instalments >= left:
        raise Refused(Refusal.relief_leaves_no_instalment, "/instalments", instalments_left=left)
    since = ahead.accrual_from
    assert since is not None  # a live loan accrues
    out_since = sum(part.amount for part in counted_after(loan, since) if part.on <= command.effective_on)
    new_schedule = reamortise(
        loan,
        ahead,
        effective_on=since,
        principal=ahead.principal_not_due() - out_since,
        reason="relief",
        moratorium_instalments=command.instalments,
        moratorium_interest=command.interest,
        moratorium_extends_tenure=command.extends_tenure,
    )
    yield e.ReliefGranted(
        effective_on=command.effective_on.isoformat(),
        kind=command.kind,
        instalments=command.instalments,
        interest=command.interest,
        extends_tenure=command.extends_tenure,
        reason=command.reason,
        command_id=command.command_id,
    )
    yield new_schedule
    yield from follow(loan, "relief was granted", now, rules)
