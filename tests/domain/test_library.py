"""The loan is an aggregate of the eventsourcing library: its own recorder, store and repository give the same loan."""

from __future__ import annotations

import pytest
from eventsourcing.application import Repository
from eventsourcing.domain import OriginatorIDError, OriginatorVersionError
from eventsourcing.persistence import EventStore, IntegrityError, StoredEvent
from eventsourcing.popo import POPOApplicationRecorder

from domain.codec import LoanMapper, decode, encode
from domain.events import LoanEvent
from domain.loan import Loan
from tests.examples import a_loan
from tests.golden_events import a_long_life
from tests.lives import a_life
from tests.states import fields, folded

LIVES = [a_life(seed, steps=40) for seed in range(5)]


def a_store() -> EventStore[str]:
    return EventStore(LoanMapper(), POPOApplicationRecorder())


@pytest.mark.parametrize("events", [a_long_life().events, *LIVES], ids=lambda events: events[0].originator_id)
def test_the_librarys_repository_gives_the_loan_that_we_fold(events: list[LoanEvent]) -> None:
    store = a_store()
    store.put(events)  # type: ignore[arg-type]
    loan: Loan = Repository(store).get(events[0].originator_id)
    assert isinstance(loan, Loan)
    assert loan.version == len(events)
    assert fields(loan) == fields(folded(events))


def test_the_loan_can_be_seen_as_it_was_at_each_version() -> None:
    events = a_long_life().events
    store = a_store()
    store.put(events)  # type: ignore[arg-type]
    for version in (1, 7, len(events) // 2):
        loan: Loan = Repository(store).get(events[0].originator_id, version=version)
        assert fields(loan) == fields(folded(events[:version]))


def test_a_version_is_written_once() -> None:
    events = a_loan().events
    store = a_store()
    store.put(events)  # type: ignore[arg-type]
    with pytest.raises(IntegrityError):
        store.put(events[-1:])  # type: ignore[arg-type]


def test_the_mapper_keeps_our_bytes_and_names() -> None:
    mapper = LoanMapper()
    for event in a_long_life().events:
        stored = mapper.to_stored_event(event)
        assert stored == StoredEvent(event.originator_id, event.originator_version, event.TOPIC, encode(event))
        back = mapper.to_domain_event(stored)
        assert back == event
        assert (back.originator_id, back.originator_version, back.timestamp) == (
            event.originator_id,
            event.originator_version,
            event.timestamp,
        )


def test_an_event_of_another_loan_or_out_of_turn_does_not_apply() -> None:
    story = a_loan()
    loan, last = folded(story.events), story.events[-1]
    foreign = decode(last.TOPIC, encode(last), "LN-2", loan.version + 1)
    with pytest.raises(OriginatorIDError):
        foreign.mutate(loan)
    with pytest.raises(OriginatorVersionError):
        last.mutate(loan)


def test_what_a_loan_records_is_what_the_library_would_collect() -> None:
    one, other = a_loan(), a_loan()
    assert one.events == other.events
    assert list(one.the_loan.collect_events()) == []
    assert [event.originator_version for event in one.events] == list(range(1, len(one.events) + 1))
