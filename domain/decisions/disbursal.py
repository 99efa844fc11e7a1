"""The beginning of a loan: booking what the LOS approved, sending the money out, learning that it arrived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from domain import commands as c
from domain import events as e
from domain.calendar import ist_day
from domain.decisions.carriers import has_another
from domain.decisions.cases import CURED, a_case, is_open
from domain.decisions.debits import lines_for, send_back
from domain.decisions.downstream import withdraw
from domain.decisions.hindsight import recast, unlent
from domain.decisions.once import once
from domain.decisions.rules import Rules
from domain.decisions.standing import delinquency, instruct_refund
from domain.decisions.terms_change import BROKEN_PERIOD, next_due_after, since_payout
from domain.events import LoanEvent
from domain.failures import Diagnosis
from domain.law.disbursal import payee_allowed
from domain.loan import Loan
from domain.policies.payouts import another_rail_may_help, choose_rail
from domain.refusals import Refusal, Refused, Repeated
from domain.schedule import Schedule, build_schedule
from domain.terms import Terms, TermsError


def scheduled(
    loan_version: int, terms: Terms, schedule: Schedule, reason: str, effective_on: str, carried_paise: int = 0
) -> e.EmiScheduled:
    """The event that puts a schedule into force."""
    return e.EmiScheduled(
        schedule_version=loan_version,
        reason=reason,
        effective_on=effective_on,
        instalment_paise=schedule.instalment_paise,
        apr_percent=str(schedule.apr_percent),
        rows=[row.to_dict() for row in schedule.rows],
        terms=terms.to_dict(),
        accrued_paise=carried_paise,
    )


def book(loan: Loan | None, command: c.BookLoan, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Take an approved loan into service: its terms make a schedule, and the LOS believes the same instalment."""
    if loan is not None:
        if loan.request_hash == command.request_hash:
            raise Repeated
        raise Refused(Refusal.loan_exists_with_other_content, "/loan_id", loan_id=command.loan_id)
    product = rules.products.newest(command.product)
    if product is None:
        raise Refused(Refusal.product_unknown, "/product", product=command.product)
    try:
        terms = Terms.parse(command.terms, product.terms)
        schedule = build_schedule(terms)
    except TermsError as error:
        raise Refused(Refusal.terms_invalid, f"/terms{error.field}", because=error.message) from error
    believed = command.believed_instalment_paise
    if believed is not None and abs(believed - schedule.instalment_paise) > product.instalment_tolerance_paise:
        raise Refused(
            Refusal.instalment_differs,
            "/terms/instalment_paise",
            los=believed,
            qist=schedule.instalment_paise,
        )
    if not payee_allowed(command.payee, terms.disburse_on):
        raise Refused(Refusal.payee_not_allowed, "/payout/payee", payee=command.payee)
    yield e.LoanBooked(
        borrower_id=command.borrower_id,
        product=product.name,
        product_version=product.version,
        terms=terms.to_dict(),
        request_hash=command.request_hash,
        financed_paise=terms.financed_paise,
        deductions=kept_back(terms, schedule),
        waterfall=sorted(product.allocation_rank, key=lambda kind: product.allocation_rank[kind]),
        segment=command.segment,
        salary_day=command.salary_day,
        language=command.language,
        payout=dict(command.payout),
        mandate=dict(command.mandate),
        waterfall_by=product.allocation_by,
        waterfall_npa=sorted(product.allocation_rank_npa, key=lambda kind: product.allocation_rank_npa[kind]),
        sanctioned_on=command.sanctioned_on.isoformat() if command.sanctioned_on else "",
        shown_charges=[dict(charge) for charge in command.shown_charges],
        further_mandates=[dict(mandate) for mandate in command.further_mandates],
    )
    yield scheduled(1, terms, schedule, "booking", terms.disburse_on.isoformat())


def instruct_payout(loan: Loan, tranche: int, at: datetime, tried: Collection[str] = ()) -> Iterator[LoanEvent]:
    """Ask the gateway to send a tranche, by a rail that was not tried; without payout details the LOS has sent the
    money itself. No event when no rail is left."""
    part = loan.tranches[tranche]
    kept, net = deductions(loan, tranche)
    if not loan.payout:
        yield e.Disbursed(
            tranche=tranche,
            amount_paise=part.amount,
            net_paise=net,
            deductions=kept,
            value_on=part.on.isoformat(),
            reference="paid out by the LOS",
        )
        return
    choice = choose_rail(loan.payout, net, at, tried)
    if choice is not None:
        yield e.PayoutInstructed(
            instruction_id=f"{loan.id}:payout:{tranche + 1}:{part.tries + 1}",
            tranche=tranche,
            amount_paise=net,
            rail=choice.rail,
            account_token=loan.payout.get("account_token", ""),
            ifsc=loan.payout.get("ifsc", ""),
            reason=choice.reason,
            other_rails=choice.others,
        )


def deductions(loan: Loan, tranche: int) -> tuple[list[dict[str, Any]], int]:
    """What is kept back from a tranche, and what is left to send. Only the first tranche bears fees."""
    kept = loan.deductions if tranche == 0 else []
    return kept, loan.tranches[tranche].amount - sum(part["amount_paise"] + part["gst_paise"] for part in kept)


def kept_back(terms: Terms, schedule: Schedule) -> list[dict[str, Any]]:
    """Fees that are deducted or financed, and broken-period interest taken from the payout (rules 7 and 9)."""
    fees = [
        {"kind": fee.kind, "amount_paise": fee.amount_paise, "gst_paise": fee.gst_paise}
        for fee in terms.fees
        if fee.collection in ("deducted", "added_to_principal")
    ]
    interest = terms.principal_paise - terms.fees_paise("deducted") - schedule.net_disbursed_paise
    if interest:
        fees.append({"kind": BROKEN_PERIOD, "amount_paise": interest, "gst_paise": 0})
    return fees


def settle_payout(loan: Loan, command: c.SettlePayout, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """The money arrived. Interest counts from that day, so another day than planned means a new schedule (rule 26)."""
    instruction_id = command.instruction_id or open_payout(loan)
    if instruction_id in loan.refunds:
        yield from settle_refund(loan, command)
        return
    if not command.instruction_id and says_again(loan, instruction_id, command.value_on):
        raise Repeated
    if instruction_id not in loan.payouts:
        raise Refused(Refusal.instruction_unknown, "/instruction_id", instruction_id=instruction_id)
    outcome = loan.outcomes.get(instruction_id)
    if outcome is not None:
        if outcome.startswith("succeeded"):
            raise Repeated
        raise Refused(Refusal.outcome_contradicts_the_settled_one, "/instruction_id", settled=outcome)
    if command.value_on > ist_day(now):
        raise Refused(Refusal.value_date_in_the_future, "/at", value_on=command.value_on)
    tranche = loan.payouts[instruction_id]
    part = loan.tranches[tranche]
    kept, net = deductions(loan, tranche)
    planned_on = part.on
    yield e.Disbursed(
        tranche=tranche,
        amount_paise=part.amount,
        net_paise=net,
        deductions=kept,
        value_on=command.value_on.isoformat(),
        reference=command.reference,
        instruction_id=instruction_id,
    )
    yield from answered(loan, instruction_id)
    if tranche == 0 and command.value_on != planned_on:
        yield rescheduled(loan, command.value_on)
    elif tranche and loan.stage != "active":
        yield a_case(loan, kind="payout-after-the-end", reason=f"a tranche arrived after the loan was {loan.stage}")
    elif tranche:
        reason = f"a tranche that was planned for {planned_on} went out on {command.value_on}"
        yield from recast(loan, reason, min(planned_on, command.value_on), now, rules)
    if command.amount_paise is not None and command.amount_paise != net:
        yield a_case(
            loan,
            kind="payout-amount-differs",
            reason=f"asked for {net} paise, the gateway says {command.amount_paise}",
        )


def rescheduled(loan: Loan, paid_out_on: date) -> LoanEvent:
    """The schedule from the actual day of payout; a person looks where the terms do not allow that day."""
    planned = loan.agreed
    first = planned.first_due_on if planned.rows else next_due_after(planned, paid_out_on)
    moved = replace(planned, disburse_on=paid_out_on, first_due_on=first)
    try:
        terms = Terms.parse(moved.to_dict())
        schedule, carried = since_payout(loan, terms)
    except TermsError as error:
        return a_case(
            loan,
            kind="schedule-not-rebuilt",
            reason=f"paid out on {paid_out_on}, and the terms do not allow it: {error}",
        )
    return scheduled(loan.schedule_version + 1, terms, schedule, "disbursal", paid_out_on.isoformat(), carried)


def retry_payout(loan: Loan, command: c.RetryPayout, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """Ask again for a payout or a refund that failed; the account was mended meanwhile."""
    once(loan, command)
    failed = [known for known in loan.payouts if loan.tranches[loan.payouts[known]].status == "failed"]
    candidates = [*failed, *loan.failed_refunds]
    instruction_id = command.instruction_id or (candidates[-1] if candidates else "")
    if instruction_id not in candidates:
        raise Refused(Refusal.nothing_to_retry, "/instruction_id", instruction_id=instruction_id)
    if instruction_id in loan.failed_refunds:
        yield from instruct_refund(loan, loan.refunds[instruction_id], "again", retry_of=instruction_id)
    elif loan.stage in ("booked", "active"):
        yield from instruct_payout(loan, loan.payouts[instruction_id], now)
    else:
        raise Refused(Refusal.loan_closed, "/loan_id")


def tranche_not_out(loan: Loan, before: date) -> date | None:
    """The planned day, before another one, of a tranche that the schedule counts on and that is not out."""
    planned = Counter((part.on, part.amount_paise) for part in loan.agreed.tranches if part.on < before)
    planned -= Counter((part.on, part.amount) for part in loan.tranches[1:] if part.status == "settled")
    return min((on for on, _ in planned), default=None)


def without_tranche(loan: Loan, planned_on: date, at: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """The day has passed and the borrower has no money: the rows ask for none of its interest (servicing rule 26)."""
    version = loan.schedule_version
    yield from recast(loan, f"the tranche of {planned_on} is not out", planned_on, at, rules)
    if loan.schedule_version == version and loan.next_row is not None:  # the rows stay, the terms count on it no more
        left = [part.to_dict() for part in loan.agreed.tranches if part.on != planned_on]
        yield e.EmiScheduled(
            schedule_version=version + 1,
            reason="tranche-not-out",
            effective_on=ist_day(at).isoformat(),
            instalment_paise=loan.instalment_paise,
            apr_percent=loan.apr_percent,
            rows=[row.dump() for row in loan.rows[loan.due_rows :]],
            terms={**loan.terms, "tranches": left},
            accrued_paise=loan.accrual_carried,
            accrued_exact=loan.accrual_exact,
            first_number=loan.first_number,
        )


def open_payout(loan: Loan) -> str:
    """The payout that waits for an answer, when the gateway does not name it."""
    return next((known for known in loan.payouts if known not in loan.outcomes), "")


def says_again(loan: Loan, open_one: str, day: date) -> bool:
    """Whether a gateway that names no instruction says again what it has said: money arrived on that day before, and
    the payout that is open was planned for another."""
    planned = loan.tranches[loan.payouts[open_one]].on if open_one else None
    return settled_on(loan, day) and planned != day


def settled_on(loan: Loan, day: date) -> bool:
    """Whether a payout arrived on that day."""
    return day == loan.disbursed_on or any(part.status == "settled" and part.on == day for part in loan.tranches[1:])


def settle_refund(loan: Loan, command: c.SettlePayout) -> Iterator[LoanEvent]:
    """A refund arrived."""
    instruction_id = command.instruction_id
    if loan.outcomes.get(instruction_id, "").startswith("succeeded"):
        raise Repeated
    yield e.RefundSettled(
        instruction_id=instruction_id,
        amount_paise=loan.refunds[instruction_id],
        value_on=command.value_on.isoformat(),
        reference=command.reference,
    )
    yield from answered(loan, instruction_id)


def fail_payout(loan: Loan, command: c.FailPayout, now: datetime, rules: Rules) -> Iterator[LoanEvent]:
    """The money did not arrive, or came back: nothing is owed, and a person looks at the account."""
    instruction_id = command.instruction_id or open_payout(loan)
    outcome = loan.outcomes.get(instruction_id)
    if outcome == f"failed:{command.code}":
        raise Repeated
    diagnosis = rules.codes.diagnose(command.rail or loan.payout_rails.get(instruction_id, ""), command.code)
    if diagnosis.pending and not command.returned and instruction_id in (loan.refunds | loan.payouts):
        yield from payout_pending(loan, instruction_id, diagnosis)
        return
    if instruction_id in loan.refunds:
        yield e.RefundFailed(
            instruction_id=instruction_id,
            amount_paise=loan.refunds[instruction_id],
            code=command.code,
            reason=command.reason,
            returned=command.returned,
        )
        yield from answered(loan, instruction_id)
    elif instruction_id in loan.payouts:
        settled = outcome is not None and outcome.startswith("succeeded")
        if settled != command.returned:
            raise Refused(Refusal.outcome_contradicts_the_settled_one, "/instruction_id", settled=outcome or "nothing")
        tranche = loan.payouts[instruction_id]
        if command.returned and not comes_undone(loan, tranche):
            yield from kept_for_a_person(loan, command, instruction_id, now)
            return
        if command.returned and tranche == 0:
            yield from taken_back(loan, f"{instruction_id} came back")
        yield e.PayoutFailed(
            instruction_id=instruction_id,
            tranche=tranche,
            amount_paise=deductions(loan, tranche)[1],
            returned=command.returned,
            code=command.code,
            reason=command.reason,
        )
        yield from answered(loan, instruction_id)
        if tranche and loan.stage == "active":
            part = loan.tranches[tranche]
            yield from recast(loan, f"the tranche of {part.on} did not go out", part.on, now, rules)
            yield from withdraw(loan, f"the tranche of {part.on} did not go out", keep_fitting=True)
        if command.returned and tranche == 0:
            yield from delinquency(loan, now, rules)
        if not command.returned and another_rail_may_help(diagnosis) and loan.stage in ("booked", "active"):
            tried = {loan.payout_rails[known] for known, index in loan.payouts.items() if index == tranche}
            rail = loan.payout_rails[instruction_id]
            if diagnosis.action == "retry" and has_another(loan, tranche, rail, rules):
                tried.discard(rail)  # the rail is well, its gateway was not
            again = list(instruct_payout(loan, tranche, now, tried))
            if again:
                yield from again
                yield from unknown_code(loan, command, instruction_id, diagnosis)
                return
    else:
        raise Refused(Refusal.instruction_unknown, "/instruction_id", instruction_id=instruction_id)
    yield from unknown_code(loan, command, instruction_id, diagnosis)
    what = "refund" if instruction_id in loan.refunds else "payout"
    held = f"; {loan.excess_paise} paise are held for the borrower" if command.returned and loan.excess_paise else ""
    yield a_case(
        loan,
        kind=f"{what}-returned" if command.returned else f"{what}-failed",
        reason=f"{command.code} {command.reason}".strip() + held,
    )


def unknown_code(
    loan: Loan, command: c.FailPayout, instruction_id: str, diagnosis: Diagnosis
) -> Iterator[e.CaseOpened]:
    """A code that is in no table is a case of its own, once while it is open: a person says what it means. Codes are
    read by rail: without one there is none to look up."""
    rail = command.rail or loan.payout_rails.get(instruction_id, "")
    about = f"{rail}:{command.code}"
    if rail and not diagnosis.known and not command.returned and not is_open(loan, "unknown-failure-code", about):
        reason = f"{rail} code {command.code or '(none)'} of a payout is in no table"
        yield a_case(loan, kind="unknown-failure-code", reason=reason, about=about)


def comes_undone(loan: Loan, tranche: int) -> bool:
    """Whether a payout that came back can be booked as if it had never gone out: not after the loan's end, nor the
    first tranche while another one is out, nor money that is repaid already by a closing part of the loan."""
    if loan.stage != "active":
        return False
    if tranche:
        return loan.principal_paise >= loan.tranches[tranche].amount
    return all(part.status != "settled" for part in loan.tranches[1:])


def taken_back(loan: Loan, reason: str) -> Iterator[LoanEvent]:
    """The borrower never had the money: what is asked for is withdrawn, and dues, charges, interest and changes of the
    time are as if they had never been. What was paid is held."""
    yield from withdraw(loan, reason)
    if loan.due_rows or loan.dues or loan.receipts or loan.changes:
        yield unlent(loan, reason)


def kept_for_a_person(loan: Loan, command: c.FailPayout, instruction_id: str, now: datetime) -> Iterator[LoanEvent]:
    """The money is real and the loan cannot begin again: it is booked as money that came in (held for the borrower,
    after the end owed back or a recovery), nothing is debited, and a person decides."""
    if f"payment:{instruction_id}" in loan.receipts:
        raise Repeated
    net = deductions(loan, loan.payouts[instruction_id])[1]
    active = loan.stage == "active"
    yield e.PaymentReceived(
        reference=instruction_id,
        method="payout-returned",
        amount_paise=net,
        value_on=ist_day(now).isoformat(),
        intent="dues",
        lines=[{"for": "excess", "paise": net}] if active else lines_for(loan, net),
    )
    if active:
        yield from withdraw(loan, f"{instruction_id} came back")
        if not loan.debits_stopped:
            reason = f"payout {instruction_id} came back"
            yield e.DebitsStopped(number=0, mandate_id="", code=command.code, reason=reason)
    yield from send_back(loan, net)
    reason = f"{command.code} {command.reason}".strip()
    reason += f": {net} paise of {instruction_id} came back to a loan that is {loan.stage}, and are booked as received"
    yield a_case(loan, kind="payout-returned", reason=reason)


def payout_overdue(loan: Loan, instruction_id: str) -> Iterator[LoanEvent]:
    """No answer in time: the money may be out, so nothing is sent again, and a person enquires."""
    reason = f"the gateway has not answered {instruction_id}"
    yield a_case(loan, kind="payout-outcome-unknown", reason=reason, about=instruction_id)


def answered(loan: Loan, instruction_id: str) -> Iterator[LoanEvent]:
    """The outcome has come: nobody need enquire any more."""
    for case_id, file in list(loan.case_files.items()):
        if file["kind"] == "payout-outcome-unknown" and file["about"] == instruction_id:
            yield e.CaseClosed(case_id=case_id, outcome=CURED, note="the gateway has answered", disposition=CURED)


def payout_pending(loan: Loan, instruction_id: str, diagnosis: Diagnosis) -> Iterator[LoanEvent]:
    """The rail does not know: nothing is sent again, and a person enquires."""
    if loan.pending_payouts.get(instruction_id) == diagnosis.code or instruction_id in loan.outcomes:
        raise Repeated
    yield e.PayoutPending(instruction_id=instruction_id, code=diagnosis.code, meaning=diagnosis.meaning)
    reason = f"{instruction_id}: {diagnosis.code} {diagnosis.meaning}"
    yield a_case(loan, kind="payout-pending", reason=reason)
