"""The words of notices: data in `templates/*.toml`, checked as a whole before the first one is sent.

    [debit-failed]                       # the kind
    subject.en = "..."                   # of an e-mail
    warm.en = "... {{ amount_paise | rs }} ..."     # a text for each tone that the policy may choose, at most an SMS
    more.en = "..."                      # what e-mail and WhatsApp add
    fields = ["number"]                  # what the notice gives, where no event of ours says it yet

A lender's own folder (`QIST_NOTICES_DIR`) has files of the same form: a kind there replaces the shipped one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, StrictUndefined, Template, TemplateSyntaxError, UndefinedError, meta, pass_context
from jinja2.runtime import Context

from adapters.errors import Explained
from domain.calendar import IST
from domain.money import RUPEE, format_rupees
from domain.policies.contact import LANGUAGES, PURPOSES, TONES, Channel, Language, Tone
from streams.outbound import CONSEQUENCES, NOTICE

ALWAYS: Final = frozenset({"name", "lender", "loan_id", "link", "language"})
"""What every template may use, besides its kind's own fields."""
WORDS: Final = "words.toml"
LONG: Final = ("email", "whatsapp")
"""Channels that have room for a greeting and for `more`."""

ONE_SEGMENT: Final = {"en": 160, "hi": 70}
EACH_SEGMENT: Final = {"en": 153, "hi": 67}
MOST_SEGMENTS: Final = {"en": 2, "hi": 4}
"""SMS: an alphabet of 7 bits for English, of 16 for Hindi (GSM 03.38), and how many segments a notice may cost."""
GSM_7: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)

FRAMES: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "short": "{{ text }} -{{ lender }}",
        "long": "Dear {{ name or 'Customer' }},\n\n{{ text }}{% if more %}\n\n{{ more }}{% endif %}\n\n{{ lender }}",
    },
    "hi": {
        "short": "{{ text }} -{{ lender }}",
        "long": "प्रिय {{ name or 'ग्राहक' }},\n\n{{ text }}{% if more %}\n\n{{ more }}{% endif %}\n\n{{ lender }}",
    },
}


class TemplatesRefused(Explained):
    """The templates cannot be used: every flaw, with its file and kind."""


@dataclass(frozen=True, slots=True)
class Text:
    """What goes out. Personal data: never stored."""

    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class Kind:
    """All texts of a kind: part (subject, a tone, more) -> language -> template."""

    source: str
    parts: Mapping[str, Mapping[str, Template]]
    fields: frozenset[str]


@dataclass(frozen=True, slots=True)
class Templates:
    """Every kind, ready to be rendered."""

    kinds: Mapping[str, Kind]
    lender: str = "Qist"
    link: str = ""
    """Address of a payment page: `{loan_id}`, `{number}` and `{link_id}` are filled in; empty = there is none."""

    def render(
        self, kind: str, channel: Channel, tone: Tone, language: Language, loan_id: str, facts: Mapping[str, Any],
        name: str = "",
    ) -> Text:  # fmt: skip
        """The text for a channel. A tone that the kind does not have falls back to one that it has."""
        known = self.kinds[kind]
        values = {
            **facts, "loan_id": loan_id, "name": name, "lender": self.lender, "language": language,
            "link": facts.get("url") or link_of(self.link, loan_id, facts),
        }  # fmt: skip
        toned = known.parts.get(tone) or next(
            known.parts[one] for one in ("plain", "warm", "firm") if one in known.parts
        )
        more = known.parts["more"][language].render(values) if "more" in known.parts and channel in LONG else ""
        frame = frames()[language]["long" if channel in LONG else "short"]
        return Text(
            subject=known.parts["subject"][language].render(values),
            body=frame.render(text=toned[language].render(values), more=more.strip(), name=name, lender=self.lender),
        )


def link_of(pattern: str, loan_id: str, facts: Mapping[str, Any]) -> str:
    """Where this is paid; empty without a payment page."""
    link_id = facts.get("link_id") or ":".join(str(part) for part in (loan_id, facts.get("number")) if part)
    return pattern.format(loan_id=loan_id, number=facts.get("number", ""), link_id=link_id) if pattern else ""


# --- Filters -------------------------------------------------------------------------------------------------


@pass_context
def rs(context: Context, paise: int) -> str:
    """Rupees in Indian digit groups, without empty paise, in letters that every SMS alphabet has."""
    said = format_rupees(paise)
    return f"{'रु' if context['language'] == 'hi' else 'Rs'} {said.removesuffix('.00')}"


def day(value: str | date) -> str:
    """`05-02-2026`: the same in both languages."""
    return f"{date.fromisoformat(value[:10]) if isinstance(value, str) else value:%d-%m-%Y}"


def moment(value: str) -> str:
    return f"{datetime.fromisoformat(value).astimezone(IST):%d-%m-%Y %H:%M}"


@pass_context
def word(context: Context, value: str, what: str) -> str:
    """A word of words.toml; what is not there is shown as it is."""
    said = words().get(what, {}).get(value, {})
    return said.get(context["language"]) or value.replace("-", " ").replace("_", " ")


@cache
def words() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    return tomllib.loads((files("adapters.notices.templates") / WORDS).read_text(encoding="utf-8"))


@cache
def frames() -> Mapping[Language, Mapping[str, Template]]:
    return {
        language: {name: ENVIRONMENT.from_string(frame) for name, frame in both.items()}
        for language, both in FRAMES.items()
    }


ENVIRONMENT = Environment(undefined=StrictUndefined, autoescape=False)  # plain text goes out, on every channel
ENVIRONMENT.filters.update(rs=rs, day=day, moment=moment, word=word)


# --- Reading and checking ------------------------------------------------------------------------------------


def load(folder: Path | None = None, lender: str = "Qist", link: str = "") -> Templates:
    """All templates; raises `TemplatesRefused` naming every flaw."""
    templates, flaws = read(folder, lender, link)
    if flaws:
        raise TemplatesRefused("\n".join(flaws))
    return templates


def read(folder: Path | None = None, lender: str = "Qist", link: str = "") -> tuple[Templates, list[str]]:
    """What can be used, and what is wrong with the rest."""
    kinds: dict[str, Kind] = {}
    flaws: list[str] = []
    for source, text in texts(folder):
        try:
            told = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            flaws.append(f"{source}: this is not TOML: {error}")
            continue
        for name, parts in told.items():
            made, wrong = kind_of(source, name, parts)
            flaws += [f"{source}: [{name}] {flaw}" for flaw in wrong]
            if made is not None:
                kinds[name] = made
    flaws += [f"no template for {name}" for name in sorted(PURPOSES.keys() - kinds.keys())]
    templates = Templates(kinds, lender, link)
    if not flaws:
        flaws = [f"{kinds[kind].source}: [{kind}] {flaw}" for kind in kinds for flaw in rendered_flaws(templates, kind)]
    return templates, flaws


def texts(folder: Path | None) -> Iterator[tuple[str, str]]:
    """Names and texts of template files: the shipped ones first, so that the lender's replace them."""
    for item in sorted(files("adapters.notices.templates").iterdir(), key=lambda item: item.name):
        if item.name.endswith(".toml") and item.name != WORDS:
            yield item.name, item.read_text(encoding="utf-8")
    if folder is not None:
        if not folder.is_dir():
            raise TemplatesRefused(f"{folder}: is no folder; QIST_NOTICES_DIR names where the lender's templates are")
        for path in sorted(folder.glob("*.toml")):
            yield str(path), path.read_text(encoding="utf-8")


def kind_of(source: str, name: str, told: Any) -> tuple[Kind | None, list[str]]:
    """A kind's templates, and what is wrong with them."""
    purpose = PURPOSES.get(name)
    if purpose is None or not isinstance(told, dict):
        return None, ["is no kind of notice"]
    fields = fields_of(name) or frozenset(told.get("fields", ()))
    tones = {tone for of, _, _, tone in TONES if of == purpose} or {"plain"}
    parts: dict[str, dict[str, Template]] = {}
    flaws = [f"has no {part}" for part in ("subject", *sorted(tones)) if part not in told]
    for part in told.keys() - {"fields"}:
        if part not in {"subject", "more", *tones}:
            flaws.append(f"{part}: a notice of this kind has subject, {', '.join(sorted(tones))} and more")
            continue
        for language in LANGUAGES:
            text = told[part].get(language) if isinstance(told[part], dict) else None
            if not text:
                flaws.append(f"{part}.{language} is missing")
                continue
            try:
                used = meta.find_undeclared_variables(ENVIRONMENT.parse(text))
            except TemplateSyntaxError as error:
                flaws.append(f"{part}.{language}: {error.message}")
                continue
            for unknown in sorted(used - fields - ALWAYS):
                flaws.append(f"{part}.{language}: {unknown} is no field of it; there are {', '.join(sorted(fields))}")
            parts.setdefault(part, {})[language] = ENVIRONMENT.from_string(text)
    return (None if flaws else Kind(source, parts, fields)), flaws


class _AnyEvent(dict[str, Any]):
    """Answers every name with itself: shows which fields a notice takes from its event."""

    def __missing__(self, name: str) -> str:
        return name


@cache
def fields_of(kind: str) -> frozenset[str]:
    """The fields that a notice of this kind has, by the events that lead to it; none where no event does."""
    bodies = (
        consequence.body(_AnyEvent())
        for followers in CONSEQUENCES.values()
        for consequence in followers
        if consequence.type == NOTICE
    )
    return frozenset(name for body in bodies if body["template"] == kind for name in body) - {"template"}


def rendered_flaws(templates: Templates, kind: str) -> Iterator[str]:
    """Every text of a kind with long values: whether it renders, and whether it is an SMS."""
    known = templates.kinds[kind]
    facts = {name: sample(name) for name in known.fields}
    # A link and a name as long as they come.
    probe = Templates(templates.kinds, templates.lender, templates.link or "https://pay.example.in/{link_id}")
    for language in LANGUAGES:
        for tone in sorted(known.parts.keys() - {"subject", "more"}):
            try:
                short = probe.render(kind, "sms", tone, language, SAMPLE_LOAN, facts, SAMPLE_NAME).body  # type: ignore[arg-type]
                probe.render(kind, "email", tone, language, SAMPLE_LOAN, facts, SAMPLE_NAME)  # type: ignore[arg-type]
            except (UndefinedError, TypeError, ValueError, KeyError) as error:
                yield f"{tone}.{language} does not render: {error}"
                continue
            if (needed := segments(short)) > MOST_SEGMENTS[language]:
                yield f"{tone}.{language} takes {needed} SMS segments, at most {MOST_SEGMENTS[language]}: {short}"


def segments(text: str) -> int:
    """How many SMS segments a text takes."""
    alphabet = "en" if GSM_7.issuperset(text) else "hi"
    units = len(text) if alphabet == "en" else len(text.encode("utf-16-le")) // 2
    return 1 if units <= ONE_SEGMENT[alphabet] else -(-units // EACH_SEGMENT[alphabet])


SAMPLE_LOAN: Final = "LN-2026-1234567"
SAMPLE_NAME: Final = "Asha Devi Kumari"
SAMPLES: Final[Mapping[str, Any]] = {
    "kind": "restructure", "reason": "no reason given", "reference": "UPI123456789012", "rail": "enach",
    "number": 120, "dpd": 120, "days": 120, "instalments": 120, "instalments_left": 120,
    "failure_class": "soft", "action": "retry_after_funds", "meaning": "Insufficient balance",
    "offered": [{"option": "longer_tenure"}], "changes": {"instalments": 60, "instalment_paise": 2_500_000},
    "parts": {}, "option": "longer_tenure", "rate_type": "floating", "interest": "accrue", "because": "",
    "previous_rate_percent": "12.50", "annual_rate_percent": "13.25", "apr_percent": "14.02", "subject": "a complaint",
    "grievance_id": f"{SAMPLE_LOAN}:case:1", "quote_id": f"{SAMPLE_LOAN}:quote:1", "mandate_id": "M-1",
    "link_id": f"{SAMPLE_LOAN}:12:1",
}  # fmt: skip


def sample(name: str) -> Any:
    """A value that a field may have, rather long."""
    if name in SAMPLES:
        return SAMPLES[name]
    if name == "paise" or name.endswith("_paise"):
        return 12_34_567 * RUPEE + 89
    if name.endswith("_at"):
        return "2026-12-28T07:00:00+05:30"
    if name in ("on", "by", "until", "since") or name.endswith(("_on", "_by", "_until")):
        return "2026-12-28"
    return "something"


def undescribed(kinds: Iterable[str]) -> list[str]:
    """Kinds that events lead to and that have no purpose: nobody would be told."""
    return sorted(set(kinds) - PURPOSES.keys())
