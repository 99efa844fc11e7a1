"""Work for a person: how a decision opens a case."""

from __future__ import annotations

from domain.decisions.rules import Rules
from domain.events import CaseOpened
from domain.loan import Loan
from domain.refusals import Refusal, Refused


def a_case(loan: Loan, kind: str, reason: str, number: int = 0, about: str = "", command_id: str = "") -> CaseOpened:
    """The loan's next case; `number` is the instalment that it is about, 0 for none."""
    return CaseOpened(
        case_id=f"{loan.id}:case:{loan.cases + 1}",
        kind=kind,
        reason=reason,
        number=number,
        about=about,
        command_id=command_id,
    )


def case_is_open(loan: Loan, kind: str, about: str) -> bool:
    """Whether a person has this before him already."""
    return bool(about) and any(file["kind"] == kind and file["about"] == about for file in loan.case_files.values())


def known_disposition(code: str, rules: Rules) -> None:
    """A disposition is one of the lender's table; where there is no table, none is."""
    known = rules.casework.dispositions
    if code not in known:
        raise Refused(Refusal.disposition_unknown, "/disposition", disposition=code, known=", ".join(known))
