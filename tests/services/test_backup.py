"""Backups of real libraries: made while they are used, proven, and back again."""

import gc
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from support import pdfs
from support.chroma_server import ChromaServer
from support.gpg import OWNER, gpg_key
from support.namespace import Namespace
from support.openai_process import OpenAIProcess
from support.shelf import Shelf, wait_for

from bookbrain.backup.archive import Archive, Content, Manifest, measure, write_archive
from bookbrain.library import Library
from bookbrain.paths import LibraryPaths
from bookbrain.settings import load_settings
from bookbrain.store.catalog import note_revisions
from bookbrain.store.checksums import seal_book

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    # Libraries are asked in this process, and Chroma's client leaves its connections to the
    # collector, as the keeper of the server is left to itself.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

_dimensions = count(140)
_QUERIES = [
    *("lock waits", "queue and socket", "kernel buffer", "the thread waits for the cache"),
    *(pdfs.probe(seed, page) for seed in (1, 2, 3) for page in range(8)),
    '"waits for the queue"', "thread buffer",
]  # fmt: skip


def _backup(shelf: Shelf, *options: str | Path, code: int = 0, **settings: str) -> Path:
    done = shelf.admin("backup", "--json", *options, code=code, **settings).json()
    return Path(done["folder"]) / done["file"]


def _archives(shelf: Shelf) -> list[str]:
    """Everything that lies in the folder of the backups, hidden files too."""
    return sorted(path.name for path in (shelf.home / "backups").iterdir())


def _strays(home: Path) -> list[str]:
    return [path.name for path in home.rglob("*") if path.name.startswith((".backup", ".rest"))]


def _whole(path: Path) -> Manifest:
    """What a good archive says of itself."""
    with path.open("rb") as file:
        archive = Archive(file)
        archive.check(lambda count: None)
        return archive.manifest


def _assert_consistent(path: Path, folder: Path) -> Manifest:
    """Each book is in the archive with its file, its pages, its passages and their vectors."""
    manifest = _whole(path)
    with path.open("rb") as file:
        Archive(file).extract(folder, lambda name: True, lambda count: None)
    catalog = sqlite3.connect(folder / "catalog.sqlite3")
    catalog.execute("ATTACH ? AS store", (str(folder / "embeddings.sqlite3"),))
    ids = {row[0] for row in catalog.execute("SELECT id FROM book")}
    assert ids == {book.id for book in manifest.books}
    assert ids == {file.stem for file in (folder / "books").glob("*")}
    for table in ("page", "passage", "embedded"):
        assert {row[0] for row in catalog.execute(f"SELECT book_id FROM {table}")} == ids
    missing = (
        "SELECT count(*) FROM passage WHERE digest NOT IN (SELECT digest FROM store.embedding)"
    )
    assert catalog.execute(missing).fetchone() == (0,)
    assert catalog.execute("SELECT count(*) FROM job").fetchone() == (0,)
    catalog.close()
    return manifest


def _answers(shelf: Shelf) -> list[Any]:
    """Hits and scores of all queries."""
    found = []
    with Library(load_settings(shelf.env)) as library:
        for query in _QUERIES:
            answer = library.search(query)
            assert answer.degraded is None
            found.append([(hit.file, hit.page, hit.score, hit.why) for hit in answer.hits])
    del library
    gc.collect()  # here, where its warnings are expected, and not in a later test
    return found


@pytest.fixture
def other(
    tmp_path: Path, shelf: Shelf, openai: OpenAIProcess, chroma: ChromaServer
) -> Iterator[Shelf]:
    """An empty library elsewhere, with a Chroma of its own."""
    (tmp_path / "elsewhere").mkdir()
    with (
        ChromaServer(tmp_path / "elsewhere") as server,
        Shelf(tmp_path / "elsewhere" / "library", openai, CHROMA_URL=server.url) as made,
    ):
        made.env["BOOKBRAIN_EMBEDDING_DIMENSIONS"] = shelf.env["BOOKBRAIN_EMBEDDING_DIMENSIONS"]
        yield made


def test_a_fresh_library_answers_as_the_old_one_did(
    shelf: Shelf, other: Shelf, openai: OpenAIProcess, english: list[Path]
) -> None:
    shelf.add(*english)
    expected = _answers(shelf)
    assert sum(map(bool, expected)) >= 30
    archive = _backup(shelf)
    openai.forget()
    verified = shelf.admin("verify", "--json").json()
    assert (verified["books"], verified["file"]) == (3, str(archive))
    assert verified["asked"] > 6
    shown = other.admin("restore", archive, "--yes").out
    assert "Books that come: 3, that go: 0" in shown
    assert other.books() == shelf.books()
    assert _answers(other) == expected
    assert not openai.requests, "nothing was bought"
    assert not _strays(shelf.home.parent)
    for book in other.books():
        path = other.home / "books" / f"{book['id']}.pdf"
        assert path.read_bytes() == (shelf.home / "books" / path.name).read_bytes()
    # And it goes on: another book needs no more than itself.
    other.run("remove", "book1.pdf", "--yes")
    other.add(english[0])
    assert not openai.requests, "its passages are kept"


def test_without_a_key_and_with_a_chroma_of_ones_own(
    tmp_path: Path, openai: OpenAIProcess, english: list[Path]
) -> None:
    with (
        Shelf(tmp_path / "a" / "library", openai) as old,
        Shelf(tmp_path / "b" / "library") as new,
    ):
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        old.add(*english)
        archive = _backup(old)
        openai.forget()
        old.admin("verify")
        new.admin("restore", archive, "--yes")
        assert [book["file"] for book in new.books()] == [book["file"] for book in old.books()]
        new.env |= {"OPENAI_BASE_URL": openai.url, "OPENAI_API_KEY": openai.key}
        assert new.search("lock waits")["degraded"] is None
        assert len(openai.bought) <= 1, "only the question"


def test_while_books_are_added_each_is_in_it_whole_or_not_at_all(
    tmp_path: Path, shelf: Shelf, openai: OpenAIProcess
) -> None:
    books = [
        pdfs.long_book(tmp_path / f"{seed}.pdf", 12, seed=seed, language="en")
        for seed in range(1, 9)
    ]
    openai.fail("slow", seconds=0.3)
    adding = shelf.start("add", *books)
    archives = []
    while adding.poll() is None:
        archives.append(_backup(shelf, BOOKBRAIN_BACKUP_KEEP="100"))
    shelf.finish(adding)
    archives.append(_backup(shelf, BOOKBRAIN_BACKUP_KEEP="100"))
    counts = []
    for number, archive in enumerate(archives):
        counts.append(len(_assert_consistent(archive, tmp_path / f"out{number}").books))
    assert counts == sorted(counts)
    assert counts[-1] == 8
    assert counts[0] < 8, "one was made while books were added"
    shelf.admin("verify", archives[len(archives) // 2])


# Restore


def test_one_book_comes_back_beside_the_others(
    shelf: Shelf, openai: OpenAIProcess, english: list[Path]
) -> None:
    shelf.add(*english[:2])
    archive = _backup(shelf)
    before = {book["file"]: book for book in shelf.books()}
    shelf.run("remove", "book1.pdf", "--yes")
    shelf.add(english[2])
    openai.forget()
    done = shelf.admin("restore", archive, "--book", "book1.pdf", "--yes")
    assert "Books that come: 1, that go: 0, that stay: 2" in done.out
    after = {book["file"]: book for book in shelf.books()}
    assert set(after) == {"book1.pdf", "book2.pdf", "book3.pdf"}
    assert after["book1.pdf"] == before["book1.pdf"]
    assert not openai.requests
    for seed in (1, 2, 3):
        hit = shelf.search(pdfs.probe(seed, 5))["hits"][0]
        assert (hit["file"], hit["page"]) == (f"book{seed}.pdf", 6)
    missing = shelf.admin("restore", archive, "--book", "book3.pdf", "--yes", code=65)
    assert "There is no book 'book3.pdf'." in missing.err


def test_judged_questions_come_back_where_there_are_none(plain: Shelf, english: list[Path]) -> None:
    plain.add(english[0])
    questions = plain.home / "answers.jsonl"
    questions.write_text('{"question": "락?", "quoted": []}\n', encoding="utf-8")
    archive = _backup(plain)
    newer = questions.read_text(encoding="utf-8") + '{"question": "lock?", "quoted": []}\n'
    questions.write_text(newer, encoding="utf-8")
    plain.admin("restore", archive, "--yes")
    assert questions.read_text(encoding="utf-8") == newer, "what is there stays"
    questions.unlink()
    plain.admin("restore", archive, "--book", "book1.pdf", "--yes")
    assert not questions.exists()
    plain.admin("restore", archive, "--yes")
    assert questions.read_text(encoding="utf-8") == newer.splitlines(keepends=True)[0]
    plain.admin("verify")


@pytest.mark.parametrize("other", ["folder", "link"])
def test_what_is_no_file_of_judged_questions_fails_no_backup_and_no_restore(
    plain: Shelf, english: list[Path], other: str
) -> None:
    plain.add(english[0])
    questions = plain.home / "answers.jsonl"
    questions.write_text('{"question": "락?", "quoted": []}\n', encoding="utf-8")
    archive = _backup(plain)
    questions.unlink()
    if other == "folder":
        questions.mkdir()
    else:
        questions.symlink_to(plain.home / "catalog.sqlite3")
    _backup(plain)
    lock = LibraryPaths(plain.home).golden_lock
    lock.unlink(missing_ok=True)
    lock.mkdir()
    plain.admin("restore", archive, "--yes")
    assert [book["file"] for book in plain.books()] == ["book1.pdf"]


def test_it_asks_first_and_changes_nothing_without_yes(plain: Shelf, english: list[Path]) -> None:
    plain.add(*english[:2])
    archive = _backup(plain)
    plain.run("remove", "book1.pdf", "--yes")
    plain.add(english[2])
    done = plain.admin("restore", archive, code=1)
    assert "Books that come: 1, that go: 1, that stay: 1" in done.out
    assert {book["file"] for book in plain.books()} == {"book2.pdf", "book3.pdf"}
    plain.admin("restore", archive, "--yes")
    assert {book["file"] for book in plain.books()} == {"book1.pdf", "book2.pdf"}
    files = {path.stem for path in (plain.home / "books").glob("*.pdf")}
    assert files == {book["id"] for book in plain.books()}


def test_a_library_that_does_not_work_afterwards_is_put_back(
    plain: Shelf, english: list[Path], tmp_path: Path
) -> None:
    plain.add(*english[:2])
    archive = _backup(plain)
    plain.add(english[2])
    with archive.open("rb") as file:
        opened = Archive(file)
        manifest = opened.manifest
        opened.extract(tmp_path / "out", lambda name: True, lambda count: None)
    catalog = sqlite3.connect(tmp_path / "out" / "catalog.sqlite3")
    with catalog:  # whose pages have words that its keyword index does not know
        catalog.execute("UPDATE page SET text = ?", (" ".join(f"unheard{n}" for n in range(20)),))
        catalog.execute("DELETE FROM passage")  # which would tell
        for (book_id,) in catalog.execute("SELECT id FROM book").fetchall():
            seal_book(catalog, book_id)
        catalog.execute("UPDATE book SET revision = ''")
        note_revisions(catalog)
    catalog.close()
    contents: dict[str, Content] = {
        member.name: tmp_path / "out" / member.name for member in manifest.members
    }
    evil = tmp_path / "evil.tar.zst"
    members = tuple(measure(name, content) for name, content in contents.items())
    books = tuple(replace(book, passages=0) for book in manifest.books)
    changed = Manifest(**{**_fields(manifest), "members": members, "books": books})
    with evil.open("wb") as out:
        write_archive(out, changed, contents, lambda count: None)
    assert "does not find" in plain.admin("verify", evil, code=1).err
    assert "does not find" in plain.admin("restore", evil, "--yes", code=1).err
    assert len(plain.books()) == 3
    for seed in (1, 2, 3):
        assert plain.search(pdfs.probe(seed, 3))["hits"][0]["file"] == f"book{seed}.pdf"
    assert not _strays(plain.home)


def _fields(manifest: Manifest) -> dict[str, Any]:
    return {name: getattr(manifest, name) for name in Manifest.__dataclass_fields__}


def test_a_damaged_catalog_is_replaced_and_kept(plain: Shelf, english: list[Path]) -> None:
    plain.add(*english)
    archive = _backup(plain)
    catalog = plain.home / "catalog.sqlite3"
    catalog.write_bytes(b"not a database at all" * 1000)
    plain.run("books", code=1)
    done = plain.admin("restore", archive, "--yes")
    assert "damaged" in done.err
    assert len(plain.books()) == 3
    assert (plain.home / "catalog.sqlite3.damaged").exists()


def test_what_is_not_right_to_the_last_byte_is_refused(
    plain: Shelf, english: list[Path], tmp_path: Path
) -> None:
    plain.add(english[0])
    data = _backup(plain).read_bytes()
    plain.add(english[1])
    bad = tmp_path / "bad.tar.zst"
    for at in (5, len(data) // 2, len(data) - 45):
        flipped = bytearray(data)
        flipped[at] ^= 1
        bad.write_bytes(flipped)
        for command in (("verify", bad), ("restore", bad, "--yes")):
            done = plain.admin(*command, code=65)
            assert done.err.startswith("Error: This backup cannot be used: ")
            assert done.err.count("\n") == 2
    assert len(plain.books()) == 2
    assert not _strays(plain.home)


# Choices


def test_without_books(plain: Shelf, english: list[Path], tmp_path: Path) -> None:
    plain.add(*english)
    archive = _backup(plain, "--no-books")
    assert not any(member.name.startswith("books/") for member in _whole(archive).members)
    plain.admin("verify")
    (tmp_path / "new").mkdir()
    with Shelf(tmp_path / "new" / "library") as new:
        done = new.admin("restore", archive, "--yes")
        assert "Not all PDFs are in it." in done.out
        assert "Found by search, but its PDF is not here; add it again: book1.pdf" in done.err
        assert new.search(pdfs.probe(1, 3))["hits"][0]["file"] == "book1.pdf"
        new.add(*english)
        assert len(list((new.home / "books").glob("*.pdf"))) == 3


def test_five_runs_leave_four_and_never_another_kind(plain: Shelf, english: list[Path]) -> None:
    plain.add(english[0])
    whole = _backup(plain)
    folder = whole.parent
    (folder / "notes.txt").write_text("mine")
    (folder / "bookbrain-20200101T000000Z.tar.zst").write_bytes(b"damaged")
    for _ in range(5):
        done = plain.admin("backup", "--no-books")
    assert "Older ones removed: 1." in done.out
    listed = plain.admin("backups", "--json").json()
    assert [one["complete"] for one in listed] == [False] * 4 + [True, None]
    assert listed[-1]["flaw"]
    assert whole.exists()
    assert (folder / "notes.txt").exists()


def test_a_book_whose_file_is_damaged_is_named(plain: Shelf, english: list[Path]) -> None:
    plain.add(*english)
    first, second, third = sorted((plain.home / "books").glob("*.pdf"))
    first.write_bytes(b"%PDF rotten")
    second.unlink()
    done = plain.admin("backup", code=1)
    assert done.err.count("The file of a book is gone or damaged, and not in it") == 2
    archive = next((plain.home / "backups").iterdir())
    names = [m.name for m in _whole(archive).members if m.name.startswith("books/")]
    assert names == [f"books/{third.name}"]
    assert not _whole(archive).complete


def test_only_one_at_a_time(plain: Shelf, english: list[Path]) -> None:
    plain.add(english[0])
    import fcntl

    with (plain.home / "backup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        busy = plain.admin("backup", code=75)
        assert "Another backup or restore is under way." in busy.err
        assert len(plain.books()) == 1


def test_the_second_place(plain: Shelf, english: list[Path], tmp_path: Path) -> None:
    plain.add(english[0])
    place = tmp_path / "second"
    failed = plain.admin("backup", code=1, BOOKBRAIN_BACKUP_COPY=str(place))
    assert f"{place} does not take the copy of the backup" in failed.err
    assert len(_archives(plain)) == 1
    place.mkdir()
    archive = _backup(plain, BOOKBRAIN_BACKUP_COPY=str(place))
    assert [path.name for path in place.iterdir()] == [archive.name]
    assert (place / archive.name).read_bytes() == archive.read_bytes()
    for bad, code in (("rclone:remote:x", (1, 78)), ("ftp://x", (78,))):
        process = plain.start_admin("backup", BOOKBRAIN_BACKUP_COPY=bad)
        out, err = process.communicate()
        assert process.returncode in code, err
        assert "Error: " in err
        assert out.startswith(str(plain.home / "backups"))


@pytest.fixture
def gpg() -> Iterator[dict[str, str]]:
    """The environment of somebody who has a key."""
    with gpg_key() as env:
        yield env


def test_encrypted(plain: Shelf, english: list[Path], gpg: dict[str, str], tmp_path: Path) -> None:
    plain.add(*english)
    none = plain.admin("backup", "--encrypt", code=78)
    assert "BOOKBRAIN_BACKUP_RECIPIENT is not set." in none.err
    wrong = plain.admin(
        "backup", "--encrypt", code=78, BOOKBRAIN_BACKUP_RECIPIENT="no@example.org", **gpg
    )
    assert "gpg does not encrypt" in wrong.err
    if not shutil.which("age"):
        missing = plain.admin("backup", "--encrypt", code=78, BOOKBRAIN_BACKUP_RECIPIENT="age1x")
        assert "The program age is not installed." in missing.err
    assert not list((plain.home / "backups").iterdir())
    archive = _backup(plain, "--encrypt", BOOKBRAIN_BACKUP_RECIPIENT=OWNER, **gpg)
    assert archive.name.endswith(".tar.zst.gpg")
    assert b"manifest" not in archive.read_bytes()
    assert "is encrypted" in plain.admin("verify").out
    assert "queries asked" in plain.admin("verify", archive, **gpg).out
    (tmp_path / "new").mkdir()
    with Shelf(tmp_path / "new" / "library") as new:
        assert "cannot be decrypted" in new.admin("restore", archive, "--yes", code=1).err
        new.admin("restore", archive, "--yes", **gpg)
        assert len(new.books()) == 3
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    flipped = plain.start_admin("verify", archive, **gpg)
    assert flipped.wait() != 0
    assert "Traceback" not in flipped.communicate()[1]


# A full disk


@pytest.mark.parametrize("size", [2348, 2748, 3148])  # kB; 2,048 are the reserve
def test_a_full_disk_costs_nothing_but_the_backup(
    size: int, tmp_path: Path, openai: OpenAIProcess, english: list[Path]
) -> None:
    home = tmp_path / "library"
    home.mkdir()
    with Namespace("mount") as disk:
        disk.run("mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", str(home))
        with Shelf(home, inside=disk.inside) as shelf:
            shelf.add(*english)
            disk.run("mount", "-o", f"remount,size={size}k", str(home))
            done = shelf.admin("backup", code=1)
            assert "There is not enough room at" in done.err
            disk.run("mount", "-o", "remount,size=100m", str(home))
            assert len(shelf.books()) == 3
            archive = _backup(shelf)
            disk.run("sh", "-c", f"cp {archive} {tmp_path}/kept.tar.zst; rm {archive}")
            shelf.run("remove", "book1.pdf", "--yes")
            disk.run("mount", "-o", f"remount,size={size}k", str(home))
            refused = shelf.admin("restore", tmp_path / "kept.tar.zst", "--yes", code=1)
            assert "There is not enough room at" in refused.err
            assert len(shelf.books()) == 2
            disk.run("mount", "-o", "remount,size=100m", str(home))
            shelf.admin("restore", tmp_path / "kept.tar.zst", "--yes")
            assert len(shelf.books()) == 3


def test_the_searches_go_on_meanwhile(shelf: Shelf, english: list[Path]) -> None:
    shelf.add(*english)
    expected = _answers(shelf)
    running = [shelf.start_admin("backup")]
    while running[0].poll() is None:
        assert shelf.search(_QUERIES[0])["degraded"] is None
    running.append(shelf.start_admin("verify"))
    while running[1].poll() is None:
        assert shelf.search(_QUERIES[0])["degraded"] is None
    for process in running:
        shelf.finish(process)
    assert _answers(shelf) == expected
    wait_for(lambda: not (shelf.home / ".verifying").exists(), "the scratch library to go")
    assert json.loads(json.dumps(shelf.books()))


def test_a_malformed_catalog_by_the_commands(plain: Shelf, english: list[Path]) -> None:
    plain.add(*english)
    sound = _backup(plain)
    catalog = plain.home / "catalog.sqlite3"
    with closing(sqlite3.connect(catalog)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(catalog.read_bytes())
    leaves = [at for at in range(4096, len(data), 4096) if data[at] == 0x0D]
    data[leaves[-1] : leaves[-1] + 4096] = bytes(4096)
    catalog.write_bytes(data)
    told = plain.admin("backup", "--json", code=1, BOOKBRAIN_BACKUP_KEEP="1")
    assert "Error: The library is damaged." in told.err
    assert told.json()["damaged"]
    assert told.json()["unsound"]
    damaged = Path(told.json()["folder"]) / told.json()["file"]
    assert [one["file"] for one in plain.admin("backups", "--json").json()] == [
        damaged.name, sound.name
    ]  # fmt: skip
    assert "damaged" in plain.admin("backups").out
    for command in (("verify", damaged), ("restore", damaged, "--yes")):
        assert "of a damaged library" in plain.admin(*command, code=65).err
    assert str(sound) in plain.admin("verify").out
    plain.admin("restore", sound, "--yes")
    assert len(plain.books()) == 3
