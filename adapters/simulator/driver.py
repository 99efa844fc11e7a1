"""Drives a simulated world against a running Qist, one moment at a time.

The clock jumps to the next moment at which anything happens (the world sends, or a loan's agenda is due) and stands
still until Qist has dealt with it. So a year takes minutes, however fast or slow the machine is, and the same seed
gives the same money: no decision depends on who was faster.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from adapters.kafka import client_options, cluster_identity, new_producer
from adapters.settings import Settings
from adapters.simulator.at_gateways import Gateways
from adapters.simulator.world import Sending, World
from domain.calendar import ist_day
from streams.envelope import headers_for
from streams.topics import (
    COMMANDS,
    DEBIT_INSTRUCTIONS,
    LOAN_EVENTS,
    MANDATE_INSTRUCTIONS,
    PAYMENT_LINKS,
    PAYOUT_INSTRUCTIONS,
)

STEP = timedelta(hours=1)
"""Moments within an hour are dealt with together, each at its own business time."""
HEARD = (
    PAYOUT_INSTRUCTIONS.name,
    DEBIT_INSTRUCTIONS.name,
    MANDATE_INSTRUCTIONS.name,
    PAYMENT_LINKS.name,
    LOAN_EVENTS.name,
)
INSTRUCTING = {
    "loan.payout-instructed.v1": "instruction_id",
    "loan.refund-instructed.v1": "instruction_id",
    "loan.debit-attempted.v1": "instruction_id",
    "loan.mandate-requested.v1": "request_id",
    "loan.payment-link-offered.v1": "link_id",
}
"""Events that an instruction follows from, and what they call its id."""
TELLING = (*INSTRUCTING, "loan.preclosure-quoted.v1", "loan.case-opened.v1", "loan.case-closed.v1")
IMPATIENT_SECONDS = 60
"""Qist deals with a moment in well under a second; after this long it is stuck, and the demo says so."""


class Stuck(Exception):
    """Qist does not come to rest: what it still waits for is in the message."""


@dataclass(slots=True)
class Standing:
    """How far Qist is, as its database says."""

    read: bool
    agenda_at: datetime | None
    logged: int
    published: int
    positions: dict[int, int]

    def rests(self, moment: datetime) -> bool:
        """Everything sent is read, everything due is done, everything decided is published."""
        done = self.agenda_at is None or self.agenda_at > moment
        return self.read and done and self.logged == self.published


class Driver:
    """One simulation."""

    def __init__(
        self,
        settings: Settings,
        world: World,
        start: datetime,
        until: datetime,
        gateways: Gateways | None = None,
    ) -> None:
        self._settings = settings
        self._gateways = gateways
        self._world = world
        self.now = start
        self._until = until
        self._sent: dict[tuple[str, int], int] = {}
        self._heard: dict[int, int] = defaultdict(int)
        self._asked: set[str] = set()
        self._told: set[str] = set()
        self.messages = 0
        self.commands = 0
        """Those of the messages that were commands."""
        self.outcomes = 0
        """What gateways behind real adapters have told."""
        self._to_gateway_topics = 0
        self.events = 0

    async def run(
        self,
        on_step: Callable[[Driver], None] = lambda driver: None,
        enough: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Live until the end, or until somebody has had enough (then True). The world hears all that Qist asks for."""
        self._database = await asyncpg.connect(self._settings.database_dsn())
        self._cluster = await cluster_identity(self._settings, "simulator")
        self._producer: AIOKafkaProducer = new_producer(self._settings, "simulator")
        self._consumer = AIOKafkaConsumer(
            **client_options(self._settings, "simulator"), enable_auto_commit=False, fetch_max_wait_ms=10
        )
        await self._producer.start()
        await self._consumer.start()
        try:
            await self._listen_from_now_on()
            await self._set_clock(self.now)
            while (moment := await self._next_moment()) is not None:
                if ist_day(moment) != ist_day(self.now):  # a day's decisions look at all of the days before
                    await projections_caught_up(self._database)
                self.now = moment
                await self._set_clock(moment)
                await self._deal_with(moment)
                on_step(self)
                if enough():
                    return True
            self.now = self._until
            await self._set_clock(self._until)
            await self._come_to_rest(self._until)
            return False
        finally:
            await self._consumer.stop()
            await self._producer.stop()
            await self._database.close()

    async def _listen_from_now_on(self) -> None:
        parts = [TopicPartition(topic, number) for topic in HEARD for number in range(self._settings.partitions)]
        self._consumer.assign(parts)
        await self._consumer.seek_to_end(*parts)
        for part in parts:
            await self._consumer.position(part)
        for row in await self._database.fetch("SELECT partition, published FROM partitions"):
            self._heard[row["partition"]] = row["published"]

    # --- time ------------------------------------------------------------------------------------------------

    async def _set_clock(self, now: datetime) -> None:
        await self._database.execute(
            "INSERT INTO simulated_clock (now) VALUES ($1) ON CONFLICT (only_row) DO UPDATE SET now = excluded.now", now
        )

    async def _next_moment(self) -> datetime | None:
        agenda_at = await self._database.fetchval("SELECT min(due_at) FROM agenda")
        moments = [at for at in (agenda_at, self._world.next_at) if at is not None]
        if not moments:
            return None
        # Seconds count since the start: the same moments for the same seed, whatever the zone.
        steps = -(-(min(moments) - self.now) // STEP) if min(moments) > self.now else 1
        moment = self.now + max(1, steps) * STEP
        return moment if moment < self._until else None

    async def _deal_with(self, moment: datetime) -> None:
        """Send what the world has to say, and wait until Qist has nothing left to do at this moment."""
        while True:
            sendings = self._world.sendings(moment)
            await self._send(sendings)
            await self._come_to_rest(moment)
            if not sendings and (self._world.next_at is None or self._world.next_at > moment):
                return

    async def _send(self, sendings: list[Sending]) -> None:
        futures: list[tuple[str, asyncio.Future[Any]]] = []
        for sending in sendings:
            headers = headers_for(sending.type, sending.identity, "simulator", sending.at)
            value = sending.raw if sending.raw is not None else orjson.dumps(sending.body)
            for _ in range(sending.times):
                sent = await self._producer.send(sending.topic, value=value, key=sending.key.encode(), headers=headers)
                futures.append((sending.topic, sent))
        for topic, future in futures:
            stored = await future
            self._sent[topic, stored.partition] = max(self._sent.get((topic, stored.partition), 0), stored.offset + 1)
        self.messages += len(futures)
        self._to_gateway_topics += sum(topic.startswith("gateway.") for topic, _ in futures)
        self.commands += sum(topic == COMMANDS.name for topic, _ in futures)

    # --- rest ------------------------------------------------------------------------------------------------

    async def _come_to_rest(self, moment: datetime) -> None:
        try:
            async with asyncio.timeout(IMPATIENT_SECONDS) as patience:
                while True:
                    standing = await self._standing()
                    if standing.rests(moment) and self._all_heard(standing) and await self._gateways_rest(standing):
                        self.events = standing.logged
                        return
                    if await self._hear():
                        patience.reschedule(asyncio.get_running_loop().time() + IMPATIENT_SECONDS)
        except TimeoutError:
            waits = self._gateways.waits_for if self._gateways is not None else ""
            raise Stuck(
                f"at {moment.isoformat()} Qist has not come to rest in {IMPATIENT_SECONDS} s: "
                f"{waits} {await self._standing()}"
            ) from None

    async def _gateways_rest(self, standing: Standing) -> bool:
        """Every order is answered, every outcome is read, and nothing has happened since."""
        if self._gateways is None:
            return True
        told = await self._gateways.rest(self._database)
        if told is None:
            await asyncio.sleep(0.02)
            return False
        self.outcomes = told
        read = await self._database.fetchval(
            "SELECT coalesce(sum(next_offset), 0)::bigint FROM inbound_offsets"
            " WHERE cluster_id = $1 AND topic LIKE 'gateway.%'",
            self._cluster,
        )
        again = await self._standing()
        return read >= self._to_gateway_topics + told and (again.logged, again.published) == (
            standing.logged,
            standing.logged,
        )

    async def _standing(self) -> Standing:
        """All of one instant: a batch that commits between two looks would be in the one and not in the other."""
        async with self._database.transaction(isolation="repeatable_read", readonly=True):
            partitions = await self._database.fetch("SELECT partition, position, published FROM partitions")
            offsets = await self._database.fetch(
                "SELECT topic, partition, next_offset FROM inbound_offsets WHERE cluster_id = $1", self._cluster
            )
            agenda_at = await self._database.fetchval("SELECT min(due_at) FROM agenda")
        reached = {(row["topic"], row["partition"]): row["next_offset"] for row in offsets}
        return Standing(
            read=all(reached.get(place, 0) >= end for place, end in self._sent.items()),
            agenda_at=agenda_at,
            logged=sum(row["position"] for row in partitions),
            published=sum(row["published"] for row in partitions),
            positions={row["partition"]: row["position"] for row in partitions},
        )

    def _all_heard(self, standing: Standing) -> bool:
        """Every event, and every instruction that an event speaks of: topics have no order between them, and not every
        broker says rightly where a partition ends."""
        events = all(self._heard[partition] >= position for partition, position in standing.positions.items())
        return events and self._asked <= self._told

    async def _hear(self) -> int:
        """Tell the world what Qist asks for."""
        fetched = await self._consumer.getmany(timeout_ms=3)
        heard = 0
        for part, records in fetched.items():
            for record in records:
                heard += 1
                headers = dict(record.headers)
                kind = headers["ce_type"].decode()
                if part.topic == LOAN_EVENTS.name:
                    partition, _, position = headers["qist_position"].decode().partition(":")
                    self._heard[int(partition)] = max(self._heard[int(partition)], int(position))
                    if kind not in TELLING:
                        continue
                body = orjson.loads(record.value or b"{}")
                if kind in INSTRUCTING:
                    self._asked.add(body[INSTRUCTING[kind]])
                    continue
                if part.topic != LOAN_EVENTS.name:
                    self._told.add(body["instruction_id"])
                    if self._gateways is not None:
                        self._gateways.heard(kind, body)
                self._world.hear(kind, body, datetime.fromisoformat(headers["ce_time"].decode()))
        return heard


async def projections_caught_up(database: asyncpg.Connection, seconds: float = 120) -> None:
    """Wait until every read model stands where the log does."""
    async with asyncio.timeout(seconds):
        while True:
            behind = await database.fetchval(
                "SELECT count(*) FROM partitions p"
                " LEFT JOIN ledger.positions l USING (partition) LEFT JOIN dashboard.positions d USING (partition)"
                " LEFT JOIN loan_view.positions v USING (partition) LEFT JOIN delinquency.positions q USING (partition)"
                " LEFT JOIN collections.positions c USING (partition)"
                " LEFT JOIN reconciliation.positions r USING (partition)"
                " WHERE p.position > 0 AND least(coalesce(l.position, 0), coalesce(d.position, 0),"
                " coalesce(v.position, 0), coalesce(q.position, 0), coalesce(c.position, 0), coalesce(r.position, 0))"
                " < p.position"
            )
            if behind == 0:
                return
            await asyncio.sleep(0.05)
