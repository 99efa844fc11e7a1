"""How principal comes back: for each interest method, from a balance to the rows that repay it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Final, NamedTuple

from domain.money import PRECISE, Paise, RoundingMode, round_ratio, round_to_unit, split
from domain.terms import InterestMethod, Terms, TermsError

__all__ = ["METHODS", "Line", "Plan", "Stretch", "flat_interest", "flat_principal", "flat_shares", "plan", "rounded"]


class Line(NamedTuple):
    """What one row takes off the balance, and the interest it asks for, in paise."""

    principal: Paise
    interest: Paise


class Plan(NamedTuple):
    """The lines to the end, the instalment they were made with, and what had to be mended."""

    lines: list[Line]
    instalment: Paise
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows to be planned as if nothing changed any more, from a balance that includes money just paid out.

    `interest` is that of the first row as it falls due, `regular_interest` what its instalment is computed on
    (both exact paise); `factors` are those of the rows after the first. `done` counts rows already repaid in.
    """

    balance: Paise
    interest: Fraction
    regular_interest: Fraction
    factors: Sequence[Fraction]
    done: int

    @property
    def rows(self) -> int:
        """Rows in which to repay."""
        return 1 + len(self.factors)


def rounded(terms: Terms, amount: Fraction) -> Paise:
    """An amount that becomes due, rounded the once (rule 1)."""
    return round_ratio(amount.numerator, amount.denominator, terms.rounding_mode, terms.amount_rounding_paise)


# --- Equal instalments and their kin: reducing, step_up, step_down, balloon (rules 5 and 6) -----------------


class _Row(NamedTuple):
    balance: Paise
    interest: Paise  # regular: what the instalment has to cover


@dataclass(frozen=True, slots=True)
class _Annuity:
    """The instalment that repays a balance down to `target`: E = (due x growth - target) / shares.

    For every row, `growth` is what a paisa unpaid after it grows to by the end, and `shares` what instalments
    of `weights` from it on come to; with equal weights and factors this is the annuity formula (rule 5).
    """

    weights: Sequence[Decimal]
    growth: Sequence[Decimal]
    shares: Sequence[Decimal]
    target: Paise

    @classmethod
    def of(cls, factors: Sequence[Fraction], weights: Sequence[Decimal], target: Paise) -> _Annuity:
        growth, share = _ONE, weights[-1]
        growths, shares = [growth], [share]
        for factor, weight in zip(reversed(factors), reversed(weights[:-1]), strict=True):
            growth *= Decimal(factor.numerator + factor.denominator) / factor.denominator
            share += weight * growth
            growths.append(growth)
            shares.append(share)
        return cls(weights, growths[::-1], shares[::-1], target)

    def level(self, row: int, balance: Paise, interest: Fraction) -> Decimal:
        """The instalment of that row, if all from it on are in proportion to their weights."""
        due = balance + Decimal(interest.numerator) / interest.denominator
        return (due * self.growth[row] - self.target) * self.weights[row] / self.shares[row]


def _in_units(exact: Decimal, mode: RoundingMode, unit: Paise = 1) -> Paise:
    """34 digits carry a few that are noise; "up" must not mistake them for a fraction of a paisa."""
    return round_to_unit(exact if exact.adjusted() > _NO_NOISE_ABOVE else exact.quantize(_NOISE), mode, unit)


_ONE: Final = Decimal(1)
_NOISE: Final = Decimal("1e-9")
_NO_NOISE_ABOVE: Final = 20  # digits: steps without an end, soon refused
_NOT_TO_ITS_UNIT: Final = "the instalment is to the nearest paisa: its own unit leaves no proper last row"
_SHARED_TO_THE_PAISA: Final = "the interest is shared to the paisa: its own unit leaves less than none for the last row"
_RELEVELLED: Final = (
    "the instalment is computed anew in every row: one amount leaves no proper last row, or a row's interest uncovered"
)


def _instalments(terms: Terms, stretch: Stretch) -> Plan:
    weights = _weights(terms, stretch)
    if terms.interest_method == "balloon" and stretch.rows > 1 and terms.balloon_paise:
        return _with_balloon(terms, stretch, weights, terms.balloon_paise)
    return _annuity_plan(terms, stretch, weights, target=0)


def _weights(terms: Terms, stretch: Stretch) -> Sequence[Decimal]:
    """What each instalment is of the stretch's first one."""
    every, percent = terms.step_every, terms.step_percent
    if every is None or percent is None or terms.interest_method not in _STEPS:
        return [_ONE] * stretch.rows
    step = 1 + _STEPS[terms.interest_method] * percent / 100
    so_far = stretch.done // every
    return [step ** (row // every - so_far) for row in range(stretch.done, stretch.done + stretch.rows)]


_STEPS: Final[dict[InterestMethod, int]] = {"step_up": 1, "step_down": -1}


def _with_balloon(terms: Terms, stretch: Stretch, weights: Sequence[Decimal], balloon: Paise) -> Plan:
    """All rows but the last repay down to the balloon, which is the last row's principal."""
    head = Stretch(stretch.balance, stretch.interest, stretch.regular_interest, stretch.factors[:-1], stretch.done)
    plan = _annuity_plan(terms, head, weights[:-1], target=balloon)
    return plan._replace(lines=[*plan.lines, Line(balloon, rounded(terms, balloon * stretch.factors[-1]))])


def _annuity_plan(terms: Terms, stretch: Stretch, weights: Sequence[Decimal], target: Paise) -> Plan:
    """As agreed; else to the paisa; else row by row: a fixed tenure wins over rounding (rule 5)."""
    annuity = _Annuity.of(stretch.factors, weights, target)
    exact = annuity.level(0, stretch.balance, stretch.regular_interest)
    for mode, unit, notes in _roundings(terms):
        instalment = _in_units(exact, mode, unit)
        amounts = [instalment if weight is _ONE else _in_units(exact * weight, mode, unit) for weight in weights]
        rows, last = _paid_down(terms, stretch, amounts, target)
        if terms.level_last_instalment and terms.interest_method == "reducing":
            amounts, rows, last = _levelled(terms, stretch, amounts, rows, last, unit)
        if _is_sound(rows, amounts, last):
            first = amounts[0] if len(rows) > 1 else last
            return Plan(_lines(terms, stretch, rows, target), first, notes)
    _ensure_steps_cover_interest(terms, stretch, exact)
    rows = list(_relevelled(terms, stretch, annuity))
    return Plan(_lines(terms, stretch, rows, target), _in_units(exact, terms.rounding_mode), (_RELEVELLED,))


def _ensure_steps_cover_interest(terms: Terms, stretch: Stretch, instalment: Decimal) -> None:
    """Rule 27. Where the lowest step covers its first row, all do: the balance falls, the instalment rises.

    Steps down begin high; where a long first row is more than theirs, they are mended as a level instalment is.
    """
    if terms.interest_method == "step_up" and instalment < stretch.regular_interest:
        interest = rounded(terms, stretch.regular_interest)
        message = f"leaves an instalment of {int(instalment)} paise, below its row's interest of {interest} paise"
        raise TermsError("/step_percent", message)


def _roundings(terms: Terms) -> Sequence[tuple[RoundingMode, Paise, tuple[str, ...]]]:
    """How an instalment is rounded, and how it is mended where that leaves no proper last row (rule 5)."""
    agreed: RoundingMode = terms.rounding_mode if terms.instalment_rounding_mode == "nearest" else "up"
    return (
        (agreed, terms.instalment_rounding_paise, ()),
        (terms.rounding_mode, 1, (_NOT_TO_ITS_UNIT,)),
    )


def _paid_down(terms: Terms, stretch: Stretch, amounts: Sequence[Paise], target: Paise) -> tuple[list[_Row], Paise]:
    """Each row's balance and interest under these instalments, and what the last row has to be."""
    mode, unit = terms.rounding_mode, terms.amount_rounding_paise
    balance, interest = stretch.balance, rounded(terms, stretch.regular_interest)
    rows = [_Row(balance, interest)]
    for amount, factor in zip(amounts, stretch.factors, strict=False):
        balance += interest - amount
        interest = round_ratio(balance * factor.numerator, factor.denominator, mode, unit)
        rows.append(_Row(balance, interest))
    return rows, balance - target + interest


def _levelled(
    terms: Terms, stretch: Stretch, amounts: list[Paise], rows: list[_Row], last: Paise, unit: Paise
) -> tuple[list[Paise], list[_Row], Paise]:
    """Corrected once where the last instalment is off by more than half a paisa per row (rule 5)."""
    difference = last - amounts[0]
    if len(rows) == 1 or 2 * abs(difference) <= len(rows):
        return amounts, rows, last
    corrected = [amounts[0] + round_ratio(difference, len(rows), terms.rounding_mode, unit)] * len(rows)
    rows_then, last_then = _paid_down(terms, stretch, corrected, 0)
    if abs(last_then - corrected[0]) < abs(difference):
        return corrected, rows_then, last_then
    return amounts, rows, last


def _is_sound(rows: list[_Row], amounts: Sequence[Paise], last: Paise) -> bool:
    """No row pays less than its interest, and the last one is neither nothing nor over by an instalment."""
    if len(rows) == 1:
        return True
    covered = all(amount >= row.interest for row, amount in zip(rows[:-1], amounts, strict=False))
    return covered and rows[-1].interest < last <= amounts[-1] + amounts[0]


def _relevelled(terms: Terms, stretch: Stretch, annuity: _Annuity) -> Iterator[_Row]:
    """Rows whose instalments absorb the rounding as they go, pay at least their interest, and leave each
    later row at least a paisa of principal."""
    balance, exact = stretch.balance, stretch.regular_interest
    for row in range(stretch.rows):
        interest = rounded(terms, exact)
        yield _Row(balance, interest)
        if row == len(stretch.factors):
            return
        instalment = _in_units(annuity.level(row, balance, exact), terms.rounding_mode)
        to_leave = annuity.target + stretch.rows - 1 - row
        balance -= max(min(instalment - interest, balance - to_leave), 0)
        exact = balance * stretch.factors[row]


def _lines(terms: Terms, stretch: Stretch, rows: list[_Row], target: Paise) -> list[Line]:
    """Principal is what the balance falls by; only the first row's interest may be more than regular."""
    after = [row.balance for row in rows[1:]] + [target]
    lines = [Line(row.balance - then, row.interest) for row, then in zip(rows, after, strict=True)]
    if stretch.interest != stretch.regular_interest:
        lines[0] = Line(lines[0].principal, rounded(terms, stretch.interest))
    return lines


# --- A fixed instalment: the tenure follows -----------------------------------------------------------------


def _fixed_instalment(terms: Terms, stretch: Stretch) -> Plan:
    """The given instalment until nothing is left; there may be fewer lines than rows, or a balance left."""
    instalment = terms.instalment_paise or 0
    balance, exact = stretch.balance, stretch.regular_interest
    lines: list[Line] = []
    for factor in (*stretch.factors, None):
        interest = rounded(terms, exact)
        if instalment <= interest:
            # Rule 27: an instalment must always cover the interest; and some principal, to ever end.
            raise TermsError("/instalment_paise", f"{instalment} does not cover a row's interest of {interest} paise")
        principal = min(instalment - interest, balance)
        lines.append(Line(principal, interest if lines else rounded(terms, stretch.interest)))
        balance -= principal
        if not balance or factor is None:
            break
        exact = balance * factor
    return Plan(lines, instalment)


# --- Methods whose principal needs no formula (rule 6) ------------------------------------------------------


def _equal_principal(terms: Terms, stretch: Stretch) -> Plan:
    """principal / n each, interest on the balance; the last row takes the rest."""
    count = stretch.rows
    notes: tuple[str, ...] = ()
    part = round_ratio(stretch.balance, count, terms.rounding_mode, terms.amount_rounding_paise)
    parts: Sequence[Paise] = [part] * (count - 1) + [stretch.balance - part * (count - 1)]
    if not 0 < parts[-1] <= 2 * part and count > 1:
        parts, notes = split(stretch.balance, [1] * count), (_NOT_TO_ITS_UNIT,)
    return _on_balance(terms, stretch, parts, notes)


def _interest_only(terms: Terms, stretch: Stretch) -> Plan:
    """Interest in every row, all principal in the last; with one row this is a bullet."""
    return _on_balance(terms, stretch, [0] * (stretch.rows - 1) + [stretch.balance])


def _on_balance(terms: Terms, stretch: Stretch, parts: Sequence[Paise], notes: tuple[str, ...] = ()) -> Plan:
    balance, lines = stretch.balance, [Line(parts[0], rounded(terms, stretch.interest))]
    for paid, part, factor in zip(parts, parts[1:], stretch.factors, strict=False):
        balance -= paid
        lines.append(Line(part, rounded(terms, balance * factor)))
    return Plan(lines, parts[0] + rounded(terms, stretch.regular_interest), notes)


# --- Flat (rule 6) ------------------------------------------------------------------------------------------


def flat_interest(terms: Terms, total: Fraction, rows: int) -> list[Paise]:
    """Each row's interest on the original principal, of what it is for the whole term."""
    return flat_shares(terms, total, rows)[0]


def flat_shares(terms: Terms, total: Fraction, rows: int) -> tuple[list[Paise], tuple[str, ...]]:
    """Interest on the original principal for the whole term, row by row; the last row takes the difference.

    Evenly, or by the sum of digits: of n rows, the first has n shares and the last has one (12 months: of 78).
    """
    weights = range(rows, 0, -1) if terms.interest_method == "rule_of_78" else [1] * rows
    whole, share = rounded(terms, total), total / sum(weights)
    parts = [rounded(terms, share * weight) for weight in weights[:-1]]
    last = whole - sum(parts)
    return ([*parts, last], ()) if last >= 0 else (list(split(whole, weights)), (_SHARED_TO_THE_PAISA,))


def flat_principal(
    terms: Terms, balance: Paise, interest: Sequence[Paise]
) -> tuple[list[Paise], Paise, tuple[str, ...]]:
    """Equal instalments less the row's interest; the last row takes the rest."""
    count = len(interest)
    if terms.interest_method == "rule_of_78" and interest[0] * count > balance + sum(interest):
        message = f"rule_of_78 puts {interest[0]} paise of interest on a row: more than its instalment"
        raise TermsError("/interest_method", message)
    for mode, unit, notes in _roundings(terms):
        instalment = round_ratio(balance + sum(interest), count, mode, unit)
        parts = [instalment - due for due in interest[:-1]]
        last = balance - sum(parts)
        if not parts or (min(parts) >= 0 and 0 < last <= 2 * instalment - interest[-1]):
            return [*parts, last], instalment, notes
    parts = list(split(balance, [1] * count))
    return parts, parts[0] + interest[0], (_NOT_TO_ITS_UNIT,)


METHODS: Final[dict[InterestMethod, Callable[[Terms, Stretch], Plan]]] = {
    "reducing": _instalments,
    "step_up": _instalments,
    "step_down": _instalments,
    "balloon": _instalments,
    "equal_principal": _equal_principal,
    "interest_only": _interest_only,
    "bullet": _interest_only,
}


def plan(terms: Terms, stretch: Stretch) -> Plan:
    """The rows that repay a stretch, by the method agreed on."""
    method = _fixed_instalment if terms.instalment_fixed else METHODS[terms.interest_method]
    with localcontext(PRECISE):
        return method(terms, stretch)
