"""Documents on a real database: made by themselves, kept with their hash, made again by reference, at the API, by
`qist document`; and what is left of them when the borrower is erased or the loan opens again."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from adapters.database import connect_pool
from adapters.documents import office as offices
from adapters.documents.lender import Lender
from adapters.documents.maker import BATCH, Maker
from adapters.documents.office import ContradictsBooks, DocumentUnknown, Office, office_of
from adapters.documents.recipes import Recipe
from adapters.event_store.migrate import migrate
from adapters.http import models
from adapters.http.app import create_app
from adapters.http.desk import open_desk
from adapters.settings import Settings
from domain.ensure import InvariantBroken
from domain.events import LoanEvent, PreclosureQuoted
from streams.wire import Secret
from tests.adapters.documents.stories import LENDER, life
from tests.conftest import MakeDatabase
from tests.examples import a_closed_loan, a_loan
from tests.log_writer import LogWriter
from tests.stories import on, taken_back

pytestmark = pytest.mark.slow

PARTITIONS = 4
NAME = "Asha Devi Kumari"
BY_THEMSELVES = (
    "key-facts", "repayment-schedule", "restructuring-letter", "pre-closure-quote",
    "no-dues-certificate", "closure-statement",
)  # fmt: skip


@dataclass
class House:
    """A log that a test writes, and the office that makes documents of it."""

    settings: Settings
    pool: asyncpg.Pool
    office: Office
    writer: LogWriter

    async def log(self, events: Sequence[LoanEvent]) -> None:
        async with self.pool.acquire() as connection:
            await self.writer.write(connection, events)  # pyright: ignore[reportArgumentType]

    async def follow(self) -> int:
        """Until nothing is left to make."""
        maker, made = Maker(self.office), 0
        while behind := await maker.turn():
            made += behind
        return made

    async def name(self, said: str, borrower_id: str = "B-1") -> None:
        async with self.pool.acquire() as connection, connection.transaction():
            secret = Secret(f"{borrower_id}:person", borrower_id, {"name": said})
            await self.office.vault.store(connection, [secret], on("5 Jan"))  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
async def house(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One house for all; each test has a loan of its own, and each loan a borrower."""
    async with make_database() as dsn:
        await migrate(dsn, PARTITIONS)
        settings = Settings(
            database_url=dsn,
            partitions=PARTITIONS,
            data_dir=tmp_path_factory.mktemp("documents"),
            clock="stepped",
            lender_name=LENDER.name,
            api_auth="open",
        )
        pool = await connect_pool(dsn, name="test", size=4)
        connection = await asyncpg.connect(dsn)
        await connection.execute("INSERT INTO simulated_clock (now) VALUES ($1)", on("2 May 2026 12:00"))
        await connection.close()
        house = House(settings, pool, office_of(settings, pool), LogWriter(PARTITIONS))
        await house.name(NAME)
        try:
            yield house
        finally:
            await pool.close()


async def test_what_events_call_for_is_made_by_itself_in_the_borrowers_language(house: House):
    await house.log(life("hi", "LN-ITSELF"))
    assert await house.follow() == len(BY_THEMSELVES)
    issued = await house.office.listed("LN-ITSELF", 100)
    assert sorted(one["kind"] for one in issued) == sorted(BY_THEMSELVES)
    assert {one["language"] for one in issued} == {"hi"}
    assert all(one["sha256"] and one["bytes"] > 10_000 and not one["flaw"] for one in issued)
    assert await house.follow() == 0, "each once"


async def test_makers_share_the_work_and_make_none_twice(house: House):
    loans = [f"LN-SHARED-{number}" for number in range(6)]
    await house.log([event for loan_id in loans for event in a_closed_loan(loan_id=loan_id).events])
    await asyncio.gather(*(Maker(house.office).turn() for _ in range(3)))
    await house.follow()
    count = await house.pool.fetchval("SELECT count(*) FROM documents WHERE loan_id = ANY($1)", loans)
    assert count == 6 * 4 > BATCH


class TestByReference:
    async def test_the_bytes_are_those_that_were_issued_whatever_happened_since(self, house: House):
        events = life("en", "LN-SINCE")
        place = next(place for place, event in enumerate(events) if isinstance(event, PreclosureQuoted)) + 1
        await house.log(events[:place])
        await house.follow()
        before = {one["document_id"]: one["sha256"] for one in await house.office.listed("LN-SINCE", 100)}
        assert len(before) == 4
        await house.log(events[place:])
        await house.name("Asha Kumari")
        renamed = replace(house.office, lender=Lender(name="Renamed Finance"))
        for document_id, sha256 in before.items():
            again = await renamed.again("LN-SINCE", document_id)
            assert again.same_bytes
            assert again.document.sha256 == hashlib.sha256(again.document.pdf).hexdigest() == sha256

    async def test_after_erasure_the_name_is_gone_and_the_figures_are_the_same(self, house: House):
        await house.log(a_closed_loan(loan_id="LN-ERASED", borrower_id="B-2").events)
        await house.name(NAME, "B-2")
        await house.follow()
        issued = {one["kind"]: one for one in await house.office.listed("LN-ERASED", 100)}["no-dues-certificate"]
        assert (await house.office.again("LN-ERASED", issued["document_id"])).same_bytes
        async with house.pool.acquire() as connection:
            await house.office.vault.erase(connection, "B-2")  # pyright: ignore[reportArgumentType]
        again = await house.office.again("LN-ERASED", issued["document_id"])
        assert (again.same_bytes, again.name_kept) == (False, False)
        assert again.document.figures_sha256 == issued["figures_sha256"]
        kept = await house.pool.fetch(
            "SELECT d::text || l.facts::text AS row FROM documents d JOIN document_letterheads l USING (letterhead)"
        )
        assert not any(NAME in row["row"] for row in kept)

    async def test_one_that_was_never_issued_can_be_made_by_its_reference_too(self, house: House):
        events = life("en", "LN-NEVER")
        await house.log(events)
        version = max(event.originator_version for event in events if event.timestamp < on("2 Mar"))
        again = await house.office.again("LN-NEVER", f"statement-of-account.{version}.2026-01-05.2026-03-01.en.v1")
        assert again.same_bytes is None
        assert again.document.pdf.startswith(b"%PDF")
        for wrong in (
            "will.1.2026-01-01.en.v1",
            "key-facts.999.2026-01-01.en.v1",
            "key-facts.3.2026-01-05.en.v9",
            "statement-of-account.44.2026-01-05.2026-03-01.en.v1",  # its last event came later
        ):
            with pytest.raises(DocumentUnknown):
                await house.office.again("LN-NEVER", wrong)


async def test_a_certificate_of_a_loan_that_opened_again_is_void(house: House):
    story = a_closed_loan(loan_id="LN-AGAIN")
    await house.log(story.events)
    await house.follow()
    assert not any(one["void_since"] for one in await house.office.listed("LN-AGAIN", 100))
    told = len(story.events)
    story.when(on("10 Feb"), taken_back("P-1"))
    await house.log(story.events[told:])
    void = {one["kind"] for one in await house.office.listed("LN-AGAIN", 100) if one["void_since"] == on("10 Feb")}
    assert void == {"no-dues-certificate", "closure-statement"}


async def test_a_document_that_cannot_be_made_is_listed_with_its_reason_and_holds_up_none(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    def broken(recipe: Recipe, *rest: Any) -> Any:
        if recipe.kind == "key-facts":
            raise ValueError("no such thing")
        return whole(recipe, *rest)

    async def flaws() -> dict[str, str | None]:
        return {one["kind"]: one["flaw"] for one in await house.office.listed("LN-FLAW", 9)}

    whole = offices.make
    monkeypatch.setattr(offices, "make", broken)
    await house.log(a_loan(loan_id="LN-FLAW").events)
    await house.follow()
    assert await flaws() == {"key-facts": "no such thing", "repayment-schedule": None}
    monkeypatch.undo()
    [flawed] = [one for one in await house.office.listed("LN-FLAW", 9) if one["flaw"]]
    history = (await house.office.history("LN-FLAW")).until(flawed["version"])
    made = await house.office.again("LN-FLAW", flawed["document_id"])
    assert await house.office.issue(made.document, history, 1, called_by="test", at=on("6 Jan"))
    assert await flaws() == {"key-facts": None, "repayment-schedule": None}


@pytest.fixture(scope="module")
async def http(house: House) -> AsyncIterator[httpx.AsyncClient]:
    await house.log(life("en", "LN-HTTP"))
    await house.follow()
    async with open_desk(house.settings) as desk:
        app = create_app()
        app.state.desk = desk
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as http:
            yield http


async def test_one_that_would_contradict_the_books_is_not_made(house: House, monkeypatch: pytest.MonkeyPatch):
    def contradicts(*_: Any) -> Any:
        raise InvariantBroken("the account is the ledger's", owed=1)

    await house.log(a_loan(loan_id="LN-BROKEN").events)
    monkeypatch.setattr(offices, "make", contradicts)
    with pytest.raises(ContradictsBooks, match="qist audit verify --loan LN-BROKEN"):
        await house.office.on_demand("LN-BROKEN", "key-facts", "en", on("6 Jan").date())
    await house.follow()
    flaws = [one["flaw"] for one in await house.office.listed("LN-BROKEN", 9)]
    assert len(flaws) == 2
    assert all("contradict the books" in flaw for flaw in flaws)


class TestAtTheApi:
    async def test_documents_are_listed_read_and_issued(self, http: httpx.AsyncClient):
        place = "/api/v1/loans/LN-HTTP/documents"
        page = models.DocumentPage.model_validate((await http.get(place)).json())
        assert [one.kind for one in page.items][:2] == ["no-dues-certificate", "closure-statement"]
        assert "pre-closure-quote" not in {one.kind for one in page.possible}, "the loan has ended"
        first = (await http.get(f"{place}?limit=4")).json()
        rest = (await http.get(f"{place}?cursor={first['next_cursor']}")).json()
        assert [*first["items"], *rest["items"]] == (await http.get(place)).json()["items"]

        one = page.items[0]
        pdf = await http.get(f"{place}/{one.document_id}")
        assert pdf.headers["content-type"] == "application/pdf"
        assert pdf.headers["document-issued"] == "yes"
        assert hashlib.sha256(pdf.content).hexdigest() == one.sha256 == pdf.headers["etag"].strip('"')
        known = await http.get(f"{place}/{one.document_id}", headers={"If-None-Match": pdf.headers["etag"]})
        assert known.status_code == 304

        certificate = await http.get(f"{place}/interest-certificate?on=2026-03-31&language=en")
        assert certificate.headers["document-issued"] == "no"
        ask = {"kind": "interest-certificate", "on": "2026-03-31", "language": "en"}
        issued = await http.post(place, json=ask)
        assert issued.status_code == 201
        assert models.Document.model_validate(issued.json()).sha256 == hashlib.sha256(certificate.content).hexdigest()
        assert (await http.post(place, json=ask)).status_code == 200
        assert (await http.get(issued.headers["location"])).content == certificate.content

    @pytest.mark.parametrize(
        ("path", "status", "kind"),
        [
            ("LN-HTTP/documents/will", 404, "document-unknown"),
            ("LN-HTTP/documents/key-facts.900.2026-01-01.en.v1", 404, "document-unknown"),
            ("LN-HTTP/documents/pre-closure-quote", 409, "document-not-possible"),
            ("LN-HTTP/documents/statement-of-account?from=2026-05-01&on=2026-04-01", 409, "document-not-possible"),
            ("LN-HTTP/documents/statement-of-account?on=2025-01-01&from=2024-12-01", 409, "document-not-possible"),
            ("LN-HTTP/documents/statement-of-account?on=yesterday", 422, "parameter-invalid"),
            ("LN-HTTP/documents/statement-of-account?language=fr", 422, "parameter-invalid"),
            ("LN-HTTP/documents?cursor=!!", 422, "cursor-invalid"),
            ("NOBODY/documents", 404, "loan-unknown"),
            ("NOBODY/documents/key-facts", 404, "loan-unknown"),
            ("no%20id/documents", 404, "loan-unknown"),
        ],
    )
    async def test_a_no_says_why(self, http: httpx.AsyncClient, path: str, status: int, kind: str):
        answer = await http.get(f"/api/v1/loans/{path}")
        assert (answer.status_code, answer.json()["type"]) == (status, f"urn:qist:problem:{kind}")

    async def test_the_page_of_the_loan_has_a_link_to_each(self, http: httpx.AsyncClient):
        page = (await http.get("/loans/LN-HTTP")).text
        listed = (await http.get("/api/v1/loans/LN-HTTP/documents")).json()
        for one in listed["items"]:
            assert f'href="/api/v1/loans/LN-HTTP/documents/{one["document_id"]}"' in page
        for one in listed["possible"]:
            assert f'href="/api/v1/loans/LN-HTTP/documents/{one["kind"]}?language=hi"' in page
        assert "interest-certificate?on=2026-03-31&amp;language=hi" in page  # the year before
        then = (await http.get("/loans/LN-HTTP?at=2026-03-10")).text
        assert "statement-of-account?on=2026-03-10&amp;language=hi" in then
        assert "no-dues-certificate" not in then


async def test_the_command_line_makes_issues_lists_and_makes_again(house: House, tmp_path: Path):
    async def qist(*arguments: str) -> tuple[int | None, bytes, str]:
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "adapters.cli.main", *arguments,
            env={**os.environ, **house.settings.environment()},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await started.communicate()
        return started.returncode, out, err.decode()

    await house.log(life("hi", "LN-CLI"))
    path, day = tmp_path / "statement.pdf", ("--on", "2026-03-31")
    made = await qist("document", "LN-CLI", "statement-of-account", "--issue", *day, "--out", str(path))
    assert made[:2] == (0, b""), made
    reference = made[2].splitlines()[-1].split(":")[0]
    assert reference.endswith(".2026-01-05.2026-03-31.hi.v1")
    status, out, _ = await qist("documents", "LN-CLI", "--check")
    assert (status, out.decode().count("same bytes")) == (0, 1)
    assert reference in out.decode()
    status, out, err = await qist("document", "LN-CLI", reference, "--out", "-")
    assert (status, out) == (0, path.read_bytes())
    assert "the bytes that were issued" in err
