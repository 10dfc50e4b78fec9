"""What the page shows, run by Streamlit's own test harness on a real library."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from streamlit.testing.v1 import AppTest
from support import pdfs
from support.drawn import Drawn, own_html

import bookbrain.web
from bookbrain.library import Library
from bookbrain.model import Book
from bookbrain.settings import Settings
from bookbrain.web.shelf import Shelf, use_shelf

PAGE = Path(bookbrain.web.__file__).with_name("frame.py")
TITLE = "Locks </h2><script>alert(1)</script> & <b>**bold**</b> $x$ :red[no]"
PAGES = (
    "The walrus holds the <img src=x onerror=alert(1)> lock & waits.",
    "비동기 처리\n트랜잭션 로그는 비동기 처리로 기록한다.",
)
SEAS = (
    "A seal swims in the cold northern sea.",
    "A blank about harbours.",
    "A third thing.",
    "The seal likes the cold northern sea.",
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
        library.add([book, pdfs.book(folder / "seas.pdf", SEAS, title="Seas")])
    shelf = Shelf(settings)
    yield shelf
    shelf.close()


def run(
    shelf: Shelf, query: str = "", locale: str | None = "en-US", **address: str | list[str]
) -> AppTest:
    use_shelf(shelf)
    app = AppTest.from_file(PAGE, default_timeout=30)
    if locale:
        app.context["locale"] = locale
    for name, value in (({"q": query} if query else {}) | address).items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def titles(app: AppTest) -> list[str]:
    """Of the hits, in order."""
    return re.findall(r'class="open"[^>]*>([^<]*)<', "".join(own_html(app)))


@pytest.mark.slow
def test_a_hit_has_title_page_chapter_and_marks(shelf: Shelf) -> None:
    remark, hits = own_html(run(shelf, "walrus"))
    assert "Keyword search only. Search by meaning is off" in remark
    assert 'href="/system"' in remark
    text = Drawn(hits).text
    assert TITLE in text
    assert "p. xii (page 1 of the file) · 1. <i>Walruses</i>" in text
    assert "The <mark>walrus</mark> holds" in hits
    assert re.search(r"by keyword: rank 1, score [\d.]+ · together: [\d.]+ · locks.pdf", text)


@pytest.mark.slow
def test_a_hit_leads_to_its_page_and_to_similar_ones(shelf: Shelf) -> None:
    (book,) = [book.id for book in _books(shelf) if book.file == "seas.pdf"]
    hits = own_html(run(shelf, "cold & northern"))[-1]
    assert f'href="/read?book={book}&amp;page=1&amp;find=cold+%26+northern"' in hits
    assert f'href="/?similar={book}%3A1"' in hits


def test_what_a_hit_copies_is_a_citation(shelf: Shelf) -> None:
    hits = own_html(run(shelf, "harbours"))[-1]
    (copied,) = re.findall('data-copy="([^"]*)"', hits)
    assert unquote(copied) == "> A blank about harbours.\n>\n> — *Seas*, p. 2\n"


def test_the_whole_result_can_be_taken_away(shelf: Shelf) -> None:
    hits = own_html(run(shelf, "northern", "ko-KR", most="5", books="Seas"))[-1]
    (book,) = [book.id for book in _books(shelf) if book.file == "seas.pdf"]
    asked = f"q=northern&amp;k=5&amp;mode=hybrid&amp;book={book}"
    assert f'href="/api/search?{asked}" download' in hits
    assert f'href="/api/search.md?{asked}&amp;language=ko" download' in hits


def _books(shelf: Shelf) -> list[Book]:
    with shelf.library() as library:
        return library.books()


TAGS = {
    "article",
    "h2",
    "p",
    "mark",
    "ol",
    "li",
    "a",
    "div",
    "button",
    "details",
    "summary",
    "span",
}


def test_what_a_book_says_is_text(shelf: Shelf) -> None:
    for element in own_html(run(shelf, "walrus lock")):
        assert Drawn(element).tags <= TAGS
    assert not run(shelf, "walrus").markdown  # nothing of it goes through Markdown


@pytest.mark.parametrize("query", ["<script>alert(1)</script>", "**x** <b>y", '"<mark>"', "-a <i>"])
def test_what_is_asked_is_text(shelf: Shelf, query: str) -> None:
    for element in own_html(run(shelf, query)):
        assert Drawn(element).tags <= TAGS


def test_typing_asks(shelf: Shelf) -> None:
    app = run(shelf)
    assert own_html(app) == []
    app.text_input(key="q").set_value("walrus").run()
    assert len(own_html(app)) == 2


def test_no_hit_says_what_to_loosen(shelf: Shelf) -> None:
    first, *others = own_html(run(shelf, "zebra"))[1:]
    assert first == '<p class="none">No page has that. Try fewer or other words.</p>'
    assert others == []
    assert "in all books" in " ".join(own_html(run(shelf, "zebra", books="Seas")))


def test_how_a_query_was_read_stands_above_the_hits_with_the_other_way(shelf: Shelf) -> None:
    read = own_html(run(shelf, "seal -cold"))[1]
    assert 'without: cold <a href="/?q=seal+cold">read it the other way' in read
    app = run(shelf, "seal cold")
    assert titles(app) == ["Seas", "Seas"]
    assert len(own_html(app)) == 2


def test_where_nothing_is_left_the_plain_words_are_found_and_that_is_said(shelf: Shelf) -> None:
    app = run(shelf, '"zebra seal" -cold', books="Seas")
    said = " ".join(own_html(app))
    assert 'exactly: zebra seal <a href="/?books=Seas&amp;q=zebra+seal+-cold">' in said
    assert "No page has that as it was asked. These have some of the plain words." in said
    assert titles(app) == ["Seas", "Seas"]


def test_a_query_that_cannot_be_used_is_a_line(shelf: Shelf) -> None:
    (line,) = own_html(run(shelf, "-walrus"))
    assert line.startswith('<p class="error">')


def test_an_empty_library_says_how_to_begin(tmp_path: Path) -> None:
    shelf = Shelf(Settings(home=tmp_path / "new"))
    assert own_html(run(shelf)) == [
        '<p class="remark">No books yet. <a href="/books">Add some</a></p>'
    ]
    shelf.close()


def test_korean(shelf: Shelf) -> None:
    app = run(shelf, "비동기", "ko-KR")
    remark, hit = own_html(app)
    assert app.text_input(key="q").label == "책에서 찾기"
    assert "키워드로만 검색했습니다. 뜻으로 찾기는 꺼져 있습니다." in remark
    assert "<mark>비동기</mark>" in hit
    assert "2쪽" in hit
    assert own_html(run(shelf, "zebra", "ko"))[-1] == (
        '<p class="none">찾는 것이 있는 쪽이 없습니다. 낱말을 줄이거나 바꾸어 보십시오.</p>'
    )


# Options


def test_options_choose_and_are_in_the_address(shelf: Shelf) -> None:
    app = run(shelf, "a")
    assert titles(app) == ["Seas"] * 3
    app.slider(key="most").set_value(5)
    app.multiselect(key="books").set_value([TITLE]).run()
    assert titles(app) == []
    assert titles(run(shelf, "lock northern", books="Seas")) == ["Seas", "Seas"]


def test_chapters_are_chosen_among_those_found(shelf: Shelf) -> None:
    app = run(shelf, "lock northern 트랜잭션")
    assert app.multiselect(key="chapter").options == ["1. <i>Walruses</i>"]
    app.multiselect(key="chapter").set_value(["1. <i>Walruses</i>"]).run()
    assert len(titles(app)) == 2
    app.text_input(key="q").set_value("northern").run()
    assert "in all books and chapters" in own_html(app)[-1]


def test_hits_of_one_book_fold_together(shelf: Shelf) -> None:
    app = run(shelf, "walrus northern")
    assert "More pages" not in own_html(app)[-1]
    app.checkbox(key="fold").check().run()
    assert (
        own_html(app)[-1].count('<details class="more"><summary>More pages of this book: 1<') == 1
    )
    assert len(titles(app)) == 3


def test_legs_are_no_choice_without_an_endpoint(shelf: Shelf) -> None:
    assert not run(shelf, "walrus").radio


# Recent searches


def test_recent_searches_are_the_newest_first_and_without_their_beginnings(shelf: Shelf) -> None:
    app = run(shelf)
    for typed in ("w", "walrus", "walru", "<b>seal", "walrus", ""):
        app.text_input(key="q").set_value(typed).run()
    (recent,) = own_html(app)
    assert re.findall(r"<li><a href=\"([^\"]*)\">([^<]*)<", recent) == [
        ("/?q=walrus", "walrus"),
        ("/?q=%3Cb%3Eseal", "&lt;b&gt;seal"),
    ]


# Similar pages


def test_similar_pages_say_to_what(shelf: Shelf) -> None:
    (book,) = [book.id for book in _books(shelf) if book.file == "seas.pdf"]
    app = run(shelf, similar=f"{book}:1")
    origin, remark, hits = own_html(app)
    assert f'href="/read?book={book}&amp;page=1">Seas</a>' in origin
    assert "Similar to page 1 of the file:" in origin
    assert "page=4" in hits
    assert "Keyword search only." in remark


@pytest.mark.parametrize("similar", ["x", "x:1", ":", "x:y", "0" * 64 + ":1"])
def test_similar_to_nothing_is_a_line(shelf: Shelf, similar: str) -> None:
    assert own_html(run(shelf, similar=similar))[-1].startswith('<p class="error">There is no ')


@pytest.mark.parametrize("locale", [None, "", "de-DE", "kok-IN", "xx_*"])
def test_other_languages_get_english(shelf: Shelf, locale: str | None) -> None:
    assert run(shelf, "", locale).text_input(key="q").label == "Search your books"
