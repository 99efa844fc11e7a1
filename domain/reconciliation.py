"""Reconciliation: what the loans say beside what reports and statements say, and what follows from a difference.

Two levels, so that every rupee is compared once at each. An `item` is one movement of one loan (a debit, a payment, a
payout, a refund) beside the lines that name it. A `settlement` is one batch of a gateway (its lines, less its fees)
beside the bank's lines that brought it. Every line belongs to exactly one of them, or stands for itself, and which one
follows from the references alone: in whatever order things arrive, the end is the same.

Amounts are signed paise, money that comes in is positive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import StrEnum
from typing import Any, NamedTuple

from domain.calendar import IST


class State(StrEnum):
    """How a comparison came out."""

    matched = "matched"
    missing = "missing"
    """The loans have it (or the report promises it to the bank), and nobody confirms it."""
    extra = "extra"
    """A report or statement has it, and no loan."""
    amount_differs = "amount_differs"
    date_differs = "date_differs"


class Way(StrEnum):
    """How a person can resolve a difference."""

    accept = "accept"
    """It stays as it is, for a reason that the note gives."""
    book = "book"
    """What was received is booked on a loan."""
    reverse = "reverse"
    """What a loan says was received (or paid out) never was: it is taken back there."""
    same = "same"
    """The line means a movement, or a settlement, that its references do not name."""
    apart = "apart"
    """That they are the same was a mistake: what a person put here goes back to where its references say."""


# --- Which movement a line means -----------------------------------------------------------------------------

RECEIPTS = ("debit", "payment")
PAID_OUT = ("payout", "refund")


def subject_of(kind: str, loan_id: str, reference: str) -> str:
    """The name of a movement: its kind, its loan, and the reference that the loan knows it by. Of a loan: `loan:ID`."""
    names_loan = reference == loan_id or reference.startswith(f"{loan_id}:")
    return f"{kind}:{reference}" if names_loan else f"{kind}:{loan_id}:{reference}"


def settlement_of(source: str, batch: str) -> str:
    return f"settlement:{source}:{batch}"


def kind_of(subject: str) -> str:
    """`debit`, `payment`, `payout`, `refund`, `settlement`, or `line` for a line that names nothing known."""
    return subject.partition(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a report or statement, as far as it decides where it belongs."""

    source: str
    entry: str
    """Its own reference, unique in its source."""
    statement: bool
    """Of a bank; else of a gateway's settlement report."""
    refs: Sequence[str]
    """Every reference that it names, the strongest first."""
    told: str = ""
    """The subject that a person said it means."""

    @property
    def alone(self) -> str:
        return f"line:{self.source}:{self.entry}"


@dataclass(frozen=True, slots=True)
class Names:
    """What references are known to mean."""

    subjects: Mapping[str, Collection[str]]
    """Reference -> the movements, and the loans (`loan:ID`), that bear it."""
    settlements: Mapping[str, Collection[str]] = field(default_factory=dict[str, Collection[str]])
    """Reference -> the settlements that bear it."""
    covered: Mapping[str, str] = field(default_factory=dict[str, str])
    """Movement -> the settlement that a report puts it into."""


class Place(NamedTuple):
    subject: str
    loan_id: str
    """Of a line that names no movement: the one loan that it names; else empty."""


def place(line: Line, names: Names) -> Place:
    """Where a line belongs. A reference that more than one thing bears says nothing.

    A bank's line that names a movement which a gateway has reported is that settlement's money: counting it beside the
    report would count it twice.
    """
    means = [names.subjects.get(ref, ()) for ref in line.refs]
    settled = [names.settlements.get(ref, ()) for ref in line.refs] if line.statement else []
    known = (*map(sole, settled), *(sole(movements(subjects)) for subjects in means))
    subject = line.told or next(filter(None, known), line.alone)
    if line.statement:
        subject = names.covered.get(subject, subject)
    named = {loan for subjects in means for loan in subjects if loan.startswith("loan:")}
    return Place(subject, sole(named).removeprefix("loan:") if subject == line.alone else "")


def movements(subjects: Collection[str]) -> list[str]:
    return [subject for subject in subjects if not subject.startswith("loan:")]


def sole(found: Collection[str]) -> str:
    """The only one; empty when there are none or several."""
    return next(iter(found)) if len(found) == 1 else ""


class Unnamed(NamedTuple):
    """A credit that names its loan and no movement, or a receipt of a loan that no line names."""

    key: str
    loan_id: str
    paise: int
    on: date


def pairs(lines: Sequence[Unnamed], receipts: Sequence[Unnamed], *, date_days: int) -> dict[str, str]:
    """Line -> receipt, where loan, amount and days leave no other choice on either side: a payment that the lender
    knows by another reference than the bank. Two of the same amount within these days are for a person."""
    edges = [
        (line.key, receipt.key)
        for line in lines
        for receipt in receipts
        if (line.loan_id, line.paise) == (receipt.loan_id, receipt.paise)
        and abs((line.on - receipt.on).days) <= date_days
    ]
    lines_of, receipts_of = Counter(receipt for _, receipt in edges), Counter(line for line, _ in edges)
    return {line: receipt for line, receipt in edges if receipts_of[line] == lines_of[receipt] == 1}


# --- How a comparison comes out ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Side:
    """What one side says of a subject, in all."""

    paise: int
    on: date
    """The first value date."""


def judge(ours: Side | None, theirs: Side | None, *, date_days: int) -> State:
    """`date_days`: so many days between the value dates are no difference. What was booked and taken back again, and
    what came and went again, needs no other side."""
    if ours is None or theirs is None:
        one = ours or theirs
        if one is None or one.paise == 0:
            return State.matched
        return State.missing if ours else State.extra
    if ours.paise != theirs.paise:
        return State.amount_differs
    return State.date_differs if abs((ours.on - theirs.on).days) > date_days else State.matched


# --- What is booked without asking ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """A message to the loans, as a gateway would send it. Its id follows from what it is about: twice is once."""

    id: str
    type: str
    loan_id: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An item that is not matched, with what is needed to book it or take it back."""

    subject: str
    state: State
    loan_id: str
    ours_paise: int
    theirs_paise: int
    on: date
    """Value date of what their side says, else of ours."""
    reference: str
    """The instruction or payment reference that the loan knows it by; of a line alone, its own."""
    gateway_reference: str = ""
    rail: str = ""
    gateway: str = ""
    bank: str = ""

    @property
    def kind(self) -> str:
        return kind_of(self.subject)

    @property
    def level(self) -> str:
        return level_of(self.subject)


def level_of(subject: str) -> str:
    return "settlement" if kind_of(subject) == "settlement" else "item"


def success(found: Difference) -> Booking | None:
    """A success that nobody reported: money that came (or went) under the reference of something that was asked for, or
    that came for one loan by name. Everything else that is extra needs a person."""
    if found.state is not State.extra or not found.loan_id:
        return None
    came = found.theirs_paise > 0
    common = {
        "loan_id": found.loan_id,
        "amount_paise": abs(found.theirs_paise),
        "value_on": found.on.isoformat(),
        "at": noon(found.on).isoformat(),
    }
    outcome = {
        "instruction_id": found.reference,
        "gateway_reference": found.gateway_reference or found.reference,
        "rail": found.rail,
        "gateway": found.gateway,
        "bank": found.bank,
    }
    match found.kind:
        case "debit" if came:
            kind, more = "gateway.debit.succeeded.v1", outcome
        case "payout" | "refund" if not came:
            kind, more = "gateway.payout.settled.v1", outcome
        case "line" if came:
            kind, more = "gateway.payment.received.v1", {"payment_reference": found.reference, "method": "other"}
        case _:
            return None
    return Booking(id=f"reconciliation:{found.subject}", type=kind, loan_id=found.loan_id, body={**common, **more})


def reversal(found: Difference, note: str) -> Booking | None:
    """What a loan says and did not happen, taken back there. Only ever because a person said so."""
    if found.ours_paise == 0 or not found.loan_id:
        return None
    body = {
        "loan_id": found.loan_id,
        "at": noon(found.on).isoformat(),
        "value_on": found.on.isoformat(),
        "message": note[:200],
    }
    match found.kind:
        case "debit":
            kind = "gateway.debit.reversed.v1"
            named = {"instruction_id": found.reference, "gateway_reference": found.gateway_reference or found.reference}
            body |= {**named, "amount_paise": found.ours_paise}
        case "payment":
            kind = "gateway.payment.reversed.v1"
            body |= {"payment_reference": found.reference, "amount_paise": found.ours_paise}
        case "payout" | "refund":
            kind = "gateway.payout.returned.v1"
            body |= {"instruction_id": found.reference, "code": "reconciliation"}
        case _:
            return None
    return Booking(id=f"reconciliation:{found.subject}:reverse", type=kind, loan_id=found.loan_id, body=body)


def surplus(found: Difference, loan_id: str) -> Booking | None:
    """More came than the loans say, or for no loan that could be told: a person says whose it is."""
    more = found.theirs_paise - found.ours_paise
    if more <= 0 or found.level == "settlement":
        return None
    reference = found.reference if found.kind == "line" else f"{found.reference}:difference"
    body = {
        "loan_id": loan_id,
        "payment_reference": reference,
        "amount_paise": more,
        "method": "other",
        "value_on": found.on.isoformat(),
        "at": noon(found.on).isoformat(),
    }
    return Booking(
        id=f"reconciliation:{found.subject}:book", type="gateway.payment.received.v1", loan_id=loan_id, body=body
    )


def neglected(found: Difference, days: int, at: datetime) -> Booking | None:
    """A case for a difference that nobody resolved in time: one for these figures. Of what names no loan there is none,
    since cases are a loan's."""
    if not found.loan_id:
        return None
    differs = f"{found.ours_paise} paise by the loan, {found.theirs_paise} by reports"
    identity = f"reconciliation:{found.subject}:{found.state}:{found.ours_paise}:{found.theirs_paise}"
    body = {
        "loan_id": found.loan_id,
        "command_id": identity[-200:],
        "kind": "reconciliation",
        "about": found.subject[-200:],
        "reason": f"{found.subject} is {found.state.replace('_', ' ')} for {days} days: {differs}"[:500],
        "requested_by": "qist/reconciliation",
        "requested_at": at.isoformat(),
        "at": at.isoformat(),
    }
    return Booking(id=identity, type="servicing.open-case.v1", loan_id=found.loan_id, body=body)


def noon(day: date) -> datetime:
    return datetime.combine(day, time(12), IST)


# --- What a person is advised to do --------------------------------------------------------------------------


class Advice(NamedTuple):
    ways: tuple[Way, ...]
    """What can be done, the likeliest first."""
    said: str


ADVICE: Mapping[tuple[str, State], Advice] = {
    ("item", State.missing): Advice(
        (Way.reverse, Way.accept),
        "No report has it. Ask the gateway or the bank for it by its reference; did it never happen, reverse it.",
    ),
    ("item", State.extra): Advice(
        (Way.book, Way.same, Way.accept),
        "No loan has it. Is it a borrower's, book it on the loan; is it a movement or settlement that is listed as"
        " missing, say that they are the same; is it no loan's money (a fee, interest, a transfer of one's own), accept"
        " it.",
    ),
    ("item", State.amount_differs): Advice(
        (Way.book, Way.reverse, Way.accept),
        "Loan and report differ. Came more, book the difference; was it taken back, reverse it; is the report wrong,"
        " have it corrected and accept.",
    ),
    ("item", State.date_differs): Advice(
        (Way.accept,),
        "The amounts agree, the days do not. Does interest hang on the day, reverse and book anew; else accept.",
    ),
    ("settlement", State.missing): Advice(
        (Way.accept,),
        "The gateway says that it paid this out, the bank does not have it. Ask the gateway for the bank's reference.",
    ),
    ("settlement", State.amount_differs): Advice(
        (Way.accept,),
        "The bank has another sum than the report's lines less fees. Look for lines that are not in the report, for"
        " fees, and for amounts held back; have the report corrected, or accept.",
    ),
    ("settlement", State.date_differs): Advice(
        (Way.accept,), "The sums agree, the days do not: hold the gateway to its settlement cycle, and accept."
    ),
}
"""(level, state) -> what can be done; a test proves that every difference that can be has its advice."""


def advice_of(level: str, state: State) -> Advice | None:
    return ADVICE.get((level, state))
