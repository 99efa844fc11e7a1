"""What leaves the house, and through which door: a port a channel."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.policies.contact import Channel, Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A rendered notice with its address. Personal data: it lives as long as it is being sent."""

    notice_id: str
    """The provider's idempotency key, too."""
    loan_id: str
    borrower_id: str
    kind: str
    channel: Channel
    language: Language
    address: str
    """An e-mail address, or a phone number with its country's prefix."""
    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class Taken:
    """The provider has it; `reference` is what it calls it."""

    reference: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider does not have it: never by this channel (`for_good`), or not this time."""

    detail: str
    for_good: bool = False


@dataclass(frozen=True, slots=True)
class Unclear:
    """The connection was lost in the middle: it may have gone out."""

    detail: str


Answer = Taken | Refused | Unclear


class Port(Protocol):
    """A way out. An answer for each letter, in order; raising is for defects alone."""

    @property
    def repeats_safely(self) -> bool:
        """Whether a letter that may have gone out can be sent again without being told twice."""
        ...

    async def send(self, letters: Sequence[Letter]) -> list[Answer]: ...

    async def forget(self, borrowers: Collection[str]) -> None:
        """Destroy what is kept of these borrowers."""
        ...

    async def close(self) -> None: ...
