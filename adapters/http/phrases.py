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


PHRASES: dict[str, Callable[[Fields], str]] = {
    e.LoanBooked.TOPIC: lambda f: f"Booked: {f['product']}, {rupees(f['financed_paise'])}",
    e.PayoutInstructed.TOPIC: lambda f: f"Payout of {rupees(f['amount_paise'])} instructed",
    e.PayoutFailed.TOPIC: lambda f: f"Payout {'returned' if f['returned'] else 'failed'}: {f['code'] or 'no code'}",
    e.Disbursed.TOPIC: lambda f: f"{rupees(f['net_paise'])} reached the borrower",
    e.EmiScheduled.TOPIC: lambda f: (
        f"Schedule {f['schedule_version']}: {len(f['rows'])} instalments of {rupees(f['instalment_paise'])}"
    ),
    e.MandateRegistered.TOPIC: lambda f: f"Mandate registered: {f['mandate'].get('rail', '')}",
    e.MandateChanged.TOPIC: lambda f: f"Mandate {f['status']}",
    e.BorrowerChanged.TOPIC: lambda f: "Borrower's particulars changed",
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
    e.PaymentReceived.TOPIC: lambda f: f"{rupees(f['amount_paise'])} paid by {f['method']}",
    e.ReceiptReversed.TOPIC: lambda f: f"{rupees(f['amount_paise'])} taken back ({f['source']})",
    e.ChargeLevied.TOPIC: lambda f: f"Charge: {f['kind']}, {rupees(f['amount_paise'] + f['gst_paise'])}",
    e.ChargeWaived.TOPIC: lambda f: f"{rupees(f['paise'])} of charges waived",
    e.Restructured.TOPIC: lambda f: f"Restructured from {f['effective_on']}",
    e.PrincipalPrepaid.TOPIC: lambda f: f"{rupees(f['amount_paise'])} prepaid",
    e.CollectionPaused.TOPIC: lambda f: f"Collection paused until {f['until']}",
    e.DelinquencyChanged.TOPIC: lambda f: (
        f"{f['classification']}: {_days(f['dpd'])} past due" if f["oldest_due_on"] else "Nothing is overdue any more"
    ),
    e.CaseOpened.TOPIC: lambda f: f"Case opened: {f['kind']}",
    e.PreclosureQuoted.TOPIC: lambda f: f"Pre-closure quoted: {rupees(f['total_paise'])}",
    e.WrittenOff.TOPIC: lambda f: f"Written off: {rupees(f['principal_paise'])} of principal",
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
    e.PayoutFailed.TOPIC: "bad",
    e.ReceiptReversed.TOPIC: "bad",
    e.WrittenOff.TOPIC: "bad",
    e.RefundFailed.TOPIC: "bad",
    e.CollectionExhausted.TOPIC: "bad",
    e.DelinquencyChanged.TOPIC: "note",
    e.CaseOpened.TOPIC: "note",
    e.DebitOutcomeOverdue.TOPIC: "note",
}
"""How it feels: good, bad or worth a note; anything else is plain. Told by a mark, too, and not by colour alone."""


def phrase(topic: str, fields: Fields) -> str:
    """The sentence of an event; a kind that is newer than this list is called by its name."""
    say = PHRASES.get(topic)
    return say(fields) if say else topic.removeprefix("loan.").rsplit(".", 1)[0].replace("-", " ")
