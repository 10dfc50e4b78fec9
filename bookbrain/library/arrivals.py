"""What lies in the inbox, and whether it is whole or still on its way."""

import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

INBOX = "inbox"  # in the library's folder
REJECTED = "rejected"  # in the inbox
_REASON = ".reason.txt"
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

    Hidden ones and those that an upload calls unfinished are left out; `rejected` is too.
    """
    return [
        Path(folder, name)
        for folder, _, names in _walk(inbox)
        for name in sorted(names)
        if not name.startswith(".") and not name.lower().endswith(_UNFINISHED)
        and (folder == str(inbox) or name.lower().endswith(".pdf"))
    ]  # fmt: skip


def empty_folders(inbox: Path) -> list[Path]:
    """The folders below the inbox with nothing in them."""
    return [
        Path(folder)
        for folder, _, _ in _walk(inbox)
        if folder != str(inbox) and not os.listdir(folder)
    ]


def _walk(inbox: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    for folder, folders, names in os.walk(inbox):
        at_top = folder == str(inbox)
        folders[:] = sorted(
            f for f in folders if not f.startswith(".") and not (at_top and f == REJECTED)
        )
        yield folder, folders, names


def look_at(path: Path, before: Look | None = None) -> Look | None:
    """A look at the file; None when it is gone."""
    try:
        found = path.stat() if path.exists() else path.lstat()  # a link may lead nowhere
    except FileNotFoundError:
        return None
    now = time.monotonic()
    look = Look(found.st_size, found.st_mtime_ns, found.st_ino, found.st_mode, now)
    return before if before and before.is_like(look) else look


def is_whole(path: Path, look: Look, patience: Patience) -> bool:
    """Whether nobody writes to the file any more; OSError when it cannot be read."""
    resting = time.monotonic() - look.since
    if resting < patience.settle:
        return False
    if not stat.S_ISREG(look.mode):
        return True
    with path.open("rb") as file:
        start = file.read(_START)
        file.seek(max(0, look.size - _TAIL))
        tail = file.read(_TAIL)
    unchanged = max(resting, time.time() - look.changed_ns / 1e9)
    enough = patience.upload if b"%PDF-" in start else patience.stray
    return unchanged >= enough or _has_ended(start, tail, look.size)


def _has_ended(start: bytes, tail: bytes, size: int) -> bool:
    """Whether there is nothing to wait for: the end of a PDF, or what can become none."""
    if b"%PDF-" not in start:
        return len(start) == _START and start.strip(b"\0") != b""
    if b"/Linearized" in start and (length := re.search(rb"/L\s+(\d{1,15})\b", start)):
        return size >= int(length[1])  # such a PDF has an end near its start, too
    return b"%%EOF" in tail


def reason_file(rejected: Path) -> Path:
    """Where the reason stands why this file was rejected: beside it."""
    name = os.fsencode(rejected.name)[: 255 - len(_REASON) - len(".part")]
    return rejected.with_name(name.decode(errors="ignore") + _REASON)


def rejections(inbox: Path) -> list[Rejection]:
    """The files that could not be added, by name, with what is known of the reason."""
    top = inbox / REJECTED
    files = sorted(path for path in top.rglob("*") if path.is_symlink() or not path.is_dir())
    reasons = {reason_file(path) for path in files}
    return [
        Rejection(str(path.relative_to(top)), *_reason(reason_file(path)))
        for path in files
        if path not in reasons
    ]


def dismiss(inbox: Path, rejection: Rejection) -> None:
    """Delete a rejected file and its reason; one that is gone is fine, OSError when it stays."""
    if rejection.file in {other.file for other in rejections(inbox)}:
        path = inbox / REJECTED / rejection.file
        path.unlink(missing_ok=True)
        reason_file(path).unlink(missing_ok=True)


def _reason(path: Path) -> tuple[str, str]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.readline(1000).strip(), file.readline(1000).strip()
    except OSError:
        return "", ""
