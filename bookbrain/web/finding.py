"""A search for somebody at a browser or at the API, with its line in the log."""

import logging
from collections.abc import Sequence

from bookbrain.events import Event
from bookbrain.library import Library
from bookbrain.model import Mode, SearchResult

_log = logging.getLogger(__name__)


def find(
    library: Library, query: str, *, k: int = 10, mode: Mode = "hybrid",
    books: Sequence[str] | None = None,
) -> SearchResult:  # fmt: skip
    """As `Library.search`; what was asked is logged only where the owner has set it so."""
    result = library.search(query, k=k, mode=mode, books=books)
    settings = library.settings
    event = Event(
        event="search",
        query_ms=result.took_ms,
        hits=len(result.hits),
        mode=mode,
        degraded=bool(result.degraded) and settings.embedding.enabled,
        query=query if settings.log_queries else None,
    )
    _log.info(
        "search mode=%s ms=%.1f hits=%d degraded=%d",
        mode, result.took_ms, len(result.hits), bool(event.degraded),
        extra={"fields": event},
    )  # fmt: skip
    return result
