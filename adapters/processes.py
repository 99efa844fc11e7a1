"""Child processes that log to a file, say why they died, and never outlive us."""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from adapters.errors import Explained

_POLL_SECONDS = 0.02
_LOG_BYTES = 64 << 20  # a log that grew beyond this is put aside at the next start
_PR_SET_PDEATHSIG = 1
# Loaded here and not in the child: between fork and exec only what is already in memory is safe.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class ProcessFailed(Explained):
    """A child process that should be running is not; the message is for a person."""


@dataclass(kw_only=True)
class ChildProcess:
    """One process of ours, from its start to its end."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to our own environment."""
    user: int | None = None
    group: int | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL
    """What the kernel sends it when we die without stopping it."""
    stop_seconds: float = 10
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    def spawn(self) -> None:
        """Start it. Call this from the main thread: the kernel ties a child to the thread that made it."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.replace(f"{self.log}.1")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                list(self.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",  # a folder that is not ours to hold
                env={**os.environ, **self.environment},
                user=self.user,
                group=self.group,
                extra_groups=[] if self.user is not None else None,
                start_new_session=True,  # Ctrl-C reaches us alone, and we stop the others in order
                preexec_fn=_die_with_parent(os.getpid(), self.orphan_signal),
            )

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ensure_running(self) -> None:
        """Raise what a person needs to know when it is dead."""
        if not self.running:
            raise ProcessFailed(self.obituary())

    async def wait_until(self, ready: Callable[[], Awaitable[bool]], *, seconds: float) -> None:
        """Return when `ready` says so; raise when the process dies first or takes too long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not await ready():
            self.ensure_running()
            if loop.time() > deadline:
                raise ProcessFailed(f"{self.name} is not ready after {seconds:.0f} s\n{self.last_lines()}")
            await asyncio.sleep(_POLL_SECONDS)

    async def wait(self) -> int:
        """Its exit status, once it has one."""
        while True:
            if (status := self.exit_status) is not None:
                return status
            await asyncio.sleep(_POLL_SECONDS)

    async def stop(self) -> None:
        """Ask it to end, insist after `stop_seconds`; return when it is gone."""
        if self._process is None or not self.running:
            return
        self._process.send_signal(self.stop_signal)
        try:
            async with asyncio.timeout(self.stop_seconds):
                await self.wait()
        except TimeoutError:
            self.kill()

    def kill(self) -> None:
        """End it and everything that it started, at once."""
        if self._process is None or not self.running:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # it leads its own session, so also its children
        self._process.wait()

    def obituary(self) -> str:
        """Who died, how, and its last words."""
        status = self.exit_status
        how = "never started"
        if status is not None:
            how = f"ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return f"{self.name} {how}; the end of {self.log}:\n{self.last_lines()}"

    def last_lines(self, count: int = 12) -> str:
        """The end of its log, indented."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, os.fstat(log.fileno()).st_size - 8_192))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return "  (no log)"
        return "\n".join(f"  {line}" for line in lines[-count:]) or "  (the log is empty)"


def _die_with_parent(parent: int, orphan_signal: signal.Signals) -> Callable[[], None] | None:
    """What a child does before it becomes another program: ask the kernel to end it when its parent dies.

    Nothing that the parent does itself can work when it is killed by SIGKILL, and PostgreSQL or a broker will
    not watch a pipe for us. Linux only; elsewhere a killed parent leaves its children to be stopped by hand.
    """
    if _LIBC is None:
        return None
    prctl = _LIBC.prctl

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, int(orphan_signal), 0, 0, 0)
        if os.getppid() != parent:  # it died in between, and the kernel will not tell us twice
            os._exit(1)

    return before_exec
