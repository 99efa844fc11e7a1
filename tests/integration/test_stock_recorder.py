"""The eventsourcing library's own PostgreSQL recorder reads our log, through the view that is made for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, unquote, urlparse

import asyncpg
import pytest
from eventsourcing.application import Repository
from eventsourcing.persistence import EventStore
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

from adapters.event_store.migrate import migrate
from domain.codec import LoanMapper, encode
from domain.events import LoanEvent
from domain.loan import Loan
from streams.topics import partition_of
from tests.lives import a_life
from tests.log_writer import LogWriter, interleaved
from tests.states import fields, folded

PARTITIONS = 2
LIVES = {life[0].originator_id: life for life in (a_life(seed, steps=25) for seed in range(20))}


@contextmanager
def stock_recorder(dsn: str) -> Iterator[PostgresApplicationRecorder]:
    """As the library's user would make one, except that the table is there already."""
    url = urlparse(dsn)
    host = url.hostname or parse_qs(url.query).get("host", ["localhost"])[0]
    datastore = PostgresDatastore(
        dbname=url.path.lstrip("/"),
        host=unquote(host),
        port=url.port or 5432,
        user=url.username or "postgres",
        password=unquote(url.password or ""),
        originator_id_type="text",
    )
    try:
        yield PostgresApplicationRecorder(datastore, events_table_name="stock_events")
    finally:
        datastore.close()


@pytest.fixture
async def recorder(database: str) -> AsyncIterator[PostgresApplicationRecorder]:
    await migrate(database, PARTITIONS)
    connection = await asyncpg.connect(database)
    await LogWriter(PARTITIONS).write(connection, interleaved(LIVES.values()))
    await connection.close()
    with stock_recorder(database) as recorder:
        yield recorder


async def test_its_repository_gives_the_loans_that_we_fold(recorder: PostgresApplicationRecorder) -> None:
    repository = Repository(EventStore(LoanMapper(), recorder))
    assert {partition_of(loan_id, PARTITIONS) for loan_id in LIVES} == {0, 1}
    for loan_id, events in LIVES.items():
        loan: Loan = repository.get(loan_id)
        assert fields(loan) == fields(folded(events))


async def test_it_selects_a_loans_events_byte_for_byte(recorder: PostgresApplicationRecorder) -> None:
    loan_id, events = next(iter(LIVES.items()))
    assert [
        (stored.originator_version, stored.topic, bytes(stored.state)) for stored in recorder.select_events(loan_id)
    ] == [(event.originator_version, event.TOPIC, encode(event)) for event in events]
    [last] = recorder.select_events(loan_id, desc=True, limit=1)
    assert last.originator_version == len(events)


@pytest.mark.parametrize("partition", range(PARTITIONS))
async def test_each_partition_is_one_notification_log(recorder: PostgresApplicationRecorder, partition: int) -> None:
    base = partition << 40
    wanted = [event for event in interleaved(LIVES.values()) if home(event) == partition]
    told = recorder.select_notifications(start=base + 1, stop=base + (1 << 40) - 1, limit=10_000)
    assert [notification.id - base for notification in told] == list(range(1, len(wanted) + 1))
    assert [(n.originator_id, n.originator_version) for n in told] == [
        (event.originator_id, event.originator_version) for event in wanted
    ]
    page = recorder.select_notifications(start=base + 3, stop=base + (1 << 40) - 1, limit=5)
    assert [notification.id - base for notification in page] == [3, 4, 5, 6, 7]


async def test_it_knows_the_newest_notification(recorder: PostgresApplicationRecorder) -> None:
    last = PARTITIONS - 1
    count = sum(home(event) == last for event in interleaved(LIVES.values()))
    assert recorder.max_notification_id() == (last << 40) | count


def home(event: LoanEvent) -> int:
    return partition_of(event.originator_id, PARTITIONS)
