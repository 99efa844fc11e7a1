"""Creating the topics: on both brokers, as often as one likes."""

from dataclasses import dataclass
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from adapters.embedded.broker import Broker
from adapters.embedded.kafka import ApacheKafka
from adapters.kafka_admin import TopicsUnusable, create_topics
from adapters.settings import Settings
from streams.topics import TOPICS


@dataclass(frozen=True)
class ATopic:
    name: str
    partitions: int | None = None
    compacted: bool = False


@pytest.fixture
def prefix() -> str:
    return uuid4().hex[:8]


async def partition_counts(bootstrap: str) -> dict[str, int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
    finally:
        await admin.close()


async def test_makes_what_is_missing_and_only_that(bootstrap: str, prefix: str):
    keyed, state = ATopic(f"{prefix}.payments"), ATopic(f"{prefix}.state", partitions=1, compacted=True)
    settings = Settings(partitions=6)
    assert await create_topics(settings, bootstrap, [keyed]) == [keyed.name]
    assert await create_topics(settings, bootstrap, [keyed, state]) == [state.name]
    assert await create_topics(settings, bootstrap, [keyed, state]) == []
    counts = await partition_counts(bootstrap)
    assert (counts[keyed.name], counts[state.name]) == (6, 1)


async def test_refuses_a_topic_with_another_partition_count(bootstrap: str, prefix: str):
    topic = ATopic(f"{prefix}.payments")
    await create_topics(Settings(partitions=4), bootstrap, [topic])
    with pytest.raises(TopicsUnusable, match=r"has 4 partitions and should have 6.*QIST_PARTITIONS=4"):
        await create_topics(Settings(partitions=6), bootstrap, [topic])


async def test_state_topics_are_compacted(broker: Broker, prefix: str):
    if not isinstance(broker, ApacheKafka):
        pytest.skip("the embedded broker keeps no topic settings")
    topic = ATopic(f"{prefix}.state", compacted=True)
    await create_topics(Settings(), broker.bootstrap, [topic])
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name)])
    await admin.close()
    values = {entry[0]: entry[1] for entry in answer.resources[0][4]}
    assert values["cleanup.policy"] == "compact"


async def test_the_house_s_topics_can_be_made(new_broker: Broker):
    await create_topics(Settings(), new_broker.bootstrap)
    counts = await partition_counts(new_broker.bootstrap)
    assert {topic.name: topic.partitions or 16 for topic in TOPICS}.items() <= counts.items()
