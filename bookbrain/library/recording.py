"""What becomes of books, in the log."""

import logging
from pathlib import Path

from bookbrain.events import Event
from bookbrain.library.reports import Outcome
from bookbrain.model import Book

_log = logging.getLogger(__name__)


def record_outcome(outcome: Outcome, name: str = "") -> None:
    """Log what became of a file; `name` where it is known by another one than its own.

    Neither its title nor its problems: these are its own words, or may quote some.
    """
    name = name or Path(outcome.path).name
    book = outcome.book
    if outcome.status == "failed":
        _log.warning(
            "rejected file=%r reason=%r hint=%r", name, outcome.reason, outcome.hint,
            extra={"fields": Event(event="reject")},
        )  # fmt: skip
    elif book and outcome.status == "added":
        _log.info(
            "added file=%r book=%s pages=%d passages=%d tokens=%d problems=%d",
            name, book.id, book.pages, book.passages, outcome.tokens, len(book.problems),
            extra={"fields": Event(event="add", book=book.id)},
        )  # fmt: skip
    elif book and outcome.status == "mended":
        _log.warning(
            "mended file=%r book=%s", name, book.id,
            extra={"fields": Event(event="mend", book=book.id)},
        )  # fmt: skip
    elif book:
        _log.info(
            "known file=%r book=%s", name, book.id,
            extra={"fields": Event(event="known", book=book.id)},
        )  # fmt: skip


def record_renaming(book: Book) -> None:
    """Log that a book has another title."""
    _log.info(
        "renamed file=%r book=%s", book.file, book.id,
        extra={"fields": Event(event="rename", book=book.id)},
    )  # fmt: skip


def record_removal(book: Book) -> None:
    """Log that a book is gone."""
    _log.info(
        "removed file=%r book=%s", book.file, book.id,
        extra={"fields": Event(event="remove", book=book.id)},
    )  # fmt: skip
