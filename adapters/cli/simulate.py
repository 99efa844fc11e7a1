"""`qist simulate`: made-up worlds to try Qist on."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import orjson
from cyclopts import Parameter

from adapters.cli.arguments import Count
from adapters.cli.running import WRONG_USAGE

Kind = Literal["mixed", "salaried", "gig", "shift", "outages", "distressed"]


def population(
    *,
    kind: Kind = "mixed",
    seed: int = 7,
    accounts: Count = 1000,
    from_: Annotated[date, Parameter(name="--from")] = date(2026, 1, 1),
    until: date = date(2026, 12, 31),
    output: Path | None = None,
) -> int:
    """Make up a population of accounts for `qist evaluate-retries`, as JSON.

    The same arguments give the same population, byte for byte.

    Parameters
    ----------
    kind
        Who is in it, and what happens: a mix of borrowers; mostly salaried, gig or distressed ones; a shift of salary
        days and incomes in the middle of the time; many bank outages.
    seed
        Another seed makes other accounts of the same kind.
    accounts
        How many.
    from_
        The first due day, at the earliest.
    until
        The last day of all.
    output
        Write to this file instead of standard output.
    """
    from adapters.evaluation.generator import generate

    if until < from_:
        print(f"--until {until} is before --from {from_}", file=sys.stderr)
        return WRONG_USAGE
    text = orjson.dumps(generate(kind, seed, accounts, from_, until), option=orjson.OPT_APPEND_NEWLINE)
    if output is None:
        sys.stdout.buffer.write(text)
        return 0
    try:
        output.write_bytes(text)
    except OSError as error:
        print(f"cannot write {output}: {error.strerror}", file=sys.stderr)
        return WRONG_USAGE
    return 0
