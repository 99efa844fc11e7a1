"""A report as bytes: CSV, JSON, Parquet and Excel, row by row."""

from __future__ import annotations

import asyncio
import csv
import io
import queue
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from adapters.errors import Explained
from adapters.reports.report import Footer, Kind, Row, Running
from domain.calendar import IST
from domain.money import format_rupees

AT_ONCE = 2_000


class UnknownFormat(Explained):
    """No format has that suffix."""


# --- CSV and JSON: pieces as they come -----------------------------------------------------------------------


async def as_csv(running: Running) -> AsyncIterator[bytes]:
    """A line of names, then rows: money in paise, days as YYYY-MM-DD, nothing where there is no value."""
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    write(running.report.names)
    async for row in running.rows():
        write([harmless(cell(value)) for value in row])
        if text.tell() > 1 << 16:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def cell(value: Any) -> Any:
    return value.astimezone(IST).isoformat() if isinstance(value, datetime) else value


def harmless(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula, so that it does not."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


async def as_json(running: Running) -> AsyncIterator[bytes]:
    """One document: what it is, the rows, and the footer after them."""
    report, ask = running.report, running.ask
    head = {
        "report": report.name,
        "title": report.title,
        "on": ask.on,
        **({"from": ask.since} if report.period else {}),
        "columns": [{"name": one.name, "kind": one.kind, "says": one.says} for one in report.columns],
    }
    yield orjson.dumps(head)[:-1] + b',"rows":['
    names, first = report.names, True
    async for row in running.rows():
        yield (b"" if first else b",") + orjson.dumps(dict(zip(names, map(cell, row), strict=True)))
        first = False
    yield b"]," + orjson.dumps(footer_told(await running.footer()))[1:] + b"\n"


def footer_told(footer: Footer) -> dict[str, Any]:
    return {
        "count": footer.rows,
        "totals": footer.totals,
        "reconciliation": [
            {
                "says": proof.says,
                "report_paise": proof.report_paise,
                "not_in_the_report_paise": proof.rest_paise,
                "ledger_paise": proof.ledger_paise,
                "ledger_says": proof.ledger_says,
                "difference_paise": proof.difference_paise,
            }
            for proof in footer.proofs
        ],
        "reconciles": footer.reconciles,
        "flaws": footer.flaws,
        "notes": footer.notes,
    }


# --- Files ---------------------------------------------------------------------------------------------------


def in_pieces(pieces: Callable[[Running], AsyncIterator[bytes]]) -> Callable[[Running, BinaryIO], Awaitable[None]]:
    async def write(running: Running, file: BinaryIO) -> None:
        async for piece in pieces(running):
            file.write(piece)

    return write


EPOCH = date(1970, 1, 1)


class Packed(NamedTuple):
    """How a kind of column is packed: built as one type of Arrow, kept as another."""

    built: str
    kept: str
    value: Callable[[Any], Any] = lambda value: value


PACKED: Mapping[Kind, Packed] = {
    "text": Packed("string", "string", str),
    "percent": Packed("string", "string", str),
    "day": Packed("int32", "date32", lambda day: (day - EPOCH).days),
    "instant": Packed("int64", "timestamp", lambda instant: round(instant.timestamp() * 1_000_000)),
    "count": Packed("int64", "int64"),
    "number": Packed("int64", "int64"),
    "paise": Packed("int64", "int64"),
    "flag": Packed("bool", "bool"),
}


async def write_parquet(running: Running, file: BinaryIO) -> None:
    """Column by column, some thousand rows at once; a thread of its own packs them while others are read."""
    from arro3.core import Array, DataType, Field, RecordBatch, RecordBatchReader, Schema
    from arro3.io import write_parquet as pack

    def typed(name: str) -> DataType:
        return DataType.timestamp("us", tz="Asia/Kolkata") if name == "timestamp" else getattr(DataType, name)()

    columns = [(one.name, PACKED[one.kind]) for one in running.report.columns]
    schema = Schema([Field(name, typed(packed.kept), nullable=True) for name, packed in columns])
    waiting: queue.Queue[list[Row] | None] = queue.Queue(maxsize=4)

    def batches() -> Iterator[Any]:
        while (rows := waiting.get()) is not None:
            arrays = [
                Array(
                    [None if value is None else packed.value(value) for value in values], type=typed(packed.built)
                ).cast(typed(packed.kept))
                for (_, packed), values in zip(columns, zip(*rows, strict=True), strict=True)
            ]
            yield RecordBatch.from_arrays(arrays, schema=schema)

    reader = RecordBatchReader.from_batches(schema, batches())
    packing = asyncio.create_task(asyncio.to_thread(pack, reader, file))
    try:
        rows: list[Row] = []
        async for row in running.rows():
            rows.append(row)
            if len(rows) == AT_ONCE:
                await asyncio.to_thread(waiting.put, rows)
                rows = []
        if rows:
            await asyncio.to_thread(waiting.put, rows)
    finally:
        await asyncio.to_thread(waiting.put, None)
    await packing


async def write_xlsx(running: Running, file: BinaryIO) -> None:
    """One sheet of rows, money in rupees as numbers, and one of totals and reconciliation."""
    import xlsxwriter

    book = xlsxwriter.Workbook(file, {"constant_memory": True, "in_memory": False, "strings_to_formulas": False,
                                      "strings_to_urls": False})  # fmt: skip
    bold = book.add_format({"bold": True, "text_wrap": True})
    shown = {
        "paise": book.add_format(
            {"num_format": "[>=10000000]##\\,##\\,##\\,##0.00;[>=100000]##\\,##\\,##0.00;##,##0.00"}
        ),
        "day": book.add_format({"num_format": "yyyy-mm-dd"}),
        "instant": book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
    }
    report = running.report
    sheet = book.add_worksheet(report.name[:31])
    sheet.freeze_panes(1, 0)
    for place, column in enumerate(report.columns):
        sheet.set_column(place, place, 16, shown.get(column.kind))
        sheet.write_string(0, place, column.name.removesuffix("_paise").replace("_", " "), bold)
    line = 0
    async for row in running.rows():
        line += 1
        if line > LAST_LINE:
            raise Explained(f"an Excel sheet ends at {LAST_LINE:,} rows: use .csv or .parquet")
        for place, (column, value) in enumerate(zip(report.columns, row, strict=True)):
            if value is not None:
                sheet.write(line, place, excel(column.kind, value), shown.get(column.kind))
    about = book.add_worksheet("reconciliation")
    footer = await running.footer()
    for number, words in enumerate((report.title, report.says, *told(running, footer))):
        about.write_string(number, 0, words)
    book.close()


LAST_LINE = 1_048_575


def excel(kind: Kind, value: Any) -> Any:
    match kind:
        case "paise":
            return Decimal(value) / 100
        case "percent":
            return float(value)
        case "instant":
            return value.astimezone(IST).replace(tzinfo=None)
        case _:
            return value


def told(running: Running, footer: Footer) -> Iterator[str]:
    """The footer in lines: totals, and each proof with its figures."""
    period = f"from {running.ask.since} to " if running.report.period else "as at the end of "
    yield f"{running.report.title}, {period}{running.ask.on}: {footer.rows} row{'s' * (footer.rows != 1)}"
    for proof in footer.proofs:
        rest = f" + {format_rupees(proof.rest_paise)} not in the report" if proof.rest_paise else ""
        says = f"{proof.says}: {format_rupees(proof.report_paise)}{rest}"
        if proof.difference_paise:
            differs = f"DIFFERS by {format_rupees(proof.difference_paise)} from {format_rupees(proof.ledger_paise)}"
            yield f"{says} {differs} in the ledger ({proof.ledger_says})"
        else:
            yield f"{says} = the ledger's ({proof.ledger_says})"
    yield from footer.notes
    yield from (f"FLAW: {flaw}" for flaw in footer.flaws)
    if footer.proofs:
        yield "It reconciles to the ledger." if footer.reconciles else "It does NOT reconcile to the ledger."


FORMATS: Mapping[str, Callable[[Running, BinaryIO], Awaitable[None]]] = {
    ".csv": in_pieces(as_csv),
    ".json": in_pieces(as_json),
    ".parquet": write_parquet,
    ".xlsx": write_xlsx,
}
"""Suffix -> how a file of it is written."""


def format_of(path: Path) -> Callable[[Running, BinaryIO], Awaitable[None]]:
    write = FORMATS.get(path.suffix.lower())
    if write is None:
        raise UnknownFormat(f"{path.name}: a report's file ends in {', '.join(FORMATS)}")
    return write


async def write_file(running: Running, path: Path) -> None:
    """All of it or nothing: it is written beside and then takes its name."""
    write, part = format_of(path), path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            await write(running, file)
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
