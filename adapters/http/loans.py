"""Loans: the list, and everything about one of them, from a fresh fold of its events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Path, Query, Request, Response

from adapters.audit import load_events, refold
from adapters.http import models
from adapters.http.answers import LARGEST_PAGE, Cursor, Limit, decode, json, moment_of, page, plain, unchanged
from adapters.http.desk import AtDesk, Desk
from adapters.http.phrases import phrase
from adapters.http.problems import Problem
from adapters.notices.told import notices_of
from domain import commands as c
from domain import events as e
from domain.calendar import IST, instant_of, ist_day
from domain.decisions import preclosure
from domain.decisions.rules import Rules
from domain.decisions.standing import days_past_due, last_day_end
from domain.loan import Loan
from domain.product import band
from domain.views import loan_summary, schedule_rows

router = APIRouter(prefix="/loans", tags=["loans"])

LoanId = Annotated[str, Path(description="1 to 64 of A-Z a-z 0-9 . _ -")]
At = Annotated[
    str | None,
    Query(
        description="As it stood then, replayed: an instant with its offset, or a day (its end). Else now.",
        max_length=40,
    ),
]
Stage = Literal["booked", "active", "closed", "written_off", "cancelled"]

NOT_SHOWN = frozenset({"umrn", "last4", "account_token", "ifsc"})
"""Fields of events that lead to a person's account."""

SHOWN_OF_MANDATE = (
    "mandate_id", "rail", "status", "max_amount_paise", "valid_from", "valid_until", "bank", "gateway",
)  # fmt: skip

LISTED = (
    "loan_id, borrower_id, product, product_version, stage, closing, disbursed_on, closed_on, disbursed_paise,"
    " principal_paise, payable_paise, excess_paise, received_paise, instalment_paise, instalments, instalments_due,"
    " next_due_on, next_due_paise, next_debit_at, annual_rate_percent, oldest_unpaid_due_on, awaiting_outcome,"
    " classification, mandate_status, bank, version, last_event, last_event_at"
)


# --- The list ------------------------------------------------------------------------------------------------


@router.get("", summary="List loans", responses=models.ok(models.LoanPage))
async def list_loans(
    request: Request,
    desk: AtDesk,
    stage: Stage | None = None,
    product: str | None = None,
    bucket: Annotated[str | None, Query(description="As of the loan's last event.")] = None,
    classification: str | None = None,
    borrower_id: str | None = None,
    q: Annotated[str | None, Query(description="How the loan's or the borrower's id begins.", max_length=64)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Loans by id. Days past due and bucket are counted as of now."""
    [after] = decode(cursor, str) or [""]
    now = await desk.now()
    rows = await find_loans(
        desk,
        after=after,
        limit=limit + 1,
        stage=stage,
        product=product,
        bucket=bucket,
        classification=classification,
        borrower_id=borrower_id,
        q=q,
    )
    items = [listed(row, last_day_end(now), desk.rules) for row in rows]
    return page(request, items, limit, lambda loan: [loan["loan_id"]], as_of=now)


async def find_loans(desk: Desk, *, after: str, limit: int, **filters: str | None) -> list[Mapping[str, Any]]:
    """Rows of the read model, by id; a filter that is None does not filter."""
    return await desk.pool.fetch(
        f"SELECT {LISTED} FROM loan_view.loans WHERE loan_id > $1 AND ($3::text IS NULL OR stage = $3)"
        " AND ($4::text IS NULL OR product = $4) AND ($5::text IS NULL OR bucket = $5 OR (bucket = '' AND $5 = $6))"
        " AND ($7::text IS NULL OR classification = $7) AND ($8::text IS NULL OR borrower_id = $8)"
        " AND ($9::text IS NULL OR loan_id ^@ $9 OR borrower_id ^@ $9) ORDER BY loan_id LIMIT $2",
        after,
        limit,
        filters.get("stage"),
        filters.get("product"),
        filters.get("bucket"),
        NO_BUCKET,
        filters.get("classification"),
        filters.get("borrower_id"),
        filters.get("q"),
    )


NO_BUCKET = "current"
"""A loan that never was overdue has no bucket yet; it is shown in, and found by, the first one."""


def listed(row: Mapping[str, Any], day_end: date, rules: Rules) -> dict[str, Any]:
    """A row of the read model as of a day's end."""
    loan = plain(row)
    version = loan.pop("product_version")
    waits = loan.pop("awaiting_outcome") or loan["stage"] != "active"
    loan["dpd"] = 0 if waits else days_past_due(loan["oldest_unpaid_due_on"], day_end)
    loan["bucket"] = band(rules.products.of(loan["product"], version).buckets, loan["dpd"])
    loan["state"] = loan.pop("stage")
    return loan


# --- One loan ------------------------------------------------------------------------------------------------


@router.get("/{loan_id}", summary="One loan, all around", responses=models.ok(models.Loan, tagged=True))
async def show_loan(request: Request, desk: AtDesk, loan_id: LoanId, at: At = None) -> Response:
    """Where the loan stands: what is outstanding, how late it is, what comes next. Now, or at any instant before."""
    loan, now = await loan_then(desk, loan_id, at)
    # What time alone changes (days past due, accrued interest) changes by the day.
    tag = f'W/"{loan.version}.{ist_day(now):%y%m%d}.{last_day_end(now):%d}"'
    return unchanged(request, tag) or json(around(loan, now, desk.rules), headers={"ETag": tag})


def around(loan: Loan, now: Any, rules: Rules) -> dict[str, Any]:
    """A loan's summary (`loan_summary`), with what a person asks next."""
    chances = [chance.at for chance in loan.opportunities.values() if chance.at]
    return {
        **loan_summary(loan, now, rules),
        "closing": loan.closing or None,
        "mandate": mandate_of(loan.mandate) if loan.mandate else None,
        "mandates": [mandate_of(mandate) for mandate in loan.mandates],
        "mandate_requested": loan.mandate_request or None,
        "debits_stopped": loan.debits_stopped or None,
        "payment_links": [{"link_id": known, **link} for known, link in loan.links.items()],
        "disbursed_paise": loan.disbursed_paise,
        "schedule_version": loan.schedule_version,
        "next_debit_at": min(chances, default=None),
        "debits_in_flight": [
            {"instruction_id": key, "instalment": debit.number, "attempt": debit.attempt, "amount_paise": debit.amount}
            for key, debit in loan.in_flight.items()
        ],
        "paused_until": loan.paused_until,
        "cases_opened": loan.cases,
        "last_event_at": loan.known_at.astimezone(IST),
    }


def mandate_of(mandate: dict[str, Any]) -> dict[str, Any]:
    """A mandate, without what leads to the borrower's account."""
    return {name: mandate.get(name) or None for name in SHOWN_OF_MANDATE}


@router.get("/{loan_id}/schedule", summary="Its schedule", responses=models.ok(models.Schedule, tagged=True))
async def show_schedule(
    request: Request,
    desk: AtDesk,
    loan_id: LoanId,
    version: Annotated[int | None, Query(ge=1, description="An older schedule, as it stood when it came.")] = None,
    at: At = None,
) -> Response:
    """The instalments with what is paid of each, and every schedule that the loan has had by then."""
    loan, now = await loan_then(desk, loan_id, at)
    today = ist_day(now)
    tag = f'W/"{loan.version}.{version or loan.schedule_version}.{today:%y%m%d}"'
    if known := unchanged(request, tag):
        return known
    versions = [known for known in await schedules_of(desk, loan_id) if known["version"] <= loan.version]
    if version is not None and version != loan.schedule_version:
        found = next((known for known in versions if known["schedule_version"] == version), None)
        if found is None:
            raise Problem(404, "schedule-unknown", f"The loan has had {loan.schedule_version} schedules.")
        loan = await loan_at(desk, loan_id, found["version"])
    body = {
        "loan_id": loan_id,
        "schedule_version": loan.schedule_version,
        "instalment_paise": loan.instalment_paise,
        "apr_percent": loan.apr_percent,
        "rows": schedule_rows(loan, today if version is None else None, desk.rules),
        "versions": versions,
    }
    return json(body, headers={"ETag": tag})


async def schedules_of(desk: Desk, loan_id: str) -> list[dict[str, Any]]:
    """Every schedule that came into force, those that hindsight made too."""
    rows = await desk.pool.fetch(
        "SELECT version, state, occurred_at FROM events WHERE partition = $1 AND loan_id = $2 AND topic = ANY($3)"
        " ORDER BY version",
        desk.home(loan_id),
        loan_id,
        [e.EmiScheduled.TOPIC, e.Recast.TOPIC],
    )
    told: dict[int, dict[str, Any]] = {}
    for row in rows:
        state: dict[str, Any] = orjson.loads(row["state"])
        told.setdefault(  # a correction that left the rows alone has the number of the schedule that was there
            state["schedule_version"],
            {
                "schedule_version": state["schedule_version"],
                "version": row["version"],
                "reason": state["reason"],
                "effective_on": state.get("effective_on") or state["value_on"],
                "since": row["occurred_at"].astimezone(IST),
                "instalment_paise": state["instalment_paise"],
                "instalments": len(state["rows"]),
                "apr_percent": state["apr_percent"],
            },
        )
    return list(told.values())


async def loan_at(desk: Desk, loan_id: str, version: int) -> Loan:
    """The loan as it was after its first so many events."""
    return refold(await load_events(desk.pool, loan_id, first=version))


async def loan_then(desk: Desk, loan_id: str, at: str | None) -> tuple[Loan, datetime]:
    """The loan as it stood at an instant, and that instant: now, unless one is said (`instant_of`)."""
    now = await desk.now()
    if at is None:
        return await desk.loan(loan_id), now
    instant = moment(at, now)
    desk.home(loan_id)  # a loan that cannot be is unknown, too
    events = await load_events(desk.pool, loan_id, instant)
    if not events:
        await desk.loan(loan_id)  # 404 when there is none at all
        raise Problem(404, "loan-not-yet", f"The loan was not there yet on {instant.isoformat()}.")
    return refold(events), instant


def moment(at: str, now: datetime) -> datetime:
    """The instant that `at` says; nobody knows what comes."""
    try:
        instant = instant_of(at.replace(" ", "+"))  # a plus sign that was not escaped in an address
    except ValueError:
        raise Problem(
            422,
            "parameter-invalid",
            "`at` is neither an instant with its offset (2026-03-20T11:00:00+05:30) nor a day (2026-03-20).",
            errors=[{"pointer": "/at", "detail": "not an instant with an offset, nor a day"}],
        ) from None
    return min(instant, now)


@router.get("/{loan_id}/ledger", summary="Its books", responses=models.ok(models.Ledger))
async def show_ledger(
    request: Request, desk: AtDesk, loan_id: LoanId, limit: Limit = LARGEST_PAGE, cursor: Cursor = None, at: At = None
) -> Response:
    """Journal entries in the order in which they were booked; amounts are signed, a debit is positive."""
    home = desk.home(loan_id)
    [after] = decode(cursor, int) or [0]
    until = moment(at, await desk.now()) if at is not None else None
    balances = await balances_of(desk, loan_id, until)
    if not balances:
        await desk.loan(loan_id)  # 404 when there is none; else nothing has moved money yet
    rows = await desk.pool.fetch(
        "SELECT position, topic, reference, value_on, booked_at, accounts, amounts FROM ledger.journal"
        " WHERE partition = $1 AND loan_id = $2 AND position > $3 AND booked_at <= coalesce($5, booked_at)"
        " ORDER BY position LIMIT $4",
        home,
        loan_id,
        after,
        limit + 1,
        until,
    )
    names = await account_names(desk)
    entries = [entry(row, names) for row in rows]
    return page(
        request,
        entries,
        limit,
        lambda one: [one["position"]],
        loan_id=loan_id,
        balances=balances,
        trial_balance_paise=sum(balance["paise"] for balance in balances),
    )


def entry(row: Mapping[str, Any], names: Mapping[int, str]) -> dict[str, Any]:
    lines = [
        {"account": account, "name": names[account], "paise": paise}
        for account, paise in zip(row["accounts"], row["amounts"], strict=True)
    ]
    return {
        "position": row["position"],
        "event": row["topic"],
        "reference": row["reference"] or None,
        "value_on": row["value_on"],
        "booked_at": row["booked_at"].astimezone(IST),
        "lines": lines,
    }


async def account_names(desk: Desk) -> dict[int, str]:
    return {row["code"]: row["name"] for row in await desk.pool.fetch("SELECT code, name FROM ledger.accounts")}


async def balances_of(desk: Desk, loan_id: str, until: datetime | None = None) -> list[dict[str, Any]]:
    """The balance of each account that ever moved: now, or as booked up to an instant."""
    rows = await desk.pool.fetch(
        "WITH told AS ("
        " SELECT account, paise FROM ledger.balances WHERE partition = $1 AND loan_id = $2 AND $3::timestamptz IS NULL"
        " UNION ALL SELECT line.account, sum(line.paise)::bigint FROM ledger.journal j,"
        " unnest(j.accounts, j.amounts) AS line(account, paise)"
        " WHERE j.partition = $1 AND j.loan_id = $2 AND j.booked_at <= $3 GROUP BY line.account)"
        " SELECT t.account, a.name, a.kind, t.paise FROM told t JOIN ledger.accounts a ON a.code = t.account"
        " ORDER BY t.account",
        desk.home(loan_id),
        loan_id,
        until,
    )
    return [plain(row) for row in rows]


@router.get("/{loan_id}/events", summary="Everything that happened to it", responses=models.ok(models.EventPage))
async def show_events(
    request: Request, desk: AtDesk, loan_id: LoanId, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """Its events in order, without what leads to the borrower's account. `hash` chains each to the one before."""
    [after] = decode(cursor, int) or [0]
    events = await events_of(desk, loan_id, after, limit + 1)
    if not events and not after:
        await desk.loan(loan_id)  # 404 when there is none
    return page(request, events, limit, lambda event: [event["version"]], loan_id=loan_id)


async def events_of(
    desk: Desk, loan_id: str, after: int, limit: int, newest_first: bool = False, upto: int | None = None
) -> list[Any]:
    """Events with what they say; `after` and `upto` are versions, the latter included."""
    order = "DESC" if newest_first else "ASC"
    rows = await desk.pool.fetch(
        "SELECT partition, position, version, topic, state, occurred_at, recorded_at, causation_id, correlation_id,"
        " actor, hash FROM events WHERE partition = $1 AND loan_id = $2 AND version > $3"
        f" AND version <= coalesce($5, version) ORDER BY version {order} LIMIT $4",
        desk.home(loan_id),
        loan_id,
        after,
        limit,
        upto,
    )
    return [told(row) for row in rows]


def told(row: Mapping[str, Any]) -> dict[str, Any]:
    """An event for those who read it."""
    fields = orjson.loads(row["state"])
    return {
        "version": row["version"],
        "position": f"{row['partition']}:{row['position']}",
        "type": row["topic"],
        "says": phrase(row["topic"], fields),
        "occurred_at": row["occurred_at"].astimezone(IST),
        "recorded_at": row["recorded_at"].astimezone(IST),
        "causation_id": row["causation_id"],
        "correlation_id": row["correlation_id"],
        "actor": row["actor"],
        "hash": row["hash"].hex(),
        "data": without_accounts({name: value for name, value in fields.items() if name != "timestamp"}),
    }


def without_accounts(value: Any) -> Any:
    """The same without what leads to an account, at any depth."""
    if isinstance(value, dict):
        return {name: without_accounts(one) for name, one in value.items() if name not in NOT_SHOWN}
    return [without_accounts(one) for one in value] if isinstance(value, list) else value


@router.get("/{loan_id}/notices", summary="What its borrower was told", responses=models.ok(models.NoticePage))
async def show_notices(
    request: Request, desk: AtDesk, loan_id: LoanId, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """Every notice, newest first: sent or planned, by which channel and when, or not, and why. No text, no address."""
    before = decode(cursor, str, str)
    since = (moment_of(before[0]), before[1]) if before else None
    notices = await notices_of(desk.pool, loan_id, limit=limit + 1, before=since)
    if not notices and not before:
        await desk.loan(loan_id)  # 404 when there is none
    return page(
        request, notices, limit, lambda one: [one["occurred_at"].isoformat(), one["notice_id"]], loan_id=loan_id
    )


@router.get("/{loan_id}/quote", summary="What closes it", responses=models.ok(models.Quote))
async def show_quote(
    desk: AtDesk,
    loan_id: LoanId,
    on: Annotated[date | None, Query(description="The day of payment; today unless given.")] = None,
) -> Response:
    """The pre-closure amount, part by part. Nothing is recorded; the command `quote-preclosure` does that."""
    loan, now = await desk.loan(loan_id), await desk.now()
    asked = c.QuotePreclosure(command_id="", on=on)
    [quoted] = preclosure.quote(loan, asked, now, desk.rules)
    assert isinstance(quoted, e.PreclosureQuoted)
    body = {
        "loan_id": loan_id,
        "on": quoted.on,
        "valid_until": quoted.valid_until,
        "total_paise": quoted.total_paise,
        "per_diem_paise": quoted.per_diem_paise,
        "parts": quoted.parts,
        "version": loan.version,
        "as_of": now,
    }
    return json(body)
