"""What people do with a loan besides its schedule: charges, waivers, pauses, write-off."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from domain import commands as c
from domain import events as e
from domain.calendar import ist_day
from domain.decisions.charges import a_charge
from domain.decisions.downstream import withdraw
from domain.decisions.once import once
from domain.decisions.rules import Rules
from domain.decisions.standing import instruct_refund
from domain.events import LoanEvent
from domain.loan import Loan
from domain.refusals import Refusal, Refused, Repeated


def live(loan: Loan) -> None:
    """Only a loan that is paid out and not at its end."""
    if loan.stage == "booked":
        raise Refused(Refusal.loan_not_disbursed)
    if loan.stage == "written_off":
        raise Refused(Refusal.loan_written_off_use_record_recovery)
    if loan.stage != "active":
        raise Refused(Refusal.loan_closed)


def levy(loan: Loan, command: c.LevyCharge, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Levy a charge that the product has; nothing that the borrower was not shown (servicing rule 32)."""
    once(loan, command)
    live(loan)
    charge = rules.product_of(loan).charges.get(command.kind)
    if charge is None:
        raise Refused(Refusal.charge_not_in_product, "/kind", kind=command.kind)
    amount = charge.amount_paise if command.amount_paise is None else command.amount_paise
    if amount <= 0:
        raise Refused(Refusal.amount_must_be_positive, "/amount_paise", amount_paise=amount)
    today = ist_day(now)
    due_on = command.due_on or today
    if due_on < today:
        raise Refused(Refusal.effective_date_not_ahead, "/due_on", due_on=due_on, today=today)
    within_key_facts(loan, command.kind, amount)
    yield a_charge(
        loan,
        command.kind,
        amount,
        charge.gst_percent,
        due_on,
        command.reason,
        number=command.number,
        command_id=command.command_id,
    )


def within_key_facts(loan: Loan, kind: str, paise: int) -> None:
    """A charge that the borrower's Key Facts Statement does not show, or shows lower, cannot be levied (rule 32; RBI,
    KFS circular, 15 April 2024). Where the LOS sent no list, the statement shows the product's charges."""
    if not loan.shown_charges:
        return
    shown = next((charge for charge in loan.shown_charges if charge["kind"] == kind), None)
    if shown is None:
        raise Refused(Refusal.charge_not_in_product, "/kind", kind=kind)
    most = shown.get("amount_paise")
    if most is not None and paise > most:
        raise Refused(Refusal.charge_above_key_facts, "/amount_paise", shown_paise=most, amount_paise=paise)


def shown(loan: Loan, kind: str, paise: int) -> bool:
    """Whether the borrower's Key Facts Statement shows this charge."""
    try:
        within_key_facts(loan, kind, paise)
    except Refused:
        return False
    return True


def waive(loan: Loan, command: c.Waive, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Give up a charge. What was paid of it is held for the borrower, and settles what else is due; of a loan that was
    paid off it goes back."""
    once(loan, command)
    due = loan.charge(command.charge_id)
    ended = due is not None and loan.stage == "closed" and loan.closing in ("paid", "preclosed")
    if not ended:
        live(loan)
    if due is None:
        raise Refused(Refusal.charge_unknown, "/charge_id", charge_id=command.charge_id)
    paise = due.amount if command.amount_paise is None else command.amount_paise
    if paise <= 0:
        raise Refused(Refusal.amount_must_be_positive, "/amount_paise", amount_paise=paise)
    if paise > due.amount:
        raise Refused(Refusal.waiver_exceeds_unpaid, "/amount_paise", charge_paise=due.amount)
    fact = loan.levied[command.charge_id]
    back = max(0, paise - due.unpaid)
    off: e.Line = {"for": due.kind, "charge_id": command.charge_id, "paise": -back}
    yield e.ChargeWaived(
        charge_id=command.charge_id,
        paise=paise,
        reason=command.reason,
        command_id=command.command_id,
        gst_paise=(fact.waived + paise) * fact.gst // fact.total - fact.waived_gst if fact.total else 0,
        lines=[off, {"for": "refund" if ended else "excess", "paise": back}] if back else [],
        requested_by=command.requested_by,
        approved_by=command.approved_by,
    )
    if ended:
        yield from instruct_refund(loan, back, "a charge was given up")


def pause(loan: Loan, command: c.PauseCollection, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """No debit until that day."""
    once(loan, command)
    live(loan)
    if command.until < ist_day(now):
        raise Refused(Refusal.effective_date_not_ahead, "/until", until=command.until)
    yield e.CollectionPaused(until=command.until.isoformat(), reason=command.reason, command_id=command.command_id)


def hold_contact(loan: Loan, command: c.HoldContact, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Leave the borrower in peace until that day (servicing rule 30); a day that is over ends an earlier hold."""
    once(loan, command)
    today = ist_day(now)
    first = command.from_on or min(today, command.until)
    if command.until < max(first, today - timedelta(days=1)):
        raise Refused(Refusal.effective_date_not_ahead, "/until", until=command.until)
    yield e.ContactHeld(
        reason=command.reason,
        from_on=first.isoformat(),
        until_on=command.until.isoformat(),
        note=command.note,
        command_id=command.command_id,
    )


def refund(loan: Loan, command: c.RefundExcess, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Send back what is held for the borrower; also while a payout that came back is not out again."""
    once(loan, command)
    if loan.stage != "booked" or loan.active_since is None:
        live(loan)
    paise = loan.excess_paise if command.amount_paise is None else command.amount_paise
    if paise <= 0:
        raise Refused(Refusal.amount_must_be_positive, "/amount_paise", held_paise=loan.excess_paise)
    if paise > loan.excess_paise:
        raise Refused(Refusal.refund_exceeds_excess, "/amount_paise", held_paise=loan.excess_paise)
    yield e.RefundOwed(
        paise=paise,
        reason=command.reason,
        command_id=command.command_id,
        requested_by=command.requested_by,
        approved_by=command.approved_by,
    )
    yield from instruct_refund(loan, paise, command.reason or "excess")


def use_excess(loan: Loan, today: date) -> Iterator[LoanEvent]:
    """What is held for the borrower repays principal that is not due."""
    paise = min(loan.excess_paise, loan.principal_not_due())
    if paise:
        lines = [{"for": "prepayment", "paise": paise}]
        yield e.ExcessApplied(value_on=today.isoformat(), paise=paise, lines=lines)


def tell_standing(loan: Loan, command: c.TellBorrowerStanding, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Another loan of the borrower became NPA with arrears, or none is any more: the class follows (rule 21)."""
    once(loan, command)
    if command.npa == bool(loan.borrower_npa) or loan.stage in ("closed", "cancelled"):
        raise Repeated  # it knows, or it has no class any more
    yield e.BorrowerStandingChanged(
        npa=command.npa, because=command.because or "another loan", command_id=command.command_id
    )


def write_off(loan: Loan, command: c.WriteOff, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Give the money up in the books, money held for the borrower used first; money that still comes is a recovery
    (servicing rule 18)."""
    once(loan, command)
    live(loan)
    if loan.excess_paise:
        yield from use_excess(loan, ist_day(now))
    yield from withdraw(loan, "the loan is written off")
    yield e.WrittenOff(
        on=ist_day(now).isoformat(),
        principal_paise=loan.principal_paise,
        interest_paise=loan.unpaid_of("interest"),
        charges_paise=loan.unpaid_of("fee", "charge", "penal"),
        reason=command.reason,
        command_id=command.command_id,
        requested_by=command.requested_by,
        approved_by=command.approved_by,
    )
