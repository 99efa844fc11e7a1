"""Where a line belongs, how a comparison comes out, and what may be booked without asking."""

from __future__ import annotations

from datetime import date
from itertools import product

import pytest

from domain.reconciliation import (
    ADVICE,
    Difference,
    Line,
    Names,
    Side,
    State,
    Way,
    judge,
    place,
    reversal,
    subject_of,
    success,
    surplus,
)

DAY = date(2026, 2, 5)
FEW_DAYS, MANY_DAYS = date(2026, 2, 8), date(2026, 2, 9)


def line(*refs: str, statement: bool = True, told: str = "") -> Line:
    return Line(source="hdfc", entry="E1", statement=statement, refs=refs, told=told)


@pytest.mark.parametrize(
    ("ours", "theirs", "state"),
    [
        (Side(5, DAY), Side(5, FEW_DAYS), State.matched),
        (Side(5, DAY), Side(5, MANY_DAYS), State.date_differs),
        (Side(5, DAY), Side(4, DAY), State.amount_differs),
        (Side(5, DAY), None, State.missing),
        (Side(0, DAY), None, State.matched),
        (None, Side(5, DAY), State.extra),
        (None, Side(0, DAY), State.matched),
        (Side(0, DAY), Side(5, DAY), State.amount_differs),
    ],
)
def test_a_comparison(ours: Side | None, theirs: Side | None, state: State) -> None:
    assert judge(ours, theirs, date_days=3) is state


class TestALineBelongs:
    def test_to_the_movement_that_its_strongest_reference_names(self) -> None:
        names = Names({"A": {"debit:A"}, "B": {"debit:B"}})
        assert place(line("X", "B", "A"), names).subject == "debit:B"

    def test_to_none_that_an_ambiguous_reference_names(self) -> None:
        assert place(line("A"), Names({"A": {"debit:A", "debit:B"}})).subject == "line:hdfc:E1"

    def test_to_a_settlement_before_any_movement_when_a_bank_says_it(self) -> None:
        names = Names({"A": {"debit:A"}}, {"S": {"settlement:razor:S"}})
        assert place(line("A", "S"), names).subject == "settlement:razor:S"
        assert place(line("A", "S", statement=False), names).subject == "debit:A"

    def test_to_the_settlement_of_a_movement_that_a_gateway_reported(self) -> None:
        names = Names({"A": {"debit:A"}}, covered={"debit:A": "settlement:razor:S"})
        assert place(line("A"), names).subject == "settlement:razor:S"
        assert place(line(told="debit:A"), names).subject == "settlement:razor:S"

    def test_to_itself_with_the_one_loan_that_it_names(self) -> None:
        names = Names({"LN-1": {"loan:LN-1"}, "LN-2": {"loan:LN-2"}})
        assert place(line("X", "LN-1"), names) == ("line:hdfc:E1", "LN-1")
        assert place(line("LN-2", "LN-1"), names) == ("line:hdfc:E1", "")

    def test_to_what_a_person_said(self) -> None:
        assert place(line("A", told="debit:B"), Names({"A": {"debit:A"}})).subject == "debit:B"


def found(
    subject: str, *, ours: int = 0, theirs: int = 0, state: State = State.extra, loan: str = "LN-1"
) -> Difference:
    return Difference(
        subject=subject, state=state, loan_id=loan, ours_paise=ours, theirs_paise=theirs, on=DAY, reference="R"
    )


@pytest.mark.parametrize(
    ("difference", "type_"),
    [
        (found("debit:LN-1:1:1", theirs=5), "gateway.debit.succeeded.v1"),
        (found("debit:LN-1:1:1", theirs=-5), None),
        (found("payout:LN-1:payout:1:1", theirs=-5), "gateway.payout.settled.v1"),
        (found("payout:LN-1:payout:1:1", theirs=5), None),
        (found("line:hdfc:E1", theirs=5), "gateway.payment.received.v1"),
        (found("line:hdfc:E1", theirs=5, loan=""), None),
        (found("line:hdfc:E1", theirs=-5), None),
        (found("debit:LN-1:1:1", ours=5, theirs=6, state=State.amount_differs), None),
        (found("settlement:razor:S", theirs=5), None),
    ],
)
def test_only_a_plain_success_is_booked_without_asking(difference: Difference, type_: str | None) -> None:
    booking = success(difference)
    assert (booking.type if booking else None) == type_
    if booking:
        assert booking.id == f"reconciliation:{difference.subject}"
        assert booking.body["amount_paise"] == 5


def test_what_never_happened_is_taken_back_as_the_loan_knows_it() -> None:
    missing = found("payment:LN-1:R", ours=5, state=State.missing)
    booking = reversal(missing, "never came")
    assert booking is not None
    assert (booking.type, booking.body["payment_reference"]) == ("gateway.payment.reversed.v1", "R")
    assert reversal(found("payment:LN-1:R", theirs=5), "nothing to take back") is None


def test_what_came_beyond_is_booked_under_a_reference_of_its_own() -> None:
    more = surplus(found("debit:LN-1:1:1", ours=5, theirs=8, state=State.amount_differs), "LN-1")
    assert more is not None
    assert (more.body["amount_paise"], more.body["payment_reference"]) == (3, "R:difference")
    assert surplus(found("debit:LN-1:1:1", ours=8, theirs=5, state=State.amount_differs), "LN-1") is None


def test_every_difference_that_can_be_has_its_advice() -> None:
    possible = set(product(("item", "settlement"), State)) - {
        (level, State.matched) for level in ("item", "settlement")
    }
    assert set(ADVICE) == possible - {("settlement", State.extra)}  # without a report there is no settlement
    assert all(Way.accept in advice.ways and advice.said for advice in ADVICE.values())


def test_a_reference_that_begins_with_the_loan_names_it_already() -> None:
    assert subject_of("debit", "LN-1", "LN-1:3:1") == "debit:LN-1:3:1"
    assert subject_of("payment", "LN-1", "UTR1") == "payment:LN-1:UTR1"
    assert subject_of("loan", "LN-1", "LN-1") == "loan:LN-1"
