"""`qist cases`: the work list of collections and support, and moving a case on."""

from __future__ import annotations

import json as jsonlib
import sys
from typing import Any
from uuid import uuid4

from adapters.cli.arguments import Count
from adapters.cli.running import ANSWER_IS_NO, WRONG_USAGE, run, settings_or_exit
from adapters.cli.set_aside import Flag, Json, database, sender, table
from adapters.settings import Settings

COLUMNS = ("case_id", "kind", "team", "assignee", "level", "due_at", "overdue", "reason")
PATIENCE_SECONDS = 15.0


def list_cases(
    *,
    kind: str | None = None,
    team: str | None = None,
    assignee: str | None = None,
    unassigned: Flag = False,
    loan: str | None = None,
    overdue: Flag = False,
    closed: Flag = False,
    limit: Count = 50,
    json: Json = False,
) -> int:
    """List open cases, what is due first at the top.

    Parameters
    ----------
    kind
        Only this kind, such as `call`, `broken-promise`, `unknown-failure-code`, `grievance`.
    team
        Only this team's, such as `collections`.
    assignee
        Only this person's.
    unassigned
        Only those that are nobody's yet.
    loan
        Only those of this loan.
    overdue
        Only those that should have been done by now.
    closed
        Closed ones instead of open ones.
    limit
        How many at most.
    json
        Print one JSON document.
    """
    if unassigned and assignee is not None:
        print("say --assignee or --unassigned", file=sys.stderr)
        return WRONG_USAGE

    async def work(settings: Settings) -> int:
        from adapters import casework
        from adapters.clocks import business_now

        async with database(settings) as pool:
            found = await casework.cases(
                pool,
                now=await business_now(settings, pool),
                limit=limit,
                state="closed" if closed else "open",
                kind=kind,
                team=team,
                assignee="" if unassigned else assignee,
                loan_id=loan,
                overdue=True if overdue else None,
            )
        if json:
            print(jsonlib.dumps(found, indent=2, default=str))
            return 0
        table(found, COLUMNS, "Nobody has anything to do." if not closed else "No case was closed yet.")
        if found and not closed:
            print("\n`qist cases show CASE` says more; assign, note and close move it on.")
        return 0

    return run(work(settings_or_exit()))


def show_case(case: str, /, *, notes: Flag = False, json: Json = False) -> int:
    """Show one case and everything that happened to it.

    Parameters
    ----------
    case
        Its id, `LOAN:case:N`.
    notes
        With the words of its notes, which may be personal.
    json
        Print one JSON document.
    """

    async def work(settings: Settings) -> int:
        from adapters import casework
        from adapters.event_store.postgres import PostgresLog
        from adapters.vault import Vault, master_key

        secret = settings.vault_key.get_secret_value() if settings.vault_key else None
        async with database(settings) as pool:
            found = await casework.case(pool, case)
            if found is not None and notes:
                await casework.add_notes(PostgresLog(pool, Vault(master_key(secret, settings.data_dir))), found)
        if found is None:
            print(f"there is no case {case}", file=sys.stderr)
            return ANSWER_IS_NO
        if json:
            print(jsonlib.dumps(found, indent=2, default=str))
            return 0
        history = found.pop("history")
        for name, value in found.items():
            print(f"{name:<14}{'' if value is None else value}")
        for one in history:
            more = ", ".join(f"{name} {value}" for name, value in one.items() if name not in ("at", "what", "by"))
            print(f"{one['at']:%Y-%m-%d %H:%M}  {one['what']} by {one['by']}" + (f": {more}" if more else ""))
        return 0

    return run(work(settings_or_exit()))


def assign(case: str, assignee: str, /, *, by: str) -> int:
    """Give a case to somebody.

    Parameters
    ----------
    case
        Its id.
    assignee
        The id of an employee or a team; no name.
    by
        Who says so.
    """
    return _tell("assign-case", case, by, {"assignee": assignee})


def note(case: str, words: str, /, *, by: str, disposition: str = "") -> int:
    """Note what was found out. The words may be personal: they are encrypted, and erased with the borrower's data.

    Parameters
    ----------
    case
        Its id.
    words
        What was found out.
    by
        Who found out.
    disposition
        A code of the table, such as `no-answer`; `qist cases dispositions` lists them.
    """
    return _tell("note-case", case, by, {"note": words, "disposition": disposition})


def close(case: str, disposition: str, /, *, by: str, outcome: str = "") -> int:
    """Close a case.

    Parameters
    ----------
    case
        Its id.
    disposition
        How it ended: a code of the table; `qist cases dispositions` lists them.
    by
        Who did it.
    outcome
        In words, where the code does not say all; no personal data.
    """
    return _tell("close-case", case, by, {"disposition": disposition, "outcome": outcome})


def dispositions(*, json: Json = False) -> int:
    """List the codes in which a case can end.

    Parameters
    ----------
    json
        Print one JSON document.
    """

    async def work(settings: Settings) -> int:
        from adapters.house import load_rules

        known = dict(load_rules().casework.dispositions)
        if json:
            print(jsonlib.dumps(known, indent=2))
        else:
            rows = [{"disposition": code, "meaning": meaning} for code, meaning in known.items()]
            table(rows, ("disposition", "meaning"), "The lender's table has no dispositions.")
        return 0

    return run(work(settings_or_exit()))


def _tell(kind: str, case: str, by: str, body: dict[str, Any]) -> int:
    """Send a command about a case and wait for the engine's answer."""
    loan_id, marker, _ = case.rpartition(":case:")
    if not marker:
        print(f"{case!r} is no case id; they are like LN-1:case:2", file=sys.stderr)
        return WRONG_USAGE

    async def work(settings: Settings) -> int:
        from adapters import casework
        from adapters.clocks import business_now

        async with database(settings) as pool, sender(settings) as sending:
            now, command_id = await business_now(settings, pool), uuid4().hex
            known = {"case_id": case, **body}
            await casework.command(sending, settings.partitions, kind, loan_id, command_id, by, now, known)
            answer = await casework.answer_to(pool, command_id, PATIENCE_SECONDS)
        if answer is None:
            print(f"{kind} is on its way (command {command_id}); no engine has answered yet", file=sys.stderr)
            return ANSWER_IS_NO
        if answer["outcome"] == "refused":
            print(answer["detail"], file=sys.stderr)
            return ANSWER_IS_NO
        print(f"{case}: {kind} done")
        return 0

    return run(work(settings_or_exit()))
