"""Faust: one NPA loan makes all of the borrower's loans NPA (servicing rule 21).

The table `borrower-standings` keeps together how a borrower's loans stand (`loan_standings.py` has the rule), and each
loan gets a command when its flag is not as it should be. Two things make repeats and crashes harmless: the decision is
of the level, not of the change, so any record of a borrower brings it up again until the loan itself has told of its
flag; and a command's id follows from the loan, the flag, and where the flag's last change stands in the log, so what
was done is not done again.

Nothing is decided before all of the borrower's loans are known: half of the truth could clear a flag, or set it.
"""
# pyright: basic

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

import faust
import orjson

from streams.bodies import validated
from streams.envelope import Record, headers_for
from streams.faust_records import Table, Topics, Work, add_agent
from streams.loan_standings import Known, LoanStanding, Tell, known, tells
from streams.topics import COMMANDS, LOAN_STANDINGS, partition_of
from streams.wire import BorrowerStanding, correlation_of

SOURCE = "qist/borrower-standing"
REQUESTED_BY = "qist"


class BorrowerStandings:
    """The rule over a table: borrower -> `{"all": loan ids, "loans": loan id -> Known}`."""

    def __init__(self, table: Table, partitions: int) -> None:
        self._table = table
        self._partitions = partitions

    def learn(self, record: Record, work: Work) -> None:
        """A loan stands otherwise: remember it, and tell whoever must know."""
        loan = validated(LoanStanding, record)
        home = partition_of(loan.borrower_id, self._partitions)
        if home != record.partition:
            work.reroute(record, LOAN_STANDINGS, home)
            return
        kept = self._table.read(loan.borrower_id) or {"all": [], "loans": {}}
        newer = with_news(kept, loan)
        if newer != kept:
            work.put(self._table, loan.borrower_id, kept := newer)
        if set(kept["all"]) <= kept["loans"].keys():
            for tell in tells({loan_id: Known(**one) for loan_id, one in kept["loans"].items()}):
                self._command(tell, datetime.fromisoformat(loan.as_of), correlation_of(record), work)

    def _command(self, tell: Tell, at: datetime, correlation: str, work: Work) -> None:
        body = {
            "command_id": tell.command_id,
            "loan_id": tell.loan_id,
            "requested_by": REQUESTED_BY,
            "requested_at": at.isoformat(),
            "npa": tell.npa,
            "because": tell.because,
        }
        headers = headers_for(BorrowerStanding.TYPE, tell.command_id, SOURCE, at, ("qist_correlation_id", correlation))
        home = partition_of(tell.loan_id, self._partitions)
        work.send(COMMANDS, tell.loan_id.encode(), orjson.dumps(body), headers, home)


def with_news(kept: dict[str, Any], loan: LoanStanding) -> dict[str, Any]:
    """The borrower's loans with what one of them says, unless something newer of it is known."""
    before = kept["loans"].get(loan.loan_id)
    newest = asdict(known(loan)) if before is None or before["position"] < loan.position else before
    return {
        "all": sorted({*kept["all"], *loan.borrower_loans}),
        "loans": {**kept["loans"], loan.loan_id: newest},
    }


def add_borrower_standing(app: faust.App, topics: Topics, partitions: int) -> None:
    """The table and the agent."""
    table: Any = app.Table("borrower-standings", partitions=partitions)
    add_agent(app, topics, LOAN_STANDINGS, BorrowerStandings(table, partitions).learn)
