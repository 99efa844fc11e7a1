"""Interest that waits: earned in rows that do not ask for it, until it joins the principal or is collected (rule 8)."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

from domain.amortisation import flat_interest, rounded
from domain.decisions import by_day
from domain.loan import Loan
from domain.parts import Row
from domain.periods import Rates, by_number
from domain.terms import ON_THE_FIRST_PRINCIPAL


def waits(loan: Loan) -> bool:
    """Whether the schedule in force has rows whose interest waits."""
    terms = loan.terms
    return bool(terms["moratorium_instalments"]) and terms["moratorium_interest"] != "pay"


def is_held(loan: Loan, row: Row) -> bool:
    """Whether a row's interest waits."""
    last = loan.first_number + loan.terms["moratorium_instalments"] - 1
    return waits(loan) and loan.first_number <= row.number <= last


def at_fall_due(loan: Loan, row: Row) -> tuple[int, int]:
    """When a row falls due: the interest that joins the principal, and by how much the waiting interest changes."""
    if not waits(loan) or row.number < loan.first_number:
        return 0, 0
    own = by_day.interest_of(loan, row) if by_day.counts_days(loan) else interest_of_period(loan, row, loan.carried)
    if not is_held(loan, row):
        return 0, -min(max(0, row.interest - own), loan.held_paise)
    capitalised = capitalised_after(loan, row)
    return capitalised, own - capitalised


def interest_of_period(loan: Loan, row: Row, carried: Fraction = Fraction(0)) -> int:
    """What a row's whole period earns, whether the row asks for it or not, with what was carried into it. Paise."""
    terms = loan.agreed
    periods = by_number(terms, loan.first_number, row.number)
    rates = Rates.of(terms.annual_rate_percent, terms.rate_changes)
    period = periods[row.number]
    if terms.interest_method in ON_THE_FIRST_PRINCIPAL:
        lent = terms.financed_paise
        rows = [each for each in periods.values() if each.number]
        regular = sum((rates.factor(each.regular) for each in rows), Fraction(0))
        share = flat_interest(terms, lent * regular, len(rows))[period.number - 1]
        broken = rounded(terms, lent * rates.broken(period)) if period.number == 1 else 0
        return max(share + broken + rounded(terms, carried), 0)
    paid_out = sum(tranche.amount_paise for tranche in period.inflows)
    interest = (row.opening - paid_out) * rates.factor(period.spans)
    for tranche in period.inflows:
        interest += tranche.amount_paise * rates.factor(period.spans, after=tranche.on)
    return rounded(terms, interest + carried)


def capitalised_after(loan: Loan, row: Row) -> int:
    """Interest of a moratorium that joins the principal at its end: what the next row opens with besides tranches."""
    terms = loan.terms
    last = loan.first_number + terms["moratorium_instalments"] - 1
    if terms["moratorium_interest"] != "capitalise" or row.number != last or row.closing == 0:
        return 0
    following = next((later for later in loan.rows if later.number == row.number + 1), None)
    if following is None:
        return 0
    return following.opening - row.closing - paid_out_between(loan, row.due_on, following.due_on)


def paid_out_between(loan: Loan, start: date, end: date) -> int:
    """Tranches from a day (included) to another (excluded)."""
    return sum(part.amount for part in loan.tranches[1:] if start <= part.on < end)
