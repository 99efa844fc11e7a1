"""Strategies lived through a population, and what each brought in and cost."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import sqrt
from statistics import fmean, stdev
from typing import Any

from adapters.evaluation.population import Population
from adapters.evaluation.strategies import (
    DAILY_ATTEMPTS,
    EVERY_DAYS,
    Adaptive,
    Calendar,
    Cycle,
    Never,
    Oracle,
    Strategy,
)
from adapters.evaluation.world import Hour, World, due_days, hour_on
from domain.failures import SOFT, SUCCESS

STRATEGIES: Mapping[str, Callable[[Population, World], Strategy]] = {
    "qist": lambda population, world: Adaptive(population),
    "fixed": lambda population, world: Calendar(population, days=EVERY_DAYS),
    "daily": lambda population, world: Calendar(population, days=1, most=DAILY_ATTEMPTS),
    "none": lambda population, world: Never(population),
    "oracle": Oracle,
}


@dataclass(slots=True)
class Figures:
    """What a strategy did, in paise and counts; `docs/recovery.md` says how each is counted."""

    instalments: int = 0
    due_paise: int = 0
    collected_first_paise: int = 0
    failed_first: int = 0
    recovered: int = 0
    recovered_paise: int = 0
    attempts: int = 0
    retries: int = 0
    futile_attempts: int = 0
    bounces: int = 0
    days: int = 0
    late_paise: float = 0.0
    """The price of days late."""


def live(population: Population, strategy: Strategy, world: World) -> tuple[Figures, list[Cycle]]:
    """All instalments in the order of time, so that a strategy can learn from every outcome before."""
    figures = Figures()
    cycles: list[Cycle] = []
    queue: list[tuple[Hour, int, int]] = []
    end = hour_on(population.until, 23)
    for index, account in enumerate(population.accounts):
        hours = population.rails[account.rail].hours
        for number, due in enumerate(due_days(account, population.begins, population.until), 1):
            last = min(hour_on(due + timedelta(days=population.window_days), 23), end)
            queue.append((hour_on(due, hours[0]), index, len(cycles)))
            cycles.append(Cycle(index, number, due.toordinal(), last))
            figures.instalments += 1
            figures.due_paise += account.instalment_paise
    heapq.heapify(queue)
    while queue:
        at, index, which = heapq.heappop(queue)
        cycle = cycles[which]
        if not cycle.tried and not strategy.presents(cycle):
            figures.failed_first += 1
            continue
        outcome = world.attempt(index, at)
        cycle.tried.append((at, outcome))
        count(figures, population, cycle, outcome)
        strategy.hears(cycle)
        if outcome != SUCCESS:
            following = strategy.again(cycle)
            if following is not None:
                heapq.heappush(queue, (following, index, which))
    return figures, cycles


def count(figures: Figures, population: Population, cycle: Cycle, outcome: str) -> None:
    """One attempt's share in the figures."""
    first = len(cycle.tried) == 1
    paise = population.accounts[cycle.index].instalment_paise
    figures.attempts += 1
    figures.retries += not first
    figures.bounces += outcome == SOFT
    figures.failed_first += first and outcome != SUCCESS
    figures.futile_attempts += not first and outcome != SUCCESS
    if outcome != SUCCESS:
        return
    if first:
        figures.collected_first_paise += paise
        return
    days = cycle.days
    figures.recovered += 1
    figures.recovered_paise += paise
    figures.days += days
    figures.late_paise += paise * population.costs.day_late_bps * days / 10_000


def told(figures: Figures, population: Population, recoverable_paise: int) -> dict[str, Any]:
    """The figures as the answer has them; `recoverable_paise` is what the oracle recovered."""
    costs = population.costs
    parts = {
        "attempts_paise": figures.attempts * costs.attempt_paise,
        "bounce_charges_paise": figures.bounces * costs.bounce_charge_paise,
        "days_late_paise": round(figures.late_paise),
    }
    cost = sum(parts.values())
    return {
        "instalments": figures.instalments,
        "due_paise": figures.due_paise,
        "collected_first_paise": figures.collected_first_paise,
        "recovered_paise": figures.recovered_paise,
        "recovered_share": share(figures.recovered_paise, recoverable_paise),
        "attempts": figures.attempts,
        "retries": figures.retries,
        "futile_attempts": figures.futile_attempts,
        "bounces": figures.bounces,
        "days_to_recover_mean": share(figures.days, figures.recovered),
        "cost_paise": cost,
        "cost": parts,
        "net_paise": figures.recovered_paise - cost,
    }


def share(part: float, whole: float) -> float | None:
    """A ratio to 4 decimals; None where there is nothing to divide."""
    return round(part / whole, 4) if whole else None


def evaluate(population: Population) -> dict[str, Any]:
    """Every strategy on the same population, and how much of the gap to the oracle is closed."""
    lived: dict[str, Figures] = {}
    foreseen: list[tuple[float, bool]] = []
    for name, make in STRATEGIES.items():
        world = World(population)
        strategy = make(population, world)
        lived[name], _ = live(population, strategy, world)
        if isinstance(strategy, Adaptive):
            foreseen = [
                (said, cycle.tried[0][1] == SOFT)
                for cycle, said in strategy.foreseen
                if cycle.tried[0][1] in (SUCCESS, SOFT)
            ]
    recoverable = lived["oracle"].recovered_paise
    answers = {name: told(figures, population, recoverable) for name, figures in lived.items()}
    return {
        "seed": population.seed,
        "kind": population.kind,
        "accounts": len(population.accounts),
        "strategies": answers,
        "gap_closed": {
            "recovered": gap(answers, "recovered_paise"),
            "net": gap(answers, "net_paise"),
        },
        "calibration": calibration(foreseen),
    }


BANDS = 10


def calibration(foreseen: Sequence[tuple[float, bool]]) -> dict[str, Any] | None:
    """What was said of first presentations (the likelihood of a bounce) beside what happened: Brier score, that of one
    who always says the mean, and a reliability table. Presentations that never reached the account are left out."""
    if not foreseen:
        return None
    rate = fmean(bounced for _, bounced in foreseen)
    bands: dict[int, list[tuple[float, bool]]] = {}
    for said, bounced in foreseen:
        bands.setdefault(min(BANDS - 1, int(said * BANDS)), []).append((said, bounced))
    return {
        "presented": len(foreseen),
        "bounced_share": round(rate, 4),
        "brier": round(fmean((said - bounced) ** 2 for said, bounced in foreseen), 4),
        "brier_of_the_mean": round(rate * (1 - rate), 4),
        "reliability": [
            {
                "from": band / BANDS,
                "to": (band + 1) / BANDS,
                "count": len(told),
                "said": round(fmean(said for said, _ in told), 4),
                "happened": round(fmean(bounced for _, bounced in told), 4),
            }
            for band, told in sorted(bands.items())
        ],
    }


def gap(answers: Mapping[str, Mapping[str, Any]], figure: str) -> float | None:
    """(qist - fixed) / (oracle - fixed); None where the oracle does no better than `fixed`."""
    qist, fixed, oracle = (answers[name][figure] for name in ("qist", "fixed", "oracle"))
    return share(qist - fixed, oracle - fixed) if oracle > fixed else None


T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""Student's t for a two-sided 95% interval, by degrees of freedom from 1; beyond the table, near enough 2."""


def summary(answers: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Over several populations: the mean of each gap closed, with its 95% confidence interval where there are two or
    more that have one."""
    found: dict[str, dict[str, float]] = {}
    for name in ("recovered", "net"):
        closed = [answer["gap_closed"][name] for answer in answers if answer["gap_closed"][name] is not None]
        if not closed:
            continue
        found[name] = {"populations": len(closed), "mean": round(fmean(closed), 4)}
        if len(closed) > 1:
            freedom = len(closed) - 1
            off = (T_95[freedom - 1] if freedom <= len(T_95) else 2.0) * stdev(closed) / sqrt(len(closed))
            found[name] |= {"low": round(found[name]["mean"] - off, 4), "high": round(found[name]["mean"] + off, 4)}
    return found
