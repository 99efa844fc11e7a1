"""One NPA loan makes all of the borrower's loans NPA; upgrade only when all arrears of all loans are paid (rule 21)."""

from datetime import timedelta
from random import Random

import pytest

from domain import commands as c
from domain import events as e
from tests.stories import asked, day, on
from tests.streams.borrower import Borrower, pay_all

NPA_DAY = "7 May 00:01"
"""The end of the 91st day of what fell due on 5 Feb, which is day 1 itself."""


def two_loans() -> Borrower:
    """LN-1 and LN-2, both due on the 5th; LN-2 is paid every month, LN-1 never."""
    borrower = Borrower().with_loan("LN-1").with_loan("LN-2")
    for month in ("5 Feb", "5 Mar", "5 Apr", "5 May"):
        borrower.say("LN-2", on(month), pay_all())
    return borrower.settle()


def both_npa() -> Borrower:
    return two_loans().pass_time(on(NPA_DAY)).settle()


def test_one_npa_loan_makes_the_others_npa():
    borrower = both_npa()
    assert borrower.classes() == {"LN-1": "NPA", "LN-2": "NPA"}
    assert (borrower.because("LN-1"), borrower.because("LN-2")) == ("", "LN-1")
    [changed] = borrower.stories["LN-2"].all(e.DelinquencyChanged)
    assert (changed.because, changed.dpd, changed.oldest_due_on) == ("borrower", 0, "")


def test_all_are_standard_again_when_all_arrears_are_paid():
    borrower = both_npa().say("LN-1", on("8 May"), pay_all()).settle()
    assert borrower.classes() == {"LN-1": "standard", "LN-2": "standard"}
    assert [fact.npa for fact in borrower.stories["LN-2"].all(e.BorrowerStandingChanged)] == [True, False]
    assert borrower.stories["LN-1"].all(e.BorrowerStandingChanged) == []


def test_a_loan_that_came_into_arrears_meanwhile_holds_up_the_one_that_began():
    borrower = both_npa().pass_time(on("6 Jun 00:01")).settle()  # now LN-2 is overdue, too, and NPA by that
    assert borrower.because("LN-1") == "LN-2"
    borrower.say("LN-1", on("7 Jun"), pay_all()).settle()
    assert borrower.classes() == {"LN-1": "NPA", "LN-2": "NPA"}
    borrower.say("LN-2", on("8 Jun"), pay_all()).settle()
    assert borrower.classes() == {"LN-1": "standard", "LN-2": "standard"}


def test_a_due_of_today_that_is_paid_today_holds_up_nobody():
    """Two loans that are NPA for a third's sake on their own due day: paid that day, they do not hold each other."""
    borrower = Borrower().with_loan("LN-1").with_loan("LN-2", first_due="7 Feb").with_loan("LN-3", first_due="7 Feb")
    for month in ("7 Feb", "7 Mar", "7 Apr"):
        borrower.say("LN-2", on(month), pay_all()).say("LN-3", on(month), pay_all())
    borrower.pass_time(on(NPA_DAY)).settle()  # 7 May: both have a due of today when they hear of LN-1
    assert borrower.stories["LN-2"].all(e.DelinquencyChanged)[-1].oldest_due_on == "2026-05-07"
    borrower.say("LN-2", on("7 May 11:00"), pay_all()).say("LN-3", on("7 May 11:00"), pay_all())
    borrower.say("LN-1", on("7 May 12:00"), pay_all()).settle()
    assert set(borrower.classes().values()) == {"standard"}


def test_a_loan_alone_is_never_told_anything():
    borrower = Borrower().with_loan("LN-1").pass_time(on(NPA_DAY)).settle()
    assert borrower.classes() == {"LN-1": "NPA"}
    assert borrower.stories["LN-1"].all(e.BorrowerStandingChanged) == []


def test_a_new_loan_of_a_borrower_who_is_npa_is_npa_from_its_first_day():
    borrower = Borrower().with_loan("LN-1").pass_time(on(NPA_DAY)).settle()
    borrower.with_loan("LN-2", at="8 May", first_due="5 Jun").settle()
    assert borrower.classes() == {"LN-1": "NPA", "LN-2": "NPA"}


def test_a_restructured_loan_weighs_without_arrears():
    borrower = two_loans().say("LN-1", on("5 May 12:00"), pay_all())
    restructured = asked(c.Restructure, effective_on=day("6 May"), instalments=36, reason="hardship")
    borrower.say("LN-1", on("6 May 10:00"), restructured).settle()
    assert borrower.classes() == {"LN-1": "NPA", "LN-2": "NPA"}
    assert borrower.stories["LN-1"].the_loan.payable_paise() == 0
    assert borrower.because("LN-2") == "LN-1"


def test_a_closed_loan_leaves_the_set():
    borrower = Borrower().with_loan("LN-1", months=3).with_loan("LN-2")
    for month in ("5 Feb", "5 Mar", "5 Apr", "5 May", "5 Jun", "5 Jul"):
        borrower.say("LN-2", on(month), pay_all())
    borrower.pass_time(on("6 Jul 00:01")).settle()
    assert borrower.classes() == {"LN-1": "NPA", "LN-2": "NPA"}
    borrower.say("LN-1", on("7 Jul"), pay_all()).settle()
    assert borrower.stories["LN-1"].the_loan.stage == "closed"
    assert borrower.classes()["LN-2"] == "standard"
    borrower.pass_time(on("5 Nov 00:01")).settle()  # LN-2 pays no more, and LN-1, which is closed, hears nothing of it
    assert borrower.classes()["LN-2"] == "NPA"
    assert borrower.stories["LN-1"].all(e.BorrowerStandingChanged) == []


def test_what_was_given_up_was_not_paid():
    borrower = both_npa().say("LN-1", on("8 May"), asked(c.WriteOff, reason="no means")).settle()
    assert borrower.classes()["LN-2"] == "NPA"


def test_duplicates_change_nothing():
    borrower = both_npa().say("LN-1", on("8 May"), pay_all()).settle()
    before = {loan: len(story.events) for loan, story in borrower.stories.items()}
    known = dict(borrower.table.data)
    for record in [*borrower.topic, *reversed(borrower.topic)]:
        borrower.learn(record)
    assert borrower.table.data == known
    borrower.settle()
    assert {loan: len(story.events) for loan, story in borrower.stories.items()} == before


@pytest.mark.parametrize("seed", range(20))
def test_a_new_broker_is_told_all_and_changes_nothing(seed: int):
    """Refilled from the log in any order, with half of the loans told before the other half."""
    borrower = Borrower().with_loan("LN-1").with_loan("LN-2").with_loan("LN-3", months=6)
    for month in ("5 Feb", "5 Mar", "5 Apr", "5 May"):
        borrower.say("LN-2", on(month), pay_all())
    borrower.pass_time(on(NPA_DAY)).settle().say("LN-3", on("8 May"), pay_all()).settle()
    before = {loan: len(story.events) for loan, story in borrower.stories.items()}
    borrower.lose_the_broker()
    Random(seed).shuffle(borrower.topic)
    borrower.settle()
    assert {loan: len(story.events) for loan, story in borrower.stories.items()} == before


@pytest.mark.parametrize("seed", range(40))
def test_whatever_comes_in_whatever_order_each_loan_is_npa_while_another_weighs(seed: int):
    """Three loans live on; what they tell arrives late, twice, or on a new broker."""
    random, borrower = Random(seed), Borrower()
    for loan in ("LN-1", "LN-2", "LN-3"):
        borrower.with_loan(loan, months=random.choice((4, 24)))
    borrower.settle()
    now = on("5 Feb")
    for _ in range(60):
        now += timedelta(hours=random.choice((3, 24, 24 * 9)))
        active = [loan for loan, story in borrower.stories.items() if story.the_loan.stage == "active"]
        if active and random.random() < 0.35:
            borrower.say(random.choice(active), now, pay_all())
        else:
            borrower.pass_time(now)
        if borrower.heard and random.random() < 0.2:  # taken again: the worker died before it was committed
            borrower.heard = random.randrange(max(0, borrower.heard - 3), borrower.heard)
        if random.random() < 0.05:
            borrower.lose_the_broker()
        borrower.settle_somehow(random, random.randrange(6))
    borrower.settle()
    weighing = borrower.weighing()
    for loan, story in borrower.stories.items():
        if story.the_loan.stage == "active":
            assert bool(story.the_loan.borrower_npa) == bool(weighing - {loan}), (loan, weighing)
    for story in borrower.stories.values():  # the flag turns: it is never told what it knows
        turns = [fact.npa for fact in story.all(e.BorrowerStandingChanged)]
        assert turns == [number % 2 == 0 for number in range(len(turns))]
