"""`qist engine`: the servicing engine as a process of its own; start as many as there are cores to use."""

from __future__ import annotations

import sys

from adapters.cli.running import WRONG_USAGE, settings_with_services


def engine(*, partitions: str | None = None) -> int:
    """Serve loans: this process's share of the partitions, given out by the consumer group.

    Parameters
    ----------
    partitions
        Serve exactly these instead, such as `0-7` or `3,5` (for one process, or a fixed assignment).
    """
    from adapters.roles.engine import run_engine
    from adapters.roles.run import run_role

    settings = settings_with_services(broker=True)
    fixed = numbers_of(partitions, settings.partitions) if partitions else None
    return run_role("engine", lambda known, stop: run_engine(known, stop, partitions=fixed), settings)


def numbers_of(text: str, count: int) -> list[int]:
    """`0-3,7` as numbers below `count`."""
    numbers: set[int] = set()
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            numbers.update(range(int(first), int(last or first) + 1))
    except ValueError:
        numbers.clear()
    if not numbers:
        print(f"--partitions {text}: say it as 0-7 or 3,5", file=sys.stderr)
    elif max(numbers) >= count:
        print(f"--partitions {text}: there are partitions 0 to {count - 1}", file=sys.stderr)
    else:
        return sorted(numbers)
    sys.exit(WRONG_USAGE)
