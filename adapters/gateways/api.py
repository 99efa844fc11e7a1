"""Gateways with an HTTP API: one client for all of them; what is theirs alone is a `Vendor`, pure functions of words.

Every call about an order bears its instruction id as the idempotency key. What did not certainly fail did perhaps
happen: a timeout, a lost connection, a 5xx or an answer that is not the vendor's leaves the order `unknown`, which
leads to an enquiry and never by itself to a second presentation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp
import orjson
import structlog

from adapters.gateways.port import UNKNOWN, Answer, FileRead, Order, Webhooks

log = structlog.get_logger("gateway")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call of a vendor's API."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Vendor(Webhooks, Protocol):
    """A vendor's API in words: pure, without a connection."""

    def credentials(self, key: str, secret: str) -> Mapping[str, str]:
        """Headers of every request."""
        ...

    def presentation(self, order: Order) -> Request: ...

    def enquiry(self, order: Order) -> Request: ...

    def withdrawal(self, order: Order) -> Request | None:
        """None where the vendor cannot take this back."""
        ...

    def answer(self, order: Order, status: int, body: Mapping[str, Any]) -> Answer:
        """What a 2xx or 4xx answer of the vendor's own form says; `unknown` when that is not clear."""
        ...


LATER = {
    401: "the gateway refuses our credentials",
    403: "the gateway refuses us",
    429: "the gateway is asked too often",
}
"""Statuses that are about us and not about the order: nothing was done."""


class ApiGateway:
    """`port.Gateway` over HTTP."""

    together = False

    def __init__(
        self,
        name: str,
        vendor: Vendor,
        *,
        url: str,
        key: str,
        secret: str,
        timeout_seconds: float = 10,
    ) -> None:
        self.name = name
        self._vendor = vendor
        self._url = url.rstrip("/")
        self._headers = {"user-agent": "qist", **vendor.credentials(key, secret)}
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def present(self, orders: Sequence[Order]) -> Mapping[str, Answer]:
        return await self._each(orders, lambda order: self._ask(order, self._vendor.presentation(order)))

    async def enquire(self, orders: Sequence[Order]) -> Mapping[str, Answer]:
        return await self._each(orders, lambda order: self._ask(order, self._vendor.enquiry(order)))

    async def withdraw(self, orders: Sequence[Order]) -> Mapping[str, Answer]:
        async def one(order: Order) -> Answer:
            request = self._vendor.withdrawal(order)
            answer = UNKNOWN if request is None else await self._ask(order, request)
            # Refused, or of no avail: what it is now is what counts.
            return answer if answer.state == "withdrawn" else await self._ask(order, self._vendor.enquiry(order))

        return await self._each(orders, one)

    async def collect(self) -> Sequence[FileRead]:
        return ()

    async def done(self, file: FileRead) -> None:
        raise NotImplementedError(f"{self.name} has no files, so none is done: {file.name}")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _each(
        self, orders: Sequence[Order], ask: Callable[[Order], Coroutine[Any, Any, Answer]]
    ) -> Mapping[str, Answer]:
        answers = await asyncio.gather(*(ask(order) for order in orders))
        return {order.instruction_id: answer for order, answer in zip(orders, answers, strict=True)}

    async def _ask(self, order: Order, request: Request) -> Answer:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers=self._headers, timeout=self._timeout)
        try:
            async with self._session.request(
                request.method,
                f"{self._url}{request.path}",
                params=request.query or None,
                data=None if request.body is None else orjson.dumps(request.body),
                headers={"content-type": "application/json", **request.headers},
                allow_redirects=False,  # a second host would not know the key
            ) as response:
                content = await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Answer(state="unknown", message=f"no answer: {type(error).__name__}")
        return self.understood(order, status, content)

    def understood(self, order: Order, status: int, content: bytes) -> Answer:
        """The answer that an HTTP response is."""
        if status in LATER:
            log.warning("not done", gateway=self.name, because=LATER[status], status=status)
            return Answer(state="later", message=LATER[status])
        if status >= 500 or status in (408, 409, 425) or 300 <= status < 400:
            return Answer(state="unknown", message=f"HTTP {status}")
        try:
            body = orjson.loads(content)
            if not isinstance(body, dict):
                raise TypeError
            return self._vendor.answer(order, status, body)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
            return Answer(state="unknown", message=f"HTTP {status}, and {type(error).__name__} in reading it")
