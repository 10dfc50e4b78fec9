"""Open libraries for many threads; the inbox is worked off where no unit does it."""

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import BoundedSemaphore, Event, Lock, Semaphore, Thread
from time import monotonic, sleep

from bookbrain.errors import BookBrainError, BusyError, ConfigError
from bookbrain.library import Library
from bookbrain.processes import end, start_module
from bookbrain.remote import Turn
from bookbrain.settings import Settings
from bookbrain.web.uploads import Uploads

_MOST = 8
_MOST_WAITING = 24  # beside them: of searches that may wait for a server
_AT_WORK = 1  # of these at a time: for all others it is as if there were one more of them
_PATIENCE = 30.0  # seconds
_OTHERS_SECONDS = 1.75  # for what a search asks others, but for the reranker
_BUSY = BusyError("Too many searches are under way.", "Try again in a moment.")
_MOST_ANSWERS = 4  # which take minutes, and hold up no search
_BUSY_ANSWERING = BusyError("Too many questions are under way.", "Try again in a moment.")
_WAKE_TRIES, _WAKE_PAUSE = 6, 10.0  # seconds between two
_log = logging.getLogger(__name__)


class Shelf:
    """At most `most` open libraries: opened when they are needed, then kept until `close`.

    Beside them are those of searches that ask another server. However many of these wait, or come
    back at once, all others go on nearly as fast as without them. `busy` is what is said when none
    gets free within the seconds of `patience`.
    """

    def __init__(
        self, settings: Settings, most: int = _MOST, patience: float = _PATIENCE,
        busy: BusyError = _BUSY,
    ) -> None:  # fmt: skip
        self.settings = settings
        self.wake_ingestion: Callable[[], object] = int  # nobody, where a unit does it
        self.uploads = Uploads(settings.home)
        self._quick = _Row(settings, most, patience, busy)
        self._slow = _Row(settings, _MOST_WAITING, patience, busy)
        self._long = _Row(settings, _MOST_ANSWERS, 1.0, _BUSY_ANSWERING)
        self._work = Semaphore(_AT_WORK)

    @property
    def home(self) -> Path:
        """Where the library lives."""
        return self.settings.home

    @contextmanager
    def library(self) -> Iterator[Library]:
        """A library that is nobody else's until the block ends.

        Whatever goes wrong in the block comes out as a BookBrainError; what was none is logged,
        without its message: that could hold a part of a book or of a query. Raises BusyError when
        no library gets free in time.
        """
        with _failures_told(), self._quick.place(), self._quick.lend() as library:
            yield library

    @contextmanager
    def patient_library(self) -> Iterator[Library]:
        """The same for who may ask another server, and wait 1.75 s for that in all."""
        begun = monotonic()
        with _failures_told(), self._slow.place():
            turn = Turn(self._work, _OTHERS_SECONDS - (monotonic() - begun))
            with turn.taken(), self._slow.lend() as library:
                yield library

    @contextmanager
    def lasting_library(self) -> Iterator[Library]:
        """The same for who answers a question, which may take minutes: four at most."""
        with _failures_told(), self._long.place(), self._long.lend() as library:
            yield library

    def wake_chroma(self) -> None:
        """Have Chroma load its index before a search asks for it; one that is not there yet, as
        after a start of the machine, is asked again a few times. The library is the next search's.
        """
        for _ in range(_WAKE_TRIES):
            with suppress(BookBrainError), _failures_told(), self._slow.lend() as library:
                library.wake_chroma()
                return
            sleep(_WAKE_PAUSE)

    def close(self) -> None:
        """Close the libraries: those in use when their blocks end."""
        self._quick.close()
        self._slow.close()
        self._long.close()


@contextmanager
def _failures_told() -> Iterator[None]:
    try:
        yield
    except BookBrainError:
        raise
    except Exception as error:  # noqa: BLE001  (the edge of the web app)
        trace = "".join(traceback.format_tb(error.__traceback__))
        _log.error("%s in the web app\n%s", type(error).__name__, trace.rstrip())
        raise BookBrainError("BookBrain failed on this.", "Its log shows where.") from None


class _Row:
    """At most so many open libraries."""

    def __init__(self, settings: Settings, most: int, patience: float, busy: BusyError) -> None:
        self._settings = settings
        self._patience = patience
        self._busy = busy
        self._places = BoundedSemaphore(most)
        self._lock = Lock()
        self._free: list[Library] = []
        self._closed = False

    @contextmanager
    def place(self) -> Iterator[None]:
        if not self._places.acquire(timeout=self._patience):
            raise BusyError(self._busy.message, self._busy.hint)
        try:
            yield
        finally:
            self._places.release()

    @contextmanager
    def lend(self) -> Iterator[Library]:
        """For who has a place."""
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
        with self._lock:
            self._closed = True
            free, self._free = self._free, []
        for library in free:
            library.close()


_shelves: list[Shelf] = []


def use_shelf(shelf: Shelf, desk: Shelf | None = None) -> None:
    """Make `shelf` the one of the pages: Streamlit calls them without arguments.

    At the `desk`, which is the shelf where there is none, PDFs are read and copied.
    """
    _shelves[:] = [shelf, desk or shelf]


def make_desk(settings: Settings) -> Shelf:
    """A shelf for few readers who take their time, so that no search waits for them."""
    busy = BusyError("Other uploads are being read just now.", "Try again in a moment.")
    return Shelf(settings, most=2, patience=180.0, busy=busy)


def the_shelf() -> Shelf:
    """The shelf of the pages."""
    return _shelves[0]


def the_desk() -> Shelf:
    """Where what takes long is done."""
    return _shelves[1]


_RETRY = 60.0  # seconds after which it is tried again, as in bookbrain-ingest.service
_GRACE = 5.0  # seconds that a child has at the end; what it leaves, the next one finishes


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
