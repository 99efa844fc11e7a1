"""Who read what about whom: the access log, beside its own count of rows."""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson

from adapters.reports.report import Ask, Column, Report, Row
from domain.calendar import day_end, day_start

PREFETCH = 2_000


async def access_log(ask: Ask) -> AsyncIterator[Row]:
    query = (
        "SELECT number, at, who, subject, what, loan_id, borrower_id, detail FROM access_log"
        " WHERE at BETWEEN $1 AND $2 ORDER BY number"
    )
    until = day_end(ask.on).replace(microsecond=999_999)
    async for *said, detail in ask.connection.cursor(query, day_start(ask.since), until, prefetch=PREFETCH):
        yield *said, orjson.dumps(detail, option=orjson.OPT_SORT_KEYS).decode() if detail else ""


ACCESS_LOG = Report(
    name="access-log",
    title="Access to personal data",
    says="Who read what about whom in the period, as it was written down before each answer: pages, the API and reports"
    " with personal data. Its days are those of real time, also where business time is simulated. It is about no"
    " money.",
    columns=(
        Column("number", "number", "rows are added and never changed; a gap is an answer that was never given"),
        Column("at", "instant", "real time"),
        Column("who", "text"),
        Column("subject", "text", "the person or key behind the name"),
        Column("what", "text", "route or command"),
        Column("loan_id", "text"),
        Column("borrower_id", "text"),
        Column("detail", "text", "parameters, as JSON"),
    ),
    rows=access_log,
    checks=(),
    reads=(),
    period="month",
    real_time=True,
    personal=True,
)
REPORTS: tuple[Report, ...] = (ACCESS_LOG,)
