"""`qist streams`: the Faust worker as a process of its own."""

from __future__ import annotations

from adapters.cli.running import settings_or_exit


def streams() -> int:
    """Send on what the LOS tells of borrowers to each of their loans, and keep the payment insights."""
    from adapters.roles.run import run_role
    from adapters.roles.streams import run_streams

    return run_role("streams", run_streams, settings_or_exit())
