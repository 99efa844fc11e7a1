"""Reports on the book as it stood at a day's end: classes, provisions, ageing, migration, vintages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import date, timedelta
from decimal import Decimal

from adapters.reports.report import Ask, Books, Column, Report, Row
from domain.calendar import add_months, last_of_month
from domain.law.classification import AssetClass, asset_class
from domain.law.provisions import provision_percent
from domain.money import share_percent
from projections.ledger import (
    CHARGES_RECEIVABLE,
    INTEREST_RECEIVABLE,
    PENAL_INCOME,
    PRINCIPAL,
    PROVISIONS,
)

PREFETCH = 2_000


def rest_of(column: str, condition: str) -> str:
    """The same column over the loans that the rows leave out."""
    return f"SELECT coalesce(sum({column}), 0)::bigint FROM {{standing}} WHERE NOT ({condition})"


# --- NPA and SMA ---------------------------------------------------------------------------------------------

STRESSED = "stage = 'active' AND classification <> 'standard'"


async def npa_sma(ask: Ask) -> AsyncIterator[Row]:
    query = (
        "SELECT loan_id, product, classification, classification_because, npa_since, dpd, oldest_unpaid_due_on,"
        " principal_paise, overdue_principal_paise, overdue_interest_paise, overdue_charges_paise, overdue_paise,"
        f" provision_paise FROM {await ask.standing(ask.on)} WHERE {STRESSED} ORDER BY classification, loan_id"
    )
    async for loan in ask.connection.cursor(query, prefetch=PREFETCH):
        row = tuple(loan)
        yield *row[:4], asset_class(loan["npa_since"], ask.on).value, *row[4:]


NPA_SMA = Report(
    name="npa-sma",
    title="NPA and special mention accounts",
    says="Each active loan that is SMA-0, -1, -2 or NPA: its class and why, its asset class by age, days past due, and"
    " what it owes. A loan is NPA by its own arrears, by its borrower's other loans or by a restructuring, and stays so"
    " until all arrears are paid.",
    columns=(
        Column("loan_id", "text"),
        Column("product", "text"),
        Column("classification", "text", "SMA-0, SMA-1, SMA-2 or NPA"),
        Column("because", "text", "of an NPA that is not one by its own days: borrower or restructured"),
        Column("asset_class", "text", "standard, sub-standard, doubtful-1 to -3"),
        Column("npa_since", "day"),
        Column("dpd", "number", "days past due at the day's end, the due date itself being day 1"),
        Column("oldest_unpaid_due_on", "day"),
        Column("principal_paise", "paise", "outstanding, due or not"),
        Column("overdue_principal_paise", "paise"),
        Column("overdue_interest_paise", "paise"),
        Column("overdue_charges_paise", "paise", "fees, charges and penal charges"),
        Column("overdue_paise", "paise", "the three together"),
        Column("provision_paise", "paise", "as booked at the last month's end"),
    ),
    rows=npa_sma,
    checks=(
        Books(("principal_paise",), PRINCIPAL, rest=rest_of("principal_paise", STRESSED)),
        Books(("overdue_interest_paise",), INTEREST_RECEIVABLE, rest=rest_of("overdue_interest_paise", STRESSED)),
        Books(("provision_paise",), PROVISIONS, rest=rest_of("provision_paise", STRESSED), credit=True),
    ),
    reads=("history",),
)

# --- Provisions ----------------------------------------------------------------------------------------------


async def provisioning(ask: Ask) -> AsyncIterator[Row]:
    standing = await ask.standing(ask.on)
    groups = await ask.connection.fetch(
        f"SELECT DISTINCT product, product_version, npa_since FROM {standing} WHERE stage = 'active'"
    )
    held = [percent_for(ask, row["product"], row["product_version"], row["npa_since"]) for row in groups]
    query = (
        "WITH rates AS (SELECT * FROM unnest($1::text[], $2::int[], $3::date[], $4::text[], $5::numeric[], $6::text[])"
        " AS r (product, product_version, npa_since, asset_class, percent, rule)),"
        " loans AS (SELECT s.product, r.asset_class, r.percent, r.rule, s.principal_paise, s.provision_paise,"
        f" round(s.principal_paise * r.percent / 100)::bigint AS required_paise FROM {standing} s"
        " JOIN rates r ON r.product = s.product AND r.product_version = s.product_version"
        " AND r.npa_since IS NOT DISTINCT FROM s.npa_since WHERE s.stage = 'active')"
        " SELECT product, asset_class, percent::text, rule, count(*), sum(principal_paise)::bigint,"
        " sum(required_paise)::bigint, sum(provision_paise)::bigint,"
        " sum(required_paise - provision_paise)::bigint FROM loans GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3"
    )
    columns = [[row[name] for row in groups] for name in ("product", "product_version", "npa_since")]
    rates = [[one[place] for one in held] for place in range(3)]
    async for row in ask.connection.cursor(query, *columns, *rates):
        yield tuple(row)


def percent_for(ask: Ask, name: str, version: int, npa_since: date | None) -> tuple[AssetClass, Decimal, str]:
    """The class of a loan on the day, and the product's own percentage for it, else the law's; none where expected
    credit loss takes its place."""
    product = ask.rules.products.of(name, version)
    held = asset_class(npa_since, ask.on).value
    if held in product.provisions:
        return held, product.provisions[held], f"product {name} v{version}"
    percent, rule = provision_percent(held, product.lender_kind, product.secured, ask.on)
    return held, percent or Decimal(0), rule


PROVISIONING = Report(
    name="provisioning",
    title="Provisions by product and asset class",
    says="Active loans by asset class: what the product's percentage, or the law's, asks for on the day, and what the"
    " books hold since the last month's end. Within a month the two differ by what moved since.",
    columns=(
        Column("product", "text"),
        Column("asset_class", "text"),
        Column("percent", "percent", "of the principal outstanding"),
        Column("rule", "text", "the dated rule, or the product, that gives the percentage"),
        Column("loans", "count"),
        Column("principal_paise", "paise"),
        Column("required_paise", "paise", "on this day, rounded loan by loan"),
        Column("booked_paise", "paise", "as the last month's end booked it"),
        Column("short_paise", "paise", "required less booked"),
    ),
    rows=provisioning,
    checks=(
        Books(("principal_paise",), PRINCIPAL, rest=rest_of("principal_paise", "stage = 'active'")),
        Books(("booked_paise",), PROVISIONS, rest=rest_of("provision_paise", "stage = 'active'"), credit=True),
    ),
    reads=("history",),
)

# --- Ageing --------------------------------------------------------------------------------------------------


async def ageing(ask: Ask) -> AsyncIterator[Row]:
    query = (
        "SELECT product, bucket, classification, count(*), sum(principal_paise)::bigint,"
        " sum(overdue_principal_paise)::bigint, sum(overdue_interest_paise)::bigint,"
        f" sum(overdue_charges_paise)::bigint, sum(overdue_paise)::bigint, max(dpd) FROM {await ask.standing(ask.on)}"
        " WHERE stage = 'active' GROUP BY product, past_due_from, bucket, classification"
        " ORDER BY product, past_due_from, classification"
    )
    async for row in ask.connection.cursor(query):
        yield tuple(row)


def of_active(column: str) -> str:
    return rest_of(column, "stage = 'active'")


AGEING = Report(
    name="ageing",
    title="Arrears by age",
    says="Active loans by product, bucket of days past due and class, with what is overdue of principal, interest and"
    " charges.",
    columns=(
        Column("product", "text"),
        Column("bucket", "text"),
        Column("classification", "text"),
        Column("loans", "count"),
        Column("principal_paise", "paise", "outstanding, due or not"),
        Column("overdue_principal_paise", "paise"),
        Column("overdue_interest_paise", "paise"),
        Column("overdue_charges_paise", "paise"),
        Column("overdue_paise", "paise"),
        Column("dpd_highest", "number", "days past due of the loan that is latest"),
    ),
    rows=ageing,
    checks=(
        Books(("principal_paise",), PRINCIPAL, rest=of_active("principal_paise")),
        Books(("overdue_interest_paise",), INTEREST_RECEIVABLE, rest=of_active("overdue_interest_paise")),
        Books(("overdue_charges_paise",), CHARGES_RECEIVABLE, rest=of_active("overdue_charges_paise")),
    ),
    reads=("history",),
)

# --- Migration -----------------------------------------------------------------------------------------------


async def migration(ask: Ask) -> AsyncIterator[Row]:
    place = "CASE stage WHEN 'active' THEN bucket ELSE replace(stage, '_', ' ') END"
    query = (
        f"WITH was AS (SELECT loan_id, partition, product, {place} AS bucket, past_due_from AS rank, principal_paise"
        f" FROM {await ask.standing(ask.since)}), now AS (SELECT loan_id, partition, product, {place} AS bucket,"
        " CASE stage WHEN 'active' THEN past_due_from ELSE 32767 END AS rank, principal_paise"
        f" FROM {await ask.standing(ask.on)}),"
        " moved AS (SELECT n.product, coalesce(w.bucket, 'new') AS was, coalesce(w.rank, -1) AS was_rank,"
        " n.bucket AS now, n.rank AS now_rank, count(*) AS loans, coalesce(sum(w.principal_paise), 0)::bigint AS then,"
        " sum(n.principal_paise)::bigint AS principal FROM now n LEFT JOIN was w USING (partition, loan_id)"
        " WHERE w.bucket IS NULL OR w.principal_paise > 0 OR n.principal_paise > 0 GROUP BY 1, 2, 3, 4, 5)"
        ' SELECT product, was, now, loans, "then", principal,'
        ' sum("then") OVER (PARTITION BY product, was)::bigint FROM moved ORDER BY product, was_rank, now_rank, now'
    )
    async for product, was, now, loans, then, principal, opening in ask.connection.cursor(query):
        yield product, was, now, loans, then, principal, share_percent(then, opening)


MIGRATION = Report(
    name="dpd-migration",
    title="Migration between buckets (roll rates)",
    says="Loans by the bucket in which they stood at the end of the first day and that at the end of the second, with"
    " their principal on both. A roll rate is the share of a bucket's principal that went to another one. Loans that"
    " were paid out in between come from `new`; those that ended go to `closed`, `cancelled` or `written off`.",
    columns=(
        Column("product", "text"),
        Column("from_bucket", "text"),
        Column("to_bucket", "text"),
        Column("loans", "count"),
        Column("principal_then_paise", "paise"),
        Column("principal_paise", "paise"),
        Column("roll_percent", "percent", "of the bucket's principal then"),
    ),
    rows=migration,
    checks=(
        Books(("principal_then_paise",), PRINCIPAL, when="then"),
        Books(("principal_paise",), PRINCIPAL),
    ),
    reads=("history",),
    period="comparison",
)

# --- Vintages ------------------------------------------------------------------------------------------------

LATE = (1, 31, 61, 91)
MEASURES = ("loans", "disbursed", "principal", *(f"late_{days}" for days in LATE), "written_off", "given_up")


async def vintage(ask: Ask) -> AsyncIterator[Row]:
    late = ", ".join(
        f"coalesce(sum(principal_paise) FILTER (WHERE stage = 'active' AND past_due_from >= {days}), 0)::bigint"
        for days in LATE
    )
    changes = await ask.connection.fetch(
        "SELECT vintage, date_trunc('month', day)::date, sum(loans)::bigint, sum(disbursed_paise)::bigint,"
        f" sum(principal_paise)::bigint, {late}, coalesce(sum(loans) FILTER (WHERE stage = 'written_off'), 0)::bigint,"
        " sum(given_up_paise)::bigint FROM history.portfolio WHERE day <= $1 GROUP BY 1, 2 ORDER BY 1, 2",
        ask.on,
    )
    by_vintage: dict[date, dict[date, tuple[int, ...]]] = {}
    for one, month, *sums in changes:
        by_vintage.setdefault(one, {})[month] = tuple(sums)
    for one, months in by_vintage.items():
        for row in curve(one, months, ask.on):
            yield row


def curve(vintage: date, months: dict[date, tuple[int, ...]], until: date) -> Iterable[Row]:
    """A vintage at each month's end: sums of what each month changed. A late payout, known in an earlier month's
    vintage only later, counts from the month in which it was known."""
    sums = [0] * len(MEASURES)
    month = min(vintage, *months)
    while month <= until:
        for place, change in enumerate(months.get(month, ())):
            sums[place] += change
        on_book = (month.year - vintage.year) * 12 + month.month - vintage.month
        if on_book >= 0 and any(sums):
            loans, disbursed, principal, *late, written_off, given_up = sums
            shares = (share_percent(bad + given_up, disbursed) for bad in late)
            yield (
                vintage, on_book, min(last_of_month(month), until), loans, disbursed, principal, *late, written_off,
                given_up, *shares,
            )  # fmt: skip
        month = add_months(month, 1)


VINTAGE = Report(
    name="vintage",
    title="Vintage curves",
    says="Loans by the month in which they were paid out, at each month's end since: what of the principal paid out is"
    " so many days past due, or given up. The last rows are as of the report's day, and the totals are of these.",
    columns=(
        Column("vintage", "day", "the first of the month of payout"),
        Column("months_on_book", "number"),
        Column("as_of", "day"),
        Column("loans", "count"),
        Column("disbursed_paise", "paise"),
        Column("principal_paise", "paise", "outstanding"),
        *(Column(f"late_{days}_paise", "paise", f"principal of loans {days} days past due or more") for days in LATE),
        Column("written_off", "count", "loans"),
        Column("given_up_paise", "paise", "by write-offs and settlements"),
        *(Column(f"late_{days}_percent", "percent", "late and given up, of what was paid out") for days in LATE),
    ),
    rows=vintage,
    checks=(
        Books(("principal_paise",), PRINCIPAL),
        Books(("disbursed_paise",), PRINCIPAL, topics=("loan.disbursed.v1", "loan.payout-failed.v1")),
    ),
    reads=("history",),
    counts=lambda row, ask: row[2] == ask.on,
)

# --- Restructured --------------------------------------------------------------------------------------------

RESTRUCTURED_LOANS = "stage = 'active' AND restructured_on IS NOT NULL"


async def restructured(ask: Ask) -> AsyncIterator[Row]:
    query = (
        "SELECT s.loan_id, s.product, s.restructured_on, s.classification, s.npa_since, s.dpd, s.principal_paise,"
        f" s.overdue_paise, s.provision_paise FROM {await ask.standing(ask.on)} s"
        f" WHERE {RESTRUCTURED_LOANS} ORDER BY s.restructured_on, s.loan_id"
    )
    async for loan in ask.connection.cursor(query, prefetch=PREFETCH):
        row = tuple(loan)
        yield *row[:4], asset_class(loan["npa_since"], ask.on).value, *row[4:]


RESTRUCTURED = Report(
    name="restructured",
    title="Restructured book",
    says="Active loans that were restructured, with their class: sub-standard by the restructuring, or as before under"
    " a named scheme, until they have shown satisfactory performance.",
    columns=(
        Column("loan_id", "text"),
        Column("product", "text"),
        Column("restructured_on", "day"),
        Column("classification", "text"),
        Column("asset_class", "text"),
        Column("npa_since", "day"),
        Column("dpd", "number"),
        Column("principal_paise", "paise"),
        Column("overdue_paise", "paise"),
        Column("provision_paise", "paise", "as booked at the last month's end"),
    ),
    rows=restructured,
    checks=(
        Books(("principal_paise",), PRINCIPAL, rest=rest_of("principal_paise", RESTRUCTURED_LOANS)),
        Books(("provision_paise",), PROVISIONS, rest=rest_of("provision_paise", RESTRUCTURED_LOANS), credit=True),
    ),
    reads=("history",),
)

# --- Penal charges -------------------------------------------------------------------------------------------

PENAL = ("levied", "waived", "paid", "unpaid")


async def penal_charges(ask: Ask) -> AsyncIterator[Row]:
    names = [f"penal_{name}_paise" for name in PENAL]
    was = ", ".join(f"coalesce(w.{name}, 0) AS was_{name}" for name in names)
    query = (
        f"SELECT n.loan_id, n.product, n.stage, {', '.join(f'n.{name}' for name in names)}, {was}"
        f" FROM {await ask.standing(ask.on)} n LEFT JOIN {await ask.standing(ask.since - timedelta(days=1))} w"
        " USING (partition, loan_id)"
        " WHERE n.penal_levied_paise > 0 OR w.penal_levied_paise > 0 ORDER BY n.loan_id"
    )
    async for loan in ask.connection.cursor(query, prefetch=PREFETCH):
        now, before = [loan[name] for name in names], [loan[f"was_{name}"] for name in names]
        levied, waived, paid, _ = (one - other for one, other in zip(now, before, strict=True))
        opening, closing = before[-1], now[-1]
        given_up = opening + levied - waived - paid - closing
        if opening or closing or levied or waived or paid:
            yield (*tuple(loan)[:3], opening, levied, waived, paid, given_up, closing)


PENAL_CHARGES = Report(
    name="penal-charges",
    title="Penal charges",
    says="Loans with penal charges that were unpaid or moved in the period: what was owed before, levied, waived, paid,"
    " given up by a write-off or settlement, and owed at its end. Penal charges bear no GST and are never capitalised;"
    " what accrued and is not levied yet is not in it.",
    columns=(
        Column("loan_id", "text"),
        Column("product", "text"),
        Column("stage", "text"),
        Column("opening_paise", "paise"),
        Column("levied_paise", "paise", "less what fell away with hindsight"),
        Column("waived_paise", "paise"),
        Column("paid_paise", "paise", "less what was taken back"),
        Column("given_up_paise", "paise"),
        Column("closing_paise", "paise"),
    ),
    rows=penal_charges,
    checks=(Books(("levied_paise",), PENAL_INCOME, when="period", credit=True),),
    reads=("history",),
    period="month",
)

REPORTS: tuple[Report, ...] = (NPA_SMA, PROVISIONING, AGEING, MIGRATION, VINTAGE, RESTRUCTURED, PENAL_CHARGES)
