"""`bookbrain-admin check`: damage is found, named and mended, on a library with real books."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.chroma_server import ChromaServer
from support.flips import DATABASES, Dump, dump, flip, says_the_same
from support.openai_process import OpenAIProcess
from support.shelf import Shelf

from bookbrain.store.damage import read_state

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, _stand_in: OpenAIProcess, chroma: ChromaServer,
    english: list[Path],
) -> Iterator[Shelf]:  # fmt: skip
    """Three books that are embedded, one of them renamed by hand, and one good backup."""
    with Shelf(
        tmp_path_factory.mktemp("check") / "library", _stand_in, CHROMA_URL=chroma.url,
        BOOKBRAIN_EMBEDDING_DIMENSIONS="61",
    ) as shelf:  # fmt: skip
        shelf.run("add", *english)
        shelf.run("rename", english[0].name, "A title given by hand")
        shelf.run("books")
        shelf.admin("backup")
        yield shelf


@pytest.fixture
def copy(whole: Shelf, tmp_path: Path) -> Shelf:
    """A copy of it that may be damaged."""
    home = tmp_path / "library"
    shutil.copytree(whole.home, home)
    made = Shelf(home)
    made.env = whole.env | {"BOOKBRAIN_HOME": str(home), "HOME": str(tmp_path)}
    return made


def _rows(home: Path) -> list[Dump]:
    return [dump(home / name, counters=False) for name in DATABASES]


def _differing(home: Path, before: list[Dump]) -> set[str]:
    """The tables whose rows are not what they were."""
    return {
        table
        for now, then in zip(_rows(home), before, strict=True)
        for table in now.keys() | then.keys()
        if now.get(table) != then.get(table)
    }


def _remove_backups(home: Path) -> None:
    shutil.rmtree(home / "backups")


def test_a_sound_library_has_no_damage(copy: Shelf) -> None:
    assert "All are as they were written." in copy.admin("check").out
    assert read_state(copy.home).known == ()


@pytest.mark.parametrize("seed", range(6))
def test_with_a_backup_every_row_and_byte_comes_back(copy: Shelf, seed: int) -> None:
    before, bits = _rows(copy.home), random.Random(seed)
    books = sorted((copy.home / "books").glob("*.pdf"))
    files = {path: path.read_bytes() for path in books}
    rows = {name: dump(copy.home / name) for name in DATABASES}
    flip(bits.choice(books), bits)
    for name in DATABASES:
        path = copy.home / name
        while says_the_same(path, rows[name]):
            flip(path, bits)
    found = copy.admin("check", code=1).err
    for name in DATABASES:
        assert name in found
    done = copy.admin("check", "--repair", "--yes")
    assert "All are as they were written." in done.out
    assert _differing(copy.home, before) == set()
    assert {path: path.read_bytes() for path in books} == files
    copy.run("books")
    assert "no damage" in copy_health(copy)


def copy_health(shelf: Shelf) -> str:
    checks = json.loads(shelf.admin("health", "--json", code=0).out)
    return json.dumps(checks)


def test_without_a_backup_the_catalog_comes_from_files_and_cards(copy: Shelf) -> None:
    _remove_backups(copy.home)
    before, bits = _rows(copy.home), random.Random(3)
    path = copy.home / "catalog.sqlite3"
    for at in range(4096, path.stat().st_size, 4096):  # each page: nothing is to be had from it
        flip(path, bits, at)
    copy.admin("check", code=1)
    done = copy.admin("check", "--repair", "--yes")
    assert "The damaged database is kept" in done.err
    assert _differing(copy.home, before) <= {
        "setting"
    }  # the keyword index may be of other segments


def test_vectors_without_a_backup_are_bought_again(copy: Shelf, openai: OpenAIProcess) -> None:
    _remove_backups(copy.home)
    path, bits = copy.home / "embeddings.sqlite3", random.Random(5)
    rows = dump(path)
    passages = {digest for _, _, digest, _ in dump(copy.home / "catalog.sqlite3")["passage"]}
    vector = next(v for _, digest, v in rows["embedding"] if digest in passages)
    flip(path, bits, path.read_bytes().index(vector) + 9)
    copy.admin("check", code=1)
    done = copy.admin("check", "--repair", "--yes")
    assert "Embeddings to buy again" in done.out
    assert "All are as they were written." in done.out
    assert len(dump(path)["embedding"]) == len(rows["embedding"])


def _lost(home: Path) -> None:
    for path in home.glob("embeddings.sqlite3*"):
        path.unlink()


def _emptied(home: Path) -> None:
    _lost(home)
    (home / "embeddings.sqlite3").touch()


def _without_rows(home: Path) -> None:
    with closing(sqlite3.connect(home / "embeddings.sqlite3")) as db, db:
        db.execute("DELETE FROM embedding")
        db.execute("DELETE FROM checksum")


@pytest.mark.parametrize("lose", [_lost, _emptied, _without_rows])
@pytest.mark.parametrize("way", ["backup", "embed"])
def test_vectors_that_are_lost_come_back(
    copy: Shelf, openai: OpenAIProcess, lose: Callable[[Path], None], way: str
) -> None:
    rows = dump(copy.home / "embeddings.sqlite3")["embedding"]
    lose(copy.home)
    if way == "backup":
        assert "passages without their vector" in copy.admin("check", code=1).err
        done = copy.admin("check", "--repair", "--yes")
        assert "All are as they were written." in done.out
        assert not openai.bought
    else:
        copy.run("rebuild")
        assert "not embedded" in copy_health(copy)
        copy.run("embed", "--yes")
        assert openai.bought
    assert len(dump(copy.home / "embeddings.sqlite3")["embedding"]) == len(rows)
    copy.admin("check")


def test_killed_at_any_instant_it_can_be_run_again(copy: Shelf) -> None:
    before, bits = _rows(copy.home), random.Random(11)
    for name in DATABASES:
        for at in range(8192, (copy.home / name).stat().st_size, 12288):
            flip(copy.home / name, bits, at)
    for tenths in range(4, 30, 3):
        process = copy.start_admin("check", "--repair", "--yes")
        try:
            process.communicate(timeout=tenths / 10)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
    copy.admin("check", "--repair", "--yes")
    assert _differing(copy.home, before) == set()


def test_a_lost_catalog_is_told_and_left_to_recover(copy: Shelf) -> None:
    for path in copy.home.glob("catalog.sqlite3*"):
        path.unlink()
    assert "The catalog is gone." in copy.admin("check", code=1).err
    done = copy.admin("check", "--repair", code=78)
    assert "bookbrain recover" in done.err
    assert not (copy.home / "catalog.sqlite3").exists()


def test_what_a_killed_repair_left_goes_with_the_next_one(copy: Shelf) -> None:
    left = copy.home / ".restoring" / "0"
    left.mkdir(parents=True)
    copy.admin("check", "--repair", "--yes")
    assert not left.parent.exists()
