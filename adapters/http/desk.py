"""What every answer is made from: the log, the read models, the clock, the rules, and a way to send."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, cast

import asyncpg
from fastapi import Depends, Request

from adapters.access.limits import Limits
from adapters.access.oidc import Oidc
from adapters.clocks import clock_of
from adapters.database import open_house
from adapters.documents.office import Office, office_of
from adapters.errors import Explained
from adapters.event_store.postgres import PostgresLog
from adapters.failure_codes import newest
from adapters.gateways.config import Api, load_gateways, vendor_of
from adapters.gateways.port import Webhooks
from adapters.house import load_rules
from adapters.http.accepted import Accepted
from adapters.http.lag import BrokerEnds
from adapters.http.live import Live
from adapters.http.problems import loan_unknown
from adapters.sending import Sender
from adapters.settings import Settings
from adapters.vault import Vault, master_key
from domain.calendar import IST
from domain.decisions.rules import Rules
from domain.failures import FailureCodes
from domain.loan import Loan
from streams.clock import Clock
from streams.topics import partition_of

LOAN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(slots=True, kw_only=True)
class Desk:
    """One process's connections; made once, handed to every route."""

    settings: Settings
    pool: asyncpg.Pool
    events: PostgresLog
    clock: Clock
    rules: Rules
    partitions: int
    sender: Sender
    ends: BrokerEnds
    live: Live
    office: Office
    """Makes documents."""
    limits: Limits
    oidc: Oidc | None = None
    """The identity provider, where one is set."""
    accepted: Accepted = field(default_factory=Accepted)
    vendors: Mapping[str, Webhooks] = field(default_factory=dict[str, Webhooks])
    """Gateways that sign and speak in their own way."""

    async def now(self) -> datetime:
        """Business time."""
        await self.clock.refresh()
        now = self.clock.now()
        # A stepped clock that nobody has stepped yet shows the beginning of all time.
        return now if now.year > 1900 else datetime.now(IST)

    async def codes(self) -> FailureCodes:
        """The mapping of failure codes as operators have it now."""
        self.rules = replace(self.rules, codes=await newest(self.pool, self.rules.codes))
        return self.rules.codes

    def home(self, loan_id: str) -> int:
        """The partition where a loan lives; an id that no loan can have is a loan that does not exist."""
        if not LOAN_ID.fullmatch(loan_id):
            raise loan_unknown(loan_id)
        return partition_of(loan_id, self.partitions)

    async def loan(self, loan_id: str) -> Loan:
        """The loan as the log has it at this moment: its snapshot and the events after it."""
        held = (await self.events.load({self.home(loan_id): [loan_id]})).get(loan_id)
        if held is None:
            raise loan_unknown(loan_id)
        return held.loan


@asynccontextmanager
async def open_desk(settings: Settings) -> AsyncIterator[Desk]:
    """Connect to everything. The broker may be away: reading goes on without it."""
    pool = await open_house(settings, name="api", size=settings.database_pool_size)
    sender = Sender(settings, "api")
    ends = BrokerEnds(settings)
    try:
        secret = settings.vault_key.get_secret_value() if settings.vault_key else None
        desk = Desk(
            settings=settings,
            pool=pool,
            events=PostgresLog(pool, Vault(master_key(secret, settings.data_dir))),
            clock=clock_of(settings, pool),
            rules=load_rules(),
            partitions=await _partitions(pool),
            sender=sender,
            ends=ends,
            live=Live(),
            office=office_of(settings, pool),
            limits=Limits(settings.rate_limit),
            oidc=Oidc(settings) if settings.oidc_issuer else None,
            vendors={
                name: vendor_of(config) for name, config in load_gateways(settings).items() if isinstance(config, Api)
            },
        )
        yield desk
    finally:
        await sender.close()
        await ends.close()
        await pool.close()


async def _partitions(pool: asyncpg.Pool) -> int:
    try:
        partitions = await pool.fetchval("SELECT partitions FROM house")
    except asyncpg.UndefinedTableError:
        partitions = None
    if partitions is None:
        raise Explained("the database is empty: run `qist db migrate` first")
    return partitions


def desk_of(request: Request) -> Desk:
    return cast(Desk, request.app.state.desk)


AtDesk = Annotated[Desk, Depends(desk_of)]
"""How a route asks for it."""
