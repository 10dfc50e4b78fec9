"""What the page shows, run by Streamlit's own test harness on a real library."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from support import pdfs

import bookbrain.web
from bookbrain.config import Settings
from bookbrain.library import Library
from bookbrain.web.shelf import Shelf, use_shelf

PAGE = Path(bookbrain.web.__file__).with_name("script.py")
TITLE = "Locks </h2><script>alert(1)</script> & <b>**bold**</b> $x$ :red[no]"
PAGES = (
    "The walrus holds the <img src=x onerror=alert(1)> lock & waits.",
    "비동기 처리\n트랜잭션 로그는 비동기 처리로 기록한다.",
)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    folder = tmp_path_factory.mktemp("page")
    settings = Settings(home=folder / "library")
    outline = [(0, "1. <i>Walruses</i>", 0)]
    with Library(settings) as library:
        book = pdfs.book(
            folder / "locks.pdf", PAGES, title=TITLE, outline=outline, labels=("xii", "2")
        )
        library.add([book])
    shelf = Shelf(settings)
    yield shelf
    shelf.close()


def run(shelf: Shelf, query: str = "", locale: str | None = "en-US") -> AppTest:
    use_shelf(shelf)
    app = AppTest.from_file(PAGE, default_timeout=30)
    if locale:
        app.context["locale"] = locale
    if query:
        app.query_params["q"] = query
    app.run()
    assert not app.exception
    return app


def shown(app: AppTest) -> list[str]:
    """The page's own HTML, without its style."""
    return [e.proto.body for e in app.get("html") if "<style>" not in e.proto.body]


class _Reader(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_hit_has_title_page_chapter_and_marks(shelf: Shelf) -> None:
    app = run(shelf, "walrus")
    remark, hit = shown(app)
    assert "Keyword search only. Search by meaning is off" in remark
    text = _Reader(hit).text
    assert f"1. {TITLE}" in text
    assert "p. xii (page 1 of the file) · 1. <i>Walruses</i> · locks.pdf" in text
    assert "The <mark>walrus</mark> holds" in hit


def test_what_a_book_says_is_text(shelf: Shelf) -> None:
    for element in shown(run(shelf, "walrus lock")):
        assert set(_Reader(element).tags) <= {"article", "h2", "p", "mark"}
    assert not run(shelf, "walrus").markdown  # nothing of it goes through Markdown


@pytest.mark.parametrize("query", ["<script>alert(1)</script>", "**x** <b>y", '"<mark>"', "-a <i>"])
def test_what_is_asked_is_text(shelf: Shelf, query: str) -> None:
    for element in shown(run(shelf, query)):
        assert set(_Reader(element).tags) <= {"article", "h2", "p", "mark"}


def test_typing_asks(shelf: Shelf) -> None:
    app = run(shelf)
    assert shown(app) == []
    app.text_input(key="q").set_value("walrus").run()
    assert len(shown(app)) == 2


def test_no_hit_says_so(shelf: Shelf) -> None:
    assert shown(run(shelf, "zebra"))[-1] == (
        '<p class="none">No page has that. Try fewer or other words.</p>'
    )


def test_a_query_that_cannot_be_used_is_a_line(shelf: Shelf) -> None:
    (line,) = shown(run(shelf, "-walrus"))
    assert line.startswith('<p class="error">')


def test_an_empty_library_says_how_to_begin(tmp_path: Path) -> None:
    shelf = Shelf(Settings(home=tmp_path / "new"))
    assert shown(run(shelf)) == [
        '<p class="remark">No books yet. Add some: bookbrain add ~/Books</p>'
    ]
    shelf.close()


def test_korean(shelf: Shelf) -> None:
    app = run(shelf, "비동기", "ko-KR")
    remark, hit = shown(app)
    assert app.text_input(key="q").label == "책에서 찾기"
    assert "키워드로만 검색했습니다. 뜻으로 찾기는 꺼져 있습니다." in remark
    assert "<mark>비동기</mark>" in hit
    assert "2쪽" in hit
    assert shown(run(shelf, "zebra", "ko"))[-1] == (
        '<p class="none">찾는 것이 있는 쪽이 없습니다. 낱말을 줄이거나 바꾸어 보십시오.</p>'
    )


@pytest.mark.parametrize("locale", [None, "", "de-DE", "kok-IN", "xx_*"])
def test_other_languages_get_english(shelf: Shelf, locale: str | None) -> None:
    assert run(shelf, "", locale).text_input(key="q").label == "Search your books"
