"""The fan-out of `los.updates`, without Faust: what it keeps of a borrower, and when it forgets."""

from datetime import UTC, datetime

import orjson

from streams.envelope import Record, headers_for
from streams.los_sync import LosSync
from streams.topics import BORROWER_LOANS, UPDATES, Topic
from tests.streams.borrower import Named, Rows, Sends

AT = datetime(2026, 3, 5, 10, 30, tzinfo=UTC)


def record(topic: Topic, kind: str, **body: str) -> Record:
    headers = headers_for(kind, f"{kind}-{body}", "test", AT)
    return Record(topic.name, 0, 0, b"B-1", tuple(headers), orjson.dumps({"borrower_id": "B-1", **body}))


def test_an_erased_borrower_is_forgotten_whole():
    loans, updates = Rows(), Rows()
    sync = LosSync(loans, updates, 1)  # type: ignore[arg-type]

    def work() -> Sends:
        return Sends(Named(), 0, AT)  # type: ignore[arg-type]

    sync.learn(record(BORROWER_LOANS, "servicing.borrower-loan.v1", loan_id="LN-1"), work())
    sync.fan_out(record(UPDATES, "los.borrower.updated.v1", phone="+919812345678"), told := work())
    assert len(told.sent) == 1
    assert "+919812345678" in str(updates.data)

    sync.learn(record(BORROWER_LOANS, "servicing.borrower-erased.v1"), work())
    assert (loans.data, updates.data) == ({}, {})
    sync.fan_out(record(UPDATES, "los.borrower.updated.v1", phone="+919800000002"), told := work())
    assert told.sent == [], "the closed loans of an erased borrower are told nothing personal again"
