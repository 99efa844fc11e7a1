"""Instalments falling due, debits asked for, and what their outcomes mean."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from domain import commands as c
from domain import events as e
from domain.allocation import allocate_with_excess
from domain.calendar import ist_day
from domain.decisions import by_day, mandates, penal
from domain.decisions.cases import a_case, is_open
from domain.decisions.charges import a_charge
from domain.decisions.moratorium import at_fall_due
from domain.decisions.rules import Rules
from domain.decisions.standing import ENDINGS, apply_excess, instruct_refund
from domain.decisions.upkeep import shown
from domain.events import LoanEvent
from domain.failures import SOFT, Diagnosis
from domain.loan import Loan
from domain.parts import BY_CHARGE, Row
from domain.policies.likelihood import Borrower
from domain.policies.mandates import ends_mandate, needs_another_way, stopped_by_payer, stops_debits
from domain.policies.retry import Failed, GiveUp, Moment, Tried, next_attempt
from domain.policies.routing import NoWay, Wanted, choose
from domain.refusals import Refusal, Refused, Repeated
from domain.terms import Terms


def fall_due(loan: Loan, row: Row) -> Iterator[LoanEvent]:
    """The due day has come: the row is owed, and money held for the borrower is used first (servicing rule 12)."""
    if loan.schedule_reason not in ENDINGS:
        yield from by_day.follow_principal(loan, row.due_on)
        row = loan.next_row or row
    capitalised, held = at_fall_due(loan, row)
    yield e.InstalmentDue(
        number=row.number,
        due_on=row.due_on.isoformat(),
        principal_paise=row.principal,
        interest_paise=row.interest,
        fee_paise=row.fee,
        fee_gst_paise=gst_in_fee(loan, row.fee),
        capitalised_paise=capitalised,
        held_paise=held,
    )
    yield from apply_excess(loan, row.due_on)


def gst_in_fee(loan: Loan, fee_paise: int) -> int:
    """The GST inside a row's fee, by the fees of the terms that are due with a row."""
    if fee_paise == 0:
        return 0
    with_rows = [fee for fee in Terms.parse(loan.booked_terms).fees if fee.collection == "due_with_row"]
    gross = sum(fee.total_paise for fee in with_rows)
    gst = sum(fee.gst_paise for fee in with_rows)
    return fee_paise * gst // gross if gross else 0


def amount_to_ask(loan: Loan, number: int) -> int:
    """What a debit for this instalment asks for: its own row and all charges owed, never more than is unpaid,
    not already asked for, and within the mandate."""
    wanted = amount_wanted(loan, number)
    return max(0, min(wanted, loan.mandate.get("max_amount_paise") or wanted))


def amount_wanted(loan: Loan, number: int) -> int:
    """The same, whatever the mandate carries."""
    row = row_of(loan, number)
    known_on = ist_day(loan.known_at)
    charges = sum(due.unpaid for due in loan.open_dues() if due.kind in BY_CHARGE and due.due_on <= known_on)
    wanted = row.total + charges
    coming = row.total if loan.next_row is not None and row.number >= loan.next_row.number else 0
    return min(wanted, loan.payable_paise() + coming - loan.in_flight_paise() - loan.excess_paise)


def row_of(loan: Loan, number: int) -> Row:
    return next(row for row in loan.rows if row.number == number)


def attempt_debit(loan: Loan, number: int, attempt: int, at: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Ask for the money, by the mandate and gateway that serve best now; where none can, the borrower gets a link."""
    row, product = row_of(loan, number), rules.product_of(loan)
    route = choose(
        loan.mandates,
        Wanted(amount_wanted(loan, number), at, loan.notified_rail.get(number, ""), loan.mandate),
        product,
        rules.insight,
        rules.health,
    )
    if isinstance(route, NoWay):
        yield e.CollectionExhausted(number=number, attempts=attempt - 1, reason=route.reason, next_step="fix_mandate")
        if not is_open(loan, "no-usable-mandate"):
            yield a_case(loan, kind="no-usable-mandate", reason=route.reason, number=number)
        yield from mandates.offer_link(loan, number, route.reason, at, product)
        return
    yield e.DebitAttempted(
        instruction_id=f"{loan.id}:{number}:{attempt}",
        number=number,
        attempt=attempt,
        amount_paise=route.amount_paise,
        mandate_id=route.mandate["mandate_id"],
        rail=route.mandate["rail"],
        gateway=route.gateway,
        bank=route.mandate.get("bank", ""),
        due_on=row.due_on.isoformat(),
        reason="due day" if attempt == 1 else "retry",
        umrn=route.mandate.get("umrn", ""),
        route=route.reason,
        other_ways=route.other_ways,
        route_inputs=route.inputs,
    )


def notify_debit(loan: Loan, row: Row, debit_at: datetime, attempt: int) -> Iterator[LoanEvent]:
    """Tell the borrower ahead of the debit, with the amount as it is expected to be."""
    yield e.DebitNotified(
        number=row.number,
        attempt=attempt,
        amount_paise=amount_to_ask(loan, row.number),
        debit_at=debit_at.isoformat(),
        rail=loan.mandate["rail"],
    )


def outcome_overdue(loan: Loan, instruction_id: str) -> Iterator[LoanEvent]:
    """No answer in time: the outcome is unknown, so nothing is asked for twice, and a person enquires."""
    debit = loan.in_flight[instruction_id]
    yield e.DebitOutcomeOverdue(instruction_id=instruction_id, number=debit.number, attempt=debit.attempt)
    yield a_case(
        loan,
        kind="debit-outcome-unknown",
        reason=f"the gateway has not answered {instruction_id}",
        number=debit.number,
    )


def record_success(loan: Loan, command: c.RecordDebitSuccess, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Money came in by a debit. It is booked whatever the books expected: real money is never turned away."""
    known = loan.outcomes.get(command.instruction_id, "")
    if known.startswith("succeeded"):
        if known == f"succeeded:{command.amount_paise}":
            raise Repeated
        raise Refused(Refusal.outcome_contradicts_the_settled_one, "/amount_paise", settled=known)
    number, attempt = numbers_of(loan, command.instruction_id)
    check_money(loan, command.amount_paise, command.value_on, now)
    debit = loan.in_flight.get(command.instruction_id)
    asked = debit.amount if debit else 0
    twice = debit is None and paid_by_debit(loan, number)
    again = twice and loan.stage == "active"
    if loan.stage == "active" and not again:
        yield from penal.before_money(loan, command.value_on, rules)
    yield e.DebitSucceeded(
        instruction_id=command.instruction_id,
        number=number,
        attempt=attempt,
        asked_paise=asked,
        amount_paise=command.amount_paise,
        value_on=command.value_on.isoformat(),
        reference=command.reference,
        rail=command.rail,
        gateway=command.gateway,
        bank=command.bank,
        lines=[{"for": "refund", "paise": command.amount_paise}] if again else lines_for(loan, command.amount_paise),
    )
    if again:  # servicing rule 34: a success in a cycle that has one is refunded
        yield from instruct_refund(loan, command.amount_paise, "the instalment had been debited before")
    else:
        yield from send_back(loan, command.amount_paise)
        yield from in_hindsight(loan, command, debit is not None, now, rules)
    if not debit:
        why = f"it had been reported as {known}" if known else "Qist had not asked for it"
        yield a_case(
            loan,
            kind="unexpected-debit-success",
            reason=f"{command.instruction_id} succeeded although {why}",
            number=number,
        )
    elif command.amount_paise < asked and loan.stage == "active":
        partial = Diagnosis("partial", SOFT, "retry_after_funds", "less was collected than asked for", False)
        yield from what_next(loan, number, attempt, partial, now, rules)
    elif loan.stage == "active":
        yield from mandates.rest_by_link(loan, debit, now, rules)


def paid_by_debit(loan: Loan, number: int) -> bool:
    """Whether a debit has paid this instalment in full already."""
    known = f"debit:{loan.id}:{number}:"
    return loan.unpaid_of_row(number) == 0 and any(
        key.startswith(known) and not receipt.reversed for key, receipt in loan.receipts.items()
    )


def in_hindsight(
    loan: Loan, command: c.RecordDebitSuccess, asked: bool, now: datetime, rules: Rules
) -> Iterator[LoanEvent]:
    """What follows from a debit's money besides what it settled: interest by the day, and, where it counts from an
    earlier day, what would have been otherwise (a bounce charge for a debit that had succeeded after all)."""
    from domain.decisions import hindsight  # it folds rows by this module

    if loan.stage != "active":
        return
    bounced = any(
        fact.kind == "bounce" and fact.number == numbers_of(loan, command.instruction_id)[0] and fact.stands
        for fact in loan.levied.values()
    )
    if not asked and bounced and command.value_on == ist_day(now):
        yield from hindsight.recast(loan, f"{command.instruction_id} had succeeded", command.value_on, now, rules)
    elif hindsight.matters(loan, command.value_on, now, rules):
        reason = f"{command.instruction_id} counts from {command.value_on}"
        yield from hindsight.recast(loan, reason, command.value_on, now, rules)
    else:
        yield from by_day.follow_principal(loan, command.value_on)


def lines_for(loan: Loan, paise: int) -> list[e.Line]:
    """Where incoming money goes: dues, then excess; after the end it is owed back or is a recovery."""
    match loan.stage:
        case "closed" | "cancelled":
            return [{"for": "refund", "paise": paise}]
        case "written_off":
            return [{"for": "recovery", "paise": paise}]
        case _:
            return allocate_with_excess(loan, paise)


def send_back(loan: Loan, paise: int) -> Iterator[LoanEvent]:
    """Money that came after the end goes back (servicing rule 16)."""
    if loan.stage in ("closed", "cancelled"):
        yield from instruct_refund(loan, paise, "it came after the loan was closed")


def numbers_of(loan: Loan, instruction_id: str) -> tuple[int, int]:
    """(instalment, attempt) of an instruction id `loan:instalment:attempt`; (0, 0) for one that is not ours."""
    owner, *numbers = instruction_id.rsplit(":", 2)
    if owner != loan.id or len(numbers) != 2 or not all(number.isascii() and number.isdigit() for number in numbers):
        return 0, 0
    return int(numbers[0]), int(numbers[1])


def check_money(loan: Loan, paise: int, value_on: date, now: datetime) -> None:
    """What any incoming money must satisfy."""
    if paise <= 0:
        raise Refused(Refusal.amount_must_be_positive, "/amount_paise", amount_paise=paise)
    if value_on > ist_day(now):
        raise Refused(Refusal.value_date_in_the_future, "/value_on", value_on=value_on, today=ist_day(now))
    if loan.disbursed_on is not None and value_on < loan.disbursed_on:
        raise Refused(
            Refusal.value_date_before_disbursal,
            "/value_on",
            value_on=value_on,
            disbursed_on=loan.disbursed_on,
        )


def record_failure(loan: Loan, command: c.RecordDebitFailure, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """A debit brought nothing: diagnose it, charge only where the borrower's lack of funds caused it, decide on."""
    known = loan.outcomes.get(command.instruction_id, "")
    if known == f"failed:{command.code}":
        raise Repeated
    if known:
        raise Refused(Refusal.outcome_contradicts_the_settled_one, "/code", settled=known)
    debit = loan.in_flight.get(command.instruction_id)
    if debit is None:
        raise Refused(Refusal.instruction_unknown, "/instruction_id", instruction_id=command.instruction_id)
    diagnosis = rules.codes.diagnose(command.rail, command.code, bank_code=command.bank_code, message=command.message)
    if diagnosis.pending:
        if debit.pending == command.code:
            raise Repeated
        yield e.DebitPending(
            instruction_id=command.instruction_id,
            number=debit.number,
            attempt=debit.attempt,
            code=command.code,
            meaning=diagnosis.meaning,
        )
        return
    yield e.DebitFailed(
        instruction_id=command.instruction_id,
        number=debit.number,
        attempt=debit.attempt,
        amount_paise=debit.amount,
        code=command.code,
        failure_class=diagnosis.failure_class,
        action=diagnosis.action,
        meaning=diagnosis.meaning,
        value_on=command.value_on.isoformat(),
        rail=command.rail,
        gateway=command.gateway,
        bank=command.bank,
        reference=command.reference,
        bank_code=command.bank_code,
        diagnosed_as=diagnosis.code if diagnosis.code != command.code else "",
        diagnosed_by=diagnosis.by,
        codes_version=rules.codes.version,
    )
    if loan.stage != "active" or debit.withdrawn:
        return
    if diagnosis.charge_bounce and debit.number not in loan.bounced:
        yield from bounce_charge(loan, debit.number, diagnosis.code, now, rules)
    if not diagnosis.known and not is_open(loan, "unknown-failure-code", f"{command.rail}:{command.code}"):
        yield a_case(
            loan,
            kind="unknown-failure-code",
            reason=f"{command.rail} code {command.code or '(none)'} of {command.gateway} is in no table",
            number=debit.number,
            about=f"{command.rail}:{command.code}",
        )
    if stops_debits(diagnosis):
        yield from mandates.stop(loan, debit, diagnosis)
    elif ends_mandate(diagnosis):
        yield from mandates.failed_hard(loan, debit, diagnosis, now, rules)
    elif diagnosis.taken_before:
        yield from mandates.taken_before(loan, debit, diagnosis)
    elif needs_another_way(diagnosis):
        yield from mandates.another_way(loan, debit, diagnosis, now, rules)
    else:
        if stopped_by_payer(diagnosis):
            yield from mandates.stopped_by_payer(loan, debit, diagnosis)
        yield from what_next(loan, debit.number, debit.attempt, diagnosis, now, rules)


def bounce_charge(loan: Loan, number: int, code: str, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """One charge an instalment for a debit returned for want of funds, as the product says."""
    charge = rules.product_of(loan).charges.get("bounce")
    if charge is None or charge.amount_paise == 0 or not shown(loan, "bounce", charge.amount_paise):
        return
    reason = f"debit returned with code {code}"
    yield a_charge(loan, "bounce", charge.amount_paise, charge.gst_percent, ist_day(now), reason, number=number)


def what_next(
    loan: Loan, number: int, attempt: int, diagnosis: Diagnosis, now: datetime, rules: Rules
) -> Iterator[LoanEvent]:
    """Record when the debit is tried again, or that a person takes over; nothing where nothing is owed any more, or
    where the product asks for no debits."""
    product = rules.product_of(loan)
    row = next((row for row in loan.rows if row.number == number), None)
    if row is None or loan.payable_paise() == 0 or not product.debits_automatic:
        return  # hindsight may have shortened the schedule while the debit was out
    attempt = max(attempt, loan.attempts.get(number, 0))  # a later one may have been answered that nobody asked for
    rail = loan.mandate.get("rail", "")
    tried = Tried(attempt, rail, loan.rail_attempts.get(f"{number}:{rail}", 0))
    failed = Failed(
        loan_id=loan.id,
        number=number,
        due_on=row.due_on,
        amount_paise=amount_to_ask(loan, number),
        bank=loan.mandate.get("bank", ""),
        borrower=Borrower(loan.segment, loan.salary_day),
        answers=loan.answered_debits,
    )
    decision = next_attempt(product, diagnosis, tried, failed, now, rules.insight)
    if not isinstance(decision, GiveUp):
        yield e.RetryScheduled(
            number=number,
            attempt=attempt + 1,
            at=decision.at.isoformat(),
            reason=decision.reason,
            alternatives=[told(other) for other in decision.alternatives],
            likelihood_percent=decision.likelihood_percent,
            model=decision.model,
            inputs=decision.inputs,
            explored=decision.explored,
        )
        return
    yield e.CollectionExhausted(number=number, attempts=attempt, reason=decision.reason, next_step=decision.next_step)
    yield a_case(
        loan,
        kind="collection-exhausted",
        reason=decision.reason,
        number=number,
    )
    yield from mandates.offer_link(loan, number, decision.reason, now, product)


def told(moment: Moment) -> dict[str, Any]:
    """A moment that was weighed, as the event has it."""
    known = {"at": moment.at.isoformat(), "why_not": moment.reason}
    return {**known, "likelihood_percent": moment.likelihood_percent} if moment.likelihood_percent else known
