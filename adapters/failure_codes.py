"""The lender's own words on failure codes: kept in PostgreSQL, added and never edited, read by whoever decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from domain.failures import TABLES_OF_RAIL, Classification, Diagnosis, FailureCodes, family, flaws
from streams.database_away import DATABASE_AWAY
from streams.ports import LogUnreachable

LOCK = 0x636F6465  # "code"
COLUMNS = "number, rail, code, class, action, meaning, charge_bounce, classified_by, classified_at"


class Contradicts(ValueError):
    """A classification that cannot be taken: (field, why) of each flaw."""

    def __init__(self, found: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{field} {why}" for field, why in found))
        self.flaws = found


class KeptCodes:
    """What the engine asks: the mapping as it stands, for one small question while nothing has changed."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def newest(self, codes: FailureCodes) -> FailureCodes:
        """`codes` with every word of the lender on top; the same object when that is what they are already."""
        try:
            return await newest(self._pool, codes)
        except DATABASE_AWAY as error:
            raise LogUnreachable(repr(error)) from error


async def newest(pool: asyncpg.Pool, codes: FailureCodes) -> FailureCodes:
    if await pool.fetchval("SELECT coalesce(max(number), 0) FROM failure_codes") == codes.number:
        return codes
    return codes.classified([classification(row) for row in await history(pool)])


async def history(pool: asyncpg.Pool, rail: str | None = None, code: str | None = None) -> list[dict[str, Any]]:
    """Every word of the lender, in order; of a code, those on rails that share its table."""
    rows = await pool.fetch(f"SELECT {COLUMNS} FROM failure_codes WHERE $1::text IS NULL OR code = $1 ORDER BY 1", code)
    return [dict(row) for row in rows if rail is None or family(row["rail"]) == family(rail)]


def classification(row: Mapping[str, Any]) -> Classification:
    return Classification(
        row["number"], row["rail"], row["code"], row["class"], row["action"], row["meaning"], row["charge_bounce"]
    )


async def classify(
    pool: asyncpg.Pool,
    *,
    rail: str,
    code: str,
    failure_class: str,
    action: str,
    meaning: str,
    charge_bounce: bool,
    by: str,
    now: datetime,
) -> tuple[int, bool]:
    """Add a word to the mapping: its version, and whether it is new (the same word once more changes nothing).

    Raises `Contradicts`, naming every field that is wrong.
    """
    wrong = flaws(failure_class, action, charge_bounce)
    wrong += [(field, "is empty") for field, said in (("code", code), ("meaning", meaning), ("by", by)) if not said]
    if rail not in TABLES_OF_RAIL:
        wrong.insert(0, ("rail", f"is {rail!r}, not one of {', '.join(TABLES_OF_RAIL)}"))
    if wrong:
        raise Contradicts(wrong)
    said = (rail, code, failure_class, action, meaning, charge_bounce)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)  # so that versions have no gap
        rows = await connection.fetch(f"SELECT {COLUMNS} FROM failure_codes WHERE code = $1 ORDER BY 1 DESC", code)
        last = next((row for row in rows if family(row["rail"]) == family(rail)), None)
        if last is not None and tuple(last)[2:7] == said[1:]:
            return last["number"], False
        number = await connection.fetchval(
            f"INSERT INTO failure_codes ({COLUMNS})"
            " SELECT coalesce(max(number), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8 FROM failure_codes RETURNING number",
            *said,
            by,
            now,
        )
    return number, True


def listed(codes: FailureCodes) -> list[dict[str, Any]]:
    """Every code that can be diagnosed, by rail and code, as it is read now."""
    rails_of = {table: rail for rail, tables in reversed(TABLES_OF_RAIL.items()) for table in tables}
    keys = {(rails_of[table], code) for table, code in codes.by_table if table in rails_of}
    keys |= {(rails_of.get(name, name), code) for name, code in codes.by_operator}
    return [told(rail, code, codes.diagnose(rail, code)) for rail, code in sorted(keys)]


def told(rail: str, code: str, found: Diagnosis) -> dict[str, Any]:
    """A code's meaning for people."""
    return {
        "rail": rail,
        "code": code,
        "known": found.known,
        "class": found.failure_class,
        "action": found.action,
        "charge_bounce": found.charge_bounce,
        "pending": found.pending,
        "meaning": found.meaning,
        "source": "operator" if found.by == "operator" else "shipped" if found.known else "nobody",
    }
