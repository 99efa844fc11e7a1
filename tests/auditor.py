"""A second model of who is paid what: slow, obvious, and knowing nothing of the loan but the plain list of its facts.

All money that settles dues is one sum. The dues stand in a line: oldest day first, and within a day in the product's
order (or all of a kind first). The sum goes along the line until it is used up; what is left is held for the borrower.
It does not know a product that has another order for NPA loans, nor a settlement: there what was settled stays settled,
whatever falls due before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from domain import events as e
from domain.events import LoanEvent

Name = tuple[str, Any]


@dataclass
class Owed:
    """One line of what is owed."""

    name: Name
    due_on: str
    rank: int
    paise: int


@dataclass
class Books:
    """What the facts add up to."""

    order: list[str] = field(default_factory=list)
    by_kind: bool = False
    line: list[Owed] = field(default_factory=list)
    money: int = 0
    """In hand for dues: received, less what was taken back, prepaid, recovered, or sent back."""
    lent: int = 0
    prepaid: int = 0

    def paid(self) -> dict[Name, int]:
        """How much of each due is paid."""
        left, paid = self.money, {}
        for owed in sorted(self.line, key=self.place):
            paid[owed.name] = min(left, owed.paise)
            left -= paid[owed.name]
        return paid

    def place(self, owed: Owed) -> tuple[Any, ...]:
        return (owed.rank, owed.due_on) if self.by_kind else (owed.due_on, owed.rank)

    @property
    def held(self) -> int:
        return self.money - sum(self.paid().values())

    @property
    def principal(self) -> int:
        """Lent and neither paid back with an instalment nor ahead of one."""
        return self.lent - self.prepaid - sum(paise for (kind, _), paise in self.paid().items() if kind == "principal")

    def owe(self, kind: str, of: Any, due_on: str, paise: int) -> None:
        if paise:
            self.line.append(Owed((kind, of), due_on, self.order.index(kind), paise))

    def no_longer_owe(self, kinds: tuple[str, ...]) -> int:
        """Give up what is unpaid of these kinds; says how much."""
        paid, given_up = self.paid(), 0
        for owed in self.line:
            if owed.name[0] in kinds:
                given_up += owed.paise - paid[owed.name]
                owed.paise = paid[owed.name]
        return given_up

    def recast(self, fact: e.Recast) -> None:
        """Another line; the money is what it was, in other places."""
        in_hand = self.money + self.prepaid
        self.line = [
            Owed((due["kind"], due["of"]), due["due_on"], self.order.index(due["kind"]), due["amount_paise"])
            for due in fact.dues
        ]
        self.prepaid = fact.prepaid_paise
        self.money = in_hand - self.prepaid
        repaid = sum(paise for (kind, _), paise in self.paid().items() if kind == "principal")
        self.lent = fact.principal_paise + self.prepaid + repaid


def audited(facts: Iterable[LoanEvent]) -> Books:
    """The books by the facts alone."""
    books = Books()
    for fact in facts:
        match fact:
            case e.LoanBooked():
                books.order, books.by_kind = fact.waterfall, fact.waterfall_by == "kind"
            case e.Disbursed():
                books.lent += fact.amount_paise
            case e.PayoutFailed(returned=True):
                books.lent = 0
            case e.InstalmentDue():
                books.lent += fact.capitalised_paise
                books.owe("interest", fact.number, fact.due_on, fact.interest_paise)
                books.owe("principal", fact.number, fact.due_on, fact.principal_paise)
                books.owe("fee", fact.number, fact.due_on, fact.fee_paise)
            case e.ChargeLevied():
                kind = "penal" if fact.kind == "penal" else "charge"
                books.owe(kind, fact.charge_id, fact.due_on, fact.amount_paise + fact.gst_paise)
            case e.ChargeWaived():
                [charge] = [owed for owed in books.line if owed.name[1] == fact.charge_id]
                charge.paise -= fact.paise
                books.money -= sum(line["paise"] for line in fact.lines if line["for"] == "refund")
            case e.PaymentReceived() | e.DebitSucceeded():
                ahead = sum(line["paise"] for line in fact.lines if line["for"] == "prepayment")
                elsewhere = sum(line["paise"] for line in fact.lines if line["for"] in ("refund", "recovery"))
                books.money += fact.amount_paise - ahead - elsewhere
                books.prepaid += ahead
            case e.ReceiptReversed():
                elsewhere = sum(line["paise"] for line in fact.lines if line["for"] in ("prepayment", "recovery"))
                books.prepaid += sum(line["paise"] for line in fact.lines if line["for"] == "prepayment")
                books.money -= fact.amount_paise + elsewhere
            case e.ExcessApplied():
                ahead = sum(line["paise"] for line in fact.lines if line["for"] == "prepayment")
                books.money -= ahead
                books.prepaid += ahead
            case e.Recast():
                books.recast(fact)
            case e.RefundOwed():
                books.money -= fact.paise
            case e.Restructured() if fact.changes.get("capitalise_arrears"):
                books.lent += books.no_longer_owe(("interest",))
                books.no_longer_owe(("principal",))
            case e.Closed():
                books.money -= fact.refund_paise
            case e.WrittenOff() | e.Settled():
                books.no_longer_owe(tuple(books.order))
                books.lent -= fact.principal_paise
            case _:
                pass
    return books
