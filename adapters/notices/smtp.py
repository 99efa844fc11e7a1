"""E-mail by SMTP: one connection a batch, TLS as the address says, a Message-ID that stays the same when repeated."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate
from urllib.parse import unquote, urlsplit

from adapters.errors import Explained
from adapters.notices.letters import Answer, Letter, Refused, Taken, Unclear

SECONDS = 15
PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
TOO_MANY_CONNECTIONS, PERMANENT = 421, 500


class SmtpMisnamed(Explained):
    """The setting names no SMTP server."""


@dataclass(frozen=True, slots=True)
class Server:
    scheme: str
    host: str
    port: int
    user: str
    password: str

    @classmethod
    def of(cls, url: str) -> Server:
        """`smtp://`, `smtp+starttls://` or `smtps://`, with `user:password@` where the server asks for a login."""
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname:
            raise SmtpMisnamed(f"QIST_SMTP_URL begins with {', '.join(f'{one}://' for one in PORTS)} and names a host")
        return cls(
            parts.scheme,
            parts.hostname,
            parts.port or PORTS[parts.scheme],
            unquote(parts.username or ""),
            unquote(parts.password or ""),
        )

    def connect(self) -> smtplib.SMTP:
        trusted = ssl.create_default_context()
        if self.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=SECONDS, context=trusted)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=SECONDS)
        if self.scheme == "smtp+starttls":
            server.starttls(context=trusted)
        if self.user:
            server.login(self.user, self.password)
        return server


class SmtpPort:
    """Sends one message a letter. A server has no memory of what it took: what may have gone out is not repeated."""

    repeats_safely = False

    def __init__(self, url: str, sender: str, lender: str) -> None:
        self._server = Server.of(url)
        name, _, domain = sender.partition("@")
        if not name or not domain:
            raise SmtpMisnamed("QIST_SMTP_FROM is an e-mail address")
        self._sender = Address(lender, name, domain)

    async def send(self, letters: Sequence[Letter]) -> list[Answer]:
        return await asyncio.to_thread(self._send_all, letters)

    async def forget(self, borrowers: Collection[str]) -> None:
        return None  # a mailbox is the borrower's own

    async def close(self) -> None:
        return None

    def _send_all(self, letters: Sequence[Letter]) -> list[Answer]:
        answers: list[Answer] = []
        try:
            with self._server.connect() as server:
                for letter in letters:
                    answers.append(self._send(server, letter))
        except (OSError, smtplib.SMTPException) as error:  # also: away when it says goodbye, which is as good as said
            answers += [Refused(f"SMTP: {_said(error)}")] * (len(letters) - len(answers))
        return answers

    def _send(self, server: smtplib.SMTP, letter: Letter) -> Answer:
        try:
            message = self._message(letter)
        except (ValueError, IndexError, TypeError) as error:
            return Refused(f"no e-mail address: {type(error).__name__}", for_good=True)
        try:
            server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            code = next(iter(error.recipients.values()))[0]
            return Refused(f"SMTP {code}: recipient refused", for_good=code >= PERMANENT)
        except smtplib.SMTPResponseException as error:
            if error.smtp_code == TOO_MANY_CONNECTIONS:
                raise
            return Refused(f"SMTP {error.smtp_code}", for_good=error.smtp_code >= PERMANENT)
        except (smtplib.SMTPServerDisconnected, OSError) as error:
            return Unclear(f"SMTP: {type(error).__name__}")
        except (smtplib.SMTPException, UnicodeError) as error:
            return Refused(f"SMTP: {type(error).__name__}", for_good=True)
        return Taken(str(message["Message-ID"]))

    def _message(self, letter: Letter) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = Address(addr_spec=letter.address)
        message["Subject"] = letter.subject
        message["Date"] = formatdate()
        message["Message-ID"] = f"<{letter.notice_id.replace(':', '.')}@{self._sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # so that an absence note does not answer it (RFC 3834)
        message["Content-Language"] = letter.language
        message.set_content(letter.body)
        return message


def _said(error: Exception) -> str:
    """What went wrong, without what a server says about addresses."""
    return f"{error.smtp_code}" if isinstance(error, smtplib.SMTPResponseException) else type(error).__name__
