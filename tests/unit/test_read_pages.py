"""What people are shown of pages that were read from their pictures: marks, doubts, reasons."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest
from support import pdfs
from support.drawn import Drawn, own_html
from support.readers_of_scans import FakeEngine, page_of

import bookbrain.web
from bookbrain.files import file_lock
from bookbrain.library import Library
from bookbrain.messages import fill
from bookbrain.model import to_json
from bookbrain.ocr.engine import RecognisedPage
from bookbrain.ocr.page_scan import UnreadPageError
from bookbrain.paths import STORE, LibraryPaths
from bookbrain.settings import Settings
from bookbrain.web.api import Health, make_routes
from bookbrain.web.reader import reader_routes
from bookbrain.web.shelf import Shelf, use_shelf

pytestmark = pytest.mark.slow

SCRIPT = Path(bookbrain.web.__file__).with_name("frame.py")
GOOD, DOUBTED, FAILED, EMPTY, LEFT = range(1, 6)


def read(number: int) -> RecognisedPage:
    if number == FAILED:
        raise UnreadPageError(fill("it takes longer than {seconds:g} seconds to paint", seconds=60))
    lines = {
        GOOD: page_of("락을 비동기로 푼다", "The walrus-lock"),
        DOUBTED: page_of("Wxlrus 비동7"),
        EMPTY: page_of(),
    }[number]
    sure = 59.9 if number == DOUBTED else 91.0
    return replace(lines, words=tuple(replace(word, confidence=sure) for word in lines.words))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with a scan of which a page is left, one that was read, and a book of text."""
    folder = tmp_path_factory.mktemp("read")
    with Library(Settings(folder / "library")) as library:
        library.add([
            pdfs.scanned(folder / "scan.pdf", LEFT, "A scan"),
            pdfs.mixed(folder / "mixed.pdf", ["text", "scan"], "Half a scan"),
            pdfs.book(folder / "text.pdf", ["A walrus in print"]),
        ])  # fmt: skip
        scan = library.find_book("scan.pdf").id
        engine = FakeEngine(
            read=lambda book, n: read(n) if book == scan else page_of("A walrus in a picture")
        )
        library.recognise(engine=engine, pages=range(1, LEFT))
    return folder / "library"


@pytest.fixture
def library(home: Path) -> Iterator[Library]:
    with Library(Settings(home)) as opened:
        yield opened


def test_a_picture_has_the_places_of_what_was_read(library: Library) -> None:
    book = library.open_book(library.find_book("scan.pdf").id)
    picture = book.picture(GOOD, "비동기", 800)
    (mark,) = picture.marks
    assert picture.text[slice(*mark)] == "비동기"
    words = ["".join(letter for letter, _ in word) for word in picture.words]
    assert words == ["락을", "비동기로", "푼다", "The", "walrus-lock"]
    assert book.picture(GOOD, "heron", 800).words == ()
    text = library.open_book(library.find_book("text.pdf").id)
    assert text.picture(1, "walrus", 800).words == ()


def test_a_word_that_the_end_of_a_line_cut_is_found_and_marked(tmp_path: Path) -> None:
    lines = (
        "The balancer has a new archi-",
        "tecture with a well-",
        "known cache and a bal-",
        "ancer. Nobody had known it well.",
    )
    with Library(Settings(tmp_path / "library")) as library:
        library.add([pdfs.scanned(tmp_path / "scan.pdf", 1, "A scan")])
        library.recognise(engine=FakeEngine(read=lambda book, number: page_of(*lines)))
        for query in ("architecture", '"a balancer"', "well-known"):
            (hit,) = library.search(query).hits
            assert hit.page == 1
        book = library.open_book(library.books()[0].id)
        picture = book.picture(1, "architecture", 800)
        (mark,) = picture.marks
        assert picture.text[slice(*mark)] == "architecture"
        assert book.page(1).text.startswith("The balancer has a new architecture")
        words = ["".join(letter for letter, _ in word) for word in picture.words]
        assert words[5:8] == ["archi-", "tecture", "with"]


def test_what_text_recognition_made_of_a_page(library: Library) -> None:
    book = library.open_book(library.find_book("scan.pdf").id)
    remarks = {number: book.remark(book.page(number)) for number in range(1, LEFT + 1)}
    assert remarks == {
        GOOD: "",
        DOUBTED: "recognised, uncertain",
        FAILED: "not read by OCR: it takes longer than 60 seconds to paint",
        EMPTY: "read by OCR, and no word was found",
        LEFT: "",
    }
    text = library.open_book(library.find_book("text.pdf").id)
    assert text.remark(text.page(1)) == ""


def test_a_hit_says_how_sure_it_is(library: Library) -> None:
    hits = {(hit.file, hit.page): hit for hit in library.search("walrus wxlrus 비동").hits}
    assert {place: (hit.recognised, hit.doubt) for place, hit in hits.items()} == {
        ("scan.pdf", GOOD): (91.0, ""),
        ("scan.pdf", DOUBTED): (59.9, "recognised, uncertain"),
        ("mixed.pdf", 2): (91.0, ""),
        ("text.pdf", 1): (None, ""),
    }
    told = json.loads(to_json(library.search("print")))
    assert told["hits"][0]["recognised"] is None


def test_a_store_that_is_damaged_keeps_nobody_from_searching_and_reading(
    home: Path, library: Library
) -> None:
    with closing(sqlite3.connect(home / STORE, isolation_level=None)) as store:
        before = store.execute("SELECT file, page, content FROM recognised").fetchall()
        store.execute("UPDATE recognised SET content = x'00'")
        try:
            assert {hit.recognised for hit in library.search("walrus").hits} == {None}
            book = library.open_book(library.find_book("scan.pdf").id)
            assert book.picture(GOOD, "walrus", 800).words == ()
            assert book.remark(book.page(GOOD)) == ""
        finally:
            store.executemany(
                "UPDATE recognised SET content = ?3 WHERE file = ?1 AND page = ?2", before
            )


# In the browser


@pytest.fixture(scope="module")
def shelf(home: Path) -> Iterator[Shelf]:
    opened = Shelf(Settings(home))
    yield opened
    opened.close()


def shown(shelf: Shelf, script: str = "", locale: str = "en-US", **params: str) -> str:
    """The text of a page of the app."""
    use_shelf(shelf)
    app = AppTest.from_file(SCRIPT, default_timeout=30)
    app.context["locale"] = locale
    if script:
        app.run()
        app.switch_page(script)
    for name, value in params.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return Drawn("\n".join(own_html(app))).text


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (DOUBTED, ["p. 2: recognised, uncertain"]),
        (
            FAILED,
            ["p. 3: no text (a scan)",
             "p. 3: not read by OCR: it takes longer than 60 seconds to paint"],
        ),
        (EMPTY, ["p. 4: no text (a scan)", "p. 4: read by OCR, and no word was found"]),
        (LEFT, ["p. 5: no text (a scan)"]),
    ],
)  # fmt: skip
def test_a_page_says_what_was_made_of_it(shelf: Shelf, number: int, said: list[str]) -> None:
    with shelf.library() as library:
        book = library.find_book("scan.pdf").id
    assert remarks(shelf, book, number) == said
    assert "불확실" in remarks(shelf, book, DOUBTED, "ko-KR")[0]


def remarks(shelf: Shelf, book: str, number: int, language: str = "en") -> list[str]:
    """What the reader says of a page."""
    with TestClient(Starlette(routes=reader_routes(shelf))) as client:
        answer = client.get(f"/api/book/{book}/{number}", headers={"Accept-Language": language})
    return list(answer.json()["remarks"])


def test_a_doubted_hit_says_so(shelf: Shelf) -> None:
    assert doubts(shelf, "wxlrus") == ["recognised, uncertain"]
    assert not any(doubts(shelf, "print"))


def doubts(shelf: Shelf, query: str) -> list[str]:
    """What the search page says of its hits."""
    health = Health(shelf.settings)
    with TestClient(Starlette(routes=make_routes(shelf, health))) as client:
        answer = client.get("/api/search", params={"view": "page", "q": query})
    health.close()
    return [hit["doubt"] for hit in answer.json()["hits"]]


def test_the_shelf_says_how_far_each_book_is(shelf: Shelf) -> None:
    text = shown(shelf, "books_page.py")
    assert "read by OCR 4 of 5 pages" in text
    assert "read by OCR 1 of 1 pages" in text
    assert "Pages that text recognition is still to read: 1." in text
    with file_lock(LibraryPaths(shelf.home).ocr_lock):
        assert "read by OCR 4 of 5 pages, about a minute left" in shown(shelf, "books_page.py")
