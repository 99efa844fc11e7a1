"""Holidays (servicing rule 4): the lender's own closed days move the due date, or only the debit."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from domain.events import DebitAttempted, DebitNotified, InstalmentDue
from domain.schedule import build_schedule
from domain.terms import Terms, TermsError
from tests.examples import a_loan
from tests.stories import given, on, payment

CLOSED: dict[str, Any] = {"weekly_holidays": ["sunday"], "holidays": ["2026-02-02"]}  # 1 February 2026 is a Sunday


def due_days(**terms: Any) -> list[str]:
    asked = {
        "principal_paise": 1_20_000_00,
        "annual_rate_percent": "12",
        "instalments": 3,
        "disburse_on": "2026-01-01",
        "first_due_on": "2026-02-01",
        **CLOSED,
        **terms,
    }
    return [row.due_on.isoformat() for row in build_schedule(Terms.parse(asked)).rows]


@pytest.mark.parametrize(
    ("shift", "first"),
    [
        ("none", "2026-02-01"),
        ("following", "2026-02-03"),
        ("preceding", "2026-01-31"),
        ("modified_following", "2026-02-03"),
    ],
)
def test_a_due_date_on_a_closed_day_moves_as_the_terms_say(shift: str, first: str) -> None:
    assert due_days(holiday_shift=shift, holiday_moves="due_date")[0] == first


def test_a_due_date_that_moved_comes_back_to_its_own_day() -> None:
    assert due_days(holiday_shift="following", holiday_moves="due_date") == ["2026-02-03", "2026-03-02", "2026-04-01"]


def test_by_default_only_the_debit_moves() -> None:
    assert due_days(holiday_shift="following")[0] == "2026-02-01"
    terms = {"holiday_shift": "following", **CLOSED}
    story = given(a_loan(disburse="1 Jan", at="1 Jan", first_due="1 Feb", terms=terms)).when(on("3 Feb 08:00"))
    assert story.all(InstalmentDue)[0].due_on == "2026-02-01"
    assert story.all(DebitNotified)[0].debit_at.startswith("2026-02-03T07:00")
    assert story.at_of(DebitAttempted) == ["3 Feb 2026 07:00"]


def test_a_schedule_made_anew_keeps_the_regular_days() -> None:
    story = given(
        a_loan(
            disburse="1 Jan",
            at="1 Jan",
            first_due="1 Feb",
            mandate={},
            months=4,
            terms={"holiday_shift": "following", "holiday_moves": "due_date", **CLOSED},
        )
    )
    story.when(on("20 Jan"), payment("20,000", intent="part-prepayment", choice="reduce_emi"))
    assert [row.due_on for row in story.the_loan.rows] == [
        date(2026, 2, 3),
        date(2026, 3, 2),
        date(2026, 4, 1),
        date(2026, 5, 1),
    ]


def test_a_week_without_a_working_day_is_refused() -> None:
    week = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    with pytest.raises(TermsError, match="leaves no day"):
        due_days(weekly_holidays=week)
