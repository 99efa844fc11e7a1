"""What a product may not say: each rule refuses its own contradiction by name; what is near it but allowed passes."""

from __future__ import annotations

import tomllib

import pytest

from domain.contradictions import CONTRADICTIONS
from domain.product import check

LEAST = """
name = "gold-loan"
version = 1
description = "A gold loan"
"""

# (the rule, what is refused, the paths that are blamed)
REFUSED = [
    ("gst_where_none_is", '[charges.penal]\namount_paise = 1\ngst_percent = "18.00"', ["charges.penal.gst_percent"]),
    ("two_penal_charges", '[charges.penal]\namount_paise = 1\npercent_per_annum = "24.00"', ["charges.penal"]),
    ("two_penal_charges", "[charges.penal]\ngrace_days = 3", ["charges.penal.grace_days"]),
    (
        "barred_prepayment_charge",
        'terms.rate_type = "floating"\nprepayment.charge_percent = "2.00"\npreclosure.charge_percent = "2.00"',
        ["prepayment.charge_percent", "preclosure.charge_percent"],
    ),
    (
        "barred_prepayment_charge",
        'terms.rate_type = "floating"\nloan = {purpose = "business", borrower = "mse"}\nlender.kind = "bank"\n'
        'preclosure.charge_percent = "2.00"',
        ["preclosure.charge_percent"],
    ),
    ("short_notice_of_a_debit", "debits.notice_hours = {upi = 23}", ["debits.notice_hours.upi"]),
    ("short_notice_of_a_debit", "debits.notice_hours = {card = 0}", ["debits.notice_hours.card"]),
    ("attempts_beyond_the_rail", "debits.rail_attempts = {upi = 5}", ["debits.rail_attempts.upi"]),
    (
        "attempts_beyond_the_rail",
        "debits = {max_attempts = 5, rail_attempts = {enach = 3, nach = 3, card = 3}}",
        ["debits.max_attempts"],
    ),
    ("retries_beyond_the_window", "debits = {max_attempts = 6}", ["debits.soft_retry_after_days"]),
    (
        "retries_beyond_the_window",
        "debits = {window_days = 1, technical_retry_after_hours = [20], soft_retry_after_days = [366]}",
        ["debits.soft_retry_after_days", "debits.technical_retry_after_hours"],
    ),
    ("cooling_off_under_a_day", "cooling_off.days = 0", ["cooling_off.days"]),
    (
        "thresholds_unlike_the_law",
        'delinquency.classes = [[0, "standard"], [1, "SMA-0"], [31, "SMA-1"], [61, "SMA-2"], [90, "NPA"]]',
        ["delinquency.classes"],
    ),
    (
        "thresholds_unlike_the_law",
        'delinquency.buckets = [[0, "current"], [1, "1-60"], [61, "61-90"], [91, "91+"]]',
        ["delinquency.buckets"],
    ),
    (
        "excess_that_cannot_prepay",
        'allocation.excess = "prepay"\nterms.interest_method = "flat"',
        ["allocation.excess"],
    ),
    (
        "terms_that_no_loan_has",
        'terms = {interest_method = "flat", interest_accrual = "daily"}',
        ["terms.interest_accrual"],
    ),
    ("terms_that_no_loan_has", 'terms.holiday_moves = "due_date"', ["terms.holiday_moves"]),
    (
        "terms_that_no_loan_has",
        'terms = {frequency = "bullet", broken_period = "separate"}',
        ["terms.broken_period"],
    ),
    (
        "terms_that_no_loan_has",
        'terms = {interest_method = "step_down", step_percent = "100", step_every = 12}',
        ["terms.step_percent"],
    ),
    ("answers_too_late", "grievance.answer_within_days = 31", ["grievance.answer_within_days"]),
    ("answers_too_late", "rate_reset.statement_months = 4", ["rate_reset.statement_months"]),
    ("answers_too_late", "restructuring.upgrade_after_months = 11", ["restructuring.upgrade_after_months"]),
    ("papers_without_security", "loan.papers_held = true", ["loan.papers_held"]),
    ("enterprise_with_personal_purpose", 'loan.borrower = "mse"', ["loan.purpose"]),
    # The law asks a middle-layer NBFC for 10 % of sub-standard, 50 % of doubtful-3 (unsecured: 100 %).
    (
        "provisions_too_low",
        'loan.secured = true\naccounting.provisions = {sub-standard = "9.99", doubtful-3 = "50.00"}',
        ["accounting.provisions.sub-standard"],
    ),
    (
        "provisions_too_low",
        'loan.secured = true\naccounting.provisions = {doubtful-1 = "40.00", doubtful-2 = "35.00"}',
        ["accounting.provisions.doubtful-2"],
    ),
    ("charge_misspelt", "charges.bounced.amount_paise = 50000", ["charges.bounced"]),
]

ALLOWED = [
    '[charges.penal]\npercent_per_annum = "24.00"\ngrace_days = 3',
    'terms.rate_type = "fixed"\npreclosure.charge_percent = "4.00"',
    # A smaller lender's business loans are barred up to Rs. 50 lakh only: seen when such a loan pays (rule 24).
    'terms.rate_type = "floating"\nloan.purpose = "business"\npreclosure.charge_percent = "2.00"',
    "debits.notice_hours = {enach = 0}",
    "debits = {max_attempts = 6, soft_retry_after_days = [5], rail_attempts = {upi = 4, enach = 6}}",
    "debits = {max_attempts = 1, window_days = 0}",
    'terms = {holiday_shift = "following", holiday_moves = "due_date"}',
    # What a step-up loan steps by may come with each loan.
    'terms.interest_method = "step_up"',
    'terms = {frequency = "bullet"}',
    # What is large, long or on another day is so for the loans, which the product need not know.
    "terms.due_day = 31",
    'terms = {interest_method = "balloon", balloon_paise = 9_000_000_00}',
    'terms.fees = [{kind = "processing", amount_paise = 2_00_000_00, due_with_row = 60}]',
    'terms = {moratorium_instalments = 36, moratorium_interest = "capitalise"}',
    'terms = {frequency = "weekly", instalment_fixed = true}',
    'terms.interest_accrual = "daily"\nallocation.excess = "prepay"',
    'loan.secured = true\naccounting.provisions = {sub-standard = "15.00", doubtful-1 = "30.00", doubtful-2 = "30.00"}',
    'loan = {borrower = "mse", purpose = "business"}',
    "charges.visit.amount_paise = 20000",
]


@pytest.mark.parametrize(("rule", "said", "paths"), REFUSED)
def test_a_contradiction_is_refused_by_its_rule_alone(rule: str, said: str, paths: list[str]) -> None:
    answer = check(tomllib.loads(LEAST + said))
    assert answer.product is None
    assert [problem.path for problem in answer.reading.problems] == paths
    alone = check(tomllib.loads(LEAST))
    assert alone.product is not None
    assert not alone.reading.problems


@pytest.mark.parametrize("said", ALLOWED)
def test_what_is_near_a_contradiction_but_allowed_passes(said: str) -> None:
    assert check(tomllib.loads(LEAST + said)).reading.problems == []


def test_every_rule_has_an_example() -> None:
    assert {rule for rule, _, _ in REFUSED} == {contradiction.__name__ for contradiction in CONTRADICTIONS}


def test_a_refusal_says_what_is_wrong_and_what_to_do() -> None:
    said = 'terms.rate_type = "floating"\npreclosure.charge_percent = "2.00"'
    [problem] = check(tomllib.loads(LEAST + said)).reading.problems
    assert str(problem) == (
        "preclosure.charge_percent: is 2.00, but the law says: No pre-payment charge on a floating-rate loan to an "
        "individual for other than business, with or without co-obligants, by any lender (R4.1, RBI (Pre-payment "
        'Charges on Loans) Directions, 2025, 2 July 2025; rule 24). Say "0.00".'
    )


def test_contradictions_are_looked_for_when_every_setting_can_be_read() -> None:
    both = 'cooling_off.days = 0\nloan.secured = "yes"'
    assert [problem.path for problem in check(tomllib.loads(LEAST + both)).reading.problems] == ["loan.secured"]
