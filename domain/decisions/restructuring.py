"""New terms for what is left, and relief in hard times (servicing rules 17 and 22)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from domain import commands as c
from domain import events as e
from domain.calendar import ist_day
from domain.decisions import penal
from domain.decisions.agreed import agree, is_for_later
from domain.decisions.downstream import follow
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
    once(loan, command)
    live(loan)
    changes = asked_for(command)
    if not changes:
        raise Refused(Refusal.nothing_to_change)
    product = rules.product_of(loan)
    if command.scheme and command.scheme not in product.restructuring_schemes:
        raise Refused(Refusal.scheme_unknown, "/scheme", scheme=command.scheme)
    if is_for_later(loan, command.effective_on, now):
        yield from agree(loan, "restructure", restructure, command, rules)
        return
    if loan.next_row is None and not (command.capitalise_arrears and (command.instalments or command.instalment_paise)):
        # After the last due date there are only arrears: they can be asked for anew, in so many instalments.
        raise Refused(Refusal.nothing_to_change, "/effective_on", instalments_left=0)
    moratorium: dict[str, Any] = {}
    if command.moratorium_instalments:
        moratorium = {
            "moratorium_instalments": command.moratorium_instalments,
            "moratorium_interest": command.moratorium_interest,
            "moratorium_extends_tenure": command.moratorium_extends_tenure,
        }
    capitalised = loan.unpaid_of("interest") if command.capitalise_arrears else 0
    arrears = loan.unpaid_of("principal") if command.capitalise_arrears else 0
    principal = loan.principal_not_due() + capitalised + arrears
    instalments = command.instalments
    if instalments is None and moratorium and command.moratorium_extends_tenure:
        instalments = len(loan.rows) - loan.due_rows
    new_schedule = reamortise(
        loan,
        effective_on=command.effective_on,
        principal=principal,
        reason="restructure",
        instalments=instalments,
        instalment_paise=command.instalment_paise,
        annual_rate_percent=command.annual_rate_percent,
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


def grant_relief(loan: Loan, command: c.GrantRelief, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Of the instalments due after a day, the next few ask for interest only, or for nothing.

    The new rows are worked out from the last due day, so that no interest is lost or counted twice.
    """
    once(loan, command)
    live(loan)
    if command.kind == "payment-holiday" and command.interest == "pay":
        raise Refused(Refusal.holiday_asks_for_nothing, "/interest", interest=command.interest)
    if is_for_later(loan, command.effective_on, now):
        yield from agree(loan, "relief", grant_relief, command, rules)
        return
    left = len(loan.rows) - loan.due_rows
    if not left:
        raise Refused(Refusal.nothing_to_change, "/effective_on", instalments_left=0)
    if not command.extends_tenure and command.instalments >= left:
        raise Refused(Refusal.relief_leaves_no_instalment, "/instalments", instalments_left=left)
    since = loan.accrual_from
    assert since is not None  # a live loan accrues
    out_since = sum(part.amount for part in counted_after(loan, since) if part.on <= command.effective_on)
    new_schedule = reamortise(
        loan,
        effective_on=since,
        principal=loan.principal_not_due() - out_since,
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
