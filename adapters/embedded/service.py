"""The life that every embedded service has: one child process, started and stopped with a block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from adapters.processes import ChildProcess


class Service(ABC):
    """A server that runs as our child; a kind of it says how it is started."""

    _child: ChildProcess | None = None

    @abstractmethod
    async def start(self) -> None:
        """Return when it answers; leave nothing running when it does not."""

    async def stop(self) -> None:
        """End it in its own orderly way, if it was started."""
        if self._child is not None:
            await self._child.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def ensure_running(self) -> None:
        """Raise, with the end of its log, when it is dead."""
        if self._child is not None:
            self._child.ensure_running()

    @property
    def pid(self) -> int | None:
        return None if self._child is None else self._child.pid
