"""Payouts: by which rail, by another one when it fails, never twice while pending, and to a corrected account."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from domain.commands import (
    CancelDisbursal,
    FailPayout,
    ManageMandate,
    RefundExcess,
    RetryPayout,
    SettlePayout,
    UpdateBorrower,
    WriteOff,
)
from domain.decisions.rules import Rules
from domain.events import (
    BorrowerChanged,
    CaseClosed,
    CaseOpened,
    DebitsStopped,
    DebitWithdrawn,
    DelinquencyChanged,
    Disbursed,
    EmiScheduled,
    MandateCancelInstructed,
    PaymentReceived,
    PayoutFailed,
    PayoutInstructed,
    PayoutPending,
    Recast,
    RefundInstructed,
    RefundOwed,
)
from domain.loan import Loan
from domain.policies.circuit import GatewayHealth
from domain.policies.payouts import choose_rail
from projections.ledger import BANK, EXCESS, RECOVERY_INCOME, WRITTEN_OFF, post
from tests.examples import MANDATE, PAYOUT, a_house, a_loan, a_loan_paid_out_by_us
from tests.stories import (
    Doing,
    Story,
    a,
    asked,
    day,
    debit_failed,
    debit_succeeded,
    given,
    lines,
    on,
    payment,
    payout_failed,
    payout_settled,
    rupees,
)

VPA = {**PAYOUT, "vpa": True}
VPA_ONLY = {"rail": "auto", "account_token": "account:B-1", "ifsc": "", "last4": "", "vpa": True}


def failed(code: str, *, rail: str = "", number: int = 1, returned: bool = False) -> Doing:
    return lambda loan, now: FailPayout(
        instruction_id=f"LN-1:payout:1:{number}", code=code, reason="", returned=returned, rail=rail
    )


# --- By amount and hour --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payee", "amount", "at", "rail"),
    [
        (PAYOUT, "5,00,000", "5 Jan", "imps"),
        (PAYOUT, "5,00,000.01", "5 Jan", "rtgs"),
        (PAYOUT, "1", "5 Jan 03:00", "imps"),
        (PAYOUT, "2,00,000", "7 Oct 2021", "imps"),
        (PAYOUT, "2,00,000.01", "7 Oct 2021", "rtgs"),  # IMPS carried two lakh only until then
        (PAYOUT, "2,00,000.01", "8 Oct 2021", "imps"),
        (PAYOUT, "6,00,000", "4 Feb 2019 17:59", "rtgs"),
        ({**PAYOUT, "rail": "neft"}, "10,000", "5 Jan", "neft"),
        ({**PAYOUT, "rail": "rtgs"}, "1,99,999.99", "5 Jan", "imps"),  # too little for what the LOS asked
        ({**PAYOUT, "rail": "file"}, "10,000", "5 Jan", "file"),
        (VPA, "10,000", "5 Jan", "imps"),
        (VPA_ONLY, "1,00,000", "5 Jan", "upi"),
        (VPA_ONLY, "1,00,000.01", "5 Jan", None),
        ({**PAYOUT, "rail": "upi"}, "10,000", "5 Jan", "imps"),
    ],
)
def test_the_rail_follows_amount_hour_and_what_the_borrower_gave(
    payee: dict[str, Any], amount: str, at: str, rail: str | None
) -> None:
    choice = choose_rail(payee, rupees(amount), on(at))
    assert (choice.rail if choice else None) == rail


@pytest.mark.parametrize("at", ["4 Feb 2019 18:00", "3 Feb 2019 12:00", "4 Feb 2019 06:59"])  # the 3rd is a Sunday
def test_before_they_ran_around_the_clock_large_payouts_waited_for_rtgs_and_neft(at: str) -> None:
    choice = choose_rail(PAYOUT, rupees("6,00,000"), on(at))
    assert choice is None or choice.rail == "neft"


def test_the_reason_names_what_stood_against_the_rails_before() -> None:
    choice = choose_rail(PAYOUT, rupees("6,00,000"), on("5 Jan"))
    assert choice is not None
    assert (choice.rail, choice.reason) == ("rtgs", "imps: up to 50000000 paise (R2.8/imps@2021-10-08)")
    assert {other["rail"]: other["why_not"] for other in choice.others} == {
        "imps": "up to 50000000 paise (R2.8/imps@2021-10-08)",
        "neft": "behind in order",
        "upi": "the borrower gave no UPI address",
    }


def test_the_rail_and_its_reason_stand_in_the_event() -> None:
    [payout] = given(a_loan_paid_out_by_us()).when(on("5 Jan")).all(PayoutInstructed)
    assert (payout.rail, payout.reason) == ("imps", "the first in order")


# --- Fall-back -----------------------------------------------------------------------------------------------


def test_what_one_rail_cannot_carry_goes_by_the_next_one_at_once() -> None:
    story = given(a_loan_paid_out_by_us()).when(on("5 Jan 11:00"), failed("M2", rail="imps"))
    story.then(
        a(PayoutFailed, code="M2"),
        a(PayoutInstructed, instruction_id="LN-1:payout:1:2", rail="neft", amount_paise="1,00,000"),
    )
    story.when(on("5 Jan 12:00"), failed("M2", rail="imps")).repeated()
    story.when(on("5 Jan 12:00"), payout_settled(instruction="LN-1:payout:1:2")).then(a(Disbursed))


def test_when_all_rails_were_tried_a_person_takes_over() -> None:
    story = given(a_loan_paid_out_by_us()).when(on("5 Jan 11:00"), failed("M2", rail="imps"))
    story.when(on("5 Jan 12:00"), failed("M2", rail="imps", number=2))
    story.then(a(PayoutFailed), a(CaseOpened, kind="payout-failed"))


def test_a_payout_that_cannot_arrive_is_a_case_and_sent_again_to_the_corrected_account() -> None:
    story = given(a_loan_paid_out_by_us()).when(on("5 Jan 11:00"), failed("M5", rail="imps"))
    story.then(a(PayoutFailed), a(CaseOpened, kind="payout-failed"))
    facts = {"payout": {"ifsc": "SBIN0000001", "last4": "0099", "vpa": False}}
    story.when(on("7 Jan"), asked(UpdateBorrower, vaulted=("bank-account",), facts=facts)).then(
        a(BorrowerChanged), a(PayoutInstructed, instruction_id="LN-1:payout:1:2", rail="imps", ifsc="SBIN0000001")
    )


def test_a_returned_payout_is_sent_again_to_the_corrected_account() -> None:
    story = given(a_loan_paid_out_by_us()).when(on("6 Jan"), payout_settled())
    story.when(on("8 Jan"), failed("AC04", rail="neft", returned=True))
    story.then(a(PayoutFailed, returned=True), a(CaseOpened, kind="payout-returned"))
    assert story.the_loan.stage == "booked"
    story.when(on("9 Jan"), asked(UpdateBorrower, vaulted=("bank-account",), facts={}))
    story.then(a(BorrowerChanged), a(PayoutInstructed, instruction_id="LN-1:payout:1:2"))


def test_newer_facts_that_are_no_account_send_nothing() -> None:
    story = given(a_loan_paid_out_by_us()).when(on("6 Jan"), payout_failed())
    story.when(on("7 Jan"), asked(UpdateBorrower, vaulted=("phone",), facts={})).then(a(BorrowerChanged))


# --- By which gateway ----------------------------------------------------------------------------------------

TWO = {"payout_gateways": {rail: ["one", "two"] for rail in ("imps", "upi")}, "gateways": {"enach": ["one", "two"]}}


def a_house_with_two(*down: str, rail: str = "imps") -> Rules:
    told = {"state": "open", "try_at": on("9 Jan").isoformat(), "reason": "18 of 20 answers were technical failures"}
    health = GatewayHealth.well()
    for gateway in down:
        health = health.with_news(gateway, rail, told)
    return replace(a_house(routing=TWO), health=health)


@pytest.mark.parametrize(("down", "gateway"), [((), "one"), (("one",), "two"), (("one", "two"), "one")])
def test_a_payout_names_the_first_gateway_of_its_rail_that_works(down: tuple[str, ...], gateway: str) -> None:
    story = a_loan_paid_out_by_us(rules=a_house_with_two(*down))
    assert [event.gateway for event in story.all(PayoutInstructed)] == [gateway]
    assert a_loan_paid_out_by_us().all(PayoutInstructed)[0].gateway == ""  # whoever takes what names none


def test_a_failure_that_a_retry_may_mend_takes_the_next_gateway_of_the_rail_before_another_rail() -> None:
    story = a_loan_paid_out_by_us(rules=a_house_with_two(), payout={**VPA, "rail": "upi"})
    story.when(on("5 Jan 11:00"), failed("U08")).when(on("5 Jan 12:00"), failed("U08", number=2))
    ways = [(event.rail, event.gateway) for event in story.all(PayoutInstructed)]
    assert ways == [("upi", "one"), ("upi", "two"), ("imps", "one")]


def test_a_failure_of_the_rail_takes_another_rail_at_once() -> None:
    story = a_loan_paid_out_by_us(rules=a_house_with_two()).when(on("5 Jan 11:00"), failed("M3"))
    assert [event.rail for event in story.all(PayoutInstructed)] == ["imps", "neft"]


@pytest.mark.parametrize(("own", "down", "gateway"), [("one", (), "one"), ("one", ("one",), "two"), ("", ("one",), "")])
def test_a_cancellation_names_the_mandates_own_gateway_or_one_that_serves_it(
    own: str, down: tuple[str, ...], gateway: str
) -> None:
    rules = a_house_with_two(*down, rail="enach")
    story = a_loan(mandate={**MANDATE, "gateway": own}, rules=rules).when(
        on("6 Jan"), asked(ManageMandate, "C-1", mandate_id="M-1", what="cancel", reason="asked for")
    )
    assert [event.gateway for event in story.all(MandateCancelInstructed)] == [gateway]


# --- Pending -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["08", "12", "20", "22", "91", "92", "307"])
def test_what_is_pending_is_never_paid_a_second_time(code: str) -> None:
    story = given(a_loan_paid_out_by_us()).when(on("5 Jan 11:00"), failed(code, rail="imps"))
    story.then(a(PayoutPending, code=code), a(CaseOpened, kind="payout-pending"))
    story.when(on("6 Jan"), failed(code, rail="imps")).repeated()
    story.when(on("6 Jan"), asked(UpdateBorrower, vaulted=("bank-account",), facts={})).then(a(BorrowerChanged))
    assert len(story.all(PayoutInstructed)) == 1
    story.when(on("7 Jan"), payout_settled(instruction="LN-1:payout:1:1"))
    assert len(story.all(Disbursed)) == 1


def test_a_pending_payout_may_still_fail() -> None:
    story = given(a_loan_paid_out_by_us()).when(on("5 Jan 11:00"), failed("91", rail="imps"))
    story.when(on("6 Jan"), failed("M5", rail="imps")).then(a(PayoutFailed), a(CaseOpened, kind="payout-failed"))
    story.when(on("6 Jan"), failed("91", rail="imps")).repeated()  # old news


# --- Refunds -------------------------------------------------------------------------------------------------


def test_a_refund_names_its_rail_and_goes_by_another_when_it_failed() -> None:
    story = given(a_loan_paid_out_by_us(months=1, mandate={})).when(on("5 Jan"), payout_settled())
    story.when(on("5 Feb"), payment("1,01,600"))
    [refund] = story.all(RefundInstructed)
    assert (refund.amount_paise, refund.rail) == (rupees("100"), "imps")
    story.when(on("6 Feb"), payout_failed(instruction="LN-1:refund:1", code="M5"))
    story.when(on("6 Feb"), asked(UpdateBorrower, vaulted=("bank-account",), facts={}))
    assert [each.rail for each in story.all(RefundInstructed)] == ["imps", "neft"]


def test_a_refund_that_is_pending_stays_out() -> None:
    story = given(a_loan_paid_out_by_us(months=1, mandate={})).when(on("5 Jan"), payout_settled())
    story.when(on("5 Feb"), payment("1,01,600"))
    story.when(on("6 Feb"), payout_failed(instruction="LN-1:refund:1", code="91")).then(
        a(PayoutPending), a(CaseOpened, kind="payout-pending")
    )
    settled = SettlePayout(instruction_id="LN-1:refund:1", amount_paise=None, value_on=day("7 Feb"), reference="U")
    story.when(on("7 Feb"), lambda loan, now: settled)
    assert story.the_loan.refunds_paise() == 0


# --- Comes back late -----------------------------------------------------------------------------------------


def balances_of(story: Story) -> dict[int, int]:
    """The ledger of the story so far, without accounts that came to nothing."""
    balances, loan = Counter[int](), Loan.shell(story.the_loan.id)
    for event in story.events:
        balances.update(post(event, loan))
        loan.evolve(event)
    return {account: paise for account, paise in balances.items() if paise}


def test_a_payout_that_comes_back_after_an_instalment_leaves_nothing_but_the_money_that_was_paid() -> None:
    story = given(a_loan_paid_out_by_us()).when(on("5 Jan 12:00"), payout_settled())
    story.when(on("5 Feb 08:00"), debit_succeeded()).when(on("5 Mar 08:00"), debit_failed(2))
    assert story.the_loan.levied
    assert story.the_loan.provision_paise
    paid = story.the_loan.received_paise
    story.when(on("10 Mar"), failed("R02", returned=True)).then(
        a(DebitWithdrawn, number=2),
        a(Recast, due_rows=0, dues=[], principal_paise="1,00,000", excess_paise=paid),
        a(PayoutFailed, returned=True),
        a(DelinquencyChanged, dpd=0, classification="standard", overdue_paise=-paid),
        a(CaseOpened, kind="payout-returned"),
    )
    story.and_the_loan(state="booked", principal="0")
    assert balances_of(story) == {BANK: paid, EXCESS: -paid}
    story.when(on("11 Mar"), failed("R02", returned=True)).repeated()
    story.when(on("1 May")).then()
    story.when(on("2 May"), asked(RetryPayout)).when(on("2 May 12:00"), payout_settled()).and_the_loan(state="active")
    assert [row.due_on for row in story.the_loan.rows[:2]] == [day("5 May"), day("5 Jun")]


def test_a_payouts_unknown_code_is_a_case_of_its_own_once_while_it_is_open() -> None:
    story = given(a_loan_paid_out_by_us()).when(on("5 Jan 11:00"), failed("GW_77", rail="imps"))
    story.when(on("6 Jan"), asked(RetryPayout)).when(on("6 Jan 11:00"), failed("GW_77", rail="imps", number=2))
    kinds = Counter((case.kind, case.about) for case in story.all(CaseOpened))
    assert kinds == {("payout-failed", ""): 2, ("unknown-failure-code", "imps:GW_77"): 1}


def test_a_payout_without_an_answer_is_a_case_once_and_the_answer_closes_it() -> None:
    story = given(a_loan_paid_out_by_us()).when(on("7 Jan 23:59")).then()
    story.when(on("9 Jan")).then(a(CaseOpened, kind="payout-outcome-unknown", about="LN-1:payout:1:1"))
    story.when(on("20 Jan")).then()
    story.when(on("21 Jan"), payout_settled()).then(
        a(Disbursed), a(CaseClosed, outcome="cured"), a(EmiScheduled, reason="disbursal")
    )


def test_what_was_paid_goes_back_on_request_and_a_later_hindsight_still_adds_up() -> None:
    story = given(a_loan_paid_out_by_us(mandate={})).when(on("5 Jan 12:00"), payout_settled())
    story.when(on("6 Feb"), payment("10,000")).when(on("10 Mar"), failed("R02", returned=True))
    story.when(on("11 Mar"), asked(RefundExcess, "C-2", amount_paise=rupees("4,000"), reason="he asks")).then(
        a(RefundOwed, paise="4,000"), a(RefundInstructed, amount_paise="4,000")
    )
    story.when(on("12 Mar"), asked(RetryPayout)).when(on("12 Mar 12:00"), payout_settled())
    story.when(on("7 Apr"), payment("5,000", value="6 Apr", intent="part-prepayment"))
    assert not [case for case in story.all(CaseOpened) if case.kind == "hindsight-not-possible"]
    assert sum(balances_of(story).values()) == 0


def test_a_loan_that_is_given_back_while_its_payout_is_back_ends_with_the_money_returned() -> None:
    story = given(a_loan_paid_out_by_us(mandate={})).when(on("5 Jan 12:00"), payout_settled())
    story.when(on("6 Feb"), payment("10,000")).when(on("10 Mar"), failed("R02", returned=True))
    story.when(on("11 Mar"), asked(CancelDisbursal, reason="no more wanted"))
    [refund] = story.all(RefundInstructed)
    assert (story.the_loan.stage, refund.amount_paise) == ("cancelled", rupees("10,000"))


def test_a_payout_that_comes_back_after_a_write_off_is_a_recovery() -> None:
    """The principal is given up already: it cannot be taken back once more, and the money is real."""
    story = given(a_loan_paid_out_by_us(mandate={})).when(on("6 Jan"), payout_settled())
    story.when(on("8 Jan"), asked(WriteOff, reason="a fraud"))
    story.when(on("9 Jan"), failed("R02", returned=True)).then(
        a(PaymentReceived, lines=lines(("recovery", "1,00,000"))), a(CaseOpened, kind="payout-returned")
    )
    story.when(on("9 Jan"), failed("R02", returned=True)).repeated()
    assert balances_of(story) == {WRITTEN_OFF: rupees("1,00,000"), RECOVERY_INCOME: -rupees("1,00,000")}


def test_a_first_payout_that_comes_back_while_another_tranche_is_out_is_held_and_debits_stop() -> None:
    terms = {"tranches": [{"on": "2026-01-15", "amount_paise": rupees("50,000")}]}
    story = given(a_loan_paid_out_by_us(product="home-loan", terms=terms)).when(on("6 Jan"), payout_settled())
    story.when(on("15 Jan")).when(on("16 Jan"), payout_settled(instruction="LN-1:payout:2:1"))
    story.when(on("20 Jan"), failed("R02", returned=True))
    assert [type(event) for event in story.came][:2] == [PaymentReceived, DebitsStopped]
    story.and_the_loan(state="active", principal="1,50,000")
    assert story.the_loan.excess_paise == rupees("1,00,000")
    assert sum(balances_of(story).values()) == 0


def test_a_tranche_that_arrives_after_a_write_off_is_booked_and_a_person_looks() -> None:
    """The money is out: it is principal again. Nothing is folded anew, for what was given up stays given up."""
    terms = {"tranches": [{"on": "2026-01-15", "amount_paise": rupees("50,000")}]}
    story = given(a_loan_paid_out_by_us(product="home-loan", terms=terms)).when(on("6 Jan"), payout_settled())
    story.when(on("15 Jan")).when(on("16 Jan"), asked(WriteOff, reason="a fraud"))
    story.when(on("17 Jan"), payout_settled(instruction="LN-1:payout:2:1")).then(
        a(Disbursed, tranche=1, amount_paise="50,000"), a(CaseOpened, kind="payout-after-the-end")
    )
    assert story.the_loan.principal_paise == rupees("50,000")
