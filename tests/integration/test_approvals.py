"""Four eyes: what gives money up, or pays it out, above the lender's limit waits for a second person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.access import keys
from adapters.database import connect_pool
from tests.conftest import MakeDatabase
from tests.integration.house import House, a_house_of_its_own
from tests.integration.test_access import bearer, browser, kind

pytestmark = pytest.mark.broker

API = "/api/v1"
LOAN = "LN-1"
STAFF = {"asha": "operator", "ravi": "approver", "meera": "approver", "root": "admin", "vik": "viewer"}
WAIT = {"Prefer": "wait=20"}
Staff = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
async def house(make_database: MakeDatabase, services_dir: Path) -> AsyncIterator[House]:
    """A loan in April with two bounces (a charge of 590 each); refunds up to 1,000 need nobody else."""
    async with a_house_of_its_own(
        make_database, services_dir, api_auth="required", approval_above="refund:100000"
    ) as house:
        pool = await connect_pool(house.settings.database_dsn(), name="test", size=1)
        house.http.headers.update(bearer((await keys.create(pool, "tester", ["viewer"], by="test"))[1]))
        await pool.close()
        await house.book(LOAN)
        await house.pay_out(LOAN)
        await house.until(f"{API}/loans/{LOAN}", lambda loan: loan["state"] == "active")
        await house.clock("5 Feb 07:00")
        await house.answer_debit(f"{LOAN}:1:1", code="01")
        payment = {"loan_id": LOAN, "payment_reference": "P-1", "amount_paise": 20_000_00, "method": "upi"}
        await house.tell("gateway.payments", "gateway.payment.received.v1", {**payment, "value_on": "2026-02-05"})
        await house.until(f"{API}/loans/{LOAN}", lambda loan: loan["outstanding"]["excess_paise"] > 5_000_00)
        yield house


@pytest.fixture(scope="module")
async def staff(house: House) -> Staff:
    """The header of each, by name."""
    pool = await connect_pool(house.settings.database_dsn(), name="test", size=1)
    made = {name: bearer((await keys.create(pool, name, [role], by="test"))[1]) for name, role in STAFF.items()}
    await pool.close()
    return made


async def ask(house: House, who: dict[str, str], command_id: str, **body: Any) -> httpx.Response:
    headers = {**who, **WAIT, "Idempotency-Key": command_id}
    return await house.http.post(f"{API}/loans/{LOAN}/commands", json=body, headers=headers)


async def decide(house: House, who: dict[str, str], command_id: str, decision: str, note: str = "") -> httpx.Response:
    body = {"decision": decision, "note": note}
    return await house.http.post(f"{API}/approvals/{command_id}", json=body, headers=who)


async def test_within_the_limit_one_person_is_enough(house: House, staff: Staff):
    answer = await ask(house, staff["asha"], "R-0", type="refund", amount_paise=1_000_00, reason="asked for it")
    assert (answer.status_code, answer.json()["status"]) == (200, "done")


async def test_above_it_the_command_waits_and_says_so(house: House, staff: Staff):
    answer = await ask(house, staff["asha"], "R-1", type="refund", amount_paise=2_000_00, reason="moved house")
    said = answer.json()
    assert (answer.status_code, said["status"]) == (202, "awaiting_approval")
    assert answer.headers["location"] == f"{API}/commands/R-1"
    assert (said["approval"]["at_stake_paise"], said["approval"]["requested_by"]) == (2_000_00, "asha")
    again = await ask(house, staff["asha"], "R-1", type="refund", amount_paise=2_000_00, reason="moved house")
    assert (again.status_code, again.json()["status"]) == (202, "awaiting_approval")
    other = await ask(house, staff["asha"], "R-1", type="refund", amount_paise=3_000_00, reason="moved house")
    assert kind(other) == (409, "command-id-used")
    assert (await house.get(f"{API}/commands/R-1"))["status"] == "awaiting_approval"
    assert [one["command_id"] for one in (await house.get(f"{API}/approvals"))["items"]] == ["R-1"]


async def test_only_another_person_with_the_role_decides(house: House, staff: Staff):
    assert kind(await decide(house, staff["asha"], "R-1", "approve")) == (403, "not-permitted")
    assert kind(await decide(house, staff["vik"], "R-1", "approve")) == (403, "not-permitted")
    assert kind(await decide(house, staff["ravi"], "R-9", "approve")) == (404, "approval-unknown")
    assert kind(await decide(house, staff["ravi"], "R-1", "perhaps")) == (422, "body-invalid")


async def test_even_an_administrator_does_not_approve_their_own(house: House, staff: Staff):
    assert (await ask(house, staff["root"], "R-2", type="refund", amount_paise=2_000_00)).status_code == 202
    assert kind(await decide(house, staff["root"], "R-2", "approve")) == (403, "second-person-needed")
    answer = await decide(house, staff["ravi"], "R-2", "decline", "no reason given")
    assert (answer.json()["state"], answer.json()["decided_by"]) == ("declined", "ravi")
    assert kind(await decide(house, staff["meera"], "R-2", "approve")) == (409, "decided-already")
    told = await house.get(f"{API}/commands/R-2")
    assert (told["status"], told["detail"]) == ("declined", "declined by ravi: no reason given")


async def test_what_is_approved_is_done_and_names_both(house: House, staff: Staff):
    assert (await decide(house, staff["ravi"], "R-1", "approve")).status_code == 200
    done = await house.until(f"{API}/commands/R-1", lambda told: told["status"] == "done")
    assert done["loan_id"] == LOAN
    assert (await decide(house, staff["ravi"], "R-1", "approve")).status_code == 200  # said twice, done once
    events = (await house.get(f"{API}/loans/{LOAN}/events?limit=200"))["items"]
    owed = [one for one in events if one["data"].get("command_id") == "R-1"]
    assert len(owed) == 1
    assert owed[0]["actor"] == "asha"
    assert (owed[0]["data"]["requested_by"], owed[0]["data"]["approved_by"]) == ("asha", "ravi")


async def test_without_an_amount_all_of_it_counts(house: House, staff: Staff):
    held = await ask(house, staff["asha"], "R-3", type="refund")
    assert held.json()["approval"]["at_stake_paise"] > 1_000_00
    assert held.json()["approval"]["amount_paise"] is None
    assert (await decide(house, staff["ravi"], "R-3", "decline")).status_code == 200


async def test_a_write_off_waits_whatever_the_amount(house: House, staff: Staff):
    answer = await ask(house, staff["asha"], "W-1", type="write-off", reason="gone abroad")
    assert answer.json()["status"] == "awaiting_approval"
    stake = answer.json()["approval"]["at_stake_paise"]
    outstanding = (await house.get(f"{API}/loans/{LOAN}"))["outstanding"]
    assert (
        0 < stake <= outstanding["principal_paise"] + outstanding["interest_due_paise"] + outstanding["charges_paise"]
    )


async def test_what_the_rules_refuse_needs_no_second_person(house: House, staff: Staff):
    answer = await ask(house, staff["asha"], "R-4", type="refund", amount_paise=90_00_000_00)
    assert kind(answer) == (409, "refund-exceeds-excess")
    assert kind(await house.http.get(f"{API}/approvals/R-4")) == (404, "approval-unknown")


async def test_nobody_brings_their_own_approval(house: House, staff: Staff):
    answer = await ask(house, staff["asha"], "R-5", type="refund", amount_paise=2_000_00, approved_by="ravi")
    assert kind(answer) == (422, "approval-not-taken")


async def test_the_page_decides_as_well(house: House, staff: Staff):
    async with browser(house, Accept="text/html") as client:
        await client.post("/sign-in", data={"key": staff["meera"]["Authorization"].split()[1]})
        page = (await client.get("/approvals")).text
        assert "gone abroad" in page
        csrf = page.split('name="csrf" content="')[1].split('"')[0]
        assert (await client.post("/approvals/W-1", data={"decision": "decline"})).status_code == 403
        answer = await client.post("/approvals/W-1", data={"decision": "decline", "csrf": csrf, "note": "call first"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/approvals")
        assert "Declined by meera" in (await client.get("/approvals")).text
    assert (await house.get(f"{API}/commands/W-1"))["status"] == "declined"


async def test_a_request_that_nobody_decides_on_lapses(house: House, staff: Staff):
    assert (await ask(house, staff["asha"], "W-2", type="write-off")).status_code == 202
    await house.clock("20 Feb 07:00")
    assert kind(await decide(house, staff["ravi"], "W-2", "approve")) == (409, "request-lapsed")
    assert (await house.get(f"{API}/commands/W-2"))["status"] == "lapsed"
    assert [one["command_id"] for one in (await house.get(f"{API}/approvals?state=lapsed"))["items"]] == ["W-2"]
