"""`qist replay` and `qist audit verify`: a loan as it stood, and proof that the books are whole."""

from __future__ import annotations

import json as jsonlib
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated, Any

from cyclopts import Parameter

from adapters.cli.running import ANSWER_IS_NO, WRONG_USAGE, run, settings_with_services
from adapters.settings import Settings

Json = Annotated[bool, Parameter(negative="")]


def replay(loan: str, /, *, at: str | None = None, json: Json = False) -> int:
    """Show a loan as it stood at an instant, from its events.

    Time here is business time (`occurred_at`): what had happened by then, whenever it was recorded.

    Parameters
    ----------
    loan
        The loan's id.
    at
        An instant such as 2026-03-20T11:00:00+05:30, or a day (its end, in Asia/Kolkata). Not given: now.
    json
        Print `loan` and `schedule` as one JSON document.
    """
    from domain.calendar import instant_of

    instant = None
    if at is not None:
        try:
            instant = instant_of(at)
        except ValueError:
            print(f"qist replay: --at {at}: not an instant with an offset, nor a day", file=sys.stderr)
            return WRONG_USAGE
    return run(_replay(settings_with_services(), loan, instant, json=json))


def verify(*, loan: str | None = None, json: Json = False) -> int:
    """Check hash chains, positions, versions, the trial balance, snapshots, and every read model against a fresh fold.

    Exit status 1 when anything differs; each difference is named.

    Parameters
    ----------
    loan
        Only this loan and its rows.
    json
        Print what was looked at and `differences` as one JSON document.
    """
    return run(_verify(settings_with_services(), loan, json=json))


async def _replay(settings: Settings, loan_id: str, at: datetime | None, *, json: bool) -> int:
    from adapters.audit import load_events, refold
    from adapters.clocks import clock_of
    from adapters.database import connect_pool
    from adapters.house import load_rules
    from domain.calendar import ist_day
    from domain.views import loan_summary, schedule_rows

    pool = await connect_pool(settings.database_dsn(), name="replay", size=1)
    try:
        events = await load_events(pool, loan_id, at)
        if not events:
            print(f"qist replay: no loan {loan_id}{' by then' if at else ''}", file=sys.stderr)
            return ANSWER_IS_NO
        clock = clock_of(settings, pool)
        await clock.refresh()
        try:
            loan = refold(events)
        except Exception as error:  # whatever it is: what is stored is not what was written
            print(f"qist replay: the events of {loan_id} cannot be folded: {error!r}", file=sys.stderr)
            print(f"`qist audit verify --loan {loan_id}` names the one that is wrong", file=sys.stderr)
            return ANSWER_IS_NO
        as_of = at or max(clock.now(), loan.known_at)
    finally:
        await pool.close()
    summary, rows = loan_summary(loan, as_of, load_rules()), schedule_rows(loan, ist_day(as_of), load_rules())
    if json:
        print(jsonlib.dumps({"loan": summary, "schedule": rows, "events": len(events)}))
    else:
        print("\n".join(drawn(summary, rows, len(events))))
    return 0


async def _verify(settings: Settings, loan_id: str | None, *, json: bool) -> int:
    from adapters.audit import verify as audit
    from adapters.database import connect_pool
    from adapters.house import load_rules

    began = time.perf_counter()
    pool = await connect_pool(settings.database_dsn(), name="audit", size=1)
    try:
        found = await audit(pool, load_rules(), loan_id, progress=tell_progress())
    finally:
        await pool.close()
    seconds = time.perf_counter() - began
    if json:
        looked_at: dict[str, Any] = {
            "ok": not found.differences,
            "events": found.events,
            "loans": found.loans,
            "rows": found.rows,
            "snapshots": found.snapshots,
            "trial_balance_paise": found.trial_balance_paise,
            "seconds": round(seconds, 3),
            "differences": [{"where": one.where, "what": one.what} for one in found.differences],
        }
        print(jsonlib.dumps(looked_at))
    else:
        for one in found.differences:
            print(one)
        print(
            f"{found.events:,} events of {found.loans:,} loans, {found.rows:,} rows of read models,"
            f" {found.snapshots:,} snapshots in {seconds:.1f} s: "
            + (f"{len(found.differences):,} differences" if found.differences else "no difference")
        )
    return ANSWER_IS_NO if found.differences else 0


def tell_progress() -> Callable[[int], None]:
    """A line on stderr now and then, so that a long audit is seen to live."""
    told_at = time.monotonic()

    def tell(events: int) -> None:
        nonlocal told_at
        now = time.monotonic()
        if now - told_at > 2:
            told_at = now
            print(f"audit: {events:,} events", file=sys.stderr, flush=True)

    return tell


def drawn(loan: dict[str, Any], rows: list[dict[str, Any]], events: int) -> Iterator[str]:
    """The loan as a person reads it."""
    from domain.money import format_rupees as rupees

    owed = loan["outstanding"]
    late = f"{loan['dpd']} days past due ({loan['bucket']})"
    yield f"{loan['loan_id']}  {loan['state']}  {loan['classification']}  {late}"
    yield f"as of {loan['as_of']}, after {events} events (business time)"
    yield ""
    for label, paise in (
        ("principal", owed["principal_paise"]),
        ("interest due", owed["interest_due_paise"]),
        ("interest accrued", owed["interest_accrued_paise"]),
        ("charges", owed["charges_paise"]),
        ("held for the borrower", owed["excess_paise"]),
        ("payable now", loan["payable_paise"]),
    ):
        yield f"  {label:<22}{rupees(paise):>18}"
    yield ""
    yield (
        f"{'#':>4}  {'due':<10}  {'principal':>14}  {'interest':>12}  {'fee':>10}  {'total':>14}"
        f"  {'paid':>14}  {'paid on':<10}  {'closing':>14}"
    )
    for row in rows:
        paid = row["principal_paid_paise"] + row["interest_paid_paise"] + row["charges_paid_paise"]
        yield (
            f"{row['number']:>4}  {row['due_on']:<10}  {rupees(row['principal_paise']):>14}"
            f"  {rupees(row['interest_paise']):>12}  {rupees(row['fee_paise']):>10}  {rupees(row['total_paise']):>14}"
            f"  {rupees(paid):>14}  {row['paid_on'] or '':<10}  {rupees(row['closing_paise']):>14}"
        )
