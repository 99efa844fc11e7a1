"""Counts of the book's outcomes, as decisions read them."""

from __future__ import annotations

import pytest

from domain.policies.insight import Insight, Tally, Way

SBI_UPI_7 = Way("SBI", "upi", "razor", 7)
SBI_UPI_10 = Way("SBI", "upi", "razor", 10)
HDFC_NACH_7 = Way("HDFC", "enach", "sponsor-bank", 7)
SEEN = Insight(
    counts={SBI_UPI_7: Tally(8, 2, 0, 10), SBI_UPI_10: Tally(3, 1, 1, 0), HDFC_NACH_7: Tally(100, 20, 0, 0)},
    yesterday={SBI_UPI_7: Tally(0, 0, 0, 9)},
)


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"bank": "SBI"}, Tally(11, 3, 1, 10)),
        ({"rail": "upi", "hour": 7}, Tally(8, 2, 0, 10)),
        ({"gateway": "sponsor-bank"}, Tally(100, 20, 0, 0)),
        ({}, Tally(111, 23, 1, 10)),
        ({"bank": "nobody"}, Tally()),
    ],
)
def test_counts_are_summed_over_what_is_not_named(named, expected):
    assert SEEN.of(**named) == expected


def test_yesterday_alone_says_whether_a_bank_is_down():
    assert SEEN.of(bank="SBI", recent=True).technical == 9


def test_a_rate_without_answers_is_its_prior_and_with_many_is_its_share():
    assert Tally().technical_rate(prior=0.02) == pytest.approx(0.02)
    assert Tally(success=5_000, technical=5_000).technical_rate() == pytest.approx(0.5, abs=0.01)
    assert Tally(technical=1).technical_rate() < 0.1


def test_a_funded_rate_leaves_out_debits_that_never_reached_the_account():
    assert Tally(700, 300, 50, 5_000).funded_rate() == pytest.approx(0.7)


def test_nothing_is_known_at_first():
    assert Insight.empty().of() == Tally()
