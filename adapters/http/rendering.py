"""How a page is made: its template, and how money, days and names are written for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from fastapi import Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from adapters.http.assets import address_of
from adapters.http.gate import asking
from domain.money import RUPEE, format_rupees, round_ratio


def html(template: str, *, status: int = 200, **what: Any) -> Response:
    body = TEMPLATES.get_template(template).render(**what)
    return Response(body, status, {"Cache-Control": "no-store"}, "text/html; charset=utf-8")


def rupees(paise: int) -> str:
    """To the paisa."""
    return f"{'−' if paise < 0 else ''}₹{format_rupees(abs(paise))}"


def whole_rupees(paise: int) -> str:
    """For headlines, where paise are noise."""
    whole = round_ratio(abs(paise), RUPEE) * RUPEE
    return f"{'−' if paise < 0 else ''}₹{format_rupees(whole)[:-3]}"


def short_rupees(paise: int) -> str:
    """As one says it: lakhs and crores."""
    for unit, name in ((10_000_000, " crore"), (100_000, " lakh")):
        if abs(paise) >= unit * RUPEE:
            return f"₹{Decimal(paise) / (unit * RUPEE):.2f}{name}"
    return whole_rupees(paise)


def count(number: int) -> str:
    """A number of things, in Indian digit groups."""
    return format_rupees(number * RUPEE)[:-3]


def day(value: date | datetime | str | None) -> str:
    if value is None:
        return "–"
    at = date.fromisoformat(value) if isinstance(value, str) else value
    return f"{at.day} {at:%b %Y}"


def instant(value: datetime | str) -> str:
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return f"{at.day} {at:%b %Y, %H:%M}"


def words(name: str) -> str:
    """`written_off` and `loan.debit-failed.v1` as a person writes them."""
    plain = name.removeprefix("loan.").removesuffix(".v1").replace("_", " ").replace("-", " ")
    return capital(plain)


def capital(name: str) -> str:
    """A name as it is, with a large first letter: `1-30` and `SMA-0` are names, too."""
    return name[:1].upper() + name[1:]


def facts(data: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, str]]:
    """What an event holds, one line a fact: its name as words, money as rupees; lists of rows are only counted."""
    for name, value in data.items():
        label = f"{within}{words(name.removesuffix('_paise'))}"
        if isinstance(value, dict):
            yield from facts(value, f"{label}: ")
        elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
            yield label, f"{len(value)} of them"
        elif value not in (None, "", [], False):
            yield label, rupees(value) if name.endswith("_paise") and isinstance(value, int) else str(value)


def in_groups(items: Iterable[Any], field: str) -> list[tuple[Any, list[Any]]]:
    """Items by a field of theirs, groups in the order in which they first come."""
    groups: dict[Any, list[Any]] = {}
    for one in items:
        groups.setdefault(getattr(one, field), []).append(one)
    return list(groups.items())


def share(part: int, whole: int) -> str:
    """Percent for a drawing."""
    return f"{100 * part / whole:.2f}" if whole else "0"


def csrf() -> Markup:
    """What each form that changes something holds: the token of the session, nothing where there is none."""
    who = asking()
    return Markup('<input type="hidden" name="csrf" value="{}">').format(who.csrf if who else "")


TEMPLATES = Environment(
    loader=PackageLoader("adapters.http", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters.update(
    rupees=rupees,
    whole_rupees=whole_rupees,
    short_rupees=short_rupees,
    count=count,
    day=day,
    instant=instant,
    words=words,
    capital=capital,
    share=share,
    in_groups=in_groups,
    facts=facts,
    any=any,
)
TEMPLATES.globals.update(asset=address_of, asking=asking, csrf=csrf)
