"""A simulated world behind the real gateway adapters: three gateways that misbehave, and people whose money they move.

The gateways are those of `adapters/gateways/simulators/`: two HTTP servers with webhooks, and a bank that takes files.
Whether an account holds the money, and when somebody opens a link or signs a mandate, the world decides. A moment of
the simulated clock is over when every order of it is answered, whatever got lost on the way; so the same seed gives the
same money here, too.
"""

from __future__ import annotations

import csv
import heapq
import io
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
from pydantic import SecretStr

from adapters.gateways.desk import KINDS, WITHDRAWALS
from adapters.gateways.simulators.api import ApiSimulator, face_of
from adapters.gateways.simulators.bank import BankSimulator
from adapters.gateways.simulators.books import Books, Entry, Fate, Mischief
from adapters.simulator.population import Borrower, Outage
from adapters.simulator.world import Sending, World
from domain.calendar import IST, ist_day

GATEWAY_OF_RAIL = {"enach": "sponsor-bank", "upi": "banyan", "card": "kestrel"}
BANK, UTILITY = "sponsor-bank", "NACH00000000012345"
VENDORS = ("banyan", "kestrel")
SECRET, SIGNING = "demo-secret", "demo-signing-secret"
MISCHIEF = Mischief(
    silent_after=0.02, silent_before=0.02, error_after=0.03, error_before=0.03, busy=0.03, garbage=0.03, forgets=0.02,
    undecided=0.05, fails=0.0, reversed=0.005, lost=0.05, twice=0.05, late=0.05, contradicts=0.03,
    forged=0.03, stale=0.03,
)  # fmt: skip
"""A bad year for gateways. None says failed and then succeeded: whether the failure was told before would depend on
the machine's speed, and so would the money."""
WHY = {"soft": "funds", "hard": "closed", "technical": "down"}
BANK_ANSWERS_AT = 18
"""The hour in which the bank's responses come."""
MONEY = ("debit", "link", "payout")
"""Kinds of orders that move money; a refund is a payout to a gateway."""
FEE_BPS, TAX_PERCENT = 20, 18
QUICK = """
timeout_seconds = 0.5
look_again_seconds = [0.1, 0.3, 1, 3, 10]
again_after_seconds = 1
recheck_seconds = [0.4, 0.8]
later_seconds = 0.1
lease_seconds = 3
every_seconds = 0.05
"""
FILE = """
[sponsor-bank]
adapter = "nach-files"
folder = "{folder}"
utility_code = "{utility}"
look_again_seconds = [1, 3]
again_after_seconds = 2
lease_seconds = 10
every_seconds = 0.1

[banyan]
adapter = "banyan"
url = "{banyan}"
key = "key"
links = true
mandates = ["any", "enach", "nach", "upi", "card"]
{quick}
[kestrel]
adapter = "kestrel"
url = "{kestrel}"
key = "key"
payouts = true
{quick}"""


class WorldAtGateways(World):
    """The same people; what their accounts say reaches Qist through gateways."""

    def __init__(self, seed: int, borrowers: list[Borrower], outages: list[Outage], until: datetime) -> None:
        self.now = datetime.min.replace(tzinfo=IST)
        self._decided: dict[str, tuple[datetime, Fate]] = {}
        """Order -> when it ends, and how. One that is not here waits for good, such as a link that nobody pays."""
        self._stops: list[datetime] = []
        super().__init__(seed, borrowers, outages, until)

    @property
    def next_at(self) -> datetime | None:
        stops = self._stops[:1]
        return min([*stops, *([self._queue[0].at] if self._queue else [])], default=None)

    def sendings(self, now: datetime) -> list[Sending]:
        self.now = now
        while self._stops and self._stops[0] <= now:
            heapq.heappop(self._stops)
        return super().sendings(now)

    def fate(self, entry: Entry) -> Fate | None:
        """What a gateway learns of an order from the payer's bank, or from the payer; None: nothing yet."""
        at, fate = self._decided.get(entry.reference, (None, None))
        return fate if at is not None and at <= self.now else None

    def _decide(self, order_id: str, at: datetime, fate: Fate) -> None:
        if at < self._until:
            self._decided[order_id] = (at, fate)
            heapq.heappush(self._stops, at)

    def request_of(self, person: Borrower) -> dict[str, Any]:
        request = super().request_of(person)
        request["mandate"]["gateway"] = GATEWAY_OF_RAIL[person.rail]
        return request

    def _pay_out(self, body: Mapping[str, Any]) -> None:
        instruction = body["instruction_id"]
        if self._first_time(instruction):
            self._decide(instruction, datetime.fromisoformat(body["instructed_at"]), ("succeeded", ""))

    def _debit(self, body: Mapping[str, Any]) -> None:
        instruction, loan_id = body["instruction_id"], body["loan_id"]
        if not self._first_time(instruction):
            return
        self.books.asked += 1
        person, presented = self._people[loan_id], datetime.fromisoformat(body["present_at"])
        at = presented
        if body["gateway"] == BANK:
            at = max(presented, presented.astimezone(IST).replace(hour=BANK_ANSWERS_AT, minute=0))
        failure = self._failure(person, body, presented)
        self.books.answers["failed" if failure else "succeeded"] += 1
        self._decide(instruction, at, ("failed", WHY[failure]) if failure else ("succeeded", ""))
        if failure and at < self._until:
            self._owed[loan_id] = body["amount_paise"]
            self._react(person, body, failure, body["amount_paise"], at)
        elif not failure:
            self._owed.pop(loan_id, None)

    def _sign(self, body: Mapping[str, Any]) -> None:
        request = body["instruction_id"]
        dice = self._dice("sign", request)
        if self._first_time(request) and dice.random() >= 0.5:
            at = datetime.fromisoformat(body["instructed_at"]) + timedelta(hours=dice.randrange(12, 168))
            self._decide(request, at, ("succeeded", ""))

    def _follow_link(self, body: Mapping[str, Any]) -> None:
        link = f"link:{body['link_id']}"
        dice = self._dice("link", body["link_id"])
        if self._first_time(link) and dice.random() >= 0.6:
            at = datetime.fromisoformat(body["offered_at"]) + timedelta(hours=dice.randrange(1, 48))
            self._decide(link, at, ("succeeded", ""))

    def hear(self, kind: str, body: Mapping[str, Any], at: datetime) -> None:
        if kind == "servicing.mandate-cancellation.v1":
            self._decide(body["instruction_id"], at, ("succeeded", ""))
        super().hear(kind, body, at)


@dataclass(slots=True)
class Gateways:
    """The gateways of a demo: their servers and files, and what they say in the end."""

    world: WorldAtGateways
    apis: Mapping[str, ApiSimulator]
    bank: BankSimulator
    ordered: set[str]
    """Orders that Qist has published."""
    withdrawn: set[str]
    waits_for: dict[str, Any] = field(default_factory=dict[str, Any])
    """What is not at rest, in words."""

    def heard(self, kind: str, body: Mapping[str, Any]) -> None:
        """An instruction on its way to the desks."""
        order = WITHDRAWALS.get(kind) or KINDS.get(kind)
        if order is None:
            return
        name = f"link:{body['instruction_id']}" if order == "link" else body["instruction_id"]
        (self.withdrawn if kind in WITHDRAWALS else self.ordered).add(name)

    def books(self) -> dict[str, Books]:
        return {BANK: self.bank.books, **{name: sim.books for name, sim in self.apis.items()}}

    def entries(self) -> Iterator[tuple[str, Entry]]:
        for name, books in self.books().items():
            for entry in books.entries.values():
                yield name, entry

    async def rest(self, database: asyncpg.Connection) -> int | None:
        """How many outcomes were told, once every order is answered as far as it can be at this moment; else None."""
        for sim in self.apis.values():
            sim.wake()
        self.bank.turn()
        # Of one instant: an answer that is written between two looks would be in neither.
        async with database.transaction(isolation="repeatable_read", readonly=True):
            taken, withdrawn, told, untold, unheard = await database.fetchrow(
                "SELECT count(*), count(*) FILTER (WHERE withdrawal),"
                " (SELECT count(*) FROM gateway_outcomes WHERE published_at IS NOT NULL),"
                " (SELECT count(*) FROM gateway_outcomes WHERE published_at IS NULL),"
                " (SELECT count(*) FROM gateway_webhooks WHERE handled_at IS NULL) FROM gateway_calls"
            )  # pyright: ignore[reportGeneralTypeIssues]  # a row of sums is always there
            open_calls = await database.fetch(
                "SELECT instruction_id, state, withdrawal FROM gateway_calls WHERE next_at IS NOT NULL"
            )
        entries = {entry.reference: entry for _, entry in self.entries()}
        waiting = {
            "busy": [name for name, sim in (*self.apis.items(), (BANK, self.bank)) if not sim.at_rest],
            "not taken": len(self.ordered) - taken,
            "withdrawals not taken": max(0, len(self.withdrawn & self.ordered) - withdrawn),
            "not told": untold,
            "not heard": unheard,
            "open": [
                f"{call['instruction_id']} {call['state']}"
                for call in open_calls
                if call["state"] != "sent" or call["withdrawal"] or not self._waits(entries.get(call["instruction_id"]))
            ][:5],
        }
        self.waits_for = {name: what for name, what in waiting.items() if what}
        return None if self.waits_for else told

    def _waits(self, entry: Entry | None) -> bool:
        """Whether nothing can be known of it at this moment."""
        return entry is not None and entry.state == "processing" and self.world.fate(entry) is None

    def settle_books(self) -> None:
        """Put what moved through the gateways into the world's own account."""
        for _, entry in self.entries():
            loan_id = loan_of(entry)
            if entry.kind == "payout":
                self.world.books.received_by_borrower[loan_id] += entry.moved_paise
            elif entry.kind in ("debit", "link"):
                self.world.books.paid_by_borrower[loan_id] += entry.moved_paise

    def summary(self) -> dict[str, Any]:
        """What the gateways did, and did wrong."""
        did: Counter[str] = Counter()
        for books in self.books().values():
            did.update(books.did)
        return {
            "orders": {name: len(books.entries) for name, books in self.books().items()},
            "repeated_presentations": sum(books.repeats for books in self.books().values()),
            "debited_twice": sorted(entry.reference for _, entry in self.entries() if entry.times > 1),
            "files_refused_by_the_bank": self.bank.refused,
            "mischief": {name: count for name, count in sorted(did.items()) if count},
        }

    # --- reports ---------------------------------------------------------------------------------------------

    def reports(self) -> Iterator[tuple[str, bytes]]:
        """What each gateway says it settled, as CSV in Qist's own columns; the bank's statement."""
        settled: defaultdict[tuple[str, date], int] = defaultdict(int)
        for name, books in self.books().items():
            rows: list[tuple[Any, ...]] = []
            for entry in books.entries.values():
                if entry.kind not in MONEY:
                    continue
                for number, (day, paise) in enumerate(entry.moves, 1):
                    fee = 0 if name == BANK or entry.kind == "payout" else abs(paise) * FEE_BPS // 10_000
                    tax = fee * TAX_PERCENT // 100
                    out = (paise < 0) != (entry.kind == "payout")
                    settled[name, day] += (-abs(paise) if out else abs(paise)) - fee - tax
                    rows.append(
                        (
                            f"{entry.reference}/{number}", reference_of(name, entry), instruction_of(entry),
                            loan_of(entry), format_plain(abs(paise)), "out" if out else "in", format_plain(fee),
                            format_plain(tax), batch_of(name, day), day.isoformat(),
                        )
                    )  # fmt: skip
            yield name, as_csv(SETTLEMENT_COLUMNS, rows)
        rows = [
            (batch_of(name, day), batch_of(name, day), format_plain(paise), day.isoformat())
            for (name, day), paise in sorted(settled.items())
            if paise
        ]
        rows += [
            (body["payment_reference"], body["payment_reference"], format_plain(body["amount_paise"]), body["value_on"])
            for body in self.world.transfers
        ]
        yield "current-account", as_csv(("entry", "reference", "amount", "value_on"), rows)


SETTLEMENT_COLUMNS = (
    "entry", "reference", "instruction_id", "loan_id", "amount", "direction", "fee", "tax", "settlement", "value_on",
)  # fmt: skip
STATEMENT = {
    "kind": "statement",
    "columns": {"entry": "entry", "references": ["reference"], "amount": "amount", "value_on": "value_on"},
}


def loan_of(entry: Entry) -> str:
    return entry.loan_id or entry.reference.split(":")[0]


def instruction_of(entry: Entry) -> str:
    """A link's payment has its own reference instead."""
    return "" if entry.kind == "link" else entry.reference


def reference_of(gateway: str, entry: Entry) -> str:
    """The gateway's own, as its answers have it."""
    if gateway == BANK:
        return f"UTR{entry.number:09d}"
    told = face_of(gateway).entry(entry, "succeeded")
    told = told.get("data", told)
    return told.get("payment_id") or told.get("utr") or entry.reference


def batch_of(gateway: str, day: date) -> str:
    return f"SETTLED{gateway.replace('-', '').upper()}{day:%Y%m%d}"


def format_plain(paise: int) -> str:
    return f"{'-' if paise < 0 else ''}{abs(paise) // 100}.{abs(paise) % 100:02d}"


def as_csv(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


async def reconciled(gateways: Gateways, http_url: str, key: str) -> dict[str, Any]:
    """Give all reports to the API, as finance would: what the comparison comes to."""
    api = f"{http_url}/api/v1/reconciliation"
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(raise_for_status=explained, headers=headers) as session:
        await session.put(f"{api}/sources/current-account", params={"by": "demo"}, json=STATEMENT)
        for name, content in gateways.reports():
            if content.count(b"\n") > 1:
                await session.post(
                    f"{api}/files",
                    params={"source": name, "format": "csv", "by": "demo", "name": f"{name}.csv"},
                    data=content,
                    headers={"content-type": "text/csv"},
                )
        async with session.get(f"{api}/totals") as answer:
            totals: dict[str, Any] = await answer.json()
    return {"reconciliation": totals}


def judge(summary: dict[str, Any]) -> None:
    """A debit that moved twice, and whatever the reports and the loans do not agree on, is a difference, too."""
    found = [f"{order}: debited more than once" for order in summary["gateways"]["debited_twice"]]
    found += [
        f"{row['count']} {row['level']}s are {row['state']} by the settlement reports"
        for row in summary["reconciliation"]["states"]
        if row["state"] != "matched"
    ]
    summary["differences"] += found
    summary["reconciles"] = not summary["differences"]


async def explained(answer: aiohttp.ClientResponse) -> None:
    if answer.status >= 400:
        raise AssertionError(f"{answer.url} says {answer.status}: {(await answer.text())[:500]}")


@asynccontextmanager
async def open_gateways(seed: int, world: WorldAtGateways, folder: Path) -> AsyncIterator[tuple[Gateways, Path]]:
    """The three at work, and the file that names them."""

    def today() -> date:
        return ist_day(world.now)

    async with AsyncExitStack() as stack:
        apis: dict[str, ApiSimulator] = {}
        for name in VENDORS:
            simulator = ApiSimulator(
                face=face_of(name), seed=seed, mischief=MISCHIEF, secret=SECRET, webhook_secret=SIGNING,
                silence_seconds=1.0, late_seconds=0.2,
            )  # fmt: skip
            simulator.books.decides, simulator.books.today = world.fate, today
            apis[name] = await stack.enter_async_context(simulator)
        nach = folder / "nach"
        bank = BankSimulator(folder=nach, utility_code=UTILITY, seed=seed, mischief=MISCHIEF)
        bank.books.decides, bank.books.today = world.fate, today
        path = folder / "gateways.toml"
        urls = {name: sim.url for name, sim in apis.items()}
        path.write_text(FILE.format(folder=nach, utility=UTILITY, quick=QUICK, **urls))
        yield Gateways(world, apis, bank, set(), set()), path


def announce_to(gateways: Gateways, http_url: str) -> None:
    """Where the API takes webhooks."""
    for name, sim in gateways.apis.items():
        sim.webhook_url = f"{http_url}/api/v1/webhooks/{name}"


SETTINGS = {
    "gateway_secrets": SecretStr(",".join(f"{name}:{SECRET}" for name in VENDORS)),
    "webhook_secrets": SecretStr(",".join(f"{name}:{SIGNING}" for name in VENDORS)),
}
