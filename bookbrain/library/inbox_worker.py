"""The inbox is worked off: a book, or a file in `rejected` with the reason."""

import errno
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import get_args

from bookbrain.errors import BookBrainError, InputError
from bookbrain.files import PART, file_lock, folder_of, link_refusal
from bookbrain.library.inbox import (
    Look,
    Patience,
    arrivals,
    empty_folders,
    is_whole,
    look_at,
    reject,
    take_out,
)
from bookbrain.library.library import Library
from bookbrain.log import record_outcome
from bookbrain.messages import Language, translated
from bookbrain.model import AddReport, Outcome, Progress, printable
from bookbrain.paths import LibraryPaths

log = logging.getLogger(__name__)
PATIENCE = Patience()
STAGING = ".bookbrain-"  # how the hidden name of a file begins that a command copies into the inbox


@contextmanager
def open_inbox(home: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """The inbox of the library in `home`, for one at a time; made where there is none."""
    inbox = LibraryPaths(home).inbox
    inbox.mkdir(exist_ok=True)
    with file_lock(LibraryPaths(home).inbox_lock, on_wait=on_wait):
        for left in inbox.glob(f"{STAGING}*{PART}"):  # by a command that was killed
            with suppress(OSError):  # or of somebody else's making
                left.unlink()
        yield inbox


def ingest(library: Library, patience: Patience = PATIENCE) -> BookBrainError | None:
    """Add what is in the inbox, and finish what was left unfinished, until nothing is left to do.

    A file goes when its book is in the catalog; one that cannot be added goes to `rejected`. One
    that cannot be read or moved is named in the log and stays. Those whose process was ended again
    and again go last. Returns the fault that ended the work early and is no book's own: everything
    stays then for the next run.
    """
    inbox = LibraryPaths(library.settings.home).inbox
    if stopped := _finish(library, doubtful=False):
        return stopped
    looks: dict[Path, Look] = {}
    stuck: set[Path] = set()
    while True:
        looks = _look_around(inbox, looks, stuck)
        whole = [p for p, look in looks.items() if _is_ready(inbox, p, look, patience, stuck)]
        last = set(library.doubtful())
        turns = [path for path in whole if path not in last]
        if not turns and looks.keys() <= stuck | last:
            turns = whole
        for path in turns:
            if stopped := _take(library, path, looks[path], stuck, doubtful=path in last):
                return stopped
        folders = _remove_empty_folders(inbox, patience, stuck)
        if not turns:
            if not folders and looks.keys() <= stuck:
                return _finish(library, doubtful=True)
            time.sleep(_pause(looks, patience))


def _finish(library: Library, *, doubtful: bool) -> BookBrainError | None:
    if not library.unfinished() and not library.waiting()[0]:
        return None
    report = library.finish(_Logged(), doubtful=doubtful)
    with open_inbox(library.settings.home, _Logged().wait) as inbox:
        for outcome in report.outcomes:
            _settle(inbox, outcome)
    return report.stopped


def _look_around(inbox: Path, before: dict[Path, Look], stuck: set[Path]) -> dict[Path, Look]:
    looks = {}
    for path in arrivals(inbox):
        try:
            look = look_at(inbox, path, before.get(path))
        except OSError as error:
            _leave(path, error, stuck)
            continue
        if look:
            looks[path] = look
    return looks


def _is_ready(inbox: Path, path: Path, look: Look, patience: Patience, stuck: set[Path]) -> bool:
    if path in stuck:
        return False
    try:
        return is_whole(inbox, path, look, patience)
    except InputError as error:
        if look_at(inbox, path):
            _leave(path, error, stuck)
        return False
    except OSError as error:
        _leave(path, error, stuck)
        return False


def _take(
    library: Library, path: Path, look: Look, stuck: set[Path], *, doubtful: bool
) -> BookBrainError | None:
    """Make a book of the file; a fault that is not the book's, if there was one."""
    with open_inbox(library.settings.home, _Logged().wait) as inbox:
        if not look_at(inbox, path):
            return None
        name = str(path.relative_to(inbox))
        log.info("begin file=%r bytes=%d", name, look.size)
        report = _added(library, path, look, doubtful=doubtful)
        reported = str(path).encode(errors="replace").decode()
        outcome = next((one for one in report.outcomes if one.path == reported), None)
        for other in report.outcomes:
            if other is not outcome:
                _settle(inbox, other)
        if outcome is None:
            stuck.update([] if report.stopped else [path])
            return report.stopped
        now = look_at(inbox, path)
        if now and not now.is_like(look):
            log.info("changing file=%r: it is looked at again", name)
            return report.stopped
        record_outcome(outcome, name)
        try:
            _put_away(inbox, path, outcome)
        except OSError as error:
            _leave(path, error, stuck)
        return report.stopped


def _added(library: Library, path: Path, look: Look, *, doubtful: bool) -> AddReport:
    """What becomes of the file; of what is none without another look."""
    if stat.S_ISREG(look.mode):
        return library.add([path], _Logged(), doubtful=doubtful)
    is_link = stat.S_ISLNK(look.mode)
    why = link_refusal() if is_link else InputError("it is not a file", "Put a PDF there.")
    name = str(path).encode(errors="replace").decode()
    return AddReport((Outcome(name, "failed", None, why.message, why.hint),))


def _settle(inbox: Path, outcome: Outcome) -> None:
    """Record what became of a file that was on its way already, and put it away if it failed.

    Another one of the inbox has its turn: it may have changed, and is known then.
    """
    record_outcome(outcome)
    path = Path(outcome.path)
    if outcome.status == "failed" and path.is_relative_to(inbox):
        with suppress(OSError):
            _put_away(inbox, path, outcome)


def _put_away(inbox: Path, path: Path, outcome: Outcome) -> None:
    """Remove a file whose book is in the catalog; move another one to where its reason is."""
    if outcome.status != "failed":
        take_out(inbox, path)
        return
    texts = (outcome.reason, outcome.hint)
    english, korean = (
        "\n".join(printable(translated(text, language)) for text in texts)
        for language in get_args(Language)
    )
    reject(inbox, path, f"{english}\n\n{korean}\n")


def _remove_empty_folders(inbox: Path, patience: Patience, stuck: set[Path]) -> list[Path]:
    """Remove the folders that are empty for a while; the empty ones that are left for later."""
    for path in empty_folders(inbox):
        try:
            with folder_of(inbox, path) as folder:
                found = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
                if path not in stuck and not 0 <= time.time() - found.st_mtime < patience.folder:
                    os.rmdir(path.name, dir_fd=folder)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:  # a file has just come
                _leave(path, error, stuck)
    return [folder for folder in empty_folders(inbox) if folder not in stuck]


def _pause(looks: dict[Path, Look], patience: Patience) -> float:
    """Seconds until it is worth looking again."""
    now = time.monotonic()
    settling = any(now - look.since < patience.settle for look in looks.values())
    return max(0.05, min(patience.settle / 4, patience.look) if settling else patience.look)


def _leave(path: Path, error: OSError | InputError, stuck: set[Path]) -> None:
    """Say it once, and do not come back to it in this run."""
    if path not in stuck:
        cause = error.__cause__ if isinstance(error, InputError) else error
        reason = getattr(cause, "strerror", None) or str(error)
        log.warning("left file=%r: it cannot be read or moved (%s)", str(path), reason)
    stuck.add(path)


class _Logged(Progress):
    def wait(self) -> None:
        log.info("waiting: another bookbrain is writing to the library")
