"""The dashboard: counts and sums by day, so that a portfolio of any size is a few thousand rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar

from domain import events as e
from domain.calendar import IST, ist_day
from domain.decisions.rules import Rules
from domain.events import LoanEvent
from domain.failures import SUCCESS
from domain.loan import Loan
from projections.base import Outgoing, Recorded, Row, Table, Write

SUMS = (("count", "bigint"), ("paise", "bigint"), ("position", "bigint"), ("changed_at", "timestamptz"))

DAILY = Table(
    "daily",
    columns=(("partition", "integer"), ("day", "date"), ("metric", "text"), ("kind", "text"), *SUMS),
    key=("partition", "day", "metric", "kind"),
    mode="add",
    newest=("position", "changed_at"),
)
DEBITS = Table(
    "debits",
    columns=(
        ("partition", "integer"),
        ("day", "date"),
        ("hour", "smallint"),
        ("rail", "text"),
        ("bank", "text"),
        ("gateway", "text"),
        ("attempt", "smallint"),
        ("outcome", "text"),
        ("failure_class", "text"),
        ("code", "text"),
        *SUMS,
    ),
    key=("partition", "day", "hour", "rail", "bank", "gateway", "attempt", "outcome", "failure_class", "code"),
    mode="add",
    newest=("position", "changed_at"),
)

METRICS: dict[type[LoanEvent], Callable[[Any], tuple[tuple[str, str, int], ...]]] = {
    e.LoanBooked: lambda event: (("booked", event.product, event.financed_paise),),
    e.Disbursed: lambda event: (("disbursed", "", event.amount_paise), ("paid_out", "", event.net_paise)),
    e.PayoutFailed: lambda event: (
        ("payout_returned" if event.returned else "payout_failed", event.code, event.amount_paise),
    ),
    e.InstalmentDue: lambda event: (("fell_due", "", event.principal_paise + event.interest_paise + event.fee_paise),),
    e.ExcessApplied: lambda event: (("excess_applied", "", event.paise),),
    e.DebitSucceeded: lambda event: (
        ("collected", f"debit:{event.rail}", event.amount_paise),
        *((("recovered_after_retry", event.rail, event.amount_paise),) if event.attempt > 1 else ()),
    ),
    e.DebitFailed: lambda event: (("bounced", event.failure_class, event.amount_paise),),
    e.DebitPending: lambda event: (("debit_pending", event.code, 0),),
    e.DebitOutcomeOverdue: lambda event: (("outcome_overdue", "", 0),),
    e.MandateRequested: lambda event: (("mandate_requested", event.rail, 0),),
    e.PaymentLinkOffered: lambda event: (("link_offered", "", event.amount_paise),),
    e.DebitsStopped: lambda event: (("debits_stopped", event.code, 0),),
    e.CollectionExhausted: lambda event: (("collection_exhausted", event.next_step, 0),),
    e.PaymentReceived: lambda event: (("collected", event.method, event.amount_paise),),
    e.ReceiptReversed: lambda event: (("reversed", event.source, event.amount_paise),),
    e.ChargeLevied: lambda event: (("charge_levied", event.kind, event.amount_paise + event.gst_paise),),
    e.ChargeWaived: lambda event: (("charge_waived", "", event.paise),),
    e.Restructured: lambda event: (("restructured", "", event.principal_paise),),
    e.ReliefGranted: lambda event: (("relief_granted", event.kind, 0),),
    e.RateReset: lambda event: (("rate_reset", event.option, 0),),
    e.Recast: lambda event: (("recast", "", 0),),
    e.PrincipalPrepaid: lambda event: (("prepaid", event.choice, event.amount_paise),),
    e.DelinquencyChanged: lambda event: (("classified", event.classification, event.overdue_paise),),
    e.MonthClosed: lambda event: (
        ("accrued", event.asset_class, event.accrued_paise),
        ("provided", event.asset_class, event.provision_paise),
    ),
    e.CaseOpened: lambda event: (("case_opened", event.kind, 0),),
    e.CaseClosed: lambda event: (("case_closed", event.outcome, 0),),
    e.GrievanceRaised: lambda event: (("grievance_raised", "", 0),),
    e.GrievanceEscalated: lambda event: (("grievance_escalated", "", 0),),
    e.CompensationOwed: lambda event: (("compensation", event.kind, event.paise),),
    e.WrittenOff: lambda event: (
        ("written_off", "", event.principal_paise + event.interest_paise + event.charges_paise),
    ),
    e.SettlementAgreed: lambda event: (("settlement_agreed", "", event.amount_paise),),
    e.SettlementLapsed: lambda event: (("settlement_lapsed", "", event.received_paise),),
    e.Settled: lambda event: (
        ("settlement_loss", "", event.principal_paise + event.interest_paise + event.charges_paise),
    ),
    e.DisbursalCancelled: lambda event: (("cancelled", "", event.principal_paise),),
    e.RefundSettled: lambda event: (("refunded", "", event.amount_paise),),
    e.Closed: lambda event: (("closed", event.kind, event.refund_paise),),
    e.Reopened: lambda event: (("reopened", "", 0),),
}
"""Event -> what it adds to the day: (metric, kind, paise), each counting one."""

DEBIT_OUTCOMES: dict[type[LoanEvent], Callable[[Any, Loan], tuple[str, str, str]]] = {
    e.DebitAttempted: lambda event, loan: ("attempted", "", ""),
    e.DebitSucceeded: lambda event, loan: ("succeeded", recovered_from(event, loan), ""),
    e.DebitFailed: lambda event, loan: ("failed", event.failure_class, event.code),
}
"""Event -> (outcome, failure class, code) of a debit. The day and hour are those of the event itself; the class of a
success is that of the failure which it makes good, empty at the first attempt."""


def recovered_from(event: e.DebitSucceeded, loan: Loan) -> str:
    """The class of the instalment's last failure; empty where none went before."""
    answers = reversed(loan.answered_debits)
    return next((one.outcome for one in answers if one.number == event.number and one.outcome != SUCCESS), "")


SETTLING: frozenset[type[LoanEvent]] = frozenset(
    {e.DebitSucceeded, e.PaymentReceived, e.ExcessApplied, e.ReceiptReversed}
)
"""Events whose lines say what money settled: the metric `settled`, by kind of line; negative where it is undone."""


def settled(event: Any, loan: Loan) -> Iterator[tuple[str, int]]:
    """What a line settled, and paise; `KIND:arrears` of an instalment that fell due in an earlier month."""
    month = event.timestamp.astimezone(IST).date().replace(day=1)
    for line in event.lines:
        due = loan.due_by_key.get((line["for"], line.get("number", 0)))
        late = due is not None and due.due_on < month
        yield f"{line['for']}:arrears" if late else line["for"], line["paise"]


def days_taken(event: e.DebitSucceeded, loan: Loan) -> int:
    """From the instalment's first answer to this one."""
    first = next((one.at for one in loan.answered_debits if one.number == event.number), event.timestamp)
    return (ist_day(event.timestamp) - ist_day(first)).days


class Dashboard:
    """The projection `dashboard`."""

    name: ClassVar[str] = "dashboard"
    tables: ClassVar[tuple[Table, ...]] = (DAILY, DEBITS)
    told: ClassVar[tuple[Table, ...]] = (DAILY, DEBITS)
    before: ClassVar[tuple[str, ...]] = ()
    after: ClassVar[tuple[str, ...]] = ()

    def __init__(self, rules: Rules | None = None) -> None:
        pass

    def begin(self) -> DashboardFolding:
        return DashboardFolding()

    def tell(self, table: Table, row: Row) -> Outgoing:
        """The key's value as it stands, not the change: a reader keeps the newest a key and sums over partitions."""
        value = dict(zip(table.names, row, strict=True))
        key = "|".join((table.name, *(str(value[name]) for name in table.key)))
        return Outgoing(
            "projection.dashboard",
            f"projection.dashboard.{table.name}.v1",
            key,
            f"dashboard:{key}:{value['position']}",
            value["changed_at"],
            value,
            None,
        )


class DashboardFolding:
    """One batch's additions. A sum is [count, paise, position, changed_at]."""

    def __init__(self) -> None:
        self.daily: dict[tuple[Any, ...], list[Any]] = {}
        self.debits: dict[tuple[Any, ...], list[Any]] = {}

    def see(self, recorded: Recorded, loan: Loan) -> None:
        partition, position, _, _, event, recorded_at = recorded
        kind = type(event)
        metrics = METRICS.get(kind)
        outcome = DEBIT_OUTCOMES.get(kind)
        if metrics is None and outcome is None:
            return
        instant = event.timestamp.astimezone(IST)
        day = instant.date()
        if metrics is not None:
            for metric, dimension, paise in metrics(event):
                add(self.daily, (partition, day, metric, dimension), paise, position, recorded_at)
        if kind in SETTLING:
            for what, paise in settled(event, loan):
                add(self.daily, (partition, day, "settled", what), paise, position, recorded_at)
        if isinstance(event, e.DebitSucceeded) and event.attempt > 1:
            key = (partition, day, "recovered_after_days", str(days_taken(event, loan)))
            add(self.daily, key, event.amount_paise, position, recorded_at)
        if outcome is not None:
            debit: Any = event
            key = (
                partition, day, instant.hour, debit.rail, debit.bank, debit.gateway, debit.attempt,
                *outcome(debit, loan),
            )  # fmt: skip
            add(self.debits, key, debit.amount_paise, position, recorded_at)

    def close(self, loans: Mapping[str, Loan]) -> list[Write]:
        return [
            Write(DAILY, [(*key, *sums) for key, sums in self.daily.items()]),
            Write(DEBITS, [(*key, *sums) for key, sums in self.debits.items()]),
        ]


def add(
    sums: dict[tuple[Any, ...], list[Any]], key: tuple[Any, ...], paise: int, position: int, recorded_at: datetime
) -> None:
    known = sums.get(key)
    if known is None:
        sums[key] = [1, paise, position, recorded_at]
    else:
        known[0] += 1
        known[1] += paise
        known[2] = position
        known[3] = recorded_at
