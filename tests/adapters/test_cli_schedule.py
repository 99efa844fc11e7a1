"""`qist schedule` as a person or a script runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def test_in_a_list_each_refusal_names_its_place() -> None:
    answer = qist("schedule", stdin=[TERMS, {}, {**TERMS, "first_due_on": "soon"}])
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.splitlines() == [
        "qist schedule: terms 1: /principal_paise: is missing",
        "qist schedule: terms 2: /first_due_on: must be a date YYYY-MM-DD, not 'soon'",
    ]


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
