"""Pages of the documentation that are generated; `make docs` writes them, and a test fails when one has drifted."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[1]

# page: the function that returns its text, as `module:function`.
PAGES = {
    "docs/ledger.md": "projections.ledger_page:ledger_page",
    "docs/law.md": "domain.law.page:law_page",
    "docs/settings.md": "adapters.settings:settings_page",
    "docs/security.md": "adapters.access.page:security_page",
    "docs/products.md": "adapters.product_pages:products_page",
    "docs/product.schema.json": "adapters.product_pages:schema_page",
    "docs/openapi.yaml": "adapters.http.openapi:page",
    "docs/reports.md": "adapters.reports.page:reports_page",
    "docs/asyncapi.yaml": "adapters.asyncapi:page",
}


def text_of(page: str) -> str:
    """What the page should say."""
    module, function = PAGES[page].split(":")
    write: Callable[[], str] = getattr(import_module(module), function)
    return write()


def main() -> None:
    for page in PAGES:
        path, text = ROOT / page, text_of(page)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"wrote {page}", file=sys.stderr)


if __name__ == "__main__":
    main()
