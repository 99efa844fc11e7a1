"""The lender's books at a month's end: interest earned and not due, the class, and the provision (rules 22, 23)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from domain import events as e
from domain.decisions import penal
from domain.decisions.rules import Rules, percent_of
from domain.decisions.terms_change import accrued_interest
from domain.events import LoanEvent
from domain.law.classification import AssetClass, asset_class
from domain.law.provisions import provision_percent
from domain.loan import Loan


def close_month(loan: Loan, on: date, rules: Rules) -> Iterator[LoanEvent]:
    """Penal charges up to this day, then the figures of the day's end.

    An NPA loan accrues no income; a provision is on the principal outstanding (an NPA's interest is in suspense).
    """
    yield from penal.levy(loan, on, on, rules)
    books = rules.product_of(loan).accrual == "month_end"  # else the month's end is there for penal charges alone
    accrued = accrued_interest(loan, loan.principal_not_due(), on) if books and loan.npa_since is None else 0
    held = asset_class(loan.npa_since, on).value
    percent, rule = percent_for(held, loan, on, rules) if books else (Decimal(0), "")
    yield e.MonthClosed(
        on=on.isoformat(),
        accrued_paise=accrued,
        asset_class=held,
        provision_percent=format(percent, "f"),
        provision_paise=percent_of(loan.principal_paise, percent),
        rule=rule,
    )


def percent_for(held: AssetClass, loan: Loan, on: date, rules: Rules) -> tuple[Decimal, str]:
    """The product's own percentage for a class, else the law's; none where expected credit loss takes its place, which
    the lender's model works out."""
    product = rules.product_of(loan)
    if held in product.provisions:
        return product.provisions[held], f"product {product.name} v{product.version}"
    percent, rule = provision_percent(held, product.lender_kind, product.secured, on)
    return percent or Decimal(0), rule
