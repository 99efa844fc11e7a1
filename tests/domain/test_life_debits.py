"""Instalments falling due, debits asked for, and what their outcomes mean (servicing rules 12, 29, 34, 35)."""

from __future__ import annotations

import pytest

from domain.commands import LevyCharge, PauseCollection, RegisterMandate, Waive
from domain.events import (
    CaseClosed,
    CaseOpened,
    ChargeLevied,
    Closed,
    CollectionExhausted,
    CollectionPaused,
    DebitAttempted,
    DebitFailed,
    DebitNotified,
    DebitOutcomeOverdue,
    DebitPending,
    DebitSucceeded,
    DebitWithdrawn,
    DelinquencyChanged,
    ExcessApplied,
    InstalmentDue,
    MandateCancelInstructed,
    MandateChanged,
    MandateRequested,
    PaymentLinkOffered,
    PaymentReceived,
    RefundInstructed,
    RetryScheduled,
)
from domain.refusals import Refusal
from tests.examples import EMI, MANDATE, a_loan, a_loan_at_its_last_row, a_loan_without_mandate, by_the_calendar
from tests.stories import (
    a,
    asked,
    day,
    debit_failed,
    debit_succeeded,
    given,
    lines,
    mandate_is,
    on,
    payment,
    rupees,
    taken_back,
)

# --- Notice, due day, debit ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rail", ["enach", "upi", "card"])
def test_the_borrower_is_told_24_hours_before_the_debit(rail: str) -> None:
    story = given(a_loan(mandate={**MANDATE, "rail": rail})).when(on("4 Feb 06:59")).then()
    story.when(on("4 Feb 07:00")).then(a(DebitNotified, number=1, attempt=1, debit_at="5 Feb 07:00", rail=rail))


def test_no_notice_where_no_debit_can_follow() -> None:
    given(a_loan_without_mandate()).when(on("4 Feb 23:00")).then()
    story = given(a_loan(mandate={**MANDATE, "status": "paused"})).when(on("30 Jan"))
    story.when(on("4 Feb 23:00")).then()


def test_the_due_day_begins_with_the_instalment_owed_and_the_debit_comes_at_the_products_hour() -> None:
    story = given(a_loan()).when(on("4 Feb 23:59"))
    story.when(on("5 Feb 00:00")).then(
        a(InstalmentDue, number=1, due_on="5 Feb", principal_paise="3,493", interest_paise="1,500", fee_paise=0)
    )
    story.when(on("5 Feb 06:59")).then()
    story.when(on("5 Feb 07:00")).then(
        DebitAttempted(
            instruction_id="LN-1:1:1",
            number=1,
            attempt=1,
            amount_paise=rupees(EMI),
            mandate_id="M-1",
            rail="enach",
            gateway="sponsor-bank",
            bank="HDFC",
            due_on="2026-02-05",
            reason="due day",
            umrn="HDFC0000000000000001",
        )
    )


def test_a_late_wake_up_does_everything_in_due_order_at_its_own_time() -> None:
    story = given(a_loan()).when(on("5 Feb 09:30"))
    story.then(a(DebitNotified), a(InstalmentDue), a(DebitAttempted))
    assert story.at_of(DebitNotified) == ["4 Feb 2026 07:00"]
    assert story.at_of(InstalmentDue) == ["5 Feb 2026 00:00"]
    assert story.at_of(DebitAttempted) == ["5 Feb 2026 07:00"]


def test_a_fee_due_with_a_row_is_owed_with_it_its_gst_named() -> None:
    fees = [{"kind": "insurance", "amount_paise": 1_000_00, "due_with_row": 1}]
    story = given(a_loan_without_mandate(terms={"fees": fees})).when(on("5 Feb"))
    story.then(a(InstalmentDue, fee_paise="1,180", fee_gst_paise="180", interest_paise="1,500"))


# --- Mandates ------------------------------------------------------------------------------------------------


def test_without_a_mandate_nothing_is_asked_for() -> None:
    given(a_loan_without_mandate()).when(on("5 Feb 12:00")).then(a(InstalmentDue, number=1))


@pytest.mark.parametrize(
    ("mandate", "reason"),
    [
        ({"status": "cancelled"}, "mandate M-1 is cancelled"),
        ({"valid_until": "2026-02-04"}, "mandate M-1 was valid until 2026-02-04"),
        ({"valid_from": "2026-02-06"}, "mandate M-1 is valid from 2026-02-06"),
    ],
)
def test_a_mandate_that_does_not_stand_is_a_case_not_a_debit(mandate: dict[str, str], reason: str) -> None:
    story = given(a_loan(mandate={**MANDATE, **mandate})).when(on("5 Feb 06:00")).when(on("5 Feb 07:00"))
    story.then(
        a(CollectionExhausted, number=1, attempts=0, reason=reason, next_step="fix_mandate"),
        a(CaseOpened, kind="no-usable-mandate", reason=reason, number=1),
        a(PaymentLinkOffered, number=1, amount_paise=EMI, reason=reason),
    )


def test_no_debit_asks_for_more_than_the_mandate_allows() -> None:
    story = given(a_loan(mandate={**MANDATE, "max_amount_paise": rupees("3,000")})).when(on("5 Feb"))
    assert [debit.amount_paise for debit in story.all(DebitAttempted)] == [rupees("3,000")]


def test_what_the_mandate_does_not_carry_comes_by_a_link() -> None:
    story = given(a_loan(mandate={**MANDATE, "max_amount_paise": rupees("3,000")}))
    story.when(on("5 Feb 10:00"), debit_succeeded(amount="3,000"))
    [link] = story.all(PaymentLinkOffered)
    assert (link.amount_paise, link.reason) == (rupees("1,993"), "mandate M-1 carries 300000 paise only")


def test_a_lost_mandate_is_a_case_and_its_return_is_noted() -> None:
    story = given(a_loan()).when(on("10 Jan"), mandate_is("cancelled"))
    story.then(
        a(MandateChanged, mandate_id="M-1", status="cancelled"),
        a(CaseOpened, kind="mandate-lost"),
        a(MandateRequested, rail="enach", replaces="M-1"),
    )
    story.when(on("11 Jan"), mandate_is("cancelled")).repeated()
    story.when(on("12 Jan"), mandate_is("active")).then(a(MandateChanged, status="active"), a(CaseClosed))
    story.when(on("12 Jan"), mandate_is("active", "M-7")).refused(Refusal.mandate_unknown, "/mandate_id")


def test_a_mandate_registered_after_the_due_day_is_used_at_once() -> None:
    story = given(a_loan_without_mandate()).when(on("5 Feb 12:00"))
    story.when(on("6 Feb 11:00"), asked(RegisterMandate, mandate=MANDATE))
    assert story.at_of(DebitAttempted) == ["6 Feb 2026 11:00"]


def test_a_debit_that_waited_for_its_mandate_is_judged_by_the_day_on_which_it_is_asked_for() -> None:
    story = given(a_loan_without_mandate()).when(on("5 Feb 12:00"))
    story.when(on("6 Feb 11:00"), asked(RegisterMandate, mandate={**MANDATE, "valid_from": "2026-02-06"}))
    assert story.at_of(DebitAttempted) == ["6 Feb 2026 11:00"]


# --- Success -------------------------------------------------------------------------------------------------


def test_a_debit_that_succeeds_pays_its_instalment() -> None:
    given(a_loan()).when(on("5 Feb"), debit_succeeded()).then(
        DebitSucceeded(
            instruction_id="LN-1:1:1",
            number=1,
            attempt=1,
            asked_paise=rupees(EMI),
            amount_paise=rupees(EMI),
            value_on="2026-02-05",
            reference="bank-LN-1:1:1",
            rail="enach",
            gateway="sponsor-bank",
            bank="HDFC",
            lines=lines(("interest", 1, "1,500"), ("principal", 1, "3,493")),
        )
    ).and_the_loan(principal="96,507", payable="0", dpd=0)


def test_a_debit_can_succeed_for_less_and_the_rest_is_tried_again() -> None:
    story = given(a_loan()).when(on("5 Feb"), debit_succeeded(amount="2,000"))
    story.then(
        a(DebitSucceeded, asked_paise=EMI, lines=lines(("interest", 1, "1,500"), ("principal", 1, "500"))),
        a(RetryScheduled, number=1, attempt=2, at="8 Feb 07:00"),
    )
    story.when(on("8 Feb 07:00"))
    assert story.all(DebitAttempted)[-1].amount_paise == rupees("2,993")


def test_a_success_that_is_told_twice_counts_once() -> None:
    story = given(a_loan()).when(on("5 Feb"), debit_succeeded())
    story.when(on("5 Feb 11:00"), debit_succeeded(amount=EMI)).repeated()
    story.and_the_loan(received=EMI)


def test_a_success_for_another_amount_than_was_booked_is_a_contradiction() -> None:
    story = given(a_loan()).when(on("5 Feb"), debit_succeeded())
    story.when(on("5 Feb 11:00"), debit_succeeded(amount="4,000")).refused(
        Refusal.outcome_contradicts_the_settled_one, "/amount_paise"
    )


def test_a_failure_after_a_success_is_a_contradiction() -> None:
    story = given(a_loan()).when(on("5 Feb"), debit_succeeded())
    story.when(on("5 Feb 11:00"), debit_failed()).refused(Refusal.outcome_contradicts_the_settled_one, "/code")


def test_a_success_after_a_failure_is_real_money_and_a_case() -> None:
    story = given(a_loan()).when(on("5 Feb"), debit_failed(code="59"))
    story.when(on("5 Feb 11:00"), debit_succeeded(amount=EMI)).then(
        a(DebitSucceeded, asked_paise=0, amount_paise=EMI),
        a(CaseOpened, kind="unexpected-debit-success", number=1),
    )
    story.when(on("28 Feb"))
    assert len(story.all(DebitAttempted)) == 1  # what is paid is not asked for again


def test_a_success_that_nobody_asked_for_is_booked_and_a_case() -> None:
    story = given(a_loan()).when(on("10 Jan"), debit_succeeded(instruction="OTHER-9:1:1", amount="1,000"))
    story.then(
        a(DebitSucceeded, number=0, attempt=0, asked_paise=0, lines=lines(("excess", "1,000"))),
        a(CaseOpened, kind="unexpected-debit-success"),
    )


def test_an_early_success_does_not_use_up_the_name_of_the_debit_to_come() -> None:
    """An instruction's id is used once: the next attempt of that instalment must bear another."""
    story = given(a_loan()).when(on("10 Jan"), debit_succeeded(instruction="LN-1:1:1", amount="1,000"))
    story.when(on("5 Feb 06:00")).when(on("5 Feb 07:00")).then(
        a(DebitAttempted, instruction_id="LN-1:1:2", amount_paise="3,993")
    )
    story.when(on("5 Feb"), debit_succeeded(attempt=2)).and_the_loan(payable="0")


def test_money_of_a_debit_cannot_count_from_tomorrow() -> None:
    given(a_loan()).when(on("5 Feb"), debit_succeeded(value="6 Feb")).refused(Refusal.value_date_in_the_future)


# --- Failure -------------------------------------------------------------------------------------------------


def test_no_funds_costs_one_bounce_charge_and_is_tried_again_later() -> None:
    story = given(a_loan()).when(on("5 Feb"), debit_failed(code="04"))
    story.then(
        a(DebitFailed, number=1, attempt=1, code="04", failure_class="soft", amount_paise=EMI, value_on="5 Feb"),
        ChargeLevied(
            charge_id="LN-1:charge:1",
            kind="bounce",
            amount_paise=rupees("500"),
            gst_paise=rupees("90"),
            due_on="2026-02-05",
            number=1,
            reason="debit returned with code 04",
        ),
        a(RetryScheduled, number=1, attempt=2, at="8 Feb 07:00", alternatives=[]),
    ).and_the_loan(charges="590", dpd=0)
    story.when(on("8 Feb 06:00")).when(on("8 Feb 07:00")).then(
        a(DebitAttempted, instruction_id="LN-1:1:2", attempt=2, amount_paise="5,583", reason="retry")
    )
    story.when(on("8 Feb"), debit_failed(attempt=2)).then(
        a(DebitFailed, attempt=2), a(RetryScheduled, attempt=3, at="15 Feb 07:00")
    )
    assert len(story.all(ChargeLevied)) == 1


def test_a_borrower_with_a_salary_day_near_is_asked_on_it() -> None:
    given(a_loan(rules=by_the_calendar(), salary_day=7)).when(on("5 Feb"), debit_failed()).then(
        a(DebitFailed),
        a(ChargeLevied),
        a(
            RetryScheduled,
            attempt=2,
            at="7 Feb 07:00",
            reason="no funds (04): salary day 7 is 2 days away",
            alternatives=[
                {
                    "at": on("8 Feb 07:00").isoformat(),
                    "why_not": "3 days' wait, the product's default, is not the salary day",
                }
            ],
        ),
    )


def test_a_salary_day_far_away_is_not_waited_for() -> None:
    given(a_loan(rules=by_the_calendar(), salary_day=28)).when(on("5 Feb"), debit_failed()).then(
        a(DebitFailed), a(ChargeLevied), a(RetryScheduled, at="8 Feb 07:00")
    )


def test_a_hard_failure_is_never_repeated() -> None:
    story = given(a_loan()).when(on("5 Feb"), debit_failed(code="01"))
    story.then(
        a(DebitFailed, code="01", failure_class="hard"),
        a(MandateChanged, mandate_id="M-1", status="failed", code="01"),
        a(CollectionExhausted, number=1, attempts=1, next_step="alternate_rail"),
        a(CaseOpened, kind="collection-exhausted", number=1),
        a(PaymentLinkOffered, link_id="LN-1:1:1", number=1, amount_paise=EMI, expires_on="12 Feb"),
        a(MandateRequested, rail="", max_amount_paise=EMI, replaces="M-1"),
    )
    story.when(on("4 Mar"))
    assert len(story.all(DebitAttempted)) == 1


def test_a_technical_failure_costs_nothing_and_is_tried_again_within_hours() -> None:
    given(a_loan()).when(on("5 Feb 08:00"), debit_failed(code="59")).then(
        a(DebitFailed, failure_class="technical"), a(RetryScheduled, attempt=2, at="5 Feb 14:00")
    )


def test_a_code_that_no_table_knows_is_technical_uncharged_and_a_case() -> None:
    given(a_loan()).when(on("5 Feb 08:00"), debit_failed(code="ZZ9")).then(
        a(DebitFailed, code="ZZ9", failure_class="technical", action="investigate"),
        a(CaseOpened, kind="unknown-failure-code"),
        a(RetryScheduled, attempt=2, at="5 Feb 14:00"),
    )


def test_a_banks_extension_is_neither_success_nor_failure() -> None:
    story = given(a_loan()).when(on("5 Feb"), debit_failed(code="98"))
    story.then(a(DebitPending, instruction_id="LN-1:1:1", code="98")).and_the_loan(charges="0", dpd=0)
    story.when(on("6 Feb 12:00")).then().and_the_loan(dpd=0)
    story.when(on("6 Feb 13:00"), debit_succeeded()).then(a(DebitSucceeded, asked_paise=EMI))


@pytest.mark.parametrize(
    ("rail", "code"), [("upi", "U67"), ("upi", "U68"), ("upi", "U31"), ("upi", "DD"), ("upi", "00"), ("enach", "82")]
)
def test_where_the_payer_may_have_been_debited_nothing_is_asked_for_again(rail: str, code: str) -> None:
    story = given(a_loan(mandate={**MANDATE, "rail": rail})).when(on("5 Feb 10:00"), debit_failed(code=code, rail=rail))
    story.when(on("28 Feb"))
    assert (len(story.all(DebitAttempted)), len(story.all(DebitPending)), story.all(DebitFailed)) == (1, 1, [])
    assert (story.all(RetryScheduled), story.all(PaymentLinkOffered)) == ([], [])
    assert [case.kind for case in story.all(CaseOpened)] == ["debit-outcome-unknown"]


@pytest.mark.parametrize(("rail", "code"), [("enach", "13"), ("enach", "31"), ("upi", "VE"), ("upi", "U01")])
def test_a_debit_refused_as_a_repetition_is_for_a_person_who_looks_for_the_first(rail: str, code: str) -> None:
    story = given(a_loan(mandate={**MANDATE, "rail": rail})).when(on("5 Feb 10:00"), debit_failed(code=code, rail=rail))
    story.when(on("28 Feb"))
    assert (len(story.all(DebitAttempted)), len(story.all(DebitFailed))) == (1, 1)
    assert (story.all(RetryScheduled), story.all(PaymentLinkOffered)) == ([], [])
    [case] = story.all(CaseOpened)
    assert (case.kind, case.reason.startswith(f"find the earlier debit: {code}")) == ("debit-outcome-unknown", True)


def test_a_banks_extension_that_is_told_twice_is_noted_once() -> None:
    story = given(a_loan()).when(on("5 Feb"), debit_failed(code="98"))
    story.when(on("5 Feb 11:00"), debit_failed(code="98")).repeated()
    story.when(on("6 Feb"), debit_failed(code="04")).then(
        a(DebitFailed, code="04"), a(ChargeLevied), a(RetryScheduled), a(DelinquencyChanged, dpd=1)
    )


def test_a_failure_that_is_told_twice_counts_once() -> None:
    story = given(a_loan()).when(on("5 Feb"), debit_failed())
    story.when(on("5 Feb 11:00"), debit_failed()).repeated()
    story.when(on("5 Feb 12:00"), debit_failed(code="01")).refused(Refusal.outcome_contradicts_the_settled_one)


def test_a_failure_of_an_instruction_that_was_never_issued_is_refused() -> None:
    given(a_loan()).when(on("5 Feb"), debit_failed(attempt=9)).refused(Refusal.instruction_unknown)


def test_attempts_end_with_the_products_limit() -> None:
    story = given(a_loan()).when(on("5 Feb"), debit_failed())
    story.when(on("8 Feb"), debit_failed(attempt=2)).when(on("15 Feb"), debit_failed(attempt=3))
    story.then(
        a(DebitFailed, attempt=3),
        a(CollectionExhausted, attempts=3, next_step="contact_borrower"),
        a(CaseOpened, kind="collection-exhausted"),
        a(PaymentLinkOffered, number=1, amount_paise="5,583"),  # the instalment and the bounce charge of 590
    )
    story.when(on("4 Mar 06:00"))
    assert len(story.all(DebitAttempted)) == 3


def test_attempts_end_with_the_window() -> None:
    story = given(a_loan()).when(on("1 Mar"), debit_failed())  # the answer came late
    [exhausted] = story.all(CollectionExhausted)
    assert exhausted.reason == "the window of 25 days after the due day is over"


def test_an_outcome_that_does_not_come_in_time_is_a_case_and_asked_for_no_second_time() -> None:
    story = given(a_loan()).when(on("8 Feb 06:59"))
    story.when(on("8 Feb 07:00")).then(
        a(DebitOutcomeOverdue, instruction_id="LN-1:1:1"),
        a(CaseOpened, kind="debit-outcome-unknown", number=1),
        a(DelinquencyChanged, dpd=3, bucket="1-30", classification="SMA-0"),
    )
    story.when(on("20 Feb")).then()
    story.when(on("21 Feb"), debit_succeeded()).then(a(DebitSucceeded), a(DelinquencyChanged, dpd=0))


def test_a_debit_that_is_never_answered_does_not_stand_in_the_way_of_the_next() -> None:
    story = given(a_loan()).when(on("5 Mar 12:00"))
    assert [(debit.number, debit.amount_paise) for debit in story.all(DebitAttempted)] == [
        (1, rupees(EMI)),
        (2, rupees(EMI)),
    ]
    story.when(on("6 Mar"), payment(EMI)).when(on("9 Mar"), debit_succeeded(2)).when(on("5 Apr 12:00"))
    assert story.all(DebitAttempted)[-1].amount_paise == rupees(EMI)


# --- What is asked for, and what no longer -------------------------------------------------------------------


def test_money_held_is_used_on_the_due_day_and_the_debit_is_for_the_difference() -> None:
    story = given(a_loan()).when(on("20 Jan"), payment("2,000")).and_the_loan(excess="2,000")
    story.when(on("4 Feb 23:00")).when(on("5 Feb 07:00")).then(
        a(InstalmentDue, number=1),
        ExcessApplied(
            value_on="2026-02-05", paise=rupees("2,000"), lines=lines(("interest", 1, "1,500"), ("principal", 1, "500"))
        ),
        a(DebitAttempted, amount_paise="2,993"),
    )


def test_an_instalment_that_was_paid_ahead_is_not_debited_nor_is_the_next_one_too_early() -> None:
    story = given(a_loan()).when(on("20 Jan"), payment(EMI)).when(on("4 Mar 23:00"))
    assert story.all(DebitAttempted) == []
    story.when(on("5 Mar 06:59")).then(a(InstalmentDue, number=2))
    story.when(on("5 Mar 07:00")).then(a(DebitAttempted, instruction_id="LN-1:2:1", amount_paise=EMI))


def test_a_retry_is_dropped_when_the_borrower_pays_in_between() -> None:
    story = given(a_loan()).when(on("5 Feb"), debit_failed()).when(on("6 Feb"), payment("5,583"))
    story.when(on("5 Mar 06:59"))
    assert len(story.all(DebitAttempted)) == 1
    story.when(on("5 Mar 07:00")).then(a(DebitAttempted, instruction_id="LN-1:2:1"))


def test_a_debit_that_fails_after_the_borrower_has_paid_otherwise_is_not_repeated() -> None:
    story = given(a_loan()).when(on("5 Feb 08:00"), payment(EMI))
    story.when(on("5 Feb 12:00"), debit_failed(code="59")).then(a(DebitFailed, failure_class="technical"))
    story.when(on("5 Mar 07:00"))
    assert [debit.instruction_id for debit in story.all(DebitAttempted)] == ["LN-1:1:1", "LN-1:2:1"]


def test_what_is_being_asked_for_is_not_asked_for_twice() -> None:
    story = given(a_loan(months=30, first_due="6 Jan", terms={"frequency": "daily"}))
    story.when(on("5 Jan 12:00"), asked(LevyCharge, kind="visit", reason="at home")).when(on("7 Jan 12:00"))
    first, second = story.all(DebitAttempted)
    rows = story.the_loan.rows
    assert (first.amount_paise, second.amount_paise) == (rows[0].total + rupees("236"), rows[1].total)


def test_a_charge_between_due_days_waits_for_the_next_debit() -> None:
    story = given(a_loan()).when(on("20 Jan"), payment(EMI)).when(on("10 Feb"))
    story.when(on("10 Feb"), asked(LevyCharge, kind="visit", reason="at home")).then(a(ChargeLevied))
    story.when(on("4 Mar 23:00"))
    assert story.all(DebitAttempted) == []
    story.when(on("5 Mar 07:00"))
    assert story.all(DebitAttempted)[-1].amount_paise == rupees(EMI) + rupees("236")


def test_a_retry_collects_what_is_left_when_older_arrears_took_the_newer_debit() -> None:
    story = given(a_loan(first_due="12 Jan", terms={"frequency": "weekly"})).when(on("12 Jan"), debit_failed())
    story.when(on("15 Jan"), debit_failed(attempt=2)).when(on("19 Jan"), debit_succeeded(2))
    left = story.the_loan.payable_paise()
    assert left > 0
    story.when(on("22 Jan 07:00"))
    last = story.all(DebitAttempted)[-1]
    assert (last.instruction_id, last.amount_paise) == ("LN-1:1:3", left)


def test_paying_what_a_waived_charge_left_ends_the_retries() -> None:
    story = given(a_loan()).when(on("5 Feb"), debit_failed()).when(on("6 Feb"), payment(EMI))
    story.when(on("6 Feb 11:00"), asked(Waive, charge_id="LN-1:charge:1", reason="first time"))
    story.when(on("5 Mar 06:00"))
    assert len(story.all(DebitAttempted)) == 1


def test_a_paused_loan_is_not_debited_until_the_pause_is_over() -> None:
    story = given(a_loan()).when(on("1 Feb"), asked(PauseCollection, until=day("10 Feb"), reason="flood"))
    story.then(a(CollectionPaused, until="10 Feb"))
    story.when(on("11 Feb 06:59"))
    assert story.all(DebitAttempted) == []
    story.when(on("11 Feb 07:00"))
    assert story.at_of(DebitAttempted) == ["11 Feb 2026 07:00"]


def test_a_pause_cannot_end_in_the_past() -> None:
    given(a_loan()).when(on("1 Feb"), asked(PauseCollection, until=day("31 Jan"), reason="flood")).refused(
        Refusal.effective_date_not_ahead, "/until"
    )


# --- Reversed debits and the end -----------------------------------------------------------------------------


def test_a_debit_that_is_reversed_is_asked_for_again() -> None:
    story = given(a_loan()).when(on("5 Feb"), debit_succeeded())
    story.when(on("9 Feb"), taken_back("bank-LN-1:1:1", source="debit"))
    assert [type(event).__name__ for event in story.came] == [
        "ReceiptReversed",
        "RetryScheduled",
        "DelinquencyChanged",
    ]
    story.and_the_loan(payable=EMI, principal="1,00,000", dpd=4, charges="0")
    story.when(on("12 Feb 07:00"))
    assert story.all(DebitAttempted)[-1].instruction_id == "LN-1:1:2"


def test_a_debit_that_succeeds_after_closure_is_refunded() -> None:
    story = given(a_loan_at_its_last_row(mandate={**MANDATE, "max_amount_paise": rupees("2,00,000")}))
    story.when(on("5 Feb 09:00"), payment("1,01,500")).then(
        a(PaymentReceived),
        a(Closed, refund_paise=0),
        a(DebitWithdrawn, instruction_id="LN-1:1:1"),
        a(MandateCancelInstructed, mandate_id="M-1"),
    )
    story.when(on("5 Feb 15:00"), debit_succeeded()).then(
        a(DebitSucceeded, lines=lines(("refund", "1,01,500"))),
        a(RefundInstructed, instruction_id="LN-1:refund:1", amount_paise="1,01,500"),
    ).and_the_loan(state="closed", refund_due="1,01,500")


def test_a_debit_that_fails_after_closure_costs_nothing() -> None:
    story = given(a_loan_at_its_last_row(mandate={**MANDATE, "max_amount_paise": rupees("2,00,000")}))
    story.when(on("5 Feb 09:00"), payment("1,01,500")).when(on("5 Feb 15:00"), debit_failed())
    story.then(a(DebitFailed)).and_the_loan(state="closed", payable="0")


def test_a_debit_whose_instalment_hindsight_took_away_is_booked_and_not_tried_again() -> None:
    story = given(a_loan(months=4, mandate={**MANDATE, "max_amount_paise": rupees("1,00,000")}))
    story.when(on("5 Feb 09:00"), debit_succeeded(1)).when(on("5 Mar 09:00"), debit_succeeded(2))
    story.when(on("5 Apr 09:00"), payment("68,000", value="1 Mar", intent="part-prepayment"))
    story.when(on("5 Apr 10:00"), debit_succeeded(3, amount="10"))
    assert story.all(DebitSucceeded)[-1].amount_paise == rupees("10")
    assert story.all(RetryScheduled) == []
