"""The movements that reconciliation looks for are the ledger's bank account, to the paisa."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.loan import Loan
from projections.ledger import BANK, post
from projections.reconciliation import MOVEMENTS, SAID, Reconciliation
from tests.lives import PRODUCTS, RULES, a_life
from tests.projections.test_read_models import folded, named, recorded


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9))
def test_what_moved_is_what_the_ledger_has_at_the_bank(seed: int) -> None:
    life = a_life(seed, products=PRODUCTS)
    loan, bank = Loan.shell(f"LN-{seed}"), 0
    for event in life:
        paise = post(event, loan).get(BANK, 0)
        assert paise == 0 or type(event) in SAID, event.TOPIC
        bank += paise
        loan.evolve(event)
    rows = [named(MOVEMENTS, row) for row in folded(Reconciliation(RULES), recorded(life)).of(MOVEMENTS).values()]
    assert sum(row["paise"] for row in rows if row["what"] == "moved") == bank
    moved = Counter(row["what"] for row in rows)
    assert moved["booked"] == 1
