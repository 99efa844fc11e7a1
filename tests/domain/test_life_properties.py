"""Whatever happens to a loan, in whatever order: money is conserved, history replays, and nothing counts twice."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, note, settings
from hypothesis import given as for_all
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from adapters.house import load_rules
from domain import commands as c
from domain import snapshot
from domain.agenda import next_task
from domain.calendar import ist_day
from domain.events import DebitAttempted, LoanEvent, Settled
from domain.life import handle
from domain.refusals import Refusal, Refused, Repeated
from tests.auditor import audited
from tests.examples import LOAN, MANDATE, PAYOUT, a_loan, a_loan_without_mandate, a_request
from tests.lives import a_life, the_loan
from tests.states import fields, folded
from tests.stories import Doing, Story, debit_failed, debit_succeeded, on, payment, rupees, taken_back

RULES = load_rules()


# --- Random lives --------------------------------------------------------------------------------------------


class Life(RuleBasedStateMachine):
    """A loan of a few months, and everybody who may do something to it."""

    @initialize(
        months=st.integers(1, 6),
        rail=st.sampled_from(["enach", "enach", "upi", ""]),
        method=st.sampled_from(["reducing", "reducing", "flat", "equal_principal", "interest_only"]),
        paid_out_by_us=st.sampled_from([False, False, False, True]),
        salary_day=st.sampled_from([0, 1, 28]),
        moratorium=st.sampled_from([None, "capitalise", "pay"]),
    )
    def book(
        self, months: int, rail: str, method: str, paid_out_by_us: bool, salary_day: int, moratorium: str | None
    ) -> None:
        terms: dict[str, Any] = {"interest_method": method}
        if moratorium and months > 1:
            terms |= {"moratorium_instalments": 1, "moratorium_interest": moratorium}
        request = a_request(
            principal="30,000",
            months=months,
            terms=terms,
            mandate={**MANDATE, "rail": rail, "max_amount_paise": rupees("9,000")} if rail else {},
            payout=PAYOUT if paid_out_by_us else {},
            salary_day=salary_day,
        )
        self.now = on("5 Jan")
        self.rail = rail
        self.serial = 0
        self.events: list[LoanEvent] = []
        self.loan = handle(None, request, self.now, RULES)
        self.take()

    def take(self) -> None:
        self.events += self.loan.take_events()

    def serve(self, command: c.Command) -> bool:
        """Do it, and then once more: the second time must change nothing. Says whether it was done."""
        note(f"{self.now:%d %b %H:%M} {command}")
        try:
            handle(self.loan, command, self.now, RULES)
            done = True
        except (Refused, Repeated) as no:
            note(f"  no: {no}")
            done = False
        self.take()
        before = self.loan.version
        with suppress(Refused, Repeated):
            handle(self.loan, command, self.now, RULES)
        assert self.loan.take_events() == []
        assert self.loan.version == before
        return done

    def name(self, prefix: str) -> str:
        self.serial += 1
        return f"{prefix}-{self.serial}"

    # --- time ---

    @rule(hours=st.integers(1, 24 * 20))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        handle(self.loan, c.WakeUp(now=self.now), self.now, RULES)
        self.take()

    @rule()
    def time_comes_to_the_next_task(self) -> None:
        task = next_task(self.loan, RULES)
        if task is not None:
            self.now = max(self.now, task.at)
            handle(self.loan, c.WakeUp(now=self.now), self.now, RULES)
            self.take()

    @precondition(lambda self: self.loan.mandate)
    @rule(results=st.lists(st.sampled_from(["ok", "ok", "04", "04", "59", "01", "98"]), min_size=1, max_size=6))
    def months_go_by(self, results: list[str]) -> None:
        """Time goes from debit to debit, and the gateway answers each within hours."""
        for result in results:
            until = self.now + timedelta(days=200)  # a loan that is never debited again still has its month-ends
            while not self.loan.in_flight and (task := next_task(self.loan, RULES)) and task.at < until:
                self.now = max(self.now, task.at)
                handle(self.loan, c.WakeUp(now=self.now), self.now, RULES)
                self.take()
            self.now += timedelta(hours=3)
            for instruction_id, debit in list(self.loan.in_flight.items()):
                if result == "ok":
                    self.succeed(instruction_id, debit.amount)
                else:
                    self.fail(instruction_id, debit.amount, result)

    @rule(from_snapshot=st.booleans())
    def the_engine_is_started_again(self, from_snapshot: bool) -> None:
        self.loan = snapshot.load(LOAN, snapshot.dump(self.loan)) if from_snapshot else folded(self.events)

    # --- gateways ---

    @precondition(lambda self: self.loan.stage == "booked")
    @rule(returned=st.booleans(), fails=st.integers(0, 4))
    def the_payout_is_answered(self, returned: bool, fails: int) -> None:
        if fails == 0:
            self.serve(c.FailPayout(instruction_id="", code="AM05", reason="", returned=returned))
        else:
            self.serve(
                c.SettlePayout(instruction_id="", amount_paise=None, value_on=ist_day(self.now), reference="UTR")
            )

    @precondition(lambda self: bool(self.loan.in_flight))
    @rule(share=st.sampled_from([100, 100, 100, 40, 110]), days_ago=st.integers(0, 2))
    def a_debit_succeeds(self, share: int, days_ago: int) -> None:
        instruction_id, debit = next(iter(self.loan.in_flight.items()))
        self.succeed(instruction_id, debit.amount * share // 100, days_ago)

    @precondition(lambda self: bool(self.loan.in_flight))
    @rule(code=st.sampled_from(["04", "04", "59", "01", "98", "U30", "?"]))
    def a_debit_fails(self, code: str) -> None:
        instruction_id, debit = next(iter(self.loan.in_flight.items()))
        self.fail(instruction_id, debit.amount, code)

    def succeed(self, instruction_id: str, amount: int, days_ago: int = 0) -> None:
        self.serve(
            c.RecordDebitSuccess(
                instruction_id=instruction_id,
                amount_paise=amount,
                value_on=ist_day(self.now - timedelta(days=days_ago)),
                reference=f"bank-{instruction_id}",
                rail=self.rail,
                gateway="g",
                bank="b",
            )
        )

    def fail(self, instruction_id: str, amount: int, code: str) -> None:
        self.serve(
            c.RecordDebitFailure(
                instruction_id=instruction_id,
                amount_paise=amount,
                code=code,
                message="",
                value_on=ist_day(self.now),
                reference="",
                rail=self.rail,
                gateway="g",
                bank="b",
            )
        )

    @rule(number=st.integers(0, 6), attempt=st.integers(1, 4), succeeds=st.booleans())
    def an_outcome_comes_that_nobody_waits_for(self, number: int, attempt: int, succeeds: bool) -> None:
        instruction_id = f"{LOAN}:{number}:{attempt}"
        if succeeds:
            self.succeed(instruction_id, rupees("1,000"))
        else:
            self.fail(instruction_id, 100, "04")

    # --- the borrower ---

    @rule(
        amount=st.sampled_from([1, 99, 50_000, 250_000, 600_000, 2_000_000]),
        days_ago=st.sampled_from([0, 0, 0, 3, 40, -1]),
        intent=st.sampled_from(["dues", "dues", "advance", "part-prepayment", "preclosure"]),
        choice=st.sampled_from(["reduce_tenure", "reduce_emi"]),
    )
    def the_borrower_pays(self, amount: int, days_ago: int, intent: str, choice: str) -> None:
        self.serve(
            c.ReceivePayment(
                reference=self.name("P"),
                method="upi",
                amount_paise=amount,
                value_on=ist_day(self.now) - timedelta(days=days_ago),
                intent=intent,
                prepay_choice=choice,
            )
        )

    @precondition(lambda self: bool(self.loan.receipts))
    @rule(data=st.data())
    def money_is_taken_back(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.loan.receipts)))
        source, _, reference = key.partition(":")
        receipt = self.loan.receipts[key]
        self.serve(
            c.ReverseReceipt(
                reference=receipt.reference,
                amount_paise=receipt.amount,
                value_on=ist_day(self.now),
                source=source,
                reason="bounced",
                instruction_id=reference if source == "debit" else "",
            )
        )

    @precondition(lambda self: self.loan.stage == "active")
    @rule(short=st.sampled_from([0, 0, 1, -700]))
    def the_borrower_closes(self, short: int) -> None:
        self.serve(c.QuotePreclosure(command_id=self.name("C")))
        assert self.loan.quote is not None
        total = self.loan.quote["total_paise"]
        if total <= short:
            return
        self.serve(
            c.ReceivePayment(
                reference=self.name("P"),
                method="neft",
                amount_paise=total - short,
                value_on=ist_day(self.now),
                intent="preclosure",
            )
        )
        if self.loan.next_row is not None or short <= 0:
            assert (self.loan.stage == "closed") == (short <= 0)

    # --- people ---

    @rule(amount=st.sampled_from([None, 1, 10_000]), kind=st.sampled_from(["visit", "bounce"]))
    def a_charge_is_levied(self, amount: int | None, kind: str) -> None:
        self.serve(c.LevyCharge(command_id=self.name("C"), kind=kind, reason="", amount_paise=amount))

    @precondition(lambda self: self.loan.charges > 0)
    @rule(data=st.data(), amount=st.sampled_from([None, 1, 5_000]))
    def a_charge_is_waived(self, data: st.DataObject, amount: int | None) -> None:
        number = data.draw(st.integers(1, self.loan.charges))
        self.serve(
            c.Waive(command_id=self.name("C"), charge_id=f"{LOAN}:charge:{number}", reason="", amount_paise=amount)
        )

    @rule(
        days=st.integers(0, 70),
        changes=st.sampled_from(
            [{"instalments": 9}, {"instalments": 1}, {"instalment_paise": 400_000}, {"annual_rate_percent": "12.5"}]
        ),
        capitalise=st.booleans(),
    )
    def the_loan_is_restructured(self, days: int, changes: dict[str, Any], capitalise: bool) -> None:
        self.serve(
            c.Restructure(
                command_id=self.name("C"),
                effective_on=ist_day(self.now) + timedelta(days=days),
                reason="",
                capitalise_arrears=capitalise,
                **changes,
            )
        )

    @rule(days=st.integers(0, 20))
    def collection_is_paused(self, days: int) -> None:
        self.serve(
            c.PauseCollection(command_id=self.name("C"), until=ist_day(self.now) + timedelta(days=days), reason="")
        )

    @rule(status=st.sampled_from(["active", "active", "paused", "cancelled"]))
    def the_mandate_changes(self, status: str) -> None:
        self.serve(c.ChangeMandate(mandate_id="M-1", status=status))

    @rule(rail=st.sampled_from(["enach", "upi"]))
    def another_mandate_is_registered(self, rail: str) -> None:
        self.rail = rail
        mandate = {**MANDATE, "rail": rail, "max_amount_paise": rupees("9,000")}
        self.serve(c.RegisterMandate(command_id=self.name("C"), mandate=mandate))

    @precondition(lambda self: bool(self.loan.refunds))
    @rule(arrives=st.booleans(), returned=st.booleans())
    def a_refund_is_answered(self, arrives: bool, returned: bool) -> None:
        known = list(self.loan.refunds)[-1]
        if arrives:
            day = ist_day(self.now)
            self.serve(c.SettlePayout(instruction_id=known, amount_paise=None, value_on=day, reference="UTR"))
        else:
            self.serve(c.FailPayout(instruction_id=known, code="R01", reason="", returned=returned))

    @rule(sure=st.sampled_from([False, False, False, False, True]))
    def the_loan_is_written_off(self, sure: bool) -> None:
        if sure:
            self.serve(c.WriteOff(command_id=self.name("C"), reason="gone"))

    # --- what always holds ---

    @invariant()
    def every_rupee_is_accounted_for(self) -> None:
        self.loan.check()
        assert all(0 <= due.paid <= due.amount for due in self.loan.dues)

    @invariant()
    def the_rows_to_come_are_the_principal_not_due(self) -> None:
        loan = self.loan
        if loan.stage == "active":
            ahead = sum(row.principal for row in loan.rows[loan.due_rows :])
            assert ahead == loan.principal_not_due() + self.still_to_be_capitalised()

    def still_to_be_capitalised(self) -> int:
        """Interest of a moratorium that is in the rows already and joins the principal at its end."""
        loan = self.loan
        held = loan.booked_terms["moratorium_instalments"]
        if loan.due_rows >= held or held >= len(loan.rows):
            return 0
        return loan.rows[held].opening - loan.rows[held - 1].closing

    @invariant()
    def a_second_model_agrees(self) -> None:
        books = audited(self.events)
        assert {due.key: due.paid for due in self.loan.dues if due.amount} == {
            name: paise for name, paise in books.paid().items() if self.loan.due_by_key[name].amount
        }
        assert books.held == self.loan.excess_paise
        assert books.principal == self.loan.principal_paise

    @invariant()
    def nothing_is_held_while_something_is_owed(self) -> None:
        if self.loan.stage == "active":
            assert not (self.loan.excess_paise and self.loan.payable_paise())
        if self.loan.stage == "closed":
            assert self.loan.payable_paise() == self.loan.principal_paise == self.loan.excess_paise == 0

    @invariant()
    def nothing_due_is_left_undone(self) -> None:
        task = next_task(self.loan, RULES)
        assert task is None or task.at > self.now

    @invariant()
    def time_goes_on(self) -> None:
        known = [event.timestamp for event in self.events]
        assert known == sorted(known)
        assert known[-1] <= self.now

    @invariant()
    def an_instruction_is_given_once_and_within_the_mandate(self) -> None:
        debits = [event for event in self.events if isinstance(event, DebitAttempted)]
        assert len({debit.instruction_id for debit in debits}) == len(debits)
        assert all(0 < debit.amount_paise <= rupees("9,000") for debit in debits)

    def teardown(self) -> None:
        if not hasattr(self, "loan"):
            return
        again = folded(self.events)
        assert fields(again) == fields(self.loan)
        loaded = snapshot.load(LOAN, snapshot.dump(self.loan))
        assert fields(loaded) == fields(self.loan)
        later = self.now + timedelta(days=100)
        for loan in (again, loaded, self.loan):
            handle(loan, c.WakeUp(now=later), later, RULES)
        assert again.take_events() == loaded.take_events() == self.loan.take_events()


DEEP = settings.get_current_profile_name() == "deep"
Life.TestCase.settings = settings(max_examples=4_000 if DEEP else 200, stateful_step_count=40)
TestRandomLives = Life.TestCase


# --- Order and time ------------------------------------------------------------------------------------------

DAY_OF_PAYMENT = st.integers(6, 120)
SOME_MONEY = st.lists(st.tuples(st.integers(1, 800_000), DAY_OF_PAYMENT, DAY_OF_PAYMENT), min_size=1, max_size=6)
"""(paise, day on which it counts, day on which it comes, if later), days from 1 January."""


def the_day(number: int) -> datetime:
    return on("1 Jan") + timedelta(days=number)


def paid(amount: int, number: int, counts: int) -> Doing:
    return payment(str(amount / 100), f"P-{number}", value=f"{the_day(counts):%-d %b %Y}")


def stands(story: Story) -> tuple[Any, ...]:
    """What the borrower sees: paid and unpaid of each due, principal, excess, and how late it is."""
    loan = story.when(the_day(150)).the_loan
    return (
        [(due.key, due.paid, due.unpaid) for due in loan.dues],
        loan.principal_paise,
        loan.excess_paise,
        loan.oldest_unpaid(100),
        loan.classification == "NPA",
    )


@for_all(SOME_MONEY, st.randoms(use_true_random=False))
def test_the_order_in_which_money_arrives_does_not_change_what_is_paid(money: Any, random: Any) -> None:
    numbered = [(index, amount, counts, max(counts, comes)) for index, (amount, counts, comes) in enumerate(money)]
    by_value, shuffled = a_loan_without_mandate(), a_loan_without_mandate()
    for index, amount, counts, _ in sorted(numbered, key=lambda item: item[2]):
        by_value.when(the_day(counts), paid(amount, index, counts))
    random.shuffle(numbered)
    for index, amount, counts, comes in sorted(numbered, key=lambda item: item[3]):
        shuffled.when(the_day(comes), paid(amount, index, counts))
    assert stands(by_value) == stands(shuffled)


@for_all(SOME_MONEY, st.sets(st.integers(0, 5)))
def test_taking_money_back_equals_never_having_had_it(money: Any, bounced: set[int]) -> None:
    with_them, without = a_loan_without_mandate(), a_loan_without_mandate()
    numbered = sorted(((counts, index, amount) for index, (amount, counts, _) in enumerate(money)))
    for counts, index, amount in numbered:
        with_them.when(the_day(counts), paid(amount, index, counts))
        if index not in bounced:
            without.when(the_day(counts), paid(amount, index, counts))
    for index in bounced & set(range(len(money))):
        with_them.when(the_day(130), taken_back(f"P-{index}"))
    assert stands(with_them) == stands(without)


@settings(max_examples=150, deadline=None)
@for_all(st.integers(0, 10**9))
def test_a_second_model_agrees_with_everything_that_people_do(seed: int) -> None:
    life = a_life(seed)
    assume(not any(isinstance(event, Settled) for event in life))
    loan, books = the_loan(life), audited(life)
    owed = {due.key: due.paid for due in loan.dues if due.amount}
    assert owed == {name: paise for name, paise in books.paid().items() if name in owed}
    assert (books.held, books.principal) == (loan.excess_paise, loan.principal_paise)


WHAT_HAPPENS = st.lists(
    st.tuples(
        st.integers(1, 400),  # hours since the one before
        st.sampled_from(["pay", "answer", "fail", "hard", "pending"]),
        st.integers(1, 600_000),
    ),
    max_size=12,
)


@for_all(WHAT_HAPPENS, st.lists(st.integers(0, 24 * 150), max_size=40))
def test_how_often_the_clock_is_looked_at_changes_nothing(happenings: Any, looks: list[int]) -> None:
    def lived(extra: list[int]) -> list[tuple[Any, ...]]:
        story = a_loan(salary_day=1)
        moments = sorted({the_day(5) + timedelta(hours=hours) for hours in extra})
        at = on("5 Jan")
        for index, (hours, kind, amount) in enumerate(happenings):
            at += timedelta(hours=hours)
            while moments and moments[0] < at:
                story.when(moments.pop(0))
            story.when(at)
            flying = next(iter(story.the_loan.in_flight.values()), None)
            if kind == "pay":
                story.when(at, payment(str(amount / 100), f"P-{index}"))
            elif flying is not None:
                answer = {
                    "answer": debit_succeeded(flying.number, flying.attempt),
                    "fail": debit_failed(flying.number, flying.attempt),
                    "hard": debit_failed(flying.number, flying.attempt, code="01"),
                    "pending": debit_failed(flying.number, flying.attempt, code="98"),
                }
                story.when(at, answer[kind])
        for moment in [*moments, the_day(400)]:
            story.when(max(moment, at))
        return [(event.timestamp, event.originator_version, event) for event in story.events]

    assert lived([]) == lived(looks)


def test_a_refusal_still_records_what_time_had_asked_for() -> None:
    story = a_loan().when(on("4 Feb 12:00"))
    loan = story.the_loan
    noon = on("5 Feb 12:00")
    with pytest.raises(Refused, match=Refusal.amount_must_be_positive):
        handle(loan, payment("0")(loan, noon), noon, RULES)
    assert [type(event).__name__ for event in loan.take_events()] == ["InstalmentDue", "DebitAttempted"]
