"""A loan's documents: what was issued, one of them as PDF, and new ones on demand."""

from __future__ import annotations

import base64
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from adapters.documents.figures import NotPossible
from adapters.documents.office import ContradictsBooks, DocumentUnknown, LoanUnknown, kinds_of
from adapters.documents.recipes import KINDS, Language
from adapters.documents.rendering import Document
from adapters.http import models
from adapters.http.answers import API, Cursor, Limit, decode, json, moment_of, page, unchanged
from adapters.http.desk import AtDesk, Desk
from adapters.http.gate import present
from adapters.http.loans import LoanId
from adapters.http.problems import Problem, loan_unknown
from domain.calendar import ist_day

router = APIRouter(prefix="/loans/{loan_id}/documents", tags=["loans"])

Named = Annotated[
    str,
    Path(
        description="A reference, as printed on the document, or a kind, for one as of now: " + ", ".join(KINDS) + ".",
        max_length=120,
    ),
]
On = Annotated[
    date | None,
    Query(description="Its day: a statement's last, any of a certificate's year. Today unless given."),
]
From = Annotated[date | None, Query(alias="from", description="A statement's first day; the payout unless given.")]
In = Annotated[Language | None, Query(description="The borrower's own unless given.")]

PDF: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/pdf": {}}, "description": "The document; its SHA-256 is the ETag."},
    304: {"description": "The client has these bytes."},
}


VIEWER = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""What a browser's own viewer of PDFs needs: it puts the file into a page of its making."""


class Asked(BaseModel):
    """A document to issue."""

    model_config = ConfigDict(extra="forbid")
    kind: str
    on: date | None = None
    from_: date | None = Field(None, alias="from")
    language: Language | None = None


@router.get("", summary="Its documents", responses=models.ok(models.DocumentPage))
async def show_documents(
    request: Request, desk: AtDesk, loan_id: LoanId, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """What was issued, newest first, with the hash of each; `possible` are the kinds that it can have now."""
    desk.home(loan_id)
    before = decode(cursor, str, str)
    since = (moment_of(before[0]), before[1]) if before else None
    issued = await desk.office.listed(loan_id, limit + 1, since)
    loan = await desk.loan(loan_id)
    return page(
        request,
        issued,
        limit,
        lambda one: [one["issued_at"].isoformat(), one["document_id"]],
        loan_id=loan_id,
        possible=[{"kind": kind, "says": KINDS[kind].says, "about": KINDS[kind].about} for kind in kinds_of(loan)],
    )


@router.get("/{document}", summary="One of them, as PDF", responses=PDF, response_class=Response)
async def show_document(
    request: Request,
    desk: AtDesk,
    loan_id: LoanId,
    document: Named,
    on: On = None,
    since: From = None,
    language: In = None,
) -> Response:
    """By reference: made again from the events, and compared with the hash that was kept (`Document-Issued`: `yes`,
    `no` = never issued, `differs`, as after the borrower's erasure). By kind: as of now, and not kept."""
    desk.home(loan_id)
    if document in KINDS:
        made, _, _ = await _made(desk, loan_id, document, on, since, language)
        issued = "no"
    else:
        try:
            found = await desk.office.again(loan_id, document)
        except LoanUnknown:
            raise loan_unknown(loan_id) from None
        except (DocumentUnknown, NotPossible) as error:
            raise Problem(404, "document-unknown", f"{error}.") from error
        except ContradictsBooks as error:
            raise Problem(500, "document-contradicts-books", f"{error}.") from error
        made = found.document
        issued = {None: "no", True: "yes", False: "differs"}[found.same_bytes]
    tag = f'"{made.sha256}"'
    return unchanged(request, tag) or Response(
        made.pdf,
        headers={**headers_of(loan_id, made), "ETag": tag, "Document-Issued": issued},
        media_type="application/pdf",
    )


def headers_of(loan_id: str, made: Document) -> dict[str, str]:
    digest = base64.b64encode(bytes.fromhex(made.sha256)).decode()
    return {
        "Content-Disposition": f'inline; filename="{loan_id}.{made.recipe.document_id}.pdf"',
        "Document-Id": made.recipe.document_id,
        "Repr-Digest": f"sha-256=:{digest}:",  # RFC 9530
        "Cache-Control": "private, no-cache",
        "Content-Security-Policy": VIEWER,
    }


@router.post(
    "",
    summary="Issue a document",
    status_code=201,
    responses=models.ok(models.Document, status=201, also={200: models.Document}),
)
async def issue_document(desk: AtDesk, loan_id: LoanId, asked: Asked) -> Response:
    """Make one as of now and keep it with its hash. The same one asked for again is the same document (200)."""
    desk.home(loan_id)
    if asked.kind not in KINDS:
        raise Problem(
            422,
            "document-kind-unknown",
            "The body's `kind` is no kind of document.",
            errors=[{"pointer": "/kind", "detail": f"one of {', '.join(KINDS)}"}],
        )
    made, history, version = await _made(desk, loan_id, asked.kind, asked.on, asked.from_, asked.language)
    new = await desk.office.issue(made, history, version, called_by=present().name, at=await desk.now())
    [kept] = [one for one in await desk.office.listed(loan_id, 1000) if one["document_id"] == made.recipe.document_id]
    place = f"{API}/loans/{loan_id}/documents/{made.recipe.document_id}"
    return json(kept, 201 if new else 200, headers={"Location": place})


async def _made(
    desk: Desk, loan_id: str, kind: str, on: date | None, since: date | None, language: Language | None
) -> Any:
    try:
        today = ist_day(await desk.now())
        return await desk.office.on_demand(loan_id, kind, language, today, on=on, since=since)
    except LoanUnknown:
        raise loan_unknown(loan_id) from None
    except NotPossible as error:
        raise Problem(409, "document-not-possible", f"{error}.") from error
    except ContradictsBooks as error:
        raise Problem(500, "document-contradicts-books", f"{error}.") from error
