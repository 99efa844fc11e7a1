"""The index of the servicing rules names what is there: modules, tests, settings with their defaults, headings."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from domain.decisions.duties import LATE
from domain.product_settings import SETTINGS
from domain.setting import REQUIRED, as_toml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RULE = re.compile(r"^\*\*(\d+)\. .+?(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)
RULES = {int(found.group(1)): found.group(0) for found in RULE.finditer((DOCS / "rules.md").read_text())}
CODE = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]+)?\)")
OUTSIDE = ("http://", "https://")


@cache
def known_tests() -> frozenset[str]:
    found = (re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.M) for file in ROOT.glob("tests/**/*.py"))
    return frozenset(name for names in found for name in names)


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)}


def test_all_thirty_five_are_there():
    assert sorted(RULES) == list(range(1, 36))


@pytest.mark.parametrize("number", RULES)
def test_a_rule_names_its_modules_and_a_test_and_they_exist(number: int):
    named = CODE.findall(RULES[number])
    modules = [name for name in named if name.endswith(".py")]
    proofs = [name for name in named if name.startswith("test_")]
    assert modules
    assert proofs
    assert [name for name in modules if not (ROOT / name).is_file()] == []
    assert [name for name in proofs if name not in known_tests()] == []


@pytest.mark.parametrize("number", RULES)
def test_a_setting_is_named_with_the_default_that_holds(number: int):
    defaults = {each.path: None if each.default in (REQUIRED, None) else as_toml(each.default) for each in SETTINGS}
    named = [" ".join(code.split()) for code in CODE.findall(RULES[number])]
    said = [code.split(" = ", 1) for code in named if " = " in code]
    for path, default in said:
        assert path in defaults, "no such setting"
        assert default == defaults[path]


def test_a_rule_that_a_setting_belongs_to_is_a_rule():
    named = {int(number) for each in SETTINGS for number in re.findall(r"\d+", each.rule)}
    assert named <= RULES.keys()


@pytest.mark.parametrize("page", sorted([*DOCS.glob("**/*.md"), *ROOT.glob("*.md")]), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    for path, anchor in LINK.findall(page.read_text()):
        if path.startswith(OUTSIDE):
            continue
        target = (page.parent / path) if path else page
        assert target.exists(), path
        if anchor and target.suffix == ".md":
            assert anchor[1:] in anchors(target), f"{path}{anchor}"


def test_every_kind_of_case_is_in_the_runbook():
    opened = [file.read_text() for file in (ROOT / "domain/decisions").glob("*.py")]
    kinds = {kind for text in opened for kind in re.findall(r'a_case\(\s*loan,\s*kind="([a-z-]+)"', text)}
    assert len(kinds) > 10
    kinds |= {f"{what}-{outcome}" for what in ("refund", "payout") for outcome in ("returned", "failed")}
    kinds |= {f"{what}-late" for what in LATE} | {"grievance"}
    runbook = (DOCS / "operations.md").read_text()
    assert {kind for kind in kinds if f"`{kind}`" not in runbook} == set()
