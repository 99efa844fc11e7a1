"""Documents as they were rendered once, of a life as it was stored once: `python -m tests.golden_documents`.

It adds the hashes that are missing and changes none: the bytes behind a reference stay for good; what changes a page
or its figures is a new folder of templates. Another Typst starts another list.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from adapters.documents.recipes import KINDS, LANGUAGES
from adapters.documents.rendering import RENDERER, data_of, render
from domain.codec import decode, encode
from domain.events import LoanEvent
from tests.adapters.documents.stories import LENDER, RULES, ask, life
from tests.examples import LOAN

GOLDEN = Path(__file__).parent / "golden" / "documents.json"
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "statement-of-account-hi.png"


def golden() -> dict[str, Any]:
    """`events` as stored, and `documents`: renderer -> reference -> SHA-256."""
    return orjson.loads(GOLDEN.read_bytes())


def stored_life() -> tuple[LoanEvent, ...]:
    """The life as it was stored: what the engine decides today is another matter."""
    return tuple(
        decode(topic, state.encode(), LOAN, version) for version, (topic, state) in enumerate(golden()["events"], 1)
    )


def rendered() -> dict[str, str]:
    """Reference -> SHA-256, of every kind in every language."""
    documents = [ask(kind, language, stored_life()).make() for kind in KINDS for language in LANGUAGES]
    return {document.recipe.document_id: document.sha256 for document in documents}


def write(told: dict[str, Any]) -> None:
    GOLDEN.write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def picture() -> bytes:
    """A page for the docs."""
    asked = ask("statement-of-account", "hi", stored_life())
    borrower = {"name": "आशा कुमारी शर्मा"}
    data = data_of(asked.recipe, asked.events, RULES, LENDER, borrower, asked.origin)
    return render(asked.recipe, data, asked.origin.known_at, "png")


if __name__ == "__main__":
    if not GOLDEN.exists():
        write({"events": [[event.TOPIC, encode(event).decode()] for event in life()], "documents": {}})
    told = golden()
    told["documents"][RENDERER] = rendered() | told["documents"].get(RENDERER, {})
    write(told)
    PICTURE.write_bytes(picture())
