"""A long book is being added: who removes, renames, searches or backs up does not wait for it."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from support import pdfs
from support.openai_process import OpenAIProcess
from support.shelf import Shelf, wait_for

pytestmark = pytest.mark.slow

LONG = 3000  # pages


@pytest.fixture(scope="module")
def long_book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pdfs.long_book(tmp_path_factory.mktemp("long") / "long.pdf", LONG, seed=9, language="en")


def test_while_it_is_read(plain: Shelf, english: list[Path], long_book: Path) -> None:
    plain.add(*english)
    adding = plain.start("add", long_book)
    wait_for(lambda: plain.processes("pdf_child"), "its reading")
    reading = list(plain.processes("pdf_child"))
    for reader in reading:
        os.kill(reader, signal.SIGSTOP)  # it takes as long as it takes
    _others_do_not_wait(plain, adding)
    for reader in reading:
        os.kill(reader, signal.SIGCONT)
    plain.finish(adding)
    assert _files(plain) == {"book1.pdf", "book3.pdf", "long.pdf"}


def test_while_it_is_embedded(
    shelf: Shelf, openai: OpenAIProcess, english: list[Path], long_book: Path
) -> None:
    shelf.add(*english)
    openai.fail("hang", times=None, seconds=120)
    asked = len(openai.requests)
    adding = shelf.start("add", long_book)
    wait_for(lambda: len(openai.requests) > asked, "the request for its vectors")
    _others_do_not_wait(shelf, adding)
    openai.clear()
    shelf.close()
    adding.communicate()
    shelf.add()
    assert _files(shelf) == {"book1.pdf", "book3.pdf", "long.pdf"}


def test_a_book_that_is_removed_while_its_file_is_added_again(
    plain: Shelf, english: list[Path], long_book: Path
) -> None:
    """It is not called added: the file has to be given again."""
    plain.add(*english)
    adding = plain.start("add", long_book, english[0])
    wait_for(lambda: plain.processes("pdf_child"), "its reading")
    plain.run("remove", "book1.pdf", "--yes")
    done = plain.finish(adding, code=None)
    there = "book1.pdf" in _files(plain)
    assert (done.code == 0) == there, done.out + done.err
    assert there or "removed while" in done.out + done.err


def _others_do_not_wait(shelf: Shelf, adding: "subprocess.Popen[str]") -> None:
    shelf.run("rename", "book1.pdf", "Another title")
    shelf.run("remove", "book2.pdf", "--yes")
    shelf.admin("backup")
    assert _files(shelf) == {"book1.pdf", "book3.pdf"}
    assert adding.poll() is None, "they waited for it"


def _files(shelf: Shelf) -> set[str]:
    return {book["file"] for book in shelf.books()}
