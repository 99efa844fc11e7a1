"""`qist codes`: what failure codes mean, and an operator's word on those that no table knows."""

from __future__ import annotations

import json as jsonlib
import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from adapters.cli.running import ANSWER_IS_NO, WRONG_USAGE, run, settings_or_exit
from adapters.cli.set_aside import Flag, Json, database, sender, table
from adapters.settings import Settings

Rail = Literal["enach", "nach", "upi", "card", "imps", "neft", "rtgs"]
Class = Literal["soft", "hard", "technical"]
COLUMNS = ("rail", "code", "class", "action", "charge_bounce", "source", "meaning")


def list_codes(
    *,
    rail: Rail | None = None,
    class_: Annotated[Class | None, Parameter(name="--class")] = None,
    ours: Flag = False,
    json: Json = False,
) -> int:
    """List what failure codes mean, the lender's own words among them.

    Parameters
    ----------
    rail
        Only this rail, such as `upi`.
    class_
        Only soft, hard or technical ones.
    ours
        Only those that operators classified.
    json
        Print one JSON document.
    """

    async def work(settings: Settings) -> int:
        from adapters import failure_codes
        from adapters.house import load_rules
        from domain.failures import family

        async with database(settings) as pool:
            codes = await failure_codes.newest(pool, load_rules().codes)
        shown = [
            code
            for code in failure_codes.listed(codes)
            if (rail is None or family(code["rail"]) == family(rail))
            and (class_ is None or code["class"] == class_)
            and (not ours or code["source"] == "operator")
        ]
        if json:
            print(jsonlib.dumps({"version": codes.version, "codes": shown}, indent=2))
            return 0
        table(shown, COLUMNS, "No code fits." if not ours else "No code was classified by an operator yet.")
        print(f"\nmapping {codes.version}; `qist codes classify RAIL CODE` adds to it")
        return 0

    return run(work(settings_or_exit()))


def show_code(rail: str, code: str, /, *, json: Json = False) -> int:
    """Show what a code means now, and every word that was ever said of it. Exit status 1 where nobody knows it.

    Parameters
    ----------
    rail
        Such as `enach`, `upi`, `card`, `imps`.
    code
        As the gateway sends it; `U30|Z9` is read by the bank's code.
    json
        Print one JSON document.
    """

    async def work(settings: Settings) -> int:
        from adapters import failure_codes
        from adapters.house import load_rules

        async with database(settings) as pool:
            codes = await failure_codes.newest(pool, load_rules().codes)
            words = await failure_codes.history(pool, rail, code)
        said = failure_codes.told(rail, code, codes.diagnose(rail, code))
        if json:
            print(jsonlib.dumps({**said, "version": codes.version, "history": words}, indent=2, default=str))
        else:
            for name, value in said.items():
                print(f"{name:<14}{value}")
            for word in words:
                print(
                    f"version {word['number']}: {word['class']}, {word['action']}, {word['meaning']!r},"
                    f" by {word['classified_by']} on {word['classified_at']:%Y-%m-%d %H:%M}"
                )
        return 0 if said["known"] else ANSWER_IS_NO

    return run(work(settings_or_exit()))


def classify(
    rail: str,
    code: str,
    /,
    *,
    class_: Annotated[str, Parameter(name="--class")],
    action: str,
    meaning: str,
    by: str,
    charge_bounce: Flag = False,
    json: Json = False,
) -> int:
    """Say what a code means, from now on: engines read it within a second, and what was decided before stays.

    Open cases of kind unknown-failure-code about it are closed with a note. Said once more, it closes what was opened
    meanwhile and changes nothing else.

    Parameters
    ----------
    rail
        enach, nach (the same codes), upi, card, imps, neft or rtgs.
    code
        As the gateway sends it.
    class_
        soft: no money today. hard: never by this path. technical: somebody's machine.
    action
        retry_after_funds, retry, alternate_rail, fix_mandate, stop or investigate, as the class allows.
    meaning
        In words, for people; no personal data.
    by
        Whose word it is.
    charge_bounce
        The borrower's lack of funds, or own stop, caused it: a bounce charge is due.
    json
        Print one JSON document.
    """

    async def work(settings: Settings) -> int:
        from adapters import casework, failure_codes
        from adapters.clocks import business_now

        async with database(settings) as pool:
            now = await business_now(settings, pool)
            try:
                number, new = await failure_codes.classify(
                    pool,
                    rail=rail,
                    code=code,
                    failure_class=class_,
                    action=action,
                    meaning=meaning,
                    charge_bounce=charge_bounce,
                    by=by,
                    now=now,
                )
            except failure_codes.Contradicts as no:
                print(*(f"--{field.replace('_', '-')} {why}" for field, why in no.flaws), sep="\n", file=sys.stderr)
                return WRONG_USAGE
            waiting = await casework.about(pool, rail, code)
            if waiting:
                async with sender(settings) as sending:
                    await casework.close_classified(sending, settings.partitions, waiting, number, meaning, by, now)
        told = {
            "rail": rail,
            "code": code,
            "number": number,
            "new": new,
            "cases_closed": [one["case_id"] for one in waiting],
        }
        if json:
            print(jsonlib.dumps(told, indent=2))
        else:
            print(f"{rail} {code}: version {number} of the mapping" + ("" if new else ", as it was"))
            print(f"{len(waiting)} open cases about it are being closed")
        return 0

    return run(work(settings_or_exit()))
