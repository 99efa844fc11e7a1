"""The embedded services: they start, say what is wrong in words, and leave nothing behind."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from adapters.embedded.broker import Broker, EmbeddedBroker
from adapters.embedded.kafka import ApacheKafka, KafkaMissing
from adapters.embedded.ports import LOOPBACK, PortTaken, free_port, is_free
from adapters.embedded.postgres import EmbeddedPostgres, PostgresUnusable
from adapters.embedded.services import services
from adapters.processes import ChildProcess, ProcessFailed
from adapters.settings import Settings
from tests.eventually import eventually

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data_dir(services_dir: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(dir=services_dir))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def a_listener() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen()
        yield listener.getsockname()[1]


def gone(pid: int | None) -> bool:
    assert pid is not None
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class TestPostgres:
    async def test_is_version_18_and_durable(self, database: str):
        connection = await asyncpg.connect(database)
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
            assert await connection.fetchval(f"SHOW {setting}") == "on"
        assert connection.get_server_version().major == 18
        await connection.close()

    async def test_keeps_data_and_password_over_a_restart(self, data_dir: Path):
        async with EmbeddedPostgres(data_dir=data_dir) as first:
            connection = await asyncpg.connect(first.url)
            await connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
            await connection.close()
        async with EmbeddedPostgres(data_dir=data_dir) as second:
            connection = await asyncpg.connect(second.url)
            assert await connection.fetchval("SELECT number FROM kept") == 7
            await connection.close()

    async def test_stop_leaves_no_process_and_no_port(self, data_dir: Path):
        async with EmbeddedPostgres(data_dir=data_dir) as server:
            pid, port = server.pid, server.port
            assert port is not None
            assert not is_free(port)
        assert gone(pid)
        assert is_free(port)
        assert not (server.folder / "postmaster.pid").exists()

    async def test_can_listen_on_a_socket_alone(self, data_dir: Path):
        async with EmbeddedPostgres(data_dir=data_dir, port=0) as server:
            connection = await asyncpg.connect(server.url)
            assert await connection.fetchval("SELECT inet_server_addr()") is None
            await connection.close()

    async def test_takes_a_socket_elsewhere_when_the_folder_s_name_is_too_long(self, data_dir: Path):
        deep = data_dir / ("n" * 90)
        async with EmbeddedPostgres(data_dir=deep, port=0) as server:
            await (await asyncpg.connect(server.url)).close()

    async def test_lets_nobody_in_without_the_password(self, postgres: EmbeddedPostgres):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(host=LOOPBACK, port=postgres.port, user="qist", password="guess")

    async def test_refuses_a_folder_of_another_version_in_words(self, data_dir: Path):
        folder = data_dir / "postgres"
        folder.mkdir()
        (folder / "PG_VERSION").write_text("16\n")
        with pytest.raises(PostgresUnusable, match="made by PostgreSQL 16, and this is PostgreSQL 18"):
            await EmbeddedPostgres(data_dir=data_dir).start()

    async def test_refuses_a_folder_that_holds_something_else(self, data_dir: Path):
        (data_dir / "postgres").mkdir()
        (data_dir / "postgres" / "holiday.jpg").touch()
        with pytest.raises(PostgresUnusable, match="not PostgreSQL's data"):
            await EmbeddedPostgres(data_dir=data_dir).start()

    async def test_refuses_a_folder_that_is_being_served(self, data_dir: Path):
        async with EmbeddedPostgres(data_dir=data_dir) as server:
            with pytest.raises(PostgresUnusable, match=rf"already runs .*process {server.pid}"):
                await EmbeddedPostgres(data_dir=data_dir).start()
            server.ensure_running()

    async def test_starts_over_a_lock_left_by_a_crash(self, data_dir: Path):
        async with EmbeddedPostgres(data_dir=data_dir) as server:
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            await eventually(lambda: gone(server.pid))
            assert (server.folder / "postmaster.pid").exists()
        async with EmbeddedPostgres(data_dir=data_dir) as again:
            await (await asyncpg.connect(again.url)).close()

    async def test_starts_over_a_lock_whose_process_number_is_now_another_program_s(self, data_dir: Path):
        async with EmbeddedPostgres(data_dir=data_dir) as server:
            lock = (server.folder / "postmaster.pid").read_text().splitlines()
        (server.folder / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lock[1:]]))
        async with EmbeddedPostgres(data_dir=data_dir):
            pass

    async def test_an_interrupted_first_start_leaves_nothing_that_looks_whole(self, data_dir: Path):
        draft = data_dir / "postgres.new"
        draft.mkdir()
        (draft / "PG_VERSION").write_text("18\n")
        async with EmbeddedPostgres(data_dir=data_dir) as server:
            await (await asyncpg.connect(server.url)).close()


class TestBroker:
    async def test_answers_and_carries_headers(self, bootstrap: str):
        topic = f"hello-{free_port()}"
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(topic, 3, 1)])
        await admin.close()
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
            await producer.send_and_wait(topic, b"{}", key=b"LN-1", headers=[("ce_type", b"hello")])
        async with AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
            record = await asyncio.wait_for(consumer.getone(), 20)
        assert (record.key, record.value, record.headers) == (b"LN-1", b"{}", (("ce_type", b"hello"),))

    async def test_listens_on_the_loopback_address_only(self, broker: Broker):
        assert isinstance(broker, EmbeddedBroker | ApacheKafka)
        assert broker.pid is not None
        listening = [
            connection.laddr.ip
            for connection in psutil.Process(broker.pid).net_connections()
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening
        assert {address.removeprefix("::ffff:") for address in listening} == {LOOPBACK}

    async def test_the_embedded_one_is_another_cluster_at_each_start(self, data_dir: Path):
        assert EmbeddedBroker(data_dir=data_dir).cluster_id != EmbeddedBroker(data_dir=data_dir).cluster_id

    async def test_stop_leaves_no_process_and_no_port(self, data_dir: Path):
        async with EmbeddedBroker(data_dir=data_dir) as server:
            pid, port = server.pid, server.port
        assert gone(pid)
        assert port is not None
        assert is_free(port)

    async def test_kafka_without_its_jars_says_how_to_get_them(self, data_dir: Path):
        if shutil.which("java") is None:
            pytest.skip("needs Java")
        with pytest.raises(KafkaMissing, match="make kafka-jars"):
            await ApacheKafka(data_dir=data_dir, jars=data_dir / "none").start()

    async def test_kafka_without_java_says_what_to_install(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("PATH", "/nowhere")
        with pytest.raises(KafkaMissing, match="install Java 17"):
            await ApacheKafka(data_dir=data_dir).start()


@pytest.mark.broker
class TestServices:
    async def test_both_run_inside_the_block_and_neither_after_it(self, data_dir: Path):
        settings = Settings(data_dir=data_dir, postgres_port=free_port(), broker_port=free_port())
        async with services(settings) as running:
            running.ensure_running()
            assert running.settings.database_dsn() == running.database_url
            pids = [service.pid for service in running.embedded]
            assert len(pids) == 2
        assert all(gone(pid) for pid in pids)

    async def test_what_the_settings_name_is_not_started(self, data_dir: Path):
        settings = Settings(data_dir=data_dir, kafka_bootstrap="kafka:9092", database_url="postgresql://db/x")
        async with services(settings) as running:
            assert running.embedded == ()
            assert (running.bootstrap, running.database_url) == ("kafka:9092", "postgresql://db/x")

    async def test_a_taken_default_port_is_replaced_and_said(self, data_dir: Path):
        with a_listener() as taken:
            values = Settings(data_dir=data_dir, database_url="postgresql://db/x").model_dump()
            settings = Settings.model_construct(set(), **values | {"broker_port": taken})
            async with services(settings) as running:
                assert running.notes[0].startswith(f"port {taken} is taken, so the broker listens on ")
                assert running.bootstrap != f"{LOOPBACK}:{taken}"

    async def test_a_taken_port_that_was_asked_for_is_an_error_and_stops_what_was_started(self, data_dir: Path):
        with a_listener() as taken:
            settings = Settings(data_dir=data_dir, postgres_port=free_port(), broker_port=taken)
            with pytest.raises(PortTaken, match=f"port {taken} for the broker is taken"):
                async with services(settings):
                    pass
        assert is_free(settings.postgres_port)

    async def test_a_dead_service_is_named_with_its_last_words(self, data_dir: Path):
        async with EmbeddedBroker(data_dir=data_dir) as server:
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            with pytest.raises(ProcessFailed, match=r"the embedded broker ended by SIGKILL; the end of .*log"):
                await eventually(lambda: server.ensure_running())

    async def test_nothing_outlives_a_starter_that_is_killed(self, data_dir: Path):
        starter = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _STARTER, str(data_dir), stdout=subprocess.PIPE, cwd=ROOT
        )
        assert starter.stdout is not None
        pids = [int(pid) for pid in (await starter.stdout.readline()).split()]
        assert len(pids) == 2
        starter.kill()
        await starter.wait()
        await eventually(lambda: all(gone(pid) for pid in pids))
        async with EmbeddedPostgres(data_dir=data_dir) as server:  # and it ended well enough to start again
            await (await asyncpg.connect(server.url)).close()


class TestChildProcess:
    async def test_says_how_it_ended_and_what_it_said_last(self, data_dir: Path):
        child = a_child(data_dir, "import sys; print('no such table: loans'); sys.exit(3)")
        child.spawn()
        await child.wait()
        with pytest.raises(ProcessFailed, match=r"(?s)engine ended with status 3.*no such table: loans"):
            child.ensure_running()

    async def test_one_that_will_not_stop_is_killed(self, data_dir: Path):
        child = a_child(data_dir, _STUBBORN, stop_seconds=0.3)
        child.spawn()
        await eventually(lambda: "ready" in child.last_lines())
        await child.stop()
        assert child.exit_status == -signal.SIGKILL

    async def test_puts_a_log_aside_that_grew_too_long(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("adapters.processes._LOG_BYTES", 10)
        (data_dir / "engine.log").write_text("of an earlier life")
        child = a_child(data_dir, "print('new')")
        child.spawn()
        await child.wait()
        assert (data_dir / "engine.log.1").read_text() == "of an earlier life"
        assert (data_dir / "engine.log").read_text() == "new\n"

    async def test_waiting_for_one_that_dies_raises_at_once(self, data_dir: Path):
        child = a_child(data_dir, "raise SystemExit('cannot')")
        child.spawn()

        async def never() -> bool:
            return False

        with pytest.raises(ProcessFailed, match="cannot"):
            await child.wait_until(never, seconds=30)


def a_child(data_dir: Path, code: str, **options) -> ChildProcess:
    return ChildProcess(name="engine", command=[sys.executable, "-uc", code], log=data_dir / "engine.log", **options)


_STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready")
time.sleep(60)
"""

_STARTER = """
import asyncio, sys
from pathlib import Path
from adapters.embedded.ports import free_port
from adapters.embedded.services import services
from adapters.settings import Settings
from tests.eventually import eventually

async def main():
    settings = Settings(data_dir=Path(sys.argv[1]), postgres_port=free_port(), broker_port=free_port())
    async with services(settings) as running:
        print(*[service.pid for service in running.embedded], flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""
