"""Draws schedules as a person would check them, and keeps drawings as golden files."""

from __future__ import annotations

import os
from pathlib import Path

from domain.money import format_rupees
from domain.schedule import Schedule

GOLDEN = Path(__file__).parent / "golden"

AMOUNTS = ("opening", "principal", "interest", "fee", "total", "closing")


def draw_schedule(schedule: Schedule) -> str:
    """A table of rupees, with what it adds up to."""
    lines = [
        f"instalment {format_rupees(schedule.instalment_paise)}, interest "
        f"{format_rupees(schedule.total_interest_paise)}, paid out "
        f"{format_rupees(schedule.net_disbursed_paise)}, APR {schedule.apr_percent} %",
        *schedule.notes,
        "",
        "  #  due          days" + "".join(name.rjust(14) for name in AMOUNTS),
    ]
    for row in schedule.rows:
        amounts = (format_rupees(getattr(row, f"{name}_paise")).rjust(14) for name in AMOUNTS)
        lines.append(f"{row.number:3}  {row.due_on:%d-%b-%Y}  {row.days:4}" + "".join(amounts))
    return "\n".join(lines) + "\n"


def matches_golden(name: str, text: str) -> bool:
    """Whether the golden file says the same; with GOLDEN=accept in the environment, it is made to."""
    path = GOLDEN / name
    if os.environ.get("GOLDEN") == "accept":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return path.read_text() == text
