"""Gateways that lose answers, repeat themselves and lie: no debit twice, no success lost, whatever crashes when."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest

from adapters.gateways.simulators.books import GOOD, Mischief
from streams.clock import SystemClock
from streams.wire import Secret
from tests.conftest import MakeDatabase
from tests.eventually import eventually
from tests.integration.gateways import api_office, bank_office, debit

VENDORS = ["banyan", "kestrel"]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_debit_is_presented_once_and_its_success_is_told_with_the_gateways_reference(
    vendor: str, database: str
) -> None:
    async with api_office(vendor, database, 1, GOOD) as office:
        instruction = debit(office.topics, vendor, 1)
        async with office.at_work():
            await office.at_rest()
        ((kind, body),) = office.topics.told()[instruction]
        assert kind == "gateway.debit.succeeded.v1"
        assert (body["amount_paise"], body["rail"], body["gateway"], body["bank"]) == (499_300, "enach", vendor, "HDFC")
        assert body["gateway_reference"] == {"banyan": "BNY000000001", "kestrel": "KST000000001"}[vendor]
        (row,) = await office.rows()
        assert (row["state"], row["outcome"], row["presented"]) == ("answered", "succeeded", 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("vendor", VENDORS)
async def test_whatever_goes_wrong_the_topic_says_what_the_gateways_books_say(
    vendor: str, seed: int, make_database: MakeDatabase
) -> None:
    mischief = Mischief.of_all(0.15)
    async with make_database() as dsn, api_office(vendor, dsn, seed, mischief) as office:
        orders = [debit(office.topics, vendor, number, paise=100_000 + number) for number in range(60)]
        async with office.at_work(crash_rate=0.02, seed=seed):
            await office.at_rest()
        assert office.sim is not None
        books = office.sim.books
        assert sorted(books.entries) == sorted(orders)
        assert [entry.reference for entry in books.entries.values() if entry.times > 1] == []
        assert office.topics.money() == books.moved()
        # The run was as bad as it was meant to be.
        assert office.crashes > 0
        assert min(books.did[what] for what in ("silent_after", "error_after", "lost", "contradicts", "forged")) > 0


async def test_a_bank_gets_one_file_and_its_response_is_told(database: str, tmp_path: Path) -> None:
    async with bank_office(database, tmp_path, 1, GOOD) as office:
        orders = [debit(office.topics, "sponsor-bank", number) for number in range(3)]
        async with office.at_work():
            await office.at_rest()
        assert {instruction: [kind for kind, _ in facts] for instruction, facts in office.topics.told().items()} == {
            instruction: ["gateway.debit.succeeded.v1"] for instruction in orders
        }
        assert office.topics.told()[orders[0]][0][1]["gateway_reference"] == "UTR000000001"
        files = await office.pool.fetch("SELECT state, set_aside FROM gateway_files")
        assert {(row["state"], row["set_aside"]) for row in files} == {("taken", 0)}
        assert list((tmp_path / "in").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_files_lost_late_twice_cut_or_misprinted_leave_the_books_alike(
    seed: int, make_database: MakeDatabase, tmp_path: Path
) -> None:
    async with make_database() as dsn, bank_office(dsn, tmp_path, seed, Mischief.of_all(0.2)) as office:
        orders: list[str] = []
        async with office.at_work(crash_rate=0.02, seed=seed):
            for wave in range(10):  # files of a few items, on many rounds
                orders += [debit(office.topics, "sponsor-bank", 10 * wave + number) for number in range(6)]
                await asyncio.sleep(0.1)
            await office.at_rest()
        assert office.sim is not None
        books = office.sim.books
        assert sorted(books.entries) == sorted(orders)
        assert [entry.reference for entry in books.entries.values() if entry.times > 1] == []
        assert office.topics.money() == books.moved()
        assert office.crashes > 0
        assert min(books.did[what] for what in ("lost", "late", "twice", "contradicts", "garbage", "undecided")) > 0
        assert office.sim.refused == 0


@pytest.mark.slow
async def test_a_webhook_is_answered_the_same_however_often_it_comes_and_its_content_is_forgotten(
    database: str,
) -> None:
    async with api_office("kestrel", database, 1, Mischief(fails=0.0, twice=1.0, forged=1.0, stale=1.0)) as office:
        debit(office.topics, "kestrel", 1)
        async with office.at_work():
            await office.at_rest()
        assert office.sim is not None
        assert office.sim.refused_webhooks == 2  # the forged one, and the one of long ago
        (row,) = await office.pool.fetch("SELECT event_id, body, note FROM gateway_webhooks")
        assert (row["event_id"], row["body"], row["note"]) == ("LN-1:1:1:1", None, "")


@pytest.mark.slow
async def test_a_debit_that_is_withdrawn_before_its_turn_never_reaches_the_gateway(database: str) -> None:
    async with api_office("banyan", database, 1, GOOD) as office:
        first, second = debit(office.topics, "banyan", 1), debit(office.topics, "banyan", 2)
        office.topics.instruct("servicing.debit-withdrawal.v1", loan_id="LN-1", instruction_id=first, reason="paid")
        async with office.at_work():
            await office.at_rest()
        assert office.sim is not None
        assert list(office.sim.books.entries) == [second]
        assert list(office.topics.told()) == [second]
        assert [row["state"] for row in await office.rows()] == ["withdrawn", "answered"]


@pytest.mark.slow
async def test_a_debit_that_is_withdrawn_at_the_gateway_is_cancelled_there_or_told_as_it_went(database: str) -> None:
    async with api_office("kestrel", database, 1, Mischief(fails=0.0, undecided=0.5)) as office:
        orders = [debit(office.topics, "kestrel", number) for number in range(8)]
        assert office.sim is not None
        office.sim.late_seconds = 0.5
        async with office.at_work():
            await eventually(lambda: len(office.sim.books.entries) == 8 if office.sim else False)
            await asyncio.sleep(0.2)
            for number, order in enumerate(orders):
                office.topics.instruct("servicing.debit-withdrawal.v1", loan_id=f"LN-{number}", instruction_id=order)
            await office.at_rest()
        ended = {entry.reference: entry.state for entry in office.sim.books.entries.values()}
        assert set(ended.values()) == {"cancelled", "succeeded"}
        assert office.topics.money() == {order: 499_300 for order in orders if ended[order] == "succeeded"}
        assert {row["instruction_id"] for row in await office.rows("state = 'withdrawn'")} == {
            order for order in orders if ended[order] == "cancelled"
        }


@pytest.mark.slow
async def test_an_instruction_of_long_ago_is_looked_up_and_not_presented(database: str) -> None:
    async with api_office("banyan", database, 1, GOOD) as office:
        old = debit(office.topics, "banyan", 1, present_at="2026-01-01T10:00:00+05:30")
        async with office.at_work():
            await office.at_rest()
        assert office.sim is not None
        assert (office.sim.books.entries, office.topics.sent) == ({}, [])
        (row,) = await office.rows()
        assert (row["instruction_id"], row["state"], row["presented"]) == (old, "held", 0)


@pytest.mark.slow
async def test_instructions_of_other_gateways_and_what_is_none_are_left_alone(database: str) -> None:
    async with api_office("banyan", database, 1, GOOD) as office:
        debit(office.topics, "kestrel", 1)
        debit(office.topics, "banyan", 2, paise="much")  # pyright: ignore[reportArgumentType]
        debit(office.topics, "banyan", 3)
        async with office.at_work():
            await office.at_rest()
        assert [row["loan_id"] for row in await office.rows()] == ["LN-3"]
        (aside,) = await office.pool.fetch("SELECT source, line, reason FROM gateway_set_aside")
        assert (aside["source"], aside["line"]) == ("servicing.debit-instructions:0", 1)
        assert aside["reason"].startswith("/amount_paise: ")


@pytest.mark.slow
async def test_a_payouts_account_comes_from_the_vault_and_is_kept_nowhere_else(database: str) -> None:
    async with api_office("kestrel", database, 1, GOOD, payouts=True) as office:
        account = {"number": "50100123456789", "ifsc": "HDFC0000001", "holder": "Asha Devi"}
        secret = Secret("LN-1:payout-account", "B-1", account)
        async with office.pool.acquire() as connection, connection.transaction():
            await office.vault.store(connection, [secret], SystemClock().now())
        for number in (1, 2):  # of the second the borrower was erased
            office.topics.instruct(
                "servicing.payout-instruction.v1",
                loan_id=f"LN-{number}",
                instruction_id=f"LN-{number}:payout:1:1",
                amount_paise=9_764_000,
                rail="auto",
                account_token=f"LN-{number}:payout-account",
                account=account,
                instructed_at=SystemClock().now().isoformat(),
            )
        async with office.at_work():
            await office.at_rest()
        told = office.topics.told()
        ((settled, first),) = told["LN-1:payout:1:1"]
        ((failed, second),) = told["LN-2:payout:1:1"]
        assert (settled, first["rail"]) == ("gateway.payout.settled.v1", "imps")
        assert (failed, second["message"]) == ("gateway.payout.failed.v1", "there is no account to send it to")
        kept = await office.pool.fetch("SELECT gateway_calls::text FROM gateway_calls")
        assert not [row for row in kept if "50100123456789" in str(row) or "Asha" in str(row)]


@pytest.mark.slow
async def test_what_a_gateway_tells_by_itself_goes_to_its_topic_once(database: str) -> None:
    """A payment link that was paid, and a mandate that the customer revoked."""
    async with api_office("banyan", database, 1, GOOD) as office:
        made = int(SystemClock().now().timestamp())
        link = {"payment_id": "pay_1", "amount": 499_300, "notes": {"loan_id": "LN-1"}}
        mandate = {"mandate": "M-1", "notes": {"loan_id": "LN-1"}}
        for number, (event, payload) in enumerate(
            [("payment_link.paid", link), ("mandate.cancelled", mandate), ("payment_link.paid", link), ("odd", {})]
        ):
            body = orjson.dumps({"event": event, "created_at": made, "payload": payload})
            await office.pool.execute("INSERT INTO gateway_webhooks VALUES ('banyan', $1, $2)", f"E-{number}", body)
        debit(office.topics, "banyan", 1)
        async with office.at_work():
            await office.at_rest()
        facts = [(kind, body) for told in office.topics.told().values() for kind, body in told]
        paid = [body for kind, body in facts if kind == "gateway.payment.received.v1"]
        assert [(body["payment_reference"], body["method"], body["amount_paise"]) for body in paid] == [
            ("pay_1", "link", 499_300)
        ]
        assert [body["mandate_id"] for kind, body in facts if kind == "gateway.mandate.cancelled.v1"] == ["M-1"]
        (odd,) = await office.pool.fetch("SELECT event_id, body, note FROM gateway_webhooks WHERE note <> ''")
        assert (odd["event_id"], odd["note"][:15], odd["body"] is None) == ("E-3", "not understood:", False)


@pytest.mark.slow
@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_payment_link_and_a_new_mandate_are_asked_for_and_told_when_the_borrower_has_done_it(
    vendor: str, database: str
) -> None:
    """A link is numbered as a debit is, and is another order all the same."""
    async with api_office(vendor, database, 1, GOOD, links=True, mandates=["any"]) as office:
        now = SystemClock().now().isoformat()
        same = debit(office.topics, vendor, 1)
        office.topics.instruct(
            "servicing.payment-link.v1",
            loan_id="LN-1",
            instruction_id=same,
            link_id=same,
            amount_paise=120_000,
            expires_on="2026-02-20",
            offered_at=now,
        )
        office.topics.instruct(
            "servicing.mandate-request.v1",
            loan_id="LN-1",
            instruction_id="LN-1:mandate:1",
            rail="",
            max_amount_paise=600_000,
            valid_until="2029-01-01",
            replaces="",
            instructed_at=now,
        )
        async with office.at_work():
            await office.at_rest()
        facts = [(kind, body) for told in office.topics.told().values() for kind, body in told]
        assert sorted(kind for kind, _ in facts) == [
            "gateway.debit.succeeded.v1",
            "gateway.mandate.active.v1",
            "gateway.payment.received.v1",
        ]
        by_kind = dict(facts)
        paid, mandate = by_kind["gateway.payment.received.v1"], by_kind["gateway.mandate.active.v1"]["mandate"]
        assert (paid["amount_paise"], paid["method"], "pay_" in paid["payment_reference"]) == (120_000, "link", True)
        assert (mandate["gateway"], mandate["rail"], mandate["max_amount_paise"]) == (vendor, "upi", 600_000)
        assert mandate["umrn"].startswith("UMRN")
        (link,) = await office.rows("kind = 'link'")
        assert link["answer"]["facts"]["url"].startswith("https://")


@pytest.mark.slow
async def test_a_payment_link_that_is_no_longer_needed_is_cancelled(database: str) -> None:
    async with api_office("banyan", database, 1, Mischief(fails=0.0, undecided=1.0), links=True) as office:
        assert office.sim is not None
        office.sim.late_seconds = 1.0
        said = {"loan_id": "LN-1", "instruction_id": "LN-1:1:1", "amount_paise": 5}
        office.topics.instruct("servicing.payment-link.v1", **said)
        async with office.at_work():
            for _ in range(500):  # not known yet, then not ready yet
                opened = await office.answer_of("/pay/LN-1:1:1")
                if opened.status_code == 303:
                    break
                await asyncio.sleep(0.02)
            # A notice without a link of its own names the instalment or the loan.
            by_less = [(await office.answer_of(f"/pay/{known}")).headers["location"] for known in ("LN-1:1", "LN-1")]
            office.topics.instruct("servicing.payment-link-withdrawal.v1", **said, reason="paid otherwise")
            await office.at_rest()
        assert opened.headers["location"] == "https://rzl.example/1"
        assert by_less == ["https://rzl.example/1"] * 2
        assert (await office.answer_of("/pay/LN-1:1:1")).status_code == 410
        assert (await office.answer_of("/pay/LN-1:9:1")).status_code == 404
        assert (await office.answer_of("/pay/LN-1%00:1:1")).status_code == 404
        assert office.sim.books.entries["link:LN-1:1:1"].state == "cancelled"
        assert office.topics.told() == {}
