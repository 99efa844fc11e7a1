"""The topics: their names and keys, and which partition a loan lives in."""

from __future__ import annotations

from dataclasses import dataclass

try:
    from murmurhash2 import murmurhash2 as _murmur2_c
except ImportError:  # pragma: no cover - the wheel is old; the fallback must go on working
    _murmur2_c = None

from aiokafka.partitioner import murmur2 as _murmur2_python

SEED = 0x9747B28C


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of ours. `partitions` None = the loans' partition count."""

    name: str
    key: str
    compacted: bool = False
    partitions: int | None = None


DISBURSALS = Topic("los.disbursals", "loan_id")
PAYOUT_OUTCOMES = Topic("gateway.payout-outcomes", "loan_id")
DEBIT_OUTCOMES = Topic("gateway.debit-outcomes", "loan_id")
MANDATE_OUTCOMES = Topic("gateway.mandate-outcomes", "loan_id")
PAYMENTS = Topic("gateway.payments", "loan_id")
COMMANDS = Topic("servicing.commands", "loan_id")
NOTICE_OUTCOMES = Topic("gateway.notice-outcomes", "loan_id")
"""What became of notices, as the providers say; the notifier follows it, the engine does not."""
UPDATES = Topic("los.updates", "borrower_id")

INBOUND = (DISBURSALS, PAYOUT_OUTCOMES, DEBIT_OUTCOMES, MANDATE_OUTCOMES, PAYMENTS, COMMANDS)
"""What the engine consumes: all keyed by loan, all with the same partition count."""

LOAN_EVENTS = Topic("servicing.loan-events", "loan_id")
PAYOUT_INSTRUCTIONS = Topic("servicing.payout-instructions", "loan_id")
DEBIT_INSTRUCTIONS = Topic("servicing.debit-instructions", "loan_id")
MANDATE_INSTRUCTIONS = Topic("servicing.mandate-instructions", "loan_id")
PAYMENT_LINKS = Topic("servicing.payment-links", "loan_id")
NOTIFICATIONS = Topic("servicing.notifications", "loan_id")
CASES = Topic("servicing.cases", "loan_id")
DEAD_LETTERS = Topic("servicing.dead-letters", "the original key")
BORROWER_LOANS = Topic("servicing.borrower-loans", "borrower_id", compacted=False)
"""Which loans a borrower has, told when a loan is booked, and that a borrower was erased: what the fan-out of
`los.updates` is built from."""
LOAN_STANDINGS = Topic("servicing.loan-standings", "borrower_id")
"""How each loan of a borrower stands: what the classification per borrower is built from (servicing rule 21)."""

GATEWAY_HEALTH = Topic("servicing.gateway-health", "gateway|rail", compacted=True)
"""Which gateways are down, told by the streams and followed by the engines."""

PROJECTION_LEDGER = Topic("projection.ledger", "loan_id")
PROJECTION_DELINQUENCY = Topic("projection.delinquency", "loan_id", compacted=True)
PROJECTION_DASHBOARD = Topic("projection.dashboard", "dimension", compacted=True)
PAYMENT_INSIGHTS = Topic("projection.payment-insights", "bank|rail|gateway", compacted=True)

OUTBOUND = (
    LOAN_EVENTS,
    PAYOUT_INSTRUCTIONS,
    DEBIT_INSTRUCTIONS,
    MANDATE_INSTRUCTIONS,
    PAYMENT_LINKS,
    NOTIFICATIONS,
    CASES,
    DEAD_LETTERS,
    BORROWER_LOANS,
    LOAN_STANDINGS,
    GATEWAY_HEALTH,
    PROJECTION_LEDGER,
    PROJECTION_DELINQUENCY,
    PROJECTION_DASHBOARD,
    PAYMENT_INSIGHTS,
)
TOPICS = (*INBOUND, UPDATES, NOTICE_OUTCOMES, *OUTBOUND)


def partition_of(key: str, partitions: int) -> int:
    """A key's partition by Kafka's default partitioner (murmur2): the home of a loan for life."""
    data = key.encode()
    hashed = _murmur2_c(data, SEED) if _murmur2_c is not None else _murmur2_python(data)
    return (hashed & 0x7FFFFFFF) % partitions
