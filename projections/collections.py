"""Collections: the work list, promises to pay, and what each arm of a strategy brought."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from domain import events as e
from domain.calendar import day_end
from domain.decisions.rules import Rules
from domain.folding import case_file
from domain.loan import Loan
from domain.parts import as_day
from domain.policies.collections import CONTACTS
from projections.base import Outgoing, Recorded, Row, Table, Write

CASES = Table(
    "cases",
    columns=(
        ("partition", "integer"),
        ("case_id", "text"),
        ("loan_id", "text"),
        ("kind", "text"),
        ("team", "text"),
        ("reason", "text"),
        ("number", "integer"),
        ("about", "text"),
        ("state", "text"),
        ("assignee", "text"),
        ("level", "integer"),
        ("notes", "integer"),
        ("opened_at", "timestamptz"),
        ("due_at", "timestamptz"),
        ("closed_at", "timestamptz"),
        ("disposition", "text"),
        ("outcome", "text"),
        ("version", "integer"),
        ("position", "bigint"),
        ("changed_at", "timestamptz"),
    ),
    key=("partition", "case_id"),
    mode="replace",
    indexes=("loan_id", "state, assignee, due_at", "about WHERE state = 'open' AND about <> ''"),
)
PROMISES = Table(
    "promises",
    columns=(
        ("partition", "integer"),
        ("promise_id", "text"),
        ("loan_id", "text"),
        ("amount_paise", "bigint"),
        ("received_paise", "bigint"),
        ("pay_by", "date"),
        ("channel", "text"),
        ("arm", "text"),
        ("state", "text"),
        ("position", "bigint"),
        ("changed_at", "timestamptz"),
    ),
    key=("partition", "promise_id"),
    mode="replace",
    indexes=("loan_id", "pay_by, promise_id WHERE state = 'open'"),
)
ARMS = Table(
    "arms",
    columns=(
        ("partition", "integer"),
        ("strategy", "text"),
        ("arm", "text"),
        ("metric", "text"),
        ("count", "bigint"),
        ("paise", "bigint"),
        ("position", "bigint"),
        ("changed_at", "timestamptz"),
    ),
    key=("partition", "strategy", "arm", "metric"),
    mode="add",
    newest=("position", "changed_at"),
)
METRICS = ("entered", "contact", "task", "promised", "kept", "broken", "recovered", "cured")
"""Of an arm: arrears that began, notices, tasks for people, promises made, kept and broken, money that came in while
the loan was in arrears (taken off when it was taken back), arrears that ended."""


class Collections:
    """The projection `collections`."""

    name: ClassVar[str] = "collections"
    tables: ClassVar[tuple[Table, ...]] = (CASES, PROMISES, ARMS)
    told: ClassVar[tuple[Table, ...]] = ()
    before: ClassVar[tuple[str, ...]] = ()
    after: ClassVar[tuple[str, ...]] = ()

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    def begin(self) -> CollectionsFolding:
        return CollectionsFolding(self.rules)

    def tell(self, table: Table, row: Row) -> Outgoing:
        raise NotImplementedError("the events themselves are on servicing.loan-events")


class CollectionsFolding:
    """One batch: the newest row of each case and promise, and what is added to the arms."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.cases: dict[str, Row] = {}
        self.promises: dict[str, Row] = {}
        self.arms: dict[tuple[Any, ...], list[Any]] = {}

    def see(self, recorded: Recorded, loan: Loan) -> None:
        event: Any = recorded.event
        match event:
            case e.CaseOpened():
                self._case(
                    recorded, event.case_id, case_file(event, event.kind, event.reason, event.number, about=event.about)
                )
            case e.GrievanceRaised():
                file = case_file(event, "grievance", event.subject, answer_by=event.answer_by)
                self._case(recorded, event.grievance_id, file)
            case e.CaseAssigned():
                self._case(recorded, event.case_id, {**loan.case_files[event.case_id], "assignee": event.assignee})
            case e.CaseNoted():
                file = loan.case_files[event.case_id]
                self._case(recorded, event.case_id, {**file, "notes": file["notes"] + 1}, disposition=event.disposition)
            case e.CaseEscalated():
                self._case(recorded, event.case_id, {**loan.case_files[event.case_id], "level": event.level})
            case e.GrievanceEscalated():
                self._case(recorded, event.grievance_id, {**loan.case_files[event.grievance_id], "level": 1})
            case e.CaseClosed():
                self._case(
                    recorded, event.case_id, loan.case_files[event.case_id],
                    closed_at=event.timestamp, disposition=event.disposition, outcome=event.outcome,
                )  # fmt: skip
            case e.CollectionPlanned():
                if event.first:
                    self._arm(recorded, event.strategy, event.arm, "entered", event.overdue_paise)
            case e.CollectionStepTaken():
                metric = "contact" if event.do in CONTACTS else "task"
                self._arm(recorded, event.strategy, event.arm, metric, 0)
            case e.PromiseMade():
                if loan.promise is not None:
                    self._promise(recorded, loan.promise, "replaced")
                arm = loan.plan["arm"] if loan.plan else ""
                self._promise(recorded, {**vars(event), "received_paise": 0, "arm": arm}, "open")
                self._of_plan(recorded, loan, "promised", event.amount_paise)
            case e.PromiseKept() | e.PromiseBroken():
                state = "kept" if isinstance(event, e.PromiseKept) else "broken"
                assert loan.promise is not None  # the event is about it
                kept = {**loan.promise, "received_paise": event.received_paise}
                self._promise(recorded, kept, state)
                if kept["arm"]:
                    self._arm(recorded, kept["strategy"], kept["arm"], state, event.amount_paise)
            case e.DebitSucceeded() | e.PaymentReceived():
                self._of_plan(recorded, loan, "recovered", event.amount_paise)
            case e.ReceiptReversed():
                self._of_plan(recorded, loan, "recovered", -event.amount_paise, count=-1)
            case e.DelinquencyChanged():
                if event.dpd == 0:
                    self._of_plan(recorded, loan, "cured", 0)
            case _:
                pass

    def _case(
        self,
        recorded: Recorded,
        case_id: str,
        file: Mapping[str, Any],
        *,
        closed_at: datetime | None = None,
        disposition: str = "",
        outcome: str = "",
    ) -> None:
        """A case as it stands after the event; it is due when the next level would hear of it."""
        known, opened_at = self.rules.casework.of(file["kind"]), datetime.fromisoformat(file["opened_at"])
        due_at = self.rules.casework.due_at(file["kind"], opened_at)
        if (answer_by := as_day(file["answer_by"])) is not None:
            due_at = day_end(answer_by)
        self.cases[case_id] = (
            recorded.partition,
            case_id,
            recorded.loan_id,
            file["kind"],
            known.team if known else "",
            file["reason"],
            file["number"],
            file["about"],
            "open" if closed_at is None else "closed",
            file["assignee"],
            file["level"],
            file["notes"],
            opened_at,
            due_at,
            closed_at,
            disposition,
            outcome,
            recorded.version,
            recorded.position,
            recorded.event.timestamp,
        )

    def _promise(self, recorded: Recorded, told: Mapping[str, Any], state: str) -> None:
        self.promises[told["promise_id"]] = (
            recorded.partition,
            told["promise_id"],
            recorded.loan_id,
            told["amount_paise"],
            told["received_paise"],
            as_day(told["by"]),
            told["channel"],
            told["arm"],
            state,
            recorded.position,
            recorded.event.timestamp,
        )

    def _of_plan(self, recorded: Recorded, loan: Loan, metric: str, paise: int, count: int = 1) -> None:
        """Counts for the arm by which the loan is treated; of a loan that is in no arrears, for none."""
        if loan.plan is not None:
            self._arm(recorded, loan.plan["strategy"], loan.plan["arm"], metric, paise, count)

    def _arm(self, recorded: Recorded, strategy: str, arm: str, metric: str, paise: int, count: int = 1) -> None:
        key = recorded.partition, strategy, arm, metric
        sums = self.arms.setdefault(key, [0, 0, 0, recorded.recorded_at])
        sums[0] += count
        sums[1] += paise
        sums[2:] = recorded.position, recorded.recorded_at

    def close(self, loans: Mapping[str, Loan]) -> list[Write]:
        return [
            Write(CASES, list(self.cases.values())),
            Write(PROMISES, list(self.promises.values())),
            Write(ARMS, [(*key, *sums) for key, sums in self.arms.items()]),
        ]
