"""Engines are killed at any moment and at the worst ones: nothing is lost, nothing counts twice."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from adapters.embedded.broker import Broker
from adapters.settings import Settings
from tests.integration.world import Engine, Traffic, all_read, check_everything, settle_in

pytestmark = [pytest.mark.slow, pytest.mark.broker, pytest.mark.timeout(400)]

WORST_MOMENTS = (
    "after reroute",  # sent on to its owner, and not accounted for here
    "before commit",
    "after copy",  # amid the transaction
    "after commit",  # in the log, and nobody has been told
    "amid publishing",  # told in part
    "after acknowledgement",  # told, and it is noted nowhere
    "after hand-over",
)
KILLS = int(os.environ.get("QIST_TEST_KILLS", "52"))
"""On each broker."""
IN_THE_GROUP = KILLS // 13
SEED = 11


async def test_killed_engines_lose_nothing_and_do_nothing_twice(
    database: str, new_broker: Broker, tmp_path: Path
) -> None:
    settings = await settle_in(database, new_broker.bootstrap, tmp_path, session_timeout_ms=6_000)
    enough = asyncio.Event()
    async with Traffic(settings, SEED) as traffic:
        flow = asyncio.create_task(traffic.flow(enough))
        each = (KILLS - IN_THE_GROUP) // 2
        first, second = await asyncio.gather(
            kill_again_and_again(settings, "0-1", each, Random(SEED)),
            kill_again_and_again(settings, "2-3", each, Random(SEED + 1)),
        )
        await kill_members(settings, IN_THE_GROUP, Random(SEED))
        enough.set()
        await flow
    last = Engine(settings, "last", partitions="0-3")
    await all_read(settings)
    assert await last.stop() == 0, last.said
    seen = await check_everything(settings, traffic.books)
    met = Counter([*first, *second])
    print(
        f"{KILLS} kills, of them {dict(met)}; {len(traffic.loans)} loans, {traffic.books.records.total()} messages,"
        f" {len(seen.inbound)} records, {len(seen.events)} events, {len(seen.published)} published"
    )
    assert len(met) > len(WORST_MOMENTS) // 2
    assert len(seen.snapshots) > 0
    assert len(seen.inbound) > traffic.books.records.total()  # some were sent on to their owners


async def kill_again_and_again(settings: Settings, partitions: str, kills: int, dice: Random) -> list[str]:
    """One engine after the other on the same partitions: half die whenever it is, half at one of the worst moments,
    unless that does not come in time. Those that came."""
    met: list[str] = []
    for number in range(kills):
        moment = WORST_MOMENTS[number // 2 % len(WORST_MOMENTS)] if number % 2 else ""
        crash_at = f"{moment}:{dice.randint(1, 3)}"
        engine = Engine(settings, f"engine-{partitions}", partitions=partitions, crash_at=crash_at)
        try:
            if not moment:
                assert await engine.claimed(), engine.said
                await asyncio.sleep(dice.uniform(0, 0.6))
            elif await engine.died(8):
                met.append(moment)
        finally:
            engine.kill()
    return met


async def kill_members(settings: Settings, kills: int, dice: Random) -> None:
    """Two members of the consumer group, of which one dies and is replaced, again and again."""
    members = [Engine(in_group(settings, name), name) for name in ("one", "other")]
    try:
        for number in range(kills):
            assert await members[number % 2].claimed(), members[number % 2].said
            await asyncio.sleep(dice.uniform(0, 0.6))
            members[number % 2].kill()
            name = members[number % 2].child.name
            members[number % 2] = Engine(in_group(settings, name), name)
    finally:
        for member in members:
            member.kill()


def in_group(settings: Settings, name: str) -> Settings:
    """A static member: who comes back under its name takes its partitions over at once."""
    return settings.model_copy(update={"instance": name})
