"""The portfolio: its numbers, its delinquency, and the stream of both for whoever watches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query, Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from adapters import casework, failure_analysis, recoveries
from adapters.http import models
from adapters.http.answers import Cursor, Limit, decode, json, local, page, plain
from adapters.http.desk import AtDesk, Desk
from adapters.http.lag import lag
from adapters.http.phrases import TONES, phrase
from adapters.http.problems import Problem
from domain.calendar import ist_day
from domain.decisions.standing import last_day_end
from domain.failures import CLASSES, TABLES_OF_RAIL
from domain.money import share_percent

router = APIRouter(tags=["portfolio"])

STAGES = ("booked", "active", "closed", "written_off", "cancelled")
DAYS_SHOWN = 90
LATEST = 9
PING_SECONDS = 15

SSE_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


@router.get("/dashboard", summary="The portfolio's numbers", responses=models.ok(models.Dashboard))
async def show_dashboard(desk: AtDesk) -> Response:
    """As of now. Sums are kept by day, so that this costs the same for any number of events."""
    return json(await dashboard(desk))


@router.get(
    "/dashboard/stream",
    summary="The same, as it changes",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Server-sent events named `dashboard`."}},
)
async def stream_dashboard(desk: AtDesk) -> EventSourceResponse:
    """About once a second, one event `dashboard` with the whole of GET /dashboard."""

    async def events() -> AsyncIterator[ServerSentEvent]:
        async for frame in desk.live.watch():
            yield ServerSentEvent(orjson.dumps(frame.data).decode(), event="dashboard", id=str(frame.number))

    return EventSourceResponse(events(), headers=SSE_HEADERS, ping=PING_SECONDS)


@router.get("/dashboard/recovery", summary="What became of failed debits", responses=models.ok(models.Recovery))
async def show_recovery(
    desk: AtDesk,
    since: Annotated[date | None, Query(description="Debits answered on this day or later.")] = None,
    until: Annotated[date | None, Query(description="Debits answered on this day or earlier.")] = None,
) -> Response:
    """Failures, retries and what these brought, by the class of the failure, the bank, the hour in which the outcome
    came and the number of the attempt. Of all days unless limited."""
    return json({"since": since, "until": until, **await recoveries.recoveries(desk.pool, since, until)})


@router.get("/dashboard/failures", summary="Why debits fail", responses=models.ok(models.Failures))
async def show_failures(
    desk: AtDesk,
    by: failure_analysis.By = "code",
    since: Annotated[date | None, Query(description="Answered on this day or later; else 30 days back.")] = None,
    until: Annotated[date | None, Query(description="Answered on this day or earlier; else today.")] = None,
    failure_class: Annotated[Literal["soft", "hard", "technical"] | None, Query(alias="class")] = None,
    code: str | None = None,
    bank: str | None = None,
    rail: str | None = None,
    gateway: str | None = None,
) -> Response:
    """Debits that were answered, and what failed of them. A class or a code limits what counts as failed; a bank, a
    rail or a gateway limits which debits are looked at. Percentages are of all that was answered."""
    last = until or ist_day(await desk.now())
    first = since or last - timedelta(days=29)
    told = await failure_analysis.failures(
        desk.pool,
        await desk.codes(),
        by=by,
        since=first,
        until=last,
        failure_class=failure_class,
        code=code,
        bank=bank,
        rail=rail,
        gateway=gateway,
    )
    return json({"since": first, "until": last, **told})


@router.get("/dashboard/patterns", summary="What fails more than it used to", responses=models.ok(models.PatternList))
async def show_patterns(desk: AtDesk) -> Response:
    """Banks, rails, gateways, hours and codes that depart from their own history, found by themselves: the last 7 days
    against the 60 before, and how sure that is."""
    today = ist_day(await desk.now())
    return json({"as_of": today, "items": await failure_analysis.found(desk.pool, today)})


@router.get("/delinquency", summary="Who is late, and how late", responses=models.ok(models.DelinquencyPage))
async def show_delinquency(
    request: Request,
    desk: AtDesk,
    bucket: str | None = None,
    classification: str | None = None,
    min_dpd: Annotated[int, Query(ge=1, description="Days past due at least.")] = 1,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The portfolio by bucket and classification, and the loans that are past due, the latest first."""
    as_of, ageing, late = await late_loans(
        desk, bucket=bucket, classification=classification, min_dpd=min_dpd, limit=limit + 1, cursor=cursor
    )
    return page(
        request,
        late,
        limit,
        lambda loan: [loan["oldest_unpaid_due_on"].isoformat(), loan["loan_id"]],
        as_of=as_of,
        ageing=ageing,
    )


async def late_loans(
    desk: Desk,
    *,
    limit: int,
    bucket: str | None = None,
    classification: str | None = None,
    min_dpd: int = 1,
    cursor: str | None = None,
) -> tuple[date, list[dict[str, Any]], list[dict[str, Any]]]:
    """(the day-end that counts, the whole book by bucket and class, the loans past due after a cursor)."""
    after = decode(cursor, str, str)
    since, loan_id = (readable_date(after[0]), after[1]) if after else (date.min, "")
    as_of = last_day_end(await desk.now())
    rows = await desk.pool.fetch(
        "SELECT loan_id, borrower_id, product, oldest_unpaid_due_on, dpd, overdue_principal_paise,"
        " overdue_interest_paise, overdue_charges_paise, overdue_paise, excess_paise, principal_paise, classification,"
        " bucket FROM delinquency.standing($1) WHERE stage = 'active' AND dpd >= $2"
        " AND (oldest_unpaid_due_on, loan_id) > ($3, $4) AND ($6::text IS NULL OR bucket = $6)"
        " AND ($7::text IS NULL OR classification = $7) ORDER BY oldest_unpaid_due_on, loan_id LIMIT $5",
        as_of,
        min_dpd,
        since,
        loan_id,
        limit,
        bucket,
        classification,
    )
    ageing = await desk.pool.fetch("SELECT * FROM delinquency.ageing($1) ORDER BY dpd_max, bucket", as_of)
    return as_of, [plain(row) for row in ageing], [plain(row) for row in rows]


def readable_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Problem(422, "cursor-invalid", "The cursor is none of ours; begin again without one.") from None


# --- The numbers ---------------------------------------------------------------------------------------------


async def dashboard(desk: Desk) -> dict[str, Any]:
    """Everything that the overview shows, in one look."""
    now = await desk.now()
    today = ist_day(now)
    await desk.codes()
    behind = await lag(desk.pool, desk.ends, desk.partitions)
    async with desk.pool.acquire() as connection, connection.transaction(readonly=True, isolation="repeatable_read"):
        stages = await connection.fetch(
            "SELECT stage, count(*) AS loans, sum(principal_paise)::bigint AS paise FROM loan_view.loans GROUP BY 1"
        )
        totals = await connection.fetch(
            "SELECT metric, sum(paise)::bigint AS paise, sum(count)::bigint AS count,"
            " coalesce(sum(paise) FILTER (WHERE day = $1), 0)::bigint AS paise_today,"
            " coalesce(sum(count) FILTER (WHERE day = $1), 0)::bigint AS count_today FROM dashboard.daily GROUP BY 1",
            today,
        )
        debits = await connection.fetch(
            "SELECT outcome, failure_class, sum(count)::bigint AS count,"
            " coalesce(sum(count) FILTER (WHERE day = $1), 0)::bigint AS today FROM dashboard.debits GROUP BY 1, 2",
            today,
        )
        codes = await connection.fetch(
            "SELECT rail, code, failure_class, sum(count)::bigint AS count, sum(paise)::bigint AS paise"
            " FROM dashboard.debits WHERE outcome = 'failed' AND day > $1 GROUP BY 1, 2, 3 ORDER BY 4 DESC, 2 LIMIT 6",
            today - timedelta(days=DAYS_SHOWN),
        )
        banks = await connection.fetch(
            "SELECT bank, sum(count) FILTER (WHERE outcome = 'succeeded')::bigint AS succeeded,"
            " sum(count) FILTER (WHERE outcome = 'failed')::bigint AS failed FROM dashboard.debits"
            " WHERE outcome <> 'attempted' AND day > $1 GROUP BY 1 ORDER BY sum(count) DESC, 1 LIMIT 8",
            today - timedelta(days=DAYS_SHOWN),
        )
        days = await days_of(connection, today)
        arms = await casework.arms(connection)
        ageing = await connection.fetch("SELECT * FROM delinquency.ageing($1)", last_day_end(now))
        parked = await connection.fetchval("SELECT count(*) FROM parked")
        letters = await connection.fetchval("SELECT count(*) FROM dead_letters WHERE retried_at IS NULL")
        events = await connection.fetchval("SELECT coalesce(sum(position), 0)::bigint FROM partitions")
        latest = await latest_events(connection)
    by_stage = {row["stage"]: row for row in stages}
    sums = {row["metric"]: row for row in totals}
    return {
        "as_of": now,
        "day": today,
        "clock": clock_told(desk),
        "loans": {
            "total": sum(row["loans"] for row in stages),
            "by_stage": {stage: by_stage[stage]["loans"] if stage in by_stage else 0 for stage in STAGES},
        },
        "principal_outstanding_paise": by_stage["active"]["paise"] if "active" in by_stage else 0,
        "overdue_paise": sum(row["overdue_paise"] for row in ageing),
        "disbursed_paise": paise(sums, "disbursed"),
        "collected_paise": paise(sums, "collected") - paise(sums, "reversed"),
        "recovered_after_retry_paise": paise(sums, "recovered_after_retry"),
        "today": {
            "disbursed_paise": paise(sums, "disbursed", "paise_today"),
            "collected_paise": paise(sums, "collected", "paise_today") - paise(sums, "reversed", "paise_today"),
            "fell_due_paise": paise(sums, "fell_due", "paise_today"),
            "recovered_after_retry_paise": paise(sums, "recovered_after_retry", "paise_today"),
            "debits": debits_told(debits, "today"),
        },
        "debits": debits_told(debits, "count"),
        "buckets": shares(ageing, "bucket", bands(desk, "buckets")),
        "classifications": shares(ageing, "classification", bands(desk, "classes")),
        "failure_codes": [{**plain(row), "meaning": meaning_of(desk, row["rail"], row["code"])} for row in codes],
        "banks": [
            {
                "bank": row["bank"] or "not told",
                "succeeded": row["succeeded"] or 0,
                "failed": row["failed"] or 0,
                "success_percent": percent(row["succeeded"] or 0, row["failed"] or 0),
            }
            for row in banks
        ],
        "collections": arms,
        "days": days,
        "set_aside": {"parked": parked, "dead_letters": letters},
        "lag": behind.told(),
        "events": {"total": events, "latest": latest},
    }


def paise(sums: dict[str, Any], metric: str, which: str = "paise") -> int:
    return sums[metric][which] if metric in sums else 0


def debits_told(rows: list[Any], which: str) -> dict[str, Any]:
    counts = {(row["outcome"], row["failure_class"]): row[which] for row in rows}
    succeeded = sum(count for (outcome, _), count in counts.items() if outcome == "succeeded")
    failed = {kind: counts.get(("failed", kind), 0) for kind in CLASSES}
    return {
        "attempted": counts.get(("attempted", ""), 0),
        "succeeded": succeeded,
        "failed": failed,
        "success_percent": percent(succeeded, sum(failed.values())),
    }


def percent(succeeded: int, failed: int) -> str | None:
    """Of the answered ones, those that brought money; nothing can be said of none."""
    return share_percent(succeeded, succeeded + failed, places=1)


def bands(desk: Desk, which: str) -> list[str]:
    """The names of buckets or classes in the order of lateness, over all products."""
    found = {
        (first, name) for product in desk.rules.products.by_version.values() for first, name in getattr(product, which)
    }
    return list(dict.fromkeys(name for _, name in sorted(found)))


def shares(rows: list[Any], dimension: str, names: list[str]) -> list[dict[str, Any]]:
    """Active loans by one dimension of their standing, each of its values once and in order."""
    empty = {"loans": 0, "principal_paise": 0, "overdue_paise": 0}
    told = {name: {dimension: name, **empty} for name in names}
    for row in rows:
        name = row[dimension] or names[0]
        into = told.setdefault(name, {dimension: name, **empty})
        for figure in empty:
            into[figure] += row[figure]
    return list(told.values())


def meaning_of(desk: Desk, rail: str, code: str) -> str:
    return desk.rules.codes.diagnose(rail, code).meaning if rail in TABLES_OF_RAIL else "a rail that no table knows"


def clock_told(desk: Desk) -> dict[str, Any]:
    """Whose time counts here."""
    speed = desk.settings.clock_speed if desk.settings.clock == "simulated" else None
    return {"kind": desk.settings.clock, "speed": speed}


async def days_of(connection: Any, today: date) -> list[dict[str, Any]]:
    """The last days one by one: what fell due, what came in, how debits went."""
    since = today - timedelta(days=DAYS_SHOWN)
    sums = await connection.fetch(
        "SELECT day, sum(paise) FILTER (WHERE metric = 'fell_due')::bigint AS fell_due_paise,"
        " sum(CASE metric WHEN 'collected' THEN paise WHEN 'reversed' THEN -paise END)::bigint AS collected_paise,"
        " sum(paise) FILTER (WHERE metric = 'disbursed')::bigint AS disbursed_paise"
        " FROM dashboard.daily WHERE day > $1 AND day <= $2 GROUP BY 1",
        since,
        today,
    )
    debits = await connection.fetch(
        "SELECT day, sum(count) FILTER (WHERE outcome = 'succeeded')::bigint AS succeeded,"
        " sum(count) FILTER (WHERE outcome = 'failed')::bigint AS failed"
        " FROM dashboard.debits WHERE day > $1 AND day <= $2 GROUP BY 1",
        since,
        today,
    )
    found: dict[date, dict[str, int]] = {}
    for row in (*sums, *debits):
        found.setdefault(row["day"], {}).update({name: value or 0 for name, value in row.items() if name != "day"})
    names = ("fell_due_paise", "collected_paise", "disbursed_paise", "succeeded", "failed")
    return [{"day": day, **{name: found[day].get(name, 0) for name in names}} for day in sorted(found)]


async def latest_events(connection: Any) -> list[dict[str, Any]]:
    """The newest events of all partitions: a few from the end of each, by its primary key."""
    rows = await connection.fetch(
        "SELECT e.partition, e.position, e.loan_id, e.topic, e.state, e.occurred_at FROM partitions p"
        " CROSS JOIN LATERAL (SELECT * FROM events WHERE partition = p.partition AND position > p.position - $1"
        " ORDER BY position DESC LIMIT $1) e ORDER BY e.recorded_at DESC, e.occurred_at DESC, e.position DESC LIMIT $1",
        LATEST,
    )
    return [
        {
            "position": f"{row['partition']}:{row['position']}",
            "loan_id": row["loan_id"],
            "type": row["topic"],
            "says": phrase(row["topic"], orjson.loads(row["state"])),
            "tone": TONES.get(row["topic"], "plain"),
            "occurred_at": local(row["occurred_at"]),
        }
        for row in rows
    ]
