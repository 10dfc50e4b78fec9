"""Taking a backup: snapshot, archive, proof, name, rotation, second place."""

import logging
import os
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import file_digest
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO, cast

from bookbrain.backup.archive import Archive, Flaw, Hashed, measure, write_archive
from bookbrain.backup.archives import (
    DAMAGED,
    NO_BOOKS,
    Backup,
    OnStep,
    Steps,
    alone,
    archive_name,
    check_room,
    clear_words,
    kept,
    left_over,
    list_backups,
    size_of,
    time_of,
)
from bookbrain.backup.contents import Packed, Request, pack
from bookbrain.backup.encryption import encrypting, suffix_of
from bookbrain.errors import BookBrainError, ConfigError
from bookbrain.files import PART, remove, sync_file, sync_folder
from bookbrain.log import Event
from bookbrain.messages import fill
from bookbrain.paths import DATABASES, LibraryPaths
from bookbrain.processes import run_program
from bookbrain.settings import Settings, holds_secret

_SECONDS = 12 * 3600.0


def send(archive: Path, place: str) -> None:
    """Put a copy of `archive` there; raises BookBrainError when that did not work."""
    kind, colon, where = place.partition(":")
    if kind == "rclone" and colon:
        if holds_secret("BOOKBRAIN_BACKUP_COPY", where):
            raise ConfigError(
                "BOOKBRAIN_BACKUP_COPY has a password in it, which rclone would show to everybody.",
                "Set up a remote with it: rclone config; and name that.",
            )
        _run(["rclone", "copyto", str(archive), f"{where.rstrip('/')}/{archive.name}"])
    elif kind == "restic" and colon:
        command = ["restic", "backup", "--quiet", "--host", "bookbrain", str(archive)]
        _run(command, RESTIC_REPOSITORY=where)  # others see what a program is called with
    elif place.startswith("/"):
        _copy(archive, Path(place))
    else:
        raise ConfigError(
            fill("BOOKBRAIN_BACKUP_COPY is {value!r}.", value=place),
            "Set it to the path of a folder, rclone:REMOTE:PATH or restic:REPOSITORY.",
        )


def _copy(archive: Path, folder: Path) -> None:
    """Whole or not at all, and read again before it gets its name."""
    part = folder / f".{archive.name}{PART}"
    try:
        for left in folder.glob(f".bookbrain-*{PART}"):
            remove(left)
        shutil.copyfile(archive, part)
        os.chmod(part, 0o600)
        sync_file(part)
        if measure("", part) != measure("", archive):
            raise BookBrainError(
                fill("The copy in {folder} is not the same as the backup.", folder=folder),
                "Check that disk.",
            )
        part.replace(folder / archive.name)
        sync_folder(folder)
    except OSError as error:
        raise BookBrainError(
            fill(
                "{folder} does not take the copy of the backup ({reason}).",
                folder=folder,
                reason=error.strerror,
            ),
            "Check BOOKBRAIN_BACKUP_COPY; the backup itself is good.",
        ) from error
    finally:
        if folder.is_dir():
            remove(part)


def _run(command: list[str], **variables: str) -> None:
    program = command[0]
    try:
        ended = run_program(command, timeout=_SECONDS, variables=variables)
    except FileNotFoundError as error:
        raise ConfigError(
            fill("The program {program} is not installed.", program=program),
            "Install it, or change BOOKBRAIN_BACKUP_COPY; the backup itself is good.",
        ) from error
    if ended.code:
        lines = [line.strip() for line in ended.stderr.splitlines() if line.strip()]
        raise BookBrainError(
            fill(
                "{program} did not copy the backup: {reason}.",
                program=program,
                reason=lines[-1] if lines else ended.code,
            ),
            "Check BOOKBRAIN_BACKUP_COPY; the backup itself is good.",
        )


log = logging.getLogger(__name__)
_MOST_DAMAGED = 2  # archives of a damaged library that are kept for rescue


@dataclass(frozen=True)
class NewBackup:
    """A backup that was proven. `lost` names books whose file is gone or damaged, `unsound` what is
    wrong with the databases, `removed` the archives that were too many; `not_copied` says why the
    second place does not have it."""

    backup: Backup
    lost: tuple[str, ...]
    unsound: tuple[str, ...]
    removed: tuple[str, ...]
    not_copied: BookBrainError | None = None


def take_backup(settings: Settings, request: Request, on_step: OnStep) -> NewBackup:
    """Make one archive of the library as it is now; searches and writers go on.

    It gets its name when it has been read again and every byte was right. The name says so when the
    library is damaged: then it takes the place of no sound one. Raises BusyError while
    another backup or restore is under way, and BookBrainError when there is no room, or it could
    not be proven; nothing is left of it then, and no older one was removed.
    """
    wanted = settings.backup
    suffix = suffix_of(wanted.recipient) if request.encrypt else ""
    with clear_words(), alone(settings.home):
        request.folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        for left in left_over(request.folder):
            remove(left)
        _check_room(settings.home, request)
        staging = LibraryPaths(settings.home).snapshot
        try:
            made = _free_second(request.folder)
            packed = pack(settings, request, staging, made, on_step)
            mark = "" if request.books else NO_BOOKS
            mark = mark if packed.manifest.is_sound else DAMAGED
            path = request.folder / archive_name(made, suffix, mark)
            _write(path, packed, wanted.recipient if request.encrypt else None, on_step)
        finally:
            remove(staging)
        books = len(packed.manifest.books)
        found = Backup(
            path.name, str(path.parent), made, path.stat().st_size, request.encrypt, books,
            packed.manifest.complete, damaged=not packed.manifest.is_sound,
        )  # fmt: skip
        removed = _rotate(settings, found)
    log.info(
        "Backup made: %s, %d bytes, %d books", found.file, found.size, books,
        extra={"fields": Event(event="backup")},
    )  # fmt: skip
    return _copied(settings, NewBackup(found, packed.lost, packed.unsound, removed), on_step)


def _copied(settings: Settings, taken: NewBackup, on_step: OnStep) -> NewBackup:
    """The same, with a copy at the second place where there is one, or why there is none."""
    place, found = settings.backup.copy, taken.backup
    if not place:
        return taken
    on_step("copying", 0, 1)
    try:
        send(Path(found.folder) / found.file, place)
        if place.startswith("/"):
            _rotate(settings, replace(found, folder=place))
    except BookBrainError as error:
        return replace(taken, not_copied=error)
    return taken


def _check_room(home: Path, request: Request) -> None:
    """The databases are copied beside the library; the archive is about as large as its content."""
    databases = sum(p.stat().st_size for name in DATABASES for p in home.glob(f"{name}*"))
    paths = LibraryPaths(home)
    files = size_of(paths.keywords) + (size_of(paths.books) if request.books else 0)
    check_room([(home, databases), (request.folder, databases + files)])


def _free_second(folder: Path) -> datetime:
    """A time that no archive has for its name."""
    while True:
        now = datetime.now(UTC).replace(microsecond=0)
        if all(time_of(path.name) != now for path in folder.iterdir()):
            return now
        time.sleep(0.1)


def _write(path: Path, packed: Packed, recipient: str | None, on_step: OnStep) -> None:
    """Under a hidden name first; the real one comes when all of it was read again."""
    part = path.with_name(f".{path.name}{PART}")
    try:
        with ExitStack() as closing:
            written = Hashed(closing.enter_context(part.open("xb")))
            part.chmod(0o600)
            out = cast(BinaryIO, written)
            if recipient:
                out = closing.enter_context(encrypting(recipient, out))
            tell = Steps(on_step, "writing", packed.manifest.size)
            write_archive(out, packed.manifest, packed.contents, tell)
        with part.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # the disk is asked
            if recipient:  # only the owner of the private key could read it
                if file_digest(file, "sha256").digest() != written.digest.digest():
                    raise Flaw("it is damaged")
            else:
                again = Archive(file)
                again.check(Steps(on_step, "checking", packed.manifest.size))
                if again.manifest != packed.manifest:
                    raise Flaw("its manifest is damaged")
        part.replace(path)
        sync_folder(path.parent)
    except Flaw as flaw:
        raise BookBrainError(
            fill("The backup was not good and is not kept: {flaw}.", flaw=flaw.what),
            "Run it again; check the disk.",
        ) from flaw
    finally:
        remove(part)


def _rotate(settings: Settings, made: Backup) -> tuple[str, ...]:
    """Remove what is too many beside the proven archive `made`; the names.

    Archives with and without books, and encrypted ones, are counted each for themselves: none of
    one kind takes the place of another. One of a damaged library takes the place of such ones only.
    What cannot be read, or is of a later time than it is now, counts for nothing and stays.
    """
    before = [b for b in list_backups(made.path.parent) if b.made < made.made and not b.flaw]
    removed: list[Backup] = []
    if made.damaged:
        removed += [b for b in before if b.damaged][_MOST_DAMAGED - 1 :]
    else:
        found = [made, *(b for b in before if b.is_sound)]
        kind_of = attrgetter("encrypted", "complete")
        for kind in {kind_of(backup) for backup in found}:
            alike = [backup for backup in found if kind_of(backup) == kind]
            stay = kept((backup.made for backup in alike), settings.backup)
            removed += [b for b in alike if b.made not in stay and b is not made]
    for backup in removed:
        remove(backup.path)
    return tuple(sorted(backup.file for backup in removed))
