"""Each kind of event as a short sentence for a person, without personal data: for tickers and timelines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from domain import events as e
from domain.money import format_rupees

Fields = Mapping[str, Any]


def rupees(paise: int) -> str:
    return f"₹{format_rupees(paise)}"


def _days(number: int) -> str:
    return "1 day" if number == 1 else f"{number} days"


def _moment(at: str) -> str:
    instant = datetime.fromisoformat(at)
    return f"{instant.day} {instant:%b %Y, %H:%M}"


def _debit(what: str) -> Callable[[Fields], str]:
    return lambda f: f"{rupees(f['amount_paise'])} {what} instalment {f['number']}, attempt {f['attempt']}"


def _standing(f: Fields) -> str:
    if f["oldest_due_on"]:
        return f"{f['classification']}: {_days(f['dpd'])} past due"
    because = {"borrower": "another loan of the borrower is", "restructured": "it was restructured"}.get(
        f.get("because", "")
    )
    return f"{f['classification']}: {because}" if because else "Nothing is overdue any more"


PHRASES: dict[str, Callable[[Fields], str]] = {
    e.LoanBooked.TOPIC: lambda f: f"Booked: {f['product']}, {rupees(f['financed_paise'])}",
    e.PayoutInstructed.TOPIC: lambda f: f"Payout of {rupees(f['amount_paise'])} instructed",
    e.PayoutPending.TOPIC: lambda f: f"Payout pending: {f['meaning']}",
    e.PayoutFailed.TOPIC: lambda f: f"Payout {'returned' if f['returned'] else 'failed'}: {f['code'] or 'no code'}",
    e.Disbursed.TOPIC: lambda f: f"{rupees(f['net_paise'])} reached the borrower",
    e.EmiScheduled.TOPIC: lambda f: (
        f"Schedule {f['schedule_version']}: {len(f['rows'])} instalments of {rupees(f['instalment_paise'])}"
    ),
    e.MandateRegistered.TOPIC: lambda f: f"Mandate registered: {f['mandate'].get('rail', '')}",
    e.MandateChanged.TOPIC: lambda f: f"Mandate {f['status']}",
    e.MandatePreferred.TOPIC: lambda f: f"Mandate {f['mandate_id']} is used first from now on",
    e.MandateRequested.TOPIC: lambda f: f"A mandate is asked for: {f['reason']}",
    e.MandateExpiring.TOPIC: lambda f: f"Mandate {f['mandate_id']} ends on {f['valid_until']}",
    e.PaymentLinkOffered.TOPIC: lambda f: (
        f"Payment link for instalment {f['number']}: {rupees(f['amount_paise'])}, until {f['expires_on']}"
    ),
    e.PaymentLinkWithdrawn.TOPIC: lambda f: f"Payment link withdrawn: {f['reason']}",
    e.DebitsStopped.TOPIC: lambda f: f"Debits stopped: {f['reason']}",
    e.DebitsResumed.TOPIC: lambda f: f"Debits go on: {f['reason']}",
    e.BorrowerChanged.TOPIC: lambda f: "Borrower's particulars changed",
    e.BounceForeseen.TOPIC: lambda f: (
        f"Looked ahead: a bounce is {f['likelihood_percent']} % likely"
        + (", the borrower is told" if f["nudged"] else "")
    ),
    e.InstalmentAnnounced.TOPIC: lambda f: f"Reminded of {rupees(f['amount_paise'])} due on {f['due_on']}",
    e.DebitNotified.TOPIC: lambda f: f"Told ahead: {rupees(f['amount_paise'])} for instalment {f['number']}",
    e.InstalmentDue.TOPIC: lambda f: (
        f"Instalment {f['number']} fell due: {rupees(f['principal_paise'] + f['interest_paise'] + f['fee_paise'])}"
    ),
    e.ExcessApplied.TOPIC: lambda f: f"{rupees(f['paise'])} of excess applied",
    e.DebitAttempted.TOPIC: _debit("asked for:"),
    e.DebitSucceeded.TOPIC: _debit("debited:"),
    e.DebitFailed.TOPIC: lambda f: f"Debit failed ({f['failure_class']}): {f['meaning']}",
    e.DebitPending.TOPIC: lambda f: f"Debit pending: {f['meaning']}",
    e.RetryScheduled.TOPIC: lambda f: f"Attempt {f['attempt']} planned for {_moment(f['at'])}",
    e.CollectionExhausted.TOPIC: lambda f: f"No more debits for instalment {f['number']}",
    e.DebitOutcomeOverdue.TOPIC: lambda f: f"The gateway has not answered for instalment {f['number']}",
    e.DebitWithdrawn.TOPIC: lambda f: f"Debit of instalment {f['number']}, attempt {f['attempt']}, withdrawn",
    e.MandateCancelInstructed.TOPIC: lambda f: "The bank is asked to cancel the mandate",
    e.PaymentReceived.TOPIC: lambda f: f"{rupees(f['amount_paise'])} paid by {f['method']}",
    e.ReceiptReversed.TOPIC: lambda f: f"{rupees(f['amount_paise'])} taken back ({f['source']})",
    e.ChargeLevied.TOPIC: lambda f: f"Charge: {f['kind']}, {rupees(f['amount_paise'] + f['gst_paise'])}",
    e.ChargeWaived.TOPIC: lambda f: f"{rupees(f['paise'])} of charges waived",
    e.ChangeAgreed.TOPIC: lambda f: f"Agreed for {f['effective_on']}: {f['kind']}",
    e.AgreedChangeCame.TOPIC: lambda f: (
        f"The day of an agreed {f['kind']}"
        + (" came" if not f["not_possible"] else f" came in vain: {f['not_possible']}")
    ),
    e.Restructured.TOPIC: lambda f: f"Restructured from {f['effective_on']}",
    e.ReliefGranted.TOPIC: lambda f: f"Relief ({f['kind']}) for {f['instalments']} instalments",
    e.RateReset.TOPIC: lambda f: f"Rate reset: {f['previous_rate_percent']} % to {f['annual_rate_percent']} %",
    e.Recast.TOPIC: lambda f: f"Recast as of {f['value_on']}: {f['reason']}",
    e.PrincipalPrepaid.TOPIC: lambda f: f"{rupees(f['amount_paise'])} prepaid",
    e.ContactHeld.TOPIC: lambda f: f"No reminders until {f['until_on']}: {f['reason']}",
    e.CollectionPaused.TOPIC: lambda f: f"Collection paused until {f['until']}",
    e.DelinquencyChanged.TOPIC: _standing,
    e.BorrowerStandingChanged.TOPIC: lambda f: (
        f"Another loan of the borrower is NPA: {f['because']}"
        if f["npa"]
        else "No other loan of the borrower is NPA any more"
    ),
    e.PerformanceRestored.TOPIC: lambda f: f"Paid satisfactorily since {f['since']}: may be standard again",
    e.MonthClosed.TOPIC: lambda f: (
        f"Month's end ({f['asset_class']}): {rupees(f['accrued_paise'])} accrued,"
        f" {rupees(f['provision_paise'])} provided"
    ),
    e.StatementDue.TOPIC: lambda f: f"Statement: {f['instalments_left']} instalments left",
    e.CollectionPlanned.TOPIC: lambda f: (
        f"Collections in bucket {f['bucket']}: {f['strategy']} ({f['arm']}), {f['segment']}, {len(f['steps'])} steps"
    ),
    e.CollectionStepTaken.TOPIC: lambda f: f"Collections: {f['do'].replace('-', ' ')}, {rupees(f['overdue_paise'])}",
    e.PromiseMade.TOPIC: lambda f: f"{rupees(f['amount_paise'])} promised by {f['by']}",
    e.PromiseKept.TOPIC: lambda f: f"Promise kept: {rupees(f['received_paise'])} came",
    e.PromiseBroken.TOPIC: lambda f: (
        f"Promise broken: {rupees(f['received_paise'])} of {rupees(f['amount_paise'])} came by {f['by']}"
    ),
    e.CaseAssigned.TOPIC: lambda f: f"Case given to {f['assignee']}",
    e.CaseNoted.TOPIC: lambda f: "Case noted" + (f": {f['disposition']}" if f["disposition"] else ""),
    e.CaseEscalated.TOPIC: lambda f: f"Case not done in time ({f['kind']}): {f['to']} hears of it",
    e.CaseOpened.TOPIC: lambda f: f"Case opened: {f['kind']}",
    e.CaseClosed.TOPIC: lambda f: f"Case closed: {f['outcome']}",
    e.GrievanceRaised.TOPIC: lambda f: f"Complaint, to be answered by {f['answer_by']}",
    e.GrievanceEscalated.TOPIC: lambda f: f"Complaint escalated: no answer by {f['answer_by']}",
    e.CompensationOwed.TOPIC: lambda f: f"{rupees(f['paise'])} owed for {_days(f['days'])} late: {f['kind']}",
    e.PapersReleased.TOPIC: lambda f: "Papers released",
    e.BorrowerErased.TOPIC: lambda f: "The borrower's personal data was destroyed",
    e.PreclosureQuoted.TOPIC: lambda f: f"Pre-closure quoted: {rupees(f['total_paise'])}",
    e.WrittenOff.TOPIC: lambda f: f"Written off: {rupees(f['principal_paise'])} of principal",
    e.SettlementAgreed.TOPIC: lambda f: f"Settlement for {rupees(f['amount_paise'])} agreed, until {f['pay_by']}",
    e.SettlementLapsed.TOPIC: lambda f: f"Settlement lapsed: {rupees(f['received_paise'])} had come",
    e.Settled.TOPIC: lambda f: f"Settled with {rupees(f['received_paise'])}",
    e.DisbursalCancelled.TOPIC: lambda f: f"Cancelled by the borrower, to be repaid by {f['pay_by']}",
    e.CancellationShort.TOPIC: lambda f: f"{rupees(f['missing_paise'])} missing to give the loan back",
    e.CancellationLapsed.TOPIC: lambda f: "Cancellation lapsed: the loan goes on",
    e.RefundOwed.TOPIC: lambda f: f"{rupees(f['paise'])} owed back",
    e.RefundInstructed.TOPIC: lambda f: f"Refund of {rupees(f['amount_paise'])} instructed",
    e.RefundSettled.TOPIC: lambda f: f"Refund of {rupees(f['amount_paise'])} arrived",
    e.RefundFailed.TOPIC: lambda f: f"Refund of {rupees(f['amount_paise'])} failed",
    e.Reopened.TOPIC: lambda f: "Reopened: something is owed again",
    e.Closed.TOPIC: lambda f: f"Closed: {f['kind']}",
}
"""Stored name -> its sentence; a test proves that the whole catalogue is here."""

TONES: dict[str, str] = {
    e.DebitSucceeded.TOPIC: "good",
    e.PaymentReceived.TOPIC: "good",
    e.Disbursed.TOPIC: "good",
    e.Closed.TOPIC: "good",
    e.DebitFailed.TOPIC: "bad",
    e.DebitsStopped.TOPIC: "bad",
    e.MandateRequested.TOPIC: "note",
    e.MandateExpiring.TOPIC: "note",
    e.PayoutFailed.TOPIC: "bad",
    e.ReceiptReversed.TOPIC: "bad",
    e.WrittenOff.TOPIC: "bad",
    e.RefundFailed.TOPIC: "bad",
    e.CollectionExhausted.TOPIC: "bad",
    e.GrievanceEscalated.TOPIC: "bad",
    e.CompensationOwed.TOPIC: "bad",
    e.SettlementLapsed.TOPIC: "bad",
    e.CancellationShort.TOPIC: "note",
    e.CancellationLapsed.TOPIC: "note",
    e.BorrowerStandingChanged.TOPIC: "note",
    e.GrievanceRaised.TOPIC: "note",
    e.Settled.TOPIC: "good",
    e.PerformanceRestored.TOPIC: "good",
    e.DelinquencyChanged.TOPIC: "note",
    e.PromiseMade.TOPIC: "note",
    e.PromiseKept.TOPIC: "good",
    e.PromiseBroken.TOPIC: "bad",
    e.CaseEscalated.TOPIC: "bad",
    e.CaseOpened.TOPIC: "note",
    e.DebitOutcomeOverdue.TOPIC: "note",
}
"""How it feels: good, bad or worth a note; anything else is plain. Told by a mark, too, and not by colour alone."""


def phrase(topic: str, fields: Fields) -> str:
    """The sentence of an event; a kind that is newer than this list is called by its name."""
    say = PHRASES.get(topic)
    return say(fields) if say else topic.removeprefix("loan.").rsplit(".", 1)[0].replace("-", " ")
