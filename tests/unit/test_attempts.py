"""What ends the process that works on it goes last and is named, and is given up some time."""

import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support import pdfs
from support.readers import preparers, readers
from support.shelf import wait_for

from bookbrain.library import Library
from bookbrain.library.inbox import Patience, rejections
from bookbrain.library.inbox_worker import ingest
from bookbrain.model import Arrival, Outcome, Progress, Step
from bookbrain.settings import Settings
from bookbrain.store.catalog import Catalog

pytestmark = pytest.mark.slow

QUICK = Patience(settle=0.02, stray=0.2, upload=0.5, look=0.05, folder=0.1)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "library" / "inbox").mkdir(parents=True)
    return tmp_path / "library"


@pytest.fixture
def library(home: Path) -> Iterator[Library]:
    with Library(Settings(home, read_memory=1 << 40)) as opened:  # one book at a time
        yield opened


@pytest.fixture
def catalog(library: Library, home: Path) -> Iterator[Catalog]:
    opened = Catalog(home / "catalog.sqlite3")
    yield opened
    opened.close()


class _Kills(Progress):
    """Kills what works on the file of this name, `times` times."""

    def __init__(self, found: Callable[[], set[str]], file: str, times: int) -> None:
        self.begun: list[str] = []
        self.ended: list[Outcome] = []
        self._found, self._file, self._times = found, file, times

    def begin(self, file: str, number: int, of: int) -> None:
        self.begun.append(file)

    def step(self, step: Step, done: int, total: int) -> None:
        if self.begun[-1] == self._file and self._times and done == 1:
            self._times -= 1
            for process in self._found():
                with suppress(ProcessLookupError):
                    os.kill(int(process), signal.SIGKILL)

    def end(self, outcome: Outcome) -> None:
        self.ended.append(outcome)


def _files(folder: Path) -> list[Path]:
    """A long book, whose process there is time to kill, and two good ones behind it."""
    long = pdfs.lying_count(folder / "long.pdf", 30_000)
    return [long, *(pdfs.book(folder / f"{n}.pdf", [f"Good book {n}"]) for n in (1, 2))]


@pytest.mark.parametrize("found", [preparers, readers])
def test_a_child_that_is_killed_once_costs_nothing(
    library: Library, tmp_path: Path, found: Callable[[], set[str]]
) -> None:
    kills = _Kills(found, "long.pdf", 1)
    report = library.add(_files(tmp_path), kills)
    assert kills.begun == ["long.pdf", "1.pdf", "2.pdf", "long.pdf"]
    assert [outcome.status for outcome in report.outcomes] == ["added"] * 3


@pytest.mark.parametrize("found", [preparers, readers])
def test_a_child_that_is_killed_twice_costs_its_own_book(
    library: Library, catalog: Catalog, tmp_path: Path, found: Callable[[], set[str]]
) -> None:
    kills = _Kills(found, "long.pdf", 2)
    report = library.add(_files(tmp_path), kills)
    assert [Path(outcome.path).name for outcome in kills.ended] == ["1.pdf", "2.pdf", "long.pdf"]
    assert [outcome.status for outcome in report.outcomes] == ["added", "added", "failed"]
    assert "SIGKILL" in report.outcomes[-1].reason
    assert catalog.jobs() == []


def test_an_attempt_is_counted_before_it_and_taken_back_when_it_is_left_in_order(
    library: Library, catalog: Catalog, tmp_path: Path
) -> None:
    counted: list[int] = []

    class Leaves(Progress):
        def step(self, step: Step, done: int, total: int) -> None:
            counted.append(catalog.jobs()[0].attempts)
            raise KeyboardInterrupt

    catalog.queue([pdfs.book(tmp_path / "a.pdf", ["A book"])])
    with pytest.raises(KeyboardInterrupt):
        library.finish(Leaves())
    assert counted == [1]
    assert [job.attempts for job in catalog.jobs()] == [0]
    assert library.finish().count("added") == 1


def _killed_before(catalog: Catalog, path: Path, times: int) -> None:
    """A job as so many commands left it that were killed at it."""
    catalog.queue([path])
    for _ in range(times):
        catalog.count_attempt(next(job.id for job in catalog.jobs() if job.path == str(path)))


def test_what_ended_its_process_twice_goes_last_and_is_named(
    library: Library, catalog: Catalog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad, *good = _files(tmp_path)
    _killed_before(catalog, bad, 2)
    said = "Its process was ended 2 times, so it goes last."
    assert library.under_way() == [Arrival("long.pdf", waiting=said)]
    assert library.doubtful() == [bad]
    kills = _Kills(readers, "", 0)
    assert library.add(good, kills).count("added") == 3
    assert kills.begun == ["1.pdf", "2.pdf", "long.pdf"]
    assert f"again file='long.pdf': {said}" in caplog.text


def test_what_ended_its_process_too_often_is_given_up_without_another_try(
    library: Library, catalog: Catalog, tmp_path: Path
) -> None:
    bad, *good = _files(tmp_path)
    _killed_before(catalog, bad, 5)
    report = library.add(good)
    assert [outcome.status for outcome in report.outcomes] == ["failed", "added", "added"]
    assert report.outcomes[0].reason == "the process that reads it was ended 5 times"
    assert catalog.jobs() == []
    assert library.add([bad]).count("added") == 1, "asked for anew"


def test_in_the_inbox_it_goes_behind_those_that_came_later(
    library: Library, catalog: Catalog, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad, *_ = _files(home / "inbox")
    _killed_before(catalog, bad, 2)
    with caplog.at_level(logging.INFO, "bookbrain"):
        assert ingest(library, QUICK) is None
    added = [r.getMessage() for r in caplog.records if r.getMessage().startswith("added ")]
    assert [line.split("'")[1] for line in added] == ["1.pdf", "2.pdf", "long.pdf"]


def test_in_the_inbox_what_is_given_up_is_rejected_with_the_reason(
    library: Library, catalog: Catalog, home: Path
) -> None:
    bad, *_ = _files(home / "inbox")
    _killed_before(catalog, bad, 5)
    assert ingest(library, QUICK) is None
    assert [(r.file, r.reason) for r in rejections(home / "inbox")] == [
        ("long.pdf", "the process that reads it was ended 5 times")
    ]
    assert len(library.books()) == 2


def test_a_command_that_is_killed_counts_and_one_that_is_ended_does_not(tmp_path: Path) -> None:
    from support.shelf import Shelf

    with Shelf(tmp_path / "library") as shelf:
        hanging = pdfs.hang(tmp_path / "hang.pdf")
        for number, counted in ((signal.SIGTERM, 0), (signal.SIGKILL, 1), (signal.SIGTERM, 1)):
            process = shelf.start("add", hanging)
            wait_for(lambda: shelf.processes("formats.pdf_child"), "the reader")
            os.kill(process.pid, number)
            process.communicate()
            assert process.returncode == -number
            wait_for(lambda: not shelf.processes("formats.pdf_child"), "the reader's end")
            catalog = Catalog(shelf.home / "catalog.sqlite3")
            assert [job.attempts for job in catalog.jobs()] == [counted], number
            catalog.close()
