"""What a decision may look at besides the loan: products, failure codes. Read first, then decide; nothing waits."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from domain.failures import FailureCodes
from domain.loan import Loan
from domain.policies.circuit import GatewayHealth
from domain.policies.collections import Casework, Strategies
from domain.policies.insight import Insight
from domain.product import Product, Products


@dataclass(frozen=True, slots=True)
class Rules:
    """The lender's rules as they stand now."""

    products: Products
    codes: FailureCodes
    insight: Insight = field(default_factory=Insight.empty)
    """What the whole book's outcomes say, as of the start of the day."""
    strategies: Strategies = field(default_factory=Strategies)
    """How arrears are treated; none = by people alone."""
    casework: Casework = field(default_factory=Casework)
    """Whose work a case is, and by when."""

    health: GatewayHealth = field(default_factory=GatewayHealth.well)
    """Which gateways are down now."""

    def product_of(self, loan: Loan) -> Product:
        """The version that the loan was booked under."""
        return self.products.of(loan.product, loan.product_version)


def percent_of(paise: int, percent: Decimal) -> int:
    """A percentage of an amount, to the nearest paisa, half away from zero (servicing rule 1)."""
    return int((Decimal(paise) * percent / 100).quantize(Decimal(1), ROUND_HALF_UP))
