"""The archives in a folder. Their names say when they were made, and nothing else is ours."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bookbrain.backup.archive import Archive
from bookbrain.backup.manifest import Flaw, Manifest
from bookbrain.config import Settings
from bookbrain.durable import PART
from bookbrain.server import Layout
from bookbrain.service_user import THIS_MACHINE

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
    return settings.home / "backups"


def archive_name(made: datetime, suffix: str, mark: str = "") -> str:
    """`suffix` is that of the encryption, "" without; `mark` is DAMAGED or NO_BOOKS."""
    return f"bookbrain-{made.astimezone(UTC):{_TIME}}{mark}.tar.zst{suffix}"


def list_backups(folder: Path, *, read: bool = True) -> list[Backup]:
    """The archives in `folder`, newest first. Their beginnings are read, or their names alone where
    root asks: the folder is another user's."""
    times = {path: time for path in _files(folder) if (time := time_of(path.name))}
    newest_first = sorted(times, key=lambda path: (times[path], path.name), reverse=True)
    return [_look(path, times[path], read) for path in newest_first]


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


def _look(path: Path, made: datetime, read: bool) -> Backup:
    encrypted = not path.name.endswith(".zst")
    flaw, manifest = "", None
    if read and not encrypted:
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
