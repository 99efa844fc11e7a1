"""What a scenario file may hold. A key that nobody knows is refused by name: a typo must not pass silently."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import date, datetime
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from domain.calendar import day_end, day_start
from domain.terms import Terms
from streams.wire import CARRIES, DisbursalRequested, Inbound, Paise

KNOWN: dict[str, tuple[str, type[Inbound]]] = {
    model.TYPE: (topic, model) for topic, models in CARRIES.items() for model in models
}
"""Type of an inbound message -> the topic that carries it, and its model."""

Number = Annotated[int, Field(ge=0, le=100_000)]
DEBIT_RESULTS = ("succeeded", "failed", "partial", "pending", "silent", "reversed")
PAYOUT_RESULTS = ("settled", "failed", "returned", "silent")


class Malformed(Exception):
    """The file is no scenario. `flaws` are (JSON pointer, what is wrong)."""

    def __init__(self, flaws: Iterable[tuple[str, str]]) -> None:
        self.flaws = list(flaws)
        super().__init__("; ".join(f"{pointer or '/'}: {wrong}" for pointer, wrong in self.flaws))


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Scripted(Strict):
    """What the gateway says to one instruction, or to those of several instalments.

    Several entries of the same instruction are answers that follow each other.
    """

    instalment: Number | None = None
    through: Number | None = None
    """With `instalment`: up to and including this one."""
    payout: Number | None = None
    """Which tranche, the first is 1."""
    refund: Number | None = None
    """Which refund, the first is 1."""
    attempt: Number | None = None
    """Left out: every attempt."""
    result: Literal["succeeded", "failed", "partial", "pending", "silent", "reversed", "settled", "returned"]
    code: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    message: str = ""
    amount_paise: Paise | None = None
    after_hours: Annotated[float, Field(ge=0, le=100_000)] | None = None
    value_on: date | None = None

    @property
    def asked_as(self) -> str:
        """The kind of instruction that this answers."""
        return "debit" if self.instalment is not None else "payout" if self.payout is not None else "refund"

    @model_validator(mode="after")
    def _one_instruction(self) -> Scripted:
        named = [name for name in ("instalment", "payout", "refund") if getattr(self, name) is not None]
        if len(named) != 1:
            raise ValueError("name one of instalment, payout and refund")
        possible = DEBIT_RESULTS if self.asked_as == "debit" else PAYOUT_RESULTS
        if self.result not in possible:
            raise ValueError(f"the result of a {self.asked_as} is one of {', '.join(possible)}")
        if self.result == "partial" and self.amount_paise is None:
            raise ValueError("a partial debit names its amount_paise")
        if self.through is not None and (self.instalment is None or self.through < self.instalment):
            raise ValueError("through comes with instalment, and is not below it")
        return self


class Gateway(Strict):
    """How the gateway answers: the script where it speaks of an instruction, else the default."""

    default: Literal["succeed", "fail", "silent"] = "succeed"
    script: list[Scripted] = []


class Step(Strict):
    """Something that comes in at an instant: a payment, a command, a gateway's word."""

    at: AwareDatetime
    type: str
    data: dict[str, Any] = {}


class Scenario(Strict):
    """A loan's life: its disbursal, how the gateway behaves, what happens besides, and until when it is lived."""

    title: str = ""
    story: list[str] = []
    figures: Any = None
    """How the expected figures were worked out: for people."""
    disbursal: dict[str, Any]
    booked_at: AwareDatetime | None = None
    gateway: Gateway = Gateway()
    steps: list[Step] = []
    collect: bool = True
    collections: bool = False
    """Whether arrears are treated by the lender's strategy, and cases have their time: in most scenarios there are no
    people to work on them."""
    until: date
    expected: dict[str, Any] | None = None

    @property
    def begins_at(self) -> datetime:
        """When the disbursal request comes: the start of the day of payout, unless the file says otherwise."""
        if self.booked_at is not None:
            return self.booked_at
        try:
            return day_start(date.fromisoformat(self.disbursal["terms"]["disburse_on"]))
        except (KeyError, TypeError, ValueError):  # the request itself will be refused, and say why
            return day_start(self.until)

    @property
    def ends_at(self) -> datetime:
        return day_end(self.until)


def read(item: object, overlooked: list[tuple[str, str]] | None = None) -> Scenario:
    """A scenario from parsed JSON; `Malformed` with every flaw and its JSON pointer.

    Unknown keys are flaws, unless `overlooked` is there to take them: then they are ignored, as on the wire.
    """
    if not isinstance(item, Mapping):
        raise Malformed([("", "a scenario is a JSON object")])
    try:
        scenario = Scenario.model_validate_json(orjson.dumps(item))
    except ValidationError as error:
        flaws = error.errors()
        told = [_told(flaw["loc"], flaw["type"], flaw["msg"]) for flaw in flaws]
        if overlooked is None or any(flaw["type"] != "extra_forbidden" for flaw in flaws):
            raise Malformed(told) from None
        overlooked += told
        scenario = Scenario.model_validate_json(orjson.dumps(_without(item, [flaw["loc"] for flaw in flaws])))
    strangers = [*_strangers(scenario)]
    if overlooked is None:
        strangers += _strange_keys_of(scenario)
    else:
        overlooked += _strange_keys_of(scenario)
    if flaws_left := [*strangers, *_out_of_time(scenario)]:
        raise Malformed(flaws_left)
    return scenario


def _without(item: Mapping[str, Any], places: Iterable[tuple[int | str, ...]]) -> dict[str, Any]:
    """The same JSON without what stands at these places."""
    copy: dict[str, Any] = orjson.loads(orjson.dumps(item))
    for *way, last in places:
        inner: Any = copy
        for part in way:
            inner = inner[part]
        del inner[last]
    return copy


def _told(loc: tuple[int | str, ...], kind: str, message: str) -> tuple[str, str]:
    pointer = "".join(f"/{part}" for part in loc)
    if kind != "extra_forbidden":
        return pointer, message.removeprefix("Value error, ")
    model: type[BaseModel] = {"gateway": Gateway, "script": Scripted, "steps": Step}.get(
        next((str(part) for part in reversed(loc[:-1]) if isinstance(part, str)), ""), Scenario
    )
    return pointer, unknown(str(loc[-1]), model.model_fields)


def unknown(name: str, known: Iterable[str]) -> str:
    """That a key is not known, and which one was likely meant."""
    meant = get_close_matches(name, list(known), 1)
    return f"unknown key {name!r}" + (f": did you mean {meant[0]!r}?" if meant else "")


def _out_of_time(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Steps that could never happen."""
    begins, ends = scenario.begins_at, scenario.ends_at
    if begins > ends:
        yield "/until", f"is before the loan is booked ({begins.isoformat()})"
    for index, step in enumerate(scenario.steps):
        if step.at < begins:
            yield f"/steps/{index}/at", f"is before the loan is booked ({begins.isoformat()})"
        if step.at > ends:
            yield f"/steps/{index}/at", f"is after the end of the scenario ({ends.isoformat()})"


def _strangers(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Types that no topic carries, and steps of another loan."""
    loan_id = scenario.disbursal.get("loan_id")
    for index, step in enumerate(scenario.steps):
        if step.type not in KNOWN:
            meant = get_close_matches(step.type, list(KNOWN), 1)
            hint = f": did you mean {meant[0]!r}?" if meant else f"; the types are {', '.join(KNOWN)}"
            yield f"/steps/{index}/type", f"no topic carries {step.type!r}{hint}"
            continue
        if step.data.get("loan_id", loan_id) != loan_id:
            yield f"/steps/{index}/data/loan_id", f"is another loan than the disbursal's, {loan_id!r}"


def _strange_keys_of(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Keys in messages that the wire ignores."""
    yield from strange_keys(DisbursalRequested, scenario.disbursal, "/disbursal")
    for index, step in enumerate(scenario.steps):
        if step.type in KNOWN:
            yield from strange_keys(KNOWN[step.type][1], step.data, f"/steps/{index}/data")


def strange_keys(model: type[BaseModel], data: Mapping[str, Any], pointer: str) -> Iterator[tuple[str, str]]:
    """Every key of `data` that the model does not read."""
    names = {key: field for name, field in model.model_fields.items() for key in _keys_of(name, field)}
    for key, value in data.items():
        if key not in names:
            yield f"{pointer}/{key}", unknown(key, names)
        elif model is DisbursalRequested and key == "terms" and isinstance(value, Mapping):
            terms = [field.name for field in fields(Terms)]
            yield from ((f"{pointer}/terms/{name}", unknown(name, terms)) for name in value if name not in terms)
        elif isinstance(value, Mapping):
            for part in _models_in(names[key].annotation):
                yield from strange_keys(part, value, f"{pointer}/{key}")


def _keys_of(name: str, field: FieldInfo) -> list[str]:
    choices: list[Any] = getattr(field.validation_alias, "choices", [field.validation_alias])
    return [name, *(key for key in choices if isinstance(key, str))]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
