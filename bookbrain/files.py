"""Files that are whole or not there, and folders in which others may write.

A name is looked up in a folder that is open, and a link in it is never followed, whatever somebody
exchanges meanwhile. Only the folder on top is opened by its path.
"""

import errno
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

from bookbrain.errors import InputError
from bookbrain.messages import fill

PART = ".part"  # how an unfinished file or folder is named; whatever is left of one is swept


def write_file(path: Path, data: bytes, mode: int = 0o600, *, shared: bool = False) -> None:
    """Put `data` at `path` at once; a crash leaves the old file or the new one. See `new_file`."""
    with new_file(path, mode, shared=shared) as file:
        file.write(data)


@contextmanager
def new_file(path: Path, mode: int = 0o600, *, shared: bool = False) -> Iterator[BinaryIO]:
    """A file that gets the name `path` when the block ends well, and is removed otherwise.

    Where others may change the folder (`shared`) it raises OSError, having written nothing, when
    they have put a link, a pipe or a file of another name where it is to be written.
    """
    part = path.with_name(path.name + PART)
    flags = os.O_WRONLY | os.O_CREAT | (os.O_NOFOLLOW | os.O_NONBLOCK if shared else os.O_TRUNC)
    descriptor = os.open(part, flags, mode)
    seen = os.fstat(descriptor)
    if shared and (not stat.S_ISREG(seen.st_mode) or seen.st_nlink != 1):
        os.close(descriptor)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(part))
    if shared:
        os.ftruncate(descriptor, 0)
    with ExitStack() as failed:
        failed.callback(part.unlink, missing_ok=True)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        failed.pop_all()  # a part that is there now is somebody else's
    sync_folder(path.parent)


def is_disk_full(error: BaseException) -> bool:
    """Whether an OSError says that there is no room, or no more for this user."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def has_room(folder: Path, size: int) -> bool:
    """Whether the disk of `folder` takes one more file, and so many bytes."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize >= size and not (disk.f_files and not disk.f_favail)


def sync_file(path: Path) -> None:
    """fsync(2) a file that is already closed."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """fsync(2) a folder, so that a rename in it survives a power cut."""
    sync_file(path)


def link(source: Path, target: Path) -> None:
    """A second name for a file that never changes; a copy where the disk has no such thing."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)


def remove(path: Path) -> None:
    """Remove a file or a whole folder; none there is fine."""
    if not path.is_symlink() and path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def make_way(path: Path) -> None:
    """Give a folder that lies where a file belongs another name, with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        path.rename(free_name(path, ".aside"))


def free_name(path: Path, end: str) -> Path:
    """Beside `path`, what nothing has for its name: `end` is put to it, and a number if need be."""
    names = (path.with_name(f"{path.name}{end}{n if n > 1 else ''}") for n in count(1))
    return next(name for name in names if not os.path.lexists(name))


def open_file(path: Path) -> BinaryIO:
    """Open a plain file for reading, at once; OSError for a link, a pipe or a folder.

    For paths that others than the caller may change.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    return os.fdopen(descriptor, "rb")


@contextmanager
def file_lock(
    path: Path,
    *,
    shared: bool = False,
    on_wait: Callable[[], None] = lambda: None,
    seconds: float | None = None,
) -> Iterator[None]:
    """Hold flock(2) on `path`; `on_wait` is called once when somebody else has it.

    The kernel lets go of it when the process ends, however it ends. Raises TimeoutError when it is
    not to be had within `seconds`, and OSError when the path is a link or no file.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o600)
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a file", str(path))
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            _wait_for_lock(descriptor, kind, seconds)
        yield
    finally:
        os.close(descriptor)


def _wait_for_lock(descriptor: int, kind: int, seconds: float | None) -> None:
    if seconds is None:
        fcntl.flock(descriptor, kind)
        return
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise TimeoutError(errno.ETIMEDOUT, "somebody else holds the lock") from error
            time.sleep(0.1)
        else:
            return


def is_locked(path: Path) -> bool:
    """Whether another process holds `file_lock` on `path` just now."""
    with suppress(FileNotFoundError):
        # Where nothing can be written, too; a pipe would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False


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


def open_input(path: Path) -> BinaryIO:
    """The file that `path` names or leads to, open to read; InputError where it is none."""
    return _open(path, _FILE)


def open_in(folder: int, name: str) -> BinaryIO:
    """The file of this name in an open folder, open to read; InputError where it is none."""
    return _open(name, _FILE | os.O_NOFOLLOW, folder)


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


def _open(path: Path | str, flags: int, folder: int | None = None) -> BinaryIO:
    try:
        descriptor = os.open(path, flags, dir_fd=folder)
    except OSError as error:
        raise _refusal(error) from error
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


_LONGEST_NAME = 255  # bytes
_CHUNK = 1 << 20


def name_file(file: BinaryIO, folder: Path, name: str) -> Path:
    """Give a file, which has another name on the same disk, this one too, or the next free one.

    A file of that name that is the same counts as it. The file that is open is meant, whatever was
    made of its other name by then.
    """
    file.flush()
    os.fchmod(file.fileno(), 0o640)
    os.fsync(file.fileno())
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for number in count(1):
            target = _numbered(name, number)
            try:  # unlike a rename it replaces nothing
                os.link(f"/proc/self/fd/{file.fileno()}", target, dst_dir_fd=descriptor)
            except FileExistsError:
                if _are_same(file, descriptor, target):
                    break
                continue
            os.fsync(descriptor)
            break
    finally:
        os.close(descriptor)
    return folder / target


def _numbered(name: str, number: int) -> str:
    if number == 1:
        return name
    stem, suffix = os.path.splitext(name)
    end = f" ({number}){suffix}"
    room = _LONGEST_NAME - len(os.fsencode(end))
    return os.fsencode(stem)[:room].decode(errors="ignore") + end


def _are_same(file: BinaryIO, folder: int, name: str) -> bool:
    try:
        with (
            open(f"/proc/self/fd/{file.fileno()}", "rb") as one,
            open_in(folder, name) as other,
        ):
            while chunk := one.read(_CHUNK):
                if chunk != other.read(_CHUNK):
                    return False
            return not other.read(1)
    except (InputError, OSError):
        return False
