"""Relief in hard times: a moratorium or a payment holiday in the middle of a loan's life (servicing rules 8 and 17).

The usual loan after its first instalment: Rs. 96,507 outstanding at 18 %, 23 instalments to come, the next on 5 March.
"""

from __future__ import annotations

from typing import Any

import pytest

from domain.commands import GrantRelief, LevyCharge, WriteOff
from domain.events import (
    DebitAttempted,
    DelinquencyChanged,
    EmiScheduled,
    InstalmentDue,
    ReliefGranted,
)
from domain.refusals import Refusal
from tests.examples import MANDATE, a_closed_loan, a_loan, a_loan_in_arrears, a_loan_paid_out_by_us
from tests.stories import (
    Doing,
    Story,
    a,
    asked,
    by_months,
    day,
    debit_succeeded,
    emi,
    given,
    on,
    parts,
    payment,
    repaid,
    rupees,
)

LEFT = rupees("96,507")
MONTH = by_months(LEFT, "18")  # Rs. 1,447.61 (1,447.605, half up)


def relief(instalments: int = 2, effective: str = "10 Feb", command_id: str = "R-1", **other: Any) -> Doing:
    fields = {"reason": "flood", "kind": "payment-holiday", **other}
    return asked(GrantRelief, command_id, effective_on=day(effective), instalments=instalments, **fields)


def a_loan_after_its_first_instalment(**other: Any) -> Story:
    return given(a_loan(**{"mandate": {}, **other})).when(on("5 Feb"), payment("4,993", "FEB"))


def test_a_payment_holiday_asks_for_nothing_and_its_interest_joins_the_principal() -> None:
    story = a_loan_after_its_first_instalment().when(on("10 Feb"), relief())
    story.then(
        a(ReliefGranted, kind="payment-holiday", instalments=2, interest="capitalise", extends_tenure=True),
        a(EmiScheduled, reason="relief", effective_on="5 Feb", first_number=2),
    )
    # Two months of interest on Rs. 96,507, capitalised at the end; then 23 instalments as before.
    rest = LEFT + 2 * MONTH
    assert parts(story.the_loan) == [(0, 0), (0, 0), *repaid(rest, "18", 23)]
    story.when(on("5 Mar")).then(a(InstalmentDue, number=2, principal_paise=0, interest_paise=0, held_paise=MONTH))
    story.and_the_loan(dpd=0, payable="0", principal="96,507")
    story.when(on("5 Apr")).then(
        a(InstalmentDue, number=3, interest_paise=0, capitalised_paise=2 * MONTH, held_paise=-MONTH)
    )
    story.and_the_loan(dpd=0, payable="0", classification="standard")
    assert story.the_loan.principal_paise == rest
    story.when(on("5 May")).then(a(InstalmentDue, number=4, interest_paise=by_months(rest, "18")))
    assert story.the_loan.payable_paise() == emi(rest, "18", 23)


def test_a_loan_that_had_a_holiday_is_repaid_to_its_end() -> None:
    story = a_loan_after_its_first_instalment().when(on("10 Feb"), relief())
    rows = story.the_loan.rows[1:]
    for row in rows[2:]:
        story.when(on(f"{row.due_on:%d %b %Y}".lstrip("0")), payment(str(row.total / 100), f"P-{row.number}"))
    story.and_the_loan(state="closed", principal="0", excess="0")
    assert story.the_loan.received_paise == rupees("4,993") + sum(row.total for row in rows)


def test_the_tenure_stays_where_relief_does_not_extend_it() -> None:
    story = a_loan_after_its_first_instalment().when(on("10 Feb"), relief(extends_tenure=False))
    assert parts(story.the_loan) == [(0, 0), (0, 0), *repaid(LEFT + 2 * MONTH, "18", 21)]
    assert story.the_loan.rows[-1].due_on == day("5 Jan 2028")  # as before


def test_a_moratorium_on_principal_asks_for_the_interest_alone() -> None:
    story = a_loan_after_its_first_instalment().when(on("10 Feb"), relief(kind="moratorium", interest="pay"))
    assert parts(story.the_loan) == [(0, MONTH), (0, MONTH), *repaid(LEFT, "18", 23)]


def test_interest_that_accrues_meanwhile_is_collected_evenly_over_the_rest() -> None:
    story = a_loan_after_its_first_instalment().when(on("10 Feb"), relief(interest="accrue"))
    rows, plain = parts(story.the_loan), repaid(LEFT, "18", 23)
    assert rows[:2] == [(0, 0), (0, 0)]
    assert [principal for principal, _ in rows[2:]] == [principal for principal, _ in plain]
    extra = [ours - theirs for (_, ours), (_, theirs) in zip(rows[2:], plain, strict=True)]
    assert sum(extra) == 2 * MONTH
    assert max(extra) - min(extra) <= 23  # a paisa a row of rounding, in the last one


def test_no_debit_is_asked_for_in_a_holiday() -> None:
    story = given(a_loan(mandate=MANDATE)).when(on("5 Feb 12:00"), debit_succeeded())
    story.when(on("10 Feb"), relief()).when(on("4 May"))
    assert [debit.number for debit in story.all(DebitAttempted)] == [1]
    story.when(on("5 May"))
    assert story.all(DebitAttempted)[-1].amount_paise == emi(LEFT + 2 * MONTH, "18", 23)


def test_a_charge_in_a_holiday_is_owed_all_the_same() -> None:
    story = a_loan_after_its_first_instalment().when(on("10 Feb"), relief())
    story.when(on("11 Feb"), asked(LevyCharge, kind="visit", reason="a visit")).and_the_loan(
        charges="236", payable="236"
    )


def test_relief_from_a_later_day_leaves_the_rows_before_it() -> None:
    story = a_loan_after_its_first_instalment().when(on("10 Feb"), relief(1, "10 Mar"))
    first = (rupees("4,993") - MONTH, MONTH)  # 5 March as it was
    rest = LEFT - first[0]
    assert parts(story.the_loan)[0] == first
    story.when(on("10 Mar"))
    assert parts(story.the_loan)[0] == (0, 0)
    assert parts(story.the_loan)[1:] == repaid(rest + by_months(rest, "18"), "18", 22)
    assert story.the_loan.rows[2].due_on == day("5 Apr")


def test_relief_does_not_heal_arrears_they_stay_overdue() -> None:
    story = given(a_loan_in_arrears(dpd=10)).when(on("15 Feb"), relief(effective="15 Feb"))
    story.and_the_loan(dpd=10, payable="4,993", classification="SMA-0")
    story.when(on("7 Mar")).and_the_loan(dpd=30, payable="4,993")
    assert [change.dpd for change in story.all(DelinquencyChanged)] == [1]


def test_relief_is_no_restructuring_and_keeps_the_class() -> None:
    story = a_loan_after_its_first_instalment().when(on("10 Feb"), relief()).when(on("1 May"))
    story.and_the_loan(classification="standard")
    assert story.all(DelinquencyChanged) == []


def test_relief_is_granted_once() -> None:
    story = a_loan_after_its_first_instalment().when(on("10 Feb"), relief())
    story.when(on("11 Feb"), relief()).repeated()


@pytest.mark.parametrize(
    ("doing", "refusal", "field"),
    [
        (relief(interest="pay"), Refusal.holiday_asks_for_nothing, "/interest"),
        (relief(23, extends_tenure=False), Refusal.relief_leaves_no_instalment, "/instalments"),
        (relief(effective="9 Feb"), Refusal.effective_date_not_ahead, "/effective_on"),
        (relief(effective="5 Jan 2028"), Refusal.nothing_to_change, "/effective_on"),
    ],
)
def test_relief_that_makes_no_sense_is_refused_by_field(doing: Doing, refusal: Refusal, field: str) -> None:
    a_loan_after_its_first_instalment().when(on("10 Feb"), doing).refused(refusal, field)


def test_relief_may_leave_one_instalment_to_repay_in() -> None:
    story = a_loan_after_its_first_instalment().when(on("10 Feb"), relief(22, extends_tenure=False))
    assert parts(story.the_loan)[-1][0] == LEFT + 22 * MONTH


def test_only_a_live_loan_has_relief() -> None:
    given(a_loan_paid_out_by_us()).when(on("6 Jan"), relief(effective="6 Jan")).refused(Refusal.loan_not_disbursed)
    given(a_closed_loan()).when(on("6 Feb"), relief()).refused(Refusal.loan_closed)
    story = given(a_loan_in_arrears()).when(on("30 Mar"), asked(WriteOff, reason="gone"))
    story.when(on("31 Mar"), relief(effective="31 Mar")).refused(Refusal.loan_written_off_use_record_recovery)


def test_relief_after_relief_counts_the_interest_of_the_first_once() -> None:
    story = a_loan_after_its_first_instalment().when(on("10 Feb"), relief(1))
    story.when(on("10 Mar"), relief(1, "10 Mar", "R-2"))
    # 5 March capitalised Rs. 1,447.61; 5 April capitalises a month on that sum; 23 instalments are left.
    after_one = LEFT + MONTH
    after_two = after_one + by_months(after_one, "18")
    assert parts(story.the_loan) == [(0, 0), *repaid(after_two, "18", 23)]
    story.when(on("5 Apr"))
    assert story.the_loan.principal_paise == after_two


@pytest.mark.parametrize("method", ["reducing", "equal_principal", "flat", "interest_only"])
@pytest.mark.parametrize("interest", ["capitalise", "accrue"])
def test_relief_goes_with_every_method_and_loses_no_rupee_of_principal(method: str, interest: str) -> None:
    story = given(a_loan(mandate={}, months=12, terms={"interest_method": method}))
    first = story.the_loan.rows[0]
    story.when(on("5 Feb"), payment(str(first.total / 100), "FEB"))
    before = story.the_loan.principal_paise
    story.when(on("10 Feb"), relief(interest=interest))
    assert isinstance(story.came[0], ReliefGranted), story.no
    story.when(on("6 Apr")).and_the_loan(payable="0", dpd=0)
    capitalised = story.the_loan.capitalised_paise
    assert story.the_loan.principal_paise == before + capitalised
    assert sum(principal for principal, _ in parts(story.the_loan)) == before + capitalised
    assert (capitalised > 0) == (interest == "capitalise")
