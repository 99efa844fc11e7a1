"""A simulated gateway's own books, its mischief, and the fate of each order: all by seed.

What happens to an order depends on the seed and the order's id alone, so that a run can be repeated whatever the
machine's speed; only which of two calls comes first is left to the network.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Literal

from domain.calendar import IST

State = Literal["processing", "succeeded", "failed", "reversed", "cancelled"]
FAILURES = ("funds", "closed", "down", "strange")
"""Why a simulated order fails; each simulator says it in its own words, the last in words that no table has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mischief:
    """How often each thing goes wrong, from 0 to 1."""

    silent_after: float = 0.0
    """The work is done and the answer never comes."""
    silent_before: float = 0.0
    """Nothing is done, and no answer comes."""
    error_after: float = 0.0
    """The work is done and the answer is a 5xx."""
    error_before: float = 0.0
    busy: float = 0.0
    """429: nothing is done."""
    garbage: float = 0.0
    """The work is done and the answer is no JSON."""
    forgets: float = 0.0
    """For a while the gateway says that it does not know what it has."""
    undecided: float = 0.0
    """It decides late."""
    fails: float = 0.2
    mind_changed: float = 0.0
    """It says failed, and later that it succeeded after all."""
    reversed: float = 0.0
    """A success is taken back later."""
    lost: float = 0.0
    """A webhook or a file never comes."""
    twice: float = 0.0
    late: float = 0.0
    contradicts: float = 0.0
    """A webhook says the opposite of what the books hold."""
    forged: float = 0.0
    """Somebody who does not know the secret sends a webhook that says the opposite."""
    stale: float = 0.0
    """A webhook that is signed rightly and dated yesterday, or long before."""

    @classmethod
    def of_all(cls, share: float, *, fails: float = 0.3) -> Mischief:
        """Everything goes wrong in this share of cases."""
        return cls(**{one.name: share for one in fields(cls) if one.name != "fails"}, fails=fails)


GOOD = Mischief(fails=0.0)


@dataclass(slots=True)
class Entry:
    """One order in the gateway's books."""

    reference: str
    kind: str
    loan_id: str
    amount_paise: int
    rail: str
    number: int
    state: State = "processing"
    why: str = ""
    shown: State = "processing"
    """What it says of it."""
    moved_paise: int = 0
    """Money that has really moved, at this moment."""
    times: int = 0
    """How often money moved in: more than once is a double debit."""
    moves: list[tuple[date, int]] = field(default_factory=list[tuple[date, int]])
    """When how many paise moved, for its reports."""


Fate = tuple[State, str]
"""How an order ends, and why if it fails (one of FAILURES)."""


def real_day() -> date:
    return datetime.now(IST).date()


@dataclass(slots=True)
class Books:
    """Everything that the gateway knows."""

    seed: int
    mischief: Mischief
    decides: Callable[[Entry], Fate | None] | None = None
    """Whoever knows the payers' accounts; None from it: not yet. Without one, the dice."""
    today: Callable[[], date] = real_day
    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])
    repeats: int = 0
    """Presentations under a key that was there: an idempotent gateway does nothing more."""
    did: Counter[str] = field(default_factory=Counter[str])
    """Mischief that really happened, by name."""

    def dice(self, *about: str) -> random.Random:
        return random.Random(":".join((str(self.seed), *about)))

    def happens(self, what: str, *about: str) -> bool:
        """Whether this mischief befalls this thing, the same however often it is asked."""
        rate: float = getattr(self.mischief, what)
        befalls = self.dice(what, *about).random() < rate
        self.did[what] += befalls
        return befalls

    def take(self, reference: str, kind: str, loan_id: str, amount_paise: int, rail: str) -> tuple[Entry, bool]:
        """The order's entry, and whether it is new: the same reference is the same order."""
        entry = self.entries.get(reference)
        if entry is not None:
            self.repeats += 1
            return entry, False
        entry = Entry(reference, kind, loan_id, amount_paise, rail, len(self.entries) + 1)
        self.entries[reference] = entry
        return entry, True

    def fate(self, entry: Entry) -> State | None:
        """How it ends for the first time; None: that is not decided yet."""
        if self.decides is not None:
            decided = self.decides(entry)
            if decided is None:
                return None
            state, entry.why = decided
            return state
        if self.dice("fails", entry.reference).random() < self.mischief.fails:
            entry.why = self.dice("why", entry.reference).choice(FAILURES)
            return "failed"
        return "succeeded"

    def settle(self, entry: Entry, state: State) -> None:
        """It ends, or ends otherwise than it did."""
        if state == "succeeded" and entry.state != "succeeded":
            entry.times += 1
            entry.moved_paise += entry.amount_paise
            entry.moves.append((self.today(), entry.amount_paise))
        elif state == "reversed" and entry.state == "succeeded":
            entry.moved_paise -= entry.amount_paise
            entry.moves.append((self.today(), -entry.amount_paise))
        entry.state = entry.shown = state

    def moved(self) -> dict[str, int]:
        """Order -> paise that have moved and stayed, where any have."""
        return {reference: entry.moved_paise for reference, entry in self.entries.items() if entry.moved_paise}
