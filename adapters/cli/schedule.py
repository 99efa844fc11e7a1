"""`qist schedule`: terms in, the instalment schedule out, as JSON or as a table for people."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cache, partial
from typing import Any, Final, NamedTuple, cast

import orjson

from adapters.cli.arguments import FileOrStdin, read_bytes
from adapters.errors import Explained
from domain.money import format_rupees
from domain.schedule import Row, Schedule, build_schedule
from domain.terms import Terms, TermsError

# A fork costs as much as some hundred schedules; from here on each core takes its share of a list.
WORTH_FORKING: Final = 500
AT_A_TIME: Final = 64

_IN_A_LIST: Final = (b"[\n", b",\n", b"\n]\n")
_IN_A_ROW: Final = (b"", b"\n\n", b"\n")


def schedule(file: FileOrStdin = "-", /, *, product: str | None = None, table: bool = False) -> int:
    """Work out the schedule of a loan from its terms, as JSON.

    Terms stand alone, or as in a disbursal request: {"product": NAME, "terms": {...}}. A list gives a list of
    schedules. For terms that cannot be a loan, stderr names every field that is wrong (in a list: whose), and
    the exit status is 1.

    Parameters
    ----------
    file
        A file with terms as JSON, or - for standard input.
    product
        The product whose defaults hold where terms name no product of their own.
    table
        A table to read, in rupees, instead of JSON.
    """
    try:
        text = read_bytes(file)
    except OSError as error:
        return _complain(f"cannot read {file}: {error.strerror}", status=2)
    try:
        asked = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        return _complain(f"this is not JSON: {error}")
    many = isinstance(asked, list)
    items = cast("list[Any]", asked) if many else [asked]
    try:
        answers = _answers(items, partial(_answer, product=product, table=table))
    except Explained as error:
        return _complain(str(error))
    status = 0
    for index, answer in enumerate(answers):
        for problem in answer.problems:
            status = _complain(f"terms {index}: {problem}" if many else problem)
    if not status:
        begin, between, end = _IN_A_LIST if many and not table else _IN_A_ROW
        sys.stdout.buffer.write(begin + between.join(answer.document for answer in answers) + end)
    return status


class _Answer(NamedTuple):
    """What is printed for one loan, or everything that is wrong with its terms."""

    document: bytes = b""
    problems: tuple[str, ...] = ()


def _answers(items: Sequence[Any], work: partial[_Answer]) -> list[_Answer]:
    if len(items) < WORTH_FORKING or os.cpu_count() == 1:
        return [work(item) for item in items]
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(mp_context=get_context("fork")) as pool:
        return list(pool.map(work, items, chunksize=AT_A_TIME))


def _answer(item: object, product: str | None, table: bool) -> _Answer:
    if not isinstance(item, Mapping):
        return _Answer(problems=(f"/: terms must be an object, not {item!r}",))
    asked = cast("Mapping[str, Any]", item)
    within = "/terms" if "terms" in asked else ""
    terms = asked["terms"] if within else asked
    if not isinstance(terms, Mapping):
        return _Answer(problems=(f"{within}: must be an object, not {terms!r}",))
    name = asked.get("product") or product
    defaults = _defaults(name) if isinstance(name, str) else {}
    if defaults is None or not isinstance(name, str | None):
        return _Answer(problems=(f"/product: there is no product {name!r}, only {', '.join(_known())}",))
    given = cast("Mapping[str, Any]", terms)
    try:
        made = build_schedule(Terms.parse(given, defaults))
    except TermsError as error:
        found = Terms.problems(given, defaults) or (error,)
        return _Answer(problems=tuple(f"{within}{problem}" for problem in found))
    if table:
        return _Answer("\n".join(draw(made)).encode())
    return _Answer(orjson.dumps(made.to_dict(), option=orjson.OPT_INDENT_2))


@cache
def _defaults(product: str) -> Mapping[str, Any] | None:
    from adapters.house import load_rules  # slow to import, and most terms name no product

    known = load_rules().products.newest(product)
    return known.terms if known else None


def _known() -> Iterable[str]:
    from adapters.house import load_rules

    return sorted({name for name, _ in load_rules().products.by_version})


def _complain(message: str, status: int = 1) -> int:
    print(f"qist schedule: {message}", file=sys.stderr)
    return status


# --- A table, as a person would check it ------------------------------------------------------------------

_MONEY: Final = ("opening", "principal", "interest", "fee", "total", "closing")


def draw(made: Schedule) -> Iterable[str]:
    """The rows under their headings, in rupees with Indian digit groups, then what they come to."""
    shown = [name for name in _MONEY if name != "fee" or any(row.fee_paise for row in made.rows)]
    cells = [["#", "due", "days", *shown], *(_cells(row, shown) for row in made.rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    yield from ("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)
    yield ""
    yield f"instalment      {format_rupees(made.instalment_paise)}"
    yield f"total interest  {format_rupees(made.total_interest_paise)}"
    yield f"net disbursed   {format_rupees(made.net_disbursed_paise)}"
    yield f"APR             {made.apr_percent} %"
    yield from (f"note: {note}" for note in made.notes)


def _cells(row: Row, shown: Sequence[str]) -> list[str]:
    amounts = [format_rupees(getattr(row, f"{name}_paise")) for name in shown]
    return [str(row.number), row.due_on.strftime("%d-%b-%Y"), str(row.days), *amounts]
