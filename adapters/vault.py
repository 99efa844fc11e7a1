"""Personal data, outside the events: encrypted with a key per borrower, each key wrapped by the house's master key.

Erasing a borrower destroys that key: events, ledger and hash chains stay whole, the personal data is gone. Keep the
wrapped keys out of long-lived backups, or they undo an erasure.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.errors import Explained
from streams.wire import Secret

NONCE_BYTES = 12


class VaultError(Explained):
    """The vault cannot be opened: what to do is in the message."""


def master_key(configured: str | None, data_dir: Path) -> bytes:
    """The configured key (64 hex digits), else one made once and kept beside the embedded database (mode 0600)."""
    if configured:
        try:
            key = bytes.fromhex(configured)
        except ValueError:
            key = b""
        if len(key) != 32:
            raise VaultError("QIST_VAULT_KEY must be 64 hex digits (32 bytes): `openssl rand -hex 32` makes one")
        return key
    path = data_dir / "vault.key"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(AESGCM.generate_key(256).hex().encode())
    return bytes.fromhex(path.read_text().strip())


class Vault:
    """Stores and opens personal data within the caller's transaction."""

    def __init__(self, master: bytes) -> None:
        self._master = AESGCM(master)

    async def store(self, connection: asyncpg.Connection, secrets: Sequence[Secret], now: datetime) -> None:
        """Write secrets, each as the next version of its token."""
        keys = await self._keys(connection, sorted({secret.borrower_id for secret in secrets}), now)
        newest = {
            row["token"]: row["version"]
            for row in await connection.fetch(
                "SELECT token, max(version) AS version FROM vault WHERE token = ANY($1) GROUP BY token",
                [secret.token for secret in secrets],
            )
        }
        rows: list[tuple[Any, ...]] = []
        for secret in secrets:
            newest[secret.token] = version = newest.get(secret.token, 0) + 1
            sealed = seal(keys[secret.borrower_id], orjson.dumps(secret.content), secret.token)
            rows.append((secret.token, version, secret.borrower_id, sealed, now))
        await connection.copy_records_to_table(
            "vault", records=rows, columns=["token", "version", "borrower_id", "ciphertext", "stored_at"]
        )

    async def open(self, connection: asyncpg.Connection, tokens: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """The newest content of each token; a token whose borrower was erased is left out."""
        rows = await connection.fetch(
            "SELECT DISTINCT ON (v.token) v.token, v.borrower_id, v.ciphertext, k.wrapped_key"
            " FROM vault v JOIN vault_keys k USING (borrower_id)"
            " WHERE v.token = ANY($1) ORDER BY v.token, v.version DESC",
            list(tokens),
        )
        return {row["token"]: self._unsealed(row) for row in rows}

    async def gathered(self, connection: asyncpg.Connection, tokens: Iterable[str]) -> dict[str, dict[str, Any]]:
        """All that is known under each token: a fact that a newer version does not name stays as it was."""
        rows = await connection.fetch(
            "SELECT v.token, v.borrower_id, v.ciphertext, k.wrapped_key FROM vault v JOIN vault_keys k"
            " USING (borrower_id) WHERE v.token = ANY($1) ORDER BY v.token, v.version",
            list(tokens),
        )
        gathered: dict[str, dict[str, Any]] = {}
        for row in rows:
            gathered.setdefault(row["token"], {}).update(self._unsealed(row))
        return gathered

    async def up_to(
        self,
        connection: asyncpg.Connection | asyncpg.Pool | asyncpg.pool.PoolConnectionProxy,
        token: str,
        version: int | None = None,
    ) -> tuple[dict[str, Any], int]:
        """All that was known under a token up to a version (now, unless given), and the newest version of it. Nothing
        and 0 where nothing is known, or the borrower was erased."""
        rows = await connection.fetch(
            "SELECT v.token, v.version, v.borrower_id, v.ciphertext, k.wrapped_key FROM vault v JOIN vault_keys k"
            " USING (borrower_id) WHERE v.token = $1 AND ($2::integer IS NULL OR v.version <= $2) ORDER BY v.version",
            token,
            version,
        )
        facts: dict[str, Any] = {}
        for row in rows:
            facts.update(self._unsealed(row))
        return facts, rows[-1]["version"] if rows else 0

    def _unsealed(self, row: asyncpg.Record) -> dict[str, Any]:
        key = AESGCM(unseal(self._master, row["wrapped_key"], row["borrower_id"]))
        return orjson.loads(unseal(key, row["ciphertext"], row["token"]))

    async def erase(self, connection: asyncpg.Connection, borrower_id: str) -> None:
        """Destroy the borrower's key and what it sealed."""
        await connection.execute("DELETE FROM vault_keys WHERE borrower_id = $1", borrower_id)
        await connection.execute("DELETE FROM vault WHERE borrower_id = $1", borrower_id)

    async def _keys(self, connection: asyncpg.Connection, borrowers: Sequence[str], now: datetime) -> dict[str, AESGCM]:
        """A key for each borrower, made where there is none. Read anew each time: an erasure destroys keys.

        The rows stay locked, in one order, until the transaction ends. A borrower's loans live in several partitions,
        and their writers would otherwise both write the same version of a token.
        """
        found = await self._lock(connection, borrowers)
        missing = [borrower for borrower in borrowers if borrower not in found]
        if missing:
            made = [(borrower, seal(self._master, AESGCM.generate_key(256), borrower), now) for borrower in missing]
            await connection.executemany(
                "INSERT INTO vault_keys (borrower_id, wrapped_key, created_at) VALUES ($1, $2, $3)"
                " ON CONFLICT DO NOTHING",  # another engine may have been faster: then its key is the one
                made,
            )
            found |= await self._lock(connection, missing)
        return found

    async def _lock(self, connection: asyncpg.Connection, borrowers: Sequence[str]) -> dict[str, AESGCM]:
        rows = await connection.fetch(
            "SELECT borrower_id, wrapped_key FROM vault_keys WHERE borrower_id = ANY($1)"
            " ORDER BY borrower_id FOR NO KEY UPDATE",
            borrowers,
        )
        return {known: AESGCM(unseal(self._master, wrapped, known)) for known, wrapped in rows}


def seal(key: AESGCM, plain: bytes, bound_to: str) -> bytes:
    """Nonce and ciphertext, bound to what it belongs to (it cannot be moved to another token)."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + key.encrypt(nonce, plain, bound_to.encode())


def unseal(key: AESGCM, sealed: bytes, bound_to: str) -> bytes:
    return key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to.encode())
