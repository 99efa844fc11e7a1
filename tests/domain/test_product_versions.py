"""Products in use: every shipped one can be lived under, new loans take the newest version, old loans keep theirs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.house import ProductRefused, load_rules, load_shelf
from domain.decisions.rules import Rules
from domain.ensure import InvariantBroken
from domain.events import ChargeLevied, EmiScheduled, InstalmentDue, LoanBooked
from domain.product import Product, Products
from tests.examples import a_loan, a_loan_without_mandate
from tests.stories import debit_failed, given, on

PLAIN = 'name = "gold-loan"\nversion = 1\ndescription = "A gold loan"\n'


def with_versions(*others: Product) -> Rules:
    """The house's rules, with these products too."""
    rules = load_rules()
    return replace(
        rules,
        products=Products({**rules.products.by_version, **{(one.name, one.version): one for one in others}}),
    )


def personal_loan(version: int, **changed: Any) -> Product:
    """Another version of the personal loan, with something changed."""
    return replace(load_rules().products.of("personal-loan", 1), version=version, **changed)


def test_new_loans_are_booked_under_the_newest_version_whatever_the_order_of_files() -> None:
    for versions in ((2, 10), (10, 2)):
        rules = with_versions(*(personal_loan(version) for version in versions))
        assert rules.products.newest("personal-loan") == personal_loan(10)
        [booked] = given(a_loan(rules=rules)).all(LoanBooked)
        assert booked.product_version == 10


def test_a_loan_keeps_the_version_that_it_was_booked_under() -> None:
    story = a_loan()
    dearer = replace(load_rules().products.of("personal-loan", 1).charges["bounce"], amount_paise=900_00)
    charges = {**load_rules().products.of("personal-loan", 1).charges, "bounce": dearer}
    story.rules = with_versions(personal_loan(2, charges=charges))
    story.when(on("5 Feb 9:00")).when(on("5 Feb 12:00"), debit_failed())
    assert [charge.amount_paise for charge in story.all(ChargeLevied)] == [500_00]

    newer = a_loan(rules=story.rules).when(on("5 Feb 9:00")).when(on("5 Feb 12:00"), debit_failed())
    assert [charge.amount_paise for charge in newer.all(ChargeLevied)] == [900_00]


def test_a_loan_whose_products_file_is_gone_is_a_defect_with_a_name() -> None:
    with pytest.raises(InvariantBroken, match="the file of a product stays while a loan lives under it"):
        load_rules().products.of("personal-loan", 7)


def test_a_name_that_has_no_version_is_no_product() -> None:
    assert load_rules().products.newest("gold-loan") is None


@pytest.mark.parametrize(
    ("product", "rate", "months", "instalment", "first_interest"),
    [
        ("personal-loan", "18 %", 24, 4_993_00, 1_500_00),
        # 1,00,000 at 12 % flat for 2 years is 24,000 of interest: 1,24,000 / 24, up to a whole rupee.
        ("two-wheeler-loan", "12 %", 24, 5_167_00, 1_000_00),
        # The first 31 days of ACT/365: 1,00,000 x 8.5 % x 31 / 365. By 30/360 the instalment would be 867.82, that is
        # 868; leap years have a day more than 365, which makes it 868.2 and rounds it up to 869.
        ("home-loan", "8.5 %", 240, 869_00, 721_92),
    ],
)
def test_a_loan_can_be_booked_under_each_shipped_product_and_falls_due(
    product: str, rate: str, months: int, instalment: int, first_interest: int
) -> None:
    story = a_loan_without_mandate(product=product, rate=rate, months=months).when(on("6 Feb"))
    [scheduled] = story.all(EmiScheduled)
    [due] = story.all(InstalmentDue)
    assert (scheduled.instalment_paise, due.interest_paise) == (instalment, first_interest)
    assert due.principal_paise + due.interest_paise == instalment
    story.and_the_loan(state="active", dpd=1)


def test_a_home_loan_may_be_paid_out_in_tranches_and_begin_with_interest_alone() -> None:
    terms = {
        "moratorium_instalments": 3,
        "tranches": [{"on": "2026-03-10", "amount_paise": 50_000_00}],
    }
    story = a_loan_without_mandate(product="home-loan", rate="8.5 %", months=240, terms=terms).when(on("6 Feb"))
    [due] = story.all(InstalmentDue)
    assert (due.principal_paise, due.interest_paise) == (0, 721_92)


# --- A lender's own folder -----------------------------------------------------------------------------------


def test_a_lenders_own_products_stand_beside_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "gold.toml").write_text(PLAIN)
    (tmp_path / "gold-2.toml").write_text(PLAIN.replace("version = 1", "version = 2"))
    products = load_rules(tmp_path).products
    assert products.newest("gold-loan") == products.of("gold-loan", 2)
    assert products.newest("home-loan") == load_rules().products.newest("home-loan")


def test_two_files_with_the_same_name_and_version_must_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(PLAIN)
    (tmp_path / "b.toml").write_text("# the same, in other words\n" + PLAIN + "cooling_off.days = 3\n")
    assert ("gold-loan", 1) in load_shelf(tmp_path)
    (tmp_path / "b.toml").write_text(PLAIN + "cooling_off.days = 5\n")
    with pytest.raises(ProductRefused) as refused:
        load_shelf(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path}/b.toml: version: is 1, but {tmp_path}/a.toml has other settings for gold-loan version 1. "
        "Give what has changed a new version: loans keep the one that they were booked under."
    )


def test_a_shipped_product_cannot_be_changed_without_a_new_version(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(PLAIN.replace("gold-loan", "personal-loan"))
    with pytest.raises(ProductRefused, match=r"domain/products/personal-loan\.toml has other settings"):
        load_shelf(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: gold", "gold.toml: this is not TOML: "),
        (PLAIN + "cooling_off.days = 0\n", "gold.toml: cooling_off.days: is 0, but the borrower has 1 day or more"),
    ],
)
def test_a_file_that_is_no_product_is_named_with_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "gold.toml").write_text(text)
    with pytest.raises(ProductRefused) as refused:
        load_shelf(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path}/{said}")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProductRefused, match="nowhere: is no folder; QIST_PRODUCTS_DIR names"):
        load_shelf(tmp_path / "nowhere")
