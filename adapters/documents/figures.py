"""What each kind of document says, as plain JSON values: pure functions of a loan's events and the lender's facts.

Paise are integers, days `YYYY-MM-DD`, rates decimal strings in percent a year. Each reconciles with the ledger, or
raises `InvariantBroken`: a document that contradicts the books is not made. `NotPossible` says in words why a loan has
no such document (yet).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from adapters.documents.account import Account, Movement, account_of, prepaid, settled
from adapters.documents.lender import Lender
from adapters.errors import Explained
from domain import events as e
from domain.calendar import ist_day
from domain.decisions import preclosure
from domain.decisions.rules import Rules
from domain.decisions.terms_change import rate_on
from domain.ensure import ensure
from domain.events import LoanEvent
from domain.law.closing import papers_due_by
from domain.law.kfs import Benchmark, ContingentCharge, LenderFacts, contingent_charges_of
from domain.law.kfs import key_facts as law_key_facts
from domain.loan import Loan
from domain.product import Product
from domain.schedule import build_schedule
from domain.terms import Terms, TermsError
from domain.views import schedule_rows, unpaid
from projections.ledger import INTEREST_RECEIVABLE, RECOVERY_INCOME

Figures = dict[str, Any]
DUE_KINDS: Final = ("interest", "principal", "fee", "charge", "penal")


class NotPossible(Explained):
    """The loan has no such document (yet): why, in words."""


class Told(NamedTuple):
    """What a document is made from."""

    account: Account
    lender: Lender
    since: date | None
    """The first day of the period, where the document is about one."""
    until: date
    """The day that the document is about, or the last of its period."""

    @property
    def loan(self) -> Loan:
        return self.account.loan

    @property
    def product(self) -> Product:
        return self.account.rules.product_of(self.loan)


def told(events: Sequence[LoanEvent], rules: Rules, lender: Lender, since: date | None, until: date) -> Told:
    """Fold the loan's events. A document of a period knows what was known at its end: later events are not in it."""
    return Told(account_of(events, rules), lender, since, until)


def of_loan(told: Told) -> Figures:
    """The facts that head every document."""
    loan = told.loan
    row = loan.rows[-1] if loan.rows else None
    return {
        "loan_id": loan.id,
        "product": loan.product,
        "product_says": told.product.description,
        "stage": loan.stage,
        "principal_lent_paise": loan.disbursed_paise,
        "disbursed_on": iso(loan.disbursed_on),
        "closed_on": iso(loan.closed_on),
        "rate_percent": format(rate_on(loan.agreed, told.until), "f"),
        "rate_type": loan.terms["rate_type"],
        "instalment_paise": loan.instalment_paise,
        "instalments": len(loan.rows),
        "last_due_on": iso(row.due_on) if row else None,
    }


def iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


# --- Key Facts Statement -------------------------------------------------------------------------------------


def key_facts(told: Told) -> Figures:
    """RBI's form (15 April 2024) of the terms as they were agreed. The schedule is the one that was recorded."""
    [booked] = told.account.of(e.LoanBooked)
    first: e.EmiScheduled = told.account.of(e.EmiScheduled)[0]
    product = told.product
    terms = Terms.parse(booked.terms)
    schedule = build_schedule(terms)
    told_rows = [(row.due_on.isoformat(), row.total_paise) for row in schedule.rows]
    ensure(
        told_rows == [(row["due_on"], row["total_paise"]) for row in first.rows],
        "the Key Facts Statement has the schedule of the loan",
        loan=told.loan.id,
    )
    days = product.cooling_off_days
    try:
        form = law_key_facts(
            terms,
            schedule,
            loan_id=told.loan.id,
            loan_type=product.description,
            lender=lender_facts(told.lender),
            charges=contingent(booked.shown_charges, product),
            given_on=date.fromisoformat(booked.sanctioned_on) if booked.sanctioned_on else terms.disburse_on,
            digital=days > 0,
            cooling_off_days=days,
            benchmark=benchmark_of(told.lender, booked.product, terms),
            stages_clause=told.lender.stages_clause if terms.tranches else "",
        )
    except TermsError as error:
        raise NotPossible(f"the law's form does not allow it: {error}") from error
    return {**form, "product": booked.product}


def lender_facts(lender: Lender) -> LenderFacts:
    return LenderFacts(
        name=lender.name,
        recovery_clause=lender.recovery_clause,
        grievance_clause=lender.grievance_clause,
        grievance_officer=lender.grievance_officer,
        grievance_phone=lender.grievance_phone,
        grievance_email=lender.grievance_email,
        may_be_transferred=lender.may_be_transferred,
        recovery_agents=tuple(lender.recovery_agents),
    )


def contingent(shown: Iterable[Mapping[str, Any]], product: Product) -> list[ContingentCharge]:
    """The charges that may come: as the LOS showed them to the borrower, else the product's."""
    by_product = list(contingent_charges_of(product))
    known = {charge.kind: charge for charge in by_product}
    as_shown = [
        replace(
            known.get(charge["kind"], ContingentCharge(kind=charge["kind"], when="")),
            **({"amount_paise": charge["amount_paise"]} if charge.get("amount_paise") is not None else {}),
        )
        for charge in shown
    ]
    return as_shown or by_product


def benchmark_of(lender: Lender, product: str, terms: Terms) -> Benchmark | None:
    """What a floating rate follows, as the lender's file says; the benchmark is the rate less the spread."""
    if terms.rate_type != "floating":
        return None
    said = lender.benchmarks.get(product, {})
    spread = Decimal(str(said.get("spread_percent", 0)))
    return Benchmark(
        name=str(said.get("name", "")),
        rate_percent=terms.annual_rate_percent - spread,
        spread_percent=spread,
        benchmark_reset_months=int(said.get("benchmark_reset_months", 3)),
        spread_reset_months=int(said.get("spread_reset_months", 0)),
    )


# --- Repayment schedule --------------------------------------------------------------------------------------

SUMS: Final = (
    "principal_paise", "interest_paise", "fee_paise", "total_paise",
    "principal_paid_paise", "interest_paid_paise", "charges_paid_paise",
)  # fmt: skip


def repayment_schedule(told: Told) -> Figures:
    """Every instalment with what is paid of it."""
    loan = told.loan
    rows = schedule_rows(loan, told.until, told.account.rules)
    sums = {name: sum(row[name] for row in rows) for name in SUMS}
    paid = {kind: sum(due.paid for due in loan.dues if due.kind == kind) for kind in DUE_KINDS}
    ensure(
        (sums["principal_paid_paise"], sums["interest_paid_paise"], sums["charges_paid_paise"])
        == (paid["principal"], paid["interest"], paid["fee"] + paid["charge"] + paid["penal"]),
        "the schedule shows all that settled dues",
        loan=loan.id,
        shown=sums,
        paid=paid,
    )
    return {
        "schedule_version": loan.schedule_version,
        "reason": loan.schedule_reason,
        "apr_percent": loan.apr_percent,
        "rows": [{**row, "state": state_of(row, told.until)} for row in rows],
        **sums,
        "principal_outstanding_paise": loan.principal_paise,
        "prepaid_paise": loan.prepaid_paise,
    }


def state_of(row: Mapping[str, Any], on: date) -> str:
    """`paid`, `part` (some of it), `due` or `to-come`."""
    if row["paid_on"]:
        return "paid"
    if row["principal_paid_paise"] + row["interest_paid_paise"]:
        return "part"
    return "due" if row["due_on"] <= on.isoformat() else "to-come"


# --- Statement of account ------------------------------------------------------------------------------------


def statement_of_account(told: Told) -> Figures:
    """Every movement of what is owed in a period, by the day on which it was booked: nothing is ever edited, so the
    statement of a period that is over stays the same for good."""
    since = told.since or told.loan.disbursed_on or told.until
    before = [one for one in told.account.movements if one.booked_on < since]
    within = [one for one in told.account.movements if since <= one.booked_on <= told.until]
    opening = before[-1].balance_paise if before else 0
    closing = within[-1].balance_paise if within else opening
    debits = sum(one.paise for one in within if one.paise > 0)
    credits = -sum(one.paise for one in within if one.paise < 0)
    ensure(opening + debits - credits == closing, "a statement's movements make its balance", loan=told.loan.id)
    owed = unpaid(told.loan)
    standing = {
        "principal_outstanding_paise": told.loan.principal_paise,
        "overdue_interest_paise": owed.interest,
        "charges_paise": owed.charges,
        "written_off_paise": told.account.written_off_paise + told.account.books.get(RECOVERY_INCOME, 0),
        "held_paise": -told.loan.excess_paise,
        "refund_paise": -told.loan.refunds_paise(),
    }
    ensure(sum(standing.values()) == closing, "the balance is what the loan owes", loan=told.loan.id, **standing)
    return {
        "since": since.isoformat(),
        "opening_paise": opening,
        "rows": [line(one) for one in within],
        "debits_paise": debits,
        "credits_paise": credits,
        "closing_paise": closing,
        "standing": standing,
        "overdue_principal_paise": owed.principal,
    }


def line(one: Movement) -> Figures:
    return {
        "on": one.booked_on.isoformat(),
        "value_on": one.value_on.isoformat(),
        "what": one.what,
        "reference": one.reference,
        **one.facts,
        "debit_paise": max(0, one.paise),
        "credit_paise": max(0, -one.paise),
        "balance_paise": one.balance_paise,
    }


# --- Interest certificate ------------------------------------------------------------------------------------


def interest_certificate(told: Told) -> Figures:
    """What a financial year's payments went to, by value dates as they are known now, and the interest that fell due
    in it. Principal and interest of all years are what the ledger has."""
    since, until = told.since, told.until
    assert since is not None
    loan, account = told.loan, told.account
    paid, ahead = settled(account), prepaid(account)
    deducted = [
        (date.fromisoformat(event.value_on), part["amount_paise"])
        for event in account.of(e.Disbursed)
        for part in event.deductions
        if part["kind"] == "broken-period-interest"
    ]
    charged = [(due.due_on, due.amount) for due in loan.dues if due.kind == "interest"] + deducted
    reconcile_certificate(account, sum(paise for _, _, paise in paid), sum(paise for _, paise in ahead))

    def of_kind(*kinds: str) -> int:
        return sum(one.paise for one in paid if one.kind in kinds and since <= one.on <= until)

    def within(dated: Iterable[tuple[date, int]]) -> int:
        return sum(paise for on, paise in dated if since <= on <= until)

    interest = of_kind("interest") + within(deducted)
    principal, early = of_kind("principal"), within(ahead)
    return {
        "since": since.isoformat(),
        "financial_year": f"{since.year}-{until.year % 100:02d}",
        "provisional": account.known_on <= until and loan.stage == "active",
        "known_on": account.known_on.isoformat(),
        "interest_due_paise": within(charged),
        "interest_paid_paise": interest,
        "principal_paid_paise": principal,
        "prepaid_paise": early,
        "charges_paid_paise": of_kind("fee", "charge", "penal"),
        "total_paise": interest + principal + early + of_kind("fee", "charge", "penal"),
        "months": months(since, until, paid, ahead, deducted),
        "principal_outstanding_paise": sum(one.principal_paise for one in account.movements if one.value_on <= until),
    }


def reconcile_certificate(account: Account, paid: int, ahead: int) -> None:
    """What payments settled is all that dues say is paid, and unpaid interest is the ledger's."""
    loan = account.loan
    ensure(paid == sum(due.paid for due in loan.dues), "every paid due has its day", loan=loan.id, paid=paid)
    ensure(ahead == loan.prepaid_paise, "principal paid ahead has its days", loan=loan.id, ahead=ahead)
    left = sum(due.unpaid for due in loan.dues if due.kind == "interest")
    ensure(left == account.books.get(INTEREST_RECEIVABLE, 0), "interest due is the ledger's", loan=loan.id, left=left)


def months(
    since: date,
    until: date,
    paid: Iterable[Any],
    ahead: Iterable[tuple[date, int]],
    deducted: Iterable[tuple[date, int]],
) -> list[Figures]:
    """The year's months in which something was paid."""
    sums: dict[str, Figures] = {}
    dated = [(one.on, one.kind, one.paise) for one in paid]
    dated += [(on, "principal", paise) for on, paise in ahead] + [(on, "interest", paise) for on, paise in deducted]
    for on, kind, paise in sorted(dated):
        if since <= on <= until:
            month = sums.setdefault(
                f"{on:%Y-%m}", {"principal_paise": 0, "interest_paise": 0, "charges_paise": 0, "total_paise": 0}
            )
            month[f"{kind if kind in ('principal', 'interest') else 'charges'}_paise"] += paise
            month["total_paise"] += paise
    return [{"month": f"{month}-01", **figures} for month, figures in sums.items()]


# --- Restructuring letter ------------------------------------------------------------------------------------


def restructuring_letter(told: Told) -> Figures:
    """The last restructuring or relief: what was agreed, and the instalments before and after it."""
    events = told.account.events
    places = [place for place, one in enumerate(events) if isinstance(one, (e.Restructured, e.ReliefGranted))]
    if not places:
        raise NotPossible(f"{told.loan.id} was never restructured")
    place = places[-1]
    change: Any = events[place]
    follows = next((one for one in events[place:] if isinstance(one, e.EmiScheduled)), None)
    ensure(follows is not None, "a schedule follows a restructuring", loan=told.loan.id)
    assert follows is not None
    before, after = Loan.shell(told.loan.id), Loan.shell(told.loan.id)
    for event in events[: place + 1]:
        if event is not change:
            before.evolve(event)
    for event in events[: follows.originator_version]:
        after.evolve(event)
    relief = isinstance(change, e.ReliefGranted)
    return {
        "change": "relief" if relief else "restructure",
        "agreed_on": ist_day(change.timestamp).isoformat(),
        "effective_on": change.effective_on,
        "reason": change.reason,
        "asked": {
            name: value
            for name, value in (
                {"kind": change.kind, "instalments": change.instalments, "interest": change.interest}
                if relief
                else change.changes
            ).items()
            if value not in (None, False, "")
        },
        "scheme": "" if relief else change.scheme,
        "downgraded": not relief and change.downgraded,
        "capitalised_paise": 0 if relief else change.capitalised_paise,
        "principal_before_paise": before.principal_paise,
        "principal_after_paise": after.principal_paise,
        "before": ahead_of(before, date.fromisoformat(change.effective_on)),
        "after": ahead_of(after, date.fromisoformat(change.effective_on)),
        "overdue_paise": after.payable_paise(),
        "apr_percent": after.apr_percent,
        "rows": [row.dump() for row in after.rows[after.due_rows :]],
    }


def ahead_of(loan: Loan, on: date) -> Figures:
    """The instalments to come."""
    rows = loan.rows[loan.due_rows :]
    return {
        "instalment_paise": loan.instalment_paise,
        "instalments": len(rows),
        "next_due_on": iso(rows[0].due_on) if rows else None,
        "last_due_on": iso(rows[-1].due_on) if rows else None,
        "rate_percent": format(rate_on(loan.agreed, on), "f"),
        "interest_paise": sum(row.interest for row in rows),
        "total_paise": sum(row.total for row in rows),
    }


# --- Pre-closure quote ---------------------------------------------------------------------------------------


def pre_closure_quote(told: Told) -> Figures:
    """What closes the loan on a day, part by part. A quote that was recorded is shown as it was recorded."""
    loan, on, rules = told.loan, told.until, told.account.rules
    newest = told.account.events[-1]
    if isinstance(newest, e.PreclosureQuoted) and newest.on == on.isoformat():
        quoted = newest
        parts, total, per_diem = quoted.parts, quoted.total_paise, quoted.per_diem_paise
        valid_until, quote_id = quoted.valid_until, quoted.quote_id
    else:
        if loan.stage != "active":
            raise NotPossible(f"{loan.id} is {loan.stage}: there is nothing to close early")
        if on < told.account.known_on:
            raise NotPossible(f"a quote for {on}, before the loan's last event on {told.account.known_on}")
        parts = preclosure.quote_parts(loan, on, rules)
        total, per_diem = preclosure.total_of(parts), preclosure.per_diem(loan, on, rules)
        valid_until, quote_id = preclosure.valid_until(loan, on, rules).isoformat(), ""
    ensure(total == preclosure.total_of(parts), "a quote is the sum of its parts", loan=loan.id, parts=parts)
    return {
        "on": on.isoformat(),
        "valid_until": valid_until,
        "quote_id": quote_id,
        "parts": parts,
        "total_paise": total,
        "per_diem_paise": per_diem,
        "charge_barred_by": preclosure.charge_barred(loan, on, rules),
        "instalments_left": len(loan.rows) - loan.due_rows,
    }


# --- The end -------------------------------------------------------------------------------------------------


def ended(told: Told) -> e.Closed:
    """How the loan ended; `NotPossible` while it has not, or where it opened again."""
    closures = told.account.of(e.Closed)
    if not closures or told.loan.stage not in ("closed", "cancelled"):
        raise NotPossible(f"{told.loan.id} is {told.loan.stage}: it has not ended")
    return closures[-1]


def to_be_returned(told: Told) -> int:
    """Of an ended loan: money that is held for the borrower or on its way to them, and nothing that they owe. Paise."""
    loan = told.loan
    back = loan.excess_paise + loan.refunds_paise()
    ensure(
        loan.principal_paise == 0 == loan.payable_paise() and told.account.balance_paise == -back,
        "nothing is owed",
        loan=loan.id,
        owed=told.account.balance_paise,
        back=back,
    )
    return back


def no_dues_certificate(told: Told) -> Figures:
    """Nothing is owed: what the ledger has between lender and borrower is zero, but for money that goes back."""
    closed, loan = ended(told), told.loan
    refund = to_be_returned(told)
    papers = papers_due_by(date.fromisoformat(closed.on)).value if told.product.papers_held else None
    return {
        "closed_on": closed.on,
        "closing": closed.kind,
        "received_paise": money_in(told.account),
        "given_up_paise": sum(
            one.principal_paise + one.interest_paise + one.charges_paise for one in told.account.of(e.Settled)
        ),
        "refund_paise": refund,
        "mandates": [
            {"mandate_id": mandate.get("mandate_id", ""), "rail": mandate.get("rail", "")} for mandate in loan.mandates
        ],
        "papers_due_by": iso(papers) if loan.papers_released_on is None else None,
        "papers_released_on": iso(loan.papers_released_on),
    }


def money_in(account: Account) -> int:
    """All receipts that stand. Paise."""
    return sum(receipt.amount for receipt in account.loan.receipts.values() if not receipt.reversed)


DEBITED: Final = {
    "loan.disbursed.v1": "lent",
    "loan.instalment-due.v1": "interest",
    "loan.charge-levied.v1": "charges",
    "loan.charge-waived.v1": "waived",
    "loan.debit-succeeded.v1": "received",
    "loan.payment-received.v1": "received",
    "loan.receipt-reversed.v1": "reversed",
    "loan.settled.v1": "given_up",
    "loan.refund-settled.v1": "refunded",
}
"""What a movement is summed as in the closure statement; any other is a correction."""


def closure_statement(told: Told) -> Figures:
    """The whole life of a loan that has ended, on one balance that ends at zero (or at what goes back)."""
    closed = ended(told)
    sums = dict.fromkeys(dict.fromkeys([*DEBITED.values(), "corrections"]), 0)
    for one in told.account.movements:
        sums[DEBITED.get(one.what, "corrections")] += one.paise
    balance = told.account.balance_paise
    ensure(sum(sums.values()) == balance, "the sums make the balance", loan=told.loan.id, sums=sums)
    ensure(balance == -to_be_returned(told), "the account ends with what goes back", loan=told.loan.id, owed=balance)
    return {
        "closed_on": closed.on,
        "closing": closed.kind,
        "sums": [{"what": what, "paise": paise} for what, paise in sums.items() if paise],
        "balance_paise": balance,
        "rows": [line(one) for one in told.account.movements],
        "days": (date.fromisoformat(closed.on) - (told.loan.disbursed_on or told.until)).days,
    }


# --- Periods -------------------------------------------------------------------------------------------------


def financial_year(of: date) -> tuple[date, date]:
    """India's financial year of a day: 1 April to 31 March."""
    start = date(of.year - (of.month < 4), 4, 1)
    return start, date(start.year + 1, 4, 1) - timedelta(days=1)
