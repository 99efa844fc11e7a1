"""(d) and (f): replaying a loan of a thousand events with and without its snapshot, and what a cached loan weighs."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta
from typing import Any

from adapters.bench import loans
from adapters.house import load_rules
from domain import commands as c
from domain import snapshot
from domain.codec import decode, encode
from domain.life import handle
from domain.loan import Loan


def measure_replay(events: int = 1_000, times: int = 20) -> dict[str, Any]:
    """Milliseconds to have the loan in hand."""
    stored = [(event.TOPIC, encode(event)) for event in history(events)]
    loan = fold(stored)
    state = snapshot.dump(loan)
    tail = stored[-50:]

    def whole() -> None:
        fold(stored)

    def from_snapshot() -> None:
        resumed = snapshot.load(loan.id, state)
        for offset, (topic, data) in enumerate(tail):
            decode(topic, data, loan.id, resumed.version + offset + 1)

    return {
        "events": len(stored),
        "without_snapshot_ms": best_ms(whole, times),
        "with_snapshot_and_50_more_ms": best_ms(from_snapshot, times),
        "snapshot_bytes": len(state),
    }


def history(events: int) -> list[Any]:
    """A long life: instalments paid, and small charges levied and paid, until there are enough events."""
    rules = load_rules()
    loan = loans.loan_at(1, 1)
    now = loans.debit_hour(1)
    while loan.version < events:
        now += timedelta(hours=1)
        handle(loan, c.LevyCharge(command_id=f"charge:{loan.version}", kind="visit", reason="bench"), now, rules)
        payment = c.ReceivePayment(
            reference=f"UPI-{loan.version}", method="upi", amount_paise=23_600, value_on=now.date()
        )
        handle(loan, payment, now, rules)
    return loan.take_events()


def fold(stored: list[tuple[str, bytes]]) -> Loan:
    loan = Loan.shell(loans.loan_id(1))
    for version, (topic, state) in enumerate(stored, start=1):
        loan.evolve(decode(topic, state, loan.id, version))
    return loan


def best_ms(work: Any, times: int) -> float:
    best = float("inf")
    for _ in range(times):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return round(best * 1000, 2)


def measure_memory(count: int = 3_000) -> dict[str, Any]:
    """Bytes a loan of 24 instalments keeps resident, halfway through its life, in a process of its own."""
    told = subprocess.run(
        [sys.executable, "-m", "adapters.bench.replay", str(count)], capture_output=True, text=True, check=True
    )
    return {"loans": count, "bytes_per_cached_loan": int(told.stdout.strip())}


def weigh(count: int) -> int:
    import gc

    import psutil

    process = psutil.Process()
    stored = [(event.TOPIC, encode(event)) for event in loans.loan_at(1, 12).take_events()]
    fold(stored)
    gc.collect()
    before = process.memory_info().rss
    kept = [fold(stored) for _ in range(count)]
    gc.collect()
    return (process.memory_info().rss - before) // len(kept)


if __name__ == "__main__":
    print(weigh(int(sys.argv[1])))
