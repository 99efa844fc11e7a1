"""Which gateway carries a payout, a refund or a mandate's cancellation: decided in one place, whatever asked for it.

Debits are weighed by what each way brings (`domain.policies.routing`). Here every gateway of the rail brings the same:
the first in the lender's order goes that works, and of these one that has not failed with the same money.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from domain.decisions.rules import Rules
from domain.events import LoanEvent, MandateCancelInstructed, PayoutInstructed, RefundInstructed
from domain.loan import Loan
from domain.policies.circuit import GatewayHealth


def addressed(loan: Loan, fact: LoanEvent, at: datetime, rules: Rules) -> LoanEvent:
    """The fact with the name of its gateway, where the lender has named any."""
    match fact:
        case PayoutInstructed():
            names = gateways_for(loan, fact.rail, rules)
            failed = tried_for(loan, fact.tranche, fact.rail)
        case RefundInstructed():
            names = gateways_for(loan, fact.rail, rules)
            failed = {loan.payout_gateways.get(fact.retry_of, "")}
        case MandateCancelInstructed():
            names, failed = gateways_of_mandate(loan, fact, rules), set[str]()
        case _:
            return fact
    gateway = first_that_works(names, failed, fact.rail, at, fact.instruction_id, rules.health)
    return replace(fact, gateway=gateway) if gateway else fact


def gateways_for(loan: Loan, rail: str, rules: Rules) -> Sequence[str]:
    return rules.product_of(loan).payout_gateways.get(rail, ())


def tried_for(loan: Loan, tranche: int, rail: str) -> set[str]:
    """The gateways that were asked for this tranche by this rail."""
    asked = (known for known, index in loan.payouts.items() if index == tranche and loan.payout_rails[known] == rail)
    return {loan.payout_gateways.get(known, "") for known in asked}


def has_another(loan: Loan, tranche: int, rail: str, rules: Rules) -> bool:
    """Whether a gateway is left that was not asked for this tranche by this rail."""
    return not tried_for(loan, tranche, rail).issuperset(gateways_for(loan, rail, rules))


def gateways_of_mandate(loan: Loan, fact: MandateCancelInstructed, rules: Rules) -> Sequence[str]:
    """The mandate's own first, then those that can serve each other's; none where the mandate names none."""
    own = next((one.get("gateway") for one in loan.mandates if one["mandate_id"] == fact.mandate_id), "") or ""
    return (own, *rules.product_of(loan).gateways.get(fact.rail, ())) if own else ()


def first_that_works(
    names: Sequence[str], failed: Collection[str], rail: str, at: datetime, about: str, health: GatewayHealth
) -> str:
    """Empty when there is none to choose from. One that is down comes before none at all, and after one that failed."""
    works = [name for name in names if not health.why_not(name, rail, at, about)]
    fresh = [name for name in works if name not in failed]
    return next(iter([*fresh, *works, *(name for name in names if name not in failed), *names]), "")
