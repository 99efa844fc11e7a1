"""The streams role: settings in, the Faust worker out."""

from __future__ import annotations

import asyncio
import time

import structlog

from adapters.errors import Explained
from adapters.kafka_admin import create_topics
from adapters.readiness import announce_ready
from adapters.settings import Settings
from streams.faust_app import INTERNAL, CommitWatch, StreamsFailed, StreamsPlan, build_app, run_app
from streams.topics import TOPICS

log = structlog.get_logger("streams")

LOOK_SECONDS = 10.0
STILL_LOOKS = 12
"""Looks without a commit, while there is something to commit, after which the worker is given up."""


async def run_streams(settings: Settings, stop: asyncio.Event) -> None:
    """Fan out what the LOS tells, and keep the payment insights, until `stop`."""
    if settings.kafka_bootstrap is None:
        raise Explained("no broker: set QIST_KAFKA_BOOTSTRAP, or start everything together with `qist up`")
    began = time.monotonic()
    made = await create_topics(settings, settings.kafka_bootstrap, (*TOPICS, *INTERNAL))
    plan = StreamsPlan(
        bootstrap=settings.kafka_bootstrap,
        partitions=settings.partitions,
        replication_factor=settings.replication_factor,
        data_dir=settings.data_dir / "streams",
        session_timeout=settings.session_timeout_ms / 1000,
        instance=settings.instance,
        client_options=settings.kafka_client_options(),
    )
    app = build_app(plan)
    log.info("starting", broker=plan.bootstrap, partitions=plan.partitions, topics_made=len(made))

    restored = asyncio.Event()

    def ready() -> None:
        restored.set()
        announce_ready()
        log.info("ready", seconds=round(time.monotonic() - began, 1))

    running = asyncio.create_task(run_app(app, stop, ready))
    watch = CommitWatch(app)
    try:
        while not (await asyncio.wait({running}, timeout=LOOK_SECONDS))[0]:
            behind = await watch.look() if restored.is_set() else 0
            if behind:
                log.info("commits", behind=behind)
            if watch.still >= STILL_LOOKS:
                seconds = round(STILL_LOOKS * LOOK_SECONDS)
                raise StreamsFailed(f"{behind} records are waiting and nothing was committed for {seconds} s")
        await running
    finally:
        stop.set()
        await asyncio.wait({running})
    log.info("stopped")
