"""Books are made ready in a child process, and what happens to it happens to one book only."""

import logging
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import pdfs
from support.readers import preparers, readers

from bookbrain.errors import InputError
from bookbrain.formats.pdf import read_pdf
from bookbrain.formats.text import make_passages
from bookbrain.index.segment import count_pages, open_segment, segment_name, write_segment
from bookbrain.library.prepare import Prepared, Preparer, PreparerFault
from bookbrain.model import Step, TextId
from bookbrain.settings import Settings
from bookbrain.store.rows import revision_of

_ID = "a" * 64


@pytest.fixture
def preparer(tmp_path: Path) -> Iterator[Preparer]:
    made = Preparer(Settings(tmp_path), tmp_path)
    yield made
    made.close()


def prepare(preparer: Preparer, path: Path, book_id: str = _ID) -> Prepared:
    return preparer.prepare(path, book_id, lambda *_: None)


def killing(found: Callable[[], set[str]]) -> Callable[[Step, int, int], None]:
    """Kills the processes of a kind at every step."""

    def kill(step: Step, done: int, total: int) -> None:
        for process in found():
            os.kill(int(process), signal.SIGKILL)

    return kill


@pytest.mark.slow
def test_it_is_what_this_process_would_make(preparer: Preparer, tmp_path: Path) -> None:
    path = pdfs.book(
        tmp_path / "b.pdf", ["Locks and 비동기 프로그래밍", "", "More of it. " * 300], title="Locks"
    )
    book = prepare(preparer, path)
    text = read_pdf(path, timeout=60, memory_mb=1024)
    assert (book.title, book.pages) == ("Locks", text.pages)
    assert book.passages == make_passages(text.pages)
    (tmp_path / "here").mkdir()
    made = TextId(_ID, revision_of(text.pages))
    name = write_segment(tmp_path / "here", made, count_pages(text.pages))
    assert (tmp_path / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


@pytest.mark.slow
def test_one_child_for_all_books(preparer: Preparer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cut off"):
        prepare(preparer, pdfs.truncated(tmp_path / "bad.pdf"))
    children = preparers()
    for number in range(2):
        path = pdfs.book(tmp_path / f"{number}.pdf", [f"Book {number}"])
        book = prepare(preparer, path, f"{number}" * 64)
        assert book.pages[0].text == f"Book {number}"
        made = TextId(f"{number}" * 64, revision_of(book.pages))
        assert open_segment(tmp_path / segment_name([made])).full == 1
    assert preparers() == children
    assert len(children) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("killed", "reason"),
    [(preparers, r"ended \(signal SIGKILL\)"), (readers, r"crashed on it \(signal SIGKILL\)")],
)
def test_a_process_that_is_killed_costs_one_book(
    preparer: Preparer, tmp_path: Path, killed: Callable[[], set[str]], reason: str
) -> None:
    path = pdfs.lying_count(tmp_path / "l.pdf", 30_000)  # more than fits into a pipe
    with pytest.raises(InputError, match=reason):
        preparer.prepare(path, _ID, killing(killed))
    assert prepare(preparer, pdfs.book(tmp_path / "b.pdf", ["good"])).pages[0].text == "good"


@pytest.mark.slow
def test_a_child_that_was_killed_between_books(preparer: Preparer, tmp_path: Path) -> None:
    path = pdfs.book(tmp_path / "b.pdf", ["good"])
    first = prepare(preparer, path)
    (child,) = preparers()
    os.kill(int(child), signal.SIGKILL)
    os.waitid(os.P_PID, int(child), os.WEXITED | os.WNOWAIT)
    assert prepare(preparer, path) == first


@pytest.mark.slow
def test_a_segment_that_cannot_be_written(tmp_path: Path) -> None:
    preparer = Preparer(Settings(tmp_path), tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        prepare(preparer, pdfs.book(tmp_path / "b.pdf", ["good"]))
    preparer.close()


@pytest.mark.slow
def test_a_fault_is_logged_by_its_place(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    preparer = Preparer(Settings(tmp_path), tmp_path)
    with caplog.at_level(logging.ERROR), pytest.raises(PreparerFault):
        prepare(preparer, pdfs.book(tmp_path / "b.pdf", ["good"]), ["soon"])  # type: ignore[arg-type]
    assert "prepare_child.py" in caplog.text
    assert "TypeError" in caplog.text
    assert "soon" not in caplog.text


def test_interrupted_from_another_thread(preparer: Preparer, tmp_path: Path) -> None:
    path = pdfs.hang(tmp_path / "hang.pdf")
    with ThreadPoolExecutor() as threads:
        prepared = threads.submit(prepare, preparer, path)
        preparer.interrupt()
        with pytest.raises((InputError, InterruptedError)):
            prepared.result()
    with pytest.raises(InterruptedError):
        prepare(preparer, path)
    assert preparers() == set()
