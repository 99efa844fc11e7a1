"""Faust: what the LOS tells of a borrower goes to each of the borrower's loans, as one command a loan.

Two tables, both keyed by borrower and in the partition that `los.updates` has for them:

- `borrower-loans`: the ids of a borrower's loans, told by the engine's publisher when a loan is booked.
- `latest-updates`: the latest update of each subject. Topics have no order between them, so an update may come before
  the word of a loan that was booked earlier. A loan that appears gets what waited for a first loan, and what is newer
  than its booking; anything else the LOS had known when it booked the loan.

A borrower who was erased is forgotten in both: an update holds personal data, and the loans are all closed.

Every command's id follows from the update's and the loan's, so that sending twice is harmless.
"""
# pyright: basic

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import faust

from streams.envelope import Record
from streams.faust_records import Table, Topics, Work, add_agent, assigned
from streams.los_updates import (
    BorrowerErased,
    Update,
    identity_of,
    time_of,
    understand_erasure,
    understand_loan,
    understand_update,
)
from streams.topics import BORROWER_LOANS, COMMANDS, UPDATES, Topic, partition_of

KEPT = timedelta(days=7)
"""As long as Kafka keeps a record by default: nothing older comes again. Updates are personal data."""
WAITED = timedelta(days=90)
"""How long an update waits for the borrower's first loan."""
FORGET_SECONDS = 3_600.0


class LosSync:
    """The fan-out, apart from Faust: what to do with a record of either topic."""

    def __init__(self, loans: Table, updates: Table, partitions: int) -> None:
        self._loans = loans
        self._updates = updates
        self._partitions = partitions

    def learn(self, record: Record, work: Work) -> None:
        """Something about a borrower's loans: one more, or the borrower was erased."""
        if record.header("ce_type") == BorrowerErased.TYPE:
            self.erase(record, work)
        else:
            self.learn_loan(record, work)

    def erase(self, record: Record, work: Work) -> None:
        """Forget a borrower: what waits to be told is personal data."""
        borrower_id = understand_erasure(record).borrower_id
        if self._is_home(record, BORROWER_LOANS, borrower_id, work):
            work.drop(self._loans, borrower_id)
            work.drop(self._updates, borrower_id)

    def learn_loan(self, record: Record, work: Work) -> None:
        """A loan was booked: remember it, and tell it what it cannot know."""
        told, booked_at = understand_loan(record), time_of(record)
        if not self._is_home(record, BORROWER_LOANS, told.borrower_id, work):
            return
        known = self._loans_of(told.borrower_id)
        if told.loan_id not in known:
            work.put(self._loans, told.borrower_id, sorted([*known, told.loan_id]))
        updates = [Update(**kept) for kept in self._updates_of(told.borrower_id).values()]
        sent = [update for update in updates if update.concerns(told.loan_id, booked_at)]
        for update in sent:
            self._command(update, told.loan_id, work)
        if any(update.waiting for update in sent):
            # Not before the broker has the commands: what no longer waits is not sent again after a crash.
            work.at_last = lambda rest: self._no_longer_waiting(told.borrower_id, sent, rest)

    def fan_out(self, record: Record, work: Work) -> None:
        """A borrower's facts changed: tell the loans that are known, and keep it for those that are not yet."""
        update = understand_update(record, work.sent_at)
        if not update.fields or not self._is_home(record, UPDATES, update.borrower_id, work):
            return
        addressed = [loan for loan in self._loans_of(update.borrower_id) if update.loan_id in (None, loan)]
        for loan_id in addressed:
            self._command(update, loan_id, work)
        kept = self._updates_of(update.borrower_id)
        latest = replace(update.after(kept.get(update.subject)), waiting=not addressed)
        work.put(self._updates, update.borrower_id, {**kept, update.subject: asdict(latest)})

    def forget(self, now: datetime, works: Mapping[int, Work]) -> None:
        """Drop kept updates whose time is over, in the partitions that there is work for."""
        for borrower_id in list(self._updates.data.keys()):
            kept = self._updates_of(borrower_id)
            still = {subject: update for subject, update in kept.items() if _is_kept(update, now)}
            home = partition_of(borrower_id, self._partitions)
            if len(still) < len(kept) and home in works:
                self._replace(borrower_id, still, works[home])

    def _loans_of(self, borrower_id: str) -> list[str]:
        return self._loans.read(borrower_id) or []

    def _updates_of(self, borrower_id: str) -> dict[str, dict[str, Any]]:
        return self._updates.read(borrower_id) or {}

    def _command(self, update: Update, loan_id: str, work: Work) -> None:
        headers, body = update.command(loan_id)
        work.send(COMMANDS, loan_id.encode(), body, headers, partition_of(loan_id, self._partitions))

    def _no_longer_waiting(self, borrower_id: str, sent: list[Update], work: Work) -> None:
        ids = {update.id for update in sent}
        self._replace(
            borrower_id,
            {
                subject: {**kept, "waiting": False} if kept["id"] in ids else kept
                for subject, kept in self._updates_of(borrower_id).items()
            },
            work,
        )

    def _replace(self, borrower_id: str, updates: dict[str, dict[str, Any]], work: Work) -> None:
        if updates:
            work.put(self._updates, borrower_id, updates)
        else:
            work.drop(self._updates, borrower_id)

    def _is_home(self, record: Record, topic: Topic, borrower_id: str, work: Work) -> bool:
        """Whether the borrower's table rows are in this partition; if not, the record goes where they are."""
        home = partition_of(borrower_id, self._partitions)
        if home != record.partition:
            named = () if record.header("ce_id") else (("ce_id", identity_of(record).encode()),)
            work.reroute(record, topic, home, *named)
        return home == record.partition


def _is_kept(update: dict[str, Any], now: datetime) -> bool:
    return now - datetime.fromisoformat(update["came_at"]) < (WAITED if update["waiting"] else KEPT)


def add_los_sync(app: faust.App, topics: Topics, partitions: int) -> None:
    """The tables and agents of the fan-out, and the timer that forgets."""
    loans: Any = app.Table("borrower-loans", partitions=partitions)
    updates: Any = app.Table("latest-updates", partitions=partitions)
    sync = LosSync(loans, updates, partitions)
    add_agent(app, topics, BORROWER_LOANS, sync.learn)
    add_agent(app, topics, UPDATES, sync.fan_out)

    async def forget() -> None:
        now = datetime.now(UTC)
        works = {partition: Work(topics, partition, now) for partition in assigned(app, UPDATES)}
        sync.forget(now, works)
        for work in works.values():
            await work.dispatch()
        for work in works.values():
            await work.settle()

    app.timer(interval=FORGET_SECONDS, on_leader=False, name="los-sync.forget")(forget)
