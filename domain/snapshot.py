"""A loan's state as bytes, so that a loan's age does not matter. A cache: another schema number is rebuilt."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import orjson

from domain.loan import Loan
from domain.parts import Answered, Change, Due, InFlight, Levied, Opportunity, Receipt, Row, Tranche, as_day

SCHEMA = 20
"""Raise it whenever a field of `Loan` is added, renamed or means something else; a test compares the fields."""

PLAIN = (
    "stage", "borrower_id", "product", "product_version", "terms", "booked_terms", "request_hash", "segment",
    "salary_day", "language", "payout", "mandates", "deductions", "payouts", "due_rows", "schedule_version",
    "schedule_reason", "instalment_paise", "apr_percent", "ranks", "principal_paise", "disbursed_paise",
    "accrual_carried", "accrual_exact", "received_paise", "settled_paise", "excess_paise", "refund_due_paise",
    "refunds", "written_off_paise", "outcomes", "classification", "bucket", "threshold", "charges", "cases", "quote",
    "closing", "refund_attempts", "waterfall_by", "usual_order", "npa_order", "shown_charges", "base_terms",
    "first_number", "agreed_changes", "npa_because", "erased", "held_paise", "capitalised_paise", "prepaid_paise",
    "borrower_npa", "restructured_paise", "settlement", "cancelling", "accrued_booked", "provision_paise",
    "open_cases", "grievances", "compensated", "rail_attempts", "mandate_request", "mandate_requests", "debits_stopped",
    "links", "payout_rails", "payout_gateways", "pending_payouts", "promise", "promises", "broken_promises", "plan",
    "case_files", "announced", "foreseen", "contact_holds", "command_ids", "unearned_paise",
)  # fmt: skip
DAYS = (
    "disbursed_on", "accrual_from", "paused_until", "oldest_due_on", "closed_on", "sanctioned_on",
    "penal_upto", "npa_since", "restructured_on", "performance_from", "month_closed_on", "statement_on",
    "papers_released_on",
)  # fmt: skip
SETS = ("bounced",)
BY_NUMBER = ("attempts", "notified", "notified_rail", "links_offered")


def dump(loan: Loan) -> bytes:
    """Everything that the loan's events made of it."""
    state: dict[str, Any] = {name: getattr(loan, name) for name in PLAIN}
    state.update({name: getattr(loan, name) for name in DAYS})
    state.update({name: sorted(getattr(loan, name)) for name in SETS})
    state.update({name: list(getattr(loan, name).items()) for name in BY_NUMBER})
    state["version"] = loan.version
    state["known_at"] = loan.known_at
    state["active_since"] = loan.active_since
    state["rows"] = [
        (r.number, r.due_on, r.days, r.opening, r.principal, r.interest, r.fee, r.total, r.closing) for r in loan.rows
    ]
    state["dues"] = [(d.kind, d.of, d.due_on, d.rank, d.amount, d.paid) for d in loan.dues]
    state["tranches"] = [(t.on, t.amount, t.status, t.tries) for t in loan.tranches]
    state["receipts"] = [
        (key, r.reference, r.source, r.amount, r.value_on, r.arrived, r.intent, r.choice, r.directed, r.sent_back,
         r.reversed)
        for key, r in loan.receipts.items()
    ]  # fmt: skip
    state["levied"] = [
        (key, v.kind, v.amount, v.gst, v.due_on, v.number, v.through, v.by_person, v.waived, v.falls_away)
        for key, v in loan.levied.items()
    ]
    state["changes"] = [(each.on, each.arrived, each.kind, each.asked) for each in loan.changes]
    state["answered_debits"] = [tuple(answer) for answer in loan.answered_debits]
    state["principal_repaid"] = loan.principal_repaid
    state["advanced"] = list(loan.advanced.items())
    state["notified_at"] = list(loan.notified_at.items())
    state["failed_refunds"] = [(key, at, attempt) for key, (at, attempt) in loan.failed_refunds.items()]
    state["in_flight"] = [
        (key, f.number, f.attempt, f.amount, f.at, f.overdue, f.pending, f.withdrawn, f.mandate_id)
        for key, f in loan.in_flight.items()
    ]
    state["awaited_payouts"] = list(loan.awaited_payouts.items())
    state["opportunities"] = [(number, o.attempt, o.at) for number, o in loan.opportunities.items()]
    return orjson.dumps(state)


def load(loan_id: str, state_bytes: bytes) -> Loan:
    """The loan as it was when it was dumped."""
    state: dict[str, Any] = orjson.loads(state_bytes)
    loan = Loan.shell(loan_id)
    for name in PLAIN:
        setattr(loan, name, state[name])
    for name in DAYS:
        setattr(loan, name, date.fromisoformat(state[name]) if state[name] else None)
    for name in SETS:
        setattr(loan, name, set(state[name]))
    for name in BY_NUMBER:
        setattr(loan, name, dict(state[name]))
    loan.rows = [Row(row[0], date.fromisoformat(row[1]), *row[2:]) for row in state["rows"]]
    loan.dues = [Due(due[0], due[1], date.fromisoformat(due[2]), *due[3:]) for due in state["dues"]]
    loan.due_by_key = {due.key: due for due in loan.dues}
    loan.tranches = [Tranche(date.fromisoformat(t[0]), *t[1:]) for t in state["tranches"]]
    loan.receipts = {r[0]: Receipt(r[1], r[2], r[3], date.fromisoformat(r[4]), *r[5:]) for r in state["receipts"]}
    loan.in_flight = {
        f[0]: InFlight(f[1], f[2], f[3], datetime.fromisoformat(f[4]), *f[5:]) for f in state["in_flight"]
    }
    loan.levied = {
        v[0]: Levied(v[1], v[2], v[3], date.fromisoformat(v[4]), v[5], as_day(v[6] or ""), *v[7:])
        for v in state["levied"]
    }
    loan.changes = [Change(date.fromisoformat(each[0]), *each[1:]) for each in state["changes"]]
    loan.principal_repaid = [(date.fromisoformat(day), paise) for day, paise in state["principal_repaid"]]
    loan.notified_at = {number: datetime.fromisoformat(at) for number, at in state["notified_at"]}
    loan.answered_debits = [Answered(datetime.fromisoformat(at), *rest) for at, *rest in state["answered_debits"]]
    loan.advanced = {number: date.fromisoformat(day) for number, day in state["advanced"]}
    loan.failed_refunds = {key: (datetime.fromisoformat(at), attempt) for key, at, attempt in state["failed_refunds"]}
    loan.awaited_payouts = {key: datetime.fromisoformat(at) for key, at in state["awaited_payouts"]}
    loan.opportunities = {
        number: Opportunity(attempt, datetime.fromisoformat(at) if at else None)
        for number, attempt, at in state["opportunities"]
    }
    loan.active_since = datetime.fromisoformat(state["active_since"]) if state["active_since"] else None
    loan.resume(state["version"], datetime.fromisoformat(state["known_at"]))
    return loan
