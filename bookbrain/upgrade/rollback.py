"""The way back to the databases of before an upgrade, which loses nothing that came meanwhile.

Where the older release can read the databases of now, they stay. Otherwise the copies take their
place: what is in them is made ready beside them first, and the renames that put it there come last,
the catalog's after the embeddings'. Killed at any instant, the same call again ends the work.
"""

import errno
import json
import os
import re
import shutil
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bookbrain.errors import BookBrainError, BusyError
from bookbrain.files import (
    PART,
    file_lock,
    free_name,
    name_file,
    remove,
    sync_file,
    sync_folder,
    write_file,
)
from bookbrain.messages import fill
from bookbrain.paths import CATALOG, DATABASES, PDF, STAMP_FILE, STORE, LibraryPaths
from bookbrain.store.catalog import count_change
from bookbrain.store.checksums import seal_rest
from bookbrain.store.database import (
    columns_of,
    copy_database,
    open_existing,
    remove_database,
    transaction,
)

_LOCK_SECONDS = 600.0


def keep(home: Path) -> None:
    """Copy both databases of the library at `home`, and the notes beside the books, in it.

    Raises BusyError while somebody writes to the library for longer than ten minutes.
    """
    kept = LibraryPaths(home).before_upgrade
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
    remove(LibraryPaths(home).before_upgrade)


@contextmanager
def library_lock(home: Path) -> Iterator[None]:
    """Be the one who writes to the library."""
    try:
        with file_lock(LibraryPaths(home).library_lock, seconds=_LOCK_SECONDS):
            yield
    except TimeoutError as error:
        raise BusyError(
            "Another bookbrain has been writing to the library for too long.",
            "Run this again when it has ended.",
        ) from error


def notes(folder: Path) -> list[Path]:
    """The JSON files beside the books, and that of the keyword index, below `folder`.

    A commit of the keyword index is none of them: it is made again from the catalog.
    """
    paths = LibraryPaths(folder)
    found = [*paths.books.glob("*.json"), paths.keywords / STAMP_FILE]
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


_PDF = re.compile(rf"([0-9a-f]{{64}}){re.escape(PDF)}")
_JOBS = "SELECT path, waiting FROM {}.job ORDER BY id"


@dataclass(frozen=True, slots=True)
class Changes:
    """`came` are the PDFs that the older catalog does not know, by id, with their file names.

    `went` counts the books that were removed, `renamed` those with another title; `others` is 0
    where all else is as it was.
    """

    came: tuple[tuple[str, str], ...]
    went: int = 0
    renamed: int = 0
    others: int = 0

    def __bool__(self) -> bool:
        return self != Changes(())


def version_of(database: Path) -> int | None:
    """The schema's; None where there is no database, or one that cannot be read."""
    if not is_file(database):
        return None
    try:
        with closing(open_existing(database)) as db:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return int(db.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.DatabaseError:
        return None


def take_changes(older: Path | None, newer: Path | None, books: Path) -> Changes:
    """Make in the older catalog what was changed since in the newer one; what that is.

    Only the books that came, by the PDFs in `books`, are not in it: these are to be added again.
    Without `older` the library was empty; without `newer` only the PDFs say what is there.
    """
    files = _pdfs(books)
    names = dict(_rows(newer, "SELECT id, file FROM book"))
    known = {book_id for (book_id,) in _rows(older, "SELECT id FROM book")}
    came = tuple((book_id, names.get(book_id, f"{book_id}{PDF}")) for book_id in files - known)
    changes = Changes(tuple(sorted(came)), others=len(_rows(newer, _JOBS.format("main"))))
    if older is None:
        return changes
    with closing(open_existing(older)) as db:
        db.execute("PRAGMA foreign_keys=ON")
        if newer is not None:
            db.execute("ATTACH DATABASE ? AS newer", (str(newer),))
        with transaction(db):
            if newer is not None:
                changes = Changes(changes.came, *_take(db, files))
            if changes and columns_of(db, "seal"):
                seal_rest(db, [row[0] for row in db.execute("SELECT id FROM book")])
                count_change(db)
    return changes


def _take(db: sqlite3.Connection, files: set[str]) -> tuple[int, int, int]:
    """Change an older catalog, to which the newer one is attached: as `Changes` counts it."""
    went = db.execute(
        "DELETE FROM main.book WHERE id NOT IN (SELECT id FROM newer.book) "
        "AND id NOT IN (SELECT value FROM json_each(?))",
        (json.dumps([*files]),),
    ).rowcount
    renamed = db.execute(
        "UPDATE main.book SET title = now.title FROM newer.book AS now "
        "WHERE now.id = book.id AND now.title <> book.title"
    ).rowcount
    before, jobs = (db.execute(_JOBS.format(name)).fetchall() for name in ("main", "newer"))
    others = int(jobs != before)
    if others:
        db.execute("DELETE FROM main.job")
        db.executemany("INSERT INTO main.job (path, waiting) VALUES (?, ?)", jobs)
    same = "SELECT id FROM main.book"
    if columns_of(db, "seal"):  # of another text nothing is embedded here
        same += (
            " EXCEPT SELECT book_id FROM main.seal AS old LEFT JOIN newer.seal AS now "
            "USING (book_id) WHERE now.pages IS NOT old.pages"
        )
    for table, columns in (
        ("embedded", "book_id, space"), ("refused", "book_id, space, ordinal, reason"),
    ):  # fmt: skip
        others += db.execute(
            f"REPLACE INTO main.{table} ({columns}) "  # noqa: S608  (words of ours)
            f"SELECT {columns} FROM newer.{table} WHERE book_id IN ({same}) "
            f"EXCEPT SELECT {columns} FROM main.{table}"
        ).rowcount
    return went, renamed, others


def _rows(catalog: Path | None, query: str) -> list[Any]:
    """What is asked of it; nothing without one."""
    if catalog is None:
        return []
    with closing(open_existing(catalog)) as db:
        return db.execute(query).fetchall()


def take_vectors(older: Path, newer: Path) -> int:
    """Copy what was bought since from one embedding store into another; how many vectors."""
    with closing(open_existing(older)) as db:
        db.execute("ATTACH DATABASE ? AS newer", (str(newer),))
        with transaction(db):
            db.execute(
                "INSERT OR IGNORE INTO model (name, dimensions) "
                "SELECT name, dimensions FROM newer.model"
            )
            taken = db.execute(
                "INSERT OR IGNORE INTO embedding (space, digest, vector) "
                "SELECT space, digest, vector FROM newer.embedding"
            ).rowcount
            if columns_of(db, "checksum"):
                db.execute("INSERT OR IGNORE INTO checksum SELECT * FROM newer.checksum")
            if columns_of(db, "recognised"):
                db.execute("INSERT OR IGNORE INTO recognised SELECT * FROM newer.recognised")
            return taken


def lacks_readings(older: Path, newer: Path) -> bool:
    """Whether the older store has no place for the recognised pages of the newer one."""
    with closing(open_existing(older)) as db:
        if columns_of(db, "recognised"):
            return False
    with closing(open_existing(newer)) as db:
        there = columns_of(db, "recognised")
        return bool(there and db.execute("SELECT 1 FROM recognised LIMIT 1").fetchone())


def take_stamp_back(newer: Path, older: Path) -> None:
    """Have an embedding store say of its library what one of the same version said before."""
    with closing(open_existing(newer)) as db:
        if not columns_of(db, "library"):
            return
        db.execute("ATTACH DATABASE ? AS older", (str(older),))
        with transaction(db):
            db.execute("DELETE FROM main.library")
            db.execute("INSERT INTO main.library SELECT * FROM older.library")


def _pdfs(books: Path) -> set[str]:
    """The ids of the PDFs in the library's folder of books."""
    found = books.iterdir() if books.is_dir() else ()
    return {name[1] for path in found if (name := _PDF.fullmatch(path.name)) and is_file(path)}


def put_into_inbox(home: Path, book_id: str, file: str) -> Path:
    """Give the PDF of a book a name in the inbox: `file`, or one like it that is free; its path.

    Done twice it is there once. Whoever may change the inbox cannot lead this elsewhere.
    """
    inbox, name = LibraryPaths(home).inbox, _name(file, book_id)
    inbox.mkdir(exist_ok=True, mode=0o2770)
    with LibraryPaths(home).book_file(book_id).open("rb") as book:
        try:
            return name_file(book, inbox, name)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
                raise
        part = inbox / f".upload-{book_id}{PART}"  # hidden, as what a browser sends
        part.unlink(missing_ok=True)
        try:
            with part.open("xb") as copy:
                shutil.copyfileobj(book, copy)
                return name_file(copy, inbox, name)
        finally:
            part.unlink(missing_ok=True)


def _name(file: str, book_id: str) -> str:
    """The name that the owner gave, where it is one that the inbox takes."""
    name = Path(file).name
    if name.startswith(".") or not name.lower().endswith(PDF) or "\0" in name:
        return f"{book_id}{PDF}"
    return name


_READY = "ready.sqlite3"
_REPORT = "report"  # survives a power cut after the renames
_MOST_NAMED = 10  # books


def put_back(home: Path) -> list[str]:
    """Make the library at `home` one that the release of before can use; what became of what.

    Raises BusyError while another process has a database open, OSError when there is no room: as
    much as is done then stays right, and the next call goes on.
    """
    kept = LibraryPaths(home).before_upgrade
    if not kept.is_dir():
        return [fill("The copies of the databases are gone: those of now stay.")]
    with library_lock(home):
        _put_embeddings_back(home, kept)
        _put_catalog_back(home, kept)
    report = kept / _REPORT
    return report.read_text(encoding="utf-8").splitlines() if is_file(report) else []


def _put_embeddings_back(home: Path, kept: Path) -> None:
    live, copy = LibraryPaths(home).embeddings, kept / STORE
    version = version_of(live)
    if not is_file(copy) and is_file(live):
        _say(kept, [fill("The newer embeddings are kept: {path}", path=_keep_newer(live))])
        remove(live)
    if not is_file(copy) or version_of(copy) in (version, None):
        return
    ready = _copied(copy, kept)
    said = []
    if version is None:
        said = _set_damaged_aside(live)
    else:
        _settle(live)
        if taken := take_vectors(ready, live):
            said = [fill("Embeddings that came meanwhile are kept: {number}.", number=taken)]
        if lacks_readings(ready, live):
            newer = _keep_newer(live)
            said.append(fill("Pages recognised meanwhile are kept: {path}", path=newer))
    _say(kept, said)
    _swap(ready, live)


def _put_catalog_back(home: Path, kept: Path) -> None:
    live, copy = LibraryPaths(home).catalog, kept / CATALOG
    older, version = version_of(copy), version_of(live)
    if version == older or (older is None and is_file(copy)):
        return
    if version is not None:
        _settle(live)
    ready = _copied(copy, kept) if older is not None else None
    changes = take_changes(ready, live if version is not None else None, LibraryPaths(home).books)
    said = _changed(changes)
    said += _arrived([put_into_inbox(home, *book) for book in changes.came])
    if version is None:
        said += _set_damaged_aside(live)
    elif changes:
        said.append(fill("The newer catalog is kept: {path}", path=_keep_newer(live)))
    _say(kept, said)
    _put_notes_back(home, kept)
    if ready:
        _swap(ready, live)
    else:
        remove(live)


def _copied(copy: Path, kept: Path) -> Path:
    """A copy that may be changed; the one of before stays for another try."""
    ready = kept / _READY
    remove_database(ready)
    shutil.copyfile(copy, ready, follow_symlinks=False)
    ready.chmod(0o600)
    return ready


def _settle(live: Path) -> None:
    """Bring the log of a database into its file, so that this file is all of it."""
    try:
        with closing(open_existing(live)) as db:
            (mode,) = db.execute("PRAGMA journal_mode=DELETE").fetchone()
    except sqlite3.OperationalError as error:
        raise _in_use(live) from error
    if mode != "delete":
        raise _in_use(live)


def _in_use(live: Path) -> BusyError:
    return BusyError(
        fill("{path} is open in another process.", path=live), "End that, then run this again."
    )


def _keep_newer(live: Path) -> Path:
    """Another name for the database, which stays when the older one takes its place."""
    for known in live.parent.glob(f"{live.name}.newer*"):
        if not known.is_symlink() and known.samefile(live):
            return known
    target = free_name(live, ".newer")
    os.link(live, target, follow_symlinks=False)
    sync_folder(live.parent)
    return target


def _set_damaged_aside(live: Path) -> list[str]:
    """Both names of what cannot be read are kept: its log may hold what its file does not."""
    if not is_file(live):
        return []
    target = _keep_newer(live)
    for end in ("-wal", "-shm"):
        if is_file(Path(f"{live}{end}")):
            Path(f"{live}{end}").replace(f"{target}{end}")
    return [fill("The damaged database is kept: {path}", path=target)]


def _swap(ready: Path, live: Path) -> None:
    sync_file(ready)
    for end in ("-wal", "-shm"):
        remove(Path(f"{live}{end}"))  # empty: it was settled, or set aside
    ready.replace(live)
    sync_folder(live.parent)


def _put_notes_back(home: Path, kept: Path) -> None:
    """What says of which catalog the books are becomes that of the older one again."""
    before = {note.relative_to(kept): note.read_bytes() for note in notes(kept)}
    for note in notes(home):
        if note.relative_to(home) not in before:
            note.unlink()
    for name, data in before.items():
        if (home / name).parent.is_dir():
            write_file(home / name, data)
    live, copy = LibraryPaths(home).embeddings, kept / STORE
    if (version := version_of(copy)) is not None and version == version_of(live):
        take_stamp_back(live, copy)


def _say(kept: Path, said: Sequence[str]) -> None:
    """Add to the report; a line that is there already is not added twice."""
    report = kept / _REPORT
    before = report.read_text(encoding="utf-8").splitlines() if is_file(report) else []
    if new := [line for line in said if line not in before]:
        write_file(report, "".join(f"{line}\n" for line in (*before, *new)).encode())


def _changed(changes: Changes) -> list[str]:
    went = fill("Books that were removed meanwhile stay removed: {number}.", number=changes.went)
    renamed = fill("Titles that were changed meanwhile are kept: {number}.", number=changes.renamed)
    counts = ((went, changes.went), (renamed, changes.renamed))
    return [line for line, number in counts if number]


def _arrived(files: Sequence[Path]) -> list[str]:
    named: list[str] = [
        fill("This book came meanwhile and is added again: {path}", path=path)
        for path in files[:_MOST_NAMED]
    ]
    others = fill(
        "Other books in the inbox that came meanwhile and are added again: {number}.",
        number=len(files) - _MOST_NAMED,
    )
    return [*named, others] if len(files) > _MOST_NAMED else named
