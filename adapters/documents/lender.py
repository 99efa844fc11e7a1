"""Who lends, as documents say it: the letterhead, and what the Key Facts Statement asks of a lender.

    name = "Asha Finance Limited"
    address = "4th Floor, Nehru Place, New Delhi 110019"
    registration = "CIN U65990DL2010PLC000000"
    [key_facts]
    grievance_officer = "..."
    [benchmarks.home-loan]
    name = "RBI repo rate"
    spread_percent = "2.50"

A TOML file of that form is named by `QIST_LENDER_FILE`; what it does not say is left empty on paper.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from adapters.errors import Explained
from adapters.settings import Settings


class LenderRefused(Explained):
    """The lender's file cannot be used: which field, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lender:
    """Facts about the lender; every one may be empty but the name."""

    name: str
    address: str = ""
    registration: str = ""
    phone: str = ""
    email: str = ""
    website: str = ""
    recovery_clause: str = ""
    grievance_clause: str = ""
    grievance_officer: str = ""
    grievance_phone: str = ""
    grievance_email: str = ""
    stages_clause: str = "as drawn"
    may_be_transferred: bool = False
    recovery_agents: list[str] = field(default_factory=list[str])
    benchmarks: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """Product -> `name`, `spread_percent`, `benchmark_reset_months`, `spread_reset_months`."""

    def dump(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def load(cls, said: Mapping[str, Any]) -> Lender:
        """From a record of ours: a fact that it does not have was not known then."""
        return cls(**{name: value for name, value in said.items() if name in KINDS})

    @property
    def missing(self) -> list[str]:
        """What the Key Facts Statement asks and nobody has said."""
        return [name for name in ASKED if not getattr(self, name)]


KINDS: Mapping[str, type] = {
    one.name: {"str": str, "bool": bool, "list[str]": list}.get(str(one.type), dict) for one in fields(Lender)
}
ASKED = ("recovery_clause", "grievance_clause", "grievance_officer", "grievance_phone", "grievance_email")


def lender_of(settings: Settings) -> Lender:
    """The lender of these settings: its file, else the name alone."""
    path = settings.lender_file
    if path is None:
        return Lender(name=settings.lender_name)
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LenderRefused(f"QIST_LENDER_FILE {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LenderRefused(f"QIST_LENDER_FILE {path}: this is not TOML: {error}") from error
    return Lender(**{"name": settings.lender_name, **checked(said, path)})


def checked(said: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The file's facts, with those of `[key_facts]` beside the others; the first that is wrong is named."""
    clauses = said.get("key_facts", {})
    if not isinstance(clauses, Mapping):
        raise LenderRefused(f"{path}: key_facts: must be a table")
    facts = {name: value for name, value in {**said, **clauses}.items() if name != "key_facts"}
    for name, value in facts.items():
        if name not in KINDS:
            raise LenderRefused(f"{path}: {name}: is none of {', '.join(KINDS)}")
        if not isinstance(value, KINDS[name]):
            raise LenderRefused(f"{path}: {name}: must be a {KINDS[name].__name__}, not {value!r}")
    return facts
