"""The API role: settings in, HTTP served in this process until told to stop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import structlog
import uvicorn

from adapters.http.app import create_app
from adapters.http.desk import open_desk
from adapters.http.pages import look
from adapters.readiness import announce_ready
from adapters.settings import Settings

log = structlog.get_logger("api")

FAREWELL_SECONDS = 5


class Server(uvicorn.Server):
    """uvicorn without its signal handlers (signals are the role's), and with a word when it has started."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            log.info("serving", host=self.config.host, port=self.config.port)
            announce_ready()


async def run_api(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop`; requests in hand are finished, streams are ended."""
    if settings.api_auth == "open":
        log.warning("requests from this machine need no sign-in", setting="QIST_API_AUTH=open")
    async with open_desk(settings) as desk:
        app = create_app()
        app.state.desk = desk
        server = Server(
            uvicorn.Config(
                app,
                forwarded_allow_ips=settings.trusted_proxies,
                host=settings.http_host,
                port=settings.http_port,
                log_config=None,  # our own logging is set up already
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=FAREWELL_SECONDS,
            )
        )
        # Bound here, since uvicorn answers a port that is taken by leaving the process.
        family = socket.AF_INET6 if ":" in settings.http_host else socket.AF_INET
        with socket.create_server((settings.http_host, settings.http_port), family=family, backlog=1024) as listening:
            looking = asyncio.create_task(desk.live.run(lambda: look(desk)))
            serving = asyncio.create_task(server.serve([listening]))
            stopping = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
            finally:
                desk.live.close()
                server.should_exit = True
                stopping.cancel()
                looking.cancel()
                with suppress(asyncio.CancelledError):
                    await serving
