"""The ledger: every event has a posting or a reason for none, and the books agree with the loan in any life."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import events as e
from domain import snapshot
from domain.decisions.debits import gst_in_fee
from domain.events import CATALOGUE, LoanEvent
from domain.loan import Loan
from projections.ledger import (
    ACCOUNTS,
    BANK,
    BY_CODE,
    CHARGE_INCOME,
    CHARGES_RECEIVABLE,
    EXCESS,
    FEE_INCOME,
    GST_PAYABLE,
    INTEREST_ACCRUED,
    INTEREST_INCOME,
    INTEREST_RECEIVABLE,
    INTEREST_SUSPENSE,
    NO_POSTING,
    PENAL_INCOME,
    POSTINGS,
    PRINCIPAL,
    PROVISION_EXPENSE,
    PROVISIONS,
    SETTLED,
    SETTLEMENT_LOSS,
    WAIVERS,
    WRITTEN_OFF,
    balances_by_state,
    post,
)
from projections.ledger_page import EXAMPLES, an_example_loan
from tests.lives import CHANGING, PRODUCTS, a_life, the_loan
from tests.states import fields, folded


def test_every_event_of_the_catalogue_is_posted_or_says_why_not() -> None:
    assert {*POSTINGS} | {*NO_POSTING} == {*CATALOGUE.values()}
    assert not {*POSTINGS} & {*NO_POSTING}
    assert all(NO_POSTING.values())


def test_every_posting_names_fields_that_its_event_has() -> None:
    for kind, posting in POSTINGS.items():
        for name in (posting.value_on, posting.reference):
            assert not name or name in kind.__dataclass_fields__, (kind, name)


def test_every_posting_is_explained_and_has_an_example() -> None:
    assert {type(event) for event in EXAMPLES} == {*POSTINGS}
    assert all(posting.entries.__doc__ for posting in POSTINGS.values())


def test_the_chart_has_each_account_once() -> None:
    assert len(BY_CODE) == len(ACCOUNTS) == len({account.name for account in ACCOUNTS})
    assert {*SETTLED.values()} <= {*BY_CODE}


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.TOPIC)
def test_the_examples_balance(event: LoanEvent) -> None:
    entries = post(event, an_example_loan())
    assert entries
    assert sum(entries.values()) == 0


def test_a_disbursal_is_principal_out_of_the_bank_less_what_is_kept_back() -> None:
    event = e.Disbursed(
        tranche=0,
        amount_paise=100_000,
        net_paise=96_640,
        deductions=[
            {"kind": "processing", "amount_paise": 2_000, "gst_paise": 360},
            {"kind": "broken-period-interest", "amount_paise": 1_000, "gst_paise": 0},
        ],
        value_on="2026-01-05",
        reference="UTR",
    )
    assert post(event, Loan.shell("LN-1")) == {
        PRINCIPAL: 100_000, FEE_INCOME: -2_000, GST_PAYABLE: -360, INTEREST_INCOME: -1_000, BANK: -96_640,
    }  # fmt: skip


def test_a_returned_payout_is_the_exact_reverse_of_its_disbursal() -> None:
    disbursed, returned = EXAMPLES[0], EXAMPLES[1]
    loan = an_example_loan()
    month_end = {INTEREST_ACCRUED: -1_000_00, INTEREST_INCOME: 1_000_00, PROVISIONS: 300_00, PROVISION_EXPENSE: -300_00}
    assert post(returned, loan).items() >= month_end.items()
    loan.accrued_booked = loan.provision_paise = 0
    assert post(returned, loan) == {account: -paise for account, paise in post(disbursed, loan).items()}
    assert post(e.PayoutFailed(**{**told(returned), "returned": False}), loan) == {}


def test_money_received_credits_what_it_settles() -> None:
    event = e.PaymentReceived(
        reference="P",
        method="upi",
        amount_paise=1_000,
        value_on="2026-02-05",
        intent="dues",
        lines=[
            {"for": "interest", "number": 1, "paise": 300},
            {"for": "interest", "number": 2, "paise": 100},
            {"for": "penal", "charge_id": "c", "paise": 50},
            {"for": "excess", "paise": 550},
        ],
    )
    assert post(event, Loan.shell("LN-1")) == {
        BANK: 1_000, INTEREST_RECEIVABLE: -400, CHARGES_RECEIVABLE: -50, EXCESS: -550,
    }  # fmt: skip


def test_interest_of_an_npa_loan_is_income_when_it_is_received() -> None:
    loan = an_example_loan()
    loan.classification, loan.accrued_booked = "NPA", 0
    due = e.InstalmentDue(number=4, due_on="2026-05-05", principal_paise=0, interest_paise=700, fee_paise=0)
    assert post(due, loan) == {INTEREST_RECEIVABLE: 700, INTEREST_SUSPENSE: -700}
    paid = e.PaymentReceived(
        reference="P",
        method="upi",
        amount_paise=700,
        value_on="2026-05-06",
        intent="dues",
        lines=[{"for": "interest", "number": 4, "paise": 700}],
    )
    assert post(paid, loan) == {
        BANK: 700, INTEREST_RECEIVABLE: -700, INTEREST_SUSPENSE: 700, INTEREST_INCOME: -700,
    }  # fmt: skip


def test_only_the_step_into_npa_moves_income_to_suspense() -> None:
    loan = an_example_loan()
    changed = EXAMPLES[[type(event) for event in EXAMPLES].index(e.DelinquencyChanged)]
    assert post(changed, loan) == {INTEREST_INCOME: 450_000, INTEREST_SUSPENSE: -450_000}
    loan.classification = "NPA"
    assert post(changed, loan) == {}


@pytest.mark.parametrize(
    ("downgraded", "classification", "moved"), [(True, "SMA-1", 300), (False, "SMA-1", 0), (True, "NPA", 0)]
)
def test_arrears_that_join_the_principal_of_a_loan_that_becomes_npa_are_no_income(
    downgraded: bool, classification: str, moved: int
) -> None:
    """Of a loan that is NPA already they are in suspense and stay; of one that keeps its class they are income."""
    loan = an_example_loan()
    loan.classification = classification
    restructured = e.Restructured(
        effective_on="2026-03-10", changes={}, principal_paise=10_300, capitalised_paise=300, reason="ill",
        downgraded=downgraded,
    )  # fmt: skip
    entries = post(restructured, loan)
    assert (entries[PRINCIPAL], entries[INTEREST_RECEIVABLE]) == (300, -300)
    assert (entries.get(INTEREST_INCOME, 0), entries.get(INTEREST_SUSPENSE, 0)) == (moved, -moved)


SEEDS = st.integers(0, 10**9)
LIVES = settings(max_examples=150, deadline=None)
MORE_LIVES = settings(max_examples=3000, deadline=None)


def the_books_agree_with_the_loan(seed: int, **life_of: Any) -> None:
    """Every posting balances (or `post` stops), and the ledger is the loan by other means."""
    life = a_life(seed, products=PRODUCTS, **life_of)
    balances, loan = totals(life), the_loan(life)
    assert {account: balances[account] for account in balances_by_state(loan)} == balances_by_state(loan)
    assert sum(balances.values()) == 0
    assert balances[BANK] == loan.received_paise - owed_without_money(life) - bank_out(life)
    assert fields(folded(life)) == fields(loan)
    assert fields(snapshot.load(loan.id, snapshot.dump(loan))) == fields(loan)
    the_result_is_what_was_charged(life, loan, balances)


def the_result_is_what_was_charged(life: list[LoanEvent], loan: Loan, balances: Counter[int]) -> None:
    """Income and tax by the loan's own dues: a third way to the numbers, which no correction may bend."""
    ends = [event for event in life if isinstance(event, e.WrittenOff | e.Settled)]
    kept = loan.deductions if loan.disbursed_on else []
    broken = sum(part["amount_paise"] for part in kept if part["kind"] == "broken-period-interest")
    fees = sum(part["amount_paise"] + part["gst_paise"] for part in kept) - broken
    interest_lost = sum(event.interest_paise for event in ends)
    charges_lost = sum(event.charges_paise for event in ends)
    losses = balances[WRITTEN_OFF] + balances[SETTLEMENT_LOSS]
    of_npa = losses - interest_lost - charges_lost - sum(event.principal_paise for event in ends)
    interest = sum(due.amount for due in loan.dues if due.kind == "interest") + interest_lost
    broken -= sum(event.interest_returned_paise for event in life if isinstance(event, e.Closed))
    earned = interest + loan.capitalised_paise + broken + loan.accrued_booked
    assert -balances[INTEREST_INCOME] - balances[INTEREST_SUSPENSE] - of_npa == earned
    charged = sum(due.amount for due in loan.dues if due.kind in ("fee", "charge", "penal")) + charges_lost
    returned = sum(event.fees_returned_paise for event in life if isinstance(event, e.Closed))
    income = sum(balances[account] for account in (FEE_INCOME, CHARGE_INCOME, PENAL_INCOME, GST_PAYABLE))
    assert -income - balances[WAIVERS] == charged + fees - returned
    if not ends:
        tax = sum(part["gst_paise"] for part in kept) + sum(fact.gst_that_stands for fact in loan.levied.values())
        tax += sum(gst_in_fee(loan, due.amount) for due in loan.dues if due.kind == "fee")
        tax -= sum(event.fees_returned_gst_paise for event in life if isinstance(event, e.Closed))
        assert -balances[GST_PAYABLE] == tax
    if not any(isinstance(event, e.Restructured) and event.capitalised_paise for event in life):
        unpaid_interest = loan.unpaid_of("interest") if loan.classification == "NPA" else 0
        assert -balances[INTEREST_SUSPENSE] == unpaid_interest


@LIVES
@given(SEEDS)
def test_in_any_life_the_books_agree_with_the_loan(seed: int) -> None:
    the_books_agree_with_the_loan(seed)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.sampled_from(["add_to_first", "deduct", "separate"]), st.sampled_from(["reducing", "equal_principal"]))
def test_in_lives_full_of_changes_the_books_agree_with_the_loan(seed: int, broken: str, method: str) -> None:
    terms = {"broken_period": broken, "interest_method": method}
    the_books_agree_with_the_loan(seed, doings=CHANGING, eventful=0.6, terms=terms)


@pytest.mark.slow
@MORE_LIVES
@given(SEEDS)
def test_in_thousands_of_lives_the_books_agree_with_the_loan(seed: int) -> None:
    the_books_agree_with_the_loan(seed)


def owed_without_money(life: list[LoanEvent]) -> int:
    """What the loan counts as if it had come in, because it goes out as a refund does."""
    owed = 0
    for event in life:
        match event:
            case e.CompensationOwed():
                owed += event.paise
            case e.Closed():
                owed += event.fees_returned_paise + event.interest_returned_paise
            case _:
                pass
    return owed


def totals(life: list[LoanEvent]) -> Counter[int]:
    balances: Counter[int] = Counter()
    loan = Loan.shell(life[0].originator_id)
    for event in life:
        for account, paise in post(event, loan).items():
            balances[account] += paise
        loan.evolve(event)
    return balances


def bank_out(life: list[LoanEvent]) -> int:
    """Money that left the bank, by the events and not by the postings."""
    out = 0
    for event in life:
        match event:
            case e.Disbursed():
                out += event.net_paise
            case e.PayoutFailed(returned=True):
                out -= event.amount_paise
            case e.RefundSettled():
                out += event.amount_paise
            case e.RefundFailed(returned=True):
                out -= event.amount_paise
            case _:
                pass
    return out


def told(event: LoanEvent) -> dict[str, object]:
    return {name: value for name, value in event.__dict__.items() if not name.startswith("originator")}
