"""Delinquency, dashboard and loan view: given events, these rows; and how a batch is cut changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import events as e
from domain.calendar import IST
from domain.events import CATALOGUE, LoanEvent
from domain.failures import SOFT, SUCCESS
from domain.loan import Loan
from domain.parts import Answered
from domain.views import loan_summary, schedule_rows
from projections import delinquency, loan_view
from projections.base import Projection, Recorded, Table
from projections.collections import ARMS, CASES, PROMISES, Collections
from projections.dashboard import DAILY, DEBIT_OUTCOMES, DEBITS, METRICS, Dashboard
from projections.delinquency import MOVES
from projections.registry import ALL, BY_NAME
from streams.read_models import Memory, definition
from tests.examples import a_house, a_loan
from tests.lives import COLLECTING, PRODUCTS, RULES, a_life, the_loan
from tests.stories import debit_failed, on


def recorded(life: Iterable[LoanEvent]) -> list[Recorded]:
    return [
        Recorded(3, position, event.originator_id, event.originator_version, event, event.timestamp)
        for position, event in enumerate(life, 1)
    ]


def folded(projection: Projection, log: Sequence[Recorded], cuts: Iterable[int] = ()) -> Memory:
    """The tables after the log, cut into batches at these places."""
    memory, loans = Memory(projection), dict[str, Loan]()
    edges = sorted({0, len(log), *cuts})
    for start, end in pairwise(edges):
        folding = projection.begin()
        for one in log[start:end]:
            loan = loans.setdefault(one.loan_id, Loan.shell(one.loan_id))
            folding.see(one, loan)
            loan.evolve(one.event)
        memory.write(folding.close(loans))
    return memory


def named(table: Table, row: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(table.names, row, strict=True))


@pytest.mark.parametrize("seed", range(12))
def test_what_collections_brought_adds_up_and_does_not_depend_on_how_the_log_is_cut(seed: int) -> None:
    life = a_life(seed, steps=80, products=PRODUCTS[:1], rules=COLLECTING)
    log = recorded(life)
    memory = folded(Collections(COLLECTING), log)
    cut = folded(Collections(COLLECTING), log, range(7, len(log), 7))
    assert memory.rows == cut.rows
    loan = the_loan(life)
    cases = [named(CASES, row) for row in memory.of(CASES).values()]
    assert sorted(case["case_id"] for case in cases if case["state"] == "open") == sorted(loan.open_cases)
    promises = [named(PROMISES, row) for row in memory.of(PROMISES).values()]
    assert len(promises) == loan.promises
    assert sum(promise["state"] == "broken" for promise in promises) == loan.broken_promises
    assert sum(promise["state"] == "open" for promise in promises) == (loan.promise is not None)
    counts = {row[3]: row[4] for row in memory.of(ARMS).values()}
    plans = [event for event in life if isinstance(event, e.CollectionPlanned)]
    assert counts.get("entered", 0) == sum(plan.first for plan in plans)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9), st.lists(st.integers(1, 200), max_size=8))
def test_cutting_the_log_anywhere_gives_the_same_rows(seed: int, cuts: list[int]) -> None:
    log = recorded(a_life(seed, products=PRODUCTS))
    for kind in ALL:
        whole = folded(kind(RULES), log)
        parts = folded(kind(RULES), log, [cut for cut in cuts if cut < len(log)])
        assert parts.rows == whole.rows


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9))
def test_an_event_that_is_not_among_the_moves_leaves_the_delinquency_row_as_it_was(seed: int) -> None:
    loan = Loan.shell(f"LN-{seed}")
    for one in recorded(a_life(seed, products=PRODUCTS)):
        booked = loan.version > 0
        before = delinquency.row_of(one, loan, RULES) if booked else None
        loan.evolve(one.event)
        if booked and type(one.event) not in MOVES:
            assert delinquency.row_of(one, loan, RULES) == before


def test_a_bank_that_asks_for_more_time_after_none_was_left_makes_the_row_wait_again() -> None:
    story = a_loan(rules=a_house(debits={"outcome_within_hours": 6}))
    story.when(on("5 Feb 14:00")).when(on("5 Feb 15:00"), debit_failed(code="98"))
    assert isinstance(story.events[-1], e.DebitPending)
    log = recorded(story.events)
    (row,) = folded(BY_NAME["delinquency"](RULES), log, [len(log) - 1]).of(delinquency.LOANS).values()
    assert named(delinquency.LOANS, row)["awaiting_outcome"] is True


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9))
def test_the_loan_view_is_the_loan(seed: int) -> None:
    life = a_life(seed, products=PRODUCTS)
    loan = the_loan(life)
    (row,) = folded(BY_NAME["loan_view"](RULES), recorded(life)).of(loan_view.LOANS).values()
    view = named(loan_view.LOANS, row)
    assert view["principal_paise"] == loan.principal_paise
    assert view["payable_paise"] == loan.payable_paise()
    assert view["principal_due_paise"] + view["interest_due_paise"] + view["charges_due_paise"] == view["payable_paise"]
    assert (view["stage"], view["version"], view["last_event"]) == (loan.stage, loan.version, life[-1].TOPIC)


def stamped(*events: LoanEvent, at: str) -> list[Recorded]:
    instant = datetime.fromisoformat(at)
    for version, event in enumerate(events, 1):
        event.__dict__.update(originator_id="LN-1", originator_version=version, timestamp=instant)
    return recorded(events)


def test_debits_are_counted_by_bank_hour_attempt_and_code() -> None:
    debit: dict[str, Any] = {
        "instruction_id": "LN-1:1:2", "number": 1, "attempt": 2, "rail": "enach", "gateway": "g", "bank": "SBI",
    }  # fmt: skip
    log = stamped(
        e.DebitAttempted(**debit, amount_paise=500, mandate_id="M", due_on="2026-02-05", reason="retry"),
        e.DebitFailed(
            **debit, amount_paise=500, code="04", failure_class="soft", action="", meaning="", value_on="2026-02-05"
        ),
        e.DebitSucceeded(
            **debit,
            asked_paise=500,
            amount_paise=300,
            value_on="2026-02-05",
            reference="G",
            lines=[{"for": "excess", "paise": 300}],
        ),
        at="2026-02-05T20:45:00+00:00",
    )
    projection = Dashboard()
    folding = projection.begin()
    loan = Loan.shell("LN-1")
    for one, outcome in zip(log, (None, SOFT, SUCCESS), strict=True):
        if outcome:
            loan.answered_debits.append(Answered(datetime(2026, 2, 5, 7, tzinfo=IST), 1, outcome))
        folding.see(one, loan)
    memory = Memory(projection)
    memory.write(folding.close({}))
    day = date(2026, 2, 6)  # the lender's day begins before the world's
    assert {row[1:-2] for row in memory.of(DEBITS).values()} == {
        (day, 2, "enach", "SBI", "g", 2, "attempted", "", "", 1, 500),
        (day, 2, "enach", "SBI", "g", 2, "failed", "soft", "04", 1, 500),
        (day, 2, "enach", "SBI", "g", 2, "succeeded", "soft", "", 1, 300),  # it made good a soft failure
    }
    assert {row[1:-2] for row in memory.of(DAILY).values()} == {
        (day, "bounced", "soft", 1, 500),
        (day, "collected", "debit:enach", 1, 300),
        (day, "recovered_after_retry", "enach", 1, 300),
        (day, "recovered_after_days", "1", 1, 300),
        (day, "settled", "excess", 1, 300),
    }


def test_tables_of_events_name_events_of_the_catalogue() -> None:
    known = set(CATALOGUE.values())
    assert {*METRICS} <= known
    assert {*DEBIT_OUTCOMES} <= known
    assert known >= MOVES


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_a_table_is_well_made(kind: type[Projection]) -> None:
    for table in kind.tables:
        assert table.names[0] == table.key[0] == "partition"
        assert {*table.key, *table.newest} <= {*table.names}
        if table.mode == "append":
            assert table.key == ("partition", "position")
        if table in kind.told:
            assert "position" in table.names
    assert len({table.name for table in kind.tables}) == len(kind.tables)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_a_rebuilt_schema_has_the_same_fingerprint(kind: type[Projection]) -> None:
    live, rebuilt = definition(kind, kind.name), definition(kind, f"{kind.name}_rebuild")
    assert live[-1].split(" IS ")[1] == rebuilt[-1].split(" IS ")[1]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9))
def test_the_schedule_shows_what_is_paid(seed: int) -> None:
    loan = the_loan(a_life(seed, products=PRODUCTS))
    rows = schedule_rows(loan)
    assert [row["number"] for row in rows] == [row.number for row in loan.rows]
    for row in rows[loan.due_rows :]:
        assert (row["principal_paid_paise"], row["interest_paid_paise"], row["paid_on"]) == (0, 0, None)
    assert sum(row["charges_paid_paise"] for row in rows) == sum(
        due.paid for due in loan.dues if due.kind in ("fee", "charge", "penal")
    )


def test_the_summary_counts_days_past_due_at_the_end_of_each_day() -> None:
    life = a_life(8, products=("personal-loan",))
    until_due = next(number for number, event in enumerate(life, 1) if type(event) is e.InstalmentDue)
    loan = the_loan(life[:until_due])
    due_on = loan.dues[0].due_on
    for days, dpd, bucket in ((0, 0, "current"), (1, 1, "1-30"), (30, 30, "1-30"), (31, 31, "31-60")):
        morning = datetime.combine(due_on + timedelta(days=days), time(9), IST)
        summary = loan_summary(loan, morning, RULES)
        assert (summary["state"], summary["dpd"], summary["bucket"]) == ("active", dpd, bucket)
    assert set(summary["outstanding"]) == {
        "principal_paise", "interest_due_paise", "interest_accrued_paise", "charges_paise", "excess_paise",
    }  # fmt: skip
