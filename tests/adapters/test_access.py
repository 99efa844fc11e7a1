"""Roles and permissions as data, tokens of an identity provider, and what the settings of access refuse."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from pydantic import ValidationError

from adapters.access import oidc
from adapters.access.oidc import NotBelieved, Oidc, Unreachable, claim_at
from adapters.access.permissions import (
    API,
    CLOSED,
    COMMANDS,
    OPEN,
    PERMISSIONS,
    ROLES,
    ROUTES,
    SIGNED_IN,
    Principal,
    permission_of_command,
    rule_of,
)
from adapters.cli.api_keys import last_instant
from adapters.http import app, gate
from adapters.http.commands import MODEL_OF, short
from adapters.http.sign_in import local
from adapters.settings import Settings
from tests.stories import on

TEMPLATES = Path(app.__file__).parent / "templates"


def routes() -> Iterator[tuple[str, str]]:
    """Every route that is served: method and whole pattern."""
    for prefix, routers in ((API, app.SERVED), ("", app.BESIDE)):
        for router in routers:
            for route in router.routes:
                for method in getattr(route, "methods", ()):
                    yield method, prefix + getattr(route, "path", "")


class TestTable:
    def test_every_route_has_its_row(self):
        assert [one for one in routes() if rule_of(*one) is CLOSED] == []

    def test_every_row_has_its_route(self):
        served = {rule_of(*one) for one in routes()}
        assert [rule for rule in ROUTES if rule not in served] == []

    def test_a_route_that_is_forgotten_is_closed(self):
        assert rule_of("GET", "/api/v1/something-new").permission == "house.manage"
        assert [role for role, may in ROLES.items() if "house.manage" in may] == ["admin"]

    def test_a_document_bears_a_name_so_a_viewer_of_figures_does_not_read_it(self):
        rule = rule_of("GET", "/api/v1/loans/{loan_id}/documents/{document}")
        assert (rule.permission, rule.recorded) == ("documents.read", True)
        assert {role for role, allowed in ROLES.items() if rule.permission not in allowed} == {"viewer"}

    def test_only_reading_is_ever_open_but_for_webhooks_and_signing_in_and_out(self):
        open_to_all = {one for one in routes() if rule_of(*one).permission == OPEN and one[0] != "GET"}
        assert open_to_all == {("POST", f"{API}/webhooks/{{gateway}}"), ("POST", "/sign-in"), ("POST", "/sign-out")}

    def test_every_command_has_one_permission(self):
        named = [name for names in COMMANDS.values() for name in names]
        assert sorted(named) == sorted(short(model) for model in MODEL_OF.values())

    def test_every_permission_is_known_and_somebodys(self):
        asked = {rule.permission for rule in ROUTES} - {OPEN, SIGNED_IN} | set(COMMANDS)
        assert asked <= set(PERMISSIONS)
        assert frozenset().union(*ROLES.values()) == set(PERMISSIONS)

    def test_who_asks_for_money_to_be_given_up_does_not_decide_on_it(self):
        both = {role for role, may in ROLES.items() if {"money.give-up", "approvals.decide"} <= may}
        assert both == {"admin"}

    def test_an_unknown_role_or_command_is_worth_nothing(self):
        assert not Principal(name="x", subject="oidc:x", roles=frozenset({"boss"})).permissions
        assert permission_of_command("sell-the-house") == "house.manage"

    @pytest.mark.parametrize(
        ("name", "subject", "same"),
        [("asha", "key:1", True), ("ASHA", "oidc:7", True), ("ravi", "key:1", True), ("ravi", "key:2", False)],
    )
    def test_one_person_is_known_by_name_or_credential(self, name: str, subject: str, same: bool):
        assert Principal(name="asha", subject="key:1", roles=frozenset()).is_also(name, subject) == same


class TestForms:
    @pytest.mark.parametrize("page", sorted(TEMPLATES.glob("**/*.html")), ids=lambda path: path.name)
    def test_what_changes_something_repeats_the_sessions_token(self, page: Path):
        forms = re.findall(r'<form[^>]*method="post".*?</form>', page.read_text(), re.DOTALL)
        assert [form for form in forms if "{{ csrf() }}" not in form and 'action="/sign-in"' not in form] == []
        assert page.read_text().count("csrf()") <= len(forms), "never in an address"


class TestSettings:
    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"api_auth": "open", "http_host": "0.0.0.0"}, "loopback"),
            ({"oidc_issuer": "http://login.example", "oidc_audience": "qist"}, "https"),
            ({"oidc_issuer": "https://login.example"}, "oidc_audience"),
            ({"approval_above": "write-off:much"}, "approval_above"),
            ({"approval_above": "restructure:1"}, "approval_above"),
            ({"oidc_roles": "boss"}, "oidc_roles"),
            ({"rate_limit": "many"}, "pattern"),
        ],
    )
    def test_what_would_be_unsafe_or_senseless_is_refused(self, given: dict[str, Any], said: str):
        with pytest.raises(ValidationError, match=said):
            Settings(**given)

    def test_limits_are_those_that_are_named_and_else_the_usual(self):
        limits = Settings(approval_above="refund:5,write-off:never").approval_limits()
        assert limits == {"write-off": None, "settle": 0, "waive": 500_00, "refund": 5}

    @pytest.mark.parametrize(
        ("said", "ends"),
        [
            ("2026-02-10", on("11 Feb 00:00")),
            ("2d", on("7 Feb 10:00")),
            ("2026-02-04", None),
            ("soon", None),
            ("0d", None),
        ],
    )
    def test_a_key_ends_after_a_day_or_some_days(self, said: str, ends: Any):
        assert last_instant(said, on("5 Feb 10:00")) == ends


class TestWaysOn:
    @pytest.mark.parametrize("next", ["//evil.example", "https://evil.example", "/\\evil", "", "/a\nb", "javascript:x"])
    def test_lead_nowhere_else(self, next: str):
        assert local(next) == "/"

    def test_lead_back_within_the_pages(self):
        assert local("/loans?q=LN-1") == "/loans?q=LN-1"

    def test_ipv6_callers_are_counted_by_their_network(self):
        def caller(host: str) -> Any:
            return type("Request", (), {"client": type("Client", (), {"host": host})})

        assert gate.address(caller("2001:db8::1")) == gate.address(caller("2001:db8::ffff"))
        assert gate.address(caller("2001:db8::1")) != gate.address(caller("2001:db9::1"))
        assert gate.address(caller("::1")) == "::1"


ISSUER = "https://login.example/realms/lender"


class Provider:
    """An identity provider with keys that it can change."""

    def __init__(self) -> None:
        self.keys = [RSAKey.generate_key(2048, {"kid": "1", "alg": "RS256", "use": "sig"})]
        self.asked = 0
        self.away = False
        self.codes: dict[str, dict[str, Any]] = {}
        self.exchanged: dict[str, str] = {}

    def token(self, key: Any = None, *, algorithm: str = "RS256", **claims: Any) -> str:
        now = int(time.time())
        said = {"iss": ISSUER, "aud": "qist", "sub": "u-7", "exp": now + 300, "preferred_username": "E1007"}
        said |= {"roles": ["operator", "unknown"], **claims}
        key = key or self.keys[-1]
        header = {"alg": algorithm, **({"kid": key.kid} if key.kid else {})}
        return jwt.encode(header, {k: v for k, v in said.items() if v is not None}, key, algorithms=[algorithm])

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if self.away:
            raise httpx2.ConnectError("away")
        match request.url.path.rsplit("/", 1)[-1]:
            case "openid-configuration":
                places = {"authorization_endpoint": "auth", "token_endpoint": "token", "jwks_uri": "certs"}
                return httpx2.Response(
                    200, json={"issuer": ISSUER, **{name: f"{ISSUER}/{path}" for name, path in places.items()}}
                )
            case "certs":
                self.asked += 1
                return httpx2.Response(200, json=KeySet(self.keys).as_dict(private=False))
            case _:
                self.exchanged = dict(httpx2.QueryParams(request.content.decode()))
                said = self.codes.get(self.exchanged["code"])
                if said is None:
                    return httpx2.Response(400, json={"error": "invalid_grant"})
                body = {"access_token": "opaque", "token_type": "Bearer", "id_token": self.token(**said)}
                return httpx2.Response(200, json=body)


@pytest.fixture(scope="module")
def stranger() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "1", "alg": "RS256"})


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def house(provider: Provider) -> Oidc:
    settings = Settings(oidc_issuer=ISSUER, oidc_audience="qist", oidc_client_id="qist-pages")
    return Oidc(settings, transport=httpx2.MockTransport(provider))


class TestTokens:
    async def test_make_a_principal_of_their_claims(self, house: Oidc, provider: Provider):
        who = await house.bearer(provider.token())
        assert who == Principal(name="E1007", subject="oidc:u-7", roles=frozenset({"operator"}))

    @pytest.mark.parametrize(
        "claims",
        [
            {"iss": "https://login.example/realms/other"},
            {"aud": "another"},
            {"aud": None},
            {"exp": 1},
            {"exp": None},
            {"sub": None},
            {"nbf": int(time.time()) + 3600},
        ],
    )
    async def test_with_a_wrong_claim_are_refused(self, house: Oidc, provider: Provider, claims: dict[str, Any]):
        with pytest.raises(NotBelieved, match="a claim is not right"):
            await house.bearer(provider.token(**claims))

    async def test_signed_by_another_are_refused(self, house: Oidc, provider: Provider, stranger: RSAKey):
        with pytest.raises(NotBelieved, match="cannot be verified"):
            await house.bearer(provider.token(stranger))

    async def test_signed_with_a_shared_secret_or_not_at_all_are_refused(self, house: Oidc, provider: Provider):
        shared = OctKey.import_key("a secret that everybody knows, and no key pair")
        for forged in (provider.token(shared, algorithm="HS256"), "eyJhbGciOiJub25lIn0.e30.", "a.b.c", "", "é"):
            with pytest.raises(NotBelieved):
                await house.bearer(forged)

    async def test_keys_are_asked_for_once_and_again_when_they_changed(
        self, house: Oidc, provider: Provider, monkeypatch: pytest.MonkeyPatch
    ):
        for _ in range(3):
            await house.bearer(provider.token())
        assert provider.asked == 1
        provider.keys.append(RSAKey.generate_key(2048, {"kid": "2", "alg": "RS256"}))
        with pytest.raises(NotBelieved):  # nobody makes us ask all the time
            await house.bearer(provider.token())
        assert provider.asked == 1
        monkeypatch.setattr(oidc, "ASK_AGAIN_AFTER", 0.0)
        assert (await house.bearer(provider.token())).name == "E1007"
        assert provider.asked == 2

    async def test_a_provider_that_is_away_leaves_us_its_last_keys(
        self, house: Oidc, provider: Provider, monkeypatch: pytest.MonkeyPatch
    ):
        provider.away = True
        with pytest.raises(Unreachable):
            await house.bearer(provider.token())
        provider.away = False
        await house.bearer(provider.token())
        provider.away = True
        monkeypatch.setattr(oidc, "KEYS_LAST", 0.0)
        assert (await house.bearer(provider.token())).name == "E1007"

    def test_roles_may_have_other_names_and_lie_deeper(self):
        settings = Settings(
            oidc_issuer=ISSUER, oidc_audience="q", oidc_roles_claim="realm_access.roles", oidc_roles="ops team:operator"
        )
        claims = {"sub": "u-7", "realm_access": {"roles": ["ops team", "viewer"]}}
        who = Oidc(settings).principal(claims)
        assert (who.name, who.roles) == ("u-7", frozenset({"operator", "viewer"}))
        assert claim_at({"https://a.b/roles": ["x"]}, "https://a.b/roles") == ["x"]
        assert claim_at({"a": 5}, "a.b.c") is None


class TestSigningInAtTheProvider:
    BACK = "https://qist.example/sign-in/callback"

    async def test_goes_there_and_comes_back_as_somebody(self, house: Oidc, provider: Provider):
        attempt = await house.attempt(self.BACK)
        asked = dict(httpx2.URL(attempt.url).params)
        assert (asked["redirect_uri"], asked["client_id"], asked["state"]) == (self.BACK, "qist-pages", attempt.state)
        assert (asked["code_challenge_method"], asked["nonce"]) == ("S256", attempt.nonce)
        provider.codes["c-1"] = {"aud": "qist-pages", "nonce": attempt.nonce}
        who = await house.complete(attempt, f"{self.BACK}?code=c-1&state={attempt.state}", self.BACK)
        assert (who.name, who.roles) == ("E1007", frozenset({"operator"}))
        assert provider.exchanged["code_verifier"] == attempt.verifier

    @pytest.mark.parametrize(
        "said", [{"aud": "qist-pages", "nonce": "another"}, {"aud": "qist-pages"}, {"aud": "qist"}, None]
    )
    async def test_an_answer_for_another_sign_in_is_refused(self, house: Oidc, provider: Provider, said: Any):
        attempt = await house.attempt(self.BACK)
        if said is not None:
            provider.codes["c-1"] = said
        with pytest.raises(NotBelieved):
            await house.complete(attempt, f"{self.BACK}?code=c-1&state={attempt.state}", self.BACK)

    async def test_a_state_that_is_not_ours_is_refused(self, house: Oidc, provider: Provider):
        attempt = await house.attempt(self.BACK)
        provider.codes["c-1"] = {"aud": "qist-pages", "nonce": attempt.nonce}
        with pytest.raises(NotBelieved):
            await house.complete(attempt, f"{self.BACK}?code=c-1&state=other", self.BACK)
