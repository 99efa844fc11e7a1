"""Each life in tests/scenarios comes out as its file says, on the pure domain."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from adapters.scenario import Scenario, answer, differences, live
from tests.scenario_files import RULES, scenarios

ALL = dict(scenarios())


@pytest.mark.parametrize("name", ALL)
def test_a_life_comes_out_as_its_file_says(name: str) -> None:
    scenario = ALL[name]
    assert scenario.title, "a file says what it is about"
    assert scenario.story, "a file says what happens"
    assert scenario.figures, "a file says how its figures come about"
    assert scenario.expected, "a file says what must come of it"
    came = answer(scenario, live(scenario, RULES), RULES)
    assert list(differences(scenario.expected, came)) == []
    assert came["ledger"]["trial_balance_paise"] == 0
    assert came["unused_script"] == [], "the gateway was told to answer what nobody asked"


def test_every_life_has_a_loan_and_a_borrower_of_its_own() -> None:
    """They are lived side by side in one house, too, where a borrower's loans are looked at together."""
    assert twice(scenario.disbursal["loan_id"] for scenario in ALL.values()) == []
    assert twice(scenario.disbursal["borrower"]["borrower_id"] for scenario in ALL.values()) == []


def twice(names: Any) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def test_a_wrong_expectation_is_found() -> None:
    """So that the files cannot agree with anything."""
    scenario: Scenario = ALL["punctual"]
    came = answer(scenario, live(scenario, RULES), RULES)
    assert list(differences({"loan": {"state": "active"}}, came)) == ['loan.state: expected "active", actual "closed"']
