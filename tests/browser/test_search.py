"""Searching, as a person does it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from support import pdfs
from support.app import App, serving
from support.shelf import Shelf

from .conftest import settle

SNAPSHOT = "스냅샷"
repeated = pytest.mark.flaky(reruns=2)  # what fails at times, for a reason that is not known yet


def box(page: Page) -> Locator:
    return page.get_by_label("Search your books")


def search(page: Page, query: str) -> Locator:
    """Type it, and wait for its hits."""
    box(page).fill(query)
    hits = page.locator(".hits")
    expect(hits).to_have_attribute("data-query", quote(query))
    settle(page)
    return hits


def remember_the_document(page: Page) -> None:
    page.evaluate("window.before = true")


def expect_no_reload(page: Page) -> None:
    assert page.evaluate("window.before")


def test_typing_finds(page: Page) -> None:
    page.goto("/")
    box(page).fill(SNAPSHOT)
    expect(page.locator("article.hit").first).to_contain_text("로그와 스냅샷")
    expect(page).to_have_url("/?q=%EC%8A%A4%EB%83%85%EC%83%B7")


def test_an_address_is_a_search(page: Page) -> None:
    page.goto(f"/?q={SNAPSHOT}&most=5")
    expect(page.locator(".hits")).to_have_attribute("data-query", quote(SNAPSHOT))
    expect(box(page)).to_have_value(SNAPSHOT)


def test_hangul_is_found_while_it_is_composed(page: Page) -> None:
    page.goto("/")
    box(page).focus()
    keyboard = page.context.new_cdp_session(page)
    for composed in ("ㅅ", "스"):
        keyboard.send("Input.imeSetComposition", _composing(composed))
    keyboard.send("Input.insertText", {"text": "스"})
    for composed in ("ㄴ", "내", "냅"):
        keyboard.send("Input.imeSetComposition", _composing(composed))
    keyboard.send("Input.insertText", {"text": "냅"})
    for composed in ("ㅅ", "사", "샤", "샷"):
        keyboard.send("Input.imeSetComposition", _composing(composed))
    expect(page.locator(".hits")).to_have_attribute("data-query", quote(SNAPSHOT))
    expect(box(page)).to_have_value(SNAPSHOT)
    keyboard.send("Input.imeSetComposition", _composing("샷이"))
    expect(box(page)).to_have_value("스냅샷이")


def _composing(text: str) -> dict[str, object]:
    return {"text": text, "selectionStart": len(text), "selectionEnd": len(text)}


@repeated  # once, in CI, Forward stayed on the hits; never again in 60 runs under load
def test_a_hit_opens_within_the_app_and_back_brings_the_hits(page: Page) -> None:
    page.goto("/")
    hits = search(page, SNAPSHOT)
    remember_the_document(page)
    hits.locator("a.open").first.click()
    expect(page).to_have_url(re.compile(r"/read\?book=[0-9a-f]{64}&page=2&find=%EC"))
    expect(hits).to_have_count(0)
    settle(page)
    page.go_back()
    expect(hits).to_have_attribute("data-query", quote(SNAPSHOT))
    expect(box(page)).to_have_value(SNAPSHOT)
    settle(page)
    page.go_forward()
    expect(page).to_have_url(re.compile(r"/read\?book=[0-9a-f]{64}&page=2&find=%EC"))
    expect_no_reload(page)


def test_the_keys(page: Page) -> None:
    page.goto("/")
    expect(box(page)).to_be_visible()
    page.keyboard.press("/")
    expect(box(page)).to_be_focused()
    page.keyboard.type("lock")
    links = page.locator("a.open")
    expect(page.locator(".hits")).to_have_attribute("data-query", "lock")
    page.keyboard.press("ArrowDown")
    expect(links.nth(0)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(links.nth(1)).to_be_focused()
    for _ in range(2):
        page.keyboard.press("ArrowUp")
    expect(box(page)).to_be_focused()
    first = links.nth(0).get_attribute("href") or ""
    page.keyboard.press("Enter")
    expect(page).to_have_url(first)


def test_enter_before_the_hits_are_there_opens_the_first_of_them(page: Page) -> None:
    page.goto("/?q=lock")
    expect(page.locator(".hits")).to_have_attribute("data-query", "lock")
    box(page).fill(SNAPSHOT)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/read\?book=[0-9a-f]{64}&page=2&find=%EC"))


def test_the_language_is_chosen_and_stays(page: Page) -> None:
    page.goto(f"/?q={SNAPSHOT}")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_role("button", name="한국어").click()
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    expect(page.get_by_label("책에서 찾기")).to_have_value(SNAPSHOT)
    page.get_by_role("link", name="시스템").click()
    expect(page.get_by_role("heading", name="시스템")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="시스템")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "ko")


def test_a_browser_that_speaks_korean_gets_korean(browser: Browser, app: App) -> None:
    context = browser.new_context(base_url=f"http://127.0.0.1:{app.port}", locale="ko-KR")
    page = context.new_page()
    page.goto("/")
    expect(page.get_by_label("책에서 찾기")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    context.close()


def test_a_citation_is_copied(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/")
    search(page, SNAPSHOT).get_by_text("Copy as a citation").first.click()
    expect(page.get_by_text("Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("> ")
    assert "— *로그와 스냅샷*" in copied
    assert copied.endswith(", p. 2\n")


def test_the_whole_result_is_downloaded(page: Page) -> None:
    page.goto("/")
    search(page, SNAPSHOT)
    with page.expect_download() as markdown:
        page.get_by_role("link", name="Markdown").click()
    assert "*로그와 스냅샷*" in markdown.value.path().read_text(encoding="utf-8")
    with page.expect_download() as found:
        page.get_by_role("link", name="JSON").click()
    assert json.loads(found.value.path().read_bytes())["hits"][0]["title"] == "로그와 스냅샷"


@repeated  # beside busy programs one run in four: the address does not get the option
def test_options_are_kept_and_similar_pages_are_one_click_away(page: Page) -> None:
    page.goto("/")
    hits = search(page, "lock")
    page.get_by_text("Search options").click()
    page.get_by_text("Fold the pages of one book together").click()
    expect(page).to_have_url(re.compile("fold=true"))
    expect(hits.locator("details.more")).to_have_count(1)
    search(page, "locks")
    expect(hits.locator("details.more")).to_have_count(1)
    hits.get_by_role("link", name=re.compile("^Similar")).first.click()
    expect(page).to_have_url(re.compile(r"/\?similar="))
    expect(page.get_by_text("Similar to page")).to_be_visible()
    expect(box(page)).to_have_value("")


# Books that are no text


HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "**bold** [link](javascript:alert(3)) `code`",
    "$x^2$ $$y$$ \\(z\\) :red[no] :material/home:",
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Books whose titles, chapters and pages would like to be more than text."""
    folder: Path = tmp_path_factory.mktemp("hostile")
    books = [
        pdfs.book(
            folder / f"book{number}.pdf",
            [f"walrus {text}"],
            title=f"{text} {number}",
            outline=[(0, f"Chapter {text}", 0)],
        )
        for number, text in enumerate(HOSTILE)
    ]
    with Shelf(folder / "library") as shelf:
        shelf.add(*books)
        with serving(shelf) as started:
            yield started


def test_what_books_and_queries_say_is_text(browser: Browser, hostile: App) -> None:
    context = browser.new_context(base_url=f"http://127.0.0.1:{hostile.port}", locale="en-US")
    page = context.new_page()
    fired: list[str] = []
    page.on("dialog", lambda dialog: (fired.append(dialog.message), dialog.dismiss()))
    page.goto("/")
    hits = search(page, "walrus")
    for number, text in enumerate(HOSTILE):
        expect(hits.get_by_role("link", name=f"{text} {number}", exact=True)).to_be_visible()
        expect(hits.locator("p.where").filter(has_text=f"Chapter {text}")).to_be_visible()
    for number, text in enumerate(HOSTILE):
        title = f"{text} {number}"
        page.goto("/?" + urlencode({"q": "walrus", "books": title}))
        page.get_by_text("Search options").click()
        expect(page.locator(".stMultiSelect").first).to_contain_text(title)
        expect(hits.locator("li")).to_have_count(1)
    page.goto("/")
    for text in HOSTILE:
        search(page, text)
    box(page).fill("")
    for text in HOSTILE:
        expect(page.get_by_role("link", name=text, exact=True)).to_be_visible()
    assert fired == []
    context.close()
