"""Rail code -> what a failure means, its class, and what to do next.

The tables are data (`domain/reference/*.csv`); `class`, `action` and `charge_bounce` there are the lender's policy
reading. An operator's word on a code (`Classification`) goes before the shipped row. A code that nobody knows is read
by what stands beside it: the bank's own code, then the gateway's words (`domain/reference/reasons/*.csv`). What is
unknown after that is technical, charges nobody and asks a person to look.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

SUCCESS, SOFT, HARD, TECHNICAL = "success", "soft", "hard", "technical"
CLASSES = (SOFT, HARD, TECHNICAL)
"""What came of a debit: the money, or a class of failure."""

ACTIONS: dict[str, tuple[str, ...]] = {
    SOFT: ("retry_after_funds", "retry", "alternate_rail", "investigate"),
    HARD: ("fix_mandate", "alternate_rail", "stop", "investigate"),
    TECHNICAL: ("retry", "fix_mandate", "alternate_rail", "investigate"),
}
"""Class -> what can be done next: what is hard is never simply tried again."""

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
    {(rail, code) for rail in ("enach", "nach") for code in ("98", "82")}
    | {("upi", code) for code in ("00", "01", "RB", "96", "DD", "U31", "U67", "U68")}
    | {("card", "00")}
    | {("imps", code) for code in ("00", "08", "12", "20", "22", "91", "92", "307")}
)
"""(rail, code) that mean 'no answer yet', or that the payer may have been debited (time-outs, 'deemed', 'approved'):
neither success nor failure, whatever the message calls it (servicing rule 34)."""

TAKEN_BEFORE = frozenset(
    {(rail, code) for rail in ("enach", "nach") for code in ("13", "31")}
    | {("upi", code) for code in ("U01", "DT", "VE", "QB")}
    | {("card", "94")}
)
"""(rail, code) that refuse a debit because an earlier one was taken: asking again could only debit twice, so a person
looks for the earlier one."""

WRAPPERS = frozenset({("upi", "U30")})
"""(rail, code) that say only that something failed: the bank's code beside it says what (`U30|Z9`)."""

BY_BANK_CODE, BY_REASON_TEXT, BY_OPERATOR = "bank-code", "reason-text", "operator"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What one failure code means."""

    code: str
    """The code whose row decided: the one that came, or what stood beside it."""
    failure_class: str
    action: str
    meaning: str
    charge_bounce: bool
    known: bool = True
    pending: bool = False
    taken_before: bool = False
    """Refused as a repetition: an earlier debit may have brought the money."""
    by: str = ""
    """Whose word it is: empty = the shipped table's on the code that came; else `bank-code`, `reason-text`,
    `operator`."""


@dataclass(frozen=True, slots=True)
class Classification:
    """An operator's word on a code of a rail, from version `number` of the lender's mapping on."""

    number: int
    rail: str
    code: str
    failure_class: str
    action: str
    meaning: str
    charge_bounce: bool


@dataclass(frozen=True, slots=True)
class Wording:
    """Words of a gateway (a regular expression, any case) that mean a code of a table."""

    table: str
    pattern: re.Pattern[str]
    code: str


def flaws(failure_class: str, action: str, charge_bounce: bool) -> list[tuple[str, str]]:
    """What is wrong with a classification: (field, why); empty when it can be taken."""
    if failure_class not in ACTIONS:
        return [("class", f"is {failure_class!r}, not one of {', '.join(ACTIONS)}")]
    found: list[tuple[str, str]] = []
    if action not in ACTIONS[failure_class]:
        found.append(("action", f"is {action!r}: a {failure_class} failure allows {', '.join(ACTIONS[failure_class])}"))
    if charge_bounce and failure_class == TECHNICAL:
        found.append(("charge_bounce", "is true, but nobody is charged for a technical failure"))
    return found


def family(rail: str) -> str:
    """Rails that speak the same codes have one name here: `nach` and `enach` do."""
    return TABLES_OF_RAIL.get(rail, (rail,))[0]


@dataclass(frozen=True)
class FailureCodes:
    """The tables, looked up by (rail, code), and the lender's own words on top."""

    by_table: Mapping[tuple[str, str], Diagnosis]
    wordings: Sequence[Wording] = ()
    shipped: str = ""
    """A fingerprint of the shipped tables."""
    number: int = 0
    """The newest of the operators' classifications that is in force."""
    by_operator: Mapping[tuple[str, str], Diagnosis] = field(default_factory=dict[tuple[str, str], Diagnosis])

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, str]], wordings: Iterable[Mapping[str, str]] = ()) -> FailureCodes:
        """From rows of the tables (`rail, code, meaning, class, action, charge_bounce`) and of wordings (`table,
        pattern, code`), the first that fits first."""
        kept, said = list(rows), list(wordings)
        digest = hashlib.sha256(repr([sorted(row.items()) for row in (*kept, *said)]).encode())
        return cls(
            {
                (row["rail"], row["code"]): Diagnosis(
                    code=row["code"],
                    failure_class=row["class"],
                    action=row["action"],
                    meaning=row["meaning"],
                    charge_bounce=row["charge_bounce"] == "yes",
                )
                for row in kept
            },
            [Wording(row["table"], re.compile(row["pattern"], re.IGNORECASE), row["code"]) for row in said],
            digest.hexdigest()[:8],
        )

    @classmethod
    def from_csv(cls, texts: Iterable[str], wordings: Iterable[str] = ()) -> FailureCodes:
        """From the texts of CSV files."""
        return cls.of(
            *((row for text in each for row in csv.DictReader(text.splitlines())) for each in (texts, wordings))
        )

    @property
    def version(self) -> str:
        """Which mapping this is: the shipped tables' fingerprint, and how many words of operators came on top."""
        return f"{self.shipped}+{self.number}" if self.number else self.shipped

    def classified(self, words: Iterable[Classification]) -> FailureCodes:
        """The same tables with these words of operators on top, of one code the newest."""
        in_order = sorted(words, key=lambda word: word.number)
        return replace(
            self,
            number=in_order[-1].number if in_order else 0,
            by_operator={
                (family(word.rail), word.code): Diagnosis(
                    word.code, word.failure_class, word.action, word.meaning, word.charge_bounce, by=BY_OPERATOR
                )
                for word in in_order
            },
        )

    def diagnose(self, rail: str, code: str, *, bank_code: str = "", message: str = "") -> Diagnosis:
        """The meaning of a failure on a rail: by its code; where that is unknown or only a wrapper, by the bank's code
        beside it, then by the gateway's words. Unknown after all that = technical, uncharged, for a person."""
        code, bank_code = self._parted(rail, code.strip(), bank_code.strip())
        found = self._row(rail, code)
        if found is not None and (rail, code) not in WRAPPERS:
            return found
        beside = self._row(rail, bank_code) if bank_code else None
        if beside is not None and (rail, bank_code) not in WRAPPERS:
            return replace(beside, by=BY_BANK_CODE)
        said = self._by_words(rail, message)
        return replace(said, by=BY_REASON_TEXT) if said is not None else found or unknown(code)

    @staticmethod
    def _parted(rail: str, code: str, bank_code: str) -> tuple[str, str]:
        """`U30|Z9` and `U30-Z9` as (`U30`, `Z9`)."""
        for known_rail, wrapper in WRAPPERS:
            if rail == known_rail and code.upper().startswith(wrapper) and code != wrapper:
                return wrapper, bank_code or code[len(wrapper) :].strip(" |-/:")
        return code, bank_code

    def _row(self, rail: str, code: str) -> Diagnosis | None:
        found = self.by_operator.get((family(rail), code))
        for table in TABLES_OF_RAIL.get(rail, ()):
            found = found or self.by_table.get((table, code))
        if found is None:
            return self._row(rail, code.upper()) if code != code.upper() else None
        return replace(found, pending=(rail, code) in PENDING_CODES, taken_before=(rail, code) in TAKEN_BEFORE)

    def _by_words(self, rail: str, message: str) -> Diagnosis | None:
        if not message:
            return None
        tables = TABLES_OF_RAIL.get(rail, ())
        for wording in self.wordings:
            if wording.table in tables and wording.pattern.search(message):
                return self._row(rail, wording.code)
        return None


def unknown(code: str) -> Diagnosis:
    """What is done about a failure that nobody can read."""
    return Diagnosis(
        code=code,
        failure_class=TECHNICAL,
        action="investigate",
        meaning="a code that no table knows" if code else "no code, and words that no table knows",
        charge_bounce=False,
        known=False,
    )
