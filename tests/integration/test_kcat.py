"""From outside, by a client that nobody here wrote: kcat, whose partitioner is another one, sends lives and rubbish."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from adapters.embedded.broker import Broker
from adapters.embedded.ports import free_port
from adapters.event_store.postgres import record_from
from adapters.settings import Settings
from adapters.system import Role, System, system
from projections.ledger import INTEREST_INCOME, INTEREST_RECEIVABLE, INTEREST_SUSPENSE, PRINCIPAL
from tests.integration.world import INBOUND, PARTITIONS, all_read, check_log, home_of, look, projected, records_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.broker,
    pytest.mark.timeout(200),
    # The embedded broker and Debian's kcat (librdkafka 2.0) cannot talk to each other; the README says so.
    pytest.mark.parametrize("new_broker", ["kafka"], indirect=True),
]

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "data" / "schedules.json").read_text())
PAYMENT = {
    "loan_id": "none", "payment_reference": "K-1", "amount_paise": 100, "method": "upi", "value_on": "2026-01-05",
}  # fmt: skip
LARGE = ("-X", "message.max.bytes=1048000")
RECEIVED = "gateway.payment.received.v1"


@dataclass(frozen=True)
class Letter:
    """A record that cannot be applied, and what must be said of it."""

    value: bytes | None
    reason: str
    at_field: str = ""
    type: str = RECEIVED
    topic: str = "gateway.payments"
    key: str | None = "none"
    headers: tuple[tuple[str, bytes | None], ...] = field(default=())


def payment(**changed: Any) -> bytes:
    return json.dumps({name: value for name, value in {**PAYMENT, **changed}.items() if value is not ...}).encode()


def request(case: Mapping[str, Any], loan_id: str, **terms: Any) -> dict[str, Any]:
    return {
        "loan_id": loan_id,
        "borrower": {"borrower_id": f"B-{loan_id}", "name": "Asha", "phone": "+919800000000"},
        "product": "personal-loan",
        "terms": {**case["terms"], **terms},
        "payout": {"rail": "auto", "account": {"number": "50100123456789", "ifsc": "HDFC0000001", "holder": "Asha"}},
    }


def booking(**changed: Any) -> dict[str, Any]:
    return {
        "topic": "los.disbursals",
        "type": "los.disbursal.requested.v1",
        "value": json.dumps({**request(CASES[0], "refused"), **changed}).encode(),
    }


RUBBISH = [
    Letter(b'{"loan_id": "none", ', "malformed"),
    Letter(b"\x00\xff\xfe no JSON at all", "malformed"),
    Letter(b"", "malformed"),
    Letter(None, "malformed"),
    Letter(None, "malformed", key=None),  # neither key nor value: the dead letter cannot be sent quite like that
    Letter(payment(amount_paise=...), "malformed", "/amount_paise"),
    Letter(payment(amount_paise="100"), "malformed", "/amount_paise"),
    Letter(payment(amount_paise=100.5), "malformed", "/amount_paise"),
    Letter(payment(amount_paise=-1), "malformed", "/amount_paise"),
    Letter(payment(value_on=20260105), "malformed", "/value_on"),
    Letter(payment(payment_reference="a\0b"), "malformed", "/payment_reference"),
    Letter(payment(loan_id="a loan"), "loan_id_invalid", "/loan_id"),
    Letter(payment(loan_id="x" * 65), "loan_id_invalid", "/loan_id"),
    Letter(payment(), "missing_type", "/headers/ce_type", type=""),
    Letter(payment(), "unknown_type", "/headers/ce_type", type="gateway.debit.failed.v1"),
    Letter(payment(x="y" * 950_000), "malformed"),  # larger than any message
    Letter(payment(), "unknown_type", "/headers/ce_type", type="é", headers=(("odd", b"\xff\xfe"), ("none", None))),
    Letter(reason="product_unknown", at_field="/product", **booking(product="gold-loan")),
    Letter(reason="malformed", at_field="/product", **booking(product=7)),
    Letter(reason="terms_invalid", at_field="/terms/principal_paise",
           **booking(terms={**CASES[0]["terms"], "principal_paise": 10.5})),
    Letter(reason="malformed", **booking(terms={**CASES[0]["terms"], "principal_paise": 10**30})),
    Letter(reason="instalment_differs", at_field="/terms/instalment_paise",
           **booking(terms={**CASES[0]["terms"], "instalment_paise": 1})),
]  # fmt: skip


@pytest.fixture
async def qist(new_broker: Broker, database: str, tmp_path: Path) -> AsyncIterator[System]:
    """All roles but Faust's, on this broker."""
    if shutil.which("kcat") is None:
        if os.environ.get("CI"):
            pytest.fail("kcat is missing", pytrace=False)
        pytest.skip("kcat is missing: apt install kcat")
    settings = Settings(
        kafka_bootstrap=new_broker.bootstrap,
        database_url=database,
        data_dir=tmp_path,
        partitions=PARTITIONS,
        http_port=free_port(),
        api_auth="open",
        batch_size=7,  # so that what belongs together comes in several batches
    )
    async with system(settings, roles=[Role("engine"), Role("projector"), Role("api")]) as up:
        yield up


class Kcat:
    """Sends as a person would from a shell."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self._bootstrap = bootstrap
        self._file = folder / "message"
        self.sent = 0

    def send(
        self,
        topic: str,
        type_: str,
        value: bytes | Mapping[str, Any] | None,
        *,
        key: str | None,
        headers: tuple[tuple[str, bytes | None], ...] = (),
        times: int = 1,
    ) -> None:
        said = value if isinstance(value, bytes | None) else json.dumps(value).encode()
        self._file.write_bytes(said or b"")
        # It sends nothing for an empty file, and an empty message for a line with nothing but a key.
        line = None if said else f"{key or ''}:\n".encode()
        command: list[str | bytes] = ["kcat", "-P", "-b", self._bootstrap, "-t", topic, *LARGE]
        command += ["-K", ":"] if not said else ["-k", key] if key is not None else []
        named = [("ce_specversion", b"1.0"), ("ce_id", f"kcat-{self.sent}".encode()), *headers]
        named += [("ce_type", type_.encode())] if type_ else []
        for name, held in named:
            command += ["-H", name.encode() if held is None else name.encode() + b"=" + held]
        command += ["-Z"] if value is None else []
        command += [str(self._file)] if said else []
        for _ in range(times):
            subprocess.run(command, check=True, capture_output=True, input=line, timeout=30)
            self.sent += 1


async def test_what_kcat_sends_is_serviced_to_the_paisa(qist: System, tmp_path: Path) -> None:
    kcat = Kcat(qist.running.bootstrap, tmp_path)
    loans = {f"K-{number}": case for number, case in enumerate(CASES)}
    paid_off: set[str] = set()
    for number, (loan_id, case) in enumerate(loans.items()):
        messages = [("los.disbursals", "los.disbursal.requested.v1", request(case, loan_id)), *payouts(case, loan_id)]
        if number % 2 and not case["partial"]:
            paid_off.add(loan_id)
            messages.append(("gateway.payments", RECEIVED, in_full(case, loan_id)))
        if number % 4 == 1:
            messages.append(messages.pop(0))  # the outcomes first
        for step, (topic, type_, body) in enumerate(messages):
            kcat.send(topic, type_, body, key=loan_id, times=2 if (number + step) % 3 == 0 else 1)
        if number < len(RUBBISH):
            send_rubbish(kcat, RUBBISH[number])
    for letter in RUBBISH[len(loans) :]:
        send_rubbish(kcat, letter)
    await all_read(qist.settings)
    await projected(qist.settings)
    qist.ensure_running()

    inbound = await records_of(qist.settings, *INBOUND)
    assert any("qist_rerouted_from" in dict(record.headers) for record in inbound)
    seen = await look(qist.settings)
    check_log(seen)
    assert seen.parked == []
    total = sum(row["applied"] + row["repeated"] + row["dead_lettered"] for row in seen.partitions.values())
    assert total == kcat.sent
    async with httpx.AsyncClient(base_url=qist.http_url) as http:
        for loan_id, case in loans.items():
            answer = await http.get(f"/api/v1/loans/{loan_id}/schedule")
            assert answer.status_code == 200, answer.text
            rows = {row["number"]: row for row in answer.json()["rows"]}
            ours = [{name: rows[row["number"]][name] for name in row} for row in case["expected_rows"]]
            assert ours == case["expected_rows"], f"{loan_id} {case['id']}"
            assert case["partial"] or len(rows) == len(case["expected_rows"])
    await check_books(qist.settings, loans, paid_off)
    check_dead_letters(seen.dead_letters, seen.set_aside, {place(record): record for record in inbound})


def payouts(case: Mapping[str, Any], loan_id: str) -> list[tuple[str, str, dict[str, Any]]]:
    """What the gateway says of each tranche, on its day. A later one names its instruction."""
    settled = [{"loan_id": loan_id, "at": f"{case['terms']['disburse_on']}T11:00:00+05:30", "gateway_reference": "U-1"}]
    for number, tranche in enumerate(case["terms"].get("tranches", ()), start=2):
        instruction = f"{loan_id}:payout:{number}:1"
        settled.append({"loan_id": loan_id, "instruction_id": instruction, "at": f"{tranche['on']}T11:00:00+05:30"})
    return [("gateway.payout-outcomes", "gateway.payout.settled.v1", body) for body in settled]


def in_full(case: Mapping[str, Any], loan_id: str) -> dict[str, Any]:
    """All instalments with one payment on the last day."""
    rows = case["expected_rows"]
    paise = sum(row["total_paise"] for row in rows)
    day = rows[-1]["due_on"]
    return {**PAYMENT, "loan_id": loan_id, "payment_reference": f"P-{loan_id}", "amount_paise": paise, "value_on": day}


def send_rubbish(kcat: Kcat, letter: Letter) -> None:
    kcat.send(letter.topic, letter.type, letter.value, key=letter.key, headers=letter.headers)


async def check_books(settings: Settings, loans: Mapping[str, Mapping[str, Any]], paid_off: set[str]) -> None:
    """Principal and interest of each loan are what its published schedule says."""
    database = await asyncpg.connect(settings.database_url)
    balances = await database.fetch("SELECT loan_id, account, paise FROM ledger.balances")
    held = {(loan_id, account): int(paise) for loan_id, account, paise in balances}
    stages = dict(await database.fetch("SELECT loan_id, stage FROM loan_view.loans"))
    await database.close()
    assert sum(held.values()) == 0
    for loan_id, case in loans.items():
        if case["partial"]:
            continue
        lent = case["terms"]["principal_paise"] + sum(t["amount_paise"] for t in case["terms"].get("tranches", ()))
        interest = sum(row["interest_paise"] for row in case["expected_rows"])
        of = {account: paise for (loan, account), paise in held.items() if loan == loan_id}
        if loan_id in paid_off:
            assert stages[loan_id] == "closed", loan_id
            assert of.get(PRINCIPAL, 0) == of.get(INTEREST_RECEIVABLE, 0) == 0
            assert -of.get(INTEREST_INCOME, 0) == interest
        else:
            assert stages[loan_id] == "active"
            assert of[PRINCIPAL] == lent
            assert of.get(INTEREST_RECEIVABLE, 0) == interest
            assert -of.get(INTEREST_INCOME, 0) - of.get(INTEREST_SUSPENSE, 0) == interest


def place(record: Any) -> tuple[str, int, int]:
    return record.topic, record.partition, record.offset


def check_dead_letters(table: list[Any], topic: list[Any], inbound: Mapping[tuple[str, int, int], Any]) -> None:
    """Each record is in the table and on the topic, byte for byte, with its reason and the field at fault."""
    wanted = sorted((letter.topic, letter.reason, letter.at_field, letter.value or b"") for letter in RUBBISH)
    assert sorted((row["topic"], row["reason"], row["field"], row["value"] or b"") for row in table) == wanted
    told = {}
    for record in topic:
        headers = dict(record.headers)
        at = headers["qist_topic"].decode(), int(headers["qist_partition"]), int(headers["qist_offset"])
        told[at] = record
    assert len(told) == len(topic) == len(table)
    for row in table:
        kept = record_from(row)
        came, letter = inbound[place(kept)], told[place(kept)]
        assert (kept.key, kept.headers, kept.value) == (came.key, came.headers, came.value)
        said = dict(letter.headers)
        if "qist_left_out" in said:
            assert len(came.value) > 900_000
            continue
        assert letter.headers[: len(came.headers)] == came.headers
        assert letter.key == came.key
        assert letter.value == came.value or (came.key is None and came.value is None and letter.value == b"")
        assert said["qist_reason"].decode() == row["reason"]
        assert said["qist_field"].decode() == row["field"]
    loans_elsewhere = [at for at, record in inbound.items() if record.key and home_of(record.key.decode()) != at[1]]
    assert loans_elsewhere  # librdkafka's partitioner is another one
