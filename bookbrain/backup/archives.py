"""The archives in a folder: their names, which of them stay, and work on one at a time."""

import errno
import os
import pwd
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bookbrain.backup.archive import Archive, Flaw, Manifest
from bookbrain.errors import BookBrainError, BusyError
from bookbrain.files import PART, file_lock, is_disk_full, remove
from bookbrain.messages import fill
from bookbrain.paths import Layout, LibraryPaths
from bookbrain.privileges import THIS_MACHINE
from bookbrain.settings import BackupSettings, Settings

_DAY, _WEEK, _MONTH = "%Y-%m-%d", "%G-%V", "%Y-%m"


def kept(made: Iterable[datetime], wanted: BackupSettings) -> set[datetime]:
    """Those of the archives made at these times, in UTC, that stay: at least the newest.

    A day, an ISO week or a month without an archive does not count.
    """
    newest_first = sorted(set(made), reverse=True)
    stay = set(newest_first[: max(1, wanted.keep)])
    for count, period in ((wanted.daily, _DAY), (wanted.weekly, _WEEK), (wanted.monthly, _MONTH)):
        newest = {f"{time:{period}}": time for time in reversed(newest_first)}
        stay |= set(sorted(newest.values(), reverse=True)[:count])
    return stay


DAMAGED, NO_BOOKS = ".damaged", ".no-books"  # in a name: of a damaged library; without PDFs
_NAME = re.compile(
    r"bookbrain-(\d{8}T\d{6}Z)(\.damaged|\.no-books)?\.tar\.zst(\.age|\.gpg)?", re.ASCII
)
_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class Backup:
    """An archive. `books` and `complete` are None where they cannot be told: it is encrypted, or
    `flaw` says what is wrong with it. `damaged` is one of a damaged library, kept for rescue."""

    file: str
    folder: str
    made: datetime
    size: int
    encrypted: bool
    books: int | None = None
    complete: bool | None = None
    flaw: str = ""
    damaged: bool = False

    @property
    def is_sound(self) -> bool:
        """Whether it counts as a backup, as far as its name and its beginning tell."""
        return not self.flaw and not self.damaged

    @property
    def path(self) -> Path:
        return Path(self.folder) / self.file


def backup_folder(settings: Settings, layout: Layout = THIS_MACHINE) -> Path:
    """Where the backups of this library go: on a server beside it, else in it."""
    if settings.home == layout.home and layout.settings.exists():
        return layout.backups
    return LibraryPaths(settings.home).backups


def archive_name(made: datetime, suffix: str, mark: str = "") -> str:
    """`suffix` is that of the encryption, "" without; `mark` is DAMAGED or NO_BOOKS."""
    return f"bookbrain-{made.astimezone(UTC):{_TIME}}{mark}.tar.zst{suffix}"


def list_backups(folder: Path) -> list[Backup]:
    """The archives in `folder`, newest first; how each begins is read."""
    times = {path: time for path in _files(folder) if (time := time_of(path.name))}
    newest_first = sorted(times, key=lambda path: (times[path], path.name), reverse=True)
    return [_look(path, times[path]) for path in newest_first]


def left_over(folder: Path) -> list[Path]:
    """What backups that were killed have left in `folder`."""
    return [
        path
        for path in _files(folder)
        if path.name.startswith(".")
        and path.name.endswith(PART)
        and time_of(path.name[1:].removesuffix(PART))
    ]


def time_of(name: str) -> datetime | None:
    """When the archive of this name was made; None for any other file."""
    if not (match := _NAME.fullmatch(name)):
        return None
    try:
        return datetime.strptime(match[1], _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None


def _files(folder: Path) -> list[Path]:
    found = folder.iterdir() if folder.is_dir() else ()
    return [path for path in found if not path.is_symlink() and path.is_file()]


def _look(path: Path, made: datetime) -> Backup:
    encrypted = not path.name.endswith(".zst")
    flaw, manifest = "", None
    if not encrypted:
        try:
            manifest = read_manifest(path)
        except (Flaw, OSError) as error:
            flaw = str(error)
    return Backup(
        path.name,
        str(path.parent),
        made,
        path.stat().st_size,
        encrypted,
        len(manifest.books) if manifest else None,
        manifest.complete if manifest else False if NO_BOOKS in path.name else None,
        flaw,
        DAMAGED in path.name or bool(manifest and not manifest.is_sound),
    )


def read_manifest(path: Path) -> Manifest:
    """What an archive says of itself; the rest of it is not looked at."""
    with path.open("rb") as file:
        return Archive(file).manifest


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
    paths = LibraryPaths(home)
    with file_lock(paths.backup_lock, on_wait=refuse):
        for left in (paths.snapshot, paths.restoring):  # by one that was killed
            remove(left)
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
        refused = fill(
            "{path} cannot be written ({reason}).", path=error.filename, reason=error.strerror
        )
        if error.errno == errno.EROFS:
            remedy = "Mount its disk for writing: sudo mount -o remount,rw"
            raise BookBrainError(refused, remedy) from error
        if error.errno in (errno.EACCES, errno.EPERM):
            user = pwd.getpwuid(os.geteuid()).pw_name
            remedy = fill("The user {user} must be able to: choose another folder.", user=user)
            raise BookBrainError(refused, remedy) from error
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
