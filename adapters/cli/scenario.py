"""`qist scenario`: a loan's life from a file, and whether it came out as the file expects."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import orjson
from cyclopts import Parameter

from adapters.cli.arguments import FileOrStdin, read_bytes
from adapters.cli.running import ANSWER_IS_NO, WRONG_USAGE
from adapters.errors import Explained
from adapters.scenario import Malformed, Scenario, answer, differences, live, read
from domain.decisions.rules import Rules
from domain.ensure import InvariantBroken

Flag = Annotated[bool, Parameter(negative="")]


def scenario(
    *files: FileOrStdin, check: Flag = False, pretty: Flag = False, json: Flag = False, products: Path | None = None
) -> int:
    """Live a loan from a file, without broker or database, and print where it led as one JSON document.

    A file holds `disbursal`, `gateway`, `steps`, `collect` and `until` (docs/scenarios.md); a JSON list of such gives
    a list. Several files, or a folder, are checked. Exit status 1: something differs from `expected`; 2: a file is no
    scenario, and stderr names the place in it.

    Parameters
    ----------
    files
        Files with scenarios, folders of *.json, or - for standard input.
    check
        Compare with the file's `expected`, and say what differs.
    pretty
        Print the loan and its schedule for people to read.
    json
        Print JSON, also of a check.
    products
        A folder with the lender's own products (TOML), beside those of the package; left out: `products` in the folder
        of scenarios, where there is one.
    """
    from adapters.house import load_rules

    found = list(found_in(files or ("-",)))
    if not found:
        return complain("no *.json there", WRONG_USAGE)
    if products is not None and not products.is_dir():
        return complain(f"no folder {products}", WRONG_USAGE)
    many = len(found) > 1 or any(Path(file).is_dir() for file in files)
    try:
        rules = load_rules(products or products_beside(files))
        if check or many:
            return checked(found, rules, many=many, json=json)
        return lived(found[0], rules, pretty=pretty)
    except Explained as error:
        return complain(str(error), WRONG_USAGE)


class Unreadable(Explained):
    """A file that is not there, or no scenario."""


def found_in(files: tuple[str, ...]) -> Iterator[str]:
    for file in files:
        if file != "-" and Path(file).is_dir():
            yield from map(str, sorted(Path(file).glob("*.json")))
        else:
            yield file


def products_beside(files: tuple[str, ...]) -> Path | None:
    """The folder `products` in the first folder of scenarios that has one."""
    return next((beside for file in files if (beside := Path(file) / "products").is_dir()), None)


def complain(message: str, status: int) -> int:
    print(f"qist scenario: {message}", file=sys.stderr)
    return status


def read_file(file: str, *, strict: bool) -> tuple[list[Scenario], bool]:
    """The scenarios of a file, and whether it holds a list. Unknown keys are flaws where it is to be `strict`; else
    they are told on stderr, and ignored as on the wire."""
    try:
        asked: Any = orjson.loads(read_bytes(file))
    except OSError as error:
        raise Unreadable(f"cannot read {file}: {error.strerror}") from None
    except ValueError as error:
        raise Unreadable(f"{file}: this is not JSON: {error}") from None
    many = isinstance(asked, list)
    scenarios: list[Scenario] = []
    flaws: list[str] = []
    for index, item in enumerate(cast("list[Any]", asked) if many else [asked]):
        base = f"/{index}" if many else ""
        overlooked: list[tuple[str, str]] = []
        try:
            scenarios.append(read(item, None if strict else overlooked))
            for pointer, wrong in overlooked:
                print(f"note: {base + pointer}: {wrong}", file=sys.stderr)
        except Malformed as error:
            flaws += [f"{base + pointer or '/'}: {wrong}" for pointer, wrong in error.flaws]
    if flaws:
        raise Unreadable("\n  ".join([f"{file} is no scenario:", *flaws]))
    return scenarios, many


def answered(one: Scenario, rules: Rules) -> dict[str, Any]:
    return answer(one, live(one, rules), rules)


# --- One file ------------------------------------------------------------------------------------------------


def lived(file: str, rules: Rules, *, pretty: bool) -> int:
    scenarios, many = read_file(file, strict=False)
    answers = [answered(one, rules) for one in scenarios]
    for one, came in zip(scenarios, answers, strict=True):
        for index in came["unused_script"]:
            print(f"note: /gateway/script/{index} was never asked for: {one.title or file}", file=sys.stderr)
    if pretty:
        print("\n\n".join("\n".join(drawn(one, came)) for one, came in zip(scenarios, answers, strict=True)))
    else:
        write(answers if many else answers[0])
    return 0


def write(document: Any) -> None:
    sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def drawn(one: Scenario, came: dict[str, Any]) -> Iterator[str]:
    """An answer as a person reads it."""
    from adapters.cli.audit import drawn as loan_drawn
    from domain.money import format_rupees as rupees

    if one.title:
        yield one.title
    if came["loan"] is not None:
        yield from loan_drawn(came["loan"], came["schedule"], len(came["events"]))
    if came["preclosure"]:
        quote = came["preclosure"]
        yield f"to close it on {quote['on']}: {rupees(quote['total_paise'])}, valid until {quote['valid_until']}"
    for case in (case for case in came["cases"] if case["status"] == "open"):
        yield f"case {case['kind']}: {case['reason']}"
    for no in came["rejected"]:
        yield f"refused: step {no['step']} {no['type']} {no['field']} {no['sentence']}"


# --- Checks --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Checked:
    """How a scenario came out."""

    name: str
    verdict: str
    """`ok`, `differs`, `nothing expected`, `defect` or `unreadable`."""
    differences: list[str]

    @property
    def bad(self) -> bool:
        return self.verdict in ("differs", "defect", "unreadable")


def checked(files: list[str], rules: Rules, *, many: bool, json: bool) -> int:
    """Check them all and tell; the worst decides the exit status."""
    outcomes = [outcome for file in files for outcome in check_file(file, rules)]
    if json:
        write([{"name": one.name, "verdict": one.verdict, "differences": one.differences} for one in outcomes])
    else:
        width = max(len(one.name) for one in outcomes)
        for one in outcomes:
            print(f"{one.name:<{width}}  {one.verdict}")
            for line in one.differences:
                print(f"  {line}")
        if many:
            print(f"{len(outcomes)} scenarios, {sum(one.bad for one in outcomes)} not as expected")
    if any(one.verdict == "unreadable" for one in outcomes):
        return WRONG_USAGE
    return ANSWER_IS_NO if any(one.bad for one in outcomes) else 0


def check_file(file: str, rules: Rules) -> Iterator[Checked]:
    name = Path(file).name
    try:
        scenarios, many = read_file(file, strict=True)
    except Unreadable as error:
        yield Checked(name, "unreadable", [str(error)])
        return
    for index, one in enumerate(scenarios):
        yield check_one(f"{name} {index}" if many else name, one, rules)


def check_one(name: str, one: Scenario, rules: Rules) -> Checked:
    if one.expected is None:
        return Checked(name, "nothing expected", [])
    try:
        came = answered(one, rules)
    except InvariantBroken as defect:
        return Checked(name, "defect", [f"a defect of Qist, not of the file: {defect}"])
    found = list(differences(one.expected, came))
    found += [f"gateway.script[{index}] was never asked for" for index in came["unused_script"]]
    return Checked(name, "differs" if found else "ok", found)
