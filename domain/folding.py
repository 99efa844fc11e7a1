"""How each event changes a loan: one function an event, in the cheapest way and without judging."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from domain import events as e
from domain.calendar import ist_day
from domain.ensure import ensure
from domain.events import LoanEvent
from domain.failures import SOFT, SUCCESS
from domain.parts import (
    Answered,
    Due,
    InFlight,
    Levied,
    Opportunity,
    Row,
    Tranche,
    as_day,
    ranks,
)
from domain.periods import asked_from
from domain.state import LoanState


def booked(loan: LoanState, event: e.LoanBooked) -> None:
    loan.borrower_id = event.borrower_id
    loan.product = event.product
    loan.product_version = event.product_version
    loan.terms = loan.booked_terms = event.terms
    loan.request_hash = event.request_hash
    loan.usual_order = event.waterfall
    loan.ranks = ranks(event.waterfall)
    loan.segment = event.segment
    loan.salary_day = event.salary_day
    loan.language = event.language
    loan.payout = event.payout
    loan.mandates = [dict(mandate) for mandate in (event.mandate, *event.further_mandates) if mandate]
    later = [
        Tranche(date.fromisoformat(tranche["on"]), tranche["amount_paise"])
        for tranche in event.terms.get("tranches") or ()
    ]
    first = Tranche(date.fromisoformat(event.terms["disburse_on"]), event.financed_paise)
    loan.deductions = event.deductions
    loan.tranches = [first, *later]
    loan.waterfall_by = event.waterfall_by
    loan.npa_order = event.waterfall_npa
    loan.sanctioned_on = date.fromisoformat(event.sanctioned_on or event.terms["disburse_on"])
    loan.shown_charges = event.shown_charges


def payout_instructed(loan: LoanState, event: e.PayoutInstructed) -> None:
    tranche = loan.tranches[event.tranche]
    tranche.status = "instructed"
    tranche.tries += 1
    loan.payouts[event.instruction_id] = event.tranche
    loan.payout_rails[event.instruction_id] = event.rail
    loan.payout_gateways[event.instruction_id] = event.gateway
    loan.awaited_payouts[event.instruction_id] = event.timestamp


def payout_pending(loan: LoanState, event: e.PayoutPending) -> None:
    loan.pending_payouts[event.instruction_id] = event.code
    loan.awaited_payouts.pop(event.instruction_id, None)  # a person enquires already


def payout_failed(loan: LoanState, event: e.PayoutFailed) -> None:
    tranche = loan.tranches[event.tranche]
    if event.returned:
        loan.principal_paise -= tranche.amount
        loan.disbursed_paise -= tranche.amount
        if event.tranche == 0:
            begin_again(loan)
    tranche.status = "failed"
    loan.awaited_payouts.pop(event.instruction_id, None)
    loan.outcomes[event.instruction_id] = f"failed:{event.code}"


def begin_again(loan: LoanState) -> None:
    """The loan is as if it had never been paid out. Money that came in stays, and what went back of it; attempts are
    counted on, so that no debit ever bears the name of an earlier one."""
    loan.stage = "booked"
    loan.disbursed_on = loan.month_closed_on = loan.statement_on = None
    loan.accrued_booked = loan.provision_paise = 0
    loan.restructured_on = loan.performance_from = None
    loan.settlement = loan.cancelling = loan.quote = loan.promise = loan.plan = None
    loan.announced = loan.foreseen = loan.threshold = 0
    loan.bounced = set()
    loan.opportunities, loan.rail_attempts, loan.links_offered = {}, {}, {}
    loan.notified, loan.notified_at, loan.notified_rail = {}, {}, {}
    loan.levied, loan.agreed_changes = {}, []
    loan.changes = [change for change in loan.changes if change.kind == "refund"]
    loan.receipts = {
        key: replace(receipt, intent="dues", choice="", directed=0) for key, receipt in loan.receipts.items()
    }


def disbursed(loan: LoanState, event: e.Disbursed) -> None:
    tranche = loan.tranches[event.tranche]
    tranche.status, tranche.on = "settled", date.fromisoformat(event.value_on)
    loan.principal_paise += event.amount_paise
    loan.disbursed_paise += event.amount_paise
    if event.tranche == 0:
        loan.stage = "active"
        loan.disbursed_on = date.fromisoformat(event.value_on)
        loan.accrual_from = since_payout(loan, loan.disbursed_on)
        loan.active_since = event.timestamp
    if event.instruction_id:
        loan.outcomes[event.instruction_id] = f"succeeded:{event.net_paise}"
        loan.awaited_payouts.pop(event.instruction_id, None)


def since_payout(loan: LoanState, paid_out: date) -> date:
    """Since when rows ask for interest: interest that was kept back from the payout is paid."""
    return asked_from(loan.agreed) if loan.terms["broken_period"] == "deduct" else paid_out


KEEPS_ACCRUAL = ("interest-by-day", "tranche-not-out")
"""Reasons of new rows inside a period that goes on as it was."""


def scheduled(loan: LoanState, event: e.EmiScheduled) -> None:
    loan.schedule_version = event.schedule_version
    loan.schedule_reason = event.reason
    loan.instalment_paise = event.instalment_paise
    loan.apr_percent = event.apr_percent
    # One dict where they are the same: a schedule's terms mostly are those of the booking.
    loan.terms = loan.booked_terms if event.terms == loan.booked_terms else event.terms
    loan.first_number = event.first_number
    if event.reason in ("booking", "disbursal"):
        loan.base_terms = None if event.terms == loan.booked_terms else event.terms
    told = {row.number: row.total for row in loan.rows[loan.due_rows :]}
    loan.rows[loan.due_rows :] = [Row.load(row) for row in event.rows]
    for row in loan.rows[loan.due_rows :]:
        if row.number in loan.notified and told.get(row.number) != row.total:
            del loan.notified[row.number]  # the borrower was told of another amount
    effective_on = date.fromisoformat(event.effective_on)
    if event.reason in KEEPS_ACCRUAL:
        return
    loan.unearned_paise = -event.accrued_paise if event.reason == "preclosure" else 0
    if loan.disbursed_on is not None and loan.rows[loan.due_rows].due_on > effective_on:
        paid_up_to = since_payout(loan, effective_on) if event.reason == "disbursal" else loan.accrual_from
        loan.accrual_from = max(effective_on, paid_up_to or effective_on)
        loan.accrual_carried, loan.accrual_exact = event.accrued_paise, event.accrued_exact
        loan.held_paise = 0


def mandate_registered(loan: LoanState, event: e.MandateRegistered) -> None:
    mandate = {**event.mandate, "replaces": event.replaces}
    known = mandate["mandate_id"]
    loan.mandates = [each for each in loan.mandates if event.position and each["mandate_id"] != known]
    loan.mandates.insert(max(event.position - 1, 0), mandate)
    loan.mandate_request = ""
    loan.done(event)


def mandate_changed(loan: LoanState, event: e.MandateChanged) -> None:
    set_status(loan, event.mandate_id, event.status)
    if event.status == "active":
        loan.mandate_request = ""
    loan.done(event)


def set_status(loan: LoanState, mandate_id: str, status: str) -> None:
    mandate = loan.mandate_named(mandate_id)
    ensure(mandate is not None, "an event names a mandate of its loan", loan=loan.id, mandate=mandate_id)
    if mandate is not None:
        mandate["status"] = status


def mandate_preferred(loan: LoanState, event: e.MandatePreferred) -> None:
    loan.mandates.sort(key=lambda mandate: mandate["mandate_id"] != event.mandate_id)
    loan.done(event)


def mandate_requested(loan: LoanState, event: e.MandateRequested) -> None:
    loan.mandate_request = event.request_id
    loan.mandate_requests += 1


def mandate_expiring(loan: LoanState, event: e.MandateExpiring) -> None:
    mandate = loan.mandate_named(event.mandate_id)
    if mandate is not None:
        mandate["told_days"] = event.days_left


def link_offered(loan: LoanState, event: e.PaymentLinkOffered) -> None:
    loan.links_offered[event.number] = loan.links_offered.get(event.number, 0) + 1
    loan.links[event.link_id] = {
        "number": event.number,
        "amount_paise": event.amount_paise,
        "expires_on": event.expires_on,
    }


def link_withdrawn(loan: LoanState, event: e.PaymentLinkWithdrawn) -> None:
    loan.links.pop(event.link_id, None)


def debits_stopped(loan: LoanState, event: e.DebitsStopped) -> None:
    loan.debits_stopped = event.reason
    loan.opportunities.clear()


def debits_resumed(loan: LoanState, event: e.DebitsResumed) -> None:
    loan.debits_stopped = ""
    loan.done(event)


def borrower_changed(loan: LoanState, event: e.BorrowerChanged) -> None:
    loan.segment = event.facts.get("segment", loan.segment)
    loan.salary_day = event.facts.get("salary_day", loan.salary_day)
    loan.language = event.facts.get("language", loan.language)
    if loan.payout:
        loan.payout = {**loan.payout, **event.facts.get("payout", {})}
    loan.done(event)


def announced(loan: LoanState, event: e.InstalmentAnnounced) -> None:
    loan.announced = event.number


def foreseen(loan: LoanState, event: e.BounceForeseen) -> None:
    loan.foreseen = event.number


def notified(loan: LoanState, event: e.DebitNotified) -> None:
    loan.notified[event.number] = event.attempt
    loan.notified_at[event.number] = event.timestamp
    loan.notified_rail[event.number] = event.rail


def instalment_due(loan: LoanState, event: e.InstalmentDue) -> None:
    day = date.fromisoformat(event.due_on)
    loan.due_rows += 1
    if (today := ist_day(event.timestamp)) < day:
        loan.advanced[event.number] = today
    loan.accrual_from, loan.accrual_carried, loan.accrual_exact = day, 0, ""
    first = loan.restructured_on is not None and loan.performance_from is None and day > loan.restructured_on
    if first and event.principal_paise and not loan.threshold:  # interest, or principal if that begins later
        loan.performance_from = day
    loan.principal_paise += event.capitalised_paise
    loan.capitalised_paise += event.capitalised_paise
    if event.capitalised_paise:
        loan.principal_repaid.append((day, -event.capitalised_paise))
    loan.held_paise += event.held_paise
    loan.accrued_booked = min(loan.accrued_booked, loan.held_paise)
    for kind, amount in (
        ("interest", event.interest_paise),
        ("principal", event.principal_paise),
        ("fee", event.fee_paise),
    ):
        loan.owe(Due(kind, event.number, day, loan.ranks[kind], amount))
    loan.opportunities[event.number] = Opportunity(loan.attempts.get(event.number, 0) + 1)


def excess_applied(loan: LoanState, event: e.ExcessApplied) -> None:
    loan.excess_paise -= event.paise
    loan.settle(event.lines, event.value_on)
    loan.ask_no_more_than_is_owed()


def attempted(loan: LoanState, event: e.DebitAttempted) -> None:
    loan.attempts[event.number] = event.attempt
    by_rail = f"{event.number}:{event.rail}"
    loan.rail_attempts[by_rail] = loan.rail_attempts.get(by_rail, 0) + 1
    loan.opportunities.pop(event.number, None)
    loan.in_flight[event.instruction_id] = InFlight(
        event.number, event.attempt, event.amount_paise, event.timestamp, mandate_id=event.mandate_id
    )


def debit_succeeded(loan: LoanState, event: e.DebitSucceeded) -> None:
    told = answer(loan, event, SUCCESS if event.amount_paise >= event.asked_paise else SOFT)
    loan.answered(event.instruction_id, event.number, event.attempt, f"succeeded:{event.amount_paise}", told)
    loan.receive(event, f"debit:{event.instruction_id}", "debit")


def debit_failed(loan: LoanState, event: e.DebitFailed) -> None:
    told = answer(loan, event, event.failure_class)
    loan.answered(event.instruction_id, event.number, event.attempt, f"failed:{event.code}", told)


def answer(loan: LoanState, event: e.DebitSucceeded | e.DebitFailed, outcome: str) -> Answered:
    """A debit's outcome as of the moment when it was asked for; one that nobody asked for, as of its answer."""
    asked = loan.in_flight.get(event.instruction_id)
    return Answered(asked.at if asked else event.timestamp, event.number, outcome)


def retry_scheduled(loan: LoanState, event: e.RetryScheduled) -> None:
    loan.opportunities[event.number] = Opportunity(event.attempt, datetime.fromisoformat(event.at))


def exhausted(loan: LoanState, event: e.CollectionExhausted) -> None:
    loan.opportunities.pop(event.number, None)


def outcome_overdue(loan: LoanState, event: e.DebitOutcomeOverdue) -> None:
    loan.in_flight[event.instruction_id].overdue = True


def payment_received(loan: LoanState, event: e.PaymentReceived) -> None:
    loan.receive(event, f"payment:{event.reference}", "payment", event.intent)
    loan.done(event)


def receipt_reversed(loan: LoanState, event: e.ReceiptReversed) -> None:
    receipt = loan.receipt(event.source, event.reference)
    ensure(receipt is not None, "a reversal names a receipt", loan=loan.id, reference=event.reference)
    if receipt is not None:
        receipt.reversed = True
        if loan.settlement is not None and receipt.value_on >= date.fromisoformat(loan.settlement["on"]):
            loan.settlement["received_paise"] -= event.amount_paise
        if loan.promise is not None and receipt.arrived > loan.promise["arrived"]:
            loan.promise["received_paise"] -= event.amount_paise
    loan.received_paise -= event.amount_paise
    loan.settle(event.lines, event.value_on)


def charge_levied(loan: LoanState, event: e.ChargeLevied) -> None:
    loan.charges += 1
    kind = "penal" if event.kind == "penal" else "charge"
    day = date.fromisoformat(event.due_on)
    through = date.fromisoformat(event.through) if event.through else None
    loan.levied[event.charge_id] = fact = Levied(
        event.kind, event.amount_paise, event.gst_paise, day, event.number, through, bool(event.command_id)
    )
    if through is not None:
        loan.penal_upto = through
    loan.owe(Due(kind, event.charge_id, day, loan.ranks[kind], fact.total))
    if event.kind == "bounce":
        loan.bounced.add(event.number)
    loan.done(event)


def charge_waived(loan: LoanState, event: e.ChargeWaived) -> None:
    due = loan.charge(event.charge_id)
    ensure(due is not None, "a waiver names a charge", loan=loan.id, charge=event.charge_id)
    if due is not None:
        loan.settle(event.lines, ist_day(event.timestamp).isoformat())
        due.amount -= event.paise
        loan.levied[event.charge_id].waived += event.paise
    if back := sum(line["paise"] for line in event.lines if line["for"] == "refund"):
        loan.changed(event, "refund", {"paise": back})
    loan.ask_no_more_than_is_owed()
    loan.done(event)


def change_agreed(loan: LoanState, event: e.ChangeAgreed) -> None:
    loan.agreed_changes.append({"kind": event.kind, "effective_on": event.effective_on, "asked": event.asked})
    loan.agreed_changes.sort(key=lambda agreed: agreed["effective_on"])
    loan.done(event)


def agreed_change_came(loan: LoanState, event: e.AgreedChangeCame) -> None:
    came = next(
        index
        for index, agreed in enumerate(loan.agreed_changes)
        if (agreed["kind"], agreed["effective_on"]) == (event.kind, event.effective_on)
    )
    del loan.agreed_changes[came]


def restructured(loan: LoanState, event: e.Restructured) -> None:
    asked = {"effective_on": event.effective_on, **event.changes, "hardship": event.downgraded}
    loan.changed(event, "restructure", asked)
    if event.capitalised_paise:
        for due in loan.open_dues():
            if due.kind == "interest":
                due.amount = due.paid
        loan.principal_paise += event.capitalised_paise
        loan.capitalised_paise += event.capitalised_paise
        loan.principal_repaid.append((ist_day(event.timestamp), -event.capitalised_paise))
    if event.changes.get("capitalise_arrears"):
        for due in loan.open_dues():
            if due.kind == "principal":
                due.amount = due.paid
        loan.forgo_arrears()
    if event.dpd == "reset":
        loan.due_since(date.fromisoformat(event.effective_on))
    loan.settled_dues = 0
    if event.downgraded:
        loan.restructured_on = date.fromisoformat(event.effective_on)
        loan.restructured_paise = loan.principal_paise
        loan.performance_from = None
    loan.ask_no_more_than_is_owed()
    loan.done(event)


def relief(loan: LoanState, event: e.ReliefGranted) -> None:
    asked = {
        "effective_on": event.effective_on,
        "kind": event.kind,
        "instalments": event.instalments,
        "interest": event.interest,
        "extends_tenure": event.extends_tenure,
    }
    loan.changed(event, "relief", asked)
    loan.done(event)


def rate_reset(loan: LoanState, event: e.RateReset) -> None:
    asked = {
        "effective_on": event.effective_on,
        "annual_rate_percent": event.annual_rate_percent,
        "rate_type": event.rate_type,
        "option": event.option,
        **event.asked,
    }
    loan.changed(event, "rate-reset", asked)
    loan.done(event)


def prepaid(loan: LoanState, event: e.PrincipalPrepaid) -> None:
    pass


def recast(loan: LoanState, event: e.Recast) -> None:
    loan.schedule_version = event.schedule_version
    loan.schedule_reason = event.schedule_reason
    loan.rows = [Row.load(row) for row in event.rows]
    loan.due_rows = event.due_rows
    loan.instalment_paise = event.instalment_paise
    loan.apr_percent = event.apr_percent
    loan.terms = loan.booked_terms if event.terms == loan.booked_terms else event.terms
    loan.first_number = event.first_number
    loan.accrual_from = as_day(event.accrual_from)
    loan.accrual_carried, loan.accrual_exact = event.accrual_carried_paise, event.accrual_exact
    loan.held_paise = event.held_paise
    loan.capitalised_paise = event.capitalised_paise
    loan.principal_repaid = [(date.fromisoformat(day), paise) for day, paise in event.principal_repaid]
    loan.prepaid_paise = event.prepaid_paise
    loan.unearned_paise = event.unearned_paise
    loan.principal_paise = event.principal_paise
    held_before = loan.excess_paise
    loan.excess_paise = event.excess_paise
    loan.settled_paise += held_before - event.excess_paise
    loan.penal_upto = as_day(event.penal_upto)
    loan.npa_since = as_day(event.npa_since)
    if loan.npa_order:
        loan.ranks = ranks(loan.npa_order if loan.npa_since else loan.usual_order)
    for charge in event.charges:
        loan.charges += charge["charge_id"] not in loan.levied
        loan.levied[charge["charge_id"]] = Levied.load(charge)
    loan.dues = [
        Due(
            due["kind"],
            due["of"],
            date.fromisoformat(due["due_on"]),
            loan.ranks[due["kind"]],
            due["amount_paise"],
            due["paid_paise"],
        )
        for due in event.dues
    ]
    loan.dues.sort(key=loan.place)
    loan.due_by_key = {due.key: due for due in loan.dues}
    loan.settled_dues = 0
    loan.advanced = {number: date.fromisoformat(day) for number, day in event.advanced}
    numbers = {row.number for row in loan.rows[: loan.due_rows]}
    loan.opportunities = {number: at for number, at in loan.opportunities.items() if number in numbers}
    loan.ask_no_more_than_is_owed()


def withdrawn(loan: LoanState, event: e.DebitWithdrawn) -> None:
    loan.in_flight[event.instruction_id].withdrawn = True


def mandate_cancel_instructed(loan: LoanState, event: e.MandateCancelInstructed) -> None:
    set_status(loan, event.mandate_id, "cancelling")
    loan.done(event)


def borrower_standing(loan: LoanState, event: e.BorrowerStandingChanged) -> None:
    loan.borrower_npa = event.because if event.npa else ""
    loan.done(event)


def performance_restored(loan: LoanState, event: e.PerformanceRestored) -> None:
    loan.restructured_on = loan.performance_from = None


def month_closed(loan: LoanState, event: e.MonthClosed) -> None:
    loan.month_closed_on = date.fromisoformat(event.on)
    loan.accrued_booked = event.accrued_paise
    loan.provision_paise = event.provision_paise


def statement_due(loan: LoanState, event: e.StatementDue) -> None:
    loan.statement_on = date.fromisoformat(event.on)


def case_closed(loan: LoanState, event: e.CaseClosed) -> None:
    loan.open_cases.remove(event.case_id)
    loan.case_files.pop(event.case_id, None)
    loan.grievances.pop(event.case_id, None)
    loan.done(event)


def grievance_raised(loan: LoanState, event: e.GrievanceRaised) -> None:
    loan.cases += 1
    loan.open_cases.append(event.grievance_id)
    loan.case_files[event.grievance_id] = case_file(event, "grievance", event.subject, answer_by=event.answer_by)
    loan.grievances[event.grievance_id] = {
        "answer_by": event.answer_by,
        "escalated": False,
        "about": event.about,
        "raised_on": ist_day(event.timestamp).isoformat(),
    }
    loan.done(event)


def grievance_escalated(loan: LoanState, event: e.GrievanceEscalated) -> None:
    loan.grievances[event.grievance_id]["escalated"] = True
    loan.case_files[event.grievance_id]["level"] = 1


def compensation_owed(loan: LoanState, event: e.CompensationOwed) -> None:
    loan.compensated[f"{event.kind}:{event.reference}"] = event.on
    loan.received_paise += event.paise  # owed as if it had come in: it leaves as a refund does
    loan.refund_due_paise += event.paise


def papers_released(loan: LoanState, event: e.PapersReleased) -> None:
    loan.papers_released_on = date.fromisoformat(event.on)
    loan.done(event)


def erased(loan: LoanState, event: e.BorrowerErased) -> None:
    loan.erased = True
    loan.done(event)


def settlement_agreed(loan: LoanState, event: e.SettlementAgreed) -> None:
    loan.settlement = {
        "on": ist_day(event.timestamp).isoformat(),
        "amount_paise": event.amount_paise,
        "pay_by": event.pay_by,
        "received_paise": 0,
    }
    loan.opportunities.clear()
    loan.done(event)


def settlement_lapsed(loan: LoanState, event: e.SettlementLapsed) -> None:
    loan.settlement = None


def settled(loan: LoanState, event: e.Settled) -> None:
    loan.give_up(event)
    loan.settlement = None


def disbursal_cancelled(loan: LoanState, event: e.DisbursalCancelled) -> None:
    loan.cancelling = {
        "pay_by": event.pay_by,
        "fees_paise": event.fees_returned_paise,
        "fees_gst_paise": event.fees_returned_gst_paise,
        "interest_paise": event.interest_returned_paise,
        "version": event.originator_version,
    }
    loan.opportunities.clear()
    loan.changed(event, "cooling-off", {"on": event.on, "interest_paise": event.interest_paise})
    loan.done(event)


def cancellation_short(loan: LoanState, event: e.CancellationShort) -> None:
    assert loan.cancelling is not None  # money is short of an exit that is open
    loan.cancelling = {**loan.cancelling, "pay_by": event.pay_by, "told_paise": event.received_paise}
    loan.due_since(date.fromisoformat(event.pay_by))  # nobody is late before that day is over


def cancellation_lapsed(loan: LoanState, event: e.CancellationLapsed) -> None:
    loan.cancelling = None
    loan.changes = [change for change in loan.changes if change.kind != "cooling-off"]


def refund_owed(loan: LoanState, event: e.RefundOwed) -> None:
    loan.excess_paise -= event.paise
    loan.refund_due_paise += event.paise
    loan.changed(event, "refund", {"paise": event.paise})
    loan.done(event)


def paused(loan: LoanState, event: e.CollectionPaused) -> None:
    loan.paused_until = date.fromisoformat(event.until)
    loan.done(event)


def contact_held(loan: LoanState, event: e.ContactHeld) -> None:
    loan.contact_holds[event.reason] = [event.from_on, event.until_on]  # what is due and asked for stays as it is
    loan.done(event)


def delinquency(loan: LoanState, event: e.DelinquencyChanged) -> None:
    loan.classification = event.classification
    loan.bucket = event.bucket
    loan.threshold = event.dpd
    loan.oldest_due_on = as_day(event.oldest_due_on)
    loan.npa_because = event.because
    if event.dpd:
        loan.performance_from = None
    else:
        loan.plan = None
    was = loan.npa_since is not None
    if event.classification != "NPA":
        loan.npa_since = None
    elif loan.npa_since is None:
        loan.npa_since = date.fromisoformat(event.on)
    if loan.npa_order and was != (loan.npa_since is not None):
        loan.order_by(loan.npa_order if loan.npa_since else loan.usual_order)


def case(loan: LoanState, event: e.CaseOpened) -> None:
    loan.cases += 1
    loan.open_cases.append(event.case_id)
    loan.case_files[event.case_id] = case_file(event, event.kind, event.reason, event.number, about=event.about)
    if event.kind == "payout-outcome-unknown":
        loan.awaited_payouts.pop(event.about, None)
    loan.done(event)


def case_file(
    event: LoanEvent, kind: str, reason: str, number: int = 0, *, about: str = "", answer_by: str = ""
) -> dict[str, Any]:
    return {
        "kind": kind,
        "reason": reason,
        "number": number,
        "about": about,
        "opened_at": event.timestamp.isoformat(),
        "assignee": "",
        "level": 0,
        "notes": 0,
        "answer_by": answer_by,
    }


def case_assigned(loan: LoanState, event: e.CaseAssigned) -> None:
    loan.case_files[event.case_id]["assignee"] = event.assignee
    loan.done(event)


def case_noted(loan: LoanState, event: e.CaseNoted) -> None:
    loan.case_files[event.case_id]["notes"] += 1
    loan.done(event)


def case_escalated(loan: LoanState, event: e.CaseEscalated) -> None:
    loan.case_files[event.case_id]["level"] = event.level


def collection_planned(loan: LoanState, event: e.CollectionPlanned) -> None:
    loan.plan = {
        "strategy": event.strategy,
        "arm": event.arm,
        "bucket": event.bucket,
        "segment": event.segment,
        "steps": event.steps,
    }


def collection_step_taken(loan: LoanState, event: e.CollectionStepTaken) -> None:
    assert loan.plan is not None  # a step belongs to a plan
    loan.plan = {**loan.plan, "steps": loan.plan["steps"][1:]}


def promise_made(loan: LoanState, event: e.PromiseMade) -> None:
    loan.promises += 1
    loan.promise = {
        "promise_id": event.promise_id,
        "amount_paise": event.amount_paise,
        "by": event.by,
        "channel": event.channel,
        "received_paise": 0,
        "arrived": event.originator_version,
        "strategy": loan.plan["strategy"] if loan.plan else "",
        "arm": loan.plan["arm"] if loan.plan else "",
    }
    loan.done(event)


def promise_kept(loan: LoanState, event: e.PromiseKept) -> None:
    loan.promise = None


def promise_broken(loan: LoanState, event: e.PromiseBroken) -> None:
    loan.promise = None
    loan.broken_promises += 1


def quoted(loan: LoanState, event: e.PreclosureQuoted) -> None:
    loan.quote = {
        "quote_id": event.quote_id,
        "on": event.on,
        "valid_until": event.valid_until,
        "parts": event.parts,
        "total_paise": event.total_paise,
        "per_diem_paise": event.per_diem_paise,
    }
    loan.done(event)


def written_off(loan: LoanState, event: e.WrittenOff) -> None:
    loan.stage = "written_off"
    loan.give_up(event)
    loan.done(event)


def refund_instructed(loan: LoanState, event: e.RefundInstructed) -> None:
    loan.refunds[event.instruction_id] = event.amount_paise
    loan.refund_attempts[event.instruction_id] = event.attempt
    loan.payout_rails[event.instruction_id] = event.rail
    loan.payout_gateways[event.instruction_id] = event.gateway
    loan.failed_refunds.pop(event.retry_of, None)
    if event.rail:  # else the LOS sends it, and says nothing
        loan.awaited_payouts[event.instruction_id] = event.timestamp


def refund_settled(loan: LoanState, event: e.RefundSettled) -> None:
    loan.outcomes[event.instruction_id] = f"succeeded:{event.amount_paise}"
    loan.awaited_payouts.pop(event.instruction_id, None)


def refund_failed(loan: LoanState, event: e.RefundFailed) -> None:
    loan.awaited_payouts.pop(event.instruction_id, None)
    loan.outcomes[event.instruction_id] = f"failed:{event.code}"
    loan.failed_refunds[event.instruction_id] = event.timestamp, loan.refund_attempts[event.instruction_id]


def closed(loan: LoanState, event: e.Closed) -> None:
    loan.stage = "cancelled" if event.kind == "cancelled" else "closed"
    loan.closing = event.kind
    loan.closed_on = date.fromisoformat(event.on)
    loan.excess_paise -= event.refund_paise
    loan.refund_due_paise += event.refund_paise
    loan.opportunities.clear()
    loan.plan = None
    loan.accrued_booked = loan.provision_paise = 0
    if event.refund_paise:
        loan.changed(event, "refund", {"paise": event.refund_paise})
    if back := event.fees_returned_paise + event.interest_returned_paise:
        loan.received_paise += back  # given back: owed as if it had come in
        loan.refund_due_paise += back


def reopened(loan: LoanState, event: e.Reopened) -> None:
    loan.stage = "active"
    loan.closed_on = None
    loan.closing = ""


def debit_pending(loan: LoanState, event: e.DebitPending) -> None:
    loan.in_flight[event.instruction_id].pending = event.code


EVOLVE: dict[type[LoanEvent], Callable[[LoanState, Any], None]] = {
    e.LoanBooked: booked,
    e.PayoutInstructed: payout_instructed,
    e.PayoutPending: payout_pending,
    e.PayoutFailed: payout_failed,
    e.Disbursed: disbursed,
    e.EmiScheduled: scheduled,
    e.MandateRegistered: mandate_registered,
    e.MandateChanged: mandate_changed,
    e.MandatePreferred: mandate_preferred,
    e.MandateRequested: mandate_requested,
    e.MandateExpiring: mandate_expiring,
    e.PaymentLinkOffered: link_offered,
    e.PaymentLinkWithdrawn: link_withdrawn,
    e.DebitsStopped: debits_stopped,
    e.DebitsResumed: debits_resumed,
    e.BorrowerChanged: borrower_changed,
    e.DebitNotified: notified,
    e.InstalmentAnnounced: announced,
    e.BounceForeseen: foreseen,
    e.InstalmentDue: instalment_due,
    e.ExcessApplied: excess_applied,
    e.DebitAttempted: attempted,
    e.DebitSucceeded: debit_succeeded,
    e.DebitFailed: debit_failed,
    e.DebitPending: debit_pending,
    e.RetryScheduled: retry_scheduled,
    e.CollectionExhausted: exhausted,
    e.DebitOutcomeOverdue: outcome_overdue,
    e.PaymentReceived: payment_received,
    e.ReceiptReversed: receipt_reversed,
    e.ChargeLevied: charge_levied,
    e.ChargeWaived: charge_waived,
    e.ChangeAgreed: change_agreed,
    e.AgreedChangeCame: agreed_change_came,
    e.Restructured: restructured,
    e.PrincipalPrepaid: prepaid,
    e.CollectionPaused: paused,
    e.ContactHeld: contact_held,
    e.DelinquencyChanged: delinquency,
    e.CaseOpened: case,
    e.PreclosureQuoted: quoted,
    e.WrittenOff: written_off,
    e.RefundInstructed: refund_instructed,
    e.RefundSettled: refund_settled,
    e.RefundFailed: refund_failed,
    e.Closed: closed,
    e.Reopened: reopened,
    e.ReliefGranted: relief,
    e.RateReset: rate_reset,
    e.Recast: recast,
    e.DebitWithdrawn: withdrawn,
    e.MandateCancelInstructed: mandate_cancel_instructed,
    e.BorrowerStandingChanged: borrower_standing,
    e.PerformanceRestored: performance_restored,
    e.MonthClosed: month_closed,
    e.StatementDue: statement_due,
    e.CaseClosed: case_closed,
    e.CaseAssigned: case_assigned,
    e.CaseNoted: case_noted,
    e.CaseEscalated: case_escalated,
    e.CollectionPlanned: collection_planned,
    e.CollectionStepTaken: collection_step_taken,
    e.PromiseMade: promise_made,
    e.PromiseKept: promise_kept,
    e.PromiseBroken: promise_broken,
    e.GrievanceRaised: grievance_raised,
    e.GrievanceEscalated: grievance_escalated,
    e.CompensationOwed: compensation_owed,
    e.PapersReleased: papers_released,
    e.BorrowerErased: erased,
    e.SettlementAgreed: settlement_agreed,
    e.SettlementLapsed: settlement_lapsed,
    e.Settled: settled,
    e.DisbursalCancelled: disbursal_cancelled,
    e.CancellationShort: cancellation_short,
    e.CancellationLapsed: cancellation_lapsed,
    e.RefundOwed: refund_owed,
}
"""Event -> how it changes the loan; a test proves that the whole catalogue is here."""
