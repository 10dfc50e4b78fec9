"""Reading, as a person does it."""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FrameLocator, Locator, Page, Route, expect
from support import pdfs
from support.app import App
from support.shelf import wait_for

from .conftest import SCREENSHOTS, new_visitor, settle

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


def shown(page: Page | FrameLocator, number: int) -> Locator:
    """The picture of that page, painted and there, and its text over it."""
    picture = page.locator(f'#picture[src*="/{number}.png"]')
    expect(picture).to_be_visible()
    expect(picture).to_have_js_property("complete", True)
    expect(picture).not_to_have_js_property("naturalWidth", 0)
    expect(page.locator("#text p")).not_to_have_count(0)
    return picture


@pytest.fixture
def loads(page: Page) -> Iterator[list[str]]:
    """Each time that the browser loads a whole page."""
    seen: list[str] = []
    page.on("load", lambda loaded: seen.append(loaded.url))
    yield seen


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_turning_pages_and_back(page: Page, manual: str, loads: list[str]) -> None:
    open_page(page, manual, 3)
    press(page, "Next page")
    shown(page, 4)
    expect(page).to_have_url(address(manual, 4))
    page.wait_for_timeout(1100)  # who leafs makes one step
    press(page, "Next page")
    shown(page, 5)
    page.go_back()
    shown(page, 4)
    expect(page).to_have_url(address(manual, 4))
    page.go_back()
    shown(page, 3)
    page.go_forward()
    shown(page, 4)
    assert len(loads) == 1


def test_a_held_key_turns_as_many_pages_as_it_says(page: Page, manual: str) -> None:
    open_page(page, manual, 1)
    steps = page.evaluate("history.length")
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    expect(page).to_have_url(address(manual, 11))
    shown(page, 11)
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    shown(page, 12)
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    shown(page, 7)
    assert page.evaluate("history.length") <= steps + 3


def test_the_page_keeps_its_size_and_has_it_before_its_picture(page: Page, manual: str) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    open_page(page, manual, 3)
    whole = page.locator("#sheet").bounding_box()
    assert whole
    assert whole["height"] > 0.85 * 900
    page.route("**/*.png*", lambda route: None)  # no picture comes any more
    for number in range(9, 12):
        page.keyboard.press("ArrowRight")
        assert page.locator("#sheet").bounding_box() == whole, number


def test_the_keys_work_with_a_hangul_keyboard(page: Page, manual: str, app: App) -> None:
    open_page(page, manual, 3, find=f'"{ONLY_ON_FIVE}"')
    page.evaluate(
        """document.dispatchEvent(
            new KeyboardEvent("keydown", {key: "ㅜ", code: "KeyN", bubbles: true}))"""
    )
    shown(page, 5)


def test_to_the_next_match_and_its_mark(page: Page, manual: str) -> None:
    open_page(page, manual, 3, find=f'"{ONLY_ON_FIVE}"')
    expect(page.get_by_text("pages that match: 1")).to_be_visible()
    press(page, "Next match")
    shown(page, 5)
    expect(page.get_by_text("match 1 of 1")).to_be_visible()
    mark, word = page.locator("#marks .now"), page.locator("#text span", has_text=ONLY_ON_FIVE)
    expect(mark).to_have_count(1)
    assert overlap(mark, word.first) > 0.7


def overlap(one: Locator, other: Locator) -> float:
    """Intersection over union of two boxes."""
    a, b = one.bounding_box(), other.bounding_box()
    assert a
    assert b
    across = min(a["x"] + a["width"], b["x"] + b["width"]) - max(a["x"], b["x"])
    down = min(a["y"] + a["height"], b["y"] + b["height"]) - max(a["y"], b["y"])
    both = max(across, 0) * max(down, 0)
    return both / (a["width"] * a["height"] + b["width"] * b["height"] - both)


def test_from_mark_to_mark_and_on_to_the_next_page(page: Page, manual: str) -> None:
    query = "lock flag active restart"
    open_page(page, manual, 3, find=query)
    text = page.locator("#count").inner_text()
    found = re.search(r"match 1 of (\d+)", text)
    assert found, text
    many = int(found[1])
    assert many > 1
    for number in range(2, many + 1):
        page.keyboard.press("n")
        expect(page.get_by_text(f"match {number} of {many}")).to_be_visible()
    page.keyboard.press("n")
    expect(page).not_to_have_url(address(manual, 3, find=query))
    page.keyboard.press("p")
    shown(page, 3)
    expect(page.get_by_text(f"match {many} of {many}")).to_be_visible()


def test_the_outline_jumps_and_shows_where_one_is(page: Page, manual: str) -> None:
    open_page(page, manual, 1)
    press(page, "Contents")
    last = page.locator("#outline a").last
    last.click()
    expect(last).to_have_attribute("aria-current", "true")
    expect(page).not_to_have_url(address(manual, 1))
    assert int(page.url.rpartition("page=")[2]) > 1


def test_the_outline_tells_levels_and_matches(page: Page, manual: str) -> None:
    open_page(page, manual, 1, find="lock")
    press(page, "Contents")
    links = page.locator("#outline a")
    levels = links.evaluate_all(
        "all => all.map(one => [one.firstChild.data, one.style.getPropertyValue('--level')])"
    )
    assert levels
    for title, level in levels:
        assert level == ("1" if re.match(r"\d\.\d", title) else "0"), title
    counts = page.locator("#outline b").all_inner_texts()
    told = page.get_by_text(re.compile("pages that match|match 1 of"))
    expect(told).to_be_visible()
    pages = json.loads(page.request.get(f"/api/book/{manual}?q=lock").text())["matches"]
    assert sum(map(int, counts)) == len(pages) > 0


def test_all_pages_as_small_pictures(page: Page, manual: str) -> None:
    open_page(page, manual, 2, find="lock")
    press(page, "All pages as pictures")
    small = page.locator("#thumbs a")
    expect(small).to_have_count(12)
    expect(small.nth(1)).to_have_attribute("aria-current", "true")
    expect(small.nth(8).locator("img")).not_to_have_js_property("naturalWidth", 0)
    assert page.locator("#thumbs a.matches").count() > 0
    small.nth(8).click()
    shown(page, 9)
    expect(small.nth(8)).to_have_attribute("aria-current", "true")
    press(page, "Contents")
    expect(page.locator("#thumbs")).to_be_hidden()
    page.keyboard.press("t")
    expect(page.locator("#outline")).to_be_hidden()


def test_a_page_that_came_by_itself_is_not_where_one_stopped(page: Page, manual: str) -> None:
    open_page(page, manual, 5, still="1")
    expect(page.locator("#view")).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert "reading=" not in str(page.evaluate("document.cookie"))
    page.keyboard.press("ArrowRight")
    shown(page, 6)
    kept = f"reading={manual[:12]}.6"
    wait_for(lambda: kept in str(page.evaluate("document.cookie")), "the place")


def test_what_is_to_be_known_of_a_page_stays(page: Page, manual: str) -> None:
    def doubt(route: Route) -> None:
        told = route.fetch().json()
        route.fulfill(json=told | {"remarks": ["It is doubtful."] if told["number"] == 5 else []})

    page.route(f"**/api/book/{manual}/*", doubt)
    with page.expect_response(f"**/api/book/{manual}/4?*"):  # a neighbour, after the page itself
        open_page(page, manual, 5)
    page.wait_for_load_state("networkidle")
    expect(page.locator("#remark")).to_have_text("It is doubtful.")
    page.unroute_all(behavior="wait")


def test_jumping_to_a_page(page: Page, manual: str) -> None:
    open_page(page, manual, 1)
    box = page.get_by_label("Page", exact=True)
    box.fill("9")
    box.press("Enter")
    shown(page, 9)
    box.fill("nothing")
    box.press("Enter")
    expect(box).to_have_value("9")


def test_zoom_stays_while_pages_turn(page: Page, manual: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    fitted = open_page(page, manual, 3).bounding_box()
    press(page, "Fit the width")
    press(page, "Next page")
    enlarged = shown(page, 4).bounding_box()
    assert fitted
    assert enlarged
    assert enlarged["width"] > 1.5 * fitted["width"]
    page.reload()
    assert shown(page, 4).bounding_box() == enlarged


def test_what_is_selected_is_the_text_of_the_page(page: Page, manual: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_page(page, manual, 5)
    text = page.request.get(f"/api/book/{manual}/5").json()["text"]
    page.evaluate("getSelection().selectAllChildren(document.getElementById('text'))")
    page.keyboard.press("Control+c")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.split("\n") == [line.rstrip() for line in text.split("\n")]


def test_the_words_of_the_text_stand_where_they_are_printed(page: Page, manual: str) -> None:
    open_page(page, manual, 5)
    sheet = page.request.get(f"/api/book/{manual}/5").json()
    size = page.locator("#sheet").bounding_box()
    assert size
    boxes = {
        int(one["start"]): one
        for one in page.evaluate(
            """[...document.querySelectorAll("#text span")].filter((one) => one.textContent.trim())
            .map((one) => { const {left, right} = one.getBoundingClientRect();
                            return {start: one.dataset.start, left, right}; })"""
        )
    }
    first = {one[0]: one for one in reversed(sheet["words"])}  # a word may go on on the next line
    for start, _, left, _, right, _ in first.values():
        box = boxes[start]
        printed = size["x"] + left * size["width"], size["x"] + right * size["width"]
        shared = min(box["right"], printed[1]) - max(box["left"], printed[0])
        assert shared > 0.7 * (printed[1] - printed[0])
    assert all(one[0] <= other[0] for one, other in pairwise(sheet["words"]))


def test_the_file_is_there(page: Page, manual: str) -> None:
    open_page(page, manual, 5)
    link = page.get_by_role("link", name="The PDF at this page")
    assert (link.get_attribute("href") or "").endswith(f"/book/{manual}.pdf#page=5")
    assert link.get_attribute("target") == "_blank"
    assert page.request.get(f"/book/{manual}.pdf").body().startswith(b"%PDF-")


def test_back_to_the_search(page: Page, manual: str) -> None:
    open_page(page, manual, 5, find=ONLY_ON_FIVE)
    page.get_by_role("link", name="Back to the search").click()
    expect(page.get_by_label("Search your books")).to_have_value(ONLY_ON_FIVE)
    page.go_back()
    shown(page, 5)


def test_a_book_that_is_not_there(page: Page) -> None:
    page.goto(address("0" * 64, 1))
    expect(page.get_by_text("There is no such book.")).to_be_visible()
    page.get_by_role("link", name="Back to the search").click()
    expect(page.get_by_label("Search your books")).to_be_visible()


def over(page: Page) -> FrameLocator:
    """The reader over the hits, or beside them."""
    return page.frame_locator("#bookbrain-reader")


def place(page: Page) -> int:
    """How far the hits are scrolled."""
    return int(page.evaluate("scrollY"))


@pytest.mark.parametrize("width", [1440, 800])
def test_back_from_a_page_the_hits_are_where_they_were(
    page: Page, loads: list[str], width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 600})
    page.goto("/?q=lock&grouped=no")
    hit = page.locator("a.open").nth(6)
    hit.scroll_into_view_if_needed()
    settle(page)
    before, href = place(page), hit.get_attribute("href") or ""
    assert before > 0
    hit.click()
    number = int(re.search(r"page=(\d+)", href)[1])  # type: ignore[index]
    shown(over(page), number)
    over(page).get_by_role("button", name="Next page").click()
    shown(over(page), number + 1)
    expect(page).to_have_url(
        re.compile(rf"/\?q=lock&grouped=no#read\?book=[0-9a-f]{{64}}&page={number + 1}&")
    )
    page.go_back()
    expect(page.locator("#bookbrain-reader")).to_have_count(0)
    expect(hit).to_be_focused()
    assert place(page) == before
    page.go_forward()
    shown(over(page), number + 1)
    page.reload()
    shown(over(page), number + 1)
    page.keyboard.press("Escape")
    expect(page.locator("#bookbrain-reader")).to_have_count(0)
    assert len([url for url in loads if "/read" not in url]) == 2


def test_beside_the_hits_the_arrows_show_each_at_once(page: Page) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto("/?q=lock&grouped=no")
    links = page.locator("a.open")
    links.nth(0).click()
    expect(over(page).locator("#text p")).not_to_have_count(0)
    links.nth(0).focus()
    for number in (1, 2):
        page.keyboard.press("ArrowDown")
        expect(links.nth(number)).to_be_focused()
        wanted = re.search(r"page=(\d+)", links.nth(number).get_attribute("href") or "")
        assert wanted
        shown(over(page), int(wanted[1]))
        expect(links.nth(number)).to_be_focused()
        expect(page.locator("a.open[aria-current]")).to_have_count(1)
        expect(links.nth(number)).to_have_attribute("aria-current", "true")


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_it_looks_well_and_everybody_can_use_it(
    browser: Browser, app: App, manual: str, width: int, scheme: str, locale: str
) -> None:
    page = new_visitor(
        browser, app, locale, color_scheme=scheme, viewport={"width": width, "height": 900},
        bypass_csp=True,  # axe is a script of its own
    )  # fmt: skip
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    open_page(page, manual, 5, find=ONLY_ON_FIVE)
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"reader-{locale[:2]}-{scheme}-{width}.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page).response["violations"]
    serious = [f for f in found if f["impact"] in ("serious", "critical")]
    assert [(f["id"], [n["html"] for n in f["nodes"]]) for f in serious] == []
    assert complaints == []
