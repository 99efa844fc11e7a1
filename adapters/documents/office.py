"""Documents of the house: made from the log and the vault, issued (kept with their hash), listed, made again.

Kept is the recipe and the hash, not the bytes: they hold a name, and they can be made again. One that was issued is
made again with the letterhead and the borrower's facts of that day; its bytes are compared with the hash.
"""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, NamedTuple

import asyncpg
import orjson
import structlog

from adapters.documents.lender import Lender, lender_of
from adapters.documents.recipes import KINDS, Language, Recipe, recipe_for
from adapters.documents.rendering import RENDERER, Document, Origin, has_templates, make
from adapters.errors import Explained
from adapters.house import load_rules
from adapters.settings import Settings
from adapters.vault import Vault, master_key
from domain import events as e
from domain.calendar import IST
from domain.codec import decode
from domain.decisions.rules import Rules
from domain.ensure import InvariantBroken
from domain.events import LoanEvent
from domain.loan import Loan
from streams.topics import partition_of

log = structlog.get_logger("documents")
Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy


class LoanUnknown(Explained):
    """There is no such loan."""


class DocumentUnknown(Explained):
    """There is no such document of this loan."""


class ContradictsBooks(Explained):
    """The figures do not agree with the ledger: a defect, and no document."""


class History(NamedTuple):
    """A loan's events with where each stands in the log."""

    partition: int
    events: list[LoanEvent]
    origins: list[Origin]

    @property
    def borrower_id(self) -> str:
        booked = self.events[0]
        assert isinstance(booked, e.LoanBooked)  # the first event of any loan
        return booked.borrower_id

    @property
    def language(self) -> Language:
        """What the borrower reads, as far as we have it."""
        said = "en"
        for event in self.events:
            said = event.language if isinstance(event, e.LoanBooked) else said
            said = event.facts.get("language", said) if isinstance(event, e.BorrowerChanged) else said
        return "hi" if said == "hi" else "en"

    def until(self, version: int) -> History:
        return History(self.partition, self.events[:version], self.origins[:version])


class Issued(NamedTuple):
    """A document with what is kept of it."""

    document: Document
    name_kept: bool
    """Whether the borrower's name could be put in: not after an erasure."""
    same_bytes: bool | None
    """Whether they are those that were issued; None = it was never issued."""


@dataclass(slots=True)
class Office:
    """Makes documents."""

    pool: asyncpg.Pool
    vault: Vault
    rules: Rules
    lender: Lender
    partitions: int
    threads: Executor | None = None
    """Where documents are rendered; None: the loop's own threads."""

    async def history(self, loan_id: str, connection: Connection | None = None) -> History:
        """All events of a loan."""
        partition = partition_of(loan_id, self.partitions)
        rows = await (connection or self.pool).fetch(
            "SELECT topic, state, version, position, hash, occurred_at FROM events"
            " WHERE partition = $1 AND loan_id = $2 ORDER BY version",
            partition,
            loan_id,
        )
        if not rows:
            raise LoanUnknown(f"there is no loan {loan_id}")
        events = [decode(row["topic"], row["state"], loan_id, row["version"]) for row in rows]
        origins = [
            Origin(f"{partition}:{row['position']}", row["hash"].hex(), row["occurred_at"].astimezone(IST))
            for row in rows
        ]
        return History(partition, events, origins)

    async def on_demand(
        self,
        loan_id: str,
        kind: str,
        language: Language | None,
        today: date,
        *,
        on: date | None = None,
        since: date | None = None,
    ) -> tuple[Document, History, int]:
        """A document as of now, the history that it is made from, and the version of the borrower's facts in it."""
        history = await self.history(loan_id)
        recipe = recipe_for(kind, history.events, language or history.language, today, on=on, since=since)
        document, version = await self.make(recipe, history.until(recipe.version), self.lender)
        return document, history, version

    async def make(
        self,
        recipe: Recipe,
        history: History,
        lender: Lender,
        vault_version: int | None = None,
        connection: Connection | None = None,
    ) -> tuple[Document, int]:
        """The document, and the version of the borrower's facts in it (0: they are gone)."""
        token = f"{history.borrower_id}:person"
        facts, version = await self.vault.up_to(connection or self.pool, token, vault_version)
        loop = asyncio.get_running_loop()
        try:
            document = await loop.run_in_executor(
                self.threads, make, recipe, history.events, self.rules, lender, facts or None, history.origins[-1]
            )
        except InvariantBroken as broken:
            loan_id = history.events[0].originator_id
            log.exception("a document contradicts the books", loan=loan_id, document=recipe.document_id)
            raise ContradictsBooks(
                f"{recipe.document_id} is not made, since it would contradict the books: {broken}."
                f" `qist audit verify --loan {loan_id}` looks for the reason"
            ) from broken
        return document, version

    async def issue(
        self,
        document: Document,
        history: History,
        vault_version: int,
        *,
        called_by: str,
        at: datetime,
        connection: Connection | asyncpg.Pool | None = None,
    ) -> bool:
        """Keep what it is made from and its hash. False where it was issued before: then it stays as it was."""
        connection = connection or self.pool
        letterhead = await self.keep_letterhead(connection)
        added = await connection.fetchval(
            "INSERT INTO documents (partition, loan_id, document_id, kind, called_by, issued_at, letterhead,"
            " vault_version, sha256, bytes, figures_sha256, renderer) VALUES"
            " ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (partition, loan_id, document_id)"
            " DO UPDATE SET called_by = excluded.called_by, issued_at = excluded.issued_at,"
            " letterhead = excluded.letterhead, vault_version = excluded.vault_version, sha256 = excluded.sha256,"
            " bytes = excluded.bytes, figures_sha256 = excluded.figures_sha256, renderer = excluded.renderer, flaw = ''"
            " WHERE documents.flaw <> '' RETURNING 1",
            history.partition,
            history.events[0].originator_id,
            document.recipe.document_id,
            document.recipe.kind,
            called_by,
            at,
            letterhead,
            vault_version,
            document.sha256,
            len(document.pdf),
            document.figures_sha256,
            RENDERER,
        )
        return added is not None

    async def note_flaw(
        self, recipe: Recipe, history: History, flaw: str, *, called_by: str, at: datetime, connection: Connection
    ) -> None:
        """An event called for a document that cannot be made: it is listed with the reason."""
        await connection.execute(
            "INSERT INTO documents (partition, loan_id, document_id, kind, called_by, issued_at, letterhead,"
            " vault_version, sha256, bytes, figures_sha256, renderer, flaw)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, 0, '', 0, '', $8, $9) ON CONFLICT DO NOTHING",
            history.partition,
            history.events[0].originator_id,
            recipe.document_id,
            recipe.kind,
            called_by,
            at,
            await self.keep_letterhead(connection),
            RENDERER,
            flaw,
        )

    async def keep_letterhead(self, connection: Connection | asyncpg.Pool) -> str:
        facts = self.lender.dump()
        letterhead = hashlib.sha256(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)).hexdigest()
        await connection.execute(
            "INSERT INTO document_letterheads VALUES ($1, $2) ON CONFLICT DO NOTHING", letterhead, facts
        )
        return letterhead

    async def again(self, loan_id: str, document_id: str) -> Issued:
        """The document that a reference names: as it was issued, or, where it never was, as it would be now."""
        recipe = Recipe.parse(document_id)
        if recipe is None or not has_templates(recipe.templates):
            raise DocumentUnknown(f"{document_id} is no reference of a document")
        history = await self.history(loan_id)
        if recipe.version > len(history.events):
            raise DocumentUnknown(f"{loan_id} has {len(history.events)} events: there is no {document_id} of it")
        if recipe.is_of_later(history.events[recipe.version - 1]):
            raise DocumentUnknown(
                f"event {recipe.version} of {loan_id} came after {recipe.until}: {document_id} is made up"
            )
        kept = await self.pool.fetchrow(
            "SELECT d.sha256, d.figures_sha256, d.vault_version, d.renderer, l.facts FROM documents d"
            " JOIN document_letterheads l USING (letterhead)"
            " WHERE d.partition = $1 AND d.loan_id = $2 AND d.document_id = $3 AND d.flaw = ''",
            history.partition,
            loan_id,
            document_id,
        )
        lender = Lender.load(kept["facts"]) if kept else self.lender
        document, version = await self.make(
            recipe, history.until(recipe.version), lender, kept["vault_version"] if kept else None
        )
        if kept is None:
            return Issued(document, bool(version), None)
        if kept["figures_sha256"] != document.figures_sha256:
            log.error("a document's figures are not those that were issued", loan=loan_id, document=document_id)
        same = kept["sha256"] == document.sha256
        if not same and version == kept["vault_version"] and kept["renderer"] == RENDERER:
            log.error("a document's bytes are not those that were issued", loan=loan_id, document=document_id)
        return Issued(document, bool(version), same)

    async def listed(
        self, loan_id: str, limit: int, before: tuple[datetime, str] | None = None
    ) -> list[dict[str, Any]]:
        """What was issued of a loan, newest first."""
        rows = await self.pool.fetch(
            "SELECT document_id, kind, called_by, issued_at, sha256, bytes, figures_sha256, renderer, flaw,"
            " (SELECT max(occurred_at) FROM events e WHERE e.partition = d.partition AND e.loan_id = d.loan_id"
            "   AND e.topic = $3 AND e.version > split_part(d.document_id, '.', 2)::integer) AS reopened_at"
            " FROM documents d WHERE partition = $1 AND loan_id = $2"
            " AND ($5::timestamptz IS NULL OR (issued_at, document_id) < ($5, $6))"
            " ORDER BY issued_at DESC, document_id DESC LIMIT $4",
            partition_of(loan_id, self.partitions),
            loan_id,
            e.Reopened.TOPIC,
            limit,
            before[0] if before else None,
            before[1] if before else None,
        )
        return [told(row) for row in rows]


def office_of(settings: Settings, pool: asyncpg.Pool, threads: Executor | None = None) -> Office:
    """The office of a process."""
    master = settings.vault_key.get_secret_value() if settings.vault_key else None
    return Office(
        pool=pool,
        vault=Vault(master_key(master, settings.data_dir)),
        rules=load_rules(settings.products_dir),
        lender=lender_of(settings),
        partitions=settings.partitions,
        threads=threads,
    )


OF_THE_END: Final = frozenset({"no-dues-certificate", "closure-statement"})
"""Kinds that a loan which opens again takes back."""


def told(row: asyncpg.Record) -> dict[str, Any]:
    recipe = Recipe.parse(row["document_id"])
    assert recipe is not None  # it was ours when it was kept
    reopened = row["reopened_at"] if row["kind"] in OF_THE_END else None
    return {
        "document_id": row["document_id"],
        "kind": row["kind"],
        "language": recipe.language,
        "since": recipe.since,
        "until": recipe.until,
        "version": recipe.version,
        "templates": recipe.templates,
        "called_by": row["called_by"],
        "issued_at": row["issued_at"].astimezone(IST),
        "sha256": row["sha256"] or None,
        "bytes": row["bytes"],
        "figures_sha256": row["figures_sha256"] or None,
        "renderer": row["renderer"],
        "void_since": reopened and reopened.astimezone(IST),
        "flaw": row["flaw"] or None,
    }


def kinds_of(loan: Loan) -> list[str]:
    """The kinds that a loan can have as it stands."""
    ended = loan.stage in ("closed", "cancelled")
    can = {
        "statement-of-account": loan.disbursed_on is not None,
        "interest-certificate": loan.disbursed_on is not None,
        "restructuring-letter": any(change.kind in ("restructure", "relief") for change in loan.changes),
        "pre-closure-quote": loan.stage == "active",
        "no-dues-certificate": ended,
        "closure-statement": ended,
    }
    return [kind for kind in KINDS if can.get(kind, True)]
