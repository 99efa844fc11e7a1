"""`qist send`: publish a message to Qist as an upstream system or a gateway would."""

from __future__ import annotations

import sys
from typing import Annotated
from uuid import uuid4

from cyclopts import Parameter

from adapters.cli.arguments import FileOrStdin, read_bytes
from adapters.cli.running import ANSWER_IS_NO, WRONG_USAGE, run, settings_or_exit
from adapters.settings import Settings


def send(
    type_: Annotated[str, Parameter(name="TYPE")],
    file: FileOrStdin = "-",
    /,
    *,
    to: str | None = None,
    id_: str | None = None,
) -> int:
    """Publish one message, or a JSON list of them, to the topic that carries its type.

    The key is the body's loan_id (borrower_id for los.updates); Qist says in its dead letters what is wrong with it.

    Parameters
    ----------
    type_
        Such as los.disbursal.requested.v1; a wrong one lists those that there are.
    file
        The JSON body; - is standard input.
    to
        The broker, host:port; default QIST_KAFKA_BOOTSTRAP, else localhost:9092.
    id_
        The message's id (ce_id); default a new one.
    """
    from streams.los_updates import UPDATES as UPDATE_TYPES
    from streams.topics import UPDATES
    from streams.wire import CARRIES

    topics = {model.TYPE: topic for topic, models in CARRIES.items() for model in models}
    topics |= dict.fromkeys(UPDATE_TYPES, UPDATES.name)
    if type_ not in topics:
        print(f"qist send: no topic carries {type_!r}; there are:", *sorted(topics), sep="\n  ", file=sys.stderr)
        return WRONG_USAGE
    try:
        body = read_bytes(file)
    except OSError as error:
        print(f"qist send: cannot read {file}: {error.strerror}", file=sys.stderr)
        return WRONG_USAGE
    settings = settings_or_exit()
    settings = settings.model_copy(update={"kafka_bootstrap": to or settings.kafka_bootstrap or "localhost:9092"})
    return run(_send(settings, topics[type_], type_, body, id_ or uuid4().hex))


async def _send(settings: Settings, topic: str, kind: str, body: bytes, identity: str) -> int:
    from datetime import datetime

    import orjson

    from adapters.kafka import new_producer
    from streams.clock import IST
    from streams.envelope import headers_for

    try:
        read = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        print(f"qist send: this is not JSON: {error}", file=sys.stderr)
        return ANSWER_IS_NO
    producer = new_producer(settings, "send")
    try:
        await producer.start()
        for number, message in enumerate(read if isinstance(read, list) else [read]):
            key = (message.get("loan_id") or message.get("borrower_id")) if isinstance(message, dict) else None
            headers = headers_for(kind, f"{identity}-{number}" if number else identity, "qist send", datetime.now(IST))
            stored = await producer.send_and_wait(
                topic, value=orjson.dumps(message), key=str(key).encode() if key else None, headers=headers
            )
            print(f"{topic} partition {stored.partition} offset {stored.offset}")
    finally:
        await producer.stop()
    return 0
