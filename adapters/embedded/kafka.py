"""Apache Kafka itself: one KRaft node of real jars, for tests and for whoever has Java.

`python -m adapters.embedded.kafka` (which is `make kafka`) fetches the jars and runs one in the foreground.
"""

import asyncio
import base64
import fcntl
import re
import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from adapters.embedded.broker import answers
from adapters.embedded.ports import LOOPBACK, choose_port, free_port
from adapters.embedded.service import Service
from adapters.errors import Explained
from adapters.processes import ChildProcess

OPS = Path(__file__).parents[2] / "ops" / "kafka"
JARS = OPS / "jars"
_JAVA = 17
_START_SECONDS = 90

# A small heap and the simplest collector: one node for development, beside PostgreSQL and the engine.
_JVM = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-Djava.awt.headless=true")


class KafkaMissing(Explained):
    """Java, Maven or the jars are not here; the message says what to install."""


@dataclass(kw_only=True)
class ApacheKafka(Service):
    """A broker that is its own controller, on the loopback address; its data stays in `data_dir/kafka`."""

    data_dir: Path
    port: int | None = None
    """None: any free one."""
    jars: Path = JARS

    def __post_init__(self) -> None:
        self.data_dir = self.data_dir.expanduser().resolve()

    @property
    def folder(self) -> Path:
        return self.data_dir / "kafka"

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    async def start(self) -> None:
        """Return when it answers and is its cluster's broker."""
        require_java()
        if not any(self.jars.glob("kafka_*.jar")):
            raise KafkaMissing(f"Apache Kafka's jars are not in {self.jars}: run `make kafka-jars`")
        self.port = free_port() if self.port is None else self.port
        self.folder.mkdir(parents=True, exist_ok=True)
        properties = self._write_properties()
        log = self.data_dir / "logs" / "kafka.log"
        if not (self.folder / "data" / "meta.properties").exists():
            await self._format(properties, log)
        self._child = ChildProcess(
            name="Apache Kafka",
            command=self._java("kafka.Kafka", str(properties)),
            log=log,
            stop_seconds=20,
        )
        self._child.spawn()
        try:
            await self._child.wait_until(self._answers, seconds=_START_SECONDS)
        except BaseException:
            await self.stop()
            raise

    async def _answers(self) -> bool:
        return await answers(self.bootstrap)

    async def _format(self, properties: Path, log: Path) -> None:
        """Give the storage its cluster id; Kafka starts on nothing else."""
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        tool = ChildProcess(
            name="Apache Kafka's storage tool",
            command=self._java(
                "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", f"--config={properties}"
            ),
            log=log,
        )
        tool.spawn()
        if await tool.wait():
            tool.ensure_running()

    def _java(self, main_class: str, *arguments: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={OPS / 'log4j2.properties'}"
        return ["java", *_JVM, logging, "-cp", f"{self.jars}/*", main_class, *arguments]

    def _write_properties(self) -> Path:
        controller = f"{LOOPBACK}:{free_port()}"
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            # A topic that nobody declared would get one partition, and its loans a home for life there.
            "auto.create.topics.enable": "false",
            # One node can keep one copy of Kafka's own topics; few partitions make it start and stop faster.
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            # A group's first member starts at once rather than waiting three seconds for others.
            "group.initial.rebalance.delay.ms": "0",
        }
        path = self.folder / "server.properties"
        path.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
        return path


def require_java() -> None:
    """Kafka's server needs Java 17."""
    if shutil.which("java") is None:
        raise KafkaMissing(f"Java is missing: install Java {_JAVA} (Debian: apt install default-jre-headless)")
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < _JAVA:
        raise KafkaMissing(f"Apache Kafka needs Java {_JAVA} or newer, and this is:\n{said}")


def fetch_jars() -> None:
    """Have Maven fetch the jars that the pom names, unless these are the ones that are here; one process at a time."""
    with (OPS / "pom.xml").open() as pom:
        fcntl.flock(pom, fcntl.LOCK_EX)
        _fetch(pom.read())


def _fetch(pom: str) -> None:
    stamp = JARS / ".pom.xml"
    if stamp.exists() and stamp.read_text() == pom:
        return
    if shutil.which("mvn") is None:
        raise KafkaMissing("Maven is missing: install it to fetch Apache Kafka (Debian: apt install maven)")
    shutil.rmtree(JARS, ignore_errors=True)  # jars of two versions side by side would not start
    command = ["mvn", "--quiet", "--batch-mode", "--strict-checksums", "dependency:copy-dependencies"]
    done = subprocess.run(command, cwd=OPS, capture_output=True, text=True, check=False)
    if done.returncode:
        raise KafkaMissing(f"Maven cannot fetch Apache Kafka:\n{done.stdout[-2_000:]}")
    stamp.write_text(pom)


async def _run_in_foreground(*, fetch_only: bool) -> None:
    from adapters.settings import Settings

    fetch_jars()
    if fetch_only:
        return
    settings = Settings.load()
    explicit = settings.is_explicit("broker_port")
    port = choose_port(settings.broker_port, explicit=explicit, what="Apache Kafka")
    async with ApacheKafka(data_dir=settings.data_dir, port=port) as kafka:
        print(f"Apache Kafka answers at {kafka.bootstrap}; Ctrl-C stops it", flush=True)
        print(f"    export QIST_KAFKA_BOOTSTRAP={kafka.bootstrap}", flush=True)
        while True:
            kafka.ensure_running()
            await asyncio.sleep(0.5)


def main() -> int:
    try:
        asyncio.run(_run_in_foreground(fetch_only="--fetch-only" in sys.argv))
    except KeyboardInterrupt:
        return 0
    except (Explained, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
