"""How arrears are treated, as shipped and as the lender has it: strategy files and the table of cases (TOML)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from adapters.errors import Explained
from domain.policies.collections import CONTACTS, TASKS, Arm, CaseKind, Casework, Segment, Step, Strategies, Strategy

CASEWORK = "casework.toml"
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._+-]{0,59}$")]
Whole = Annotated[int, Field(ge=0, le=10**15)]
Told = TypeVar("Told", bound=BaseModel)


class StrategyRefused(Explained):
    """A file that cannot be used: which, where in it, and why."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class PromisesTold(Strict):
    longest_days: Annotated[int, Field(ge=1, le=90)] = 15
    grace_days: Annotated[int, Field(ge=0, le=10)] = 1


class SegmentTold(Strict):
    name: Name
    bounced_instalments: Whole = 0
    broken_promises: Whole = 0
    overdue_paise: Whole = 0
    principal_paise: Whole = 0
    most_instalments_due: Whole | None = None


class StepTold(Strict):
    bucket: Name
    day: Annotated[int, Field(ge=1, le=365)]
    do: Literal["reminder", "payment-link", "call", "visit", "legal-notice"]
    segments: list[Name] = []


class ArmTold(Strict):
    name: Name
    percent: Annotated[int, Field(ge=0, le=100)]
    steps: list[StepTold]


class StrategyTold(Strict):
    """A strategy file."""

    name: Name
    version: Annotated[int, Field(ge=1)]
    products: Annotated[list[str], Field(min_length=1)]
    promises: PromisesTold = PromisesTold()
    segments: Annotated[list[SegmentTold], Field(min_length=1)]
    arms: Annotated[list[ArmTold], Field(min_length=1)]

    @model_validator(mode="after")
    def _whole(self) -> StrategyTold:
        if (total := sum(arm.percent for arm in self.arms)) != 100:
            raise ValueError(f"the percentages of the arms add up to {total}, not to 100")
        if self.segments[-1].model_dump(exclude={"name"}, exclude_defaults=True):
            raise ValueError(f"the last segment, {self.segments[-1].name}, has conditions: loans may fit none")
        if len({arm.name for arm in self.arms}) != len(self.arms):
            raise ValueError("two arms have one name")
        names = {segment.name for segment in self.segments}
        for arm in self.arms:
            for step in arm.steps:
                if strange := set(step.segments) - names:
                    raise ValueError(f"{arm.name} names the segment {sorted(strange)[0]}, which is not among segments")
        return self

    def strategy(self) -> Strategy:
        return Strategy(
            self.name,
            self.version,
            tuple(self.products),
            tuple(Segment(**segment.model_dump()) for segment in self.segments),
            tuple(
                Arm(
                    arm.name,
                    arm.percent,
                    tuple(Step(step.bucket, step.day, step.do, tuple(step.segments)) for step in arm.steps),
                )
                for arm in self.arms
            ),
            self.promises.longest_days,
            self.promises.grace_days,
        )


class KindTold(Strict):
    team: Name
    within_hours: Annotated[int, Field(ge=1, le=8_784)]
    escalates_to: list[Name] = []
    moot: bool = False


class CaseworkTold(Strict):
    """The table of cases."""

    kinds: dict[Name, KindTold]
    dispositions: dict[Name, Annotated[str, Field(min_length=1, max_length=200)]]

    def casework(self) -> Casework:
        return Casework(
            {
                name: CaseKind(kind.team, kind.within_hours, tuple(kind.escalates_to), kind.moot)
                for name, kind in self.kinds.items()
            },
            self.dispositions,
        )


assert set(StepTold.model_fields["do"].annotation.__args__) == {*CONTACTS, *TASKS}  # type: ignore[union-attr]


def load_strategies(folder: Path | None) -> tuple[Strategies, Casework]:
    """The package's, and those of the lender's own folder (`strategies` beside its products), which go first.

    Raises `StrategyRefused`, naming file and field.
    """
    told: list[Strategy] = []
    casework = Casework()
    for source, text in _texts(folder):
        if source.endswith(CASEWORK):
            casework = parsed(CaseworkTold, source, text).casework()
        else:
            told.insert(0, parsed(StrategyTold, source, text).strategy())
    newest: dict[str, Strategy] = {}
    for strategy in told:
        if strategy.name not in newest or newest[strategy.name].version < strategy.version:
            newest[strategy.name] = strategy
    return Strategies(tuple(newest.values())), casework


def parsed(model: type[Told], source: str, text: str) -> Told:
    try:
        return model.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise StrategyRefused(f"{source}: this is not TOML: {error}") from None
    except ValidationError as error:
        raise StrategyRefused(
            "\n".join(
                f"{source}: {'.'.join(map(str, flaw['loc'])) or 'the file'}:"
                f" {flaw['msg'].removeprefix('Value error, ')}"
                for flaw in error.errors(include_url=False)
            )
        ) from None


def _texts(folder: Path | None) -> Iterator[tuple[str, str]]:
    for item in sorted(files("domain.strategies").iterdir(), key=lambda item: item.name):
        if item.name.endswith(".toml"):
            yield f"domain/strategies/{item.name}", item.read_text(encoding="utf-8")
    own = folder / "strategies" if folder is not None else None
    if own is not None and own.is_dir():
        for path in sorted(own.glob("*.toml")):
            yield str(path), path.read_text(encoding="utf-8")
