"""Signed-in browsers, and links that sign in once.

The cookie holds 256 random bits and the database their hash: there is nothing in it to forge or to read, signing out
ends it, every API server knows it, and the sessions of a key end with the key.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import Any

from adapters.access import keys
from adapters.access.keys import hashed
from adapters.access.permissions import Principal

LINK_LASTS = timedelta(hours=1)


async def begin(pool: Any, who: Principal, lasts: timedelta) -> str:
    """The cookie's content. Sessions that are over are forgotten on the way."""
    token = secrets.token_urlsafe(32)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("DELETE FROM sessions WHERE expires_at < now()")
        await connection.execute(
            "INSERT INTO sessions (token_hash, subject, name, roles, key_id, expires_at)"
            " VALUES ($1, $2, $3, $4, $5, now() + $6)",
            hashed(token), who.subject, who.name, sorted(who.roles), key_of(who), lasts,
        )  # fmt: skip
    return token


def key_of(who: Principal) -> str | None:
    kind, _, key_id = who.subject.partition(":")
    return key_id if kind == "key" else None


async def find(pool: Any, token: str) -> Principal | None:
    """Who is signed in with this cookie; None when nobody is (any more)."""
    row = await pool.fetchrow(
        "SELECT s.subject, s.name, s.roles FROM sessions s LEFT JOIN api_keys k USING (key_id)"
        " WHERE s.token_hash = $1 AND s.expires_at > now() AND k.revoked_at IS NULL"
        " AND (k.expires_at IS NULL OR k.expires_at > now())",
        hashed(token),
    )
    if row is None:
        return None
    return Principal(name=row["name"], subject=row["subject"], roles=frozenset(row["roles"]), csrf=csrf_of(token))


def csrf_of(token: str) -> str:
    """What forms of this session must repeat: a foreign page cannot know it, and it does not give the cookie away."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()


async def end(pool: Any, token: str) -> None:
    await pool.execute("DELETE FROM sessions WHERE token_hash = $1", hashed(token))


async def make_link(pool: Any, key_name: str) -> str | None:
    """The secret of a link that signs in once, within the hour, as a key that is valid; None when there is no such."""
    token = secrets.token_urlsafe(24)
    made = await pool.fetchval(
        "INSERT INTO sign_in_links (token_hash, key_id, expires_at) SELECT $1, key_id, now() + $3 FROM api_keys"
        " WHERE name = $2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()) RETURNING key_id",
        hashed(token),
        key_name,
        LINK_LASTS,
    )
    return token if made else None


async def use_link(pool: Any, token: str) -> Principal | None:
    """Whom the link signs in; the second time nobody."""
    row = await pool.fetchrow(
        "WITH used AS (DELETE FROM sign_in_links WHERE token_hash = $1 OR expires_at < now()"
        " RETURNING token_hash, key_id, expires_at)"
        " SELECT k.key_id, k.name, k.roles FROM used JOIN api_keys k USING (key_id) WHERE used.token_hash = $1"
        " AND used.expires_at > now() AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())",
        hashed(token),
    )
    return keys.principal(row) if row else None
