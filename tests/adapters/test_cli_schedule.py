"""`qist schedule` as a person or a script runs it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

QIST = Path(sys.executable).with_name("qist")

TERMS: dict[str, Any] = {
    "principal_paise": 10000000,
    "annual_rate_percent": "18.00",
    "instalments": 24,
    "disburse_on": "2026-01-05",
    "first_due_on": "2026-02-05",
}


def qist(*arguments: str, stdin: Any = None) -> subprocess.CompletedProcess[str]:
    text = stdin if isinstance(stdin, str) else json.dumps(stdin)
    return subprocess.run([QIST, *arguments], input=text, capture_output=True, text=True, check=False)


def test_prints_the_schedule_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "terms.json"
    file.write_text(json.dumps(TERMS))
    answer = qist("schedule", str(file))
    assert (answer.returncode, answer.stderr) == (0, "")
    schedule = json.loads(answer.stdout)
    assert schedule["instalment_paise"] == 499300
    assert schedule["apr_percent"] == "18.00"
    assert len(schedule["rows"]) == 24
    assert schedule["rows"][0] == {
        "number": 1,
        "due_on": "2026-02-05",
        "days": 31,
        "opening_paise": 10000000,
        "principal_paise": 349300,
        "interest_paise": 150000,
        "fee_paise": 0,
        "total_paise": 499300,
        "closing_paise": 9650700,
    }


def test_a_list_of_terms_on_stdin_gives_a_list() -> None:
    for arguments in (("schedule", "-"), ("schedule",)):
        answer = qist(*arguments, stdin=[TERMS, {**TERMS, "instalments": 12}])
        assert answer.returncode == 0
        assert [len(schedule["rows"]) for schedule in json.loads(answer.stdout)] == [24, 12]


def test_terms_that_cannot_be_a_loan_are_named_with_their_field() -> None:
    answer = qist("schedule", stdin={**TERMS, "instalments": 0})
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == "qist schedule: /instalments: must be from 1 to 3660, not 0\n"


def test_every_wrong_field_is_named_and_in_a_list_whose_it_is() -> None:
    wrong = {**TERMS, "first_due_on": "soon", "instalments": -1}
    answer = qist("schedule", stdin=[TERMS, {}, wrong, 7, {"terms": 7}])
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.splitlines() == [
        *(f"qist schedule: terms 1: /{name}: is missing" for name in TERMS),
        "qist schedule: terms 2: /instalments: must be from 1 to 3660, not -1",
        "qist schedule: terms 2: /first_due_on: must be a date YYYY-MM-DD, not 'soon'",
        "qist schedule: terms 3: /: terms must be an object, not 7",
        "qist schedule: terms 4: /terms: must be an object, not 7",
    ]


def test_every_contradiction_is_named_too() -> None:
    answer = qist("schedule", stdin={**TERMS, "interest_method": "step_up", "moratorium_instalments": 24})
    assert [line.split(": ")[1] for line in answer.stderr.splitlines()] == ["/moratorium_instalments", "/step_percent"]


# --- Products and disbursal requests ---------------------------------------------------------------------------

TWO_WHEELER: dict[str, Any] = {"product": "two-wheeler-loan", "terms": TERMS}


def methods_of(answer: subprocess.CompletedProcess[str]) -> list[str]:
    """Told by the rows: flat interest is the same in each."""
    assert answer.returncode == 0, answer.stderr
    interests = [{row["interest_paise"] for row in made["rows"]} for made in json.loads(answer.stdout)]
    return ["flat" if len(each) == 1 else "reducing" for each in interests]


def test_a_products_defaults_hold_where_the_terms_say_nothing() -> None:
    own = {**TERMS, "interest_method": "reducing"}
    beside = {**TERMS, "product": "two-wheeler-loan"}
    assert methods_of(qist("schedule", stdin=[TERMS, TWO_WHEELER, beside])) == ["reducing", "flat", "flat"]
    assert methods_of(qist("schedule", "--product", "two-wheeler-loan", stdin=[TERMS, own])) == ["flat", "reducing"]


def test_a_disbursal_request_is_as_good_as_its_terms() -> None:
    request = {"loan_id": "LN-1", "borrower": {"borrower_id": "B-1"}, **TWO_WHEELER, "payout": {"rail": "auto"}}
    # Its own product counts, not the one for terms that name none.
    answer = qist("schedule", "--product", "personal-loan", stdin=[request, TWO_WHEELER])
    assert methods_of(answer) == ["flat", "flat"]
    assert json.loads(answer.stdout)[0] == json.loads(answer.stdout)[1]
    wrong = qist("schedule", stdin={**request, "terms": {**TERMS, "instalments": 0}})
    assert wrong.stderr == "qist schedule: /terms/instalments: must be from 1 to 3660, not 0\n"


def test_an_unknown_product_is_refused_naming_the_known_ones() -> None:
    asked = [TERMS, {"product": "bicycle", "terms": TERMS}, {"product": 7, "terms": TERMS}, TWO_WHEELER]
    answer = qist("schedule", "--product", "moped", stdin=asked)
    assert (answer.returncode, answer.stdout) == (1, "")
    told = answer.stderr.splitlines()
    assert [line.split(", only ")[0] for line in told] == [
        "qist schedule: terms 0: /product: there is no product 'moped'",
        "qist schedule: terms 1: /product: there is no product 'bicycle'",
        "qist schedule: terms 2: /product: there is no product 7",
    ]
    assert all("two-wheeler-loan" in line for line in told)


# --- Tables ----------------------------------------------------------------------------------------------------


def test_a_table_groups_digits_as_in_india() -> None:
    fee = {"kind": "stamp", "amount_paise": 100_00, "gst_percent": "0", "due_with_row": 2}
    answer = qist(
        "schedule", "--table", stdin={**TERMS, "instalments": 3, "principal_paise": 1_00_000_00, "fees": [fee]}
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    lines = answer.stdout.splitlines()
    assert lines[0].split() == ["#", "due", "days", "opening", "principal", "interest", "fee", "total", "closing"]
    assert lines[1].split()[:4] == ["1", "05-Feb-2026", "31", "1,00,000.00"]
    assert lines[2].split()[6] == "100.00"
    assert {len(line) for line in lines[:4]} == {len(lines[0])}
    assert lines[4] == ""
    assert [line.split("  ")[0] for line in lines[5:]] == ["instalment", "total interest", "net disbursed", "APR"]


def test_a_table_of_many_is_one_after_the_other() -> None:
    answer = qist("schedule", "--table", stdin=[TERMS, TERMS])
    assert answer.stdout.count("net disbursed   1,00,000.00") == 2


# --- Speed -----------------------------------------------------------------------------------------------------


def test_a_list_over_several_processes_is_in_its_order() -> None:
    many = [{**TERMS, "principal_paise": 1_00_000_00 + n} for n in range(600)]
    answer = qist("schedule", stdin=many)
    assert [made["net_disbursed_paise"] for made in json.loads(answer.stdout)] == [1_00_000_00 + n for n in range(600)]
    many[321] = {**TERMS, "instalments": "24"}
    answer = qist("schedule", stdin=many)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == "qist schedule: terms 321: /instalments: must be a whole number, not '24'\n"


@pytest.mark.slow
def test_ten_thousand_schedules_take_seconds() -> None:
    text = json.dumps([{**TERMS, "principal_paise": 1_00_000_00 + n} for n in range(10_000)])
    started = time.monotonic()
    answer = qist("schedule", stdin=text)
    taken = time.monotonic() - started
    assert answer.stdout.count('"apr_percent"') == 10_000
    assert taken < 20  # 2 to 4 seconds on two quiet cores


def test_what_is_not_json_is_refused() -> None:
    answer = qist("schedule", stdin="principal: 100")
    assert answer.returncode == 1
    assert "not JSON" in answer.stderr


def test_wrong_usage_is_explained_and_leaves_with_2() -> None:
    for arguments in (("shedule",), ("schedule", "a", "b"), ("schedule", "no-such-file.json")):
        answer = qist(*arguments)
        assert (answer.returncode, answer.stdout) == (2, "")
        assert answer.stderr


def test_neither_help_nor_schedule_imports_what_it_does_not_need() -> None:
    heavy = ("faust", "aiokafka", "fastapi", "asyncpg", "eventsourcing", "pydantic")
    code = (
        "import sys; from adapters.cli.main import app; app('--help', result_action='return_value');"
        "import adapters.cli.schedule;"
        f"sys.exit(any(name in sys.modules for name in {heavy!r}))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
