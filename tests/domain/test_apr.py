"""The annual percentage rate: RBI's illustration, a bank's own key facts statement, and Regulation Z's examples."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from domain.apr import Flow, nominal_apr_percent, periodic_rate
from domain.schedule import Schedule, build_schedule
from domain.terms import Terms

# RBI/2024-25/18, Key Facts Statement circular of 15 April 2024, Annexes B and C, as its illustration prints them.
KFS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "kfs_apr_example.json").read_text())
INPUTS, PRINTED, TRAPS = KFS["inputs"], KFS["expected"], KFS["traps"]

RBI_EXAMPLE: dict[str, Any] = {
    "principal_paise": INPUTS["sanctioned_amount"] * 100,
    "annual_rate_percent": str(INPUTS["annual_rate_percent"]),
    "instalments": INPUTS["number_of_instalments"],
    "disburse_on": "2024-10-01",
    "first_due_on": "2024-11-01",
    "fees": [
        {"kind": kind, "amount_paise": rupees * 100, "gst_percent": "0", "deducted": True}
        for kind, rupees in (
            ("processing", INPUTS["fees_payable_to_lender"]),
            ("third-party", INPUTS["fees_payable_to_third_party_through_lender"]),
        )
    ],
}


def hundredths(percent: float) -> Decimal:
    return Decimal(str(percent)).quantize(Decimal("0.01"))


def whole_rupees(paise: int) -> int:
    """As a statement shows them: the nearest rupee, 50 paise and above up."""
    return (paise + 50) // 100


def test_rbi_illustration_is_1707_with_the_instalment_to_the_paisa() -> None:
    # The circular prints an instalment of 970 but discounts the unrounded 969.73296: a paisa's rounding is
    # close enough to give its 17.07.
    schedule = build_schedule(Terms.parse({**RBI_EXAMPLE, "instalment_rounding_paise": 1}))
    assert schedule.instalment_paise == round(PRINTED["instalment_unrounded"] * 100)
    assert whole_rupees(schedule.instalment_paise) == PRINTED["instalment_printed"]
    assert schedule.net_disbursed_paise == PRINTED["net_disbursed_amount"] * 100
    assert whole_rupees(schedule.total_interest_paise) == PRINTED["total_interest_printed"]
    assert whole_rupees(sum(row.total_paise for row in schedule.rows)) == PRINTED["total_payable_printed"]
    assert schedule.apr_percent == hundredths(PRINTED["apr_percent_printed"])


def test_rbi_illustrations_repayment_schedule_comes_out_row_by_row() -> None:
    schedule = build_schedule(Terms.parse({**RBI_EXAMPLE, "instalment_rounding_paise": 1}))
    assert [
        {
            "n": row.number,
            "opening_principal": whole_rupees(row.opening_paise),
            "principal": whole_rupees(row.principal_paise),
            "interest": whole_rupees(row.interest_paise),
            "instalment": whole_rupees(row.total_paise),
        }
        for row in schedule.rows
    ] == KFS["schedule"]["rows"]


def test_rbi_illustration_is_1710_when_every_instalment_is_the_printed_970() -> None:
    schedule = build_schedule(Terms.parse(RBI_EXAMPLE))
    assert schedule.instalment_paise == PRINTED["instalment_printed"] * 100
    # 17.10 is what 24 full instalments of 970 cost; here the last row only takes what is left, 962.56.
    assert schedule.rows[-1].total_paise == 962_56
    assert schedule.apr_percent == Decimal("17.07")
    every_time_970 = [Flow(0, -19_600_00), *(Flow(month, 970_00) for month in range(1, 25))]
    trap = hundredths(TRAPS["using_rounded_970_instalment"])
    assert nominal_apr_percent(every_time_970, Fraction(12), Decimal(15)) == trap == Decimal("17.10")


def test_the_apr_is_nominal_and_not_compounded() -> None:
    exact = [Flow(0, -19_600 * 10**8), *(Flow(month, 969_73296094) for month in range(1, 25))]
    monthly = periodic_rate(exact, near=Decimal("0.0125"))
    assert abs(monthly - Decimal(str(PRINTED["monthly_irr_unrounded"]))) < Decimal("1e-10")
    compounded = ((1 + monthly) ** 12 - 1) * 100
    assert abs(compounded - Decimal(str(TRAPS["compounded_effective_rate_percent"]))) < Decimal("1e-6")


def test_a_ledger_in_whole_rupees_ends_with_965_and_3275_of_interest() -> None:
    schedule = build_schedule(Terms.parse({**RBI_EXAMPLE, "amount_rounding_paise": 100}))
    trap = TRAPS["integer_rupee_ledger_with_flat_970"]
    assert schedule.instalment_paise == 970_00
    assert schedule.rows[-1].total_paise == trap["final_instalment"] * 100
    assert schedule.total_interest_paise == trap["total_interest"] * 100


def test_the_fee_to_third_parties_counts_too() -> None:
    only_ours = {**RBI_EXAMPLE, "fees": RBI_EXAMPLE["fees"][:1], "instalment_rounding_paise": 1}
    apr = build_schedule(Terms.parse(only_ours)).apr_percent
    assert apr == hundredths(TRAPS["omitting_third_party_160"]) == Decimal("16.24")


# A bank's published statement prints 24.16; the exact figure with GST on the fee is 24.15, without it 23.66.
RBL = KFS["extra_checks"][0]
RBL_LOAN: dict[str, Any] = {
    **RBI_EXAMPLE,
    "principal_paise": RBL["sanctioned"] * 100,
    "annual_rate_percent": str(RBL["rate_percent"]),
    "instalment_rounding_paise": 1,
    "fees": [{"kind": "processing", "amount_paise": round(RBL["processing_fee"] * 100), "deducted": True}],
}


def test_gst_on_a_fee_is_inside_the_apr_unless_the_terms_say_net_of_it() -> None:
    gross = build_schedule(Terms.parse(RBL_LOAN))
    assert abs(gross.instalment_paise - round(RBL["epi"] * 100)) <= 1  # 2,415.1256, printed as 2,415.14
    as_printed = [Flow(0, -gross.net_disbursed_paise), *(Flow(month, 2415_14) for month in range(1, 25))]
    assert nominal_apr_percent(as_printed, Fraction(12), Decimal(21)) == gross.apr_percent
    assert gross.apr_percent == hundredths(RBL["recomputed_apr_fee_with_18pct_gst"])
    assert abs(gross.apr_percent - hundredths(RBL["apr_percent_printed"])) <= Decimal("0.01")
    net = build_schedule(Terms.parse({**RBL_LOAN, "apr_fees": "net_of_gst"}))
    assert net.apr_percent == hundredths(RBL["recomputed_apr_fee_without_gst"])
    # The option is about the figure alone: rows and payout bear the GST either way.
    assert (net.rows, net.net_disbursed_paise) == (gross.rows, gross.net_disbursed_paise)


@pytest.mark.parametrize("way", [{"deducted": True}, {"added_to_principal": True}, {"due_with_row": 3}])
@pytest.mark.parametrize("method", ["nominal", "xirr"])
def test_net_of_gst_is_what_the_same_fee_without_gst_costs(way: dict[str, Any], method: str) -> None:
    fee = {"kind": "processing", "amount_paise": 1175_00, **way}
    net = build_schedule(Terms.parse({**RBL_LOAN, "fees": [fee], "apr_fees": "net_of_gst", "apr_method": method}))
    bare = build_schedule(Terms.parse({**RBL_LOAN, "fees": [{**fee, "gst_percent": "0"}], "apr_method": method}))
    gross = build_schedule(Terms.parse({**RBL_LOAN, "fees": [fee], "apr_method": method}))
    # GST that is financed bears interest, which stays a cost.
    assert abs(net.apr_percent - bare.apr_percent) <= Decimal("0.02" if "added_to_principal" in way else "0")
    assert net.apr_percent < gross.apr_percent


@pytest.mark.parametrize(
    "case", KFS["extra_checks"][1]["cases"], ids=[case["desc"] for case in KFS["extra_checks"][1]["cases"]]
)
def test_regulation_z_examples_with_odd_first_periods(case: dict[str, Any]) -> None:
    # 12 CFR 1026, appendix J.
    first, payment = case["t"] + Fraction(case["f"]), round(case["payment"] * 100)
    flows = [Flow(0, -case["amount"] * 100), *(Flow(first + row, payment) for row in range(case["n"]))]
    apr = nominal_apr_percent(flows, Fraction(case["unit_periods_per_year"]), Decimal(10))
    assert apr == hundredths(case["apr_percent"])


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


def test_an_apr_discounts_what_is_paid_to_what_was_got() -> None:
    """Whatever the loan: at half a hundredth less the payments are worth more than the money got, at more less."""
    pick = random.Random(1026)
    for _ in range(300):
        terms = Terms.parse(
            {
                **RBI_EXAMPLE,
                "principal_paise": pick.randrange(10_000_00, 1_00_00_000_00),
                "annual_rate_percent": f"{pick.randrange(100, 4000) / 100:.2f}",
                "instalments": pick.randrange(2, 120),
                "interest_method": pick.choice(["reducing", "flat", "equal_principal", "interest_only"]),
                "day_count": pick.choice(["30/360", "ACT/365", "ACT/ACT"]),
            }
        )
        made = build_schedule(terms)

        def worth(percent: Decimal, made: Schedule = made) -> Decimal:
            month = 1 + percent / 1200
            return sum((row.total_paise / month**row.number for row in made.rows), Decimal(0))

        half = Decimal("0.005001")
        assert worth(made.apr_percent + half) < made.net_disbursed_paise < worth(made.apr_percent - half)
