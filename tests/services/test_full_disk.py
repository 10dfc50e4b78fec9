"""A disk that fills while books are added: one clear line, no half book, nothing paid twice."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from support import pdfs
from support.chroma_server import ChromaServer
from support.namespace import Namespace
from support.openai_process import OpenAIProcess
from support.shelf import Shelf

pytestmark = pytest.mark.slow

_ENOUGH = "100m"
_dimensions = count(40)


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("books")
    return [
        pdfs.long_book(folder / f"{seed}.pdf", 24, seed=seed, language="en") for seed in (1, 2, 3)
    ]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Namespace]:
    """A mount namespace with a small disk at `home`."""
    (tmp_path / "library").mkdir()
    with Namespace("mount") as namespace:
        namespace.run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path / "library"))
        yield namespace


# From where not even the catalog fits to where the third book does not.
@pytest.mark.parametrize("size", [32, 96, 320, 1200, 1500])
def test_the_next_add_after_making_room_finishes(
    size: int,
    tmp_path: Path,
    disk: Namespace,
    openai: OpenAIProcess,
    chroma: ChromaServer,
    books: list[Path],
) -> None:
    home = tmp_path / "library"
    disk.run("mount", "-o", f"remount,size={size}k", str(home))
    with Shelf(
        home, openai, disk.inside, CHROMA_URL=chroma.url,
        BOOKBRAIN_EMBEDDING_DIMENSIONS=str(next(_dimensions)),
    ) as shelf:  # fmt: skip
        done = shelf.add(*books, code=1)
        assert done.err.count("Error: ") == 1
        assert "The disk is full." in done.err
        disk.run("mount", "-o", f"remount,size={_ENOUGH}", str(home))
        shelf.add(*books)
        found = shelf.books()
        assert sorted(book["file"] for book in found) == ["1.pdf", "2.pdf", "3.pdf"]
        assert [book["problems"] for book in found] == [[], [], []]
        assert set(openai.requested.values()) == {1}
        assert len(openai.bought) == sum(book["passages"] for book in found)
        for seed in (1, 2, 3):
            answer = shelf.search(pdfs.probe(seed, 20))
            assert answer["degraded"] is None
            assert (answer["hits"][0]["file"], answer["hits"][0]["page"]) == (f"{seed}.pdf", 21)
