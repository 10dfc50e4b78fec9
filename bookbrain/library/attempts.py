"""How often the work on a job began: what ends its process again and again goes last."""

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from threading import Lock
from types import TracebackType
from typing import Self

from bookbrain.index.catalog import Catalog
from bookbrain.index.rows import Job
from bookbrain.library.stores import Stores
from bookbrain.wording import fill

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
