"""A product's rules: what the lender decided once for all loans of a kind, as read from its TOML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from decimal import Decimal
from typing import Any

from domain.ensure import ensure

DUE_KINDS = ("interest", "principal", "fee", "charge", "penal")


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge that the product may levy; penal ones bear no GST."""

    kind: str
    amount_paise: int
    gst_percent: Decimal


@dataclass(frozen=True, slots=True)
class Product:
    """One version of a product. Amounts in paise, rates in percent, days and hours as named."""

    name: str
    version: int
    description: str
    terms: Mapping[str, Any]
    instalment_tolerance_paise: int
    allocation_rank: Mapping[str, int]
    overdue_tolerance_paise: int
    debit_at: time
    max_attempts: int
    soft_retry_after_days: tuple[int, ...]
    technical_retry_after_hours: tuple[int, ...]
    outcome_within_hours: int
    window_days: int
    notice_hours: Mapping[str, int]
    charges: Mapping[str, Charge]
    preclosure_percent: Decimal
    preclosure_gst_percent: Decimal
    quote_valid_days: int
    buckets: tuple[tuple[int, str], ...]
    classes: tuple[tuple[int, str], ...]
    allocation_rank_npa: Mapping[str, int]
    lender_kind: str = "nbfc-middle"
    lender_name: str = ""
    purpose: str = "personal"
    borrower_kind: str = "individual"
    secured: bool = False
    papers_held: bool = False
    allocation_by: str = "instalment"
    excess_use: str = "hold"
    prepayment_choice: str = "reduce_tenure"
    prepayment_percent: Decimal = Decimal("0.00")
    prepayment_gst_percent: Decimal = Decimal("18.00")
    prepayment_minimum_paise: int = 0
    penal_percent: Decimal = Decimal("0.00")
    penal_grace_days: int = 0
    restructuring_schemes: tuple[str, ...] = ()
    restructured_months: int = 12
    restructured_repaid_percent: Decimal = Decimal("0.00")
    restructuring_dpd: str = "keep"
    reset_option: str = "longer_tenure"
    reset_max_instalments: int = 0
    reset_fixed_switches: int = 1
    statement_months: int = 3
    cooling_off_days: int = 3
    cooling_off_fee_kept: bool = False
    settlement_valid_days: int = 30
    accrual: str = "month_end"
    provisions: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    grievance_days: int = 30
    refund_retry_after_hours: int = 24
    refund_max_attempts: int = 3
    mandate_check: bool = True
    contact_from: time = time(8)
    contact_until: time = time(19)
    rail_attempts: Mapping[str, int] = field(default_factory=lambda: {"upi": 4})
    debits_automatic: bool = True
    """False: no debit is asked for, whatever the mandate allows; borrowers pay by themselves."""

    @property
    def thresholds(self) -> tuple[int, ...]:
        """Days past due on which a bucket or class begins, in order."""
        return tuple(sorted({first for first, _ in (*self.buckets, *self.classes) if first > 0}))

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Product:
        """From the TOML file's tables; a missing setting is a KeyError that names it."""
        order = data["allocation"]["order"]
        ensure(sorted(order) == sorted(DUE_KINDS), "the waterfall names each kind of due once", order=order)
        debits, preclosure, delinquency = data["debits"], data["preclosure"], data["delinquency"]
        hour, minute = debits["at"].split(":")
        return cls(
            name=data["name"],
            version=data["version"],
            description=data["description"],
            terms=data["terms"],
            instalment_tolerance_paise=data["booking"]["instalment_tolerance_paise"],
            allocation_rank={kind: rank for rank, kind in enumerate(order)},
            overdue_tolerance_paise=data["allocation"]["overdue_tolerance_paise"],
            debit_at=time(int(hour), int(minute)),
            max_attempts=debits["max_attempts"],
            soft_retry_after_days=tuple(debits["soft_retry_after_days"]),
            technical_retry_after_hours=tuple(debits["technical_retry_after_hours"]),
            outcome_within_hours=debits["outcome_within_hours"],
            window_days=debits["window_days"],
            debits_automatic=debits.get("automatic", True),
            notice_hours=debits["notice_hours"],
            charges={
                kind: Charge(kind, charge["amount_paise"], Decimal(charge["gst_percent"]))
                for kind, charge in data["charges"].items()
            },
            preclosure_percent=Decimal(preclosure["charge_percent"]),
            preclosure_gst_percent=Decimal(preclosure["gst_percent"]),
            quote_valid_days=preclosure["quote_valid_days"],
            buckets=tuple((days, name) for days, name in delinquency["buckets"]),
            classes=tuple((days, name) for days, name in delinquency["classes"]),
            allocation_rank_npa={kind: rank for rank, kind in enumerate(order)},
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
        return self.by_version[name, version]
