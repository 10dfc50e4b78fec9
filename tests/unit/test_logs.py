"""What gets into the journal, and what never does."""

import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from support import pdfs

from bookbrain.errors import BookBrainError, UnavailableError
from bookbrain.library import Library
from bookbrain.log import (
    Event,
    JournalHandler,
    is_journal,
    log_work,
    message_of,
    record_outcome,
    set_up_logging,
)
from bookbrain.model import Book, Outcome
from bookbrain.models.openai_api import refuses_everything
from bookbrain.models.purchase import log_bill
from bookbrain.settings import EmbeddingSettings, Settings
from bookbrain.web.api import Health, Question, find, make_routes
from bookbrain.web.shelf import Shelf

SECRET = "walrus"  # stands for a query, a page, a key


class Journal:
    """What journald would have got."""

    def __init__(self) -> None:
        self.entries: list[dict[str, str]] = []

    def send(self, *lines: str) -> None:
        self.entries.append(dict(line.split("=", 1) for line in lines))


@pytest.fixture
def _restored() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("bookbrain")
    before, level = root.handlers[:], ours.level
    yield
    root.handlers = before
    ours.setLevel(level)


@pytest.fixture
def journal(_restored: None) -> Journal:
    journal = Journal()
    logging.getLogger().handlers = [JournalHandler(journal.send)]
    logging.getLogger("bookbrain").setLevel(logging.INFO)
    return journal


def _raise() -> None:
    try:
        raise KeyError(SECRET)
    except KeyError as error:
        raise ValueError(SECRET) from error


# Entries


def test_an_entry_has_priority_and_fields(journal: Journal) -> None:
    event = Event(event="search", query_ms=12.5, hits=3, mode="hybrid", degraded=False)
    logging.getLogger("bookbrain.web").info("search hits=%d", 3, extra={"fields": event})
    (entry,) = journal.entries
    assert entry["MESSAGE"] == "search hits=3"
    assert (entry["PRIORITY"], entry["SYSLOG_IDENTIFIER"]) == ("6", "bookbrain")
    assert entry["LOGGER"] == "bookbrain.web"
    assert entry["CODE_FUNC"] == "test_an_entry_has_priority_and_fields"
    assert {k: v for k, v in entry.items() if k.startswith("BOOKBRAIN_")} == {
        "BOOKBRAIN_EVENT": "search", "BOOKBRAIN_QUERY_MS": "12.5", "BOOKBRAIN_HITS": "3",
        "BOOKBRAIN_MODE": "hybrid", "BOOKBRAIN_DEGRADED": "0",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("level", "priority"), [("debug", "7"), ("info", "6"), ("warning", "4"), ("error", "3")]
)
def test_levels_are_priorities(journal: Journal, level: str, priority: str) -> None:
    log = logging.getLogger("bookbrain.x")
    log.setLevel(logging.DEBUG)
    getattr(log, level)("x")
    log.setLevel(logging.NOTSET)
    assert [entry["PRIORITY"] for entry in journal.entries] == [priority]


def test_a_traceback_is_one_entry_without_what_the_exceptions_say(journal: Journal) -> None:
    try:
        _raise()
    except ValueError:
        logging.getLogger("bookbrain.x").exception("fault")
    (entry,) = journal.entries
    assert entry["PRIORITY"] == "3"
    message = entry["MESSAGE"]
    assert message.startswith("fault\n")
    assert "builtins.KeyError\nand then:\n" in message
    assert message.endswith("builtins.ValueError")
    assert "in _raise" in message
    assert SECRET not in message


def test_of_another_library_only_the_template_is_kept(journal: Journal) -> None:
    other = logging.getLogger("asyncio")
    other.warning("it failed: %s", SECRET)
    other.error(f"future: {SECRET}")
    assert [SECRET in str(entry) for entry in journal.entries] == [False, False]
    assert journal.entries[0]["MESSAGE"] == "it failed: %s"
    assert "asyncio" in journal.entries[1]["MESSAGE"]
    assert Path(__file__).name in journal.entries[1]["MESSAGE"]


def test_exceptions_in_a_circle_end(journal: Journal) -> None:
    one, two = ValueError(), KeyError()
    one.__cause__, two.__cause__ = two, one
    record = logging.LogRecord("bookbrain", 40, "", 1, "x", (), (ValueError, one, None))
    assert message_of(record).count("and then") == 1


def test_without_journald_it_is_written_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*lines: str) -> None:
        raise FileNotFoundError

    record = logging.LogRecord("bookbrain.x", 30, "", 1, "two\nlines", (), None)
    JournalHandler(fail).emit(record)
    assert capsys.readouterr().err == "<4>bookbrain.x: two\n<4>lines\n"


def test_surrogates_are_no_fault() -> None:
    journal = Journal()  # not by way of a logger: pytest-xdist cannot send what pytest captures
    name = os.fsdecode(b"caf\xe9")
    fields = {"name": "bookbrain.x", "msg": f"file={name}", "levelno": logging.WARNING}
    record = logging.makeLogRecord(fields)
    JournalHandler(journal.send).emit(record)
    assert journal.entries[0]["MESSAGE"] == "file=caf?"


# The set-up


@pytest.mark.usefixtures("_restored")
def test_on_a_terminal_a_command_tells_of_events_itself(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("bookbrain.x")
    set_up_logging()
    log.warning("event", extra={"fields": Event(event="reject")})
    log.info("quiet")
    log.warning("loud")
    assert capsys.readouterr().err == "WARNING: loud\n"
    log_work()
    log.info("work", extra={"fields": Event(event="add")})
    assert capsys.readouterr().err == "INFO: work\n"
    set_up_logging(verbose=True)
    log.debug("all")
    assert capsys.readouterr().err == "DEBUG: all\n"


def test_the_journal_is_where_stderr_leads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "stream").open("w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        seen = os.fstat(stream.fileno())
        assert is_journal({"JOURNAL_STREAM": f"{seen.st_dev}:{seen.st_ino}"})
        assert not is_journal({"JOURNAL_STREAM": f"{seen.st_dev}:{seen.st_ino + 1}"})
        assert not is_journal({})
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not is_journal({"JOURNAL_STREAM": "1:2"})


SERVICE = """
import logging, os, sys, threading
seen = os.fstat(2)
os.environ["JOURNAL_STREAM"] = f"{seen.st_dev}:{seen.st_ino}"
sys.modules["systemd.journal"] = None
from bookbrain.log import set_up_logging
set_up_logging()
logging.getLogger("bookbrain").error("one\\ntwo")
def fail(): raise ValueError("walrus")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
fail()
"""


def test_without_systemd_python_lines_have_priorities() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVICE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[:2] == ["<3>bookbrain: one", "<3>two"]
    assert all(line.startswith("<3>") for line in lines)
    assert lines.count("<3>builtins.ValueError") == 2
    assert SECRET not in done.stderr.replace('raise ValueError("walrus")', "")


FAILING = """
import os
seen = os.fstat(2)
os.environ["JOURNAL_STREAM"] = f"{seen.st_dev}:{seen.st_ino}"
from bookbrain.cli import main
from bookbrain.models.openai_api import refuses_everything
@main.command()
def ending(): raise refuses_everything("walrus")
main(["ending"])
"""


@pytest.mark.slow
def test_a_service_that_fails_logs_an_error_and_not_what_another_program_said() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAILING], capture_output=True, text=True, check=False
    )
    assert done.returncode == 69
    (line,) = done.stderr.splitlines()
    assert line.startswith("<3>bookbrain.cli.command: The embedding endpoint gave no usable answer")
    assert SECRET not in line


# What happened


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(Settings(home=tmp_path / "library")) as library:
        library.add([pdfs.book(tmp_path / "locks.pdf", [f"The {SECRET} and the lock."])])
        yield library


@pytest.fixture
def shelf(library: Library) -> Iterator[Shelf]:
    shelf = Shelf(library.settings)
    yield shelf
    shelf.close()


def test_a_search_is_logged_without_its_words(journal: Journal, shelf: Shelf) -> None:
    result = find(shelf, Question(f"{SECRET} lock", 3, "keyword"))
    (entry,) = journal.entries
    assert len(result.hits) == 1
    assert entry["BOOKBRAIN_EVENT"] == "search"
    assert float(entry["BOOKBRAIN_QUERY_MS"]) == result.took_ms
    assert (entry["BOOKBRAIN_HITS"], entry["BOOKBRAIN_MODE"]) == ("1", "keyword")
    assert entry["BOOKBRAIN_DEGRADED"] == "0"
    assert SECRET not in str(entry)


def test_the_api_logs_searches_and_nothing_else(journal: Journal, library: Library) -> None:
    shelf, health = Shelf(library.settings), Health(library.settings)
    app = Starlette(routes=make_routes(shelf, health))
    with TestClient(app) as client:
        for path in ("/api/search?q=lock", "/healthz", "/api/books", "/api/search?q=walrus&k=0"):
            client.get(path)
    health.close()
    shelf.close()
    assert [entry["BOOKBRAIN_EVENT"] for entry in journal.entries] == ["search"]


def test_a_library_without_a_key_is_not_degraded(journal: Journal, shelf: Shelf) -> None:
    assert find(shelf, Question("lock")).degraded
    assert journal.entries[0]["BOOKBRAIN_DEGRADED"] == "0"


def test_the_words_are_logged_where_the_owner_wants_it(journal: Journal, tmp_path: Path) -> None:
    shelf = Shelf(Settings(home=tmp_path / "new", log_queries=True))
    find(shelf, Question(f"{SECRET} lock"))
    shelf.close()
    assert journal.entries[0]["BOOKBRAIN_QUERY"] == f"{SECRET} lock"
    assert SECRET not in journal.entries[0]["MESSAGE"]


def test_outcomes_and_removals(journal: Journal, library: Library) -> None:
    book = Book("ab" * 32, SECRET, "a.pdf", 9, 3, "", problems=(f"page 1: {SECRET}",))
    for outcome in (
        Outcome("/x/a.pdf", "added", book, tokens=5),
        Outcome("/x/a.pdf", "known", book),
        Outcome("/x/b.pdf", "failed", None, "it is empty", "Get the file again."),
    ):
        record_outcome(outcome)
    gone = library.remove("locks.pdf")
    events = [(e["BOOKBRAIN_EVENT"], e.get("BOOKBRAIN_BOOK")) for e in journal.entries]
    expected = [("add", book.id), ("known", book.id), ("reject", None), ("remove", gone.id)]
    assert events == expected
    assert [e["PRIORITY"] for e in journal.entries] == ["6", "6", "4", "6"]
    assert "file='b.pdf' reason='it is empty'" in journal.entries[2]["MESSAGE"]
    assert SECRET not in str(journal.entries)


def test_a_bill(journal: Journal) -> None:
    log_bill(EmbeddingSettings(), 0)
    log_bill(EmbeddingSettings(), 1_000_000)
    log_bill(EmbeddingSettings(model="own"), 7)
    fields = [(e["BOOKBRAIN_TOKENS"], e.get("BOOKBRAIN_DOLLARS")) for e in journal.entries]
    assert fields == [("1000000", "0.02"), ("7", None)]


def test_what_another_program_said_is_not_for_the_log() -> None:
    error = refuses_everything(f"bad input: {SECRET}")
    assert isinstance(error, UnavailableError)
    assert SECRET in str(error)
    assert SECRET not in error.for_log
    assert BookBrainError("Plain.", "Do it.").for_log == "Plain. Do it."
