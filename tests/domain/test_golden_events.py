"""History stays readable: golden bytes of every event in every version ever written still mean what they meant."""

from __future__ import annotations

import dataclasses
from datetime import datetime

import orjson
import pytest

from adapters.house import load_rules
from domain.codec import decode, encode
from domain.events import CATALOGUE, RetryScheduled
from domain.loan import Loan
from domain.views import loan_summary, schedule_rows
from tests.golden_events import LIFE, examples, is_told, path_of, stored
from tests.stories import on

FILES = stored()
EXAMPLES = examples()


@pytest.mark.parametrize(
    ("topic", "version", "state"), FILES, ids=[f"{topic}-v{version}" for topic, version, _ in FILES]
)
def test_every_version_ever_written_is_read_with_all_the_fields_of_today(
    topic: str, version: int, state: bytes
) -> None:
    event = decode(topic, state, "LN-1", 7)
    fields = {field.name for field in dataclasses.fields(event)}
    assert set(event.__dict__) <= fields, "a field was renamed or dropped: add a version and an upcaster"
    for name in fields:
        getattr(event, name)
    assert (event.originator_id, event.originator_version) == ("LN-1", 7)
    if version == event.class_version:
        assert encode(event) == state
    else:
        assert orjson.loads(encode(event))["class_version"] == event.class_version


@pytest.mark.parametrize("topic", sorted(CATALOGUE))
def test_every_event_has_a_golden_file_of_each_version(topic: str) -> None:
    """Missing: run `python -m tests.golden_events`, which only adds."""
    versions = range(1, CATALOGUE[topic].class_version + 1)
    assert [path_of(topic, version).exists() for version in versions] == [True] * len(versions)
    assert is_told(EXAMPLES[topic]), "it got new fields: they need a golden file too"


def test_a_retry_of_version_1_is_brought_up_to_version_2() -> None:
    written = path_of("loan.retry-scheduled.v1", 1).read_bytes()
    assert b"alternatives" not in written
    assert b"class_version" not in written
    event = decode("loan.retry-scheduled.v1", written, "LN-1", 9)
    assert event == RetryScheduled(
        number=1,
        attempt=2,
        at="2026-02-08T07:00:00+05:30",
        reason="no funds (04): again after 3 days",
        alternatives=[],
    )
    assert event.timestamp == on("5 Feb 18:00")


def test_a_whole_life_that_was_stored_folds_to_what_it_was() -> None:
    told = orjson.loads(LIFE.read_bytes())
    loan = Loan.shell("LN-1")
    for version, (topic, state) in enumerate(told["events"], start=1):
        loan.evolve(decode(topic, state.encode(), "LN-1", version))
    loan.check()
    assert schedule_rows(loan) == told["schedule"]
    summary = loan_summary(loan, datetime.fromisoformat(told["as_of"]), load_rules())
    assert {name: summary[name] for name in told["loan"]} == told["loan"]


def test_the_examples_know_every_event() -> None:
    assert set(EXAMPLES) == set(CATALOGUE)
