"""What the world is told of each fact: instructions, notices, cases, and what goes to nobody."""

from typing import Any

import orjson
import pytest

from domain import events as e
from domain.codec import encode
from domain.events import CATALOGUE, LoanEvent
from streams.los_updates import BorrowerErased, BorrowerLoan
from streams.outbound import CONSEQUENCES, Told, told
from streams.topics import CASES, DEBIT_INSTRUCTIONS, LOAN_EVENTS, MANDATE_INSTRUCTIONS, NOTIFICATIONS
from tests.examples import a_loan_in_arrears
from tests.stories import on

SILENT = {
    e.AgreedChangeCame,
    e.EmiScheduled, e.MandateRegistered, e.MandateChanged, e.BorrowerChanged, e.InstalmentDue, e.ExcessApplied,
    e.DebitPending, e.RetryScheduled, e.CollectionExhausted, e.DebitOutcomeOverdue, e.PrincipalPrepaid,
    e.CollectionPaused, e.BorrowerStandingChanged, e.MonthClosed, e.WrittenOff, e.RefundSettled, e.RefundFailed,
    e.Reopened, e.PayoutFailed, e.MandatePreferred, e.PayoutPending, e.DebitsStopped, e.DebitsResumed,
    e.ContactHeld, e.CollectionPlanned, e.PromiseKept,
}  # fmt: skip
"""Facts that ask for nothing and that nobody is told of but who reads `servicing.loan-events`. A case tells of what a
person must look at, another event of the same decision tells the borrower."""


def records(event: LoanEvent, at: str = "5 Mar 10:00") -> list[Told]:
    """What is sent because of an event, its own record left out."""
    event.__dict__.update(originator_id="LN-1", originator_version=7, timestamp=on(at))
    row = (3, 42, "LN-1", 7, event.TOPIC, encode(event), on(at), on(at), "cause", "correlation", "test", b"")
    first, *others = told(row)
    assert first.topic == LOAN_EVENTS.name
    return others


def body(record: Told) -> dict[str, Any]:
    return orjson.loads(record.value)


def kind(record: Told) -> str:
    return dict(record.headers)["ce_type"].decode()


def overdue(dpd: int, classification: str, because: str = "", oldest: str = "2026-02-05") -> e.DelinquencyChanged:
    return e.DelinquencyChanged(
        on="2026-03-04", dpd=dpd, bucket="1-30", classification=classification, oldest_due_on=oldest,
        overdue_paise=499_300, because=because,
    )  # fmt: skip


def test_every_fact_is_told_on_or_named_as_silent():
    assert {CATALOGUE[topic] for topic in CONSEQUENCES} | SILENT == set(CATALOGUE.values())
    assert not {CATALOGUE[topic] for topic in CONSEQUENCES} & SILENT


def test_a_debit_that_is_not_wanted_any_more_is_withdrawn_at_the_gateway():
    [record] = records(e.DebitWithdrawn(instruction_id="LN-1:3:1", number=3, attempt=1, reason="the loan is preclosed"))
    assert (record.topic, kind(record)) == (DEBIT_INSTRUCTIONS.name, "servicing.debit-withdrawal.v1")
    assert body(record) == {
        "loan_id": "LN-1",
        "instruction_id": "LN-1:3:1",
        "instalment": 3,
        "attempt": 1,
        "reason": "the loan is preclosed",
        "withdrawn_at": "2026-03-05T10:00:00+05:30",
    }


def test_the_bank_is_asked_to_cancel_the_mandate_of_a_loan_that_ended():
    event = e.MandateCancelInstructed(
        instruction_id="LN-1:mandate-cancel:M-1", mandate_id="M-1", rail="enach", umrn="HDFC1", reason="closed"
    )
    [record] = records(event)
    assert (record.topic, kind(record)) == (MANDATE_INSTRUCTIONS.name, "servicing.mandate-cancellation.v1")
    assert (record.key, body(record)["umrn"]) == ("LN-1", "HDFC1")


@pytest.mark.parametrize(
    ("at", "not_before"),
    [
        ("5 Mar 00:01", "2026-03-05T08:00:00+05:30"),
        ("5 Mar 10:00", "2026-03-05T10:00:00+05:30"),
        ("5 Mar 19:00", "2026-03-06T08:00:00+05:30"),
    ],
)
def test_a_borrower_is_reminded_of_arrears_only_between_eight_and_seven(at: str, not_before: str):
    """Servicing rule 30."""
    [record] = records(overdue(29, "SMA-0"), at)
    assert (record.topic, body(record)["template"]) == (NOTIFICATIONS.name, "overdue")
    assert body(record)["not_before"] == not_before


def test_who_owes_nothing_is_not_reminded():
    assert records(overdue(0, "standard", oldest="")) == []


def test_npa_is_told_with_its_cause():
    [own] = records(overdue(91, "NPA"))
    [for_another] = records(overdue(0, "NPA", because="borrower", oldest=""))
    assert [body(own)["template"], body(for_another)["template"]] == ["classified-npa", "classified-npa"]
    assert [body(own)["because"], body(for_another)["because"]] == ["", "borrower"]


def test_at_a_rate_reset_the_borrower_is_told_what_could_be_chosen():
    """Servicing rule 27."""
    offered = [{"option": "higher_emi", "instalments": 200, "instalment_paise": 9_100_00, "total_interest_paise": 1}]
    event = e.RateReset(
        effective_on="2026-04-01", previous_rate_percent="8.50", annual_rate_percent="9.00", rate_type="floating",
        option="longer_tenure", asked={}, offered=offered, reason="repo rate",
    )  # fmt: skip
    [record] = records(event)
    assert (body(record)["template"], body(record)["offered"]) == ("rate-reset", offered)


def test_a_complaint_is_acknowledged_and_becomes_a_case_that_can_rise_and_close():
    raised = e.GrievanceRaised(grievance_id="LN-1:case:2", subject="charged twice", answer_by="2026-04-04")
    acknowledged, opened = records(raised)
    assert body(acknowledged)["template"] == "grievance-acknowledged"
    [escalated] = records(e.GrievanceEscalated(grievance_id="LN-1:case:2", answer_by="2026-04-04"))
    [closed] = records(e.CaseClosed(case_id="LN-1:case:2", outcome="refunded"))
    assert {record.topic for record in (opened, escalated, closed)} == {CASES.name}
    assert [body(record)["status"] for record in (opened, escalated, closed)] == ["open", "escalated", "closed"]
    assert {body(record)["case_id"] for record in (opened, escalated, closed)} == {"LN-1:case:2"}


def test_what_a_borrower_sync_is_told_is_what_it_understands():
    [record, forget] = records(e.BorrowerErased(borrower_id="B-1", reason="asked for by Asha"))
    assert (kind(forget), body(forget)) == ("servicing.notices-erased.v1", {"loan_id": "LN-1", "borrower_id": "B-1"})
    assert (record.key, kind(record), record.same_partition) == ("B-1", BorrowerErased.TYPE, False)
    assert BorrowerErased.model_validate_json(record.value).borrower_id == "B-1"
    assert b"Asha" not in record.value
    booked = a_loan_in_arrears().events[0]
    [record] = records(booked)
    assert BorrowerLoan.model_validate_json(record.value) == BorrowerLoan(
        borrower_id="B-1", loan_id="LN-1", product="personal-loan"
    )


def test_ids_of_the_same_event_are_the_same_each_time_and_differ_from_each_other():
    raised = e.GrievanceRaised(grievance_id="LN-1:case:2", subject="charged twice", answer_by="2026-04-04")
    ids = [dict(record.headers)["ce_id"] for record in records(raised)]
    assert ids == [dict(record.headers)["ce_id"] for record in records(raised)]
    assert len(set(ids)) == len(ids)
