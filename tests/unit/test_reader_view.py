"""What the reader shows, run by Streamlit's own test harness on a real library."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from support import pdfs
from support.drawn import Drawn, own_html

import bookbrain.web
from bookbrain.library import Library
from bookbrain.settings import Settings
from bookbrain.web.shelf import Shelf, use_shelf

SCRIPT = Path(bookbrain.web.__file__).with_name("frame.py")
TITLE = "Locks </h1><script>alert(1)</script> **bold** $x$ :red[no]"
PAGES = (
    "Preface\nThe walrus & the <img src=x onerror=alert(1)> lock.",
    "1 Seals\nSeals have no lock.\n2 <i>Walruses</i>\nThe walrus has one.",
    "A page about nothing.",
    "비동기 처리\n트랜잭션 로그는 비동기 처리로 기록한다.",
    "The last walrus.",
)
OUTLINE = [(0, "Preface", 0), (0, "1 Seals", 1), (0, "2 <i>Walruses</i>", 1), (0, "비동기 처리", 3)]
LABELS = ("i", "1", "2", "4", "5")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    folder = tmp_path_factory.mktemp("page")
    settings = Settings(home=folder / "library")
    with Library(settings) as library:
        book = pdfs.book(folder / "locks.pdf", PAGES, title=TITLE, outline=OUTLINE, labels=LABELS)
        scan = pdfs.mixed(folder / "scan.pdf", ["text", "scan"])
        library.add([book, scan, pdfs.book(folder / "leaf.pdf", ["A single leaf."])])
    shelf = Shelf(settings)
    yield shelf
    shelf.close()


def book_id(shelf: Shelf, name: str = "locks.pdf") -> str:
    with shelf.library() as library:
        return library.find_book(name).id


def read(shelf: Shelf, locale: str = "en-US", **params: str) -> AppTest:
    """The reader, come to from the search page, at these parameters; `book` is "locks.pdf" where
    nothing else is said."""
    use_shelf(shelf)
    app = AppTest.from_file(SCRIPT, default_timeout=30)
    app.context["locale"] = locale
    app.run()
    app.switch_page("reader_page.py")
    for name, value in ({"book": book_id(shelf)} | params).items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def html(app: AppTest) -> str:
    """The page's own HTML, without its style."""
    return "\n".join(own_html(app))


def where(app: AppTest) -> str:
    return html(app).partition('<p class="where">')[2].partition("</p>")[0]


def button(app: AppTest, label: str) -> object:
    return next(b for b in app.button if b.label == label)


def page(app: AppTest) -> str:
    return str(app.query_params["page"][0])


@pytest.mark.slow
def test_a_page_says_what_and_where_it_is(shelf: Shelf) -> None:
    app = read(shelf, page="1", find="walrus")
    shown = Drawn(html(app))
    assert TITLE in shown.text
    assert where(app) == "p. i (page 1 of the file) · Preface · match 1 of 3"
    assert shown.pictures[0] == f"/page/{book_id(shelf)}/1.png?q=walrus&width=1200"
    assert app.code[0].value == PAGES[0]


@pytest.mark.slow
def test_what_a_book_or_a_query_says_is_text(shelf: Shelf) -> None:
    app = read(shelf, page="2", find='walrus "><script>alert(2)</script>')
    assert Drawn(html(app)).tags == {"h1", "p", "div", "img", "ul", "li", "a"}
    assert not app.markdown


def test_the_chapter_is_that_of_the_match(shelf: Shelf) -> None:
    assert "2 <i>Walruses</i>" in Drawn(where(read(shelf, page="2", find="walrus"))).text
    assert "1 Seals" in where(read(shelf, page="2", find="seals"))
    assert "2 <i>Walruses</i>" in Drawn(where(read(shelf, page="3"))).text


def test_turning_pages(shelf: Shelf) -> None:
    app = read(shelf, page="2")
    button(app, "Next page").click().run()
    assert page(app) == "3"
    button(app, "Previous page").click().run().run()
    assert page(app) == "2"
    assert button(read(shelf, page="1"), "Previous page").disabled
    assert button(read(shelf, page="5"), "Next page").disabled
    assert not [b for b in app.button if "match" in b.label]  # nothing is searched for


def test_from_match_to_match(shelf: Shelf) -> None:
    app = read(shelf, page="2", find="walrus")
    button(app, "Next match").click().run()
    assert page(app) == "5"
    assert button(app, "Next match").disabled
    button(app, "Previous match").click().run()
    assert page(app) == "2"
    between = read(shelf, page="3", find="walrus")
    assert where(between).endswith("pages that match: 3")
    button(between, "Previous match").click().run()
    assert page(between) == "2"


@pytest.mark.slow
def test_matches_have_every_word_where_a_page_has(shelf: Shelf) -> None:
    assert where(read(shelf, page="1", find="walrus lock")).endswith("match 1 of 2")
    assert where(read(shelf, page="1", find="walrus nothing")).endswith("match 1 of 4")
    assert "match" not in where(read(shelf, page="1", find="zebra"))
    assert "match" not in where(read(shelf, page="1", find="-walrus"))


def test_the_chapter_list_jumps(shelf: Shelf) -> None:
    app = read(shelf, page="1")
    chapters = app.selectbox[0]
    assert chapters.options == [title for _, title, _ in OUTLINE]
    chapters.set_value(3).run()
    assert page(app) == "4"
    assert app.selectbox[0].value == 3


def test_a_number_jumps(shelf: Shelf) -> None:
    app = read(shelf, page="1")
    app.number_input[0].set_value(5).run()
    assert page(app) == "5"


def test_the_next_pages_are_fetched_before_they_are_asked_for(shelf: Shelf) -> None:
    pictures = Drawn(html(read(shelf, page="2", find="walrus"))).pictures
    assert [p.split("/")[-1].split(".")[0] for p in pictures] == ["2", "5", "3", "1"]


def links(app: AppTest) -> dict[str, str]:
    """What each says, and where it leads."""
    found = re.findall(r'<li><a href="([^"]*)">([^<]*)</a>', html(app))
    return {said: address for address, said in found}


def test_the_ways_out(shelf: Shelf) -> None:
    app = read(shelf, page="2", find="walrus lock")
    assert links(app) == {
        "Back to the search": "/?q=walrus+lock",
        "Similar pages": f"/?similar={book_id(shelf)}%3A2",
    }
    (file,) = app.get("link_button")
    assert file.proto.url == f"/book/{book_id(shelf)}.pdf#page=2"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"book": "0" * 64}, "There is no such book."),
        ({"book": ""}, "There is no such book."),
        ({"book": "<script>"}, "There is no such book."),
        ({"page": "6"}, "This book has no page 6. Its pages are 1 to 5."),
        ({"page": "0"}, "This book has no page 0."),
        ({"page": "-1"}, "There is no such page."),
        ({"page": "9" * 5000}, "There is no such page."),
    ],
)
def test_what_is_not_there_is_said_with_a_way_on(
    shelf: Shelf, params: dict[str, str], message: str
) -> None:
    app = read(shelf, **params)
    assert message in html(app)
    assert links(app) == {"To the search": "/", "To the books": "/books"}


def test_without_a_number_a_book_begins_at_its_start(shelf: Shelf) -> None:
    assert where(read(shelf)).startswith("p. i ")


def test_a_scan_says_why_there_is_no_text(shelf: Shelf) -> None:
    app = read(shelf, book=book_id(shelf, "scan.pdf"), page="2")
    assert "p. 2: no text (a scan)" in html(app)
    assert not app.code
    korean = read(shelf, locale="ko-KR", book=book_id(shelf, "scan.pdf"), page="2")
    assert "2쪽: 글자가 없습니다(스캔한 쪽)" in html(korean)


def test_a_book_of_one_page_without_chapters(shelf: Shelf) -> None:
    app = read(shelf, book=book_id(shelf, "leaf.pdf"), find="leaf")
    assert where(app) == "p. 1 · match 1 of 1"
    assert all(b.disabled for b in app.button)
    assert not app.selectbox


def test_a_long_query_fits_an_address(shelf: Shelf) -> None:
    pictures = Drawn(html(read(shelf, page="1", find="비동기 " * 2500))).pictures
    assert all(len(address) < 30_000 for address in pictures)


def test_korean(shelf: Shelf) -> None:
    app = read(shelf, "ko-KR", page="4", find="비동기")
    assert where(app) == "4쪽 · 비동기 처리 · 일치하는 1쪽 가운데 1번째"
    assert button(app, "다음 쪽")
    assert "그런 책이 없습니다." in html(read(shelf, "ko-KR", book="x"))
