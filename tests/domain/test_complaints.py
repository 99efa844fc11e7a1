"""What users of other servicing systems complain about, lived through by a loan; none of it may be true here.

Each test names the public threads that it answers: FINERACT-n and F PR n are Apache Fineract's, L PR n those of
Frappe Lending.
What concerns the schedule alone is in test_schedule_complaints.py.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from time import perf_counter
from typing import Any

import pytest

from domain import commands as c
from domain.events import (
    BorrowerStandingChanged,
    DelinquencyChanged,
    EmiScheduled,
    InstalmentDue,
    LoanEvent,
    MonthClosed,
    PaymentReceived,
    PreclosureQuoted,
    PrincipalPrepaid,
    Restructured,
    Settled,
    SettlementAgreed,
    WrittenOff,
)
from domain.refusals import EXPLAINED, Refusal, Refused
from tests.examples import a_loan, a_loan_in_arrears, a_loan_without_mandate
from tests.stories import (
    Doing,
    Story,
    a,
    asked,
    by_days,
    day,
    emi,
    given,
    on,
    parts,
    payment,
    repaid,
    rupees,
    taken_back,
)

METHODS = ["reducing", "flat", "equal_principal", "interest_only"]


def said(paise: int) -> str:
    """Rupees as a story says them."""
    return f"{paise / 100:.2f}"


def on_day(at: date, hour: str = "10:00") -> Any:
    return on(f"{at:%d %b %Y} {hour}".lstrip("0"))


def books(story: Story) -> Any:
    """Where a loan stands, whatever its events were."""
    loan = story.the_loan
    return (
        loan.stage,
        loan.principal_paise,
        loan.excess_paise,
        {due.key: (due.due_on, due.amount, due.paid) for due in loan.dues if due.amount},
        loan.rows,
        loan.classification,
    )


def pay_all(story: Story, until: str = "1 Jan 2040") -> Story:
    """Each instalment on its day."""
    for row in list(story.the_loan.rows[story.the_loan.due_rows :]):
        if row.due_on <= day(until):
            story.when(on_day(row.due_on), payment(said(row.total), f"P-{row.number}"))
    return story


# --- Interest and days ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("day_count", "year"), [("ACT/360", 360), ("ACT/364", 364), ("ACT/365", 365)])
def test_the_days_in_the_year_count_for_flat_interest_too(day_count: str, year: int) -> None:
    """FINERACT-2359, FINERACT-343: 365 hard-coded for flat and whole-term rates."""
    terms = {"interest_method": "flat", "day_count": day_count}
    story = given(a_loan_without_mandate(months=12, terms=terms)).when(on("5 Jan 2027"))
    # From 5 January 2026 to 5 January 2027 are 365 days, whatever the year is counted as.
    interest = sum(due.interest_paise for due in story.all(InstalmentDue))
    assert abs(interest - by_days(rupees("1,00,000"), "18", 365, year=year)) <= 1


def test_a_leap_day_is_a_366th_of_its_year_by_the_day_and_in_the_row() -> None:
    """FINERACT-3201, 3194, 3049: per-day rates and ACTUAL disagree in leap years, between two engines."""
    terms = {"day_count": "ACT/ACT", "interest_method": "interest_only"}
    story = given(a_loan_without_mandate(at="5 Feb 2028", first_due="5 Mar 2028", months=12, terms=terms))
    story.when(on("29 Feb 2028")).and_the_loan(interest_accrued=said(by_days(rupees("1,00,000"), "18", 24, year=366)))
    story.when(on("1 Mar 2028"))
    assert story.all(MonthClosed)[-1].accrued_paise == by_days(rupees("1,00,000"), "18", 24, year=366)
    story.when(on("5 Mar 2028"))
    assert story.all(InstalmentDue)[-1].interest_paise == by_days(rupees("1,00,000"), "18", 29, year=366)
    # In the common year after it a day is a 365th.
    story = pay_all(story, "5 Jan 2029").when(on("5 Feb 2029"))
    assert story.all(InstalmentDue)[-1].interest_paise == by_days(rupees("1,00,000"), "18", 31)


@pytest.mark.parametrize("method", METHODS)
def test_what_was_quoted_for_a_day_is_what_the_loan_takes_on_it(method: str) -> None:
    """FINERACT-1302: the preview differs from the real thing."""
    story = given(a_loan_without_mandate(months=12, terms={"interest_method": method}))
    story.when(on("10 Jan"), asked(c.QuotePreclosure, on=day("20 Mar")))
    pay_all(story, "5 Mar").when(on("20 Mar"), asked(c.QuotePreclosure, "Q-2"))
    ahead, real = story.all(PreclosureQuoted)
    overdue = sum(due.principal_paise + due.interest_paise for due in story.all(InstalmentDue))
    assert ahead.total_paise == real.total_paise + overdue  # nothing but the two instalments paid meanwhile
    story.when(on("20 Mar 12:00"), payment(said(real.total_paise), "LAST", intent="preclosure"))
    story.and_the_loan(state="closed", excess="0", refund_due="0")


# --- Facts that come late ------------------------------------------------------------------------------------


def test_a_second_payout_on_a_due_day_bears_interest_from_the_day_after() -> None:
    """F PR 4117, 4095: a wrong EMI on a second disbursal at a due date."""
    tranches = [{"on": "2026-02-05", "amount_paise": rupees("50,000")}]
    story = given(a_loan_without_mandate(principal="50,000", months=12, terms={"tranches": tranches}))
    first = repaid(rupees("50,000"), "18", 12)[0]
    assert story.the_loan.rows[0].interest == first[1]
    pay_all(story, "5 Feb")
    left = rupees("1,00,000") - story.the_loan.rows[0].principal
    assert parts(story.the_loan) == repaid(left, "18", 11)
    pay_all(story).and_the_loan(state="closed", principal="0", excess="0")


FACTS: dict[str, tuple[str, Doing]] = {
    "a payment": ("5 Feb", payment("4,993", "A", value="5 Feb")),
    "another": ("20 Feb", payment("3,000", "B", value="20 Feb")),
    "a prepayment": ("10 Feb", payment("20,000", "C", value="10 Feb", intent="part-prepayment")),
}


@pytest.mark.parametrize("accrual", ["schedule", "daily"])
def test_a_payment_learnt_late_leaves_the_books_as_if_it_had_been_known(accrual: str) -> None:
    """F PR 4334, 5112, 5146, 5681: backdated payments rejected, accruals replayed, edge cases for years.
    Mambu: back-dating is blocked by later payments."""
    terms = {"interest_accrual": accrual}
    in_time = given(a_loan_without_mandate(terms=terms))
    for at, doing in sorted(FACTS.values(), key=lambda fact: day(fact[0])):
        in_time.when(on(at), doing)
    in_time.when(on("25 Mar"))
    for order in (("another", "a prepayment", "a payment"), ("a prepayment", "another", "a payment")):
        late = given(a_loan_without_mandate(terms=terms)).when(on("24 Mar"))
        for name in order:
            late.when(on("25 Mar"), FACTS[name][1])
            assert late.no is None
        assert books(late) == books(in_time), order


def test_days_past_due_after_backdating_are_those_of_the_facts() -> None:
    """L PR 251: the DPD log is wrong after a backdated payment."""
    story = given(a_loan_in_arrears(dpd=40)).when(on("17 Mar"), payment("4,993", value="1 Mar"))
    # The first instalment was paid on 1 March; the second is unpaid since the 5th: 12 days at the end of 16 March.
    story.then(a(PaymentReceived), a(DelinquencyChanged, dpd=12, oldest_due_on="5 Mar", classification="SMA-0"))
    story.and_the_loan(dpd=12)
    story.when(on("17 Mar 12:00"), taken_back("P-1"))
    story.and_the_loan(dpd=40)  # and with the payment taken back, those of before


def test_a_write_while_every_days_work_waits_is_never_refused() -> None:
    """F PR 5853, 5858; FINERACT-3255, 2598, 2234: locks left by close-of-business, writes refused while it runs."""
    story = given(a_loan_without_mandate())
    story.now = on("31 May 23:59")  # nobody woke the loan for five months; a payment comes at the day's end
    story.came = []
    story._do(payment("4,993")(story.the_loan, story.now))
    assert story.no is None
    assert [event.number for event in story.all(InstalmentDue)] == [1, 2, 3, 4]
    story.and_the_loan(received="4,993")


# --- Changes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("day_count", ["30/360", "ACT/365", "ACT/ACT"])
def test_every_product_can_be_reamortised_at_its_own_rate(method: str, day_count: str) -> None:
    """FINERACT-2413, F PR 5441: re-amortise only for zero interest; the newer engine had no moratorium."""
    terms = {"interest_method": method, "day_count": day_count}
    for doing in (
        payment("20,000", "AHEAD", intent="part-prepayment", choice="reduce_emi"),
        asked(c.Restructure, effective_on=day("20 Feb"), reason="", instalments=18, hardship=False),
        asked(c.GrantRelief, effective_on=day("20 Feb"), reason="", instalments=2),
    ):
        story = pay_all(given(a_loan_without_mandate(months=12, terms=terms)), "5 Feb").when(on("20 Feb"), doing)
        assert story.no is None
        assert [each.reason for each in story.came if isinstance(each, EmiScheduled)], story.came
        pay_all(story).and_the_loan(state="closed", principal="0", excess="0")


def test_a_borrower_chooses_with_each_payment_whether_the_tenure_or_the_instalment_shrinks() -> None:
    """Mambu LNS-I-7: choose reduce-EMI or reduce-tenure when paying."""
    story = pay_all(given(a_loan_without_mandate()), "5 Feb")
    story.when(on("5 Feb 12:00"), payment("20,000", "A", intent="part-prepayment", choice="reduce_tenure"))
    left = rupees("96,507") - rupees("20,000")
    assert parts(story.the_loan) == repaid(left, "18", 0, rupees("4,993"))
    rows = len(parts(story.the_loan))
    story.when(on("5 Feb 13:00"), payment("10,000", "B", intent="part-prepayment", choice="reduce_emi"))
    left -= rupees("10,000")
    assert parts(story.the_loan) == repaid(left, "18", rows)
    assert story.the_loan.instalment_paise == emi(left, "18", rows)


def test_prepayments_on_one_day_are_one_sum_and_nothing_is_negative() -> None:
    """L PR 1224, 458: two prepayments on one day gave negative interest."""
    one = given(a_loan_without_mandate()).when(on("20 Feb"), payment("34,993", intent="part-prepayment"))
    for amounts in (("14,993", "20,000"), ("24,993", "10,000"), ("5,000", "29,993")):
        two = given(a_loan_without_mandate())
        for number, amount in enumerate(amounts):
            two.when(on(f"20 Feb 1{number}:00"), payment(amount, f"P-{number}", intent="part-prepayment"))
        assert two.the_loan.principal_paise == one.the_loan.principal_paise
        assert two.the_loan.prepaid_paise == one.the_loan.prepaid_paise == rupees("30,000")
        assert parts(two.the_loan) == parts(one.the_loan)
        assert all(principal > 0 and interest > 0 for principal, interest in parts(two.the_loan))


def test_the_dates_and_the_tenure_asked_for_are_the_ones_got() -> None:
    """L PR 384, 803: a restructure changed the tenure, or jumped the start date under a moratorium."""
    for instalments, moratorium in ((12, 0), (36, 0), (30, 3), (60, 1)):
        story = pay_all(given(a_loan_without_mandate()), "5 Feb").when(
            on("20 Feb"),
            asked(
                c.Restructure,
                effective_on=day("20 Feb"),
                reason="",
                instalments=instalments,
                moratorium_instalments=moratorium,
                moratorium_interest="capitalise",
            ),
        )
        assert story.all(Restructured)[0].changes["instalments"] == instalments
        rows = story.the_loan.rows[1:]
        assert len(rows) == instalments
        assert [row.due_on.day for row in rows] == [5] * instalments
        assert rows[0].due_on == day("5 Mar")
        assert [row.principal == 0 for row in rows] == [True] * moratorium + [False] * (instalments - moratorium)


@pytest.mark.parametrize(
    ("principal", "rate", "months"), [("10,000", "10", 12), ("1,000", "36", 12), ("5,000", "24", 36)]
)
def test_an_instalment_rounded_up_to_a_rupee_keeps_the_tenure(principal: str, rate: str, months: int) -> None:
    """L issue 1449, PR 1452, PR 296, issue 31: an EMI rounded up to a rupee made 11 months of 12."""
    story = given(a_loan_without_mandate(principal=principal, rate=rate, months=months))
    assert parts(story.the_loan) == repaid(rupees(principal), rate, months)
    pay_all(story).and_the_loan(state="closed")
    assert len(story.all(InstalmentDue)) == months


GIVEN_ROWS = [
    {"due_on": "2026-02-01", "principal_paise": rupees("10,000")},
    {"due_on": "2026-04-15", "principal_paise": rupees("60,000")},
    {"due_on": "2026-06-30", "principal_paise": rupees("30,000"), "interest_paise": rupees("1,000")},
]


def test_a_schedule_may_be_given_row_by_row_and_is_served_as_given() -> None:
    """F PR 4095, a comment: users want their own repayment schedule."""
    story = a_loan_without_mandate(
        months=3, disburse="1 Jan", at="1 Jan", first_due="1 Feb", terms={"rows": GIVEN_ROWS, "day_count": "ACT/365"}
    )
    given(story)
    assert [(row.due_on, row.principal, row.interest) for row in story.the_loan.rows] == [
        (day("1 Feb"), rupees("10,000"), by_days(rupees("1,00,000"), "18", 31)),
        (day("15 Apr"), rupees("60,000"), by_days(rupees("90,000"), "18", 73)),
        (day("30 Jun"), rupees("30,000"), rupees("1,000")),
    ]
    pay_all(story).and_the_loan(state="closed", principal="0", excess="0")


# --- Events --------------------------------------------------------------------------------------------------


def an_eventful_life() -> Story:
    story = given(a_loan(mandate={})).when(on("8 Feb"), payment("4,993", "A", value="5 Feb"))
    story.when(on("20 Feb"), payment("20,000", "B", intent="part-prepayment"))
    story.when(on("20 Mar"), asked(c.LevyCharge, kind="visit", reason=""))
    story.when(on("21 Mar"), taken_back("A"))
    story.when(on("22 Mar"), asked(c.Restructure, "R", effective_on=day("5 Apr"), reason="", instalments=30))
    return story.when(on("30 Sep"), payment("12,345.67", "C", value="1 Sep"))


def test_events_come_in_business_order_with_no_gap_and_carry_what_they_speak_of() -> None:
    """F PR 4165, 3864, 2887, 2820: events out of order, missing, or without their schedule."""
    story = an_eventful_life()
    assert [event.originator_version for event in story.events] == list(range(1, len(story.events) + 1))
    moments = [event.timestamp for event in story.events]
    assert moments == sorted(moments)
    for event in story.all(EmiScheduled):
        assert event.rows
        assert sum(row["principal_paise"] for row in event.rows) > 0
        assert all(
            row["total_paise"] == row["principal_paise"] + row["interest_paise"] + row["fee_paise"]
            for row in event.rows
        )


def test_every_amount_of_every_event_is_whole_paise() -> None:
    """opencbs 867, 868: an early total repayment left unrounded rows in the database."""

    def check(at: str, value: Any) -> None:
        match value:
            case dict():
                for name, inner in value.items():
                    check(name, inner)  # type: ignore[arg-type]
            case list():
                for inner in value:
                    check(at, inner)
            case _:
                assert not isinstance(value, float), at
                assert not (at == "paise" or at.endswith("_paise")) or type(value) is int or value is None, (at, value)

    story = an_eventful_life().when(on("1 Oct"), asked(c.QuotePreclosure, "Q"))
    total = story.all(PreclosureQuoted)[0].total_paise
    story.when(on("1 Oct 12:00"), payment(said(total), "LAST", intent="preclosure")).and_the_loan(state="closed")
    for event in story.events:
        check("", asdict(event))


def test_no_event_a_day_five_years_unpaid_are_a_few_rows_a_month() -> None:
    """L PR 1384: re-posting one loan took 709 s with 2,394 accruals. L PR 382, 481: the NPA job was missed."""
    story = given(a_loan_without_mandate(months=60)).when(on("5 Jan 2031"))
    kinds = {kind: len(story.all(kind)) for kind in (InstalmentDue, MonthClosed, DelinquencyChanged)}
    assert kinds == {InstalmentDue: 60, MonthClosed: 60, DelinquencyChanged: 4}  # days 1, 31, 61 and 91
    assert len(story.events) == 60 + 60 + 4 + 3  # booked, scheduled, paid out


def test_a_loan_of_five_years_is_written_off_in_no_time() -> None:
    """L PR 1146, 871, 1337: a write-off took 25 s, repayments timed out."""
    story = given(a_loan_without_mandate(months=60)).when(on("5 Jan 2031"))
    before = perf_counter()
    story.when(on("6 Jan 2031"), asked(c.WriteOff, reason="gone"))
    assert perf_counter() - before < 0.5  # some milliseconds; the bound is for a busy machine
    story.then(a(WrittenOff, principal_paise="1,00,000"))


def test_a_settlement_gives_up_what_is_owed_and_not_interest_that_is_then_reversed() -> None:
    """L PR 1150, 1163: the settlement counted interest that is reversed afterwards."""
    story = given(a_loan_in_arrears(dpd=100)).when(
        on("16 May"), asked(c.Settle, amount_paise=rupees("70,000"), reason="")
    )
    owed = sum(due.principal_paise + due.interest_paise for due in story.all(InstalmentDue)) + sum(
        principal for principal, _ in parts(story.the_loan)
    )
    assert story.all(SettlementAgreed)[0].outstanding_paise > rupees("70,000")
    story.when(on("17 May"), payment("70,000"))
    settled = story.all(Settled)[0]
    assert settled.received_paise + settled.principal_paise + settled.interest_paise == owed
    story.when(on("30 Dec")).and_the_loan(
        state="closed", principal="0", payable="0", written_off=said(owed - rupees("70,000"))
    )


def test_the_borrowers_other_loans_are_npa_too() -> None:
    """L PR 382: other loans of the borrower were not NPA."""
    story = pay_all(given(a_loan_without_mandate()), "5 Feb")
    story.when(on("10 Feb"), asked(c.TellBorrowerStanding, npa=True, because="LN-2")).then(
        a(BorrowerStandingChanged, npa=True), a(DelinquencyChanged, classification="NPA", because="borrower", dpd=0)
    )
    story.when(on("11 Feb"), asked(c.TellBorrowerStanding, "B-2", npa=False, because="")).then(
        a(BorrowerStandingChanged, npa=False), a(DelinquencyChanged, classification="standard")
    )


# --- Answers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("doing", "words"),
    [
        (asked(c.Restructure, effective_on=day("19 Feb"), reason="", instalments=9), ["effective_on=2026-02-19"]),
        (
            asked(c.Restructure, effective_on=day("20 Feb"), reason="", instalment_paise=100_00),
            ["/instalment_paise", "because="],
        ),
        (asked(c.LevyCharge, kind="tea", reason=""), ["kind=tea", "KFS"]),
        (asked(c.RefundExcess, reason="", amount_paise=1), ["held_paise=0"]),
        (
            asked(c.GrantRelief, effective_on=day("20 Feb"), reason="", instalments=99, extends_tenure=False),
            ["instalments_left=23"],
        ),
        (asked(c.CancelDisbursal, reason=""), ["last_day=2026-01-08"]),
        (payment("1", value="21 Feb"), ["value_on=2026-02-21", "today=2026-02-20"]),
    ],
)
def test_a_refusal_says_in_plain_words_what_is_wrong_with_the_values(doing: Doing, words: list[str]) -> None:
    """openMF/community-app 1796: an error on rescheduling that nobody understands."""
    story = given(a_loan_without_mandate()).when(on("20 Feb"), doing)
    assert isinstance(story.no, Refused), story.came
    told = f"{story.no.field} {story.no.sentence()}"
    assert EXPLAINED[story.no.refusal] in told
    assert [word for word in words if word not in told] == []
    assert story.came == []


def test_every_refusal_has_its_words() -> None:
    """openMF/community-app 1796."""
    assert set(EXPLAINED) == set(Refusal)
    assert all(text.endswith(".") for text in EXPLAINED.values())


def test_a_prepayment_is_never_lost_where_it_cannot_be_one() -> None:
    """L PR 871: repayments that failed half-way."""
    story = given(a_loan_without_mandate()).when(on("20 Jan"), payment("2,00,000", intent="part-prepayment"))
    assert story.all(PrincipalPrepaid) == []
    story.and_the_loan(received="2,00,000", excess="2,00,000")
    assert [type(event).__name__ for event in story.came] == ["PaymentReceived", "CaseOpened"]
    events: list[LoanEvent] = story.events
    assert all(event.originator_id == "LN-1" for event in events)
