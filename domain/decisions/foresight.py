"""Whether the next debit is likely to bounce, looked at while there is time to put the money in place."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from domain.decisions.debits import amount_to_ask
from domain.events import BounceForeseen, LoanEvent
from domain.failures import SOFT
from domain.loan import Loan
from domain.parts import Row
from domain.policies.likelihood import MODEL, Borrower
from domain.policies.weighing import RECENT, foresee, percent
from domain.product import Product


def in_doubt(loan: Loan, row: Row) -> bool:
    """Whether it is worth looking ahead: one of the last instalments found no funds. All others are not looked at, so
    that work grows with trouble and not with loans."""
    return any(
        answer.outcome == SOFT and row.number - RECENT <= answer.number < row.number for answer in loan.answered_debits
    )


def look_ahead(loan: Loan, row: Row, due_at: datetime, product: Product) -> Iterator[LoanEvent]:
    """What the model of retries says of the due day; the borrower is told from the product's threshold on."""
    risk = foresee(Borrower(loan.segment, loan.salary_day), loan.answered_debits, due_at)
    likelihood = percent(risk.bounces)
    yield BounceForeseen(
        number=row.number,
        due_on=row.due_on.isoformat(),
        amount_paise=amount_to_ask(loan, row.number),
        likelihood_percent=likelihood,
        reasons=list(risk.reasons),
        model=MODEL,
        nudged=likelihood >= product.bounce_risk_percent,
    )
