"""One message, one decision: catch up with time, decide, let consequences follow, check. The domain's front door."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from domain import commands as c
from domain.agenda import next_task
from domain.decisions import (
    borrower,
    collecting,
    cooling_off,
    debits,
    disbursal,
    duties,
    mandates,
    payments,
    preclosure,
    rate_reset,
    restructuring,
    settlement,
    upkeep,
)
from domain.decisions.carriers import addressed
from domain.decisions.rules import Rules
from domain.decisions.standing import stand
from domain.ensure import ensure
from domain.events import LoanBooked, LoanEvent
from domain.loan import Loan
from domain.refusals import Refused, Repeated

Decider = Callable[[Any, Any, datetime, Rules], Iterator[LoanEvent]]

DECIDE: dict[type[Any], Decider] = {
    c.SettlePayout: disbursal.settle_payout,
    c.FailPayout: disbursal.fail_payout,
    c.RecordDebitSuccess: debits.record_success,
    c.RecordDebitFailure: debits.record_failure,
    c.ReverseReceipt: payments.reverse,
    c.ReceivePayment: payments.receive,
    c.ChangeMandate: mandates.change,
    c.RegisterMandate: mandates.register,
    c.ManageMandate: mandates.manage,
    c.OfferPaymentLink: mandates.offer_on_request,
    c.ResumeDebits: mandates.resume_debits,
    c.UpdateBorrower: borrower.update,
    c.Restructure: restructuring.restructure,
    c.LevyCharge: upkeep.levy,
    c.Waive: upkeep.waive,
    c.PauseCollection: upkeep.pause,
    c.HoldContact: upkeep.hold_contact,
    c.QuotePreclosure: preclosure.quote,
    c.WriteOff: upkeep.write_off,
    c.GrantRelief: restructuring.grant_relief,
    c.ResetRate: rate_reset.reset_rate,
    c.Settle: settlement.agree,
    c.CancelDisbursal: cooling_off.cancel,
    c.RefundExcess: upkeep.refund,
    c.RetryPayout: disbursal.retry_payout,
    c.OpenCase: duties.open_case,
    c.CloseCase: duties.close_case,
    c.AssignCase: collecting.assign_case,
    c.NoteCase: collecting.note_case,
    c.PromiseToPay: collecting.promise,
    c.RaiseGrievance: duties.raise_grievance,
    c.ReleasePapers: duties.release_papers,
    c.EraseBorrower: duties.erase,
    c.TellBorrowerStanding: upkeep.tell_standing,
}
"""Command -> who decides it. `BookLoan` begins a life and `WakeUp` is only time: `handle` knows both."""

MAX_TASKS = 20_000
"""More tasks than any life has: reaching it means that a task does not move the loan on (a defect of ours)."""


def handle(loan: Loan | None, command: c.Command, now: datetime, rules: Rules) -> Loan:
    """The loan after a command, its new events pending. Raises `Refused` or `Repeated`; what time alone had asked
    for by then is recorded all the same."""
    match command:
        case c.BookLoan():
            loan = book(loan, command, now, rules)
        case c.WakeUp():
            assert loan is not None
        case _:
            assert loan is not None
            catch_up(loan, now, rules)
            before = loan.version
            try:
                perform(loan, DECIDE[type(command)](loan, command, now, rules), now, rules)
            except (Refused, Repeated):
                ensure(loan.version == before, "a refusal leaves no events", loan=loan.id)
                raise
            if settlement.is_met(loan):
                perform(loan, settlement.complete(loan, now), now, rules)
            perform(loan, stand(loan, now, rules), now, rules)
            if loan.cancelling is not None:
                perform(loan, cooling_off.short(loan, now, rules), now, rules)
            perform(loan, collecting.follow(loan, now, rules), now, rules)
    catch_up(loan, now, rules)
    loan.check()
    return loan


def book(loan: Loan | None, command: c.BookLoan, now: datetime, rules: Rules) -> Loan:
    """The first events of a life."""
    facts = disbursal.book(loan, command, now, rules)
    first = next(facts)
    assert isinstance(first, LoanBooked)
    booked = Loan.shell(command.loan_id)
    booked.record(first, now)
    perform(booked, facts, now, rules)
    perform(booked, mandates.check(booked, rules), now, rules)
    return booked


def catch_up(loan: Loan, now: datetime, rules: Rules) -> None:
    """Do everything that time has asked for up to now, in due order, with the business time that it was due at.

    What was due before the loan was known to be there (a payout learnt late) happens when it became known: a loan's
    events never go back in time.
    """
    for _ in range(MAX_TASKS):
        task = next_task(loan, rules)
        if task is None or task.at > now:
            return
        before, at = loan.version, max(task.at, loan.known_at)
        perform(loan, task.run(), at, rules)
        ensure(loan.version > before, "a task moves the loan on", loan=loan.id, task=task.name, at=task.at)
        perform(loan, stand(loan, at, rules), at, rules)
        perform(loan, collecting.follow(loan, at, rules), at, rules)
    ensure(False, "an agenda comes to an end", loan=loan.id)


def perform(loan: Loan, facts: Iterator[LoanEvent], at: datetime, rules: Rules) -> None:
    """Record each fact as it is decided, so that the rest of the decision sees its effect."""
    for fact in facts:
        loan.record(addressed(loan, fact, at, rules), at)
