"""The kinds of documents, and the recipe by which each one can be made again: its reference, as printed on it.

    statement-of-account.57.2026-04-01.2026-06-30.hi.v1
    kind . the loan's version . from . until . language . templates

A recipe and the loan's events give the figures; with the lender's and the borrower's facts they give the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, NamedTuple, get_args

from adapters.documents import figures
from adapters.documents.figures import Figures, NotPossible, Told, financial_year
from domain import events as e
from domain.calendar import ist_day
from domain.events import LoanEvent

Language = Literal["en", "hi"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
TEMPLATES: Final = "v1"
"""The templates of new documents. Those of older ones stay beside them: a reference names its own."""


class Kind(NamedTuple):
    """A kind of document."""

    figures: Callable[[Told], Figures]
    about: Literal["day", "period", "year"] = "day"
    """What one chooses: a day, a period of days, or a financial year."""
    as_known_then: bool = True
    """Only what was booked by the end of its day or period is in it; else all that is known now."""
    says: str = ""


KINDS: Final[Mapping[str, Kind]] = {
    "key-facts": Kind(figures.key_facts, says="The Key Facts Statement, as the loan was agreed."),
    "repayment-schedule": Kind(figures.repayment_schedule, says="Every instalment, and what is paid of it."),
    "statement-of-account": Kind(
        figures.statement_of_account, about="period", says="Every movement of what is owed in a period."
    ),
    "interest-certificate": Kind(
        figures.interest_certificate,
        about="year",
        as_known_then=False,
        says="Interest and principal paid in a financial year.",
    ),
    "restructuring-letter": Kind(
        figures.restructuring_letter, says="The last restructuring or relief, before and after."
    ),
    "pre-closure-quote": Kind(figures.pre_closure_quote, as_known_then=False, says="What closes the loan on a day."),
    "no-dues-certificate": Kind(figures.no_dues_certificate, says="That nothing is owed, of a loan that has ended."),
    "closure-statement": Kind(figures.closure_statement, says="The whole life of a loan that has ended."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What makes one document out of a loan's events."""

    kind: str
    version: int
    """The loan's events up to this one, included."""
    since: date | None
    until: date
    language: Language
    templates: str = TEMPLATES

    @property
    def document_id(self) -> str:
        period = [day.isoformat() for day in (self.since, self.until) if day]
        return ".".join([self.kind, str(self.version), *period, self.language, self.templates])

    def is_of_later(self, event: LoanEvent) -> bool:
        """Whether the last event is one that a document of that day cannot know."""
        return KINDS[self.kind].as_known_then and ist_day(event.timestamp) > self.until

    @classmethod
    def parse(cls, document_id: str) -> Recipe | None:
        """The recipe that a reference names; None where it is none of ours."""
        found = REFERENCE.fullmatch(document_id)
        if found is None or found["kind"] not in KINDS:
            return None
        try:
            since = date.fromisoformat(found["since"]) if found["since"] else None
            until = date.fromisoformat(found["until"])
        except ValueError:
            return None
        return cls(
            kind=found["kind"],
            version=int(found["version"]),
            since=since,
            until=until,
            language="hi" if found["language"] == "hi" else "en",
            templates=found["templates"],
        )


REFERENCE: Final = re.compile(
    r"(?P<kind>[a-z-]+)\.(?P<version>[1-9]\d{0,8})(?:\.(?P<since>\d{4}-\d\d-\d\d))?\.(?P<until>\d{4}-\d\d-\d\d)"
    r"\.(?P<language>en|hi)\.(?P<templates>v\d{1,3})"
)


# --- On demand -----------------------------------------------------------------------------------------------


def recipe_for(
    kind: str,
    events: Sequence[LoanEvent],
    language: Language,
    today: date,
    *,
    on: date | None = None,
    since: date | None = None,
) -> Recipe:
    """What a person asks for: a kind, on a day (today unless said), from another (the beginning unless said)."""
    chosen = KINDS[kind]
    until = on or today
    if chosen.about == "year":
        since, until = financial_year(until)
    elif chosen.about == "period":
        since = since or first_day(events)
        if since > until:
            raise NotPossible(f"the period ends on {until}, before it begins on {since}")
    else:
        since = None
    known = [event for event in events if ist_day(event.timestamp) <= until] if chosen.as_known_then else events
    if not known:
        raise NotPossible(f"on {until} there was no loan {events[0].originator_id} yet")
    return Recipe(kind=kind, version=known[-1].originator_version, since=since, until=until, language=language)


def first_day(events: Sequence[LoanEvent]) -> date:
    """The day of the first movement: the payout, or else the booking."""
    paid_out = next((event for event in events if isinstance(event, e.Disbursed)), events[0])
    return ist_day(paid_out.timestamp)


# --- By themselves -------------------------------------------------------------------------------------------

CALLS: Final[Mapping[str, tuple[str, ...]]] = {
    e.Disbursed.TOPIC: ("key-facts", "repayment-schedule"),
    e.EmiScheduled.TOPIC: ("restructuring-letter",),
    e.PreclosureQuoted.TOPIC: ("pre-closure-quote",),
    e.Closed.TOPIC: ("no-dues-certificate", "closure-statement"),
}
"""Event -> the documents that it calls for, as of that event."""


def called_for(event: LoanEvent, language: str) -> list[Recipe]:
    """The documents that an event calls for: of payouts the first, of schedules those of an agreed change, of ends
    those after money had moved."""
    match event:
        case e.Disbursed(tranche=tranche) if tranche:
            return []
        case e.EmiScheduled(reason=reason) if reason not in ("restructure", "relief"):
            return []
        case _:
            pass
    on = event.on if isinstance(event, e.PreclosureQuoted) else ist_day(event.timestamp).isoformat()
    return [
        Recipe(
            kind=kind,
            version=event.originator_version,
            since=None,
            until=date.fromisoformat(on),
            language="hi" if language == "hi" else "en",
        )
        for kind in CALLS.get(event.TOPIC, ())
    ]
