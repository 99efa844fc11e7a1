"""An API gateway as a real HTTP server that misbehaves; what a vendor's API looks like is in its `Face`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp
import orjson
from aiohttp import web

from adapters.gateways.simulators.books import Books, Entry, Mischief, State

OPPOSITE: Mapping[State, State] = {"succeeded": "failed", "failed": "succeeded", "reversed": "succeeded"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a request asks, in the simulator's words."""

    what: str
    """present, enquire or cancel."""
    kind: str
    reference: str
    loan_id: str = ""
    amount_paise: int = 0
    rail: str = ""


class Face(Protocol):
    """How a vendor looks from outside."""

    def wanted(self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any]) -> Wanted | None: ...

    def knows(self, headers: Mapping[str, str], key: str, secret: str) -> bool: ...

    def entry(self, entry: Entry, state: State) -> dict[str, Any]: ...

    def not_found(self) -> dict[str, Any]: ...

    def webhook(
        self, entry: Entry, state: State, event_id: str, secret: bytes, at: float
    ) -> tuple[dict[str, str], bytes]: ...


@dataclass(slots=True, kw_only=True)
class ApiSimulator:
    """One gateway. Seconds here are real ones."""

    face: Face
    seed: int
    mischief: Mischief
    key: str = "key"
    secret: str = "secret"
    webhook_url: str = ""
    webhook_secret: str = ""
    decides_seconds: float = 0.02
    late_seconds: float = 0.3
    silence_seconds: float = 5.0
    """Longer than any client waits."""
    host: str = "127.0.0.1"
    port: int = 0
    books: Books = field(init=False)
    refused_webhooks: int = field(default=0, init=False)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]], init=False)
    _calls: dict[str, int] = field(default_factory=dict[str, int], init=False)
    _undecided: dict[str, Entry] = field(default_factory=dict[str, Entry], init=False)
    """Orders that wait for a payer, such as links that nobody has paid."""
    _runner: web.AppRunner | None = field(default=None, init=False)
    _session: aiohttp.ClientSession | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.books = Books(self.seed, self.mischief)

    async def __aenter__(self) -> ApiSimulator:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def at_rest(self) -> bool:
        """Nothing more will happen by itself."""
        return not self._tasks

    # --- the API ---------------------------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if not self.face.knows(request.headers, self.key, self.secret):
            return _json(401, {"error": {"code": "unauthorized"}, "code": "unauthorized", "type": "authentication"})
        content = await request.read()
        body: dict[str, Any] = orjson.loads(content) if content else {}
        wanted = self.face.wanted(request.method, request.path, request.query, body)
        if wanted is None:
            return web.Response(status=404, text="<html>no such page</html>")
        # Each call about an order has its own luck, so that trying again may help.
        count = self._calls[wanted.reference] = self._calls.get(wanted.reference, 0) + 1
        luck = (wanted.what, wanted.reference, str(count))
        if self.books.happens("busy", *luck):
            return _json(429, {"error": {"code": "rate_limited"}, "code": "rate_limited", "type": "rate"})
        if self.books.happens("silent_before", *luck):
            await asyncio.sleep(self.silence_seconds)
        if self.books.happens("error_before", *luck):
            return web.Response(status=503, text="<html>try later</html>")
        status, answer = self._do(wanted, count)
        if self.books.happens("silent_after", *luck):
            await asyncio.sleep(self.silence_seconds)
        if self.books.happens("error_after", *luck):
            return web.Response(status=502, text="<html>bad gateway</html>")
        if self.books.happens("garbage", *luck):
            return web.Response(status=200, text='{"status": ')
        return _json(status, answer)

    def _do(self, wanted: Wanted, count: int) -> tuple[int, dict[str, Any]]:
        if wanted.what == "present":
            entry, new = self.books.take(
                wanted.reference, wanted.kind, wanted.loan_id, wanted.amount_paise, wanted.rail
            )
            if new:
                self._spawn(self._live(entry))
            return 200, self.face.entry(entry, entry.shown)
        entry = self.books.entries.get(wanted.reference)
        forgotten = count <= 3 and self.books.happens("forgets", wanted.reference)
        if entry is None or forgotten:
            return 404, self.face.not_found()
        if wanted.what == "cancel" and entry.state == "processing":
            self.books.settle(entry, "cancelled")
        return 200, self.face.entry(entry, entry.shown)

    # --- an order's life -------------------------------------------------------------------------------------

    async def _live(self, entry: Entry) -> None:
        late = self.books.happens("undecided", entry.reference)
        await asyncio.sleep(self.late_seconds if late else self.decides_seconds)
        await self._decide(entry)

    def wake(self) -> None:
        """Whoever decides may know more now: look again at what waits."""
        undecided, self._undecided = self._undecided, {}
        for entry in undecided.values():
            self._spawn(self._decide(entry))

    async def _decide(self, entry: Entry) -> None:
        if entry.state != "processing":
            return
        fate = self.books.fate(entry)
        if fate is None:
            self._undecided[entry.reference] = entry
            return
        self.books.settle(entry, fate)
        self._announce(entry, 1)
        if entry.state == "failed" and self.books.happens("mind_changed", entry.reference):
            await asyncio.sleep(self.late_seconds)
            self.books.settle(entry, "succeeded")
            self._announce(entry, 2)
        if entry.state == "succeeded" and self.books.happens("reversed", entry.reference):
            await asyncio.sleep(self.late_seconds)
            self.books.settle(entry, "reversed")
            # A reversal is told for certain: no enquiry is due any more that would find it.
            await self._send(entry, "reversed", f"{entry.reference}:3")

    def _announce(self, entry: Entry, number: int) -> None:
        event_id = f"{entry.reference}:{number}"
        if self.books.happens("forged", event_id):
            self._spawn(self._send(entry, OPPOSITE[entry.state], f"{event_id}:forged", secret=b"guessed"))
        if self.books.happens("contradicts", event_id):
            self._spawn(self._send(entry, OPPOSITE[entry.state], f"{event_id}:opposite"))
        if self.books.happens("stale", event_id):
            self._spawn(self._send(entry, entry.state, f"{event_id}:stale", age=1_000_000))
        if self.books.happens("lost", event_id):
            return
        times = 2 if self.books.happens("twice", event_id) else 1
        pause = self.late_seconds if self.books.happens("late", event_id) else 0.0
        for turn in range(times):
            self._spawn(self._send(entry, entry.state, event_id, pause=pause * (turn + 1)))

    async def _send(
        self,
        entry: Entry,
        state: State,
        event_id: str,
        *,
        secret: bytes = b"",
        age: float = 0.0,
        pause: float = 0.0,
    ) -> None:
        """One webhook; repeated a few times until it is taken, as vendors do, unless nobody should take it."""
        if not self.webhook_url or self._session is None:
            return
        await asyncio.sleep(pause)
        genuine = not secret and not age
        for attempt in range(20 if genuine else 1):
            headers, body = self.face.webhook(
                entry, state, event_id, secret or self.webhook_secret.encode(), time.time() - age
            )
            with suppress(aiohttp.ClientError, TimeoutError, OSError):
                async with self._session.post(self.webhook_url, data=body, headers=headers) as response:
                    if response.status < 300:
                        return
                    self.refused_webhooks += 1
            await asyncio.sleep(0.05 * (attempt + 1))

    def _spawn(self, coroutine: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _json(status: int, body: Mapping[str, Any]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")


def face_of(vendor: str) -> Face:
    """How a vendor of ours looks from outside."""
    from adapters.gateways.simulators.banyan import BanyanFace  # they are made of what is here
    from adapters.gateways.simulators.kestrel import KestrelFace

    return {"banyan": BanyanFace, "kestrel": KestrelFace}[vendor]()
