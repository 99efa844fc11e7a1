"""Delinquency: what each loan owes and since when; days past due are counted when the row is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from domain import events as e
from domain.decisions.rules import Rules
from domain.decisions.standing import days_past_due, last_day_end
from domain.events import LoanEvent
from domain.loan import Loan
from domain.views import awaits_outcome, bucket_of, classified_because, unpaid
from projections.base import Outgoing, Recorded, Row, Table, Write

MOVES: frozenset[type[LoanEvent]] = frozenset(
    {
        e.Disbursed,
        e.PayoutFailed,
        e.InstalmentDue,
        e.ExcessApplied,
        e.RefundOwed,
        e.DebitAttempted,
        e.DebitSucceeded,
        e.DebitFailed,
        e.DebitPending,
        e.DebitOutcomeOverdue,
        e.DebitWithdrawn,
        e.PaymentReceived,
        e.ReceiptReversed,
        e.ChargeLevied,
        e.ChargeWaived,
        e.Restructured,
        e.Recast,
        e.DelinquencyChanged,
        e.BorrowerStandingChanged,
        e.PerformanceRestored,
        e.WrittenOff,
        e.Settled,
        e.Closed,
        e.Reopened,
    }
)
"""Events that can change a row; after any other it would be written as it was."""

LOANS = Table(
    "loans",
    columns=(
        ("partition", "integer"),
        ("loan_id", "text"),
        ("borrower_id", "text"),
        ("product", "text"),
        ("stage", "text"),
        ("oldest_unpaid_due_on", "date"),
        ("overdue_principal_paise", "bigint"),
        ("overdue_interest_paise", "bigint"),
        ("overdue_charges_paise", "bigint"),
        ("excess_paise", "bigint"),
        ("principal_paise", "bigint"),
        ("awaiting_outcome", "boolean"),
        ("classification", "text"),
        ("bucket", "text"),
        ("npa_since", "date"),
        ("classification_because", "text"),
        ("restructured_on", "date"),
        ("position", "bigint"),
        ("changed_at", "timestamptz"),
    ),
    key=("partition", "loan_id"),
    mode="replace",
    indexes=(
        "loan_id",
        "oldest_unpaid_due_on, loan_id WHERE oldest_unpaid_due_on IS NOT NULL",
        "classification, loan_id WHERE classification <> 'standard'",
    ),
)


class Delinquency:
    """The projection `delinquency`."""

    name: ClassVar[str] = "delinquency"
    tables: ClassVar[tuple[Table, ...]] = (LOANS,)
    told: ClassVar[tuple[Table, ...]] = (LOANS,)
    before: ClassVar[tuple[str, ...]] = (
        # The due date itself is day 1 at its day-end (servicing rules 19 and 20), as in domain/decisions/standing.py.
        "CREATE FUNCTION {schema}.dpd(oldest_unpaid_due_on date, as_of date) RETURNS integer LANGUAGE sql IMMUTABLE"
        " RETURN CASE WHEN oldest_unpaid_due_on IS NULL THEN 0"
        " ELSE greatest(0, as_of - oldest_unpaid_due_on + 1) END",
    )
    after: ClassVar[tuple[str, ...]] = (
        # BEGIN ATOMIC binds to the tables and not to their names: a rebuilt schema is renamed.
        "CREATE FUNCTION {schema}.standing(as_of date) RETURNS TABLE (partition integer, loan_id text,"
        " borrower_id text, product text, stage text, oldest_unpaid_due_on date, dpd integer,"
        " overdue_principal_paise bigint, overdue_interest_paise bigint, overdue_charges_paise bigint,"
        " overdue_paise bigint, excess_paise bigint, principal_paise bigint, classification text, bucket text,"
        " npa_since date, classification_because text, restructured_on date, changed_at timestamptz)"
        " LANGUAGE sql STABLE BEGIN ATOMIC SELECT l.partition, l.loan_id, l.borrower_id,"
        " l.product, l.stage, l.oldest_unpaid_due_on,"
        " CASE WHEN l.awaiting_outcome THEN 0 ELSE {schema}.dpd(l.oldest_unpaid_due_on, standing.as_of) END,"
        " l.overdue_principal_paise, l.overdue_interest_paise, l.overdue_charges_paise,"
        " l.overdue_principal_paise + l.overdue_interest_paise + l.overdue_charges_paise, l.excess_paise,"
        " l.principal_paise, l.classification, l.bucket, l.npa_since, l.classification_because, l.restructured_on,"
        " l.changed_at FROM {schema}.loans l; END",
        "CREATE FUNCTION {schema}.ageing(as_of date) RETURNS TABLE (bucket text, classification text, loans bigint,"
        " principal_paise bigint, overdue_paise bigint, dpd_max integer) LANGUAGE sql STABLE BEGIN ATOMIC"
        " SELECT s.bucket, s.classification, count(*), sum(s.principal_paise)::bigint, sum(s.overdue_paise)::bigint,"
        " max(s.dpd) FROM {schema}.standing(ageing.as_of) s WHERE s.stage = 'active' GROUP BY 1, 2; END",
    )

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    def begin(self) -> DelinquencyFolding:
        return DelinquencyFolding(self.rules)

    def tell(self, table: Table, row: Row) -> Outgoing:
        value = dict(zip(LOANS.names, row, strict=True))
        partition, position, changed_at = value.pop("partition"), value.pop("position"), value["changed_at"]
        as_of = last_day_end(changed_at)
        value["as_of"] = as_of
        value["dpd"] = 0 if value["awaiting_outcome"] else days_past_due(value["oldest_unpaid_due_on"], as_of)
        loan_id: str = value["loan_id"]
        return Outgoing(
            "projection.delinquency",
            "projection.delinquency.loan.v1",
            loan_id,
            f"delinquency:{partition}:{position}",
            changed_at,
            value,
            partition,
        )


class DelinquencyFolding:
    """The loans of one batch whose standing may have moved, each with the event that moved it last."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.moved: dict[str, Recorded] = {}

    def see(self, recorded: Recorded, loan: Loan) -> None:
        if type(recorded.event) in MOVES:
            self.moved[recorded.loan_id] = recorded

    def close(self, loans: Mapping[str, Loan]) -> list[Write]:
        rows = [
            row_of(recorded, loans[loan_id], self.rules) for loan_id, recorded in self.moved.items() if loan_id in loans
        ]
        return [Write(LOANS, rows)]


def row_of(recorded: Recorded, loan: Loan, rules: Rules) -> Row:
    """A loan's standing. (`loan` may be past `recorded`, by events that move nothing here.)"""
    owed = unpaid(loan)
    oldest = loan.oldest_unpaid(rules.product_of(loan).overdue_tolerance_paise) if any(owed) else None
    return (
        recorded.partition,
        recorded.loan_id,
        loan.borrower_id,
        loan.product,
        loan.stage,
        oldest,
        owed.principal,
        owed.interest,
        owed.charges,
        loan.excess_paise,
        loan.principal_paise,
        awaits_outcome(loan),
        loan.classification,
        bucket_of(loan, rules),
        loan.npa_since,
        classified_because(loan, rules),
        loan.restructured_on,
        recorded.position,
        recorded.event.timestamp,
    )
