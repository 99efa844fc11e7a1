"""What closes a loan early: the quote, part by part, and closing with a payment that meets it (servicing rule 16)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from domain import commands as c
from domain import events as e
from domain.calendar import ist_day
from domain.decisions.debits import fall_due
from domain.decisions.rules import Rules, percent_of
from domain.decisions.terms_change import accrued_interest, capitalised_after
from domain.decisions.upkeep import live, once
from domain.events import LoanEvent
from domain.loan import Loan, Row
from domain.refusals import Refusal, Refused


def quote_parts(loan: Loan, on: date, rules: Rules) -> dict[str, int]:
    """Each part of what closes the loan on a day, in paise; `excess_paise` is taken off."""
    product = rules.product_of(loan)
    coming = [row for row in loan.rows[loan.due_rows :] if row.due_on <= on]
    capitalised = sum(capitalised_after(loan, row) for row in coming)
    not_due = loan.principal_not_due() + capitalised - sum(row.principal for row in coming)
    # RBI (Pre-payment Charges on Loans) Directions, 2025: none on floating-rate loans to individuals (rule 24).
    barred = loan.terms.get("rate_type") == "floating"
    charge = 0 if barred else percent_of(not_due, product.preclosure_percent)
    return {
        "principal_paise": loan.principal_paise + capitalised,
        "interest_due_paise": loan.unpaid_of("interest") + sum(row.interest for row in coming),
        "interest_accrued_paise": accrued_interest(loan, not_due, on),
        "charges_paise": loan.unpaid_of("fee", "charge") + sum(row.fee for row in coming),
        "penal_charges_paise": loan.unpaid_of("penal"),
        "preclosure_charge_paise": charge,
        "preclosure_gst_paise": percent_of(charge, product.preclosure_gst_percent),
        "excess_paise": loan.excess_paise,
    }


def total_of(parts: dict[str, int]) -> int:
    return sum(parts.values()) - 2 * parts["excess_paise"]


def quote_total(loan: Loan, on: date, rules: Rules) -> int:
    """What must be paid on a day to close the loan, in paise."""
    return total_of(quote_parts(loan, on, rules))


def closing_day(loan: Loan, value_on: date) -> date:
    """Up to which day interest is asked for: the day of a quote that still holds, else the value date.

    Paying exactly the quote within its validity closes the loan (servicing rule 16), so the days between are given up.
    An instalment that fell due meanwhile ends the quote.
    """
    if loan.quote is not None:
        quoted_on, valid_until = (date.fromisoformat(loan.quote[name]) for name in ("on", "valid_until"))
        if quoted_on <= value_on <= valid_until and (loan.accrual_from is None or loan.accrual_from <= quoted_on):
            return quoted_on
    return value_on


def quote(loan: Loan, command: c.QuotePreclosure, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Say what closes the loan, until when that holds, and what a day more costs."""
    once(loan, command.command_id)
    live(loan)
    on = command.on or ist_day(now)
    if on < ist_day(now):
        raise Refused(Refusal.effective_date_not_ahead, "/on", on=on)
    parts = quote_parts(loan, on, rules)
    total = total_of(parts)
    yield e.PreclosureQuoted(
        quote_id=f"{loan.id}:quote:{loan.version + 1}",
        on=on.isoformat(),
        valid_until=(on + timedelta(days=rules.product_of(loan).quote_valid_days)).isoformat(),
        parts=parts,
        total_paise=total,
        per_diem_paise=quote_total(loan, on + timedelta(days=1), rules) - total,
        command_id=command.command_id,
    )


def preclose_with(loan: Loan, on: date, rules: Rules) -> Iterator[LoanEvent]:
    """Bring all that is left forward to one last row, due on the day of payment; the waterfall then does the rest."""
    parts = quote_parts(loan, on, rules)
    row = loan.next_row
    if row is None:
        return
    not_due = loan.principal_not_due()
    last = Row(
        number=row.number,
        due_on=on,
        days=(on - (loan.accrual_from or on)).days,
        opening=not_due,
        principal=not_due,
        interest=parts["interest_accrued_paise"],
        fee=0,
        total=not_due + parts["interest_accrued_paise"],
        closing=0,
    )
    yield e.EmiScheduled(
        schedule_version=loan.schedule_version + 1,
        reason="preclosure",
        effective_on=on.isoformat(),
        instalment_paise=last.total,
        apr_percent=loan.apr_percent,
        rows=[last.dump()],
        terms=loan.terms,
    )
    if parts["preclosure_charge_paise"]:
        yield e.ChargeLevied(
            charge_id=f"{loan.id}:charge:{loan.charges + 1}",
            kind="preclosure",
            amount_paise=parts["preclosure_charge_paise"],
            gst_paise=parts["preclosure_gst_paise"],
            due_on=on.isoformat(),
            number=last.number,
            reason=f"{rules.product_of(loan).preclosure_percent}% of the principal closed early",
        )
    yield from fall_due(loan, last)
