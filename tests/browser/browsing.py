"""A page as a person has it open."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import Browser, Page

from tests.integration.house import House

Scheme = Literal["light", "dark"]
PICTURES = Path(__file__).parents[2] / "docs/images"


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


async def keep_picture(page: Page, name: str) -> None:
    """The picture of a page for the docs: written where there is none yet, or all anew with QIST_TEST_PICTURES."""
    picture = await page.screenshot(full_page=True)
    assert len(picture) > 50_000
    path = PICTURES / f"{name}.png"
    if os.environ.get("QIST_TEST_PICTURES") or not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture)


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


async def faint(page: Page) -> list[str]:
    """Texts whose contrast is under what WCAG AA asks for; a page without texts was not looked at."""
    seen: list[dict[str, Any]] = await page.evaluate(CONTRASTS)
    assert len(seen) > 10
    return [f"{one['text']}: {one['ratio']}" for one in seen if one["ratio"] < 4.5]
