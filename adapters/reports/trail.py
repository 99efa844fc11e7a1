"""The audit trail of a loan: every event with who caused it, what it posted, and proof that nothing was changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from adapters.errors import Explained
from adapters.http.phrases import phrase
from adapters.reports.report import Ask, Column, Proof, Report, Row
from domain.calendar import day_end
from domain.chain import GENESIS, link
from domain.codec import decode
from domain.loan import Loan
from domain.money import format_rupees
from projections.ledger import (
    BY_CODE,
    CHARGES_RECEIVABLE,
    EXCESS,
    INTEREST_RECEIVABLE,
    PRINCIPAL,
    REFUNDS_PAYABLE,
    balances_by_state,
)
from streams.topics import partition_of

PREFETCH = 500


@dataclass(frozen=True, slots=True)
class OfLoan:
    """A balance by the loan's own account of itself, folded from these very events, and by its entries."""

    account: int

    @property
    def says(self) -> str:
        return BY_CODE[self.account].name

    async def prove(self, ask: Ask, totals: Mapping[str, int]) -> Proof:
        paise: Any = await ask.connection.fetchval(
            "SELECT coalesce(sum(paise), 0)::bigint FROM ledger.entries"
            " WHERE partition = $1 AND loan_id = $2 AND account = $3 AND booked_at <= $4",
            await home(ask),
            ask.loan_id,
            self.account,
            day_end(ask.on).replace(microsecond=999_999),
        )
        by_state = ask.sums[str(self.account)]
        return Proof(self.says, by_state, 0, paise, f"{self.account}, entries of {ask.loan_id} until {ask.on}")


async def home(ask: Ask) -> int:
    partitions: Any = await ask.connection.fetchval("SELECT partitions FROM house")
    return partition_of(ask.loan_id, partitions)


async def audit_trail(ask: Ask) -> AsyncIterator[Row]:
    query = (
        "SELECT e.partition, e.position, e.loan_id, e.version, e.topic, e.state, e.occurred_at, e.recorded_at,"
        " e.causation_id, e.correlation_id, e.actor, e.hash, j.accounts, j.amounts FROM events e"
        " LEFT JOIN ledger.journal j ON j.partition = e.partition AND j.position = e.position"
        " WHERE e.partition = $1 AND e.loan_id = $2 AND e.occurred_at <= $3 ORDER BY e.version"
    )
    until = day_end(ask.on).replace(microsecond=999_999)
    loan, head = Loan.shell(ask.loan_id), GENESIS
    async for *said, stored, accounts, amounts in ask.connection.cursor(
        query, await home(ask), ask.loan_id, until, prefetch=PREFETCH
    ):
        _, _, loan_id, version, topic, state, occurred_at, recorded_at, cause, correlation, actor = said
        whole = link(head, *said) == stored and version == loan.version + 1
        if not whole:
            ask.flaws.append(f"version {version}: the hash does not match what is stored, or a version is missing")
        head = stored
        loan.evolve(decode(topic, state, loan_id, version))
        entries = list(zip(accounts or (), amounts or (), strict=True))
        posted = "; ".join(f"{account} {format_rupees(paise)}" for account, paise in entries)
        debits = sum(paise for _, paise in entries if paise > 0)
        yield (
            version, occurred_at, topic, phrase(topic, orjson.loads(state)), debits, posted, actor, cause, correlation,
            recorded_at, whole, stored.hex(),
        )  # fmt: skip
    if loan.version == 0:
        raise Explained(f"there is no loan {ask.loan_id}, or nothing had happened to it by {ask.on}")
    ask.sums.update({str(account): paise for account, paise in balances_by_state(loan).items()})


AUDIT_TRAIL = Report(
    name="audit-trail",
    title="Audit trail of a loan",
    says="Every event of a loan until the day's end, in order: what happened, by whom and through which message, what"
    " was posted, and whether its hash follows from the one before, so that no event was changed, removed or put in.",
    columns=(
        Column("version", "number"),
        Column("occurred_at", "instant", "business time"),
        Column("event", "text"),
        Column("says", "text"),
        Column("amount_paise", "paise", "the debits of its entries"),
        Column("entries", "text", "account and rupees; credits are negative"),
        Column("actor", "text"),
        Column("causation_id", "text", "the message or task that caused it"),
        Column("correlation_id", "text"),
        Column("recorded_at", "instant"),
        Column("chain_whole", "flag"),
        Column("hash", "text", "SHA-256 over the loan's previous hash and this event"),
    ),
    rows=audit_trail,
    checks=tuple(
        OfLoan(account) for account in (PRINCIPAL, INTEREST_RECEIVABLE, CHARGES_RECEIVABLE, EXCESS, REFUNDS_PAYABLE)
    ),
    reads=(),
    of_loan=True,
)
REPORTS: tuple[Report, ...] = (AUDIT_TRAIL,)
