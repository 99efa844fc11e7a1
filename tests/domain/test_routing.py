"""By which mandate and gateway a debit goes, and when a gateway counts as down."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from domain.events import DebitAttempted
from domain.policies.circuit import Answers, Circuit, GatewayHealth
from domain.policies.insight import Insight, Tally, Way
from domain.policies.routing import NoWay, Route, Wanted, arrives_bps, choose, shrunk
from domain.product import Product
from tests.examples import MANDATE, a_house, a_loan
from tests.stories import on, rupees

NACH: dict[str, Any] = {**MANDATE, "gateway": "sponsor"}
UPI: dict[str, Any] = {**MANDATE, "mandate_id": "M-UPI", "rail": "upi", "gateway": "alpha"}
AT = on("5 Feb 07:00")
AMOUNT = rupees("5,000")


def product(**routing: Any) -> Product:
    return a_house(routing=routing).products.by_version["personal-loan", 1]


def seen(**by: tuple[int, int]) -> Insight:
    """What the book saw yesterday and in the weeks before: `rail_gateway=(succeeded, technical)`."""
    counts = {
        Way("HDFC", *name.split("_", 1), 7): Tally(success=good, technical=bad) for name, (good, bad) in by.items()
    }
    return Insight(date(2026, 2, 5), counts, {})


def down(gateway: str, rail: str, until: datetime = AT + timedelta(minutes=5)) -> GatewayHealth:
    told = {"state": "open", "try_at": until.isoformat(), "reason": "18 of 20 answers were technical failures"}
    return GatewayHealth.well().with_news(gateway, rail, told)


def routed(
    *mandates: dict[str, Any],
    routing: dict[str, Any] | None = None,
    insight: Insight | None = None,
    health: GatewayHealth | None = None,
    told: str = "upi",
    amount: int = AMOUNT,
) -> Route | NoWay:
    wanted = Wanted(amount, AT, told, mandates[0])
    return choose(mandates, wanted, product(**(routing or {})), insight or Insight(), health or GatewayHealth.well())


def way(route: Route | NoWay) -> tuple[str, str]:
    assert isinstance(route, Route)
    return route.mandate["mandate_id"], route.gateway


TWO_GATEWAYS = {"gateways": {"enach": ["sponsor", "second"]}}


# --- Which way -----------------------------------------------------------------------------------------------


def test_with_nothing_known_the_first_mandate_goes_by_its_own_gateway() -> None:
    route = routed(NACH, UPI, routing=TWO_GATEWAYS)
    assert way(route) == ("M-1", "sponsor")
    assert isinstance(route, Route)
    assert [(other["mandate_id"], other["gateway"]) for other in route.other_ways] == [
        ("M-1", "second"),
        ("M-UPI", "alpha"),
    ]
    assert all(other["why_not"] for other in route.other_ways)


def test_with_one_way_there_is_nothing_to_record() -> None:
    route = routed(NACH)
    assert (way(route), route) == (("M-1", "sponsor"), Route(NACH, "sponsor", AMOUNT))


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ({"status": "paused"}, "M-UPI"),
        ({"status": "failed"}, "M-UPI"),
        ({"valid_until": "2026-02-04"}, "M-UPI"),
        ({"valid_from": "2026-02-06"}, "M-UPI"),
        ({"max_amount_paise": AMOUNT - 1}, "M-UPI"),  # carries less than the other one
        ({"max_amount_paise": AMOUNT}, "M-1"),
        ({"max_amount_paise": 0}, "M-1"),  # no limit
    ],
)
def test_a_mandate_that_cannot_be_used_or_carries_less_gives_way(first: dict[str, Any], expected: str) -> None:
    assert way(routed({**NACH, **first}, UPI))[0] == expected


def test_what_no_mandate_carries_whole_is_asked_for_in_part() -> None:
    route = routed({**NACH, "max_amount_paise": 1_000_00}, {**UPI, "max_amount_paise": 500_00})
    assert isinstance(route, Route)
    assert (route.mandate["mandate_id"], route.amount_paise) == ("M-1", 1_000_00)


def test_no_debit_goes_by_a_rail_of_which_the_borrower_was_not_told() -> None:
    route = routed({**NACH, "max_amount_paise": 1_000_00}, UPI, told="enach")
    assert way(route)[0] == "M-1"
    assert isinstance(route, Route)
    assert "not told of a debit by upi 24 hours ahead" in route.other_ways[0]["why_not"]


def test_nothing_can_be_used() -> None:
    route = routed({**NACH, "status": "paused"}, {**UPI, "status": "cancelled"})
    assert route == NoWay("mandate M-1 is paused")


def test_above_what_goes_without_the_payers_factor_another_rail_is_taken() -> None:
    big = {"max_amount_paise": rupees("50,000")}
    assert way(routed({**UPI, **big}, {**NACH, **big}, amount=rupees("15,001")))[0] == "M-1"
    assert way(routed({**UPI, **big}, {**NACH, **big}, amount=rupees("15,000")))[0] == "M-UPI"


def test_a_gateway_that_loses_a_third_of_the_debits_is_avoided() -> None:
    insight = seen(enach_sponsor=(200, 100), enach_second=(300, 3))
    route = routed(NACH, routing=TWO_GATEWAYS, insight=insight)
    assert way(route) == ("M-1", "second")
    assert isinstance(route, Route)
    assert "more are expected" in route.reason
    assert route.inputs["insight_as_of"] == "2026-02-05"


def test_a_small_difference_does_not_move_a_debit() -> None:
    insight = seen(enach_sponsor=(300, 6), enach_second=(300, 3))
    assert way(routed(NACH, routing=TWO_GATEWAYS, insight=insight)) == ("M-1", "sponsor")
    keen = {**TWO_GATEWAYS, "margin_percent": "0"}
    assert way(routed(NACH, routing=keen, insight=insight)) == ("M-1", "second")


def test_cost_decides_where_all_else_is_equal_and_the_margin_is_nothing() -> None:
    routing = {"margin_percent": "0", "cost_paise": {"enach": 1000, "upi": 0}}
    assert way(routed(NACH, UPI, routing=routing))[0] == "M-UPI"
    routing = {"margin_percent": "0", "cost_paise": {"enach": 0, "upi": 1000}}
    assert way(routed(NACH, UPI, routing=routing))[0] == "M-1"


def test_a_gateway_that_is_down_is_gone_around_and_used_where_there_is_no_other() -> None:
    health = down("sponsor", "enach")
    assert way(routed(NACH, routing=TWO_GATEWAYS, health=health)) == ("M-1", "second")
    assert way(routed(NACH, UPI, health=health)) == ("M-UPI", "alpha")
    assert way(routed(NACH, health=health)) == ("M-1", "sponsor")
    assert way(routed(UPI, NACH, health=health)) == ("M-UPI", "alpha")


def test_of_the_debits_of_a_gateway_on_trial_one_in_ten_goes_through_it() -> None:
    health = down("sponsor", "enach", until=AT - timedelta(minutes=1))
    ways = [
        way(routed({**NACH, "mandate_id": f"M-{number}"}, routing=TWO_GATEWAYS, health=health))[1]
        for number in range(400)
    ]
    assert 20 <= ways.count("sponsor") <= 60


def test_likelihoods_are_drawn_to_what_is_known_more_widely() -> None:
    assert shrunk(0, 0, 200) == 200
    assert shrunk(20, 20, 0) == 5_000
    assert arrives_bps(Insight(), "HDFC", "enach", "sponsor", AT) == 6_860  # 98 % go through, 70 % find the money
    known = seen(enach_sponsor=(980, 20))
    assert arrives_bps(known, "HDFC", "enach", "sponsor", AT) == 9_741  # 98 % go through, 99.4 % find the money


def test_the_choice_is_recorded_with_the_debit() -> None:
    rules = replace(a_house(routing=TWO_GATEWAYS), health=down("sponsor", "enach", on("5 Feb 08:00")))
    story = a_loan(rules=rules, mandate=NACH).when(on("5 Feb 07:30"))
    [debit] = story.all(DebitAttempted)
    assert (debit.gateway, debit.route) == ("second", "sponsor is down: 18 of 20 answers were technical failures")
    assert [(other["gateway"], other["why_not"]) for other in debit.other_ways] == [("sponsor", debit.route)]


# --- The circuit ---------------------------------------------------------------------------------------------


def after(*answers: tuple[int, int, int]) -> Circuit:
    """A circuit after answers: (minutes after seven, technical, others)."""
    circuit = Circuit()
    for minutes, technical, others in answers:
        circuit = circuit.learn(Answers(AT + timedelta(minutes=minutes), technical, others))
    return circuit


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ([(0, 10, 10)], "open"),
        ([(0, 9, 11)], "closed"),
        ([(0, 19, 0)], "closed"),  # too few to tell
        ([(0, 10, 0), (29, 10, 0)], "open"),
        ([(0, 10, 0), (30, 10, 0)], "closed"),  # the first are out of the window
        ([(5, 10, 0), (0, 10, 0)], "open"),  # answers that come late count by their moment
    ],
)
def test_the_circuit_opens_when_half_of_twenty_in_half_an_hour_fail(
    answers: list[tuple[int, int, int]], state: str
) -> None:
    assert after(*answers).state == state


def test_an_open_circuit_says_since_when_why_and_when_it_is_tried() -> None:
    circuit = after((0, 18, 2))
    assert (circuit.since, circuit.try_at) == (AT, AT + timedelta(minutes=15))
    assert circuit.reason == "18 of 20 answers in 30 minutes were technical failures"


def test_answers_of_debits_that_were_out_before_the_trial_do_not_decide_it() -> None:
    assert after((0, 20, 0), (14, 0, 50)).state == "open"


def test_a_trial_that_goes_through_closes_the_circuit_and_one_that_fails_opens_it_for_longer() -> None:
    assert after((0, 20, 0), (16, 0, 2)).state == "open"
    assert after((0, 20, 0), (16, 0, 2), (17, 0, 1)).state == "closed"
    again = after((0, 20, 0), (16, 3, 0))
    assert (again.state, again.try_at) == ("open", AT + timedelta(minutes=16 + 30))
    third = after((0, 20, 0), (16, 3, 0), (50, 3, 0))
    assert third.try_at == AT + timedelta(minutes=50 + 60)
    assert after((0, 20, 0), (16, 3, 0), (50, 0, 3)).learn(Answers(AT + timedelta(hours=2), 20, 0)).trips == 1


def test_news_of_a_closed_circuit_clears_it() -> None:
    health = down("sponsor", "enach")
    assert health.why_not("sponsor", "enach", AT, "x").startswith("sponsor is down")
    assert health.why_not("sponsor", "upi", AT, "x") == ""
    assert health.with_news("sponsor", "enach", {"state": "closed"}) == GatewayHealth.well()
