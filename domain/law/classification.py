"""Asset classification: days past due, SMA, NPA, ageing, and the way back (servicing rules 19 to 22)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from typing import Final, Literal

from domain.calendar import add_months
from domain.law.dated import (
    ALL_LENDERS,
    NBFCS,
    AnyRule,
    Confidence,
    DatedRule,
    Lender,
    Ruled,
    Table,
    by,
    in_force,
    ruled,
    table,
)
from domain.money import Paise

__all__ = [
    "RULES",
    "AssetClass",
    "DayEndClass",
    "Upgrade",
    "asset_class",
    "class_by_security",
    "class_dates",
    "class_on_restructuring",
    "day_end_class",
    "days_past_due",
    "npa_after_days",
    "upgrade_allowed",
    "upgrade_terms",
]

DayEndClass = Literal["standard", "SMA-0", "SMA-1", "SMA-2", "NPA"]
AssetClass = Literal["standard", "sub-standard", "doubtful-1", "doubtful-2", "doubtful-3", "loss"]

IRAC: Final = "RBI/2021-2022/125, DOR.STR.REC.68/21.04.048/2021-22, 12 November 2021; now in the 2025 Directions"
FRAMEWORK: Final = date(2019, 6, 7)  # Prudential Framework for Resolution of Stressed Assets
DAY_END: Final = "day-end classification"

# --- Days past due and what they make of a loan (R6.1 to R6.3, R6.7) ----------------------------------------

# First day past due of each class; from which day it is NPA depends on lender and date.
SMA: Final[DatedRule[tuple[tuple[int, DayEndClass], ...]]] = DatedRule(
    id="R6.2",
    title="SMA by day-end count",
    text="SMA-0 to 30 days past due, SMA-1 to 60, SMA-2 to 90. The due date is day 1 at its own day-end: due 31 March "
    "2021, SMA-1 on 30 April, SMA-2 on 30 May, NPA on 29 June.",
    source=IRAC + "; the categories since 7 June 2019, the day-end count clarified in 2021",
    confidence="seen",
    valid_from=FRAMEWORK,
    value=((61, "SMA-2"), (31, "SMA-1"), (1, "SMA-0"), (0, "standard")),
    where=f"{DAY_END}: `classification.day_end_class`",
)


def _npa_after(
    days: int,
    since: date,
    until: date | None,
    lenders: frozenset[Lender],
    confidence: Confidence,
    rule: Literal["R6.2n", "R6.7"],
) -> DatedRule[int]:
    return DatedRule(
        id=rule,
        title=f"NPA after {days} days" + (" at base-layer NBFCs" if rule == "R6.7" else ""),
        text=f"A loan of which something is overdue for more than {days} days at day-end is NPA.",
        source=IRAC
        if rule == "R6.2n"
        else "RBI, Scale Based Regulation for NBFCs, 22 October 2021: glide path to 90 days",
        confidence=confidence,
        valid_from=since,
        valid_until=until,
        lenders=lenders,
        value=days,
        where=f"{DAY_END}: `classification.npa_after_days`",
    )


BASE_LAYER: Final[frozenset[Lender]] = frozenset({"nbfc-base"})
NPA_AFTER: Final[Table[int]] = table(
    _npa_after(90, FRAMEWORK, None, ALL_LENDERS - BASE_LAYER, "seen", "R6.2n"),
    _npa_after(180, date(2014, 11, 10), date(2024, 3, 30), BASE_LAYER, "known", "R6.7"),
    _npa_after(150, date(2024, 3, 31), date(2025, 3, 30), BASE_LAYER, "known", "R6.7"),
    _npa_after(120, date(2025, 3, 31), date(2026, 3, 30), BASE_LAYER, "known", "R6.7"),
    _npa_after(90, date(2026, 3, 31), None, BASE_LAYER, "known", "R6.7"),
)
NORMAL_NPA_AFTER: Final = 90  # where no rule was in force


def days_past_due(oldest_unpaid_due_on: date | None, on: date) -> int:
    """Days past due at that day's end: 1 on the due date itself, 0 where nothing is overdue (R6.1 to R6.3)."""
    return max((on - oldest_unpaid_due_on).days + 1, 0) if oldest_unpaid_due_on else 0


def npa_after_days(lender: Lender, on: date) -> Ruled[int]:
    """More days past due than this make a loan NPA."""
    return ruled(in_force(NPA_AFTER, on, lender), NORMAL_NPA_AFTER)


def day_end_class(dpd: int, lender: Lender, on: date) -> Ruled[DayEndClass]:
    """The class that so many days past due make at that day's end.

    It says nothing of a loan that was NPA before: that stays NPA until all its arrears are paid (`upgrade_allowed`).
    """
    npa = in_force(NPA_AFTER, on, lender)
    if dpd > (npa.value if npa else NORMAL_NPA_AFTER):
        return by(npa, "NPA")
    return by(in_force((SMA,), on), next(name for first, name in SMA.value if dpd >= first))


def class_dates(due_on: date, lender: Lender) -> dict[DayEndClass, date]:
    """On which days an amount that is never paid makes its loan SMA-0, SMA-1, SMA-2 and NPA, as an agreement tells it
    (R6.9)."""
    first_days: dict[DayEndClass, date] = {}
    for day in (due_on + timedelta(days=passed) for passed in count()):
        name = day_end_class(days_past_due(due_on, day), lender, day).value
        first_days.setdefault(name, day)
        if name == "NPA":
            break
    return first_days


# --- Ageing of an NPA (R6.11, R6.12) ------------------------------------------------------------------------

AGEING: Final[DatedRule[tuple[tuple[int, AssetClass], ...]]] = DatedRule(
    id="R6.11",
    title="Ageing of an NPA",
    text="Sub-standard for 12 months, then doubtful-1 for a year, doubtful-2 for two, doubtful-3 after; loss when "
    "identified. NPA 1 August 2023: doubtful-1 on 1 August 2024, doubtful-2 2025, doubtful-3 2027.",
    source="RBI Master Circular on IRAC norms; older NBFC norms had 18 months of sub-standard, which are not kept here",
    confidence="seen",
    valid_from=date(2005, 3, 31),
    value=((48, "doubtful-3"), (24, "doubtful-2"), (12, "doubtful-1"), (0, "sub-standard")),
    where="provisions and bureau file: `classification.asset_class`",
)
SECURITY: Final[DatedRule[tuple[int, int]]] = DatedRule(
    id="R6.12",
    title="Lost security makes an NPA doubtful or a loss at once",
    text="Realisable security below 50% of its last assessed value: straight to doubtful. Below 10% of what is "
    "outstanding: loss.",
    source="RBI Master Circular on IRAC norms",
    confidence="known",
    valid_from=date(2005, 3, 31),
    value=(50, 10),
    where="`classification.class_by_security`, for whoever values the security",
)


def asset_class(npa_since: date | None, on: date, *, loss_identified_on: date | None = None) -> Ruled[AssetClass]:
    """The asset class of a loan that is NPA since a day (None: it is not), by age, or loss once that was identified."""
    rule = in_force((AGEING,), on)
    if npa_since is None or on < npa_since:
        return by(rule, "standard")
    if loss_identified_on is not None and loss_identified_on <= on:
        return by(rule, "loss")
    return by(rule, next(name for months, name in AGEING.value if add_months(npa_since, months) <= on))


def class_by_security(security_paise: Paise, assessed_paise: Paise, outstanding_paise: Paise) -> Ruled[AssetClass]:
    """The mildest class that an NPA may have with security of that value now, at last assessment and to that debt."""
    of_assessed, of_outstanding = SECURITY.value
    if security_paise * 100 < outstanding_paise * of_outstanding:
        return by(SECURITY, "loss")
    if security_paise * 100 < assessed_paise * of_assessed:
        return by(SECURITY, "doubtful-1")
    return by(SECURITY, "sub-standard")


# --- Restructuring and the way back (R6.4, R6.5, R7.*) ------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """What must be so before an NPA is standard again.

    `months` of satisfactory performance of all the borrower's loans, counted from the first payment of interest or
    principal (the later) on the one with the longest moratorium; `percent_repaid` of principal with capitalised
    interest.
    """

    all_arrears: bool = True
    months: int = 0
    percent_repaid: Decimal = Decimal(0)


FULL_ARREARS: Final = Upgrade()
BELOW_NPA: Final = Upgrade(all_arrears=False)
ONE_YEAR: Final = Upgrade(months=12)
ONE_YEAR_AND_A_TENTH: Final = Upgrade(months=12, percent_repaid=Decimal(10))

NBFCS_AND_HFCS: Final[frozenset[Lender]] = frozenset({*NBFCS, "hfc"})
JUNE_2019: Final[frozenset[Lender]] = frozenset({"bank", "sfb", "aifi"})
NBFC_UPGRADE: Final = date(2022, 10, 1)
WAY_BACK: Final = "NPA to standard: `classification.upgrade_allowed`"


def _upgrade(
    rule: str,
    title: str,
    text: str,
    source: str,
    confidence: Confidence,
    since: date,
    value: Upgrade,
    lenders: frozenset[Lender],
    until: date | None = None,
) -> DatedRule[Upgrade]:
    return DatedRule(
        id=rule,
        title=title,
        text=text,
        source=source,
        confidence=confidence,
        valid_from=since,
        valid_until=until,
        lenders=lenders,
        value=value,
        where=WAY_BACK,
    )


UPGRADE: Final[Table[Upgrade]] = table(
    _upgrade(
        "R6.4",
        "Upgrade only when all arrears are paid",
        "An NPA is standard again only when the entire arrears of interest and principal of all the borrower's loans "
        "are paid; fewer than 91 days past due is not enough.",
        IRAC,
        "seen",
        date(2021, 11, 12),
        FULL_ARREARS,
        ALL_LENDERS - NBFCS_AND_HFCS,
    ),
    _upgrade(
        "R6.4n",
        "NBFCs: upgrade when below the NPA threshold",
        "Before 1 October 2022 NBFCs could upgrade a loan once its days past due fell below the threshold.",
        "RBI circular of 15 February 2022, which deferred the rule for NBFCs",
        "known",
        date(2014, 11, 10),
        BELOW_NPA,
        NBFCS_AND_HFCS,
        date(2022, 9, 30),
    ),
    _upgrade(
        "R6.4n",
        "NBFCs: upgrade only when all arrears are paid",
        "As for banks.",
        "RBI circular of 15 February 2022",
        "known",
        NBFC_UPGRADE,
        FULL_ARREARS,
        NBFCS_AND_HFCS,
    ),
)
UPGRADE_RESTRUCTURED: Final[Table[Upgrade]] = table(
    _upgrade(
        "R7.3a",
        "A restructured loan: a year, and a tenth repaid",
        "Upgrade not before a year of satisfactory performance of all loans of the borrower, and with at least 10% of "
        "principal and capitalised interest repaid. Default again slips back.",
        "RBI Prudential Framework, 7 June 2019",
        "known",
        FRAMEWORK,
        ONE_YEAR_AND_A_TENTH,
        JUNE_2019,
    ),
    _upgrade(
        "R7.3b",
        "A restructured loan: a year",
        "Upgrade not before a year of satisfactory performance, from the first payment of interest or principal, "
        "whichever is later.",
        "RBI Master Circular on IRAC norms; NBFC prudential norms",
        "seen",
        date(2015, 7, 1),
        ONE_YEAR,
        ALL_LENDERS - JUNE_2019,
    ),
)


def upgrade_terms(lender: Lender, on: date, *, restructured: bool) -> Ruled[Upgrade]:
    """What an upgrade asks for on a day; of a restructured loan its own rule and that of the arrears."""
    if restructured and (rule := in_force(UPGRADE_RESTRUCTURED, on, lender)):
        return by(rule, rule.value)
    return ruled(in_force(UPGRADE, on, lender), FULL_ARREARS)


def upgrade_allowed(
    lender: Lender,
    on: date,
    *,
    arrears_paise: Paise,
    dpd: int,
    performing_since: date | None = None,
    repaid_percent: Decimal = Decimal(0),
) -> Ruled[bool]:
    """Whether an NPA may be standard again on a day.

    `arrears_paise` and `dpd` are of all the borrower's loans. `performing_since`, for a restructured loan, is the first
    payment of interest or principal after it, whichever is later; None for a loan that was not restructured.
    """
    terms, rule = upgrade_terms(lender, on, restructured=performing_since is not None)
    paid = arrears_paise == 0 or (not terms.all_arrears and dpd <= npa_after_days(lender, on).value)
    performed = performing_since is None or add_months(performing_since, terms.months) <= on
    return Ruled(paid and performed and repaid_percent >= terms.percent_repaid, rule)


RESTRUCTURED: Final[DatedRule[AssetClass]] = DatedRule(
    id="R7.1",
    title="Restructuring makes a loan sub-standard",
    text="A concession to a borrower in financial difficulty: a standard loan is sub-standard at once; an NPA keeps "
    "its age. A rate reset, a repricing without difficulty and a moratorium agreed at sanction are no restructuring "
    "(R7.2).",
    source="RBI Prudential Framework, 7 June 2019; Resolution of Stressed Assets Directions, 2025",
    confidence="known",
    valid_from=FRAMEWORK,
    value="sub-standard",
    where="restructuring: `classification.class_on_restructuring`",
)


def class_on_restructuring(npa_since: date | None, on: date) -> Ruled[tuple[AssetClass, date]]:
    """The class of a loan restructured on a day for difficulty, and since when its age counts."""
    rule = in_force((RESTRUCTURED,), on)
    if npa_since is None:
        return by(rule, (RESTRUCTURED.value, on))
    return by(rule, (asset_class(npa_since, on).value, npa_since))


_STATEMENTS: Final[tuple[tuple[str, str, str, Confidence, str], ...]] = (
    (
        "R6.1",
        "Overdue at day-end",
        "What is not received before the day-end process of its due date is overdue from that date, whenever the "
        "process runs.",
        "seen",
        "`classification.days_past_due`",
    ),
    (
        "R6.3",
        "The oldest unpaid amount counts",
        "Principal, interest or any other amount, wholly or partly overdue; age from the oldest.",
        "seen",
        "`classification.days_past_due`, of the oldest unpaid due",
    ),
    (
        "R6.5",
        "By borrower",
        "One NPA loan makes all loans of that borrower with the lender NPA; the same holds for the upgrade.",
        "known",
        "arrears of all loans go into `classification.upgrade_allowed`",
    ),
    (
        "R6.8",
        "Automatic, with a trail",
        "Classification is automatic at day-end; no override without a trail.",
        "seen",
        "an event for each change of class",
    ),
    (
        "R6.9",
        "Told in the agreement",
        "Due dates, and examples of SMA and NPA with dates, stand in the agreement.",
        "seen",
        "`classification.class_dates`",
    ),
    (
        "R6.14",
        "Income of an NPA on receipt",
        "Interest and fees of an NPA are income when received; what was accrued and not received is reversed on the "
        "day of NPA and kept as a memorandum; charges likewise (R6.16).",
        "known",
        "interest suspense in the ledger",
    ),
)
STATEMENTS: Final[tuple[DatedRule[None], ...]] = tuple(
    DatedRule(
        id=rule,
        title=title,
        text=text,
        source=IRAC,
        confidence=confidence,
        valid_from=date(2021, 11, 12),
        value=None,
        where=where,
    )
    for rule, title, text, confidence, where in _STATEMENTS
)

RULES: Final[tuple[AnyRule, ...]] = (
    *STATEMENTS,
    SMA,
    *NPA_AFTER,
    *UPGRADE,
    AGEING,
    SECURITY,
    RESTRUCTURED,
    *UPGRADE_RESTRUCTURED,
)
