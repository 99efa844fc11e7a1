"""The credit bureau's record of a loan: each figure as the law and the format ask for, each fault told by its field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.reports.bureau import FIELDS, GivenUp, account_of, faults_of, no_file_of, submission_on
from domain import commands as c
from streams.wire import DisbursalRequested, UpdateBorrower
from tests.examples import EMI, a_loan_without_mandate
from tests.stories import Story, asked, by_months, day, on, payment, rupees, taken_back

ASHA: dict[str, Any] = {
    "name": "Asha Devi",
    "phone": "+919812345678",
    "date_of_birth": "1990-07-04",
    "gender": "female",
    "pan": "ABCPD1234E",
    "occupation": "salaried",
    "addresses": [{"line": "7 MG Road, Pune", "state_code": "27", "pin": "411001", "category": "residence"}],
}
"""A person as the vault has her."""


def record(story: Story, at: str, person: dict[str, Any] = ASHA, given_up: GivenUp = GivenUp()) -> dict[str, str]:  # noqa: B008
    account = account_of(story.the_loan, day(at), story.rules, person, given_up, "MB00001")
    assert list(faults_of(account)) == []
    told = {name: value(account) for name, value in FIELDS.items()}
    return {name: value for name, value in told.items() if value}


def test_a_loan_in_arrears_is_told_in_whole_rupees_with_its_days_past_due() -> None:
    story = a_loan_without_mandate().when(on("5 Feb"), payment(EMI)).when(on("31 Mar 23:59"))
    told = record(story, "31 Mar")
    accrued = by_months(rupees("1,00,000") - rupees("3,493") - 354540, "18")  # after two rows: the days of March
    balance = rupees("1,00,000") - rupees("3,493") + 144761 + accrued * 26 // 30
    assert told["current_balance"] == str((balance + 50) // 100)
    assert told["amount_overdue"] == "4993"
    assert told["days_past_due"] == "027"  # due 5 March: that day is the first
    assert told["asset_classification"] == "05"  # SMA-0
    assert (told["high_credit"], told["emi_amount"], told["repayment_tenure"]) == ("100000", "4993", "24")
    assert (told["date_of_last_payment"], told["actual_payment_amount"]) == ("05022026", "4993")
    assert (told["date_opened"], told["date_reported"], told["date_of_birth"]) == ("05012026", "31032026", "04071990")
    assert (told["account_type"], told["payment_frequency"], told["ownership"], told["suit_filed"]) == (
        "05", "03", "1", "00",
    )  # fmt: skip
    assert (told["gender"], told["occupation_code"], told["address_category_1"]) == ("1", "01", "2")
    assert "written_off_and_settled_status" not in told
    assert "date_closed" not in told


def test_money_that_was_taken_back_is_no_last_payment() -> None:
    story = a_loan_without_mandate().when(on("5 Feb"), payment(EMI, "P-1"))
    story.when(on("5 Mar"), payment(EMI, "P-2")).when(on("9 Mar"), taken_back("P-2"))
    assert record(story, "31 Mar")["date_of_last_payment"] == "05022026"


def test_an_npa_stays_sub_standard_until_all_arrears_are_paid() -> None:
    story = a_loan_without_mandate().when(on("10 May"))
    assert record(story, "9 May")["asset_classification"] == "02"
    story.when(on("11 May"), payment(EMI))  # 64 days past due now, and an NPA all the same
    told = record(story, "11 May")
    assert (told["days_past_due"], told["asset_classification"]) == ("068", "02")


def test_a_loan_that_is_written_off_keeps_the_amounts_given_up_and_owes_less_as_money_comes() -> None:
    story = a_loan_without_mandate().when(on("10 Jun"), asked(c.WriteOff, reason="gone away"))
    told = record(story, "30 Jun", given_up=GivenUp(rupees("1,07,000"), rupees("1,00,000"), rupees("1,000")))
    assert told["written_off_and_settled_status"] == "02"
    assert (told["written_off_amount_total"], told["written_off_amount_principal"]) == ("107000", "100000")
    assert told["current_balance"] == told["amount_overdue"] == "106000"


@pytest.mark.parametrize(
    ("without", "field"),
    [
        ({"name": None}, "consumer_name"),
        ({"pan": None}, "income_tax_id"),
        ({"pan": "ABC"}, "income_tax_id"),
        ({"date_of_birth": None}, "date_of_birth"),
        ({"addresses": [{"line": "7", "state_code": "27", "pin": "41"}]}, "pin_1"),
    ],
)
def test_a_fault_is_told_by_the_files_field(without: dict[str, Any], field: str) -> None:
    story = a_loan_without_mandate().when(on("31 Jan"))
    account = account_of(story.the_loan, day("31 Jan"), story.rules, {**ASHA, **without}, GivenUp(), "")
    assert [name for name, _ in faults_of(account)] == [field]


def test_files_speak_of_the_days_that_the_law_names() -> None:
    assert no_file_of(day("30 Jun")) == ""
    assert no_file_of(day("9 Jun")) == "bureau files do not speak of 2026-06-09; the next speaks of 2026-06-15"
    assert no_file_of(day("9 Jul")) == ""  # four dates a month since July 2026
    file, previous = submission_on(day("16 Jul"))
    assert (file.kind, file.due_by, previous) == ("incremental", day("20 Jul"), day("9 Jul"))
    assert submission_on(day("9 Jul"))[1] == day("30 Jun")
    assert submission_on(day("31 Aug"))[1] == day("31 Jul")  # all accounts: closed since the last such file


def test_particulars_go_to_the_vault_and_not_into_the_loan() -> None:
    body = {
        "loan_id": "LN-1",
        "borrower": {"borrower_id": "B-1", "name": ASHA["name"], "identity": {"pan": ASHA["pan"], "gender": "female"}},
        "product": "personal-loan",
        "terms": {"principal_paise": 1_00_000_00},
    }
    request = DisbursalRequested.model_validate_json(json.dumps(body))
    (secret,) = request.secrets()
    assert secret.token == "B-1:person"
    assert secret.content == {"name": ASHA["name"], "pan": "ABCPD1234E", "gender": "female"}
    assert "ABCPD1234E" not in repr(request.command())
    changed = UpdateBorrower.model_validate_json(
        json.dumps({
            "command_id": "C-1", "loan_id": "LN-1", "requested_by": "los", "requested_at": "2026-02-01T10:00:00+05:30",
            "borrower_id": "B-1", "identity": {"pan": "ABCPD1234F"},
        })
    )  # fmt: skip
    assert changed.secrets()[0].content == {"pan": "ABCPD1234F"}  # the rest stays as it was
    assert "ABCPD1234F" not in repr(changed.command())
