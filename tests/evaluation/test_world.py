"""What an account does when it is debited."""

from __future__ import annotations

from datetime import date

import pytest

from adapters.evaluation.world import World, due_days, hour_on
from tests.evaluation.small import RUPEES, account, at, population


def hour(day: int, of_day: int = 0, month: int = 1) -> int:
    return hour_on(date(2026, month, day), of_day)


def world(**changes):
    return World(population(account(**changes)))


def test_a_debit_succeeds_once_the_balance_covers_it():
    lived = world()
    assert [lived.attempt(0, hour(9, of_day)) for of_day in (8, 9)] == ["soft", "success"]


def test_a_success_lowers_the_balance_until_its_next_step_upwards_of_as_much():
    steps = [[at(1), 8_000 * RUPEES], [at(3), 8_500 * RUPEES], [at(5), 4_000 * RUPEES], [at(9), 9_000 * RUPEES]]
    lived = world(balance=steps)
    assert lived.attempt(0, hour(2)) == "success"
    assert lived.attempt(0, hour(3)) == "soft"  # up by 500 only
    assert lived.attempt(0, hour(9)) == "success"  # up by 5,000: made up for


def test_nothing_is_there_before_the_first_step():
    assert world(balance=[]).attempt(0, hour(9)) == "soft"
    assert world(balance=[[at(9), 6_000 * RUPEES]]).attempt(0, hour(8)) == "soft"


def test_a_hard_failure_holds_for_good_whatever_the_balance():
    lived = world(hard={"from": at(10, 12), "code": "01"})
    assert [lived.attempt(0, hour(10, of_day)) for of_day in (13, 14)] == ["hard", "hard"]
    assert lived.foresee(0, hour(10, 11)) == "success"


def test_an_outage_fails_with_its_probability_and_the_same_for_every_strategy():
    down = [{"bank": "SBI", "rail": "enach", "from": at(9), "until": at(29), "fail_probability": 0.6}]
    first, second = (World(population(outages=down)) for _ in range(2))
    hours = [hour(9, 9) + step for step in range(400)]
    told = [first.foresee(0, at_hour) for at_hour in hours]
    assert told == [second.foresee(0, at_hour) for at_hour in reversed(hours)][::-1]
    assert told.count("technical") / 400 == pytest.approx(0.6, abs=0.08)
    assert first.foresee(0, hour(29)) == "success"


def test_another_bank_or_rail_is_not_down():
    down = [{"bank": "HDFC", "rail": "enach", "from": at(1), "until": at(29), "fail_probability": 1}]
    assert World(population(outages=down)).foresee(0, hour(9, 9)) == "success"


def test_instants_in_another_zone_are_the_same_instants():
    assert world(balance=[["2026-01-09T03:30:00Z", 6_000 * RUPEES]]).attempt(0, hour(9, 9)) == "success"


def test_due_days_are_within_the_period_and_on_the_last_day_of_a_short_month():
    thirty_first = population(account(due_day=31)).accounts[0]
    assert list(due_days(thirty_first, date(2026, 1, 31), date(2026, 4, 29))) == [
        date(2026, 1, 31),
        date(2026, 2, 28),
        date(2026, 3, 31),
    ]
