"""One loan's life for documents: Rs. 1,00,000 at 18 %, 24 months, Rs. 2,000 fee and GST kept back.

5 Jan paid out; 5 Feb paid; 5 Mar bounced (500 and 90 GST), 20 Mar 6,000 by UPI; 5 Apr nothing; 10 Apr 30 more
instalments agreed; 1 May a quote, paid on 2 May.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

from adapters.documents.figures import Told, told
from adapters.documents.lender import Lender
from adapters.documents.recipes import KINDS, Language, Recipe, recipe_for
from adapters.documents.rendering import Document, Origin, make
from adapters.house import load_rules
from domain import commands as c
from domain.calendar import day_end
from domain.events import LoanEvent
from tests.examples import LOAN, a_loan
from tests.stories import Story, asked, debit_failed, debit_succeeded, on, payment

LENDER = Lender(
    name="Asha Finance Limited",
    address="4th Floor, 21 Nehru Place, New Delhi 110019",
    registration="CIN U65990DL2010PLC204411",
    phone="1800 200 1234",
    email="care@ashafinance.example",
    website="ashafinance.example",
    recovery_clause="Clause 14 of the agreement",
    grievance_clause="Clause 19 of the agreement",
    grievance_officer="Meera Nair",
    grievance_phone="011 4000 1234",
    grievance_email="grievance@ashafinance.example",
)
FEE = {"kind": "processing", "amount_paise": 2_000_00, "gst_percent": "18.00", "deducted": True}
RULES = load_rules()


def until_the_quote(language: str = "en", loan_id: str = LOAN) -> Story:
    story = a_loan(loan_id=loan_id, terms={"fees": [FEE]}, language=language)
    story.when(on("5 Feb"), debit_succeeded(1))
    story.when(on("5 Mar 07:30"), debit_failed(2))
    story.when(on("20 Mar"), payment("6,000", ref="P-2"))
    story.when(on("10 Apr"), asked(c.Restructure, effective_on=date(2026, 4, 10), reason="job loss", instalments=30))
    return story.when(on("1 May"), asked(c.QuotePreclosure, "C-2", on=date(2026, 5, 1)))


@cache
def life(language: str = "en", loan_id: str = LOAN) -> tuple[LoanEvent, ...]:
    """The whole of it."""
    story = until_the_quote(language, loan_id)
    quote = story.the_loan.quote
    assert quote is not None
    story.when(on("2 May"), payment(f"{quote['total_paise'] / 100:.2f}", ref="P-9", intent="preclosure"))
    assert story.the_loan.stage == "closed"
    return tuple(story.events)


def known_on(events: tuple[LoanEvent, ...], day: date) -> list[LoanEvent]:
    """What had happened by a day's end."""
    return [event for event in events if event.timestamp <= day_end(day)]


def facts(events: list[LoanEvent] | tuple[LoanEvent, ...], until: date, since: date | None = None) -> Told:
    return told(list(events), RULES, LENDER, since, until)


DAYS = {
    "key-facts": date(2026, 1, 5),
    "repayment-schedule": date(2026, 4, 10),
    "statement-of-account": date(2026, 4, 30),
    "interest-certificate": date(2026, 3, 31),
    "restructuring-letter": date(2026, 4, 10),
    "pre-closure-quote": date(2026, 5, 1),
    "no-dues-certificate": date(2026, 5, 2),
    "closure-statement": date(2026, 5, 2),
}
"""On which day of that life each kind is asked for here."""


@dataclass(frozen=True)
class Asked:
    """A document of that life."""

    recipe: Recipe
    events: list[LoanEvent]

    def make(self, name: str | None = "Asha Kumari Sharma", lender: Lender = LENDER) -> Document:
        borrower: dict[str, Any] | None = {"name": name} if name else None
        return make(self.recipe, self.events, RULES, lender, borrower, self.origin)

    @property
    def origin(self) -> Origin:
        return Origin("3:1042", "ab12cd34ef567890aa00", self.events[-1].timestamp)


def ask(kind: str, language: Language = "en", events: tuple[LoanEvent, ...] | None = None) -> Asked:
    day = DAYS[kind]
    known = known_on(events or life(), day)
    recipe = recipe_for(kind, known, language, day)
    return Asked(recipe, known[: recipe.version])


assert DAYS.keys() == KINDS.keys()
