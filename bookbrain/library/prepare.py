"""Books are made ready by child processes, the next ones while one is worked on."""

import hashlib
import json
import logging
import os
import subprocess
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any, NamedTuple, Self
from unicodedata import normalize

from bookbrain.errors import ConfigError, InputError, UnavailableError
from bookbrain.files import PART, sync_folder
from bookbrain.formats.fork_server import lines_until
from bookbrain.formats.format import FORMAT
from bookbrain.formats.pdf import (
    FROM_OUTSIDE,
    Deadlines,
    killed,
    read_pdf,
)
from bookbrain.formats.text import count_tokens, make_passages, text_of
from bookbrain.library.recognised_text import with_recognised
from bookbrain.messages import fill, unpacked
from bookbrain.model import Page, Passage, Plan, Progress, Step, edition_of
from bookbrain.ocr.choice import TO_RECOGNISE
from bookbrain.ocr.pace import seconds_for
from bookbrain.ocr.tesseract import find_engine
from bookbrain.processes import describe_exit, end, start_module
from bookbrain.settings import Settings
from bookbrain.store.catalog import Job, problems_of_pages
from bookbrain.store.folder import Stores
from bookbrain.store.rows import parse_spans, to_page

log = logging.getLogger(__name__)
_MAX_BYTES = 1 << 30  # of what a preparer says of one book
OnStep = Callable[[Step, int, int], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A book whose postings are in its segment; `title` is "" where the file names none."""

    title: str
    pages: tuple[Page, ...]
    passages: tuple[Passage, ...]


class PreparerFault(Exception):
    """The child failed in a way that is no book's fault. The log has where."""


class Preparer:
    """Makes books ready in a child process, one at a time. It starts with the first book."""

    def __init__(self, settings: Settings, segments: Path) -> None:
        self._limits = (settings.read_timeout, settings.read_memory)
        self._segments = segments
        self._child: subprocess.Popen[bytes] | None = None
        self._interrupted = False

    def close(self) -> None:
        """End the child, whatever it does."""
        if child := self._child:
            end(child)
            for pipe in (child.stdin, child.stdout, child.stderr):
                if pipe:
                    pipe.close()
        self._child = None

    def interrupt(self) -> None:
        """End the child, for good, from another thread: whoever waits for it gets an error."""
        self._interrupted = True
        if child := self._child:
            end(child)

    def prepare(self, path: Path, book_id: str, on_step: OnStep) -> Prepared:
        """Make the book at `path` ready.

        Raises InputError with the reason, which completes the sentence "… cannot be added: …"
        (KilledError when somebody ended the process), OSError when the disk is full, PreparerFault
        for what should never be.
        """
        child = self._started()
        _tell(child, [str(path), book_id, str(self._segments)])
        assert child.stdout  # noqa: S101  (a pipe was asked for)
        deadlines = Deadlines(self._limits[0], all_of_it=True)
        try:
            for answer in lines_until(child.stdout, lambda: deadlines.next, _MAX_BYTES):
                line = json.loads(answer)
                if "step" not in line:
                    return _made(line)
                step, done, total = line["step"]
                deadlines.hear(total)
                on_step(step, done, total)
        except TimeoutError as error:
            self.close()
            raise deadlines.error from error
        raise self._ended(child)

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._child and self._child.poll() is None:
            return self._child
        self.close()
        self._child = start_module(
            "bookbrain.library.prepare_child", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        _tell(self._child, self._limits)
        if self._interrupted:  # before there was a child that could be ended
            self.close()
            raise InterruptedError
        return self._child

    def _ended(self, child: "subprocess.Popen[bytes]") -> Exception:
        code = child.wait()
        complaint = child.stderr.read().decode(errors="replace") if child.stderr else ""
        self.close()
        if code > 0:
            log.error("a book could not be prepared\n%s", complaint)
            return PreparerFault()
        error = InputError(
            fill("the process that prepares it ended ({reason})", reason=describe_exit(code)),
            "There may be too little memory: lower BOOKBRAIN_READ_MEMORY, or close other programs.",
        )
        return killed(error) if code in FROM_OUTSIDE else error


def _tell(child: "subprocess.Popen[bytes]", line: Sequence[Any]) -> None:
    assert child.stdin  # noqa: S101  (a pipe was asked for)
    with suppress(BrokenPipeError):  # its output ends too, and tells why
        child.stdin.write(json.dumps(line).encode() + b"\n")
        child.stdin.flush()


def _made(line: dict[str, Any]) -> Prepared:
    if "book" in line:
        return _book(*line["book"])
    if "errno" in line:
        raise OSError(line["errno"], os.strerror(line["errno"]))
    error = InputError(unpacked(line["error"]), unpacked(line["hint"]))
    raise killed(error) if line["killed"] else error


def _book(title: str, pages: list[Any], spans: list[str]) -> Prepared:
    made = tuple(to_page(row) for _, *row in pages)
    texts = {page.number: page.text for page in made}
    passages = map(parse_spans, spans)
    return Prepared(
        title, made, tuple(Passage(n, of, text_of(texts, of)) for n, of in enumerate(passages))
    )


_CHUNK = 1 << 20
_MOST_PREPARERS = 4
_AHEAD = 32  # books on their way or ready: while a long one is worked on the preparers go on
_AHEAD_CHARACTERS = 30_000_000  # when so many are ready the preparers wait


@dataclass(frozen=True, slots=True)
class TakenFile:
    """A file that is in the library, or a copy on its way there. `book` is None for a known one,
    which is to be `mended` where its own file is not what it was."""

    book_id: str
    book: Prepared | None
    mended: bool = False


_Steps = SimpleQueue[tuple[Step, int, int] | None]


class _Turn(NamedTuple):
    """A file on its way: its steps as they are done, None after the last; and what comes of it."""

    job: Job
    steps: _Steps
    taken: Future[TakenFile]

    @property
    def ready(self) -> TakenFile | None:
        """What came of it, if that is known, and good."""
        if not self.taken.done() or self.taken.cancelled() or self.taken.exception():
            return None
        return self.taken.result()

    @property
    def characters(self) -> int:
        """How long the text is that waits here."""
        book = taken.book if (taken := self.ready) else None
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
        self._shown: set[int] = set()
        self._locks: dict[str, Lock] = {}  # by book: two files may be the same one
        self._preparers = [Preparer(stores.settings, stores.segments) for _ in range(count)]
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

    def take(self, on_step: OnStep) -> TakenFile:
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

    def ready(self) -> Iterator[tuple[Job, TakenFile]]:
        """Of the files that `take` will give, in this order, those that are ready: each once."""
        for turn in list(self._turns):
            if turn.job.id not in self._shown and (taken := turn.ready):
                self._shown.add(turn.job.id)
                yield turn.job, taken

    def _look_ahead(self) -> None:
        while (
            len(self._turns) < self._ahead
            and sum(turn.characters for turn in self._turns) < _AHEAD_CHARACTERS
            and (job := next(self._jobs, None))
        ):
            steps: _Steps = SimpleQueue()
            self._turns.append(_Turn(job, steps, self._threads.submit(self._take, job, steps)))

    def _take(self, job: Job, steps: _Steps) -> TakenFile:
        path, inbox = Path(job.path), self._stores.paths.inbox
        with ExitStack() as block:
            block.callback(steps.put, None)
            folder = inbox if path.is_relative_to(inbox) else None  # where others may write
            file = block.enter_context(FORMAT.open(path, folder))
            opened = Path(f"/proc/self/fd/{file.fileno()}")  # whatever is at `path` by then
            book_id = file_digest(opened)
            with self._locks.setdefault(book_id, Lock()):
                kept = self._keep(path, opened, book_id)
                if book_id in self._known:
                    return TakenFile(book_id, None, mended=kept.parent != self._stores.books)
                self._begin(job)
                return TakenFile(book_id, self._prepare(kept, book_id, steps))

    def _keep(self, path: Path, opened: Path, book_id: str) -> Path:
        """Where the file of a book is, which is open: in the library, or a copy on its way there.

        A file in the library that is not what it was is no reason to leave the good one out.
        """
        paths = self._stores.paths
        stored, copy = paths.book_file(book_id), paths.incoming_file(book_id)
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


def _preparer_count(memory_mb: int) -> int:
    """As many as there are cores, if all at their limit leave half of the memory free."""
    machine_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, _MOST_PREPARERS, machine_mb // 2 // memory_mb))


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex; InputError when it cannot be read to its end."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            fill("it cannot be read ({reason})", reason=error.strerror), "Get the file again."
        ) from error


def _copy_file(path: Path, target: Path, book_id: str) -> None:
    """Copy a book; InputError when it changes while it is copied."""
    part = target.with_name(target.name + PART)
    digest = hashlib.sha256()
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


def plan_file(stores: Stores, path: Path, name: str, progress: Progress) -> Plan:
    """The plan for the PDF at `path`, which is known by `name`; it is read, and nothing changes."""
    try:
        return _plan(stores, path, name, progress)
    except InputError as error:
        return Plan(name, reason=error.message, hint=error.hint)


def _plan(stores: Stores, path: Path, name: str, progress: Progress) -> Plan:
    FORMAT.open(path).close()  # it may be none
    book_id = file_digest(path)
    if book := stores.catalog.book(book_id):
        known = stores.has_file(book.id)  # else adding it mends the book
        return Plan(name, book.title, book.pages, book.passages, 0, known=known)
    text = read_pdf(
        path,
        timeout=stores.settings.read_timeout,
        memory_mb=stores.settings.read_memory,
        progress=lambda *at: progress.step("reading", *at),
    )
    read = stores.embeddings.recognised.of_file(book_id)  # when it was here before
    pages = with_recognised(text.pages, read)
    passages = make_passages(pages)
    tokens = sum(count_tokens(passage.text) for passage in passages)
    name = normalize("NFC", name)
    title = text.title or Path(name).stem
    namesake = _namesake(stores, title, name)
    plan = Plan(name, title, len(pages), len(passages), tokens, namesake=namesake)
    problems = [(page.number, page.problem) for page in pages if page.problem]
    scans = sum(problem in TO_RECOGNISE and number not in read for number, problem in problems)
    return replace(plan, problems=tuple(problems_of_pages(problems)), **_scans(stores, scans))


def _namesake(stores: Stores, title: str, name: str) -> str:
    """That a book of this title or file name is there already, for a person; "" where none is."""
    for book in stores.catalog.books():
        if normalize("NFC", book.file) == name or normalize("NFC", book.title) == normalize(
            "NFC", title
        ):
            return fill(
                "another book of this title or file name is there: {edition}",
                edition=edition_of(book),
            )
    return ""


def _scans(stores: Stores, scans: int) -> dict[str, Any]:
    """The fields of a plan on so many pages that text recognition has to read."""
    if not scans:
        return {}
    try:
        find_engine(stores.settings)
    except (ConfigError, UnavailableError) as error:
        return {"scans": scans, "scan_trouble": error.whole}
    return {"scans": scans, "scan_seconds": seconds_for(scans, stores.home)}
