"""The end of a demo: what Qist's books say, and whether they agree with the simulator's own account, to the paisa."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg
import orjson

from adapters import casework, recoveries
from adapters.simulator.driver import Driver
from adapters.simulator.world import Books
from domain.calendar import IST
from projections.ledger import BANK, PRINCIPAL
from streams.topics import COMMANDS

SHOWN_DIFFERENCES = 20
RETRY, SUCCESS = "loan.retry-scheduled.v1", "loan.debit-succeeded.v1"


async def told_itself(database: asyncpg.Connection, driver: Driver) -> int:
    """Commands that Qist has given itself (a borrower's class, told to their other loans)."""
    rows = await database.fetch("SELECT next_offset FROM inbound_offsets WHERE topic = $1", COMMANDS.name)
    return sum(row["next_offset"] for row in rows) - driver.commands


async def summarise(database: asyncpg.Connection, driver: Driver, books: Books, seconds: float) -> dict[str, Any]:
    """What a demo came to: the world's books, Qist's, and whether they agree. Money in paise."""
    house = await database.fetchrow(
        "SELECT sum(applied) AS applied, sum(repeated) AS repeated, sum(dead_lettered) AS dead_lettered,"
        " sum(position) AS events,"
        " (SELECT count(*) FROM parked) AS parked, (SELECT count(*) FROM dead_letters) AS dead_letters FROM partitions"
    )
    debits = await database.fetch(
        "SELECT outcome, failure_class, sum(count) AS count FROM dashboard.debits GROUP BY 1, 2"
    )
    recovery = {**await recoveries.recoveries(database), **await recoveries.by_link(database)}
    cases = await database.fetch("SELECT state, count(*) FROM collections.cases GROUP BY 1")
    promises = await database.fetch("SELECT state, count(*) FROM collections.promises GROUP BY 1")
    balances = {
        row["account"]: int(row["paise"])
        for row in await database.fetch("SELECT account, sum(paise) AS paise FROM ledger.balances GROUP BY account")
    }
    stages = dict(await database.fetch("SELECT stage, count(*) FROM loan_view.loans GROUP BY stage"))
    money = await database.fetchrow(
        "SELECT coalesce(sum(amounts[i]) FILTER (WHERE topic = 'loan.disbursed.v1' AND accounts[i] = $2), 0) AS lent,"
        " coalesce(sum(amounts[i]) FILTER (WHERE topic IN ('loan.debit-succeeded.v1', 'loan.payment-received.v1',"
        " 'loan.receipt-reversed.v1') AND accounts[i] = $1), 0) AS collected"
        " FROM ledger.journal, generate_subscripts(accounts, 1) AS i",
        BANK,
        PRINCIPAL,
    )
    assert house is not None  # sums are always one row
    assert money is not None
    differences = await compare(database, books)
    accounted = house["applied"] + house["repeated"] + house["dead_lettered"] + house["parked"]
    sent = driver.messages + driver.outcomes + await told_itself(database, driver)
    if accounted != sent:
        differences.append(f"{sent} messages were sent, {accounted} are accounted for")
    trial_balance = sum(balances.values())
    if trial_balance:
        differences.append(f"the trial balance is {trial_balance} paise")
    return {
        "loans": sum(stages.values()),
        "simulated_until": driver.now.isoformat(),
        "seconds": round(seconds, 1),
        "messages_in": driver.messages + driver.outcomes,
        "applied": int(house["applied"]),
        "repeated": int(house["repeated"]),
        "parked": house["parked"],
        "dead_letters": house["dead_letters"],
        "events": int(house["events"]),
        "messages_per_second": round((driver.messages + driver.outcomes) / seconds),
        "disbursed_paise": int(money["lent"]),
        "collected_paise": int(money["collected"]),
        "principal_outstanding_paise": balances.get(PRINCIPAL, 0),
        "debits": counted(debits),
        "recovered_after_retry_paise": recovery["recovered_paise"],
        "recovery": recovery,
        "cases": {row["state"]: row["count"] for row in cases},
        "promises": {row["state"]: row["count"] for row in promises},
        "collections": await casework.arms(database),
        "decision": await a_decision(database),
        "loans_closed": stages.get("closed", 0),
        "trial_balance_paise": trial_balance,
        "reconciles": not differences,
        "differences": differences[:SHOWN_DIFFERENCES],
    }


async def a_decision(database: asyncpg.Connection) -> dict[str, Any] | None:
    """The surest retry that was chosen among alternatives and brought the money on its day, as it was recorded; and the
    money. None where there is none."""
    rows = await database.fetch(
        "SELECT loan_id, topic, occurred_at, state FROM events WHERE topic = ANY($1)"
        " ORDER BY occurred_at, loan_id, version",
        [RETRY, SUCCESS],
    )
    chosen: dict[tuple[str, int, int], dict[str, Any]] = {}
    found: list[dict[str, Any]] = []
    for row in rows:
        told = orjson.loads(row["state"])
        key = row["loan_id"], told["number"], told["attempt"]
        at = row["occurred_at"].astimezone(IST).isoformat()
        if row["topic"] == RETRY:
            if told["alternatives"]:
                told.pop("class_version", None)
                told.pop("timestamp", None)
                chosen[key] = {"loan_id": row["loan_id"], "decided_at": at, **told}
        elif key in chosen and at[:10] == chosen[key]["at"][:10]:  # a promise or an outage may have moved it since
            found.append({**chosen[key], "succeeded": {"at": at, "amount_paise": told["amount_paise"]}})
    return max(found, key=lambda one: (one["likelihood_percent"], one["decided_at"]), default=None)


def counted(debits: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Debits attempted, succeeded, and failed by class."""

    def total(outcome: str, failure_class: str | None = None) -> int:
        return sum(
            int(row["count"])
            for row in debits
            if row["outcome"] == outcome and failure_class in (None, row["failure_class"])
        )

    failed = {name: total("failed", name) for name in ("soft", "hard", "technical")}
    return {"attempted": total("attempted"), "succeeded": total("succeeded"), "failed": failed}


async def compare(database: asyncpg.Connection, books: Books) -> list[str]:
    """Loan by loan: what the ledger says went through the bank, and what the other side says."""
    ledger = {
        row["loan_id"]: int(row["paise"])
        for row in await database.fetch(
            "SELECT loan_id, sum(paise) AS paise FROM ledger.balances WHERE account = $1 GROUP BY loan_id", BANK
        )
    }
    loans = set(ledger) | set(books.paid_by_borrower) | set(books.received_by_borrower)
    differences: list[str] = []
    for loan_id in sorted(loans):
        theirs = books.paid_by_borrower.get(loan_id, 0) - books.received_by_borrower.get(loan_id, 0)
        ours = ledger.get(loan_id, 0)
        if ours != theirs:
            differences.append(f"{loan_id}: the ledger has {ours} paise in the bank, the other side {theirs}")
    return differences
