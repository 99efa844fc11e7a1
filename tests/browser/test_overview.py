"""The pages in a real browser: they live, explain themselves, and can be used by everybody; the README's picture."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from adapters.simulator.driver import Driver
from adapters.simulator.population import outages, population
from adapters.simulator.world import World
from domain.calendar import day_start
from tests.conftest import MakeDatabase
from tests.integration.house import House, a_house_of_its_own
from tests.stories import on

pytestmark = [pytest.mark.browser, pytest.mark.broker]

CHROMIUM = os.environ.get("QIST_TEST_CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PICTURE = Path(__file__).parents[2] / "docs/images/overview.png"
API = "/api/v1"
Scheme = Literal["light", "dark"]


@pytest.fixture(scope="module")
async def house(make_database: MakeDatabase, services_dir: Path) -> AsyncIterator[House]:
    """Empty at first; the tests below live in it one after another."""
    async with a_house_of_its_own(make_database, services_dir) as house:
        yield house


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    if shutil.which(CHROMIUM) is None:
        if os.environ.get("CI"):
            pytest.fail(f"no browser at {CHROMIUM}", pytrace=False)
        pytest.skip(f"no browser at {CHROMIUM}; QIST_TEST_CHROMIUM names another")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        await browser.close()


@asynccontextmanager
async def a_page(
    browser: Browser, house: House, path: str = "/", *, width: int = 1360, scheme: Scheme = "light"
) -> AsyncIterator[Page]:
    """A page that must stay without errors, and ask nothing of anybody else."""
    context = await browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = await context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda said: troubles.append(said.text) if "Content Security Policy" in said.text else None)
    page.on("request", lambda asked: None if asked.url.startswith(house.url) else troubles.append(asked.url))
    await page.goto(house.url + path)
    yield page
    await context.close()
    assert troubles == []


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
        for _ in range(9):
            await page.keyboard.press("Tab")
            reached.append(await page.evaluate("document.activeElement.textContent.trim()"))
        assert reached == [
            "Skip to the content", "Qist", "Portfolio", "Loans", "Recovery", "Collections", "Codes", "Reconciliation",
            "Pause",
        ]  # fmt: skip


PAGES = ["/", "/loans", "/loans/LN-1", "/loans/NOBODY", "/recovery", "/collections", "/codes", "/reconciliation"]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("width", [360, 768, 1360])
async def test_nothing_is_wider_than_the_screen(house: House, chromium: Browser, path: str, width: int):
    async with a_page(chromium, house, path, width=width) as page:
        assert await page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/loans", "/loans/LN-1", "/recovery"])
async def test_text_has_the_contrast_of_wcag_aa(house: House, chromium: Browser, path: str, scheme: Scheme):
    async with a_page(chromium, house, path, scheme=scheme) as page:
        if path == "/":
            await expect(page.locator("#state")).to_have_text("Live", timeout=15_000)
        seen: Sequence[Any] = await page.evaluate(CONTRASTS)
        assert len(seen) > 10
        assert [one for one in seen if one["ratio"] < 4.5] == []


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


async def test_picture_for_the_readme(make_database: MakeDatabase, services_dir: Path, chromium: Browser):
    """A portfolio of some months, as a visitor of the repository sees it; written only when asked for."""
    async with a_house_of_its_own(make_database, services_dir) as house:
        await live_until(house, "10 Apr 14:00")
        async with a_page(chromium, house) as page:
            await expect(page.locator("#state")).to_have_text("Live", timeout=15_000)
            await asyncio.sleep(1.5)
            picture = await page.screenshot(full_page=True)
            await expect(page.locator(".uplot canvas")).to_be_visible()
    assert len(picture) > 50_000
    if os.environ.get("QIST_TEST_PICTURES") or not PICTURE.exists():
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_bytes(picture)


async def live_until(house: House, said: str) -> None:
    """A simulated portfolio, lived up to the moment that the picture shows."""
    start, until = day_start(date(2026, 1, 1)), day_start(date(2026, 5, 1))
    world = World(7, population(7, 160, start.date(), 4), outages(7, start.date(), 4), until)
    world.add_garbage(start + timedelta(days=40), 3)
    driver = Driver(house.settings, world, start, until)
    assert await driver.run(enough=lambda: driver.now >= on(said))
    await house.until(f"{API}/dashboard", lambda told: not any(told["lag"].values()))


CONTRASTS = """
() => {
  // The text of each element against the first background behind it that is not transparent.
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const seen = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest(".unseen, .skip, script, noscript, option")) continue;
    let behind = element, back = [0, 0, 0, 0];
    while (behind && back[3] < 255) {
      back = rgb(getComputedStyle(behind).backgroundColor);
      behind = behind.parentElement;
    }
    if (back[3] < 255) back = rgb(getComputedStyle(document.body).backgroundColor);
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(back)].sort((x, y) => y - x);
    const ratio = Math.round(100 * (a + 0.05) / (b + 0.05)) / 100;
    seen.push({ text: element.textContent.trim().slice(0, 40), ratio });
  }
  return seen;
}
"""
