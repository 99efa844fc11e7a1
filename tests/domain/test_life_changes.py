"""What people do with a loan: restructure it, levy and waive charges, write it off (servicing rules 17, 18, 25, 32)."""

from __future__ import annotations

from typing import Any

import pytest

from domain.commands import (
    LevyCharge,
    PauseCollection,
    ReceivePayment,
    Restructure,
    RetryPayout,
    Settle,
    UpdateBorrower,
    Waive,
    WriteOff,
)
from domain.decisions.once import DOES
from domain.events import (
    AgreedChangeCame,
    BorrowerChanged,
    CaseOpened,
    ChangeAgreed,
    ChargeLevied,
    ChargeWaived,
    DebitAttempted,
    DebitSucceeded,
    DelinquencyChanged,
    EmiScheduled,
    ExcessApplied,
    InstalmentDue,
    MandateRequested,
    PaymentReceived,
    ReceiptReversed,
    RefundInstructed,
    Restructured,
    WrittenOff,
)
from domain.life import DECIDE
from domain.refusals import Refusal
from domain.views import schedule_rows
from tests.examples import (
    EMI,
    MANDATE,
    a_closed_loan,
    a_loan,
    a_loan_at_its_last_row,
    a_loan_in_arrears,
    a_loan_paid_out_by_us,
    a_loan_without_mandate,
)
from tests.lives import BY_THE_DAY, COLLECTING
from tests.stories import Doing, Story, a, asked, day, debit_succeeded, given, lines, on, payment, rupees, taken_back


def restructure(on_day: str, command_id: str = "R-1", **changes: Any) -> Doing:
    return asked(Restructure, command_id, effective_on=day(on_day), reason="lost his job", **changes)


def principal_ahead(story: Story) -> int:
    loan = story.the_loan
    return sum(row.principal for row in loan.rows[loan.due_rows :])


# --- Restructuring -------------------------------------------------------------------------------------------


def test_a_longer_tenure_lowers_the_instalment() -> None:
    story = given(a_loan_without_mandate()).when(on("5 Feb"), payment(EMI))
    story.when(on("5 Feb 12:00"), restructure("5 Feb", instalments=36)).then(
        Restructured(
            effective_on="2026-02-05",
            changes={"instalments": 36, "capitalise_arrears": False},
            principal_paise=rupees("96,507"),
            capitalised_paise=0,
            reason="lost his job",
            command_id="R-1",
            downgraded=True,
        ),
        a(EmiScheduled, schedule_version=2, reason="restructure", effective_on="5 Feb"),
        a(DelinquencyChanged, classification="NPA", because="restructured", dpd=0),
    )
    rows = story.the_loan.rows
    assert len(rows) == 1 + 36
    assert [rows[1].number, rows[1].due_on] == [2, day("5 Mar")]
    assert story.the_loan.instalment_paise < rupees(EMI)
    assert principal_ahead(story) == rupees("96,507")


def test_a_smaller_instalment_lengthens_the_tenure() -> None:
    story = given(a_loan_without_mandate()).when(on("5 Feb"), payment(EMI))
    story.when(on("5 Feb 12:00"), restructure("5 Feb", instalment_paise=rupees("3,000")))
    rows = story.the_loan.rows
    assert {row.total for row in rows[1:-1]} == {rupees("3,000")}
    assert len(rows) > 24


def test_a_lower_rate_counts_from_its_day_and_the_days_before_bear_the_old_one() -> None:
    story = given(a_loan_without_mandate()).when(on("20 Jan"), restructure("20 Jan", annual_rate_percent="12.00"))
    first = story.the_loan.rows[0]
    assert first.interest == rupees("750") + rupees("500")
    assert story.the_loan.terms["annual_rate_percent"] == "12.00"


def test_a_change_from_a_later_day_keeps_the_rows_before_it() -> None:
    story = (
        given(a_loan_without_mandate())
        .when(on("20 Jan"), restructure("5 Mar", instalments=36))
        .then(a(ChangeAgreed, kind="restructure", effective_on="5 Mar", instalments=36))
    )
    assert len(story.the_loan.rows) == 24  # until the day, nothing changes
    assert [row["number"] for row in schedule_rows(story.the_loan, day("20 Jan"), story.rules)] == list(range(1, 39))
    story.when(on("5 Mar 10:00"))
    rows = story.the_loan.rows
    assert [row.total for row in rows[:2]] == [rupees(EMI), rupees(EMI)]
    assert (rows[2].number, rows[2].due_on, len(rows)) == (3, day("5 Apr"), 2 + 36)
    assert principal_ahead(story) == story.the_loan.principal_not_due()
    assert [type(fact) for fact in story.events if type(fact) in (AgreedChangeCame, Restructured)] == [
        AgreedChangeCame,
        Restructured,
    ]


def test_an_agreed_change_that_its_day_does_not_allow_is_a_case() -> None:
    story = given(a_loan_without_mandate()).when(on("20 Jan"), restructure("5 Mar", instalments=36))
    story.when(on("25 Jan"), asked(Settle, "S-1", amount_paise=rupees("50,000"), pay_by=day("31 Mar"), reason=""))
    story.when(on("5 Mar 10:00"))
    assert "settlement_is_open" in story.all(AgreedChangeCame)[0].not_possible
    assert story.all(CaseOpened)[-1].kind == "agreed-change-not-possible"
    assert story.all(Restructured) == []


def test_a_change_that_could_not_be_on_its_day_is_refused_when_it_is_asked_for() -> None:
    story = given(a_loan_without_mandate()).when(on("20 Jan"), restructure("5 Mar", instalment_paise=rupees("100")))
    story.refused(Refusal.terms_invalid, "/instalment_paise")


def test_a_change_from_a_later_day_counts_the_tranche_that_goes_out_before_it() -> None:
    tranches = [{"on": "2026-02-20", "amount_paise": 50_000_00}]
    story = given(a_loan_without_mandate(principal="50,000", months=12, terms={"tranches": tranches}))
    story.when(on("20 Jan"), restructure("5 Mar", instalments=10)).when(on("5 Apr"))
    assert principal_ahead(story) == story.the_loan.principal_not_due()


def test_arrears_can_join_the_principal_but_charges_never_do() -> None:
    story = given(a_loan_in_arrears(dpd=34)).when(on("11 Mar"), asked(LevyCharge, kind="visit", reason="at home"))
    story.and_the_loan(interest_due="2,947.61", charges="236")
    story.when(on("11 Mar 12:00"), restructure("11 Mar", instalments=24, capitalise_arrears=True)).then(
        a(Restructured, principal_paise="1,02,947.61", capitalised_paise="2,947.61"),
        a(EmiScheduled, reason="restructure"),
        a(DelinquencyChanged, dpd=0, oldest_due_on="11 Mar"),
    )
    story.and_the_loan(principal="1,02,947.61", interest_due="0", charges="236")
    assert principal_ahead(story) == rupees("1,02,947.61")


def test_a_restructured_loan_can_be_paid_to_its_end() -> None:
    story = given(a_loan_in_arrears(dpd=34))
    story.when(on("11 Mar 12:00"), restructure("11 Mar", instalments=3, capitalise_arrears=True))
    for number, due in enumerate(("5 Apr", "5 May", "5 Jun")):
        story.when(on(due), payment("60,000" if number == 2 else "30,000", f"P-{due}"))
    story.and_the_loan(state="closed", principal="0")


def test_nothing_to_change_is_refused() -> None:
    story = given(a_loan_without_mandate()).when(on("20 Jan"), restructure("20 Jan"))
    story.refused(Refusal.nothing_to_change)


def test_a_change_does_not_take_effect_in_the_past() -> None:
    story = given(a_loan_without_mandate()).when(on("20 Jan"), restructure("19 Jan", instalments=36))
    story.refused(Refusal.effective_date_not_ahead, "/effective_on")


def test_a_change_after_the_last_due_day_changes_nothing() -> None:
    story = given(a_loan_without_mandate(months=2)).when(on("20 Jan"), restructure("5 Mar", instalments=36))
    story.refused(Refusal.nothing_to_change, instalments_left=0)


def test_an_instalment_that_does_not_cover_the_interest_is_refused() -> None:
    story = given(a_loan_without_mandate()).when(on("20 Jan"), restructure("20 Jan", instalment_paise=rupees("100")))
    story.refused(Refusal.terms_invalid, "/instalment_paise")


def test_only_a_live_loan_is_restructured_and_once() -> None:
    given(a_loan_paid_out_by_us()).when(on("6 Jan"), restructure("6 Jan", instalments=9)).refused(
        Refusal.loan_not_disbursed
    )
    given(a_closed_loan()).when(on("6 Feb"), restructure("6 Feb", instalments=9)).refused(Refusal.loan_closed)
    story = given(a_loan_in_arrears()).when(on("30 Mar"), asked(WriteOff, reason="gone"))
    story.when(on("31 Mar"), restructure("31 Mar", instalments=9)).refused(Refusal.loan_written_off_use_record_recovery)
    story = given(a_loan_without_mandate()).when(on("20 Jan"), restructure("20 Jan", instalments=36))
    story.when(on("21 Jan"), restructure("21 Jan", instalments=36)).repeated()


def test_an_instalment_above_the_mandates_limit_asks_for_a_new_mandate() -> None:
    story = given(a_loan(mandate={**MANDATE, "max_amount_paise": rupees("5,000")}))
    story.when(on("20 Jan"), restructure("20 Jan", instalments=6)).then(
        a(Restructured),
        a(EmiScheduled),
        a(CaseOpened, kind="mandate-limit"),
        a(MandateRequested),
        a(DelinquencyChanged),
    )


# --- Charges -------------------------------------------------------------------------------------------------


def test_a_charge_of_the_product_is_levied_with_its_gst() -> None:
    given(a_loan_without_mandate()).when(on("20 Jan"), asked(LevyCharge, kind="visit", reason="at home")).then(
        ChargeLevied(
            charge_id="LN-1:charge:1",
            kind="visit",
            amount_paise=rupees("200"),
            gst_paise=rupees("36"),
            due_on="2026-01-20",
            number=0,
            reason="at home",
            command_id="C-1",
        )
    ).and_the_loan(charges="236")


def test_a_penal_charge_bears_no_gst() -> None:
    story = given(a_loan_in_arrears(dpd=5))
    story.when(on("10 Feb"), asked(LevyCharge, kind="penal", reason="late", amount_paise=rupees("100")))
    story.then(a(ChargeLevied, kind="penal", amount_paise="100", gst_paise=0))


def test_a_charge_that_the_product_does_not_have_is_refused() -> None:
    given(a_loan_without_mandate()).when(on("20 Jan"), asked(LevyCharge, kind="tea", reason="thirst")).refused(
        Refusal.charge_not_in_product, "/kind", kind="tea"
    )


@pytest.mark.parametrize("amount", [0, -1])
def test_a_charge_is_a_positive_amount(amount: int) -> None:
    given(a_loan_without_mandate()).when(
        on("20 Jan"), asked(LevyCharge, kind="visit", reason="", amount_paise=amount)
    ).refused(Refusal.amount_must_be_positive)


def test_a_command_is_done_once() -> None:
    story = given(a_loan_without_mandate()).when(on("20 Jan"), asked(LevyCharge, kind="visit", reason="at home"))
    story.when(on("20 Jan 11:00"), asked(LevyCharge, kind="visit", reason="at home")).repeated()


def test_a_charge_is_waived_in_part_and_then_whole() -> None:
    story = given(a_loan_without_mandate()).when(on("20 Jan"), asked(LevyCharge, kind="visit", reason="at home"))
    waive = {"charge_id": "LN-1:charge:1", "reason": "kindness"}
    story.when(on("21 Jan"), asked(Waive, "W-1", amount_paise=rupees("36"), **waive)).then(
        a(ChargeWaived, paise="36", charge_id="LN-1:charge:1")
    ).and_the_loan(charges="200")
    story.when(on("21 Jan"), asked(Waive, "W-2", amount_paise=rupees("201"), **waive)).refused(
        Refusal.waiver_exceeds_unpaid, "/amount_paise", charge_paise=rupees("200")
    )
    story.when(on("21 Jan"), asked(Waive, "W-3", **waive)).then(
        a(ChargeWaived, paise="200"), a(DelinquencyChanged, dpd=0)
    )
    story.when(on("21 Jan"), asked(Waive, "W-4", **waive)).refused(Refusal.amount_must_be_positive)
    story.when(on("21 Jan"), asked(Waive, "W-5", charge_id="LN-1:charge:9", reason="")).refused(Refusal.charge_unknown)


def test_what_was_paid_of_a_charge_that_is_given_up_is_held_for_what_is_due_next() -> None:
    """Rs. 236 levied, Rs. 100 of it paid: Rs. 136 are owed no more, Rs. 100 go into the instalment of 5 February."""
    story = given(a_loan_without_mandate()).when(on("20 Jan"), asked(LevyCharge, kind="visit", reason="at home"))
    story.when(on("20 Jan 12:00"), payment("100"))
    story.when(on("21 Jan"), asked(Waive, "W-1", charge_id="LN-1:charge:1", reason="")).then(
        a(ChargeWaived, paise="236", lines=lines(("charge", "LN-1:charge:1", "-100"), ("excess", "100"))),
        a(DelinquencyChanged, dpd=0),
    ).and_the_loan(charges="0", excess="100")
    story.when(on("5 Feb")).and_the_loan(payable="4,893", excess="0")


def test_a_part_that_is_given_up_comes_off_what_is_unpaid_first() -> None:
    story = given(a_loan_without_mandate()).when(on("20 Jan"), asked(LevyCharge, kind="visit", reason="at home"))
    story.when(on("20 Jan 12:00"), payment("100"))
    story.when(on("21 Jan"), asked(Waive, "W-1", charge_id="LN-1:charge:1", reason="", amount_paise=rupees("150")))
    story.and_the_loan(charges="0", excess="14")


def test_what_is_given_back_settles_what_is_overdue() -> None:
    story = given(a_loan_in_arrears()).when(on("22 Mar"), asked(LevyCharge, kind="visit", reason="at home"))
    story.when(on("22 Mar 11:00"), payment("10,222"))  # two instalments of 4,993 and the charge
    story.and_the_loan(payable="0")
    story.when(on("5 Apr")).when(on("6 Apr"), asked(Waive, "W-1", charge_id="LN-1:charge:1", reason=""))
    story.then(a(ChargeWaived, paise="236"), a(ExcessApplied, paise="236")).and_the_loan(payable="4,757")


def test_a_charge_of_a_loan_that_is_paid_off_goes_back_to_the_borrower() -> None:
    story = given(a_loan_at_its_last_row()).when(on("20 Jan"), asked(LevyCharge, kind="visit", reason="at home"))
    story.when(on("5 Feb"), payment("1,01,736")).and_the_loan(state="closed")
    story.when(on("9 Feb"), asked(Waive, "W-1", charge_id="LN-1:charge:1", reason="there was no visit")).then(
        a(ChargeWaived, paise="236", lines=lines(("charge", "LN-1:charge:1", "-236"), ("refund", "236"))),
        a(RefundInstructed, amount_paise="236"),
    )
    story.when(on("10 Feb"), asked(Waive, "W-2", charge_id="LN-1:charge:1", reason="")).refused(
        Refusal.amount_must_be_positive
    )
    story.when(on("11 Feb"), taken_back("P-1")).refused(Refusal.reversal_needs_a_person)


def test_hindsight_knows_what_was_given_back() -> None:
    """A part-prepayment of 10 January that is learnt after the waiver: the charge stays given up, its money held."""
    story = given(a_loan_without_mandate()).when(on("20 Jan"), asked(LevyCharge, kind="visit", reason="at home"))
    story.when(on("20 Jan 12:00"), payment("236"))
    story.when(on("21 Jan"), asked(Waive, "W-1", charge_id="LN-1:charge:1", reason=""))
    story.when(on("22 Jan"), payment("10,000", "P-2", value="10 Jan", intent="part-prepayment"))
    story.and_the_loan(charges="0", excess="236", principal="90,000")


def test_a_charge_for_paying_ahead_that_was_given_up_stays_so_in_hindsight() -> None:
    """2 % and GST come off what is paid ahead; given up, they are held, also when the books are folded anew."""
    story = given(a_loan_without_mandate(rules=COLLECTING, product=BY_THE_DAY.name))
    story.when(on("10 Jan"), payment("10,000", intent="part-prepayment"))
    story.when(on("11 Jan"), asked(Waive, charge_id="LN-1:charge:1", reason="goodwill"))
    [charge] = story.all(ChargeLevied)
    held = charge.amount_paise + charge.gst_paise
    assert story.the_loan.excess_paise == held
    story.when(on("15 Jan"), payment("5,000", "P-2", value="12 Jan", intent="part-prepayment"))
    first, second = story.the_loan.levied.values()
    assert (first.stands, story.the_loan.excess_paise) == (0, held)
    ahead = rupees("15,000") - held - second.stands
    assert story.the_loan.principal_paise == rupees("1,00,000") - ahead


def test_a_charge_is_due_on_the_day_that_is_named() -> None:
    levied = asked(LevyCharge, kind="visit", reason="at home", due_on=day("20 Feb"))
    story = given(a_loan()).when(on("20 Jan"), levied).then(a(ChargeLevied, due_on="20 Feb"))
    story.when(on("5 Feb 08:00"))
    assert story.all(DebitAttempted)[-1].amount_paise == rupees(EMI)  # before its day no debit asks for it
    story.when(on("6 Feb"), debit_succeeded()).when(on("21 Feb")).and_the_loan(dpd=1, payable="236")
    story.when(on("21 Feb"), asked(LevyCharge, "C-2", kind="visit", reason="", due_on=day("20 Feb"))).refused(
        Refusal.effective_date_not_ahead, "/due_on"
    )


def test_every_command_with_an_id_is_known_by_its_events() -> None:
    with_id = {kind for kind in DECIDE if "command_id" in kind.__dataclass_fields__}
    assert with_id - {*DOES} == {RetryPayout}  # which asks again as often as it is asked to
    assert {*DOES} <= with_id


def test_a_command_id_stands_for_one_command() -> None:
    story = given(a_loan_without_mandate()).when(on("20 Jan"), asked(LevyCharge, kind="visit", reason="at home"))
    story.when(on("21 Jan"), asked(PauseCollection, until=day("9 Feb"), reason="")).refused(
        Refusal.command_id_used_for_another, "/command_id", done="loan.charge-levied.v1", asked="PauseCollection"
    )
    pay = {"reference": "P-1", "method": "cash", "amount_paise": 100, "value_on": day("20 Jan")}
    story.when(on("22 Jan"), asked(ReceivePayment, **pay)).refused(Refusal.command_id_used_for_another)
    story.when(on("22 Jan"), asked(ReceivePayment, "C-2", **pay))
    story.when(on("23 Jan"), asked(ReceivePayment, "C-2", **pay)).repeated()
    story.when(on("23 Jan"), asked(ReceivePayment, "C-2", **{**pay, "reference": "P-2"})).refused(
        Refusal.command_id_used_for_another, done="loan.payment-received.v1"
    )


@pytest.mark.parametrize(
    "command",
    [
        asked(LevyCharge, kind="visit", reason=""),
        asked(Waive, charge_id="x", reason=""),
        asked(PauseCollection, until=day("9 Dec"), reason=""),
        asked(WriteOff, reason=""),
    ],
)
def test_only_a_live_loan_is_worked_on(command: Doing) -> None:
    given(a_loan_paid_out_by_us()).when(on("6 Jan"), command).refused(Refusal.loan_not_disbursed)
    given(a_closed_loan()).when(on("6 Feb"), command).refused(Refusal.loan_closed)
    given(a_loan_in_arrears()).when(on("30 Mar"), asked(WriteOff, "first", reason="gone")).when(
        on("31 Mar"), command
    ).refused(Refusal.loan_written_off_use_record_recovery)


def test_newer_facts_about_the_borrower_are_known_to_decisions_the_personal_ones_only_by_name() -> None:
    story = given(a_loan_without_mandate())
    story.when(on("20 Jan"), asked(UpdateBorrower, vaulted=("phone",), facts={"salary_day": 28})).then(
        BorrowerChanged(vaulted=["phone"], facts={"salary_day": 28}, command_id="C-1")
    )
    assert story.the_loan.salary_day == 28
    story.when(on("21 Jan"), asked(UpdateBorrower, vaulted=("phone",), facts={"salary_day": 28})).repeated()


# --- Written off ---------------------------------------------------------------------------------------------


def test_a_loan_that_is_written_off_names_what_was_given_up() -> None:
    story = given(a_loan_in_arrears(dpd=45)).when(on("22 Mar"), asked(WriteOff, reason="cannot be found"))
    story.then(
        WrittenOff(
            on="2026-03-22",
            principal_paise=rupees("1,00,000"),
            interest_paise=rupees("2,947.61"),
            charges_paise=0,
            reason="cannot be found",
            command_id="C-1",
        )
    ).and_the_loan(state="written_off", principal="0", payable="0", written_off="1,02,947.61", dpd=0)
    story.when(on("30 Dec")).then()


def test_money_after_the_write_off_is_a_recovery() -> None:
    story = given(a_loan_in_arrears(dpd=45)).when(on("22 Mar"), asked(WriteOff, reason="cannot be found"))
    story.when(on("1 Apr"), payment("700")).then(a(PaymentReceived, lines=lines(("recovery", "700"))))
    story.and_the_loan(received="700", state="written_off")
    story.when(on("2 Apr"), taken_back("P-1")).then(a(ReceiptReversed, lines=lines(("recovery", "-700"))))
    story.and_the_loan(received="0", state="written_off")


def test_a_debit_in_flight_at_the_write_off_still_counts() -> None:
    story = given(a_loan()).when(on("5 Feb 08:00"), asked(WriteOff, reason="fraud"))
    story.when(on("5 Feb 12:00"), debit_succeeded()).then(a(DebitSucceeded, lines=lines(("recovery", EMI))))
    assert [due.number for due in story.all(InstalmentDue)] == [1]


def test_terms_that_contradict_each_other_are_refused_before_they_are_stored() -> None:
    story = given(a_loan_without_mandate(terms={"interest_method": "flat"}))
    story.when(on("20 Jan"), restructure("20 Jan", instalment_paise=rupees("9,000"))).refused(
        Refusal.terms_invalid, "/instalment_fixed"
    )
