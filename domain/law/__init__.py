"""The rules of the land as dated data, and the pure functions that answer by them.

A module a topic. A function answers with `Ruled(value, rule)`: the value, and the version of the rule that gave it, for
the event to record. docs/law.md is written from `TOPICS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from domain.law import (
    bureau,
    classification,
    closing,
    contact,
    debits,
    disbursal,
    kfs,
    payouts,
    penal,
    prepayment,
    provisions,
    reset,
)
from domain.law.dated import AnyRule, DatedRule, Lender, Ruled, in_force, lender_kind

__all__ = ["ALL", "TOPICS", "DatedRule", "Lender", "Ruled", "in_force", "lender_kind"]

TOPICS: Final[Mapping[str, tuple[AnyRule, ...]]] = {
    "Key Facts Statement and APR": kfs.RULES,
    "Paying out": disbursal.RULES,
    "Payouts by rail": payouts.RULES,
    "Penal charges and GST": penal.RULES,
    "Pre-payment": prepayment.RULES,
    "Floating-rate resets": reset.RULES,
    "Classification": classification.RULES,
    "Provisions": provisions.RULES,
    "Contact for recovery": contact.RULES,
    "Credit bureaus": bureau.RULES,
    "Debits": debits.RULES,
    "Closing, grievances, compensation": closing.RULES,
}
ALL: Final[tuple[AnyRule, ...]] = tuple(rule for rules in TOPICS.values() for rule in rules)
