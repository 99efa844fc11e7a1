"""What an answer makes of a call, as rules over every answer that a gateway can give in any order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orjson import dumps

from adapters.gateways.outcomes import TYPES, contradiction, outcome
from adapters.gateways.port import Answer, AnswerState, Order
from adapters.gateways.progress import LOOKS_AFTER_TOLD, Call, Patience, Step, next_step, what_to_ask
from domain.commands import OpenCase
from streams.envelope import Record, headers_for
from streams.wire import CARRIES, understand

NOW = datetime(2026, 2, 5, 4, 30, tzinfo=UTC)
PATIENCE = Patience(look_again=(1, 2, 4), again_after=60, recheck=(100, 200))
ORDER = Order(
    instruction_id="LN-1:1:1", kind="debit", loan_id="LN-1", amount_paise=499_300, rail="enach", body={"bank": "HDFC"}
)


def call(**more: object) -> Call:
    return Call(order=ORDER, **{"state": "sent", "presented_at": NOW - timedelta(seconds=10), **more})  # pyright: ignore[reportArgumentType]


def after(known: Call, answer: Answer, asked: str = "enquire", now: datetime = NOW) -> Step:
    return next_step(known, asked, answer, now, PATIENCE)  # pyright: ignore[reportArgumentType]


def test_an_answer_that_does_not_come_leaves_the_order_unknown_and_is_enquired_about() -> None:
    step = after(call(state="sending"), Answer(state="unknown"), asked="present")
    assert (step.state, step.wait, step.tell) == ("unknown", 1, ())
    assert what_to_ask(call(state="unknown")) == "enquire"


def test_a_crash_amid_a_presentation_is_enquired_about_and_never_simply_presented_again() -> None:
    assert what_to_ask(call(state="sending")) == "enquire"


def test_not_found_is_believed_only_when_it_was_said_twice_and_late_enough() -> None:
    missing = Answer(state="not-found")
    late = NOW + timedelta(seconds=51)
    assert after(call(state="unknown", looks=0), missing, now=late).state == "unknown"  # said once
    assert after(call(state="unknown", looks=1), missing).state == "unknown"  # too early: it may be on its way
    assert after(call(state="unknown", looks=1), missing, now=late).state == "requested"


def test_what_the_gateway_had_accepted_is_never_presented_again_whatever_it_forgets() -> None:
    step = after(call(state="sent", looks=99), Answer(state="not-found"), now=NOW + timedelta(days=9))
    assert step.state == "sent"
    assert "accepted" in step.note


def test_a_withdrawn_order_that_never_arrived_is_not_presented_again() -> None:
    known = call(state="unknown", looks=1, withdrawal=True)
    assert after(known, Answer(state="not-found"), asked="withdraw", now=NOW + timedelta(hours=1)).state == "withdrawn"


def test_an_order_too_old_to_present_is_looked_up_and_held_when_nobody_knows_it() -> None:
    known = call(state="requested", old=True, presented_at=None)
    assert what_to_ask(known) == "enquire"
    assert after(known, Answer(state="not-found")).state == "held"


def test_a_rate_limit_is_no_answer_about_the_order_and_it_is_presented_again() -> None:
    step = after(call(state="sending"), Answer(state="later"), asked="present")
    assert (step.state, step.wait) == ("requested", PATIENCE.later)


def test_a_success_after_a_failure_is_told_and_a_failure_after_a_success_is_not() -> None:
    failed = after(call(), Answer(state="failed", code="04"))
    assert (failed.tell, failed.wait) == (("failed",), 100)  # looked at again: some find the money later
    then = after(call(state="answered", outcome="failed"), Answer(state="succeeded"))
    assert then.tell == ("succeeded",)
    but = after(call(state="answered", outcome="succeeded"), Answer(state="failed", code="04"))
    assert but.tell == ()
    assert (but.note, but.contradicts) == ("told succeeded, and now the gateway says failed 04", True)


@pytest.mark.parametrize(
    ("told", "now", "contradicts"),
    [
        ("succeeded", Answer(state="failed", code="04"), True),
        ("succeeded", Answer(state="withdrawn"), True),
        ("succeeded", Answer(state="succeeded", amount_paise=200_000), True),  # 4,993 rupees were told
        ("succeeded", Answer(state="succeeded"), False),
        ("succeeded", Answer(state="accepted"), False),  # late, and of no interest any more
        ("failed", Answer(state="reversed"), True),
        ("failed", Answer(state="withdrawn"), False),  # no money either way
        ("reversed", Answer(state="succeeded"), True),
        ("reversed", Answer(state="failed", code="04"), False),
    ],
)
def test_a_gateway_that_takes_back_its_word_about_money_is_a_case_and_moves_nothing(
    told: str, now: Answer, contradicts: bool
) -> None:
    step = after(call(state="answered", outcome=told), now)
    assert (step.contradicts, step.outcome, step.tell) == (contradicts, told, ())


def test_a_success_that_the_gateway_has_forgotten_is_a_case_once_it_said_so_often_enough() -> None:
    missing = Answer(state="not-found")
    assert not after(call(state="answered", outcome="succeeded", looks=4), missing).contradicts
    assert after(call(state="answered", outcome="succeeded", looks=LOOKS_AFTER_TOLD), missing).contradicts


def test_a_contradiction_is_a_message_of_the_contract_and_the_same_words_have_the_same_id() -> None:
    first, again = (contradiction("banyan", ORDER, "told succeeded, and now failed", NOW) for _ in range(2))
    assert first.identity == again.identity
    headers = tuple(headers_for(first.type, first.identity, "gateway/banyan", NOW))
    command = understand(Record("servicing.commands", 0, 0, b"LN-1", headers, dumps(first.body))).command
    assert isinstance(command, OpenCase)
    assert (command.kind, command.about) == ("gateway-contradiction", "LN-1:1:1")


def test_what_came_and_went_between_two_looks_is_told_as_both() -> None:
    assert after(call(), Answer(state="reversed")).tell == ("succeeded", "reversed")


def test_a_pending_code_is_told_once() -> None:
    pending = Answer(state="accepted", code="98")
    assert after(call(), pending).tell == ("pending",)
    assert after(call(answer=pending), pending).tell == ()


ANSWERS = st.builds(
    Answer,
    state=st.sampled_from(get_args(AnswerState)),
    code=st.sampled_from(["", "04", "98"]),
    amount_paise=st.sampled_from([None, 499_300, 200_000]),
)


@settings(max_examples=150)
@given(st.lists(st.tuples(ANSWERS, st.floats(0, 200)), max_size=25))
def test_whatever_a_gateway_says_in_whatever_order_money_is_told_once_and_taken_back_only_after_it(
    said: list[tuple[Answer, float]],
) -> None:
    known, now, told = Call(order=ORDER), NOW, []
    presented: list[datetime] = []
    for answer, seconds in said:
        now += timedelta(seconds=seconds)
        asked = what_to_ask(known)
        if asked == "present":
            assert known.outcome == ""
            presented.append(now)
            known = call(state="sending", looks=known.looks, presented_at=now, answer=known.answer)
        step = after(known, answer, asked, now)
        assert step.state != "requested" or answer.state in ("later", "not-found")
        told += step.tell
        known = call(
            state=step.state,
            outcome=step.outcome,
            looks=step.looks,
            presented_at=presented[-1] if presented else None,
            answer=answer if step.tell else known.answer,
        )
        # Nothing is forgotten: whatever is open is looked at again.
        assert step.wait is not None or step.state in ("answered", "withdrawn", "held")
    facts = [what for what in told if what != "pending"]
    assert facts in ([], ["failed"], ["succeeded"], ["failed", "succeeded"], ["succeeded", "reversed"],
                     ["failed", "succeeded", "reversed"])  # fmt: skip


def test_every_outcome_is_a_message_that_the_engine_understands() -> None:
    topic_of = {model.TYPE: topic for topic, models in CARRIES.items() for model in models}
    for kind, what in TYPES:
        order = Order(
            instruction_id="LN-1:1:1", kind=kind, loan_id="LN-1", amount_paise=5, rail="upi", body={"mandate_id": "M"}
        )  # pyright: ignore[reportArgumentType]
        told = outcome("banyan", order, what, Answer(state="failed", message="why"), NOW)
        assert told is not None
        headers = tuple(headers_for(told.type, told.identity, "gateway/banyan", told.at))
        message = understand(Record(topic_of[told.type], 0, 0, b"LN-1", headers, dumps(told.body)))
        assert message.loan_id == "LN-1"
        assert message.causation_id == f"banyan:LN-1:1:1:{what}" + (":" if what == "pending" else "")


def test_a_look_after_the_outcome_that_brings_no_news_is_tried_again_so_that_a_reversal_is_not_missed() -> None:
    known = call(state="answered", outcome="succeeded")
    for answer in ("unknown", "later", "not-found"):
        step = after(known, Answer(state=answer))
        assert (step.state, step.outcome, step.wait) == ("answered", "succeeded", PATIENCE.later)
    assert after(call(state="answered", outcome="succeeded", looks=5), Answer(state="not-found")).wait is None
