"""Money that comes in by other ways than a debit, and money that is taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal

from domain import commands as c
from domain import events as e
from domain.allocation import allocate, undo
from domain.calendar import ist_day
from domain.decisions import by_day, hindsight, penal
from domain.decisions.cases import a_case
from domain.decisions.charges import a_charge
from domain.decisions.debits import check_money, fall_due, lines_for, send_back, what_next
from domain.decisions.disbursal import tranche_not_out
from domain.decisions.downstream import follow
from domain.decisions.once import unused
from domain.decisions.preclosure import charge_barred, closing_day, penal_since, preclose_with, quote_total
from domain.decisions.rules import Rules, percent_of
from domain.decisions.terms_change import reamortise
from domain.decisions.upkeep import shown
from domain.events import LoanEvent
from domain.failures import SOFT, Diagnosis
from domain.loan import Loan
from domain.parts import Receipt
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
    unused(loan, command)
    if command.recovery and loan.stage != "written_off":
        raise Refused(Refusal.loan_not_written_off, "/loan_id", state=loan.stage)
    check_money(loan, command.amount_paise, command.value_on, now)
    if loan.stage != "active":
        yield received(loan, command, lines_for(loan, command.amount_paise))
        yield from send_back(loan, command.amount_paise)
        return
    intent = intent_of(loan, command, rules)
    if hindsight.matters(loan, command.value_on, now, rules, directed=intent in WAYS):
        choice = choice_of(loan, command, rules) if intent in WAYS else ""
        yield received(loan, command, lines_for(loan, command.amount_paise), choice)
        yield from prepaid_before(loan, command, intent, now, rules)
        return
    if intent != "preclosure":  # whose quote may hold since an earlier day
        yield from penal.before_money(loan, command.value_on, rules)
    yield from WAYS.get(intent, pay_dues)(loan, command, now, rules)
    yield from by_day.follow_principal(loan, command.value_on)


def intent_of(loan: Loan, command: c.ReceivePayment, rules: Rules) -> str:
    """What the money is for: as was said, or what the product does with more than is due (servicing rule 11)."""
    if loan.settlement is not None or loan.cancelling is not None:
        return "dues"
    intent = command.intent
    if intent == "dues":
        intent = {"advance": "advance", "prepay": "part-prepayment"}.get(rules.product_of(loan).excess_use, "dues")
    if intent == "advance" and by_day.counts_days(loan):
        intent = "part-prepayment"  # where interest runs by the day, early money is principal
    if intent == "part-prepayment" != command.intent and command.amount_paise >= quote_total(
        loan, command.value_on, rules
    ):
        return "preclosure"  # nobody said what for, and it closes the loan
    return intent


def prepaid_before(
    loan: Loan, command: c.ReceivePayment, intent: str, now: datetime, rules: Rules
) -> Iterator[LoanEvent]:
    """Money that counts from an earlier day and changes more than what is paid: the books are folded anew."""
    before = loan.prepaid_paise
    reason = f"{command.reference} counts from {command.value_on}"
    corrections = list(hindsight.recast(loan, reason, command.value_on, now, rules))
    ahead = max((each.prepaid_paise - before for each in corrections if isinstance(each, e.Recast)), default=0)
    if intent == "part-prepayment" and ahead > 0:
        yield e.PrincipalPrepaid(
            amount_paise=ahead,
            value_on=command.value_on.isoformat(),
            choice=choice_of(loan, command, rules),
            reference=command.reference,
        )
    yield from corrections
    if corrections:
        yield from follow(loan, "a payment counts from an earlier day", now, rules)
    if command.intent == "preclosure" and loan.schedule_reason != "preclosure":
        yield short_of_quote(loan, command, rules)


def pay_dues(loan: Loan, command: c.ReceivePayment, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Settle what is due; the rest is held."""
    yield received(loan, command, lines_for(loan, command.amount_paise))


def advance(loan: Loan, command: c.ReceivePayment, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Pay the next instalments now, as many whole ones as there is money for; the rest is held (servicing rule 11).
    None that counts on a tranche which is not out: nobody repays what was not paid out yet."""
    left = command.amount_paise + loan.excess_paise - loan.payable_paise()
    while (row := loan.next_row) is not None and 0 < row.total <= left and not tranche_not_out(loan, row.due_on):
        left -= row.total
        yield from fall_due(loan, row)
    yield received(loan, command, lines_for(loan, command.amount_paise))


def close_early(loan: Loan, command: c.ReceivePayment, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Meet the quote and close; less leaves the loan open, and says by how much (servicing rule 16)."""
    on = closing_day(loan, command.value_on)
    given_up = penal_since(loan, on) if on < command.value_on else []
    if command.amount_paise >= quote_total(loan, on, rules) - sum(paise for _, paise in given_up):
        for charge_id, paise in given_up:
            yield e.ChargeWaived(charge_id=charge_id, paise=paise, reason="the quote held")
        yield from preclose_with(loan, on, rules)
        choice = choice_of(loan, command, rules)  # in hindsight it may be less than all
        yield received(loan, command, lines_for(loan, command.amount_paise), choice)
        return
    yield from penal.before_money(loan, command.value_on, rules)
    yield received(loan, command, lines_for(loan, command.amount_paise))
    yield short_of_quote(loan, command, rules)


def received(loan: Loan, command: c.ReceivePayment, lines: list[e.Line], choice: str = "") -> e.PaymentReceived:
    """The intent is the borrower's own word: what it comes to is decided again in hindsight."""
    return e.PaymentReceived(
        reference=command.reference,
        method=command.method,
        amount_paise=command.amount_paise,
        value_on=command.value_on.isoformat(),
        intent=command.intent,
        choice=choice,
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
    """Arrears first; what is left reduces principal, less the charge for it where one may be levied, and the rest of
    the schedule is made anew (servicing rule 15)."""
    product = rules.product_of(loan)
    _, left = allocate(loan, command.amount_paise)
    possible = loan.principal_not_due() if loan.next_row else 0
    choice = choice_of(loan, command, rules)
    ahead, charge = net_of_charge(loan, left, command.value_on, rules)
    obstacle = "all of it went to arrears" if left == 0 else "it is not below the principal: ask for a quote"
    if 0 < left < product.prepayment_minimum_paise:
        obstacle = f"the product takes no less than {product.prepayment_minimum_paise} paise ahead"
    schedule = None
    if 0 < ahead < possible and left >= product.prepayment_minimum_paise:
        try:
            schedule = reamortise(
                loan,
                effective_on=command.value_on,
                principal=possible - ahead,
                reason="part-prepayment",
                instalment_paise=loan.instalment_paise if choice == "reduce_tenure" else None,
            )
        except Refused as refused:
            obstacle = refused.sentence()
    if schedule is None:  # the money is real all the same, and in hindsight it may be possible after all
        yield received(loan, command, lines_for(loan, command.amount_paise), choice)
        yield a_case(loan, kind="prepayment-not-possible", reason=obstacle)
        return
    if charge:
        reason = f"{product.prepayment_percent}% of the principal paid ahead"
        yield a_charge(loan, "prepayment", charge, product.prepayment_gst_percent, command.value_on, reason)
    lines = lines_for(loan, command.amount_paise - ahead)  # in hindsight the charge may be given up already
    yield received(loan, command, [*lines, {"for": "prepayment", "paise": ahead}], choice)
    yield e.PrincipalPrepaid(
        amount_paise=ahead,
        value_on=command.value_on.isoformat(),
        choice=choice,
        reference=command.reference,
    )
    yield schedule
    yield from follow(loan, "the schedule changed by a part-prepayment", now, rules)


def choice_of(loan: Loan, command: c.ReceivePayment, rules: Rules) -> str:
    """As the borrower or the product says; the instalment can be kept only where it is one: other methods spread what
    is left over the same rows."""
    if loan.terms["interest_method"] != "reducing":
        return "reduce_emi"
    return command.prepay_choice or rules.product_of(loan).prepayment_choice


def net_of_charge(loan: Loan, left: int, on: date, rules: Rules) -> tuple[int, int]:
    """Of what is left for prepayment: what reduces principal, and the charge on that; the rest is its GST. Paise."""
    product = rules.product_of(loan)
    barred = charge_barred(loan, on, rules) or not shown(loan, "prepayment", 0)
    percent = Decimal(0) if barred else product.prepayment_percent
    if not percent or not left:
        return left, 0
    with_gst = percent * (100 + product.prepayment_gst_percent) / 100
    charge = percent_of(int(Decimal(left) * 100 / (100 + with_gst)), percent)
    return left - charge - percent_of(charge, product.prepayment_gst_percent), charge


WAYS: dict[str, Callable[[Loan, c.ReceivePayment, datetime, Rules], Iterator[LoanEvent]]] = {
    "preclosure": close_early,
    "part-prepayment": prepay,
    "advance": advance,
}
"""Intent -> what is done with the money; any other settles dues."""


def reverse(loan: Loan, command: c.ReverseReceipt, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """A receipt was taken back: as if it had never been. A closed loan opens again."""
    receipt = find_receipt(loan, command)
    if receipt.reversed:
        raise Repeated
    if command.amount_paise is not None and command.amount_paise != receipt.amount:
        raise Refused(
            Refusal.reversal_amount_differs, "/amount_paise", booked=receipt.amount, sent=command.amount_paise
        )
    undoable = loan.excess_paise + sum(due.paid for due in loan.dues) + receipt.directed
    returned = loan.closing in ("settled", "cancelled") or (loan.closing == "preclosed" and loan.unearned_paise)
    if receipt.sent_back or returned or receipt.amount > undoable:  # sent back
        raise Refused(Refusal.reversal_needs_a_person, "/reference", reference=command.reference)
    remade = loan.stage != "written_off" and (receipt.directed or loan.closing == "preclosed")
    if remade and not hindsight.folds_without(loan, receipt, now, rules):
        raise Refused(Refusal.reversal_needs_a_person, "/reference", reference=command.reference)
    early = any(day >= receipt.value_on for day in loan.advanced.values())
    lines = undo(loan, receipt.amount) if loan.stage != "written_off" else undo_recovery(receipt)
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
    if loan.stage != "active":
        return
    if (
        receipt.directed
        or early  # an instalment that it paid before its day is not owed any more
        or loan.schedule_reason == "preclosure"
        or hindsight.matters(loan, receipt.value_on, now, rules, taken_back=True)
    ):
        yield from hindsight.recast(loan, f"{command.reference} was taken back", receipt.value_on, now, rules)
    yield from ask_again(loan, newest_unpaid(loan, lines), now, rules)


def undo_recovery(receipt: Receipt) -> list[e.Line]:
    """What comes back out of the recoveries of a loan that is written off; older money stays where it settled."""
    if receipt.directed != receipt.amount:
        raise Refused(Refusal.reversal_needs_a_person, "/reference", reference=receipt.reference)
    return [{"for": "recovery", "paise": -receipt.amount}]


def newest_unpaid(loan: Loan, lines: list[e.Line]) -> int | None:
    """The newest instalment that a reversal has opened again."""
    numbers = [line["number"] for line in lines if "number" in line and loan.unpaid_of_row(line["number"])]
    return max(numbers, default=None)


def find_receipt(loan: Loan, command: c.ReverseReceipt) -> Receipt:
    found = loan.receipt(command.source, command.instruction_id) or loan.receipt(command.source, command.reference)
    if found is None:
        field = "/payment_reference" if command.source == "payment" else "/gateway_reference"
        raise Refused(Refusal.receipt_unknown, field, reference=command.reference)
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
