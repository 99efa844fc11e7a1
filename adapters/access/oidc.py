"""OpenID Connect: bearer tokens of the lender's identity provider, and signing in at its page (code flow with PKCE).

Signatures, claims and the OAuth exchange are joserfc's and Authlib's; here stands only what is fetched when, and which
claims make a Principal.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.common.security import generate_token
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from adapters.access.permissions import ROLES, Principal
from adapters.settings import Settings

log = structlog.get_logger("api")

ALGORITHMS: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Public-key signatures only: with a shared secret, whoever can check a token could also make one."""
KEYS_LAST: Final = 600.0
ASK_AGAIN_AFTER: Final = 30.0
"""Seconds. A token that names an unknown key makes us ask for new ones, but nobody can make us ask all the time."""
LEEWAY: Final = 60
"""Seconds by which clocks may differ."""
PATIENCE: Final = 5.0


class NotBelieved(Exception):
    """The token is not one of ours, or not any more; the message says why, without the token."""


class Unreachable(Exception):
    """The identity provider does not answer, and nothing of it is known yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A sign-in on its way; kept in the browser's own cookie until it comes back."""

    url: str
    state: str
    nonce: str
    verifier: str


@dataclass(slots=True)
class Oidc:
    """One issuer, as the settings name it."""

    settings: Settings
    transport: httpx2.AsyncBaseTransport | None = None
    _provider: dict[str, Any] = field(default_factory=dict[str, Any])
    _keys: KeySet | None = None
    _asked_at: float = float("-inf")
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def issuer(self) -> str:
        assert self.settings.oidc_issuer is not None
        return self.settings.oidc_issuer.rstrip("/")

    async def bearer(self, token: str) -> Principal:
        """Whose access token it is; issuer, audience and expiry are right."""
        return self.principal(await self._claims(token, self.settings.oidc_audience))

    def principal(self, claims: Mapping[str, Any]) -> Principal:
        """Name and roles by the claims that the settings name. Roles that are none of ours are left out."""
        names = self.settings.oidc_role_names()
        said = claim_at(claims, self.settings.oidc_roles_claim)
        groups = said.split() if isinstance(said, str) else said if isinstance(said, list) else []
        roles = frozenset(names.get(str(group), str(group)) for group in groups) & ROLES.keys()
        name = claim_at(claims, self.settings.oidc_name_claim)
        subject = str(claims["sub"])
        return Principal(
            name=name[:64] if isinstance(name, str) and name.isprintable() and name else subject[:64],
            subject=f"oidc:{subject}",
            roles=roles,
        )

    # --- The code flow -----------------------------------------------------------------------------------------

    async def attempt(self, redirect_uri: str) -> Attempt:
        """Where the browser is to go, and what it must bring back."""
        provider = await self._known_provider()
        verifier, nonce = generate_token(64), generate_token(32)
        async with self._client(redirect_uri) as client:
            url, state = client.create_authorization_url(
                provider["authorization_endpoint"], code_verifier=verifier, nonce=nonce
            )
        return Attempt(url=url, state=state, nonce=nonce, verifier=verifier)

    async def complete(self, attempt: Attempt, came_back_to: str, redirect_uri: str) -> Principal:
        """Who signed in; the answer of the provider is for this very attempt."""
        provider = await self._known_provider()
        try:
            async with self._client(redirect_uri, state=attempt.state) as client:
                tokens = await client.fetch_token(
                    provider["token_endpoint"], authorization_response=came_back_to, code_verifier=attempt.verifier
                )
        except AuthlibBaseError as error:
            raise NotBelieved(f"the identity provider says {error.error}") from None
        except httpx2.HTTPError as error:
            raise Unreachable(repr(error)) from None
        claims = await self._claims(str(tokens.get("id_token", "")), self.settings.oidc_client_id)
        if claims.get("nonce") != attempt.nonce:
            raise NotBelieved("the token is for another sign-in")
        return self.principal(claims)

    def _client(self, redirect_uri: str, **more: Any) -> Any:
        secret = self.settings.oidc_client_secret
        return AsyncOAuth2Client(
            client_id=self.settings.oidc_client_id,
            client_secret=secret.get_secret_value() if secret else None,
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
            scope="openid profile",
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            transport=self.transport,
            timeout=PATIENCE,
            **more,
        )

    # --- What is fetched ---------------------------------------------------------------------------------------

    async def _claims(self, token: str, audience: str | None) -> dict[str, Any]:
        """The claims of a token whose signature and times are right, and that was made for us."""
        assert audience, "a token for anybody is for nobody"
        for newest in (False, True):
            keys = await self._known_keys(newest=newest)
            try:
                found = jwt.decode(token, keys, algorithms=ALGORITHMS)
            except (JoseError, ValueError) as error:
                # An unknown key may be a new one: providers change theirs.
                if newest:
                    raise NotBelieved(f"the token cannot be verified ({type(error).__name__})") from None
                continue
            check = jwt.JWTClaimsRegistry(
                leeway=LEEWAY,
                iss={"essential": True, "value": self._provider.get("issuer", self.issuer)},
                aud={"essential": True, "value": audience},
                exp={"essential": True},
                sub={"essential": True},
            )
            try:
                check.validate(found.claims)
            except JoseError as error:
                raise NotBelieved(f"a claim is not right ({getattr(error, 'claim', type(error).__name__)})") from None
            return found.claims
        raise AssertionError

    async def _known_provider(self) -> dict[str, Any]:
        await self._known_keys(newest=False)
        return self._provider

    async def _known_keys(self, *, newest: bool) -> KeySet:
        """The provider's keys: of the last ten minutes, or newer ones if `newest` and the last look is not just over.
        A provider that is away for a while leaves us with those that we know."""
        async with self._asking:
            age = time.monotonic() - self._asked_at
            if self._keys is None or age > KEYS_LAST or (newest and age > ASK_AGAIN_AFTER):
                try:
                    await self._fetch()
                except (httpx2.HTTPError, JoseError, KeyError, ValueError) as error:
                    log.warning("the identity provider cannot be asked", issuer=self.issuer, error=repr(error))
                    if self._keys is None:
                        raise Unreachable(self.issuer) from None
                    self._asked_at = max(self._asked_at, time.monotonic() - KEYS_LAST + ASK_AGAIN_AFTER)
            assert self._keys is not None
            return self._keys

    async def _fetch(self) -> None:
        async with httpx2.AsyncClient(transport=self.transport, timeout=PATIENCE) as client:
            provider = (await client.get(f"{self.issuer}/.well-known/openid-configuration")).raise_for_status().json()
            if str(provider["issuer"]).rstrip("/") != self.issuer:
                raise ValueError("the provider calls itself another issuer")
            keys = (await client.get(provider["jwks_uri"])).raise_for_status().json()
        self._keys = KeySet.import_key_set(keys)
        self._provider = provider
        self._asked_at = time.monotonic()


def claim_at(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by its name, or by a path such as `realm_access.roles`. Some providers name claims by URLs, with dots."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
