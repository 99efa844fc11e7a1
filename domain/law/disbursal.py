"""Paying out: to whom, from when interest runs, and how long the borrower may think again (servicing rules 26, 28)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Final, Literal

from domain.law.dated import AnyRule, DatedRule, Ruled, Table, by, in_force, ruled, table
from domain.money import Paise, round_ratio

__all__ = [
    "RULES",
    "Payee",
    "cooling_off_exit_paise",
    "cooling_off_minimum_days",
    "interest_bearing_paise",
    "interest_runs_from",
    "payee_allowed",
    "payees_allowed",
]

FAIR_INTEREST: Final = "RBI/2024-25/30, DoS.CO.PPG.SEC.1/11.01.005/2024-25, 29 April 2024"
GUIDELINES: Final = "RBI Guidelines on Digital Lending, 2 September 2022"
DIRECTIONS: Final = "RBI (Digital Lending) Directions, 2025, RBI/2025-26/36, 8 May 2025"
SINCE_2022, SINCE_2025 = date(2022, 9, 2), date(2025, 5, 8)
BEFORE_2025: Final = date(2025, 5, 7)

# --- Interest for the days that money was out (R2.*) --------------------------------------------------------

FROM_PAYOUT, BY_DAYS, NET_OF_ADVANCE, REFUND = (
    DatedRule(
        id=rule,
        title=title,
        text=text,
        source=FAIR_INTEREST,
        confidence="seen",
        valid_from=date(2024, 4, 29),
        value=None,
        where=where,
    )
    for rule, title, text, where in (
        (
            "R2.1",
            "Interest from the day of payout",
            "Interest runs from the day that the money reaches the borrower, not from sanction, agreement or cheque "
            "date.",
            "schedule, made anew when the payout settles: `disbursal.interest_runs_from`",
        ),
        (
            "R2.2",
            "Only for the days outstanding",
            "No interest for a whole month on a payout or repayment within it.",
            "schedule and quote count days",
        ),
        (
            "R2.3",
            "Advance instalments do not bear interest",
            "Where instalments are taken in advance, interest runs on the loan less these.",
            "`disbursal.interest_bearing_paise`",
        ),
        (
            "R2.4",
            "Excess interest is refunded",
            "What was charged too much goes back, by transfer rather than by cheque.",
            "value-dated corrections, held for the borrower as excess",
        ),
    )
)


def interest_runs_from(paid_out_on: date) -> Ruled[date]:
    """Since when interest runs: the day that the money reached the borrower, by rule since 29 April 2024."""
    return by(in_force((FROM_PAYOUT,), paid_out_on), paid_out_on)


def interest_bearing_paise(principal_paise: Paise, advance_paise: Paise, paid_out_on: date) -> Ruled[Paise]:
    """What bears interest where instalments of `advance_paise` were taken at payout."""
    rule = in_force((NET_OF_ADVANCE,), paid_out_on)
    return by(rule, principal_paise - advance_paise if rule else principal_paise)


# --- Payees (R8.1) ------------------------------------------------------------------------------------------

Payee = Literal["borrower", "end-use", "statutory", "co-lender", "lsp", "other"]
"""Whose account: `end-use` is a seller or school paid for the borrower, `lsp` a lending service provider."""

PAYEES: Final[Table[frozenset[Payee]]] = table(
    DatedRule(
        id="R8.1",
        title="Pay to the borrower's own account",
        text="A digital loan goes to the borrower's bank account, or to the account of an end use, by statute, or "
        "between co-lenders; never through a lending service provider. Repayment comes straight to the lender.",
        source=GUIDELINES + "; the list of exceptions is known only",
        confidence="seen",
        valid_from=SINCE_2022,
        valid_until=BEFORE_2025,
        value=frozenset({"borrower", "end-use", "statutory", "co-lender"}),
        where="payout: `disbursal.payee_allowed`",
    ),
    DatedRule(
        id="R8.1",
        title="Pay to the borrower's own account",
        text="As before, restated.",
        source=DIRECTIONS + "; the list of exceptions is known only",
        confidence="seen",
        valid_from=SINCE_2025,
        value=frozenset({"borrower", "end-use", "statutory", "co-lender"}),
        where="payout: `disbursal.payee_allowed`",
    ),
)
ANY_PAYEE: Final[frozenset[Payee]] = frozenset({"borrower", "end-use", "statutory", "co-lender", "lsp", "other"})


def payees_allowed(on: date) -> Ruled[frozenset[Payee]]:
    """Whose accounts a digital loan may be paid to on a day."""
    return ruled(in_force(PAYEES, on), ANY_PAYEE)


def payee_allowed(payee: Payee, on: date) -> Ruled[bool]:
    """Whether a digital loan may be paid to such an account."""
    payees, rule = payees_allowed(on)
    return Ruled(payee in payees, rule)


# --- Cooling-off (R8.3) -------------------------------------------------------------------------------------

WEEK: Final = 7


def _by_tenor(tenor_days: int) -> int:
    return 3 if tenor_days >= WEEK else 1


def _at_least_a_day(_tenor_days: int) -> int:
    return 1


COOLING_OFF: Final[Table[Callable[[int], int]]] = table(
    DatedRule(
        id="R8.3",
        title="Cooling-off of three days, or one",
        text="The borrower of a digital loan may give it back within three days where it runs for seven or more, else "
        "within one, for the principal and the proportionate APR.",
        source=GUIDELINES,
        confidence="seen-2nd",
        valid_from=SINCE_2022,
        valid_until=BEFORE_2025,
        counted_by="sanction",
        value=_by_tenor,
        where="KFS and cancelling a disbursal: `disbursal.cooling_off_minimum_days`",
    ),
    DatedRule(
        id="R8.3",
        title="Cooling-off of at least a day",
        text="The lender's board fixes the days, at least one. Exit for principal and proportionate APR, without "
        "penalty; a reasonable one-time processing fee may be kept where the KFS shows it.",
        source=DIRECTIONS,
        confidence="known",
        valid_from=SINCE_2025,
        counted_by="sanction",
        value=_at_least_a_day,
        where="KFS and cancelling a disbursal: `disbursal.cooling_off_minimum_days`",
    ),
)


def cooling_off_minimum_days(tenor_days: int, sanctioned_on: date) -> Ruled[int]:
    """The fewest days that the borrower of a digital loan has to give it back; 0 before the rule."""
    rule = in_force(COOLING_OFF, sanctioned_on)
    return by(rule, rule.value(tenor_days) if rule else 0)


def cooling_off_exit_paise(
    principal_paise: Paise, apr_percent: Decimal, days: int, sanctioned_on: date
) -> Ruled[Paise]:
    """What gives a loan back after so many days: the principal and the APR for these days of 365, to the paisa."""
    rule = in_force(COOLING_OFF, sanctioned_on)
    numerator, denominator = apr_percent.as_integer_ratio()
    cost = round_ratio(principal_paise * numerator * days, denominator * 100 * 365)
    return by(rule, principal_paise + cost)


STATEMENTS: Final[tuple[DatedRule[None], ...]] = (
    DatedRule(
        id="R8.2",
        title="The lender pays its service providers",
        text="No fee of a lending service provider is charged to the borrower.",
        source=GUIDELINES + "; now the Directions of 2025",
        confidence="seen",
        valid_from=SINCE_2022,
        value=None,
        where="only the product's charges can be levied",
    ),
    DatedRule(
        id="R8.4",
        title="Signed documents by themselves",
        text="KFS, sanction letter, agreement and statements go to the borrower by mail or SMS on execution.",
        source=GUIDELINES + "; now the Directions of 2025",
        confidence="seen",
        valid_from=SINCE_2022,
        value=None,
        where="documents of a loan",
    ),
)

RULES: Final[tuple[AnyRule, ...]] = (
    FROM_PAYOUT,
    BY_DAYS,
    NET_OF_ADVANCE,
    REFUND,
    *PAYEES,
    *COOLING_OFF,
    *STATEMENTS,
)
