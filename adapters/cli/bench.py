"""`qist bench`: how fast Qist is on this machine, beside the stock pieces, in one run."""

from __future__ import annotations

import json as jsonlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from adapters.cli.arguments import Count
from adapters.cli.running import ensure_no_loans, run, settings_or_exit
from adapters.settings import Settings


def bench(
    *,
    loans: Count = 10_000,
    bursts: Count = 3,
    paced: Count = 8,
    stock: Count = 1_500,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Measure outcomes a second end to end, the same by stock pieces, replay, rebuild, and memory.

    Takes two or three minutes. It books loans of its own: on the embedded services, unless the settings name others;
    a database that holds loans is refused. What each figure means is in docs/speed.md.

    Parameters
    ----------
    loans
        Loans of 24 instalments.
    bursts
        Months whose debits all succeed at once.
    paced
        Seconds of the latency run, at half the rate of the bursts.
    stock
        Outcomes for the stock pieces.
    json
        Print one JSON document.
    """
    with tempfile.TemporaryDirectory(prefix="qist-bench-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs under an account of its own when we are root
        settings = settings_or_exit(data_dir=Path(folder), clock="stepped", batch_wait_ms=10)
        return run(measure(settings, loans, bursts, paced, stock, json))


async def measure(settings: Settings, loans: int, bursts: int, paced: int, stock: int, as_json: bool) -> int:
    from adapters.bench import end_to_end, rebuild, replay
    from adapters.bench import stock as stock_pieces
    from adapters.embedded.services import services
    from adapters.kafka_admin import create_topics
    from streams.topics import Topic

    if settings.database_url is not None:
        await ensure_no_loans(settings.database_dsn(), "qist bench")

    print("(d) replay, (f) memory", file=sys.stderr)
    measured: dict[str, Any] = {"cores": os.cpu_count()}
    replayed, memory = replay.measure_replay(), replay.measure_memory()
    async with services(settings) as running:
        known = running.settings
        print("(b) stock pieces", file=sys.stderr)
        await create_topics(known, running.bootstrap, [Topic(stock_pieces.TOPIC, "loan_id", partitions=1)])
        plain = await stock_pieces.measure(known, stock)
        print("(a) end to end", file=sys.stderr)
        ours = await end_to_end.measure(known, loans, bursts, paced)
        print("(e) rebuild", file=sys.stderr)
        rebuilt = await rebuild.measure(known)
    measured |= {
        "end_to_end": ours,
        "stock": plain,
        "ratio": round(ours["outcomes_per_second"] / plain["outcomes_per_second"], 1),
        "replay": replayed,
        "rebuild": rebuilt,
        "memory": memory,
    }
    print(jsonlib.dumps(measured, indent=2) if as_json else told(measured))
    return 0


def told(measured: dict[str, Any]) -> str:
    """The figures for a person."""
    ours, plain, replayed = measured["end_to_end"], measured["stock"], measured["replay"]
    committed, read = ours["outcome_to_committed_ms"], ours["outcome_to_read_model_ms"]
    rows = [
        ("end to end", f"{ours['outcomes_per_second']:,} outcomes a second at {ours['loans']:,} loans"),
        ("  to committed", f"p50 {committed['p50']} ms, p99 {committed['p99']} ms at {ours['paced_per_second']:,}/s"),
        ("  to read model", f"p50 {read['p50']} ms, p99 {read['p99']} ms"),
        ("stock pieces", f"{plain['outcomes_per_second']:,} outcomes a second"),
        ("ratio", f"{measured['ratio']}"),
        (
            "replay",
            f"{replayed['events']} events in {replayed['without_snapshot_ms']} ms,"
            f" {replayed['with_snapshot_and_50_more_ms']} ms with a snapshot",
        ),
        *(("rebuild", f"{name}: {speed:,} events a second") for name, speed in measured["rebuild"].items()),
        ("memory", f"{measured['memory']['bytes_per_cached_loan']:,} bytes a cached loan"),
    ]
    return "\n".join(f"{name:<18}{value}" for name, value in rows)
