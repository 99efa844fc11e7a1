"""`qist demo`: Qist on this machine with a simulated LOS, gateways and borrowers, on a fast clock."""

from __future__ import annotations

import json as jsonlib
import re
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from adapters.cli.running import ensure_no_loans, run, settings_or_exit
from adapters.settings import Settings

START = date(2026, 1, 1)
GARBAGE = 5
MOST_MONTHS = 600


def demo(
    *,
    loans: int | None = None,
    months: int | None = None,
    seed: int = 7,
    gateways: Annotated[bool, Parameter(negative="")] = False,
    for_: Annotated[str | None, Parameter(name="--for")] = None,
    data: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Live some months of a loan book in minutes, and reconcile at the end.

    Starts everything as `qist up` does, in a folder that is gone afterwards. Exit status 1 when the books differ.

    Parameters
    ----------
    loans
        How many loans are paid out in the first month: 2000 unless said otherwise, 60 with --gateways.
    months
        How many months to live: 12 unless said otherwise, 3 with --gateways.
    seed
        The same seed gives the same borrowers, and the same money.
    gateways
        Debits, payouts, links and mandates go through the real adapters to three gateways that lose, repeat and
        contradict (docs/gateways.md), and their settlement reports are reconciled at the end. Each call takes real
        time, so the world is smaller.
    for_
        End after so much real time, such as `60s` or `5m`, even if the months are not over.
    data
        Keep the data in this folder instead; it must hold no loans yet.
    json
        Print the summary as one JSON document.
    """
    loans = loans if loans is not None else (60 if gateways else 2000)
    months = months if months is not None else (3 if gateways else 12)
    if loans < 1 or not 1 <= months <= MOST_MONTHS:
        print(f"--loans is at least 1, and --months from 1 to {MOST_MONTHS}", file=sys.stderr)
        return 2
    seconds = seconds_of(for_)
    if for_ and seconds is None:
        print(f"--for {for_}: say it as 60s or 5m", file=sys.stderr)
        return 2
    if data is not None:
        return run(live(settings_for(data), loans, months, seed, seconds, json, gateways))
    with tempfile.TemporaryDirectory(prefix="qist-demo-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs under an account of its own when we are root
        return run(live(settings_for(Path(folder)), loans, months, seed, seconds, json, gateways))


def settings_for(data: Path) -> Settings:
    return settings_or_exit(data_dir=data, clock="stepped", batch_wait_ms=5)


def seconds_of(text: str | None) -> float | None:
    found = re.fullmatch(r"(\d+)(s|m)?", text or "")
    return int(found[1]) * (60 if found[2] == "m" else 1) if found else None


async def live(
    settings: Settings, loans: int, months: int, seed: int, seconds: float | None, as_json: bool, real_gateways: bool
) -> int:
    from contextlib import AsyncExitStack

    import asyncpg

    from adapters.simulator import at_gateways
    from adapters.simulator.driver import Driver, projections_caught_up
    from adapters.simulator.population import add_months, outages, population
    from adapters.simulator.summary import summarise
    from adapters.simulator.world import World
    from adapters.system import GATEWAY, ROLES, system
    from domain.calendar import day_start

    if settings.database_url is not None:
        await ensure_no_loans(settings.database_dsn(), "qist demo")
    start, until = day_start(START), day_start(add_months(START, months))
    people = seed, population(seed, loans, START, months), outages(seed, START, months), until
    async with AsyncExitStack() as stack:
        gateways, roles = None, ROLES  # the world is the gateway: a real one would answer the same debits a second time
        if real_gateways:
            world = at_gateways.WorldAtGateways(*people)
            opening = at_gateways.open_gateways(seed, world, settings.data_dir.resolve())
            gateways, file = await stack.enter_async_context(opening)
            settings = settings.model_copy(update={"gateways_file": file, **at_gateways.SETTINGS})
            roles = (*ROLES, GATEWAY)
        else:
            world = World(*people)
        world.add_garbage(start + timedelta(days=40), GARBAGE)
        qist = await stack.enter_async_context(system(settings, roles=roles))
        for note in qist.notes:
            print(f"note: {note}", file=sys.stderr)
        if settings.database_url is None:
            await ensure_no_loans(qist.settings.database_dsn(), "qist demo")
        print(f"Watch it live: {qist.http_url}{qist.way_in.path}", file=sys.stderr)
        if qist.way_in.key:
            print(f"API key of its administrator, shown only this once: {qist.way_in.key}", file=sys.stderr)
        if gateways is not None:
            at_gateways.announce_to(gateways, qist.http_url)
        driver = Driver(qist.settings, world, start, until, gateways)
        started = time.monotonic()
        with Progress(loans, start, until) as progress:
            ended_early = await driver.run(
                on_step=lambda known: progress.show(known),
                enough=lambda: seconds is not None and time.monotonic() - started > seconds,
            )
        elapsed = time.monotonic() - started
        database = await asyncpg.connect(qist.settings.database_dsn())
        try:
            await projections_caught_up(database)
            found: dict[str, Any] = {}
            if gateways is not None:
                gateways.settle_books()
                found = {
                    "gateways": gateways.summary(),
                    **await at_gateways.reconciled(gateways, qist.http_url, await own_key(qist.settings)),
                }
            summary = await summarise(database, driver, world.books, elapsed)
        finally:
            await database.close()
        qist.ensure_running()
        summary = {"simulated_from": start.isoformat(), **summary, **found, "ended_early": ended_early}
        if gateways is not None:
            at_gateways.judge(summary)
    print(jsonlib.dumps(summary, indent=2) if as_json else told(summary))
    return 0 if summary["reconciles"] else 1


async def own_key(settings: Settings) -> str:
    """A key for the demo's own finance department: somebody else's database asks for one."""
    from adapters.access import keys
    from adapters.database import connect_pool

    pool = await connect_pool(settings.database_dsn(), name="demo", size=1)
    try:
        await keys.revoke(pool, "demo", by="qist")
        return (await keys.create(pool, "demo", ["operator"], by="qist"))[1]
    finally:
        await pool.close()


class Progress:
    """One line on stderr that says how far the simulation is; a plain line a month when nobody looks."""

    def __init__(self, loans: int, start: datetime, until: datetime) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        self._console = Console(stderr=True)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%  {task.fields[told]}"),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._start, self._until = start, until
        self._task = self._bar.add_task(f"{loans} loans", total=(until - start).total_seconds(), told="")
        self._month = 0
        self._began = datetime.now(UTC)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, driver: Any) -> None:
        told_now = f"{driver.now:%d %b %Y %H:%M}  {driver.messages:,} messages in, {driver.events:,} events"
        self._bar.update(self._task, completed=(driver.now - self._start).total_seconds(), told=told_now)
        if not self._console.is_terminal and driver.now.month != self._month:
            self._month = driver.now.month
            print(f"{(datetime.now(UTC) - self._began).seconds:4d} s  {told_now}", file=sys.stderr, flush=True)


def told(summary: dict[str, Any]) -> str:
    """The summary for a person."""
    from domain.money import format_rupees

    debits, failed = summary["debits"], summary["debits"]["failed"]
    rows = [
        ("lived", f"{summary['simulated_from'][:10]} to {summary['simulated_until'][:10]} in {summary['seconds']} s"),
        ("loans", f"{summary['loans']} ({summary['loans_closed']} closed)"),
        (
            "messages in",
            f"{summary['messages_in']} ({summary['messages_per_second']} a second): {summary['applied']} applied,"
            f" {summary['repeated']} repeats, {summary['parked']} parked, {summary['dead_letters']} dead letters",
        ),
        ("events", str(summary["events"])),
        ("disbursed", f"Rs. {format_rupees(summary['disbursed_paise'])}"),
        ("collected", f"Rs. {format_rupees(summary['collected_paise'])}"),
        ("principal left", f"Rs. {format_rupees(summary['principal_outstanding_paise'])}"),
        (
            "debits",
            f"{debits['attempted']} attempted, {debits['succeeded']} succeeded, failed {failed['soft']} soft,"
            f" {failed['hard']} hard, {failed['technical']} technical",
        ),
        ("recovered by retry", f"Rs. {format_rupees(summary['recovered_after_retry_paise'])}"),
        ("paid by link", f"Rs. {format_rupees(summary['recovery']['links_paise'])}"),
        ("promises to pay", counted(summary["promises"], "kept", "broken", "replaced", "open")),
        ("cases", counted(summary["cases"], "closed", "open")),
        ("trial balance", f"Rs. {format_rupees(summary['trial_balance_paise'])}"),
        ("reconciles", "yes, to the paisa" if summary["reconciles"] else "NO"),
        *(("", difference) for difference in summary["differences"]),
    ]
    lines = [f"{name:<20}{value}" for name, value in rows]
    lines += ["", *recovery_told(summary["recovery"]), "", *arms_told(summary["collections"])]
    return "\n".join([*lines, *(gateways_told(summary) if "gateways" in summary else ())])


def gateways_told(summary: dict[str, Any]) -> list[str]:
    """What gateways did wrong, and how their reports compare."""
    from domain.money import format_rupees

    gateways, reports = summary["gateways"], summary["reconciliation"]
    mischief = ", ".join(f"{count} {name}".replace("_", " ") for name, count in gateways["mischief"].items())
    return [
        "",
        f"{'orders':<20}{', '.join(f'{count} {name}' for name, count in gateways['orders'].items())}",
        f"{'debited twice':<20}{len(gateways['debited_twice'])}",
        f"{'mischief':<20}{mischief}",
        f"{'settlement reports':<20}{reports['lines']} lines of {reports['files']} files",
        *(
            f"  {row['level']}s {row['state']:<14}{row['count']:>8}{format_rupees(row['ours_paise']):>22}"
            f"{format_rupees(row['theirs_paise']):>22}"
            for row in reports["states"]
        ),
    ]


def counted(numbers: dict[str, int], *names: str) -> str:
    return ", ".join(f"{numbers.get(name, 0)} {name}" for name in names)


def arms_told(arms: list[dict[str, Any]]) -> list[str]:
    """What each arm of each strategy of collections brought."""
    from domain.money import format_rupees

    widths = ("<26", ">9", ">9", ">9", ">9", ">20", ">14")

    def line(*cells: Any) -> str:
        return "".join(f"{cell!s:{width}}" for cell, width in zip(cells, widths, strict=True))

    lines = [line("collections", "arrears", "ended", "promised", "kept %", "Rs. meanwhile", "% of overdue")]
    for one in arms:
        lines.append(
            line(
                f"  {one['strategy']} {one['arm']}",
                one["entered"],
                one["cured"],
                one["promised"],
                one["kept_percent"] or "",
                format_rupees(one["recovered_paise"]),
                one["recovered_percent"] or "",
            )
        )
    return lines


def recovery_told(recovery: dict[str, Any]) -> list[str]:
    """What retries brought, by the class of the failure, the bank, the hour of the outcome, and the attempt."""
    from adapters.recoveries import RECOVERED_BY
    from domain.money import format_rupees

    def line(name: str, failed: Any, retried: Any, recovered: Any, percent: Any, money: str) -> str:
        return f"{name:<20}{failed:>9}{retried:>9}{recovered:>11}{percent:>9}{money:>20}"

    lines = [line("recovery", "failed", "retried", "recovered", "percent", "Rs.")]
    for name in RECOVERED_BY:
        for one in recovery[f"by_{name}"]:
            lines.append(
                line(
                    f"  {name} {one[name] if one[name] != '' else 'not told'}",
                    one["failed"],
                    "" if one["retried"] is None else one["retried"],
                    one["recovered"],
                    one["percent"] or "",
                    format_rupees(one["recovered_paise"]),
                )
            )
    return lines
