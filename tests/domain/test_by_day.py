"""Interest by the day (servicing rule 14, `daily`): on what is really outstanding, and no other than the schedule's
where every payment comes on its day.

At 18.25 % a year under ACT/365 one rupee costs 1/2000 of a rupee a day, so that the figures can be worked out by hand.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from domain import commands as c
from domain.decisions.terms_change import accrued_interest
from domain.loan import Loan
from domain.refusals import Refused
from tests.domain.value_dated import Lived, a_life_of, back, check_whole, differences, paid, state_of

TWO_LAKH = 20_000_000


def terms_of(accrual: str = "daily", **other: Any) -> dict[str, Any]:
    return {
        "principal_paise": TWO_LAKH,
        "annual_rate_percent": "18.25",
        "day_count": "ACT/365",
        "instalments": 12,
        "disburse_on": "2026-01-05",
        "first_due_on": "2026-02-05",
        "interest_accrual": accrual,
        **other,
    }


def due(loan: Loan, kind: str, number: int) -> int:
    found = loan.due_by_key.get((kind, number))
    return found.amount if found else 0


def pay_on_the_days(life: Lived, rows: int) -> None:
    """Each of the next rows is paid on its due day."""
    for _ in range(rows):
        row = life.loan.next_row
        if row is None:
            return
        life.until(row.due_on)
        life.tell(life.now, paid(f"on {row.due_on}", life.loan.payable_paise(), row.due_on))


@settings(max_examples=60)
@for_all(
    day_count=st.sampled_from(["30/360", "30E/360", "ACT/365", "ACT/360", "ACT/ACT"]),
    method=st.sampled_from(["reducing", "reducing", "equal_principal", "interest_only"]),
    out=st.dates(date(2026, 1, 1), date(2026, 2, 20)),
    days=st.integers(10, 60),
    frequency=st.sampled_from(["monthly", "fortnightly"]),
    ahead=st.integers(0, 3_000_000),
    after=st.integers(0, 200),
    choice=st.sampled_from(["reduce_tenure", "reduce_emi"]),
)
def test_with_every_payment_on_its_day_the_interest_is_the_schedules(
    day_count: str, method: str, out: date, days: int, frequency: str, ahead: int, after: int, choice: str
) -> None:
    """A broken first period and principal paid ahead on its own day included, to the paisa.

    Under 30/360 principal paid inside a month splits its interest by dates, so there it comes on a due day.
    """
    lives: list[Lived] = []
    for accrual in ("daily", "schedule"):
        life = a_life_of(
            terms_of(
                accrual,
                day_count=day_count,
                interest_method=method,
                disburse_on=out.isoformat(),
                first_due_on=(out + timedelta(days=days)).isoformat(),
                frequency=frequency,
            )
        )
        if ahead and day_count.startswith("ACT"):
            while (row := life.loan.next_row) is not None and row.due_on <= out + timedelta(days=after):
                pay_on_the_days(life, 1)
            on = out + timedelta(days=after)
            life.until(on)
            life.tell(life.now, paid("ahead", ahead, on, "part-prepayment", choice))
        pay_on_the_days(life, 30)
        check_whole(life)
        lives.append(life)
    by_day, as_scheduled = lives
    assert by_day.loan.stage == as_scheduled.loan.stage == "closed"
    assert not differences(state_of(by_day), state_of(as_scheduled))


def test_what_comes_late_bears_interest_until_it_comes() -> None:
    """Row 1 asks for 31 days on 2,00,000 = Rs. 3,100 and comes 10 days late: its principal bears those days too."""
    life = a_life_of(terms_of())
    life.until(date(2026, 2, 5))
    assert due(life.loan, "interest", 1) == 310_000
    repaid = due(life.loan, "principal", 1)
    life.until(date(2026, 2, 15))
    life.tell(life.now, paid("P-1", life.loan.payable_paise(), date(2026, 2, 15)))
    life.until(date(2026, 3, 5))
    # 10 days on all of it, 18 on what is left; halves of a paisa away from zero (rule 1)
    expected = (TWO_LAKH * 10 + (TWO_LAKH - repaid) * 18 + 1000) // 2000
    assert due(life.loan, "interest", 2) == expected
    assert due(life.loan, "interest", 2) + due(life.loan, "principal", 2) == life.loan.instalment_paise
    check_whole(life)


def test_the_instalment_is_kept_and_the_last_row_grows() -> None:
    """Lateness costs interest, which the last row collects."""
    late, punctual = a_life_of(terms_of()), a_life_of(terms_of())
    late.until(date(2026, 2, 25))
    late.tell(late.now, paid("P-1", late.loan.payable_paise(), date(2026, 2, 25)))
    pay_on_the_days(punctual, 1)
    punctual.until(date(2026, 2, 25))
    assert [row.total for row in late.loan.rows[1:-1]] == [row.total for row in punctual.loan.rows[1:-1]]
    assert late.loan.rows[-1].total > punctual.loan.rows[-1].total
    assert len(late.loan.rows) == len(punctual.loan.rows)


def test_money_before_its_day_waits_unless_it_is_an_advance() -> None:
    """Held for the borrower it saves no interest; as an advance it reduces principal the same day."""
    held, advanced = a_life_of(terms_of()), a_life_of(terms_of())
    for life, intent in ((held, "dues"), (advanced, "advance")):
        life.until(date(2026, 1, 15))
        life.tell(life.now, paid("P-1", 1_000_000, date(2026, 1, 15), intent))
        life.until(date(2026, 2, 5))
    assert due(held.loan, "interest", 1) == 310_000
    assert due(advanced.loan, "interest", 1) == 310_000 - 1_000_000 * 21 // 2000
    assert advanced.loan.prepaid_paise == 1_000_000


def test_a_day_more_costs_a_day_on_what_is_outstanding() -> None:
    """Overdue principal bears interest too: 2,00,000 unpaid costs Rs. 100 a day, due or not."""
    life = a_life_of(terms_of())
    life.until(date(2026, 2, 20))
    told = [accrued_interest(life.loan, life.loan.principal_not_due(), date(2026, 2, day)) for day in range(6, 28)]
    assert told == [10_000 * day for day in range(1, 23)]


def test_what_is_taken_back_leaves_no_day_without_interest() -> None:
    """Rs. 9,000 held from 1 to 12 February and then taken back were never there: all of 2,00,000 bore interest."""
    life = a_life_of(terms_of())
    life.until(date(2026, 2, 1))
    life.tell(life.now, paid("P-1", 900_000, date(2026, 2, 1)))
    life.until(date(2026, 2, 12))
    life.tell(life.now, back("P-1", date(2026, 2, 12)))
    never = a_life_of(terms_of()).until(date(2026, 2, 12))
    assert accrued_interest(life.loan, life.loan.principal_not_due(), date(2026, 2, 12)) == 70_000
    assert not differences(state_of(life), state_of(never))


def test_a_change_for_a_later_day_is_made_on_what_is_outstanding_then() -> None:
    life = a_life_of(terms_of()).until(date(2026, 2, 10))
    change = c.Restructure(command_id="C-1", effective_on=date(2026, 4, 20), reason="asked", instalments=20)
    assert life.tell(life.now, change)
    rows = len(life.loan.rows)
    life.until(date(2026, 4, 19))
    assert len(life.loan.rows) == rows
    life.until(date(2026, 4, 21))
    coming = life.loan.rows[life.loan.due_rows :]
    assert len(coming) == 20
    assert sum(row.principal for row in coming) == life.loan.principal_not_due()


def test_a_moratorium_by_the_day_pays_or_capitalises() -> None:
    """Interest by the day that waits is not collected in parts: the instalment is kept (rule 14)."""
    life = a_life_of(terms_of()).until(date(2026, 2, 10))
    relief = c.GrantRelief(
        command_id="C-1", effective_on=date(2026, 2, 10), reason="asked", instalments=1, interest="accrue"
    )
    assert not life.tell(life.now, relief)
    assert isinstance(life.refused[-1], Refused)
    assert life.refused[-1].field == "/moratorium_interest"


def test_a_holiday_adds_the_interest_of_its_days_to_the_principal() -> None:
    """Nothing is asked for in February and March; 59 days on 2,00,000 = Rs. 5,900, joined row by row."""
    life = a_life_of(terms_of())
    life.until(date(2026, 1, 10))
    relief = c.GrantRelief(
        command_id="C-1", effective_on=date(2026, 1, 10), reason="asked", instalments=2, kind="payment-holiday"
    )
    assert life.tell(life.now, relief), life.refused
    life.until(date(2026, 3, 4))
    assert [due(life.loan, kind, number) for kind in ("interest", "principal") for number in (1, 2)] == [0, 0, 0, 0]
    assert accrued_interest(life.loan, life.loan.principal_not_due(), date(2026, 3, 4)) == 58 * 10_000
    life.until(date(2026, 3, 5))
    assert life.loan.principal_paise == TWO_LAKH + 59 * 10_000
    check_whole(life)


def test_a_holiday_amid_arrears_bears_interest_on_all_that_is_outstanding() -> None:
    """Row 1 is unpaid; in March nothing is asked for: its 28 days bear interest on 2,00,000, the overdue part too."""
    life = a_life_of(terms_of())
    life.until(date(2026, 2, 10))
    relief = c.GrantRelief(
        command_id="C-1", effective_on=date(2026, 2, 10), reason="asked", instalments=1, kind="payment-holiday"
    )
    assert life.tell(life.now, relief), life.refused
    life.until(date(2026, 3, 5))
    assert life.loan.payable_paise() == due(life.loan, "interest", 1) + due(life.loan, "principal", 1)
    assert life.loan.principal_paise == TWO_LAKH + 28 * 10_000
    check_whole(life)
