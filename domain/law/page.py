"""The page docs/law.md: every rule of the land that Qist keeps, once, for the people who run it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from itertools import groupby
from textwrap import fill
from typing import Final

from domain.law import TOPICS
from domain.law.dated import ALL_LENDERS, AnyRule, CountedBy, Lender

__all__ = ["law_page"]

INTRODUCTION: Final = """# The rules of the land

Written by `make docs` from the tables in `domain/law/`. A rule has a validity and kinds of lender; a decision uses the
version of its own day, and its event names it (`R6.7@2026-03-31`), so that history replays under the rules of its time.

*seen*: the rule's text or a faithful report of it was read. *seen-2nd*: one secondary source says so. *known*: general
knowledge of the field, no public source at hand. *policy*: no regulator says it, the house decides. Look-up date:
24 November 2026. None of this is legal advice: what is not *seen* wants the lender's own counsel.

Lenders: `bank` commercial bank, `sfb` small finance bank, `rrb` regional rural bank, `ucb-tier3` and `-tier4` urban
co-operative bank, `cooperative` state or central co-operative bank, `nbfc-base`, `-middle` and `-upper` layer of
non-banking finance companies, `hfc` housing finance company, `aifi` all-India financial institution."""
COUNTED_BY: Final[dict[CountedBy, str]] = {
    "day": "",
    "sanction": " (loans sanctioned or renewed)",
    "complaint": " (complaints raised)",
    "failure": " (failures)",
    "papers due": " (papers due)",
}


def law_page() -> str:
    """The whole page, as Markdown."""
    topics = (paragraph for title, rules in TOPICS.items() for paragraph in _topic(title, rules))
    return "\n\n".join([INTRODUCTION, *topics]) + "\n"


def _topic(title: str, rules: Iterable[AnyRule]) -> Iterator[str]:
    yield f"## {title}"
    for rule_id, versions in groupby(rules, key=lambda rule: rule.id):
        first, *later = versions
        yield _wrapped(f"**{rule_id} {first.title}.** {first.text} {_facts(first)}")
        for rule in later:
            yield _wrapped(f"- **{rule_id} from {_day(rule.valid_from)}: {rule.title}.** {rule.text} {_facts(rule)}")


def _wrapped(paragraph: str) -> str:
    return fill(
        paragraph,
        width=120,
        subsequent_indent="  " if paragraph.startswith("- ") else "",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _facts(rule: AnyRule) -> str:
    since, whose = _since(rule), _lenders(rule.lenders)
    return f"*{since}. For {whose}. In Qist: {rule.where}. Source: {rule.source} ({rule.confidence}).*"


def _since(rule: AnyRule) -> str:
    until = f" until {_day(rule.valid_until)}" if rule.valid_until else ""
    return f"Since {_day(rule.valid_from)}{until}{COUNTED_BY[rule.counted_by]}"


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _lenders(lenders: frozenset[Lender]) -> str:
    if lenders == ALL_LENDERS:
        return "all lenders"
    if len(lenders) > len(ALL_LENDERS) / 2:
        return f"all but {', '.join(sorted(ALL_LENDERS - lenders))}"
    return ", ".join(sorted(lenders))
