"""What every command does about a reader that goes away and about a word that no table has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LONG = """
import sys
from adapters.cli.running import run
async def talk():
    for _ in range(100_000):
        print("x" * 80)
sys.exit(run(talk()))
"""


def test_a_reader_that_has_seen_enough_is_no_failure() -> None:
    talking = subprocess.Popen([sys.executable, "-c", LONG], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert talking.stdout is not None
    assert talking.stderr is not None
    talking.stdout.readline()
    talking.stdout.close()
    assert (talking.wait(60), talking.stderr.read()) == (0, "")


@pytest.mark.parametrize("asked", [("--rail", "paper"), ("--class", "nonsense")])
def test_a_rail_or_a_class_that_does_not_exist_is_wrong_usage_and_not_an_empty_list(asked: tuple[str, str]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("QIST_")}
    qist = Path(sys.executable).with_name("qist")
    answer = subprocess.run(
        [qist, "codes", "list", *asked], capture_output=True, text=True, check=False, env=environment
    )
    assert answer.returncode == 2
    assert asked[1] in answer.stdout + answer.stderr
