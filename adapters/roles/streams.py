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
    watching = asyncio.create_task(watch_commits(CommitWatch(app), restored, stop))
    try:
        await asyncio.wait({running, watching}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.set()
        watching.cancel()
        await asyncio.wait({running, watching})
    await running
    if not watching.cancelled():
        await watching
    log.info("stopped")


async def watch_commits(watch: CommitWatch, restored: asyncio.Event, stop: asyncio.Event) -> None:
    """Log how far commits are behind; raise when they stand still, so that whoever started us starts us again."""
    await restored.wait()
    while watch.still < STILL_LOOKS:
        await asyncio.sleep(LOOK_SECONDS)
        looking = asyncio.create_task(watch.look())
        await asyncio.wait({looking}, timeout=LOOK_SECONDS)
        if not looking.done() or looking.cancelled() or looking.exception() is not None:
            looking.cancel()  # the broker is away, or partitions move: the worker's business, not the watch's
            if not stop.is_set():
                log.warning("cannot see the commits")
            continue
        behind = looking.result()
        if behind:
            log.info("commits", behind=behind)
    raise StreamsFailed(f"records are waiting and nothing was committed for {LOOK_SECONDS * STILL_LOOKS:.0f} s")
