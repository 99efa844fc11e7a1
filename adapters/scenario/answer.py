"""Where a life led, as docs/scenarios.md has it: the loan, its schedule, its books, and all that was asked and told."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from adapters.scenario.file import Scenario
from adapters.scenario.life import Life, Outbound, rules_for
from domain import commands as c
from domain.codec import decode, encode
from domain.decisions.preclosure import quote
from domain.decisions.rules import Rules
from domain.ensure import ensure
from domain.events import CATALOGUE, EmiScheduled, LoanEvent, Recast
from domain.loan import Loan
from domain.refusals import Refused
from domain.views import loan_summary, schedule_rows
from projections.base import Recorded, booked_on
from projections.ledger import ACCOUNTS, BY_CODE, JOURNAL, LedgerFolding
from streams.topics import (
    CASES,
    DEBIT_INSTRUCTIONS,
    LOAN_EVENTS,
    MANDATE_INSTRUCTIONS,
    NOTIFICATIONS,
    PAYMENT_LINKS,
    PAYOUT_INSTRUCTIONS,
)

INSTRUCTIONS = {topic.name for topic in (PAYOUT_INSTRUCTIONS, DEBIT_INSTRUCTIONS, MANDATE_INSTRUCTIONS, PAYMENT_LINKS)}
"""Topics that say what a gateway adapter must do."""


def answer(scenario: Scenario, life: Life, rules: Rules) -> dict[str, Any]:
    """The whole answer. `loan` and `preclosure` are null, the lists empty, when the disbursal was refused."""
    at, loan, rules = scenario.ends_at, life.loan, rules_for(scenario, rules)
    summary, rows = (
        (loan_summary(loan, at, rules), schedule_rows(loan, scenario.until, rules)) if loan is not None else (None, [])
    )
    folded, ledger = fold(life.events)
    if loan is not None:
        same = loan_summary(folded, at, rules) == summary and schedule_rows(folded, scenario.until, rules) == rows
        ensure(same, "a life folded from its stored events is the life that was lived", loan=loan.id)
    return {
        "loan": summary,
        "schedule": rows,
        "schedules": schedules(life.events),
        "preclosure": preclosure(loan, scenario, rules),
        "ledger": ledger,
        "events": [event_row(row) for row in life.outbound if row.topic == LOAN_EVENTS.name],
        "counts": counts(life.events),
        "instructions": [told_row(row) for row in life.outbound if row.topic in INSTRUCTIONS],
        "notifications": [told_row(row) for row in life.outbound if row.topic == NOTIFICATIONS.name],
        "cases": [told_row(row) for row in life.outbound if row.topic == CASES.name],
        "rejected": life.rejected,
        "repeated": life.repeated,
        "unused_script": life.unused,
    }


def event_row(row: Outbound) -> dict[str, Any]:
    data = {name: value for name, value in row.body.items() if name not in ("loan_id", "version", "timestamp")}
    return {"type": row.type, "version": row.version, "at": row.at.isoformat(), "data": data}


def told_row(row: Outbound) -> dict[str, Any]:
    return {"type": row.type, "at": row.at.isoformat(), **row.body}


def schedules(events: list[LoanEvent]) -> list[dict[str, Any]]:
    """Every schedule that came into force, side by side: its number, why, from when, its instalment and rows."""
    told: dict[int, dict[str, Any]] = {}
    for event in events:
        if isinstance(event, EmiScheduled | Recast):
            told.setdefault(
                event.schedule_version,
                {
                    "schedule_version": event.schedule_version,
                    "reason": event.reason,
                    "effective_on": event.effective_on if isinstance(event, EmiScheduled) else event.value_on,
                    "instalment_paise": event.instalment_paise,
                    "rows": event.rows,
                },
            )
    return list(told.values())


def counts(events: list[LoanEvent]) -> dict[str, int]:
    """How often each event of the catalogue happened."""
    happened = Counter(event.TOPIC for event in events)
    return {topic: happened[topic] for topic in CATALOGUE}


def preclosure(loan: Loan | None, scenario: Scenario, rules: Rules) -> dict[str, Any] | None:
    """What would close the loan at the end of the last day; asked, and not recorded. None when it is not active."""
    if loan is None or loan.stage != "active":
        return None
    try:
        quoted: Any = next(quote(loan, c.QuotePreclosure(command_id="", on=scenario.until), scenario.ends_at, rules))
    except Refused:
        return None
    return {
        "on": quoted.on,
        "valid_until": quoted.valid_until,
        "parts": quoted.parts,
        "total_paise": quoted.total_paise,
        "per_diem_paise": quoted.per_diem_paise,
    }


# --- The books -----------------------------------------------------------------------------------------------


def fold(events: list[LoanEvent]) -> tuple[Loan, dict[str, Any]]:
    """The loan from its events as the log would store them, and its ledger as the read model would keep it."""
    loan = Loan.shell(events[0].originator_id if events else "")
    folding = LedgerFolding()
    for event in events:
        version = event.originator_version
        stored = decode(event.TOPIC, encode(event), loan.id, version)
        folding.see(Recorded(0, version, loan.id, version, stored, stored.timestamp), loan)
        loan.evolve(stored)
    by_version = {event.originator_version: event for event in events}
    entries = [entry for row in folding.journal for entry in journal_lines(row, by_version)]
    totals: Counter[int] = Counter()
    for entry in entries:
        totals[entry["account"]] += entry["paise"]
    return loan, {
        "entries": entries,
        "balances": dict(balances(totals)),
        "trial_balance_paise": sum(totals.values()),
    }


def journal_lines(row: tuple[Any, ...], events: dict[int, LoanEvent]) -> Iterator[dict[str, Any]]:
    """One row of the journal, an entry an account; debits are positive."""
    kept: dict[str, Any] = dict(zip(JOURNAL.names, row, strict=True))
    for account, paise in zip(kept["accounts"], kept["amounts"], strict=True):
        yield {
            "event": kept["topic"],
            "version": kept["position"],
            "value_on": kept["value_on"].isoformat(),
            "booked_on": booked_on(events[kept["position"]]).isoformat(),
            "reference": kept["reference"],
            "account": account,
            "name": BY_CODE[account].name,
            "paise": paise,
        }


def balances(totals: Counter[int]) -> Iterator[tuple[str, int]]:
    """Each account's balance under its code, its name, and its name in snake_case."""
    for account in ACCOUNTS:
        paise = totals[account.code]
        yield str(account.code), paise
        yield account.name, paise
        yield snake_case(account.name), paise


def snake_case(name: str) -> str:
    """ "Borrowers' excess" -> borrowers_excess."""
    return re.sub(r"\W+", "_", name.lower().replace("'", "")).strip("_")
