"""The HTTP API on a real house: what it answers, what it refuses, and that nobody's particulars leave it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from pydantic import BaseModel

from adapters.embedded.ports import free_port
from adapters.http import models
from streams.topics import partition_of
from tests.adapters.test_alerts import EXPRESSIONS, metrics_of
from tests.conftest import MakeDatabase
from tests.integration.house import ACCOUNT, NAME, PARTITIONS, PHONE, SECRET, House, a_house_of_its_own

pytestmark = pytest.mark.broker

API = "/api/v1"
PAID, LATE, FRESH, PARKED = "LN-PAID", "LN-LATE", "LN-FRESH", "LN-NOT-YET"
JUNK = b'{"loan_id": "LN-LATE", "phone": "+919812345678", "amount_paise": "much"}'


@pytest.fixture(scope="module")
async def house(make_database: MakeDatabase, services_dir: Path) -> AsyncIterator[House]:
    """A small portfolio in March: one loan has paid, one is late, one was just booked; something is set aside."""
    async with a_house_of_its_own(make_database, services_dir) as house:
        await live_until_march(house)
        yield house


async def live_until_march(house: House) -> None:
    for loan_id in (PAID, LATE):
        await house.book(loan_id, borrower=f"B-{loan_id}")
        await house.pay_out(loan_id)
        await house.until(f"{API}/loans/{loan_id}", lambda loan: loan["state"] == "active")
    await house.clock("5 Feb 07:00")
    await house.answer_debit(f"{PAID}:1:1")
    await house.answer_debit(f"{LATE}:1:1", code="04")
    await house.clock("8 Feb 08:00")
    await house.answer_debit(f"{LATE}:1:2", code="01")  # account closed: no further debit
    await house.book(FRESH)
    await house.tell("gateway.debit-outcomes", "gateway.debit.failed.v1", JUNK, key=LATE, id="junk-1")
    payment = {"payment_reference": "P-1", "amount_paise": 100, "method": "upi", "value_on": "2026-02-08"}
    await house.tell("gateway.payments", "gateway.payment.received.v1", {"loan_id": PARKED, **payment})
    await house.clock("1 Mar 12:00")
    await house.until(f"{API}/delinquency", lambda page: [late["loan_id"] for late in page["items"]] == [LATE])
    await house.until(f"{API}/loans?q=LN-FRESH", lambda page: len(page["items"]) == 1)
    await house.until(f"{API}/dead-letters", lambda page: len(page["items"]) == 1)
    await house.until(f"{API}/parked", lambda page: len(page["items"]) == 1)
    await house.until(f"{API}/readyz", lambda ready: ready["lag"]["projector"] == 0)


ANSWERS: dict[str, type[BaseModel]] = {
    "/loans": models.LoanPage,
    f"/loans/{PAID}": models.Loan,
    f"/loans/{FRESH}": models.Loan,
    f"/loans/{LATE}/schedule": models.Schedule,
    f"/loans/{LATE}/notices": models.NoticePage,
    f"/loans/{LATE}/ledger": models.Ledger,
    f"/loans/{LATE}/events": models.EventPage,
    f"/loans/{LATE}/documents": models.DocumentPage,
    f"/loans/{LATE}/quote": models.Quote,
    "/delinquency": models.DelinquencyPage,
    "/dashboard": models.Dashboard,
    "/dashboard/recovery": models.Recovery,
    "/dashboard/failures": models.Failures,
    "/dashboard/failures?by=bank&class=soft": models.Failures,
    "/dashboard/patterns": models.PatternList,
    "/reports": models.ReportList,
    "/reports/ageing": models.ReportAnswer,
    "/reports/collection-efficiency?from=2026-02-01": models.ReportAnswer,
    f"/reports/audit-trail?loan_id={LATE}": models.ReportAnswer,
    "/dead-letters": models.DeadLetterPage,
    "/dead-letters/1": models.DeadLetter,
    "/parked": models.ParkedPage,
    "/cases": models.CasePage,
    "/promises": models.PromiseList,
    "/collections": models.ArmList,
    "/failure-codes": models.FailureCodeList,
    "/failure-codes/enach/04": models.FailureCodeHistory,
    "/healthz": models.Alive,
    "/readyz": models.Ready,
}


class TestAnswers:
    @pytest.mark.parametrize("path", ANSWERS)
    async def test_are_as_described(self, house: House, path: str):
        ANSWERS[path].model_validate(await house.get(API + path))

    @pytest.mark.parametrize("path", [*ANSWERS, "/metrics", "/dead-letters?retried=both"])
    async def test_hold_no_personal_data(self, house: House, path: str):
        said = (await house.http.get(API + path)).text
        said = re.sub(r" [\d.e+-]+$", "", said, flags=re.MULTILINE)  # a time in /metrics may hold any four digits
        assert not any(secret in said for secret in (NAME, PHONE, ACCOUNT, ACCOUNT[-4:], "asha@", "HDFC70000000"))

    async def test_a_report_comes_in_every_form_and_reconciles(self, house: House):
        path = f"{API}/reports/ageing"
        document = await house.get(path)
        assert document["reconciles"] is True
        assert document["totals"]["principal_paise"] > 0
        lines = (await house.http.get(f"{path}?format=csv")).text.splitlines()
        assert lines[0].split(",") == [column["name"] for column in document["columns"]]
        assert len(lines) == 1 + document["count"]
        for form, begins in (("parquet", b"PAR1"), ("xlsx", b"PK")):
            answer = await house.http.get(f"{path}?format={form}")
            assert answer.content.startswith(begins)
            assert answer.headers["content-disposition"] == f'attachment; filename="ageing.{form}"'

    @pytest.mark.parametrize("path", ANSWERS)
    async def test_money_is_whole_paise(self, house: House, path: str):
        def check(value: Any, name: str = "") -> None:
            if isinstance(value, dict):
                for key, held in value.items():
                    check(held, key)
            elif isinstance(value, list):
                for held in value:
                    check(held, name)
            else:
                assert not isinstance(value, float), name

        check(await house.get(API + path))

    @pytest.mark.parametrize(
        ("path", "status", "kind"),
        [
            ("/loans/NOBODY", 404, "loan-unknown"),
            ("/loans/no%20id", 404, "loan-unknown"),
            ("/loans/NOBODY/events", 404, "loan-unknown"),
            ("/loans/NOBODY/notices", 404, "loan-unknown"),
            ("/loans/NOBODY/ledger", 404, "loan-unknown"),
            (f"/loans/{LATE}/schedule?version=9", 404, "schedule-unknown"),
            (f"/loans/{LATE}/quote?on=yesterday", 422, "parameter-invalid"),
            (f"/loans/{LATE}/quote?on=2026-01-01", 422, "effective-date-not-ahead"),
            (f"/loans/{FRESH}/quote", 409, "loan-not-disbursed"),
            ("/reports/agein", 404, "report-unknown"),
            ("/reports/ageing?on=2099-01-01", 422, "report-not-possible"),
            ("/reports/ageing?on=yesterday", 422, "parameter-invalid"),
            ("/reports/audit-trail", 422, "report-not-possible"),
            ("/reports/audit-trail?loan_id=NOBODY", 409, "report-not-possible"),
            ("/reports/credit-bureau", 403, "report-is-personal"),
            ("/loans?limit=0", 422, "parameter-invalid"),
            ("/loans?cursor=!!", 422, "cursor-invalid"),
            ("/loans?cursor=WzFd", 422, "cursor-invalid"),
            ("/delinquency?cursor=WyJhIiwiYiJd", 422, "cursor-invalid"),
            ("/commands/nobody-sent-it", 404, "command-unknown"),
            ("/dead-letters/999", 404, "dead-letter-unknown"),
            ("/nowhere", 404, "not-found"),
        ],
    )
    async def test_what_cannot_be_is_a_problem(self, house: House, path: str, status: int, kind: str):
        answer = await house.http.get(API + path)
        problem = models.Problem.model_validate(answer.json())
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.status_code, problem.status, problem.type) == (status, status, f"urn:qist:problem:{kind}")
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")


class TestLoans:
    async def test_list_is_found_by_stage_bucket_class_borrower_and_beginning(self, house: House):
        async def found(query: str) -> list[str]:
            return [loan["loan_id"] for loan in (await house.get(f"{API}/loans?{query}"))["items"]]

        assert await found("") == [FRESH, LATE, PAID]
        assert await found("stage=booked") == [FRESH]
        assert await found("bucket=1-30") == [LATE]
        assert await found("bucket=current") == [FRESH, PAID]
        assert await found("classification=SMA-0") == [LATE]
        assert await found(f"borrower_id=B-{PAID}") == [PAID]
        assert await found("q=LN-L") == [LATE]
        assert await found("q=LN%25") == []
        assert await found("product=gold-loan") == []

    async def test_pages_follow_each_other_to_the_end(self, house: House):
        seen: list[str] = []
        address = f"{API}/loans?limit=1&q=LN-"
        while address:
            answer = await house.http.get(address)
            seen += [loan["loan_id"] for loan in answer.json()["items"]]
            address = str(answer.links["next"]["url"]) if "next" in answer.links else ""
            assert bool(address) == (answer.json()["next_cursor"] is not None)
        assert seen == [FRESH, LATE, PAID]

    async def test_one_says_what_is_owed_and_what_comes(self, house: House):
        loan = await house.get(f"{API}/loans/{LATE}")
        assert (loan["state"], loan["dpd"], loan["bucket"], loan["classification"]) == ("active", 24, "1-30", "SMA-0")
        assert loan["next_due_on"] == "2026-03-05"
        assert loan["mandate"]["rail"] == "enach"
        assert set(loan["mandate"]) == set(models.Mandate.model_fields)
        charge = 500_00 + 90_00  # the bounce charge of the product, with GST
        assert loan["outstanding"]["charges_paise"] == charge
        assert loan["payable_paise"] == loan["instalment_paise"] + charge
        assert loan["outstanding"]["interest_accrued_paise"] > 0

    async def test_an_unchanged_loan_is_not_sent_again(self, house: House):
        first = await house.http.get(f"{API}/loans/{PAID}")
        again = await house.http.get(f"{API}/loans/{PAID}", headers={"If-None-Match": first.headers["etag"]})
        other = await house.http.get(f"{API}/loans/{PAID}", headers={"If-None-Match": 'W/"another"'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        assert other.status_code == 200

    async def test_schedule_shows_what_is_paid(self, house: House):
        schedule = await house.get(f"{API}/loans/{PAID}/schedule")
        first, second = schedule["rows"][:2]
        assert (first["due_on"], first["paid_on"], second["paid_on"]) == ("2026-02-05", "2026-02-05", None)
        assert first["principal_paid_paise"] + first["interest_paid_paise"] == first["total_paise"]
        assert sum(row["principal_paise"] for row in schedule["rows"]) == 1_00_000_00
        assert [one["reason"] for one in schedule["versions"]] == ["booking"]

    async def test_ledger_balances(self, house: House):
        books = await house.get(f"{API}/loans/{PAID}/ledger")
        assert books["trial_balance_paise"] == 0
        assert all(sum(line["paise"] for line in entry["lines"]) == 0 for entry in books["items"])
        sums: dict[str, int] = {}
        for entry in books["items"]:
            for line in entry["lines"]:
                sums[line["name"]] = sums.get(line["name"], 0) + line["paise"]
        assert {one["name"]: one["paise"] for one in books["balances"]} == sums
        loan = await house.get(f"{API}/loans/{PAID}")
        assert sums["Principal outstanding"] == loan["outstanding"]["principal_paise"]

    async def test_events_are_gapless_and_say_what_happened(self, house: House):
        first = await house.get(f"{API}/loans/{LATE}/events?limit=3")
        rest = await house.get(f"{API}/loans/{LATE}/events?limit=200&cursor={first['next_cursor']}")
        events = first["items"] + rest["items"]
        assert [event["version"] for event in events] == list(range(1, len(events) + 1))
        assert rest["next_cursor"] is None
        [failed] = [
            event for event in events if event["type"] == "loan.debit-failed.v1" and event["data"]["code"] == "04"
        ]
        assert failed["says"] == "Debit failed (soft): Balance insufficient"

    async def test_quote_adds_up(self, house: House):
        today = await house.get(f"{API}/loans/{PAID}/quote")
        tomorrow = await house.get(f"{API}/loans/{PAID}/quote?on=2026-03-02")
        parts = dict(today["parts"])
        excess = parts.pop("excess_paise")
        assert today["total_paise"] == sum(parts.values()) - excess
        assert today["per_diem_paise"] > 0
        # each of the two is rounded once
        assert (
            abs(tomorrow["total_paise"] - today["total_paise"] - today["per_diem_paise"]) <= 1
        )  # each is rounded once


class TestTimeTravel:
    """Business time: what had happened by then, whenever it was recorded."""

    async def test_a_loan_is_shown_as_it_stood(self, house: House):
        before = await house.get(f"{API}/loans/{LATE}?at=2026-02-04")
        after = await house.get(f"{API}/loans/{LATE}", params={"at": "2026-02-20T10:00:00+05:30"})
        assert (before["dpd"], before["payable_paise"], before["instalments_due"]) == (0, 0, 0)
        assert (after["dpd"], after["instalments_due"]) == (15, 1)
        assert after["payable_paise"] > before["payable_paise"]
        assert after["version"] > before["version"]

    async def test_its_schedule_and_its_books_too(self, house: House):
        then = await house.get(f"{API}/loans/{PAID}/schedule?at=2026-02-04")
        now = await house.get(f"{API}/loans/{PAID}/schedule")
        assert (then["rows"][0]["paid_on"], now["rows"][0]["paid_on"]) == (None, "2026-02-05")
        books = await house.get(f"{API}/loans/{PAID}/ledger?at=2026-02-04")
        today = await house.get(f"{API}/loans/{PAID}/ledger?at=2030-01-01")
        assert books["trial_balance_paise"] == 0
        assert len(books["items"]) < len(today["items"])
        assert today["balances"] == (await house.get(f"{API}/loans/{PAID}/ledger"))["balances"]

    @pytest.mark.parametrize(
        ("at", "status", "kind"),
        [
            ("2025-12-01", 404, "loan-not-yet"),
            ("soon", 422, "parameter-invalid"),
            ("2026-02-04T10:00:00", 422, "parameter-invalid"),
        ],
    )
    async def test_what_never_was_is_a_problem(self, house: House, at: str, status: int, kind: str):
        for part in ("", "/schedule"):
            answer = await house.http.get(f"{API}/loans/{LATE}{part}", params={"at": at})
            assert (answer.status_code, answer.json()["type"]) == (status, f"urn:qist:problem:{kind}")


class TestCommands:
    async def send(self, house: House, body: Any, *, loan: str = PAID, **headers: str) -> Any:
        return await house.http.post(f"{API}/loans/{loan}/commands", json=body, headers=headers)

    async def test_a_result_is_waited_for(self, house: House):
        body = {"type": "levy-charge", "kind": "visit", "reason": "met at home"}
        answer = await self.send(house, body, loan=LATE, Prefer="wait=20")
        result = models.CommandResult.model_validate(answer.json())
        assert (answer.status_code, result.status, result.type) == (200, "done", "servicing.levy-charge.v1")
        assert answer.headers["preference-applied"] == "wait=20"
        assert (await house.get(f"{API}/loans/{LATE}"))["version"] >= result.version

    async def test_without_waiting_it_says_where_the_result_will_be(self, house: House):
        command_id = f"a/{uuid4()}"  # an id may hold what an address may not
        body = {"type": "servicing.quote-preclosure.v1"}
        answer = await self.send(house, body, **{"Idempotency-Key": command_id})
        assert answer.status_code == 202
        models.CommandAccepted.model_validate(answer.json())
        place = answer.headers["location"]
        assert (await house.get(place))["status"] in ("pending", "done")
        assert (await house.until(place, lambda told: told["status"] != "pending"))["status"] == "done"

    async def test_a_new_schedule_stands_beside_the_old_one(self, house: House):
        await house.clock("1 Mar 13:00")
        body = {"type": "restructure", "effective_on": "2026-03-01", "instalments": 18, "reason": "job lost"}
        assert (await self.send(house, body, Prefer="wait=20")).json()["status"] == "done"
        new = await house.get(f"{API}/loans/{PAID}/schedule")
        old = await house.get(f"{API}/loans/{PAID}/schedule?version=1")
        assert [one["schedule_version"] for one in new["versions"]] == [1, 2]
        assert (new["schedule_version"], old["schedule_version"]) == (2, 1)
        assert len(old["rows"]) == 12
        assert len(new["rows"]) > 12

    async def test_what_one_would_do_is_shown_and_not_done(self, house: House):
        was = await house.get(f"{API}/loans/{PAID}")
        body = {"type": "restructure", "effective_on": "2026-03-01", "instalments": 30, "reason": "job lost"}
        answer = await house.http.post(f"{API}/loans/{PAID}/commands/preview", json=body)
        shown = models.Preview.model_validate(answer.json())
        assert (answer.status_code, shown.status, shown.refusal) == (200, "would-be-done", None)
        assert "loan.restructured.v1" in [event.type for event in shown.events]
        assert len(shown.after.rows) > len(shown.before.rows)
        [changed] = [one for one in shown.changes if one.field == "/instalment_paise"]
        assert changed.after < changed.before == was["instalment_paise"]
        assert (await house.get(f"{API}/loans/{PAID}"))["version"] == was["version"]

    async def test_a_preview_says_why_not(self, house: House):
        body = {"type": "waive", "charge_id": "LN-PAID:charge:77"}
        shown = (await house.http.post(f"{API}/loans/{PAID}/commands/preview", json=body)).json()
        assert (shown["status"], shown["refusal"], shown["changes"]) == ("refused", "charge_unknown", [])
        answer = await house.http.post(f"{API}/loans/{PAID}/commands/preview", json={"type": "restructure"})
        assert answer.status_code == 422
        assert "/effective_on" in [fault["pointer"] for fault in answer.json()["errors"]]

    async def test_sent_twice_it_is_done_once(self, house: House):
        body = {"type": "levy-charge", "kind": "visit"}
        key = {"Idempotency-Key": str(uuid4()), "Prefer": "wait=20"}
        first = await self.send(house, body, loan=LATE, **key)
        version = (await house.get(f"{API}/loans/{LATE}"))["version"]
        again = await self.send(house, body, loan=LATE, **key)
        assert again.json() == first.json()
        assert (await house.get(f"{API}/loans/{LATE}"))["version"] == version

    async def test_an_id_is_not_used_for_something_else(self, house: House):
        key = {"Idempotency-Key": str(uuid4()), "Prefer": "wait=20"}
        assert (await self.send(house, {"type": "levy-charge", "kind": "visit"}, loan=LATE, **key)).status_code == 200
        other = await self.send(house, {"type": "quote-preclosure"}, loan=LATE, **key)
        assert (other.status_code, other.json()["type"]) == (409, "urn:qist:problem:command-id-used")

    async def test_a_refusal_is_a_result_with_its_phrase(self, house: House):
        body = {"type": "waive", "charge_id": "LN-PAID:charge:77"}
        result = (await self.send(house, body, Prefer="wait=20")).json()
        assert (result["status"], result["refusal"]) == ("refused", "charge_unknown")
        assert result["detail"].startswith("charge_unknown: The loan has no charge with that id.")

    async def test_a_borrower_who_opens_the_address_of_a_notice_is_offered_one_link(self, house: House):
        """No gateway makes its page here: it is said that it is being made, in both languages, and tried again."""
        for _ in range(2):
            answer = await house.http.get(f"/pay/{LATE}:1")
            assert (answer.status_code, answer.headers["content-type"]) == (503, "text/html; charset=utf-8")
            assert "The page for paying is being made" in answer.text
            assert 'http-equiv="refresh"' in answer.text
            assert 'lang="hi"' in answer.text
        events = (await house.get(f"{API}/loans/{LATE}/events?limit=200"))["items"]
        offered = [event["data"] for event in events if event["type"] == "loan.payment-link-offered.v1"]
        assert len({link["link_id"] for link in offered}) == len(offered) > 0
        assert [link["amount_paise"] for link in offered][-1] > 0
        assert (await house.http.get("/pay/NOBODY:1")).status_code == 404
        paid = await house.http.get(f"/pay/{PAID}:1")
        assert (paid.status_code, "Nothing is to be paid" in paid.text) == (410, True)

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"type": "restructure", "instalments": 18}, "/effective_on"),
            ({"type": "levy-charge", "kind": "visit", "amount_paise": 1.5}, "/amount_paise"),
            ({"type": "levy-charge", "kind": "visit", "loan_id": LATE}, "/loan_id"),
            ({"type": "make-coffee"}, "/type"),
            ({}, "/type"),
        ],
    )
    async def test_a_wrong_body_is_refused_by_its_field(self, house: House, body: Any, pointer: str):
        answer = await self.send(house, body)
        assert answer.status_code == 422
        assert pointer in [fault["pointer"] for fault in answer.json()["errors"]]

    async def test_only_json_is_taken_and_only_from_our_own_pages(self, house: House):
        address = f"{API}/loans/{PAID}/commands"
        form = await house.http.post(address, content=b"type=waive")
        foreign = await house.http.post(address, json={}, headers={"Sec-Fetch-Site": "cross-site"})
        broken = await house.http.post(address, content=b"{", headers={"Content-Type": "application/json"})
        unknown = await self.send(house, {"type": "quote-preclosure"}, loan="NOBODY")
        assert [a.status_code for a in (form, foreign, broken, unknown)] == [415, 403, 422, 404]


class TestWebhooks:
    def signed(self, body: bytes, *, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
        stamp = str(int(time.time() if at is None else at))
        mac = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        return {
            "Qist-Signature": f"t={stamp},v1={mac}",
            "Ce-Type": "gateway.payment.received.v1",
            "Ce-Id": str(uuid4()),
        }

    def payment(self, loan_id: str = PAID) -> tuple[str, bytes]:
        reference = f"W-{uuid4()}"
        body = {
            "loan_id": loan_id, "payment_reference": reference, "amount_paise": 5_00, "method": "upi",
            "value_on": "2026-02-20",
        }  # fmt: skip
        return reference, json.dumps(body).encode()

    async def call(self, house: House, body: bytes, headers: dict[str, str], gateway: str = "sponsor-bank") -> Any:
        return await house.http.post(f"{API}/webhooks/{gateway}", content=body, headers=headers)

    @pytest.mark.parametrize("secret", [SECRET, "the-next-one"])
    async def test_a_signed_call_reaches_the_loan(self, house: House, secret: str):
        reference, body = self.payment()
        answer = await self.call(house, body, self.signed(body, secret=secret))
        assert (answer.status_code, answer.json()["topic"]) == (202, "gateway.payments")
        models.WebhookAccepted.model_validate(answer.json())
        await house.until(f"{API}/loans/{PAID}/events?limit=200", lambda page: reference in json.dumps(page))

    async def test_a_provider_says_what_became_of_a_notice(self, house: House):
        body = json.dumps({"loan_id": PAID, "notice_id": "0:1:closed", "at": "2026-03-01T10:00:00+05:30"}).encode()
        answer = await self.call(house, body, {**self.signed(body), "Ce-Type": "gateway.notice.delivered.v1"})
        assert (answer.status_code, answer.json()["topic"]) == (202, "gateway.notice-outcomes")

    async def test_a_replay_is_refused(self, house: House):
        _, body = self.payment()
        headers = self.signed(body)
        assert [(await self.call(house, body, headers)).status_code for _ in range(2)] == [202, 409]

    async def test_nobody_else_is_heard(self, house: House):
        _, body = self.payment()
        right = self.signed(body)
        calls = [
            self.call(house, body, right, gateway="another-bank"),
            self.call(house, body, self.signed(body, secret="guessed")),
            self.call(house, body + b" ", right),
            self.call(house, body, self.signed(body, at=time.time() - 400)),
            self.call(house, body, self.signed(body, at=time.time() + 400)),
            self.call(house, body, {"Ce-Type": right["Ce-Type"]}),
            self.call(house, body, {**right, "Ce-Type": "los.disbursal.requested.v1"}),
        ]
        answers = await asyncio.gather(*calls)
        assert [answer.status_code for answer in answers] == [404, 401, 401, 401, 401, 401, 422]
        assert (await self.call(house, body, right)).status_code == 202

    async def test_what_cannot_be_read_is_set_aside_and_not_lost(self, house: House):
        body = b'{"loan_id": "LN-PAID", "amount_paise": "much"}'
        headers = self.signed(body)
        assert (await self.call(house, body, headers)).status_code == 202
        letters = await house.until(
            f"{API}/dead-letters?reason=malformed", lambda page: headers["Ce-Id"] in json.dumps(page)
        )
        [letter] = [one for one in letters["items"] if one["event_id"] == headers["Ce-Id"]]
        assert letter["field"] == "/payment_reference"


class TestSetAside:
    async def test_a_dead_letter_says_why_and_hides_whose(self, house: House):
        letter = await house.get(f"{API}/dead-letters/1")
        assert (letter["reason"], letter["topic"], letter["event_id"]) == (
            "malformed",
            "gateway.debit-outcomes",
            "junk-1",
        )
        assert letter["body"] == {"loan_id": LATE, "phone": "***", "amount_paise": "much"}
        assert letter["value_sha256"] == hashlib.sha256(JUNK).hexdigest()

    async def test_sent_again_it_is_the_same_record_once(self, house: House):
        answer = await house.http.post(f"{API}/dead-letters/1/retry")
        again = await house.http.post(f"{API}/dead-letters/1/retry")
        assert (answer.status_code, again.status_code) == (200, 409)
        sent = models.SentAgain.model_validate(answer.json())
        assert sent.partition == partition_of(LATE, PARTITIONS)
        part = TopicPartition(sent.topic, sent.partition)
        consumer = AIOKafkaConsumer(bootstrap_servers=house.settings.kafka_bootstrap)
        await consumer.start()
        consumer.assign([part])
        await consumer.seek_to_beginning(part)
        records = []
        while not records or records[-1].offset < sent.offset:
            records += (await consumer.getmany(timeout_ms=500)).get(part, [])
        await consumer.stop()
        first, last = [record for record in records if ("ce_id", b"junk-1") in record.headers]
        assert (first.key, first.value, first.headers) == (last.key, last.value, last.headers)
        # Still wrong: a new dead letter, and the old one is marked.
        letters = await house.until(
            f"{API}/dead-letters", lambda page: [one for one in page["items"] if one["event_id"] == "junk-1"]
        )
        assert 1 not in [letter["id"] for letter in letters["items"]]
        retried = await house.get(f"{API}/dead-letters?retried=yes")
        assert 1 in [letter["id"] for letter in retried["items"]]

    async def test_parked_records_go_again_and_wait_again(self, house: House):
        before = await house.get(f"{API}/parked?loan_id={PARKED}")
        answer = await house.http.post(f"{API}/parked/{PARKED}/retry")
        models.AllSentAgain.model_validate(answer.json())
        after = await house.until(
            f"{API}/parked?loan_id={PARKED}", lambda page: page["items"] and page["items"] != before["items"]
        )
        assert len(after["items"]) == 1
        assert (await house.http.post(f"{API}/parked/NOBODY/retry")).status_code == 404

    async def test_cases_say_what_a_person_should_do(self, house: House):
        cases = await house.get(f"{API}/cases?state=any&loan_id={LATE}")
        assert cases["items"]
        assert {case["loan_id"] for case in cases["items"]} == {LATE}


class TestProcess:
    async def start(self, house: House, port: int) -> Any:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "adapters.cli.main", "api", "--port", str(port),
            env=os.environ | house.settings.environment(), stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def test_ends_at_once_when_told_to_though_somebody_watches(self, house: House):
        port = free_port()
        started = await self.start(house, port)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http, asyncio.timeout(30):
            while True:
                try:
                    await http.get("/healthz")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
            async with http.stream("GET", f"{API}/dashboard/stream") as stream:
                lines = stream.aiter_lines()
                await anext(lines)
                began = time.monotonic()
                started.terminate()
                assert await started.wait() == 0
                assert time.monotonic() - began < 4

    async def test_says_so_when_its_port_is_taken(self, house: House):
        started = await self.start(house, house.settings.http_port)
        _, said = await asyncio.wait_for(started.communicate(), 30)
        assert started.returncode == 1
        assert b"Address already in use" in said


class TestPortfolio:
    async def test_dashboard_agrees_with_the_loans(self, house: House):
        told = await house.get(f"{API}/dashboard")
        loans = [await house.get(f"{API}/loans/{loan_id}") for loan_id in (PAID, LATE)]
        assert told["loans"]["by_stage"]["active"] == 2
        assert told["loans"]["total"] == 3
        assert told["disbursed_paise"] == 2 * 1_00_000_00
        assert told["principal_outstanding_paise"] == sum(loan["outstanding"]["principal_paise"] for loan in loans)
        assert told["debits"] == {
            "attempted": 3,
            "succeeded": 1,
            "failed": {"soft": 1, "hard": 1, "technical": 0},
            "success_percent": "33.3",
        }
        assert {one["bucket"]: one["loans"] for one in told["buckets"]}["1-30"] == 1

    async def test_recovery_agrees_with_the_dashboard(self, house: House):
        told = await house.get(f"{API}/dashboard/recovery")
        assert told["failed"] == 2
        assert {one["class"]: one["failed"] for one in told["by_class"]} == {"soft": 1, "hard": 1}
        for which in ("by_bank", "by_hour", "by_attempt"):
            assert sum(one["failed"] for one in told[which]) == 2
        before = await house.get(f"{API}/dashboard/recovery?until=2025-12-31")
        assert before["failed"] == 0
        assert before["by_bank"] == []
        wrong = await house.http.get(f"{API}/dashboard/recovery?since=soon")
        assert wrong.status_code == 422
        assert "since" in wrong.text

    async def test_failures_are_told_apart_and_shares_are_of_all_that_was_answered(self, house: House):
        days = "since=2026-02-01&until=2026-02-28"
        codes = await house.get(f"{API}/dashboard/failures?{days}")
        assert (codes["answered"], codes["failed"], codes["percent"]) == (3, 2, "66.67")
        assert [(one["code"], one["failed"], one["percent"]) for one in codes["items"]] == [
            ("01", 1, "33.33"), ("04", 1, "33.33"),
        ]  # fmt: skip
        assert all(one["meaning"] for one in codes["items"])
        soft = await house.get(f"{API}/dashboard/failures?{days}&by=attempt&class=soft")
        assert [(one["attempt"], one["failed"], one["answered"]) for one in soft["items"]] == [(1, 1, 2), (2, 0, 1)]
        nobody = await house.get(f"{API}/dashboard/failures?{days}&bank=NOBODY")
        assert (nobody["answered"], nobody["percent"], nobody["items"]) == (0, None, [])

    async def test_stream_tells_what_changes(self, house: House):
        reference = f"S-{uuid4()}"
        body = {
            "type": "record-payment",
            "payment_reference": reference,
            "amount_paise": 1_00,
            "method": "cash",
            "value_on": "2026-03-01",
        }
        before = (await house.get(f"{API}/dashboard"))["collected_paise"]
        async with house.http.stream("GET", f"{API}/dashboard/stream") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            assert stream.headers["x-accel-buffering"] == "no"
            await house.http.post(f"{API}/loans/{PAID}/commands", json=body)
            async with asyncio.timeout(20):
                async for line in stream.aiter_lines():
                    if line.startswith("data:") and json.loads(line[5:])["collected_paise"] >= before + 1_00:
                        break

    async def test_delinquency_counts_and_names_the_late(self, house: House):
        page = await house.get(f"{API}/delinquency")
        assert sum(row["loans"] for row in page["ageing"]) == 2
        assert [late["loan_id"] for late in page["items"]] == [LATE]
        assert (await house.get(f"{API}/delinquency?min_dpd=90"))["items"] == []

    async def test_alerts_and_dashboard_ask_only_for_what_is_measured(self, house: House):
        told = (await house.http.get("/metrics")).text
        asked = set[str]().union(*map(metrics_of, EXPRESSIONS))
        measured = {line.split()[2] for line in told.splitlines() if line.startswith("# HELP")}
        assert {name.removesuffix("_total").removesuffix("_bucket") for name in asked} <= {
            name.removesuffix("_total") for name in measured
        }

    async def test_metrics_are_for_prometheus(self, house: House):
        answer = await house.http.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        figures = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
        assert float(figures['qist_inbound_records_total{outcome="applied"}']) > 5
        assert float(figures["qist_broker_up"]) == 1
        assert 'route="/api/v1/loans/{loan_id}"' in answer.text
        assert PAID not in answer.text

    async def test_it_is_ready(self, house: House):
        ready = await house.get("/readyz")
        assert ready["checks"] == {"database": "ok", "migrations": "ok", "broker": "ok", "read_models": "ok"}
