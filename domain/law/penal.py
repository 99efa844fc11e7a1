"""Penal charges and tax: a penalty is a charge, never interest; which charges bear GST (servicing rule 25)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

from domain.law.dated import AnyRule, DatedRule, Ruled, Table, by, in_force, ruled, table

__all__ = ["RULES", "bears_interest", "gst_applies", "penal_interest_barred"]

CIRCULAR: Final = "RBI/2023-24/53, DoR.MCS.REC.28/01.01.001/2023-24, 18 August 2023, deferred 29 December 2023"
NEW_LOANS: Final = date(2024, 4, 1)
EXISTING_LOANS: Final = date(2024, 6, 30)
CHARGES: Final = "levying of charges"

# (new or reviewed since 1 April 2024, all the others at the latest)
CHARGE_NOT_INTEREST: Final[tuple[DatedRule[None], DatedRule[None]]] = (
    DatedRule(
        id="R3.1",
        title="A penalty is a charge, never interest",
        text="Default costs a penal charge; nothing is added to the rate of interest.",
        source=CIRCULAR,
        confidence="seen",
        valid_from=NEW_LOANS,
        counted_by="sanction",
        value=None,
        where="`penal.penal_interest_barred`; a rate never follows from a default",
    ),
    DatedRule(
        id="R3.1",
        title="A penalty is a charge, never interest: existing loans",
        text="Loans from before 1 April 2024 come under the rule at their next review, on 30 June 2024 at the latest.",
        source=CIRCULAR,
        confidence="seen",
        valid_from=EXISTING_LOANS,
        value=None,
        where="`penal.penal_interest_barred`",
    ),
)
NO_CAPITALISATION: Final[DatedRule[frozenset[str]]] = DatedRule(
    id="R3.2",
    title="No interest on penal charges",
    text="Penal charges are not capitalised, and neither interest nor a further charge is computed on them. Unpaid "
    "interest compounds as agreed.",
    source=CIRCULAR,
    confidence="seen",
    valid_from=NEW_LOANS,
    counted_by="sanction",
    value=frozenset({"penal"}),
    where="`penal.bears_interest`; capitalising arrears leaves penal charges out",
)


def penal_interest_barred(sanctioned_on: date, on: date, reviewed_on: date | None = None) -> DatedRule[None] | None:
    """The rule that makes a default cost a charge instead of a higher rate, None before it came.

    A loan from before it comes under it when it is reviewed or renewed (`reviewed_on`), at the latest on 30 June 2024.
    """
    new, existing = CHARGE_NOT_INTEREST
    begun = max(sanctioned_on, reviewed_on or sanctioned_on)
    if begun <= on and in_force((new,), begun):
        return new
    return in_force((existing,), on)


def bears_interest(due_kind: str, sanctioned_on: date, on: date, reviewed_on: date | None = None) -> Ruled[bool]:
    """Whether interest or a further charge may be computed on an unpaid due of that kind (`penal`, `interest` ...)."""
    if due_kind in NO_CAPITALISATION.value and penal_interest_barred(sanctioned_on, on, reviewed_on):
        return by(NO_CAPITALISATION, False)
    return by(None, True)


# --- GST by kind of charge ----------------------------------------------------------------------------------

GST_SINCE: Final = date(2017, 7, 1)

SERVICES: Final[Table[bool]] = table(
    DatedRule(
        id="R3.7",
        title="Fees and service charges bear GST",
        text="Processing, documents, statements, visits, pre-payment and every other service bear GST (18%).",
        source="CGST Act, 2017; rate notification 11/2017",
        confidence="known",
        valid_from=GST_SINCE,
        value=True,
        where=f"{CHARGES}: `penal.gst_applies`",
    )
)

BY_KIND: Final[Mapping[str, Table[bool]]] = {
    "interest": table(
        DatedRule(
            id="R3.7b",
            title="Interest bears no GST",
            text="Interest on a loan is exempt.",
            source="Notification 12/2017-Central Tax (Rate), entry 27",
            confidence="known",
            valid_from=GST_SINCE,
            value=False,
            where=f"{CHARGES}: `penal.gst_applies`",
        )
    ),
    "penal": table(
        DatedRule(
            id="R3.6",
            title="Penal interest bears no GST",
            text="Additional interest for default was part of the exempt interest.",
            source="CBIC Circular 102/21/2019-GST of 28 June 2019",
            confidence="known",
            valid_from=GST_SINCE,
            valid_until=date(2024, 3, 31),
            value=False,
            where=f"{CHARGES}: `penal.gst_applies`",
        ),
        DatedRule(
            id="R3.6",
            title="Penal charges bear no GST",
            text="None on penal charges under RBI's circular of August 2023.",
            source="CBIC Circular 245/02/2025-GST of 28 January 2025, for all such charges",
            confidence="seen",
            valid_from=NEW_LOANS,
            value=False,
            where=f"{CHARGES}: `penal.gst_applies`",
        ),
    ),
    "bounce": table(
        DatedRule(
            id="R3.7c",
            title="A charge for a returned debit bears GST",
            text="Lenders bill it with GST for a returned NACH, UPI or card debit. Disputed: Circular 178/10/2022 "
            "calls the fine for a dishonoured cheque no consideration, and does not name debits; a lender that reads "
            "it wider sets the product's GST to 0.",
            source="Maharashtra Appellate Authority for Advance Ruling, Bajaj Finance, 2019 (cheque, ECS, NACH)",
            confidence="seen-2nd",
            valid_from=GST_SINCE,
            value=True,
            where=f"{CHARGES}: `penal.gst_applies`",
        )
    ),
    "cheque-bounce": table(
        DatedRule(
            id="R3.7d",
            title="A fine for a dishonoured cheque bore GST",
            text="Taxed as tolerating an act.",
            source="Maharashtra Appellate Authority for Advance Ruling, Bajaj Finance, 2019",
            confidence="seen-2nd",
            valid_from=GST_SINCE,
            valid_until=date(2022, 8, 2),
            value=True,
            where=f"{CHARGES}: `penal.gst_applies`",
        ),
        DatedRule(
            id="R3.7d",
            title="A fine for a dishonoured cheque bears no GST",
            text="It is no consideration for a service.",
            source="CBIC Circular 178/10/2022-GST of 3 August 2022",
            confidence="known",
            valid_from=date(2022, 8, 3),
            value=False,
            where=f"{CHARGES}: `penal.gst_applies`",
        ),
    ),
}


def gst_applies(kind: str, on: date) -> Ruled[bool]:
    """Whether a charge of that kind, levied that day, bears GST; a kind that is not listed is a service."""
    return ruled(in_force(BY_KIND.get(kind, SERVICES), on), False)


STATEMENTS: Final[tuple[DatedRule[None], ...]] = (
    DatedRule(
        id="R3.3",
        title="Reasonable, and the same for all of a class",
        text="In proportion to the breach; no discrimination inside a product; individuals, for other than business, "
        "pay no more than others for the same breach.",
        source=CIRCULAR,
        confidence="seen",
        valid_from=NEW_LOANS,
        counted_by="sanction",
        value=None,
        where="one amount a product; no charge by borrower",
    ),
    DatedRule(
        id="R3.4",
        title="Amount and reason are told",
        text="In agreement, KFS, on the website and in reminders; each charge is told with its reason.",
        source=CIRCULAR,
        confidence="known",
        valid_from=NEW_LOANS,
        counted_by="sanction",
        value=None,
        where="contingent charges of the KFS; the reason stands in the event of the charge",
    ),
)

RULES: Final[tuple[AnyRule, ...]] = (
    *CHARGE_NOT_INTEREST,
    NO_CAPITALISATION,
    *STATEMENTS,
    *SERVICES,
    *(rule for rules in BY_KIND.values() for rule in rules),
)
