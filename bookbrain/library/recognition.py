"""Pages that have no text of their own are read from their pictures, while others work and search.

What is to be read follows from the catalog and the embedding store (`scans_of`), so that whoever is
killed goes on at the page. A page is kept when it is read; the text of its book is replaced after a
portion of pages. Only for that anybody else is kept waiting.
"""

import json
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from time import monotonic

from bookbrain.errors import BookBrainError, BusyError
from bookbrain.files import file_lock, is_locked, remove
from bookbrain.library.recognised_text import BookScans, scans_of, unread_pages
from bookbrain.messages import fill, message_of, unpacked
from bookbrain.model import (
    Book,
    RecognitionPlan,
    RecognitionReport,
    RecognitionState,
    Standing,
)
from bookbrain.ocr.engine import EARLIEST, OcrEngine, Substitute, earliest_way, is_bought
from bookbrain.ocr.pace import keep_pace, readers, seconds_for
from bookbrain.ocr.page_scan import PageScan, UnreadPageError
from bookbrain.ocr.tesseract import find_engine
from bookbrain.paths import refuse_in_upgrade
from bookbrain.processes import describe_exit, module_command, run_program
from bookbrain.search.retrieval import ConnectedStores
from bookbrain.store.catalog import problems_of_pages
from bookbrain.store.folder import Stores, storage_error
from bookbrain.store.recognised import Reading, UnreadPage

log = logging.getLogger(__name__)
_PORTION, _PORTION_SECONDS = 50, 600.0  # pages of a book, or seconds, after which they are found
_CONTENTS = 15  # pages at the beginning of a book, where its contents are
_ATTEMPTS = 2  # at a page: the process that reads it may have been ended by somebody
_LONGEST = 86_400.0  # seconds; who replaces a text may have to wait for a rebuild


OnPage = Callable[[Standing], None]
_Read = Reading | Substitute


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be read: all that has to be, or these `pages` of it, or what is of one `book`. Of
    the book `redo` that is what was read, too. Of these `most` pages; None: all."""

    redo: str = ""
    pages: frozenset[int] = frozenset()
    book: str = ""
    most: int | None = None

    def of(self, book_id: str, scans: BookScans, known: Iterable[int]) -> list[int]:
        """Its pages to be read, of a book; `known` are those that were read or tried."""
        if book_id != (self.redo or self.book or book_id):
            return []
        wanted = {*scans.to_read, *known} if self.redo else {*scans.to_read}
        return sorted(wanted & self.pages if self.pages else wanted)


_ALL = Wish()


def look_at_recognition(stores: Stores) -> RecognitionState:
    """How many pages are still to be read, how long that takes, whether somebody is at it, and why
    nobody can be."""
    pages = unread_pages(stores.catalog, stores.embeddings)
    trouble = ""
    if pages:
        try:
            find_engine(stores.settings)
        except BookBrainError as error:
            trouble = error.whole
    running = is_locked(stores.paths.ocr_lock)
    return RecognitionState(pages, seconds_for(pages, stores.home), trouble, running=running)


def plan_recognition(stores: Stores, engine: OcrEngine | None, wish: Wish) -> list[RecognitionPlan]:
    """What is to be read of each book, why, and about how long that takes; the books in the order
    in which they are read. Without an engine what was read is not judged by it."""
    plans = []
    for book_id, pages in _wanted(stores, engine, wish).items():
        if book := stores.catalog.book(book_id):
            why = dict(stores.catalog.page_problems(book_id))
            reasons = problems_of_pages((n, why.get(n) or message_of("read again")) for n in pages)
            seconds = seconds_for(len(pages), stores.home)
            plans.append(
                RecognitionPlan(book_id, book.title, book.file, len(pages), tuple(reasons), seconds)
            )
    return plans


def _wanted(stores: Stores, engine: OcrEngine | None, wish: Wish) -> dict[str, list[int]]:
    """The pages of each book that are to be read, small books first."""
    wanted = {}
    for book_id in stores.catalog.book_ids():
        scans = scans_of(stores.catalog, stores.embeddings, book_id, engine)
        known = _to_redo(stores, engine, wish) if wish.redo == book_id else ()
        if pages := wish.of(book_id, scans, known):
            wanted[book_id] = pages
    return dict(sorted(wanted.items(), key=lambda item: (len(item[1]), item[0])))


def _to_redo(stores: Stores, engine: OcrEngine | None, wish: Wish) -> set[int]:
    """The pages of a book that are to be read again: what is left of the last time that somebody
    wished so, or all that were read."""
    recognised = stores.embeddings.recognised
    earliest = earliest_way(engine.version) if engine else EARLIEST
    again, read = recognised.to_read_again(wish.redo, earliest), {*recognised.engines(wish.redo)}
    if wish.pages:
        again, read = again & wish.pages, read & wish.pages
    return again or read


# The work


def recognise(
    stores: ConnectedStores, engine: OcrEngine, wish: Wish = _ALL,
    on_page: OnPage = lambda standing: None, *, patient: bool = False,
) -> RecognitionReport:  # fmt: skip
    """Read what is to be read, until nothing is left, and have it found.

    What is to be read again is so for everybody, from the beginning on: whoever comes next goes on.
    Whoever ends it by an exception, as Ctrl-C does, keeps what was read; the pages under way are
    waited for. A fault that is no page's own ends the work and is in the report; where a text could
    not be replaced, that is there after all others were. Raises BusyError
    while a server's release is exchanged, and where another one reads already, but for a `patient`
    one, which waits.
    """
    refuse_in_upgrade(stores.home)
    on_wait = (lambda: None) if patient else _refuse
    with file_lock(stores.paths.ocr_lock, on_wait=on_wait):
        work, stopped = _Work(stores, engine, wish, on_page), None
        try:
            if wish.redo:
                again = _to_redo(stores, engine, wish)
                earliest = earliest_way(engine.version)
                stores.embeddings.recognised.read_again(wish.redo, again, earliest)
            with _scratch(stores):
                work.through()
        except (OSError, sqlite3.Error) as error:
            stopped = storage_error(error)
        except BookBrainError as error:
            stopped = error
    return RecognitionReport(
        len(work.tried), work.unread, len(work.changed), tuple(work.substituted),
        stopped=stopped or work.failure(),
    )  # fmt: skip


def _refuse() -> None:
    raise BusyError("Pages are being read just now.", "Wait for it to end: `bookbrain books`.")


@contextmanager
def _scratch(stores: Stores) -> Iterator[None]:
    """The folder for postings that no index names yet, empty."""
    remove(stores.paths.recognising)
    stores.paths.recognising.mkdir(mode=0o700)
    try:
        yield
    finally:
        remove(stores.paths.recognising)


@dataclass(slots=True)
class _Work:
    """What is done, for one call: the pages that were `tried`, how many of them are `unread`, which
    another engine read, the books that are `changed`, those left `aside`, and those whose text
    could not be replaced (`kept`), with the reason."""

    stores: ConnectedStores
    engine: OcrEngine
    wish: Wish
    on_page: OnPage
    tried: set[tuple[str, int]] = field(default_factory=set)
    unread: int = 0
    substituted: list[tuple[str, int, str]] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)
    aside: set[str] = field(default_factory=set)
    kept: dict[str, str] = field(default_factory=dict)
    ending: bool = False

    def through(self) -> None:
        """Read portion after portion; what came meanwhile has its turn too."""
        for book_id in self.stores.catalog.book_ids():
            self._apply(book_id, ())  # what was read before a kill
        wanted = _wanted(self.stores, self.engine, self.wish)
        while wanted := self._left(wanted):
            book_id, pages = _next_portion(wanted)
            if book := self.stores.catalog.book(book_id):
                self._read(book, pages, sum(map(len, wanted.values())))
            else:  # somebody removed it
                self.aside.add(book_id)
            if not self.wish.redo:
                wanted = _wanted(self.stores, self.engine, self.wish)

    def _left(self, wanted: dict[str, list[int]]) -> dict[str, list[int]]:
        left = {
            book_id: [page for page in pages if (book_id, page) not in self.tried]
            for book_id, pages in wanted.items()
            if book_id not in self.aside
        }
        if self.wish.most is not None:  # what came since somebody agreed is for the next time
            room = self.wish.most - len(self.tried)
            for book_id, pages in left.items():
                left[book_id] = pages[: max(room, 0)]
                room -= len(pages)
        return {book_id: pages for book_id, pages in left.items() if pages}

    def _read(self, book: Book, pages: Sequence[int], left: int) -> None:
        """Read a portion of a book and have it found, also where something ends the work."""
        if not self.stores.has_file(book.id):
            log.warning("left file=%r: its file is damaged or gone", book.file)
            self.aside.add(book.id)
            return
        refuse_in_upgrade(self.stores.home)
        begun = monotonic()
        try:
            for done, (page, reading) in enumerate(self._readings(book, pages), start=1):
                if not self._keep(book, page, reading):
                    return
                seconds = round((monotonic() - begun) / done * (left - done))
                tried = len(self.tried)
                self.on_page(Standing(book.file, tried, tried + left - done, seconds))
        finally:
            if read := [page for page in pages if (book.id, page) in self.tried]:
                if not is_bought(self.engine.version):  # whose pace is that of a model elsewhere
                    keep_pace(self.stores.home, monotonic() - begun, len(read))
                self._apply(book.id, read)

    def _readings(self, book: Book, pages: Sequence[int]) -> Iterator[tuple[int, _Read]]:
        """The pages as they are read, several at a time, in no order.

        What ends the work while they are waited for, as Ctrl-C or an engine that can read no page
        does, is raised when those under way are kept.
        """
        begun, waiting = monotonic(), list(reversed(pages))
        running: dict[Future[_Read], int] = {}
        with ThreadPoolExecutor(readers(), "recognising") as threads:
            while True:
                late = monotonic() - begun > _PORTION_SECONDS
                while waiting and not late and not self.ending and len(running) < readers():
                    page = waiting.pop()
                    running[threads.submit(self._recognise, book, page)] = page
                if not running:
                    return
                with ExitStack() as failed:
                    failed.callback(self._keep_last, book, running)
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for failure in filter(None, (future.exception() for future in done)):
                        raise failure
                    failed.pop_all()
                for future in done:
                    yield running.pop(future), future.result()

    def _keep_last(self, book: Book, running: dict[Future[_Read], int]) -> None:
        """End, keeping the pages under way when they are done; one that failed is read again."""
        self.ending = True
        for future, page in running.items():
            if not future.exception() and not isinstance(future.result(), UnreadPage):
                self._keep(book, page, future.result())

    def _recognise(self, book: Book, page: int) -> _Read:
        scan = PageScan(str(self.stores.book_file(book.id)), page, idle=True)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self.engine.recognise(scan)
            except UnreadPageError as error:
                if attempt == _ATTEMPTS or self.ending:
                    return UnreadPage(error.message)
        raise AssertionError

    def _keep(self, book: Book, page: int, reading: _Read) -> bool:
        """Keep a page; False where its book's file is gone, so that it says nothing."""
        stores, version = self.stores, self.engine.version
        if isinstance(reading, Substitute):
            self.substituted.append((book.file, page, reading.reason))
            version, reading = reading.version, reading.page
        if isinstance(reading, UnreadPage):
            if not stores.book_file(book.id).is_file():
                self.aside.add(book.id)
                return False
            log.info("unread file=%r page=%d: %s", book.file, page, reading.reason)
            self.unread += 1
        if stores.is_replaced():
            raise BusyError("The library was exchanged while it was open.", "Run this again.")
        stores.embeddings.recognised.put(book.id, page, version, reading)
        self.tried.add((book.id, page))
        return True

    def _apply(self, book_id: str, read: Sequence[int]) -> None:
        """Make what was recognised of a book its text, in a process whose memory goes with it."""
        stores = self.stores
        scans = scans_of(stores.catalog, stores.embeddings, book_id, self.engine)
        pages = sorted({*scans.to_apply, *read})
        if not pages:
            return
        limits = (stores.settings.read_timeout, stores.settings.read_memory)
        done = run_program(
            module_command("bookbrain.library.recognition_child"),
            timeout=_LONGEST, given=json.dumps([str(stores.home), *limits, book_id, pages]),
        )  # fmt: skip
        if done.code:
            log.error("the text of book=%s could not be replaced\n%s", book_id, done.stderr)
            self.kept[book_id] = describe_exit(done.code)
            self.aside.add(book_id)
            return
        match json.loads(done.stdout):
            case [message, hint, busy]:
                raise (BusyError if busy else BookBrainError)(unpacked(message), unpacked(hint))
            case [True]:
                self.changed.add(book_id)

    def failure(self) -> BookBrainError | None:
        """The error for the books whose text could not be replaced, if there are any."""
        books = [self.stores.catalog.book(book_id) for book_id in self.kept]
        files = ", ".join(book.file for book in books if book)
        if not files:
            return None
        reason = next(iter(self.kept.values()))
        return BookBrainError(
            fill("A text could not be replaced ({reason}): {files}.", reason=reason, files=files),
            "Run this again.",
        )


def _next_portion(wanted: dict[str, list[int]]) -> tuple[str, list[int]]:
    """Contents first, for they say what is in a book; then one book after the other."""
    for book_id, pages in wanted.items():
        if early := [page for page in pages if page <= _CONTENTS]:
            return book_id, early
    book_id, pages = next(iter(wanted.items()))
    return book_id, pages[:_PORTION]
