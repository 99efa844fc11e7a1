"""Work for a person: how a decision opens a case."""

from __future__ import annotations

from domain.events import CaseOpened
from domain.loan import Loan


def a_case(loan: Loan, kind: str, reason: str, number: int = 0, about: str = "") -> CaseOpened:
    """The loan's next case; `number` is the instalment that it is about, 0 for none."""
    return CaseOpened(case_id=f"{loan.id}:case:{loan.cases + 1}", kind=kind, reason=reason, number=number, about=about)
