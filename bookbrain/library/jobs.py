"""The life of a book, job by job, from a path to a row in the catalog."""

import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Self
from unicodedata import normalize

from bookbrain.errors import BookBrainError, InputError
from bookbrain.files import remove
from bookbrain.formats.pdf import KilledError
from bookbrain.library.buyer import Buyer
from bookbrain.library.inbox import arrivals
from bookbrain.library.prepare import Intake, Prepared
from bookbrain.library.recognised_text import recognised_book
from bookbrain.log import Event
from bookbrain.messages import fill
from bookbrain.model import (
    AddReport,
    Arrival,
    Book,
    Outcome,
    Passage,
    PassedOn,
    Progress,
    Step,
    parse_space,
)
from bookbrain.ocr.choice import TO_RECOGNISE
from bookbrain.paths import PDF
from bookbrain.search.retrieval import ConnectedStores
from bookbrain.store.catalog import Catalog, Job, NewBook
from bookbrain.store.damage import look_again
from bookbrain.store.folder import GO_ON, Stores, storage_error, storage_errors
from bookbrain.store.identity import read_card, write_cards
from bookbrain.store.rows import StoredPassage

DOUBTFUL = 2  # attempts without an end, after which a job goes last, and alone
MOST = 5  # after which it is given up


class Attempts:
    """Counts the attempts at jobs before they begin, for several threads.

    What has not ended when the block does was left in order and does not count; what a crash leaves
    counts, and so do those that are `kept`.
    """

    def __init__(self, stores: Stores) -> None:
        self._catalog = Catalog(stores.paths.catalog)
        self._lock = Lock()
        self._begun: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(sqlite3.Error):  # without room for it they count
            self._catalog.forget_attempts(self._begun)
        self._catalog.close()

    def begin(self, job: Job) -> None:
        """Count an attempt at the job."""
        with self._lock:
            self._catalog.count_attempt(job.id)
            self._begun.add(job.id)

    def keep(self, job: Job) -> None:
        """Let the attempt at this job count: its process was ended."""
        with self._lock:
            self._begun.discard(job.id)


def parted(jobs: Sequence[Job]) -> tuple[list[Job], list[Job]]:
    """The jobs that are worked on as usual, and those that go last, the least doubtful first."""
    last = [job for job in jobs if DOUBTFUL <= job.attempts < MOST]
    return [job for job in jobs if job not in last], sorted(last, key=lambda job: job.attempts)


def doubt(job: Job) -> str:
    """What is said of a job that goes last, else ""."""
    if not DOUBTFUL <= job.attempts < MOST:
        return ""
    return fill("Its process was ended {times} times, so it goes last.", times=job.attempts)


_OFTEN = 0.5  # seconds between two notes of the same step


class Noted(PassedOn):
    """Tells `progress`, and notes in the catalog how far a job is, at most twice a second.

    A note that cannot be written is left out: the work itself meets the full disk soon enough.
    """

    def __init__(self, progress: Progress, catalog: Catalog, job: int) -> None:
        super().__init__(progress)
        self._catalog = catalog
        self._job = job
        self._noted: Step | None = None
        self._next = 0.0

    def step(self, step: Step, done: int, total: int) -> None:
        if step != self._noted or monotonic() >= self._next:
            self._noted, self._next = step, monotonic() + _OFTEN
            with suppress(sqlite3.Error):
                self._catalog.note_progress(self._job, step, done, total)
        super().step(step, done, total)


def under_way(stores: Stores) -> list[Arrival]:
    """The files that are worked on, those that wait for their turn, and those that go last."""
    inbox = stores.paths.inbox
    first, last = parted(stores.catalog.jobs())
    asked = {job.path for job in (*first, *last)}
    return [
        *(_arrival(job, inbox) for job in first),
        *(Arrival(_name(path, inbox)) for path in arrivals(inbox) if str(path) not in asked),
        *(_arrival(job, inbox) for job in last),
    ]


def _arrival(job: Job, inbox: Path) -> Arrival:
    waiting = job.waiting or doubt(job)
    return Arrival(_name(Path(job.path), inbox), job.step, job.done, job.total, waiting)


def _name(path: Path, inbox: Path) -> str:
    name = path.relative_to(inbox) if path.is_relative_to(inbox) else path.name
    return str(name).encode(errors="replace").decode()


log = logging.getLogger(__name__)


def finish_jobs(stores: ConnectedStores, progress: Progress, *, doubtful: bool = True) -> AddReport:
    """Take every job to its end: a book that is whole, or a reason why not.

    A job whose process was ended again and again goes last, or not at all where `doubtful` is
    false; after too many times it is given up. A fault that is no book's own (a service is gone,
    the disk is full) ends the work and leaves the jobs for another time; the report names it.
    """
    outcomes: list[Outcome] = []
    stores.catalog.set_waiting("")  # a crash from here on is a crash
    first, last = parted(_remaining(stores))
    killed: list[Job] = []
    with Attempts(stores) as attempts:
        work = _Work(stores, progress, attempts, outcomes)
        stopped = work.through(first, killed)
        if stopped is None and (again := [*killed, *(last if doubtful else [])]):
            stopped = work.through(again, None)
    if stopped:
        with suppress(sqlite3.Error):
            stores.catalog.set_waiting(stopped.message)
    if any(outcome.status == "mended" for outcome in outcomes):
        look_again(stores.home)  # what the file that was added mends is damage no more
    return AddReport(tuple(outcomes), stopped)


@dataclass(frozen=True, slots=True)
class _Work:
    """What is done with jobs, and the outcomes so far."""

    stores: ConnectedStores
    progress: Progress
    attempts: Attempts
    outcomes: list[Outcome]

    def through(self, jobs: Sequence[Job], killed: list[Job] | None) -> BookBrainError | None:
        """Work on the jobs, each alone where there is no list for those that are `killed`.

        Returns the fault that ended the work early.
        """
        stores, progress = self.stores, self.progress
        known = set(stores.catalog.book_ids())
        hopeful = [job for job in jobs if job.attempts < MOST]
        alone = killed is None
        with (
            Intake(stores, hopeful, known, self.attempts.begin, alone=alone) as intake,
            Buyer(stores, lambda: _ahead(stores, intake)) as buyer,
        ):
            for number, job in enumerate(jobs, start=1):
                progress.begin(Path(job.path).name, number, len(jobs))
                noted = Noted(progress, stores.catalog, job.id)
                try:
                    outcome = _finish(stores, job, intake, buyer, noted, last=alone)
                except KilledError:
                    self.attempts.keep(job)
                    if killed is not None:
                        killed.append(job)
                    continue
                except BookBrainError as error:
                    return error
                if outcome.book:
                    known.add(outcome.book.id)
                self.outcomes.append(outcome)
                progress.end(outcome)
        return None


def _remaining(stores: Stores) -> list[Job]:
    """The jobs, but for files that somebody took out of the inbox: these end, nobody misses them.

    Mostly their book is in already.
    """
    remaining = []
    for job in stores.catalog.jobs():
        if Path(job.path).is_relative_to(stores.paths.inbox) and not os.path.lexists(job.path):
            stores.catalog.end_job(job.id)
        else:
            remaining.append(job)
    return remaining


def _finish(
    stores: ConnectedStores, job: Job, intake: Intake, buyer: Buyer, progress: Progress, *,
    last: bool,
) -> Outcome:  # fmt: skip
    """One job's outcome; raises BookBrainError when it is not the book's fault.

    KilledError when its process was ended, unless this was its `last` chance.
    """
    try:
        if job.attempts >= MOST:
            raise InputError(
                fill("the process that reads it was ended {times} times", times=job.attempts),
                "There may be too little memory for it: split it, or add it on a larger machine.",
            )
        if said := doubt(job):
            log.warning("again file=%r: %s", Path(job.path).name, said)
        return _add(stores, job, intake, buyer, progress)
    except InputError as error:
        if isinstance(error, KilledError) and not last:
            raise
        outcome = Outcome(job.path, "failed", None, error.message, error.hint)
    except (OSError, sqlite3.Error) as error:
        raise storage_error(error, GO_ON) from error
    except BookBrainError:
        raise
    except Exception as error:  # one book never stops the others
        name = Path(job.path).name
        log.error("fault file=%r", name, exc_info=True, extra={"fields": Event(event="fault")})
        reason = fill(
            "BookBrain failed on it ({kind})", kind=type(error).__name__
        )  # which may quote the book
        hint = "Please report this; `bookbrain --verbose add` shows where."
        outcome = Outcome(job.path, "failed", None, reason, hint)
    with storage_errors(GO_ON):
        stores.catalog.end_job(job.id)
    return outcome


def _add(
    stores: ConnectedStores, job: Job, intake: Intake, buyer: Buyer, progress: Progress
) -> Outcome:
    path = Path(job.path)
    taken = intake.take(progress.step)
    book_id, ready = taken.book_id, taken.book
    if ready is None or stores.catalog.has_book(book_id):
        with stores.writing(progress.wait):
            return _known(stores, job, book_id, mended=taken.mended)
    book = _new_book(stores, path, book_id, ready)
    read = recognised_book(
        NewBook(book, ready.pages, ready.passages), stores.embeddings.recognised.of_file(book_id)
    )
    new, tokens = _embedded(stores, path, read, buyer, progress)
    progress.step("indexing", 0, 1)
    with stores.writing(progress.wait):
        if new.pages is not ready.pages:  # else its preparer has written its postings
            stores.index_text(new.text, new.pages)
        commit = stores.index_texts([*stores.catalog.texts(), new.text])
        _commit(stores, new, commit, job.id)
        stores.drop_old_indexes()
    progress.step("indexing", 1, 1)
    known = sum(other.file == book.file for other in stores.catalog.namesakes([book_id])) - 1
    added = stores.catalog.book(book_id, new.space)
    return Outcome(job.path, "added", added, tokens=tokens, namesakes=known)


def _known(stores: Stores, job: Job, book_id: str, *, mended: bool) -> Outcome:
    """Of a file whose book is there, unless somebody has removed that since it was looked for."""
    book = stores.catalog.book(book_id)
    if book is None:
        raise InputError("its book was removed while this one was added", "Add it again.")
    if mended:
        stores.take_file(book_id)
    stores.catalog.end_job(job.id)
    return Outcome(job.path, "mended" if mended else "known", book)


def _new_book(stores: Stores, path: Path, book_id: str, ready: Prepared) -> Book:
    """What it is called: as its card says, where a lost catalog left one."""
    card = read_card(stores.paths, book_id)
    if path != stores.paths.book_file(book_id):
        file = normalize("NFC", path.name)  # some systems take Hangul apart
    else:
        file = card.file if card else f"{book_id[:12]}{PDF}"
    title = card.title if card else ready.title or Path(file).stem
    now = datetime.now(UTC).isoformat("T", "milliseconds")
    return Book(book_id, title, file, len(ready.pages), 0, card.added_at if card else now)


def _commit(stores: Stores, new: NewBook, commit: str, job: int) -> None:
    """Make the book visible, with its file where those of books are."""
    taken = stores.take_file(new.book.id)
    with ExitStack() as failed:
        if taken:  # the copy is still there
            failed.callback(remove, stores.paths.book_file(new.book.id))
        stores.catalog.add_book(new, commit, job)
        failed.pop_all()
    write_cards(stores.paths, stores.catalog, new.book.id)
    if any(page.problem in TO_RECOGNISE for page in new.pages):
        with suppress(OSError):  # without room: the next start finds them
            stores.paths.scans_came.touch()


def _embedded(
    stores: ConnectedStores, path: Path, new: NewBook, buyer: Buyer, progress: Progress
) -> tuple[NewBook, int]:
    """Buy and publish the vectors of a book, where embedding is configured; the tokens it cost.

    Nothing is bought for a book of a lost catalog: what was bought is there.
    """
    if path == stores.paths.book_file(new.book.id):
        card = read_card(stores.paths, new.book.id)
        reasons = card.refused.get(str(stores.space()), {}) if card else {}
        new = embedded_before(stores, new, {int(n): why for n, why in reasons.items()})
        if new.space and stores.settings.embedding.enabled:
            digests = digests_of(new.passages)
            stores.semantics.publish(parse_space(new.space), new.book.id, digests)
        return new, 0
    if not stores.settings.embedding.enabled or not new.passages:
        return new, 0
    space, refused, tokens = buyer.embed(new.book.id, new.passages, progress)
    return replace(new, space=space, refused=refused), tokens


def _ahead(stores: Stores, intake: Intake) -> Iterator[Sequence[Passage]]:
    """The passages of the books that are ready and will be embedded with their own text."""
    for job, taken in intake.ready():
        is_new = Path(job.path) != stores.paths.book_file(taken.book_id)
        if is_new and taken.book and not stores.embeddings.recognised.of_file(taken.book_id):
            yield taken.book.passages


def embedded_before(stores: Stores, new: NewBook, refused: Mapping[int, str]) -> NewBook:
    """The book as one that is embedded, where the store has the vectors of all its passages but
    those that were `refused`, by ordinal, with the reasons."""
    space, digests = stores.space(), digests_of(new.passages)
    wanted = [digest for ordinal, digest in digests.items() if ordinal not in refused]
    if space is None or not digests or stores.embeddings.missing(space, wanted):
        return new
    return replace(new, space=str(space), refused=refused)


def digests_of(passages: Iterable[Passage | StoredPassage]) -> dict[int, str]:
    """What each passage is embedded under, by ordinal."""
    return {passage.ordinal: passage.digest for passage in passages}
