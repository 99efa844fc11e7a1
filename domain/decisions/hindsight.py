"""Value dates: the books as they would have been, had all that is known now been known at the time (servicing rule 13).

Money that settles dues in a total order needs none of this: its sum alone says what is paid (domain/allocation.py).
But a part-prepayment makes another schedule, interest and penal charges run by the day, a waterfall may go by kind.
Where a fact that counts from an earlier day meets one of these, the life is folded anew from its dated facts, by the
same deciders that decided it, and the difference is one event.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from domain import commands as c
from domain import events as e
from domain.calendar import at_hour, ist_day
from domain.decisions import penal
from domain.decisions.ahead import copy_of
from domain.decisions.by_day import counts_days
from domain.decisions.cases import a_case
from domain.decisions.debits import fall_due
from domain.decisions.rules import Rules
from domain.decisions.standing import apply_excess, last_day_end, npa_from
from domain.decisions.terms_change import counted_after, since_payout
from domain.ensure import ensure
from domain.events import LoanEvent
from domain.loan import Loan
from domain.parts import BY_CHARGE, Change, Levied, Receipt
from domain.refusals import Refused
from domain.terms import Terms, TermsError, Tranche

Happen = Callable[[Loan], Iterator[LoanEvent]]
NOON = time(12)
TRANCHE, CHARGE, DECIDED = range(3)
"""The order of facts within a day: money out, charges, then payments and changes as they arrived."""
WORKED_OUT = ("penal", "prepayment", "preclosure")
"""Charges that the fold levies itself, unless a person levied them."""


class DoesNotFold(Exception):
    """As is known now, more was sent back to the borrower than was held: a person must look."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened to the loan, on the day from which it counts."""

    day: date
    order: int
    arrived: int
    happen: Happen


def matters(
    loan: Loan, value_on: date, now: datetime, rules: Rules, *, directed: bool = False, taken_back: bool = False
) -> bool:
    """Whether money that counts from an earlier day changes more than what is paid by the waterfall.

    `directed`: it makes another schedule by itself (a part-prepayment, an advance, a preclosure). `taken_back`: the
    money is gone again, with what it had brought about, be it of today.
    """
    if (value_on >= ist_day(now) and not taken_back) or loan.stage != "active":
        return False
    return (
        directed
        or not loan.settles_by_sum
        or rules.product_of(loan).excess_use != "hold"
        or loan.terms.get("interest_accrual") == "daily"
        or loan.npa_since is not None
        or any(change.on >= value_on for change in loan.changes)
        or any(
            (receipt.directed or receipt.intent != "dues") and receipt.value_on >= value_on
            for receipt in loan.receipts.values()
        )
        or any(fact.due_on >= value_on and fact.kind in ("bounce", "penal") for fact in loan.levied.values())
        or bool(rules.product_of(loan).penal_percent and loan.oldest_unpaid(0))
    )


# --- Folding anew --------------------------------------------------------------------------------------------


def folded_anew(loan: Loan, now: datetime, rules: Rules) -> Loan:
    """A loan of the same dated facts, each at its own day."""
    shadow, given_up = beginning(loan), GivenUp.of(loan)
    for fact in sorted(facts_of(loan, rules), key=lambda fact: (fact.day, fact.order, fact.arrived)):
        pass_time(shadow, fact.day, rules, given_up)
        perform(shadow, fact.happen(shadow), fact.day, given_up)
        perform(shadow, apply_excess(shadow, fact.day), fact.day)
    pass_time(shadow, ist_day(now), rules, given_up)
    note_class(shadow, last_day_end(now), rules)
    return shadow


def perform(shadow: Loan, facts: Iterator[LoanEvent], day: date, given_up: GivenUp | None = None) -> None:
    for fact in facts:
        shadow.record(fact, at_hour(day, NOON))
        if given_up is not None and isinstance(fact, e.ChargeLevied):
            perform(shadow, given_up.of_charge(fact), day)


@dataclass(frozen=True, slots=True)
class GivenUp:
    """What was given up of charges that the fold works out itself, by kind and month: worked out anew, they may come
    in other pieces, and what was given up stays given up. Paise."""

    left: dict[tuple[str, str], int]
    known: Collection[str]
    """Charges that the fold takes from the books, with what was given up of them."""

    @classmethod
    def of(cls, loan: Loan) -> GivenUp:
        left: dict[tuple[str, str], int] = {}
        for fact in loan.levied.values():
            if fact.kind in WORKED_OUT and not fact.by_person and fact.waived:
                month = fact.kind, month_of((fact.through or fact.due_on).isoformat())
                left[month] = left.get(month, 0) + fact.waived
        return cls(left, loan.levied.keys())

    def of_charge(self, charge: e.ChargeLevied) -> Iterator[e.ChargeWaived]:
        month = charge.kind, month_of(charge.through or charge.due_on)
        paise = min(self.left.get(month, 0), charge.amount_paise + charge.gst_paise)
        if paise and charge.charge_id not in self.known:
            self.left[month] -= paise
            yield e.ChargeWaived(charge_id=charge.charge_id, paise=paise, reason="")


def month_of(day: str) -> str:
    return day[:7]


def beginning(loan: Loan) -> Loan:
    """The loan on the day of its payout, with the tranches on the days on which they really went out, or will go out:
    one that was asked for and did not arrive bears no interest (servicing rule 26)."""
    shadow = Loan.shell(loan.id)
    shadow.quote = loan.quote
    shadow.charges = loan.charges  # so that a charge that the fold works out has no name of the books
    paid_out = loan.disbursed_on
    assert paid_out is not None  # only a loan that is paid out is folded anew
    terms = Terms.parse(loan.base_terms or loan.booked_terms)
    later = tuple(Tranche(part.on, part.amount) for part in counted_after(loan, date.min))
    try:
        if later != terms.tranches:
            terms = Terms.parse(replace(terms, tranches=later).to_dict())
        schedule, carried = since_payout(loan, terms)
    except TermsError as error:  # such as a tranche that came after the last due day
        raise DoesNotFold(f"{error.field} {error.message}") from error
    first = e.LoanBooked(
        borrower_id=loan.borrower_id,
        product=loan.product,
        product_version=loan.product_version,
        terms=terms.to_dict(),
        request_hash=loan.request_hash,
        financed_paise=loan.tranches[0].amount,
        deductions=loan.deductions,
        waterfall=loan.usual_order,
        waterfall_by=loan.waterfall_by,
        waterfall_npa=loan.npa_order,
        sanctioned_on=loan.sanctioned_on.isoformat() if loan.sanctioned_on else "",
        shown_charges=loan.shown_charges,
    )
    scheduled = e.EmiScheduled(
        schedule_version=1,
        reason="disbursal",
        effective_on=paid_out.isoformat(),
        instalment_paise=schedule.instalment_paise,
        apr_percent=str(schedule.apr_percent),
        rows=[row.to_dict() for row in schedule.rows],
        terms=terms.to_dict(),
        accrued_paise=carried,
    )
    perform(shadow, iter((first, paid(0, loan.tranches[0].amount, paid_out), scheduled)), paid_out)
    return shadow


def paid(place: int, paise: int, day: date) -> e.Disbursed:
    """A tranche went out; `place` is that among the tranches that the fold knows."""
    return e.Disbursed(
        tranche=place,
        amount_paise=paise,
        net_paise=paise,
        deductions=[],
        value_on=day.isoformat(),
        reference="",
    )


def facts_of(loan: Loan, rules: Rules) -> Iterator[Fact]:
    """Everything that others did or decided, besides time itself."""
    for place, part in enumerate(counted_after(loan, date.min), 1):
        if part.status == "settled":
            out = paid(place, part.amount, part.on)
            yield Fact(part.on, TRANCHE, place, lambda shadow, out=out: iter((out,)))
    for charge_id, fact in loan.levied.items():
        if not worked_out(fact):
            yield Fact(
                fact.due_on, CHARGE, 0, lambda shadow, known=charge_id, fact=fact: levied(loan, shadow, known, fact)
            )
    for key, receipt in loan.receipts.items():
        if not receipt.reversed and not receipt.sent_back:
            # Money that came before the payout is held from the payout on.
            day = max(receipt.value_on, loan.disbursed_on or receipt.value_on)
            yield Fact(
                day,
                DECIDED,
                receipt.arrived,
                lambda shadow, key=key, receipt=receipt, day=day: received(shadow, key, receipt, day, rules),
            )
    for change in loan.changes:
        # What was sent back of money that came before the payout goes after it.
        yield Fact(
            max(change.on, loan.disbursed_on or change.on),
            DECIDED,
            change.arrived,
            lambda shadow, change=change: changed(loan, shadow, change, rules),
        )


def worked_out(fact: Levied) -> bool:
    """Whether the fold levies this charge itself: none of a person's, and no fixed one of an instalment."""
    return fact.kind in WORKED_OUT and not fact.by_person and not (fact.kind == "penal" and fact.number)


def levied(loan: Loan, shadow: Loan, charge_id: str, fact: Levied) -> Iterator[LoanEvent]:
    """A charge as it was levied, less what was given up of it. A bounce charge, or an instalment's penal
    charge, falls away where the instalment had been paid by then, as is known now."""
    if fact.kind == "bounce" and fact.number:
        late = sum(
            receipt.amount
            for key, receipt in loan.receipts.items()
            if not receipt.reversed
            and key.startswith(f"debit:{loan.id}:{fact.number}:")
            and receipt.value_on <= fact.due_on
        )
        if shadow.unpaid_of_row(fact.number) <= late:
            return
    if fact.kind == "penal" and fact.number and not fact.by_person and not penal.overdue(shadow, fact.number):
        return
    yield e.ChargeLevied(
        charge_id=charge_id,
        kind=fact.kind,
        amount_paise=fact.amount,
        gst_paise=fact.gst,
        due_on=fact.due_on.isoformat(),
        number=fact.number,
        reason="",
    )
    if fact.waived:
        yield e.ChargeWaived(charge_id=charge_id, paise=fact.waived, reason="")


def received(shadow: Loan, key: str, receipt: Receipt, day: date, rules: Rules) -> Iterator[LoanEvent]:
    """A receipt by its own intent, decided as on its day."""
    from domain.decisions.payments import receive  # it asks for hindsight itself, on days before today

    command = c.ReceivePayment(
        reference=key.removeprefix("payment:"),
        method="",
        amount_paise=receipt.amount,
        value_on=day,
        intent=receipt.intent,
        prepay_choice=receipt.choice,
    )
    return receive(shadow, command, at_hour(day, NOON), rules)


def changed(loan: Loan, shadow: Loan, change: Change, rules: Rules) -> Iterator[LoanEvent]:
    """A change of terms, decided again as it was asked for; one that cannot be any more is left out. A restructuring
    downgrades until performance is restored."""
    from domain.decisions.changes import again  # they are decided with hindsight themselves

    if change.kind == "restructure" and loan.restructured_on is None:
        change = replace(change, asked={**change.asked, "hardship": False})
    try:
        yield from again(shadow, change, at_hour(change.on, NOON), rules)
    except Refused as refused:
        if change.kind == "refund":
            raise DoesNotFold(refused.sentence()) from refused


# --- Time passing --------------------------------------------------------------------------------------------


def pass_time(shadow: Loan, day: date, rules: Rules, given_up: GivenUp) -> None:
    """Rows fall due up to a day (included), months end before it."""
    by_month = bool(rules.product_of(shadow).penal_percent)
    while True:
        row = shadow.next_row
        due_on = row.due_on if row is not None and row.due_on <= day else None
        ends_on = shadow.next_month_end() if by_month else None
        if ends_on is not None and ends_on < day and (due_on is None or ends_on < due_on):
            note_class(shadow, ends_on, rules)
            perform(shadow, penal.levy(shadow, ends_on, ends_on, rules), ends_on, given_up)
            shadow.month_closed_on = ends_on
        elif row is not None and due_on is not None:
            note_class(shadow, due_on - timedelta(days=1), rules)
            perform(shadow, fall_due(shadow, row), due_on, given_up)
        else:
            break
    note_class(shadow, day - timedelta(days=1), rules)


def note_class(shadow: Loan, on: date, rules: Rules) -> None:
    """NPA as at a day's end: it begins after 90 days or with a restructuring, and ends when nothing is overdue."""
    product = rules.product_of(shadow)
    oldest = shadow.oldest_unpaid(product.overdue_tolerance_paise)
    was = shadow.npa_since
    if shadow.restructured_on is not None:
        shadow.npa_since = was or on
    elif oldest is None:
        shadow.npa_since = None
    elif was is None and on >= npa_from(oldest, product):
        shadow.npa_since = npa_from(oldest, product)
    if shadow.npa_order and (was is None) != (shadow.npa_since is None):
        shadow.order_by(shadow.npa_order if shadow.npa_since else shadow.usual_order)


# --- The difference ------------------------------------------------------------------------------------------


def folds_without(loan: Loan, receipt: Receipt, now: datetime, rules: Rules) -> bool:
    """Whether the books can be folded as if a receipt had never been: not where what went back came out of it."""
    apart = copy_of(loan)
    apart.stage = "active"
    next(known for key, known in apart.receipts.items() if loan.receipts[key] is receipt).reversed = True
    try:
        folded_anew(apart, now, rules)
    except DoesNotFold:
        return False
    return True


def recast(loan: Loan, reason: str, value_on: date, now: datetime, rules: Rules) -> Iterator[e.Recast | e.CaseOpened]:
    """The correction, where the fold comes out otherwise than the books; a case where the facts do not fold."""
    try:
        shadow = folded_anew(loan, now, rules)
    except DoesNotFold as why:
        yield a_case(loan, kind="hindsight-not-possible", reason=f"{reason}: {why}")
        return
    names = charge_names(loan, shadow)
    dues = [
        {
            "kind": due.kind,
            "of": names[str(due.of)] if due.kind in BY_CHARGE else due.of,
            "due_on": due.due_on.isoformat(),
            "amount_paise": due.amount,
            "paid_paise": due.paid,
        }
        for due in shadow.dues
        if due.amount
    ]
    owns = loan.npa_since is None or (not loan.borrower_npa and loan.restructured_on is None)
    npa_since = shadow.npa_since if owns else loan.npa_since
    if books(loan) == books(shadow, names) and npa_since == loan.npa_since:
        return
    ensure(
        shadow.received_paise - shadow.refund_due_paise == loan.settled_paise + loan.excess_paise,
        "hindsight accounts for the same money",
        loan=loan.id,
        folded=shadow.received_paise - shadow.refund_due_paise,
        booked=loan.settled_paise + loan.excess_paise,
    )
    yield corrected(loan, shadow, reason, value_on, dues, charges_now(loan, shadow, names), npa_since)


def unlent(loan: Loan, reason: str) -> e.Recast:
    """The books as if nothing had happened since the payout but that money came in, which is all held: nothing fell
    due, no interest was earned, no charge levied, no term changed. Raises `DoesNotFold`."""
    shadow = beginning(loan)
    shadow.excess_paise = loan.settled_paise + loan.excess_paise
    paid_out = shadow.disbursed_on
    assert paid_out is not None
    return corrected(loan, shadow, reason, paid_out, [], charges_now(loan, shadow, {}), None)


def corrected(
    loan: Loan,
    shadow: Loan,
    reason: str,
    value_on: date,
    dues: list[dict[str, Any]],
    charges: list[dict[str, Any]],
    npa_since: date | None,
) -> e.Recast:
    """The event that brings the books to where the fold is."""
    rows = [row.dump() for row in shadow.rows]
    same = shadow.rows == loan.rows
    return e.Recast(
        reason=reason,
        value_on=value_on.isoformat(),
        schedule_version=loan.schedule_version + (0 if same else 1),
        rows=rows,
        due_rows=shadow.due_rows,
        instalment_paise=shadow.instalment_paise,
        apr_percent=shadow.apr_percent,
        terms=shadow.terms,
        first_number=shadow.first_number,
        schedule_reason=shadow.schedule_reason,
        accrual_from=shadow.accrual_from.isoformat() if shadow.accrual_from else "",
        accrual_carried_paise=shadow.accrual_carried,
        accrual_exact=shadow.accrual_exact,
        held_paise=shadow.held_paise,
        capitalised_paise=shadow.capitalised_paise,
        dues=dues,
        charges=charges,
        principal_repaid=[[day.isoformat(), paise] for day, paise in shadow.principal_repaid],
        prepaid_paise=shadow.prepaid_paise,
        unearned_paise=shadow.unearned_paise,
        principal_paise=shadow.principal_paise,
        excess_paise=shadow.excess_paise,
        penal_upto=shadow.penal_upto.isoformat() if shadow.penal_upto else "",
        npa_since=npa_since.isoformat() if npa_since else "",
        advanced=[[number, day.isoformat()] for number, day in shadow.advanced.items()],
    )


def books(loan: Loan, names: dict[str, str] | None = None) -> Any:
    """What two folds are compared by."""
    dues = {
        (due.kind, names[str(due.of)] if names and due.kind in BY_CHARGE else due.of): (
            due.due_on,
            due.amount,
            due.paid,
        )
        for due in loan.dues
        if due.amount
    }
    money = loan.principal_paise, loan.prepaid_paise, loan.excess_paise, loan.held_paise
    return dues, loan.rows, loan.due_rows, money, loan.penal_upto, loan.accrual_from, repaid(loan)


def repaid(loan: Loan) -> dict[date, int]:
    """Where interest runs by the day: principal repaid on each day, less what was taken back of it."""
    if not counts_days(loan):
        return {}
    days: dict[date, int] = {}
    for day, paise in loan.principal_repaid:
        days[day] = days.get(day, 0) + paise
    return {day: paise for day, paise in days.items() if paise}


def charge_names(loan: Loan, shadow: Loan) -> dict[str, str]:
    """The fold's charges by the names that they have in the books: those that it worked out itself are found by kind
    and day, and a charge that the books do not have is new."""
    known: dict[tuple[str, date, date | None], list[str]] = {}
    for charge_id, fact in loan.levied.items():
        if worked_out(fact):
            known.setdefault((fact.kind, fact.due_on, fact.through), []).append(charge_id)
    names: dict[str, str] = {}
    new = loan.charges
    for charge_id, fact in shadow.levied.items():
        if not worked_out(fact) or (charge_id in loan.levied and loan.levied[charge_id].by_person):
            names[charge_id] = charge_id
        elif found := known.get((fact.kind, fact.due_on, fact.through)):
            names[charge_id] = found.pop(0)
        else:
            new += 1
            names[charge_id] = f"{loan.id}:charge:{new}"
    return names


def charges_now(loan: Loan, shadow: Loan, names: dict[str, str]) -> list[dict[str, Any]]:
    """Every charge whose figures moved, as it is now; one that falls away is kept as it was, and not owed."""
    now = {names[charge_id]: fact for charge_id, fact in shadow.levied.items()}
    moved: list[dict[str, Any]] = []
    for charge_id in (*loan.levied, *(new for new in now if new not in loan.levied)):
        before = loan.levied.get(charge_id)
        after = now.get(charge_id) or replace(loan.levied[charge_id], falls_away=True)
        if before is None or before.stands != after.stands:
            by_person = before.by_person if before else False
            moved.append({"charge_id": charge_id, **replace(after, by_person=by_person).dump()})
    return moved
