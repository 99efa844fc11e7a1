"""What retries brought is told by class, bank, hour and attempt, and each telling adds up to the same."""

from __future__ import annotations

from typing import Any

from adapters.recoveries import RECOVERED_BY, told


def row(outcome: str, failure_class: str, attempt: int, count: int, rupees: int, **more: Any) -> dict[str, Any]:
    return {
        "outcome": outcome, "failure_class": failure_class, "attempt": attempt, "count": count, "paise": rupees * 100,
        "bank": "SBIN", "hour": 7, **more,
    }  # fmt: skip


ROWS = [
    row("attempted", "", 1, 10, 1000),
    row("succeeded", "", 1, 6, 600),
    row("failed", "soft", 1, 3, 300),
    row("failed", "technical", 1, 1, 100, bank="HDFC"),
    row("attempted", "", 2, 4, 400),
    row("succeeded", "soft", 2, 2, 200, hour=14),
    row("failed", "soft", 2, 1, 100, hour=14),
    row("succeeded", "technical", 2, 1, 100, bank="HDFC", hour=14),
    row("succeeded", "", 3, 1, 50, bank="", hour=14),  # of a failure that is not remembered
]


def test_first_attempts_and_open_ones_are_no_retries() -> None:
    assert told(ROWS) | {f"by_{name}": [] for name in RECOVERED_BY} == {
        "failed": 5, "failed_paise": 500_00, "retried": 5, "recovered": 4, "recovered_paise": 350_00,
        "percent": "80.0", "by_class": [], "by_bank": [], "by_hour": [], "by_attempt": [],
    }  # fmt: skip


def test_every_telling_adds_up_to_the_whole() -> None:
    whole = told(ROWS)
    for name in RECOVERED_BY:
        for figure in ("failed", "failed_paise", "recovered", "recovered_paise"):
            assert sum(one[figure] for one in whole[f"by_{name}"]) == whole[figure]


def test_of_a_class_the_share_is_of_its_failures() -> None:
    assert [(one["class"], one["retried"], one["percent"]) for one in told(ROWS)["by_class"]] == [
        ("soft", None, "50.0"), ("technical", None, "100.0"), ("", None, None),
    ]  # fmt: skip


def test_nothing_is_told_of_nothing() -> None:
    assert told([])["percent"] is None
    assert told([])["by_bank"] == []
