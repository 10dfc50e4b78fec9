"""Whether the library works, end to end."""

import shutil
from typing import NamedTuple

from bookbrain.config import Settings
from bookbrain.errors import BookBrainError
from bookbrain.library import Library

_LITTLE_DISK = 1_000_000_000


class Check(NamedTuple):
    """One thing looked at; `detail` says what was seen, and the remedy when it is not `ok`."""

    name: str
    ok: bool
    detail: str


def check_health(settings: Settings) -> list[Check]:
    """Open the library, search it, and look at the disk."""
    try:
        with Library(settings) as library:
            checks = [_books(library), _search(library)]
    except BookBrainError as error:
        checks = [Check("library", False, str(error))]
    return [*checks, _disk(settings)]


def _books(library: Library) -> Check:
    books = library.books()
    unfinished = library.unfinished() + library.waiting()[0]
    pages = sum(book.pages for book in books)
    detail = f"books: {len(books)}, pages: {pages}"
    if unfinished:
        detail = (
            f"books: {len(books)}, pages: {pages}, unfinished: {unfinished}; run `bookbrain add`"
        )
    return Check("library", not unfinished, detail)


def _search(library: Library) -> Check:
    try:
        result = library.search("book", k=1)
    except BookBrainError as error:
        return Check("search", False, str(error))
    if result.degraded and library.settings.embedding.enabled:
        return Check("search", False, result.degraded)
    if library.settings.embedding.enabled:
        return Check("search", True, f"by meaning and keyword, {result.took_ms} ms")
    return Check("search", True, f"by keyword, {result.took_ms} ms")


def _disk(settings: Settings) -> Check:
    free = shutil.disk_usage(settings.home).free
    detail = f"{free / 1e9:.1f} GB free at {settings.home}"
    return Check("disk", free > _LITTLE_DISK, detail)
