"""The table of notices, and what the log and earlier notices say of a borrower: whole batches, few questions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import asyncpg
import orjson

from domain.calendar import IST
from domain.law.contact import Hold
from domain.policies.contact import MANNERS, PURPOSES, Asked, Contact, History
from streams.notices import Notice, NoticeFailed, NoticeOutcome

Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

LEASE: Final = timedelta(minutes=2)
"""So long whoever sends a notice has it in hand (real time); then it counts as left behind by a crash."""
MEMORY: Final = timedelta(days=180)
"""So far back history counts."""

COLUMNS: Final = (
    "notice_id, partition, loan_id, borrower_id, kind, purpose, facts, occurred_at, not_before, state, channel, tone,"
    " language, send_at, reason, rule, attempts, tried"
)


@dataclass(slots=True, kw_only=True)
class Row:
    """A notice in the table."""

    notice_id: str
    partition: int
    loan_id: str
    borrower_id: str
    kind: str
    purpose: str
    facts: Mapping[str, Any]
    occurred_at: datetime
    not_before: datetime | None = None
    state: str = ""
    """`planned`, `sending`, `sent`, `delivered`, `read`, `failed` (every channel did), `suppressed`."""
    channel: str = ""
    tone: str = ""
    language: str = ""
    send_at: datetime
    reason: str = ""
    rule: str = ""
    attempts: int = 0
    tried: list[str] = field(default_factory=list[str])

    @classmethod
    def of(cls, notice: Notice, borrower_id: str) -> Row:
        return cls(
            notice_id=notice.notice_id,
            partition=notice.partition,
            loan_id=notice.loan_id,
            borrower_id=borrower_id,
            kind=notice.kind,
            purpose=PURPOSES.get(notice.kind, ""),
            facts=notice.facts,
            occurred_at=notice.occurred_at,
            not_before=notice.not_before,
            send_at=notice.occurred_at,
        )

    def asked(self) -> Asked:
        """What the policy is asked."""
        return Asked(
            kind=self.kind,
            occurred_at=self.occurred_at,
            facts=self.facts,
            not_before=self.not_before,
            tried=frozenset(self.tried),
        )


# --- Who is to be told ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Person:
    """A borrower as the log knows them, and their address for each channel, out of the vault."""

    borrower_id: str
    contact: Contact = field(default_factory=Contact)
    addresses: dict[str, str] = field(default_factory=dict[str, str])
    name: str = ""


async def borrowers_of(connection: Connection, loans: Collection[tuple[int, str]]) -> dict[str, str]:
    """Loan -> borrower."""
    if not loans:
        return {}
    partitions, loan_ids = zip(*loans, strict=True)
    rows = await connection.fetch(
        "SELECT e.loan_id, borrower_of(e.state) AS borrower_id"
        " FROM unnest($1::int[], $2::text[]) AS asked(partition, loan_id) JOIN events e USING (partition, loan_id)"
        " WHERE e.topic = 'loan.booked.v1'",
        partitions,
        loan_ids,
    )
    return {row["loan_id"]: row["borrower_id"] for row in rows}


async def persons_of(connection: Connection, vault: Any, borrowers: Collection[str]) -> dict[str, Person]:
    """What is known of how to contact these borrowers, over all their loans; a newer word replaces an older one."""
    rows = await connection.fetch(
        "SELECT borrower_of(b.state) AS borrower_id, e.topic, e.state FROM events b JOIN events e"
        " ON e.partition = b.partition AND e.loan_id = b.loan_id AND e.topic IN"
        " ('loan.booked.v1', 'loan.borrower-changed.v1', 'loan.contact-held.v1', 'loan.borrower-erased.v1')"
        " WHERE b.topic = 'loan.booked.v1' AND borrower_of(b.state) = ANY($1)"
        " ORDER BY e.recorded_at, e.partition, e.position",
        list(borrowers),
    )
    persons = {known: Person(known) for known in borrowers}
    for row in rows:
        person = persons[row["borrower_id"]]
        person.contact = TELLS[row["topic"]](person.contact, orjson.loads(row["state"]))
    opened = await vault.gathered(connection, [f"{known}:person" for known in borrowers])
    for borrower_id, person in persons.items():
        said = opened.get(f"{borrower_id}:person", {})
        person.name = said.get("name") or ""
        phone, email = said.get("phone"), said.get("email")
        person.addresses = {
            **({"sms": phone, "whatsapp": phone, "voice": phone} if phone else {}),
            **({"email": email} if email else {}),
        }
        person.contact = replace(person.contact, reachable=frozenset(person.addresses))
    return persons


def _booked(contact: Contact, said: Mapping[str, Any]) -> Contact:
    return replace(
        contact, segment=said.get("segment") or contact.segment, language=said.get("language") or contact.language
    )


def _changed(contact: Contact, said: Mapping[str, Any]) -> Contact:
    facts = said["facts"]
    wishes = facts.get("contact", {})
    contact = _booked(contact, facts)
    if "channel" in wishes:
        contact = replace(contact, channel=wishes["channel"])
    if "opt_out" in wishes:
        contact = replace(contact, opted_out=frozenset(wishes["opt_out"]))
    if "hours" in wishes:
        hours = time.fromisoformat(wishes["hours"]["from"]), time.fromisoformat(wishes["hours"]["until"])
        contact = replace(contact, hours=hours)
    return contact


def _held(contact: Contact, said: Mapping[str, Any]) -> Contact:
    new = Hold(said["reason"], date.fromisoformat(said["from_on"]), date.fromisoformat(said["until_on"]))
    return replace(contact, holds=(*(hold for hold in contact.holds if hold.reason != new.reason), new))


TELLS: Final = {
    "loan.booked.v1": _booked,
    "loan.borrower-changed.v1": _changed,
    "loan.contact-held.v1": _held,
    "loan.borrower-erased.v1": lambda contact, said: replace(contact, erased=True),
}
"""Event -> what it changes about contacting its borrower; the index `events_of_contact` holds just these."""


# --- What became of earlier ones -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier notice, as far as it matters to the next."""

    notice_id: str
    loan_id: str
    kind: str
    purpose: str
    state: str
    channel: str
    send_at: datetime
    tried: Sequence[str]
    read_at: datetime | None


async def pasts_of(connection: Connection, borrowers: Collection[str], since: datetime) -> dict[str, list[Past]]:
    """Notices to these borrowers that asked for something, or that were read, oldest first."""
    found: dict[str, list[Past]] = {known: [] for known in borrowers}
    rows = await connection.fetch(
        "SELECT borrower_id, notice_id, loan_id, kind, purpose, state, channel, send_at, tried, read_at FROM notices"
        " WHERE borrower_id = ANY($1) AND occurred_at > $2"
        " AND (purpose IN ('alert', 'nudge', 'recovery') OR read_at IS NOT NULL OR tried <> '{}')"
        " ORDER BY occurred_at, notice_id",
        list(borrowers),
        since,
    )
    for borrower_id, *past in rows:
        found[borrower_id].append(Past(*past))
    return found


def history(pasts: Iterable[Past], row: Row) -> History:
    """The pasts as the policy looks at them, for one notice (which is not its own past)."""
    contacts: list[datetime] = []
    failures = 1 if row.kind == "debit-failed" else 0
    failed_on: dict[str, int] = {}
    read_at: dict[int, int] = {}
    for past in pasts:
        if past.notice_id == row.notice_id:
            continue
        if past.purpose and MANNERS[past.purpose].capped and past.state not in ("suppressed", "failed"):  # type: ignore[index]
            contacts.append(past.send_at)
        if past.kind == "debit-failed" and past.loan_id == row.loan_id:
            failures += 1
        for channel in past.tried:
            failed_on[channel] = failed_on.get(channel, 0) + 1
        if past.state in ("delivered", "read"):
            failed_on[past.channel] = 0
        if past.read_at is not None:
            hour = past.read_at.astimezone(IST).hour
            read_at[hour] = read_at.get(hour, 0) + 1
    return History(contacts=tuple(contacts), failures=failures, failed_on=failed_on, read_at=read_at)


# --- The table -----------------------------------------------------------------------------------------------


async def known_of(connection: Connection, identifiers: Collection[str]) -> set[str]:
    rows = await connection.fetch("SELECT notice_id FROM notices WHERE notice_id = ANY($1)", list(identifiers))
    return {row[0] for row in rows}


async def insert(connection: Connection, rows: Sequence[Row]) -> set[str]:
    """Write new rows; those that are there already stay as they are. The ids that are new."""
    if not rows:
        return set()
    columns = list(zip(*(values_of(row) for row in rows), strict=True))
    told = await connection.fetch(
        f"INSERT INTO notices ({COLUMNS}, claimed_at)"
        " SELECT n.*, '{}'::text[], CASE WHEN n.state = 'sending' THEN now() END FROM unnest($1::text[], $2::int[],"
        " $3::text[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::timestamptz[], $9::timestamptz[],"
        " $10::text[], $11::text[], $12::text[], $13::text[], $14::timestamptz[], $15::text[], $16::text[], $17::int[])"
        " AS n(notice_id, partition, loan_id, borrower_id, kind, purpose, facts, occurred_at, not_before, state,"
        " channel, tone, language, send_at, reason, rule, attempts) ON CONFLICT DO NOTHING RETURNING notice_id",
        *columns,
    )
    return {row[0] for row in told}


def values_of(row: Row) -> tuple[Any, ...]:
    return (
        row.notice_id, row.partition, row.loan_id, row.borrower_id, row.kind, row.purpose, dict(row.facts),
        row.occurred_at, row.not_before, row.state, row.channel, row.tone, row.language, row.send_at, row.reason,
        row.rule, row.attempts,
    )  # fmt: skip


async def supersede(connection: Connection, by: str, kinds: Collection[str], newer: Sequence[Row]) -> None:
    """Suppress what waits for its hour and makes no sense any more."""
    if newer:
        await connection.execute(
            "UPDATE notices n SET state = 'suppressed', reason = 'superseded by ' || $1"
            " FROM unnest($2::text[], $3::timestamptz[]) AS s(loan_id, since) WHERE n.loan_id = s.loan_id"
            " AND n.state = 'planned' AND n.kind = ANY($4) AND n.occurred_at < s.since AND n.send_at >= s.since",
            by,
            [row.loan_id for row in newer],
            [row.occurred_at for row in newer],
            list(kinds),
        )


async def keep_in_hand(pool: asyncpg.Pool, rows: Sequence[Row]) -> None:
    """Sending takes long: these are not left behind."""
    await pool.execute(
        "UPDATE notices SET claimed_at = now() WHERE notice_id = ANY($1) AND state = 'sending'",
        [row.notice_id for row in rows],
    )


async def claim_due(connection: Connection, now: datetime, limit: int) -> list[Row]:
    """Planned ones whose hour has come, in hand from now on."""
    rows = await connection.fetch(
        "UPDATE notices SET state = 'sending', claimed_at = now() WHERE notice_id IN (SELECT notice_id FROM notices"
        " WHERE state = 'planned' AND send_at <= $1 ORDER BY send_at, notice_id LIMIT $2 FOR UPDATE SKIP LOCKED)"
        f" RETURNING {COLUMNS}",
        now,
        limit,
    )
    return [Row(**row) for row in rows]


async def claim_left_behind(connection: Connection, limit: int) -> list[Row]:
    """Those that a crash left in hand: whether they went out is unknown."""
    rows = await connection.fetch(
        "UPDATE notices SET claimed_at = now() WHERE notice_id IN (SELECT notice_id FROM notices"
        " WHERE state = 'sending' AND claimed_at < now() - $1::interval ORDER BY claimed_at LIMIT $2"
        f" FOR UPDATE SKIP LOCKED) RETURNING {COLUMNS}",
        LEASE,
        limit,
    )
    return [Row(**row) for row in rows]


@dataclass(frozen=True, slots=True)
class Trail:
    """What became of one try."""

    channel: str
    at: datetime
    outcome: str
    detail: str

    def told(self) -> list[dict[str, str]]:
        return [{"channel": self.channel, "at": self.at.isoformat(), "outcome": self.outcome, "detail": self.detail}]


async def settle(connection: Connection, settled: Sequence[tuple[Row, str, Trail | None]]) -> None:
    """Write what became of notices in hand (row, the provider's reference, the trail of a try); one of which the
    provider has spoken meanwhile is left as it says."""
    await connection.executemany(
        "UPDATE notices SET state = $2, channel = $3, tone = $4, language = $5, send_at = $6, reason = $7, rule = $8,"
        " attempts = $9, tried = $10, provider_reference = $11, trail = trail || $12::jsonb, claimed_at = NULL"
        " WHERE notice_id = $1 AND state = 'sending'",
        [
            (
                row.notice_id, row.state, row.channel, row.tone, row.language, row.send_at, row.reason, row.rule,
                row.attempts, row.tried, reference, trail.told() if trail else [],
            )
            for row, reference, trail in settled
        ],
    )  # fmt: skip


async def sent(connection: Connection, rows: Sequence[Row], references: Sequence[str]) -> None:
    """Most of what is settled: sent as planned, in one statement."""
    await connection.execute(
        "UPDATE notices n SET state = 'sent', send_at = s.send_at, channel = s.channel, tone = s.tone,"
        " language = s.language, reason = s.reason, rule = s.rule, provider_reference = s.reference,"
        " attempts = n.attempts + 1, claimed_at = NULL FROM unnest($1::text[], $2::timestamptz[], $3::text[],"
        " $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])"
        " AS s(notice_id, send_at, channel, tone, language, reason, rule, reference)"
        " WHERE n.notice_id = s.notice_id AND n.state = 'sending'",
        [row.notice_id for row in rows],
        [row.send_at for row in rows],
        [row.channel for row in rows],
        [row.tone for row in rows],
        [row.language for row in rows],
        [row.reason for row in rows],
        [row.rule for row in rows],
        list(references),
    )


async def hear(connection: Connection, outcome: NoticeOutcome) -> bool:
    """What a provider says; a word that comes twice, late or against a better one changes nothing. False: no such
    notice."""
    there = await connection.fetchval(
        "SELECT channel FROM notices WHERE notice_id = $1 AND loan_id = $2", outcome.notice_id, outcome.loan_id
    )
    if there is None:
        return False
    if outcome.channel not in (None, there):
        return True  # of an earlier channel
    if isinstance(outcome, NoticeFailed):
        trail = Trail(there, outcome.at, "failed", f"{outcome.code} {outcome.message}".strip())
        await connection.execute(
            "UPDATE notices SET state = 'planned', tried = tried || channel, attempts = 0, claimed_at = NULL,"
            " send_at = greatest(send_at, $2), trail = trail || $3::jsonb"
            " WHERE notice_id = $1 AND state IN ('sending', 'sent')",
            outcome.notice_id,
            outcome.at,
            trail.told(),
        )
    elif outcome.STATE == "delivered":
        await connection.execute(
            "UPDATE notices SET state = 'delivered', delivered_at = $2, claimed_at = NULL"
            " WHERE notice_id = $1 AND state IN ('sending', 'sent')",
            outcome.notice_id,
            outcome.at,
        )
    else:
        await connection.execute(
            "UPDATE notices SET state = 'read', read_at = $2, delivered_at = coalesce(delivered_at, $2),"
            " claimed_at = NULL WHERE notice_id = $1 AND state IN ('sending', 'sent', 'delivered')",
            outcome.notice_id,
            outcome.at,
        )
    return True
