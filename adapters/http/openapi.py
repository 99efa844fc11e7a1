"""docs/openapi.yaml: the API's own description, written down."""

from __future__ import annotations


def page() -> str:
    """The page, from the routes and their models."""
    import yaml

    from adapters.http.app import create_app

    head = "# Made by `make docs` from adapters/http; do not edit.\n"
    return head + yaml.safe_dump(create_app().openapi(), sort_keys=False, allow_unicode=True, width=120)
