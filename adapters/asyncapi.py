"""docs/asyncapi.yaml (AsyncAPI 3): every topic and message, from the models, the topics and the event catalogue."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, get_type_hints

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from adapters.house import load_rules
from adapters.plain_yaml import written
from domain.calendar import IST
from domain.codec import IDENTITY
from domain.events import CATALOGUE, LoanEvent
from domain.refusals import Refusal
from projections.ledger import ACCOUNTS
from projections.registry import ALL
from streams import topics as t
from streams.loan_standings import LoanStanding
from streams.los_updates import UPDATES as LOS_UPDATES
from streams.notices import OUTCOMES
from streams.outbound import CONSEQUENCES, Consequence
from streams.wire import CARRIES

Document = dict[str, Any]

REF = "#/components/schemas/{model}"

DESCRIPTIONS: dict[str, str] = {
    t.DISBURSALS.name: "Approved loans that Qist shall service.",
    t.UPDATES.name: "What changed about a borrower; fans out to each of the borrower's loans.",
    t.PAYOUT_OUTCOMES.name: "What became of payouts and refunds.",
    t.DEBIT_OUTCOMES.name: "What became of debits.",
    t.MANDATE_OUTCOMES.name: "What became of mandates.",
    t.PAYMENTS.name: "Money that came in by other ways than our debits.",
    t.COMMANDS.name: "What people and systems ask of a loan.",
    t.LOAN_EVENTS.name: "Every event of every loan, in order per loan.",
    t.PAYOUT_INSTRUCTIONS.name: "Money to send; `instruction_id` is deterministic, so doing it twice can be refused.",
    t.DEBIT_INSTRUCTIONS.name: "Money to debit; an instruction's id is loan:instalment:attempt.",
    t.MANDATE_INSTRUCTIONS.name: "Mandates to ask the borrower for, and mandates to cancel.",
    t.PAYMENT_LINKS.name: "Links to make, by which an instalment is paid that no debit can bring, or to take back.",
    t.NOTICE_OUTCOMES.name: "What became of notices, as providers say; the notifier keeps it.",
    t.NOTIFICATIONS.name: "Notices to send. Who and where is looked up by whoever sends them.",
    t.CASES.name: "Work for people.",
    t.DEAD_LETTERS.name: "Records that could not be applied, byte for byte; the headers `qist_*` say why.",
    t.BORROWER_LOANS.name: "Which loans a borrower has, and that a borrower's personal data is to be forgotten.",
    t.LOAN_STANDINGS.name: "How each loan of a borrower stands, as of now; from it follows the class of the others.",
    t.GATEWAY_HEALTH.name: "Which gateways are down on which rail, since when, and why.",
    t.PROJECTION_LEDGER.name: "The journal, entry by entry.",
    t.PROJECTION_DELINQUENCY.name: "Each loan's standing.",
    t.PROJECTION_DASHBOARD.name: "Counts and sums by day.",
    t.PAYMENT_INSIGHTS.name: "How debits go of late, by bank, rail and gateway.",
}


def page() -> str:
    """The page, as text."""
    return written(document(), "Made by `make docs` from streams/, projections/ and domain/events.py; do not edit.")


def document() -> Document:
    """The whole description."""
    messages = {topic.name: list(messages_of(topic.name)) for topic in t.TOPICS}
    inbound = {topic.name for topic in (*t.INBOUND, t.UPDATES, t.NOTICE_OUTCOMES)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Qist",
            "version": "1",
            "description": (
                "CloudEvents 1.0 in binary mode: the attributes are headers, the value is the JSON body. Money is"
                " integer paise in fields that end in `_paise`; days are YYYY-MM-DD in Asia/Kolkata, instants RFC 3339."
                " Topics that are keyed by loan have the same partition count, and a loan lives where Kafka's default"
                " partitioner (murmur2) puts its id. Unknown fields are ignored."
            ),
        },
        "defaultContentType": "application/json",
        "channels": {
            topic.name: channel(topic, [message["name"] for message in messages[topic.name]]) for topic in t.TOPICS
        },
        "operations": {
            operation_name(topic.name, topic.name in inbound): {
                "action": "receive" if topic.name in inbound else "send",
                "channel": {"$ref": f"#/channels/{topic.name}"},
                "summary": DESCRIPTIONS[topic.name],
            }
            for topic in t.TOPICS
        },
        "components": {
            "messages": {message["name"]: message for topic in t.TOPICS for message in messages[topic.name]},
            "messageTraits": {"cloudEvent": {"headers": HEADERS}},
            "schemas": dict(sorted(schemas().items())),
        },
    }


HEADERS: Document = {
    "type": "object",
    "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type"],
    "properties": {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": {"type": "string", "description": "Sent again with the same id, a record changes nothing."},
        "ce_source": {"type": "string"},
        "ce_type": {"type": "string", "description": "The message's name."},
        "ce_time": {"type": "string", "format": "date-time"},
        "content-type": {"type": "string", "const": "application/json"},
        "qist_position": {"type": "string", "description": "Of what Qist sends: `partition:position` in the log."},
        "qist_correlation_id": {"type": "string"},
    },
}


def channel(topic: t.Topic, names: Iterable[str]) -> Document:
    """A topic, and what it carries."""
    kafka: Document = {"topic": topic.name}
    if topic.compacted:
        kafka["topicConfiguration"] = {"cleanup.policy": ["compact"]}
    return {
        "address": topic.name,
        "description": f"{DESCRIPTIONS[topic.name]} Key: {topic.key}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"kafka": kafka},
    }


def operation_name(topic: str, inbound: bool) -> str:
    return f"{'take' if inbound else 'tell'}-{topic.replace('.', '-')}"


# --- Messages ------------------------------------------------------------------------------------------------


def messages_of(topic: str) -> Iterable[Document]:
    """The messages of a topic, each once."""
    for model in carried(topic):
        yield message(model.TYPE, model.__doc__, REF.format(model=model.__name__))
    if topic == t.LOAN_EVENTS.name:
        for name, event in CATALOGUE.items():
            yield message(name, inspect.getdoc(event), REF.format(model=name))
    for kind, causes in consequences(topic).items():
        says = f"Follows from {', '.join(event for event, _ in causes)}."
        yield message(kind, says, REF.format(model=kind))
    for kind in rows_told(topic):
        yield message(kind, "A row of a read model, as it stands.", REF.format(model=kind))
    if topic == t.DEAD_LETTERS.name:
        yield message("dead-letter", "The original record, with its own headers and these.", None) | {
            "headers": REASONS
        }


REASONS: Document = {
    "type": "object",
    "required": ["qist_reason", "qist_field", "qist_topic", "qist_partition", "qist_offset"],
    "properties": {
        "qist_reason": {"type": "string", "enum": [*(refusal.value for refusal in Refusal), "defect"]},
        "qist_detail": {"type": "string"},
        "qist_field": {"type": "string", "description": "JSON pointer to what is at fault; empty for the whole."},
        "qist_topic": {"type": "string"},
        "qist_partition": {"type": "string"},
        "qist_offset": {"type": "string"},
    },
}


def message(name: str, says: str | None, payload: str | None) -> Document:
    told: Document = {"name": name}
    if says:
        told["summary"] = says.split("\n")[0]
    if payload is not None:
        told["traits"] = [{"$ref": "#/components/messageTraits/cloudEvent"}]
        told["payload"] = {"$ref": payload}
    return told


def carried(topic: str) -> list[type[Any]]:
    """The models of a topic whose messages have models of their own."""
    if topic == t.LOAN_STANDINGS.name:
        return [LoanStanding]
    if topic == t.GATEWAY_HEALTH.name:
        from streams.gateway_health import GatewayStands  # brings Faust along, which nobody else here needs

        return [GatewayStands]
    if topic == t.NOTICE_OUTCOMES.name:
        return list(OUTCOMES.values())
    return list(LOS_UPDATES.values()) if topic == t.UPDATES.name else list(CARRIES.get(topic, ()))


def consequences(topic: str) -> dict[str, list[tuple[str, Consequence]]]:
    """Kinds of records that follow from events, and from which."""
    found: dict[str, list[tuple[str, Consequence]]] = {}
    for event, followers in CONSEQUENCES.items():
        for one in followers:
            if one.topic.name == topic:
                found.setdefault(one.type, []).append((event, one))
    return found


def rows_told(topic: str) -> dict[str, Document]:
    """The kinds of rows that a projection's topic carries, each with its schema."""
    if topic == t.PAYMENT_INSIGHTS.name:
        from streams import insights  # brings Faust along, which nobody else here needs

        return {insights.TYPE: schema_of_value(insight(insights))}
    samples = [
        projection(load_rules()).tell(table, tuple(SAMPLES[kind] for _, kind in table.columns))
        for projection in ALL
        for table in projection.told
    ]
    return {sample.type: schema_of_value(sample.value) for sample in samples if sample.topic == topic}


def insight(insights: Any) -> dict[str, Any]:
    """A window of one outcome."""
    days, at = insights.Days(), datetime(2026, 1, 1, tzinfo=IST).isoformat()
    count = insights.Count("", "", "", at[:10], 0, "succeeded", 1, 1, at)
    days.add("", count, 1)
    return {"bank": "", "rail": "", "gateway": "", **days.window(insights.WINDOWS[0])}


# --- Schemas -------------------------------------------------------------------------------------------------


def schemas() -> dict[str, Document]:
    """Inbound models by pydantic, events from their fields, what follows from events by their own functions."""
    models: list[type[BaseModel]] = [model for topic in t.TOPICS for model in carried(topic.name)]
    _, inbound = models_json_schema([(model, "validation") for model in models], ref_template=REF)
    found: dict[str, Document] = dict(inbound["$defs"])
    found.update({name: schema_of_event(event) for name, event in CATALOGUE.items()})
    for topic in t.TOPICS:
        for kind, causes in consequences(topic.name).items():
            variants = [schema_of_consequence(found[event], one) for event, one in causes]
            found[kind] = variants[0] if len(variants) == 1 else {"oneOf": variants}
        found.update(rows_told(topic.name))
    return found


def schema_of_event(event: type[LoanEvent]) -> Document:
    """`loan_id` and `version` stand in front of an event's own fields."""
    hints = get_type_hints(event)
    own = [one for one in dataclasses.fields(event) if one.name not in IDENTITY]
    properties: Document = {
        "loan_id": {"type": "string"},
        "version": {"type": "integer", "description": "Gapless from 1 per loan."},
        "timestamp": {"type": "string", "format": "date-time", "description": "When Qist knew (business time)."},
        **{one.name: TypeAdapter(hints[one.name]).json_schema() for one in own},
    }
    if event.class_version > 1:
        properties["class_version"] = {"type": "integer", "description": "Of the event's form; absent in the first."}
    optional = {
        one.name
        for one in own
        if one.default is not dataclasses.MISSING or one.default_factory is not dataclasses.MISSING
    } | {"class_version"}
    return {
        "type": "object",
        "description": inspect.getdoc(event),
        "required": [name for name in properties if name not in optional],
        "properties": properties,
    }


def schema_of_consequence(event: Document, consequence: Consequence) -> Document:
    """Its body made of the event's schemas instead of the event's values."""
    made = consequence.body(event["properties"])
    properties = {name: held if isinstance(held, dict) else {"const": held} for name, held in made.items()}
    if consequence.keeps_hours:
        properties["not_before"] = {
            "type": "string",
            "format": "date-time",
            "description": "The borrower may be contacted from then on (8:00 to 19:00).",
        }
    vault = {"account": {"type": "object", "description": "From the vault; absent once the borrower is erased."}}
    return {
        "type": "object",
        "required": ["loan_id", *properties],
        "properties": {"loan_id": {"type": "string"}, **properties, **(vault if consequence.token else {})},
    }


SAMPLES: dict[str, Any] = {
    "integer": 0,
    "smallint": 0,
    "bigint": 0,
    "text": "",
    "boolean": False,
    "date": date(2026, 1, 1),
    "timestamptz": datetime(2026, 1, 1, tzinfo=IST),
    "smallint[]": (ACCOUNTS[0].code,),
    "bigint[]": (0,),
}
"""A value of each type of column that read models have."""


def schema_of_value(value: Any) -> Document:
    """What a value like this one looks like."""
    match value:
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case datetime():
            return {"type": "string", "format": "date-time"}
        case date():
            return {"type": ["string", "null"], "format": "date"}
        case Mapping():
            if value and all(name.isdecimal() for name in value):  # a map by hour, not a record
                return {"type": "object", "additionalProperties": schema_of_value(next(iter(value.values())))}
            properties = {name: schema_of_value(one) for name, one in value.items()}
            return {"type": "object", "required": list(properties), "properties": properties}
        case list() | tuple():
            return {"type": "array", "items": schema_of_value(value[0]) if value else {}}
        case None:
            return {"type": ["string", "null"]}
        case _:
            return {"type": "string"}
