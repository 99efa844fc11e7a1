"""The annual percentage rate: RBI's illustration, a bank's own key facts statement, and Regulation Z's examples."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from domain.apr import Flow, nominal_apr_percent, periodic_rate
from domain.schedule import build_schedule
from domain.terms import Terms

# RBI/2024-25/18, Key Facts Statement circular of 15 April 2024, Annex B: Rs. 20,000 at 15 % over 24 months,
# fees of Rs. 240 to the lender and Rs. 160 to others through the lender.
RBI_EXAMPLE: dict[str, Any] = {
    "principal_paise": 20_000_00,
    "annual_rate_percent": "15.00",
    "instalments": 24,
    "disburse_on": "2024-10-01",
    "first_due_on": "2024-11-01",
    "fees": [
        {"kind": "processing", "amount_paise": 240_00, "gst_percent": "0", "deducted": True},
        {"kind": "third-party", "amount_paise": 160_00, "gst_percent": "0", "deducted": True},
    ],
}


def test_rbi_illustration_is_1707_with_the_instalment_to_the_paisa() -> None:
    # The circular prints an instalment of 970 but discounts the unrounded 969.73296: a paisa's rounding is
    # close enough to give its 17.07.
    schedule = build_schedule(Terms.parse({**RBI_EXAMPLE, "instalment_rounding_paise": 1}))
    assert schedule.instalment_paise == 969_73
    assert schedule.net_disbursed_paise == 19_600_00
    assert abs(schedule.total_interest_paise - 3273_59) <= 2
    assert schedule.apr_percent == Decimal("17.07")


def test_rbi_illustration_is_1710_when_every_instalment_is_the_printed_970() -> None:
    schedule = build_schedule(Terms.parse(RBI_EXAMPLE))
    assert schedule.instalment_paise == 970_00
    # 17.10 is what 24 full instalments of 970 cost; here the last row only takes what is left, 962.56.
    assert schedule.rows[-1].total_paise == 962_56
    assert schedule.apr_percent == Decimal("17.07")
    every_time_970 = [Flow(0, -19_600_00), *(Flow(month, 970_00) for month in range(1, 25))]
    assert nominal_apr_percent(every_time_970, Fraction(12), Decimal(15)) == Decimal("17.10")


def test_the_fee_to_third_parties_counts_too() -> None:
    only_ours = {**RBI_EXAMPLE, "fees": RBI_EXAMPLE["fees"][:1], "instalment_rounding_paise": 1}
    assert build_schedule(Terms.parse(only_ours)).apr_percent == Decimal("16.24")


def test_gst_on_a_fee_is_inside_the_apr() -> None:
    # A bank's published statement: Rs. 47,000 at 21 %, 24 x 2,415.14, fee 1,175 and GST on it; it prints 24.16,
    # the exact figure is 24.15, and 23.66 without the GST.
    fee = {"kind": "processing", "amount_paise": 1175_00, "deducted": True}
    terms = {
        **RBI_EXAMPLE,
        "principal_paise": 47_000_00,
        "annual_rate_percent": "21",
        "instalment_rounding_paise": 1,
    }
    assert build_schedule(Terms.parse({**terms, "fees": [fee]})).apr_percent == Decimal("24.15")
    without = {**fee, "gst_percent": "0"}
    assert build_schedule(Terms.parse({**terms, "fees": [without]})).apr_percent == Decimal("23.66")


@pytest.mark.parametrize(
    ("amount", "payment", "count", "periods_a_year", "first", "apr"),
    [
        (5_000_00, 230_00, 24, 12, Fraction(1), "9.69"),
        (6_000_00, 200_00, 36, 12, 1 + Fraction(19, 30), "11.82"),
        (5_000_00, 219_17, 24, 24, Fraction(6, 15), "10.34"),
        (10_000_00, 385_00, 40, 4, 1 + Fraction(39, 90), "8.97"),
        (500_00, 17_60, 30, 52, 4 + Fraction(4, 7), "14.96"),
    ],
    ids=["monthly", "long-first", "semi-monthly-short-first", "quarterly-long-first", "weekly-long-first"],
)
def test_regulation_z_examples_with_odd_first_periods(
    amount: int, payment: int, count: int, periods_a_year: int, first: Fraction, apr: str
) -> None:
    # 12 CFR 1026, appendix J.
    flows = [Flow(0, -amount), *(Flow(first + row, payment) for row in range(count))]
    assert nominal_apr_percent(flows, Fraction(periods_a_year), Decimal(10)) == Decimal(apr)


def test_xirr_is_the_effective_rate_by_actual_days() -> None:
    year = {
        "principal_paise": 1_00_000_00,
        "annual_rate_percent": "12",
        "instalments": 1,
        "frequency": "yearly",
        "disburse_on": "2025-01-01",
        "first_due_on": "2026-01-01",
    }
    assert build_schedule(Terms.parse({**year, "apr_method": "xirr"})).apr_percent == Decimal("12.00")
    # In a leap year the same money is out for 366 days.
    leap = {**year, "disburse_on": "2024-01-01", "first_due_on": "2025-01-01", "apr_method": "xirr"}
    assert build_schedule(Terms.parse(leap)).apr_percent == Decimal("11.97")


def test_contingent_fees_stay_outside() -> None:
    bounce = {"kind": "bounce", "amount_paise": 500_00, "contingent": True}
    plain = {**RBI_EXAMPLE, "fees": []}
    with_bounce = build_schedule(Terms.parse({**plain, "fees": [bounce]}))
    assert with_bounce == build_schedule(Terms.parse(plain))


def test_a_tranche_larger_than_what_is_out_still_has_a_rate() -> None:
    # The curve bends so much here that Newton's steps alone go round in circles.
    flows = [Flow(0, -200), Flow(1, 872), Flow(2, -797), Flow(8, 467), Flow(15, 466)]
    rate = periodic_rate(flows)
    assert rate > 0
    assert abs(sum(flow.paise / (1 + rate) ** int(flow.at) for flow in flows)) < Decimal("1e-9")
