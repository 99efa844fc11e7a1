"""The Faust app of the `streams` role: its settings, its life, and whether its commits keep up."""
# pyright: basic

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import faust
from faust.auth import SASLCredentials, SSLCredentials

from streams.borrower_standing import add_borrower_standing
from streams.faust_ends import Consumer
from streams.faust_records import Table, Topics
from streams.gateway_health import ANSWERS, add_gateway_health
from streams.insights import OUTCOMES, add_insights
from streams.los_sync import add_los_sync
from streams.topics import BORROWER_LOANS, LOAN_STANDINGS, PROJECTION_DASHBOARD, UPDATES, Topic

GROUP = "qist-streams"
"""Consumer group and name of the app: it begins the names of its changelog topics, so it never changes."""

CONSUMED = (BORROWER_LOANS, UPDATES, LOAN_STANDINGS, PROJECTION_DASHBOARD, OUTCOMES, ANSWERS)
INTERNAL = (
    OUTCOMES,
    ANSWERS,
    Topic(f"{GROUP}-borrower-loans-changelog", "borrower_id", compacted=True),
    Topic(f"{GROUP}-borrower-standings-changelog", "borrower_id", compacted=True),
    Topic(f"{GROUP}-latest-updates-changelog", "borrower_id", compacted=True),
    Topic(f"{GROUP}-outcome-counts-changelog", "dimension", compacted=True),
    Topic(f"{GROUP}-gateway-circuits-changelog", "gateway|rail", compacted=True),
)
"""Topics of this role's own; as many partitions as the others, since Faust assigns them together."""

STOP_SECONDS = 5.0
"""As long as an orderly end may take; what is cut off then is done again by the next worker."""


class StreamsFailed(RuntimeError):
    """The worker stopped by itself: the message says why."""


@dataclass(frozen=True, kw_only=True)
class StreamsPlan:
    """What the app must be told."""

    bootstrap: str
    partitions: int
    data_dir: Path
    replication_factor: int = 1
    session_timeout: float = 6.0
    """Seconds. Short: on the embedded broker a join takes half of it."""
    instance: str | None = None
    """This replica's stable name; makes it a static member of the group."""
    client_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Security, as aiokafka's clients take it."""


def build_app(plan: StreamsPlan) -> faust.App:
    """The app with its tables and agents. Call it in the event loop that will run it."""
    app = faust.App(
        GROUP,
        broker=[f"kafka://{server.strip()}" for server in plan.bootstrap.split(",")],
        broker_credentials=credentials(plan.client_options),
        broker_session_timeout=plan.session_timeout,
        broker_heartbeat_interval=plan.session_timeout / 3,
        broker_max_poll_interval=300.0,
        broker_commit_interval=1.0,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=plan.instance,
        producer_acks=-1,
        producer_linger=0.005,
        producer_max_batch_size=256 * 1024,
        # 20 minutes by default: much too long to find out that a record's effects cannot be sent.
        producer_request_timeout=30.0,
        processing_guarantee="at_least_once",
        datadir=plan.data_dir,
        store="memory://",
        Table=Table,
        table_standby_replicas=0,
        topic_partitions=plan.partitions,
        topic_replication_factor=plan.replication_factor,
        topic_allow_declare=False,  # topics are made in one place, with the right shape: see `INTERNAL`
        topic_disable_leader=True,
        stream_wait_empty=False,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    cast(Any, app.transport).Consumer = Consumer
    topics = Topics(app)
    add_los_sync(app, topics, plan.partitions)
    add_borrower_standing(app, topics, plan.partitions)
    add_insights(app, topics, plan.partitions)
    add_gateway_health(app, topics, plan.partitions)
    return app


def credentials(options: Mapping[str, Any]) -> SSLCredentials | SASLCredentials | None:
    """aiokafka's security options as Faust takes them."""
    protocol, context = options.get("security_protocol", "PLAINTEXT"), options.get("ssl_context")
    if protocol.startswith("SASL"):
        return SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=context,
        )
    return SSLCredentials(context) if protocol == "SSL" else None


async def run_app(app: faust.App, stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Run until `stop`; `StreamsFailed` when the app ends by itself. `ready` is called when its tables are restored."""

    async def on_startup_finished() -> None:
        ready()

    app.on_startup_finished = on_startup_finished
    starting = asyncio.create_task(app.start())
    ending = asyncio.create_task(app.wait_until_stopped())
    stopping = asyncio.create_task(stop.wait())
    try:
        while not (ending.done() or stopping.done()):
            waited_for = {ending, stopping} if starting.done() else {starting, ending, stopping}
            await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
            if starting.done() and (error := starting.exception()) is not None:
                raise StreamsFailed(f"the streams worker does not start: {error!r}") from error
    finally:
        for task in (starting, ending, stopping):
            task.cancel()
        await asyncio.wait({asyncio.ensure_future(app.stop())}, timeout=STOP_SECONDS)
    if app.crashed:
        raise StreamsFailed(f"the streams worker crashed: {app.crash_reason!r}") from app.crash_reason


class CommitWatch:
    """How far commits are behind. Faust has stopped committing before, in silence (its issues 175 and 596)."""

    def __init__(self, app: faust.App) -> None:
        self._app = app
        self._last: dict[Any, int] = {}
        self.still = 0
        """Looks in a row at which something was behind and no commit had moved."""

    async def look(self) -> int:
        """Records of our partitions that are on the broker and not committed; what has expired there does not count."""
        consumer: Any = self._app.consumer
        consumed = {topic.name for topic in CONSUMED}
        ours = [tp for tp in consumer.assignment() if tp.topic in consumed]
        if not ours:
            self.still = 0
            return 0
        firsts, ends = await consumer.earliest_offsets(*ours), await consumer.reported_ends(*ours)
        done = await consumer.committed(*ours)
        committed = {tp: max(done.get(tp, 0), firsts.get(tp) or 0) for tp in ours}
        behind = sum(max(0, (ends.get(tp) or 0) - committed[tp]) for tp in ours)
        moved = committed != self._last
        self._last = committed
        self.still = self.still + 1 if behind and not moved else 0
        return behind
