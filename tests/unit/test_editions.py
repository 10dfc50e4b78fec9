"""Books of one name are told apart wherever they are listed or cited."""

import json
from pathlib import Path
from unicodedata import normalize

import pytest
from click.testing import CliRunner, Result
from support import pdfs

import bookbrain.cli
from bookbrain.library import Library
from bookbrain.model import Book, result_markdown, told_apart
from bookbrain.settings import Settings

pytestmark = pytest.mark.slow


def book(letter: str, title: str, file: str) -> Book:
    return Book(letter * 64, title, file, 3, 3, "2026-11-23T04:05:06.000+00:00")


def test_only_books_of_one_name_have_an_edition() -> None:
    nfd = normalize("NFD", "암석.pdf")
    books = told_apart(
        [
            book("a", "Rocks", "rocks.pdf"),
            book("b", "Rocks", "rocks.pdf"),
            book("c", "Rocks", "stones.pdf"),
            book("d", "Sand", "sand.pdf"),
            book("e", "암석 1", "암석.pdf"),
            book("f", "암석 2", nfd),
        ]
    )
    assert [one.edition for one in books] == [
        "3 pages, added on 2026-11-23 04:05, aaaaaaaaaaaa",
        "3 pages, added on 2026-11-23 04:05, bbbbbbbbbbbb",
        "stones.pdf",
        "",
        "3 pages, added on 2026-11-23 04:05, eeeeeeeeeeee",
        "3 pages, added on 2026-11-23 04:05, ffffffffffff",
    ]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with two editions of rocks.pdf, a third book of their title, and another one."""
    folder = tmp_path_factory.mktemp("editions")
    for name, text, title in (
        ("1/rocks.pdf", "The first edition speaks of travertine.", "Rocks"),
        ("2/rocks.pdf", "The second one speaks of travertine and tuff.", "Rocks"),
        ("3/stones.pdf", "A third book about travertine is here as well.", "Rocks"),
        ("4/sand.pdf", "Sand and travertine are in this one.", "Sand"),
    ):
        (folder / name).parent.mkdir()
        pdfs.book(folder / name, [text], title=title)
    return folder


def run(home: Path, *arguments: str) -> Result:
    env = {"BOOKBRAIN_HOME": str(home / "library"), "LC_ALL": "C.UTF-8", "COLUMNS": "200"}
    return CliRunner(env=env).invoke(bookbrain.cli.main, arguments, prog_name="bookbrain")


@pytest.fixture(scope="module")
def added(home: Path) -> list[str]:
    """What was said as each was added."""
    return [run(home, "add", str(home / str(n))).output for n in (1, 2, 3, 4)]


def test_at_add_it_is_said_that_one_of_this_name_is_there(added: list[str]) -> None:
    said = ["another book of this file name is there" in one for one in added]
    assert said == [False, True, False, False]


@pytest.fixture
def books(home: Path, added: list[str]) -> list[Book]:
    with Library(Settings(home / "library")) as library:
        return library.books()


def test_the_list_tells_them_apart(home: Path, books: list[Book]) -> None:
    assert len({one.edition for one in books}) == 4
    lines = run(home, "books").output.splitlines()
    assert len([line for line in lines if "one of several of this name" in line]) == 2
    for one in json.loads(run(home, "books", "--json").output):
        assert one["edition"] == next(b.edition for b in books if b.id == one["id"])


def test_hits_and_citations_tell_them_apart(home: Path, books: list[Book]) -> None:
    with Library(Settings(home / "library")) as library:
        result = library.search("travertine", mode="keyword")
    everything = {hit.book_id: hit.edition for hit in result.hits}
    everything |= {one.book_id: one.edition for hit in result.hits for one in hit.duplicates}
    assert everything == {one.id: one.edition for one in books}
    cited = [line for line in result_markdown(result, "en").splitlines() if "—" in line]
    assert len(set(cited)) == len(cited) == len(result.hits)
    shown = run(home, "search", "travertine", "--mode", "keyword").output
    for one in books[:2]:
        assert one.id[:12] in shown


def test_a_name_of_several_is_refused_with_what_differs(home: Path, books: list[Book]) -> None:
    refused = run(home, "search", "travertine", "--book", "rocks.pdf")
    assert refused.exit_code != 0
    for one in books[:2]:
        assert one.id[:12] in refused.output
        assert run(home, "search", "travertine", "--book", one.id[:12]).exit_code == 0


def test_a_file_name_is_kept_composed(home: Path, tmp_path: Path) -> None:
    path = pdfs.book(tmp_path / normalize("NFD", "스프링 부트.pdf"), ["words"])
    with Library(Settings(tmp_path / "library")) as library:
        (planned,) = library.plan([path])
        (outcome,) = library.add([path]).outcomes
    assert outcome.book
    assert planned.file == outcome.book.file == normalize("NFC", path.name)
    assert planned.title == outcome.book.title == normalize("NFC", path.stem)


def test_another_title_is_kept_composed(tmp_path: Path) -> None:
    with Library(Settings(tmp_path / "library")) as library:
        library.add([pdfs.book(tmp_path / "a.pdf", ["words"])])
        given = library.rename("a.pdf", normalize("NFD", "스프링 부트")).title
        assert given == library.find_book("a.pdf").title == normalize("NFC", "스프링 부트")
