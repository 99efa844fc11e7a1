"""Faust: which gateways are down -> `servicing.gateway-health`, by the circuit of `domain/policies/circuit.py`.

The input is what the insights learn of each bank, rail and gateway: so many more answers, technical failures and
others, as of a moment of business time. They are brought together by gateway and rail, and a circuit each is kept in
the table `gateway-circuits`. What changes is told at once, to a compacted topic that the engines follow.

A record that comes twice (after a crash) may count twice: a circuit opens a little earlier for that, and nothing else
depends on it.
"""
# pyright: basic

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

import faust
import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from domain.policies.circuit import Answers, Circuit
from streams.bodies import validated
from streams.envelope import Record, headers_for
from streams.faust_records import Table, Topics, Work, add_agent
from streams.topics import GATEWAY_HEALTH, Topic, partition_of

ANSWERS = Topic("qist-streams-gateway-answers", "gateway|rail")
"""How many answers a gateway gave on a rail, brought together from all banks."""

SOURCE = "qist/gateway-health"
Count = Annotated[int, Field(strict=True, ge=0)]


class GatewayAnswered(BaseModel):
    """So many more answers of a gateway on a rail became known."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    TYPE: ClassVar[str] = "qist.gateway-answered.v1"

    gateway: str
    rail: str
    at: AwareDatetime
    technical: Count
    others: Count


class GatewayStands(BaseModel):
    """Whether a gateway works on a rail, since when, and why; an open one is tried again from `try_at` on."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    TYPE: ClassVar[str] = "servicing.gateway-health.v1"

    gateway: str
    rail: str
    state: Literal["open", "closed"]
    since: AwareDatetime
    try_at: AwareDatetime | None = None
    reason: str


def tell_answers(gateway: str, rail: str, at: str, kind: str, count: int, partitions: int, work: Work) -> None:
    """Pass on that so many more outcomes of a kind (`succeeded`, or a failure's class) became known."""
    technical = count if kind == "technical" else 0
    body = {"gateway": gateway, "rail": rail, "at": at, "technical": technical, "others": count - technical}
    key = f"{gateway}|{rail}"
    home = partition_of(key, partitions)
    work.send(ANSWERS, key.encode(), orjson.dumps(body), [("ce_type", GatewayAnswered.TYPE.encode())], home)


class Circuits:
    """The circuits over a table: `gateway|rail` -> `kept`."""

    def __init__(self, table: Table, partitions: int) -> None:
        self._table = table
        self._partitions = partitions

    def learn(self, record: Record, work: Work) -> None:
        """A gateway answered: keep its circuit, and tell of it when it moved."""
        answered = validated(GatewayAnswered, record)
        key = f"{answered.gateway}|{answered.rail}"
        before = as_circuit(self._table.read(key))
        after = before.learn(Answers(answered.at, answered.technical, answered.others))
        if after == before:
            return
        work.put(self._table, key, kept(after))
        if (after.state, after.try_at) == (before.state, before.try_at):
            return
        since = after.since or answered.at
        stands = GatewayStands(
            gateway=answered.gateway,
            rail=answered.rail,
            state="open" if after.state == "open" else "closed",
            since=since,
            try_at=after.try_at,
            reason=after.reason,
        )
        headers = headers_for(GatewayStands.TYPE, f"{key}:{after.state}:{since.isoformat()}", SOURCE, since)
        home = partition_of(key, self._partitions)
        work.send(GATEWAY_HEALTH, key.encode(), stands.model_dump_json().encode(), headers, home)


def kept(circuit: Circuit) -> dict[str, Any]:
    """A circuit as the table has it, in JSON."""
    return {
        "state": circuit.state,
        "since": circuit.since.isoformat() if circuit.since else None,
        "try_at": circuit.try_at.isoformat() if circuit.try_at else None,
        "reason": circuit.reason,
        "trips": circuit.trips,
        "window": [[each.at.isoformat(), each.technical, each.others] for each in circuit.window],
    }


def as_circuit(stored: dict[str, Any] | None) -> Circuit:
    if stored is None:
        return Circuit()
    since, try_at = (datetime.fromisoformat(stored[name]) if stored[name] else None for name in ("since", "try_at"))
    window = tuple(Answers(datetime.fromisoformat(at), technical, others) for at, technical, others in stored["window"])
    return Circuit(stored["state"], since, try_at, stored["reason"], stored["trips"], window)


def add_gateway_health(app: faust.App, topics: Topics, partitions: int) -> None:
    """The table and the agent."""
    table: Any = app.Table("gateway-circuits", partitions=partitions)
    add_agent(app, topics, ANSWERS, Circuits(table, partitions).learn)
