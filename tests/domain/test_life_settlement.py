"""One-time settlement: less for all, if it comes in time (servicing rule 18)."""

from __future__ import annotations

import pytest

from domain.commands import GrantRelief, ResetRate, Restructure, Settle
from domain.events import (
    CaseOpened,
    Closed,
    DebitAttempted,
    DebitSucceeded,
    DebitWithdrawn,
    DelinquencyChanged,
    EmiScheduled,
    ExcessApplied,
    InstalmentDue,
    MandateCancelInstructed,
    PaymentReceived,
    ReceiptReversed,
    RefundInstructed,
    Reopened,
    Settled,
    SettlementAgreed,
    SettlementLapsed,
)
from domain.refusals import Refusal
from tests.examples import a_closed_loan, a_loan, a_loan_in_arrears, a_loan_paid_out_by_us
from tests.stories import (
    Doing,
    Story,
    a,
    asked,
    by_months,
    day,
    debit_succeeded,
    given,
    lines,
    on,
    payment,
    rupees,
    taken_back,
)


def settle(amount: str, pay_by: str = "", command_id: str = "S-1") -> Doing:
    return asked(
        Settle, command_id, amount_paise=rupees(amount), reason="hardship", pay_by=day(pay_by) if pay_by else None
    )


def a_loan_45_days_past_due() -> Story:
    """On 22 March: instalments of 5 February and 5 March unpaid (Rs. 9,986), Rs. 1,00,000 outstanding."""
    return given(a_loan_in_arrears(dpd=45))


INTEREST_DUE = rupees("1,500") + by_months(rupees("96,507"), "18")  # Rs. 2,947.61
PRINCIPAL_DUE = rupees("9,986") - INTEREST_DUE  # Rs. 7,038.39
# Closing on 22 March: all principal, the interest due, 17 days of interest on what is not due (30/360), and the
# product's 2 % with 18 % GST on it.
NOT_DUE = rupees("1,00,000") - PRINCIPAL_DUE
ACCRUED = by_months(NOT_DUE * 17, "18") / 30
CHARGE = NOT_DUE * 2 // 100 * 118 // 100


def test_the_agreement_names_what_is_owed_and_until_when_it_holds() -> None:
    story = a_loan_45_days_past_due().when(on("22 Mar"), settle("60,000"))
    story.then(a(SettlementAgreed, amount_paise="60,000", pay_by="2026-04-21"))  # the product's 30 days
    outstanding = story.all(SettlementAgreed)[0].outstanding_paise
    assert abs(outstanding - (rupees("1,00,000") + INTEREST_DUE + ACCRUED + CHARGE)) <= 2
    story.and_the_loan(state="active", principal="1,00,000")


def test_paying_what_was_agreed_closes_the_loan_as_settled_and_the_rest_is_given_up() -> None:
    story = a_loan_45_days_past_due().when(on("22 Mar"), settle("60,000"))
    story.when(on("1 Apr"), payment("60,000")).then(
        a(PaymentReceived, amount_paise="60,000"),
        a(EmiScheduled, reason="settlement"),
        a(InstalmentDue, number=3, principal_paise=NOT_DUE, interest_paise=0),
        a(ExcessApplied, paise=rupees("60,000") - rupees("9,986"), lines=lines(("principal", 3, "50,014"))),
        a(
            Settled,
            received_paise="60,000",
            principal_paise=NOT_DUE - rupees("50,014"),
            interest_paise=0,
            charges_paise=0,
        ),
        a(DelinquencyChanged, dpd=0),
        a(Closed, kind="settled", refund_paise=0),
    )
    story.and_the_loan(state="closed", principal="0", payable="0", received="60,000")
    assert story.the_loan.written_off_paise == rupees("1,00,000") + INTEREST_DUE - rupees("60,000")


def test_it_may_be_paid_in_parts_and_a_paisa_less_leaves_it_open() -> None:
    story = a_loan_45_days_past_due().when(on("22 Mar"), settle("60,000"))
    story.when(on("1 Apr"), payment("30,000", "P-1")).and_the_loan(state="active")
    story.when(on("10 Apr"), payment("29,999.99", "P-2")).and_the_loan(state="active")
    story.when(on("11 Apr"), payment("0.01", "P-3")).and_the_loan(state="closed")


def test_less_than_the_dues_settles_the_oldest_and_gives_up_interest_too() -> None:
    story = a_loan_45_days_past_due().when(on("22 Mar"), settle("5,000")).when(on("22 Mar 12:00"), payment("5,000"))
    # Rs. 4,993 pay February, Rs. 7 go to March's interest of 1,447.61.
    settled = story.all(Settled)[0]
    assert settled.interest_paise == by_months(rupees("96,507"), "18") - rupees("7")
    assert settled.principal_paise == rupees("96,507")


def test_the_last_day_counts_and_the_day_after_it_has_lapsed() -> None:
    story = a_loan_45_days_past_due().when(on("22 Mar"), settle("60,000", "31 Mar"))
    story.when(on("31 Mar 23:58"), payment("60,000")).and_the_loan(state="closed")
    story = a_loan_45_days_past_due().when(on("22 Mar"), settle("60,000", "31 Mar"))
    story.when(on("30 Mar"), payment("20,000")).when(on("1 Apr 00:01"))
    assert [(each.pay_by, each.received_paise) for each in story.all(SettlementLapsed)] == [
        ("2026-03-31", rupees("20,000"))
    ]
    story.when(on("1 Apr 12:00"), payment("40,000", "P-2")).and_the_loan(state="active")
    assert story.all(Settled) == []


def test_an_instalment_that_falls_due_meanwhile_is_part_of_what_is_settled() -> None:
    story = a_loan_45_days_past_due().when(on("22 Mar"), settle("60,000"))
    story.when(on("6 Apr")).and_the_loan(payable="14,979")
    story.when(on("10 Apr"), payment("60,000")).and_the_loan(state="closed", principal="0")
    assert story.all(Settled)[0].principal_paise + story.all(Settled)[0].interest_paise == (
        rupees("1,00,000") + INTEREST_DUE + by_months(rupees("92,961.61"), "18") - rupees("60,000")
    )


def test_nothing_is_debited_while_it_is_open_and_what_is_out_is_withdrawn() -> None:
    story = given(a_loan()).when(on("5 Feb 08:00"), settle("60,000", "20 Mar"))
    story.then(a(SettlementAgreed), a(DebitWithdrawn, instruction_id="LN-1:1:1"))
    story.when(on("19 Mar"))
    assert [debit.number for debit in story.all(DebitAttempted)] == [1]
    story.when(on("5 Apr 08:00"))
    assert [debit.number for debit in story.all(DebitAttempted)][-1] == 3  # lapsed: debits go on


def test_a_withdrawn_debit_that_succeeds_all_the_same_counts_towards_the_settlement() -> None:
    story = given(a_loan()).when(on("5 Feb 08:00"), settle("60,000", "20 Mar"))
    story.when(on("5 Feb 12:00"), debit_succeeded())
    story.then(a(DebitSucceeded, amount_paise="4,993"))
    story.when(on("6 Feb"), payment("55,007")).and_the_loan(state="closed")


def test_the_mandate_is_cancelled_with_the_end() -> None:
    story = given(a_loan()).when(on("6 Jan"), settle("60,000")).when(on("7 Jan"), payment("60,000"))
    assert [each.mandate_id for each in story.all(MandateCancelInstructed)] == ["M-1"]


def test_money_that_is_taken_back_does_not_meet_the_agreement() -> None:
    story = a_loan_45_days_past_due().when(on("22 Mar"), settle("60,000"))
    story.when(on("23 Mar"), payment("40,000", "CHEQUE")).when(on("25 Mar"), taken_back("CHEQUE"))
    story.when(on("26 Mar"), payment("20,000", "P-2")).and_the_loan(state="active", received="20,000")
    story.when(on("27 Mar"), payment("40,000", "P-3")).and_the_loan(state="closed")


def test_the_money_of_a_settlement_that_was_met_is_taken_back_only_by_a_person() -> None:
    story = a_loan_45_days_past_due().when(on("22 Mar"), settle("60,000")).when(on("23 Mar"), payment("60,000"))
    story.when(on("24 Mar"), taken_back("P-1")).refused(Refusal.reversal_needs_a_person)
    assert story.all(ReceiptReversed) == story.all(Reopened) == []


def test_money_after_the_end_goes_back() -> None:
    story = a_loan_45_days_past_due().when(on("22 Mar"), settle("60,000")).when(on("23 Mar"), payment("60,000"))
    story.when(on("24 Mar"), payment("100", "LATE")).then(
        a(PaymentReceived, lines=lines(("refund", "100"))), a(RefundInstructed, amount_paise="100")
    )


@pytest.mark.parametrize(
    ("doing", "refusal", "field"),
    [
        (settle("0"), Refusal.amount_must_be_positive, "/amount_paise"),
        (settle("2,00,000"), Refusal.settlement_gives_up_nothing, "/amount_paise"),
        (settle("60,000", "21 Mar"), Refusal.effective_date_not_ahead, "/pay_by"),
    ],
)
def test_a_settlement_that_is_none_is_refused_by_field(doing: Doing, refusal: Refusal, field: str) -> None:
    a_loan_45_days_past_due().when(on("22 Mar"), doing).refused(refusal, field)


@pytest.mark.parametrize(
    "doing",
    [
        settle("50,000", command_id="S-2"),
        asked(Restructure, "R", effective_on=day("5 Apr"), reason="", instalments=30),
        asked(GrantRelief, "R", effective_on=day("5 Apr"), reason="", instalments=1),
        asked(ResetRate, "R", effective_on=day("5 Apr"), reason="", annual_rate_percent="9"),
    ],
)
def test_while_it_is_open_nothing_else_is_agreed_on(doing: Doing) -> None:
    story = given(a_loan_in_arrears(dpd=45, terms={"rate_type": "floating"})).when(on("22 Mar"), settle("60,000"))
    story.when(on("23 Mar"), doing).refused(Refusal.settlement_is_open, "/loan_id", pay_by="2026-04-21")


def test_only_a_live_loan_is_settled_and_once() -> None:
    given(a_loan_paid_out_by_us()).when(on("6 Jan"), settle("1")).refused(Refusal.loan_not_disbursed)
    given(a_closed_loan()).when(on("6 Feb"), settle("1")).refused(Refusal.loan_closed)
    a_loan_45_days_past_due().when(on("22 Mar"), settle("60,000")).when(on("23 Mar"), settle("60,000")).repeated()


def test_a_loan_all_of_which_is_due_is_settled_without_another_row() -> None:
    story = (
        given(a_loan(mandate={}, months=1)).when(on("20 Feb"), settle("90,000")).when(on("21 Feb"), payment("90,000"))
    )
    assert story.all(CaseOpened) == []
    settled = story.all(Settled)[0]
    assert (settled.principal_paise, settled.interest_paise) == (rupees("11,500"), 0)
    story.and_the_loan(state="closed")
