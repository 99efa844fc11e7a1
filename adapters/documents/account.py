"""A loan's account as its borrower sees it: every movement of what is owed, as the ledger books it.

What is owed is the sum of the ledger's accounts that are between the two: principal, interest and charges that are due,
less money held for the borrower or owed back. A write-off is the lender's own affair: what was written off stays owed.
Pure: events in, plain values out. Paise; positive is owed by the borrower, negative to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, NamedTuple

from domain import events as e
from domain.calendar import ist_day
from domain.decisions.rules import Rules
from domain.ensure import ensure
from domain.events import LoanEvent
from domain.loan import Loan
from domain.parts import Due
from projections.ledger import (
    CHARGES_RECEIVABLE,
    EXCESS,
    INTEREST_RECEIVABLE,
    POSTINGS,
    PRINCIPAL,
    RECOVERY_INCOME,
    REFUNDS_PAYABLE,
    Entries,
    balances_by_state,
    post,
)

OWED: Final = (PRINCIPAL, INTEREST_RECEIVABLE, CHARGES_RECEIVABLE, EXCESS, REFUNDS_PAYABLE, RECOVERY_INCOME)
"""The ledger's accounts between lender and borrower. Recovery: what comes after a write-off, of what stays owed."""

SAID: Final = ("number", "kind", "method", "gst_paise")
"""Fields of events that a line of the account may say."""


class Movement(NamedTuple):
    """One event that moved what is owed (or, with 0 paise, that the borrower should see there)."""

    booked_on: date
    value_on: date
    what: str
    """The event's type."""
    reference: str
    facts: Mapping[str, Any]
    paise: int
    balance_paise: int
    """Owed after it."""
    principal_paise: int
    """What of it moved principal."""


@dataclass(slots=True)
class Account:
    """A loan folded from its events, with what each of them moved."""

    loan: Loan
    events: Sequence[LoanEvent]
    rules: Rules
    movements: list[Movement] = field(default_factory=list[Movement])
    books: Entries = field(default_factory=dict[int, int])
    """The ledger's balances: account -> paise."""
    written_off_paise: int = 0
    balance_paise: int = 0

    @property
    def known_on(self) -> date:
        """The day of the last event."""
        return ist_day(self.events[-1].timestamp)

    def of(self, kind: type[Any]) -> list[Any]:
        """Its events of a kind, in order."""
        return [event for event in self.events if type(event) is kind]


def account_of(events: Sequence[LoanEvent], rules: Rules) -> Account:
    """Fold a loan's events, all of them from the first on; the books must be those of the loan's own state."""
    account = Account(Loan.shell(events[0].originator_id), events, rules)
    for event in events:
        entries = post(event, account.loan)
        for code, paise in entries.items():
            account.books[code] = account.books.get(code, 0) + paise
        move(account, event, entries)
        account.loan.evolve(event)
    reconcile(account)
    return account


def move(account: Account, event: LoanEvent, entries: Entries) -> None:
    """Add the event's line to the account, if it has one."""
    paise = sum(entries.get(code, 0) for code in OWED)
    if isinstance(event, e.WrittenOff):
        given_up = event.principal_paise + event.interest_paise + event.charges_paise
        account.written_off_paise += given_up
        paise += given_up
    elif not paise:
        return
    posting = POSTINGS[type(event)]
    account.balance_paise += paise
    booked_on = ist_day(event.timestamp)
    value_on = getattr(event, posting.value_on) if posting.value_on else ""
    account.movements.append(
        Movement(
            booked_on=booked_on,
            value_on=date.fromisoformat(value_on) if value_on else booked_on,
            what=event.TOPIC,
            reference=getattr(event, posting.reference) if posting.reference else "",
            facts={name: event.__dict__[name] for name in SAID if name in event.__dict__},
            paise=paise,
            balance_paise=account.balance_paise,
            principal_paise=entries.get(PRINCIPAL, 0),
        )
    )


def reconcile(account: Account) -> None:
    """The ledger's balances are those that the loan's state says, and what is owed is their sum."""
    by_state = balances_by_state(account.loan)
    booked = {code: account.books.get(code, 0) for code in by_state}
    ensure(booked == by_state, "the ledger agrees with the loan", loan=account.loan.id, ledger=booked, state=by_state)
    recovered = account.books.get(RECOVERY_INCOME, 0)
    owed = sum(by_state.get(code, 0) for code in OWED) + recovered + account.written_off_paise
    ensure(account.balance_paise == owed, "the account is the ledger's", loan=account.loan.id, owed=owed)


# --- What money settled, by the day from which it counts -----------------------------------------------------


class Settled(NamedTuple):
    """So much of a kind of due was paid, and since when it counts."""

    on: date
    kind: str
    paise: int


def settled(account: Account) -> list[Settled]:
    """What was paid of each due, by value dates: money in hand settles the oldest, and none before it was owed.

    As things are known now: payments that were learnt of late stand on their value dates.
    """
    loan = account.loan
    demands = [(owed_on(loan, due), due.kind, due.paid) for due in loan.dues if due.paid]
    money = [(r.value_on, r.amount - r.directed) for r in loan.receipts.values() if not r.reversed]
    money += [(on, -paise) for on, paise in sent_back(account)]
    days = sorted({on for on, *_ in demands} | {on for on, _ in money})
    told: list[Settled] = []
    held, waiting = 0, list[tuple[str, int]]()
    for on in days:
        held += sum(paise for day, paise in money if day == on)
        waiting += [(kind, paise) for day, kind, paise in demands if day == on]
        while waiting and held > 0:
            kind, paise = waiting.pop(0)
            part = min(held, paise)
            held -= part
            told.append(Settled(on, kind, part))
            if part < paise:
                waiting.insert(0, (kind, paise - part))
    last = days[-1] if days else account.known_on
    told += [Settled(last, kind, paise) for kind, paise in waiting]  # by order of hindsight: paid all the same
    return told


def owed_on(loan: Loan, due: Due) -> date:
    """When a due was owed: its day, unless it was paid in advance."""
    return loan.advanced.get(due.of, due.due_on) if isinstance(due.of, int) else due.due_on


def sent_back(account: Account) -> list[tuple[date, int]]:
    """Held money that went back to the borrower, and so settles nothing."""
    owed = [(ist_day(event.timestamp), event.paise) for event in account.of(e.RefundOwed)]
    return owed + [(ist_day(event.timestamp), event.refund_paise) for event in account.of(e.Closed)]


def prepaid(account: Account) -> list[tuple[date, int]]:
    """Principal that was paid ahead, by value date; money taken back later is taken off."""
    told = [
        (date.fromisoformat(event.value_on), line["paise"])
        for event in account.events
        if isinstance(event, (e.PaymentReceived, e.DebitSucceeded, e.ExcessApplied, e.ReceiptReversed))
        for line in event.lines
        if line["for"] == "prepayment"
    ]
    left = account.loan.prepaid_paise - sum(paise for _, paise in told)
    hindsight = account.of(e.Recast)
    return [*told, (date.fromisoformat(hindsight[-1].value_on), left)] if left and hindsight else told
