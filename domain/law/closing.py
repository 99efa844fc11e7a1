"""What the lender owes the borrower, and by when: papers, turnaround, grievances, corrections (rules 31 and 33)."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

from domain.law.dated import AnyRule, DatedRule, Ruled, Table, by, in_force, table
from domain.law.workdays import NO_HOLIDAYS, after_working_days
from domain.money import Paise

__all__ = [
    "RULES",
    "TurnaroundKind",
    "answer_due_by",
    "bureau_compensation_paise",
    "bureau_compensation_pay_by",
    "bureau_correction_due_by",
    "papers_compensation_paise",
    "papers_due_by",
    "turnaround_compensation_paise",
]


@dataclass(frozen=True, slots=True)
class Clock:
    """Calendar days that are free, and what each day after them costs."""

    days: int
    paise_per_day: Paise
    extra_days: int = 0

    def owed_paise(self, since: date, until: date, days: int) -> Paise:
        """What is owed when a thing that began on `since`, with so many free days, is done on `until`."""
        return max((until - since).days - days, 0) * self.paise_per_day


# --- Property and security papers (R10.*) --------------------------------------------------------------------

PAPERS: Final[Table[Clock]] = table(
    DatedRule(
        id="R10.1",
        title="Papers within 30 days, Rs. 5,000 a day after",
        text="All original property papers are released and charges removed from the registry within 30 days of full "
        "repayment or settlement. A delay that is the lender's costs it Rs. 5,000 a day, and the reasons in writing. "
        "Papers that were lost: help with duplicates at the lender's cost and 30 days more (R10.2).",
        source="RBI circular of 13 September 2023; RBC Directions, 2025, paragraphs 35, 39, 40",
        confidence="seen",
        valid_from=date(2023, 12, 1),
        counted_by="papers due",
        value=Clock(days=30, paise_per_day=5_000_00, extra_days=30),
        where="closure: `closing.papers_due_by`, `closing.papers_compensation_paise`",
    )
)
# Which rule holds depends on the day that the papers are due, and that day on the days of the first rule.
PAPERS_DAYS: Final = PAPERS[0].value.days


def papers_due_by(closed_on: date) -> Ruled[date | None]:
    """The last day to release the papers of a loan that was fully repaid or settled; None where no rule held."""
    due_by = closed_on + timedelta(days=PAPERS_DAYS)
    rule = in_force(PAPERS, due_by)
    return by(rule, due_by if rule else None)


def papers_compensation_paise(closed_on: date, until: date, lost: bool = False) -> Ruled[Paise]:
    """What is owed for papers released on `until` (or not yet, by then), where the delay is the lender's."""
    rule = in_force(PAPERS, closed_on + timedelta(days=PAPERS_DAYS))
    if rule is None:
        return by(None, 0)
    days = rule.value.days + (rule.value.extra_days if lost else 0)
    return by(rule, rule.value.owed_paise(closed_on, until, days))


# --- Failed payments (R12.2) ---------------------------------------------------------------------------------

TurnaroundKind = Literal[
    "imps", "upi", "upi-merchant", "card-ecommerce", "card-pos", "nach-credit", "nach-revoked-mandate"
]

_TURNAROUND: Final[tuple[tuple[TurnaroundKind, int, str], ...]] = (
    ("imps", 1, "Account debited, beneficiary not credited"),
    ("upi", 1, "Account debited, beneficiary not credited"),
    ("upi-merchant", 5, "Account debited, merchant not told"),
    ("card-ecommerce", 5, "Account debited, merchant not told"),
    ("card-pos", 5, "Account debited, merchant not told"),
    ("nach-credit", 1, "Credit not given or not reversed"),
    ("nach-revoked-mandate", 1, "Account debited although the mandate was revoked"),
)
TURNAROUND: Final[dict[TurnaroundKind, DatedRule[Clock]]] = {
    kind: DatedRule(
        id=f"R12.2/{kind}",
        title=f"Failed payment put right by T+{days}: {kind}",
        text=f"{what}: put right within {days} calendar day{'s' if days > 1 else ''} after the day of the failure, "
        "else Rs. 100 for each day more, without being asked.",
        source="RBI/2019-20/67, DPSS.CO.PD No.629/02.01.014/2019-20, 20 September 2019",
        confidence="known" if kind.startswith("nach") or kind == "card-pos" else "seen",
        valid_from=date(2019, 10, 15),
        counted_by="failure",
        value=Clock(days=days, paise_per_day=100_00),
        where="compensation clock: `closing.turnaround_compensation_paise`",
    )
    for kind, days, what in _TURNAROUND
}


def turnaround_compensation_paise(kind: TurnaroundKind, failed_on: date, resolved_on: date) -> Ruled[Paise]:
    """What the payer is owed for a failed payment that was put right on a day (or not yet, by then)."""
    rule = in_force((TURNAROUND[kind],), failed_on)
    return by(rule, rule.value.owed_paise(failed_on, resolved_on, rule.value.days) if rule else 0)


# --- Grievances (R12.1) --------------------------------------------------------------------------------------

GRIEVANCE: Final[Table[int]] = table(
    DatedRule(
        id="R12.1",
        title="A grievance is answered in 30 days",
        text="After 30 days without an answer, or with one that does not satisfy, the borrower may go to the RBI "
        "Ombudsman; the answer says so (R8.7).",
        source="Reserve Bank - Integrated Ombudsman Scheme, 12 November 2021",
        confidence="known",
        valid_from=date(2021, 11, 12),
        counted_by="complaint",
        value=30,
        where="grievances: `closing.answer_due_by`",
    )
)
HOUSE_ANSWER_DAYS: Final = 30


def answer_due_by(raised_on: date) -> Ruled[date]:
    """The last day to answer a grievance; the house keeps the 30 days also for those from before the rule."""
    rule = in_force(GRIEVANCE, raised_on)
    return by(rule, raised_on + timedelta(days=rule.value if rule else HOUSE_ANSWER_DAYS))


# --- Corrections of credit information (R11.3) ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Correction:
    """Days for the whole, the lender's days of them, and working days to pay what is owed."""

    clock: Clock
    lender_days: int
    pay_working_days: int


CORRECTION: Final[Table[Correction]] = table(
    DatedRule(
        id="R11.3",
        title="A wrong bureau record is corrected in 30 days",
        text="Rs. 100 for each calendar day after 30 from the complaint. The lender owes it where it did not send the "
        "correction within 21 days, else the bureau; paid within five working days of the resolution.",
        source="RBI/2023-24/72, DoR.FIN.REC.48/20.16.003/2023-24, 26 October 2023",
        confidence="seen",
        valid_from=date(2024, 4, 26),
        counted_by="complaint",
        value=Correction(Clock(days=30, paise_per_day=100_00), lender_days=21, pay_working_days=5),
        where="bureau disputes: `closing.bureau_compensation_paise`",
    )
)


def bureau_correction_due_by(raised_on: date) -> Ruled[date | None]:
    """The last day for the lender to send a correction, so that a later delay is the bureau's."""
    rule = in_force(CORRECTION, raised_on)
    return by(rule, raised_on + timedelta(days=rule.value.lender_days) if rule else None)


def bureau_compensation_paise(raised_on: date, resolved_on: date, correction_sent_on: date | None) -> Ruled[Paise]:
    """What the lender owes for a complaint resolved on a day (or not yet, by then); None: no correction was sent."""
    rule = in_force(CORRECTION, raised_on)
    if rule is None:
        return by(None, 0)
    sent_in_time = correction_sent_on is not None and (correction_sent_on - raised_on).days <= rule.value.lender_days
    clock = rule.value.clock
    return by(rule, 0 if sent_in_time else clock.owed_paise(raised_on, resolved_on, clock.days))


def bureau_compensation_pay_by(
    raised_on: date, resolved_on: date, holidays: Set[date] = NO_HOLIDAYS
) -> Ruled[date | None]:
    """The last day to pay it."""
    rule = in_force(CORRECTION, raised_on)
    return by(rule, after_working_days(resolved_on, rule.value.pay_working_days, holidays) if rule else None)


RULES: Final[tuple[AnyRule, ...]] = (*PAPERS, *CORRECTION, *GRIEVANCE, *TURNAROUND.values())
