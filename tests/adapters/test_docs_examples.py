"""What the pages show as a command's answer is what the command answers."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from adapters.cli.main import main

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md"])
CONSOLE = re.compile(r"^```console\n\$ qist (.+)\n((?:.*\n)*?)```$", re.MULTILINE)
LEFT_OUT = "…"
EXAMPLES = [
    pytest.param(shlex.split(command), shown.splitlines(), id=f"{page.name}: {command}")
    for page in PAGES
    for command, shown in CONSOLE.findall(page.read_text())
]


def words(line: str) -> str:
    """A line without its indentation, and without the width of its columns."""
    return " ".join(line.split())


@pytest.mark.parametrize(("arguments", "shown"), EXAMPLES)
def test_each_line_that_is_shown_is_answered_in_that_order(
    arguments: list[str], shown: list[str], capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit):
        main(arguments)
    answered = iter([words(line) for line in capsysbinary.readouterr().out.decode().splitlines()])
    asked = [words(line) for line in shown if line.strip() not in ("", LEFT_OUT)]
    assert asked
    for line in asked:
        assert line in answered, f"not answered, or not in this place: {line}"


def test_there_are_examples():
    assert len(EXAMPLES) > 9
