"""Provisions by asset class, and when expected credit loss takes their place (servicing rule 23)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Final, Literal

from domain.law.classification import AssetClass
from domain.law.dated import ALL_LENDERS, AnyRule, Confidence, DatedRule, Lender, Ruled, Table, by, in_force, table

__all__ = ["RULES", "CreditLoss", "StandardKind", "credit_loss_stage", "expected_credit_loss", "provision_percent"]

StandardKind = Literal["general", "agri-or-sme", "housing", "cre", "cre-rh"]
"""What a standard asset is lent for: CRE is commercial real estate, CRE-RH its residential housing."""

Percents = Mapping[tuple[AssetClass, bool], Decimal]
"""By asset class and whether the part is covered by security."""

BANKS: Final[frozenset[Lender]] = frozenset({"bank"})
OTHER_BANKS: Final[frozenset[Lender]] = frozenset({"sfb", "rrb", "ucb-tier3", "ucb-tier4", "cooperative", "aifi"})
BASE: Final[frozenset[Lender]] = frozenset({"nbfc-base"})
LARGER_NBFCS: Final[frozenset[Lender]] = frozenset({"nbfc-middle", "nbfc-upper"})
HFCS: Final[frozenset[Lender]] = frozenset({"hfc"})

ECL_SINCE: Final = date(2027, 4, 1)
BEFORE_ECL: Final = date(2027, 3, 31)
SINCE: Final = date(2015, 7, 1)
NBFC_SINCE: Final = date(2022, 10, 1)
REPORT: Final = "provisions report and its entries: `provisions.provision_percent`"


def _by_age(standard: str, sub: tuple[str, str], doubtful: tuple[str, str, str]) -> Percents:
    """What is not covered by security is provided for in full once it is doubtful; a loss in full anyhow."""
    hundred = Decimal(100)
    percents: dict[tuple[AssetClass, bool], Decimal] = {
        ("standard", True): Decimal(standard),
        ("standard", False): Decimal(standard),
        ("sub-standard", True): Decimal(sub[0]),
        ("sub-standard", False): Decimal(sub[1]),
        ("loss", True): hundred,
        ("loss", False): hundred,
    }
    ages: tuple[AssetClass, ...] = ("doubtful-1", "doubtful-2", "doubtful-3")
    for name, secured in zip(ages, doubtful, strict=True):
        percents[name, True] = Decimal(secured)
        percents[name, False] = hundred
    return percents


BANK_PERCENTS: Final = _by_age("0.40", ("15", "25"), ("25", "40", "100"))
BASE_PERCENTS: Final = _by_age("0.25", ("10", "10"), ("20", "30", "50"))
NBFC_PERCENTS: Final = _by_age("0.40", ("10", "10"), ("20", "30", "50"))
HFC_PERCENTS: Final = _by_age("0.40", ("15", "15"), ("25", "40", "100"))


def _provisions(
    rule: str,
    whose: str,
    lenders: frozenset[Lender],
    percents: Percents,
    confidence: Confidence,
    since: date,
    until: date | None = None,
) -> DatedRule[Percents]:
    sub, unsecured = percents["sub-standard", True], percents["sub-standard", False]
    ages = "/".join(str(percents[name, True]) for name in ("doubtful-1", "doubtful-2", "doubtful-3"))
    return DatedRule(
        id=rule,
        title=f"Provisions of {whose}",
        text=f"Standard {percents['standard', True]}%; sub-standard {sub}%, unsecured {unsecured}%; doubtful {ages}% "
        "of the secured part by age and 100% of the rest; loss 100%.",
        source="IRAC norms: RBI Directions of 28 November 2025 and the Master Circulars before them",
        confidence=confidence,
        valid_from=since,
        valid_until=until,
        lenders=lenders,
        value=percents,
        where=REPORT,
    )


PROVISIONS: Final[Table[Percents]] = table(
    _provisions("R6.20a", "commercial banks", BANKS, BANK_PERCENTS, "seen", SINCE, BEFORE_ECL),
    _provisions("R6.20b", "other banks", OTHER_BANKS, BANK_PERCENTS, "seen", SINCE),
    _provisions("R6.21a", "base-layer NBFCs", BASE, BASE_PERCENTS, "known", NBFC_SINCE),
    _provisions("R6.21b", "middle and upper layer NBFCs", LARGER_NBFCS, NBFC_PERCENTS, "seen", NBFC_SINCE),
    _provisions("R6.22", "housing finance companies", HFCS, HFC_PERCENTS, "known", date(2021, 2, 17)),
)

STANDARD_KINDS: Final[DatedRule[Mapping[StandardKind, Decimal]]] = DatedRule(
    id="R6.23",
    title="Standard assets of some purposes",
    text="Direct agriculture, small and micro enterprises and housing 0.25%, commercial real estate 1%, its "
    "residential housing 0.75%.",
    source="RBI Master Circular on IRAC norms; housing is known only",
    confidence="seen",
    valid_from=SINCE,
    lenders=ALL_LENDERS - BASE - LARGER_NBFCS,
    value={
        "agri-or-sme": Decimal("0.25"),
        "housing": Decimal("0.25"),
        "cre": Decimal(1),
        "cre-rh": Decimal("0.75"),
    },
    where=REPORT,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditLoss:
    """What expected credit loss brings: days past due presumed to be a significant rise of risk (`revolving` for
    revolving credit), least loss given default in percent, and until when older loans keep their way of recognising
    income."""

    stage_2_after_days: int
    stage_2_after_days_revolving: int
    least_loss_percent_secured: Decimal
    least_loss_percent_unsecured: Decimal
    legacy_until: date


ECL: Final[Table[CreditLoss]] = table(
    DatedRule(
        id="R6.13",
        title="Expected credit loss instead of fixed percentages",
        text="Commercial banks provide by stage: 1 (12 months' loss), 2 (risk has risen, presumed after 30 days past "
        "due, 60 for revolving credit; may be rebutted), 3 (NPA, whose norms stay), loss over the whole life. Without "
        "data of its own a bank takes a loss of 65% on secured and 70% on unsecured loans. Income by effective "
        "interest rate; loans from before by 31 March 2030. No percentage of the older tables decides any more.",
        source="RBI (Commercial Banks - Asset Classification, Provisioning and Income Recognition) Directions, 2026, "
        "27 April 2026",
        confidence="seen",
        valid_from=ECL_SINCE,
        lenders=BANKS,
        value=CreditLoss(
            stage_2_after_days=30,
            stage_2_after_days_revolving=60,
            least_loss_percent_secured=Decimal(65),
            least_loss_percent_unsecured=Decimal(70),
            legacy_until=date(2030, 3, 31),
        ),
        where="`provisions.expected_credit_loss`, `credit_loss_stage`; the loss itself is the bank's model",
    )
)


def expected_credit_loss(lender: Lender, on: date) -> DatedRule[CreditLoss] | None:
    """The rule of expected credit loss, where it holds; then `provision_percent` has no answer."""
    return in_force(ECL, on, lender)


@lru_cache(maxsize=1024)
def provision_percent(
    asset_class: AssetClass, lender: Lender, secured: bool, on: date, kind: StandardKind = "general"
) -> Ruled[Decimal | None]:
    """Percent to provide for the part of a loan that is (or is not) covered by security.

    None, with the rule of expected credit loss, where that holds, and with no rule where no table was in force. For
    `sub-standard`, `secured` says whether the loan as a whole was secured when it was given.
    """
    if loss := expected_credit_loss(lender, on):
        return by(loss, None)
    special = STANDARD_KINDS.value.get(kind) if asset_class == "standard" else None
    if special is not None and STANDARD_KINDS.holds(on, lender):
        return by(STANDARD_KINDS, special)
    rule = in_force(PROVISIONS, on, lender)
    return by(rule, rule.value[asset_class, secured] if rule else None)


def credit_loss_stage(dpd: int, *, npa: bool, revolving: bool, lender: Lender, on: date) -> Ruled[int | None]:
    """Stage 1, 2 or 3 by the days past due alone; None where expected credit loss does not hold."""
    rule = expected_credit_loss(lender, on)
    if rule is None:
        return by(None, None)
    after = rule.value.stage_2_after_days_revolving if revolving else rule.value.stage_2_after_days
    return by(rule, 3 if npa else 2 if dpd > after else 1)


RULES: Final[tuple[AnyRule, ...]] = (*PROVISIONS, STANDARD_KINDS, *ECL)
