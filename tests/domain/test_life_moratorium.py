"""A moratorium agreed on at the beginning: what becomes of its interest, whatever happens meanwhile (rule 8).

Rs. 1,00,000 at 18 %, 12 rows, of which the first two (5 February and 5 March) bear no principal: Rs. 1,500 a month.
"""

from __future__ import annotations

from typing import Any

import pytest

from domain.commands import QuotePreclosure, ResetRate, Restructure
from domain.events import Closed, DelinquencyChanged, EmiScheduled, InstalmentDue, PreclosureQuoted, PrincipalPrepaid
from tests.examples import a_loan_without_mandate
from tests.stories import Story, a, asked, by_months, day, emi, given, on, parts, payment, repaid, rupees

WHOLE, MONTH = rupees("1,00,000"), rupees("1,500")


def a_loan_in_moratorium(interest: str, **terms: Any) -> Story:
    asked_for = {"moratorium_instalments": 2, "moratorium_interest": interest, **terms}
    return given(a_loan_without_mandate(months=12, terms=asked_for))


def balances(rows: list[tuple[int, int]], opening: int) -> list[int]:
    """What each row opens with; the last one leaves nothing."""
    opened = [opening]
    for principal, _ in rows:
        opened.append(opened[-1] - principal)
    assert opened.pop() == 0
    return opened


def earns(rows: list[tuple[int, int]], opening: int, waiting: int = 0) -> None:
    """A month's interest on what each row opens with, and with the first what waits; one level instalment."""
    interest = [by_months(balance, "18") for balance in balances(rows, opening)]
    assert [each for _, each in rows] == [interest[0] + waiting, *interest[1:]]
    assert len({sum(row) for row in rows[:-1]}) <= 2  # the first may ask for what waits on top


def pay_to_the_end(story: Story) -> Story:
    for row in list(story.the_loan.rows[story.the_loan.due_rows :]):
        said = f"{row.due_on:%d %b %Y}".lstrip("0")
        story.when(on(said))
        if story.the_loan.payable_paise():
            story.when(on(said), payment(f"{story.the_loan.payable_paise() / 100:.2f}", f"P-{row.number}"))
    return story


def test_interest_that_is_paid_is_due_in_each_row() -> None:
    story = a_loan_in_moratorium("pay")
    assert parts(story.the_loan) == [(0, MONTH), (0, MONTH), *repaid(WHOLE, "18", 10)]
    pay_to_the_end(story).and_the_loan(state="closed", excess="0")
    assert story.the_loan.received_paise == 2 * MONTH + sum(sum(row) for row in repaid(WHOLE, "18", 10))


def test_interest_that_is_capitalised_joins_the_principal_with_the_last_row_of_the_moratorium() -> None:
    story = a_loan_in_moratorium("capitalise")
    rest = repaid(WHOLE + 2 * MONTH, "18", 10)
    assert parts(story.the_loan) == [(0, 0), (0, 0), *rest]
    story.when(on("5 Feb")).then(a(InstalmentDue, capitalised_paise=0, held_paise=MONTH))
    story.and_the_loan(principal="1,00,000", payable="0", interest_accrued="1,500")
    story.when(on("5 Mar")).then(a(InstalmentDue, capitalised_paise=2 * MONTH, held_paise=-MONTH))
    story.and_the_loan(principal="1,03,000", payable="0", interest_accrued="0")
    pay_to_the_end(story).and_the_loan(state="closed", excess="0")
    assert story.the_loan.received_paise == sum(sum(row) for row in rest)


@pytest.mark.parametrize("collected", ["evenly", "first_row"])
def test_interest_that_accrues_is_collected_evenly_or_with_the_first_row_after(collected: str) -> None:
    story = a_loan_in_moratorium("accrue", moratorium_collected=collected)
    plain = repaid(WHOLE, "18", 10)
    extra = [300_00] * 10 if collected == "evenly" else [2 * MONTH, *[0] * 9]
    assert parts(story.the_loan) == [
        (0, 0),
        (0, 0),
        *((principal, interest + more) for (principal, interest), more in zip(plain, extra, strict=True)),
    ]
    story.when(on("5 Mar")).and_the_loan(interest_accrued="3,000", principal="1,00,000")
    pay_to_the_end(story).and_the_loan(state="closed", excess="0")
    assert story.the_loan.held_paise == 0


def test_a_moratorium_that_extends_the_tenure_leaves_twelve_instalments_after_it() -> None:
    story = a_loan_in_moratorium("pay", moratorium_extends_tenure=True)
    assert parts(story.the_loan) == [(0, MONTH), (0, MONTH), *repaid(WHOLE, "18", 12)]
    assert story.the_loan.rows[-1].due_on == day("5 Mar 2027")


def test_nobody_is_late_where_nothing_is_asked_for() -> None:
    story = a_loan_in_moratorium("capitalise").when(on("4 Apr")).and_the_loan(dpd=0, classification="standard")
    assert story.all(DelinquencyChanged) == []
    story = a_loan_in_moratorium("pay").when(on("6 Feb")).and_the_loan(dpd=1)  # where interest is paid, it can be late


@pytest.mark.parametrize("interest", ["capitalise", "accrue"])
def test_a_quote_inside_the_moratorium_asks_for_the_interest_that_waits(interest: str) -> None:
    story = a_loan_in_moratorium(interest).when(on("20 Feb"), asked(QuotePreclosure))
    told = story.all(PreclosureQuoted)[0]
    # Rs. 1,500 of January to February, and 15 of 30 days since; 2 % of the principal with 18 % GST.
    assert told.parts["interest_accrued_paise"] == MONTH + MONTH // 2
    assert told.total_paise == WHOLE + rupees("2,250") + rupees("2,360")
    story.when(on("20 Feb 12:00"), payment(f"{told.total_paise / 100:.2f}", intent="preclosure"))
    assert [each.kind for each in story.all(Closed)] == ["preclosed"]
    story.and_the_loan(principal="0", payable="0", excess="0", refund_due="0")


@pytest.mark.parametrize("interest", ["capitalise", "accrue"])
def test_a_prepayment_inside_the_moratorium_loses_no_day_of_interest_and_counts_none_twice(interest: str) -> None:
    story = a_loan_in_moratorium(interest)
    story.when(on("20 Feb"), payment("20,000", intent="part-prepayment", choice="reduce_emi"))
    assert story.all(PrincipalPrepaid)[0].amount_paise == rupees("20,000")
    left = WHOLE - rupees("20,000")
    waiting = MONTH + MONTH // 2  # up to 20 February, on the whole
    rest_of_row = by_months(left, "18") // 2  # 20 February to 5 March, on what is left
    assert parts(story.the_loan)[0] == (0, 0)
    if interest == "capitalise":
        earns(parts(story.the_loan)[1:], left + rest_of_row + waiting)
    else:
        total = sum(each for _, each in parts(story.the_loan))
        plain = sum(by_months(balance, "18") for balance in balances(parts(story.the_loan)[1:], left))
        assert total == plain + waiting + rest_of_row
    pay_to_the_end(story).and_the_loan(state="closed", excess="0", principal="0")
    assert story.the_loan.held_paise == 0


def test_a_restructuring_inside_the_moratorium_keeps_what_is_left_of_it() -> None:
    story = a_loan_in_moratorium("capitalise").when(
        on("5 Feb 12:00"), asked(Restructure, effective_on=day("5 Feb"), reason="", instalments=24, hardship=False)
    )
    rows = parts(story.the_loan)
    assert len(rows) == 24
    assert rows[0] == (0, 0)  # 5 March
    earns(rows[1:], WHOLE + 2 * MONTH)  # what 5 March capitalises, January's interest with it
    pay_to_the_end(story).and_the_loan(state="closed", excess="0")


@pytest.mark.parametrize("interest", ["capitalise", "accrue"])
def test_a_change_agreed_on_for_later_counts_the_interest_that_waits_by_then(interest: str) -> None:
    story = a_loan_in_moratorium(interest).when(
        on("10 Jan"), asked(Restructure, effective_on=day("10 Feb"), reason="", instalments=12, hardship=False)
    )
    story.when(on("10 Feb"))
    assert sum(row.principal for row in story.the_loan.rows[story.the_loan.due_rows :]) >= WHOLE
    pay_to_the_end(story).and_the_loan(state="closed", principal="0", excess="0")
    assert story.the_loan.held_paise == 0


def test_a_rate_that_moves_inside_the_moratorium_counts_from_its_day() -> None:
    story = a_loan_in_moratorium("pay", rate_type="floating").when(
        on("5 Feb"),
        payment("1,500", "FEB"),
        asked(ResetRate, effective_on=day("5 Feb"), annual_rate_percent="24", reason="", option="higher_emi"),
    )
    assert isinstance(story.all(EmiScheduled)[-1], EmiScheduled)
    assert parts(story.the_loan) == [(0, rupees("2,000")), *repaid(WHOLE, "24", 10)]
    assert story.the_loan.instalment_paise == emi(WHOLE, "24", 10)


def test_early_money_is_held_through_a_moratorium_and_used_when_something_is_owed() -> None:
    story = a_loan_in_moratorium("capitalise").when(on("10 Feb"), payment("5,000", "EARLY"))
    story.when(on("6 Mar")).and_the_loan(excess="5,000", payable="0")
    story.when(on("5 Apr"))
    level = emi(WHOLE + 2 * MONTH, "18", 10)
    story.and_the_loan(excess="0", payable=f"{(level - rupees('5,000')) / 100:.2f}")


@pytest.mark.parametrize("interest", ["pay", "capitalise", "accrue"])
@pytest.mark.parametrize("method", ["reducing", "equal_principal", "interest_only", "flat"])
def test_every_method_with_every_moratorium_is_repaid_to_the_last_paisa(method: str, interest: str) -> None:
    story = a_loan_in_moratorium(interest, interest_method=method)
    promised = sum(row.total for row in story.the_loan.rows)
    pay_to_the_end(story).and_the_loan(state="closed", principal="0", excess="0")
    assert story.the_loan.received_paise == promised
    assert story.the_loan.held_paise == 0
