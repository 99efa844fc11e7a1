"""`qist streams`: the Faust worker as a process of its own."""

from __future__ import annotations

import os
import sys

from adapters.cli.running import settings_with_services


def streams() -> int:
    """Send on what the LOS tells of borrowers to each of their loans, and keep the payment insights."""
    from adapters.roles.run import run_role
    from adapters.roles.streams import run_streams

    status = run_role("streams", run_streams, settings_with_services(database=False, broker=True))
    if status:
        # The threads of a crashed worker outlive it, and their complaints would bury the reason that was just logged.
        sys.stderr.flush()
        os._exit(status)
    return status
