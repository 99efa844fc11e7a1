"""erase-borrower: the key is destroyed with the event that says so, only when no loan needs it, and nothing is left."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from adapters.database import connect_pool
from adapters.event_store.migrate import migrate
from streams.ports import Claim
from streams.publisher import Publisher
from streams.topics import partition_of
from tests.integration.test_engine_edges import NOW, PARTITIONS, House, Producer
from tests.stories import on

pytestmark = pytest.mark.slow

PERSONAL = ("Asha Devi Kumari", "+919812345678", "asha@example.in", "50100123456789", "asha@okbank")
"""Name, phone, mail, account, payment address."""
DUE = on("5 Apr")


class Erasing(House):
    """A house whose loans have one instalment, due on 5 Apr, and a borrower with a name."""

    def tell(self, loan_id: str, topic: str, kind: str, **body: Any) -> None:
        home = partition_of(loan_id, PARTITIONS)
        self.inbox.put(topic, kind, {"loan_id": loan_id, **body}, partition=home)

    def approve(self, loan_id: str, borrower: str = "B-1", rupees: int = 10_000) -> None:
        name, phone, email, number, vpa = PERSONAL
        account = {"number": number, "ifsc": "HDFC0000001", "holder": name, "vpa": vpa}
        terms = {
            "principal_paise": rupees * 100, "annual_rate_percent": "18.00", "instalments": 1,
            "disburse_on": NOW.date().isoformat(), "first_due_on": DUE.date().isoformat(),
        }  # fmt: skip
        self.tell(
            loan_id, "los.disbursals", "los.disbursal.requested.v1",
            borrower={"borrower_id": borrower, "name": name, "phone": phone, "email": email},
            product="personal-loan", terms=terms, payout={"rail": "auto", "account": account},
        )  # fmt: skip
        self.tell(
            loan_id, "gateway.payout-outcomes", "gateway.payout.settled.v1",
            instruction_id=f"{loan_id}:payout:1:1", at=self.clock.at.isoformat(),
        )  # fmt: skip

    def pay_off(self, loan_id: str) -> None:
        """Too much: what is left goes back to the borrower's account."""
        self.tell(
            loan_id, "gateway.payments", "gateway.payment.received.v1", payment_reference=f"P-{loan_id}",
            amount_paise=11_000_00, method="upi", value_on=self.clock.at.date().isoformat(),
        )  # fmt: skip

    def refund(self, loan_id: str) -> None:
        self.tell(
            loan_id, "gateway.payout-outcomes", "gateway.payout.settled.v1",
            instruction_id=f"{loan_id}:refund:1", at=self.clock.at.isoformat(),
        )  # fmt: skip

    def erase(self, loan_id: str, command_id: str = "E-1") -> None:
        self.tell(
            loan_id, "servicing.commands", "servicing.erase-borrower.v1", command_id=command_id,
            requested_by="desk", requested_at=self.clock.at.isoformat(), reason="asked for",
        )  # fmt: skip

    def ask(self, loan_id: str, kind: str, command_id: str, **body: Any) -> None:
        at = self.clock.at.isoformat()
        told = {"command_id": command_id, "requested_at": at, **body}
        self.tell(loan_id, "servicing.commands", f"servicing.{kind}.v1", **told)

    def rename(self, loan_id: str) -> None:
        self.tell(
            loan_id, "servicing.commands", "servicing.update-borrower.v1", command_id=f"U-{loan_id}",
            requested_by="los", requested_at=self.clock.at.isoformat(), borrower_id="B-1", name=PERSONAL[0],
        )  # fmt: skip

    async def live(self, *loans: str) -> None:
        """These loans are paid out; then 5 Apr comes."""
        for loan_id in loans:
            self.approve(loan_id)
        await self.turn()
        self.clock.at = DUE + timedelta(hours=1)
        await self.turn()

    async def close(self, *loans: str) -> None:
        for loan_id in loans:
            self.pay_off(loan_id)
        await self.turn()
        for loan_id in loans:
            self.refund(loan_id)
        await self.turn()

    async def turn(self) -> None:
        for _ in range(3):
            await self.engine.turn()
        await self.publisher.drain()

    async def result(self, command_id: str = "E-1") -> tuple[str, str, str]:
        row = await self.pool.fetchrow(
            "SELECT outcome, refusal, detail FROM command_results WHERE command_id = $1", command_id
        )
        assert row is not None
        return row["outcome"], row["refusal"], row["detail"]

    async def known(self) -> set[str]:
        """Borrowers of whom anything can be opened."""
        return {row[0] for row in await self.pool.fetch("SELECT borrower_id FROM vault_keys")}

    async def erased(self) -> int:
        return await self.pool.fetchval("SELECT count(*) FROM events WHERE topic = 'loan.borrower-erased.v1'")


@pytest.fixture
async def house(database: str) -> AsyncIterator[Erasing]:
    await migrate(database, PARTITIONS)
    pool = await connect_pool(database, name="test")
    yield Erasing(pool)
    await pool.close()


async def rows_with(pool: asyncpg.Pool, said: str) -> list[str]:
    """Tables of any schema that hold this anywhere, as text or as bytes."""
    tables = await pool.fetch(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    found: list[str] = []
    for schema, table in tables:
        for row in await pool.fetch(f'SELECT * FROM "{schema}"."{table}"'):
            if any(said in str(v) or (isinstance(v, bytes) and said.encode() in v) for v in row.values()):
                found.append(f"{schema}.{table}")
    return found


async def told_again(house: Erasing) -> Producer:
    """All that a new broker is told, from the first event on."""
    producer = Producer()
    publisher = Publisher(lambda: producer, house.log)
    ends = await house.pool.fetch("SELECT partition, position FROM partitions")
    publisher.take_over(Claim(row["partition"], row["position"], 0, {}, frozenset()) for row in ends)
    await publisher.drain()
    return producer


def holds(producer: Producer, said: str) -> bool:
    return any(said.encode() in (record["value"] or b"") for _, record in producer.sent)


async def test_a_borrower_is_erased_when_the_last_loan_is_closed(house: Erasing) -> None:
    await house.live("LN-1", "LN-2")
    await house.close("LN-1")
    house.erase("LN-1")
    await house.turn()
    outcome, refusal, detail = await house.result()
    assert (outcome, refusal) == ("refused", "borrower_is_needed")
    assert "LN-2" in detail
    assert await house.known() == {"B-1"}

    await house.close("LN-2")
    house.erase("LN-1", "E-2")
    await house.turn()
    assert (await house.result("E-2"))[0] == "done"
    assert await house.known() == set()
    assert await house.erased() == 1

    house.erase("LN-1", "E-2")  # sent again, it is not done again
    await house.turn()
    assert await house.erased() == 1


async def test_nothing_personal_is_left_anywhere(house: Erasing) -> None:
    """Vault, log, read models, results, dead letters; and what a new broker would be told from the log."""
    await house.live("LN-1")
    house.approve("LN-1", rupees=20_000)  # another loan under the same id: a dead letter with a name in it
    await house.close("LN-1")
    assert await rows_with(house.pool, PERSONAL[0]) == ["public.dead_letters"]
    assert holds(house.producer, PERSONAL[3])
    assert holds(await told_again(house), PERSONAL[3])

    house.rename("LN-1")  # in the batch of the erasure: not even stored
    house.erase("LN-1")
    await house.turn()
    assert (await house.result())[0] == "done"
    assert await house.pool.fetchval("SELECT count(*) FROM vault") == 0
    again = await told_again(house)
    for said in PERSONAL:
        assert await rows_with(house.pool, said) == []
        assert not holds(again, said)
    refunds = [r for r in again.on("servicing.payout-instructions") if b"LN-1:refund:1" in r["value"]]
    assert [json.loads(record["value"]).get("account") for record in refunds] == [None]
    [letter] = await house.pool.fetch("SELECT reason, detail, value FROM dead_letters")
    assert (letter["detail"], letter["value"]) == ("erased with its borrower", None)
    assert [r["key"] for r in again.on("servicing.borrower-loans")] == [b"B-1", b"B-1"]


async def test_the_words_of_notes_on_cases_are_in_the_vault_alone_and_go_with_the_borrower(house: Erasing) -> None:
    await house.live("LN-1")
    case = {"case_id": "LN-1:case:1", "requested_by": "E-7"}
    house.ask("LN-1", "raise-grievance", "C-1", subject="two debits")
    house.ask("LN-1", "note-case", "C-2", note=f"{PERSONAL[0]} called", **case)
    house.ask("LN-1", "close-case", "C-3", outcome="answered", **case)
    await house.turn()
    assert [(await house.result(known))[0] for known in ("C-1", "C-2", "C-3")] == ["done"] * 3
    assert await rows_with(house.pool, PERSONAL[0]) == []
    token = "LN-1:note:C-2"
    assert await house.log.open_secrets([token]) == {token: {"note": f"{PERSONAL[0]} called"}}
    await house.close("LN-1")
    house.erase("LN-1")
    await house.turn()
    assert (await house.result())[0] == "done"
    assert await house.log.open_secrets([token]) == {}


async def test_other_borrowers_are_left_alone(house: Erasing) -> None:
    house.approve("LN-3", borrower="B-2")
    await house.live("LN-1")
    await house.close("LN-1")
    house.erase("LN-1")
    await house.turn()
    assert (await house.result())[0] == "done"
    assert await house.known() == {"B-2"}


async def test_a_loan_that_is_booked_before_the_erasure_in_its_batch_prevents_it(house: Erasing) -> None:
    await house.live("LN-1")
    await house.close("LN-1")
    house.approve("LN-2")
    house.erase("LN-1")
    await house.turn()
    assert (await house.result())[:2] == ("refused", "borrower_is_needed")
    assert await house.known() == {"B-1"}


async def test_a_loan_that_another_engine_books_meanwhile_prevents_it(
    house: Erasing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading and committing: the whole batch is decided again, and sees it."""
    await house.live("LN-1", "LN-2")
    await house.close("LN-1")
    asked = house.log.open_loans
    times = 0

    async def open_loans(borrowers: Any) -> Any:
        nonlocal times
        times += 1
        return {} if times == 1 else await asked(borrowers)

    monkeypatch.setattr(house.log, "open_loans", open_loans)
    house.erase("LN-1")
    await house.turn()
    assert times == 2
    assert (await house.result())[:2] == ("refused", "borrower_is_needed")
    assert (await house.known(), await house.erased()) == ({"B-1"}, 0)


@pytest.mark.parametrize("point", ["before commit", "after copy", "after commit"])
async def test_the_event_and_the_key_go_together_wherever_the_engine_dies(house: Erasing, point: str) -> None:
    await house.live("LN-1")
    await house.close("LN-1")

    class Dead(BaseException):
        """As a killed process: nothing of it is caught."""

    def crash_at(reached: str) -> None:
        if reached == point:
            raise Dead

    house.log._crash_at = house.engine._crash_at = crash_at
    house.erase("LN-1")
    with pytest.raises(Dead):
        await house.engine.turn()
    assert await house.erased() == (1 if point == "after commit" else 0)
    assert await house.known() == (set() if point == "after commit" else {"B-1"})

    house.log._crash_at = lambda reached: None
    house.inbox.close(range(PARTITIONS))
    house.engine = house.an_engine("the next")
    await house.turn()
    assert (await house.erased(), await house.known()) == (1, set())
