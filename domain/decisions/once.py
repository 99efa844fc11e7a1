"""A command that was done is not done again."""

from __future__ import annotations

from domain.loan import Loan
from domain.refusals import Repeated


def once(loan: Loan, command_id: str) -> None:
    """Raises `Repeated` for a command that the loan has done."""
    if command_id in loan.command_ids:
        raise Repeated
