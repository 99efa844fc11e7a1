"""What a report is: columns, rows as of a day's end, totals, and what the ledger says of the same money."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, NamedTuple, Protocol

from adapters.vault import Vault
from domain.decisions.rules import Rules
from projections.ledger import BY_CODE
from streams.read_models import Connection

Kind = Literal["text", "day", "instant", "count", "number", "paise", "percent", "flag"]
Row = Sequence[Any]
When = Literal["on", "then", "period"]
EVERY_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `count` and `paise` are integers with a total, `number` one without; `percent` are decimal strings;
    days and instants are in Asia/Kolkata; None where a row has no value."""

    name: str
    kind: Kind
    says: str = ""

    @property
    def summed(self) -> bool:
        return self.kind in ("count", "paise")


@dataclass(slots=True)
class Ask:
    """What is asked for, and what the answer is made from: one snapshot of the database."""

    connection: Connection
    rules: Rules
    on: date
    """The day at whose end the figures stood."""
    since: date
    """Of a period: its first day. Of a comparison: the day at whose end it begins."""
    loan_id: str = ""
    vault: Vault | None = None
    member_code: str = ""
    """The lender's at the credit bureaus."""
    sums: Counter[str] = field(default_factory=Counter[str])
    """Of figures that no column has, for the checks. Paise."""
    notes: list[str] = field(default_factory=list[str])
    """What whoever reads the report must know besides its rows: rejected accounts, what is not finished."""
    flaws: list[str] = field(default_factory=list[str])
    """What must not be, besides a difference to the ledger."""
    tables: set[str] = field(default_factory=set[str])

    async def standing(self, day: date) -> str:
        """The name of a table with every loan as it stood at a day's end; made once, gone with the transaction."""
        name = f"standing_{day:%Y%m%d}"
        if name not in self.tables:
            await self.connection.execute(
                f"CREATE TEMP TABLE {name} ON COMMIT DROP AS SELECT * FROM history.standing('{day}'); ANALYZE {name}"
            )
            self.tables.add(name)
        return name


@dataclass(frozen=True, slots=True)
class Proof:
    """The same money twice: by the report and by the ledger. Paise."""

    says: str
    report_paise: int
    rest_paise: int
    """Of what the report leaves out."""
    ledger_paise: int
    ledger_says: str

    @property
    def difference_paise(self) -> int:
        return self.report_paise + self.rest_paise - self.ledger_paise


class Check(Protocol):
    @property
    def says(self) -> str:
        """What is proved, in words."""
        ...

    async def prove(self, ask: Ask, totals: Mapping[str, int]) -> Proof: ...


@dataclass(frozen=True, slots=True)
class Books:
    """Columns' totals beside the ledger's balance at a day's end, or what moved in the period."""

    columns: tuple[str, ...]
    """Summed; one with a minus before it is taken off."""
    account: int
    when: When = "on"
    topics: tuple[str, ...] = ()
    """Only entries of these events; none named: of all."""
    rest: str = ""
    """SQL of the same sum over what the rows leave out, of the loans in {standing}. Empty: they leave nothing out."""
    credit: bool = False
    """The account's credits are what counts, as for income and debts."""

    @property
    def says(self) -> str:
        told = " + ".join(self.columns).replace("+ -", "- ")
        return told.replace("_paise", "").replace("_", " ")

    async def prove(self, ask: Ask, totals: Mapping[str, int]) -> Proof:
        until = ask.since if self.when == "then" else ask.on
        paise: Any = await ask.connection.fetchval(
            "SELECT coalesce(sum(debit_paise - credit_paise), 0)::bigint FROM ledger.daily WHERE account = $1"
            " AND booked_on BETWEEN $2 AND $3 AND (cardinality($4::text[]) = 0 OR topic = ANY($4))",
            self.account,
            ask.since if self.when == "period" else date.min,
            until,
            list(self.topics),
        )
        known = Counter({**totals, **ask.sums})
        rest = await self.left_out(ask, until) if self.rest else 0
        account = BY_CODE[self.account]
        when = f"{ask.since} to {ask.on}" if self.when == "period" else f"at the end of {until}"
        return Proof(
            says=self.says,
            report_paise=sum(-known[name[1:]] if name.startswith("-") else known[name] for name in self.columns),
            rest_paise=rest or 0,
            ledger_paise=-paise if self.credit else paise,
            ledger_says=f"{account.code} {account.name}, {when}" + (", of these events" if self.topics else ""),
        )

    async def left_out(self, ask: Ask, day: date) -> int:
        paise: Any = await ask.connection.fetchval(self.rest.format(standing=await ask.standing(day)))
        return paise


@dataclass(frozen=True, slots=True)
class Report:
    """One report of the catalogue."""

    name: str
    title: str
    says: str
    """What a row is, and how its figures are made."""
    columns: tuple[Column, ...]
    rows: Callable[[Ask], AsyncIterator[Row]]
    checks: tuple[Check, ...]
    reads: tuple[str, ...]
    """The read models that it is made from, besides the ledger."""
    period: Literal["", "month", "comparison"] = ""
    """`month`: what happened from a day on, without one since the first of the month. `comparison`: two days' ends,
    without one the last month's end before."""
    of_loan: bool = False
    """It is about one loan, which has to be named."""
    counts: Callable[[Row, Ask], bool] = lambda row, ask: True
    """Whether a row is part of the totals."""
    refuses: Callable[[date], str] | None = None
    """Why there is no such report of a day; empty when there is."""
    real_time: bool = False
    """Its days are those of the wall clock, not of business time."""
    personal: bool = False
    """Its rows hold personal data."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


class Footer(NamedTuple):
    """What is under the rows."""

    rows: int
    totals: Mapping[str, int]
    proofs: Sequence[Proof]
    notes: Sequence[str]
    flaws: Sequence[str] = ()

    @property
    def reconciles(self) -> bool:
        return not self.flaws and all(proof.difference_paise == 0 for proof in self.proofs)


class Running:
    """A report on its way: rows first, then its footer."""

    def __init__(self, report: Report, ask: Ask) -> None:
        self.report = report
        self.ask = ask
        self.count = 0
        self.progress: Callable[[int], None] | None = None
        """Told now and then of how many rows there are so far."""
        self.totals = {column.name: 0 for column in report.columns if column.summed}
        self._places = [(place, column.name) for place, column in enumerate(report.columns) if column.summed]

    async def rows(self) -> AsyncIterator[Row]:
        totals, places, counts, ask = self.totals, self._places, self.report.counts, self.ask
        async for row in self.report.rows(ask):
            self.count += 1
            if self.progress is not None and self.count % EVERY_ROWS == 0:
                self.progress(self.count)
            if counts(row, ask):
                for place, name in places:
                    totals[name] += row[place] or 0
            yield row

    async def footer(self) -> Footer:
        """After all rows are read."""
        proofs = [await check.prove(self.ask, self.totals) for check in self.report.checks]
        return Footer(self.count, self.totals, proofs, self.ask.notes, self.ask.flaws)
