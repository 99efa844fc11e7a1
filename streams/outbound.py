"""What the world is told of an event: the event itself, and the instructions, notices and cases that follow from it.

Pure and deterministic, from the event alone: publishing twice gives the same records, with the same ids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from domain import events as e
from streams.envelope import headers_for
from streams.ports import EventRow
from streams.topics import (
    BORROWER_LOANS,
    CASES,
    DEBIT_INSTRUCTIONS,
    LOAN_EVENTS,
    NOTIFICATIONS,
    PAYOUT_INSTRUCTIONS,
    Topic,
)

SOURCE = "qist/engine"


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


def fields(*names: str, **renamed: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """A body of these fields of the event, some under another name."""
    return lambda event: {
        **{name: event[name] for name in names},
        **{name: event[source] for name, source in renamed.items()},
    }


def notice(template: str, *names: str) -> Consequence:
    """A notice to the borrower; who and where is looked up by whoever sends it, never kept here."""
    body = fields(*names)
    return Consequence(NOTIFICATIONS, "servicing.notice.v1", lambda event: {"template": template, **body(event)})


CONSEQUENCES: dict[str, tuple[Consequence, ...]] = {
    e.LoanBooked.TOPIC: (
        Consequence(BORROWER_LOANS, "servicing.borrower-loan.v1", fields("borrower_id", "product"), key="borrower_id"),
    ),
    e.PayoutInstructed.TOPIC: (
        Consequence(
            PAYOUT_INSTRUCTIONS,
            "servicing.payout-instruction.v1",
            fields("instruction_id", "amount_paise", "rail", "ifsc", "account_token", instructed_at="timestamp"),
            token="account_token",
        ),
    ),
    e.RefundInstructed.TOPIC: (
        Consequence(
            PAYOUT_INSTRUCTIONS,
            "servicing.refund-instruction.v1",
            fields("instruction_id", "amount_paise", "reason", "account_token", instructed_at="timestamp"),
            token="account_token",
        ),
    ),
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
    e.Disbursed.TOPIC: (notice("disbursed", "net_paise", "value_on"),),
    e.DebitNotified.TOPIC: (notice("debit-ahead", "number", "amount_paise", "debit_at", "rail"),),
    e.DebitSucceeded.TOPIC: (notice("debit-succeeded", "number", "amount_paise", "value_on"),),
    e.DebitFailed.TOPIC: (notice("debit-failed", "number", "amount_paise", "failure_class", "action", "meaning"),),
    e.PaymentReceived.TOPIC: (notice("payment-received", "reference", "amount_paise", "value_on"),),
    e.ReceiptReversed.TOPIC: (notice("receipt-reversed", "reference", "amount_paise", "value_on"),),
    e.ChargeLevied.TOPIC: (notice("charge-levied", "kind", "amount_paise", "gst_paise", "reason"),),
    e.Restructured.TOPIC: (notice("restructured", "effective_on", "changes"),),
    e.PreclosureQuoted.TOPIC: (notice("preclosure-quoted", "quote_id", "total_paise", "valid_until", "parts"),),
    e.Closed.TOPIC: (notice("closed", "on", "kind", "refund_paise"),),
    e.CaseOpened.TOPIC: (
        Consequence(CASES, "servicing.case.v1", fields("case_id", "kind", "reason", instalment="number")),
    ),
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
            body = {"loan_id": loan_id, **consequence.body(event)}
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


def with_secret(record: Told, content: Mapping[str, Any] | None) -> bytes:
    """The body with what the vault holds; an erased borrower leaves it out."""
    if content is None:
        return record.value
    return orjson.dumps({**orjson.loads(record.value), record.token_field: dict(content)})
