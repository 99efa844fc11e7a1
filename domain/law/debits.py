"""Debits on each rail: notice, hours, attempts, amounts without the payer's own factor (servicing rules 29, 34, 35)."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache
from typing import Final, Literal

from domain.calendar import IST, at_hour
from domain.law.dated import AnyRule, Confidence, DatedRule, Ruled, Table, by, in_force, ruled, table
from domain.law.workdays import NO_HOLIDAYS, is_working_day
from domain.money import Paise

__all__ = [
    "RULES",
    "AfaPurpose",
    "Notice",
    "afa_free_limit_paise",
    "afa_needed",
    "attempts_allowed",
    "mandate_fee_allowed",
    "notice_at_most_hours",
    "notice_hours",
    "outside_peak",
    "settles_on",
]

# --- Notice (R12.3) -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Notice:
    """Hours before a debit: at least, and for UPI at most, between which the payer must be told."""

    least: int
    most: int | None = None


CARDS: Final = "RBI e-mandate circulars, first 21 August 2019"
UPI: Final = "RBI circular of 10 January 2020, which brought UPI under the e-mandate rules"
FRAMEWORK: Final = "RBI Digital Payments E-mandate Framework, 21 April 2026"
FRAMEWORK_SINCE, BEFORE_FRAMEWORK = date(2026, 4, 21), date(2026, 4, 20)
NO_NOTICE: Final = Notice(0)


def _notice(rail: str, value: Notice, since: date, until: date | None, source: str) -> DatedRule[Notice]:
    latest = " and, by the switch's rules, not more than 48" if value.most else ""
    return DatedRule(
        id=f"R12.3/{rail}",
        title=f"Notice before a debit: {rail}",
        text=f"The payer is told amount, time and reference at least {value.least} hours before each debit{latest}, "
        "and may opt out of it.",
        source=source,
        confidence="seen",
        valid_from=since,
        valid_until=until,
        value=value,
        where="pre-debit notice: `debits.notice_hours`",
    )


NOTICE: Final[Mapping[str, Table[Notice]]] = {
    "card": table(
        _notice("card", Notice(24), date(2019, 9, 1), BEFORE_FRAMEWORK, CARDS),
        _notice("card", Notice(24), FRAMEWORK_SINCE, None, FRAMEWORK),
    ),
    "upi": table(
        _notice("upi", Notice(24, 48), date(2020, 1, 10), BEFORE_FRAMEWORK, UPI),
        _notice("upi", Notice(24, 48), FRAMEWORK_SINCE, None, FRAMEWORK),
    ),
}
"""NACH mandates are outside the framework: a notice there is the product's choice."""


@lru_cache(maxsize=1024)
def notice_hours(rail: str, on: date) -> Ruled[int]:
    """How many hours ahead a debit on a rail must be told at least; 0 where no rule asks for it."""
    notice, rule = ruled(in_force(NOTICE.get(rail, ()), on), NO_NOTICE)
    return Ruled(notice.least, rule)


def notice_at_most_hours(rail: str, on: date) -> Ruled[int | None]:
    """How many hours ahead it may be told at most; None where it may be told at any time before."""
    notice, rule = ruled(in_force(NOTICE.get(rail, ()), on), NO_NOTICE)
    return Ruled(notice.most, rule)


# --- Hours and attempts of UPI AutoPay; attempts on cards ----------------------------------------------------

AUTOPAY: Final = "NPCI OC-215 and 215-A, May 2025"
AUTOPAY_SINCE: Final = date(2025, 8, 1)
Windows = tuple[tuple[time, time], ...]

PEAK: Final[Mapping[str, Table[Windows]]] = {
    "upi": table(
        DatedRule(
            id="R13.1",
            title="UPI AutoPay outside peak hours",
            text="Mandates are executed before 10:00, from 13:00 to 17:00 and after 21:30 IST. An attempt in a peak "
            "window may be held and released later: it is not failed until its status says so.",
            source=AUTOPAY,
            confidence="seen",
            valid_from=AUTOPAY_SINCE,
            value=((time(10), time(13)), (time(17), time(21, 30))),
            where="hour of a debit and of a retry: `debits.outside_peak`",
        )
    )
}


def outside_peak(rail: str, at: datetime) -> Ruled[datetime]:
    """The instant itself, or the end of the peak window that it falls in; in IST."""
    local = at.astimezone(IST)
    rule = in_force(PEAK.get(rail, ()), local.date())
    for start, end in rule.value if rule else ():
        if start <= local.time() < end:
            return by(rule, at_hour(local.date(), end))
    return by(rule, local)


ATTEMPTS: Final[Mapping[str, Table[int | None]]] = {
    "upi": table(
        DatedRule(
            id="R13.2",
            title="UPI AutoPay: one attempt and three retries",
            text="At most four attempts per mandate and cycle, a gateway's own silent retries included; one success "
            "per cycle, a second is refunded.",
            source=AUTOPAY,
            confidence="seen",
            valid_from=AUTOPAY_SINCE,
            value=4,
            where="retries: `debits.attempts_allowed`",
        )
    ),
    "card": table(
        DatedRule(
            id="R13.3",
            title="Cards: one attempt and twenty in thirty days",
            text="Visa's declines of category 2 to 4 may be tried up to 20 times more within 30 days (older papers: "
            "15), those of category 1 never; Mastercard's advice codes say by code.",
            source="Visa and Mastercard retry rules; their first day is known only",
            confidence="seen-2nd",
            valid_from=date(2021, 4, 1),
            value=21,
            where="retries: `debits.attempts_allowed`; by code in reference/card_decline_codes.csv",
        )
    ),
}
VISA_NEVER_AGAIN: Final = 1


def attempts_allowed(rail: str, on: date, visa_category: int | None = None) -> Ruled[int | None]:
    """Attempts per instalment and cycle that the rail allows, the first included; None where the product decides.

    No text of NPCI limits re-presentations on NACH. `visa_category` is that of the last decline, where known.
    """
    rule = in_force(ATTEMPTS.get(rail, ()), on)
    if rail == "card" and visa_category == VISA_NEVER_AGAIN:
        return by(rule, 1)
    return ruled(rule, None)


# --- What may be taken without an additional factor of authentication (AFA) ----------------------------------

AfaPurpose = Literal["loan-instalment", "insurance-premium", "mutual-fund", "credit-card-bill"]
LIFTED: Final[frozenset[AfaPurpose]] = frozenset({"insurance-premium", "mutual-fund", "credit-card-bill"})


def _limit(
    rule: str, rupees: str, paise: Paise, since: date, until: date | None, source: str, confidence: Confidence
) -> DatedRule[Paise]:
    whose = "insurance premium, mutual fund, credit card bill" if rule == "R13.5" else "loan instalments and the rest"
    return DatedRule(
        id=rule,
        title=f"Without the payer's factor up to Rs. {rupees}",
        text=f"A card or UPI debit above Rs. {rupees} needs the payer's PIN or code each time ({whose}).",
        source=source,
        confidence=confidence,
        valid_from=since,
        valid_until=until,
        value=paise,
        where="mandate check: `debits.afa_needed`",
    )


LIMIT: Final[Table[Paise]] = table(
    _limit("R13.4", "2,000", 2_000_00, date(2019, 9, 1), date(2020, 12, 31), CARDS, "known"),
    _limit("R13.4", "5,000", 5_000_00, date(2021, 1, 1), date(2022, 6, 15), "RBI, 4 December 2020", "known"),
    _limit("R13.4", "15,000", 15_000_00, date(2022, 6, 16), BEFORE_FRAMEWORK, "RBI, 16 June 2022", "known"),
    _limit("R13.4", "15,000", 15_000_00, FRAMEWORK_SINCE, None, FRAMEWORK, "seen"),
)
LIFTED_LIMIT: Final[Table[Paise]] = table(
    _limit("R13.5", "1,00,000", 1_00_000_00, date(2023, 12, 12), BEFORE_FRAMEWORK, "RBI/2023-2024/88", "known"),
    _limit("R13.5", "1,00,000", 1_00_000_00, FRAMEWORK_SINCE, None, FRAMEWORK, "seen"),
)
WITH_AFA_LIMIT: Final[frozenset[str]] = frozenset({"card", "upi"})


def afa_free_limit_paise(rail: str, on: date, purpose: AfaPurpose = "loan-instalment") -> Ruled[Paise | None]:
    """The largest debit that needs no factor of the payer's; None where no limit holds (NACH).

    Gateways tell other limits for lending (Rs. 1,00,000): the framework's list does not have loans.
    """
    if rail not in WITH_AFA_LIMIT:
        return by(None, None)
    lifted = in_force(LIFTED_LIMIT, on) if purpose in LIFTED else None
    rule = lifted or in_force(LIMIT, on)
    return by(rule, rule.value if rule else None)


def afa_needed(rail: str, on: date, amount_paise: Paise, purpose: AfaPurpose = "loan-instalment") -> Ruled[bool]:
    """Whether a debit of that amount needs the payer's PIN or code."""
    limit, rule = afa_free_limit_paise(rail, on, purpose)
    return Ruled(limit is not None and amount_paise > limit, rule)


MANDATE_FEE: Final[DatedRule[None]] = DatedRule(
    id="R13.6",
    title="An e-mandate costs the payer nothing",
    text="No charge for registering or using an e-mandate on cards, wallets and UPI.",
    source=FRAMEWORK,
    confidence="seen",
    valid_from=FRAMEWORK_SINCE,
    value=None,
    where="levying of charges: `debits.mandate_fee_allowed`",
)


def mandate_fee_allowed(rail: str, on: date) -> Ruled[bool]:
    """Whether a charge for a mandate on that rail may be levied."""
    rule = in_force((MANDATE_FEE,), on) if rail in WITH_AFA_LIMIT else None
    return by(rule, rule is None)


# --- Days on which a rail settles ----------------------------------------------------------------------------

NACH_EXCEPTIONS: Final = (
    " A sponsor bank may still take no file on some days, and a bank may extend its answer (code 98): pending, neither "
    "success nor failure."
)
_EVERY_DAY: Final[tuple[tuple[str, date, str, str, Confidence], ...]] = (
    ("nach", date(2021, 8, 1), NACH_EXCEPTIONS, "RBI monetary policy, June 2021", "seen"),
    ("rtgs", date(2020, 12, 14), "", "RBI, December 2020", "known"),
    ("neft", date(2019, 12, 16), "", "RBI, December 2019", "known"),
)
EVERY_DAY: Final[Mapping[str, DatedRule[None]]] = {
    rail: DatedRule(
        id=f"R13.7/{rail}",
        title=f"{rail.upper()} settles every day of the year",
        text="Sundays and bank holidays included; before, on bank working days." + more,
        source=source,
        confidence=confidence,
        valid_from=since,
        value=None,
        where="settlement calendar: `debits.settles_on`",
    )
    for rail, since, more, source, confidence in _EVERY_DAY
}
ALWAYS: Final[frozenset[str]] = frozenset({"upi", "imps", "card"})
SAME_RAIL: Final[Mapping[str, str]] = {"enach": "nach"}


def settles_on(rail: str, day: date, holidays: Set[date] = NO_HOLIDAYS) -> Ruled[bool]:
    """Whether money moves on a rail that day; a rail that is not known works as a cheque does, on working days."""
    every = EVERY_DAY.get(SAME_RAIL.get(rail, rail))
    if every is not None and every.holds(day):
        return by(every, True)
    return by(None, rail in ALWAYS or is_working_day(day, holidays))


DISHONOUR: Final[DatedRule[None]] = DatedRule(
    id="R12.4",
    title="Dishonour for want of funds is an offence",
    text="A NACH debit returned for insufficient funds (code 04, 05): demand within 30 days of the bank's information, "
    "15 days to pay. So code, day received and presentation reference of each bounce are kept.",
    source="Payment and Settlement Systems Act 2007, section 25",
    confidence="known",
    valid_from=date(2008, 8, 12),
    value=None,
    where="the event of a failed debit",
)

RULES: Final[tuple[AnyRule, ...]] = (
    *(rule for rules in NOTICE.values() for rule in rules),
    DISHONOUR,
    *PEAK["upi"],
    *(rule for rules in ATTEMPTS.values() for rule in rules),
    *LIMIT,
    *LIFTED_LIMIT,
    MANDATE_FEE,
    *EVERY_DAY.values(),
)
