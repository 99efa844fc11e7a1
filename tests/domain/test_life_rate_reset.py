"""A floating rate moves (servicing rule 27): what the borrower may choose and what it comes to."""

from __future__ import annotations

from typing import Any

import pytest

from domain.commands import ResetRate
from domain.events import CaseOpened, DelinquencyChanged, EmiScheduled, RateReset, StatementDue
from domain.refusals import Refusal
from tests.examples import MANDATE, a_house, a_loan
from tests.stories import (
    Doing,
    Story,
    a,
    asked,
    by_months,
    day,
    emi,
    given,
    on,
    parts,
    payment,
    repaid,
    rupees,
)

LEFT = rupees("96,507")
EMI = rupees("4,993")


def reset(rate: str = "20.00", effective: str = "5 Feb", command_id: str = "R-1", **other: Any) -> Doing:
    fields = {"reason": "repo rate", **other}
    return asked(ResetRate, command_id, effective_on=day(effective), annual_rate_percent=rate, **fields)


def a_floating_loan(**other: Any) -> Story:
    """Rs. 1,00,000 at 18 % floating, the first of 24 instalments paid."""
    loan = a_loan(**{"mandate": {}, **other, "terms": {"rate_type": "floating", **other.get("terms", {})}})
    return given(loan).when(on("5 Feb"), payment("4,993", "FEB"))


def test_a_longer_tenure_keeps_the_instalment_and_takes_as_many_as_it_needs() -> None:
    story = a_floating_loan().when(on("5 Feb 12:00"), reset(option="longer_tenure"))
    story.then(
        a(
            RateReset,
            previous_rate_percent="18",
            annual_rate_percent="20.00",
            rate_type="floating",
            option="longer_tenure",
        ),
        a(EmiScheduled, reason="rate-reset", instalment_paise=EMI, first_number=2),
    )
    rows = repaid(LEFT, "20", 0, EMI)
    assert len(rows) == 24  # one more than the 23 that were left
    assert parts(story.the_loan) == rows


def test_a_higher_instalment_keeps_the_tenure() -> None:
    story = a_floating_loan().when(on("5 Feb 12:00"), reset(option="higher_emi"))
    assert story.the_loan.instalment_paise == emi(LEFT, "20", 23)
    assert parts(story.the_loan) == repaid(LEFT, "20", 23)


def test_both_takes_the_instalment_or_the_number_that_the_borrower_names() -> None:
    story = a_floating_loan().when(on("5 Feb 12:00"), reset(option="both", instalments=30))
    assert parts(story.the_loan) == repaid(LEFT, "20", 30)
    story = a_floating_loan().when(on("5 Feb 12:00"), reset(option="both", instalment_paise=rupees("5,050")))
    assert parts(story.the_loan) == repaid(LEFT, "20", 0, rupees("5,050"))
    a_floating_loan().when(on("5 Feb 12:00"), reset(option="both")).refused(Refusal.nothing_to_change, "/instalments")


def test_the_product_chooses_where_the_borrower_does_not() -> None:
    story = a_floating_loan().when(on("5 Feb 12:00"), reset())
    assert story.all(RateReset)[0].option == "longer_tenure"
    rules = a_house(rate_reset={"option": "higher_emi"})
    story = a_floating_loan(rules=rules).when(on("5 Feb 12:00"), reset())
    assert parts(story.the_loan) == repaid(LEFT, "20", 23)


def test_what_was_offered_is_told_with_its_cost() -> None:
    story = a_floating_loan().when(on("5 Feb 12:00"), reset(option="higher_emi"))
    longer, higher = repaid(LEFT, "20", 0, EMI), repaid(LEFT, "20", 23)
    by_option = {each["option"]: each for each in story.all(RateReset)[0].offered}
    for name, rows, instalment in (("longer_tenure", longer, EMI), ("higher_emi", higher, emi(LEFT, "20", 23))):
        assert by_option[name] == {
            "option": name,
            "instalments": len(rows),
            "instalment_paise": instalment,
            "total_interest_paise": sum(interest for _, interest in rows),
        }


def test_a_switch_to_fixed_is_offered_as_often_as_the_product_allows_it_and_paying_ahead_always() -> None:
    story = a_floating_loan().when(on("5 Feb 12:00"), reset())
    assert story.all(RateReset)[0].offered[2:] == [
        {"option": "switch_to_fixed", "switches_left": 1},
        {"option": "part_prepayment"},
    ]
    story = a_floating_loan(rules=a_house(rate_reset={"fixed_switches": 0})).when(on("5 Feb 12:00"), reset())
    assert story.all(RateReset)[0].offered[2:] == [{"option": "part_prepayment"}]


def test_a_lower_rate_shortens_the_tenure_or_lowers_the_instalment() -> None:
    story = a_floating_loan().when(on("5 Feb 12:00"), reset("12.00", option="longer_tenure"))
    assert parts(story.the_loan) == repaid(LEFT, "12", 0, EMI)
    assert len(story.the_loan.rows) == 1 + 22
    story = a_floating_loan().when(on("5 Feb 12:00"), reset("12.00", option="higher_emi"))
    assert story.the_loan.instalment_paise == emi(LEFT, "12", 23)


def test_the_new_rate_counts_from_its_day_and_the_days_before_bear_the_old_one() -> None:
    story = a_floating_loan().when(on("6 Feb"), reset(effective="20 Feb", option="higher_emi"))
    assert parts(story.the_loan)[0][1] == by_months(LEFT, "18")  # until then as it was
    story.when(on("20 Feb"))
    # 15 of the period's 30 days (5 to 20 February) at 18 %, the other 15 (20 February to 5 March) at 20 %.
    old, new = by_months(LEFT * 15, "18") / 30, by_months(LEFT * 15, "20") / 30
    assert abs(parts(story.the_loan)[0][1] - (old + new)) <= 1
    assert parts(story.the_loan)[1][1] == by_months(LEFT - parts(story.the_loan)[0][0], "20")


def test_a_tenure_beyond_the_products_limit_is_refused_with_both_figures() -> None:
    rules = a_house(rate_reset={"max_instalments": 24})
    story = a_floating_loan(rules=rules).when(on("5 Feb 12:00"), reset(option="longer_tenure"))
    story.refused(Refusal.tenure_too_long, "/option", instalments=25, allowed=24)
    story.when(on("5 Feb 13:00"), reset(option="higher_emi"))
    told = {each["option"]: each for each in story.all(RateReset)[0].offered}
    assert "instalments=25, allowed=24" in told["longer_tenure"]["not_possible"]
    rules = a_house(rate_reset={"max_instalments": 25})
    story = a_floating_loan(rules=rules).when(on("5 Feb 12:00"), reset(option="longer_tenure"))
    assert len(story.the_loan.rows) == 25


def test_a_switch_to_fixed_is_final_where_the_product_allows_one() -> None:
    story = a_floating_loan().when(on("5 Feb 12:00"), reset("19.00", option="switch_to_fixed"))
    story.then(a(RateReset, option="switch_to_fixed", rate_type="fixed"), a(EmiScheduled))
    assert parts(story.the_loan) == repaid(LEFT, "19", 23)
    assert story.the_loan.terms["rate_type"] == "fixed"
    story.when(on("6 Feb"), reset("17.00", "6 Feb", "R-2")).refused(Refusal.rate_is_fixed)


def test_no_switch_where_the_product_allows_none() -> None:
    story = a_floating_loan(rules=a_house(rate_reset={"fixed_switches": 0}))
    story.when(on("5 Feb 12:00"), reset(option="switch_to_fixed")).refused(Refusal.no_switch_left, "/option", allowed=0)


def test_an_instalment_above_the_mandates_limit_asks_for_a_new_mandate() -> None:
    story = a_floating_loan(mandate={**MANDATE, "max_amount_paise": rupees("5,000")})
    story.when(on("5 Feb 12:00"), reset(option="higher_emi"))
    assert [case.kind for case in story.all(CaseOpened)] == ["mandate-limit"]
    assert str(emi(LEFT, "20", 23)) in story.all(CaseOpened)[0].reason


def test_a_longer_tenure_beyond_the_mandates_last_day_asks_for_a_new_mandate() -> None:
    story = a_floating_loan(mandate={**MANDATE, "valid_until": "2028-01-05"})
    story.when(on("5 Feb 12:00"), reset(option="longer_tenure"))
    assert [case.kind for case in story.all(CaseOpened)] == ["mandate-validity"]


def test_a_reset_is_no_restructuring() -> None:
    story = a_floating_loan().when(on("5 Feb 12:00"), reset()).when(on("28 Feb"))
    assert story.all(DelinquencyChanged) == []
    story.and_the_loan(classification="standard", annual_rate_percent="20.00")


def test_a_reset_is_done_once() -> None:
    a_floating_loan().when(on("5 Feb 12:00"), reset()).when(on("6 Feb"), reset()).repeated()


@pytest.mark.parametrize("method", ["flat", "equal_principal", "interest_only"])
def test_other_methods_keep_their_rows_at_the_new_rate(method: str) -> None:
    story = given(a_loan(mandate={}, months=10, terms={"rate_type": "floating", "interest_method": method}))
    story.when(on("5 Jan 12:00"), reset("20.00", "5 Jan"))
    assert len(parts(story.the_loan)) == 10
    interest = parts(story.the_loan)[0][1]
    # A month of 20 % on the whole principal, whatever the method.
    assert interest == by_months(rupees("1,00,000"), "20")


def test_the_quarterly_statement_tells_what_was_recovered_the_emi_and_the_rate_in_force() -> None:
    story = a_floating_loan().when(on("5 Feb 12:00"), reset(option="higher_emi"))
    new = emi(LEFT, "20", 23)
    rows = repaid(LEFT, "20", 23)
    story.when(on("5 Mar"), payment(str(new / 100), "MAR")).when(on("6 Apr"))
    told = story.all(StatementDue)[0]
    assert (told.principal_recovered_paise, told.interest_recovered_paise) == (
        rupees("3,493") + rows[0][0],
        rupees("1,500") + rows[0][1],
    )
    assert (told.instalment_paise, told.instalments_left, told.annual_rate_percent) == (new, 21, "20.00")
