"""A damaged library is mended: whatever became of its pages, whatever release wrote it."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from support.damaged import make_library
from support.flips import DATABASES, Dump, dump

from bookbrain.backup.archives import NO_BOOKS, NoRoomError, list_backups
from bookbrain.backup.contents import Request
from bookbrain.backup.creation import take_backup
from bookbrain.backup.repair import Repaired, repair_library
from bookbrain.errors import ConfigError
from bookbrain.library.recovery import recover
from bookbrain.model import SILENT
from bookbrain.paths import CATALOG, STORE, Layout
from bookbrain.settings import Settings
from bookbrain.store import embeddings
from bookbrain.store.catalog import MIGRATIONS, Catalog
from bookbrain.store.copy import move_damaged
from bookbrain.store.damage import AuditOutcome, check_library, look_at_damage
from bookbrain.store.database import fresh_schema, open_database
from bookbrain.store.folder import Stores

_PAGE = 4096


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four embedded books, their keyword index, and one good backup."""
    home = tmp_path_factory.mktemp("mending") / "library"
    make_library(home, books=4, pages=12)
    with closing(Stores(Settings(home))) as stores, stores.writing(lambda: None):
        stores.index_all()
    _backup(home)
    return home


@pytest.fixture
def home(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "library")


def _backup(home: Path, *, books: bool = True) -> Path:
    request = Request(home / "backups", books=books)
    return take_backup(Settings(home), request, lambda *_: None).backup.path


def _found(home: Path) -> AuditOutcome:
    last = check_library(home).last
    assert last
    return last


def _files(home: Path) -> set[str]:
    return {damage.file for damage in _found(home).damage}


def _repair(home: Path) -> Repaired:
    return repair_library(
        Settings(home), _found(home), Layout(), lambda *_: False, lambda *_: None, SILENT
    )


def _rows(home: Path) -> list[Dump]:
    return [dump(home / name, counters=False) for name in DATABASES]


def _settle(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for end in ("-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)


def _zero(path: Path, page: int) -> None:
    _settle(path)
    data = bytearray(path.read_bytes())
    data[page * _PAGE : (page + 1) * _PAGE] = bytes(_PAGE)
    path.write_bytes(data)


def _root(path: Path, table: str) -> int:
    """The page, from 0, where a table begins."""
    with closing(sqlite3.connect(path)) as db:
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        return int(db.execute(query, (table,)).fetchone()[0]) - 1


def _swap(path: Path, one: int, other: int) -> None:
    _settle(path)
    data = bytearray(path.read_bytes())
    first, second = (slice(n * _PAGE, (n + 1) * _PAGE) for n in (one, other))
    data[first], data[second] = data[second], data[first]
    path.write_bytes(data)


# Numbers and kinds of databases


@pytest.mark.parametrize("steps", [MIGRATIONS, embeddings.EMBEDDINGS_MIGRATIONS])
def test_every_migration_changes_the_schema(steps: tuple[Callable[..., None], ...]) -> None:
    schemas = [fresh_schema(steps[:n]) for n in range(len(steps) + 1)]
    assert all(a != b for a, b in pairwise(schemas))


@pytest.mark.slow
@pytest.mark.parametrize("name", DATABASES)
@pytest.mark.parametrize("number", [1, 7, 300, 1 << 24])
def test_a_damaged_number_of_the_schema_is_no_newer_release(
    home: Path, name: str, number: int
) -> None:
    before = _rows(home)
    _settle(home / name)
    with (home / name).open("r+b") as file:
        file.seek(60)
        file.write(number.to_bytes(4, "big"))
    assert name in _files(home)
    assert _repair(home).outcome.damage == ()
    assert _rows(home) == before


def test_one_kind_of_database_is_no_newer_one_of_the_other(home: Path) -> None:
    before = _rows(home)
    for name in DATABASES:
        _settle(home / name)
    shutil.copy(home / CATALOG, home / STORE)
    assert STORE in _files(home)
    assert _repair(home).outcome.damage == ()
    assert _rows(home) == before


@pytest.mark.parametrize(
    ("name", "steps"), [(CATALOG, MIGRATIONS), (STORE, embeddings.EMBEDDINGS_MIGRATIONS)]
)
def test_what_a_newer_release_made_is_left_alone(
    tmp_path: Path, name: str, steps: tuple[Callable[..., None], ...]
) -> None:
    open_database(tmp_path / name, steps).close()
    with closing(sqlite3.connect(tmp_path / name)) as db:
        db.execute("CREATE TABLE invented (later TEXT)")
        db.execute(f"PRAGMA user_version={len(steps) + 1}")
    before = (tmp_path / name).read_bytes()
    with pytest.raises(ConfigError, match="newer BookBrain") as refused:
        open_database(tmp_path / name, steps)
    assert str(tmp_path / name) in refused.value.message
    assert refused.value.hint
    assert (tmp_path / name).read_bytes() == before


# What an earlier release wrote


def _as_of_the_first_release(home: Path) -> None:
    """Take away what later migrations made, and the files that later releases keep."""
    for name, tables, columns in (
        (
            CATALOG,
            ("seal", "removed", "twin"),
            ("book revision", "job attempts", "job kind", "job priority"),
        ),
        (STORE, ("checksum", "library", "twin", "recognised"), ()),
    ):
        with closing(sqlite3.connect(home / name, isolation_level=None)) as db:
            for kind in ("setting", "removed", "job", "model", "library"):
                for event in ("insert", "delete", "update"):
                    db.execute(f"DROP TRIGGER IF EXISTS {kind}_{event}")
            for table in tables:
                db.execute(f"DROP TABLE {table}")
            for column in columns:
                db.execute("ALTER TABLE {} DROP COLUMN {}".format(*column.split()))
            db.execute("DELETE FROM setting WHERE name <> 'generation'") if name == CATALOG else 0
            db.execute(f"PRAGMA user_version={2 if name == CATALOG else 1}")
        _settle(home / name)
    for path in (home / "books").glob("*.json"):
        path.unlink()
    (home / "keywords" / "library.json").unlink(missing_ok=True)


@pytest.mark.slow
@pytest.mark.parametrize("table", ["book", "job", "setting", "page", "passage", ""])
def test_a_catalog_of_the_first_release_is_mended(home: Path, table: str) -> None:
    """With a backup; without one where no rows are lost that no other source has."""
    before = _rows(home)
    _as_of_the_first_release(home)
    if not table:
        shutil.rmtree(home / "backups")
    _zero(home / CATALOG, _root(home / CATALOG, table or "job"))
    assert _files(home) == {CATALOG}
    assert _repair(home).outcome.damage == ()
    new = {"setting"} if table else {"setting", "recognised"}  # that release read no scans
    for then, now in zip(before, _rows(home), strict=True):
        assert {name for name in then if now[name] != then[name]} <= new


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "of_old"), [("embedding", True), ("embedding", False), ("recognised", False)]
)
def test_a_damaged_store_is_salvaged_without_a_backup(
    home: Path, table: str, *, of_old: bool
) -> None:
    before = dump(home / STORE)[table]
    if of_old:
        _as_of_the_first_release(home)
    shutil.rmtree(home / "backups")
    _zero(home / STORE, _root(home / STORE, "model"))
    assert _files(home) == {STORE}
    _repair(home)
    assert dump(home / STORE)[table] == before


@pytest.mark.slow
@pytest.mark.parametrize("backup", [True, False])
def test_recognised_pages_are_mended_or_gone_and_the_others_stay(
    home: Path, *, backup: bool
) -> None:
    before = dump(home / STORE)["recognised"]
    assert before
    if not backup:
        shutil.rmtree(home / "backups")
    with closing(sqlite3.connect(home / STORE, isolation_level=None)) as db:
        db.execute("UPDATE recognised SET content = x'00' WHERE rowid = 5")
    assert _files(home) == {STORE}
    assert _repair(home).outcome.damage == ()
    left = dump(home / STORE)["recognised"]
    assert left == before if backup else len(left) == len(before) - 1


# Rows that are none


def test_pages_that_were_exchanged_make_no_jobs(home: Path) -> None:
    path = home / CATALOG
    with closing(sqlite3.connect(path)) as db:
        leaf = max(
            n for n in range(path.stat().st_size // _PAGE) if path.read_bytes()[n * _PAGE] == 0x0D
        )
        assert db.execute("SELECT count(*) FROM job").fetchone() == (0,)
    _swap(path, _root(path, "job"), leaf)
    _repair(home)
    with closing(Catalog(path)) as catalog:
        assert catalog.jobs() == []


def test_what_is_removed_needs_two_witnesses(home: Path) -> None:
    """A page of another table in the place of that of the removed books deletes no file."""
    books = sorted((home / "books").glob("*.pdf"))
    with closing(sqlite3.connect(home / CATALOG, isolation_level=None)) as db:
        db.execute("DROP TRIGGER removed_insert")
        db.execute("INSERT INTO removed SELECT id FROM book")
        db.execute("PRAGMA foreign_keys=ON")
        db.execute("DELETE FROM book")
    with closing(Stores(Settings(home), lost=True)) as stores, stores.writing(lambda: None):
        pass
    assert sorted((home / "books").glob("*.pdf")) == books


# Files of books


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "within").write_text("kept")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [_folder, _pipe, _dangling, _cut])
def test_whatever_lies_where_a_book_belongs(home: Path, spoil: Callable[[Path], None]) -> None:
    book = min((home / "books").glob("*.pdf"))
    sound = book.read_bytes()
    spoil(book)
    assert _files(home) == {f"books/{book.name}"}
    assert ".damaged" in _backup(home).name
    assert _repair(home).outcome.damage == ()
    assert book.read_bytes() == sound
    if spoil is _folder:
        assert (book.with_name(f"{book.name}.aside") / "within").read_text() == "kept"


@pytest.mark.slow
@pytest.mark.parametrize("newer", ["without books", "damaged", "cut off"])
def test_a_book_comes_from_whichever_backup_has_it(home: Path, newer: str) -> None:
    book = min((home / "books").glob("*.pdf"))
    sound = book.read_bytes()
    if newer == "without books":
        assert NO_BOOKS in _backup(home, books=False).name
    _cut(book)
    if newer != "without books":
        made = _backup(home)
        if newer == "cut off":
            made = made.rename(made.with_name(made.name.replace(".damaged", "")))
            made.write_bytes(made.read_bytes()[:-5000])
    repaired = _repair(home)
    assert repaired.outcome.damage == ()
    assert book.read_bytes() == sound
    assert len(repaired.skipped) == (newer != "without books")


def test_a_backup_that_there_is_no_room_for_is_not_gone_without(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (home / STORE).read_bytes()
    _zero(home / CATALOG, _root(home / CATALOG, "book"))
    usage = shutil.disk_usage(home)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))
    with pytest.raises(NoRoomError):
        _repair(home)
    assert (home / STORE).read_bytes() == before
    assert len(list_backups(home / "backups")) == 1


def test_a_card_that_is_gone_is_named_and_written_again(home: Path) -> None:
    card = min((home / "books").glob("[0-9a-f]*.json"))
    said = json.loads(card.read_bytes())
    card.unlink()
    assert _files(home) == {f"books/{card.name}"}
    assert _repair(home).outcome.damage == ()
    assert json.loads(card.read_bytes()) == said


# Words


def test_with_a_lost_catalog_the_next_step_is_no_repair(home: Path) -> None:
    for path in home.glob(f"{CATALOG}*"):
        path.unlink()
    found = _found(home)
    remedy = look_at_damage(home, found.at).remedy
    assert "bookbrain recover" in remedy
    assert "--repair" not in remedy


def test_a_strange_file_does_not_fail_a_recovery(home: Path) -> None:
    strange = home / "books" / f"{'ab' * 32}.pdf"
    strange.write_bytes(b"no book at all")
    recovered = recover(Settings(home), SILENT)
    assert recovered.strange == (strange,)
    assert recovered.lost == 0
    assert strange.exists()


def test_a_damaged_catalog_never_takes_the_name_of_an_earlier_one(home: Path) -> None:
    for number in (1, 2):
        (home / CATALOG).write_text(f"hello {number}" * 500)
        move_damaged(home)
    kept = sorted(path.read_text()[:7] for path in home.glob(f"{CATALOG}.damaged*"))
    assert kept == ["hello 1", "hello 2"]
