"""No day's interest is asked for twice: kept back from the payout, paid ahead, waiting, or in a row of its own."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from domain import commands as c
from domain.decisions.terms_change import accrued_interest
from domain.events import Closed, EmiScheduled, InstalmentDue, PreclosureQuoted, Recast, RefundInstructed
from domain.loan import Loan
from tests.examples import EMI, PAYOUT, a_loan_without_mandate
from tests.lives import BY_THE_DAY, COLLECTING
from tests.stories import Story, asked, by_days, by_months, day, half_up, on, payment, payout_settled, rupees

LATE_IN_JANUARY = {"at": "20 Jan", "first_due": "5 Mar", "months": 6}
"""Out on 20 January, due from 5 March: 16 broken days to 5 February, then 28 regular ones."""


def a_loan_with(broken_period: str, **asked_for: object) -> Story:
    terms = {"broken_period": broken_period, "day_count": "ACT/365"}
    return a_loan_without_mandate(terms=terms, **{**LATE_IN_JANUARY, **asked_for})


def interest(loan: Loan) -> list[int]:
    return [row.interest for row in loan.rows]


# --- Kept back from the payout -------------------------------------------------------------------------------


def test_interest_that_was_kept_back_from_the_payout_is_not_asked_for_again_after_a_part_prepayment() -> None:
    story = a_loan_with("deduct")
    assert story.the_loan.deductions[0]["amount_paise"] == by_days(rupees("1,00,000"), "18", 16) == rupees("789.04")
    story.when(on("25 Jan"), payment("1,000", intent="part-prepayment"))
    assert story.the_loan.rows[0].interest == by_days(rupees("99,000"), "18", 28) == rupees("1,367.01")


def test_a_quote_asks_for_no_interest_of_days_that_were_paid_for_at_the_payout() -> None:
    story = a_loan_with("deduct")
    accrued = {
        of: accrued_interest(story.the_loan, rupees("1,00,000"), day(of)) for of in ("25 Jan", "5 Feb", "10 Feb")
    }
    assert accrued == {"25 Jan": 0, "5 Feb": 0, "10 Feb": by_days(rupees("1,00,000"), "18", 5)}


def test_hindsight_knows_what_was_kept_back() -> None:
    known = a_loan_with("deduct").when(on("25 Jan"), payment("1,000", intent="part-prepayment", choice="reduce_emi"))
    late = a_loan_with("deduct").when(
        on("20 Feb"), payment("1,000", value="25 Jan", intent="part-prepayment", choice="reduce_emi")
    )
    assert late.all(Recast)
    assert late.the_loan.rows == known.the_loan.rows


@pytest.mark.parametrize(("out_on", "days"), [("23 Jan", 13), ("20 Jan", 16), ("8 Feb", 0)])
def test_a_payout_on_another_day_than_planned_bears_the_interest_of_its_own_days(out_on: str, days: int) -> None:
    """16 days were kept back. Of 13, three come off the first instalment; of none, all, and its own days are fewer."""
    story = a_loan_with("deduct", payout=PAYOUT).when(on(f"{out_on} 18:00"), payout_settled(out_on))
    kept = rupees("789.04")
    regular = by_days(rupees("1,00,000"), "18", min(28, (day("5 Mar") - day(out_on)).days))
    own = by_days(rupees("1,00,000"), "18", days) if days else 0
    assert abs(story.the_loan.rows[0].interest - (regular + own - kept)) <= 1
    assert story.the_loan.disbursed_on == day(out_on)


def test_interest_of_days_after_an_early_closure_goes_back() -> None:
    """Closed on 25 January: eleven of the sixteen days that were kept back are not needed, Rs. 542.47."""
    story = a_loan_with("deduct").when(on("25 Jan"), asked(c.QuotePreclosure))
    total = story.all(PreclosureQuoted)[-1].total_paise
    story.when(on("25 Jan"), payment(f"{total / 100:.2f}", intent="preclosure")).and_the_loan(state="closed")
    [end] = story.all(Closed)
    assert end.interest_returned_paise == by_days(rupees("1,00,000"), "18", 11) == rupees("542.47")
    assert [back.amount_paise for back in story.all(RefundInstructed)] == [rupees("542.47")]
    assert story.the_loan.rows[-1].interest == 0


def test_interest_that_was_paid_ahead_goes_back_with_an_early_closure() -> None:
    """The instalment of 5 February is paid on 10 January with its Rs. 1,500; the loan ends on 20 January. Fifteen days
    (30/360) of 18 % on the Rs. 96,507 left are not needed: Rs. 723.80."""
    story = a_loan_without_mandate().when(on("10 Jan"), payment(EMI, intent="advance"))
    story.when(on("20 Jan"), payment("2,00,000", "P-2", intent="preclosure")).and_the_loan(state="closed")
    assert story.all(Closed)[0].interest_returned_paise == rupees("723.80")


def test_no_row_asks_for_less_than_nothing() -> None:
    """Ten days were kept back of a payout that came nine days late; then principal is paid ahead in the first week."""
    terms = {"broken_period": "deduct", "day_count": "ACT/365", "frequency": "weekly"}
    story = a_loan_without_mandate(at="20 Jan", first_due="6 Feb", months=6, terms=terms, payout=PAYOUT)
    story.when(on("29 Jan 18:00"), payout_settled("29 Jan"))
    story.when(on("30 Jan"), payment("50,000", intent="part-prepayment", choice="reduce_emi"))
    assert all(row.interest >= 0 for row in story.the_loan.rows)
    assert sum(row.principal for row in story.the_loan.rows) == rupees("50,000")


# --- A row of its own ----------------------------------------------------------------------------------------


def test_a_broken_period_that_has_its_own_row_keeps_it_after_a_part_prepayment() -> None:
    story = a_loan_with("separate").when(on("25 Jan"), payment("1,000", intent="part-prepayment", choice="reduce_emi"))
    apart, first = story.the_loan.rows[:2]
    five_days, eleven_days = Decimal(rupees("1,00,000")) * 18 * 5 / 36500, Decimal(rupees("99,000")) * 18 * 11 / 36500
    assert (apart.number, apart.due_on, apart.principal) == (0, day("5 Feb"), 0)
    assert apart.interest == half_up(five_days + eleven_days)
    assert (first.number, first.due_on, first.interest) == (1, day("5 Mar"), by_days(rupees("99,000"), "18", 28))
    assert len(story.the_loan.rows) == 7


def test_interest_by_the_day_knows_the_row_of_the_broken_period() -> None:
    terms = {"broken_period": "separate"}
    story = a_loan_without_mandate(rules=COLLECTING, product=BY_THE_DAY.name, terms=terms, **LATE_IN_JANUARY)
    assert interest(story.the_loan)[:2] == [by_days(rupees("1,00,000"), "18", days) for days in (16, 28)]
    story.when(on("6 Mar"))
    assert [due.number for due in story.all(InstalmentDue)] == [0, 1]


# --- Paid ahead ----------------------------------------------------------------------------------------------


def test_interest_of_an_instalment_that_was_paid_ahead_is_not_asked_for_again() -> None:
    story = a_loan_without_mandate().when(on("10 Jan"), payment(EMI, intent="advance"))
    story.when(on("15 Jan"), payment("10,000", "P-2", intent="part-prepayment"))
    assert story.the_loan.rows[1].due_on == day("5 Mar")
    assert story.the_loan.rows[1].interest == by_months(rupees("86,507"), "18") == 129761  # of 5 February to 5 March


# --- Waiting -------------------------------------------------------------------------------------------------


def test_interest_of_a_broken_flat_period_waits_whole_and_joins_the_principal_whole() -> None:
    """Rs. 1,00,000 flat at 12 %: Rs. 1,000 a month, and eight days (30/360) before the first: Rs. 266.67."""
    terms = {"interest_method": "flat", "day_count": "30/360"}
    story = a_loan_without_mandate(at="2 Jan", first_due="10 Feb", months=6, rate="12 %", terms=terms).when(
        on("3 Jan"),
        asked(c.GrantRelief, effective_on=date(2026, 1, 3), instalments=1, reason="flood", kind="payment-holiday"),
    )
    story.when(on("11 Feb"))
    assert story.all(InstalmentDue)[0].capitalised_paise == rupees("1,266.67")
    assert story.the_loan.held_paise == 0
    assert story.the_loan.principal_paise == rupees("1,01,266.67")


def test_an_accrual_is_never_of_days_before_the_interest_runs() -> None:
    story = a_loan_with("deduct").when(on("25 Jan"), payment("1,000", intent="part-prepayment"))
    assert story.all(EmiScheduled)[-1].accrued_paise == 0
    loan = story.the_loan
    assert [
        accrued_interest(loan, loan.principal_not_due(), day("5 Feb") + timedelta(days=days)) for days in (-3, 0, 1)
    ] == [0, 0, by_days(rupees("99,000"), "18", 1)]
