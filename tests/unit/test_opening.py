"""Commands hear of what a crash left, and leave the work to those whose work it is."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from support import pdfs

from bookbrain.cli import main
from bookbrain.library import Library
from bookbrain.settings import load_settings
from bookbrain.store.catalog import Catalog


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """A library with a book, in whose queue another one was left."""
    settings = load_settings()
    with Library(settings) as library:
        library.add([pdfs.book(tmp_path / "there.pdf", ["The walrus waits."], title="There")])
    catalog = Catalog(settings.home / "catalog.sqlite3")
    catalog.queue([pdfs.book(tmp_path / "left.pdf", ["Another walrus."], title="Left")])
    catalog.close()
    return settings.home


def _titles() -> list[str]:
    with Library(load_settings()) as library:
        return sorted(book.title for book in library.books())


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["search", "walrus"],
        ["books"],
        ["rename", "there.pdf", "There"],
        ["rebuild"],
        ["remove", "--yes", "there.pdf"],
    ],
    ids=lambda command: command[0],
)
def test_others_say_it_in_one_line(left: Path, command: list[str]) -> None:
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert done.stderr.splitlines()[0] == (
        "Interrupted before they were added: 1. `bookbrain add` without a path goes on."
    )
    assert "Left" not in _titles()


@pytest.mark.slow
@pytest.mark.parametrize("command", [["add"], ["ingest-inbox"]], ids=lambda command: command[0])
def test_whose_work_it_is(left: Path, command: list[str]) -> None:
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert "Interrupted" not in done.stderr
    assert _titles() == ["Left", "There"]
