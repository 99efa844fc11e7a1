"""Money is integer paise: rounding once, splitting without loss, and writing rupees the Indian way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from typing import Final, Literal, TypeAlias

from domain.ensure import ensure

__all__ = [
    "PRECISE",
    "RUPEE",
    "Paise",
    "RoundingMode",
    "format_rupees",
    "round_ratio",
    "round_to_unit",
    "split",
]

Paise: TypeAlias = int
RoundingMode = Literal["half_up", "half_even", "up"]

RUPEE: Final[Paise] = 100

# For what whole numbers cannot hold exactly (annuities, discounting): rule 1 asks for 20 digits or more.
# Used as `with localcontext(PRECISE):`, so that nobody else's context is touched or trusted.
PRECISE: Final = Context(prec=34, rounding=ROUND_HALF_UP)

# Whether to step away from zero, given the truncated quotient and how the remainder compares with a half
# (-1 below, 0 exactly, 1 above). Only asked when there is a remainder. Rule 1.
_STEPS_AWAY: Final[Mapping[RoundingMode, Callable[[int, int], bool]]] = {
    "half_up": lambda _quotient, half: half >= 0,
    "half_even": lambda quotient, half: half > 0 or (half == 0 and quotient % 2 == 1),
    "up": lambda _quotient, _half: True,
}


def round_ratio(numerator: int, denominator: int, mode: RoundingMode = "half_up", unit: Paise = 1) -> Paise:
    """The exact amount `numerator / denominator` paise, rounded once to a multiple of `unit` paise.

    Works on integers only, so that a half is a half and never 0.4999...; all modes are symmetric about zero.
    """
    denominator *= unit
    quotient, remainder = divmod(abs(numerator), denominator)
    if remainder:
        doubled = 2 * remainder
        half = (doubled > denominator) - (doubled < denominator)
        quotient += _STEPS_AWAY[mode](quotient, half)
    return quotient * unit if numerator >= 0 else -quotient * unit


def share_percent(part: int, whole: int, places: int = 2) -> str | None:
    """What part is of a whole, in percent with so many decimals; nothing can be said of a whole that is nothing."""
    if whole == 0:
        return None
    return format((Decimal(100 * part) / whole).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP), "f")


def round_to_unit(amount: Decimal | Fraction | int, mode: RoundingMode = "half_up", unit: Paise = 1) -> Paise:
    """An exact amount in paise, rounded once to a multiple of `unit` paise."""
    numerator, denominator = amount.as_integer_ratio()
    return round_ratio(numerator, denominator, mode, unit)


def split(total: Paise, weights: Sequence[int]) -> tuple[Paise, ...]:
    """Share `total` in proportion to `weights`, losing no paisa: the largest remainders get what is left."""
    whole = sum(weights)
    ensure(whole > 0 and min(weights) >= 0, "split needs weights that weigh something", weights=tuple(weights))
    sign, amount = (1, total) if total >= 0 else (-1, -total)
    shares = [amount * weight // whole for weight in weights]
    remainders = [amount * weight % whole for weight in weights]
    earliest_largest_first = sorted(range(len(weights)), key=lambda index: (-remainders[index], index))
    for index in earliest_largest_first[: amount - sum(shares)]:
        shares[index] += 1
    parts = tuple(sign * share for share in shares)
    ensure(sum(parts) == total, "split keeps every paisa", total=total, parts=parts)
    return parts


def format_rupees(paise: Paise) -> str:
    """Rupees with Indian digit groups: 1,00,000.00 is a lakh."""
    rupees, rest = divmod(abs(paise), RUPEE)
    digits = str(rupees)
    head, tail = digits[:-3], digits[-3:]
    pairs = [head[max(end - 2, 0) : end] for end in range(len(head), 0, -2)]
    return f"{'-' if paise < 0 else ''}{','.join([*reversed(pairs), tail])}.{rest:02d}"
