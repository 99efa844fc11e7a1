"""Given a loan, when something happens, then exactly these events: stories of the pure domain, told as a person would.

    (given(a_loan(first_due="5 Feb 2026"))
        .when(on("5 Feb"), debit_failed(instalment=1, code="04"))
        .then(a(DebitFailed, code="04"), a(ChargeLevied, kind="bounce"), a(RetryScheduled, at="8 Feb 07:00"))
        .and_the_loan(dpd=0, bucket="current"))

Rupees are written "4,993" or "1,00,000.50", days "5 Feb" (of 2026 unless a year is said), moments "5 Feb 07:00".
`then` knows every event that came, and their order: one too many fails as one too few does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import ROUND_HALF_UP, ROUND_UP, Decimal
from typing import Any

from adapters.house import load_rules
from domain import commands as c
from domain.calendar import IST, ist_day
from domain.decisions.rules import Rules
from domain.events import LoanEvent, MonthClosed
from domain.life import handle
from domain.loan import Loan
from domain.money import format_rupees
from domain.policies.collections import Casework, Strategies
from domain.refusals import Refusal, Refused, Repeated
from domain.views import loan_summary

YEAR = 2026
Doing = Callable[[Loan, datetime], c.Command]
"""Something that happens to a loan at a moment."""


# --- Saying amounts and days ---------------------------------------------------------------------------------


def rupees(said: str | int) -> int:
    """Paise of "4,993", "1,00,000.50" or 4993."""
    paise = Decimal(str(said).replace(",", "")) * 100
    assert paise == int(paise), f"{said} has parts of a paisa"
    return int(paise)


def half_up(exact: Decimal) -> int:
    """Whole paise, half away from zero (servicing rule 1)."""
    return int(exact.quantize(Decimal(1), ROUND_HALF_UP))


def by_days(paise: int, percent: str, days: int, *, year: int = 365) -> int:
    """What an amount costs at a percentage a year for so many days. Paise."""
    return half_up(Decimal(paise) * Decimal(percent) * days / 100 / year)


def by_months(paise: int, percent: str, months: int = 1) -> int:
    """What an amount costs at a percentage a year for so many twelfths of it. Paise."""
    return half_up(Decimal(paise) * Decimal(percent) * months / 1200)


def emi(paise: int, percent: str, months: int) -> int:
    """The level instalment, rounded up to a whole rupee (servicing rule 5). Paise."""
    r = Decimal(percent) / 1200
    exact = Decimal(paise) * r / (1 - (1 + r) ** -months) if r else Decimal(paise) / months
    return int((exact / 100).quantize(Decimal(1), ROUND_UP)) * 100


def repaid(paise: int, percent: str, months: int, instalment: int | None = None) -> list[tuple[int, int]]:
    """(principal, interest) of each monthly row as a clerk works it out; the last row takes what is left. With an
    instalment that is given, so many rows as it takes."""
    level, rows = instalment or emi(paise, percent, months), list[tuple[int, int]]()
    while paise and (instalment or len(rows) < months):
        interest = by_months(paise, percent)
        last = len(rows) + 1 == months and not instalment
        principal = paise if last else min(paise, level - interest)
        rows.append((principal, interest))
        paise -= principal
    return rows


def day(said: str | date) -> date:
    """The day of "5 Feb" or "5 Feb 2027"."""
    if isinstance(said, date):
        return said
    words = said.split()
    return datetime.strptime(f"{words[0]} {words[1]} {words[2] if len(words) > 2 else YEAR}", "%d %b %Y").date()  # noqa: DTZ007


def on(said: str) -> datetime:
    """The moment of "5 Feb 07:00"; ten in the morning when no hour is said. Asia/Kolkata."""
    *words, last = said.split()
    hour, minute = map(int, last.split(":")) if ":" in last else (10, 0)
    at = day(" ".join(words) if ":" in last else said)
    return datetime(at.year, at.month, at.day, hour, minute, tzinfo=IST)


def as_stored(name: str, said: Any) -> Any:
    """What a person says of a field, as the event stores it."""
    if not isinstance(said, str) or not said:
        return said
    if name == "paise" or name.endswith("_paise"):
        return rupees(said)
    if name == "at" or name.endswith("_at"):
        return on(said).isoformat()
    if name in ("on", "until") or name.endswith(("_on", "_until")):
        return day(said).isoformat()
    return said


def lines(*told: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Lines of an event: ("interest", 1, "1,500"), ("charge", "LN-1:charge:1", "590"), ("excess", "7")."""
    made: list[dict[str, Any]] = []
    for kind, *of, amount in told:
        name = {"charge": "charge_id", "penal": "charge_id"}.get(kind, "number")
        made.append({"for": kind, **({name: of[0]} if of else {}), "paise": rupees(amount)})
    return made


# --- Expecting events ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    """An event of this class with these fields."""

    cls: type[LoanEvent]
    fields: Mapping[str, Any]

    def differences(self, event: LoanEvent) -> str:
        if type(event) is not self.cls:
            return f"expected {self.cls.__name__}, came {event!r}"
        wrong = {name: getattr(event, name) for name, value in self.fields.items() if getattr(event, name) != value}
        return f"expected {self.cls.__name__} with {dict(self.fields)}, came {wrong}" if wrong else ""


def a(cls: type[LoanEvent], **fields: Any) -> Expected:
    """This event; of its fields, those that matter to the story."""
    return Expected(cls, {name: as_stored(name, value) for name, value in fields.items()})


# --- The story -----------------------------------------------------------------------------------------------


BY_PEOPLE = replace(load_rules(), strategies=Strategies(), casework=Casework())
"""The house as it is shipped, but that arrears and cases are left to people: most stories are not about them."""


class Story:
    """A loan's life as far as it is told."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = rules or BY_PEOPLE
        self.loan: Loan | None = None
        self.now = on("1 Jan")
        self.events: list[LoanEvent] = []
        self.came: list[LoanEvent] = []
        """What the last `when` brought."""
        self.no: Refused | Repeated | None = None

    def when(self, at: datetime, *doings: Doing) -> Story:
        """Time comes to this moment (what it brings belongs to the story so far), then these things happen. With
        nothing happening, what counts is what time itself brought."""
        self.now, self.no, self.came = at, None, []
        self._do(c.WakeUp(now=at))
        if doings:
            self.came = []
        for doing in doings:
            self._do(doing(self.the_loan, at))
        return self

    def book(self, at: datetime, command: c.BookLoan) -> Story:
        """The LOS hands over a loan."""
        self.now, self.no, self.came = at, None, []
        self._do(command)
        return self

    def _do(self, command: c.Command) -> None:
        try:
            self.loan = handle(self.loan, command, self.now, self.rules)
        except (Refused, Repeated) as no:
            self.no = no
        if self.loan is not None:
            taken = self.loan.take_events()
            self.events += taken
            self.came += taken

    @property
    def the_loan(self) -> Loan:
        assert self.loan is not None, "no loan was booked"
        return self.loan

    def then(self, *expected: LoanEvent | Expected) -> Story:
        """Exactly these events came, in this order. The lender's month-end is not told where the story is not about
        it."""
        assert self.no is None, f"refused: {self.no!r}"
        if all(each is not MonthClosed and getattr(each, "cls", type(each)) is not MonthClosed for each in expected):
            self.came = [event for event in self.came if type(event) is not MonthClosed]
        told = "\n  ".join(repr(event) for event in self.came)
        assert len(expected) == len(self.came), f"expected {len(expected)} events, came {len(self.came)}:\n  {told}"
        for wanted, event in zip(expected, self.came, strict=True):
            if isinstance(wanted, Expected):
                assert not wanted.differences(event), wanted.differences(event)
            else:
                assert event == wanted
        return self

    def refused(self, refusal: Refusal, field: str | None = None, **facts: Any) -> Story:
        """The rules said no, with this phrase, and nothing changed."""
        assert isinstance(self.no, Refused), f"not refused: {self.no!r}, came {self.came}"
        assert self.no.refusal is refusal
        assert field is None or self.no.field == field
        for name, value in facts.items():
            assert self.no.facts[name] == value, (name, self.no.facts)
        assert self.came == []
        return self

    def repeated(self) -> Story:
        """The loan had done this already."""
        assert isinstance(self.no, Repeated), f"not repeated: {self.no!r}, came {self.came}"
        assert self.came == []
        return self

    def and_the_loan(self, **told: Any) -> Story:
        """Where it stands: any name of the summary or of its `outstanding`, amounts in rupees without `_paise`."""
        summary = loan_summary(self.the_loan, self.now, self.rules)
        standing = {**summary, **summary["outstanding"]}
        for name, value in told.items():
            if f"{name}_paise" in standing:
                paise = standing[f"{name}_paise"]
                assert paise == rupees(value), f"{name} is {format_rupees(paise)}, not {value}"
            else:
                assert standing[name] == as_stored(name, value), f"{name} is {standing[name]}, not {value}"
        return self

    def all(self, cls: type[LoanEvent]) -> list[Any]:
        """Every event of this class so far."""
        return [event for event in self.events if type(event) is cls]

    def at_of(self, cls: type[LoanEvent]) -> list[str]:
        """When each event of this class was recorded, as a person says it."""
        return [event.timestamp.astimezone(IST).strftime("%-d %b %Y %H:%M") for event in self.all(cls)]


def parts(loan: Loan) -> list[tuple[int, int]]:
    """(principal, interest) of the rows to come. Paise."""
    return [(row.principal, row.interest) for row in loan.rows[loan.due_rows :]]


def given(story: Story) -> Story:
    """A story starts from an example (tests/examples.py)."""
    return story


# --- What can happen -----------------------------------------------------------------------------------------


def debit_succeeded(
    instalment: int = 1, attempt: int = 1, *, amount: str = "", value: str = "", instruction: str = "", ref: str = ""
) -> Doing:
    """The bank debited the borrower: what was asked for, unless another amount is said."""

    def doing(loan: Loan, now: datetime) -> c.Command:
        known = instruction or f"{loan.id}:{instalment}:{attempt}"
        return c.RecordDebitSuccess(
            instruction_id=known,
            amount_paise=rupees(amount) if amount else loan.in_flight[known].amount,
            value_on=day(value) if value else ist_day(now),
            reference=ref or f"bank-{known}",
            rail="enach",
            gateway="sponsor-bank",
            bank="HDFC",
        )

    return doing


def debit_failed(instalment: int = 1, attempt: int = 1, *, code: str = "04", rail: str = "enach") -> Doing:
    """The bank returned the debit."""

    def doing(loan: Loan, now: datetime) -> c.Command:
        known = f"{loan.id}:{instalment}:{attempt}"
        debit = loan.in_flight.get(known)
        return c.RecordDebitFailure(
            instruction_id=known,
            amount_paise=debit.amount if debit else 1,
            code=code,
            message="",
            value_on=ist_day(now),
            reference="",
            rail=rail,
            gateway="sponsor-bank",
            bank="HDFC",
        )

    return doing


def payment(
    amount: str, ref: str = "P-1", *, value: str = "", intent: str = "dues", choice: str = "reduce_tenure"
) -> Doing:
    """The borrower paid, by UPI."""
    return lambda loan, now: c.ReceivePayment(
        reference=ref,
        method="upi",
        amount_paise=rupees(amount),
        value_on=day(value) if value else ist_day(now),
        intent=intent,
        prepay_choice=choice,
    )


def taken_back(ref: str, *, amount: str = "", source: str = "payment", instruction: str = "") -> Doing:
    """Money that had come in was reversed."""
    return lambda loan, now: c.ReverseReceipt(
        reference=ref,
        amount_paise=rupees(amount) if amount else None,
        value_on=ist_day(now),
        source=source,
        reason="returned",
        instruction_id=instruction,
    )


def payout_settled(value: str = "", *, instruction: str = "", amount: str = "") -> Doing:
    """The gateway says that the borrower has the money."""
    return lambda loan, now: c.SettlePayout(
        instruction_id=instruction,
        amount_paise=rupees(amount) if amount else None,
        value_on=day(value) if value else ist_day(now),
        reference="UTR-1",
    )


def payout_failed(*, returned: bool = False, code: str = "AM05", instruction: str = "") -> Doing:
    """The gateway says that the money did not arrive, or came back."""
    return lambda loan, now: c.FailPayout(
        instruction_id=instruction, code=code, reason="account closed", returned=returned
    )


def mandate_is(status: str, mandate_id: str = "M-1") -> Doing:
    """The bank says what became of the mandate."""
    return lambda loan, now: c.ChangeMandate(mandate_id=mandate_id, status=status)


def asked(command: type[Any], command_id: str = "C-1", **fields: Any) -> Doing:
    """A person asks for something: `asked(c.Waive, charge_id=..., reason="...")`."""
    return lambda loan, now: command(command_id=command_id, **fields)


def again(*doings: Doing) -> tuple[Doing, ...]:
    """The same messages once more, as an impatient producer sends them."""
    return (*doings, *doings)
