"""A record's body by its model, or the field at fault in the words of one refusal."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from domain.refusals import Refusal, Refused
from streams.envelope import Record

Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], record: Record) -> Model:
    """A record's body; `Refused` with the field at fault when it is none of this kind."""
    try:
        return model.model_validate_json(record.value or b"")
    except ValidationError as error:
        pointer, why = at_fault(error)
        raise Refused(Refusal.malformed, pointer, because=why) from None


def at_fault(error: ValidationError) -> tuple[str, str]:
    """The first field that does not fit, as a JSON pointer, and why."""
    # Without its input: personal data must not reach a reason that is shown to people.
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return "".join(f"/{part}" for part in first["loc"]), first["msg"]
