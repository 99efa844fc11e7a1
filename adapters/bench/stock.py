"""(b) The stock pieces put together plainly: a Faust agent, and the library's own PostgreSQL application.

The same aggregate, decisions and outcomes; one message at a time: load the loan, change it, save it. What is left
out is everything that Qist adds (agenda, ledger, read models, publishing), so the comparison favours the stock pieces.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any
from urllib.parse import urlparse

from adapters.bench import loans
from adapters.settings import Settings

TOPIC = "bench.stock-outcomes"


def application(dsn: str) -> Any:
    """The eventsourcing library's application on PostgreSQL, as its documentation sets it up."""
    from eventsourcing.application import Application

    place = urlparse(dsn)

    class Loans(Application[str]):
        env = {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": place.path.lstrip("/"),
            "POSTGRES_HOST": place.hostname or "127.0.0.1",
            "POSTGRES_PORT": str(place.port or 5432),
            "POSTGRES_USER": place.username or "postgres",
            "POSTGRES_PASSWORD": place.password or "",
            "ORIGINATOR_ID_TYPE": "text",
        }

    return Loans()


async def measure(settings: Settings, count: int) -> dict[str, Any]:
    """Outcomes a second through a Faust worker in a process of its own."""
    from adapters.kafka import new_producer

    stock = application(settings.database_dsn())
    for number in range(count):
        stock.save(loans.loan_at(number, 1))
    stock.close()
    producer = new_producer(settings, "bench")
    await producer.start()
    try:
        for number in range(count):
            value, headers = loans.outcome(number, 1)
            await producer.send(TOPIC, value=value, key=loans.loan_id(number).encode(), headers=headers, partition=0)
        await producer.flush()
    finally:
        await producer.stop()
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "adapters.bench.stock",
        str(count),
        env={**os.environ, **settings.environment()},
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await asyncio.wait_for(worker.communicate(), 300)
    seconds = float(told.decode().strip().splitlines()[-1])
    return {"outcomes": count, "outcomes_per_second": round(count / seconds)}


def work(count: int) -> None:
    """The worker: prints the seconds from the first message to the last."""
    import faust

    from adapters.house import load_rules
    from domain.life import handle
    from streams.envelope import Record
    from streams.wire import understand

    settings = Settings.load()
    stock = application(settings.database_dsn())
    rules = load_rules()
    app = faust.App(
        "qist-bench-stock",
        broker=f"kafka://{settings.kafka_bootstrap}",
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        broker_session_timeout=6,
        broker_heartbeat_interval=2,
        consumer_auto_offset_reset="earliest",
        worker_redirect_stdouts=False,
        datadir=str(settings.data_dir / "stock-bench"),
    )
    topic = app.topic(TOPIC, value_serializer="raw", key_serializer="raw", partitions=1)
    times: list[float] = []

    @app.agent(topic)
    async def outcomes(stream: Any) -> None:
        async for event in stream.events():
            times.append(time.perf_counter())
            headers = tuple(dict(event.headers or {}).items())
            record = Record(
                "gateway.debit-outcomes", 0, event.message.offset, event.message.key, headers, event.message.value
            )
            message = understand(record)
            loan = stock.repository.get(message.loan_id)
            handle(loan, message.command, loans.debit_hour(1), rules)
            stock.save(loan)
            if len(times) == count:
                print(time.perf_counter() - times[0], flush=True)
                os._exit(0)

    app.finalize()
    worker = faust.Worker(app, loglevel="warn")
    worker.execute_from_commandline()


if __name__ == "__main__":
    work(int(sys.argv[1]))
