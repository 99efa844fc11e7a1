"""What the notifier hears: notices to send, borrowers to forget, and what became of notices as providers say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar

import orjson
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from domain.policies.contact import Channel
from domain.refusals import Refusal, Refused
from streams.bodies import validated
from streams.envelope import Record
from streams.outbound import NOTICE, NOTICES_ERASED
from streams.topics import NOTICE_OUTCOMES, NOTIFICATIONS
from streams.wire import Instant, LoanId, Reference

HEARD = (NOTIFICATIONS, NOTICE_OUTCOMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that a borrower is to be told, as an event asked for it."""

    notice_id: str
    """Where its event stands in the log, and the kind: the same whenever and however often it is told."""
    partition: int
    loan_id: str
    kind: str
    facts: Mapping[str, Any]
    occurred_at: datetime
    not_before: datetime | None


@dataclass(frozen=True, slots=True)
class Forget:
    """A borrower was erased: nothing more is sent, and what notices said goes."""

    borrower_id: str


class NoticeOutcome(BaseModel):
    """What every word of a provider has."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    TYPE: ClassVar[str]
    STATE: ClassVar[str]

    loan_id: LoanId
    notice_id: Reference
    """As in the call that handed the notice over."""
    at: Instant
    channel: Channel | None = None
    provider_reference: Annotated[str, Field(max_length=200)] = ""


class NoticeDelivered(NoticeOutcome):
    """It is on the borrower's device, or in their mailbox."""

    TYPE = "gateway.notice.delivered.v1"
    STATE = "delivered"


class NoticeRead(NoticeOutcome):
    """The borrower opened it, or heard it to its end."""

    TYPE = "gateway.notice.read.v1"
    STATE = "read"


class NoticeFailed(NoticeOutcome):
    """It will not arrive by this channel: the next one is tried."""

    TYPE = "gateway.notice.failed.v1"
    STATE = "failed"

    code: Annotated[str, Field(max_length=40)] = ""
    message: Annotated[str, Field(max_length=500, validation_alias=AliasChoices("message", "reason"))] = ""


OUTCOMES: dict[str, type[NoticeOutcome]] = {model.TYPE: model for model in (NoticeDelivered, NoticeRead, NoticeFailed)}

Heard = Notice | Forget | NoticeOutcome


def understand(record: Record) -> Heard:
    """What a record says; `Refused`, with the field at fault, when it says nothing that we know."""
    kind = record.header("ce_type")
    if record.topic == NOTICE_OUTCOMES.name:
        return outcome_of(kind, record)
    if kind not in (NOTICE, NOTICES_ERASED):
        raise Refused(Refusal.unknown_type, "/headers/ce_type", topic=record.topic, type=kind[:100])
    try:
        body = orjson.loads(record.value or b"")
        if kind == NOTICES_ERASED:
            return Forget(body["borrower_id"])
        partition, _, position = record.header("qist_position").partition(":")
        loan_id, template, not_before = body.pop("loan_id"), body.pop("template"), body.pop("not_before", None)
        return Notice(
            notice_id=f"{partition}:{position}:{template}",
            partition=int(partition),
            loan_id=loan_id,
            kind=template,
            facts=body,
            occurred_at=datetime.fromisoformat(record.header("ce_time")),
            not_before=datetime.fromisoformat(not_before) if not_before else None,
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # nobody but us writes here
        raise Refused(Refusal.malformed, because=f"no notice of ours: {error!r}"[:200]) from None


def outcome_of(kind: str, record: Record) -> NoticeOutcome:
    if not kind:
        raise Refused(Refusal.missing_type, "/headers/ce_type")
    model = OUTCOMES.get(kind)
    if model is None:
        raise Refused(Refusal.unknown_type, "/headers/ce_type", topic=record.topic, type=kind[:100])
    return validated(model, record)
