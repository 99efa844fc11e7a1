"""The gateway role: settings in, a desk for each gateway, until told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack

import asyncpg
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from adapters.clocks import clock_of
from adapters.database import open_house
from adapters.errors import Explained
from adapters.gateways.calls import Calls
from adapters.gateways.config import Api, Files, GatewayRefused, load_gateways, open_gateway, vendor_of
from adapters.gateways.desk import INSTRUCTIONS, Desk, Outgoing
from adapters.kafka import client_options, new_producer
from adapters.readiness import announce_ready
from adapters.roles.engine import crash_points
from adapters.settings import Settings
from adapters.vault import Vault, master_key
from streams.envelope import Record
from streams.ports import LogUnreachable
from streams.topics import partition_of

log = structlog.get_logger("gateway")

POLL_MS = 200
POLLED_AT_MOST = 1_000


async def run_gateway(settings: Settings, stop: asyncio.Event, *, names: Collection[str] = ()) -> None:
    """Serve these gateways, all that are configured unless named, until `stop`."""
    gateways = chosen(load_gateways(settings), names)
    if settings.kafka_bootstrap is None:
        raise Explained("no broker: set QIST_KAFKA_BOOTSTRAP, or start everything together with `qist up`")
    pool = await open_house(settings, name="gateway", size=max(settings.database_pool_size, 4 * len(gateways)))
    secret = settings.vault_key.get_secret_value() if settings.vault_key else None
    vault = Vault(master_key(secret, settings.data_dir))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(pool.close)
        producer = new_producer(settings, "gateway")
        await producer.start()
        stack.push_async_callback(producer.stop)
        desks = [
            await a_desk(stack, settings, name, config, pool, vault, producer) for name, config in gateways.items()
        ]
        announce_ready()
        log.info("serving", gateways=list(gateways))
        async with asyncio.TaskGroup() as group:
            for desk in desks:
                group.create_task(desk.run(stop))


def chosen(gateways: dict[str, Api | Files], names: Collection[str]) -> dict[str, Api | Files]:
    """Those of these names; `GatewayRefused` when one is not there, or when there is none at all."""
    if not gateways:
        raise GatewayRefused("no gateway: QIST_GATEWAYS_FILE names the file where they are; see docs/gateways.md")
    unknown = sorted(set(names) - gateways.keys())
    if unknown:
        raise GatewayRefused(f"no gateway {', '.join(unknown)}; there are {', '.join(gateways)}")
    return {name: config for name, config in gateways.items() if not names or name in names}


async def a_desk(
    stack: AsyncExitStack,
    settings: Settings,
    name: str,
    config: Api | Files,
    pool: asyncpg.Pool,
    vault: Vault,
    producer: AIOKafkaProducer,
) -> Desk:
    consumer = AIOKafkaConsumer(
        *INSTRUCTIONS,
        **client_options(settings, f"gateway-{name}"),
        group_id=f"{settings.gateway_group}-{name}",
        group_instance_id=f"{settings.instance}-{name}" if settings.instance else None,
        enable_auto_commit=False,
        # From the first record: what is known is not done twice, and what is old is looked up and not presented.
        auto_offset_reset="earliest",
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=max(300, settings.session_timeout_ms // 4),
        fetch_max_wait_ms=50,
        retry_backoff_ms=500,  # a broker that is away is a line of the log each time
    )
    await consumer.start()
    stack.push_async_callback(consumer.stop)
    return Desk(
        gateway=open_gateway(name, config, settings),
        takes=config,
        calls=Calls(pool, name, vault, config.patience),
        inbox=KafkaInstructions(consumer),
        sender=KafkaOutcomes(producer),
        home=lambda loan_id: partition_of(loan_id, settings.partitions),
        clock=clock_of(settings, pool),
        webhooks=vendor_of(config) if isinstance(config, Api) else None,
        crash_at=crash_points(),
    )


class KafkaInstructions:
    """`desk.Inbox`: a group member that commits what is written down."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def poll(self) -> Sequence[Record]:
        try:
            fetched = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=POLLED_AT_MOST)
        except KafkaError as error:
            raise LogUnreachable(repr(error)) from error
        return [
            Record(part.topic, part.partition, found.offset, found.key, tuple(found.headers), found.value)
            for part, records in fetched.items()
            for found in records
        ]

    async def commit(self) -> None:
        try:
            await self._consumer.commit()
        except KafkaError as error:  # moved to another member, or the broker is away: read again, and known by then
            log.info("offsets were not committed", error=repr(error))


class KafkaOutcomes:
    """`desk.Sender`: every record is on all replicas before it counts as told."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def send(self, records: Sequence[Outgoing]) -> None:
        try:
            sent = [
                await self._producer.send(
                    one.topic, partition=one.partition, key=one.key, value=one.value, headers=list(one.headers)
                )
                for one in records
            ]
            await asyncio.gather(*sent)
        except KafkaError as error:
            raise LogUnreachable(repr(error)) from error
