"""Kinds of arguments that several commands take."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

# A number of things; none and fewer make no sense.
Count = Annotated[int, Parameter(validator=Number(gte=1))]

# A lone "-" would be taken for an option without the permission to begin with a hyphen.
FileOrStdin = Annotated[str, Parameter(allow_leading_hyphen=True)]


def read_bytes(file: str) -> bytes:
    """The whole of a file, or of standard input where the file is "-"."""
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
