"""Value dates count, not arrival (servicing rule 13): whatever is learnt late leaves the state that would have been."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from domain import commands as c
from domain import snapshot
from domain.calendar import at_hour
from domain.events import Closed, Recast
from domain.refusals import Repeated
from tests.domain.naive_life import Changed, Happened, House, NothingToCompare, Paid, Returned, naive_life
from tests.domain.value_dated import (
    EVENING,
    LOAN,
    Lived,
    a_life_of,
    back,
    check_whole,
    differences,
    naive_state,
    paid,
    state_of,
)
from tests.examples import MANDATE
from tests.states import fields, folded

EMI = 499_300
"""Of a lakh at 18 % over 24 months: the first is 1,500 interest and 3,493 principal. Paise."""
BY_KIND = ("interest", "principal", "fee", "charge", "penal")
PRINCIPAL_FIRST = ("principal", "interest", "fee", "charge", "penal")
HOUSES = {
    "plain": House(),
    "penal": House(penal_percent="24"),
    "by kind": House(by="kind"),
    "by kind with penal": House(by="kind", order=PRINCIPAL_FIRST, penal_percent="36", penal_grace_days=3),
    "another order when NPA": House(npa_order=PRINCIPAL_FIRST, penal_percent="24"),
    "pays ahead": House(excess="advance"),
    "prepays": House(excess="prepay", prepayment_percent="2"),
}


def terms_of(accrual: str = "schedule", **other: Any) -> dict[str, Any]:
    return {
        "principal_paise": 10_000_000,
        "annual_rate_percent": "18",
        "instalments": 24,
        "disburse_on": "2026-01-05",
        "first_due_on": "2026-02-05",
        "interest_accrual": accrual,
        **other,
    }


@dataclass(frozen=True)
class Money:
    """A payment of the borrower's: when it counts, how much, and for what."""

    name: str
    on: date
    paise: int
    intent: str = "dues"
    choice: str = "reduce_tenure"

    def told(self) -> c.ReceivePayment:
        return paid(self.name, self.paise, self.on, self.intent, self.choice)


def lived(
    *money: Money, until: date, house: House | None = None, accrual: str = "schedule", on_time: bool = False
) -> Lived:
    """A loan to which these payments happened: each learnt on its own day, or all on the last, in this order."""
    life = a_life_of(terms_of(accrual), house)
    for each in money:
        if on_time:
            life.tell(at_hour(each.on, EVENING), each.told())
    life.until(until)
    for each in money:
        if not on_time:
            assert life.tell(life.now, each.told()), life.refused
    check_whole(life)
    return life


def same(one: Lived, other: Lived) -> None:
    found = differences(state_of(one), state_of(other))
    assert not found, found


# --- The order of arrival ------------------------------------------------------------------------------------


THREE = (
    Money("P-1", date(2026, 2, 20), 300_000),
    Money("P-2", date(2026, 3, 15), 900_000),
    Money("P-3", date(2026, 4, 2), 2_000_000, "part-prepayment", "reduce_emi"),
)


@pytest.mark.parametrize("accrual", ["schedule", "daily"])
@pytest.mark.parametrize("house", HOUSES.values(), ids=HOUSES)
def test_payments_may_arrive_in_any_order(house: House, accrual: str) -> None:
    """Three payments of February, March and April are learnt on 20 April, in all six orders."""
    as_they_were = lived(*THREE, until=date(2026, 4, 20), house=house, accrual=accrual, on_time=True)
    for order in permutations(THREE):
        same(lived(*order, until=date(2026, 4, 20), house=house, accrual=accrual), as_they_were)


money = st.builds(
    Money,
    st.just(""),
    st.dates(date(2026, 1, 6), date(2026, 9, 1)),
    st.sampled_from([1, 150_000, EMI, 2 * EMI, 1_234_567, 2_500_000]),
    st.sampled_from(["dues", "dues", "dues", "part-prepayment", "advance"]),
    st.sampled_from(["reduce_tenure", "reduce_emi"]),
)


@settings(max_examples=40)
@for_all(
    payments=st.lists(money, min_size=2, max_size=5, unique_by=lambda each: each.on),
    order=st.randoms(use_true_random=False),
    house=st.sampled_from(sorted(HOUSES)),
    accrual=st.sampled_from(["schedule", "daily"]),
)
def test_any_payments_may_arrive_in_any_order(payments: list[Money], order: Any, house: str, accrual: str) -> None:
    """Payments of different days: on one day, what came first counts first."""
    named = [Money(f"P-{n}", m.on, m.paise, m.intent, m.choice) for n, m in enumerate(payments)]
    shuffled = list(named)
    order.shuffle(shuffled)
    until = date(2026, 9, 2)
    same(
        lived(*named, until=until, house=HOUSES[house], accrual=accrual),
        lived(*shuffled, until=until, house=HOUSES[house], accrual=accrual),
    )


def test_a_message_twice_is_one() -> None:
    life = lived(*THREE, until=date(2026, 4, 20), house=HOUSES["penal"])
    before, version = state_of(life), life.loan.version
    for each in THREE:
        assert not life.tell(life.now, each.told())
        assert isinstance(life.refused[-1], Repeated)
    assert (state_of(life), life.loan.version) == (before, version)


# --- What is taken back --------------------------------------------------------------------------------------


@pytest.mark.parametrize("accrual", ["schedule", "daily"])
@pytest.mark.parametrize("house", HOUSES.values(), ids=HOUSES)
@pytest.mark.parametrize("gone", range(3))
def test_what_is_taken_back_had_never_come(house: House, accrual: str, gone: int) -> None:
    """One of the three is reversed in May: the loan is that of the two others."""
    rest = [each for index, each in enumerate(THREE) if index != gone]
    until = date(2026, 5, 12)
    with_it = lived(*THREE, until=until, house=house, accrual=accrual, on_time=True)
    assert with_it.tell(with_it.now, back(THREE[gone].name, until)), with_it.refused
    check_whole(with_it)
    same(with_it, lived(*rest, until=until, house=house, accrual=accrual, on_time=True))


@pytest.mark.parametrize("accrual", ["schedule", "daily"])
@pytest.mark.parametrize("intent", ["dues", "advance", "part-prepayment"])
def test_what_is_taken_back_on_its_own_day_had_never_come(accrual: str, intent: str) -> None:
    """Penal charges levied before it, and rows that it changed, go with it."""
    until, house = date(2026, 3, 16), HOUSES["penal"]
    payment = Money("P-1", until, 1_500_000, intent)
    life = lived(payment, until=until, house=house, accrual=accrual)
    assert life.tell(life.now, back("P-1", until)), life.refused
    check_whole(life)
    same(life, lived(until=until, house=house, accrual=accrual))


@pytest.mark.parametrize("days_later", [0, 3, 40])
@pytest.mark.parametrize("house", [HOUSES["plain"], HOUSES["penal"]], ids=["plain", "penal"])
def test_a_preclosure_that_is_taken_back_had_never_been(house: House, days_later: int) -> None:
    """The loan opens again with the rows it had; what fell due meanwhile is overdue since its day."""
    on = date(2026, 3, 16)
    closing = Money("P-9", on, 12_000_000, "preclosure")
    life = lived(closing, until=on, house=house)
    assert life.loan.stage == "closed"
    until = on + timedelta(days=days_later)
    life.until(until)
    refund = life.loan.refund_due_paise
    assert refund > 0
    assert not life.tell(life.now, back("P-9", until)), "more than the quote went back to the borrower: a person looks"
    exact = Money("P-9", on, 12_000_000 - refund, "preclosure")
    life = lived(exact, until=on, house=house)
    assert (life.loan.stage, life.loan.closing, life.loan.refund_due_paise) == ("closed", "preclosed", 0)
    life.until(until)
    assert life.tell(life.now, back("P-9", until)), life.refused
    check_whole(life)
    same(life, lived(until=until, house=house))


@pytest.mark.parametrize("by", ["instalment", "kind"])
def test_a_payment_before_npa_that_is_taken_back_makes_npa_of_its_day(by: str) -> None:
    """Four instalments paid in April; taken back in July, the loan is NPA since 6 May, and the money that came since
    went by the order of NPA."""
    house = House(npa_order=PRINCIPAL_FIRST, by=by)
    april = Money("P-1", date(2026, 4, 20), 3 * EMI)
    june = Money("P-2", date(2026, 6, 20), 400_000)
    until = date(2026, 7, 10)
    life = lived(april, june, until=until, house=house, on_time=True)
    assert life.loan.classification != "NPA"
    life.tell(life.now, back("P-1", until))
    assert life.loan.npa_since == date(2026, 5, 6)  # day 91, 5 February being day 1
    assert life.loan.classification == "NPA"
    same(life, lived(june, until=until, house=house, on_time=True))
    principal = [due.paid for due in life.loan.dues if due.kind == "principal"]
    assert principal[0] > 0, "principal first, once NPA"


@pytest.mark.parametrize("accrual", ["schedule", "daily"])
@pytest.mark.parametrize("by", ["instalment", "kind"])
def test_money_learnt_late_goes_by_the_order_of_a_restructured_loans_class(by: str, accrual: str) -> None:
    """NPA by a restructuring of 10 February; Rs. 3,000 of 15 March is learnt on its day, or on 20 April."""
    lives: list[Lived] = []
    for learnt in (date(2026, 3, 15), date(2026, 4, 20)):
        life = a_life_of(terms_of(accrual), House(npa_order=PRINCIPAL_FIRST, by=by)).until(date(2026, 2, 10))
        hardship = c.Restructure(command_id="C-1", effective_on=date(2026, 2, 10), reason="asked", instalments=30)
        assert life.tell(life.now, hardship)
        life.until(learnt)
        assert life.tell(life.now, paid("P-1", 300_000, date(2026, 3, 15)))
        check_whole(life.until(date(2026, 4, 20)))
        assert life.loan.due_by_key["principal", 1].paid == 300_000, "principal first, as NPA"
        lives.append(life)
    same(*lives)


# --- Two on one day ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accrual", ["schedule", "daily"])
@settings(max_examples=30)
@for_all(
    first=st.integers(1, 9_000_000),
    second=st.integers(1, 9_000_000),
    choices=st.tuples(
        st.sampled_from(["reduce_tenure", "reduce_emi"]), st.sampled_from(["reduce_tenure", "reduce_emi"])
    ),
    due=st.booleans(),
)
def test_two_prepayments_of_one_day_are_taken_as_they_came(
    accrual: str, first: int, second: int, choices: tuple[str, str], due: bool
) -> None:
    """Learnt late or at once, nothing is negative, and both are accounted for."""
    on = date(2026, 2, 5) if due else date(2026, 2, 20)
    one = Money("P-1", on, first, "part-prepayment", choices[0])
    two = Money("P-2", on, second, "part-prepayment", choices[1])
    late = lived(one, two, until=date(2026, 4, 20), accrual=accrual)
    same(late, lived(one, two, until=date(2026, 4, 20), accrual=accrual, on_time=True))
    assert late.loan.received_paise == first + second


# --- Closing, in hindsight -----------------------------------------------------------------------------------


def test_money_learnt_late_closes_what_it_would_have_closed() -> None:
    """The exact quote of 16 March arrives as money of that day on 20 April: the loan is pre-closed as of then."""
    on = date(2026, 3, 16)
    life = lived(until=on)
    exact = state_of(life)["quote"]
    late = a_life_of(terms_of())
    late.until(date(2026, 4, 20))
    assert late.tell(late.now, paid("P-9", exact, on, "preclosure")), late.refused
    assert (late.loan.stage, late.loan.closing) == ("closed", "preclosed")
    assert late.loan.refund_due_paise == 0
    check_whole(late)


def test_a_short_preclosure_closes_when_an_earlier_payment_turns_up() -> None:
    on = date(2026, 3, 16)
    life = lived(until=on)
    exact = state_of(life)["quote"]
    life.tell(life.now, paid("P-9", exact - 100_000, on, "preclosure"))
    assert life.loan.stage == "active"
    assert life.loan.cases == 1  # short, and by how much
    life.until(date(2026, 3, 20))
    life.tell(life.now, paid("P-8", 100_000, date(2026, 3, 10)))
    assert (life.loan.stage, life.loan.closing) == ("closed", "preclosed")
    check_whole(life)


def test_a_late_preclosure_that_is_short_says_by_how_much() -> None:
    life = lived(until=date(2026, 4, 20))
    life.tell(life.now, paid("P-9", 5_000_000, date(2026, 3, 16), "preclosure"))
    assert life.loan.stage == "active"
    assert life.loan.cases == 1
    assert life.loan.excess_paise + life.loan.settled_paise == 5_000_000


def test_the_quote_within_its_validity_closes_though_penal_charges_run_on() -> None:
    """Rule 16: paying exactly the quote within its validity closes the loan; the days between are given up."""
    house = House(penal_percent="24")
    life = lived(until=date(2026, 3, 16), house=house)
    life.tell(life.now, c.QuotePreclosure(command_id="Q-1"))
    assert life.loan.quote is not None
    exact = life.loan.quote["total_paise"]
    life.until(date(2026, 3, 18))
    assert life.tell(life.now, paid("P-9", exact, date(2026, 3, 18), "preclosure"))
    assert (life.loan.stage, life.loan.refund_due_paise) == ("closed", 0)
    assert any(isinstance(event, Closed) for event in life.events)
    check_whole(life)


# --- Bounces -------------------------------------------------------------------------------------------------


def a_bounce(life: Lived) -> str:
    """The first instalment's debit is returned for want of funds on its day; the instruction."""
    life.until(date(2026, 2, 5))
    (instruction, debit), *_ = life.loan.in_flight.items()
    failed = c.RecordDebitFailure(
        instruction_id=instruction,
        amount_paise=debit.amount,
        code="04",
        message="",
        value_on=date(2026, 2, 5),
        reference="",
        rail="enach",
        gateway="g",
        bank="HDFC",
    )
    assert life.tell(life.now, failed)
    return instruction


def succeeded(instruction: str, on: date) -> c.RecordDebitSuccess:
    return c.RecordDebitSuccess(
        instruction_id=instruction,
        amount_paise=EMI,
        value_on=on,
        reference="bank-1",
        rail="enach",
        gateway="g",
        bank="HDFC",
    )


@pytest.mark.parametrize("house", [HOUSES["plain"], HOUSES["penal"], HOUSES["by kind"]], ids=["plain", "penal", "kind"])
@pytest.mark.parametrize("later", [0, 1, 20])
def test_the_bounce_charge_of_a_debit_that_had_succeeded_falls_away(house: House, later: int) -> None:
    """The bank says returned, then that the money came on the due day after all."""
    life = a_life_of(terms_of(), house, mandate=dict(MANDATE))
    instruction = a_bounce(life)
    assert [due.amount for due in life.loan.dues if due.kind == "charge"] == [59_000]
    life.until(date(2026, 2, 5) + timedelta(days=later))
    assert life.tell(life.now, succeeded(instruction, date(2026, 2, 5))), life.refused
    check_whole(life)
    assert [due.amount for due in life.loan.dues if due.kind in ("charge", "penal") and due.amount] == []
    assert life.loan.payable_paise() == 0
    assert state_of(life)["dpd"] == 0


def test_a_bounce_charge_stays_where_the_money_came_after_the_bounce() -> None:
    life = a_life_of(terms_of(), mandate=dict(MANDATE))
    a_bounce(life)
    life.until(date(2026, 2, 20))
    life.tell(life.now, paid("P-1", EMI, date(2026, 2, 18)))
    assert [due.amount for due in life.loan.dues if due.kind == "charge"] == [59_000]


# --- What people gave up -------------------------------------------------------------------------------------


def test_a_waived_penal_charge_stays_waived() -> None:
    """What a person gave up is not asked for again when the books are folded anew."""
    life = lived(until=date(2026, 3, 16), house=HOUSES["penal"])
    charge = next(due for due in life.loan.dues if due.kind == "penal")
    assert life.tell(life.now, c.Waive(command_id="W-1", charge_id=str(charge.of), reason="goodwill"))
    life.until(date(2026, 3, 20))
    life.tell(life.now, paid("P-1", 100, date(2026, 3, 18)))  # after the month's end that the charge is of
    assert any(isinstance(event, Recast) for event in life.events)
    penal = [(due.due_on, due.amount) for due in life.loan.dues if due.kind == "penal" and due.amount]
    assert all(day > date(2026, 2, 28) for day, _ in penal), penal
    check_whole(life)


# --- Whatever happens ----------------------------------------------------------------------------------------


class Books(RuleBasedStateMachine):
    """A loan to which everything happens in any order; whatever day it counts from, the books are those of the naive
    calculator, which knows the facts alone."""

    @initialize(
        house=st.sampled_from(sorted(HOUSES)),
        accrual=st.sampled_from(["schedule", "daily"]),
        method=st.sampled_from(["reducing", "reducing", "equal_principal"]),
        floating=st.booleans(),
        first_due=st.dates(date(2026, 1, 25), date(2026, 2, 20)),
    )
    def book(self, house: str, accrual: str, method: str, floating: bool, first_due: date) -> None:
        self.house = HOUSES[house]
        self.terms = terms_of(
            accrual,
            interest_method=method,
            rate_type="floating" if floating else "fixed",
            first_due_on=first_due.isoformat(),
            instalments=12,
            day_count="ACT/365",
        )
        self.life = a_life_of(self.terms, self.house)
        self.facts: dict[str, Happened] = {}
        self.serial = 0

    @property
    def today(self) -> date:
        return self.life.now.date()

    def tell(self, command: c.Command, fact: Happened | None = None) -> bool:
        """At the next minute, so that what came first is known; a fact that is refused did not happen."""
        note(f"{self.life.now:%d %b %H:%M} {command}")
        self.serial += 1
        known = len(self.life.events)
        done = self.life.tell(self.life.now + timedelta(seconds=1), command)
        if done and fact is not None:
            self.facts[f"F-{self.serial}"] = fact
        for event in self.life.events[known:]:
            if isinstance(event, Closed) and event.refund_paise:
                went_back = Returned(on=self.today, arrived=self.serial, paise=event.refund_paise)
                self.facts[f"R-{self.serial}"] = went_back
        return done

    @rule(days=st.integers(1, 45))
    def time_passes(self, days: int) -> None:
        at = self.life.now + timedelta(days=days)
        self.life.tell(at.replace(hour=10, minute=0, second=0), c.WakeUp(now=at))

    @precondition(lambda self: self.life.loan.stage == "active")
    @rule(
        days_ago=st.sampled_from([0, 0, 0, 2, 20, 70]),
        paise=st.sampled_from([1, 100_000, 400_000, 950_000, 1_900_000, 3_333_333]),
        intent=st.sampled_from(["dues", "dues", "dues", "part-prepayment", "advance"]),
        choice=st.sampled_from(["reduce_tenure", "reduce_emi"]),
    )
    def the_borrower_pays(self, days_ago: int, paise: int, intent: str, choice: str) -> None:
        on = max(self.today - timedelta(days=days_ago), date(2026, 1, 5))
        fact = Paid(on=on, arrived=self.serial + 1, paise=paise, intent=intent, choice=choice)
        told = paid(f"F-{self.serial + 1}", paise, on, intent, choice)
        assert self.tell(told, fact), self.life.refused
        assert not self.tell(told), "a message twice is one"

    @precondition(lambda self: self.life.loan.stage == "active")
    @rule(days_ago=st.sampled_from([0, 0, 3]), more=st.sampled_from([-50_000, 0, 0, 12_345]))
    def the_borrower_closes(self, days_ago: int, more: int) -> None:
        on = max(self.today - timedelta(days=days_ago), date(2026, 1, 5))
        paise = state_of(self.life)["quote"] + more
        if paise > 0:
            fact = Paid(on=on, arrived=self.serial + 1, paise=paise, intent="preclosure")
            assert self.tell(paid(f"F-{self.serial + 1}", paise, on, "preclosure"), fact)

    @precondition(lambda self: any(isinstance(fact, Paid) for fact in self.facts.values()))
    @rule(which=st.integers(0, 20))
    def money_is_taken_back(self, which: int) -> None:
        names = [name for name, fact in self.facts.items() if isinstance(fact, Paid)]
        name = names[which % len(names)]
        if self.tell(back(name, self.today)):
            del self.facts[name]

    @precondition(lambda self: self.life.loan.stage == "active" and self.life.loan.next_row)
    @rule(
        instalments=st.sampled_from([6, 12, 18]),
        rate=st.sampled_from([None, "15"]),
        capitalise=st.booleans(),
    )
    def the_loan_is_restructured(self, instalments: int, rate: str | None, capitalise: bool) -> None:
        asked = {"instalments": instalments, "annual_rate_percent": rate, "capitalise_arrears": capitalise}
        self.change("restructure", c.Restructure, asked, hardship=False)

    @precondition(lambda self: self.life.loan.stage == "active" and self.life.loan.next_row)
    @rule(instalments=st.sampled_from([1, 2]), interest=st.sampled_from(["pay", "capitalise"]), extends=st.booleans())
    def relief_is_granted(self, instalments: int, interest: str, extends: bool) -> None:
        self.change(
            "relief",
            c.GrantRelief,
            {"instalments": instalments, "interest": interest, "extends_tenure": extends},
        )

    @precondition(lambda self: self.life.loan.stage == "active" and self.life.loan.next_row)
    @rule(percent=st.sampled_from(["12", "20"]), option=st.sampled_from(["higher_emi", "longer_tenure"]))
    def the_rate_is_reset(self, percent: str, option: str) -> None:
        self.change("rate-reset", c.ResetRate, {"annual_rate_percent": percent, "option": option})

    def change(self, kind: str, command: type[Any], asked: dict[str, Any], **too: Any) -> None:
        fact = Changed(on=self.today, arrived=self.serial + 1, kind=kind, asked=asked)
        told = command(command_id=f"C-{self.serial + 1}", effective_on=self.today, reason="asked", **asked, **too)
        self.tell(told, fact)

    @rule(from_snapshot=st.booleans())
    def the_engine_is_started_again(self, from_snapshot: bool) -> None:
        loan = self.life.loan
        self.life.loan = snapshot.load(LOAN, snapshot.dump(loan)) if from_snapshot else folded(self.life.events)
        assert fields(self.life.loan) == fields(loan)

    @invariant()
    def the_books_are_whole(self) -> None:
        if hasattr(self, "life"):
            check_whole(self.life)

    def teardown(self) -> None:
        if not hasattr(self, "life"):
            return
        self.life.until(self.today)
        try:
            naive = naive_life(self.terms, list(self.facts.values()), self.today, self.house)
        except NothingToCompare:
            return
        found = differences(state_of(self.life), naive_state(naive))
        assert not found, (found, self.facts)


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=60, stateful_step_count=15)


@pytest.mark.slow
def test_long_lives_have_the_naive_books() -> None:
    run_state_machine_as_test(Books, settings=settings(max_examples=80, stateful_step_count=25))
