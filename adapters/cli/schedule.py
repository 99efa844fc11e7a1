"""`qist schedule`: terms in, the instalment schedule out, as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

import orjson

from adapters.cli.arguments import FileOrStdin, read_bytes
from domain.schedule import build_schedule
from domain.terms import Terms, TermsError


def schedule(file: FileOrStdin = "-", /) -> int:
    """Work out the schedule of a loan from its terms, as JSON.

    A list of terms gives a list of schedules. For terms that cannot be a loan, stderr names the field and the
    exit status is 1.

    Parameters
    ----------
    file
        A file with terms as JSON, or - for standard input.
    """
    try:
        text = read_bytes(file)
    except OSError as error:
        return _complain(f"cannot read {file}: {error.strerror}", status=2)
    try:
        asked = json.loads(text, parse_float=Decimal)
    except ValueError as error:
        return _complain(f"this is not JSON: {error}")
    many = isinstance(asked, list)
    items = cast("list[Any]", asked) if many else [asked]
    answers: list[dict[str, Any]] = []
    status = 0
    for index, item in enumerate(items):
        try:
            answers.append(_answer(item))
        except TermsError as error:
            status = _complain(f"terms {index}: {error}" if many else str(error))
    if not status:
        document = answers if many else answers[0]
        sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return status


def _answer(item: object) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        raise TermsError("", f"terms must be an object, not {item!r}")
    return build_schedule(Terms.parse(cast("Mapping[str, Any]", item))).to_dict()


def _complain(message: str, status: int = 1) -> int:
    print(f"qist schedule: {message}", file=sys.stderr)
    return status
