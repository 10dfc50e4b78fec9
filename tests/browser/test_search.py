"""Searching, as a person does it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect
from support import pdfs
from support.app import App, serving
from support.shelf import Shelf, wait_for

from .conftest import new_visitor

SNAPSHOT = "스냅샷"
READER = re.compile(r"#read\?book=[0-9a-f]{64}&page=2&find=%EC")


def box(page: Page) -> Locator:
    return page.get_by_label("Search your books")


def hits_of(page: Page, query: str) -> Locator:
    hits = page.locator(".hits")
    expect(hits).to_have_attribute("data-query", query)
    return hits


def search(page: Page, query: str) -> Locator:
    """Type it, and wait for its hits."""
    box(page).fill(query)
    return hits_of(page, query)


def remember_the_document(page: Page) -> None:
    page.evaluate("window.before = true")


def expect_no_reload(page: Page) -> None:
    assert page.evaluate("window.before")


def pause(page: Page) -> None:
    """Who pauses so long means it."""
    page.wait_for_timeout(1100)


def test_typing_finds(page: Page) -> None:
    page.goto("/")
    box(page).fill(SNAPSHOT)
    expect(page.locator("article.hit").first).to_contain_text("로그와 스냅샷")
    expect(page).to_have_url("/?q=%EC%8A%A4%EB%83%85%EC%83%B7")


def test_an_address_is_a_search(page: Page) -> None:
    page.goto(f"/?q={SNAPSHOT}&most=5")
    hits_of(page, SNAPSHOT)
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
    hits_of(page, SNAPSHOT)
    expect(box(page)).to_have_value(SNAPSHOT)
    keyboard.send("Input.imeSetComposition", _composing("샷이"))
    expect(box(page)).to_have_value("스냅샷이")


def _composing(text: str) -> dict[str, object]:
    return {"text": text, "selectionStart": len(text), "selectionEnd": len(text)}


def test_a_hit_opens_within_the_app_and_back_brings_the_hits(page: Page) -> None:
    page.goto("/")
    hits = search(page, SNAPSHOT)
    remember_the_document(page)
    hits.locator("a.open").first.click()
    reader = page.locator("#bookbrain-reader")
    expect(reader).to_be_visible()
    expect(page).to_have_url(READER)
    page.go_back()
    expect(reader).to_have_count(0)
    hits_of(page, SNAPSHOT)
    expect(box(page)).to_have_value(SNAPSHOT)
    page.go_forward()
    expect(reader).to_be_visible()
    expect(page).to_have_url(READER)
    expect_no_reload(page)


def test_the_keys(page: Page) -> None:
    page.goto("/")
    expect(box(page)).to_be_focused()
    page.get_by_role("link", name="Books").focus()
    page.keyboard.press("/")
    expect(box(page)).to_be_focused()
    page.keyboard.type("lock")
    links = page.locator("a.open")
    hits_of(page, "lock")
    page.keyboard.press("ArrowDown")
    expect(links.nth(0)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(links.nth(1)).to_be_focused()
    for _ in range(2):
        page.keyboard.press("ArrowUp")
    expect(box(page)).to_be_focused()
    first = links.nth(0).get_attribute("href") or ""
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"/?q=lock#{first.removeprefix('/')}")


def test_enter_before_the_hits_are_there_opens_the_first_of_them(page: Page) -> None:
    page.goto("/?q=lock")
    hits_of(page, "lock")
    box(page).fill(SNAPSHOT)
    page.keyboard.press("Enter")
    expect(page).to_have_url(READER)


def test_the_language_is_chosen_and_stays(page: Page) -> None:
    page.goto(f"/?q={SNAPSHOT}")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_role("button", name="한국어").click()
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    expect(page.get_by_label("책에서 찾기")).to_have_value(SNAPSHOT)
    hits_of(page, SNAPSHOT)
    page.get_by_role("link", name="시스템").click()
    expect(page.get_by_role("heading", name="시스템")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="시스템")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "ko")


def test_a_browser_that_speaks_korean_gets_korean(browser: Browser, app: App) -> None:
    page = new_visitor(browser, app, locale="ko-KR")
    page.goto("/")
    expect(page.get_by_label("책에서 찾기")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "ko")


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


# The question is in the address and in the history


def test_back_and_forward_step_through_questions_and_not_through_letters(page: Page) -> None:
    page.goto("/")
    expect(box(page)).to_be_focused()
    steps = page.evaluate("history.length")
    for query in ("lock", "snapshot", "retry flag"):
        box(page).clear()
        box(page).press_sequentially(query)
        hits_of(page, query)
        pause(page)
    assert page.evaluate("history.length") == steps + 3
    for query in ("snapshot", "lock"):
        page.go_back()
        hits_of(page, query)
        expect(box(page)).to_have_value(query)
        expect(page).to_have_title(f"{query} · BookBrain")
    page.go_forward()
    hits_of(page, "snapshot")
    for _ in range(2):
        page.go_back()
    expect(box(page)).to_have_value("")
    expect(page.get_by_role("link", name="retry flag", exact=True)).to_be_visible()


def test_a_question_that_was_opened_is_a_step_at_once(page: Page) -> None:
    page.goto("/")
    search(page, "lock").locator("a.open").first.click()
    expect(page.locator("#bookbrain-reader")).to_be_visible()
    page.go_back()
    search(page, "retry")
    page.go_back()
    hits_of(page, "lock")


def test_back_from_another_question_the_hits_are_where_they_were(page: Page) -> None:
    page.goto("/?q=lock&grouped=no")
    hits_of(page, "lock")
    page.locator("a.open").nth(6).scroll_into_view_if_needed()
    box(page).focus()
    before = page.evaluate("scrollY")
    assert before > 0
    box(page).fill("retry")
    hits_of(page, "retry")
    assert page.evaluate("scrollY") == 0
    page.go_back()
    hits_of(page, "lock")
    assert page.evaluate("scrollY") == before
    page.get_by_role("link", name="System").click()
    expect(page.get_by_role("heading", name="System")).to_be_visible()
    page.go_back()
    hits_of(page, "lock")
    wait_for(lambda: page.evaluate("scrollY") == before, "the hits to be where they were")


def test_a_filter_on_a_book_that_is_gone_leaves_the_page_alive(page: Page) -> None:
    page.goto("/?q=lock&book=ffffffffffff")
    chip = page.get_by_role("button", name="Take this filter away: ffffffffffff")
    expect(chip).to_be_visible()
    chip.click()
    hits_of(page, "lock")


def test_enter_where_nothing_is_asked_opens_nothing_later(page: Page) -> None:
    page.goto("/")
    box(page).press("Enter")
    search(page, "lock")
    expect(page.locator("#bookbrain-reader")).to_have_count(0)
    expect(box(page)).to_be_focused()


def test_hits_without_meaning_are_asked_for_again_when_one_comes_back(page: Page) -> None:
    said = {"remark": "Meaning is away."}

    def answer(route: Route) -> None:
        route.fulfill(json=route.fetch().json() | said)

    page.route("**/api/search?*", answer)
    page.goto("/")
    search(page, "lock")
    expect(page.get_by_text("Meaning is away.")).to_be_visible()
    search(page, "retry")
    said["remark"] = ""
    search(page, "lock")
    expect(page.get_by_text("Meaning is away.")).to_have_count(0)
    page.unroute_all(behavior="wait")


def test_a_filter_keeps_the_focus_and_what_is_typed_beside_it(page: Page) -> None:
    page.goto("/")
    search(page, "로그 lock")
    narrow = page.locator("#narrow")
    other = narrow.get_by_label("Title or file name")
    other.fill("manual")
    choice = narrow.get_by_role("checkbox", name=re.compile("로그와 스냅샷"))
    choice.focus()
    page.keyboard.press("Space")
    expect(page.locator("#chips button")).to_have_count(1)
    expect(choice).to_be_checked()
    expect(choice).to_be_focused()
    expect(other).to_have_value("manual")
    page.locator("#chips button").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#chips button")).to_have_count(0)
    expect(box(page)).to_be_focused()


def test_every_filter_is_seen_in_the_address_and_can_be_taken_away(page: Page) -> None:
    page.goto("/")
    hits = search(page, "로그 lock")
    titles = set(hits.locator("p.where").all_inner_texts())
    assert len(titles) == 2
    narrow, chips = page.locator("#narrow"), page.locator("#chips button")
    narrow.get_by_role("checkbox", name=re.compile("로그와 스냅샷")).click()
    expect(chips).to_have_count(1)
    expect(page).to_have_url(re.compile("&book=[0-9a-f]{12}$"))
    expect(hits.locator("li")).to_have_count(2)
    page.reload()
    expect(chips).to_have_text(["로그와 스냅샷 ×"])
    expect(hits.locator("li")).to_have_count(2)
    chips.click()
    expect(chips).to_have_count(0)
    expect(page).not_to_have_url(re.compile("book="))
    page.go_back()
    expect(chips).to_have_count(1)
    expect(hits.locator("li")).to_have_count(2)


@pytest.mark.parametrize("facet", ["Chapters", "Languages"])
def test_a_facet_has_as_many_hits_as_it_says(page: Page, facet: str) -> None:
    page.goto("/?grouped=no")
    hits = search(page, "로그 lock")
    all_of_them = hits.locator("li").count()
    group = page.get_by_role("group", name=facet)
    for label in group.locator("label").all()[:3]:
        count = int(label.locator("b").inner_text())
        label.click()
        expect(page.locator("#chips button")).to_have_count(1)
        expect(hits.locator("li")).to_have_count(count)
        page.locator("#chips button").click()
        expect(hits.locator("li")).to_have_count(all_of_them)


def test_an_old_address_names_its_books_by_title(page: Page) -> None:
    page.goto("/?" + urlencode({"q": "로그 lock", "books": "로그와 스냅샷", "fold": "true"}))
    hits = hits_of(page, "로그 lock")
    expect(hits.locator("li")).to_have_count(2)
    expect(page.locator("#chips button")).to_have_text(["로그와 스냅샷 ×"])


def test_a_book_is_chosen_by_a_part_of_its_name_and_by_nothing_else(page: Page) -> None:
    page.goto("/")
    search(page, "lock")
    field = page.get_by_label("Title or file name")
    found = page.locator("#narrow .others button")
    field.fill("MAN")
    expect(found).to_have_count(1)
    field.fill("mnl")  # letters of "manual", with others between them
    expect(found).to_have_count(0)
    field.fill("스냅")
    found.click()
    expect(page.locator("#chips button")).to_have_text(["로그와 스냅샷 ×"])


def test_the_way_to_search_is_in_the_address_and_stays(page: Page) -> None:
    page.goto("/")
    search(page, "lock")
    page.get_by_role("radio", name="Meaning only").click()
    expect(page).to_have_url("/?q=lock&mode=vector")
    expect(page.locator("#chips button")).to_have_text(["Meaning only ×"])
    page.reload()
    expect(page.get_by_role("radio", name="Meaning only")).to_be_checked()
    page.get_by_role("radio", name="Keywords and meaning").click()
    expect(page).to_have_url("/?q=lock")
    slider = page.get_by_label("How much meaning counts against keywords")
    slider.fill("1")
    expect(page).to_have_url("/?q=lock&weight=1")
    page.reload()
    expect(slider).to_have_value("1")
    hits_of(page, "lock").locator(".doing summary").first.click()
    expect(page.locator(".doing p").first).to_contain_text("by meaning: rank 1")


def test_books_are_grouped_among_the_hundred_best(page: Page) -> None:
    page.goto("/")
    hits = search(page, "로그 lock")
    found = page.request.get("/api/search", params={"q": "로그 lock", "k": "100"}).json()["hits"]
    books = list(dict.fromkeys(hit["title"] for hit in found))
    assert len(books) < len(found)
    expect(hits.locator("li")).to_have_count(len(books))
    more = hits.locator("details.more").first
    further = sum(hit["title"] == books[0] for hit in found) - 1
    expect(more.locator("summary").first).to_contain_text(f"More pages of this book: {further}")
    more.locator("summary").first.click()
    expect(more.locator("a.open")).to_have_count(further)
    page.get_by_role("button", name="By book").click()
    expect(page).to_have_url(re.compile("grouped=no"))
    expect(hits.locator("li")).to_have_count(len(found))


def test_similar_pages_are_one_click_away_and_go_with_the_next_query(page: Page) -> None:
    page.goto("/")
    hits = search(page, "lock")
    remember_the_document(page)
    hits.get_by_role("link", name=re.compile("^Similar")).first.click()
    expect(page).to_have_url(re.compile(r"/\?similar="))
    expect(page.get_by_text("Similar to page")).to_be_visible()
    expect(box(page)).to_have_value("")
    search(page, "retry")
    expect(page).to_have_url("/?q=retry")
    expect_no_reload(page)


def test_how_a_query_was_read_stands_above_the_hits_with_the_other_way(page: Page) -> None:
    page.goto("/")
    search(page, "lock -snapshot")
    expect(page.locator("#notes")).to_contain_text("without: snapshot")
    page.get_by_role("link", name=re.compile("^read it the other way ?: lock snapshot$")).click()
    hits_of(page, "lock snapshot")
    expect(box(page)).to_have_value("lock snapshot")


def test_a_query_that_cannot_be_used_is_a_line_and_old_hits_are_gone(
    browser: Browser, app: App
) -> None:
    page = new_visitor(browser, app, locale="ko-KR")
    page.goto("/?q=lock")
    hits_of(page, "lock")
    page.get_by_label("책에서 찾기").fill("-lock")
    expect(page.get_by_role("alert")).to_contain_text("낱말")
    expect(page.locator(".hit")).to_have_count(0)
    page.get_by_label("책에서 찾기").fill("가" * 21_000)
    expect(page.get_by_role("alert")).to_have_text("검색어가 너무 깁니다. 줄이십시오.")
    page.get_by_label("책에서 찾기").fill("lock")
    hits_of(page, "lock")
    expect(page.get_by_role("alert")).to_have_text("")


# What was asked before


def test_recent_and_saved_searches_stay_on_this_machine(page: Page) -> None:
    page.goto("/")
    for typed in ("l", "lock", "loc", "<b>retry"):
        search(page, typed)
        pause(page)
    page.get_by_role("button", name="Save this search").click()
    page.goto("/")
    recent = page.locator(".kept", has_text="Recent searches").locator("a")
    expect(recent).to_have_text(["<b>retry", "lock"])
    saved = page.locator(".kept", has_text="Saved searches").locator("a")
    expect(saved).to_have_text(["<b>retry"])
    page.get_by_role("button", name="Forget: lock").click()
    expect(recent).to_have_text(["<b>retry"])
    saved.click()
    hits_of(page, "<b>retry")


def test_the_empty_page_asks_out_of_the_owners_books(page: Page) -> None:
    page.goto("/")
    example = page.locator(".kept", has_text="Out of your books").locator("li a").first
    query = example.inner_text()
    example.click()
    expect(hits_of(page, query).locator("article.hit").first).to_be_visible()
    expect(box(page)).to_have_value(query)


# While the server is slow, or away


class Held:
    """Searches that wait until they are let go."""

    def __init__(self, page: Page) -> None:
        self.routes: list[Route] = []
        page.route("**/api/search?*", self._hold)

    def _hold(self, route: Route) -> None:
        self.routes.append(route)


def test_while_new_hits_come_the_old_ones_are_dimmed(page: Page) -> None:
    page.goto("/?q=lock")
    hits_of(page, "lock")
    held = Held(page)
    box(page).fill("retry")
    expect(page.locator("#busy")).to_be_visible()
    expect(page.locator("#list")).to_have_css("opacity", "0.5")
    hits_of(page, "lock")
    held.routes[-1].continue_()
    hits_of(page, "retry")
    expect(page.locator("#list")).to_have_css("opacity", "1")
    expect(page.locator("#busy")).to_be_hidden()


def test_the_pages_of_the_first_hits_are_fetched_before_they_are_opened(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/?q=lock&grouped=no")
    hits_of(page, "lock")

    def is_fetched(number: int) -> bool:
        href = page.locator("a.open").nth(number).get_attribute("href") or ""
        place = dict(parse_qsl(urlsplit(href).query))
        return any(f"/api/book/{place['book']}/{place['page']}?q=lock" in one for one in asked)

    wait_for(lambda: all(map(is_fetched, range(3))), "the pages")
    last = page.locator("a.open").count() - 1
    assert not is_fetched(last)
    page.locator("a.open").nth(last).hover()
    wait_for(lambda: is_fetched(last), "the page that is pointed at")


def test_new_hits_begin_at_the_top_however_late_they_come(page: Page) -> None:
    page.goto("/?q=lock&grouped=no")
    hits_of(page, "lock")
    held = Held(page)
    page.locator("a.open").nth(6).scroll_into_view_if_needed()
    box(page).fill("retry")
    page.wait_for_timeout(500)
    held.routes[-1].continue_()
    hits_of(page, "retry")
    assert page.evaluate("scrollY") == 0


def test_a_late_answer_to_an_old_question_is_not_shown(page: Page) -> None:
    page.goto("/?q=lock")
    hits_of(page, "lock")
    held = Held(page)
    for query in ("retry", "snapshot"):
        box(page).fill(query)
        page.wait_for_timeout(300)
    old, new = held.routes
    new.continue_()
    hits_of(page, "snapshot")
    assert old.request.failure
    page.wait_for_timeout(300)
    hits_of(page, "snapshot")


@pytest.mark.parametrize("how", ["abort", "503", "502"])
def test_a_server_that_is_away_is_a_line_that_goes_by_itself(page: Page, how: str) -> None:
    page.goto("/?q=lock")
    hits = hits_of(page, "lock")
    away = "**/api/search?*"
    page.route(
        away,
        lambda route: (
            route.abort()
            if how == "abort"
            else route.fulfill(status=int(how), body="<h1>away</h1>")
        ),
    )
    box(page).fill("retry")
    expect(page.get_by_role("alert")).to_have_text("The server does not answer. It is asked again.")
    expect(page.locator("#list")).to_have_css("opacity", "1")
    hits.locator("a.open").first.click()
    expect(page.locator("#bookbrain-reader")).to_be_visible()
    page.go_back()
    page.unroute(away)
    hits_of(page, "retry")
    expect(page.get_by_role("alert")).to_have_text("")


# Keys, looks


def test_the_keys_that_scroll_work_at_once(page: Page) -> None:
    page.set_viewport_size({"width": 1000, "height": 600})
    page.goto("/?q=lock&grouped=no")
    hits_of(page, "lock")

    def scrolled() -> bool:
        page.keyboard.press("PageDown")  # again where all hits take the place of the first ones
        return bool(page.evaluate("scrollY > 100"))

    wait_for(scrolled, "the page to scroll")


def test_a_snippet_leads_to_its_page(page: Page) -> None:
    page.goto(f"/?q={SNAPSHOT}")
    hits_of(page, SNAPSHOT).locator("p.text").first.click()
    expect(page).to_have_url(READER)


def test_tabs_say_what_they_show(page: Page) -> None:
    for address, title in (
        ("/", "BookBrain"),
        ("/?q=lock", "lock · BookBrain"),
        ("/books", "Books · BookBrain"),
        ("/system", "System · BookBrain"),
    ):
        page.goto(address)
        expect(page).to_have_title(title)
    page.goto(f"/?q={SNAPSHOT}")
    hits_of(page, SNAPSHOT).locator("a.open").first.click()
    expect(page).to_have_title("2 · 로그와 스냅샷 · BookBrain")
    page.go_back()
    expect(page).to_have_title(f"{SNAPSHOT} · BookBrain")


def test_links_have_the_colours_of_the_theme_and_korean_words_stay_whole(page: Page) -> None:
    for address in ("/", "/?q=lock", "/?q=zebra", "/?q=lock -snapshot", "/system"):
        page.goto(address)
        expect(page.get_by_role("link").nth(3)).to_be_visible()
        colours = page.evaluate(
            "[...document.querySelectorAll('a')].map((one) => getComputedStyle(one).color)"
        )
        assert not {"rgb(0, 0, 238)", "rgb(158, 158, 255)"} & {*colours}
        assert (
            page.evaluate("getComputedStyle(document.querySelector('main p, .stMain p')).wordBreak")
            == "keep-all"
        )


def test_the_remark_about_meaning_is_put_away_for_good(browser: Browser, hostile: App) -> None:
    page = new_visitor(browser, hostile)
    page.goto("/?q=walrus")
    remark = page.locator("#notes .remark")
    expect(remark).to_contain_text("Keyword search only.")
    expect(remark.locator("code")).to_have_text("bookbrain embed --local")
    expect(remark).not_to_contain_text("`")
    page.get_by_role("button", name="Put this away").click()
    expect(remark).to_have_count(0)
    page.reload()
    hits_of(page, "walrus")
    expect(page.get_by_role("link", name="Keywords only")).to_be_visible()
    expect(remark).to_have_count(0)


_DRAG = """([place, name]) => document.querySelector(place).dispatchEvent(
    new DragEvent(name, {bubbles: true, cancelable: true}))"""  # whether the browser acts on it


def test_no_file_that_is_dropped_takes_the_place_of_the_page(page: Page) -> None:
    for address, there in (("/", "main"), ("/books", ".stMain h1")):
        page.goto(address)
        expect(page.locator(there)).to_be_visible()
        for name in ("dragover", "drop"):
            # Streamlit's page listens a moment after it is there.
            wait_for(lambda name=name, there=there: not page.evaluate(_DRAG, [there, name]), name)


def test_the_page_runs_no_script_of_its_own_and_complains_of_nothing(page: Page) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    answer = page.goto("/?" + urlencode({"q": "로그 lock"}))
    assert answer
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    hits_of(page, "로그 lock").locator("a.open").first.click()
    expect(page.frame_locator("#bookbrain-reader").locator("#text p")).not_to_have_count(0)
    page.wait_for_timeout(600)  # covers come late
    expect(page.locator("img.cover[src]").first).to_have_js_property("complete", True)
    assert said == []


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
    page = new_visitor(browser, hostile)
    fired: list[str] = []
    page.on("dialog", lambda dialog: (fired.append(dialog.message), dialog.dismiss()))
    page.goto("/")
    hits = search(page, "walrus")
    for number, text in enumerate(HOSTILE):
        title = f"{text} {number}"
        hit = hits.locator("article", has=page.get_by_text(title, exact=True))
        expect(hit.get_by_role("link", name=f"p. 1 · Chapter {text}", exact=True)).to_be_visible()
        expect(hit.locator("p.text")).to_contain_text(text)
        expect(page.get_by_role("checkbox", name=f"{title} 1", exact=True)).to_be_visible()
        expect(page.get_by_role("checkbox", name=f"Chapter {text} 1", exact=True)).to_be_visible()
    for number, text in enumerate(HOSTILE):
        title = f"{text} {number}"
        page.goto("/?" + urlencode({"q": "walrus", "books": title}))
        expect(page.locator("#chips")).to_have_text(f"{title} ×")
        expect(hits.locator("li")).to_have_count(1)
    page.goto("/")
    for text in HOSTILE:
        search(page, text)
        pause(page)
        page.get_by_role("button", name="Save this search").click()
        expect(page).to_have_title(f"{text} · BookBrain")
    page.goto("/")
    for text in HOSTILE:
        expect(page.get_by_role("link", name=text, exact=True)).to_have_count(2)
    assert page.locator("main script, main img:not(.cover)").count() == 0
    assert fired == []


def test_the_lines_of_a_listing_keep_their_columns(page: Page) -> None:
    def answer(route: Route) -> None:
        answer = route.fetch()
        result = answer.json()
        result["hits"][0]["snippet"] = "as\n  if <mark>x</mark>:\n    go(a &lt; b)\nsays"
        route.fulfill(response=answer, json=result)

    page.route("**/api/search?*", answer)
    page.goto("/?q=lock")
    listing = hits_of(page, "lock").locator("p.text code").first
    assert listing.text_content() == "  if x:\n    go(a < b)"
    assert listing.evaluate("(one) => getComputedStyle(one).fontFamily").endswith("monospace")
    assert listing.evaluate("(one) => getComputedStyle(one).whiteSpace") == "pre-wrap"


def test_a_snippet_is_text_and_marks_whatever_the_server_says(page: Page) -> None:
    def answer(route: Route) -> None:
        answer = route.fetch()
        result = answer.json()
        for hit in result["hits"]:
            hit["snippet"] = "<mark>a</mark> <img src=x onerror=alert(1)><script>alert(2)</script>"
        route.fulfill(response=answer, json=result)

    fired: list[str] = []
    page.on("dialog", lambda dialog: (fired.append(dialog.message), dialog.dismiss()))
    page.route("**/api/search?*", answer)
    page.goto("/?q=lock")
    text = hits_of(page, "lock").locator("p.text").first
    expect(text.locator("mark")).to_have_text("a")
    assert text.evaluate("(one) => [...one.querySelectorAll('*')].map((e) => e.tagName)") == [
        "MARK"
    ]
    assert fired == []
