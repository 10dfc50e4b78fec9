"""Asking, as a person does it, of a model that says what a test has it say."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect
from support import pdfs
from support.app import App, serving
from support.chat_server import ChatServer, Given, claims
from support.shelf import Shelf, wait_for

from bookbrain.answers.scorecard import load_questions

from .conftest import SCREENSHOTS, new_visitor

OTTER = "When the otter cache is full, it evicts the entry that was used least recently."
PUFFIN = "The puffin scheduler wakes up every 15 seconds and looks for jobs that are due."
KOREAN = "수달 캐시는 가득 차면 가장 오래 쓰지 않은 항목을 버린다."
HOSTILE = "The <img src=x onerror=alert(1)> heron tag is **never** run by the heron parser."
FACTS = (OTTER, PUFFIN, KOREAN, HOSTILE)
QUESTION = "What do the otter cache and the puffin scheduler do?"
EVICTS = "A full otter cache evicts the least recently used entry."
WAKES = "`puffin` wakes up every 15 seconds."
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


def model(given: Given) -> str:
    """It answers by the question, and adds a claim of its own that is on no page."""
    if given.not_verified:
        return claims()
    page = {fact: given.id_of(fact[:20]) for fact in FACTS}
    if "otter" in given.question:
        return claims(
            (EVICTS, [(page[OTTER], OTTER)]),
            ("The otter cache was written in 1987.", [(page[OTTER], "written by otters in 1987")]),
            (WAKES, [(page[PUFFIN], PUFFIN)]),
        )
    if "수달" in given.question:
        return claims(("수달 캐시는 가장 오래 쓰지 않은 항목을 버린다.", [(page[KOREAN], KOREAN)]))
    if "heron" in given.question:
        return claims(
            ("The <img src=x onerror=alert(1)> heron tag is never run.", [(page[HOSTILE], HOSTILE)])
        )
    return claims()


@pytest.fixture(scope="module")
def chat() -> Iterator[ChatServer]:
    with ChatServer(model) as running:
        running.piece = 40
        running.queries = ["otter cache full", "puffin scheduler"]
        yield running


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, chat: ChatServer) -> Iterator[App]:
    folder: Path = tmp_path_factory.mktemp("asking")
    settings = {
        "BOOKBRAIN_CHAT_MODEL": "good", "BOOKBRAIN_CHAT_URL": chat.url,
        "BOOKBRAIN_CHAT_PRICE": "0.5", "BOOKBRAIN_CHAT_PRICE_WRITTEN": "2",
    }  # fmt: skip
    pages = [f"Chapter {number}\n{fact}" for number, fact in enumerate(FACTS, 1)]
    outline = [(0, f"Chapter {number}", number - 1) for number in range(1, len(FACTS) + 1)]
    book = pdfs.book(
        folder / "animals.pdf", pages, title="Animals at Work", outline=outline,
        labels=[str(number) for number in range(11, 11 + len(FACTS))],
    )  # fmt: skip
    with Shelf(folder / "library", **settings) as shelf:
        shelf.add(book)
        with serving(shelf) as started:
            yield started


@pytest.fixture(autouse=True)
def model_is_well(chat: ChatServer) -> Iterator[None]:
    chat.asked.clear()
    yield
    chat.fault, chat.before_piece = "", lambda sent: None


def box(page: Page) -> Locator:
    return page.locator("#box")


def reader_of(page: Page) -> FrameLocator:
    return page.frame_locator("#bookbrain-reader")


def ask(page: Page, question: str) -> Locator:
    """Ask it; its turn, when nothing more comes."""
    box(page).fill(question)
    box(page).press("Enter")
    turn = page.locator(".turn").last
    expect(turn.locator(".doing")).to_be_visible()
    return turn


def marked(page: Page, words: str) -> None:
    """The reader shows the page that has the words, and marks them."""
    reader = reader_of(page)
    expect(reader.locator("#text")).to_contain_text(words[:30])
    expect(reader.locator("#marks i")).not_to_have_count(0)


def test_a_question_with_line_separators_is_answered(page: Page) -> None:
    page.goto("/ask")
    turn = ask(page, "What does the otter\u2028cache do\u2029when full?")
    expect(turn.locator(".statement").first).to_contain_text("least recently")


def test_statements_come_one_by_one_with_their_words_and_pages(
    browser: Browser, app: App, chat: ChatServer
) -> None:
    page = new_visitor(browser, app, viewport=WIDE)
    seen = Event()
    border = model(Given({}, {}, QUESTION, [])).index(WAKES)
    chat.before_piece = lambda sent: len(sent) < border or bool(seen.wait(60))  # type: ignore[assignment,return-value]
    page.goto("/ask")
    box(page).fill(QUESTION)
    box(page).press("Enter")
    expect(page.locator(".statement")).to_have_count(1)
    expect(page.locator("#summary")).to_contain_text("Reading")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    seen.set()
    expect(page.locator(".said")).to_have_text([EVICTS, WAKES.replace("`", "")])
    expect(page.locator(".quote")).to_have_text([f"“{OTTER}”", f"“{PUFFIN}”"])
    expect(page.locator(".source").first).to_have_text(
        "Animals at Work, “Chapter 1”, p. 11 (page 1 of the file)"
    )
    turn = page.locator(".turn")
    expect(turn).to_contain_text("Claims of the model that your books do not support, left out: 1.")
    expect(turn).to_contain_text("Quotations of it that stand on none of the pages: 1.")
    expect(turn).not_to_contain_text("1987")
    expect(turn.locator(".paid")).to_have_text(re.compile(r"good · [\d,]+ tokens, \$0\.\d{4}"))
    expect(turn.locator("a.instead").first).to_have_attribute("href", re.compile(r"/\?q="))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    turn.get_by_role("button", name="Copy as Markdown").click()
    expect(turn.get_by_text("Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert f"[^1]: “{OTTER}” — *Animals at Work*" in copied


def test_beside_the_answer_the_page_follows_the_pointer_and_back_closes_it(
    browser: Browser, app: App
) -> None:
    page = new_visitor(browser, app, viewport=WIDE)
    page.goto("/ask")
    ask(page, QUESTION)
    marked(page, OTTER)
    expect(box(page)).to_be_focused()
    page.locator(".quotation").nth(1).hover()
    marked(page, PUFFIN)
    page.locator(".said").nth(0).hover()
    marked(page, OTTER)
    page.go_back()
    expect(page.locator("#bookbrain-reader")).to_have_count(0)
    expect(page.locator(".statement")).to_have_count(2)
    expect(page.locator("a.open[aria-current]")).to_have_count(0)
    page.locator(".quote").nth(1).click()
    marked(page, PUFFIN)
    ask(page, "What about the heron tag?")
    marked(page, "The <img src=x")
    for there in (1, 0):  # back to the question, and to the page that was open at the one before
        page.go_back()
        expect(page.locator(".statement")).to_have_count(2 - there)
    marked(page, PUFFIN)


def test_on_a_phone_a_click_opens_the_page_over_the_answer(browser: Browser, app: App) -> None:
    page = new_visitor(browser, app, viewport=PHONE)
    page.goto("/ask")
    ask(page, QUESTION)
    expect(page.locator("#bookbrain-reader")).to_have_count(0)
    page.locator(".quote").nth(1).click()
    marked(page, PUFFIN)
    page.go_back()
    expect(page.locator("#bookbrain-reader")).to_have_count(0)
    expect(page.locator(".statement")).to_have_count(2)


def test_the_keyboard_alone_is_enough(browser: Browser, app: App, chat: ChatServer) -> None:
    page = new_visitor(browser, app, viewport=WIDE)
    page.goto("/ask")
    expect(box(page)).to_be_focused()
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    links = page.locator("a.open")
    expect(page.locator(".doing")).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(links.nth(0)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(links.nth(1)).to_be_focused()
    marked(page, PUFFIN)
    page.keyboard.press("Enter")
    expect(reader_of(page).locator("#view")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#bookbrain-reader")).to_have_count(0)
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("a.instead").first).to_be_focused()
    page.keyboard.press("/")
    expect(box(page)).to_be_focused()
    chat.fault = "drip"
    page.keyboard.type("How is the otter?")
    page.keyboard.press("Enter")
    expect(page.locator("#summary")).to_contain_text("Reading")
    page.keyboard.press("Escape")
    expect(page.get_by_text("You stopped it.")).to_be_visible()
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()


def test_an_address_asks_only_when_a_person_says_so(
    browser: Browser, app: App, chat: ChatServer
) -> None:
    page = new_visitor(browser, app)
    page.goto(f"/ask?q={QUESTION}")
    expect(box(page)).to_have_value(QUESTION)
    expect(page.locator("#list")).to_contain_text("Enter")
    page.wait_for_load_state("networkidle")
    assert chat.asked == []
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".statement")).to_have_count(2)
    wait_for(lambda: len(chat.prompts()) == 2, "what was struck to be asked for once more")


def test_a_conversation_goes_on_and_back_shows_the_one_before(
    browser: Browser, app: App, chat: ChatServer
) -> None:
    page = new_visitor(browser, app, viewport=PHONE)
    page.goto("/ask")
    ask(page, QUESTION)
    page.get_by_label("Ask further").fill("And in the heron parser?")
    page.get_by_label("Ask further").press("Enter")
    expect(page.locator(".turn")).to_have_count(2)
    expect(page.locator(".turn").last.locator(".statement")).to_have_count(1)
    assert EVICTS in chat.asked[-1]["messages"][1]["content"]
    ask(page, "What is the capital of France, and of otherwise?")
    expect(page.locator(".turn")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"/ask\?q=What\+is\+the\+capital"))
    page.go_back()
    expect(page.locator(".turn")).to_have_count(2)
    expect(box(page)).to_have_value(QUESTION)


def test_what_the_books_do_not_say_and_what_goes_wrong_is_one_clear_line(
    browser: Browser, app: App, chat: ChatServer
) -> None:
    page = new_visitor(browser, app, viewport=PHONE)
    page.goto("/ask")
    turn = ask(page, "Who wrote the chapter about jobs?")
    expect(turn).to_contain_text("Your books do not say.")
    expect(turn.locator(".nearest a.open").first).to_contain_text("Animals at Work")
    chat.fault = "cut"
    turn = ask(page, QUESTION)
    expect(turn.locator(".trouble")).to_have_count(1)
    chat.fault = ""
    box(page).fill("???")
    box(page).press("Enter")
    expect(page.locator(".trouble")).to_have_text("There is no question. Ask in at least one word.")
    page.route("**/api/ask", lambda route: route.abort())
    box(page).fill("otter?")
    box(page).press("Enter")
    expect(page.locator(".trouble")).to_have_text(
        "The server does not answer. Ask again in a moment."
    )


def test_what_model_and_books_say_is_text(browser: Browser, app: App) -> None:
    page = new_visitor(browser, app, viewport=WIDE)
    said: list[str] = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda message: said.append(message.text))
    page.goto("/ask")
    ask(page, "What about the <b>heron</b> tag?")
    expect(page.locator(".turn h2")).to_have_text("What about the <b>heron</b> tag?")
    expect(page.locator(".said")).to_contain_text("<img src=x onerror=alert(1)>")
    expect(page.locator(".quote")).to_have_text(f"“{HOSTILE}”")
    marked(page, "The <img src=x")
    assert page.locator("main img, main script, main b").count() == 0
    assert said == []


def test_a_judged_answer_is_kept_for_eval(browser: Browser, app: App) -> None:
    page = new_visitor(browser, app, viewport=PHONE)
    page.goto("/ask")
    ask(page, QUESTION).get_by_role("button", name="the answer is right").click()
    said = page.get_by_text("The question is in")
    expect(said).to_be_visible()
    path = Path(re.findall(r"(/\S+answers.jsonl)", said.inner_text())[0])
    turn = ask(page, "Who wrote the chapter about jobs?")
    turn.get_by_role("button", name="the answer is right").click()
    expect(page.get_by_text("The question is in")).to_be_visible()
    right, silent = load_questions(path)
    assert (right.question, len(right.quoted), right.has_answer) == (QUESTION, 2, True)
    assert {place for places in right.quoted for place in places} == {
        ("animals.pdf", 1), ("animals.pdf", 2),
    }  # fmt: skip
    assert not silent.has_answer


def test_without_a_model_nothing_can_be_asked(browser: Browser, tmp_path: Path) -> None:
    with Shelf(tmp_path / "library") as shelf, serving(shelf) as app:
        page = new_visitor(browser, app, "ko-KR")
        page.goto("/ask?q=otter")
        expect(page.locator("#list code, #list")).to_contain_text(["BOOKBRAIN_CHAT_MODEL"])
        expect(box(page)).to_be_hidden()


LOOKS = list(product(("ko-KR", "en-US"), ("light", "dark"), (WIDE, PHONE)))


@pytest.mark.parametrize(("locale", "scheme", "viewport"), LOOKS)
def test_it_fits_and_is_accessible(
    browser: Browser, app: App, locale: str, scheme: Any, viewport: Any
) -> None:
    page = new_visitor(browser, app, locale, color_scheme=scheme, viewport=viewport)
    page.goto("/ask")
    SCREENSHOTS.mkdir(exist_ok=True)
    look = f"{locale[:2]}-{scheme}-{viewport['width']}"
    for name, question in (
        ("start", ""),
        ("answer", "수달 캐시는 가득 차면 무엇을 하나?" if locale == "ko-KR" else QUESTION),
        ("silent", "김치는 어떻게 담그나?" if locale == "ko-KR" else "Who wrote about jobs?"),
    ):
        if question:
            ask(page, question)
        if name == "answer" and viewport == WIDE:
            marked(page, KOREAN if locale == "ko-KR" else OTTER)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=SCREENSHOTS / f"ask-{name}-{look}.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        faults = Axe().run(page).response["violations"]
        assert [(fault["id"], fault["nodes"][0]["html"][:200]) for fault in faults] == []
