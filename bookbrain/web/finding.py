"""A search for somebody at a browser or at the API, with its line in the log."""

import logging
from dataclasses import dataclass

from bookbrain.events import Event
from bookbrain.library import Library
from bookbrain.model import Mode, SearchResult

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for, and how: as the arguments of `Library.search`.

    `similar` is a book and a page of it, where pages like that one are asked for.
    """

    query: str = ""
    k: int = 10
    mode: Mode = "hybrid"
    books: tuple[str, ...] = ()
    weight: float | None = None
    similar: tuple[str, int] | None = None


def find(library: Library, question: Question) -> SearchResult:
    """The answer; what was asked is logged only where the owner has set it so."""
    result = _ask(library, question)
    settings = library.settings
    event = Event(
        event="search",
        query_ms=result.took_ms,
        hits=len(result.hits),
        mode=result.mode,
        degraded=bool(result.degraded) and settings.embedding.enabled,
        query=question.query if settings.log_queries and not question.similar else None,
    )
    _log.info(
        "search mode=%s ms=%.1f hits=%d degraded=%d",
        event.mode, result.took_ms, len(result.hits), bool(event.degraded),
        extra={"fields": event},
    )  # fmt: skip
    return result


def _ask(library: Library, question: Question) -> SearchResult:
    if question.similar:
        return library.similar(*question.similar, k=question.k)
    return library.search(
        question.query, k=question.k, mode=question.mode, books=question.books or None,
        weight=question.weight,
    )  # fmt: skip
