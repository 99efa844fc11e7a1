"""A loan's life from a file: what a file may say, how the gateway answers, and what is compared."""

from __future__ import annotations

import copy
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.cli.main import main
from adapters.house import load_rules
from adapters.scenario import Malformed, answer, differences, live, read

RULES = load_rules()
DISBURSAL: dict[str, Any] = {
    "loan_id": "SC-1",
    "borrower": {"borrower_id": "B-1"},
    "product": "personal-loan",
    "terms": {
        "principal_paise": 100_000_00,
        "annual_rate_percent": "18.00",
        "instalments": 24,
        "disburse_on": "2026-01-05",
        "first_due_on": "2026-02-05",
    },
    "payout": {"account": {"number": "50100000000042", "ifsc": "HDFC0000001"}},
    "mandate": {"mandate_id": "M-1", "rail": "enach", "max_amount_paise": 10_000_00, "bank": "HDFC"},
}
"""Its instalment is Rs. 4,993; of the first, 1,500 is interest."""


def a_file(*steps: tuple[str, str, dict[str, Any]], until: str = "2026-03-31", **more: Any) -> dict[str, Any]:
    """A scenario file; a step is (instant without seconds and offset, type, data)."""
    told = [{"at": f"{at}:00+05:30", "type": kind, "data": data} for at, kind, data in steps]
    return {"disbursal": copy.deepcopy(DISBURSAL), "steps": told, "until": until, **more}


def lived(*steps: tuple[str, str, dict[str, Any]], script: list[dict[str, Any]] | None = None, **more: Any) -> Any:
    """The answer to such a file."""
    if script is not None:
        more["gateway"] = {"script": script, **more.get("gateway", {})}
    scenario = read(a_file(*steps, **more))
    return answer(scenario, live(scenario, RULES), RULES)


def happened(came: Any, *names: str) -> list[str]:
    """When which of these events happened: `03-05 07:05 debit-failed`."""
    kinds = {f"loan.{name}.v1": name for name in names}
    return [
        f"{one['at'][5:10]} {one['at'][11:16]} {kinds[one['type']]}" for one in came["events"] if one["type"] in kinds
    ]


# --- What a file may say -------------------------------------------------------------------------------------

WRONG: list[tuple[Callable[[dict[str, Any]], Any], str, str]] = [
    (lambda file: file.update(stesp=[]), "/stesp", "unknown key 'stesp': did you mean 'steps'?"),
    (lambda file: file.pop("until"), "/until", "Field required"),
    (lambda file: file.update(until=20260331), "/until", "valid date"),
    (lambda file: file.update(collect="no"), "/collect", "valid boolean"),
    (lambda file: file["gateway"].update(defualt="fail"), "/gateway/defualt", "did you mean 'default'?"),
    (lambda file: file["gateway"].update(default="maybe"), "/gateway/default", "'succeed', 'fail' or 'silent'"),
    (
        lambda file: file["gateway"].update(script=[{"instalment": 1, "atempt": 1, "result": "failed"}]),
        "/gateway/script/0/atempt",
        "did you mean 'attempt'?",
    ),
    (lambda file: file["gateway"].update(script=[{"result": "failed"}]), "/gateway/script/0", "name one of"),
    (
        lambda file: file["gateway"].update(script=[{"instalment": 1, "result": "partial"}]),
        "/gateway/script/0",
        "names its amount_paise",
    ),
    (
        lambda file: file["gateway"].update(script=[{"payout": 1, "result": "reversed"}]),
        "/gateway/script/0",
        "one of settled, failed, returned, silent",
    ),
    (lambda file: file["steps"][0].update(when="x"), "/steps/0/when", "unknown key 'when'"),
    (lambda file: file["steps"][0].update(at="2026-03-20"), "/steps/0/at", "datetime"),
    (lambda file: file["steps"][0].update(at="2026-01-04T11:00:00+05:30"), "/steps/0/at", "before the loan is booked"),
    (lambda file: file["steps"][0].update(at="2026-04-01T00:00:00+05:30"), "/steps/0/at", "after the end"),
    (
        lambda file: file["steps"][0].update(type="gateway.payment.recieved.v1"),
        "/steps/0/type",
        "did you mean 'gateway.payment.received.v1'?",
    ),
    (lambda file: file["steps"][0]["data"].update(amount=1), "/steps/0/data/amount", "did you mean 'amount_paise'?"),
    (lambda file: file["steps"][0]["data"].update(loan_id="SC-2"), "/steps/0/data/loan_id", "another loan"),
    (lambda file: file["disbursal"].update(prodct="x"), "/disbursal/prodct", "did you mean 'product'?"),
    (lambda file: file["disbursal"]["terms"].update(tenure=3), "/disbursal/terms/tenure", "unknown key 'tenure'"),
    (
        lambda file: file["disbursal"]["mandate"]["account"].update(iban="x"),
        "/disbursal/mandate/account/iban",
        "unknown key 'iban'",
    ),
]


@pytest.mark.parametrize(("spoil", "pointer", "says"), WRONG)
def test_what_is_wrong_in_a_file_is_named_by_its_place(
    spoil: Callable[[dict[str, Any]], Any], pointer: str, says: str
) -> None:
    file = a_file(("2026-03-20T11:00", "gateway.payment.received.v1", {"amount_paise": 1}), gateway={})
    file["disbursal"]["mandate"]["account"] = {"number": "1"}
    read(file)
    spoil(file)
    with pytest.raises(Malformed) as refused:
        read(file)
    [(place, wrong)] = refused.value.flaws
    assert place == pointer
    assert says in wrong


def test_every_flaw_is_told_at_once() -> None:
    with pytest.raises(Malformed) as refused:
        read(a_file(("2026-03-20T11:00", "no.such.v1", {}), ("2027-03-20T11:00", "servicing.waive.v1", {"chrg": "x"})))
    assert [place for place, _ in refused.value.flaws] == ["/steps/0/type", "/steps/1/data/chrg", "/steps/1/at"]


@pytest.mark.parametrize("item", [[], "x", 3, None])
def test_what_is_no_object_is_no_scenario(item: Any) -> None:
    with pytest.raises(Malformed, match="a scenario is a JSON object"):
        read(item)


def test_a_disbursal_that_the_wire_would_not_take_is_refused_with_its_field() -> None:
    file = a_file()
    file["disbursal"]["borrower"] = {}
    scenario = read(file)
    came = answer(scenario, live(scenario, RULES), RULES)
    assert came["loan"] is None
    assert came["events"] == []
    assert [(no["step"], no["reason"], no["field"]) for no in came["rejected"]] == [
        ("disbursal", "malformed", "/borrower/borrower_id")
    ]


def test_a_step_that_the_wire_would_not_take_is_refused_and_the_life_goes_on() -> None:
    came = lived(
        ("2026-03-20T11:00", "gateway.payment.received.v1", {"amount_paise": 1.5}),
        ("2026-03-21T11:00", "gateway.payment.received.v1", {"amount_paise": 100}),
    )
    assert [(no["step"], no["reason"], no["field"]) for no in came["rejected"]] == [(0, "malformed", "/amount_paise")]
    assert came["counts"]["loan.payment-received.v1"] == 1


# --- The gateway ---------------------------------------------------------------------------------------------

DEBITS = ("debit-attempted", "debit-succeeded", "debit-failed", "debit-pending", "receipt-reversed")


@pytest.mark.parametrize(
    ("script", "story"),
    [
        ([], ["03-05 07:00 debit-attempted", "03-05 07:05 debit-succeeded"]),
        (
            [{"instalment": 2, "attempt": 1, "result": "failed", "code": "01"}],
            ["03-05 07:00 debit-attempted", "03-05 07:05 debit-failed"],
        ),
        (
            [{"instalment": 2, "attempt": 1, "result": "failed", "code": "04"}],
            [
                "03-05 07:00 debit-attempted",
                "03-05 07:05 debit-failed",
                "03-08 07:00 debit-attempted",
                "03-08 07:05 debit-succeeded",
            ],
        ),
        ([{"instalment": 2, "result": "silent"}], ["03-05 07:00 debit-attempted"]),
        (
            [
                {"instalment": 2, "result": "pending"},
                {"instalment": 2, "result": "succeeded", "after_hours": 26},
            ],
            ["03-05 07:00 debit-attempted", "03-05 07:05 debit-pending", "03-06 09:00 debit-succeeded"],
        ),
        (
            [
                {"instalment": 2, "result": "failed", "code": "01"},
                {"instalment": 2, "attempt": 1, "result": "reversed", "after_hours": 72},
                {"instalment": 2, "attempt": 2, "result": "silent"},
            ],
            [
                "03-05 07:00 debit-attempted",
                "03-05 07:05 debit-succeeded",
                "03-08 07:00 receipt-reversed",
                "03-11 07:00 debit-attempted",
            ],
        ),
    ],
    ids=["succeeds", "hard", "soft", "silent", "pending", "reversed, and the entry of one attempt before that of all"],
)
def test_the_gateway_does_as_the_script_says(script: list[dict[str, Any]], story: list[str]) -> None:
    came = lived(script=script)
    assert [line for line in happened(came, *DEBITS) if line >= "03"] == story


def test_a_partial_debit_brings_what_the_script_says_on_the_day_that_it_says() -> None:
    script = [{"instalment": 1, "attempt": 1, "result": "partial", "amount_paise": 200_000, "value_on": "2026-02-05"}]
    came = lived(script=script, until="2026-02-06")
    assert came["loan"]["received_paise"] == 200_000
    assert came["loan"]["payable_paise"] == 499_300 - 200_000


def test_several_instalments_fail_alike() -> None:
    came = lived(script=[{"instalment": 2, "through": 4, "result": "failed", "code": "70"}], until="2026-06-30")
    assert came["counts"]["loan.debit-failed.v1"] == 3
    assert [row["paid_on"] for row in came["schedule"][:5]] == ["2026-02-05", "2026-06-05", None, None, None]


def test_a_gateway_that_fails_by_default_has_no_funds_to_report() -> None:
    came = lived(gateway={"default": "fail"}, until="2026-02-06")
    [failed] = [one["data"] for one in came["events"] if one["type"] == "loan.debit-failed.v1"]
    assert (failed["code"], failed["failure_class"]) == ("04", "soft")


def test_a_payout_arrives_at_once_unless_the_script_says_otherwise() -> None:
    assert happened(lived(until="2026-01-05"), "payout-instructed", "disbursed") == [
        "01-05 00:00 payout-instructed",
        "01-05 00:00 disbursed",
    ]
    failed = lived(script=[{"payout": 1, "result": "failed", "code": "AM05"}])
    assert (failed["loan"]["state"], failed["preclosure"]) == ("booked", None)
    assert [case["kind"] for case in failed["cases"]] == ["payout-failed"]
    late = lived(script=[{"payout": 1, "result": "settled", "after_hours": 50, "value_on": "2026-01-07"}])
    assert late["loan"]["disbursed_on"] == "2026-01-07"


def test_a_payout_that_comes_back_had_arrived() -> None:
    came = lived(script=[{"payout": 1, "result": "returned"}], until="2026-01-10")
    assert happened(came, "disbursed", "payout-failed") == ["01-05 00:00 disbursed", "01-06 00:00 payout-failed"]
    assert came["ledger"]["balances"]["bank"] == 0


def test_the_disbursal_comes_when_the_file_says() -> None:
    came = lived(booked_at="2026-01-02T15:00:00+05:30")
    assert happened(came, "booked", "payout-instructed") == ["01-02 15:00 booked", "01-05 00:00 payout-instructed"]


def test_without_collection_no_debit_is_asked_for_and_the_mandate_stands() -> None:
    came = lived(collect=False, until="2026-07-31")
    assert {one["type"] for one in came["instructions"]} == {"servicing.payout-instruction.v1"}
    assert came["counts"]["loan.debit-notified.v1"] == 0
    assert (came["loan"]["mandate_status"], came["loan"]["classification"]) == ("active", "NPA")


def test_what_nobody_asked_for_is_told() -> None:
    came = lived(script=[{"instalment": 2, "result": "failed"}, {"instalment": 20, "result": "failed"}])
    assert came["unused_script"] == [1]


# --- Steps ---------------------------------------------------------------------------------------------------


def test_a_step_need_not_say_what_follows_from_the_context() -> None:
    came = lived(
        ("2026-02-20T11:00", "gateway.payment.received.v1", {"amount_paise": 100_000}),
        ("2026-02-21T11:00", "gateway.payment.reversed.v1", {}),
        ("2026-02-22T11:00", "servicing.levy-charge.v1", {"kind": "visit", "reason": "a visit"}),
        ("2026-02-23T11:00", "servicing.waive.v1", {"reason": "none took place"}),
        ("2026-02-24T11:00", "gateway.mandate.paused.v1", {}),
        ("2026-02-25T11:00", "servicing.update-borrower.v1", {"language": "hi"}),
    )
    assert came["rejected"] == []
    assert happened(came, "payment-received", "receipt-reversed", "charge-levied", "charge-waived") == [
        "02-20 11:00 payment-received",
        "02-21 11:00 receipt-reversed",
        "02-22 11:00 charge-levied",
        "02-23 11:00 charge-waived",
    ]
    assert came["loan"]["mandate_status"] == "paused"


def test_a_step_can_be_the_gateways_word_where_the_gateway_is_silent() -> None:
    came = lived(
        ("2026-02-05T18:00", "gateway.debit.succeeded.v1", {}),
        ("2026-02-07T18:00", "gateway.debit.reversed.v1", {}),
        gateway={"default": "silent"},
        until="2026-02-07",
    )
    assert came["rejected"] == []
    assert happened(came, "debit-succeeded", "receipt-reversed") == [
        "02-05 18:00 debit-succeeded",
        "02-07 18:00 receipt-reversed",
    ]


def test_the_same_message_twice_is_repeated_and_another_one_refused() -> None:
    paid = {"payment_reference": "UPI-1", "amount_paise": 100_000, "value_on": "2026-02-20"}
    kind = "gateway.payment.received.v1"
    came = lived(
        ("2026-02-20T11:00", kind, paid),
        ("2026-02-20T12:00", kind, paid),
        ("2026-02-20T13:00", kind, {**paid, "amount_paise": 100_001}),
        ("2026-02-20T14:00", "los.disbursal.requested.v1", {}),
    )
    assert [one["step"] for one in came["repeated"]] == [1, 3]
    [no] = came["rejected"]
    assert (no["step"], no["reason"], no["field"]) == (2, "reference_used_with_other_content", "/payment_reference")
    assert "100001" in no["sentence"]


def test_at_one_instant_the_gateway_is_heard_before_what_a_person_asks() -> None:
    """The engine's order of topics: so it is with the messages of one batch there."""
    came = lived(
        ("2026-02-05T07:05", "servicing.levy-charge.v1", {"kind": "visit"}),
        ("2026-02-05T07:00", "gateway.payment.received.v1", {"amount_paise": 100}),
        until="2026-02-05",
    )
    order = [one["type"][5:-3] for one in came["events"] if "T07" in one["at"] and one["at"] > "2026-02-05"]
    assert order == ["debit-attempted", "payment-received", "debit-succeeded", "charge-levied", "excess-applied"]


def test_the_quote_is_asked_and_not_recorded_and_paying_it_closes_the_loan() -> None:
    quoted = lived()["preclosure"]
    assert quoted["on"] == "2026-03-31"
    assert quoted["total_paise"] == sum(quoted["parts"].values()) - 2 * quoted["parts"]["excess_paise"]
    paid = {"amount_paise": quoted["total_paise"], "intent": "preclosure"}
    came = lived(("2026-03-31T12:00", "gateway.payment.received.v1", paid))
    assert (came["loan"]["state"], came["preclosure"]) == ("closed", None)
    assert came["loan"]["refund_due_paise"] == 0
    assert came["counts"]["loan.preclosure-quoted.v1"] == 0


def test_balances_are_the_sums_of_the_entries_by_code_by_name_and_in_snake_case() -> None:
    ledger = lived()["ledger"]
    sums: dict[int, int] = {}
    for entry in ledger["entries"]:
        sums[entry["account"]] = sums.get(entry["account"], 0) + entry["paise"]
    assert sums[1000] == ledger["balances"]["1000"] == ledger["balances"]["Bank"] == ledger["balances"]["bank"]
    assert ledger["balances"]["borrowers_excess"] == 0
    assert sum(sums.values()) == ledger["trial_balance_paise"] == 0
    first = ledger["entries"][0]
    assert (first["event"], first["value_on"], first["booked_on"], first["paise"]) == (
        "loan.disbursed.v1",
        "2026-01-05",
        "2026-01-05",
        100_000_00,
    )


# --- Expectations --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "actual", "told"),
    [
        ({}, {"a": 1}, []),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, []),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ["a.b: expected 1, actual 2"]),
        ({"a": None}, {}, ["a: expected null, actual nothing"]),
        ({"a": 0}, {"a": False}, ["a: expected 0, actual false"]),
        ({"a": {"b": 1}}, {"a": None}, ['a: expected {"b":1}, actual null']),
        ({"rows": [{"number": 2, "x": 1}]}, {"rows": [{"number": 1, "x": 0}, {"number": 2, "x": 1}]}, []),
        ({"r": [{"number": 3}]}, {"r": [{"number": 1}]}, ['r[number=3]: expected {"number":3}, actual nothing']),
        ({"rows": ["a"]}, {"rows": ["a", "b"]}, []),
        ({"rows": ["a", "c"]}, {"rows": ["a", "b"]}, ['rows[1]: expected "c", actual "b"']),
        ({"rows": []}, {"rows": ["a"]}, ['rows: expected [], actual ["a"]']),
        ({"rows": {"length": 2, "-1": "b"}}, {"rows": ["a", "b"]}, []),
        ({"rows": {"length": 1, "5": "b"}}, {"rows": ["a", "b"]}, [
            "rows[length]: expected 1, actual 2",
            'rows[5]: expected "b", actual nothing',
        ]),
    ],
)  # fmt: skip
def test_only_what_is_expected_is_compared(expected: Any, actual: Any, told: list[str]) -> None:
    assert list(differences(expected, actual)) == told


# --- The command ---------------------------------------------------------------------------------------------


def qist(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["scenario", *arguments])
    return int(left.value.code or 0)


def saved(folder: Path, name: str, told: Any) -> str:
    (folder / name).write_text(json.dumps(told))
    return str(folder / name)


def test_one_file_gives_one_document_and_a_list_gives_a_list(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert qist(saved(tmp_path, "one.json", a_file())) == 0
    assert json.loads(capfd.readouterr().out)["loan"]["state"] == "active"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps([a_file(), a_file()]).encode())))
    assert qist("-", "--json") == 0
    assert [one["loan"]["loan_id"] for one in json.loads(capfd.readouterr().out)] == ["SC-1", "SC-1"]


def test_a_refused_disbursal_is_an_answer_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = a_file()
    file["disbursal"]["product"] = "no-such-product"
    assert qist(saved(tmp_path, "one.json", file)) == 0
    came = json.loads(capfd.readouterr().out)
    assert (came["loan"], came["rejected"][0]["step"], came["rejected"][0]["field"]) == (None, "disbursal", "/product")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "this is not JSON"),
        ("[]x", "this is not JSON"),
        (json.dumps({"until": "2026-01-01"}), "/disbursal: Field required"),
    ],
)
def test_what_is_no_scenario_is_wrong_usage_and_its_place_is_named(
    text: str, says: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.json").write_text(text)
    assert qist(str(tmp_path / "wrong.json")) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert says in err


def test_an_unknown_key_is_ignored_as_on_the_wire_and_told_and_a_check_refuses_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "odd.json"
    odd = {**a_file(), "stepz": 1}
    odd["disbursal"] = {**odd["disbursal"], "channel": "branch"}
    file.write_text(json.dumps([a_file(), odd]))
    assert qist(str(file)) == 0
    out, err = capfd.readouterr()
    plain, other = json.loads(out)
    assert other == plain
    assert "note: /1/stepz: unknown key 'stepz': did you mean 'steps'?" in err
    assert "/1/disbursal/channel" in err
    assert qist("--check", str(file)) == 2
    assert "/1/stepz" in capfd.readouterr().out


def test_a_missing_file_and_an_empty_folder_are_wrong_usage(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert qist(str(tmp_path / "none.json")) == 2
    assert "cannot read" in capfd.readouterr().err
    assert qist(str(tmp_path)) == 2
    assert qist(saved(tmp_path, "one.json", a_file()), "--products", str(tmp_path / "none")) == 2


def test_a_check_says_what_differs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    right = {**a_file(), "expected": {"loan": {"state": "active"}}}
    wrong = {**a_file(), "expected": {"loan": {"state": "closed"}, "schedule": [{"number": 1, "interest_paise": 1}]}}
    assert qist("--check", saved(tmp_path, "right.json", right)) == 0
    assert qist("--check", saved(tmp_path, "wrong.json", wrong)) == 1
    assert capfd.readouterr().out.splitlines() == [
        "right.json  ok",
        "wrong.json  differs",
        '  loan.state: expected "closed", actual "active"',
        "  schedule[number=1].interest_paise: expected 1, actual 150000",
    ]


def test_a_folder_is_checked_file_by_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    saved(tmp_path, "a.json", {**a_file(), "expected": {"loan": {"state": "active"}}})
    saved(tmp_path, "b.json", [a_file(), {**a_file(), "expected": {"loan": None}}])
    assert qist(str(tmp_path), "--json") == 1
    told = json.loads(capfd.readouterr().out)
    assert [(one["name"], one["verdict"]) for one in told] == [
        ("a.json", "ok"),
        ("b.json 0", "nothing expected"),
        ("b.json 1", "differs"),
    ]
    saved(tmp_path, "c.json", {"until": 3})
    assert qist(str(tmp_path)) == 2
    assert capfd.readouterr().out.splitlines()[-1] == "4 scenarios, 2 not as expected"


def test_a_script_entry_that_nobody_asked_for_fails_a_check(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = [{"instalment": 20, "result": "failed"}]
    file = saved(tmp_path, "one.json", {**a_file(gateway={"script": script}), "expected": {}})
    assert qist("--check", file) == 1
    assert "gateway.script[0] was never asked for" in capfd.readouterr().out
    assert qist(file) == 0
    assert "/gateway/script/0 was never asked for" in capfd.readouterr().err


def test_the_lenders_own_products_are_lived_by(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from importlib.resources import files

    own = files("domain.products").joinpath("personal-loan.toml").read_text()
    own = own.replace('name = "personal-loan"', 'name = "late-riser"').replace('at = "07:00"', 'at = "09:00"')
    folder = tmp_path / "products"
    folder.mkdir()
    (folder / "late-riser.toml").write_text(own)
    file = a_file()
    file["disbursal"]["product"] = "late-riser"
    assert qist(saved(tmp_path, "one.json", file), "--products", str(folder)) == 0
    came = json.loads(capfd.readouterr().out)
    assert happened(came, "debit-attempted")[0] == "02-05 09:00 debit-attempted"
    assert qist(str(tmp_path), "--json") == 0, "a folder's own `products` are known without being named"


def test_the_example_of_the_manual_comes_out_as_it_says(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    manual = (Path(__file__).parents[2] / "docs" / "scenarios.md").read_text()
    example, _ = json.JSONDecoder().raw_decode(manual[manual.index('{"title"') :])
    assert qist("--check", saved(tmp_path, "manual.json", example)) == 0
    assert capfd.readouterr().out == "manual.json  ok\n"


def test_people_can_read_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert qist("--pretty", saved(tmp_path, "one.json", {**a_file(), "title": "A quiet life"})) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "A quiet life"
    assert lines[1].startswith("SC-1  active  standard  0 days past due")
    assert lines[-1].startswith("to close it on 2026-03-31: ")
