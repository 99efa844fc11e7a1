"""A table of settings as a TOML file has them: read, explained, and described as a JSON Schema, all from one table."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Final, cast

ANY: Final = "*"
"""In a path: whatever name the file gives here, such as the kind of a charge."""
REQUIRED: Final = object()
"""The default of a setting that has none."""


class Wrong(Exception):
    """A value cannot be this setting: what is wrong, and (`at`) where inside the value, such as `.upi` or `[2]`."""

    def __init__(self, what: str, at: str = "") -> None:
        super().__init__(what, at)
        self.what = what
        self.at = at


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a file is refused: the setting's path, what is wrong with it, and what to do."""

    path: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}. {self.remedy}{'' if self.remedy.endswith('?') else '.'}"


@dataclass(frozen=True, slots=True)
class Kind:
    """What values a setting takes: in a person's words, as JSON Schema, and the function that reads one.

    `over_default`: a table of which the file may give a part, the rest being the default's.
    """

    words: str
    schema: Mapping[str, Any]
    read: Callable[[Any], Any]
    over_default: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: `default` as TOML would have it, `says` one sentence with the unit, `rule` the servicing rule."""

    path: str
    attribute: str
    kind: Kind
    default: Any
    says: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """One setting of one file, for a person: its value as TOML has it, and whether the file gives it."""

    path: str
    value: Any
    given: bool
    setting: Setting


@dataclass(slots=True)
class Reading:
    """What a file says: values and explanations by full path, in the table's order, and what could not be read."""

    values: dict[str, Any] = field(default_factory=dict[str, Any])
    told: dict[str, Told] = field(default_factory=dict[str, Told])
    problems: list[Problem] = field(default_factory=list[Problem])


def read(table: Sequence[Setting], data: Mapping[str, Any], elsewhere: Mapping[str, str] | None = None) -> Reading:
    """Every setting of `table`, from the file's tables or by default; whatever cannot be read is a problem.

    `elsewhere`: paths that one might take for settings, and where to give them instead.
    """
    given, strangers = _found(table, data, elsewhere or {})
    reading = Reading(problems=strangers)
    for path, setting in _asked(table, given):
        is_given = path in given
        value = given[path] if is_given else setting.default
        if value is REQUIRED:
            reading.problems.append(Problem(path, "is missing", f"Give {setting.kind.words}"))
            continue
        if is_given and setting.kind.over_default and isinstance(value, Mapping):
            value = {**setting.default, **cast("Mapping[str, Any]", value)}
        reading.told[path] = Told(path, value, is_given, setting)
        try:
            reading.values[path] = setting.kind.read(value)
        except Wrong as wrong:
            reading.problems.append(Problem(path + wrong.at, wrong.what, f"Give {setting.kind.words}"))
    return reading


def _found(
    table: Sequence[Setting], data: Mapping[str, Any], elsewhere: Mapping[str, str]
) -> tuple[dict[str, Any], list[Problem]]:
    """What the file gives, by full path, and the keys that are no setting."""
    leaves = {setting.path for setting in table}
    tables = {path.rsplit(".", depth)[0] for path in leaves for depth in range(1, path.count(".") + 1)}
    given: dict[str, Any] = {}
    problems: list[Problem] = []

    def walk(items: Mapping[str, Any], at: str, pattern: str) -> None:
        for key, value in items.items():
            path = f"{at}{key}"
            known = pattern + key
            if known not in leaves and known not in tables:
                known = pattern + ANY
            if known in leaves:
                given[path] = value
            elif known not in tables:
                near = _nearest_table(path, tables) if isinstance(value, Mapping) else _nearest(path, table)
                problems.append(Problem(path, "is no setting", elsewhere.get(path) or near))
            elif isinstance(value, Mapping):
                walk(cast("Mapping[str, Any]", value), f"{path}.", f"{known}.")
            else:
                problems.append(Problem(path, f"is a table of settings, not {value!r}", f"Write [{path}]"))

    walk(data, "", "")
    return given, problems


def _nearest(path: str, table: Sequence[Setting]) -> str:
    """Which setting was probably meant: near as a whole path, by its last word, or by the name that code has for it."""
    last = path.rsplit(".", 1)[-1]
    names = (
        (path, {setting.path: setting.path for setting in table}),
        (last, {setting.path.rsplit(".", 1)[-1]: setting.path for setting in reversed(table)}),
        (last, {setting.attribute: setting.path for setting in table}),
    )
    for wrong, known in names:
        if near := get_close_matches(wrong, known, n=1, cutoff=3 / 4):
            return f"Did you mean {known[near[0]]}?"
    return "Leave it out"


def _nearest_table(path: str, tables: set[str]) -> str:
    near = get_close_matches(path, sorted(tables), n=1)
    return f"Did you mean [{near[0]}]?" if near else "Leave it out"


def _asked(table: Sequence[Setting], given: Mapping[str, Any]) -> Iterator[tuple[str, Setting]]:
    """Each setting with its full path; those with a free name once for every name that the file gives there."""
    done: set[str] = set()
    for setting in table:
        before, free, _ = setting.path.partition(ANY)
        if not free:
            yield setting.path, setting
        elif before not in done:
            done.add(before)
            for name in _free_names(before, table, given):
                of_one = (one for one in table if one.path.startswith(before + ANY))
                yield from ((one.path.replace(ANY, name, 1), one) for one in of_one)


def _free_names(before: str, table: Sequence[Setting], given: Mapping[str, Any]) -> list[str]:
    """Names that the file gives under `before` and that have no settings of their own."""
    names = dict.fromkeys(path.removeprefix(before).split(".")[0] for path in given if path.startswith(before))
    return [name for name in names if not any(one.path.startswith(f"{before}{name}.") for one in table)]


def json_schema(table: Sequence[Setting], title: str, description: str) -> dict[str, Any]:
    """JSON Schema (2020-12) of a file with these settings, for editors; what it cannot say, `read` does."""
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "description": description,
        **_table_schema(),
    }
    for setting in table:
        *tables, last = setting.path.split(".")
        here = schema
        for name in tables:
            if name == ANY:
                if here["additionalProperties"] is False:
                    here["additionalProperties"] = _table_schema()
                here = here["additionalProperties"]
            else:
                here = here["properties"].setdefault(name, _table_schema())
        told: dict[str, Any] = {"description": setting.says, **setting.kind.schema}
        if setting.default is REQUIRED:
            here.setdefault("required", []).append(last)
        elif setting.default is not None:
            told["default"] = setting.default
        here["properties"][last] = told
    return schema


def _table_schema() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": {}}


def as_toml(value: Any) -> str:
    """A value as one would write it in the file; what is not set is a dash."""
    match value:
        case None:
            return "-"
        case Mapping():
            items = cast("Mapping[str, Any]", value)
            inner = ", ".join(f"{key} = {as_toml(item)}" for key, item in items.items())
            return f"{{{inner}}}"
        case list() | tuple():
            return f"[{', '.join(map(as_toml, cast('Sequence[Any]', value)))}]"
        case _:
            return json.dumps(value, ensure_ascii=False, default=str)


# --- Kinds ---------------------------------------------------------------------------------------------------

_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_DECIMAL: Final = re.compile(r"\d{1,4}(\.\d{1,6})?")


def text(words: str, pattern: str = "") -> Kind:
    """A text; with a pattern, one that is wholly like it."""

    def read_text(value: Any) -> str:
        if not isinstance(value, str):
            raise Wrong(f"must be a text, not {value!r}")
        if pattern and not re.fullmatch(pattern, value):
            raise Wrong(f"is {value!r}")
        return value

    return Kind(words, {"type": "string", **({"pattern": f"^{pattern}$"} if pattern else {})}, read_text)


def whole(least: int, most: int, unit: str = "") -> Kind:
    """A whole number of something."""

    def read_whole(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Wrong(f"must be a whole number, not {value!r}")
        if not least <= value <= most:
            raise Wrong(f"must be from {least} to {most}, not {value}")
        return value

    words = f"a whole number{f' of {unit}' if unit else ''} from {least} to {most}"
    return Kind(words, {"type": "integer", "minimum": least, "maximum": most}, read_whole)


def percent(most: int) -> Kind:
    """A percentage as a decimal text: never a float, which cannot hold most of them."""
    words = f'a percentage from 0 to {most} in quotes, such as "18.00"'

    def read_percent(value: Any) -> Decimal:
        if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
            raise Wrong(f'must be a decimal text such as "18.00", not {value!r}')
        number = Decimal(value)
        if number > most:
            raise Wrong(f"must be from 0 to {most} percent, not {value}")
        return number

    return Kind(words, {"type": "string", "pattern": f"^{_DECIMAL.pattern}$"}, read_percent)


def flag() -> Kind:
    """Yes or no."""

    def read_flag(value: Any) -> bool:
        if not isinstance(value, bool):
            raise Wrong(f"must be true or false, not {value!r}")
        return value

    return Kind("true or false", {"type": "boolean"}, read_flag)


def choice(*options: str) -> Kind:
    """One of some words."""

    def read_choice(value: Any) -> str:
        if value not in options:
            raise Wrong(f"must be one of {', '.join(options)}, not {value!r}")
        return value

    return Kind(f"one of {', '.join(options)}", {"type": "string", "enum": list(options)}, read_choice)


def clock() -> Kind:
    """An hour and minute of the day in Asia/Kolkata."""

    def read_clock(value: Any) -> time:
        match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise Wrong(f'must be an hour and minute such as "07:00", not {value!r}')
        return time(int(match[1]), int(match[2]))

    schema = {"type": "string", "pattern": f"^{_CLOCK.pattern}$"}
    return Kind('an hour and minute in quotes, such as "07:00"', schema, read_clock)


def several(one: Kind, least: int = 0) -> Kind:
    """A list of values of one kind."""

    def read_several(value: Any) -> tuple[Any, ...]:
        items = _list(value)
        if len(items) < least:
            raise Wrong(f"must have at least {least} of them, not {len(items)}")
        return tuple(_within(one, item, f"[{index}]") for index, item in enumerate(items))

    return Kind(f"a list, each {one.words}", {"type": "array", "items": one.schema, "minItems": least}, read_several)


def order_of(names: Sequence[str], or_none: bool = False) -> Kind:
    """Each of `names` once, in an order; read as the rank of each. `or_none`: an empty list is no order of its own."""

    def read_order(value: Any) -> dict[str, int]:
        items = _list(value)
        if not (or_none and not items) and sorted(map(str, items)) != sorted(names):
            raise Wrong(f"must name each of {', '.join(names)} once, not {', '.join(map(str, items))}")
        return {name: rank for rank, name in enumerate(items)}

    words = f"a list of {', '.join(names)}, each once{', or an empty list' if or_none else ''}"
    schema = {
        "type": "array",
        "items": {"enum": list(names)},
        "uniqueItems": True,
        "minItems": 0 if or_none else len(names),
        "maxItems": len(names),
    }
    return Kind(words, schema, read_order)


def per(names: Sequence[str], one: Kind) -> Kind:
    """A table from some of `names` to values of one kind; those that are left out keep the default."""

    def read_per(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise Wrong(f"must be a table, not {value!r}")
        items = cast("Mapping[str, Any]", value)
        for name in items:
            if name not in names:
                raise Wrong(f"is none of {', '.join(names)}", f".{name}")
        return {name: _within(one, item, f".{name}") for name, item in items.items()}

    schema = {"type": "object", "additionalProperties": False, "properties": dict.fromkeys(names, one.schema)}
    return Kind(f"a table from {', '.join(names)} to {one.words}", schema, read_per, over_default=True)


def bands() -> Kind:
    """`[first day, name]` pairs that ascend from day 0."""
    day, name = whole(0, 3660), text("a name", r".+")
    words = 'a list of [first day past due, "name"], ascending from day 0'

    def read_bands(value: Any) -> tuple[tuple[int, str], ...]:
        found: list[tuple[int, str]] = []
        for index, item in enumerate(_list(value)):
            pair = _list(item, f"[{index}]")
            if len(pair) != 2:
                raise Wrong(f'must be [first day, "name"], not {item!r}', f"[{index}]")
            found.append((_within(day, pair[0], f"[{index}]"), _within(name, pair[1], f"[{index}]")))
        days = [first for first, _ in found]
        if days[:1] != [0]:
            raise Wrong("must begin at day 0")
        if days != sorted(set(days)):
            raise Wrong(f"must ascend, not {', '.join(map(str, days))}")
        if len({named for _, named in found}) != len(found):
            raise Wrong("must not use a name twice")
        return tuple(found)

    pair = {"type": "array", "prefixItems": [day.schema, name.schema], "minItems": 2, "maxItems": 2}
    return Kind(words, {"type": "array", "items": pair, "minItems": 1}, read_bands)


def _list(value: Any, at: str = "") -> list[Any]:
    if not isinstance(value, list):
        raise Wrong(f"must be a list, not {value!r}", at)
    return cast("list[Any]", value)


def _within(one: Kind, value: Any, at: str) -> Any:
    """A value inside another, so that what is wrong names the place."""
    try:
        return one.read(value)
    except Wrong as wrong:
        raise Wrong(wrong.what, at + wrong.at) from None
