"""Lives of loans that other systems publish in their own tests come out the same, figure by figure, or it is said why.

Every figure that means the same in Qist is asserted. One that does not is named in the case's `unlike` with the reason
and with what Qist has instead, which is asserted too; a figure may not be named there when it is the same after all.
"""

from __future__ import annotations

from typing import Any

import pytest

from adapters.scenario import differences
from tests.domain.payment_cases import CASES, STEPS, Case, figures, lived

EXPECTATIONS = [
    pytest.param(case, index, id=f"{case['id'].removeprefix('pay-fineract-')}-{index}")
    for case in CASES
    for index, said in enumerate(case["steps"])
    if "expect" in said
]
QUIET: dict[str, Any] = {"rejected": [], "cases": [], "ledger": {"trial_balance_paise": 0}}
"""What holds wherever nothing else is said: no step is refused, nobody has to look, the books balance."""


def unlike(case: Case, upto: int) -> dict[str, Any]:
    said = [each for each in case.get("qist", {}).get("unlike", []) if each["expect"] == upto]
    assert len(said) <= 1
    return said[0] if said else {"theirs": [], "qist": {}}


@pytest.mark.parametrize(("case", "upto"), EXPECTATIONS)
def test_every_published_figure_comes_out_or_is_explained(case: Case, upto: int) -> None:
    ours = lived(case, upto)
    explained = unlike(case, upto)
    compared = list(figures(case, upto, ours))
    other = {path for path, theirs, mine in compared if theirs != mine}
    named = {
        path
        for path, *_ in compared
        if any(path == name or path.startswith(f"{name}.") for name in explained["theirs"])
    }
    assert [each for each in compared if each[0] in other - named] == []
    assert len(compared) > len(named) or "status" in named, "something is asserted of every expectation"
    assert [name for name in explained["theirs"] if not any(path.startswith(name) for path in other)] == []
    assert list(differences({**QUIET, **explained["qist"]}, ours)) == []


def test_all_cases_are_here_and_every_unlike_figure_has_its_reason() -> None:
    assert len({case["id"] for case in CASES}) == len(CASES) == 19
    for case in CASES:
        assert {"source_repo", "source_commit", "source_path", "source_test"} <= set(case)
        for said in case.get("qist", {}).get("unlike", []):
            assert len(said["why"]) > 60
            assert said["qist"], "what Qist has instead"
            assert "expect" in case["steps"][said["expect"]]


def test_every_action_is_said_to_qist_or_has_no_word_there() -> None:
    actions = {said["action"] for case in CASES for said in case["steps"] if "action" in said}
    assert actions - set(STEPS) == {"disburse", "chargeback"}
    assert set(STEPS) <= actions


def case_of(name: str) -> Case:
    return next(case for case in CASES if case["id"].endswith(name))


def test_interest_of_days_late_is_in_the_next_row_before_and_after_the_late_money() -> None:
    """What is shown while an instalment is overdue is what comes of it when it is paid on that day."""
    case = case_of("Loan-L5705")
    paid = {"on_business_date": "2024-03-10", "action": "repayment", "date": "2024-03-10", "amount": "17.01"}
    case = {**case, "steps": [*case["steps"][:2], paid, case["steps"][2]]}
    other = {path for path, theirs, mine in figures(case, 3, lived(case, 3)) if theirs != mine}
    assert other == {"rows.2.paid", "rows.2.paid_on"}  # which the source has before that payment


def test_a_pay_off_is_the_quote_of_its_day() -> None:
    case = case_of("Loan-L5539")
    quoted = {"on_business_date": "2024-02-15", "expect": {}}
    before = {**case, "steps": [*case["steps"][:4], quoted]}
    assert lived(before, 4)["preclosure"]["total_paise"] == 8381
