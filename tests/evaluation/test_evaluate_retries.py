"""`qist evaluate-retries` and `qist simulate population`, as a person meets them."""

from __future__ import annotations

import io
import json

import pytest

from adapters.cli.main import main
from tests.evaluation.small import account, as_json, at


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


def test_a_simulated_population_is_evaluated_from_a_pipe(capsys, monkeypatch, tmp_path):
    made = tmp_path / "gig.json"
    assert run(capsys, "simulate", "population", "--kind", "gig", "--accounts", "5", "--output", str(made))[0] == 0
    monkeypatch.setattr("sys.stdin", type("In", (), {"buffer": io.BytesIO(made.read_bytes())}))
    page = tmp_path / "report.html"
    status, out, _ = run(capsys, "evaluate-retries", "--population", "-", "--json", "--report", str(page))
    told = json.loads(out)
    assert status == 0
    assert list(told["strategies"]) == ["qist", "fixed", "daily", "none", "oracle"]
    assert {"recovered", "net"} == set(told["gap_closed"])
    assert "Gap closed" in page.read_text()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"window_days": -1}, "window_days:"),
        ({"costs": {"attempt_paise": 5.5}}, "costs.attempt_paise:"),
        ({"until": "2025-01-01"}, "until (2025-01-01) is before from"),
        ({"accounts": [account(rail="pigeon")]}, "accounts.0.rail: 'pigeon' is not among rails (enach)"),
        ({"accounts": [account(), account()]}, "accounts.1.loan_id: 'L1' is there twice"),
        ({"accounts": [account(due_day=32)]}, "accounts.0.due_day:"),
        ({"accounts": [account(balance=[["2026-01-01", 5]])]}, "accounts.0.balance.0.0:"),
        ({"accounts": [account(balance=[[at(2), 5], [at(1), 5]])]}, "accounts.0.balance: the instants"),
        ({"rails": {"enach": {"max_attempts": 3, "hours": []}}}, "rails.enach.hours:"),
    ],
)
def test_a_wrong_field_is_named(capsys, tmp_path, changes, named):
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps(as_json() | changes))
    status, out, err = run(capsys, "evaluate-retries", "--population", str(file))
    assert (status, out) == (1, "")
    assert named in err


@pytest.mark.parametrize("text", ["", "[]", "{", '{"seed": 1}', "nonsense"])
def test_what_is_no_population_is_refused_and_not_a_crash(capsys, tmp_path, text):
    file = tmp_path / "no.json"
    file.write_text(text)
    status, _, err = run(capsys, "evaluate-retries", "--population", str(file))
    assert status == 1
    assert "is no population" in err


def test_a_file_that_is_not_there_is_wrong_usage(capsys, tmp_path):
    status, _, err = run(capsys, "evaluate-retries", "--population", str(tmp_path / "nowhere.json"))
    assert status == 2
    assert "cannot read" in err
