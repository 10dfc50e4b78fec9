"""Folders in which others may write: gone through step by step, so that no link leads out of them.

A name is looked up in a folder that is open, and a link in it is never followed, whatever somebody
exchanges meanwhile. Only the folder on top is opened by its path.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bookbrain.errors import InputError
from bookbrain.wording import fill

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # which never waits for a writer of a FIFO
_DEEPEST = 60  # folders in folders: each is open while those below it are walked


@dataclass(frozen=True, slots=True)
class Entry:
    """What a walk came by. `folder` is where its `name` is, open until the walk goes on.

    `mode` is its own, also a link's. Of a folder `entries` says how many it has, or `error` why it
    cannot be looked into.
    """

    path: Path
    folder: int
    name: str
    mode: int
    entries: int = 0
    error: OSError | None = None

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)


def walk(
    top: Path, *, follow: bool = True, enter: Callable[[Path], bool] = lambda path: True
) -> Iterator[Entry]:
    """Everything below `top`, by name, and of each folder first what is no folder.

    Folders that are not to be entered are left out. Raises OSError where `top` is no folder that
    can be read, or a link that is not to be followed.
    """
    folder = os.open(top, _FOLDER if follow else _FOLDER | os.O_NOFOLLOW)
    try:
        yield from _walk(folder, top, enter, 0)
    finally:
        os.close(folder)


def _walk(folder: int, path: Path, enter: Callable[[Path], bool], depth: int) -> Iterator[Entry]:
    below = []
    for name in sorted(os.listdir(folder)):
        try:
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        except FileNotFoundError:  # it has just gone
            continue
        if not stat.S_ISDIR(mode):
            yield Entry(path / name, folder, name, mode)
        elif enter(path / name):
            below.append((name, mode))
    for name, mode in below:
        try:
            if depth >= _DEEPEST:
                raise OSError(errno.ELOOP, "too many folders in folders")
            inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
        except FileNotFoundError:
            continue
        except OSError as error:
            yield Entry(path / name, folder, name, mode, error=error)
            continue
        try:
            yield Entry(path / name, folder, name, mode, entries=len(os.listdir(inner)))
            yield from _walk(inner, path / name, enter, depth + 1)
        finally:
            os.close(inner)


@contextmanager
def folder_of(top: Path, path: Path, *, make: bool = False) -> Iterator[int]:
    """The folder that `path` is in, open; it is `top`, or below it.

    `make` makes the folders that are missing, and such a one in the place of a link. Raises OSError
    where something on the way is no folder.
    """
    folder = os.open(top, _FOLDER)
    try:
        for name in path.relative_to(top).parts[:-1]:
            if make:
                _make(folder, name)
            inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def _make(folder: int, name: str) -> None:
    with suppress(FileNotFoundError):
        if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=folder)
    with suppress(FileExistsError):
        os.mkdir(name, 0o750, dir_fd=folder)


def open_file(path: Path) -> BinaryIO:
    """The file that `path` names or leads to, open to read; InputError where it is none."""
    try:
        return _regular(os.open(path, _FILE))
    except OSError as error:
        raise _refusal(error) from error


def open_in(folder: int, name: str) -> BinaryIO:
    """The file of this name in an open folder, open to read; InputError where it is none."""
    try:
        return _regular(os.open(name, _FILE | os.O_NOFOLLOW, dir_fd=folder))
    except OSError as error:
        raise _refusal(error) from error


def open_below(top: Path, path: Path, *, lent: bool = True) -> BinaryIO:
    """The file at `path`, which is below `top`, open to read; InputError where it is none.

    Where `lent` is false, a file that is there by a hard link is refused if somebody may have made
    it who may not read the file: where fs.protected_hardlinks is off, anybody could.
    """
    try:
        with folder_of(top, path) as folder:
            file = open_in(folder, path.name)
            if not lent and _is_lent(os.fstat(file.fileno()), os.fstat(folder)):
                file.close()
                raise InputError(
                    "it has another name elsewhere, and not everybody may read it",
                    "Name the file itself.",
                )
            return file
    except OSError as error:
        raise _refusal(error) from error


def _is_lent(file: os.stat_result, folder: os.stat_result) -> bool:
    foreign = file.st_uid != folder.st_uid or folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return file.st_nlink > 1 and not file.st_mode & stat.S_IROTH and bool(foreign)


def _regular(descriptor: int) -> BinaryIO:
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise InputError("it is not a file", "Name a PDF or a folder of PDFs.")


def link_refusal() -> InputError:
    """Why a link is not followed."""
    return InputError("it is a link", "Put the file itself there, or name the one it leads to.")


def _refusal(error: OSError) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError("there is no such file", "Check the path.")
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return link_refusal()
    if error.errno == errno.ENXIO:  # a socket
        return InputError("it is not a file", "Name a PDF or a folder of PDFs.")
    return InputError(
        fill("it cannot be opened ({reason})", reason=error.strerror), "Check its owner and mode."
    )
