"""The vocabulary is complete, and the domain stays pure: what a person would forget, checked by reading the code."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from domain import commands as c
from domain import snapshot
from domain.events import CATALOGUE, LoanEvent
from domain.folding import EVOLVE
from domain.life import DECIDE
from domain.refusals import EXPLAINED, Refusal
from domain.state import LoanState

DOMAIN = Path(__file__).parents[2] / "domain"
MODULES = sorted(path for path in DOMAIN.rglob("*.py") if path.read_text())

FORBIDDEN = {
    "datetime.now": "take `now` as an argument",
    "datetime.utcnow": "take `now` as an argument",
    "datetime.today": "take `now` as an argument",
    "date.today": "take `now` as an argument, and `ist_day(now)`",
    "time.time": "take `now` as an argument",
    "float": "use `Paise` (int), `Decimal` or `Fraction`",
    "random": "let the caller bring what is random",
    "uuid4": "make ids from the loan's id and a count",
    "print": "yield an event, or raise a refusal",
    "open": "let an adapter read it, and pass the text",
}
"""What the domain may not call, and what to do instead."""
LIKELIHOODS = {f"policies/{name}.py" for name in ("insight", "likelihood", "patterns", "timing", "weighing")}
"""Modules that deal in probabilities, which binary fractions hold well enough: no amount of theirs is ever posted."""


def names_used(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, name) of every name, attribute (dotted), and import."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr=attribute):
                yield node.lineno, f"{owner}.{attribute}"
            case ast.Name(id=name):
                yield node.lineno, name
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=module, names=names):
                yield node.lineno, module or ""
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.Constant(value=float() as value):
                yield node.lineno, f"float ({value})"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(DOMAIN)))
def test_no_clock_no_chance_no_binary_fractions(path: Path) -> None:
    found = [
        f"{path.name}:{line}: {name}: {FORBIDDEN[name.split(' ')[0]]}"
        for line, name in names_used(ast.parse(path.read_text()))
        if name.split(" ")[0] in FORBIDDEN
        and not (name.startswith("float") and str(path.relative_to(DOMAIN)) in LIKELIHOODS)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(DOMAIN)))
def test_every_module_opens_with_one_sentence(path: Path) -> None:
    said = ast.get_docstring(ast.parse(path.read_text()))
    assert said, f"{path} says nothing of itself"
    first = said.split("\n\n")[0].strip()
    assert re.search(r"[.?]$", first), f"{path}: {first!r} does not end"


def test_every_event_changes_the_loan_in_one_known_place() -> None:
    assert set(EVOLVE) == set(CATALOGUE.values())


def test_every_command_has_a_decider() -> None:
    known_by_handle = {c.BookLoan, c.WakeUp}
    assert set(DECIDE) | known_by_handle == set(get_args(c.Command))
    assert not set(DECIDE) & known_by_handle


def test_every_refusal_says_what_to_do() -> None:
    assert set(EXPLAINED) == set(Refusal)
    for refusal, sentence in EXPLAINED.items():
        assert sentence.endswith("."), refusal
        assert refusal.value == refusal.name


def test_no_two_refusals_say_the_same() -> None:
    assert len(set(EXPLAINED.values())) == len(EXPLAINED)


@pytest.mark.parametrize("topic", sorted(CATALOGUE))
def test_an_event_is_a_frozen_fact_of_plain_values_with_a_sentence_and_a_stored_name(topic: str) -> None:
    event = CATALOGUE[topic]
    kebab = re.sub(r"(?<!^)(?=[A-Z])", "-", event.__name__).lower()
    assert topic == f"loan.{kebab.removeprefix('loan-')}.v1"
    assert topic == event.TOPIC
    assert event.__doc__
    assert event.__doc__ != LoanEvent.__doc__
    plain = re.compile(r"^(int|str|bool|Line|list\[(str|Line|list\[Any\]|dict\[str, Any\])\]|dict\[str, (Any|int)\])$")
    for field in dataclasses.fields(event):
        if field.init:
            assert plain.match(str(field.type)), f"{event.__name__}.{field.name}: {field.type}"
            assert field.kw_only or field.name == "originator_topic"


@pytest.mark.parametrize("event", [cls for cls in CATALOGUE.values() if cls.class_version > 1])
def test_every_older_version_of_an_event_has_its_upcaster(event: type[LoanEvent]) -> None:
    for version in range(1, event.class_version):
        assert callable(getattr(event, f"upcast_v{version}_v{version + 1}"))


NOT_KEPT = {"planned", "due_by_key", "settled_dues", "terms_read"}
"""Worked out from the rest after loading."""


def test_a_snapshot_keeps_every_field_of_a_loan() -> None:
    kept = {*snapshot.PLAIN, *snapshot.DAYS, *snapshot.SETS, *snapshot.BY_NUMBER}
    by_hand = {
        "rows", "dues", "tranches", "receipts", "in_flight", "opportunities", "active_since", "levied", "changes",
        "principal_repaid", "notified_at", "failed_refunds", "advanced", "answered_debits", "awaited_payouts",
    }  # fmt: skip
    fields = {name for name in LoanState.__annotations__ if not name.startswith("_")}
    assert kept | by_hand | NOT_KEPT == fields
