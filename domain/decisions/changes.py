"""Changes of terms as they are decided again by hindsight: kind of change -> its decider, from what was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any

from domain import commands as c
from domain import events as e
from domain.decisions.cooling_off import cancel
from domain.decisions.rate_reset import reset_rate
from domain.decisions.restructuring import grant_relief, restructure
from domain.decisions.rules import Rules
from domain.events import LoanEvent
from domain.loan import Loan
from domain.parts import Change
from domain.refusals import Refusal, Refused

AGAIN = ""
"""The command id of a decision that is only folded again: it is no command that was done."""


def restructure_again(loan: Loan, change: Change, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    days = {
        name: date.fromisoformat(change.asked[name])
        for name in ("effective_on", "first_due_on")
        if name in change.asked
    }
    asked: dict[str, Any] = {"hardship": False, **change.asked, **days}
    return restructure(loan, c.Restructure(command_id=AGAIN, reason="", **asked), now, rules)


def relief_again(loan: Loan, change: Change, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    asked: dict[str, Any] = {**change.asked, "effective_on": date.fromisoformat(change.asked["effective_on"])}
    return grant_relief(loan, c.GrantRelief(command_id=AGAIN, reason="", **asked), now, rules)


def reset_again(loan: Loan, change: Change, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    asked = {name: value for name, value in change.asked.items() if name != "rate_type"}
    asked["effective_on"] = date.fromisoformat(asked["effective_on"])
    return reset_rate(loan, c.ResetRate(command_id=AGAIN, reason="", **asked), now, rules)


def cancel_again(loan: Loan, change: Change, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    return cancel(loan, c.CancelDisbursal(command_id=AGAIN, reason=""), now, rules)


def refund_again(loan: Loan, change: Change, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Money that went back went back: where the fold has it no more, a person must look."""
    paise = change.asked["paise"]
    if paise > loan.excess_paise:
        raise Refused(Refusal.refund_exceeds_excess, refunded=paise, held=loan.excess_paise)
    yield e.RefundOwed(paise=paise, reason="")


CHANGES: dict[str, Callable[[Loan, Change, datetime, Rules], Iterator[LoanEvent]]] = {
    "restructure": restructure_again,
    "relief": relief_again,
    "rate-reset": reset_again,
    "cooling-off": cancel_again,
    "refund": refund_again,
}
"""What `Loan.changes` may hold."""
