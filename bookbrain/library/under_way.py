"""What is on its way into the library: noted while it is worked on, read by whoever looks."""

import sqlite3
from contextlib import suppress
from pathlib import Path
from time import monotonic

from bookbrain.index.catalog import Catalog
from bookbrain.index.rows import Job
from bookbrain.library.arrivals import INBOX, arrivals
from bookbrain.library.attempts import doubt, parted
from bookbrain.library.reports import Arrival, Outcome, Progress, Step
from bookbrain.library.stores import Stores

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
