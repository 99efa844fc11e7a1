"""The notifier role: settings in, borrowers told and documents issued until told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import structlog

from adapters.clocks import clock_of
from adapters.database import open_house
from adapters.documents.maker import Maker, be_nice
from adapters.documents.office import office_of
from adapters.errors import Explained
from adapters.kafka import client_options, cluster_identity
from adapters.notices.file import FilePort
from adapters.notices.inbox import GroupInbox
from adapters.notices.letters import Port
from adapters.notices.notifier import Notifier
from adapters.notices.smtp import SmtpPort
from adapters.notices.webhook import WebhookPort
from adapters.notices.wording import Templates, load
from adapters.readiness import announce_ready
from adapters.roles.engine import crash_points
from adapters.settings import Settings
from adapters.vault import Vault, master_key
from domain.policies.contact import CHANNELS

log = structlog.get_logger("notifier")

CONNECTIONS = 5


async def run_notifier(settings: Settings, stop: asyncio.Event) -> None:
    """Check every template, then follow the notices until `stop`."""
    if settings.kafka_bootstrap is None:
        raise Explained("no broker: set QIST_KAFKA_BOOTSTRAP, or start everything together with `qist up`")
    templates = templates_of(settings)
    ports = ports_of(settings)
    pool = await open_house(settings, name="notifier", size=CONNECTIONS)
    try:
        master = settings.vault_key.get_secret_value() if settings.vault_key else None
        inbox = GroupInbox(
            client_options(settings, "notifier"),
            session_timeout_ms=settings.session_timeout_ms,
            instance=settings.instance,
            batch_size=settings.batch_size,
        )
        notifier = Notifier(
            inbox=inbox,
            pool=pool,
            vault=Vault(master_key(master, settings.data_dir)),
            clock=clock_of(settings, pool),
            templates=templates,
            ports=ports,
            cluster_id=await cluster_identity(settings, "notifier"),
            stepped=settings.clock == "stepped",
            crash_at=crash_points(),
        )
        await inbox.start()
        log.info("serving", channels=sorted(ports), kinds=len(templates.kinds))
        announce_ready()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(notifier.run(stop))
                if settings.documents == "issued":
                    group.create_task(maker_of(settings, pool).run(stop))
        finally:
            await inbox.stop()
    finally:
        for port in set(ports.values()):
            await port.close()
        await pool.close()


def maker_of(settings: Settings, pool: asyncpg.Pool) -> Maker:
    """What makes documents, on a thread of its own that comes last."""
    office = office_of(settings, pool, ThreadPoolExecutor(1, "documents", initializer=be_nice))
    return Maker(office, stepped=settings.clock == "stepped")


def templates_of(settings: Settings) -> Templates:
    """The words, checked."""
    return load(settings.notices_dir, settings.lender_name, settings.payment_link or "")


def ports_of(settings: Settings) -> Mapping[str, Port]:
    """A port for each channel that is served: its provider's, else the file where one is named."""
    ports: dict[str, Port] = {}
    if settings.notices_file is not None:
        file = FilePort(settings.notices_file)
        ports |= dict.fromkeys(CHANNELS, file)
    if settings.smtp_url is not None:
        ports["email"] = SmtpPort(settings.smtp_url.get_secret_value(), settings.smtp_from, settings.lender_name)
    secret = settings.notice_webhook_secret
    for channel, url in webhooks_in(settings.notice_webhooks or ""):
        ports[channel] = WebhookPort(url, secret.get_secret_value().encode() if secret else b"")
    if not ports:
        raise Explained(
            "no way to tell anybody: set QIST_SMTP_URL or QIST_NOTICE_WEBHOOKS, or QIST_NOTICES_FILE for development"
        )
    return ports


def webhooks_in(setting: str) -> Iterator[tuple[str, str]]:
    """`sms=https://...,whatsapp=https://...`"""
    for pair in filter(None, map(str.strip, setting.split(","))):
        channel, _, url = pair.partition("=")
        if channel not in CHANNELS or not url.startswith(("http://", "https://")):
            raise Explained(
                f"QIST_NOTICE_WEBHOOKS: {channel!r} is not one of {', '.join(CHANNELS)} with a URL behind ="
            )
        yield channel, url
