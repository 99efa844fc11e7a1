"""Populations of one account, small enough to work out on paper."""

from __future__ import annotations

import json
from typing import Any

from adapters.evaluation.population import Population, read_population

RUPEES = 100


def at(day: int, hour: int = 0, month: int = 1) -> str:
    return f"2026-{month:02d}-{day:02d}T{hour:02d}:00:00+05:30"


def account(**changes: Any) -> dict[str, Any]:
    """Due on 5 January, 5,000 rupees; the account holds 6,000 from 9 January at 9:00."""
    return {
        "loan_id": "L1",
        "bank": "SBI",
        "rail": "enach",
        "segment": "salaried",
        "salary_day": 9,
        "instalment_paise": 5_000 * RUPEES,
        "due_day": 5,
        "hard": None,
        "balance": [[at(1), 100 * RUPEES], [at(9, 9), 6_000 * RUPEES]],
    } | changes


def as_json(*accounts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "seed": 7,
        "from": "2026-01-01",
        "until": "2026-01-31",
        "window_days": 25,
        "rails": {"enach": {"max_attempts": 3, "min_gap_hours": 24, "hours": [7, 10, 18]}},
        "costs": {"attempt_paise": 500, "bounce_charge_paise": 25_000, "day_late_bps": 5},
        "outages": [],
        "accounts": list(accounts or (account(),)),
    } | changes


def population(*accounts: dict[str, Any], **changes: Any) -> Population:
    return read_population(json.dumps(as_json(*accounts, **changes)).encode())
