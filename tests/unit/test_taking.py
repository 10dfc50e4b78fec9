"""Files are made ready before their turn, and nobody who looks at the library can tell."""

from collections.abc import Iterator
from pathlib import Path
from shutil import copy

import pytest
from support import pdfs
from support.readers import is_reader, preparers, readers
from support.shelf import wait_for

from bookbrain.library import Library
from bookbrain.model import Outcome, Progress, Step
from bookbrain.settings import Settings


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(Settings(tmp_path / "library")) as opened:
        yield opened


def _books(folder: Path, count: int) -> list[Path]:
    return [pdfs.book(folder / f"{n}.pdf", [f"Book {n}", "More"]) for n in range(count)]


class _Log(Progress):
    """Everything that was told, in its order."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def begin(self, file: str, number: int, of: int) -> None:
        self.told.append((file, number, of))

    def step(self, step: Step, done: int, total: int) -> None:
        self.told.append((step, done, total))

    def end(self, outcome: Outcome) -> None:
        self.told.append((outcome.status, Path(outcome.path).name))


@pytest.mark.slow
def test_each_file_has_its_turn(library: Library, tmp_path: Path) -> None:
    first, second = _books(tmp_path, 2)
    bad = pdfs.truncated(tmp_path / "bad.pdf")
    log = _Log()
    report = library.add([first, bad, second], log)
    assert [outcome.status for outcome in report.outcomes] == ["added", "failed", "added"]
    steps = [
        ("reading", 1, 2), ("reading", 2, 2), ("analysing", 0, 2),
        ("indexing", 0, 1), ("indexing", 1, 1),
    ]  # fmt: skip
    assert log.told == [
        ("0.pdf", 1, 3), *steps, ("added", "0.pdf"),
        ("bad.pdf", 2, 3), ("failed", "bad.pdf"),
        ("1.pdf", 3, 3), *steps, ("added", "1.pdf"),
    ]  # fmt: skip


@pytest.mark.slow
def test_the_next_one_is_taken_meanwhile(library: Library, tmp_path: Path) -> None:
    kept = library.settings.home / "incoming"

    class Waits(Progress):
        def step(self, step: Step, done: int, total: int) -> None:
            if (step, done) == ("indexing", 0):
                wait_for(lambda: len([*kept.glob("*.pdf")]) == 2, "the second book")

    assert library.add(_books(tmp_path, 2), Waits()).count("added") == 2


@pytest.mark.slow
def test_one_book_under_two_names(library: Library, tmp_path: Path) -> None:
    (book,) = _books(tmp_path, 1)
    others = [Path(copy(book, tmp_path / f"other{n}.pdf")) for n in range(3)]
    report = library.add([book, *others])
    assert [outcome.status for outcome in report.outcomes] == ["added", *["known"] * 3]
    assert [entry.file for entry in library.books()] == [book.name]
    assert [path.stem for path in (library.settings.home / "books").glob("*.pdf")] == [
        entry.id for entry in library.books()
    ]


@pytest.mark.slow
def test_postings_that_are_lost_on_the_way_stop_the_work(library: Library, tmp_path: Path) -> None:
    """Or the book would be there, and never be found."""
    segments = library.settings.home / "keywords"

    class Loses(Progress):
        def step(self, step: Step, done: int, total: int) -> None:
            for path in segments.iterdir() if (step, done) == ("indexing", 0) else ():
                path.unlink()

    report = library.add(_books(tmp_path, 1), Loses())
    assert "postings of a new book are lost" in str(report.stopped)
    assert library.books() == []
    assert library.add([]).count("added") == 1


@pytest.mark.slow
def test_who_has_little_memory_reads_one_at_a_time(tmp_path: Path) -> None:
    """A limit that leaves no room for two."""
    running: list[int] = []

    class Counts(Progress):
        def step(self, step: Step, done: int, total: int) -> None:
            running.append(len(preparers()))

    with Library(Settings(tmp_path / "library", read_memory=1 << 40)) as library:
        assert library.add(_books(tmp_path, 4), Counts()).count("added") == 4
    assert max(running) == 1


@pytest.mark.slow
def test_ctrl_c_ends_what_is_read_ahead(library: Library, tmp_path: Path) -> None:
    hanging = [pdfs.hang(tmp_path / f"hang{n}.pdf", 1_000_000 + n) for n in range(3)]

    reading: set[str] = set()

    class Interrupted(Progress):
        def step(self, step: Step, done: int, total: int) -> None:
            wait_for(lambda: len(readers()) > 1 or len(preparers()) == 1, "a second reader")
            reading.update(readers())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        library.add([*_books(tmp_path, 1), *hanging], Interrupted())
    assert preparers() == set()
    assert reading
    wait_for(lambda: not any(map(is_reader, reading)), "the end of the readers")
    assert library.under_way() == []
    assert [*(library.settings.home / "books").glob("*.pdf*")] == []
    assert [*(library.settings.home / "incoming").iterdir()] == []
