"""The Key Facts Statement: RBI's illustration to the printed rupee, a real bank's statement, and the gate."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.house import load_rules
from domain.law.kfs import (
    Benchmark,
    CoLending,
    ContingentCharge,
    LenderFacts,
    charge_is_shown,
    contingent_charges_of,
    display_rupees,
    key_facts,
    kfs_valid_until,
)
from domain.schedule import build_schedule
from domain.terms import Terms, TermsError

ILLUSTRATION = json.loads((Path(__file__).parent / "rbi_illustration.json").read_text())

LENDER = LenderFacts(
    name="Example Finance",
    recovery_clause="12.1",
    grievance_clause="14",
    grievance_officer="A. Rao",
    grievance_phone="+91 22 5550 0100",
    grievance_email="grievance@example.com",
    may_be_transferred=True,
    recovery_agents=("Example Collections",),
)
CHARGES = (
    ContingentCharge(kind="bounce", when="a debit is returned", amount_paise=500_00, gst_percent=Decimal(18)),
    ContingentCharge(
        kind="preclosure", when="on paying early", percent=Decimal(2), percent_of="the principal paid early"
    ),
)


def terms_of(**changes) -> Terms:
    """RBI's illustration: 20,000 at 15% in 24 months, fees of 240 to the lender and 160 through it to others."""
    given = {
        "principal_paise": 20_000_00,
        "annual_rate_percent": "15.00",
        "instalments": 24,
        "disburse_on": "2026-01-05",
        "first_due_on": "2026-02-04",
        "schedule_starts_on": "2026-01-04",
        "instalment_rounding_paise": 1,
        "day_count": "period",
        "fees": [
            {"kind": "processing", "amount_paise": 240_00, "gst_percent": "0"},
            {"kind": "insurance", "amount_paise": 160_00, "gst_percent": "0"},
        ],
    }
    return Terms.parse({**given, **changes})


def facts_of(terms: Terms, **changes) -> dict:
    given = {
        "loan_id": "LN-1",
        "loan_type": "personal loan",
        "lender": LENDER,
        "charges": CHARGES,
        "given_on": date(2026, 1, 5),
        "cooling_off_days": 3,
        "third_party_fees": frozenset({"insurance"}),
    }
    return key_facts(terms, build_schedule(terms), **{**given, **changes})


def regular(**changes) -> Terms:
    return terms_of(first_due_on="2026-02-05", schedule_starts_on=None, **changes)


def test_rule_28_rbi_s_illustration_comes_out_as_printed():
    computed = facts_of(regular())["apr_computation"]
    printed = {
        "1_sanctioned": 20_000,
        "5_interest": 3_274,
        "6_fees": 400,
        "6A_fees_lender": 240,
        "6B_fees_third_party": 160,
        "7_net_disbursed": 19_600,
        "8_total_paid": 23_274,
    }
    assert {line: computed[line]["amount_rupees"] for line in printed} == printed
    assert computed["2_instalments"]["amount_rupees"] == 970
    assert computed["2_instalments"]["number"] == 24
    assert computed["2_term"] == {"count": 24, "unit": "months"}
    assert (computed["3_rate_type"], computed["4_rate_percent"]) == ("fixed", "15.00")
    assert computed["9_apr_percent"] == "17.07"


def test_rule_28_rbi_s_schedule_comes_out_row_by_row():
    columns = ("number", "outstanding_rupees", "principal_rupees", "interest_rupees", "instalment_rupees")
    rows = [[row[column] for column in columns] for row in facts_of(regular())["schedule"]]
    assert rows == ILLUSTRATION["rows"]


def test_rule_28_thirty_days_from_sanction_to_the_first_instalment():
    assert facts_of(terms_of())["part_1"]["5_instalments"]["days_to_first"] == 30


@pytest.mark.parametrize(
    ("trap", "wrong"),
    [("the printed 970 every month", "17.10"), ("compounded", "18.47"), ("without third parties", "16.24")],
)
def test_rule_28_the_well_known_wrong_aprs_do_not_come_out(trap: str, wrong: str):
    assert facts_of(regular())["part_1"]["9_apr"]["percent"] != wrong, trap


def test_rule_28_third_party_fees_are_in_the_apr_and_contingent_ones_are_not():
    contingent = {"kind": "valuation", "amount_paise": 900_00, "contingent": True}
    fees = [fee.to_dict() for fee in regular().fees]
    facts = facts_of(regular(fees=[*fees, contingent]))
    assert facts["part_1"]["9_apr"]["percent"] == "17.07"
    assert [charge["kind"] for charge in facts["part_1"]["10_contingent_charges"]] == [
        "bounce",
        "preclosure",
        "valuation",
    ]
    assert [fee["kind"] for fee in facts["part_1"]["8_fees"]["B_third_party"]] == ["insurance"]
    without = facts_of(regular(fees=fees[:1]))
    assert without["part_1"]["9_apr"]["percent"] == "16.24"


def test_rule_28_a_bank_s_statement_has_the_gst_of_its_fee_in_the_apr():
    # 47,000 at 21% in 24 months, fee 1,175: printed 24.16, which only the GST inside explains (to a hundredth).
    loan = regular(
        principal_paise=47_000_00,
        annual_rate_percent="21.00",
        fees=[{"kind": "processing", "amount_paise": 1_175_00}],
    )
    inside, outside = facts_of(loan)["part_1"]["9_apr"], facts_of(loan, gst_in_apr=False)["part_1"]["9_apr"]
    assert inside == {"percent": "24.15", "gst_inside": True}
    assert outside == {"percent": "23.66", "gst_inside": False}


def test_rule_28_part_two_names_who_to_turn_to_and_the_cooling_off():
    part_2 = facts_of(regular())["part_2"]
    assert part_2["3_grievance_officer"] == {
        "name": "A. Rao",
        "phone": "+91 22 5550 0100",
        "email": "grievance@example.com",
    }
    assert part_2["6_digital"] == {"cooling_off_days": 3, "recovery_agents": ["Example Collections"]}
    assert facts_of(regular(), digital=False, cooling_off_days=0)["part_2"]["6_digital"] is None


def test_rule_28_co_lenders_are_named_with_their_shares():
    shared = CoLending(
        originator="Example Finance",
        originator_percent=Decimal(20),
        partner="Example Bank",
        partner_percent=Decimal(80),
        blended_rate_percent=Decimal("14.20"),
    )
    lender = LenderFacts(**{name: getattr(LENDER, name) for name in LENDER.__slots__} | {"co_lending": shared})
    told = facts_of(regular(), lender=lender)["part_2"]["5_co_lending"]
    assert (told["partner"], told["partner_percent"], told["blended_rate_percent"]) == ("Example Bank", "80", "14.20")


def test_rule_28_a_floating_rate_names_its_benchmark_and_what_25_basis_points_more_cost():
    benchmark = Benchmark(
        name="RBI repo rate",
        rate_percent=Decimal("5.50"),
        spread_percent=Decimal("9.50"),
        benchmark_reset_months=3,
        spread_reset_months=36,
    )
    told = facts_of(regular(rate_type="floating"), benchmark=benchmark)["part_1"]["7_floating"]
    assert told["final_percent"] == "15.00"
    assert told["25_basis_points_more"] == {
        "instalment_paise": 972_11,  # 20,000 at 15.25%
        "instalment_rupees": 972,
        "instalments": 25,
    }
    with pytest.raises(TermsError, match="/benchmark: is missing"):
        facts_of(regular(rate_type="floating"))


def test_rule_28_a_loan_in_stages_names_the_clause():
    staged = regular(tranches=[{"on": "2026-03-05", "amount_paise": 5_000_00}])
    with pytest.raises(TermsError, match="/stages_clause: is missing"):
        facts_of(staged)
    told = facts_of(staged, stages_clause="3.2")["part_1"]
    assert told["2_sanctioned"]["amount_rupees"] == 25_000
    assert told["3_disbursal"]["clause"] == "3.2"
    assert [stage["amount_paise"] for stage in told["3_disbursal"]["stages"]] == [20_000_00, 5_000_00]


def test_rule_28_of_a_floating_loan_in_stages_25_basis_points_more_cost_an_instalment_and_no_number():
    """Each stage changes the instalment by itself, so none could be held for the whole term."""
    benchmark = Benchmark(
        name="RBI repo rate",
        rate_percent=Decimal("5.50"),
        spread_percent=Decimal("9.50"),
        benchmark_reset_months=3,
        spread_reset_months=36,
    )
    staged = regular(rate_type="floating", tranches=[{"on": "2026-03-05", "amount_paise": 500_000_00}])
    told = facts_of(staged, benchmark=benchmark, stages_clause="3.2")["part_1"]["7_floating"]
    assert told["25_basis_points_more"].keys() == {"instalment_paise", "instalment_rupees"}


def test_rule_28_a_digital_loan_without_cooling_off_is_refused():
    with pytest.raises(TermsError, match="/cooling_off_days: must be at least 1, not 0"):
        facts_of(regular(), cooling_off_days=0)
    with pytest.raises(TermsError, match="/cooling_off_days: must be at least 3, not 2"):
        facts_of(regular(), cooling_off_days=2, given_on=date(2025, 5, 7))


def test_the_statement_binds_three_working_days_or_one():
    # Friday 8 May 2026; the 9th is a second Saturday, the 10th a Sunday.
    friday = date(2026, 5, 8)
    assert kfs_valid_until(friday, 7).value == date(2026, 5, 13)
    assert kfs_valid_until(friday, 6).value == date(2026, 5, 11)
    assert kfs_valid_until(friday, 7, {date(2026, 5, 11)}).value == date(2026, 5, 14)


def test_amounts_are_printed_to_the_nearest_rupee_half_up():
    assert [display_rupees(paise) for paise in (969_49, 969_50, 970_00)] == [969, 970, 970]


def test_the_statement_survives_a_trip_through_json():
    facts = facts_of(regular())
    assert json.loads(json.dumps(facts)) == facts


# --- Rule 32: the gate --------------------------------------------------------------------------------------


def test_rule_32_a_charge_passes_only_as_the_kfs_shows_it():
    facts = facts_of(regular())
    assert charge_is_shown(facts, "bounce", 500_00) == (True, "R1.6@2024-10-01")
    assert not charge_is_shown(facts, "bounce", 500_01)
    assert not charge_is_shown(facts, "visit", 1)
    assert charge_is_shown(facts, "processing", 240_00)
    assert not charge_is_shown(facts, "processing", 240_01)


def test_rule_32_a_percentage_is_of_what_it_is_charged_on():
    facts = facts_of(regular())
    assert charge_is_shown(facts, "preclosure", 200_00, base_paise=10_000_00)
    assert not charge_is_shown(facts, "preclosure", 200_01, base_paise=10_000_00)
    assert charge_is_shown(facts, "preclosure", 400_00)
    assert not charge_is_shown(facts, "preclosure", 400_01)


def test_rule_32_consent_lets_a_charge_through_that_was_not_shown():
    assert charge_is_shown(facts_of(regular()), "visit", 200_00, consented=True)


def test_rule_32_a_product_s_charges_are_what_its_kfs_lists():
    product = load_rules().products.newest("personal-loan")
    assert product is not None
    charges = contingent_charges_of(product)
    facts = facts_of(regular(), charges=charges)
    for charge in product.charges.values():
        if not charge.amount_paise:
            continue  # the product levies none: there is nothing to show
        assert charge_is_shown(facts, charge.kind, charge.amount_paise), charge.kind
        assert not charge_is_shown(facts, charge.kind, charge.amount_paise + 1), charge.kind
    assert "preclosure" in {charge.kind for charge in charges}
