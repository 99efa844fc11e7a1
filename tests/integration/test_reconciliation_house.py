"""Reconciliation in a whole house: over HTTP and from the command line, through the broker and back to the bank."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from adapters.http import models
from tests.conftest import MakeDatabase
from tests.integration.house import House, a_house_of_its_own

pytestmark = [pytest.mark.broker, pytest.mark.slow]

API = "/api/v1/reconciliation"
LOAN = "LN-1"
DEBIT = f"debit:{LOAN}:1:1"
TAKE = f"{API}/files?source=razor&format=csv&by=asha"
CSV = {"Content-Type": "text/csv"}


@pytest.fixture(scope="module")
async def house(make_database: MakeDatabase, services_dir: Path) -> AsyncIterator[House]:
    """One loan on its first due day: the debit is asked for, and the gateway never says a word."""
    async with a_house_of_its_own(make_database, services_dir) as house:
        await house.book(LOAN)
        await house.pay_out(LOAN)
        await house.until(f"/api/v1/loans/{LOAN}", lambda loan: loan["state"] == "active")
        await house.clock("5 Feb 12:00")
        await house.until(f"/api/v1/loans/{LOAN}", lambda loan: loan["debits_in_flight"])
        await house.until("/api/v1/readyz", lambda ready: ready["lag"]["projector"] == 0)
        yield house


async def asked_for(house: House) -> int:
    return await house.database.fetchval(
        "SELECT paise FROM reconciliation.movements WHERE subject = $1 AND what = 'asked'", DEBIT
    )


def a_line(paise: int) -> bytes:
    return (
        "entry,reference,instruction_id,amount,fee,settlement,value_on\n"
        f"pay_1,pay_1,{LOAN}:1:1,{paise / 100:.2f},5.90,SETL1,2026-02-05\n"
    ).encode()


async def test_a_lost_success_is_booked_through_the_broker_within_seconds(house: House) -> None:
    paise = await asked_for(house)
    answer = await house.http.post(TAKE, content=a_line(paise), headers=CSV)
    models.TakenFile.model_validate(answer.json())
    assert answer.status_code == 201
    await house.until(f"{API}/items?state=matched", lambda page: DEBIT in [one["subject"] for one in page["items"]])
    assert (await house.get(f"/api/v1/loans/{LOAN}"))["received_paise"] == paise
    item = models.ComparisonInFull.model_validate(await house.get(f"{API}/items/{quote(DEBIT)}"))
    assert [one.id for one in item.bookings] == [f"reconciliation:{DEBIT}"]
    assert [one.what for one in item.movements] == ["asked", "moved"]
    again = await house.http.post(TAKE, content=a_line(paise), headers=CSV)
    assert (again.status_code, again.json()["already_taken"]) == (200, True)


async def test_differences_are_listed_with_cursors_ages_and_figures(house: House) -> None:
    await house.clock("20 Feb 12:00")
    seen: list[dict[str, Any]] = []
    address = f"{API}/items?limit=1"
    while address:
        answer = await house.http.get(address)
        models.ComparisonPage.model_validate(answer.json())
        seen += answer.json()["items"]
        address = str(answer.links["next"]["url"]) if "next" in answer.links else ""
    assert [one["subject"] for one in seen] == [f"payout:{LOAN}:payout:1:1", "settlement:razor:SETL1"]
    assert [one["age_days"] for one in seen] == [46, 15]
    totals = models.ReconciliationTotals.model_validate(await house.get(f"{API}/totals"))
    assert totals.reconciles
    assert totals.not_compared_paise == 0
    assert totals.in_transit_paise == await asked_for(house) - 590
    told = (await house.http.get("/metrics")).text
    assert 'qist_reconciliation_differences{level="settlement",state="missing"} 1.0' in told
    page = (await house.http.get("/reconciliation")).text
    assert "settlement:razor:SETL1" in page
    assert "Age in days" in page
    models.FilePage.model_validate(await house.get(f"{API}/files"))


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "kind"),
    [
        ("POST", TAKE, b"a,b\n1,2\n", 422, "file-refused"),
        ("POST", TAKE, b"entry,amount,value_on\npay_1,1,2026-02-05\n", 409, "entry-differs"),
        ("POST", TAKE.replace("razor", "no%20name"), b"", 422, "parameter-invalid"),
        ("POST", TAKE.replace("csv", "pdf"), b"", 422, "parameter-invalid"),
        ("GET", f"{API}/items?cursor=!!", None, 422, "cursor-invalid"),
        ("GET", f"{API}/items?cursor=WyJhIiwiYiJd", None, 422, "cursor-invalid"),
        ("GET", f"{API}/items?state=odd", None, 422, "parameter-invalid"),
        ("GET", f"{API}/items/debit:nobody", None, 404, "subject-unknown"),
    ],
)
async def test_what_cannot_be_is_a_problem(
    house: House, method: str, path: str, content: bytes | None, status: int, kind: str
) -> None:
    answer = await house.http.request(method, path, content=content, headers=CSV if content is not None else {})
    problem = models.Problem.model_validate(answer.json())
    assert (answer.status_code, problem.type) == (status, f"urn:qist:problem:{kind}")


async def test_a_form_of_a_foreign_page_takes_nothing_in(house: House) -> None:
    answer = await house.http.post(TAKE, content=b"x", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"way": "accept", "note": "x"}, 422, "body-invalid"),
        ({"way": "reverse", "note": "x", "by": "asha"}, 409, "way-not-possible"),
    ],
)
async def test_a_decision_that_cannot_be_is_a_problem(house: House, body: Any, status: int, kind: str) -> None:
    answer = await house.http.post(f"{API}/items/settlement:razor:SETL1/resolution", json=body)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:qist:problem:{kind}")


async def test_a_decision_is_kept_with_who_and_why(house: House) -> None:
    body = {"way": "accept", "note": "paid out with the next one", "by": "asha@finance"}
    answer = await house.http.post(f"{API}/items/settlement:razor:SETL1/resolution", json=body)
    models.Resolved.model_validate(answer.json())
    item = await house.get(f"{API}/items/settlement:razor:SETL1")
    assert item["state"] == "resolved"
    assert [(one["note"], one["resolved_by"]) for one in item["resolutions"]] == [(body["note"], body["by"])]
    again = await house.http.post(f"{API}/items/settlement:razor:SETL1/resolution", json=body)
    assert (again.status_code, again.json()["type"]) == (409, "urn:qist:problem:resolved-already")


async def test_the_page_takes_decisions_from_its_own_form_only(house: House) -> None:
    subject = f"payout:{LOAN}:payout:1:1"
    form = {"subject": subject, "way": "accept", "note": "paid by cheque", "by": "asha@finance"}
    foreign = await house.http.post("/reconciliation", data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
    for wrong, said in ({"note": ""}, "needs a way, a note"), ({"way": "book"}, "can be resolved as"), (
        {"subject": "debit:nobody"}, "nothing is compared"
    ):  # fmt: skip
        no = await house.http.post("/reconciliation", data={**form, **wrong})
        assert (no.status_code, said in no.text) == (409, True)
    done = await house.http.post("/reconciliation?state=missing", data=form)
    assert (done.status_code, done.headers["location"].endswith("/reconciliation?state=missing")) == (303, True)
    item = await house.get(f"{API}/items/{quote(subject)}")
    assert (item["state"], item["resolutions"][-1]["resolved_by"]) == ("resolved", "asha@finance")


async def test_the_same_from_the_command_line(house: House, tmp_path: Path) -> None:
    mapping = tmp_path / "bank.toml"
    mapping.write_text(
        'kind = "statement"\n[columns]\nentry = "Txn"\namount = "Amount"\nvalue_on = "Date"\nreferences = ["UTR"]\n'
    )
    statement = tmp_path / "bank.csv"
    statement.write_text(f"Txn,Amount,Date,UTR\nT1,-100000,2026-01-05,{LOAN}:payout:1:1\nT2,250,2026-02-11,UTR9\n")
    known = ("import", str(statement), "--source", "hdfc", "--format", "csv", "--by", "ravi")
    taken = await qist(house, *known, "--mapping", str(mapping), "--json")
    assert (taken["lines"], taken["taken_by"]) == (2, "ravi")
    assert f"payout:{LOAN}:payout:1:1" in [
        one["subject"] for one in await qist(house, "list", "--state", "matched", "--json")
    ]
    [extra] = await qist(house, "list", "--json")
    assert (extra["subject"], extra["state"], extra["ways"]) == ("line:hdfc:T2", "extra", ["book", "same", "accept"])
    decision = ("resolve", "line:hdfc:T2", "--as", "book", "--loan", LOAN, "--note", "Asha said so", "--by", "ravi")
    assert (await qist(house, *decision, "--json"))["other"] == LOAN
    await house.until(f"{API}/items?state=matched", lambda page: f"payment:{LOAN}:UTR9" in str(page))
    more = tmp_path / "more.csv"
    more.write_text("Txn,Amount,Date,UTR\nT3,10,2026-02-12,UTR3\nT4,20,2026-02-12,UTR4\n")
    await qist(house, "import", str(more), "--source", "hdfc", "--format", "csv", "--by", "ravi", "--json")
    several = (
        "resolve",
        "--state",
        "extra",
        "--source",
        "hdfc",
        "--as",
        "accept",
        "--note",
        "interest",
        "--by",
        "ravi",
    )
    assert "2 of 2 can be resolved as accept, 30.00 in all" in await said(house, *several)
    assert {one["subject"] for one in await qist(house, "list", "--json")} >= {"line:hdfc:T3", "line:hdfc:T4"}
    done = await qist(house, *several, "--yes", "--json")
    assert [one["subject"] for one in done] == ["line:hdfc:T3", "line:hdfc:T4"]
    again = ("resolve", "line:hdfc:T3", "line:hdfc:T9", "--as", "accept", "--note", "x")
    assert "resolved already" in (told := await said(house, *again, status=1))
    assert "nothing is compared under 'line:hdfc:T9'" in told
    assert "name subjects, or a filter" in await said(house, "resolve", "--as", "accept", "--note", "x", status=2)
    totals = await qist(house, "totals", "--json")
    assert (totals["reconciles"], totals["not_compared_paise"]) == (True, 0)
    assert "line:hdfc:T2" not in await said(house, "list")
    assert "No such file" in await said(house, "import", "nowhere.csv", "--source", "x", "--format", "csv", status=2)
    assert "qist reconcile list" in await said(house, "show", "debit:nobody", status=1)


async def said(house: House, *arguments: str, status: int = 0) -> str:
    """What the command prints, on both streams."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "adapters.cli.main", "reconcile", *arguments,
        env=house.settings.environment(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == status, err.decode()
    return (out + err).decode()


async def qist(house: House, *arguments: str) -> Any:
    return json.loads(await said(house, *arguments))
