"""How a loan is shown: the summary and the schedule of contracts.md, from its state alone."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, NamedTuple

from domain.allocation import paid_days
from domain.calendar import ist_day
from domain.decisions import penal
from domain.decisions.ahead import rows_on
from domain.decisions.changes import rows_as_agreed
from domain.decisions.rules import Rules
from domain.decisions.standing import ARREARS, NPA, days_past_due, last_day_end, still_npa
from domain.decisions.terms_change import accrued_interest, rate_on
from domain.law.classification import asset_class
from domain.loan import Loan
from domain.parts import BY_CHARGE, Due, Row
from domain.product import band


class Unpaid(NamedTuple):
    """What is owed by now, by kind. Paise."""

    principal: int
    interest: int
    charges: int

    @property
    def total(self) -> int:
        return self.principal + self.interest + self.charges


def unpaid(loan: Loan) -> Unpaid:
    """What has fallen due and is unpaid; fees, charges and penal charges are one."""
    principal = interest = charges = 0
    for due in loan.open_dues():
        left = due.amount - due.paid
        if due.kind == "principal":
            principal += left
        elif due.kind == "interest":
            interest += left
        else:
            charges += left
    return Unpaid(principal, interest, charges)


def awaits_outcome(loan: Loan) -> bool:
    """A debit is out and unanswered and nothing was overdue before: neither success nor failure (servicing rule 34)."""
    return not loan.threshold and loan.awaits_outcome()


def classified_because(loan: Loan, rules: Rules) -> str:
    """Why a loan is NPA that is not so by its own days past due: `borrower` or `restructured`; else empty."""
    if loan.classification != NPA or band(rules.product_of(loan).classes, loan.threshold) == NPA:
        return ""
    because = still_npa(loan, loan.oldest_due_on)
    return "" if because == ARREARS else because


def bucket_of(loan: Loan, rules: Rules) -> str:
    """The bucket by the loan's events; crossing into another is an event on its day."""
    return loan.bucket or band(rules.product_of(loan).buckets, 0)


def dpd_on(loan: Loan, as_of: datetime, rules: Rules) -> int:
    """Days past due at the day-end that came most lately."""
    if loan.stage != "active" or awaits_outcome(loan):
        return 0
    oldest = loan.oldest_unpaid(rules.product_of(loan).overdue_tolerance_paise)
    return days_past_due(oldest, last_day_end(as_of))


def loan_summary(loan: Loan, as_of: datetime, rules: Rules) -> dict[str, Any]:
    """The `loan` of contracts.md: where it stands at an instant, given what had happened by then."""
    product = rules.product_of(loan)
    owed = unpaid(loan)
    row = loan.next_row if loan.stage in ("booked", "active") else None
    dpd = dpd_on(loan, as_of, rules)
    active = loan.stage == "active"
    return {
        "loan_id": loan.id,
        "borrower_id": loan.borrower_id,
        "product": loan.product,
        "state": loan.stage,
        "version": loan.version,
        "as_of": as_of.isoformat(),
        "dpd": dpd,
        "bucket": band(product.buckets, dpd),
        "classification": loan.classification,
        "classification_because": classified_because(loan, rules),
        "asset_class": asset_class(loan.npa_since, ist_day(as_of)).value,
        "npa_since": loan.npa_since.isoformat() if loan.npa_since else None,
        "restructured_on": loan.restructured_on.isoformat() if loan.restructured_on else None,
        "outstanding": {
            "principal_paise": loan.principal_paise,
            "interest_due_paise": owed.interest,
            "interest_accrued_paise": (
                accrued_interest(loan, loan.principal_not_due(), ist_day(as_of)) if active else 0
            ),
            "charges_paise": owed.charges,
            "excess_paise": loan.excess_paise,
        },
        "payable_paise": owed.total,
        "penal_accruing_paise": penal.earned(loan, last_day_end(as_of), product) if active else 0,
        "accrued_booked_paise": loan.accrued_booked,
        "provision_paise": loan.provision_paise,
        "settlement": loan.settlement,
        "closing": loan.closing or None,
        "instalment_paise": loan.instalment_paise,
        "next_due_on": row.due_on.isoformat() if row else None,
        "next_due_paise": row.total if row else 0,
        "instalments_due": loan.due_rows,
        "instalments": len(loan.rows),
        "annual_rate_percent": format(rate_on(loan.agreed, ist_day(as_of)), "f"),
        "apr_percent": loan.apr_percent,
        "mandate_status": loan.mandate.get("status", ""),
        "received_paise": loan.received_paise,
        "refund_due_paise": loan.refunds_paise(),
        "written_off_paise": loan.written_off_paise,
        "disbursed_on": loan.disbursed_on.isoformat() if loan.disbursed_on else None,
        "closed_on": loan.closed_on.isoformat() if loan.closed_on else None,
    }


def schedule_rows(loan: Loan, on: date | None = None, rules: Rules | None = None) -> list[dict[str, Any]]:
    """The `schedule` of contracts.md: each row with what is paid of it, and on which value date it was paid in full.

    `on`: the rows to come as they stand on that day (`rows_on`), with `rules` as they will be by the changes that are
    agreed on for later; without: as they were last recorded.

    A charge is shown with the row in whose time it fell due: from its due date until the next one.
    """
    days = paid_days(loan)
    rows = rows_shown(loan, on, rules)
    charges = charges_by_row(loan, rows)
    return [
        {**row.dump(), **paid_of(loan, row, days), "charges_paid_paise": paid_fee(loan, row) + charges[index]}
        for index, row in enumerate(rows)
    ]


def rows_shown(loan: Loan, on: date | None, rules: Rules | None) -> list[Row]:
    """Which rows a schedule shows."""
    if loan.agreed_changes and on is not None and rules is not None and loan.stage == "active":
        return rows_as_agreed(loan, rules)
    return loan.rows if on is None else rows_on(loan, on)


def paid_of(loan: Loan, row: Row, days: dict[tuple[str, int | str], date]) -> dict[str, Any]:
    """What is paid of a row's principal and interest, and since when nothing of the row is unpaid."""
    dues = [due for kind in ("principal", "interest", "fee") if (due := loan.due_by_key.get((kind, row.number)))]
    paid = {due.kind: due.paid for due in dues}
    whole = bool(dues) and all(due.unpaid == 0 for due in dues)
    last = max((days[due.key] for due in dues if due.key in days), default=None) if whole else None
    return {
        "principal_paid_paise": paid.get("principal", 0),
        "interest_paid_paise": paid.get("interest", 0),
        "paid_on": last.isoformat() if last else None,
    }


def paid_fee(loan: Loan, row: Row) -> int:
    due: Due | None = loan.due_by_key.get(("fee", row.number))
    return due.paid if due else 0


def charges_by_row(loan: Loan, rows: list[Row]) -> list[int]:
    """Paid charges, by the index of the row in whose time they fell due."""
    paid = [0] * max(1, len(rows))
    for due in loan.dues:
        if due.kind in BY_CHARGE and due.paid:
            begun = sum(row.due_on <= due.due_on for row in rows)
            paid[max(0, begun - 1)] += due.paid
    return paid
