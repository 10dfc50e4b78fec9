"""Books that an older catalog does not know go into the inbox, to be added again."""

import errno
import hashlib
import os
import shutil
import stat
from itertools import count
from pathlib import Path

from bookbrain.durable import PART, sync_file, sync_folder

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
