"""Copies of the databases as they are before an upgrade, in a folder of the library."""

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bookbrain.durable import PART, file_lock, remove, sync_file, sync_folder
from bookbrain.errors import BookBrainError, BusyError
from bookbrain.index.database import copy_database
from bookbrain.index.embeddings import STORE
from bookbrain.wording import fill

KEPT = ".before-upgrade"  # in the library's folder, whole or not there
CATALOG = "catalog.sqlite3"
DATABASES = (CATALOG, STORE)

_LOCK_SECONDS = 600.0


def keep(home: Path) -> None:
    """Copy both databases, and the notes beside the books, to `KEPT` in the library at `home`.

    Raises BusyError while somebody writes to the library for longer than ten minutes.
    """
    kept = home / KEPT
    part = kept.with_name(kept.name + PART)
    with library_lock(home):
        remove(kept)
        remove(part)
        part.mkdir(mode=0o700)
        for name in DATABASES:
            if is_file(home / name):
                _copy_database(home / name, part / name)
        for note in notes(home):
            target = part / note.relative_to(home)
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(note, target, follow_symlinks=False)
        _sync_tree(part)
        part.rename(kept)
        sync_folder(home)


def forget(home: Path) -> None:
    """Remove the copies."""
    remove(home / KEPT)


@contextmanager
def library_lock(home: Path) -> Iterator[None]:
    """Be the one who writes to the library."""
    try:
        with file_lock(home / "library.lock", seconds=_LOCK_SECONDS):
            yield
    except TimeoutError as error:
        raise BusyError(
            "Another bookbrain has been writing to the library for too long.",
            "Run this again when it has ended.",
        ) from error


def notes(folder: Path) -> list[Path]:
    """The JSON files beside the books, and that of the keyword index, below `folder`.

    A generation of the keyword index is none of them: it is made again from the catalog.
    """
    found = [*(folder / "books").glob("*.json"), folder / "keywords" / "library.json"]
    return sorted(path for path in found if is_file(path))


def is_file(path: Path) -> bool:
    """Whether there is something at `path`; raises BookBrainError where that is no plain file."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(mode):
        raise BookBrainError(
            fill("{path} is no file.", path=path), "Move it away, then run this again."
        )
    return True


def _copy_database(source: Path, target: Path) -> None:
    try:
        copy_database(source, target)
    except sqlite3.DatabaseError:
        # It is damaged: the release of now cannot read it either, but it is not to get worse.
        for end in ("", "-wal"):
            remove(Path(f"{target}{end}"))
            if is_file(Path(f"{source}{end}")):
                shutil.copyfile(f"{source}{end}", f"{target}{end}", follow_symlinks=False)


def _sync_tree(top: Path) -> None:
    for folder, _, names in os.walk(top):
        for name in names:
            sync_file(Path(folder, name))
        sync_folder(Path(folder))
