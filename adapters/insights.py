"""What the whole book's debits say, read from the read models as of the start of a day."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, timedelta

import asyncpg

from domain.failures import SUCCESS
from domain.policies.insight import DAYS, Insight, Way
from streams.database_away import DATABASE_AWAY
from streams.ports import LogUnreachable


class DashboardInsights:
    """The counts of `dashboard.debits`, and of recoveries in `dashboard.daily`; whole days before the one asked for."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def as_of(self, day: date) -> Insight:
        if day.toordinal() <= DAYS:
            return Insight(day)  # a stepped clock that has not been set
        try:
            rows = await self._pool.fetch(
                "SELECT day, bank, rail, gateway, hour, outcome, failure_class, sum(count)::bigint AS count"
                " FROM dashboard.debits WHERE day >= $1 AND day < $2 AND outcome <> 'attempted'"
                " GROUP BY 1, 2, 3, 4, 5, 6, 7",
                day - timedelta(days=DAYS),
                day,
            )
            took = await self._pool.fetch(
                "SELECT day, kind::int AS days, sum(count)::bigint AS count FROM dashboard.daily"
                " WHERE metric = 'recovered_after_days' AND day >= $1 AND day < $2 GROUP BY 1, 2",
                day - timedelta(days=DAYS),
                day,
            )
        except asyncpg.UndefinedTableError:
            return Insight(day)  # no projector has been here yet
        except (*DATABASE_AWAY, asyncpg.PostgresError) as error:
            raise LogUnreachable(repr(error)) from error
        return insight_of(rows, day, took)


def insight_of(rows: Iterable[asyncpg.Record], day: date, took: Iterable[asyncpg.Record] = ()) -> Insight:
    """From rows of counts by day, way and outcome, and of recoveries by day and the days that they took."""
    days: defaultdict[date, Counter[tuple[Way, str]]] = defaultdict(Counter)
    for row in rows:
        way = Way(row["bank"], row["rail"], row["gateway"], row["hour"])
        outcome = SUCCESS if row["outcome"] == "succeeded" else row["failure_class"]
        days[row["day"]][way, outcome] += row["count"]
    return Insight.from_days(days, day, {(row["day"], row["days"]): row["count"] for row in took})
