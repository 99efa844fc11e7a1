"""Other due days from a day on, another frequency, and arrears asked for anew after the last due date (rule 17)."""

from __future__ import annotations

from typing import Any

import pytest

from domain.commands import Restructure
from domain.refusals import Refusal
from domain.views import schedule_rows
from tests.examples import EMI, a_loan_at_its_last_row, a_loan_without_mandate
from tests.stories import Doing, Story, asked, day, on, payment, rupees, taken_back


def restructure(on_day: str, **changes: Any) -> Doing:
    return asked(Restructure, "R-1", effective_on=day(on_day), reason="paid on the 20th", hardship=False, **changes)


def a_loan_of_which_the_first_is_paid() -> Story:
    """Rs. 1,00,000 at 18 %, due on the 5th: Rs. 96,507 are left, on 5 February."""
    return a_loan_without_mandate().when(on("5 Feb 12:00"), payment(EMI))


def to_come(story: Story) -> list[tuple[str, int]]:
    """Due day and interest of each row that is not due."""
    loan = story.the_loan
    return [(row.due_on.isoformat(), row.interest) for row in loan.rows[loan.due_rows :]]


def test_another_due_day_bears_interest_for_the_days_until_then() -> None:
    story = a_loan_of_which_the_first_is_paid().when(on("6 Feb"), restructure("6 Feb", first_due_on=day("20 Feb")))
    rows = to_come(story)
    assert rows[0] == ("2026-02-20", rupees("723.80"))  # 96,507 x 18 % x 15/360
    assert [due_on for due_on, _ in rows[1:3]] == ["2026-03-20", "2026-04-20"]
    assert len(rows) == 23
    assert story.the_loan.rows[-1].closing == 0


def test_another_frequency_goes_on_from_the_first_due_day_that_is_named() -> None:
    every = {"first_due_on": day("5 Mar"), "frequency": "quarterly", "instalments": 8}
    rows = to_come(a_loan_of_which_the_first_is_paid().when(on("5 Feb 13:00"), restructure("5 Feb", **every)))
    assert [due_on for due_on, _ in rows[:3]] == ["2026-03-05", "2026-06-05", "2026-09-05"]
    assert rows[0][1] == rupees("1,447.61")  # one month at 1.5 % of 96,507: 1,447.605
    assert len(rows) == 8


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"first_due_on": day("6 Feb")}, "/first_due_on"),
        ({"frequency": "hourly"}, "/frequency"),
    ],
)
def test_what_cannot_be_a_due_day_is_refused_by_its_name(changes: dict[str, Any], field: str) -> None:
    story = a_loan_of_which_the_first_is_paid().when(on("6 Feb"), restructure("6 Feb", **changes))
    story.refused(Refusal.terms_invalid, field)


def test_hindsight_keeps_the_other_due_days() -> None:
    story = a_loan_of_which_the_first_is_paid().when(on("6 Feb"), restructure("6 Feb", first_due_on=day("20 Feb")))
    story.when(on("10 Feb"), taken_back("P-1"))
    days = [due_on for due_on, _ in to_come(story)]
    assert days[:2] == ["2026-02-20", "2026-03-20"]


class TestAfterTheLastDueDate:
    """One instalment of Rs. 1,01,500 was due on 5 February, and nothing was paid."""

    def test_arrears_are_asked_for_anew_in_so_many_instalments(self) -> None:
        story = a_loan_at_its_last_row()
        story.when(on("20 Feb"), restructure("20 Feb", instalments=2, capitalise_arrears=True))
        rows = schedule_rows(story.the_loan)
        told = [(row["due_on"], row["principal_paise"], row["closing_paise"]) for row in rows]
        assert [due_on for due_on, *_ in told] == ["2026-02-05", "2026-03-05", "2026-04-05"]
        assert told[0][1:] == (0, rupees("1,00,000"))
        assert told[1][1] + told[2][1] == story.the_loan.principal_paise == rupees("1,01,500")
        assert (told[2][2], story.the_loan.payable_paise()) == (0, 0)

    @pytest.mark.parametrize("changes", [{"instalments": 2}, {"capitalise_arrears": True}])
    def test_what_names_no_arrears_or_no_instalments_changes_nothing(self, changes: dict[str, Any]) -> None:
        story = a_loan_at_its_last_row().when(on("20 Feb"), restructure("20 Feb", **changes))
        story.refused(Refusal.nothing_to_change, "/effective_on")


def test_rows_ask_for_no_more_than_was_paid_of_arrears_that_joined_the_principal() -> None:
    story = a_loan_without_mandate().when(on("5 Feb 12:00"), payment("2,000"))
    story.when(on("20 Mar"), restructure("20 Mar", instalments=24, capitalise_arrears=True))
    rows = schedule_rows(story.the_loan)
    assert [(row["principal_paise"], row["principal_paid_paise"]) for row in rows[:2]] == [(rupees("500"),) * 2, (0, 0)]
    assert rows[0]["paid_on"] == "2026-02-05"
    assert rows[1]["total_paise"] == 0
    lent_and_capitalised = rupees("1,00,000") + story.the_loan.capitalised_paise
    assert sum(row["principal_paise"] for row in rows) == lent_and_capitalised


def test_an_instalment_paid_in_advance_is_not_due_when_the_money_is_taken_back() -> None:
    story = a_loan_without_mandate().when(on("20 Jan"), payment(EMI, intent="advance"))
    assert schedule_rows(story.the_loan)[0]["paid_on"] == "2026-01-20"
    story.when(on("20 Jan 12:00"), taken_back("P-1"))
    loan = story.the_loan
    assert (loan.due_rows, loan.payable_paise(), loan.principal_paise) == (0, 0, rupees("1,00,000"))
    assert schedule_rows(loan)[0]["paid_on"] is None
