"""By which mandate and which gateway a debit is asked for now: what can be used, and of that what is worth most.

The first mandate in the order of preference, by its own gateway, goes first. Another way goes before it when it carries
the whole amount and the first does not, when the first's gateway is down, or when it is expected to bring more by the
product's margin: the amount, times how likely a debit goes through there by what the whole book has seen of late, less
what the debit costs. Whole numbers throughout: likelihoods are in basis points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from domain.calendar import IST, ist_day
from domain.law.debits import afa_needed, notice_hours
from domain.policies.circuit import GatewayHealth
from domain.policies.insight import Insight, Tally
from domain.policies.mandates import Mandate, obstacle
from domain.product import Product

OWN_GATEWAY: Final = "sponsor-bank"
"""Of a mandate that names none."""
ALL_BPS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """The debit to route: its amount in paise, its moment, the rail of which the borrower was told, the mandate that
    is in use."""

    amount_paise: int
    at: datetime
    told_rail: str
    in_use: Mandate


@dataclass(frozen=True, slots=True)
class Route:
    """What was chosen, why, and what else was weighed (both empty where there was one way only)."""

    mandate: Mandate
    gateway: str
    amount_paise: int
    reason: str = ""
    other_ways: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class NoWay:
    """Nothing can be debited, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Way:
    """One mandate by one gateway."""

    mandate: Mandate
    gateway: str
    amount_paise: int
    """What it can carry of the amount wanted."""
    why_not: str
    """Why it cannot be used at all; empty when it can."""
    down: str
    """Why its gateway should be avoided; empty when it works."""
    arrives_bps: int
    cost_paise: int
    with_pin: bool

    @property
    def worth_paise(self) -> int:
        """What it is expected to bring, less its cost."""
        return self.amount_paise * self.arrives_bps // ALL_BPS - self.cost_paise

    def told(self, why_not: str) -> dict[str, Any]:
        """As the event has it."""
        return {
            "mandate_id": self.mandate["mandate_id"],
            "rail": self.mandate["rail"],
            "gateway": self.gateway,
            "arrives_bps": self.arrives_bps,
            "cost_paise": self.cost_paise,
            "why_not": why_not,
        }


def choose(
    mandates: Sequence[Mandate], wanted: Wanted, product: Product, insight: Insight, health: GatewayHealth
) -> Route | NoWay:
    """The way for a debit; where no mandate can be used, why the one in use cannot."""
    day = ist_day(wanted.at)
    if len(mandates) == 1 and not product.gateways:  # most loans: nothing to weigh
        if why_not := obstacle(mandates[0], day):
            return NoWay(why_not)
        only = mandates[0]
        return Route(only, own_gateway(only), carried(only, wanted.amount_paise))
    ways = list(all_ways(mandates, wanted, product, insight, health))
    open_ways = [way for way in ways if not way.why_not]
    if not open_ways:
        return NoWay(obstacle(wanted.in_use, day) or ways[0].why_not if ways else "the loan has no mandate")
    if len(ways) == 1:
        return Route(ways[0].mandate, ways[0].gateway, ways[0].amount_paise)
    preferred = next((way for way in open_ways if way.mandate is wanted.in_use), open_ways[0])
    best, reason = better(preferred, open_ways, wanted, product)
    others = [way.told(way.why_not or why_behind(way, best, preferred, wanted)) for way in ways if way is not best]
    inputs = {
        "arrives_bps": best.arrives_bps,
        "cost_paise": best.cost_paise,
        "insight_as_of": insight.as_of.isoformat() if insight.as_of else "",
    }
    return Route(best.mandate, best.gateway, best.amount_paise, reason, others, inputs)


def better(preferred: Way, ways: Sequence[Way], wanted: Wanted, product: Product) -> tuple[Way, str]:
    """The way that goes first, and why: rules in order, each of which may move away from the preferred one."""
    working = [way for way in ways if not way.down]
    if preferred.down and working:
        best = max(working, key=lambda way: (way.amount_paise, way.worth_paise))
        return best, preferred.down
    if not working:
        return preferred, "every gateway is down: the first in order that can be used"
    whole = [way for way in working if way.amount_paise == wanted.amount_paise]
    if preferred not in whole and whole:
        best = max(whole, key=lambda way: way.worth_paise)
        return best, f"mandate {preferred.mandate['mandate_id']} carries {preferred.amount_paise} paise only"
    without_pin = [way for way in whole or working if not way.with_pin]
    if preferred.with_pin and without_pin:
        best = max(without_pin, key=lambda way: way.worth_paise)
        return best, f"above what {preferred.mandate['rail']} debits without the payer's factor"
    best = max(working, key=lambda way: way.worth_paise)
    margin = int(wanted.amount_paise * product.routing_margin_percent / 100)
    if best.worth_paise > preferred.worth_paise + margin:
        return best, f"{best.worth_paise - preferred.worth_paise} paise more are expected than by the first mandate"
    return preferred, "the first in order that can be used"


def why_behind(way: Way, best: Way, preferred: Way, wanted: Wanted) -> str:
    """Why a way that could be used was not."""
    if way.down:
        return way.down
    if way.amount_paise < wanted.amount_paise and best.amount_paise > way.amount_paise:
        return f"carries {way.amount_paise} paise only"
    if way.with_pin and not best.with_pin:
        return "needs the payer's factor"
    gain = way.worth_paise - best.worth_paise
    if best is preferred and gain > 0:
        return f"{gain} paise more are expected, within the margin"
    return f"{-gain} paise less are expected" if gain < 0 else "behind in the order of preference"


def all_ways(
    mandates: Sequence[Mandate], wanted: Wanted, product: Product, insight: Insight, health: GatewayHealth
) -> Iterator[Way]:
    """Every mandate by every gateway of its rail, in order of preference."""
    day = ist_day(wanted.at)
    for mandate in mandates:
        rail = mandate["rail"]
        why_not = obstacle(mandate, day)
        if not why_not and rail != wanted.told_rail and notice_hours(rail, day).value:
            why_not = f"the borrower was not told of a debit by {rail} {notice_hours(rail, day).value} hours ahead"
        own = own_gateway(mandate)
        for gateway in (own, *(other for other in product.gateways.get(rail, ()) if other != own)):
            amount = carried(mandate, wanted.amount_paise)
            yield Way(
                mandate,
                gateway,
                amount,
                why_not,
                health.why_not(gateway, rail, wanted.at, f"{mandate['mandate_id']}:{wanted.at.isoformat()}"),
                arrives_bps(insight, mandate.get("bank", ""), rail, gateway, wanted.at),
                product.debit_cost_paise.get(rail, 0),
                afa_needed(rail, day, amount).value,
            )


def own_gateway(mandate: Mandate) -> str:
    return mandate.get("gateway") or OWN_GATEWAY


def carried(mandate: Mandate, paise: int) -> int:
    """What of an amount fits the mandate's limit."""
    return min(paise, mandate.get("max_amount_paise") or paise)


# --- What the whole book has seen ----------------------------------------------------------------------------

TECHNICAL_BPS: Final = 200
"""Technical failures where nothing is known."""
FUNDED_BPS: Final = 7_000
"""Debits that find the money, of those that reach the account, where nothing is known."""
WEIGHT: Final = 20
"""As so many answers weighs what was known before, at each step from the general to the particular."""


def arrives_bps(insight: Insight, bank: str, rail: str, gateway: str, at: datetime) -> int:
    """How likely a debit brings its money, in basis points: it goes through (by gateway and rail, then by bank, then in
    this hour of the day, then yesterday), and the account has it (by bank and rail)."""
    if insight.as_of is None:
        return (ALL_BPS - TECHNICAL_BPS) * FUNDED_BPS // ALL_BPS
    hour = at.astimezone(IST).hour
    technical = TECHNICAL_BPS
    for tally in (
        insight.of(rail=rail, gateway=gateway),
        insight.of(bank=bank, rail=rail, gateway=gateway),
        insight.of(bank=bank, rail=rail, gateway=gateway, hour=hour),
        insight.of(bank=bank, rail=rail, gateway=gateway, recent=True),
    ):
        technical = shrunk(tally.technical, tally.answered, technical)
    seen: Tally = insight.of(bank=bank, rail=rail)
    funded = shrunk(seen.success, seen.success + seen.soft, FUNDED_BPS)
    return (ALL_BPS - technical) * funded // ALL_BPS


def shrunk(count: int, of: int, prior_bps: int) -> int:
    """A share in basis points, drawn to what was known before."""
    return (count * ALL_BPS + prior_bps * WEIGHT) // (of + WEIGHT)
