"""The waterfall: what an amount settles, in which order, and what is undone when it is taken back.

Money settles the oldest due date first, and within a day the product's order (servicing rule 11). What is left is held
as excess (rule 12). Because the order of dues is total, the paid state depends on the sum of the money alone: payments
may arrive in any order, and taking one back undoes the newest first. That is what makes value dates exact (rule 13).
"""

from __future__ import annotations

from datetime import date

from domain.ensure import ensure
from domain.events import Line
from domain.loan import Loan
from domain.parts import BY_CHARGE, Due, Key


def line_of(due: Due, paise: int) -> Line:
    """One line of an event: so much for this due."""
    name = "charge_id" if due.kind in BY_CHARGE else "number"
    return {"for": due.kind, name: due.of, "paise": paise}


def allocate(loan: Loan, paise: int) -> tuple[list[Line], int]:
    """What `paise` settle of all that is owed by now, and how much is left over."""
    lines: list[Line] = []
    left = paise
    for due in loan.open_dues():
        if left == 0:
            break
        part = min(left, due.unpaid)
        lines.append(line_of(due, part))
        left -= part
    return lines, left


def allocate_with_excess(loan: Loan, paise: int) -> list[Line]:
    """As `allocate`, with the rest held for the borrower."""
    lines, left = allocate(loan, paise)
    if left:
        lines.append({"for": "excess", "paise": left})
    ensure(sum(line["paise"] for line in lines) == paise, "the lines are the amount", loan=loan.id, paise=paise)
    return lines


def undo(loan: Loan, paise: int) -> list[Line]:
    """Negative lines that take `paise` back: from the excess first, then from the newest dues backwards, then from
    principal paid ahead."""
    lines: list[Line] = []
    left = paise
    from_excess = min(left, loan.excess_paise)
    if from_excess:
        lines.append({"for": "excess", "paise": -from_excess})
        left -= from_excess
    for due in reversed(loan.dues):
        if left == 0:
            break
        part = min(left, due.paid)
        if part:
            lines.append(line_of(due, -part))
            left -= part
    ahead = min(left, loan.prepaid_paise)
    if ahead:
        lines.append({"for": "prepayment", "paise": -ahead})
        left -= ahead
    ensure(left == 0, "what is taken back had settled something", loan=loan.id, left=left)
    return lines


def paid_days(loan: Loan) -> dict[Key, date]:
    """The value date on which each due was fully paid: when the money in hand first reached it, not before it was
    owed, which is its own day unless it was paid in advance."""
    money = sorted((r.value_on, r.amount - r.directed) for r in loan.receipts.values() if not r.reversed)
    days: dict[Key, date] = {}
    owed = paid = used = 0
    last: date | None = None
    for due in loan.dues:
        if due.unpaid or due.amount == 0:
            continue
        owed += due.amount
        while paid < owed and used < len(money):
            last, amount = money[used]
            paid += amount
            used += 1
        if last is not None:
            owed_on = loan.advanced.get(due.of, due.due_on) if isinstance(due.of, int) else due.due_on
            days[due.key] = max(last, owed_on)
    return days
