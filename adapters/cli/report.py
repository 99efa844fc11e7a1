"""`qist report`: compliance and management reports, as of any day, each with its reconciliation to the ledger."""

from __future__ import annotations

import getpass
import json as jsonlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from adapters.cli.arguments import Count
from adapters.cli.running import ANSWER_IS_NO, WRONG_USAGE, run, settings_with_services
from adapters.reports.catalogue import CATALOGUE, WrongAsk
from adapters.reports.formats import UnknownFormat, format_of
from adapters.reports.report import Report
from adapters.settings import Settings

Flag = Annotated[bool, Parameter(negative="")]
WIDE = 240
PATIENCE_SECONDS = 3_600.0

app = App(
    name="report",
    help="Compliance and management reports as of any day's end. Each reconciles to the ledger and says so below its"
    " rows; exit status 1 when it does not, with the difference. `qist report NAME --help` says what is in one.",
    help_format="plaintext",
)


@app.command(name="list")
def list_reports(*, json: Flag = False) -> None:
    """List the reports.

    Parameters
    ----------
    json
        Print one JSON document.
    """
    if json:
        listed = [{"name": one.name, "title": one.title, "says": one.says} for one in CATALOGUE.values()]
        print(jsonlib.dumps(listed, indent=2))
        return
    for one in CATALOGUE.values():
        print(f"{one.name:<24}{one.title}")
    print("\n`qist report NAME --on DATE` writes one; `qist report NAME --help` says what is in it.")


ABOUT = """

The figures are those of the day's end, whenever the report is written. Without --out it is a table, in rupees. \
A file has all rows, amounts in paise (Excel: in rupees). What it reconciles to stands below the table, or on stderr.

Parameters
----------
on
    The day at whose end the figures stood, such as 2026-06-30. Not given: the last day that is over.
loan
    Which loan.
from_
    {begins}
out
    A file: .csv, .json, .parquet or .xlsx.
limit
    How many rows of the table are shown at most; a file has all.
json
    Print the whole report as one JSON document.
"""
BEGINS = {
    "": "",
    "month": "The first day of the period. Not given: the first of the month.",
    "comparison": "The day at whose end the comparison begins. Not given: the last day of the month before.",
}

From = Annotated[date | None, Parameter(name="--from")]


def command_of(report: Report) -> Callable[..., int]:
    """The command that writes a report, with the options that make sense for it."""

    def of_a_loan(
        loan: str, *, on: date | None = None, out: Path | None = None, limit: Count = 100, json: Flag = False
    ) -> int:
        return _report(report.name, on, None, loan, out, limit, json=json)

    def of_a_period(
        *, on: date | None = None, from_: From = None, out: Path | None = None, limit: Count = 100, json: Flag = False
    ) -> int:
        return _report(report.name, on, from_, "", out, limit, json=json)

    def of_a_day(*, on: date | None = None, out: Path | None = None, limit: Count = 100, json: Flag = False) -> int:
        return _report(report.name, on, None, "", out, limit, json=json)

    command: Callable[..., int] = of_a_loan if report.of_loan else of_a_period if report.period else of_a_day
    command.__doc__ = about(report) + ABOUT.format(begins=BEGINS[report.period])
    return command


def about(report: Report) -> str:
    """A report in words: what it is, and its columns."""
    columns = (f"{one.name} ({one.kind})" + (f": {one.says}" if one.says else "") for one in report.columns)
    return "\n\n".join((f"{report.title}.", report.says, "Columns: " + "; ".join(columns) + "."))


for _report_of in CATALOGUE.values():
    app.command(command_of(_report_of), name=_report_of.name)


def _report(
    name: str, on: date | None, since: date | None, loan: str, out: Path | None, limit: int, *, json: bool
) -> int:
    try:
        if out is not None:
            format_of(out)
    except UnknownFormat as unknown:
        print(f"qist report: --out {unknown}", file=sys.stderr)
        return WRONG_USAGE

    async def work(settings: Settings) -> int:
        try:
            async with _running(settings, name, on, since, loan) as running:
                return await _write(running, out, limit, json=json)
        except WrongAsk as wrong:
            print(f"qist report: --{wrong}", file=sys.stderr)
            return WRONG_USAGE

    return run(work(settings_with_services()))


@asynccontextmanager
async def _running(settings: Settings, name: str, on: date | None, since: date | None, loan: str) -> AsyncIterator[Any]:
    from adapters.access import trail
    from adapters.access.permissions import Principal
    from adapters.clocks import business_now
    from adapters.database import open_house
    from adapters.house import load_rules
    from adapters.reports.catalogue import running
    from adapters.vault import Vault, master_key

    pool = await open_house(settings, name="report", size=1, patience=PATIENCE_SECONDS)
    try:
        login = getpass.getuser()
        said = {"on": str(on or ""), "from": str(since or "")}
        who = Principal(name=login, subject=f"login:{login}", roles=frozenset())
        await trail.record(pool, who, f"qist report {name}", loan_id=loan or None, detail=said)
        secret = settings.vault_key.get_secret_value() if settings.vault_key else None
        async with running(
            pool,
            load_rules(),
            name,
            on,
            now=await business_now(settings, pool),
            since=since,
            loan_id=loan,
            vault=Vault(master_key(secret, settings.data_dir)),
            member_code=settings.bureau_member_code,
        ) as report:
            yield report
    finally:
        await pool.close()


async def _write(running: Any, out: Path | None, limit: int, *, json: bool) -> int:
    from adapters.reports.formats import as_json, told, write_file

    shown: list[Any] = []
    running.progress = _progress if sys.stderr.isatty() else None
    if out is not None:
        await write_file(running, out)
    elif json:
        async for piece in as_json(running):
            sys.stdout.buffer.write(piece)
        sys.stdout.flush()
    else:
        async for row in running.rows():
            if len(shown) < limit:
                shown.append(row)
    if running.progress:
        print("\r\x1b[K", end="", file=sys.stderr)
    footer = await running.footer()
    if out is None and not json:
        _show(running, shown, footer)
    words = sys.stderr if out is not None or json else sys.stdout
    print(*told(running, footer), *([f"{out} is written"] if out else []), sep="\n", file=words)
    return 0 if footer.reconciles else ANSWER_IS_NO


def _progress(rows: int) -> None:
    print(f"\r{rows:,} rows", end="", file=sys.stderr, flush=True)


def _show(running: Any, rows: list[Any], footer: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        print("No rows.")
        return
    columns = running.report.columns
    table = Table(box=None, pad_edge=False, header_style="bold", show_footer=True, footer_style="bold")
    for column in columns:
        total = shown(column.kind, footer.totals[column.name]) if column.summed else ""
        right = column.kind in ("paise", "count", "number", "percent")
        heading = column.name.removesuffix("_paise").replace("_", " ")
        table.add_column(heading, total, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(shown(column.kind, value) for column, value in zip(columns, row, strict=True)))
    console = Console()
    if not console.is_terminal:  # a file or a pipe has no edge
        console.width = WIDE
    console.print(table, markup=False)
    if footer.rows > len(rows):
        print(f"({len(rows)} of {footer.rows} rows; --limit shows more, --out writes all)")
    print()


def shown(kind: str, value: Any) -> str:
    from domain.calendar import IST
    from domain.money import format_rupees

    match kind:
        case _ if value is None:
            return ""
        case "paise":
            return format_rupees(value)
        case "instant":
            return value.astimezone(IST).isoformat(sep=" ", timespec="seconds")
        case _:
            return str(value)
