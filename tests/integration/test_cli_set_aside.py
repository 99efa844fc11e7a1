"""`qist dead-letters` and `qist parked` as a person runs them: tables, JSON, exit statuses, and sending again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeDatabase
from tests.integration.house import PHONE, House, a_house_of_its_own, qist

pytestmark = pytest.mark.broker

PAYMENT = {"payment_reference": "P-1", "amount_paise": 100, "method": "upi", "value_on": "2026-01-05"}
JUNK = json.dumps({"loan_id": "LN-1", "phone": PHONE}).encode()


@pytest.fixture(scope="module")
async def house(make_database: MakeDatabase, services_dir: Path) -> AsyncIterator[House]:
    """Three records that cannot be applied, and two that wait for a loan."""
    async with a_house_of_its_own(make_database, services_dir) as house:
        for number in range(3):
            kind = "gateway.payment.received.v1" if number else "gateway.payment.imagined.v1"
            await house.tell("gateway.payments", kind, JUNK, key="LN-1", id=f"junk-{number}")
        for reference in ("P-1", "P-2"):
            body = {"loan_id": "LN-9", **PAYMENT, "payment_reference": reference}
            await house.tell("gateway.payments", "gateway.payment.received.v1", body, id=reference)
        await house.until("/api/v1/dead-letters", lambda page: len(page["items"]) == 3)
        await house.until("/api/v1/parked", lambda page: len(page["items"]) == 2)
        yield house


async def as_json(house: House, *arguments: str) -> Any:
    status, out, err = await qist(house, *arguments, "--json")
    assert status == 0, err
    return json.loads(out)


async def test_list_is_a_table_for_people_and_json_for_programs(house: House):
    status, out, _ = await qist(house, "dead-letters", "list")
    assert status == 0
    assert "unknown_type" in out
    assert "malformed" in out
    assert "qist dead-letters show ID" in out
    letters = await as_json(house, "dead-letters", "list", "--reason", "unknown_type")
    assert [letter["event_id"] for letter in letters] == ["junk-0"]
    assert await as_json(house, "dead-letters", "list", "--loan", "nobody") == []


async def test_show_hides_personal_data_unless_the_record_itself_is_asked_for(house: House):
    [letter] = await as_json(house, "dead-letters", "list", "--reason", "unknown_type")
    number = str(letter["id"])
    _, shown, _ = await qist(house, "dead-letters", "show", number)
    assert "gateway.payment.imagined.v1" in shown
    assert PHONE not in shown
    assert (await as_json(house, "dead-letters", "show", number))["body"]["phone"] == "***"
    _, raw, _ = await qist(house, "dead-letters", "show", number, "--raw")
    assert raw.encode() == JUNK
    status, out, err = await qist(house, "dead-letters", "show", "999")
    assert (status, out, err) == (1, "", "there is no dead letter 999\n")


async def test_retry_sends_again_and_says_no_the_second_time(house: House):
    [letter] = await as_json(house, "dead-letters", "list", "--reason", "unknown_type")
    [sent] = await as_json(house, "dead-letters", "retry", str(letter["id"]))
    assert (sent["id"], sent["topic"]) == (letter["id"], "gateway.payments")
    status, _, err = await qist(house, "dead-letters", "retry", str(letter["id"]))
    assert status == 1
    assert "it was sent again at" in err
    again = await house.until(
        "/api/v1/dead-letters?reason=unknown_type",
        lambda page: [one["id"] for one in page["items"]] not in ([], [letter["id"]]),
    )
    assert [one["event_id"] for one in again["items"]] == ["junk-0"]
    sent = await as_json(house, "dead-letters", "retry", "--reason", "malformed")
    assert len(sent) == 2


@pytest.mark.parametrize(
    "arguments",
    [("dead-letters", "retry"), ("dead-letters", "retry", "1", "--all"), ("parked", "retry"), ("dead-letters", "show")],
)
async def test_wrong_usage_is_status_2(house: House, arguments: tuple[str, ...]):
    assert (await qist(house, *arguments))[0] == 2


async def test_parked_records_are_listed_and_sent_again(house: House):
    status, out, _ = await qist(house, "parked", "list")
    assert status == 0
    assert out.count("LN-9") == 2
    waiting = await as_json(house, "parked", "list", "--loan", "LN-9")
    assert [one["event_id"] for one in waiting] == ["P-1", "P-2"]
    sent = await as_json(house, "parked", "retry", "LN-9")
    assert len(sent) == 2
    assert (await qist(house, "parked", "retry", "LN-404"))[0] == 1
    # The loan is still unknown: they wait again, and are taken once it comes.
    await house.until("/api/v1/parked", lambda page: len(page["items"]) == 2)
    await house.book("LN-9")
    await house.until("/api/v1/parked", lambda page: page["items"] == [])
    assert (await qist(house, "parked", "list"))[1] == "Nothing is parked.\n"
