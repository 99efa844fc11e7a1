"""Faust: what the LOS tells of a borrower goes to each of the borrower's loans, as one command a loan.

Two tables, both keyed by borrower and in the partition that `los.updates` has for them:

- `borrower-loans`: the ids of a borrower's loans, told by the engine's publisher when a loan is booked.
- `waiting-updates`: the latest update of each subject for borrowers without a loan yet. They go to the loan that
  appears first and are forgotten when the broker has the commands: a loan booked later brought its own, newer facts.

Every command's id follows from the update's and the loan's, so that sending twice is harmless.
"""
# pyright: basic

from __future__ import annotations

from dataclasses import asdict

import faust

from streams.envelope import Record
from streams.faust_records import Table, Topics, Work, add_agent
from streams.los_updates import Update, identity_of, understand_loan, understand_update
from streams.topics import BORROWER_LOANS, COMMANDS, UPDATES, Topic, partition_of


class LosSync:
    """The fan-out, apart from Faust: what to do with a record of either topic."""

    def __init__(self, loans: Table, waiting: Table, partitions: int) -> None:
        self._loans = loans
        self._waiting = waiting
        self._partitions = partitions

    def learn_loan(self, record: Record, work: Work) -> None:
        """A loan was booked: remember it, and send it what has been waiting for it."""
        told = understand_loan(record)
        if not self._is_home(record, BORROWER_LOANS, told.borrower_id, work):
            return
        known: list[str] = self._loans.read(told.borrower_id) or []
        if told.loan_id not in known:
            work.put(self._loans, told.borrower_id, sorted([*known, told.loan_id]))
        waiting = [Update(**stored) for stored in (self._waiting.read(told.borrower_id) or {}).values()]
        sent = [update for update in waiting if update.loan_id in (None, told.loan_id)]
        for update in sent:
            self._command(update, told.loan_id, work)
        if sent:
            # Not before the broker has the commands: what is forgotten cannot be sent again after a crash.
            work.at_last = lambda rest: self._forget(told.borrower_id, sent, rest)

    def fan_out(self, record: Record, work: Work) -> None:
        """A borrower's facts changed: tell the loans that are known, or wait for the first one."""
        update = understand_update(record, work.sent_at)
        if not update.fields or not self._is_home(record, UPDATES, update.borrower_id, work):
            return
        known: list[str] = self._loans.read(update.borrower_id) or []
        if not known or (update.loan_id and update.loan_id not in known):
            waiting = self._waiting.read(update.borrower_id) or {}
            latest = update.after(waiting.get(update.subject))
            work.put(self._waiting, update.borrower_id, {**waiting, update.subject: asdict(latest)})
            return
        for loan_id in [update.loan_id] if update.loan_id else known:
            self._command(update, loan_id, work)

    def _command(self, update: Update, loan_id: str, work: Work) -> None:
        headers, body = update.command(loan_id)
        work.send(COMMANDS, loan_id.encode(), body, headers, partition_of(loan_id, self._partitions))

    def _forget(self, borrower_id: str, sent: list[Update], work: Work) -> None:
        gone = {(update.subject, update.id) for update in sent}
        kept = {
            subject: stored
            for subject, stored in (self._waiting.read(borrower_id) or {}).items()
            if (subject, stored["id"]) not in gone
        }
        if kept:
            work.put(self._waiting, borrower_id, kept)
        else:
            work.drop(self._waiting, borrower_id)

    def _is_home(self, record: Record, topic: Topic, borrower_id: str, work: Work) -> bool:
        """Whether the borrower's table rows are in this partition; if not, the record goes where they are."""
        home = partition_of(borrower_id, self._partitions)
        if home != record.partition:
            named = () if record.header("ce_id") else (("ce_id", identity_of(record).encode()),)
            work.reroute(record, topic, home, *named)
        return home == record.partition


def add_los_sync(app: faust.App, topics: Topics, partitions: int) -> None:
    """The tables and agents of the fan-out."""
    sync = LosSync(
        loans=app.Table("borrower-loans", partitions=partitions),  # type: ignore[arg-type]
        waiting=app.Table("waiting-updates", partitions=partitions),  # type: ignore[arg-type]
        partitions=partitions,
    )
    add_agent(app, topics, BORROWER_LOANS, sync.learn_loan)
    add_agent(app, topics, UPDATES, sync.fan_out)
