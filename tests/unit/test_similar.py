"""Pages like one that is there, by keyword; by meaning they are tried with a real Chroma."""

from collections.abc import Iterator

import pytest
from support import pdfs

from bookbrain.errors import InputError
from bookbrain.library import Library
from bookbrain.settings import Settings

SEAS = (
    "The seal swims in the cold northern sea.",
    "Here the seal sleeps beside the cold northern sea.",
    "Bread and butter.",
    "A seal of the cold northern sea, once more.",
    "",
)
LAND = ("Wheat grows on dry land.", "No seal was seen near the sea by the farmer.")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("similar")
    with Library(Settings(home=folder / "library")) as library:
        library.add([pdfs.book(folder / "seas.pdf", SEAS, title="Seas"),
                     pdfs.book(folder / "land.pdf", LAND, title="Land")])  # fmt: skip
        yield library


def test_the_page_and_its_neighbours_are_left_out(library: Library) -> None:
    result = library.similar("seas.pdf", 1)
    assert [(hit.file, hit.page) for hit in result.hits] == [("seas.pdf", 4), ("land.pdf", 2)]
    assert {(hit.file, hit.page) for hit in library.similar("seas.pdf", 4).hits} == {
        ("seas.pdf", 1),
        ("seas.pdf", 2),
        ("land.pdf", 2),
    }


def test_a_neighbour_in_another_book_is_none(library: Library) -> None:
    """Whichever book comes first in the index, its last page is not beside the other's first."""
    for file, page in (("land.pdf", 2), ("seas.pdf", 1)):
        others = {hit.file for hit in library.similar(file, page).hits}
        assert others - {file}


def test_what_it_is_by_is_said_and_marked(library: Library) -> None:
    result = library.similar("seas.pdf", 1, k=1)
    assert result.remark.startswith("Keyword search only. Search by meaning is off")
    (hit,) = result.hits
    assert "<mark>seal</mark>" in hit.snippet
    assert hit.why.keyword is not None
    assert hit.why.keyword.rank == 1


def test_a_page_without_words_is_like_none(library: Library) -> None:
    assert library.similar("seas.pdf", 5).hits == ()
    assert library.similar("seas.pdf", 3).hits == ()


@pytest.mark.parametrize(("book", "page"), [("seas.pdf", 0), ("seas.pdf", 6), ("none.pdf", 1)])
def test_what_is_not_there_is_an_error(library: Library, book: str, page: int) -> None:
    with pytest.raises(InputError):
        library.similar(book, page)
