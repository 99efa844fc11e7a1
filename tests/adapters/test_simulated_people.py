"""The borrowers and collectors of a demo: they promise, keep or break it, and close cases."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from typing import Any

from adapters.simulator.population import population
from adapters.simulator.world import PROMISE, Sending, World
from domain.calendar import IST

START = date(2026, 1, 1)
OPENED = datetime(2026, 3, 9, 10, tzinfo=IST)
END = datetime(2026, 6, 1, tzinfo=IST)


def a_world(loans: int = 60) -> World:
    world = World(5, population(5, loans, START, 5), [], END)
    everything(world, datetime(2026, 3, 1, tzinfo=IST))  # payouts are asked for, some mandates cancelled
    return world


def everything(world: World, until: datetime = END) -> list[Sending]:
    sent: list[Sending] = []
    while found := world.sendings(until):
        sent += found
    return sent


def a_case(number: int, kind: str = "call") -> dict[str, Any]:
    loan_id = f"LN-5-{number:06d}"
    return {"case_id": f"{loan_id}:case:1", "loan_id": loan_id, "kind": kind, "reason": ""}


def test_of_a_loan_one_message_goes_out_at_a_time() -> None:
    world = a_world(3)
    world.hear("loan.case-opened.v1", a_case(1), OPENED)
    world.hear("loan.case-opened.v1", {**a_case(1), "case_id": "LN-5-000001:case:2"}, OPENED)
    while found := world.sendings(END):
        assert len({one.key for one in found}) == len(found)


def test_collectors_end_most_cases_and_some_lie() -> None:
    world = a_world()
    for number in range(1, 61):
        world.hear("loan.case-opened.v1", a_case(number), OPENED)
    sent = everything(world)
    kinds = Counter(one.type.split(".")[1] for one in sent)
    assert 40 <= kinds["assign-case"] < 60
    assert kinds["close-case"] == kinds["assign-case"]
    assert kinds["promise-to-pay"] > 10
    assert kinds["note-case"] > 5
    assert {9 <= one.at.astimezone(IST).hour <= 18 for one in sent if one.topic == "servicing.commands"} == {True}


def test_promises_are_kept_by_some_and_broken_by_others() -> None:
    world = a_world()
    for number in range(1, 61):
        world.hear("loan.case-opened.v1", a_case(number), OPENED)
    sent = everything(world)
    promised = {one.key: one.body for one in sent if one.type == PROMISE}
    paid = {one.key: one for one in sent if one.body.get("intent") == "dues"}
    assert 0 < len(paid.keys() & promised.keys()) < len(promised)
    for loan_id in paid.keys() & promised.keys():
        assert paid[loan_id].at.date() <= date.fromisoformat(promised[loan_id]["by"])


def test_nothing_is_done_about_a_case_that_is_closed() -> None:
    world = a_world()
    for number in range(1, 61):
        world.hear("loan.case-opened.v1", a_case(number), OPENED)
        world.hear("loan.case-closed.v1", {"case_id": a_case(number)["case_id"]}, OPENED)
    assert [one for one in everything(world) if one.topic == "servicing.commands" and one.case_id] == []


def test_whose_account_was_empty_may_name_a_day_in_the_app() -> None:
    world = a_world(300)
    for number in range(1, 301):
        loan_id = f"LN-5-{number:06d}"
        body = {
            "instruction_id": f"{loan_id}:1:1", "loan_id": loan_id, "amount_paise": 5_000_00, "rail": "upi",
            "gateway": "g", "bank": "SBIN", "attempt": 1, "mandate_id": f"M-{loan_id}",
            "present_at": OPENED.isoformat(),
        }  # fmt: skip
        world.hear("servicing.debit-instruction.v1", body, OPENED)
    sent = everything(world)
    failed = {one.key for one in sent if one.type == "gateway.debit.failed.v1"}
    promised = {one.key for one in sent if one.type == PROMISE}
    assert 0 < len(promised) < len(failed)
    assert promised < failed
    paid = [one for one in sent if "promise-to-pay" in one.identity and one.topic == "gateway.payments"]
    assert 0 < len(paid) <= len(promised)
