"""The way back to the databases of before, which loses nothing that came meanwhile.

Where the older release can read the databases of now, they stay. Otherwise the copies take their
place: what is in them is made ready beside them first, and the renames that put it there come last,
the catalog's after the embeddings'. Killed at any instant, the same call again ends the work.
"""

import errno
import hashlib
import os
import shutil
import sqlite3
import stat
from collections.abc import Sequence
from contextlib import closing
from itertools import count
from pathlib import Path

from bookbrain.errors import BusyError
from bookbrain.files import PART, remove, sync_file, sync_folder, write_file
from bookbrain.messages import fill
from bookbrain.store.database import open_existing, remove_database
from bookbrain.store.embeddings import STORE
from bookbrain.upgrade.kept import (
    CATALOG,
    KEPT,
    Changes,
    apply_changes,
    changes_between,
    is_file,
    library_lock,
    notes,
    take_stamp_back,
    take_vectors,
    version_of,
)

_LONGEST_NAME = 255  # bytes


def put_into_inbox(home: Path, book_id: str, file: str) -> Path:
    """Give the PDF of a book a name in the inbox: `file`, or one like it that is free; its path.

    Done twice it is there once. Whoever may change the inbox cannot lead this elsewhere.
    """
    inbox = home / "inbox"
    inbox.mkdir(exist_ok=True, mode=0o2770)
    source = home / "books" / f"{book_id}.pdf"
    folder = os.open(inbox, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for number in count(1):
            name = _numbered(_name(file, book_id), number)
            if _has(folder, name, book_id) or _place(source, folder, name):
                os.fsync(folder)
                return inbox / name
    finally:
        os.close(folder)
    raise AssertionError("there is always another number")


def _place(source: Path, folder: int, name: str) -> bool:
    """Whether the file has the name now; no other one is replaced."""
    try:
        os.link(source, name, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
            raise
        return _place_copy(source, folder, name)
    return True


def _place_copy(source: Path, folder: int, name: str) -> bool:
    """The same where the inbox is on another disk."""
    part = f".upload-{source.stem}{PART}"  # hidden, as what a browser sends
    with_parent = Path(f"/proc/self/fd/{folder}")
    (with_parent / part).unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with source.open("rb") as given, open(os.open(part, flags, 0o640, dir_fd=folder), "wb") as copy:
        shutil.copyfileobj(given, copy)
    sync_file(with_parent / part)
    try:
        os.link(part, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        return False
    finally:
        os.unlink(part, dir_fd=folder)
    sync_folder(with_parent)
    return True


def _has(folder: int, name: str, book_id: str) -> bool:
    """Whether the file of this name is the book: an id is the SHA-256 of its file."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, dir_fd=folder)
    except OSError:
        return False
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return False
        return hashlib.file_digest(file, "sha256").hexdigest() == book_id


def _name(file: str, book_id: str) -> str:
    """The name that the owner gave, where it is one that the inbox takes."""
    name = Path(file).name
    if name.startswith(".") or not name.lower().endswith(".pdf") or "\0" in name:
        return f"{book_id}.pdf"
    return name


def _numbered(name: str, number: int) -> str:
    end = "" if number == 1 else f" ({number})"
    stem = os.fsencode(name[:-4])[: _LONGEST_NAME - len(end) - 4]
    return stem.decode(errors="ignore") + end + name[-4:]


_READY = "ready.sqlite3"
_REPORT = "report"  # survives a power cut after the renames
_MOST_NAMED = 10  # books


def put_back(home: Path) -> list[str]:
    """Make the library at `home` one that the release of before can use; what became of what.

    Raises BusyError while another process has a database open, OSError when there is no room: as
    much as is done then stays right, and the next call goes on.
    """
    kept = home / KEPT
    if not kept.is_dir():
        return [fill("The copies of the databases are gone: those of now stay.")]
    with library_lock(home):
        _put_embeddings_back(home, kept)
        _put_catalog_back(home, kept)
    report = kept / _REPORT
    return report.read_text(encoding="utf-8").splitlines() if is_file(report) else []


def _put_embeddings_back(home: Path, kept: Path) -> None:
    live, copy = home / STORE, kept / STORE
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
    _say(kept, said)
    _swap(ready, live)


def _put_catalog_back(home: Path, kept: Path) -> None:
    live, copy = home / CATALOG, kept / CATALOG
    older, version = version_of(copy), version_of(live)
    if version == older or (older is None and is_file(copy)):
        return
    if version is not None:
        _settle(live)
    changes = changes_between(
        copy if older is not None else None, live if version is not None else None, home / "books"
    )
    ready = _copied(copy, kept) if older is not None else None
    if ready and changes:
        apply_changes(ready, changes)
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
    for number in count(1):
        target = live.with_name(f"{live.name}.newer" + (f"-{number}" if number > 1 else ""))
        try:
            os.link(live, target, follow_symlinks=False)
        except FileExistsError:
            if not target.is_symlink() and target.samefile(live):
                return target
            continue
        sync_folder(live.parent)
        return target
    raise AssertionError("there is always another number")


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
    live, copy = home / STORE, kept / STORE
    if (version := version_of(copy)) is not None and version == version_of(live):
        take_stamp_back(live, copy)


def _say(kept: Path, said: Sequence[str]) -> None:
    """Add to the report; a line that is there already is not added twice."""
    report = kept / _REPORT
    before = report.read_text(encoding="utf-8").splitlines() if is_file(report) else []
    if new := [line for line in said if line not in before]:
        write_file(report, "".join(f"{line}\n" for line in (*before, *new)).encode())


def _changed(changes: Changes) -> list[str]:
    said: list[str] = []
    if changes.went:
        said.append(
            fill(
                "Books that were removed meanwhile stay removed: {number}.",
                number=len(changes.went),
            )
        )
    if changes.titles:
        said.append(
            fill(
                "Titles that were changed meanwhile are kept: {number}.", number=len(changes.titles)
            )
        )
    return said


def _arrived(files: Sequence[Path]) -> list[str]:
    named: list[str] = [
        fill("This book came meanwhile and is added again: {path}", path=path)
        for path in files[:_MOST_NAMED]
    ]
    if len(files) > _MOST_NAMED:
        left = len(files) - _MOST_NAMED
        named.append(
            fill(
                "Other books in the inbox that came meanwhile and are added again: {number}.",
                number=left,
            )
        )
    return named
