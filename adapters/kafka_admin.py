"""Topics on the broker: made when they are not there, refused when they are there with another shape."""

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from adapters.errors import Explained
from adapters.settings import Settings

_ALREADY_EXISTS = 36
_VISIBLE_SECONDS = 15


class Declared(Protocol):
    """What we need to know of a topic; see `streams.topics`."""

    @property
    def name(self) -> str: ...
    @property
    def partitions(self) -> int | None: ...
    @property
    def compacted(self) -> bool: ...


class TopicsUnusable(Explained):
    """The broker's topics are not what we need; the message says what to do."""


async def create_topics(settings: Settings, bootstrap: str, topics: Iterable[Declared] | None = None) -> list[str]:
    """Make the topics that are missing and return their names; idempotent. Return when all can be used."""
    if topics is None:
        from streams.topics import TOPICS as topics
    wanted = {topic.name: _new_topic(topic, settings) for topic in topics}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **settings.kafka_client_options())
    await admin.start()
    try:
        missing = sorted(wanted.keys() - set(await admin.list_topics()))
        if missing:
            # Another process may be doing the same at this moment: "exists already" is as good as "made".
            for name, code, message in _errors(await admin.create_topics([wanted[name] for name in missing])):
                if code not in (0, _ALREADY_EXISTS):
                    raise TopicsUnusable(f"the broker does not make the topic {name}: {message or code}")
        await _await_partitions(admin, {name: topic.num_partitions for name, topic in wanted.items()})
        return missing
    finally:
        await admin.close()


async def _await_partitions(admin: AIOKafkaAdminClient, wanted: dict[str, int]) -> None:
    """A broker may need a moment to tell everybody; a wrong count is no matter of time."""
    deadline = asyncio.get_running_loop().time() + _VISIBLE_SECONDS
    while True:
        found = {
            topic["topic"]: len(topic["partitions"])
            for topic in await admin.describe_topics(sorted(wanted))
            if not topic["error_code"] and topic["partitions"]
        }
        for name, count in found.items():
            if count != wanted[name]:
                raise TopicsUnusable(
                    f"the topic {name} has {count} partitions and should have {wanted[name]}: a loan never "
                    f"changes its partition, so start with QIST_PARTITIONS={count}, or use another cluster"
                )
        if found.keys() == wanted.keys():
            return
        if asyncio.get_running_loop().time() > deadline:
            raise TopicsUnusable(f"the broker does not show {', '.join(sorted(wanted.keys() - found.keys()))}")
        await asyncio.sleep(0.1)


def _new_topic(topic: Declared, settings: Settings) -> NewTopic:
    options = {"cleanup.policy": "compact" if topic.compacted else "delete"}
    if settings.replication_factor >= 3:
        options["min.insync.replicas"] = "2"  # with acks=all: no acknowledged record rests on one disk
    return NewTopic(
        topic.name,
        topic.partitions or settings.partitions,
        settings.replication_factor,
        topic_configs=options,
    )


def _errors(response: Any) -> Iterable[tuple[str, int, str | None]]:
    """(name, code, message) of each topic; older protocol versions send no message."""
    for name, code, *message in response.topic_errors:
        yield name, code, message[0] if message else None
