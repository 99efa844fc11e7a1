"""`qist up`: everything on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import json as jsonlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from adapters.cli.running import run, settings_or_exit
from adapters.settings import Settings

if TYPE_CHECKING:
    from adapters.system import System


def up(
    *,
    data: Path | None = None,
    http_port: int | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    logs: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Start Qist on this machine: PostgreSQL and a broker unless the settings name others, then every role.

    Parameters
    ----------
    data
        Folder of the embedded services' data and of the logs.
    http_port
        Port of the dashboard and the API.
    json
        Say where everything is as one JSON document.
    logs
        Show what the roles log, too.
    """
    return run(_up(settings_or_exit(data_dir=data, http_port=http_port), json=json, logs=logs))


async def _up(settings: Settings, *, json: bool, logs: bool) -> None:
    from adapters.system import follow, system

    async with system(settings) as started:
        for note in started.notes:
            print(f"note: {note}", file=sys.stderr)
        places = _places(started, embedded_database=settings.database_url is None)
        print(jsonlib.dumps(places) if json else _told(places), flush=True)
        follower = asyncio.create_task(follow(started.children)) if logs else None
        try:
            await started.watch()
        finally:
            if follower is not None:
                follower.cancel()


def _places(started: System, *, embedded_database: bool) -> dict[str, str | int | None]:
    """Where everything is, and how to come in: a link that signs in once, and the first administrator's key, which is
    never told again. The embedded database's URL is of use only with its password; any other keeps its own."""
    http_url, settings, way_in = started.http_url, started.settings, started.way_in
    return {
        **({"sign_in": f"{http_url}{way_in.path}"} if way_in.path != "/" else {}),
        **({"api_key": way_in.key} if way_in.key else {}),
        "dashboard": f"{http_url}/",
        "api": f"{http_url}/api/v1",
        "broker": settings.kafka_bootstrap,
        "database": settings.database_url if embedded_database else "as set in QIST_DATABASE_URL",
        "data": str(settings.data_dir),
        "logs": str(settings.data_dir / "logs"),
        "pid": os.getpid(),
    }


def _told(places: dict[str, str | int | None]) -> str:
    lines = [f"  {name:<10} {place}{TOLD.get(name, '')}" for name, place in places.items() if name != "pid"]
    return "\n".join(["Qist is up.", *lines, "Ctrl-C stops everything."])


TOLD = {"sign_in": "   (once, within the hour)", "api_key": "   (admin; shown only this once)"}
