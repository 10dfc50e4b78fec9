"""Where books come from: files that only root can read, and uploads from a browser.

Root opens them, gives up its rights, and copies what is open into the inbox, from where they are
added. Whatever is told of a copy names the file that the person gave.
"""

import errno
import os
import resource
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from errno import EXDEV
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO
from unicodedata import normalize
from uuid import uuid4

from bookbrain.errors import BookBrainError, InputError
from bookbrain.files import PART, name_file
from bookbrain.formats.format import FORMAT, find_books
from bookbrain.library.inbox_worker import STAGING, open_inbox
from bookbrain.library.library import Library
from bookbrain.messages import fill
from bookbrain.model import SILENT, AddReport, Book, Outcome, PassedOn, Plan, Progress, Step
from bookbrain.paths import PDF, LibraryPaths, refuse_in_upgrade
from bookbrain.store.folder import GO_ON, storage_errors

_CHUNK = 1 << 20
_OTHER_FILES = 256  # that are open beside the sources, at most
_SCRATCH = Path("/var/tmp")  # noqa: S108  (a folder of its own in it, and on a disk)


@dataclass(frozen=True, slots=True)
class Source:
    """A file that a person gave, open."""

    path: Path
    file: BinaryIO


@dataclass(frozen=True, slots=True)
class Sources:
    """The books at the paths that a person gave, and what became of those that cannot be used."""

    files: tuple[Source, ...]
    refused: tuple[Outcome, ...]


@contextmanager
def open_sources(paths: Iterable[str | Path]) -> Iterator[Sources]:
    """The books at `paths`, open with the rights of now until the block ends.

    What is found in a folder is opened there without following a link: who may write in that folder
    gets nothing read that he may not read.
    """
    found = find_books(paths, links=False)
    refused = [_refused(path, error) for path, error in found.unusable]
    files = []
    _allow_open_files(len(found.files) + _OTHER_FILES)
    with ExitStack() as closing:
        for path in found.files:
            try:
                file = closing.enter_context(_opened(path, found.folders.get(path)))
                files.append(Source(path, file))
            except InputError as error:
                refused.append(_refused(str(path), error))
        yield Sources(tuple(files), tuple(refused))


def add_sources(library: Library, sources: Sources, progress: Progress = SILENT) -> AddReport:
    """As `Library.add`. The copies go with their books; those that wait for a service stay."""
    for outcome in sources.refused:
        progress.end(outcome)
    with storage_errors(GO_ON), open_inbox(library.settings.home, progress.wait) as inbox:
        copies = _Copies(progress)
        with ExitStack() as failed:
            failed.callback(copies.remove)
            refused = copies.make(sources.files, inbox)
            report = library.add(list(copies.given), copies)
            failed.pop_all()
    outcomes = (*sources.refused, *refused, *(copies.named(o) for o in report.outcomes))
    return AddReport(outcomes, report.stopped)


def plan_sources(
    library: Library, sources: Sources, progress: Progress = SILENT, scratch: Path = _SCRATCH
) -> list[Plan]:
    """As `Library.plan`; the copies are in `scratch` for as long as it takes."""
    copies = _Copies(progress)
    with storage_errors(), TemporaryDirectory(prefix="bookbrain-", dir=scratch) as folder:
        refused = (*sources.refused, *copies.make(sources.files, Path(folder)))
        plans = library.plan(list(copies.given), copies)
    names = {str(copy): str(given[0]) for copy, given in copies.given.items()}
    names |= {copy.name: given[0].name for copy, given in copies.given.items()}
    return [
        *(Plan(outcome.path, reason=outcome.reason, hint=outcome.hint) for outcome in refused),
        *(replace(plan, file=names.get(plan.file, plan.file)) for plan in plans),
    ]


class _Copies(PassedOn):
    """The copies of a command, each with the files that it is one of. A copy goes at its end."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(progress)
        self.given: dict[Path, list[Path]] = {}

    def make(self, sources: Sequence[Source], folder: Path) -> list[Outcome]:
        """Copy all; the outcomes of those that cannot be read. OSError when there is no room."""
        refused = []
        for number, source in enumerate(sources, start=1):
            self.begin(source.path.name, number, len(sources))
            try:
                copy = copy_into(folder, source, self)
            except InputError as error:
                refused.append(_refused(str(source.path), error))
                super().end(refused[-1])
                continue
            self.given.setdefault(copy, []).append(source.path)
        return refused

    def end(self, outcome: Outcome) -> None:
        if Path(outcome.path) in self.given:
            Path(outcome.path).unlink(missing_ok=True)
        super().end(self.named(outcome))

    def named(self, outcome: Outcome) -> Outcome:
        """The outcome under the name that the person gave."""
        given = self.given.get(Path(outcome.path))
        return replace(outcome, path=str(given[0])) if given else outcome

    def remove(self) -> None:
        for copy in self.given:
            copy.unlink(missing_ok=True)


def copy_into(
    folder: Path, source: Source, progress: Progress = SILENT, prefix: str = STAGING
) -> Path:
    """Copy the source into `folder`, whole or not at all, under its name; the path of the copy.

    Another file of that name is not touched: the copy gets " (2)", unless they are the same.
    Until it is whole, a hidden name that begins with `prefix` is the copy's.
    Raises InputError when the source cannot be read, OSError when the folder takes no more.
    """
    part = folder / f"{prefix}{uuid4().hex}{PART}"
    size = source.file.seek(0, os.SEEK_END)
    try:
        with part.open("xb") as target:
            source.file.seek(0)
            while chunk := _read(source):
                target.write(chunk)
                progress.step(_COPYING, target.tell() >> 20, max(size, target.tell()) >> 20)
            return name_file(target, folder, source.path.name)
    finally:
        part.unlink(missing_ok=True)


_COPYING: Step = "reading"


def _opened(path: Path, folder: Path | None) -> BinaryIO:
    try:
        return FORMAT.open(path, folder, lent=False)
    except InputError as error:
        if getattr(error.__cause__, "errno", None) in (errno.EMFILE, errno.ENFILE):
            raise BookBrainError("These are too many files at once.", "Add fewer.") from error
        raise


def _read(source: Source) -> bytes:
    try:
        return source.file.read(_CHUNK)
    except OSError as error:
        raise InputError(
            fill("it cannot be read ({reason})", reason=error.strerror), "Get the file again."
        ) from error


def _refused(path: str, error: InputError) -> Outcome:
    return Outcome(path, "failed", None, error.message, error.hint)


def _allow_open_files(number: int) -> None:
    """Raise the limit on open files to `number`, where it is lower; only root may always."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= number:
        return
    most = hard if hard == resource.RLIM_INFINITY else max(hard, number)
    if os.geteuid() != 0 and hard != resource.RLIM_INFINITY:
        number, most = min(number, hard), hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, most))


_UPLOADING = ".upload-"  # how the hidden name of a file begins that is not whole yet
_MAKE_ROOM = "Make room and upload it again."
_LONGEST_STEM = 200  # bytes: " (2)" and the name of a reason file have room behind it


def plan_upload(library: Library, name: str, path: Path) -> Plan:
    """What adding the file at `path` would take, or why it cannot be added; changes nothing."""
    return library.plan_file(path, _path(name).name)


def land_upload(home: Path, name: str, path: Path) -> None:
    """Give the whole file at `path`, in the library's folder, a name in the inbox as well.

    Where that is on another disk it is copied there.

    Raises BookBrainError when the inbox takes nothing.
    """
    inbox = LibraryPaths(home).inbox
    with storage_errors(_MAKE_ROOM):
        inbox.mkdir(exist_ok=True)
        with path.open("rb") as file:
            try:
                name_file(file, inbox, _path(name).name)
            except OSError as error:
                if error.errno != EXDEV:  # the inbox may be on a disk of its own
                    raise
                copy_into(inbox, Source(_path(name), file), prefix=_UPLOADING)


def land(library: Library, name: str, file: BinaryIO) -> None:
    """Put a file into the inbox, whole or not at all; raises BookBrainError when it has no room.

    Unlike what a command copies it waits for nobody who works on the inbox.
    """
    inbox = LibraryPaths(library.settings.home).inbox
    refuse_in_upgrade(library.settings.home)
    with storage_errors(_MAKE_ROOM):
        inbox.mkdir(exist_ok=True)
        copy_into(inbox, Source(_path(name), file), prefix=_UPLOADING)


def add_again(library: Library, book_id: str, seconds: float) -> None:
    """Put a book's own file into the inbox and remove the book: it is read as if it came today.

    Killed at any instant, the book is there or on its way: nobody takes the file out of the inbox
    before the book is gone. BusyError when somebody else writes for so many `seconds`.
    """

    def keep_file(book: Book) -> None:
        with library.open_book(book.id).path.open("rb") as file:
            land(library, book.file, file)

    library.remove(book_id, first=keep_file, seconds=seconds)


def sweep_uploads(home: Path) -> None:
    """Remove what an app that was killed had begun to write. Only for the one app of a library."""
    for left in LibraryPaths(home).inbox.glob(f"{_UPLOADING}*"):
        with suppress(OSError):  # or somebody else made it
            left.unlink()


def _path(given: str) -> Path:
    """The name that a browser gave, as one that a file can have and that is not hidden."""
    name = "".join(c for c in normalize("NFC", Path(given).name) if c.isprintable())
    stem = name.removesuffix(PDF).removesuffix(PDF.upper()).lstrip(". ").rstrip()
    return Path((stem.encode()[:_LONGEST_STEM].decode(errors="ignore") or "book") + PDF)
