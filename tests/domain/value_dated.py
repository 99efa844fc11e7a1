"""Lives of dated facts that arrive in any order, lived by Qist; what each comes to, to compare with another life."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from adapters.house import load_rules
from domain import commands as c
from domain.calendar import at_hour
from domain.decisions import by_day
from domain.decisions.preclosure import quote_total
from domain.decisions.rules import Rules
from domain.decisions.standing import days_past_due, last_day_end
from domain.decisions.terms_change import accrued_interest
from domain.events import Closed, LoanEvent
from domain.failures import FailureCodes
from domain.life import handle
from domain.loan import Loan
from domain.parts import Row
from domain.product import Charge, Products
from domain.refusals import Refused, Repeated
from tests.domain.naive_life import House, NaiveLife
from tests.states import fields, folded

LOAN = "LN-1"
MORNING, EVENING = time(9), time(22)


@cache
def rules_of(house: House) -> Rules:
    """The personal loan of a lender with these settings."""
    shipped = load_rules()
    product = replace(
        shipped.products.of("personal-loan", 1),
        allocation_rank={kind: rank for rank, kind in enumerate(house.order)},
        allocation_rank_npa={kind: rank for rank, kind in enumerate(house.npa_order or house.order)},
        allocation_by=house.by,
        excess_use=house.excess,
        penal_percent=Decimal(house.penal_percent),
        penal_grace_days=house.penal_grace_days,
        prepayment_percent=Decimal(house.prepayment_percent),
        prepayment_gst_percent=Decimal(18),
        preclosure_percent=Decimal(house.preclosure_percent),
        preclosure_gst_percent=Decimal(18),
        overdue_tolerance_paise=house.tolerance,
        charges={
            "penal": Charge("penal", 0, Decimal(0)),
            "visit": Charge("visit", 20_000, Decimal(18)),
            "bounce": Charge("bounce", 50_000, Decimal(18)),
        },
    )
    codes: FailureCodes = shipped.codes
    return Rules(Products({(product.name, product.version): product}), codes)


@dataclass
class Lived:
    """A loan, its events so far, and what was refused."""

    loan: Loan
    rules: Rules
    events: list[LoanEvent]
    now: datetime
    refused: list[Refused | Repeated]

    def tell(self, at: datetime, command: c.Command) -> bool:
        """A message comes; whether it was accepted."""
        self.now = at
        try:
            handle(self.loan, command, at, self.rules)
        except (Refused, Repeated) as no:
            self.refused.append(no)
            accepted = False
        else:
            accepted = True
        self.events += self.loan.take_events()
        return accepted

    def until(self, day: date) -> Lived:
        """Time passes to ten in the evening of that day."""
        at = max(self.now, at_hour(day, EVENING))
        self.tell(at, c.WakeUp(now=at))
        return self


def a_life_of(terms: dict[str, Any], house: House | None = None, *, mandate: dict[str, Any] | None = None) -> Lived:
    """Booked and paid out on `disburse_on`."""
    rules = rules_of(house or House())
    at = at_hour(date.fromisoformat(terms["disburse_on"]), MORNING)
    command = c.BookLoan(
        loan_id=LOAN,
        borrower_id="B-1",
        product="personal-loan",
        terms=dict(terms),
        request_hash="h",
        mandate=mandate or {},
    )
    loan = handle(None, command, at, rules)
    return Lived(loan, rules, list(loan.take_events()), at, [])


def paid(reference: str, paise: int, value_on: date, intent: str = "dues", choice: str = "") -> c.ReceivePayment:
    return c.ReceivePayment(
        reference=reference,
        method="upi",
        amount_paise=paise,
        value_on=value_on,
        intent=intent,
        prepay_choice=choice,
    )


def back(reference: str, on: date) -> c.ReverseReceipt:
    return c.ReverseReceipt(
        reference=reference, amount_paise=None, value_on=on, source="payment", reason="returned", instruction_id=""
    )


# --- What a life comes to ------------------------------------------------------------------------------------


def state(loan: Loan, rules: Rules, now: datetime) -> dict[str, Any]:
    """All that value dates promise of a loan, names of charges aside."""
    product = rules.product_of(loan)
    dues: dict[tuple[Any, ...], list[int]] = {}
    for due in loan.dues:
        if due.amount:
            of = due.of if isinstance(due.of, int) else ""
            told = dues.setdefault((due.kind, of, due.due_on.isoformat()), [0, 0])
            told[0] += due.amount
            told[1] += due.paid
    active = loan.stage == "active"
    day = now.date()
    oldest = loan.oldest_unpaid(product.overdue_tolerance_paise) if active else None
    coming = loan.rows[loan.due_rows :] if active else []
    if active and (followed := next(by_day.follow_principal(loan, day), None)) is not None:
        coming = [Row.load(row) for row in followed.rows]  # the running row as of today: else it waits for its day
    return {
        "stage": loan.stage,
        "dues": dict(sorted(dues.items())),
        "rows": [(row.number, row.due_on.isoformat(), row.principal, row.interest) for row in coming],
        "principal": loan.principal_paise,
        "excess": loan.excess_paise,
        "held": loan.held_paise if active else 0,
        "dpd": days_past_due(oldest, last_day_end(now)),
        "accrued": accrued_interest(loan, loan.principal_not_due(), day) if active else 0,
        "quote": quote_total(loan, day, rules) if active else 0,
    }


def state_of(lived: Lived) -> dict[str, Any]:
    return state(lived.loan, lived.rules, lived.now)


def naive_state(life: NaiveLife) -> dict[str, Any]:
    """The same of the naive life."""
    dues: dict[tuple[Any, ...], list[int]] = {}
    for due in life.owed:
        if due.paise:
            of = due.of if due.kind in ("interest", "principal", "fee") else ""
            told = dues.setdefault((due.kind, of, due.due_on.isoformat()), [0, 0])
            told[0] += due.paise
            told[1] += due.paid
    active = not life.closed
    if active and life.daily and life.coming:
        life.by_the_day()
    return {
        "stage": "active" if active else "closed",
        "dues": dict(sorted(dues.items())),
        "rows": [(row.number, row.due_on.isoformat(), row.principal, row.interest) for row in life.coming],
        "principal": life.principal,
        "excess": life.excess,
        "held": life.held if active else 0,
        "dpd": life.days_past_due(life.today - timedelta(days=1)) if active else 0,
        "accrued": life.accrued() if active else 0,
        "quote": life.quote() if active else 0,
    }


def differences(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Where two states differ: name -> (one, other); of the dues and rows, only those that do."""
    found: dict[str, Any] = {}
    for name in one:
        mine, theirs = one[name], other[name]
        if mine == theirs:
            continue
        if isinstance(mine, dict):
            keys = {key for key in (*mine, *theirs) if mine.get(key) != theirs.get(key)}
            found[name] = {key: (mine.get(key), theirs.get(key)) for key in sorted(keys)}
        elif isinstance(mine, list):
            found[name] = [pair for pair in zip(mine, theirs, strict=False) if pair[0] != pair[1]][:3]
            found[name] += [(len(mine), len(theirs))] if len(mine) != len(theirs) else []
        else:
            found[name] = mine, theirs
    return found


def check_whole(lived: Lived) -> None:
    """What holds in every life: money is accounted for once, nothing is negative, its events make it."""
    loan = lived.loan
    loan.check()
    came_in = sum(receipt.amount for receipt in loan.receipts.values() if not receipt.reversed)
    came_in += sum(event.interest_returned_paise for event in lived.events if isinstance(event, Closed))
    assert loan.received_paise == came_in == loan.settled_paise + loan.excess_paise + loan.refund_due_paise
    settled = sum(due.paid for due in loan.dues)
    assert loan.settled_paise == settled + loan.prepaid_paise, (loan.settled_paise, settled, loan.prepaid_paise)
    assert loan.disbursed_paise + loan.capitalised_paise == loan.principal_paise + loan.prepaid_paise + sum(
        due.paid for due in loan.dues if due.kind == "principal"
    )
    assert all(0 <= due.paid <= due.amount for due in loan.dues)
    assert all(row.principal >= 0 and row.interest >= 0 for row in loan.rows[loan.due_rows :])
    if loan.stage == "active":
        coming = loan.rows[loan.due_rows :]
        waits = loan.terms["moratorium_instalments"] and loan.terms["moratorium_interest"] == "capitalise"
        assert waits or sum(row.principal for row in coming) == loan.principal_not_due()
    assert fields(folded(lived.events)) == fields(loan)


def settle_down(lives: Iterable[Lived], day: date) -> None:
    """All come to the same evening."""
    for lived in lives:
        lived.until(day)
