"""Every report reconciles to the ledger at every day's end, in every format; one that does not says by how much."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import sys
from datetime import date, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from arro3.io import read_parquet

from adapters.errors import Explained
from adapters.reports.catalogue import CATALOGUE, UnknownReport, WrongAsk, running
from adapters.reports.formats import FORMATS, as_csv, as_json, write_file
from adapters.reports.report import Footer, Report, Row
from adapters.vault import Vault
from domain import commands as c
from domain.calendar import IST, add_months
from domain.events import LoanEvent
from domain.law.bureau import submission_dates
from domain.money import format_rupees
from projections.base import booked_on
from streams.wire import Secret
from tests.adapters.test_bureau import ASHA
from tests.examples import EMI, a_loan_without_mandate
from tests.integration.read_models.books import PARTITIONS, a_projector, catch_up, write_log
from tests.lives import COLLECTING as RULES
from tests.log_writer import interleaved
from tests.stories import asked, day, on, payment, repaid, rupees

pytestmark = pytest.mark.slow
LAST = on("31 Dec 2029")
VAULT = Vault(bytes(32))
ABOUT_THE_BOOK = [name for name, report in CATALOGUE.items() if not report.of_loan and not report.personal]


@pytest.fixture
async def book(house: str, pool: asyncpg.Pool, history: list[LoanEvent]) -> asyncpg.Pool:
    await write_log(house, history)
    await catch_up(pool, a_projector(pool))
    return pool


async def run(pool: asyncpg.Pool, name: str, on: date, since: date | None = None) -> tuple[list[Row], Footer]:
    async with running(pool, RULES, name, on, now=LAST, since=since, vault=VAULT) as report:
        rows = [row async for row in report.rows()]
        return rows, await report.footer()


async def test_every_report_reconciles_at_many_days_ends(book: asyncpg.Pool, history: list[LoanEvent]) -> None:
    days = sorted({booked_on(event) for event in history})
    for name in ABOUT_THE_BOOK:
        met = 0
        for at in (days[0] - timedelta(days=1), *days[:: max(1, len(days) // 9)], days[-1]):
            rows, footer = await run(book, name, at)
            met += len(rows)
            wrong = [proof for proof in footer.proofs if proof.difference_paise]
            assert wrong == [], (name, at)
            assert footer.proofs
        whole, footer = await run(book, name, days[-1], days[0] if CATALOGUE[name].period else None)
        assert footer.reconciles
        assert met + len(whole) > 0, f"{name} had no row on any day: nothing was tried"


# --- By hand -------------------------------------------------------------------------------------------------

ROWS = repaid(rupees("1,00,000"), "18", 24)
"""(principal, interest) of the usual loan's instalments: 3,493 and 1,500 of 4,993, and so on."""


@pytest.fixture
async def small_house(house: str, pool: asyncpg.Pool) -> asyncpg.Pool:
    """Four loans of Rs. 1,00,000 at 18 % since 5 January. One pays every instalment on its day; one pays nothing; one
    is charged for a visit, which is waived; one is written off, and then pays a little."""
    good = a_loan_without_mandate(loan_id="LN-GOOD", borrower_id="B-1")
    for month in ("Feb", "Mar", "Apr", "May", "Jun"):
        good.when(on(f"5 {month}"), payment(EMI, f"P-{month}"))
    bad = a_loan_without_mandate(loan_id="LN-BAD", borrower_id="B-2")
    visited = a_loan_without_mandate(loan_id="LN-VISIT", borrower_id="B-3")
    visited.when(on("5 Feb"), payment(EMI, "V-1"))
    visited.when(on("5 Mar"), payment(EMI, "V-2"))
    visited.when(on("10 Mar"), asked(c.LevyCharge, kind="visit", amount_paise=None, reason="a visit"))
    (charge,) = visited.the_loan.levied
    visited.when(on("2 Apr"), asked(c.Waive, "C-2", charge_id=charge, reason="goodwill"))
    visited.when(on("5 Apr"), payment(EMI, "V-3"))
    lost = a_loan_without_mandate(loan_id="LN-LOST", borrower_id="B-4")
    lost.when(on("10 Jun"), asked(c.WriteOff, reason="gone away"))
    lost.when(on("20 Jun"), payment("1,000", "L-1"))
    stories = (good, bad, visited, lost)
    for story in stories:
        story.when(on("30 Jun 23:59"))
        assert story.no is None
    await write_log(house, interleaved(story.events for story in stories))
    await catch_up(pool, a_projector(pool))
    return pool


async def told(pool: asyncpg.Pool, name: str, at: str, since: str = "") -> list[dict[str, str]]:
    """A report's rows as a person reads them: rupees with their commas, no empty cells."""
    rows, footer = await run(pool, name, day(at), day(since) if since else None)
    assert footer.reconciles, [proof for proof in footer.proofs if proof.difference_paise]
    return [shown(CATALOGUE[name], row) for row in rows]


def shown(report: Report, row: Row) -> dict[str, str]:
    told = {
        column.name.removesuffix("_paise"): format_rupees(value) if column.kind == "paise" else str(value)
        for column, value in zip(report.columns, row, strict=True)
    }
    return {name: text for name, text in told.items() if text not in ("", "0.00", "None")}


def of(rows: list[dict[str, str]], *names: str) -> list[tuple[str, ...]]:
    return [tuple(row.get(name, "") for name in names) for row in rows]


def due(number: int) -> tuple[str, str, str]:
    """What an unpaid loan owes after so many instalments: principal, interest, both."""
    principal, interest = (sum(part) for part in zip(*ROWS[:number], strict=True))
    return format_rupees(principal), format_rupees(interest), format_rupees(principal + interest)


async def test_the_figures_of_a_small_house_are_those_that_a_clerk_works_out(small_house: asyncpg.Pool) -> None:
    house = small_house
    names = ("loan_id", "classification", "asset_class", "dpd", "overdue_principal", "overdue_interest", "overdue")
    assert of(await told(house, "npa-sma", "30 Apr"), *names) == [
        (loan, "SMA-2", "standard", "85", *due(3)) for loan in ("LN-BAD", "LN-LOST")
    ]
    may = await told(house, "npa-sma", "31 May")
    assert ("LN-BAD", "NPA", "sub-standard", "116", *due(4)) in of(may, *names)
    assert ("LN-BAD", "2026-05-06") in of(may, "loan_id", "npa_since")  # due 5 Feb: the 91st day
    assert ("LN-VISIT", "SMA-0", "standard", "27") in of(may, *names[:4])

    assert of(await told(house, "dpd-migration", "31 May"), "from_bucket", "to_bucket", "loans", "roll_percent") == [
        ("current", "current", "1", "50.00"),
        ("current", "1-30", "1", "50.00"),
        ("61-90", "91+", "2", "100.00"),
    ]
    assert of(await told(house, "gst", "31 Mar"), "document", "kind", "value", "gst_percent", "gst") == [
        ("invoice", "visit", "200.00", "18.00", "36.00")
    ]
    assert of(await told(house, "gst", "30 Apr"), "booked_on", "document", "kind", "value", "gst") == [
        ("2026-04-02", "credit note", "visit", "-200.00", "-36.00")
    ]
    principal, interest = format_rupees(rupees("1,00,000")), due(5)[1]
    assert of(
        await told(house, "write-offs", "30 Jun"), "on", "kind", "principal", "interest", "from_suspense", "bad_debt",
        "recovered",
    ) == [
        ("2026-06-10", "write-off", principal, interest, interest, principal, ""),
        ("2026-06-20", "recovery", "", "", "", "", "1,000.00"),
    ]  # fmt: skip
    february = (await told(house, "collection-efficiency", "28 Feb"))[0]
    assert (february["fell_due"], february["collected"]) == ("19,972.00", "9,986.00")  # four times 4,993, and two
    assert (february["principal"], february["interest"]) == ("6,986.00", "3,000.00")
    assert february["efficiency_percent"] == "50.00"


async def test_a_vintage_gets_worse_month_by_month(small_house: asyncpg.Pool) -> None:
    names = ("vintage", "months_on_book", "as_of", "loans", "disbursed", "late_31", "late_91", "given_up")
    lakh, lost = "1,00,000.00", format_rupees(rupees("1,00,000") + sum(interest for _, interest in ROWS[:5]))
    curve = of(await told(small_house, "vintage", "15 Jun"), *names)
    assert [row[2] for row in curve] == [
        "2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31", "2026-06-15",
    ]  # fmt: skip
    assert {row[:2] + row[3:5] for row in curve} == {("2026-01-01", str(n), "4", "4,00,000.00") for n in range(6)}
    late = [row[5:] for row in curve]
    assert late[:5] == [("", "", ""), ("", "", ""), ("2,00,000.00", "", ""), ("2,00,000.00", "", ""),
                        ("2,00,000.00", "2,00,000.00", "")]  # fmt: skip
    assert late[5] == (format_rupees(rupees(lakh) + visited_principal()), lakh, lost)


def visited_principal() -> int:
    """What is outstanding after three instalments: paid until April, so 42 days late in mid-June."""
    return rupees("1,00,000") - sum(principal for principal, _ in ROWS[:3])


async def test_a_ledger_that_differs_is_told_by_how_much(small_house: asyncpg.Pool, house: str) -> None:
    connection = await asyncpg.connect(house)
    await connection.execute(
        "UPDATE ledger.daily SET debit_paise = debit_paise + 700 WHERE account = 1100 AND booked_on = '2026-01-05'"
        " AND partition = (SELECT min(partition) FROM ledger.daily WHERE account = 1100 AND booked_on = '2026-01-05')"
    )
    await connection.close()
    _, footer = await run(small_house, "ageing", day("31 May"))
    assert not footer.reconciles
    assert [proof.difference_paise for proof in footer.proofs] == [-700, 0, 0]


async def test_a_bureau_file_holds_what_is_known_and_names_what_is_left_out(small_house: asyncpg.Pool) -> None:
    people = {"B-1": ASHA, "B-2": ASHA, "B-3": {**ASHA, "pan": ""}}  # of B-4 nothing is known
    async with small_house.acquire() as connection, connection.transaction():
        secrets = [Secret(f"{owner}:person", owner, person) for owner, person in people.items()]
        await VAULT.store(connection, secrets, on("5 Jan"))
    names = ("account_number", "amount_overdue", "days_past_due", "asset_classification")
    owed = sum(sum(row) for row in ROWS[:4])
    assert sorted(of(await told(small_house, "credit-bureau", "31 May"), *names)) == [
        ("LN-BAD", str((owed + 50) // 100), "116", "02"), ("LN-GOOD", "0", "000", "01"),
    ]  # fmt: skip
    rejects = of(await told(small_house, "credit-bureau-rejects", "31 May"), "loan_id", "field")
    assert {loan for loan, _ in rejects} == {"LN-VISIT", "LN-LOST"}
    assert ("LN-VISIT", "income_tax_id") in rejects
    assert ("LN-LOST", "consumer_name") in rejects


async def test_every_bureau_file_of_a_year_reconciles(book: asyncpg.Pool) -> None:
    months = [add_months(date(2026, 2, 1), month) for month in range(0, 12, 2)]
    files = [file for month in months for file in submission_dates(month.year, month.month).value]
    assert {file.kind for file in files} == {"full", "incremental"}
    left_out = 0
    for file in files:
        rows, footer = await run(book, "credit-bureau-rejects", file.as_on)
        assert footer.reconciles, (file, footer.proofs)
        left_out += len(rows)
    assert left_out > 0


async def trail(pool: asyncpg.Pool, loan_id: str, at: str) -> tuple[list[Row], Footer]:
    async with running(pool, RULES, "audit-trail", day(at), now=LAST, loan_id=loan_id) as report:
        return [row async for row in report.rows()], await report.footer()


async def test_a_loans_trail_names_every_event_and_proves_that_none_was_changed(
    small_house: asyncpg.Pool, house: str
) -> None:
    rows, footer = await trail(small_house, "LN-LOST", "15 Jun")
    assert footer.reconciles
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
    assert rows[-1][2] == "loan.written-off.v1"
    assert "1100 -1,00,000.00" in rows[-1][5]
    connection = await asyncpg.connect(house)
    await connection.execute("UPDATE events SET actor = 'somebody else' WHERE loan_id = 'LN-LOST' AND version = 3")
    await connection.close()
    rows, footer = await trail(small_house, "LN-LOST", "15 Jun")
    assert not footer.reconciles
    assert [row[0] for row in rows if not row[10]] == [3]
    with pytest.raises(Explained, match="there is no loan LN-NONE"):
        await trail(small_house, "LN-NONE", "15 Jun")


# --- Formats and bad input -----------------------------------------------------------------------------------


async def test_every_format_holds_the_same_rows(small_house: asyncpg.Pool, tmp_path: Path) -> None:
    on_day = day("31 May")
    rows, footer = await run(small_house, "npa-sma", on_day)
    for suffix in FORMATS:
        async with running(small_house, RULES, "npa-sma", on_day, now=LAST) as report:
            await write_file(report, tmp_path / f"npa{suffix}")
    names = CATALOGUE["npa-sma"].names
    read = list(csv.DictReader(io.StringIO((tmp_path / "npa.csv").read_text())))
    assert [row["loan_id"] for row in read] == [row[0] for row in rows]
    assert [int(row["principal_paise"]) for row in read] == [row[names.index("principal_paise")] for row in rows]
    document = json.loads((tmp_path / "npa.json").read_text())
    assert document["totals"] == footer.totals
    assert document["reconciles"] is True
    assert [list(row) for row in document["rows"]] == [list(names)] * len(rows)
    table = read_parquet(tmp_path / "npa.parquet").read_all()
    assert table.column("principal_paise").to_pylist() == [row[names.index("principal_paise")] for row in rows]
    assert table.column("npa_since").to_pylist() == [row[names.index("npa_since")] for row in rows]
    assert sorted(os.listdir(tmp_path)) == [f"npa{suffix}" for suffix in sorted(FORMATS)]


async def test_a_day_before_any_loan_has_no_rows_and_reconciles(small_house: asyncpg.Pool, tmp_path: Path) -> None:
    for name in ABOUT_THE_BOOK:
        rows, footer = await run(small_house, name, date(2025, 1, 31))
        assert (rows, footer.reconciles) == ([], True)
    async with running(small_house, RULES, "gst", date(2025, 1, 31), now=LAST) as report:
        await write_file(report, tmp_path / "gst.parquet")
    assert read_parquet(tmp_path / "gst.parquet").read_all().num_rows == 0


@pytest.mark.parametrize(
    ("name", "on_day", "since", "loan", "said"),
    [
        ("npa", "2026-01-31", None, "", "did you mean npa-sma?"),
        ("gst", "2030-01-01", None, "", "on: 2030-01-01 has not come yet"),
        ("gst", "2026-01-31", "2026-02-01", "", "from: 2026-02-01 is after 2026-01-31"),
        ("ageing", "2026-01-31", "2026-01-01", "", "from: ageing is of one day's end"),
        ("access-log", "2999-01-31", None, "", "on: 2999-01-31 has not come yet"),
        ("credit-bureau", "2026-07-08", None, "", "on: bureau files do not speak of 2026-07-08; the next speaks of"),
        ("ageing", "2026-01-31", None, "LN-1", "loan: ageing is about all loans"),
    ],
)
async def test_what_cannot_be_asked_is_told_by_the_option(
    pool: asyncpg.Pool, name: str, on_day: str, since: str | None, loan: str, said: str
) -> None:
    begins = date.fromisoformat(since) if since else None
    with pytest.raises((UnknownReport, WrongAsk), match=said):
        async with running(
            pool, RULES, name, date.fromisoformat(on_day), now=LAST, since=begins, loan_id=loan
        ) as report:
            await report.footer()


async def test_text_that_a_spreadsheet_would_run_is_only_text(small_house: asyncpg.Pool) -> None:
    async with running(small_house, RULES, "write-offs", day("30 Jun"), now=LAST) as report:
        text = b"".join([piece async for piece in as_csv(report)]).decode()
    assert "gone away" in text
    async with running(small_house, RULES, "write-offs", day("30 Jun"), now=LAST) as report:
        document = json.loads(b"".join([piece async for piece in as_json(report)]))
    assert document["from"] == "2026-06-01"


async def qist(house: str, folder: Path, *arguments: str) -> tuple[int | None, str, str]:
    """`qist report ...` on this house, in October 2026: exit status, stdout, stderr."""
    settings = {"DATABASE_URL": house, "PARTITIONS": str(PARTITIONS), "DATA_DIR": str(folder), "CLOCK": "stepped"}
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "adapters.cli.main", "report", *arguments,
        env={**os.environ, **{f"QIST_{name}": value for name, value in settings.items()}},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await started.communicate()
    return started.returncode, out.decode(), err.decode()


async def test_the_command_shows_a_table_writes_a_file_and_says_when_the_books_differ(
    small_house: asyncpg.Pool, house: str, tmp_path: Path
) -> None:
    connection = await asyncpg.connect(house)
    await connection.execute("INSERT INTO simulated_clock (now) VALUES ($1)", on("1 Oct"))
    status, out, err = await qist(house, tmp_path, "npa-sma", "--on", "2026-05-31")
    assert (status, err) == (0, "")
    assert "1,00,000.00" in out
    assert "It reconciles to the ledger." in out
    file = tmp_path / "gst.csv"
    status, out, err = await qist(
        house, tmp_path, "gst", "--from", "2026-03-01", "--on", "2026-04-30", "--out", str(file)
    )
    assert (status, out) == (0, "")
    assert len(file.read_text().splitlines()) == 3  # names, invoice, credit note
    assert f"{file} is written" in err
    today = datetime.now(IST).date()
    status, out, _ = await qist(house, tmp_path, "access-log", "--on", str(today), "--json")
    assert status == 0
    read = [row["what"] for row in json.loads(out)["rows"]]
    assert read == [f"qist report {name}" for name in ("npa-sma", "gst", "access-log")]
    await connection.execute("UPDATE ledger.daily SET debit_paise = debit_paise + 700 WHERE account = 1100")
    await connection.close()
    status, out, _ = await qist(house, tmp_path, "ageing", "--on", "2026-05-31", "--json")
    assert status == 1
    assert json.loads(out)["reconciles"] is False
    status, _, err = await qist(house, tmp_path, "ageing", "--out", "ageing.pdf")
    assert (status, err) == (2, "qist report: --out ageing.pdf: a report's file ends in .csv, .json, .parquet, .xlsx\n")
