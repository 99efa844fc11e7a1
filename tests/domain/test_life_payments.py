"""Money that comes in by other ways than a debit, and money that is taken back (servicing rules 11 to 13)."""

from __future__ import annotations

from typing import Any

import pytest

from domain.commands import LevyCharge
from domain.events import (
    CaseOpened,
    ChargeLevied,
    Closed,
    DebitAttempted,
    DelinquencyChanged,
    ExcessApplied,
    InstalmentDue,
    PaymentReceived,
    ReceiptReversed,
    RefundFailed,
    RefundInstructed,
    Reopened,
    RetryScheduled,
)
from domain.refusals import Refusal
from domain.views import schedule_rows
from tests.examples import (
    EMI,
    a_closed_loan,
    a_loan,
    a_loan_at_its_last_row,
    a_loan_in_arrears,
    a_loan_paid_out_by_us,
    a_loan_without_mandate,
)
from tests.stories import (
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
    taken_back,
)


def paid_by_due(story: Story) -> dict[Any, tuple[int, int]]:
    """(paid, unpaid) of every due that is not nothing."""
    return {due.key: (due.paid, due.unpaid) for due in story.the_loan.dues}


# --- The waterfall -------------------------------------------------------------------------------------------


def test_a_payment_settles_the_oldest_due_date_first_and_within_it_the_products_order() -> None:
    story = given(a_loan_in_arrears(dpd=1)).when(on("7 Feb"), asked(LevyCharge, kind="visit", reason="at home"))
    story.when(on("5 Mar"), payment("7,500")).then(
        PaymentReceived(
            reference="P-1",
            method="upi",
            amount_paise=rupees("7,500"),
            value_on="2026-03-05",
            intent="dues",
            lines=lines(
                ("interest", 1, "1,500"),
                ("principal", 1, "3,493"),
                ("charge", "LN-1:charge:1", "236"),
                ("interest", 2, "1,447.61"),
                ("principal", 2, "823.39"),
            ),
        ),
        a(DelinquencyChanged, dpd=0, classification="standard", bucket="current"),
    )


def test_what_falls_due_on_one_day_is_settled_in_the_products_order_whatever_was_levied_first() -> None:
    story = given(a_loan_without_mandate())
    story.when(on("20 Jan"), asked(LevyCharge, kind="penal", reason="late", amount_paise=rupees("100")))
    story.when(on("20 Jan 11:00"), asked(LevyCharge, "C-2", kind="visit", reason="at home"))
    story.when(on("20 Jan 12:00"), payment("300"))
    [received] = story.all(PaymentReceived)
    assert received.lines == lines(("charge", "LN-1:charge:2", "236"), ("penal", "LN-1:charge:1", "64"))


def test_a_part_of_an_instalment_settles_what_it_can_and_the_rest_stays_overdue() -> None:
    story = given(a_loan_in_arrears(dpd=10)).when(on("15 Feb 12:00"), payment("2,000"))
    story.then(a(PaymentReceived, lines=lines(("interest", 1, "1,500"), ("principal", 1, "500"))))
    story.and_the_loan(payable="2,993", dpd=10, principal="99,500")


def test_what_is_left_is_held_and_used_at_the_next_due_date() -> None:
    story = given(a_loan_without_mandate()).when(on("5 Feb 12:00"), payment("6,000"))
    story.then(
        a(PaymentReceived, lines=[*lines(("interest", 1, "1,500"), ("principal", 1, "3,493")), *excess("1,007")])
    )
    story.and_the_loan(excess="1,007", payable="0")
    story.when(on("5 Mar 00:00")).then(
        a(InstalmentDue, number=2),
        ExcessApplied(value_on="2026-03-05", paise=rupees("1,007"), lines=lines(("interest", 2, "1,007"))),
    )
    story.and_the_loan(excess="0", payable="3,986")


def excess(amount: str) -> list[dict[str, Any]]:
    return lines(("excess", amount))


def test_money_held_pays_a_charge_when_it_is_levied() -> None:
    story = given(a_loan_without_mandate()).when(on("20 Jan"), payment("1,000"))
    story.when(on("21 Jan"), asked(LevyCharge, kind="visit", reason="at home")).then(
        a(ChargeLevied, amount_paise="200", gst_paise="36"),
        a(ExcessApplied, paise="236", value_on="21 Jan"),
    ).and_the_loan(excess="764", charges="0", dpd=0)


def test_money_before_the_payout_is_held() -> None:
    given(a_loan_paid_out_by_us()).when(on("5 Jan 12:00"), payment("500")).then(
        a(PaymentReceived, lines=excess("500"))
    ).and_the_loan(excess="500", state="booked")


# --- Said twice, said wrongly --------------------------------------------------------------------------------


def test_the_same_reference_with_the_same_content_is_a_repeat() -> None:
    story = given(a_loan_without_mandate()).when(on("5 Feb 12:00"), payment(EMI))
    story.when(on("6 Feb"), payment(EMI, value="5 Feb")).repeated()
    story.and_the_loan(received=EMI)


@pytest.mark.parametrize("other", [payment("4,000", value="5 Feb"), payment(EMI, value="6 Feb")])
def test_the_same_reference_with_other_content_is_a_conflict_that_names_both(other: Any) -> None:
    story = given(a_loan_without_mandate()).when(on("5 Feb 12:00"), payment(EMI)).when(on("6 Feb"), other)
    story.refused(
        Refusal.reference_used_with_other_content,
        "/payment_reference",
        booked_paise=rupees(EMI),
        booked_value_on=day("5 Feb"),
    )


def test_money_cannot_count_from_tomorrow_nor_from_before_the_payout() -> None:
    story = given(a_loan_without_mandate())
    story.when(on("1 Feb"), payment("1", value="2 Feb")).refused(Refusal.value_date_in_the_future, "/value_on")
    story.when(on("1 Feb"), payment("1", value="4 Jan")).refused(Refusal.value_date_before_disbursal, "/value_on")
    story.when(on("1 Feb"), payment("0")).refused(Refusal.amount_must_be_positive, "/amount_paise")


# --- Value dates ---------------------------------------------------------------------------------------------


def test_a_payment_that_counts_from_earlier_clears_the_days_past_due() -> None:
    story = given(a_loan_in_arrears(dpd=4)).and_the_loan(dpd=4)
    story.when(on("9 Feb"), payment(EMI, value="4 Feb")).then(
        a(PaymentReceived, value_on="4 Feb"), a(DelinquencyChanged, dpd=0)
    )
    assert schedule_rows(story.the_loan)[0]["paid_on"] == "2026-02-05"  # not before it was owed


def test_each_row_shows_the_value_date_on_which_it_was_paid_whatever_came_first() -> None:
    story = given(a_loan_in_arrears(dpd=29)).when(on("6 Mar"), payment(EMI, "P-1"))
    assert schedule_rows(story.the_loan)[0]["paid_on"] == "2026-03-06"
    story.when(on("7 Mar"), payment(EMI, "P-2", value="10 Feb"))
    assert [row["paid_on"] for row in schedule_rows(story.the_loan)[:2]] == ["2026-02-10", "2026-03-06"]


def test_the_order_of_arrival_does_not_change_what_is_paid() -> None:
    one, other = (payment("3,000", "P-1", value="10 Feb"), payment("2,500", "P-2", value="20 Feb"))
    first = given(a_loan_in_arrears(dpd=40)).when(on("17 Mar"), one, other)
    second = given(a_loan_in_arrears(dpd=40)).when(on("17 Mar"), other, one)
    assert paid_by_due(first) == paid_by_due(second)


# --- Taken back ----------------------------------------------------------------------------------------------


def test_a_payment_taken_back_after_later_payments_equals_never_having_had_it() -> None:
    with_it = given(a_loan_in_arrears(dpd=1)).when(on("6 Feb"), payment("4,000", "P-1"))
    with_it.when(on("5 Mar"), payment("6,500", "P-2")).when(on("9 Mar"), taken_back("P-1"))
    without = given(a_loan_in_arrears(dpd=1)).when(on("5 Mar"), payment("6,500", "P-2")).when(on("9 Mar"))
    assert paid_by_due(with_it) == paid_by_due(without)
    with_it.and_the_loan(dpd=4, received="6,500", payable=without.the_loan.payable_paise() / 100)
    assert with_it.the_loan.principal_paise == without.the_loan.principal_paise


def test_a_reversal_says_what_it_undoes_the_money_held_first_then_the_newest_dues() -> None:
    story = given(a_loan_without_mandate()).when(on("5 Feb 12:00"), payment("6,000"))
    story.when(on("9 Feb"), taken_back("P-1")).then(
        ReceiptReversed(
            reference="P-1",
            amount_paise=rupees("6,000"),
            value_on="2026-02-09",
            source="payment",
            reason="returned",
            lines=lines(("excess", "-1,007"), ("principal", 1, "-3,493"), ("interest", 1, "-1,500")),
        ),
        a(DelinquencyChanged, dpd=4, classification="SMA-0"),
    )


def test_a_payment_is_taken_back_once_and_whole() -> None:
    story = given(a_loan_without_mandate()).when(on("5 Feb 12:00"), payment(EMI))
    story.when(on("9 Feb"), taken_back("P-1", amount="4,000")).refused(Refusal.reversal_amount_differs)
    story.when(on("9 Feb"), taken_back("P-9")).refused(Refusal.receipt_unknown)
    story.when(on("9 Feb"), taken_back("P-1")).when(on("9 Feb 11:00"), taken_back("P-1")).repeated()


def test_a_reversal_takes_back_the_money_of_its_own_kind() -> None:
    """A payment and a debit may bear the same reference: each gateway numbers for itself."""
    story = given(a_loan()).when(on("5 Feb"), debit_succeeded(ref="UTR-7")).when(on("6 Feb"), payment("100", "UTR-7"))
    story.when(on("7 Feb"), taken_back("UTR-7", source="debit"))
    story.and_the_loan(received="100", payable="4,893")


def test_what_a_bounced_payment_leaves_unpaid_is_debited() -> None:
    story = given(a_loan()).when(on("4 Feb"), payment(EMI)).when(on("9 Feb"), taken_back("P-1"))
    story.then(
        a(ReceiptReversed), a(RetryScheduled, number=1, attempt=1, at="12 Feb 07:00"), a(DelinquencyChanged, dpd=4)
    )
    story.when(on("12 Feb 07:00"))
    assert [debit.instruction_id for debit in story.all(DebitAttempted)] == ["LN-1:1:1"]


def test_a_reversal_of_a_failed_instalments_payment_is_not_asked_for_beyond_the_limits() -> None:
    story = given(a_loan()).when(on("5 Feb"), debit_failed()).when(on("8 Feb"), debit_failed(attempt=2))
    story.when(on("15 Feb"), debit_failed(attempt=3)).when(on("16 Feb"), payment("5,583"))
    story.when(on("17 Feb"), taken_back("P-1"))
    story.when(on("4 Mar"))
    assert len(story.all(DebitAttempted)) == 3


def test_taking_back_the_money_that_closed_a_loan_opens_it_again() -> None:
    story = given(a_closed_loan()).and_the_loan(state="closed").when(on("9 Feb"), taken_back("P-1"))
    story.then(a(ReceiptReversed), a(Reopened, on="9 Feb"), a(DelinquencyChanged, dpd=4))
    story.and_the_loan(state="active", principal="1,00,000", payable="1,01,500", closed_on=None)
    story.when(on("10 Feb"), payment("1,01,500", "P-2")).and_the_loan(state="closed", closed_on="10 Feb")


def test_money_that_was_sent_back_cannot_be_taken_back_a_second_time_without_a_person() -> None:
    story = given(a_loan_at_its_last_row()).when(on("1 Feb"), payment("2,50,000")).when(on("5 Feb"))
    story.and_the_loan(state="closed", refund_due="1,48,500")
    story.when(on("9 Feb"), taken_back("P-1")).refused(Refusal.reversal_needs_a_person)


# --- The end -------------------------------------------------------------------------------------------------


def test_the_last_payment_closes_the_loan() -> None:
    given(a_loan_at_its_last_row()).when(on("5 Feb"), payment("1,01,500")).then(
        a(PaymentReceived), a(Closed, on="5 Feb", kind="paid", refund_paise=0)
    ).and_the_loan(state="closed", principal="0", closed_on="5 Feb")


def test_a_paisa_short_leaves_it_open() -> None:
    given(a_loan_at_its_last_row()).when(on("5 Feb"), payment("1,01,499.99")).then(a(PaymentReceived)).and_the_loan(
        state="active", payable="0.01"
    )


def test_what_is_too_much_goes_back() -> None:
    given(a_loan_at_its_last_row()).when(on("5 Feb"), payment("1,02,000")).then(
        a(PaymentReceived),
        a(Closed, refund_paise="500"),
        RefundInstructed(
            instruction_id="LN-1:refund:1", amount_paise=rupees("500"), reason="excess at closure", account_token=""
        ),
    ).and_the_loan(excess="0", refund_due="500")


def test_a_loan_that_was_paid_ahead_closes_on_its_last_due_day() -> None:
    story = given(a_loan_at_its_last_row()).when(on("1 Feb"), payment("1,01,500")).and_the_loan(state="active")
    story.when(on("5 Feb 00:00")).then(a(InstalmentDue), a(ExcessApplied), a(Closed, on="5 Feb"))


def test_money_after_the_end_goes_back() -> None:
    story = given(a_closed_loan()).when(on("9 Feb"), payment("700", "P-2"))
    story.then(
        a(PaymentReceived, lines=lines(("refund", "700"))), a(RefundInstructed, amount_paise="700")
    ).and_the_loan(state="closed", refund_due="700")


def test_a_person_looks_at_a_refund_that_fails() -> None:
    story = given(a_loan_at_its_last_row()).when(on("5 Feb"), payment("1,02,000"))
    story.when(on("6 Feb"), payout_failed(instruction="LN-1:refund:1")).then(
        a(RefundFailed, amount_paise="500"), a(CaseOpened, kind="refund-failed")
    )
    story.when(on("6 Feb"), payout_failed(instruction="LN-1:refund:1")).repeated()
    story.when(on("7 Feb"), payout_settled(instruction="LN-1:refund:1"))
    story.when(on("8 Feb"), payout_settled(instruction="LN-1:refund:1")).repeated()
