"""Leaving within the cooling-off days: principal and proportionate APR, nothing more (servicing rule 28)."""

from __future__ import annotations

import pytest

from domain.commands import CancelDisbursal
from domain.events import (
    CancellationLapsed,
    CancellationShort,
    CaseOpened,
    ChargeLevied,
    Closed,
    DebitAttempted,
    DelinquencyChanged,
    DisbursalCancelled,
    EmiScheduled,
    InstalmentDue,
    MandateCancelInstructed,
    PaymentReceived,
    PayoutInstructed,
    Recast,
    RefundInstructed,
)
from domain.refusals import Refusal
from tests.examples import PAYOUT, a_closed_loan, a_house, a_loan, a_loan_paid_out_by_us, a_request, nothing_yet
from tests.stories import (
    Doing,
    Story,
    a,
    asked,
    by_days,
    given,
    on,
    parts,
    payment,
    payout_failed,
    payout_settled,
    rupees,
)

FEE = {"kind": "processing", "amount_paise": 2_000_00, "gst_percent": "18.00", "deducted": True}


def leaving(command_id: str = "X-1") -> Doing:
    return asked(CancelDisbursal, command_id, reason="changed my mind")


def left_on(said: str, **other: object) -> Story:
    """Paid out on 5 January, given back on a day; three cooling-off days, so until 8 January."""
    return given(a_loan(**{"mandate": {}, **other})).when(on(said), leaving())


@pytest.mark.parametrize(("said", "days"), [("5 Jan", 0), ("6 Jan", 1), ("7 Jan", 2), ("8 Jan", 3)])
def test_principal_and_the_apr_of_the_days_that_the_money_was_out(said: str, days: int) -> None:
    story = left_on(f"{said} 11:00")
    interest = by_days(rupees("1,00,000"), story.the_loan.apr_percent, days)
    story.then(
        a(
            DisbursalCancelled,
            principal_paise="1,00,000",
            interest_paise=interest,
            fees_returned_paise=0,
            pay_by="2026-01-08",
        ),
        a(EmiScheduled, reason="cooling-off", instalment_paise=rupees("1,00,000") + interest),
        a(InstalmentDue, number=1, principal_paise="1,00,000", interest_paise=interest),
    )


def test_the_money_cancels_the_loan() -> None:
    story = left_on("6 Jan")
    interest = by_days(rupees("1,00,000"), story.the_loan.apr_percent, 1)
    story.when(on("7 Jan"), payment(f"{(rupees('1,00,000') + interest) / 100:.2f}"))
    story.then(a(PaymentReceived), a(Closed, kind="cancelled", refund_paise=0, fees_returned_paise=0))
    story.and_the_loan(state="cancelled", principal="0", payable="0")
    assert story.when(on("30 Dec")).came == []


def test_nobody_is_late_and_nothing_is_charged_in_the_cooling_off_days() -> None:
    story = left_on("6 Jan", rules=a_house(charges={"penal": {"percent_per_annum": "18.00"}}))
    story.when(on("8 Jan 23:58")).and_the_loan(dpd=0, classification="standard")
    assert story.all(DelinquencyChanged) == story.all(ChargeLevied) == []
    amount = story.the_loan.payable_paise()
    story.when(on("8 Jan 23:58"), payment(f"{amount / 100:.2f}")).and_the_loan(state="cancelled")
    assert story.all(ChargeLevied) == []


def test_more_than_is_owed_goes_back() -> None:
    story = left_on("6 Jan")
    interest = by_days(rupees("1,00,000"), story.the_loan.apr_percent, 1)
    story.when(on("7 Jan"), payment("1,00,100"))
    back = rupees("100") - interest
    story.then(a(PaymentReceived), a(Closed, refund_paise=back), a(RefundInstructed, amount_paise=back))


def test_deducted_fees_go_back_with_their_gst() -> None:
    story = left_on("6 Jan", terms={"fees": [FEE]})
    story.when(on("7 Jan"), payment(f"{story.the_loan.payable_paise() / 100:.2f}")).then(
        a(PaymentReceived),
        a(Closed, kind="cancelled", refund_paise=0, fees_returned_paise="2,360", fees_returned_gst_paise="360"),
        a(RefundInstructed, amount_paise="2,360"),
    )
    story.and_the_loan(refund_due="2,360")


def test_the_processing_fee_is_kept_where_the_product_says_so() -> None:
    rules = a_house(cooling_off={"keeps_processing_fee": True})
    story = left_on("6 Jan", rules=rules, terms={"fees": [FEE]})
    assert story.all(DisbursalCancelled)[0].fees_returned_paise == 0
    story.when(on("7 Jan"), payment(f"{story.the_loan.payable_paise() / 100:.2f}"))
    assert story.all(RefundInstructed) == []


def test_money_that_does_not_come_in_time_leaves_the_loan_as_it_was() -> None:
    story = given(a_loan(mandate={}))
    before = list(story.the_loan.rows)
    story.when(on("6 Jan"), leaving()).when(on("9 Jan"))
    assert [each.pay_by for each in story.all(CancellationLapsed)] == ["2026-01-08"]
    assert len(story.all(Recast)) == 1
    assert story.all(DelinquencyChanged) == []
    assert story.the_loan.rows == before
    story.and_the_loan(dpd=0, payable="0", principal="1,00,000", state="active")
    story.when(on("5 Feb")).and_the_loan(payable="4,993")
    assert parts(story.the_loan)[0] == (before[1].principal, before[1].interest)


def test_money_that_is_short_names_what_is_missing_and_gives_some_days_more() -> None:
    """Rs. 1,00,000 and a day's APR; Rs. 99,000 come on the last day. The rest may come in three days, and does."""
    story = left_on("6 Jan")
    owed = story.the_loan.payable_paise()
    story.when(on("8 Jan 20:00"), payment("99,000")).then(
        a(PaymentReceived),
        a(CancellationShort, received_paise="99,000", missing_paise=owed - rupees("99,000"), pay_by="2026-01-11"),
        a(CaseOpened, kind="cooling-off-short"),
    )
    story.when(on("11 Jan 20:00")).and_the_loan(dpd=0, state="active")
    story.when(on("11 Jan 21:00"), payment(f"{(owed - rupees('99,000')) / 100:.2f}", "P-2"))
    story.and_the_loan(state="cancelled", principal="0", payable="0")
    assert story.all(CancellationLapsed) == story.all(DelinquencyChanged) == []


def test_the_days_more_are_given_once() -> None:
    story = left_on("6 Jan").when(on("8 Jan"), payment("99,000")).when(on("10 Jan"), payment("500", "P-2"))
    assert [(short.received_paise, short.pay_by) for short in story.all(CancellationShort)] == [
        (rupees("99,000"), "2026-01-11"),
        (rupees("99,500"), "2026-01-11"),
    ]
    assert len(story.all(CaseOpened)) == 1


def test_a_part_of_the_money_is_held_when_the_exit_lapses() -> None:
    story = left_on("6 Jan").when(on("7 Jan"), payment("40,000")).when(on("11 Jan"))
    missing = story.all(InstalmentDue)[0].interest_paise + rupees("60,000")
    assert [(end.received_paise, end.missing_paise) for end in story.all(CancellationLapsed)] == [
        (rupees("40,000"), missing)
    ]
    story.and_the_loan(state="active", principal="1,00,000", excess="40,000", payable="0")
    story.when(on("5 Feb")).and_the_loan(excess="35,007", payable="0")


def test_interest_that_was_kept_back_from_the_payout_goes_back() -> None:
    """Out on 5 January, due from 5 March: 31 days of 18 % on Rs. 1,00,000 over 365 were kept back, Rs. 1,528.77."""
    terms = {"broken_period": "deduct", "day_count": "ACT/365"}
    story = left_on("6 Jan", terms=terms, first_due="5 Mar")
    assert story.all(DisbursalCancelled)[0].interest_returned_paise == rupees("1,528.77")
    story.when(on("7 Jan"), payment(f"{story.the_loan.payable_paise() / 100:.2f}")).then(
        a(PaymentReceived),
        a(Closed, kind="cancelled", refund_paise=0, fees_returned_paise=0, interest_returned_paise="1,528.77"),
        a(RefundInstructed, amount_paise="1,528.77"),
    )


def test_debits_rest_while_the_exit_is_open_and_go_on_after_it_lapsed() -> None:
    story = given(a_loan()).when(on("6 Jan"), leaving()).when(on("8 Jan 23:00"))
    assert story.all(DebitAttempted) == []
    story.when(on("5 Feb 08:00"))
    assert [debit.amount_paise for debit in story.all(DebitAttempted)] == [rupees("4,993")]


def test_the_mandate_is_cancelled_with_the_loan() -> None:
    story = given(a_loan()).when(on("6 Jan"), leaving())
    story.when(on("7 Jan"), payment(f"{story.the_loan.payable_paise() / 100:.2f}"))
    assert [each.mandate_id for each in story.all(MandateCancelInstructed)] == ["M-1"]


def test_the_day_after_the_last_it_is_over() -> None:
    left_on("9 Jan").refused(Refusal.cooling_off_is_over)
    rules = a_house(cooling_off={"days": 1})
    left_on("6 Jan 23:00", rules=rules).then(a(DisbursalCancelled), a(EmiScheduled), a(InstalmentDue))
    left_on("7 Jan", rules=rules).refused(Refusal.cooling_off_is_over)


def test_a_loan_in_use_is_not_given_back_but_quoted() -> None:
    story = given(a_loan(mandate={})).when(on("6 Jan"), payment("100"))
    story.when(on("6 Jan 12:00"), leaving()).refused(Refusal.cooling_off_is_over)


def test_leaving_twice_is_leaving_once() -> None:
    left_on("6 Jan").when(on("7 Jan"), leaving()).repeated()
    left_on("6 Jan").when(on("7 Jan"), leaving("X-2")).refused(Refusal.cancellation_is_open)


def test_the_days_count_from_the_actual_payout() -> None:
    story = given(nothing_yet()).book(on("5 Jan"), a_request(payout=PAYOUT, mandate={}))
    story.when(on("6 Jan"), payout_settled("6 Jan")).when(on("9 Jan"), leaving())
    assert story.all(DisbursalCancelled)[0].interest_paise == by_days(rupees("1,00,000"), story.the_loan.apr_percent, 3)


def test_what_was_paid_before_the_payout_goes_back_when_the_loan_ends() -> None:
    story = given(nothing_yet()).book(on("5 Jan"), a_request(payout=PAYOUT, mandate={}))
    story.when(on("5 Jan"), payout_failed(code="closed")).when(on("6 Jan"), payment("500", "P-1"))
    story.when(on("7 Jan"), leaving()).then(
        a(DisbursalCancelled, principal_paise=0),
        a(Closed, kind="cancelled", refund_paise=rupees("500")),
        a(RefundInstructed, amount_paise=rupees("500")),
    )
    story.and_the_loan(excess="0")


def test_before_the_payout_the_loan_ends_at_once() -> None:
    story = given(nothing_yet()).book(on("2 Jan"), a_request(payout=PAYOUT)).when(on("3 Jan"), leaving())
    story.then(a(DisbursalCancelled, principal_paise=0, interest_paise=0), a(Closed, kind="cancelled"))
    assert story.when(on("6 Jan")).all(PayoutInstructed) == []
    story.and_the_loan(state="cancelled", principal="0")


def test_while_the_payout_is_with_the_gateway_its_outcome_is_awaited() -> None:
    given(a_loan_paid_out_by_us()).when(on("5 Jan 12:00"), leaving()).refused(Refusal.payout_is_out)


def test_a_closed_loan_is_not_given_back() -> None:
    given(a_closed_loan()).when(on("6 Feb"), leaving()).refused(Refusal.loan_closed)
