"""The process that makes what was recognised the text of a book, one request on stdin.

Its memory goes with it: what analyses Korean takes 270 MB, which a small machine does not have
while pages are read. A request is a JSON list: the folder of the library, the limits of a reader, a
book, pages of it. The answer is one, too: whether the text has changed; or `message`, `hint` and
whether others were in the way.
"""

import json
import logging
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from bookbrain.errors import BookBrainError, BusyError, InputError
from bookbrain.files import sync_folder
from bookbrain.formats.pdf import read_pdf
from bookbrain.formats.text import make_passages
from bookbrain.index.segment import count_pages, segment_name, write_segment
from bookbrain.library.maintenance import replace_text
from bookbrain.library.recognised_text import with_recognised
from bookbrain.messages import packed
from bookbrain.model import Page
from bookbrain.processes import die_with_parent
from bookbrain.settings import Settings
from bookbrain.store.catalog import NewBook
from bookbrain.store.folder import Stores, storage_errors

log = logging.getLogger(__name__)
_TRIES = 5  # to replace a text that others replace meanwhile


def main() -> None:
    die_with_parent()
    home, timeout, memory, book_id, pages = json.load(sys.stdin)
    settings = Settings(Path(home), read_timeout=timeout, read_memory=memory)
    try:
        with storage_errors(), closing(Stores(settings)) as stores:
            answer = [apply_readings(stores, book_id, pages)]
    except BookBrainError as error:
        busy = isinstance(error, BusyError)
        answer = [packed(error.message), packed(error.hint), busy]
    json.dump(answer, sys.stdout)


def apply_readings(stores: Stores, book_id: str, numbers: Sequence[int]) -> bool:
    """Make what was recognised of these pages of a book their text; whether that changed it."""
    changed = False
    for _ in range(_TRIES):
        before = [text for text in stores.catalog.texts() if text.book == book_id]
        book, old = stores.catalog.book(book_id), stores.catalog.pages(book_id)
        if book is None:
            break
        readings = stores.embeddings.recognised.of_file(book_id)
        try:
            pages = _kept(old, with_recognised(_own_pages(stores, book_id), readings))
        except InputError as error:
            log.warning("kept book=%s: its file cannot be read again (%s)", book_id, error)
            return False
        if pages == tuple(old):
            break
        new = NewBook(book, pages, make_passages(pages))
        write_segment(stores.paths.recognising, new.text, count_pages(pages))
        with stores.writing(lambda: None):
            if [text for text in stores.catalog.texts() if text.book == book_id] != before:
                continue
            _take_segment(stores, new)
            changed = replace_text(stores, new)
        break
    else:
        return False
    stores.embeddings.recognised.drop_superseded(book_id, numbers)
    return changed


def _own_pages(stores: Stores, book_id: str) -> tuple[Page, ...]:
    """The pages of a book as they are in its file, without what was recognised of them before.

    Raises InputError where that cannot be read any more.
    """
    text = read_pdf(
        stores.book_file(book_id),
        timeout=stores.settings.read_timeout,
        memory_mb=stores.settings.read_memory,
    )
    return text.pages


def _kept(old: Sequence[Page], new: Sequence[Page]) -> tuple[Page, ...]:
    """The new pages of a book, but for those that could be read before and now cannot."""
    made = {page.number: page for page in new}
    both = [(page, made.get(page.number, page)) for page in old]
    return tuple(page if now.problem and not page.problem else now for page, now in both)


def _take_segment(stores: Stores, new: NewBook) -> None:
    """Put a book's postings, which took seconds, among the others: now nobody sweeps them."""
    name = segment_name([new.text])
    (stores.paths.recognising / name).replace(stores.segments / name)
    sync_folder(stores.segments)


if __name__ == "__main__":
    main()
