"""A child that answers each request in a fork, and ends with whoever asks."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from support import pdfs
from support.shelf import wait_for

from bookbrain.formats.fork_server import ForkError, ForkServer

CHILD = "bookbrain.formats.page_image_child"
MOST = 10_000_000


def asked(path: Path, **more: Any) -> dict[str, Any]:
    """Where the words of a page are."""
    return {
        "path": str(path), "number": 1, "text": "", "spans": [], "words": [], "memory_mb": 1024,
    } | more  # fmt: skip


def answer(forks: ForkServer, request: object, seconds: float = 30) -> bytes:
    ends = monotonic() + seconds
    with closing(forks.lines(request, lambda: ends, MOST)) as lines:
        return b"\n".join(lines)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pdfs.book(tmp_path_factory.mktemp("forks") / "a.pdf", ["The walrus waits."])


def children(pid: int) -> list[int]:
    return [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "Z"
    except OSError:
        return True


@pytest.mark.slow
def test_a_fork_that_fails_costs_the_next_request_nothing(book: Path, tmp_path: Path) -> None:
    with closing(ForkServer(CHILD)) as forks:
        assert b'"size"' in answer(forks, asked(book))
        for broken in (asked(tmp_path / "none.pdf"), asked(book, number=99)):
            with pytest.raises(ForkError):
                answer(forks, broken)
        assert b'"size"' in answer(forks, asked(book, text="x" * 1_000_000))  # more than a message


@pytest.mark.slow
def test_a_fork_that_is_too_late_is_ended_with_its_server(tmp_path: Path) -> None:
    slow = pdfs.hang(tmp_path / "hang.pdf")
    before = set(children(os.getpid()))
    with closing(ForkServer(CHILD)) as forks:
        with pytest.raises(TimeoutError):
            answer(forks, asked(slow, spans=[(0, 1)]), seconds=0.5)
        assert set(children(os.getpid())) <= before


ASKER = """
import sys
from bookbrain.formats.page_image import Picture
Picture(sys.argv[1], 1, 2000, "", (), 300, 1024).paint()
"""


@pytest.mark.slow
def test_all_end_with_whoever_asks(tmp_path: Path) -> None:
    slow = pdfs.hang(tmp_path / "hang.pdf")
    asker = subprocess.Popen([sys.executable, "-c", ASKER, slow])
    wait_for(lambda: children(asker.pid) and children(children(asker.pid)[0]), "the fork")
    (server,) = children(asker.pid)
    (fork,) = children(server)
    os.kill(asker.pid, signal.SIGKILL)
    asker.wait()
    wait_for(lambda: is_gone(server) and is_gone(fork), "the end of both")
