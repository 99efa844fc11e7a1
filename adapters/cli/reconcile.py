"""`qist reconcile`: what gateways and banks report beside what the loans say, and what becomes of differences."""

from __future__ import annotations

import getpass
import json as jsonlib
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from adapters.cli.arguments import Count, FileOrStdin, read_bytes
from adapters.cli.running import ANSWER_IS_NO, WRONG_USAGE, run, settings_with_services
from adapters.settings import Settings

Flag = Annotated[bool, Parameter(negative="")]
State = Literal["missing", "extra", "amount_differs", "date_differs", "awaited", "resolved", "matched"]
Difference = Literal["missing", "extra", "amount_differs", "date_differs"]
WIDE = 200


def take_in(
    file: FileOrStdin,
    /,
    *,
    source: str,
    format: Literal["csv", "camt053"],
    mapping: Path | None = None,
    by: str | None = None,
    json: Flag = False,
) -> int:
    """Take in a settlement report or a bank statement, and compare it with the loans at once.

    A file that was taken before, and lines that were, change nothing. A file with a mistake, or with a line that says
    something else than it said before, is refused whole, naming row and column.

    Parameters
    ----------
    file
        The file; - is standard input.
    source
        Who says so, such as razorpay or hdfc-current: 1 to 40 of A-Z a-z 0-9 . _ -
    format
        csv, or camt053 (ISO 20022 XML).
    mapping
        A TOML file that declares the source's columns, kept for its next files (docs/reconciliation.md). Without it, as
        declared before; else Qist's own columns: entry, reference, instruction_id, loan_id, amount, direction, fee,
        tax, settlement, value_on.
    by
        Who takes it in; default the login's name.
    json
        Print one JSON document.
    """

    async def work(settings: Settings) -> int:
        from adapters.reconciliation.mapping_file import read_mapping

        content = read_bytes(file)
        name = "stdin" if file == "-" else Path(file).name
        declared = read_mapping(mapping) if mapping else None
        async with _office(settings) as office:
            if declared:
                await office.declare(source, declared, by or getpass.getuser())
            taken = await office.take_in(content, source=source, form=format, name=name, by=by or getpass.getuser())
        if json:
            print(jsonlib.dumps(taken, indent=2))
        elif taken["already_taken"]:
            print(f"{name} was taken in already, on {taken['taken_at'][:16].replace('T', ' ')} by {taken['taken_by']}")
        else:
            print(f"{taken['lines']} lines taken, {taken['repeated']} known before, {taken['passed_over']} passed over")
            print(*taken["checked"], "`qist reconcile list` shows what differs.", sep="\n")
        return 0

    return run(_told(work(settings_with_services())))


def list_items(
    *,
    state: State | None = None,
    loan: str | None = None,
    source: str | None = None,
    limit: Count = 50,
    json: Flag = False,
) -> int:
    """List differences, the oldest first: what it is, both amounts, its age, and how it can be resolved.

    Parameters
    ----------
    state
        Only these. Without it, all that wait for a person: missing (the loans have it, no report), extra (a report has
        it, no loan), amount_differs, date_differs. Else awaited, resolved or matched.
    loan
        Only this loan's.
    source
        Only this source's.
    limit
        How many at most.
    json
        Print one JSON document.
    """

    async def work(settings: Settings) -> int:
        async with _office(settings) as office:
            items = await office.items(state=state, loan_id=loan, source=source, limit=limit)
        if json:
            print(jsonlib.dumps(items, indent=2))
            return 0
        columns = ("subject", "state", "source", "ours_paise", "theirs_paise", "difference_paise", "age_days", "ways")
        _table(items, columns, "Nothing differs." if state is None else f"Nothing is {state.replace('_', ' ')}.")
        if items:
            print("\n`qist reconcile show SUBJECT` says more; `qist reconcile resolve SUBJECT --as WAY` settles it.")
        return 0

    return run(_told(work(settings_with_services())))


def show_item(subject: str, /, *, json: Flag = False) -> int:
    """Show one comparison: what the loan says, the lines of reports and statements, what was booked and decided.

    Parameters
    ----------
    subject
        As in the list, such as debit:LN-1:3:1 or settlement:razorpay:UTR123.
    json
        Print one JSON document.
    """

    async def work(settings: Settings) -> int:
        async with _office(settings) as office:
            item = await office.item(subject)
        if json:
            print(jsonlib.dumps(item, indent=2))
            return 0
        parts = {name: item.pop(name) for name in ("movements", "report_lines", "resolutions", "bookings")}
        for name, value in item.items():
            shown = _amount(value) if name.endswith("_paise") else ", ".join(value) if name == "ways" else value
            print(f"{name.removesuffix('_paise'):<12}{'' if value is None else shown}")
        for name, rows in parts.items():
            print(f"\n{name.replace('_', ' ')}")
            _table(rows, tuple(rows[0]) if rows else (), "  none")
        return 0

    return run(_told(work(settings_with_services())))


def resolve(
    *subjects: str,
    as_: Annotated[Literal["accept", "book", "reverse", "same", "apart"], Parameter(name="--as")],
    note: str,
    loan: str = "",
    other: Annotated[str, Parameter(name="--with")] = "",
    by: str | None = None,
    state: Difference | None = None,
    source: str | None = None,
    of_loan: str | None = None,
    older: int = 0,
    yes: Flag = False,
    json: Flag = False,
) -> int:
    """Resolve differences: these, or all that a filter finds. Who, when, why and on which figures is kept for good.

    With a filter (--state, --source, --of-loan, --older) and no subjects it shows what it would resolve and does
    nothing, unless --yes is said. Exit status 1 when one of them could not be resolved; the others are.

    Parameters
    ----------
    subjects
        As in the list.
    as_
        accept: it stays, for the reason in the note. book: what came is booked on a loan. reverse: what the loan says
        never happened, and is taken back there. same: the line means a movement or settlement that it does not name.
        apart: a line that was said to be the same as this subject is not.
    note
        Why.
    loan
        Of book: on which loan, where the line names none.
    other
        Of same: the subject of the movement or settlement.
    by
        Who decides; default the login's name.
    state
        All that are open and missing, extra, amount_differs or date_differs.
    source
        All of this source.
    of_loan
        All of this loan.
    older
        All that are so many days old, or older.
    yes
        Resolve what the filter finds.
    json
        Print one JSON document: of one subject what was decided, else a list, with `problem` where it could not be.
    """
    filtered = bool(state or source or of_loan or older)
    if filtered == bool(subjects):
        print("qist reconcile: name subjects, or a filter (--state, --source, --of-loan, --older)", file=sys.stderr)
        return WRONG_USAGE
    if as_ in ("same", "apart") and (filtered or len(subjects) > 1):
        print(f"qist reconcile: --as {as_} is about one subject", file=sys.stderr)
        return WRONG_USAGE

    async def work(settings: Settings) -> int:
        async with _office(settings) as office:
            chosen = list(subjects)
            if filtered:
                found = await office.all_items(state=state, source=source, loan_id=of_loan, older=older)
                chosen = [item["subject"] for item in found if as_ in item["ways"]]
                if not yes:
                    _preview(found, as_, json=json)
                    return 0
            decided = {"note": note, "by": by or getpass.getuser(), "loan_id": loan, "other": other}
            if len(chosen) == 1 and not filtered:
                done = [await office.resolve(chosen[0], as_, **decided)]
            else:
                done = await office.resolve_all(chosen, as_, **decided)
        if json:
            print(jsonlib.dumps(done if filtered or len(done) > 1 else done[0], indent=2))
        for one in done:
            sent = f"; {one['other']} is told" if as_ in ("book", "reverse") and one.get("other") else ""
            if "problem" in one:
                print(f"{one['subject']}: {one['problem']}", file=sys.stderr)
            elif not json:
                print(f"{one['subject']}: resolved as {as_}{sent}")
        if not done and not json:
            print("Nothing fits.")
        return ANSWER_IS_NO if any("problem" in one for one in done) else 0

    return run(_told(work(settings_with_services())))


def _preview(found: Sequence[Mapping[str, Any]], way: str, *, json: bool) -> None:
    """What a filter finds, and which of it can be resolved so."""
    if json:
        print(jsonlib.dumps(found, indent=2))
        return
    _table(found, ("subject", "state", "source", "difference_paise", "age_days", "ways"), "Nothing fits.")
    able = [item for item in found if way in item["ways"]]
    if found:
        paise = sum(item["difference_paise"] for item in able)
        print(f"\n{len(able)} of {len(found)} can be resolved as {way}, {_amount(paise)} in all.")
        print("Nothing was done: say --yes.")


def totals(*, json: Flag = False) -> int:
    """From the ledger's bank account to the banks' statements, step by step. Exit status 1 when a step does not add up.

    Parameters
    ----------
    json
        Print one JSON document.
    """

    async def work(settings: Settings) -> int:
        from adapters.reconciliation.office import STEPS

        async with _office(settings) as office:
            sums = await office.totals()
        if json:
            print(jsonlib.dumps(sums, indent=2))
        else:
            for name, said in STEPS:
                print(f"{said:<68}{_amount(sums[name]):>20}")
            for row in sums["states"]:
                kind = f"{row['count']:>8} {row['level']}s {row['state'].replace('_', ' ')}"
                print(f"{kind:<40}{_amount(row['ours_paise']):>20}{_amount(row['theirs_paise']):>20}")
        return 0 if sums["reconciles"] else ANSWER_IS_NO

    return run(_told(work(settings_with_services())))


# --- What they share -----------------------------------------------------------------------------------------


@asynccontextmanager
async def _office(settings: Settings) -> AsyncIterator[Any]:
    from adapters.clocks import business_now
    from adapters.database import open_house
    from adapters.reconciliation.office import Office, patience_of

    pool = await open_house(settings, name="cli", size=2)
    try:
        yield Office(pool, patience_of(settings, await business_now(settings, pool)))
    finally:
        await pool.close()


async def _told(work: Any) -> int:
    """What cannot be done, in words."""
    from adapters.reconciliation.lines import FileRefused
    from adapters.reconciliation.office import Conflict, Unknown

    try:
        return await work
    except (FileRefused, Conflict, Unknown) as no:
        print(f"qist reconcile: {no}", file=sys.stderr)
        return ANSWER_IS_NO
    except OSError as error:
        if error.filename is None:
            raise
        print(f"qist reconcile: cannot read {error.filename}: {error.strerror}", file=sys.stderr)
        return WRONG_USAGE


def _amount(paise: int) -> str:
    from domain.money import format_rupees

    return f"{'-' if paise < 0 else ''}{format_rupees(abs(paise))}"


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], empty: str) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        justify = "right" if column.endswith(("_paise", "_days")) else "left"
        table.add_column(column.removesuffix("_paise").replace("_", " "), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(_shown(column, row[column]) for column in columns))
    console = Console()
    if not console.is_terminal:  # a file or a pipe has no edge
        console.width = WIDE
    console.print(table, markup=False)


def _shown(column: str, value: Any) -> str:
    if value is None:
        return ""
    if column.endswith("paise"):
        return _amount(value)
    return ", ".join(value) if isinstance(value, list) else str(value)
