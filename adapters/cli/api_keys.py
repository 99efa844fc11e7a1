"""`qist api-keys`: who may come in with a key, and as what."""

from __future__ import annotations

import getpass
import json as jsonlib
import re
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from cyclopts import Parameter

from adapters.cli.running import ANSWER_IS_NO, WRONG_USAGE, run, settings_with_services
from adapters.cli.set_aside import Json, database, table

COLUMNS = ("key_id", "name", "roles", "state", "created_at", "created_by", "expires_at", "last_used_at")


def create(
    name: str, *, roles: Annotated[str, Parameter(name=("--roles", "--role"))], expires: str | None = None,
    json: Json = False,
) -> int:  # fmt: skip
    """Make a key for one person or one system. Only its hash is kept, so it is shown this once.

    Parameters
    ----------
    name
        Who has it: what events, approvals and the access log will say.
    roles
        One or more, separated by commas: viewer, collector, operator, approver, auditor, admin (docs/security.md).
    expires
        The last day that it is valid, such as 2026-12-31, or for how long, such as 90d. Not given: until it is revoked.
    json
        Print one JSON document.
    """
    until = last_instant(expires)
    if expires is not None and until is None:
        print(f"--expires {expires}: say a day ahead as 2026-12-31, or days as 90d", file=sys.stderr)
        return WRONG_USAGE

    async def work() -> None:
        from adapters.access import keys

        async with database(settings_with_services()) as pool:
            wanted = [role.strip() for role in roles.split(",") if role.strip()]
            key_id, key = await keys.create(pool, name, wanted, by=getpass.getuser(), expires_at=until)
        if json:
            print(
                jsonlib.dumps(
                    {"key_id": key_id, "name": name, "roles": wanted, "expires_at": until, "key": key}, default=str
                )
            )
            return
        print(key)
        print(f"The key of {name} ({', '.join(wanted)}), id {key_id}. It cannot be shown again.", file=sys.stderr)

    return run(work())


def list_keys(*, json: Json = False) -> int:
    """List all keys, revoked and expired ones too: events name them.

    Parameters
    ----------
    json
        Print one JSON document.
    """

    async def work() -> None:
        from adapters.access import keys

        async with database(settings_with_services()) as pool:
            found = await keys.listed(pool)
        if json:
            print(jsonlib.dumps(found, default=str))
            return
        shown = [{**one, "roles": ", ".join(one["roles"])} for one in found]
        table(shown, COLUMNS, "No keys. `qist api-keys create NAME --roles admin` makes one.")

    return run(work())


def revoke(name: str) -> int:
    """Revoke a key, and sign out every browser that signed in with it.

    Parameters
    ----------
    name
        The key's name or id.
    """

    async def work() -> int:
        from adapters.access import keys

        async with database(settings_with_services()) as pool:
            gone = await keys.revoke(pool, name, by=getpass.getuser())
        if gone is None:
            print(f"no valid key has the name or id {name!r}; `qist api-keys list` shows all", file=sys.stderr)
            return ANSWER_IS_NO
        print(f"The key {gone['key_id']} of {gone['name']} opens nothing any more.")
        return 0

    return run(work())


def last_instant(said: str | None, now: datetime | None = None) -> datetime | None:
    """When a key ends: after so many days, or after that day (in the lender's zone); None when it cannot be read."""
    from domain.calendar import day_start

    now = now or datetime.now(UTC)
    if found := re.fullmatch(r"([1-9]\d{0,4})d", said or ""):
        return now + timedelta(days=int(found[1]))
    try:
        day = date.fromisoformat(said or "")
    except ValueError:
        return None
    until = day_start(day + timedelta(days=1))
    return until if until > now else None
