"""Penal charges: by the day on what is overdue, or once an overdue instalment; never interest (servicing rule 25).

Source: RBI, Fair Lending Practice - Penal Charges in Loan Accounts, RBI/2023-24/53, 18 August 2023: a charge and no
interest, not capitalised, no charge on it; CBIC Circular 245/02/2025-GST: no GST.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

from domain import events as e
from domain.decisions.charges import a_charge
from domain.decisions.rules import Rules, percent_of
from domain.decisions.upkeep import shown
from domain.loan import Loan
from domain.product import Product

NO_GST = Decimal(0)
BEARS = ("principal", "interest")
"""What a penal charge counts on: never fees, charges, or penal charges."""
DAYS_OF_YEAR = 365
"""In leap years too: a day costs the same on every day."""


def earned(loan: Loan, through: date, product: Product) -> int:
    """What has been earned since the last levy, up to a day's end (included). Paise, rounded once.

    Every levy stands before the money that follows it, so what is unpaid now was unpaid on all those days. Nothing
    where the borrower's Key Facts Statement shows no penal charge (servicing rule 32).
    """
    if not product.penal_percent or not shown(loan, "penal", 0):
        return 0
    paise_days = 0
    for due in loan.open_dues():
        if due.kind in BEARS:
            first = due.due_on + timedelta(days=product.penal_grace_days)
            if loan.penal_upto is not None:
                first = max(first, loan.penal_upto + timedelta(days=1))
            paise_days += due.unpaid * max(0, (through - first).days + 1)
    return percent_of(paise_days, product.penal_percent / Decimal(DAYS_OF_YEAR))


def levy(loan: Loan, through: date, due_on: date, rules: Rules) -> Iterator[e.ChargeLevied]:
    """Levy what was earned up to a day's end; nothing where nothing was."""
    product = rules.product_of(loan)
    if not product.penal_percent or (loan.penal_upto is not None and through <= loan.penal_upto):
        return
    paise = earned(loan, through, product)
    if not paise:
        return
    reason = f"{product.penal_percent}% a year on what was overdue up to {through}"
    yield a_charge(loan, "penal", paise, NO_GST, due_on, reason, through=through)


def before_money(loan: Loan, value_on: date, rules: Rules) -> Iterator[e.ChargeLevied]:
    """Levy for the days before money counts, so that the charge is on what was unpaid then."""
    yield from levy(loan, value_on - timedelta(days=1), value_on, rules)


def overdue(loan: Loan, number: int) -> bool:
    """Whether an instalment's principal or interest is due and unpaid."""
    return any(due.unpaid for kind in BEARS if (due := loan.due_by_key.get((kind, number))))


def chargeable(loan: Loan, product: Product) -> Iterator[tuple[int, date]]:
    """Overdue instalments that have had no fixed penal charge, with the day on which they have it: the day after the
    grace days, the due day itself counted as one."""
    paise = product.charges["penal"].amount_paise
    if not paise or not shown(loan, "penal", paise):
        return
    had = {fact.number for fact in loan.levied.values() if fact.kind == "penal"}
    for due in loan.open_dues():
        if due.kind in BEARS and isinstance(due.of, int) and due.of not in had:
            had.add(due.of)
            yield due.of, due.due_on + timedelta(days=product.penal_grace_days + 1)


def levy_for(loan: Loan, number: int, on: date, rules: Rules) -> Iterator[e.ChargeLevied]:
    """The fixed penal charge of an instalment, once."""
    paise = rules.product_of(loan).charges["penal"].amount_paise
    yield a_charge(loan, "penal", paise, NO_GST, on, f"instalment {number} is overdue", number=number)
