"""The `qist` command: a table of commands, each imported only when it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from cyclopts import App, CycloptsError

DONE: Final = 0
WRONG_USAGE: Final = 2

# name: (where it lives, what it does). The help stands here, so that `qist --help` imports none of them.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "schedule": (
        "adapters.cli.schedule:schedule",
        "Work out the schedule of a loan from its terms, as JSON.",
    ),
}


def _version() -> str:
    from importlib.metadata import version  # slow to import, and seldom asked for

    return version("qist")


app = App(
    name="qist",
    help="A loan servicing engine. Exit status: 0 done, 1 the answer is no, 2 wrong usage.",
    help_format="plaintext",
    version=_version,
)
for _name, (_path, _help) in COMMANDS.items():
    app.command(_path, name=_name, help=_help)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit status: what it returns, or 0 when that is nothing."""
    try:
        status = app(arguments, exit_on_error=False, result_action="return_value")
    except CycloptsError:  # Already explained to the person on stderr.
        sys.exit(WRONG_USAGE)
    sys.exit(status if isinstance(status, int) else DONE)


if __name__ == "__main__":
    main()
