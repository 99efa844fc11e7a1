"""What the world is told of an event: the event itself, and the instructions, notices and cases that follow from it.

Pure and deterministic, from the event alone: publishing twice gives the same records, with the same ids. Only how a
loan stands (`told_standing`) is told as the log has it now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from domain import events as e
from domain.law.contact import next_contact_moment
from streams.envelope import headers_for
from streams.loan_standings import LoanStanding, standing
from streams.ports import EventRow, Stood
from streams.topics import (
    BORROWER_LOANS,
    CASES,
    DEBIT_INSTRUCTIONS,
    LOAN_EVENTS,
    LOAN_STANDINGS,
    MANDATE_INSTRUCTIONS,
    NOTIFICATIONS,
    PAYMENT_LINKS,
    PAYOUT_INSTRUCTIONS,
    Topic,
)

SOURCE = "qist/engine"
NOTICE = "servicing.notice.v1"
NOTICES_ERASED = "servicing.notices-erased.v1"


@dataclass(frozen=True, slots=True)
class Told:
    """One record to send. `token` names a vault entry whose content joins the body when it is sent."""

    topic: str
    key: str
    headers: list[tuple[str, bytes]]
    value: bytes
    same_partition: bool
    token: str = ""
    token_field: str = ""


@dataclass(frozen=True, slots=True)
class Consequence:
    """A record that follows from a kind of event."""

    topic: Topic
    type: str
    body: Callable[[Mapping[str, Any]], dict[str, Any]]
    key: str = "loan_id"
    token: str = ""
    """The event's field that names the vault entry to resolve."""
    when: Callable[[Mapping[str, Any]], bool] = lambda event: True
    """Whether this one event has it."""
    keeps_hours: bool = False
    """A contact for recovery: `not_before` says when it may be made at the earliest (servicing rule 30)."""


def fields(*names: str, **renamed: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """A body of these fields of the event, some under another name."""
    return lambda event: {
        **{name: event[name] for name in names},
        **{name: event[source] for name, source in renamed.items()},
    }


def constant(**said: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """A body that says the same of every event."""
    return lambda event: dict(said)


def both(
    *bodies: Callable[[Mapping[str, Any]], dict[str, Any]],
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    return lambda event: {name: value for body in bodies for name, value in body(event).items()}


def its_gateway(event: Mapping[str, Any]) -> dict[str, Any]:
    """Empty where the lender has named none: the gateway that takes such ones carries it."""
    return {"gateway": event.get("gateway", "")}  # older events have none


def notice(
    template: str,
    *names: str,
    when: Callable[[Mapping[str, Any]], bool] = lambda event: True,
    keeps_hours: bool = False,
) -> Consequence:
    """A notice to the borrower; who and where is looked up by whoever sends it, never kept here."""
    body = both(constant(template=template), fields(*names))
    return Consequence(NOTIFICATIONS, NOTICE, body, when=when, keeps_hours=keeps_hours)


def case(status: str, *names: str, kind: str = "", **renamed: str) -> Consequence:
    """Work for a person, or what became of it; `status` is open, escalated or closed."""
    said = {"status": status, **({"kind": kind} if kind else {})}
    return Consequence(CASES, "servicing.case.v1", both(constant(**said), fields(*names, **renamed)))


CONSEQUENCES: dict[str, tuple[Consequence, ...]] = {
    e.LoanBooked.TOPIC: (
        Consequence(BORROWER_LOANS, "servicing.borrower-loan.v1", fields("borrower_id", "product"), key="borrower_id"),
    ),
    e.PayoutInstructed.TOPIC: (
        Consequence(
            PAYOUT_INSTRUCTIONS,
            "servicing.payout-instruction.v1",
            both(
                fields("instruction_id", "amount_paise", "rail", "ifsc", "account_token", instructed_at="timestamp"),
                its_gateway,
            ),
            token="account_token",
        ),
    ),
    e.Disbursed.TOPIC: (notice("disbursed", "net_paise", "value_on"),),
    e.BounceForeseen.TOPIC: (
        notice("bounce-risk", "number", "amount_paise", "due_on", when=lambda event: event["nudged"]),
    ),
    e.InstalmentAnnounced.TOPIC: (notice("upcoming-instalment", "number", "amount_paise", "due_on"),),
    e.DebitNotified.TOPIC: (notice("debit-ahead", "number", "amount_paise", "debit_at", "rail"),),
    e.DebitAttempted.TOPIC: (
        Consequence(
            DEBIT_INSTRUCTIONS,
            "servicing.debit-instruction.v1",
            fields(
                "instruction_id",
                "amount_paise",
                "mandate_id",
                "umrn",
                "rail",
                "gateway",
                "bank",
                "due_on",
                "attempt",
                instalment="number",
                present_at="timestamp",
            ),
        ),
    ),
    e.DebitSucceeded.TOPIC: (notice("debit-succeeded", "number", "amount_paise", "value_on"),),
    e.DebitFailed.TOPIC: (notice("debit-failed", "number", "amount_paise", "failure_class", "action", "meaning"),),
    e.DebitWithdrawn.TOPIC: (
        Consequence(
            DEBIT_INSTRUCTIONS,
            "servicing.debit-withdrawal.v1",
            fields("instruction_id", "reason", "attempt", instalment="number", withdrawn_at="timestamp"),
        ),
    ),
    e.MandateCancelInstructed.TOPIC: (
        Consequence(
            MANDATE_INSTRUCTIONS,
            "servicing.mandate-cancellation.v1",
            both(
                fields("instruction_id", "mandate_id", "umrn", "rail", "reason", instructed_at="timestamp"), its_gateway
            ),
        ),
    ),
    e.MandateRequested.TOPIC: (
        Consequence(
            MANDATE_INSTRUCTIONS,
            "servicing.mandate-request.v1",
            fields(
                "rail",
                "max_amount_paise",
                "valid_until",
                "replaces",
                "reason",
                instruction_id="request_id",
                instructed_at="timestamp",
            ),
        ),
        notice("mandate-needed", "rail", "max_amount_paise", "valid_until", "reason"),
    ),
    e.MandateExpiring.TOPIC: (notice("mandate-expiring", "mandate_id", "valid_until", "days_left", "last_due_on"),),
    e.PaymentLinkOffered.TOPIC: (
        Consequence(
            PAYMENT_LINKS,
            "servicing.payment-link.v1",
            fields(
                "link_id",
                "amount_paise",
                "expires_on",
                "reason",
                instruction_id="link_id",
                instalment="number",
                offered_at="timestamp",
            ),
        ),
        notice(
            "payment-link",
            "link_id",
            "number",
            "amount_paise",
            "expires_on",
            "reason",
            when=lambda event: not event.get("command_id"),  # whoever asked for it has it before them
        ),
    ),
    e.PaymentLinkWithdrawn.TOPIC: (
        Consequence(
            PAYMENT_LINKS,
            "servicing.payment-link-withdrawal.v1",
            fields("link_id", "reason", instruction_id="link_id", instalment="number", withdrawn_at="timestamp"),
        ),
    ),
    e.PaymentReceived.TOPIC: (notice("payment-received", "reference", "amount_paise", "value_on"),),
    e.ReceiptReversed.TOPIC: (notice("receipt-reversed", "reference", "amount_paise", "value_on"),),
    e.ChargeLevied.TOPIC: (notice("charge-levied", "kind", "amount_paise", "gst_paise", "reason"),),
    e.ChargeWaived.TOPIC: (
        notice("charge-returned", "charge_id", "paise", "reason", when=lambda event: bool(event.get("lines"))),
    ),
    e.ChangeAgreed.TOPIC: (
        notice("change-agreed", "kind", "effective_on", "instalment_paise", "instalments", "reason", "offered"),
    ),
    e.Restructured.TOPIC: (notice("restructured", "effective_on", "changes"),),
    e.ReliefGranted.TOPIC: (notice("relief-granted", "effective_on", "kind", "instalments", "interest", "reason"),),
    e.RateReset.TOPIC: (
        notice(
            "rate-reset",
            "effective_on",
            "previous_rate_percent",
            "annual_rate_percent",
            "rate_type",
            "option",
            "offered",
        ),
    ),
    e.Recast.TOPIC: (notice("schedule-corrected", "reason", "value_on", "instalment_paise"),),
    e.DelinquencyChanged.TOPIC: (
        notice(
            "overdue",
            "on",
            "dpd",
            "overdue_paise",
            "oldest_due_on",
            when=lambda event: event["dpd"] > 0 and event["classification"] != "NPA",
            keeps_hours=True,
        ),
        notice(
            "classified-npa",
            "on",
            "dpd",
            "overdue_paise",
            "oldest_due_on",
            "because",
            when=lambda event: event["classification"] == "NPA",
            keeps_hours=True,
        ),
    ),
    e.PerformanceRestored.TOPIC: (notice("performance-restored", "on", "since"),),
    e.StatementDue.TOPIC: (
        notice(
            "floating-rate-statement",
            "on",
            "principal_recovered_paise",
            "interest_recovered_paise",
            "instalment_paise",
            "instalments_left",
            "annual_rate_percent",
            "apr_percent",
        ),
    ),
    e.CollectionStepTaken.TOPIC: (
        Consequence(
            NOTIFICATIONS,
            "servicing.notice.v1",
            both(
                constant(template="payment-reminder"),
                fields("bucket", "segment", "oldest_due_on", amount_paise="overdue_paise"),
            ),
            when=lambda event: event["do"] == "reminder",
            keeps_hours=True,
        ),
    ),
    e.PromiseMade.TOPIC: (notice("promise-reminder", "promise_id", "amount_paise", "by"),),
    e.PromiseBroken.TOPIC: (
        notice("promise-broken", "promise_id", "amount_paise", "received_paise", "by", keeps_hours=True),
    ),
    e.CaseAssigned.TOPIC: (case("assigned", "case_id", "assignee"),),
    e.CaseNoted.TOPIC: (case("noted", "case_id", "disposition"),),
    e.CaseEscalated.TOPIC: (case("escalated", "case_id", "kind", "level", "to", "due_at"),),
    e.CaseOpened.TOPIC: (case("open", "case_id", "kind", "reason", instalment="number"),),
    e.CaseClosed.TOPIC: (case("closed", "case_id", "outcome", "note", "disposition"),),
    e.GrievanceRaised.TOPIC: (
        notice("grievance-acknowledged", "grievance_id", "subject", "answer_by"),
        case("open", "answer_by", kind="grievance", case_id="grievance_id", reason="subject"),
    ),
    e.GrievanceEscalated.TOPIC: (case("escalated", "answer_by", kind="grievance", case_id="grievance_id"),),
    e.CompensationOwed.TOPIC: (notice("compensation-owed", "kind", "reference", "days", "paise", "on"),),
    e.PapersReleased.TOPIC: (notice("papers-released", "on"),),
    e.BorrowerErased.TOPIC: (
        Consequence(BORROWER_LOANS, "servicing.borrower-erased.v1", fields("borrower_id"), key="borrower_id"),
        Consequence(NOTIFICATIONS, NOTICES_ERASED, fields("borrower_id")),
    ),
    e.PreclosureQuoted.TOPIC: (notice("preclosure-quoted", "quote_id", "total_paise", "valid_until", "parts"),),
    e.SettlementAgreed.TOPIC: (notice("settlement-agreed", "amount_paise", "pay_by", "outstanding_paise"),),
    e.SettlementLapsed.TOPIC: (notice("settlement-lapsed", "pay_by", "received_paise"),),
    e.Settled.TOPIC: (notice("settled", "on", "received_paise", "principal_paise", "interest_paise", "charges_paise"),),
    e.DisbursalCancelled.TOPIC: (
        notice(
            "disbursal-cancelled",
            "on",
            "pay_by",
            "principal_paise",
            "interest_paise",
            "fees_returned_paise",
            "interest_returned_paise",
        ),
    ),
    e.CancellationShort.TOPIC: (notice("cancellation-short", "received_paise", "missing_paise", "pay_by"),),
    e.CancellationLapsed.TOPIC: (notice("cancellation-lapsed", "pay_by", "received_paise", "missing_paise"),),
    e.RefundOwed.TOPIC: (notice("refund-owed", "paise", "reason"),),
    e.RefundInstructed.TOPIC: (
        Consequence(
            PAYOUT_INSTRUCTIONS,
            "servicing.refund-instruction.v1",
            both(
                fields("instruction_id", "amount_paise", "reason", "account_token", instructed_at="timestamp"),
                lambda event: {"rail": event.get("rail", ""), **its_gateway(event)},  # older refunds have no rail
            ),
            token="account_token",
        ),
    ),
    e.Closed.TOPIC: (notice("closed", "on", "kind", "refund_paise"),),
}
"""Event -> what else is told because of it."""


def told(row: EventRow) -> list[Told]:
    """The records of one event of the log, the event itself first."""
    partition, position, loan_id, version, topic, state, occurred_at, recorded_at, causation, correlation, actor, _ = (
        row
    )
    at = f"{partition}:{position}"
    trace = (
        ("qist_position", at),
        ("qist_correlation_id", correlation),
        ("qist_causation_id", causation),
        ("qist_actor", actor),
        ("qist_recorded_at", recorded_at.isoformat()),
    )
    # The stored bytes go out as they are, with the two facts that the log keeps in columns put in front.
    value = b'{"loan_id":"%s","version":%d,%s' % (loan_id.encode(), version, state[1:])
    records = [Told(LOAN_EVENTS.name, loan_id, headers_for(topic, at, SOURCE, occurred_at, *trace), value, True)]
    consequences = CONSEQUENCES.get(topic)
    if consequences:
        event: dict[str, Any] = orjson.loads(state)
        for consequence in consequences:
            if not consequence.when(event):
                continue
            body = {"loan_id": loan_id, **consequence.body(event)}
            if consequence.keeps_hours:
                moment = next_contact_moment(datetime.fromisoformat(event["timestamp"])).value
                body["not_before"] = moment.isoformat()
            headers = headers_for(consequence.type, f"{at}:{consequence.topic.name}", SOURCE, occurred_at, *trace)
            by_loan = consequence.key == "loan_id"
            records.append(
                Told(
                    topic=consequence.topic.name,
                    key=loan_id if by_loan else event[consequence.key],
                    headers=headers,
                    value=orjson.dumps(body),
                    same_partition=by_loan,
                    token=event[consequence.token] if consequence.token else "",
                    token_field="account",
                )
            )
    return records


def told_standing(stood: Stood, because_of: EventRow) -> Told:
    """How a loan stands now, told because of an event that moved it."""
    loan = standing(stood.loan_id, stood.borrower_loans, stood.newest)
    at = f"{stood.partition}:{loan.position}"
    headers = headers_for(
        LoanStanding.TYPE,
        f"{at}:{LOAN_STANDINGS.name}",
        SOURCE,
        datetime.fromisoformat(loan.as_of),
        ("qist_position", at),
        ("qist_correlation_id", because_of[9]),
    )
    value = loan.model_dump_json().encode()
    return Told(LOAN_STANDINGS.name, loan.borrower_id, headers, value, same_partition=False)


def with_secret(record: Told, content: Mapping[str, Any] | None) -> bytes:
    """The body with what the vault holds; an erased borrower leaves it out."""
    if content is None:
        return record.value
    return orjson.dumps({**orjson.loads(record.value), record.token_field: dict(content)})
