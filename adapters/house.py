"""The lender's rules as shipped: products (TOML) and failure codes (CSV), read from the package or a folder."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path

from domain.decisions.rules import Rules
from domain.failures import FailureCodes
from domain.product import Product, Products


@cache
def load_rules(products_dir: Path | None = None) -> Rules:
    """Products of the package, and of `products_dir` where the lender keeps its own."""
    texts = [item.read_text() for item in files("domain.products").iterdir() if item.name.endswith(".toml")]
    if products_dir is not None:
        texts += [path.read_text() for path in sorted(products_dir.glob("*.toml"))]
    products = [Product.parse(tomllib.loads(text)) for text in texts]
    codes = FailureCodes.from_csv(
        item.read_text() for item in files("domain.reference").iterdir() if item.name.endswith(".csv")
    )
    return Rules(Products({(product.name, product.version): product for product in products}), codes)
