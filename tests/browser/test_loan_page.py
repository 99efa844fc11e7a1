"""A loan's page in a real browser: through time, and what one would do to it, shown before it is done."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, expect

from tests.browser.browsing import Scheme, a_page, faint, keep_picture
from tests.conftest import MakeDatabase
from tests.integration.house import House, a_house_of_its_own

pytestmark = [pytest.mark.browser, pytest.mark.broker]

LOAN = "LN-1"
PAGE = f"/loans/{LOAN}"
API = f"/api/v1/loans/{LOAN}"
RESTRUCTURE = f"{PAGE}/actions/restructure"
EIGHTEEN = "effective_on=2026-03-01&instalments=18"


@pytest.fixture(scope="module")
async def house(make_database: MakeDatabase, services_dir) -> AsyncIterator[House]:
    """One loan in March: February's instalment was bounced once, and paid."""
    async with a_house_of_its_own(make_database, services_dir) as house:
        await house.book(LOAN)
        await house.pay_out(LOAN)
        await house.until(API, lambda loan: loan["state"] == "active")
        await house.clock("5 Feb 07:00")
        await house.answer_debit(f"{LOAN}:1:1", code="04")
        await house.clock("8 Feb 08:00")
        await house.answer_debit(f"{LOAN}:1:2")
        await house.clock("1 Mar 12:00")
        await house.until(API, lambda loan: loan["received_paise"] > 0)
        yield house


async def test_the_slider_shows_the_loan_as_it_stood(house: House, chromium: Browser):
    async with a_page(chromium, house, PAGE) as page:
        await expect(page.locator("#on")).to_have_text("Now")
        received = page.locator(".figure", has_text="Received").locator(".amount")
        await expect(received).not_to_have_text("₹0.00")
        slider = page.get_by_role("slider")
        await slider.fill("31")  # 5 February: bounced
        await expect(page.locator(".pill.bad")).to_contain_text("1 days past due")
        await expect(received).to_have_text("₹0.00")
        await expect(page.locator("#on")).to_contain_text("5 Feb 2026")
        await expect(page.locator("#actions")).to_have_count(0)  # nothing can be done to the past
        await page.get_by_role("link", name="Event before").click()
        await expect(page).to_have_url(re.compile("at=2026-02-05T07"))
        await slider.focus()
        await page.keyboard.press("End")
        await expect(page.locator("#on")).to_have_text("Now")
        await expect(received).not_to_have_text("₹0.00")


async def test_without_scripts_a_day_can_be_asked_for(house: House, chromium: Browser):
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{house.url}{PAGE}")
    await page.get_by_label("Day", exact=True).fill("2026-02-06")
    await page.get_by_role("button", name="Show").click()
    await expect(page.locator("#on")).to_contain_text("As it stood on 6 Feb 2026")
    await context.close()


async def test_a_restructuring_shows_both_schedules_before_it_is_done(house: House, chromium: Browser):
    async with a_page(chromium, house, PAGE) as page:
        await page.get_by_role("link", name="Restructure").click()
        await page.get_by_label("From").fill("2026-03-01")
        await page.get_by_label("Instalments").fill("24")
        await page.get_by_label("Reason").fill("job lost")
        await page.get_by_role("button", name="Show what it would do").click()
        effect = page.locator("section", has_text="What it would do")
        await expect(effect.locator("tr", has_text="Instalment")).not_to_have_count(0)
        await expect(page.locator("table.both tbody tr").first).to_be_visible()
        assert (await house.get(API))["schedule_version"] == 1
        await page.get_by_role("button", name="Restructure", exact=True).click()
        await expect(page.locator(".told")).to_contain_text("Restructure: done")
        assert (await house.get(API))["schedule_version"] == 2


async def test_a_rule_that_says_no_is_told_at_its_field(house: House, chromium: Browser):
    async with a_page(chromium, house, f"{PAGE}/actions/record-payment") as page:
        await page.get_by_label("Amount").fill("much")
        await page.get_by_label("Value date").fill("2026-03-01")
        await page.get_by_role("button", name="Show what it would do").click()
        await expect(page.locator(".fault")).to_contain_text("an amount in rupees")
        await page.get_by_label("Amount").fill("0")
        await page.get_by_role("button", name="Show what it would do").click()
        await expect(page.locator(".told.bad")).to_contain_text("amount_must_be_positive")
        await page.get_by_label("Amount").fill("₹1,000.50")
        await page.get_by_role("button", name="Show what it would do").click()
        await expect(page.locator(".compare").first).to_contain_text("1,000.50")
        before = await house.get(API)
        await page.get_by_role("button", name="Record a payment", exact=True).click()
        await expect(page.locator(".told")).to_contain_text("Record payment: done")
        assert (await house.get(API))["received_paise"] - before["received_paise"] == 1_000_50


@pytest.mark.parametrize("path", [PAGE, f"{PAGE}?at=2026-02-06", f"{RESTRUCTURE}?{EIGHTEEN}"])
async def test_on_a_phone_nothing_is_wider_than_the_screen(house: House, chromium: Browser, path: str):
    async with a_page(chromium, house, path, width=360) as page:
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_has_the_contrast_of_wcag_aa(house: House, chromium: Browser, scheme: Scheme):
    for path in (PAGE, f"{RESTRUCTURE}?{EIGHTEEN}", f"{PAGE}/actions/part-prepay?amount_paise=much"):
        async with a_page(chromium, house, path, scheme=scheme) as page:
            assert await faint(page) == []


@pytest.mark.parametrize(("name", "path"), [("loan", PAGE), ("restructure", f"{RESTRUCTURE}?{EIGHTEEN}")])
async def test_the_pictures_of_the_docs(house: House, chromium: Browser, name: str, path: str):
    async with a_page(chromium, house, path) as page:
        await keep_picture(page, name)
