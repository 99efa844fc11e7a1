"""What became of failed debits: recoveries by class, bank, hour and attempt, from the read model `dashboard.debits`.

A retry is a debit after the first of its instalment; a recovery is a retry that succeeded. The class is that of the
failure which the recovery makes good, the hour is that in which the outcome came (Asia/Kolkata).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from domain.failures import CLASSES
from domain.money import share_percent

RECOVERED_BY = {"class": "failure_class", "bank": "bank", "hour": "hour", "attempt": "attempt"}
"""How recoveries are told apart, and the column that says it."""
ROWS = (
    "SELECT outcome, failure_class, bank, hour, attempt, sum(count)::bigint AS count, sum(paise)::bigint AS paise"
    " FROM dashboard.debits WHERE ($1::date IS NULL OR day >= $1) AND ($2::date IS NULL OR day <= $2)"
    " GROUP BY 1, 2, 3, 4, 5"
)


async def recoveries(
    database: asyncpg.Pool | asyncpg.Connection | PoolConnectionProxy,
    since: date | None = None,
    until: date | None = None,
) -> dict[str, Any]:
    """`told` of the debits answered on these days, both included; None: of all."""
    return told(await database.fetch(ROWS, since, until))


async def by_link(
    database: asyncpg.Pool | asyncpg.Connection | PoolConnectionProxy,
    since: date | None = None,
    until: date | None = None,
) -> dict[str, int]:
    """Payments by payment links on these days: `links` and `links_paise`."""
    row = await database.fetchrow(
        "SELECT coalesce(sum(count), 0)::bigint AS links, coalesce(sum(paise), 0)::bigint AS links_paise"
        " FROM dashboard.daily WHERE metric = 'collected' AND kind = 'link'"
        " AND ($1::date IS NULL OR day >= $1) AND ($2::date IS NULL OR day <= $2)",
        since,
        until,
    )
    assert row is not None  # sums are always one row
    return dict(row)


def told(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts, paise and percent: in all, and by each of `RECOVERED_BY`."""
    return {
        **figures(rows),
        **{f"by_{name}": by(rows, name, column) for name, column in RECOVERED_BY.items()},
    }


def by(rows: Sequence[Mapping[str, Any]], name: str, column: str) -> list[dict[str, Any]]:
    """One entry a value that had a failure or a retry, in order."""
    groups: dict[Any, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["outcome"] == "failed" or again(row):
            groups.setdefault(row[column], []).append(row)
    if name == "class":
        found = [{name: value, **figures(groups[value])} for value in (*CLASSES, "") if value in groups]
    else:
        found = [{name: value, **figures(groups[value])} for value in sorted(groups)]
    if name == "class":  # which failure an unsuccessful retry was about is not kept: the share is of the failures
        for one in found:
            one["retried"] = None
            one["percent"] = share_percent(one["recovered"], one["failed"], places=1)
    return found


def figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Failures, answered retries, and what these brought."""
    failed = [row for row in rows if row["outcome"] == "failed"]
    retried = [row for row in rows if again(row)]
    brought = [row for row in retried if row["outcome"] == "succeeded"]
    return {
        "failed": counted(failed),
        "failed_paise": summed(failed),
        "retried": counted(retried),
        "recovered": counted(brought),
        "recovered_paise": summed(brought),
        "percent": share_percent(counted(brought), counted(retried), places=1),
    }


def again(row: Mapping[str, Any]) -> bool:
    """Whether it is an answered retry."""
    return row["attempt"] > 1 and row["outcome"] != "attempted"


def counted(rows: Sequence[Mapping[str, Any]]) -> int:
    return sum(row["count"] for row in rows)


def summed(rows: Sequence[Mapping[str, Any]]) -> int:
    return sum(row["paise"] for row in rows)
