"""The evaluation as a page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment

from adapters.evaluation.figures import summary
from domain.money import format_rupees


def page(answers: Sequence[dict[str, Any]]) -> str:
    """HTML for one or several populations."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["rupees"] = lambda paise: format_rupees(paise)
    environment.filters["share"] = lambda share: "–" if share is None else f"{share:.1%}"
    template = environment.from_string(files("adapters.evaluation").joinpath("report.html").read_text("utf-8"))
    return template.render(answers=answers, summary=summary(answers) if len(answers) > 1 else {})
