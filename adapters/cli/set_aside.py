"""`qist dead-letters` and `qist parked`: what could not be applied, why, and sending it again."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

import asyncpg
from cyclopts import Parameter

from adapters.cli.arguments import Count
from adapters.cli.running import ANSWER_IS_NO, WRONG_USAGE, run, settings_or_exit
from adapters.errors import Explained
from adapters.settings import Settings

Json = Annotated[bool, Parameter(negative="")]
Flag = Annotated[bool, Parameter(negative="")]

ALL_AT_ONCE = 1_000
WIDE = 240


def list_dead_letters(
    *, reason: str | None = None, loan: str | None = None, retried: Flag = False, limit: Count = 50, json: Json = False
) -> int:
    """List records that could not be applied, oldest first.

    Parameters
    ----------
    reason
        Only those with this reason, such as `malformed`.
    loan
        Only those of this loan.
    retried
        Also those that were sent again.
    limit
        How many at most.
    json
        Print one JSON document.
    """

    async def work(settings: Settings) -> int:
        from adapters import set_aside

        async with database(settings) as pool:
            letters = await set_aside.dead_letters(
                pool, limit=limit, reason=reason, loan_id=loan, retried=None if retried else False
            )
        if json:
            print(jsonlib.dumps(letters, indent=2))
            return 0
        columns = ("id", "set_aside_at", "loan_id", "type", "reason", "field")
        table(letters, columns, "No dead letters.")
        if letters:
            print("\n`qist dead-letters show ID` says more; `qist dead-letters retry ID` sends it again.")
        return 0

    return run(work(settings_or_exit()))


def show_dead_letter(number: int, /, *, raw: Flag = False, json: Json = False) -> int:
    """Show one dead letter: why it was set aside, where it stood, and what it holds.

    Parameters
    ----------
    number
        Its id.
    raw
        Write the record's value to stdout as it came. This may hold personal data, which is masked otherwise.
    json
        Print one JSON document.
    """

    async def work(settings: Settings) -> int:
        from adapters import set_aside

        async with database(settings) as pool:
            if raw:
                value = await set_aside.raw_value(pool, number)
                if value is not None:
                    sys.stdout.buffer.write(value)
                    return 0
            letter = await set_aside.dead_letter(pool, number)
        if letter is None:
            print(f"there is no dead letter {number}", file=sys.stderr)
            return ANSWER_IS_NO
        if raw:
            print(f"dead letter {number} has no value", file=sys.stderr)
            return ANSWER_IS_NO
        if json:
            print(jsonlib.dumps(letter, indent=2))
            return 0
        headers, body = letter.pop("headers"), letter.pop("body")
        for name, value in letter.items():
            print(f"{name:<14}{'' if value is None else value}")
        print("headers", *(f"  {name}: {value}" for name, value in headers.items()), sep="\n")
        print("body", jsonlib.dumps(body, indent=2) if body is not None else "  not JSON; see --raw", sep="\n")
        return 0

    return run(work(settings_or_exit()))


def retry_dead_letters(*numbers: int, all: Flag = False, reason: str | None = None, json: Json = False) -> int:
    """Send dead letters again, as they came. One that is refused again becomes a new dead letter.

    Parameters
    ----------
    numbers
        Their ids.
    all
        All that were not sent again yet.
    reason
        All of this reason that were not sent again yet.
    json
        Print one JSON document.
    """
    if bool(numbers) == (all or reason is not None):
        print("name dead letters by their ids, or say --all or --reason", file=sys.stderr)
        return WRONG_USAGE

    async def work(settings: Settings) -> int:
        from adapters import set_aside

        async with database(settings) as pool, sender(settings) as sending:
            wanted: Sequence[int] = numbers or [
                letter["id"] for letter in await set_aside.dead_letters(pool, limit=ALL_AT_ONCE, reason=reason)
            ]
            sent, failed = [], 0
            for number in wanted:
                try:
                    record = await set_aside.retry_dead_letter(pool, sending, number)
                except set_aside.AlreadyRetried as already:
                    print(f"dead letter {number}: {already}", file=sys.stderr)
                    failed += 1
                    continue
                if record is None:
                    print(f"there is no dead letter {number}", file=sys.stderr)
                    failed += 1
                else:
                    sent.append(record)
        _tell_sent(sent, json)
        return ANSWER_IS_NO if failed else 0

    return run(work(settings_or_exit()))


def list_parked(*, loan: str | None = None, limit: Count = 50, json: Json = False) -> int:
    """List records that wait for a loan that is not known yet.

    Parameters
    ----------
    loan
        Only those of this loan.
    limit
        How many at most.
    json
        Print one JSON document.
    """

    async def work(settings: Settings) -> int:
        from adapters import set_aside

        async with database(settings) as pool:
            waiting = await set_aside.parked(pool, limit=limit, loan_id=loan)
        if json:
            print(jsonlib.dumps(waiting, indent=2))
        else:
            table(waiting, ("loan_id", "parked_at", "type", "topic", "partition", "offset"), "Nothing is parked.")
        return 0

    return run(work(settings_or_exit()))


def retry_parked(*loans: str, all: Flag = False, json: Json = False) -> int:
    """Send parked records again, as they came. They are taken by themselves when their loan appears; this is for when
    something else was in the way.

    Parameters
    ----------
    loans
        Whose records.
    all
        Everybody's.
    json
        Print one JSON document.
    """
    if bool(loans) == all:
        print("name loans, or say --all", file=sys.stderr)
        return WRONG_USAGE

    async def work(settings: Settings) -> int:
        from adapters import set_aside

        async with database(settings) as pool, sender(settings) as sending:
            wanted: Sequence[str] = loans or await set_aside.parked_loans(pool)
            sent = [record for loan in wanted for record in await set_aside.retry_parked(pool, sending, loan)]
        _tell_sent(sent, json)
        return 0 if sent or all else ANSWER_IS_NO

    return run(work(settings_or_exit()))


# --- What they share -----------------------------------------------------------------------------------------


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    from adapters.database import connect_pool

    if settings.database_url is None:
        raise Explained("no database: set QIST_DATABASE_URL (`qist up` prints the embedded one's)")
    pool = await connect_pool(settings.database_dsn(), name="cli", size=2)
    try:
        yield pool
    finally:
        await pool.close()


@asynccontextmanager
async def sender(settings: Settings) -> AsyncIterator[Any]:
    from adapters.sending import BrokerDown, Sender

    if settings.kafka_bootstrap is None:
        raise Explained("no broker: set QIST_KAFKA_BOOTSTRAP (`qist up` prints the embedded one's)")
    sender = Sender(settings, "cli")
    try:
        yield sender
    except BrokerDown as error:
        raise Explained(f"the broker at {settings.kafka_bootstrap} did not take the record: {error}") from error
    finally:
        await sender.close()


def _tell_sent(sent: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(jsonlib.dumps(sent, indent=2))
        return
    for record in sent:
        what = f"dead letter {record['id']}" if "id" in record else record["loan_id"]
        print(f"{what}: sent to {record['topic']}, partition {record['partition']}, offset {record['offset']}")
    print(f"{len(sent)} sent again")


def table(rows: Sequence[dict[str, Any]], columns: Sequence[str], empty: str) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), no_wrap=column in ("id", "loan_id"), overflow="fold")
    for row in rows:
        table.add_row(*(_shown(column, row[column]) for column in columns))
    console = Console()
    if not console.is_terminal:  # a file or a pipe has no edge
        console.width = WIDE
    console.print(table)


def _shown(column: str, value: Any) -> str:
    if value is None:
        return ""
    return str(value)[:19].replace("T", " ") if column.endswith("_at") else str(value)
