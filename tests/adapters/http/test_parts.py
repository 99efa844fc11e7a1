"""The API's parts that need no database: broadcasting, cursors, assets, signatures, words."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from typing import Any

import pytest

from adapters.house import load_rules
from adapters.http import vendor
from adapters.http.accepted import Accepted, Sent
from adapters.http.answers import decode, encode
from adapters.http.app import create_app
from adapters.http.assets import address_of, assets
from adapters.http.commands import one_id, seconds_to_wait
from adapters.http.live import KEPT, Frame, Live, offer
from adapters.http.loans import NO_BUCKET, without_accounts
from adapters.http.phrases import PHRASES, TONES, phrase
from adapters.http.portfolio import percent, shares
from adapters.http.problems import STATUS_OF, Problem
from adapters.http.rendering import count, short_rupees, whole_rupees
from adapters.http.webhooks import WINDOW_SECONDS, checked_signature, loan_of
from adapters.set_aside import masked
from domain.codec import decode as load_event
from domain.events import CATALOGUE
from domain.refusals import Refusal
from streams.clock import IST
from tests.golden_events import stored
from tests.lives import a_life


class TestLive:
    async def test_a_slow_client_loses_the_oldest(self):
        queue: asyncio.Queue[Frame | None] = asyncio.Queue(KEPT)
        for number in range(KEPT + 3):
            offer(queue, Frame(number, {}, {}))
        assert [queue.get_nowait().number for _ in range(KEPT)] == list(range(3, KEPT + 3))  # type: ignore[union-attr]

    async def test_nobody_looks_while_nobody_watches(self):
        live, looks = Live(), 0

        async def look() -> tuple[dict[str, Any], dict[str, str]]:
            nonlocal looks
            looks += 1
            return {"look": looks}, {}

        looking = asyncio.create_task(live.run(look))
        await asyncio.sleep(0.02)
        assert looks == 0
        watching = live.watch()
        assert (await anext(watching)).data == {"look": 1}
        await watching.aclose()  # type: ignore[attr-defined]
        assert live.clients == 0
        looking.cancel()

    async def test_all_go_home_when_it_closes(self):
        live = Live()
        watching = live.watch()
        waiting = asyncio.create_task(anext(watching))
        await asyncio.sleep(0)
        live.close()
        with pytest.raises(StopAsyncIteration):
            await waiting

    async def test_trouble_in_looking_ends_nothing(self):
        live, looks = Live(), 0

        async def look() -> tuple[dict[str, Any], dict[str, str]]:
            nonlocal looks
            looks += 1
            if looks == 1:
                raise OSError("the database is away")
            return {}, {}

        looking = asyncio.create_task(live.run(look))
        async with asyncio.timeout(5):
            await anext(live.watch())
        assert looks == 2
        looking.cancel()


class TestCursors:
    def test_say_where_the_page_ended(self):
        assert decode(encode(["LN-1", 7]), str, int) == ["LN-1", 7]
        assert decode(None, str) is None

    @pytest.mark.parametrize("cursor", ["", "!", "e30", encode([1]), encode(["a", "b"]), "WzEuNV0"])
    def test_of_others_are_refused(self, cursor: str):
        with pytest.raises(Problem):
            decode(cursor, str)


class TestAssets:
    def test_are_served_by_their_hash(self):
        assert re.fullmatch(r"/static/[0-9a-f]{12}/vendor/uPlot\.iife\.min\.js", address_of("vendor/uPlot.iife.min.js"))
        assert "vendor/README.md" not in assets()

    def test_vendored_files_are_what_was_vendored(self):
        written = {
            name: hashlib.sha256((vendor.FOLDER / name).read_bytes()).hexdigest()
            for library in vendor.LIBRARIES
            for name in library.files.values()
        }
        readme = (vendor.FOLDER / "README.md").read_text()
        assert dict(re.findall(r"\| (\S+) \| `([0-9a-f]{64})` \|", readme)) == written

    def test_pages_ask_nothing_of_the_outside(self):
        for path, asset in assets().items():
            if not path.startswith("vendor/") and path != "mark.svg":
                assert b"http:" not in asset.content
                assert b"https:" not in asset.content


class TestWords:
    def test_every_kind_of_event_has_its_sentence(self):
        assert set(PHRASES) == set(CATALOGUE)
        assert set(TONES) <= set(CATALOGUE)

    def test_sentences_can_be_said_of_whole_lives(self):
        for seed in range(20):
            for event in a_life(seed):
                assert phrase(event.TOPIC, {**vars(event)})

    def test_sentences_can_be_said_of_every_kind_that_was_ever_stored(self):
        for topic, version, state in stored():
            event = load_event(topic, state, "LN-1", version)
            assert phrase(event.TOPIC, {**vars(event)})

    def test_an_unknown_kind_is_called_by_its_name(self):
        assert phrase("loan.moved-house.v2", {}) == "moved house"

    @pytest.mark.parametrize(
        ("paise", "whole", "short"),
        [
            (0, "₹0", "₹0"),
            (12_345_678_49, "₹1,23,45,678", "₹1.23 crore"),
            (2_50_000_50, "₹2,50,001", "₹2.50 lakh"),
            (-99_999_00, "−₹99,999", "−₹99,999"),
        ],
    )
    def test_money_is_said_the_indian_way(self, paise: int, whole: str, short: str):
        assert (whole_rupees(paise), short_rupees(paise)) == (whole, short)

    def test_counts_are_grouped_alike(self):
        assert count(1_234_567) == "12,34,567"

    def test_percent_of_nothing_is_nothing(self):
        assert (percent(0, 0), percent(1, 2), percent(5, 0)) == (None, "33.3", "100.0")


class TestShares:
    def test_keep_the_order_of_lateness_and_add_up(self):
        rows = [
            {"bucket": "", "loans": 2, "principal_paise": 5, "overdue_paise": 0},
            {"bucket": "31-60", "loans": 1, "principal_paise": 7, "overdue_paise": 3},
            {"bucket": "current", "loans": 1, "principal_paise": 1, "overdue_paise": 0},
        ]
        told = shares(rows, "bucket", ["current", "1-30", "31-60"])
        assert [(one["bucket"], one["loans"], one["principal_paise"]) for one in told] == [
            ("current", 3, 6),
            ("1-30", 0, 0),
            ("31-60", 1, 7),
        ]

    def test_the_first_bucket_is_the_one_of_the_products(self):
        assert {product.buckets[0][1] for product in load_rules().products.by_version.values()} == {NO_BUCKET}


class TestSignatures:
    SECRETS = (b"old", b"new")
    BODY = b'{"loan_id": "LN-1"}'

    def signed(self, secret: bytes = b"new", at: int = 1_000_000) -> str:
        return f"t={at},v1={hmac.new(secret, b'%d.' % at + self.BODY, hashlib.sha256).hexdigest()}"

    @pytest.mark.parametrize("secret", SECRETS)
    @pytest.mark.parametrize("away", [0, WINDOW_SECONDS, -WINDOW_SECONDS])
    def test_right_and_fresh_ones_pass(self, secret: bytes, away: int):
        assert checked_signature(self.signed(secret), self.BODY, self.SECRETS, 1_000_000 + away)

    @pytest.mark.parametrize(
        ("header", "kind"),
        [
            (None, "signature-missing"),
            ("", "signature-missing"),
            ("t=,v1=", "signature-missing"),
            ("t=²,v1=00", "signature-missing"),
            ("t=1000000,v1=é", "signature-missing"),
            ("t=1000000", "signature-wrong"),
            ("t=1000000,v1=00", "signature-wrong"),
        ],
    )
    def test_others_do_not(self, header: str | None, kind: str):
        with pytest.raises(Problem) as refused:
            checked_signature(header, self.BODY, self.SECRETS, 1_000_000)
        assert (refused.value.status, refused.value.kind) == (401, kind)

    def test_an_old_one_is_refused_though_right(self):
        with pytest.raises(Problem, match="seconds away"):
            checked_signature(self.signed(), self.BODY, self.SECRETS, 1_000_001 + WINDOW_SECONDS)

    def test_a_message_without_a_loan_has_a_key_all_the_same(self):
        assert [loan_of(body) for body in (self.BODY, b"{", b"[]", b'{"loan_id": 7}', b'{"loan_id": "a b"}')] == [
            "LN-1",
            *["unreadable"] * 4,
        ]


class TestCommands:
    @pytest.mark.parametrize(
        ("prefer", "seconds"),
        [(None, 0), ("wait=5", 5), ("respond-async, wait=10", 10), ("wait=900", 30), ("wait=soon", 0), ("await=3", 0)],
    )
    def test_wait_as_long_as_preferred(self, prefer: str | None, seconds: float):
        assert seconds_to_wait(prefer) == seconds

    def test_have_one_id(self):
        assert (one_id("a", "a"), one_id("a", None), one_id(None, "b")) == ("a", "a", "b")
        assert one_id(None, None) != one_id(None, None)
        with pytest.raises(Problem):
            one_id("a", "b")

    def test_memory_of_those_on_their_way_is_bounded(self):
        known = Accepted(kept=2)
        for number in range(3):
            known.add(Sent(str(number), "LN-1", "x", "", _now()))
        assert [known.get(str(number)) is not None for number in range(3)] == [False, True, True]


class TestPersonalData:
    def test_is_masked_at_any_depth(self):
        body = {"loan_id": "LN-1", "borrower": {"name": "A", "phone": None}, "accounts": [{"number": "1", "ifsc": "X"}]}
        assert masked(body) == {
            "loan_id": "LN-1",
            "borrower": {"name": "***", "phone": None},
            "accounts": [{"number": "***", "ifsc": "X"}],
        }

    def test_leaves_events_as_they_are_shown(self):
        assert without_accounts({"mandate": {"umrn": "U", "last4": "1", "bank": "B"}}) == {"mandate": {"bank": "B"}}


class TestDescription:
    def test_every_reference_leads_somewhere(self):
        described = create_app().openapi()
        names = set(described["components"]["schemas"])
        assert set(re.findall(r"#/components/schemas/([\w.-]+)", json.dumps(described))) <= names

    def test_every_operation_says_what_it_gives_and_how_it_refuses(self):
        for path in create_app().openapi()["paths"].values():
            for operation in path.values():
                assert operation["summary"]
                assert "application/problem+json" in operation["responses"]["default"]["content"]

    def test_refusals_are_4xx(self):
        assert set(STATUS_OF) <= set(Refusal)
        assert all(400 <= status < 500 for status in STATUS_OF.values())


def _now() -> Any:
    from datetime import datetime

    return datetime(2026, 1, 1, tzinfo=IST)
