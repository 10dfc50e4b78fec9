"""The check of a library: every byte that changes by itself is named, and nothing else is."""

import os
import random
import shutil
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.damaged import make_library, try_flips
from support.flips import DATABASES, dump, flip, says_the_same

from bookbrain.errors import BusyError
from bookbrain.files import file_lock
from bookbrain.paths import CATALOG
from bookbrain.store.catalog import Catalog
from bookbrain.store.damage import check_library, look_at_damage, read_state


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("whole") / "library"
    make_library(home, books=4, pages=12)
    return home


@pytest.fixture
def home(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "library")


def _damaged(home: Path) -> set[str]:
    last = check_library(home).last
    assert last
    return {damage.file for damage in last.damage}


def test_what_is_as_it_was_written_has_no_damage(home: Path) -> None:
    assert _damaged(home) == set()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["*.pdf", "*.json", "catalog.sqlite3", "embeddings.sqlite3"])
def test_single_bytes_are_named(whole: Path, tmp_path: Path, kind: str) -> None:
    files = sorted(whole.rglob(kind)) if "*" in kind else [whole / kind]
    files = [path for path in files if path.parent.name != "keywords"]
    tally = try_flips(whole, tmp_path / "library", files, 25, seed=4)
    assert tally.missed == []
    assert tally.named > 8


@pytest.mark.slow
@pytest.mark.parametrize("name", DATABASES)
def test_every_byte_of_the_header_is_named_or_says_nothing(
    whole: Path, tmp_path: Path, name: str
) -> None:
    before, bits, path = dump(whole / name), random.Random(2), tmp_path / "library" / name
    shutil.copytree(whole, path.parent)
    sound = path.read_bytes()
    for place in range(100):
        path.write_bytes(sound)
        flip(path, bits, place)
        assert name in _damaged(path.parent) or says_the_same(path, before), place


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE setting SET value = value || '7' WHERE name = 'changes'",
        "UPDATE setting SET value = replace(value, 'a', 'b') WHERE name = 'generation'",
        "INSERT INTO removed VALUES ('x')",
        "INSERT INTO job (path, waiting) VALUES ('/x.pdf', '')",
    ],
)
def test_rows_that_no_seal_covers_are_kept_twice(home: Path, statement: str) -> None:
    """Of each pair one is changed behind the back of the other."""
    import sqlite3

    with closing(sqlite3.connect(home / CATALOG, isolation_level=None)) as db:
        triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        made = triggers.fetchall()
        for name, _ in made:
            db.execute(f"DROP TRIGGER {name}")
        db.execute(statement)
        for _, sql in made:
            db.execute(sql)
    assert _damaged(home) == {CATALOG}


def test_it_goes_on_where_it_was_stopped(home: Path) -> None:
    class StoppedError(Exception):
        pass

    seen: list[int] = []

    def stop(done: int, total: int) -> None:
        seen.append(done)
        if len(seen) == 3:
            raise StoppedError

    flip(sorted((home / "books").glob("*.pdf"))[0], random.Random(1))
    with pytest.raises(StoppedError):
        check_library(home, stop)
    under_way = read_state(home)
    assert under_way.last is None
    assert under_way.files == 3
    assert len(under_way.damage) == 1
    assert "Damaged: 1" in look_at_damage(home, datetime.now(UTC)).seen
    ended = check_library(home).last
    assert ended
    assert ended.damage == under_way.damage
    assert ended.files == check_library(home).last.files  # type: ignore[union-attr]


def test_a_book_that_is_removed_meanwhile_is_no_damage(home: Path) -> None:
    with closing(Catalog(home / CATALOG)) as catalog:
        gone = catalog.book_ids()[-1]

        def remove(done: int, total: int) -> None:
            if catalog.has_book(gone):
                catalog.remove_book(gone, "a" * 24)
                for end in ("pdf", "json"):
                    (home / "books" / f"{gone}.{end}").unlink()

        last = check_library(home, remove).last
    assert last
    assert last.damage == ()


def test_a_file_that_is_gone_is_named_with_its_title(home: Path) -> None:
    path = sorted((home / "books").glob("*.pdf"))[0]
    path.unlink()
    last = check_library(home).last
    assert last
    (damage,) = last.damage
    assert damage.file == f"books/{path.name}"
    assert damage.title.startswith("Title ")


@pytest.mark.parametrize("empty", [True, False])
def test_a_store_that_is_lost_lacks_all_vectors(home: Path, *, empty: bool) -> None:
    for path in home.glob("embeddings.sqlite3*"):
        path.unlink()
    if empty:
        (home / "embeddings.sqlite3").touch()
    last = check_library(home).last
    assert last
    assert {(d.file, d.title) for d in last.damage} == {
        ("embeddings.sqlite3", f"Title {n}") for n in range(4)
    }


def test_a_pipe_where_a_book_was_is_not_waited_for(home: Path) -> None:
    path = min((home / "books").glob("*.pdf"))
    path.unlink()
    os.mkfifo(path)
    os.mkfifo(home / "books" / f"{'0' * 64}.pdf")
    assert _damaged(home) == {f"books/{path.name}"}


def test_what_is_kept_of_a_check_may_be_damaged_itself(home: Path) -> None:
    check_library(home)
    kept = home / "check.json"
    kept.write_text(kept.read_text().replace("+00:00", ""))
    assert look_at_damage(home, datetime.now(UTC)).state == "ok"


def test_one_at_a_time(home: Path) -> None:
    with file_lock(home / "check.lock"), pytest.raises(BusyError):
        check_library(home)


def test_what_is_said_of_the_last_check(home: Path) -> None:
    now = datetime.now(UTC)
    assert look_at_damage(home, now).state == "ok"
    check_library(home)
    assert look_at_damage(home, now).seen.startswith("no damage at ")
    late = look_at_damage(home, now + timedelta(weeks=3, days=1))
    assert late.state == "warn"
    flip(sorted((home / "books").glob("*.pdf"))[0], random.Random(1))
    check_library(home)
    damaged = look_at_damage(home, now)
    assert (damaged.state, "--repair" in damaged.remedy) == ("warn", True)
