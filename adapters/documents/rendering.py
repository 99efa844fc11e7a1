"""Figures to PDF, by Typst: the same figures give the same bytes, whenever and wherever they are rendered.

Nothing of the machine enters: fonts are ours, the document's time is that of the last event. Files are PDF/A-2, for
archives, and tagged for screen readers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import orjson
import typst

from adapters.documents.figures import Figures, of_loan, told
from adapters.documents.lender import Lender
from adapters.documents.recipes import KINDS, Recipe
from domain.decisions.rules import Rules
from domain.events import LoanEvent

STANDARD: Final = "a-2a"
HERE: Final = Path(str(files("adapters.documents")))
RENDERER: Final = f"typst {version('typst')}"


class Origin(NamedTuple):
    """Where in the log the last event stands."""

    position: str
    """`partition:position`"""
    hash: str
    """The chain's head there, in hex."""
    known_at: datetime


class Document(NamedTuple):
    """A document that was made."""

    recipe: Recipe
    pdf: bytes
    figures_sha256: str
    """Of the figures, without any personal data: the same also after the borrower was erased."""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.pdf).hexdigest()


def make(
    recipe: Recipe,
    events: Sequence[LoanEvent],
    rules: Rules,
    lender: Lender,
    borrower: Mapping[str, Any] | None,
    origin: Origin,
) -> Document:
    """Fold, reckon and render. `events`: the loan's, up to the recipe's version; `borrower`: None when erased."""
    data = data_of(recipe, events, rules, lender, borrower, origin)
    return Document(recipe, render(recipe, data, origin.known_at), fingerprint(data["loan"], data["figures"]))


def data_of(
    recipe: Recipe,
    events: Sequence[LoanEvent],
    rules: Rules,
    lender: Lender,
    borrower: Mapping[str, Any] | None,
    origin: Origin,
) -> dict[str, Any]:
    """All that a template shows."""
    facts = told(events, rules, lender, recipe.since, recipe.until)
    loan = of_loan(facts)
    return {
        "kind": recipe.kind,
        "language": recipe.language,
        "reference": f"{loan['loan_id']} {recipe.document_id}",
        "until": recipe.until.isoformat(),
        "loan": loan,
        "figures": KINDS[recipe.kind].figures(facts),
        "lender": lender.dump(),
        "borrower": {"name": (borrower or {}).get("name") or None},
        "origin": {
            "events": recipe.version,
            "position": origin.position,
            "hash": origin.hash[:16],
            "known_on": facts.account.known_on.isoformat(),
        },
    }


def fingerprint(loan: Figures, figures: Figures) -> str:
    return hashlib.sha256(orjson.dumps([loan, figures], option=orjson.OPT_SORT_KEYS)).hexdigest()


def render(
    recipe: Recipe, data: Mapping[str, Any], at: datetime, form: Literal["pdf", "png"] = "pdf", ppi: float = 96
) -> Any:
    """The template with its data; `form` `png` gives a picture of the page, or a list of them."""
    return typst.compile(
        HERE / "templates" / recipe.templates / f"{recipe.kind}.typ",
        root=HERE / "templates" / recipe.templates,
        font_paths=fonts(),
        sys_inputs={"data": orjson.dumps(data).decode()},
        timestamp=at,
        format=form,
        ppi=ppi,
        pdf_standards=[STANDARD] if form == "pdf" else [],
    )


@cache
def fonts() -> typst.Fonts:
    """Ours alone: a machine's own fonts would change the bytes, and Hindi is wrong without the right one."""
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[HERE / "fonts"])


def has_templates(name: str) -> bool:
    return (HERE / "templates" / name / "layout.typ").is_file()
