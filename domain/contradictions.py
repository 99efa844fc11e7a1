"""What a product's settings may not say together, or against the law: one function a rule, all in one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Final, get_args

from domain.law.classification import SMA, AssetClass, npa_after_days, upgrade_terms
from domain.law.debits import attempts_allowed, notice_hours
from domain.law.disbursal import cooling_off_minimum_days
from domain.law.penal import gst_applies
from domain.law.prepayment import prepayment_charge_barred
from domain.law.provisions import StandardKind, provision_percent
from domain.policies.retry import step
from domain.product import Product
from domain.product_settings import RAILS
from domain.setting import Problem
from domain.terms import MAX_PRINCIPAL_PAISE, MAX_ROWS, Terms, TermsError

YEAR_DAYS: Final = 365  # of a loan that is not a matter of days, for rules that ask how long it runs
LEVIED_BY_RULE: Final = ("bounce", "penal")
LAW_OF: Final = date(2026, 11, 1)
"""The day whose law a product is checked against, as for loans that are sanctioned then."""


def contradictions(product: Product) -> list[Problem]:
    """All of them, in the table's order; none for a product that can be used."""
    return [problem for contradiction in CONTRADICTIONS for problem in contradiction(product)]


def gst_where_none_is(product: Product) -> Iterator[Problem]:
    """GST on a penal charge, or on another charge that bears none (rule 25)."""
    for kind, charge in product.charges.items():
        exempt = gst_applies(kind, LAW_OF)
        if charge.gst_percent and not exempt.value:
            what = f"is {charge.gst_percent}, but a {kind} charge bears no GST by law ({exempt.rule}; rule 25)"
            yield Problem(f"charges.{kind}.gst_percent", what, 'Say "0.00"')


def two_penal_charges(product: Product) -> Iterator[Problem]:
    """A penal charge both by instalment and by the day, or grace days for one that is 0 (rule 25)."""
    fixed, by_day = product.charges["penal"].amount_paise, product.penal_percent
    if fixed and by_day:
        yield Problem(
            "charges.penal",
            f"asks for {fixed} paise for each overdue instalment and for {by_day} percent a year",
            "Make amount_paise or percent_per_annum 0",
        )
    if product.penal_grace_days and not fixed and not by_day:
        yield Problem(
            "charges.penal.grace_days",
            f"puts off by {product.penal_grace_days} days a penal charge that is 0",
            "Give amount_paise or percent_per_annum, or leave grace_days out",
        )


def barred_prepayment_charge(product: Product) -> Iterator[Problem]:
    """A charge on pre-payment that the law bars for loans of every size (rule 24).

    One that is barred up to an amount only is left out when such a loan pays.
    """
    barred = prepayment_charge_barred(
        sanctioned_on=LAW_OF,
        on=LAW_OF,
        rate_type_now=product.terms.get("rate_type", "fixed"),
        purpose=product.purpose,
        borrower_kind=product.borrower_kind,
        lender=product.lender_kind,
        sanctioned_paise=MAX_PRINCIPAL_PAISE,
    )
    if barred is None:
        return
    for path, percent in (
        ("prepayment.charge_percent", product.prepayment_percent),
        ("preclosure.charge_percent", product.preclosure_percent),
    ):
        if percent:
            what = f"is {percent}, but the law says: {barred.text.rstrip('.')} ({barred.id}, {barred.source}; rule 24)"
            yield Problem(path, what, 'Say "0.00"')


def short_notice_of_a_debit(product: Product) -> Iterator[Problem]:
    """Less than a day's notice before a UPI or card debit (rule 29)."""
    for rail in RAILS:
        hours = product.notice_hours.get(rail, 0)
        least, rule = notice_hours(rail, LAW_OF)
        if hours < least:
            what = f"is {hours}, but a {rail} debit is announced at least {least} hours before ({rule}; rule 29)"
            yield Problem(f"debits.notice_hours.{rail}", what, f"Say {least} or more")


def attempts_beyond_the_rail(product: Product) -> Iterator[Problem]:
    """More attempts an instalment than the rail allows (rule 35).

    A product may try more often than one rail allows if another rail allows it.
    """
    for rail, attempts in product.rail_attempts.items():
        most, rule = attempts_allowed(rail, LAW_OF)
        if most is not None and attempts > most:
            what = f"is {attempts}, but {rail} allows {most} attempts an instalment ({rule}; rule 35)"
            yield Problem(f"debits.rail_attempts.{rail}", what, f"Say {most} or less")
    limits = [product.rail_attempts.get(rail) for rail in RAILS]
    if None not in limits and product.max_attempts > max(limit or 0 for limit in limits):
        yield Problem(
            "debits.max_attempts",
            f"is {product.max_attempts}, but no rail in debits.rail_attempts allows so many",
            f"Say {max(limit or 0 for limit in limits)} or less",
        )


def retries_beyond_the_window(product: Product) -> Iterator[Problem]:
    """Retries whose waits together go beyond the window: the last ones would never be made (rule 29)."""
    for path, unit, table, waits in (
        ("debits.soft_retry_after_days", "days", product.soft_retry_after_days, timedelta(days=1)),
        ("debits.technical_retry_after_hours", "hours", product.technical_retry_after_hours, timedelta(hours=1)),
    ):
        total = sum(step(table, attempt) for attempt in range(1, product.max_attempts))
        if total * waits > timedelta(days=product.window_days):
            yield Problem(
                path,
                f"makes the last of {product.max_attempts} attempts {total} {unit} after the due day, "
                f"but debits.window_days is {product.window_days}",
                "Wait less, try less often, or widen the window",
            )


def cooling_off_under_a_day(product: Product) -> Iterator[Problem]:
    """A cooling-off of less than a day (rule 28)."""
    least, rule = cooling_off_minimum_days(YEAR_DAYS, LAW_OF)
    if product.cooling_off_days < least:
        what = f"is {product.cooling_off_days}, but the borrower has {least} day or more to give the loan back"
        yield Problem("cooling_off.days", f"{what} ({rule}; rule 28)", f"Say {least} or more")


def thresholds_unlike_the_law(product: Product) -> Iterator[Problem]:
    """Classes that begin on other days than the law's, or a bucket that spans two classes (rules 19 and 20)."""
    npa_after, rule = npa_after_days(product.lender_kind, LAW_OF)
    law = [*sorted(first for first, _ in SMA.value), npa_after + 1]
    days, law_days = [", ".join(map(str, some)) for some in ([first for first, _ in product.classes], law)]
    if days != law_days:
        what = f"begin on days {days}, but the law's days are {law_days} ({SMA.ref}, {rule}; rule 20)"
        yield Problem("delinquency.classes", what, "Begin the classes on the law's days")
    missing = [str(day) for day in law if day not in {first for first, _ in product.buckets}]
    if missing:
        what = f"have none that begins on day {', '.join(missing)}, so one would span two classes (rule 19)"
        yield Problem("delinquency.buckets", what, f"Begin one on each of {law_days}; more may come between")


def excess_that_cannot_prepay(product: Product) -> Iterator[Problem]:
    """Excess that pre-pays where interest is flat: it would save the borrower nothing (rule 6)."""
    if product.excess_use == "prepay" and product.terms.get("interest_method") == "flat":
        yield Problem(
            "allocation.excess",
            "is prepay, but with terms.interest_method flat a lower principal bears the same interest (rule 6)",
            "Say hold or advance",
        )


def terms_that_no_loan_has(product: Product) -> Iterator[Problem]:
    """Terms that no loan could have together: daily accrual of flat interest, holidays that move nothing and the like.

    The terms themselves refuse most of it, asked with a loan that is large, long, and due on the day of month given.
    """
    terms = product.terms
    if "holiday_moves" in terms and terms.get("holiday_shift", "none") == "none":
        yield Problem(
            "terms.holiday_moves",
            f"is {terms['holiday_moves']}, but terms.holiday_shift is none: no holiday moves anything (rule 4)",
            "Say where holidays shift to, or leave it out",
        )
    one_row = "bullet" in (terms.get("interest_method"), terms.get("frequency"))
    if one_row and terms.get("broken_period") in ("separate", "deduct"):
        yield Problem(
            "terms.broken_period",
            f"is {terms['broken_period']}, but a bullet loan has one period, from its payout (rule 7)",
            "Leave it out",
        )
    try:
        Terms.parse(_a_loan(terms, one_row), terms)
    except TermsError as error:
        name = error.field.removeprefix("/").split("/")[0]
        # What a product leaves out, its loans may give: only what it gives itself can contradict.
        if name in terms:
            yield Problem(f"terms.{name}", error.message, "Change it or what it does not go with")


def _a_loan(terms: Mapping[str, Any], one_row: bool) -> dict[str, Any]:
    """What a loan under these terms gives itself: as much, as long and on such a day as none of them forbids."""
    return {
        "principal_paise": MAX_PRINCIPAL_PAISE,
        "annual_rate_percent": "18.00",
        "instalments": 1 if one_row else MAX_ROWS // 2,
        "disburse_on": "2026-02-01",
        "first_due_on": f"2026-03-{terms.get('due_day', 5):02}",
    }


def answers_too_late(product: Product) -> Iterator[Problem]:
    """Answers, statements or upgrades at other times than the law asks for (rules 31, 27 and 22)."""
    if product.grievance_days > 30:
        what = f"is {product.grievance_days}, but a grievance is answered within 30 days (rule 31)"
        yield Problem("grievance.answer_within_days", what, "Say 30 or less")
    if product.statement_months > 3:
        what = f"is {product.statement_months}, but a floating-rate loan has a statement every quarter (rule 27)"
        yield Problem("rate_reset.statement_months", what, "Say 3 or less")
    upgrade, rule = upgrade_terms(product.lender_kind, LAW_OF, restructured=True)
    if product.restructured_months < upgrade.months:
        what = f"is {product.restructured_months}, but an upgrade takes {upgrade.months} months ({rule}; rule 22)"
        yield Problem("restructuring.upgrade_after_months", what, f"Say {upgrade.months} or more")


def papers_without_security(product: Product) -> Iterator[Problem]:
    """Papers that are held without a security (rule 31)."""
    if product.papers_held and not product.secured:
        yield Problem(
            "loan.papers_held",
            "is true, but loan.secured is false: there is nothing to hold papers of (rule 31)",
            "Say secured = true, or hold no papers",
        )


def enterprise_with_personal_purpose(product: Product) -> Iterator[Problem]:
    """An enterprise that borrows for personal purposes (rule 24)."""
    if product.purpose == "personal" and product.borrower_kind == "mse":
        yield Problem(
            "loan.purpose",
            "is personal, but loan.borrower is mse: an enterprise borrows for business (rule 24)",
            'Say "business", or another borrower',
        )


def provisions_too_low(product: Product) -> Iterator[Problem]:
    """A provision below the law's, or below that of a better class (rule 23)."""
    worst, better = Decimal(0), ""
    for name, percent in sorted(product.provisions.items(), key=lambda item: get_args(AssetClass).index(item[0])):
        law, rule = _least_provision(product, name)
        at = f"accounting.provisions.{name}"
        if percent < law:
            yield Problem(at, f"is {percent}, but the law asks for {law} ({rule}; rule 23)", f"Say {law} or more")
        elif percent < worst:
            what = f"is {percent}, less than {worst} for {better}, which is the better class (rule 23)"
            yield Problem(at, what, f"Say {worst} or more")
        worst, better = max((worst, better), (percent, name))


def _least_provision(product: Product, name: AssetClass) -> tuple[Decimal, str]:
    """The least that the law asks for, of all kinds of standard loans; 0 where models take the place of a table."""
    asked = (
        provision_percent(name, product.lender_kind, product.secured, LAW_OF, kind) for kind in get_args(StandardKind)
    )
    return min(((percent, rule) for percent, rule in asked if percent is not None), default=(Decimal(0), ""))


def charge_misspelt(product: Product) -> Iterator[Problem]:
    """A charge that is all but called bounce or penal, and would never be levied by itself."""
    for kind in product.charges:
        near = get_close_matches(kind, LEVIED_BY_RULE, n=1, cutoff=3 / 4)
        if near and near[0] != kind:
            what = f"is levied by command alone, but looks like {near[0]}, which is levied by rule"
            yield Problem(f"charges.{kind}", what, f"Say charges.{near[0]}, or give it another name")


CONTRADICTIONS: Final[tuple[Callable[[Product], Iterator[Problem]], ...]] = (
    gst_where_none_is,
    two_penal_charges,
    barred_prepayment_charge,
    short_notice_of_a_debit,
    attempts_beyond_the_rail,
    retries_beyond_the_window,
    cooling_off_under_a_day,
    thresholds_unlike_the_law,
    excess_that_cannot_prepay,
    terms_that_no_loan_has,
    answers_too_late,
    papers_without_security,
    enterprise_with_personal_purpose,
    provisions_too_low,
    charge_misspelt,
)
