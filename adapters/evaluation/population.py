"""A population file: accounts, what they hold over time, rails, outages and prices, checked field by field.

Amounts are paise, instants ISO 8601 with a zone, days Asia/Kolkata. Fields that are not named here are let be, so that
a generator may say more than an evaluation needs.
"""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from adapters.errors import Explained

Paise = Annotated[int, Field(ge=0, strict=True)]
Day = Annotated[int, Field(ge=1, le=31)]
Name = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Rail(_Part):
    """What a rail allows: attempts for an instalment (the first included), hours between two, hours of the day."""

    max_attempts: Annotated[int, Field(ge=1, le=100)]
    min_gap_hours: Annotated[int, Field(ge=0, le=24 * 31)] = 24
    hours: Annotated[tuple[Annotated[int, Field(ge=0, le=23)], ...], Field(min_length=1)]

    @field_validator("hours")
    @classmethod
    def in_order(cls, hours: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(hours)))


class Costs(_Part):
    """Prices: an attempt, a bounce (borne by the borrower), and a day late in basis points of what is recovered."""

    attempt_paise: Paise = 0
    bounce_charge_paise: Paise = 0
    day_late_bps: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0


class Outage(_Part):
    """A bank that fails on a rail for some time, with a probability."""

    bank: str
    rail: str
    begins: Annotated[AwareDatetime, Field(alias="from")]
    ends: Annotated[AwareDatetime, Field(alias="until")]
    fail_probability: Annotated[float, Field(ge=0, le=1)]

    @model_validator(mode="after")
    def ends_after_it_begins(self) -> Self:
        if self.ends < self.begins:
            raise ValueError("until is before from")
        return self


class Hard(_Part):
    """From when on the account fails for good, and with which code."""

    begins: Annotated[AwareDatetime, Field(alias="from")]
    code: str


class Account(_Part):
    """A loan and its account. `balance` is hidden from every strategy but the oracle."""

    loan_id: Name
    bank: str
    rail: str
    segment: str = ""
    salary_day: Annotated[int, Field(ge=0, le=31)] | None = None
    instalment_paise: Annotated[int, Field(gt=0, strict=True)]
    due_day: Day
    hard: Hard | None = None
    balance: tuple[tuple[AwareDatetime, Annotated[int, Field(strict=True)]], ...]

    @field_validator("balance")
    @classmethod
    def in_order(cls, balance: tuple[tuple[Any, int], ...]) -> tuple[tuple[Any, int], ...]:
        if any(later[0] < earlier[0] for earlier, later in pairwise(balance)):
            raise ValueError("the instants of balance go back in time: put them in order")
        return balance


class Population(_Part):
    """Everything that an evaluation needs."""

    seed: int = 0
    kind: str = ""
    begins: Annotated[date, Field(alias="from")]
    until: date
    window_days: Annotated[int, Field(ge=0, le=366)]
    rails: dict[str, Rail]
    costs: Costs
    outages: tuple[Outage, ...] = ()
    accounts: tuple[Account, ...]

    @model_validator(mode="after")
    def fits_together(self) -> Self:
        if self.until < self.begins:
            raise ValueError(f"until ({self.until}) is before from ({self.begins})")
        seen: set[str] = set()
        for index, account in enumerate(self.accounts):
            if account.rail not in self.rails:
                known = ", ".join(sorted(self.rails)) or "none"
                raise ValueError(f"accounts.{index}.rail: {account.rail!r} is not among rails ({known})")
            if account.loan_id in seen:
                raise ValueError(f"accounts.{index}.loan_id: {account.loan_id!r} is there twice")
            seen.add(account.loan_id)
        return self


class PopulationRefused(Explained):
    """A file that is no population: every field that is wrong, and why."""


MOST_PROBLEMS = 20


def read_population(text: bytes) -> Population:
    """From a file's bytes; raises `PopulationRefused` naming each field that is wrong."""
    try:
        return Population.model_validate_json(text)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        lines = [
            f"{'.'.join(map(str, problem['loc'])) or 'population'}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in problems[:MOST_PROBLEMS]
        ]
        more = len(problems) - len(lines)
        raise PopulationRefused("\n".join([*lines, *([f"... and {more} more"] if more > 0 else [])])) from None
