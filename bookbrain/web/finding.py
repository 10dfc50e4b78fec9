"""A search for somebody at a browser or at the API, with its line in the log."""

import logging
from dataclasses import dataclass

from bookbrain.config import Settings
from bookbrain.events import Event
from bookbrain.library import Library
from bookbrain.model import Mode, SearchResult
from bookbrain.web.shelf import Shelf

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

    def asks_others(self, settings: Settings) -> bool:
        """Whether the answer may take another server than this one."""
        by_meaning = self.mode != "keyword" or self.similar is not None
        return by_meaning and bool(settings.embedding.enabled or settings.rerank.url)


def find(shelf: Shelf, question: Question) -> SearchResult:
    """The answer; what was asked is logged only where the owner has set it so."""
    settings = shelf.settings
    patient = question.asks_others(settings)
    with shelf.patient_library() if patient else shelf.library() as library:
        result = _ask(library, question)
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
