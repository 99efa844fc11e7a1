"""What was asked of a gateway and what came of it, in PostgreSQL: the memory that makes a crash harmless.

A turn of a call begins with a committed "I am about to ask" and ends with "this is the answer", written together with
whatever is to be told of it. Whoever dies in between leaves a call whose turn comes again when its lease is over; it
is then enquired about, since it may have arrived. Turns are numbered: one that was overtaken writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, cast

import asyncpg

from adapters.gateways.outcomes import as_row, contradiction, outcome
from adapters.gateways.port import Answer, FileRead, Order, OrderKind, SetAside, Told
from adapters.gateways.progress import Asked, Call, Patience, Step, next_step
from adapters.vault import Vault

OUTCOME_COLUMNS = "ce_id, gateway, topic, type, loan_id, body, at, correlation_id"


@dataclass(frozen=True, slots=True)
class Instruction:
    """What Qist asks, as it is kept: without what is personal in it."""

    order: Order
    old: bool = False
    """Too old to be presented."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An outcome on its way to its topic."""

    id: int
    ce_id: str
    topic: str
    type: str
    loan_id: str
    body: bytes
    at: datetime
    correlation_id: str


class Calls:
    """One gateway's book."""

    def __init__(self, pool: asyncpg.Pool, gateway: str, vault: Vault, patience: Patience) -> None:
        self._pool = pool
        self._gateway = gateway
        self._vault = vault
        self._patience = patience

    async def take(self, instructions: Sequence[Instruction], withdrawals: Sequence[str]) -> int:
        """Write down what is asked; what is known already stays as it is. Returns how many are new.

        A withdrawal of what is certainly not at the gateway ends it here; of anything else the gateway is asked.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            new = await connection.fetch(
                "INSERT INTO gateway_calls (instruction_id, gateway, kind, loan_id, amount_paise, order_body,"
                " correlation_id, old) SELECT i, $1, k, l, a, b, c, o FROM unnest($2::text[], $3::text[],"
                " $4::text[], $5::bigint[], $6::jsonb[], $7::text[], $8::boolean[]) AS u (i, k, l, a, b, c, o)"
                " ON CONFLICT (instruction_id) DO NOTHING RETURNING instruction_id",
                self._gateway,
                [one.order.instruction_id for one in instructions],
                [one.order.kind for one in instructions],
                [one.order.loan_id for one in instructions],
                [one.order.amount_paise for one in instructions],
                [dict(one.order.body) for one in instructions],
                [one.order.correlation_id for one in instructions],
                [one.old for one in instructions],
            )
            await connection.execute(
                "UPDATE gateway_calls SET withdrawal = true,"
                " state = CASE WHEN state = 'requested' THEN 'withdrawn' ELSE state END,"
                " next_at = CASE state WHEN 'requested' THEN NULL WHEN 'sent' THEN now() WHEN 'unknown' THEN now()"
                " ELSE next_at END"
                " WHERE gateway = $1 AND instruction_id = ANY($2) AND NOT withdrawal",
                self._gateway,
                list(withdrawals),
            )
        return len(new)

    async def due(self, limit: int, lease_seconds: float) -> list[Call]:
        """Calls whose time has come, each with its turn begun; committed before anything is asked of the gateway."""
        connection: Any
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(
                "UPDATE gateway_calls c SET turns = c.turns + 1, knocked = false,"
                " next_at = now() + make_interval(secs => $3),"
                " state = CASE WHEN was.presents THEN 'sending' ELSE c.state END,"
                " presented = c.presented + was.presents::int,"
                " presented_at = CASE WHEN was.presents THEN now() ELSE c.presented_at END"
                " FROM (SELECT instruction_id, state, presented, presented_at,"
                "  state = 'requested' AND NOT old AS presents FROM gateway_calls"
                "  WHERE gateway = $1 AND next_at <= now() ORDER BY next_at LIMIT $2 FOR UPDATE SKIP LOCKED) was"
                " WHERE c.instruction_id = was.instruction_id"
                " RETURNING c.*, was.state AS was_state, was.presented AS was_presented,"
                " was.presented_at AS was_presented_at",
                self._gateway,
                limit,
                lease_seconds,
            )
            tokens = {row["order_body"].get("account_token") for row in rows if row["kind"] in ("payout", "refund")}
            accounts = await self._vault.open(connection, tokens - {None, ""}) if tokens else {}
        return [self._call(row, accounts) for row in rows]

    def _call(self, row: asyncpg.Record, accounts: Mapping[str, Mapping[str, Any]]) -> Call:
        body = row["order_body"]
        order = Order(
            instruction_id=row["instruction_id"],
            kind=cast(OrderKind, row["kind"]),
            loan_id=row["loan_id"],
            amount_paise=row["amount_paise"],
            rail=body.get("rail") or "",
            body=body,
            account=accounts.get(body.get("account_token") or "", {}),
            presented=row["was_presented"],
            correlation_id=row["correlation_id"],
        )
        return Call(
            order=order,
            state=row["was_state"],
            outcome=row["outcome"],
            withdrawal=row["withdrawal"],
            turns=row["turns"],
            looks=row["looks"],
            presented_at=row["was_presented_at"],
            old=row["old"],
            answer=answer_from(row["answer"]),
        )

    async def record(self, call: Call, asked: Asked, answer: Answer, now: datetime, clock: datetime) -> Step | None:
        """Write the answer, and what follows from it, in one transaction. None when the turn was overtaken.

        `now` is real time, which decides when to look again; `clock` is business time, for what is told.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            return await self._follow(connection, call, asked, answer, now, clock)

    async def _follow(
        self, connection: Any, call: Call, asked: Asked, answer: Answer, now: datetime, clock: datetime
    ) -> Step | None:
        step = next_step(call, asked, answer, now, self._patience)
        if not await self._write(connection, call, step, answer):
            return None
        told = [outcome(self._gateway, call.order, what, answer, clock) for what in step.tell]
        if step.contradicts:
            told.append(contradiction(self._gateway, call.order, step.note, clock))
        await self._tell(connection, [one for one in told if one is not None], call.order.correlation_id)
        return step

    async def _write(self, connection: Any, call: Call, step: Step, answer: Answer) -> bool:
        return bool(
            await connection.fetchval(
                "UPDATE gateway_calls SET outcome = $4, looks = $5,"
                # A withdrawal may have come while the gateway was being asked.
                " state = CASE WHEN withdrawal AND $3 = 'requested' THEN 'withdrawn' ELSE $3 END,"
                " next_at = CASE WHEN withdrawal AND $3 = 'requested' THEN NULL"
                " WHEN withdrawal AND NOT $9 AND $3 IN ('sent', 'unknown') THEN now()"
                " WHEN knocked THEN now()"  # a webhook, too: what it is about may be younger than this answer
                " ELSE now() + make_interval(secs => $6::float8) END,"
                " answer = coalesce($7, answer), note = CASE WHEN $8 = '' THEN note ELSE $8 END,"
                " answered_at = CASE WHEN $10 THEN now() ELSE answered_at END"
                " WHERE instruction_id = $1 AND turns = $2 RETURNING true",
                call.order.instruction_id,
                call.turns,
                step.state,
                step.outcome,
                step.looks,
                step.wait,
                answer_to(answer) if step.tell or step.state == "sent" else None,
                step.note[:300],
                call.withdrawal,
                bool(step.tell),
            )
        )

    async def take_file(self, file: FileRead, now: datetime, clock: datetime) -> list[Step]:
        """A file's answers, all of them or none, and once: the same content or the same reference counts no second
        time."""
        steps: list[Step] = []
        async with self._pool.acquire() as connection, connection.transaction():
            known = await connection.fetchrow(
                "SELECT name, sha256 FROM gateway_files WHERE gateway = $1"
                " AND (sha256 = $2 OR ($3 <> '' AND reference = $3 AND state = 'taken'))",
                self._gateway,
                file.sha256,
                file.reference,
            )
            problem = file.problem
            if known is not None:
                if known["sha256"] == file.sha256:
                    return steps
                problem = f"its reference {file.reference} was taken from {known['name']} with other content"
            taken = await connection.fetchval(
                "INSERT INTO gateway_files (gateway, sha256, reference, name, state, problem, lines, set_aside)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING true",
                self._gateway,
                file.sha256,
                file.reference,
                file.name,
                "refused" if problem else "taken",
                problem,
                file.lines,
                len(file.set_aside),
            )
            if not taken:  # by another process, at this moment
                return steps
            aside = list(file.set_aside)
            if problem:
                aside.append(SetAside(line=0, reason=problem))
            else:
                found = await self._found(connection, [said.instruction_id for said in file.answers])
                for said in file.answers:
                    call = found.get(said.instruction_id)
                    wrong = why_not(call, said.answer)
                    if call is None or wrong:
                        aside.append(SetAside(line=said.line, reason=f"{said.instruction_id}: {wrong}"))
                        if call is not None and other_amount(call, said.answer):
                            note = f"a line of {file.name} says {said.answer.state} of {wrong}"
                            case = contradiction(self._gateway, call.order, note, clock)
                            await self._tell(connection, [case], call.order.correlation_id)
                        continue
                    step = await self._follow(connection, call, "file", said.answer, now, clock)
                    if step is not None:
                        steps.append(step)
                        # The same order may stand in the file twice.
                        found[said.instruction_id] = replace(
                            call, state=step.state, outcome=step.outcome, looks=step.looks, answer=said.answer
                        )
            await self.set_aside(file.name, aside, connection)
        return steps

    async def _found(self, connection: Any, instruction_ids: Sequence[str]) -> dict[str, Call]:
        """Calls with a turn of our own begun, so that a look that is under way writes nothing over the file's word."""
        rows = await connection.fetch(
            "UPDATE gateway_calls SET turns = turns + 1 WHERE gateway = $1 AND instruction_id = ANY($2)"
            " RETURNING *, state AS was_state, presented AS was_presented, presented_at AS was_presented_at",
            self._gateway,
            instruction_ids,
        )
        return {row["instruction_id"]: self._call(row, {}) for row in rows}

    async def set_aside(self, source: str, lines: Sequence[SetAside], connection: Any = None) -> None:
        """Keep what could not be understood, where a person finds it."""
        await (connection or self._pool).executemany(
            "INSERT INTO gateway_set_aside (gateway, source, line, reason, content) VALUES ($1, $2, $3, $4, $5)"
            " ON CONFLICT DO NOTHING",
            [(self._gateway, source, one.line, one.reason, one.content[:400]) for one in lines],
        )

    # --- webhooks --------------------------------------------------------------------------------------------

    async def webhooks(self, limit: int) -> list[tuple[str, bytes]]:
        """Event ids and bodies that nobody has looked at yet."""
        rows = await self._pool.fetch(
            "SELECT event_id, body FROM gateway_webhooks WHERE gateway = $1 AND handled_at IS NULL"
            " ORDER BY received_at LIMIT $2",
            self._gateway,
            limit,
        )
        return [(row["event_id"], row["body"]) for row in rows]

    async def heard(self, event_id: str, moved: Sequence[str], told: Sequence[Told], problem: str = "") -> None:
        """A webhook was looked at: the orders that it names are enquired about at once. Its content, which may be
        personal, is forgotten unless a person must look at it."""
        async with self._pool.acquire() as connection, connection.transaction():
            woken = await connection.fetch(
                "UPDATE gateway_calls SET knocked = true,"
                " next_at = CASE WHEN state IN ('requested', 'sending') THEN next_at ELSE now() END"
                " WHERE gateway = $1 AND instruction_id = ANY($2) RETURNING instruction_id",
                self._gateway,
                list(moved),
            )
            strange = sorted(set(moved) - {row["instruction_id"] for row in woken})
            note = problem or (f"names no order of ours: {', '.join(strange)[:200]}" if strange else "")
            await self._tell(connection, told, "")
            await connection.execute(
                "UPDATE gateway_webhooks SET handled_at = now(), note = $3,"
                " body = CASE WHEN $4 THEN body ELSE NULL END WHERE gateway = $1 AND event_id = $2",
                self._gateway,
                event_id,
                note,
                bool(problem),
            )

    # --- what is told ----------------------------------------------------------------------------------------

    async def _tell(self, connection: Any, told: Sequence[Told], correlation: str) -> None:
        await connection.executemany(
            f"INSERT INTO gateway_outcomes ({OUTCOME_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
            " ON CONFLICT (ce_id) DO NOTHING",
            [as_row(self._gateway, one, correlation) for one in told],
        )

    async def untold(self, limit: int) -> list[Waiting]:
        rows = await self._pool.fetch(
            f"SELECT id, {OUTCOME_COLUMNS} FROM gateway_outcomes WHERE gateway = $1 AND published_at IS NULL"
            " ORDER BY id LIMIT $2",
            self._gateway,
            limit,
        )
        return [
            Waiting(
                id=row["id"],
                ce_id=row["ce_id"],
                topic=row["topic"],
                type=row["type"],
                loan_id=row["loan_id"],
                body=row["body"],
                at=row["at"],
                correlation_id=row["correlation_id"],
            )
            for row in rows
        ]

    async def told(self, identifiers: Sequence[int]) -> None:
        await self._pool.execute(
            "UPDATE gateway_outcomes SET published_at = now() WHERE id = ANY($1)", list(identifiers)
        )


def why_not(call: Call | None, answer: Answer) -> str:
    """Why a line of a file cannot be about the order that it names; empty when it can."""
    if call is None:
        return "no order of ours"
    if other_amount(call, answer):
        return f"{answer.amount_paise} paise, but {call.order.amount_paise} were asked for"
    if not call.order.presented and call.presented_at is None:
        return "it was never presented"
    return ""


def other_amount(call: Call, answer: Answer) -> bool:
    return answer.amount_paise is not None and answer.amount_paise != call.order.amount_paise


def answer_to(answer: Answer) -> dict[str, Any]:
    """As it is kept."""
    kept = {name: getattr(answer, name) for name in ("state", "code", "message", "amount_paise", "reference", "rail")}
    kept["facts"] = dict(answer.facts)
    kept["at"] = answer.at.isoformat() if answer.at else None
    kept["value_on"] = answer.value_on.isoformat() if answer.value_on else None
    return kept


def answer_from(kept: Mapping[str, Any] | None) -> Answer | None:
    if kept is None:
        return None
    at, value_on = kept.get("at"), kept.get("value_on")
    answer = Answer(**{name: held for name, held in kept.items() if name not in ("at", "value_on")})
    return replace(
        answer,
        at=datetime.fromisoformat(at) if at else None,
        value_on=date.fromisoformat(value_on) if value_on else None,
    )
