"""Failure codes: what each means, and an operator's word on one, without a release."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adapters import casework, failure_codes
from adapters.http import models
from adapters.http.answers import json, plain
from adapters.http.commands import json_object
from adapters.http.desk import AtDesk
from adapters.http.gate import present, signing
from adapters.http.problems import Problem, invalid_body
from domain.failures import family

router = APIRouter(tags=["failure codes"])


class Word(BaseModel):
    """An operator's word on a code."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    rail: str
    code: Annotated[str, Field(min_length=1, max_length=40)]
    failure_class: Annotated[str, Field(alias="class")]
    action: str
    meaning: Annotated[str, Field(min_length=1, max_length=500)]
    charge_bounce: bool = False
    by: Annotated[str | None, Field(min_length=1, max_length=100)] = None
    """Only where nobody signs in."""


@router.get("/failure-codes", summary="What failure codes mean", responses=models.ok(models.FailureCodeList))
async def list_codes(
    desk: AtDesk,
    rail: str | None = None,
    code: str | None = None,
    failure_class: Annotated[str | None, Query(alias="class")] = None,
    source: Annotated[str | None, Query(description="`shipped` or `operator`.")] = None,
) -> Response:
    """All of them, as they are read now: the shipped tables, and operators' words before them."""
    codes = await desk.codes()
    found = [
        one
        for one in failure_codes.listed(codes)
        if (rail is None or family(one["rail"]) == family(rail))
        and (code is None or one["code"] == code)
        and (failure_class is None or one["class"] == failure_class)
        and (source is None or one["source"] == source)
    ]
    return json({"version": codes.version, "items": found})


@router.get("/failure-codes/{rail}/{code}", summary="One code", responses=models.ok(models.FailureCodeHistory))
async def show_code(desk: AtDesk, rail: str, code: str) -> Response:
    """What it means now, and every word that operators said of it. Of one that nobody knows, that."""
    codes = await desk.codes()
    words = await failure_codes.history(desk.pool, rail, code)
    told = failure_codes.told(rail, code, codes.diagnose(rail, code))
    return json({**told, "version": codes.version, "history": [plain(word) for word in words]})


@router.post(
    "/failure-codes",
    summary="Say what a code means",
    status_code=201,
    responses=models.ok(models.Classified, also={201: models.Classified}),
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": Word.model_json_schema()}}}},
)
async def classify(request: Request, desk: AtDesk) -> Response:
    """From now on: engines read it within a second, and what was decided before stays. Open cases about the code are
    closed with a note. 201 with the mapping's new version; 200 where this had been said already."""
    try:
        word = Word.model_validate(await json_object(request))
    except ValidationError as error:
        raise invalid_body(error) from None
    by = signing(present(), word.by, "by")
    now = await desk.now()
    try:
        number, new = await failure_codes.classify(
            desk.pool,
            rail=word.rail,
            code=word.code,
            failure_class=word.failure_class,
            action=word.action,
            meaning=word.meaning,
            charge_bounce=word.charge_bounce,
            by=by,
            now=now,
        )
    except failure_codes.Contradicts as no:
        raise Problem(
            422,
            "classification-contradicts",
            "The classification cannot be taken.",
            errors=[{"pointer": f"/{field}", "detail": why} for field, why in no.flaws],
        ) from None
    waiting = await casework.about(desk.pool, word.rail, word.code)
    await casework.close_classified(desk.sender, desk.partitions, waiting, number, word.meaning, by, now)
    told = {"rail": word.rail, "code": word.code, "number": number, "new": new}
    return json({**told, "cases_closed": [one["case_id"] for one in waiting]}, 201 if new else 200)
