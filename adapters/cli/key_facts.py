"""`qist key-facts`: the Key Facts Statement of a loan that is about to be given, as data (RBI, 15 April 2024)."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar, cast

import orjson

from adapters.cli.arguments import FileOrStdin, read_bytes
from adapters.cli.running import ANSWER_IS_NO, WRONG_USAGE, settings_or_exit
from adapters.house import load_rules
from domain.law.kfs import Benchmark, CoLending, LenderFacts, contingent_charges_of, key_facts
from domain.product import Product
from domain.schedule import build_schedule
from domain.terms import Terms, TermsError

Facts = TypeVar("Facts", LenderFacts, Benchmark, CoLending)
LEFT_EMPTY: dict[str, Any] = {"str": "", "bool": False, "int": 0, "Decimal": Decimal(0)}
"""Type of a fact -> what stands for it until the lender says it."""


def statement(file: FileOrStdin = "-", /) -> int:
    """Work out the Key Facts Statement of a loan, as JSON: APR, fees, schedule, contingent charges, cooling-off.

    The file is a disbursal request (loan_id, product, terms). What only the lender knows stands in its `key_facts`:
    `lender` (name, recovery_clause, grievance_clause, grievance_officer, grievance_phone, grievance_email,
    may_be_transferred, recovery_agents, co_lending), `benchmark` of a floating rate, `stages_clause` of a loan paid
    out in stages, `given_on`, `third_party_fees` (kinds of fee that go through the lender). `missing` in the answer
    names what is not there yet.

    Parameters
    ----------
    file
        A disbursal request as JSON, or - for standard input.
    """
    try:
        asked = json.loads(read_bytes(file), parse_float=Decimal)
    except OSError as error:
        return _complain(f"cannot read {file}: {error.strerror}", WRONG_USAGE)
    except ValueError as error:
        return _complain(f"this is not JSON: {error}", ANSWER_IS_NO)
    try:
        answer = of_request(asked)
    except TermsError as error:
        return _complain(str(error), ANSWER_IS_NO)
    sys.stdout.buffer.write(orjson.dumps(answer, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return 0


def of_request(asked: object) -> dict[str, Any]:
    """The statement of a disbursal request; `TermsError` names the field at fault."""
    request = _object(asked, "")
    product = _product(request.get("product"))
    terms = Terms.parse(_object(request.get("terms"), "/terms"), product.terms)
    told = _object(request.get("key_facts") or {}, "/key_facts")
    missing: list[str] = []
    lender_says = {"name": product.lender_name, **_object(told.get("lender") or {}, "/key_facts/lender")}
    if shared := lender_says.get("co_lending"):
        place = "/key_facts/lender/co_lending"
        lender_says["co_lending"] = _facts(CoLending, _object(shared, place), place, missing)
    lender = _facts(LenderFacts, lender_says, "/key_facts/lender", missing)
    known, at = told.get("benchmark"), "/key_facts/benchmark"
    benchmark = _facts(Benchmark, _object(known, at), at, missing) if known else None
    if terms.rate_type == "floating" and benchmark is None:
        missing.append("benchmark")
        benchmark = Benchmark(
            name="",
            rate_percent=terms.annual_rate_percent,
            spread_percent=Decimal(0),
            benchmark_reset_months=product.statement_months,
            spread_reset_months=0,
        )
    stages = str(told.get("stages_clause") or "")
    if terms.tranches and not stages:
        missing.append("stages_clause")
        stages = "as drawn"
    answer = key_facts(
        terms,
        build_schedule(terms),
        loan_id=str(request.get("loan_id") or ""),
        loan_type=product.description,
        lender=lender,
        charges=contingent_charges_of(product),
        given_on=_day(told.get("given_on"), terms.disburse_on),
        cooling_off_days=product.cooling_off_days,
        third_party_fees=frozenset(cast("list[str]", told.get("third_party_fees") or [])),
        benchmark=benchmark,
        stages_clause=stages,
    )
    return {**answer, "missing": missing}


def _product(name: object) -> Product:
    products = load_rules(settings_or_exit().products_dir).products
    found = products.newest(name) if isinstance(name, str) else None
    if found is None:
        raise TermsError("/product", f"is no product in force: {name!r}. `qist product list` names them")
    return found


def _object(value: object, at: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TermsError(at, f"must be an object, not {value!r}")
    return cast("Mapping[str, Any]", value)


def _day(value: object, default: date) -> date:
    if value is None:
        return default
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise TermsError("/key_facts/given_on", f"must be a date YYYY-MM-DD, not {value!r}") from None


def _facts(kind: type[Facts], given: Mapping[str, Any], at: str, missing: list[str]) -> Facts:
    """A record of what the lender says; a name that is not there is left empty and told in `missing`."""
    names = [field.name for field in fields(kind)]
    if strange := [name for name in given if name not in names]:
        raise TermsError(f"{at}/{strange[0]}", f"is none of {', '.join(names)}")
    values: dict[str, Any] = {}
    for field in fields(kind):
        value = given.get(field.name)
        if value is None or value == "":
            if field.default is MISSING:
                missing.append(field.name)
                values[field.name] = LEFT_EMPTY[str(field.type)]
        elif field.type == "Decimal":
            values[field.name] = _percent(value, f"{at}/{field.name}")
        else:
            values[field.name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)


def _percent(value: object, at: str) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise TermsError(at, f"must be a percentage such as 6.50, not {value!r}") from None


def _complain(message: str, status: int) -> int:
    print(f"qist key-facts: {message}", file=sys.stderr)
    return status
