"""The rules of the land, each kept by the loan itself: servicing rules 24 to 35, on both sides of their boundaries."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain import commands as c
from domain.calendar import IST
from domain.events import (
    CaseOpened,
    ChargeLevied,
    Closed,
    CollectionExhausted,
    CompensationOwed,
    DebitAttempted,
    DebitFailed,
    DebitNotified,
    DebitPending,
    DebitSucceeded,
    DelinquencyChanged,
    DisbursalCancelled,
    EmiScheduled,
    GrievanceEscalated,
    GrievanceRaised,
    InstalmentDue,
    PapersReleased,
    PaymentReceived,
    PayoutFailed,
    PreclosureQuoted,
    PrincipalPrepaid,
    RateReset,
    Recast,
    RefundInstructed,
    Restructured,
    RetryScheduled,
    StatementDue,
)
from domain.law.bureau import next_submission, submission_dates
from domain.law.closing import bureau_compensation_paise, turnaround_compensation_paise
from domain.law.contact import Caps, Hold, next_contact_moment
from domain.law.disbursal import cooling_off_minimum_days, interest_bearing_paise, payees_allowed
from domain.product import ProductError
from domain.refusals import Refusal
from tests.examples import (
    MANDATE,
    PAYOUT,
    a_house,
    a_loan,
    a_loan_at_its_last_row,
    a_loan_in_arrears,
    a_loan_without_mandate,
    a_request,
    by_the_calendar,
    nothing_yet,
)
from tests.stories import (
    Story,
    a,
    asked,
    by_days,
    by_months,
    day,
    debit_failed,
    debit_succeeded,
    given,
    half_up,
    lines,
    mandate_is,
    on,
    payment,
    payout_failed,
    payout_settled,
    rupees,
)


def mandate(rail: str, **other: Any) -> dict[str, Any]:
    return {**MANDATE, "rail": rail, **other}


def quoted(story: Story) -> dict[str, int]:
    """The parts of the quote that was asked for last."""
    return story.all(PreclosureQuoted)[-1].parts


# --- 24: charges for paying early ----------------------------------------------------------------------------

# What the product would take: 2 % of Rs. 1,00,000 and 18 % GST on it.
CHARGE, CHARGE_GST = rupees("2,000"), rupees("360")
MSE = {"loan": {"purpose": "business", "borrower": "mse"}}


def quote_of(*, rate_type: str, sanctioned: str, principal: str = "1,00,000", **house: Any) -> tuple[int, int]:
    """The charge and its GST in a quote given on 15 January 2026."""
    story = given(
        a_loan_without_mandate(
            rules=a_house(**house),
            principal=principal,
            sanctioned_on=day(sanctioned),
            terms={"rate_type": rate_type},
        )
    ).when(on("15 Jan"), asked(c.QuotePreclosure))
    return quoted(story)["preclosure_charge_paise"], quoted(story)["preclosure_gst_paise"]


def test_rule_24_a_personal_floating_rate_loan_is_closed_early_for_nothing_and_a_fixed_one_for_a_charge() -> None:
    assert quote_of(rate_type="floating", sanctioned="1 Jan 2026") == (0, 0)
    assert quote_of(rate_type="floating", sanctioned="31 Dec 2025") == (0, 0)  # older loans: by the rule of 2014
    assert quote_of(rate_type="fixed", sanctioned="1 Jan 2026") == (CHARGE, CHARGE_GST)


@pytest.mark.parametrize(
    ("lender", "sanctioned", "principal", "charge"),
    [
        ("bank", "31 Dec 2025", "1,00,000", CHARGE),
        ("bank", "1 Jan 2026", "1,00,000", 0),
        ("nbfc-upper", "1 Jan 2026", "60,00,000", 0),  # larger lenders: of any amount
        ("nbfc-middle", "1 Jan 2026", "50,00,000", 0),  # smaller ones: up to Rs. 50 lakh
        ("nbfc-middle", "1 Jan 2026", "50,00,001", rupees("1,00,000.02")),
        ("nbfc-base", "1 Jan 2026", "1,00,000", CHARGE),  # not named by the rule
    ],
)
def test_rule_24_a_business_loan_of_a_small_enterprise_from_1_january_2026_by_kind_of_lender(
    lender: str, sanctioned: str, principal: str, charge: int
) -> None:
    house = {**MSE, "lender": {"kind": lender}}
    told, _ = quote_of(rate_type="floating", sanctioned=sanctioned, principal=principal, **house)
    assert told == charge


def test_rule_24_a_barred_charge_is_left_out_of_a_part_prepayment_too() -> None:
    rules = a_house(prepayment={"charge_percent": "2.00"})
    for rate_type, charges in (("fixed", 1), ("floating", 0)):
        story = given(a_loan_without_mandate(rules=rules, terms={"rate_type": rate_type}))
        story.when(on("5 Feb"), payment("4,993", "EMI"), payment("10,236", "AHEAD", intent="part-prepayment"))
        assert len(story.all(ChargeLevied)) == charges
        # 10,000 + 2 % + 18 % of the 2 % = 10,236
        assert story.all(PrincipalPrepaid)[0].amount_paise == rupees("10,000" if charges else "10,236")


def test_rule_24_no_lock_in_the_day_after_the_payout_is_early_enough() -> None:
    story = given(a_loan_without_mandate()).when(on("6 Jan"), payment("40,000", intent="part-prepayment"))
    story.then(a(PaymentReceived), a(PrincipalPrepaid, amount_paise="40,000"), a(EmiScheduled))


def test_rule_24_only_what_the_kfs_shows_is_asked_for() -> None:
    rules = a_house(prepayment={"charge_percent": "2.00"})
    shown = ({"kind": "preclosure", "amount_paise": rupees("2,000")},)
    story = given(a_loan_without_mandate(rules=rules, shown_charges=shown))
    story.when(on("15 Jan"), asked(c.QuotePreclosure))
    assert quoted(story)["preclosure_charge_paise"] == rupees("2,000")
    # The statement shows nothing for paying a part ahead: the whole of it reduces principal.
    story.when(on("16 Jan"), payment("10,236", intent="part-prepayment"))
    assert story.all(PrincipalPrepaid)[0].amount_paise == rupees("10,236")
    assert story.all(ChargeLevied) == []
    # A paisa less in the statement, and the charge above it is left out.
    shown = ({"kind": "preclosure", "amount_paise": rupees("1,999.99")},)
    story = given(a_loan_without_mandate(rules=rules, shown_charges=shown)).when(on("15 Jan"), asked(c.QuotePreclosure))
    assert quoted(story)["preclosure_charge_paise"] == 0


# --- 25: a penalty is a charge -------------------------------------------------------------------------------

BY_DAY = {"charges": {"penal": {"percent_per_annum": "18.00"}}}


def test_rule_25_a_penal_charge_is_no_interest_and_bears_no_gst() -> None:
    story = given(a_loan_without_mandate(rules=a_house(**BY_DAY))).when(on("1 Mar"))
    levied = story.all(ChargeLevied)
    # Rs. 4,993 overdue on each day-end of 5 to 28 February: 24 days at 18 % of 365.
    assert [(charge.amount_paise, charge.gst_paise) for charge in levied] == [(by_days(rupees("4,993"), "18", 24), 0)]
    # A month later the charge counts on the same dues (and those of 5 March, 27 days): none on the charge itself.
    story.when(on("1 Apr"))
    again = story.all(ChargeLevied)[1].amount_paise
    assert again == by_days(rupees("4,993"), "18", 31 + 27)
    # And interest goes on as scheduled: 18 % / 12 of what the schedule has outstanding.
    story.and_the_loan(interest_due="2,947.61")


def test_rule_25_the_grace_days_are_free() -> None:
    rules = a_house(charges={"penal": {"percent_per_annum": "18.00", "grace_days": 3}})
    story = given(a_loan_without_mandate(rules=rules)).when(on("8 Feb"), payment("4,993"))
    assert story.all(ChargeLevied) == []  # 5, 6 and 7 February
    story = given(a_loan_without_mandate(rules=rules)).when(on("9 Feb"), payment("4,993"))
    assert [charge.amount_paise for charge in story.all(ChargeLevied)] == [by_days(rupees("4,993"), "18", 1)]


FIXED = {"charges": {"penal": {"amount_paise": 300_00, "grace_days": 2}}}


def test_rule_25_a_fixed_penal_charge_is_levied_once_for_each_overdue_instalment_after_the_grace_days() -> None:
    story = given(a_loan_without_mandate(rules=a_house(**FIXED))).when(on("7 Feb 23:58"))
    assert story.all(ChargeLevied) == []  # 5, 6 and 7 February: the due day and two days of grace
    story.when(on("8 Feb")).then(
        a(ChargeLevied, kind="penal", amount_paise="300", gst_paise=0, number=1, due_on="8 Feb")
    )
    story.when(on("4 Apr"))
    assert [(charge.number, charge.due_on) for charge in story.all(ChargeLevied)] == [
        (1, "2026-02-08"),
        (2, "2026-03-08"),
    ]
    story.and_the_loan(charges="600")
    paid = given(a_loan_without_mandate(rules=a_house(**FIXED))).when(on("7 Feb"), payment("4,993")).when(on("4 Mar"))
    assert paid.all(ChargeLevied) == []


def test_rule_25_a_fixed_penal_charge_falls_away_where_the_money_had_come_in_time() -> None:
    story = given(a_loan_without_mandate(rules=a_house(**FIXED))).when(on("10 Feb"), payment("4,993", value="7 Feb"))
    story.and_the_loan(charges="0", payable="0", excess="0")
    story = given(a_loan_without_mandate(rules=a_house(**FIXED))).when(on("10 Feb"), payment("4,993", value="8 Feb"))
    assert story.the_loan.unpaid_of("penal") + story.the_loan.excess_paise == rupees("300")
    assert story.when(on("4 Mar")).all(ChargeLevied)[1:] == []


def test_rule_25_a_restructuring_capitalises_no_penal_charge() -> None:
    story = given(a_loan_without_mandate(rules=a_house(**BY_DAY))).when(on("1 Mar"))
    penal = story.all(ChargeLevied)[0].amount_paise
    story.when(
        on("1 Mar 12:00"),
        asked(c.Restructure, effective_on=day("1 Mar"), reason="illness", instalments=24, capitalise_arrears=True),
    )
    restructured = story.all(Restructured)[0]
    assert restructured.capitalised_paise == rupees("1,500")  # February's interest alone
    assert restructured.principal_paise == rupees("1,00,000") + rupees("1,500")
    assert story.the_loan.unpaid_of("penal") == penal


def test_rule_25_a_product_cannot_put_gst_on_a_penal_charge() -> None:
    with pytest.raises(ProductError, match="penal charge bears no GST"):
        a_house(charges={"penal": {"amount_paise": 10_000, "gst_percent": "18.00"}})


def test_rule_25_a_bounce_charge_is_a_service_and_bears_gst() -> None:
    story = given(a_loan()).when(on("5 Feb 12:00"), debit_failed(code="04"))
    assert [(charge.amount_paise, charge.gst_paise) for charge in story.all(ChargeLevied)] == [(500_00, 90_00)]


# --- 26: interest from the day on which the money is out -----------------------------------------------------


def test_rule_26_interest_begins_with_the_payout_and_not_with_the_plan() -> None:
    terms = {"day_count": "ACT/365"}
    for arrived, days in (("5 Jan", 31), ("6 Jan", 30), ("10 Jan", 26)):
        story = given(nothing_yet()).book(on("5 Jan"), a_request(payout=PAYOUT, mandate={}, terms=terms))
        story.when(on("5 Jan 11:00")).when(on("10 Jan"), payout_settled(arrived)).when(on("5 Feb"))
        assert story.all(InstalmentDue)[0].interest_paise == by_days(rupees("1,00,000"), "18", days)


SITE = {"tranches": [{"on": "2026-01-20", "amount_paise": 50_000_00}], "day_count": "ACT/365"}


def a_site(**other: Any) -> Story:
    """Rs. 50,000 on 5 January, and Rs. 50,000 more planned for the 20th; we pay out."""
    story = given(nothing_yet()).book(on("5 Jan"), a_request(principal="50,000", payout=PAYOUT, mandate={}, terms=SITE))
    return story.when(on("5 Jan 11:00"), payout_settled("5 Jan"))


FIRST = 50_000_00 * Decimal("0.18") * 31 / 365  # the first part, 5 January to 5 February


def interest_of_february(story: Story) -> int:
    return story.the_loan.unpaid_of("interest")


def test_rule_26_a_tranche_bears_interest_from_its_own_day() -> None:
    story = a_site().when(on("20 Jan 11:00"), payout_settled("20 Jan")).when(on("5 Feb"))
    assert story.all(Recast) == []
    assert interest_of_february(story) == half_up(FIRST + 50_000_00 * Decimal("0.18") * 16 / 365)


def test_rule_26_a_tranche_that_is_not_out_bears_none_though_its_planned_day_has_passed() -> None:
    story = a_site().when(on("5 Feb"))
    assert interest_of_february(story) == half_up(FIRST)
    story.and_the_loan(principal="50,000")
    # When it comes after all it bears interest from its day, and the rows follow.
    story.when(on("10 Feb"), payout_settled("10 Feb")).when(on("5 Mar"))
    assert story.the_loan.principal_paise == rupees("1,00,000")
    assert sum(row.principal for row in story.the_loan.rows) == rupees("1,00,000")
    repaid = story.the_loan.rows[0].principal
    second = (rupees("50,000") - repaid) * 28 + rupees("50,000") * 23  # 5 February to 5 March; 10 February to 5 March
    assert story.the_loan.rows[1].interest == by_days(second, "18", 1)


def test_rule_26_a_tranche_that_fails_bears_none() -> None:
    story = a_site().when(on("21 Jan"), payout_failed())
    story.then(
        a(PayoutFailed, tranche=1, amount_paise="50,000", returned=False),
        a(Recast, principal_paise="50,000"),
        a(CaseOpened, kind="payout-failed"),
    )
    story.when(on("5 Feb"))
    assert interest_of_february(story) == half_up(FIRST)
    assert sum(row.principal for row in story.the_loan.rows) == rupees("50,000")


def test_rule_26_a_tranche_that_is_not_out_is_in_no_quote() -> None:
    story = a_site().when(on("25 Jan"), asked(c.QuotePreclosure))
    assert quoted(story)["principal_paise"] == rupees("50,000")
    assert quoted(story)["interest_accrued_paise"] == by_days(rupees("50,000"), "18", 20)


def test_rule_26_one_instalment_in_advance_does_not_inflate_the_interest() -> None:
    assert interest_bearing_paise(1_00_000_00, 4_993_00, date(2024, 4, 29)).value == 95_007_00
    # An instalment paid with the payout is held, and its interest of the month is on the whole: the borrower has it.
    story = given(a_loan_without_mandate()).when(on("5 Jan 12:00"), payment("4,993", intent="part-prepayment"))
    story.when(on("5 Feb")).and_the_loan(principal="95,007")
    assert interest_of_february(story) == by_months(rupees("95,007"), "18")


# --- 27: floating rates --------------------------------------------------------------------------------------

FLOATING = {"rate_type": "floating"}


def reset(rate: str, effective: str = "5 Feb", **other: Any) -> Any:
    return asked(
        c.ResetRate, effective_on=day(effective), annual_rate_percent=rate, reason="repo", **{"option": "", **other}
    )


def test_rule_27_the_borrower_is_offered_a_longer_tenure_and_a_higher_instalment_with_their_cost() -> None:
    story = given(a_loan_without_mandate(terms=FLOATING)).when(on("5 Feb"), payment("4,993"), reset("20.00"))
    offered = {offer["option"]: offer for offer in story.all(RateReset)[0].offered}
    assert offered["longer_tenure"]["instalment_paise"] == rupees("4,993")
    assert offered["longer_tenure"]["instalments"] > 23
    assert offered["higher_emi"]["instalments"] == 23
    assert offered["higher_emi"]["instalment_paise"] > rupees("4,993")
    assert offered["higher_emi"]["total_interest_paise"] < offered["longer_tenure"]["total_interest_paise"]


def test_rule_27_an_instalment_covers_the_interest() -> None:
    # On 5 January nothing is repaid: Rs. 1,00,000 at 59.90 % cost Rs. 4,991.67 a month, at 59.92 % Rs. 4,993.33.
    story = given(a_loan_without_mandate(terms=FLOATING)).when(on("5 Jan 12:00"), reset("59.92", "5 Jan"))
    story.refused(Refusal.terms_invalid, "/instalment_paise")
    offer = reset("59.92", "5 Jan", option="higher_emi")
    story.when(on("5 Jan 13:00"), offer)
    told = {each["option"]: each for each in story.all(RateReset)[0].offered}
    assert "not_possible" in told["longer_tenure"]
    assert told["higher_emi"]["instalments"] == 24


def test_rule_27_a_fixed_rate_is_not_reset_and_the_switch_is_allowed_as_often_as_the_product_says() -> None:
    given(a_loan_without_mandate()).when(on("5 Feb"), reset("20.00")).refused(Refusal.rate_is_fixed)
    story = given(a_loan_without_mandate(terms=FLOATING)).when(on("20 Jan"), reset("19", option="switch_to_fixed"))
    story.when(on("5 Feb 10:00"))
    assert story.all(RateReset)[0].rate_type == "fixed"
    story.when(on("6 Feb"), asked(c.ResetRate, "C-2", effective_on=day("6 Feb"), annual_rate_percent="9", reason=""))
    story.refused(Refusal.rate_is_fixed)


def test_rule_27_a_floating_rate_borrower_has_a_statement_every_quarter_and_a_fixed_one_none() -> None:
    story = given(a_loan_without_mandate(terms=FLOATING)).when(on("4 Apr 23:59")).when(on("6 Apr"))
    told = story.all(StatementDue)
    assert [(each.on, each.instalments_left, each.annual_rate_percent) for each in told] == [("2026-04-05", 21, "18")]
    story.when(on("6 Jul"))
    assert [each.on for each in story.all(StatementDue)] == ["2026-04-05", "2026-07-05"]
    assert given(a_loan_without_mandate()).when(on("6 Jul")).all(StatementDue) == []


# --- 28: digital lending -------------------------------------------------------------------------------------


def test_rule_28_money_goes_to_the_borrowers_own_account() -> None:
    given(nothing_yet()).book(on("5 Jan"), a_request(payee="lsp")).refused(
        Refusal.payee_not_allowed, "/payout/payee", payee="lsp"
    )
    assert "borrower" in payees_allowed(date(2026, 1, 5)).value
    story = given(nothing_yet()).book(on("5 Jan"), a_request(payee="borrower"))
    assert story.the_loan.stage == "active"


def test_rule_28_the_borrower_may_leave_within_the_cooling_off_days_for_principal_and_proportionate_apr() -> None:
    assert cooling_off_minimum_days(700, date(2026, 1, 5)).value == 1
    story = given(a_loan_without_mandate()).when(on("8 Jan"), asked(c.CancelDisbursal, reason="changed my mind"))
    cancelled = story.all(DisbursalCancelled)[0]
    assert cancelled.interest_paise == by_days(rupees("1,00,000"), story.the_loan.apr_percent, 3)
    late = given(a_loan_without_mandate()).when(on("9 Jan"), asked(c.CancelDisbursal, reason="changed my mind"))
    late.refused(Refusal.cooling_off_is_over, last_day=day("8 Jan"))


def test_rule_28_the_apr_stands_with_the_schedule_before_any_money_goes_out() -> None:
    story = given(nothing_yet()).book(on("2 Jan"), a_request(payout=PAYOUT))
    booked, scheduled = story.came
    assert Decimal(scheduled.apr_percent) >= 18
    assert story.the_loan.stage == "booked"
    assert booked.terms["annual_rate_percent"] == "18"


# --- 29 and 35: debits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rail", ["upi", "card"])
def test_rule_29_each_debit_is_told_24_hours_ahead_retries_too(rail: str) -> None:
    story = given(a_loan(mandate=mandate(rail))).when(on("5 Feb 12:00"), debit_failed(code="xx", rail=rail))
    story.when(on("12 Feb"))
    told = [datetime.fromisoformat(notice.timestamp.isoformat()) for notice in story.all(DebitNotified)]
    asked_at = [debit.timestamp for debit in story.all(DebitAttempted)]
    assert len(told) == len(asked_at) == 2
    assert all(later - earlier >= timedelta(hours=24) for earlier, later in zip(told, asked_at, strict=True))
    assert story.all(DebitNotified)[1].attempt == 2


@pytest.mark.parametrize(
    ("facts", "stands"),
    [
        ({"valid_until": "2026-02-05"}, True),
        ({"valid_until": "2026-02-04"}, False),
        ({"valid_from": "2026-02-05"}, True),
        ({"valid_from": "2026-02-06"}, False),
    ],
)
def test_rule_29_no_debit_outside_the_mandates_validity(facts: dict[str, Any], stands: bool) -> None:
    story = given(a_loan(mandate=mandate("enach", **facts))).when(on("5 Feb"))
    assert len(story.all(DebitAttempted)) == stands
    assert len(story.all(CollectionExhausted)) == (not stands)


@pytest.mark.parametrize(("limit", "amount"), [("4,993", "4,993"), ("4,992.99", "4,992.99")])
def test_rule_29_no_debit_above_the_mandates_limit(limit: str, amount: str) -> None:
    story = given(a_loan(mandate=mandate("enach", max_amount_paise=rupees(limit)))).when(on("5 Feb"))
    assert [debit.amount_paise for debit in story.all(DebitAttempted)] == [rupees(amount)]


@pytest.mark.parametrize(
    ("failed", "again"),
    [
        ("5 Feb 03:59", "6 Feb 09:59"),  # told 24 hours ahead, and before ten
        ("5 Feb 04:00", "6 Feb 13:00"),  # from ten to one is peak
        ("5 Feb 11:00", "6 Feb 21:30"),  # from five to half past nine is peak
    ],
)
def test_rule_29_upi_is_executed_outside_peak_hours(failed: str, again: str) -> None:
    rules = a_house(debits={"at": "03:00", "technical_retry_after_hours": [30]})
    story = given(a_loan(rules=rules, mandate=mandate("upi"))).when(on(failed), debit_failed(code="xx", rail="upi"))
    story.when(on("8 Feb"))
    assert story.at_of(DebitAttempted)[1] == on(again).strftime("%-d %b %Y %H:%M")


def attempts_of(rail: str, rules: Any, code: str = "xx") -> int:
    """How often an instalment is debited on a rail where every debit fails."""
    story = given(a_loan(rules=rules, mandate=mandate(rail)))
    now = on("5 Feb 08:00")
    for attempt in range(1, 30):
        story.when(now)
        if f"LN-1:1:{attempt}" not in story.the_loan.in_flight:
            break
        story.when(now, debit_failed(1, attempt, code=code, rail=rail))
        now += timedelta(hours=30)
    return len(story.all(DebitAttempted))


OFTEN: dict[str, Any] = {
    "max_attempts": 10,
    "soft_retry_after_days": [1],
    "technical_retry_after_hours": [1],
    "window_days": 25,
}


def test_rule_35_upi_autopay_has_one_attempt_and_three_more() -> None:
    assert attempts_of("upi", a_house(debits=OFTEN)) == 4
    assert attempts_of("enach", a_house(debits=OFTEN)) == 10  # no text limits NACH: the product does


def test_rule_35_the_product_may_allow_fewer_on_a_rail() -> None:
    assert attempts_of("upi", a_house(debits={**OFTEN, "rail_attempts": {"upi": 2}})) == 2
    assert attempts_of("card", a_house(debits={**OFTEN, "rail_attempts": {"upi": 4, "card": 5}})) == 5


def test_rule_35_the_law_holds_where_the_product_says_nothing_and_says_its_name() -> None:
    rules = a_house(debits={**OFTEN, "rail_attempts": {}})
    assert attempts_of("upi", rules) == 4
    story = given(a_loan(rules=rules, mandate=mandate("upi")))
    for attempt, at in enumerate(("5 Feb 08:00", "7 Feb 08:00", "9 Feb 08:00", "11 Feb 08:00"), 1):
        story.when(on(at), debit_failed(1, attempt, code="xx", rail="upi"))
    assert story.all(CollectionExhausted)[0].reason.startswith("4 attempts made, R13.2")


def test_rule_35_attempts_on_another_rail_count_for_the_product_and_not_for_the_rail() -> None:
    rules = a_house(debits={**OFTEN, "max_attempts": 6})
    story = given(a_loan(rules=rules))
    for attempt, at in enumerate(("5 Feb 08:00", "6 Feb 08:00", "7 Feb 08:00"), 1):
        story.when(on(at), debit_failed(1, attempt, code="xx"))
    story.when(on("7 Feb 08:30"), asked(c.RegisterMandate, mandate={**mandate("upi"), "mandate_id": "M-2"}))
    for attempt, at in enumerate(("9 Feb 08:00", "11 Feb 08:00", "13 Feb 08:00"), 4):
        story.when(on(at), debit_failed(1, attempt, code="xx", rail="upi"))
    assert [debit.rail for debit in story.all(DebitAttempted)] == ["enach"] * 3 + ["upi"] * 3
    assert story.all(CollectionExhausted)[0].reason == "6 attempts made, the product allows 6"


def test_a_salary_day_outside_the_window_is_not_waited_for() -> None:
    rules = by_the_calendar(window_days=11)
    story = given(a_loan(rules=rules, salary_day=16)).when(on("7 Feb 08:00"), debit_failed(code="04"))
    story.then(
        a(DebitFailed), a(ChargeLevied), a(RetryScheduled, at="16 Feb 07:00"), a(DelinquencyChanged)
    )  # 11 days after the due day
    rules = by_the_calendar(window_days=10)
    story = given(a_loan(rules=rules, salary_day=16)).when(on("7 Feb 08:00"), debit_failed(code="04"))
    story.then(
        a(DebitFailed), a(ChargeLevied), a(RetryScheduled, at="10 Feb 07:00"), a(DelinquencyChanged)
    )  # the product's three days
    assert story.all(RetryScheduled)[0].alternatives == [
        {
            "at": on("16 Feb 07:00").isoformat(),
            "why_not": "salary day 16 is after 2026-02-15, the window's last day",
        }
    ]


def test_where_the_product_asks_for_no_debits_nothing_is_tried_again() -> None:
    rules = a_house(debits={"automatic": False})
    story = given(a_loan(rules=rules)).when(on("5 Feb"), payment("4,993", "CHEQUE"))
    story.when(
        on("9 Feb"),
        lambda loan, now: c.ReverseReceipt(
            reference="CHEQUE", amount_paise=None, value_on=day("9 Feb"), source="payment", reason="returned"
        ),
    )
    assert story.the_loan.unpaid_of_row(1) == rupees("4,993")
    assert [story.all(kind) for kind in (RetryScheduled, CollectionExhausted, DebitAttempted)] == [[], [], []]


# --- 30: contact ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "allowed"),
    [
        ("9 Feb 07:59", "9 Feb 08:00"),
        ("9 Feb 08:00", "9 Feb 08:00"),
        ("9 Feb 18:59", "9 Feb 18:59"),
        ("9 Feb 19:00", "10 Feb 08:00"),
    ],
)
def test_rule_30_nobody_is_contacted_before_eight_and_after_seven(at: str, allowed: str) -> None:
    assert next_contact_moment(on(at)).value == on(allowed)


def test_rule_30_a_bereavement_hold_and_the_caps_are_respected() -> None:
    hold = Hold("bereavement", day("9 Feb"), day("21 Feb"))
    assert next_contact_moment(on("9 Feb 12:00"), holds=[hold]).value == on("22 Feb 08:00")
    today = [on("9 Feb 09:00"), on("9 Feb 11:00")]
    assert next_contact_moment(on("9 Feb 12:00"), recent=today, caps=Caps(2, 10)).value == on("10 Feb 08:00")
    assert next_contact_moment(on("9 Feb 12:00"), recent=today, caps=Caps(3, 10)).value == on("9 Feb 12:00")


# --- 31 and 33: what the lender owes besides money -----------------------------------------------------------


def a_repaid_loan_with_papers() -> Story:
    """Repaid on 5 February 2026: the papers are due by 7 March."""
    story = given(a_loan_at_its_last_row(rules=a_house(loan={"secured": True, "papers_held": True})))
    return story.when(on("5 Feb"), payment("1,01,500"))


def test_rule_31_papers_released_on_the_thirtieth_day_cost_nothing() -> None:
    story = a_repaid_loan_with_papers().when(on("7 Mar 18:00"), asked(c.ReleasePapers))
    story.then(a(PapersReleased, on="7 Mar"))
    assert story.when(on("30 Dec")).all(CompensationOwed) == []


def test_rule_33_the_clock_of_late_papers_runs_by_itself_and_pays_out_5000_a_day() -> None:
    story = a_repaid_loan_with_papers().when(on("8 Mar 23:58")).then()
    story.when(on("9 Mar")).then(
        a(CaseOpened, kind="papers-late"),
        a(CompensationOwed, kind="papers", days=1, paise="5,000", on="8 Mar"),
        a(RefundInstructed, amount_paise="5,000"),
    )
    story.when(on("10 Mar"), asked(c.ReleasePapers)).then(
        a(CompensationOwed, days=2, paise="10,000", on="10 Mar"),
        a(RefundInstructed, amount_paise="10,000"),
        a(PapersReleased, on="10 Mar"),
    )
    assert story.when(on("30 Dec")).all(CompensationOwed)[-1].on == "2026-03-10"


def test_rule_31_a_grievance_is_answered_in_30_days_or_goes_up() -> None:
    story = given(a_loan_without_mandate()).when(on("10 Jan"), asked(c.RaiseGrievance, subject="wrong EMI"))
    story.then(a(GrievanceRaised, answer_by="2026-02-09"))
    story.when(on("9 Feb 23:58"))
    assert story.all(GrievanceEscalated) == []
    story.when(on("10 Feb"))
    assert [each.grievance_id for each in story.all(GrievanceEscalated)] == ["LN-1:case:1"]
    answered = given(a_loan_without_mandate()).when(on("10 Jan"), asked(c.RaiseGrievance, subject="wrong EMI"))
    answered.when(on("9 Feb"), asked(c.CloseCase, "C-2", case_id="LN-1:case:1", outcome="explained"))
    assert answered.when(on("30 Mar")).all(GrievanceEscalated) == []


def test_rule_31_bureaus_are_told_on_the_dates_in_force() -> None:
    before = [file.as_on.day for file in submission_dates(2026, 6).value]
    since = [file.as_on.day for file in submission_dates(2026, 7).value]
    assert (before, since) == ([15, 30], [9, 16, 23, 31])
    following = next_submission(date(2026, 7, 9)).value
    assert following is not None
    assert following.as_on == date(2026, 7, 16)


def test_rule_33_a_bureau_record_corrected_late_and_a_payment_put_right_late_cost_100_a_day() -> None:
    raised = date(2026, 1, 1)
    assert bureau_compensation_paise(raised, date(2026, 1, 31), None).value == 0
    assert bureau_compensation_paise(raised, date(2026, 2, 1), None).value == 100_00
    assert turnaround_compensation_paise("upi", raised, date(2026, 1, 2)).value == 0
    assert turnaround_compensation_paise("upi", raised, date(2026, 1, 4)).value == 200_00


# --- 32: the Key Facts Statement is a gate -------------------------------------------------------------------


def test_rule_32_what_the_kfs_does_not_show_cannot_be_levied() -> None:
    shown = ({"kind": "visit", "amount_paise": rupees("150")},)
    story = given(a_loan_without_mandate(shown_charges=shown))
    story.when(on("9 Feb"), asked(c.LevyCharge, kind="visit", reason="at home", amount_paise=rupees("150.01")))
    story.refused(Refusal.charge_above_key_facts, "/amount_paise", shown_paise=rupees("150"))
    story.when(on("9 Feb"), asked(c.LevyCharge, kind="visit", reason="at home", amount_paise=rupees("150")))
    assert [charge.amount_paise for charge in story.all(ChargeLevied)] == [rupees("150")]
    story.when(on("9 Feb"), asked(c.LevyCharge, "C-2", kind="bounce", reason="")).refused(
        Refusal.charge_not_in_product, "/kind"
    )
    assert "KFS does not show" in str(story.no)


def test_rule_32_a_bounce_and_a_penalty_that_the_kfs_does_not_show_are_left_out() -> None:
    shown = ({"kind": "visit", "amount_paise": rupees("150")},)
    story = given(a_loan(rules=a_house(**BY_DAY), shown_charges=shown))
    story.when(on("5 Feb 12:00"), debit_failed(code="04")).when(on("2 Apr"))
    assert story.all(ChargeLevied) == []
    shown = ({"kind": "bounce", "amount_paise": rupees("500")}, {"kind": "penal"})
    story = given(a_loan(rules=a_house(**BY_DAY), shown_charges=shown))
    story.when(on("5 Feb 12:00"), debit_failed(code="04")).when(on("1 Mar"))
    assert [charge.kind for charge in story.all(ChargeLevied)] == ["bounce", "penal"]


# --- 34: no answer yet; an answer too many -------------------------------------------------------------------


def test_rule_34_a_banks_extension_does_nothing_until_it_resolves() -> None:
    story = given(a_loan()).when(on("5 Feb 12:00"), debit_failed(code="98"))
    story.then(a(DebitPending, code="98"))
    story.when(on("7 Feb 23:58")).and_the_loan(dpd=0)
    assert [story.all(kind) for kind in (ChargeLevied, RetryScheduled)] == [[], []]
    assert len(story.all(DebitAttempted)) == 1
    story.when(on("8 Feb 06:00"), debit_failed(code="04"))
    assert [charge.kind for charge in story.all(ChargeLevied)] == ["bounce"]
    story.and_the_loan(dpd=3)  # 5, 6 and 7 February: the days had passed all the same


def test_rule_34_a_second_success_in_a_cycle_is_sent_back() -> None:
    story = given(a_loan()).when(on("5 Feb 12:00"), debit_failed(code="xx")).when(on("5 Feb 18:00"))
    story.when(on("5 Feb 19:00"), debit_succeeded(1, 2))
    story.when(on("6 Feb"), debit_succeeded(1, 1, amount="4,993"))
    story.then(
        a(DebitSucceeded, lines=lines(("refund", "4,993"))),
        a(RefundInstructed, amount_paise="4,993"),
        a(CaseOpened, kind="unexpected-debit-success"),
    )
    story.and_the_loan(excess="0", refund_due="4,993")


def test_rule_34_a_mandate_that_is_lost_while_the_answer_is_out_changes_nothing_of_it() -> None:
    story = given(a_loan()).when(on("5 Feb 09:00"), mandate_is("cancelled"))
    story.when(on("5 Feb 12:00"), debit_succeeded()).and_the_loan(payable="0", dpd=0)


def test_the_end_of_a_loan_in_arrears_never_adds_a_charge_that_the_law_bars() -> None:
    """All of the above on one loan: floating, personal, NPA, closed by its quote."""
    story = given(a_loan_in_arrears(dpd=95, terms=FLOATING)).when(on("12 May"), asked(c.QuotePreclosure))
    total = story.all(PreclosureQuoted)[0].total_paise
    story.when(on("12 May 15:00"), payment(str(Decimal(total) / 100), intent="preclosure"))
    assert story.all(Closed)[0].kind == "preclosed"
    assert story.all(ChargeLevied) == []
    assert story.the_loan.known_at.astimezone(IST).date() == day("12 May")
