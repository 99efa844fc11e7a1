"""Money: rounded once, split without loss, written the Indian way."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ensure import InvariantBroken, ensure
from domain.money import RoundingMode, format_rupees, round_ratio, round_to_unit, split

MODES: tuple[RoundingMode, ...] = ("half_up", "half_even", "up")


@pytest.mark.parametrize(
    ("amount", "half_up", "half_even", "up"),
    [
        ("2.4", 2, 2, 3),
        ("2.5", 3, 2, 3),
        ("3.5", 4, 4, 4),
        ("2.6", 3, 3, 3),
        ("2.0", 2, 2, 2),
        ("0.00000000001", 0, 0, 1),
        ("-2.5", -3, -2, -3),
        ("-2.1", -2, -2, -3),
    ],
)
def test_rounds_by_mode(amount: str, half_up: int, half_even: int, up: int) -> None:
    assert [round_to_unit(Decimal(amount), mode) for mode in MODES] == [half_up, half_even, up]


def test_rounds_to_a_coarser_unit() -> None:
    assert round_to_unit(Decimal("499241.02"), "up", 100) == 499300
    assert round_to_unit(Fraction(32250), "half_even", 100) == 32200
    assert round_to_unit(32250, "half_up", 100) == 32300
    assert round_ratio(18_333_200, 1, "half_even", 10_000) == 18_330_000


def test_a_half_is_exactly_a_half() -> None:
    # 15 % of 1,250.00 over a twelfth of a year is 15.625 rupees; no digit may be lost on the way to the half.
    interest = 125000 * Fraction(15, 100) / 12
    assert round_to_unit(interest, "half_up") == 1563
    assert round_to_unit(interest, "half_even") == 1562


@given(
    st.fractions(min_value=-(10**9), max_value=10**9, max_denominator=10**6),
    st.sampled_from(MODES),
    st.sampled_from([1, 100, 10_000]),
)
def test_rounding_moves_less_than_a_unit_and_is_symmetric(amount: Fraction, mode: RoundingMode, unit: int) -> None:
    rounded = round_to_unit(amount, mode, unit)
    assert rounded % unit == 0
    assert abs(rounded - amount) < unit
    assert round_to_unit(-amount, mode, unit) == -rounded


def test_split_gives_the_paisa_left_over_to_the_largest_remainder() -> None:
    assert split(100, [1, 1, 1]) == (34, 33, 33)
    assert split(100, [1, 2, 4]) == (14, 29, 57)
    assert split(-100, [1, 1, 1]) == (-34, -33, -33)
    assert split(7, [0, 1]) == (0, 7)


@given(
    st.integers(-(10**12), 10**12),
    st.lists(st.integers(0, 10**6), min_size=1, max_size=40).filter(any),
)
def test_split_loses_no_paisa(total: int, weights: list[int]) -> None:
    parts = split(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(total * weight, sum(weights))) < 1


def test_split_refuses_weights_that_weigh_nothing() -> None:
    with pytest.raises(InvariantBroken, match="weigh"):
        split(100, [0, 0])


@pytest.mark.parametrize(
    ("paise", "text"),
    [
        (0, "0.00"),
        (5, "0.05"),
        (99_999, "999.99"),
        (100_000, "1,000.00"),
        (10_000_000, "1,00,000.00"),
        (12_345_678_901, "12,34,56,789.01"),
        (-10_000_000, "-1,00,000.00"),
        (10**12, "10,00,00,00,000.00"),
    ],
)
def test_writes_lakhs_and_crores(paise: int, text: str) -> None:
    assert format_rupees(paise) == text


def test_ensure_names_the_facts() -> None:
    ensure(True, "all is well")
    with pytest.raises(InvariantBroken, match=r"journal balances \(loan_id='LN-1', off_by=3\)"):
        ensure(False, "journal balances", loan_id="LN-1", off_by=3)
