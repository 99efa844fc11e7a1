"""What a loan is made of: dues, receipts, charges, rows, debits on their way, tranches. Data, and sums over it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

Key = tuple[str, int | str]
"""What money can settle: (kind, instalment number) or (kind, charge id)."""

BY_CHARGE = ("charge", "penal")
DIRECTED = ("prepayment", "recovery", "refund")
"""Lines of money that settle no due."""


def ranks(waterfall: list[str]) -> dict[str, int]:
    """Kind of due -> its place in a waterfall."""
    return {kind: rank for rank, kind in enumerate(waterfall)}


def as_day(text: str) -> date | None:
    """A day of an event; empty = none."""
    return date.fromisoformat(text) if text else None


@dataclass(slots=True)
class Due:
    """One amount that is owed since a day: a part of an instalment, or a charge. Paise."""

    kind: str
    of: int | str
    due_on: date
    rank: int
    amount: int
    paid: int = 0

    @property
    def unpaid(self) -> int:
        return self.amount - self.paid

    @property
    def key(self) -> Key:
        return self.kind, self.of


@dataclass(slots=True)
class Receipt:
    """Money that came in, and whether it was taken back."""

    reference: str
    source: str
    amount: int
    value_on: date
    arrived: int
    """The loan's version that booked it: what came first on one day."""
    intent: str = "dues"
    choice: str = ""
    """Of a part-prepayment: `reduce_tenure` or `reduce_emi`."""
    directed: int = 0
    """What of it went elsewhere than to dues: prepaid principal, a recovery, money owed back. Paise."""
    sent_back: bool = False
    """It went back as it came: a second success of a debit, money after the end."""
    reversed: bool = False


@dataclass(slots=True)
class Levied:
    """A charge as it was levied, with what was given up of it. Paise."""

    kind: str
    amount: int
    gst: int
    due_on: date
    number: int
    through: date | None = None
    """The last day that a penal charge by the day counts."""
    by_person: bool = False
    waived: int = 0
    falls_away: bool = False
    """As is known now, it should not have been levied. It may come back with what is known next."""

    @property
    def total(self) -> int:
        return self.amount + self.gst

    @property
    def waived_gst(self) -> int:
        """The tax inside what was given up: credit notes took it back."""
        return self.waived * self.gst // self.total if self.total else 0

    @property
    def stands(self) -> int:
        """What of it is to be paid, or was. Paise."""
        return 0 if self.falls_away else self.total - self.waived

    @property
    def gst_that_stands(self) -> int:
        return 0 if self.falls_away else self.gst - self.waived_gst

    @classmethod
    def load(cls, charge: dict[str, Any]) -> Levied:
        return cls(
            charge["kind"],
            charge["amount_paise"],
            charge["gst_paise"],
            date.fromisoformat(charge["due_on"]),
            charge["number"],
            as_day(charge["through"]),
            charge["by_person"],
            charge["waived_paise"],
            charge["falls_away"],
        )

    def dump(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "amount_paise": self.amount,
            "gst_paise": self.gst,
            "due_on": self.due_on.isoformat(),
            "number": self.number,
            "through": self.through.isoformat() if self.through else "",
            "by_person": self.by_person,
            "waived_paise": self.waived,
            "falls_away": self.falls_away,
        }


@dataclass(frozen=True, slots=True)
class Change:
    """A dated decision that made another schedule, kept so that the books can be folded again (servicing rule 13)."""

    on: date
    arrived: int
    kind: str
    """`restructure`, `relief`, `rate-reset`, `cooling-off`, `refund`."""
    asked: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """An instalment as scheduled. Paise."""

    number: int
    due_on: date
    days: int
    opening: int
    principal: int
    interest: int
    fee: int
    total: int
    closing: int

    @classmethod
    def load(cls, row: dict[str, Any]) -> Row:
        return cls(
            row["number"],
            date.fromisoformat(row["due_on"]),
            row["days"],
            row["opening_paise"],
            row["principal_paise"],
            row["interest_paise"],
            row["fee_paise"],
            row["total_paise"],
            row["closing_paise"],
        )

    def dump(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "due_on": self.due_on.isoformat(),
            "days": self.days,
            "opening_paise": self.opening,
            "principal_paise": self.principal,
            "interest_paise": self.interest,
            "fee_paise": self.fee,
            "total_paise": self.total,
            "closing_paise": self.closing,
        }


@dataclass(slots=True)
class InFlight:
    """A debit that was asked for and not answered yet."""

    number: int
    attempt: int
    amount: int
    at: datetime
    overdue: bool = False
    pending: str = ""
    """The code by which the bank asked for more time."""
    withdrawn: bool = False
    """Not wanted any more; it may succeed all the same."""
    mandate_id: str = ""


@dataclass(slots=True)
class Tranche:
    """A part of the principal and what became of its payout."""

    on: date
    amount: int
    status: str = "planned"
    """`planned`, `instructed`, `settled`, `failed`."""
    tries: int = 0


class Answered(NamedTuple):
    """What came of a debit: when it was presented, of which instalment, and `success` or the class of the failure."""

    at: datetime
    number: int
    outcome: str


@dataclass(slots=True)
class Opportunity:
    """A debit attempt to come. `at` None = the product's hour on the due day."""

    attempt: int
    at: datetime | None = None
