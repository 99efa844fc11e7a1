"""The gateways' circuits as the stream keeps them, without Faust: answers in, news out, and what the engine makes of
it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import orjson
import pytest

from adapters.gateway_health import FollowedHealth
from adapters.settings import Settings
from domain.refusals import Refused
from streams.envelope import Record
from streams.faust_records import Work
from streams.gateway_health import Circuits
from streams.topics import GATEWAY_HEALTH, Topic
from tests.stories import on

AT = on("5 Feb 07:00")


class Kept(Work):
    """Work that keeps what is sent, and changes the table at once."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def put(self, table: Any, key: str, value: Any) -> None:
        table.data[key] = orjson.loads(orjson.dumps(value))  # as it comes back from the changelog

    def send(self, topic: Topic, key: Any, value: Any, headers: Any, partition: int | None = None) -> None:
        assert (topic, key) == (GATEWAY_HEALTH, b"alpha|upi")
        self.sent.append(orjson.loads(value))


class Stored:
    """The table, as the agent sees it."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}

    def read(self, key: str) -> Any:
        return self.data.get(key)


@pytest.fixture
def circuits() -> Circuits:
    return Circuits(cast(Any, Stored()), partitions=4)


def answered(circuits: Circuits, minutes: int, technical: int, others: int) -> list[dict[str, Any]]:
    body = {
        "gateway": "alpha", "rail": "upi", "at": (AT + timedelta(minutes=minutes)).isoformat(),
        "technical": technical, "others": others,
    }  # fmt: skip
    work = Kept()
    circuits.learn(Record("any", 0, 0, None, (), orjson.dumps(body)), work)
    return work.sent


def test_a_gateway_that_goes_down_is_told_of_once_and_again_when_it_is_back(circuits: Circuits) -> None:
    assert answered(circuits, 0, 9, 10) == []
    [down] = answered(circuits, 1, 5, 0)
    assert (down["state"], down["reason"]) == ("open", "14 of 24 answers in 30 minutes were technical failures")
    assert answered(circuits, 2, 30, 0) == []
    [back] = answered(circuits, 17, 0, 3)
    assert (back["state"], back["try_at"], back["reason"]) == ("closed", None, "3 of 3 trials went through")


def test_what_the_engine_follows_is_what_was_told(circuits: Circuits) -> None:
    followed = FollowedHealth(Settings())
    [down] = answered(circuits, 0, 20, 0)
    followed.learn(orjson.dumps(down))
    assert followed.health.why_not("alpha", "upi", AT, "").startswith("alpha is down: 20 of 20")
    for unreadable in (None, b"", b"[]", b"{}", orjson.dumps({**down, "try_at": "soon"})):
        followed.learn(unreadable)
    assert ("alpha", "upi") in followed.health.down
    [back] = answered(circuits, 16, 0, 5)
    followed.learn(orjson.dumps(back))
    assert followed.health.down == {}


def test_an_answer_that_cannot_be_read_names_its_field(circuits: Circuits) -> None:
    with pytest.raises(Refused) as refused:
        circuits.learn(Record("any", 0, 0, None, (), b'{"gateway": "alpha", "rail": "upi"}'), Kept())
    assert refused.value.field == "/at"
