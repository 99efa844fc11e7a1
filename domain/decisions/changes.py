"""Changes of terms that are decided from what was asked: by hindsight again, or when the day of an agreement comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any

from domain import commands as c
from domain import events as e
from domain.calendar import day_start
from domain.decisions.ahead import copy_of, on_day
from domain.decisions.cases import a_case
from domain.decisions.cooling_off import cancel
from domain.decisions.rate_reset import reset_rate
from domain.decisions.restructuring import grant_relief, restructure
from domain.decisions.rules import Rules
from domain.events import LoanEvent
from domain.loan import Loan
from domain.parts import Change, Row
from domain.refusals import Refusal, Refused

Asked = dict[str, Any]
Decide = Callable[[Loan, Asked, datetime, Rules], Iterator[LoanEvent]]
DAYS = ("effective_on", "first_due_on")
NO_COMMAND: dict[str, Any] = {"command_id": "", "reason": ""}
"""What is decided from an event is no command that was done."""


def days_read(asked: Asked) -> Asked:
    return {name: date.fromisoformat(value) if name in DAYS else value for name, value in asked.items()}


def restructure_as_asked(loan: Loan, asked: Asked, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    known = days_read({"hardship": False, **asked})
    return restructure(loan, c.Restructure(**NO_COMMAND, **known), now, rules)


def relieve_as_asked(loan: Loan, asked: Asked, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    return grant_relief(loan, c.GrantRelief(**NO_COMMAND, **days_read(asked)), now, rules)


def reset_as_asked(loan: Loan, asked: Asked, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    known = {name: value for name, value in days_read(asked).items() if name != "rate_type"}
    return reset_rate(loan, c.ResetRate(**NO_COMMAND, **known), now, rules)


def cancel_as_asked(loan: Loan, asked: Asked, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    return cancel(loan, c.CancelDisbursal(**NO_COMMAND), now, rules)


def refund_as_done(loan: Loan, asked: Asked, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Money that went back went back: where the fold has it no more, a person must look."""
    paise = asked["paise"]
    if paise > loan.excess_paise:
        raise Refused(Refusal.refund_exceeds_excess, refunded=paise, held=loan.excess_paise)
    yield e.RefundOwed(paise=paise, reason="")


DECIDE: dict[str, Decide] = {
    "restructure": restructure_as_asked,
    "relief": relieve_as_asked,
    "rate-reset": reset_as_asked,
    "cooling-off": cancel_as_asked,
    "refund": refund_as_done,
}
"""What `Loan.changes` may hold; the first three may be agreed on for a later day."""


def again(loan: Loan, change: Change, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Decide a change anew, as it was asked for."""
    return DECIDE[change.kind](loan, change.asked, now, rules)


def rows_as_agreed(loan: Loan, rules: Rules) -> list[Row]:
    """The rows as they will be by the changes to come, were nothing to happen until then but time."""
    ahead = loan
    for agreed in loan.agreed_changes:
        day = date.fromisoformat(agreed["effective_on"])
        ahead = copy_of(on_day(ahead, day))
        at = max(day_start(day), ahead.known_at)
        for fact in begin(ahead, agreed, at, rules):
            ahead.record(fact, at)
    return ahead.rows


def begin(loan: Loan, agreed: dict[str, Any], now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """The day of an agreement has come. What the loan has become meanwhile may not allow it: then a person looks."""
    kind, effective_on = agreed["kind"], agreed["effective_on"]
    facts = DECIDE[kind](loan, agreed["asked"], now, rules)
    try:
        first = next(facts)
    except Refused as refused:
        why = refused.sentence()
        yield e.AgreedChangeCame(kind=kind, effective_on=effective_on, not_possible=why)
        yield a_case(loan, kind="agreed-change-not-possible", reason=f"{kind} of {effective_on}: {why}")
        return
    yield e.AgreedChangeCame(kind=kind, effective_on=effective_on)
    yield first
    yield from facts
