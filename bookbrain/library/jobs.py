"""What is on its way into the library, how far it is, and how often its work began."""

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from time import monotonic
from types import TracebackType
from typing import Self

from bookbrain.library.inbox import INBOX, arrivals
from bookbrain.messages import fill
from bookbrain.model import Arrival, Outcome, Progress, Step
from bookbrain.store.catalog import Catalog
from bookbrain.store.folder import Stores
from bookbrain.store.rows import Job

DOUBTFUL = 2  # attempts without an end, after which a job goes last, and alone
MOST = 5  # after which it is given up


class Attempts:
    """Counts the attempts at jobs before they begin, for several threads.

    What has not ended when the block does was left in order and does not count; what a crash leaves
    counts, and so do those that are `kept`.
    """

    def __init__(self, stores: Stores) -> None:
        self._catalog = Catalog(stores.home / "catalog.sqlite3")
        self._lock = Lock()
        self._begun: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
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


class Noted:
    """Tells `progress`, and notes in the catalog how far a job is, at most twice a second.

    A note that cannot be written is left out: the work itself meets the full disk soon enough.
    """

    def __init__(self, progress: Progress, catalog: Catalog, job: int) -> None:
        self._progress = progress
        self._catalog = catalog
        self._job = job
        self._noted: Step | None = None
        self._next = 0.0

    def wait(self) -> None:
        self._progress.wait()

    def begin(self, file: str, number: int, of: int) -> None:
        self._progress.begin(file, number, of)

    def step(self, step: Step, done: int, total: int) -> None:
        if step != self._noted or monotonic() >= self._next:
            self._noted, self._next = step, monotonic() + _OFTEN
            with suppress(sqlite3.Error):
                self._catalog.note_progress(self._job, step, done, total)
        self._progress.step(step, done, total)

    def end(self, outcome: Outcome) -> None:
        self._progress.end(outcome)


def under_way(stores: Stores) -> list[Arrival]:
    """The files that are worked on, those that wait for their turn, and those that go last."""
    inbox = stores.home / INBOX
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
