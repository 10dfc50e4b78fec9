"""kill -9 at random instants of everything that writes: nothing is lost, and no half state is left.

Two kills of each kind run here, each in its part of the run, and six of add. All of them by one
command, a thousand in an hour or so:

    BOOKBRAIN_KILLS=72 tests/run tests/services/test_kills.py   # of each kind, and of add thrice

An upgrade is killed with its whole machine: see tests/host.
"""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from support import pdfs
from support.chroma_server import ChromaServer
from support.flips import DATABASES, dump, flip, says_the_same
from support.openai_process import OpenAIProcess
from support.scans import easy_scan
from support.shelf import Shelf, wait_for

from bookbrain.backup.archive import Archive
from bookbrain.backup.archives import list_backups
from bookbrain.store.flaws import flaws
from bookbrain.store.identity import stored_files

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * 3600)]

_KILLS = int(os.environ.get("BOOKBRAIN_KILLS", "2"))
_DIMENSIONS = count(400)
_BAD_INPUT, _UNAVAILABLE, _BUSY = 65, 69, 75  # exit codes
_PATIENCE = 5
_KEY_LINE = "OPENAI_API_KEY=sk-test\nBOOKBRAIN_BACKUP_KEEP=3\n"
_SCANS = 6  # pages
_QUERIES = (
    "비동기 처리", '"메모리 관리"', "형태소 분석 -kernel", "probe_1_7", "probe_4_11",
    "CompletableFuture.thenCompose", "what releases the lock", '"after a restart"', "zzz",
)  # fmt: skip
_LAND = """
import sys
from pathlib import Path
from bookbrain.settings import load_settings
from bookbrain.library import Library
from bookbrain.library.sources import land
with Library(load_settings()) as library, open(sys.argv[1], "rb") as file:
    land(library, Path(sys.argv[1]).name, file)
"""

_ASK = """
import sys
from bookbrain.library import Library
from bookbrain.model import to_json
from bookbrain.settings import load_settings
with Library(load_settings()) as library:
    print(to_json({query: library.search(query) for query in sys.argv[1:]}))
"""
_READ_OTHERWISE = """
from contextlib import closing
from dataclasses import replace
from bookbrain.formats.text import make_passages
from bookbrain.library.maintenance import replace_text
from bookbrain.search.retrieval import ConnectedStores
from bookbrain.settings import load_settings
from bookbrain.store.catalog import NewBook
with closing(ConnectedStores(load_settings())) as stores, stores.writing(lambda: None):
    for book in stores.catalog.books():
        pages = [
            replace(page, text=page.text.replace("lock", "otter"))
            for page in stores.catalog.pages(book.id)
        ]
        new = NewBook(book, pages, make_passages(pages))
        stores.index_text(new.text, pages)
        replace_text(stores, new)
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """Something that writes: `make` has the library as it is before it; `again` is what finishes it
    after a kill. `settled` says that what a kill leaves is the state of before or of after, `whole`
    that the library can be read before it, `adds` that it has a Chroma of its own, is killed three
    times as often, and that more is looked at: half books, hits, what was bought twice. `left` says
    what else must be so after a kill."""

    command: tuple[str, ...]
    make: Callable[[Shelf, Path], None]
    again: tuple[tuple[str, ...], ...] = ()
    settled: bool = False
    loses: frozenset[str] = field(default_factory=frozenset)
    whole: bool = True
    adds: bool = False
    left: Callable[[Shelf], None] = lambda shelf: None


def _all(shelf: Shelf, books: Path) -> None:
    shelf.add(books / "1.pdf", books / "2.pdf")


def _one(shelf: Shelf, books: Path) -> None:
    shelf.add(books / "1.pdf")


def _without_vectors(shelf: Shelf, books: Path) -> None:
    shelf.add(books / "1.pdf", books / "2.pdf", OPENAI_API_KEY="", OPENAI_BASE_URL="")


def _with_backup(shelf: Shelf, books: Path) -> None:
    _all(shelf, books)
    _run(shelf, ("admin", "backup", "--to", str(shelf.home.parent / "kept")))
    (archive,) = (shelf.home.parent / "kept").glob("*.zst")
    archive.rename(shelf.home / "kept.tar.zst")
    shelf.run("remove", "1.pdf", "--yes")
    shelf.add(books / "3.pdf")
    shelf.run("rename", "2.pdf", "Renamed meanwhile")
    _searches_go_on(shelf)  # from now on its questions are among the embeddings


def _without_catalog(shelf: Shelf, books: Path) -> None:
    _all(shelf, books)
    shelf.run("rename", "1.pdf", "By hand")
    for path in shelf.home.glob("catalog.sqlite3*"):
        path.unlink()


def _checked(shelf: Shelf, books: Path) -> None:
    _all(shelf, books)
    _run(shelf, ("admin", "check"))


def _damaged(shelf: Shelf, books: Path) -> None:
    """With a good backup, and then a byte of each kind of file changed."""
    _all(shelf, books)
    shelf.run("rename", "1.pdf", "By hand")
    _run(shelf, ("admin", "backup"))
    first = min((shelf.home / "books").glob("*.pdf"))
    flip(first, random.Random(1), 300)
    for name in DATABASES:
        path, bits = shelf.home / name, random.Random(name)
        sound = dump(path)
        while says_the_same(path, sound):
            flip(path, bits)


def _read_otherwise(shelf: Shelf, books: Path) -> None:
    """With another text than its file has now."""
    _one(shelf, books)
    _run(shelf, ("read otherwise",))


def _in_inbox(shelf: Shelf, books: Path) -> None:
    _one(shelf, books)
    inbox = shelf.home / "inbox"
    inbox.mkdir()
    for name in ("2.pdf", "3.pdf"):
        shutil.copy(books / name, inbox)


def _scanned(shelf: Shelf, books: Path) -> None:
    shelf.add(books / "1.pdf", books / "scan.pdf")


def _read_pages_are_whole(shelf: Shelf) -> None:
    """What was read before the kill is not read again, and is what was written."""
    assert list(flaws(shelf.home / "embeddings.sqlite3")) == []
    read = _rows(shelf.home / "embeddings.sqlite3")["recognised"]
    (plan,) = shelf.run("ocr", "--dry-run", "--json").json() or [{"pages": 0}]
    assert plan["pages"] == _SCANS - len(read)


_PROGRAMS = {"land": _LAND, "read otherwise": _READ_OTHERWISE}


def _backups_are_whole(shelf: Shelf) -> None:
    for backup in list_backups(shelf.home / "backups"):
        with backup.path.open("rb") as file:
            archive = Archive(file)
            archive.check(lambda count: None)
        assert len(archive.manifest.books) == 2


def _found_as_it_is(shelf: Shelf) -> None:
    """The book is found by the text that it has, and not by the other one."""
    pages = str(_rows(shelf.home / "catalog.sqlite3")["page"])
    for word in ("lock", "otter"):
        hits = shelf.search(word, "--mode", "keyword")["hits"]
        assert bool(hits) == (word in pages), (word, hits)


def _searches_go_on(shelf: Shelf) -> None:
    there = {book["file"] for book in shelf.books()}
    for seed in (1, 2, 3):
        answer = shelf.search(pdfs.probe(seed, 3))
        assert answer["degraded"] is None
        assert f"{seed}.pdf" not in there or answer["hits"][0]["file"] == f"{seed}.pdf"


_KINDS = {
    "add": Kind(("add", "{books}/2.pdf", "{books}/ko.pdf", "{books}/mixed.pdf"), _one, adds=True),
    "remove": Kind(("remove", "1.pdf", "--yes"), _all, settled=True, loses=frozenset({"1.pdf"})),
    "rename": Kind(("rename", "1.pdf", "Another title"), _all, settled=True),
    "embed": Kind(("embed", "--yes"), _without_vectors),
    "rebuild": Kind(("rebuild",), _all, settled=True),
    "another text": Kind(("rebuild",), _read_otherwise, settled=True, left=_found_as_it_is),
    "backup": Kind(("admin", "backup"), _all, settled=True, left=_backups_are_whole),
    "restore": Kind(
        ("admin", "restore", "{home}/kept.tar.zst", "--yes"), _with_backup, settled=True,
        loses=frozenset({"3.pdf"}), left=_searches_go_on,
    ),
    "upload": Kind(("land", "{books}/3.pdf"), _all, again=(("ingest-inbox",),)),
    "recover": Kind(("recover",), _without_catalog),
    "inbox": Kind(("ingest-inbox",), _in_inbox),
    "ocr": Kind(("ocr",), _scanned, left=_read_pages_are_whole),
    "check": Kind(("admin", "check"), _checked, settled=True),
    "repair": Kind(("admin", "check", "--repair", "--yes"), _damaged, whole=False),
}  # fmt: skip


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("books")
    for seed in (1, 2, 3):
        lines = [
            [f"The lock of part{seed}x{p} waits, step {n}." for n in range(9)] for p in range(6)
        ]
        pages = [f"{pdfs.probe(seed, p)}\n" + "\n".join(lines[p]) for p in range(6)]
        pdfs.book(folder / f"{seed}.pdf", pages, title=f"Manual {seed}")
    easy_scan(folder / "scan.pdf", *(f"worker{chr(97 + n)}" for n in range(_SCANS)))
    for seed, language in enumerate(("ko", "mixed"), start=4):
        pdfs.long_book(folder / f"{language}.pdf", 20, seed=seed, language=language)
    return folder


@pytest.mark.parametrize("name", _KINDS)
def test_killed_at_random_instants(
    name: str, tmp_path: Path, books: Path, _stand_in: OpenAIProcess, chroma: ChromaServer
) -> None:
    kind, space = _KINDS[name], str(next(_DIMENSIONS) + 100 * os.getpid() % 900)
    settings = {"CHROMA_URL": chroma.url, "BOOKBRAIN_EMBEDDING_DIMENSIONS": space}
    if kind.adds:
        del settings["CHROMA_URL"]
    template = tmp_path / "before"
    with Shelf(template, _stand_in, **settings) as shelf:
        kind.make(shelf, books)
        (template / "bookbrain.env").write_text(_KEY_LINE)
        before = _state(template) if kind.whole else {"files": _files(template)}
    _stand_in.forget()
    with _copy(template, tmp_path / "done", _stand_in, settings) as done:
        started = time.monotonic()
        _run(done, kind.command, books)
        seconds = time.monotonic() - started
        for command in kind.again:
            _run(done, command, books)
        bought = _stand_in.bought
        after = _state(done.home) | _hits(done, kind)
    killed = told = 0
    kills = _KILLS * 3 if kind.adds else _KILLS
    for number in range(kills):
        _stand_in.forget()
        with _copy(template, tmp_path / f"kill{number}", _stand_in, settings) as shelf:
            chance = random.Random(f"{name} {number}").random()
            instant = (number + chance) / kills * seconds
            if number == kills - 1 and not killed:  # the machine was slower when it was timed
                instant = min(instant, seconds / 5)
            killed += _kill(shelf, kind.command, books, instant, whole=number % 2 == 0)
            _check_left(shelf, kind, before, after)
            kind.left(shelf)
            told += kind.adds and _others_tell_of_it(shelf)
            for command in (*kind.again, kind.command, *kind.again):
                _finish(shelf, command, books)
            if kind.adds and number % 2:  # or who buys was killed as well
                assert _stand_in.requested == _stand_in.bought == bought, (number, instant)
            state = _state(shelf.home) | _hits(shelf, kind)
            assert _differences(state, after) == {}, (name, number, instant)
            if name == "backup":
                _finish(shelf, ("admin", "verify"), books)
            assert (shelf.home / "bookbrain.env").read_text() == _KEY_LINE
        shutil.rmtree(shelf.home)
    assert killed or _KILLS < 2, "no kill met its target"
    assert told or not kind.adds, "no kill left a job"


def test_killed_after_it_had_waited(
    shelf: Shelf, openai: OpenAIProcess, english: list[Path]
) -> None:
    shelf.add(english[0], code=78, OPENAI_API_KEY="sk-wrong")
    assert shelf.books() == [], "it waits for the key"
    openai.fail("slow", seconds=1)
    process = shelf.start("add")
    wait_for(lambda: openai.requested, "the request")
    process.kill()
    process.communicate()
    assert "Interrupted before they were added: 1" in shelf.run("books").err, "nobody waits"
    shelf.add()
    assert len(shelf.books()) == 1
    assert set(openai.requested.values()) == {1}


def _copy(template: Path, home: Path, openai: OpenAIProcess, settings: dict[str, str]) -> Shelf:
    subprocess.run(["cp", "-a", "--reflink=auto", template, home], check=True)
    return Shelf(home, openai, **settings)


def _start(shelf: Shelf, command: tuple[str, ...], books: Path | None) -> "subprocess.Popen[str]":
    words = [word.format(books=books, home=shelf.home) for word in command]
    name, *options = words
    if name == "admin":
        return shelf.start_admin(*options)
    if name in _PROGRAMS:
        return shelf.start_python("-c", _PROGRAMS[name], *options)
    return shelf.start(*words)


def _run(
    shelf: Shelf, command: tuple[str, ...], books: Path | None = None, code: int | None = 0
) -> None:
    shelf.finish(_start(shelf, command, books), code)


def _finish(shelf: Shelf, command: tuple[str, ...], books: Path) -> None:
    """Run it to its end; again where a service was too slow, as it says itself."""
    for _ in range(_PATIENCE):
        done = shelf.finish(_start(shelf, command, books), code=None)
        if done.code not in (_UNAVAILABLE, _BUSY):
            break
    gone = done.code == _BAD_INPUT and command[0] == "remove"  # it was removed before the kill
    assert done.code == 0 or gone, (command, done)


def _kill(
    shelf: Shelf, command: tuple[str, ...], books: Path, instant: float, *, whole: bool
) -> bool:
    """Kill the command, or everything that works on the library, at this instant of its run."""
    process = _start(shelf, command, books)
    with suppress(subprocess.TimeoutExpired):
        process.wait(instant)
    met = process.poll() is None
    targets = [process.pid, *(shelf.processes() if whole else ())]
    for pid in targets:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate()
    return met


def _check_left(shelf: Shelf, kind: Kind, before: dict[str, Any], after: dict[str, Any]) -> None:
    """What a reader sees just after the kill."""
    if kind.command[0] == "recover":  # there may be no catalog yet
        assert stored_files(shelf.home / "books") == {Path(n).stem for n in before["files"]}
        return
    if not kind.whole:
        assert stored_files(shelf.home / "books") == {Path(n).stem for n in before["files"]}
        return
    left = _state(shelf.home)
    books = left["rows"]["book"]
    assert {row[0] for row in left["rows"]["seal"]} == {row[0] for row in books}
    files = {Path(name).stem for name in left["files"]}
    stored = {file.stem for file in (shelf.home / "incoming").glob("*.pdf")} | files
    assert {row[0] for row in books} <= stored
    kept = {row[0] for row in before["rows"]["book"] if row[2] not in kind.loses}
    assert kept <= stored
    assert set(before["vectors"]) <= set(left["vectors"])
    if kind.adds:
        ids = {row[0] for row in books}
        for table in ("page", "passage", "embedded"):
            assert {row[0] for row in left["rows"][table]} == ids, table
        assert ids <= files
    if kind.settled:
        of_books = ("book", "page", "passage", "embedded")
        seen = {table: left["rows"][table] for table in of_books}
        assert seen in [{table: s["rows"][table] for table in of_books} for s in (before, after)]


def _others_tell_of_it(shelf: Shelf) -> bool:
    """Other commands only say how to go on: whether there was anything to say."""
    jobs = _rows(shelf.home / "catalog.sqlite3")["job"]
    for command in (
        ["books", "--json"],
        ["search", "lock", "--mode", "keyword"],
        ["embed", "--dry-run"],
    ):
        told = "Interrupted before they were added: " in shelf.run(*command).err
        assert told is bool(jobs), command
    assert _rows(shelf.home / "catalog.sqlite3")["job"] == jobs
    return bool(jobs)


def _hits(shelf: Shelf, kind: Kind) -> dict[str, Any]:
    """What searches find, with the scores of both legs."""
    if not kind.adds:
        return {}
    # In one process, or each would start a Chroma and Kiwi of its own.
    answers = shelf.finish(shelf.start_python("-c", _ASK, *_QUERIES)).json()
    assert {answer["degraded"] for answer in answers.values()} == {None}
    return {query: answer["hits"] for query, answer in answers.items()}


def _state(home: Path) -> dict[str, Any]:
    """Everything that must be the same after a kill."""
    vectors = _rows(home / "embeddings.sqlite3")
    return {
        "rows": _rows(home / "catalog.sqlite3"),
        "vectors": [row[:2] for row in vectors.get("embedding", [])],
        "checksums": vectors.get("checksum"),
        "recognised": vectors.get("recognised"),
        "files": _files(home),
        "strays": [p.name for p in home.rglob(".*") if p.name.startswith((".backup", ".rest"))],
        "inbox": sorted(path.name for path in (home / "inbox").glob("*.pdf")),
    }


def _files(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (home / "books").glob("*.pdf")}


def _rows(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Of all tables, but for dates, what depends on them, and the count of changes."""
    if not path.exists():
        return {}
    with closing(sqlite3.connect(path)) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        found = {}
        for table in tables:
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            kept = [c for c in columns if c not in ("added_at", "rest", "vector")]
            rows = sorted(db.execute(f"SELECT {', '.join(kept)} FROM {table}"))
            counted = {"changes", "library"}  # in `twin` the name comes second
            found[table] = [row for row in rows if not counted & set(row[:2])]
    return found


def _differences(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """What is in one of two states only, by table or folder; nothing where they are the same."""
    left, right = left | left["rows"], right | right["rows"]
    return {
        name: (left.get(name), right.get(name))
        for name in sorted((left.keys() | right.keys()) - {"rows"})
        if left.get(name) != right.get(name)
    }
