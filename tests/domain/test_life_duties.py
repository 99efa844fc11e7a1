"""What the lender owes besides money: answers, papers, the end of personal data (servicing rules 31 and 33)."""

from __future__ import annotations

import pytest

from domain.commands import CloseCase, EraseBorrower, RaiseGrievance, ReleasePapers, ReverseReceipt, Settle, WriteOff
from domain.events import (
    BorrowerErased,
    CaseClosed,
    CaseOpened,
    CompensationOwed,
    GrievanceEscalated,
    GrievanceRaised,
    PapersReleased,
    RefundInstructed,
    RefundSettled,
)
from domain.refusals import Refusal
from tests.examples import (
    a_closed_loan,
    a_house,
    a_loan_at_its_last_row,
    a_loan_in_arrears,
    a_loan_without_mandate,
)
from tests.stories import Doing, Story, a, asked, day, given, on, payment, payout_settled, rupees

PAPERS = a_house(loan={"secured": True, "papers_held": True})


def a_repaid_loan() -> Story:
    """Repaid on 5 February 2026; its papers are due by 7 March."""
    return given(a_loan_at_its_last_row(rules=PAPERS)).when(on("5 Feb"), payment("1,01,500"))


def papers(said: str = "", command_id: str = "P-1") -> Doing:
    return asked(ReleasePapers, command_id, on=day(said) if said else None)


# --- Papers --------------------------------------------------------------------------------------------------


def test_papers_that_are_never_released_cost_5000_a_day_booked_at_first_and_then_every_30_days() -> None:
    story = a_repaid_loan().when(on("8 May"))
    assert [(each.on, each.days, each.paise) for each in story.all(CompensationOwed)] == [
        ("2026-03-08", 1, rupees("5,000")),
        ("2026-04-07", 30, rupees("1,50,000")),
        ("2026-05-07", 30, rupees("1,50,000")),
    ]
    assert sum(each.paise for each in story.all(CompensationOwed)) == (day("7 May") - day("7 Mar")).days * rupees(
        "5,000"
    )
    assert [each.amount_paise for each in story.all(RefundInstructed)] == [
        each.paise for each in story.all(CompensationOwed)
    ]
    assert [case.kind for case in story.all(CaseOpened)] == ["papers-late"]
    assert story.all(CompensationOwed)[0].rule.startswith("R10.1")


def test_the_release_books_the_last_days_and_stops_the_clock() -> None:
    story = (
        a_repaid_loan()
        .when(on("20 Apr"), papers())
        .then(
            a(CompensationOwed, days=13, paise="65,000", on="20 Apr"),  # 8 to 20 April
            a(RefundInstructed, amount_paise="65,000"),
            a(PapersReleased, on="20 Apr"),
        )
    )
    assert story.when(on("30 Dec")).came == []


def test_papers_released_before_counts_from_their_own_day() -> None:
    story = a_repaid_loan().when(on("7 Mar 23:00"), papers("1 Mar")).then(a(PapersReleased, on="1 Mar"))
    assert story.when(on("30 Dec")).all(CompensationOwed) == []


def test_the_compensation_reaches_the_borrower_as_a_refund_does() -> None:
    story = a_repaid_loan().when(on("9 Mar"))
    story.when(on("9 Mar 12:00"), payout_settled(instruction=story.all(RefundInstructed)[0].instruction_id))
    story.then(a(RefundSettled, amount_paise="5,000"))
    story.and_the_loan(refund_due="0", state="closed")


def test_a_settled_loans_papers_are_released_too_and_a_written_off_ones_are_kept() -> None:
    story = given(a_loan_in_arrears(dpd=45, rules=PAPERS)).when(
        on("22 Mar"), asked(Settle, amount_paise=rupees("60,000"), reason="")
    )
    story.when(on("23 Mar"), payment("60,000")).when(on("24 Apr"))
    assert [each.on for each in story.all(CompensationOwed)] == ["2026-04-23"]  # 30 days after 23 March, and one
    story = (
        given(a_loan_in_arrears(dpd=45, rules=PAPERS)).when(on("22 Mar"), asked(WriteOff, reason="")).when(on("1 Dec"))
    )
    assert story.all(CompensationOwed) == []


def test_a_loan_that_opens_again_owes_no_papers() -> None:
    story = a_repaid_loan().when(
        on("10 Feb"),
        lambda loan, now: ReverseReceipt(
            reference="P-1", amount_paise=None, value_on=day("10 Feb"), source="payment", reason="returned"
        ),
    )
    story.and_the_loan(state="active")
    assert story.when(on("30 Mar")).all(CompensationOwed) == []
    story.when(on("30 Mar 12:00"), papers()).refused(Refusal.no_papers_wait)


@pytest.mark.parametrize(
    ("said", "refusal"), [("7 Feb", Refusal.papers_before_closure), ("4 Feb", Refusal.papers_before_closure)]
)
def test_papers_are_released_between_the_repayment_and_today(said: str, refusal: Refusal) -> None:
    a_repaid_loan().when(on("6 Feb"), papers(said)).refused(refusal, "/on")


def test_papers_are_released_once_and_only_where_some_are_held() -> None:
    story = a_repaid_loan().when(on("6 Feb"), papers()).when(on("7 Feb"), papers())
    story.repeated()
    story.when(on("7 Feb"), papers(command_id="P-2")).refused(Refusal.no_papers_wait)
    given(a_closed_loan()).when(on("6 Feb"), papers()).refused(Refusal.no_papers_wait)
    given(a_loan_without_mandate(rules=PAPERS)).when(on("6 Feb"), papers()).refused(Refusal.no_papers_wait)


def test_a_loan_that_ended_before_the_rule_began_has_no_clock() -> None:
    story = given(a_loan_at_its_last_row(rules=PAPERS, at="5 Oct 2023", first_due="31 Oct 2023"))
    total = story.the_loan.rows[0].total
    story.when(on("31 Oct 2023"), payment(f"{total / 100:.2f}")).and_the_loan(state="closed")
    assert (
        story.when(on("30 Dec 2025")).all(CompensationOwed) == []
    )  # due by 30 November 2023: the rule is of 1 December


# --- Grievances and cases ------------------------------------------------------------------------------------


def grievance(command_id: str = "G-1") -> Doing:
    return asked(RaiseGrievance, command_id, subject="two debits in one month")


def test_a_grievance_is_a_case_with_a_day_by_which_it_is_answered() -> None:
    story = given(a_loan_without_mandate()).when(on("10 Jan"), grievance())
    story.then(a(GrievanceRaised, grievance_id="LN-1:case:1", answer_by="2026-02-09"))
    story.when(on("20 Jan"), asked(CloseCase, "C-2", case_id="LN-1:case:1", outcome="explained", note="one was ours"))
    story.then(a(CaseClosed, case_id="LN-1:case:1", outcome="explained"))
    story.when(on("21 Jan"), asked(CloseCase, "C-3", case_id="LN-1:case:1", outcome="again")).refused(
        Refusal.case_unknown, "/case_id", case_id="LN-1:case:1"
    )


def test_the_products_days_are_kept_and_an_escalated_grievance_can_still_be_answered() -> None:
    rules = a_house(grievance={"answer_within_days": 7})
    story = given(a_loan_without_mandate(rules=rules)).when(on("10 Jan"), grievance()).when(on("17 Jan 23:58")).then()
    story.when(on("18 Jan")).then(a(GrievanceEscalated, grievance_id="LN-1:case:1", answer_by="2026-01-17"))
    story.when(on("19 Jan"), asked(CloseCase, "C-2", case_id="LN-1:case:1", outcome="explained")).then(a(CaseClosed))


def test_a_closed_loan_can_be_complained_about_too() -> None:
    story = given(a_closed_loan()).when(on("10 Feb"), grievance()).then(a(GrievanceRaised, answer_by="2026-03-12"))
    story.when(on("13 Mar"))
    assert len(story.all(GrievanceEscalated)) == 1
    story.when(on("14 Mar"), grievance()).repeated()


def wrong_record(command_id: str = "G-1") -> Doing:
    return asked(RaiseGrievance, command_id, subject="an old default is still shown", about="bureau-correction")


def test_a_bureau_record_corrected_in_30_days_costs_nothing() -> None:
    story = given(a_loan_without_mandate()).when(on("10 Jan"), wrong_record())
    story.when(on("9 Feb 20:00"), asked(CloseCase, "C-2", case_id="LN-1:case:1", outcome="corrected"))
    assert story.when(on("30 Apr")).all(CompensationOwed) == []


def test_the_clock_of_a_wrong_bureau_record_runs_by_itself_at_100_a_day() -> None:
    story = given(a_loan_without_mandate()).when(on("10 Jan"), wrong_record()).when(on("10 Feb 23:58"))
    assert story.all(CompensationOwed) == []
    story.when(on("11 Feb"))
    assert [(each.kind, each.reference, each.on, each.paise) for each in story.all(CompensationOwed)] == [
        ("bureau-correction", "LN-1:case:1", "2026-02-10", rupees("100"))
    ]
    assert story.all(CompensationOwed)[0].rule.startswith("R11.3")
    story.when(on("20 Feb"), asked(CloseCase, "C-2", case_id="LN-1:case:1", outcome="corrected")).then(
        a(CompensationOwed, days=10, paise="1,000", on="20 Feb"),  # 11 to 20 February
        a(RefundInstructed, amount_paise="1,000"),
        a(CaseClosed, case_id="LN-1:case:1"),
    )
    assert [case.kind for case in story.all(CaseOpened)] == ["bureau-correction-late"]
    assert story.when(on("30 Apr")).all(CompensationOwed)[-1].on == "2026-02-20"


def test_a_record_that_is_never_corrected_costs_every_day() -> None:
    story = given(a_closed_loan()).when(on("10 Mar"), wrong_record()).when(on("9 Jun"))
    total = sum(each.paise for each in story.all(CompensationOwed))
    last = story.all(CompensationOwed)[-1].on
    assert (last, total) == ("2026-05-10", 31 * rupees("100"))  # free until 9 April; 10 April, then 30 days more


# --- Personal data -------------------------------------------------------------------------------------------


def erase(command_id: str = "E-1") -> Doing:
    return asked(EraseBorrower, command_id, reason="asked for")


def test_personal_data_goes_when_nothing_is_owed_and_no_complaint_is_open() -> None:
    given(a_loan_without_mandate()).when(on("10 Jan"), erase()).refused(Refusal.borrower_is_needed, state="active")
    story = given(a_closed_loan()).when(on("10 Feb"), grievance()).when(on("11 Feb"), erase())
    story.refused(Refusal.borrower_is_needed, open_complaints=1)
    story.when(on("12 Feb"), asked(CloseCase, "C-2", case_id="LN-1:case:1", outcome="explained"))
    story.when(on("13 Feb"), erase()).then(a(BorrowerErased, borrower_id="B-1"))
    story.when(on("14 Feb"), erase()).repeated()


def test_a_written_off_loans_borrower_is_still_needed() -> None:
    story = given(a_loan_in_arrears()).when(on("22 Mar"), asked(WriteOff, reason="gone"))
    story.when(on("23 Mar"), erase()).refused(Refusal.borrower_is_needed, state="written_off")
