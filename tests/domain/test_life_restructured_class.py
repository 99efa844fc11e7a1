"""The class of a restructured loan and its way back (servicing rule 22)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from domain.commands import Restructure, TellBorrowerStanding
from domain.events import DelinquencyChanged, MonthClosed, PerformanceRestored, Restructured
from domain.refusals import Refusal
from tests.examples import a_house, a_loan, a_loan_in_arrears
from tests.stories import Doing, Story, asked, day, given, on, payment, rupees


def restructure(said: str = "20 Feb", command_id: str = "R-1", **asked_for: Any) -> Doing:
    fields = {"instalments": 36, **asked_for}
    return asked(Restructure, command_id, effective_on=day(said), reason="illness", **fields)


def a_loan_after_its_first_instalment(**other: Any) -> Story:
    return given(a_loan(**{"mandate": {}, **other})).when(on("5 Feb"), payment("4,993", "FEB"))


def pays(story: Story, until: str, *, late: str = "", days: int = 0) -> Story:
    """Every instalment on its day up to a day; the one due on `late` so many days after it."""
    for row in list(story.the_loan.rows):
        if row.number <= story.the_loan.due_rows or row.due_on > day(until):
            continue
        at = row.due_on + timedelta(days=days if late and row.due_on == day(late) else 0)
        if row.total:
            story.when(on(f"{at:%d %b %Y}".lstrip("0")), payment(f"{row.total / 100:.2f}", f"P-{row.number}"))
    return story


def standard_again(story: Story) -> list[str]:
    return [each.on for each in story.all(PerformanceRestored)]


def test_a_concession_for_hardship_makes_a_standard_loan_sub_standard_at_once() -> None:
    story = a_loan_after_its_first_instalment().when(on("20 Feb"), restructure())
    assert story.all(Restructured)[0].downgraded
    change = story.all(DelinquencyChanged)[-1]
    assert (change.classification, change.because, change.dpd) == ("NPA", "restructured", 0)
    story.when(on("1 Mar"))
    assert [each.asset_class for each in story.all(MonthClosed)] == ["standard", "sub-standard"]
    assert story.all(MonthClosed)[-1].accrued_paise == 0  # an NPA's interest is income when it is paid
    assert story.all(MonthClosed)[-1].provision_paise == story.the_loan.principal_paise // 10


def test_a_named_scheme_keeps_the_class_and_an_unknown_one_is_refused() -> None:
    rules = a_house(restructuring={"schemes": ["resolution-2026"]})
    story = a_loan_after_its_first_instalment(rules=rules).when(on("20 Feb"), restructure(scheme="resolution-2026"))
    assert not story.all(Restructured)[0].downgraded
    assert story.all(DelinquencyChanged) == []
    story.and_the_loan(classification="standard")
    story = a_loan_after_its_first_instalment(rules=rules).when(on("20 Feb"), restructure(scheme="another"))
    story.refused(Refusal.scheme_unknown, "/scheme", scheme="another")


def test_a_commercial_change_of_terms_keeps_the_class() -> None:
    story = a_loan_after_its_first_instalment().when(on("20 Feb"), restructure(hardship=False))
    assert story.all(DelinquencyChanged) == []


def test_an_npa_that_is_restructured_keeps_its_age() -> None:
    story = given(a_loan_in_arrears(dpd=95)).when(on("12 May"), restructure("12 May", capitalise_arrears=True))
    assert story.the_loan.npa_since == day("6 May")
    story.and_the_loan(classification="NPA", dpd=0)


def test_a_year_of_payments_on_their_day_makes_it_standard_again() -> None:
    story = pays(a_loan_after_its_first_instalment().when(on("20 Feb"), restructure()), "5 Mar 2027")
    # The first payment after it was due on 5 March 2026: the year is over at the end of 5 March 2027.
    story.when(on("5 Mar 2027 23:58")).and_the_loan(classification="NPA")
    story.when(on("6 Mar 2027"))
    assert standard_again(story) == ["2027-03-05"]
    story.and_the_loan(classification="standard")
    assert story.all(DelinquencyChanged)[-1].because == ""


def test_a_payment_that_is_late_begins_the_year_anew() -> None:
    story = a_loan_after_its_first_instalment().when(on("20 Feb"), restructure())
    pays(story, "5 Jul 2027", late="5 Jun", days=2).when(on("6 Jul 2027"))
    assert standard_again(story) == ["2027-07-05"]  # from 5 July 2026, the first after the late one


def test_a_payment_later_in_its_own_day_is_not_late() -> None:
    story = a_loan_after_its_first_instalment().when(on("20 Feb"), restructure())
    story = pays(story, "5 May")
    story.when(on("5 Jun 23:58"), payment(f"{story.the_loan.rows[4].total / 100:.2f}", "JUN"))
    pays(story, "5 Mar 2027").when(on("6 Mar 2027"))
    assert standard_again(story) == ["2027-03-05"]


def test_arrears_are_no_performance_however_long_they_last() -> None:
    story = a_loan_after_its_first_instalment().when(on("20 Feb"), restructure())
    pays(story, "5 May").when(on("1 Dec 2028"))
    assert standard_again(story) == []
    story.and_the_loan(classification="NPA")


def test_the_year_of_a_loan_with_a_moratorium_begins_with_its_first_payment() -> None:
    story = a_loan_after_its_first_instalment().when(
        on("20 Feb"), restructure(moratorium_instalments=3, moratorium_interest="capitalise")
    )
    # 5 March, April and May ask for nothing; the first payment is due on 5 June 2026.
    pays(story, "5 Jun 2027").when(on("4 Jun 2027"))
    assert standard_again(story) == []
    story.when(on("6 Jun 2027"))
    assert standard_again(story) == ["2027-06-05"]


def test_a_bank_waits_for_a_tenth_of_the_principal_too() -> None:
    bank = {"lender": {"kind": "bank"}, "restructuring": {"upgrade_repaid_percent": "10.00"}}
    story = a_loan_after_its_first_instalment(rules=a_house(**bank))
    story.when(on("20 Feb"), restructure(instalments=120))  # so long that a year repays less than a tenth
    carried = story.all(Restructured)[0].principal_paise
    story = pays(story, "5 Mar 2027").when(on("6 Mar 2027"))
    assert (carried - story.the_loan.principal_paise) * 10 < carried
    assert standard_again(story) == []
    pays(story, "5 Jan 2030").when(on("6 Jan 2030"))
    restored = date.fromisoformat(standard_again(story)[0])
    repaid = sum(row.principal for row in story.the_loan.rows[1:] if row.due_on <= restored)
    before = sum(row.principal for row in story.the_loan.rows[1:] if row.due_on < restored)
    assert before * 10 < carried <= repaid * 10  # on the very day on which the tenth was reached


def test_a_restructured_loan_stays_npa_while_another_loan_of_the_borrower_is() -> None:
    story = a_loan_after_its_first_instalment().when(on("20 Feb"), restructure())
    story.when(on("1 Mar"), asked(TellBorrowerStanding, "B-1", npa=True, because="LN-2"))
    pays(story, "5 Mar 2027").when(on("6 Mar 2027"))
    assert standard_again(story) == ["2027-03-05"]
    story.and_the_loan(classification="NPA")
    story.when(on("7 Mar 2027"), asked(TellBorrowerStanding, "B-2", npa=False, because=""))
    story.and_the_loan(classification="standard")


@pytest.mark.parametrize(("dpd", "counts_from"), [("keep", "5 Feb"), ("reset", "22 Mar")])
def test_arrears_that_stay_owed_count_on_or_anew_as_the_product_says(dpd: str, counts_from: str) -> None:
    rules = a_house(restructuring={"dpd": dpd})
    story = given(a_loan_in_arrears(dpd=45, rules=rules)).when(on("22 Mar"), restructure("22 Mar"))
    story.and_the_loan(payable="9,986")
    story.when(on("24 Mar")).and_the_loan(dpd=(day("23 Mar") - day(counts_from)).days + 1)


def test_arrears_are_capitalised_on_the_day_on_which_the_change_takes_effect() -> None:
    story = given(a_loan_in_arrears(dpd=34)).when(on("11 Mar"), restructure("20 Apr", capitalise_arrears=True))
    story.and_the_loan(payable="9,986", principal="1,00,000")  # until then as it was
    interest = sum(row.interest for row in story.the_loan.rows[:3])  # February's, March's and April's
    story.when(on("20 Apr"))
    assert story.all(Restructured)[0].capitalised_paise == interest
    story.and_the_loan(payable="0", principal=f"{(rupees('1,00,000') + interest) / 100:.2f}")
    ahead = story.the_loan.rows[story.the_loan.due_rows :]
    assert sum(row.principal for row in ahead) == rupees("1,00,000") + interest
    for row in ahead:
        story.when(on(f"{row.due_on:%d %b %Y}".lstrip("0")), payment(f"{row.total / 100:.2f}", f"P-{row.number}"))
    story.and_the_loan(state="closed", principal="0", excess="0")
