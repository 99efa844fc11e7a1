"""The loans of a benchmark: all alike, 24 instalments, so that figures of one run can be compared with another's."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import orjson

from adapters.house import load_rules
from domain import commands as c
from domain.calendar import IST, add_months
from domain.life import handle
from domain.loan import Loan
from streams.envelope import headers_for

FIRST_DUE = date(2026, 2, 5)
PAID_OUT = datetime(2026, 1, 5, 10, tzinfo=IST)
INSTALMENT_PAISE = 499300
MANDATE = {
    "mandate_id": "M-1", "rail": "enach", "status": "active", "max_amount_paise": 1_000_000,
    "valid_from": "2026-01-01", "valid_until": "2036-01-01", "bank": "HDFC",
}  # fmt: skip
TERMS: dict[str, Any] = {
    "principal_paise": 10_000_000, "annual_rate_percent": "18.00", "instalments": 24,
    "disburse_on": "2026-01-05", "first_due_on": FIRST_DUE.isoformat(),
}  # fmt: skip


def loan_id(number: int) -> str:
    return f"BENCH-{number:06d}"


def debit_hour(month: int) -> datetime:
    """An hour after the debit of instalment `month` (from 1) was asked for."""
    day = add_months(FIRST_DUE, month - 1)
    return datetime(day.year, day.month, day.day, 8, tzinfo=IST)


def disbursal(number: int) -> tuple[bytes, list[tuple[str, bytes]]]:
    """`los.disbursal.requested.v1` of a loan that the LOS has paid out itself."""
    body = {
        "loan_id": loan_id(number),
        "borrower": {"borrower_id": f"B-{number}", "segment": "salaried", "salary_day": 1},
        "product": "personal-loan",
        "terms": TERMS,
        "mandate": MANDATE,
    }
    return orjson.dumps(body), headers_for("los.disbursal.requested.v1", f"los:{number}", "bench", PAID_OUT)


def outcome(number: int, month: int) -> tuple[bytes, list[tuple[str, bytes]]]:
    """`gateway.debit.succeeded.v1` of an instalment's first attempt."""
    at = debit_hour(month)
    instruction = f"{loan_id(number)}:{month}:1"
    body = {
        "loan_id": loan_id(number),
        "instruction_id": instruction,
        "amount_paise": INSTALMENT_PAISE,
        "rail": "enach",
        "gateway": "sponsor-bank",
        "bank": "HDFC",
        "gateway_reference": f"GW-{instruction}",
        "at": at.isoformat(),
    }
    return orjson.dumps(body), headers_for("gateway.debit.succeeded.v1", instruction, "bench", at)


def success(number: int, month: int) -> c.RecordDebitSuccess:
    """The same outcome, as the domain's command."""
    return c.RecordDebitSuccess(
        instruction_id=f"{loan_id(number)}:{month}:1",
        amount_paise=INSTALMENT_PAISE,
        value_on=debit_hour(month).date(),
        reference=f"GW-{number}-{month}",
        rail="enach",
        gateway="sponsor-bank",
        bank="HDFC",
    )


def loan_at(number: int, month: int) -> Loan:
    """A loan whose debit of instalment `month` has been asked for, and all before it paid; its events pending."""
    rules = load_rules()
    loan = handle(
        None,
        c.BookLoan(
            loan_id=loan_id(number),
            borrower_id=f"B-{number}",
            product="personal-loan",
            terms=TERMS,
            request_hash="",
            salary_day=1,
            mandate=MANDATE,
        ),
        PAID_OUT,
        rules,
    )
    for paid in range(1, month):
        handle(loan, success(number, paid), debit_hour(paid), rules)
    return handle(loan, c.WakeUp(now=debit_hour(month)), debit_hour(month), rules)
