"""Whether a gateway is down: a circuit that opens when most debits of the last half hour failed technically.

It opens, is tried again after a while by a few debits (half-open), and closes when they go through. Every state says
since when, and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final
from zlib import crc32

WINDOW: Final = timedelta(minutes=30)
LEAST_ANSWERS: Final = 20
"""Fewer answers than this in the window say nothing of a gateway."""
OPENS_AT_PERCENT: Final = 50
"""This share of technical failures opens the circuit."""
LEAST_PROBES: Final = 3
"""So many answers since the trial began decide it."""
WAITS: Final = (timedelta(minutes=15), timedelta(minutes=30), timedelta(hours=1), timedelta(hours=2))
"""How long it stays open before it is tried again: the first time, the second, and so on."""
ONE_IN: Final = 10
"""Of the debits of a gateway on trial, one in so many goes through it."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers that became known at one moment."""

    at: datetime
    technical: int
    others: int


@dataclass(frozen=True, slots=True)
class Circuit:
    """One gateway on one rail. `closed` = it works; `open` = it is down until `try_at`, and on trial from then on."""

    state: str = "closed"
    since: datetime | None = None
    try_at: datetime | None = None
    reason: str = ""
    trips: int = 0
    """How often in a row it opened."""
    window: tuple[Answers, ...] = ()

    def learn(self, news: Answers) -> Circuit:
        """The circuit after these answers. Answers older than the window change nothing."""
        newest = max((each.at for each in (*self.window, news)), default=news.at)
        window = tuple(sorted((a for a in (*self.window, news) if a.at > newest - WINDOW), key=lambda a: a.at))
        if self.state == "open":
            return self._on_trial(window, news)
        technical, answered = _count(window)
        if answered >= LEAST_ANSWERS and technical * 100 >= answered * OPENS_AT_PERCENT:
            return self._opened(newest, technical, answered)
        return Circuit("closed", self.since, None, self.reason, 0, window)

    def _opened(self, at: datetime, technical: int, answered: int) -> Circuit:
        wait = WAITS[min(self.trips, len(WAITS) - 1)]
        reason = f"{technical} of {answered} answers in {WINDOW.seconds // 60} minutes were technical failures"
        return Circuit("open", at, at + wait, reason, self.trips + 1)

    def _on_trial(self, window: tuple[Answers, ...], news: Answers) -> Circuit:
        assert self.try_at is not None
        tried = tuple(each for each in window if each.at >= self.try_at)
        technical, answered = _count(tried)
        if answered < LEAST_PROBES:
            return Circuit("open", self.since, self.try_at, self.reason, self.trips, tried)
        if technical * 100 >= answered * OPENS_AT_PERCENT:
            return self._opened(news.at, technical, answered)
        return Circuit("closed", news.at, None, f"{answered - technical} of {answered} trials went through", 0)


def _count(window: tuple[Answers, ...]) -> tuple[int, int]:
    technical = sum(each.technical for each in window)
    return technical, technical + sum(each.others for each in window)


@dataclass(frozen=True, slots=True)
class Down:
    """A gateway whose circuit is open."""

    try_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class GatewayHealth:
    """Gateways that are down, by (gateway, rail); all others work."""

    down: Mapping[tuple[str, str], Down] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def well(cls) -> GatewayHealth:
        return cls()

    def with_news(self, gateway: str, rail: str, state: Mapping[str, Any]) -> GatewayHealth:
        """After a gateway's circuit was told: `state`, `try_at`, `reason`."""
        others = {known: each for known, each in self.down.items() if known != (gateway, rail)}
        if state["state"] == "open":
            others[gateway, rail] = Down(datetime.fromisoformat(state["try_at"]), state["reason"])
        return GatewayHealth(MappingProxyType(others))

    def why_not(self, gateway: str, rail: str, at: datetime, about: str) -> str:
        """Why a gateway should not be used; empty when it works, or when this debit (`about`) is one that tries it."""
        circuit = self.down.get((gateway, rail))
        if circuit is None:
            return ""
        if at < circuit.try_at:
            return f"{gateway} is down: {circuit.reason}"
        if crc32(about.encode()) % ONE_IN == 0:
            return ""
        return f"{gateway} is on trial since {circuit.try_at.isoformat()}: {circuit.reason}"
