"""The page docs/ledger.md: the chart of accounts and how each event is posted, from the code and worked by it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from domain import events as e
from domain.events import LoanEvent
from domain.loan import Loan
from domain.money import format_rupees
from domain.parts import Due, Levied, Tranche
from projections.ledger import ACCOUNTS, BY_CODE, NO_POSTING, POSTINGS, post

FEE = {"kind": "processing", "amount_paise": 2_000_00, "gst_paise": 360_00}
BOUNCE: dict[str, Any] = {
    "charge_id": "LN-1:charge:1",
    "kind": "bounce",
    "amount_paise": 500_00,
    "gst_paise": 90_00,
    "due_on": "2026-02-05",
    "number": 1,
    "through": "",
    "by_person": False,
    "waived_paise": 0,
    "falls_away": True,
}

EXAMPLES: tuple[LoanEvent, ...] = (
    e.Disbursed(
        tranche=0,
        amount_paise=1_00_000_00,
        net_paise=97_640_00,
        deductions=[FEE],
        value_on="2026-01-05",
        reference="UTR-1",
    ),
    e.PayoutFailed(
        instruction_id="LN-1:payout:1:1", tranche=0, amount_paise=97_640_00, returned=True, code="R02", reason=""
    ),
    e.InstalmentDue(
        number=1,
        due_on="2026-02-05",
        principal_paise=3_493_00,
        interest_paise=1_500_00,
        fee_paise=118_00,
        fee_gst_paise=18_00,
    ),
    e.ExcessApplied(value_on="2026-02-05", paise=500_00, lines=[{"for": "interest", "number": 1, "paise": 500_00}]),
    e.DebitSucceeded(
        instruction_id="LN-1:1:1",
        number=1,
        attempt=1,
        asked_paise=4_493_00,
        amount_paise=4_493_00,
        value_on="2026-02-05",
        reference="G-1",
        rail="enach",
        gateway="sponsor-bank",
        bank="HDFC",
        lines=[
            {"for": "interest", "number": 1, "paise": 1_000_00},
            {"for": "principal", "number": 1, "paise": 3_493_00},
        ],
    ),
    e.PaymentReceived(
        reference="P-1",
        method="upi",
        amount_paise=10_000_00,
        value_on="2026-02-10",
        intent="part-prepayment",
        lines=[
            {"for": "fee", "number": 1, "paise": 118_00},
            {"for": "prepayment", "paise": 9_382_00},
            {"for": "excess", "paise": 500_00},
        ],
    ),
    e.ReceiptReversed(
        reference="LN-1:1:1",
        amount_paise=4_493_00,
        value_on="2026-02-12",
        source="debit",
        reason="returned late",
        lines=[
            {"for": "excess", "paise": -500_00},
            {"for": "principal", "number": 1, "paise": -3_493_00},
            {"for": "interest", "number": 1, "paise": -500_00},
        ],
    ),
    e.ChargeLevied(
        charge_id="LN-1:charge:1",
        kind="bounce",
        amount_paise=500_00,
        gst_paise=90_00,
        due_on="2026-02-12",
        number=1,
        reason="debit returned",
    ),
    e.ChargeWaived(charge_id="LN-1:charge:1", paise=590_00, reason="goodwill", gst_paise=90_00),
    e.Restructured(
        effective_on="2026-06-01",
        changes={"instalments": 36},
        principal_paise=97_000_00,
        capitalised_paise=3_000_00,
        reason="hardship",
    ),
    e.DelinquencyChanged(
        on="2026-05-06",
        dpd=91,
        bucket="91+",
        classification="NPA",
        oldest_due_on="2026-02-05",
        overdue_paise=19_972_00,
    ),
    e.WrittenOff(
        on="2026-12-31",
        principal_paise=90_000_00,
        interest_paise=6_000_00,
        charges_paise=590_00,
        reason="not traceable",
    ),
    e.Settled(
        on="2026-12-31",
        received_paise=60_000_00,
        principal_paise=30_000_00,
        interest_paise=4_500_00,
        charges_paise=590_00,
    ),
    e.Recast(
        reason="P-2 counts from 2026-02-04",
        value_on="2026-02-04",
        schedule_version=2,
        rows=[],
        due_rows=1,
        instalment_paise=4_993_00,
        apr_percent="18.00",
        terms={},
        first_number=1,
        schedule_reason="disbursal",
        accrual_from="2026-02-05",
        accrual_carried_paise=0,
        held_paise=0,
        capitalised_paise=0,
        dues=[{"kind": "interest", "of": 1, "due_on": "2026-02-05", "amount_paise": 4_350_00, "paid_paise": 4_350_00}],
        charges=[BOUNCE],
        principal_repaid=[],
        prepaid_paise=5_650_00,
        principal_paise=94_350_00,
        excess_paise=0,
        penal_upto="",
        npa_since="",
        advanced=[],
    ),
    e.MonthClosed(
        on="2026-02-28",
        accrued_paise=1_150_00,
        asset_class="standard",
        provision_percent="0.40",
        provision_paise=400_00,
    ),
    e.RefundOwed(paise=250_00, reason="asked for"),
    e.CompensationOwed(
        kind="papers", reference="LN-1", days=2, paise=10_000_00, rule="papers within 30 days", on="2028-02-06"
    ),
    e.Closed(
        on="2028-01-05",
        kind="cancelled",
        refund_paise=250_00,
        fees_returned_paise=2_360_00,
        fees_returned_gst_paise=360_00,
    ),
    e.RefundSettled(instruction_id="LN-1:refund:1", amount_paise=250_00, value_on="2028-01-06", reference="UTR-9"),
    e.RefundFailed(instruction_id="LN-1:refund:1", amount_paise=250_00, code="R02", reason="closed", returned=True),
)
"""One event of each kind that is posted; a test proves that none is missing."""


INTRODUCTION = """\
# The ledger

Made by `make docs` from `projections/ledger.py`; do not edit.

Each event that moves money becomes one journal entry whose amounts sum to 0 (debits positive, credits negative).
That is checked in the code, by a constraint in the database, and by `qist audit verify`. An entry is booked on the
day that the event became known and carries the day from which it counts (`value_on`). Nothing is edited: a
correction is a new entry. Balances and daily totals are sums of the entries.
"""
NON_PERFORMING = """\
## Loans that do not perform

While a loan is NPA, interest that falls due goes to interest suspense and becomes income when it is received
(servicing rule 23). So interest suspense is the unpaid interest of NPA loans. Interest that joined the principal of
an NPA loan was never received and stays in suspense. A write-off takes unpaid interest out of suspense, not out of
the year's result.
"""
PLACES = """\
## Where it is kept

Schema `ledger`: `journal` (one row an event), `balances` (by loan and account), `daily` (debits and credits by
account and day), `accounts`, and the views `entries` (a row a line, with account names) and `trial_balance`.
"""


def ledger_page() -> str:
    """The page docs/ledger.md."""
    return "\n".join((INTRODUCTION, *chart(), *postings(), NON_PERFORMING, *without_entries(), PLACES))


def chart() -> Iterator[str]:
    yield "## Chart of accounts\n"
    yield "| code | account | kind | what it holds |"
    yield "|---|---|---|---|"
    for account in ACCOUNTS:
        yield f"| {account.code} | {account.name} | {account.kind} | {account.holds} |"
    yield ""


def postings() -> Iterator[str]:
    yield "## Postings\n"
    yield "Each with an example, in rupees, as the code posts it.\n"
    for event in EXAMPLES:
        yield f"### `{event.TOPIC}`\n"
        yield " ".join((POSTINGS[type(event)].entries.__doc__ or "").split()) + "\n"
        yield "| account | debit | credit |"
        yield "|---|---:|---:|"
        for account, paise in post(event, an_example_loan()).items():
            debit = format_rupees(paise) if paise > 0 else ""
            credit = format_rupees(-paise) if paise < 0 else ""
            yield f"| {BY_CODE[account].name} | {debit} | {credit} |"
        yield ""


def without_entries() -> Iterator[str]:
    yield "## Events without entries\n"
    yield "| event | why |"
    yield "|---|---|"
    for kind, why in NO_POSTING.items():
        yield f"| `{kind.TOPIC}` | {why} |"
    yield ""


def an_example_loan() -> Loan:
    """As far as postings look at it: what was kept back from its payout, what the last month's end booked, an unpaid
    interest due, a bounce charge, and money held."""
    loan = Loan.shell("LN-1")
    loan.deductions = [FEE]
    loan.tranches = [Tranche(date(2026, 1, 5), 1_00_000_00)]
    due_on = date(2026, 2, 5)
    loan.dues = [Due("interest", 1, due_on, 0, 4_500_00), Due("charge", BOUNCE["charge_id"], due_on, 1, 590_00)]
    loan.levied = {BOUNCE["charge_id"]: Levied("bounce", 500_00, 90_00, due_on, 1)}
    loan.principal_paise, loan.excess_paise = 1_00_000_00, 10_000_00
    loan.accrued_booked, loan.provision_paise = 1_000_00, 300_00
    return loan
