"""The tables of the law keep their own rules: one answer a day, a source each, and functions that exist."""

import re
from datetime import date, timedelta
from importlib import import_module
from itertools import groupby

import pytest

from domain.ensure import InvariantBroken
from domain.law import ALL, TOPICS, lender_kind
from domain.law.dated import ALL_LENDERS, DatedRule, Ruled, by, in_force, table
from domain.law.page import law_page

FUNCTION = re.compile(r"`([a-z_]+)\.([a-z_]+)`")


def a_rule(since: str = "2026-01-01", until: str | None = None, **changes) -> DatedRule[int]:
    facts = {"id": "T1", "title": "t", "text": "t", "source": "s", "confidence": "seen", "where": "w", "value": 1}
    days = {"valid_from": date.fromisoformat(since), "valid_until": until and date.fromisoformat(until)}
    return DatedRule(**{**facts, **days, **changes})


def test_a_rule_holds_from_its_first_day_to_its_last():
    rules = table(a_rule("2026-01-01", "2026-06-30", value=1), a_rule("2026-07-01", value=2))
    days = ("2025-12-31", "2026-01-01", "2026-06-30", "2026-07-01")
    found = [in_force(rules, date.fromisoformat(day)) for day in days]
    assert [rule and rule.value for rule in found] == [None, 1, 1, 2]
    assert found[3] is not None
    assert found[3].ref == "T1@2026-07-01"


def test_a_rule_for_some_lenders_does_not_answer_for_the_others_nor_when_nobody_is_named():
    rules = table(a_rule(lenders=frozenset({"bank"})))
    today = date(2026, 5, 1)
    assert in_force(rules, today, "bank") is rules[0]
    assert in_force(rules, today, "hfc") is None
    assert in_force(rules, today) is None


def test_two_rules_cannot_answer_on_the_same_day_for_the_same_lender():
    with pytest.raises(InvariantBroken, match="one rule answers"):
        table(a_rule("2026-01-01", "2026-07-01"), a_rule("2026-07-01"))
    table(a_rule(lenders=frozenset({"bank"})), a_rule(lenders=frozenset({"hfc"})))


def test_an_answer_is_as_true_as_its_value():
    assert not Ruled(False, "R3.6@2024-04-01")
    assert by(None, True) == (True, "")


def test_a_lender_is_of_a_known_kind():
    assert lender_kind("nbfc-base") == "nbfc-base"
    with pytest.raises(ValueError, match=r"lender: must be one of bank, sfb, .*not 'nbfc'"):
        lender_kind("nbfc")


def test_every_version_has_a_name_of_its_own():
    names = [rule.ref for rule in ALL]
    assert len(names) == len(set(names))


def test_versions_of_a_rule_follow_each_other_without_overlap():
    by_id = sorted(ALL, key=lambda rule: rule.id)
    for _, versions in groupby(by_id, key=lambda rule: rule.id):
        # R3.1 reaches new loans first and existing ones later: counted by different days, both go on.
        counted = [version for version in versions if version.id != "R3.1"]
        table(*counted)


def test_what_ends_is_followed_the_next_day_for_the_same_lenders():
    for rules in TOPICS.values():
        for rule in (rule for rule in rules if rule.valid_until):
            next_day = rule.valid_until + timedelta(days=1)
            followed = [other.lenders for other in rules if other.valid_from == next_day]
            assert rule.lenders <= frozenset().union(*followed), rule.ref


def test_every_rule_names_functions_that_exist():
    named = {match for rule in ALL for match in FUNCTION.findall(rule.where)}
    assert len(named) > 40
    for module, function in named:
        assert callable(getattr(import_module(f"domain.law.{module}"), function)), f"{module}.{function}"


def test_every_rule_stands_on_the_page_once_with_source_and_confidence():
    page = " ".join(law_page().split())
    for rule in ALL:
        assert page.count(f"**{rule.id} {rule.title}.**") + page.count(f": {rule.title}.** {rule.text}") >= 1, rule.ref
        assert " ".join(f"Source: {rule.source} ({rule.confidence}).*".split()) in page, rule.ref
    assert [line[3:] for line in law_page().splitlines() if line.startswith("## ")] == list(TOPICS)


def test_no_lender_is_forgotten_by_provisions_npa_and_upgrade():
    from domain.law import classification, provisions

    today = date(2026, 11, 24)
    for tables in (classification.NPA_AFTER, classification.UPGRADE, classification.UPGRADE_RESTRUCTURED):
        assert all(in_force(tables, today, lender) for lender in ALL_LENDERS)
    assert all(in_force(provisions.PROVISIONS, today, lender) for lender in ALL_LENDERS)
    gap = [
        (lender, day)
        for lender in ALL_LENDERS
        for day in (date(2023, 1, 1) + timedelta(days=n) for n in range(1400))
        if not in_force(classification.NPA_AFTER, day, lender)
    ]
    assert gap == []
