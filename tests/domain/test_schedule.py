"""Schedules by the servicing rules: each test is named after what the rule says."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import product
from typing import Any, get_args

import pytest

from domain.calendar import DayCount
from domain.schedule import Row, Schedule, accrued_in_row, build_schedule, interest_for_days
from domain.terms import BrokenPeriod, InterestMethod, Terms, TermsError
from tests.drawing import draw_schedule, matches_golden

A_LAKH = 1_00_000_00

PERSONAL_LOAN: dict[str, Any] = {
    "principal_paise": A_LAKH,
    "annual_rate_percent": "18.00",
    "instalments": 24,
    "disburse_on": "2026-01-05",
    "first_due_on": "2026-02-05",
}


def scheduled(**terms: Any) -> Schedule:
    return build_schedule(Terms.parse({**PERSONAL_LOAN, **terms}))


def column(schedule: Schedule, name: str) -> list[Any]:
    return [getattr(row, name) for row in schedule.rows]


def dues(schedule: Schedule) -> list[str]:
    return [row.due_on.isoformat() for row in schedule.rows]


def interest(amount: int, percent: str, part: Fraction) -> int:
    """Paise by hand, to the nearest."""
    return int(amount * Fraction(percent) / 100 * part + Fraction(1, 2))


# --- Reducing (rule 5) -----------------------------------------------------------------------------------------


def test_the_contracts_personal_loan() -> None:
    fee = {"kind": "processing", "amount_paise": 200000, "gst_percent": "18.00", "deducted": True}
    schedule = scheduled(fees=[fee])
    assert schedule.instalment_paise == 499300
    assert schedule.rows[0] == Row(1, date(2026, 2, 5), 31, A_LAKH, 349300, 150000, 0, 499300, 9650700)
    assert schedule.net_disbursed_paise == A_LAKH - 236000
    assert schedule.notes == ()
    assert matches_golden("schedule_personal_loan.txt", draw_schedule(schedule))


def test_instalment_is_rounded_up_to_a_rupee_by_default_and_to_the_nearest_paisa_by_one() -> None:
    assert scheduled().instalment_paise == 499300
    assert scheduled(instalment_rounding_paise=1).instalment_paise == 499241
    assert scheduled(instalment_rounding_mode="nearest").instalment_paise == 499200
    assert scheduled(instalment_rounding_paise=1, instalment_rounding_mode="up").instalment_paise == 499242


def test_a_products_unit_of_rounding_does_not_outlive_the_loans_own() -> None:
    product = {"instalment_rounding_paise": 100, "instalment_rounding_mode": "up"}
    terms = Terms.parse({**PERSONAL_LOAN, "instalment_rounding_paise": 1}, product)
    assert terms.instalment_rounding_mode == "nearest"


def test_an_instalment_that_comes_out_whole_is_not_rounded_up_further() -> None:
    assert scheduled(annual_rate_percent="0", instalments=2).instalment_paise == 50_000_00
    # 2,100 at 10 % a year over two years: 2,100 x 1.21 / 2.1 is 1,210 exactly.
    whole = scheduled(
        principal_paise=2_100_00,
        annual_rate_percent="10",
        instalments=2,
        frequency="yearly",
        first_due_on="2027-01-05",
    )
    assert column(whole, "total_paise") == [1_210_00, 1_210_00]


def test_zero_interest_shares_the_principal() -> None:
    schedule = scheduled(annual_rate_percent="0", instalments=3, instalment_rounding_paise=1)
    assert column(schedule, "total_paise") == [3333333, 3333333, 3333334]
    assert schedule.total_interest_paise == 0
    assert schedule.apr_percent == Decimal("0.00")


def test_one_instalment_takes_everything() -> None:
    schedule = scheduled(instalments=1)
    assert column(schedule, "principal_paise") == [A_LAKH]
    assert column(schedule, "interest_paise") == [150000]
    assert schedule.instalment_paise == 101_500_00


def test_480_instalments() -> None:
    schedule = scheduled(principal_paise=50 * A_LAKH, instalments=480, annual_rate_percent="9")
    assert len(schedule.rows) == 480
    assert dues(schedule)[-1] == "2066-01-05"
    assert schedule.notes == ()
    assert 0 < schedule.rows[-1].total_paise <= 2 * schedule.instalment_paise


def test_a_fixed_tenure_wins_over_rounding() -> None:
    # Rs. 50 over 24 months is 2.50 a month: 3 whole rupees would be done in 17.
    schedule = scheduled(principal_paise=50_00, instalments=24)
    assert len(schedule.rows) == 24
    assert schedule.instalment_paise == 2_50
    assert schedule.notes == ("the instalment is to the nearest paisa: its own unit leaves no proper last row",)


def test_where_even_a_paisa_is_too_coarse_instalments_follow_the_balance() -> None:
    # Over 480 months at 36 %, the last half paisa of the instalment grows to thousands of rupees.
    schedule = scheduled(instalments=480, annual_rate_percent="36")
    assert len(schedule.rows) == 480
    assert {row.total_paise for row in schedule.rows[:-1]} <= {300000, 300001}
    assert schedule.notes[0].startswith("the instalment is computed anew in every row")


def test_no_row_pays_less_than_its_interest() -> None:
    # By actual days, January's interest is more than the level instalment of so long a loan.
    schedule = scheduled(instalments=480, annual_rate_percent="36", day_count="ACT/365")
    assert min(column(schedule, "principal_paise")) >= 0
    assert schedule.rows[-1].closing_paise == 0


def test_a_level_last_instalment_is_kept_only_when_it_is_nearer() -> None:
    plain = scheduled(instalments=12, instalment_rounding_paise=100, instalment_rounding_mode="nearest")
    level = scheduled(
        instalments=12,
        instalment_rounding_paise=100,
        instalment_rounding_mode="nearest",
        level_last_instalment=True,
    )
    off = [abs(s.rows[-1].total_paise - s.rows[0].total_paise) for s in (plain, level)]
    assert off[1] <= off[0]
    fine = scheduled(instalments=24, instalment_rounding_paise=1, level_last_instalment=True)
    assert abs(fine.rows[-1].total_paise - fine.rows[0].total_paise) <= 12


def test_interest_can_be_rounded_to_the_rupee() -> None:
    schedule = scheduled(amount_rounding_paise=100)
    assert all(row.interest_paise % 100 == 0 for row in schedule.rows)
    assert all(row.total_paise == 499300 for row in schedule.rows[:-1])


# --- Days and due dates (rules 2 to 4) -------------------------------------------------------------------------


def test_a_due_day_of_31_falls_on_month_ends_and_returns() -> None:
    schedule = scheduled(instalments=4, disburse_on="2026-01-31", first_due_on="2026-02-28")
    assert dues(schedule) == ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]
    assert column(schedule, "interest_paise")[0] == 150000  # 30/360: a month is a month.


def test_the_due_day_that_was_meant_outlives_a_late_payout() -> None:
    agreed = Terms.parse({**PERSONAL_LOAN, "disburse_on": "2026-01-31", "first_due_on": "2026-02-28"})
    assert agreed.due_day == 31
    late = replace(agreed, disburse_on=date(2026, 2, 2))
    assert dues(build_schedule(late))[:3] == ["2026-02-28", "2026-03-31", "2026-04-30"]


def test_a_leap_day_counts_in_its_own_year() -> None:
    schedule = scheduled(instalments=2, day_count="ACT/ACT", disburse_on="2023-12-05", first_due_on="2024-01-05")
    first = interest(A_LAKH, "18", Fraction(26, 365) + Fraction(5, 366))
    assert column(schedule, "days") == [31, 31]
    assert column(schedule, "interest_paise")[0] == first


@pytest.mark.parametrize(
    ("day_count", "part"),
    [
        ("30/360", Fraction(30, 360)),
        ("30E/360", Fraction(30, 360)),
        ("ACT/365", Fraction(31, 365)),
        ("ACT/360", Fraction(31, 360)),
        ("ACT/364", Fraction(31, 364)),
        ("ACT/ACT", Fraction(31, 365)),
        ("period", Fraction(1, 12)),
    ],
)
def test_interest_of_the_first_row_by_day_count(day_count: str, part: Fraction) -> None:
    assert scheduled(day_count=day_count).rows[0].interest_paise == interest(A_LAKH, "18", part)


@pytest.mark.parametrize(
    ("frequency", "second", "part"),
    [
        ("daily", "2026-02-06", Fraction(1, 360)),
        ("weekly", "2026-02-12", Fraction(7, 360)),
        ("fortnightly", "2026-02-19", Fraction(14, 360)),
        ({"every": 15, "unit": "days"}, "2026-02-20", Fraction(15, 360)),
        ("quarterly", "2026-05-05", Fraction(90, 360)),
        ("half-yearly", "2026-08-05", Fraction(180, 360)),
        ("yearly", "2027-02-05", Fraction(1)),
    ],
)
def test_rows_fall_due_by_frequency(frequency: Any, second: str, part: Fraction) -> None:
    schedule = scheduled(frequency=frequency, interest_method="interest_only")
    assert dues(schedule)[1] == second
    assert schedule.rows[1].interest_paise == interest(A_LAKH, "18", part)


def test_holidays_move_due_dates_only_where_the_terms_say_so() -> None:
    holidays = {date(2026, 3, 5)}
    terms = {**PERSONAL_LOAN, "instalments": 3, "day_count": "ACT/365", "holiday_shift": "following"}
    only_debit = build_schedule(Terms.parse(terms), holidays)
    assert only_debit.rows[1].due_on == date(2026, 3, 5)
    moved = build_schedule(Terms.parse({**terms, "holiday_moves": "due_date"}), holidays)
    assert dues(moved) == ["2026-02-05", "2026-03-06", "2026-04-05"]
    assert column(moved, "days") == [31, 29, 30]


def test_an_odd_start_counts_as_its_share_of_the_regular_period() -> None:
    schedule = scheduled(
        instalments=6,
        disburse_on="2026-01-15",
        schedule_starts_on="2026-01-01",
        first_due_on="2026-02-01",
        broken_period="spread",
    )
    assert schedule.rows[0].interest_paise == interest(A_LAKH, "18", Fraction(30, 360) * Fraction(17, 31))
    assert schedule.rows[0].days == 17


# --- Other methods (rule 6) ------------------------------------------------------------------------------------


def test_flat_interest_is_on_the_original_principal() -> None:
    schedule = scheduled(interest_method="flat", instalments=12, annual_rate_percent="12")
    assert schedule.total_interest_paise == 12_000_00
    assert set(column(schedule, "interest_paise")) == {1_000_00}
    assert schedule.instalment_paise == 9_334_00  # 9,333.33 up to the rupee
    assert schedule.rows[-1].total_paise == 1_12_000_00 - 11 * 9_334_00


def test_equal_principal() -> None:
    schedule = scheduled(interest_method="equal_principal", instalments=3)
    assert column(schedule, "principal_paise") == [3333333, 3333333, 3333334]
    assert column(schedule, "interest_paise") == [150000, 100000, 50000]


def test_interest_only_repays_in_the_last_row() -> None:
    schedule = scheduled(interest_method="interest_only", instalments=3)
    assert column(schedule, "principal_paise") == [0, 0, A_LAKH]
    assert column(schedule, "interest_paise") == [150000] * 3
    assert schedule.instalment_paise == 150000


def test_a_bullet_is_one_row_at_the_end_of_all_periods() -> None:
    schedule = scheduled(interest_method="bullet", instalments=12)
    assert dues(schedule) == ["2027-01-05"]
    assert column(schedule, "interest_paise") == [18_000_00]
    assert scheduled(frequency="bullet", instalments=1, first_due_on="2027-01-05", day_count="ACT/365").rows == (
        Row(1, date(2027, 1, 5), 365, A_LAKH, A_LAKH, 18_000_00, 0, 1_18_000_00, 0),
    )


def test_steps_change_the_instalment_every_so_many_rows() -> None:
    up = scheduled(interest_method="step_up", instalments=36, step_percent="10", step_every=12)
    first, second, third = (up.rows[n].total_paise for n in (0, 12, 24))
    assert {row.total_paise for row in up.rows[:12]} == {first}
    assert abs(second - first * 11 // 10) <= 100
    assert abs(third - first * 121 // 100) <= 100
    down = scheduled(interest_method="step_down", instalments=36, step_percent="10", step_every=12)
    assert abs(down.rows[12].total_paise - down.rows[0].total_paise * 9 // 10) <= 100
    assert down.rows[0].total_paise > scheduled(instalments=36).instalment_paise > first


def test_a_balloon_is_the_last_rows_principal() -> None:
    schedule = scheduled(interest_method="balloon", balloon_paise=40_000_00)
    assert schedule.rows[-1].principal_paise == 40_000_00
    assert schedule.rows[-1].interest_paise == 600_00
    assert {row.total_paise for row in schedule.rows[:-2]} == {schedule.instalment_paise}
    assert abs(schedule.rows[-2].total_paise - schedule.instalment_paise) < 100 * 24


def test_rule_of_78_spreads_flat_interest_by_the_sum_of_digits() -> None:
    book = {"instalments": 12, "annual_rate_percent": "7.8", "instalment_rounding_paise": 1}
    schedule = scheduled(interest_method="rule_of_78", **book)
    # 7,800 of interest over 78 shares: the first month bears 12 of them, the last one.
    assert column(schedule, "interest_paise") == [shares * 100_00 for shares in range(12, 0, -1)]
    assert schedule.total_interest_paise == scheduled(interest_method="flat", **book).total_interest_paise
    assert set(column(schedule, "total_paise")) <= {8_983_33, 8_983_37}
    assert sum(column(schedule, "principal_paise")) == A_LAKH


def test_rule_of_78_is_for_old_books_only_a_loans_own_terms_name_it() -> None:
    with pytest.raises(TermsError, match="old books") as refused:
        Terms.parse(PERSONAL_LOAN, {"interest_method": "rule_of_78"})
    assert refused.value.field == "/interest_method"
    named = Terms.parse({**PERSONAL_LOAN, "interest_method": "rule_of_78"}, {"interest_method": "rule_of_78"})
    assert Terms.parse(named.to_dict()) == named


def test_rule_of_78_may_not_put_more_interest_on_a_row_than_its_instalment() -> None:
    with pytest.raises(TermsError, match="more than its instalment") as refused:
        scheduled(interest_method="rule_of_78", instalments=120)
    assert refused.value.field == "/interest_method"


# --- Rows of the lender's own (asked for in Apache Fineract's pull request 4095) --------------------------------

HARVESTS = [
    {"due_on": "2026-05-20", "principal_paise": 40_000_00},
    {"due_on": "2026-06-30", "principal_paise": 0},
    {"due_on": "2026-11-25", "principal_paise": 60_000_00},
]


def given_rows(rows: Any, **terms: Any) -> Schedule:
    """A schedule of these rows; how many they are and when the first is due is theirs to say."""
    plain = {name: value for name, value in PERSONAL_LOAN.items() if name not in ("instalments", "first_due_on")}
    return build_schedule(Terms.parse({**plain, "rows": rows, **terms}))


def test_given_rows_are_the_schedule_and_bear_interest_by_days() -> None:
    schedule = given_rows(HARVESTS, day_count="ACT/365")
    assert [(row.due_on.isoformat(), row.principal_paise) for row in schedule.rows] == [
        (row["due_on"], row["principal_paise"]) for row in HARVESTS
    ]
    assert column(schedule, "days") == [135, 41, 148]
    assert column(schedule, "interest_paise") == [
        interest(A_LAKH, "18", Fraction(135, 365)),
        interest(60_000_00, "18", Fraction(41, 365)),
        interest(60_000_00, "18", Fraction(148, 365)),
    ]
    assert schedule.instalment_paise == schedule.rows[0].total_paise
    assert schedule.rows[-1].closing_paise == 0


def test_given_interest_is_taken_as_it_is_and_the_rest_is_by_days() -> None:
    rows = [{**HARVESTS[0], "interest_paise": 5_000_00}, *HARVESTS[1:]]
    schedule = given_rows(rows, day_count="ACT/365")
    assert column(schedule, "interest_paise")[0] == 5_000_00
    assert (
        column(schedule, "interest_paise")[1:]
        == column(given_rows(HARVESTS, day_count="ACT/365"), "interest_paise")[1:]
    )


def test_given_interest_needs_no_method_that_computes_it() -> None:
    rows = [{**row, "interest_paise": 1_000_00} for row in HARVESTS]
    assert given_rows(rows, interest_method="flat").total_interest_paise == 3_000_00


@pytest.mark.parametrize("day_count", ["30/360", "30E/360", "ACT/365", "ACT/ACT", "period"])
@pytest.mark.parametrize(
    ("frequency", "paid_out", "first"),
    [
        ("monthly", "2026-01-05", "2026-02-05"),
        ("monthly", "2026-01-31", "2026-02-28"),
        ("weekly", "2026-01-05", "2026-01-12"),
    ],
)
def test_a_schedule_given_back_as_rows_is_the_same(day_count: str, frequency: str, paid_out: str, first: str) -> None:
    terms = {"day_count": day_count, "frequency": frequency, "disburse_on": paid_out, "first_due_on": first}
    made = scheduled(**terms)
    rows = [{"due_on": row.due_on.isoformat(), "principal_paise": row.principal_paise} for row in made.rows]
    again = given_rows(rows, **terms)
    assert again.rows == made.rows
    assert again.apr_percent == made.apr_percent


def test_given_rows_carry_tranches_rate_changes_and_fees() -> None:
    schedule = given_rows(
        [HARVESTS[0], {"due_on": "2026-11-25", "principal_paise": 80_000_00}],
        day_count="ACT/365",
        tranches=[{"on": "2026-07-01", "amount_paise": 20_000_00}],
        rate_changes=[{"from": "2026-05-20", "annual_rate_percent": "12"}],
        fees=[{"kind": "visit", "amount_paise": 100_00, "due_with_row": 2}],
    )
    second = interest(60_000_00, "12", Fraction(189, 365)) + interest(20_000_00, "12", Fraction(147, 365))
    assert abs(schedule.rows[1].interest_paise - second) <= 1
    assert schedule.rows[1].fee_paise == 118_00
    assert schedule.rows[1].opening_paise == 80_000_00


def test_rows_that_are_regular_have_the_apr_of_regular_rows_and_others_by_their_days() -> None:
    one = [{"due_on": "2027-01-05", "principal_paise": A_LAKH, "interest_paise": 18_000_00}]
    # A year later, in months of simple and compound interest: 12 x (1.18 ** (1 / 12) - 1) is 16.67 %.
    assert given_rows(one).apr_percent == Decimal("16.67")
    assert given_rows(one, frequency="yearly").apr_percent == Decimal("18.00")
    assert given_rows(one, apr_method="xirr").apr_percent == Decimal("18.00")


@pytest.mark.parametrize(
    ("field", "rows", "terms"),
    [
        ("/rows", "monthly", {}),
        ("/rows/0", [7], {}),
        ("/rows/1/due_on", [HARVESTS[0], {"principal_paise": 1}], {}),
        ("/rows/1/principal_paise", [HARVESTS[0], {"due_on": "2026-08-01"}], {}),
        ("/rows/0/principal_paise", [{"due_on": "2026-08-01", "principal_paise": -1}], {}),
        ("/rows/0/interest_paise", [{**HARVESTS[0], "interest_paise": "5"}], {}),
        ("/rows/1/due_on", [HARVESTS[0], HARVESTS[0]], {}),
        ("/rows/0/due_on", [{"due_on": "2026-01-05", "principal_paise": A_LAKH}], {}),
        ("/rows/1/principal_paise", [HARVESTS[0], {"due_on": "2026-08-01", "principal_paise": 60_000_01}], {}),
        ("/rows/1/principal_paise", HARVESTS[:2], {}),
        ("/rows/0/interest_paise", HARVESTS, {"interest_method": "flat"}),
        ("/instalments", HARVESTS, {"instalments": 4}),
        ("/first_due_on", HARVESTS, {"first_due_on": "2026-02-05"}),
        ("/interest_method", HARVESTS, {"interest_method": "bullet"}),
        ("/moratorium_instalments", HARVESTS, {"moratorium_instalments": 1}),
        ("/broken_period", HARVESTS, {"broken_period": "separate"}),
        ("/schedule_starts_on", HARVESTS, {"schedule_starts_on": "2026-01-01"}),
        ("/instalment_fixed", HARVESTS, {"instalment_fixed": True, "instalment_paise": 1}),
        ("/tranches/0/on", HARVESTS, {"tranches": [{"on": "2026-11-25", "amount_paise": 1}]}),
    ],
)
def test_what_is_wrong_with_given_rows_names_the_row(field: str, rows: Any, terms: dict[str, Any]) -> None:
    with pytest.raises(TermsError) as refused:
        given_rows(rows, **terms)
    assert refused.value.field == field


# --- Broken periods (rule 7) -----------------------------------------------------------------------------------

LONG_FIRST = {"disburse_on": "2026-01-20", "first_due_on": "2026-03-05", "day_count": "ACT/365"}
BROKEN = Fraction(16, 365)  # 20 January to 5 February
REGULAR = Fraction(28, 365)  # 5 February to 5 March


def test_a_broken_period_adds_to_the_first_instalment() -> None:
    schedule = scheduled(**LONG_FIRST)
    regular = scheduled(disburse_on="2026-02-05", first_due_on="2026-03-05", day_count="ACT/365")
    assert schedule.instalment_paise == regular.instalment_paise
    assert schedule.rows[0].interest_paise == interest(A_LAKH, "18", BROKEN + REGULAR)
    assert schedule.rows[0].days == 44
    assert column(schedule, "principal_paise") == column(regular, "principal_paise")


def test_a_broken_period_can_be_spread() -> None:
    schedule = scheduled(**LONG_FIRST, broken_period="spread")
    assert schedule.rows[0].interest_paise == interest(A_LAKH, "18", BROKEN + REGULAR)
    assert schedule.instalment_paise > scheduled(**LONG_FIRST).instalment_paise
    assert schedule.rows[0].total_paise == schedule.instalment_paise


def test_a_broken_period_can_have_a_row_of_its_own() -> None:
    schedule = scheduled(**LONG_FIRST, broken_period="separate")
    due = interest(A_LAKH, "18", BROKEN)
    assert schedule.rows[0] == Row(0, date(2026, 2, 5), 16, A_LAKH, 0, due, 0, due, A_LAKH)
    assert schedule.rows[1].number == 1
    assert schedule.rows[1].interest_paise == interest(A_LAKH, "18", REGULAR)
    assert schedule.rows[-1].number == 24


def test_a_broken_period_can_be_deducted_from_the_payout() -> None:
    schedule = scheduled(**LONG_FIRST, broken_period="deduct")
    due = interest(A_LAKH, "18", BROKEN)
    assert schedule.interest_deducted_paise == due
    assert schedule.net_disbursed_paise == A_LAKH - due
    assert schedule.rows[0].interest_paise == interest(A_LAKH, "18", REGULAR)
    assert schedule.total_interest_paise == due + sum(column(schedule, "interest_paise"))


@pytest.mark.parametrize("broken_period", ["add_to_first", "separate", "deduct"])
def test_a_short_first_period_bears_only_the_days_that_money_was_out(broken_period: str) -> None:
    # Rule 26: 16 days to 5 February instead of a month.
    schedule = scheduled(disburse_on="2026-01-20", day_count="ACT/365", broken_period=broken_period)
    regular = scheduled(day_count="ACT/365")
    assert schedule.rows[0].interest_paise == interest(A_LAKH, "18", BROKEN)
    assert column(schedule, "principal_paise") == column(regular, "principal_paise")
    assert schedule.instalment_paise == regular.instalment_paise


def test_a_broken_period_under_period_is_its_share_of_a_month() -> None:
    schedule = scheduled(disburse_on="2026-01-20", first_due_on="2026-03-05", day_count="period")
    assert schedule.rows[0].interest_paise == interest(A_LAKH, "18", (1 + Fraction(16, 31)) / 12)


def test_a_broken_period_of_flat_interest() -> None:
    schedule = scheduled(interest_method="flat", instalments=12, disburse_on="2025-12-26", annual_rate_percent="12")
    assert schedule.rows[0].interest_paise == 1_000_00 + interest(A_LAKH, "12", Fraction(9, 360))
    assert set(column(schedule, "interest_paise")[1:]) == {1_000_00}


@pytest.mark.parametrize("broken_period", ["add_to_first", "spread", "separate", "deduct"])
def test_a_long_first_period_costs_the_same_days_in_each_of_the_four_ways(broken_period: str) -> None:
    # Where it goes differs; the days that money was out do not, and so the APR differs by little.
    schedule = scheduled(**LONG_FIRST, broken_period=broken_period)
    assert abs(schedule.apr_percent - 18) < Decimal("0.15")
    assert abs(schedule.total_interest_paise - scheduled(**LONG_FIRST).total_interest_paise) < 150_00


def test_a_tranche_amid_a_broken_period_raises_the_instalment_by_its_regular_days_alone() -> None:
    # 50,000 go out on 1 February, four days before the regular period that the instalment is computed on.
    tranche = [{"on": "2026-02-01", "amount_paise": 50_000_00}]
    schedule = scheduled(**LONG_FIRST, tranches=tranche)
    regular = scheduled(
        principal_paise=1_50_000_00, disburse_on="2026-02-05", first_due_on="2026-03-05", day_count="ACT/365"
    )
    assert schedule.instalment_paise == regular.instalment_paise
    more = Fraction(1_00_000_00) * 16 + Fraction(50_000_00) * 4
    assert abs(schedule.rows[0].interest_paise - regular.rows[0].interest_paise - interest(1, "18", more / 365)) <= 1


# --- Moratorium (rule 8) ---------------------------------------------------------------------------------------


def test_a_moratorium_that_pays_interest() -> None:
    schedule = scheduled(moratorium_instalments=3)
    assert column(schedule, "principal_paise")[:3] == [0, 0, 0]
    assert column(schedule, "interest_paise")[:4] == [150000] * 4
    assert len(schedule.rows) == 24
    assert schedule.instalment_paise == scheduled(instalments=21).instalment_paise


def test_a_moratorium_can_extend_the_tenure() -> None:
    schedule = scheduled(moratorium_instalments=3, moratorium_extends_tenure=True)
    assert len(schedule.rows) == 27
    assert schedule.instalment_paise == 499300


def test_a_moratorium_that_capitalises_adds_to_the_balance_at_its_end() -> None:
    schedule = scheduled(moratorium_instalments=3, moratorium_interest="capitalise")
    assert column(schedule, "total_paise")[:3] == [0, 0, 0]
    assert schedule.capitalised_paise == 450000
    assert schedule.rows[2].closing_paise == A_LAKH
    assert schedule.rows[3].opening_paise == A_LAKH + 450000
    assert sum(column(schedule, "principal_paise")) == A_LAKH + 450000
    assert schedule.total_interest_paise == sum(column(schedule, "total_paise")) - A_LAKH


def test_a_moratorium_that_accrues_collects_evenly_or_at_once() -> None:
    evenly = scheduled(moratorium_instalments=3, moratorium_interest="accrue", instalments=13)
    assert column(evenly, "total_paise")[:3] == [0, 0, 0]
    plain = scheduled(instalments=10, disburse_on="2026-04-05", first_due_on="2026-05-05")
    extra = [
        ours - theirs
        for ours, theirs in zip(column(evenly, "interest_paise")[3:], column(plain, "interest_paise"), strict=True)
    ]
    assert extra == [45000] * 10
    at_once = scheduled(
        moratorium_instalments=3,
        moratorium_interest="accrue",
        instalments=13,
        moratorium_collected="first_row",
    )
    assert at_once.rows[3].interest_paise == 150000 + 450000
    assert at_once.total_interest_paise == evenly.total_interest_paise


def test_a_moratorium_of_flat_interest() -> None:
    schedule = scheduled(
        interest_method="flat",
        annual_rate_percent="12",
        instalments=12,
        moratorium_instalments=2,
        moratorium_interest="accrue",
    )
    assert column(schedule, "total_paise")[:2] == [0, 0]
    assert column(schedule, "interest_paise")[2:] == [1_200_00] * 10
    assert schedule.total_interest_paise == 12_000_00


# --- What changes on the way -----------------------------------------------------------------------------------


def test_a_rate_change_counts_from_its_day_and_sets_the_instalment_anew() -> None:
    schedule = scheduled(rate_changes=[{"from": "2026-07-05", "annual_rate_percent": "20.00"}])
    before, after = schedule.rows[5], schedule.rows[6]
    assert before.due_on == date(2026, 7, 5)
    assert before.total_paise == 499300
    assert after.interest_paise == interest(after.opening_paise, "20", Fraction(1, 12))
    assert {row.total_paise for row in schedule.rows[6:-1]} == {after.total_paise}
    assert after.total_paise > 499300


def test_a_rate_change_within_a_row_shares_it_by_days() -> None:
    schedule = scheduled(rate_changes=[{"from": "2026-01-15", "annual_rate_percent": "24.00"}])
    part = Fraction(1, 12) * (Fraction(10, 31) + Fraction(21, 31) * Fraction(24, 18))
    assert schedule.rows[0].interest_paise == interest(A_LAKH, "18", part)


def test_a_tranche_on_a_due_date_opens_the_next_row() -> None:
    schedule = scheduled(tranches=[{"on": "2026-03-05", "amount_paise": 50_000_00}])
    assert schedule.rows[1].total_paise == 499300
    assert schedule.rows[2].opening_paise == schedule.rows[1].closing_paise + 50_000_00
    assert schedule.rows[2].interest_paise == interest(schedule.rows[2].opening_paise, "18", Fraction(1, 12))
    assert sum(column(schedule, "principal_paise")) == 1_50_000_00


def test_two_tranches_of_one_day_are_as_good_as_one_of_both() -> None:
    one = scheduled(tranches=[{"on": "2026-03-15", "amount_paise": 50_000_00}])
    two = scheduled(tranches=[{"on": "2026-03-15", "amount_paise": amount} for amount in (20_000_00, 30_000_00)])
    assert two == one


def test_a_fixed_instalment_lets_the_tenure_follow() -> None:
    shorter = scheduled(instalment_paise=600000, instalment_fixed=True)
    assert len(shorter.rows) == 20
    assert {row.total_paise for row in shorter.rows[:-1]} == {600000}
    assert 0 < shorter.rows[-1].total_paise <= 600000
    longer = scheduled(instalment_paise=200000, instalment_fixed=True)
    assert len(longer.rows) == 94
    held = scheduled(
        instalment_paise=499300,
        instalment_fixed=True,
        rate_changes=[{"from": "2026-07-05", "annual_rate_percent": "24.00"}],
    )
    assert len(held.rows) == 25
    assert {row.total_paise for row in held.rows[:-1]} == {499300}


def test_a_fixed_instalment_must_cover_the_interest() -> None:
    with pytest.raises(TermsError, match="does not cover") as refused:
        scheduled(instalment_paise=150000, instalment_fixed=True)
    assert refused.value.field == "/instalment_paise"


def test_a_fixed_instalment_that_repays_all_before_a_rate_change_leaves_no_empty_rows() -> None:
    schedule = scheduled(
        instalment_paise=25_000_00,
        instalment_fixed=True,
        annual_rate_percent="0",
        rate_changes=[{"from": "2026-05-05", "annual_rate_percent": "12"}],
    )
    assert column(schedule, "total_paise") == [25_000_00] * 4


def test_a_step_up_that_begins_below_the_interest_is_refused() -> None:
    with pytest.raises(TermsError, match="below its row's interest of 150000 paise") as refused:
        scheduled(interest_method="step_up", instalments=240, step_percent="20", step_every=12)
    assert refused.value.field == "/step_percent"


def test_steps_down_are_mended_where_a_long_first_row_bears_more_than_they_begin_with() -> None:
    schedule = scheduled(
        interest_method="step_down",
        step_percent="7.5",
        step_every=3,
        annual_rate_percent="60",
        instalments=240,
        first_due_on="2026-05-05",
        broken_period="spread",
    )
    assert schedule.rows[0].principal_paise == 0
    assert schedule.notes[0].startswith("the instalment is computed anew in every row")
    assert schedule.rows[-1].closing_paise == 0


def test_mended_flat_interest_says_so() -> None:
    # Rs. 278 and 24 paise of interest over 60 rows, to the rupee: 5 each would leave less than nothing.
    schedule = scheduled(
        principal_paise=278_24,
        interest_method="flat",
        annual_rate_percent="20",
        instalments=60,
        amount_rounding_paise=100,
    )
    assert min(column(schedule, "interest_paise")) >= 0
    assert sum(column(schedule, "interest_paise")) == schedule.total_interest_paise == 278_00
    assert "the interest is shared to the paisa" in schedule.notes[0]


# --- Fees (rule 9) ---------------------------------------------------------------------------------------------


def test_fees_with_gst_are_deducted_financed_or_due_with_a_row() -> None:
    schedule = scheduled(
        fees=[
            {"kind": "processing", "amount_paise": 2_000_00, "deducted": True},
            {"kind": "insurance", "amount_paise": 1_000_00, "gst_percent": "0", "added_to_principal": True},
            {"kind": "stamp", "amount_paise": 100_00, "gst_percent": "0", "due_with_row": 1},
            {"kind": "inspection", "amount_paise": 500_00, "due_with_row": 3},
        ]
    )
    assert schedule.net_disbursed_paise == A_LAKH - 2_360_00
    assert schedule.rows[0].opening_paise == A_LAKH + 1_000_00
    assert column(schedule, "fee_paise")[:4] == [100_00, 0, 590_00, 0]
    assert schedule.rows[2].total_paise == schedule.instalment_paise + 590_00
    assert schedule.apr_percent > 18


# --- Interest by days (rules 2 and 3) --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day_count", "paise"),
    [("ACT/365", 73973), ("ACT/360", 75000), ("30/360", 75000), ("ACT/ACT", 73973), ("period", 72581)],
)
def test_interest_for_days_counts_the_last_day_and_not_the_first(day_count: DayCount, paise: int) -> None:
    day, later = date(2026, 3, 5), date(2026, 3, 20)
    assert interest_for_days(A_LAKH, Decimal("18"), day, later, day_count) == paise
    assert interest_for_days(A_LAKH, Decimal("18"), day, day, day_count) == 0


def test_a_rows_interest_accrues_by_its_days() -> None:
    row = scheduled().rows[0]
    assert [accrued_in_row(row, date(2026, 1, day)) for day in (5, 6)] == [0, 4839]
    assert accrued_in_row(row, date(2026, 2, 5)) == 150000


@pytest.mark.parametrize("method", ["reducing", "equal_principal", "interest_only"])
def test_daily_accrual_is_for_servicing_and_leaves_the_schedule_as_it_is(method: str) -> None:
    assert Terms.parse(PERSONAL_LOAN).interest_accrual == "schedule"
    assert scheduled(interest_method=method, interest_accrual="daily") == scheduled(interest_method=method)


# --- Terms that cannot be a loan -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("/principal_paise", {"principal_paise": None}),
        ("/principal_paise", {"principal_paise": 0}),
        ("/principal_paise", {"principal_paise": 100.5}),
        ("/principal_paise", {"principal_paise": True}),
        ("/annual_rate_percent", {"annual_rate_percent": "eighteen"}),
        ("/annual_rate_percent", {"annual_rate_percent": 18.0}),
        ("/annual_rate_percent", {"annual_rate_percent": "-1"}),
        ("/instalments", {"instalments": 0}),
        ("/instalments", {"instalments": "24"}),
        ("/instalments", {"principal_paise": 23}),
        ("/instalments", {"instalments": 3000, "frequency": {"every": 40, "unit": "months"}}),
        ("/frequency", {"frequency": "sometimes"}),
        ("/frequency/every", {"frequency": {"unit": "days"}}),
        ("/frequency/unit", {"frequency": {"every": 2, "unit": "years"}}),
        ("/interest_method", {"interest_method": "simple"}),
        ("/day_count", {"day_count": "31/365"}),
        ("/disburse_on", {"disburse_on": "2026-02-30"}),
        ("/disburse_on", {"disburse_on": "05-01-2026"}),
        ("/disburse_on", {"disburse_on": "0001-01-05"}),
        ("/first_due_on", {"first_due_on": "2026-01-05"}),
        ("/schedule_starts_on", {"schedule_starts_on": "2026-02-05"}),
        ("/due_day", {"due_day": 7}),
        ("/level_last_instalment", {"level_last_instalment": "yes"}),
        ("/moratorium_instalments", {"moratorium_instalments": 24}),
        ("/step_percent", {"interest_method": "step_up"}),
        ("/step_every", {"interest_method": "step_up", "step_percent": "5"}),
        ("/balloon_paise", {"interest_method": "balloon"}),
        ("/balloon_paise", {"interest_method": "balloon", "balloon_paise": A_LAKH}),
        ("/interest_accrual", {"interest_accrual": "hourly"}),
        ("/interest_accrual", {"interest_accrual": "daily", "interest_method": "flat"}),
        ("/interest_accrual", {"interest_accrual": "daily", "interest_method": "bullet"}),
        ("/instalment_paise", {"instalment_fixed": True}),
        ("/instalment_fixed", {"instalment_fixed": True, "instalment_paise": 1, "interest_method": "flat"}),
        ("/tranches", {"tranches": {}}),
        ("/tranches/0", {"tranches": [3]}),
        ("/tranches/0/on", {"tranches": [{"amount_paise": 1}]}),
        ("/tranches/0/on", {"tranches": [{"on": "2030-01-01", "amount_paise": 1}]}),
        ("/tranches", {"interest_method": "flat", "tranches": [{"on": "2026-03-05", "amount_paise": 1}]}),
        ("/rate_changes/0/from", {"rate_changes": [{"from": "2025-01-01", "annual_rate_percent": "1"}]}),
        ("/rate_changes/1/from", {"rate_changes": [{"from": "2026-03-01", "annual_rate_percent": "1"}] * 2}),
        ("/tranches/1/on", {"tranches": [{"on": day, "amount_paise": 1} for day in ("2026-03-05", "2026-03-04")]}),
        ("/fees/0/kind", {"fees": [{"amount_paise": 100}]}),
        ("/fees/0", {"fees": [{"kind": "x", "amount_paise": 1, "deducted": True, "due_with_row": 2}]}),
        ("/fees/0/due_with_row", {"fees": [{"kind": "x", "amount_paise": 1, "due_with_row": 25}]}),
        ("/fees", {"fees": [{"kind": "x", "amount_paise": A_LAKH, "deducted": True}]}),
    ],
)
def test_a_refusal_names_the_field(field: str, change: dict[str, Any]) -> None:
    with pytest.raises(TermsError) as refused:
        scheduled(**change)
    assert refused.value.field == field


def test_unknown_fields_are_ignored_and_defaults_fill_what_is_left_out() -> None:
    product = {"day_count": "ACT/365", "annual_rate_percent": "30"}
    terms = Terms.parse({**PERSONAL_LOAN, "colour": "green", "day_count": None}, product)
    assert terms.day_count == "ACT/365"
    assert terms.annual_rate_percent == Decimal("18.00")


def test_every_field_of_the_terms_is_read_and_written() -> None:
    terms = Terms.parse(PERSONAL_LOAN)
    assert list(terms.to_dict()) == list(Terms.__dataclass_fields__)


# --- Every combination --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", get_args(InterestMethod))
@pytest.mark.parametrize("day_count", get_args(DayCount))
def test_every_combination_repays_the_loan_on_its_dates(method: str, day_count: str) -> None:
    made = 0
    for frequency, broken, start in product(EVERY_FREQUENCY, get_args(BrokenPeriod), FIRST_PERIODS):
        schedule = scheduled(
            interest_method=method,
            day_count=day_count,
            frequency=frequency,
            broken_period=broken,
            disburse_on=start,
            first_due_on="2028-02-29",
            due_day=31 if frequency in ("monthly", "quarterly") else None,
            instalments=7,
            annual_rate_percent="11.5",
            step_percent="5",
            step_every=2,
            balloon_paise=10_000_00,
        )
        numbered = [row for row in schedule.rows if row.number]
        assert len(numbered) == (1 if method == "bullet" else 7)
        assert numbered[0].due_on == date(2028, 2, 29) or method == "bullet"
        assert sum(column(schedule, "principal_paise")) == A_LAKH
        assert schedule.rows[-1].closing_paise == 0
        assert min(min(row.principal_paise, row.interest_paise) for row in schedule.rows) >= 0
        made += 1
    assert made == len(EVERY_FREQUENCY) * 4 * len(FIRST_PERIODS)


EVERY_FREQUENCY: list[Any] = ["daily", "weekly", "fortnightly", "monthly", "quarterly", {"every": 10, "unit": "days"}]
FIRST_PERIODS = ["2028-02-28", "2028-02-09", "2028-01-31", "2027-12-31", "2027-10-01"]


def test_a_daily_loan_of_thirty_days() -> None:
    schedule = scheduled(
        principal_paise=5_000_00,
        annual_rate_percent="36",
        instalments=30,
        frequency="daily",
        first_due_on="2026-01-06",
        day_count="ACT/365",
    )
    assert [row.days for row in schedule.rows] == [1] * 30
    assert schedule.rows[-1].due_on == date(2026, 2, 4)
    assert schedule.rows[0].interest_paise == interest(5_000_00, "36", Fraction(1, 365))
    assert {row.total_paise for row in schedule.rows[:-1]} == {170_00}
    assert abs(schedule.apr_percent - 36) < Decimal("0.02")


@pytest.mark.parametrize("paise", [24, 100, 299, 500, 1_234])
@pytest.mark.parametrize("method", get_args(InterestMethod))
def test_a_loan_of_a_few_rupees_keeps_its_tenure(method: str, paise: int) -> None:
    terms = {"step_percent": "5", "step_every": 6, "balloon_paise": None}
    if method == "balloon":
        terms["balloon_paise"] = paise // 4
        if paise - paise // 4 < 24:
            return
    schedule = scheduled(principal_paise=paise, interest_method=method, **terms)
    assert len(schedule.rows) == (1 if method == "bullet" else 24)
    assert sum(column(schedule, "principal_paise")) == paise
    assert min(column(schedule, "principal_paise")) >= 0


# --- Speed -----------------------------------------------------------------------------------------------------


def test_a_schedule_takes_well_under_the_time_of_a_database_write() -> None:
    terms = Terms.parse(PERSONAL_LOAN)
    build_schedule(terms)
    started = time.perf_counter()
    for _ in range(20):
        build_schedule(terms)
    assert (time.perf_counter() - started) / 20 < 0.005  # about 0.3 ms on a quiet machine
