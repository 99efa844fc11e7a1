"""API keys: `qist_ID_SECRET`, of which only a hash is kept. A key is for one person or one system.

The secret is 256 random bits, so one round of SHA-256 is enough: there is nothing to guess that a slow hash would
protect (OWASP's advice on slow hashes is about passwords, which people choose).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from adapters.access.permissions import ROLES, Principal
from adapters.errors import Explained

PREFIX = "qist_"
FIRST = "admin"
NAME = re.compile(r"[\w.@+ -]{1,64}")


def hashed(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


async def create(
    pool: Any, name: str, roles: Sequence[str], *, by: str, expires_at: datetime | None = None
) -> tuple[str, str]:
    """A new key: its id, and the key itself, which nobody can read again."""
    if not NAME.fullmatch(name):
        raise Explained(f"{name[:80]!r} cannot be a key's name: 1 to 64 letters, digits, spaces and . _ - @ +")
    if unknown := sorted(set(roles) - set(ROLES)):
        raise Explained(f"no such role: {', '.join(unknown)}; there are {', '.join(ROLES)}")
    if not roles:
        raise Explained(f"a key needs a role: {', '.join(ROLES)}")
    key_id, secret = secrets.token_hex(5), secrets.token_urlsafe(32)
    try:
        await pool.execute(
            "INSERT INTO api_keys (key_id, name, secret_hash, roles, created_by, expires_at)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
            key_id, name, hashed(secret), sorted(set(roles)), by, expires_at,
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise Explained(f"there is a key named {name!r} already: revoke it first, or take another name") from None
    return key_id, f"{PREFIX}{key_id}_{secret}"


async def find(pool: Any, key: str) -> Principal | None:
    """Whose key it is; None when it is nobody's (any more). Seen at most once a minute, when it was last used."""
    key_id, _, secret = key.removeprefix(PREFIX).partition("_")
    row = await pool.fetchrow(
        "SELECT key_id, name, secret_hash, roles, last_used_at < now() - interval '1 minute' IS NOT false AS stale"
        " FROM api_keys WHERE key_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())",
        key_id[:32],
    )
    if row is None or not hmac.compare_digest(hashed(secret), row["secret_hash"]):
        return None
    if row["stale"]:
        await pool.execute("UPDATE api_keys SET last_used_at = now() WHERE key_id = $1", key_id)
    return principal(row)


def principal(row: Any) -> Principal:
    return Principal(name=row["name"], subject=f"key:{row['key_id']}", roles=frozenset(row["roles"]))


async def listed(pool: Any) -> list[dict[str, Any]]:
    """Every key there ever was, without its secret."""
    rows = await pool.fetch(
        "SELECT key_id, name, roles, created_by, created_at, expires_at, revoked_at, revoked_by, last_used_at,"
        " CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= now() THEN 'expired' ELSE 'valid' END"
        " AS state FROM api_keys ORDER BY created_at, key_id"
    )
    return [dict(row) for row in rows]


async def revoke(pool: Any, name: str, *, by: str) -> dict[str, Any] | None:
    """From this moment on it opens nothing, and whoever signed in with it is signed out. By id or name."""
    row = await pool.fetchrow(
        "UPDATE api_keys SET revoked_at = now(), revoked_by = $2"
        " WHERE (key_id = $1 OR lower(name) = lower($1)) AND revoked_at IS NULL RETURNING key_id, name",
        name,
        by,
    )
    return dict(row) if row else None


async def first(pool: Any) -> str | None:
    """The admin's key of a house that has had none; None when there was one, whatever became of it."""
    if await pool.fetchval("SELECT EXISTS (SELECT FROM api_keys)"):
        return None
    _, key = await create(pool, FIRST, ["admin"], by="qist")
    return key
