"""A scanned book, as a person sees it being read, and what is marked on its pages."""

import json
from collections.abc import Iterator
from io import BytesIO
from urllib.parse import urlencode

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Browser, Locator, Page, expect
from support.app import App, serving
from support.scans import easy_scan, overlap, place_on_easy_scan
from support.shelf import Shelf

from bookbrain.errors import UnavailableError
from bookbrain.ocr.tesseract import find_tesseract

from .conftest import SCREENSHOTS, new_visitor

WORDS = ("walrus", "heron")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """An app whose one book is a scan, which it begins to read after a few seconds."""
    try:
        find_tesseract()
    except UnavailableError as reason:
        pytest.skip(str(reason))
    folder = tmp_path_factory.mktemp("scans")
    with Shelf(folder / "library") as shelf:
        shelf.add(easy_scan(folder / "scan.pdf", *WORDS))
        with serving(shelf) as started:
            yield started


@pytest.fixture(scope="module")
def visitor(browser: Browser, app: App) -> Iterator[Page]:
    """Who was there when the book was read."""
    page = new_visitor(browser, app)
    page.goto("/books")
    yield page
    page.context.close()


def test_the_shelf_says_when_the_book_is_read(visitor: Page) -> None:
    """The page changes by itself."""
    note = visitor.get_by_text("All scanned pages of scan are read.")
    expect(note).to_be_visible()
    expect(visitor.get_by_text("read by OCR 2 of 2 pages")).to_be_visible()
    expect(visitor.get_by_text("still to read")).to_have_count(0)
    SCREENSHOTS.mkdir(exist_ok=True)
    visitor.screenshot(path=SCREENSHOTS / "scans-books.png")


@pytest.mark.parametrize(("number", "word"), [*enumerate(WORDS, 1)])
def test_a_word_is_found_and_marked_where_it_stands(
    visitor: Page, app: App, number: int, word: str
) -> None:
    visitor.goto(f"/?{urlencode({'q': word})}")
    visitor.locator("a.open").first.click()
    reader = visitor.frame_locator("#bookbrain-reader")
    expect(reader.locator(f'#picture[src*="/{number}.png"]')).to_be_visible()
    for shown in (reader.locator("#marks i"), reader.locator("#text span", has_text=word)):
        assert overlap(_share(shown, reader.locator("#sheet")), place_on_easy_scan(word)) > 0.7
    book = json.loads(app.get("/api/books")[1])[0]["id"]
    plain, marked = (
        _image(visitor, f"/page/{book}/{number}.png?{asked}") for asked in ("", f"q={word}")
    )
    changed = ImageChops.difference(marked, plain).convert("L").point([n > 16 for n in range(256)])
    left, top, right, bottom = changed.getbbox() or (0, 0, 0, 0)  # palettes differ by less
    box = left / marked.width, top / marked.height, right / marked.width, bottom / marked.height
    assert overlap(box, place_on_easy_scan(word)) > 0.7
    visitor.screenshot(path=SCREENSHOTS / f"scans-{word}.png")


def _share(shown: Locator, sheet: Locator) -> tuple[float, float, float, float]:
    """Where it stands on the sheet, in shares of its sides."""
    box, whole = shown.bounding_box(), sheet.bounding_box()
    assert box
    assert whole
    left, top = (box["x"] - whole["x"]) / whole["width"], (box["y"] - whole["y"]) / whole["height"]
    return (
        left, top, left + box["width"] / whole["width"], top + box["height"] / whole["height"]
    )  # fmt: skip


def _image(visitor: Page, address: str) -> Image.Image:
    return Image.open(BytesIO(visitor.request.get(address).body())).convert("RGB")


def test_its_text_can_be_selected(visitor: Page, app: App) -> None:
    book = json.loads(app.get("/api/books")[1])[0]["id"]
    visitor.goto(f"/read?{urlencode({'book': book, 'page': '1'})}")
    visitor.locator("#text span", has_text=WORDS[0]).click(click_count=3)
    selected = visitor.evaluate("getSelection().toString()")
    assert f"The {WORDS[0]} waits until all of the worker threads" in selected
