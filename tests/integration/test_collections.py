"""Operators at work: a code that nobody knew is classified, cases are moved on, a promise is kept; in a whole house."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adapters.http import models
from tests.conftest import MakeDatabase
from tests.integration.house import House, a_house_of_its_own, qist

pytestmark = pytest.mark.broker
API = "/api/v1"
LOAN = "LN-COLL"
CALL, UNKNOWN = f"{LOAN}:case:2", f"{LOAN}:case:1"


@pytest.fixture(scope="module")
async def house(make_database: MakeDatabase, services_dir: Path) -> AsyncIterator[House]:
    """A loan whose first debit came back with a code that no table knows."""
    async with a_house_of_its_own(make_database, services_dir) as house:
        await house.clock("5 Jan 10:00")
        await house.book(LOAN)
        await house.pay_out(LOAN)
        await house.clock("5 Feb 07:00")
        await house.until(f"{API}/loans/{LOAN}", lambda loan: loan["instalments_due"] == 1)
        await house.answer_debit(f"{LOAN}:1:1", code="GW_77")
        await house.until(f"{API}/cases", lambda page: [one["case_id"] for one in page["items"]] == [UNKNOWN])
        yield house


async def command(house: House, kind: str, **body: Any) -> dict[str, Any]:
    """A command's result, by the API."""
    answer = await house.http.post(
        f"{API}/loans/{LOAN}/commands", json={"type": f"servicing.{kind}.v1", **body}, headers={"Prefer": "wait=20"}
    )
    return answer.json()


async def test_an_operator_classifies_a_code_and_the_engine_reads_it_without_a_restart(house: House):
    wrong = ("--class", "hard", "--action", "retry", "--meaning", "m", "--by", "E-1")
    status, _, err = await qist(house, "codes", "classify", "enach", "GW_77", *wrong)
    assert (status, err.startswith("--action is 'retry'")) == (2, True)
    word = ("--class", "hard", "--action", "fix_mandate", "--meaning", "the account was merged", "--by", "E-1")
    status, out, err = await qist(house, "codes", "classify", "enach", "GW_77", *word, "--json")
    assert (status, json.loads(out)) == (
        0, {"rail": "enach", "code": "GW_77", "number": 1, "new": True, "cases_closed": [UNKNOWN]},
    ), err  # fmt: skip
    closed = await house.until(f"{API}/cases?state=closed", lambda page: page["items"])
    assert (closed["items"][0]["case_id"], closed["items"][0]["disposition"]) == (UNKNOWN, "classified")
    [events] = [page["items"] for page in [await house.get(f"{API}/loans/{LOAN}/events")]]
    [failed] = [event for event in events if event["type"] == "loan.debit-failed.v1"]
    assert (failed["data"]["failure_class"], "+" in failed["data"]["codes_version"]) == ("technical", False)
    await asyncio.sleep(1.1)  # an engine asks once a second
    await house.clock("7 Feb 12:00")
    await house.until(f"{API}/loans/{LOAN}/events", lambda page: f"{LOAN}:1:2" in json.dumps(page))
    await house.answer_debit(f"{LOAN}:1:2", code="GW_77")
    page = await house.until(f"{API}/loans/{LOAN}/events", lambda page: "+1" in json.dumps(page))
    failed = [event for event in page["items"] if event["type"] == "loan.debit-failed.v1"][-1]
    assert (failed["data"]["failure_class"], failed["data"]["diagnosed_by"]) == ("hard", "operator")
    told = await house.get(f"{API}/failure-codes/nach/GW_77")
    models.FailureCodeHistory.model_validate(told)
    assert [one["classified_by"] for one in told["history"]] == ["E-1"]
    assert "the account was merged" in (await house.http.get("/codes?source=operator")).text


async def test_the_api_takes_the_same_word_once_and_names_what_is_wrong(house: House):
    word = {"rail": "upi", "code": "QX", "class": "soft", "action": "retry", "meaning": "busy", "by": "E-2"}
    first = await house.http.post(f"{API}/failure-codes", json=word)
    again = await house.http.post(f"{API}/failure-codes", json=word)
    assert [(one.status_code, one.json()["new"]) for one in (first, again)] == [(201, True), (200, False)]
    wrong = await house.http.post(f"{API}/failure-codes", json={**word, "rail": "pigeon", "class": "odd"})
    assert [one["pointer"] for one in wrong.json()["errors"]] == ["/rail", "/class"]
    missing = await house.http.post(f"{API}/failure-codes", json={"rail": "upi"})
    assert missing.status_code == 422
    assert "/code" in [one["pointer"] for one in missing.json()["errors"]]


async def test_no_row_of_the_mapping_can_be_edited_by_the_application(house: House):
    async with house.database.transaction():
        await house.database.execute("SET LOCAL ROLE qist_app")
        for statement in ("UPDATE failure_codes SET meaning = 'x'", "DELETE FROM failure_codes"):
            with pytest.raises(Exception, match="permission denied"):
                async with house.database.transaction():
                    await house.database.execute(statement)


async def test_a_case_is_found_by_filters_moved_on_and_closed(house: House):
    await house.clock("9 Feb 12:00")
    page = await house.until(f"{API}/cases?kind=call", lambda page: page["items"])
    [call] = page["items"]
    models.CasePage.model_validate(page)
    status, _, err = await qist(house, "cases", "assign", call["case_id"], "E-7", "--by", "E-1")
    assert status == 0, err
    words = ("her brother Ravi answered", "--by", "E-7", "--disposition", "no-answer")
    status, _, err = await qist(house, "cases", "note", call["case_id"], *words)
    assert status == 0, err
    await house.until(f"{API}/cases?assignee=E-7&team=collections", lambda page: page["items"][0]["notes"] == 1)
    plainly = await house.get(f"{API}/cases/{call['case_id']}")
    models.CaseHistory.model_validate(plainly)
    assert "Ravi" not in json.dumps(plainly)
    assert "Ravi" not in json.dumps(await house.get(f"{API}/loans/{LOAN}/events"))
    told = await house.get(f"{API}/cases/{call['case_id']}?notes=true")
    assert [one.get("words") for one in told["history"] if one["what"] == "noted"] == ["her brother Ravi answered"]
    assert call["case_id"] in (await house.http.get("/collections?team=collections")).text
    status, _, err = await qist(house, "cases", "close", call["case_id"], "whatever", "--by", "E-7")
    assert (status, "disposition_unknown" in err) == (1, True)
    promised = await command(house, "promise-to-pay", amount_paise=500_000, by="2026-02-12", case_id=call["case_id"])
    assert promised["status"] == "done", promised
    assert (await qist(house, "cases", "close", call["case_id"], "promised", "--by", "E-7"))[0] == 0
    status, out, _ = await qist(house, "cases", "list", "--closed", "--kind", "call", "--json")
    assert [(one["case_id"], one["disposition"]) for one in json.loads(out)] == [(call["case_id"], "promised")]


async def test_what_was_promised_comes_and_counts_for_the_arm(house: House):
    promises = await house.until(f"{API}/promises", lambda page: page["items"])
    models.PromiseList.model_validate(promises)
    paid = {"payment_reference": "P-1", "amount_paise": 10_00_000, "method": "upi", "value_on": "2026-02-09"}
    body = {"loan_id": LOAN, **paid, "at": house.now.isoformat()}
    await house.tell("gateway.payments", "gateway.payment.received.v1", body, id="P-1")
    arms = await house.until(f"{API}/collections", lambda page: page["items"] and page["items"][0]["kept"] == 1)
    models.ArmList.model_validate(arms)
    [arm] = arms["items"]
    figures = {name: arm[name] for name in ("entered", "cured", "promised", "kept", "broken", "recovered_paise")}
    assert figures == {
        "entered": 1, "cured": 1, "promised": 1, "kept": 1, "broken": 0, "recovered_paise": 10_00_000,
    }  # fmt: skip
    assert "What each arm brings" in (await house.http.get("/collections")).text
