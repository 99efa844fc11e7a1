"""Every report of the house by its name, and how one is run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from difflib import get_close_matches

import asyncpg

from adapters.errors import Explained
from adapters.reports import access, book, bureau, money, trail
from adapters.reports.report import Ask, Report, Running
from adapters.vault import Vault
from domain.calendar import IST, ist_day
from domain.decisions.rules import Rules
from domain.decisions.standing import last_day_end
from streams.read_models import Connection

CATALOGUE: dict[str, Report] = {
    report.name: report for report in (*book.REPORTS, *money.REPORTS, *bureau.REPORTS, *trail.REPORTS, *access.REPORTS)
}


class UnknownReport(Explained):
    """No report has that name."""


class WrongAsk(Explained):
    """It cannot be asked for like that: the message names the option."""


def report_named(name: str) -> Report:
    if (report := CATALOGUE.get(name)) is not None:
        return report
    near = get_close_matches(name, CATALOGUE, n=1, cutoff=0.4)
    meant = f": did you mean {near[0]}?" if near else ""
    raise UnknownReport(f"there is no report {name}{meant} (`qist report list` names them)")


def first_day(report: Report, on: date, since: date | None) -> date:
    """Of a period: the first of the month. Of a comparison: the end of the month before."""
    if since is None:
        return on.replace(day=1) - timedelta(days=report.period == "comparison")
    if not report.period:
        raise WrongAsk(f"from: {report.name} is of one day's end, not of a period")
    if since > on:
        raise WrongAsk(f"from: {since} is after {on}")
    return since


@asynccontextmanager
async def running(
    pool: asyncpg.Pool,
    rules: Rules,
    name: str,
    on: date | None,
    *,
    now: datetime,
    since: date | None = None,
    loan_id: str = "",
    vault: Vault | None = None,
    member_code: str = "",
) -> AsyncIterator[Running]:
    """A report, all of it read in one snapshot of the database: of the last day that is over, where none is said. `now`
    is business time."""
    report = report_named(name)
    now = datetime.now(IST) if report.real_time else now
    today, on = ist_day(now), on or last_day_end(now)
    if on > today:
        raise WrongAsk(f"on: {on} has not come yet; today is {today}")
    if report.of_loan and not loan_id:
        raise WrongAsk(f"loan: {name} is about one loan; name it")
    if loan_id and not report.of_loan:
        raise WrongAsk(f"loan: {name} is about all loans")
    if report.refuses is not None and (why_not := report.refuses(on)):
        raise WrongAsk(f"on: {why_not}")
    begins = first_day(report, on, since)
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read"),
    ):
        ask = Ask(connection, rules, on, begins, loan_id, vault, member_code)
        await take_stock(ask, report)
        if on == today:
            ask.notes.append(f"{on} is not over: the figures are so far")
        yield Running(report, ask)


async def take_stock(ask: Ask, report: Report) -> None:
    """Read models of one report stand at one place of the log, or its figures would not add up."""
    ends = await positions(ask.connection, "public.partitions")
    stands = {name: await positions(ask.connection, f"{name}.positions") for name in {"ledger", *report.reads}}
    for name, positions_of in stands.items():
        if positions_of != stands["ledger"]:
            raise Explained(f"the read model {name} is not where the ledger is: ask again when it has caught up")
    if behind := sum(ends.values()) - sum(stands["ledger"].values()):
        ask.notes.append(f"the read models are {behind} events behind the log")


async def positions(connection: Connection, table: str) -> dict[int, int]:
    return dict(await connection.fetch(f"SELECT partition, position FROM {table}"))
