"""docs/openapi.yaml: the API's own description, written down."""

from __future__ import annotations

from adapters.http.app import create_app
from adapters.plain_yaml import written


def page() -> str:
    """The page, from the routes and their models."""
    return written(create_app().openapi(), "Made by `make docs` from adapters/http; do not edit.")
