"""Reading, as a person does it."""

import json
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect
from support import pdfs
from support.app import App

from .conftest import SCREENSHOTS, settle

PICTURE = ".sheet img"
ONLY_ON_FIVE = pdfs.probe(7, 4)


@pytest.fixture(scope="module")
def manual(app: App) -> str:
    """The id of the book of 12 pages."""
    return next(b["id"] for b in json.loads(app.get("/api/books")[1]) if b["pages"] == 12)


def address(book: str, number: int, **more: str) -> str:
    return "/read?" + urlencode({"book": book, "page": str(number)} | more)


def open_page(page: Page, book: str, number: int, **more: str) -> Locator:
    page.goto(address(book, number, **more))
    return shown(page, number)


def shown(page: Page, number: int) -> Locator:
    """The picture of that page, painted and there."""
    picture = page.locator(f'{PICTURE}[src*="/{number}.png"]')
    expect(picture).to_be_visible()
    expect(picture).to_have_js_property("complete", True)
    expect(picture).not_to_have_js_property("naturalWidth", 0)
    return picture


@pytest.fixture
def loads(page: Page) -> Iterator[list[str]]:
    """Each time that the browser loads a whole page."""
    seen: list[str] = []
    page.on("load", lambda loaded: seen.append(loaded.url))
    yield seen


def test_turning_pages_and_back(page: Page, manual: str, loads: list[str]) -> None:
    open_page(page, manual, 3)
    page.get_by_role("button", name="Next page").click()
    shown(page, 4)
    expect(page).to_have_url(address(manual, 4))
    page.get_by_role("button", name="Next page").click()
    shown(page, 5)
    page.go_back()
    shown(page, 4)
    expect(page).to_have_url(address(manual, 4))
    page.go_back()
    shown(page, 3)
    page.go_forward()
    shown(page, 4)
    assert len(loads) == 1


def test_the_page_keeps_its_width_however_pages_turn(page: Page, manual: str) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto("/")
    expect(page.get_by_label("Search your books")).to_be_visible()
    narrow = _widths(page)[-1]
    open_page(page, manual, 3, q=pdfs.probe(7, 4))
    page.evaluate(_WATCH)
    for number in (4, 5, 6):
        page.keyboard.press("ArrowRight")
        shown(page, number)
        settle(page)
    for name, number in (("Next page", 7), ("Previous page", 6), ("Previous match", 5)):
        page.get_by_role("button", name=name).click()
        shown(page, number)
        settle(page)
    page.get_by_role("radio", name="150 %").click()
    expect(page.locator(".sheet.z150 img")).to_be_visible()
    settle(page)
    page.go_back()
    shown(page, 6)
    settle(page)
    wide = _widths(page)
    assert len(wide) == 1
    assert wide[0] > 1.5 * narrow
    page.get_by_role("link", name="Back to the search").click()
    expect(page.get_by_label("Search your books")).to_be_visible()
    settle(page)
    assert _widths(page)[-1] == narrow


# Every width that the page has from here on, also one that is gone after a frame; an element that
# takes the place of another is watched as well.
_WATCH = """() => {
  window.widths = [];
  const note = (width) => { if (width && widths.at(-1) !== width) widths.push(width); };
  const sizes = new ResizeObserver((seen) => seen.forEach((one) => note(one.target.offsetWidth)));
  const watch = () => document.querySelectorAll(".stMainBlockContainer").forEach((block) => {
    note(block.offsetWidth);
    sizes.observe(block);
  });
  new MutationObserver(watch).observe(document.body, {
    attributes: true, childList: true, subtree: true,
  });
  watch();
}"""


def _widths(page: Page) -> list[int]:
    """Those that were watched; without that the present one."""
    now = "[document.querySelector('.stMainBlockContainer').offsetWidth]"
    return list(page.evaluate(f"window.widths || {now}"))


def test_the_keyboard_turns_pages(page: Page, manual: str) -> None:
    open_page(page, manual, 3)
    page.keyboard.press("ArrowRight")
    shown(page, 4)
    page.keyboard.press("ArrowLeft")
    shown(page, 3)


def test_to_the_next_match_and_its_mark(page: Page, manual: str, app: App) -> None:
    open_page(page, manual, 3, q=f'"{ONLY_ON_FIVE}"')
    expect(page.get_by_text("pages that match: 1")).to_be_visible()
    page.get_by_role("button", name="Next match").click()
    source = shown(page, 5).get_attribute("src") or ""
    expect(page.get_by_text("match 1 of 1")).to_be_visible()
    expect(page.get_by_role("button", name="Next match")).to_be_disabled()
    marked = page.request.get(source).body()
    assert marked != page.request.get(source.replace(ONLY_ON_FIVE, "")).body()


def test_jumping_to_a_chapter(page: Page, manual: str) -> None:
    open_page(page, manual, 1)
    page.get_by_role("combobox", name="Chapter").click()
    page.get_by_role("option").last.click()
    expect(page).not_to_have_url(address(manual, 1))
    assert int(page.url.rpartition("page=")[2]) > 1


def test_jumping_to_a_page(page: Page, manual: str) -> None:
    open_page(page, manual, 1)
    box = page.get_by_label("Page of the file")
    box.fill("9")
    box.press("Enter")
    shown(page, 9)


def test_zoom_stays_while_pages_turn(page: Page, manual: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    picture = open_page(page, manual, 3)
    fitted = picture.bounding_box()
    page.get_by_role("radio", name="200 %").click()
    expect(page.locator(".sheet.z200 img")).to_be_visible()
    page.get_by_role("button", name="Next page").click()
    enlarged = shown(page, 4).bounding_box()
    assert fitted
    assert enlarged
    assert enlarged["width"] > 1.5 * fitted["width"]
    page.reload()
    shown(page, 4)
    expect(page.locator(".sheet.z200 img")).to_be_visible()


def test_the_text_and_the_file_are_there(page: Page, manual: str) -> None:
    open_page(page, manual, 5)
    page.get_by_text("Text of this page").click()
    expect(page.locator("code")).to_contain_text(ONLY_ON_FIVE)
    link = page.get_by_role("link", name="The PDF at this page")
    assert (link.get_attribute("href") or "").endswith(f"/book/{manual}.pdf#page=5")
    assert link.get_attribute("target") == "_blank"
    assert page.request.get(f"/book/{manual}.pdf").body().startswith(b"%PDF-")


def test_back_to_the_search(page: Page, manual: str) -> None:
    open_page(page, manual, 5, q=ONLY_ON_FIVE)
    page.get_by_role("link", name="Back to the search").click()
    expect(page.get_by_label("Search your books")).to_have_value(ONLY_ON_FIVE)
    page.go_back()
    shown(page, 5)


def test_a_book_that_is_not_there(page: Page) -> None:
    page.goto(address("0" * 64, 1))
    expect(page.get_by_text("There is no such book.")).to_be_visible()
    page.get_by_role("link", name="To the search").click()
    expect(page.get_by_label("Search your books")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_it_looks_well_and_everybody_can_use_it(
    browser: Browser, app: App, manual: str, width: int, scheme: str, locale: str
) -> None:
    context = browser.new_context(
        base_url=f"http://127.0.0.1:{app.port}",
        locale=locale,
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": 900},
    )
    page = context.new_page()
    open_page(page, manual, 5, q=ONLY_ON_FIVE)
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"reader-{locale[:2]}-{scheme}-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page).response["violations"]
    serious = [f for f in found if f["impact"] in ("serious", "critical")]
    assert [(f["id"], [n["html"] for n in f["nodes"]]) for f in serious] == []
    context.close()
