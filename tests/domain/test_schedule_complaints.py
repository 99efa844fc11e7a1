"""What users of other servicing systems complain about in their schedules; none of it may be true here.

Each test names the public thread that it answers.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, get_args

import pytest

from domain.calendar import DayCount, DueDates, Frequency, year_fraction
from domain.events import EmiScheduled, LoanBooked
from domain.schedule import Row, build_schedule
from domain.terms import BrokenPeriod, InterestMethod, MoratoriumInterest, Terms, TermsError
from tests.examples import a_loan_without_mandate, a_request
from tests.stories import given

A_LAKH = 1_00_000_00
DAY_COUNTS: tuple[DayCount, ...] = get_args(DayCount)
METHODS: tuple[InterestMethod, ...] = get_args(InterestMethod)
OF_METHODS = {"step_percent": "5", "step_every": 6, "balloon_paise": 20_000_00}

LOAN: dict[str, Any] = {
    "principal_paise": A_LAKH,
    "annual_rate_percent": "14.00",
    "instalments": 12,
    "disburse_on": "2023-11-05",
    "first_due_on": "2023-12-05",
    **OF_METHODS,
}


def rows_of(**terms: Any) -> tuple[Row, ...]:
    return build_schedule(Terms.parse({**LOAN, **terms})).rows


@pytest.mark.parametrize("frequency", ["weekly", "fortnightly", "monthly", "quarterly", {"every": 15, "unit": "days"}])
@pytest.mark.parametrize("day_count", DAY_COUNTS)
def test_the_day_count_holds_for_flat_interest_as_for_any_other(day_count: DayCount, frequency: Any) -> None:
    # FINERACT-2359, FINERACT-343: 365 hard-coded for flat and whole-term rates.
    first = date(2023, 11, 5) + timedelta(days=30)
    terms = {"day_count": day_count, "frequency": frequency, "first_due_on": first.isoformat(), "instalments": 8}
    flat = rows_of(interest_method="flat", broken_period="spread", **terms)
    never_repaid = rows_of(interest_method="interest_only", broken_period="spread", **terms)
    assert abs(sum(row.interest_paise for row in flat) - sum(row.interest_paise for row in never_repaid)) <= len(flat)


@pytest.mark.parametrize("day_count", ["ACT/ACT", "ACT/365", "ACT/360", "ACT/364"])
def test_a_leap_years_days_add_up_to_its_rows(day_count: DayCount) -> None:
    # FINERACT-3201, 3194, 3049: rates by the day and by the period disagree in leap years.
    for row in rows_of(day_count=day_count, instalment_rounding_paise=1):
        exact = Fraction(0)
        for back in range(row.days):
            day = row.due_on - timedelta(days=back)
            exact += row.opening_paise * Fraction(14, 100) * year_fraction(day_count, day - timedelta(days=1), day)
        assert abs(row.interest_paise - exact) <= Fraction(1, 2)


@pytest.mark.parametrize("method", METHODS)
def test_the_preview_is_what_is_booked(method: str) -> None:
    # FINERACT-1302: the previewed schedule is not the loan's.
    terms = {"interest_method": method, "day_count": "ACT/365", **OF_METHODS}
    story = given(a_loan_without_mandate(months=12, terms=terms))
    [booked], [scheduled] = story.all(LoanBooked), story.all(EmiScheduled)
    preview = build_schedule(Terms.parse(a_request(months=12, terms=terms).terms))
    assert scheduled.rows == [row.to_dict() for row in preview.rows]
    assert build_schedule(Terms.parse(booked.terms)) == preview


def test_a_second_payout_on_a_due_date_leaves_the_row_before_alone() -> None:
    # Fineract's pull requests 4117, 4095, 4334: a wrong instalment where a payout falls on a due date.
    plain = rows_of()
    twice = rows_of(tranches=[{"on": "2024-02-05", "amount_paise": A_LAKH}])
    assert twice[:3] == plain[:3]
    assert twice[3].opening_paise == plain[3].opening_paise + A_LAKH
    assert len({row.total_paise for row in twice[3:-1]}) == 1


@pytest.mark.parametrize("moratorium", get_args(MoratoriumInterest))
@pytest.mark.parametrize("method", [method for method in METHODS if method != "bullet"])
def test_every_method_goes_with_every_moratorium(method: str, moratorium: str) -> None:
    # FINERACT-2413, pull request 5441: a moratorium for some products only.
    for collected in ("evenly", "first_row"):
        rows = rows_of(
            interest_method=method,
            moratorium_instalments=3,
            moratorium_interest=moratorium,
            moratorium_collected=collected,
        )
        assert [row.principal_paise for row in rows[:3]] == [0, 0, 0]
        assert [row.interest_paise > 0 for row in rows[:3]] == [moratorium == "pay"] * 3
        assert rows[-1].closing_paise == 0


@pytest.mark.parametrize("rupees", [100, 500, 1_000, 10_000])
def test_an_instalment_rounded_up_does_not_shorten_the_tenure(rupees: int) -> None:
    # Frappe Lending's issue 1449, pull request 1452: twelve months became eleven.
    for lent in range(rupees * 100, rupees * 200, max(rupees * 100 // 17, 1)):
        schedule = build_schedule(Terms.parse({**LOAN, "principal_paise": lent, "balloon_paise": None}))
        assert len(schedule.rows) == 12
        assert 0 < schedule.rows[-1].total_paise <= 2 * schedule.instalment_paise


@pytest.mark.parametrize("extends", [True, False])
@pytest.mark.parametrize("broken_period", get_args(BrokenPeriod))
def test_the_dates_and_the_tenure_asked_for_are_the_ones_got(broken_period: str, extends: bool) -> None:
    # Frappe Lending's pull requests 384, 803: a moratorium changed the tenure, or jumped the start.
    rows = rows_of(
        disburse_on="2023-10-20",
        broken_period=broken_period,
        moratorium_instalments=2,
        moratorium_extends_tenure=extends,
        interest_method="reducing",
    )
    numbered = [row for row in rows if row.number]
    dates = DueDates.of(Frequency(1, "months"), date(2023, 12, 5), date(2023, 11, 5))
    assert dates is not None
    assert [row.due_on for row in numbered] == [dates.nth(n) for n in range(1, 15 if extends else 13)]


def test_every_amount_is_whole_paise() -> None:
    # OpenCBS's issues 867, 868: rows that nobody had rounded.
    for method in METHODS:
        made = build_schedule(Terms.parse({**LOAN, "interest_method": method, "annual_rate_percent": "13.37"}))
        told = [value for row in made.rows for name, value in row.to_dict().items() if name.endswith("_paise")]
        assert {type(value) for value in told} == {int}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"moratorium_instalments": 12}, ["/moratorium_instalments", "none of 12 rows"]),
        ({"instalment_fixed": True, "instalment_paise": 100}, ["/instalment_paise", "100", "116667", "interest"]),
        ({"tranches": [{"on": "2023-11-01", "amount_paise": 5}]}, ["/tranches/0/on", "before disburse_on 2023-11-05"]),
        ({"first_due_on": "2023-11-05"}, ["/first_due_on", "must be after disburse_on 2023-11-05"]),
        ({"principal_paise": 11}, ["/instalments", "12 rows cannot share 11 paise"]),
    ],
)
def test_a_refusal_says_the_rule_and_the_values(change: dict[str, Any], words: list[str]) -> None:
    # openMF community-app's issue 1796: error texts that cannot be understood.
    with pytest.raises(TermsError) as refused:
        rows_of(**change)
    assert all(word in str(refused.value) for word in words), str(refused.value)


def test_no_combination_costs_less_than_nothing() -> None:
    # Frappe Lending's pull request 1224: negative interest. Here: any method, day count, and first period.
    for method in METHODS:
        for day_count in DAY_COUNTS:
            for paid_out in ("2023-11-05", "2023-11-28", "2023-09-17"):
                made = build_schedule(
                    Terms.parse({**LOAN, "interest_method": method, "day_count": day_count, "disburse_on": paid_out})
                )
                assert min(min(row.interest_paise, row.principal_paise) for row in made.rows) >= 0
                assert made.apr_percent > Decimal(0)
