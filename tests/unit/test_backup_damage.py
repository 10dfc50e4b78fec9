"""A damaged library and a hostile archive: told as what they are, and nothing is lost by them."""

import json
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import pdfs
from support.gpg import OWNER, gpg_key

from bookbrain.backup.archive import Archive, Content, Manifest, measure, write_archive
from bookbrain.backup.archives import list_backups
from bookbrain.backup.contents import Request
from bookbrain.backup.creation import NewBackup, take_backup
from bookbrain.backup.restoration import restore, verify
from bookbrain.errors import OLDER_BACKUP, BookBrainError, InputError
from bookbrain.files import link
from bookbrain.index import segment
from bookbrain.index.segment import open_segment, segment_name
from bookbrain.library import Library
from bookbrain.library.findings import prove
from bookbrain.model import SILENT, Book
from bookbrain.paths import CATALOG
from bookbrain.settings import BackupSettings, Settings
from bookbrain.store.catalog import Catalog
from bookbrain.store.copy import take_books, take_embeddings

pytestmark = pytest.mark.slow

_NAMES = ("one.pdf", "two.pdf")


def _silent(*_: object) -> None:
    """Hears of bytes and steps."""


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    words = ("lock", "queue", "cache", "socket", "kernel", "buffer", "thread")
    for seed, name in enumerate(_NAMES, start=1):
        pages = [
            f"{pdfs.probe(seed, page)}\n"
            + "\n".join(
                f"The {words[(seed + page + n) % 7]} waits for part{seed}x{page}x{n} of it."
                for n in range(30)
            )
            for page in range(40)
        ]
        pdfs.book(folder / name, pages, title=f"Manual {seed}")
    with Library(Settings(folder / "library")) as library:
        report = library.add([folder / name for name in _NAMES])
        assert not report.stopped
    return folder / "library"


@pytest.fixture
def settings(_made: Path, tmp_path: Path) -> Settings:
    shutil.copytree(_made, tmp_path / "library")
    return Settings(tmp_path / "library", backup=BackupSettings(keep=2))


def _backup(settings: Settings, **wanted: Any) -> NewBackup:
    return take_backup(settings, Request(settings.home / "backups", **wanted), _silent)


def _books(settings: Settings) -> list[Book]:
    with Library(settings) as library:
        return library.books()


def _finds(settings: Settings) -> list[str]:
    """What is found first for a page of each book."""
    with Library(settings) as library:
        results = [library.search(pdfs.probe(seed, 3), mode="keyword") for seed in (1, 2)]
    return [result.hits[0].file for result in results]


def _verify(settings: Settings, path: Path) -> int:
    with path.open("rb") as file:
        return verify(settings, Archive(file), _silent, SILENT)


def _restore(settings: Settings, path: Path, only: str | None = None) -> int:
    with path.open("rb") as file:
        return restore(settings, Archive(file), only, _silent, SILENT).books


def _ids(settings: Settings) -> list[str]:
    return sorted(path.stem for path in (settings.home / "books").glob("*.pdf"))


def _sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA foreign_keys=OFF")
        for statement in statements:
            db.execute(statement)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _tree(folder: Path) -> dict[str, str]:
    """What lies in a folder, but for SQLite's own files and the locks."""
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm", ".lock"))
    }


# A damaged library


def _zero_leaves(home: Path) -> None:
    """Three leaf pages of tables of the second half."""
    path = home / "catalog.sqlite3"
    _sql(path)
    data = bytearray(path.read_bytes())
    leaves = [at for at in range(4096, len(data), 4096) if data[at] == 0x0D]
    for at in leaves[len(leaves) // 2 :][:3]:
        data[at : at + 4096] = bytes(4096)
    path.write_bytes(data)


def _zero_index(home: Path) -> None:
    """That of the passages: a library without settings is not opened at all."""
    path = home / "catalog.sqlite3"
    _sql(path)
    data = bytearray(path.read_bytes())
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute(
            "SELECT rootpage FROM sqlite_master WHERE tbl_name = 'passage' AND type = 'index'"
        ).fetchone()
    at = (root - 1) * 4096
    data[at : at + 4096] = bytes(4096)
    path.write_bytes(data)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _lose_all(home: Path) -> None:
    for path in (home / "books").glob("*.pdf"):
        path.unlink()


def _embed_badly(home: Path) -> None:
    """Said to be embedded, with no vector in the store."""
    _sql(home / "catalog.sqlite3", "INSERT INTO embedded SELECT id, 'model/8' FROM book")


def _catalog(statement: str) -> Callable[[Path], None]:
    return lambda home: _sql(home / "catalog.sqlite3", statement)


def _store(statement: str) -> Callable[[Path], None]:
    return lambda home: _sql(home / "embeddings.sqlite3", statement)


_DAMAGE: Mapping[str, Callable[[Path], None]] = {
    "zeroed leaves": _zero_leaves,
    "a zeroed index": _zero_index,
    "a flipped byte in a file": lambda home: _flip(next((home / "books").glob("*.pdf"))),
    "all files gone": _lose_all,
    "no vectors": _embed_badly,
    "a title of bytes": _catalog("UPDATE book SET title = x'00ff'"),
    "headings that are none": _catalog("UPDATE page SET headings = 'x' WHERE number = 7"),
    "a page gone": _catalog("DELETE FROM page WHERE number = 7"),
    "a text of another page": _catalog("UPDATE page SET text = 'x' WHERE number = 7"),
    "a text that is none": _catalog(
        "UPDATE page SET text = CAST(x'ff' AS TEXT) WHERE number = 7"
    ),
    "a short vector": _store("INSERT INTO embedding VALUES ('m/8', hex(zeroblob(32)), x'00')"),
}  # fmt: skip


@pytest.mark.parametrize("damage", _DAMAGE)
def test_a_backup_of_a_damaged_library_is_called_so_and_displaces_no_sound_one(
    settings: Settings, tmp_path: Path, damage: str
) -> None:
    (tmp_path / "second").mkdir()
    settings = replace(settings, backup=replace(settings.backup, copy=str(tmp_path / "second")))
    before = _books(settings)
    sound = [_backup(settings).backup.file for _ in range(2)]
    assert sound == [one.replace(".damaged", "") for one in sound]
    _DAMAGE[damage](settings.home)
    for number in range(3):
        taken = _backup(settings)
        assert taken.backup.damaged, "told as trouble"
        assert taken.unsound or taken.lost
        assert ".damaged." in taken.backup.file
        with pytest.raises(InputError, match="damaged library"):
            _verify(settings, taken.backup.path)
        for folder in (settings.home / "backups", tmp_path / "second"):
            found = list_backups(folder)
            assert sorted(one.file for one in found if one.is_sound) == sorted(sound)
            assert sum(one.damaged for one in found) == min(number + 1, 2)
    newest = settings.home / "backups" / sound[-1]
    assert _verify(settings, newest) > 0
    _restore(settings, newest)
    assert _books(settings) == before
    assert _finds(settings) == list(_NAMES)
    again = _backup(settings).backup
    assert again.is_sound
    assert _verify(settings, again.path) > 0


def test_of_a_damaged_catalog_what_can_still_be_had_is_kept(settings: Settings) -> None:
    ids = _ids(settings)
    _sql(
        settings.home / "catalog.sqlite3", f"UPDATE page SET text = 'x' WHERE book_id = '{ids[0]}'"
    )
    path = _backup(settings).backup.path
    with path.open("rb") as file:
        manifest = Archive(file).manifest
    assert manifest.files == {*ids}
    assert {book.id for book in manifest.books} == {*ids}
    with pytest.raises(InputError, match="of a damaged library") as refused:
        _restore(settings, path)
    assert "--book" in refused.value.hint
    with Library(settings) as library:
        library.remove(ids[1])
    assert _restore(settings, path, ids[1]) == 2
    with pytest.raises(InputError, match="of a damaged library"):
        _restore(settings, path, ids[0])


def test_a_backup_without_a_lost_file_brings_back_the_rest(settings: Settings) -> None:
    (settings.home / "books" / f"{_ids(settings)[0]}.pdf").unlink()
    path = _backup(settings).backup.path
    with Library(settings) as library:
        for book in library.books():
            library.remove(book.id)
    with path.open("rb") as file:
        restored = restore(settings, Archive(file), None, _silent, SILENT)
    assert restored.books == 2
    assert len(restored.without_file) == 1


def test_none_of_a_lesser_kind_takes_the_place_of_a_better_one(settings: Settings) -> None:
    whole = [_backup(settings).backup.file for _ in range(2)]
    later = settings.home / "backups" / "bookbrain-29990101T000000Z.tar.zst"
    shutil.copy(settings.home / "backups" / whole[0], later)
    for _ in range(3):
        made = _backup(settings, books=False)
        assert ".no-books." in made.backup.file
        assert _verify(settings, made.backup.path) > 0
    names = {one.file for one in list_backups(settings.home / "backups")}
    assert {*whole, later.name} <= names
    assert len(names) == 5
    _backup(settings)
    left = {one.file for one in list_backups(settings.home / "backups")}
    assert names - left == {whole[0]}, "what is of a later time counts for nothing and stays"


# A hostile archive


def _repacked(
    settings: Settings, folder: Path, change: Callable[[Path], None],
    said: Callable[[Manifest], Manifest] = lambda manifest: manifest,
) -> Path:  # fmt: skip
    """A sealed archive of the library, changed, with checksums that are right again."""
    out = folder / "out"
    with _backup(settings).backup.path.open("rb") as file:
        archive = Archive(file)
        archive.extract(out, lambda name: True, _silent)
    change(out)
    names = [m.name for m in archive.manifest.members if (out / m.name).is_file()]
    contents: dict[str, Content] = {name: out / name for name in names}
    members = tuple(measure(name, content) for name, content in contents.items())
    evil = folder / "evil.tar.zst"
    with evil.open("wb") as file:
        manifest = said(replace(archive.manifest, members=members))
        write_archive(file, manifest, contents, _silent)
    return evil


_ONE = "(SELECT min(id) FROM book)"
_AS_PATHS = [
    f"UPDATE {table} SET {column} = '{{victim}}' WHERE {column} = {_ONE}"
    for table, column in (("page", "book_id"), ("passage", "book_id"), ("book", "id"))
]
_HOSTILE = [
    "UPDATE book SET title = x'00'",
    f"UPDATE book SET title = hex(zeroblob(5000000)) WHERE id = {_ONE}",
    "UPDATE book SET title = 7",
    "UPDATE book SET title = 'another'",
    "UPDATE book SET file = 'another'",
    "UPDATE book SET added_at = 'x'",
    "UPDATE page SET headings = 'not json'",
    "UPDATE page SET headings = '[[0,NaN]]'",
    "UPDATE page SET text = CAST(x'ff' AS TEXT)",
    "UPDATE page SET number = number + 1000000000",
    "UPDATE page SET number = -number",
    "UPDATE passage SET spans = '[[1,0,1000000000]]'",
    "UPDATE passage SET digest = 'x'",
    "UPDATE passage SET ordinal = ordinal + 500",
    "DELETE FROM passage WHERE ordinal = 0",
    "DELETE FROM book",
    "INSERT INTO embedded SELECT id, '../x/1' FROM book",
    "INSERT INTO embedded SELECT id, 'model/999999999' FROM book",
    "INSERT OR REPLACE INTO setting VALUES ('generation', '../../x')",
    "CREATE TRIGGER t AFTER INSERT ON page BEGIN DELETE FROM book; END",
    "CREATE VIEW v AS SELECT 1",
    "CREATE INDEX i ON page (hex(text))",
    "ALTER TABLE book ADD COLUMN c AS (hex(title))",
    *_AS_PATHS,
    "\n".join(_AS_PATHS),
]  # fmt: skip


@pytest.mark.parametrize("statement", _HOSTILE)
def test_a_hostile_catalog_is_refused_before_anything_changes(
    settings: Settings, tmp_path: Path, statement: str
) -> None:
    victim = tmp_path / "victim" / "important"
    (tmp_path / "victim" / "important.pdf.part").mkdir(parents=True)
    (tmp_path / "victim" / "important.pdf.part" / "mine").write_text("mine")
    statements = statement.format(victim=victim).splitlines()
    evil = _repacked(settings, tmp_path, lambda out: _sql(out / "catalog.sqlite3", *statements))
    before = _tree(tmp_path)
    for only in (None, _ids(settings)[0]):
        with pytest.raises(InputError, match="This backup cannot be used") as refused:
            _restore(settings, evil, only)
        assert refused.value.hint == OLDER_BACKUP
        if "book" in refused.value.message and only is None:
            break  # it is of one book, which may be the other one
    with pytest.raises(InputError, match="This backup cannot be used"):
        _verify(settings, evil)
    assert _tree(tmp_path) == before
    assert _finds(settings) == list(_NAMES)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: replace(m, books=(replace(m.books[0], title="x"), *m.books[1:])),
        lambda m: replace(m, books=(replace(m.books[0], pages=41), replace(m.books[1], pages=39))),
        lambda m: replace(m, spaces=("model/8",)),
        lambda m: replace(m, embeddings=1),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(
    settings: Settings, tmp_path: Path, change: Callable[[Manifest], Manifest]
) -> None:
    evil = _repacked(settings, tmp_path, lambda out: None, change)
    before = _tree(settings.home)
    for ask in (_verify, _restore):
        with pytest.raises(InputError, match="not those of its manifest"):
            ask(settings, evil)
    assert _tree(settings.home) == before


def _segment(out: Path) -> Path:
    return max((path for path in (out / "keywords").iterdir() if path.suffix != ".json"),
               key=lambda path: path.stat().st_size)  # fmt: skip


def _with_array(name: str, value: int) -> Callable[[Path], None]:
    """One number of an array of a segment is another."""

    def change(out: Path) -> None:
        path = _segment(out)
        data = bytearray(path.read_bytes())
        start, kind, length = segment.map_arrays(path).said["arrays"][name]
        array = np.frombuffer(data, np.dtype(kind), length, start)
        array[length // 2] = value
        path.write_bytes(data)

    return change


def _leading_out(out: Path) -> None:
    for path in (out / "keywords").glob("*.json"):
        path.write_text(json.dumps({"shards": ["../../../victim"]}))


@pytest.mark.parametrize(
    "change",
    [
        _with_array("documents", 10**6), _with_array("documents", -5),
        _with_array("starts", 10**12), _with_array("starts", -1), _with_array("lengths", -1),
        _with_array("frequencies", 0), _with_array("terms", 0), _leading_out,
        lambda out: _segment(out).write_bytes(b"[" * 100_000 + (100_000).to_bytes(8, "little")),
        lambda out: shutil.rmtree(out / "keywords"),
    ],
)  # fmt: skip
def test_a_hostile_keyword_index_is_made_anew(
    settings: Settings, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "mine").write_text("mine")
    evil = _repacked(settings, tmp_path, change)
    assert _verify(settings, evil) > 0
    shutil.rmtree(settings.home / "keywords")
    _restore(settings, evil)
    assert _finds(settings) == list(_NAMES)
    with closing(Catalog(settings.home / CATALOG)) as catalog:
        texts = catalog.texts()
    for name in [segment_name(texts), *(segment_name([text]) for text in texts)]:
        if (path := settings.home / "keywords" / name).exists():
            assert int(open_segment(path).documents.max()) < 80
    assert (tmp_path / "victim" / "mine").exists()


def test_settings_and_jobs_of_an_archive_are_not_taken_over(
    settings: Settings, tmp_path: Path
) -> None:
    def plant(out: Path) -> None:
        _sql(
            out / "catalog.sqlite3",
            "INSERT INTO setting VALUES ('identity', 'theirs')",
            "INSERT INTO job (path, waiting) VALUES ('/etc/passwd', '')",
        )

    evil = _repacked(settings, tmp_path, plant)
    _sql(settings.home / "catalog.sqlite3", "INSERT INTO setting VALUES ('identity', 'ours')")
    _restore(settings, evil)
    with closing(sqlite3.connect(settings.home / "catalog.sqlite3")) as db:
        assert db.execute("SELECT value FROM setting WHERE name = 'identity'").fetchall() == [
            ("ours",)
        ]
        assert db.execute("SELECT count(*) FROM job").fetchone() == (0,)


# A restore that fails


@contextmanager
def _in_the_midst(work: Callable[..., Any], do: Callable[[], None]) -> Iterator[None]:
    """That is done where this work begins, from inside."""

    def called(frame: Any, event: str, arg: object) -> None:
        if event == "call" and frame.f_code is work.__code__:
            sys.setprofile(None)
            do()

    sys.setprofile(called)
    try:
        yield
    finally:
        sys.setprofile(None)


def _failing(
    error: BaseException, work: Callable[..., Any] = prove
) -> AbstractContextManager[None]:
    """This work of a restore, the proof of the new library, fails with the error."""

    def fail() -> None:
        raise error

    return _in_the_midst(work, fail)


@pytest.mark.parametrize("only", [False, True])
@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(), TypeError("x"), MemoryError(), sqlite3.DatabaseError("malformed"),
        OSError(28, "No space left on device"), BookBrainError("It does not work.", "Look."),
        UnicodeDecodeError("utf-8", b"", 0, 1, "x"), RecursionError(), SystemExit(1),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_whatever_fails_the_old_library_is_back(
    settings: Settings, error: BaseException, only: bool
) -> None:
    path = _backup(settings).backup.path
    first = _ids(settings)[0]
    with Library(settings) as library:
        library.rename(first, "Before")
    before = _books(settings), _finds(settings), _ids(settings)
    kind = type(error) if not isinstance(error, Exception) else BookBrainError
    with _failing(error), pytest.raises(kind) as failed:
        _restore(settings, path, first if only else None)
    if isinstance(failed.value, BookBrainError):
        assert "The library is as it was before." in failed.value.hint
    assert (_books(settings), _finds(settings), _ids(settings)) == before
    assert not [path.name for path in settings.home.iterdir() if path.name.startswith(".rest")]
    assert _restore(settings, path, first if only else None) == 2
    assert "Before" not in {book.title for book in _books(settings)}


@pytest.mark.parametrize("work", [take_books, take_embeddings, link])
def test_what_fails_before_that_changes_nothing_and_says_so(
    settings: Settings, work: Callable[..., Any]
) -> None:
    path = _backup(settings).backup.path
    with Library(settings) as library:
        library.rename(_ids(settings)[0], "Before")
    before = _books(settings), _finds(settings), _ids(settings)
    for error in (OSError(28, "No space left on device"), TypeError("x")):
        with _failing(error, work), pytest.raises(BookBrainError) as failed:
            _restore(settings, path)
        assert "The library is as it was before." in failed.value.hint
        assert (_books(settings), _finds(settings), _ids(settings)) == before


def test_a_damaged_database_that_was_set_aside_is_back_when_the_restore_fails(
    settings: Settings,
) -> None:
    path = _backup(settings).backup.path
    _zero_leaves(settings.home)
    damaged = (settings.home / "catalog.sqlite3").read_bytes()
    with _failing(TypeError()), pytest.raises(BookBrainError):
        _restore(settings, path)
    assert (settings.home / "catalog.sqlite3").read_bytes() == damaged
    with pytest.raises(BookBrainError, match="one book cannot be put into it"):
        _restore(settings, path, _ids(settings)[0])
    assert _restore(settings, path) == 2
    assert (settings.home / "catalog.sqlite3.damaged").exists()


# Encrypted


@pytest.fixture
def encrypted(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """The library of somebody who has a key."""
    with gpg_key() as env:
        monkeypatch.setenv("GNUPGHOME", env["GNUPGHOME"])
        yield replace(settings, backup=replace(settings.backup, recipient=OWNER))


def test_encrypted_ones_are_judged_before_and_never_displaced(encrypted: Settings) -> None:
    whole = [_backup(encrypted, encrypt=True).backup.file for _ in range(2)]
    for _ in range(3):
        made = _backup(encrypted, encrypt=True, books=False).backup
        assert made.file.endswith(".no-books.tar.zst.gpg")
    _zero_leaves(encrypted.home)
    for _ in range(3):
        made = _backup(encrypted, encrypt=True).backup
        assert made.file.endswith(".damaged.tar.zst.gpg")
        assert made.damaged
    found = list_backups(encrypted.home / "backups")
    assert {*whole} <= {one.file for one in found}
    assert [one.damaged for one in found] == [True] * 2 + [False] * 4


def test_an_encrypted_one_that_is_not_read_as_it_was_written_is_not_kept(
    encrypted: Settings,
) -> None:
    folder = encrypted.home / "backups"

    with (
        _in_the_midst(file_digest, lambda: _flip(next(folder.glob(".*")))),
        pytest.raises(BookBrainError, match="The backup was not good and is not kept"),
    ):
        _backup(encrypted, encrypt=True)
    assert not list(folder.iterdir())
