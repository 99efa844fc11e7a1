"""Paying ahead of the schedule: a part of the principal, or all of it (servicing rules 15 and 16)."""

from __future__ import annotations

import pytest

from domain.commands import LevyCharge, QuotePreclosure
from domain.events import (
    CaseOpened,
    ChargeLevied,
    Closed,
    DebitAttempted,
    DebitSucceeded,
    DelinquencyChanged,
    EmiScheduled,
    InstalmentDue,
    PaymentReceived,
    PreclosureQuoted,
    PrincipalPrepaid,
    Recast,
    ReceiptReversed,
    RefundInstructed,
    Reopened,
)
from domain.refusals import Refusal
from tests.examples import (
    EMI,
    a_closed_loan,
    a_house,
    a_loan,
    a_loan_in_arrears,
    a_loan_paid_out_by_us,
    a_loan_without_mandate,
)
from tests.stories import (
    Story,
    a,
    asked,
    day,
    debit_succeeded,
    given,
    lines,
    on,
    payment,
    rupees,
    taken_back,
)


def a_quote(story: Story) -> PreclosureQuoted:
    """What closing costs at the story's moment."""
    story.when(story.now, asked(QuotePreclosure, "quote"))
    [quoted] = story.came
    assert isinstance(quoted, PreclosureQuoted)
    return quoted


# --- A part of the principal ---------------------------------------------------------------------------------


def test_a_part_prepayment_keeps_the_instalment_and_shortens_the_tenure() -> None:
    story = given(a_loan_without_mandate()).when(on("5 Feb"), payment(EMI))
    story.when(on("5 Feb 12:00"), payment("20,000", "P-2", intent="part-prepayment"))
    story.then(
        a(PaymentReceived, lines=lines(("prepayment", "20,000")), intent="part-prepayment"),
        PrincipalPrepaid(amount_paise=rupees("20,000"), value_on="2026-02-05", choice="reduce_tenure", reference="P-2"),
        a(EmiScheduled, reason="part-prepayment", instalment_paise=EMI, effective_on="5 Feb", accrued_paise=0),
    )
    rows = story.the_loan.rows
    assert len(rows) < 24
    assert {row.total for row in rows[1:-1]} == {rupees(EMI)}
    assert rows[1].interest == rupees("1,147.61")  # one month of 76,507 at 18 %
    story.and_the_loan(principal="76,507")


def test_a_part_prepayment_can_reduce_the_instalment_instead() -> None:
    story = given(a_loan_without_mandate()).when(on("5 Feb"), payment(EMI))
    story.when(on("5 Feb 12:00"), payment("20,000", "P-2", intent="part-prepayment", choice="reduce_emi"))
    assert len(story.the_loan.rows) == 24
    assert story.the_loan.instalment_paise < rupees(EMI)
    assert sum(row.principal for row in story.the_loan.rows[1:]) == story.the_loan.principal_paise


def test_a_part_prepayment_between_due_days_loses_no_day_of_interest_and_counts_none_twice() -> None:
    story = given(a_loan_without_mandate()).when(on("20 Jan"), payment("40,000", intent="part-prepayment"))
    first = story.the_loan.rows[0]
    assert first.due_on == day("5 Feb")
    assert first.interest == rupees("750") + rupees("450")  # 15 days of 1,00,000, then 15 of 60,000


def test_a_quote_after_a_part_prepayment_knows_what_had_accrued_before_it() -> None:
    story = given(a_loan_without_mandate()).when(on("20 Jan"), payment("40,000", intent="part-prepayment"))
    assert a_quote(story.when(on("22 Jan"))).parts["interest_accrued_paise"] == rupees("750") + rupees("60")


def test_a_part_prepayment_pays_arrears_first() -> None:
    story = given(a_loan_in_arrears(dpd=2)).when(on("7 Feb"), payment("10,000", intent="part-prepayment"))
    [received] = story.all(PaymentReceived)
    assert received.lines == lines(("interest", 1, "1,500"), ("principal", 1, "3,493"), ("prepayment", "5,007"))


@pytest.mark.parametrize(
    ("amount", "reason"),
    [("4,000", "all of it went to arrears"), ("2,00,000", "it is not below the principal: ask for a quote")],
)
def test_a_part_prepayment_that_is_none_is_booked_and_a_case(amount: str, reason: str) -> None:
    story = given(a_loan_in_arrears(dpd=2)).when(on("7 Feb"), payment(amount, intent="part-prepayment"))
    assert [case.reason for case in story.all(CaseOpened)] == [reason]
    story.and_the_loan(received=amount)


@pytest.mark.parametrize("method", ["flat", "equal_principal", "interest_only"])
def test_a_loan_without_level_instalments_spreads_what_is_left_over_its_rows(method: str) -> None:
    story = given(a_loan_without_mandate(months=12, terms={"interest_method": method})).when(on("5 Feb"))
    story.when(on("5 Feb"), payment("15,000", "P-1", intent="part-prepayment"))
    [prepaid] = story.all(PrincipalPrepaid)
    assert prepaid.choice == "reduce_emi"
    assert len(story.the_loan.rows) == 12
    assert sum(row.principal for row in story.the_loan.rows[1:]) == story.the_loan.principal_paise


def test_a_prepaid_loan_pays_the_rate_in_force_and_changes_that_were_announced() -> None:
    changes = [
        {"from": "2026-02-05", "annual_rate_percent": "24.00"},
        {"from": "2026-06-05", "annual_rate_percent": "12.00"},
    ]
    story = given(a_loan_without_mandate(terms={"rate_changes": changes})).when(on("5 Feb"), payment("6,000"))
    story.when(on("5 Feb 12:00"), payment("20,000", "P-2", intent="part-prepayment"))
    rows = story.the_loan.rows
    assert rows[1].interest == round(rows[1].opening * 24 / 1200)
    assert rows[5].interest == round(rows[5].opening * 12 / 1200)


def test_a_prepaid_loan_keeps_its_later_tranche() -> None:
    tranches = [{"on": "2026-04-20", "amount_paise": 50_000_00}]
    story = given(a_loan_without_mandate(months=12, terms={"tranches": tranches})).when(on("5 Feb"), payment("12,000"))
    story.when(on("5 Feb 12:00"), payment("20,000", "P-2", intent="part-prepayment", choice="reduce_emi"))
    story.when(on("5 May"))
    loan = story.the_loan
    assert sum(row.principal for row in loan.rows[loan.due_rows :]) == loan.principal_not_due()


def test_a_fee_that_waits_for_a_later_row_survives_a_new_schedule() -> None:
    fees = [{"kind": "insurance", "amount_paise": 1_000_00, "due_with_row": 3}]
    story = given(a_loan_without_mandate(terms={"fees": fees})).when(on("5 Feb"), payment(EMI))
    story.when(on("5 Feb"), payment("20,000", "P-2", intent="part-prepayment"))
    assert [row.fee for row in story.the_loan.rows[:4]] == [0, 0, rupees("1,180"), 0]


def test_a_part_prepayment_that_is_taken_back_had_never_been() -> None:
    before = given(a_loan_without_mandate()).when(on("22 Jan")).the_loan
    story = given(a_loan_without_mandate()).when(on("20 Jan"), payment("40,000", intent="part-prepayment"))
    story.when(on("22 Jan"), taken_back("P-1")).then(
        a(ReceiptReversed, lines=lines(("prepayment", "-40,000"))), a(Recast, principal_paise="1,00,000")
    )
    assert (story.the_loan.rows, story.the_loan.terms) == (before.rows, before.terms)
    story.and_the_loan(principal="1,00,000", received="0")


# --- Quotes --------------------------------------------------------------------------------------------------


def test_a_quote_names_each_part_its_validity_and_what_a_day_more_costs() -> None:
    story = given(a_loan_in_arrears(dpd=6)).when(on("10 Feb"), asked(LevyCharge, kind="visit", reason="at home"))
    story.when(on("15 Feb"), asked(QuotePreclosure, "C-2")).then(
        PreclosureQuoted(
            quote_id=f"LN-1:quote:{story.the_loan.version}",
            on="2026-02-15",
            valid_until="2026-02-18",
            parts={
                "principal_paise": rupees("1,00,000"),
                "interest_due_paise": rupees("1,500"),
                "interest_accrued_paise": rupees("482.54"),  # 10 days of 96,507 at 18 %
                "charges_paise": rupees("236"),
                "penal_charges_paise": 0,
                "preclosure_charge_paise": rupees("1,930.14"),  # 2 % of 96,507
                "preclosure_gst_paise": rupees("347.43"),
                "excess_paise": 0,
            },
            total_paise=rupees("1,04,496.11"),
            per_diem_paise=rupees("48.25"),
            command_id="C-2",
        )
    )


def test_a_quote_is_less_what_is_held_for_the_borrower() -> None:
    story = given(a_loan_without_mandate()).when(on("20 Jan"), payment("1,000"))
    quoted = a_quote(story)
    assert quoted.parts["excess_paise"] == rupees("1,000")
    assert quoted.total_paise == rupees("1,00,000") + rupees("750") + rupees("2,360") - rupees("1,000")


def test_a_quote_for_a_day_to_come_counts_what_will_have_fallen_due() -> None:
    story = given(a_loan_without_mandate()).when(on("1 Feb"), asked(QuotePreclosure, on=day("10 Feb")))
    [quoted] = story.all(PreclosureQuoted)
    later = given(a_loan_without_mandate()).when(on("10 Feb"))
    assert quoted.total_paise == a_quote(later).total_paise


def test_a_quote_is_for_today_or_later_and_for_a_live_loan() -> None:
    given(a_loan_without_mandate()).when(on("20 Jan"), asked(QuotePreclosure, on=day("19 Jan"))).refused(
        Refusal.effective_date_not_ahead, "/on"
    )
    given(a_closed_loan()).when(on("6 Feb"), asked(QuotePreclosure)).refused(Refusal.loan_closed)
    given(a_loan_paid_out_by_us()).when(on("6 Feb"), asked(QuotePreclosure)).refused(Refusal.loan_not_disbursed)


# --- All of it -----------------------------------------------------------------------------------------------


def test_paying_exactly_the_quote_closes_the_loan() -> None:
    story = given(a_loan_in_arrears(dpd=11))
    quoted = a_quote(story)
    story.when(story.now, payment(str(quoted.total_paise / 100), intent="preclosure"))
    story.then(
        a(EmiScheduled, reason="preclosure", effective_on="16 Feb"),
        a(ChargeLevied, kind="preclosure", amount_paise="1,930.14", gst_paise="347.43"),
        a(InstalmentDue, number=2, principal_paise="96,507", due_on="16 Feb"),
        a(PaymentReceived, intent="preclosure"),
        a(DelinquencyChanged, dpd=0, classification="standard"),
        a(Closed, kind="preclosed", on="16 Feb", refund_paise=0),
    )
    story.and_the_loan(state="closed", principal="0", payable="0", excess="0")


def test_a_paisa_less_than_the_quote_leaves_the_loan_open_and_says_by_how_much() -> None:
    story = given(a_loan_without_mandate()).when(on("20 Jan"))
    quoted = a_quote(story)
    story.when(on("20 Jan"), payment(str((quoted.total_paise - 1) / 100), intent="preclosure"))
    story.then(a(PaymentReceived), a(CaseOpened, kind="preclosure-short"))
    assert story.all(CaseOpened)[0].reason == "P-1 was meant to close the loan and is 1 paise short"
    story.and_the_loan(state="active").when(on("20 Jan 12:00"), payment("0.01", "P-2", intent="preclosure"))
    story.and_the_loan(state="closed", principal="0")


def test_more_than_the_quote_goes_back() -> None:
    story = given(a_loan_without_mandate()).when(on("20 Jan"))
    quoted = a_quote(story)
    story.when(on("20 Jan"), payment(str(quoted.total_paise / 100 + 5), intent="preclosure"))
    assert [refund.amount_paise for refund in story.all(RefundInstructed)] == [rupees("5")]
    story.and_the_loan(state="closed", refund_due="5")


def test_the_per_diem_is_what_each_later_day_costs() -> None:
    story = given(a_loan_without_mandate()).when(on("20 Jan"))
    quoted = a_quote(story)
    total = quoted.total_paise + 2 * quoted.per_diem_paise
    story.when(on("22 Jan"), payment(str(total / 100), intent="preclosure")).and_the_loan(state="closed")


def test_held_money_helps_to_close() -> None:
    story = given(a_loan_without_mandate()).when(on("20 Jan"), payment("1,000"))
    quoted = a_quote(story)
    story.when(on("20 Jan"), payment(str(quoted.total_paise / 100), "P-2", intent="preclosure"))
    story.and_the_loan(state="closed", excess="0", principal="0")


def test_the_last_debit_of_a_preclosed_loan_is_refunded_and_none_follows() -> None:
    story = given(a_loan()).when(on("5 Feb 08:00"))
    quoted = a_quote(story)
    story.when(on("5 Feb 08:00"), payment(str(quoted.total_paise / 100), intent="preclosure"))
    story.when(on("5 Feb 12:00"), debit_succeeded()).then(
        a(DebitSucceeded, lines=lines(("refund", EMI))), a(RefundInstructed, amount_paise=EMI)
    )
    story.when(on("5 Jun"))
    assert len(story.all(DebitAttempted)) == 1


def test_a_loan_whose_preclosing_money_is_taken_back_goes_on_as_if_it_had_never_come() -> None:
    before = given(a_loan_without_mandate()).when(on("25 Jan")).the_loan
    story = given(a_loan_without_mandate()).when(on("20 Jan"))
    quoted = a_quote(story)
    story.when(on("20 Jan"), payment(str(quoted.total_paise / 100), intent="preclosure"))
    story.when(on("25 Jan"), taken_back("P-1")).then(a(ReceiptReversed), a(Reopened), a(Recast))
    assert story.the_loan.rows == before.rows
    story.and_the_loan(state="active", principal="1,00,000", charges="0", payable="0")


def test_a_quote_holds_until_its_last_day_and_not_a_day_longer() -> None:
    for paid_on, closes in (("23 Jan", True), ("24 Jan", False)):  # quoted on 20 Jan, valid for three days
        story = given(a_loan_without_mandate()).when(on("20 Jan"))
        quoted = a_quote(story)
        story.when(on(paid_on), payment(str(quoted.total_paise / 100), intent="preclosure"))
        assert (story.the_loan.stage == "closed") is closes


def test_an_instalment_that_falls_due_ends_the_quote() -> None:
    story = given(a_loan_without_mandate()).when(on("4 Feb"))
    quoted = a_quote(story)
    story.when(on("6 Feb"), payment(str(quoted.total_paise / 100), intent="preclosure"))
    assert story.the_loan.stage == "active"


def test_closing_a_floating_rate_loan_early_costs_no_charge() -> None:
    quoted = a_quote(given(a_loan_without_mandate(terms={"rate_type": "floating"})).when(on("20 Jan")))
    assert quoted.parts["preclosure_charge_paise"] == quoted.parts["preclosure_gst_paise"] == 0


def test_where_the_product_prepays_what_is_too_much_money_for_all_of_it_closes_the_loan() -> None:
    rules = a_house(allocation={"excess": "prepay"})
    story = given(a_loan_without_mandate(rules=rules)).when(on("20 Jan"), payment("2,00,000"))
    story.and_the_loan(state="closed", principal="0", payable="0")
    assert story.all(Closed)[0].kind == "preclosed"
    assert story.all(PrincipalPrepaid) == []
