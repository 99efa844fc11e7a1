"""Reports over HTTP: the same as `qist report`, streamed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from starlette.responses import StreamingResponse

from adapters.database import open_house
from adapters.errors import Explained
from adapters.http import models
from adapters.http.answers import json
from adapters.http.desk import AtDesk, Desk
from adapters.http.problems import Problem
from adapters.reports.catalogue import CATALOGUE, UnknownReport, WrongAsk, report_named, running
from adapters.reports.formats import as_csv, as_json, write_file
from adapters.reports.report import Report

router = APIRouter(tags=["reports"])

Format = Literal["json", "csv", "parquet", "xlsx"]
MEDIA: dict[Format, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
PIECE = 1 << 16
PATIENCE_SECONDS = 3_600.0
AT_MOST = 2
"""Reports on their way at one time; each has a connection of its own."""
ON_THEIR_WAY = asyncio.Semaphore(AT_MOST)


@router.get("/reports", summary="Which reports there are", responses=models.ok(models.ReportList))
async def list_reports() -> Response:
    """Each with its columns, and what its figures are compared with."""
    return json({"items": [about(report) for report in CATALOGUE.values()]})


@router.get(
    "/reports/{name}",
    summary="A report",
    response_class=Response,
    responses={
        200: {
            "model": models.ReportAnswer,
            "content": {media.split(";")[0]: {} for form, media in MEDIA.items() if form != "json"},
            "description": "The rows as they are read. Of `json` the footer comes after them: totals, what the ledger"
            " says of the same money, and `reconciles`.",
        }
    },
)
async def show_report(
    desk: AtDesk,
    name: str,
    on: Annotated[date | None, Query(description="The day at whose end the figures stood; else the last one.")] = None,
    since: Annotated[date | None, Query(alias="from", description="The first day of a period or comparison.")] = None,
    loan_id: Annotated[str, Query(description="Of a report on one loan: which.", max_length=64)] = "",
    format: Annotated[Format, Query(description="The file's form.")] = "json",
) -> Response:
    """As of any day's end, in one snapshot of the database. One with personal data: `qist report` alone writes it."""
    try:
        report = report_named(name)
        if report.personal:
            raise Problem(403, "report-is-personal", f"{name} holds personal data: `qist report {name}` writes it.")
        if ON_THEIR_WAY.locked():
            busy = f"{AT_MOST} reports are on their way: ask again in a while."
            raise Problem(503, "reports-busy", busy, headers={"Retry-After": "10"})
        coming = pieces(desk, name, on, since, loan_id, format)
        begun = [piece async for piece in first_of(coming, 2)]  # what cannot be answered is known by then
    except UnknownReport as unknown:
        raise Problem(404, "report-unknown", str(unknown)) from None
    except WrongAsk as wrong:
        raise Problem(422, "report-not-possible", str(wrong)) from None
    except Explained as not_now:
        raise Problem(409, "report-not-possible", str(not_now)) from None
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{name}.{format}"' if format != "json" else "inline",
    }
    return StreamingResponse(all_of(begun, coming), headers=headers, media_type=MEDIA[format])


async def pieces(
    desk: Desk, name: str, on: date | None, since: date | None, loan_id: str, form: Format
) -> AsyncGenerator[bytes, None]:
    async with ON_THEIR_WAY:
        pool = await open_house(desk.settings, name="report", size=1, patience=PATIENCE_SECONDS)
        try:
            async with running(
                pool, desk.rules, name, on, now=await desk.now(), since=since, loan_id=loan_id
            ) as report:
                if form in ("json", "csv"):
                    async for piece in (as_json if form == "json" else as_csv)(report):
                        yield piece
                    return
                with TemporaryDirectory() as folder:  # these have their index at the end
                    path = Path(folder) / f"report.{form}"
                    await write_file(report, path)
                    with path.open("rb") as file:
                        while piece := file.read(PIECE):
                            yield piece
        finally:
            await pool.close()


async def first_of(coming: AsyncGenerator[bytes, None], count: int) -> AsyncIterator[bytes]:
    while count and (piece := await anext(coming, None)) is not None:
        count -= 1
        yield piece


async def all_of(begun: list[bytes], coming: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    try:
        for piece in begun:
            yield piece
        async for piece in coming:
            yield piece
    finally:
        await coming.aclose()


def about(report: Report) -> dict[str, Any]:
    return {
        "name": report.name,
        "title": report.title,
        "says": report.says,
        "of": "loan" if report.of_loan else report.period or "day",
        "personal": report.personal,
        "columns": [{"name": one.name, "kind": one.kind, "says": one.says} for one in report.columns],
        "reconciles": [check.says for check in report.checks],
    }
