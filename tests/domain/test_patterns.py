"""Failures that depart from their own history are found by themselves, and told once."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random
from typing import Any

import pytest

from domain.policies.patterns import RECENT_DAYS, Answered, Pattern, patterns

TODAY = date(2026, 6, 30)
BANKS, RAILS, HOURS = ("SBI", "HDFC", "ICICI", "AXIS"), ("enach", "upi"), (7, 10, 14)
CODE = {"soft": ("04", "U30"), "technical": ("91", "U28"), "hard": ("01", "03")}


def a_book(seed: int, planted: Any = lambda *_: 0.0, *, wild: float = 0.0, per_way: int = 8) -> list[Answered]:
    """Two months of debits: a fifth finds no funds, 3 % fail technically, 1 % hard. `planted(day, bank, rail, hour)`
    adds technical failures; `wild` lets each day's technical share wander by so much, up or down, at each bank."""
    dice = Random(seed)
    rows: list[Answered] = []
    for back in range(60 + RECENT_DAYS):
        day = TODAY - timedelta(days=back)
        for bank in BANKS:
            wander = dice.uniform(-wild, wild)
            for rail in RAILS:
                for hour in HOURS:
                    technical = max(0.0, 0.03 + wander + planted(day, bank, rail, hour))
                    shares = {"soft": 0.2, "technical": technical, "hard": 0.01}
                    told = dict.fromkeys(("", *shares), 0)
                    for kind in dice.choices(list(told), [1 - sum(shares.values()), *shares.values()], k=per_way):
                        told[kind] += 1
                    gateway = f"{rail}-gateway"
                    for kind, count in told.items():
                        code = CODE[kind][rail == "upi"] if kind else ""
                        rows.append(Answered(day, bank, rail, gateway, hour, kind, code, count))
    return rows


def since(days: int) -> date:
    return TODAY - timedelta(days=days - 1)


def lately(day: date) -> bool:
    return day > TODAY - timedelta(days=4)


def only(found: list[Pattern]) -> Pattern:
    assert len(found) == 1, found
    return found[0]


def test_a_bank_that_is_down_is_told_once_and_since_when():
    found = only(patterns(a_book(1, lambda day, bank, *_: 0.3 * (bank == "SBI" and lately(day))), TODAY))
    assert (found.group, found.failure_class, found.code) == ({"bank": "SBI"}, "technical", "")
    assert found.sure > 0.999
    assert found.share > 3 * found.usual_share
    assert 0.02 < found.usual_share < 0.04
    assert found.since in (since(5), since(4))
    assert {code for code, _ in found.codes} == {"91", "U28"}
    assert found.more_than_usual == round(found.failed - found.answered * found.usual_share) > 20


def test_one_bank_on_one_rail_is_not_blamed_on_the_whole_bank():
    planted = lambda day, bank, rail, _: 0.5 * (bank == "HDFC" and rail == "upi" and lately(day))  # noqa: E731
    found = only(patterns(a_book(2, planted), TODAY))
    assert found.group == {"bank": "HDFC", "rail": "upi"}


def test_a_bad_hour_is_found():
    found = only(patterns(a_book(3, lambda day, _bank, _rail, hour: 0.2 * (hour == 14 and lately(day))), TODAY))
    assert found.group == {"hour": 14}


def test_two_troubles_are_two_patterns():
    planted = lambda day, bank, _rail, hour: 0.4 * lately(day) * (bank == "AXIS" or hour == 7)  # noqa: E731
    groups = [one.group for one in patterns(a_book(4, planted), TODAY)]
    assert {"bank": "AXIS"} in groups
    assert {"hour": 7} in groups


@pytest.mark.parametrize("wild", [0.0, 0.03])
def test_a_book_in_which_nothing_changed_is_left_in_peace(wild: float):
    """Also where a bank's days differ among themselves: that is its history."""
    false = sum(bool(patterns(a_book(seed, wild=wild, per_way=4), TODAY)) for seed in range(100, 112))
    assert false <= 1  # at 99 % sure, one in eight such dozens has one


def test_few_debits_say_nothing():
    day = TODAY
    rows = [
        Answered(day, "SBI", "upi", "g", 10, "technical", "U28", 4),
        Answered(day, "SBI", "upi", "g", 10, "", "", 9),
    ]
    assert patterns(rows, TODAY) == []
    assert patterns([], TODAY) == []
