"""Reconciliation on a real PostgreSQL: whatever is lost, repeated or late, every rupee is accounted for once."""

from __future__ import annotations

import asyncio
import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

import asyncpg
import orjson
import pytest

from adapters.audit import verify
from adapters.reconciliation.csv_file import Columns, FileMapping
from adapters.reconciliation.lines import FileRefused
from adapters.reconciliation.office import Conflict, Office, Unknown
from domain import commands as c
from domain.life import handle
from domain.loan import Loan
from domain.refusals import Refused, Repeated
from streams.envelope import Record, headers_for
from streams.projector import Projector
from streams.reconciler import TOPIC_OF, Patience, Reconciler
from streams.wire import understand
from tests.examples import EMI, PAYOUT, a_request
from tests.integration.read_models.books import PARTITIONS, a_projector, catch_up
from tests.lives import COLLECTING as RULES
from tests.log_writer import LogWriter
from tests.stories import on, rupees

NOW = on("20 Feb 12:00")
MONEY_IN = rupees(EMI)
STATEMENT = FileMapping(
    kind="statement",
    columns=Columns(
        entry="Txn", credit="Cr", debit="Dr", value_on="Value date", references=("UTR",), text=("Narration",)
    ),
    days="%d/%m/%Y",
)


@dataclass(slots=True)
class World:
    """Loans that decide as in the engine, their log, their projector, and the reconciliation of it all."""

    dsn: str
    pool: asyncpg.Pool
    writer: LogWriter = field(default_factory=lambda: LogWriter(PARTITIONS))
    loans: dict[str, Loan] = field(default_factory=dict[str, Loan])
    refused: list[Any] = field(default_factory=list[Any])
    booked: list[str] = field(default_factory=list[str])
    now: datetime = NOW
    case_days: int = 0
    projector: Projector = field(init=False)
    reconciler: Reconciler = field(init=False)

    @property
    def office(self) -> Office:
        return Office(self.pool, Patience(self.now, case_days=self.case_days))

    async def patience(self) -> Patience:
        return Patience(self.now, case_days=self.case_days)

    async def open(self) -> None:
        self.projector = a_projector(self.pool)
        self.reconciler = Reconciler(self.pool, range(PARTITIONS), PARTITIONS, self.hear, self.patience)
        await catch_up(self.pool, self.projector)

    async def lend(self, loan_id: str, *, paid_out: bool = True, **asked: Any) -> None:
        """A loan whose payout is asked for on 5 Jan and its first debit on 5 Feb."""
        command = a_request(loan_id=loan_id, payout=PAYOUT, **asked)
        self.loans[loan_id] = handle(None, command, on("5 Jan"), RULES)
        await self.keep(loan_id)
        if paid_out:
            payout = f"{loan_id}:payout:1:1"
            await self.tell("gateway.payout.settled.v1", loan_id, instruction_id=payout, at="5 Jan 12:00")
        handle(self.loans[loan_id], c.WakeUp(now=self.now), self.now, RULES)
        await self.keep(loan_id)

    async def tell(self, kind: str, loan_id: str, *, at: str = "5 Feb 18:00", **body: Any) -> None:
        said = {"loan_id": loan_id, "at": on(at).isoformat(), **body}
        await self.take(kind, orjson.dumps(said), on(at) if at == "5 Jan 12:00" else self.now)

    async def hear(self, topic: str, *, partition: int, key: bytes, value: bytes, headers: Any) -> int:
        """What reconciliation sends: taken as the engine takes it."""
        kind = dict(headers)["ce_type"].decode()
        assert TOPIC_OF[kind] == topic
        self.booked.append(dict(headers)["ce_id"].decode())
        await self.take(kind, value, self.now)
        return 0

    async def take(self, kind: str, value: bytes, now: datetime) -> None:
        headers = tuple(headers_for(kind, "m", "test", now))
        message = understand(Record(TOPIC_OF[kind], 0, 0, None, headers, value))
        try:
            handle(self.loans[message.loan_id], message.command, now, RULES)
        except Repeated:
            pass
        except Refused as refused:
            self.refused.append(refused)
        await self.keep(message.loan_id)

    async def keep(self, loan_id: str) -> None:
        connection = await asyncpg.connect(self.dsn)
        await self.writer.write(connection, self.loans[loan_id].take_events())
        await connection.close()

    async def settle(self) -> None:
        """Project, compare, book, until nothing moves any more."""
        while True:
            async with self.pool.acquire() as connection:
                moved = await self.projector.step(connection)
            moved += await self.reconciler.step() + await self.reconciler.send_bookings()
            await self.reconciler.look()
            if not moved and not await self.reconciler.send_bookings():
                return

    async def report(self, rows: Iterable[dict[str, Any]], source: str = "razor") -> dict[str, Any]:
        """A settlement report in our own columns."""
        return await self.office.take_in(written(rows), source=source, form="csv", name="report.csv", by="test")

    async def items(self, **asked: Any) -> dict[str, dict[str, Any]]:
        return {item["subject"]: item for item in await self.office.items(limit=1000, **asked)}


def written(rows: Iterable[dict[str, Any]]) -> bytes:
    rows = list(rows)
    out = io.StringIO()
    table = csv.DictWriter(out, list(dict.fromkeys(name for row in rows for name in row)))
    table.writeheader()
    table.writerows(rows)
    return out.getvalue().encode()


def debit_line(loan_id: str, *, paise: int = MONEY_IN, **more: Any) -> dict[str, Any]:
    return {
        "entry": f"E-{loan_id}", "reference": f"G-{loan_id}", "instruction_id": f"{loan_id}:1:1",
        "amount": f"{paise / 100:.2f}", "value_on": "2026-02-05", **more,
    }  # fmt: skip


@pytest.fixture
async def world(house: str, pool: asyncpg.Pool) -> World:
    world = World(house, pool)
    await world.open()
    return world


class TestASuccessThatNobodyReported:
    async def test_is_found_and_booked_once(self, world: World) -> None:
        await world.lend("LN-1")
        await world.report([debit_line("LN-1")])
        await world.settle()
        await world.report([debit_line("LN-1")], source="again")  # another source says it too: a difference, no booking
        await world.settle()
        assert world.booked == ["reconciliation:debit:LN-1:1:1"]
        assert world.loans["LN-1"].received_paise == MONEY_IN
        assert (await world.items())["debit:LN-1:1:1"]["state"] == "amount_differs"

    async def test_may_be_reported_after_all(self, world: World) -> None:
        await world.lend("LN-1")
        await world.report([debit_line("LN-1")])
        await world.settle()
        await world.tell(
            "gateway.debit.succeeded.v1",
            "LN-1",
            instruction_id="LN-1:1:1",
            amount_paise=MONEY_IN,
            gateway_reference="G",
        )
        await world.settle()
        assert world.loans["LN-1"].received_paise == MONEY_IN
        assert (await world.items(state="matched"))["debit:LN-1:1:1"]["ours_paise"] == MONEY_IN

    async def test_is_found_when_the_report_comes_before_the_loan_is_known(self, world: World) -> None:
        await world.report([debit_line("LN-1")])
        await world.settle()
        assert (await world.items())["line:razor:E-LN-1"]["state"] == "extra"
        await world.lend("LN-1")
        await world.settle()
        assert world.loans["LN-1"].received_paise == MONEY_IN
        assert "line:razor:E-LN-1" not in await world.items()

    async def test_is_a_payment_when_the_bank_names_only_the_loan(self, world: World) -> None:
        await world.lend("LN-1")
        await world.office.declare("hdfc", STATEMENT, "test")
        row = {
            "Txn": "T1", "Value date": "10/02/2026", "UTR": "HDFCN1", "Cr": "1,000.00", "Dr": "",
            "Narration": "NEFT Asha Devi LN-1 9812345678",
        }  # fmt: skip
        await world.office.take_in(written([row]), source="hdfc", form="csv", name="x", by="test")
        await world.settle()
        assert world.booked == []  # it may be told under another reference today
        world.now = on("21 Feb 12:00")
        await world.settle()
        assert world.booked == ["reconciliation:line:hdfc:T1"]
        assert (await world.items(state="matched"))["payment:LN-1:HDFCN1"]["theirs_paise"] == 100_000
        refs = await world.pool.fetchval("SELECT refs FROM reconciliation_lines WHERE entry = 'T1'")
        assert refs == ["HDFCN1", "T1", "LN-1"]  # of the narration nothing personal is kept

    @pytest.mark.parametrize("told_first", [True, False])
    async def test_is_a_payment_that_the_lender_knows_by_another_reference(
        self, world: World, told_first: bool
    ) -> None:
        await world.lend("LN-1")

        async def told() -> None:
            payment = {"payment_reference": "VA-77", "amount_paise": 100_000, "method": "neft"}
            await world.tell("gateway.payment.received.v1", "LN-1", value_on="2026-02-10", **payment)
            await world.settle()

        async def shown() -> None:
            line = {"entry": "T1", "reference": "HDFCN1", "amount": "1000.00", "value_on": "2026-02-11"}
            await world.report([{**line, "loan_id": "LN-1"}])
            await world.settle()

        for arrives in (told, shown) if told_first else (shown, told):
            await arrives()
        world.now = on("25 Feb 12:00")
        await world.settle()
        assert world.booked == []
        assert (await world.items(state="matched"))["payment:LN-1:VA-77"]["theirs_paise"] == 100_000
        # The gateway's report names the payment after all: the other line is other money, for this loan by name.
        await world.report([{"entry": "E2", "reference": "VA-77", "amount": "1000.00", "value_on": "2026-02-10"}])
        await world.settle()
        assert world.booked == ["reconciliation:line:razor:T1"]
        matched = await world.items(state="matched")
        assert [matched[f"payment:LN-1:{ref}"]["theirs_paise"] for ref in ("VA-77", "HDFCN1")] == [100_000] * 2

    async def test_of_two_payments_of_one_amount_in_few_days_waits_for_a_person(self, world: World) -> None:
        await world.lend("LN-1")
        for number, day in ((1, "2026-02-10"), (2, "2026-02-11")):
            payment = {"payment_reference": f"VA-{number}", "amount_paise": 100_000, "method": "neft"}
            await world.tell("gateway.payment.received.v1", "LN-1", value_on=day, **payment)
        line = {"entry": "T1", "reference": "HDFCN1", "amount": "1000.00", "value_on": "2026-02-11"}
        await world.report([{**line, "loan_id": "LN-1"}])
        world.now = on("25 Feb 12:00")
        await world.settle()
        assert world.booked == []
        states = {item["subject"]: item["state"] for item in (await world.items()).values()
                  if item["kind"] in ("payment", "line")}  # fmt: skip
        assert states == {"payment:LN-1:VA-1": "missing", "payment:LN-1:VA-2": "missing", "line:razor:T1": "extra"}

    async def test_waits_for_a_debit_of_its_amount_that_is_on_its_way(self, world: World) -> None:
        await world.lend("LN-1")
        line = {"entry": "E1", "reference": "UTR1", "amount": f"{MONEY_IN / 100:.2f}", "value_on": "2026-02-06"}
        await world.report([{**line, "loan_id": "LN-1"}])
        world.now = on("22 Feb 12:00")
        await world.settle()
        assert world.booked == []
        await world.tell("gateway.debit.succeeded.v1", "LN-1", instruction_id="LN-1:1:1", amount_paise=MONEY_IN)
        await world.settle()
        assert world.booked == []
        assert (await world.items(state="matched"))["debit:LN-1:1:1"]["theirs_paise"] == MONEY_IN
        assert "line:razor:E1" not in await world.items()


class TestASuccessThatNeverSettled:
    async def test_is_missing_with_its_age_and_taken_back_only_by_a_person(self, world: World) -> None:
        await world.lend("LN-1")
        await world.tell("gateway.debit.succeeded.v1", "LN-1", instruction_id="LN-1:1:1", amount_paise=MONEY_IN)
        await world.settle()
        assert (await world.items(state="awaited"))["debit:LN-1:1:1"]["age_days"] == 0
        world.now = on("25 Feb 12:00")
        missing = (await world.items())["debit:LN-1:1:1"]
        assert (missing["state"], missing["age_days"], missing["ways"]) == ("missing", 5, ["reverse", "accept"])
        assert world.booked == []
        await world.office.resolve("debit:LN-1:1:1", "reverse", note="never settled", by="asha@finance")
        assert (await world.items(state="resolved"))["debit:LN-1:1:1"]["ours_paise"] == MONEY_IN
        await world.settle()
        assert world.loans["LN-1"].received_paise == 0
        item = await world.office.item("debit:LN-1:1:1")
        assert (item["state"], item["ours_paise"]) == ("matched", 0)
        assert [(one["way"], one["resolved_by"]) for one in item["resolutions"]] == [("reverse", "asha@finance")]

    async def test_is_open_again_when_the_loan_refuses_to_take_it_back(self, world: World) -> None:
        await world.lend("LN-1")
        money = {"payment_reference": "P-1", "amount_paise": 900_000, "method": "upi", "value_on": "2026-02-18"}
        await world.tell("gateway.payment.received.v1", "LN-1", **money)
        await world.tell("servicing.refund.v1", "LN-1", command_id="R-1", reason="asked for")  # a part went back
        await world.settle()
        payment = "payment:LN-1:P-1"
        await world.office.resolve(payment, "reverse", note="never came", by="asha")
        await world.settle()
        assert len(world.refused) == 1
        assert (await world.items(state="resolved"))[payment]["ours_paise"] == 900_000
        world.now = on("25 Feb 12:00")
        again = (await world.items())[payment]
        assert "dead letters of LN-1" in again["advice"]
        await world.office.resolve(payment, "reverse", note="the loan was mended", by="asha")
        await world.settle()
        assert len(world.refused) == 2
        assert world.booked == [f"reconciliation:{payment}:reverse"] * 2

    async def test_a_decision_holds_only_for_the_figures_that_it_was_made_on(self, world: World) -> None:
        await world.lend("LN-1")
        await world.report([debit_line("LN-1", paise=MONEY_IN - 500)])
        await world.tell("gateway.debit.succeeded.v1", "LN-1", instruction_id="LN-1:1:1", amount_paise=MONEY_IN)
        await world.settle()
        assert (await world.items())["debit:LN-1:1:1"]["difference_paise"] == -500
        await world.office.resolve("debit:LN-1:1:1", "accept", note="small", by="asha")
        assert "debit:LN-1:1:1" not in await world.items()
        await world.report([debit_line("LN-1", paise=700, entry="E-more")])
        assert (await world.items())["debit:LN-1:1:1"]["difference_paise"] == 200


def open_cases(world: World) -> dict[str, Any]:
    """What is before a person because of reconciliation, by what it is about."""
    files = world.loans["LN-1"].case_files.values()
    return {file["about"]: file for file in files if file["kind"] == "reconciliation"}


class TestADifferenceThatNobodyLooksAt:
    async def test_becomes_one_case_for_its_figures(self, world: World) -> None:
        world.case_days = 7
        await world.lend("LN-1")
        await world.tell("gateway.debit.succeeded.v1", "LN-1", instruction_id="LN-1:1:1", amount_paise=MONEY_IN)
        await world.settle()
        await world.pool.execute("UPDATE reconciliation_items SET since = $1", NOW)
        world.now = on("28 Feb 12:00")
        await world.settle()
        assert world.booked == []  # no report at all has come: it is not this debit that is missing
        await world.report([debit_line("LN-2")])
        for _ in range(2):
            await world.settle()
        cases = open_cases(world)
        assert set(cases) == {"debit:LN-1:1:1", "payout:LN-1:payout:1:1"}
        assert "is missing for 8 days" in cases["debit:LN-1:1:1"]["reason"]
        assert len(world.booked) == len(set(world.booked)) == 2
        # It is settled in part: that is another difference, and while its case is open, no second one.
        await world.report([debit_line("LN-1", paise=MONEY_IN - 500)])
        world.now = on("9 Mar 12:00")
        await world.settle()
        assert len(world.booked) == 3
        assert open_cases(world) == cases
        assert (await world.items())["debit:LN-1:1:1"]["ways"] == ["book", "reverse", "accept"]

    async def test_is_no_case_once_a_person_has_decided(self, world: World) -> None:
        await world.lend("LN-1")
        await world.report([debit_line("LN-2")])
        await world.settle()
        world.case_days = 7
        await world.office.resolve("payout:LN-1:payout:1:1", "accept", note="paid by cheque", by="asha")
        world.now = on("28 Feb 12:00")
        await world.settle()
        assert world.booked == []


class TestMoneyThatGoesOut:
    async def test_is_found_by_the_payouts_instruction_and_returned_only_by_a_person(self, world: World) -> None:
        world.now = on("20 Jan 12:00")
        await world.office.declare("hdfc", STATEMENT, "test")
        sent = {
            "Txn": "T1", "Value date": "05/01/2026", "UTR": "IMPS1", "Cr": "", "Dr": "1,00,000.00",
            "Narration": "IMPS LN-1:payout:1:1 ASHA",
        }  # fmt: skip
        await world.office.take_in(written([sent]), source="hdfc", form="csv", name="x", by="test")
        await world.lend("LN-1", paid_out=False)
        await world.settle()
        assert world.booked == ["reconciliation:payout:LN-1:payout:1:1"]
        assert world.loans["LN-1"].disbursed_on == on("5 Jan").date()
        back = {**sent, "Txn": "T2", "Value date": "06/01/2026", "Cr": "1,00,000.00", "Dr": ""}
        await world.office.take_in(written([back]), source="hdfc", form="csv", name="y", by="test")
        await world.settle()
        item = (await world.items())["payout:LN-1:payout:1:1"]
        assert (item["state"], item["theirs_paise"]) == ("amount_differs", 0)
        assert len(world.booked) == 1
        await world.office.resolve("payout:LN-1:payout:1:1", "reverse", note="account closed", by="asha")
        await world.settle()
        assert (await world.items(state="matched"))["payout:LN-1:payout:1:1"]["ours_paise"] == 0


class TestFiles:
    async def test_the_same_file_and_the_same_lines_change_nothing(self, world: World) -> None:
        rows = [debit_line("LN-1"), debit_line("LN-2")]
        first = await world.report(rows)
        assert (first["lines"], first["already_taken"]) == (2, False)
        assert (await world.report(rows))["already_taken"] is True
        longer = await world.report([*rows, debit_line("LN-3")])
        assert (longer["lines"], longer["repeated"]) == (1, 2)
        assert await world.pool.fetchval("SELECT count(*) FROM reconciliation_lines") == 3

    async def test_a_line_that_says_otherwise_than_before_keeps_the_whole_file_out(self, world: World) -> None:
        await world.report([debit_line("LN-1")])
        with pytest.raises(Conflict, match="E-LN-1"):
            await world.report([debit_line("LN-2"), debit_line("LN-1", paise=1)])
        assert await world.pool.fetchval("SELECT count(*) FROM reconciliation_lines") == 1

    @pytest.mark.parametrize(
        ("change", "where"),
        [
            ({"amount": "much"}, "row 2: amount: 'much' is no amount"),
            ({"amount": "0.001"}, "row 2: amount: '0.001' is no amount of whole paise"),
            ({"amount": "0"}, "row 2: amount: moves no money"),
            ({"value_on": "05/02/2026"}, "row 2: value_on: '05/02/2026' is no day like %Y-%m-%d"),
            ({"entry": "x" * 201}, "row 2: a reference has at most 200 characters"),
        ],
    )
    async def test_a_refusal_names_row_and_column(self, world: World, change: dict[str, str], where: str) -> None:
        with pytest.raises(FileRefused, match="^" + where):
            await world.report([debit_line("LN-1", **change)])

    async def test_what_is_not_there_is_said(self, world: World) -> None:
        with pytest.raises(Unknown):
            await world.office.item("debit:nobody")
        with pytest.raises(Unknown):
            await world.office.resolve("debit:nobody", "accept", note="-", by="me")


class TestASettlement:
    async def test_is_the_banks_credit_when_lines_less_fees_are_its_sum(self, world: World) -> None:
        rows = [debit_line(f"LN-{n}", settlement="SETL1", fee="5.00", tax="0.90") for n in (1, 2, 3)]
        for n in (1, 2, 3):
            await world.lend(f"LN-{n}")
        await world.office.declare("hdfc", STATEMENT, "test")
        net = 3 * (MONEY_IN - 590)
        credit = {
            "Txn": "T1",
            "Value date": "06/02/2026",
            "UTR": "SETL1",
            "Cr": f"{net / 100}",
            "Dr": "",
            "Narration": "",
        }
        await world.office.take_in(written([credit]), source="hdfc", form="csv", name="x", by="test")
        assert (await world.items())["line:hdfc:T1"]["state"] == "extra"
        await world.report(rows[:2])
        await world.settle()
        assert (await world.items())["settlement:razor:SETL1"]["difference_paise"] == MONEY_IN - 590
        await world.report(rows)
        await world.settle()
        assert {item["kind"] for item in (await world.items()).values()} == {"payout"}
        totals = await world.office.totals()
        assert totals["reconciles"]
        assert totals["not_compared_paise"] == 0
        assert totals["fees_paise"] == 3 * 590
        assert totals["banked_paise"] == net
        assert totals["ledger_bank_paise"] + totals["differences_paise"] == totals["reported_paise"]

    async def test_that_the_bank_names_otherwise_is_told_by_a_person(self, world: World) -> None:
        await world.lend("LN-1")
        await world.office.declare("hdfc", STATEMENT, "test")
        credit = {
            "Txn": "T1",
            "Value date": "06/02/2026",
            "UTR": "",
            "Cr": f"{MONEY_IN / 100}",
            "Dr": "",
            "Narration": "",
        }
        await world.office.take_in(written([credit]), source="hdfc", form="csv", name="x", by="test")
        await world.report([debit_line("LN-1", settlement="SETL1")])
        await world.settle()
        with pytest.raises(Conflict, match="there is no 'settlement:razor:SETL9'"):
            await world.office.resolve("line:hdfc:T1", "same", other="settlement:razor:SETL9", note="-", by="asha")
        await world.office.resolve("line:hdfc:T1", "same", other="settlement:razor:SETL1", note="sum", by="asha")
        await world.office.resolve("settlement:razor:SETL1", "apart", note="a mistake", by="asha")
        items = await world.items()
        assert (items["line:hdfc:T1"]["state"], items["settlement:razor:SETL1"]["state"]) == ("extra", "missing")
        with pytest.raises(Conflict, match="nothing to take apart"):
            await world.office.resolve("settlement:razor:SETL1", "apart", note="again", by="asha")
        await world.office.resolve("line:hdfc:T1", "same", other="settlement:razor:SETL1", note="sum", by="asha")
        await world.settle()
        assert {item["kind"] for item in (await world.items()).values()} == {"payout"}
        assert (await world.office.totals())["in_transit_paise"] == 0

    async def test_of_a_line_that_the_bank_shows_by_itself_is_not_counted_twice(self, world: World) -> None:
        await world.lend("LN-1")
        await world.office.declare("hdfc", STATEMENT, "test")
        credit = {
            "Txn": "T1", "Value date": "05/02/2026", "UTR": "LN-1:1:1", "Cr": f"{MONEY_IN / 100}", "Dr": "",
            "Narration": "",
        }  # fmt: skip
        await world.office.take_in(written([credit]), source="hdfc", form="csv", name="x", by="test")
        await world.settle()
        await world.report([debit_line("LN-1")])
        await world.settle()
        assert {item["kind"] for item in (await world.items()).values()} == {"payout"}
        assert (await world.office.totals())["reported_paise"] == MONEY_IN


# --- Whatever is lost, repeated or late ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Truth:
    """A movement of money that really happened."""

    loan_id: str
    subject: str
    paise: int
    kind: str
    outcome: dict[str, Any]
    line: dict[str, Any]
    by_gateway: bool


def what_happened(loans: Sequence[str], random: Random) -> list[Truth]:
    """Debits that a gateway settles in a batch a loan's parity, and payments and nothing else that the bank shows."""
    happened: list[Truth] = []
    for number, loan_id in enumerate(loans):
        if random.random() < 0.8:
            outcome = {
                "instruction_id": f"{loan_id}:1:1",
                "amount_paise": MONEY_IN,
                "gateway_reference": f"G-{loan_id}",
            }
            line = debit_line(loan_id, settlement=f"S-{loans[0]}-{number % 2}", fee="5.90")
            kind = "gateway.debit.succeeded.v1"
            happened.append(Truth(loan_id, f"debit:{loan_id}:1:1", MONEY_IN, kind, outcome, line, True))
        for one in range(random.randint(0, 2)):
            utr, paise = f"UTR{one}-{loan_id}x", random.randint(1_000, 90_000)
            outcome = {"payment_reference": utr, "amount_paise": paise, "method": "neft", "value_on": "2026-02-10"}
            line = {
                "Txn": f"T-{utr}", "Value date": "10/02/2026", "UTR": utr, "Cr": f"{paise / 100:.2f}", "Dr": "",
                "Narration": f"NEFT FROM A B {loan_id}",
            }  # fmt: skip
            if random.random() < 0.3:  # the lender knows it by a reference of its own
                outcome = {**outcome, "payment_reference": f"VA{one}"}
            kind, subject = "gateway.payment.received.v1", f"payment:{loan_id}:{outcome['payment_reference']}"
            happened.append(Truth(loan_id, subject, paise, kind, outcome, line, False))
    return happened


def named_by_bank(one: Truth) -> str:
    """What it is booked as where nobody told it: by the reference that the bank has."""
    return one.subject if one.by_gateway else f"payment:{one.loan_id}:{one.line['UTR']}"


@pytest.mark.slow
async def test_every_rupee_is_accounted_for_once_whatever_is_lost_repeated_or_late(world: World) -> None:
    """The expectation knows only what was told at all, never in which order: so the order cannot matter."""
    seen: Counter[str] = Counter()
    for seed in range(12):
        random = Random(seed)
        loans = [f"LN-{seed}-{n}" for n in range(4)]
        happened = what_happened(loans, random)
        told = [one for one in happened if random.random() < 0.6]
        shown = [one for one in happened if random.random() < 0.7]
        gateway, bank = f"razor-{seed}", f"hdfc-{seed}"
        await world.office.declare(bank, STATEMENT, "test")

        async def lend(loan_id: str) -> None:
            if loan_id not in world.loans:
                await world.lend(loan_id)

        async def outcome(one: Truth) -> None:
            await lend(one.loan_id)  # the engine parks what comes before its loan
            await world.tell(one.kind, one.loan_id, **one.outcome)

        async def file(rows: Sequence[Truth], source: str) -> None:
            await world.office.take_in(
                written(one.line for one in rows), source=source, form="csv", name="f.csv", by="test"
            )

        steps: list[Any] = [lambda loan_id=loan_id: lend(loan_id) for loan_id in loans]
        steps += [lambda one=one: outcome(one) for one in told for _ in range(random.choice([1, 1, 2]))]
        for source, of in ((gateway, True), (bank, False)):
            rows = [one for one in shown if one.by_gateway == of]
            pieces = [[one] for one in rows] + [random.sample(rows, random.randint(1, len(rows))) for _ in rows[:2]]
            steps += [lambda piece=piece, source=source: file(piece, source) for piece in pieces]
        steps += [world.settle] * 6
        random.shuffle(steps)
        for step in steps:
            await step()
        await world.settle()
        world.now += timedelta(days=1)  # what was held is booked
        await world.settle()

        items = {**await world.items(), **await world.items(state="matched"), **await world.items(state="awaited")}
        ours = {name: item for name, item in items.items() if any(loan in name for loan in loans)}
        never_told = [one for one in shown if one not in told]
        by_bank = {one.subject: named_by_bank(one) for one in never_told}
        expected = {one.subject: "awaited" for one in told}
        expected |= {by_bank.get(one.subject, one.subject): "matched" for one in shown}
        accounted = {name: item["state"] for name, item in ours.items() if item["kind"] in ("debit", "payment", "line")}
        assert accounted == expected, seed
        for loan_id in loans:
            known = {one.subject: one.paise for one in (*told, *shown) if one.loan_id == loan_id}
            assert world.loans[loan_id].received_paise == sum(known.values()), (seed, loan_id)
        seen.update(accounted.values())
    assert world.refused == []
    assert len(world.booked) == len(set(world.booked)) > 20
    assert min(seen.values()) > 10
    totals = await world.office.totals()
    assert totals["reconciles"]
    assert totals["not_compared_paise"] == 0
    assert (await verify(world.pool, RULES)).differences == []


async def test_both_sides_may_arrive_at_the_same_moment(world: World) -> None:
    """Files are taken in by other processes than the one that follows the loans."""
    loans = [f"LN-{n}" for n in range(8)]
    for loan_id in loans:
        await world.lend(loan_id)
        await world.tell("gateway.debit.succeeded.v1", loan_id, instruction_id=f"{loan_id}:1:1", amount_paise=MONEY_IN)
    async with world.pool.acquire() as connection:
        while await world.projector.step(connection):
            pass
    other = Reconciler(world.pool, range(PARTITIONS), PARTITIONS, None, world.patience)
    await asyncio.gather(
        *(world.report([debit_line(loan_id, settlement="S")]) for loan_id in loans),
        *(one.step() for one in (world.reconciler, other, world.reconciler)),
    )
    await world.settle()
    matched = await world.items(state="matched")
    assert {f"debit:{loan_id}:1:1" for loan_id in loans} <= set(matched)
    assert (await world.office.totals())["settled_net_paise"] == 8 * MONEY_IN
    assert world.booked == []


async def test_an_audit_names_a_comparison_that_is_not_what_its_sides_hold(world: World) -> None:
    await world.lend("LN-1")
    await world.report([debit_line("LN-1"), debit_line("LN-2")])
    await world.settle()
    assert (await verify(world.pool, RULES)).differences == []
    await world.pool.execute("UPDATE reconciliation_items SET ours_paise = 1 WHERE subject = 'debit:LN-1:1:1'")
    await world.pool.execute("UPDATE reconciliation_items SET theirs_paise = 2 WHERE subject = 'line:razor:E-LN-2'")
    found = (await verify(world.pool, RULES)).differences
    assert [(one.where, one.what) for one in found] == [
        ("reconciliation debit:LN-1:1:1", f"compares 1 paise where its side has {MONEY_IN}"),
        ("reconciliation line:razor:E-LN-2", f"compares 2 paise where its side has {MONEY_IN}"),
    ]


async def test_comparing_everything_anew_changes_nothing(world: World) -> None:
    for n in range(3):
        await world.lend(f"LN-{n}")
    await world.report([debit_line("LN-0", settlement="S1"), debit_line("LN-9", settlement="S1")])
    await world.tell("gateway.debit.succeeded.v1", "LN-1", instruction_id="LN-1:1:1", amount_paise=MONEY_IN)
    await world.settle()
    before = [tuple(row) for row in await world.pool.fetch("SELECT * FROM reconciliation_items ORDER BY subject")]
    assert len(before) > 5
    connection = await asyncpg.connect(world.dsn)
    await connection.execute("UPDATE reconciliation.positions SET published = 0")
    await connection.execute("DELETE FROM reconciliation_items WHERE level = 'item' AND kind <> 'line'")
    await connection.close()
    await world.settle()
    after = [tuple(row) for row in await world.pool.fetch("SELECT * FROM reconciliation_items ORDER BY subject")]
    assert after == before
