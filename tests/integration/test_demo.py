"""`qist demo`: months of a loan book from a seed, the same money each time, and books that reconcile at any end."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.broker, pytest.mark.timeout(250)]

MONEY = (
    "loans", "loans_closed", "applied", "repeated", "dead_letters", "events", "debits", "disbursed_paise",
    "collected_paise", "principal_outstanding_paise", "recovered_after_retry_paise", "recovery", "cases", "promises",
    "collections",
)  # fmt: skip


async def demo(*arguments: str) -> tuple[int | None, str, str]:
    """Exit status, stdout and stderr of a demo on ports of its own."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "adapters.cli.main", "demo", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=os.environ,
    )  # fmt: skip
    try:
        out, err = await started.communicate()
    finally:
        if started.returncode is None:
            started.terminate()
            await started.wait()
    return started.returncode, out.decode(), err.decode()


async def summary(*arguments: str) -> dict[str, Any]:
    """What a demo says in the end: one JSON document and nothing else."""
    status, out, err = await demo(*arguments, "--json")
    assert status == 0, err
    return json.loads(out)


def documented_decision() -> dict[str, Any]:
    """The decision that docs/recovery.md explains, with the very command of this file."""
    page = (Path(__file__).parents[2] / "docs" / "recovery.md").read_text()
    assert "qist demo --loans 40 --months 3 --seed 3 --json" in page
    return json.loads(page.split("**A decision**")[1].split("```json")[1].split("```")[0])


async def test_the_same_seed_gives_the_same_money() -> None:
    one = await summary("--loans", "40", "--months", "3", "--seed", "3")
    again = await summary("--loans", "40", "--months", "3", "--seed", "3")
    assert {name: one[name] for name in MONEY} == {name: again[name] for name in MONEY}
    assert one["loans"] == 40
    assert one["decision"] == again["decision"] == documented_decision()
    assert one["debits"]["failed"]["soft"] > 0
    assert one["recovered_after_retry_paise"] > 0
    assert one["cases"]["closed"] > 0
    assert sum(one["promises"].values()) > 0
    for told in (one, again):
        assert told["reconciles"] is True
        assert told["differences"] == []
        assert told["trial_balance_paise"] == 0
        assert told["applied"] + told["repeated"] + told["parked"] + told["dead_letters"] == told["messages_in"]
        assert told["ended_early"] is False
        assert told["simulated_until"].startswith("2026-04-01")


async def test_through_gateways_that_misbehave_it_reconciles_with_their_reports() -> None:
    told = await summary("--gateways", "--loans", "10", "--months", "2", "--seed", "5")
    assert told["reconciles"] is True, told["differences"]
    assert told["gateways"]["debited_twice"] == []
    assert told["gateways"]["orders"].keys() == {"sponsor-bank", "banyan", "kestrel"}
    assert sum(told["gateways"]["mischief"].values()) > 5
    assert told["debits"]["succeeded"] > 0
    assert {one["state"] for one in told["reconciliation"]["states"]} == {"matched"}
    assert told["reconciliation"]["banked_paise"] != 0


async def test_it_can_end_early_and_still_reconciles() -> None:
    told = await summary("--loans", "30", "--months", "24", "--seed", "4", "--for", "3s")
    assert told["ended_early"] is True
    assert told["simulated_until"] < "2027"
    assert told["reconciles"] is True


@pytest.mark.parametrize(
    "wrong", [("--loans", "0"), ("--months", "0"), ("--for", "soon"), ("--seed", "x"), ("--lons", "3")]
)
async def test_wrong_usage_is_status_2(wrong: tuple[str, str]) -> None:
    status, out, err = await demo(*wrong)
    assert status == 2, err
    assert out == ""
    assert wrong[0] in err
    assert "Traceback" not in err
