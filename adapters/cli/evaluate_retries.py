"""`qist evaluate-retries`: what trying failed debits again brings in, by strategy, on populations that are known."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from adapters.cli.arguments import read_bytes
from adapters.cli.running import ANSWER_IS_NO, WRONG_USAGE

COLUMNS = (
    ("strategy", 10),
    ("first", 14),
    ("recovered", 14),
    ("share", 7),
    ("attempts", 9),
    ("futile", 7),
    ("bounces", 8),
    ("days", 6),
    ("cost", 12),
    ("net", 14),
)


def evaluate_retries(
    *,
    population: Annotated[list[str], Parameter(allow_leading_hyphen=True, negative="")],
    json: Annotated[bool, Parameter(negative="")] = False,
    report: Path | None = None,
) -> int:
    """Compare ways of trying failed debits again on a population whose money is known.

    Strategies: `qist` (the engine's own policy), `fixed` (the same hour every 3 days), `daily` (up to 25 attempts),
    `none` (the due day alone), `oracle` (sees every balance). All but `daily` keep to the rail's limit on attempts.
    docs/recovery.md says how each figure is counted. Exit status: 0 done, 1 a file is no population (every wrong
    field is named), 2 it cannot be read.

    Parameters
    ----------
    population
        A population as `qist simulate population` makes them, or - for standard input. Given several times, each is
        evaluated, and the mean with its confidence interval is told.
    json
        Print one JSON document.
    report
        Also write a page to look at.
    """
    from adapters.evaluation.figures import evaluate, summary
    from adapters.evaluation.population import PopulationRefused, read_population

    answers: list[dict[str, Any]] = []
    for name in population:
        try:
            answers.append({"population": name, **evaluate(read_population(read_bytes(name)))})
        except OSError as error:
            print(f"qist evaluate-retries: cannot read {name}: {error.strerror}", file=sys.stderr)
            return WRONG_USAGE
        except PopulationRefused as refused:
            print(f"qist evaluate-retries: {name} is no population:\n{refused}", file=sys.stderr)
            return ANSWER_IS_NO
    if report is not None:
        from adapters.evaluation.report import page

        try:
            report.write_text(page(answers), encoding="utf-8")
        except OSError as error:
            print(f"qist evaluate-retries: cannot write {report}: {error.strerror}", file=sys.stderr)
            return WRONG_USAGE
    if json:
        one = answers[0] if len(answers) == 1 else {"populations": answers, "summary": summary(answers)}
        print(jsonlib.dumps(one, indent=2, ensure_ascii=False))
    else:
        print("\n\n".join(map(drawn, answers)))
        if len(answers) > 1:
            print(f"\n{over_all(summary(answers))}")
    return 0


def drawn(answer: dict[str, Any]) -> str:
    """One population's figures as a table, amounts in whole rupees."""
    from domain.money import format_rupees

    def rupees(paise: int) -> str:
        return format_rupees(paise - paise % 100).removesuffix(".00")

    lines = [
        f"{answer['population']}: {answer['accounts']} accounts, {answer['kind'] or 'of no named kind'}",
        "".join(f"{name:>{width}}" for name, width in COLUMNS),
    ]
    for name, told in answer["strategies"].items():
        cells = (
            name,
            rupees(told["collected_first_paise"]),
            rupees(told["recovered_paise"]),
            "-" if told["recovered_share"] is None else f"{told['recovered_share']:.1%}",
            told["attempts"],
            told["futile_attempts"],
            told["bounces"],
            "-" if told["days_to_recover_mean"] is None else f"{told['days_to_recover_mean']:.1f}",
            rupees(told["cost_paise"]),
            rupees(told["net_paise"]),
        )
        lines.append("".join(f"{cell!s:>{width}}" for cell, (_, width) in zip(cells, COLUMNS, strict=True)))
    if answer["calibration"]:
        told = answer["calibration"]
        lines.append(f"bounces foreseen with a Brier score of {told['brier']}; the mean rate alone has"
                     f" {told['brier_of_the_mean']}")  # fmt: skip
    closed = answer["gap_closed"]
    lines.append(f"gap closed between fixed and oracle: {percent(closed['recovered'])} in recovered money,"
                 f" {percent(closed['net'])} in net")  # fmt: skip
    return "\n".join(lines)


def over_all(told: dict[str, Any]) -> str:
    return "\n".join(
        f"mean {name} over {figure['populations']}: {figure['mean']:.3f}"
        + (f" (95% interval {figure['low']:.3f} to {figure['high']:.3f})" if "low" in figure else "")
        for name, figure in told.items()
    )


def percent(share: float | None) -> str:
    return "nothing to close" if share is None else f"{share:.1%}"
