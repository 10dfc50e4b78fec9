"""Files are taken into the library and made ready, the next ones while one is worked on."""

import os
from collections import deque
from collections.abc import Callable, Container, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import NamedTuple, Self

from bookbrain.durable import PART, sync_folder
from bookbrain.errors import InputError
from bookbrain.index.rows import Job
from bookbrain.ingest.discovery import open_pdf
from bookbrain.library.arrivals import INBOX
from bookbrain.library.preparing import OnStep, Prepared, Preparer
from bookbrain.library.reports import Step
from bookbrain.library.stores import Stores
from bookbrain.wording import fill

_CHUNK = 1 << 20
_MOST_PREPARERS = 4
_AHEAD = 32  # books on their way or ready: while a long one is worked on the preparers go on
_AHEAD_CHARACTERS = 30_000_000  # when so many are ready the preparers wait


@dataclass(frozen=True, slots=True)
class Taken:
    """A file that is in the library, or a copy on its way there. `book` is None for a known one,
    which is to be `mended` where its own file is not what it was."""

    book_id: str
    book: Prepared | None
    mended: bool = False


_Steps = SimpleQueue[tuple[Step, int, int] | None]


class _Turn(NamedTuple):
    """A file on its way: its steps as they are done, None after the last; and what comes of it."""

    steps: _Steps
    taken: Future[Taken]

    @property
    def characters(self) -> int:
        """How long the text is that waits here."""
        if not self.taken.done() or self.taken.cancelled() or self.taken.exception():
            return 0
        book = self.taken.result().book
        return sum(len(page.text) for page in book.pages) if book else 0


class Intake:
    """Takes the files of `jobs`, in this order, and prepares those whose book is none of `known`.

    The next ones are copied and prepared while the caller works on one, or none where each is to be
    `alone`. `known` may grow meanwhile. `begin` hears of each job just before a process works on
    it, in any thread.
    """

    def __init__(
        self, stores: Stores, jobs: Iterable[Job], known: Container[str],
        begin: Callable[[Job], None], *, alone: bool = False,
    ) -> None:  # fmt: skip
        count = 1 if alone else _preparer_count(stores.settings.read_memory)
        self._stores = stores
        self._jobs = iter(jobs)
        self._known = known
        self._begin = begin
        self._ahead = _AHEAD if count > 1 else 1
        self._alone = alone
        self._turns: deque[_Turn] = deque()
        self._locks: dict[str, Lock] = {}  # by book: two files may be the same one
        self._preparers = [Preparer(stores.settings, stores.shards) for _ in range(count)]
        self._idle: SimpleQueue[Preparer] = SimpleQueue()
        for preparer in self._preparers:
            self._idle.put(preparer)
        self._threads = ThreadPoolExecutor(count, "preparing")

    def __enter__(self) -> Self:
        if not self._alone:
            self._look_ahead()
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for preparer in self._preparers:
            preparer.interrupt()
        self._threads.shutdown()
        for preparer in self._preparers:
            preparer.close()

    def take(self, on_step: OnStep) -> Taken:
        """The next file, in the library and ready.

        Raises InputError when it is no book that can be read, OSError when it cannot be kept.
        """
        if self._alone:
            self._look_ahead()
        turn = self._turns.popleft()
        if not self._alone:
            self._look_ahead()
        for step in iter(turn.steps.get, None):
            on_step(*step)
        return turn.taken.result()

    def _look_ahead(self) -> None:
        while (
            len(self._turns) < self._ahead
            and sum(turn.characters for turn in self._turns) < _AHEAD_CHARACTERS
            and (job := next(self._jobs, None))
        ):
            steps: _Steps = SimpleQueue()
            self._turns.append(_Turn(steps, self._threads.submit(self._take, job, steps)))

    def _take(self, job: Job, steps: _Steps) -> Taken:
        path = Path(job.path)
        with ExitStack() as block:
            block.callback(steps.put, None)
            file = block.enter_context(open_pdf(path, _folder_of_others(self._stores, path)))
            opened = Path(f"/proc/self/fd/{file.fileno()}")  # whatever is at `path` by then
            book_id = file_digest(opened)
            with self._locks.setdefault(book_id, Lock()):
                kept = self._keep(path, opened, book_id)
                if book_id in self._known:
                    return Taken(book_id, None, mended=kept.parent != self._stores.books)
                self._begin(job)
                return Taken(book_id, self._prepare(kept, book_id, steps))

    def _keep(self, path: Path, opened: Path, book_id: str) -> Path:
        """Where the file of a book is, which is open: in the library, or a copy on its way there.

        A file in the library that is not what it was is no reason to leave the good one out.
        """
        stored, copy = self._stores.stored_file(book_id), self._stores.incoming_file(book_id)
        if path.parent == self._stores.books and path != stored:
            raise InputError(
                "it is not the file that it was when it was added",
                "Bring it back from a backup, or add the good file again.",
            )
        if path == stored or self._stores.has_file(book_id):
            return stored
        if not copy.exists():
            _copy_file(opened, copy, book_id)
        return copy

    def _prepare(self, stored: Path, book_id: str, steps: _Steps) -> Prepared:
        preparer = self._idle.get()
        try:
            return preparer.prepare(stored, book_id, lambda *step: steps.put(step))
        finally:
            self._idle.put(preparer)


def _folder_of_others(stores: Stores, path: Path) -> Path | None:
    """The inbox where the file is in it: others may write there."""
    inbox = stores.home / INBOX
    return inbox if path.is_relative_to(inbox) else None


def _preparer_count(memory_mb: int) -> int:
    """As many as there are cores, if all at their limit leave half of the memory free."""
    machine_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, _MOST_PREPARERS, machine_mb // 2 // memory_mb))


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex; InputError when it cannot be read to its end."""
    digest = sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise InputError(
            fill("it cannot be read ({reason})", reason=error.strerror), "Get the file again."
        ) from error
    return digest.hexdigest()


def _copy_file(path: Path, target: Path, book_id: str) -> None:
    """Copy a book; InputError when it changes while it is copied."""
    part = target.with_name(target.name + PART)
    digest = sha256()
    with path.open("rb") as source, part.open("wb") as copy:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    if digest.hexdigest() != book_id:
        part.unlink()
        raise InputError("it changed while it was read", "Add it again when it is complete.")
    part.chmod(0o600)
    part.replace(target)
    sync_folder(target.parent)
