"""A product file: each setting reaches what it governs, has its default, and is refused by name when it cannot be."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from datetime import date, time
from decimal import Decimal
from importlib.resources import files
from typing import Any

import pytest

from domain.product import Charge, Product, ProductError, check
from domain.product_settings import DUE_KINDS, OF_A_LOAN, SETTINGS
from domain.setting import ANY, REQUIRED, json_schema
from domain.terms import term_defaults

LEAST = {"name": "gold-loan", "version": 1, "description": "A gold loan"}
SHIPPED = {
    item.name: tomllib.loads(item.read_text())
    for item in files("domain.products").iterdir()
    if item.name.endswith(".toml")
}


def with_setting(path: str, value: Any, base: dict[str, Any] = LEAST) -> dict[str, Any]:
    """The least product and one setting more."""
    *tables, last = path.split(".")
    data = here = dict(base)
    for table in tables:
        here[table] = dict(here.get(table, {}))
        here = here[table]
    here[last] = value
    return data


def problems_of(data: dict[str, Any]) -> list[str]:
    return [str(problem) for problem in check(data).reading.problems]


# --- Every setting -------------------------------------------------------------------------------------------

PENAL_FIRST = ["penal", "charge", "fee", "principal", "interest"]
RANKS = {kind: rank for rank, kind in enumerate(PENAL_FIRST)}
BUCKETS = [[0, "current"], [1, "1-7"], [8, "8-30"], [31, "31-60"], [61, "61-90"], [91, "91+"]]
CLASSES = [[0, "regular"], [1, "SMA-0"], [31, "SMA-1"], [61, "SMA-2"], [91, "NPA"]]

# path: a value other than the default, the attribute that it becomes, and what it is there
OTHER: dict[str, tuple[Any, str, Any]] = {
    "name": ("gold-loan-2", "name", "gold-loan-2"),
    "version": (2, "version", 2),
    "description": ("Gold", "description", "Gold"),
    "lender.kind": ("bank", "lender_kind", "bank"),
    "lender.name": ("Asha Finance", "lender_name", "Asha Finance"),
    "loan.purpose": ("business", "purpose", "business"),
    "loan.borrower": ("other", "borrower_kind", "other"),
    "loan.secured": (True, "secured", True),
    "booking.instalment_tolerance_paise": (0, "instalment_tolerance_paise", 0),
    "allocation.order": (PENAL_FIRST, "allocation_rank", RANKS),
    "allocation.npa_order": (PENAL_FIRST, "allocation_rank_npa", RANKS),
    "allocation.by": ("kind", "allocation_by", "kind"),
    "allocation.excess": ("prepay", "excess_use", "prepay"),
    "allocation.overdue_tolerance_paise": (0, "overdue_tolerance_paise", 0),
    "debits.automatic": (False, "debits_automatic", False),
    "debits.at": ("06:30", "debit_at", time(6, 30)),
    "debits.max_attempts": (2, "max_attempts", 2),
    "debits.rail_attempts": ({"card": 5}, "rail_attempts", {"upi": 4, "card": 5}),
    "debits.soft_retry_after_days": ([2], "soft_retry_after_days", (2,)),
    "debits.technical_retry_after_hours": ([1, 2], "technical_retry_after_hours", (1, 2)),
    "debits.retry": ("calendar", "retry", "calendar"),
    "debits.retry_at": (["09:30"], "retry_at", (time(9, 30),)),
    "debits.attempt_paise": (700, "attempt_paise", 700),
    "debits.explore_percent": (0, "explore_percent", 0),
    "debits.bounce_risk_percent": (70, "bounce_risk_percent", 70),
    "debits.bounce_risk_days": (3, "bounce_risk_days", 3),
    "debits.outcome_within_hours": (48, "outcome_within_hours", 48),
    "debits.window_days": (12, "window_days", 12),
    "debits.remind_days": (5, "remind_days", 5),
    "debits.notice_hours": ({"upi": 48}, "notice_hours", {"upi": 48, "card": 24, "enach": 24}),
    "mandates.check": (False, "mandate_check", False),
    "mandates.ready_days": (3, "mandate_ready_days", 3),
    "mandates.expiry_notice_days": ([45], "mandate_expiry_days", (45,)),
    "mandates.payment_link_days": (0, "link_days", 0),
    "routing.payout_gateways": ({"imps": ["one", "two"]}, "payout_gateways", {"imps": ("one", "two")}),
    "routing.gateways": ({"upi": ["one", "two"]}, "gateways", {"upi": ("one", "two")}),
    "routing.cost_paise": (
        {"upi": 0},
        "debit_cost_paise",
        {"enach": 500, "nach": 500, "upi": 0, "card": 1500},
    ),
    "routing.margin_percent": ("0.5", "routing_margin_percent", Decimal("0.5")),
    "charges.bounce.amount_paise": (45000, "charges", {"bounce": Charge("bounce", 45000, Decimal("18.00"))}),
    "charges.bounce.gst_percent": ("0.00", "charges", {"bounce": Charge("bounce", 0, Decimal("0.00"))}),
    "charges.penal.amount_paise": (30000, "charges", {"penal": Charge("penal", 30000, Decimal("0.00"))}),
    "charges.penal.percent_per_annum": ("24.00", "penal_percent", Decimal("24.00")),
    "prepayment.choice": ("reduce_emi", "prepayment_choice", "reduce_emi"),
    "prepayment.charge_percent": ("4.00", "prepayment_percent", Decimal("4.00")),
    "prepayment.gst_percent": ("5.00", "prepayment_gst_percent", Decimal("5.00")),
    "prepayment.minimum_paise": (100000, "prepayment_minimum_paise", 100000),
    "preclosure.charge_percent": ("2.00", "preclosure_percent", Decimal("2.00")),
    "preclosure.gst_percent": ("5.00", "preclosure_gst_percent", Decimal("5.00")),
    "preclosure.quote_valid_days": (7, "quote_valid_days", 7),
    "settlement.valid_days": (15, "settlement_valid_days", 15),
    "cooling_off.days": (1, "cooling_off_days", 1),
    "cooling_off.keeps_processing_fee": (True, "cooling_off_fee_kept", True),
    "cooling_off.short_days": (5, "cooling_off_short_days", 5),
    "rate_reset.option": ("higher_emi", "reset_option", "higher_emi"),
    "rate_reset.max_instalments": (360, "reset_max_instalments", 360),
    "rate_reset.fixed_switches": (0, "reset_fixed_switches", 0),
    "rate_reset.statement_months": (1, "statement_months", 1),
    "delinquency.buckets": (BUCKETS, "buckets", tuple(map(tuple, BUCKETS))),
    "delinquency.classes": (CLASSES, "classes", tuple(map(tuple, CLASSES))),
    "restructuring.schemes": (["RF-2.0"], "restructuring_schemes", ("RF-2.0",)),
    "restructuring.upgrade_after_months": (18, "restructured_months", 18),
    "restructuring.upgrade_repaid_percent": ("10.00", "restructured_repaid_percent", Decimal("10.00")),
    "restructuring.dpd": ("reset", "restructuring_dpd", "reset"),
    "accounting.accrual": ("none", "accrual", "none"),
    "accounting.provisions": ({"standard": "0.40"}, "provisions", {"standard": Decimal("0.40")}),
    "refunds.retry_after_hours": (12, "refund_retry_after_hours", 12),
    "refunds.max_attempts": (5, "refund_max_attempts", 5),
    "bureau.account_type": ("13", "bureau_account_type", "13"),
    "grievance.answer_within_days": (14, "grievance_days", 14),
}
# Those that mean something beside another only.
BESIDE_ANOTHER = ("loan.papers_held", "charges.penal.gst_percent", "charges.penal.grace_days")


@pytest.mark.parametrize("path", OTHER)
def test_each_setting_reaches_its_attribute_and_no_other(path: str) -> None:
    value, attribute, expected = OTHER[path]
    plain, changed = Product.parse(LEAST), Product.parse(with_setting(path, value))
    if attribute == "charges":
        expected = {**plain.charges, **expected}
    assert getattr(plain, attribute) != expected
    assert getattr(changed, attribute) == expected
    differ = {one.name for one in fields(Product) if getattr(plain, one.name) != getattr(changed, one.name)}
    assert differ - {attribute} <= ({"allocation_rank_npa"} if path == "allocation.order" else set())


def test_every_setting_is_tried() -> None:
    paths = {one.path for one in SETTINGS if ANY not in one.path and not one.path.startswith("terms.")}
    assert paths == set(OTHER) | set(BESIDE_ANOTHER)


def test_settings_that_go_with_another() -> None:
    held = Product.parse({**LEAST, "loan": {"secured": True, "papers_held": True}})
    assert held.papers_held
    penal = {"amount_paise": 50000, "grace_days": 3, "gst_percent": "0"}
    assert Product.parse({**LEAST, "charges": {"penal": penal}}).penal_grace_days == 3


def test_only_name_version_and_description_must_be_given() -> None:
    assert {one.path for one in SETTINGS if one.default is REQUIRED and ANY not in one.path} == set(LEAST)
    assert problems_of({}) == [
        "name: is missing. Give a name of lower-case letters, digits and hyphens.",
        "version: is missing. Give a whole number from 1 to 9999.",
        "description: is missing. Give one line that is not empty.",
    ]


def test_every_setting_is_explained_in_one_sentence() -> None:
    for setting in SETTINGS:
        assert re.fullmatch(r"[A-Z][^.]*(\d\.\d[^.]*)*\.", setting.says), setting.path
        assert re.fullmatch(r"(\d+(, \d+)*)?", setting.rule), setting.path


def test_an_npa_order_that_is_not_given_is_the_usual_one() -> None:
    assert Product.parse(LEAST).allocation_rank_npa == {kind: rank for rank, kind in enumerate(DUE_KINDS)}


def test_a_charge_may_have_any_name_and_bears_gst_unless_it_says_otherwise() -> None:
    product = Product.parse({**LEAST, "charges": {"visit": {"amount_paise": 20000}}})
    assert product.charges["visit"] == Charge("visit", 20000, Decimal("18.00"))
    assert problems_of({**LEAST, "charges": {"visit": {"gst_percent": "5.00"}}}) == [
        "charges.visit.amount_paise: is missing. Give a whole number of paise from 0 to 1000000000000.",
    ]


# --- Terms ---------------------------------------------------------------------------------------------------


def test_every_term_that_does_not_differ_from_loan_to_loan_may_have_a_default() -> None:
    paths = [one.path for one in SETTINGS if one.path.startswith("terms.")]
    assert paths == [f"terms.{name}" for name in term_defaults() if name not in OF_A_LOAN]


def test_terms_are_kept_as_they_are_given_and_nothing_is_added() -> None:
    assert Product.parse(with_setting("terms.frequency", "weekly")).terms == {"frequency": "weekly"}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("day_count", "30/365", "terms.day_count: must be one of 30/360, "),
        ("ratetype", "fixed", "terms.ratetype: is no setting. Did you mean terms.rate_type?"),
        ("first_due_on", "2026-02-05", "terms.first_due_on: is no setting. Give it with each loan, "),
        ("fees", [{"amount_paise": 1}], "terms.fees.0.kind: is missing. "),
        ("step_percent", 5.5, "terms.step_percent: must be a decimal string in percent"),
    ],
)
def test_a_term_that_cannot_be_is_refused_as_it_would_be_for_a_loan(name: str, value: Any, said: str) -> None:
    [problem] = problems_of(with_setting(f"terms.{name}", value))
    assert problem.startswith(said)


# --- Refused by name -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("charges.penal.gst", "18.00", "is no setting. Did you mean charges.penal.gst_percent?"),
        ("debits.max_attemts", 3, "is no setting. Did you mean debits.max_attempts?"),
        ("debit", {"at": "07:00"}, "is no setting. Did you mean [debits]?"),
        ("insurance", {"required": True}, "is no setting. Leave it out."),
        ("penal_percent", "24.00", "is no setting. Did you mean charges.penal.percent_per_annum?"),
        ("colour", "blue", "is no setting. Leave it out."),
        ("debits", 3, "is a table of settings, not 3. Write [debits]."),
        ("name", "Gold Loan", "is 'Gold Loan'. Give a name of lower-case letters, digits and hyphens."),
        ("version", 0, "must be from 1 to 9999, not 0. Give a whole number from 1 to 9999."),
        ("version", True, "must be a whole number, not True. Give a whole number from 1 to 9999."),
        ("description", "", "is ''. Give one line that is not empty."),
        ("lender.kind", "nbfc", "must be one of bank, "),
        ("loan.secured", "yes", "must be true or false, not 'yes'. Give true or false."),
        ("preclosure.charge_percent", 2.0, 'must be a decimal text such as "18.00", not 2.0. '),
        ("preclosure.charge_percent", "-2", "must be a decimal text such as \"18.00\", not '-2'. "),
        ("charges.bounce.gst_percent", "118.00", "must be from 0 to 40 percent, not 118.00. "),
        ("charges.visit.amount_paise", "200", "must be a whole number, not '200'. "),
        ("debits.at", "7 am", "must be an hour and minute such as \"07:00\", not '7 am'. "),
        ("debits.at", "24:00", "must be an hour and minute such as \"07:00\", not '24:00'. "),
        ("debits.soft_retry_after_days", [], "must have at least 1 of them, not 0. "),
        ("debits.soft_retry_after_days", 3, "must be a list, not 3. "),
        (
            "allocation.order",
            ["interest", "principal"],
            "must name each of interest, principal, fee, charge, penal once",
        ),
        ("allocation.order", [*DUE_KINDS, "fee"], "must name each of interest, principal, fee, charge, penal once"),
        ("allocation.npa_order", ["interest"], "must name each of interest, principal, fee, charge, penal once"),
        ("delinquency.buckets", [[1, "1-30"]], "must begin at day 0. "),
        ("delinquency.buckets", [[0, "a"], [31, "c"], [1, "b"]], "must ascend, not 0, 31, 1. "),
        ("delinquency.classes", [[0, "a"], [1, "a"]], "must not use a name twice. "),
    ],
)
def test_what_cannot_be_is_refused_with_its_path(path: str, value: Any, said: str) -> None:
    base = {**LEAST, "charges": {"visit": {"amount_paise": 1}}}
    [problem] = problems_of(with_setting(path, value, base))
    assert problem.startswith(f"{path}: {said}")


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("debits.notice_hours", {"rtgs": 24}, "debits.notice_hours.rtgs: is none of enach, nach, upi, card. "),
        ("debits.rail_attempts", {"upi": 0}, "debits.rail_attempts.upi: must be from 1 to 20, not 0. "),
        ("debits.soft_retry_after_days", [3, 0], "debits.soft_retry_after_days[1]: must be from 1 to 366, not 0. "),
        ("delinquency.buckets", [[0, "a"], [1]], "delinquency.buckets[1]: must be [first day, "),
        ("accounting.provisions", {"npa": "10.00"}, "accounting.provisions.npa: is none of standard, "),
        ("accounting.provisions", {"loss": 100}, "accounting.provisions.loss: must be a decimal text"),
    ],
)
def test_what_is_wrong_inside_a_value_is_named_with_its_place(path: str, value: Any, said: str) -> None:
    [problem] = problems_of(with_setting(path, value))
    assert problem.startswith(said)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ProductError) as refused:
        Product.parse({**LEAST, "version": 0, "colour": "blue", "debits": {"at": 7}})
    assert [problem.path for problem in refused.value.problems] == ["colour", "version", "debits.at"]


JUNK: list[Any] = [0, -1, 10**18, "", "x", "9" * 40, True, 1.5, float("nan"), [], [1], [[0]], [{}], {}, {"upi": {}}]
JUNK += [date(2026, 1, 5), time(7)]


@pytest.mark.parametrize("path", [one.path.replace(ANY, "visit") for one in SETTINGS])
def test_whatever_a_file_says_is_answered_and_never_breaks(path: str) -> None:
    for value in JUNK:
        answer = check(with_setting(path, value))
        assert (answer.product is None) == bool(answer.reading.problems)
        for problem in answer.reading.problems:
            assert re.split(r"[.[]", problem.path)[0] == path.split(".")[0]


# --- What is shipped, and its schema -------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_product_is_one_and_is_named_as_its_file(name: str) -> None:
    assert f"{Product.parse(SHIPPED[name]).name}.toml" == name


def test_the_home_loan_costs_nothing_to_pre_pay_and_its_papers_are_held() -> None:
    product = Product.parse(SHIPPED["home-loan.toml"])
    assert (product.prepayment_percent, product.preclosure_percent) == (0, 0)
    assert product.secured
    assert product.papers_held
    assert product.terms["rate_type"] == "floating"


def test_the_two_wheeler_loan_has_flat_interest_and_a_penal_charge_by_the_day() -> None:
    product = Product.parse(SHIPPED["two-wheeler-loan.toml"])
    assert (product.terms["interest_method"], product.penal_percent, product.penal_grace_days) == ("flat", 24, 3)
    assert product.charges["penal"] == Charge("penal", 0, Decimal("0.00"))


SCHEMA = json_schema(SETTINGS, "Qist product", "")


def breaches(schema: dict[str, Any], value: Any, at: str = "") -> list[str]:
    """What of JSON Schema our pages use: where a value does not follow it."""
    types = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}
    kinds = schema.get("type", [])
    allowed = tuple(types[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))
    if allowed and (not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed)):
        return [at]
    found: list[str] = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(at)
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        found.append(at)
    if isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        found.append(at)
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            found.append(at)
        for index, item in enumerate(value):
            parts = schema.get("prefixItems", [])
            found += breaches(parts[index] if index < len(parts) else schema.get("items", {}), item, f"{at}[{index}]")
    if isinstance(value, dict) and "properties" in schema:
        found += [f"{at}.{name}".lstrip(".") for name in schema.get("required", []) if name not in value]
        for name, item in value.items():
            inner = schema["properties"].get(name, schema["additionalProperties"])
            path = f"{at}.{name}".lstrip(".")
            found += [path] if inner is False else breaches(inner, item, path)
    return found


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_product_follows_the_schema(name: str) -> None:
    assert breaches(SCHEMA, SHIPPED[name]) == []


@pytest.mark.parametrize("path", OTHER)
def test_the_schema_takes_what_the_parser_takes(path: str) -> None:
    assert breaches(SCHEMA, with_setting(path, OTHER[path][0])) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("debits.max_attemts", 3),
        ("version", 0),
        ("name", "Gold Loan"),
        ("lender.kind", "nbfc"),
        ("loan.secured", "yes"),
        ("preclosure.charge_percent", 2.0),
        ("debits.at", "24:00"),
        ("debits.soft_retry_after_days", []),
        ("debits.notice_hours.rtgs", 24),
        ("charges.visit.amount_paise", "200"),
        ("allocation.order", ["interest"]),
        ("terms.day_count", "30/365"),
    ],
)
def test_the_schema_refuses_what_the_parser_refuses(path: str, value: Any) -> None:
    data = with_setting(path, value)
    assert breaches(SCHEMA, data) == [path]
    assert problems_of(data)


def test_a_default_of_the_schema_is_the_one_that_holds() -> None:
    told = check(LEAST).reading.told
    for path, one in told.items():
        here = SCHEMA
        for name in path.split("."):
            here = here["properties"][name]
        assert here.get("default") == (None if one.given else one.value), path
