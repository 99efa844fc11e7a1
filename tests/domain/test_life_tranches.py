"""Money that goes out in parts (servicing rule 26): each part bears interest from its own day, and from no other.

Rs. 50,000 on 5 January and Rs. 50,000 planned for 20 January, at 18 % over 12 months, the first due on 5 February.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from domain.commands import GrantRelief, QuotePreclosure, Restructure, RetryPayout
from domain.events import (
    CaseClosed,
    CaseOpened,
    Closed,
    Disbursed,
    EmiScheduled,
    InstalmentDue,
    PayoutFailed,
    PayoutInstructed,
    PreclosureQuoted,
    Recast,
)
from domain.refusals import Refusal
from tests.examples import PAYOUT, a_loan, a_request, nothing_yet
from tests.stories import (
    Story,
    a,
    asked,
    by_days,
    by_months,
    day,
    emi,
    given,
    half_up,
    on,
    parts,
    payment,
    payout_failed,
    payout_settled,
    repaid,
    rupees,
)

PART = rupees("50,000")
MONTH = by_months(PART, "18")  # Rs. 750


def share(days: int, of: int) -> int:
    """Some days of a regular month's interest on a part: by their share of its actual days (servicing rule 3)."""
    return half_up(Decimal(MONTH) * days / of)


SINCE_20_JANUARY = share(16, 31)


def a_site(*, by_us: bool = True, planned: str = "20 Jan", months: int = 12, **terms: Any) -> Story:
    """The first part is out; by us: each later part is asked for and waits for the gateway's answer."""
    tranches = [{"on": day(planned).isoformat(), "amount_paise": PART}]
    request = a_request(
        principal="50,000",
        months=months,
        mandate={},
        payout=PAYOUT if by_us else {},
        terms={"tranches": tranches, **terms},
    )
    story = given(nothing_yet()).book(on("5 Jan"), request)
    return story.when(on("5 Jan 11:00"), payout_settled("5 Jan")) if by_us else story


def in_rows(story: Story) -> int:
    """Principal that the rows to come repay."""
    return sum(row.principal for row in story.the_loan.rows[story.the_loan.due_rows :])


def test_each_part_bears_interest_from_its_own_day() -> None:
    story = a_site(by_us=False).when(on("20 Jan")).then(a(Disbursed, tranche=1, amount_paise=PART, value_on="20 Jan"))
    story.and_the_loan(principal="1,00,000", interest_accrued="375")  # 15 of 30 days of the first part
    story.when(on("5 Feb")).then(a(InstalmentDue, interest_paise=MONTH + SINCE_20_JANUARY))


def test_a_part_that_goes_out_on_a_due_day_leaves_that_row_alone() -> None:
    story = a_site(by_us=False, planned="5 Feb").when(on("5 Feb"))
    first = story.all(InstalmentDue)[0]
    assert first.interest_paise == MONTH
    story.when(on("5 Mar"))
    left = rupees("1,00,000") - first.principal_paise
    assert story.all(InstalmentDue)[1].interest_paise == by_months(left, "18")


def test_no_instalment_is_paid_ahead_that_repays_a_part_which_is_not_out() -> None:
    story = a_site(planned="20 Mar").when(on("10 Jan"), payment("80,000", "P-1", intent="advance"))
    assert [due.number for due in story.all(InstalmentDue)] == [1, 2]  # of 5 February and 5 March
    paid = sum(due.principal_paise + due.interest_paise for due in story.all(InstalmentDue))
    assert story.the_loan.excess_paise == rupees("80,000") - paid


def test_the_gateways_answer_on_the_planned_day_changes_no_row() -> None:
    story = a_site()
    before = list(story.the_loan.rows)
    story.when(on("20 Jan 00:30")).then(a(PayoutInstructed, tranche=1, amount_paise=PART))
    story.when(on("20 Jan 15:00"), payout_settled("20 Jan")).then(a(Disbursed, tranche=1))
    assert story.the_loan.rows == before
    assert in_rows(story) == story.the_loan.principal_not_due() == 2 * PART


def test_an_answer_that_comes_late_but_counts_from_the_planned_day_gives_the_planned_rows() -> None:
    story = a_site()
    before = list(story.the_loan.rows)
    story.when(on("10 Feb"))  # 5 February fell due without it
    assert story.all(InstalmentDue)[0].interest_paise == MONTH
    story.when(on("10 Feb 12:00"), payout_settled("20 Jan")).then(
        a(Disbursed, value_on="20 Jan"), a(CaseClosed, outcome="cured"), a(Recast)
    )
    assert story.the_loan.rows == before
    assert story.the_loan.unpaid_of("interest") == MONTH + SINCE_20_JANUARY


def test_a_part_that_goes_out_later_bears_interest_from_then() -> None:
    story = (
        a_site()
        .when(on("30 Jan"), payout_settled("30 Jan"))
        .then(a(Disbursed, value_on="30 Jan"), a(CaseClosed), a(Recast, principal_paise=2 * PART))
    )
    story.when(on("5 Feb")).then(a(InstalmentDue, interest_paise=MONTH + share(6, 31)))


def test_a_part_that_never_goes_out_is_in_no_row() -> None:
    story = a_site().when(on("5 Jan 2027"))
    assert story.the_loan.next_row is None
    due = story.all(InstalmentDue)
    assert sum(row.principal_paise for row in due) == PART
    assert [(row.principal_paise, row.interest_paise) for row in due] == repaid(PART, "18", 12)


def test_a_part_that_fails_is_a_case_and_is_asked_for_again_once_the_account_is_mended() -> None:
    story = (
        a_site()
        .when(on("20 Jan 12:00"), payout_failed())
        .then(a(PayoutFailed, tranche=1), a(Recast, principal_paise=PART), a(CaseOpened, kind="payout-failed"))
    )
    assert in_rows(story) == PART
    story.when(on("28 Jan"), asked(RetryPayout)).then(a(PayoutInstructed, tranche=1, amount_paise=PART))
    story.when(on("30 Jan"), payout_settled("30 Jan"))
    assert in_rows(story) == story.the_loan.principal_not_due() == 2 * PART
    assert story.the_loan.rows[0].interest == MONTH + share(6, 31)


def test_a_part_that_fails_is_told_once() -> None:
    story = a_site().when(on("20 Jan 12:00"))
    instruction = story.all(PayoutInstructed)[-1].instruction_id
    story.when(on("20 Jan 12:00"), payout_failed(instruction=instruction))
    story.when(on("20 Jan 13:00"), payout_failed(instruction=instruction)).repeated()
    story.when(on("20 Jan 14:00"), payout_settled("20 Jan", instruction=instruction)).refused(
        Refusal.outcome_contradicts_the_settled_one
    )


def test_a_part_that_comes_back_before_anything_fell_due_had_never_been_out() -> None:
    story = a_site().when(on("20 Jan 15:00"), payout_settled("20 Jan"))
    instruction = story.all(PayoutInstructed)[-1].instruction_id
    story.when(on("25 Jan"), payout_failed(returned=True, instruction=instruction))
    assert in_rows(story) == story.the_loan.principal_paise == PART
    assert parts(story.the_loan) == repaid(PART, "18", 12)


def test_terms_agreed_while_a_part_is_with_the_gateway_repay_it_when_it_arrives() -> None:
    story = a_site().when(
        on("20 Jan 10:00"), asked(Restructure, effective_on=day("20 Jan"), reason="", instalments=24, hardship=False)
    )
    assert in_rows(story) == PART
    story.when(on("20 Jan 15:00"), payout_settled("20 Jan"))
    assert in_rows(story) == story.the_loan.principal_not_due() == 2 * PART
    assert len(story.the_loan.rows) == 24


def test_money_paid_ahead_while_a_part_is_with_the_gateway_leaves_it_to_be_repaid() -> None:
    story = a_site().when(on("20 Jan 10:00"), payment("10,000", intent="part-prepayment"))
    assert in_rows(story) == PART - rupees("10,000")
    story.when(on("20 Jan 15:00"), payout_settled("20 Jan"))
    assert in_rows(story) == story.the_loan.principal_not_due() == 2 * PART - rupees("10,000")


def test_relief_after_a_part_went_out_counts_it_once() -> None:
    story = a_site(by_us=False).when(
        on("25 Jan"), asked(GrantRelief, effective_on=day("25 Jan"), reason="", instalments=1)
    )
    # The holiday's row earns a month of the first part and 16 of 31 days of the second, which join the principal.
    assert in_rows(story) == 2 * PART + MONTH + SINCE_20_JANUARY
    story.when(on("5 Feb"))
    assert in_rows(story) == story.the_loan.principal_not_due()


def test_a_change_agreed_on_for_later_and_one_of_today_forget_no_part() -> None:
    story = a_site(by_us=False)
    story.when(on("10 Jan"), asked(Restructure, effective_on=day("1 Feb"), reason="", instalments=12, hardship=False))
    assert in_rows(story) == 2 * PART  # it goes out before the change takes effect
    story.when(on("11 Jan"), payment("10,000", intent="part-prepayment"))
    assert in_rows(story) == 2 * PART - rupees("10,000")
    story.when(on("5 Feb"))
    assert in_rows(story) == story.the_loan.principal_not_due()


def test_parts_that_arrive_in_another_order_are_each_counted_from_their_day() -> None:
    tranches = [{"on": said, "amount_paise": PART} for said in ("2026-01-10", "2026-01-15")]
    request = a_request(
        principal="50,000", months=12, mandate={}, payout=PAYOUT, terms={"tranches": tranches, "day_count": "ACT/365"}
    )
    story = given(nothing_yet()).book(on("5 Jan"), request).when(on("5 Jan 11:00"), payout_settled("5 Jan"))
    story.when(on("16 Jan"), payout_settled("16 Jan", instruction="LN-1:payout:3:1"))
    story.when(on("26 Jan"), payout_settled("26 Jan", instruction="LN-1:payout:2:1"))
    # 31 days of the first part, 20 days since 16 January, 10 days since the 26th.
    story.when(on("5 Feb")).then(a(InstalmentDue, interest_paise=by_days(PART, "18", 31 + 20 + 10)))
    assert in_rows(story) == story.the_loan.principal_not_due()


def test_a_part_that_arrives_after_the_last_due_day_is_a_case() -> None:
    story = a_site(months=2).when(on("20 Mar"), payout_settled("20 Mar"))
    assert [each.kind for each in story.all(CaseOpened)] == ["payout-outcome-unknown", "hindsight-not-possible"]
    story.and_the_loan(principal="1,00,000")


def test_a_quote_counts_what_is_out_on_its_day() -> None:
    story = a_site(by_us=False).when(on("10 Jan"), asked(QuotePreclosure))
    assert story.all(PreclosureQuoted)[0].parts["principal_paise"] == PART
    story.when(on("10 Jan"), asked(QuotePreclosure, "Q-2", on=day("25 Jan")))
    assert story.all(PreclosureQuoted)[1].parts["principal_paise"] == 2 * PART


def test_a_loan_that_is_closed_early_pays_out_no_further_part() -> None:
    story = a_site(by_us=False).when(on("10 Jan"), asked(QuotePreclosure))
    total = story.all(PreclosureQuoted)[0].total_paise
    story.when(on("10 Jan 12:00"), payment(f"{total / 100:.2f}", intent="preclosure"))
    assert [each.kind for each in story.all(Closed)] == ["preclosed"]
    assert len(story.when(on("30 Dec")).all(Disbursed)) == 1


def test_rows_that_bear_interest_alone_come_before_the_instalments_of_a_house_that_is_built() -> None:
    story = a_site(
        by_us=False,
        planned="20 Feb",
        moratorium_instalments=2,
        moratorium_interest="pay",
        moratorium_extends_tenure=True,
    )
    story.when(on("5 Mar"))
    # A month of the first part; then a month of it and 13 of 28 days of the second.
    assert [(row.principal_paise, row.interest_paise) for row in story.all(InstalmentDue)] == [
        (0, MONTH),
        (0, MONTH + share(13, 28)),
    ]
    assert parts(story.the_loan) == repaid(2 * PART, "18", 12)
    assert story.the_loan.instalment_paise in (emi(2 * PART, "18", 12), story.the_loan.rows[2].total)


@pytest.mark.parametrize("method", ["reducing", "equal_principal", "interest_only"])
def test_interest_by_the_day_with_every_payment_on_its_day_is_the_schedules(method: str) -> None:
    plain = a_site(by_us=False, planned="20 Mar", interest_method=method, day_count="ACT/365")
    story = a_site(by_us=False, planned="20 Mar", interest_method=method, day_count="ACT/365", interest_accrual="daily")
    for row in list(plain.the_loan.rows):
        story.when(on(f"{row.due_on:%d %b %Y}".lstrip("0")), payment(f"{row.total / 100:.2f}", f"P-{row.number}"))
    due = [(row.principal_paise, row.interest_paise) for row in story.all(InstalmentDue)]
    assert due == [(row.principal, row.interest) for row in plain.the_loan.rows]
    story.and_the_loan(state="closed", principal="0", excess="0")


def test_interest_by_the_day_counts_a_part_from_the_day_on_which_it_arrived() -> None:
    story = a_site(interest_accrual="daily", day_count="ACT/365").when(on("25 Jan"), payout_settled("25 Jan"))
    story.when(on("5 Feb"))
    exact = (PART * 31 + PART * 11) * 18
    assert story.all(InstalmentDue)[0].interest_paise == (2 * exact + 36_500) // 73_000  # half up
    assert in_rows(story) == story.the_loan.principal_not_due()


def test_no_two_schedules_are_made_where_none_is_needed() -> None:
    story = a_site(by_us=False).when(on("6 Mar"))
    assert [each.reason for each in story.all(EmiScheduled)] == ["booking"]
    assert given(a_loan(mandate={})).when(on("6 Mar")).all(Recast) == []


def test_a_payout_that_is_told_twice_without_its_instruction_settles_no_other_tranche() -> None:
    terms = {"tranches": [{"on": "2026-02-15", "amount_paise": 50_000_00}]}
    story = nothing_yet().book(on("20 Feb"), a_request(payout=PAYOUT, mandate={}, terms=terms))
    story.when(on("20 Feb 12:00"), payout_settled("5 Jan")).when(on("20 Feb 13:00"), payout_settled("5 Jan")).repeated()
    assert [part.status for part in story.the_loan.tranches] == ["settled", "instructed"]
    story.when(on("20 Feb 14:00"), payout_settled("15 Feb", instruction="LN-1:payout:2:1"))
    assert [part.on for part in story.the_loan.tranches] == [day("5 Jan"), day("15 Feb")]
