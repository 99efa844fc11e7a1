"""Failure codes: what a code means, by whose word, and what is done where nobody knows it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.house import load_rules
from domain import commands as c
from domain.events import CaseOpened, ChargeLevied, DebitFailed, RetryScheduled
from domain.failures import ACTIONS, TABLES_OF_RAIL, Classification, FailureCodes, flaws
from domain.refusals import Refusal, Refused
from streams.wire import DebitFailed as DebitFailedMessage
from tests.examples import a_loan
from tests.stories import Doing, a, given, on

CODES = load_rules().codes


def word(number: int, rail: str, code: str, **said: object) -> Classification:
    """An operator's word; a wrong account unless the story says otherwise."""
    usual = {
        "failure_class": "hard",
        "action": "fix_mandate",
        "meaning": "the account was merged",
        "charge_bounce": False,
    }
    return Classification(number, rail, code, **{**usual, **said})  # type: ignore[arg-type]


def failed(code: str = "", message: str = "", bank_code: str = "", rail: str = "enach") -> Doing:
    """The first debit came back so."""

    def doing(loan, now):
        return c.RecordDebitFailure(
            instruction_id="LN-1:1:1", amount_paise=1, code=code, message=message, bank_code=bank_code,
            value_on=now.date(), reference="", rail=rail, gateway="sponsor-bank", bank="HDFC",
        )  # fmt: skip

    return doing


def test_every_shipped_row_says_what_can_be_done_about_its_class():
    for (table, code), row in CODES.by_table.items():
        assert row.meaning, (table, code)
        assert row.failure_class in ACTIONS, (table, code)
        assert not (row.charge_bounce and row.failure_class == "technical"), (table, code)
        assert not (row.failure_class == "hard" and row.action.startswith("retry")), (table, code)
    assert len(CODES.by_table) == 435


def test_every_wording_names_a_code_that_its_table_has():
    tables = {table for tables in TABLES_OF_RAIL.values() for table in tables}
    for wording in CODES.wordings:
        assert wording.table in tables, wording
        assert (wording.table, wording.code) in CODES.by_table, wording


def test_a_switch_s_wrapper_is_read_by_the_bank_s_code_beside_it():
    for code, bank_code in (("U30", "Z9"), ("U30|Z9", ""), ("U30-Z9", "")):
        found = CODES.diagnose("upi", code, bank_code=bank_code)
        assert (found.code, found.failure_class, found.by, found.charge_bounce) == ("Z9", "soft", "bank-code", True)
    assert CODES.diagnose("upi", "U30", bank_code="XH").action == "fix_mandate"
    assert CODES.diagnose("upi", "U30", message="Debit failed: remitter CBS offline").code == "XY"
    assert CODES.diagnose("upi", "U30").code == "U30"
    assert CODES.diagnose("upi", "U30", bank_code="U30").code == "U30"


@pytest.mark.parametrize(
    ("rail", "words", "code"),
    [
        ("enach", "Transaction failed: Insufficient balance in the account", "04"),
        ("enach", "BALANCE INSUFFICIENT", "04"),
        ("nach", "Mandate cancelled by customer", "61"),
        ("enach", "Payment stopped under court order, balance low", "07"),
        ("enach", "a/c closed", "01"),
        ("upi", "Insufficient funds in payer account", "Z9"),
        ("upi", "payer account is frozen", "YE"),
        ("upi", "mandate has been revoked", "VA"),
        ("card", "Your card has expired", "54"),
        ("card", "the e-mandate was cancelled", "MANDATE_CANCELLED"),
        ("card", "request timed out", "GATEWAY_TIMEOUT"),
    ],
)
def test_a_gateway_s_words_are_read_where_it_gives_no_code(rail: str, words: str, code: str):
    assert CODES.diagnose(rail, "", message=words).code == code
    assert CODES.diagnose(rail, "GW_9999", message=words).by == "reason-text"


@pytest.mark.parametrize(
    ("rail", "code", "read_as"), [("upi", "z9", "Z9"), ("upi", "u30|xh", "XH"), ("card", " 1a ", "1A")]
)
def test_a_code_is_read_in_any_case_and_with_blanks_around_it(rail: str, code: str, read_as: str):
    found = CODES.diagnose(rail, code)
    assert (found.code, found.known) == (read_as, True)


def test_words_never_overrule_a_code_that_is_known_and_strange_ones_mean_nothing():
    assert CODES.diagnose("enach", "01", message="insufficient balance").code == "01"
    strange = CODES.diagnose("enach", "GW_1", message="Something went wrong")
    assert (strange.known, strange.failure_class, strange.action, strange.charge_bounce) == (
        False, "technical", "investigate", False,
    )  # fmt: skip
    assert not CODES.diagnose("wallet", "04", message="insufficient balance").known


def test_an_operator_s_word_goes_before_the_table_and_the_newest_before_the_rest():
    shipped = CODES.version
    codes = CODES.classified([word(2, "upi", "QX"), word(1, "upi", "QX", failure_class="soft", action="retry")])
    assert (codes.version, codes.diagnose("upi", "QX").failure_class) == (f"{shipped}+2", "hard")
    assert codes.diagnose("upi", "QX").by == "operator"
    for rail in ("enach", "nach"):
        assert CODES.classified([word(1, "nach", "04")]).diagnose(rail, "04").failure_class == "hard"
    wallet = CODES.classified([word(1, "wallet", "W1")])
    assert wallet.diagnose("wallet", "W1").known
    assert not wallet.diagnose("upi", "W1").known


def test_no_word_of_an_operator_makes_a_pending_debit_a_failed_one():
    assert CODES.classified([word(1, "upi", "RB")]).diagnose("upi", "RB").pending


def test_a_classification_that_contradicts_itself_names_its_field():
    assert [field for field, _ in flaws("odd", "retry", False)] == ["class"]
    assert [field for field, _ in flaws("hard", "retry", False)] == ["action"]
    assert [field for field, _ in flaws("technical", "retry", True)] == ["charge_bounce"]
    assert flaws("soft", "retry_after_funds", True) == []


def test_history_keeps_what_was_decided_before_a_code_was_classified():
    story = given(a_loan()).when(on("5 Feb 12:00"), failed("GW_77")).then(
        a(DebitFailed, code="GW_77", failure_class="technical", codes_version=CODES.version, diagnosed_by=""),
        a(CaseOpened, kind="unknown-failure-code", about="enach:GW_77"),
        a(RetryScheduled, attempt=2),
    )  # fmt: skip
    story.rules = replace(story.rules, codes=CODES.classified([word(1, "enach", "GW_77")]))

    def once_more(loan, now):
        return replace(failed("GW_77")(loan, now), instruction_id="LN-1:1:2")

    story.when(on("6 Feb 12:00"), once_more)
    assert [event.codes_version for event in story.all(DebitFailed)] == [CODES.version, f"{CODES.version}+1"]
    assert [event.failure_class for event in story.all(DebitFailed)] == ["technical", "hard"]


def test_a_debit_that_fails_in_words_alone_is_charged_and_tried_again_as_by_its_code():
    given(a_loan()).when(on("5 Feb 12:00"), failed(message="Insufficient funds")).then(
        a(DebitFailed, code="", diagnosed_as="04", diagnosed_by="reason-text", failure_class="soft"),
        a(ChargeLevied, kind="bounce", reason="debit returned with code 04"),
        a(RetryScheduled, attempt=2),
    )


def test_a_failure_with_neither_code_nor_words_is_refused_by_its_field():
    message = DebitFailedMessage.model_validate(
        {"loan_id": "LN-1", "instruction_id": "LN-1:1:1", "amount_paise": 1, "at": on("5 Feb")}
    )
    with pytest.raises(Refused) as no:
        message.command()
    assert (no.value.refusal, no.value.field) == (Refusal.malformed, "/code")


def test_the_mapping_s_version_follows_what_it_says():
    row = {"rail": "UPI", "code": "Q1", "meaning": "m", "class": "soft", "action": "retry", "charge_bounce": "no"}
    versions = {FailureCodes.of([{**row, "action": action}]).version for action in ("retry", "investigate")}
    assert len(versions) == 2
