"""`qist product`: what a lender decided for a kind of loan, explained setting by setting, or refused by name."""

from __future__ import annotations

import json as jsonlib
import sys
import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Any

from cyclopts import Parameter

from adapters.cli.arguments import read_bytes
from adapters.cli.running import ANSWER_IS_NO, WRONG_USAGE, settings_or_exit
from adapters.errors import Explained
from adapters.house import Shelf, Shelved, load_shelf, read_shelf, twin_of
from domain.product import check as read_product
from domain.setting import Problem, Reading, Told, as_toml

Json = Annotated[bool, Parameter(negative="")]

VALUE_WIDTH = 24


def check(*paths: Annotated[str, Parameter(allow_leading_hyphen=True)], json: Json = False) -> int:
    """Explain each setting of product files, and name every contradiction with what to do about it.

    The exit status is 1 when a file is no product, 2 when it cannot be read.

    Parameters
    ----------
    paths
        Product files as TOML; - for standard input.
    json
        Print one JSON document.
    """
    if not paths:
        print("qist product check: name a file", file=sys.stderr)
        return WRONG_USAGE
    try:
        shelf, _ = read_shelf(settings_or_exit().products_dir)  # a wrong file there may be the one that is asked about
    except Explained as error:
        print(error, file=sys.stderr)
        return ANSWER_IS_NO
    answers: list[dict[str, Any]] = []
    for path in paths:
        try:
            text = read_bytes(path)
        except OSError as error:
            print(f"qist product check: cannot read {path}: {error.strerror}", file=sys.stderr)
            return WRONG_USAGE
        reading = _read(path, text, shelf)
        answers.append({"file": path, "ok": not reading.problems, **_as_json(reading)})
        if not json:
            print("\n".join(_drawn(path, reading)))
    if json:
        print(jsonlib.dumps(answers, indent=2, ensure_ascii=False))
    return 0 if all(answer["ok"] for answer in answers) else ANSWER_IS_NO


def list_products(*, json: Json = False) -> int:
    """Show the products in force, each with the version that new loans are booked under.

    Parameters
    ----------
    json
        Print one JSON document.
    """
    shelf = _shelf()
    if shelf is None:
        return ANSWER_IS_NO
    rows: list[dict[str, Any]] = []
    for name in sorted({name for name, _ in shelf}):
        versions = sorted(version for known, version in shelf if known == name)
        newest = shelf[name, versions[-1]]
        rows.append(
            {
                "name": name,
                "version": versions[-1],
                "older": versions[:-1],
                "lender": newest.product.lender_kind,
                "file": newest.source,
                "description": newest.product.description,
            }
        )
    if json:
        print(jsonlib.dumps(rows, indent=2, ensure_ascii=False))
    else:
        width = max(len(row["name"]) for row in rows)
        for row in rows:
            older = f" (older: {', '.join(map(str, row['older']))})" if row["older"] else ""
            print(f"{row['name']:<{width}}  version {row['version']}{older}  {row['lender']}  {row['description']}")
    return 0


def show(name: str, /, *, version: int | None = None, json: Json = False) -> int:
    """Explain each setting of a product in force.

    Parameters
    ----------
    name
        The product.
    version
        Which version; by default the newest, which new loans are booked under.
    json
        Print one JSON document.
    """
    shelf = _shelf()
    if shelf is None:
        return ANSWER_IS_NO
    versions = sorted(known for product, known in shelf if product == name)
    if not versions:
        near = get_close_matches(name, [product for product, _ in shelf], n=1)
        print(f"no product {name}{f'; did you mean {near[0]}?' if near else ''}", file=sys.stderr)
        return ANSWER_IS_NO
    if version is not None and version not in versions:
        print(f"no version {version} of {name}; there is {', '.join(map(str, versions))}", file=sys.stderr)
        return ANSWER_IS_NO
    shelved = shelf[name, version or versions[-1]]
    reading = read_product(shelved.data).reading
    if json:
        print(jsonlib.dumps({"file": shelved.source, **_as_json(reading)}, indent=2, ensure_ascii=False))
    else:
        print("\n".join(_drawn(shelved.source, reading)))
    return 0


def _shelf() -> Shelf | None:
    """The products in force, or None where one of their files is wrong, which is said."""
    try:
        return load_shelf(settings_or_exit().products_dir)
    except Explained as error:
        print(error, file=sys.stderr)
        return None


def _read(path: str, text: bytes, shelf: Shelf) -> Reading:
    """What a file says, with every problem in it; what it says also counts for the files after it."""
    try:
        data = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return Reading(problems=[Problem("file", f"is not TOML: {error}", "Mend it there")])
    checked = read_product(data)
    if checked.product is not None:
        if twin := twin_of(checked.product, shelf):
            checked.reading.problems.append(twin)
        else:
            shelf[checked.product.name, checked.product.version] = Shelved(path, data, checked.product)
    return checked.reading


def _as_json(reading: Reading) -> dict[str, Any]:
    return {
        "settings": [
            {
                "path": told.path,
                "value": told.value,
                "given": told.given,
                "says": told.setting.says,
                "rule": told.setting.rule or None,
            }
            for told in reading.told.values()
        ],
        "problems": [{"path": one.path, "what": one.what, "do": one.remedy} for one in reading.problems],
    }


def _drawn(source: str, reading: Reading) -> Iterable[str]:
    """A file's settings by table, then its verdict."""
    yield f"# {source}"
    width = max((len(path) for path in reading.told), default=0)
    table = None
    for told in reading.told.values():
        if told.path.rpartition(".")[0] != table:
            table = told.path.rpartition(".")[0]
            yield ""
        value = as_toml(told.value)
        yield f"{told.path:<{width}}  {'given' if told.given else 'default':<7}  {value:<{VALUE_WIDTH}}  {says(told)}"
    yield ""
    if not reading.problems:
        yield f"{source}: ok"
    for problem in reading.problems:
        yield f"{source}: {problem}"


def says(told: Told) -> str:
    """What a setting does, in one sentence, and the servicing rule that it belongs to."""
    return f"{told.setting.says} Rule {told.setting.rule}." if told.setting.rule else told.setting.says
