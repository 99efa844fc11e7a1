"""Alerts and the Grafana dashboard: every expression can be read, every alert says what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

ROOT = Path(__file__).parents[2]
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "ops/prometheus/alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "ops/grafana/qist.json").read_text())
PANEL_EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
EXPRESSIONS = [rule["expr"] for rule in RULES] + PANEL_EXPRESSIONS


def metrics_of(expression: str) -> set[str]:
    """The names of Qist's own metrics in an expression."""
    return set(re.findall(r"\bqist_\w+", expression))


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_is_promql(expression: str):
    promql_parser.parse(expression)
    assert metrics_of(expression)


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_every_alert_has_a_runbook_that_says_what_to_do(rule: dict[str, Any]):
    page = (ROOT / rule["annotations"]["runbook_url"]).read_text()
    assert page.startswith(f"# {rule['alert']}\n")
    assert rule["expr"] in page
    assert "1. " in page.partition("## What to do")[2]
    assert rule["labels"]["severity"] in ("warning", "critical")


def test_every_runbook_belongs_to_an_alert():
    pages = {page.stem for page in (ROOT / "docs/runbooks").glob("*.md")}
    assert pages == {rule["alert"] for rule in RULES}
