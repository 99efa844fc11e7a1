"""What tests stand on: a real PostgreSQL, and a real broker of either kind, each started when first asked for."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import NoReturn
from uuid import uuid4

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from adapters.embedded.broker import Broker, EmbeddedBroker
from adapters.embedded.kafka import ApacheKafka, KafkaMissing, fetch_jars
from adapters.embedded.postgres import EmbeddedPostgres

MakeDatabase = Callable[..., AbstractAsyncContextManager[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that uses the broker is a broker test, whether its author marked it or not."""
    for item in items:
        if {"broker", "new_broker"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.broker)


@pytest.fixture(scope="session")
def services_dir() -> Iterator[Path]:
    """A folder with a short path (sockets need one) that PostgreSQL's account can pass through when we are root."""
    folder = Path(tempfile.mkdtemp(prefix="qist-tests-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
async def postgres(services_dir: Path) -> AsyncIterator[EmbeddedPostgres]:
    """One server for the session; take a `database` of it."""
    async with EmbeddedPostgres(data_dir=services_dir) as server:
        yield server


@pytest.fixture(scope="session")
def make_database(postgres: EmbeddedPostgres) -> MakeDatabase:
    """`async with make_database() as dsn`: a database that is gone afterwards; for fixtures of a wider scope."""

    @asynccontextmanager
    async def made(*, template: str = "template1") -> AsyncIterator[str]:
        name = f"test_{uuid4().hex[:12]}"
        await _as_administrator(postgres, f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield postgres.url_of(name)
        finally:
            # A test that fails may leave connections open; they must not fail the next test.
            await _as_administrator(postgres, f"DROP DATABASE {name} WITH (FORCE)")

    return made


@pytest.fixture
async def database(make_database: MakeDatabase) -> AsyncIterator[str]:
    """The URL of an empty database, for one test."""
    async with make_database() as dsn:
        yield dsn


KINDS = ["tansu", "kafka"]


@pytest.fixture(scope="session", params=KINDS)
async def broker(request: pytest.FixtureRequest, services_dir: Path) -> AsyncIterator[Broker]:
    """A broker: each test that asks for it runs on the embedded one and on Apache Kafka."""
    made = await _started(request.param, services_dir)
    yield made
    await made.stop()


@pytest.fixture(params=KINDS)
async def new_broker(request: pytest.FixtureRequest, services_dir: Path) -> AsyncIterator[Broker]:
    """A broker of one test alone, with nothing on it: for tests that own the topics, whose names are fixed."""
    folder = Path(tempfile.mkdtemp(dir=services_dir))
    made = await _started(request.param, folder)
    yield made
    await made.stop()
    shutil.rmtree(folder, ignore_errors=True)


async def _started(kind: str, folder: Path) -> Broker:
    try:
        if kind == "kafka":
            fetch_jars()
        made = EmbeddedBroker(data_dir=folder) if kind == "tansu" else ApacheKafka(data_dir=folder)
        await made.start()
    except KafkaMissing as missing:
        without_kafka(missing)
    return made


@pytest.fixture(scope="module")
async def bootstrap(broker: Broker) -> AsyncIterator[str]:
    """The broker's address. Topics go with the module that made them: modules differ in their partition counts."""
    yield broker.bootstrap
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        ours = [topic for topic in await admin.list_topics() if not topic.startswith("__")]
        if ours:
            await admin.delete_topics(ours)
    finally:
        await admin.close()


def without_kafka(missing: KafkaMissing) -> NoReturn:
    """A person without Java may go on; where the build is decided, everything runs."""
    if os.environ.get("CI"):
        pytest.fail(str(missing), pytrace=False)
    pytest.skip(str(missing))


async def _as_administrator(server: EmbeddedPostgres, statement: str) -> None:
    connection = await asyncpg.connect(server.url_of("postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
