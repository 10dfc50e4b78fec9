"""The services that the tests of this folder run against: real ones, but for OpenAI."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from support import pdfs
from support.chroma_server import ChromaServer
from support.openai_process import OpenAIProcess
from support.shelf import Shelf

_DIMENSIONS = count(70)


@pytest.fixture(scope="module")
def _stand_in() -> Iterator[OpenAIProcess]:
    with OpenAIProcess() as server:
        yield server


@pytest.fixture
def openai(_stand_in: OpenAIProcess) -> OpenAIProcess:
    """The stand-in without faults or memories."""
    _stand_in.clear()
    _stand_in.forget()
    return _stand_in


@pytest.fixture(scope="module")
def chroma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    """A Chroma server that many libraries share: starting one for each takes seconds."""
    with ChromaServer(tmp_path_factory.mktemp("chroma")) as server:
        yield server


@pytest.fixture
def shelf(tmp_path: Path, openai: OpenAIProcess, chroma: ChromaServer) -> Iterator[Shelf]:
    """An empty library; dimensions that no other one has give it a collection of its own."""
    with Shelf(
        tmp_path / "library", openai, CHROMA_URL=chroma.url,
        BOOKBRAIN_EMBEDDING_DIMENSIONS=str(next(_DIMENSIONS)),
    ) as made:  # fmt: skip
        yield made


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Shelf]:
    """An empty library without an embedding endpoint."""
    with Shelf(tmp_path / "library") as made:
        yield made


@pytest.fixture(scope="session")
def english(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three small books that need no Kiwi."""
    folder = tmp_path_factory.mktemp("english")
    return [_english(folder / f"book{seed}.pdf", seed) for seed in (1, 2, 3)]


def _english(path: Path, seed: int) -> Path:
    pages = [
        f"{pdfs.probe(seed, page)}\n" + "\n".join(_sentence(seed, page, n) for n in range(12))
        for page in range(8)
    ]
    return pdfs.book(path, pages, title=f"Manual {seed}")


def _sentence(seed: int, page: int, n: int) -> str:
    words = ("lock", "queue", "cache", "socket", "kernel", "buffer", "thread")
    first, second = words[(seed + page + n) % 7], words[(page * n + 2) % 7]
    return f"The {first} waits for the {second} in step {n} of part{seed}x{page}."
