"""NACH-style files as text: fixed columns, a header and a trailer with control totals, one item a line. Pure.

Presentation and enquiry files go to the bank, acknowledgement and response files come back; docs/gateways.md draws all
of them. Columns are described once, here, and both ways of reading them (making a line, understanding one) follow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from adapters.gateways.port import SetAside

VERSION = "01"
WIDTH = 200
Kind = Literal["PRS", "ENQ", "ACK", "RSP"]
KINDS: dict[Kind, str] = {
    "PRS": "presentation: items to debit",
    "ENQ": "enquiry: items without a response",
    "ACK": "acknowledgement: items taken or rejected at input",
    "RSP": "response: what became of items",
}


@dataclass(frozen=True, slots=True)
class Column:
    """`kind`: text (left, spaces), digits (right, zeros) or date (DDMMYYYY)."""

    name: str
    width: int
    kind: Literal["text", "digits", "date"] = "text"


HEADER = (
    Column("type", 1),
    Column("version", 2),
    Column("file", 3),
    Column("reference", 30),
    Column("utility_code", 18),
    Column("about", 30),
    Column("made_on", 8, "date"),
    Column("items", 7, "digits"),
    Column("total_paise", 17, "digits"),
)
ITEM = (
    Column("type", 1),
    Column("number", 7, "digits"),
    Column("reference", 90),
    Column("umrn", 24),
    Column("amount_paise", 15, "digits"),
    Column("due_on", 8, "date"),
    Column("bank", 11),
)
RESULT = (
    Column("type", 1),
    Column("number", 7, "digits"),
    Column("reference", 90),
    Column("amount_paise", 15, "digits"),
    Column("status", 1),
    Column("code", 3),
    Column("bank_reference", 22),
    Column("value_on", 8, "date"),
    Column("text", 40),
)
TRAILER = (
    Column("type", 1),
    Column("items", 7, "digits"),
    Column("total_paise", 17, "digits"),
    Column("succeeded", 7, "digits"),
    Column("succeeded_paise", 17, "digits"),
)
ROWS: dict[Kind, tuple[Column, ...]] = {"PRS": ITEM, "ENQ": ITEM, "ACK": RESULT, "RSP": RESULT}
STATUSES = {
    "0": "failed",
    "1": "succeeded",
    "2": "taken",
    "8": "not known to the bank",
    "9": "pending",
    "R": "reversed",
}

Value = str | int | date | None


class Garbled(ValueError):
    """A line that is not what it should be: the column and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A line of a file: of ours what is asked, of the bank's what became of it."""

    reference: str
    amount_paise: int
    number: int = 0
    umrn: str = ""
    due_on: date | None = None
    bank: str = ""
    status: str = ""
    code: str = ""
    bank_reference: str = ""
    value_on: date | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NachFile:
    """A whole file."""

    kind: Kind
    reference: str
    utility_code: str
    made_on: date
    items: Sequence[Item]
    about: str = ""
    """The file of ours that a bank's file answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What could be read. With a `problem` the file as a whole does not hold, and none of it counts."""

    file: NachFile | None
    lines: Sequence[int] = ()
    """Where each item stood, counted from 1."""
    set_aside: Sequence[SetAside] = ()
    problem: str = ""
    counted: int = field(default=0)


def name_of(file: NachFile) -> str:
    """The name that a file travels under."""
    return f"{file.reference}.txt"


def reference_of(kind: Kind, made_at: datetime, references: Iterable[str]) -> str:
    """A file's reference from what is in it: the same items at the same try give the same one, so that a file that is
    made twice is known to be one."""
    digest = hashlib.sha256("\n".join(references).encode()).hexdigest()[:10].upper()
    return f"{kind}-{made_at:%Y%m%d-%H%M%S}-{digest}"


# --- writing -------------------------------------------------------------------------------------------------


def written(file: NachFile) -> str:
    """The file's text; `Garbled` when something does not fit its column."""
    total = sum(item.amount_paise for item in file.items)
    columns = ROWS[file.kind]
    succeeded = [item.amount_paise for item in file.items if item.status == "1"] if columns is RESULT else []
    head: dict[str, Value] = {
        "type": "H",
        "version": VERSION,
        "file": file.kind,
        "reference": file.reference,
        "utility_code": file.utility_code,
        "about": file.about,
        "made_on": file.made_on,
        "items": len(file.items),
        "total_paise": total,
    }
    tail: dict[str, Value] = {
        "type": "T",
        "items": len(file.items),
        "total_paise": total,
        "succeeded": len(succeeded),
        "succeeded_paise": sum(succeeded),
    }
    rows = [
        _line(columns, {"type": "D", "number": number, **{name: getattr(item, name) for name in _names(columns)}})
        for number, item in enumerate(file.items, 1)
    ]
    return "\n".join([_line(HEADER, head), *rows, _line(TRAILER, tail), ""])


def _names(columns: Sequence[Column]) -> list[str]:
    return [column.name for column in columns if column.name not in ("type", "number")]


def _line(columns: Sequence[Column], values: dict[str, Value]) -> str:
    return "".join(_cell(column, values[column.name]) for column in columns).ljust(WIDTH)


def _cell(column: Column, value: Value) -> str:
    match column.kind:
        case "date":
            text = value.strftime("%d%m%Y") if isinstance(value, date) else " " * 8
        case "digits":
            text = str(value).rjust(column.width, "0")
        case _:
            text = str(value or "").ljust(column.width)
    negative = isinstance(value, int) and value < 0
    if negative or len(text) != column.width or not text.isprintable() or not text.isascii():
        raise Garbled(f"{column.name}: {str(value)[:40]!r} does not fit {column.width} columns of plain text")
    return text


# --- reading -------------------------------------------------------------------------------------------------


def read(content: bytes) -> Reading:
    """A file as far as it can be understood.

    Lines that cannot be are set aside by number, and the rest counts if the trailer agrees with it. A file without its
    trailer, or whose totals say something else, was cut or changed on its way: nothing of it counts.
    """
    lines = content.decode("ascii", "replace").splitlines()
    lines = lines[: len(lines) - next((n for n, line in enumerate(reversed(lines)) if line.strip()), len(lines))]
    if not lines:
        return Reading(file=None, problem="the file is empty")
    try:
        head = _understood(HEADER, lines[0], "H")
        kind: Kind | None = next((known for known in KINDS if known == head["file"]), None)
        if kind is None or head["version"] != VERSION:
            raise Garbled(f"file {head['file']!r} of version {head['version']!r} is of no kind that there is")
    except Garbled as error:
        aside = [SetAside(line=1, reason=str(error), content=lines[0])]
        return Reading(file=None, set_aside=aside, problem=f"line 1 is no header: {error}", counted=len(lines))
    ended = len(lines) > 1 and lines[-1].startswith("T")
    items: list[Item] = []
    places: list[int] = []
    aside: list[SetAside] = []
    for place, line in enumerate(lines[1 : -1 if ended else None], 2):
        try:
            items.append(_item(_understood(ROWS[kind], line, "D"), place - 1))
            places.append(place)
        except Garbled as error:
            aside.append(SetAside(line=place, reason=str(error), content=line))
    made_on = head["made_on"]
    assert isinstance(made_on, date)
    file = NachFile(
        kind=kind,
        reference=str(head["reference"]),
        utility_code=str(head["utility_code"]),
        made_on=made_on,
        items=items,
        about=str(head["about"]),
    )
    problem = _disagreement(head, lines[-1], items, len(aside)) if ended else "it has no trailer: it was cut short"
    return Reading(file=file, lines=places, set_aside=aside, problem=problem, counted=len(lines))


def _disagreement(head: dict[str, Value], last: str, items: Sequence[Item], garbled: int) -> str:
    """How the control totals differ from the lines; empty when they agree. What a garbled line held may be missing
    from the lines and not from the totals."""
    try:
        tail = _understood(TRAILER, last, "T")
    except Garbled as error:
        return f"the last line is no trailer: {error}"
    good = [item for item in items if item.status == "1"]
    found = {
        "items": len(items) + garbled,
        "total_paise": sum(item.amount_paise for item in items),
        "succeeded": len(good),
        "succeeded_paise": sum(item.amount_paise for item in good),
    }
    for name, counted in found.items():
        said = tail[name]
        assert isinstance(said, int)
        exact = name == "items" or not garbled
        if (said != counted) if exact else not (counted <= said):
            return f"the trailer says {name} {said}, the lines {counted}"
    for name in ("items", "total_paise"):
        if head[name] != tail[name]:
            return f"the header says {name} {head[name]}, the trailer {tail[name]}"
    return ""


def _understood(columns: Sequence[Column], line: str, kind: str) -> dict[str, Value]:
    if len(line) != WIDTH:
        raise Garbled(f"{len(line)} characters instead of {WIDTH}")
    values: dict[str, Value] = {}
    at = 0
    for column in columns:
        values[column.name] = _value(column, line[at : at + column.width])
        at += column.width
    if values["type"] != kind:
        raise Garbled(f"type {values['type']!r} instead of {kind!r}")
    if line[at:].strip():
        raise Garbled(f"something stands after column {at}")
    return values


def _value(column: Column, text: str) -> Value:
    match column.kind:
        case "digits":
            if not (text.isascii() and text.isdigit()):
                raise Garbled(f"{column.name}: {text!r} is no number")
            return int(text)
        case "date":
            if not text.strip():
                return None
            try:
                return datetime.strptime(text, "%d%m%Y").date()  # noqa: DTZ007 - a day, not an instant
            except ValueError:
                raise Garbled(f"{column.name}: {text!r} is no day (DDMMYYYY)") from None
        case _:
            return text.rstrip()


def _item(values: dict[str, Value], number: int) -> Item:
    if values["number"] != number:
        raise Garbled(f"number: {values['number']} instead of {number}")
    if "status" in values and values["status"] not in STATUSES:
        raise Garbled(f"status: {values['status']!r} is none of {', '.join(STATUSES)}")
    if not values["reference"]:
        raise Garbled("reference: it is empty")
    return Item(**{name: value for name, value in values.items() if name != "type"})  # pyright: ignore[reportArgumentType]
