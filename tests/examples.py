"""Named loans for stories: a test names what matters to it. Else it is Rs. 1,00,000 at 18 %, 24 months."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from adapters.house import load_rules, load_shelf
from domain import commands as c
from domain.decisions.rules import Rules
from domain.product import Product, Products
from tests.stories import Story, day, on, payment, rupees

LOAN = "LN-1"
MANDATE: dict[str, Any] = {
    "mandate_id": "M-1",
    "rail": "enach",
    "status": "active",
    "max_amount_paise": 10_000_00,
    "valid_from": "2026-01-01",
    "valid_until": "2029-01-01",
    "bank": "HDFC",
    "umrn": "HDFC0000000000000001",
}
PAYOUT: dict[str, Any] = {"rail": "auto", "account_token": "account:B-1", "ifsc": "HDFC0000001", "last4": "0042"}
EMI = "4,993"
"""The instalment of the usual loan: of the first, 1,500 is interest and 3,493 principal."""


def a_request(
    *,
    loan_id: str = LOAN,
    principal: str = "1,00,000",
    rate: str = "18 %",
    months: int = 24,
    disburse: str = "5 Jan",
    first_due: str = "5 Feb",
    terms: dict[str, Any] | None = None,
    **other: Any,
) -> c.BookLoan:
    """What the LOS asks for."""
    return c.BookLoan(
        **{
            "loan_id": loan_id,
            "borrower_id": "B-1",
            "product": "personal-loan",
            "terms": {
                "principal_paise": rupees(principal),
                "annual_rate_percent": rate.removesuffix("%").strip(),
                "instalments": months,
                "disburse_on": day(disburse).isoformat(),
                "first_due_on": day(first_due).isoformat(),
                **(terms or {}),
            },
            "request_hash": "as-first-sent",
            "mandate": MANDATE,
            **other,
        }
    )


def nothing_yet(rules: Rules | None = None) -> Story:
    """No loan."""
    return Story(rules)


def a_loan(*, at: str = "5 Jan", rules: Rules | None = None, **asked: Any) -> Story:
    """A loan that is paid out (by the LOS, on the day of booking), with an active mandate."""
    return Story(rules).book(on(at), a_request(**{"disburse": at, **asked}))


def a_loan_without_mandate(**asked: Any) -> Story:
    """No debits: only the borrower's own payments move money."""
    return a_loan(mandate={}, **asked)


def a_loan_in_arrears(*, dpd: int = 45, **asked: Any) -> Story:
    """Nothing was paid since the first due day (5 Feb), and the day is such that it is so many days past due."""
    story = a_loan_without_mandate(**asked)
    return story.when(on("5 Feb 23:59") + timedelta(days=dpd - 1, minutes=1))


def a_loan_at_its_last_row(*, months: int = 1, **asked: Any) -> Story:
    """All but the last payment is done; of one instalment unless said otherwise: Rs. 1,00,000 + 1,500, due 5 Feb."""
    return a_loan(**{"mandate": {}, "months": months, **asked})


def a_closed_loan(**asked: Any) -> Story:
    """One instalment, paid on its day by P-1."""
    return a_loan_at_its_last_row(**asked).when(on("5 Feb"), payment("1,01,500"))


def a_loan_paid_out_by_us(*, at: str = "5 Jan", rules: Rules | None = None, **asked: Any) -> Story:
    """The gateway was asked for the payout, and has not answered."""
    return Story(rules).book(on(at), a_request(**{"payout": PAYOUT, "disburse": at, **asked}))


def by_the_calendar(**debits: Any) -> Rules:
    """The lender's rules where a failed debit is tried again after the product's waits."""
    return a_house(debits={"retry": "calendar", **debits})


def a_house(name: str = "personal-loan", **changed: Any) -> Rules:
    """The lender's rules where a product says otherwise: `a_house(debits={"max_attempts": 6})`."""
    shelved = load_shelf(None)[name, 1]
    product = Product.parse(merged(shelved.data, changed))
    return Rules(Products({(name, 1): product}), load_rules().codes)


def merged(data: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    """Tables of a product's file with what was changed in them."""
    both = {
        name: merged(data[name], new) if isinstance(new, Mapping) and isinstance(data.get(name), Mapping) else new
        for name, new in changed.items()
    }
    return {**data, **both}
