"""What closes a loan early: the quote, part by part, and closing with a payment that meets it (servicing rule 16)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from domain import commands as c
from domain import events as e
from domain.calendar import days_of_year, ist_day
from domain.decisions import penal
from domain.decisions.ahead import on_day
from domain.decisions.charges import a_charge
from domain.decisions.debits import fall_due
from domain.decisions.rules import Rules, percent_of
from domain.decisions.terms_change import accrued_interest, brought_forward, rate_on, unearned_interest
from domain.decisions.upkeep import live, once, shown
from domain.events import LoanEvent
from domain.law.prepayment import prepayment_charge_barred
from domain.loan import Loan
from domain.money import round_ratio, round_to_unit
from domain.refusals import Refusal, Refused
from domain.terms import ON_THE_FIRST_PRINCIPAL


def quote_parts(loan: Loan, on: date, rules: Rules) -> dict[str, int]:
    """Each part of what closes the loan on a day, in paise; `excess_paise` is taken off."""
    product = rules.product_of(loan)
    loan = on_day(loan, on)
    not_due = loan.principal_not_due()
    percent = Decimal(0) if charge_barred(loan, on, rules) else product.preclosure_percent
    charge = percent_of(not_due, percent)
    if charge and not shown(loan, "preclosure", charge):
        charge = 0
    return {
        "principal_paise": loan.principal_paise,
        "interest_due_paise": loan.unpaid_of("interest"),
        "interest_accrued_paise": accrued_interest(loan, not_due, on),
        "charges_paise": loan.unpaid_of("fee", "charge"),
        "penal_charges_paise": loan.unpaid_of("penal") + penal.earned(loan, on - timedelta(days=1), product),
        "preclosure_charge_paise": charge,
        "preclosure_gst_paise": percent_of(charge, product.preclosure_gst_percent),
        "excess_paise": loan.excess_paise,
    }


def charge_barred(loan: Loan, on: date, rules: Rules) -> str:
    """The dated rule that bars a charge for paying early; empty where none does (servicing rule 24)."""
    product = rules.product_of(loan)
    rule = prepayment_charge_barred(
        sanctioned_on=loan.sanctioned_on or on,
        on=on,
        rate_type_now=loan.terms["rate_type"],
        purpose=product.purpose,
        borrower_kind=product.borrower_kind,
        lender=product.lender_kind,
        sanctioned_paise=loan.booked_terms["principal_paise"],
    )
    return rule.ref if rule is not None else ""


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


def penal_since(loan: Loan, on: date) -> list[tuple[str, int]]:
    """Of penal charges levied at a month's end for days from a quote on, what the quote had not: (charge, paise)."""
    if loan.quote is None:
        return []
    left = loan.unpaid_of("penal") - loan.quote["parts"]["penal_charges_paise"]
    found: list[tuple[str, int]] = []
    for charge_id, fact in reversed(loan.levied.items()):
        due = loan.charge(charge_id)
        if left > 0 and due is not None and fact.through is not None and fact.through >= on and due.unpaid:
            found.append((charge_id, min(left, due.unpaid)))
            left -= found[-1][1]
    return found


def quote(loan: Loan, command: c.QuotePreclosure, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Say what closes the loan, until when that holds, and what a day more costs."""
    once(loan, command)
    live(loan)
    on = command.on or ist_day(now)
    if on < ist_day(now):
        raise Refused(Refusal.effective_date_not_ahead, "/on", on=on)
    parts = quote_parts(loan, on, rules)
    yield e.PreclosureQuoted(
        quote_id=f"{loan.id}:quote:{loan.version + 1}",
        on=on.isoformat(),
        valid_until=valid_until(loan, on, rules).isoformat(),
        parts=parts,
        total_paise=total_of(parts),
        per_diem_paise=per_diem(loan, on, rules),
        command_id=command.command_id,
    )


def valid_until(loan: Loan, on: date, rules: Rules) -> date:
    """The last day on which exactly the quote closes the loan: the product's days, and not past the next due date, when
    another instalment is owed."""
    last = on + timedelta(days=rules.product_of(loan).quote_valid_days)
    due_on = next((row.due_on for row in loan.rows[loan.due_rows :] if row.due_on > on), None)
    return last if due_on is None else min(last, due_on - timedelta(days=1))


def per_diem(loan: Loan, on: date, rules: Rules) -> int:
    """What a day more costs: a day's interest on the principal that is not due, and a day's penal charge. Paise."""
    product = rules.product_of(loan)
    loan = on_day(loan, on)
    row, terms = loan.next_row, loan.agreed
    late = sum(due.unpaid for due in loan.open_dues() if due.kind in penal.BEARS)
    penal_a_day = percent_of(late, product.penal_percent / penal.DAYS_OF_YEAR)
    if row is None:
        return penal_a_day
    if terms.interest_method in ON_THE_FIRST_PRINCIPAL:
        days = max(1, (row.due_on - (loan.accrual_from or on)).days)
        return penal_a_day + round_ratio(row.interest - loan.accrual_carried, days, terms.rounding_mode)
    rate = Fraction(rate_on(terms, on)) / 100
    return penal_a_day + round_to_unit(loan.principal_not_due() * rate / days_of_year(terms.day_count, on))


def preclose_with(loan: Loan, on: date, rules: Rules) -> Iterator[LoanEvent]:
    """Bring all that is left forward to one last row, due on the day of payment; the waterfall then does the rest."""
    yield from penal.before_money(loan, on, rules)
    parts = quote_parts(loan, on, rules)
    row = loan.next_row
    if row is None:
        return
    not_due, accrued = loan.principal_not_due(), parts["interest_accrued_paise"]
    yield brought_forward(loan, "preclosure", not_due, accrued, on, unearned=unearned_interest(loan, on))
    if parts["preclosure_charge_paise"]:
        product = rules.product_of(loan)
        reason = f"{product.preclosure_percent}% of the principal closed early"
        paise, gst_percent = parts["preclosure_charge_paise"], product.preclosure_gst_percent
        yield a_charge(loan, "preclosure", paise, gst_percent, on, reason, number=row.number)
    yield from fall_due(loan, loan.rows[loan.due_rows])
