"""Money that comes in by other ways than a debit, and money that is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from domain import commands as c
from domain import events as e
from domain.allocation import allocate, undo
from domain.calendar import ist_day
from domain.decisions.cases import a_case
from domain.decisions.debits import check_money, lines_for, send_back, what_next
from domain.decisions.preclosure import closing_day, preclose_with, quote_total
from domain.decisions.rules import Rules
from domain.decisions.terms_change import reamortise
from domain.events import LoanEvent
from domain.failures import SOFT, Diagnosis
from domain.loan import Loan, Receipt
from domain.refusals import Refusal, Refused, Repeated


def receive(loan: Loan, command: c.ReceivePayment, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Book a payment: what it settles follows from the waterfall and its intent."""
    known = loan.receipts.get(f"payment:{command.reference}")
    if known is not None:
        if (known.amount, known.value_on) == (command.amount_paise, command.value_on):
            raise Repeated
        raise Refused(
            Refusal.reference_used_with_other_content,
            "/payment_reference",
            booked_paise=known.amount,
            booked_value_on=known.value_on,
            sent_paise=command.amount_paise,
            sent_value_on=command.value_on,
        )
    check_money(loan, command.amount_paise, command.value_on, now)
    if loan.stage == "active" and command.intent == "preclosure":
        on = closing_day(loan, command.value_on)
        if command.amount_paise >= quote_total(loan, on, rules):
            yield from preclose_with(loan, on, rules)
            yield received(loan, command, lines_for(loan, command.amount_paise))
            return
        yield received(loan, command, lines_for(loan, command.amount_paise))
        yield short_of_quote(loan, command, rules)
    elif loan.stage == "active" and command.intent == "part-prepayment":
        yield from prepay(loan, command, now, rules)
    else:
        yield received(loan, command, lines_for(loan, command.amount_paise))
        yield from send_back(loan, command.amount_paise)


def received(loan: Loan, command: c.ReceivePayment, lines: list[e.Line]) -> e.PaymentReceived:
    return e.PaymentReceived(
        reference=command.reference,
        method=command.method,
        amount_paise=command.amount_paise,
        value_on=command.value_on.isoformat(),
        intent=command.intent,
        lines=lines,
        command_id=command.command_id,
    )


def short_of_quote(loan: Loan, command: c.ReceivePayment, rules: Rules) -> e.CaseOpened:
    """Less than the quote leaves the loan open, and says by how much (servicing rule 16)."""
    missing = quote_total(loan, closing_day(loan, command.value_on), rules)
    return a_case(
        loan,
        kind="preclosure-short",
        reason=f"{command.reference} was meant to close the loan and is {missing} paise short",
    )


def prepay(loan: Loan, command: c.ReceivePayment, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Arrears first; what is left reduces principal, and the rest of the schedule is made anew (servicing rule 15)."""
    lines, left = allocate(loan, command.amount_paise)
    possible = loan.principal_not_due() if loan.next_row else 0
    # The instalment can be kept only where it is one: other methods spread what is left over the same rows.
    choice = command.prepay_choice if loan.terms["interest_method"] == "reducing" else "reduce_emi"
    obstacle = "all of it went to arrears" if left == 0 else "it is not below the principal: ask for a quote"
    schedule = None
    if 0 < left < possible:
        try:
            schedule = reamortise(
                loan,
                effective_on=max(command.value_on, ist_day(now)),
                principal=possible - left,
                interest_base=possible,
                reason="part-prepayment",
                instalment_paise=loan.instalment_paise if choice == "reduce_tenure" else None,
            )
        except Refused as refused:
            obstacle = refused.sentence()
    if schedule is None:  # the money is real all the same
        yield received(loan, command, lines_for(loan, command.amount_paise))
        yield a_case(loan, kind="prepayment-not-possible", reason=obstacle)
        return
    yield received(loan, command, [*lines, {"for": "prepayment", "paise": left}])
    yield e.PrincipalPrepaid(
        amount_paise=left,
        value_on=command.value_on.isoformat(),
        choice=choice,
        reference=command.reference,
    )
    yield schedule


def reverse(loan: Loan, command: c.ReverseReceipt, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """A receipt was taken back: as if it had never been. A closed loan opens again."""
    receipt = find_receipt(loan, command)
    if receipt.reversed:
        raise Repeated
    if command.amount_paise is not None and command.amount_paise != receipt.amount:
        raise Refused(
            Refusal.reversal_amount_differs, "/amount_paise", booked=receipt.amount, sent=command.amount_paise
        )
    undoable = loan.excess_paise + sum(due.paid for due in loan.dues)  # the rest was sent back to the borrower
    if receipt.directed or loan.closing == "preclosed" or loan.stage == "written_off" or receipt.amount > undoable:
        raise Refused(Refusal.reversal_needs_a_person, "/reference", reference=command.reference)
    lines = undo(loan, receipt.amount)
    yield e.ReceiptReversed(
        reference=reference_of(loan, receipt),
        amount_paise=receipt.amount,
        value_on=command.value_on.isoformat(),
        source=receipt.source,
        reason=command.reason,
        lines=lines,
    )
    if loan.stage == "closed":
        yield e.Reopened(on=ist_day(now).isoformat(), reason=f"receipt {command.reference} was taken back")
    if loan.stage == "active":
        yield from ask_again(
            loan, max((line["number"] for line in lines if "number" in line), default=None), now, rules
        )


def find_receipt(loan: Loan, command: c.ReverseReceipt) -> Receipt:
    found = loan.receipt(command.source, command.instruction_id) or loan.receipt(command.source, command.reference)
    if found is None:
        raise Refused(Refusal.receipt_unknown, "/gateway_reference", reference=command.reference)
    return found


def reference_of(loan: Loan, receipt: Receipt) -> str:
    """The key part that finds this receipt again: a payment's reference, a debit's instruction id."""
    key = next(key for key, known in loan.receipts.items() if known is receipt)
    return key.partition(":")[2]


def ask_again(loan: Loan, number: int | None, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """What a reversal has opened again is asked for like money that was not there, unless it is being asked for."""
    if number is None or not loan.mandate or number in loan.opportunities:
        return
    if all(debit.number != number for debit in loan.in_flight.values()):
        diagnosis = Diagnosis("reversed", SOFT, "retry_after_funds", "a receipt was reversed", False)
        yield from what_next(loan, number, loan.attempts.get(number, 0), diagnosis, now, rules)
