"""A disk that is full, or fills while books are added, or is read-only: one clear line, no half
book, nothing paid twice; what is there is found, and removing makes room."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from support import pdfs
from support.app import serving
from support.chroma_server import ChromaServer
from support.namespace import Namespace
from support.openai_process import OpenAIProcess
from support.shelf import Shelf

from bookbrain.search.exam import exam

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
        passages = openai.bought.keys() - {*exam().texts}
        assert len(passages) == sum(book["passages"] for book in found)
        for seed in (1, 2, 3):
            answer = shelf.search(pdfs.probe(seed, 20))
            assert answer["degraded"] is None
            assert (answer["hits"][0]["file"], answer["hits"][0]["page"]) == (f"{seed}.pdf", 21)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, books: list[Path]) -> Path:
    """A library of two books without a key, closed."""
    home = tmp_path_factory.mktemp("kept") / "library"
    with Shelf(home) as shelf:
        shelf.add(*books[:2])
    return home


@pytest.fixture(params=["tmpfs", "ext4"])
def library(
    request: pytest.FixtureRequest, tmp_path: Path, disk: Namespace, kept: Path
) -> Iterator[Shelf]:
    """That library on a disk of 12 MB of its own."""
    place = tmp_path / "library"
    if request.param == "tmpfs":
        disk.run("mount", "-t", "tmpfs", "-o", "size=12m,nr_inodes=80", "tmpfs", str(place))
    else:
        image = tmp_path / "image"
        with image.open("wb") as file:
            file.truncate(12 << 20)
        try:
            disk.run("mkfs.ext4", "-q", "-m", "0", "-N", "80", str(image))
            disk.run("mount", "-o", "loop", str(image), str(place))
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("no ext4 can be mounted here: it takes mkfs.ext4 and loop devices")
    disk.run("cp", "-a", str(kept), str(place / "it"))
    with Shelf(place / "it", inside=disk.inside) as shelf:
        yield shelf
    disk.run("umount", "-l", str(place))


def use_up(disk: Namespace, folder: Path, what: str) -> None:
    """Leave not one byte, or not one inode, on the disk of `folder`; or nothing to be written."""
    if what == "bytes":
        with suppress(subprocess.CalledProcessError):
            disk.run("sh", "-c", f"cat /dev/zero > {folder}/fill; sync")
        with suppress(subprocess.CalledProcessError):
            disk.run("sh", "-c", f"cat /dev/zero >> {folder}/fill; sync")
    elif what == "inodes":
        with suppress(subprocess.CalledProcessError):
            disk.run("sh", "-ec", f"n=0; while :; do : > {folder}/$n; n=$((n+1)); done")
    else:
        disk.run("mount", "-o", "remount,ro", str(folder))


def leave_hot(disk: Namespace, shelf: Shelf) -> None:
    """A change of another title that is only in the WAL, as a process that was killed leaves it."""
    code = (
        "import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "db.execute(\"UPDATE book SET title = 'Hot' WHERE file = '1.pdf'\");"
        "os.kill(os.getpid(), 9)"
    )
    with suppress(subprocess.CalledProcessError):
        disk.run("python3", "-c", code, str(shelf.home / "catalog.sqlite3"))


@pytest.mark.parametrize("hot", [False, True], ids=["closed", "hot"])
@pytest.mark.parametrize("what", ["bytes", "inodes", "writing"])
def test_what_is_there_is_found_where_nothing_can_be_written(
    what: str, hot: bool, library: Shelf, disk: Namespace
) -> None:
    if hot:
        leave_hot(disk, library)
    use_up(disk, library.home.parent, what)
    titles = {book["file"]: book["title"] for book in library.books()}
    assert titles == {"1.pdf": "Hot" if hot else "Book 1", "2.pdf": "Book 2"}
    assert library.search(pdfs.probe(1, 20))["hits"][0]["page"] == 21
    for command in (["rename", "1.pdf", "Other"], ["rebuild"], ["add", "--", "."]):
        done = library.run(*command, code=None)
        assert done.code != 0
        assert done.err.count("Error: ") == 1
        assert "add` again" not in done.err or command[0] == "add"
    with serving(library) as app:
        assert app.health() == "ok"
        assert app.search(pdfs.probe(2, 20))["hits"][0]["file"] == "2.pdf"
        assert len(json.loads(app.get("/api/books")[1])) == 2


@pytest.mark.parametrize("served", [False, True], ids=["alone", "served"])
@pytest.mark.parametrize("what", ["bytes", "inodes"])
def test_removing_makes_room(what: str, served: bool, library: Shelf, disk: Namespace) -> None:
    book = next(book for book in library.books() if book["file"] == "1.pdf")
    if served:
        with serving(library) as app:
            use_up(disk, library.home.parent, what)
            library.run("remove", "1.pdf", "--yes")
            assert [b["file"] for b in json.loads(app.get("/api/books")[1])] == ["2.pdf"]
            assert {hit["file"] for hit in app.search("the")["hits"]} <= {"2.pdf"}
    else:
        use_up(disk, library.home.parent, what)
        library.run("remove", "1.pdf", "--yes")
    assert [b["file"] for b in library.books()] == ["2.pdf"]
    gone = ["test", "!", "-e", str(library.home / "books" / f"{book['id']}.pdf")]
    disk.run(*gone)
    use_up(disk, library.home.parent, what)
    library.run("remove", "2.pdf", "--yes")
    assert library.books() == []
