"""What happened, as fields of the journal: by them it is found and counted again.

They say how long and how much, and never what was asked or what a book says.
"""

from dataclasses import asdict, dataclass

PREFIX = "BOOKBRAIN_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Goes with a record as `extra={"fields": Event(…)}`. What is None is left out.

    `event` is its kind: search, add, known, reject, rename, remove, embed, fault, or another.
    `book` is an id, `query_ms` milliseconds, `dollars` US dollars; `query` only where the owner
    wants it kept.
    """

    event: str
    book: str | None = None
    query_ms: float | None = None
    hits: int | None = None
    mode: str | None = None
    degraded: bool | None = None
    tokens: int | None = None
    dollars: float | None = None
    query: str | None = None

    def fields(self) -> dict[str, str]:
        """Names and values as journald takes them."""
        return {
            PREFIX + name.upper(): _text(value)
            for name, value in asdict(self).items()
            if value is not None
        }


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return f"{value:.10g}" if isinstance(value, float) else str(value)
