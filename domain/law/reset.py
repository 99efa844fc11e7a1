"""Resets of a floating rate: what the borrower is offered, told, and protected from (servicing rule 27)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final, Literal

from domain.calendar import add_months
from domain.law.dated import AnyRule, DatedRule, Lender, Ruled, Table, by, in_force, ruled, table
from domain.money import Paise

__all__ = [
    "RULES",
    "ResetOption",
    "StatementField",
    "emi_covers_interest",
    "next_statement_on",
    "reset_at_least_every_months",
    "reset_options",
    "statement_fields",
]

ResetOption = Literal[
    "higher-emi", "longer-tenor", "higher-emi-and-longer-tenor", "switch-to-fixed", "part-prepayment", "full-prepayment"
]
StatementField = Literal[
    "principal_recovered", "interest_recovered", "emi", "emis_left", "annualised_rate_for_the_whole_tenor"
]

CIRCULAR: Final = "RBI/2023-24/55, 18 August 2023"
AMENDED: Final = "RBI/2025-26/83, DOR.CRE.REC.51/13.03.00/2025-26, 29 September 2025"
NEW_LOANS, EXISTING_LOANS, AMENDMENT = date(2023, 8, 18), date(2023, 12, 31), date(2025, 10, 1)

MUST: Final[tuple[ResetOption, ...]] = (
    "higher-emi",
    "longer-tenor",
    "higher-emi-and-longer-tenor",
    "part-prepayment",
    "full-prepayment",
)

OPTIONS: Final[Table[tuple[ResetOption, ...]]] = table(
    DatedRule(
        id="R5.1",
        title="What a reset offers",
        text="At each reset of a floating-rate loan in equated instalments the borrower may choose a higher EMI, a "
        "longer tenor or both, a switch to a fixed rate, and to pre-pay in part or whole at any time.",
        source=CIRCULAR,
        confidence="seen",
        valid_from=NEW_LOANS,
        valid_until=date(2025, 9, 30),
        value=(*MUST, "switch-to-fixed"),
        where="rate reset: `reset.reset_options`",
    ),
    DatedRule(
        id="R5.1",
        title="What a reset offers; the fixed rate by the lender's policy",
        text="As before, but a switch to a fixed rate is offered where the lender's policy has one.",
        source=AMENDED,
        confidence="seen",
        valid_from=AMENDMENT,
        value=MUST,
        where="rate reset: `reset.reset_options`",
    ),
)


def reset_options(sanctioned_on: date, on: date, *, fixed_by_policy: bool = True) -> Ruled[tuple[ResetOption, ...]]:
    """What must be offered at a reset on a day; empty where the rule does not reach the loan yet.

    Loans from before 18 August 2023 came under it by 31 December 2023. Since October 2025 the switch to a fixed rate
    is offered only where the lender's policy has it.
    """
    if sanctioned_on < NEW_LOANS and on < EXISTING_LOANS:
        return by(None, ())
    options, rule = ruled(in_force(OPTIONS, on), ())
    if rule and fixed_by_policy and "switch-to-fixed" not in options:
        return Ruled((*options, "switch-to-fixed"), rule)
    return Ruled(options, rule)


COVERS: Final[DatedRule[None]] = DatedRule(
    id="R5.2",
    title="An EMI covers the interest",
    text="A longer tenor must not end in negative amortisation: an instalment that is not above the interest of its "
    "period is refused.",
    source=CIRCULAR,
    confidence="known",
    valid_from=NEW_LOANS,
    value=None,
    where="rate reset and restructuring: `reset.emi_covers_interest`",
)


def emi_covers_interest(emi_paise: Paise, interest_paise: Paise) -> Ruled[bool]:
    """Whether an instalment repays something besides the interest of its period."""
    return by(COVERS, emi_paise > interest_paise)


STATEMENT: Final[Table[tuple[StatementField, ...]]] = table(
    DatedRule(
        id="R5.3",
        title="A statement every quarter",
        text="Any change of EMI or tenor is told at once. At the end of each quarter: principal and interest recovered "
        "to date, EMI, EMIs left, annualised rate for the whole tenor.",
        source=CIRCULAR + "; the fields are known only",
        confidence="seen",
        valid_from=NEW_LOANS,
        value=(
            "principal_recovered",
            "interest_recovered",
            "emi",
            "emis_left",
            "annualised_rate_for_the_whole_tenor",
        ),
        where="quarterly statement: `reset.next_statement_on`, `statement_fields`",
    )
)


def next_statement_on(after: date) -> Ruled[date | None]:
    """The first quarter's end after a day on which a statement is due: 31 March, 30 June, 30 September, 31 December."""
    first_of_quarter = date(after.year, (after.month - 1) // 3 * 3 + 1, 1)
    ends = (add_months(first_of_quarter, months) - timedelta(days=1) for months in (3, 6))
    end = next(end for end in ends if end > after)
    rule = in_force(STATEMENT, end)
    return by(rule, end if rule else None)


def statement_fields(on: date) -> Ruled[tuple[StatementField, ...]]:
    """What the statement tells."""
    return ruled(in_force(STATEMENT, on), ())


EVERY: Final[Table[int | None]] = table(
    DatedRule(
        id="R5.5",
        title="An external benchmark is followed every three months",
        text="Floating-rate retail loans of banks sanctioned since 1 October 2019 follow an external benchmark and are "
        "reset at least once in three months.",
        source="RBI circular of 4 September 2019",
        confidence="seen",
        valid_from=date(2019, 10, 1),
        lenders=frozenset({"bank", "sfb"}),
        counted_by="sanction",
        value=3,
        where="`reset.reset_at_least_every_months`",
    )
)


def reset_at_least_every_months(lender: Lender, sanctioned_on: date) -> Ruled[int | None]:
    """The longest time between two resets of a floating-rate retail loan; None where the lender may choose."""
    return ruled(in_force(EVERY, sanctioned_on, lender), None)


DISCLOSED: Final[DatedRule[None]] = DatedRule(
    id="R5.4",
    title="Charges of a switch are disclosed",
    text="For all personal loans in equated instalments, of an internal or an external benchmark.",
    source=CIRCULAR,
    confidence="seen",
    valid_from=NEW_LOANS,
    value=None,
    where="contingent charges of the KFS",
)

RULES: Final[tuple[AnyRule, ...]] = (*OPTIONS, COVERS, *STATEMENT, DISCLOSED, *EVERY)
