"""Where backups and restores work: one at a time, with room enough, and clear words of the disk."""

import errno
import os
import pwd
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bookbrain.durable import file_lock, is_disk_full, remove
from bookbrain.errors import BookBrainError, BusyError
from bookbrain.library.stores import BACKUP, RESTORING, WORK_LOCK
from bookbrain.wording import fill

_MARGIN = 8 << 20  # bytes beside what is counted

OnStep = Callable[[str, int, int], None]  # what is done, and how many bytes of how many


class NoRoomError(BookBrainError):
    """The disk has no room for what is to be done."""


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """No other backup and no restore of the library in `home`; BusyError when there is one."""

    def refuse() -> None:
        raise BusyError("Another backup or restore is under way.", "Wait for it to end.")

    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with file_lock(home / WORK_LOCK, on_wait=refuse):
        for left in (BACKUP, RESTORING):  # by one that was killed
            remove(home / left)
        yield


def check_room(wanted: Sequence[tuple[Path, int]]) -> None:
    """Raise NoRoomError when so many bytes more would fill the disk of one of the folders."""
    needs: dict[int, tuple[int, Path]] = {}
    for folder, need in wanted:
        device = folder.stat().st_dev
        needs[device] = (needs.get(device, (_MARGIN, folder))[0] + need, folder)
    for need, folder in needs.values():
        free = shutil.disk_usage(folder).free
        if free < need:
            raise NoRoomError(
                fill(
                    "There is not enough room at {folder}: {need:.0f} MB are needed, "
                    "{free:.0f} MB are free.",
                    folder=folder,
                    need=need / 1e6,
                    free=free / 1e6,
                ),
                "Make room and run this again.",
            )


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextmanager
def clear_words() -> Iterator[None]:
    """What the disk refuses, as a person should hear it."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise BookBrainError("The disk is full.", "Make room and run this again.") from error
        if error.errno == errno.EROFS:
            raise BookBrainError(
                fill(
                    "{path} cannot be written ({reason}).",
                    path=error.filename,
                    reason=error.strerror,
                ),
                "Mount its disk for writing: sudo mount -o remount,rw",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM):
            user = pwd.getpwuid(os.geteuid()).pw_name
            raise BookBrainError(
                fill(
                    "{path} cannot be written ({reason}).",
                    path=error.filename,
                    reason=error.strerror,
                ),
                fill("The user {user} must be able to: choose another folder.", user=user),
            ) from error
        raise BookBrainError(
            fill("This cannot be written: {reason}.", reason=error), "Check its folder and mode."
        ) from error


class Steps:
    """Adds up the bytes of one step for `on_step`."""

    def __init__(self, on_step: OnStep, step: str, total: int) -> None:
        self._on_step, self._step, self._total, self._done = on_step, step, total, 0

    def __call__(self, count: int) -> None:
        self._done += count
        self._on_step(self._step, self._done, self._total)
