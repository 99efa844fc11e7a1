"""A rule of the land as data: what it says, since when, for which lenders, and how sure we are of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar, get_args

from domain.ensure import ensure

__all__ = [
    "ALL_LENDERS",
    "NBFCS",
    "AnyRule",
    "Confidence",
    "CountedBy",
    "DatedRule",
    "Lender",
    "Ruled",
    "Table",
    "by",
    "in_force",
    "lender_kind",
    "ruled",
    "table",
]

Lender = Literal[
    "bank",
    "sfb",
    "rrb",
    "ucb-tier3",
    "ucb-tier4",
    "cooperative",
    "nbfc-base",
    "nbfc-middle",
    "nbfc-upper",
    "hfc",
    "aifi",
]
ALL_LENDERS: Final[frozenset[Lender]] = frozenset(get_args(Lender))
NBFCS: Final[frozenset[Lender]] = frozenset({"nbfc-base", "nbfc-middle", "nbfc-upper"})

Confidence = Literal["seen", "seen-2nd", "known", "policy"]
"""`seen`: the text or a faithful report was read; `seen-2nd`: one secondary source; `known`: general knowledge of the
field; `policy`: no regulator says it, the lender decides."""

CountedBy = Literal["day", "sanction", "complaint", "failure", "papers due"]
"""Which day must lie within the validity: that of the act itself, or of what it goes back to."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedRule(Generic[T]):
    """One version of a rule. Both days of its validity are included; without `valid_until` it still holds.

    `value` is what the functions beside the table calculate with; `where` is where the product keeps the rule.
    """

    id: str
    title: str
    text: str
    source: str
    confidence: Confidence
    valid_from: date
    value: T
    where: str
    valid_until: date | None = None
    lenders: frozenset[Lender] = ALL_LENDERS
    counted_by: CountedBy = "day"

    def __post_init__(self) -> None:
        ensure(bool(self.lenders) and self.lenders <= ALL_LENDERS, "a rule is for known lenders", rule=self.id)
        ensure(self.valid_until is None or self.valid_from <= self.valid_until, "a rule holds on a day", rule=self.id)

    @property
    def ref(self) -> str:
        """The rule and its version, as events record it: `R6.7@2026-03-31`."""
        return f"{self.id}@{self.valid_from}"

    def holds(self, on: date, lender: Lender | None = None) -> bool:
        """Whether it is valid on that day for that kind of lender; without one, whether it is for all of them."""
        for_them = self.lenders == ALL_LENDERS if lender is None else lender in self.lenders
        return for_them and self.valid_from <= on and (self.valid_until is None or on <= self.valid_until)


AnyRule = DatedRule[Any]
Table = tuple[DatedRule[T], ...]


class Ruled(NamedTuple, Generic[T_co]):
    """An answer, and the `ref` of the rule that gave it: empty where no rule was in force."""

    value: T_co
    rule: str

    def __bool__(self) -> bool:
        """As true as the answer: a pair of its own would always be true."""
        return bool(self.value)


def table(*rules: DatedRule[T]) -> Table[T]:
    """Versions of one question, of which at most one answers on any day for any lender."""
    for one, other in combinations(rules, 2):
        apart = (one.valid_until or date.max) < other.valid_from or (other.valid_until or date.max) < one.valid_from
        ensure(apart or not one.lenders & other.lenders, "one rule answers on a day", one=one.ref, other=other.ref)
    return rules


def in_force(rules: Iterable[DatedRule[T]], on: date, lender: Lender | None = None) -> DatedRule[T] | None:
    """The rule valid on that day for that kind of lender; None where none holds."""
    return next((rule for rule in rules if rule.holds(on, lender)), None)


def by(rule: DatedRule[Any] | None, answer: T) -> Ruled[T]:
    """An answer that a rule gave, or that was given without one."""
    return Ruled(answer, rule.ref if rule else "")


def ruled(rule: DatedRule[T] | None, otherwise: T) -> Ruled[T]:
    """The rule's value with its name, or what is so where no rule is in force."""
    return by(rule, rule.value if rule else otherwise)


def lender_kind(text: str) -> Lender:
    """The kind of lender that a setting names; a ValueError lists them."""
    if text not in ALL_LENDERS:
        raise ValueError(f"lender: must be one of {', '.join(get_args(Lender))}, not {text!r}")
    return text
