"""`qist engine`: the servicing engine as a process of its own; start as many as there are cores to use."""

from __future__ import annotations

from adapters.cli.running import settings_or_exit


def engine(*, partitions: str | None = None) -> int:
    """Serve loans: this process's share of the partitions, given out by the consumer group.

    Parameters
    ----------
    partitions
        Serve exactly these instead, such as `0-7` or `3,5` (for one process, or a fixed assignment).
    """
    from adapters.roles.engine import run_engine
    from adapters.roles.run import run_role

    settings = settings_or_exit()
    fixed = numbers_of(partitions, settings.partitions) if partitions else None
    return run_role("engine", lambda known, stop: run_engine(known, stop, partitions=fixed), settings)


def numbers_of(text: str, count: int) -> list[int]:
    """`0-3,7` as numbers below `count`."""
    numbers: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    if not numbers or max(numbers) >= count:
        raise SystemExit(f"--partitions {text}: there are partitions 0 to {count - 1}")
    return sorted(numbers)
