"""Penal charges by the day (servicing rule 25): a charge on overdue principal and interest, and on nothing else.

At 36.5 % a year a day costs 1/1000 of what is overdue, so that the figures can be worked out by hand.
"""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from domain import commands as c
from domain.decisions.penal import earned
from domain.events import ChargeLevied, Recast
from tests.domain.naive_life import House
from tests.domain.value_dated import Lived, a_life_of, back, check_whole, differences, paid, state_of

EMI = 499_300
THOUSANDTH = House(penal_percent="36.5")
FEB_5 = date(2026, 2, 5)


def a_loan(house: House = THOUSANDTH, **other: Any) -> Lived:
    """A lakh at 18 %, 24 months: 4,993 due on 5 February, then every month."""
    terms = {
        "principal_paise": 10_000_000,
        "annual_rate_percent": "18",
        "instalments": 24,
        "disburse_on": "2026-01-05",
        "first_due_on": "2026-02-05",
    }
    return a_life_of({**terms, **other}, house)


def penal(life: Lived) -> list[tuple[date, int]]:
    """Penal charges as they stand: (due on, paise)."""
    return [(due.due_on, due.amount) for due in life.loan.dues if due.kind == "penal" and due.amount]


def total(life: Lived) -> int:
    return sum(paise for _, paise in penal(life))


def test_a_days_end_costs_a_day() -> None:
    """4,993 due on 5 February, paid on 15 February: unpaid at ten days' ends. Rs. 49.93, due with the money."""
    life = a_loan().until(date(2026, 2, 15))
    life.tell(life.now, paid("P-1", EMI, date(2026, 2, 15)))
    assert penal(life) == [(date(2026, 2, 15), 4_993)]
    assert life.loan.unpaid_of("penal") == 4_993


def test_paid_on_its_day_costs_nothing() -> None:
    life = a_loan().until(FEB_5)
    life.tell(life.now, paid("P-1", EMI, FEB_5))
    life.until(date(2026, 3, 4))
    assert penal(life) == []


def test_what_is_earned_is_levied_at_the_months_end() -> None:
    """5 to 28 February, both included: 24 days' ends on 4,993; March: 4 on it, then 27 on two of them."""
    life = a_loan().until(date(2026, 4, 1))
    assert penal(life) == [
        (date(2026, 2, 28), 11_983),  # 4,993 x 24 / 1000 = 119.832
        (date(2026, 3, 31), 28_959),  # (4,993 x 4 + 9,986 x 27) / 1000 = 289.594
    ]


def test_a_quote_has_what_is_earned_and_not_levied() -> None:
    """On 15 February ten days' ends have passed."""
    life = a_loan().until(date(2026, 2, 15))
    life.tell(life.now, c.QuotePreclosure(command_id="Q-1"))
    assert life.loan.quote is not None
    assert life.loan.quote["parts"]["penal_charges_paise"] == 4_993


def test_the_days_of_grace_are_free() -> None:
    """With three, 5, 6 and 7 February cost nothing; late beyond them, the charge begins on the 8th."""
    house = House(penal_percent="36.5", penal_grace_days=3)
    for on, expected in ((date(2026, 2, 8), 0), (date(2026, 2, 15), 3_495)):  # 4,993 x 7 / 1000 = 34.951
        life = a_loan(house).until(on)
        life.tell(life.now, paid("P-1", EMI, on))
        assert total(life) == expected


def test_no_gst_is_on_it() -> None:
    life = a_loan().until(date(2026, 6, 1))
    levied = [event for event in life.events if isinstance(event, ChargeLevied)]
    assert {(event.kind, event.gst_paise) for event in levied} == {("penal", 0)}


def test_it_bears_neither_penal_charges_nor_interest() -> None:
    """Penal and other charges that stay unpaid for half a year cost nothing themselves: a loan whose charges were
    waived has the same dues. (Money settles instalments first here, so that the charges stay unpaid.)"""
    house = House(penal_percent="36.5", by="kind")
    with_charges, without = a_loan(house), a_loan(house)
    for life in (with_charges, without):
        life.until(date(2026, 3, 10))
        life.tell(life.now, paid("P-1", 2 * EMI, date(2026, 3, 10)))
        assert life.loan.unpaid_of("principal", "interest") == 0
        assert life.loan.unpaid_of("penal") > 0
    for charge_id in list(without.loan.levied):
        assert without.tell(without.now, c.Waive(command_id=charge_id, charge_id=charge_id, reason="goodwill"))
    assert with_charges.tell(with_charges.now, c.LevyCharge(command_id="V-1", kind="visit", reason="visit"))
    for life in (with_charges, without):
        for month in range(4, 10):
            life.until(date(2026, month, 5))
            life.tell(life.now, paid(f"P-{month}", EMI, date(2026, month, 5)))
        life.until(date(2026, 9, 30))
    assert [due.amount for due in with_charges.loan.dues if due.kind == "interest"] == [
        due.amount for due in without.loan.dues if due.kind == "interest"
    ]
    assert [day for day, _ in penal(with_charges) if day > date(2026, 3, 10)] == []
    assert penal(without) == []


def test_unpaid_for_long_it_is_still_on_the_dues_alone() -> None:
    """Nothing is paid for a year: the sum over every day's end of overdue principal and interest, rounded by month."""
    life = a_loan().until(date(2027, 2, 1))
    day, month, expected = FEB_5, Fraction(0), []
    while day < date(2027, 2, 1):
        due = sum(1 for row in life.loan.rows if row.due_on <= day)
        month += Fraction(due * EMI, 1000)
        day += timedelta(days=1)
        if day.day == 1:
            expected.append((day - timedelta(days=1), int(month + Fraction(1, 2))))
            month = Fraction(0)
    assert penal(life) == expected


def test_it_is_never_capitalised() -> None:
    """A restructuring takes overdue interest into the principal; penal charges stay charges, shown apart."""
    life = a_loan().until(date(2026, 4, 20))
    interest, before = life.loan.unpaid_of("interest"), life.loan.principal_paise
    assert life.tell(
        life.now,
        c.Restructure(
            command_id="C-1", effective_on=date(2026, 4, 20), reason="asked", instalments=30, capitalise_arrears=True
        ),
    )
    assert life.loan.principal_paise == before + interest
    assert life.loan.unpaid_of("penal") == total(life) > 0
    told = total(life)
    life.until(date(2026, 5, 4))
    assert total(life) + earned(life.loan, date(2026, 5, 3), life.rules.product_of(life.loan)) == told
    check_whole(life)


def test_money_learnt_late_takes_back_what_it_would_have_spared() -> None:
    """4,993 of 5 February is learnt on 20 March: February costs nothing; March only the second instalment's days."""
    life = a_loan().until(date(2026, 3, 20))
    assert penal(life) == [(date(2026, 2, 28), 11_983)]
    life.tell(life.now, paid("P-1", EMI, FEB_5))
    assert any(isinstance(event, Recast) for event in life.events)
    assert penal(life) == []
    life.until(date(2026, 4, 1))
    assert penal(life) == [(date(2026, 3, 31), 13_481)]  # 4,993 x 27 / 1000 = 134.811
    check_whole(life)


def test_a_penal_charge_that_was_paid_and_falls_away_pays_something_else() -> None:
    """The borrower paid 119.83 of penal charges in March; when February's money turns up, they are his again."""
    life = a_loan().until(date(2026, 3, 3))
    life.tell(life.now, paid("P-1", EMI + 11_983 + 998, date(2026, 3, 3)))  # and 4,993 x 2 / 1000 of 1 and 2 March
    assert life.loan.payable_paise() in (0, 1)
    life.until(date(2026, 3, 4))
    life.tell(life.now, paid("P-0", EMI, FEB_5))
    assert penal(life) == []
    assert life.loan.excess_paise == EMI + 11_983 + 998
    check_whole(life)


def test_taken_back_money_brings_back_what_it_had_spared() -> None:
    never = a_loan().until(date(2026, 5, 20))
    life = a_loan().until(FEB_5)
    life.tell(life.now, paid("P-1", EMI, FEB_5))
    life.until(date(2026, 5, 20))
    life.tell(life.now, back("P-1", date(2026, 5, 20)))
    assert not differences(state_of(life), state_of(never))
    assert penal(life) == penal(never)
    check_whole(life)


def test_money_on_the_months_last_day_splits_that_day_off() -> None:
    """Two penal charges are due on 28 February: 23 days before the money, and the day itself on what is left."""
    life = a_loan().until(date(2026, 2, 28))
    life.tell(life.now, paid("P-1", 299_300, date(2026, 2, 28)))
    life.until(date(2026, 3, 1))
    assert penal(life) == [(date(2026, 2, 28), 11_484), (date(2026, 2, 28), 200)]  # 114.839, and 2,000 / 1000
    life.until(date(2026, 3, 2))
    life.tell(life.now, paid("P-0", 100, date(2026, 2, 27)))  # learnt late: both are worked out again, each by its name
    check_whole(life)
    assert len(penal(life)) == 3  # 5 to 26 February; the 27th; the 28th


@pytest.mark.parametrize("by", ["instalment", "kind"])
@settings(max_examples=40)
@for_all(
    payments=st.lists(
        st.tuples(st.integers(1, 140), st.integers(1, 900_000)), min_size=1, max_size=5, unique_by=lambda each: each[0]
    )
)
def test_the_charges_are_the_days_ends_between_payments(by: str, payments: list[tuple[int, int]]) -> None:
    """Whatever is paid and when: the charges come to what every day's end costs, each levy rounded once."""
    life = a_loan(House(penal_percent="36.5", by=by))
    overdue: dict[date, int] = {}
    day, end = date(2026, 1, 5), date(2026, 6, 1)
    paying = {day + timedelta(days=after): paise for after, paise in payments}
    while day < end:
        life.until(day)
        if day in paying:
            assert life.tell(life.now, paid(f"P-{day}", paying[day], day))
        overdue[day] = life.loan.unpaid_of("principal", "interest")
        day += timedelta(days=1)
    life.until(end)
    exact = sum((Fraction(paise, 1000) for paise in overdue.values()), Fraction(0))
    levies = len(payments) + 5
    assert abs(total(life) - exact) <= Fraction(levies, 2)
    check_whole(life)


def test_a_quote_that_holds_over_a_months_end_closes_all_the_same() -> None:
    """Quoted on 27 February, paid on 1 March: what the month's end levied for the days between is given up."""
    life = a_loan().until(date(2026, 2, 27))
    life.tell(life.now, c.QuotePreclosure(command_id="Q-1"))
    assert life.loan.quote is not None
    exact, quoted = life.loan.quote["total_paise"], life.loan.quote["parts"]["penal_charges_paise"]
    life.until(date(2026, 3, 1))
    assert total(life) > quoted
    assert life.tell(life.now, paid("P-1", exact, date(2026, 3, 1), "preclosure"))
    assert (life.loan.stage, life.loan.refund_due_paise, total(life)) == ("closed", 0, quoted)
    check_whole(life)
