"""Pre-payment charges: when the law bars them (servicing rule 24)."""

from __future__ import annotations

from datetime import date
from typing import Final, Literal

from domain.law.dated import ALL_LENDERS, NBFCS, AnyRule, Confidence, DatedRule, Lender, Table, in_force, table
from domain.money import Paise

__all__ = ["RULES", "BorrowerKind", "Purpose", "prepayment_charge_barred"]

Purpose = Literal["personal", "business"]
BorrowerKind = Literal["individual", "mse", "other"]

DIRECTIONS: Final = "RBI (Pre-payment Charges on Loans) Directions, 2025, 2 July 2025"
FROM: Final = date(2026, 1, 1)
QUOTE: Final = "pre-closure quote and part-prepayment: `prepayment.prepayment_charge_barred`"

LARGER: Final[frozenset[Lender]] = frozenset({"bank", "ucb-tier4", "nbfc-upper", "aifi"})
# A housing finance company is never below the middle layer (scale-based regulation, October 2021).
SMALLER: Final[frozenset[Lender]] = frozenset({"sfb", "rrb", "ucb-tier3", "cooperative", "nbfc-middle", "hfc"})

PERSONAL: Final[Table[None]] = table(
    DatedRule(
        id="R4.1",
        title="No charge on personal floating-rate loans",
        text="No pre-payment charge on a floating-rate loan to an individual for other than business, with or without "
        "co-obligants, by any lender.",
        source=DIRECTIONS,
        confidence="seen",
        valid_from=FROM,
        counted_by="sanction",
        value=None,
        where=QUOTE,
    )
)

BUSINESS: Final[Table[Paise | None]] = table(
    DatedRule(
        id="R4.2a",
        title="No charge on business floating-rate loans of the larger lenders",
        text="No pre-payment charge on a floating-rate business loan to an individual or a micro or small enterprise, "
        "of any amount.",
        source=DIRECTIONS,
        confidence="seen",
        valid_from=FROM,
        lenders=LARGER,
        counted_by="sanction",
        value=None,
        where=QUOTE,
    ),
    DatedRule(
        id="R4.2b",
        title="No charge on business floating-rate loans up to Rs. 50 lakh of smaller lenders",
        text="No pre-payment charge on a floating-rate business loan to an individual or a micro or small enterprise, "
        "where not more than Rs. 50 lakh was sanctioned.",
        source=DIRECTIONS + "; that housing finance companies count as middle layer is our reading",
        confidence="seen",
        valid_from=FROM,
        lenders=SMALLER,
        counted_by="sanction",
        value=50_00_000_00,
        where=QUOTE,
    ),
)

AT_LENDERS_INSTANCE: Final[Table[None]] = table(
    DatedRule(
        id="R4.5",
        title="Nothing undisclosed, nothing afterwards, nothing at the lender's own instance",
        text="A pre-payment charge must stand in sanction letter, agreement and KFS; none may be brought in later or "
        "revived after a waiver; none is due where the lender itself asks for the pre-payment.",
        source=DIRECTIONS,
        confidence="known",
        valid_from=FROM,
        counted_by="sanction",
        value=None,
        where=QUOTE + "; what is undisclosed is refused by `kfs.charge_is_shown`",
    )
)


def _before_2026(lenders: frozenset[Lender], since: date, source: str, confidence: Confidence) -> DatedRule[None]:
    return DatedRule(
        id="R4.6",
        title="No charge on personal floating-rate term loans, older loans",
        text="No pre-payment charge on a floating-rate term loan to an individual for other than business; for loans "
        "sanctioned before 1 January 2026 this still is the rule.",
        source=source,
        confidence=confidence,
        valid_from=since,
        lenders=lenders,
        value=None,
        where=QUOTE,
    )


OLDER: Final[Table[None]] = table(
    _before_2026(
        ALL_LENDERS - NBFCS - {"hfc"},
        date(2014, 5, 7),
        "DBOD.Dir.BC.No.110/13.03.00/2013-14 of 7 May 2014, clarified 2 August 2019; read for banks, taken for the "
        "others",
        "seen",
    ),
    _before_2026(NBFCS, date(2014, 7, 14), "DNBS(PD).CC.No.399/03.10.42/2014-15, clarified 2 August 2019", "seen"),
    _before_2026(frozenset({"hfc"}), date(2014, 8, 14), "National Housing Bank circular of August 2014", "known"),
)

STATEMENTS: Final[Table[None]] = (
    DatedRule(
        id="R4.3",
        title="Part or whole, no lock-in",
        text="Pre-payment in part or in whole, from any source of money, at any time. Of a dual-rate loan it counts "
        "whether the rate is floating when it is pre-paid.",
        source=DIRECTIONS,
        confidence="seen",
        valid_from=FROM,
        counted_by="sanction",
        value=None,
        where="no setting for a lock-in exists; `rate_type_now` is asked for on the day",
    ),
    DatedRule(
        id="R4.4",
        title="Where a charge is allowed",
        text="By the lender's policy; for a term loan on the amount pre-paid only.",
        source=DIRECTIONS,
        confidence="known",
        valid_from=FROM,
        counted_by="sanction",
        value=None,
        where="pre-closure quote and part-prepayment",
    ),
)


def prepayment_charge_barred(
    *,
    sanctioned_on: date,
    on: date,
    rate_type_now: str,
    purpose: Purpose,
    borrower_kind: BorrowerKind,
    lender: Lender,
    sanctioned_paise: Paise,
    at_lenders_instance: bool = False,
) -> AnyRule | None:
    """The rule that bars a charge on a pre-payment made `on` a day, or None where the product's charge stands.

    `sanctioned_on` is the day of sanction or of the last renewal; the rate counts as it is at pre-payment.
    """
    if at_lenders_instance and (rule := in_force(AT_LENDERS_INSTANCE, sanctioned_on, lender)):
        return rule
    if rate_type_now != "floating" or borrower_kind == "other":
        return None
    if borrower_kind == "individual" and purpose == "personal":
        return in_force(PERSONAL, sanctioned_on, lender) or in_force(OLDER, on, lender)
    business = in_force(BUSINESS, sanctioned_on, lender)
    if business and (business.value is None or sanctioned_paise <= business.value):
        return business
    return None


RULES: Final[tuple[AnyRule, ...]] = (*PERSONAL, *BUSINESS, *STATEMENTS, *AT_LENDERS_INSTANCE, *OLDER)
