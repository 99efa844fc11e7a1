"""Who may come in, as what, and what is written down of it; on a real house that requires a sign-in."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.access import keys, sessions, trail
from adapters.access.permissions import ANONYMOUS, Principal
from adapters.database import connect_pool
from adapters.errors import Explained
from tests.conftest import MakeDatabase
from tests.integration.house import House, a_house_of_its_own, qist

pytestmark = pytest.mark.broker

API = "/api/v1"
LOAN = "LN-1"


@pytest.fixture(scope="module")
async def house(make_database: MakeDatabase, services_dir: Path) -> AsyncIterator[House]:
    """One loan; nobody comes in without a key."""
    async with a_house_of_its_own(make_database, services_dir, api_auth="required", rate_limit="100/minute") as house:
        await house.book(LOAN)
        await house.pay_out(LOAN)
        yield house


@pytest.fixture(scope="module")
async def pool(house: House) -> AsyncIterator[Any]:
    pool = await connect_pool(house.settings.database_dsn(), name="test", size=2)
    yield pool
    await pool.close()


@pytest.fixture(scope="module")
async def key_of(pool: Any) -> dict[str, str]:
    """A key of each role, its holder named after it."""
    roles = ("viewer", "collector", "operator", "approver", "auditor", "admin")
    return {role: (await keys.create(pool, f"{role}-1", [role], by="test"))[1] for role in roles}


@asynccontextmanager
async def browser(house: House, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client with cookies of its own, like a browser that follows no redirect by itself."""
    async with httpx.AsyncClient(base_url=house.url, headers=headers, timeout=40) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def kind(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:qist:problem:")


class TestWithoutASignIn:
    @pytest.mark.parametrize(
        "path",
        ["/loans", f"/loans/{LOAN}", "/dashboard", "/dashboard/stream", "/me", "/cases", "/reconciliation/totals"],
    )
    async def test_the_api_is_closed_and_says_how_it_opens(self, house: House, path: str):
        answer = await house.http.get(API + path)
        assert kind(answer) == (401, "sign-in-required")
        assert answer.headers["www-authenticate"] == "Bearer"

    async def test_a_page_shows_the_way_and_leads_back(self, house: House):
        answer = await house.http.get("/loans?q=LN")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Floans%3Fq%3DLN")
        assert 'value="/loans?q=LN"' in (await house.http.get(answer.headers["location"])).text

    @pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/sign-in", f"{API}/openapi.json"])
    async def test_what_machines_and_the_sign_in_need_is_open(self, house: House, path: str):
        assert (await house.http.get(path)).status_code == 200

    async def test_a_webhook_proves_itself_by_its_signature_alone(self, house: House):
        answer = await house.http.post(f"{API}/webhooks/sponsor-bank", json={})
        assert kind(answer) == (401, "signature-missing")

    async def test_changes_are_refused_in_json_even_beside_the_api(self, house: House):
        assert kind(await house.http.post("/approvals/C-1")) == (401, "sign-in-required")


class TestKeys:
    @pytest.mark.parametrize("header", ["authorization", "x-api-key"])
    async def test_open_what_their_role_may(self, house: House, key_of: dict[str, str], header: str):
        key = key_of["viewer"]
        me = await house.get(f"{API}/me", headers={header: f"Bearer {key}" if header == "authorization" else key})
        assert (me["name"], me["roles"], me["signed_in"]) == ("viewer-1", ["viewer"], True)
        assert "loans.read" in me["permissions"]

    @pytest.mark.parametrize(
        "headers",
        [
            bearer("qist_0000000000_" + "A" * 43),
            bearer("qist_"),
            bearer("no-key-at-all"),
            {"Authorization": "Bearer"},
            {"Authorization": "Basic YTpi"},
            {"X-API-Key": "qist_x_y"},
        ],
    )
    async def test_wrong_ones_are_refused_and_not_passed_over(self, house: House, headers: dict[str, str]):
        answer = await house.http.get(f"{API}/loans", headers=headers)
        assert kind(answer) == (401, "credentials-refused")

    async def test_a_key_with_another_secret_is_refused(self, house: House, key_of: dict[str, str]):
        wrong = key_of["admin"][:-1] + ("A" if key_of["admin"][-1] != "A" else "B")
        assert (await house.http.get(f"{API}/me", headers=bearer(wrong))).status_code == 401

    async def test_only_their_hash_is_kept(self, pool: Any, key_of: dict[str, str]):
        kept = str(await pool.fetch("SELECT * FROM api_keys"))
        assert all(key.split("_", 2)[2] not in kept for key in key_of.values())

    async def test_a_revoked_or_expired_one_opens_nothing(self, house: House, pool: Any):
        _, short = await keys.create(
            pool, "late", ["viewer"], by="test", expires_at=datetime.now(UTC) - timedelta(seconds=1)
        )
        _, gone = await keys.create(pool, "gone", ["viewer"], by="test")
        assert (await house.http.get(f"{API}/me", headers=bearer(gone))).status_code == 200
        await keys.revoke(pool, "GONE", by="test")
        for key in (short, gone):
            assert kind(await house.http.get(f"{API}/me", headers=bearer(key))) == (401, "credentials-refused")

    async def test_are_made_listed_and_revoked_by_the_command(self, house: House):
        status, out, err = await qist(
            house, "api-keys", "create", "asha", "--roles", "viewer,collector", "--expires", "9d"
        )
        assert (status, out[:5]) == (0, "qist_"), err
        key = out.strip()
        me = await house.get(f"{API}/me", headers=bearer(key))
        assert (me["name"], me["roles"]) == ("asha", ["collector", "viewer"])
        status, out, _ = await qist(house, "api-keys", "list", "--json")
        [asha] = [one for one in json.loads(out) if one["name"] == "asha"]
        assert (asha["state"], asha["last_used_at"] is not None) == ("valid", True)
        assert (await qist(house, "api-keys", "revoke", "asha"))[0] == 0
        assert (await house.http.get(f"{API}/me", headers=bearer(key))).status_code == 401

    async def test_have_a_name_of_their_own_and_known_roles(self, pool: Any, key_of: dict[str, str]):
        with pytest.raises(Explained, match="there is a key named"):
            await keys.create(pool, "Viewer-1", ["viewer"], by="test")
        with pytest.raises(Explained, match="no such role: boss"):
            await keys.create(pool, "b", ["boss"], by="test")
        with pytest.raises(Explained, match="cannot be a key's name"):
            await keys.create(pool, "a\nb", ["viewer"], by="test")


class TestRoles:
    CASES = [
        ("viewer", "GET", f"/loans/{LOAN}", 200),
        ("viewer", "POST", "/parked/LN-9/retry", 403),
        ("viewer", "POST", f"/loans/{LOAN}/commands", 403),
        ("collector", "POST", "/dead-letters/9/retry", 403),
        ("operator", "POST", "/parked/LN-9/retry", 404),
        ("approver", "POST", "/failure-codes", 403),
        ("auditor", "POST", f"/loans/{LOAN}/commands", 403),
        ("admin", "POST", "/parked/LN-9/retry", 404),
    ]

    @pytest.mark.parametrize(("role", "method", "path", "status"), CASES)
    async def test_may_what_the_table_says(
        self, house: House, key_of: dict[str, str], role: str, method: str, path: str, status: int
    ):
        body = {"json": {"type": "pause-collection", "until": "2026-02-01"}} if method == "POST" else {}
        answer = await house.http.request(method, API + path, headers=bearer(key_of[role]), **body)
        assert answer.status_code == status, answer.text
        if status == 403:
            assert answer.json()["type"] == "urn:qist:problem:not-permitted"
            assert answer.json()["roles"] == [role]

    async def test_nobody_acts_under_another_name(self, house: House, key_of: dict[str, str]):
        body = {"type": "pause-collection", "until": "2026-02-01", "requested_by": "the boss"}
        answer = await house.http.post(
            f"{API}/loans/{LOAN}/commands", json=body, headers=bearer(key_of["operator"]) | {"Prefer": "wait=20"}
        )
        assert kind(answer) == (422, "name-differs")
        answer = await house.http.post(
            f"{API}/loans/{LOAN}/commands",
            json={**body, "requested_by": "operator-1"},
            headers=bearer(key_of["operator"]) | {"Prefer": "wait=20"},
        )
        assert answer.json()["status"] == "done"
        events = await house.get(f"{API}/loans/{LOAN}/events", headers=bearer(key_of["auditor"]))
        assert events["items"][-1]["actor"] == "operator-1"


class TestBrowsers:
    async def sign_in(self, client: httpx.AsyncClient, key: str) -> str:
        """The CSRF token of the session that began."""
        answer = await client.post("/sign-in", data={"key": key, "next": "/loans"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/loans"), answer.text
        found = re.search(r'<meta name="csrf" content="(\w+)">', (await client.get("/loans")).text)
        assert found
        return found[1]

    async def test_sign_in_with_a_key_and_out_again(self, house: House, key_of: dict[str, str]):
        async with browser(house) as client:
            csrf = await self.sign_in(client, key_of["viewer"])
            assert "viewer-1" in (await client.get("/")).text
            cookie = f"qist-{house.settings.http_port}"
            kept = dict(client.cookies)
            assert (await client.post("/sign-out")).status_code == 403
            assert (await client.post("/sign-out", data={"csrf": csrf})).headers["location"] == "/sign-in?said=out"
            assert cookie not in client.cookies
            client.cookies.update(kept)  # what was stolen before is of no use after
            assert (await client.get("/")).status_code == 303

    async def test_the_cookie_is_for_this_server_and_no_script(self, house: House, key_of: dict[str, str]):
        async with browser(house) as client:
            answer = await client.post("/sign-in", data={"key": key_of["viewer"]})
            said = answer.headers["set-cookie"].lower()
            assert "httponly" in said
            assert "samesite=lax" in said
        async with browser(house, **{"X-Forwarded-Proto": "https"}) as client:
            answer = await client.post("/sign-in", data={"key": key_of["viewer"]})
            said = answer.headers["set-cookie"]
            assert said.startswith("__Host-qist=")
            assert "secure" in said.lower()
            assert answer.headers["strict-transport-security"] == "max-age=31536000"

    async def test_a_wrong_key_is_told_and_nothing_of_it_repeated(self, house: House):
        async with browser(house) as client:
            answer = await client.post("/sign-in", data={"key": "qist_abc_WRONG", "next": "//evil.example"})
            assert answer.status_code == 401
            assert "no valid key" in answer.text
            assert "WRONG" not in answer.text
            assert "evil" not in answer.text

    async def test_what_changes_something_repeats_the_csrf_token(self, house: House, key_of: dict[str, str]):
        async with browser(house) as client:
            csrf = await self.sign_in(client, key_of["operator"])
            address = f"{API}/parked/LN-9/retry"
            assert kind(await client.post(address)) == (403, "csrf-token-wrong")
            assert kind(await client.post(address, headers={"X-CSRF-Token": "0" * 64})) == (403, "csrf-token-wrong")
            assert kind(await client.post(address, headers={"X-CSRF-Token": csrf})) == (404, "nothing-parked")

    async def test_a_page_that_one_may_not_see_says_so(self, house: House, pool: Any):
        newcomer = Principal(name="newcomer", subject="oidc:newcomer", roles=frozenset())
        token = await sessions.begin(pool, newcomer, timedelta(hours=1))
        async with browser(house, Accept="text/html") as client:
            client.cookies.set(f"qist-{house.settings.http_port}", token)
            answer = await client.get("/loans")
            assert answer.status_code == 403
            assert answer.headers["content-type"].startswith("text/html")
            assert "portfolio" in answer.text

    async def test_a_link_signs_in_once(self, house: House, pool: Any, key_of: dict[str, str]):
        link = await sessions.make_link(pool, "admin-1")
        async with browser(house) as first, browser(house) as second:
            answer = await first.get(f"/sign-in/once/{link}")
            assert answer.headers["location"] == "/"
            assert "admin-1" in (await first.get("/")).text
            assert (await first.get(f"/sign-in/once/{link}")).headers["location"] == "/"
            assert (await second.get(f"/sign-in/once/{link}")).headers["location"] == "/sign-in?said=link"

    async def test_sessions_end_with_their_key(self, house: House, pool: Any):
        _, key = await keys.create(pool, "leaver", ["viewer"], by="test")
        async with browser(house) as client:
            await self.sign_in(client, key)
            await keys.revoke(pool, "leaver", by="test")
            assert (await client.get("/loans")).status_code == 303


class TestAccessLog:
    async def test_tells_who_read_what_about_whom(self, house: House, pool: Any, key_of: dict[str, str]):
        await house.get(f"{API}/loans/{LOAN}/ledger?limit=5", headers=bearer(key_of["collector"]))
        newest = (await trail.accesses(pool, loan_id=LOAN))[0]
        assert (newest["who"], newest["what"]) == ("collector-1", "GET /api/v1/loans/{loan_id}/ledger")
        assert newest["detail"] == {"limit": "5"}
        assert abs(newest["at"] - datetime.now(UTC)) < timedelta(minutes=1)
        assert newest["number"] in {one["number"] for one in await trail.accesses(pool, borrower_id="B-1")}
        found = await house.get(f"{API}/access-log?loan_id={LOAN}&limit=1", headers=bearer(key_of["auditor"]))
        assert found["items"][0]["number"] == newest["number"]

    async def test_has_no_line_for_figures_of_nobody(self, house: House, pool: Any, key_of: dict[str, str]):
        before = await pool.fetchval("SELECT count(*) FROM access_log")
        await house.get(f"{API}/dashboard", headers=bearer(key_of["viewer"]))
        assert await pool.fetchval("SELECT count(*) FROM access_log") == before

    async def test_can_only_grow(self, pool: Any):
        await trail.record(pool, ANONYMOUS, "test")
        for change in ("UPDATE access_log SET who = 'nobody'", "DELETE FROM access_log", "TRUNCATE access_log"):
            with pytest.raises(Exception, match="permission denied"):
                await pool.execute(change)


class TestLimits:
    async def test_who_asks_too_often_is_told_when_to_come_again(self, house: House, pool: Any):
        _, key = await keys.create(pool, "hasty", ["viewer"], by="test")
        async with browser(house, **bearer(key)) as client:
            for _ in range(110):
                answer = await client.get(f"{API}/me")
                if answer.status_code != 200:
                    break
        assert kind(answer) == (429, "too-many-requests")
        assert int(answer.headers["retry-after"]) >= 1

    async def test_others_are_served_meanwhile(self, house: House, key_of: dict[str, str]):
        await house.get(f"{API}/me", headers=bearer(key_of["approver"]))

    async def test_guessing_keys_is_slow(self, house: House):
        statuses = {
            (await house.http.post("/sign-in", data={"key": f"qist_guess_{number}"})).status_code
            for number in range(40)
        }
        assert statuses == {401, 429}

    async def test_and_shuts_out_nobody_with_a_right_one(self, house: House, key_of: dict[str, str]):
        assert kind(await house.http.get(f"{API}/me", headers=bearer("qist_x_y"))) == (429, "too-many-requests")
        await house.get(f"{API}/me", headers=bearer(key_of["collector"]))
