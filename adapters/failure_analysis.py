"""Why debits fail: by code, bank, rail, gateway, hour and attempt; and what departs from its history, found by itself.

From the read model `dashboard.debits`, whose rows are sums of partitions. The hour is that in which the outcome came.
"""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any, Literal

import asyncpg

from domain.failures import FailureCodes
from domain.money import share_percent
from domain.policies.patterns import HISTORY_DAYS, RECENT_DAYS, Answered, Pattern, patterns

By = Literal["code", "class", "bank", "rail", "gateway", "hour", "attempt", "day"]
BY: dict[By, str] = {
    "code": "rail, code, failure_class",
    "class": "failure_class",
    "bank": "bank",
    "rail": "rail",
    "gateway": "gateway",
    "hour": "hour",
    "attempt": "attempt",
    "day": "day",
}
"""How failures are told apart, and the columns that say it."""
OF_FAILURES = frozenset({"code", "class"})
"""What only failures have: their shares are of all that was answered."""
FILTERS = ("bank", "rail", "gateway")

FAILED = "outcome = 'failed' AND ($6::text IS NULL OR failure_class = $6) AND ($7::text IS NULL OR code = $7)"
WITHIN = (
    "FROM dashboard.debits WHERE day BETWEEN $1 AND $2 AND outcome IN ('succeeded', 'failed')"
    " AND ($3::text IS NULL OR bank = $3) AND ($4::text IS NULL OR rail = $4) AND ($5::text IS NULL OR gateway = $5)"
)
COUNTS = (
    f"coalesce(sum(count), 0)::bigint AS answered, coalesce(sum(count) FILTER (WHERE {FAILED}), 0)::bigint AS failed,"
    f" coalesce(sum(paise) FILTER (WHERE {FAILED}), 0)::bigint AS failed_paise"
)


async def failures(
    pool: asyncpg.Pool,
    codes: FailureCodes,
    *,
    by: By,
    since: date,
    until: date,
    failure_class: str | None = None,
    code: str | None = None,
    **only: str | None,
) -> dict[str, Any]:
    """What was answered on these days, both included, and what failed of it: in all, and by one of `BY`.

    A class or a code limits what counts as failed, not what was answered, so that shares stay shares of all.
    """
    limits = (since, until, *(only.get(name) for name in FILTERS), failure_class, code)
    whole = await pool.fetchrow(f"SELECT {COUNTS} {WITHIN}", *limits)
    assert whole is not None  # sums are always one row
    rows = await pool.fetch(
        f"SELECT {BY[by]}, {COUNTS} {WITHIN} GROUP BY {BY[by]} ORDER BY {'day' if by == 'day' else 'failed DESC, 1'}",
        *limits,
    )
    told: list[dict[str, Any]] = []
    for row in rows:
        one = dict(row)
        if by in OF_FAILURES:
            if not one["failed"]:
                continue
            one["answered"] = whole["answered"]
        if by == "code":
            one["meaning"] = codes.diagnose(one["rail"], one["code"]).meaning
        if by == "class":
            one["class"] = one.pop("failure_class")
        told.append({**one, "percent": share_percent(one["failed"], one["answered"])})
    return {**dict(whole), "percent": share_percent(whole["failed"], whole["answered"]), "by": by, "items": told}


async def found(pool: asyncpg.Pool, today: date) -> list[dict[str, Any]]:
    """What departs from its history (`domain.policies.patterns`), up to the end of a day."""
    rows = await pool.fetch(
        "SELECT day, bank, rail, gateway, hour, failure_class, code, sum(count)::bigint AS times FROM ("
        " SELECT day, bank, rail, gateway, hour, CASE WHEN outcome = 'failed' THEN failure_class ELSE '' END"
        " AS failure_class, code, count FROM dashboard.debits WHERE day > $1 AND day <= $2"
        " AND outcome IN ('succeeded', 'failed')) AS answered GROUP BY 1, 2, 3, 4, 5, 6, 7",
        today - timedelta(days=RECENT_DAYS + HISTORY_DAYS),
        today,
    )
    # Seconds of arithmetic for a large book: not in the loop that answers everybody.
    seen = await asyncio.to_thread(lambda: patterns((Answered(*row) for row in rows), today))
    return [told(one) for one in seen]


def told(pattern: Pattern) -> dict[str, Any]:
    return {
        "group": dict(pattern.group),
        "class": pattern.failure_class,
        "code": pattern.code or None,
        "answered": pattern.answered,
        "failed": pattern.failed,
        "more_than_usual": pattern.more_than_usual,
        "percent": f"{100 * pattern.share:.2f}",
        "usual_percent": f"{100 * pattern.usual_share:.2f}",
        "sure_percent": f"{min(99.99, 100 * pattern.sure):.2f}",
        "since": pattern.since,
        "codes": [{"code": code, "failed": times} for code, times in pattern.codes],
    }
