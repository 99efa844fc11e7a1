"""A loan folded from its events, and everything that it is, so that two can be compared field by field."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from domain.codec import decode, encode
from domain.events import LoanEvent
from domain.loan import Loan

CACHES = {"planned", "settled_dues", "terms_read"}
"""What a loan has worked out to be quick."""


def fields(loan: Loan) -> dict[str, Any]:
    """Everything that a loan is."""
    kept = {name: getattr(loan, name) for name in Loan.__annotations__ if name not in CACHES}
    return kept | {"version": loan.version, "known_at": loan.known_at}


def folded(events: Iterable[LoanEvent]) -> Loan:
    """The loan as the stored bytes of these events make it."""
    events = list(events)
    loan = Loan.shell(events[0].originator_id)
    for event in events:
        loan.evolve(decode(event.TOPIC, encode(event), loan.id, event.originator_version))
    return loan
