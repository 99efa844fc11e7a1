"""Vendors' words: every one of them means something of ours, or is known to mean nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from adapters.gateways.api import ApiGateway
from adapters.gateways.banyan import Banyan
from adapters.gateways.kestrel import Kestrel, paise, rupees
from adapters.gateways.port import UNMAPPED, Answer, Order, Untrusted
from adapters.gateways.reasons import failure, vocabulary
from adapters.gateways.simulators.banyan import BanyanFace
from adapters.gateways.simulators.books import Entry
from adapters.gateways.simulators.kestrel import KestrelFace
from adapters.house import load_codes

NOW = 1_770_000_000.0
TABLES = ["banyan", "kestrel", "nach-files"]


def order(kind: str = "debit", rail: str = "enach") -> Order:
    body = {"mandate_id": "M-1", "umrn": "U", "bank": "HDFC"}
    return Order(instruction_id="LN-1:1:1", kind=kind, loan_id="LN-1", amount_paise=499_300, rail=rail, body=body)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("table", TABLES)
def test_every_code_of_a_table_is_one_of_its_rail(table: str) -> None:
    codes, words = load_codes(), vocabulary(table).table
    meant = [*words.words.values(), *(text.codes for text in words.texts)]
    assert [
        (rail, code) for known in meant for rail, code in known.items() if not codes.diagnose(rail, code).known
    ] == []


@pytest.mark.parametrize(
    ("said", "code", "message"),
    [
        ({"code": "07", "word": "insufficient_funds"}, "07", ""),  # the bank's own code before the vendor's word
        ({"code": "XX", "word": "insufficient_funds"}, "04", ""),
        ({"word": "BANK_UNAVAILABLE"}, "59", ""),
        ({"word": "payment_failed", "text": "Payment failed: account has been closed"}, "01", ""),
        ({"text": "Not enough balance"}, "04", ""),
        ({"word": "hmm", "text": "The moon"}, UNMAPPED, "hmm The moon"),
        ({}, UNMAPPED, ""),
    ],
)
def test_a_reason_becomes_the_rails_code_or_is_passed_on_in_words(
    said: dict[str, str], code: str, message: str
) -> None:
    reason = vocabulary("banyan").reason("enach", **said)
    assert (reason.code, reason.message) == (code, message)


def test_the_same_word_has_another_code_on_another_rail() -> None:
    codes = [vocabulary("kestrel").reason(rail, word="low_balance").code for rail in ("enach", "upi", "card")]
    assert codes == ["04", "Z9", "51"]


def test_a_failure_whose_code_says_that_the_outcome_is_open_is_no_failure() -> None:
    words = vocabulary("kestrel")
    assert failure(words, "upi", code="U67") == Answer(state="accepted")
    assert failure(words, "upi", code="RB") == Answer(state="accepted", code="RB")  # pending: told, once
    assert failure(words, "imps", code="91").state == "accepted"
    assert failure(words, "enach", word="ref_used").state == "unknown"  # a repetition: what of the first?


@pytest.mark.parametrize("vendor", [Banyan(), Kestrel()])
@pytest.mark.parametrize(
    ("status", "content", "state"),
    [
        (500, b"{}", "unknown"),
        (504, b"<html>", "unknown"),
        (409, b'{"error": {"code": "in_progress"}}', "unknown"),
        (302, b"", "unknown"),
        (200, b"", "unknown"),
        (200, b"[]", "unknown"),
        (200, b'{"status": "captured"}', "unknown"),
        (404, b"<html>no such page</html>", "unknown"),  # a proxy's word is not the gateway's
        (401, b"{}", "later"),
        (429, b"", "later"),
    ],
)
def test_an_answer_that_is_not_clear_is_unknown_and_one_about_us_is_later(
    vendor: Banyan | Kestrel, status: int, content: bytes, state: str
) -> None:
    gateway = ApiGateway("any", vendor, url="http://nowhere", key="k", secret="s")
    assert gateway.understood(order(), status, content).state == state


FACES = {"banyan": (Banyan(), BanyanFace()), "kestrel": (Kestrel(), KestrelFace())}


@pytest.mark.parametrize("name", FACES)
@pytest.mark.parametrize("kind", ["debit", "payout"])
@pytest.mark.parametrize("state", ["processing", "succeeded", "failed", "reversed"])
def test_a_gateways_entry_is_understood_in_each_of_its_states(name: str, kind: str, state: str) -> None:
    vendor, face = FACES[name]
    entry = Entry("LN-1:1:1", kind, "LN-1", 499_300, "upi", 7, why="funds")
    answer = vendor.answer(order(kind, "upi"), 200, face.entry(entry, state))  # pyright: ignore[reportArgumentType]
    assert answer.state == {"processing": "accepted"}.get(state, state)
    assert answer.amount_paise == 499_300
    assert answer.code == ("Z9" if state == "failed" else "")


@pytest.mark.parametrize("name", FACES)
def test_an_answer_about_another_order_says_nothing(name: str) -> None:
    vendor, face = FACES[name]
    other = Entry("LN-2:1:1", "debit", "LN-2", 499_300, "enach", 7)
    assert vendor.answer(order(), 200, face.entry(other, "succeeded")).state == "unknown"


@pytest.mark.parametrize("name", FACES)
def test_only_the_gateways_own_word_means_that_it_does_not_know_an_order(name: str) -> None:
    vendor, face = FACES[name]
    assert vendor.answer(order(), 404, face.not_found()).state == "not-found"


@pytest.mark.parametrize("name", FACES)
def test_a_status_word_of_no_table_is_unknown_and_named(name: str) -> None:
    vendor, face = FACES[name]
    said: dict[str, Any] = face.entry(Entry("LN-1:1:1", "debit", "LN-1", 499_300, "enach", 7), "succeeded")
    said.get("data", said)["status"] = "zapped"
    answer = vendor.answer(order(), 200, said)
    assert (answer.state, answer.message) == ("unknown", "the status 'zapped' is in no table")


@pytest.mark.parametrize(
    ("amount", "whole"), [("4993.00", 499_300), ("4993", 499_300), ("0.01", 1), (rupees(10**12), 10**12)]
)
def test_rupees_become_paise_exactly(amount: str, whole: int) -> None:
    assert paise(amount) == whole


@pytest.mark.parametrize("amount", ["4993.001", "-1", "NaN", "Infinity", "", 4993.0, None])
def test_what_is_no_whole_number_of_paise_is_no_amount(amount: Any) -> None:
    with pytest.raises(ValueError, match="amount"):
        paise(amount)


# --- signatures ----------------------------------------------------------------------------------------------


def signed(name: str, body: bytes, *, secret: bytes = b"right", at: float = NOW) -> Mapping[str, str]:
    if name == "banyan":
        signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
        return {"x-banyan-signature": signature, "x-banyan-event-id": "E-1"}
    sent = str(int(at * 1000))
    mac = hmac.new(secret, sent.encode() + body, hashlib.sha256).digest()
    return {"x-kestrel-timestamp": sent, "x-kestrel-signature": base64.b64encode(mac).decode()}


def event(at: float = NOW) -> bytes:
    return orjson.dumps({"created_at": int(at), "event_id": "E-1"})


@pytest.mark.parametrize("name", FACES)
def test_a_webhook_is_believed_by_either_of_two_secrets_while_they_are_changed(name: str) -> None:
    vendor, _ = FACES[name]
    for secret in (b"right", b"older"):
        assert vendor.checked(signed(name, event(), secret=secret), event(), [b"right", b"older"], NOW) == "E-1"


@pytest.mark.parametrize("name", FACES)
@pytest.mark.parametrize("how", ["no header", "another secret", "another body", "from long ago", "no id", "strange"])
def test_a_webhook_is_not_believed(name: str, how: str) -> None:
    vendor, _ = FACES[name]
    body, secret, at = event(), b"right", NOW
    headers = dict(signed(name, body))
    match how:
        case "no header":
            headers = {}
        case "another secret":
            headers = dict(signed(name, body, secret=b"wrong"))
        case "another body":
            body += b" "
        case "from long ago":
            at = NOW - 200_000
            body = event(at)
            headers = dict(signed(name, body, at=at))
        case "no id":
            body = orjson.dumps({"created_at": int(NOW)})
            headers = dict(signed(name, body)) | {"x-banyan-event-id": ""}
        case _:
            headers |= {"x-banyan-signature": "\xff" * 64, "x-kestrel-signature": "\xff" * 44}
    with pytest.raises(Untrusted):
        vendor.checked(headers, body, [secret], NOW)
