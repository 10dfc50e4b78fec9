"""A damaged library is mended: from the newest sound backup, its own files, or by buying."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bookbrain.backup.archive import Archive, Flaw
from bookbrain.backup.archives import (
    NoRoomError,
    OnStep,
    Steps,
    alone,
    backup_folder,
    check_room,
    clear_words,
    list_backups,
)
from bookbrain.backup.restoration import check_versions, compare
from bookbrain.errors import BookBrainError, BusyError, UnavailableError
from bookbrain.files import PART, is_disk_full, link, make_way, remove, sync_folder
from bookbrain.library import Library, mend_catalog, mend_store, settle
from bookbrain.messages import Filled, fill, message_of
from bookbrain.model import Progress
from bookbrain.paths import DATABASES, PDF, Layout, LibraryPaths
from bookbrain.settings import Settings
from bookbrain.store.damage import AuditOutcome, check_again, check_is_not_lost
from bookbrain.store.folder import nobody_at_work

Agree = Callable[[int, int], bool]  # to buying for so many books so many tokens


@dataclass(frozen=True)
class Repaired:
    """What is left of the damage: `outcome`. `mended` names the files that are right again, `aside`
    the damaged databases that were exchanged, `skipped` the backups that could not be used."""

    outcome: AuditOutcome
    mended: tuple[str, ...]
    aside: tuple[Path, ...]
    skipped: tuple[str, ...]


def repair_library(
    settings: Settings, found: AuditOutcome, layout: Layout, agree: Agree,
    on_step: OnStep, progress: Progress,
) -> Repaired:  # fmt: skip
    """Mend the damage that a check found, as far as it can be.

    Each book and each database is as it was or mended, whatever ends this, and it can be run again.
    Nothing is bought unless `agree` says so. Raises BusyError while a backup or a restore is under
    way, and what the disk or the endpoint refuse.
    """
    home = settings.home
    folder = backup_folder(settings, layout)
    files = {damage.file for damage in found.damage if damage.file.endswith(PDF)}
    with alone(home), clear_words():
        work = LibraryPaths(home).restoring
        try:
            with nobody_at_work(home, progress.wait):
                check_is_not_lost(home)
                databases, brought, skipped = _from_backups(folder, work, files, on_step)
                _mend_files(home, brought, found)
                aside = mend_store(home, databases)
                aside += mend_catalog(settings, databases, work / "read", progress)
                dropped = settle(settings)
        finally:
            remove(work)
    try:
        if dropped and settings.embedding.enabled:
            _buy(settings, agree, progress)
    except UnavailableError as error:
        raise UnavailableError(
            error.message, "All else is mended. When it answers again: `bookbrain embed`"
        ) from error
    finally:  # what is mended by then is mended
        outcome = check_again(home, found)
    left = {damage.file for damage in outcome.damage}
    mended = tuple(sorted({damage.file for damage in found.damage} - left))
    return Repaired(outcome, mended, tuple(aside), skipped)


def sweep_repair(home: Path) -> None:
    """Remove what one that was killed after its last step has left; not while others are at it."""
    with suppress(BusyError), alone(home):
        pass


def _from_backups(
    folder: Path, work: Path, files: set[str], on_step: OnStep
) -> tuple[Path | None, Mapping[str, Path], tuple[Filled, ...]]:
    """The databases of the newest backup that is sound, and these files from whichever has them.

    The folder where the databases are, the files by their names in the library, and which backups
    could not be used, and why.

    Raises NoRoomError, or OSError, where there is no room: to mend without them would lose what
    they hold.
    """
    databases: Path | None = None
    brought: dict[str, Path] = {}
    skipped: list[Filled] = []
    for number, backup in enumerate(list_backups(folder)):
        wanted = files - brought.keys()
        if databases and not wanted:
            break
        target = work / str(number)
        try:
            if backup.encrypted:
                raise Flaw("it is encrypted")
            sound = _extract(backup.path, target, wanted, on_step, databases=not databases)
        except (Flaw, OSError, BookBrainError) as error:
            if isinstance(error, NoRoomError) or is_disk_full(error):
                raise
            remove(target)  # an older one may do
            why = message_of(error.message if isinstance(error, BookBrainError) else str(error))
            seen = fill("This backup could not be used: {file} ({why})", file=backup.file, why=why)
            skipped.append(seen)
            continue
        databases = databases or (target if sound else None)
        brought |= {name: target / name for name in wanted if (target / name).is_file()}
    return databases, brought, tuple(skipped)


def _extract(
    path: Path, target: Path, files: set[str], on_step: OnStep, *, databases: bool
) -> bool:
    """Bring the files of an archive to `target`, and sound `databases`; whether these are there."""
    with path.open("rb") as file:
        archive = Archive(file)
        manifest = archive.manifest
        check_versions(manifest)
        databases = databases and manifest.is_sound
        wanted = {
            m.name: m.size
            for m in manifest.members
            if (m.name in files and m.sha256 in m.name) or (databases and m.name in DATABASES)
        }
        if not wanted and not manifest.is_sound:
            raise Flaw("it is of a damaged library")
        target.mkdir(parents=True, mode=0o700)
        if wanted:
            check_room([(target, 3 * sum(wanted.values()))])
            archive.extract(target, wanted.__contains__, Steps(on_step, "checking", manifest.size))
    if databases:
        compare(target, manifest)
    return databases


def _mend_files(home: Path, brought: Mapping[str, Path], found: AuditOutcome) -> None:
    """Put the backups' files of books where the damaged ones are, and have others written anew."""
    paths = LibraryPaths(home)
    for name in {damage.file for damage in found.damage}:
        path = home / name
        if name in brought:
            part = home / f"{name}{PART}"
            remove(part)
            link(brought[name], part)
            make_way(path)
            part.replace(path)
        elif path.parent == paths.keywords or path == paths.card(path.stem):
            remove(path)
    sync_folder(paths.books)


def _buy(settings: Settings, agree: Agree, progress: Progress) -> None:
    with Library(settings) as library:
        plans = library.plan_embedding()
        tokens = sum(plan.tokens for plan in plans) + library.exam_tokens()
        if plans and agree(len(plans), tokens):
            library.embed(progress)
