"""How a decision levies a charge."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from domain.decisions.rules import percent_of
from domain.events import ChargeLevied
from domain.loan import Loan


def a_charge(
    loan: Loan,
    kind: str,
    paise: int,
    gst_percent: Decimal,
    due_on: date,
    reason: str,
    *,
    number: int = 0,
    through: date | None = None,
    command_id: str = "",
) -> ChargeLevied:
    """The loan's next charge, with its GST; `number` is the instalment that it is about, 0 for none, `through` the last
    day that a charge by the day counts."""
    return ChargeLevied(
        charge_id=f"{loan.id}:charge:{loan.charges + 1}",
        kind=kind,
        amount_paise=paise,
        gst_paise=percent_of(paise, gst_percent),
        due_on=due_on.isoformat(),
        number=number,
        reason=reason,
        command_id=command_id,
        through=through.isoformat() if through else "",
    )
