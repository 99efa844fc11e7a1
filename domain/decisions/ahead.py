"""The loan as it will stand on a day to come, if nothing but time happens: on it, quotes and changes are worked out."""

from __future__ import annotations

from datetime import date

from domain import snapshot
from domain.calendar import day_start
from domain.decisions.by_day import counts_days, follow_principal
from domain.decisions.debits import fall_due
from domain.loan import Loan
from domain.parts import Row


def on_day(loan: Loan, day: date) -> Loan:
    """A copy on which every row up to a day (included) has fallen due, unpaid, and every tranche planned by then is
    out; the loan itself where none is to come. A tranche that is with the gateway is not out (servicing rule 26)."""
    row = loan.next_row
    tranches = [part for part in loan.tranches if part.status == "planned" and part.on <= day]
    if (row is None or row.due_on > day) and not tranches:
        return loan
    ahead = copy_of(loan)
    ahead.principal_paise += sum(part.amount for part in tranches)
    while (row := ahead.next_row) is not None and row.due_on <= day:
        for fact in fall_due(ahead, row):
            ahead.record(fact, max(day_start(row.due_on), ahead.known_at))
    return ahead


def rows_on(loan: Loan, day: date) -> list[Row]:
    """The rows as they stand on a day. Where interest runs by the day and principal is overdue, the days until then
    have borne interest on it: the rows to come are those that would be, were it paid on that day."""
    overdue = loan.unpaid_of("principal")
    since = loan.accrual_from
    if loan.stage != "active" or not counts_days(loan) or not overdue or since is None or day <= since:
        return loan.rows
    ahead = copy_of(loan)
    for due in ahead.open_dues():
        if due.kind == "principal":
            due.paid = due.amount
    ahead.principal_paise -= overdue
    ahead.principal_repaid.append((day, overdue))
    for fact in follow_principal(ahead, day):
        ahead.record(fact, max(day_start(day), ahead.known_at))
    return ahead.rows


def copy_of(loan: Loan) -> Loan:
    """The same loan, apart: what happens to the copy does not happen to the loan."""
    return snapshot.load(loan.id, snapshot.dump(loan))
