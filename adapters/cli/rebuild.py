"""`qist rebuild`: a read model from the log, beside the live one, then swapped."""

from __future__ import annotations

import json as jsonlib
import sys
import time
from collections.abc import Callable
from typing import Annotated

from cyclopts import Parameter

from adapters.cli.running import WRONG_USAGE, run, settings_with_services
from adapters.settings import Settings


def rebuild(name: str, /, *, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Make a read model anew from the event log; readers and the projector go on meanwhile.

    Parameters
    ----------
    name
        ledger, delinquency, dashboard, loan_view or reconciliation.
    json
        Print events, seconds and events_per_second as one JSON document.
    """
    from projections.registry import BY_NAME

    if name not in BY_NAME:
        print(f"qist rebuild: there is no read model {name!r}; there are {', '.join(BY_NAME)}", file=sys.stderr)
        return WRONG_USAGE
    return run(_rebuild(settings_with_services(), name, json=json))


async def _rebuild(settings: Settings, name: str, *, json: bool) -> None:
    from adapters.database import connect_pool
    from adapters.errors import Explained
    from adapters.house import load_rules
    from projections.registry import BY_NAME
    from streams.rebuild import Rebuild, RebuildRefused

    began = time.perf_counter()
    pool = await connect_pool(settings.database_dsn(), name="rebuild", size=1, role=None)
    try:
        events = await Rebuild(BY_NAME[name](load_rules()), tell_progress(name)).run(pool)
    except RebuildRefused as refused:
        raise Explained(str(refused)) from refused
    finally:
        await pool.close()
    seconds = time.perf_counter() - began
    answer = {
        "name": name,
        "events": events,
        "seconds": round(seconds, 3),
        "events_per_second": round(events / seconds),
    }
    print(jsonlib.dumps(answer) if json else f"{name}: {events:,} events in {seconds:.1f} s, swapped")


def tell_progress(name: str) -> Callable[[int, int], None]:
    """A line on stderr, at most twice a second."""
    told_at = 0.0

    def tell(done: int, goal: int) -> None:
        nonlocal told_at
        now = time.monotonic()
        if now - told_at > 0.5:
            told_at = now
            print(f"{name}: {done:,} of {goal:,} events", file=sys.stderr, flush=True)

    return tell
