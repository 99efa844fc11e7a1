"""A vendor's words as data: status words to answers, reason words and free text to codes of the rail.

    [states.debit]            the vendor's status word -> AnswerState
    [words]                   its reason word -> a code for each rail; `any` where the rail does not matter
    [[texts]]                 free text, by pattern, in order: the first that is found counts

What no table knows is not guessed: an unknown status is `unknown` (so we enquire), an unknown reason has the code
`unmapped` and its text goes along, which makes it a case for a person.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict

from adapters.gateways.port import UNMAPPED, Answer, AnswerState
from adapters.house import load_codes
from domain.failures import FailureCodes

Codes = Mapping[str, str]
"""Rail -> code."""


class Text(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    pattern: re.Pattern[str]
    codes: dict[str, str]


class Words(BaseModel):
    """One vendor's table."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    states: dict[str, dict[str, AnswerState]]
    words: dict[str, dict[str, str]] = {}
    texts: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class Reason:
    """A code of the rail, and the words where there was none."""

    code: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a vendor's words mean."""

    table: Words
    codes: FailureCodes

    def state(self, kind: str, word: str) -> AnswerState:
        """What a status word says of an order of this kind; a word of no table says nothing."""
        states = self.table.states.get(kind) or self.table.states["debit"]
        return states.get(word.strip().lower(), "unknown")

    def reason(self, rail: str, *, code: str = "", word: str = "", text: str = "") -> Reason:
        """The rail's own code where the vendor passes it on, else its word, else its text, else `unmapped`."""
        if code and self.codes.diagnose(rail, code).known:
            return Reason(code)
        by_word = self.table.words.get(word.strip().lower())
        found = _of_rail(by_word, rail) if by_word else ""
        if found:
            return Reason(found)
        for known in self.table.texts:
            if known.pattern.search(text) and (found := _of_rail(known.codes, rail)):
                return Reason(found)
        said = " ".join(part for part in (code, word, text) if part)
        return Reason(UNMAPPED, said[:300])


def _of_rail(codes: Codes, rail: str) -> str:
    return codes.get(rail) or codes.get("any", "")


def failure(vocabulary: Vocabulary, rail: str, *, code: str = "", word: str = "", text: str = "") -> Answer:
    """A refusal with its reason; one whose code says that the outcome is open is no failure yet."""
    reason = vocabulary.reason(rail, code=code, word=word, text=text)
    if (rail, reason.code) in DUPLICATE:
        return Answer(state="unknown", message=f"code {reason.code}: the gateway has this order already")
    if (rail, reason.code) in UNDECIDED:
        return Answer(state="accepted", message=reason.message)
    pending = vocabulary.codes.diagnose(rail, reason.code).pending
    return Answer(state="accepted" if pending else "failed", code=reason.code, message=reason.message)


UNDECIDED = frozenset(
    {("upi", "U67"), ("upi", "U68"), *(("imps", code) for code in ("12", "20", "22", "91", "92", "307"))}
)
"""(rail, code) that gateways call failed although the reference tables say "check the status before anything else"."""
DUPLICATE = frozenset(
    {("enach", "31"), ("nach", "31"), ("upi", "U01"), ("imps", "94"), ("neft", "AM05"), ("rtgs", "AM05")}
)
"""(rail, code) that refuse a repetition: what became of the first is not said, so it is enquired about."""


@cache
def vocabulary(vendor: str) -> Vocabulary:
    """The table of a vendor, as shipped."""
    text = (files("adapters.gateways.tables") / f"{vendor}.toml").read_text(encoding="utf-8")
    return Vocabulary(Words.model_validate(tomllib.loads(text)), load_codes())
