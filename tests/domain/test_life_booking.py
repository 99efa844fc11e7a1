"""The beginning of a loan's life: booking what the LOS approved, and the money going out."""

from __future__ import annotations

import pytest

from domain.events import (
    CaseClosed,
    CaseOpened,
    Disbursed,
    EmiScheduled,
    InstalmentDue,
    LoanBooked,
    PayoutFailed,
    PayoutInstructed,
)
from domain.refusals import Refusal
from tests.examples import MANDATE, a_loan, a_loan_paid_out_by_us, a_loan_without_mandate, a_request, nothing_yet
from tests.stories import a, asked, day, given, on, payment, payout_failed, payout_settled, rupees

OTHER_DAY = on("5 Jan 15:00")


# --- Booking -------------------------------------------------------------------------------------------------


def test_a_booked_loan_has_complete_terms_and_a_schedule_and_is_paid_out_when_the_los_has_paid() -> None:
    story = given(a_loan()).then(
        a(LoanBooked, borrower_id="B-1", product="personal-loan", product_version=1, financed_paise="1,00,000"),
        a(EmiScheduled, schedule_version=1, reason="booking", instalment_paise="4,993", effective_on="5 Jan"),
        a(Disbursed, amount_paise="1,00,000", net_paise="1,00,000", value_on="5 Jan", deductions=[]),
    )
    story.and_the_loan(state="active", principal="1,00,000", next_due_on="5 Feb", next_due="4,993", dpd=0)
    [booked] = story.all(LoanBooked)
    assert booked.terms["day_count"] == "30/360"
    assert booked.waterfall == ["interest", "principal", "fee", "charge", "penal"]


@pytest.mark.parametrize("believed", ["4,992", "4,993", "4,994"])
def test_an_instalment_within_the_products_tolerance_is_taken(believed: str) -> None:
    given(nothing_yet()).book(on("5 Jan"), a_request(believed_instalment_paise=rupees(believed)))


@pytest.mark.parametrize("believed", ["4,991.99", "4,994.01", "5,100"])
def test_another_instalment_than_ours_is_refused_showing_both(believed: str) -> None:
    given(nothing_yet()).book(on("5 Jan"), a_request(believed_instalment_paise=rupees(believed))).refused(
        Refusal.instalment_differs, "/terms/instalment_paise", los=rupees(believed), qist=rupees("4,993")
    )


def test_an_unknown_product_is_refused() -> None:
    given(nothing_yet()).book(on("5 Jan"), a_request(product="gold-loan")).refused(
        Refusal.product_unknown, "/product", product="gold-loan"
    )


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"principal_paise": 0}, "/terms/principal_paise"),
        ({"annual_rate_percent": "eighteen"}, "/terms/annual_rate_percent"),
        ({"first_due_on": "2026-01-05"}, "/terms/first_due_on"),
        ({"interest_method": "generous"}, "/terms/interest_method"),
        ({"fees": [{"kind": "processing", "amount_paise": -1}]}, "/terms/fees/0/amount_paise"),
    ],
)
def test_terms_that_make_no_schedule_are_refused_by_field(terms: dict[str, object], field: str) -> None:
    given(nothing_yet()).book(on("5 Jan"), a_request(terms=terms)).refused(Refusal.terms_invalid, field)


def test_the_same_request_again_is_a_repeat() -> None:
    given(a_loan()).book(OTHER_DAY, a_request()).repeated()


def test_another_request_for_the_same_loan_is_a_contradiction() -> None:
    given(a_loan()).book(OTHER_DAY, a_request(request_hash="something else")).refused(
        Refusal.loan_exists_with_other_content, "/loan_id"
    )


# --- Paying out ----------------------------------------------------------------------------------------------


def test_the_payout_is_instructed_on_the_day_that_was_planned_less_what_is_kept_back() -> None:
    fees = [{"kind": "processing", "amount_paise": 2_000_00, "gst_percent": "18.00", "deducted": True}]
    story = given(a_loan_paid_out_by_us(at="2 Jan", disburse="5 Jan", terms={"fees": fees}))
    story.then(a(LoanBooked), a(EmiScheduled))
    story.when(on("5 Jan 00:00")).then(
        a(PayoutInstructed, instruction_id="LN-1:payout:1:1", amount_paise="97,640", account_token="account:B-1")
    )
    story.when(on("5 Jan 12:00"), payout_settled(instruction="LN-1:payout:1:1")).then(
        a(
            Disbursed,
            amount_paise="1,00,000",
            net_paise="97,640",
            deductions=[{"kind": "processing", "amount_paise": 2_000_00, "gst_paise": 360_00}],
        )
    )
    story.and_the_loan(state="active", principal="1,00,000")


def test_a_fee_added_to_the_principal_is_repaid_with_it() -> None:
    fees = [{"kind": "insurance", "amount_paise": 1_000_00, "gst_percent": "18.00", "added_to_principal": True}]
    story = given(a_loan(terms={"fees": fees}))
    story.and_the_loan(principal="1,01,180")
    [paid_out] = story.all(Disbursed)
    assert paid_out.net_paise == rupees("1,00,000")


def test_nothing_is_owed_before_the_money_is_out() -> None:
    given(a_loan_paid_out_by_us()).when(on("7 Jan")).then().and_the_loan(state="booked", principal="0", dpd=0)


def test_interest_counts_from_the_day_of_payout_so_another_day_rebuilds_the_schedule() -> None:
    story = given(a_loan_paid_out_by_us()).when(on("20 Jan"), payout_settled())
    story.then(
        a(Disbursed, value_on="20 Jan"),
        a(CaseClosed, outcome="cured"),  # the answer came late
        a(EmiScheduled, schedule_version=2, reason="disbursal", effective_on="20 Jan"),
    )
    first = story.the_loan.rows[0]
    assert first.due_on == day("5 Feb")
    assert first.interest == rupees("750")  # 15 of 30 days
    assert len(story.the_loan.rows) == 24


def test_a_payout_after_the_first_due_day_begins_with_the_next() -> None:
    story = given(a_loan_paid_out_by_us()).when(on("10 Feb"), payout_settled())
    assert [row.due_on for row in story.the_loan.rows[:2]] == [day("5 Mar"), day("5 Apr")]
    assert story.the_loan.rows[-1].closing == 0


def test_a_payout_settled_on_the_planned_day_keeps_the_schedule() -> None:
    given(a_loan_paid_out_by_us()).when(on("6 Jan"), payout_settled("5 Jan")).then(a(Disbursed, value_on="5 Jan"))


def test_a_payout_that_is_settled_twice_is_a_repeat() -> None:
    story = given(a_loan_paid_out_by_us()).when(on("5 Jan 12:00"), payout_settled())
    story.when(on("6 Jan"), payout_settled(instruction="LN-1:payout:1:1")).repeated()


def test_a_payout_that_we_never_instructed_is_refused() -> None:
    given(a_loan_paid_out_by_us()).when(on("5 Jan 12:00"), payout_settled(instruction="LN-9:payout:1:1")).refused(
        Refusal.instruction_unknown, "/instruction_id"
    )


def test_a_payout_cannot_have_arrived_tomorrow() -> None:
    given(a_loan_paid_out_by_us()).when(on("5 Jan 12:00"), payout_settled("6 Jan")).refused(
        Refusal.value_date_in_the_future
    )


def test_another_amount_than_instructed_is_a_case() -> None:
    given(a_loan_paid_out_by_us()).when(on("5 Jan 12:00"), payout_settled(amount="99,000")).then(
        a(Disbursed, net_paise="1,00,000"), a(CaseOpened, kind="payout-amount-differs")
    )


def test_a_failed_payout_leaves_nothing_owed_and_a_person_looks() -> None:
    story = given(a_loan_paid_out_by_us()).when(on("5 Jan 12:00"), payout_failed())
    story.then(
        a(PayoutFailed, returned=False, code="AM05", amount_paise="1,00,000"),
        a(CaseOpened, kind="payout-failed", case_id="LN-1:case:1"),
    ).and_the_loan(state="booked", principal="0")
    story.when(on("5 Jan 13:00"), payout_failed(instruction="LN-1:payout:1:1")).repeated()
    story.when(on("5 Jan 14:00"), payout_settled(instruction="LN-1:payout:1:1")).refused(
        Refusal.outcome_contradicts_the_settled_one
    )


def test_a_returned_payout_takes_the_principal_back() -> None:
    story = given(a_loan_paid_out_by_us()).when(on("5 Jan 12:00"), payout_settled())
    story.when(on("7 Jan"), payout_failed(returned=True, instruction="LN-1:payout:1:1")).then(
        a(PayoutFailed, returned=True), a(CaseOpened, kind="payout-returned")
    ).and_the_loan(state="booked", principal="0")
    story.when(on("10 Mar")).then()


def test_a_payout_cannot_fail_after_it_arrived_nor_return_before() -> None:
    story = given(a_loan_paid_out_by_us())
    story.when(on("5 Jan 12:00"), payout_failed(returned=True)).refused(Refusal.outcome_contradicts_the_settled_one)
    story.when(on("5 Jan 13:00"), payout_settled())
    story.when(on("5 Jan 14:00"), payout_failed(instruction="LN-1:payout:1:1")).refused(
        Refusal.outcome_contradicts_the_settled_one
    )


def test_tranches_go_out_on_their_days_and_bear_interest_from_then() -> None:
    tranches = [{"on": "2026-02-20", "amount_paise": 50_000_00}]
    story = given(a_loan_without_mandate(principal="50,000", months=6, terms={"tranches": tranches}))
    story.and_the_loan(principal="50,000").when(on("5 Feb"), payment("20,000"))
    [first, second] = story.the_loan.rows[:2]
    story.when(on("20 Feb 00:00")).then(a(Disbursed, tranche=1, amount_paise="50,000", value_on="20 Feb"))
    assert first.interest == rupees("750")
    assert second.interest > first.interest
    assert story.the_loan.principal_paise == rupees("1,00,000") - first.principal
    assert sum(row.principal for row in story.the_loan.rows) == rupees("1,00,000")


def test_a_tranche_of_our_own_payout_counts_when_it_arrives() -> None:
    tranches = [{"on": "2026-02-20", "amount_paise": 50_000_00}]
    story = given(a_loan_paid_out_by_us(principal="50,000", months=6, mandate={}, terms={"tranches": tranches}))
    story.when(on("5 Jan 12:00"), payout_settled()).when(on("5 Feb"), payment("20,000"))
    story.when(on("20 Feb")).then(a(PayoutInstructed, instruction_id="LN-1:payout:2:1", amount_paise="50,000"))
    story.when(on("20 Feb 12:00"), payout_settled(instruction="LN-1:payout:2:1")).then(a(Disbursed, tranche=1))
    assert story.the_loan.disbursed_paise == rupees("1,00,000")


def test_interest_that_is_capitalised_in_a_moratorium_joins_the_principal_and_is_repaid() -> None:
    holiday = {"moratorium_instalments": 2, "moratorium_interest": "capitalise"}
    story = given(a_loan_without_mandate(months=6, terms=holiday)).when(on("6 Mar"))
    scheduled = sum(row.principal for row in story.the_loan.rows)
    assert scheduled == rupees("1,03,000")  # two months' interest on 1,00,000 at 18 %, simple
    story.and_the_loan(principal="1,03,000")
    story.when(on("6 Jul"), payment("2,00,000"))
    assert story.the_loan.stage == "closed"


def test_a_payout_learnt_late_does_not_write_into_the_past() -> None:
    """Value dates may lie in the past; the moment at which Qist knew may not."""
    story = given(a_loan_paid_out_by_us(mandate={})).when(on("8 Mar"), payout_settled("5 Jan"))
    known = [event.timestamp for event in story.events]
    assert known == sorted(known)
    assert [due.due_on for due in story.all(InstalmentDue)] == ["2026-02-05", "2026-03-05"]
    story.and_the_loan(dpd=31)


def test_a_new_mandate_is_used_from_its_registration() -> None:
    from domain.commands import RegisterMandate

    story = given(a_loan_without_mandate())
    story.when(on("10 Jan"), asked(RegisterMandate, mandate={**MANDATE, "mandate_id": "M-2"}))
    story.when(on("5 Feb 08:00"))
    assert [event.mandate_id for event in story.came if hasattr(event, "mandate_id")] == ["M-2"]


def test_a_payout_so_late_that_a_tranche_would_come_before_it_is_a_case() -> None:
    tranches = [{"on": "2026-02-20", "amount_paise": 50_000_00}]
    story = given(a_loan_paid_out_by_us(principal="50,000", months=6, mandate={}, terms={"tranches": tranches}))
    story.when(on("1 Mar"), payout_settled())
    assert [case.kind for case in story.all(CaseOpened)] == ["payout-outcome-unknown", "schedule-not-rebuilt"]
