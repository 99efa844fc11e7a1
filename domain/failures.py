"""Rail code -> what a failure means, its class, and what to do next.

The tables are data (`domain/reference/*.csv`); `class`, `action` and `charge_bounce` there are the lender's policy
reading. A code that no table knows is technical, charges nobody and asks a person to look.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

SUCCESS, SOFT, HARD, TECHNICAL = "success", "soft", "hard", "technical"
"""What came of a debit: the money, or a class of failure."""

TABLES_OF_RAIL: dict[str, tuple[str, ...]] = {
    "enach": ("NACH_DEBIT_RETURN", "NACH_DEBIT_REJECT"),
    "nach": ("NACH_DEBIT_RETURN", "NACH_DEBIT_REJECT"),
    "upi": ("UPI", "UPI_AUTOPAY"),
    "card": ("CARD_ISO8583", "CARD_EMANDATE_IN", "CARD_ANY"),
    "imps": ("IMPS", "NEFT_RTGS_ISO20022"),
    "neft": ("NEFT", "NEFT_RTGS_ISO20022"),
    "rtgs": ("NEFT", "NEFT_RTGS_ISO20022"),
}
"""Our rail -> the reference tables to look in, in order (the same number means other things on other rails)."""

PENDING_CODES = frozenset(
    {("enach", "98"), ("nach", "98"), ("upi", "01"), ("upi", "RB"), ("upi", "96"), ("imps", "08")}
    | {("imps", code) for code in ("12", "20", "22", "91", "92", "307")}
)
"""(rail, code) that mean 'no answer yet': neither success nor failure (servicing rule 34)."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What one failure code means."""

    code: str
    failure_class: str
    action: str
    meaning: str
    charge_bounce: bool
    known: bool = True
    pending: bool = False


class FailureCodes:
    """The tables, looked up by (rail, code)."""

    def __init__(self, rows: Iterable[Mapping[str, str]]) -> None:
        self._by_table: dict[tuple[str, str], Diagnosis] = {
            (row["rail"], row["code"]): Diagnosis(
                code=row["code"],
                failure_class=row["class"],
                action=row["action"],
                meaning=row["meaning"],
                charge_bounce=row["charge_bounce"] == "yes",
            )
            for row in rows
        }

    @classmethod
    def from_csv(cls, texts: Iterable[str]) -> FailureCodes:
        """From the text of reference CSV files (columns: rail, code, meaning, class, action, charge_bounce)."""
        return cls(row for text in texts for row in csv.DictReader(text.splitlines()))

    def diagnose(self, rail: str, code: str) -> Diagnosis:
        """The meaning of a code on a rail; an unknown one is technical, uncharged, and for a person to look at."""
        for table in TABLES_OF_RAIL.get(rail, ()):
            found = self._by_table.get((table, code))
            if found is not None:
                return replace(found, pending=True) if (rail, code) in PENDING_CODES else found
        return Diagnosis(
            code=code,
            failure_class=TECHNICAL,
            action="investigate",
            meaning="a code that no table knows",
            charge_bounce=False,
            known=False,
        )
