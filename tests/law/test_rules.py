"""Servicing rules 20 to 35, each with dated cases on both sides of its boundary."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calendar import IST, day_start
from domain.failures import FailureCodes
from domain.law import bureau, classification, closing, contact, debits, disbursal, kfs, penal, prepayment, reset
from domain.law.bureau import Submission
from domain.law.contact import Caps, Hold
from domain.law.dated import NBFCS
from domain.law.provisions import credit_loss_stage, expected_credit_loss, provision_percent
from domain.law.workdays import after_working_days

LAKH = 1_00_000_00


def day(text: str) -> date:
    return date.fromisoformat(text)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=IST)


# --- 20 to 23: classification and provisions ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("due", "sma_1", "sma_2", "npa"),
    [
        ("2021-03-31", "2021-04-30", "2021-05-30", "2021-06-29"),  # RBI, 12 November 2021
        ("2021-12-01", "2021-12-31", "2022-01-30", "2022-03-01"),  # a lender's notice to borrowers
    ],
)
def test_rule_20_day_end_dates_come_out_as_printed(due: str, sma_1: str, sma_2: str, npa: str):
    assert classification.class_dates(day(due), "bank") == {
        "SMA-0": day(due),
        "SMA-1": day(sma_1),
        "SMA-2": day(sma_2),
        "NPA": day(npa),
    }


@pytest.mark.parametrize(
    ("dpd", "name"),
    [
        (0, "standard"),
        (1, "SMA-0"),
        (30, "SMA-0"),
        (31, "SMA-1"),
        (60, "SMA-1"),
        (61, "SMA-2"),
        (90, "SMA-2"),
        (91, "NPA"),
    ],
)
def test_rule_20_classes_by_days_past_due(dpd: int, name: str):
    assert classification.day_end_class(dpd, "bank", day("2026-05-01")).value == name


def test_rule_20_nothing_overdue_is_no_day_past_due():
    assert classification.days_past_due(None, day("2026-05-05")) == 0
    assert classification.days_past_due(day("2026-05-06"), day("2026-05-05")) == 0
    assert classification.days_past_due(day("2026-05-05"), day("2026-05-05")) == 1


@pytest.mark.parametrize(
    ("on", "last_day_before_npa"),
    [
        ("2024-03-30", 180),
        ("2024-03-31", 150),
        ("2025-03-30", 150),
        ("2025-03-31", 120),
        ("2026-03-30", 120),
        ("2026-03-31", 90),
    ],
)
def test_rule_20_base_layer_nbfcs_glide_to_ninety_days(on: str, last_day_before_npa: int):
    answers = [
        classification.day_end_class(dpd, "nbfc-base", day(on)).value
        for dpd in (last_day_before_npa, last_day_before_npa + 1)
    ]
    assert answers == ["SMA-2", "NPA"]
    assert classification.day_end_class(91, "nbfc-middle", day(on)).value == "NPA"


def test_rule_20_a_base_layer_loan_on_the_glide_path_is_npa_when_the_stricter_day_comes():
    # Due 1 December 2025: 121 days past due on 31 March 2026, the first day of the 90-day norm.
    dates = classification.class_dates(day("2025-12-01"), "nbfc-base")
    assert dates["NPA"] == day("2026-03-31")
    assert classification.npa_after_days("nbfc-base", day("2026-03-31")) == (90, "R6.7@2026-03-31")


def test_rule_21_upgrade_asks_for_all_arrears_at_nbfcs_since_october_2022():
    before, since = day("2022-09-30"), day("2022-10-01")
    below_threshold = {"arrears_paise": 500_00, "dpd": 40}
    assert classification.upgrade_allowed("nbfc-middle", before, **below_threshold).value is True
    assert classification.upgrade_allowed("nbfc-middle", since, **below_threshold) == (False, "R6.4n@2022-10-01")
    assert classification.upgrade_allowed("bank", before, **below_threshold).value is False
    assert classification.upgrade_allowed("bank", before, arrears_paise=0, dpd=0) == (True, "R6.4@2021-11-12")


def test_rule_22_restructuring_downgrades_at_once_and_an_npa_keeps_its_age():
    on = day("2026-05-01")
    assert classification.class_on_restructuring(None, on).value == ("sub-standard", on)
    assert classification.class_on_restructuring(day("2025-04-01"), on).value == ("doubtful-1", day("2025-04-01"))


def test_rule_22_a_restructured_loan_is_upgraded_after_a_year_and_at_banks_a_tenth_repaid():
    performing = {"arrears_paise": 0, "dpd": 0, "performing_since": day("2025-06-05")}
    early, late = day("2026-06-04"), day("2026-06-05")
    nbfc = [classification.upgrade_allowed("nbfc-middle", on, **performing).value for on in (early, late)]
    assert nbfc == [False, True]
    repaid = [Decimal("9.99"), Decimal(10)]
    bank = [classification.upgrade_allowed("bank", late, **performing, repaid_percent=part).value for part in repaid]
    assert bank == [False, True]


@pytest.mark.parametrize(
    ("on", "name"),
    [
        ("2023-07-31", "standard"),
        ("2023-08-01", "sub-standard"),
        ("2024-07-31", "sub-standard"),
        ("2024-08-01", "doubtful-1"),
        ("2025-07-31", "doubtful-1"),
        ("2025-08-01", "doubtful-2"),
        ("2027-07-31", "doubtful-2"),
        ("2027-08-01", "doubtful-3"),
    ],
)
def test_rule_22_ageing_of_an_npa_since_1_august_2023(on: str, name: str):
    assert classification.asset_class(day("2023-08-01"), day(on)).value == name


def test_rule_22_a_loss_is_one_from_the_day_it_is_identified():
    npa, identified = day("2023-08-01"), day("2023-11-05")
    names = [
        classification.asset_class(npa, on, loss_identified_on=identified).value
        for on in (identified - timedelta(days=1), identified)
    ]
    assert names == ["sub-standard", "loss"]
    assert classification.asset_class(None, day("2023-08-01")).value == "standard"


@pytest.mark.parametrize(
    ("security", "name"),
    [(50_00, "sub-standard"), (49_99, "doubtful-1"), (8_00, "doubtful-1"), (7_99, "loss")],
)
def test_rule_22_lost_security_speaks_before_age(security: int, name: str):
    assert classification.class_by_security(security, 100_00, 80_00).value == name


PROVISIONS = [
    ("standard", "0.40", "0.40", "0.40", "0.40"),
    ("sub-standard", "15", "25", "10", "10"),
    ("doubtful-1", "25", "100", "20", "100"),
    ("doubtful-2", "40", "100", "30", "100"),
    ("doubtful-3", "100", "100", "50", "100"),
    ("loss", "100", "100", "100", "100"),
]


@pytest.mark.parametrize(("name", "bank", "bank_unsecured", "nbfc", "nbfc_unsecured"), PROVISIONS)
def test_rule_23_provisions_of_banks_and_nbfcs_are_two_tables(name, bank, bank_unsecured, nbfc, nbfc_unsecured):
    on = day("2026-11-24")
    answers = [
        provision_percent(name, lender, secured, on).value
        for lender in ("bank", "nbfc-middle")
        for secured in (True, False)
    ]
    assert answers == [Decimal(percent) for percent in (bank, bank_unsecured, nbfc, nbfc_unsecured)]


def test_rule_23_standard_assets_by_layer_and_purpose():
    on = day("2026-11-24")
    assert provision_percent("standard", "nbfc-base", True, on).value == Decimal("0.25")
    kinds = [provision_percent("standard", "sfb", True, on, kind).value for kind in ("agri-or-sme", "cre", "cre-rh")]
    assert kinds == [Decimal("0.25"), Decimal(1), Decimal("0.75")]
    assert provision_percent("sub-standard", "sfb", True, on, "cre").value == Decimal(15)


def test_rule_23_no_table_no_percentage():
    assert provision_percent("standard", "nbfc-base", True, day("2022-09-30")) == (None, "")
    assert provision_percent("standard", "nbfc-base", True, day("2022-10-01")).rule == "R6.21a@2022-10-01"
    assert provision_percent("sub-standard", "hfc", True, day("2021-02-17")).value == Decimal(15)
    assert provision_percent("sub-standard", "hfc", True, day("2021-02-16")).value is None


def test_rule_23_expected_credit_loss_replaces_percentages_at_commercial_banks_from_april_2027():
    last, first = day("2027-03-31"), day("2027-04-01")
    assert provision_percent("sub-standard", "bank", True, last) == (Decimal(15), "R6.20a@2015-07-01")
    assert provision_percent("sub-standard", "bank", True, first) == (None, "R6.13@2027-04-01")
    assert provision_percent("sub-standard", "sfb", True, first).value == Decimal(15)
    assert expected_credit_loss("bank", last) is None
    loss = expected_credit_loss("bank", first)
    assert loss is not None
    assert (loss.value.least_loss_percent_secured, loss.value.least_loss_percent_unsecured) == (65, 70)
    assert loss.value.legacy_until == day("2030-03-31")
    stages = [
        credit_loss_stage(dpd, npa=False, revolving=revolving, lender="bank", on=first).value
        for dpd, revolving in ((30, False), (31, False), (60, True), (61, True))
    ]
    assert stages == [1, 2, 1, 2]
    assert credit_loss_stage(0, npa=True, revolving=False, lender="bank", on=first).value == 3


# --- 24 to 28: charges, interest, resets, digital loans -----------------------------------------------------


def barred(**changes) -> str:
    facts = {
        "sanctioned_on": day("2026-01-01"),
        "on": day("2026-06-01"),
        "rate_type_now": "floating",
        "purpose": "personal",
        "borrower_kind": "individual",
        "lender": "nbfc-base",
        "sanctioned_paise": 10 * LAKH,
    }
    rule = prepayment.prepayment_charge_barred(**{**facts, **changes})
    return rule.id if rule else ""


def test_rule_24_personal_floating_rate_loans_bear_no_prepayment_charge():
    assert barred() == "R4.1"
    assert barred(sanctioned_on=day("2025-12-31")) == "R4.6"
    assert barred(rate_type_now="fixed") == ""
    assert barred(borrower_kind="other") == ""


def test_rule_24_business_loans_by_lender_amount_and_day_of_sanction():
    business = {"purpose": "business", "lender": "bank", "sanctioned_paise": 500 * LAKH}
    assert barred(**business) == "R4.2a"
    assert barred(**business, borrower_kind="mse") == "R4.2a"
    assert barred(**business, sanctioned_on=day("2025-12-31")) == ""
    smaller = {"purpose": "business", "lender": "sfb"}
    assert barred(**smaller, sanctioned_paise=50 * LAKH) == "R4.2b"
    assert barred(**smaller, sanctioned_paise=50 * LAKH + 1) == ""
    assert barred(purpose="business", lender="nbfc-base", sanctioned_paise=LAKH) == ""


def test_rule_24_older_loans_by_the_circular_of_their_kind_of_lender():
    old = {"sanctioned_on": day("2013-01-01")}
    assert barred(**old, lender="bank", on=day("2014-05-06")) == ""
    assert barred(**old, lender="bank", on=day("2014-05-07")) == "R4.6"
    assert barred(**old, lender="nbfc-middle", on=day("2014-07-13")) == ""
    assert barred(**old, lender="nbfc-middle", on=day("2014-07-14")) == "R4.6"
    assert barred(**old, lender="hfc", on=day("2014-08-13")) == ""
    assert barred(**old, lender="hfc", on=day("2014-08-14")) == "R4.6"


def test_rule_24_nothing_is_charged_where_the_lender_asked_for_it():
    assert barred(rate_type_now="fixed", at_lenders_instance=True) == "R4.5"
    assert barred(rate_type_now="fixed", at_lenders_instance=True, sanctioned_on=day("2025-12-31")) == ""


def test_rule_25_a_penalty_is_a_charge_for_new_loans_since_april_and_all_since_june_2024():
    def rule_of(sanctioned: str, on: str, reviewed: str | None = None) -> str:
        rule = penal.penal_interest_barred(day(sanctioned), day(on), reviewed and day(reviewed))
        return rule.ref if rule else ""

    assert rule_of("2024-04-01", "2024-04-01") == "R3.1@2024-04-01"
    assert rule_of("2024-03-31", "2024-06-29") == ""
    assert rule_of("2024-03-31", "2024-06-29", reviewed="2024-05-10") == "R3.1@2024-04-01"
    assert rule_of("2024-03-31", "2024-05-09", reviewed="2024-05-10") == ""
    assert rule_of("2024-03-31", "2024-06-30") == "R3.1@2024-06-30"


def test_rule_25_penal_charges_bear_no_interest():
    new, on = day("2024-04-01"), day("2026-05-01")
    assert penal.bears_interest("penal", new, on) == (False, "R3.2@2024-04-01")
    assert penal.bears_interest("interest", new, on).value is True
    assert penal.bears_interest("penal", day("2024-03-31"), day("2024-06-29")).value is True


@pytest.mark.parametrize(
    ("kind", "on", "taxed"),
    [
        ("penal", "2024-03-31", False),
        ("penal", "2025-01-28", False),
        ("bounce", "2026-05-01", True),
        ("cheque-bounce", "2022-08-02", True),
        ("cheque-bounce", "2022-08-03", False),
        ("preclosure", "2026-05-01", True),
        ("processing", "2017-06-30", False),
        ("processing", "2017-07-01", True),
        ("interest", "2026-05-01", False),
    ],
)
def test_rule_25_gst_by_kind_of_charge_and_day(kind: str, on: str, taxed: bool):
    assert penal.gst_applies(kind, day(on)).value is taxed


def test_rule_26_interest_runs_from_the_payout():
    assert disbursal.interest_runs_from(day("2024-04-28")) == (day("2024-04-28"), "")
    assert disbursal.interest_runs_from(day("2024-04-29")) == (day("2024-04-29"), "R2.1@2024-04-29")


def test_rule_26_an_advance_instalment_bears_no_interest():
    advance = [disbursal.interest_bearing_paise(LAKH, 5_000_00, day(on)).value for on in ("2024-04-28", "2024-04-29")]
    assert advance == [LAKH, 95_000_00]


def test_rule_27_a_reset_offers_choices_to_new_loans_first():
    old, new = day("2023-08-17"), day("2023-08-18")
    assert reset.reset_options(old, day("2023-12-30")).value == ()
    assert "longer-tenor" in reset.reset_options(old, day("2023-12-31")).value
    assert "longer-tenor" in reset.reset_options(new, new).value


def test_rule_27_a_switch_to_fixed_is_the_lenders_choice_since_october_2025():
    loan = day("2024-01-01")
    offered = [
        "switch-to-fixed" in reset.reset_options(loan, day(on), fixed_by_policy=policy).value
        for on, policy in (("2025-09-30", False), ("2025-10-01", False), ("2025-10-01", True))
    ]
    assert offered == [True, False, True]


def test_rule_27_an_emi_covers_the_interest():
    covers = [reset.emi_covers_interest(emi, 10_000_00).value for emi in (10_000_00, 10_000_01)]
    assert covers == [False, True]


@pytest.mark.parametrize(
    ("after", "end"),
    [
        ("2026-01-01", "2026-03-31"),
        ("2026-03-30", "2026-03-31"),
        ("2026-03-31", "2026-06-30"),
        ("2026-12-31", "2027-03-31"),
        ("2023-06-29", None),
        ("2023-06-30", "2023-09-30"),
    ],
)
def test_rule_27_a_statement_every_quarter(after: str, end: str | None):
    assert reset.next_statement_on(day(after)).value == (end and day(end))


def test_rule_27_external_benchmarks_are_followed_every_three_months():
    months = [reset.reset_at_least_every_months("bank", day(on)).value for on in ("2019-09-30", "2019-10-01")]
    assert months == [None, 3]
    assert reset.reset_at_least_every_months("nbfc-upper", day("2026-01-01")).value is None


def test_rule_28_cooling_off_was_three_days_and_is_at_least_one():
    before, since = day("2025-05-07"), day("2025-05-08")
    assert [disbursal.cooling_off_minimum_days(days, before).value for days in (6, 7)] == [1, 3]
    assert [disbursal.cooling_off_minimum_days(days, since).value for days in (6, 7)] == [1, 1]
    assert disbursal.cooling_off_minimum_days(365, day("2022-09-01")) == (0, "")


def test_rule_28_giving_the_loan_back_costs_the_days_by_the_apr():
    # 1,00,000 x 18.25% x 2 / 365 = 100
    exit_paise = disbursal.cooling_off_exit_paise(LAKH, Decimal("18.25"), 2, day("2026-01-05"))
    assert exit_paise == (1_00_100_00, "R8.3@2025-05-08")


def test_rule_28_a_digital_loan_is_paid_to_the_borrower_not_through_a_service_provider():
    assert disbursal.payee_allowed("lsp", day("2022-09-01")).value is True
    assert disbursal.payee_allowed("lsp", day("2022-09-02")) == (False, "R8.1@2022-09-02")
    assert disbursal.payee_allowed("borrower", day("2026-01-05")) == (True, "R8.1@2025-05-08")


# --- 29, 34, 35: debits -------------------------------------------------------------------------------------


def test_rule_29_a_day_s_notice_on_cards_and_upi_and_none_by_law_on_nach():
    assert debits.notice_hours("card", day("2019-08-31")) == (0, "")
    assert debits.notice_hours("card", day("2019-09-01")).value == 24
    assert debits.notice_hours("upi", day("2026-04-20")).rule == "R12.3/upi@2020-01-10"
    assert debits.notice_hours("upi", day("2026-04-21")) == (24, "R12.3/upi@2026-04-21")
    assert debits.notice_at_most_hours("upi", day("2026-04-21")).value == 48
    assert debits.notice_hours("enach", day("2026-05-01")) == (0, "")


@pytest.mark.parametrize(
    ("wanted", "becomes"),
    [
        ("09:59:59", "09:59:59"),
        ("10:00:00", "13:00:00"),
        ("12:59:59", "13:00:00"),
        ("13:00:00", "13:00:00"),
        ("16:59:59", "16:59:59"),
        ("17:00:00", "21:30:00"),
        ("21:29:59", "21:30:00"),
        ("21:30:00", "21:30:00"),
    ],
)
def test_rule_29_upi_mandates_run_outside_peak_hours_since_august_2025(wanted: str, becomes: str):
    assert debits.outside_peak("upi", at(f"2025-08-01T{wanted}")).value == at(f"2025-08-01T{becomes}")
    assert debits.outside_peak("upi", at(f"2025-07-31T{wanted}")).value == at(f"2025-07-31T{wanted}")
    assert debits.outside_peak("enach", at(f"2025-08-01T{wanted}")).value == at(f"2025-08-01T{wanted}")


def test_rule_29_peak_hours_are_indian_whatever_the_instant_s_offset():
    noon_in_india = datetime(2026, 5, 5, 6, 30, tzinfo=UTC)
    assert debits.outside_peak("upi", noon_in_india).value.isoformat() == "2026-05-05T13:00:00+05:30"


@pytest.mark.parametrize(
    ("on", "purpose", "limit"),
    [
        ("2020-12-31", "loan-instalment", 2_000_00),
        ("2021-01-01", "loan-instalment", 5_000_00),
        ("2022-06-16", "loan-instalment", 15_000_00),
        ("2026-04-21", "loan-instalment", 15_000_00),
        ("2023-12-11", "insurance-premium", 15_000_00),
        ("2023-12-12", "insurance-premium", 1_00_000_00),
    ],
)
def test_rule_29_what_needs_no_pin(on: str, purpose, limit: int):
    assert debits.afa_free_limit_paise("upi", day(on), purpose).value == limit
    assert not debits.afa_needed("card", day(on), limit, purpose)
    assert debits.afa_needed("card", day(on), limit + 1, purpose)
    assert not debits.afa_needed("enach", day(on), 10 * LAKH, purpose)


def test_rule_29_a_mandate_costs_the_payer_nothing_under_the_framework():
    assert debits.mandate_fee_allowed("upi", day("2026-04-20")).value is True
    assert debits.mandate_fee_allowed("upi", day("2026-04-21")) == (False, "R13.6@2026-04-21")
    assert debits.mandate_fee_allowed("enach", day("2026-04-21")).value is True


def test_rule_34_nach_settles_on_a_sunday_since_august_2021_and_an_extension_is_pending():
    # Both days are holidays here, so that only the rule can make the second one settle.
    first_days = {"enach": "2021-08-01", "rtgs": "2020-12-14", "neft": "2019-12-16"}
    for rail, text in first_days.items():
        first = day(text)
        before = first - timedelta(days=1)
        assert [debits.settles_on(rail, on, {before, first}).value for on in (before, first)] == [False, True], rail
    assert debits.settles_on("upi", day("2021-07-25"))
    assert not debits.settles_on("cheque", day("2026-05-03"))
    row = {
        "rail": "NACH_DEBIT_RETURN",
        "code": "98",
        "class": "technical",
        "action": "wait",
        "meaning": "bank extension",
    }
    assert FailureCodes.of([{**row, "charge_bounce": "no"}]).diagnose("enach", "98").pending


def test_rule_35_upi_autopay_has_four_attempts_since_august_2025():
    assert debits.attempts_allowed("upi", day("2025-07-31")) == (None, "")
    assert debits.attempts_allowed("upi", day("2025-08-01")) == (4, "R13.2@2025-08-01")
    assert debits.attempts_allowed("enach", day("2026-05-01")).value is None


def test_rule_35_a_card_decline_of_the_first_category_is_never_tried_again():
    attempts = [debits.attempts_allowed("card", day("2026-05-01"), category).value for category in (1, 2, None)]
    assert attempts == [1, 21, 21]
    assert debits.attempts_allowed("card", day("2021-03-31")) == (None, "")
    assert debits.attempts_allowed("card", day("2021-04-01"), 1) == (1, "R13.3@2021-04-01")


# --- 30: contact --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "becomes"),
    [
        ("2026-05-05T07:59:59", "2026-05-05T08:00:00"),
        ("2026-05-05T08:00:00", "2026-05-05T08:00:00"),
        ("2026-05-05T18:59:59", "2026-05-05T18:59:59"),
        ("2026-05-05T19:00:00", "2026-05-06T08:00:00"),
        ("2022-08-11T22:00:00", "2022-08-11T22:00:00"),
        ("2022-08-12T22:00:00", "2022-08-13T08:00:00"),
    ],
)
def test_rule_30_contact_between_eight_and_nineteen_since_august_2022(wanted: str, becomes: str):
    assert contact.next_contact_moment(at(wanted)).value == at(becomes)


def test_rule_30_the_hours_are_those_of_the_borrower():
    dubai = timezone(timedelta(hours=4))
    moment = contact.next_contact_moment(at("2026-05-05T08:30:00"), dubai)
    assert moment == (datetime(2026, 5, 5, 8, 0, tzinfo=dubai), "R9.1@2022-08-12")


def test_rule_30_no_contact_during_a_hold():
    mourning = Hold("bereavement", day("2026-05-05"), day("2026-05-17"))
    flood = Hold("calamity", day("2026-05-18"), day("2026-05-20"))
    moment = contact.next_contact_moment(at("2026-05-05T11:00:00"), holds=(flood, mourning))
    assert moment.value == at("2026-05-21T08:00:00")


def test_rule_30_frequency_caps_a_day_and_a_week():
    today = [at("2026-05-05T09:00:00"), at("2026-05-05T10:00:00"), at("2026-05-05T11:00:00")]
    now = at("2026-05-05T12:00:00")
    assert contact.next_contact_moment(now, recent=today[:2]).value == now
    assert contact.next_contact_moment(now, recent=today).value == at("2026-05-06T08:00:00")
    weekly = Caps(per_day=3, per_week=3)
    # The first of the three is a week old at 9:00 on the 12th.
    assert contact.next_contact_moment(now, recent=today, caps=weekly).value == at("2026-05-12T09:00:00")


def test_rule_30_weddings_and_festivals_are_holds_by_law_from_2027():
    last, first = day("2026-12-31"), day("2027-01-01")
    assert contact.hold_reasons(last).value == {"bereavement", "calamity"}
    assert contact.hold_reasons(first).value >= {"wedding", "festival", "requested"}
    assert contact.people_to_contact(first).rule == "R9.2p@2027-01-01"
    assert "relative" not in contact.people_to_contact(first).value
    assert contact.contact_caps(first).value == Caps(per_day=3, per_week=10)


MOMENTS = st.builds(
    lambda on, second: day_start(on) + timedelta(seconds=second),
    st.dates(date(2023, 1, 1), date(2027, 12, 31)),
    st.integers(0, 24 * 60 * 60 - 1),
)


@given(MOMENTS, st.lists(MOMENTS, max_size=12), st.integers(0, 20))
def test_rule_30_the_moment_is_allowed_not_earlier_and_final(wanted: datetime, recent: list[datetime], held: int):
    holds = (Hold("bereavement", wanted.date(), wanted.date() + timedelta(days=held)),)
    moment = contact.next_contact_moment(wanted, holds=holds, recent=recent).value
    assert moment >= wanted
    assert 8 <= moment.hour < 19
    assert moment.date() > holds[0].until_on
    assert contact.next_contact_moment(moment, holds=holds, recent=recent).value == moment


@given(MOMENTS)
def test_rule_29_an_hour_outside_peak_stays(wanted: datetime):
    moment = debits.outside_peak("upi", wanted).value
    assert wanted <= moment <= wanted + timedelta(hours=4, minutes=30)
    assert debits.outside_peak("upi", moment).value == moment


# --- 31 to 33: papers, bureaus, grievances, the KFS as a gate ------------------------------------------------


def test_rule_31_papers_are_due_in_thirty_days_where_that_day_is_since_december_2023():
    assert closing.papers_due_by(day("2023-10-31")) == (None, "")
    assert closing.papers_due_by(day("2023-11-01")) == (day("2023-12-01"), "R10.1@2023-12-01")


def test_rule_31_a_grievance_is_answered_in_thirty_days():
    assert closing.answer_due_by(day("2021-11-11")) == (day("2021-12-11"), "")
    assert closing.answer_due_by(day("2021-11-12")) == (day("2021-12-12"), "R12.1@2021-11-12")


def test_rule_31_bureau_files_monthly_then_fortnightly_then_on_four_dates():
    assert bureau.submission_dates(2024, 12).value == (Submission(day("2024-12-31"), day("2025-01-10"), "full"),)
    assert bureau.submission_dates(2025, 1).value == (
        Submission(day("2025-01-15"), day("2025-01-22"), "full"),
        Submission(day("2025-01-31"), day("2025-02-07"), "full"),
    )
    assert len(bureau.submission_dates(2026, 6).value) == 2
    assert bureau.submission_dates(2026, 7) == (
        (
            Submission(day("2026-07-09"), day("2026-07-13"), "incremental"),
            Submission(day("2026-07-16"), day("2026-07-20"), "incremental"),
            Submission(day("2026-07-23"), day("2026-07-27"), "incremental"),
            Submission(day("2026-07-31"), day("2026-08-05"), "full"),
        ),
        "R11.2@2026-07-01",
    )
    assert bureau.submission_dates(2028, 2).value[-1] == Submission(day("2028-02-29"), day("2028-03-05"), "full")


def test_rule_31_the_next_bureau_file():
    assert bureau.next_submission(day("2026-06-30")).value == Submission(
        day("2026-07-09"), day("2026-07-13"), "incremental"
    )
    last = bureau.next_submission(day("2026-12-30")).value
    assert last == Submission(day("2026-12-31"), day("2027-01-05"), "full")


def test_rule_31_codes_are_unambiguous_and_a_special_mention_is_only_for_standard_loans():
    for name, codes in bureau.CODES.items():
        assert len(set(codes.values())) == len(codes), name
    assert bureau.asset_class_code("standard") == "01"
    assert bureau.asset_class_code("standard", "SMA-1") == "05"
    assert bureau.asset_class_code("sub-standard", "SMA-1") == "02"
    assert [bureau.asset_class_code(f"doubtful-{age}") for age in (1, 2, 3)] == ["03", "03", "03"]
    assert {bureau.STATUS[code] for code in ("00", "02", "03", "04")} == {
        "restructured",
        "written off",
        "settled",
        "settled after write-off",
    }


def test_rule_32_a_kfs_is_needed_for_loans_sanctioned_since_october_2024():
    assert kfs.kfs_required(day("2024-09-30")) is None
    required = kfs.kfs_required(day("2024-10-01"))
    assert required is not None
    assert required.id == "R1.1"


def test_rule_33_late_papers_cost_five_thousand_rupees_a_day():
    closed = day("2026-01-01")

    def owed(days: int, lost: bool = False) -> int:
        return closing.papers_compensation_paise(closed, closed + timedelta(days=days), lost).value

    assert [owed(30), owed(31), owed(40)] == [0, 5_000_00, 50_000_00]
    assert [owed(60, lost=True), owed(61, lost=True)] == [0, 5_000_00]
    assert closing.papers_compensation_paise(day("2023-10-31"), day("2024-06-01")) == (0, "")


@pytest.mark.parametrize(
    ("kind", "free_days"), [("upi", 1), ("imps", 1), ("upi-merchant", 5), ("nach-revoked-mandate", 1)]
)
def test_rule_33_failed_payments_cost_a_hundred_rupees_a_day_after_their_turnaround(kind, free_days: int):
    failed = day("2019-10-15")
    in_time = failed + timedelta(days=free_days)
    rule = f"R12.2/{kind}@2019-10-15"
    assert closing.turnaround_compensation_paise(kind, failed, in_time) == (0, rule)
    assert closing.turnaround_compensation_paise(kind, failed, in_time + timedelta(days=3)) == (300_00, rule)
    assert closing.turnaround_compensation_paise(kind, failed - timedelta(days=1), day("2019-12-01")) == (0, "")


def test_rule_33_a_late_bureau_correction_is_paid_by_who_was_late():
    raised = day("2026-03-01")

    def owed(resolved: int, sent: int | None) -> int:
        sent_on = None if sent is None else raised + timedelta(days=sent)
        return closing.bureau_compensation_paise(raised, raised + timedelta(days=resolved), sent_on).value

    assert [owed(30, None), owed(31, None), owed(35, 22)] == [0, 100_00, 500_00]
    assert owed(35, 21) == 0  # the bureau's
    assert closing.bureau_correction_due_by(raised).value == day("2026-03-22")
    assert closing.bureau_compensation_paise(day("2024-04-25"), day("2024-12-01"), None) == (0, "")
    assert closing.bureau_compensation_paise(day("2024-04-26"), day("2024-05-27"), None).value == 100_00


def test_rule_33_compensation_is_paid_in_five_working_days():
    # Resolved on Thursday 7 May 2026; 9 May is a second Saturday, 10 May a Sunday.
    assert closing.bureau_compensation_pay_by(day("2026-03-01"), day("2026-05-07")).value == day("2026-05-14")
    holidays = {day("2026-05-12")}
    assert closing.bureau_compensation_pay_by(day("2026-03-01"), day("2026-05-07"), holidays).value == day("2026-05-15")
    assert after_working_days(day("2026-05-01"), 1) == day("2026-05-02")  # a first Saturday


def test_lenders_of_a_kind_are_told_apart():
    assert frozenset({"nbfc-base", "nbfc-middle", "nbfc-upper"}) == NBFCS
