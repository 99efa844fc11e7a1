"""Arrears and the people who work on them: plans and their steps, promises to pay, cases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Any

from domain import commands as c
from domain import events as e
from domain.calendar import at_hour, ist_day
from domain.decisions.cases import CURED, a_case, known_disposition
from domain.decisions.mandates import offer_link
from domain.decisions.rules import Rules
from domain.decisions.upkeep import live, once
from domain.events import LoanEvent
from domain.loan import Loan
from domain.policies.collections import STEP_AT, TASKS, Arrears
from domain.refusals import Refusal, Refused

ONE_DAY = timedelta(days=1)


def follow(loan: Loan, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """What follows from where the loan stands: a promise is kept, a bucket is entered, work has become moot."""
    if loan.promise is not None and is_kept(loan):
        yield e.PromiseKept(
            promise_id=loan.promise["promise_id"],
            amount_paise=loan.promise["amount_paise"],
            received_paise=loan.promise["received_paise"],
            on=ist_day(now).isoformat(),
        )
    if loan.stage == "active" and loan.threshold:
        if loan.plan is None or loan.plan["bucket"] != loan.bucket:
            yield from plan(loan, now, rules)
    elif loan.case_files and loan.stage in ("active", "closed"):
        yield from drop_moot_cases(loan, rules)


# --- The plan ------------------------------------------------------------------------------------------------


def plan(loan: Loan, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """A bucket is entered: the arm's steps for it and for the loan's segment."""
    strategy = rules.strategies.of(loan.product)
    if strategy is None:
        return
    arrears = arrears_of(loan)
    arm, segment = strategy.arm_of(loan.id), strategy.segment_of(arrears)
    yield e.CollectionPlanned(
        strategy=strategy.name,
        strategy_version=strategy.version,
        arm=arm.name,
        bucket=loan.bucket,
        segment=segment.name,
        first=loan.plan is None,
        overdue_paise=arrears.overdue_paise,
        looked_at=asdict(arrears),
        steps=[{"do": do, "at": at.isoformat()} for at, do in strategy.steps(arm, loan.bucket, segment.name, now)],
    )


def arrears_of(loan: Loan) -> Arrears:
    """What is known of a loan's arrears and of how they came about."""
    return Arrears(
        bounced_instalments=len(loan.bounced),
        broken_promises=loan.broken_promises,
        instalments_due=loan.due_rows,
        ever_paid=any(not receipt.reversed for receipt in loan.receipts.values()),
        overdue_paise=max(0, loan.payable_paise() - loan.excess_paise),
        principal_paise=loan.principal_paise,
    )


def step_at(loan: Loan, rules: Rules) -> datetime:
    """When the next step comes: as planned; after a promise and a pause; one a day of those that were held back."""
    assert loan.plan is not None  # the agenda asks only where there is one
    at = datetime.fromisoformat(loan.plan["steps"][0]["at"])
    if at < loan.known_at:
        at = at_hour(ist_day(loan.known_at), STEP_AT)
        at = at if at > loan.known_at else at + ONE_DAY
    if loan.paused_until is not None:
        at = max(at, at_hour(loan.paused_until + ONE_DAY, STEP_AT))
    free_from = held_until(loan, rules)
    return after_holds(loan, max(at, free_from) if free_from is not None else at)


def after_holds(loan: Loan, at: datetime) -> datetime:
    """The first step's hour from `at` on outside every hold: nobody calls, visits or writes for money on a bereavement
    or calamity hold (servicing rule 30)."""
    holds = [(date.fromisoformat(first), date.fromisoformat(last)) for first, last in loan.contact_holds.values()]
    while ends := [last for first, last in holds if first <= ist_day(at) <= last]:
        at = at_hour(max(ends) + ONE_DAY, STEP_AT)
    return at


def take_step(loan: Loan, at: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """The next step: a reminder goes out with the event, a link is offered for the oldest instalment that is unpaid, a
    task is a case unless one of that kind is open."""
    assert loan.plan is not None  # the agenda asks only where there is one
    step, told = loan.plan["steps"][0], loan.plan
    yield e.CollectionStepTaken(
        do=step["do"],
        strategy=told["strategy"],
        arm=told["arm"],
        bucket=told["bucket"],
        segment=told["segment"],
        overdue_paise=max(0, loan.payable_paise() - loan.excess_paise),
        oldest_due_on=loan.oldest_due_on.isoformat() if loan.oldest_due_on else "",
        planned_at=step["at"],
    )
    if step["do"] == "payment-link":
        number = next((due.of for due in loan.open_dues() if isinstance(due.of, int)), 0)
        if number:
            reason = f"{told['segment']} in bucket {told['bucket']}"
            yield from offer_link(loan, number, reason, at, rules.product_of(loan))
    if step["do"] in TASKS and all(file["kind"] != step["do"] for file in loan.case_files.values()):
        yield a_case(
            loan,
            kind=step["do"],
            reason=f"{told['strategy']} ({told['arm']}): {step['do']} in bucket {told['bucket']}, {told['segment']}",
        )


# --- Promises ------------------------------------------------------------------------------------------------


def promise(loan: Loan, command: c.PromiseToPay, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """The borrower names an amount and a day; a newer promise takes the place of an open one."""
    once(loan, command)
    live(loan)
    owed = loan.payable_paise() - loan.excess_paise
    if owed <= 0:
        raise Refused(Refusal.nothing_is_owed, "/loan_id")
    if command.amount_paise <= 0:
        raise Refused(Refusal.amount_must_be_positive, "/amount_paise", amount_paise=command.amount_paise)
    today = ist_day(now)
    latest = today + timedelta(days=longest_days(loan, rules))
    if not today <= command.by <= latest:
        raise Refused(Refusal.promise_day_not_possible, "/by", by=command.by, today=today, latest=latest)
    if command.case_id and command.case_id not in loan.open_cases:
        raise Refused(Refusal.case_unknown, "/case_id", case_id=command.case_id, open=len(loan.open_cases))
    yield e.PromiseMade(
        promise_id=f"{loan.id}:promise:{loan.promises + 1}",
        amount_paise=command.amount_paise,
        by=command.by.isoformat(),
        channel=command.channel,
        overdue_paise=owed,
        replaces=loan.promise["promise_id"] if loan.promise is not None else "",
        case_id=command.case_id,
        command_id=command.command_id,
    )


def is_kept(loan: Loan) -> bool:
    assert loan.promise is not None
    received: int = loan.promise["received_paise"]
    return received >= loan.promise["amount_paise"] or loan.payable_paise() <= loan.excess_paise


def longest_days(loan: Loan, rules: Rules) -> int:
    strategy = rules.strategies.of(loan.product)
    return strategy.promise_longest_days if strategy else 15


def last_day_of_promise(loan: Loan, rules: Rules) -> date:
    """The promised day with the days of grace: money sent on the day may arrive after it."""
    assert loan.promise is not None
    strategy = rules.strategies.of(loan.product)
    grace = strategy.promise_grace_days if strategy else 1
    return date.fromisoformat(loan.promise["by"]) + timedelta(days=grace)


def held_until(loan: Loan, rules: Rules) -> datetime | None:
    """When an open promise is broken; retries and steps wait until then. None = nothing holds them back."""
    return at_hour(last_day_of_promise(loan, rules) + ONE_DAY, STEP_AT) if loan.promise is not None else None


def broken(loan: Loan) -> Iterator[LoanEvent]:
    """The money did not come: a person talks to the borrower, and what waited goes on."""
    assert loan.promise is not None  # the agenda asks only where there is one
    open_promise = loan.promise
    yield e.PromiseBroken(
        promise_id=open_promise["promise_id"],
        amount_paise=open_promise["amount_paise"],
        received_paise=open_promise["received_paise"],
        by=open_promise["by"],
    )
    yield a_case(
        loan,
        kind="broken-promise",
        reason=f"{open_promise['promise_id']} for {open_promise['by']} was not kept",
    )


# --- Cases ---------------------------------------------------------------------------------------------------


def an_open_case(loan: Loan, case_id: str) -> dict[str, Any]:
    if case_id not in loan.case_files:
        raise Refused(Refusal.case_unknown, "/case_id", case_id=case_id, open=len(loan.open_cases))
    return loan.case_files[case_id]


def assign_case(loan: Loan, command: c.AssignCase, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Somebody takes it, or gets it."""
    once(loan, command)
    an_open_case(loan, command.case_id)
    yield e.CaseAssigned(case_id=command.case_id, assignee=command.assignee, command_id=command.command_id)


def note_case(loan: Loan, command: c.NoteCase, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """What was found out, with a code where one fits; the case stays open."""
    once(loan, command)
    an_open_case(loan, command.case_id)
    if loan.erased:
        raise Refused(Refusal.borrower_is_erased, "/loan_id")
    if command.disposition:
        known_disposition(command.disposition, rules)
    yield e.CaseNoted(
        case_id=command.case_id,
        note_token=command.note_token,
        disposition=command.disposition,
        command_id=command.command_id,
    )


def escalation_at(file: dict[str, Any], rules: Rules) -> datetime | None:
    """When the next level hears of an open case; None when nobody is left, or for a complaint."""
    if file["answer_by"]:
        return None
    known = rules.casework.of(file["kind"])
    if known is None or file["level"] >= len(known.escalates_to):
        return None
    return rules.casework.due_at(file["kind"], datetime.fromisoformat(file["opened_at"]), file["level"])


def escalate(loan: Loan, case_id: str, due_at: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Not done in time."""
    file = loan.case_files[case_id]
    known = rules.casework.of(file["kind"])
    assert known is not None  # the agenda asks only where there is a time limit
    level: int = file["level"] + 1
    yield e.CaseEscalated(
        case_id=case_id, kind=file["kind"], level=level, to=known.escalates_to[level - 1], due_at=due_at.isoformat()
    )


def drop_moot_cases(loan: Loan, rules: Rules) -> Iterator[LoanEvent]:
    """Nothing is overdue any more: nobody needs to call."""
    for case_id, file in list(loan.case_files.items()):
        known = rules.casework.of(file["kind"])
        if known is not None and known.moot and not (loan.stage == "active" and loan.payable_paise()):
            yield e.CaseClosed(case_id=case_id, outcome=CURED, note="nothing is overdue any more", disposition=CURED)
