"""Credit bureaus: on which dates files are due, and the codes they speak in (servicing rule 31)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

from domain.calendar import add_months
from domain.law.classification import AssetClass, DayEndClass
from domain.law.dated import AnyRule, DatedRule, Ruled, Table, by, in_force, table

__all__ = [
    "ACCOUNT_TYPE",
    "ADDRESS_CATEGORY",
    "ASSET_CLASS",
    "CODES",
    "COLLATERAL_TYPE",
    "GENDER",
    "OCCUPATION",
    "OWNERSHIP",
    "PAYMENT_FREQUENCY",
    "RULES",
    "STATUS",
    "SUIT_FILED",
    "FileKind",
    "Submission",
    "asset_class_code",
    "next_submission",
    "submission_dates",
]

FileKind = Literal["full", "incremental"]


@dataclass(frozen=True, slots=True)
class Submission:
    """One file: the day it speaks of, the last day to send it, and whether it holds all accounts or what changed since
    the file before (opened, closed, changed by the borrower, another classification)."""

    as_on: date
    due_by: date
    kind: FileKind


@dataclass(frozen=True, slots=True)
class Cycle:
    """Days of a month that files speak of (0 is its last), what each holds, and days after it to send it."""

    files: tuple[tuple[int, FileKind, int], ...]


CYCLES: Final[Table[Cycle]] = table(
    DatedRule(
        id="R11.1",
        title="Bureau files every month",
        text="All accounts as on the last day of the month, sent by the 10th of the next.",
        source="Credit Information Companies Regulations, 2006; the day is the field's practice",
        confidence="known",
        valid_from=date(2006, 12, 14),
        valid_until=date(2024, 12, 31),
        value=Cycle(((0, "full", 10),)),
        where="bureau files: `bureau.submission_dates`",
    ),
    DatedRule(
        id="R11.1",
        title="Bureau files every fortnight",
        text="As on the 15th and the last day of the month, sent within seven days.",
        source="RBI circular of 8 August 2024; its first day is known only",
        confidence="seen",
        valid_from=date(2025, 1, 1),
        valid_until=date(2026, 6, 30),
        value=Cycle(((15, "full", 7), (0, "full", 7))),
        where="bureau files: `bureau.submission_dates`",
    ),
    DatedRule(
        id="R11.2",
        title="Bureau files on four dates a month",
        text="As on the 9th, 16th and 23rd what changed, sent within four days (13th, 20th, 27th); as on the last day "
        "all accounts, sent by the 5th. CKYC number where there is one; rejected rows with the next file at the "
        "latest.",
        source="RBI/DOR/2025-26/119 and its sisters by kind of lender, 4 December 2025",
        confidence="seen",
        valid_from=date(2026, 7, 1),
        value=Cycle(((9, "incremental", 4), (16, "incremental", 4), (23, "incremental", 4), (0, "full", 5))),
        where="bureau files: `bureau.submission_dates`",
    ),
)
ALERT: Final[DatedRule[None]] = DatedRule(
    id="R11.4",
    title="The borrower is told of a reported default",
    text="By SMS or mail when a default or days past due are reported; reasons where a correction is rejected.",
    source="RBI/2023-24/72, 26 October 2023",
    confidence="seen",
    valid_from=date(2024, 4, 26),
    value=None,
    where="notices after a bureau file",
)


def submission_dates(year: int, month: int) -> Ruled[tuple[Submission, ...]]:
    """The files that speak of days in a month, in order, by the rule in force on its first day."""
    first = date(year, month, 1)
    last = add_months(first, 1) - timedelta(days=1)
    rule = in_force(CYCLES, first)
    return by(rule, tuple(_submissions(first, last, rule.value)) if rule else ())


def _submissions(first: date, last: date, cycle: Cycle) -> Iterator[Submission]:
    for day, kind, within in cycle.files:
        as_on = first.replace(day=day) if day else last
        yield Submission(as_on, as_on + timedelta(days=within), kind)


def next_submission(after: date) -> Ruled[Submission | None]:
    """The next file that speaks of a day after this one."""
    for month in (after.replace(day=1), add_months(after.replace(day=1), 1)):
        files, rule = submission_dates(month.year, month.month)
        for file in files:
            if file.as_on > after:
                return Ruled(file, rule)
    return by(None, None)


# --- Codes of the Uniform Credit Reporting Format (Consumer) --------------------------------------------------

ASSET_CLASS: Final[Mapping[str, str]] = {
    "01": "standard",
    "02": "sub-standard",
    "03": "doubtful",
    "04": "loss",
    "05": "special mention account",
}
STATUS: Final[Mapping[str, str]] = {
    "00": "restructured",
    "01": "restructured by government mandate",
    "02": "written off",
    "03": "settled",
    "04": "settled after write-off",
    "05": "sold",
    "06": "written off and sold",
    "07": "purchased",
    "08": "purchased and written off",
    "09": "purchased and settled",
    "10": "purchased and restructured",
    "11": "restructured for natural calamity",
    "12": "restructured for COVID-19",
    "13": "closed after write-off",
    "14": "restructured and closed",
    "15": "auctioned and settled",
    "16": "repossessed and settled",
    "17": "guarantee invoked",
    "99": "existing status cleared",
}
"""Written-off and settled status; blank where none applies."""
SUIT_FILED: Final[Mapping[str, str]] = {
    "00": "none",
    "01": "suit filed",
    "02": "wilful default",
    "03": "suit filed for wilful default",
}
OWNERSHIP: Final[Mapping[str, str]] = {
    "1": "individual",
    "2": "authorised user",
    "3": "guarantor",
    "4": "joint",
    "5": "deceased",
}
GENDER: Final[Mapping[str, str]] = {"1": "female", "2": "male", "3": "transgender"}
ADDRESS_CATEGORY: Final[Mapping[str, str]] = {"1": "permanent", "2": "residence", "3": "office"}
COLLATERAL_TYPE: Final[Mapping[str, str]] = {
    "00": "none",
    "01": "property",
    "02": "gold",
    "03": "shares",
    "04": "savings account and fixed deposit",
    "05": "several securities",
    "06": "others",
}
PAYMENT_FREQUENCY: Final[Mapping[str, str]] = {
    "01": "weekly",
    "02": "fortnightly",
    "03": "monthly",
    "04": "quarterly",
    "05": "bullet",
    "06": "daily",
    "07": "half-yearly",
    "08": "yearly",
    "09": "on demand",
}
OCCUPATION: Final[Mapping[str, str]] = {
    "01": "salaried",
    "02": "self-employed professional",
    "03": "self-employed",
    "04": "others",
}
ACCOUNT_TYPE: Final[Mapping[str, str]] = {
    "00": "other",
    "01": "auto (personal)",
    "02": "housing",
    "03": "property",
    "04": "against shares or securities",
    "05": "personal",
    "06": "consumer",
    "07": "gold",
    "08": "education",
    "09": "to a professional",
    "10": "credit card",
    "11": "leasing",
    "12": "overdraft",
    "13": "two-wheeler",
    "14": "non-funded",
    "15": "against bank deposits",
    "16": "fleet card",
    "17": "commercial vehicle",
    "31": "secured credit card",
    "32": "used car",
    "33": "construction equipment",
    "34": "tractor",
    "35": "corporate card",
    "36": "Kisan credit card",
    "37": "loan on credit card",
    "38": "PM Jan Dhan overdraft",
    "39": "Mudra",
    "40": "microfinance, business",
    "41": "microfinance, personal",
    "42": "microfinance, housing",
    "43": "microfinance, other",
    "44": "PMAY credit-linked subsidy",
    "50": "business, secured",
    "51": "business, general",
    "52": "business, priority sector, small",
    "53": "business, priority sector, agriculture",
    "54": "business, priority sector, other",
    "55": "business, non-funded, general",
    "56": "business, non-funded, priority sector, small",
    "57": "business, non-funded, priority sector, agriculture",
    "58": "business, non-funded, priority sector, other",
    "59": "business, against deposits",
    "61": "business, unsecured",
}
CODES: Final[Mapping[str, Mapping[str, str]]] = {
    "account type": ACCOUNT_TYPE,
    "address category": ADDRESS_CATEGORY,
    "asset classification": ASSET_CLASS,
    "collateral type": COLLATERAL_TYPE,
    "gender": GENDER,
    "occupation": OCCUPATION,
    "ownership": OWNERSHIP,
    "payment frequency": PAYMENT_FREQUENCY,
    "suit filed or wilful default": SUIT_FILED,
    "written-off and settled status": STATUS,
}

_CODE_OF_CLASS: Final[Mapping[AssetClass, str]] = {
    "standard": "01",
    "sub-standard": "02",
    "doubtful-1": "03",
    "doubtful-2": "03",
    "doubtful-3": "03",
    "loss": "04",
}
SPECIAL_MENTION: Final = "05"


def asset_class_code(asset_class: AssetClass, day_end: DayEndClass = "standard") -> str:
    """The code of a loan's asset class; a standard loan that is SMA-0, -1 or -2 at day-end is a special mention."""
    if asset_class == "standard" and day_end.startswith("SMA"):
        return SPECIAL_MENTION
    return _CODE_OF_CLASS[asset_class]


RULES: Final[tuple[AnyRule, ...]] = (*CYCLES, ALERT)
