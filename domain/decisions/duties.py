"""What the lender owes the borrower besides money: answers, papers, statements, and what lateness costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from functools import partial

from domain import commands as c
from domain import events as e
from domain.calendar import add_months, ist_day
from domain.decisions.cases import a_case, case_is_open, known_disposition
from domain.decisions.rules import Rules
from domain.decisions.standing import instruct_refund
from domain.decisions.terms_change import rate_on
from domain.decisions.upkeep import once
from domain.events import LoanEvent
from domain.law import closing
from domain.law.dated import Ruled
from domain.loan import Loan
from domain.refusals import Refusal, Refused, Repeated

PAPERS, BUREAU = "papers", "bureau-correction"
LATE = {PAPERS: "papers were to be released", BUREAU: "the bureau's record was to be corrected"}
BUREAU_FREE_DAYS = closing.CORRECTION[0].value.clock.days


# --- Grievances and cases ------------------------------------------------------------------------------------


def raise_grievance(loan: Loan, command: c.RaiseGrievance, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """A complaint is a case with a day by which it must be answered."""
    once(loan, command)
    yield e.GrievanceRaised(
        grievance_id=f"{loan.id}:case:{loan.cases + 1}",
        subject=command.subject,
        answer_by=(ist_day(now) + timedelta(days=rules.product_of(loan).grievance_days)).isoformat(),
        command_id=command.command_id,
        about=command.about,
    )


def escalate(loan: Loan, grievance_id: str) -> Iterator[LoanEvent]:
    """No answer in time."""
    yield e.GrievanceEscalated(grievance_id=grievance_id, answer_by=loan.grievances[grievance_id]["answer_by"])


def open_case(loan: Loan, command: c.OpenCase, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Work for a person that shows outside of the loan; one case of a kind is enough about one thing."""
    once(loan, command)
    if case_is_open(loan, command.kind, command.about):
        raise Repeated
    yield a_case(loan, command.kind, command.reason, about=command.about, command_id=command.command_id)


def close_case(loan: Loan, command: c.CloseCase, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """A person is done with a case."""
    once(loan, command)
    if command.case_id not in loan.open_cases:
        raise Refused(Refusal.case_unknown, "/case_id", case_id=command.case_id, open=len(loan.open_cases))
    if command.disposition:
        known_disposition(command.disposition, rules)
    elif not command.outcome:
        raise Refused(Refusal.outcome_missing, "/disposition")
    grievance = loan.grievances.get(command.case_id)
    if (
        grievance is not None
        and grievance.get("about") == BUREAU
        and ist_day(now) > bureau_owed_from(loan, command.case_id)
    ):
        yield from bureau_late(loan, command.case_id, ist_day(now))
    yield e.CaseClosed(
        case_id=command.case_id,
        outcome=command.outcome or command.disposition,
        note=command.note,
        command_id=command.command_id,
        disposition=command.disposition,
    )


# --- Corrections of credit information -----------------------------------------------------------------------


def bureau_owed_from(loan: Loan, case_id: str) -> date:
    """The last free day for a wrong record to be corrected, or up to which compensation is booked already."""
    booked = loan.compensated.get(f"{BUREAU}:{case_id}")
    raised_on = date.fromisoformat(loan.grievances[case_id]["raised_on"])
    return date.fromisoformat(booked) if booked else raised_on + timedelta(days=BUREAU_FREE_DAYS)


def next_bureau_check(loan: Loan, case_id: str) -> date:
    """When compensation is booked next: the first day that is late, then every thirtieth."""
    return bureau_owed_from(loan, case_id) + timedelta(days=30 if f"{BUREAU}:{case_id}" in loan.compensated else 1)


def bureau_late(loan: Loan, case_id: str, on: date) -> Iterator[LoanEvent]:
    """A wrong record is not corrected: Rs. 100 a day, booked by itself up to a day's end (included; rule 33).

    No correction is known to be sent before the case is closed, so the delay is the lender's.
    """
    raised_on = date.fromisoformat(loan.grievances[case_id]["raised_on"])
    yield from compensate(
        loan,
        BUREAU,
        case_id,
        bureau_owed_from(loan, case_id),
        on,
        lambda day: closing.bureau_compensation_paise(raised_on, day, None),
    )


# --- Papers after closure ------------------------------------------------------------------------------------


def papers_wait(loan: Loan, rules: Rules) -> bool:
    """Whether the borrower still waits for the security papers of a loan that is repaid."""
    if loan.stage != "closed" or loan.closed_on is None or loan.papers_released_on is not None:
        return False
    return rules.product_of(loan).papers_held


def papers_owed_from(loan: Loan) -> date:
    """The last day of the time that the lender has, or up to which compensation is booked already. (A loan that was
    closed, opened again and closed once more has its time again.)"""
    assert loan.closed_on is not None
    due_by = closing.papers_due_by(loan.closed_on).value or loan.closed_on
    booked = loan.compensated.get(f"{PAPERS}:{loan.id}")
    return max(date.fromisoformat(booked), due_by) if booked else due_by


def next_papers_check(loan: Loan) -> date | None:
    """When compensation is booked next: the first day that is late, then every thirtieth; None before there was a
    rule."""
    assert loan.closed_on is not None
    due_by = closing.papers_due_by(loan.closed_on).value
    owed_from = papers_owed_from(loan)
    return owed_from + timedelta(days=30 if owed_from > due_by else 1) if due_by else None


def papers_late(loan: Loan, on: date) -> Iterator[LoanEvent]:
    """The clock of rule 31 runs by itself and books what is owed up to a day's end (included)."""
    closed_on = loan.closed_on
    assert closed_on is not None
    since = papers_owed_from(loan)
    yield from compensate(loan, PAPERS, loan.id, since, on, partial(closing.papers_compensation_paise, closed_on))


def compensate(
    loan: Loan, kind: str, reference: str, since: date, on: date, owed: Callable[[date], Ruled[int]]
) -> Iterator[LoanEvent]:
    """Book and pay out what a late duty costs for the days after `since` up to `on`; `owed` says what it costs in all
    up to a day. Nothing where that is nothing."""
    paise, rule = owed(on)
    more = paise - owed(since).value
    if more <= 0:
        return
    if f"{kind}:{reference}" not in loan.compensated:
        yield a_case(loan, kind=f"{kind}-late", reason=f"{LATE[kind]} by {since}")
    yield e.CompensationOwed(
        kind=kind, reference=reference, days=(on - since).days, paise=more, rule=rule, on=on.isoformat()
    )
    yield from instruct_refund(loan, more, f"compensation for late {kind}, {since} to {on}")


def release_papers(loan: Loan, command: c.ReleasePapers, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """The papers are with the borrower: the clock stops, and the last days that were late are booked."""
    once(loan, command)
    if not papers_wait(loan, rules):
        raise Refused(Refusal.no_papers_wait, "/loan_id", state=loan.stage)
    on = command.on or ist_day(now)
    if on > ist_day(now) or (loan.closed_on and on < loan.closed_on):
        raise Refused(Refusal.papers_before_closure, "/on", on=on, closed_on=loan.closed_on, today=ist_day(now))
    if on > papers_owed_from(loan):
        yield from papers_late(loan, on)
    yield e.PapersReleased(on=on.isoformat(), note=command.note, command_id=command.command_id)


# --- Statements of floating-rate loans -----------------------------------------------------------------------


def next_statement_on(loan: Loan, rules: Rules) -> date | None:
    """The next quarter's end of a floating-rate loan, counted from its payout."""
    if loan.terms["rate_type"] != "floating":
        return None
    months = rules.product_of(loan).statement_months
    since = loan.statement_on or loan.disbursed_on
    if since is None:
        return None
    return add_months(since, months)


def state(loan: Loan, on: date) -> Iterator[LoanEvent]:
    """Principal and interest recovered so far, the EMI, EMIs left, the rate (RBI/2023-24/55)."""
    repaid = sum(due.paid for due in loan.dues if due.kind == "principal") + loan.prepaid_paise
    yield e.StatementDue(
        on=on.isoformat(),
        principal_recovered_paise=repaid,
        interest_recovered_paise=sum(due.paid for due in loan.dues if due.kind == "interest"),
        instalment_paise=loan.instalment_paise,
        instalments_left=len(loan.rows) - loan.due_rows,
        annual_rate_percent=format(rate_on(loan.agreed, on), "f"),
        apr_percent=loan.apr_percent,
    )


# --- Personal data -------------------------------------------------------------------------------------------


def erase(loan: Loan, command: c.EraseBorrower, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Destroy the borrower's personal data: only when nothing is owed either way and no complaint is open."""
    once(loan, command)
    if loan.stage not in ("closed", "cancelled") or loan.grievances or loan.refunds_paise():
        raise Refused(
            Refusal.borrower_is_needed,
            "/loan_id",
            state=loan.stage,
            open_complaints=len(loan.grievances),
            refunds_paise=loan.refunds_paise(),
        )
    yield e.BorrowerErased(borrower_id=loan.borrower_id, reason=command.reason, command_id=command.command_id)
