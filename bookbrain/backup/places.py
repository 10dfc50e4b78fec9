"""The second place of a backup: a folder, an rclone remote or a restic repository."""

import os
import shutil
from pathlib import Path

from bookbrain.backup.archive import measure
from bookbrain.children import run_program
from bookbrain.config import holds_secret
from bookbrain.durable import PART, remove, sync_file, sync_folder
from bookbrain.errors import BookBrainError, ConfigError
from bookbrain.wording import fill

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
