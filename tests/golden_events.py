"""Stored bytes of every event in every version ever written, and of a whole life; `python -m tests.golden_events` adds.

A file that exists is history: it is never written again. A new event, or a new version of one, gets a file of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson

from domain import commands as c
from domain.codec import encode
from domain.events import CATALOGUE, LoanEvent
from domain.views import loan_summary, schedule_rows
from tests.examples import MANDATE, a_closed_loan, a_loan, a_loan_at_its_last_row, a_loan_paid_out_by_us
from tests.stories import (
    Story,
    asked,
    day,
    debit_failed,
    debit_succeeded,
    mandate_is,
    on,
    payment,
    payout_failed,
    payout_settled,
    taken_back,
)

GOLDEN = Path(__file__).parent / "golden" / "events"
LIFE = Path(__file__).parent / "golden" / "a_life.json"
FEES = [{"kind": "processing", "amount_paise": 200_000, "gst_percent": "18.00", "deducted": True}]


def a_long_life() -> Story:
    """Nearly everything that happens to one loan, from its booking until it is preclosed."""
    story = a_loan_paid_out_by_us(terms={"fees": FEES}, salary_day=7).when(on("7 Jan"), payout_settled())
    story.when(on("10 Jan"), asked(c.UpdateBorrower, "C-1", vaulted=("phone",), facts={"language": "hi"}))
    story.when(on("20 Jan"), payment("2,000", "P-1"))
    story.when(on("5 Feb"), debit_failed(code="98")).when(on("5 Feb 18:00"), debit_failed())
    story.when(on("7 Feb"), debit_failed(attempt=2, code="59")).when(on("8 Feb"), debit_succeeded(attempt=3))
    story.when(on("20 Feb"), mandate_is("paused")).when(on("25 Feb"), mandate_is("active"))
    story.when(on("5 Mar"), debit_succeeded(2)).when(on("9 Mar"), taken_back("bank-LN-1:2:1", source="debit"))
    story.when(on("12 Mar"), debit_failed(2, 2, code="01"))
    story.when(on("20 Mar"), asked(c.LevyCharge, "C-2", kind="visit", reason="at home"))
    story.when(on("21 Mar"), asked(c.Waive, "C-3", charge_id="LN-1:charge:2", reason="he was ill"))
    story.when(on("22 Mar"), asked(c.PauseCollection, "C-4", until=day("31 Mar"), reason="flood"))
    story.when(on("8 Apr"), payment("12,000", "P-2", value="1 Apr"))
    story.when(on("20 Apr"), asked(c.RegisterMandate, "C-5", mandate={**MANDATE, "mandate_id": "M-2"}))
    story.when(on("21 Apr"), asked(c.Restructure, "C-6", effective_on=day("21 Apr"), instalments=30, reason="ill"))
    story.when(on("9 May"), payment("30,000", "P-3", intent="part-prepayment"))
    story.when(on("20 Jun"), asked(c.QuotePreclosure, "C-7"))
    quoted = story.the_loan.quote
    assert quoted is not None
    story.when(on("20 Jun 12:00"), payment(str((quoted["total_paise"] + 100) / 100), "P-4", intent="preclosure"))
    return story.when(on("21 Jun"), payout_settled(instruction="LN-1:refund:1"))


def other_lives() -> Iterator[Story]:
    """What the long life does not see."""
    yield a_loan_paid_out_by_us().when(on("6 Jan"), payout_failed())
    yield a_loan().when(on("12 Feb"))
    yield a_closed_loan().when(on("9 Feb"), taken_back("P-1"))
    yield a_loan().when(on("20 Jan"), asked(c.WriteOff, reason="fraud"))
    refunded = a_loan_at_its_last_row().when(on("5 Feb"), payment("1,02,000"))
    yield refunded.when(on("6 Feb"), payout_failed(instruction="LN-1:refund:1"))


def examples() -> dict[str, LoanEvent]:
    """Topic -> an event as a life brought it."""
    found: dict[str, LoanEvent] = {}
    for story in (a_long_life(), *other_lives()):
        for event in story.events:
            found.setdefault(event.TOPIC, event)
    return found


def path_of(topic: str, version: int) -> Path:
    return GOLDEN / topic / f"v{version}.json"


def stored() -> list[tuple[str, int, bytes]]:
    """(topic, version, bytes) of every golden file."""
    files = sorted(GOLDEN.glob("*/v*.json"))
    return [(path.parent.name, int(path.stem[1:]), path.read_bytes()) for path in files]


def add_missing() -> list[Path]:
    """Write the files that are not there yet."""
    added: list[Path] = []
    known = examples()
    for topic, event in CATALOGUE.items():
        path = path_of(topic, event.class_version)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(known[topic]))
            added.append(path)
    if not LIFE.exists():
        story = a_long_life()
        told = {
            "events": [[event.TOPIC, encode(event).decode()] for event in story.events],
            "as_of": story.now.isoformat(),
            "loan": loan_summary(story.the_loan, story.now, story.rules),
            "schedule": schedule_rows(story.the_loan),
        }
        LIFE.write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))
        added.append(LIFE)
    return added


if __name__ == "__main__":
    for path in add_missing():
        print(f"added {path}")
