"""`qist document` and `qist documents`: a loan's documents as PDF, made from its events."""

from __future__ import annotations

import json as jsonlib
import sys
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from adapters.cli.running import ANSWER_IS_NO, WRONG_USAGE, run, settings_with_services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from adapters.documents.office import Office

Flag = Annotated[bool, Parameter(negative="")]


def document(
    loan: str,
    kind: str,
    /,
    *,
    on: str | None = None,
    since: Annotated[str | None, Parameter(name="--from")] = None,
    language: Literal["en", "hi"] | None = None,
    out: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    issue: Flag = False,
) -> int:
    """Make a document of a loan as PDF: the same bytes whenever it is made from the same events.

    Kinds: key-facts, repayment-schedule, statement-of-account (of a period), interest-certificate (of a financial
    year), restructuring-letter, pre-closure-quote (on a day), no-dues-certificate, closure-statement. Or a reference as
    it is printed at the foot of a document: that document is made again, and compared with the hash that was kept.

    Parameters
    ----------
    loan
        The loan's id.
    kind
        One of these kinds, or a reference such as no-dues-certificate.45.2026-05-02.hi.v1.
    on
        The day it is about (2026-03-31): the statement's last day, any day of the financial year, the day of payment.
        Not given: today.
    since
        A statement's first day; the payout unless given.
    language
        en or hi; the borrower's own unless given.
    out
        Where to write it: a file, or - for standard output. Not given: LOAN.REFERENCE.pdf in this folder.
    issue
        Keep it among the loan's documents, with its hash.
    """
    days: dict[str, date | None] = {}
    for name, said in (("on", on), ("from", since)):
        try:
            days[name] = date.fromisoformat(said) if said else None
        except ValueError:
            print(f"qist document: --{name} {said}: not a day such as 2026-03-31", file=sys.stderr)
            return WRONG_USAGE
    return run(_document(loan, kind, days["on"], days["from"], language, out, issue=issue))


def list_documents(loan: str, /, *, check: Flag = False, json: Flag = False) -> int:
    """List the documents that were issued of a loan, newest first, each with its reference and hash.

    Parameters
    ----------
    loan
        The loan's id.
    check
        Make each of them again and compare: exit status 1 where figures are not those that were issued, or bytes are
        not, of a borrower who is not erased.
    json
        As one JSON document.
    """
    return run(_list(loan, check=check, as_json=json))


@asynccontextmanager
async def _office() -> AsyncIterator[tuple[Office, datetime]]:
    from adapters.clocks import business_now
    from adapters.database import connect_pool
    from adapters.documents.office import office_of

    settings = settings_with_services()
    pool = await connect_pool(settings.database_dsn(), name="documents", size=2)
    try:
        partitions: int = await pool.fetchval("SELECT partitions FROM house")
        settings = settings.model_copy(update={"partitions": partitions})
        yield office_of(settings, pool), await business_now(settings, pool)
    finally:
        await pool.close()


async def _document(
    loan: str,
    kind: str,
    on: date | None,
    since: date | None,
    language: Literal["en", "hi"] | None,
    out: Path | None,
    *,
    issue: bool,
) -> int:
    from adapters.documents.recipes import KINDS, Recipe
    from domain.calendar import ist_day

    if kind not in KINDS and Recipe.parse(kind) is None:
        print(f"qist document: {kind}: no kind of document nor a reference; kinds are", file=sys.stderr)
        print("\n".join(f"  {name:<22} {one.says}" for name, one in KINDS.items()), file=sys.stderr)
        return WRONG_USAGE
    async with _office() as (office, now):
        if kind in KINDS:
            made, history, version = await office.on_demand(loan, kind, language, ist_day(now), on=on, since=since)
            said = "made"
            if issue:
                new = await office.issue(made, history, version, called_by="qist document", at=now)
                said = "issued" if new else "was issued before"
            if kind == "key-facts" and office.lender.missing:
                print(f"not stated in QIST_LENDER_FILE: {', '.join(office.lender.missing)}", file=sys.stderr)
        else:
            found = await office.again(loan, kind)
            made = found.document
            said = {None: "never issued", True: "the bytes that were issued", False: "not the bytes that were issued"}[
                found.same_bytes
            ]
            if not found.name_kept:
                said += "; the borrower's name is erased"
    if out == Path("-"):
        sys.stdout.buffer.write(made.pdf)
    else:
        path = out or Path(f"{loan}.{made.recipe.document_id}.pdf")
        path.write_bytes(made.pdf)
        print(f"{path}: {len(made.pdf):,} bytes", file=sys.stderr)
    print(f"{made.recipe.document_id}: {said}; sha256 {made.sha256}", file=sys.stderr)
    return 0


async def _list(loan: str, *, check: bool, as_json: bool) -> int:
    sound = True
    async with _office() as (office, _):
        found = await office.listed(loan, 1000)
        if not found:
            await office.history(loan)  # says so where there is no such loan
        for one in found if check else ():
            if not one["flaw"]:
                again = await office.again(loan, one["document_id"])
                one["same_figures"] = again.document.figures_sha256 == one["figures_sha256"]
                one["same_bytes"], one["name_kept"] = again.same_bytes, again.name_kept
                sound = sound and one["same_figures"] and (one["same_bytes"] or not again.name_kept)
    if as_json:
        print(jsonlib.dumps(found, default=str, indent=2))
    elif not found:
        print(f"nothing was issued of {loan} yet; `qist document {loan} KIND` makes one", file=sys.stderr)
    else:
        print("\n".join(map(_line, found)))
    return 0 if found and sound else ANSWER_IS_NO


def _line(one: dict[str, Any]) -> str:
    state = f"could not be made: {one['flaw']}" if one["flaw"] else f"{one['sha256'][:16]} {one['bytes']:>9,}"
    void = f"  void since {one['void_since']:%Y-%m-%d}: the loan opened again" if one["void_since"] else ""
    return f"{one['issued_at']:%Y-%m-%d}  {one['document_id']:<58} {state}{void}{_compared(one)}"


def _compared(one: dict[str, Any]) -> str:
    if "same_bytes" not in one:
        return ""
    if not one["same_figures"]:
        return "  OTHER FIGURES than were issued"
    erased = "" if one["name_kept"] else " (the name is erased)"
    return "  same bytes" if one["same_bytes"] else f"  same figures, other bytes{erased}"
