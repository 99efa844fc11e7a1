"""Mandates of a loan: order, checks, loss, the alternate path, links, and a person's last word (servicing rules 16, 17,
29)."""

from __future__ import annotations

from typing import Any

import pytest

from domain.commands import ChangeMandate, ManageMandate, OfferPaymentLink, RegisterMandate, ResumeDebits, WriteOff
from domain.events import (
    CaseClosed,
    CaseOpened,
    CollectionExhausted,
    DebitAttempted,
    DebitFailed,
    DebitNotified,
    DebitsResumed,
    DebitsStopped,
    MandateCancelInstructed,
    MandateChanged,
    MandateExpiring,
    MandatePreferred,
    MandateRegistered,
    MandateRequested,
    PaymentLinkOffered,
    PaymentLinkWithdrawn,
    RetryScheduled,
)
from domain.refusals import Refusal
from tests.examples import EMI, MANDATE, a_house, a_loan, a_request, nothing_yet
from tests.stories import (
    Doing,
    Story,
    a,
    again,
    asked,
    debit_failed,
    debit_succeeded,
    given,
    mandate_is,
    on,
    payment,
    rupees,
)

UPI: dict[str, Any] = {**MANDATE, "mandate_id": "M-UPI", "rail": "upi", "gateway": "upi-house"}


def with_two(**changed: Any) -> Story:
    """A loan with a NACH mandate first and one by UPI after it."""
    return a_loan(mandate={**MANDATE, **changed}, further_mandates=(UPI,))


def managed(what: str, mandate_id: str = "M-1", command_id: str = "C-1") -> Doing:
    return asked(ManageMandate, command_id, what=what, mandate_id=mandate_id, reason="asked for")


def kinds(story: Story) -> list[str]:
    return [case.kind for case in story.all(CaseOpened)]


# --- At booking ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "kind", "reason"),
    [
        ({"max_amount_paise": rupees("4,992")}, "mandate-limit", "499300 paise does not fit the mandate's limit"),
        ({"valid_until": "2027-12-31"}, "mandate-validity", "go on to 2028-01-05, the mandate ends on 2027-12-31"),
        ({"valid_from": "2026-02-06"}, "mandate-validity", "due on 2026-02-05, the mandate begins on 2026-02-06"),
        ({"bank": "SBI", "ifsc": "HDFC0000001"}, "mandate-bank", "names SBI, the account's IFSC is of HDFC"),
        ({"holder": "differs"}, "mandate-holder", "does not bear the borrower's name"),
    ],
)
def test_a_mandate_that_does_not_fit_is_a_case_at_booking_and_another_is_asked_for(
    facts: dict[str, Any], kind: str, reason: str
) -> None:
    story = given(a_loan(mandate={**MANDATE, **facts}))
    [case], [request] = story.all(CaseOpened), story.all(MandateRequested)
    assert (case.kind, reason in case.reason) == (kind, True)
    assert (request.max_amount_paise, request.valid_until) == (rupees(EMI), "2028-01-30")  # the window of the last row


@pytest.mark.parametrize("facts", [{}, {"bank": "SBI", "ifsc": "SBIN0000001"}, {"bank": "a small one", "ifsc": "X"}])
def test_a_mandate_that_fits_is_no_case(facts: dict[str, Any]) -> None:
    assert kinds(given(a_loan(mandate={**MANDATE, **facts}))) == []


def test_a_second_mandate_that_carries_the_instalment_is_used_and_nobody_is_asked() -> None:
    story = given(with_two(max_amount_paise=rupees("3,000")))
    assert kinds(story) == []
    story.when(on("5 Feb 08:00"))
    assert [(debit.mandate_id, debit.amount_paise) for debit in story.all(DebitAttempted)] == [("M-UPI", rupees(EMI))]


def test_a_product_may_leave_mandates_unchecked() -> None:
    rules = a_house(mandates={"check": False})
    story = given(a_loan(rules=rules, mandate={**MANDATE, "max_amount_paise": 1_00, "status": "pending"}))
    assert kinds(story.when(on("4 Feb"))) == []


def test_a_mandate_that_is_not_active_a_week_before_the_first_instalment_is_a_case() -> None:
    story = given(a_loan(mandate={**MANDATE, "status": "pending"})).when(on("28 Jan 23:59")).then()
    story.when(on("29 Jan 00:00")).then(a(CaseOpened, kind="mandate-not-ready"), a(MandateRequested))
    in_time = given(a_loan(mandate={**MANDATE, "status": "pending"})).when(on("28 Jan"), mandate_is("active"))
    assert kinds(in_time.when(on("4 Feb"))) == []


# --- Order of preference -------------------------------------------------------------------------------------


def test_the_first_active_mandate_in_order_is_used() -> None:
    story = given(with_two()).when(on("5 Feb"))
    assert [debit.mandate_id for debit in story.all(DebitAttempted)] == ["M-1"]
    story.when(on("6 Feb"), managed("prefer", "M-UPI")).then(a(MandatePreferred, mandate_id="M-UPI"))
    story.when(on("5 Mar 08:00"))
    assert [debit.mandate_id for debit in story.all(DebitAttempted)] == ["M-1", "M-UPI"]


def test_a_paused_mandate_gives_way_and_comes_back() -> None:
    story = given(with_two()).when(on("10 Jan"), managed("pause")).then(a(MandateChanged, status="paused"))
    assert story.the_loan.mandate["mandate_id"] == "M-UPI"
    story.when(on("11 Jan"), managed("resume", command_id="C-2")).then(a(MandateChanged, status="active"))
    assert story.the_loan.mandate["mandate_id"] == "M-1"
    story.when(on("12 Jan"), managed("resume", command_id="C-3")).refused(Refusal.mandate_status_forbids)
    story.when(on("12 Jan"), managed("pause", "M-9", "C-4")).refused(Refusal.mandate_unknown, "/mandate_id")


def test_the_same_command_twice_is_done_once() -> None:
    story = given(with_two()).when(on("10 Jan"), *again(managed("pause")))
    assert len(story.all(MandateChanged)) == 1


def test_a_mandate_may_be_registered_behind_the_one_in_use() -> None:
    story = given(a_loan()).when(on("10 Jan"), asked(RegisterMandate, mandate=UPI, position=2))
    story.then(a(MandateRegistered, position=2, replaces=""))
    assert [mandate["mandate_id"] for mandate in story.the_loan.mandates] == ["M-1", "M-UPI"]


def test_in_a_swap_the_old_mandate_is_cancelled_when_the_new_one_is_active() -> None:
    story = given(a_loan()).when(on("10 Jan"), asked(RegisterMandate, mandate={**UPI, "status": "pending"}, swap=True))
    story.then(a(MandateRegistered, replaces="M-1"))
    assert story.the_loan.mandate["mandate_id"] == "M-1"  # until then the old one serves
    story.when(on("12 Jan"), mandate_is("active", "M-UPI")).then(
        a(MandateChanged, mandate_id="M-UPI", status="active"),
        a(MandateCancelInstructed, mandate_id="M-1", instruction_id="LN-1:mandate-cancel:M-1"),
    )
    story.when(on("13 Jan"), mandate_is("cancelled", "M-1")).then(a(MandateChanged, mandate_id="M-1"))
    assert kinds(story) == []


def test_a_person_cancels_the_only_mandate_and_another_is_asked_for() -> None:
    given(a_loan()).when(on("10 Jan"), managed("cancel")).then(
        a(MandateCancelInstructed, mandate_id="M-1"), a(CaseOpened, kind="mandate-lost"), a(MandateRequested)
    )


def test_all_mandates_are_cancelled_at_the_end() -> None:
    both = {"max_amount_paise": rupees("2,00,000")}
    story = given(a_loan(months=1, mandate={**MANDATE, **both}, further_mandates=({**UPI, **both},)))
    story.when(on("5 Feb 06:00"), payment("1,01,500"))
    assert story.the_loan.stage == "closed"
    assert {each.mandate_id for each in story.all(MandateCancelInstructed)} == {"M-1", "M-UPI"}


# --- A hard failure ------------------------------------------------------------------------------------------


def test_a_hard_failure_takes_the_next_mandate_at_once_and_the_failed_one_never_again() -> None:
    story = given(with_two()).when(on("5 Feb"), debit_failed(code="01"))
    story.then(
        a(DebitFailed, failure_class="hard"),
        a(MandateChanged, mandate_id="M-1", status="failed", code="01", reason="Account closed"),
        a(
            RetryScheduled,
            number=1,
            attempt=2,
            at="5 Feb",
            reason="hard failure 01: Account closed; by mandate M-UPI (upi) instead",
        ),
        a(DebitNotified, attempt=2, rail="upi", debit_at="6 Feb 13:00"),  # a day's notice, outside peak hours
    )
    story.when(on("6 Feb 12:59")).when(on("6 Feb 13:00")).then(
        a(DebitAttempted, attempt=2, mandate_id="M-UPI", rail="upi", amount_paise=EMI)
    )
    story.when(on("6 Feb 14:00"), debit_succeeded(attempt=2)).when(on("5 Mar 08:00"))
    assert [debit.mandate_id for debit in story.all(DebitAttempted)] == ["M-1", "M-UPI", "M-UPI"]
    assert (kinds(story), story.all(MandateRequested), story.all(PaymentLinkOffered)) == ([], [], [])


@pytest.mark.parametrize("code", ["57", "26"])
def test_a_debit_that_a_mandate_cannot_carry_goes_by_the_next_one_at_once(code: str) -> None:
    """57: above the account's limit for one debit; 26: above the mandate's. The same debit again is hopeless."""
    story = given(with_two()).when(on("5 Feb 10:00"), debit_failed(code=code))
    [preferred] = story.all(MandatePreferred)
    assert (preferred.mandate_id, preferred.reason.split(":")[0]) == ("M-UPI", "mandate M-1 failed")
    story.when(on("7 Feb"))
    assert [(debit.mandate_id, debit.rail) for debit in story.all(DebitAttempted)] == [
        ("M-1", "enach"),
        ("M-UPI", "upi"),
    ]
    assert (story.all(PaymentLinkOffered), kinds(story)) == ([], [])


@pytest.mark.parametrize(("code", "advice"), [("57", "alternate_rail"), ("26", "fix_mandate"), ("12", "fix_mandate")])
def test_where_there_is_no_other_mandate_the_borrower_gets_a_link_and_the_mandate_stands(
    code: str, advice: str
) -> None:
    story = given(a_loan()).when(on("5 Feb 10:00"), debit_failed(code=code))
    assert (story.all(RetryScheduled), story.all(MandateChanged)) == ([], [])
    [spent], [link] = story.all(CollectionExhausted), story.all(PaymentLinkOffered)
    assert (spent.next_step, link.amount_paise, kinds(story)) == (advice, rupees(EMI), ["collection-exhausted"])
    assert story.when(on("5 Mar 12:00")).all(DebitAttempted)[-1].number == 2


@pytest.mark.parametrize("code", ["06", "17"])
def test_against_the_payer_s_stop_nothing_is_debited_until_a_person_resumes_the_mandate(code: str) -> None:
    story = given(a_loan()).when(on("5 Feb 10:00"), debit_failed(code=code))
    [moved] = story.all(MandateChanged)
    assert (moved.status, moved.code, len(story.all(PaymentLinkOffered))) == ("paused", code, 1)
    story.when(on("5 Mar 12:00"))
    assert (len(story.all(DebitAttempted)), len(story.all(PaymentLinkOffered))) == (1, 2)
    story.when(on("6 Mar 10:00"), managed("resume"))
    assert story.all(DebitAttempted)[-1].number == 2


def test_a_loan_without_a_mandate_is_one_case_however_many_instalments_pass_and_none_when_there_is_one() -> None:
    story = given(a_loan()).when(on("10 Jan"), mandate_is("cancelled")).when(on("6 May"))
    assert kinds(story) == ["mandate-lost", "no-usable-mandate"]
    story.when(on("7 May"), asked(RegisterMandate, mandate={**MANDATE, "mandate_id": "M-2"}))
    closed = [case.case_id for case in story.all(CaseClosed)]
    assert closed == ["LN-1:case:1", "LN-1:case:2"]


def test_a_mandate_that_fits_closes_the_case_of_one_that_did_not() -> None:
    story = a_loan(mandate={**MANDATE, "max_amount_paise": rupees("3,000")})
    story.when(on("10 Jan"), asked(RegisterMandate, mandate={**MANDATE, "mandate_id": "M-2"}))
    assert [case.note for case in story.all(CaseClosed)] == ["a mandate carries what is to come"]


def test_a_hard_failure_of_the_last_mandate_ends_the_debits_of_all_instalments() -> None:
    story = given(a_loan()).when(on("5 Feb"), debit_failed(code="02"))
    [request] = story.all(MandateRequested)
    assert request.rail == "enach"  # the same account, mended
    story.when(on("5 Mar 12:00"))
    assert len(story.all(DebitAttempted)) == 1
    assert [(link.number, link.link_id) for link in story.all(PaymentLinkOffered)] == [
        (1, "LN-1:1:1"),
        (2, "LN-1:2:1"),
    ]
    assert len(story.all(MandateRequested)) == 1  # asked for once until there is an answer


def test_a_new_mandate_asks_at_once_for_all_that_waited() -> None:
    story = given(a_loan()).when(on("5 Feb"), debit_failed(code="01")).when(on("10 Feb 09:00"))
    new = {**MANDATE, "mandate_id": "M-2"}
    story.when(on("10 Feb 10:00"), asked(RegisterMandate, mandate=new)).then(
        a(MandateRegistered, mandate=new),
        a(RetryScheduled, number=1, attempt=2, at="10 Feb 10:00", reason="mandate M-2 is active"),
        a(DebitAttempted, attempt=2, mandate_id="M-2"),
    )
    story.when(on("10 Feb 11:00"), debit_succeeded(attempt=2))
    assert [link.link_id for link in story.all(PaymentLinkWithdrawn)] == ["LN-1:1:1"]


def test_what_is_out_of_the_window_is_not_asked_for_by_the_new_mandate() -> None:
    story = given(a_loan()).when(on("5 Feb"), debit_failed(code="01")).when(on("3 Mar"))
    story.when(on("3 Mar"), asked(RegisterMandate, mandate={**MANDATE, "mandate_id": "M-2"}))
    assert story.all(RetryScheduled) == []


def test_the_bank_says_that_the_mandate_which_was_asked_for_is_active() -> None:
    story = given(a_loan()).when(on("5 Feb"), debit_failed(code="01"))
    told = asked_of_bank("M-2", "active", {**MANDATE, "mandate_id": "M-2"})
    story.when(on("6 Feb"), told)
    assert [type(event) for event in story.came[:3]] == [MandateRegistered, MandateCancelInstructed, RetryScheduled]
    assert story.all(MandateRegistered)[0].replaces == "M-1"
    story.when(on("6 Feb 11:00"), told).repeated()


def asked_of_bank(mandate_id: str, status: str, mandate: dict[str, Any]) -> Doing:
    return lambda loan, now: ChangeMandate(mandate_id=mandate_id, status=status, mandate=mandate)


def test_a_rejected_mandate_is_asked_for_again() -> None:
    story = given(a_loan(mandate={**MANDATE, "status": "pending"})).when(on("10 Jan"), mandate_is("rejected"))
    story.then(a(MandateChanged, status="rejected"), a(CaseOpened, kind="mandate-lost"), a(MandateRequested))


@pytest.mark.parametrize("code", ["07", "60", "69"])
def test_a_court_or_a_death_stops_all_debits_until_a_person_says_otherwise(code: str) -> None:
    story = given(with_two()).when(on("5 Feb"), debit_failed(code=code))
    story.then(
        a(DebitFailed, failure_class="hard", action="stop"),
        a(DebitsStopped, number=1, mandate_id="M-1", code=code),
        a(CollectionExhausted, next_step="stop"),
        a(CaseOpened, kind="debits-stopped"),
    )
    story.when(on("20 Feb"))
    assert len(story.all(DebitAttempted)) == 1
    assert (story.all(PaymentLinkOffered), story.all(MandateRequested)) == ([], [])
    story.when(on("20 Feb"), asked(ResumeDebits, reason="the order was lifted")).then(
        a(DebitsResumed),
        a(RetryScheduled, number=1, attempt=2, reason="debits go on: the order was lifted"),
        a(DebitAttempted, number=1, attempt=2, mandate_id="M-1"),
    )
    story.when(on("21 Feb"), asked(ResumeDebits, "C-2", reason="")).refused(Refusal.debits_are_not_stopped)


# --- Links ---------------------------------------------------------------------------------------------------


def test_who_wants_to_pay_after_a_failure_is_given_one_link() -> None:
    """A debit that found no funds is tried again, so no link goes out by itself; its notice leads to one."""
    story = given(a_loan()).when(on("5 Feb"), debit_failed(code="04"))
    assert story.all(PaymentLinkOffered) == []
    story.when(on("6 Feb"), asked(OfferPaymentLink)).then(
        a(PaymentLinkOffered, link_id="LN-1:1:1", number=1, command_id="C-1"),
    )
    story.when(on("6 Feb"), asked(OfferPaymentLink, "C-2", number=1)).repeated()
    story.when(on("6 Feb"), payment("6,000", "P-1"))
    assert [link.link_id for link in story.all(PaymentLinkWithdrawn)] == ["LN-1:1:1"]
    story.when(on("7 Feb"), asked(OfferPaymentLink, "C-3")).refused(Refusal.nothing_is_owed)


def test_nobody_pays_by_a_link_what_a_debit_is_asking_for() -> None:
    story = given(a_loan()).when(on("5 Feb"))
    story.when(on("5 Feb"), asked(OfferPaymentLink, number=1)).refused(Refusal.debit_is_out)
    story.when(on("5 Feb"), asked(OfferPaymentLink, "C-2", number=7)).refused(Refusal.nothing_is_owed)


def test_a_link_asks_for_what_is_unpaid_with_its_charges_and_is_taken_back_when_paid() -> None:
    story = given(a_loan()).when(on("5 Feb"), debit_failed(code="01")).when(on("6 Feb"), payment("1,000", "P-1"))
    assert story.all(PaymentLinkWithdrawn) == []
    story.when(on("7 Feb"), payment("3,993", "P-2"))
    assert [link.reason for link in story.all(PaymentLinkWithdrawn)] == ["instalment 1 is paid"]
    written_off = given(a_loan()).when(on("5 Feb"), debit_failed(code="01"))
    written_off.when(on("20 Feb"), asked(WriteOff, reason="fraud"))
    assert [link.reason for link in written_off.all(PaymentLinkWithdrawn)] == ["the loan is written off"]


def test_a_product_may_give_no_links() -> None:
    story = given(a_loan(rules=a_house(mandates={"payment_link_days": 0}))).when(on("5 Feb"), debit_failed(code="01"))
    assert story.all(PaymentLinkOffered) == []


# --- The mandate's end in time -------------------------------------------------------------------------------


def test_a_mandates_end_is_told_of_60_30_and_7_days_ahead_and_then_it_is_expired() -> None:
    story = given(a_loan(mandate={**MANDATE, "valid_until": "2026-04-10"})).when(on("6 Feb"), payment(EMI))
    story.when(on("6 Mar"), payment(EMI, "P-2")).when(on("6 Apr"), payment(EMI, "P-3")).when(on("12 Apr"))
    assert story.at_of(MandateExpiring) == ["9 Feb 2026 00:00", "11 Mar 2026 00:00", "3 Apr 2026 00:00"]
    assert [each.days_left for each in story.all(MandateExpiring)] == [60, 30, 7]
    [expired] = story.all(MandateChanged)
    assert (expired.status, story.at_of(MandateChanged)) == ("expired", ["11 Apr 2026 00:00"])
    assert len(story.all(MandateRequested)) == 1  # at booking, whose check had seen it


def test_a_mandate_that_is_near_its_end_when_it_becomes_known_is_told_of_once() -> None:
    story = given(a_loan(mandate={**MANDATE, "valid_until": "2026-02-10"})).when(on("10 Jan"))
    assert [each.days_left for each in story.all(MandateExpiring)] == [60]
    story.when(on("12 Jan"))
    assert [each.days_left for each in story.all(MandateExpiring)] == [60, 30]


def test_a_mandate_that_outlives_the_loan_is_not_told_of() -> None:
    story = given(a_loan(months=2, mandate={**MANDATE, "valid_until": "2026-03-05"})).when(on("5 Mar 12:00"))
    assert story.all(MandateExpiring) == []


def test_a_bank_that_calls_an_ended_mandate_active_is_not_believed() -> None:
    story = given(a_loan(mandate={**MANDATE, "valid_until": "2026-02-10"})).when(on("12 Feb"))
    story.when(on("12 Feb"), mandate_is("active")).repeated()


def test_a_loan_without_a_second_mandate_is_booked_as_ever() -> None:
    story = given(nothing_yet()).book(on("2 Jan"), a_request(mandate={}))
    assert story.the_loan.mandate == {}
