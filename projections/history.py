"""As it stood: each loan at the end of every day on which it moved, and the portfolio as sums of such moves.

A loan's row holds from its day until the loan's next row: `history.standing(DAY)` gives every loan as it stood at the
end of a day. `portfolio` holds what each day added to each cell of the portfolio and took from it: the sum over all
days up to one is the portfolio at its end, whatever the number of loans.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Any, ClassVar

from domain import events as e
from domain.decisions.rules import Rules
from domain.events import LoanEvent
from domain.loan import Loan
from domain.views import awaits_outcome, bucket_of, classified_because, unpaid
from projections.base import Outgoing, Recorded, Row, Table, Write, booked_on
from projections.delinquency import MOVES as DELINQUENCY_MOVES

MOVES: frozenset[type[LoanEvent]] = DELINQUENCY_MOVES | {e.MonthClosed}
"""Events that can change a loan's row; after any other it would be written as it was."""

STANDING = (
    ("product", "text"),
    ("product_version", "integer"),
    ("disbursed_on", "date"),
    ("stage", "text"),
    ("closing", "text"),
    ("disbursed_paise", "bigint"),
    ("principal_paise", "bigint"),
    ("overdue_principal_paise", "bigint"),
    ("overdue_interest_paise", "bigint"),
    ("overdue_charges_paise", "bigint"),  # fees and charges, penal ones too
    ("excess_paise", "bigint"),
    ("oldest_unpaid_due_on", "date"),
    ("awaiting_outcome", "boolean"),
    ("bucket", "text"),
    ("past_due_from", "smallint"),  # the first day past due of the bucket
    ("classification", "text"),
    ("classification_because", "text"),
    ("npa_since", "date"),
    ("restructured_on", "date"),
    ("accrued_booked_paise", "bigint"),
    ("provision_paise", "bigint"),
    ("penal_levied_paise", "bigint"),
    ("penal_waived_paise", "bigint"),
    ("penal_paid_paise", "bigint"),
    ("penal_unpaid_paise", "bigint"),
    ("given_up_paise", "bigint"),  # by a write-off or a settlement
)
"""What is kept of a loan: (name, PostgreSQL type)."""

LOANS = Table(
    "loans",
    columns=(
        ("partition", "integer"),
        ("loan_id", "text"),
        ("day", "date"),
        *STANDING,
        ("position", "bigint"),
    ),
    key=("partition", "loan_id", "day"),
    mode="replace",
)
KNOWN = Table(
    "known",
    columns=(("partition", "integer"), ("loan_id", "text"), ("position", "bigint")),
    key=("partition", "loan_id"),
    mode="replace",
)
"""Every loan once: from it, one look into the index finds a loan's row of a day, however long its history is."""
PORTFOLIO = Table(
    "portfolio",
    columns=(
        ("partition", "integer"),
        ("day", "date"),
        ("product", "text"),
        ("vintage", "date"),  # the first of the month in which the loan was paid out
        ("stage", "text"),
        ("bucket", "text"),
        ("past_due_from", "smallint"),
        ("classification", "text"),
        ("loans", "bigint"),
        ("disbursed_paise", "bigint"),
        ("principal_paise", "bigint"),
        ("overdue_paise", "bigint"),
        ("given_up_paise", "bigint"),
    ),
    key=("partition", "day", "product", "vintage", "stage", "bucket", "past_due_from", "classification"),
    mode="add",
)
ROLLS = Table(
    "rolls",
    columns=(
        ("partition", "integer"),
        ("day", "date"),
        ("product", "text"),
        ("from_bucket", "text"),
        ("to_bucket", "text"),
        ("loans", "bigint"),
        ("principal_paise", "bigint"),
    ),
    key=("partition", "day", "product", "from_bucket", "to_bucket"),
    mode="add",
)

_OF_ROW = ", ".join(f"h.{name}" for name, _ in STANDING)
_DPD = (
    "CASE WHEN h.stage <> 'active' OR h.awaiting_outcome OR h.oldest_unpaid_due_on IS NULL THEN 0"
    " ELSE greatest(0, standing.as_of - h.oldest_unpaid_due_on + 1) END"
)


class History:
    """The projection `history`."""

    name: ClassVar[str] = "history"
    tables: ClassVar[tuple[Table, ...]] = (LOANS, KNOWN, PORTFOLIO, ROLLS)
    told: ClassVar[tuple[Table, ...]] = ()
    before: ClassVar[tuple[str, ...]] = ()
    after: ClassVar[tuple[str, ...]] = (
        # Each loan's last row up to a day. BEGIN ATOMIC binds to the tables: a rebuilt schema is renamed.
        "CREATE FUNCTION {schema}.standing(as_of date) RETURNS TABLE (partition integer, loan_id text, since date,"
        f" {', '.join(f'{name} {kind}' for name, kind in STANDING)}, dpd integer, overdue_paise bigint)"
        " LANGUAGE sql STABLE BEGIN ATOMIC SELECT h.partition, h.loan_id, h.day,"
        f" {_OF_ROW}, {_DPD},"
        " h.overdue_principal_paise + h.overdue_interest_paise + h.overdue_charges_paise"
        " FROM {schema}.known k CROSS JOIN LATERAL (SELECT * FROM {schema}.loans l WHERE l.partition = k.partition"
        " AND l.loan_id = k.loan_id AND l.day <= standing.as_of ORDER BY l.day DESC LIMIT 1) h; END",
        # The portfolio at the end of a day, by cell.
        "CREATE FUNCTION {schema}.cells(as_of date) RETURNS TABLE (product text, vintage date, stage text, bucket text,"
        " past_due_from smallint, classification text, loans bigint, disbursed_paise bigint, principal_paise bigint,"
        " overdue_paise bigint, given_up_paise bigint) LANGUAGE sql STABLE BEGIN ATOMIC"
        " SELECT p.product, p.vintage, p.stage, p.bucket, p.past_due_from, p.classification, sum(p.loans)::bigint,"
        " sum(p.disbursed_paise)::bigint, sum(p.principal_paise)::bigint, sum(p.overdue_paise)::bigint,"
        " sum(p.given_up_paise)::bigint FROM {schema}.portfolio p WHERE p.day <= cells.as_of"
        " GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(p.loans) <> 0; END",
    )

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    def begin(self) -> HistoryFolding:
        return HistoryFolding(self.rules)

    def tell(self, table: Table, row: Row) -> Outgoing:
        raise NotImplementedError("the events themselves are on servicing.loan-events")


Cell = tuple[str, date, str, str, int, str]
"""product, vintage, stage, bucket, past_due_from, classification."""
Sums = tuple[int, int, int, int, int]
"""loans, disbursed, principal, overdue, given up. Paise but for the first."""


class HistoryFolding:
    """One batch: each loan's last row of a day, and what it moved between the portfolio's cells.

    A loan as it was after an event is seen when the next event of that loan comes, or at the batch's end.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.moved: dict[str, tuple[Recorded, date, tuple[Cell, Sums] | None]] = {}
        """Loan -> the event that moved it last, its day, and where in the portfolio the loan was before it."""
        self.loans: dict[tuple[str, date], Row] = {}
        self.known: list[Row] = []
        self.portfolio: dict[tuple[Any, ...], list[int]] = {}
        self.rolls: dict[tuple[Any, ...], list[int]] = {}

    def see(self, recorded: Recorded, loan: Loan) -> None:
        event = recorded.event
        if type(event) not in MOVES:
            if recorded.version == 1:
                self.known.append((recorded.partition, recorded.loan_id, recorded.position))
            return
        day = booked_on(event)
        if recorded.loan_id in self.moved:
            place = self._settle(recorded.loan_id, loan, same_day=day)
        else:
            place = place_of(loan, self.rules)
        self.moved[recorded.loan_id] = recorded, day, place
        if isinstance(event, e.DelinquencyChanged) and (was := bucket_of(loan, self.rules)) != event.bucket:
            key = recorded.partition, day, loan.product, was, event.bucket
            add(self.rolls, key, (1, loan.principal_paise))

    def _settle(self, loan_id: str, loan: Loan, same_day: date | None = None) -> tuple[Cell, Sums] | None:
        """What the loan's last event made of it. The row is left out where another of that day follows."""
        recorded, day, before = self.moved[loan_id]
        after = place_of(loan, self.rules)
        if after != before:
            for place, sign in ((before, -1), (after, 1)):
                if place is not None:
                    cell, sums = place
                    add(self.portfolio, (recorded.partition, day, *cell), tuple(sign * one for one in sums))
        if day != same_day:
            self.loans[loan_id, day] = row_of(recorded, day, loan, self.rules)
        return after

    def close(self, loans: Mapping[str, Loan]) -> list[Write]:
        for loan_id in self.moved:
            if loan_id in loans:
                self._settle(loan_id, loans[loan_id])
        return [
            Write(LOANS, list(self.loans.values())),
            Write(KNOWN, self.known),
            Write(PORTFOLIO, [(*key, *sums) for key, sums in self.portfolio.items()]),
            Write(ROLLS, [(*key, *sums) for key, sums in self.rolls.items()]),
        ]


def add(into: dict[tuple[Any, ...], list[int]], key: tuple[Any, ...], sums: tuple[int, ...]) -> None:
    known = into.setdefault(key, [0] * len(sums))
    for place, one in enumerate(sums):
        known[place] += one


def place_of(loan: Loan, rules: Rules) -> tuple[Cell, Sums] | None:
    """Where in the portfolio a loan is, and what it brings there; None before its money is out."""
    if loan.disbursed_on is None:
        return None
    active = loan.stage == "active"
    bucket = bucket_of(loan, rules) if active else ""
    cell = (
        loan.product,
        loan.disbursed_on.replace(day=1),
        loan.stage,
        bucket,
        past_due_from(rules.product_of(loan).buckets, bucket),
        loan.classification if active else "",
    )
    return cell, (1, loan.disbursed_paise, loan.principal_paise, loan.payable_paise(), loan.written_off_paise)


@lru_cache(maxsize=1024)
def past_due_from(buckets: tuple[tuple[int, str], ...], bucket: str) -> int:
    """The first day past due of a bucket."""
    return next((first for first, name in buckets if name == bucket), 0)


def row_of(recorded: Recorded, day: date, loan: Loan, rules: Rules) -> Row:
    """A loan's row of a day. (`loan` may be past `recorded`, by events that move nothing here.)"""
    product, owed = rules.product_of(loan), unpaid(loan)
    oldest = loan.oldest_unpaid(product.overdue_tolerance_paise) if any(owed) else None
    bucket = bucket_of(loan, rules)
    return (
        recorded.partition,
        recorded.loan_id,
        day,
        loan.product,
        loan.product_version,
        loan.disbursed_on,
        loan.stage,
        loan.closing,
        loan.disbursed_paise,
        loan.principal_paise,
        *owed,
        loan.excess_paise,
        oldest,
        awaits_outcome(loan),
        bucket,
        past_due_from(product.buckets, bucket),
        loan.classification,
        classified_because(loan, rules),
        loan.npa_since,
        loan.restructured_on,
        loan.accrued_booked,
        loan.provision_paise,
        *penal_of(loan),
        loan.written_off_paise,
        recorded.position,
    )


def penal_of(loan: Loan) -> tuple[int, int, int, int]:
    """Penal charges so far: levied, waived, paid and unpaid. Paise. What a charge that fell away had waived stays on
    both sides: its income was taken back but for that."""
    levied = waived = paid = left = 0
    for charge_id, charge in loan.levied.items():
        if charge.kind == "penal":
            levied += charge.waived if charge.falls_away else charge.amount
            waived += charge.waived
            due = loan.due_by_key.get(("penal", charge_id))
            if due is not None:
                paid, left = paid + due.paid, left + due.unpaid
    return levied, waived, paid, left
