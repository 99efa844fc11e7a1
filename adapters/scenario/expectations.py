"""What a file expects of the answer, compared with what came: any part of it may be named, and only that counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import orjson

NOTHING = object()
LENGTH = "length"


def differences(expected: Any, actual: Any, path: str = "") -> Iterator[str]:
    """Every expected value that is another one: `path: expected X, actual Y`.

    Objects are compared key by key, lists by index, rows that have a `number` by that. An empty list expects an
    empty list. An object may stand for a list: its keys are indexes (`-1` is the last row) and `length`.
    """
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        for key, wanted in cast("Mapping[str, Any]", expected).items():
            yield from differences(wanted, cast("Mapping[str, Any]", actual).get(key, NOTHING), _under(path, key))
    elif isinstance(expected, Mapping) and isinstance(actual, list):
        for key, wanted in cast("Mapping[str, Any]", expected).items():
            yield from differences(wanted, _picked(cast("list[Any]", actual), key), f"{path}[{key}]")
    elif isinstance(expected, list) and isinstance(actual, list) and expected:
        for index, wanted in enumerate(cast("list[Any]", expected)):
            place, came = _counterpart(index, wanted, cast("list[Any]", actual))
            yield from differences(wanted, came, f"{path}[{place}]")
    elif expected != actual or isinstance(expected, bool) != isinstance(actual, bool):
        yield f"{path or '/'}: expected {_said(expected)}, actual {_said(actual)}"


def _under(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _picked(rows: Sequence[Any], key: str) -> Any:
    if key == LENGTH:
        return len(rows)
    try:
        return rows[int(key)]
    except (ValueError, IndexError):
        return NOTHING


def _counterpart(index: int, wanted: Any, rows: Sequence[Any]) -> tuple[str, Any]:
    """The row that an expected row speaks of, and where it is."""
    if isinstance(wanted, Mapping) and "number" in wanted and any(_number(row) is not None for row in rows):
        number = cast("Mapping[str, Any]", wanted)["number"]
        return f"number={number}", next((row for row in rows if _number(row) == number), NOTHING)
    return str(index), rows[index] if index < len(rows) else NOTHING


def _number(row: Any) -> Any:
    return cast("Mapping[str, Any]", row).get("number") if isinstance(row, Mapping) else None


def _said(value: Any) -> str:
    if value is NOTHING:
        return "nothing"
    text = orjson.dumps(value).decode()
    return text if len(text) <= 200 else f"{text[:200]}..."
