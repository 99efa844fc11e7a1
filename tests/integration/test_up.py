"""All of Qist on one machine: roles start, are watched, and are gone afterwards."""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from adapters.embedded.ports import free_port, is_free
from adapters.event_store.migrate import MigrationError
from adapters.processes import ProcessFailed
from adapters.settings import Settings
from adapters.system import Role, follow, system
from tests.eventually import eventually

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.broker


def a_role(name: str, *, after_ready: str = "time.sleep(600)") -> Role:
    """A stand-in for a role: says that it is ready, then does as told."""
    code = f"import time, os, sys; from adapters.readiness import announce_ready; announce_ready(); {after_ready}"
    return Role(name, [sys.executable, "-uc", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"])


@pytest.fixture
def settings(services_dir: Path) -> Iterator[Settings]:
    folder = Path(tempfile.mkdtemp(dir=services_dir))
    yield Settings(
        data_dir=folder,
        partitions=4,
        postgres_port=free_port(),
        broker_port=free_port(),
        http_port=free_port(),
        clock="simulated",
        clock_start="2026-01-01T00:00:00+05:30",  # pyright: ignore[reportArgumentType]
    )
    shutil.rmtree(folder, ignore_errors=True)


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


async def test_roles_find_database_topics_and_clock_ready(settings: Settings):
    tell = "print({k: v for k, v in os.environ.items() if k.startswith('QIST_')}); time.sleep(600)"
    async with system(settings, roles=[a_role("engine", after_ready=tell), a_role("api")]) as up:
        assert up.notes == []
        up.ensure_running()
        connection = await asyncpg.connect(up.running.database_url)
        assert await connection.fetchval("SELECT partitions FROM house") == 4
        await connection.close()
        pids = [child.pid for child in up.children] + [service.pid for service in up.running.embedded]
        await eventually(lambda: "QIST_" in up.children[0].last_lines())
        said = up.children[0].last_lines()
    assert up.running.bootstrap in said
    assert "'QIST_CLOCK_ANCHOR'" in said
    assert alive([pid for pid in pids if pid]) == []
    assert len(pids) == 4
    assert all(is_free(port) for port in (settings.postgres_port, settings.broker_port, settings.http_port))


async def test_roles_stop_in_reverse_order(settings: Settings):
    farewell = (
        "import signal; signal.signal(signal.SIGTERM, lambda *_: ("
        "open(os.path.join(os.environ['QIST_DATA_DIR'], 'order'), 'a').write(NAME + ' '), sys.exit())); time.sleep(600)"
    )
    roles = [a_role(name, after_ready=farewell.replace("NAME", repr(name))) for name in ("engine", "projector", "api")]
    async with system(settings, roles=roles):
        await asyncio.sleep(0.3)
    assert (settings.data_dir / "order").read_text().split() == ["api", "projector", "engine"]


async def test_a_dead_role_is_named_with_its_status_and_last_words(settings: Settings):
    dies = a_role("engine", after_ready="time.sleep(0.3); print('no such table: loans'); sys.exit(3)")
    async with system(settings, roles=[dies, a_role("api")]) as up:
        with pytest.raises(ProcessFailed, match=r"(?s)^engine ended with status 3; the end of .*no such table: loans"):
            await asyncio.wait_for(up.watch(), 10)


async def test_a_role_that_dies_before_it_is_ready_stops_the_others(settings: Settings):
    broken = Role("projector", [sys.executable, "-c", "raise SystemExit('cannot read the log')"])
    with pytest.raises(ProcessFailed, match="cannot read the log"):
        async with system(settings, roles=[a_role("engine"), broken]):
            pass
    assert is_free(settings.postgres_port)
    assert is_free(settings.broker_port)


async def test_a_role_that_keeps_silent_is_mentioned_and_not_ended(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("adapters.system._READY_SECONDS", 0.3)
    silent = Role("streams", [sys.executable, "-c", "import time; time.sleep(600)"])
    async with system(settings, roles=[silent]) as up:
        assert up.notes[0].startswith("streams runs, but has not said that it is ready")
        up.ensure_running()


async def test_what_roles_log_can_be_followed(settings: Settings, capsys: pytest.CaptureFixture[str]):
    async with system(settings, roles=[a_role("engine", after_ready="print('batch'); time.sleep(600)")]) as up:
        following = asyncio.create_task(follow(up.children))
        await eventually(lambda: "batch" in up.children[0].last_lines())
        await asyncio.sleep(0.5)
        following.cancel()
    assert capsys.readouterr().err == "engine | batch\n"


async def test_another_partition_count_is_refused(settings: Settings):
    async with system(settings, roles=[]):
        pass
    with pytest.raises(MigrationError, match="4 partitions"):
        async with system(settings.model_copy(update={"partitions": 8}), roles=[]):
            pass


class TestCommand:
    """`qist up` itself; its roles are replaced by stand-ins, since what they do is tested elsewhere."""

    async def start(self, settings: Settings, *, roles: str = "[a_role('engine'), a_role('api')]"):
        code = (
            "import adapters.system, adapters.cli.main as cli\n"
            "from tests.integration.test_up import a_role\n"
            f"stand_ins = {roles}\n"
            "adapters.system.system.__wrapped__.__kwdefaults__['roles'] = stand_ins\n"
            "cli.main(['up', '--json'])\n"
        )
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            code,
            cwd=ROOT,
            env=os.environ | settings.environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    async def test_leaves_nothing_running_however_it_ends(self, settings: Settings, number: signal.Signals):
        started = await self.start(settings)
        assert started.stdout is not None
        async with asyncio.timeout(60):
            places = json.loads(await started.stdout.readline())
        assert places["pid"] == started.pid
        assert places["dashboard"] == f"http://127.0.0.1:{settings.http_port}/"
        family = [child.pid for child in psutil.Process(started.pid).children(recursive=True)]
        assert len(family) >= 4
        await (await asyncpg.connect(places["database"])).close()
        started.send_signal(number)
        status = await asyncio.wait_for(started.wait(), 30)
        await eventually(lambda: not alive(family))
        assert status == (-signal.SIGKILL if number == signal.SIGKILL else 0)
        assert all(is_free(port) for port in (settings.postgres_port, settings.broker_port))

    async def test_a_dead_role_ends_it_with_status_1(self, settings: Settings):
        roles = "[a_role('engine', after_ready='sys.exit(3)'), a_role('api')]"
        started = await self.start(settings, roles=roles)
        async with asyncio.timeout(60):
            _, said = await started.communicate()
        assert started.returncode == 1
        assert b"engine ended with status 3" in said
        assert b"Traceback" not in said
        assert is_free(settings.postgres_port)
