"""A damaged library is mended: from the newest sound backup, from its own files, or by buying."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bookbrain.backup.archive import Archive
from bookbrain.backup.listing import backup_folder, list_backups
from bookbrain.backup.manifest import Flaw
from bookbrain.backup.trust import check_versions, compare
from bookbrain.backup.workplace import OnStep, Steps, alone, check_room, clear_words
from bookbrain.config import Settings
from bookbrain.durable import PART, file_lock, link, remove, sync_folder
from bookbrain.errors import BookBrainError
from bookbrain.library import Library
from bookbrain.library.checking import check_again, check_is_not_lost
from bookbrain.library.damage import Outcome
from bookbrain.library.mending import mend_catalog
from bookbrain.library.mending_vectors import mend_store
from bookbrain.library.reports import Progress
from bookbrain.library.settling import settle
from bookbrain.library.stores import RESTORING
from bookbrain.server import Layout

Agree = Callable[[int, int], bool]  # to buying for so many books so many tokens


@dataclass(frozen=True)
class Repaired:
    """What is left of the damage: `outcome`. `mended` names the files that are right again, `aside`
    the damaged databases that were exchanged."""

    outcome: Outcome
    mended: tuple[str, ...]
    aside: tuple[Path, ...]


def repair_library(
    settings: Settings, found: Outcome, layout: Layout, agree: Agree,
    on_step: OnStep, progress: Progress,
) -> Repaired:  # fmt: skip
    """Mend the damage that a check found, as far as it can be.

    Each book and each database is as it was or mended, whatever ends this, and it can be run again.
    Nothing is bought unless `agree` says so. Raises BusyError while a backup or a restore is under
    way, and what the disk or the endpoint refuse.
    """
    home = settings.home
    folder = backup_folder(settings, layout)
    with alone(home), clear_words():
        work = home / RESTORING
        try:
            with file_lock(home / "library.lock", on_wait=progress.wait):
                check_is_not_lost(home)
                backup = _newest_sound(folder, work, _files(found), on_step)
                _mend_files(home, backup, found)
                aside = mend_store(home, backup)
                aside += mend_catalog(settings, backup, work / "read", progress)
                dropped = settle(settings, found)
        finally:
            remove(work)
    try:
        if dropped and settings.embedding.enabled:
            _buy(settings, agree, progress)
    finally:  # what is mended by then is mended
        outcome = check_again(home, found)
    left = {damage.file for damage in outcome.damage}
    mended = tuple(sorted({damage.file for damage in found.damage} - left))
    return Repaired(outcome, mended, tuple(aside))


def _files(found: Outcome) -> set[str]:
    return {damage.file for damage in found.damage if damage.file.endswith(".pdf")}


def _newest_sound(folder: Path, work: Path, files: set[str], on_step: OnStep) -> Path | None:
    """What the newest backup that is sound brought: its databases and these files."""
    for number, backup in enumerate(list_backups(folder)):
        if backup.encrypted or not backup.is_sound:
            continue
        target = work / str(number)
        try:
            with backup.path.open("rb") as file:
                archive = Archive(file)
                manifest = archive.manifest
                check_versions(manifest)
                wanted = files | {m.name for m in manifest.members if m.name.endswith(".sqlite3")}
                sizes = {m.name: m.size for m in manifest.members}
                check_room([(work.parent, 3 * sum(sizes.get(name, 0) for name in wanted))])
                target.mkdir(parents=True, mode=0o700)
                archive.extract(
                    target, wanted.__contains__, Steps(on_step, "checking", manifest.size)
                )
            compare(target, manifest)
        except (Flaw, OSError, BookBrainError):  # an older one may do
            remove(target)
            continue
        return target
    return None


def _mend_files(home: Path, backup: Path | None, found: Outcome) -> None:
    """Put the backup's files of books where the damaged ones are, and have others written anew."""
    for name in {damage.file for damage in found.damage}:
        if backup and name.endswith(".pdf") and (backup / name).exists():
            part = home / f"{name}{PART}"
            remove(part)
            link(backup / name, part)
            part.replace(home / name)
        elif (name.startswith("books/") and name.endswith(".json")) or name.startswith("keywords/"):
            remove(home / name)
    sync_folder(home / "books")


def _buy(settings: Settings, agree: Agree, progress: Progress) -> None:
    with Library(settings) as library:
        plans = library.plan_embedding()
        if plans and agree(len(plans), sum(plan.tokens for plan in plans)):
            library.embed(progress)
