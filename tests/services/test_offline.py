"""Nothing but the configured endpoint is needed: with loopback alone, from add to search."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import pdfs
from support.namespace import Namespace
from support.shelf import Shelf

pytestmark = pytest.mark.slow


@pytest.fixture
def loopback() -> Iterator[Namespace]:
    """A network namespace with nothing but `lo`."""
    with Namespace("net") as namespace:
        yield namespace


@pytest.fixture
def endpoint(loopback: Namespace) -> Iterator[str]:
    """The URL of a stand-in inside."""
    server = subprocess.Popen(
        [*loopback.inside, sys.executable, "-m", "support.openai_server", "--key", "sk-inside"],
        env={"PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    yield server.stdout.readline().strip()
    server.terminate()
    server.communicate(timeout=20)


def test_from_add_to_search(tmp_path: Path, loopback: Namespace, endpoint: str) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        loopback.run("ip", "route", "get", "192.0.2.1")  # there is no way out
    books = [
        pdfs.long_book(tmp_path / "ko.pdf", 12, seed=1, language="ko"),
        pdfs.long_book(tmp_path / "en.pdf", 12, seed=2, language="en"),
    ]
    with Shelf(
        tmp_path / "library", None, loopback.inside, OPENAI_BASE_URL=endpoint,
        OPENAI_API_KEY="sk-inside",
    ) as shelf:  # fmt: skip
        done = shelf.add(*books)
        assert "2 added" in done.out
        assert done.err == ""
        for query, file, page in (("probe_1_7", "ko.pdf", 8), ("probe_2_3", "en.pdf", 4)):
            answer = shelf.search(query)
            assert answer["degraded"] is None
            assert (answer["hits"][0]["file"], answer["hits"][0]["page"]) == (file, page)
        assert shelf.search("비동기 처리", "--mode", "vector")["hits"]
        shelf.run("rebuild")
        shelf.run("remove", "ko.pdf", "--yes")
        assert [book["file"] for book in shelf.books()] == ["en.pdf"]
