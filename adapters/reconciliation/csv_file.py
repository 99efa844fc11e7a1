"""CSV files, read by a declared mapping: what the columns are called, how amounts, days and signs are written."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from adapters.reconciliation.lines import FileRefused, ReadFile, ReadLine, paise_of, references

Column = Annotated[str, Field(min_length=1, max_length=100)]
LARGEST_FIELD = 10_000


class Columns(BaseModel):
    """Which column holds what. `amount` with its sign, or by `direction`; or `credit` and `debit` apart."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    entry: Column | None = None
    """The line's own reference; without it, the line's references, amount and day together stand for it."""
    amount: Column | None = None
    direction: Column | None = None
    credit: Column | None = None
    debit: Column | None = None
    fee: Column | None = None
    tax: Column | None = None
    value_on: Column
    settlement: Column | None = None
    """The batch (UTR) that a gateway pays the line out with."""
    references: tuple[Column, ...] = ()
    """Columns with references of gateway or bank, the one that payments are known by first."""
    instruction: Column | None = None
    loan: Column | None = None
    text: tuple[Column, ...] = ()
    """Free text; only what looks like a reference is kept of it."""

    def named(self) -> Iterator[str]:
        for _, value in self:
            yield from value if isinstance(value, tuple) else ([value] if value else [])


class FileMapping(BaseModel):
    """How a source's CSV files are to be read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["settlement", "statement"] = "settlement"
    """`settlement`: a gateway's report of single transactions; `statement`: a bank's account statement."""
    columns: Columns
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    encoding: Literal["utf-8-sig", "utf-8", "cp1252", "utf-16"] = "utf-8-sig"
    skip_rows: Annotated[int, Field(ge=0, le=100)] = 0
    """Rows before the one with the columns' names."""
    amounts: Literal["rupees", "paise"] = "rupees"
    days: str = "%Y-%m-%d"
    """As in Python's strptime: `%d/%m/%Y`, `%d-%b-%Y`, ..."""
    out: tuple[str, ...] = ("D", "DR", "DEBIT", "OUT", "REFUND", "PAYOUT", "REVERSAL")
    """Values of `direction` that mean money going out; everything else comes in."""
    only: Mapping[str, tuple[str, ...]] = {}
    """Rows to take: column -> its values. Others (pending, failed) are passed over."""

    @model_validator(mode="after")
    def _complete(self) -> FileMapping:
        columns = self.columns
        if bool(columns.amount) == bool(columns.credit or columns.debit):
            raise ValueError("columns: name either `amount`, or `credit` and `debit`")
        if not (columns.entry or columns.references or columns.instruction):
            raise ValueError("columns: name `entry`, `references` or `instruction`; a line needs one to be told apart")
        return self


OUR_OWN = FileMapping(
    columns=Columns(
        entry="entry",
        amount="amount",
        direction="direction",
        fee="fee",
        tax="tax",
        value_on="value_on",
        settlement="settlement",
        references=("reference",),
        instruction="instruction_id",
        loan="loan_id",
    )
)
"""For whoever can choose: these very names, of which only `amount`, `value_on` and one reference must be there."""
OPTIONAL_OF_OURS = frozenset(OUR_OWN.columns.named()) - {"amount", "value_on"}


def read_csv(content: bytes, mapping: FileMapping) -> ReadFile:
    """Every line, or a refusal that names the row and the column."""
    try:
        text = content.decode(mapping.encoding)
    except UnicodeDecodeError as error:
        raise FileRefused(f"is not {mapping.encoding} (byte {error.start})", where="the file") from None
    if "\0" in text:
        raise FileRefused("holds NUL characters: this is no CSV file", where="the file")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=mapping.delimiter, strict=True)
    try:
        for _ in range(mapping.skip_rows):
            next(rows, None)
        header = [name.strip() for name in next(rows, [])]
        check_header(header, mapping)
        numbered = [(rows.line_num, row) for row in rows if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise FileRefused(f"{error}", where=f"row {rows.line_num}") from None
    lines: list[ReadLine] = []
    known: Counter[str] = Counter()
    passed_over = 0
    for number, row in numbered:
        where = f"row {number}"
        if len(row) > len(header) or any(len(cell) > LARGEST_FIELD for cell in row):
            raise FileRefused(f"has {len(row)} fields where the header has {len(header)}", where=where)
        cells = dict(zip(header, row, strict=False))
        if any(cells.get(column, "").strip() not in values for column, values in mapping.only.items()):
            passed_over += 1
            continue
        line = read_row(cells, mapping, where)
        known[line.entry] += 1
        if not cells.get(mapping.columns.entry or "", "").strip() and known[line.entry] > 1:
            line = replace(line, entry=f"{line.entry}#{known[line.entry]}")  # alike, and yet another line
        lines.append(line)
    return ReadFile(lines=lines, statement=mapping.kind == "statement", passed_over=passed_over)


def check_header(header: list[str], mapping: FileMapping) -> None:
    wanted = [*mapping.columns.named(), *mapping.only]
    optional = OPTIONAL_OF_OURS if mapping.columns == OUR_OWN.columns else frozenset[str]()
    missing = [name for name in dict.fromkeys(wanted) if name not in header and name not in optional]
    if missing:
        found = ", ".join(name for name in header if name)[:300] or "none"
        raise FileRefused(f"column {', '.join(missing)} is missing; there are: {found}", where="the header")
    if len(set(filter(None, header))) != len([*filter(None, header)]):
        raise FileRefused("names a column twice", where="the header")


def read_row(cells: Mapping[str, str], mapping: FileMapping, where: str) -> ReadLine:
    columns = mapping.columns

    def cell(column: str | None) -> str:
        return cells.get(column, "").strip() if column else ""

    def amount(column: str | None) -> int:
        try:
            return paise_of(cell(column), in_paise=mapping.amounts == "paise") if cell(column) else 0
        except ValueError as error:
            raise FileRefused(f"{cell(column)[:40]!r} {error}", where=where, field=column or "") from None

    if columns.amount:
        paise = amount(columns.amount)
        if cell(columns.direction):
            going_out = cell(columns.direction).upper() in {word.upper() for word in mapping.out}
            paise = -abs(paise) if going_out else abs(paise)
    else:
        paise = abs(amount(columns.credit)) - abs(amount(columns.debit))
    if paise == 0:
        raise FileRefused("moves no money", where=where, field=columns.amount or columns.credit or columns.debit or "")
    named = references(*(cell(column) for column in columns.references), cell(columns.instruction))
    value_on = day(cell(columns.value_on), mapping.days, where, columns.value_on)
    entry = cell(columns.entry) or ":".join((*named[:2], str(paise), value_on.isoformat()) if named else ())
    if not entry:
        raise FileRefused("the line has no reference", where=where, field=columns.entry or "")
    if len(entry) > 200 or any(len(ref) > 200 for ref in named):
        raise FileRefused("a reference has at most 200 characters", where=where)
    return ReadLine(
        entry=entry,
        paise=paise,
        value_on=value_on,
        fee_paise=abs(amount(columns.fee)) + abs(amount(columns.tax)),
        batch=cell(columns.settlement),
        refs=references(*named, entry, cell(columns.loan), text=(cell(column) for column in columns.text)),
    )


def day(text: str, form: str, where: str, column: str) -> date:
    try:
        return datetime.strptime(text, form).date()  # noqa: DTZ007  (a day has no zone)
    except ValueError:
        raise FileRefused(f"{text[:40]!r} is no day like {form}", where=where, field=column) from None
