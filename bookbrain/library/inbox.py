"""What lies in the inbox, and whether it is whole or still on its way."""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bookbrain.errors import InputError
from bookbrain.files import PART, Entry, folder_of, open_below, open_in, walk
from bookbrain.formats.format import FORMAT, is_named_as_book
from bookbrain.messages import bilingual
from bookbrain.paths import REJECTED

_REASON = ".reason.txt"
_MOST_OF_REASON = 16_000  # bytes
_UNFINISHED = (".part", ".tmp", ".filepart", ".crdownload")
_START, _TAIL = 1024, 64 * 1024  # bytes; where a PDF says that it is one, and that it has ended


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: a file must rest for `settle`; one without a PDF's end is waited for until nothing
    was written to it for `upload`, or for `stray` when it does not begin like a PDF, and so is
    looked at again after `look`. An empty folder goes after `folder`.
    """

    settle: float = 2.0
    stray: float = 8.0
    upload: float = 60.0
    look: float = 3.0
    folder: float = 5.0


@dataclass(frozen=True, slots=True)
class Look:
    """What a file was like, and since when (time.monotonic) it has been like that."""

    size: int
    changed_ns: int
    inode: int
    mode: int
    since: float

    def is_like(self, other: "Look") -> bool:
        """Whether nothing was written between the two looks."""
        return (self.size, self.changed_ns, self.inode) == (
            other.size, other.changed_ns, other.inode
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rejection:
    """A file that could not be added."""

    file: str
    reason: str
    hint: str


def arrivals(inbox: Path) -> list[Path]:
    """The files that are to be added, by name: all at the top, PDFs in the folders below.

    Hidden ones and those that an upload calls unfinished are left out; `rejected` is too. Links are
    among them, and whatever else is no folder.
    """
    return [
        entry.path
        for entry in _entries(inbox)
        if not entry.is_folder
        and not entry.name.startswith(".") and not entry.name.lower().endswith(_UNFINISHED)
        and (entry.path.parent == inbox or is_named_as_book(entry.name))
    ]  # fmt: skip


def empty_folders(inbox: Path) -> list[Path]:
    """The folders below the inbox with nothing in them."""
    found = _entries(inbox)
    return [entry.path for entry in found if entry.is_folder and not (entry.entries or entry.error)]


def _entries(inbox: Path) -> Iterator[Entry]:
    def enter(folder: Path) -> bool:
        return not folder.name.startswith(".") and folder != inbox / REJECTED

    with suppress(OSError):
        yield from walk(inbox, enter=enter)


def look_at(inbox: Path, path: Path, before: Look | None = None) -> Look | None:
    """A look at the file, which no link is followed to; None when it is gone."""
    try:
        with folder_of(inbox, path) as folder:
            found = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    now = time.monotonic()
    look = Look(found.st_size, found.st_mtime_ns, found.st_ino, found.st_mode, now)
    return before if before and before.is_like(look) else look


def is_whole(inbox: Path, path: Path, look: Look, patience: Patience) -> bool:
    """Whether nobody writes to the file any more; InputError when it cannot be read."""
    resting = time.monotonic() - look.since
    if resting < patience.settle:
        return False
    if not stat.S_ISREG(look.mode):
        return True
    with open_below(inbox, path) as file:
        start = file.read(_START)
        file.seek(max(0, look.size - _TAIL))
        tail = file.read(_TAIL)
    unchanged = max(resting, time.time() - look.changed_ns / 1e9)
    enough = patience.upload if FORMAT.begins(start) else patience.stray
    return unchanged >= enough or _has_ended(start, tail, look.size)


def _has_ended(start: bytes, tail: bytes, size: int) -> bool:
    """Whether there is nothing to wait for: the end of a book, or what can become none."""
    if not FORMAT.begins(start):
        return len(start) == _START and start.strip(b"\0") != b""
    return FORMAT.has_ended(start, tail, size)


def reason_file(rejected: Path) -> Path:
    """Where the reason stands why this file was rejected: beside it."""
    name = os.fsencode(rejected.name)[: 255 - len(_REASON) - len(".part")]
    return rejected.with_name(name.decode(errors="ignore") + _REASON)


def reject(inbox: Path, path: Path, reason: str) -> None:
    """Move a file of the inbox to `rejected`, with its reason beside it; OSError when it stays."""
    target = inbox / REJECTED / path.relative_to(inbox).as_posix().encode(errors="replace").decode()
    beside = reason_file(target).name
    with folder_of(inbox, path) as source, folder_of(inbox, target, make=True) as folder:
        part = beside + PART
        with suppress(FileNotFoundError):
            os.unlink(part, dir_fd=folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(part, flags, 0o640, dir_fd=folder), "wb") as file:
            file.write(reason.encode(errors="replace"))
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, beside, src_dir_fd=folder, dst_dir_fd=folder)
        os.replace(path.name, target.name, src_dir_fd=source, dst_dir_fd=folder)
        os.fsync(folder)


def rejections(inbox: Path) -> list[Rejection]:
    """The files that could not be added, by name, with what is known of the reason."""
    top = inbox / REJECTED
    reasons: dict[Path, tuple[str, str]] = {}
    files: list[Path] = []
    with suppress(OSError):  # none there, or a link, which is no folder of ours
        for entry in walk(top, follow=False):
            if not entry.is_folder:
                files.append(entry.path)
                if entry.name.endswith(_REASON):
                    reasons[entry.path] = _reason(entry)
    beside = {reason_file(path) for path in files}
    return [
        Rejection(str(path.relative_to(top)), *reasons.get(reason_file(path), ("", "")))
        for path in sorted(files)
        if path not in beside
    ]


def dismiss(inbox: Path, rejection: Rejection) -> None:
    """Delete a rejected file and its reason; one that is gone is fine, OSError when it stays."""
    if rejection.file in {other.file for other in rejections(inbox)}:
        path = inbox / REJECTED / rejection.file
        for name in (path.name, reason_file(path).name):
            with suppress(FileNotFoundError), folder_of(inbox, path) as folder:
                os.unlink(name, dir_fd=folder)


def take_out(inbox: Path, path: Path) -> None:
    """Remove a file from the inbox; one that is gone is fine."""
    with suppress(FileNotFoundError), folder_of(inbox, path) as folder:
        os.unlink(path.name, dir_fd=folder)


def _reason(entry: Entry) -> tuple[str, str]:
    try:
        with open_in(entry.folder, entry.name) as file:
            lines = file.read(_MOST_OF_REASON).decode(errors="replace").split("\n")
    except (InputError, OSError):
        return "", ""
    reason, hint, _, korean, next_ = [*(line.strip() for line in lines), "", "", "", "", ""][:5]
    return bilingual(reason, korean), bilingual(hint, next_)
