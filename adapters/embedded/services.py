"""The services that Qist stands on, started here unless the settings name others."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from adapters.embedded.broker import EmbeddedBroker
from adapters.embedded.ports import choose_port
from adapters.embedded.postgres import EmbeddedPostgres
from adapters.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Running:
    """Where the services are."""

    bootstrap: str
    database_url: str = field(repr=False)
    settings: Settings
    """The settings given, with these two filled in: what a role needs to start."""
    embedded: tuple[EmbeddedPostgres | EmbeddedBroker, ...] = ()
    notes: tuple[str, ...] = ()
    """What a person should know, such as that another port was taken."""

    def ensure_running(self) -> None:
        """Raise, with the end of its log, when one of ours is dead."""
        for service in self.embedded:
            service.ensure_running()


@asynccontextmanager
async def services(settings: Settings) -> AsyncIterator[Running]:
    """PostgreSQL and a broker for as long as the block lasts; whatever happens in it, both are gone after."""
    notes: list[str] = []
    async with AsyncExitStack() as stack:
        embedded: list[EmbeddedPostgres | EmbeddedBroker] = []
        database_url, bootstrap = settings.database_url, settings.kafka_bootstrap
        if database_url is None:
            port = _port(settings, "postgres_port", "PostgreSQL", notes)
            postgres = await stack.enter_async_context(EmbeddedPostgres(data_dir=settings.data_dir, port=port))
            embedded.append(postgres)
            database_url = postgres.url
        if bootstrap is None:
            port = _port(settings, "broker_port", "the broker", notes)
            broker = await stack.enter_async_context(EmbeddedBroker(data_dir=settings.data_dir, port=port))
            embedded.append(broker)
            bootstrap = broker.bootstrap
        yield Running(
            bootstrap=bootstrap,
            database_url=database_url,
            settings=settings.model_copy(update={"database_url": database_url, "kafka_bootstrap": bootstrap}),
            embedded=tuple(embedded),
            notes=tuple(notes),
        )


def _port(settings: Settings, field: str, what: str, notes: list[str]) -> int:
    preferred: int = getattr(settings, field)
    if preferred == 0:  # PostgreSQL on a socket alone
        return 0
    port = choose_port(preferred, explicit=settings.is_explicit(field), what=what)
    if port != preferred:
        notes.append(f"port {preferred} is taken, so {what} listens on {port}")
    return port
