"""Whether an archive comes back: restored into a scratch library, with a Chroma of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bookbrain.backup.archive import Archive
from bookbrain.backup.manifest import Flaw, Manifest
from bookbrain.backup.trust import check_versions, compare, trusting
from bookbrain.backup.workplace import OnStep, Steps, check_room, clear_words
from bookbrain.config import Settings
from bookbrain.durable import file_lock, remove
from bookbrain.errors import BusyError
from bookbrain.library import Library
from bookbrain.library.replacing import wait_until_closed
from bookbrain.library.reports import Progress
from bookbrain.library.stores import VERIFY_LOCK, VERIFYING
from bookbrain.wording import fill, message_of


@dataclass(frozen=True)
class Verified:
    """An archive that came back: what it is, and how many queries were asked of it."""

    manifest: Manifest
    asked: int


def verify(settings: Settings, archive: Archive, on_step: OnStep, progress: Progress) -> Verified:
    """Read all of the archive, and restore what is needed to search; the scratch library goes.

    Raises InputError at the first byte, count or query that is not right. Asks no embedding
    endpoint, and touches neither the library nor its Chroma.
    """
    manifest = archive.manifest
    check_versions(manifest)
    with trusting():
        if manifest.unsound:
            raise Flaw(
                fill("it is of a damaged library: {what}", what=message_of(manifest.unsound[0]))
            )
        if not manifest.is_sound:
            raise Flaw("not all files of its books are in it")
    files = sum(m.size for m in manifest.members if _is_needed(m.name))
    with clear_words(), _scratch(settings.home) as home, trusting():
        check_room([(settings.home, 4 * files)])  # with the vectors, and what is made of them
        archive.extract(home, _is_needed, Steps(on_step, "checking", manifest.size))
        compare(home, manifest)
        offline = replace(settings.embedding, api_key=None, base_url=None)
        scratch = replace(settings, home=home, embedding=offline, chroma_url=None)
        with Library(scratch) as library:
            return Verified(manifest, library.try_out(manifest.expected, progress))


def _is_needed(name: str) -> bool:
    """The files of the books are only read and compared with their checksums."""
    return not name.startswith(("books/", "settings/", "secrets/"))


@contextmanager
def _scratch(home: Path) -> Iterator[Path]:
    """An empty folder for one at a time, gone afterwards; what was killed is swept here too."""

    def refuse() -> None:
        raise BusyError("Another verification is under way.", "Wait for it to end.")

    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = home / VERIFYING
    with file_lock(home / VERIFY_LOCK, on_wait=refuse):
        wait_until_closed(folder)
        remove(folder)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            wait_until_closed(folder)
            remove(folder)
