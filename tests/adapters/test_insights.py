"""The whole book's debits as the engine looks at them."""

from __future__ import annotations

from datetime import date

from adapters.insights import insight_of
from domain.policies.insight import Tally, Way

TODAY = date(2026, 6, 5)


def row(day: str, outcome: str, failure_class: str = "", count: int = 1) -> dict[str, object]:
    return {
        "day": date.fromisoformat(day),
        "bank": "SBI",
        "rail": "upi",
        "gateway": "razor",
        "hour": 7,
        "outcome": outcome,
        "failure_class": failure_class,
        "count": count,
    }


def test_whole_days_before_today_are_counted_and_yesterday_apart():
    rows = [
        row("2026-06-05", "succeeded", count=100),
        row("2026-06-04", "failed", "technical", 3),
        row("2026-06-03", "succeeded", count=5),
        row("2026-06-03", "failed", "soft", 2),
        row("2026-05-01", "failed", "hard", 50),
    ]
    took = [
        {"day": date.fromisoformat(day), "days": days, "count": count}
        for day, days, count in (("2026-06-05", 20, 9), ("2026-06-04", 4, 2), ("2026-06-01", 10, 1))
    ]
    known = insight_of(rows, TODAY, took)
    assert known.as_of == TODAY
    assert known.counts == {Way("SBI", "upi", "razor", 7): Tally(success=5, soft=2, technical=3)}
    assert known.yesterday == {Way("SBI", "upi", "razor", 7): Tally(technical=3)}
    assert known.days_to_recover(prior=7.5, weight=0) == 6
