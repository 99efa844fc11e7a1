"""The lender's books at a month's end: interest earned and not due, the class, the provision (rules 22 and 23).

The usual loan counts 30/360: from the 5th of a month to its last day are 26 days where it has 30 or 31, 23 in February.
"""

from __future__ import annotations

from decimal import Decimal

from domain.commands import WriteOff
from domain.events import ChargeLevied, DelinquencyChanged, MonthClosed
from domain.law.provisions import provision_percent
from tests.examples import a_closed_loan, a_house, a_loan_in_arrears, a_loan_without_mandate
from tests.stories import Story, a, asked, by_days, by_months, day, given, half_up, on, payment, rupees


def closed(story: Story) -> list[MonthClosed]:
    return story.all(MonthClosed)


def provision(paise: int, percent: str) -> int:
    return half_up(Decimal(paise) * Decimal(percent) / 100)


def test_a_months_end_books_what_was_earned_since_the_last_due_day() -> None:
    story = given(a_loan_without_mandate()).when(on("31 Jan 23:58")).then()
    story.when(on("1 Feb")).then(
        MonthClosed(
            on="2026-01-31",
            accrued_paise=by_days(rupees("1,00,000"), "18", 26, year=360),  # Rs. 1,300
            asset_class="standard",
            provision_percent="0.40",
            provision_paise=rupees("400"),
            rule=provision_percent("standard", "nbfc-middle", False, day("31 Jan")).rule,
        )
    )
    story.when(on("5 Feb"), payment("4,993", "FEB")).when(on("1 Mar"))
    february = closed(story)[1]
    assert february.accrued_paise == by_days(rupees("96,507"), "18", 23, year=360)
    assert february.provision_paise == provision(rupees("96,507"), "0.40")


def test_the_interest_of_a_month_is_never_more_than_the_row_will_ask_for() -> None:
    # Due on the 1st: from 1 to 31 January are 30 days of 30/360, all of the row's interest.
    story = given(a_loan_without_mandate(at="1 Jan", first_due="1 Feb")).when(on("1 Feb"))
    assert closed(story)[0].accrued_paise == rupees("1,500")


def test_what_is_due_is_no_accrual_and_a_due_day_at_the_months_end_leaves_none() -> None:
    story = given(a_loan_without_mandate(at="31 Dec 2025", first_due="31 Jan")).when(on("1 Feb"))
    assert [(each.on, each.accrued_paise) for each in closed(story)] == [("2025-12-31", 0), ("2026-01-31", 0)]


def test_days_that_are_counted_one_by_one_are_accrued_one_by_one() -> None:
    story = given(a_loan_without_mandate(terms={"day_count": "ACT/365"})).when(on("1 Feb"))
    assert closed(story)[0].accrued_paise == by_days(rupees("1,00,000"), "18", 26)


def test_an_npa_accrues_nothing_and_is_provided_for_by_its_age() -> None:
    # Due on 5 February, unpaid at the end of the 91st day, 6 May: NPA.
    story = given(a_loan_in_arrears(dpd=90)).when(on("1 Jun"))
    assert [change.on for change in story.all(DelinquencyChanged) if change.classification == "NPA"] == ["2026-05-06"]
    april, may = closed(story)[3:5]
    assert (april.on, april.asset_class, april.accrued_paise > 0) == ("2026-04-30", "standard", True)
    assert (may.on, may.asset_class, may.accrued_paise) == ("2026-05-31", "sub-standard", 0)
    assert may.provision_paise == provision(rupees("1,00,000"), "10")
    story.when(on("1 Jun 2027"))
    by_month = {each.on: each for each in closed(story)}
    assert by_month["2027-04-30"].asset_class == "sub-standard"
    assert by_month["2027-05-31"].asset_class == "doubtful-1"


def test_the_products_own_percentages_go_before_the_laws() -> None:
    rules = a_house(accounting={"provisions": {"standard": "1.25"}})
    story = given(a_loan_without_mandate(rules=rules)).when(on("1 Feb"))
    assert (closed(story)[0].provision_paise, closed(story)[0].rule) == (rupees("1,250"), "product personal-loan v1")


def test_a_loan_that_is_upgraded_accrues_again() -> None:
    story = given(a_loan_in_arrears(dpd=95)).when(on("11 May"), payment("19,972"))  # four instalments
    story.and_the_loan(classification="standard", payable="0").when(on("1 Jun"))
    may = closed(story)[-1]
    assert may.asset_class == "standard"
    assert may.accrued_paise == by_days(story.the_loan.principal_not_due(), "18", 26, year=360)
    assert may.provision_paise == provision(story.the_loan.principal_paise, "0.40")


def test_the_end_of_a_loan_ends_its_months() -> None:
    story = given(a_closed_loan()).when(on("30 Dec"))
    assert [each.on for each in closed(story)] == ["2026-01-31"]
    assert (story.the_loan.accrued_booked, story.the_loan.provision_paise) == (0, 0)
    story = given(a_loan_in_arrears(dpd=45)).when(on("22 Mar"), asked(WriteOff, reason="")).when(on("30 Dec"))
    assert closed(story)[-1].on == "2026-02-28"
    assert (story.the_loan.accrued_booked, story.the_loan.provision_paise) == (0, 0)


def test_a_product_that_accrues_nothing_has_no_month_ends() -> None:
    rules = a_house(accounting={"accrual": "none"})
    assert closed(given(a_loan_without_mandate(rules=rules)).when(on("30 Dec"))) == []


def test_penal_charges_up_to_the_months_end_are_levied_before_the_books_close() -> None:
    rules = a_house(charges={"penal": {"percent_per_annum": "24.00"}})
    story = given(a_loan_without_mandate(rules=rules)).when(on("28 Feb 23:58")).when(on("1 Mar"))
    story.then(
        a(
            ChargeLevied,
            kind="penal",
            amount_paise=by_days(rupees("4,993"), "24", 24),
            gst_paise=0,
            through="2026-02-28",
        ),
        a(MonthClosed, on="28 Feb"),
    )


def test_a_moratoriums_waiting_interest_is_accrued_until_it_joins_the_principal() -> None:
    terms = {"moratorium_instalments": 2, "moratorium_interest": "capitalise"}
    story = given(a_loan_without_mandate(terms=terms)).when(on("1 Mar"))
    january, february = closed(story)
    month = by_months(rupees("1,00,000"), "18")
    assert january.accrued_paise == by_days(rupees("1,00,000"), "18", 26, year=360)
    assert february.accrued_paise == month + by_days(rupees("1,00,000"), "18", 23, year=360)
    story.when(on("6 Mar"))
    assert story.the_loan.accrued_booked == 0
    assert story.the_loan.principal_paise == rupees("1,00,000") + 2 * month
