"""The pages in a real browser: they live, explain themselves, and can be used by everybody; the README's picture."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from adapters.simulator.driver import Driver
from adapters.simulator.population import outages, population
from adapters.simulator.world import World
from domain.calendar import day_start
from tests.browser.browsing import Scheme, a_page, faint, keep_picture
from tests.conftest import MakeDatabase
from tests.integration.house import House, a_house_of_its_own
from tests.stories import on

pytestmark = [pytest.mark.browser, pytest.mark.broker]

API = "/api/v1"


@pytest.fixture(scope="module")
async def house(make_database: MakeDatabase, services_dir: Path) -> AsyncIterator[House]:
    """Empty at first; the tests below live in it one after another."""
    async with a_house_of_its_own(make_database, services_dir) as house:
        yield house


async def test_an_empty_house_says_what_to_do_and_fills_by_itself(house: House, chromium: Browser):
    async with a_page(chromium, house) as page:
        await expect(page.locator("#empty")).to_be_visible()
        await expect(page.locator("#empty")).to_contain_text("qist demo")
        await expect(page.locator("#empty")).to_contain_text(str(house.settings.kafka_bootstrap))
        await expect(page.locator("#state")).to_have_text("Live", timeout=15_000)
        await house.book("LN-1")
        await house.pay_out("LN-1")
        await expect(page.locator("#empty")).to_be_hidden(timeout=20_000)
        await expect(page.locator(".figure", has_text="Disbursed")).to_contain_text("₹1,00,000", timeout=20_000)
        await expect(page.locator(".ticker")).to_contain_text("reached the borrower", timeout=20_000)
        await expect(page.locator(".ticker a").first).to_have_attribute("href", "/loans/LN-1")


async def test_money_that_comes_in_is_seen_without_loading_again(house: House, chromium: Browser):
    async with a_page(chromium, house) as page:
        await expect(page.locator("#state")).to_have_text("Live", timeout=15_000)
        await page.evaluate("window.same = true")
        await house.clock("5 Feb 07:00")
        await house.answer_debit("LN-1:1:1", code="04")
        debits = page.locator("[data-part=debits]")
        await expect(debits.locator("tr", has_text="soft").locator("td").first).to_have_text("1", timeout=20_000)
        payment = {"type": "record-payment", "payment_reference": "P-1", "amount_paise": 2_34_567_00, "method": "upi"}
        body = {**payment, "value_on": "2026-02-05"}
        await house.http.post(f"{API}/loans/LN-1/commands", json=body)
        await expect(page.locator(".figure", has_text="Collected")).to_contain_text("₹2,34,567", timeout=20_000)
        assert await page.evaluate("window.same")


async def test_a_lost_stream_is_said_and_found_again(house: House, chromium: Browser):
    async with a_page(chromium, house) as page:
        await expect(page.locator("#state")).to_have_text("Live", timeout=15_000)
        await page.context.set_offline(True)
        await page.evaluate("document.getElementById('pause').click()")  # closes the stream ...
        await page.evaluate("document.getElementById('pause').click()")  # ... and cannot open it again
        await expect(page.locator("#lost")).to_be_visible(timeout=15_000)
        await expect(page.locator("#state")).to_have_text("Connection lost")
        await page.context.set_offline(False)
        await expect(page.locator("#state")).to_have_text("Live", timeout=25_000)
        await expect(page.locator("#lost")).to_be_hidden()


async def test_it_can_be_paused(house: House, chromium: Browser):
    async with a_page(chromium, house) as page:
        await expect(page.locator("#state")).to_have_text("Live", timeout=15_000)
        await page.get_by_role("button", name="Pause").click()
        await expect(page.locator("#state")).to_have_text("Paused")
        await page.get_by_role("button", name="Go on").click()
        await expect(page.locator("#state")).to_have_text("Live", timeout=15_000)


async def test_what_retries_bring_is_on_a_page_of_its_own(house: House, chromium: Browser):
    async with a_page(chromium, house, "/recovery") as page:  # LN-1's first debit found no funds, above
        by_class = page.get_by_role("region", name="Recoveries by class of the failure")
        await expect(by_class.locator("tbody tr")).to_contain_text("Soft")
        await page.get_by_label("to").fill("2025-12-31")
        await page.get_by_role("button", name="Show").click()
        await expect(page.locator(".empty")).to_contain_text("No debit failed on these days")


async def test_keyboard_reaches_everything_in_order(house: House, chromium: Browser):
    async with a_page(chromium, house) as page:
        await expect(page.locator("#state")).to_have_text("Live", timeout=15_000)
        reached = []
        for _ in range(13):
            await page.keyboard.press("Tab")
            reached.append(await page.evaluate("document.activeElement.textContent.trim()"))
        assert reached == [
            "Skip to the content", "Qist", "Portfolio", "Loans", "Delinquency", "Failures", "Recovery", "Collections",
            "Codes", "Reconciliation", "Set aside", "Approvals",
            "Pause",
        ]  # fmt: skip


PAGES = [
    "/", "/loans", "/loans/LN-1", "/loans/NOBODY", "/delinquency", "/failures", "/recovery", "/collections", "/codes",
    "/reconciliation", "/set-aside", "/approvals", "/sign-in",
]  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("width", [360, 768, 1360])
async def test_nothing_is_wider_than_the_screen(house: House, chromium: Browser, path: str, width: int):
    async with a_page(chromium, house, path, width=width) as page:
        assert await page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/loans", "/loans/LN-1", "/delinquency", "/failures", "/recovery", "/set-aside"])
async def test_text_has_the_contrast_of_wcag_aa(house: House, chromium: Browser, path: str, scheme: Scheme):
    async with a_page(chromium, house, path, scheme=scheme) as page:
        if path == "/":
            await expect(page.locator("#state")).to_have_text("Live", timeout=15_000)
        assert await faint(page) == []


async def test_a_loan_shows_its_schedule_its_books_and_its_story(house: House, chromium: Browser):
    async with a_page(chromium, house, "/loans") as page:
        await page.get_by_label("Loan or borrower begins with").fill("LN-")
        await page.keyboard.press("Enter")
        await page.get_by_role("link", name="LN-1").click()
        await expect(page.locator("h1")).to_contain_text("LN-1")
        await expect(page.get_by_role("region", name="Schedule 1").locator("tbody tr")).to_have_count(12)
        await expect(page.locator("#events + .ticker li").last).to_contain_text("Booked: personal-loan")
        await expect(page.locator("body")).to_contain_text("Trial balance ₹0.00")
        assert "Asha" not in await page.content()


async def test_failures_lead_further_in(house: House, chromium: Browser):
    async with a_page(chromium, house, "/failures?since=2026-02-01&until=2026-02-28&by=class") as page:
        await expect(page.locator("#patterns ~ p")).to_contain_text("Nothing departs from its own history")
        await page.get_by_role("link", name="Soft").click()
        await page.get_by_role("link", name="04").click()
        await expect(page.get_by_role("region", name="By bank").locator("tbody tr")).to_contain_text(["HDFC"])


async def test_what_was_refused_is_sent_again_from_its_page(house: House, chromium: Browser):
    body = {"loan_id": "LN-1", "phone": "+919812345678", "amount_paise": "much"}
    await house.tell("gateway.debit-outcomes", "gateway.debit.failed.v1", body, key="LN-1", id="junk-1")
    [letter] = (await house.until(f"{API}/dead-letters", lambda told: told["items"]))["items"]
    async with a_page(chromium, house, "/set-aside") as page:
        await page.get_by_role("link", name=str(letter["id"]), exact=True).click()
        await expect(page.locator("pre")).to_contain_text('"amount_paise"')
        assert "9812345678" not in await page.content()
        await page.get_by_role("button", name="Send again").click()
        await expect(page.locator(".told")).to_contain_text("was sent again")
    again = await house.until(f"{API}/dead-letters", lambda told: [one["id"] != letter["id"] for one in told["items"]])
    assert [one["field"] for one in again["items"]] == [letter["field"]]


async def test_picture_for_the_readme(make_database: MakeDatabase, services_dir: Path, chromium: Browser):
    """A portfolio of some months, as a visitor of the repository sees it; written only when asked for."""
    async with a_house_of_its_own(make_database, services_dir) as house:
        await live_until(house, "10 Apr 14:00")
        async with a_page(chromium, house) as page:
            await expect(page.locator("#state")).to_have_text("Live", timeout=15_000)
            await asyncio.sleep(1.5)
            await expect(page.locator(".uplot canvas")).to_be_visible()
            await keep_picture(page, "overview")


async def live_until(house: House, said: str) -> None:
    """A simulated portfolio, lived up to the moment that the picture shows."""
    start, until = day_start(date(2026, 1, 1)), day_start(date(2026, 5, 1))
    world = World(7, population(7, 160, start.date(), 4), outages(7, start.date(), 4), until)
    world.add_garbage(start + timedelta(days=40), 3)
    driver = Driver(house.settings, world, start, until)
    assert await driver.run(enough=lambda: driver.now >= on(said))
    await house.until(f"{API}/dashboard", lambda told: not any(told["lag"].values()))
