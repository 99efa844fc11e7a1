"""Arrears by strategy, promises to pay, and the people who work on cases."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from adapters.house import load_rules
from adapters.strategies import StrategyRefused, load_strategies
from domain import commands as c
from domain.calendar import ist_day
from domain.events import (
    CaseAssigned,
    CaseClosed,
    CaseEscalated,
    CaseNoted,
    CaseOpened,
    CollectionPlanned,
    CollectionStepTaken,
    DebitAttempted,
    DelinquencyChanged,
    GrievanceEscalated,
    PaymentReceived,
    PromiseBroken,
    PromiseKept,
    PromiseMade,
    ReceiptReversed,
)
from domain.policies.collections import Arrears
from domain.refusals import Refusal
from tests.examples import EMI, a_loan, a_loan_without_mandate
from tests.stories import Story, a, asked, day, debit_failed, given, on, payment, rupees, taken_back

RULES = load_rules()
STANDARD = RULES.strategies.known[0]


def a_house(arm: str = "champion", *, casework: bool = False):
    """The shipped strategy with all loans in one arm; without time limits of cases unless the story is about them."""
    arms = tuple(replace(one, percent=100 if one.name == arm else 0) for one in STANDARD.arms)
    strategies = replace(RULES.strategies, known=(replace(STANDARD, arms=arms),))
    kinds = (
        RULES.casework.kinds if casework else {k: replace(v, escalates_to=()) for k, v in RULES.casework.kinds.items()}
    )
    return replace(RULES, strategies=strategies, casework=replace(RULES.casework, kinds=kinds))


def unpaid(arm: str = "champion", *, casework: bool = False, until: str = "6 Feb") -> Story:
    """Rs. 1,00,000; the first instalment, 4,993, was due on 5 Feb and is not paid."""
    return a_loan_without_mandate(rules=a_house(arm, casework=casework)).when(on(until))


def promised(amount: str, by: str, command_id: str = "C-1", **more: str):
    return asked(c.PromiseToPay, command_id, amount_paise=rupees(amount), by=day(by), **{"channel": "call", **more})


def done(story: Story) -> list[str]:
    """The steps that were taken: what, and on which day."""
    return [f"{step.do} {ist_day(step.timestamp):%-d %b}" for step in story.all(CollectionStepTaken)]


# --- Strategies ----------------------------------------------------------------------------------------------


def test_the_first_day_past_due_plans_what_happens_and_says_why():
    [planned] = unpaid().all(CollectionPlanned)
    assert (planned.arm, planned.bucket, planned.segment, planned.first) == (
        "champion", "1-30", "first-payment-default", True,
    )  # fmt: skip
    assert planned.looked_at == {
        "bounced_instalments": 0, "broken_promises": 0, "instalments_due": 1, "ever_paid": False,
        "overdue_paise": rupees(EMI), "principal_paise": rupees("1,00,000"),
    }  # fmt: skip
    assert planned.steps == [
        {"do": "call", "at": on("7 Feb").isoformat()},
        {"do": "reminder", "at": on("8 Feb").isoformat()},
        {"do": "payment-link", "at": on("12 Feb").isoformat()},
        {"do": "call", "at": on("20 Feb").isoformat()},
    ]


def test_steps_come_on_their_days_bucket_by_bucket_and_a_call_that_waits_is_not_asked_for_twice():
    story = unpaid(until="30 Apr")
    assert done(story) == [
        "call 7 Feb", "reminder 8 Feb", "payment-link 12 Feb", "call 20 Feb",
        "payment-link 8 Mar", "call 9 Mar",
        "call 7 Apr", "visit 13 Apr", "legal-notice 26 Apr",
    ][: len(done(story))]  # fmt: skip
    assert [case.kind for case in story.all(CaseOpened)] == ["call", "visit"]


def test_a_challenger_s_loans_go_another_way():
    assert done(unpaid("challenger", until="16 Feb")) == [
        "payment-link 6 Feb",
        "call 7 Feb",
        "reminder 10 Feb",
        "payment-link 15 Feb",
    ]


def test_what_is_paid_is_left_in_peace_and_the_call_is_not_made():
    story = unpaid(until="8 Feb 12:00")
    story.when(on("9 Feb"), payment(EMI)).then(
        a(PaymentReceived),
        a(DelinquencyChanged, dpd=0),
        a(CaseClosed, case_id="LN-1:case:1", disposition="cured"),
    )
    assert done(story.when(on("1 Mar"))) == ["call 7 Feb", "reminder 8 Feb"]
    [_, again] = story.when(on("6 Mar")).all(CollectionPlanned)
    assert (again.first, again.segment) == (True, "regular")


def test_a_pause_holds_the_steps_back_and_loses_none():
    story = unpaid().when(on("6 Feb 11:00"), asked(c.PauseCollection, until=day("10 Feb"), reason="flood"))
    assert done(story.when(on("11 Feb 12:00"))) == ["call 11 Feb"]
    assert done(story.when(on("12 Feb 12:00"))) == ["call 11 Feb", "reminder 12 Feb", "payment-link 12 Feb"]


@pytest.mark.parametrize("reason", ["calamity", "bereavement"])
def test_nobody_calls_or_writes_for_money_while_a_hold_stands(reason: str):
    hold = asked(c.HoldContact, reason=reason, until=day("20 Feb"))
    story = unpaid().when(on("6 Feb 11:00"), hold).when(on("20 Feb 23:00"))
    assert (done(story), story.all(CaseOpened)) == ([], [])
    assert done(story.when(on("23 Feb 12:00"))) == ["call 21 Feb", "reminder 22 Feb", "payment-link 23 Feb"]


def test_after_a_death_nobody_calls_until_a_person_says_that_debits_go_on():
    story = a_loan(rules=a_house()).when(on("5 Feb 10:00"), debit_failed(code="60")).when(on("20 Feb"))
    assert (done(story), [case.kind for case in story.all(CaseOpened)]) == ([], ["debits-stopped"])
    story.when(on("20 Feb 11:00"), asked(c.ResumeDebits, reason="the heirs go on paying")).when(on("21 Feb 12:00"))
    assert done(story) == ["call 21 Feb"]


def test_a_hold_that_is_called_off_lets_the_steps_go_on():
    story = unpaid().when(on("6 Feb 11:00"), asked(c.HoldContact, "C-1", reason="calamity", until=day("28 Feb")))
    story.when(on("10 Feb 11:00"), asked(c.HoldContact, "C-2", reason="calamity", until=day("9 Feb")))
    assert done(story.when(on("11 Feb 12:00"))) == ["call 11 Feb"]


@pytest.mark.parametrize(
    ("arrears", "segment"),
    [
        (Arrears(0, 0, 1, False, 1, 1), "first-payment-default"),
        (Arrears(0, 0, 2, False, 1, 1), "regular"),
        (Arrears(0, 1, 5, True, 1, 1), "high-risk"),
        (Arrears(3, 0, 5, True, 1, 1), "high-risk"),
        (Arrears(2, 0, 5, True, 1, 50_000_000), "high-balance"),
        (Arrears(2, 0, 5, True, 1, 49_999_999), "regular"),
    ],
)
def test_a_segment_follows_from_risk_history_and_balance(arrears: Arrears, segment: str):
    assert STANDARD.segment_of(arrears).name == segment


def test_arms_have_their_shares_and_a_loan_keeps_its_arm_in_every_version():
    arms = Counter(STANDARD.arm_of(f"LN-{number}").name for number in range(10_000))
    assert arms["champion"] + arms["challenger"] == 10_000
    assert abs(arms["challenger"] - 2_000) < 160  # four standard deviations
    assert replace(STANDARD, version=9).arm_of("LN-7").name == STANDARD.arm_of("LN-7").name
    assert [STANDARD.arm_of(f"LN-{number}").name for number in (1, 2, 3)] == [
        STANDARD.arm_of(f"LN-{number}").name for number in (1, 2, 3)
    ]


def test_a_strategy_file_that_cannot_be_used_names_its_field(tmp_path):
    (tmp_path / "strategies").mkdir()
    file = tmp_path / "strategies" / "own.toml"
    start = 'name = "own"\nversion = 1\nproducts = ["personal-loan"]\n[[segments]]\nname = "all"\n'
    arm = '[[arms]]\nname = "one"\npercent = {}\nsteps = [{{ bucket = "1-30", day = 1, do = "{}" }}]\n'
    for text, said in (
        (start + arm.format(90, "call"), "add up to 90"),
        (start + arm.format(100, "shout"), "arms.0.steps.0.do"),
        (start.replace('"all"', '"rich"\nprincipal_paise = 5') + arm.format(100, "call"), "loans may fit none"),
        ("name =", "this is not TOML"),
    ):
        file.write_text(text)
        with pytest.raises(StrategyRefused, match=said):
            load_strategies(tmp_path)
    file.write_text(start + arm.format(100, "call"))
    strategies, _ = load_strategies(tmp_path)
    found = [strategies.of(product) for product in ("personal-loan", "home-loan")]
    assert [strategy.name for strategy in found if strategy is not None] == ["own", "standard"]


# --- Promises ------------------------------------------------------------------------------------------------


def test_a_promise_is_kept_when_the_money_is_in():
    made = a(PromiseMade, promise_id="LN-1:promise:1", amount_paise="4,000", by="2026-02-10", overdue_paise=EMI)
    story = unpaid().when(on("6 Feb 11:00"), promised("4,000", "10 Feb")).then(made)
    story.when(on("8 Feb"), payment("1,500", "P-1")).then(a(PaymentReceived))
    story.when(on("9 Feb"), payment("2,500", "P-2")).then(a(PaymentReceived), a(PromiseKept, received_paise="4,000"))


def test_a_promise_is_kept_by_whoever_pays_all_that_is_owed_though_it_is_less():
    story = unpaid().when(on("6 Feb 11:00"), promised("9,000", "10 Feb"))
    story.when(on("7 Feb 09:00"), payment(EMI)).then(
        a(PaymentReceived), a(DelinquencyChanged, dpd=0), a(PromiseKept, received_paise=EMI)
    )


def test_a_broken_promise_is_a_case_after_the_day_of_grace_and_makes_the_loan_a_risk():
    story = unpaid().when(on("6 Feb 11:00"), promised("4,000", "10 Feb"))
    story.when(on("8 Feb"), payment("1,500", "P-1"))
    story.when(on("11 Feb 23:00")).then()
    story.when(on("12 Feb 09:59")).then()
    story.when(on("12 Feb 10:00")).then(
        a(PromiseBroken, received_paise="1,500", by=day("10 Feb").isoformat()), a(CaseOpened, kind="broken-promise")
    )
    assert story.when(on("8 Mar")).all(CollectionPlanned)[-1].segment == "high-risk"


def test_steps_and_retries_wait_for_an_open_promise():
    story = unpaid().when(on("6 Feb 11:00"), promised("4,000", "12 Feb"))
    assert done(story.when(on("13 Feb 23:00"))) == []
    assert done(story.when(on("17 Feb 12:00"))) == ["call 15 Feb", "reminder 16 Feb", "payment-link 17 Feb"]
    debited = given(a_loan(rules=a_house())).when(on("5 Feb 12:00"), debit_failed())  # again on 8 Feb
    debited.when(on("6 Feb 11:00"), promised("4,000", "9 Feb")).when(on("10 Feb 23:00"))
    assert debited.at_of(DebitAttempted) == ["5 Feb 2026 07:00"]
    assert debited.when(on("12 Feb")).at_of(DebitAttempted)[1:] == ["11 Feb 2026 10:00"]


def test_money_that_was_taken_back_keeps_no_promise():
    story = unpaid().when(on("6 Feb 10:30"), payment("1,000", "P-0"))
    story.when(on("6 Feb 11:00"), promised("2,000", "10 Feb")).when(on("7 Feb 09:00"), payment("1,500", "P-1"))
    story.when(on("8 Feb 09:00"), taken_back("P-1")).then(a(ReceiptReversed))
    story.when(on("8 Feb 09:30"), taken_back("P-0")).then(a(ReceiptReversed))
    story.when(on("9 Feb 09:00"), payment("1,999", "P-2")).then(a(PaymentReceived))
    story.when(on("9 Feb 09:30"), payment("1", "P-3")).then(a(PaymentReceived), a(PromiseKept, received_paise="2,000"))


def test_a_newer_promise_takes_the_place_of_an_open_one():
    story = unpaid().when(on("6 Feb 11:00"), promised("4,000", "10 Feb"))
    story.when(on("9 Feb"), promised("4,500", "15 Feb", "C-2")).then(a(PromiseMade, replaces="LN-1:promise:1"))
    story.when(on("12 Feb")).then()
    assert story.all(PromiseBroken) == []


def test_a_promise_names_an_amount_that_is_owed_and_a_day_that_is_near():
    story = unpaid()
    story.when(on("6 Feb 11:00"), promised("4,000", "5 Feb")).refused(Refusal.promise_day_not_possible, "/by")
    story.when(on("6 Feb 11:01"), promised("4,000", "22 Feb")).refused(Refusal.promise_day_not_possible, "/by")
    story.when(on("6 Feb 11:02"), promised("0", "10 Feb")).refused(Refusal.amount_must_be_positive, "/amount_paise")
    story.when(on("6 Feb 11:03"), promised("1", "10 Feb", case_id="X")).refused(Refusal.case_unknown, "/case_id")
    paid = a_loan_without_mandate(rules=a_house()).when(on("6 Jan"), promised("1", "10 Jan"))
    paid.refused(Refusal.nothing_is_owed, "/loan_id")
    story.when(on("6 Feb 12:00"), promised("4,000", "10 Feb")).when(on("6 Feb 13:00"), promised("4,000", "10 Feb"))
    story.repeated()


# --- Cases ---------------------------------------------------------------------------------------------------


def a_case_to_work_on() -> Story:
    """The call that was asked for on 7 Feb at 10:00, to be made within a day."""
    return unpaid(casework=True, until="7 Feb 10:30")


CASE = {"case_id": "LN-1:case:1"}


def test_a_case_is_given_to_somebody_noted_and_closed_in_the_lender_s_words():
    story = a_case_to_work_on()
    story.when(on("7 Feb 11:00"), asked(c.AssignCase, "C-1", assignee="E-7", **CASE)).then(
        a(CaseAssigned, assignee="E-7")
    )
    noted = asked(c.NoteCase, "C-2", note_token="LN-1:note:C-2", disposition="no-answer", **CASE)
    story.when(on("7 Feb 12:00"), noted).then(a(CaseNoted, note_token="LN-1:note:C-2", disposition="no-answer"))
    closing = asked(c.CloseCase, "C-3", disposition="promised", **CASE)
    story.when(on("7 Feb 13:00"), closing).then(a(CaseClosed, outcome="promised", disposition="promised"))
    story.when(on("7 Feb 14:00"), asked(c.AssignCase, "C-4", assignee="E-8", **CASE)).refused(
        Refusal.case_unknown, "/case_id"
    )


def test_a_case_that_is_not_done_goes_up_level_by_level_and_then_no_further():
    story = a_case_to_work_on().when(on("8 Feb 11:00")).then(
        a(CollectionStepTaken, do="reminder"),
        a(CaseEscalated, case_id="LN-1:case:1", level=1, to="team lead", due_at="8 Feb"),
    )  # fmt: skip
    assert [event.level for event in story.when(on("20 Feb")).all(CaseEscalated)] == [1]


def test_a_complaint_keeps_its_own_clock():
    story = a_loan_without_mandate(rules=a_house(casework=True))
    story.when(on("10 Jan"), asked(c.RaiseGrievance, subject="two debits")).when(on("12 Feb"))
    assert len(story.all(GrievanceEscalated)) == 1
    assert {event.kind for event in story.all(CaseEscalated)} <= {"call"}


def test_words_that_are_not_in_the_table_and_no_words_at_all_close_nothing():
    story = a_case_to_work_on()
    story.when(on("7 Feb 11:00"), asked(c.CloseCase, "C-1", disposition="whatever", **CASE)).refused(
        Refusal.disposition_unknown, "/disposition"
    )
    story.when(on("7 Feb 11:01"), asked(c.CloseCase, "C-2", **CASE)).refused(Refusal.outcome_missing, "/disposition")
    story.when(on("7 Feb 11:02"), asked(c.CloseCase, "C-3", outcome="talked", **CASE)).then(
        a(CaseClosed, outcome="talked")
    )


def test_whoever_finds_something_outside_opens_one_case_about_it_and_another_when_that_is_done():
    found = {"kind": "gateway-contradiction", "reason": "told succeeded, and now failed", "about": "LN-1:1:1"}
    story = (
        a_loan()
        .when(on("7 Feb 11:00"), asked(c.OpenCase, "G-1", **found))
        .then(a(CaseOpened, case_id="LN-1:case:1", command_id="G-1", **found))
    )
    story.when(on("7 Feb 11:01"), asked(c.OpenCase, "G-1", **found)).repeated()
    story.when(on("7 Feb 11:02"), asked(c.OpenCase, "G-2", **found)).repeated()  # a person has it before him
    story.when(on("8 Feb 11:00"), asked(c.CloseCase, "C-1", outcome="done", **CASE)).then(a(CaseClosed))
    story.when(on("9 Feb 11:00"), asked(c.OpenCase, "G-3", **found)).then(a(CaseOpened, kind="gateway-contradiction"))
