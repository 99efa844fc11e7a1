"""A file's lines as the rest of the house knows them, whatever the file looked like; and what was wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation

from adapters.errors import Explained
from domain.money import RUPEE

LARGEST_PAISE = 10**15


class FileRefused(Explained):
    """Nothing of the file was taken. `where` is the line or element, and `field` the column or path in it."""

    def __init__(self, said: str, *, where: str = "", field: str = "") -> None:
        self.said, self.where, self.field = said, where, field
        super().__init__(": ".join(part for part in (where, field, said) if part))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLine:
    """One line: signed paise, money that comes in is positive."""

    entry: str
    """Its own reference, unique in its source: what makes taking it in twice harmless."""
    paise: int
    value_on: date
    fee_paise: int = 0
    """What the gateway keeps, with its tax; never negative."""
    batch: str = ""
    """The settlement that a gateway pays it out with."""
    refs: tuple[str, ...] = ()
    """Every reference that it names: first those of gateway and bank, last what stood in free text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFile:
    """A whole file, understood."""

    lines: list[ReadLine]
    statement: bool
    passed_over: int = 0
    """Lines that are not to be taken by the mapping, or are not booked yet."""
    told: list[str] = field(default_factory=list[str])
    """What was checked, in words."""


# --- What free text may name ---------------------------------------------------------------------------------

TOKEN = re.compile(r"(?<![\w@.])[A-Za-z0-9][A-Za-z0-9._:-]{3,127}(?![\w@])")


def references(*named: str | None, text: Iterable[str] = ()) -> tuple[str, ...]:
    """References as given, and those that free text seems to hold, each once.

    Of free text only what has a letter and a digit is kept: names of people have no digits, and numbers alone are
    mostly those of accounts and phones. So no narration, which is personal data, is ever stored.
    """
    tokens = (token.rstrip(".:-_") for line in text for token in TOKEN.findall(line))
    held = [one.strip() for one in named if one and one.strip()]
    kept = [token for token in tokens if any(map(str.isdigit, token)) and any(map(str.isalpha, token))]
    return tuple(dict.fromkeys((*held, *kept)))


def paise_of(text: str, *, in_paise: bool = False) -> int:
    """An amount as files write it ("1,23,456.70", "-4993.00", "(500)", "₹ 12"). Raises ValueError."""
    plain = text.strip().replace(",", "").replace("₹", "").replace("INR", "").strip()
    if plain.startswith("(") and plain.endswith(")"):
        plain = f"-{plain[1:-1]}"
    try:
        amount = Decimal(plain) * (1 if in_paise else RUPEE)
    except InvalidOperation:
        raise ValueError("is no amount") from None
    if not amount.is_finite() or amount != amount.to_integral_value() or abs(amount) > LARGEST_PAISE:
        raise ValueError("is no amount of whole paise within 10^15")
    return int(amount)
