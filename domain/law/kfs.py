"""The Key Facts Statement: what the regulator's form asks, and the gate that only lets through what it shows.

RBI/2024-25/18, DOR.STR.REC.13/13.03.00/2024-25, 15 April 2024: Annex A (parts 1 and 2), B (computation of the APR) and
C (schedule). Amounts stand in paise as they are, and in rupees as they are printed (rules 28 and 32).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from domain.law.dated import AnyRule, DatedRule, Ruled, Table, by, in_force, table
from domain.law.disbursal import cooling_off_minimum_days
from domain.law.workdays import NO_HOLIDAYS, after_working_days
from domain.money import RUPEE, Paise, round_to_unit
from domain.schedule import Row, Schedule, build_schedule
from domain.terms import Fee, Terms, TermsError

if TYPE_CHECKING:  # a product reads the law's names: the arrow at run time goes the other way
    from domain.product import Product

__all__ = [
    "RULES",
    "Benchmark",
    "CoLending",
    "ContingentCharge",
    "LenderFacts",
    "charge_is_shown",
    "contingent_charges_of",
    "display_rupees",
    "key_facts",
    "kfs_required",
    "kfs_valid_until",
]

CIRCULAR: Final = "RBI/2024-25/18, DOR.STR.REC.13/13.03.00/2024-25, 15 April 2024"
SINCE: Final = date(2024, 10, 1)
WEEK: Final = 7
SHOCK_PERCENT: Final = Decimal("0.25")  # the form asks what 25 basis points more would change


def _rule(rule: str, title: str, text: str, where: str, value: Any = None, *, known: bool = False) -> DatedRule[Any]:
    return DatedRule(
        id=rule,
        title=title,
        text=text,
        source=CIRCULAR,
        confidence="known" if known else "seen",
        valid_from=SINCE,
        counted_by="sanction",
        value=value,
        where=where,
    )


REQUIRED: Final[Table[Any]] = table(
    _rule(
        "R1.1",
        "A Key Facts Statement before the contract",
        "In the standard form, for every retail and MSME term loan, also to existing customers; not for credit cards.",
        "`kfs.key_facts`; whether one is needed: `kfs.kfs_required`",
    )
)
SHOWN: Final[Table[Any]] = table(
    _rule(
        "R1.6",
        "Only what the KFS shows",
        "A charge that is not in the KFS is not levied at any time without the borrower's explicit consent.",
        "levying of charges: `kfs.charge_is_shown`",
    )
)
VALIDITY: Final[DatedRule[Any]] = _rule(
    "R1.7",
    "The KFS binds for some days",
    "At least three working days for a tenor of seven days or more, one for a shorter one; accepted in that time, its "
    "terms bind the lender.",
    "`kfs.kfs_valid_until`",
    (3, 1),
    known=True,
)
ROUNDING: Final[DatedRule[Any]] = _rule(
    "R1.8",
    "Printed in whole rupees",
    "To the nearest rupee, 50 paise and above up; computed without rounding.",
    "`kfs.display_rupees`",
    RUPEE,
)
APR: Final[tuple[DatedRule[Any], ...]] = (
    _rule(
        "R1.2",
        "The APR is all-in",
        "Interest and every charge of the lender, and what third parties charge through it. Contingent charges are "
        "listed and not in it.",
        "schedule and KFS",
    ),
    _rule(
        "R1.3",
        "How the APR is computed",
        "Internal rate of return on the net disbursed amount, reducing balance, the monthly rate times 12, not "
        "compounded. Rs. 20,000 at 15% in 24 months with fees of 240 and 160: 970, interest 3,274, in all 23,274, "
        "APR 17.07%.",
        "schedule and KFS; `instalment_rounding_paise` 1 prints RBI's figures",
    ),
    _rule(
        "R1.4",
        "GST in the APR",
        "Fees may be shown net of GST. Whether the APR has the GST inside is said on the statement; a printed KFS of a "
        "bank (47,000 at 21%, fee 1,175, APR 24.16%) has it.",
        "KFS: `gst_in_apr`",
    ),
    _rule(
        "R1.5",
        "The schedule belongs to the KFS",
        "Number, outstanding principal, principal, interest and instalment of each row.",
        "KFS: `schedule`",
    ),
)


# --- What the form asks besides the loan ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CoLending:
    """The two lenders of a co-lending and their shares."""

    originator: str
    originator_percent: Decimal
    partner: str
    partner_percent: Decimal
    blended_rate_percent: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LenderFacts:
    """Who lends, and the clauses and people that part 2 names."""

    name: str
    recovery_clause: str
    grievance_clause: str
    grievance_officer: str
    grievance_phone: str
    grievance_email: str
    may_be_transferred: bool
    recovery_agents: tuple[str, ...] = ()
    co_lending: CoLending | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """What a floating rate follows: rate = benchmark + spread, in percent; both are reset every so many months."""

    name: str
    rate_percent: Decimal
    spread_percent: Decimal
    benchmark_reset_months: int
    spread_reset_months: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContingentCharge:
    """A charge that may come (penal, bounce, foreclosure ...): an amount, or a percentage of something, without GST."""

    kind: str
    when: str
    amount_paise: Paise | None = None
    percent: Decimal | None = None
    percent_of: str = ""
    gst_percent: Decimal = Decimal(0)

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        told: dict[str, Any] = {"kind": self.kind, "when": self.when, "gst_percent": format(self.gst_percent, "f")}
        if self.amount_paise is not None:
            told |= _money("amount", self.amount_paise)
        if self.percent is not None:
            told |= {"percent": format(self.percent, "f"), "percent_of": self.percent_of}
        return told


def contingent_charges_of(product: Product) -> tuple[ContingentCharge, ...]:
    """The charges that a product may levy, as its KFS lists them."""
    listed = [
        ContingentCharge(
            kind=charge.kind,
            when=_WHEN.get(charge.kind, "when the service is given"),
            amount_paise=charge.amount_paise,
            gst_percent=charge.gst_percent,
        )
        for charge in product.charges.values()
        if charge.amount_paise or charge.kind != "penal"
    ]
    by_percent = (
        (
            "penal",
            product.penal_percent,
            "a year, for each day, of principal and interest that are overdue",
            Decimal(0),
        ),
        ("preclosure", product.preclosure_percent, PAID_EARLY, product.preclosure_gst_percent),
        ("prepayment", product.prepayment_percent, PAID_EARLY, product.prepayment_gst_percent),
    )
    listed += [
        ContingentCharge(kind=kind, when=_WHEN[kind], percent=percent, percent_of=of, gst_percent=gst)
        for kind, percent, of, gst in by_percent
        if percent
    ]
    return tuple(listed)


PAID_EARLY: Final = "the principal paid early"


_WHEN: Final[Mapping[str, str]] = {
    "bounce": "a debit is returned for want of funds",
    "penal": "an instalment is not paid when due",
    "preclosure": "on closing the loan early, where the law does not bar it",
    "prepayment": "on paying a part early, where the law does not bar it",
    "visit": "a visit is made for collection",
}


# --- The statement -------------------------------------------------------------------------------------------


def key_facts(
    terms: Terms,
    schedule: Schedule,
    *,
    loan_id: str,
    loan_type: str,
    lender: LenderFacts,
    charges: Sequence[ContingentCharge],
    given_on: date,
    digital: bool = True,
    cooling_off_days: int = 0,
    third_party_fees: Set[str] = frozenset(),
    benchmark: Benchmark | None = None,
    stages_clause: str = "",
    gst_in_apr: bool = True,
    holidays: Set[date] = NO_HOLIDAYS,
) -> dict[str, Any]:
    """All that the form asks, JSON-safe: `part_1`, `part_2`, `apr_computation`, `schedule`, and how long it binds.

    `charges` are the contingent ones, `third_party_fees` the kinds of fee that go through the lender to others.
    `digital` loans have a cooling-off of `cooling_off_days`. Raises `TermsError` naming what is missing.
    """
    if terms.rate_type == "floating" and benchmark is None:
        raise TermsError("/benchmark", "is missing: the rate is floating")
    if terms.tranches and not stages_clause:
        raise TermsError("/stages_clause", "is missing: the loan is paid out in stages")
    tenor_days = (schedule.rows[-1].due_on - terms.disburse_on).days
    if digital:
        least, _ = cooling_off_minimum_days(tenor_days, given_on)
        if cooling_off_days < least:
            raise TermsError("/cooling_off_days", f"must be at least {least}, not {cooling_off_days}")
    apr = schedule.apr_percent if gst_in_apr else build_schedule(_without_gst(terms)).apr_percent
    return {
        "loan_id": loan_id,
        "lender": lender.name,
        "given_on": given_on.isoformat(),
        "valid_until": kfs_valid_until(given_on, tenor_days, holidays).value.isoformat(),
        "rules": [rule.ref for rule in (*REQUIRED, *APR, *SHOWN, VALIDITY, ROUNDING)],
        "part_1": {
            "1_loan": {"loan_id": loan_id, "type": loan_type},
            "2_sanctioned": _money("amount", _sanctioned(terms)),
            "3_disbursal": _disbursal(terms, stages_clause),
            "4_term": _term(terms, schedule),
            "5_instalments": _instalments(terms, schedule),
            "6_interest": {"rate_percent": format(terms.annual_rate_percent, "f"), "type": terms.rate_type},
            "7_floating": _floating(terms, schedule, benchmark) if benchmark else None,
            "8_fees": {
                "A_lender": [_fee(fee) for fee in _certain(terms) if fee.kind not in third_party_fees],
                "B_third_party": [_fee(fee) for fee in _certain(terms) if fee.kind in third_party_fees],
            },
            "9_apr": {"percent": format(apr, "f"), "gst_inside": gst_in_apr},
            "10_contingent_charges": [
                *(charge.to_dict() for charge in charges),
                *(_fee(fee) for fee in terms.fees if fee.collection == "contingent"),
            ],
        },
        "part_2": _part_2(lender, digital=digital, cooling_off_days=cooling_off_days),
        "apr_computation": _apr_computation(terms, schedule, apr, third_party_fees),
        "schedule": [_row(row) for row in schedule.rows],
    }


def kfs_required(sanctioned_on: date) -> AnyRule | None:
    """The rule that asks for a KFS of a retail or MSME term loan sanctioned on a day, or None before it."""
    return in_force(REQUIRED, sanctioned_on)


def kfs_valid_until(given_on: date, tenor_days: int, holidays: Set[date] = NO_HOLIDAYS) -> Ruled[date]:
    """The last day on which the borrower may accept it and bind the lender."""
    longer, shorter = VALIDITY.value
    return by(VALIDITY, after_working_days(given_on, longer if tenor_days >= WEEK else shorter, holidays))


def display_rupees(paise: Paise) -> int:
    """An amount as the statement prints it: whole rupees, 50 paise and above up."""
    return round_to_unit(paise, "half_up", RUPEE) // RUPEE


def charge_is_shown(
    kfs: Mapping[str, Any],
    kind: str,
    amount_paise: Paise,
    *,
    base_paise: Paise | None = None,
    consented: bool = False,
) -> Ruled[bool]:
    """Whether a charge (without its GST) may be levied: shown in the loan's KFS, up to what it shows, or consented to.

    A percentage is of `base_paise`, by default of the sanctioned amount. Where a KFS was not required
    (`kfs_required`), there is nothing to ask.
    """
    given_on = date.fromisoformat(kfs["given_on"])
    part_1 = kfs["part_1"]
    base = base_paise if base_paise is not None else part_1["2_sanctioned"]["amount_paise"]
    fees = part_1["8_fees"]
    listed: Iterable[Mapping[str, Any]] = (*fees["A_lender"], *fees["B_third_party"], *part_1["10_contingent_charges"])
    shown = any(charge["kind"] == kind and amount_paise <= _most(charge, base) for charge in listed)
    return by(in_force(SHOWN, given_on), consented or shown)


def _most(charge: Mapping[str, Any], base: Paise) -> Paise:
    if "percent" in charge:
        return round_to_unit(Decimal(charge["percent"]) * base / 100)
    return charge["amount_paise"]


# --- Line by line --------------------------------------------------------------------------------------------


def _money(name: str, paise: Paise) -> dict[str, int]:
    return {f"{name}_paise": paise, f"{name}_rupees": display_rupees(paise)}


def _sanctioned(terms: Terms) -> Paise:
    return terms.principal_paise + sum(tranche.amount_paise for tranche in terms.tranches)


def _certain(terms: Terms) -> list[Fee]:
    return [fee for fee in terms.fees if fee.collection != "contingent"]


def _without_gst(terms: Terms) -> Terms:
    return replace(terms, fees=tuple(replace(fee, gst_percent=Decimal(0)) for fee in terms.fees))


def _fee(fee: Fee) -> dict[str, Any]:
    return {
        "kind": fee.kind,
        "when": "if it comes to it" if fee.collection == "contingent" else "one-time",
        **_money("amount", fee.amount_paise),
        "gst_percent": format(fee.gst_percent, "f"),
        "gst_paise": fee.gst_paise,
    }


def _disbursal(terms: Terms, stages_clause: str) -> dict[str, Any]:
    if not terms.tranches:
        return {"upfront": True, "on": terms.disburse_on.isoformat()}
    first = {"on": terms.disburse_on.isoformat(), "amount_paise": terms.principal_paise}
    return {"upfront": False, "clause": stages_clause, "stages": [first, *(t.to_dict() for t in terms.tranches)]}


def _term(terms: Terms, schedule: Schedule) -> dict[str, Any]:
    periods = len([row for row in schedule.rows if row.number])
    if terms.frequency.unit == "bullet":
        return {"count": (schedule.rows[-1].due_on - terms.disburse_on).days, "unit": "days"}
    return {"count": periods * terms.frequency.every, "unit": terms.frequency.unit}


def _instalments(terms: Terms, schedule: Schedule) -> dict[str, Any]:
    return {
        "type": terms.to_dict()["frequency"],
        "number": len(schedule.rows),
        **_money("amount", schedule.instalment_paise),
        "first_due_on": schedule.rows[0].due_on.isoformat(),
        "days_to_first": (schedule.rows[0].due_on - terms.disburse_on).days,
    }


def _floating(terms: Terms, schedule: Schedule, benchmark: Benchmark) -> dict[str, Any]:
    dearer = replace(terms, annual_rate_percent=terms.annual_rate_percent + SHOCK_PERCENT)
    emi = build_schedule(replace(dearer, instalment_paise=None, instalment_fixed=False)).instalment_paise
    told: dict[str, Any] = {
        "benchmark": benchmark.name,
        "benchmark_percent": format(benchmark.rate_percent, "f"),
        "spread_percent": format(benchmark.spread_percent, "f"),
        "final_percent": format(benchmark.rate_percent + benchmark.spread_percent, "f"),
        "reset_months": {"benchmark": benchmark.benchmark_reset_months, "spread": benchmark.spread_reset_months},
        "25_basis_points_more": {**_money("instalment", emi)},
    }
    if terms.interest_method == "reducing" and not terms.tranches:  # a tranche changes the instalment by itself
        held = replace(dearer, instalment_paise=schedule.instalment_paise, instalment_fixed=True)
        told["25_basis_points_more"]["instalments"] = len(build_schedule(held).rows)
    return told


def _part_2(lender: LenderFacts, *, digital: bool, cooling_off_days: int) -> dict[str, Any]:
    shared = lender.co_lending
    return {
        "1_recovery_clause": lender.recovery_clause,
        "2_grievance_clause": lender.grievance_clause,
        "3_grievance_officer": {
            "name": lender.grievance_officer,
            "phone": lender.grievance_phone,
            "email": lender.grievance_email,
        },
        "4_may_be_transferred": lender.may_be_transferred,
        "5_co_lending": shared
        and {
            "originator": shared.originator,
            "originator_percent": format(shared.originator_percent, "f"),
            "partner": shared.partner,
            "partner_percent": format(shared.partner_percent, "f"),
            "blended_rate_percent": format(shared.blended_rate_percent, "f"),
        },
        "6_digital": {"cooling_off_days": cooling_off_days, "recovery_agents": list(lender.recovery_agents)}
        if digital
        else None,
    }


def _apr_computation(terms: Terms, schedule: Schedule, apr: Decimal, third_party: Set[str]) -> dict[str, Any]:
    fees = _certain(terms)
    to_others = sum(fee.total_paise for fee in fees if fee.kind in third_party)
    to_lender = sum(fee.total_paise for fee in fees) - to_others
    paid = sum(row.total_paise for row in schedule.rows) + schedule.interest_deducted_paise
    return {
        "1_sanctioned": _money("amount", _sanctioned(terms)),
        "2_term": _term(terms, schedule),
        "2_instalments": _instalments(terms, schedule),
        "3_rate_type": terms.rate_type,
        "4_rate_percent": format(terms.annual_rate_percent, "f"),
        "5_interest": _money("amount", schedule.total_interest_paise),
        "6_fees": _money("amount", to_lender + to_others),
        "6A_fees_lender": _money("amount", to_lender),
        "6B_fees_third_party": _money("amount", to_others),
        "7_net_disbursed": _money("amount", schedule.net_disbursed_paise),
        "8_total_paid": _money("amount", paid),
        "9_apr_percent": format(apr, "f"),
        "11_due_dates": [row.due_on.isoformat() for row in schedule.rows],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "number": row.number,
        "due_on": row.due_on.isoformat(),
        **_money("outstanding", row.opening_paise),
        **_money("principal", row.principal_paise),
        **_money("interest", row.interest_paise),
        **_money("instalment", row.total_paise),
    }


RULES: Final[tuple[AnyRule, ...]] = (*REQUIRED, *APR, *SHOWN, VALIDITY, ROUNDING)
