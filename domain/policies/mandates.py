"""What a mandate can carry, and what is wrong with one: limit, validity, bank, account holder (servicing rule 29)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from domain.failures import HARD, Diagnosis
from domain.parts import as_day

Mandate = Mapping[str, Any]

USABLE: Final = "active"
AWAITED: Final = ("active", "pending")
LOST: Final = ("rejected", "cancelled", "expired", "failed")
"""Statuses out of which a mandate does not come by itself: another one is asked for."""
CANCELLABLE: Final = ("active", "paused", "pending", "failed")
"""Statuses of a mandate that may still stand at the bank."""

ENDS_MANDATE: Final = ("fix_mandate", "alternate_rail")
"""What the code table advises after a hard failure that no debit by the same mandate can heal."""
STOP: Final = "stop"
"""... and when no debit by any mandate is allowed: a court's order, a death, an insolvency."""


def ends_mandate(diagnosis: Diagnosis) -> bool:
    """Whether no other debit by this mandate can succeed either, of any instalment."""
    return diagnosis.failure_class == HARD and diagnosis.action in ENDS_MANDATE


def needs_another_way(diagnosis: Diagnosis) -> bool:
    """Whether this mandate cannot carry this debit, though it may carry others (a limit, a factor that the payer must
    give, data that do not tally): to ask again in the same way is hopeless."""
    return diagnosis.failure_class != HARD and diagnosis.action in ENDS_MANDATE


def stopped_by_payer(diagnosis: Diagnosis) -> bool:
    """Whether the payer told the bank not to pay: the one hard failure for which a bounce is charged."""
    return diagnosis.failure_class == HARD and diagnosis.charge_bounce


def stops_debits(diagnosis: Diagnosis) -> bool:
    """Whether no debit may be asked for at all until a person has looked."""
    return diagnosis.failure_class == HARD and diagnosis.action == STOP


@dataclass(frozen=True, slots=True)
class Needed:
    """What a loan's mandate must carry: the largest instalment to come in paise, the first and the last day of them,
    and the last day on which one of them is still debited."""

    largest_paise: int
    first_due_on: date
    last_due_on: date
    debited_until: date


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a mandate does not fit: the kind of case that it makes, and the reason in words."""

    kind: str
    reason: str


def limit_too_small(mandate: Mandate, needed: Needed) -> str:
    limit = mandate.get("max_amount_paise")
    if not limit or needed.largest_paise <= limit:
        return ""
    return (
        f"an instalment of {needed.largest_paise} paise does not fit the mandate's limit of {limit}: register a new one"
    )


def not_valid_yet(mandate: Mandate, needed: Needed) -> str:
    begins = as_day(mandate.get("valid_from") or "")
    if begins is None or begins <= needed.first_due_on:
        return ""
    return f"an instalment is due on {needed.first_due_on}, the mandate begins on {begins}: register a new one"


def ends_too_early(mandate: Mandate, needed: Needed) -> str:
    ends = as_day(mandate.get("valid_until") or "")
    if ends is None or needed.last_due_on <= ends:
        return ""
    return f"instalments go on to {needed.last_due_on}, the mandate ends on {ends}: register a new one"


IFSC_OF_BANK: Final[Mapping[str, str]] = {
    "SBI": "SBIN",
    "AXIS": "UTIB",
    "ICICI": "ICIC",
    "PNB": "PUNB",
    "BOB": "BARB",
    "BOI": "BKID",
    "CANARA": "CNRB",
    "UNION": "UBIN",
    "KOTAK": "KKBK",
    "INDUSIND": "INDB",
    "YES": "YESB",
    "IDFC": "IDFB",
    "FEDERAL": "FDRL",
    "HDFC": "HDFC",
}
"""A bank's usual short name -> the first four letters of its branches' IFSC (RBI's list of IFSC)."""


def other_bank(mandate: Mandate, needed: Needed) -> str:
    bank, ifsc = mandate.get("bank", "").upper(), mandate.get("ifsc", "").upper()
    expected = IFSC_OF_BANK.get(bank, "")
    if not ifsc or not expected or ifsc.startswith(expected):
        return ""
    return f"the mandate names {bank}, the account's IFSC is of {ifsc[:4]}: register a new one"


def other_holder(mandate: Mandate, needed: Needed) -> str:
    if mandate.get("holder") != "differs":
        return ""
    return "the account's holder does not bear the borrower's name: see whose account it is"


CHECKS: Final[tuple[tuple[str, Callable[[Mandate, Needed], str]], ...]] = (
    ("mandate-limit", limit_too_small),
    ("mandate-validity", not_valid_yet),
    ("mandate-validity", ends_too_early),
    ("mandate-bank", other_bank),
    ("mandate-holder", other_holder),
)
"""The kind of case -> what is looked at; the function's answer is the reason, empty when nothing is wrong."""


def problems(mandate: Mandate, needed: Needed) -> Iterator[Problem]:
    """Everything that is wrong with a mandate for what it must carry."""
    return (Problem(kind, reason) for kind, look in CHECKS if (reason := look(mandate, needed)))


def obstacle(mandate: Mandate, day: date) -> str:
    """Why a mandate cannot be used on a day; empty when it can (servicing rule 29)."""
    known = mandate.get("mandate_id", "")
    begins, ends = as_day(mandate.get("valid_from") or ""), as_day(mandate.get("valid_until") or "")
    if begins is not None and day < begins:
        return f"mandate {known} is valid from {begins}"
    if ends is not None and day > ends:
        return f"mandate {known} was valid until {ends}"
    if mandate.get("status") != USABLE:
        return f"mandate {known} is {mandate.get('status', 'missing')}"
    return ""
