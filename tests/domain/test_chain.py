"""The hash chain notices any change of any field, and does not depend on how an instant is written."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from domain.chain import GENESIS, link

IST = timezone(timedelta(hours=5, minutes=30))
EVENT: dict[str, Any] = {
    "previous": GENESIS,
    "partition": 3,
    "position": 41,
    "loan_id": "LN-1",
    "version": 7,
    "topic": "loan.disbursed.v1",
    "state": b'{"net_paise":1}',
    "occurred_at": datetime(2026, 1, 5, 10, tzinfo=IST),
    "recorded_at": datetime(2026, 1, 5, 10, 0, 1, tzinfo=IST),
    "causation_id": "c-1",
    "correlation_id": "k-1",
    "actor": "los",
}
CHANGES: dict[str, Any] = {
    "previous": b"\x01" * 32,
    "partition": 4,
    "position": 42,
    "loan_id": "LN-2",
    "version": 8,
    "topic": "loan.closed.v1",
    "state": b'{"net_paise":2}',
    "occurred_at": datetime(2026, 1, 5, 10, 0, 0, 1, tzinfo=IST),
    "recorded_at": datetime(2026, 1, 5, 10, 0, 2, tzinfo=IST),
    "causation_id": "c-2",
    "correlation_id": "k-2",
    "actor": "gateway",
}


@pytest.mark.parametrize("field", EVENT)
def test_any_change_changes_the_hash(field: str) -> None:
    assert link(**{**EVENT, field: CHANGES[field]}) != link(**EVENT)


def test_no_character_moves_from_one_field_to_the_next() -> None:
    one = {**EVENT, "causation_id": "a,1:b", "correlation_id": "c"}
    other = {**EVENT, "causation_id": "a", "correlation_id": "b,1:c"}
    assert link(**one) != link(**other)


def test_an_instant_counts_and_not_its_zone() -> None:
    in_utc = {**EVENT, "occurred_at": EVENT["occurred_at"].astimezone(UTC)}
    assert link(**in_utc) == link(**EVENT)


def test_an_auditor_can_compute_it_by_hand() -> None:
    text = (
        "3,41,7,2026-01-05T04:30:00.000000+00:00,2026-01-05T04:30:01.000000+00:00,"
        "4:LN-1,17:loan.disbursed.v1,3:c-1,3:k-1,3:los,"
    )
    assert link(**EVENT) == hashlib.sha256(bytes(32) + text.encode() + b'{"net_paise":1}').digest()
