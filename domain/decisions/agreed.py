"""Changes that are agreed on for a later day: tried on the loan as it will stand, told, and decided when the day comes.

Until then nothing changes: interest, quotes, and money paid ahead follow the terms in force.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from datetime import date, datetime
from typing import Any, TypeVar

from domain import commands as c
from domain import events as e
from domain.calendar import day_start, ist_day
from domain.decisions.ahead import copy_of, on_day
from domain.decisions.rules import Rules
from domain.events import LoanEvent
from domain.loan import Loan
from domain.refusals import Refusal, Refused

Asked = TypeVar("Asked", c.Restructure, c.GrantRelief, c.ResetRate)
NOT_ASKED = ("command_id", "reason")
"""Of a command: who asked and why, and not what for."""


def is_for_later(loan: Loan, effective_on: date, now: datetime) -> bool:
    """Whether a change begins on a day to come; refused on a day that has passed, or while a settlement is open."""
    if loan.settlement is not None:
        raise Refused(Refusal.settlement_is_open, "/loan_id", pay_by=loan.settlement["pay_by"])
    if effective_on < ist_day(now):
        raise Refused(Refusal.effective_date_not_ahead, "/effective_on", effective_on=effective_on)
    return effective_on > ist_day(now)


def agree(
    loan: Loan,
    kind: str,
    decide: Callable[[Loan, Asked, datetime, Rules], Iterator[LoanEvent]],
    command: Asked,
    rules: Rules,
) -> Iterator[LoanEvent]:
    """What will be decided on the day, were nothing to happen until then but time; refused as it would be then. A
    mandate that will not fit is a case already now."""
    then = copy_of(on_day(loan, command.effective_on))
    at = max(day_start(command.effective_on), then.known_at)
    cases: list[e.CaseOpened] = []
    offered: list[dict[str, Any]] = []
    for fact in decide(then, replace(command, command_id=""), at, rules):
        then.record(fact, at)
        if isinstance(fact, e.CaseOpened):
            cases.append(fact)
        elif isinstance(fact, e.RateReset):
            offered = fact.offered
    yield e.ChangeAgreed(
        kind=kind,
        effective_on=command.effective_on.isoformat(),
        asked=as_stored(command),
        instalment_paise=then.instalment_paise,
        instalments=len(then.rows) - then.due_rows,
        reason=command.reason,
        command_id=command.command_id,
        offered=offered,
    )
    for index, case in enumerate(cases, start=loan.cases + 1):
        yield replace(case, case_id=f"{loan.id}:case:{index}")


def as_stored(command: c.Restructure | c.GrantRelief | c.ResetRate) -> dict[str, Any]:
    """What a command asks for, as an event keeps it."""
    asked = {field.name: getattr(command, field.name) for field in fields(command) if field.name not in NOT_ASKED}
    return {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in asked.items()
        if value is not None
    }
