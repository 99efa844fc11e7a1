"""`qist key-facts`: the regulator's form as data, from a disbursal request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.cli.key_facts import statement

RBI: dict[str, Any] = {
    "loan_id": "KFS-1",
    "product": "personal-loan",
    "terms": {
        "principal_paise": 20_000_00,
        "annual_rate_percent": "15.00",
        "instalments": 24,
        "disburse_on": "2026-01-05",
        "first_due_on": "2026-02-05",
        "instalment_rounding_paise": 1,
        "fees": [
            {"kind": "processing", "amount_paise": 240_00, "gst_percent": "0", "deducted": True},
            {"kind": "insurance", "amount_paise": 160_00, "gst_percent": "0", "deducted": True},
        ],
    },
    "key_facts": {"third_party_fees": ["insurance"], "lender": {"name": "A Lender", "grievance_officer": "A. Person"}},
}


def asked(tmp_path: Path, request: object) -> str:
    file = tmp_path / "request.json"
    file.write_text(json.dumps(request))
    return str(file)


def test_the_regulators_illustration_comes_out_to_the_printed_figures(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert statement(asked(tmp_path, RBI)) == 0
    told = json.loads(capsysbinary.readouterr().out)
    part_1 = told["part_1"]
    assert part_1["5_instalments"]["amount_rupees"] == 970
    assert part_1["9_apr"]["percent"] == "17.07"
    assert [fee["kind"] for fee in part_1["8_fees"]["B_third_party"]] == ["insurance"]
    assert {charge["kind"] for charge in part_1["10_contingent_charges"]} == {"bounce", "visit", "preclosure"}
    assert told["part_2"]["6_digital"]["cooling_off_days"] == 3
    assert len(told["schedule"]) == 24
    assert "grievance_officer" not in told["missing"]
    assert "recovery_clause" in told["missing"]


def test_a_co_lending_is_told_with_its_shares(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    shares = {"originator": "A Lender", "originator_percent": "20", "partner": "A Bank", "partner_percent": "80"}
    request = {**RBI, "key_facts": {"lender": {"co_lending": {**shares, "blended_rate_percent": "14.40"}}}}
    assert statement(asked(tmp_path, request)) == 0
    told = json.loads(capsysbinary.readouterr().out)["part_2"]["5_co_lending"]
    assert told == {**shares, "blended_rate_percent": "14.40"}


def test_a_charge_by_the_day_is_listed_as_what_it_is(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert statement(asked(tmp_path, {**RBI, "product": "two-wheeler-loan"})) == 0
    charges = json.loads(capsysbinary.readouterr().out)["part_1"]["10_contingent_charges"]
    penal = next(charge for charge in charges if charge["kind"] == "penal")
    assert (penal["gst_percent"], "each day" in penal["percent_of"]) == ("0", True)


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        ({**RBI, "product": "no-such"}, "/product"),
        ({"product": "personal-loan"}, "/terms"),
        ({**RBI, "terms": {**RBI["terms"], "instalments": 0}}, "/instalments"),
        ({**RBI, "key_facts": {"given_on": "soon"}}, "/key_facts/given_on"),
        ({**RBI, "key_facts": {"lender": {"nme": "A Lender"}}}, "/key_facts/lender/nme"),
        ({**RBI, "key_facts": {"benchmark": {"rate_percent": "low"}}}, "/key_facts/benchmark/rate_percent"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, request_: object, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert statement(asked(tmp_path, request_)) == 1
    assert complaint in capsys.readouterr().err
