"""The notifier on a real PostgreSQL, files, HTTP and SMTP: everybody is told once, at the right hour, or it is said why
not."""

from __future__ import annotations

import email
import email.policy
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from aiosmtpd.controller import Controller

from adapters.database import connect_pool
from adapters.embedded.ports import free_port
from adapters.event_store.migrate import migrate
from adapters.http.models import NoticePage
from adapters.notices import store
from adapters.notices.file import FilePort
from adapters.notices.letters import Letter, Port, Refused, Taken, Unclear
from adapters.notices.notifier import Notifier
from adapters.notices.smtp import SmtpPort
from adapters.notices.told import notices_of
from adapters.notices.webhook import WebhookPort
from adapters.notices.wording import load
from adapters.vault import Vault
from domain.policies.contact import CHANNELS
from streams.envelope import Record
from streams.topics import NOTICE_OUTCOMES, NOTIFICATIONS
from tests.integration.test_engine_edges import HOME, LOAN, PARTITIONS
from tests.integration.test_erasure import PERSONAL, Erasing, rows_with
from tests.stories import on

pytestmark = pytest.mark.slow

TEMPLATES = load(None, "Sahaj Finance", "https://pay.example.in/{link_id}")
NAME, PHONE, MAIL = PERSONAL[:3]


class Dead(BaseException):
    """As a killed process: nothing of it is caught."""


class Inboxed:
    """What the test gives, once."""

    def __init__(self) -> None:
        self.waiting: list[Record] = []
        self.committed = 0

    async def poll(self, wait_ms: int) -> Sequence[Record]:
        return self.waiting

    async def done(self) -> None:
        self.committed += len(self.waiting)
        self.waiting = []


class Lending(Erasing):
    """An engine with a loan of one instalment, due on 5 Apr, and a notifier beside it that writes to a file."""

    def __init__(self, pool: asyncpg.Pool, folder: Path) -> None:
        super().__init__(pool)
        self.path = folder / "notices.jsonl"
        self.heard = self.heard_of = 0
        self.notices = Inboxed()
        self.notifier = self.a_notifier(dict.fromkeys(CHANNELS, FilePort(self.path)))

    def a_notifier(self, ports: dict[str, Port], crash_at: Callable[[str], None] = lambda point: None) -> Notifier:
        return Notifier(
            inbox=self.notices, pool=self.pool, vault=Vault(bytes(range(32))), clock=self.clock, templates=TEMPLATES,
            ports=ports, cluster_id="cluster-1", crash_at=crash_at,
        )  # fmt: skip

    async def tell_on(self, *, again: bool = False) -> None:
        """The engine decides what is due; the notifier hears what the engine has published since (or all again)."""
        await self.turn()
        self.notices.waiting += self.published()[0 if again else self.heard :]
        self.heard = len(self.published())
        await self.notifier.turn(self.notices.waiting)

    def published(self) -> list[Record]:
        return [
            Record(NOTIFICATIONS.name, HOME, place, one["key"], tuple(one["headers"]), one["value"])
            for place, one in enumerate(self.producer.on(NOTIFICATIONS.name))
        ]

    async def outcome(self, kind: str, notice_id: str, **more: Any) -> None:
        body = {"loan_id": LOAN, "notice_id": notice_id, "at": self.clock.at.isoformat(), **more}
        headers = (("ce_type", f"gateway.notice.{kind}.v1".encode()),)
        self.heard_of += 1
        record = Record(NOTICE_OUTCOMES.name, HOME, self.heard_of, LOAN.encode(), headers, json.dumps(body).encode())
        self.notices.waiting = [record]
        await self.notifier.turn([record])

    @property
    def letters(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def told(self) -> list[tuple[str, str]]:
        """Kinds and channels, in the order in which they went out."""
        return [(letter["kind"], letter["channel"]) for letter in self.letters]

    async def stands(self, kind: str) -> tuple[str, str, str]:
        """State, channel and reason of the last notice of a kind."""
        [one, *_] = [one for one in await notices_of(self.pool, LOAN, limit=100) if one["kind"] == kind]
        return one["state"], one["channel"] or "", one["reason"]

    async def identity(self, kind: str) -> str:
        return await self.pool.fetchval("SELECT notice_id FROM notices WHERE kind = $1", kind)

    async def paid_out(self) -> None:
        self.approve(LOAN)
        await self.tell_on()

    def says(self, kind: str, command_id: str, **fields: Any) -> None:
        self.tell(
            LOAN, "servicing.commands", f"servicing.{kind}.v1", command_id=command_id, requested_by="desk",
            requested_at=self.clock.at.isoformat(), **fields,
        )  # fmt: skip

    def bounces(self, attempt: int = 1) -> None:
        self.tell(
            LOAN, "gateway.debit-outcomes", "gateway.debit.failed.v1", instruction_id=f"{LOAN}:1:{attempt}",
            amount_paise=10_000_00, code="04", at=self.clock.at.isoformat(),
        )  # fmt: skip


@pytest.fixture
async def house(database: str, tmp_path: Path) -> AsyncIterator[Lending]:
    await migrate(database, PARTITIONS)
    pool = await connect_pool(database, name="test")
    yield Lending(pool, tmp_path)
    await pool.close()


# --- What is said, and when ----------------------------------------------------------------------------------


async def test_a_failed_debit_brings_the_next_step_and_a_link_in_the_borrower_s_words(house: Lending) -> None:
    await house.paid_out()
    house.says("set-contact-preferences", "P-1", language="hi", contact={"channel": "sms"})
    house.says("register-mandate", "M-1", mandate={"mandate_id": "M-1", "rail": "nach", "max_amount_paise": 20_000_00})
    await house.tell_on()
    house.clock.at = on("5 Apr 07:00")
    await house.tell_on()
    house.bounces()
    await house.tell_on()
    [letter] = [one for one in house.letters if one["kind"] == "debit-failed"]
    assert (letter["channel"], letter["address"], letter["language"]) == ("sms", PHONE, "hi")
    assert "रु 10,1" in letter["body"]
    assert "हम फिर प्रयास करेंगे" in letter["body"], "what happens next, by the diagnosis"
    assert "https://pay.example.in/LN-1:1" in letter["body"]
    assert letter["body"].endswith("-Sahaj Finance")


async def test_a_reminder_waits_for_the_morning_and_is_not_sent_when_the_money_came_first(house: Lending) -> None:
    await house.paid_out()
    house.clock.at = on("6 Apr 00:30")
    await house.tell_on()
    state, _, reason = await house.stands("overdue")
    assert (state, "contact hours" in reason) == ("planned", True)
    house.clock.at = on("6 Apr 07:30")
    house.pay_off(LOAN)
    await house.tell_on()
    assert await house.stands("overdue") == ("suppressed", "whatsapp", "superseded by payment-received")
    house.clock.at = on("6 Apr 08:00")
    await house.tell_on()
    assert "overdue" not in [kind for kind, _ in house.told()]
    assert ("closed", "sms") in house.told()


async def test_a_hold_that_comes_before_the_hour_is_kept(house: Lending) -> None:
    await house.paid_out()
    house.clock.at = on("6 Apr 00:30")
    await house.tell_on()
    house.says("hold-contact", "H-1", reason="bereavement", until="2026-04-08")
    await house.tell_on()
    house.clock.at = on("6 Apr 08:00")
    await house.tell_on()
    assert (await house.stands("overdue"))[0] == "planned"
    house.clock.at = on("9 Apr 08:00")
    await house.tell_on()
    [letter] = [one for one in house.letters if one["kind"] == "overdue"]
    assert "we can help" in letter["body"]


async def test_what_is_heard_twice_is_told_once(house: Lending) -> None:
    await house.paid_out()
    before = house.told()
    await house.tell_on(again=True)
    assert house.told() == before == [("disbursed", "sms")]
    assert await house.pool.fetchval("SELECT count(*) FROM notices") == 1


async def test_a_borrower_without_an_address_is_a_notice_that_says_so(house: Lending) -> None:
    house.book()
    house.settle()
    await house.tell_on()
    assert await house.stands("disbursed") == (
        "suppressed", "", "no-channel: served email, sms, voice, whatsapp, reachable by none",
    )  # fmt: skip


# --- What goes wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["after plan", "before send", "after send"])
async def test_nobody_is_told_twice_and_nobody_is_forgotten_wherever_the_notifier_dies(
    house: Lending, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash_at(reached: str) -> None:
        if reached == point:
            raise Dead

    house.notifier.crash_at = crash_at
    with pytest.raises(Dead):
        await house.paid_out()
    monkeypatch.setattr(store, "LEASE", timedelta(0))
    house.notifier = house.a_notifier(dict.fromkeys(CHANNELS, FilePort(house.path)))
    await house.tell_on(again=True)
    assert house.told() == [("disbursed", "sms")]
    assert (await house.stands("disbursed"))[0] == "sent"


class Sulky:
    """A provider that answers as a test says, else takes what it is given."""

    def __init__(self, *answers: Refused | Unclear, repeats_safely: bool = True) -> None:
        self.answers, self.repeats_safely = list(answers), repeats_safely
        self.taken: list[Letter] = []

    async def send(self, letters: Sequence[Letter]) -> list[Any]:
        said: list[Any] = []
        for letter in letters:
            said.append(self.answers.pop(0) if self.answers else Taken("X-1"))
            self.taken += [letter] if isinstance(said[-1], Taken) else []
        return said

    async def forget(self, borrowers: Any) -> None: ...

    async def close(self) -> None: ...


async def test_a_provider_that_refuses_for_good_is_left_for_the_next_at_once(house: Lending) -> None:
    sms, mail = Sulky(Refused("HTTP 400", for_good=True)), Sulky()
    house.notifier = house.a_notifier({"sms": sms, "email": mail})
    await house.paid_out()
    assert (await house.stands("disbursed"))[:2] == ("sent", "email")
    assert [letter.address for letter in mail.taken] == [MAIL]
    [one] = await notices_of(house.pool, LOAN, limit=1)
    NoticePage.model_validate({"loan_id": LOAN, "items": [one], "next_cursor": None})
    assert [(step["channel"], step["outcome"], step["detail"]) for step in one["tries"]] == [
        ("sms", "refused", "HTTP 400"),
    ]


async def test_a_provider_that_is_away_is_asked_thrice_and_then_left(house: Lending) -> None:
    away = [Refused("no answer")] * 3
    sms, mail = Sulky(*away), Sulky()
    house.notifier = house.a_notifier({"sms": sms, "email": mail})
    await house.paid_out()
    assert (await house.stands("disbursed"))[0] == "planned"
    for _ in range(2):
        house.clock.at += timedelta(minutes=10)
        await house.tell_on()
    assert (await house.stands("disbursed"))[:2] == ("sent", "email")
    assert sms.taken == []


async def test_when_every_channel_has_failed_the_notice_says_so(house: Lending) -> None:
    house.notifier = house.a_notifier({"sms": Sulky(Refused("HTTP 404", for_good=True))})
    await house.paid_out()
    assert await house.stands("disbursed") == (
        "failed", "sms", "no-channel: served sms, reachable by email, sms, voice, whatsapp, tried sms",
    )  # fmt: skip


async def test_what_may_have_gone_out_is_not_repeated_where_it_would_be_read_twice(house: Lending) -> None:
    mail = Sulky(Unclear("lost"), repeats_safely=False)
    house.notifier = house.a_notifier({"email": mail})
    await house.paid_out()
    house.clock.at += timedelta(hours=1)
    await house.tell_on()
    assert (await house.stands("disbursed"))[0] == "sent"
    [one] = await notices_of(house.pool, LOAN, limit=1)
    assert one["tries"][0]["outcome"] == "unclear"
    assert mail.taken == []


# --- What providers say --------------------------------------------------------------------------------------


async def test_delivery_and_reading_are_on_record_in_whatever_order_they_come(house: Lending) -> None:
    await house.paid_out()
    notice_id = await house.identity("disbursed")
    await house.outcome("read", notice_id)
    await house.outcome("delivered", notice_id)
    await house.outcome("failed", notice_id, code="480")
    assert (await house.stands("disbursed"))[0] == "read"
    assert house.told() == [("disbursed", "sms")]


async def test_a_failure_after_sending_goes_on_to_the_next_channel_once(house: Lending) -> None:
    await house.paid_out()
    notice_id = await house.identity("disbursed")
    for _ in range(2):
        await house.outcome("failed", notice_id, channel="sms", code="27", message="absent subscriber")
    assert house.told() == [("disbursed", "sms"), ("disbursed", "whatsapp")]
    assert (await house.stands("disbursed"))[:2] == ("sent", "whatsapp")


async def test_a_word_about_no_notice_of_ours_is_a_dead_letter(house: Lending) -> None:
    await house.paid_out()
    await house.outcome("delivered", "9:9:gossip")
    await house.outcome("delivered", await house.identity("disbursed"), at="yesterday")
    await house.outcome("eaten", "9:9:gossip")
    rows = await house.pool.fetch("SELECT reason, field FROM dead_letters ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("notice_unknown", "/notice_id"), ("malformed", "/at"), ("unknown_type", "/headers/ce_type"),
    ]  # fmt: skip


# --- Personal data -------------------------------------------------------------------------------------------


async def test_texts_and_addresses_are_in_no_table_and_go_with_the_borrower(house: Lending) -> None:
    await house.paid_out()
    house.says("raise-grievance", "G-1", subject=f"{NAME} was called at night")
    await house.tell_on()
    assert PHONE in house.path.read_text()
    for said in (PHONE, MAIL):
        assert await rows_with(house.pool, said) == []
    house.clock.at = on("5 Apr 08:00")
    await house.close(LOAN)
    house.says("close-case", "C-1", case_id=f"{LOAN}:case:1", outcome="answered")
    house.erase(LOAN)
    await house.tell_on()
    assert (await house.result())[0] == "done"
    assert house.path.read_text() == ""
    assert await house.pool.fetchval("SELECT count(*) FROM notices WHERE facts <> '{}'") == 0
    assert "public.notices" not in await rows_with(house.pool, NAME)


# --- Real doors ----------------------------------------------------------------------------------------------


class Mailbox:
    """What an SMTP server took."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], Any]] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address.startswith("gone@"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.mails.append((envelope.rcpt_tos, message))
        return "250 OK"


def a_letter(number: int, address: str, **more: Any) -> Letter:
    return Letter(
        **{
            "notice_id": f"3:{number}:closed", "loan_id": LOAN, "borrower_id": "B-1", "kind": "closed",
            "channel": "email", "language": "hi", "address": address, "subject": "आपका लोन बंद हुआ",
            "body": "प्रिय Asha,\n\nअब कुछ देय नहीं।", **more,
        }
    )  # fmt: skip


async def test_an_smtp_server_takes_hindi_and_the_bad_address_alone_is_refused() -> None:
    mailbox = Mailbox()
    port = free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        smtp = SmtpPort(f"smtp://127.0.0.1:{port}", "loans@sahaj.example", "Sahaj Finance")
        letters = [a_letter(1, MAIL), a_letter(2, "gone@example.in"), a_letter(3, "no address"), a_letter(4, MAIL)]
        answers = await smtp.send(letters)
    finally:
        controller.stop()
    assert [type(answer) for answer in answers] == [Taken, Refused, Refused, Taken]
    assert all(isinstance(answer, Taken) or answer.for_good for answer in answers if not isinstance(answer, Unclear))
    [(to, message), _] = mailbox.mails
    assert to == [MAIL]
    assert message["Subject"] == "आपका लोन बंद हुआ"
    assert message["Message-ID"] == "<3.1.closed@sahaj.example>"
    assert "अब कुछ देय नहीं।" in message.get_content()
    again = await smtp.send([a_letter(1, MAIL)])
    assert again == [Refused("SMTP: ConnectionRefusedError")], "a server that is away is asked again later"


async def test_a_provider_is_called_with_a_signature_and_a_key_by_which_it_knows_a_repeat() -> None:
    calls: list[tuple[str, str, dict[str, Any]]] = []
    statuses = iter([200, 409, 500, 400])

    async def take(request: web.Request) -> web.Response:
        calls.append(
            (request.headers["Idempotency-Key"], request.headers["Qist-Signature"], json.loads(await request.read()))
        )
        return web.json_response({"id": "WA-7"}, status=next(statuses))

    app = web.Application()
    app.router.add_post("/send", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    hook = WebhookPort(f"http://{host}:{port}/send", b"secret")
    try:
        answers = [(await hook.send([a_letter(1, PHONE, channel="whatsapp")]))[0] for _ in range(4)]
    finally:
        await hook.close()
        await runner.cleanup()
    assert answers == [Taken("WA-7"), Taken("WA-7"), Refused("HTTP 500"), Refused("HTTP 400", for_good=True)]
    assert {key for key, _, _ in calls} == {"3:1:closed:whatsapp"}
    assert all(signature.startswith("t=") and ",v1=" in signature for _, signature, _ in calls)
    assert (calls[0][2]["to"], calls[0][2]["text"][:4]) == (PHONE, "प्रि")


async def test_the_file_forgets_a_line_that_a_crash_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "notices.jsonl"
    await FilePort(path).send([a_letter(1, MAIL)])
    with path.open("ab") as file:
        file.write(b'{"notice_id": "3:2:clo')
    await FilePort(path).send([a_letter(1, MAIL), a_letter(2, MAIL)])
    assert [json.loads(line)["notice_id"] for line in path.read_text().splitlines()] == ["3:1:closed", "3:2:closed"]
    assert path.stat().st_mode & 0o777 == 0o600
