"""Is it alive, is it ready, and the figures for Prometheus: from the database, without a label per loan."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.event_store.migrate import shipped
from adapters.http import models
from adapters.http.answers import json, route_of
from adapters.http.desk import AtDesk, Desk
from adapters.http.lag import lag
from adapters.http.reconciliation import open_differences

router = APIRouter(tags=["operations"])

REGISTRY = CollectorRegistry()
REQUESTS = Histogram(
    "qist_http_request_seconds",
    "How long requests took. A stream counts for as long as it was watched.",
    ("method", "route", "status"),
    registry=REGISTRY,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


@router.get("/healthz", summary="Alive?", responses=models.ok(models.Alive))
async def healthz() -> Response:
    """200 as long as this process answers at all."""
    return json({"status": "alive"})


@router.get("/readyz", summary="Ready?", responses=models.ok(models.Ready, also={503: models.Ready}))
async def readyz(desk: AtDesk) -> Response:
    """200 when database and broker answer and the database is up to date; says how far behind everybody is."""
    checks: dict[str, str] = {}
    behind: dict[str, int | None] = {}
    try:
        applied = {
            row["name"]: row["checksum"] for row in await desk.pool.fetch("SELECT name, checksum FROM migrations")
        }
        missing = [one.name for one in shipped() if applied.get(one.name) != one.checksum]
        checks["database"] = "ok"
        checks["migrations"] = f"not applied: {', '.join(missing)}" if missing else "ok"
        behind = (await lag(desk.pool, desk.ends, desk.partitions)).told()
        checks["broker"] = "unreachable" if behind["engine"] is None else "ok"
        checks["read_models"] = "missing: start `qist projector`" if behind["projector"] is None else "ok"
    except Exception as error:  # whatever it is, the answer is that we are not ready
        checks["database"] = f"unreachable ({type(error).__name__})"
    ready = len(checks) == 4 and all(check == "ok" for check in checks.values())
    return json({"ready": ready, "checks": checks, "lag": behind}, 200 if ready else 503)


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text format."}},
)
async def metrics(desk: AtDesk) -> Response:
    """Read from the database at this moment; each API server tells the same, but for its own requests."""
    families = await figures(desk)
    figures_now = CollectorRegistry()
    figures_now.register(Given(families))
    return Response(generate_latest(figures_now) + generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


class Given:
    """A collector that has collected already: the library cannot wait for a database."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


async def figures(desk: Desk) -> list[Metric]:
    """Everything that an alert could be made of."""
    now = await desk.now()
    behind = await lag(desk.pool, desk.ends, desk.partitions)
    async with desk.pool.acquire() as connection:
        house = await connection.fetchrow(
            "SELECT sum(position)::bigint AS events, sum(applied)::bigint AS applied,"
            " sum(repeated)::bigint AS repeated, sum(parked)::bigint AS parked,"
            " sum(dead_lettered)::bigint AS dead_lettered, sum(rerouted)::bigint AS rerouted,"
            " sum(unparked)::bigint AS unparked FROM partitions"
        )
        oldest_due = await connection.fetchval(
            "SELECT min(a.due_at) FROM partitions p CROSS JOIN LATERAL"
            " (SELECT due_at FROM agenda WHERE partition = p.partition ORDER BY due_at LIMIT 1) a"
        )
        waiting = await connection.fetchrow("SELECT count(*) AS rows, min(parked_at) AS oldest FROM parked")
        notices = await connection.fetchrow(
            "SELECT count(*) FILTER (WHERE state = 'planned') AS planned, count(*) FILTER (WHERE state = 'sending') AS"
            " sending, min(send_at) FILTER (WHERE state = 'planned') AS oldest FROM notices"
            " WHERE state IN ('planned', 'sending')"
        )
        letters = await connection.fetch(
            "SELECT reason, count(*) AS count FROM dead_letters WHERE retried_at IS NULL GROUP BY 1"
        )
        calls = await connection.fetch(
            "SELECT gateway, state, count(*) AS count, min(requested_at) FILTER (WHERE next_at IS NOT NULL) AS oldest"
            " FROM gateway_calls WHERE state <> 'answered' GROUP BY 1, 2"
        )
        untold = await connection.fetchval("SELECT count(*) FROM gateway_outcomes WHERE published_at IS NULL")
        lines = await connection.fetchval("SELECT count(*) FROM gateway_set_aside")
    gateways = GaugeMetricFamily(
        "qist_gateway_calls", "Orders without an outcome, by gateway and state.", labels=["gateway", "state"]
    )
    for row in calls:
        gateways.add_metric([row["gateway"], row["state"]], row["count"])
    unanswered = min((row["oldest"] for row in calls if row["oldest"]), default=None)
    differences = GaugeMetricFamily(
        "qist_reconciliation_differences",
        "Comparisons that do not match and nobody resolved.",
        labels=["level", "state"],
    )
    differing = GaugeMetricFamily(
        "qist_reconciliation_differences_paise", "By how much they differ, in all.", labels=["level", "state"]
    )
    oldest_difference = GaugeMetricFamily(
        "qist_reconciliation_age_seconds", "Business time since the oldest of them.", labels=["level", "state"]
    )
    for row in await open_differences(desk):
        differences.add_metric([row["level"], row["state"]], row["count"])
        differing.add_metric([row["level"], row["state"]], row["paise"])
        oldest_difference.add_metric([row["level"], row["state"]], age(row["oldest"], now))
    records = CounterMetricFamily("qist_inbound_records", "Inbound records by what became of them.", labels=["outcome"])
    for outcome in ("applied", "repeated", "parked", "dead_lettered", "rerouted", "unparked"):
        records.add_metric([outcome], house[outcome])
    open_letters = GaugeMetricFamily("qist_dead_letters", "Dead letters not sent again, by reason.", labels=["reason"])
    for row in letters:
        open_letters.add_metric([row["reason"]], row["count"])
    engine = GaugeMetricFamily("qist_engine_lag_records", "Records that the engine has not taken.", labels=["topic"])
    for topic, records_behind in (behind.engine or {}).items():
        engine.add_metric([topic], records_behind)
    projector = GaugeMetricFamily(
        "qist_projector_lag_events", "Events that a read model does not hold yet.", labels=["projection"]
    )
    for name, events_behind in behind.projectors.items():
        if events_behind is not None:
            projector.add_metric([name], events_behind)
    return [
        records,
        open_letters,
        engine,
        projector,
        differences,
        differing,
        oldest_difference,
        gauge("qist_broker_up", "Whether the broker says where its topics end.", behind.engine is not None),
        gauge("qist_publisher_lag_events", "Events that are not on servicing.loan-events yet.", behind.publisher),
        CounterMetricFamily("qist_events", "Events in the log.", value=house["events"]),
        gauge("qist_agenda_overdue_seconds", "Business time since the oldest due task.", age(oldest_due, now)),
        gauge("qist_parked_records", "Records that wait for their loan.", waiting["rows"]),
        gauge("qist_parked_age_seconds", "Business time since the oldest was parked.", age(waiting["oldest"], now)),
        gauge("qist_notices_planned", "Notices that wait for their hour.", notices["planned"]),
        gauge("qist_notices_sending", "Notices in the hands of a notifier.", notices["sending"]),
        gauge(
            "qist_notices_overdue_seconds",
            "Business time since the oldest planned notice was to go out.",
            age(notices["oldest"], now),
        ),
        gauge("qist_clock_seconds", "Business time, in seconds since 1970.", now.timestamp()),
        gateways,
        gauge(
            "qist_gateway_unanswered_age_seconds",
            "Real time since the oldest order without an outcome was taken.",
            age(unanswered, datetime.now(UTC)),
        ),
        gauge("qist_gateway_untold_outcomes", "Outcomes that are not on their topics yet.", untold),
        gauge("qist_gateway_set_aside", "Lines and files of gateways that could not be understood.", lines),
        gauge("qist_live_clients", "Clients of this server that watch the portfolio.", desk.live.clients),
    ]


def gauge(name: str, what: str, value: Any) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, what, value=float(value))


def age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


class Timed:
    """Wraps the app and observes each request by its route's pattern, never by what was asked for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            REQUESTS.labels(scope["method"], route_of(scope), str(status)).observe(time.perf_counter() - began)
