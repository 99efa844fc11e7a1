"""All of Qist on this machine: services, database, topics, and each role as a process of its own."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from adapters.embedded.ports import choose_port
from adapters.embedded.services import Running, services
from adapters.processes import ChildProcess
from adapters.readiness import VARIABLE, Ear
from adapters.settings import Settings, is_loopback

_READY_SECONDS = 60
_WATCH_SECONDS = 0.2


@dataclass(frozen=True)
class Role:
    """A part of Qist that runs as its own process."""

    name: str
    command: Sequence[str] | None = None
    """None: `qist NAME`."""


ROLES = (Role("engine"), Role("projector"), Role("streams"), Role("notifier"), Role("api"))


GATEWAY = Role("gateway")


@dataclass(frozen=True, kw_only=True)
class WayIn:
    """How the first person comes in."""

    key: str | None = None
    """The administrator's API key, of a database that has just had its first."""
    path: str = "/"
    """Of the page: with a link that signs in once where there is an administrator's key, else the page itself."""


@dataclass(frozen=True, kw_only=True)
class System:
    """What runs, and where."""

    running: Running
    children: Sequence[ChildProcess]
    notes: Sequence[str]
    way_in: WayIn

    @property
    def settings(self) -> Settings:
        return self.running.settings

    @property
    def http_url(self) -> str:
        host = "127.0.0.1" if self.settings.http_host in ("0.0.0.0", "::") else self.settings.http_host
        return f"http://{host}:{self.settings.http_port}"

    @property
    def logs(self) -> Path:
        return self.settings.data_dir / "logs"

    def ensure_running(self) -> None:
        """Raise, with its last words, when a role or a service is dead."""
        self.running.ensure_running()
        for child in self.children:
            child.ensure_running()

    async def watch(self) -> None:
        """Return never; raise when something dies. Half of Qist is worse than none: it looks alive."""
        while True:
            self.ensure_running()
            await asyncio.sleep(_WATCH_SECONDS)


@asynccontextmanager
async def system(settings: Settings, *, roles: Sequence[Role] | None = None) -> AsyncIterator[System]:
    """Everything, for as long as the block lasts; stopped in reverse order after it. The gateway role is one of the
    roles where gateways are configured."""
    from adapters.event_store.migrate import migrate
    from adapters.kafka_admin import create_topics
    from adapters.vault import master_key

    notes: list[str] = []
    settings = _with_api_auth(_with_notices_file(_with_clock_anchor(_with_http_port(settings, notes))))
    embedded = settings.database_url is None
    async with services(settings) as running:
        await migrate(running.settings.database_dsn(), settings.partitions)
        await create_topics(running.settings, running.bootstrap)
        # Made here, once: roles that start at the same moment would each make a key of their own.
        key = settings.vault_key
        master_key(key.get_secret_value() if key else None, settings.data_dir)
        way_in = await _way_in(running.settings, notes, embedded=embedded)
        if roles is None:
            roles = (*ROLES, GATEWAY) if running.settings.gateways_file else ROLES
        children = [_child(role, running.settings) for role in roles]
        async with _supervised(children, notes):
            yield System(running=running, children=children, notes=[*running.notes, *notes], way_in=way_in)


async def follow(children: Sequence[ChildProcess]) -> None:
    """Copy what the children log to stderr, each line with its role in front, for as long as we are not cancelled."""
    ends = {child.name: 0 for child in children}
    width = max(map(len, ends), default=0)
    while True:
        for child in children:
            with contextlib.suppress(FileNotFoundError), child.log.open("rb") as log:
                log.seek(ends[child.name])
                whole, newline, _ = log.read().rpartition(b"\n")
                ends[child.name] += len(whole) + len(newline)
                for line in whole.decode(errors="replace").splitlines():
                    print(f"{child.name:<{width}} | {line}", file=sys.stderr)
        await asyncio.sleep(_WATCH_SECONDS)


@asynccontextmanager
async def _supervised(children: Sequence[ChildProcess], notes: list[str]) -> AsyncIterator[None]:
    """Start all, wait for all; whatever happens then, stop all in reverse order."""
    try:
        with contextlib.ExitStack() as ears:
            waits = []
            for child in children:
                ear = ears.enter_context(Ear())
                child.environment = {**child.environment, VARIABLE: ear.address}
                child.spawn()
                waits.append(_await_ready(child, ear, notes))
            await asyncio.gather(*waits)
        yield
    finally:
        for child in reversed(children):
            await child.stop()


async def _await_ready(child: ChildProcess, ear: Ear, notes: list[str]) -> None:
    async def heard() -> bool:
        return ear.heard()

    try:
        async with asyncio.timeout(_READY_SECONDS):
            await child.wait_until(heard, seconds=_READY_SECONDS * 2)
    except TimeoutError:  # alive and silent: perhaps busy with a long catching-up, which is not for us to end
        notes.append(f"{child.name} runs, but has not said that it is ready; see {child.log}")


def _child(role: Role, settings: Settings) -> ChildProcess:
    return ChildProcess(
        name=role.name,
        command=role.command or (sys.executable, "-m", "adapters.cli.main", role.name),
        log=settings.data_dir / "logs" / f"{role.name}.log",
        environment=settings.environment(),
        # A role may be killed at any instant and loses nothing, so that is what happens to it when we are.
    )


def _with_http_port(settings: Settings, notes: list[str]) -> Settings:
    port = choose_port(
        settings.http_port, explicit=settings.is_explicit("http_port"), what="the API", host=settings.http_host
    )
    if port != settings.http_port:
        notes.append(f"port {settings.http_port} is taken, so the API listens on {port}")
    # A role runs in another folder, where a relative path means nothing.
    paths = {name: getattr(settings, name) for name in ("data_dir", "gateways_file", "products_dir")}
    absolute = {name: path.expanduser().resolve() for name, path in paths.items() if path is not None}
    return settings.model_copy(update={"http_port": port, **absolute})


def _with_notices_file(settings: Settings) -> Settings:
    """On one machine, what has no provider is written down instead of sent."""
    if settings.is_explicit("notices_file"):
        return settings
    return settings.model_copy(update={"notices_file": settings.data_dir / "notices.jsonl"})


def _with_api_auth(settings: Settings) -> Settings:
    """What only this machine reaches, with data of its own, is open to this machine."""
    if settings.api_auth is not None:
        return settings
    alone = settings.database_url is None and is_loopback(settings.http_host)
    return settings.model_copy(update={"api_auth": "open" if alone else "required"})


async def _way_in(settings: Settings, notes: list[str], *, embedded: bool) -> WayIn:
    """An administrator's key, made once, and a link that signs in with it. Somebody else's database gets neither."""
    from adapters.access import keys, sessions
    from adapters.database import connect_pool

    pool = await connect_pool(settings.database_dsn(), name="sign-in", size=1)
    try:
        key = await keys.first(pool) if embedded else None
        link = await sessions.make_link(pool, keys.FIRST) if embedded else None
        if not embedded and settings.oidc_issuer is None and not await keys.listed(pool):
            notes.append("nobody can sign in yet: `qist api-keys create NAME --roles admin` makes a key")
    finally:
        await pool.close()
    return WayIn(key=key, path=f"/sign-in/once/{link}" if link else "/")


def _with_clock_anchor(settings: Settings) -> Settings:
    """A simulated clock starts now, for all roles alike and also for one that is started again later."""
    if settings.clock == "system" or settings.clock_anchor is not None:
        return settings
    return settings.model_copy(update={"clock_anchor": datetime.now(UTC)})
