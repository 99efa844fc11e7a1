"""By which rail money is sent: by amount and hour, and another one when a rail could not bring it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from domain.calendar import ist_day
from domain.failures import Diagnosis
from domain.law.payouts import amounts, open_at

ORDER: Final = ("imps", "rtgs", "neft", "upi")
"""At once by IMPS; what is too large for it by RTGS; in the next half-hourly batch by NEFT; by UPI where the borrower
gave an address."""
AUTO: Final = "auto"
BY_ANOTHER_RAIL: Final = ("alternate_rail", "retry")
"""What the code table advises of a failure that another rail may not have."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A rail, why, and the others with why not."""

    rail: str
    reason: str
    others: list[dict[str, Any]]


def another_rail_may_help(diagnosis: Diagnosis) -> bool:
    """Only where the failure is final and known: what is pending or unknown is never paid a second time."""
    return diagnosis.known and not diagnosis.pending and diagnosis.action in BY_ANOTHER_RAIL


def choose_rail(payee: Mapping[str, Any], paise: int, at: datetime, tried: Collection[str] = ()) -> Choice | None:
    """The rail for an amount at an instant; None when all that could carry it have been tried.

    `payee` as in `LoanBooked.payout`: the rail that the LOS asked for goes first, `auto` leaves it to us.
    """
    asked = payee.get("rail") or AUTO
    if asked != AUTO and asked not in ORDER:
        return None if asked in tried else Choice(asked, "as the LOS asked", [])
    order = ORDER if asked == AUTO else (asked, *(rail for rail in ORDER if rail != asked))
    why_not = {rail: obstacle(rail, payee, paise, at, tried) for rail in order}
    chosen = next((rail for rail in order if not why_not[rail]), None)
    if chosen is None:
        return None
    before = [f"{rail}: {why_not[rail]}" for rail in order[: order.index(chosen)]]
    reason = "; ".join(before) or ("as the LOS asked" if asked == chosen else "the first in order")
    others = [{"rail": rail, "why_not": why_not[rail] or "behind in order"} for rail in order if rail != chosen]
    return Choice(chosen, reason, others)


def obstacle(rail: str, payee: Mapping[str, Any], paise: int, at: datetime, tried: Collection[str]) -> str:
    """Why a rail does not carry this; empty when it does."""
    limits, rule = amounts(rail, ist_day(at))
    has_account = bool(payee.get("ifsc") or payee.get("last4")) or not payee.get("vpa")
    if rail in tried:
        return "tried before"
    if rail == "upi" and not payee.get("vpa"):
        return "the borrower gave no UPI address"
    if rail != "upi" and not has_account:
        return "the borrower gave no account"
    if paise < limits.least:
        return f"from {limits.least} paise on ({rule})"
    if limits.most is not None and paise > limits.most:
        return f"up to {limits.most} paise ({rule})"
    opened, rule = open_at(rail, at)
    return "" if opened else f"closed at this hour ({rule})"
