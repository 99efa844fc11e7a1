"""Reports on what moved in a period: collections, GST, write-offs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple

import orjson

from adapters.reports.book import PREFETCH
from adapters.reports.report import Ask, Books, Column, Report, Row
from domain.calendar import day_end, day_start
from domain.money import share_percent
from projections.ledger import (
    BANK,
    CHARGE_INCOME,
    CHARGES_RECEIVABLE,
    EXCESS,
    FEE_INCOME,
    GST_PAYABLE,
    INTEREST_RECEIVABLE,
    INTEREST_SUSPENSE,
    PRINCIPAL,
    RECOVERY_INCOME,
    REPORTED,
    SETTLEMENT_LOSS,
    WRITTEN_OFF,
)

# --- Collection efficiency -----------------------------------------------------------------------------------

RECEIPTS = ("loan.debit-succeeded.v1", "loan.payment-received.v1", "loan.receipt-reversed.v1")
SETTLING = (*RECEIPTS, "loan.excess-applied.v1")


async def collection_efficiency(ask: Ask) -> AsyncIterator[Row]:
    sums: dict[date, dict[tuple[str, str], int]] = {}
    for day, metric, kind, paise in await ask.connection.fetch(
        "SELECT day, metric, kind, sum(paise)::bigint FROM dashboard.daily WHERE day BETWEEN $1 AND $2"
        " AND metric IN ('fell_due', 'collected', 'reversed', 'excess_applied', 'settled') GROUP BY 1, 2, 3",
        ask.since,
        ask.on,
    ):
        sums.setdefault(day, {})[metric, kind] = paise
    for day in sorted(sums):
        yield day_row(day, sums[day])
    if due := sum(of(one, "fell_due") for one in sums.values()):
        collected = sum(map(of_instalments, sums.values()))
        ask.notes.append(f"over the period: {share_percent(collected, due)} percent of what fell due")


Sums = Mapping[tuple[str, str], int]
"""A day's paise by (metric, kind)."""


def of(sums: Sums, metric: str, *kinds: str) -> int:
    return sum(paise for (name, kind), paise in sums.items() if name == metric and (not kinds or kind in kinds))


def settled(sums: Sums, *kinds: str) -> int:
    """What was settled of these kinds, of this month and of earlier ones."""
    return of(sums, "settled", *kinds, *(f"{kind}:arrears" for kind in kinds))


def of_instalments(sums: Sums) -> int:
    return settled(sums, "principal", "interest", "fee")


def day_row(day: date, sums: Sums) -> Row:
    arrears = sum(paise for (name, kind), paise in sums.items() if name == "settled" and kind.endswith(":arrears"))
    due = of(sums, "fell_due")
    return (
        day,
        due,
        settled(sums, "principal"),
        settled(sums, "interest"),
        settled(sums, "fee", "charge", "penal"),
        arrears,
        settled(sums, "prepayment"),
        settled(sums, "excess") - of(sums, "excess_applied"),
        settled(sums, "refund"),
        settled(sums, "recovery"),
        of(sums, "collected"),
        of(sums, "reversed"),
        share_percent(of_instalments(sums), due),
    )


COLLECTION_EFFICIENCY = Report(
    name="collection-efficiency",
    title="Collection efficiency by day",
    says="What fell due and what came in, day by day, and what the money settled; money held for a borrower counts when"
    " it is used. Efficiency is what was settled of instalments, whenever they fell due, in percent of what fell due on"
    " the day: over a month it tells how much of a month's demand is collected, arrears of earlier months included.",
    columns=(
        Column("day", "day"),
        Column("fell_due_paise", "paise", "principal, interest and fees of instalments"),
        Column("principal_paise", "paise", "settled"),
        Column("interest_paise", "paise", "settled"),
        Column("charges_paise", "paise", "settled of fees, charges and penal charges"),
        Column("of_arrears_paise", "paise", "of these three: instalments of earlier months"),
        Column("prepaid_paise", "paise", "principal paid ahead"),
        Column("held_paise", "paise", "for borrowers, less what was used"),
        Column("owed_back_paise", "paise", "came in without being owed"),
        Column("recovered_paise", "paise", "after a write-off"),
        Column("collected_paise", "paise", "money in"),
        Column("reversed_paise", "paise", "money taken back"),
        Column("efficiency_percent", "percent"),
    ),
    rows=collection_efficiency,
    checks=(
        Books(("collected_paise", "-reversed_paise"), BANK, "period", RECEIPTS),
        Books(("principal_paise", "prepaid_paise"), PRINCIPAL, "period", SETTLING, credit=True),
        Books(("interest_paise",), INTEREST_RECEIVABLE, "period", SETTLING, credit=True),
        Books(("charges_paise",), CHARGES_RECEIVABLE, "period", SETTLING, credit=True),
        Books(("held_paise",), EXCESS, "period", SETTLING, credit=True),
        Books(("recovered_paise",), RECOVERY_INCOME, "period", RECEIPTS, credit=True),
    ),
    reads=("dashboard",),
    period="month",
)

# --- Vouchers: entries one by one ----------------------------------------------------------------------------


class Voucher(NamedTuple):
    """An event's entries, with what it said."""

    loan_id: str
    topic: str
    on: date
    reference: str
    said: Mapping[str, Any]
    entries: Mapping[int, int]
    kind: str
    """Of a waiver: the kind of charge that was waived."""


async def vouchers(ask: Ask, *accounts: int) -> AsyncIterator[Voucher]:
    """What touched these accounts in the period, in the order in which it was booked."""
    query = (
        "SELECT j.loan_id, j.topic, (j.booked_at AT TIME ZONE 'Asia/Kolkata')::date AS on, j.reference, e.state,"
        " j.accounts, j.amounts, (SELECT convert_from(c.state, 'UTF8')::jsonb ->> 'kind' FROM ledger.journal l"
        " JOIN events c USING (partition, position) WHERE j.topic = 'loan.charge-waived.v1'"
        " AND l.partition = j.partition AND l.loan_id = j.loan_id AND l.reference = j.reference"
        " AND l.topic = 'loan.charge-levied.v1' LIMIT 1) AS kind"
        " FROM ledger.journal j JOIN events e USING (partition, position)"
        f" WHERE {REPORTED.replace('accounts', 'j.accounts')} AND j.booked_at BETWEEN $1 AND $2"
        " AND j.accounts && $3::smallint[] ORDER BY j.booked_at, j.partition, j.position"
    )
    until = day_end(ask.on).replace(microsecond=999_999)
    async for row in ask.connection.cursor(query, day_start(ask.since), until, list(accounts), prefetch=PREFETCH):
        yield Voucher(
            row["loan_id"],
            row["topic"],
            row["on"],
            row["reference"],
            orjson.loads(row["state"]),
            dict(zip(row["accounts"], row["amounts"], strict=True)),
            row["kind"] or "",
        )


# --- GST -----------------------------------------------------------------------------------------------------

Taxed = Iterator[tuple[str, int, int]]
"""What is taxed, its value without tax, and the tax. Paise; negative on a credit note."""


def of_deductions(voucher: Voucher) -> Taxed:
    for part in voucher.said["deductions"]:
        yield part["kind"], part["amount_paise"], part["gst_paise"]


def of_instalment(voucher: Voucher) -> Taxed:
    said = voucher.said
    yield "fee with the instalment", said["fee_paise"] - said["fee_gst_paise"], said["fee_gst_paise"]


def of_charge(voucher: Voucher) -> Taxed:
    yield voucher.said["kind"], voucher.said["amount_paise"], voucher.said["gst_paise"]


def of_waiver(voucher: Voucher) -> Taxed:
    paise, gst = voucher.said["paise"], voucher.said["gst_paise"]
    yield voucher.kind, gst - paise, -gst


def of_closure(voucher: Voucher) -> Taxed:
    fees, gst = voucher.said["fees_returned_paise"], voucher.said["fees_returned_gst_paise"]
    yield "fees given back", gst - fees, -gst


def by_entries(voucher: Voucher) -> Taxed:
    """A payout that came back, hindsight: what the entries took back, or added."""
    income = -sum(voucher.entries.get(account, 0) for account in (FEE_INCOME, CHARGE_INCOME))
    yield "correction", income, -voucher.entries.get(GST_PAYABLE, 0)


TAXED: Mapping[str, Callable[[Voucher], Taxed]] = {
    "loan.disbursed.v1": of_deductions,
    "loan.instalment-due.v1": of_instalment,
    "loan.charge-levied.v1": of_charge,
    "loan.charge-waived.v1": of_waiver,
    "loan.closed.v1": of_closure,
}
"""How an event's taxed parts are told; of any other, from its entries."""


async def gst(ask: Ask) -> AsyncIterator[Row]:
    async for voucher in vouchers(ask, GST_PAYABLE):
        for kind, value, tax in TAXED.get(voucher.topic, by_entries)(voucher):
            if tax:
                document = "credit note" if tax < 0 else "invoice"
                reference = voucher.reference or voucher.topic.split(".")[1]
                yield (
                    voucher.on,
                    voucher.loan_id,
                    document,
                    reference,
                    kind,
                    value,
                    share_percent(tax, value),
                    tax,
                    value + tax,
                )


GST = Report(
    name="gst",
    title="GST on fees and charges",
    says="Each fee and charge that bears GST, with its value and tax, on the day on which it was booked; waivers, fees"
    " given back and corrections are credit notes. The ledger keeps one account of GST: place of supply, and with it"
    " the split into CGST, SGST and IGST, is not the servicing engine's to know.",
    columns=(
        Column("booked_on", "day"),
        Column("loan_id", "text"),
        Column("document", "text", "invoice or credit note"),
        Column("reference", "text", "the charge, payout or event"),
        Column("kind", "text"),
        Column("value_paise", "paise", "without tax"),
        Column("gst_percent", "percent"),
        Column("gst_paise", "paise"),
        Column("total_paise", "paise"),
    ),
    rows=gst,
    checks=(Books(("gst_paise",), GST_PAYABLE, "period", credit=True),),
    reads=(),
    period="month",
)

# --- Write-offs ----------------------------------------------------------------------------------------------

GIVEN_UP = {"loan.written-off.v1": "write-off", "loan.settled.v1": "settlement"}


async def write_offs(ask: Ask) -> AsyncIterator[Row]:
    async for voucher in vouchers(ask, WRITTEN_OFF, SETTLEMENT_LOSS, RECOVERY_INCOME):
        said, entries = voucher.said, voucher.entries
        kind = GIVEN_UP.get(voucher.topic)
        if kind is None:
            recovered = -entries.get(RECOVERY_INCOME, 0)
            said_of = said.get("method") or said.get("reason") or said.get("rail", "")
            row = "recovery" if recovered > 0 else "recovery taken back", 0, 0, 0, 0, 0, 0, recovered, said_of
        else:
            parts = said["principal_paise"], said["interest_paise"], said["charges_paise"]
            suspense = entries.get(INTEREST_SUSPENSE, 0)
            loss = sum(parts) - suspense
            bad, settled = (loss, 0) if kind == "write-off" else (0, loss)
            row = kind, *parts, suspense, bad, settled, 0, said.get("reason", "")
        yield voucher.on, voucher.loan_id, *row


WRITE_OFFS = Report(
    name="write-offs",
    title="Write-offs, settlements and recoveries",
    says="What was given up in the period by write-off or one-time settlement, part by part, and what came in after a"
    " write-off. Interest of an NPA never was income: it comes out of suspense and is no loss.",
    columns=(
        Column("on", "day"),
        Column("loan_id", "text"),
        Column("kind", "text", "write-off, settlement or recovery"),
        Column("principal_paise", "paise"),
        Column("interest_paise", "paise"),
        Column("charges_paise", "paise"),
        Column("from_suspense_paise", "paise"),
        Column("bad_debt_paise", "paise", "the loss of a write-off"),
        Column("settlement_loss_paise", "paise"),
        Column("recovered_paise", "paise"),
        Column("reason", "text"),
    ),
    rows=write_offs,
    checks=(
        Books(("bad_debt_paise",), WRITTEN_OFF, "period"),
        Books(("settlement_loss_paise",), SETTLEMENT_LOSS, "period"),
        Books(("recovered_paise",), RECOVERY_INCOME, "period", credit=True),
    ),
    reads=(),
    period="month",
)

REPORTS: tuple[Report, ...] = (COLLECTION_EFFICIENCY, GST, WRITE_OFFS)
