"""The loan as a person opens it: one row a loan with what lists and searches ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from domain.calendar import ist_day
from domain.decisions.rules import Rules
from domain.decisions.terms_change import rate_on
from domain.law.classification import asset_class
from domain.loan import Loan
from domain.parts import as_day
from domain.views import awaits_outcome, bucket_of, classified_because, unpaid
from projections.base import Outgoing, Recorded, Row, Table, Write, booked_on

LOANS = Table(
    "loans",
    columns=(
        ("partition", "integer"),
        ("loan_id", "text"),
        ("borrower_id", "text"),
        ("product", "text"),
        ("product_version", "integer"),
        ("segment", "text"),
        ("stage", "text"),
        ("closing", "text"),
        ("disbursed_on", "date"),
        ("closed_on", "date"),
        ("disbursed_paise", "bigint"),
        ("principal_paise", "bigint"),
        ("principal_due_paise", "bigint"),
        ("interest_due_paise", "bigint"),
        ("charges_due_paise", "bigint"),
        ("payable_paise", "bigint"),
        ("excess_paise", "bigint"),
        ("received_paise", "bigint"),
        ("refund_due_paise", "bigint"),
        ("written_off_paise", "bigint"),
        ("instalment_paise", "bigint"),
        ("instalments", "integer"),
        ("instalments_due", "integer"),
        ("next_due_on", "date"),
        ("next_due_paise", "bigint"),
        ("next_debit_at", "timestamptz"),
        ("annual_rate_percent", "text"),
        ("apr_percent", "text"),
        ("schedule_version", "integer"),
        ("oldest_unpaid_due_on", "date"),
        ("awaiting_outcome", "boolean"),
        ("classification", "text"),
        ("bucket", "text"),
        ("asset_class", "text"),  # as of the last event; it ages, and each month's end is an event
        ("npa_since", "date"),
        ("classification_because", "text"),
        ("restructured_on", "date"),
        ("settlement_paise", "bigint"),
        ("settlement_pay_by", "date"),
        ("accrued_booked_paise", "bigint"),
        ("provision_paise", "bigint"),
        ("mandate_id", "text"),
        ("mandate_status", "text"),
        ("mandate_rail", "text"),
        ("bank", "text"),
        ("paused_until", "date"),
        ("cases", "integer"),
        ("open_cases", "integer"),
        ("open_grievances", "integer"),
        ("version", "integer"),
        ("last_event", "text"),
        ("last_event_at", "timestamptz"),
        ("position", "bigint"),
        ("recorded_at", "timestamptz"),
    ),
    key=("partition", "loan_id"),
    mode="replace",
    # Each list ends in loan_id, so that a cursor names its place exactly. Few, because every event touches a row.
    indexes=(
        "loan_id",
        "borrower_id, loan_id",
        "stage, loan_id",
        "bucket, loan_id",
        "oldest_unpaid_due_on, loan_id WHERE oldest_unpaid_due_on IS NOT NULL",
    ),
)


class LoanView:
    """The projection `loan_view`."""

    name: ClassVar[str] = "loan_view"
    tables: ClassVar[tuple[Table, ...]] = (LOANS,)
    told: ClassVar[tuple[Table, ...]] = ()
    before: ClassVar[tuple[str, ...]] = ()
    after: ClassVar[tuple[str, ...]] = ()

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    def begin(self) -> LoanViewFolding:
        return LoanViewFolding(self.rules)

    def tell(self, table: Table, row: Row) -> Outgoing:
        raise NotImplementedError("the events themselves are on servicing.loan-events")


class LoanViewFolding:
    """The loans of one batch, each with its last event."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.last: dict[str, Recorded] = {}

    def see(self, recorded: Recorded, loan: Loan) -> None:
        self.last[recorded.loan_id] = recorded

    def close(self, loans: Mapping[str, Loan]) -> list[Write]:
        rows = [
            row_of(recorded, loans[loan_id], self.rules) for loan_id, recorded in self.last.items() if loan_id in loans
        ]
        return [Write(LOANS, rows)]


def row_of(recorded: Recorded, loan: Loan, rules: Rules) -> Row:
    """Everything about a loan that does not depend on the time of reading."""
    owed = unpaid(loan)
    oldest = loan.oldest_unpaid(rules.product_of(loan).overdue_tolerance_paise) if any(owed) else None
    coming = loan.next_row if loan.stage in ("booked", "active") else None
    mandate = loan.mandate
    return (
        recorded.partition,
        recorded.loan_id,
        loan.borrower_id,
        loan.product,
        loan.product_version,
        loan.segment,
        loan.stage,
        loan.closing,
        loan.disbursed_on,
        loan.closed_on,
        loan.disbursed_paise,
        loan.principal_paise,
        owed.principal,
        owed.interest,
        owed.charges,
        owed.total,
        loan.excess_paise,
        loan.received_paise,
        loan.refunds_paise(),
        loan.written_off_paise,
        loan.instalment_paise,
        len(loan.rows),
        loan.due_rows,
        coming.due_on if coming else None,
        coming.total if coming else 0,
        min((chance.at for chance in loan.opportunities.values() if chance.at), default=None),
        format(rate_on(loan.agreed, ist_day(loan.known_at)), "f"),
        loan.apr_percent,
        loan.schedule_version,
        oldest,
        awaits_outcome(loan),
        loan.classification,
        bucket_of(loan, rules),
        asset_class(loan.npa_since, booked_on(recorded.event)).value,
        loan.npa_since,
        classified_because(loan, rules),
        loan.restructured_on,
        loan.settlement["amount_paise"] if loan.settlement else 0,
        as_day(loan.settlement["pay_by"]) if loan.settlement else None,
        loan.accrued_booked,
        loan.provision_paise,
        mandate.get("mandate_id", ""),
        mandate.get("status", ""),
        mandate.get("rail", ""),
        mandate.get("bank", ""),
        loan.paused_until,
        loan.cases,
        len(loan.open_cases),
        len(loan.grievances),
        recorded.version,
        recorded.event.TOPIC,
        recorded.event.timestamp,
        recorded.position,
        recorded.recorded_at,
    )
