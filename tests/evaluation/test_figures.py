"""The strategies side by side, on accounts whose figures are worked out by hand."""

from __future__ import annotations

from datetime import date

import pytest

from adapters.evaluation.figures import calibration, evaluate, summary
from adapters.evaluation.generator import KINDS, generate
from adapters.evaluation.population import Population
from tests.evaluation.small import RUPEES, account, at, population


def strategies(*accounts, **changes):
    return evaluate(population(*accounts, **changes))["strategies"]


def test_one_late_salary_worked_out_by_hand():
    """Due on the 5th at 7:00, money from the 9th at 9:00."""
    told = strategies()
    assert {name: figures["attempts"] for name, figures in told.items()} == {
        "qist": 2, "fixed": 3, "daily": 6, "none": 1, "oracle": 2,
    }  # fmt: skip
    fixed = told["fixed"]  # the 5th and 8th bounce, the 11th succeeds
    assert (fixed["recovered_paise"], fixed["bounces"], fixed["futile_attempts"]) == (5_000 * RUPEES, 2, 1)
    assert fixed["days_to_recover_mean"] == 6
    assert fixed["cost"] == {"attempts_paise": 1_500, "bounce_charges_paise": 50_000, "days_late_paise": 1_500}
    assert fixed["net_paise"] == 500_000 - 53_000
    assert told["oracle"]["days_to_recover_mean"] == 4
    assert told["none"]["recovered_paise"] == 0


def test_no_strategy_but_daily_goes_over_the_rails_limit():
    told = strategies(account(balance=[[at(1), 0]]))
    assert {name: figures["attempts"] for name, figures in told.items()} | {"qist": 3} == {
        "qist": 3, "fixed": 3, "daily": 25, "none": 1, "oracle": 1,
    }  # fmt: skip
    assert told["qist"]["attempts"] <= 3


def test_a_hard_failure_is_never_tried_again_by_qist():
    told = strategies(account(hard={"from": at(2), "code": "01"}), until="2026-03-31")
    assert told["qist"]["futile_attempts"] == 0
    assert told["qist"]["attempts"] == 1  # nor presented again: the account is gone
    assert told["fixed"]["attempts"] == 9


def test_no_attempt_is_outside_the_window_or_after_the_end():
    late = account(balance=[[at(20), 6_000 * RUPEES]])
    assert strategies(late, window_days=14)["oracle"]["recovered_paise"] == 0
    assert strategies(late, window_days=15)["oracle"]["recovered_paise"] == 5_000 * RUPEES
    assert strategies(late, until="2026-01-19")["oracle"]["recovered_paise"] == 0


def test_what_fails_again_within_the_gap_is_not_tried_sooner():
    gap = {"enach": {"max_attempts": 3, "min_gap_hours": 100, "hours": [7]}}
    told = strategies(rails=gap)
    assert told["fixed"]["days_to_recover_mean"] == 6  # 72 hours are too few, 144 are not
    assert told["oracle"]["days_to_recover_mean"] == 5  # the first 7:00 after 100 hours


def test_a_population_without_accounts_has_nothing_to_tell():
    told = evaluate(population(accounts=[]))
    assert told["strategies"]["qist"]["recovered_share"] is None
    assert told["gap_closed"] == {"recovered": None, "net": None}


@pytest.mark.parametrize("kind", KINDS)
def test_on_every_kind_qist_recovers_more_than_fixed_with_no_more_attempts(kind):
    made = generate(kind, 1001, 60, date(2026, 1, 1), date(2026, 6, 30))
    told = evaluate(Population.model_validate(made))
    qist, fixed, oracle = (told["strategies"][name] for name in ("qist", "fixed", "oracle"))
    assert fixed["recovered_paise"] < qist["recovered_paise"] <= oracle["recovered_paise"] * 1.05
    assert qist["net_paise"] > fixed["net_paise"]
    assert qist["attempts"] <= fixed["attempts"]
    for figures in told["strategies"].values():
        assert figures["net_paise"] == figures["recovered_paise"] - figures["cost_paise"]
        assert figures["collected_first_paise"] + figures["recovered_paise"] <= figures["due_paise"]


def test_the_same_seed_makes_the_same_population_and_another_seed_another():
    period = date(2026, 1, 1), date(2026, 3, 31)
    assert generate("gig", 5, 3, *period) == generate("gig", 5, 3, *period) != generate("gig", 6, 3, *period)


def test_a_mean_over_several_populations_has_an_interval():
    answers = [{"gap_closed": {"recovered": gap, "net": None}} for gap in (0.5, 0.6, 0.7)]
    assert summary(answers) == {
        "recovered": {
            "populations": 3,
            "mean": 0.6,
            "low": pytest.approx(0.3516, abs=1e-3),
            "high": pytest.approx(0.8484, abs=1e-3),
        }
    }


def test_calibration_sets_what_was_said_beside_what_happened():
    told = calibration([(0.9, True), (0.9, True), (0.95, False), (0.1, False)])
    assert told["bounced_share"] == 0.5
    assert told["brier"] == pytest.approx((0.01 + 0.01 + 0.9025 + 0.01) / 4, abs=1e-3)
    assert told["brier_of_the_mean"] == 0.25
    assert [(row["count"], row["happened"]) for row in told["reliability"]] == [(1, 0.0), (3, 0.6667)]
    assert calibration([]) is None


def test_bounces_are_foreseen_better_than_by_their_mean_rate():
    made = generate("mixed", 1002, 60, date(2026, 1, 1), date(2026, 12, 31))
    told = evaluate(Population.model_validate(made))["calibration"]
    assert told["brier"] < 0.75 * told["brier_of_the_mean"]
