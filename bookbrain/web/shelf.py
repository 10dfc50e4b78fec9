"""Open libraries for many threads, each of which has one to itself while it works."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import BoundedSemaphore, Lock

from bookbrain.config import Settings
from bookbrain.errors import BookBrainError, BusyError
from bookbrain.library import Library

_MOST = 8
_PATIENCE = 30.0  # seconds

_log = logging.getLogger(__name__)


class Shelf:
    """At most `most` open libraries: opened when they are needed, then kept until `close`."""

    def __init__(self, settings: Settings, most: int = _MOST) -> None:
        self._settings = settings
        self._turns = BoundedSemaphore(most)
        self._lock = Lock()
        self._free: list[Library] = []
        self._closed = False

    @property
    def home(self) -> Path:
        """Where the library lives."""
        return self._settings.home

    @contextmanager
    def library(self) -> Iterator[Library]:
        """A library that is nobody else's until the block ends.

        Whatever goes wrong in the block comes out as a BookBrainError; what was none is logged,
        without its message: that could hold a part of a book or of a query. Raises BusyError when
        no library gets free in half a minute.
        """
        if not self._turns.acquire(timeout=_PATIENCE):
            raise BusyError("Too many searches are under way.", "Try again in a moment.")
        try:
            yield from self._lend()
        except BookBrainError:
            raise
        except Exception as error:  # noqa: BLE001  (the edge of the web app)
            trace = "".join(traceback.format_tb(error.__traceback__))
            _log.error("%s in the web app\n%s", type(error).__name__, trace.rstrip())
            raise BookBrainError("BookBrain failed on this.", "Its log shows where.") from None
        finally:
            self._turns.release()

    def _lend(self) -> Iterator[Library]:
        with self._lock:
            library = self._free.pop() if self._free else None
        if library and library.is_replaced():
            library.close()
            library = None
        library = library or Library(self._settings)
        with ExitStack() as broken:
            broken.callback(library.close)  # its stores may be in any state
            try:
                yield library
            except BookBrainError:
                self._take_back(library)
                broken.pop_all()
                raise
            self._take_back(library)
            broken.pop_all()

    def _take_back(self, library: Library) -> None:
        with self._lock:
            if not self._closed and library.writable:  # else the next one sees whether it is now
                self._free.append(library)
                return
        library.close()

    def close(self) -> None:
        """Close the libraries: those in use when their blocks end."""
        with self._lock:
            self._closed = True
            free, self._free = self._free, []
        for library in free:
            library.close()


_shelves: list[Shelf] = []


def use_shelf(shelf: Shelf) -> None:
    """Make `shelf` the one of the pages: Streamlit calls them without arguments."""
    _shelves[:] = [shelf]


def the_shelf() -> Shelf:
    """The shelf of the pages."""
    return _shelves[0]
