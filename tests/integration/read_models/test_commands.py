"""The commands as a person runs them: qist projector, rebuild, replay and audit verify, each a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from domain.events import LoanEvent
from projections.registry import ALL
from tests.integration.read_models.books import PARTITIONS, a_projector, catch_up, reached, write_log

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


async def start(dsn: str, *words: str) -> asyncio.subprocess.Process:
    environment = {**os.environ, "QIST_DATABASE_URL": dsn, "QIST_PARTITIONS": str(PARTITIONS)}
    environment.pop("QIST_KAFKA_BOOTSTRAP", None)
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "adapters.cli.main", *words),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def qist(dsn: str, *words: str) -> tuple[int | None, str, str]:
    """Exit status, stdout, stderr."""
    process = await start(dsn, *words)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode(), err.decode()


async def qist_json(dsn: str, *words: str) -> tuple[int | None, dict[str, Any]]:
    status, out, err = await qist(dsn, *words, "--json")
    assert out, err
    return status, json.loads(out)


async def test_the_projector_keeps_up_survives_kill_and_stops_when_told(
    house: str, pool: asyncpg.Pool, history: list[LoanEvent]
) -> None:
    writer = await write_log(house, history[: len(history) // 2])
    first = await start(house, "projector")
    await reached(pool, 1)
    first.kill()
    await first.wait()
    await write_log(house, history[len(history) // 2 :], writer)
    second = await start(house, "projector", "--partitions", f"0-{PARTITIONS - 1}")
    await reached(pool, len(history))
    second.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(second.wait(), 10) == 0
    status, answer = await qist_json(house, "audit", "verify")
    assert (status, answer["ok"], answer["differences"]) == (0, True, [])
    assert (answer["events"], answer["trial_balance_paise"]) == (len(history), 0)


async def test_rebuild_says_how_fast_it_was(house: str, pool: asyncpg.Pool, history: list[LoanEvent]) -> None:
    await write_log(house, history)
    status, answer = await qist_json(house, "rebuild", "ledger")
    assert (status, answer["events"]) == (0, len(history))
    assert answer["events_per_second"] > 0
    assert await pool.fetchval("SELECT count(*) FROM ledger.journal") > 500
    status, _, said = await qist(house, "rebuild", "cashbook")
    assert status == 2
    assert f"there are {', '.join(projection.name for projection in ALL)}" in said


async def test_an_audit_that_finds_something_exits_1_and_names_it(
    house: str, pool: asyncpg.Pool, history: list[LoanEvent]
) -> None:
    await write_log(house, history)
    await catch_up(pool, a_projector(pool))
    superuser = await asyncpg.connect(house)
    row = await superuser.fetchrow(
        "UPDATE events SET actor = 'nobody' WHERE (partition, position) = (1, 30) RETURNING loan_id, version"
    )
    await superuser.close()
    status, out, _ = await qist(house, "audit", "verify")
    assert status == 1
    assert f"loan {row['loan_id']} version {row['version']} at 1:30: the hash does not match" in out
    status, answer = await qist_json(house, "audit", "verify", "--loan", row["loan_id"])
    assert (status, [one["what"] for one in answer["differences"]]) == (
        1,
        ["the hash does not match what is stored: the event, or one before it, was changed"],
    )
    status, answer = await qist_json(house, "audit", "verify", "--loan", "LN-nobody")
    assert (status, answer["differences"][0]["what"]) == (1, "has no events")


async def test_replay_shows_a_loan_now_and_back_then(house: str, history: list[LoanEvent]) -> None:
    await write_log(house, history)
    status, answer = await qist_json(house, "replay", "LN-5")
    assert status == 0
    life = [event for event in history if event.originator_id == "LN-5"]
    assert answer["loan"]["version"] == answer["events"] == len(life)
    status, then = await qist_json(house, "replay", "LN-5", "--at", life[1].timestamp.isoformat())
    assert then["loan"]["version"] < len(life)
    assert then["loan"]["as_of"] == life[1].timestamp.isoformat()
    status, out, _ = await qist(house, "replay", "LN-5", "--at", "2026-03-01")
    assert status == 0
    assert "as of 2026-03-01T23:59:59+05:30" in out
    assert (await qist(house, "replay", "LN-5", "--at", "yesterday"))[0] == 2
    assert (await qist(house, "replay", "LN-none"))[0] == 1
