"""`qist notices`: the words of notices, and what a loan's borrower was told."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from adapters.cli.running import run, settings_or_exit, settings_with_services
from domain.policies.contact import Channel, Language, Tone


def check(folder: Path | None = None) -> int:
    """Check the templates: every kind, tone and language there, no unknown field, no SMS that is too long.

    Exit status 1 with every flaw named. The notifier does the same when it starts.

    Parameters
    ----------
    folder
        The lender's own templates; QIST_NOTICES_DIR unless given.
    """
    from adapters.notices.wording import TemplatesRefused, read

    settings = settings_or_exit()
    try:
        templates, flaws = read(folder or settings.notices_dir, settings.lender_name, settings.payment_link or "")
    except TemplatesRefused as refused:
        flaws, templates = [str(refused)], None
    for flaw in flaws:
        print(flaw, file=sys.stderr)
    if templates is not None and not flaws:
        print(f"{len(templates.kinds)} kinds of notices, in English and Hindi: nothing is wrong")
    return 1 if flaws else 0


def preview(
    kind: str,
    *,
    language: Language = "en",
    channel: Channel = "sms",
    tone: Tone | None = None,
    facts: str = "{}",
) -> int:
    """Show a notice as it would go out, with made-up figures where none are given.

    Parameters
    ----------
    kind
        Such as `debit-failed`.
    tone
        `plain`, `warm` or `firm`; the first that the kind has unless given.
    facts
        Fields of the notice as JSON, such as '{"amount_paise": 499300}'.
    """
    from adapters.notices.wording import SAMPLE_LOAN, load, sample, segments

    settings = settings_or_exit()
    templates = load(settings.notices_dir, settings.lender_name, settings.payment_link or "")
    known = templates.kinds.get(kind)
    if known is None:
        print(f"{kind} is no kind of notice; there are {', '.join(sorted(templates.kinds))}", file=sys.stderr)
        return 2
    try:
        given = jsonlib.loads(facts)
    except jsonlib.JSONDecodeError as error:
        print(f"--facts is no JSON: {error}", file=sys.stderr)
        return 2
    if not isinstance(given, dict):
        print("--facts is a JSON object", file=sys.stderr)
        return 2
    said = {**{name: sample(name) for name in known.fields}, **given}
    chosen: Tone = tone or "plain"
    text = templates.render(kind, channel, chosen, language, said.get("loan_id", SAMPLE_LOAN), said, "Asha")
    if channel == "email":
        print(f"Subject: {text.subject}\n")
    print(text.body)
    if channel == "sms":
        print(f"({len(text.body)} letters, {segments(text.body)} segments)", file=sys.stderr)
    return 0


def list_notices(loan: str, *, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """List what the borrower of a loan was told about it, and what not, newest first, with the reason of each.

    Parameters
    ----------
    loan
        The loan's id.
    json
        As one JSON document.
    """
    return run(_list(loan, json))


async def _list(loan_id: str, as_json: bool) -> int:
    import asyncpg

    from adapters.notices.told import notices_of

    settings = settings_with_services()
    database = await asyncpg.connect(settings.database_dsn())
    try:
        found = await notices_of(database, loan_id, limit=1000)
    finally:
        await database.close()
    if as_json:
        print(jsonlib.dumps(found, default=str, indent=2, ensure_ascii=False))
    elif not found:
        print(f"no notice about {loan_id} yet; `qist notifier` makes them", file=sys.stderr)
    else:
        print("\n".join(map(_line, found)))
    return 0 if found else 1


def _line(one: dict[str, Any]) -> str:
    return f"{one['at']:%Y-%m-%d %H:%M}  {one['kind']:<24}{one['state']:<11}{one['channel'] or '-':<10}{one['reason']}"
