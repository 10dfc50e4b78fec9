"""Every page, in both languages, light and dark, wide and narrow: looked at, and audited by axe.

The pictures are in `screenshots/` afterwards, for people to look at.
"""

from itertools import product
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from support.app import App

from .conftest import SCREENSHOTS, new_visitor, settle

PAGES = {
    "search": "/?q=로그",
    "filtered": "/?q=lock&grouped=no&language=en&kind=digital",
    "nothing": "/?q=zebra",
    "start": "/",
    "books": "/books",
    "system": "/system",
}
LOOKS = list(product(("ko-KR", "en-US"), ("light", "dark"), (1280, 360)))
GRAVE = ("serious", "critical")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("locale", "scheme", "width"), LOOKS)
def test_a_page_fits_and_is_accessible(
    browser: Browser, app: App, name: str, locale: str, scheme: Any, width: int
) -> None:
    page = new_visitor(
        browser, app, locale, color_scheme=scheme, viewport={"width": width, "height": 900}
    )
    page.goto(PAGES[name])
    settle(page)
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}-{locale[:2]}-{scheme}-{width}.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert _faults(page) == {}


@pytest.mark.parametrize("path", ["/", "/books"])
def test_what_is_under_way_is_seen_on_every_page(browser: Browser, app: App, path: str) -> None:
    page = new_visitor(browser, app, "ko-KR", viewport={"width": 360, "height": 900})
    told = {"said": "넣는 중인 책: 2권 <b>", "part": 0.5}
    page.route("**/api/activity", lambda route: route.fulfill(json=told))
    page.goto(path)
    seen = page.locator(".row .activity")
    expect(seen).to_have_text(told["said"])
    expect(seen).to_have_attribute("href", "/books")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    told["said"] = ""
    expect(seen).to_be_hidden()


@pytest.mark.parametrize(
    ("status", "said"), [(503, "The server does not answer."), (401, "You are not signed in")]
)
def test_a_proxy_that_answers_for_the_app_is_heard(page: Page, status: int, said: str) -> None:
    page.route("**/api/activity", lambda route: route.fulfill(status=status, body="<p>away"))
    page.goto("/system")
    expect(page.locator(".row .activity")).to_contain_text(said)


@pytest.mark.parametrize(("locale", "scheme", "width"), LOOKS)
def test_the_use_of_a_server_is_drawn_and_its_numbers_open_by_key(
    browser: Browser, app: App, locale: str, scheme: Any, width: int
) -> None:
    page = new_visitor(
        browser, app, locale, color_scheme=scheme, viewport={"width": width, "height": 2600}
    )
    page.goto(PAGES["system"])
    settle(page)
    bars = page.locator(".stVegaLiteChart .mark-rect path")
    expect(bars).to_have_count(3 * 31)  # complete, degraded; p95
    table = page.locator(".use table")
    expect(table).to_be_hidden()
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(table.locator("tr")).to_have_count(32)
    page.keyboard.press("Tab")
    expect(page.locator(".use")).to_be_focused()
    page.screenshot(path=SCREENSHOTS / f"use-{locale[:2]}-{scheme}-{width}.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert _faults(page) == {}


def _faults(page: Page) -> dict[str, list[str]]:
    """The grave ones, by rule: where they are."""
    found = Axe().run(page).response["violations"]
    return {
        fault["id"]: [node["html"][:200] for node in fault["nodes"]]
        for fault in found
        if fault["impact"] in GRAVE
    }
