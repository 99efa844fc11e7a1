"""The port between Qist and a gateway: what is ordered, what is answered, and what an adapter must be able to do.

A vendor's words end at the adapter. It answers in the eight words of `AnswerState`, with codes of the rail
(`domain/reference/`), amounts in paise and the references that money can be found by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, Protocol

AnswerState = Literal[
    "accepted",  # the gateway has it, and has not decided
    "succeeded",
    "failed",
    "reversed",  # it had succeeded, and was taken back (a payout: returned)
    "withdrawn",  # cancelled before it was executed
    "not-found",  # the gateway does not know it
    "later",  # refused unseen (a rate limit, a login): certainly not done, try again
    "unknown",  # no answer, or none that can be understood: perhaps done, so enquire
]
OrderKind = Literal["debit", "payout", "refund", "mandate-cancel", "mandate-request", "link"]
UNMAPPED = "unmapped"
"""The code of a reason that no table knows: no rail has it, so it is diagnosed as unknown, and the words go with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One instruction of Qist. Its id is the idempotency key of every call about it."""

    instruction_id: str
    kind: OrderKind
    loan_id: str
    amount_paise: int
    rail: str
    body: Mapping[str, Any]
    """The instruction as it was published, without personal data."""
    account: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Where a payout goes, opened for this one call and never stored here."""
    presented: int = 0
    """How often it was presented before."""
    correlation_id: str = ""

    @property
    def bank(self) -> str:
        return str(self.body.get("bank") or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a gateway says of one order."""

    state: AnswerState
    code: str = ""
    """A code of the rail; with `accepted` a code that means "pending"."""
    message: str = ""
    """The vendor's free text where no code could be read from it, or why the answer is not understood."""
    amount_paise: int | None = None
    """None: as ordered."""
    reference: str = ""
    """The gateway's own, by which the money is found in its settlement."""
    rail: str = ""
    """Where the gateway chose it."""
    at: datetime | None = None
    value_on: date | None = None
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    """What else there is: the `url` of a payment link, the `mandate_id` and `umrn` of a new mandate."""


UNKNOWN = Answer(state="unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Something that a gateway tells of its own accord, ready for a topic."""

    type: str
    loan_id: str
    identity: str
    """Unique in the gateway; the same fact has the same."""
    body: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a webhook or a file says: orders that moved (enquire), and facts that nobody ordered."""

    moved: Sequence[str] = ()
    """Instruction ids. A webhook is only a knock at the door; what counts is the answer to an enquiry."""
    told: Sequence[Told] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A line that cannot be understood."""

    line: int
    reason: str
    content: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAnswer:
    """What a line of a file says of an order."""

    line: int
    instruction_id: str
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRead:
    """A file that came in. With a `problem` nothing of it counts."""

    name: str
    sha256: str
    reference: str
    answers: Sequence[FileAnswer] = ()
    set_aside: Sequence[SetAside] = ()
    problem: str = ""
    lines: int = 0


class Gateway(Protocol):
    """What an adapter does. It keeps nothing, decides nothing and never raises for what a gateway does to it."""

    name: str
    together: bool
    """Whether orders are asked about together, as in a file; else each goes its own way, and a slow one holds up no
    other."""

    async def present(self, orders: Sequence[Order]) -> Mapping[str, Answer]:
        """Ask for the money. An order without an answer here is unknown."""
        ...

    async def enquire(self, orders: Sequence[Order]) -> Mapping[str, Answer]:
        """Ask what became of orders, by their ids."""
        ...

    async def withdraw(self, orders: Sequence[Order]) -> Mapping[str, Answer]:
        """Ask that orders be forgotten, as far as that is still possible: `withdrawn`, or whatever they are now."""
        ...

    async def collect(self) -> Sequence[FileRead]:
        """Files that have come in since; none for a gateway that has no files."""
        ...

    async def done(self, file: FileRead) -> None:
        """This file is recorded, and is not to be offered again."""
        ...

    async def close(self) -> None: ...


class Untrusted(Exception):
    """A webhook that nobody should believe: the reason is for the caller."""


class Webhooks(Protocol):
    """How a vendor signs what it tells."""

    def checked(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: float) -> str:
        """The event's id, if the signature is right and fresh; else `Untrusted`."""
        ...

    def heard(self, body: bytes) -> Heard:
        """What it says; `ValueError` when it is not understood."""
        ...
