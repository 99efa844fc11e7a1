"""What messages may say of mandates and accounts, and what of it reaches a decision: facts, no name and no number."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from domain import commands as c
from domain.refusals import Refusal, Refused
from streams.envelope import Record, headers_for
from streams.topics import COMMANDS, DISBURSALS, MANDATE_OUTCOMES, Topic
from streams.wire import Message, same_person, understand
from tests.stories import on

AT = on("5 Jan")
MANDATE: dict[str, Any] = {
    "mandate_id": "M-1",
    "rail": "upi",
    "max_amount_paise": 1_000_000,
    "bank": "HDFC",
    "account": {"number": "50100000000042", "ifsc": "HDFC0000001", "holder": "Asha Rao"},
}
REQUEST: dict[str, Any] = {
    "borrower": {"borrower_id": "B-1", "name": "Rao Asha"},
    "product": "personal-loan",
    "terms": {"principal_paise": 1},
    "payout": {"account": {"number": "50100000000042", "ifsc": "HDFC0000001"}},
    "mandate": MANDATE,
}


def understood(topic: Topic, kind: str, **body: Any) -> Message:
    headers = tuple(headers_for(kind, "1", "test", AT))
    return understand(Record(topic.name, 0, 0, b"LN-1", headers, orjson.dumps({"loan_id": "LN-1", **body})))


def booked(**changed: Any) -> tuple[c.BookLoan, Message]:
    message = understood(DISBURSALS, "los.disbursal.requested.v1", **{**REQUEST, **changed})
    assert isinstance(message.command, c.BookLoan)
    return message.command, message


def commanded(name: str, **body: Any) -> tuple[Any, Message]:
    message = understood(COMMANDS, f"servicing.{name}.v1", command_id="C-1", **body)
    return message.command, message


@pytest.mark.parametrize(
    ("holder", "borrower", "same"),
    [
        ("Asha Rao", "ASHA RAO", True),
        ("Rao Asha", "Asha Rao", True),
        ("A. Rao", "Asha Rao", True),
        ("Mrs. Asha Rao", "Asha Rao", True),
        ("Asha", "Asha Kumari Rao", True),
        ("Asha Rao", "Ravi Rao", False),
        ("Asha Rao", "Asha Iyer", False),
        ("Asha Rao", "Rao Rao", False),
    ],
)
def test_an_account_is_the_borrowers_when_the_names_may_be_one_persons(holder: str, borrower: str, same: bool) -> None:
    assert same_person(holder, borrower) is same


def test_that_the_holder_is_another_is_kept_and_no_name_is() -> None:
    assert "holder" not in booked()[0].mandate
    other = {**MANDATE, "account": {**MANDATE["account"], "holder": "Ravi Iyer"}}
    command, _ = booked(mandate=other)
    assert command.mandate["holder"] == "differs"
    assert "Ravi" not in repr(command)
    assert "50100000000042" not in repr(command)


def test_further_mandates_come_in_order_each_with_an_account_of_its_own() -> None:
    further = [{**MANDATE, "mandate_id": known} for known in ("M-2", "M-3")]
    command, message = booked(further_mandates=further)
    assert [mandate["mandate_id"] for mandate in command.further_mandates] == ["M-2", "M-3"]
    tokens = {secret.token for secret in message.secrets}
    assert {command.mandate["account_token"], *(m["account_token"] for m in command.further_mandates)} < tokens
    assert all(secret.borrower_id == "B-1" for secret in message.secrets)


def test_a_request_without_further_mandates_is_the_same_request_as_ever() -> None:
    plain = {**MANDATE, "account": {**MANDATE["account"], "holder": "Ravi Iyer"}}
    assert booked()[0].request_hash == booked(mandate=plain)[0].request_hash
    assert booked()[0].request_hash != booked(further_mandates=[{**MANDATE, "mandate_id": "M-2"}])[0].request_hash


def test_that_there_is_an_upi_address_is_told_and_the_address_is_not() -> None:
    command, _ = booked(payout={"account": {"vpa": "asha@bank"}})
    assert (command.payout["vpa"], "asha@bank" in repr(command)) == (True, False)
    assert "vpa" not in booked()[0].payout


@pytest.mark.parametrize(
    ("name", "body", "swap", "position", "replaces"),
    [
        ("register-mandate", {}, False, 1, ""),
        ("register-mandate", {"position": 2}, False, 2, ""),
        ("swap-mandate", {}, True, 1, ""),
        ("swap-mandate", {"replaces": "M-0"}, True, 1, "M-0"),
    ],
)
def test_a_mandate_is_registered_or_swapped(
    name: str, body: dict[str, Any], swap: bool, position: int, replaces: str
) -> None:
    command, message = commanded(name, mandate=MANDATE, **body)
    assert (command.swap, command.position, command.replaces) == (swap, position, replaces)
    assert [secret.token for secret in message.secrets] == [command.mandate["account_token"]]


@pytest.mark.parametrize("what", ["prefer", "pause", "resume", "cancel"])
def test_a_mandate_is_managed_by_its_id(what: str) -> None:
    command, _ = commanded(f"{what}-mandate", mandate_id="M-1", reason="asked for")
    assert command == c.ManageMandate(command_id="C-1", mandate_id="M-1", what=what, reason="asked for")
    with pytest.raises(Refused) as refused:
        commanded(f"{what}-mandate")
    assert (refused.value.refusal, refused.value.field) == (Refusal.malformed, "/mandate_id")


def test_a_place_in_the_order_begins_with_one() -> None:
    with pytest.raises(Refused) as refused:
        commanded("register-mandate", mandate=MANDATE, position=0)
    assert refused.value.field == "/position"


def test_a_bank_may_bring_the_facts_of_a_mandate_that_was_asked_for() -> None:
    message = understood(MANDATE_OUTCOMES, "gateway.mandate.active.v1", mandate_id="M-9", mandate=MANDATE)
    assert isinstance(message.command, c.ChangeMandate)
    assert message.command.mandate["rail"] == "upi"
    assert [secret.content["number"] for secret in message.secrets] == ["50100000000042"]
    plain = understood(MANDATE_OUTCOMES, "gateway.mandate.active.v1", mandate_id="M-9")
    assert (plain.command, plain.secrets) == (c.ChangeMandate(mandate_id="M-9", status="active"), ())


def test_another_account_brings_what_a_payout_must_know_of_it() -> None:
    account = {"number": "111122223333", "ifsc": "SBIN0000001"}
    command, _ = commanded("update-bank-account", borrower_id="B-1", account=account)
    assert command.facts == {"payout": {"ifsc": "SBIN0000001", "last4": "3333", "vpa": False}}
