"""The annual percentage rate: the yearly rate at which what the borrower gets and gives discounts to zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from fractions import Fraction
from typing import Final

from domain.ensure import InvariantBroken
from domain.money import PRECISE, Paise

__all__ = ["Flow", "nominal_apr_percent", "periodic_rate", "xirr_percent"]

HUNDREDTH: Final = Decimal("0.01")
DAYS_OF_YEAR: Final = 365
_WIDE: Final = Context(prec=10_000, rounding=ROUND_HALF_UP)
_CLOSE_ENOUGH: Final = Decimal("1e-14")
_MOST_STEPS: Final = 200


@dataclass(frozen=True, slots=True)
class Flow:
    """Money at a time in periods from the payout: positive to the lender, negative to the borrower."""

    at: Fraction | int
    paise: Paise


def nominal_apr_percent(flows: Sequence[Flow], periods_per_year: Fraction, near_percent: Decimal) -> Decimal:
    """Rate a period x periods a year, as RBI's illustration has it (KFS circular, 15 April 2024, Annex B)."""
    with localcontext(PRECISE):
        periods = Decimal(periods_per_year.numerator) / periods_per_year.denominator
        return _to_hundredth(periodic_rate(flows, near=near_percent / 100 / periods) * periods * 100)


def xirr_percent(flows_by_day: Sequence[Flow], near_percent: Decimal) -> Decimal:
    """The effective yearly rate by actual days / 365 (rule 10); the flows' times are days."""
    with localcontext(PRECISE):
        daily = periodic_rate(flows_by_day, near=near_percent / 100 / DAYS_OF_YEAR)
        return _to_hundredth(((1 + daily) ** DAYS_OF_YEAR - 1) * 100)


def periodic_rate(flows: Sequence[Flow], near: Decimal = Decimal(0)) -> Decimal:
    """The rate a period at which the flows, the payout first, discount to zero; the search starts `near` it.

    A part of a period is discounted by simple interest, `1 + part x rate`, and whole periods by compound
    interest: the actuarial method (Regulation Z, appendix J, whose printed examples the tests reproduce).
    """
    with localcontext(PRECISE):
        timed = _by_whole_periods(flows)
        rate, low, high = near, Decimal(0), None
        for _ in range(_MOST_STEPS):
            value, slope = _present_value(timed, rate)
            low, high = (rate, high) if value > 0 else (low, rate)
            closer = rate - value / slope if slope else rate
            # Newton's steps suffice for any loan paid out at once; tranches can bend the curve, so that where a
            # step leaves the bracket of the root, the bracket is halved, or widened while it is open.
            if high is None:
                closer = closer if closer > low else 2 * rate + 1
            elif not low <= closer <= high:
                closer = (low + high) / 2
            if abs(closer - rate) < _CLOSE_ENOUGH:
                return closer
            rate = closer
        raise InvariantBroken("the rate that discounts the flows is found", flows=tuple(flows))


def _to_hundredth(percent: Decimal) -> Decimal:
    # A day's loan with a fee has an effective rate of more digits than PRECISE holds; it is a figure all the same.
    return percent.quantize(HUNDREDTH, context=_WIDE)


def _by_whole_periods(flows: Sequence[Flow]) -> list[tuple[int, Decimal, Decimal]]:
    """Whole periods, the part of one, and the amount, in order of time."""
    timed: list[tuple[int, Decimal, Decimal]] = []
    for flow in sorted(flows, key=lambda flow: flow.at):
        whole, part = divmod(flow.at, 1) if isinstance(flow.at, Fraction) else (flow.at, 0)
        timed.append((int(whole), Decimal(part.numerator) / part.denominator, Decimal(flow.paise)))
    return timed


def _present_value(timed: list[tuple[int, Decimal, Decimal]], rate: Decimal) -> tuple[Decimal, Decimal]:
    """The flows' worth at the payout, and how it changes with the rate."""
    step = 1 / (1 + rate)
    value = slope = Decimal(0)
    discount, at = Decimal(1), 0
    for whole, part, paise in timed:
        if whole != at:
            discount *= step if whole == at + 1 else step ** (whole - at)
            at = whole
        worth = paise * discount
        if part:
            simple = 1 / (1 + part * rate)
            worth *= simple
            slope -= worth * part * simple
        value += worth
        slope -= worth * whole * step
    return value, slope
