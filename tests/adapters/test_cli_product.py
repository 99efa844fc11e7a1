"""`qist product` as a person or a script runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

QIST = Path(sys.executable).with_name("qist")
GOLD = 'name = "gold-loan"\nversion = 1\ndescription = "A gold loan"\n'
BARRED = GOLD + 'terms.rate_type = "floating"\npreclosure.charge_percent = "2.00"\ncooling_off.days = 0\n'


def qist(*arguments: str, stdin: str = "", products: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("QIST_")}
    if products:
        environment["QIST_PRODUCTS_DIR"] = str(products)
    return subprocess.run(
        [QIST, "product", *arguments], input=stdin, capture_output=True, text=True, check=False, env=environment
    )


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    file = tmp_path / "gold.toml"
    file.write_text(GOLD + "cooling_off.days = 5\ndebits.notice_hours = {upi = 48}\n")
    return file


def line_of(path: str, text: str) -> str:
    [line] = [line for line in text.splitlines() if line.split("  ")[0] == path]
    return " ".join(line.split())


def test_check_explains_each_setting_with_its_value_and_whether_it_was_given(gold: Path) -> None:
    answer = qist("check", str(gold))
    assert (answer.returncode, answer.stderr) == (0, "")
    assert line_of("cooling_off.days", answer.stdout) == (
        "cooling_off.days given 5 Days after the payout in which the borrower may give the loan back "
        "for principal and proportionate APR. Rule 28."
    )
    assert line_of("lender.kind", answer.stdout).startswith('lender.kind default "nbfc-middle" What the lender is')
    assert line_of("debits.notice_hours", answer.stdout).startswith(
        "debits.notice_hours given {upi = 48, card = 24, enach = 24} Hours before a debit"
    )
    assert answer.stdout.splitlines()[-1] == f"{gold}: ok"


def test_check_names_every_contradiction_and_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "gold.toml"
    file.write_text(BARRED)
    answer = qist("check", str(file))
    assert answer.returncode == 1
    barred, cooling_off = [line for line in answer.stdout.splitlines() if line.startswith(str(file))]
    assert barred.startswith(f"{file}: preclosure.charge_percent: is 2.00, but the law says: ")
    assert barred.endswith('rule 24). Say "0.00".')
    assert cooling_off == (
        f"{file}: cooling_off.days: is 0, but the borrower has 1 day or more to give the loan back "
        "(R8.3@2025-05-08; rule 28). Say 1 or more."
    )


def test_check_answers_a_machine_in_json(gold: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(BARRED.replace("gold", "other"))
    answer = qist("check", "--json", str(gold), str(bad))
    assert answer.returncode == 1
    good, other = json.loads(answer.stdout)
    assert (good["file"], good["ok"], good["problems"]) == (str(gold), True, [])
    [told] = [one for one in good["settings"] if one["path"] == "debits.notice_hours"]
    assert (told["value"], told["given"], told["rule"]) == ({"upi": 48, "card": 24, "enach": 24}, True, "29")
    assert not other["ok"]
    assert [one["path"] for one in other["problems"]] == ["preclosure.charge_percent", "cooling_off.days"]
    assert set(other["problems"][0]) == {"path", "what", "do"}


def test_check_reads_standard_input() -> None:
    answer = qist("check", "-", stdin=GOLD)
    assert (answer.returncode, answer.stdout.splitlines()[-1]) == (0, "-: ok")


def test_check_refuses_what_would_change_a_product_in_force_without_a_new_version(gold: Path) -> None:
    changed = GOLD.replace("gold-loan", "personal-loan")
    answer = qist("check", "-", stdin=changed)
    assert answer.returncode == 1
    assert "-: version: is 1, but domain/products/personal-loan.toml has other settings" in answer.stdout
    assert qist("check", "-", stdin=changed.replace("version = 1", "version = 2")).returncode == 0
    twins = qist("check", str(gold), "-", stdin=GOLD)
    assert twins.returncode == 1
    assert f"-: version: is 1, but {gold} has other settings for gold-loan version 1." in twins.stdout
    assert f"{gold}: ok" in twins.stdout


def test_check_of_what_is_not_toml_is_no() -> None:
    answer = qist("check", "-", stdin="name: gold")
    assert answer.returncode == 1
    assert answer.stdout.splitlines()[-1].startswith("-: file: is not TOML: ")


def test_wrong_usage_leaves_with_2() -> None:
    for arguments, said in ((("check",), "name a file"), (("check", "no-such.toml"), "cannot read no-such.toml")):
        answer = qist(*arguments)
        assert (answer.returncode, answer.stdout) == (2, "")
        assert said in answer.stderr


def test_list_shows_the_products_in_force_each_with_its_newest_version(gold: Path) -> None:
    (gold.parent / "gold-3.toml").write_text(GOLD.replace("version = 1", "version = 3"))
    answer = qist("list", products=gold.parent)
    assert [" ".join(line.split()[:3]) for line in answer.stdout.splitlines()] == [
        "gold-loan version 3",
        "home-loan version 1",
        "personal-loan version 1",
        "two-wheeler-loan version 1",
    ]
    assert "gold-loan         version 3 (older: 1)  nbfc-middle  A gold loan" in answer.stdout
    [newest, *_] = json.loads(qist("list", "--json", products=gold.parent).stdout)
    assert (newest["name"], newest["version"], newest["older"]) == ("gold-loan", 3, [1])


def test_show_explains_the_newest_version_or_the_one_that_is_asked_for(gold: Path) -> None:
    (gold.parent / "gold-2.toml").write_text(GOLD.replace("version = 1", "version = 2"))
    newest, first = (qist("show", "gold-loan", *more, products=gold.parent) for more in ((), ("--version", "1")))
    assert line_of("version", newest.stdout).startswith("version given 2 ")
    assert line_of("cooling_off.days", first.stdout).startswith("cooling_off.days given 5 ")
    assert line_of("cooling_off.days", newest.stdout).startswith("cooling_off.days default 3 ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("home-lone",), "no product home-lone; did you mean home-loan?\n"),
        (("home-loan", "--version", "7"), "no version 7 of home-loan; there is 1\n"),
    ],
)
def test_show_of_what_is_not_there_is_no(arguments: tuple[str, ...], said: str) -> None:
    answer = qist("show", *arguments)
    assert (answer.returncode, answer.stdout, answer.stderr) == (1, "", said)


def test_a_wrong_file_in_the_lenders_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(GOLD + "colour = 3\n")
    answer = qist("list", products=tmp_path)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == (
        f"{tmp_path}/bad.toml: colour: is no setting. Leave it out.\n"
        f"`qist product check {tmp_path}/bad.toml` explains each setting\n"
    )


def test_check_explains_the_wrong_file_of_the_lenders_folder_itself(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(GOLD + "colour = 3\n")
    (tmp_path / "gold.toml").write_text(GOLD)
    answer = qist("check", str(bad), products=tmp_path)
    assert (answer.returncode, answer.stdout.splitlines()[-1]) == (1, f"{bad}: colour: is no setting. Leave it out.")
    bad.write_text(GOLD + "cooling_off.days = 5\n")
    answer = qist("check", str(tmp_path / "gold.toml"), products=tmp_path)
    assert f"gold.toml: version: is 1, but {bad} has other settings" in answer.stdout
