"""The archives in a folder. Their names say when they were made, and nothing else is ours."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bookbrain.backup.archive import Archive
from bookbrain.backup.manifest import Flaw, Manifest
from bookbrain.config import Settings
from bookbrain.server import Layout
from bookbrain.service_user import THIS_MACHINE

_NAME = re.compile(r"bookbrain-(\d{8}T\d{6}Z)\.tar\.zst(\.age|\.gpg)?", re.ASCII)
_PART = re.compile(r"\.bookbrain-\d{8}T\d{6}Z\.tar\.zst(\.age|\.gpg)?\.part", re.ASCII)
_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class Backup:
    """An archive. `books` and `complete` are None where they cannot be told: it is encrypted, or
    `flaw` says what is wrong with it."""

    file: str
    folder: str
    made: datetime
    size: int
    encrypted: bool
    books: int | None = None
    complete: bool | None = None
    flaw: str = ""

    @property
    def path(self) -> Path:
        return Path(self.folder) / self.file


def backup_folder(settings: Settings, layout: Layout = THIS_MACHINE) -> Path:
    """Where the backups of this library go: on a server beside it, else in it."""
    if settings.home == layout.home and layout.settings.exists():
        return layout.backups
    return settings.home / "backups"


def archive_name(made: datetime, suffix: str) -> str:
    """`suffix` is that of the encryption, "" without."""
    return f"bookbrain-{made.astimezone(UTC):{_TIME}}.tar.zst{suffix}"


def list_backups(folder: Path) -> list[Backup]:
    """The archives in `folder`, newest first; their beginnings are read."""
    times = {path: time for path in _files(folder) if (time := time_of(path.name))}
    return [_look(path, times[path]) for path in sorted(times, reverse=True)]


def left_over(folder: Path) -> list[Path]:
    """What backups that were killed have left in `folder`."""
    return [path for path in _files(folder) if _PART.fullmatch(path.name)]


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
        manifest.complete if manifest else None,
        flaw,
    )


def read_manifest(path: Path) -> Manifest:
    """What an archive says of itself; the rest of it is not looked at."""
    with path.open("rb") as file:
        return Archive(file).manifest
