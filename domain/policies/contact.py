"""Whether a borrower is told something: by which channel, in which tone and language, when; or not, and why.

A notice has a purpose, the purpose a manner: hours, caps, holds, opt-outs. Law first (servicing rules 29 and 30, in
`domain/law/contact.py`), then the borrower's wishes, then the lender's own taste. Every answer carries its reason.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Final, Literal, get_args

from domain.calendar import IST, day_end, ist_day
from domain.law.contact import HOURS, Hold, contact_caps, next_contact_moment
from domain.law.dated import in_force

Channel = Literal["sms", "whatsapp", "email", "voice"]
Tone = Literal["plain", "warm", "firm"]
Purpose = Literal["statutory", "receipt", "alert", "nudge", "recovery"]
Language = Literal["en", "hi"]

CHANNELS: Final[tuple[Channel, ...]] = get_args(Channel)
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
REMINDERS: Final = "reminders"
"""What a borrower opts out of to get no nudges; the others are names of channels."""
Hours = tuple[time, time]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How notices of a purpose go out."""

    hours: Hours | None
    """Only within these hours of the day; None = at any."""
    capped: bool
    """A contact in the law's sense: its hours hold, and it counts against the caps of a day and a week."""
    rests: bool
    """Not while a hold stands."""
    useful: timedelta
    """So long after the event it still helps; later it is not sent at all."""
    may_refuse: bool
    """Whether an opt-out of every channel that is left is the last word; else one of them is used all the same."""


MANNERS: Final[Mapping[Purpose, Manner]] = {
    # What the law or the agreement makes the lender say: whatever the hour, whatever was opted out of.
    "statutory": Manner(hours=None, capped=False, rests=False, useful=timedelta(days=7), may_refuse=False),
    # What became of the borrower's own money: at once.
    "receipt": Manner(hours=None, capped=False, rests=False, useful=timedelta(days=3), may_refuse=True),
    # Something went wrong and the borrower can mend it now: at once, but nobody is woken for it.
    "alert": Manner(hours=(time(7), time(22)), capped=False, rests=True, useful=timedelta(days=2), may_refuse=False),
    "nudge": Manner(hours=(time(9), time(19)), capped=True, rests=True, useful=timedelta(days=2), may_refuse=True),
    "recovery": Manner(hours=(time(8), time(19)), capped=True, rests=True, useful=timedelta(days=5), may_refuse=False),
}

PURPOSES: Final[Mapping[str, Purpose]] = {
    # Before and while money is due
    "debit-ahead": "statutory",
    "upcoming-instalment": "nudge",
    "bounce-risk": "nudge",
    "payment-link": "alert",
    "promise-reminder": "nudge",
    "promise-broken": "recovery",
    "payment-reminder": "recovery",
    "overdue": "recovery",
    "classified-npa": "recovery",
    # What became of money
    "disbursed": "receipt",
    "debit-succeeded": "receipt",
    "payment-received": "receipt",
    "receipt-reversed": "receipt",
    "refund-owed": "receipt",
    "compensation-owed": "receipt",
    "performance-restored": "receipt",
    "debit-failed": "alert",
    "mandate-expiring": "alert",
    "mandate-needed": "alert",
    "charge-levied": "statutory",
    # New terms
    "change-agreed": "statutory",
    "restructured": "statutory",
    "relief-granted": "statutory",
    "rate-reset": "statutory",
    "schedule-corrected": "statutory",
    "floating-rate-statement": "statutory",
    # The end, and complaints
    "preclosure-quoted": "receipt",
    "settlement-agreed": "statutory",
    "settlement-lapsed": "statutory",
    "settled": "statutory",
    "disbursal-cancelled": "statutory",
    "charge-returned": "receipt",
    "cancellation-short": "statutory",
    "cancellation-lapsed": "statutory",
    "closed": "statutory",
    "papers-released": "statutory",
    "grievance-acknowledged": "statutory",
}
"""Kind of notice -> what it is for."""

ENDS: Final[Mapping[str, str]] = {
    "debit-ahead": "debit_at",
    "bounce-risk": "due_on",
    "upcoming-instalment": "due_on",
    "promise-reminder": "by",
    "payment-link": "expires_on",
    "preclosure-quoted": "valid_until",
}
"""Kind -> its field with the moment, or the day, after which it says nothing useful any more."""

ASKS_FOR_MONEY: Final = frozenset(
    {
        "overdue", "classified-npa", "debit-failed", "payment-link", "payment-reminder", "bounce-risk",
        "promise-reminder", "promise-broken", "upcoming-instalment",
    }
)  # fmt: skip
SUPERSEDES: Final[Mapping[str, frozenset[str]]] = {
    "debit-succeeded": ASKS_FOR_MONEY,
    "payment-received": ASKS_FOR_MONEY,
    "settled": ASKS_FOR_MONEY,
    "closed": ASKS_FOR_MONEY | {"mandate-expiring", "mandate-needed"},
    "overdue": frozenset({"overdue", "bounce-risk", "upcoming-instalment"}),
    "classified-npa": frozenset({"overdue", "bounce-risk", "upcoming-instalment"}),
    "payment-link": frozenset({"payment-link"}),
    "promise-broken": frozenset({"promise-reminder"}),
}
"""Kind -> kinds that wait for their hour and are not sent any more once this one happened to the same loan."""

ORDERS: Final[tuple[tuple[Purpose | None, str, Tone | None, tuple[Channel, ...]], ...]] = (
    ("recovery", "self-employed", "firm", ("voice", "whatsapp", "sms", "email")),
    ("recovery", "", "firm", ("whatsapp", "voice", "sms", "email")),
    ("recovery", "", None, ("whatsapp", "sms", "email", "voice")),
    ("alert", "gig", None, ("whatsapp", "sms", "voice", "email")),
    ("alert", "", None, ("whatsapp", "sms", "email", "voice")),
    ("nudge", "salaried", None, ("whatsapp", "email", "sms")),
    ("nudge", "", None, ("whatsapp", "sms", "email")),
    ("statutory", "", None, ("sms", "email", "whatsapp", "voice")),
    ("receipt", "", None, ("sms", "whatsapp", "email")),
)
"""Purpose, segment (empty = any), tone (None = any) -> channels in order: the first row that fits."""

TONES: Final[tuple[tuple[Purpose, int, int, Tone], ...]] = (
    ("recovery", 30, 0, "firm"),
    ("recovery", 0, 3, "firm"),
    ("recovery", 0, 0, "warm"),
    ("alert", 0, 3, "firm"),
    ("alert", 0, 0, "warm"),
    ("nudge", 0, 0, "warm"),
)
"""Purpose, days past due and failed debits in half a year (at least so many) -> tone; the rest is plain."""

WINDOWS: Final[Mapping[str, Hours]] = {
    "salaried": (time(9), time(19)),
    "self-employed": (time(11), time(18)),
    "gig": (time(12), time(17)),
}
"""Segment -> hours at which nudges and reminders are read best: before work is out, after the shop has opened."""

CARE: Final = timedelta(days=30)
"""After a hold the tone stays warm for so long, whatever is overdue."""
READS_NEEDED: Final = 3
"""So many notices read at one hour of the day make it the borrower's hour."""
FAILURES_TO_DISTRUST: Final = 2
"""So many failures on a channel since it last worked put it at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A notice that an event leads to."""

    kind: str
    occurred_at: datetime
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    not_before: datetime | None = None
    tried: frozenset[str] = frozenset()
    """Channels that failed for this very notice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """What is known of a borrower's reachability and wishes, over all their loans."""

    reachable: frozenset[str] = frozenset()
    """Channels for which there is an address."""
    segment: str = ""
    language: str = "en"
    channel: str = ""
    """Preferred; empty = none is."""
    opted_out: frozenset[str] = frozenset()
    """Channels, and `reminders`."""
    hours: Hours | None = None
    """When the borrower wants to be contacted."""
    holds: tuple[Hold, ...] = ()
    erased: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What became of earlier notices to this borrower."""

    contacts: tuple[datetime, ...] = ()
    """Those that count against the caps: sent, or planned."""
    failures: int = 0
    """Debits of the loan that failed in the last half year, this one included."""
    failed_on: Mapping[str, int] = field(default_factory=dict[str, int])
    """Channel -> failures since it last worked."""
    read_at: Mapping[int, int] = field(default_factory=dict[int, int])
    """Hour of the day -> notices that were read in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Send it."""

    channel: Channel
    tone: Tone
    language: Language
    at: datetime
    reason: str
    rule: str = ""
    """The dated rule that moved it, if one did."""


@dataclass(frozen=True, slots=True)
class Withhold:
    """Do not send it."""

    reason: str
    detail: str = ""


def decide(asked: Asked, who: Contact, seen: History, served: Collection[str], now: datetime) -> Tell | Withhold:
    """What to do about a notice at `now`. `served` are the channels that the lender has a provider for."""
    purpose = PURPOSES.get(asked.kind)
    if purpose is None:
        return Withhold("unknown-kind", f"{asked.kind} is no kind of notice")
    if who.erased:
        return Withhold("borrower-erased")
    if purpose == "nudge" and REMINDERS in who.opted_out:
        return Withhold("opted-out", "the borrower wants no reminders")
    manner = MANNERS[purpose]
    tone, why_tone = tone_of(purpose, asked, who, seen)
    order = channel_order(purpose, tone, who, seen)
    usable: list[Channel] = [one for one in order if one in served and one in who.reachable and one not in asked.tried]
    if not usable:
        tried = f", tried {', '.join(sorted(asked.tried))}" if asked.tried else ""
        return Withhold("no-channel", f"served {named(served)}, reachable by {named(who.reachable)}{tried}")
    wanted: list[Channel] = [one for one in usable if one not in who.opted_out]
    if not wanted and manner.may_refuse:
        return Withhold("opted-out", f"of {named(usable)}")
    channel = (wanted or usable)[0]
    at, why_then, rule = first_moment(manner, purpose, asked, who, seen, now)
    end = end_of(asked, manner)
    if at > end:
        return Withhold("too-late", f"{why_then or 'it came late'}: {at:%d %b %H:%M} is after {end:%d %b %H:%M}")
    why_channel = "the borrower's choice" if channel == who.channel else f"first of {', '.join(wanted or usable)}"
    reasons = [f"{purpose}", f"{channel}: {why_channel}", *([f"{tone}: {why_tone}"] if why_tone else []), why_then]
    return Tell(
        channel=channel,
        tone=tone,
        language="hi" if who.language.lower().startswith("hi") else "en",
        at=at,
        reason="; ".join(filter(None, reasons)),
        rule=rule,
    )


def named(channels: Collection[str]) -> str:
    return ", ".join(sorted(channels)) or "none"


# --- Tone ----------------------------------------------------------------------------------------------------


def tone_of(purpose: Purpose, asked: Asked, who: Contact, seen: History) -> tuple[Tone, str]:
    """The tone, and what decided it."""
    dpd = int(asked.facts.get("dpd") or 0)
    if purpose in ("alert", "nudge", "recovery"):
        today = ist_day(asked.occurred_at)
        if any(hold.reason in ("bereavement", "calamity") and today - CARE <= hold.until_on for hold in who.holds):
            return "warm", "a hold ended not long ago"
    for of, days, failures, tone in TONES:
        if of == purpose and dpd >= days and seen.failures >= failures:
            why = f"{dpd} days past due" if days else f"{seen.failures} failed debits in half a year"
            return tone, why if days or failures else ""
    return "plain", ""


# --- Channel -------------------------------------------------------------------------------------------------


def channel_order(purpose: Purpose, tone: Tone, who: Contact, seen: History) -> list[Channel]:
    """All channels for a purpose, the best first: the borrower's choice, then the segment's order; one that keeps
    failing comes last."""
    order = next(
        row for of, segment, with_tone, row in ORDERS
        if of == purpose and segment in ("", who.segment) and with_tone in (None, tone)
    )  # fmt: skip
    distrusted = {one for one, times in seen.failed_on.items() if times >= FAILURES_TO_DISTRUST}
    chosen: list[Channel] = [one for one in CHANNELS if one == who.channel]
    return sorted(dict.fromkeys((*chosen, *order)), key=lambda one: one in distrusted)


# --- Time ----------------------------------------------------------------------------------------------------


def first_moment(
    manner: Manner, purpose: Purpose, asked: Asked, who: Contact, seen: History, now: datetime
) -> tuple[datetime, str, str]:
    """The first instant from now on at which it may go out; why not at once, and the dated rule that says so."""
    at = max(now, asked.occurred_at).astimezone(IST)
    window = window_of(manner, purpose, who, seen, ist_day(at))
    holds = who.holds if manner.rests else ()
    reasons: list[str] = []
    rule = ""
    while True:
        if manner.capped:
            ruled = next_contact_moment(at, IST, holds, seen.contacts, contact_caps(ist_day(at)).value)
            later, why = ruled.value, "contact hours, holds and caps (rule 30)"
            rule = ruled.rule if later > at else rule
        else:
            later, why = after_holds(at, holds), "a hold"
        if later == at and window is not None:
            later, why = into(window, at), f"between {window[0]:%H:%M} and {window[1]:%H:%M}"
        if later == at and asked.not_before is not None and asked.not_before > at:
            later, why = asked.not_before.astimezone(IST), "not before, as the notice says"
        if later <= at:
            return at, ", then ".join(dict.fromkeys(reasons)), rule
        at = later
        reasons.append(why)


def window_of(manner: Manner, purpose: Purpose, who: Contact, seen: History, on: date) -> Hours | None:
    """The hours in which it goes out: the manner's, narrowed by the law, by the borrower's wish, else by the hour at
    which they read, else by the segment's; what would leave nothing is passed over."""
    if manner.hours is None:
        return None
    law = in_force(HOURS, on) if manner.capped else None
    window = meet(manner.hours, law.value if law else None)
    if who.hours is not None:
        return meet(window, who.hours)
    if purpose not in ("nudge", "recovery"):
        return window
    hour, times = max(seen.read_at.items(), key=lambda item: (item[1], -item[0]), default=(0, 0))
    if times >= READS_NEEDED:
        return meet(window, (time(hour), time(23, 59) if hour == 23 else time(hour + 1)))
    return meet(window, WINDOWS.get(who.segment))


def meet(one: Hours, other: Hours | None) -> Hours:
    """The hours that are in both; the first alone where there are none."""
    if other is None:
        return one
    both = max(one[0], other[0]), min(one[1], other[1])
    return both if both[0] < both[1] else one


def into(window: Hours, at: datetime) -> datetime:
    """The first instant from `at` on within hours of the day, from the first until but not at the last."""
    opens, closes = window
    if at.time() < opens:
        return datetime.combine(at.date(), opens, at.tzinfo)
    return at if at.time() < closes else datetime.combine(at.date() + timedelta(days=1), opens, at.tzinfo)


def after_holds(at: datetime, holds: Collection[Hold]) -> datetime:
    """The first instant from `at` on outside every hold."""
    while (held := next((hold for hold in holds if hold.from_on <= at.date() <= hold.until_on), None)) is not None:
        at = datetime.combine(held.until_on + timedelta(days=1), time.min, at.tzinfo)
    return at


def end_of(asked: Asked, manner: Manner) -> datetime:
    """The last instant at which the notice is of use."""
    said = asked.facts.get(ENDS.get(asked.kind, ""))
    if not said:
        return (asked.occurred_at + manner.useful).astimezone(IST)
    return datetime.fromisoformat(said) if "T" in said else day_end(date.fromisoformat(said))
