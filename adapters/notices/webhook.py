"""SMS, WhatsApp and voice by a provider's HTTP endpoint: one POST a notice, with a key by which to know it again.

    POST URL
    Idempotency-Key: NOTICE-ID:CHANNEL
    Qist-Signature: t=UNIX-SECONDS,v1=HEX      HMAC-SHA256 over "UNIX-SECONDS." + the raw body, with the shared secret

    {"notice_id", "loan_id", "kind", "channel", "language", "to", "subject", "text"}

2xx and 409 (known already) mean that the provider has it, and `id` in its JSON answer is its reference. 408, 425, 429,
5xx and no answer mean that it may be asked again; any other status means never by this channel.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Collection, Sequence

import aiohttp
import orjson

from adapters.notices.letters import Answer, Letter, Refused, Taken

SECONDS = 10
AT_ONCE = 16
KNOWN = 409
AGAIN = frozenset({408, 425, 429})
LONGEST_ANSWER = 10_000


class WebhookPort:
    """Posts to one endpoint, some calls at a time."""

    repeats_safely = True

    def __init__(self, url: str, secret: bytes = b"") -> None:
        self._url = url
        self._secret = secret
        self._session: aiohttp.ClientSession | None = None

    async def send(self, letters: Sequence[Letter]) -> list[Answer]:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(letter: Letter) -> Answer:
            async with gate:
                return await self._post(letter)

        return list(await asyncio.gather(*map(one, letters)))

    async def forget(self, borrowers: Collection[str]) -> None:
        return None  # a provider keeps and forgets by its own contract with the lender

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _post(self, letter: Letter) -> Answer:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS))
        body = orjson.dumps(
            {
                "notice_id": letter.notice_id,
                "loan_id": letter.loan_id,
                "kind": letter.kind,
                "channel": letter.channel,
                "language": letter.language,
                "to": letter.address,
                "subject": letter.subject,
                "text": letter.body,
            }
        )
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"{letter.notice_id}:{letter.channel}"}
        if self._secret:
            at = str(int(time.time()))
            signature = hmac.new(self._secret, at.encode() + b"." + body, hashlib.sha256).hexdigest()
            headers["Qist-Signature"] = f"t={at},v1={signature}"
        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as answer:
                said = await answer.content.read(LONGEST_ANSWER)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Refused(f"no answer: {type(error).__name__}")
        if answer.status < 300 or answer.status == KNOWN:
            return Taken(reference_in(said))
        return Refused(f"HTTP {answer.status}", for_good=answer.status < 500 and answer.status not in AGAIN)


def reference_in(said: bytes) -> str:
    """What the provider calls it, where it says so."""
    try:
        told = orjson.loads(said)
    except orjson.JSONDecodeError:
        return ""
    known = told.get("id") if isinstance(told, dict) else None
    return str(known)[:200].replace("\0", "") if known is not None else ""
