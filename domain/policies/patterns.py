"""Patterns in failures that nobody asked for: a bank, a rail, an hour or a code that departs from its own history.

For every group of debits (one bank; one bank on one rail; one hour; ...) the share that failed in one way in the last
days is set against the share in the weeks before. How sure it is takes three things into account: how many debits
there were, how much that group's days differ anyway (a bank with wild days has to depart further), and how many groups
were looked at (Bonferroni: whoever looks at a thousand groups finds a chance of one in a thousand).

The strongest is told first, then its debits are left out and the others are looked at again, so that a bank
that is down is told once and not again as its rail, its hour and its codes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import asin, log, sqrt
from operator import attrgetter
from statistics import NormalDist
from typing import Any, Final, NamedTuple

RECENT_DAYS: Final = 7
HISTORY_DAYS: Final = 60
LEAST_ANSWERS: Final = 20
"""Fewer recent debits than this say nothing."""
LEAST_FAILURES: Final = 5
LEAST_RATIO: Final = 1.25
"""A share that rose by less is no news, however sure."""
SURE: Final = 0.99
MOST: Final = 8
"""More patterns than this at once are told by the totals, too."""

GROUPS: Final = (
    ("bank",),
    ("rail",),
    ("gateway",),
    ("hour",),
    ("bank", "rail"),
    ("bank", "hour"),
    ("rail", "hour"),
    ("gateway", "hour"),
)
"""What debits have in common. Wider groups first: of two that explain the same, the wider is told."""


class Answered(NamedTuple):
    """So many debits of one day that went the same way and ended the same. `failure_class` is empty for successes."""

    day: date
    bank: str
    rail: str
    gateway: str
    hour: int
    failure_class: str
    code: str
    times: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """A group whose debits fail more often in one way than they used to. Shares are 0 to 1."""

    group: Mapping[str, str | int]
    failure_class: str
    code: str
    """Empty: whatever the code."""
    answered: int
    failed: int
    share: float
    usual_share: float
    sure: float
    since: date
    """The day from which on the share differs most clearly from the usual (the likeliest change point)."""
    codes: tuple[tuple[str, int], ...]
    """The commonest codes among the failures."""

    @property
    def more_than_usual(self) -> int:
        """Failures beyond what was usual."""
        return round(self.failed - self.answered * self.usual_share)


Way = tuple[str, str]
"""(failure class, code), the code empty where the class as a whole is meant."""


@dataclass(slots=True)
class _Candidate:
    group: dict[str, str | int]
    way: Way
    z: float
    answered: int
    failed: int
    usual: float


def patterns(rows: Iterable[Answered], today: date) -> list[Pattern]:
    """What departs from its history, most failures beyond the usual first. `today` is the last of the recent days."""
    begin, border = today - timedelta(days=RECENT_DAYS + HISTORY_DAYS), today - timedelta(days=RECENT_DAYS)
    within = [row for row in rows if begin < row.day <= today and row.times]
    classes = sorted({row.failure_class for row in within} - {""})
    found = [pattern for kind in classes for pattern in _of_class(within, kind, len(classes), border)]
    return sorted(found, key=lambda one: -one.more_than_usual)[:MOST]


def _of_class(rows: Sequence[Answered], failure_class: str, classes: int, border: date) -> Iterator[Pattern]:
    """The patterns of one class of failures; `classes` are looked at in all."""
    for _ in range(MOST):
        candidates = list(_candidates(rows, failure_class, border))
        if not candidates:
            return
        first = max(candidates, key=lambda one: (round(one.z, 9), -len(one.group)))
        sure = 1 - (1 - NormalDist().cdf(first.z)) * len(candidates) * classes
        if sure < SURE:
            return
        yield _told(first, sure, rows, border)
        rows = [row for row in rows if not _within(row, first.group)]


def _candidates(rows: Sequence[Answered], failure_class: str, border: date) -> Iterator[_Candidate]:
    """Every group and way with enough recent debits, and how far it is from its history, in standard deviations."""
    history = [row for row in rows if row.day <= border]
    whole = sum(row.times for row in history)
    overall: Counter[str] = Counter()
    for row in history:
        if row.failure_class == failure_class:
            overall.update({"": row.times, row.code: row.times})
    for dimensions in GROUPS:
        key_of = attrgetter(*dimensions)
        answered: defaultdict[Any, Counter[date]] = defaultdict(Counter)
        failed: defaultdict[tuple[Any, str], Counter[date]] = defaultdict(Counter)
        for row in rows:
            key = key_of(row)
            answered[key][row.day] += row.times
            if row.failure_class == failure_class:
                failed[key, ""][row.day] += row.times
                if row.code:
                    failed[key, row.code][row.day] += row.times
        for (key, code), days in failed.items():
            seen = _compare(answered[key], days, overall[code] / whole if whole else 0.0, border)
            if seen is not None:
                keys = key if len(dimensions) > 1 else (key,)
                yield _Candidate(dict(zip(dimensions, keys, strict=True)), (failure_class, code), *seen)


def _compare(
    answered: Counter[date], failed: Counter[date], overall: float, border: date
) -> tuple[float, int, int, float] | None:
    """(standard deviations above the usual share, answered, failed, usual share), or None if nothing can be said."""
    recent = sum(count for day, count in answered.items() if day > border)
    now_failed = sum(count for day, count in failed.items() if day > border)
    if recent < LEAST_ANSWERS or now_failed < LEAST_FAILURES:
        return None
    before = {day: count for day, count in answered.items() if day <= border}
    past = sum(before.values())
    usual = (sum(failed[day] for day in before) + overall * LEAST_ANSWERS + 0.5) / (past + LEAST_ANSWERS + 1)
    if now_failed < LEAST_RATIO * usual * recent:
        return None
    spread = _spread(before, failed, usual)
    # The arcsine makes the deviation of a share the same whatever the share is (Anscombe, 1948).
    distance = 2 * (asin(sqrt((now_failed + 0.375) / (recent + 0.75))) - asin(sqrt(usual)))
    deviation = sqrt(spread * (1 / recent + 1 / (past + LEAST_ANSWERS)))
    return distance / deviation, recent, now_failed, usual


def _spread(before: Mapping[date, int], failed: Mapping[date, int], share: float) -> float:
    """How much more the group's days differ than chance alone would make them: 1 = not at all."""
    if len(before) < 2:
        return 1.0
    chi = sum(
        (failed.get(day, 0) - count * share) ** 2 / (count * share * (1 - share)) for day, count in before.items()
    )
    return max(1.0, chi / (len(before) - 1))


def _told(found: _Candidate, sure: float, rows: Sequence[Answered], border: date) -> Pattern:
    recent = [row for row in rows if row.day > border and _within(row, found.group)]
    failures = [row for row in recent if row.failure_class == found.way[0] and found.way[1] in ("", row.code)]
    codes: Counter[str] = Counter()
    by_day: Counter[date] = Counter()
    of_day: Counter[date] = Counter()
    for row in failures:
        codes[row.code] += row.times
        by_day[row.day] += row.times
    for row in recent:
        of_day[row.day] += row.times
    return Pattern(
        group=found.group,
        failure_class=found.way[0],
        code=found.way[1],
        answered=found.answered,
        failed=found.failed,
        share=found.failed / found.answered,
        usual_share=found.usual,
        sure=sure,
        since=max(of_day, key=lambda start: _evidence(by_day, of_day, found.usual, start)),
        codes=tuple(codes.most_common(3)),
    )


def _evidence(failed: Mapping[date, int], answered: Mapping[date, int], usual: float, start: date) -> float:
    """How much likelier the days since `start` are by a share of their own than by the usual one: a log likelihood."""
    n = sum(times for day, times in answered.items() if day >= start)
    k = sum(times for day, times in failed.items() if day >= start)
    share = k / n
    parts = ((k, share, usual), (n - k, 1 - share, 1 - usual))
    return sum(times * log(own / other) for times, own, other in parts if times) if share > usual else 0.0


def _within(row: Answered, group: Mapping[str, str | int]) -> bool:
    return all(getattr(row, name) == value for name, value in group.items())
