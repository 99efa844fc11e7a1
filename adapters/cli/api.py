"""`qist api`: the HTTP API, the webhooks and the live page, as a process of its own; start as many as are needed."""

from __future__ import annotations

from adapters.cli.running import settings_with_services


def api(*, host: str | None = None, port: int | None = None) -> int:
    """Serve HTTP until told to stop.

    Parameters
    ----------
    host
        Address to listen on.
    port
        Port to listen on.
    """
    from adapters.roles.api import run_api
    from adapters.roles.run import run_role

    return run_role("api", run_api, settings_with_services(http_host=host, http_port=port))
