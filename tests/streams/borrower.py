"""A borrower with several loans: real loans of the domain, the log's side of the wire, and the table of the streams
role, all in memory. What is sent arrives when the test lets it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from domain import commands as c
from domain.codec import encode
from streams.borrower_standing import BorrowerStandings
from streams.envelope import Record
from streams.faust_records import Work
from streams.loan_standings import STANDING, standing, weighs
from streams.outbound import told_standing
from streams.ports import EventRow, Stood
from streams.topics import COMMANDS, LOAN_STANDINGS
from streams.wire import understand
from tests.examples import a_loan_without_mandate
from tests.stories import Doing, Story, payment

PARTITIONS = 1


class Rows:
    """A table, as an agent sees it."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}

    def read(self, key: str) -> Any:
        return self.data.get(key)


class Sends(Work):
    """Work whose effects are at once in memory."""

    def put(self, table: Any, key: str, value: Any) -> None:
        table.data[key] = value

    def drop(self, table: Any, key: str) -> None:
        table.data.pop(key, None)

    @property
    def sent(self) -> list[Record]:
        return [
            Record(COMMANDS.name, record["partition"], 0, record["key"], tuple(record["headers"]), record["value"])
            for _, record in self._outgoing
        ]


class Named(dict[Any, Any]):
    """Topics by name alone."""

    def __missing__(self, topic: Any) -> str:
        return topic.name


@dataclass
class Borrower:
    """`say` makes a loan live on; `hear` brings one record to the table, `obey` one command to its loan."""

    stories: dict[str, Story] = field(default_factory=dict[str, Story])
    table: Rows = field(default_factory=Rows)
    topic: list[Record] = field(default_factory=list[Record])
    """`servicing.loan-standings`: all of it."""
    heard: int = 0
    commands: list[Record] = field(default_factory=list[Record])
    seen: dict[str, int] = field(default_factory=dict[str, int])
    """Events of each loan that the publisher has seen."""

    def with_loan(self, loan_id: str, **asked: Any) -> Borrower:
        self.stories[loan_id] = a_loan_without_mandate(loan_id=loan_id, **asked)
        return self.publish()

    def say(self, loan_id: str, at: datetime, *doings: Doing) -> Borrower:
        self.stories[loan_id].when(at, *doings)
        return self.publish()

    def pass_time(self, at: datetime) -> Borrower:
        for story in self.stories.values():
            story.when(at)
        return self.publish()

    def publish(self, again: bool = False) -> Borrower:
        """As the publisher does: how each loan stands now that an event moved it; `again` = all, to a new broker."""
        for loan_id, story in self.stories.items():
            fresh = story.events[0 if again else self.seen.get(loan_id, 0) :]
            self.seen[loan_id] = len(story.events)
            if any(event.TOPIC in STANDING for event in fresh):
                told = told_standing(stood(loan_id, self.stories), row_of(story, len(story.events)))
                place = LOAN_STANDINGS.name, 0, len(self.topic)
                self.topic.append(Record(*place, told.key.encode(), tuple(told.headers), told.value))
        return self

    def hear(self) -> None:
        self.learn(self.topic[self.heard])
        self.heard += 1

    def learn(self, record: Record) -> None:
        work = Sends(Named(), 0, datetime.now(UTC))  # type: ignore[arg-type]
        BorrowerStandings(self.table, PARTITIONS).learn(record, work)  # type: ignore[arg-type]
        self.commands.extend(work.sent)

    def obey(self) -> None:
        message = understand(self.commands.pop(0))
        assert isinstance(message.command, c.TellBorrowerStanding)
        command = message.command
        story = self.stories[message.loan_id]
        now = max(one.now for one in self.stories.values())
        story.when(now, lambda loan, at: command)
        self.publish()

    def settle(self, steps: int = 500) -> Borrower:
        """Everything arrives, until nothing more is said."""
        for _ in range(steps):
            if self.heard < len(self.topic):
                self.hear()
            elif self.commands:
                self.obey()
            else:
                return self
        raise AssertionError("they go on telling each other for ever")

    def settle_somehow(self, random: Random, steps: int) -> Borrower:
        """A few of the things that are on their way arrive, in any order between the topics."""
        for _ in range(steps):
            if self.commands and random.random() < 0.5:
                self.obey()
            elif self.heard < len(self.topic):
                self.hear()
        return self

    def lose_the_broker(self) -> Borrower:
        """A new and empty one: the table is gone, what was under way, too; all is told again from the log."""
        self.table, self.topic, self.heard, self.commands = Rows(), [], 0, []
        return self.publish(again=True)

    def classes(self) -> dict[str, str]:
        return {loan_id: story.the_loan.classification for loan_id, story in self.stories.items()}

    def because(self, loan_id: str) -> str:
        return self.stories[loan_id].the_loan.borrower_npa

    def weighing(self) -> set[str]:
        """Loans that are NPA by themselves, by the domain's own word."""
        stood_now = {loan_id: stood(loan_id, self.stories) for loan_id in self.stories}
        return {
            loan_id for loan_id, one in stood_now.items() if weighs(standing(loan_id, one.borrower_loans, one.newest))
        }


def stood(loan_id: str, stories: dict[str, Story]) -> Stood:
    """What the log has of a loan; a loan's versions serve as positions, a hundred loans apart."""
    newest = {
        event.TOPIC: (event.originator_version, encode(event))
        for event in stories[loan_id].events
        if event.TOPIC in STANDING
    }
    return Stood(0, loan_id, list(stories), newest)


def row_of(story: Story, version: int) -> EventRow:
    event = story.events[version - 1]
    return (0, version, event.originator_id, version, event.TOPIC, encode(event), event.timestamp, event.timestamp,
            "cause", "correlation", "test", b"")  # fmt: skip


def pay_all() -> Doing:
    """All that is owed today."""

    def do(loan: Any, at: datetime) -> c.Command:
        return payment(str(max(1, -(-loan.payable_paise() // 100))), ref=f"P-{loan.id}-{at.isoformat()}")(loan, at)

    return do
