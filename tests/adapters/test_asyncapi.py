"""docs/asyncapi.yaml: complete, consistent, and true of what is really sent."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from adapters.asyncapi import document, schema_of_event
from domain.codec import encode
from domain.events import CATALOGUE
from streams.outbound import CONSEQUENCES, told
from streams.topics import TOPICS
from streams.wire import CARRIES
from tests.lives import a_life


@cache
def described() -> dict[str, Any]:
    return document()


def test_every_topic_is_a_channel_and_every_message_is_in_one():
    assert set(described()["channels"]) == {topic.name for topic in TOPICS}
    carried = {name for channel in described()["channels"].values() for name in channel["messages"]}
    assert carried == set(described()["components"]["messages"])
    assert {model.TYPE for models in CARRIES.values() for model in models} <= carried
    assert set(CATALOGUE) <= carried
    assert {one.type for followers in CONSEQUENCES.values() for one in followers} <= carried


def test_every_reference_leads_somewhere_and_every_schema_is_used():
    names = set(described()["components"]["schemas"])
    used = set(re.findall(r"#/components/schemas/([\w.-]+)", json.dumps(described())))
    assert used == names


def test_what_is_told_of_whole_lives_has_the_fields_that_are_described():
    schemas = described()["components"]["schemas"]
    for seed in range(20):
        for event in a_life(seed):
            at = event.timestamp
            row = (
                0, event.originator_version, event.originator_id, event.originator_version, event.TOPIC, encode(event),
                at, at, "cause", "correlation", "actor", b"",
            )  # fmt: skip
            for record in told(row):
                kind = dict(record.headers)["ce_type"].decode()
                body = json.loads(record.value)
                schema = schemas[kind]
                variants = schema.get("oneOf", [schema])
                assert any(set(one["required"]) <= set(body) <= set(one["properties"]) for one in variants), kind


def test_optional_fields_of_events_are_not_required():
    schema = schema_of_event(CATALOGUE["loan.emi-scheduled.v1"])
    assert "accrued_paise" in schema["properties"]
    assert "accrued_paise" not in schema["required"]
    assert {"loan_id", "version", "timestamp", "rows"} <= set(schema["required"])
