"""Reconciliation over HTTP: files in, differences out, and decisions; the same as `qist reconcile`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from adapters.http import models
from adapters.http.answers import Cursor, Limit, decode, json, moment_of, page
from adapters.http.commands import json_object
from adapters.http.desk import AtDesk, Desk
from adapters.http.gate import present, signing
from adapters.http.problems import Problem, invalid_body
from adapters.reconciliation.csv_file import FileMapping
from adapters.reconciliation.lines import FileRefused
from adapters.reconciliation.mapping_file import mapping_from
from adapters.reconciliation.office import HOLDS, Conflict, Format, Office, Unknown, patience_of

router = APIRouter(prefix="/reconciliation", tags=["reconciliation"])

LARGEST_FILE = 50_000_000
StateAsked = Literal["missing", "extra", "amount_differs", "date_differs", "awaited", "resolved", "matched"]
Who = Annotated[
    str | None,
    Query(min_length=1, max_length=100, description="Who does this, where nobody signs in."),
]
Source = Annotated[str, Query(pattern=r"^[A-Za-z0-9._-]{1,40}$", description="Who says so.")]


async def office_of(desk: Desk) -> Office:
    return Office(desk.pool, patience_of(desk.settings, await desk.now()))


def after_of(cursor: str | None) -> list[str] | None:
    """Where the page of comparisons before ended: since when, and which."""
    after = decode(cursor, str, str)
    if after is not None:
        moment_of(after[0])
    return after


@asynccontextmanager
async def told() -> AsyncIterator[None]:
    """What cannot be done, as a problem."""
    try:
        yield
    except FileRefused as refused:
        pointer = "".join(f"/{part}" for part in (refused.where, refused.field) if part)
        errors = [{"pointer": pointer, "detail": refused.said}]
        raise Problem(422, "file-refused", f"Nothing was taken: {refused}.", errors=errors) from None
    except Conflict as conflict:
        raise Problem(409, conflict.kind, f"{conflict}.") from None
    except Unknown as unknown:
        raise Problem(404, "subject-unknown", f"{unknown}.") from None


@router.post(
    "/files",
    status_code=201,
    summary="Take in a report or statement",
    responses=models.ok(models.TakenFile, status=201, also={200: models.TakenFile}),
    openapi_extra=models.file_body(),
)
async def take_file(
    request: Request,
    desk: AtDesk,
    source: Source,
    format: Format,
    by: Who = None,
    name: Annotated[str, Query(max_length=200, description="The file's name.")] = "",
) -> Response:
    """The body is the file as it is. 201 when it was taken, 200 when this very file had been; lines that are known are
    passed over. A file with a mistake is refused whole."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in models.FILE_TYPES:  # which also keeps forms of foreign pages out
        raise Problem(415, "media-type-unsupported", f"Send the file as {' or '.join(models.FILE_TYPES)}.")
    by = signing(present(), by, "by")
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST_FILE:
            raise Problem(413, "body-too-large", f"A file has at most {LARGEST_FILE} bytes; split it.")
    async with told():
        taken = await (await office_of(desk)).take_in(bytes(content), source=source, form=format, name=name, by=by)
    return json(taken, 200 if taken["already_taken"] else 201)


@router.get("/files", summary="Files that were taken in", responses=models.ok(models.FilePage))
async def list_files(request: Request, desk: AtDesk, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """The newest first."""
    [after] = decode(cursor, int) or [0]
    found = await (await office_of(desk)).files(after=after, limit=limit + 1)
    return page(request, found, limit, lambda file: [file["id"]])


@router.put(
    "/sources/{source}",
    summary="Declare how a source's CSV files are read",
    responses=models.ok(models.DeclaredSource),
    openapi_extra=models.json_body(FileMapping),
)
async def declare_source(request: Request, desk: AtDesk, source: str, by: Who = None) -> Response:
    """From now on; what was taken stays as it was read."""
    by = signing(present(), by, "by")
    body = await json_object(request)
    async with told():
        mapping = mapping_from(body, "")
        await (await office_of(desk)).declare(source, mapping, by)
    return json({"source": source, "mapping": mapping.model_dump(mode="json", exclude_none=True)})


@router.get("/items", summary="What differs", responses=models.ok(models.ComparisonPage))
async def list_items(
    request: Request,
    desk: AtDesk,
    state: StateAsked | None = None,
    loan_id: str | None = None,
    source: str | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The oldest first; without a state, all that wait for a person."""
    found = await (await office_of(desk)).items(
        state=state, loan_id=loan_id, source=source, after=after_of(cursor), limit=limit + 1
    )
    return page(request, found, limit, lambda item: [item["since"], item["subject"]])


@router.get("/items/{subject:path}", summary="One comparison", responses=models.ok(models.ComparisonInFull))
async def show_item(desk: AtDesk, subject: str) -> Response:
    """What the loan says, the lines that belong to it, what was booked because of it, and what people decided."""
    async with told():
        return json(await (await office_of(desk)).item(subject))


@router.post(
    "/items/{subject:path}/resolution",
    summary="Resolve a difference",
    responses=models.ok(models.Resolved),
    openapi_extra=models.json_body(models.Resolution),
)
async def resolve(request: Request, desk: AtDesk, subject: str) -> Response:
    """Kept for good, with who, when and on which figures; it holds as long as these do not move."""
    body = await json_object(request)
    try:
        asked = models.Resolution.model_validate(body)
    except ValidationError as error:
        raise invalid_body(error) from None
    by = signing(present(), asked.by, "by")
    async with told():
        done = await (await office_of(desk)).resolve(
            subject, asked.way, note=asked.note, by=by, loan_id=asked.loan_id, other=asked.other
        )
    return json(done)


@router.get("/totals", summary="From the ledger to the bank", responses=models.ok(models.ReconciliationTotals))
async def show_totals(desk: AtDesk) -> Response:
    """Step by step; each step is a sum that can be listed."""
    return json(await (await office_of(desk)).totals())


async def open_differences(desk: Desk) -> list[dict[str, Any]]:
    """Counts and ages for /metrics: of what is not matched only, so that it costs nothing on large books."""
    office = await office_of(desk)
    rows = await desk.pool.fetch(
        "SELECT level, state, count(*) AS count, min(since) AS oldest,"
        " sum(abs(theirs_paise - ours_paise))::bigint AS paise FROM reconciliation_items"
        f" WHERE state <> 'matched' AND ({HOLDS.format(item='resolution')}) IS NOT true"
        " AND EXISTS (SELECT FROM reconciliation_files)"  # without any report nothing is missing in them
        " GROUP BY 1, 2",
        office.awaited_since,
    )
    return [dict(row) for row in rows]
