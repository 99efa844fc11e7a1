"""Documents that events call for, made by themselves: the log is followed, and each is issued once.

A partition is one maker's while it works on it (a row lock): several share the work, and any may be killed. What is
issued and how far the log is read are one transaction, and a document's id is its recipe, so none comes twice.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from datetime import datetime
from typing import Final

import asyncpg
import structlog

from adapters.documents.office import History, Office
from adapters.documents.recipes import CALLS, Recipe, called_for
from adapters.errors import Explained
from domain.codec import decode
from domain.terms import TermsError
from streams.database_away import DATABASE_AWAY

log = structlog.get_logger("documents")

BATCH: Final = 10
"""Documents of one transaction, at most: what a crash costs to make again."""
IDLE_SECONDS: Final = 1.0
REST: Final = 4.0
"""Where nobody waits (a stepped clock), so many times as long as a batch took is left to the simulation."""


class Maker:
    """Follows the log of all partitions."""

    def __init__(self, office: Office, *, stepped: bool = False) -> None:
        self.office = office
        self.stepped = stepped

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop. A database that is away is waited for."""
        while not stop.is_set():
            began = time.monotonic()
            try:
                made = await self.turn()
            except DATABASE_AWAY as error:
                log.warning("the database is away", error=repr(error))
                made = 0
            rest = (time.monotonic() - began) * REST if self.stepped and made else 0 if made else IDLE_SECONDS
            await sleep(rest, stop)

    async def turn(self) -> int:
        """One batch of each partition that has moved; how many documents were made."""
        behind = await self.office.pool.fetch(
            "SELECT p.partition FROM partitions p LEFT JOIN document_positions d USING (partition)"
            " WHERE p.position > coalesce(d.position, 0) ORDER BY p.partition"
        )
        made = 0
        for row in behind:
            made += await self.follow(row["partition"])
        return made

    async def follow(self, partition: int) -> int:
        """What the next events of a partition call for."""
        async with self.office.pool.acquire() as connection, connection.transaction():
            await connection.execute("INSERT INTO document_positions VALUES ($1, 0) ON CONFLICT DO NOTHING", partition)
            position = await connection.fetchval(
                "SELECT position FROM document_positions WHERE partition = $1 FOR UPDATE SKIP LOCKED", partition
            )
            if position is None:  # another maker has it in hand
                return 0
            head = await connection.fetchval("SELECT position FROM partitions WHERE partition = $1", partition)
            rows = await connection.fetch(
                "SELECT position, loan_id, version, topic, state, occurred_at FROM events WHERE partition = $1"
                " AND position > $2 AND position <= $3 AND topic = ANY($4) ORDER BY position LIMIT $5",
                partition,
                position,
                head,
                list(CALLS),
                BATCH,
            )
            made = 0
            for row in rows:
                made += await self.answer(connection, row)
            reached = rows[-1]["position"] if len(rows) == BATCH else head
            await connection.execute(
                "UPDATE document_positions SET position = $2 WHERE partition = $1", partition, reached
            )
        return made

    async def answer(self, connection: asyncpg.pool.PoolConnectionProxy, row: asyncpg.Record) -> int:
        """The documents of one event."""
        loan_id, topic = row["loan_id"], row["topic"]
        event = decode(topic, row["state"], loan_id, row["version"])
        if not called_for(event, "en"):
            return 0
        history = (await self.office.history(loan_id, connection)).until(row["version"])
        recipes = called_for(event, history.language)
        for recipe in recipes:
            await self.make(connection, recipe, history, topic, row["occurred_at"])
        return len(recipes)

    async def make(
        self,
        connection: asyncpg.pool.PoolConnectionProxy,
        recipe: Recipe,
        history: History,
        called_by: str,
        at: datetime,
    ) -> None:
        try:
            document, version = await self.office.make(recipe, history, self.office.lender, connection=connection)
        except (Explained, ArithmeticError, LookupError, RuntimeError, TermsError, TypeError, ValueError) as error:
            # Whatever it is, the other documents go on, and this one is seen on its loan's page.
            log.exception(
                "a document cannot be made", loan=history.events[0].originator_id, document=recipe.document_id
            )
            await self.office.note_flaw(recipe, history, str(error), called_by=called_by, at=at, connection=connection)
            return
        await self.office.issue(document, history, version, called_by=called_by, at=at, connection=connection)


async def sleep(seconds: float, stop: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


def be_nice() -> None:
    """This thread last: documents are for people, who wait seconds; debits are not."""
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
    except (AttributeError, OSError):  # not Linux, or not allowed: then it is as important as the rest
        return
