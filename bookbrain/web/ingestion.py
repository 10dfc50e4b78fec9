"""Working on the inbox where no unit of systemd does."""

import logging
from collections.abc import Callable
from threading import Event, Lock, Thread

from bookbrain.children import end, start_module
from bookbrain.errors import BookBrainError, ConfigError
from bookbrain.web.shelf import Shelf

_RETRY = 60.0  # seconds after which it is tried again, as in bookbrain-ingest.service
_GRACE = 5.0  # seconds that a child has at the end; what it leaves, the next one finishes

_log = logging.getLogger(__name__)


class Ingestion:
    """Runs `bookbrain ingest-inbox`, what the unit of a server runs, one at a time.

    It begins with what was left on its way, and goes on whenever it is woken.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._wanted = Event()
        self._ended = False
        self._child_lock = Lock()
        self._stop_child: Callable[[], object] = int  # nothing to stop yet
        Thread(target=self._run, name="ingestion", daemon=True).start()

    def wake(self) -> None:
        """Have what is in the inbox now worked on, soon."""
        self._wanted.set()

    def close(self) -> None:
        """End the work; what is not finished is so at the next start."""
        with self._child_lock:
            self._ended = True
            self._stop_child()
        self._wanted.set()

    def _run(self) -> None:
        if self._has_work():
            self.wake()
        while self._wanted.wait() and not self._ended:
            self._wanted.clear()
            if self._work() not in (0, ConfigError.exit_code) and not self._ended:
                self._wanted.wait(_RETRY)
                self.wake()

    def _has_work(self) -> bool:
        try:
            with self._shelf.library() as library:
                return bool(library.under_way())
        except BookBrainError as error:
            _log.warning("the inbox cannot be looked at: %s", error.for_log)
            return False

    def _work(self) -> int:
        with self._child_lock:
            if self._ended:
                return 0
            child = start_module("bookbrain.cli", "ingest-inbox", stderr=None, with_secrets=True)
            self._stop_child = lambda: end(child, _GRACE)
        return child.wait()


_running: list[Ingestion] = []


def use_ingestion(ingestion: Ingestion | None) -> None:
    """Make it the one of the pages; None where a unit of systemd watches the inbox."""
    _running[:] = [ingestion] if ingestion else []


def wake_ingestion() -> None:
    """See to it that the inbox is worked on."""
    for ingestion in _running:
        ingestion.wake()
