"""A catalog that is gone, empty, cut, of another library or of another time costs no book.

Whatever is run on such a library, every PDF stays; `recover` brings all books back, with the same
hits and scores, and no text is bought again. With BOOKBRAIN_CUTS=all it is cut at twenty places.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support import pdfs
from support.chroma_server import ChromaServer
from support.openai_process import OpenAIProcess
from support.shelf import Shelf

import bookbrain.admin
import bookbrain.cli
from bookbrain.store.damage import check_library, read_state

pytestmark = pytest.mark.slow

_QUERIES = ("lock waits for the queue", "thread buffer", "part2x3")
_CUTS = 20
_TRIED = range(_CUTS) if os.environ.get("BOOKBRAIN_CUTS") == "all" else (0, 4, 9, 14, 19)
_RUNS: dict[str, list[list[str]]] = {
    "bookbrain": [
        ["search", "lock"], ["ask", "lock"], ["books"], ["add", "{new}"], ["add"],
        ["remove", "{id}", "--yes"],
        ["rename", "{id}", "Another"], ["embed", "--yes"], ["rebuild"], ["ingest-inbox"],
        ["eval", "{golden}"], ["ocr"], ["read-scans"],
    ],
    "bookbrain-admin": [["health"], ["backup"], ["backups"], ["verify"]],
}  # fmt: skip
_PROGRAMS = {"bookbrain": bookbrain.cli.main, "bookbrain-admin": bookbrain.admin.main}


@dataclass(frozen=True, slots=True)
class Whole:
    """A library in order, one of before with fewer books and older titles, one of somebody else."""

    shelf: Shelf
    older: Path
    other: Path
    books: list[dict[str, Any]]
    hits: list[list[dict[str, Any]]]
    files: dict[str, bytes]


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, _stand_in: OpenAIProcess, chroma: ChromaServer,
    english: list[Path],
) -> Iterator[Whole]:  # fmt: skip
    folder = tmp_path_factory.mktemp("whole")
    settings = {"CHROMA_URL": chroma.url, "BOOKBRAIN_EMBEDDING_DIMENSIONS": "66"}
    _stand_in.fail("refuse_text", text="part3x5")
    with Shelf(folder / "library", _stand_in, **settings) as shelf:
        gone = pdfs.book(folder / "gone.pdf", ["A book that is removed later on"])
        shelf.add(english[0], gone)
        older = shutil.copytree(shelf.home, folder / "older")
        shelf.add(*english[1:])
        shelf.run("remove", "gone.pdf", "--yes")
        shelf.run("rename", "book1.pdf", "다른 제목")
        _stand_in.clear()
        files = {path.name: path.read_bytes() for path in (shelf.home / "books").glob("*.pdf")}
        hits = [_hits(shelf, query) for query in _QUERIES]
        with Shelf(folder / "other", _stand_in, **settings) as somebody:
            somebody.add(pdfs.book(folder / "else.pdf", ["Somebody else's"]))
        yield Whole(shelf, older, folder / "other", shelf.books(), hits, files)


def _hits(shelf: Shelf, query: str) -> list[dict[str, Any]]:
    answer = shelf.search(query)
    return [*answer["hits"], {"degraded": answer["degraded"]}]


def _deleted(home: Path, whole: Whole) -> None:
    for path in home.glob("catalog.sqlite3*"):
        path.unlink()


def _emptied(home: Path, whole: Whole) -> None:
    (home / "catalog.sqlite3").write_bytes(b"")


def _without_rows(home: Path, whole: Whole) -> None:
    with closing(sqlite3.connect(home / "catalog.sqlite3")) as db:
        for table in ("page", "passage", "embedded", "refused", "seal", "book", "setting"):
            db.execute(f"DELETE FROM {table}")
        db.commit()


def _of_another(home: Path, whole: Whole) -> None:
    shutil.copy(whole.other / "catalog.sqlite3", home)


def _older(home: Path, whole: Whole) -> None:
    shutil.copy(whole.older / "catalog.sqlite3", home)


def _cut(share: int) -> Callable[[Path, Whole], None]:
    def cut(home: Path, whole: Whole) -> None:
        catalog = home / "catalog.sqlite3"
        with catalog.open("r+b") as file:
            file.truncate(max(1, catalog.stat().st_size * share // _CUTS - 7))

    return cut


_DAMAGES = {
    "deleted": _deleted, "emptied": _emptied, "without rows": _without_rows,
    "of another library": _of_another, "older": _older,
    **{f"cut to {share} of {_CUTS}": _cut(share) for share in _TRIED},
}  # fmt: skip


@pytest.mark.parametrize("damage", _DAMAGES)
def test_nothing_is_lost_and_all_comes_back(
    damage: str, whole: Whole, tmp_path: Path, openai: OpenAIProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    home = shutil.copytree(whole.shelf.home, tmp_path / "library")
    _DAMAGES[damage](home, whole)
    with Shelf(home, openai, **_settings(whole)) as shelf:
        for name, value in shelf.env.items():
            monkeypatch.setenv(name, value)
        for program, command in _commands(tmp_path, whole):
            done = CliRunner().invoke(_PROGRAMS[program], command)
            assert done.exit_code or command[0] in ("backups",), (command, done.output)
            assert done.exception is None or isinstance(done.exception, SystemExit), command
            assert _files(home) == whole.files, command
        assert "recover" in shelf.run("books", code=None).err
        check_library(home)
        assert read_state(home).known
        done = shelf.run("recover")
        assert read_state(home).known == (), "what was damaged is mended"
        assert shelf.books() == whole.books
        assert [_hits(shelf, query) for query in _QUERIES] == whole.hits
        assert _files(home) == whole.files
        assert not openai.bought
        assert "Nothing" in shelf.run("recover").out, "a second time there is nothing to do"


def _settings(whole: Whole) -> dict[str, str]:
    names = ("CHROMA_URL", "BOOKBRAIN_EMBEDDING_DIMENSIONS")
    return {name: whole.shelf.env[name] for name in names}


def _commands(folder: Path, whole: Whole) -> Iterator[tuple[str, list[str]]]:
    new = pdfs.book(folder / "new.pdf", ["A new book"])
    golden = folder / "golden.jsonl"
    golden.write_text(json.dumps({"id": "1", "query": "lock", "book": "book1.pdf", "pages": [1]}))
    values = {"new": str(new), "golden": str(golden), "id": whole.books[0]["id"]}
    for program, commands in _RUNS.items():
        for command in commands:
            yield program, [word.format(**values) for word in command]


def _files(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (home / "books").glob("*.pdf")}


def test_every_command_is_run() -> None:
    """A command that is added must be tried on a lost library, too."""
    elsewhere = {"recover", "serve", "restore", "mcp", "check"} | {
        "status", "doctor", "uninstall", "logs", "report", "site", "users", "tokens", "key",
        "archive-logs", "notify-failure",
    }  # fmt: skip
    for name, program in _PROGRAMS.items():
        tried = {command[0] for command in _RUNS[name]}
        assert set(program.commands) - elsewhere - tried == set()


def test_only_the_files_of_the_books_moved_house(
    whole: Whole, tmp_path: Path, openai: OpenAIProcess
) -> None:
    home = tmp_path / "library"
    shutil.copytree(whole.shelf.home / "books", home / "books")
    with Shelf(home, openai, **_settings(whole)) as shelf:
        shelf.add(home / "books", code=78)
        shelf.run("recover")
        assert shelf.books() == whole.books


def test_without_what_is_kept_beside_them(whole: Whole, tmp_path: Path) -> None:
    """The titles are those of the files then; nothing else is missing."""
    home = tmp_path / "library"
    (home / "books").mkdir(parents=True)
    for name, data in whole.files.items():
        (home / "books" / name).write_bytes(data)
    with Shelf(home) as shelf:
        shelf.run("books", code=78)
        shelf.run("recover")
        found = shelf.books()
        assert {book["id"] for book in found} == {book["id"] for book in whole.books}
        assert sorted(book["title"] for book in found) == ["Manual 1", "Manual 2", "Manual 3"]


def test_a_damaged_file_is_kept_and_named(plain: Shelf, english: list[Path]) -> None:
    plain.add(*english)
    first, *_ = plain.books()
    path = plain.home / "books" / f"{first['id']}.pdf"
    good = path.read_bytes()
    path.write_bytes(good[:500] + b"X" + good[501:])
    _deleted(plain.home, None)  # type: ignore[arg-type]
    done = plain.run("recover", code=1)
    assert "it is not the file that it was" in done.err
    assert path.read_bytes() != good
    assert len(plain.books()) == 2
    assert "belong to no book: 1 (Manual 1)" in plain.run("books").err
    assert "added" in plain.add(english[0]).out, "the good one takes its place"
    assert path.read_bytes() == good
    assert plain.books()[0]["title"] == "Manual 1"


@pytest.mark.parametrize("lost", [True, False])
def test_adding_a_book_again_mends_it(lost: bool, plain: Shelf, english: list[Path]) -> None:
    plain.add(*english)
    before = plain.books()
    path = plain.home / "books" / f"{before[0]['id']}.pdf"
    good = path.read_bytes()
    if lost:
        path.unlink()
        assert "not in the library: 1 (Manual 1)" in plain.run("books").err
    else:
        path.write_bytes(good[:500] + b"X" + good[501:])
    assert "would be added" in plain.add("--dry-run", english[0]).out
    assert check_library(plain.home).last
    assert read_state(plain.home).known
    assert "mended" in plain.add(english[0]).out
    assert read_state(plain.home).known == ()
    assert path.read_bytes() == good
    assert plain.books() == before
    assert "known" in plain.add(english[0]).out


def test_a_restore_brings_a_lost_library_back(
    whole: Whole, tmp_path: Path, openai: OpenAIProcess
) -> None:
    home = shutil.copytree(whole.shelf.home, tmp_path / "library")
    with Shelf(home, openai, **_settings(whole)) as shelf:
        backup = CliRunner().invoke(
            _PROGRAMS["bookbrain-admin"], ["backup", "--to", str(tmp_path)], env=shelf.env
        )
        assert backup.exit_code == 0, backup.output
        (archive,) = tmp_path.glob("*.tar.zst")
        for damage in ("deleted", "of another library", "older", "cut to 9 of 20"):
            _DAMAGES[damage](home, whole)
            done = CliRunner().invoke(
                _PROGRAMS["bookbrain-admin"], ["restore", str(archive), "--yes"], env=shelf.env
            )
            assert done.exit_code == 0, (damage, done.output)
            assert shelf.books() == whole.books, damage
            assert _files(home) == whole.files, damage
        assert not openai.bought
