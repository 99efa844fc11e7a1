"""(a) Debit outcomes a second from Kafka to the read models, through the processes that `qist up` starts.

Bursts measure throughput: a month's outcomes of all loans at once, timed from the first sent until the last is in the
read models. A paced run measures latency: outcomes at half that rate. The n-th outcome sent is taken for the n-th
committed; with one queue per partition that is right to a few milliseconds, and the probe's own step is 5 ms.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

import asyncpg

from adapters.bench import loans
from adapters.kafka import new_producer
from adapters.settings import Settings
from adapters.system import Role, system
from streams.topics import DEBIT_OUTCOMES, DISBURSALS

PROBE_SECONDS = 0.005
ROLES = (Role("engine"), Role("projector"))


@dataclass(slots=True)
class Timeline:
    """When so many had come so far: (seconds, count), ascending."""

    points: list[tuple[float, int]]

    def times(self, expected: int) -> list[float]:
        """The moment of each of the first `expected`."""
        moments: list[float] = []
        for at, count in self.points:
            while len(moments) < min(count, expected):
                moments.append(at)
        return moments


async def measure(settings: Settings, count: int, bursts: int, paced_seconds: int) -> dict[str, Any]:
    """Everything about (a)."""
    async with system(settings, roles=ROLES) as qist:
        bench = EndToEnd(qist.settings, count)
        await bench.open()
        try:
            await bench.book()
            rates = [await bench.burst(month) for month in range(1, bursts + 1)]
            steady = median(rates)
            latency = await bench.paced(bursts + 1, steady / 2, paced_seconds)
        finally:
            await bench.close()
        return {
            "loans": count,
            "instalments": 24,
            "outcomes": count * bursts,
            "outcomes_per_second": round(steady),
            "outcomes_per_second_by_burst": [round(rate) for rate in rates],
            **latency,
        }


class EndToEnd:
    """One bench run against running roles."""

    def __init__(self, settings: Settings, count: int) -> None:
        self._settings = settings
        self._count = count

    async def open(self) -> None:
        self._database = await asyncpg.connect(self._settings.database_dsn())
        self._producer = new_producer(self._settings, "bench")
        await self._producer.start()

    async def close(self) -> None:
        await self._producer.stop()
        await self._database.close()

    async def book(self) -> None:
        """All loans, paid out."""
        await self._set_clock(loans.PAID_OUT)
        say(f"booking {self._count} loans")
        for number in range(self._count):
            value, headers = loans.disbursal(number)
            await self._producer.send(DISBURSALS.name, value=value, key=loans.loan_id(number).encode(), headers=headers)
        await self._producer.flush()
        await self._until(lambda standing: standing["applied"] >= self._count)
        await self._until_quiet()

    async def burst(self, month: int) -> float:
        """One month's outcomes at once: outcomes a second until the last is in the read models."""
        await self._reach(month)
        already = (await self._standing())["applied"]
        prepared = [loans.outcome(number, month) for number in range(self._count)]
        started = time.perf_counter()
        sending = asyncio.create_task(self._send(prepared))
        await self._until(lambda standing: standing["applied"] >= already + self._count)
        await self._until_quiet()
        seconds = time.perf_counter() - started
        await sending
        say(f"burst {month}: {self._count / seconds:,.0f} outcomes a second")
        return self._count / seconds

    async def paced(self, month: int, rate: float, seconds: int) -> dict[str, Any]:
        """Outcomes at a steady rate: how long each takes to be committed, and to be in the read models."""
        await self._reach(month)
        expected = min(self._count, int(rate * seconds))
        before = await self._standing()
        probe = asyncio.create_task(self._probe(before, expected))
        sent: list[float] = []
        started = time.perf_counter()
        while len(sent) < expected:
            due = min(expected, int((time.perf_counter() - started) * rate) + 1)
            for number in range(len(sent), due):
                value, headers = loans.outcome(number, month)
                sent.append(time.perf_counter())
                await self._producer.send(
                    DEBIT_OUTCOMES.name, value=value, key=loans.loan_id(number).encode(), headers=headers
                )
            await asyncio.sleep(0.002)
        committed, read = await probe
        return {
            "paced_per_second": round(rate),
            "outcome_to_committed_ms": percentiles(sent, committed.times(expected)),
            "outcome_to_read_model_ms": percentiles(sent, read.times(expected)),
        }

    async def _probe(self, before: dict[str, int], expected: int) -> tuple[Timeline, Timeline]:
        committed, read = Timeline([]), Timeline([])
        while True:
            standing = await self._standing()
            now = time.perf_counter()
            committed.points.append((now, standing["applied"] - before["applied"]))
            # Each of these outcomes is one event, so read models count in events as well.
            read.points.append((now, standing["read"] - before["read"]))
            if committed.points[-1][1] >= expected and read.points[-1][1] >= expected:
                return committed, read
            await asyncio.sleep(PROBE_SECONDS)

    async def _send(self, prepared: list[tuple[bytes, list[tuple[str, bytes]]]]) -> None:
        for number, (value, headers) in enumerate(prepared):
            await self._producer.send(
                DEBIT_OUTCOMES.name, value=value, key=loans.loan_id(number).encode(), headers=headers
            )
        await self._producer.flush()

    # --- waiting ---------------------------------------------------------------------------------------------

    async def _reach(self, month: int) -> None:
        """The instalment is due, its debit asked for, and Qist at rest."""
        await self._set_clock(loans.debit_hour(month))
        await asyncio.sleep(0.2)
        await self._until_quiet()

    async def _set_clock(self, now: datetime) -> None:
        await self._database.execute(
            "INSERT INTO simulated_clock (now) VALUES ($1) ON CONFLICT (only_row) DO UPDATE SET now = excluded.now", now
        )
        self._now = now

    async def _standing(self) -> dict[str, int]:
        row = await self._database.fetchrow(
            "SELECT sum(applied)::bigint AS applied, sum(position)::bigint AS logged,"
            " sum(published)::bigint AS published,"
            " (SELECT coalesce(sum(position), 0)::bigint FROM ledger.positions) AS ledger,"
            " (SELECT coalesce(sum(position), 0)::bigint FROM loan_view.positions) AS view FROM partitions"
        )
        return {**row, "read": min(row["ledger"], row["view"])}

    async def _until(self, reached: Any, seconds: float = 300) -> None:
        async with asyncio.timeout(seconds):
            while not reached(await self._standing()):  # noqa: ASYNC110 - another process moves on, not this loop
                await asyncio.sleep(PROBE_SECONDS)

    async def _until_quiet(self) -> None:
        """Nothing due, everything published, every read model up to date."""
        async with asyncio.timeout(300):
            while True:
                standing = await self._standing()
                due = await self._database.fetchval("SELECT count(*) FROM agenda WHERE due_at <= $1", self._now)
                if not due and standing["logged"] == standing["published"] == standing["read"]:
                    return
                await asyncio.sleep(PROBE_SECONDS)


def percentiles(sent: list[float], done: list[float]) -> dict[str, float]:
    """Milliseconds: the median and the 99th percentile."""
    waits = sorted((end - start) * 1000 for start, end in zip(sent, done, strict=True))
    return {"p50": round(waits[len(waits) // 2], 1), "p99": round(waits[len(waits) * 99 // 100], 1)}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
