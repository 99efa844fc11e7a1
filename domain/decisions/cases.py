"""Work for a person: how a decision opens a case."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from domain.decisions.rules import Rules
from domain.events import CaseClosed, CaseOpened
from domain.loan import Loan
from domain.refusals import Refusal, Refused

CURED = "cured"
"""The outcome and the disposition of a case that has become moot."""


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


def is_open(loan: Loan, kind: str, about: str = "") -> bool:
    """Whether somebody has this work already; `about` empty = whatever it is about."""
    return any(file["kind"] == kind and (not about or file["about"] == about) for file in loan.case_files.values())


def is_cured(loan: Loan, kinds: Collection[str], note: str) -> Iterator[CaseClosed]:
    """Open cases of these kinds need nobody any more."""
    for case_id, file in list(loan.case_files.items()):
        if file["kind"] in kinds:
            yield CaseClosed(case_id=case_id, outcome=CURED, note=note, disposition=CURED)


def known_disposition(code: str, rules: Rules) -> None:
    """A disposition is one of the lender's table; where there is no table, none is."""
    known = rules.casework.dispositions
    if code not in known:
        raise Refused(Refusal.disposition_unknown, "/disposition", disposition=code, known=", ".join(known))
