"""The lender's rules as shipped: products (TOML) and failure codes (CSV), read from the package or a folder."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from adapters.errors import Explained
from adapters.settings import Settings
from adapters.strategies import load_strategies
from domain.decisions.rules import Rules
from domain.failures import FailureCodes
from domain.product import Product, ProductError, Products
from domain.setting import Problem


class ProductRefused(Explained):
    """A product file that cannot be used: which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Shelved:
    """A product with the file that it comes from: its name and what it says."""

    source: str
    data: Mapping[str, Any]
    product: Product


Shelf = dict[tuple[str, int], Shelved]
"""Products by name and version."""


@cache
def load_rules(products_dir: Path | None = None) -> Rules:
    """Products of the package and of the lender's own folder (`products_dir`, by default the setting's)."""
    products_dir = products_dir or Settings.load().products_dir
    shelf = load_shelf(products_dir)
    strategies, casework = load_strategies(products_dir)
    return Rules(
        Products({key: shelved.product for key, shelved in shelf.items()}),
        load_codes(),
        strategies=strategies,
        casework=casework,
    )


@cache
def load_codes() -> FailureCodes:
    """The tables of failure codes as shipped."""
    return FailureCodes.from_csv(_csv_texts("domain.reference"), _csv_texts("domain.reference.reasons"))


def _csv_texts(package: str) -> Iterator[str]:
    for item in sorted(files(package).iterdir(), key=lambda item: item.name):
        if item.name.endswith(".csv"):
            yield item.read_text(encoding="utf-8")


def load_shelf(products_dir: Path | None) -> Shelf:
    """Every product by name and version; raises `ProductRefused` naming all that is wrong in any file."""
    shelf, refused = read_shelf(products_dir)
    if refused:
        raise ProductRefused("\n".join(refused))
    return shelf


def read_shelf(products_dir: Path | None) -> tuple[Shelf, list[str]]:
    """The products that can be used, and why the other files cannot."""
    shelf: Shelf = {}
    refused: list[str] = []
    for source, text in _product_texts(products_dir):
        try:
            data = tomllib.loads(text)
            product = Product.parse(data)
        except tomllib.TOMLDecodeError as error:
            refused.append(f"{source}: this is not TOML: {error}")
        except ProductError as error:
            refused += [f"{source}: {problem}" for problem in error.problems]
            refused.append(f"`qist product check {source}` explains each setting")
        else:
            if twin := twin_of(product, shelf):
                refused.append(f"{source}: {twin}")
            else:
                shelf[product.name, product.version] = Shelved(source, data, product)
    return shelf, refused


def twin_of(product: Product, shelf: Shelf) -> Problem | None:
    """Why `product` cannot stand beside what has its name and version and says something else."""
    other = shelf.get((product.name, product.version))
    if other is None or other.product == product:
        return None
    return Problem(
        "version",
        f"is {product.version}, but {other.source} has other settings for {product.name} version {product.version}",
        "Give what has changed a new version: loans keep the one that they were booked under",
    )


def _product_texts(products_dir: Path | None) -> Iterator[tuple[str, str]]:
    """Names and texts of product files: those of the package first."""
    for item in sorted(files("domain.products").iterdir(), key=lambda item: item.name):
        if item.name.endswith(".toml"):
            yield f"domain/products/{item.name}", item.read_text(encoding="utf-8")
    if products_dir is None:
        return
    if not products_dir.is_dir():
        raise ProductRefused(f"{products_dir}: is no folder; QIST_PRODUCTS_DIR names where the lender's products are")
    for path in sorted(products_dir.glob("*.toml")):
        yield str(path), path.read_text(encoding="utf-8")
