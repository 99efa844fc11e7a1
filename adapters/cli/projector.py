"""`qist projector`: the read models as a process of its own; one for all partitions, or one a range of them."""

from __future__ import annotations

from adapters.cli.running import settings_with_services


def projector(*, partitions: str | None = None) -> int:
    """Keep every read model up to date from the event log, and announce what changed on projection.* topics.

    Parameters
    ----------
    partitions
        Follow only these, such as `0-7` or `3,5`, when several projectors share the work.
    """
    from adapters.cli.engine import numbers_of
    from adapters.roles.projector import run_projector
    from adapters.roles.run import run_role

    settings = settings_with_services()
    owned = numbers_of(partitions, settings.partitions) if partitions else None
    return run_role("projector", lambda known, stop: run_projector(known, stop, partitions=owned), settings)
