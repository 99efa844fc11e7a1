"""A product: what the lender decided once for all loans of a kind, as read from its TOML file and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from decimal import Decimal
from typing import Any, cast

from domain.ensure import ensure
from domain.law.classification import AssetClass
from domain.law.dated import Lender
from domain.law.prepayment import BorrowerKind, Purpose
from domain.product_settings import GIVEN_ELSEWHERE, SETTINGS
from domain.setting import Problem, Reading, read


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge that the product may levy; penal ones bear no GST."""

    kind: str
    amount_paise: int
    gst_percent: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One version of a product; `product_settings.SETTINGS` says what each attribute means, in which unit."""

    name: str
    version: int
    description: str
    lender_kind: Lender
    lender_name: str
    purpose: Purpose
    borrower_kind: BorrowerKind
    secured: bool
    papers_held: bool
    terms: Mapping[str, Any]
    """Only those that the file gives, as JSON would have them: defaults for `Terms.parse`."""
    instalment_tolerance_paise: int
    allocation_rank: Mapping[str, int]
    allocation_rank_npa: Mapping[str, int]
    allocation_by: str
    excess_use: str
    overdue_tolerance_paise: int
    debits_automatic: bool
    """False: no debit is asked for, whatever the mandate allows; borrowers pay by themselves."""
    debit_at: time
    max_attempts: int
    rail_attempts: Mapping[str, int]
    soft_retry_after_days: tuple[int, ...]
    technical_retry_after_hours: tuple[int, ...]
    retry: str
    """`adaptive` or `calendar`."""
    retry_at: tuple[time, ...]
    attempt_paise: int
    explore_percent: int
    bounce_risk_percent: int
    bounce_risk_days: int
    outcome_within_hours: int
    window_days: int
    notice_hours: Mapping[str, int]
    remind_days: int
    mandate_check: bool
    mandate_ready_days: int
    mandate_expiry_days: tuple[int, ...]
    link_days: int
    gateways: Mapping[str, tuple[str, ...]]
    payout_gateways: Mapping[str, tuple[str, ...]]
    """By rail, besides the mandate's own."""
    debit_cost_paise: Mapping[str, int]
    routing_margin_percent: Decimal
    charges: Mapping[str, Charge]
    """By kind; bounce and penal are always there, with 0 paise where the file does not give them."""
    penal_percent: Decimal
    penal_grace_days: int
    prepayment_choice: str
    prepayment_percent: Decimal
    prepayment_gst_percent: Decimal
    prepayment_minimum_paise: int
    preclosure_percent: Decimal
    preclosure_gst_percent: Decimal
    quote_valid_days: int
    settlement_valid_days: int
    cooling_off_days: int
    cooling_off_fee_kept: bool
    cooling_off_short_days: int
    reset_option: str
    reset_max_instalments: int
    reset_fixed_switches: int
    statement_months: int
    buckets: tuple[tuple[int, str], ...]
    classes: tuple[tuple[int, str], ...]
    restructuring_schemes: tuple[str, ...]
    restructured_months: int
    restructured_repaid_percent: Decimal
    restructuring_dpd: str
    accrual: str
    provisions: Mapping[AssetClass, Decimal]
    """By asset class; those that are not named are as the law has them."""
    refund_retry_after_hours: int
    refund_max_attempts: int
    grievance_days: int
    bureau_account_type: str

    @property
    def thresholds(self) -> tuple[int, ...]:
        """Days past due on which a bucket or class begins, in order."""
        return tuple(sorted({first for first, _ in (*self.buckets, *self.classes) if first > 0}))

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Product:
        """From the TOML file's tables; raises `ProductError` with every problem that was found."""
        checked = check(data)
        if checked.product is None:
            raise ProductError(checked.reading.problems)
        return checked.product


class ProductError(Exception):
    """This file is no product; `problems` says why, each with its path and what to do."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


@dataclass(frozen=True, slots=True)
class Checked:
    """A file's settings explained and, when nothing is wrong with them, the product."""

    reading: Reading
    product: Product | None


def check(data: Mapping[str, Any]) -> Checked:
    """Read every setting, then look for contradictions among them; all problems are in the reading."""
    from domain.contradictions import contradictions  # late, because contradictions are about products

    reading = read(SETTINGS, data, GIVEN_ELSEWHERE)
    if reading.problems:
        return Checked(reading, None)
    product = _product(reading)
    reading.problems += contradictions(product)
    return Checked(reading, None if reading.problems else product)


def _product(reading: Reading) -> Product:
    """The settings as attributes; charges and terms, whose names are not fixed, as mappings."""
    values = reading.values
    own = {told.setting.attribute: values[path] for path, told in reading.told.items() if told.setting.attribute}
    own["allocation_rank_npa"] = own["allocation_rank_npa"] or own["allocation_rank"]
    kinds = [path.split(".")[1] for path in values if path.startswith("charges.") and path.endswith(".amount_paise")]
    return Product(
        **own,
        charges={
            kind: Charge(kind, values[f"charges.{kind}.amount_paise"], values[f"charges.{kind}.gst_percent"])
            for kind in kinds
        },
        terms={
            path.removeprefix("terms."): told.value
            for path, told in reading.told.items()
            if told.given and path.startswith("terms.")
        },
    )


def band(bands: tuple[tuple[int, str], ...], dpd: int) -> str:
    """The name of the last band whose first day is not after `dpd`."""
    return next(name for first, name in reversed(bands) if dpd >= first)


@dataclass(frozen=True, slots=True)
class Products:
    """The products that this house knows, by name and version; the newest is used for new loans."""

    by_version: Mapping[tuple[str, int], Product]

    def newest(self, name: str) -> Product | None:
        versions = [version for known, version in self.by_version if known == name]
        return self.by_version[name, max(versions)] if versions else None

    def of(self, name: str, version: int) -> Product:
        product = self.by_version.get((name, version))
        ensure(
            product is not None, "the file of a product stays while a loan lives under it", name=name, version=version
        )
        return cast("Product", product)
