"""When a failed debit is tried again, by what is known of the borrower and of the whole book."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from domain.calendar import IST, ist_day
from domain.events import BounceForeseen, CollectionExhausted, DebitFailed, RetryScheduled
from domain.failures import SOFT, SUCCESS, TECHNICAL, Diagnosis
from domain.parts import Answered
from domain.policies.insight import Insight, Tally, Way
from domain.policies.likelihood import Borrower, Seen, believe, funded, futures_of, likelihood, slot_of, slot_on
from domain.policies.retry import Failed, GiveUp, RetryAt, Tried, next_attempt
from domain.policies.timing import Chance, Stakes, choose
from domain.policies.weighing import DEAREST, WAIT, Question, foresee, price_of_a_day, weigh
from tests.examples import a_house, a_loan, by_the_calendar
from tests.stories import debit_failed, debit_succeeded, given, on

RULES = a_house(debits={"explore_percent": 0})
PRODUCT = RULES.products.newest("personal-loan")
NO_FUNDS = Diagnosis("04", SOFT, "retry_after_funds", "no funds", True)
SWITCH_DOWN = Diagnosis("59", TECHNICAL, "retry", "switch down", False)
DUE = date(2026, 6, 5)


def at(text: str) -> datetime:
    return datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=IST)


def months_of(day: int, outcome: str, *, hour: int = 7) -> list[Answered]:
    """Five instalments that were answered alike, on a day of January to May."""
    return [Answered(datetime(2026, month, day, hour, tzinfo=IST), month, outcome) for month in range(1, 6)]


def failed(answers=(), *, salary_day: int = 0, segment: str = "salaried", outcome: str = SOFT, **changes) -> Failed:
    """The sixth instalment, due on 5 June, failed at 7:00."""
    return Failed(
        **{
            "loan_id": "LN-1",
            "number": 6,
            "due_on": DUE,
            "amount_paise": 800_000,
            "bank": "SBI",
            "borrower": Borrower(segment, salary_day),
            "answers": [*answers, Answered(at("06-05 07:00"), 6, outcome)],
            **changes,
        }
    )


def decided(asked: Failed, diagnosis=NO_FUNDS, *, product=PRODUCT, rail="enach", insight=None):
    answer = next_attempt(product, diagnosis, Tried(1, rail, 1), asked, at("06-05 13:00"), insight or Insight.empty())
    assert isinstance(answer, RetryAt)
    return answer


# --- what is learnt ----------------------------------------------------------------------------------------------


def test_a_borrower_whose_money_was_there_on_the_tenth_is_asked_from_the_tenth_on() -> None:
    """Due on the 5th and never paid then; each month the debit on the 10th brought it."""
    history = sorted([*months_of(5, SOFT), *months_of(8, SOFT), *months_of(10, SUCCESS)])
    answer = decided(failed(history))
    assert date(2026, 6, 10) <= ist_day(answer.at) <= date(2026, 6, 13)
    assert answer.likelihood_percent >= 70
    assert answer.inputs["payday"] in (9, 10)


def test_the_declared_salary_day_counts_until_debits_say_otherwise() -> None:
    believed = believe(Borrower("salaried", 7), [], slot_on(DUE, 7))
    assert believed.payday()[0] == 7
    history = sorted([*months_of(7, SOFT), *months_of(9, SOFT), *months_of(20, SUCCESS), *months_of(19, SOFT)])
    told = [(slot_on(each.at.date(), each.at.hour), each.number, each.outcome == SUCCESS) for each in history]
    assert believe(Borrower("salaried", 7), [Seen(*each) for each in told], slot_on(DUE, 7)).payday()[0] in (19, 20)


def test_what_is_a_year_old_says_less_than_what_was_last_month() -> None:
    def belief(months_ago: int) -> float:
        seen = Seen(slot_on(DUE - timedelta(days=30 * months_ago), 7), 1, funded=True)
        return believe(Borrower("gig"), [seen], slot_on(DUE, 7)).regular

    prior = believe(Borrower("gig"), [], slot_on(DUE, 7)).regular
    assert abs(belief(12) - prior) < abs(belief(1) - prior)


def test_a_payday_that_has_moved_is_followed_within_three_instalments() -> None:
    """Ten months of money on the 5th; then the 5th bounces three times and the 16th pays."""
    old = [Seen(slot_on(DUE - timedelta(days=30 * ago), 7), -ago, funded=True) for ago in range(13, 3, -1)]
    answers = sorted([*months_of(5, SOFT)[-3:], *months_of(16, SUCCESS)[-3:]])
    new = [Seen(slot_of(at), number, outcome == SUCCESS) for at, number, outcome in answers]
    before, after = (believe(Borrower("salaried", 5), seen, slot_on(DUE, 7)) for seen in (old, [*old, *new]))
    assert funded(before, old[-1], slot_on(DUE, 7)) > 0.6
    assert funded(after, new[-1], slot_on(DUE, 7)) < 0.4
    assert funded(after, new[-1], slot_on(DUE + timedelta(days=11), 7)) > 0.8


def test_wages_that_come_on_fridays_are_asked_for_on_fridays() -> None:
    """Money on Fridays and gone by Sunday, whatever the day of the month."""
    fridays = [DUE - timedelta(days=7 * ago) for ago in range(20, 0, -1)]
    seen = [
        Seen(slot_on(friday + timedelta(days=off), 10), -number, funded=off == 0)
        for number, friday in enumerate(fridays)
        for off in (0, 3)
    ]
    believed = believe(Borrower("gig"), seen, slot_on(DUE, 7))
    assert believed.periodic > 0.9
    assert believed.weekday() in (3, 4)
    futures = futures_of(believed, (DUE + timedelta(days=3)).toordinal(), 7)
    monday, friday = (likelihood(futures, day * 3 + 1) for day in (0, 4))
    assert friday > 0.7 > 0.2 > monday


@pytest.mark.parametrize("segment", ["salaried", "self-employed", "gig", "distressed", "", "never heard of"])
def test_beliefs_are_probabilities(segment: str) -> None:
    believed = believe(Borrower(segment, 31), [], slot_on(DUE, 7))
    assert sum(believed.weights) == pytest.approx(1)
    futures = futures_of(believed, DUE.toordinal(), 25)
    assert all(0 <= likelihood(futures, slot) <= 1 for slot in range(75))


# --- what is chosen ----------------------------------------------------------------------------------------------


def test_the_set_of_moments_is_chosen_together_each_for_what_the_others_miss() -> None:
    """Two habits, one likelier, each with several days: the second moment goes to the other habit, not to the
    second best day of the first."""
    due = DUE.toordinal()
    early, late = 0b111 << (3 * 3), 0b111 << (12 * 3)
    futures = {early | early << 3: 0.6, late: 0.4}
    chances = [Chance(datetime(2026, 6, 5, 10, tzinfo=IST) + timedelta(days=ahead)) for ahead in range(1, 20)]
    chosen = choose(futures, due, chances, 2, Stakes(800_000, 500, 25_000, 0.01), 3)
    assert [(ist_day(moment.at) - DUE).days for moment in chosen.moments] == [3, 12]


def test_waiting_is_dearer_where_the_book_recovers_late_and_cheaper_where_soon() -> None:
    late, usual, soon = (
        price_of_a_day(Insight(DUE, recovered=500, recovery_days=days)) for days in (4_500, 3_900, 3_000)
    )
    assert late > usual > soon
    assert usual == pytest.approx(WAIT)
    assert price_of_a_day(Insight.empty()) == WAIT
    assert price_of_a_day(Insight(DUE, recovered=500, recovery_days=20_000)) == DEAREST


def test_an_attempt_that_is_not_worth_its_cost_is_not_made() -> None:
    chances = [Chance(at("06-07 07:00")), Chance(at("06-09 07:00"))]
    nothing = choose({0: 1.0}, DUE.toordinal(), chances, 2, Stakes(100_000, 500, 25_000, 0.01), 3)
    assert nothing.moments == []
    worth = choose({0: 1.0}, DUE.toordinal(), chances, 2, Stakes(100_000_000, 500, 0, 0.01), 3)
    assert worth.moments


def test_a_bank_that_was_down_all_yesterday_is_given_time() -> None:
    asked = failed(months_of(5, SUCCESS), outcome=TECHNICAL)
    down = Insight(DUE, yesterday={Way("SBI", "enach", "", 7): Tally(technical=500)})
    calm = Insight(DUE, yesterday={Way("SBI", "enach", "", 7): Tally(success=500)})
    assert (
        decided(asked, SWITCH_DOWN, insight=calm).inputs["through_percent"]
        > (decided(asked, SWITCH_DOWN, insight=down).inputs["through_percent"])
    )


def test_a_technical_failure_is_tried_again_within_days_where_the_money_is_usually_there() -> None:
    answer = decided(failed(months_of(5, SUCCESS), outcome=TECHNICAL), SWITCH_DOWN)
    assert ist_day(answer.at) <= DUE + timedelta(days=3)
    assert answer.likelihood_percent >= 50


def test_hard_failures_are_never_repeated() -> None:
    closed = Diagnosis("01", "hard", "fix_mandate", "account closed", False)
    answer = next_attempt(PRODUCT, closed, Tried(1, "enach", 1), failed(salary_day=7), at("06-05 13:00"), Insight())
    assert answer == GiveUp("hard failure 01: account closed", "fix_mandate")


@pytest.mark.parametrize("rail", ["enach", "upi", "card"])
def test_a_retry_keeps_window_notice_and_hours(rail: str) -> None:
    for salary_day in range(32):
        answer = decided(failed(salary_day=salary_day), rail=rail)
        assert DUE < ist_day(answer.at) <= DUE + timedelta(days=PRODUCT.window_days)
        assert (answer.at.hour, answer.at.minute) in {(7, 0), (14, 0)}
        if rail != "enach":
            assert answer.at >= at("06-05 13:00") + timedelta(hours=24)


def test_exploring_is_bounded_and_falls_out_the_same_each_time() -> None:
    always = a_house(debits={"explore_percent": 10}).products.newest("personal-loan")
    answers = [decided(failed(salary_day=9, loan_id=f"LN-{n}"), product=always) for n in range(200)]
    again = [decided(failed(salary_day=9, loan_id=f"LN-{n}"), product=always) for n in range(200)]
    assert answers == again
    explored = [answer for answer in answers if answer.explored]
    assert 5 <= len(explored) <= 40
    best = decided(failed(salary_day=9))
    assert all(answer.likelihood_percent >= 0.7 * best.likelihood_percent for answer in explored)


# --- in a life ---------------------------------------------------------------------------------------------------


def test_a_decision_is_recorded_with_what_it_went_by_and_what_else_was_weighed() -> None:
    story = given(a_loan(rules=RULES, salary_day=7)).when(on("5 Feb"), debit_failed())
    decision = story.all(RetryScheduled)[0]
    assert decision.model == "habits-2"
    assert 0 < decision.likelihood_percent < 100
    assert decision.inputs["salary_day"] == 7
    assert decision.reason.startswith("no funds (04): income around day 7 of the month")
    assert len(decision.alternatives) == 3
    assert all({"at", "why_not", "likelihood_percent"} == set(other) for other in decision.alternatives)


def test_the_loan_remembers_how_its_debits_went() -> None:
    story = given(a_loan()).when(on("5 Feb 13:00"), debit_failed()).when(on("8 Feb 13:00"), debit_succeeded(attempt=2))
    assert story.the_loan.answered_debits == [
        Answered(on("5 Feb 07:00"), 1, SOFT),
        Answered(on("8 Feb 07:00"), 1, SUCCESS),
    ]


def test_a_product_can_switch_the_model_off() -> None:
    story = given(a_loan(rules=by_the_calendar(), salary_day=20)).when(on("5 Feb"), debit_failed())
    decision = story.all(RetryScheduled)[0]
    assert (decision.at, decision.model) == (on("8 Feb 07:00").isoformat(), "")


def test_of_a_borrower_of_whom_nothing_is_known_the_products_waits_decide() -> None:
    story = given(a_loan()).when(on("5 Feb"), debit_failed())
    assert story.all(RetryScheduled)[0].model == ""


def test_where_no_moment_is_worth_an_attempt_a_person_takes_over() -> None:
    dear = a_house(debits={"attempt_paise": 10_000_000})
    story = given(a_loan(rules=dear, salary_day=7)).when(on("5 Feb"), debit_failed())
    assert story.all(DebitFailed)
    assert story.all(RetryScheduled) == []
    assert story.all(CollectionExhausted)[0].reason.startswith("no moment until 2026-03-02 is worth an attempt")


def test_the_same_question_has_the_same_answer() -> None:
    question = Question(
        borrower=Borrower("gig", 0),
        bank="SBI",
        rail="upi",
        number=6,
        due_day=DUE.toordinal(),
        answers=[*months_of(5, SUCCESS), Answered(at("06-05 07:00"), 6, SOFT)],
        moments=[at(f"06-{day:02d} 14:00") for day in range(6, 30)],
        tries=3,
        gap_hours=24,
        stakes=Stakes(500_000, 500, 25_000, 0.02),
    )
    assert weigh(question, Insight()) == weigh(question, Insight())


# --- ahead -------------------------------------------------------------------------------------------------------


def test_a_bounce_is_foreseen_where_the_last_ones_bounced_and_the_reasons_are_named() -> None:
    due = at("06-05 07:00")
    bounced, paid = (foresee(Borrower("salaried", 7), months_of(5, outcome), due) for outcome in (SOFT, SUCCESS))
    assert bounced.bounces > 0.7 > 0.3 > paid.bounces
    assert bounced.reasons[:2] == ("last-instalment-bounced", "most-instalments-bounced")
    assert "payday-after-due-day" in bounced.reasons
    assert not {"last-instalment-bounced", "most-instalments-bounced"} & set(paid.reasons)
    assert "no-history" in foresee(Borrower("gig"), [], due).reasons


def test_a_debit_that_never_reached_the_account_foretells_nothing() -> None:
    due = at("06-05 07:00")
    assert foresee(Borrower("gig"), months_of(5, TECHNICAL), due) == foresee(Borrower("gig"), [], due)


def bounced_once(**debits: int):
    """The first instalment (5 Feb) finds no funds; another means of payment settles it."""
    story = a_loan(rules=a_house(debits={"max_attempts": 1, **debits}))
    return story.when(on("5 Feb 07:00")).when(on("5 Feb 13:00"), debit_failed())


def test_after_a_bounce_the_next_instalment_is_looked_at_ahead_once_and_the_borrower_told() -> None:
    story = given(bounced_once()).when(on("28 Feb 10:00"))
    (seen,) = story.all(BounceForeseen)
    assert (seen.number, seen.due_on, seen.model, seen.nudged) == (2, "2026-03-05", "habits-2", True)
    assert seen.likelihood_percent >= 50
    assert seen.reasons[0] == "last-instalment-bounced"
    assert len(story.when(on("4 Mar 23:00")).all(BounceForeseen)) == 1


def test_below_the_threshold_what_was_foreseen_is_recorded_and_nobody_is_told() -> None:
    (seen,) = given(bounced_once(bounce_risk_percent=100)).when(on("28 Feb 10:00")).all(BounceForeseen)
    assert not seen.nudged


@pytest.mark.parametrize(("debits", "code"), [({"bounce_risk_percent": 0}, "04"), ({}, "59")])
def test_nobody_looks_ahead_where_the_product_forbids_or_nothing_bounced(debits: dict[str, int], code: str) -> None:
    """Code 59 is technical: the money may well have been there."""
    story = given(a_loan(rules=a_house(debits={"max_attempts": 1, **debits}))).when(on("5 Feb 07:00"))
    assert story.when(on("5 Feb 13:00"), debit_failed(code=code)).when(on("4 Mar 23:00")).all(BounceForeseen) == []


@pytest.mark.parametrize("retry", ["adaptive", "calendar"])
def test_a_soft_failure_that_is_no_want_of_funds_is_called_what_it_is(retry: str) -> None:
    limit = Diagnosis("58", SOFT, "retry", "Account reached maximum debit limit", False)
    decision = decided(failed(salary_day=7), limit, product=replace(PRODUCT, retry=retry))
    assert decision.reason.startswith("Account reached maximum debit limit (58): ")
